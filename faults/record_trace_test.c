/* record_trace_test.c: the log and the recorder. The test runs itself as the recorded program where
 * a shell cannot do what is wanted. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "record_inner.h"

static char home[PATH_MAX], directory[PATH_MAX + 8], log_path[PATH_MAX + 8], output[PATH_MAX + 8];
static char own[PATH_MAX];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)where;
    return type == FTW_DP ? rmdir(path) : unlink(path);
}

static int setup(void **state)
{
    (void)state;
    snprintf(home, sizeof home, "/tmp/record_trace_test.XXXXXX");
    if (!mkdtemp(home))
        return -1;
    snprintf(directory, sizeof directory, "%s/d", home);
    snprintf(log_path, sizeof log_path, "%s/log", home);
    snprintf(output, sizeof output, "%s/output", home);
    return mkdir(directory, 0755);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the log ---- */

static void write_log(void)
{
    struct log_writer writer;
    struct pc_record record = {.kind = PC_RECORD_WRITE,
                               .dsync = true,
                               .process = 7,
                               .file = 3,
                               .offset = 1ull << 40,
                               .path = "a/b",
                               .data = (const uint8_t *)"x\0y",
                               .size = 3};
    struct pc_record end = {.kind = PC_RECORD_END, .length = 5};

    assert_true(log_writer_open(&writer, log_path));
    log_writer_add(&writer, &record);
    log_writer_add(&writer, &end);
    assert_true(log_writer_close(&writer));
}

static void test_round_trip(void **state)
{
    char why[200];
    struct pc_recording *recording;
    const struct pc_record *record;

    (void)state;
    write_log();
    recording = pc_recording_load(log_path, why, sizeof why);
    assert_non_null(recording);
    assert_int_equal(pc_recording_count(recording), 2);
    record = pc_recording_at(recording, 0);
    assert_int_equal(record->kind, PC_RECORD_WRITE);
    assert_true(record->dsync);
    assert_int_equal(record->process, 7);
    assert_int_equal(record->offset, 1ull << 40);
    assert_string_equal(record->path, "a/b");
    assert_memory_equal(record->data, "x\0y", 3);
    assert_int_equal(pc_recording_at(recording, 1)->length, 5);
    pc_recording_free(recording);
}

/* Cut anywhere, or with any byte changed, a log is refused. */
static void test_damage(void **state)
{
    char why[200];
    uint8_t bytes[512], good;
    FILE *file;
    size_t size;

    (void)state;
    write_log();
    file = fopen(log_path, "r");
    size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t i = 0; i < 2 * size; i++) {
        bool cut = i < size;
        size_t at = i % size;

        good = bytes[at];
        bytes[at] ^= cut ? 0 : 4;
        file = fopen(log_path, "w");
        fwrite(bytes, 1, cut ? at : size, file);
        fclose(file);
        bytes[at] = good;
        assert_null(pc_recording_load(log_path, why, sizeof why));
    }
}

/* ---- recording ---- */

static enum pc_record_end record_argv(char *const *argv, int *status, char *why)
{
    struct pc_record_job job = {directory, log_path, output, argv, NULL};
    enum pc_record_end end = pc_record_run(&job, status, why, 200);

    if (end == PC_RECORD_BROKEN) {
        print_message("skipped: %s\n", why);
        skip();
    }
    return end;
}

static struct pc_recording *record_shell(const char *script)
{
    char why[200];
    char *argv[] = {"sh", "-ec", (char *)script, NULL};
    int status;
    struct pc_recording *recording;

    assert_int_equal(record_argv(argv, &status, why), PC_RECORD_DONE);
    assert_int_equal(status, 0);
    recording = pc_recording_load(log_path, why, sizeof why);
    assert_non_null(recording);
    return recording;
}

static size_t count_of(const struct pc_recording *recording, enum pc_record_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < pc_recording_count(recording); i++)
        n += pc_recording_at(recording, i)->kind == kind;
    return n;
}

