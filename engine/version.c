/* version.c: sets of tables.
 *
 * V1  Level 0 is ordered by file number, whatever order the manifest or a directory lists it in
 *     (K18). A larger number means newer data: flushes are one after the other.
 * V2  Below level 0 tables are disjoint in user keys and ordered. All entries of one user key
 *     within a level are in one table (C3 in compact.c).
 * V3  Numbers are never used twice while the database exists: the counter only grows, is in every
 *     manifest edit, and is moved past every number seen in the directory at open (K28, K39).
 *
 * A get looks at level 0 from newest to oldest, then at one table per level, and stops at the first
 * entry of the key, be it a delete (K22). */
#include "version.h"

static enum vault_status grow(struct env *env, void **array, size_t *cap, size_t count, size_t size)
{
    size_t more = *cap ? *cap * 2 : 4;
    void *bigger = NULL;

    if (count < *cap)
        return VAULT_OK;
    bigger = alloc_get(env, more * size);
    if (!bigger)
        return env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "version");
    if (count)
        memcpy(bigger, *array, count * size);
    alloc_put(env, *array, *cap * size);
    *array = bigger;
    *cap = more;
    return VAULT_OK;
}

enum vault_status edit_add(struct env *env, struct edit *edit, unsigned level, struct table *table)
{
    void *array = edit->add;
    enum vault_status st = grow(env, &array, &edit->add_cap, edit->add_count, sizeof *edit->add);

    must(level < VAULT_LEVELS);
    edit->add = array;
    if (st)
        return st;
    edit->add[edit->add_count++] = (struct edit_add){level, table};
    return VAULT_OK;
}

enum vault_status edit_remove(struct env *env, struct edit *edit, unsigned level, uint64_t number)
{
    void *array = edit->remove;
    enum vault_status st =
        grow(env, &array, &edit->remove_cap, edit->remove_count, sizeof *edit->remove);

    must(level < VAULT_LEVELS);
    edit->remove = array;
    if (st)
        return st;
    edit->remove[edit->remove_count++] = (struct edit_remove){level, number};
    return VAULT_OK;
}

void edit_release(struct tables *tables, struct edit *edit)
{
    for (size_t i = 0; i < edit->add_count; i++)
        table_unref(tables, edit->add[i].table);
    alloc_put(tables->env, edit->add, edit->add_cap * sizeof *edit->add);
    alloc_put(tables->env, edit->remove, edit->remove_cap * sizeof *edit->remove);
    *edit = (struct edit){0};
}

enum vault_status version_new(struct env *env, struct version **out)
{
    struct version *v = alloc_get(env, sizeof *v);

    if (!v)
        return env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "version");
    *v = (struct version){.refs = 1};
    *out = v;
    return VAULT_OK;
}

void version_ref(struct version *v)
{
    atomic_count(&v->refs, 1);
}

void version_unref(struct tables *tables, struct version *v)
{
    if (!v || atomic_sub(&v->refs, 1))
        return;
    for (unsigned i = 0; i < VAULT_LEVELS; i++) {
        struct level *level = &v->levels[i];

        for (size_t j = 0; j < level->count; j++)
            table_unref(tables, level->at[j]);
        alloc_put(tables->env, level->at, level->cap * sizeof(struct table *));
    }
    alloc_put(tables->env, v, sizeof *v);
}

enum vault_status version_clone(struct tables *tables, const struct version *v,
                                struct version **out)
{
    struct version *copy = NULL;
    enum vault_status st = version_new(tables->env, &copy);

    for (unsigned i = 0; !st && i < VAULT_LEVELS; i++) {
        const struct level *from = &v->levels[i];
        struct level *to = &copy->levels[i];

        if (!from->count)
            continue;
        to->at = alloc_get(tables->env, (from->count + 1) * sizeof(struct table *));
        if (!to->at) {
            st = env_fail(tables->env, VAULT_NO_MEMORY, "", 0, 0, "version");
            break;
        }
        to->cap = from->count + 1;
        for (; to->count < from->count; to->count++) {
            to->at[to->count] = from->at[to->count];
            table_ref(tables, to->at[to->count]);
        }
        to->bytes = from->bytes;
    }
    if (st)
        version_unref(tables, copy);
    else
        *out = copy;
    return st;
}

