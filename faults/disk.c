/* disk.c: a running disk: boot, the volatile view of files, and how calls on content crack into
 * micro-ops. Names are in names.c, what a power cut leaves in image.c.
 *
 * Cracking, by model (rules: log.h; the reasons and sources: README.md).
 *   D  data of one unit: the content of the whole unit in the volatile view after the call
 *   Z  the size grows;  T  the size is set;  M  a block is mapped
 *   C1 A write issues, per unit, ascending: D, then Z where it ends beyond the size so far. In
 *      journalled models Z and M are per block, after the D of the block. Where the model has no M
 *      apart (map_apart), the Z of a write maps its block, and M is for writes without a Z; but
 *      with undefined bytes, a block that the old size ends in has both (it may show before the
 *      size does).
 *   C2 steps models issue D and Z of a unit as one node; all else of a call is one node.
 *   C3 D needs the D before it on the same unit (journalled: of the same incarnation).
 *   C4 Z and T: without a journal in issue order per file. With one: T is in the journal chain, Z
 *      and M need the newest journal node before them. With data_first what maps a block, or grows
 *      the file in a block where the Z would map, needs the D of its write in the block; and where
 *      Z maps, a Z in a block that is mapped already needs what mapped it.
 *   C5 A gap or an extension is explicit zeros without a journal, and a hole with one.
 *   C6 A D that would write what the unit holds already, and is not lost, is left out: the one
 *      that holds it stands for it. Not with a tree log, where each D may take a size along; C7
 *      then has its D even if the rest of the unit was zeros before.
 *   C7 A T that shrinks forgets the units beyond it, also those of a block that stays mapped; the
 *      rest of the unit that it cuts is overwritten with zeros, as a D of its own.
 *   C8 A new block is written whole where what was never written is undefined: the units that the
 *      write does not touch are D of nothing, which reads as zeros.
 *   C9 In models that leap, what a micro-op depends on: a D on the D before it (C3); Z and M on the
 *      T before them and on what created the file, and on what they need by C4 besides the journal;
 *      with a tree log a Z on no data; T on the T before it and on what created the file. */
#include "inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/rng.h"

#define FILE_SIZE_MAX ((uint64_t)1 << 30)

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

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
    disk->insert_at = NEVER;
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
    must(disk->config.block % config->unit == 0);
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

uint64_t pc_disk_hash(const struct pc_disk *disk)
{
    return disk->log.hash;
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
        return (next->flags & (PC_CALL_DSYNC | PC_CALL_LIED)) == PC_CALL_DSYNC;
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

uint32_t disk_call(struct pc_disk *disk, const struct pc_call *call)
{
    struct pc_call copy = *call;

    copy.mark = disk->mark;
    if (copy.to == NULL)
        copy.to = "";
    disk_step(disk);
    return log_call(&disk->log, &copy);
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
    inode->last_size = inode->last_order = NONE;
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
        inode->parent = DISK_ROOT;
    } else {
        const struct tree_inode *base = tree_inode(disk->base, ino);

        must(base != NULL);
        inode->kind = base->kind;
        inode->path = base->path;
        inode->parent = base->parent;
    }
    inode->path = arena_text(&disk->arena, inode->path, strlen(inode->path));
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

struct unit *disk_unit_slot(struct pc_disk *disk, struct inode *inode, uint32_t index)
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

struct unit *disk_unit(struct pc_disk *disk, struct inode *inode, uint32_t index)
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

struct place *disk_place_of(struct pc_disk *disk, struct inode *inode, uint32_t index)
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
    struct block *block = arena_alloc(&disk->arena, sizeof *block + len);

    block->hash = XXH3_64bits_withSeed(data, len, len);
    block->len = len;
    memcpy(block->data, data, len);
    return block;
}

void disk_pend(struct pc_disk *disk, struct inode *inode, enum pend what)
{
    if (inode->pending_count == inode->pending_room) {
        uint32_t room = inode->pending_room ? inode->pending_room * 2 : 8;
        struct pending *pending = arena_alloc(&disk->arena, room * sizeof *pending);

        if (inode->pending_count)
            memcpy(pending, inode->pending, inode->pending_count * sizeof *pending);
        inode->pending = pending;
        inode->pending_room = room;
    }
    inode->pending[inode->pending_count++] = (struct pending){disk->log.node_count - 1, what};
}

