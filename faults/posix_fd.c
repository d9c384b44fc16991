/* posix_fd.c: simulated descriptors and the open file descriptions behind them.
 *
 * fd_table maps a number to its description. Three values are no description: NULL (not ours),
 * &parked (a placeholder that waits) and &reserved (a number the layer itself uses). Numbers are
 * handed out lowest first, as far as parked ones go. All memory is static. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FILE_LIMIT     FD_LIMIT
#define FLAGS_KEPT     (~(O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_CLOEXEC))
#define FLAGS_SETTABLE (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | O_ASYNC)
#define LARGEFILE      0100000 /* what F_GETFL shows on 64-bit systems; O_LARGEFILE is 0 here */

struct file *fd_table[FD_LIMIT];

static struct file parked, reserved;
static bool fd_cloexec[FD_LIMIT];
static uint64_t parked_bits[FD_LIMIT / 64];
static size_t parked_count, open_count;
static int parked_low; /* no parked number below */
static int high;

static struct file files[FILE_LIMIT];
static struct file *files_free;
static size_t files_used;

/* ---- numbers ---- */

static void set(int fd, struct file *file)
{
    __atomic_store_n(&fd_table[fd], file, __ATOMIC_RELAXED);
    if (file && fd >= high)
        high = fd + 1;
}

static void park(int fd)
{
    set(fd, &parked);
    parked_bits[fd / 64] |= (uint64_t)1 << fd % 64;
    parked_count++;
    if (fd < parked_low)
        parked_low = fd;
}

static void unpark(int fd)
{
    parked_bits[fd / 64] &= ~((uint64_t)1 << fd % 64);
    parked_count--;
    set(fd, NULL);
}

/* Parks the number, or gives it back to the system. */
static void retire(int fd)
{
    if (parked_count < FD_PARKED_LIMIT) {
        park(fd);
    } else {
        set(fd, NULL);
        (void)real_close(fd);
    }
}

static int lowest_parked(void)
{
    for (int i = parked_low / 64; i < FD_LIMIT / 64; i++) {
        if (parked_bits[i])
            return i * 64 + __builtin_ctzll(parked_bits[i]);
    }
    return -1;
}

int fd_reserve(void)
{
    int fd;

    if (parked_count) {
        fd = lowest_parked();
        parked_low = fd;
        unpark(fd);
        return fd;
    }
    fd = real_open("/", O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fd >= FD_LIMIT) {
        (void)real_close(fd);
        return -EMFILE;
    }
    return fd;
}

void fd_unreserve(int fd)
{
    retire(fd);
}

void fd_install(int fd, struct file *file, bool cloexec)
{
    set(fd, file);
    fd_cloexec[fd] = cloexec;
    open_count++;
}

void fd_set_reserved(int fd, bool on)
{
    if ((unsigned)fd < FD_LIMIT)
        set(fd, on ? &reserved : NULL);
}

int fd_high(void)
{
    return high;
}

size_t fd_count(void)
{
    return open_count;
}

struct file *fd_peek(int fd)
{
    struct file *file = (unsigned)fd < FD_LIMIT ? fd_table[fd] : NULL;

    return file == &parked || file == &reserved ? NULL : file;
}

int fd_file_or_path(int fd, struct file **out)
{
    *out = fd_peek(fd);
    return *out ? 0 : -EBADF;
}

int fd_file(int fd, struct file **out)
{
    int st = fd_file_or_path(fd, out);

    return !st && ((*out)->flags & O_PATH) ? -EBADF : st;
}

/* Takes the number from its description. The number is the caller's. */
static void detach(int fd)
{
    struct file *file = fd_table[fd];

    set(fd, NULL);
    open_count--;
    if (!(file->flags & O_PATH))
        lock_closed(file->ino);
    file_release(file);
}

void fd_forget_all(void)
{
    for (int fd = 0; fd < high; fd++) {
        struct file *file = fd_peek(fd);

        if (!file)
            continue;
        set(fd, NULL);
        open_count--;
        if (--file->refs == 0) {
            file->next_free = files_free;
            files_free = file;
        }
        retire(fd);
    }
}

/* ---- descriptions ---- */

static void copy_path(char *to, const char *path)
{
    size_t len = strlen(path);

    if (len >= FILE_PATH_MAX)
        path += len - (FILE_PATH_MAX - 1);
    memcpy(to, path, strlen(path) + 1);
}

struct file *file_new(uint32_t ino, enum disk_kind kind, int flags, const char *path)
{
    struct file *file = files_free;

    if (file)
        files_free = file->next_free;
    else if (files_used < FILE_LIMIT)
        file = &files[files_used++];
    else
        return NULL;
    file->ino = ino;
    file->kind = kind;
    file->refs = 1;
    file->flags = flags & O_PATH ? flags & ~O_CLOEXEC : (flags & FLAGS_KEPT) | LARGEFILE;
    file->flock = 0;
    file->linkable = false;
    file->offset = 0;
    file->errors = disk_errors(layer.disk, ino);
    copy_path(file->path, path);
    disk_hold(layer.disk, ino);
    return file;
}

void file_release(struct file *file)
{
    if (--file->refs)
        return;
    lock_release(file);
    disk_drop(layer.disk, file->ino);
    file->next_free = files_free;
    files_free = file;
}

/* ---- calls ---- */

