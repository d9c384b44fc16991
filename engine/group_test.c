/* group_test.c: concurrent writes in groups, without a race in the test: this program has its own
 * fdatasync, in which the first sync is held until the other writers stand in the queue. So it is
 * known which writes make up the next group.
 *
 * Every sync write notes, when it returns, how much of the log had been synced by then. In the end
 * the log is read: each record must lie within what its writer was promised (K05, K44). */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <errno.h>
#include <cmocka.h>
#include "engine_testing.h"
#include "core.h"

#define WRITERS_MAX 8u

static struct vault *under_test; /* NULL: fdatasync is the system's */
static unsigned hold_for;        /* writers that have to wait in the queue before a sync begins */
static unsigned syncs;           /* of the log under test */
static int fail_sync;            /* the number of the sync that fails; 0: none */
static bool told_early;          /* in a sync, somebody had been told already */
static uint64_t truth;           /* bytes of the log that are synced; atomic */

static unsigned queue_length(struct vault *v)
{
    unsigned count = atomic_get(&told_early); /* then the one that syncs has left it */

    thread_lock(&v->lock);
    for (struct core_write *w = v->first_write; w; w = w->next)
        count++;
    thread_unlock(&v->lock);
    return count;
}

static void wait_for_queue(unsigned count)
{
    while (queue_length(under_test) < count)
        sched_yield();
}

/* Nobody of the group may have been told before the sync has ended: it stands in the queue. */
static bool somebody_told(void)
{
    bool told = false;

    thread_lock(&under_test->lock);
    told = under_test->first_write == NULL;
    for (struct core_write *w = under_test->first_write; w; w = w->next)
        told |= w->done;
    thread_unlock(&under_test->lock);
    return told;
}

int fdatasync(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    bool log = under_test && under_test->wal.open && fd == under_test->wal.out.file.fd;

    if (!log)
        return (int)syscall(SYS_fdatasync, fd);
    if (somebody_told())
        atomic_set(&told_early, true);
    if (syncs++ == 0)
        wait_for_queue(hold_for);
    if (somebody_told())
        atomic_set(&told_early, true);
    if ((int)syncs == fail_sync) {
        errno = EIO;
        return -1;
    }
    if (syscall(SYS_fdatasync, fd))
        return -1;
    atomic_set(&truth, (uint64_t)size);
    return 0;
}

struct writer {
    pthread_t thread;
    bool sync;
    char key[16];
    enum vault_status status;
    uint64_t seq, promised;
};

static void *write_once(void *arg)
{
    struct writer *w = arg;

    w->status = vault_put(under_test, w->key, strlen(w->key), "value", 5, w->sync, &w->seq);
    w->promised = atomic_get(&truth);
    return NULL;
}

static void open_test(struct test_dir *dir)
{
    struct vault_options o;
    struct vault *v = NULL;

    test_dir_make(dir);
    vault_options_init(&o);
    assert_int_equal(vault_open(dir->path, &o, &v, NULL), VAULT_OK);
    assert_int_equal(vault_put(v, "first", 5, "", 0, false, NULL), VAULT_OK);
    syncs = 0;
    fail_sync = 0;
    truth = 0;
    under_test = v;
}

/* Its own sync is none of the test's. */
static enum vault_status close_test(void)
{
    struct vault *v = under_test;

    under_test = NULL;
    return vault_close(v);
}

/* `kinds`: one letter a writer, in the order in which they queue up: s sync, a not. The first one
 * leads and is held in its sync until the others wait. */
static void run_writers(const char *kinds, struct writer *writers)
{
    unsigned count = (unsigned)strlen(kinds);

    assert_true(count <= WRITERS_MAX && kinds[0] == 's');
    hold_for = count;
    for (unsigned i = 0; i < count; i++) {
        writers[i] = (struct writer){.sync = kinds[i] == 's'};
        snprintf(writers[i].key, sizeof writers[i].key, "k%u", i);
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_once, &writers[i]), 0);
        if (i + 1 < count) /* the last one sets the first sync free */
            wait_for_queue(i + 1);
    }
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
}

/* Where in the log the record with this sequence number ends. */
static uint64_t end_of(struct test_file *log, uint64_t seq)
{
    size_t at = FORMAT_FILE_HEADER;

    while (at + FORMAT_RECORD_HEADER <= log->len) {
        size_t len = FORMAT_RECORD_HEADER + load_u32(log->data + at + 8);

        if (load_u64(log->data + at + 24) == seq)
            return at + len;
        at += len + (FORMAT_ALIGN - len % FORMAT_ALIGN) % FORMAT_ALIGN;
    }
    return UINT64_MAX;
}

static void check_writers(struct test_dir *dir, const char *kinds, unsigned syncs_expected)
{
    struct writer writers[WRITERS_MAX];
    struct test_file log;
    unsigned count = (unsigned)strlen(kinds);
    void *value = NULL;
    size_t len = 0;

    open_test(dir);
    run_writers(kinds, writers);
    assert_false(told_early);
    assert_int_equal(syncs, syncs_expected);
    test_file_read(&log, dir->path, under_test->wal.out.file.name);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(writers[i].status, VAULT_OK);
        assert_int_equal(writers[i].seq, i + 2); /* E3: the order of the queue */
        assert_true(end_of(&log, writers[i].seq) != UINT64_MAX);
        if (writers[i].sync)
            assert_true(writers[i].promised >= end_of(&log, writers[i].seq));
        assert_int_equal(
            vault_get(under_test, NULL, writers[i].key, strlen(writers[i].key), &value, &len),
            VAULT_OK);
        vault_value_free(under_test, value, len);
    }
    assert_true(vault_durable_seq(under_test) <= vault_last_seq(under_test));
    free(log.data);
    assert_int_equal(close_test(), VAULT_OK);
    test_dir_remove(dir);
}

static void one_sync_covers_all(void **state)
{
    struct test_dir dir;

    check_writers(&dir, "ssssssss", 2);
}

/* E1. The leader of the second group does not sync: the next one leads a third. */
static void no_sync_is_lost(void **state)
{
    struct test_dir dir;

    check_writers(&dir, "sas", 2);
    check_writers(&dir, "saasas", 2);
    check_writers(&dir, "ssasa", 2);
    check_writers(&dir, "sa", 1);
}

/* E2. The sync of the second group fails: all of it hear that, and the first writer does not. */
static void failure_is_everybodys(void **state)
{
    struct writer writers[WRITERS_MAX];
    struct test_dir dir;

    open_test(&dir);
    fail_sync = 2;
    run_writers("ssass", writers);
    assert_int_equal(writers[0].status, VAULT_OK);
    for (unsigned i = 1; i < 5; i++)
        assert_int_equal(writers[i].status, VAULT_IO);
    assert_int_equal(vault_durable_seq(under_test), 2);
    assert_int_equal(vault_put(under_test, "k", 1, "", 0, false, NULL), VAULT_IO);
    assert_int_equal(close_test(), VAULT_IO);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_sync_covers_all),
        cmocka_unit_test(no_sync_is_lost),
        cmocka_unit_test(failure_is_everybodys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
