/* memtable.c: a B+tree over an arena.
 *
 * An entry (tag, key, value) is written once into the arena and never changes or moves. Leaves
 * hold pointers to entries in order, with the first sixteen bytes of each key beside the pointer,
 * so that a search touches few cache lines; inner nodes hold separators of the same form, and
 * children. The shape depends on the operations only, not on addresses.
 *
 * Readers take no lock. Each node has a version, odd while the writer changes the node (a
 * seqlock). A reader loads the version, what it wants, and the version again; if it has changed, it
 * begins anew. All loads of node content are acquire loads, all stores release stores, which is
 * what keeps the second load of the version behind the others, and the first store before them.
 * On the way down, the version of the child is loaded before that of the parent is confirmed.
 *
 * T1  memtable_reserve comes before the log write, memtable_add after it: an acknowledged or logged
 *     write never fails for want of memory.
 * T2  Memory of the arena is given back only with the whole table.
 * T3  A node is never freed and never leaves its level; a split moves the upper half to a new right
 *     neighbour. So a stale pointer to a node is harmless: what it lacks is to its right, and the
 *     version tells.
 * T4  A reader may miss an entry that is inserted while it looks. That entry's sequence number is
 *     above every number the reader can see, since those were published after their insertion.
 * T5  What is added at the end of a leaf does not change the leaf's version, and may lie before
 *     what a reader looks for. So the end of a leaf is where the search saw it. */
#include "memtable.h"

#define LEAF_MAX    32u /* entries of a leaf */
#define INNER_MAX   40u /* children of an inner node */
#define LEVELS_MAX  12u
#define CHUNK_MIN   2048u
#define CHUNK_MAX   ((size_t)1 << 20)
#define ENTRY_EXTRA 40u /* what an entry costs in nodes, on average; counted in memtable_size */

struct entry {
    uint64_t tag;
    uint32_t key_len, value_len;
    uint8_t bytes[]; /* key, value */
};

/* The order of slots is that of (high, low), then that of the entries. */
struct slot {
    uint64_t high, low; /* the first sixteen bytes of the key as big-endian numbers, zero padded */
    const struct entry *entry;
};

struct node {
    uint64_t version;         /* odd while being changed */
    uint32_t count;           /* slots in use */
    uint32_t level;           /* 0: a leaf */
    struct node *next, *prev; /* leaves only; an unused node: next is the next spare one */
    struct slot slots[];      /* leaf: entries. Inner: lower bounds of the children; the first one
                                 counts as smaller than everything */
};

struct chunk {
    struct chunk *older;
    size_t size;
};

struct memtable {
    uint32_t refs;
    uint32_t levels;   /* of the tree */
    struct node *root; /* atomic */
    struct node *last; /* the rightmost leaf */
    size_t nodes[LEVELS_MAX];
    struct node *spares[2]; /* leaves, inner nodes */
    size_t spare_counts[2];
    struct chunk *chunks;
    uint8_t *free_at;
    size_t free_len;
    size_t chunk_next; /* size of the next chunk */
    size_t size, count;
    uint64_t last_seq;
};

/* What is searched: a key with its first bytes as numbers. */
struct target {
    struct bytes key;
    uint64_t tag, high, low;
};

/* A place in a leaf, as of a version. */
struct place {
    const struct node *leaf;
    uint64_t version;
    uint32_t index;
};

struct memtable_cursor {
    struct cursor c;
    struct env *env;
    struct memtable *m;
    const struct entry *at;
    struct place place; /* where `at` was found */
};

static size_t node_size(unsigned inner)
{
    return inner ? sizeof(struct node) + INNER_MAX * (sizeof(struct slot) + sizeof(struct node *))
                 : sizeof(struct node) + LEAF_MAX * sizeof(struct slot);
}

/* The children of an inner node lie behind its slots. */
static struct node **children(const struct node *n)
{
    return (struct node **)(void *)&((struct node *)(uintptr_t)n)->slots[INNER_MAX];
}

enum vault_status memtable_new(struct env *env, struct memtable **out)
{
    struct memtable *m = alloc_get(env, sizeof *m);

    if (!m)
        return env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "memtable");
    *m = (struct memtable){.refs = 1, .chunk_next = CHUNK_MIN};
    *out = m;
    return VAULT_OK;
}

void memtable_ref(struct memtable *m)
{
    atomic_count(&m->refs, 1);
}

