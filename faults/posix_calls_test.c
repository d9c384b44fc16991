/* posix_calls_test.c: calls of the POSIX layer that libc makes of others, or that go around it:
 * walks over directories, syscall(), streams that move, exchanged names; and those that other
 * processes would have to make. Each walk is compared with libc's own on the same tree. */
#define _GNU_SOURCE
#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "powercut/disk.h"
#include "powercut/posix.h"

#define MOUNT "/powercut"

static struct pc_disk *disk;
static char real[] = "/tmp/posix_calls_test_XXXXXX";
static char text[4096];

#define expect_error(expression, error)                                                            \
    do {                                                                                           \
        errno = 0;                                                                                 \
        assert_true((long)(expression) == -1);                                                     \
        assert_int_equal(errno, error);                                                            \
    } while (0)

static int mount_new(void **state)
{
    const struct pc_disk_config config = {.model = PC_EXT4_ORDERED, .unit = 512, .seed = 7};

    disk = pc_disk_new(&config);
    pc_mount(MOUNT, disk);
    return 0;
}

static int unmount(void **state)
{
    pc_close_all();
    pc_mount(NULL, NULL);
    pc_disk_free(disk);
    return 0;
}

static void say(const char *format, ...)
{
    size_t len = strlen(text);
    va_list ap;

    va_start(ap, format);
    assert_true(vsnprintf(text + len, sizeof text - len, format, ap) < (int)(sizeof text - len));
    va_end(ap);
}

static const char *under(const char *root, const char *rest)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", root, rest);
    return path;
}

static void make(const char *path, const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    assert_int_equal(close(fd), 0);
}

static const char *content(const char *path)
{
    static char buf[256];
    int fd = open(path, O_RDONLY);
    ssize_t got = read(fd, buf, sizeof buf - 1);

    assert_true(got >= 0);
    buf[got] = '\0';
    assert_int_equal(close(fd), 0);
    return buf;
}

/* d/{b.log,a.log,sub/{x,deep/},empty/} */
static void make_tree(const char *root)
{
    assert_int_equal(mkdir(under(root, "d"), 0755), 0);
    assert_int_equal(mkdir(under(root, "d/sub"), 0755), 0);
    assert_int_equal(mkdir(under(root, "d/sub/deep"), 0755), 0);
    assert_int_equal(mkdir(under(root, "d/empty"), 0755), 0);
    make(under(root, "d/b.log"), "bb");
    make(under(root, "d/a.log"), "a");
    make(under(root, "d/sub/x"), "");
}

