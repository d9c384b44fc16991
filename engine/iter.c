/* iter.c: the public iterator: one entry per live key, as of one sequence number.
 *
 * It walks a merge of memtables and levels, in which every version of every key appears, newest
 * first, and hides: versions newer than its sequence number, versions behind the newest visible
 * one, and keys whose newest visible version is a delete, has expired (K47) or is hidden by a range
 * delete. The time is that of
 * the iterator's creation.
 *
 * I1  Forward, the inner cursor stands on the entry shown; key and value are its views.
 * I2  Backward, a key's newest visible version is known only after passing all of them, so the
 *     inner cursor stands before all entries of the key shown, and key and value are copies.
 * I3  A failure of the inner cursor is kept and never taken for the end (K49).
 * I4  With bounds, no entry at or above `upper` is looked at going forward, none below `lower`
 *     going backward; a seek beyond one begins at it. */
#include "merging.h"
#include "core.h"

struct vault_iter {
    struct vault *v;
    struct core_view view;
    struct cursor *inner;
    struct ranges ranges; /* of everything the iterator sees: what they hide is as if deleted */
    uint64_t now;
    bool valid, forward;
    enum vault_status status;
    struct buffer key, value; /* I2; forward: `key` is the one to pass */
    bool has_lower, has_upper;
    struct buffer lower, upper; /* I4 */
};

static bool failed(struct vault_iter *it)
{
    if (it->inner->status && !it->status)
        it->status = it->inner->status; /* I3 */
    if (it->status)
        it->valid = false;
    return it->status != VAULT_OK;
}

static bool keep(struct vault_iter *it, struct buffer *to, struct bytes bytes)
{
    enum vault_status st = VAULT_OK;

    to->len = 0;
    st = buffer_append(&it->v->env, to, bytes);
    if (st && !it->status)
        it->status = st;
    if (st)
        it->valid = false;
    return !st;
}

/* May the entry be shown? Takes the time off the front of its value. */
static bool live(const struct vault_iter *it, const struct cursor *c, struct bytes *value)
{
    *value = c->value;
    return cursor_live(c->tag, it->now, value) &&
           (!it->ranges.count ||
            ranges_cover(&it->ranges, c->key, it->view.seq) <= tag_seq(c->tag));
}

static bool is_above(const struct vault_iter *it, struct bytes key)
{
    return it->has_upper && bytes_compare(key, buffer_bytes(&it->upper)) >= 0;
}

static bool is_below(const struct vault_iter *it, struct bytes key)
{
    return it->has_lower && bytes_compare(key, buffer_bytes(&it->lower)) < 0;
}

/* Shows the first visible entry at or after the inner cursor; with `pass`, after key it->key. */
static void find_forward(struct vault_iter *it, bool pass)
{
    struct cursor *c = it->inner;
    struct bytes value;

    it->forward = true;
    it->valid = false;
    for (; c->valid && !is_above(it, c->key); c->ops->next(c)) {
        if (tag_seq(c->tag) > it->view.seq)
            continue;
        if (pass && bytes_equal(c->key, buffer_bytes(&it->key)))
            continue;
        if (live(it, c, &value)) {
            it->valid = true;
            break;
        }
        pass = true; /* deleted or expired: hide what is older */
        if (!keep(it, &it->key, c->key))
            return;
    }
    failed(it);
}

/* The inner cursor stands on the last entry of some key, or nowhere: shows the last visible key up
 * to there. */
static void find_backward(struct vault_iter *it)
{
    struct cursor *c = it->inner;
    struct bytes value;
    bool found = false;

    it->forward = false;
    it->valid = false;
    while (c->valid && !found && !is_below(it, c->key)) {
        if (!keep(it, &it->key, c->key))
            return;
        /* Through the entries of this key from oldest to newest; the last visible one counts. */
        for (; c->valid && bytes_equal(c->key, buffer_bytes(&it->key)); c->ops->prev(c)) {
            if (tag_seq(c->tag) > it->view.seq)
                continue;
            found = live(it, c, &value);
            if (found && !keep(it, &it->value, value))
                return;
        }
    }
    if (!failed(it))
        it->valid = found;
}

