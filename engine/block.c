/* block.c: prefix-compressed sorted entries with restart points.
 *
 *   entry    shared varint, own varint, value length varint, tag varint, own key bytes, value
 *   block    entries, then a u32 offset per restart point, then the u32 number of them
 *
 * At a restart point `shared` is 0, so that a search can begin there. Keys are rebuilt in a buffer;
 * where nothing is shared the view points into the block and nothing is copied.
 *
 * B1  Contents come from a disk even after their checksum passed (an explorer may vouch for it, a
 *     fuzzer may forge it): each length is checked against the end of the entries before use.
 * B2  The cursor's position is (at, next, restart); a seek or a direction change sets all three, so
 *     none is left over from before (K50).
 * B3  A step back needs the key before the one shown. Of that, the bytes that both share are there;
 *     if it shares no more with its own predecessor, the rest is in the entry. Else, and where the
 *     way here is not known (path), it takes a walk from the restart point.
 * B4  That walk decodes the whole run, and the next steps back take from there; the run is good
 *     only while the cursor stands where it was left. */
#include "block.h"

enum vault_status block_add(struct env *env, struct block_builder *b, struct bytes key,
                            uint64_t tag, struct bytes value)
{
    size_t shared = 0;
    struct bytes rest;
    enum vault_status st = buffer_reserve(env, &b->data, 4 * VARINT_MAX + key.len + value.len);

    if (!st)
        st = buffer_reserve(env, &b->restarts, 4);
    if (!st && key.len > b->last_key.len)
        st = buffer_reserve(env, &b->last_key, key.len - b->last_key.len);
    if (st)
        return st;
    must(b->data.len <= UINT32_MAX);
    if (b->count == 0 || b->since >= b->interval) {
        buffer_put_u32(&b->restarts, (uint32_t)b->data.len);
        b->since = 0;
    } else {
        while (shared < key.len && shared < b->last_key.len &&
               key.data[shared] == b->last_key.data[shared])
            shared++;
    }
    buffer_put_varint(&b->data, shared);
    buffer_put_varint(&b->data, key.len - shared);
    buffer_put_varint(&b->data, value.len);
    buffer_put_varint(&b->data, tag);
    /* The empty key may have no data to point into. */
    rest = shared ? bytes_of(key.data + shared, key.len - shared) : key;
    buffer_put(&b->data, rest);
    buffer_put(&b->data, value);
    b->last_key.len = shared;
    buffer_put(&b->last_key, rest);
    b->since++;
    b->count++;
    return VAULT_OK;
}

enum vault_status block_finish(struct env *env, struct block_builder *b, struct bytes *contents)
{
    enum vault_status st = buffer_reserve(env, &b->data, b->restarts.len + 4);

    if (st)
        return st;
    buffer_put(&b->data, buffer_bytes(&b->restarts));
    buffer_put_u32(&b->data, (uint32_t)(b->restarts.len / 4));
    *contents = buffer_bytes(&b->data);
    return VAULT_OK;
}

void block_clear(struct block_builder *b)
{
    b->data.len = 0;
    b->restarts.len = 0;
    b->last_key.len = 0;
    b->since = 0;
    b->count = 0;
}

void block_release(struct env *env, struct block_builder *b)
{
    buffer_release(env, &b->data);
    buffer_release(env, &b->restarts);
    buffer_release(env, &b->last_key);
}

size_t block_size(const struct block_builder *b)
{
    return b->data.len + b->restarts.len + 4;
}

static bool damaged(struct block_cursor *b)
{
    b->c.valid = false;
    if (!b->c.status)
        b->c.status = env_fail(b->env, VAULT_CORRUPT, b->name, b->offset, 0, "bad block");
    return false;
}

static uint32_t restart_offset(const struct block_cursor *b, uint32_t index)
{
    return load_u32(b->data + b->entries_len + 4 * (size_t)index);
}

/* The three lengths of an entry; mostly a byte each. */
static void take_lengths(struct taker *t, uint64_t out[3])
{
    if (taker_left(t) >= 3 && (t->p[0] | t->p[1] | t->p[2]) < 128) {
        for (int i = 0; i < 3; i++)
            out[i] = *t->p++;
        return;
    }
    for (int i = 0; i < 3; i++)
        out[i] = take_varint(t);
}

