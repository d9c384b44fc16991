/* ranges.c: range deletes as disjoint pieces. See ranges.h.
 *
 * D1  A range is [begin, end): the end is not in it, so that two ranges can meet. Empty ranges are
 *     refused at the door (vault.c) and by readers (wal.c, sst.c).
 * D2  Pieces are sorted by begin, then newest first; different begins are disjoint. So the pieces
 *     that cover a key lie together, and one search finds them.
 *
 * Cutting sweeps over all ends in order, with the list of ranges that are open: O(n log n) and the
 * size of the answer. */
#include <stdlib.h>
#include "ranges.h"

static enum vault_status grow(struct env *env, struct range **array, size_t *cap, size_t count)
{
    size_t more = *cap ? *cap * 2 : 8;
    struct range *bigger = NULL;

    if (count < *cap)
        return VAULT_OK;
    bigger = alloc_get(env, more * sizeof *bigger);
    if (!bigger)
        return env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "range deletes");
    if (count)
        memcpy(bigger, *array, count * sizeof *bigger);
    alloc_put(env, *array, *cap * sizeof *bigger);
    *array = bigger;
    *cap = more;
    return VAULT_OK;
}

void ranges_release(struct env *env, struct ranges *r)
{
    for (size_t i = 0; i < r->added_count; i++)
        alloc_put(env, (void *)(uintptr_t)r->added[i].begin.data,
                  r->added[i].begin.len + r->added[i].end.len);
    alloc_put(env, r->added, r->added_cap * sizeof *r->added);
    alloc_put(env, r->at, r->cap * sizeof *r->at);
    *r = (struct ranges){0};
}

enum vault_status ranges_add(struct env *env, struct ranges *r, struct bytes begin,
                             struct bytes end, uint64_t seq)
{
    enum vault_status st = grow(env, &r->added, &r->added_cap, r->added_count);
    uint8_t *text = NULL;

    must(bytes_compare(begin, end) < 0); /* D1 */
    if (st)
        return st;
    text = alloc_get(env, begin.len + end.len);
    if (!text)
        return env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "range deletes");
    if (begin.len)
        memcpy(text, begin.data, begin.len);
    memcpy(text + begin.len, end.data, end.len);
    r->added[r->added_count++] =
        (struct range){bytes_of(text, begin.len), bytes_of(text + begin.len, end.len), seq};
    return VAULT_OK;
}

enum vault_status ranges_add_all(struct env *env, struct ranges *r, struct cursor *from,
                                 uint64_t seq)
{
    enum vault_status st = VAULT_OK;

    for (from->ops->first(from); !st && from->valid; from->ops->next(from))
        if (tag_kind(from->tag) == FORMAT_OP_DELETE_RANGE && tag_seq(from->tag) <= seq)
            st = ranges_add(env, r, from->key, from->value, tag_seq(from->tag));
    return st ? st : from->status;
}

static int by_begin(const void *a, const void *b)
{
    const struct range *x = a;
    const struct range *y = b;
    int c = bytes_compare(x->begin, y->begin);

    if (c)
        return c;
    return x->seq > y->seq ? -1 : x->seq < y->seq;
}

static int by_bytes(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* One piece per open range between two ends. `open` holds ranges, the newest first. */
static enum vault_status emit(struct env *env, struct ranges *r, const struct range *const *open,
                              size_t open_count, struct bytes begin, struct bytes end)
{
    enum vault_status st = VAULT_OK;

    for (size_t i = 0; !st && i < open_count; i++) {
        st = grow(env, &r->at, &r->cap, r->count);
        if (!st && (i == 0 || open[i]->seq != open[i - 1]->seq))
            r->at[r->count++] = (struct range){begin, end, open[i]->seq};
    }
    return st;
}

static enum vault_status sweep(struct env *env, struct ranges *r, struct bytes *ends,
                               const struct range **open)
{
    size_t count = 2 * r->added_count;
    size_t open_count = 0;
    size_t next = 0;
    enum vault_status st = VAULT_OK;

    for (size_t i = 0; i < r->added_count; i++) {
        ends[2 * i] = r->added[i].begin;
        ends[2 * i + 1] = r->added[i].end;
    }
    qsort(ends, count, sizeof *ends, by_bytes);
    qsort(r->added, r->added_count, sizeof *r->added, by_begin);
    for (size_t i = 0; !st && i + 1 < count; i++) {
        size_t kept = 0;

        if (bytes_equal(ends[i], ends[i + 1]))
            continue;
        for (size_t o = 0; o < open_count; o++)
            if (bytes_compare(open[o]->end, ends[i]) > 0)
                open[kept++] = open[o];
        open_count = kept;
        for (; next < r->added_count && bytes_compare(r->added[next].begin, ends[i]) <= 0; next++) {
            size_t at = open_count++;

            for (; at > 0 && open[at - 1]->seq < r->added[next].seq; at--)
                open[at] = open[at - 1];
            open[at] = &r->added[next];
        }
        st = emit(env, r, open, open_count, ends[i], ends[i + 1]);
    }
    return st;
}

enum vault_status ranges_cut(struct env *env, struct ranges *r)
{
    size_t count = r->added_count;
    struct bytes *ends = NULL;
    const struct range **open = NULL;
    enum vault_status st = VAULT_OK;

    r->count = 0;
    if (!count)
        return VAULT_OK;
    ends = alloc_get(env, 2 * count * sizeof *ends);
    open = alloc_get(env, count * sizeof(struct range *));
    if (ends && open)
        st = sweep(env, r, ends, open);
    else
        st = env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "range deletes");
    alloc_put(env, ends, 2 * count * sizeof *ends);
    alloc_put(env, open, count * sizeof(struct range *));
    return st;
}

enum vault_status ranges_view(struct env *env, struct ranges *r, struct range piece, bool *fits)
{
    const struct range *last = r->count ? &r->at[r->count - 1] : NULL;
    enum vault_status st = VAULT_OK;

    *fits = bytes_compare(piece.begin, piece.end) < 0 &&
            (!last || bytes_compare(last->end, piece.begin) <= 0 ||
             (bytes_equal(last->begin, piece.begin) && bytes_equal(last->end, piece.end) &&
              last->seq > piece.seq));
    if (!*fits)
        return VAULT_OK;
    st = grow(env, &r->at, &r->cap, r->count);
    if (!st)
        r->at[r->count++] = piece;
    return st;
}

size_t ranges_find(const struct ranges *r, struct bytes key)
{
    size_t low = 0;
    size_t high = r->count;

    while (low < high) { /* the first piece that does not end before the key or at it */
        size_t mid = low + (high - low) / 2;

        if (bytes_compare(r->at[mid].end, key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < r->count && bytes_compare(r->at[low].begin, key) <= 0 ? low : r->count;
}

uint64_t ranges_cover(const struct ranges *r, struct bytes key, uint64_t seq)
{
    size_t i = r->count ? ranges_find(r, key) : 0;
    struct bytes begin;

    if (i >= r->count)
        return 0;
    begin = r->at[i].begin;
    for (; i < r->count && bytes_equal(r->at[i].begin, begin); i++) /* D2 */
        if (r->at[i].seq <= seq)
            return r->at[i].seq;
    return 0;
}
