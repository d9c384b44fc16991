/* table.h: the tables of a database, known by number and key range, opened when first read.
 *
 * Thread safety: all calls by any thread. */
#ifndef ENGINE_TABLE_H
#define ENGINE_TABLE_H

#include "sst.h"

struct table {
    struct table *next, *prev;   /* all tables */
    struct table *newer, *older; /* order of use, of the open tables that nobody reads */
    uint64_t number, size;
    uint64_t smallest_tag, largest_tag;
    struct bytes smallest, largest; /* into `keys` */
    uint32_t refs;
    uint32_t pins;
    bool obsolete; /* a durable edit dropped it: the file goes with the last reference */
    bool open;
    bool has_ranges; /* range deletes */
    struct sst sst;
    size_t keys_len;
    uint8_t keys[];
};

struct tables {
    struct env *env;
    struct cache *cache;
    struct thread_mutex lock;
    struct table *all;
    struct table *newest, *oldest;
    size_t open_count, open_max; /* L3 */
    size_t tails, tails_max;     /* bytes of filters and indexes of open tables */
};

void tables_init(struct tables *tables, struct env *env, struct cache *cache, size_t open_max,
                 size_t tails_max);
void tables_release(struct tables *tables); /* no references are left */

MUST_USE enum vault_status table_new(struct tables *tables, uint64_t number, uint64_t size,
                                     struct bytes smallest, uint64_t smallest_tag,
                                     struct bytes largest, uint64_t largest_tag,
                                     struct table **out);
void table_ref(struct tables *tables, struct table *t);
void table_unref(struct tables *tables, struct table *t);
void table_obsolete(struct tables *tables, struct table *t);
bool tables_hold(struct tables *tables, uint64_t number); /* does anyone hold this table? */

/* Is everything in the table before `key`? A largest key with TAG_FIRST is not in it (S5). */
static inline bool table_before(const struct table *t, struct bytes key)
{
    int c = bytes_compare(t->largest, key);

    return c < 0 || (c == 0 && t->largest_tag == TAG_FIRST);
}

/* An open reader, until table_unpin. */
MUST_USE enum vault_status table_pin(struct tables *tables, struct table *t, struct sst **out);
void table_unpin(struct tables *tables, struct table *t);

#endif
