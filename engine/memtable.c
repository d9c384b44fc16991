/* memtable.c: a skip list in an arena.
 *
 * Nodes are never removed and never change but for their links, so readers need no lock: the writer
 * fills a node, then links it from the bottom up with release stores, and readers follow links with
 * acquire loads. Heights come from a generator seeded with a constant: one sequence of operations
 * gives one shape, whatever the addresses are.
 *
 * T1  memtable_reserve comes before the log write, memtable_add after it: an acknowledged or logged
 *     write never fails for want of memory.
 * T2  A chunk of the arena is given back only with the whole table. */
#include "base/rng.h"
#include "memtable.h"

#define HEIGHT_MAX 12
#define CHUNK_MIN  4096u
#define CHUNK_MAX  ((size_t)1 << 20)

struct node {
    uint64_t tag;
    uint32_t key_len, value_len;
    uint32_t height, unused;
    struct node *next[]; /* height links, then key, then value */
};

struct chunk {
    struct chunk *older;
    size_t size;
};

struct memtable {
    uint32_t refs;
    uint32_t height; /* links in use at head; atomic */
    struct rng heights;
    struct chunk *chunks;
    uint8_t *free_at;
    size_t free_len;
    size_t chunk_next; /* size of the next chunk */
    size_t size, count;
    uint64_t last_seq;
    struct node *head[HEIGHT_MAX];
};

struct memtable_cursor {
    struct cursor c;
    struct env *env;
    struct memtable *m;
    const struct node *at;
};

enum vault_status memtable_new(struct env *env, struct memtable **out)
{
    struct memtable *m = alloc_get(env, sizeof *m);

    if (!m)
        return env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "memtable");
    *m = (struct memtable){.refs = 1, .height = 1, .chunk_next = CHUNK_MIN};
    m->heights = rng_seeded(1);
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

enum vault_status memtable_reserve(struct env *env, struct memtable *m, size_t count, size_t bytes)
{
    size_t node_max = sizeof(struct node) + HEIGHT_MAX * sizeof(struct node *) + 8;
    size_t need = count * node_max + bytes;
    size_t size = sizeof(struct chunk) + need;
    struct chunk *chunk = NULL;

    if (need <= m->free_len)
        return VAULT_OK;
    if (size < m->chunk_next)
        size = m->chunk_next;
    chunk = alloc_get(env, size);
    if (!chunk)
        return env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "memtable");
    *chunk = (struct chunk){m->chunks, size};
    m->chunks = chunk;
    m->free_at = (uint8_t *)(chunk + 1);
    m->free_len = size - sizeof *chunk;
    if (m->chunk_next < CHUNK_MAX)
        m->chunk_next *= 2;
    return VAULT_OK;
}

static struct bytes node_key(const struct node *n)
{
    return bytes_of(&n->next[n->height], n->key_len);
}

static struct bytes node_value(const struct node *n)
{
    return bytes_of((const uint8_t *)&n->next[n->height] + n->key_len, n->value_len);
}

/* The first node not before (key, tag); `before`, when given, receives the last link before it on
 * each level. */
static struct node *find(const struct memtable *m, struct bytes key, uint64_t tag,
                         struct node **before[HEIGHT_MAX])
{
    uint32_t level = atomic_get(&m->height);
    struct node *const *links = m->head;
    struct node *next = NULL;
    const struct node *known = NULL; /* not before the entry, as the level above found */

    while (level--) {
        for (;;) {
            next = atomic_get(&links[level]);
            if (!next || next == known || entry_compare(node_key(next), next->tag, key, tag) >= 0)
                break;
            links = next->next;
        }
        known = next;
        if (before)
            before[level] = (struct node **)&links[level];
    }
    return next;
}

void memtable_add(struct memtable *m, uint64_t tag, struct bytes key, struct bytes value)
{
    struct node **before[HEIGHT_MAX];
    uint32_t height = 1;
    struct node *n = (struct node *)m->free_at;
    size_t size = 0;

    while (height < HEIGHT_MAX && rng_chance(&m->heights, 1, 4))
        height++;
    size = sizeof *n + height * sizeof n->next[0] + key.len + value.len;
    size = (size + 7) & ~(size_t)7;
    must(size <= m->free_len); /* T1 */
    must(tag_seq(tag) > m->last_seq);
    m->free_at += size;
    m->free_len -= size;
    n->tag = tag;
    n->height = height;
    n->key_len = (uint32_t)key.len;
    n->value_len = (uint32_t)value.len;
    if (key.len)
        memcpy(&n->next[height], key.data, key.len);
    if (value.len)
        memcpy((uint8_t *)&n->next[height] + key.len, value.data, value.len);
    for (uint32_t level = m->height; level < height; level++)
        before[level] = &m->head[level];
    (void)find(m, key, tag, before);
    for (uint32_t level = 0; level < height; level++) {
        n->next[level] = *before[level];
        atomic_set(before[level], n);
    }
    if (height > m->height)
        atomic_set(&m->height, height);
    m->size += size;
    m->count++;
    m->last_seq = tag_seq(tag);
}

bool memtable_get(const struct memtable *m, struct bytes key, uint64_t seq, uint64_t *tag,
                  struct bytes *value)
{
    const struct node *n = find(m, key, tag_at(seq), NULL);

    if (!n || !bytes_equal(node_key(n), key))
        return false;
    *tag = n->tag;
    *value = node_value(n);
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

static void show(struct memtable_cursor *mc, const struct node *n)
{
    mc->at = n;
    mc->c.valid = n != NULL;
    if (!n)
        return;
    mc->c.key = node_key(n);
    mc->c.value = node_value(n);
    mc->c.tag = n->tag;
}

/* The last node before (key, tag), or the last of all without a bound. */
static const struct node *find_before(const struct memtable *m, const struct node *bound)
{
    uint32_t level = atomic_get(&m->height);
    struct node *const *links = m->head;
    const struct node *found = NULL;

    while (level--) {
        struct node *next = atomic_get(&links[level]);

        while (
            next && next != bound &&
            (!bound || entry_compare(node_key(next), next->tag, node_key(bound), bound->tag) < 0)) {
            found = next;
            links = next->next;
            next = atomic_get(&links[level]);
        }
    }
    return found;
}

static void cursor_first(struct cursor *c)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;

    show(mc, atomic_get(&mc->m->head[0]));
}

static void cursor_last(struct cursor *c)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;

    show(mc, find_before(mc->m, NULL));
}

static void cursor_seek(struct cursor *c, struct bytes key, uint64_t tag)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;

    show(mc, find(mc->m, key, tag, NULL));
}

static void cursor_next(struct cursor *c)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;

    must(c->valid);
    show(mc, atomic_get(&mc->at->next[0]));
}

static void cursor_prev(struct cursor *c)
{
    struct memtable_cursor *mc = (struct memtable_cursor *)c;

    must(c->valid);
    show(mc, find_before(mc->m, mc->at));
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
