/* writeback.c: writing dirty pages back fails: what is left of them, and who is told.
 *
 *   W1 The pages become clean. Programs still read the new content, but of each unit the newest
 *      data that was not durable is gone for good. Older versions may have been written back before
 *      and stay possible; no later sync forces them. Sizes and mappings count as written, but in
 *      steps models, where nothing is written apart. Writing the unit again writes all of it.
 *   W2 In btrfs nothing of the update is kept: all data, sizes and mappings of the file that no
 *      sync has forced are gone, and programs read what was committed. (A transaction may have
 *      committed a part of it before; the kernel would go back to that, this disk goes further.)
 *      Truncations stay: they are the file system's own.
 *   W3 Each file counts its failures. An open file description remembers how many of them it knows:
 *      on open all, or one less than all while nobody was told of the newest. A sync that finds it
 *      behind answers the error once (Linux 4.13 and later).
 *   W4 A bad unit fails every sync that has to write it, W1 and W3 each time.
 *
 * Rebello and others, "Can Applications Recover from fsync Failures?" (ATC 2020), and fsync(2). */
#include "inner.h"

#include <errno.h>

#include "base/check.h"

/* ---- who is told (W3) ---- */

uint32_t disk_errors(struct pc_disk *disk, uint32_t ino)
{
    const struct inode *inode = disk_inode(disk, ino);

    return inode->errors && !inode->error_told ? inode->errors - 1 : inode->errors;
}

int writeback_tell(struct inode *inode, uint32_t *seen)
{
    if (seen == NULL) { /* the call that failed was told itself */
        inode->error_told = true;
        return 0;
    }
    if (*seen == inode->errors)
        return 0;
    *seen = inode->errors;
    inode->error_told = true;
    return -inode->error;
}

int disk_tell(struct pc_disk *disk, uint32_t ino, uint32_t *seen)
{
    return writeback_tell(disk_inode(disk, ino), seen);
}

static void record(struct inode *inode, int error)
{
    inode->errors++;
    inode->error_told = false;
    inode->error = error;
}

/* ---- dropped pages (W1) ---- */

/* The data of one node: what is the newest of its unit and not durable is lost. */
static void drop_data(struct pc_disk *disk, struct inode *inode, uint32_t index, uint32_t call)
{
    struct log *log = &disk->log;
    const struct node *node = &log->nodes[index];

    for (uint32_t e = node->first_effect; e < node->first_effect + log_effects(log, index); e++)
        if (log->effects[e].kind == PC_ITEM_DATA && node->forced_at == NEVER &&
            disk_unit_slot(disk, inode, log->effects[e].unit)->last == e)
            log_void(log, e, call);
}

/* What an inode had pending, node by node; it has none any more. */
struct pendings {
    const struct pending *list;
    uint32_t count, at, within;
};

static struct pendings take_pending(struct inode *inode)
{
    struct pendings all = {.list = inode->pending, .count = inode->pending_count};

    inode->pending = NULL; /* the list stays in the arena */
    inode->pending_count = inode->pending_room = 0;
    return all;
}

static bool next_pending(struct pendings *all, struct pending *out)
{
    if (all->at == all->count)
        return false;
    *out = all->list[all->at];
    out->node += all->within;
    if (++all->within == out->count) {
        all->within = 0;
        all->at++;
    }
    out->count = 1;
    return true;
}

/* W1 for [from, to). */
static void drop_pages(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to,
                       uint32_t call)
{
    struct log *log = &disk->log;
    struct pending pending;

    for (struct pendings all = take_pending(inode); next_pending(&all, &pending);) {
        const struct effect *effect = &log->effects[log->nodes[pending.node].first_effect];
        uint64_t size = effect->kind == PC_ITEM_MAP ? disk->config.block : disk->config.unit;
        uint64_t at = effect->unit * size;
        bool place = effect->kind == PC_ITEM_DATA || effect->kind == PC_ITEM_MAP;

        if (pending.what != PEND_CONTENT ||
            (place ? at >= to || at + size <= from : to != UINT64_MAX)) {
            disk_pend_node(disk, inode, pending.node, pending.what);
            continue;
        }
        drop_data(disk, inode, pending.node, call);
        if (effect->kind != PC_ITEM_DATA && !disk->rules->steps)
            log_force(log, pending.node, call, true);
    }
}

/* ---- nothing is kept (W2) ---- */

static bool is_gone(const struct log *log, uint32_t e)
{
    return log->effects[e].voided_at != NEVER;
}

/* The newest effect of a chain that is not gone. */
static uint32_t newest(const struct log *log, uint32_t e)
{
    while (e != NONE && is_gone(log, e))
        e = log->effects[e].prev;
    return e;
}

