/* threads_test.c: eight writers and readers on one handle, a second handle beside it that shares
 * its cache. Meant for -fsanitize=thread (run_tsan); THREADS_SECONDS: again and again for so long.
 * What it checks itself: a batch is seen whole or not at all, a reader's view never goes back,
 * snapshots stand still, and in the end every acknowledged write is there. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/rng.h"
#include "engine_testing.h"

#define WRITERS 4
#define READERS 4
#define ROUNDS  600u
#define SPAN    8u /* keys a batch writes at once, all with the same value */

struct shared {
    struct vault *v;
    unsigned id;
    uint64_t *stop;
    unsigned bad, line;
    bool syncs; /* there is a log to sync */
};

/* Keeps where the first one was. */
static void bad(struct shared *s, bool is, unsigned line)
{
    if (is && !s->bad++)
        s->line = line;
}

static void *writer(void *arg)
{
    struct shared *s = arg;
    struct vault_batch *batch = vault_batch_new();
    struct rng r = rng_seeded(s->id);
    uint64_t last = 0;

    for (unsigned i = 1; i <= ROUNDS; i++) {
        char key[16];
        char value[64];
        uint64_t seq = 0;
        int len = snprintf(value, sizeof value, "%08u", i);

        memset(value + len, 'x', 40);
        vault_batch_clear(batch);
        for (unsigned k = 0; k < SPAN; k++)
            bad(s,
                vault_batch_put(batch, key, (size_t)snprintf(key, sizeof key, "%u-%u", s->id, k),
                                value, 48) != VAULT_OK,
                __LINE__);
        bad(s, vault_write(s->v, batch, s->syncs && rng_chance(&r, 1, 50), &seq) != VAULT_OK,
            __LINE__);
        bad(s, seq <= last, __LINE__);
        last = seq;
        if (rng_chance(&r, 1, 150))
            bad(s, vault_flush(s->v) != VAULT_OK, __LINE__);
        if (rng_chance(&r, 1, 200))
            bad(s, vault_compact_range(s->v, NULL, 0, NULL, 0) != VAULT_OK, __LINE__);
        if (rng_chance(&r, 1, 100))
            bad(s, vault_sync(s->v) != VAULT_OK, __LINE__);
    }
    vault_batch_free(batch);
    return NULL;
}

/* The round every key of writer `w` shows; 0: none. Complains when they differ. */
static unsigned read_span(struct shared *s, const struct vault_snapshot *snap, unsigned w)
{
    unsigned seen = 0;

    for (unsigned k = 0; k < SPAN; k++) {
        char key[16];
        void *value = NULL;
        size_t len = 0;
        unsigned now = 0;
        enum vault_status st = vault_get(
            s->v, snap, key, (size_t)snprintf(key, sizeof key, "%u-%u", w, k), &value, &len);

        if (!st) {
            char text[9] = {0};

            memcpy(text, value, 8);
            now = (unsigned)strtoul(text, NULL, 10);
            bad(s, len != 48, __LINE__);
            vault_value_free(s->v, value, len);
        } else {
            bad(s, st != VAULT_NOT_FOUND, __LINE__);
        }
        bad(s, k > 0 && now != seen, __LINE__);
        seen = now;
    }
    return seen;
}

static void *reader(void *arg)
{
    struct shared *s = arg;
    unsigned last[WRITERS] = {0};

    while (!__atomic_load_n(s->stop, __ATOMIC_ACQUIRE)) {
        struct vault_snapshot *snap = NULL;
        struct vault_iter *it = NULL;
        unsigned count = 0;

        bad(s, vault_snapshot_new(s->v, &snap) != VAULT_OK, __LINE__);
        for (unsigned w = 0; w < WRITERS; w++) {
            unsigned now = read_span(s, snap, w);

            bad(s, now < last[w] || now != read_span(s, snap, w), __LINE__);
            last[w] = now;
        }
        bad(s, vault_iter_new(s->v, snap, &it) != VAULT_OK, __LINE__);
        for (vault_iter_last(it); vault_iter_valid(it); vault_iter_prev(it))
            count++;
        bad(s, vault_iter_status(it) != VAULT_OK || count % SPAN != 0, __LINE__);
        vault_iter_free(it);
        vault_snapshot_release(s->v, snap);
        bad(s, vault_durable_seq(s->v) > vault_last_seq(s->v), __LINE__);
    }
    return NULL;
}

