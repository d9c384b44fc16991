/* exchange.c: two names change places. The invariants are those of names.c: one node with both
 * entries (N1), and where names are split one node per entry, so that a cut may show one thing
 * under both names and the other under none. */
#include "exchange.h"

#include <errno.h>
#include <string.h>

#include "inner.h"

/* The inode is named `path` in `dir` now, and all below it is named accordingly. */
static void move_to(struct pc_disk *disk, struct inode *inode, uint32_t dir, const char *path)
{
    inode->path = path;
    inode->parent = dir;
    if (inode->kind != DISK_DIRECTORY)
        return;
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        struct inode *child = disk->inodes[i];
        const char *name;

        if (!child || child == inode || !child->named || child->parent != inode->ino)
            continue;
        name = strrchr(child->path, '/');
        name = name ? name + 1 : child->path;
        move_to(disk, child, inode->ino, disk_join(disk, inode, name, strlen(name)));
    }
}

/* Is the inode a directory that holds `dir`, or is it `dir` itself? */
static bool holds(struct pc_disk *disk, const struct inode *inode, uint32_t dir)
{
    while (dir != inode->ino && dir != DISK_ROOT)
        dir = disk_inode(disk, dir)->parent;
    return dir == inode->ino;
}

int disk_exchange(struct pc_disk *disk, uint32_t dir, const char *name, size_t len, uint32_t to_dir,
                  const char *to_name, size_t to_len)
{
    struct inode *from = disk_inode(disk, dir), *to = disk_inode(disk, to_dir), *first, *second;
    struct pc_call call = {.kind = PC_CALL_RENAME};
    uint32_t ino, to_ino;
    int err = disk_lookup(disk, dir, name, len, &ino);

    if (!err)
        err = disk_lookup(disk, to_dir, to_name, to_len, &to_ino);
    if (err || ino == to_ino)
        return err;
    first = disk_inode(disk, ino);
    second = disk_inode(disk, to_ino);
    if (holds(disk, first, to_dir) || holds(disk, second, dir))
        return -EINVAL;
    call.path = disk_join(disk, from, name, len);
    call.to = disk_join(disk, to, to_name, to_len);
    err = disk_refused(disk, &call);
    if (err)
        return err;
    disk_call(disk, &call);
    names_begin(disk);
    names_entry(disk, from, disk_entry(disk, from, name, len), second->ino, second);
    if (disk->rules->split_names)
        names_begin(disk);
    names_entry(disk, to, disk_entry(disk, to, to_name, to_len), first->ino, first);
    move_to(disk, first, to_dir, call.to);
    move_to(disk, second, dir, call.path);
    return 0;
}