/* ---- micro-ops of content ---- */

void crack_begin(struct pc_disk *disk, bool new_node)
{
    if (!new_node)
        return;
    log_node(&disk->log);
    if (disk->rules->steps && disk->log.node_count > 1)
        log_edge(&disk->log, disk->log.node_count - 2);
}

static uint32_t effect_node(const struct pc_disk *disk, uint32_t effect)
{
    return effect == NONE ? NONE : disk->log.effects[effect].node;
}

static void damage_lift(struct pc_disk *disk, const struct inode *inode, uint32_t unit);

/* The newest node needs `before`, and depends on it. */
static void need(struct pc_disk *disk, uint32_t before)
{
    log_edge(&disk->log, before);
    log_depend(&disk->log, before);
}

/* C6: is this what the unit holds, in this life of its block, and was that not lost? */
static bool is_held(const struct pc_disk *disk, const struct unit *unit,
                    const struct block *content, uint32_t incarnation)
{
    const struct effect *last = unit->last == NONE ? NULL : &disk->log.effects[unit->last];

    return unit->content && unit->content->hash == content->hash &&
           unit->content->len == content->len && !disk->rules->tree_log &&
           (last ? last->voided_at == NEVER && last->incarnation == incarnation : incarnation == 0);
}

/* D. The node of it, or NONE where nothing had to be written (C6). */
static uint32_t crack_data(struct pc_disk *disk, struct inode *inode, uint32_t index,
                           const uint8_t *data, uint32_t len, bool new_node)
{
    struct unit *unit = disk_unit(disk, inode, index);
    const struct block *content = disk_block(disk, data, len);
    struct effect effect = {.kind = PC_ITEM_DATA, .ino = inode->ino, .unit = index, .mapper = NONE};
    uint32_t before = unit->last;

    if (disk->rules->journal) {
        uint64_t at = (uint64_t)index * disk->config.unit;
        const struct place *place = disk_place_of(disk, inode, (uint32_t)(at / disk->config.block));

        effect.incarnation = place->incarnation;
        if (place->mapped)
            effect.mapper = effect_node(disk, place->last);
        if (before != NONE && disk->log.effects[before].incarnation != effect.incarnation)
            before = NONE;
    }
    if (disk->damage_count)
        damage_lift(disk, inode, index);
    if (is_held(disk, unit, content, effect.incarnation))
        return NONE;
    crack_begin(disk, new_node);
    effect.prev = unit->last;
    effect.content = content;
    effect.path = inode->path;
    need(disk, effect_node(disk, before));
    unit->last = log_effect(&disk->log, &effect);
    unit->content = content;
    disk_pend(disk, inode, PEND_CONTENT);
    return disk->log.node_count - 1;
}

/* Z, without a journal. */
static void crack_size(struct pc_disk *disk, struct inode *inode, uint64_t size, bool new_node)
{
    struct effect effect = {.kind = PC_ITEM_SIZE,
                            .ino = inode->ino,
                            .size = size,
                            .prev = inode->last_size,
                            .path = inode->path};

    crack_begin(disk, new_node);
    log_edge(&disk->log, effect_node(disk, inode->last_size));
    inode->last_size = log_effect(&disk->log, &effect);
    inode->size = size;
    disk_pend(disk, inode, PEND_CONTENT);
}

/* The part of a write that falls into one block. */
struct part {
    struct inode *inode;
    uint32_t index; /* of the block */
    uint64_t from, to;
};

/* Begins a Z or M (C4, C9). */
static void begin_block(struct pc_disk *disk, const struct part *part)
{
    crack_begin(disk, true);
    log_edge(&disk->log, disk->log.last_journal);
    log_depend(&disk->log, effect_node(disk, part->inode->last_order));
    log_depend(&disk->log, part->inode->created);
}

/* The newest node needs the data of this part. */
static void need_data(struct pc_disk *disk, const struct part *part)
{
    uint32_t unit = disk->config.unit;

    for (uint64_t i = part->from / unit; disk->rules->data_first && i * unit < part->to; i++)
        need(disk, effect_node(disk, disk_unit_slot(disk, part->inode, (uint32_t)i)->last));
}

