/* posix_io.c: reading, writing, sizes, synchronisation. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <unistd.h>

#define IOV_COUNT_MAX 1024
#define RWF_KNOWN     (RWF_DSYNC | RWF_SYNC | RWF_APPEND)

/* AddressSanitizer does not see these buffers: the layer is not instrumented. Asked by hand. */
__attribute__((weak)) void __asan_loadN(const void *p, size_t len);
__attribute__((weak)) void __asan_storeN(const void *p, size_t len);

static int fd_readable(int fd, struct file **out)
{
    int st = fd_file(fd, out);

    if (st)
        return st;
    return file_readable(*out) ? 0 : -EBADF;
}

static int fd_writable(int fd, struct file **out)
{
    int st = fd_file(fd, out);

    if (st)
        return st;
    return file_writable(*out) ? 0 : -EBADF;
}

/* ---- reading ---- */

static long read_at(struct file *file, void *buf, size_t size, uint64_t at)
{
    ssize_t got;

    if (!buf && size)
        return -EFAULT;
    if (file->kind == DISK_DIRECTORY)
        return -EISDIR;
    if (size == 0)
        return 0;
    if (size > IO_MAX)
        size = IO_MAX;
    got =
        site_wanted
            ? layer_seam(&(struct seam_call){
                  .kind = PC_CALL_READ, .ino = file->ino, .offset = at, .room = buf, .size = size})
            : disk_read(layer.disk, file->ino, at, buf, size);
    if (got > 0 && __asan_storeN)
        __asan_storeN(buf, (size_t)got);
    return got;
}

long sim_read(int fd, void *buf, size_t size)
{
    struct file *file;
    long st = fd_readable(fd, &file);

    if (st)
        return st;
    st = read_at(file, buf, size, file->offset);
    if (st > 0)
        file->offset += (uint64_t)st;
    return st;
}

long sim_pread(int fd, void *buf, size_t size, off_t at)
{
    struct file *file;
    long st = at < 0 ? -EINVAL : fd_readable(fd, &file);

    return st ? st : read_at(file, buf, size, (uint64_t)at);
}

/* ---- writing ---- */

/* Where does a write go? `at` < 0: to the offset of the description. */
static uint64_t write_place(const struct file *file, off_t at, int flags)
{
    if ((file->flags & O_APPEND) || (flags & RWF_APPEND))
        return inode_size(file->ino);
    return at < 0 ? file->offset : (uint64_t)at;
}

static long write_at(struct file *file, const void *buf, size_t size, off_t at, int flags)
{
    bool dsync = (file->flags & (O_DSYNC | O_SYNC)) || (flags & (RWF_DSYNC | RWF_SYNC));
    uint64_t place;
    long st;

    if (!buf && size)
        return -EFAULT;
    if (size == 0)
        return 0;
    if (size > IO_MAX)
        size = IO_MAX;
    if (__asan_loadN)
        __asan_loadN(buf, size);
    place = write_place(file, at, flags);
    if (place >= INT64_MAX)
        return -EFBIG;
    if (size > INT64_MAX - place)
        size = (size_t)(INT64_MAX - place);
    st = site_wanted ? layer_seam(&(struct seam_call){.kind = PC_CALL_WRITE,
                                                      .data_only = dsync,
                                                      .ino = file->ino,
                                                      .offset = place,
                                                      .bytes = buf,
                                                      .size = size,
                                                      .errors = &file->errors})
                     : disk_write_as(layer.disk, file->ino, place, buf, size, dsync, &file->errors);
    if (st > 0) {
        map_written(file->ino, place, buf, (size_t)st);
        if (pc_disk_get_config(layer.disk)->model == PC_BTRFS)
            map_reload(file->ino); /* it may have gone back in the background */
        if (at < 0)
            file->offset = place + (uint64_t)st;
    }
    return st;
}

long sim_write(int fd, const void *buf, size_t size)
{
    struct file *file;
    long st = fd_writable(fd, &file);

    return st ? st : write_at(file, buf, size, -1, 0);
}

