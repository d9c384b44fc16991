/* record_calls.c: what a system call does to the directory.
 *
 * Each call is looked at twice: before, whether it concerns the directory at all; after, what it
 * did. No other recorded call comes in between. What was written is read back from the file, so
 * that write, writev, sendfile and splice are one thing, and the log has what is really there.
 *
 *   R3 The directory is a file system of its own: a rename or link over its border answers EXDEV,
 *      and programs copy instead, as they have to.
 *   R4 A call that cannot be recorded is not made. Where programs must expect it, it answers an
 *      error (ENOSYS, EOPNOTSUPP); else the recording ends. None is silently let through. */
#define _GNU_SOURCE
#include "record_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"

#ifndef RWF_DSYNC
#define RWF_DSYNC 2
#define RWF_SYNC  4
#endif
#define RWF_APPEND_FLAG 16
#define O_TMPFILE_FLAG  020000000
#define SYS_fchmodat2_  452

/* number, what, name, fd, dir, path, to_dir, to, flags, offset, length */
const struct call_row call_rows[] = {
    {SYS_open, CALL_OPEN, "open", -1, -1, 0, -1, -1, 1, -1, -1},
    {SYS_openat, CALL_OPEN, "openat", -1, 0, 1, -1, -1, 2, -1, -1},
    {SYS_openat2, CALL_OPEN, "openat2", -1, 0, 1, -1, -1, -1, -1, -1},
    {SYS_creat, CALL_OPEN, "creat", -1, -1, 0, -1, -1, -1, -1, -1},
    {SYS_write, CALL_WRITE, "write", 0, -1, -1, -1, -1, -1, -1, -1},
    {SYS_writev, CALL_WRITE, "writev", 0, -1, -1, -1, -1, -1, -1, -1},
    {SYS_pwrite64, CALL_WRITE, "pwrite", 0, -1, -1, -1, -1, -1, 3, -1},
    {SYS_pwritev, CALL_WRITE, "pwritev", 0, -1, -1, -1, -1, -1, 3, -1},
    {SYS_pwritev2, CALL_WRITE, "pwritev2", 0, -1, -1, -1, -1, 5, 3, -1},
    {SYS_sendfile, CALL_COPY, "sendfile", 0, -1, -1, -1, -1, -1, -1, -1},
    {SYS_copy_file_range, CALL_COPY, "copy_file_range", 2, -1, -1, -1, -1, -1, 3, -1},
    {SYS_splice, CALL_COPY, "splice", 2, -1, -1, -1, -1, -1, 3, -1},
    {SYS_truncate, CALL_TRUNCATE, "truncate", -1, -1, 0, -1, -1, -1, -1, 1},
    {SYS_ftruncate, CALL_FTRUNCATE, "ftruncate", 0, -1, -1, -1, -1, -1, -1, 1},
    {SYS_fallocate, CALL_FALLOCATE, "fallocate", 0, -1, -1, -1, -1, 1, 2, 3},
    {SYS_rename, CALL_RENAME, "rename", -1, -1, 0, -1, 1, -1, -1, -1},
    {SYS_renameat, CALL_RENAME, "renameat", -1, 0, 1, 2, 3, -1, -1, -1},
    {SYS_renameat2, CALL_RENAME, "renameat2", -1, 0, 1, 2, 3, 4, -1, -1},
    {SYS_link, CALL_LINK, "link", -1, -1, 0, -1, 1, -1, -1, -1},
    {SYS_linkat, CALL_LINK, "linkat", -1, 0, 1, 2, 3, 4, -1, -1},
    {SYS_symlink, CALL_SYMLINK, "symlink", -1, -1, 1, -1, 0, -1, -1, -1},
    {SYS_symlinkat, CALL_SYMLINK, "symlinkat", -1, 1, 2, -1, 0, -1, -1, -1},
    {SYS_unlink, CALL_UNLINK, "unlink", -1, -1, 0, -1, -1, -1, -1, -1},
    {SYS_unlinkat, CALL_UNLINK, "unlinkat", -1, 0, 1, -1, -1, 2, -1, -1},
    {SYS_rmdir, CALL_RMDIR, "rmdir", -1, -1, 0, -1, -1, -1, -1, -1},
    {SYS_mkdir, CALL_MKDIR, "mkdir", -1, -1, 0, -1, -1, -1, -1, -1},
    {SYS_mkdirat, CALL_MKDIR, "mkdirat", -1, 0, 1, -1, -1, -1, -1, -1},
    {SYS_mknod, CALL_MKNOD, "mknod", -1, -1, 0, -1, -1, -1, -1, -1},
    {SYS_mknodat, CALL_MKNOD, "mknodat", -1, 0, 1, -1, -1, -1, -1, -1},
    {SYS_chmod, CALL_CHMOD, "chmod", -1, -1, 0, -1, -1, -1, -1, -1},
    {SYS_fchmodat, CALL_CHMOD, "fchmodat", -1, 0, 1, -1, -1, -1, -1, -1},
    {SYS_fchmodat2_, CALL_CHMOD, "fchmodat2", -1, 0, 1, -1, -1, 3, -1, -1},
    {SYS_fchmod, CALL_FCHMOD, "fchmod", 0, -1, -1, -1, -1, -1, -1, -1},
    {SYS_fsync, CALL_FSYNC, "fsync", 0, -1, -1, -1, -1, -1, -1, -1},
    {SYS_fdatasync, CALL_FDATASYNC, "fdatasync", 0, -1, -1, -1, -1, -1, -1, -1},
    {SYS_sync, CALL_SYNC, "sync", -1, -1, -1, -1, -1, -1, -1, -1},
    {SYS_syncfs, CALL_SYNCFS, "syncfs", 0, -1, -1, -1, -1, -1, -1, -1},
    {SYS_sync_file_range, CALL_SYNC_RANGE, "sync_file_range", 0, -1, -1, -1, -1, -1, 1, 2},
    {SYS_msync, CALL_MSYNC, "msync", -1, -1, -1, -1, -1, 2, 0, 1},
    {SYS_mmap, CALL_MMAP, "mmap", 4, -1, -1, -1, -1, 3, -1, -1},
    {SYS_ioctl, CALL_CLONE_FILE, "ioctl", 0, -1, -1, -1, -1, -1, -1, -1},
    {SYS_io_uring_setup, CALL_REFUSED, "io_uring_setup", -1, -1, -1, -1, -1, -1, -1, -1},
    {SYS_io_setup, CALL_REFUSED, "io_setup", -1, -1, -1, -1, -1, -1, -1, -1},
    {SYS_chroot, CALL_FORBIDDEN, "chroot", -1, -1, -1, -1, -1, -1, -1, -1},
    {SYS_pivot_root, CALL_FORBIDDEN, "pivot_root", -1, -1, -1, -1, -1, -1, -1, -1},
    {SYS_mount, CALL_FORBIDDEN, "mount", -1, -1, -1, -1, -1, -1, -1, -1},
    {SYS_move_mount, CALL_FORBIDDEN, "move_mount", -1, -1, -1, -1, -1, -1, -1, -1},
};

