/* posix_random_test.c: the same random calls on a simulated disk and on a real directory. Result,
 * errno, offsets, sizes, listings, content and mapped bytes must agree after every call. What is
 * not compared is listed in posix_random_calls_test.h.
 *
 * POSIX_CALLS and POSIX_SEED (environment) set how many calls are made, and which. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "powercut/disk.h"
#include "powercut/posix.h"

#define MOUNT     "/powercut"
#define SLOTS     6
#define MAPS      3
#define BYTES_MAX 20000
#define TEXT_MAX  8192
#define RUN_CALLS 10000u /* then from an empty directory: trees would grow without end */

enum { SIM, REAL, SIDES };

struct mapping {
    uint8_t *at[SIDES];
    int fd[SIDES];
    size_t len;
    off_t offset;
    bool stores;
};

struct test {
    struct rng rng;
    char root[SIDES][64];
    int fd[SLOTS][SIDES]; /* -1: free */
    struct mapping maps[MAPS];
    char what[512]; /* the call, for the message */
    uint64_t call;
    uint64_t failures; /* calls that answered an error on both sides */
    bool zeroes;       /* the real file system knows FALLOC_FL_ZERO_RANGE */
    bool directs;      /* and O_DIRECT */
};

static uint8_t block[SIDES][BYTES_MAX * 2];

static uint64_t below(struct test *t, uint64_t n)
{
    return rng_below(&t->rng, n);
}

__attribute__((format(printf, 2, 3))) static void what(struct test *t, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(t->what, sizeof t->what, format, ap);
    va_end(ap);
}

/* Two results with their errors agree. */
static void agree(struct test *t, long sim, int sim_errno, long real, int real_errno)
{
    if (sim == real && (sim >= 0 || sim_errno == real_errno)) {
        t->failures += sim < 0;
        return;
    }
    fail_msg("call %llu: %s: simulated %ld (%s), real %ld (%s)", (unsigned long long)t->call,
             t->what, sim, sim < 0 ? strerror(sim_errno) : "", real,
             real < 0 ? strerror(real_errno) : "");
}

/* Makes the call on both sides: `side` is in scope in the expression. */
#define BOTH(t, expression)                                                                        \
    do {                                                                                           \
        long both[SIDES];                                                                          \
        int errors[SIDES];                                                                         \
                                                                                                   \
        for (int side = 0; side < SIDES; side++) {                                                 \
            errno = 0;                                                                             \
            both[side] = (long)(expression);                                                       \
            errors[side] = errno;                                                                  \
        }                                                                                          \
        agree(t, both[SIM], errors[SIM], both[REAL], errors[REAL]);                                \
        last_result = both[SIM];                                                                   \
    } while (0)

static long last_result;

/* ---- comparing ---- */

/* What both sides must agree in. A link may lead to an absolute path, whose length differs. */
static bool same_attributes(const struct stat *sim, const struct stat *real)
{
    if (sim->st_mode != real->st_mode)
        return false;
    return S_ISDIR(sim->st_mode) || (sim->st_nlink == real->st_nlink &&
                                     (S_ISLNK(sim->st_mode) || sim->st_size == real->st_size));
}

/* What a symbolic link holds, without what differs (try_symlink has "/./" between). */
static const char *link_text(const char *text)
{
    return text[0] == '/' && strstr(text, "/./") ? strstr(text, "/./") : text;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names below `path`, sorted, with kind, size and links, as text. */
static size_t list(const char *path, char *out, size_t len)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char *names[64], sub[512], target[512];
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) && count < 64) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            names[count++] = strdup(entry->d_name);
    }
    assert_int_equal(closedir(dir), 0);
    qsort(names, count, sizeof *names, by_text);
    for (size_t i = 0; i < count; i++) {
        struct stat st;

        (void)snprintf(sub, sizeof sub, "%s/%s", path, names[i]);
        assert_int_equal(lstat(sub, &st), 0);
        if (S_ISLNK(st.st_mode)) {
            memset(target, 0, sizeof target);
            assert_int_equal(readlink(sub, target, sizeof target - 1), st.st_size);
            len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s@%s:%lu ", names[i],
                                    link_text(target), (unsigned long)st.st_nlink);
        } else if (S_ISDIR(st.st_mode)) {
            len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s/{", names[i]);
            len = list(sub, out, len);
            len += (size_t)snprintf(out + len, TEXT_MAX - len, "} ");
        } else {
            len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s:%lld:%lu ", names[i],
                                    (long long)st.st_size, (unsigned long)st.st_nlink);
        }
        free(names[i]);
    }
    return len;
}