/* Shows the entry at `at`; b->key holds the key before it. false: damage or no memory. */
static bool decode(struct block_cursor *b, uint32_t at)
{
    struct taker t = taker_of(bytes_of(b->data + at, b->entries_len - at)); /* B1 */
    uint64_t lengths[3], shared, own, value_len, tag;
    struct bytes suffix, value;

    take_lengths(&t, lengths);
    shared = lengths[0];
    own = lengths[1];
    value_len = lengths[2];
    tag = take_varint(&t);
    suffix = take_bytes(&t, own);
    value = take_bytes(&t, value_len);
    if (t.bad || shared > b->c.key.len || shared + own > VAULT_KEY_MAX)
        return damaged(b);
    if (shared == 0) {
        b->c.key = suffix;
    } else {
        size_t whole = (size_t)shared + suffix.len;

        if (whole > b->key.cap) {
            struct buffer bigger = {0};

            b->c.status = buffer_reserve(b->env, &bigger, whole * 2);
            if (b->c.status) {
                b->c.valid = false;
                return false;
            }
            memcpy(bigger.data, b->c.key.data, (size_t)shared);
            buffer_release(b->env, &b->key);
            b->key = bigger;
        } else if (b->c.key.data != b->key.data) {
            memcpy(b->key.data, b->c.key.data, (size_t)shared);
        }
        if (suffix.len)
            memcpy(b->key.data + shared, suffix.data, suffix.len);
        b->c.key = bytes_of(b->key.data, whole);
    }
    b->c.value = value;
    b->c.tag = tag;
    b->c.valid = true;
    b->at = at;
    b->next = (uint32_t)(t.p - b->data);
    return true;
}

static bool jump(struct block_cursor *b, uint32_t restart)
{
    uint32_t at = restart_offset(b, restart);

    if (at >= b->entries_len)
        return damaged(b);
    b->restart = restart;
    b->steps = 0;
    b->c.key = bytes_of(NULL, 0);
    return decode(b, at);
}

static void block_first(struct cursor *c)
{
    struct block_cursor *b = (struct block_cursor *)c;

    c->valid = false;
    if (!c->status && b->restarts)
        jump(b, 0);
}

static void block_next(struct cursor *c)
{
    struct block_cursor *b = (struct block_cursor *)c;

    must(c->valid);
    if (b->next >= b->entries_len) {
        c->valid = false;
        return;
    }
    if (decode(b, b->next))
        while (b->restart + 1 < b->restarts && restart_offset(b, b->restart + 1) <= b->at)
            b->restart++;
}

/* Walks from the restart point to the last entry that begins before `limit`. */
static void walk_to(struct block_cursor *b, uint32_t restart, uint32_t limit)
{
    uint32_t steps = 0;

    if (!jump(b, restart))
        return;
    b->path[steps++] = b->at;
    while (b->next < limit && b->next < b->entries_len) {
        if (!decode(b, b->next))
            return;
        if (steps < BLOCK_PATH)
            b->path[steps] = b->at;
        steps++;
    }
    b->steps = steps <= BLOCK_PATH ? steps : 0;
}

/* B3. Answers false, and nothing has changed, when it takes a walk. */
static bool step_back(struct block_cursor *b)
{
    struct taker here, before;

    if (b->steps < 2 || b->path[b->steps - 1] != b->at)
        return false;
    here = taker_of(bytes_of(b->data + b->at, b->entries_len - b->at));
    before = taker_of(bytes_of(b->data + b->path[b->steps - 2], b->at - b->path[b->steps - 2]));
    if (take_varint(&before) > take_varint(&here))
        return false;
    decode(b, b->path[--b->steps - 1]);
    return true;
}

/* B4: the entry before the one shown is in `run`. */
static bool run_prev(struct block_cursor *b)
{
    const struct block_entry *e = NULL;

    if (!b->run_left || b->run_end != b->at)
        return false;
    e = (const struct block_entry *)(const void *)b->run.data + --b->run_left;
    b->c.key = bytes_of(e->key_len ? b->keys.data + e->key : NULL, e->key_len);
    b->c.value = e->value;
    b->c.tag = e->tag;
    b->at = b->run_end = e->at;
    b->next = e->next;
    return true;
}

