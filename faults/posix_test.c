/* posix_test.c: the POSIX layer against the simulated disk: what posix_random_test.c cannot compare
 * with a real directory, because it is the layer's own (refusals, the mount, the call log), is not
 * about files alone (streams, locks, forks, threads), or is a matter of speed. */
#define _GNU_SOURCE
#include <aio.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "powercut/disk.h"
#include "powercut/posix.h"

#define MOUNT "/powercut"

static struct pc_disk *disk;
static void *volatile nothing; /* NULL, and the compiler does not know */
static volatile int too_many = 1025;

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

static int make(const char *path, const char *content)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    return fd;
}

static void expect_content(const char *path, const char *content)
{
    char buf[256];
    int fd = open(path, O_RDONLY);
    ssize_t got = read(fd, buf, sizeof buf - 1);

    assert_true(got >= 0);
    buf[got] = '\0';
    assert_string_equal(buf, content);
    assert_int_equal(close(fd), 0);
}

#define expect_error(expression, error)                                                            \
    do {                                                                                           \
        errno = 0;                                                                                 \
        assert_true((long)(expression) == -1);                                                     \
        assert_int_equal(errno, error);                                                            \
    } while (0)
#define expect_null(expression, error)                                                             \
    do {                                                                                           \
        errno = 0;                                                                                 \
        assert_null(expression);                                                                   \
        assert_int_equal(errno, error);                                                            \
    } while (0)

static const struct pc_call *last_call(void)
{
    return pc_disk_call(disk, pc_disk_call_count(disk) - 1);
}

/* ---- the mount ---- */

