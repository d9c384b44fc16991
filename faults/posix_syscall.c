/* posix_syscall.c: syscall(), by which programs make file calls that libc has no function for, or
 * that they want to make themselves. The calls that concern the disk are sent to the interposed
 * functions, whose checks decide; all others go to the kernel as they are.
 *
 * A system call that touches files and is not listed meets a placeholder descriptor or a path that
 * does not exist, and fails. io_uring and io_setup are refused while a disk is mounted, because
 * their requests could not be seen. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <linux/openat2.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FD(a)   ((int)(a))
#define TEXT(a) ((const char *)(a))
#define AT(a)   ((void *)(a))
/* A line of the tables below. */
#define SEND(number, concerned, call)                                                              \
    case number:                                                                                   \
        if (!(concerned))                                                                          \
            return false;                                                                          \
        *result = (long)(call);                                                                    \
        return true;

/* An error number as libc answers it. */
static long from_error(int error)
{
    if (!error)
        return 0;
    errno = error;
    return -1;
}

static long open_how(const long *a)
{
    const struct open_how *how = AT(a[2]);

    if (a[3] < (long)sizeof *how || how->resolve & ~(uint64_t)RESOLVE_CACHED) {
        errno = (int)-layer_refuse("openat2 with a way to resolve", TEXT(a[1]), EINVAL);
        return -1;
    }
    return openat(FD(a[0]), TEXT(a[1]), (int)how->flags, (mode_t)how->mode);
}

/* The system call answers the length, with the zero at the end. */
static long current_directory(char *buf, size_t size)
{
    if (!buf || !size) {
        errno = buf ? ERANGE : EFAULT;
        return -1;
    }
    return getcwd(buf, size) ? (long)strlen(buf) + 1 : -1;
}

static bool content_call(long number, const long *a, long *result)
{
    switch (number) {
        SEND(SYS_read, fd_is_ours(FD(a[0])), read(FD(a[0]), AT(a[1]), (size_t)a[2]))
        SEND(SYS_write, fd_is_ours(FD(a[0])), write(FD(a[0]), AT(a[1]), (size_t)a[2]))
        SEND(SYS_pread64, fd_is_ours(FD(a[0])), pread(FD(a[0]), AT(a[1]), (size_t)a[2], a[3]))
        SEND(SYS_pwrite64, fd_is_ours(FD(a[0])), pwrite(FD(a[0]), AT(a[1]), (size_t)a[2], a[3]))
        SEND(SYS_readv, fd_is_ours(FD(a[0])), readv(FD(a[0]), AT(a[1]), (int)a[2]))
        SEND(SYS_writev, fd_is_ours(FD(a[0])), writev(FD(a[0]), AT(a[1]), (int)a[2]))
        SEND(SYS_preadv, fd_is_ours(FD(a[0])), preadv(FD(a[0]), AT(a[1]), (int)a[2], a[3]))
        SEND(SYS_pwritev, fd_is_ours(FD(a[0])), pwritev(FD(a[0]), AT(a[1]), (int)a[2], a[3]))
        SEND(SYS_preadv2, fd_is_ours(FD(a[0])),
             preadv2(FD(a[0]), AT(a[1]), (int)a[2], a[3], (int)a[5]))
        SEND(SYS_pwritev2, fd_is_ours(FD(a[0])),
             pwritev2(FD(a[0]), AT(a[1]), (int)a[2], a[3], (int)a[5]))
        SEND(SYS_lseek, fd_is_ours(FD(a[0])), lseek(FD(a[0]), a[1], (int)a[2]))
        SEND(SYS_truncate, path_is_ours(TEXT(a[0])), truncate(TEXT(a[0]), a[1]))
        SEND(SYS_ftruncate, fd_is_ours(FD(a[0])), ftruncate(FD(a[0]), a[1]))
        SEND(SYS_fallocate, fd_is_ours(FD(a[0])), fallocate(FD(a[0]), (int)a[1], a[2], a[3]))
        SEND(SYS_fadvise64, fd_is_ours(FD(a[0])),
             from_error(posix_fadvise(FD(a[0]), a[1], a[2], (int)a[3])))
        SEND(SYS_readahead, fd_is_ours(FD(a[0])), readahead(FD(a[0]), a[1], (size_t)a[2]))
        SEND(SYS_sendfile, fd_is_ours(FD(a[0])) || fd_is_ours(FD(a[1])),
             sendfile(FD(a[0]), FD(a[1]), AT(a[2]), (size_t)a[3]))
        SEND(SYS_copy_file_range, fd_is_ours(FD(a[0])) || fd_is_ours(FD(a[2])),
             copy_file_range(FD(a[0]), AT(a[1]), FD(a[2]), AT(a[3]), (size_t)a[4], (unsigned)a[5]))
        SEND(SYS_splice, fd_is_ours(FD(a[0])) || fd_is_ours(FD(a[2])),
             splice(FD(a[0]), AT(a[1]), FD(a[2]), AT(a[3]), (size_t)a[4], (unsigned)a[5]))
        SEND(SYS_fsync, fd_is_ours(FD(a[0])), fsync(FD(a[0])))
        SEND(SYS_fdatasync, fd_is_ours(FD(a[0])), fdatasync(FD(a[0])))
        SEND(SYS_sync_file_range, fd_is_ours(FD(a[0])),
             sync_file_range(FD(a[0]), a[1], a[2], (unsigned)a[3]))
        SEND(SYS_syncfs, fd_is_ours(FD(a[0])), syncfs(FD(a[0])))
        SEND(SYS_sync, layer.disk, (sync(), 0))
    default:
        return false;
    }
}

