/* merging.c: the merging cursor.
 *
 * It shows the smallest entry of its children going forward, the largest going back.
 *
 * G1  Going forward, every other child stands on its first entry after the one shown; going back,
 *     on its last entry before it. A change of direction repositions all of them (K48).
 * G2  A child that fails makes the merge fail: it must not look like a child that has ended (K27,
 *     K49).
 * G3  No two children hold the same entry where somebody turns: sequence numbers are unique, and
 *     who makes a view gives every entry one place (J6). Of a pair one would be shown again after
 *     the turn. Who only goes forward may bring pairs (repair.c): they come one after the other.
 *
 * Children are few (memtables, level-0 tables, one per level), so the best is found by comparing
 * all. `rival` remembers the second best: as long as the moved child stays ahead of it, one
 * comparison is enough, which is the common case in long runs from one table. */
#include "merging.h"

struct merge {
    struct cursor c;
    struct env *env;
    size_t count;
    size_t shown; /* index of the child shown */
    size_t rival; /* the best of the others; count: none */
    bool forward;
    struct cursor *children[];
};

static bool ahead(const struct merge *m, const struct cursor *a, const struct cursor *b)
{
    int c = entry_compare(a->key, a->tag, b->key, b->tag);

    return m->forward ? c < 0 : c > 0;
}

static void show(struct merge *m)
{
    const struct cursor *child = m->children[m->shown];

    m->c.valid = true;
    m->c.key = child->key;
    m->c.tag = child->tag;
    m->c.value = child->value;
}

/* Finds best and second best among all children, and shows the best. */
static void choose(struct merge *m)
{
    size_t best = m->count;
    size_t second = m->count;

    m->c.valid = false;
    for (size_t i = 0; i < m->count; i++) {
        const struct cursor *child = m->children[i];

        if (child->status && !m->c.status)
            m->c.status = child->status; /* G2 */
        if (!child->valid)
            continue;
        if (best == m->count || ahead(m, child, m->children[best])) {
            second = best;
            best = i;
        } else if (second == m->count || ahead(m, child, m->children[second])) {
            second = i;
        }
    }
    m->shown = best;
    m->rival = second;
    if (best < m->count && !m->c.status)
        show(m);
}

static void step(struct merge *m)
{
    struct cursor *child = m->children[m->shown];

    if (m->forward)
        child->ops->next(child);
    else
        child->ops->prev(child);
    if (child->valid && (m->rival == m->count || ahead(m, child, m->children[m->rival])))
        show(m);
    else
        choose(m);
}

static void merge_first(struct cursor *c)
{
    struct merge *m = (struct merge *)c;

    m->forward = true;
    for (size_t i = 0; i < m->count; i++)
        m->children[i]->ops->first(m->children[i]);
    choose(m);
}

static void merge_last(struct cursor *c)
{
    struct merge *m = (struct merge *)c;

    m->forward = false;
    for (size_t i = 0; i < m->count; i++)
        m->children[i]->ops->last(m->children[i]);
    choose(m);
}

static void merge_seek(struct cursor *c, struct bytes key, uint64_t tag)
{
    struct merge *m = (struct merge *)c;

    m->forward = true;
    for (size_t i = 0; i < m->count; i++)
        m->children[i]->ops->seek(m->children[i], key, tag);
    choose(m);
}

/* G1: puts every child but the shown one on the other side of the entry shown. */
static void turn(struct merge *m, bool forward)
{
    const struct cursor *shown = m->children[m->shown];

    for (size_t i = 0; i < m->count; i++) {
        struct cursor *child = m->children[i];

        if (i == m->shown)
            continue;
        child->ops->seek(child, shown->key, shown->tag); /* the first one after it */
        if (forward || child->status)
            continue;
        if (child->valid)
            child->ops->prev(child);
        else
            child->ops->last(child);
    }
    m->forward = forward;
    m->rival = 0; /* unknown now: choose() finds it */
    for (size_t i = 0; i < m->count; i++)
        if (m->children[i]->status && !m->c.status)
            m->c.status = m->children[i]->status;
}

static void merge_next(struct cursor *c)
{
    struct merge *m = (struct merge *)c;
    struct cursor *child = m->children[m->shown];

    must(c->valid);
    if (m->forward) {
        step(m);
        return;
    }
    turn(m, true);
    child->ops->next(child);
    choose(m);
}

static void merge_prev(struct cursor *c)
{
    struct merge *m = (struct merge *)c;
    struct cursor *child = m->children[m->shown];

    must(c->valid);
    if (!m->forward) {
        step(m);
        return;
    }
    turn(m, false);
    child->ops->prev(child);
    choose(m);
}

static void merge_free(struct cursor *c)
{
    struct merge *m = (struct merge *)c;

    for (size_t i = 0; i < m->count; i++)
        cursor_free(m->children[i]);
    alloc_put(m->env, m, sizeof *m + m->count * sizeof m->children[0]);
}

static const struct cursor_ops merge_ops = {
    merge_first, merge_last, merge_seek, merge_next, merge_prev, merge_free,
};

enum vault_status merge_cursor(struct env *env, struct cursor **children, size_t count,
                               struct cursor **out)
{
    struct merge *m = alloc_get(env, sizeof *m + count * sizeof m->children[0]);

    if (!m) {
        for (size_t i = 0; i < count; i++)
            cursor_free(children[i]);
        return env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "iterator");
    }
    *m = (struct merge){.c = {.ops = &merge_ops}, .env = env, .count = count, .forward = true};
    if (count)
        memcpy(m->children, children, count * sizeof m->children[0]);
    *out = &m->c;
    return VAULT_OK;
}
