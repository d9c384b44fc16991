/* vault_test.c: the whole engine against a reference map, on a real directory.
 *
 * The reference is a sorted array of every version ever written, so that snapshots and iterators of
 * any age can be compared. Buffers are tiny: a few thousand operations fill four levels. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/rng.h"
#include "core.h"
#include "engine_testing.h"

#define KEYS 400u

struct model_entry {
    uint64_t seq;
    bool put;
    uint32_t value; /* seed of the value */
};

struct model {
    struct model_entry *versions[KEYS];
    size_t counts[KEYS], caps[KEYS];
};

static size_t key_text(unsigned k, char *to)
{
    static const char *const odd[] = {"", "a", "ab", "a\0b", "a\0", "\xff\xff", "\xff"};
    static const size_t odd_len[] = {0, 1, 2, 3, 2, 2, 1};

    if (k < 7) {
        memcpy(to, odd[k], odd_len[k]);
        return odd_len[k];
    }
    return (size_t)snprintf(to, 16, "key%0*u", k % 3 ? 5 : 9, k * 7919 % 10007);
}

static size_t value_text(uint32_t seed, char *to)
{
    struct rng r = rng_seeded(seed);
    size_t len = (size_t)rng_below(&r, seed % 50 ? 40 : 900);

    for (size_t i = 0; i < len; i++)
        to[i] = (char)rng_next(&r);
    return len;
}

static void model_add(struct model *m, unsigned k, uint64_t seq, bool put, uint32_t value)
{
    if (m->counts[k] == m->caps[k]) {
        m->caps[k] = m->caps[k] ? m->caps[k] * 2 : 4;
        m->versions[k] = realloc(m->versions[k], m->caps[k] * sizeof m->versions[k][0]);
    }
    m->versions[k][m->counts[k]++] = (struct model_entry){seq, put, value};
}

static const struct model_entry *model_at(const struct model *m, unsigned k, uint64_t seq)
{
    for (size_t i = m->counts[k]; i > 0; i--)
        if (m->versions[k][i - 1].seq <= seq)
            return m->versions[k][i - 1].put ? &m->versions[k][i - 1] : NULL;
    return NULL;
}

static void model_release(struct model *m)
{
    for (unsigned k = 0; k < KEYS; k++)
        free(m->versions[k]);
}

struct sorted {
    char text[24];
    size_t len;
    unsigned k;
};

static int by_key(const void *a, const void *b)
{
    const struct sorted *x = a;
    const struct sorted *y = b;

    return bytes_compare(bytes_of(x->text, x->len), bytes_of(y->text, y->len));
}

static struct sorted *sorted_keys(void)
{
    static struct sorted all[KEYS];

    for (unsigned k = 0; k < KEYS; k++) {
        all[k].len = key_text(k, all[k].text);
        all[k].k = k;
    }
    qsort(all, KEYS, sizeof all[0], by_key);
    return all;
}

static void expect_pair(struct vault_iter *it, const struct model *m, const struct sorted *at,
                        uint64_t seq)
{
    const struct model_entry *e = model_at(m, at->k, seq);
    char text[1000];
    size_t len = 0;
    size_t got_len = 0;
    const void *got = NULL;

    assert_true(vault_iter_valid(it));
    assert_non_null(e);
    got = vault_iter_key(it, &got_len);
    assert_int_equal(got_len, at->len);
    assert_memory_equal(got, at->text, at->len);
    len = value_text(e->value, text);
    got = vault_iter_value(it, &got_len);
    assert_int_equal(got_len, len);
    assert_memory_equal(got, text, len);
}

static void expect_scans(struct vault *v, const struct vault_snapshot *snap, const struct model *m,
                         uint64_t seq)
{
    struct sorted *all = sorted_keys();
    struct vault_iter *it = NULL;

    assert_int_equal(vault_iter_new(v, snap, &it), VAULT_OK);
    vault_iter_first(it);
    for (unsigned i = 0; i < KEYS; i++) {
        if (!model_at(m, all[i].k, seq))
            continue;
        expect_pair(it, m, &all[i], seq);
        vault_iter_next(it);
    }
    assert_false(vault_iter_valid(it));
    assert_int_equal(vault_iter_status(it), VAULT_OK);
    vault_iter_last(it);
    for (unsigned i = KEYS; i > 0; i--) {
        if (!model_at(m, all[i - 1].k, seq))
            continue;
        expect_pair(it, m, &all[i - 1], seq);
        vault_iter_prev(it);
    }
    assert_false(vault_iter_valid(it));
    assert_int_equal(vault_iter_status(it), VAULT_OK);
    vault_iter_free(it);
}