static const struct pc_record *first_of(const struct pc_recording *recording,
                                        enum pc_record_kind kind, const char *path)
{
    for (size_t i = 0; i < pc_recording_count(recording); i++) {
        const struct pc_record *record = pc_recording_at(recording, i);

        if (record->kind == kind && (!path || strcmp(record->path, path) == 0))
            return record;
    }
    fail_msg("no %s of %s", pc_record_kind_name(kind), path ? path : "anything");
    return NULL;
}

struct walk {
    const struct pc_recording *recording;
    struct pc_replay *replay;
    size_t entries;
};

/* What the disk has is in the real directory, too. */
static void compare_entry(void *ctx, const struct pc_entry *entry)
{
    struct walk *walk = ctx;
    char path[3 * PATH_MAX];
    uint8_t *data;
    struct stat st;
    uint32_t file = pc_replay_file(walk->replay, entry->number);
    const char *target = entry->is_dir ? NULL : pc_recording_symlink(walk->recording, file);
    int fd;

    walk->entries++;
    snprintf(path, sizeof path, "%s/%s", directory, entry->path);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(S_ISDIR(st.st_mode), entry->is_dir);
    assert_int_equal(S_ISLNK(st.st_mode), target != NULL);
    if (entry->is_dir || target)
        return;
    assert_int_equal(st.st_size, entry->size);
    assert_int_equal(st.st_mode & 07777, pc_recording_mode(walk->recording, file, SIZE_MAX));
    data = malloc(entry->size + 1);
    fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, data, entry->size), entry->size);
    assert_memory_equal(data, entry->data, entry->size);
    close(fd);
    free(data);
}

static size_t real_entries;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)path;
    (void)st;
    (void)type;
    real_entries += where->level > 0;
    return 0;
}

/* Under every model the disk ends as the directory did. */
static void expect_same(const struct pc_recording *recording)
{
    for (unsigned m = 0; m < PC_MODELS; m++) {
        struct pc_disk_config config = {.model = (enum pc_model)m, .unit = 512};
        char why[4096] = "";
        struct walk walk = {recording, NULL, 0};

        walk.replay = pc_replay_new(recording, &config, NULL, 0, why, sizeof why);
        if (!walk.replay)
            fail_msg("%s: %s", pc_model_name((enum pc_model)m), why);
        pc_disk_walk(pc_replay_disk(walk.replay), compare_entry, &walk);
        real_entries = 0;
        assert_int_equal(nftw(directory, count_one, 16, FTW_PHYS), 0);
        assert_int_equal(walk.entries, real_entries);
        pc_replay_free(walk.replay);
    }
}

static void test_shell(void **state)
{
    char path[PATH_MAX + 32];
    FILE *file;
    struct pc_recording *recording;

    (void)state;
    snprintf(path, sizeof path, "%s/old", directory);
    file = fopen(path, "w");
    fputs("there before", file);
    fclose(file);
    recording =
        record_shell("mkdir -p a/b; echo one > a/b/f; echo two >> a/b/f; cp a/b/f a/c\n"
                     "mv a/c a/d; ln a/d a/e; ln -s d a/s; rm old; mv a z; mkdir y\n"
                     "chmod 600 z/d; (cd z/b && echo three > g); rmdir y; sync z/d z; sync\n"
                     "printf 'said %s' this; echo x > z/s; truncate -s 3 z/b/g\n"
                     "mkdir q; echo q > q/q; t=/tmp/record_trace_test.$$; mv q/q $t; cat $t > q/r\n"
                     "rm $t");
    expect_same(recording);
    assert_int_equal(count_of(recording, PC_RECORD_SYNC), 1);
    assert_int_equal(count_of(recording, PC_RECORD_FSYNC), 2);
    assert_string_equal(first_of(recording, PC_RECORD_RENAME, "a/c")->to, "a/d");
    assert_int_equal(first_of(recording, PC_RECORD_OUTPUT, NULL)->size, 9);
    assert_int_equal(first_of(recording, PC_RECORD_BASE_FILE, "old")->size, 12);
    first_of(recording, PC_RECORD_UNLINK, "q/q"); /* over the border mv copies */
    pc_recording_free(recording);
}

