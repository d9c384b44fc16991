/* ranges_test.c: range deletes: the pieces against a plain table of keys; the engine with point
 * writes, range deletes, batches, snapshots, iterators, flush, compaction and reopen against the
 * history of every key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rng.h"
#include "core.h"
#include "engine_testing.h"

static struct bytes one(const uint8_t *byte)
{
    return bytes_of(byte, 1);
}

/* Every key of one byte, every number: covered by the newest range up to it. */
static void pieces(void **state)
{
    struct env env;
    struct rng r = rng_seeded(3);

    assert_int_equal(env_init(&env, "none", NULL, NULL), VAULT_OK);
    for (unsigned round = 0; round < 300; round++) {
        struct ranges set = {0};
        uint8_t ends[40][2];
        unsigned count = (unsigned)rng_below(&r, 40);

        for (unsigned i = 0; i < count; i++) {
            uint8_t a = (uint8_t)rng_below(&r, 60);
            uint8_t b = (uint8_t)(a + 1 + rng_below(&r, round % 2 ? 60 : 4));

            ends[i][0] = a;
            ends[i][1] = b;
            assert_int_equal(ranges_add(&env, &set, one(&a), one(&b), i + 1), VAULT_OK);
        }
        assert_int_equal(ranges_cut(&env, &set), VAULT_OK);
        for (size_t i = 1; i < set.count; i++) {
            const struct range *p = &set.at[i];

            assert_true(bytes_compare(p->begin, p->end) < 0);
            assert_true(bytes_compare(p[-1].end, p->begin) <= 0 ||
                        (bytes_equal(p[-1].begin, p->begin) && bytes_equal(p[-1].end, p->end) &&
                         p[-1].seq > p->seq));
        }
        for (unsigned k = 0; k < 125; k++)
            for (uint64_t seq = 0; seq <= count; seq += 1 + seq / 3) {
                uint8_t key = (uint8_t)k;
                uint64_t want = 0;

                for (unsigned i = 0; i < count && i < seq; i++)
                    if (ends[i][0] <= k && k < ends[i][1])
                        want = i + 1;
                assert_int_equal(ranges_cover(&set, one(&key), seq), want);
            }
        ranges_release(&env, &set);
    }
    assert_int_equal(env.memory, 0);
    env_release(&env);
}

/* Pieces from a disk that are empty, out of order or overlap are noticed. */
static void bad_pieces(void **state)
{
    static const struct {
        const char *begin, *end;
        uint64_t seq;
        bool fits;
    } cases[] = {{"b", "b", 1, false}, {"b", "d", 5, true},  {"b", "d", 5, false},
                 {"b", "d", 4, true},  {"b", "c", 3, false}, {"a", "b", 3, false},
                 {"c", "e", 3, false}, {"d", "e", 9, true},  {"z", "a", 1, false}};
    struct env env;
    struct ranges set = {0};

    assert_int_equal(env_init(&env, "none", NULL, NULL), VAULT_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool fits = false;

        assert_int_equal(ranges_view(&env, &set,
                                     (struct range){bytes_str(cases[i].begin),
                                                    bytes_str(cases[i].end), cases[i].seq},
                                     &fits),
                         VAULT_OK);
        assert_int_equal(fits, cases[i].fits);
    }
    assert_int_equal(set.count, 3);
    ranges_release(&env, &set);
    env_release(&env);
}

#define KEYS  120u
#define SNAPS 4u

struct world {
    struct test_dir dir;
    struct vault_options o;
    struct vault *v;
    struct rng r;
    unsigned now[KEYS], then[SNAPS][KEYS]; /* value of each key; 0: absent */
    struct vault_snapshot *snaps[SNAPS];
    unsigned next;
};

static size_t key_of(unsigned k, char key[16])
{
    return (size_t)snprintf(key, 16, "k%03u", k);
}

