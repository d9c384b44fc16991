/* table.c: see table.h.
 *
 * L1  A file is unlinked only when a durable manifest edit has dropped it (table_obsolete) and no
 *     version, and so no reader, refers to it any more (K23, K45).
 * L2  An unlink that fails leaves an orphan; the next open removes it. It is no failure of the
 *     store.
 *
 * L3  Open tables that nobody reads are shut, the one used longest ago first, while there are more
 *     than open_max or their filters and indexes take more than tails_max bytes.
 *
 * Opening happens under the lock: two threads never open one table twice. */
#include "table.h"

void tables_init(struct tables *tables, struct env *env, struct cache *cache, size_t open_max,
                 size_t tails_max)
{
    *tables =
        (struct tables){.env = env, .cache = cache, .open_max = open_max, .tails_max = tails_max};
    thread_mutex_init(&tables->lock);
}

void tables_release(struct tables *tables)
{
    must(tables->all == NULL);
    thread_mutex_release(&tables->lock);
}

enum vault_status table_new(struct tables *tables, uint64_t number, uint64_t size,
                            struct bytes smallest, uint64_t smallest_tag, struct bytes largest,
                            uint64_t largest_tag, struct table **out)
{
    size_t keys_len = smallest.len + largest.len;
    struct table *t = alloc_get(tables->env, sizeof *t + keys_len);

    if (!t)
        return env_fail(tables->env, VAULT_NO_MEMORY, "", 0, 0, "table");
    *t = (struct table){.number = number,
                        .size = size,
                        .smallest_tag = smallest_tag,
                        .largest_tag = largest_tag,
                        .refs = 1,
                        .keys_len = keys_len};
    if (smallest.len)
        memcpy(t->keys, smallest.data, smallest.len);
    if (largest.len)
        memcpy(t->keys + smallest.len, largest.data, largest.len);
    t->smallest = bytes_of(t->keys, smallest.len);
    t->largest = bytes_of(t->keys + smallest.len, largest.len);
    thread_lock(&tables->lock);
    t->next = tables->all;
    if (t->next)
        t->next->prev = t;
    tables->all = t;
    thread_unlock(&tables->lock);
    *out = t;
    return VAULT_OK;
}

static void idle_remove(struct tables *tables, struct table *t)
{
    if (t->newer)
        t->newer->older = t->older;
    else
        tables->newest = t->older;
    if (t->older)
        t->older->newer = t->newer;
    else
        tables->oldest = t->newer;
    t->newer = t->older = NULL;
}

static void idle_push(struct tables *tables, struct table *t)
{
    t->older = tables->newest;
    if (tables->newest)
        tables->newest->newer = t;
    else
        tables->oldest = t;
    tables->newest = t;
}

static void shut(struct tables *tables, struct table *t)
{
    must(t->open && t->pins == 0);
    idle_remove(tables, t);
    tables->tails -= t->sst.tail_len;
    sst_close(&t->sst);
    t->open = false;
    tables->open_count--;
}

void table_ref(struct tables *tables, struct table *t)
{
    atomic_count(&t->refs, 1);
}

void table_unref(struct tables *tables, struct table *t)
{
    char name[OS_NAME_MAX];

    if (!t || atomic_sub(&t->refs, 1))
        return;
    if (atomic_get(&t->obsolete)) { /* L1; what the list does not hold is gone from the directory */
        enum vault_status ignored = VAULT_OK;

        format_name(FORMAT_TABLE, t->number, name);
        ignored = os_unlink(tables->env, name); /* L2 */
        (void)ignored;
    }
    thread_lock(&tables->lock);
    if (t->open)
        shut(tables, t);
    if (t->prev)
        t->prev->next = t->next;
    else
        tables->all = t->next;
    if (t->next)
        t->next->prev = t->prev;
    thread_unlock(&tables->lock);
    alloc_put(tables->env, t, sizeof *t + t->keys_len);
}

void table_obsolete(struct tables *tables, struct table *t)
{
    atomic_set(&t->obsolete, true);
}

bool tables_hold(struct tables *tables, uint64_t number)
{
    struct table *t = NULL;

    thread_lock(&tables->lock);
    t = tables->all;
    while (t && t->number != number)
        t = t->next;
    thread_unlock(&tables->lock);
    return t != NULL;
}

enum vault_status table_pin(struct tables *tables, struct table *t, struct sst **out)
{
    enum vault_status st = VAULT_OK;

    thread_lock(&tables->lock);
    if (!t->open) {
        while (tables->oldest &&
               (tables->open_count >= tables->open_max || tables->tails >= tables->tails_max))
            shut(tables, tables->oldest); /* L3 */
        st = sst_open(tables->env, tables->cache, t->number, t->size, &t->sst);
        if (!st && t->sst.ranges.count && !t->has_ranges) { /* iterators would pass them over */
            st = env_fail(tables->env, VAULT_CORRUPT, t->sst.file.name, 0, 0,
                          "range deletes that the manifest does not know of");
            sst_close(&t->sst);
        }
        if (!st) {
            t->open = true;
            tables->open_count++;
            tables->tails += t->sst.tail_len;
            idle_push(tables, t);
        }
    }
    if (!st) {
        if (t->pins++ == 0)
            idle_remove(tables, t);
        *out = &t->sst;
    }
    thread_unlock(&tables->lock);
    return st;
}

void table_unpin(struct tables *tables, struct table *t)
{
    thread_lock(&tables->lock);
    must(t->pins > 0);
    if (--t->pins == 0)
        idle_push(tables, t);
    while (tables->oldest &&
           (tables->open_count > tables->open_max || tables->tails > tables->tails_max))
        shut(tables, tables->oldest); /* L3 */
    thread_unlock(&tables->lock);
}
