/* callers.c: see callers.h. A table is read once per object and kept: a fault asks at each call
 * that it might meet. A name may end in what a compiler puts behind it ("sync.isra.0"), which is
 * cut off, so that a scenario means the same in each build. */
#define _GNU_SOURCE /* dladdr */
#include "callers.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "powercut/fault.h"
#include "powercut/posix.h"

struct function {
    uint64_t from, size;
    const char *name;
};

/* The functions of one file that is loaded, by address. */
struct object {
    struct object *next;
    char path[512];
    char *bytes; /* the file */
    size_t size;
    struct function *functions;
    size_t count;
};

static struct object *objects;

static bool read_file(struct object *object)
{
    FILE *in = fopen(object->path, "rb");
    long size = -1;

    if (in && fseek(in, 0, SEEK_END) == 0)
        size = ftell(in);
    if (size > 0 && (object->bytes = malloc((size_t)size)) != NULL) {
        rewind(in);
        object->size = fread(object->bytes, 1, (size_t)size, in);
    }
    if (in)
        fclose(in);
    return size > 0 && object->size == (size_t)size;
}

static bool within(const struct object *object, uint64_t offset, uint64_t size)
{
    return offset <= object->size && size <= object->size - offset;
}

static int by_address(const void *a, const void *b)
{
    const struct function *x = a, *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

static void add_functions(struct object *object, const ElfW(Shdr) * table,
                          const ElfW(Shdr) * strings)
{
    size_t n = table->sh_entsize == sizeof(ElfW(Sym)) ? table->sh_size / table->sh_entsize : 0;

    if (n == 0 || !within(object, table->sh_offset, table->sh_size) ||
        !within(object, strings->sh_offset, strings->sh_size) || strings->sh_size == 0 ||
        object->bytes[strings->sh_offset + strings->sh_size - 1] != '\0')
        return;
    object->functions = calloc(n, sizeof *object->functions);
    must(object->functions != NULL);
    for (size_t i = 0; i < n; i++) {
        ElfW(Sym) symbol;

        memcpy(&symbol, object->bytes + table->sh_offset + i * sizeof symbol, sizeof symbol);
        if ((symbol.st_info & 0xf) != STT_FUNC || symbol.st_size == 0 ||
            symbol.st_name >= strings->sh_size)
            continue;
        object->functions[object->count++] = (struct function){
            symbol.st_value, symbol.st_size, object->bytes + strings->sh_offset + symbol.st_name};
    }
    qsort(object->functions, object->count, sizeof *object->functions, by_address);
}

static void read_tables(struct object *object)
{
    ElfW(Ehdr) head;
    const ElfW(Shdr) * sections;

    if (!read_file(object) || object->size < sizeof head)
        return;
    memcpy(&head, object->bytes, sizeof head);
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_shentsize != sizeof *sections ||
        head.e_shoff % _Alignof(ElfW(Shdr)) ||
        !within(object, head.e_shoff, (uint64_t)head.e_shnum * sizeof *sections))
        return;
    sections = (const void *)(object->bytes + head.e_shoff);
    for (unsigned i = 0; i < head.e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < head.e_shnum)
            add_functions(object, &sections[i], &sections[sections[i].sh_link]);
}

static const struct object *object_at(const char *path)
{
    struct object *object = objects;

    while (object && strcmp(object->path, path) != 0)
        object = object->next;
    if (object)
        return object;
    object = calloc(1, sizeof *object);
    must(object != NULL);
    snprintf(object->path, sizeof object->path, "%s", path);
    object->next = objects;
    objects = object;
    read_tables(object);
    return object;
}

const char *caller_name(const void *address)
{
    const struct object *object;
    size_t low = 0, high;
    uint64_t at;
    Dl_info info;

    if (!dladdr(address, &info) || info.dli_fbase == NULL || info.dli_fname == NULL)
        return NULL;
    object = object_at(info.dli_fname);
    at = (uint64_t)((uintptr_t)address - (uintptr_t)info.dli_fbase) - 1; /* within the call */
    for (high = object->count; low < high;) {
        size_t middle = low + (high - low) / 2;

        if (object->functions[middle].from <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || at - object->functions[low - 1].from >= object->functions[low - 1].size)
        return NULL;
    return object->functions[low - 1].name;
}

/* Is the call that is made now one from this function, or from what it calls? */
static bool called_from(const char *function)
{
    size_t len = strlen(function);
    struct pc_site site;

    if (!pc_site_now(&site))
        return false;
    for (int i = 0; i < PC_SITE_FRAMES && site.frames[i]; i++) {
        const char *name = caller_name(site.frames[i]);

        if (name && strncmp(name, function, len) == 0 && (name[len] == '\0' || name[len] == '.'))
            return true;
    }
    return false;
}

void callers_watch(void)
{
    pc_fault_callers(called_from);
}
