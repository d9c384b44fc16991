/* tree.c: what is durable for good, as a plain tree: the floor on which a disk stands. */
#include "inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void tree_numbers(struct tree *tree, uint32_t count)
{
    tree->inodes = calloc(count, sizeof *tree->inodes);
    must(tree->inodes != NULL);
    tree->count = count;
}

void tree_init_empty(struct tree *tree)
{
    tree_numbers(tree, DISK_ROOT + 1);
    tree->inodes[DISK_ROOT] = (struct tree_inode){
        .exists = true, .kind = DISK_DIRECTORY, .parent = DISK_ROOT, .path = ""};
}

void tree_release(struct tree *tree)
{
    arena_release(&tree->arena);
    free(tree->inodes);
    *tree = (struct tree){0};
}

const struct tree_inode *tree_inode(const struct tree *tree, uint32_t ino)
{
    if (tree == NULL || ino >= tree->count || !tree->inodes[ino].exists)
        return NULL;
    return &tree->inodes[ino];
}

uint32_t tree_find(const struct tree_inode *dir, const char *name, size_t len)
{
    for (uint32_t i = 0; i < dir->name_count; i++)
        if (dir->names[i].len == len && memcmp(dir->names[i].name, name, len) == 0)
            return dir->names[i].ino;
    return 0;
}

struct copy {
    struct pc_image *image;
    struct tree *tree;
    struct tree_inode *dir;
    uint32_t room;
};

static void copy_name(void *ctx, const char *name, size_t len, uint32_t ino)
{
    struct copy *copy = ctx;
    struct tree_inode *dir = copy->dir;

    if (dir->name_count == copy->room) {
        struct tree_name *names;

        copy->room = copy->room ? copy->room * 2 : 16;
        names = arena_alloc(&copy->tree->arena, copy->room * sizeof *names);
        if (dir->name_count)
            memcpy(names, dir->names, dir->name_count * sizeof *names);
        dir->names = names;
    }
    dir->names[dir->name_count++] =
        (struct tree_name){arena_text(&copy->tree->arena, name, len), (uint32_t)len, ino};
}

static void copy_file(struct copy *copy, uint32_t ino, struct tree_inode *inode)
{
    const struct pc_disk_config *config = &copy->image->disk->config;
    struct arena *arena = &copy->tree->arena;

    inode->size = image_size(copy->image, ino);
    inode->unit_count = (uint32_t)((inode->size + config->unit - 1) / config->unit);
    inode->block_count = (uint32_t)((inode->size + config->block - 1) / config->block);
    inode->units = arena_zeroed(arena, (inode->unit_count + 1) * sizeof *inode->units);
    inode->mapped = arena_zeroed(arena, inode->block_count + 1);
    for (uint32_t i = 0; i < inode->block_count; i++)
        inode->mapped[i] = image_mapped(copy->image, ino, i);
    for (uint32_t i = 0; i < inode->unit_count; i++) {
        const struct block *block = image_unit(copy->image, ino, i, arena);

        if (block) {
            struct block *own = arena_block(arena, block->len);

            memcpy(block_bytes(own), block->data, block->len);
            inode->units[i] = own;
        }
    }
}

static void copy_inode(struct copy *copy, uint32_t ino, uint32_t parent, const char *path)
{
    struct tree_inode *inode = &copy->tree->inodes[ino];

    if (inode->exists)
        return;
    inode->exists = true;
    inode->kind = image_kind(copy->image, ino);
    inode->parent = parent;
    inode->path = path;
    if (inode->kind == DISK_FILE) {
        copy_file(copy, ino, inode);
        return;
    }
    if (inode->kind == DISK_SYMLINK) {
        const char *target = image_target(copy->image, ino);

        inode->target = arena_text(&copy->tree->arena, target, strlen(target));
        return;
    }
    copy->dir = inode;
    copy->room = 0;
    image_names(copy->image, ino, copy_name, copy);
    for (uint32_t i = 0; i < inode->name_count; i++) {
        size_t dir_len = strlen(path), len = inode->names[i].len;
        char *child = arena_alloc(&copy->tree->arena, dir_len + len + 2);

        memcpy(child, path, dir_len);
        if (dir_len)
            child[dir_len++] = '/';
        memcpy(child + dir_len, inode->names[i].name, len + 1);
        copy_inode(copy, inode->names[i].ino, ino, child);
    }
}

/* Units that were only read still borrow their content from the image. */
static void repoint_units(struct pc_disk *disk, const struct tree *tree)
{
    for (uint32_t ino = 0; ino < tree->count; ino++) {
        struct inode *inode = disk->inodes[ino];

        for (uint32_t i = 0; inode && i < inode->unit_room; i++)
            if (inode->units[i].last == NONE && inode->units[i].content) {
                must(tree_inode(tree, ino) != NULL);
                must(i < tree->inodes[ino].unit_count);
                inode->units[i].content = tree->inodes[ino].units[i];
            }
    }
}

void pc_disk_settle(struct pc_disk *disk)
{
    struct copy copy = {.image = disk->image};

    if (disk->image == NULL)
        return;
    copy.tree = calloc(1, sizeof *copy.tree);
    must(copy.tree != NULL);
    tree_numbers(copy.tree, disk->image->disk->inode_count);
    copy_inode(&copy, DISK_ROOT, DISK_ROOT, "");
    repoint_units(disk, copy.tree);
    disk->base = copy.tree;
    disk->image = NULL;
}