/* Decodes the entries from the restart point to the last one before `limit`, shows that one and
 * keeps the others. Without memory, or after damage, the cursor has failed. */
static void decode_run(struct block_cursor *b, uint32_t restart, uint32_t limit)
{
    enum vault_status st = VAULT_OK;

    b->run.len = b->keys.len = 0;
    b->run_left = 0; /* jump: and the path is not known any more */
    if (!jump(b, restart))
        return;
    while (b->next < limit && b->next < b->entries_len) {
        struct block_entry e = {b->at,    b->next,   (uint32_t)b->keys.len, (uint32_t)b->c.key.len,
                                b->c.tag, b->c.value};

        st = buffer_append(b->env, &b->keys, b->c.key);
        if (!st)
            st = buffer_append(b->env, &b->run, bytes_of(&e, sizeof e));
        if (st) {
            b->c.status = st;
            b->c.valid = false;
            return;
        }
        if (!decode(b, b->next))
            return;
    }
    b->run_left = b->run.len / sizeof(struct block_entry);
    b->run_end = b->at;
}

static void block_last(struct cursor *c)
{
    struct block_cursor *b = (struct block_cursor *)c;

    c->valid = false;
    if (!c->status && b->restarts)
        walk_to(b, b->restarts - 1, b->entries_len);
}

static void block_prev(struct cursor *c)
{
    struct block_cursor *b = (struct block_cursor *)c;
    uint32_t limit = b->at;
    uint32_t restart = b->restart;

    must(c->valid);
    if (limit == 0) {
        c->valid = false;
        return;
    }
    if (run_prev(b) || step_back(b))
        return;
    while (restart > 0 && restart_offset(b, restart) >= limit)
        restart--;
    if (restart_offset(b, restart) >= limit) {
        damaged(b);
        return;
    }
    decode_run(b, restart, limit);
}

/* Is the entry at the restart point before (key, tag)? Looks at it in place. */
static bool restart_before(struct block_cursor *b, uint32_t restart, struct bytes key, uint64_t tag,
                           bool *before)
{
    uint32_t at = restart_offset(b, restart);
    struct taker t = {NULL, NULL, false};
    uint64_t shared = 0;
    uint64_t own = 0;
    uint64_t own_tag = 0;
    struct bytes own_key;

    if (at >= b->entries_len)
        return damaged(b);
    t = taker_of(bytes_of(b->data + at, b->entries_len - at)); /* B1 */
    shared = take_varint(&t);
    own = take_varint(&t);
    (void)take_varint(&t); /* of the value: nothing of it is needed */
    own_tag = take_varint(&t);
    own_key = take_bytes(&t, own);
    if (t.bad || shared || own > VAULT_KEY_MAX)
        return damaged(b);
    *before = entry_compare(own_key, own_tag, key, tag) < 0;
    return true;
}

/* How many bytes the two agree in from the front. */
static size_t common(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    size_t i = 0;

    while (i + 8 <= n) {
        uint64_t differ = load_u64(a.data + i) ^ load_u64(b.data + i);

        if (differ)
            return i + (size_t)__builtin_ctzll(differ) / 8;
        i += 8;
    }
    while (i < n && a.data[i] == b.data[i])
        i++;
    return i;
}

/* Shows the entry at `at`, whose first `shared` bytes are those of `key`. */
static void show_found(struct block_cursor *b, uint32_t at, const uint8_t *end, struct bytes key,
                       size_t shared, struct bytes suffix)
{
    size_t whole = shared + suffix.len;

    if (shared) {
        struct buffer bigger = {0};

        if (whole > b->key.cap) {
            b->c.status = buffer_reserve(b->env, &bigger, whole * 2);
            if (b->c.status)
                return;
        } else {
            bigger = b->key;
        }
        memmove(bigger.data, key.data, shared); /* `key` may be the view of this cursor */
        if (suffix.len)
            memcpy(bigger.data + shared, suffix.data, suffix.len);
        if (bigger.data != b->key.data)
            buffer_release(b->env, &b->key);
        b->key = bigger;
        suffix = bytes_of(b->key.data, whole);
    }
    b->c.key = suffix;
    b->c.valid = true;
    b->at = at;
    b->next = (uint32_t)(end - b->data);
    while (b->restart + 1 < b->restarts && restart_offset(b, b->restart + 1) <= at)
        b->restart++;
}

