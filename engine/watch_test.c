/* watch_test.c: a cache that databases share, statistics and events, writers that wait, the rate of
 * compaction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>
#include "engine_testing.h"

static void put(struct vault *v, unsigned n, const char *with, size_t len)
{
    char key[16];
    char value[256];
    int key_len = snprintf(key, sizeof key, "%06u", n);

    memset(value, *with, sizeof value);
    assert_int_equal(vault_put(v, key, (size_t)key_len, value, len, false, NULL), VAULT_OK);
}

static void expect(struct vault *v, unsigned n, const char *with, size_t len)
{
    char key[16];
    int key_len = snprintf(key, sizeof key, "%06u", n);
    void *got = NULL;
    size_t got_len = 0;

    assert_int_equal(vault_get(v, NULL, key, (size_t)key_len, &got, &got_len), VAULT_OK);
    assert_int_equal(got_len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(((char *)got)[i], *with);
    vault_value_free(v, got, got_len);
}

/* Three databases whose tables have the same numbers and offsets: N1. */
static void databases_share_a_cache(void **state)
{
    static const char *const with[] = {"a", "b", "c"};
    struct test_alloc alloc;
    struct vault_cache *cache = NULL;
    static struct test_dir dirs[3];
    struct vault *v[3];
    struct vault_options o;
    size_t used = 0;

    test_alloc_init(&alloc);
    cache = vault_cache_new(20000, &alloc.face);
    assert_non_null(cache);
    test_options_tiny(&o);
    o.block_cache = cache;
    for (int i = 0; i < 3; i++) {
        test_dir_make(&dirs[i]);
        assert_int_equal(vault_open(dirs[i].path, &o, &v[i], NULL), VAULT_OK);
        for (unsigned n = 0; n < 200; n++)
            put(v[i], n, with[i], 50);
        assert_int_equal(vault_compact_range(v[i], NULL, 0, NULL, 0), VAULT_OK);
    }
    for (unsigned n = 0; n < 1000; n++) {
        expect(v[n % 3], n * 7 % 200, with[n % 3], 50);
        expect(v[n % 3], n * 7 % 200, with[n % 3], 50);
        assert_true(vault_cache_used(cache) <= 20000);
    }
    for (int i = 0; i < 3; i++) {
        struct vault_stats s;

        vault_get_stats(v[i], &s);
        assert_true(s.cache_hits > 0);
        used = vault_cache_used(cache);
        assert_int_equal(vault_close(v[i]), VAULT_OK);
        assert_true(vault_cache_used(cache) < used); /* its blocks have gone with it */
    }
    assert_int_equal(vault_cache_used(cache), 0);
    assert_int_equal(vault_open(dirs[1].path, &o, &v[1], NULL), VAULT_OK);
    expect(v[1], 5, "b", 50);
    assert_int_equal(vault_close(v[1]), VAULT_OK);
    vault_cache_free(cache);
    vault_cache_free(NULL);
    assert_int_equal(alloc.held, 0);
    alloc.fail_at = alloc.count + 1;
    assert_null(vault_cache_new(20000, &alloc.face));
    for (int i = 0; i < 3; i++)
        test_dir_remove(&dirs[i]);
}

struct heard {
    uint64_t count[VAULT_EVENT_FAILED + 1];
    uint64_t bytes, seq, nanoseconds;
    unsigned sleep_ms; /* in each flush */
};

static void hear(void *ctx, const struct vault_event *event)
{
    struct heard *heard = ctx;

    __atomic_add_fetch(&heard->count[event->kind], 1, __ATOMIC_RELAXED);
    if (event->kind == VAULT_EVENT_FLUSH || event->kind == VAULT_EVENT_COMPACTION)
        __atomic_add_fetch(&heard->bytes, event->bytes, __ATOMIC_RELAXED);
    if (event->kind == VAULT_EVENT_SYNC)
        heard->seq = event->seq;
    if (event->kind == VAULT_EVENT_STALL)
        __atomic_add_fetch(&heard->nanoseconds, event->nanoseconds, __ATOMIC_RELAXED);
    if (event->kind == VAULT_EVENT_FLUSH && heard->sleep_ms)
        nanosleep(&(struct timespec){0, heard->sleep_ms * 1000000L}, NULL);
}