static enum vault_status collect(struct vault *v, struct core_view *view, struct cursor **to,
                                 size_t *count)
{
    enum vault_status st = VAULT_OK;
    const struct level *zero = &view->version->levels[0];

    st = memtable_cursor(&v->env, view->mem, &to[(*count)++]);
    if (!st && view->full)
        st = memtable_cursor(&v->env, view->full, &to[(*count)++]);
    for (size_t i = zero->count; !st && i > 0; i--)
        st = level_cursor(&v->tables, zero->at + i - 1, 1, &to[(*count)++]);
    for (unsigned i = 1; !st && i < VAULT_LEVELS; i++) {
        const struct level *level = &view->version->levels[i];

        if (level->count)
            st = level_cursor(&v->tables, level->at, level->count, &to[(*count)++]);
    }
    if (st)
        (*count)--; /* the one that was not made */
    return st;
}

/* The range deletes of a table; it may be closed later, so they are copied. */
static enum vault_status add_ranges(struct vault_iter *it, struct table *t)
{
    struct tables *tables = &it->v->tables;
    struct sst *sst = NULL;
    enum vault_status st = table_pin(tables, t, &sst);

    if (st)
        return st;
    for (size_t i = 0; !st && i < sst->ranges.count; i++) {
        const struct range *r = &sst->ranges.at[i];

        if (r->seq <= it->view.seq)
            st = ranges_add(&it->v->env, &it->ranges, r->begin, r->end, r->seq);
    }
    table_unpin(tables, t);
    return st;
}

static enum vault_status collect_ranges(struct vault_iter *it)
{
    struct core_view *view = &it->view;
    struct env *env = &it->v->env;
    enum vault_status st = core_ranges(env, view->mem_ranges, view->seq, &it->ranges);

    if (!st)
        st = core_ranges(env, view->full_ranges, view->seq, &it->ranges);
    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        for (size_t j = 0; !st && j < view->version->levels[i].count; j++)
            if (view->version->levels[i].at[j]->has_ranges)
                st = add_ranges(it, view->version->levels[i].at[j]);
    return st ? st : ranges_cut(env, &it->ranges);
}

enum vault_status vault_iter_new(struct vault *v, const struct vault_snapshot *snapshot,
                                 struct vault_iter **out)
{
    struct vault_iter *it = NULL;
    struct cursor **children = NULL;
    size_t max = 0;
    size_t count = 0;
    enum vault_status st = VAULT_OK;

    if (!v || !out)
        return VAULT_INVALID;
    it = alloc_get(&v->env, sizeof *it);
    if (!it)
        return env_fail(&v->env, VAULT_NO_MEMORY, "", 0, 0, "iterator");
    *it = (struct vault_iter){.v = v, .now = vault_now(v)};
    core_view_get(v, snapshot, &it->view);
    max = 2 + it->view.version->levels[0].count + VAULT_LEVELS;
    children = alloc_get(&v->env, max * sizeof(struct cursor *));
    if (!children) {
        st = env_fail(&v->env, VAULT_NO_MEMORY, "", 0, 0, "iterator");
        goto done;
    }
    st = collect(v, &it->view, children, &count);
    if (!st)
        st = merge_cursor(&v->env, children, count, &it->inner);
    else
        for (size_t i = 0; i < count; i++)
            cursor_free(children[i]);
    if (!st)
        st = collect_ranges(it);
done:
    alloc_put(&v->env, children, max * sizeof(struct cursor *));
    if (st)
        vault_iter_free(it);
    else
        *out = it;
    return st;
}

void vault_iter_free(struct vault_iter *it)
{
    struct vault *v = it ? it->v : NULL;

    if (!it)
        return;
    cursor_free(it->inner);
    ranges_release(&v->env, &it->ranges);
    buffer_release(&v->env, &it->key);
    buffer_release(&v->env, &it->value);
    buffer_release(&v->env, &it->lower);
    buffer_release(&v->env, &it->upper);
    core_view_put(v, &it->view);
    alloc_put(&v->env, it, sizeof *it);
}

bool vault_iter_valid(const struct vault_iter *it)
{
    return it->valid;
}

enum vault_status vault_iter_status(const struct vault_iter *it)
{
    return it->status;
}

void vault_iter_first(struct vault_iter *it)
{
    if (failed(it))
        return;
    if (it->has_lower)
        it->inner->ops->seek(it->inner, buffer_bytes(&it->lower), TAG_FIRST);
    else
        it->inner->ops->first(it->inner);
    find_forward(it, false);
}

/* Onto the last entry before (key, tag), and shows from there backward. */
static void show_before(struct vault_iter *it, struct bytes key, uint64_t tag)
{
    struct cursor *c = it->inner;

    c->ops->seek(c, key, tag);
    if (failed(it))
        return;
    if (c->valid)
        c->ops->prev(c);
    else
        c->ops->last(c);
    find_backward(it);
}

