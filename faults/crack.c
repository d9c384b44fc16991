/* crack.c: what calls on content become: micro-ops, and the order between them.
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
 *      with a tree log a Z on no data; T on the T before it and on what created the file.
 *  C10 A punched hole, or a range of zeros, is with a journal one micro-op that unmaps the whole
 *      blocks of the range: it is in the journal chain, and all that is said of T above holds for
 *      it. The rest of the blocks that it cuts is overwritten with zeros, a D per unit, which no
 *      other order binds, as the tail of C7. A range that reaches the end of the file takes the
 *      last block as a whole. Without a journal all of it is D of zeros, one per unit. */
#include "inner.h"

#include <string.h>

#include "base/check.h"

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
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

uint32_t crack_effect_node(const struct pc_disk *disk, uint32_t effect)
{
    return effect == NONE ? NONE : disk->log.effects[effect].node;
}

/* The newest node needs `before`, and depends on it. */
static void need(struct pc_disk *disk, uint32_t before)
{
    log_edge(&disk->log, before);
    log_depend(&disk->log, before);
}

/* What becomes of the content of a unit: `data` at `within`, and before and behind it what is there
 * (`over`), or nothing. */
struct change {
    const uint8_t *data;
    uint32_t within, len;
    bool over;
};

/* C6: is this what the unit holds, in this life of its block, and was that not lost? */
static bool is_held(const struct pc_disk *disk, const struct unit *unit,
                    const struct change *change, uint32_t incarnation)
{
    const struct block *content = unit->content;
    const struct effect *last = unit->last == NONE ? NULL : &disk->log.effects[unit->last];
    uint32_t end = change->within + change->len;

    return content && !disk->rules->tree_log && !disk->config.destroys &&
           (change->over ? content->len >= end : content->len == end) &&
           (last ? last->voided_at == NEVER && last->incarnation == incarnation
                 : incarnation == 0) &&
           memcmp(content->data + change->within, change->data, change->len) == 0;
}

/* Room for a unit that grew to `len`, and that may grow on. */
static struct block *roomy_block(struct pc_disk *disk, uint32_t len)
{
    uint32_t room = len < 128 ? 512 : 4 * len;
    struct block *block;

    if (room > disk->config.unit)
        room = disk->config.unit;
    block = arena_block(&disk->arena, room);
    block->len = len;
    block->room = room - len;
    return block;
}

static const struct block *changed(struct pc_disk *disk, const struct unit *unit,
                                   const struct change *change)
{
    const struct block *old = unit->content;
    uint32_t have = change->over && old ? old->len : 0, end = change->within + change->len;
    bool own = unit->last != NONE && disk->log.effects[unit->last].content == old;
    struct block *block;
    uint8_t *bytes;

    if (have && have == change->within && own && old->room >= change->len) {
        block = arena_alloc(&disk->arena, sizeof *block);
        *block = (struct block){old->data, end, old->room - change->len};
        ((struct block *)(uintptr_t)old)->room = 0;
        memcpy(block_bytes(block) + have, change->data, change->len);
        return block;
    }
    block = have < end && end < disk->config.unit && change->over
                ? roomy_block(disk, end)
                : arena_block(&disk->arena, have > end ? have : end);
    bytes = block_bytes(block);
    if (have > change->within && have > end) /* a part in the middle */
        memcpy(bytes, old->data, have);
    else if (change->within) {
        uint32_t kept = have < change->within ? have : change->within;

        if (kept)
            memcpy(bytes, old->data, kept);
        memset(bytes + kept, 0, change->within - kept);
    }
    if (change->len)
        memcpy(bytes + change->within, change->data, change->len);
    return block;
}

const struct block destroyed_unit;

/* The unit is being written: all of it may be undefined until it is. */
static uint32_t crack_destroyed(struct pc_disk *disk, struct inode *inode, struct unit *unit,
                                const struct effect *like, uint32_t before)
{
    struct effect effect = *like;

    crack_begin(disk, true);
    effect.prev = unit->last;
    effect.content = &destroyed_unit;
    need(disk, crack_effect_node(disk, before));
    unit->last = log_effect(&disk->log, &effect);
    disk_pend(disk, inode, PEND_CONTENT);
    return unit->last;
}

/* D. The node of it, or NONE where nothing had to be written (C6). */
static uint32_t crack_change(struct pc_disk *disk, struct inode *inode, uint32_t index,
                             const struct change *change, bool new_node)
{
    struct unit *unit = disk_unit(disk, inode, index);
    struct effect effect = {.kind = PC_ITEM_DATA, .ino = inode->ino, .unit = index, .mapper = NONE};
    uint32_t before = unit->last;

    if (disk->rules->journal) {
        uint64_t at = (uint64_t)index * disk->config.unit;
        const struct place *place = disk_place_of(disk, inode, block_at(disk, at));

        effect.incarnation = place->incarnation;
        if (place->mapped)
            effect.mapper = crack_effect_node(disk, place->last);
        if (before != NONE && disk->log.effects[before].incarnation != effect.incarnation)
            before = NONE;
    }
    if (disk->damage_count)
        damage_written(disk, inode, index);
    if (is_held(disk, unit, change, effect.incarnation))
        return NONE;
    if (disk->config.destroys && disk->config.model != PC_PROCESS_KILL) {
        before = crack_destroyed(disk, inode, unit, &effect, before);
        new_node = true;
    }
    crack_begin(disk, new_node);
    effect.prev = unit->last;
    effect.content = changed(disk, unit, change);
    need(disk, crack_effect_node(disk, before));
    unit->last = log_effect(&disk->log, &effect);
    unit->content = effect.content;
    disk_pend(disk, inode, PEND_CONTENT);
    return disk->log.node_count - 1;
}