/* Shows the first entry from the restart point on that is not before (key, tag).
 *
 * No key is rebuilt on the way. `match` is how many bytes of `key` the entry before agreed in; that
 * entry is before the target. One that shares more than those with it is so, too. Any other one
 * agrees with `key` in what it shares, and only the rest has to be compared. */
static void scan_run(struct block_cursor *b, uint32_t restart, struct bytes key, uint64_t tag)
{
    uint32_t at = restart_offset(b, restart);
    size_t match = 0;
    size_t before_len = 0;

    if (at >= b->entries_len) {
        damaged(b);
        return;
    }
    b->restart = restart;
    b->steps = 0;
    while (at < b->entries_len) {
        struct taker t = taker_of(bytes_of(b->data + at, b->entries_len - at)); /* B1 */
        uint64_t shared = take_varint(&t);
        uint64_t own = take_varint(&t);
        uint64_t value_len = take_varint(&t);
        uint64_t own_tag = take_varint(&t);
        struct bytes suffix = take_bytes(&t, own);
        struct bytes value = take_bytes(&t, value_len);

        if (t.bad || shared > before_len || shared + own > VAULT_KEY_MAX) {
            damaged(b);
            return;
        }
        before_len = (size_t)(shared + own);
        if (shared <= match) {
            struct bytes rest = bytes_of(key.data ? key.data + shared : NULL, key.len - shared);
            size_t same = common(suffix, rest);
            bool equal = same == suffix.len && same == rest.len;

            if (equal ? own_tag <= tag
                      : same == rest.len ||
                            (same < suffix.len && suffix.data[same] > rest.data[same])) {
                b->c.value = value;
                b->c.tag = own_tag;
                show_found(b, at, t.p, key, (size_t)shared, suffix);
                return;
            }
            match = (size_t)shared + same;
        }
        at = (uint32_t)(t.p - b->data);
    }
}

static void block_seek(struct cursor *c, struct bytes key, uint64_t tag)
{
    struct block_cursor *b = (struct block_cursor *)c;
    uint32_t low = 0;
    uint32_t high = b->restarts;

    c->valid = false;
    if (c->status || !b->restarts)
        return;
    while (high - low > 1) { /* The entry at restart `low` is before the target, or low is 0. */
        uint32_t mid = low + (high - low) / 2;

        bool before = false;

        if (!restart_before(b, mid, key, tag, &before))
            return;
        if (before)
            low = mid;
        else
            high = mid;
    }
    scan_run(b, low, key, tag);
}

static void block_free(struct cursor *c)
{
    block_cursor_release((struct block_cursor *)c);
}

static const struct cursor_ops block_cursor_ops = {
    block_first, block_last, block_seek, block_next, block_prev, block_free,
};

void block_cursor_init(struct env *env, struct block_cursor *b)
{
    *b = (struct block_cursor){.c = {.ops = &block_cursor_ops}, .env = env};
}

void block_cursor_open(struct block_cursor *b, const char *name, uint64_t offset,
                       struct bytes contents)
{
    uint64_t restarts = 0;

    b->name = name;
    b->offset = offset;
    b->data = contents.data;
    b->entries_len = 0;
    b->restarts = 0;
    b->steps = 0;
    b->run_left = 0;
    b->c.valid = false;
    b->c.status = VAULT_OK;
    if (contents.len >= 4)
        restarts = load_u32(contents.data + contents.len - 4);
    if (contents.len < 4 || contents.len > UINT32_MAX || restarts > (contents.len - 4) / 4) {
        damaged(b);
        return;
    }
    b->restarts = (uint32_t)restarts;
    b->entries_len = (uint32_t)(contents.len - 4 - 4 * restarts);
    if (!b->restarts && b->entries_len)
        damaged(b);
}

void block_cursor_release(struct block_cursor *b)
{
    buffer_release(b->env, &b->key);
    buffer_release(b->env, &b->run);
    buffer_release(b->env, &b->keys);
    b->data = NULL;
    b->restarts = 0;
}
