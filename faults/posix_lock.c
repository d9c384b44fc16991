/* posix_lock.c: advisory locks. There is one process, so POSIX locks (F_SETLK, lockf) do not
 * conflict with each other, and the first close of a descriptor of the file gives them up. Locks of
 * open file descriptions (flock, F_OFD_SETLK) conflict between two descriptions of one inode, and
 * F_OFD_SETLK with POSIX locks. A call that would wait says so and answers EDEADLK: who holds the
 * lock is this process, which a deterministic run has no way to wait for. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <sys/file.h>
#include <unistd.h>

#define RANGE_LIMIT 512

struct range {
    struct file *owner; /* NULL: free; &process of POSIX locks */
    uint32_t ino;
    uint64_t start, end; /* end: exclusive */
    short type;          /* F_RDLCK, F_WRLCK */
};

static struct file process;
static struct range ranges[RANGE_LIMIT];
static size_t range_high; /* above all in use */

void lock_forget_all(void)
{
    memset(ranges, 0, range_high * sizeof *ranges);
    range_high = 0;
}

static void give_up(const struct file *owner, uint32_t ino)
{
    for (size_t i = 0; i < range_high; i++) {
        if (ranges[i].owner == owner && ranges[i].ino == ino)
            ranges[i].owner = NULL;
    }
    while (range_high && !ranges[range_high - 1].owner)
        range_high--;
}

void lock_release(struct file *file)
{
    file->flock = 0;
    give_up(file, file->ino);
}

void lock_closed(uint32_t ino)
{
    if (range_high)
        give_up(&process, ino);
}

/* ---- flock ---- */

static bool flock_conflicts(const struct file *file, int kind)
{
    for (int fd = 0; fd < fd_high(); fd++) {
        const struct file *other = fd_peek(fd);

        if (other && other != file && other->ino == file->ino && other->flock &&
            (kind == LOCK_EX || other->flock == LOCK_EX))
            return true;
    }
    return false;
}

long sim_flock(int fd, int operation)
{
    struct file *file;
    int st = fd_file(fd, &file), kind = operation & ~LOCK_NB;

    if (st)
        return st;
    disk_step(layer.disk); /* who tries again and again hangs */
    if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
        return -EINVAL;
    if (kind == LOCK_UN) {
        file->flock = 0;
        return 0;
    }
    if (flock_conflicts(file, kind)) {
        file->flock = 0; /* a conversion gives the old lock up first */
        return operation & LOCK_NB ? -EWOULDBLOCK
                                   : layer_refuse("flock that waits", file->path, EDEADLK);
    }
    file->flock = kind;
    return 0;
}

/* ---- fcntl ---- */

static int range_of(const struct file *file, const struct flock *lock, uint64_t *start,
                    uint64_t *end)
{
    int64_t base = 0, from, to;

    if (lock->l_whence == SEEK_CUR)
        base = (int64_t)file->offset;
    else if (lock->l_whence == SEEK_END)
        base = (int64_t)inode_size(file->ino);
    else if (lock->l_whence != SEEK_SET)
        return -EINVAL;
    if (__builtin_add_overflow(base, lock->l_start, &from) ||
        __builtin_add_overflow(from, lock->l_len, &to))
        return -EOVERFLOW;
    *start = (uint64_t)(lock->l_len < 0 ? to : from);
    *end = lock->l_len == 0 ? UINT64_MAX : (uint64_t)(lock->l_len < 0 ? from : to);
    return from < 0 || to < 0 ? -EINVAL : 0;
}

static const struct range *find_conflict(const struct file *owner, uint32_t ino, uint64_t start,
                                         uint64_t end, short type)
{
    for (size_t i = 0; i < range_high; i++) {
        const struct range *range = &ranges[i];

        if (range->owner && range->owner != owner && range->ino == ino && range->start < end &&
            start < range->end && (type == F_WRLCK || range->type == F_WRLCK))
            return range;
    }
    return NULL;
}