/* Adds to the newest node that the block is mapped, and tells its data so. */
static void add_map(struct pc_disk *disk, const struct part *part)
{
    struct place *place = disk_place_of(disk, part->inode, part->index);
    struct effect effect = {.kind = PC_ITEM_MAP,
                            .ino = part->inode->ino,
                            .unit = part->index,
                            .incarnation = place->incarnation,
                            .prev = place->last,
                            .path = part->inode->path};
    uint32_t unit = disk->config.unit;

    place->last = log_effect(&disk->log, &effect);
    place->mapped = true;
    for (uint64_t i = part->from / unit; i * unit < part->to; i++) {
        uint32_t data = disk_unit_slot(disk, part->inode, (uint32_t)i)->last;

        if (data != NONE)
            disk->log.effects[data].mapper = disk->log.node_count - 1;
    }
}

/* Z, with a journal. */
static void crack_grow(struct pc_disk *disk, const struct part *part, bool maps)
{
    struct inode *inode = part->inode;
    const struct place *place = disk_place_of(disk, inode, part->index);
    struct effect effect = {.kind = PC_ITEM_SIZE,
                            .ino = inode->ino,
                            .size = part->to,
                            .prev = inode->last_size,
                            .path = inode->path};

    begin_block(disk, part);
    if (!disk->rules->map_apart) {
        if (place->mapped)
            need(disk, effect_node(disk, place->last));
        need_data(disk, part);
    }
    inode->last_size = log_effect(&disk->log, &effect);
    inode->size = part->to;
    if (maps)
        add_map(disk, part);
    disk_pend(disk, inode, PEND_CONTENT);
}

/* M. */
static void crack_map(struct pc_disk *disk, const struct part *part)
{
    begin_block(disk, part);
    need_data(disk, part);
    add_map(disk, part);
    disk_pend(disk, part->inode, PEND_CONTENT);
}

/* T, and in journalled models the unmapping that goes with it (in the same node). */
void crack_truncate(struct pc_disk *disk, struct inode *inode, uint64_t size, bool new_node)
{
    struct effect effect = {.kind = PC_ITEM_TRUNCATE,
                            .ino = inode->ino,
                            .size = size,
                            .prev = inode->last_size,
                            .path = inode->path};
    uint32_t unit_end = (uint32_t)((size + disk->config.unit - 1) / disk->config.unit);
    uint32_t place_end = (uint32_t)((size + disk->config.block - 1) / disk->config.block);

    crack_begin(disk, new_node);
    if (disk->rules->journal) {
        log_edge(&disk->log, disk->log.last_journal);
        disk->log.last_journal = disk->log.node_count - 1;
        log_depend(&disk->log, effect_node(disk, inode->last_order));
        log_depend(&disk->log, inode->created);
    } else {
        log_edge(&disk->log, effect_node(disk, inode->last_size));
    }
    inode->last_size = inode->last_order = log_effect(&disk->log, &effect);
    disk_pend(disk, inode, PEND_CONTENT);
    disk_load_size(disk, inode);
    for (uint32_t i = place_end;
         disk->rules->journal && (uint64_t)i * disk->config.block < inode->size; i++) {
        struct place *place = disk_place_of(disk, inode, i);

        if (place->mapped) {
            effect = (struct effect){.kind = PC_ITEM_MAP,
                                     .ino = inode->ino,
                                     .unit = i,
                                     .unmaps = true,
                                     .prev = place->last,
                                     .path = inode->path};
            place->last = log_effect(&disk->log, &effect);
            place->mapped = false;
        }
    }
    for (uint32_t i = unit_end; (uint64_t)i * disk->config.unit < inode->size; i++) {
        struct unit *unit = disk_unit_slot(disk, inode, i);

        unit->loaded = true;
        unit->content = NULL;
    }
    inode->size = size;
}