void memtable_unref(struct env *env, struct memtable *m)
{
    struct chunk *chunk = NULL;

    if (!m || atomic_sub(&m->refs, 1))
        return;
    chunk = m->chunks;
    while (chunk) {
        struct chunk *older = chunk->older;

        alloc_put(env, chunk, chunk->size);
        chunk = older;
    }
    alloc_put(env, m, sizeof *m);
}

static struct chunk *new_chunk(struct env *env, struct memtable *m, size_t size)
{
    struct chunk *chunk = alloc_get(env, sizeof *chunk + size);

    if (!chunk)
        return NULL;
    *chunk = (struct chunk){m->chunks, sizeof *chunk + size};
    m->chunks = chunk;
    return chunk;
}

/* At least `need` unused nodes of a kind. They come a few at a time, more in a large tree. */
static bool reserve_nodes(struct env *env, struct memtable *m, unsigned inner, size_t need)
{
    size_t more = 0;
    size_t size = node_size(inner);
    struct chunk *chunk = NULL;

    if (m->spare_counts[inner] >= need)
        return true;
    more = need - m->spare_counts[inner];
    if (more < m->nodes[inner] / 8)
        more = m->nodes[inner] / 8 < 256 ? m->nodes[inner] / 8 : 256;
    chunk = new_chunk(env, m, more * size);
    if (!chunk)
        return false;
    for (size_t i = 0; i < more; i++) {
        struct node *n = (struct node *)(void *)((uint8_t *)(chunk + 1) + i * size);

        n->next = m->spares[inner];
        m->spares[inner] = n;
    }
    m->spare_counts[inner] += more;
    return true;
}

/* How many splits `count` insertions into a level of `nodes` nodes can cause: a node that was split
 * has room for `room` more. */
static size_t splits_max(size_t count, size_t nodes, size_t room)
{
    size_t bound = nodes + count / room + 1;

    return count < bound ? count : bound;
}

enum vault_status memtable_reserve(struct env *env, struct memtable *m, size_t count, size_t bytes)
{
    size_t need = count * (sizeof(struct entry) + 8) + bytes;
    size_t splits = splits_max(count, m->nodes[0], LEAF_MAX / 2);
    size_t inner = 0;
    bool good = reserve_nodes(env, m, 0, splits + 1); /* T1; and the first leaf */

    for (unsigned level = 1; good && splits; level++) {
        if (level < m->levels) {
            splits = splits_max(splits, m->nodes[level], INNER_MAX / 2);
            inner += splits;
        } else { /* a new root, or more when the batch is large */
            splits /= INNER_MAX / 2;
            inner += splits + 1;
        }
    }
    if (good && inner)
        good = reserve_nodes(env, m, 1, inner);
    if (good && need > m->free_len) {
        size_t size = need < m->chunk_next ? m->chunk_next : need;
        struct chunk *chunk = new_chunk(env, m, size);

        good = chunk != NULL;
        if (good) {
            m->free_at = (uint8_t *)(chunk + 1);
            m->free_len = size;
            if (m->chunk_next < CHUNK_MAX)
                m->chunk_next *= 2;
        }
    }
    return good ? VAULT_OK : env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "memtable");
}

static struct bytes entry_key(const struct entry *e)
{
    return bytes_of(e->bytes, e->key_len);
}

static struct bytes entry_value(const struct entry *e)
{
    return bytes_of(e->bytes + e->key_len, e->value_len);
}

static uint64_t word_of(struct bytes key, size_t from)
{
    uint8_t word[8] = {0};
    size_t left = key.len > from ? key.len - from : 0;

    if (left)
        memcpy(word, key.data + from, left < 8 ? left : 8);
    return (uint64_t)word[0] << 56 | (uint64_t)word[1] << 48 | (uint64_t)word[2] << 40 |
           (uint64_t)word[3] << 32 | (uint64_t)word[4] << 24 | (uint64_t)word[5] << 16 |
           (uint64_t)word[6] << 8 | (uint64_t)word[7];
}

static struct target target_of(struct bytes key, uint64_t tag)
{
    return (struct target){key, tag, word_of(key, 0), word_of(key, 8)};
}

/* Is the slot before the target? Only where sixteen bytes agree the entry is looked at. */
static bool slot_before(const struct slot *s, const struct target *t)
{
    uint64_t high = atomic_get(&s->high);
    uint64_t low = 0;
    const struct entry *e = NULL;

    if (high != t->high)
        return high < t->high;
    low = atomic_get(&s->low);
    if (low != t->low)
        return low < t->low;
    e = atomic_get(&s->entry);
    /* A reader that is overtaken may see words of different moments, but never a slot that was not
     * filled: a split leaves the old slots as they are. */
    return entry_compare(entry_key(e), e->tag, t->key, t->tag) < 0;
}

