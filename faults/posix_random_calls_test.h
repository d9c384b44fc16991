/* posix_random_calls_test.h: more calls for posix_random_test.c, which includes it: the rarer ones,
 * so that every family that posix_calls.def simulates is drawn.
 *
 * What is not compared, because file systems differ in it, or the simulated disk does not keep it:
 *   numbers of inodes, devices, descriptors; times, owners, permissions; st_blocks, st_blksize;
 *     size and links of directories
 *   the order of directory entries, and what telldir answers; only that seekdir goes back there
 *   free space and limits of statfs; pathconf but for the longest name
 *   temporary names: only that there is one
 *   where holes are: SEEK_DATA may pass over zeros only, SEEK_HOLE may stop before the end
 *   O_DIRECT: flags only; it is cleared before the first transfer, whose alignment is the device's
 *   which of several conflicting locks F_GETLK names; F_OFD_GETLK of F_UNLCK, new in Linux 6.6
 *   sendfile from a file to itself: what it reads is what it has written, or not
 *   zero ranges and O_DIRECT where the real file system does not know them
 *   calls that the layer refuses by rule: mknod, mkfifo, io_uring, aio, exec; symbolic links that
 *     lead out of the directory, where the disk has nothing above it
 *   the size of a link to an absolute path; of a walk that follows links the names by which it
 *     comes to a directory, and which of several links that cannot be followed ends it
 *   bytes of a mapping beyond the end of the file */
#ifndef FAULTS_POSIX_RANDOM_CALLS_TEST_H
#define FAULTS_POSIX_RANDOM_CALLS_TEST_H

#include <ftw.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>