static void compare_trees(struct test *t)
{
    static char text[SIDES][TEXT_MAX];

    for (int side = 0; side < SIDES; side++) {
        text[side][0] = '\0';
        (void)list(t->root[side], text[side], 0);
    }
    if (strcmp(text[SIM], text[REAL]))
        fail_msg("call %llu: %s: simulated %s, real %s", (unsigned long long)t->call, t->what,
                 text[SIM], text[REAL]);
}

static void compare_content(struct test *t, const int fd[SIDES])
{
    ssize_t got[SIDES];
    struct stat st[SIDES];

    for (int side = 0; side < SIDES; side++) {
        assert_int_equal(fstat(fd[side], &st[side]), 0);
        got[side] = pread(fd[side], block[side], sizeof block[side], 0);
    }
    if (S_ISDIR(st[SIM].st_mode) && S_ISDIR(st[REAL].st_mode))
        return;
    if (!same_attributes(&st[SIM], &st[REAL]))
        fail_msg("call %llu: %s: size or links differ", (unsigned long long)t->call, t->what);
    if (got[SIM] != got[REAL] ||
        (got[SIM] > 0 && memcmp(block[SIM], block[REAL], (size_t)got[SIM])))
        fail_msg("call %llu: %s: content differs", (unsigned long long)t->call, t->what);
    if (lseek(fd[SIM], 0, SEEK_CUR) != lseek(fd[REAL], 0, SEEK_CUR))
        fail_msg("call %llu: %s: offsets differ", (unsigned long long)t->call, t->what);
}

/* Bytes of the mapping that lie in the file. */
static size_t mapped(const struct mapping *map)
{
    struct stat st;

    assert_int_equal(fstat(map->fd[REAL], &st), 0);
    if (st.st_size <= map->offset)
        return 0;
    return (size_t)(st.st_size - map->offset) < map->len ? (size_t)(st.st_size - map->offset)
                                                         : map->len;
}

static void compare_maps(struct test *t)
{
    for (size_t i = 0; i < MAPS; i++) {
        const struct mapping *map = &t->maps[i];
        size_t len = map->len ? mapped(map) : 0;

        if (len && memcmp(map->at[SIM], map->at[REAL], len))
            fail_msg("call %llu: %s: mapped bytes differ", (unsigned long long)t->call, t->what);
    }
}

static void compare(struct test *t)
{
    compare_trees(t);
    for (size_t i = 0; i < SLOTS; i++) {
        if (t->fd[i][SIM] >= 0)
            compare_content(t, t->fd[i]);
    }
    compare_maps(t);
}

/* ---- drawing ---- */

static const char *draw_path(struct test *t)
{
    static const char *const paths[] = {
        "a",     "b",      "c",      "d",      "e",      "d/a",    "d/b",  "d/e",  "e/a",
        "e/d",   "d/e/a",  "e/d/b",  "a/b",    "d/",     "a/",     "e/d/", "./a",  "d/../a",
        "d//a",  "d/./b",  ".",      "d/.",    "d/..",   "d/e/..", "e/",   "c/",   "d/e/",
        "d/e/f", "d/e/f/", "e/../d", "x/../a", "a/../b", "a/.",    "f",    "d/a/",
    };

    return paths[below(t, sizeof paths / sizeof *paths)];
}

static const char *full(const struct test *t, int side, const char *path)
{
    static char texts[4][256];
    static unsigned next;
    char *text = texts[next++ % 4];

    (void)snprintf(text, sizeof texts[0], "%s/%s", t->root[side], path);
    return text;
}