static void paths_below_the_mount_are_simulated(void **state)
{
    int fd = make(MOUNT "/a", "x");
    struct stat st;

    assert_int_equal(close(fd), 0);
    assert_int_equal(stat("/powercut/./a", &st), 0);
    assert_int_equal(stat("//powercut//a", &st), 0);
    assert_int_equal(stat("/./powercut/a", &st), 0);
    assert_int_equal(stat(MOUNT, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_ino, 1);
    expect_error(stat("/powercutx", &st), ENOENT);
    expect_error(stat("/powercu", &st), ENOENT);
    assert_int_equal(stat("/tmp", &st), 0);
    expect_error(open("", O_RDONLY), ENOENT);
    pc_mount(NULL, NULL);
    expect_error(stat(MOUNT "/a", &st), ENOENT);
    pc_mount(MOUNT, disk);
    assert_int_equal(stat(MOUNT "/a", &st), 0);
    expect_error(rename(MOUNT "/a", "/tmp/a"), EXDEV);
    expect_error(link("/etc/passwd", MOUNT "/b"), EXDEV);
}

static void a_longer_mount_point_works(void **state)
{
    int fd;

    pc_mount("/tmp/deep/mount", disk);
    fd = make("/tmp/deep/mount/a", "deep");
    assert_int_equal(close(fd), 0);
    expect_content("/tmp//./deep/mount/./a", "deep");
    expect_error(open("/tmp/deep/moun", O_RDONLY), ENOENT);
}

/* ---- descriptors ---- */

static void numbers_are_reused_and_missed_calls_fail(void **state)
{
    int fd = make(MOUNT "/a", "abc"), again;
    char c;

    /* A call that is not interposed meets the placeholder. */
    expect_error(tee(fd, fd, 1, 0), EBADF);
    expect_error(vmsplice(fd, &(struct iovec){&c, 1}, 1, 0), EBADF);
    assert_int_equal(pc_open_descriptors(), 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(pc_open_descriptors(), 0);
    expect_error(close(fd), EBADF);
    expect_error(read(fd, &c, 1), EBADF);
    expect_error(fcntl(fd, F_GETFD), EBADF);
    again = open(MOUNT "/a", O_RDONLY);
    assert_int_equal(again, fd);
    assert_int_equal(close(again), 0);
}

static void duplicates_cross_the_border(void **state)
{
    int fd = make(MOUNT "/a", "abc"), real = open("/dev/null", O_WRONLY), up;
    char c;

    assert_int_equal(dup2(fd, real), real); /* a real number becomes simulated */
    assert_int_equal(pread(real, &c, 1, 1), 1);
    assert_int_equal(c, 'b');
    assert_int_equal(close(real), 0);
    real = open("/dev/zero", O_RDONLY);
    assert_int_equal(dup2(real, fd), fd); /* and the other way */
    assert_int_equal(read(fd, &c, 1), 1);
    assert_int_equal(c, 0);
    assert_int_equal(pc_open_descriptors(), 0);
    assert_int_equal(close(fd), 0);
    fd = open(MOUNT "/a", O_RDONLY);
    up = fcntl(fd, F_DUPFD_CLOEXEC, 200);
    assert_true(up >= 200);
    assert_int_equal(fcntl(up, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFD), 0);
    assert_int_equal(lseek(up, 2, SEEK_SET), 2);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 2);
    expect_error(dup3(fd, fd, 0), EINVAL);
    assert_int_equal(dup3(fd, up, O_CLOEXEC), up);
    assert_int_equal(close(up), 0);
    /* A parked number is no obstacle to a real dup2. */
    assert_int_equal(dup2(real, up), up);
    assert_int_equal(read(up, &c, 1), 1);
    assert_int_equal(close(up), 0);
    assert_int_equal(close(real), 0);
    expect_content(MOUNT "/a", "abc");
    assert_int_equal(close(fd), 0);
}

static void close_range_closes_both_kinds(void **state)
{
    int fd = make(MOUNT "/a", "abc"), real = dup(STDERR_FILENO);
    unsigned low = (unsigned)(fd < real ? fd : real), top = (unsigned)(fd < real ? real : fd);

    assert_int_equal(close_range(low, top, CLOSE_RANGE_CLOEXEC), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(real, F_GETFD), FD_CLOEXEC);
    assert_int_equal(close_range(low, ~0u, 0), 0);
    expect_error(fcntl(fd, F_GETFD), EBADF);
    expect_error(fcntl(real, F_GETFD), EBADF);
    assert_int_equal(pc_open_descriptors(), 0);
    fd = open(MOUNT "/a", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void an_unlinked_file_lives_while_open(void **state)
{
    int fd = make(MOUNT "/a", "abc"), copy = dup(fd);
    struct stat st;
    char buf[4] = "";

    assert_int_equal(unlink(MOUNT "/a"), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(fstat(copy, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(pread(copy, buf, 3, 0), 3);
    assert_string_equal(buf, "abc");
    expect_error(linkat(copy, "", AT_FDCWD, MOUNT "/b", AT_EMPTY_PATH), ENOENT);
    assert_int_equal(close(copy), 0);
}

static void close_all_is_a_death_of_the_process(void **state)
{
    int fd = make(MOUNT "/a", "abc");
    FILE *file = fopen(MOUNT "/a", "r");
    DIR *dir = opendir(MOUNT);
    void *map = mmap(NULL, 3, PROT_READ, MAP_SHARED, fd, 0);
    size_t calls = pc_disk_call_count(disk);

    assert_non_null(file);
    assert_non_null(dir);
    assert_true(map != MAP_FAILED);
    assert_int_equal(pc_open_descriptors(), 3);
    pc_close_all();
    assert_int_equal(pc_open_descriptors(), 0);
    assert_int_equal(pc_disk_call_count(disk), calls);
    expect_error(close(fd), EBADF);
    expect_error(fileno(file), EBADF);
    assert_int_equal(fclose(file), 0);
}

/* ---- content ---- */

static void several_buffers_are_one_call_of_the_disk(void **state)
{
    int fd = make(MOUNT "/a", "");
    struct iovec iov[3] = {{"ab", 2}, {NULL, 0}, {"cde", 3}};
    size_t calls = pc_disk_call_count(disk);

    assert_int_equal(writev(fd, iov, 3), 5);
    assert_int_equal(pc_disk_call_count(disk), calls + 1);
    assert_int_equal(last_call()->length, 5);
    assert_int_equal(pwritev2(fd, iov, 1, 0, RWF_DSYNC), 2);
    assert_true(last_call()->flags & PC_CALL_DSYNC);
    assert_int_equal(pwritev2(fd, iov, 1, 0, RWF_APPEND), 2);
    expect_content(MOUNT "/a", "abcdeab");
    expect_error(pwritev2(fd, iov, 1, 0, RWF_NOWAIT), EOPNOTSUPP);
    expect_error(writev(fd, iov, too_many), EINVAL);
    expect_error(preadv(fd, iov, 1, -1), EINVAL);
    expect_error(write(fd, nothing, 1), EFAULT);
    expect_error(read(fd, nothing, 1), EFAULT);
    assert_int_equal(close(fd), 0);
    fd = open(MOUNT "/a", O_WRONLY | O_DSYNC);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_true(last_call()->flags & PC_CALL_DSYNC);
    assert_int_equal(close(fd), 0);
}

static void syncs_reach_the_disk(void **state)
{
    int fd = make(MOUNT "/a", "abc"), dir = open(MOUNT, O_RDONLY | O_DIRECTORY);

    assert_int_equal(fsync(fd), 0);
    assert_int_equal(last_call()->kind, PC_CALL_FSYNC);
    assert_int_equal(fdatasync(fd), 0);
    assert_int_equal(last_call()->kind, PC_CALL_FDATASYNC);
    assert_int_equal(fdatasync(dir), 0);
    assert_int_equal(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), 0);
    assert_int_equal(last_call()->kind, PC_CALL_SYNC_RANGE);
    assert_int_equal(syncfs(dir), 0);
    assert_int_equal(last_call()->kind, PC_CALL_SYNC);
    sync();
    assert_int_equal(last_call()->kind, PC_CALL_SYNC);
    expect_error(sync_file_range(fd, -1, 0, 0), EINVAL);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(dir), 0);
}

static void faults_show_as_errors(void **state)
{
    struct pc_fault eio = {.kind = PC_FAULT_EIO, .call = PC_CALL_FSYNC, .file = "a", .nth = 1};
    struct pc_fault cut = {.kind = PC_FAULT_SHORT, .call = PC_CALL_WRITE, .file = "a", .nth = 1};
    struct pc_fault full = {.kind = PC_FAULT_ENOSPC, .call = PC_CALL_CREATE, .file = "b", .nth = 1};
    int fd = open(MOUNT "/a", O_RDWR | O_CREAT, 0644);

    pc_disk_add_fault(disk, &eio);
    pc_disk_add_fault(disk, &cut);
    pc_disk_add_fault(disk, &full);
    assert_int_equal(write(fd, "abcdef", 6), 3);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
    expect_error(fsync(fd), EIO);
    assert_int_equal(fsync(fd), 0);
    expect_error(open(MOUNT "/b", O_WRONLY | O_CREAT, 0644), ENOSPC);
    assert_int_equal(pc_open_descriptors(), 1);
    assert_int_equal(close(fd), 0);
}

/* Each description that was open when writing back failed is told once; a duplicate is the same
 * description; one that is opened later is told only if nobody was. */
static void a_failure_is_told_once_to_each(void **state)
{
    struct pc_fault eio = {.kind = PC_FAULT_EIO, .call = PC_CALL_FSYNC, .file = "a", .nth = 1};
    struct pc_fault lost = {.kind = PC_FAULT_SILENT, .call = PC_CALL_WRITE, .file = "a", .nth = 2};
    int one = make(MOUNT "/a", "abcdef"), two = open(MOUNT "/a", O_RDWR), same = dup(two), late;

    pc_disk_add_fault(disk, &eio);
    pc_disk_add_fault(disk, &lost);
    expect_error(fsync(one), EIO);
    late = open(MOUNT "/a", O_RDONLY);
    assert_int_equal(fsync(late), 0);
    expect_error(fdatasync(same), EIO);
    assert_int_equal(fsync(two), 0);
    assert_int_equal(fsync(one), 0);
    assert_int_equal(write(one, "g", 1), 1);
    assert_int_equal(write(one, "h", 1), 1); /* this one will not be written back */
    assert_int_equal(close(one), 0);
    one = open(MOUNT "/a", O_RDONLY);
    assert_int_equal(sync_file_range(one, 0, 0, SYNC_FILE_RANGE_WRITE), 0);
    expect_error(sync_file_range(one, 0, 0, SYNC_FILE_RANGE_WAIT_AFTER), EIO);
    assert_int_equal(fsync(one), 0);
    assert_int_equal(close(one), 0);
    one = open(MOUNT "/a", O_RDONLY);
    assert_int_equal(fsync(one), 0);
    expect_error(fsync(two), EIO);
    for (int i = 0; i < 4; i++)
        assert_int_equal(close((int[]){one, two, same, late}[i]), 0);
}

/* btrfs goes back to what was committed, also below a mapping. */
static void mappings_go_back(void **state)
{
    const struct pc_disk_config config = {.model = PC_BTRFS, .unit = 4096};
    struct pc_fault eio = {.kind = PC_FAULT_EIO, .call = PC_CALL_FSYNC, .file = "a", .nth = 2};
    struct pc_disk *btrfs = pc_disk_new(&config);
    char *map;
    int fd;

    pc_mount(MOUNT, btrfs);
    pc_disk_add_fault(btrfs, &eio);
    fd = make(MOUNT "/a", "abcdef");
    assert_int_equal(fsync(fd), 0);
    map = mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    map[0] = 'X';
    assert_int_equal(pwrite(fd, "YZ", 2, 6), 2);
    expect_content(MOUNT "/a", "XbcdefYZ");
    expect_error(fsync(fd), EIO);
    assert_memory_equal(map, "abcdef", 6);
    expect_content(MOUNT "/a", "abcdef");
    assert_int_equal(munmap(map, 6), 0);
    assert_int_equal(close(fd), 0);
    pc_mount(MOUNT, disk);
    pc_disk_free(btrfs);
}

static void copies_mix_real_and_simulated(void **state)
{
    char name[] = "/tmp/powercut-test-XXXXXX", buf[8] = "";
    int real = mkstemp(name), fd = make(MOUNT "/a", "abcdef");
    off_t at = 2, out_at = 1;

    assert_int_equal(sendfile(real, fd, &at, 100), 4);
    assert_int_equal(at, 6);
    assert_int_equal(pread(real, buf, 8, 0), 4);
    assert_string_equal(buf, "cdef");
    at = 1;
    assert_int_equal(copy_file_range(real, &at, fd, &out_at, 2, 0), 2);
    expect_content(MOUNT "/a", "adedef");
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 6);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(real), 0);
    assert_int_equal(unlink(name), 0);
}

static void the_rest_of_a_file_is_data(void **state)
{
    int fd = make(MOUNT "/a", "abcdef");

    assert_int_equal(lseek(fd, 2, SEEK_DATA), 2);
    assert_int_equal(lseek(fd, 2, SEEK_HOLE), 6);
    expect_error(lseek(fd, 6, SEEK_DATA), ENXIO);
    assert_int_equal(posix_fallocate(fd, 0, 10), 0);
    assert_int_equal(posix_fallocate(fd, 0, 0), EINVAL);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    assert_int_equal(readahead(fd, 0, 5), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 10);
    expect_error(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
    assert_int_equal(close(fd), 0);
}

/* ---- names, attributes, directories ---- */

static void attributes_are_constant(void **state)
{
    int fd = make(MOUNT "/a", "abc");
    struct statvfs vfs;
    struct statfs fs;
    struct statx stx;
    struct stat st;

    assert_int_equal(close(fd), 0);
    assert_int_equal(stat(MOUNT "/a", &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0644);
    assert_int_equal(st.st_mtime, 0);
    assert_int_equal(st.st_blocks, 8);
    assert_int_equal(statx(AT_FDCWD, MOUNT "/a", 0, STATX_SIZE, &stx), 0);
    assert_int_equal(stx.stx_size, 3);
    assert_int_equal(statfs(MOUNT, &fs), 0);
    assert_int_equal(fs.f_type, 0xef53);
    assert_int_equal(statvfs(MOUNT, &vfs), 0);
    assert_int_equal(vfs.f_namemax, 255);
    assert_int_equal(chmod(MOUNT "/a", 0600), 0);
    assert_int_equal(utimensat(AT_FDCWD, MOUNT "/a", NULL, 0), 0);
    expect_error(chmod(MOUNT "/none", 0600), ENOENT);
    assert_int_equal(access(MOUNT "/a", R_OK | W_OK), 0);
    expect_error(access(MOUNT "/a", X_OK), EACCES);
    expect_error(access(MOUNT "/none", F_OK), ENOENT);
}

static void directories_are_listed(void **state)
{
    struct dirent *entry;
    char found[64] = "";
    DIR *dir;
    long at;

    assert_int_equal(mkdir(MOUNT "/d", 0755), 0);
    assert_int_equal(close(make(MOUNT "/d/x", "")), 0);
    dir = opendir(MOUNT "/d");
    while ((entry = readdir(dir))) {
        size_t len = strlen(found);

        snprintf(found + len, sizeof found - len, "%.9s ", entry->d_name);
    }
    assert_string_equal(found, ". .. x ");
    rewinddir(dir);
    (void)readdir(dir);
    at = telldir(dir);
    (void)readdir(dir);
    seekdir(dir, at);
    assert_string_equal(readdir(dir)->d_name, "..");
    assert_int_equal(close(openat(dirfd(dir), "x", O_RDONLY)), 0);
    assert_int_equal(closedir(dir), 0);
    expect_null(opendir(MOUNT "/d/x"), ENOTDIR);
    expect_null(opendir(MOUNT "/none"), ENOENT);
    dir = fdopendir(open(MOUNT "/d", O_RDONLY));
    assert_non_null(dir);
    assert_int_equal(closedir(dir), 0);
    assert_int_equal(pc_open_descriptors(), 0);
}

static void paths_are_made_plain(void **state)
{
    char buf[PATH_MAX], *text;

    assert_int_equal(mkdir(MOUNT "/d", 0755), 0);
    assert_string_equal(realpath(MOUNT "//d/.././d/", buf), MOUNT "/d");
    text = realpath(MOUNT "/..", NULL);
    assert_string_equal(text, MOUNT);
    free(text);
    expect_null(realpath(MOUNT "/none", buf), ENOENT);
    text = realpath("/tmp/..", NULL);
    assert_string_equal(text, "/");
    free(text);
}

static void a_file_without_a_name_gets_one(void **state)
{
    int fd = open(MOUNT, O_TMPFILE | O_RDWR, 0600),
        other = open(MOUNT, O_TMPFILE | O_RDWR | O_EXCL);
    char path[40];
    struct stat st;

    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    assert_int_equal(linkat(AT_FDCWD, path, AT_FDCWD, MOUNT "/a", AT_SYMLINK_FOLLOW), 0);
    assert_int_equal(stat(MOUNT "/a", &st), 0);
    assert_int_equal(st.st_size, 3);
    assert_int_equal(unlink(MOUNT "/a"), 0);
    expect_error(linkat(fd, "", AT_FDCWD, MOUNT "/b", AT_EMPTY_PATH), ENOENT);
    expect_error(linkat(other, "", AT_FDCWD, MOUNT "/b", AT_EMPTY_PATH), ENOENT);
    expect_error(open(MOUNT, O_TMPFILE | O_RDONLY, 0600), EINVAL);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(other), 0);
}

static void the_current_directory_is_on_the_disk(void **state)
{
    char before[PATH_MAX], buf[PATH_MAX], *text;
    struct stat st;

    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(mkdir(MOUNT "/d", 0755), 0);
    assert_int_equal(chdir(MOUNT "/d"), 0);
    assert_int_equal(mkdir("e", 0755), 0);
    assert_int_equal(close(open("e/f", O_CREAT | O_WRONLY, 0644)), 0);
    assert_int_equal(stat(MOUNT "/d/e/f", &st), 0);
    assert_int_equal(chdir("e"), 0);
    assert_string_equal(getcwd(buf, sizeof buf), MOUNT "/d/e");
    assert_string_equal(realpath("../e/./f", buf), MOUNT "/d/e/f");
    expect_null(getcwd(buf, 4), ERANGE);
    expect_error(system("true"), EACCES);
    assert_int_equal(rename(MOUNT "/d", MOUNT "/x"), 0);
    text = getcwd(NULL, 0);
    assert_string_equal(text, MOUNT "/x/e");
    free(text);
    assert_int_equal(unlink("f"), 0);
    assert_int_equal(rmdir("../e"), 0);
    expect_null(getcwd(buf, sizeof buf), ENOENT);
    expect_error(open("g", O_CREAT | O_WRONLY, 0644), ENOENT);
    assert_int_equal(chdir(before), 0);
    assert_string_equal(getcwd(buf, sizeof buf), before);
}

static void temporary_names_repeat(void **state)
{
    char first[] = MOUNT "/t-XXXXXX", second[] = MOUNT "/t-XXXXXX", dir[] = MOUNT "/t-XXXXXX";

    assert_int_equal(close(mkstemp(first)), 0);
    assert_int_equal(close(mkostemp(second, O_CLOEXEC)), 0);
    assert_string_equal(first, MOUNT "/t-aaaaaa");
    assert_string_equal(second, MOUNT "/t-aaaaab");
    assert_ptr_equal(mkdtemp(dir), dir);
    expect_error(mkstemp(memcpy(dir, MOUNT "/no", sizeof MOUNT "/no")), EINVAL);
}

static void unsupported_calls_fail(void **state)
{
    int fd = make(MOUNT "/a", "abc");
    struct aiocb cb = {.aio_fildes = fd};

    expect_error(ioctl(fd, FIONREAD, &cb), ENOTTY);
    assert_int_equal(isatty(fd), 0);
    expect_error(mknod(MOUNT "/s", S_IFIFO | 0600, 0), EPERM);
    expect_error(aio_read(&cb), ENOSYS);
    expect_error(renameat2(AT_FDCWD, MOUNT "/a", AT_FDCWD, MOUNT "/b", RENAME_WHITEOUT), EINVAL);
    expect_error(mkfifo(MOUNT "/f", 0600), EPERM);
    assert_int_equal(close(fd), 0);
}

/* ---- locks ---- */

static void locks_conflict_between_descriptions(void **state)
{
    int a = make(MOUNT "/a", "abc"), b = open(MOUNT "/a", O_RDWR), c = dup(a);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};

    assert_int_equal(flock(a, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(flock(c, LOCK_EX | LOCK_NB), 0);
    expect_error(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    expect_error(flock(b, LOCK_EX), EDEADLK);
    assert_int_equal(close(a), 0);
    expect_error(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    assert_int_equal(flock(c, LOCK_UN), 0);
    assert_int_equal(flock(b, LOCK_EX | LOCK_NB), 0);

    assert_int_equal(fcntl(b, F_SETLK, &lock), 0);
    assert_int_equal(fcntl(c, F_SETLK, &lock), 0);
    expect_error(fcntl(b, F_OFD_SETLK, &lock), EAGAIN);
    assert_int_equal(close(dup(b)), 0); /* gives the POSIX locks up */
    assert_int_equal(fcntl(b, F_OFD_SETLK, &lock), 0);
    expect_error(fcntl(c, F_OFD_SETLK, &lock), EAGAIN);
    expect_error(fcntl(c, F_OFD_SETLKW, &lock), EDEADLK);
    lock.l_type = F_UNLCK;
    lock.l_start = 12;
    lock.l_len = 2;
    assert_int_equal(fcntl(b, F_OFD_SETLK, &lock), 0);
    lock.l_type = F_RDLCK;
    assert_int_equal(fcntl(c, F_OFD_SETLK, &lock), 0);
    lock.l_start = 0;
    lock.l_len = 0;
    assert_int_equal(fcntl(c, F_OFD_GETLK, &lock), 0);
    assert_int_equal(lock.l_type, F_WRLCK);
    assert_true(lock.l_start == 10 || lock.l_start == 14);
    assert_int_equal(close(b), 0);
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(c, F_OFD_SETLK, &lock), 0);
    expect_error(lockf(c, F_TLOCK, 0), EAGAIN);
    lock.l_type = F_UNLCK;
    assert_int_equal(fcntl(c, F_OFD_SETLK, &lock), 0);
    assert_int_equal(lockf(c, F_TLOCK, 0), 0);
    assert_int_equal(close(c), 0);
}

/* ---- mappings ---- */

static void stores_become_calls(void **state)
{
    int fd = open(MOUNT "/a", O_RDWR | O_CREAT, 0644);
    size_t calls;
    char *map, *other;

    assert_int_equal(ftruncate(fd, 10000), 0);
    map = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    other = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
    assert_true(map != MAP_FAILED && other != MAP_FAILED);
    assert_int_equal(close(fd), 0);
    calls = pc_disk_call_count(disk);
    memset(map + 500, 'x', 100); /* two units, one run */
    map[9999] = 'y';
    map[5000] = 'z';
    assert_int_equal(other[5000 - 4096], 'z');
    pc_observe_mappings();
    assert_int_equal(pc_disk_call_count(disk), calls + 3);
    assert_int_equal(pc_disk_call(disk, calls)->kind, PC_CALL_STORE);
    assert_int_equal(pc_disk_call(disk, calls)->offset, 0);
    assert_int_equal(pc_disk_call(disk, calls)->length, 1024);
    assert_int_equal(last_call()->offset, 9728);
    assert_int_equal(last_call()->length, 10000 - 9728);
    pc_observe_mappings();
    assert_int_equal(pc_disk_call_count(disk), calls + 3);
    map[0] = 'q';
    assert_int_equal(msync(map, 4096, MS_SYNC), 0);
    assert_int_equal(last_call()->kind, PC_CALL_MSYNC);
    assert_int_equal(pc_disk_call_count(disk), calls + 5);
    fd = open(MOUNT "/a", O_RDWR);
    assert_int_equal(pwrite(fd, "w", 1, 4096), 1);
    assert_int_equal(other[0], 'w');
    assert_int_equal(map[4096], 'w');
    calls = pc_disk_call_count(disk);
    pc_observe_mappings();
    assert_int_equal(pc_disk_call_count(disk), calls);
    map[1] = 'r'; /* seen by munmap */
    assert_int_equal(munmap(map, 10000), 0);
    assert_int_equal(pc_disk_call_count(disk), calls + 1);
    assert_int_equal(munmap(other, 4096), 0);
    assert_int_equal(close(fd), 0);
}

static void mappings_follow_the_rules(void **state)
{
    int fd = make(MOUNT "/a", "abc"), reader = open(MOUNT "/a", O_RDONLY);
    char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, reader, 0), *private;

    assert_true(map != MAP_FAILED);
    assert_int_equal(map[2], 'c');
    assert_int_equal(map[3], 0);
    expect_error(mprotect(map, 4096, PROT_READ | PROT_WRITE), EACCES);
    expect_error(mmap(NULL, 1, PROT_WRITE, MAP_SHARED, reader, 0), EACCES);
    expect_error(mmap(NULL, 0, PROT_READ, MAP_SHARED, reader, 0), EINVAL);
    expect_error(mmap(NULL, 1, PROT_READ, MAP_SHARED, reader, 1), EINVAL);
    private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0);
    private[0] = 'Z';
    assert_int_equal(map[0], 'a');
    expect_content(MOUNT "/a", "abc");
    map = mremap(map, 4096, 8192, MREMAP_MAYMOVE);
    assert_true(map != MAP_FAILED);
    assert_int_equal(ftruncate(fd, 8000), 0);
    assert_int_equal(pwrite(fd, "end", 3, 7997), 3);
    assert_int_equal(map[7999], 'd');
    assert_int_equal(munmap(map, 4096), 0); /* the front half */
    assert_int_equal(map[7999], 'd');
    assert_int_equal(unlink(MOUNT "/a"), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(reader), 0);
    assert_int_equal(map[7999], 'd');
    assert_int_equal(munmap(map + 4096, 4096), 0);
    assert_int_equal(munmap(private, 4096), 0);
}

/* ---- streams ---- */

static void streams_work(void **state)
{
    FILE *file = fopen(MOUNT "/a", "w+");
    char line[64];
    int fd;

    assert_non_null(file);
    assert_true(fprintf(file, "one\ntwo %d\n", 2) > 0);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(fsync(fileno(file)), 0);
    assert_int_equal(last_call()->kind, PC_CALL_FSYNC);
    rewind(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "one\n");
    assert_int_equal(fseek(file, 4, SEEK_SET), 0);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "two 2\n");
    assert_int_equal(fclose(file), 0);
    file = fopen(MOUNT "/a", "a");
    assert_true(fputs("three\n", file) >= 0);
    assert_ptr_equal(freopen(MOUNT "/b", "w", file), file);
    assert_true(fputs("bee", file) >= 0);
    assert_int_equal(fclose(file), 0);
    expect_content(MOUNT "/a", "one\ntwo 2\nthree\n");
    expect_content(MOUNT "/b", "bee");
    expect_null(fopen(MOUNT "/none", "r"), ENOENT);
    expect_null(fopen(MOUNT "/a", "wx"), EEXIST);
    fd = open(MOUNT "/a", O_RDONLY);
    expect_null(fdopen(fd, "w"), EINVAL);
    file = fdopen(fd, "r");
    assert_int_equal(fileno(file), fd);
    assert_int_equal(fclose(file), 0);
    expect_error(close(fd), EBADF);
    assert_int_equal(fileno(stderr), STDERR_FILENO);
    assert_int_equal(pc_open_descriptors(), 0);
}

/* ---- processes and threads ---- */

static void a_child_has_its_own_disk(void **state)
{
    int fd = make(MOUNT "/a", "abc"), status;
    pid_t child = fork();

    if (child == 0) {
        bool fine = pwrite(fd, "xyz", 3, 0) == 3 && mkdir(MOUNT "/d", 0755) == 0;

        _exit(fine ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expect_content(MOUNT "/a", "abc");
    assert_int_equal(close(fd), 0);
}

static void *write_much(void *arg)
{
    char path[32];

    (void)snprintf(path, sizeof path, MOUNT "/thread-%d", *(int *)arg);
    for (int i = 0; i < 500; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0644);

        if (fd < 0 || write(fd, "x", 1) != 1 || close(fd))
            return arg;
    }
    return NULL;
}

static void threads_share_the_disk(void **state)
{
    pthread_t threads[4];
    int numbers[4];

    for (int i = 0; i < 4; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_much, &numbers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        struct stat st;
        char path[32];
        void *bad;

        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
        (void)snprintf(path, sizeof path, MOUNT "/thread-%d", i);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, 500);
    }
}

static jmp_buf stuck;

static void exceeded(void *ctx)
{
    longjmp(stuck, 1);
}

/* The step limit of the disk leaves a call by a jump; the layer recovers. */
static void a_jump_out_of_a_call_is_survived(void **state)
{
    struct stat st;

    pc_disk_step_limit(disk, pc_disk_steps(disk) + 50, exceeded, NULL);
    if (!setjmp(stuck)) {
        for (int i = 0; i < 1000; i++)
            (void)stat(MOUNT, &st);
        fail();
    }
    pc_disk_step_limit(disk, UINT64_MAX, NULL, NULL);
    pc_close_all();
    assert_int_equal(close(make(MOUNT "/a", "abc")), 0);
}

/* ---- cost: printed only ---- */

static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void what_it_costs(void **state)
{
    enum { ROUNDS = 200000 };
    ssize_t (*libc_pread)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    int real = open("/dev/zero", O_RDONLY), fd = make(MOUNT "/a", "abcd");
    double start, with, without, simulated, opens;
    char c;

    for (int i = 0; i < ROUNDS; i++) /* the processor warms up */
        (void)!pread(real, &c, 1, 0);
    start = seconds();
    for (int i = 0; i < ROUNDS; i++)
        (void)!pread(real, &c, 1, 0);
    with = seconds() - start;
    start = seconds();
    for (int i = 0; i < ROUNDS; i++)
        (void)!libc_pread(real, &c, 1, 0);
    without = seconds() - start;
    start = seconds();
    for (int i = 0; i < ROUNDS; i++)
        (void)!pread(fd, &c, 1, 0);
    simulated = seconds() - start;
    start = seconds();
    for (int i = 0; i < ROUNDS; i++)
        (void)close(open(MOUNT "/a", O_RDONLY));
    opens = seconds() - start;
    print_message("ns per call: pread through the layer %.0f, without it %.0f, simulated "
                  "%.0f; simulated open and close %.0f\n",
                  with / ROUNDS * 1e9, without / ROUNDS * 1e9, simulated / ROUNDS * 1e9,
                  opens / ROUNDS * 1e9);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(real), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mount_new, unmount)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(paths_below_the_mount_are_simulated),
        TEST(a_longer_mount_point_works),
        TEST(numbers_are_reused_and_missed_calls_fail),
        TEST(duplicates_cross_the_border),
        TEST(close_range_closes_both_kinds),
        TEST(an_unlinked_file_lives_while_open),
        TEST(close_all_is_a_death_of_the_process),
        TEST(several_buffers_are_one_call_of_the_disk),
        TEST(syncs_reach_the_disk),
        TEST(faults_show_as_errors),
        TEST(a_failure_is_told_once_to_each),
        TEST(mappings_go_back),
        TEST(copies_mix_real_and_simulated),
        TEST(the_rest_of_a_file_is_data),
        TEST(attributes_are_constant),
        TEST(directories_are_listed),
        TEST(paths_are_made_plain),
        TEST(temporary_names_repeat),
        TEST(a_file_without_a_name_gets_one),
        TEST(the_current_directory_is_on_the_disk),
        TEST(unsupported_calls_fail),
        TEST(locks_conflict_between_descriptions),
        TEST(stores_become_calls),
        TEST(mappings_follow_the_rules),
        TEST(streams_work),
        TEST(a_child_has_its_own_disk),
        TEST(threads_share_the_disk),
        TEST(a_jump_out_of_a_call_is_survived),
        TEST(what_it_costs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
