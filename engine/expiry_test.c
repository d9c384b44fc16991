/* expiry_test.c: values with a time to live: reads, scans in both directions, batches, snapshots,
 * flush, compaction, reopen, a clock that jumps; and against a plain map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rng.h"
#include "core.h"
#include "engine_testing.h"

static uint64_t test_clock(void *ctx)
{
    return *(uint64_t *)ctx;
}

struct world {
    struct test_dir dir;
    struct vault_options o;
    struct vault *v;
    uint64_t now;
};

static void begin(struct world *w)
{
    *w = (struct world){.now = 100};
    test_dir_make(&w->dir);
    test_options_tiny(&w->o);
    w->o.clock = test_clock;
    w->o.clock_ctx = &w->now;
    assert_int_equal(vault_open(w->dir.path, &w->o, &w->v, NULL), VAULT_OK);
}

static void end(struct world *w)
{
    assert_int_equal(vault_close(w->v), VAULT_OK);
    test_dir_remove(&w->dir);
}

static void put_until(struct world *w, const char *key, const char *value, uint64_t expires)
{
    assert_int_equal(
        vault_put_until(w->v, key, strlen(key), value, strlen(value), expires, false, NULL),
        VAULT_OK);
}

/* The value of the key, or NULL. */
static void expect(struct world *w, const struct vault_snapshot *snap, const char *key,
                   const char *want)
{
    void *value = NULL;
    size_t len = 0;
    enum vault_status st = vault_get(w->v, snap, key, strlen(key), &value, &len);

    assert_int_equal(st, want ? VAULT_OK : VAULT_NOT_FOUND);
    if (!want)
        return;
    assert_int_equal(len, strlen(want));
    assert_memory_equal(value, want, len);
    vault_value_free(w->v, value, len);
}

/* All that a scan shows, "key=value " each, forward and then backward. */
static void expect_scan(struct world *w, const char *want)
{
    char text[512] = "";
    struct vault_iter *it = NULL;

    assert_int_equal(vault_iter_new(w->v, NULL, &it), VAULT_OK);
    for (int way = 0; way < 2; way++) {
        way ? vault_iter_last(it) : vault_iter_first(it);
        while (vault_iter_valid(it)) {
            size_t key_len = 0;
            size_t value_len = 0;
            const char *key = vault_iter_key(it, &key_len);
            const char *value = vault_iter_value(it, &value_len);
            size_t used = strlen(text);

            snprintf(text + used, sizeof text - used, "%.*s=%.*s ", (int)key_len, key,
                     (int)value_len, value);
            way ? vault_iter_prev(it) : vault_iter_next(it);
        }
        assert_int_equal(vault_iter_status(it), VAULT_OK);
        snprintf(text + strlen(text), sizeof text - strlen(text), "|");
    }
    vault_iter_free(it);
    assert_string_equal(text, want);
}

static void values_expire(void **state)
{
    struct world w;
    struct vault_batch *batch = vault_batch_new();
    struct vault_snapshot *snap = NULL;

    begin(&w);
    assert_int_equal(vault_now(w.v), 100);
    assert_int_equal(vault_put(w.v, "a", 1, "old", 3, false, NULL), VAULT_OK);
    assert_int_equal(vault_put(w.v, "c", 1, "stays", 5, false, NULL), VAULT_OK);
    put_until(&w, "a", "new", 110);
    assert_int_equal(vault_batch_put_until(batch, "b", 1, "", 0, 120), VAULT_OK);
    assert_int_equal(vault_write(w.v, batch, true, NULL), VAULT_OK);
    vault_batch_free(batch);
    assert_int_equal(vault_put_until(w.v, "x", 1, "", 0, 0, false, NULL), VAULT_INVALID);
    assert_int_equal(vault_snapshot_new(w.v, &snap), VAULT_OK);
    for (int round = 0; round < 4; round++) {
        w.now = 109;
        expect(&w, NULL, "a", round < 3 ? "new" : NULL); /* forgotten by the compaction */
        w.now = 110;
        expect(&w, NULL, "a", NULL);
        expect(&w, snap, "a", NULL); /* a snapshot does not stop the clock */
        expect(&w, NULL, "b", "");
        expect_scan(&w, "b= c=stays |c=stays b= |");
        w.now = 120;
        expect_scan(&w, "c=stays |c=stays |");
        w.now = 110;
        if (round == 0)
            assert_int_equal(vault_flush(w.v), VAULT_OK);
        if (round == 1) {
            vault_snapshot_release(w.v, snap);
            snap = NULL;
            assert_int_equal(vault_close(w.v), VAULT_OK);
            assert_int_equal(vault_open(w.dir.path, &w.o, &w.v, NULL), VAULT_OK);
        }
        if (round == 2)
            assert_int_equal(vault_compact_range(w.v, NULL, 0, NULL, 0), VAULT_OK);
    }
    end(&w);
}