static size_t draw_slot(struct test *t)
{
    return (size_t)below(t, SLOTS);
}

static void fill_block(struct test *t, size_t len)
{
    uint8_t seed = (uint8_t)below(t, 255);

    for (size_t i = 0; i < len; i++)
        block[SIM][i] = (uint8_t)(seed + i * 7 + 1);
}

/* Content that both sides read into `block` agrees. */
static void same_block(struct test *t, long len)
{
    if (len > 0 && memcmp(block[SIM], block[REAL], (size_t)len))
        fail_msg("call %llu: %s: read bytes differ", (unsigned long long)t->call, t->what);
}

/* ---- calls on paths ---- */

static void try_open(struct test *t)
{
    static const int access_modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};
    static const int extras[] = {O_EXCL,    O_TRUNC, O_APPEND,  O_DIRECTORY,
                                 O_CLOEXEC, O_PATH,  O_NOFOLLOW};
    const char *path = draw_path(t);
    int flags = access_modes[below(t, 4)], *slot = t->fd[draw_slot(t)];
    bool relative = below(t, 4) == 0;
    int dir[SIDES];

    if (below(t, 2))
        flags |= O_CREAT;
    for (int n = (int)below(t, 3); n > 0; n--)
        flags |= extras[below(t, 7)];
    if (flags & O_CREAT)
        flags &= ~O_DIRECTORY;
    memcpy(dir, t->fd[draw_slot(t)], sizeof dir);
    relative = relative && dir[SIM] >= 0;
    what(t, "open %s%s 0%o", path, relative ? " at a descriptor" : "", (unsigned)flags);
    if (slot[SIM] >= 0)
        BOTH(t, close(slot[side]));
    slot[SIM] = slot[REAL] = -1;
    /* Descriptors differ in number: compare success and error. */
    BOTH(t, (slot[side] = relative ? openat(dir[side], path, flags, 0644)
                                   : open(full(t, side, path), flags, 0644)) < 0
                ? -1
                : 0);
}

static void try_rename(struct test *t)
{
    const char *from = draw_path(t), *to = draw_path(t);
    unsigned flags = below(t, 5) ? 0 : RENAME_NOREPLACE;

    what(t, "rename %s %s %u", from, to, flags);
    BOTH(t, flags ? renameat2(AT_FDCWD, full(t, side, from), AT_FDCWD, full(t, side, to), flags)
                  : rename(full(t, side, from), full(t, side, to)));
}

static void try_name(struct test *t)
{
    const char *path = draw_path(t), *to = draw_path(t);
    struct stat st[SIDES];

    switch (below(t, 9)) {
    case 0:
        what(t, "link %s %s", path, to);
        BOTH(t, link(full(t, side, path), full(t, side, to)));
        break;
    case 1:
        what(t, "unlink %s", path);
        BOTH(t, unlink(full(t, side, path)));
        break;
    case 2:
    case 3:
        what(t, "mkdir %s", path);
        BOTH(t, mkdir(full(t, side, path), 0755));
        break;
    case 4:
        what(t, "rmdir %s", path);
        BOTH(t, rmdir(full(t, side, path)));
        break;
    case 5:
        what(t, "stat %s", path);
        BOTH(t, stat(full(t, side, path), &st[side]));
        if (!last_result)
            assert_int_equal(st[SIM].st_mode, st[REAL].st_mode);
        break;
    case 6:
        what(t, "truncate %s", path);
        {
            off_t size = (off_t)below(t, BYTES_MAX) - 5;

            BOTH(t, truncate(full(t, side, path), size));
        }
        break;
    case 7:
        what(t, "readlink %s", path);
        BOTH(t, readlink(full(t, side, path), (char *)block[side], 100) < 0 ? -1 : 0);
        break;
    default:
        what(t, "remove %s", path);
        BOTH(t, strcmp(path, ".") ? remove(full(t, side, path)) : 0);
        break;
    }
}