/* The index in `all` of the nearest live key at or beyond i; KEYS: none. */
static unsigned live(const struct model *m, const struct sorted *all, unsigned i, int step,
                     uint64_t seq)
{
    while (i < KEYS && !model_at(m, all[i].k, seq))
        i += (unsigned)step; /* below 0 wraps to beyond KEYS */
    return i < KEYS ? i : KEYS;
}

static void expect_walk(struct vault *v, const struct vault_snapshot *snap, const struct model *m,
                        uint64_t seq, struct rng *r)
{
    struct sorted *all = sorted_keys();
    struct vault_iter *it = NULL;
    unsigned at = KEYS;

    assert_int_equal(vault_iter_new(v, snap, &it), VAULT_OK);
    for (int i = 0; i < 60; i++) {
        unsigned target = (unsigned)rng_below(r, KEYS);
        uint64_t what = rng_below(r, at < KEYS ? 8 : 4);

        if (what == 0) {
            vault_iter_seek(it, all[target].text, all[target].len);
            at = live(m, all, target, 1, seq);
        } else if (what == 1) {
            vault_iter_seek_for_prev(it, all[target].text, all[target].len);
            at = live(m, all, target, -1, seq);
        } else if (what == 2) {
            vault_iter_first(it);
            at = live(m, all, 0, 1, seq);
        } else if (what == 3) {
            vault_iter_last(it);
            at = live(m, all, KEYS - 1, -1, seq);
        } else if (what < 6) {
            vault_iter_next(it);
            at = live(m, all, at + 1, 1, seq);
        } else {
            vault_iter_prev(it);
            at = live(m, all, at - 1, -1, seq);
        }
        if (at < KEYS)
            expect_pair(it, m, &all[at], seq);
        else
            assert_false(vault_iter_valid(it));
        assert_int_equal(vault_iter_status(it), VAULT_OK);
    }
    vault_iter_free(it);
}

static void expect_gets(struct vault *v, const struct vault_snapshot *snap, const struct model *m,
                        uint64_t seq, struct rng *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned k = count == KEYS ? i : (unsigned)rng_below(r, KEYS);
        const struct model_entry *e = model_at(m, k, seq);
        char key[24];
        char text[1000];
        void *got = NULL;
        size_t got_len = 0;
        size_t key_len = key_text(k, key);
        enum vault_status st = vault_get(v, snap, key, key_len, &got, &got_len);

        assert_int_equal(st, e ? VAULT_OK : VAULT_NOT_FOUND);
        if (!e)
            continue;
        assert_int_equal(got_len, value_text(e->value, text));
        assert_memory_equal(got, text, got_len);
        vault_value_free(v, got, got_len);
    }
}

static void write_some(struct vault *v, struct model *m, struct rng *r, uint32_t *next_value)
{
    bool sync = rng_chance(r, 1, 10);
    char key[24];
    char value[1000];
    uint64_t seq = 0;
    uint64_t last = vault_last_seq(v);
    unsigned k = (unsigned)rng_below(r, KEYS);
    size_t key_len = key_text(k, key);

    if (rng_chance(r, 1, 4)) {
        struct vault_batch *batch = vault_batch_new();
        unsigned count = 1 + (unsigned)rng_below(r, 12);

        for (unsigned i = 0; i < count; i++) {
            k = (unsigned)rng_below(r, KEYS);
            key_len = key_text(k, key);
            if (rng_chance(r, 1, 3)) {
                assert_int_equal(vault_batch_delete(batch, key, key_len), VAULT_OK);
                model_add(m, k, last + 1 + i, false, 0);
            } else {
                size_t len = value_text(++*next_value, value);

                assert_int_equal(vault_batch_put(batch, key, key_len, value, len), VAULT_OK);
                model_add(m, k, last + 1 + i, true, *next_value);
            }
        }
        assert_int_equal(vault_write(v, batch, sync, &seq), VAULT_OK);
        assert_int_equal(seq, last + count);
        vault_batch_free(batch);
    } else if (rng_chance(r, 1, 3)) {
        assert_int_equal(vault_delete(v, key, key_len, sync, &seq), VAULT_OK);
        model_add(m, k, seq, false, 0);
    } else {
        size_t len = value_text(++*next_value, value);

        assert_int_equal(vault_put(v, key, key_len, value, len, sync, &seq), VAULT_OK);
        model_add(m, k, seq, true, *next_value);
    }
    assert_true(vault_durable_seq(v) <= vault_last_seq(v));
    if (sync)
        assert_int_equal(vault_durable_seq(v), vault_last_seq(v));
}

struct held {
    struct vault_snapshot *snap;
    uint64_t seq;
};

