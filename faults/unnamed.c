/* unnamed.c: see unnamed.h. */
#include "unnamed.h"

#include "inner.h"

uint32_t disk_create_unnamed(struct pc_disk *disk)
{
    struct inode *inode = disk_new_inode(disk, DISK_FILE, DISK_ROOT, "(nameless)");

    inode->links = 0;
    return inode->ino;
}
