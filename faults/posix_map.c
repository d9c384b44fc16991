/* posix_map.c: mappings of simulated files.
 *
 * A mapped inode has a *backing*: a memfd of the size of the file. All mappings of the inode are
 * mappings of the memfd, so the kernel keeps them coherent, gives private ones their copies, and
 * sends SIGBUS beyond the last page. The layer has a view of its own, through which writes by
 * descriptor are copied in.
 *
 *   M1 What the disk holds of a mapped inode is what the backing holds, but for stores that were
 *      not seen yet.
 *   M2 Only shared mappings that may be written can hold such stores. While an inode has one,
 *      `known` is what the disk holds; map_observe compares and tells the disk the units that
 *      differ, one disk_store per run of them. Every simulated call begins with it.
 *   M3 A mapping holds the inode, as a descriptor does.
 *
 * Limits: mapping a file reads all of it, so on a crash image all of it is decided; a child process
 * shares the memfd with its parent, though each has a disk of its own, so shared mappings are to be
 * closed before a fork. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <sys/mman.h>
#include <unistd.h>

#define MAP_LIMIT     4096
#define BACKING_LIMIT 2048
#define PAGE          4096u
#define VIEW_MIN      (1u << 16)
#define COMPARE_STEP  4096u

struct backing {
    uint32_t ino;
    uint32_t maps; /* 0: free */
    int memfd;
    bool writable;  /* has, or had, a shared writable mapping */
    uint8_t *view;  /* of the whole memfd; room beyond the end */
    uint8_t *known; /* NULL unless writable; same room */
    size_t room;
    uint64_t size;
};

struct map {
    uintptr_t addr;
    size_t len; /* 0: free */
    uint64_t offset;
    struct backing *backing;
    bool shared, may_write;
};

uint32_t map_high;
uint32_t map_writables;

static struct map maps[MAP_LIMIT];
static struct backing backings[BACKING_LIMIT];
static uint32_t backing_high;

static size_t round_page(uint64_t size)
{
    return (size_t)((size + PAGE - 1) & ~(uint64_t)(PAGE - 1));
}

void *layer_scratch(size_t size)
{
    static void *memory;
    static size_t room;

    if (size > room) {
        size_t want = round_page(size < VIEW_MIN ? VIEW_MIN : size);
        void *more =
            real_mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (more == MAP_FAILED)
            return NULL;
        if (memory)
            (void)real_munmap(memory, room);
        memory = more;
        room = want;
    }
    return memory;
}

/* ---- backings ---- */

static struct backing *find_backing(uint32_t ino)
{
    for (uint32_t i = 0; i < backing_high; i++) {
        if (backings[i].maps && backings[i].ino == ino)
            return &backings[i];
    }
    return NULL;
}

/* Room for `size` bytes in the view, and in `known` where there is one. */
static int make_room(struct backing *backing, uint64_t size)
{
    size_t want = round_page(size * 2 < VIEW_MIN ? VIEW_MIN : size * 2);
    void *moved;

    if (size <= backing->room)
        return 0;
    moved = backing->view
                ? real_mremap(backing->view, backing->room, want, MREMAP_MAYMOVE, NULL)
                : real_mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_SHARED, backing->memfd, 0);
    if (moved == MAP_FAILED)
        return -ENOMEM;
    backing->view = moved;
    if (backing->known) {
        moved = real_mremap(backing->known, backing->room, want, MREMAP_MAYMOVE, NULL);
        if (moved == MAP_FAILED)
            return -ENOMEM;
        backing->known = moved;
    }
    backing->room = want;
    return 0;
}

/* Follows the size of the file. Bytes between two sizes are zero, whatever was stored beyond the
 * end of the file in its last page. */
static int set_size(struct backing *backing, uint64_t size)
{
    uint64_t old = backing->size, tail = round_page(old);
    int st = make_room(backing, size);

    if (st)
        return st;
    if (size > old && tail > old)
        memset(backing->view + old, 0, tail - old);
    if (real_ftruncate(backing->memfd, (off_t)size))
        return -errno;
    if (backing->known && size < old)
        memset(backing->known + size, 0, old - size);
    backing->size = size;
    return 0;
}