static void try_at(struct test *t)
{
    const int *dir = t->fd[draw_slot(t)];
    const char *path = draw_path(t), *to = draw_path(t);
    struct stat st[SIDES];

    if (dir[SIM] < 0 || !strncmp(path, "..", 2))
        return;
    switch (below(t, 5)) {
    case 0:
        what(t, "mkdirat %s", path);
        BOTH(t, mkdirat(dir[side], path, 0755));
        break;
    case 1:
        what(t, "unlinkat %s", path);
        BOTH(t, unlinkat(dir[side], path, 0));
        break;
    case 2:
        what(t, "fstatat %s", path);
        BOTH(t, fstatat(dir[side], path, &st[side], 0));
        break;
    case 3:
        what(t, "renameat %s %s", path, to);
        BOTH(t, renameat(dir[side], path, AT_FDCWD, full(t, side, to)));
        break;
    default:
        what(t, "faccessat %s", path);
        BOTH(t, faccessat(dir[side], path, R_OK | W_OK, 0));
        break;
    }
}

/* ---- calls on descriptors ---- */

static void try_write(struct test *t, const int *fd)
{
    size_t len = (size_t)below(t, below(t, 4) ? 600 : BYTES_MAX / 2);
    off_t at = (off_t)below(t, BYTES_MAX) - 3;
    struct iovec iov[3] = {{block[SIM], len / 3}, {block[SIM] + len / 3, 0}, {NULL, 0}};

    iov[2] = (struct iovec){block[SIM] + len / 3, len - len / 3};
    fill_block(t, len);
    switch (below(t, 4)) {
    case 0:
        what(t, "pwrite %zu at %lld", len, (long long)at);
        BOTH(t, pwrite(fd[side], block[SIM], len, at));
        break;
    case 1:
        what(t, "writev %zu", len);
        BOTH(t, writev(fd[side], iov, 3));
        break;
    case 2:
        what(t, "pwritev %zu at %lld", len, (long long)at);
        BOTH(t, pwritev(fd[side], iov, 3, at));
        break;
    default:
        what(t, "write %zu", len);
        BOTH(t, write(fd[side], block[SIM], len));
        break;
    }
}

static void try_read(struct test *t, const int *fd)
{
    size_t len = (size_t)below(t, BYTES_MAX);
    off_t at = (off_t)below(t, BYTES_MAX) - 3;

    switch (below(t, 3)) {
    case 0:
        what(t, "pread %zu at %lld", len, (long long)at);
        BOTH(t, pread(fd[side], block[side], len, at));
        break;
    case 1:
        what(t, "readv %zu", len);
        BOTH(t,
             readv(fd[side],
                   (struct iovec[]){{block[side], len / 2}, {block[side] + len / 2, len / 2}}, 2));
        break;
    default:
        what(t, "read %zu", len);
        BOTH(t, read(fd[side], block[side], len));
        break;
    }
    same_block(t, last_result);
}

static bool is_directory(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static void try_seek(struct test *t, const int *fd)
{
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_HOLE, 77};
    int whence = whences[below(t, 5)];
    off_t offset = (off_t)below(t, BYTES_MAX) - (whence == SEEK_SET ? 3 : BYTES_MAX / 2);

    /* Holes of the real file system are its own; only the end is certain. */
    if (is_directory(fd[SIM]) || whence == SEEK_HOLE)
        return;
    what(t, "lseek %lld %d", (long long)offset, whence);
    BOTH(t, lseek(fd[side], offset, whence));
}

static void try_dup(struct test *t, const int *fd)
{
    int *to = t->fd[draw_slot(t)];

    if (to == fd)
        return;
    what(t, "dup");
    if (to[SIM] >= 0 && below(t, 2)) {
        BOTH(t, dup2(fd[side], to[side]) == to[side] ? 0 : -1);
        return;
    }
    if (to[SIM] >= 0)
        BOTH(t, close(to[side]));
    BOTH(t, (to[side] = dup(fd[side])) < 0 ? -1 : 0);
}

