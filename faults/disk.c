/* disk.c: a running disk: boot, the log of calls, the volatile view of files. How calls on content
 * become micro-ops is in crack.c, the calls themselves in content.c, names in names.c, what a power
 * cut leaves in image.c. */
#include "inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

/* ---- boot ---- */

static void view_clear(struct pc_disk *disk)
{
    for (uint32_t i = 0; i < disk->inode_count; i++)
        disk->inodes[i] = NULL;
    arena_clear(&disk->arena);
    log_clear(&disk->log);
    disk->fault_count = disk->damage_count = 0;
    disk->mark = disk->steps = 0;
    disk->step_limit = UINT64_MAX;
    disk->read_only = disk->has_bad = false;
    disk->insert_at = disk->defer_at = NEVER;
    disk->deferred_count = 0;
}

static void set_config(struct pc_disk *disk, const struct pc_disk_config *config)
{
    disk->config = *config;
    disk->rules = &model_rules[config->model];
    disk->log.leaps = disk->rules->leaps;
    must(disk->rules->simulated);
    must(config->unit > 0);
    must((config->unit & (config->unit - 1)) == 0);
    must(config->unit <= sizeof disk->scratch);
    if (config->block == 0)
        disk->config.block = config->unit > 4096 ? config->unit : 4096;
    must((disk->config.block & (disk->config.block - 1)) == 0);
    must(disk->config.block >= config->unit);
    disk->unit_shift = (uint8_t)__builtin_ctz(config->unit);
    disk->block_shift = (uint8_t)__builtin_ctz(disk->config.block);
}

static struct pc_disk *disk_alloc(const struct pc_disk_config *config)
{
    struct pc_disk *disk = calloc(1, sizeof *disk);

    must(disk != NULL);
    set_config(disk, config);
    view_clear(disk);
    return disk;
}

static void inode_numbers(struct pc_disk *disk, uint32_t count)
{
    if (count > disk->inode_room) {
        uint32_t room = disk->inode_room ? disk->inode_room : 64;

        while (room < count)
            room *= 2;
        disk->inodes = realloc(disk->inodes, room * sizeof *disk->inodes);
        must(disk->inodes != NULL);
        disk->inode_room = room;
    }
    for (uint32_t i = disk->inode_count; i < count; i++)
        disk->inodes[i] = NULL;
    disk->inode_count = count;
}

struct pc_disk *pc_disk_new(const struct pc_disk_config *config)
{
    struct pc_disk *disk = disk_alloc(config);

    disk->base = calloc(1, sizeof *disk->base);
    must(disk->base != NULL);
    tree_init_empty(disk->base);
    inode_numbers(disk, DISK_ROOT + 1);
    return disk;
}

static void free_base(struct pc_disk *disk)
{
    if (disk->base) {
        tree_release(disk->base);
        free(disk->base);
        disk->base = NULL;
    }
}

void pc_disk_free(struct pc_disk *disk)
{
    if (disk == NULL)
        return;
    free_base(disk);
    arena_release(&disk->arena);
    log_release(&disk->log);
    free(disk->inodes);
    lazy_free(disk);
    free(disk);
}

static void put_on(struct pc_disk *disk, struct pc_image *image)
{
    must(image->disk != disk);
    disk->image = image;
    disk->hard_links = image->disk->hard_links;
    disk->links_counted = false;
    disk->inode_count = 0;
    inode_numbers(disk, image->disk->inode_count);
    disk->lazy = false;
    disk->looks = 0;
}

struct pc_disk *pc_disk_boot(struct pc_image *image)
{
    struct pc_disk *disk = disk_alloc(&image->disk->config);

    put_on(disk, image);
    return disk;
}

void pc_disk_reboot(struct pc_disk *disk, struct pc_image *image)
{
    view_clear(disk);
    free_base(disk);
    set_config(disk, &image->disk->config);
    put_on(disk, image);
}

const struct pc_disk_config *pc_disk_get_config(const struct pc_disk *disk)
{
    return &disk->config;
}

/* ---- the log, as others see it ---- */

size_t pc_disk_call_count(const struct pc_disk *disk)
{
    return disk->log.call_count;
}

const struct pc_call *pc_disk_call(const struct pc_disk *disk, size_t index)
{
    must(index < disk->log.call_count);
    return &disk->log.calls[index];
}

void pc_disk_mark(struct pc_disk *disk, uint64_t mark)
{
    disk->mark = mark;
}

uint64_t pc_disk_steps(const struct pc_disk *disk)
{
    return disk->steps;
}

void pc_disk_step_limit(struct pc_disk *disk, uint64_t limit, void (*exceeded)(void *), void *ctx)
{
    disk->step_limit = limit;
    disk->step_exceeded = exceeded;
    disk->step_ctx = ctx;
}

void disk_without_hash(struct pc_disk *disk)
{
    disk->log.hashless = true;
}