/* Eight processes append to one file: the log has their writes in the order of the file. */
static void test_order(void **state)
{
    struct pc_recording *recording =
        record_shell("for p in 1 2 3 4 5 6 7 8; do (i=0; while [ $i -lt 20 ]; do echo $p$i; "
                     "i=$((i+1)); done >> f) & done; wait");
    uint64_t end = 0;

    (void)state;
    for (size_t i = 0; i < pc_recording_count(recording); i++) {
        const struct pc_record *record = pc_recording_at(recording, i);

        if (record->kind != PC_RECORD_WRITE)
            continue;
        assert_int_equal(record->offset, end);
        end += record->size;
    }
    assert_int_equal(count_of(recording, PC_RECORD_WRITE), 160);
    assert_true(count_of(recording, PC_RECORD_PROCESS) >= 9);
    expect_same(recording);
    pc_recording_free(recording);
}

static struct pc_recording *record_self(const char *act, int expected)
{
    char why[200];
    char *argv[] = {own, (char *)act, NULL};
    int status;
    struct pc_recording *recording;

    assert_int_equal(record_argv(argv, &status, why), PC_RECORD_DONE);
    assert_int_equal(status, expected);
    recording = pc_recording_load(log_path, why, sizeof why);
    assert_non_null(recording);
    expect_same(recording);
    return recording;
}

static int act_mapping(void)
{
    int fd = open("m", O_RDWR | O_CREAT, 0644);
    char *map;

    if (ftruncate(fd, 8192))
        return 1;
    map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return 2;
    close(fd);
    memcpy(map + 5000, "first", 5);
    if (msync(map + 4096, 4096, MS_SYNC))
        return 3;
    memcpy(map + 10, "second", 6);
    return 0;
}

static void test_mapping(void **state)
{
    struct pc_recording *recording = record_self("mapping", 0);
    const struct pc_record *msync_record = first_of(recording, PC_RECORD_MSYNC, "m");

    (void)state;
    assert_int_equal(msync_record->offset, 4096);
    assert_int_equal(msync_record->length, 4096);
    assert_int_equal(count_of(recording, PC_RECORD_STORE), 2);
    assert_true(first_of(recording, PC_RECORD_STORE, "m") < msync_record);
    pc_recording_free(recording);
}

static int act_nameless(void)
{
    int fd = open(".", O_RDWR | O_TMPFILE, 0600);
    char path[64];

    if (fd < 0)
        return errno == EOPNOTSUPP ? 0 : 1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, "nameless", 8) != 8 || fsync(fd) ||
        linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW))
        return 2;
    return renameat2(AT_FDCWD, "named", AT_FDCWD, "again", RENAME_NOREPLACE) ? 3 : 0;
}

static void test_nameless(void **state)
{
    struct pc_recording *recording = record_self("nameless", 0);

    (void)state;
    if (count_of(recording, PC_RECORD_UNNAMED) == 0)
        skip(); /* this file system has no O_TMPFILE */
    assert_int_equal(first_of(recording, PC_RECORD_LINK, "named")->file,
                     first_of(recording, PC_RECORD_UNNAMED, NULL)->file);
    pc_recording_free(recording);
}

/* All ways of writing, and the flags that make a write synchronous. */
static int act_ways(void)
{
    int fd = open("w", O_RDWR | O_CREAT | O_TRUNC, 0644), other, last;
    struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
    off64_t at = 100, from = 0;

    if (write(fd, "0123456789", 10) != 10 || pwrite(fd, "X", 1, 3) != 1 ||
        writev(fd, parts, 2) != 4 || pwritev(fd, parts, 2, 20) != 4 ||
        pwritev2(fd, parts, 2, 30, RWF_DSYNC) != 4 || posix_fallocate(fd, 0, 64))
        return 1;
    other = open("o", O_WRONLY | O_CREAT | O_DSYNC | O_APPEND, 0200);
    if (lseek(fd, 0, SEEK_SET) || sendfile(other, fd, NULL, 7) != 7)
        errno = 0; /* not to a file opened for appending */
    if (write(other, "tail", 4) != 4)
        return 2;
    last = open("l", O_WRONLY | O_CREAT, 0644);
    if (copy_file_range(fd, &from, last, &at, 8, 0) != 8 || ftruncate(last, 105) ||
        sync_file_range(last, 0, 10, SYNC_FILE_RANGE_WRITE) || fdatasync(last))
        return 3;
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4, 8))
        return 4;
    if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 60, 10) && errno != EOPNOTSUPP) /* not on every tmpfs */
        return 5;
    return fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) == -1 && errno == EOPNOTSUPP ? 0 : 6;
}