const size_t call_row_count = sizeof call_rows / sizeof call_rows[0];

void record_failed(struct recorder *recorder, const char *format, ...)
{
    va_list ap;

    if (*recorder->why)
        return;
    va_start(ap, format);
    vsnprintf(recorder->why, recorder->why_room, format, ap);
    va_end(ap);
}

/* ---- looking into a process ---- */

static bool peek(const struct tracee *tracee, uint64_t at, void *to, size_t size)
{
    struct iovec here = {to, size}, there = {(void *)(uintptr_t)at, size};

    return process_vm_readv(tracee->pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* Page by page: what follows the text may not be mapped. */
static bool peek_text(const struct tracee *tracee, uint64_t at, char text[PATH_MAX])
{
    size_t done = 0;

    while (done < PATH_MAX) {
        size_t size = 4096 - (at + done) % 4096;

        if (size > PATH_MAX - done)
            size = PATH_MAX - done;
        if (!peek(tracee, at + done, text + done, size))
            return false;
        if (memchr(text + done, 0, size))
            return true;
        done += size;
    }
    return false;
}

static void fd_path(const struct tracee *tracee, int fd, char path[64])
{
    if (fd == AT_FDCWD)
        snprintf(path, 64, "/proc/%d/cwd", (int)tracee->tid);
    else
        snprintf(path, 64, "/proc/%d/fd/%d", (int)tracee->tid, fd);
}

static bool fd_stat(const struct tracee *tracee, int fd, struct stat *st)
{
    char path[64];

    fd_path(tracee, fd, path);
    return fd >= 0 && stat(path, st) == 0;
}

/* Where the descriptor is, below the directory; NULL: not there. */
static const char *fd_below(const struct recorder *recorder, const struct tracee *tracee, int fd,
                            char path[PATH_MAX])
{
    char link[64];
    ssize_t len;

    fd_path(tracee, fd, link);
    len = readlink(link, path, PATH_MAX - 1);
    path[len < 0 ? 0 : len] = '\0';
    return files_below(&recorder->files, path);
}

/* The flags and the position of a descriptor. */
static bool fd_info(const struct tracee *tracee, int fd, int *flags, uint64_t *position)
{
    char path[64], text[256] = "";
    unsigned long long pos = 0;
    unsigned octal = 0;
    int in;
    ssize_t len;

    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)tracee->tid, fd);
    in = open(path, O_RDONLY | O_CLOEXEC);
    len = in < 0 ? -1 : read(in, text, sizeof text - 1);
    if (in >= 0)
        (void)close(in);
    if (len <= 0 || sscanf(text, "pos: %llu flags: %o", &pos, &octal) != 2)
        return false;
    *flags = (int)octal;
    *position = pos;
    return true;
}