ssize_t __read_chk(int fd, void *buf, size_t size, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t size, off64_t at, size_t room);
int __open_2(const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

/* ---- opening ---- */

/* Opens on both sides into the slot. */
#define OPEN(t, slot, expression)                                                                  \
    do {                                                                                           \
        if ((slot)[SIM] >= 0)                                                                      \
            BOTH(t, close((slot)[side]));                                                          \
        (slot)[SIM] = (slot)[REAL] = -1;                                                           \
        BOTH(t, ((slot)[side] = (expression)) < 0 ? -1 : 0);                                       \
    } while (0)

static void direct_is_cleared(struct test *t, const int *fd)
{
    if (fd[SIM] < 0)
        return;
    BOTH(t, fcntl(fd[side], F_GETFL));
    BOTH(t, fcntl(fd[side], F_SETFL, fcntl(fd[side], F_GETFL) & ~O_DIRECT));
}

/* A nameless file gets a name, by /proc or by its descriptor. */
static void try_tmpfile(struct test *t, int *slot)
{
    const char *dir = draw_path(t), *to = draw_path(t);
    int flags = (below(t, 2) ? O_RDWR : O_WRONLY) | O_TMPFILE | (below(t, 4) ? 0 : O_EXCL);
    bool by_proc = below(t, 2);
    char proc[SIDES][40];

    what(t, "open with O_TMPFILE %s 0%o", dir, (unsigned)flags);
    OPEN(t, slot, open(full(t, side, dir), flags, 0644));
    if (slot[SIM] < 0 || below(t, 3) == 0)
        return;
    BOTH(t, write(slot[side], "nameless", 8));
    for (int side = 0; side < SIDES; side++)
        snprintf(proc[side], sizeof proc[side], "/proc/self/fd/%d", slot[side]);
    for (int n = 0; n < 2; n++) {
        what(t, "linkat of a nameless file to %s", to);
        BOTH(t, by_proc
                    ? linkat(AT_FDCWD, proc[side], AT_FDCWD, full(t, side, to), AT_SYMLINK_FOLLOW)
                    : linkat(slot[side], "", AT_FDCWD, full(t, side, to), AT_EMPTY_PATH));
        to = draw_path(t);
    }
}

static void try_temporary(struct test *t, int *slot)
{
    static const char *const dirs[] = {"d", "e", "d/e", ".", "a"};
    const char *dir = dirs[below(t, 5)], *to = draw_path(t);
    uint64_t kind = below(t, 4);
    char names[SIDES][128];

    for (int side = 0; side < SIDES; side++)
        snprintf(names[side], sizeof names[side], "%s/%s/t-XXXXXX%s", t->root[side], dir,
                 kind == 2 ? ".x" : "");
    what(t, "temporary name %d in %s", (int)kind, dir);
    if (kind == 3)
        BOTH(t, mkdtemp(names[side]) ? 0 : -1);
    else
        OPEN(t, slot,
             kind == 0   ? mkstemp(names[side])
             : kind == 1 ? mkostemp(names[side], O_APPEND)
                         : mkstemps(names[side], 2));
    if (last_result)
        return;
    BOTH(t, kind == 3 ? chmod(names[side], 0755) : fchmod(slot[side], 0644));
    what(t, "rename of a temporary name to %s", to);
    BOTH(t, rename(names[side], full(t, side, to)));
    if (!last_result)
        return;
    what(t, "remove of a temporary name");
    BOTH(t, remove(names[side]));
}

static void try_open_more(struct test *t)
{
    static const int extras[] = {O_DSYNC,  O_SYNC,   O_RSYNC, O_NOFOLLOW, O_NOATIME, O_NONBLOCK,
                                 O_NOCTTY, O_APPEND, O_TRUNC, O_CREAT,    O_EXCL,    O_LARGEFILE};
    const char *path = draw_path(t);
    int *slot = t->fd[draw_slot(t)], flags = (int)below(t, 3);
    uint64_t kind = below(t, 8);

    for (int n = (int)below(t, 4); n > 0; n--)
        flags |= extras[below(t, 12)];
    if (t->directs && below(t, 4) == 0)
        flags |= O_DIRECT;
    if ((flags & O_EXCL) && !(flags & O_CREAT)) /* what it means then is not said */
        flags &= ~O_EXCL;
    what(t, "open %s 0%o, way %d", path, (unsigned)flags, (int)kind);
    if (kind == 0)
        try_tmpfile(t, slot);
    else if (kind == 1)
        try_temporary(t, slot);
    else if (kind == 2)
        OPEN(t, slot, creat(full(t, side, path), 0644));
    else if (kind == 3)
        OPEN(t, slot, open64(full(t, side, path), flags, 0644));
    else if (kind == 4)
        OPEN(t, slot, (int)syscall(SYS_open, full(t, side, path), flags, 0644));
    else if (kind == 5)
        OPEN(t, slot, __open_2(full(t, side, path), flags & ~(O_CREAT | O_EXCL)));
    else if (kind == 6)
        OPEN(t, slot, __openat64_2(AT_FDCWD, full(t, side, path), flags & ~(O_CREAT | O_EXCL)));
    else
        OPEN(t, slot, openat64(AT_FDCWD, full(t, side, path), flags, 0644));
    if (kind > 1)
        direct_is_cleared(t, slot);
}

/* ---- names and attributes ---- */

static void try_exchange(struct test *t)
{
    static const unsigned all[] = {RENAME_EXCHANGE, RENAME_NOREPLACE,
                                   RENAME_EXCHANGE | RENAME_NOREPLACE, 0};
    const char *from = draw_path(t), *to = draw_path(t);
    unsigned flags = all[below(t, 4)];

    what(t, "renameat2 %s %s %u", from, to, flags);
    BOTH(t, renameat2(AT_FDCWD, full(t, side, from), AT_FDCWD, full(t, side, to), flags));
}

static void try_attribute(struct test *t)
{
    static const int modes[] = {F_OK, R_OK, W_OK, R_OK | W_OK, 99};
    static const int at_flags[] = {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_EACCESS, 0x40000000};
    const char *path = draw_path(t);
    int mode = modes[below(t, 5)], flags = at_flags[below(t, 5)];
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_nsec = UTIME_OMIT}};
    struct stat st[SIDES] = {{0}};
    mode_t plain;

    switch (below(t, 8)) {
    case 0:
        what(t, "access %s %d", path, mode);
        BOTH(t, access(full(t, side, path), mode));
        break;
    case 1:
        what(t, "euidaccess %s %d", path, mode);
        BOTH(t, euidaccess(full(t, side, path), mode));
        break;
    case 2: /* the mode that it has already: modes are not kept */
        what(t, "chmod %s", path);
        BOTH(t, stat(full(t, side, path), &st[side]));
        plain = S_ISDIR(st[REAL].st_mode) ? 0755 : 0644;
        BOTH(t, chmod(full(t, side, path), plain));
        BOTH(t, fchmodat(AT_FDCWD, full(t, side, path), plain, 0));
        break;
    case 3:
        what(t, "chown %s", path);
        BOTH(t, chown(full(t, side, path), (uid_t)-1, (gid_t)-1));
        BOTH(t, lchown(full(t, side, path), getuid(), getgid()));
        BOTH(t, fchownat(AT_FDCWD, full(t, side, path), (uid_t)-1, (gid_t)-1, 0));
        break;
    case 4:
        what(t, "utimensat %s", path);
        BOTH(t, utimensat(AT_FDCWD, full(t, side, path), times, flags & AT_SYMLINK_NOFOLLOW));
        BOTH(t, utimes(full(t, side, path), NULL));
        BOTH(t, lutimes(full(t, side, path), NULL));
        break;
    case 5:
        what(t, "lstat %s", path);
        BOTH(t, lstat(full(t, side, path), &st[side]));
        if (!same_attributes(&st[SIM], &st[REAL]))
            fail_msg("call %llu: %s: differs", (unsigned long long)t->call, t->what);
        break;
    case 6:
        what(t, "faccessat %s %d %d", path, mode, flags);
        BOTH(t, faccessat(AT_FDCWD, full(t, side, path), mode, flags & ~AT_EMPTY_PATH));
        break;
    default:
        what(t, "fstatat %s %d", path, flags);
        BOTH(t, fstatat(AT_FDCWD, full(t, side, path), &st[side], flags & ~AT_EACCESS));
        break;
    }
}