static void try_size(struct test *t, const int *fd)
{
    off_t size = (off_t)below(t, BYTES_MAX) - 5, at = (off_t)below(t, BYTES_MAX) - 5;
    int mode = below(t, 2) ? FALLOC_FL_KEEP_SIZE : 0;

    switch (below(t, 5)) {
    case 1:
        mode = FALLOC_FL_PUNCH_HOLE | (below(t, 8) ? FALLOC_FL_KEEP_SIZE : 0);
        what(t, "punch %d %lld %lld", mode, (long long)at, (long long)size);
        BOTH(t, fallocate(fd[side], mode, at, size));
        break;
    case 2:
        if (!t->zeroes)
            break;
        mode |= FALLOC_FL_ZERO_RANGE;
        what(t, "zero range %d %lld %lld", mode, (long long)at, (long long)size);
        BOTH(t, fallocate(fd[side], mode, at, size));
        break;
    case 0:
        what(t, "fallocate %d %lld %lld", mode, (long long)at, (long long)size);
        BOTH(t, fallocate(fd[side], mode, at, size));
        break;
    default:
        what(t, "ftruncate %lld", (long long)size);
        BOTH(t, ftruncate(fd[side], size));
        break;
    }
}

static void try_flags(struct test *t, const int *fd)
{
    int flags = below(t, 2) ? O_APPEND : 0;
    bool data_only = below(t, 2);

    what(t, "fcntl and fsync");
    BOTH(t, fcntl(fd[side], F_GETFL));
    BOTH(t, fcntl(fd[side], F_GETFD));
    if (below(t, 2))
        BOTH(t, fcntl(fd[side], F_SETFL, flags));
    if (below(t, 8) == 0)
        BOTH(t, data_only ? fdatasync(fd[side]) : fsync(fd[side]));
}

/* ---- mappings ---- */

static void unmap(struct test *t, struct mapping *map)
{
    what(t, "munmap");
    BOTH(t, munmap(map->at[side], map->len));
    BOTH(t, close(map->fd[side]));
    map->len = 0;
}

static void try_map(struct test *t, const int *fd)
{
    struct mapping *map = &t->maps[below(t, MAPS)];
    int prot = PROT_READ | (below(t, 2) ? PROT_WRITE : 0);
    int flags = below(t, 4) ? MAP_SHARED : MAP_PRIVATE;

    if (map->len) {
        unmap(t, map);
        return;
    }
    map->len = (size_t)below(t, BYTES_MAX) + 1;
    map->offset = (off_t)below(t, 3) * 4096;
    map->stores = (prot & PROT_WRITE) && flags == MAP_SHARED;
    what(t, "mmap %zu at %lld, %d %d", map->len, (long long)map->offset, prot, flags);
    BOTH(t, (map->at[side] = mmap(NULL, map->len, prot, flags, fd[side], map->offset)) == MAP_FAILED
                ? -1
                : 0);
    if (last_result)
        map->len = 0;
    for (int side = 0; side < SIDES && map->len; side++)
        map->fd[side] = dup(fd[side]);
}

static void try_store(struct test *t)
{
    struct mapping *map = &t->maps[below(t, MAPS)];
    size_t len = map->len && map->stores ? mapped(map) : 0, from, count;

    if (!len)
        return;
    from = (size_t)below(t, len);
    count = (size_t)below(t, (len - from < 900 ? len - from : 900) + 1);
    fill_block(t, count);
    what(t, "store %zu at %zu", count, from);
    memcpy(map->at[SIM] + from, block[SIM], count);
    memcpy(map->at[REAL] + from, block[SIM], count);
    if (below(t, 3) == 0)
        BOTH(t, msync(map->at[side], map->len, MS_SYNC));
}

#include "posix_random_calls_test.h"

/* ---- the run ---- */