static void expect_state(struct world *w, const struct vault_snapshot *snap, const unsigned *state)
{
    struct vault_iter *it = NULL;
    size_t len = 0;

    assert_int_equal(vault_iter_new(w->v, snap, &it), VAULT_OK);
    vault_iter_first(it);
    for (unsigned k = 0; k < KEYS; k++) {
        char key[16];
        void *value = NULL;
        enum vault_status st = vault_get(w->v, snap, key, key_of(k, key), &value, &len);

        assert_int_equal(st, state[k] ? VAULT_OK : VAULT_NOT_FOUND);
        if (!state[k])
            continue;
        assert_int_equal(len, sizeof state[k] + state[k] % 40);
        assert_memory_equal(value, &state[k], sizeof state[k]);
        vault_value_free(w->v, value, len);
        assert_true(vault_iter_valid(it));
        assert_memory_equal(vault_iter_key(it, &len), key, 4);
        assert_memory_equal(vault_iter_value(it, &len), &state[k], sizeof state[k]);
        vault_iter_next(it);
    }
    assert_false(vault_iter_valid(it));
    vault_iter_last(it);
    for (unsigned k = KEYS; k-- > 0;) {
        char key[16];

        if (!state[k])
            continue;
        key_of(k, key);
        assert_true(vault_iter_valid(it));
        assert_memory_equal(vault_iter_key(it, &len), key, 4);
        vault_iter_prev(it);
    }
    assert_false(vault_iter_valid(it));
    assert_int_equal(vault_iter_status(it), VAULT_OK);
    vault_iter_free(it);
}

static void change(struct world *w, struct vault_batch *batch)
{
    uint8_t value[sizeof(unsigned) + 40] = {0};
    char key[16];
    char last[16];
    unsigned k = (unsigned)rng_below(&w->r, KEYS);
    size_t len = key_of(k, key);

    if (rng_chance(&w->r, 1, 8)) {
        unsigned to = k + 1 + (unsigned)rng_below(&w->r, rng_chance(&w->r, 1, 4) ? KEYS : 9);

        assert_int_equal(vault_batch_delete_range(batch, key, len, last, key_of(to, last)),
                         VAULT_OK);
        for (unsigned i = k; i < to && i < KEYS; i++)
            w->now[i] = 0;
    } else if (rng_chance(&w->r, 1, 6)) {
        assert_int_equal(vault_batch_delete(batch, key, len), VAULT_OK);
        w->now[k] = 0;
    } else {
        w->now[k] = ++w->next;
        memcpy(value, &w->next, sizeof w->next);
        assert_int_equal(vault_batch_put(batch, key, len, value, sizeof w->next + w->next % 40),
                         VAULT_OK);
    }
}

static void use_snapshots(struct world *w)
{
    unsigned s = (unsigned)rng_below(&w->r, SNAPS);

    if (!w->snaps[s]) {
        assert_int_equal(vault_snapshot_new(w->v, &w->snaps[s]), VAULT_OK);
        memcpy(w->then[s], w->now, sizeof w->now);
        return;
    }
    expect_state(w, w->snaps[s], w->then[s]);
    if (rng_chance(&w->r, 1, 2)) {
        vault_snapshot_release(w->v, w->snaps[s]);
        w->snaps[s] = NULL;
    }
}

static void drop_snapshots(struct world *w)
{
    for (unsigned s = 0; s < SNAPS; s++) {
        vault_snapshot_release(w->v, w->snaps[s]);
        w->snaps[s] = NULL;
    }
}

