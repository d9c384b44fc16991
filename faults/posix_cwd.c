/* posix_cwd.c: a current directory on the disk. While there is one, relative paths are simulated,
 * and the real current directory is a place in which nothing can be made: a call that is not
 * interposed fails there instead of meeting a real file. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <stdlib.h>
#include <unistd.h>

#define NOWHERE "/proc/self/fdinfo"

static char outside[PATH_MAX]; /* the real current directory to go back to */

static void leave(void)
{
    if (layer.inside)
        disk_drop(layer.disk, layer.cwd);
    layer.inside = false;
}

void cwd_forget(void)
{
    if (!layer.inside)
        return;
    layer.inside = false;
    (void)!real_chdir(outside);
}

static long enter(uint32_t ino, enum disk_kind kind)
{
    if (kind != DISK_DIRECTORY)
        return -ENOTDIR;
    if (!layer.inside) {
        if (!real_getcwd(outside, sizeof outside))
            memcpy(outside, "/", 2);
        if (real_chdir(NOWHERE))
            return layer_refuse("chdir without /proc", layer.prefix, ENOTSUP);
    }
    disk_hold(layer.disk, ino);
    leave();
    layer.inside = true;
    layer.cwd = ino;
    return 0;
}

long sim_chdir(const char *path)
{
    enum disk_kind kind;
    uint32_t ino;
    long st;

    if (!path_is_ours(path)) {
        st = real_chdir(path) ? -errno : 0;
        if (!st)
            leave();
        return st;
    }
    st = path_inode(AT_FDCWD, path, 0, &ino, &kind);
    return st ? st : enter(ino, kind);
}

long sim_fchdir(int fd)
{
    struct file *file;
    long st;

    if (!fd_is_ours(fd)) {
        st = real_fchdir(fd) ? -errno : 0;
        if (!st)
            leave();
        return st;
    }
    st = fd_file_or_path(fd, &file);
    return st ? st : enter(file->ino, file->kind);
}

/* ---- its path ---- */

/* The name of a directory in its parent, put in front of what is in out[from..PATH_MAX). */
static long prepend_name(uint32_t dir, char *out, size_t from)
{
    struct disk_dirent *entries;
    size_t count, len = 0;
    int st = disk_list(layer.disk, disk_parent(layer.disk, dir), &entries, &count);

    if (st)
        return st;
    st = -ENOENT; /* it was removed */
    for (size_t i = 0; i < count; i++) {
        if (entries[i].ino != dir)
            continue;
        len = strlen(entries[i].name) + 1;
        st = len > from ? -ENAMETOOLONG : 0;
        if (!st) {
            out[from - len] = '/';
            memcpy(out + from - len + 1, entries[i].name, len - 1);
        }
        break;
    }
    free(entries);
    return st ? st : (long)(from - len);
}

long cwd_text(uint32_t dir, char *out)
{
    char text[PATH_MAX];
    long at = PATH_MAX;
    size_t len;

    while (dir != DISK_ROOT) {
        at = prepend_name(dir, text, (size_t)at);
        if (at < 0)
            return at;
        dir = disk_parent(layer.disk, dir);
    }
    len = (size_t)(PATH_MAX - at);
    if (layer.prefix_len + len >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(out, layer.prefix, layer.prefix_len);
    memcpy(out + layer.prefix_len, text + at, len);
    out[layer.prefix_len + len] = '\0';
    return (long)(layer.prefix_len + len);
}

long sim_getcwd(char *buf, size_t size)
{
    char text[PATH_MAX];
    long len = cwd_text(layer.cwd, text);

    if (len < 0)
        return len;
    if (buf && size == 0)
        return -EINVAL;
    if (size && size <= (size_t)len)
        return -ERANGE;
    if (!buf)
        buf = malloc(size ? size : (size_t)len + 1);
    if (!buf)
        return -ENOMEM;
    memcpy(buf, text, (size_t)len + 1);
    return (long)buf;
}