static bool before(unsigned level, const struct table *a, const struct table *b)
{
    if (level == 0)
        return a->number < b->number; /* V1 */
    return entry_compare(a->smallest, a->smallest_tag, b->smallest, b->smallest_tag) < 0;
}

enum vault_status version_add(struct tables *tables, struct version *v, unsigned level,
                              struct table *table)
{
    struct level *l = &v->levels[level];
    void *array = l->at;
    size_t at = l->count;
    enum vault_status st = grow(tables->env, &array, &l->cap, l->count, sizeof(struct table *));

    must(level < VAULT_LEVELS);
    l->at = array;
    if (st)
        return st;
    while (at > 0 && before(level, table, l->at[at - 1]))
        at--;
    if (table_before(table, table->smallest) ||
        (at > 0 && (l->at[at - 1]->number == table->number ||
                    (level > 0 && !table_before(l->at[at - 1], table->smallest)))) ||
        (at < l->count && level > 0 && !table_before(table, l->at[at]->smallest)))
        return env_fail(tables->env, VAULT_CORRUPT, "", 0, 0, "tables of a level overlap");
    memmove(l->at + at + 1, l->at + at, (l->count - at) * sizeof(struct table *));
    l->at[at] = table;
    l->count++;
    l->bytes += table->size;
    table_ref(tables, table);
    return VAULT_OK;
}

enum vault_status version_remove(struct tables *tables, struct version *v, unsigned level,
                                 uint64_t number)
{
    struct level *l = &v->levels[level];
    size_t at = 0;

    must(level < VAULT_LEVELS);
    while (at < l->count && l->at[at]->number != number)
        at++;
    if (at == l->count)
        return env_fail(tables->env, VAULT_CORRUPT, "", 0, 0, "edit removes an unknown table");
    l->bytes -= l->at[at]->size;
    table_unref(tables, l->at[at]);
    l->count--;
    memmove(l->at + at, l->at + at + 1, (l->count - at) * sizeof(struct table *));
    return VAULT_OK;
}

enum vault_status version_apply(struct tables *tables, struct version *v, const struct edit *edit)
{
    enum vault_status st = VAULT_OK;

    for (size_t i = 0; !st && i < edit->remove_count; i++)
        st = version_remove(tables, v, edit->remove[i].level, edit->remove[i].number);
    for (size_t i = 0; !st && i < edit->add_count; i++)
        st = version_add(tables, v, edit->add[i].level, edit->add[i].table);
    return st;
}