static void step(struct world *w, struct vault_batch *batch)
{
    struct vault_error error = {0};
    uint64_t what = rng_below(&w->r, 400);

    if (what < 370) {
        vault_batch_clear(batch);
        for (uint64_t n = 1 + rng_below(&w->r, 3); n > 0; n--)
            change(w, batch);
        assert_int_equal(vault_write(w->v, batch, false, NULL), VAULT_OK);
    } else if (what < 385) {
        use_snapshots(w);
    } else if (what < 390) {
        expect_state(w, NULL, w->now);
    } else if (what < 394) {
        assert_int_equal(vault_flush(w->v), VAULT_OK);
    } else if (what < 396) {
        assert_int_equal(vault_compact_range(w->v, NULL, 0, "k050", 4), VAULT_OK);
    } else if (what < 398) {
        if (vault_check(w->v, &error))
            fail_msg("check: %s %s", error.file, error.what);
    } else {
        drop_snapshots(w);
        assert_int_equal(vault_close(w->v), VAULT_OK);
        assert_int_equal(vault_open(w->dir.path, &w->o, &w->v, NULL), VAULT_OK);
        expect_state(w, NULL, w->now);
    }
}

static void random_run(uint64_t seed, enum vault_background background)
{
    struct world w = {.r = rng_seeded(seed)};
    struct vault_batch *batch = vault_batch_new();
    struct vault_stats stats;
    unsigned tables = 0;

    test_dir_make(&w.dir);
    test_options_tiny(&w.o);
    w.o.background = background;
    w.o.level1_size = 1024;
    assert_int_equal(vault_open(w.dir.path, &w.o, &w.v, NULL), VAULT_OK);
    for (unsigned i = 0; i < 4000; i++)
        step(&w, batch);
    expect_state(w.v ? &w : NULL, NULL, w.now);
    drop_snapshots(&w);
    vault_batch_clear(batch); /* everything goes: nothing stays behind on the disk */
    assert_int_equal(vault_batch_delete_range(batch, "", 0, "z", 1), VAULT_OK);
    assert_int_equal(vault_write(w.v, batch, true, NULL), VAULT_OK);
    assert_int_equal(vault_compact_range(w.v, NULL, 0, NULL, 0), VAULT_OK);
    memset(w.now, 0, sizeof w.now);
    expect_state(&w, NULL, w.now);
    vault_get_stats(w.v, &stats);
    for (unsigned l = 0; l < VAULT_LEVELS; l++)
        tables += stats.tables[l];
    assert_int_equal(tables, 0);
    vault_batch_free(batch);
    assert_int_equal(vault_close(w.v), VAULT_OK);
    test_dir_remove(&w.dir);
}

static void random_inline(void **state)
{
    for (uint64_t seed = 1; seed <= 8; seed++)
        random_run(seed, VAULT_INLINE);
}

static void random_thread(void **state)
{
    for (uint64_t seed = 11; seed <= 13; seed++)
        random_run(seed, VAULT_THREAD);
}

static void arguments(void **state)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault *v = NULL;
    void *value = NULL;
    size_t len = 0;

    test_dir_make(&dir);
    test_options_tiny(&o);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    assert_int_equal(vault_put(v, "b", 1, "x", 1, false, NULL), VAULT_OK);
    assert_int_equal(vault_delete_range(v, "b", 1, "b", 1, false, NULL), VAULT_INVALID);
    assert_int_equal(vault_delete_range(v, "b", 1, "a", 1, false, NULL), VAULT_INVALID);
    assert_int_equal(vault_delete_range(v, "a", 1, "b", 1, false, NULL), VAULT_OK);
    assert_int_equal(vault_get(v, NULL, "b", 1, &value, &len), VAULT_OK); /* the end stays */
    vault_value_free(v, value, len);
    assert_int_equal(vault_delete_range(v, NULL, 0, "b\0", 2, true, NULL), VAULT_OK);
    assert_int_equal(vault_get(v, NULL, "b", 1, &value, &len), VAULT_NOT_FOUND);
    assert_int_equal(vault_close(v), VAULT_OK);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    assert_int_equal(vault_get(v, NULL, "b", 1, &value, &len), VAULT_NOT_FOUND);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),        cmocka_unit_test(bad_pieces),
        cmocka_unit_test(arguments),     cmocka_unit_test(random_inline),
        cmocka_unit_test(random_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