uint32_t crack_data(struct pc_disk *disk, struct inode *inode, uint32_t index, const uint8_t *data,
                    uint32_t len, bool new_node)
{
    return crack_change(disk, inode, index, &(struct change){data, 0, len, false}, new_node);
}

/* Z, without a journal. */
static void crack_size(struct pc_disk *disk, struct inode *inode, uint64_t size, bool new_node)
{
    struct effect effect = {
        .kind = PC_ITEM_SIZE, .ino = inode->ino, .size = size, .prev = inode->last_size};

    crack_begin(disk, new_node);
    log_edge(&disk->log, crack_effect_node(disk, inode->last_size));
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
    log_depend(&disk->log, part->inode->last_cut);
    log_depend(&disk->log, part->inode->created);
}

/* The newest node needs the data of this part. */
static void need_data(struct pc_disk *disk, const struct part *part)
{
    uint32_t unit = disk->config.unit;

    for (uint64_t i = unit_at(disk, part->from); disk->rules->data_first && i * unit < part->to;
         i++)
        need(disk, crack_effect_node(disk, disk_unit_slot(disk, part->inode, (uint32_t)i)->last));
}

/* Adds to the newest node that the block is mapped, and tells its data so. */
static void add_map(struct pc_disk *disk, const struct part *part)
{
    struct place *place = disk_place_of(disk, part->inode, part->index);
    struct effect effect = {.kind = PC_ITEM_MAP,
                            .ino = part->inode->ino,
                            .unit = part->index,
                            .incarnation = place->incarnation,
                            .prev = place->last};
    uint32_t unit = disk->config.unit;

    place->last = log_effect(&disk->log, &effect);
    place->mapped = true;
    for (uint64_t i = unit_at(disk, part->from); i * unit < part->to; i++) {
        uint32_t data = disk_unit_slot(disk, part->inode, (uint32_t)i)->last;

        if (data == NONE)
            continue;
        disk->log.effects[data].mapper = disk->log.node_count - 1;
        data = disk->log.effects[data].prev;
        if (disk->config.destroys && data != NONE)
            disk->log.effects[data].mapper = disk->log.node_count - 1;
    }
}

/* Z, with a journal. */
static void crack_grow(struct pc_disk *disk, const struct part *part, bool maps)
{
    struct inode *inode = part->inode;
    const struct place *place = disk_place_of(disk, inode, part->index);
    struct effect effect = {
        .kind = PC_ITEM_SIZE, .ino = inode->ino, .size = part->to, .prev = inode->last_size};

    begin_block(disk, part);
    if (!disk->rules->map_apart) {
        if (place->mapped)
            need(disk, crack_effect_node(disk, place->last));
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

/* Adds to the newest node that a block is unmapped; it is. */
static void add_unmap(struct pc_disk *disk, struct inode *inode, uint32_t index)
{
    struct place *place = disk_place_of(disk, inode, index);
    struct effect effect = {
        .kind = PC_ITEM_MAP, .ino = inode->ino, .unit = index, .unmaps = true, .prev = place->last};

    place->last = log_effect(&disk->log, &effect);
    place->mapped = false;
}

/* T, and in journalled models the unmapping that goes with it (in the same node). */
void crack_truncate(struct pc_disk *disk, struct inode *inode, uint64_t size, bool new_node)
{
    struct effect effect = {.kind = PC_ITEM_TRUNCATE,
                            .ino = inode->ino,
                            .size = size,
                            .unmaps = size < inode->size,
                            .prev = inode->last_size};
    uint32_t unit_end = (uint32_t)((size + disk->config.unit - 1) / disk->config.unit);
    uint32_t place_end = (uint32_t)((size + disk->config.block - 1) / disk->config.block);

    must(inode->size_loaded);
    crack_begin(disk, new_node);
    if (disk->rules->journal) {
        log_edge(&disk->log, disk->log.last_journal);
        disk->log.last_journal = disk->log.node_count - 1;
        log_depend(&disk->log, inode->last_cut);
        log_depend(&disk->log, inode->created);
    } else {
        log_edge(&disk->log, crack_effect_node(disk, inode->last_size));
    }
    inode->last_size = inode->last_order = log_effect(&disk->log, &effect);
    inode->last_cut = disk->log.node_count - 1;
    disk_pend(disk, inode, PEND_CONTENT);
    for (uint32_t i = place_end;
         disk->rules->journal && (uint64_t)i * disk->config.block < inode->size; i++)
        if (disk_place_of(disk, inode, i)->mapped)
            add_unmap(disk, inode, i);
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
        .kind = PC_ITEM_TRUNCATE, .ino = inode->ino, .unmaps = true, .prev = inode->last_size};

    crack_begin(disk, true);
    log_edge(&disk->log, crack_effect_node(disk, inode->last_size));
    inode->last_size = inode->last_order = log_effect(&disk->log, &effect);
    inode->last_cut = disk->log.node_count - 1;
    disk_pend(disk, inode, PEND_CONTENT);
}

/* The unit as it reads now, zeros where nothing is; answers how many bytes are defined. */
uint32_t crack_unit_bytes(struct pc_disk *disk, struct inode *inode, uint32_t index, uint8_t *out)
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
bool crack_zeros(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to, bool whole,
                 bool new_node)
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
        len = crack_unit_bytes(disk, inode, index, bytes);
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
    uint32_t index = unit_at(disk, offset);
    struct change change = {data, (uint32_t)(offset & (disk->config.unit - 1)), (uint32_t)len,
                            true};

    return crack_change(disk, inode, index, &change, new_node);
}