/* /proc/self is somebody else for us. */
static void translate(const struct tracee *tracee, const char *path, char out[PATH_MAX])
{
    static const char *const own[] = {"/proc/self/", "/proc/thread-self/", "/dev/fd/"};

    snprintf(out, PATH_MAX, "%s", path);
    for (size_t i = 0; i < 3; i++)
        if (strncmp(path, own[i], strlen(own[i])) == 0)
            snprintf(out, PATH_MAX, "/proc/%d/%s%s", (int)tracee->tid, i == 2 ? "fd/" : "",
                     path + strlen(own[i]));
}

/* The absolute path that the argument means: the directory resolved, the last name as it is. */
static bool resolve(const struct tracee *tracee, int dir, const char *path, char out[PATH_MAX])
{
    char whole[2 * PATH_MAX], own[PATH_MAX], *slash, last[NAME_MAX + 2];
    size_t len = 0;

    translate(tracee, path, own);
    if (own[0] != '/') {
        char link[64];
        ssize_t got;

        fd_path(tracee, dir, link);
        got = readlink(link, whole, PATH_MAX - 1);
        if (got <= 0)
            return false;
        len = (size_t)got;
        whole[len++] = '/';
    }
    snprintf(whole + len, sizeof whole - len, "%s", own);
    len = strlen(whole);
    while (len > 1 && whole[len - 1] == '/')
        whole[--len] = '\0';
    slash = strrchr(whole, '/');
    if (slash == NULL || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0 || !slash[1])
        return realpath(whole, out) != NULL;
    if (strlen(slash + 1) > NAME_MAX)
        return false;
    snprintf(last, sizeof last, "%s", slash + 1);
    *(slash == whole ? slash + 1 : slash) = '\0';
    if (realpath(whole, out) == NULL)
        return false;
    len = strlen(out);
    if (len + strlen(last) + 2 > PATH_MAX)
        return false;
    snprintf(out + len, PATH_MAX - len, "%s%s", len > 1 ? "/" : "", last);
    return true;
}

/* Resolves an argument of the call into `below` (ours: in the directory) and looks at it. */
static bool look(const struct recorder *recorder, const struct tracee *tracee, int dir_arg,
                 int path_arg, bool follow, char below[PATH_MAX], struct stat *st)
{
    int dir = dir_arg < 0 ? AT_FDCWD : (int)tracee->arg[dir_arg];
    char text[PATH_MAX], path[PATH_MAX], target[PATH_MAX];
    const char *ours;

    memset(st, 0, sizeof *st);
    below[0] = '\0';
    if (!peek_text(tracee, tracee->arg[path_arg], text) || !*text ||
        !resolve(tracee, dir, text, path))
        return false;
    if (follow && realpath(path, target))
        memcpy(path, target, sizeof path);
    if (lstat(path, st))
        memset(st, 0, sizeof *st);
    ours = files_below(&recorder->files, path);
    if (ours)
        memmove(below, ours, strlen(ours) + 1);
    return ours != NULL;
}

