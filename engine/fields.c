/* fields.c: the public structs as tables of names and places.
 *
 * A caller that was not compiled against this header finds members by name, so a struct may grow
 * without breaking it. fields_test.c reads the header and wants every member of it here. */
#include <string.h>
#include "minivault/minivault.h"

/* An array shows itself as a pointer to its elements. */
#define KIND(x)                                                                                    \
    _Generic((x),                                                                                  \
        bool: VAULT_FIELD_BOOL,                                                                    \
        int: VAULT_FIELD_SIGNED,                                                                   \
        unsigned: VAULT_FIELD_UNSIGNED,                                                            \
        unsigned long: VAULT_FIELD_UNSIGNED,                                                       \
        unsigned long long: VAULT_FIELD_UNSIGNED,                                                  \
        unsigned *: VAULT_FIELD_UNSIGNED,                                                          \
        unsigned long *: VAULT_FIELD_UNSIGNED,                                                     \
        unsigned long long *: VAULT_FIELD_UNSIGNED,                                                \
        char *: VAULT_FIELD_TEXT,                                                                  \
        default: VAULT_FIELD_POINTER)
#define ELEMENT(x)                                                                                 \
    _Generic((x),                                                                                  \
        unsigned *: sizeof(unsigned),                                                              \
        unsigned long *: sizeof(unsigned long),                                                    \
        unsigned long long *: sizeof(unsigned long long),                                          \
        char *: sizeof(char),                                                                      \
        default: sizeof(x))
#define MEMBER(in, name) (((struct in *)0)->name)
#define FIELD(in, name)                                                                            \
    {                                                                                              \
#name, KIND(MEMBER(in, name)), offsetof(struct in, name), ELEMENT(MEMBER(in, name)),       \
            sizeof(MEMBER(in, name)) / (ELEMENT(MEMBER(in, name)))                                 \
    }
#define OPTION(name) FIELD(vault_options, name)
#define STAT(name)   FIELD(vault_stats, name)
#define ERROR(name)  FIELD(vault_error, name)

static const struct vault_field options_fields[] = {
    OPTION(create_if_missing),
    OPTION(error_if_exists),
    OPTION(read_only),
    OPTION(background),
    OPTION(write_buffer_size),
    OPTION(block_size),
    OPTION(restart_interval),
    OPTION(table_size),
    OPTION(level0_tables),
    OPTION(level1_size),
    OPTION(level_multiplier),
    OPTION(bloom_bits_per_key),
    OPTION(block_cache_size),
    OPTION(block_cache),
    OPTION(read_chunk),
    OPTION(manifest_size),
    OPTION(compression),
    OPTION(open_tables),
    OPTION(table_memory),
    OPTION(no_log),
    OPTION(sync_writes),
    OPTION(sync_interval),
    OPTION(compaction_rate),
    OPTION(listener),
    OPTION(clock),
    OPTION(clock_ctx),
    OPTION(allocator),
    OPTION(hooks),
    {0},
};

static const struct vault_field stats_fields[] = {
    STAT(tables),
    STAT(bytes),
    STAT(flushes),
    STAT(compactions),
    STAT(log_syncs),
    STAT(log_bytes),
    STAT(table_bytes_written),
    STAT(compacted_bytes),
    STAT(user_bytes),
    STAT(write_amplification),
    STAT(syncs),
    STAT(gets),
    STAT(get_blocks),
    STAT(read_amplification),
    STAT(cache_hits),
    STAT(cache_misses),
    STAT(block_bytes_read),
    STAT(stalls),
    STAT(stall_ns),
    STAT(memory),
    STAT(memory_peak),
    STAT(open_tables),
    STAT(table_memory),
    {0},
};

static const struct vault_field error_fields[] = {
    ERROR(status), ERROR(file), ERROR(offset), ERROR(system_errno), ERROR(what), {0},
};

const struct vault_field *vault_fields(const char *of, size_t *size)
{
    static const struct {
        const char *name;
        const struct vault_field *fields;
        size_t size;
    } structs[] = {
        {"options", options_fields, sizeof(struct vault_options)},
        {"stats", stats_fields, sizeof(struct vault_stats)},
        {"error", error_fields, sizeof(struct vault_error)},
    };

    for (size_t i = 0; of && i < sizeof structs / sizeof structs[0]; i++)
        if (strcmp(structs[i].name, of) == 0) {
            if (size)
                *size = structs[i].size;
            return structs[i].fields;
        }
    return NULL;
}

const char *vault_version(void)
{
    return VAULT_VERSION;
}