void vault_iter_last(struct vault_iter *it)
{
    if (failed(it))
        return;
    if (it->has_upper) {
        show_before(it, buffer_bytes(&it->upper), TAG_FIRST);
        return;
    }
    it->inner->ops->last(it->inner);
    find_backward(it);
}

void vault_iter_seek(struct vault_iter *it, const void *key, size_t key_len)
{
    struct bytes from = bytes_of(key, key_len);

    if (failed(it))
        return;
    if (is_below(it, from))
        from = buffer_bytes(&it->lower);
    it->inner->ops->seek(it->inner, from, tag_at(it->view.seq));
    find_forward(it, false);
}

void vault_iter_seek_for_prev(struct vault_iter *it, const void *key, size_t key_len)
{
    if (failed(it))
        return;
    if (is_above(it, bytes_of(key, key_len)))
        show_before(it, buffer_bytes(&it->upper), TAG_FIRST);
    else
        show_before(it, bytes_of(key, key_len), 0); /* 0 sorts behind every entry of the key */
}

/* The bound is copied into `to`; NULL: none. */
static enum vault_status keep_bound(struct vault_iter *it, struct buffer *to, const void *key,
                                    size_t len)
{
    return key ? buffer_append(&it->v->env, to, bytes_of(key, len)) : VAULT_OK;
}

enum vault_status vault_iter_bound(struct vault_iter *it, const void *lower, size_t lower_len,
                                   const void *upper, size_t upper_len)
{
    struct buffer low = {0};
    struct buffer high = {0};
    enum vault_status st = VAULT_OK;

    if (!it || lower_len > VAULT_KEY_MAX || upper_len > VAULT_KEY_MAX)
        return VAULT_INVALID;
    st = keep_bound(it, &low, lower, lower_len);
    if (!st)
        st = keep_bound(it, &high, upper, upper_len);
    if (st) {
        buffer_release(&it->v->env, &low);
        buffer_release(&it->v->env, &high);
        return st;
    }
    buffer_release(&it->v->env, &it->lower);
    buffer_release(&it->v->env, &it->upper);
    it->lower = low;
    it->upper = high;
    it->has_lower = lower != NULL;
    it->has_upper = upper != NULL;
    it->valid = false;
    return VAULT_OK;
}

enum vault_status vault_iter_prefix(struct vault_iter *it, const void *prefix, size_t prefix_len)
{
    const uint8_t *p = prefix;
    size_t len = prefix_len;
    enum vault_status st = VAULT_OK;

    if (!it || prefix_len > VAULT_KEY_MAX || (!prefix && prefix_len))
        return VAULT_INVALID;
    while (len && p[len - 1] == 0xff)
        len--;
    /* The smallest key above all of them: the last byte that can be is one higher. */
    st = vault_iter_bound(it, prefix, prefix_len, len ? prefix : NULL, len);
    if (!st && len)
        it->upper.data[len - 1]++;
    return st;
}

void vault_iter_next(struct vault_iter *it)
{
    struct cursor *c = it->inner;

    must(it->valid);
    if (it->forward) {
        if (!keep(it, &it->key, c->key))
            return;
        c->ops->next(c);
    } else if (c->valid) {
        c->ops->next(c); /* I2: onto the entries of the key shown */
    } else {
        c->ops->first(c);
    }
    find_forward(it, true);
}

void vault_iter_prev(struct vault_iter *it)
{
    struct cursor *c = it->inner;

    must(it->valid);
    if (it->forward) {
        /* From the entry shown to before all entries of its key. */
        if (!keep(it, &it->key, c->key))
            return;
        while (c->valid && bytes_equal(c->key, buffer_bytes(&it->key)))
            c->ops->prev(c);
        if (failed(it))
            return;
    }
    find_backward(it);
}

const void *vault_iter_key(const struct vault_iter *it, size_t *len)
{
    struct bytes key = it->forward ? it->inner->key : buffer_bytes(&it->key);

    must(it->valid);
    *len = key.len;
    return key.data ? (const void *)key.data : "";
}

const void *vault_iter_value(const struct vault_iter *it, size_t *len)
{
    struct bytes value = it->forward ? it->inner->value : buffer_bytes(&it->value);

    must(it->valid);
    if (it->forward)
        (void)cursor_live(it->inner->tag, it->now, &value);
    *len = value.len;
    return value.data ? (const void *)value.data : "";
}