/* The file of the directory that `st` is; NULL: none. */
static struct known *known_of(struct recorder *recorder, const struct stat *st)
{
    struct known *known = st->st_ino ? files_find(&recorder->files, st) : NULL;

    return known && !known->named && st->st_nlink > 0 ? NULL : known;
}

static struct known *known_fd(struct recorder *recorder, const struct tracee *tracee)
{
    struct stat st;

    return fd_stat(tracee, (int)tracee->arg[tracee->row->fd], &st) ? known_of(recorder, &st) : NULL;
}

static bool is_output(const struct recorder *recorder, const struct stat *st)
{
    return st->st_ino == recorder->output.st_ino && st->st_dev == recorder->output.st_dev;
}

/* ---- before ---- */

static enum call_verdict answer(struct recorder *recorder, struct tracee *tracee, int error,
                                bool tell)
{
    tracee->answer = error;
    if (tell && recorder->messages)
        fprintf(recorder->messages, "powercut: %s cannot be recorded; process %u was answered %s\n",
                tracee->row->name, (unsigned)tracee->process, strerrorname_np(error));
    return CALL_ANSWER;
}

static enum call_verdict stop(struct recorder *recorder, struct tracee *tracee)
{
    record_failed(recorder, "process %u calls %s, which cannot be recorded",
                  (unsigned)tracee->process, tracee->row->name);
    return CALL_STOP;
}

static int open_flags(const struct tracee *tracee)
{
    uint64_t how = 0;

    if (tracee->number == SYS_creat)
        return O_WRONLY | O_CREAT | O_TRUNC;
    if (tracee->number != SYS_openat2)
        return (int)tracee->arg[tracee->row->flags];
    return peek(tracee, tracee->arg[2], &how, sizeof how) ? (int)how : 0;
}

static enum call_verdict before_open(struct recorder *recorder, struct tracee *tracee)
{
    bool exact;

    tracee->flags = open_flags(tracee);
    if (!(tracee->flags & (O_CREAT | O_TRUNC | O_TMPFILE_FLAG)))
        return CALL_PASS;
    exact =
        (tracee->flags & O_NOFOLLOW) || (tracee->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    tracee->ours = look(recorder, tracee, tracee->row->dir, tracee->row->path, !exact, tracee->path,
                        &tracee->st);
    /* A link that leads nowhere may lead in here. */
    if (!tracee->ours && !S_ISLNK(tracee->st.st_mode))
        return CALL_PASS;
    if (tracee->st.st_ino && !S_ISREG(tracee->st.st_mode) && !S_ISDIR(tracee->st.st_mode) &&
        !S_ISLNK(tracee->st.st_mode))
        return CALL_PASS; /* opening a FIFO waits */
    return CALL_RECORD;
}

static enum call_verdict before_two(struct recorder *recorder, struct tracee *tracee)
{
    const struct call_row *row = tracee->row;
    bool link = row->what == CALL_LINK, known;

    tracee->flags = row->flags < 0 ? 0 : (int)tracee->arg[row->flags];
    tracee->ours = look(recorder, tracee, row->dir, row->path,
                        link && (tracee->flags & AT_SYMLINK_FOLLOW), tracee->path, &tracee->st);
    tracee->to_ours =
        look(recorder, tracee, row->to_dir, row->to, false, tracee->to, &tracee->to_st);
    if (link) {
        /* A nameless file is found by its descriptor, whatever its path looks like. */
        char text[PATH_MAX], own[PATH_MAX];

        if (peek_text(tracee, tracee->arg[row->path], text)) {
            translate(tracee, text, own);
            if (!*text && (tracee->flags & AT_EMPTY_PATH))
                (void)fd_stat(tracee, (int)tracee->arg[row->dir], &tracee->st);
            else if ((tracee->flags & AT_SYMLINK_FOLLOW) && strncmp(own, "/proc/", 6) == 0)
                (void)stat(own, &tracee->st);
        }
    }
    known = link ? known_of(recorder, &tracee->st) != NULL : tracee->ours;
    if (!known && !tracee->to_ours)
        return CALL_PASS;
    if (known != tracee->to_ours)
        return answer(recorder, tracee, EXDEV, false);
    if (!link && (tracee->flags & RENAME_WHITEOUT))
        return answer(recorder, tracee, EINVAL, true);
    return CALL_RECORD;
}

static enum call_verdict before_path(struct recorder *recorder, struct tracee *tracee)
{
    const struct call_row *row = tracee->row;
    bool follow = row->what == CALL_TRUNCATE || row->what == CALL_CHMOD;

