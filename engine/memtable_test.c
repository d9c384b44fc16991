/* memtable_test.c: the tree against a sorted array, in every direction; readers beside a writer;
 * want of memory at every request. Keys are chosen to agree in their first sixteen bytes often. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/rng.h"
#include "engine_testing.h"
#include "buffer.h"
#include "memtable.h"

#define ENTRIES 6000u

struct pair {
    uint8_t key[40];
    size_t len;
    uint64_t seq;
    bool put;
};

static struct env env;
static struct pair pairs[ENTRIES];

static struct bytes key_of(const struct pair *p)
{
    return bytes_of(p->key, p->len);
}

static int by_order(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;

    return entry_compare(key_of(x), x->seq, key_of(y), y->seq);
}

/* kind 0: short keys with zeros; 1: long common prefixes; 2: ascending; 3: descending */
static void make_pair(struct rng *r, unsigned kind, uint64_t i, struct pair *p)
{
    *p = (struct pair){.seq = i + 1, .put = rng_below(r, 8) != 0};
    if (kind == 0) {
        p->len = (size_t)rng_below(r, 20);
        for (size_t j = 0; j < p->len; j++)
            p->key[j] = (uint8_t)rng_below(r, 2);
    } else {
        uint64_t n = kind == 1 ? rng_below(r, ENTRIES / 2) : kind == 2 ? i : ENTRIES - i;

        p->len = (size_t)snprintf((char *)p->key, sizeof p->key, "%s%06llu",
                                  rng_below(r, 2) || kind > 1 ? "a common prefix of " : "",
                                  (unsigned long long)n);
    }
}

static struct memtable *fill(unsigned kind, size_t batch)
{
    struct rng r = rng_seeded(kind + 1);
    struct memtable *m = NULL;

    assert_int_equal(memtable_new(&env, &m), VAULT_OK);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        if (i % batch == 0)
            assert_int_equal(memtable_reserve(&env, m, batch, batch * 60), VAULT_OK);
        make_pair(&r, kind, i, &pairs[i]);
        memtable_add(m, tag_of(pairs[i].seq, pairs[i].put), key_of(&pairs[i]), key_of(&pairs[i]));
    }
    assert_int_equal(memtable_count(m), ENTRIES);
    qsort(pairs, ENTRIES, sizeof pairs[0], by_order);
    return m;
}

static void same(const struct cursor *c, size_t at)
{
    assert_int_equal(c->valid, at < ENTRIES);
    if (!c->valid)
        return;
    assert_true(bytes_equal(c->key, key_of(&pairs[at])));
    assert_true(bytes_equal(c->value, key_of(&pairs[at])));
    assert_int_equal(tag_seq(c->tag), pairs[at].seq);
    assert_int_equal(c->tag & CURSOR_PUT, pairs[at].put);
}

static void walks_and_seeks(void **state)
{
    static const size_t batches[] = {1, 7, 400, ENTRIES};

    for (unsigned kind = 0; kind < 4; kind++) {
        struct memtable *m = fill(kind, batches[kind]);
        struct rng r = rng_seeded(99);
        struct cursor *c = NULL;
        size_t at = 0;

        assert_int_equal(memtable_cursor(&env, m, &c), VAULT_OK);
        for (c->ops->first(c); c->valid; c->ops->next(c))
            same(c, at++);
        assert_int_equal(at, ENTRIES);
        for (c->ops->last(c); c->valid; c->ops->prev(c))
            same(c, --at);
        assert_int_equal(at, 0);
        for (unsigned i = 0; i < 4000; i++) {
            at = (size_t)rng_below(&r, ENTRIES);
            c->ops->seek(c, key_of(&pairs[at]), tag_at(pairs[at].seq));
            same(c, at);
            for (unsigned j = 0; j < 5 && c->valid; j++) {
                if (rng_below(&r, 2)) {
                    c->ops->next(c);
                    same(c, ++at);
                } else {
                    c->ops->prev(c);
                    same(c, at ? --at : ENTRIES);
                }
            }
        }
        cursor_free(c);
        memtable_unref(&env, m);
        assert_int_equal(env.memory, 0);
    }
}

static void gets_by_sequence(void **state)
{
    struct memtable *m = fill(1, 3);
    struct bytes value;
    uint64_t tag = 0;

    for (size_t i = 0; i < ENTRIES; i++) {
        bool older = i + 1 < ENTRIES && bytes_equal(key_of(&pairs[i]), key_of(&pairs[i + 1]));

        assert_true(memtable_get(m, key_of(&pairs[i]), pairs[i].seq, &tag, &value));
        assert_int_equal(tag_kind(tag), pairs[i].put);
        assert_int_equal(memtable_get(m, key_of(&pairs[i]), pairs[i].seq - 1, &tag, &value), older);
    }
    assert_false(memtable_get(m, bytes_str("zz"), ENTRIES, &tag, &value));
    memtable_unref(&env, m);
}

struct shared {
    struct memtable *m;
    uint64_t last; /* published; atomic */
    uint64_t gets; /* made by the getter; atomic */
};