/* ---- symbolic links ---- */

/* What a link leads to. Never "." or "..", so that none leads out of the directory; some to
 * themselves, to nothing, or in a circle. */
static const char *draw_target(struct test *t, int side)
{
    static const char *const targets[] = {
        "a",   "b",     "c", "d",   "e",  "d/a", "d/e", "e/d",
        "e/a", "d/e/a", "x", "x/y", "a/", "d/",  "./b", "d//a",
    };
    static char text[SIDES][PATH_MAX + 8];
    static const char *drawn;
    static uint64_t kind;

    if (side == SIM) { /* drawn once, told twice */
        drawn = targets[below(t, sizeof targets / sizeof *targets)];
        kind = below(t, 200);
    }
    if (kind == 0) {
        text[side][0] = '\0';
    } else if (kind == 1) { /* too long by one */
        memset(text[side], 'x', PATH_MAX);
        text[side][PATH_MAX] = '\0';
    } else {
        (void)snprintf(text[side], sizeof text[side], "%s%s%s", kind < 30 ? t->root[side] : "",
                       kind < 30 ? "/./" : "", drawn);
    }
    return text[side];
}

static long read_link(int fd, const char *path, size_t size, char *out)
{
    char text[PATH_MAX] = "";
    long len = fd >= 0 ? readlinkat(fd, "", text, size) : readlink(path, text, size);

    (void)snprintf(out, 512, "%.500s", size > 100 ? link_text(text) : text);
    return len > 0 && size > 100 ? (long)strlen(out) : len;
}

static void try_symlink(struct test *t)
{
    static const size_t sizes[] = {0, 1, 3, PATH_MAX - 1};
    const char *path = draw_path(t), *to = draw_path(t);
    const int *fd = t->fd[draw_slot(t)];
    const char *target[SIDES] = {draw_target(t, SIM), draw_target(t, REAL)};
    size_t size = sizes[below(t, 4)];
    char text[SIDES][512] = {"", ""};
    struct stat st[SIDES];
    bool at = fd[SIM] >= 0 && below(t, 3) == 0;

    switch (below(t, 8)) {
    case 0:
        what(t, "readlink %s with room for %zu", at ? "of a descriptor" : path, size);
        BOTH(t, read_link(at ? fd[side] : -1, full(t, side, path), size, text[side]));
        assert_string_equal(text[SIM], text[REAL]);
        break;
    case 1:
        what(t, "linkat of what %s leads to as %s", path, to);
        BOTH(t,
             linkat(AT_FDCWD, full(t, side, path), AT_FDCWD, full(t, side, to), AT_SYMLINK_FOLLOW));
        break;
    case 2:
        what(t, "fstatat of the link %s", path);
        memset(st, 0, sizeof st);
        BOTH(t, at && strncmp(path, "..", 2)
                    ? fstatat(fd[side], path, &st[side], AT_SYMLINK_NOFOLLOW)
                    : stat(full(t, side, path), &st[side]));
        assert_true(same_attributes(&st[SIM], &st[REAL]));
        break;
    default:
        what(t, "symlink to %.60s as %s%s", target[SIM], path, at ? " at a descriptor" : "");
        BOTH(t, at ? symlinkat(target[side], fd[side], path)
                   : symlink(target[side], full(t, side, path)));
        break;
    }
}