static void remove_tree(const char *root)
{
    static const char *const names[] = {"d/sub/x",    "d/a.log", "d/b.log", "d/empty",
                                        "d/sub/deep", "d/sub",   "d"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(remove(under(root, names[i])), 0);
}

/* What `walk` says of the tree on the disk is what it says of the same tree on a real one. */
static void compare(void (*walk)(const char *root))
{
    char expected[sizeof text];

    memcpy(real + strlen(real) - 6, "XXXXXX", 6);
    assert_ptr_equal(mkdtemp(real), real);
    make_tree(real);
    make_tree(MOUNT);
    text[0] = '\0';
    walk(real);
    memcpy(expected, text, sizeof text);
    text[0] = '\0';
    walk(MOUNT);
    assert_true(strlen(text) > 10);
    assert_string_equal(text, expected);
    remove_tree(MOUNT);
    remove_tree(real);
    assert_int_equal(rmdir(real), 0);
}

/* ---- walks ---- */

static int no_dot(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int no_dot64(const struct dirent64 *entry)
{
    return entry->d_name[0] != '.';
}

static void walk_scandir(const char *root)
{
    struct dirent **list = NULL;
    struct dirent64 **list64 = NULL;
    int count = scandir(under(root, "d"), &list, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        say("%s %d, ", list[i]->d_name, list[i]->d_type);
        free(list[i]);
    }
    free(list);
    count = scandir64(under(root, "d"), &list64, no_dot64, alphasort64);
    for (int i = count - 1; i >= 0; i--) {
        say("%s, ", list64[i]->d_name);
        free(list64[i]);
    }
    free(list64);
    count = scandir(under(root, "none"), &list, NULL, NULL);
    say("%d %d ", count, errno);
    count = scandir(under(root, "d/a.log"), &list, no_dot, NULL);
    say("%d %d ", count, errno);
}

/* The order of a directory is the file system's own; the sum of all visits is not. */
static struct {
    int count[8], levels, bases;
    off_t bytes;
    const char *root;
} visits;

static int visit(const char *path, const struct stat *st, int type, struct FTW *where)
{
    assert_memory_equal(path, visits.root, strlen(visits.root));
    visits.count[type]++;
    visits.levels += where->level;
    visits.bases += where->base - (int)strlen(visits.root);
    visits.bytes += S_ISREG(st->st_mode) ? st->st_size : 0;
    return 0;
}

static int visit_plainly(const char *path, const struct stat *st, int type)
{
    visits.count[type]++;
    visits.bytes += S_ISREG(st->st_mode) ? st->st_size : 0;
    return 0;
}

static int stop_at_sub(const char *path, const struct stat *st, int type, struct FTW *where)
{
    visits.count[type]++;
    return strcmp(path + where->base, "sub") == 0 ? FTW_SKIP_SUBTREE : FTW_CONTINUE;
}

static int stop_at_x(const char *path, const struct stat *st, int type, struct FTW *where)
{
    return strcmp(path + where->base, "x") == 0 ? 42 : 0;
}

static void say_visits(int result)
{
    for (int i = 0; i < 8; i++)
        say("%d ", visits.count[i]);
    say("%d %d %ld: %d\n", visits.levels, visits.bases, (long)visits.bytes, result);
    memset(&visits, 0, sizeof visits);
}

static void walk_nftw(const char *root)
{
    static const int flags[] = {0, FTW_PHYS, FTW_DEPTH, FTW_PHYS | FTW_DEPTH | FTW_MOUNT};

    for (size_t i = 0; i < 4; i++) {
        visits.root = root;
        say_visits(nftw(under(root, "d"), visit, 8, flags[i]));
    }
    say_visits(ftw(under(root, "d"), visit_plainly, 8));
    say_visits(nftw(under(root, "d"), stop_at_sub, 8, FTW_ACTIONRETVAL));
    say_visits(nftw(under(root, "d/"), stop_at_x, 8, 0));
    say_visits(ftw(under(root, "d/a.log"), visit_plainly, 8));
    errno = 0;
    say_visits(nftw(under(root, "none"), visit, 8, 0));
    say("%d", errno);
}

static void walk_glob(const char *root)
{
    static const char *const patterns[] = {"d/*.log", "d/*",   "d/*/*", "d/{a,z}.log",
                                           "d/[!a]*", "none*", "*/s?b", "d/a.log"};
    glob_t found = {0};

    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        int st = glob(under(root, patterns[i]), GLOB_MARK | GLOB_BRACE, NULL, &found);

        say("%d:", st);
        for (size_t k = 0; !st && k < found.gl_pathc; k++)
            say(" %s", found.gl_pathv[k] + strlen(root));
        say("\n");
        if (!st)
            globfree(&found);
    }
}

static void walk_readdir_r(const char *root)
{
    DIR *dir = opendir(under(root, "d/sub"));
    struct dirent entry, *result;
    int count = 0, types = 0;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    while (!readdir_r(dir, &entry, &result) && result) {
        assert_ptr_equal(result, &entry);
        types += entry.d_type * (int)strlen(entry.d_name);
        count++;
    }
#pragma GCC diagnostic pop
    say("%d entries, %d, %d", count, types, closedir(dir));
}

static void walks_are_as_on_a_real_directory(void **state)
{
    compare(walk_scandir);
    compare(walk_nftw);
    compare(walk_glob);
    compare(walk_readdir_r);
    expect_error(nftw(MOUNT, visit, 8, FTW_CHDIR), ENOTSUP);
}

/* ---- syscall() ---- */

static void system_calls_are_seen(void **state)
{
    const struct open_how how = {.flags = O_RDWR | O_CREAT, .mode = 0600};
    char buf[8] = "";
    struct stat st;
    int fd = (int)syscall(SYS_open, MOUNT "/a", O_RDWR | O_CREAT, 0600), other;
    off_t at = 1;

    assert_int_equal(pc_open_descriptors(), 1);
    assert_int_equal(syscall(SYS_write, fd, "hello", 5), 5);
    assert_int_equal(syscall(SYS_pwrite64, fd, "J", 1, 0), 1);
    assert_int_equal(syscall(SYS_fdatasync, fd), 0);
    assert_int_equal(pc_disk_call(disk, 3)->kind, PC_CALL_FDATASYNC);
    assert_int_equal(syscall(SYS_pread64, fd, buf, 8, 1), 4);
    assert_string_equal(buf, "ello");
    assert_int_equal(syscall(SYS_fstat, fd, &st), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(syscall(SYS_fadvise64, fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    expect_error(syscall(SYS_fadvise64, fd, 0, 0, 99), EINVAL);
    assert_int_equal(syscall(SYS_renameat2, AT_FDCWD, MOUNT "/a", AT_FDCWD, MOUNT "/b", 0), 0);
    other = (int)syscall(SYS_openat2, AT_FDCWD, MOUNT "/c", &how, sizeof how);
    assert_int_equal(syscall(SYS_copy_file_range, fd, &at, other, NULL, 9, 0), 4);
    assert_string_equal(content(MOUNT "/c"), "ello");
    expect_error(syscall(SYS_access, MOUNT "/a", F_OK), ENOENT);
    expect_error(syscall(SYS_faccessat, AT_FDCWD, MOUNT "/b", X_OK), EACCES);
    assert_int_equal(syscall(SYS_unlinkat, AT_FDCWD, MOUNT "/b", 0), 0);
    expect_error(syscall(SYS_getdents64, fd, buf, sizeof buf), ENOTSUP);
    assert_int_equal(syscall(SYS_close, fd), 0);
    assert_int_equal(syscall(SYS_close_range, other, other, 0), 0);
    assert_int_equal(pc_open_descriptors(), 0);
    assert_int_equal(syscall(SYS_getpid), getpid());
}

static void unseen_requests_are_refused(void **state)
{
    char params[128] = "";
    unsigned long context = 0;

    expect_error(syscall(SYS_io_uring_setup, 8, params), ENOSYS);
    expect_error(syscall(SYS_io_setup, 8, &context), ENOSYS);
    pc_mount(NULL, NULL);
    errno = 0;
    if (syscall(SYS_io_setup, 8, &context) == 0)
        assert_int_equal(syscall(SYS_io_destroy, context), 0);
    assert_int_not_equal(errno, EBADF);
    pc_mount(MOUNT, disk);
}

/* ---- names and attributes ---- */

static void names_are_exchanged(void **state)
{
    make(MOUNT "/a", "A");
    assert_int_equal(mkdir(MOUNT "/d", 0755), 0);
    make(MOUNT "/d/c", "C");
    assert_int_equal(renameat2(AT_FDCWD, MOUNT "/a", AT_FDCWD, MOUNT "/d/c", RENAME_EXCHANGE), 0);
    assert_string_equal(content(MOUNT "/a"), "C");
    assert_string_equal(content(MOUNT "/d/c"), "A");
    assert_int_equal(renameat2(AT_FDCWD, MOUNT "/a", AT_FDCWD, MOUNT "/d", RENAME_EXCHANGE), 0);
    assert_string_equal(content(MOUNT "/a/c"), "A");
    assert_string_equal(content(MOUNT "/d"), "C");
    expect_error(renameat2(AT_FDCWD, MOUNT "/a", AT_FDCWD, MOUNT "/x", RENAME_EXCHANGE), ENOENT);
    expect_error(renameat2(AT_FDCWD, MOUNT "/a", AT_FDCWD, MOUNT "/a/c", RENAME_EXCHANGE), EINVAL);
    expect_error(renameat2(AT_FDCWD, MOUNT "/d/", AT_FDCWD, MOUNT "/a", RENAME_EXCHANGE), ENOTDIR);
    expect_error(renameat2(AT_FDCWD, MOUNT "/a", AT_FDCWD, MOUNT, RENAME_EXCHANGE), EBUSY);
    expect_error(
        renameat2(AT_FDCWD, MOUNT "/a", AT_FDCWD, MOUNT "/d", RENAME_EXCHANGE | RENAME_NOREPLACE),
        EINVAL);
}

static void there_are_no_extended_attributes(void **state)
{
    int fd = open(MOUNT "/a", O_RDWR | O_CREAT, 0600);
    char value[8];

    expect_error(getxattr(MOUNT "/a", "user.x", value, sizeof value), ENOTSUP);
    expect_error(setxattr(MOUNT "/a", "user.x", "1", 1, 0), ENOTSUP);
    expect_error(fgetxattr(fd, "user.x", value, sizeof value), ENOTSUP);
    expect_error(listxattr(MOUNT "/a", value, sizeof value), ENOTSUP);
    expect_error(lremovexattr(MOUNT "/a", "user.x"), ENOTSUP);
    expect_error(getxattr(MOUNT "/none", "user.x", value, sizeof value), ENOENT);
    assert_int_equal(pathconf(MOUNT, _PC_NAME_MAX), 255);
    assert_int_equal(fpathconf(fd, _PC_FILESIZEBITS), 64);
    expect_error(pathconf(MOUNT "/none", _PC_NAME_MAX), ENOENT);
    assert_int_equal(ioctl(fd, FIOCLEX), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(close(fd), 0);
}

static void started_programs_cannot_read_it(void **state)
{
    char *const argv[] = {(char[]){"true"}, NULL};
    int fd, saved = dup(0);

    make(MOUNT "/a", "text");
    fd = open(MOUNT "/a", O_RDONLY);
    assert_int_equal(dup2(fd, 0), 0);
    expect_error(system("true"), EACCES);
    expect_error(execvp("true", argv), EACCES);
    errno = 0;
    assert_null(popen("true", "r"));
    assert_int_equal(errno, EACCES);
    assert_int_equal(dup2(saved, 0), 0);
    assert_int_equal(system("true"), 0);
    assert_int_equal(close(saved), 0);
    assert_int_equal(close(fd), 0);
}

/* RocksDB gives back with a hole what it had reserved beyond the end. */
static void holes_and_zeros(void **state)
{
    const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    struct stat st;
    int fd;

    make(MOUNT "/a", "text");
    fd = open(MOUNT "/a", O_RDWR);
    assert_int_equal(fallocate(fd, punch, 4, 8192), 0);
    expect_error(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 2), EOPNOTSUPP);
    expect_error(fallocate(fd, punch | FALLOC_FL_ZERO_RANGE, 0, 2), EOPNOTSUPP);
    expect_error(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
    expect_error(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096), EOPNOTSUPP);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_string_equal(content(MOUNT "/a"), "text");
    assert_int_equal(fallocate(fd, punch, 1, 2), 0);
    assert_memory_equal(content(MOUNT "/a"), "t\0\0t", 5);
    assert_int_equal(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 3, 9), 0);
    assert_memory_equal(content(MOUNT "/a"), "t\0\0\0", 5);
    assert_int_equal(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 6), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 6);
    assert_memory_equal(content(MOUNT "/a"), "\0\0\0\0\0\0", 7);
    assert_int_equal(close(fd), 0);
}

/* ---- streams that move ---- */

static void streams_are_reopened(void **state)
{
    FILE *file = fopen(MOUNT "/a", "w");
    char line[16];

    assert_int_equal(fputs("one\n", file), 1);
    assert_ptr_equal(freopen(MOUNT "/b", "w", file), file);
    assert_string_equal(content(MOUNT "/a"), "one\n");
    assert_int_equal(fputs("two\n", file), 1);
    assert_ptr_equal(freopen(MOUNT "/a", "r", file), file);
    assert_string_equal(content(MOUNT "/b"), "two\n");
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "one\n");
    assert_int_equal(fputs("no", file), EOF);
    assert_ptr_equal(freopen(NULL, "a+", file), file);
    assert_int_equal(fputs("more\n", file), 1);
    rewind(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "one\n");
    assert_ptr_equal(freopen("/dev/null", "w", file), file);
    assert_string_equal(content(MOUNT "/a"), "one\nmore\n");
    assert_int_equal(pc_open_descriptors(), 0);
    assert_int_equal(fclose(file), 0);
    file = fopen("/dev/null", "w");
    errno = 0;
    assert_null(freopen(MOUNT "/a", "w", file));
    assert_int_equal(errno, ENOTSUP);
    assert_int_equal(fclose(file), 0);
    file = fopen(MOUNT "/a", "r");
    assert_null(freopen(MOUNT "/none", "r", file));
    assert_int_equal(errno, ENOENT);
    assert_int_equal(pc_open_descriptors(), 0);
}

/* ---- symbolic links ---- */

static void links_are_followed(void **state)
{
    struct stat st, at;
    char buf[64] = "";
    int fd;

    make_tree(MOUNT);
    assert_int_equal(symlink("sub/x", MOUNT "/d/x"), 0);
    assert_int_equal(symlink("../d/./sub", MOUNT "/d/way"), 0);
    assert_int_equal(symlink(MOUNT "/d/way/../a.log", MOUNT "/far"), 0);
    make(MOUNT "/d/x", "through");
    assert_string_equal(content(MOUNT "/d/sub/x"), "through");
    assert_string_equal(content(MOUNT "/d/way/x"), "through");
    assert_string_equal(content(MOUNT "/far"), "a");
    assert_int_equal(lstat(MOUNT "/far", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(st.st_size, sizeof MOUNT "/d/way/../a.log" - 1);
    assert_int_equal(stat(MOUNT "/far", &st), 0);
    assert_int_equal(stat(MOUNT "/d/a.log", &at), 0);
    assert_int_equal(st.st_ino, at.st_ino);
    assert_ptr_equal(realpath(MOUNT "/d/way/deep/..", text), text);
    assert_string_equal(text, MOUNT "/d/sub");
    assert_int_equal(readlink(MOUNT "/d/x", buf, 3), 3);
    assert_string_equal(buf, "sub");
    fd = open(MOUNT "/d/x", O_PATH | O_NOFOLLOW);
    assert_int_equal(readlinkat(fd, "", buf, sizeof buf), 5);
    assert_int_equal(linkat(fd, "", AT_FDCWD, MOUNT "/again", AT_EMPTY_PATH), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(MOUNT "/d/x"), 0);
    assert_string_equal(content(MOUNT "/d/sub/x"), "through");
    assert_int_equal(symlink("new", MOUNT "/d/way/to"), 0);
    make(MOUNT "/d/sub/to", "made");
    assert_string_equal(content(MOUNT "/d/sub/new"), "made");
    expect_error(open(MOUNT "/d/sub/to", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
    expect_error(open(MOUNT "/d/sub/to", O_RDONLY | O_NOFOLLOW), ELOOP);
    expect_error(rmdir(MOUNT "/d/way"), ENOTDIR);
    assert_int_equal(rename(MOUNT "/far", MOUNT "/d/way"), 0);
    expect_error(open(MOUNT "/d/way", O_RDONLY), ELOOP); /* it leads through itself now */
}

/* Forty links may be followed, as on Linux; and none that leads off the disk. */
static void links_that_lead_nowhere(void **state)
{
    char from[64], to[64];

    assert_int_equal(mkdir(MOUNT "/d", 0755), 0);
    assert_int_equal(symlink("d", MOUNT "/l40"), 0);
    for (int i = 39; i >= 0; i--) {
        snprintf(from, sizeof from, MOUNT "/l%d", i);
        snprintf(to, sizeof to, "l%d", i + 1);
        assert_int_equal(symlink(to, from), 0);
    }
    assert_int_equal(access(MOUNT "/l1", R_OK), 0);
    assert_int_equal(access(MOUNT "/l1/.", R_OK), 0);
    expect_error(access(MOUNT "/l0", R_OK), ELOOP);
    expect_error(access(MOUNT "/l0/.", R_OK), ELOOP);
    expect_error(mkdir(MOUNT "/l0", 0755), EEXIST);
    expect_error(symlink("", MOUNT "/e"), ENOENT);
    memset(text, 'x', PATH_MAX);
    text[PATH_MAX - 1] = '\0';
    assert_int_equal(symlink(text, MOUNT "/longest"), 0);
    assert_int_equal(readlink(MOUNT "/longest", text, sizeof text), PATH_MAX - 1);
    text[PATH_MAX - 1] = 'x';
    expect_error(syscall(SYS_symlink, "/etc", MOUNT "/d/"), EEXIST);
    assert_int_equal(syscall(SYS_symlink, "/etc", MOUNT "/d/out"), 0);
    assert_int_equal(access(MOUNT "/d/out", F_OK), -1);
    assert_int_equal(errno, EXDEV);
    expect_error(open(MOUNT "/d/out/passwd", O_RDONLY), EXDEV);
    assert_int_equal(faccessat(AT_FDCWD, MOUNT "/d/out", X_OK, AT_SYMLINK_NOFOLLOW), 0);
    expect_error(fchmodat(AT_FDCWD, MOUNT "/d/out", 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
    assert_int_equal(unlink(MOUNT "/d/out"), 0);
}

/* A link in an image is whole, and there only with its name. */
static void links_after_a_cut(void **state)
{
    struct pc_image *image;
    struct pc_disk *booted;
    char buf[64] = "";

    assert_int_equal(symlink("to", MOUNT "/l"), 0);
    assert_int_equal(rename(MOUNT "/l", MOUNT "/m"), 0);
    for (size_t k = 1; k <= 2; k++) {
        const char *name = k == 1 ? MOUNT "/l" : MOUNT "/m";

        image = pc_image_new(disk, k);
        pc_image_begin(image, NULL, PC_FILL_NOISE);
        booted = pc_disk_boot(image);
        if (k == 2)
            pc_disk_settle(booted);
        pc_mount(MOUNT, booted);
        assert_int_equal(readlink(name, buf, sizeof buf), 2);
        assert_memory_equal(buf, "to", 2);
        make(MOUNT "/to", "there");
        assert_string_equal(content(name), "there");
        pc_mount(MOUNT, disk);
        pc_disk_free(booted);
        pc_image_free(image);
    }
}

/* ---- other processes ---- */

static void other_programs_cannot_have_it(void **state)
{
    char *const argv[] = {(char[]){"true"}, NULL};
    posix_spawn_file_actions_t actions;
    int fd = open(MOUNT "/a", O_RDWR | O_CREAT, 0600);
    struct aiocb cb = {.aio_fildes = fd};
    pid_t pid;

    expect_error(execv(MOUNT "/a", argv), EACCES);
    assert_int_equal(posix_spawn(&pid, MOUNT "/a", NULL, NULL, argv, environ), EACCES);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, 1, MOUNT "/a", O_WRONLY, 0),
                     ENOTSUP);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fd, 1), ENOTSUP);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, 3, "/dev/null", O_WRONLY, 0), 0);
    assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
    assert_int_equal(posix_spawnp(&pid, MOUNT "/a", NULL, NULL, argv, environ), EACCES);
    expect_error(inotify_add_watch(0, MOUNT, IN_CREATE), ENOTSUP);
    expect_error(aio_cancel(fd, &cb), ENOSYS);
    assert_int_equal(close(fd), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mount_new, unmount)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(walks_are_as_on_a_real_directory),
        TEST(system_calls_are_seen),
        TEST(unseen_requests_are_refused),
        TEST(names_are_exchanged),
        TEST(there_are_no_extended_attributes),
        TEST(streams_are_reopened),
        TEST(other_programs_cannot_have_it),
        TEST(started_programs_cannot_read_it),
        TEST(holes_and_zeros),
        TEST(links_are_followed),
        TEST(links_that_lead_nowhere),
        TEST(links_after_a_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