/* Neighbours of one kind become one. */
static int add(struct file *owner, uint32_t ino, uint64_t start, uint64_t end, short type)
{
    for (size_t i = 0; i < range_high; i++) {
        struct range *range = &ranges[i];

        if (range->owner != owner || range->ino != ino || range->type != type ||
            (range->end != start && range->start != end))
            continue;
        start = range->start < start ? range->start : start;
        end = range->end > end ? range->end : end;
        range->owner = NULL;
    }
    for (size_t i = 0; i < RANGE_LIMIT; i++) {
        if (!ranges[i].owner) {
            ranges[i] = (struct range){owner, ino, start, end, type};
            if (i >= range_high)
                range_high = i + 1;
            return 0;
        }
    }
    return -ENOLCK;
}

/* Cuts the part out of what the owner holds. */
static int cut(struct file *owner, uint32_t ino, uint64_t start, uint64_t end)
{
    for (size_t i = 0; i < range_high; i++) {
        struct range range = ranges[i];
        int st = 0;

        if (range.owner != owner || range.ino != ino || range.start >= end || start >= range.end)
            continue;
        ranges[i].owner = NULL;
        if (range.start < start)
            st = add(owner, ino, range.start, start, range.type);
        if (!st && range.end > end)
            st = add(owner, ino, end, range.end, range.type);
        if (st)
            return st;
    }
    return 0;
}

/* What stands in the way, as F_GETLK tells it. */
static void tell(const struct range *conflict, struct flock *lock)
{
    lock->l_type = conflict ? conflict->type : F_UNLCK;
    if (!conflict)
        return;
    lock->l_whence = SEEK_SET;
    lock->l_start = (off_t)conflict->start;
    lock->l_len = conflict->end == UINT64_MAX ? 0 : (off_t)(conflict->end - conflict->start);
    lock->l_pid = conflict->owner == &process ? layer.pid : -1;
}

/* The kernel's order: the arguments, then the descriptor. */
static int check_lock(struct file *file, bool sets, bool ofd, const struct flock *lock,
                      uint64_t *start, uint64_t *end)
{
    int st = range_of(file, lock, start, end);

    if (st)
        return st;
    if (lock->l_type != F_RDLCK && lock->l_type != F_WRLCK && (lock->l_type != F_UNLCK || !sets))
        return -EINVAL;
    if (sets && ((lock->l_type == F_RDLCK && !file_readable(file)) ||
                 (lock->l_type == F_WRLCK && !file_writable(file))))
        return -EBADF;
    return ofd && lock->l_pid ? -EINVAL : 0;
}

static long range_lock(struct file *file, int command, struct flock *lock)
{
    bool sets = command != F_GETLK && command != F_OFD_GETLK;
    bool ofd = command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    struct file *owner = ofd ? file : &process;
    const struct range *conflict;
    uint64_t start, end;
    int st = check_lock(file, sets, ofd, lock, &start, &end);

    if (st)
        return st;
    conflict =
        lock->l_type == F_UNLCK ? NULL : find_conflict(owner, file->ino, start, end, lock->l_type);
    if (!sets) {
        tell(conflict, lock);
        return 0;
    }
    if (conflict)
        return command == F_OFD_SETLK || command == F_SETLK
                   ? -EAGAIN
                   : layer_refuse("fcntl lock that waits", file->path, EDEADLK);
    st = cut(owner, file->ino, start, end);
    return st || lock->l_type == F_UNLCK ? st : add(owner, file->ino, start, end, lock->l_type);
}

long lock_fcntl(struct file *file, int command, void *arg)
{
    disk_step(layer.disk);
    return arg ? range_lock(file, command, arg) : -EFAULT;
}

/* ---- lockf: from the offset on, as libc makes it of fcntl ---- */

long sim_lockf(int fd, int command, off_t len)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_len = len};
    struct file *file;
    long st = fd_file(fd, &file);

    if (st)
        return st;
    switch (command) {
    case F_TEST:
        lock.l_type = F_RDLCK;
        st = lock_fcntl(file, F_GETLK, &lock);
        return st || lock.l_type == F_UNLCK || lock.l_pid == layer.pid ? st : -EACCES;
    case F_ULOCK:
        lock.l_type = F_UNLCK;
        return lock_fcntl(file, F_SETLK, &lock);
    case F_LOCK:
        return lock_fcntl(file, F_SETLKW, &lock);
    case F_TLOCK:
        return lock_fcntl(file, F_SETLK, &lock);
    default:
        return -EINVAL;
    }
}
