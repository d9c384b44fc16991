/* durability_test.c: a log that is synced by count and by time, and no log at all. What a power cut
 * leaves is the harness' business; here it is what the handle says, and the death of the process:
 * the files are copied while the handle is open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>
#include "engine_testing.h"

static void put(struct vault *v, unsigned n, bool sync)
{
    char key[16];
    int len = snprintf(key, sizeof key, "%06u", n);

    assert_int_equal(vault_put(v, key, (size_t)len, "value", 5, sync, NULL), VAULT_OK);
}

static unsigned count_keys(struct vault *v)
{
    struct vault_iter *it = NULL;
    unsigned count = 0;

    assert_int_equal(vault_iter_new(v, NULL, &it), VAULT_OK);
    for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it))
        count++;
    assert_int_equal(vault_iter_status(it), VAULT_OK);
    vault_iter_free(it);
    return count;
}

static void syncs_by_count(void **state)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault_stats s;
    struct vault *v = NULL;
    struct vault_batch *batch = vault_batch_new();

    test_dir_make(&dir);
    test_options_tiny(&o);
    o.sync_writes = 10;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    for (unsigned n = 0; n < 500; n++) {
        put(v, n, n % 37 == 5);
        assert_true(vault_last_seq(v) - vault_durable_seq(v) < 10);
    }
    vault_get_stats(v, &s);
    assert_true(s.log_syncs >= 50 && s.log_syncs < 500 / 9 + 14 + s.flushes);
    for (unsigned n = 0; n < 25; n++)
        assert_int_equal(vault_batch_put(batch, &n, sizeof n, "x", 1), VAULT_OK);
    assert_int_equal(vault_write(v, batch, false, NULL), VAULT_OK);
    assert_true(vault_durable_seq(v) == vault_last_seq(v));
    vault_batch_free(batch);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

static uint64_t the_time(void *ctx)
{
    return *(uint64_t *)ctx;
}

/* Inline: with the clock of the handle, at the next write. */
static void syncs_by_time_inline(void **state)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault *v = NULL;
    uint64_t now = 1000;

    test_dir_make(&dir);
    test_options_tiny(&o);
    o.write_buffer_size = 1 << 20;
    o.sync_interval = 100;
    o.clock = the_time;
    o.clock_ctx = &now;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    put(v, 1, false);
    now += 99;
    put(v, 2, false);
    assert_int_equal(vault_durable_seq(v), 0);
    now += 1;
    put(v, 3, false);
    assert_int_equal(vault_durable_seq(v), 3);
    put(v, 4, false);
    assert_int_equal(vault_durable_seq(v), 3);
    now -= 500; /* set back: who knows how long it has been */
    put(v, 5, false);
    assert_int_equal(vault_durable_seq(v), 5);
    now += 1000;
    put(v, 6, false); /* the first that waits, from now on */
    assert_int_equal(vault_durable_seq(v), 5);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

/* With a thread: without any further write. */
static void syncs_by_time(void **state)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault *v = NULL;

    test_dir_make(&dir);
    vault_options_init(&o);
    o.sync_interval = 20;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    for (unsigned n = 0; n < 3; n++) {
        put(v, n, false);
        while (vault_durable_seq(v) != n + 1) /* the time limit of the test is the limit */
            nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    put(v, 9, false);
    assert_int_equal(vault_close(v), VAULT_OK); /* does not wait for the time */
    test_dir_remove(&dir);
}

/* What another process would find now. */
static unsigned left_if_killed(const char *path, const struct vault_options *o)
{
    char command[300];
    char copy[100];
    struct vault *v = NULL;
    unsigned count = 0;

    snprintf(copy, sizeof copy, "%s.copy", path);
    snprintf(command, sizeof command, "cp -r %s %s", path, copy);
    assert_int_equal(system(command), 0); /* NOLINT: a path of our own making */
    assert_int_equal(vault_open(copy, o, &v, NULL), VAULT_OK);
    count = count_keys(v);
    assert_int_equal(vault_close(v), VAULT_OK);
    assert_int_equal(vault_destroy(copy, NULL), VAULT_OK);
    return count;
}

static void no_log_at_all(void **state)
{
    for (int thread = 0; thread < 2; thread++) {
        struct test_dir dir;
        struct vault_options o;
        struct vault_options plain;
        struct vault_stats s;
        struct vault *v = NULL;

        test_dir_make(&dir);
        test_options_tiny(&o);
        plain = o;
        o.write_buffer_size = 1 << 20;
        o.no_log = true;
        o.background = thread ? VAULT_THREAD : VAULT_INLINE;
        assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
        for (unsigned n = 0; n < 100; n++)
            put(v, n, false);
        assert_int_equal(vault_put(v, "k", 1, "v", 1, true, NULL), VAULT_INVALID);
        assert_int_equal(vault_delete_range(v, "000090", 6, "1", 1, false, NULL), VAULT_OK);
        assert_int_equal(count_keys(v), 90);
        assert_int_equal(vault_durable_seq(v), 0);
        assert_int_equal(left_if_killed(dir.path, &plain), 0);
        assert_int_equal(vault_sync(v), VAULT_OK); /* a flush */
        assert_int_equal(vault_durable_seq(v), 101);
        put(v, 200, false);
        assert_int_equal(left_if_killed(dir.path, &plain), 90);
        vault_get_stats(v, &s);
        assert_int_equal(s.log_bytes, 0);
        assert_int_equal(s.log_syncs, 0);
        assert_int_equal(vault_close(v), VAULT_OK);
        assert_int_equal(vault_open(dir.path, &plain, &v, NULL), VAULT_OK);
        assert_int_equal(count_keys(v), 91);
        put(v, 201, false); /* into a log, which an open without one takes over */
        assert_int_equal(vault_close(v), VAULT_OK);
        assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
        assert_int_equal(count_keys(v), 92);
        put(v, 202, false);
        assert_int_equal(vault_compact_range(v, NULL, 0, NULL, 0), VAULT_OK);
        assert_int_equal(vault_close(v), VAULT_OK);
        assert_int_equal(vault_open(dir.path, &plain, &v, NULL), VAULT_OK);
        assert_int_equal(count_keys(v), 93);
        assert_int_equal(vault_close(v), VAULT_OK);
        test_dir_remove(&dir);
    }
}

static void options_that_contradict(void **state)
{
    struct vault_options o;
    struct vault *v = NULL;

    vault_options_init(&o);
    o.no_log = true;
    o.sync_writes = 5;
    assert_int_equal(vault_open("/nowhere/at/all", &o, &v, NULL), VAULT_INVALID);
    o.sync_writes = 0;
    o.sync_interval = 5;
    assert_int_equal(vault_open("/nowhere/at/all", &o, &v, NULL), VAULT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syncs_by_count),          cmocka_unit_test(syncs_by_time_inline),
        cmocka_unit_test(syncs_by_time),           cmocka_unit_test(no_log_at_all),
        cmocka_unit_test(options_that_contradict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