/* Zeros over a part of what a file has; a node each, but one in all for steps. */
static bool zero_part(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to,
                      bool new_node)
{
    static const uint8_t zeros[sizeof disk->scratch];

    while (from < to) {
        size_t room = disk->config.unit - (from & (disk->config.unit - 1));
        size_t part = (size_t)min_u64(room, to - from);

        if (write_unit(disk, inode, from, zeros, part, new_node) != NONE && disk->rules->steps)
            new_node = false;
        from += part;
    }
    return new_node;
}

/* The whole blocks of [from, to) that are mapped, in one node. */
static void punch_blocks(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to)
{
    uint32_t block = disk->config.block, per = block / disk->config.unit;
    bool begun = false;

    for (uint32_t i = (uint32_t)((from + block - 1) / block); (uint64_t)(i + 1) * block <= to;
         i++) {
        if (!disk_place_of(disk, inode, i)->mapped)
            continue;
        if (!begun) {
            crack_begin(disk, true);
            log_edge(&disk->log, disk->log.last_journal);
            disk->log.last_journal = disk->log.node_count - 1;
            log_depend(&disk->log, inode->last_cut);
            log_depend(&disk->log, inode->created);
            inode->last_cut = disk->log.node_count - 1;
            disk_pend(disk, inode, PEND_CONTENT);
            begun = true;
        }
        add_unmap(disk, inode, i);
        for (uint32_t u = i * per; u < (i + 1) * per; u++) {
            struct unit *unit = disk_unit_slot(disk, inode, u);

            unit->loaded = true;
            unit->content = NULL;
            damage_written(disk, inode, u);
        }
    }
}

bool crack_punch(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to)
{
    uint64_t block = disk->config.block, end;

    disk_load_size(disk, inode);
    to = min_u64(to, inode->size);
    if (from >= to)
        return true;
    if (!disk->rules->journal)
        return zero_part(disk, inode, from, to, true);
    end = to == inode->size ? (to + block - 1) / block * block : to;
    punch_blocks(disk, inode, from, end);
    /* What is left at either side, where something is mapped. */
    if (from % block && disk_place_of(disk, inode, (uint32_t)(from / block))->mapped)
        zero_part(disk, inode, from, min_u64(to, (from / block + 1) * block), true);
    if (end % block && (from % block == 0 || from / block != end / block) &&
        disk_place_of(disk, inode, (uint32_t)(end / block))->mapped)
        zero_part(disk, inode, from > end / block * block ? from : end / block * block, to, true);
    return true;
}

static void crack_write_flat(struct pc_disk *disk, struct inode *inode, uint64_t offset,
                             const uint8_t *data, size_t len)
{
    bool new_node = crack_zeros(disk, inode, inode->size, offset, false, true);

    while (len > 0) {
        size_t room = disk->config.unit - (offset & (disk->config.unit - 1));
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
    uint64_t first = whole ? start : (part->from & ~(uint64_t)(unit - 1));
    uint64_t end = whole ? start + block : part->to;

    for (uint64_t at = first; at < end; at += unit) {
        uint64_t from = at > part->from ? at : part->from, to = min_u64(at + unit, part->to);

        if (from < to)
            write_unit(disk, part->inode, from, data + (from - part->from), to - from, true);
        else
            crack_data(disk, part->inode, unit_at(disk, at), disk->scratch, 0, true);
    }
}

static void crack_write_journal(struct pc_disk *disk, struct inode *inode, uint64_t offset,
                                const uint8_t *data, size_t len)
{
    const struct model_rules *rules = disk->rules;
    uint64_t end = offset + len;

    while (offset < end) {
        uint32_t index = block_at(disk, offset);
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

void crack_write(struct pc_disk *disk, struct inode *inode, uint64_t offset, const void *data,
                 size_t len)
{
    disk_load_size(disk, inode);
    if (disk->rules->journal)
        crack_write_journal(disk, inode, offset, data, len);
    else
        crack_write_flat(disk, inode, offset, data, len);
}