/* A close that fails has closed nevertheless, as on Linux. */
long sim_close(int fd)
{
    struct file *file = fd_peek(fd);
    int st;

    if (!file)
        return -EBADF;
    if (layer_borrowed())
        return real_close(fd) ? -errno : 0;
    st = file->flags & O_PATH ? 0 : disk_ask(layer.disk, PC_CALL_CLOSE, file->ino);
    detach(fd);
    retire(fd);
    return st;
}

/* A new number that is at least `low`. */
long sim_dup(int fd, int low, bool cloexec)
{
    struct file *file;
    int to, st = fd_file_or_path(fd, &file);

    if (st)
        return st;
    if (low < 0 || low >= FD_LIMIT)
        return -EINVAL;
    to = low ? real_fcntl(fd, F_DUPFD_CLOEXEC, low) : fd_reserve();
    if (to < 0)
        return low ? -errno : to;
    if (to >= FD_LIMIT) {
        (void)real_close(to);
        return -EMFILE;
    }
    file->refs++;
    fd_install(to, file, cloexec);
    return to;
}

long sim_dup2(int fd, int to, int flags, bool same_ok)
{
    struct file *file = fd_peek(fd);
    bool from_ours = fd_is_ours(fd);

    if ((from_ours && !file) || to < 0 || (fd_is_ours(to) && fd_table[to] == &reserved))
        return -EBADF;
    if (fd == to)
        return same_ok ? to : -EINVAL;
    if (flags & ~O_CLOEXEC)
        return -EINVAL;
    if (layer_borrowed())
        return from_ours ? layer_refuse("dup2 for another program", file->path, EBADF)
                         : (real_dup3(fd, to, flags) < 0 ? -errno : to);
    if (from_ours && to >= FD_LIMIT)
        return -EMFILE;
    if (!from_ours && real_fcntl(fd, F_GETFD) < 0)
        return -errno;
    if (real_dup3(fd, to, from_ours ? O_CLOEXEC : flags) < 0)
        return -errno;
    if (file)
        file->refs++;
    if (fd_is_ours(to)) {
        if (fd_table[to] == &parked)
            unpark(to);
        else
            detach(to);
    }
    if (file)
        fd_install(to, file, flags & O_CLOEXEC);
    return to;
}

long sim_ioctl(int fd, unsigned long request)
{
    struct file *file;
    int st = fd_file(fd, &file);

    if (st)
        return st;
    switch (request) {
    case FIOCLEX:
    case FIONCLEX:
        fd_cloexec[fd] = request == FIOCLEX;
        return 0;
    case TCGETS: /* by which isatty asks */
    case FS_IOC_GETFLAGS:
        return -ENOTTY;
    case FICLONE: /* ext4 does not share blocks either */
    case FICLONERANGE:
        return -EOPNOTSUPP;
    default:
        return layer_refuse("ioctl", file->path, ENOTTY);
    }
}

static long set_flags(struct file *file, int flags)
{
    if (file->kind == DISK_DIRECTORY && (flags & O_DIRECT))
        return -EINVAL;
    file->flags = (file->flags & ~FLAGS_SETTABLE) | (flags & FLAGS_SETTABLE);
    return 0;
}

long sim_fcntl(int fd, int command, void *arg)
{
    struct file *file;
    int st = fd_file_or_path(fd, &file);

    if (st)
        return st;
    switch (command) {
    case F_GETFL:
        return file->flags;
    case F_GETFD:
        return fd_cloexec[fd] ? FD_CLOEXEC : 0;
    case F_SETFD:
        fd_cloexec[fd] = ((intptr_t)arg & FD_CLOEXEC) || (layer_borrowed() && fd_cloexec[fd]);
        return 0;
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return sim_dup(fd, (int)(intptr_t)arg, command == F_DUPFD_CLOEXEC);
    default:
        break;
    }
    if (file->flags & O_PATH)
        return -EBADF;
    switch (command) {
    case F_SETFL:
        return set_flags(file, (int)(intptr_t)arg);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return lock_fcntl(file, command, arg);
    case F_SET_RW_HINT:
    case F_SET_FILE_RW_HINT:
        return 0;
    default:
        return layer_refuse("fcntl", file->path, EINVAL);
    }
}

/* The simulated half of close_range: afterwards no number of the range is ours, unless the layer
 * itself needs it. */
static void close_simulated(unsigned first, unsigned last, bool cloexec_only)
{
    for (int fd = (int)first; fd < high && (unsigned)fd <= last; fd++) {
        struct file *file = fd_peek(fd);

        if (cloexec_only) {
            fd_cloexec[fd] |= file != NULL;
        } else if (file) {
            detach(fd);
            retire(fd);
        }
    }
}

/* Closes the real numbers between those that are ours. */
int whole_close_range(unsigned first, unsigned last, int flags)
{
    int st = 0;

    if (first > last || (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))) {
        errno = EINVAL;
        return -1;
    }
    if (layer_borrowed())
        return real_close_range(first, last, flags);
    layer_enter();
    if (first < FD_LIMIT)
        close_simulated(first, last, flags & CLOSE_RANGE_CLOEXEC);
    while (!st && first <= last) {
        unsigned end = first;

        while (end <= last && end < (unsigned)high && !fd_table[end])
            end++;
        if (end >= (unsigned)high)
            end = last == UINT_MAX ? last : last + 1;
        if (end > first)
            st = real_close_range(first, end == UINT_MAX ? end : end - 1, flags);
        if (end == UINT_MAX)
            break;
        first = end + 1;
    }
    return (int)layer_leave(st < 0 ? -errno : 0);
}