static void try_statx(struct test *t, const int *fd)
{
    const char *path = draw_path(t);
    bool at = below(t, 2);
    struct statx st[SIDES];
    struct statfs fs[SIDES];
    struct statvfs vfs[SIDES];

    memset(st, 0, sizeof st);
    what(t, "statx %s", at ? "of a descriptor" : path);
    BOTH(t, at ? statx(fd[side], "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st[side])
               : statx(AT_FDCWD, full(t, side, path), 0, STATX_BASIC_STATS, &st[side]));
    if (st[SIM].stx_mode != st[REAL].stx_mode ||
        (!S_ISDIR(st[SIM].stx_mode) && !S_ISLNK(st[SIM].stx_mode) &&
         (st[SIM].stx_size != st[REAL].stx_size || st[SIM].stx_nlink != st[REAL].stx_nlink)))
        fail_msg("call %llu: %s: differs", (unsigned long long)t->call, t->what);
    what(t, "statfs %s", path);
    BOTH(t, statfs(full(t, side, path), &fs[side]));
    BOTH(t, fstatfs(fd[side], &fs[side]) ? -1 : fs[side].f_namelen);
    BOTH(t, statvfs(full(t, side, path), &vfs[side]));
    BOTH(t, fstatvfs(fd[side], &vfs[side]) ? -1 : (long)vfs[side].f_namemax);
    BOTH(t, pathconf(full(t, side, path), _PC_NAME_MAX));
    BOTH(t, fpathconf(fd[side], _PC_NAME_MAX));
}

static void try_realpath(struct test *t)
{
    const char *path = draw_path(t);
    char text[SIDES][PATH_MAX];

    what(t, "realpath %s", path);
    if (!strncmp(path, "d/../..", 7) || !strcmp(path, "d/..") || strstr(path, "../"))
        return; /* ".." may leave the real directory; the disk has nothing above it */
    BOTH(t, realpath(full(t, side, path), text[side]) ? 0 : -1);
    if (!last_result &&
        strcmp(text[SIM] + strlen(t->root[SIM]), text[REAL] + strlen(t->root[REAL])))
        fail_msg("call %llu: %s: %s and %s", (unsigned long long)t->call, t->what, text[SIM],
                 text[REAL]);
}

/* ---- directories ---- */

static int no_dots(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static long scan(const char *path, char *text)
{
    struct dirent **list;
    int count = scandir(path, &list, no_dots, alphasort);

    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        size_t len = strlen(text);

        (void)snprintf(text + len, TEXT_MAX - len, "%s %d ", list[i]->d_name, list[i]->d_type);
        free(list[i]);
    }
    if (count >= 0)
        free(list);
    return count;
}

static long visited;

/* In an order that is the file system's: the sum must not depend on it. */
static int add_up(const char *path, const struct stat *st, int type, struct FTW *where)
{
    visited +=
        (type + 1) * 1000 + where->level * 7 + (S_ISREG(st->st_mode) ? (long)st->st_size : 0);
    return 0;
}

/* Where links are followed a directory comes once, by whichever name comes first. */
static int add_up_kinds(const char *path, const struct stat *st, int type)
{
    (void)path;
    visited += (type + 1) * 1000 + (S_ISREG(st->st_mode) ? (long)st->st_size : 0);
    return 0;
}

static int add_up_types(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)where;
    return add_up_kinds(path, st, type);
}