/* What is counted and what is told agree. */
static void figures_and_events(void **state)
{
    struct heard heard = {0};
    struct vault_listener listener = {&heard, hear};
    struct test_dir dir;
    struct vault_options o;
    struct vault_stats s;
    struct vault *v = NULL;

    test_dir_make(&dir);
    test_options_tiny(&o);
    o.listener = &listener;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    vault_get_stats(v, &s);
    assert_int_equal(s.write_amplification, 0);
    for (unsigned n = 0; n < 300; n++)
        put(v, n * 7 % 300, "a", 100);
    assert_int_equal(vault_sync(v), VAULT_OK);
    assert_int_equal(heard.seq, 300);
    for (unsigned n = 0; n < 300; n++)
        expect(v, n, "a", 100);
    vault_get_stats(v, &s);
    assert_true(s.flushes > 5 && s.compactions > 5);
    assert_int_equal(heard.count[VAULT_EVENT_FLUSH], s.flushes);
    assert_int_equal(heard.count[VAULT_EVENT_COMPACTION], s.compactions);
    assert_int_equal(heard.count[VAULT_EVENT_SYNC], 1);
    assert_int_equal(heard.count[VAULT_EVENT_STALL], 0);
    assert_int_equal(heard.bytes, s.table_bytes_written);
    assert_true(s.user_bytes >= 300 * 106 && s.user_bytes < 300 * 112);
    assert_true(s.log_bytes > s.user_bytes);
    assert_int_equal(s.write_amplification,
                     (s.log_bytes + s.table_bytes_written) * 1000 / s.user_bytes);
    assert_true(s.write_amplification > 2000);
    assert_int_equal(s.gets, 300);
    assert_true(s.get_blocks > 200 && s.get_blocks <= s.cache_hits + s.cache_misses);
    assert_int_equal(s.read_amplification, s.get_blocks * 1000 / s.gets);
    assert_true(s.block_bytes_read > 0 && s.syncs > s.log_syncs);
    assert_true(s.memory > 0 && s.memory_peak >= s.memory);
    assert_true(s.open_tables > 0 && s.table_memory > 0);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

/* E5: flushes take long, so writers wait, and memory stays where it is said to. */
static void writers_wait(void **state)
{
    struct heard heard = {.sleep_ms = 2};
    struct vault_listener listener = {&heard, hear};
    struct test_dir dir;
    struct vault_options o;
    struct vault_stats s;
    struct vault *v = NULL;

    test_dir_make(&dir);
    test_options_tiny(&o);
    o.background = VAULT_THREAD;
    o.listener = &listener;
    o.compaction_rate = 4 << 20;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    for (unsigned n = 0; n < 3000; n++) {
        put(v, n, "a", 100);
        vault_get_stats(v, &s);
        assert_true(s.tables[0] <= 5 * o.level0_tables + 1);
        assert_true(s.memory < (1 << 20));
    }
    assert_true(s.stalls > 0 && s.stall_ns > 0);
    assert_int_equal(heard.count[VAULT_EVENT_STALL], s.stalls);
    assert_int_equal(heard.nanoseconds, s.stall_ns);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A compaction cannot be faster than its rate, however fast the machine is; a close waits for no
 * rate. */
static void compaction_keeps_its_rate(void **state)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault *v = NULL;
    struct vault_stats before, after;
    uint64_t took = 0;

    test_dir_make(&dir);
    vault_options_init(&o);
    o.level0_tables = 100;
    o.table_size = 16 << 10;
    o.compaction_rate = 1 << 20;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned n = 0; n < 1000; n++)
            put(v, n * 4 + round, "a", 100);
        assert_int_equal(vault_flush(v), VAULT_OK);
    }
    vault_get_stats(v, &before);
    took = now_ns();
    assert_int_equal(vault_compact_range(v, NULL, 0, NULL, 0), VAULT_OK);
    took = now_ns() - took;
    vault_get_stats(v, &after);
    after.table_bytes_written -= before.table_bytes_written;
    assert_true(after.table_bytes_written > 300000);
    assert_true(took > after.table_bytes_written * 900 / 1048576 * 1000000);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(databases_share_a_cache),
        cmocka_unit_test(figures_and_events),
        cmocka_unit_test(writers_wait),
        cmocka_unit_test(compaction_keeps_its_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