size_t level_find(const struct level *level, struct bytes key)
{
    size_t low = 0;
    size_t high = level->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (table_before(level->at[mid], key))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool table_overlaps(const struct table *t, const struct bytes *begin, const struct bytes *end)
{
    return !(begin && table_before(t, *begin)) && !(end && bytes_compare(t->smallest, *end) > 0);
}

static enum vault_status table_get(struct tables *tables, struct table *t, struct bytes key,
                                   uint64_t seq, bool *found, uint64_t *tag, struct bytes *value,
                                   struct cache_block **block)
{
    struct sst *sst = NULL;
    enum vault_status st = table_pin(tables, t, &sst);

    if (st)
        return st;
    st = sst_get(sst, key, seq, found, tag, value, block);
    table_unpin(tables, t);
    return st;
}

enum vault_status version_get(struct tables *tables, struct version *v, struct bytes key,
                              uint64_t seq, bool *found, uint64_t *tag, struct bytes *value,
                              struct cache_block **block)
{
    const struct level *l = &v->levels[0];
    enum vault_status st = VAULT_OK;

    *found = false;
    for (size_t i = l->count; !st && !*found && i > 0; i--)
        if (table_overlaps(l->at[i - 1], &key, &key))
            st = table_get(tables, l->at[i - 1], key, seq, found, tag, value, block);
    for (unsigned level = 1; !st && !*found && level < VAULT_LEVELS; level++) {
        size_t at = 0;

        l = &v->levels[level];
        if (!l->count)
            continue;
        at = level_find(l, key);
        if (at < l->count && bytes_compare(l->at[at]->smallest, key) <= 0)
            st = table_get(tables, l->at[at], key, seq, found, tag, value, block);
    }
    return st;
}

struct level_cursor {
    struct cursor c;
    struct tables *tables;
    struct table **at;
    size_t count;
    size_t index; /* of the pinned table */
    struct cursor *inner;
};

static void leave(struct level_cursor *l)
{
    if (!l->inner)
        return;
    cursor_free(l->inner);
    l->inner = NULL;
    table_unpin(l->tables, l->at[l->index]);
}

/* Opens table `index`. false: there is none, or a failure. */
static bool enter(struct level_cursor *l, size_t index)
{
    struct sst *sst = NULL;

    if (l->inner && l->index == index)
        return !l->c.status;
    leave(l);
    if (index >= l->count || l->c.status)
        return false;
    l->c.status = table_pin(l->tables, l->at[index], &sst);
    if (l->c.status)
        return false;
    l->index = index;
    l->c.status = sst_cursor(sst, &l->inner);
    if (!l->c.status)
        return true;
    table_unpin(l->tables, l->at[index]);
    return false;
}

static void level_show(struct level_cursor *l)
{
    l->c.valid = false;
    if (!l->inner)
        return;
    if (l->inner->status && !l->c.status)
        l->c.status = l->inner->status;
    l->c.valid = l->inner->valid && !l->c.status;
    if (!l->c.valid)
        return;
    l->c.key = l->inner->key;
    l->c.tag = l->inner->tag;
    l->c.value = l->inner->value;
}

static void level_forward(struct level_cursor *l)
{
    while (l->inner && !l->inner->valid && !l->inner->status)
        if (enter(l, l->index + 1))
            l->inner->ops->first(l->inner);
    level_show(l);
}

static void level_backward(struct level_cursor *l)
{
    while (l->inner && !l->inner->valid && !l->inner->status) {
        if (l->index == 0)
            leave(l);
        else if (enter(l, l->index - 1))
            l->inner->ops->last(l->inner);
    }
    level_show(l);
}

static void level_first(struct cursor *c)
{
    struct level_cursor *l = (struct level_cursor *)c;

    if (enter(l, 0))
        l->inner->ops->first(l->inner);
    level_forward(l);
}

static void level_last(struct cursor *c)
{
    struct level_cursor *l = (struct level_cursor *)c;

    if (l->count && enter(l, l->count - 1))
        l->inner->ops->last(l->inner);
    level_backward(l);
}

static void level_seek(struct cursor *c, struct bytes key, uint64_t tag)
{
    struct level_cursor *l = (struct level_cursor *)c;
    struct level whole = {.at = l->at, .count = l->count};

    if (enter(l, level_find(&whole, key)))
        l->inner->ops->seek(l->inner, key, tag);
    level_forward(l);
}

static void level_next(struct cursor *c)
{
    struct level_cursor *l = (struct level_cursor *)c;

    must(c->valid);
    l->inner->ops->next(l->inner);
    level_forward(l);
}

static void level_prev(struct cursor *c)
{
    struct level_cursor *l = (struct level_cursor *)c;

    must(c->valid);
    l->inner->ops->prev(l->inner);
    level_backward(l);
}

static void level_free(struct cursor *c)
{
    struct level_cursor *l = (struct level_cursor *)c;

    leave(l);
    alloc_put(l->tables->env, l, sizeof *l);
}

static const struct cursor_ops level_cursor_ops = {
    level_first, level_last, level_seek, level_next, level_prev, level_free,
};

enum vault_status level_cursor(struct tables *tables, struct table **at, size_t count,
                               struct cursor **out)
{
    struct level_cursor *l = alloc_get(tables->env, sizeof *l);

    if (!l)
        return env_fail(tables->env, VAULT_NO_MEMORY, "", 0, 0, "iterator");
    *l = (struct level_cursor){
        .c = {.ops = &level_cursor_ops}, .tables = tables, .at = at, .count = count};
    *out = &l->c;
    return VAULT_OK;
}