/* Several links may fail, each in its own way; the order says which comes first. */
static long walk(const char *path, uint64_t way)
{
    int st;

    visited = 0;
    st = way == 0   ? ftw(path, add_up_kinds, 8)
         : way == 1 ? nftw(path, add_up_types, 8, 0)
                    : nftw(path, add_up, 8, FTW_PHYS);
    if (st && way < 2 && (errno == ELOOP || errno == ENOTDIR))
        errno = ELOOP;
    return st ? -1 : visited;
}

/* Reads all entries, goes back to where telldir said, reads the rest again. */
static long reread(const char *path)
{
    DIR *dir = opendir(path);
    long count = 0, again = 0, half = 0;

    if (!dir)
        return -1;
    while (readdir(dir)) {
        if (++count == 2)
            half = telldir(dir);
    }
    if (count >= 2) {
        seekdir(dir, half);
        while (readdir(dir))
            again++;
        assert_int_equal(again, count - 2);
    }
    rewinddir(dir);
    while (readdir(dir))
        again++;
    assert_int_equal(closedir(dir), 0);
    return count * 1000 + again;
}

static void try_directory(struct test *t)
{
    static char text[SIDES][TEXT_MAX];
    const char *path = draw_path(t);
    uint64_t way;

    switch (below(t, 3)) {
    case 0:
        what(t, "scandir %s", path);
        BOTH(t, scan(full(t, side, path), text[side]));
        if (strcmp(text[SIM], text[REAL]))
            fail_msg("call %llu: %s: %s and %s", (unsigned long long)t->call, t->what, text[SIM],
                     text[REAL]);
        break;
    case 1:
        way = below(t, 3);
        what(t, "walk %s, way %d", path, (int)way);
        if (!strstr(path, ".."))
            BOTH(t, walk(full(t, side, path), way));
        break;
    default:
        what(t, "readdir %s", path);
        if (!strstr(path, ".."))
            BOTH(t, reread(full(t, side, path)));
        break;
    }
}

/* A few calls with relative paths, from a directory. */
static void try_chdir(struct test *t)
{
    const char *dir = draw_path(t), *path = draw_path(t), *to = draw_path(t);
    const int *fd = t->fd[draw_slot(t)];
    bool by_fd = fd[SIM] >= 0 && below(t, 2);
    long results[SIDES][5];
    int errors[SIDES][5];
    char text[SIDES][PATH_MAX] = {"", ""};

    if (strstr(dir, "..") || !strncmp(path, "..", 2) || !strncmp(to, "..", 2) ||
        strstr(path, "/..") || strstr(to, "/.."))
        return;
    what(t, "chdir %s, then mkdir %s, rename to %s", by_fd ? "by descriptor" : dir, path, to);
    for (int side = 0; side < SIDES; side++) {
        long *r = results[side];

#define STEP(n, call) (errno = 0, r[n] = (call), errors[side][n] = errno)
        memset(r, 0, sizeof results[side]);
        memset(errors[side], 0, sizeof errors[side]);
        STEP(0, by_fd ? fchdir(fd[side]) : chdir(full(t, side, dir)));
        if (r[0] == 0) {
            STEP(1, mkdir(path, 0755));
            STEP(2, rename(path, to));
            STEP(3, getcwd(text[side], PATH_MAX) ? 0 : -1);
            STEP(4, access(".", R_OK));
        }
#undef STEP
        assert_int_equal(chdir("/"), 0);
    }
    for (int i = 0; i < 5; i++)
        agree(t, results[SIM][i], errors[SIM][i], results[REAL][i], errors[REAL][i]);
    if (results[SIM][0] == 0 && results[SIM][3] == 0 &&
        strcmp(text[SIM] + strlen(t->root[SIM]), text[REAL] + strlen(t->root[REAL])))
        fail_msg("call %llu: %s: %s and %s", (unsigned long long)t->call, t->what, text[SIM],
                 text[REAL]);
}

/* ---- content ---- */

