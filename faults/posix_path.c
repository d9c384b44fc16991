/* posix_path.c: from a path or a directory descriptor and a path to a place on the disk.
 *
 * A path is walked once, front to back. A symbolic link in the midst of it is followed there and
 * then; one at its end is the caller's business (place_follow). ".." at the root stays at the root.
 * A link that leads off the disk is not followed: the call would have to become one on a real file.
 */
#define _GNU_SOURCE
#include "posix_layer.h"

enum disk_kind inode_kind(uint32_t ino)
{
    uint32_t found;

    /* A name that is too long is refused by a directory without a look at it, so that no open
     * question of a crash image is decided here; disk_stat would ask for the size. */
    if (disk_lookup(layer.disk, ino, "", DISK_NAME_MAX + 1, &found) != -ENOTDIR)
        return DISK_DIRECTORY;
    return disk_target(layer.disk, ino) ? DISK_SYMLINK : DISK_FILE;
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

static int walk(uint32_t dir, const char *path, struct place *out);

/* One step of the walk that is not the last. `links`: how many were followed. */
static int step(uint32_t *dir, const char *name, size_t len, uint32_t *links)
{
    struct place end = {.dir = *dir, .last = PLACE_NAME, .name = name, .len = len, .links = *links};
    enum disk_kind kind;
    uint32_t ino;
    int st;

    if (len == 1 && name[0] == '.')
        return 0;
    if (len == 2 && name[0] == '.' && name[1] == '.') {
        *dir = disk_parent(layer.disk, *dir);
        return 0;
    }
    st = place_inode(&end, true, &ino, &kind);
    if (st)
        return st;
    *links = end.links;
    *dir = ino;
    return kind == DISK_DIRECTORY ? 0 : -ENOTDIR;
}

static int walk(uint32_t dir, const char *path, struct place *out)
{
    *out = (struct place){.dir = dir, .last = PLACE_ROOT, .links = out->links};
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
        st = step(&out->dir, path, out->len, &out->links);
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

    out->links = 0;
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

int place_look(const struct place *place, uint32_t *ino, enum disk_kind *kind)
{
    int st;

    if (place->last != PLACE_NAME) {
        *ino = place->dir;
        *kind = DISK_DIRECTORY;
        return 0;
    }
    st = disk_lookup(layer.disk, place->dir, place->name, place->len, ino);
    if (!st)
        *kind = inode_kind(*ino);
    return st;
}

int place_follow(struct place *place, uint32_t link)
{
    const char *target = disk_target(layer.disk, link);
    bool slash = place->slash, relative = place->relative;
    int st;

    if (++place->links > LINKS_MAX)
        return -ELOOP;
    if (*target != '/')
        st = walk(place->dir, target, place);
    else if (path_is_ours(target))
        st = walk(DISK_ROOT, path_rest(target), place);
    else
        return (int)layer_refuse("a symbolic link that leads off the disk", target, EXDEV);
    place->slash |= slash;
    place->relative = relative;
    return st;
}

int place_inode(struct place *place, bool follow, uint32_t *ino, enum disk_kind *kind)
{
    int st = place_look(place, ino, kind);

    while (!st && *kind == DISK_SYMLINK && (follow || place->slash)) {
        st = place_follow(place, *ino);
        if (!st)
            st = place_look(place, ino, kind);
    }
    if (st)
        return st;
    return place->slash && *kind != DISK_DIRECTORY ? -ENOTDIR : 0;
}

int path_inode(int dirfd, const char *path, int flags, uint32_t *ino, enum disk_kind *kind)
{
    struct place place;
    int st;

    if (path && !*path && (flags & AT_EMPTY_PATH))
        return inode_of_fd(dirfd, ino, kind);
    st = place_find(dirfd, path, &place);
    return st ? st : place_inode(&place, !(flags & AT_SYMLINK_NOFOLLOW), ino, kind);
}
