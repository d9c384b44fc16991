/* version.h: which tables make up the database at one moment, level by level.
 *
 * A version is immutable once installed; readers hold a reference and so keep its tables. An edit
 * is the difference between two versions, and what the manifest records. Thread safety: references
 * by any thread; building by one. */
#ifndef ENGINE_VERSION_H
#define ENGINE_VERSION_H

#include "table.h"

struct level {
    struct table **at; /* level 0: by number, newest last; below: by key, disjoint */
    size_t count, cap;
    uint64_t bytes;
};

struct version {
    uint32_t refs;
    struct level levels[VAULT_LEVELS];
};

struct edit_add {
    unsigned level;
    struct table *table; /* a reference of the edit */
};

struct edit_remove {
    unsigned level;
    uint64_t number;
};

/* Zeroed is empty. */
struct edit {
    bool has_log;
    uint64_t log;      /* logs with smaller numbers are dead */
    uint64_t last_seq; /* newest sequence number in tables; 0: unchanged */
    struct edit_add *add;
    size_t add_count, add_cap;
    struct edit_remove *remove;
    size_t remove_count, remove_cap;
    bool has_cursor; /* where the next compaction of this level begins */
    unsigned cursor_level;
    struct bytes cursor; /* borrowed */
};

/* Takes over the caller's reference on success. */
MUST_USE enum vault_status edit_add(struct env *env, struct edit *edit, unsigned level,
                                    struct table *table);
MUST_USE enum vault_status edit_remove(struct env *env, struct edit *edit, unsigned level,
                                       uint64_t number);
void edit_release(struct tables *tables, struct edit *edit);

MUST_USE enum vault_status version_new(struct env *env, struct version **out);
MUST_USE enum vault_status version_clone(struct tables *tables, const struct version *v,
                                         struct version **out);
void version_ref(struct version *v);
void version_unref(struct tables *tables, struct version *v); /* NULL is accepted */

/* Change a version not yet shared. version_add takes a reference of its own. VAULT_CORRUPT: the
 * edit does not fit (it came from a disk). */
MUST_USE enum vault_status version_add(struct tables *tables, struct version *v, unsigned level,
                                       struct table *table);
MUST_USE enum vault_status version_remove(struct tables *tables, struct version *v, unsigned level,
                                          uint64_t number);
MUST_USE enum vault_status version_apply(struct tables *tables, struct version *v,
                                         const struct edit *edit);

/* Index of the first table of a level below 0 whose largest key is not before `key`. */
size_t level_find(const struct level *level, struct bytes key);
bool table_overlaps(const struct table *t, const struct bytes *begin, const struct bytes *end);

/* As sst_get, through all levels, newest first. */
MUST_USE enum vault_status version_get(struct tables *tables, struct version *v, struct bytes key,
                                       uint64_t seq, bool *found, uint64_t *tag,
                                       struct bytes *value, struct cache_block **block);

/* Walks a run of disjoint tables in order. The array and its tables are borrowed. */
MUST_USE enum vault_status level_cursor(struct tables *tables, struct table **at, size_t count,
                                        struct cursor **out);

#endif