static void one_call(struct test *t)
{
    uint64_t draw = below(t, 129);
    const int *fd;

    if (draw >= 100) {
        rare_call(t);
        return;
    }

    if (draw < 18) {
        try_open(t);
        return;
    }
    if (draw < 38) {
        try_name(t);
        return;
    }
    if (draw < 44) {
        try_rename(t);
        return;
    }
    if (draw < 48) {
        try_at(t);
        return;
    }
    if (draw < 53) {
        try_store(t);
        return;
    }
    fd = t->fd[draw_slot(t)];
    if (fd[SIM] < 0)
        return;
    if (draw < 68)
        try_write(t, fd);
    else if (draw < 78)
        try_read(t, fd);
    else if (draw < 84)
        try_seek(t, fd);
    else if (draw < 88)
        try_size(t, fd);
    else if (draw < 92)
        try_dup(t, fd);
    else if (draw < 95)
        try_flags(t, fd);
    else
        try_map(t, fd);
}

static void finish(struct test *t)
{
    char command[160];

    for (size_t i = 0; i < MAPS; i++) {
        if (t->maps[i].len)
            unmap(t, &t->maps[i]);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (t->fd[i][SIM] >= 0)
            BOTH(t, close(t->fd[i][side]));
    }
    assert_int_equal(pc_open_descriptors(), 0);
    (void)snprintf(command, sizeof command, "rm -rf %s", t->root[REAL]);
    assert_int_equal(system(command), 0);
}

/* tmpfs does not. */
static bool zero_range_known(const char *dir)
{
    char path[128];
    bool known;
    int fd;

    (void)snprintf(path, sizeof path, "%s/probe", dir);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    known = fd >= 0 && fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 1) == 0;
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    return known;
}

static bool direct_known(const char *dir)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/probe", dir);
    fd = open(path, O_RDWR | O_CREAT | O_DIRECT, 0600);
    (void)unlink(path);
    return fd >= 0 && close(fd) == 0;
}

/* Calls `from` to `to`, from an empty directory. Answers how many of them failed alike. */
static uint64_t run(uint64_t seed, uint64_t from, uint64_t to, bool *zeroes)
{
    bool odd = from / RUN_CALLS % 2;
    const struct pc_disk_config config = {.model = odd ? PC_POSIX : PC_EXT4_ORDERED,
                                          .unit = odd ? 4096 : 512,
                                          .seed = seed + from / RUN_CALLS};
    struct pc_disk *disk = pc_disk_new(&config);
    struct test t = {.rng = rng_seeded(config.seed), .root = {MOUNT}};
    const char *real = getenv("POSIX_DIR"); /* which file system to compare with */

    memset(t.fd, 0xff, sizeof t.fd);
    snprintf(t.root[REAL], sizeof t.root[REAL], "%s/powercut-posix-XXXXXX", real ? real : "/tmp");
    assert_non_null(mkdtemp(t.root[REAL]));
    assert_int_equal(chmod(t.root[REAL], 0755), 0);
    t.directs = direct_known(t.root[REAL]);
    t.zeroes = zero_range_known(t.root[REAL]);
    pc_mount(MOUNT, disk);
    for (t.call = from; t.call < to; t.call++) {
        one_call(&t);
        compare(&t);
    }
    finish(&t);
    pc_mount(NULL, NULL);
    pc_disk_free(disk);
    *zeroes = t.zeroes;
    return t.failures;
}

static uint64_t from_environment(const char *name, uint64_t value)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : value;
}

static void same_as_a_real_directory(void **state)
{
    uint64_t calls = from_environment("POSIX_CALLS", 20000);
    uint64_t seed = from_environment("POSIX_SEED", 1);
    uint64_t failures = 0;
    bool zeroes = false;

    (void)umask(022);
    for (uint64_t from = 0; from < calls; from += RUN_CALLS)
        failures += run(seed, from, calls - from < RUN_CALLS ? calls : from + RUN_CALLS, &zeroes);
    print_message("seed %llu: %llu calls, %llu of them failed alike, %s zero ranges\n",
                  (unsigned long long)seed, (unsigned long long)calls, (unsigned long long)failures,
                  zeroes ? "with" : "without");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_a_real_directory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