uint64_t pc_disk_hash(const struct pc_disk *disk)
{
    must(!disk->log.hashless);
    return disk->log.hash;
}

/* Writing back fails in the background of call k, and earlier calls lose by it, too: after it there
 * are fewer images, as after a sync. */
static bool drops_older(const struct log *log, size_t k)
{
    for (uint32_t n = 0; log->drops_older && n < log->call_nodes[k]; n++)
        for (uint32_t e = 0; e < log_effects(log, n); e++)
            if (log->effects[log->nodes[n].first_effect + e].voided_at == k)
                return true;
    return false;
}

bool pc_disk_is_frontier(const struct pc_disk *disk, size_t k)
{
    const struct pc_call *next;

    if (k >= disk->log.call_count || disk->config.model == PC_PROCESS_KILL)
        return true;
    next = &disk->log.calls[k];
    switch (next->kind) {
    case PC_CALL_FSYNC:
    case PC_CALL_FDATASYNC:
    case PC_CALL_SYNC:
    case PC_CALL_MSYNC:
        return !(next->flags & PC_CALL_LIED);
    default:
        return (next->flags & (PC_CALL_DSYNC | PC_CALL_LIED)) == PC_CALL_DSYNC ||
               drops_older(&disk->log, k);
    }
}

void disk_step(struct pc_disk *disk)
{
    if (++disk->steps > disk->step_limit && disk->step_exceeded) {
        void (*exceeded)(void *) = disk->step_exceeded;

        disk->step_exceeded = NULL;
        exceeded(disk->step_ctx);
    }
}

void pc_disk_insert_sync(struct pc_disk *disk, size_t call, uint32_t sync)
{
    disk->insert_at = (uint32_t)call;
    disk->insert_sync = sync;
}

void pc_disk_defer_unlink(struct pc_disk *disk, size_t call, size_t until)
{
    disk->defer_at = (uint32_t)call;
    disk->defer_until = (uint32_t)until;
}

uint32_t disk_call(struct pc_disk *disk, const struct pc_call *call)
{
    struct pc_call *copy;
    uint32_t index;

    disk_step(disk);
    index = log_call(&disk->log, call);
    copy = &disk->log.calls[index];
    copy->mark = disk->mark;
    if (copy->to == NULL)
        copy->to = "";
    return index;
}

bool pc_disk_tears_inside(const struct pc_disk *disk, size_t k)
{
    const struct log *log = &disk->log;
    uint32_t first, end;

    must(k < log->call_count);
    if (disk->config.model == PC_PROCESS_KILL ||
        (log->calls[k].flags & (PC_CALL_DSYNC | PC_CALL_LIED)) != PC_CALL_DSYNC)
        return false;
    first = log->call_nodes[k];
    end = k + 1 < log->call_count ? log->call_nodes[k + 1] : log->node_count;
    for (uint32_t i = 0; end == first + 1 && i < first; i++)
        if (log->nodes[i].forced_at == k)
            return true;
    return end > first + 1;
}

/* ---- the volatile view ---- */

static struct inode *inode_new(struct pc_disk *disk, uint32_t ino)
{
    struct inode *inode = arena_zeroed(&disk->arena, sizeof *inode);

    inode->ino = ino;
    inode->links = 1;
    inode->last_size = inode->last_order = inode->last_cut = NONE;
    inode->created = inode->last_named = inode->last_entry = NONE;
    inode->synced_at = NEVER;
    return inode;
}

struct inode *disk_new_inode(struct pc_disk *disk, enum disk_kind kind, uint32_t parent,
                             const char *path)
{
    struct inode *inode = inode_new(disk, disk->inode_count);

    inode_numbers(disk, disk->inode_count + 1);
    inode->kind = kind;
    inode->parent = parent;
    inode->path = path;
    inode->size_loaded = inode->listed = true;
    disk->inodes[inode->ino] = inode;
    return inode;
}

struct inode *disk_inode(struct pc_disk *disk, uint32_t ino)
{
    struct inode *inode;

    must(ino < disk->inode_count);
    if (disk->inodes[ino])
        return disk->inodes[ino];
    inode = inode_new(disk, ino);
    if (disk->image) {
        inode->kind = image_kind(disk->image, ino);
        inode->path = image_path(disk->image, ino);
        inode->target = image_target(disk->image, ino);
        inode->parent = DISK_ROOT;
    } else {
        const struct tree_inode *base = tree_inode(disk->base, ino);

        must(base != NULL);
        inode->kind = base->kind;
        inode->path = base->path;
        inode->target = base->target;
        inode->parent = base->parent;
    }
    inode->path = arena_text(&disk->arena, inode->path, strlen(inode->path));
    if (inode->target) {
        inode->target = arena_text(&disk->arena, inode->target, strlen(inode->target));
        inode->size = strlen(inode->target);
        inode->size_loaded = true;
    }
    disk->inodes[ino] = inode;
    return inode;
}