long sim_pwrite(int fd, const void *buf, size_t size, off_t at)
{
    struct file *file;
    long st = at < 0 ? -EINVAL : fd_writable(fd, &file);

    return st ? st : write_at(file, buf, size, at, 0);
}

/* ---- several buffers: one call of the disk ---- */

/* The bytes of all buffers, or -errno. */
static long iov_size(const struct iovec *iov, int count)
{
    size_t size = 0;

    if (count < 0 || count > IOV_COUNT_MAX)
        return -EINVAL;
    if (!iov && count)
        return -EFAULT;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > (size_t)SSIZE_MAX - size)
            return -EINVAL;
        if (!iov[i].iov_base && iov[i].iov_len)
            return -EFAULT;
        size += iov[i].iov_len;
    }
    return size > IO_MAX ? IO_MAX : (long)size;
}

static int check_flags(const struct file *file, off_t at, int flags)
{
    if (flags & ~RWF_KNOWN)
        return layer_refuse("a flag of preadv2 or pwritev2", file->path, EOPNOTSUPP);
    return at < -1 ? -EINVAL : 0;
}

long sim_readv(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    struct file *file;
    long st = fd_readable(fd, &file), size, done = 0;
    uint64_t place;

    if (st)
        return st;
    st = check_flags(file, at, flags);
    if (st)
        return st;
    size = iov_size(iov, count);
    if (size <= 0) /* nothing is asked of a directory, either */
        return size;
    if (file->kind == DISK_DIRECTORY)
        return -EISDIR;
    place = at < 0 ? file->offset : (uint64_t)at;
    for (int i = 0; i < count && done < size; i++) {
        size_t want = iov[i].iov_len;

        st = read_at(file, iov[i].iov_base, want, place + (uint64_t)done);
        if (st < 0)
            return done ? done : st;
        done += st;
        if ((size_t)st < want)
            break;
    }
    if (at < 0)
        file->offset += (uint64_t)done;
    return done;
}

long sim_writev(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    struct file *file;
    long st = fd_writable(fd, &file), size;
    size_t done = 0;
    uint8_t *all;

    if (st)
        return st;
    st = check_flags(file, at, flags);
    if (st)
        return st;
    size = iov_size(iov, count);
    if (size <= 0)
        return size;
    all = layer_scratch((size_t)size);
    if (!all)
        return -ENOMEM;
    for (int i = 0; i < count && done < (size_t)size; i++) {
        size_t len = iov[i].iov_len;

        if (len > (size_t)size - done)
            len = (size_t)size - done;
        if (__asan_loadN && len)
            __asan_loadN(iov[i].iov_base, len);
        if (len)
            memcpy(all + done, iov[i].iov_base, len);
        done += len;
    }
    return write_at(file, all, done, at, flags);
}

/* ---- offset and size ---- */

long sim_lseek(int fd, off_t offset, int whence)
{
    struct file *file;
    int64_t base = 0, size, to;
    int st = fd_file(fd, &file);

    if (st)
        return st;
    disk_step(layer.disk);
    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = (int64_t)file->offset;
        break;
    case SEEK_END:
        base = (int64_t)inode_size(file->ino);
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        size = (int64_t)inode_size(file->ino);
        if (offset < 0 || offset >= size)
            return -ENXIO;
        base = whence == SEEK_HOLE ? size - offset : 0;
        break;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, offset, &to))
        return -EOVERFLOW;
    if (to < 0)
        return -EINVAL;
    file->offset = (uint64_t)to;
    return to;
}

static long resize(uint32_t ino, off_t size)
{
    long st = layer_seam(
        &(struct seam_call){.kind = PC_CALL_TRUNCATE, .ino = ino, .offset = (uint64_t)size});

    if (!st)
        map_resized(ino);
    return st;
}

long sim_truncate(const char *path, off_t size)
{
    enum disk_kind kind;
    uint32_t ino;
    int st = size < 0 ? -EINVAL : path_inode(AT_FDCWD, path, 0, &ino, &kind);

    if (st)
        return st;
    return kind == DISK_DIRECTORY ? -EISDIR : resize(ino, size);
}