static void free_backing(struct backing *backing)
{
    if (backing->view)
        (void)real_munmap(backing->view, backing->room);
    if (backing->known)
        (void)real_munmap(backing->known, backing->room);
    if (backing->writable)
        map_writables--;
    if (backing->memfd >= 0) {
        fd_set_reserved(backing->memfd, false);
        (void)real_close(backing->memfd);
    }
    *backing = (struct backing){.memfd = -1};
    while (backing_high && !backings[backing_high - 1].maps)
        backing_high--;
}

static int read_all(struct backing *backing)
{
    uint64_t done = 0;

    while (done < backing->size) {
        ssize_t got = disk_read(layer.disk, backing->ino, done, backing->view + done,
                                (size_t)(backing->size - done));

        if (got <= 0)
            return got < 0 ? (int)got : -EIO;
        done += (uint64_t)got;
    }
    return 0;
}

static int new_backing(uint32_t ino, struct backing **out)
{
    struct backing *backing = NULL;
    int st;

    for (uint32_t i = 0; i < BACKING_LIMIT && !backing; i++) {
        if (!backings[i].maps)
            backing = &backings[i];
    }
    if (!backing)
        return -ENOMEM;
    *backing = (struct backing){.ino = ino, .memfd = memfd_create("powercut", MFD_CLOEXEC)};
    if (backing->memfd < 0)
        return -errno;
    fd_set_reserved(backing->memfd, true);
    st = make_room(backing, VIEW_MIN);
    if (!st)
        st = set_size(backing, inode_size(ino));
    if (!st)
        st = read_all(backing);
    if (st) {
        free_backing(backing);
        return st;
    }
    if (backing >= backings + backing_high)
        backing_high = (uint32_t)(backing - backings) + 1;
    *out = backing;
    return 0;
}

