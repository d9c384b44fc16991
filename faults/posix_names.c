/* posix_names.c: calls that make, move and remove names. Order of the checks as in Linux. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include "exchange.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- rename ---- */

/* Is `above` a proper ancestor of, or the same as, the directory `dir`? */
static bool is_above(uint32_t above, uint32_t dir)
{
    for (;;) {
        if (dir == above)
            return true;
        if (dir == DISK_ROOT)
            return false;
        dir = disk_parent(layer.disk, dir);
    }
}

/* What the disk would refuse in another order, or cannot see: slashes at the end. */
static int check_rename(const struct place *from, const struct place *to, bool no_replace)
{
    enum disk_kind kind;
    uint32_t ino, to_ino;
    int st = disk_lookup(layer.disk, from->dir, from->name, from->len, &ino);
    bool there;

    if (st)
        return st;
    kind = inode_kind(ino);
    st = disk_lookup(layer.disk, to->dir, to->name, to->len, &to_ino);
    if (st && st != -ENOENT)
        return st;
    there = !st;
    if (there && no_replace)
        return -EEXIST;
    if (kind != DISK_DIRECTORY && (from->slash || to->slash))
        return -ENOTDIR;
    if (kind == DISK_DIRECTORY && is_above(ino, to->dir))
        return -EINVAL;
    if (there && to_ino != ino && is_above(to_ino, from->dir))
        return -ENOTEMPTY;
    return there ? 0 : place_free(to);
}

/* Both exist; what is not a directory has no slash behind its name. */
static int check_exchange(const struct place *from, const struct place *to)
{
    uint32_t ino, to_ino;
    int st = disk_lookup(layer.disk, from->dir, from->name, from->len, &ino);

    if (!st)
        st = disk_lookup(layer.disk, to->dir, to->name, to->len, &to_ino);
    if (st)
        return st;
    return (to->slash && inode_kind(to_ino) != DISK_DIRECTORY) ||
                   (from->slash && inode_kind(ino) != DISK_DIRECTORY)
               ? -ENOTDIR
               : 0;
}

long sim_renameat(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    struct place source, target;
    int st;

    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return layer_refuse("a flag of renameat2", from, EINVAL);
    if (flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    if (!from || !to)
        return -EFAULT;
    if (!*from || !*to)
        return -ENOENT;
    if (!at_is_ours(from_dir, from) || !at_is_ours(to_dir, to))
        return -EXDEV;
    st = place_find(from_dir, from, &source);
    if (!st)
        st = place_find(to_dir, to, &target);
    if (st)
        return st;
    if (source.last != PLACE_NAME)
        return -EBUSY;
    if (target.last != PLACE_NAME)
        return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    st = flags & RENAME_EXCHANGE ? check_exchange(&source, &target)
                                 : check_rename(&source, &target, flags & RENAME_NOREPLACE);
    if (st)
        return st;
    if (flags & RENAME_EXCHANGE)
        return disk_exchange(layer.disk, source.dir, source.name, source.len, target.dir,
                             target.name, target.len);
    return layer_seam(&(struct seam_call){.kind = PC_CALL_RENAME,
                                          .ino = source.dir,
                                          .name = source.name,
                                          .len = source.len,
                                          .to_ino = target.dir,
                                          .to_name = target.name,
                                          .to_len = target.len});
}

/* ---- link, unlink, directories ---- */

/* A new name, for link and mkdir. */
static int find_new(int dirfd, const char *path, bool directory, struct place *out)
{
    uint32_t ino;
    int st = place_find(dirfd, path, out);

    if (st)
        return st;
    if (out->last != PLACE_NAME)
        return -EEXIST;
    st = disk_lookup(layer.disk, out->dir, out->name, out->len, &ino);
    if (!st)
        return -EEXIST;
    if (st == -ENOENT)
        return out->slash && !directory ? -ENOENT : place_free(out);
    return st;
}

/* The descriptor that a path below /proc/self/fd names, or -1. */
static int proc_fd(const char *path)
{
    static const char where[] = "/proc/self/fd/";
    char *end;
    long fd;

    if (!path || strncmp(path, where, sizeof where - 1) != 0)
        return -1;
    path += sizeof where - 1;
    fd = strtol(path, &end, 10);
    return end != path && !*end && fd_is_ours((int)fd) ? (int)fd : -1;
}

/* What lost its last name does not get another; what never had one may get its first. */
static bool may_be_linked(const struct file *file, uint32_t ino)
{
    struct disk_stat stat;

    return (file && file->linkable) || (!disk_stat(layer.disk, ino, &stat) && stat.links > 0);
}

long sim_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    struct place target;
    struct file *file;
    enum disk_kind kind;
    uint32_t ino;
    int st;

    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (!from || !to)
        return -EFAULT;
    if (flags & AT_SYMLINK_FOLLOW && proc_fd(from) >= 0) {
        from_dir = proc_fd(from);
        from = "";
        flags |= AT_EMPTY_PATH;
    }
    if (!at_is_ours(from_dir, from) || !at_is_ours(to_dir, to))
        return -EXDEV;
    st = path_inode(from_dir, from,
                    (flags & AT_EMPTY_PATH) | (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW),
                    &ino, &kind);
    if (!st)
        st = find_new(to_dir, to, false, &target);
    if (st)
        return st;
    if (kind == DISK_DIRECTORY)
        return -EPERM;
    file = *from ? NULL : fd_peek(from_dir);
    if (!*from && !may_be_linked(file, ino))
        return -ENOENT;
    st = disk_link(layer.disk, ino, target.dir, target.name, target.len);
    if (!st && file)
        file->linkable = false;
    return st;
}