/* Everything published is there, in both directions and by key; and nothing comes twice. */
static void *reader(void *arg)
{
    struct shared *s = arg;
    struct cursor *c = NULL;
    struct rng r = rng_seeded(5);
    uint64_t last = 0;
    uintptr_t bad = memtable_cursor(&env, s->m, &c) != VAULT_OK;

    while (last < ENTRIES && !bad) {
        uint64_t seen = 0;
        uint64_t before = 0;
        char text[32];

        last = atomic_get(&s->last);
        for (c->ops->first(c); c->valid; c->ops->next(c)) {
            uint64_t at = load_u64(c->key.data);

            bad |= __builtin_bswap64(at) <= before && before;
            before = __builtin_bswap64(at);
            seen += tag_seq(c->tag) <= last;
        }
        bad |= seen != last;
        for (seen = 0, c->ops->last(c); c->valid; c->ops->prev(c))
            seen += tag_seq(c->tag) <= last;
        bad |= seen != last;
        for (unsigned i = 0; i < 200 && last; i++) {
            uint64_t n = rng_below(&r, last);
            struct bytes value;
            uint64_t tag = 0;

            store_u64((uint8_t *)text, __builtin_bswap64(rng_mix(n) | 1));
            bad |= !memtable_get(s->m, bytes_of(text, 8), last, &tag, &value);
        }
    }
    cursor_free(c);
    return (void *)bad;
}

static void readers_beside_a_writer(void **state)
{
    struct shared s = {0};
    pthread_t threads[2];

    assert_int_equal(memtable_new(&env, &s.m), VAULT_OK);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &s), 0);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        uint8_t key[8];

        store_u64(key, __builtin_bswap64(rng_mix(i) | 1));
        assert_int_equal(memtable_reserve(&env, s.m, 1, 32), VAULT_OK);
        memtable_add(s.m, tag_of(i + 1, FORMAT_OP_PUT), bytes_of(key, 8), bytes_of(key, 8));
        atomic_set(&s.last, i + 1);
    }
    for (unsigned i = 0; i < 2; i++) {
        void *bad = NULL;

        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
    }
    memtable_unref(&env, s.m);
    assert_int_equal(env.memory, 0);
}

/* A get of what is the first entry of a leaf, by a number above that entry's, so that the search
 * ends behind the leaf before. */
static void *getter(void *arg)
{
    struct shared *s = arg;
    uintptr_t bad = 0;

    while (!atomic_get(&s->last)) {
        struct bytes value;
        uint64_t tag = 0;

        bad |= !memtable_get(s->m, bytes_str("k16"), ENTRIES, &tag, &value);
        atomic_set(&s->gets, s->gets + 1);
    }
    return (void *)bad;
}

/* T5. The first leaf is full and split in the middle, so that the second one begins with k16; then
 * entries before that are added at the end of the first one, while k16 is looked for. */
static void end_of_a_leaf_that_grows(void **state)
{
    for (unsigned round = 0; round < 25; round++) {
        struct shared s = {0};
        pthread_t thread;
        void *bad = NULL;
        char key[16];

        assert_int_equal(memtable_new(&env, &s.m), VAULT_OK);
        assert_int_equal(memtable_reserve(&env, s.m, 100, 2000), VAULT_OK);
        for (unsigned i = 0; i < 33; i++) {
            (void)snprintf(key, sizeof key, i < 32 ? "k%02u" : "k00+", i);
            memtable_add(s.m, tag_of(i + 1, FORMAT_OP_PUT), bytes_str(key), bytes_str(key));
        }
        assert_int_equal(pthread_create(&thread, NULL, getter, &s), 0);
        for (unsigned i = 0; i < 15; i++) {
            for (uint64_t gets = atomic_get(&s.gets); atomic_get(&s.gets) == gets;)
                (void)sched_yield(); /* during a get of its own */
            (void)snprintf(key, sizeof key, "k15+%02u", i);
            memtable_add(s.m, tag_of(100 + i, FORMAT_OP_PUT), bytes_str(key), bytes_str(key));
        }
        atomic_set(&s.last, 1);
        assert_int_equal(pthread_join(thread, &bad), 0);
        assert_null(bad);
        memtable_unref(&env, s.m);
    }
}

/* T1: after a reservation that succeeded, insertions need nothing more; one that failed does not
 * harm. */
static void memory_may_fail(void **state)
{
    struct test_alloc alloc;
    struct env own;
    struct memtable *m = NULL;
    uint64_t seq = 0;
    unsigned failures = 0;

    test_alloc_init(&alloc);
    assert_int_equal(env_init(&own, "x", &alloc.face, NULL), VAULT_OK);
    assert_int_equal(memtable_new(&own, &m), VAULT_OK);
    while (seq < ENTRIES) {
        size_t count = (size_t)(rng_mix(seq) % 50 + 1);

        alloc.fail_at = alloc.count + 1 + (int64_t)(seq % 2);
        alloc.fail_for = 1;
        if (memtable_reserve(&own, m, count, count * 8)) {
            failures++;
            alloc.fail_at = 0;
            assert_int_equal(memtable_reserve(&own, m, count, count * 8), VAULT_OK);
        }
        alloc.fail_at = alloc.count + 1;
        alloc.fail_for = 1000000;
        for (size_t i = 0; i < count; i++) {
            uint8_t key[8];

            seq++;
            store_u64(key, rng_mix(seq));
            memtable_add(m, tag_of(seq, FORMAT_OP_PUT), bytes_of(key, 8), bytes_of(NULL, 0));
        }
    }
    assert_true(failures > 0);
    memtable_unref(&own, m);
    env_release(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_and_seeks),         cmocka_unit_test(gets_by_sequence),
        cmocka_unit_test(readers_beside_a_writer), cmocka_unit_test(end_of_a_leaf_that_grows),
        cmocka_unit_test(memory_may_fail),
    };

    if (env_init(&env, "memtable", NULL, NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