    tracee->flags = row->flags < 0 ? 0 : (int)tracee->arg[row->flags];
    tracee->ours = look(recorder, tracee, row->dir, row->path, follow, tracee->path, &tracee->st);
    if (row->what == CALL_SYMLINK && !peek_text(tracee, tracee->arg[row->to], tracee->to))
        return CALL_PASS;
    return tracee->ours ? CALL_RECORD : CALL_PASS;
}

static enum call_verdict before_fd(struct recorder *recorder, struct tracee *tracee)
{
    const struct call_row *row = tracee->row;

    if (!fd_stat(tracee, (int)tracee->arg[row->fd], &tracee->st))
        return CALL_PASS;
    if (row->what == CALL_SYNCFS)
        return tracee->st.st_dev == recorder->files.root_dev ? CALL_RECORD : CALL_PASS;
    if ((row->what == CALL_WRITE || row->what == CALL_COPY) && is_output(recorder, &tracee->st))
        return CALL_RECORD;
    if (known_of(recorder, &tracee->st) == NULL)
        return CALL_PASS;
    if (row->what == CALL_CLONE_FILE)
        return answer(recorder, tracee, EOPNOTSUPP, false);
    if (row->what == CALL_FALLOCATE &&
        (tracee->arg[row->flags] &
         ~(uint64_t)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
        return answer(recorder, tracee, EOPNOTSUPP, false);
    return CALL_RECORD;
}

enum call_verdict call_before(struct recorder *recorder, struct tracee *tracee)
{
    enum call_verdict verdict = CALL_PASS;

    tracee->row = NULL;
    for (size_t i = 0; i < call_row_count; i++)
        if ((uint64_t)call_rows[i].number == tracee->number)
            tracee->row = &call_rows[i];
    if (tracee->row == NULL)
        return CALL_PASS;
    switch (tracee->row->what) {
    case CALL_REFUSED:
        return answer(recorder, tracee, ENOSYS, true);
    case CALL_FORBIDDEN:
        return stop(recorder, tracee);
    case CALL_OPEN:
        verdict = before_open(recorder, tracee);
        break;
    case CALL_RENAME:
    case CALL_LINK:
        verdict = before_two(recorder, tracee);
        break;
    case CALL_SYNC:
        verdict = CALL_RECORD;
        break;
    case CALL_MSYNC:
        verdict = tracee->arg[2] & MS_SYNC ? CALL_RECORD : CALL_PASS;
        break;
    default:
        verdict =
            tracee->row->fd >= 0 ? before_fd(recorder, tracee) : before_path(recorder, tracee);
    }
    if (verdict == CALL_RECORD)
        files_observe(&recorder->files, &recorder->writer);
    return verdict;
}

/* ---- after ---- */

static void add(struct recorder *recorder, const struct tracee *tracee, struct pc_record record)
{
    record.process = tracee->process;
    log_writer_add(&recorder->writer, &record);
}

static void after_open(struct recorder *recorder, struct tracee *tracee, int fd)
{
    char path[PATH_MAX];
    const char *below = fd_below(recorder, tracee, fd, path);
    struct pc_record record = {.path = below};
    struct known *known;
    struct stat st;

    if (below == NULL || !fd_stat(tracee, fd, &st) || !S_ISREG(st.st_mode))
        return;
    known = files_find(&recorder->files, &st);
    record.mode = st.st_mode & 07777u;
    if (known == NULL || !known->named) {
        bool nameless = st.st_nlink == 0;

        if (st.st_size)
            record_failed(recorder, "%s is there, and nobody recorded how it came there", below);
        known = files_add(&recorder->files, &st);
        known->named = !nameless;
        record.kind = nameless ? PC_RECORD_UNNAMED : PC_RECORD_CREATE;
        record.path = nameless ? "" : below;
    } else if ((tracee->flags & O_TRUNC) && known->size > 0) {
        record.kind = PC_RECORD_TRUNCATE;
        known->size = 0;
        files_resized(known, 0);
    } else {
        return;
    }
    record.file = known->file;
    add(recorder, tracee, record);
}

/* Where `n` bytes were written by the call that just returned. */
static bool written_at(const struct tracee *tracee, int fd, const struct stat *now, uint64_t n,
                       int *flags, uint64_t *at)
{
    int place = tracee->row->offset;
    uint64_t position, given = place < 0 ? 0 : tracee->arg[place];
    bool pointer = tracee->row->what == CALL_COPY;

    if (!fd_info(tracee, fd, flags, &position))
        return false;
    if (tracee->row->flags >= 0 && (tracee->arg[5] & RWF_APPEND_FLAG))
        *flags |= O_APPEND;
    if (*flags & O_APPEND)
        *at = (uint64_t)now->st_size - n;
    else if (place < 0 || (pointer && given == 0) || (!pointer && given == UINT64_MAX))
        *at = position - n;
    else if (!pointer)
        *at = given;
    else if (peek(tracee, given, at, sizeof *at))
        *at -= n;
    else
        return false;
    return true;
}

/* What is in the file now. Free it; NULL: it cannot be read. */
static uint8_t *read_back(const struct tracee *tracee, int fd, uint64_t at, uint64_t n)
{
    char path[64];
    uint8_t *data = malloc(n + 1);
    uint64_t done = 0;
    int in;

    must(data != NULL);
    fd_path(tracee, fd, path);
    in = open(path, O_RDONLY | O_CLOEXEC);
    while (in >= 0 && done < n) {
        ssize_t got = pread(in, data + done, n - done, (off_t)(at + done));

        if (got <= 0)
            break;
        done += (uint64_t)got;
    }
    if (in >= 0)
        (void)close(in);
    if (done == n)
        return data;
    free(data);
    return NULL;
}

static void after_write(struct recorder *recorder, struct tracee *tracee, uint64_t n)
{
    int fd = (int)tracee->arg[tracee->row->fd], flags = 0;
    char path[PATH_MAX];
    struct pc_record record = {.kind = PC_RECORD_WRITE};
    struct stat now;
    uint8_t *data = NULL;

    if (n == 0)
        return;
    if (fd_stat(tracee, fd, &now) && written_at(tracee, fd, &now, n, &flags, &record.offset))
        data = read_back(tracee, fd, record.offset, n);
    if (data == NULL) {
        record_failed(recorder, "what process %u wrote by %s cannot be read back",
                      (unsigned)tracee->process, tracee->row->name);
        return;
    }
    record.data = data;
    record.size = n;
    if (is_output(recorder, &now)) {
        record.kind = PC_RECORD_OUTPUT;
    } else {
        struct known *known = known_of(recorder, &now);

        must(known != NULL);
        record.file = known->file;
        record.path = fd_below(recorder, tracee, fd, path);
        record.dsync = (flags & O_DSYNC) || (tracee->number == SYS_pwritev2 &&
                                             (tracee->arg[5] & (RWF_DSYNC | RWF_SYNC)));
        known->size = (uint64_t)now.st_size;
        files_wrote(known, record.offset, data, n);
    }
    add(recorder, tracee, record);
    free(data);
}

/* fallocate: room, a hole or zeros. */
static void fill_allocate(const struct tracee *tracee, struct known *known,
                          struct pc_record *record)
{
    uint64_t mode = tracee->arg[tracee->row->flags], end;

    record->kind = mode & FALLOC_FL_PUNCH_HOLE   ? PC_RECORD_PUNCH
                   : mode & FALLOC_FL_ZERO_RANGE ? PC_RECORD_ZERO_RANGE
                                                 : PC_RECORD_ALLOCATE;
    record->offset = tracee->arg[tracee->row->offset];
    record->keep_size = mode & FALLOC_FL_KEEP_SIZE;
    end = record->offset + record->length;
    if (!record->keep_size && end > known->size) {
        known->size = end;
        files_resized(known, known->size);
    }
    if (record->kind != PC_RECORD_ALLOCATE)
        files_zeroed(known, record->offset, end);
}

/* Truncations and allocations: the length is an argument. */
static void after_resize(struct recorder *recorder, struct tracee *tracee)
{
    const struct call_row *row = tracee->row;
    struct known *known =
        row->fd >= 0 ? known_fd(recorder, tracee) : known_of(recorder, &tracee->st);
    char path[PATH_MAX];
    struct pc_record record = {.path = tracee->path, .length = tracee->arg[row->length]};

    if (known == NULL)
        return;
    if (row->fd >= 0)
        record.path = fd_below(recorder, tracee, (int)tracee->arg[row->fd], path);
    record.file = known->file;
    record.kind = PC_RECORD_TRUNCATE;
    if (row->what == CALL_FALLOCATE) {
        fill_allocate(tracee, known, &record);
    } else if (known->size == record.length) {
        return; /* nothing changes */
    } else {
        known->size = record.length;
        files_resized(known, known->size);
    }
    add(recorder, tracee, record);
}

/* `st` is what a name meant before it was taken away. */
static void lost_name(struct recorder *recorder, const struct stat *st)
{
    struct known *known = st->st_ino ? files_find(&recorder->files, st) : NULL;

    if (known && (S_ISDIR(st->st_mode) || st->st_nlink <= 1))
        known->named = false;
}

static void after_rename(struct recorder *recorder, struct tracee *tracee)
{
    const struct known *known = known_of(recorder, &tracee->st);
    struct pc_record record = {.kind = PC_RECORD_RENAME, .path = tracee->path, .to = tracee->to};

    if (tracee->st.st_ino == tracee->to_st.st_ino)
        return; /* two names of one file: nothing happens */
    if (known == NULL) {
        record_failed(recorder, "process %u renames %s, which is no file or directory",
                      (unsigned)tracee->process, tracee->path);
        return;
    }
    record.file = known->file;
    if (tracee->flags & RENAME_EXCHANGE)
        record.kind = PC_RECORD_EXCHANGE;
    else
        lost_name(recorder, &tracee->to_st);
    add(recorder, tracee, record);
}

static void after_link(struct recorder *recorder, struct tracee *tracee)
{
    struct known *known = known_of(recorder, &tracee->st);
    struct pc_record record = {.kind = PC_RECORD_LINK, .path = tracee->to};

    must(known != NULL);
    known->named = true;
    record.file = known->file;
    add(recorder, tracee, record);
}

/* A new name that was no open: mkdir, symlink, mknod. */
static void after_new(struct recorder *recorder, struct tracee *tracee)
{
    char path[2 * PATH_MAX];
    struct pc_record record = {.path = tracee->path};
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", recorder->files.root, tracee->path);
    if (lstat(path, &st)) {
        record_failed(recorder, "%s: %s", path, strerror(errno));
        return;
    }
    if (S_ISDIR(st.st_mode))
        record.kind = PC_RECORD_MKDIR;
    else if (S_ISLNK(st.st_mode))
        record.kind = PC_RECORD_SYMLINK;
    else if (S_ISREG(st.st_mode))
        record.kind = PC_RECORD_CREATE;
    else
        return; /* FIFOs and devices are not modelled */
    record.file = files_add(&recorder->files, &st)->file;
    record.mode = st.st_mode & 07777u;
    if (record.kind == PC_RECORD_SYMLINK)
        record.to = tracee->to;
    add(recorder, tracee, record);
}

static void after_unlink(struct recorder *recorder, struct tracee *tracee)
{
    const struct known *known = known_of(recorder, &tracee->st);
    bool directory = tracee->row->what == CALL_RMDIR || (tracee->flags & AT_REMOVEDIR);
    struct pc_record record = {.kind = directory ? PC_RECORD_RMDIR : PC_RECORD_UNLINK,
                               .path = tracee->path};

    if (known == NULL)
        return; /* a socket, a FIFO */
    record.file = known->file;
    lost_name(recorder, &tracee->st);
    add(recorder, tracee, record);
}

static void after_chmod(struct recorder *recorder, struct tracee *tracee)
{
    char path[2 * PATH_MAX];
    struct pc_record record = {.kind = PC_RECORD_MODE, .path = tracee->path};
    const struct known *known;
    struct stat st;
    bool found;

    snprintf(path, sizeof path, "%s/%s", recorder->files.root, tracee->path);
    if (tracee->row->fd >= 0) {
        found = fd_stat(tracee, (int)tracee->arg[0], &st);
        record.path = fd_below(recorder, tracee, (int)tracee->arg[0], path);
    } else {
        found = stat(path, &st) == 0;
    }
    known = found ? known_of(recorder, &st) : NULL;
    if (known == NULL)
        return;
    record.file = known->file;
    record.mode = st.st_mode & 07777u;
    add(recorder, tracee, record);
}

static void after_sync(struct recorder *recorder, struct tracee *tracee)
{
    const struct call_row *row = tracee->row;
    char path[PATH_MAX];
    struct pc_record record = {.kind = PC_RECORD_SYNC};
    const struct known *known;

    if (row->what != CALL_SYNC && row->what != CALL_SYNCFS) {
        known = known_fd(recorder, tracee);
        if (known == NULL)
            return;
        record.file = known->file;
        record.path = fd_below(recorder, tracee, (int)tracee->arg[row->fd], path);
        record.kind = row->what == CALL_FSYNC       ? PC_RECORD_FSYNC
                      : row->what == CALL_FDATASYNC ? PC_RECORD_FDATASYNC
                                                    : PC_RECORD_SYNC_RANGE;
    }
    if (row->what == CALL_SYNC_RANGE) {
        record.offset = tracee->arg[row->offset];
        record.length = tracee->arg[row->length];
    }
    add(recorder, tracee, record);
}

/* One record per mapping of a file of ours that the range meets. */
static void after_msync(struct recorder *recorder, struct tracee *tracee)
{
    uint64_t from = tracee->arg[0], to = from + tracee->arg[1];
    char name[64], line[PATH_MAX + 128], path[PATH_MAX];
    FILE *maps;

    snprintf(name, sizeof name, "/proc/%d/maps", (int)tracee->tid);
    maps = fopen(name, "re");
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long long begin, end, offset, ino;
        struct pc_record record = {.kind = PC_RECORD_MSYNC, .path = path};

        if (sscanf(line, "%llx-%llx %*s %llx %*s %llu %4095[^\n]", &begin, &end, &offset, &ino,
                   path) != 5 ||
            begin >= to || end <= from)
            continue;
        for (size_t i = 0; i < recorder->files.count; i++) {
            const struct known *known = &recorder->files.known[i];
            const char *below = files_below(&recorder->files, path);
            uint64_t low = begin > from ? begin : from, high = end < to ? end : to;

            if (known->mapped < 0 || known->ino != ino)
                continue;
            record.file = known->file;
            record.path = below ? below : "";
            record.offset = offset + (low - begin);
            record.length = high - low;
            add(recorder, tracee, record);
        }
    }
    if (maps)
        (void)fclose(maps);
}

static void after_mmap(struct recorder *recorder, struct tracee *tracee)
{
    int fd = (int)tracee->arg[4], flags = 0;
    struct known *known = known_fd(recorder, tracee);
    char path[64];
    uint64_t position;

    if (known == NULL || !fd_info(tracee, fd, &flags, &position) || (flags & O_ACCMODE) != O_RDWR)
        return;
    fd_path(tracee, fd, path);
    files_map(known, path, tracee->process);
    if (known->shadow == NULL)
        record_failed(recorder, "a mapped file cannot be read");
}

void call_after(struct recorder *recorder, struct tracee *tracee, int64_t result)
{
    if (result < 0 && result > -4096)
        return;
    switch (tracee->row->what) {
    case CALL_OPEN:
        after_open(recorder, tracee, (int)result);
        break;
    case CALL_WRITE:
    case CALL_COPY:
        after_write(recorder, tracee, (uint64_t)result);
        break;
    case CALL_TRUNCATE:
    case CALL_FTRUNCATE:
    case CALL_FALLOCATE:
        after_resize(recorder, tracee);
        break;
    case CALL_RENAME:
        after_rename(recorder, tracee);
        break;
    case CALL_LINK:
        after_link(recorder, tracee);
        break;
    case CALL_SYMLINK:
    case CALL_MKDIR:
    case CALL_MKNOD:
        after_new(recorder, tracee);
        break;
    case CALL_UNLINK:
    case CALL_RMDIR:
        after_unlink(recorder, tracee);
        break;
    case CALL_CHMOD:
    case CALL_FCHMOD:
        after_chmod(recorder, tracee);
        break;
    case CALL_MSYNC:
        after_msync(recorder, tracee);
        break;
    case CALL_MMAP:
        after_mmap(recorder, tracee);
        break;
    default:
        after_sync(recorder, tracee);
    }
}
