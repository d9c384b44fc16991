/* posix_stdio.c: FILE streams over simulated descriptors. glibc's own streams make their calls
 * where nothing can be interposed, so these are made with fopencookie; fileno tells the simulated
 * descriptor. The cookie's functions use the interposed calls. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <unistd.h>

#define STREAM_LIMIT 1024

struct stream {
    FILE *file; /* NULL: free */
    int fd;     /* -1: closed by pc_close_all */
};

uint32_t stream_high;

static struct stream streams[STREAM_LIMIT];

static struct stream *find(FILE *file)
{
    for (uint32_t i = 0; i < stream_high; i++) {
        if (streams[i].file == file)
            return &streams[i];
    }
    return NULL;
}

bool stream_is_ours_slow(FILE *file)
{
    return file && find(file) != NULL;
}

void stream_forget_all(void)
{
    for (uint32_t i = 0; i < stream_high; i++)
        streams[i].fd = -1;
}

/* As exit does, which is too late for who looks at the disk before. Without the lock. */
void stream_flush_all(void)
{
    for (uint32_t i = 0; i < stream_high; i++) {
        if (streams[i].file)
            (void)fflush(streams[i].file);
    }
}

/* ---- the cookie: a struct stream ---- */

static ssize_t stream_read(void *cookie, char *buf, size_t size)
{
    const struct stream *stream = cookie;

    return read(stream->fd, buf, size);
}

/* 0 is the error here. */
static ssize_t stream_write(void *cookie, const char *buf, size_t size)
{
    const struct stream *stream = cookie;
    size_t done = 0;

    while (done < size) {
        ssize_t put = write(stream->fd, buf + done, size - done);

        if (put <= 0)
            return 0;
        done += (size_t)put;
    }
    return (ssize_t)done;
}

static int stream_seek(void *cookie, off64_t *offset, int whence)
{
    const struct stream *stream = cookie;
    off64_t at = lseek(stream->fd, *offset, whence);

    if (at < 0)
        return -1;
    *offset = at;
    return 0;
}

static int stream_close(void *cookie)
{
    struct stream *stream = cookie;
    int fd;

    layer_enter();
    fd = stream->fd;
    stream->file = NULL;
    while (stream_high && !streams[stream_high - 1].file)
        stream_high--;
    (void)layer_leave(0);
    return fd < 0 ? 0 : close(fd);
}

/* ---- calls ---- */

/* Flags of open for a mode of fopen, or -EINVAL. */
static int mode_flags(const char *mode)
{
    int flags;

    if (!mode)
        return -EINVAL;
    if (*mode == 'r')
        flags = O_RDONLY;
    else if (*mode == 'w')
        flags = O_WRONLY | O_CREAT | O_TRUNC;
    else if (*mode == 'a')
        flags = O_WRONLY | O_CREAT | O_APPEND;
    else
        return -EINVAL;
    for (mode++; *mode && *mode != ','; mode++) {
        if (*mode == '+')
            flags = (flags & ~O_ACCMODE) | O_RDWR;
        else if (*mode == 'x')
            flags |= O_EXCL;
        else if (*mode == 'e')
            flags |= O_CLOEXEC;
    }
    return flags;
}

static const char *plain_mode(int flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return "r";
    case O_WRONLY:
        return flags & O_APPEND ? "a" : "w";
    default:
        return flags & O_APPEND ? "a+" : "r+";
    }
}

static long new_stream(int fd, int flags)
{
    static const cookie_io_functions_t functions = {stream_read, stream_write, stream_seek,
                                                    stream_close};
    struct stream *stream = NULL;

    for (uint32_t i = 0; i < STREAM_LIMIT && !stream; i++) {
        if (!streams[i].file)
            stream = &streams[i];
    }
    if (!stream)
        return -EMFILE;
    if ((flags & O_APPEND) && (flags & O_ACCMODE) == O_WRONLY)
        (void)sim_lseek(fd, 0, SEEK_END); /* as libc does */
    stream->fd = fd;
    stream->file = fopencookie(stream, plain_mode(flags), functions);
    if (!stream->file)
        return -ENOMEM;
    if (stream >= streams + stream_high)
        stream_high = (uint32_t)(stream - streams) + 1;
    return (long)stream->file;
}

long sim_fopen(const char *path, const char *mode)
{
    int flags = mode_flags(mode);
    long fd, st;

    if (flags < 0)
        return flags;
    fd = sim_openat(AT_FDCWD, path, flags);
    if (fd < 0)
        return fd;
    st = new_stream((int)fd, flags);
    if (result_failed(st))
        (void)sim_close((int)fd);
    return st;
}

long sim_fdopen(int fd, const char *mode)
{
    struct file *file;
    int flags = mode_flags(mode), st = fd_file(fd, &file), access;

    if (st || flags < 0)
        return st ? st : flags;
    access = flags & O_ACCMODE;
    if ((access != O_WRONLY && !file_readable(file)) ||
        (access != O_RDONLY && !file_writable(file)))
        return -EINVAL;
    if (flags & O_APPEND)
        file->flags |= O_APPEND;
    return new_stream(fd, flags);
}

long sim_fileno(FILE *file)
{
    const struct stream *stream = find(file);

    return stream && stream->fd >= 0 ? stream->fd : -EBADF;
}

/* ---- freopen ---- */

/* What libc notes of a stream's access (bits/types/struct_FILE.h has the field, not the names). */
#define NO_READS  0x4
#define NO_WRITES 0x8
#define APPENDING 0x1000

static void set_access(FILE *file, int flags)
{
    int access = flags & O_ACCMODE;

    file->_flags &= ~(NO_READS | NO_WRITES | APPENDING);
    file->_flags |= (access == O_WRONLY ? NO_READS : 0) | (access == O_RDONLY ? NO_WRITES : 0) |
                    (flags & O_APPEND ? APPENDING : 0);
}

/* Without a path the file of the stream is opened once more. */
static int open_again(const struct stream *stream, const char *path, int flags)
{
    if (path)
        return open(path, flags, 0666);
    layer_enter();
    return (int)layer_leave(sim_reopen(stream->fd, flags));
}

/* A stream of the layer can go anywhere, since it holds nothing but a descriptor; one of libc
 * cannot come here, because nobody can put a cookie into it. */
FILE *whole_freopen(const char *path, const char *mode, FILE *file)
{
    struct stream *stream = find(file);
    int flags = mode_flags(mode), old, fd;

    if (!stream || flags < 0 || stream->fd < 0) {
        errno = flags < 0 ? -flags : (int)-layer_refuse("freopen of a libc stream", path, ENOTSUP);
        return NULL;
    }
    (void)fflush(file);
    fd = open_again(stream, path, flags);
    if (fd < 0) {
        int error = errno;

        (void)fclose(file);
        errno = error;
        return NULL;
    }
    old = stream->fd;
    rewind(file); /* away with what was read ahead */
    stream->fd = fd;
    (void)close(old);
    set_access(file, flags);
    clearerr(file);
    return file;
}
