/* posix_dir.c: directory streams. A stream lists its directory when it is first read and after
 * rewinddir; "." and ".." come first. Positions are indexes into that list. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <stdlib.h>

struct directory dir_table[DIR_LIMIT];
static size_t dir_high; /* all in use lie below */

static struct directory *dir_of(DIR *dir)
{
    struct directory *ours = (struct directory *)(void *)dir;

    return ours->used ? ours : NULL;
}

static void forget_list(struct directory *dir)
{
    free(dir->entries);
    dir->entries = NULL;
    dir->count = 0;
}

void dir_forget_all(void)
{
    for (size_t i = 0; i < dir_high; i++) {
        if (dir_table[i].used)
            forget_list(&dir_table[i]);
        dir_table[i].used = false;
    }
    dir_high = 0;
}

static long new_stream(int fd)
{
    for (size_t i = 0; i < DIR_LIMIT; i++) {
        struct directory *dir = &dir_table[i];

        if (dir->used)
            continue;
        dir->used = true;
        if (i >= dir_high)
            dir_high = i + 1;
        dir->fd = fd;
        dir->next = 0;
        return (long)dir;
    }
    return -EMFILE;
}

long sim_opendir(const char *path)
{
    long fd = sim_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;

    if (fd < 0)
        return fd;
    dir = new_stream((int)fd);
    if (dir == -EMFILE)
        (void)sim_close((int)fd);
    return dir;
}

long sim_fdopendir(int fd)
{
    struct file *file;
    int st = fd_file(fd, &file);

    if (st)
        return st;
    if (file->kind != DISK_DIRECTORY)
        return -ENOTDIR;
    return new_stream(fd);
}

/* ---- reading ---- */

static int list(struct directory *dir, uint32_t ino)
{
    int st = dir->entries ? 0 : disk_ask(layer.disk, PC_CALL_LIST, ino);

    if (dir->entries || st)
        return st;
    return disk_list(layer.disk, ino, &dir->entries, &dir->count);
}

static void fill(struct directory *dir, const char *name, uint32_t ino, enum disk_kind kind)
{
    size_t len = strlen(name);

    dir->entry.d_ino = ino;
    dir->entry.d_off = (off_t)dir->next;
    dir->entry.d_type = kind == DISK_DIRECTORY ? DT_DIR : kind == DISK_SYMLINK ? DT_LNK : DT_REG;
    dir->entry.d_reclen =
        (unsigned short)((offsetof(struct dirent, d_name) + len + 1 + 7) & ~(size_t)7);
    memcpy(dir->entry.d_name, name, len + 1);
}

long sim_readdir(DIR *stream)
{
    struct directory *dir = dir_of(stream);
    struct file *file = dir ? fd_peek(dir->fd) : NULL;
    size_t index;
    int st;

    if (!file)
        return -EBADF;
    st = list(dir, file->ino);
    if (st)
        return st;
    if (dir->next >= dir->count + 2)
        return 0;
    index = dir->next++;
    if (index == 0)
        fill(dir, ".", file->ino, DISK_DIRECTORY);
    else if (index == 1)
        fill(dir, "..", disk_parent(layer.disk, file->ino), DISK_DIRECTORY);
    else
        fill(dir, dir->entries[index - 2].name, dir->entries[index - 2].ino,
             dir->entries[index - 2].kind);
    return (long)&dir->entry;
}

int whole_readdir_r(DIR *stream, struct dirent *entry, struct dirent **result)
{
    long got;

    layer_enter();
    got = sim_readdir(stream);
    if (got && !result_failed(got))
        memcpy(entry, (const void *)got, ((const struct dirent *)got)->d_reclen);
    *result = got && !result_failed(got) ? entry : NULL;
    (void)layer_leave(0);
    return result_failed(got) ? (int)-got : 0;
}

long sim_rewinddir(DIR *stream)
{
    struct directory *dir = dir_of(stream);

    if (!dir)
        return -EBADF;
    forget_list(dir);
    dir->next = 0;
    return 0;
}

long sim_seekdir(DIR *stream, long at)
{
    struct directory *dir = dir_of(stream);

    if (!dir)
        return -EBADF;
    dir->next = at < 0 ? 0 : (size_t)at;
    return 0;
}

long sim_telldir(DIR *stream)
{
    struct directory *dir = dir_of(stream);

    return dir ? (long)dir->next : -EBADF;
}

long sim_dirfd(DIR *stream)
{
    struct directory *dir = dir_of(stream);

    return dir ? dir->fd : -EINVAL;
}

long sim_closedir(DIR *stream)
{
    struct directory *dir = dir_of(stream);

    if (!dir)
        return -EBADF;
    forget_list(dir);
    dir->used = false;
    return sim_close(dir->fd);
}
