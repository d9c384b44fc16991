/* os_test.c: the engine when system calls fail, fall short, or are the last thing the process does.
 *
 * This program defines the calls itself, over raw system calls, so the engine's objects are the
 * ones that ship. Each counted call can fail once, end the process, transfer less, or be
 * interrupted. A power cut is not simulated here; the harness does that. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "base/rng.h"
#include "engine_testing.h"

#define COUNT 40u

enum manner { PASS, FAIL, DIE, SHORT, INTERRUPT };

static struct control {
    enum manner manner;
    unsigned calls, at; /* `at` 0: every third call */
    unsigned kinds;     /* bit set of enum kind */
    int why;
    bool fired;
} control;

enum kind { WRITE = 1, SYNC = 2, DIRSYNC = 4, RENAME = 8, UNLINK = 16, READ = 32 };

/* Does this call go wrong? */
static bool strike(enum kind kind)
{
    if (control.manner == PASS || !(control.kinds & kind))
        return false;
    control.calls++;
    if (control.at ? control.calls != control.at : control.calls % 3)
        return false;
    control.fired = true;
    if (control.manner == DIE)
        syscall(SYS_exit_group, 9);
    errno = control.manner == INTERRUPT ? EINTR : control.why;
    return true;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (strike(WRITE)) {
        if (control.manner != SHORT || n < 2)
            return control.manner == SHORT ? syscall(SYS_pwrite64, fd, p, n, at) : -1;
        n /= 2;
    }
    return syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    if (strike(READ)) {
        if (control.manner != SHORT || n < 2)
            return control.manner == SHORT ? syscall(SYS_pread64, fd, p, n, at) : -1;
        n /= 2;
    }
    return syscall(SYS_pread64, fd, p, n, at);
}

