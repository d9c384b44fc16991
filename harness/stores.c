/* stores.c: see stores.h. To add a store: its file store_<name>.c and a line in stores.def. */
#include "stores.h"

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

const struct pc_store *stores_find(const char *name)
{
    for (size_t i = 0; stores[i]; i++)
        if (strcmp(stores[i]->name, name) == 0)
            return stores[i];
    return NULL;
}

const struct pc_store *stores_at(size_t index)
{
    return index < sizeof stores / sizeof stores[0] ? stores[index] : NULL;
}