struct run {
    struct test_dir dir;
    struct model m;
    struct rng r;
    struct held held[4];
    struct vault_options o;
    struct vault *v;
    uint32_t next_value;
    unsigned deepest;
};

static void drop_snapshots(struct run *run)
{
    for (int i = 0; i < 4; i++) {
        vault_snapshot_release(run->v, run->held[i].snap);
        run->held[i].snap = NULL;
    }
}

/* Takes a snapshot, or looks through one that was taken earlier. */
static void use_snapshot(struct run *run)
{
    struct held *h = &run->held[rng_below(&run->r, 4)];

    if (!h->snap) {
        h->seq = vault_last_seq(run->v);
        assert_int_equal(vault_snapshot_new(run->v, &h->snap), VAULT_OK);
        return;
    }
    expect_gets(run->v, h->snap, &run->m, h->seq, &run->r, 40);
    expect_scans(run->v, h->snap, &run->m, h->seq);
    vault_snapshot_release(run->v, h->snap);
    h->snap = NULL;
}

static void compact_some(struct run *run)
{
    char low[24];
    char high[24];
    size_t low_len = key_text((unsigned)rng_below(&run->r, KEYS), low);
    size_t high_len = key_text((unsigned)rng_below(&run->r, KEYS), high);

    assert_int_equal(vault_compact_range(run->v, rng_chance(&run->r, 1, 2) ? low : NULL, low_len,
                                         rng_chance(&run->r, 1, 2) ? high : NULL, high_len),
                     VAULT_OK);
}

static void reopen(struct run *run)
{
    uint64_t last = vault_last_seq(run->v);

    drop_snapshots(run);
    assert_int_equal(vault_close(run->v), VAULT_OK);
    assert_int_equal(vault_open(run->dir.path, &run->o, &run->v, NULL), VAULT_OK);
    assert_int_equal(vault_last_seq(run->v), last);
    assert_int_equal(vault_durable_seq(run->v), last);
}

static void check_store(struct run *run)
{
    struct vault_error error;
    struct vault_stats stats;
    enum vault_status st = vault_check(run->v, &error);

    if (st)
        print_message("check: %s %s\n", error.file, error.what);
    assert_int_equal(st, VAULT_OK);
    vault_get_stats(run->v, &stats);
    for (unsigned l = 0; l < VAULT_LEVELS; l++)
        if (stats.tables[l] && l > run->deepest)
            run->deepest = l;
}

static void random_step(struct run *run)
{
    struct vault *v = run->v;
    uint64_t what = rng_below(&run->r, 1000);

    if (what < 900) {
        write_some(v, &run->m, &run->r, &run->next_value);
    } else if (what < 930) {
        expect_gets(v, NULL, &run->m, vault_last_seq(v), &run->r, 20);
    } else if (what < 950) {
        use_snapshot(run);
    } else if (what < 965) {
        expect_walk(v, NULL, &run->m, vault_last_seq(v), &run->r);
    } else if (what < 970) {
        expect_scans(v, NULL, &run->m, vault_last_seq(v));
    } else if (what < 975) {
        assert_int_equal(vault_flush(v), VAULT_OK);
        assert_int_equal(vault_durable_seq(v), vault_last_seq(v));
    } else if (what < 978) {
        compact_some(run);
    } else if (what < 985) {
        assert_int_equal(vault_sync(v), VAULT_OK);
        assert_int_equal(vault_durable_seq(v), vault_last_seq(v));
    } else if (what < 990) {
        reopen(run);
    } else {
        check_store(run);
    }
}

static void random_run(uint64_t seed, enum vault_background background, unsigned steps)
{
    struct run run = {.r = rng_seeded(seed)};

    print_message("seed %llu\n", (unsigned long long)seed);
    test_dir_make(&run.dir);
    test_options_tiny(&run.o);
    run.o.background = background;
    assert_int_equal(vault_open(run.dir.path, &run.o, &run.v, NULL), VAULT_OK);
    for (unsigned i = 0; i < steps; i++)
        random_step(&run);
    drop_snapshots(&run);
    expect_gets(run.v, NULL, &run.m, vault_last_seq(run.v), &run.r, KEYS);
    expect_scans(run.v, NULL, &run.m, vault_last_seq(run.v));
    assert_true(run.deepest >= 3);
    assert_int_equal(vault_close(run.v), VAULT_OK);
    test_dir_remove(&run.dir);
    model_release(&run.m);
}

static void random_inline(void **state)
{
    for (uint64_t seed = 1; seed <= 6; seed++)
        random_run(seed, VAULT_INLINE, 4000);
}

static void random_thread(void **state)
{
    for (uint64_t seed = 11; seed <= 14; seed++)
        random_run(seed, VAULT_THREAD, 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_inline),
        cmocka_unit_test(random_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