void disk_load_size(struct pc_disk *disk, struct inode *inode)
{
    if (inode->size_loaded)
        return;
    inode->size_loaded = true;
    if (disk->image)
        inode->size = image_size(disk->image, inode->ino);
    else
        inode->size = tree_inode(disk->base, inode->ino)->size;
}

struct unit *disk_unit_room(struct pc_disk *disk, struct inode *inode, uint32_t index)
{
    if (index >= inode->unit_room) {
        uint32_t room = inode->unit_room ? inode->unit_room * 2 : 8;
        struct unit *units;

        while (room <= index)
            room *= 2;
        units = arena_zeroed(&disk->arena, room * sizeof *units);
        if (inode->unit_room)
            memcpy(units, inode->units, inode->unit_room * sizeof *units);
        for (uint32_t i = inode->unit_room; i < room; i++)
            units[i].last = NONE;
        inode->units = units;
        inode->unit_room = room;
    }
    return &inode->units[index];
}

bool disk_exists_below(const struct pc_disk *disk, const struct inode *inode)
{
    if (disk->image)
        return inode->ino < disk->image->disk->inode_count;
    return tree_inode(disk->base, inode->ino) != NULL;
}

struct unit *disk_unit_loaded(struct pc_disk *disk, struct inode *inode, uint32_t index)
{
    struct unit *unit = disk_unit_slot(disk, inode, index);

    if (unit->loaded)
        return unit;
    unit->loaded = true;
    if (!disk_exists_below(disk, inode))
        return unit;
    if (disk->image) {
        unit->content = image_unit(disk->image, inode->ino, index, &disk->arena);
    } else {
        const struct tree_inode *base = tree_inode(disk->base, inode->ino);

        unit->content = index < base->unit_count ? base->units[index] : NULL;
    }
    return unit;
}

struct place *disk_place_loaded(struct pc_disk *disk, struct inode *inode, uint32_t index)
{
    struct place *place;

    if (index >= inode->place_room) {
        uint32_t room = inode->place_room ? inode->place_room * 2 : 4;
        struct place *places;

        while (room <= index)
            room *= 2;
        places = arena_zeroed(&disk->arena, room * sizeof *places);
        if (inode->place_room)
            memcpy(places, inode->places, inode->place_room * sizeof *places);
        for (uint32_t i = inode->place_room; i < room; i++)
            places[i].last = NONE;
        inode->places = places;
        inode->place_room = room;
    }
    place = &inode->places[index];
    if (!place->loaded) {
        place->loaded = true;
        if (!disk_exists_below(disk, inode))
            place->mapped = false;
        else if (disk->image)
            place->mapped = image_mapped(disk->image, inode->ino, index);
        else
            place->mapped = index < tree_inode(disk->base, inode->ino)->block_count &&
                            tree_inode(disk->base, inode->ino)->mapped[index];
    }
    return place;
}

const struct block *disk_block(struct pc_disk *disk, const uint8_t *data, uint32_t len)
{
    struct block *block = arena_block(&disk->arena, len);

    memcpy(block_bytes(block), data, len);
    return block;
}

static void pending_grow(struct pc_disk *disk, struct inode *inode)
{
    uint32_t room = inode->pending_room ? inode->pending_room * 2 : 8;
    struct pending *pending = arena_alloc(&disk->arena, room * sizeof *pending);

    if (inode->pending_count)
        memcpy(pending, inode->pending, inode->pending_count * sizeof *pending);
    inode->pending = pending;
    inode->pending_room = room;
}

void disk_pend_node(struct pc_disk *disk, struct inode *inode, uint32_t node, enum pend what)
{
    struct pending *last = inode->pending_count ? &inode->pending[inode->pending_count - 1] : NULL;

    if (last && last->what == what && node - last->node <= last->count) {
        last->count = node - last->node + 1;
        return;
    }
    if (inode->pending_count == inode->pending_room)
        pending_grow(disk, inode);
    inode->pending[inode->pending_count++] = (struct pending){node, 1, what};
}

/* ---- inodes ---- */

int disk_stat(struct pc_disk *disk, uint32_t ino, struct disk_stat *out)
{
    struct inode *inode = disk_inode(disk, ino);

    disk_step(disk);
    disk_load_size(disk, inode);
    if (disk->hard_links && inode->kind != DISK_DIRECTORY)
        disk_count_links(disk);
    *out = (struct disk_stat){ino, inode->kind, inode->kind == DISK_DIRECTORY ? 4096 : inode->size,
                              inode->links};
    return 0;
}

void disk_hold(struct pc_disk *disk, uint32_t ino)
{
    disk_inode(disk, ino)->holds++;
}

void disk_drop(struct pc_disk *disk, uint32_t ino)
{
    struct inode *inode = disk_inode(disk, ino);

    must(inode->holds > 0);
    inode->holds--;
    space_dropped(disk, inode);
}