void crack_vanish(struct pc_disk *disk, struct inode *inode)
{
    struct effect effect = {
        .kind = PC_ITEM_TRUNCATE, .ino = inode->ino, .prev = inode->last_size, .path = inode->path};

    crack_begin(disk, true);
    log_edge(&disk->log, effect_node(disk, inode->last_size));
    inode->last_size = inode->last_order = log_effect(&disk->log, &effect);
    disk_pend(disk, inode, PEND_CONTENT);
}

/* The unit as it reads now, zeros where nothing is; answers how many bytes are defined. */
static uint32_t unit_bytes(struct pc_disk *disk, struct inode *inode, uint32_t index, uint8_t *out)
{
    const struct unit *unit = disk_unit(disk, inode, index);
    uint32_t len = unit->content ? unit->content->len : 0;

    if (len)
        memcpy(out, unit->content->data, len);
    memset(out + len, 0, disk->config.unit - len);
    return len;
}

/* C5: explicit zeros in [from, to), which lies beyond the size; the unit of `to` is left to the
 * caller unless `whole`. Adds to the newest node in steps models once there is one. */
static bool zero_gap(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to,
                     bool whole, bool new_node)
{
    uint32_t unit = disk->config.unit;
    uint32_t len;
    uint8_t *bytes = disk->scratch;

    if (disk->rules->journal)
        return new_node;
    for (uint64_t at = from; at < to; at = (at / unit + 1) * unit) {
        uint32_t index = (uint32_t)(at / unit);
        uint64_t start = (uint64_t)index * unit;

        if (!whole && to < start + unit)
            break;
        len = unit_bytes(disk, inode, index, bytes);
        if (len < min_u64(unit, to - start))
            len = (uint32_t)min_u64(unit, to - start);
        if (crack_data(disk, inode, index, bytes, len, new_node) != NONE && disk->rules->steps)
            new_node = false;
    }
    return new_node;
}

/* The part of a write that falls into one unit. */
static uint32_t write_unit(struct pc_disk *disk, struct inode *inode, uint64_t offset,
                           const uint8_t *data, size_t len, bool new_node)
{
    uint32_t index = (uint32_t)(offset / disk->config.unit);
    uint64_t start = (uint64_t)index * disk->config.unit;
    uint32_t defined = unit_bytes(disk, inode, index, disk->scratch);
    uint32_t end = (uint32_t)(offset - start + len);

    memcpy(disk->scratch + (offset - start), data, len);
    if (end < defined)
        end = defined;
    return crack_data(disk, inode, index, disk->scratch, end, new_node);
}

static void crack_write_flat(struct pc_disk *disk, struct inode *inode, uint64_t offset,
                             const uint8_t *data, size_t len)
{
    bool new_node = zero_gap(disk, inode, inode->size, offset, false, true);

    while (len > 0) {
        size_t room = disk->config.unit - offset % disk->config.unit;
        size_t part = len < room ? len : room;
        bool wrote = write_unit(disk, inode, offset, data, part, new_node) != NONE;

        if (wrote && disk->rules->steps)
            new_node = false;
        if (offset + part > inode->size)
            crack_size(disk, inode, offset + part, new_node);
        new_node = true;
        offset += part;
        data += part;
        len -= part;
    }
}

/* D of a part; of the whole block when nothing may shine through (C8). */
static void crack_part(struct pc_disk *disk, const struct part *part, const uint8_t *data,
                       bool whole)
{
    uint32_t unit = disk->config.unit, block = disk->config.block;
    uint64_t start = (uint64_t)part->index * block;
    uint64_t first = whole ? start : part->from / unit * unit;
    uint64_t end = whole ? start + block : part->to;

    for (uint64_t at = first; at < end; at += unit) {
        uint64_t from = at > part->from ? at : part->from, to = min_u64(at + unit, part->to);

        if (from < to)
            write_unit(disk, part->inode, from, data + (from - part->from), to - from, true);
        else
            crack_data(disk, part->inode, (uint32_t)(at / unit), disk->scratch, 0, true);
    }
}