static int remove_directory(const struct place *place)
{
    switch (place->last) {
    case PLACE_ROOT:
        return -EBUSY;
    case PLACE_DOT:
        return -EINVAL;
    case PLACE_DOTDOT:
        return -ENOTEMPTY;
    default:
        return disk_rmdir(layer.disk, place->dir, place->name, place->len);
    }
}

static int remove_file(const struct place *place)
{
    enum disk_kind kind;
    uint32_t ino;
    int st;

    if (place->last != PLACE_NAME)
        return -EISDIR;
    st = place_look(place, &ino, &kind);
    if (st)
        return st;
    if (kind == DISK_DIRECTORY)
        return -EISDIR;
    if (place->slash)
        return -ENOTDIR;
    return (int)layer_seam(&(struct seam_call){
        .kind = PC_CALL_UNLINK, .ino = place->dir, .name = place->name, .len = place->len});
}

long sim_unlinkat(int dirfd, const char *path, int flags)
{
    struct place place;
    int st;

    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    st = place_find(dirfd, path, &place);
    if (st)
        return st;
    return flags & AT_REMOVEDIR ? remove_directory(&place) : remove_file(&place);
}

long sim_remove(const char *path)
{
    long st = sim_unlinkat(AT_FDCWD, path, 0);

    return st == -EISDIR ? sim_unlinkat(AT_FDCWD, path, AT_REMOVEDIR) : st;
}

long sim_mkdirat(int dirfd, const char *path)
{
    struct place place;
    int st = find_new(dirfd, path, true, &place);

    return st ? st : disk_mkdir(layer.disk, place.dir, place.name, place.len);
}

long sim_symlinkat(const char *target, int dirfd, const char *path)
{
    struct place place;
    int st;

    if (!target)
        return -EFAULT;
    if (!*target)
        return -ENOENT;
    if (strnlen(target, PATH_MAX) == PATH_MAX)
        return -ENAMETOOLONG;
    st = find_new(dirfd, path, false, &place);
    return st ? st : disk_symlink(layer.disk, place.dir, place.name, place.len, target);
}

/* ---- looking ---- */

/* An empty path names the link that a descriptor of O_PATH and O_NOFOLLOW holds. */
long sim_readlinkat(int dirfd, const char *path, char *buf, size_t size)
{
    const char *target;
    enum disk_kind kind;
    uint32_t ino;
    size_t len;
    int st;

    if (size == 0 || size > INT_MAX)
        return -EINVAL;
    st = path_inode(dirfd, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, &ino, &kind);
    if (st)
        return st;
    if (kind != DISK_SYMLINK)
        return *path ? -EINVAL : -ENOENT;
    st = disk_ask(layer.disk, PC_CALL_STAT, ino);
    if (st)
        return st;
    target = disk_target(layer.disk, ino);
    len = strlen(target);
    if (len > size)
        len = size;
    memcpy(buf, target, len);
    return (long)len;
}

long sim_realpath(const char *path, char *resolved)
{
    char out[PATH_MAX];
    struct place place;
    enum disk_kind kind;
    uint32_t ino;
    size_t len;
    long st = place_find(AT_FDCWD, path, &place);

    if (!st)
        st = place_inode(&place, true, &ino, &kind);
    if (!st)
        st = cwd_text(kind == DISK_DIRECTORY ? ino : place.dir, out);
    if (st < 0)
        return st;
    len = (size_t)st;
    if (kind != DISK_DIRECTORY) {
        if (len + 1 + place.len >= PATH_MAX)
            return -ENAMETOOLONG;
        out[len++] = '/';
        memcpy(out + len, place.name, place.len);
        len += place.len;
        out[len] = '\0';
    }
    if (!resolved)
        resolved = malloc(len + 1);
    if (!resolved)
        return -ENOMEM;
    memcpy(resolved, out, len + 1);
    return (long)resolved;
}