long sim_ftruncate(int fd, off_t size)
{
    struct file *file;
    int st = size < 0 ? -EINVAL : fd_file(fd, &file);

    if (st)
        return st;
    return file_writable(file) ? resize(file->ino, size) : -EINVAL;
}

/* In the kernel's order. What moves content (collapse, insert) and what shares it is refused. */
static int check_mode(const struct file *file, int mode)
{
    const int keep = FALLOC_FL_KEEP_SIZE, punch = FALLOC_FL_PUNCH_HOLE, zero = FALLOC_FL_ZERO_RANGE;

    if (mode & ~(keep | punch | zero))
        return (int)layer_refuse("a mode of fallocate", file->path, EOPNOTSUPP);
    return (mode & punch && mode & zero) || (mode & punch && !(mode & keep)) ? -EOPNOTSUPP : 0;
}

static int change_range(uint32_t ino, int mode, uint64_t at, uint64_t size)
{
    bool keep_size = mode & FALLOC_FL_KEEP_SIZE;

    if (mode & FALLOC_FL_PUNCH_HOLE)
        return disk_punch(layer.disk, ino, at, size);
    if (mode & FALLOC_FL_ZERO_RANGE)
        return disk_zero_range(layer.disk, ino, at, size, keep_size);
    return disk_allocate(layer.disk, ino, at, size, keep_size);
}

long sim_fallocate(int fd, int mode, off_t at, off_t size)
{
    struct file *file;
    uint64_t old;
    int st = fd_file(fd, &file);

    if (st)
        return st;
    if (at < 0 || size <= 0)
        return -EINVAL;
    st = check_mode(file, mode);
    if (st)
        return st;
    if (!file_writable(file))
        return -EBADF;
    if (at > INT64_MAX - size)
        return -EFBIG;
    old = inode_size(file->ino);
    st = change_range(file->ino, mode, (uint64_t)at, (uint64_t)size);
    if (st)
        return st;
    map_resized(file->ino);
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && (uint64_t)at < old)
        map_zeroed(file->ino, (uint64_t)at,
                   (uint64_t)size < old - (uint64_t)at ? (uint64_t)size : old - (uint64_t)at);
    return 0;
}

/* Answers the error itself, and leaves errno alone. */
int whole_posix_fallocate(int fd, off_t at, off_t size)
{
    int before = errno, st = 0;

    if (fallocate(fd, 0, at, size))
        st = errno;
    errno = before;
    return st;
}

int whole_posix_fadvise(int fd, int advice)
{
    const struct file *file = fd_peek(fd);

    if (!file || (file->flags & O_PATH))
        return EBADF;
    return advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE ? EINVAL : 0;
}

long sim_readahead(int fd)
{
    struct file *file;
    int st = fd_readable(fd, &file);

    if (st)
        return st;
    return file->kind == DISK_DIRECTORY ? -EINVAL : 0;
}

/* ---- durability ---- */

long sim_fsync(int fd, bool data_only)
{
    struct file *file;
    int st = fd_file(fd, &file);

    if (st)
        return st;
    st = (int)layer_seam(&(struct seam_call){.kind = data_only ? PC_CALL_FDATASYNC : PC_CALL_FSYNC,
                                             .directory = file->kind == DISK_DIRECTORY,
                                             .data_only = data_only,
                                             .ino = file->ino,
                                             .errors = &file->errors});
    if (st)
        map_reload(file->ino);
    return st;
}

long sim_sync_file_range(int fd, off_t at, off_t size, unsigned flags)
{
    const unsigned known =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    struct file *file;
    int st = fd_file(fd, &file);

    if (st)
        return st;
    if ((flags & ~known) || at < 0 || size < 0 || at > INT64_MAX - size)
        return -EINVAL;
    if (file->kind == DISK_DIRECTORY)
        return 0;
    st = disk_sync_range(layer.disk, file->ino, (uint64_t)at,
                         size ? (uint64_t)size : (uint64_t)(INT64_MAX - at));
    if (flags & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER) && !st)
        st = disk_tell(layer.disk, file->ino, &file->errors);
    return st;
}

long sim_syncfs(int fd)
{
    struct file *file;
    int st = fd_file(fd, &file);

    return st ? st : disk_sync_all(layer.disk);
}