static bool descriptor_call(long number, const long *a, long *result)
{
    switch (number) {
        SEND(SYS_open, path_is_ours(TEXT(a[0])), open(TEXT(a[0]), (int)a[1], (mode_t)a[2]))
        SEND(SYS_creat, path_is_ours(TEXT(a[0])), creat(TEXT(a[0]), (mode_t)a[1]))
        SEND(SYS_openat, at_is_ours(FD(a[0]), TEXT(a[1])),
             openat(FD(a[0]), TEXT(a[1]), (int)a[2], (mode_t)a[3]))
        SEND(SYS_openat2, at_is_ours(FD(a[0]), TEXT(a[1])), open_how(a))
        SEND(SYS_close, fd_is_ours(FD(a[0])), close(FD(a[0])))
        SEND(SYS_close_range, layer.disk, close_range((unsigned)a[0], (unsigned)a[1], (int)a[2]))
        SEND(SYS_dup, fd_is_ours(FD(a[0])), dup(FD(a[0])))
        SEND(SYS_dup2, fd_is_ours(FD(a[0])) || fd_is_ours(FD(a[1])), dup2(FD(a[0]), FD(a[1])))
        SEND(SYS_dup3, fd_is_ours(FD(a[0])) || fd_is_ours(FD(a[1])),
             dup3(FD(a[0]), FD(a[1]), (int)a[2]))
        SEND(SYS_fcntl, fd_is_ours(FD(a[0])), fcntl(FD(a[0]), (int)a[1], a[2]))
        SEND(SYS_ioctl, fd_is_ours(FD(a[0])), ioctl(FD(a[0]), (unsigned long)a[1], a[2]))
        SEND(SYS_flock, fd_is_ours(FD(a[0])), flock(FD(a[0]), (int)a[1]))
        SEND(SYS_getdents64, fd_is_ours(FD(a[0])), getdents64(FD(a[0]), AT(a[1]), (size_t)a[2]))
        SEND(SYS_getdents, fd_is_ours(FD(a[0])), getdents64(FD(a[0]), AT(a[1]), (size_t)a[2]))
        SEND(SYS_mmap, layer.disk,
             mmap(AT(a[0]), (size_t)a[1], (int)a[2], (int)a[3], FD(a[4]), a[5]))
        SEND(SYS_munmap, map_touches(AT(a[0]), (size_t)a[1]), munmap(AT(a[0]), (size_t)a[1]))
        SEND(SYS_mprotect, map_touches(AT(a[0]), (size_t)a[1]),
             mprotect(AT(a[0]), (size_t)a[1], (int)a[2]))
        SEND(SYS_msync, map_touches(AT(a[0]), (size_t)a[1]),
             msync(AT(a[0]), (size_t)a[1], (int)a[2]))
        SEND(SYS_mremap, map_touches(AT(a[0]), a[1] ? (size_t)a[1] : 1),
             mremap(AT(a[0]), (size_t)a[1], (size_t)a[2], (int)a[3], AT(a[4])))
        SEND(SYS_chdir, path_is_ours(TEXT(a[0])) || layer.inside, chdir(TEXT(a[0])))
        SEND(SYS_fchdir, fd_is_ours(FD(a[0])) || layer.inside, fchdir(FD(a[0])))
        SEND(SYS_getcwd, layer.inside, current_directory(AT(a[0]), (size_t)a[1]))
        SEND(SYS_chroot, path_is_ours(TEXT(a[0])), chroot(TEXT(a[0])))
    default:
        return false;
    }
}

