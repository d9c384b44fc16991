/* posix_path.c: from a path or a directory descriptor and a path to a place on the disk.
 *
 * There are no symbolic links on the disk, so a path is walked once, front to back. ".." at the
 * root stays at the root: nothing on the disk leads out of it. */
#define _GNU_SOURCE
#include "posix_layer.h"

enum disk_kind inode_kind(uint32_t ino)
{
    uint32_t found;

    /* A name that is too long is refused by a directory without a look at it, so that no open
     * question of a crash image is decided here; disk_stat would ask for the size. */
    return disk_lookup(layer.disk, ino, "", DISK_NAME_MAX + 1, &found) == -ENOTDIR ? DISK_FILE
                                                                                   : DISK_DIRECTORY;
}

uint64_t inode_size(uint32_t ino)
{
    struct disk_stat st;

    return disk_stat(layer.disk, ino, &st) ? 0 : st.size;
}

const char *path_rest(const char *path)
{
    const char *want = layer.prefix;

    while (*want) {
        while (path[0] == '/' || (path[0] == '.' && (path[1] == '/' || !path[1])))
            path++;
        want++;
        while (*want && *want != '/') {
            want++;
            path++;
        }
    }
    return path;
}

/* One step of the walk that is not the last. */
static int step(uint32_t *dir, const char *name, size_t len)
{
    uint32_t ino;
    int st;

    if (len == 1 && name[0] == '.')
        return 0;
    if (len == 2 && name[0] == '.' && name[1] == '.') {
        *dir = disk_parent(layer.disk, *dir);
        return 0;
    }
    st = disk_lookup(layer.disk, *dir, name, len, &ino);
    if (st)
        return st;
    *dir = ino;
    return inode_kind(ino) == DISK_DIRECTORY ? 0 : -ENOTDIR;
}

static int walk(uint32_t dir, const char *path, struct place *out)
{
    *out = (struct place){.dir = dir, .last = PLACE_ROOT};
    for (;;) {
        const char *end, *next;
        int st;

        while (*path == '/')
            path++;
        if (!*path)
            return 0;
        end = strchrnul(path, '/');
        for (next = end; *next == '/'; next++)
            ;
        out->name = path;
        out->len = (size_t)(end - path);
        out->slash = end != next;
        if (!*next && !(path[0] == '.' && (out->len == 1 || (out->len == 2 && path[1] == '.')))) {
            out->last = PLACE_NAME;
            return out->len > DISK_NAME_MAX ? -ENAMETOOLONG : 0;
        }
        st = step(&out->dir, path, out->len);
        if (st)
            return st;
        if (!*next) {
            out->last = out->len == 1 ? PLACE_DOT : PLACE_DOTDOT;
            return 0;
        }
        path = next;
    }
}

int inode_of_fd(int fd, uint32_t *ino, enum disk_kind *kind)
{
    struct file *file;
    int st;

    if (fd == AT_FDCWD && layer.inside) {
        *ino = layer.cwd;
        *kind = DISK_DIRECTORY;
        return 0;
    }
    st = fd_file_or_path(fd, &file);
    if (st)
        return st;
    *ino = file->ino;
    *kind = file->kind;
    return 0;
}

/* Where a relative path starts. */
static int start_at(int dirfd, uint32_t *dir)
{
    enum disk_kind kind;
    int st = inode_of_fd(dirfd, dir, &kind);

    if (st)
        return st;
    return kind == DISK_DIRECTORY ? 0 : -ENOTDIR;
}

int place_find(int dirfd, const char *path, struct place *out)
{
    uint32_t dir = DISK_ROOT;
    int st;

    if (!path)
        return -EFAULT;
    if (!*path)
        return -ENOENT;
    if (strnlen(path, PATH_MAX) == PATH_MAX)
        return -ENAMETOOLONG;
    if (*path == '/')
        return walk(dir, path_rest(path), out);
    st = start_at(dirfd, &dir);
    if (!st)
        st = walk(dir, path, out);
    out->relative = true;
    return st;
}

int place_free(const struct place *place)
{
    struct disk_stat st;
    int err;

    if (!place->relative || place->dir == DISK_ROOT)
        return 0;
    err = disk_stat(layer.disk, place->dir, &st);
    return !err && st.links == 0 ? -ENOENT : err;
}

int place_inode(const struct place *place, uint32_t *ino, enum disk_kind *kind)
{
    int st;

    if (place->last != PLACE_NAME) {
        *ino = place->dir;
        *kind = DISK_DIRECTORY;
        return 0;
    }
    st = disk_lookup(layer.disk, place->dir, place->name, place->len, ino);
    if (st)
        return st;
    *kind = inode_kind(*ino);
    return place->slash && *kind != DISK_DIRECTORY ? -ENOTDIR : 0;
}

int path_inode(int dirfd, const char *path, int flags, uint32_t *ino, enum disk_kind *kind)
{
    struct place place;
    int st;

    if (path && !*path && (flags & AT_EMPTY_PATH))
        return inode_of_fd(dirfd, ino, kind);
    st = place_find(dirfd, path, &place);
    return st ? st : place_inode(&place, ino, kind);
}