/* ---- copies between any two descriptors ---- */

/* Moves up to `size` bytes. An offset of NULL is the descriptor's own. */
static ssize_t copy(int in, off_t *in_at, int out, off_t *out_at, size_t size)
{
    char block[16384];
    size_t done = 0;

    while (done < size) {
        size_t want = size - done < sizeof block ? size - done : sizeof block;
        ssize_t got = in_at ? pread(in, block, want, *in_at) : read(in, block, want), put;

        if (got <= 0)
            return done || got == 0 ? (ssize_t)done : got;
        put = out_at ? pwrite(out, block, (size_t)got, *out_at) : write(out, block, (size_t)got);
        if (in_at)
            *in_at += put > 0 ? put : 0;
        else if (put < got)
            (void)lseek(in, (put > 0 ? put : 0) - got, SEEK_CUR);
        if (put <= 0)
            return done ? (ssize_t)done : put;
        if (out_at)
            *out_at += put;
        done += (size_t)put;
        if (put < got)
            break;
    }
    return (ssize_t)done;
}

/* What the kernel asks first; 0 or an error number. */
static int check_ends(int in, int out, int *in_flags, int *out_flags)
{
    *in_flags = fcntl(in, F_GETFL);
    *out_flags = fcntl(out, F_GETFL);
    if (*in_flags < 0 || *out_flags < 0 || ((*in_flags | *out_flags) & O_PATH))
        return EBADF;
    return 0;
}

static int check_sendfile(int out, int in, const off_t *at)
{
    int in_flags, out_flags, error = check_ends(in, out, &in_flags, &out_flags);
    struct stat st;

    if (error)
        return error;
    if ((in_flags & O_ACCMODE) == O_WRONLY)
        return EBADF;
    if (at && *at < 0)
        return EINVAL;
    if ((out_flags & O_ACCMODE) == O_RDONLY)
        return EBADF;
    if (out_flags & O_APPEND)
        return EINVAL;
    return fstat(in, &st) || S_ISDIR(st.st_mode) ? EINVAL : 0;
}

static int check_copy(int in, const off_t *in_at, int out, const off_t *out_at, size_t *size)
{
    int in_flags, out_flags, error = check_ends(in, out, &in_flags, &out_flags);
    off_t from = in_at ? *in_at : lseek(in, 0, SEEK_CUR);
    off_t to = out_at ? *out_at : lseek(out, 0, SEEK_CUR);
    struct stat in_st, out_st;

    if (error || fstat(in, &in_st) || fstat(out, &out_st))
        return error ? error : EBADF;
    if (S_ISDIR(in_st.st_mode) || S_ISDIR(out_st.st_mode))
        return EISDIR;
    if (!S_ISREG(in_st.st_mode) || !S_ISREG(out_st.st_mode))
        return EINVAL;
    if ((in_flags & O_ACCMODE) == O_WRONLY || (out_flags & O_ACCMODE) == O_RDONLY ||
        (out_flags & O_APPEND))
        return EBADF;
    if (from < 0 || to < 0 || *size > (size_t)(INT64_MAX - from) ||
        *size > (size_t)(INT64_MAX - to))
        return from < 0 || to < 0 ? EINVAL : EOVERFLOW;
    if (from >= in_st.st_size)
        *size = 0;
    else if (*size > (size_t)(in_st.st_size - from))
        *size = (size_t)(in_st.st_size - from);
    return in_st.st_ino == out_st.st_ino && in_st.st_dev == out_st.st_dev &&
                   to + (off_t)*size > from && to < from + (off_t)*size
               ? EINVAL
               : 0;
}

ssize_t whole_sendfile(int out, int in, off_t *at, size_t size)
{
    int error = check_sendfile(out, in, at);

    if (error) {
        errno = error;
        return -1;
    }
    return copy(in, at, out, NULL, size);
}

ssize_t whole_copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t size,
                              unsigned flags)
{
    int error = flags ? EINVAL : check_copy(in, in_at, out, out_at, &size);

    if (error) {
        errno = error;
        return -1;
    }
    return copy(in, in_at, out, out_at, size);
}