/* The first slot in [from, count) that is not before the target. */
static uint32_t search(const struct node *n, uint32_t from, uint32_t count, const struct target *t)
{
    while (from < count) {
        uint32_t middle = from + (count - from) / 2;

        if (slot_before(&n->slots[middle], t))
            from = middle + 1;
        else
            count = middle;
    }
    return from;
}

/* The child whose range holds the target: the last one whose lower bound is not behind it. */
static uint32_t child_of(const struct node *n, uint32_t count, const struct target *t)
{
    uint32_t at = search(n, 1, count, t);

    if (at < count) {
        const struct slot *s = &n->slots[at];
        const struct entry *e = atomic_get(&s->entry);

        if (atomic_get(&s->low) == t->low && atomic_get(&s->high) == t->high &&
            entry_compare(entry_key(e), e->tag, t->key, t->tag) == 0)
            return at;
    }
    return at - 1;
}

static bool is_odd(uint64_t version)
{
    return (version & 1) != 0;
}

/* Has nothing changed in `n` since its version was loaded? */
static bool unchanged(const struct node *n, uint64_t version)
{
    return atomic_get(&n->version) == version;
}

/* The leaf that holds the target's place; NULL target: the last leaf. false: begin anew. */
static bool descend(const struct memtable *m, const struct target *t, struct place *place)
{
    const struct node *n = atomic_get(&m->root);
    uint64_t version = 0;

    place->leaf = NULL;
    if (!n)
        return true;
    version = atomic_get(&n->version);
    if (is_odd(version) || atomic_get(&m->root) != n)
        return false;
    while (n->level) {
        uint32_t count = atomic_get(&n->count);
        uint32_t at = t ? child_of(n, count, t) : count - 1;
        const struct node *child = atomic_get(&children(n)[at]);
        uint64_t below = 0;

        if (!unchanged(n, version))
            return false;
        below = atomic_get(&child->version);
        if (is_odd(below) || !unchanged(n, version))
            return false;
        n = child;
        version = below;
    }
    place->leaf = n;
    place->version = version;
    return true;
}

/* The entry at the place, or, when that is the end of a leaf of `count` entries, the first of the
 * next leaf. false: begin anew; *e is NULL at the end of the table. */
static bool settle(struct place *p, uint32_t count, const struct entry **e)
{
    *e = NULL;
    while (p->leaf) {
        const struct node *next = NULL;

        if (p->index < count) {
            *e = atomic_get(&p->leaf->slots[p->index].entry);
            return unchanged(p->leaf, p->version);
        }
        next = atomic_get(&p->leaf->next);
        if (!unchanged(p->leaf, p->version))
            return false;
        p->leaf = next;
        p->index = 0;
        if (next)
            p->version = atomic_get(&next->version);
        if (next && is_odd(p->version))
            return false;
        if (next)
            count = atomic_get(&next->count);
    }
    return true;
}

/* The first entry not before the target (T5). */
static const struct entry *find(const struct memtable *m, const struct target *t,
                                struct place *place)
{
    const struct entry *e = NULL;
    uint32_t count = 0;

    for (;;) {
        if (!descend(m, t, place))
            continue;
        if (!place->leaf)
            return NULL;
        count = atomic_get(&place->leaf->count);
        place->index = search(place->leaf, 0, count, t);
        if (unchanged(place->leaf, place->version) && settle(place, count, &e))
            return e;
    }
}

/* The last entry before the target; NULL target: the last of all. */
static const struct entry *find_before(const struct memtable *m, const struct target *t,
                                       struct place *place)
{
    for (;;) {
        const struct entry *e = NULL;
        const struct node *after = NULL;
        uint32_t count = 0;

        if (!descend(m, t, place))
            continue;
        if (!place->leaf)
            return NULL;
        count = atomic_get(&place->leaf->count);
        place->index = t ? search(place->leaf, 0, count, t) : count;
        if (!place->index) { /* the last one of the leaf before; a split may come in between */
            after = place->leaf;
            place->leaf = atomic_get(&after->prev);
            if (!unchanged(after, place->version))
                continue;
            if (!place->leaf)
                return NULL;
            place->version = atomic_get(&place->leaf->version);
            place->index = atomic_get(&place->leaf->count);
            if (is_odd(place->version) || atomic_get(&place->leaf->next) != after)
                continue;
        }
        place->index--;
        e = atomic_get(&place->leaf->slots[place->index].entry);
        if (unchanged(place->leaf, place->version))
            return e;
    }
}