static int make_writable(struct backing *backing)
{
    void *known;

    if (backing->writable)
        return 0;
    known =
        real_mmap(NULL, backing->room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (known == MAP_FAILED)
        return -ENOMEM;
    memcpy(known, backing->view, backing->size);
    backing->known = known;
    backing->writable = true;
    map_writables++;
    return 0;
}

static void backing_drop(struct backing *backing)
{
    if (--backing->maps)
        return;
    disk_drop(layer.disk, backing->ino);
    free_backing(backing);
}

/* ---- stores ---- */

/* Reports [start, end). A store cannot fail: where the disk refuses it, it is lost. */
static void report(struct backing *backing, uint64_t start, uint64_t end)
{
    size_t len = (size_t)(end - start);

    memcpy(backing->known + start, backing->view + start, len);
    (void)disk_store(layer.disk, backing->ino, start, backing->known + start, len);
}

static void observe(struct backing *backing)
{
    uint64_t unit = pc_disk_get_config(layer.disk)->unit, at = 0, run = UINT64_MAX;
    uint64_t step = unit > COMPARE_STEP ? unit : COMPARE_STEP;

    while (at < backing->size) {
        uint64_t left = backing->size - at, len = left < step ? left : step;

        if (run == UINT64_MAX && !memcmp(backing->view + at, backing->known + at, len)) {
            at += len;
            continue;
        }
        for (uint64_t end = at + len; at < end; at += unit) {
            uint64_t part = end - at < unit ? end - at : unit;
            bool same = !memcmp(backing->view + at, backing->known + at, part);

            if (!same && run == UINT64_MAX) {
                run = at;
            } else if (same && run != UINT64_MAX) {
                report(backing, run, at);
                run = UINT64_MAX;
            }
        }
    }
    if (run != UINT64_MAX)
        report(backing, run, backing->size);
}

void map_observe(void)
{
    for (uint32_t i = 0; i < backing_high; i++) {
        if (backings[i].maps && backings[i].writable)
            observe(&backings[i]);
    }
}

void map_written(uint32_t ino, uint64_t offset, const void *buf, size_t len)
{
    struct backing *backing = map_high ? find_backing(ino) : NULL;

    if (!backing)
        return;
    if (offset + len > backing->size && set_size(backing, offset + len))
        return;
    memmove(backing->view + offset, buf, len);
    if (backing->known)
        memcpy(backing->known + offset, backing->view + offset, len);
}

void map_zeroed(uint32_t ino, uint64_t offset, uint64_t len)
{
    struct backing *backing = map_high ? find_backing(ino) : NULL;

    if (!backing)
        return;
    memset(backing->view + offset, 0, (size_t)len);
    if (backing->known)
        memset(backing->known + offset, 0, (size_t)len);
}

void map_resized(uint32_t ino)
{
    struct backing *backing = map_high ? find_backing(ino) : NULL;

    if (backing)
        (void)set_size(backing, inode_size(ino));
}

void map_reload(uint32_t ino)
{
    struct backing *backing = map_high ? find_backing(ino) : NULL;

    if (!backing || set_size(backing, inode_size(ino)) || read_all(backing))
        return;
    if (backing->known)
        memcpy(backing->known, backing->view, backing->size);
}

/* ---- records ---- */

static bool overlaps(const struct map *map, uintptr_t addr, size_t len)
{
    return map->len && map->addr < addr + len && addr < map->addr + map->len;
}

bool map_touches_slow(const void *addr, size_t len)
{
    for (uint32_t i = 0; i < map_high; i++) {
        if (overlaps(&maps[i], (uintptr_t)addr, len))
            return true;
    }
    return false;
}

static int add(const struct map *map)
{
    for (uint32_t i = 0; i < MAP_LIMIT; i++) {
        if (maps[i].len)
            continue;
        maps[i] = *map;
        map->backing->maps++;
        if (i >= map_high)
            map_high = i + 1;
        return 0;
    }
    return -ENOMEM;
}

/* The addresses do not belong to simulated files any more. */
static void forget(uintptr_t addr, size_t len)
{
    for (uint32_t i = 0; i < map_high; i++) {
        struct map map = maps[i], tail = map;
        size_t skip = addr + len - map.addr;

        if (!overlaps(&map, addr, len))
            continue;
        if (map.addr + map.len > addr + len) {
            tail.addr += skip;
            tail.len -= skip;
            tail.offset += skip;
            must(add(&tail) == 0);
        }
        if (map.addr < addr) {
            maps[i].len = addr - map.addr;
        } else {
            maps[i].len = 0;
            backing_drop(map.backing);
        }
    }
    while (map_high && !maps[map_high - 1].len)
        map_high--;
}

void map_forget_all(void)
{
    for (uint32_t i = 0; i < map_high; i++) {
        if (maps[i].len)
            (void)real_munmap((void *)maps[i].addr, maps[i].len);
        maps[i].len = 0;
    }
    map_high = 0;
    while (backing_high) {
        struct backing *backing = &backings[backing_high - 1];

        backing->maps = 0;
        free_backing(backing);
    }
}

/* ---- calls ---- */

static int may_map(int fd, int prot, int flags, struct file **file)
{
    int type = flags & MAP_TYPE, st = fd_file(fd, file);

    if (st)
        return st;
    if (!file_readable(*file))
        return -EACCES;
    if (type != MAP_PRIVATE && (prot & PROT_WRITE) && !file_writable(*file))
        return -EACCES;
    if ((*file)->kind == DISK_DIRECTORY)
        return -ENODEV;
    if (type == MAP_SHARED_VALIDATE && (flags & MAP_SYNC))
        return layer_refuse("mmap with MAP_SYNC", (*file)->path, EOPNOTSUPP);
    return type == MAP_PRIVATE || type == MAP_SHARED || type == MAP_SHARED_VALIDATE ? 0 : -EINVAL;
}

/* Maps the backing and records it. A new backing that fails is dropped by the caller. */
static long map_backing(struct backing *backing, void *addr, struct map *map, int prot, int flags)
{
    int st = map->shared && (prot & PROT_WRITE) ? make_writable(backing) : 0;
    void *at;

    if (st)
        return st;
    at = real_mmap(addr, map->len, prot, flags, backing->memfd, (off_t)map->offset);
    if (at == MAP_FAILED)
        return -errno;
    if (flags & MAP_FIXED)
        forget((uintptr_t)at, map->len);
    map->addr = (uintptr_t)at;
    must(add(map) == 0);
    return (long)at;
}

static long map_other(void *addr, size_t size, int prot, int flags, int fd, off_t at)
{
    void *got = real_mmap(addr, size, prot, flags, fd, at);

    if (got == MAP_FAILED)
        return -errno;
    forget((uintptr_t)got, round_page(size));
    return (long)got;
}

long sim_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t at)
{
    struct backing *backing;
    struct file *file;
    struct map map;
    long st;

    if ((flags & MAP_ANONYMOUS) || !fd_is_ours(fd))
        return map_other(addr, size, prot, flags, fd, at);
    st = may_map(fd, prot, flags, &file);
    if (st)
        return st;
    if (size == 0 || at < 0 || at % PAGE)
        return -EINVAL;
    st = disk_ask(layer.disk, PC_CALL_MMAP, file->ino);
    if (st)
        return st;
    backing = find_backing(file->ino);
    if (!backing) {
        st = new_backing(file->ino, &backing);
        if (st)
            return st;
        disk_hold(layer.disk, file->ino);
    }
    backing->maps++; /* ours, for the time being */
    map = (struct map){.len = round_page(size),
                       .offset = (uint64_t)at,
                       .backing = backing,
                       .shared = (flags & MAP_TYPE) != MAP_PRIVATE,
                       .may_write = file_writable(file)};
    st = map_backing(backing, addr, &map, prot, flags);
    backing_drop(backing);
    return st;
}