int fdatasync(int fd)
{
    return strike(SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return strike(DIRSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    return strike(RENAME) ? -1 : (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path)
{
    return strike(UNLINK) ? -1 : (int)syscall(SYS_unlink, path);
}

static size_t value_of(unsigned i, char *to)
{
    struct rng r = rng_seeded(i);
    size_t len = (size_t)rng_below(&r, 60);

    for (size_t j = 0; j < len; j++)
        to[j] = (char)rng_next(&r);
    return len;
}

struct progress {
    unsigned begun, acknowledged;
    enum vault_status first_failure;
};

static void options_of(struct vault_options *o)
{
    test_options_tiny(o);
    o->write_buffer_size = 600;
}

/* Writes keys begun+1, begun+2, ... up to COUNT more; stops changing anything at a failure, but
 * goes on trying: the store has to go on refusing. */
static void session(const char *dir, struct progress *p, unsigned count)
{
    struct vault_options o;
    struct vault *v = NULL;
    enum vault_status st = VAULT_OK;

    options_of(&o);
    st = vault_open(dir, &o, &v, NULL);
    if (st) {
        assert_true(control.fired);
        return;
    }
    for (unsigned i = p->acknowledged + 1; i <= count; i++) {
        char value[64];
        uint64_t durable = vault_durable_seq(v);

        if (!p->first_failure)
            p->begun = i;
        st = vault_put(v, &i, sizeof i, value, value_of(i, value), i % 4 == 0, NULL);
        if (p->first_failure) {
            assert_int_equal(st, p->first_failure); /* D5: fail-stop */
            assert_int_equal(vault_durable_seq(v), durable);
            assert_int_equal(vault_sync(v), p->first_failure);
            assert_int_equal(vault_flush(v), p->first_failure);
        } else if (st) {
            struct vault_error error;

            p->first_failure = st;
            vault_last_error(v, &error);
            assert_int_equal(error.status, st);
            assert_true(control.fired && error.system_errno == control.why);
        } else {
            p->acknowledged = i;
        }
    }
    st = vault_close(v);
    if (p->first_failure)
        assert_int_equal(st, p->first_failure);
}

/* Everything acknowledged is there, perhaps the one in flight, and nothing else. */
static void examine(const char *dir, struct progress *p)
{
    struct vault_options o;
    struct vault *v = NULL;
    unsigned last = 0;

    control.manner = PASS;
    options_of(&o);
    assert_int_equal(vault_open(dir, &o, &v, NULL), VAULT_OK);
    for (unsigned i = 1; i <= p->begun + 2; i++) {
        char value[64];
        void *got = NULL;
        size_t len = 0;
        enum vault_status st = vault_get(v, NULL, &i, sizeof i, &got, &len);

        assert_true(st == VAULT_OK || st == VAULT_NOT_FOUND);
        if (st)
            continue;
        assert_int_equal(last, i - 1);
        last = i;
        assert_int_equal(len, value_of(i, value));
        assert_memory_equal(got, value, len);
        vault_value_free(v, got, len);
    }
    assert_true(last >= p->acknowledged && last <= p->begun);
    assert_int_equal(vault_check(v, NULL), VAULT_OK);
    assert_int_equal(vault_close(v), VAULT_OK);
    *p = (struct progress){last, last, VAULT_OK};
}

static void each_call_fails(void **state)
{
    static const unsigned kinds[] = {WRITE, SYNC, DIRSYNC, RENAME, UNLINK};
    unsigned total = 0;
    unsigned silent = 0;

    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (unsigned at = 1;; at++) {
            struct test_dir dir;
            struct progress p = {0};

            test_dir_make(&dir);
            control = (struct control){FAIL, 0, at, kinds[k], at % 2 ? EIO : ENOSPC, false};
            session(dir.path, &p, COUNT);
            if (control.fired && kinds[k] != UNLINK && !p.first_failure)
                silent++; /* allowed in open and close, which say so themselves */
            bool fired = control.fired;

            examine(dir.path, &p);
            test_dir_remove(&dir);
            if (!fired)
                break;
            total++;
        }
    print_message("%u calls failed in turn\n", total);
    assert_true(total > 100);
    assert_true(silent < 25);
}

static void each_call_is_the_last(void **state)
{
    struct progress *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned total = 0;
    bool died = true;

    assert_true(shared != MAP_FAILED);
    for (unsigned at = 1; died; at++) {
        struct test_dir dir;

        *shared = (struct progress){0};
        test_dir_make(&dir);
        for (unsigned round = 0; round < 3 && died; round++) { /* crash, crash in recovery, again */
            int how = 0;
            pid_t child = fork();

            assert_true(child >= 0);
            if (child == 0) {
                control = (struct control){DIE, 0, round ? at % 23 + 1 : at, 63 - READ, 0, false};
                session(dir.path, shared, shared->acknowledged + COUNT);
                syscall(SYS_exit_group, 0);
            }
            assert_int_equal(waitpid(child, &how, 0), child);
            assert_true(WIFEXITED(how) && (WEXITSTATUS(how) == 9 || WEXITSTATUS(how) == 0));
            if (round == 0)
                died = WEXITSTATUS(how) == 9;
            if (round == 2 || !died)
                examine(dir.path, shared);
            total++;
        }
        test_dir_remove(&dir);
    }
    print_message("%u processes ended at a call\n", total);
    munmap(shared, sizeof *shared);
}

static void short_and_interrupted(void **state)
{
    for (unsigned manner = SHORT; manner <= INTERRUPT; manner++) {
        struct test_dir dir;
        struct progress p = {0};

        test_dir_make(&dir);
        control = (struct control){(enum manner)manner, 0, 0, WRITE | READ, 0, false};
        session(dir.path, &p, 3 * COUNT);
        assert_true(control.fired);
        assert_int_equal(p.acknowledged, 3 * COUNT);
        examine(dir.path, &p);
        assert_int_equal(p.acknowledged, 3 * COUNT);
        test_dir_remove(&dir);
    }
}

/* A failed read is reported, changes nothing, and the same read succeeds afterwards. */
static void reads_fail(void **state)
{
    struct test_dir dir;
    struct progress p = {0};
    struct vault_options o;
    struct vault *v = NULL;
    unsigned reported = 0;

    test_dir_make(&dir);
    control.manner = PASS;
    session(dir.path, &p, COUNT);
    options_of(&o);
    o.block_cache_size = 0;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    for (unsigned i = 1; i <= COUNT; i++) {
        void *got = NULL;
        size_t len = 0;
        enum vault_status st = VAULT_OK;

        control = (struct control){FAIL, 0, 1, READ, EIO, false};
        st = vault_get(v, NULL, &i, sizeof i, &got, &len);
        assert_int_equal(st, control.fired ? VAULT_IO : VAULT_OK);
        reported += st != VAULT_OK;
        control.manner = PASS;
        if (st)
            assert_int_equal(vault_get(v, NULL, &i, sizeof i, &got, &len), VAULT_OK);
        vault_value_free(v, got, len);
    }
    assert_true(reported > COUNT / 2);
    for (unsigned at = 1; at < 40; at++) { /* K49: a scan, too */
        struct vault_iter *it = NULL;
        unsigned seen = 0;

        control = (struct control){FAIL, 0, at, READ, EIO, false};
        assert_int_equal(vault_iter_new(v, NULL, &it), VAULT_OK);
        for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it))
            seen++;
        assert_int_equal(vault_iter_status(it), control.fired ? VAULT_IO : VAULT_OK);
        assert_true(control.fired || seen == COUNT);
        vault_iter_free(it);
    }
    for (unsigned at = 1; at < 40; at++) { /* K27: a compaction drops nothing */
        control = (struct control){FAIL, 0, at, READ, EIO, false};
        enum vault_status st = vault_compact_range(v, NULL, 0, NULL, 0);

        assert_true(st == VAULT_OK || (st == VAULT_IO && control.fired));
        control.manner = PASS;
        assert_int_equal(vault_put(v, &at, sizeof at, "", 0, false, NULL), VAULT_OK);
        char value[64];

        assert_int_equal(vault_put(v, &at, sizeof at, value, value_of(at, value), false, NULL),
                         VAULT_OK);
    }
    assert_int_equal(vault_close(v), VAULT_OK);
    examine(dir.path, &p);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_fails),
        cmocka_unit_test(each_call_is_the_last),
        cmocka_unit_test(short_and_interrupted),
        cmocka_unit_test(reads_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