/* An iterator keeps the time of its creation; the next one has its own. */
static void iterators_stop_the_clock(void **state)
{
    struct world w;
    struct vault_iter *it = NULL;
    size_t len = 0;

    begin(&w);
    put_until(&w, "a", "1", 110);
    assert_int_equal(vault_iter_new(w.v, NULL, &it), VAULT_OK);
    w.now = 200;
    vault_iter_first(it);
    assert_true(vault_iter_valid(it));
    assert_memory_equal(vault_iter_value(it, &len), "1", 1);
    assert_int_equal(len, 1);
    vault_iter_free(it);
    expect_scan(&w, "||");
    end(&w);
}

#define KEYS 40u

struct slot {
    bool there;
    unsigned value;
    uint64_t expires;
};

static bool shown(const struct slot *slot, uint64_t now)
{
    return slot->there && (!slot->expires || now < slot->expires);
}

static void expect_all(struct world *w, const struct slot *slots)
{
    struct vault_iter *it = NULL;

    assert_int_equal(vault_iter_new(w->v, NULL, &it), VAULT_OK);
    vault_iter_first(it);
    for (unsigned k = 0; k < KEYS; k++) {
        char key[8];
        char value[24];
        size_t len = 0;

        snprintf(key, sizeof key, "k%02u", k);
        snprintf(value, sizeof value, "value %u", slots[k].value);
        expect(w, NULL, key, shown(&slots[k], w->now) ? value : NULL);
        if (!shown(&slots[k], w->now))
            continue;
        assert_true(vault_iter_valid(it));
        assert_memory_equal(vault_iter_key(it, &len), key, 3);
        assert_memory_equal(vault_iter_value(it, &len), value, strlen(value));
        vault_iter_next(it);
    }
    assert_false(vault_iter_valid(it));
    vault_iter_free(it);
}

/* The clock only advances: what is shown is known exactly. */
static void against_a_map(void **state)
{
    struct world w;
    struct slot slots[KEYS] = {0};
    struct rng r = rng_seeded(5);

    begin(&w);
    for (unsigned i = 0; i < 6000; i++) {
        unsigned k = (unsigned)rng_below(&r, KEYS);
        char key[8];
        char value[24];

        snprintf(key, sizeof key, "k%02u", k);
        snprintf(value, sizeof value, "value %u", i);
        if (rng_chance(&r, 1, 6)) {
            slots[k].there = false;
            assert_int_equal(vault_delete(w.v, key, 3, false, NULL), VAULT_OK);
        } else if (rng_chance(&r, 1, 2)) {
            slots[k] = (struct slot){true, i, 0};
            assert_int_equal(vault_put(w.v, key, 3, value, strlen(value), false, NULL), VAULT_OK);
        } else {
            slots[k] = (struct slot){true, i, w.now + rng_below(&r, 60) + 1};
            put_until(&w, key, value, slots[k].expires);
        }
        w.now += rng_below(&r, 3);
        if (i % 50 == 0)
            expect_all(&w, slots);
        if (i % 700 == 0)
            assert_int_equal(vault_compact_range(w.v, NULL, 0, NULL, 0), VAULT_OK);
        if (i % 900 == 0) {
            assert_int_equal(vault_close(w.v), VAULT_OK);
            assert_int_equal(vault_open(w.dir.path, &w.o, &w.v, NULL), VAULT_OK);
        }
    }
    expect_all(&w, slots);
    w.now += 1000; /* what has expired takes no room after a compaction */
    for (unsigned k = 0; k < KEYS; k++) {
        char key[8];

        snprintf(key, sizeof key, "k%02u", k);
        put_until(&w, key, "short", w.now + 1);
    }
    w.now += 1;
    assert_int_equal(vault_compact_range(w.v, NULL, 0, NULL, 0), VAULT_OK);
    expect_scan(&w, "||");
    w.now -= 1; /* forgotten for good */
    expect_scan(&w, "||");
    end(&w);
}

/* Writes that recovery would refuse are refused at once. */
static void numbers_run_out(void **state)
{
    struct world w;

    begin(&w);
    w.v->last_seq = FORMAT_SEQ_MAX - 2;
    assert_int_equal(vault_put(w.v, "a", 1, "", 0, true, NULL), VAULT_OK);
    assert_int_equal(vault_put(w.v, "b", 1, "", 0, true, NULL), VAULT_UNSUPPORTED);
    expect(&w, NULL, "a", "");
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_expire),
        cmocka_unit_test(iterators_stop_the_clock),
        cmocka_unit_test(against_a_map),
        cmocka_unit_test(numbers_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