static void try_vectors(struct test *t, const int *fd)
{
    static const int flags[] = {0, RWF_DSYNC, RWF_SYNC, RWF_APPEND, 0};
    size_t len = (size_t)below(t, 3000);
    off_t at = below(t, 4) ? (off_t)below(t, BYTES_MAX) : -1;
    struct iovec iov[2] = {{block[SIM], len / 2}, {block[SIM] + len / 2, len - len / 2}};
    int flag = flags[below(t, 5)];

    if ((flag & (RWF_DSYNC | RWF_SYNC)) && below(t, 20)) /* syncs are rare */
        flag = 0;
    if (below(t, 2)) {
        fill_block(t, len);
        what(t, "pwritev2 %zu at %lld, %d", len, (long long)at, flag);
        BOTH(t, pwritev2(fd[side], iov, 2, at, flag));
        return;
    }
    what(t, "preadv2 %zu at %lld", len, (long long)at);
    BOTH(t,
         preadv2(fd[side],
                 (struct iovec[]){{block[side], len / 2}, {block[side] + len / 2, len - len / 2}},
                 2, at, 0));
    same_block(t, last_result);
    what(t, "fortified reads");
    BOTH(t, __read_chk(fd[side], block[side], len, BYTES_MAX));
    same_block(t, last_result);
    BOTH(t, __pread64_chk(fd[side], block[side], len, at < 0 ? 0 : at, BYTES_MAX));
    same_block(t, last_result);
}

/* The simulated disk says that all up to the end is data. A file system may know better, but must
 * not jump over anything that is not zero. */
static void try_holes(struct test *t, const int *fd)
{
    off_t at = (off_t)below(t, BYTES_MAX), got[SIDES], size, before = lseek(fd[REAL], 0, SEEK_CUR);
    int why[SIDES];

    if (is_directory(fd[SIM]) || (fcntl(fd[SIM], F_GETFL) & O_PATH))
        return;
    for (int side = 0; side < SIDES; side++) {
        errno = 0;
        got[side] = lseek(fd[side], at, SEEK_DATA);
        why[side] = errno;
    }
    what(t, "SEEK_DATA %lld", (long long)at);
    size = lseek(fd[REAL], 0, SEEK_END);
    if (at >= size) {
        agree(t, got[SIM], why[SIM], got[REAL], why[REAL]);
    } else {
        off_t data = got[REAL] < 0 ? size : got[REAL];
        ssize_t have = pread(fd[REAL], block[REAL], sizeof block[REAL], at);

        assert_true(got[SIM] >= at && got[SIM] <= data);
        for (off_t i = 0; have > 0 && i < data - at && i < have; i++)
            assert_int_equal(block[REAL][i], 0);
        what(t, "SEEK_HOLE %lld", (long long)at);
        got[SIM] = lseek(fd[SIM], at, SEEK_HOLE);
        got[REAL] = lseek(fd[REAL], at, SEEK_HOLE);
        assert_true(got[SIM] <= size && got[REAL] <= got[SIM] && got[REAL] >= at);
    }
    BOTH(t, lseek(fd[side], before, SEEK_SET));
}

static void try_copy(struct test *t, const int *fd)
{
    const int *to = t->fd[draw_slot(t)];
    size_t len = (size_t)below(t, below(t, 4) ? 900 : BYTES_MAX / 2);
    off_t from[SIDES], into[SIDES];
    struct stat a, b;
    bool own = below(t, 2);

    if (to[SIM] < 0)
        return;
    from[SIM] = from[REAL] = (off_t)below(t, BYTES_MAX);
    into[SIM] = into[REAL] = (off_t)below(t, BYTES_MAX);
    assert_int_equal(fstat(fd[REAL], &a), 0);
    assert_int_equal(fstat(to[REAL], &b), 0);
    if (a.st_ino != b.st_ino && below(t, 2)) {
        what(t, "sendfile %zu from %lld", len, own ? -1LL : (long long)from[SIM]);
        BOTH(t, sendfile(to[side], fd[side], own ? NULL : &from[side], len));
    } else {
        what(t, "copy_file_range %zu from %lld to %lld, own offsets %d", len, (long long)from[SIM],
             (long long)into[SIM], own);
        BOTH(t, copy_file_range(fd[side], own ? NULL : &from[side], to[side],
                                own ? NULL : &into[side], len, 0));
    }
    if (from[SIM] != from[REAL] || into[SIM] != into[REAL])
        fail_msg("call %llu: %s: offsets differ", (unsigned long long)t->call, t->what);
}

