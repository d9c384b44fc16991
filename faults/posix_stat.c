/* posix_stat.c: attributes. What the disk does not model is constant, so that runs repeat: times
 * are 0, files are 0644, directories 0755, all belong to the user who runs. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#define DEVICE    0x7063u /* "pc" */
#define BLOCK     4096u
#define FS_MAGIC  0xef53 /* of ext4: programs ask which file system they are on */
#define FS_ROOM   (1ull << 40)
#define FS_INODES (1u << 20)

static void fill(uint32_t ino, const struct disk_stat *from, struct stat *st)
{
    memset(st, 0, sizeof *st);
    st->st_dev = DEVICE;
    st->st_ino = ino;
    st->st_mode = from->kind == DISK_DIRECTORY ? S_IFDIR | 0755
                  : from->kind == DISK_SYMLINK ? S_IFLNK | 0777
                                               : S_IFREG | 0644;
    st->st_nlink = from->links;
    st->st_uid = layer.uid;
    st->st_gid = layer.gid;
    st->st_size = (off_t)from->size;
    st->st_blksize = BLOCK;
    st->st_blocks = (blkcnt_t)((from->size + BLOCK - 1) / BLOCK * (BLOCK / 512));
}

static long stat_inode(uint32_t ino, struct stat *st)
{
    struct disk_stat from;
    int err;

    if (!st)
        return -EFAULT;
    err = disk_ask(layer.disk, PC_CALL_STAT, ino);
    if (!err)
        err = disk_stat(layer.disk, ino, &from);
    if (!err)
        fill(ino, &from, st);
    return err;
}

long sim_fstat(int fd, struct stat *st)
{
    struct file *file;
    int err = fd_file_or_path(fd, &file);

    return err ? err : stat_inode(file->ino, st);
}

long sim_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
    enum disk_kind kind;
    uint32_t ino;
    int err;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
        return -EINVAL;
    err = path_inode(dirfd, path, flags, &ino, &kind);
    return err ? err : stat_inode(ino, st);
}

long sim_statx(int dirfd, const char *path, int flags, struct statx *out)
{
    struct stat st;
    long err;

    if (!out)
        return -EFAULT;
    err = sim_fstatat(dirfd, path, &st, flags & ~AT_STATX_SYNC_TYPE);
    if (err)
        return err;
    memset(out, 0, sizeof *out);
    out->stx_mask = STATX_BASIC_STATS;
    out->stx_blksize = BLOCK;
    out->stx_nlink = (uint32_t)st.st_nlink;
    out->stx_uid = st.st_uid;
    out->stx_gid = st.st_gid;
    out->stx_mode = (uint16_t)st.st_mode;
    out->stx_ino = st.st_ino;
    out->stx_size = (uint64_t)st.st_size;
    out->stx_blocks = (uint64_t)st.st_blocks;
    out->stx_dev_major = major(DEVICE);
    out->stx_dev_minor = minor(DEVICE);
    return 0;
}

/* ---- the file system ---- */

/* Does the path (or, when it is NULL, the descriptor) exist? */
static long exists(const char *path, int fd, int flags)
{
    enum disk_kind kind;
    struct file *file;
    uint32_t ino;

    return path ? path_inode(AT_FDCWD, path, flags, &ino, &kind) : fd_file_or_path(fd, &file);
}

long sim_statfs(const char *path, int fd, struct statfs *st)
{
    long err = st ? exists(path, fd, 0) : -EFAULT;

    if (err)
        return err;
    memset(st, 0, sizeof *st);
    st->f_type = FS_MAGIC;
    st->f_bsize = BLOCK;
    st->f_frsize = BLOCK;
    st->f_blocks = FS_ROOM / BLOCK;
    st->f_bfree = st->f_bavail = st->f_blocks; /* the disk is not limited */
    st->f_files = st->f_ffree = FS_INODES;
    st->f_namelen = DISK_NAME_MAX;
    return 0;
}

long sim_statvfs(const char *path, int fd, struct statvfs *out)
{
    struct statfs st;
    long err = out ? sim_statfs(path, fd, &st) : -EFAULT;

    if (err)
        return err;
    memset(out, 0, sizeof *out);
    out->f_bsize = BLOCK;
    out->f_frsize = BLOCK;
    out->f_blocks = st.f_blocks;
    out->f_bfree = st.f_bfree;
    out->f_bavail = st.f_bavail;
    out->f_files = st.f_files;
    out->f_ffree = out->f_favail = st.f_ffree;
    out->f_fsid = DEVICE;
    out->f_namemax = DISK_NAME_MAX;
    return 0;
}

/* ---- permissions and times: checked for the name, accepted, not kept ---- */

long sim_faccessat(int dirfd, const char *path, int mode, int flags)
{
    enum disk_kind kind;
    uint32_t ino;
    int err;

    if ((mode & ~(R_OK | W_OK | X_OK)) ||
        (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
        return -EINVAL;
    err = path_inode(dirfd, path, flags, &ino, &kind);
    if (err)
        return err;
    return (mode & X_OK) && kind == DISK_FILE ? -EACCES : 0;
}

long sim_accept(int fd)
{
    struct file *file;

    return fd_file(fd, &file);
}

long sim_accept_at(int dirfd, const char *path, int flags)
{
    enum disk_kind kind;
    uint32_t ino;

    return path_inode(dirfd, path, flags, &ino, &kind);
}

/* Links have no mode of their own. */
long sim_fchmodat(int dirfd, const char *path, int flags)
{
    enum disk_kind kind;
    uint32_t ino;
    int err = path_inode(dirfd, path, flags, &ino, &kind);

    return !err && kind == DISK_SYMLINK ? -EOPNOTSUPP : err;
}

/* Without a path the descriptor itself is meant. */
long sim_utimensat(int dirfd, const char *path, int flags)
{
    return path ? sim_accept_at(dirfd, path, flags) : sim_accept(dirfd);
}

/* What a file system without extended attributes answers. */
long sim_xattr(const char *path, int fd, int flags)
{
    long err = exists(path, fd, flags);

    return err ? err : -ENOTSUP;
}

long sim_pathconf(const char *path, int fd, int name)
{
    long err = exists(path, fd, 0);

    if (err)
        return err;
    switch (name) {
    case _PC_LINK_MAX:
        return 65000; /* of ext4 */
    case _PC_NAME_MAX:
        return DISK_NAME_MAX;
    case _PC_PATH_MAX:
        return PATH_MAX;
    case _PC_CHOWN_RESTRICTED:
    case _PC_NO_TRUNC:
        return 1;
    case _PC_FILESIZEBITS:
        return 64;
    case _PC_REC_XFER_ALIGN:
    case _PC_REC_MIN_XFER_SIZE:
    case _PC_ALLOC_SIZE_MIN:
        return BLOCK;
    default:
        return layer_refuse("a name of pathconf", path ? path : "a descriptor", EINVAL);
    }
}