static void count_event(void *ctx, const struct vault_event *event)
{
    __atomic_add_fetch((uint64_t *)ctx + event->kind, 1, __ATOMIC_RELAXED);
}

/* Each pass with other settings of what involves a thread. */
static void set_options(struct vault_options *o, unsigned pass, struct vault_cache *cache,
                        const struct vault_listener *listener)
{
    test_options_tiny(o);
    o->background = VAULT_THREAD;
    o->write_buffer_size = 16384;
    o->table_size = 8192;
    o->level1_size = 16384;
    o->open_tables = pass % 3 ? 64 : 2;
    o->block_cache = pass % 2 ? NULL : cache;
    o->listener = listener;
    o->sync_interval = pass % 4 == 1 ? 2 : 0;
    o->sync_writes = pass % 4 == 2 ? 40 : 0;
    o->compaction_rate = pass % 5 == 3 ? 4 << 20 : 0;
    o->no_log = pass % 7 == 6;
    if (o->no_log) /* then there is nothing to sync */
        o->sync_interval = o->sync_writes = 0;
}

static void run_threads(struct vault *v, bool syncs)
{
    pthread_t threads[WRITERS + READERS];
    struct shared shared[WRITERS + READERS];
    uint64_t stop = 0;

    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        shared[i] = (struct shared){.v = v, .id = i, .stop = &stop, .syncs = syncs};
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < WRITERS ? writer : reader, &shared[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        if (i == WRITERS)
            __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
        pthread_join(threads[i], NULL);
        if (shared[i].bad) {
            struct vault_error e;

            vault_last_error(v, &e);
            print_message("thread %u: line %u: %s %s %s\n", i, shared[i].line,
                          vault_status_name(e.status), e.file, e.what);
        }
        assert_int_equal(shared[i].bad, 0);
    }
}

static void one_pass(unsigned pass)
{
    uint64_t events[VAULT_EVENT_FAILED + 1] = {0};
    struct vault_listener listener = {events, count_event};
    struct vault_cache *cache = vault_cache_new(16384, NULL);
    struct test_dir dir, beside;
    struct vault_options o;
    struct vault_stats stats;
    struct vault *v = NULL, *other = NULL;
    struct shared shared = {0};

    test_dir_make(&dir);
    test_dir_make(&beside);
    set_options(&o, pass, cache, &listener);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    o.no_log = false;
    assert_int_equal(vault_open(beside.path, &o, &other, NULL), VAULT_OK);
    assert_int_equal(vault_put(other, "0-0", 3, "another", 7, false, NULL), VAULT_OK);
    assert_int_equal(vault_flush(other), VAULT_OK);
    shared.v = v;
    run_threads(v, pass % 7 != 6);
    assert_int_equal(vault_check(v, NULL), VAULT_OK);
    vault_get_stats(v, &stats);
    assert_int_equal(vault_close(other), VAULT_OK);
    assert_int_equal(vault_close(v), VAULT_OK);
    assert_true(events[VAULT_EVENT_FLUSH] >= stats.flushes);
    assert_int_equal(events[VAULT_EVENT_FAILED], 0);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    shared.v = v;
    for (unsigned w = 0; w < WRITERS; w++)
        assert_int_equal(read_span(&shared, NULL, w), ROUNDS);
    assert_int_equal(shared.bad, 0);
    assert_int_equal(vault_close(v), VAULT_OK);
    vault_cache_free(cache);
    test_dir_remove(&dir);
    test_dir_remove(&beside);
}

static void many_threads(void **state)
{
    const char *seconds = getenv("THREADS_SECONDS");
    struct timespec now;
    time_t end = 0;
    unsigned pass = 0;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    end = now.tv_sec + (seconds ? atol(seconds) : 0);
    do
        one_pass(pass++);
    while (pass < 2 || (clock_gettime(CLOCK_MONOTONIC, &now) == 0 && now.tv_sec < end));
    print_message("%u passes of %d threads\n", pass, WRITERS + READERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