static void try_advice(struct test *t, const int *fd)
{
    off_t at = (off_t)below(t, BYTES_MAX) - 5, len = (off_t)below(t, BYTES_MAX) - 5;

    switch (below(t, 6)) {
    case 0:
        what(t, "posix_fallocate %lld %lld", (long long)at, (long long)len);
        BOTH(t, posix_fallocate(fd[side], at, len));
        break;
    case 1:
        what(t, "posix_fadvise");
        BOTH(t, posix_fadvise(fd[side], 0, 0, (int)(len & 7)));
        break;
    case 2:
        what(t, "readahead");
        BOTH(t, readahead(fd[side], 0, 100));
        break;
    case 3:
        what(t, "sync_file_range %lld %lld", (long long)at, (long long)len);
        BOTH(t, sync_file_range(fd[side], at, len, (unsigned)(len & 15)));
        break;
    case 4:
        what(t, "fstat and fchmod");
        BOTH(t, fchown(fd[side], (uid_t)-1, (gid_t)-1));
        BOTH(t, futimens(fd[side], NULL));
        break;
    default:
        what(t, "syncfs");
        if (below(t, 300) == 0)
            BOTH(t, syncfs(fd[side]));
        break;
    }
}

/* ---- descriptors and locks ---- */

static long ask_lock(int fd, int command, const struct flock *wanted)
{
    struct flock lock = *wanted;
    int st = fcntl(fd, command, &lock);

    return st ? st : lock.l_type == F_UNLCK;
}

static void try_lock(struct test *t, const int *fd)
{
    static const int commands[] = {F_SETLK, F_OFD_SETLK, F_OFD_SETLK, F_GETLK, F_OFD_GETLK};
    static const int flocks[] = {LOCK_SH, LOCK_EX, LOCK_UN};
    static const int lockfs[] = {F_TEST, F_TLOCK, F_ULOCK};
    static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
    struct flock lock = {.l_type = types[below(t, 3)],
                         .l_whence = (short)below(t, 3),
                         .l_start = (off_t)below(t, 40) - 4,
                         .l_len = (off_t)below(t, 30) - 4};
    int command = commands[below(t, 5)], operation = flocks[below(t, 3)];

    switch (below(t, 4)) {
    case 0:
        what(t, "flock %d", operation);
        BOTH(t, flock(fd[side], operation | LOCK_NB));
        break;
    case 1:
        operation = lockfs[below(t, 3)];
        what(t, "lockf %d %lld", operation, (long long)lock.l_len);
        BOTH(t, lockf(fd[side], operation, lock.l_len));
        break;
    default:
        if (command == F_OFD_GETLK && lock.l_type == F_UNLCK)
            lock.l_type = F_RDLCK;
        what(t, "fcntl %d: type %d whence %d start %lld length %lld", command, lock.l_type,
             lock.l_whence, (long long)lock.l_start, (long long)lock.l_len);
        BOTH(t, ask_lock(fd[side], command, &lock));
        break;
    }
}

static void try_dup_more(struct test *t, const int *fd)
{
    int *to = t->fd[draw_slot(t)];
    bool cloexec = below(t, 2);

    if (to == fd)
        return;
    if (below(t, 2)) {
        what(t, "fcntl F_DUPFD");
        OPEN(t, to, fcntl(fd[side], cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, 50));
        if (to[SIM] >= 0)
            BOTH(t, fcntl(to[side], F_GETFD));
    } else if (to[SIM] >= 0) {
        what(t, "dup3");
        BOTH(t, dup3(fd[side], to[side], cloexec ? O_CLOEXEC : 0) < 0 ? -1 : 0);
        BOTH(t, fcntl(to[side], F_GETFD));
    }
    what(t, "fcntl F_SETFD");
    BOTH(t, fcntl(fd[side], F_SETFD, cloexec));
}

/* ---- streams ---- */