static void void_update(struct pc_disk *disk, struct inode *inode, uint32_t call)
{
    struct log *log = &disk->log;
    struct pending pending;

    for (struct pendings all = take_pending(inode); next_pending(&all, &pending);) {
        const struct node *node = &log->nodes[pending.node];
        const struct effect *first = &log->effects[node->first_effect];

        if (pending.what != PEND_CONTENT || node->forced_at != NEVER ||
            first->kind == PC_ITEM_TRUNCATE || (first->kind == PC_ITEM_MAP && first->unmaps)) {
            disk_pend_node(disk, inode, pending.node, pending.what);
            continue;
        }
        for (uint32_t e = 0; e < log_effects(log, pending.node); e++)
            log_void(log, node->first_effect + e, call);
    }
}

/* Was the unit cut off after `since` (an effect, or NONE: what was there below)? */
static bool is_cut(const struct log *log, const struct inode *inode, uint64_t start, uint32_t since)
{
    for (uint32_t e = inode->last_size; e != NONE && (since == NONE || e > since);
         e = log->effects[e].prev)
        if (log->effects[e].kind == PC_ITEM_TRUNCATE && log->effects[e].unmaps &&
            log->effects[e].size <= start)
            return true;
    return false;
}

static void read_unit_again(struct pc_disk *disk, struct inode *inode, uint32_t index)
{
    const struct log *log = &disk->log;
    uint64_t start = (uint64_t)index * disk->config.unit;
    const struct place *place = disk_place_of(disk, inode, block_at(disk, start));
    struct unit *unit = &inode->units[index];
    uint32_t e = newest(log, unit->last);

    while (e != NONE && log->effects[e].incarnation != place->incarnation)
        e = newest(log, log->effects[e].prev);
    unit->loaded =
        e != NONE || !place->mapped || place->incarnation != 0 || is_cut(log, inode, start, NONE);
    unit->content = e != NONE && place->mapped && !is_cut(log, inode, start, e)
                        ? log->effects[e].content
                        : NULL;
}

static void go_back(struct pc_disk *disk, struct inode *inode, uint32_t call)
{
    const struct log *log = &disk->log;
    uint32_t e;

    void_update(disk, inode, call);
    e = newest(log, inode->last_size);
    inode->size = e == NONE ? disk_size_below(disk, inode) : log->effects[e].size;
    inode->size_loaded = true;
    for (uint32_t i = 0; i < inode->place_room; i++) {
        struct place *place = &inode->places[i];

        e = newest(log, place->last);
        place->loaded = e != NONE;
        place->mapped = e != NONE && !log->effects[e].unmaps;
        place->incarnation = e == NONE ? 0 : log->effects[e].incarnation;
    }
    for (uint32_t i = 0; i < inode->unit_room; i++)
        read_unit_again(disk, inode, i);
}

/* ---- failures ---- */

/* The newest data of each unit in [from, to) that is not durable. */
static void each_dirty(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to,
                       void (*visit)(struct pc_disk *disk, struct unit *unit, uint32_t call),
                       uint32_t call)
{
    uint64_t unit = disk->config.unit;

    for (uint64_t i = from / unit; i < inode->unit_room && i * unit < to; i++) {
        uint32_t e = inode->units[i].last;

        if (e != NONE && !is_gone(&disk->log, e) &&
            disk->log.nodes[disk->log.effects[e].node].forced_at == NEVER)
            visit(disk, &inode->units[i], call);
    }
}

static void mark_bad(struct pc_disk *disk, struct unit *unit, uint32_t call)
{
    (void)call;
    unit->bad = disk->has_bad = true;
}

static void lose(struct pc_disk *disk, struct unit *unit, uint32_t call)
{
    log_void(&disk->log, unit->last, call);
}

bool writeback_is_bad(struct pc_disk *disk, const struct inode *inode, uint64_t from, uint64_t to)
{
    uint64_t unit = disk->config.unit;

    for (uint64_t i = from / unit; disk->has_bad && i < inode->unit_room && i * unit < to; i++) {
        uint32_t e = inode->units[i].last;

        if (inode->units[i].bad && e != NONE && !is_gone(&disk->log, e) &&
            disk->log.nodes[disk->log.effects[e].node].forced_at == NEVER)
            return true;
    }
    return false;
}

void writeback_failed(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to,
                      uint32_t call, const struct pc_fault *fault)
{
    if (inode->kind == DISK_DIRECTORY)
        return; /* it has no pages, and nobody else is told */
    record(inode, fault && fault->kind == PC_FAULT_ERROR ? fault->error : EIO);
    if (disk->config.model == PC_PROCESS_KILL)
        return;
    if (fault && fault->kind == PC_FAULT_STICKY)
        each_dirty(disk, inode, from, to, mark_bad, call);
    if (disk->rules->tree_log)
        go_back(disk, inode, call);
    else
        drop_pages(disk, inode, from, to, call);
}

void writeback_lost(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to,
                    uint32_t call)
{
    record(inode, EIO);
    if (disk->config.model == PC_PROCESS_KILL)
        return;
    if (disk->rules->tree_log)
        go_back(disk, inode, call);
    else
        each_dirty(disk, inode, from, to, lose, call);
}