static bool name_call(long number, const long *a, long *result)
{
    switch (number) {
        SEND(SYS_rename, path_is_ours(TEXT(a[0])) || path_is_ours(TEXT(a[1])),
             rename(TEXT(a[0]), TEXT(a[1])))
        SEND(SYS_renameat, at_is_ours(FD(a[0]), TEXT(a[1])) || at_is_ours(FD(a[2]), TEXT(a[3])),
             renameat(FD(a[0]), TEXT(a[1]), FD(a[2]), TEXT(a[3])))
        SEND(SYS_renameat2, at_is_ours(FD(a[0]), TEXT(a[1])) || at_is_ours(FD(a[2]), TEXT(a[3])),
             renameat2(FD(a[0]), TEXT(a[1]), FD(a[2]), TEXT(a[3]), (unsigned)a[4]))
        SEND(SYS_link, path_is_ours(TEXT(a[0])) || path_is_ours(TEXT(a[1])),
             link(TEXT(a[0]), TEXT(a[1])))
        SEND(SYS_linkat, at_is_ours(FD(a[0]), TEXT(a[1])) || at_is_ours(FD(a[2]), TEXT(a[3])),
             linkat(FD(a[0]), TEXT(a[1]), FD(a[2]), TEXT(a[3]), (int)a[4]))
        SEND(SYS_unlink, path_is_ours(TEXT(a[0])), unlink(TEXT(a[0])))
        SEND(SYS_unlinkat, at_is_ours(FD(a[0]), TEXT(a[1])),
             unlinkat(FD(a[0]), TEXT(a[1]), (int)a[2]))
        SEND(SYS_mkdir, path_is_ours(TEXT(a[0])), mkdir(TEXT(a[0]), (mode_t)a[1]))
        SEND(SYS_mkdirat, at_is_ours(FD(a[0]), TEXT(a[1])),
             mkdirat(FD(a[0]), TEXT(a[1]), (mode_t)a[2]))
        SEND(SYS_rmdir, path_is_ours(TEXT(a[0])), rmdir(TEXT(a[0])))
        SEND(SYS_symlink, path_is_ours(TEXT(a[1])), symlink(TEXT(a[0]), TEXT(a[1])))
        SEND(SYS_symlinkat, at_is_ours(FD(a[1]), TEXT(a[2])),
             symlinkat(TEXT(a[0]), FD(a[1]), TEXT(a[2])))
        SEND(SYS_readlink, path_is_ours(TEXT(a[0])), readlink(TEXT(a[0]), AT(a[1]), (size_t)a[2]))
        SEND(SYS_readlinkat, at_is_ours(FD(a[0]), TEXT(a[1])),
             readlinkat(FD(a[0]), TEXT(a[1]), AT(a[2]), (size_t)a[3]))
        SEND(SYS_mknod, path_is_ours(TEXT(a[0])), mknod(TEXT(a[0]), (mode_t)a[1], (dev_t)a[2]))
        SEND(SYS_mknodat, at_is_ours(FD(a[0]), TEXT(a[1])),
             mknodat(FD(a[0]), TEXT(a[1]), (mode_t)a[2], (dev_t)a[3]))
    default:
        return false;
    }
}