static long stream_step(FILE *file, uint64_t op, long number, char *text)
{
    switch (op) {
    case 0:
        return (long)fwrite(text, 1, (size_t)number % 700, file);
    case 1:
        return fseek(file, number % 3000, SEEK_SET);
    case 2:
        return ftell(file);
    case 3:
        return fflush(file);
    case 4:
        return fprintf(file, "%ld\n", number);
    case 5:
        return fseek(file, -(number % 100), SEEK_END);
    case 6:
        return fputc((int)(number & 0x7f), file);
    default:
        rewind(file);
        return 0;
    }
}

/* Writers only write and readers only read: what a stream does that changes its mind without a seek
 * is not defined. */
static void try_stream(struct test *t)
{
    static const char *const modes[] = {"w", "a", "r+", "wx", "r", "r", "w+", "a+e"};
    const char *path = draw_path(t), *mode = modes[below(t, 8)];
    FILE *file[SIDES];
    bool reads = *mode == 'r' && !mode[1];

    what(t, "fopen %s %s", path, mode);
    fill_block(t, 700);
    BOTH(t, (file[side] = fopen(full(t, side, path), mode)) ? 0 : -1);
    if (last_result)
        return;
    for (uint64_t n = below(t, 6); n > 0; n--) {
        uint64_t op = below(t, 8);
        long number = (long)below(t, 5000);

        if (reads) {
            what(t, "fread %ld of %s", number, path);
            BOTH(t, (long)fread(block[side], 1, (size_t)number, file[side]));
            same_block(t, last_result);
            if (op == 1)
                BOTH(t, fseek(file[side], number / 4, SEEK_SET));
            continue;
        }
        what(t, "stream %s, %s: step %d with %ld", path, mode, (int)op, number);
        BOTH(t, stream_step(file[side], op, number, (char *)block[SIM]));
    }
    what(t, "fclose %s", path);
    BOTH(t, fileno(file[side]) >= 0);
    BOTH(t, fclose(file[side]));
}

/* ---- mappings ---- */

static void try_map_more(struct test *t)
{
    struct mapping *map = &t->maps[below(t, MAPS)];
    size_t len = (size_t)below(t, BYTES_MAX) + 1;
    uint8_t *to[SIDES];

    if (!map->len)
        return;
    switch (below(t, 4)) {
    case 0:
        what(t, "mremap %zu to %zu", map->len, len);
        BOTH(t, (to[side] = mremap(map->at[side], map->len, len, MREMAP_MAYMOVE)) == MAP_FAILED
                    ? -1
                    : 0);
        if (last_result)
            break;
        memcpy(map->at, to, sizeof to);
        map->len = len;
        break;
    case 1:
        what(t, "msync");
        BOTH(t, msync(map->at[side], map->len, MS_ASYNC));
        BOTH(t, msync(map->at[side], map->len, MS_SYNC | MS_ASYNC));
        break;
    case 2:
        what(t, "madvise");
        BOTH(t, madvise(map->at[side], map->len, MADV_WILLNEED));
        break;
    default:
        what(t, "mprotect");
        BOTH(t, mprotect(map->at[side], map->len, PROT_READ));
        map->stores = false;
        break;
    }
}

/* ---- the draw ---- */

static void rare_call(struct test *t)
{
    uint64_t draw = below(t, 24);
    const int *fd = t->fd[draw_slot(t)];

    if (draw < 3)
        try_open_more(t);
    else if (draw == 3)
        try_exchange(t);
    else if (draw == 4)
        try_attribute(t);
    else if (draw == 5)
        try_realpath(t);
    else if (draw == 6)
        try_directory(t);
    else if (draw == 7)
        try_chdir(t);
    else if (draw == 8 || draw == 9)
        try_stream(t);
    else if (draw == 10)
        try_map_more(t);
    else if (draw >= 20)
        try_symlink(t);
    else if (fd[SIM] < 0)
        return;
    else if (draw == 11)
        try_statx(t, fd);
    else if (draw == 12)
        try_holes(t, fd);
    else if (draw < 15)
        try_copy(t, fd);
    else if (draw == 15)
        try_advice(t, fd);
    else if (draw == 16)
        try_dup_more(t, fd);
    else if (draw == 17)
        try_lock(t, fd);
    else
        try_vectors(t, fd);
}

#endif
