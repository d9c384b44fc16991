/* threads_test.c: several writers and readers on one handle. Meant for -fsanitize=thread; what it
 * checks itself: a batch is seen whole or not at all, a reader's view never goes back, snapshots
 * stand still, and in the end every acknowledged write is there. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/rng.h"
#include "engine_testing.h"

#define WRITERS 3
#define READERS 3
#define ROUNDS  1500u
#define SPAN    8u /* keys a batch writes at once, all with the same value */

struct shared {
    struct vault *v;
    unsigned id;
    uint64_t *stop;
    unsigned bad;
};

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
            s->bad +=
                vault_batch_put(batch, key, (size_t)snprintf(key, sizeof key, "%u-%u", s->id, k),
                                value, 48) != VAULT_OK;
        s->bad += vault_write(s->v, batch, rng_chance(&r, 1, 50), &seq) != VAULT_OK;
        s->bad += seq <= last;
        last = seq;
        if (rng_chance(&r, 1, 300))
            s->bad += vault_flush(s->v) != VAULT_OK;
        if (rng_chance(&r, 1, 400))
            s->bad += vault_compact_range(s->v, NULL, 0, NULL, 0) != VAULT_OK;
        if (rng_chance(&r, 1, 100))
            s->bad += vault_sync(s->v) != VAULT_OK;
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
            s->bad += len != 48;
            vault_value_free(s->v, value, len);
        } else {
            s->bad += st != VAULT_NOT_FOUND;
        }
        s->bad += k > 0 && now != seen;
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

        s->bad += vault_snapshot_new(s->v, &snap) != VAULT_OK;
        for (unsigned w = 0; w < WRITERS; w++) {
            unsigned now = read_span(s, snap, w);

            s->bad += now < last[w] || now != read_span(s, snap, w);
            last[w] = now;
        }
        s->bad += vault_iter_new(s->v, snap, &it) != VAULT_OK;
        for (vault_iter_last(it); vault_iter_valid(it); vault_iter_prev(it))
            count++;
        s->bad += vault_iter_status(it) != VAULT_OK || count % SPAN != 0;
        vault_iter_free(it);
        vault_snapshot_release(s->v, snap);
        s->bad += vault_durable_seq(s->v) > vault_last_seq(s->v);
    }
    return NULL;
}

static void many_threads(void **state)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault *v = NULL;
    pthread_t threads[WRITERS + READERS];
    struct shared shared[WRITERS + READERS];
    uint64_t stop = 0;

    test_dir_make(&dir);
    test_options_tiny(&o);
    o.background = VAULT_THREAD;
    o.write_buffer_size = 16384;
    o.table_size = 8192;
    o.level1_size = 16384;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        shared[i] = (struct shared){v, i, &stop, 0};
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
            print_message("thread %u: %s %s %s\n", i, vault_status_name(e.status), e.file, e.what);
        }
        assert_int_equal(shared[i].bad, 0);
    }
    assert_int_equal(vault_check(v, NULL), VAULT_OK);
    assert_int_equal(vault_close(v), VAULT_OK);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    shared[0].v = v;
    for (unsigned w = 0; w < WRITERS; w++)
        assert_int_equal(read_span(&shared[0], NULL, w), ROUNDS);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