static void crack_write_journal(struct pc_disk *disk, struct inode *inode, uint64_t offset,
                                const uint8_t *data, size_t len)
{
    const struct model_rules *rules = disk->rules;
    uint64_t end = offset + len;

    while (offset < end) {
        uint32_t index = (uint32_t)(offset / disk->config.block);
        uint64_t start = (uint64_t)index * disk->config.block;
        struct part part = {inode, index, offset, min_u64(end, start + disk->config.block)};
        struct place *place = disk_place_of(disk, inode, index);
        bool fresh = !place->mapped, grows = part.to > inode->size;
        bool apart = rules->map_apart || !grows || (rules->undefined && inode->size > start);

        if (fresh)
            place->incarnation = ++inode->incarnations;
        crack_part(disk, &part, data, fresh && rules->undefined);
        if (grows)
            crack_grow(disk, &part, fresh && !apart);
        if (fresh && apart)
            crack_map(disk, &part);
        data += part.to - offset;
        offset = part.to;
    }
}

static void crack_write(struct pc_disk *disk, struct inode *inode, uint64_t offset,
                        const void *data, size_t len)
{
    disk_load_size(disk, inode);
    if (disk->rules->journal)
        crack_write_journal(disk, inode, offset, data, len);
    else
        crack_write_flat(disk, inode, offset, data, len);
}

/* ---- calls on content ---- */

static void damage_add(struct pc_disk *disk, const struct inode *inode, uint64_t offset, size_t len,
                       const struct pc_fault *fault)
{
    uint64_t where = rng_mix(offset ^ (uint64_t)fault->nth << 32);

    if (disk->damage_count < DAMAGE_MAX)
        disk->damages[disk->damage_count++] =
            (struct damage){inode->ino, offset + where % len, (uint8_t)(1u << (where >> 60 & 7))};
}

static void damage_show(const struct pc_disk *disk, const struct inode *inode, uint64_t offset,
                        uint8_t *out, size_t len)
{
    for (uint32_t i = 0; i < disk->damage_count; i++) {
        const struct damage *damage = &disk->damages[i];

        if (damage->ino == inode->ino && damage->offset >= offset && damage->offset - offset < len)
            out[damage->offset - offset] ^= damage->mask;
    }
}

/* A unit is written: what was wrong in it is gone. */
static void damage_lift(struct pc_disk *disk, const struct inode *inode, uint32_t unit)
{
    for (uint32_t i = 0; i < disk->damage_count; i++)
        if (disk->damages[i].ino == inode->ino &&
            disk->damages[i].offset / disk->config.unit == unit)
            disk->damages[i].mask = 0;
}

ssize_t disk_read(struct pc_disk *disk, uint32_t ino, uint64_t offset, void *buf, size_t len)
{
    struct inode *inode = disk_inode(disk, ino);
    uint8_t *out = buf;
    size_t done = 0;
    struct pc_call call = {.kind = PC_CALL_READ, .path = inode->path};
    struct pc_fault *fault;

    disk_step(disk);
    if (inode->kind == DISK_DIRECTORY)
        return -EISDIR;
    disk_load_size(disk, inode);
    if (offset >= inode->size || len == 0)
        return 0;
    len = (size_t)min_u64(len, inode->size - offset);
    call.length = len;
    fault = fault_ask(disk, &call);
    if (fault && fault->kind == PC_FAULT_BITROT)
        damage_add(disk, inode, offset, len, fault);
    else if (fault && fault->kind == PC_FAULT_SHORT)
        len /= 2;
    else if (fault)
        return fault_error(fault);
    while (done < len) {
        uint64_t at = offset + done;
        uint32_t within = (uint32_t)(at % disk->config.unit);
        size_t part = (size_t)min_u64(disk->config.unit - within, len - done);
        const struct unit *unit = disk_unit(disk, inode, (uint32_t)(at / disk->config.unit));
        size_t have = 0;

        if (unit->content && unit->content->len > within)
            have = (size_t)min_u64(part, unit->content->len - within);
        if (have)
            memcpy(out + done, unit->content->data + within, have);
        memset(out + done + have, 0, part - have);
        done += part;
    }
    damage_show(disk, inode, offset, out, len);
    return (ssize_t)done;
}