static void test_ways(void **state)
{
    struct pc_recording *recording = record_self("ways", 0);

    (void)state;
    assert_true(first_of(recording, PC_RECORD_WRITE, "o")->dsync);
    assert_int_equal(first_of(recording, PC_RECORD_WRITE, "l")->offset, 100);
    assert_int_equal(first_of(recording, PC_RECORD_FDATASYNC, "l")->file,
                     first_of(recording, PC_RECORD_CREATE, "l")->file);
    first_of(recording, PC_RECORD_ALLOCATE, "w");
    assert_int_equal(first_of(recording, PC_RECORD_PUNCH, "w")->offset, 4);
    first_of(recording, PC_RECORD_SYNC_RANGE, "l");
    pc_recording_free(recording);
}

static void *write_some(void *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0644);

    for (int i = 0; i < 50; i++)
        if (write(fd, name, 1) != 1 || fsync(fd))
            return name;
    return NULL;
}

static int act_threads(void)
{
    pthread_t threads[4];
    static char names[4][2] = {"a", "b", "c", "a"};
    void *failed;
    int failures = 0;

    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, write_some, names[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        failures += failed != NULL;
    }
    return failures;
}

static void test_threads(void **state)
{
    struct pc_recording *recording = record_self("threads", 0);

    (void)state;
    assert_int_equal(count_of(recording, PC_RECORD_WRITE), 200);
    assert_int_equal(count_of(recording, PC_RECORD_FSYNC), 200);
    pc_recording_free(recording);
}

/* io_uring is answered ENOSYS; the program goes on. */
static int act_uring(void)
{
    char params[256] = {0};

    return syscall(SYS_io_uring_setup, 4, params) == -1 && errno == ENOSYS ? 9 : 1;
}

static void test_uring(void **state)
{
    (void)state;
    pc_recording_free(record_self("uring", 9));
}

static int act_chroot(void)
{
    (void)!chroot("/");
    return 0;
}

static void test_forbidden(void **state)
{
    char *argv[] = {own, "chroot", NULL}, why[200];
    int status;

    (void)state;
    assert_int_equal(record_argv(argv, &status, why), PC_RECORD_NOT_RECORDED);
    assert_non_null(strstr(why, "chroot"));
    assert_null(pc_recording_load(log_path, why, sizeof why)); /* not finished */
}

static void test_no_program(void **state)
{
    char *argv[] = {"no-program-of-this-name", NULL}, why[200];
    int status;

    (void)state;
    assert_int_equal(record_argv(argv, &status, why), PC_RECORD_NO_PROGRAM);
    assert_non_null(strstr(why, "no-program-of-this-name"));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*act)(void);
    } acts[] = {{"mapping", act_mapping}, {"nameless", act_nameless}, {"ways", act_ways},
                {"threads", act_threads}, {"uring", act_uring},       {"chroot", act_chroot}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shell, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mapping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nameless, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uring, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forbidden, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_program, setup, teardown),
    };

    for (size_t i = 0; argc > 1 && i < sizeof acts / sizeof acts[0]; i++)
        if (strcmp(argv[1], acts[i].name) == 0)
            return acts[i].act();
    /* The leak checker of the recorded program would need to trace it itself. */
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    if (readlink("/proc/self/exe", own, sizeof own - 1) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
