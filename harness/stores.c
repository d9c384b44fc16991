/* stores.c: see stores.h. To add a store: its file store_<name>.c and a line in stores.def. */
#include "stores.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define STORE(name) extern const struct pc_store name;
#include "stores.def"
#undef STORE

static const struct pc_store *const stores[] = {
#define STORE(name) &name,
#include "stores.def"
#undef STORE
    NULL};

static const char *const status_names[PC_STORE_STATUSES] = {
    [PC_STORE_OK] = "OK",
    [PC_STORE_NOT_FOUND] = "NOT_FOUND",
    [PC_STORE_INVALID] = "INVALID",
    [PC_STORE_IO] = "IO",
    [PC_STORE_NO_SPACE] = "NO_SPACE",
    [PC_STORE_CORRUPT] = "CORRUPT",
    [PC_STORE_DATA_LOSS] = "DATA_LOSS",
    [PC_STORE_BUSY] = "BUSY",
    [PC_STORE_NO_MEMORY] = "NO_MEMORY",
    [PC_STORE_OTHER] = "OTHER",
};

const char *pc_store_status_name(enum pc_store_status status)
{
    return (unsigned)status < PC_STORE_STATUSES ? status_names[status] : "?";
}

static char why[256];

const char *stores_why(void)
{
    return why;
}

/* Stays loaded until the end: its store may be named again. */
static const struct pc_store *load(const char *path)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct pc_store *store = object ? dlsym(object, PC_STORE_SYMBOL) : NULL;

    if (store == NULL) {
        const char *reason = dlerror();

        snprintf(why, sizeof why, "%.240s", reason ? reason : "it offers no " PC_STORE_SYMBOL);
        return NULL;
    }
    if (store->abi != PC_STORE_ABI) {
        snprintf(why, sizeof why, "%.180s was made for version %u of the interface, this is %u",
                 path, (unsigned)store->abi, PC_STORE_ABI);
        return NULL;
    }
    return store;
}

const struct pc_store *stores_find(const char *name)
{
    size_t len = strlen(name);

    snprintf(why, sizeof why, "powercut list stores");
    if (strchr(name, '/') || (len > 3 && strcmp(name + len - 3, ".so") == 0))
        return load(name);
    for (size_t i = 0; stores[i]; i++)
        if (strcmp(stores[i]->name, name) == 0)
            return stores[i];
    return NULL;
}

const struct pc_store *stores_at(size_t index)
{
    return index < sizeof stores / sizeof stores[0] ? stores[index] : NULL;
}