/* ---- the writer ---- */

static void change_begin(struct node *n)
{
    atomic_set(&n->version, n->version + 1);
}

static void change_end(struct node *n)
{
    atomic_set(&n->version, n->version + 1);
}

static void slot_set(struct slot *to, const struct slot *from)
{
    atomic_set(&to->high, from->high);
    atomic_set(&to->low, from->low);
    atomic_set(&to->entry, from->entry);
}

static struct node *new_node(struct memtable *m, uint32_t level)
{
    unsigned inner = level > 0;
    struct node *n = m->spares[inner];

    must(n != NULL); /* memtable_reserve */
    m->spares[inner] = n->next;
    m->spare_counts[inner]--;
    m->nodes[level]++;
    n->version = 0;
    n->count = 0;
    n->level = level;
    n->next = n->prev = NULL;
    return n;
}

/* Puts a slot (and a child) at `at`. An addition at the end of a leaf disturbs nobody. One to an
 * inner node always does: a reader that has missed the new child must not be content with the old
 * one, which has just lost its upper half. */
static void insert_at(struct node *n, uint32_t at, const struct slot *slot, struct node *child)
{
    bool change = (at < n->count || child) && !is_odd(n->version);

    if (change)
        change_begin(n);
    for (uint32_t i = n->count; i > at; i--) {
        slot_set(&n->slots[i], &n->slots[i - 1]);
        if (child)
            atomic_set(&children(n)[i], children(n)[i - 1]);
    }
    slot_set(&n->slots[at], slot);
    if (child)
        atomic_set(&children(n)[at], child);
    atomic_set(&n->count, n->count + 1);
    if (change)
        change_end(n);
}

/* Moves the slots from `keep` on to a new right neighbour. `n` stays odd until the neighbour is
 * linked into the parent: who looks for what has moved has to begin anew. */
static struct node *split(struct memtable *m, struct node *n, uint32_t keep)
{
    struct node *right = new_node(m, n->level);

    for (uint32_t i = keep; i < n->count; i++) {
        right->slots[i - keep] = n->slots[i]; /* nobody reads it yet */
        if (n->level)
            children(right)[i - keep] = children(n)[i];
    }
    right->count = n->count - keep;
    change_begin(n);
    if (n->level == 0) {
        right->next = n->next;
        right->prev = n;
        if (right->next)
            atomic_set(&right->next->prev, right);
        else
            m->last = right;
        atomic_set(&n->next, right);
    }
    atomic_set(&n->count, keep);
    return right;
}

static void grow_root(struct memtable *m, struct node *right, const struct slot *bound)
{
    struct node *root = new_node(m, m->levels);

    must(m->levels < LEVELS_MAX);
    root->slots[0] = (struct slot){0};
    root->slots[1] = *bound;
    children(root)[0] = m->root;
    children(root)[1] = right;
    root->count = 2;
    m->levels++;
    atomic_set(&m->root, root);
}

/* Inserts into path[level] at ats[level], from the leaf upwards as long as nodes have to split. */
static void insert(struct memtable *m, struct node **path, const uint32_t *ats, struct slot slot)
{
    struct node *child = NULL;
    uint32_t level = 0;

    for (;; level++) {
        struct node *n = path[level];
        uint32_t max = level ? INNER_MAX : LEAF_MAX;
        uint32_t at = ats[level];
        uint32_t keep = max / 2;
        struct node *right = NULL;

        if (n->count < max) {
            insert_at(n, at, &slot, child);
            break;
        }
        if (at == max && (level || !n->next))
            keep = max - 1; /* ascending keys fill their nodes */
        right = split(m, n, keep);
        if (at >= keep)
            insert_at(right, at - keep, &slot, child);
        else
            insert_at(n, at, &slot, child);
        slot = right->slots[0];
        child = right;
        if (level + 1 == m->levels) {
            grow_root(m, right, &slot);
            level++;
            break;
        }
    }
    while (level--)
        change_end(path[level]); /* those that were split */
}

static const struct entry *new_entry(struct memtable *m, uint64_t tag, struct bytes key,
                                     struct bytes value)
{
    struct entry *e = (struct entry *)(void *)m->free_at;
    size_t size = sizeof *e + key.len + value.len;

    size += (8 - size % 8) % 8;
    must(size <= m->free_len);
    m->free_at += size;
    m->free_len -= size;
    *e = (struct entry){.tag = tag, .key_len = (uint32_t)key.len, .value_len = (uint32_t)value.len};
    if (key.len)
        memcpy(e->bytes, key.data, key.len);
    if (value.len)
        memcpy(e->bytes + key.len, value.data, value.len);
    m->size += size + ENTRY_EXTRA;
    m->count++;
    return e;
}