static bool attribute_call(long number, const long *a, long *result)
{
    switch (number) {
        SEND(SYS_stat, path_is_ours(TEXT(a[0])), stat(TEXT(a[0]), AT(a[1])))
        SEND(SYS_lstat, path_is_ours(TEXT(a[0])), lstat(TEXT(a[0]), AT(a[1])))
        SEND(SYS_fstat, fd_is_ours(FD(a[0])), fstat(FD(a[0]), AT(a[1])))
        SEND(SYS_newfstatat, at_is_ours(FD(a[0]), TEXT(a[1])),
             fstatat(FD(a[0]), TEXT(a[1]), AT(a[2]), (int)a[3]))
        SEND(SYS_statx, at_is_ours(FD(a[0]), TEXT(a[1])),
             statx(FD(a[0]), TEXT(a[1]), (int)a[2], (unsigned)a[3], AT(a[4])))
        SEND(SYS_statfs, path_is_ours(TEXT(a[0])), statfs(TEXT(a[0]), AT(a[1])))
        SEND(SYS_fstatfs, fd_is_ours(FD(a[0])), fstatfs(FD(a[0]), AT(a[1])))
        SEND(SYS_access, path_is_ours(TEXT(a[0])), access(TEXT(a[0]), (int)a[1]))
        SEND(SYS_faccessat, at_is_ours(FD(a[0]), TEXT(a[1])),
             faccessat(FD(a[0]), TEXT(a[1]), (int)a[2], 0))
        SEND(SYS_faccessat2, at_is_ours(FD(a[0]), TEXT(a[1])),
             faccessat(FD(a[0]), TEXT(a[1]), (int)a[2], (int)a[3]))
        SEND(SYS_chmod, path_is_ours(TEXT(a[0])), chmod(TEXT(a[0]), (mode_t)a[1]))
        SEND(SYS_fchmod, fd_is_ours(FD(a[0])), fchmod(FD(a[0]), (mode_t)a[1]))
        SEND(SYS_fchmodat, at_is_ours(FD(a[0]), TEXT(a[1])),
             fchmodat(FD(a[0]), TEXT(a[1]), (mode_t)a[2], 0))
        SEND(SYS_chown, path_is_ours(TEXT(a[0])), chown(TEXT(a[0]), (uid_t)a[1], (gid_t)a[2]))
        SEND(SYS_lchown, path_is_ours(TEXT(a[0])), lchown(TEXT(a[0]), (uid_t)a[1], (gid_t)a[2]))
        SEND(SYS_fchown, fd_is_ours(FD(a[0])), fchown(FD(a[0]), (uid_t)a[1], (gid_t)a[2]))
        SEND(SYS_fchownat, at_is_ours(FD(a[0]), TEXT(a[1])),
             fchownat(FD(a[0]), TEXT(a[1]), (uid_t)a[2], (gid_t)a[3], (int)a[4]))
        SEND(SYS_utimensat, at_is_ours(FD(a[0]), TEXT(a[1])),
             a[1] ? utimensat(FD(a[0]), TEXT(a[1]), AT(a[2]), (int)a[3])
                  : futimens(FD(a[0]), AT(a[2])))
        SEND(SYS_utimes, path_is_ours(TEXT(a[0])), utimes(TEXT(a[0]), AT(a[1])))
        SEND(SYS_utime, path_is_ours(TEXT(a[0])), utime(TEXT(a[0]), AT(a[1])))
        SEND(SYS_futimesat, at_is_ours(FD(a[0]), TEXT(a[1])),
             utimensat(FD(a[0]), TEXT(a[1]), NULL, 0))
        SEND(SYS_getxattr, path_is_ours(TEXT(a[0])), getxattr(TEXT(a[0]), TEXT(a[1]), NULL, 0))
        SEND(SYS_fgetxattr, fd_is_ours(FD(a[0])), fgetxattr(FD(a[0]), TEXT(a[1]), NULL, 0))
        SEND(SYS_setxattr, path_is_ours(TEXT(a[0])), setxattr(TEXT(a[0]), TEXT(a[1]), NULL, 0, 0))
        SEND(SYS_fsetxattr, fd_is_ours(FD(a[0])), fsetxattr(FD(a[0]), TEXT(a[1]), NULL, 0, 0))
    default:
        return false;
    }
}

static bool refused_call(long number, const long *a, long *result)
{
    switch (number) {
        SEND(SYS_io_uring_setup, layer.disk,
             from_error((int)-layer_refuse("io_uring_setup", "any file", ENOSYS)))
        SEND(SYS_io_setup, layer.disk,
             from_error((int)-layer_refuse("io_setup", "any file", ENOSYS)))
        SEND(SYS_execve, path_is_ours(TEXT(a[0])), execve(TEXT(a[0]), AT(a[1]), AT(a[2])))
        SEND(SYS_execveat, at_is_ours(FD(a[0]), TEXT(a[1])),
             from_error((int)-layer_refuse("execveat", TEXT(a[1]), EACCES)))
        SEND(SYS_name_to_handle_at, at_is_ours(FD(a[0]), TEXT(a[1])),
             name_to_handle_at(FD(a[0]), TEXT(a[1]), AT(a[2]), AT(a[3]), (int)a[4]))
        SEND(SYS_inotify_add_watch, path_is_ours(TEXT(a[1])),
             inotify_add_watch(FD(a[0]), TEXT(a[1]), (uint32_t)a[2]))
    default:
        return false;
    }
}

#pragma GCC visibility push(default)

/* All six arguments are taken, as libc does: those that were not given are not looked at. */
long syscall(long number, ...)
{
    long a[6], result;
    va_list ap;

    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (layer.watching && (content_call(number, a, &result) ||
                           descriptor_call(number, a, &result) || name_call(number, a, &result) ||
                           attribute_call(number, a, &result) || refused_call(number, a, &result)))
        return result;
    return layer_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#pragma GCC visibility pop