ssize_t disk_write(struct pc_disk *disk, uint32_t ino, uint64_t offset, const void *buf, size_t len,
                   bool dsync)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {.kind = PC_CALL_WRITE,
                           .path = inode->path,
                           .offset = offset,
                           .length = len,
                           .done = len,
                           .flags = dsync ? PC_CALL_DSYNC : 0};
    struct pc_fault *fault;
    uint32_t index;

    if (inode->kind == DISK_DIRECTORY)
        return -EISDIR;
    if (offset > FILE_SIZE_MAX || len > FILE_SIZE_MAX - offset)
        return -EFBIG;
    fault = fault_ask(disk, &call);
    if (fault && fault->kind == PC_FAULT_SHORT) {
        call.done = len / 2;
        call.flags |= PC_CALL_SHORT;
    } else if (fault && fault->kind == PC_FAULT_LOSTSYNC) {
        call.flags |= PC_CALL_LIED;
    } else if (fault) {
        call.done = 0;
        call.flags |= PC_CALL_FAILED;
        disk_call(disk, &call);
        return fault_error(fault);
    }
    index = disk_call(disk, &call);
    if (call.done)
        crack_write(disk, inode, offset, buf, (size_t)call.done);
    if (dsync && !(call.flags & PC_CALL_LIED))
        disk_force_range(disk, inode, offset, (size_t)call.done, index);
    return (ssize_t)call.done;
}

int disk_store(struct pc_disk *disk, uint32_t ino, uint64_t offset, const void *buf, size_t len)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {
        .kind = PC_CALL_STORE, .path = inode->path, .offset = offset, .length = len, .done = len};

    disk_load_size(disk, inode);
    must(offset + len <= inode->size);
    disk_call(disk, &call);
    crack_write(disk, inode, offset, buf, len);
    return 0;
}

int disk_truncate(struct pc_disk *disk, uint32_t ino, uint64_t size)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {.kind = PC_CALL_TRUNCATE, .path = inode->path, .length = size};
    uint32_t unit = disk->config.unit;
    uint64_t old;
    int err;

    if (inode->kind == DISK_DIRECTORY)
        return -EISDIR;
    if (size > FILE_SIZE_MAX)
        return -EFBIG;
    err = disk_refused(disk, &call);
    if (err)
        return err;
    disk_load_size(disk, inode);
    disk_call(disk, &call);
    old = inode->size;
    if (size == old)
        return 0;
    crack_truncate(disk, inode, size, true);
    if (size > old)
        zero_gap(disk, inode, old, size, true, !disk->rules->steps);
    else if (size % unit) {
        uint32_t index = (uint32_t)(size / unit);

        if (unit_bytes(disk, inode, index, disk->scratch) > size % unit ||
            (disk->rules->tree_log &&
             disk_place_of(disk, inode, (uint32_t)(size / disk->config.block))->mapped)) {
            memset(disk->scratch + size % unit, 0, unit - size % unit);
            crack_data(disk, inode, index, disk->scratch, unit, !disk->rules->steps);
        }
    }
    return 0;
}

int disk_allocate(struct pc_disk *disk, uint32_t ino, uint64_t offset, uint64_t len, bool keep_size)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {
        .kind = PC_CALL_ALLOCATE, .path = inode->path, .offset = offset, .length = len};
    uint64_t old;
    int err;

    if (inode->kind == DISK_DIRECTORY)
        return -EISDIR;
    if (len == 0)
        return -EINVAL;
    if (offset > FILE_SIZE_MAX || len > FILE_SIZE_MAX - offset)
        return -EFBIG;
    err = disk_refused(disk, &call);
    if (err)
        return err;
    disk_load_size(disk, inode);
    disk_call(disk, &call);
    old = inode->size;
    if (keep_size || offset + len <= old)
        return 0;
    crack_truncate(disk, inode, offset + len, true);
    zero_gap(disk, inode, old, offset + len, true, !disk->rules->steps);
    return 0;
}

int disk_stat(struct pc_disk *disk, uint32_t ino, struct disk_stat *out)
{
    struct inode *inode = disk_inode(disk, ino);

    disk_step(disk);
    disk_load_size(disk, inode);
    if (disk->hard_links && inode->kind == DISK_FILE)
        disk_count_links(disk);
    *out = (struct disk_stat){ino, inode->kind, inode->kind == DISK_FILE ? inode->size : 4096,
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
}