void memtable_add(struct memtable *m, uint64_t tag, struct bytes key, struct bytes value)
{
    struct target t = target_of(key, tag);
    struct slot slot = {t.high, t.low, new_entry(m, tag, key, value)};
    struct node *path[LEVELS_MAX] = {NULL};
    uint32_t ats[LEVELS_MAX];
    struct node *n = m->last;

    must(tag_seq(tag) > m->last_seq);
    m->last_seq = tag_seq(tag);
    if (!n) {
        n = new_node(m, 0);
        n->slots[0] = slot;
        n->count = 1;
        m->last = n;
        m->levels = 1;
        atomic_set(&m->root, n);
        return;
    }
    if (n->count < LEAF_MAX && slot_before(&n->slots[n->count - 1], &t)) { /* ascending keys */
        insert_at(n, n->count, &slot, NULL);
        return;
    }
    n = m->root;
    while (n->level) {
        uint32_t at = child_of(n, n->count, &t);

        path[n->level] = n;
        ats[n->level] = at + 1;
        n = children(n)[at];
    }
    path[0] = n;
    ats[0] = search(n, 0, n->count, &t);
    insert(m, path, ats, slot);
}

bool memtable_get(const struct memtable *m, struct bytes key, uint64_t seq, uint64_t *tag,
                  struct bytes *value)
{
    struct target t = target_of(key, tag_at(seq));
    struct place place;
    const struct entry *e = find(m, &t, &place);

    if (!e || !bytes_equal(entry_key(e), key))
        return false;
    *tag = e->tag;
    *value = entry_value(e);
    return true;
}

size_t memtable_size(const struct memtable *m)
{
    return m->size;
}

size_t memtable_count(const struct memtable *m)
{
    return m->count;
}

uint64_t memtable_last_seq(const struct memtable *m)
{
    return m->last_seq;
}

static void show(struct memtable_cursor *mc, const struct entry *e)
{
    mc->at = e;
    mc->c.valid = e != NULL;
    if (!e)
        return;
    mc->c.key = entry_key(e);
    mc->c.value = entry_value(e);
    mc->c.tag = e->tag;
}

static void cursor_first(struct cursor *c)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;
    struct target t = target_of(bytes_of(NULL, 0), TAG_FIRST);

    show(mc, find(mc->m, &t, &mc->place));
}

static void cursor_last(struct cursor *c)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;

    show(mc, find_before(mc->m, NULL, &mc->place));
}

static void cursor_seek(struct cursor *c, struct bytes key, uint64_t tag)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;
    struct target t = target_of(key, tag);

    show(mc, find(mc->m, &t, &mc->place));
}

static void cursor_next(struct cursor *c)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;
    const struct entry *e = NULL;

    must(c->valid);
    mc->place.index++;
    /* When the leaf has changed: look for the entry shown again. */
    while (!settle(&mc->place, atomic_get(&mc->place.leaf->count), &e)) {
        struct target t = target_of(c->key, c->tag);

        (void)find(mc->m, &t, &mc->place);
        mc->place.index++;
    }
    show(mc, e);
}

static const struct entry *find_before_shown(struct memtable_cursor *mc)
{
    struct target t = target_of(mc->c.key, mc->c.tag);

    return find_before(mc->m, &t, &mc->place);
}

static void cursor_prev(struct cursor *c)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;
    struct place *p = &mc->place;

    must(c->valid);
    if (p->index > 0) {
        const struct entry *e = atomic_get(&p->leaf->slots[p->index - 1].entry);

        if (unchanged(p->leaf, p->version)) {
            p->index--;
            show(mc, e);
            return;
        }
    }
    show(mc, find_before_shown(mc));
}

static void cursor_release(struct cursor *c)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;

    memtable_unref(mc->env, mc->m);
    alloc_put(mc->env, mc, sizeof *mc);
}

static const struct cursor_ops memtable_cursor_ops = {
    cursor_first, cursor_last, cursor_seek, cursor_next, cursor_prev, cursor_release,
};

enum vault_status memtable_cursor(struct env *env, struct memtable *m, struct cursor **out)
{
    struct memtable_cursor *mc = alloc_get(env, sizeof *mc);

    if (!mc)
        return env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "iterator");
    *mc = (struct memtable_cursor){.c = {.ops = &memtable_cursor_ops}, .env = env, .m = m};
    memtable_ref(m);
    *out = &mc->c;
    return VAULT_OK;
}