long sim_munmap(void *addr, size_t size)
{
    if (real_munmap(addr, size))
        return -errno;
    forget((uintptr_t)addr, round_page(size));
    return 0;
}

long sim_mprotect(void *addr, size_t size, int prot)
{
    int st = 0;

    for (uint32_t i = 0; i < map_high && (prot & PROT_WRITE) && !st; i++) {
        struct map *map = &maps[i];

        if (!overlaps(map, (uintptr_t)addr, size) || !map->shared)
            continue;
        st = map->may_write ? make_writable(map->backing) : -EACCES;
    }
    if (!st && real_mprotect(addr, size, prot))
        st = -errno;
    return st;
}

long sim_msync(void *addr, size_t size, int flags)
{
    uintptr_t start = (uintptr_t)addr, end = start + round_page(size);

    if (start % PAGE || (flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE)) ||
        ((flags & MS_ASYNC) && (flags & MS_SYNC)))
        return -EINVAL;
    if (!(flags & MS_SYNC))
        return 0;
    for (uint32_t i = 0; i < map_high; i++) {
        struct map *map = &maps[i];
        uintptr_t from = map->addr < start ? start : map->addr;
        uintptr_t to = map->addr + map->len > end ? end : map->addr + map->len;
        int st;

        if (!map->shared || !overlaps(map, start, end - start))
            continue;
        st = disk_msync(layer.disk, map->backing->ino, map->offset + (from - map->addr), to - from);
        if (st)
            return st;
    }
    return 0;
}

static struct map *find_map(uintptr_t addr, size_t len)
{
    for (uint32_t i = 0; i < map_high; i++) {
        if (maps[i].len && maps[i].addr <= addr && addr + len <= maps[i].addr + maps[i].len)
            return &maps[i];
    }
    return NULL;
}

long sim_mremap(void *addr, size_t size, size_t to, int flags, void *to_addr)
{
    uintptr_t start = (uintptr_t)addr;
    struct map *found = find_map(start, size ? round_page(size) : 1), map;
    void *moved;

    if (!found)
        return layer_refuse("mremap of more than one mapping", "a mapping", EINVAL);
    map = *found;
    moved = real_mremap(addr, size, to, flags, to_addr);
    if (moved == MAP_FAILED)
        return -errno;
    map.backing->maps++; /* kept over forget */
    if (size)
        forget(start, round_page(size));
    if (flags & MREMAP_FIXED)
        forget((uintptr_t)moved, round_page(to));
    map.offset += start - map.addr;
    map.addr = (uintptr_t)moved;
    map.len = round_page(to);
    must(add(&map) == 0);
    backing_drop(map.backing);
    return (long)moved;
}
