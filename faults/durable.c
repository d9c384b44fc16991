/* durable.c: what a sync makes durable, and what a failed one drops.
 *
 *   S1 A sync forces micro-ops that were issued before it, and all that they need (log_force).
 *      Which ones, per call and model, is the table in README.md.
 *   S2 A failed sync drops the dirty pages (writeback.c).
 *   S3 A sync that lies is a call of the log and forces nothing. If nothing is in order after it
 *      either, an image that knows of it ignores the edges to what was issued before (image.c, I4).
 */
#include "inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* What a sync call forces of an inode; pending ones that are not forced stay. With a journal the
 * names of the inode go along, but not with fdatasync of a file. */
static void force_inode(struct pc_disk *disk, struct inode *inode, uint32_t call, bool data_only)
{
    bool names = disk->rules->journal && (!data_only || inode->kind == DISK_DIRECTORY);
    uint32_t kept = 0;

    if (inode->synced_at == NEVER)
        inode->synced_at = call;
    for (uint32_t i = 0; i < inode->pending_count; i++) {
        struct pending pending = inode->pending[i];

        if (pending.what == PEND_NAME && !names)
            inode->pending[kept++] = pending;
        else
            for (uint32_t n = 0; n < pending.count; n++)
                log_force(&disk->log, pending.node + n, call, false);
    }
    inode->pending_count = kept;
}

/* Steps models need the newest node only: it needs all before it. */
static void force_all(struct pc_disk *disk, uint32_t call)
{
    uint32_t count = disk->log.node_count;

    for (uint32_t i = disk->rules->steps && count ? count - 1 : 0; i < count; i++)
        log_force(&disk->log, i, call, false);
    for (uint32_t i = 0; i < disk->inode_count; i++)
        if (disk->inodes[i])
            disk->inodes[i]->pending_count = 0;
}

/* The size of the file before the first micro-op of this log. */
uint64_t disk_size_below(struct pc_disk *disk, const struct inode *inode)
{
    if (!disk_exists_below(disk, inode))
        return 0;
    return disk->image ? image_size(disk->image, inode->ino)
                       : tree_inode(disk->base, inode->ino)->size;
}

/* The units of a range, what maps them, and the size change by which the file came to cover it. */
void disk_force_range(struct pc_disk *disk, struct inode *inode, uint64_t offset, size_t len,
                      uint32_t call)
{
    struct log *log = &disk->log;
    uint64_t end = offset + len;
    uint32_t size = NONE;

    if (len == 0)
        return;
    if (disk->rules->steps) {
        force_all(disk, call);
        return;
    }
    for (uint64_t at = offset; at < end; at = (at | (disk->config.unit - 1)) + 1) {
        uint32_t last = disk_unit_slot(disk, inode, unit_at(disk, at))->last;

        const struct place *place =
            disk->rules->journal ? disk_place_of(disk, inode, block_at(disk, at)) : NULL;

        /* What was written before the block was cut off is in no page any more. */
        if (last != NONE &&
            (!place || (place->mapped && log->effects[last].incarnation == place->incarnation)))
            log_force(log, log->effects[last].node, call, false);
        if (place && place->last != NONE && !log->effects[place->last].unmaps)
            log_force(log, log->effects[place->last].node, call, false);
    }
    /* Newest first: the last effect that still covers `end` while the one before it does not. */
    for (uint32_t e = inode->last_size; e != NONE; e = log->effects[e].prev) {
        if (log->effects[e].size < end)
            break;
        size = log->effects[e].prev == NONE && disk_size_below(disk, inode) >= end ? NONE : e;
    }
    if (size != NONE)
        log_force(log, log->effects[size].node, call, false);
}

/* No fault rule counts it: it is not the program's. */
void disk_after_call(struct pc_disk *disk)
{
    struct inode *inode = NULL;
    struct pc_call call = {.kind = PC_CALL_FSYNC, .mark = disk->mark, .to = ""};
    uint32_t index;

    if (disk->deferred_count && disk->log.call_count >= disk->defer_until) {
        disk->defer_at = NEVER;
        for (uint32_t i = 0; i < disk->deferred_count; i++)
            (void)disk_unlink(disk, disk->deferred[i].dir, disk->deferred[i].name,
                              disk->deferred[i].len);
        disk->deferred_count = 0;
    }
    if (disk->insert_at != disk->log.call_count)
        return;
    disk->insert_at = NEVER;
    if (disk->insert_sync < disk->inode_count)
        inode = disk->inodes[disk->insert_sync];
    if (inode == NULL)
        return;
    call.path = inode->path;
    index = log_call(&disk->log, &call);
    if (disk->rules->steps)
        force_all(disk, index);
    else
        force_inode(disk, inode, index, false);
}

/* Are the dirty pages gone? Not where the state is unknown. */
static bool drops(const struct pc_fault *fault)
{
    if (fault && fault->kind == PC_FAULT_FULL)
        return true;
    if (fault && fault->kind == PC_FAULT_ERROR)
        return fault->error == EIO || fault->error == ENOSPC || fault->error == EDQUOT;
    return fault == NULL || fault->kind == PC_FAULT_EIO || fault->kind == PC_FAULT_STICKY;
}

/* The call fails, for a rule or for units that cannot be written. 0: it does not. */
static int sync_fails(struct pc_disk *disk, struct inode *inode, struct pc_call *call,
                      uint32_t *seen)
{
    struct pc_fault *fault = fault_ask(disk, call);
    bool range = call->kind == PC_CALL_MSYNC, was = disk->read_only;
    uint64_t from = range ? call->offset : 0;
    uint64_t to = range ? call->offset + call->length : UINT64_MAX;
    uint32_t index;

    if (fault == NULL && !was)
        fault = space_late(disk, inode, call);
    if (fault && fault->kind == PC_FAULT_LOSTSYNC && !was) {
        call->flags |= PC_CALL_LIED | (fault->unordered ? PC_CALL_UNORDERED : 0);
        return 0;
    }
    if (fault == NULL && !was && (inode == NULL || !writeback_is_bad(disk, inode, from, to)))
        return 0;
    call->flags |= PC_CALL_FAILED;
    index = disk_call(disk, call);
    if (was)
        return -EROFS;
    if (fault && fault->kind == PC_FAULT_METADATA)
        disk->read_only = true;
    if (inode && drops(fault)) {
        writeback_failed(disk, inode, from, to, index, fault);
        (void)writeback_tell(inode, seen);
    }
    return fault ? fault_error(fault) : -EIO;
}

/* fsync, fdatasync and sync (no inode), and msync, which has a range. An error that is told late
 * does not keep the call from writing what is dirty now, but in btrfs. */
static int sync_call(struct pc_disk *disk, struct inode *inode, struct pc_call *call,
                     uint32_t *seen)
{
    int err = sync_fails(disk, inode, call, seen), late;
    uint32_t index;

    if (err)
        return err;
    late = inode ? writeback_tell(inode, seen) : 0;
    if (late)
        call->flags |= PC_CALL_FAILED;
    index = disk_call(disk, call);
    if (call->flags & PC_CALL_LIED || (late && disk->rules->tree_log))
        return late;
    if (call->kind == PC_CALL_MSYNC)
        disk_force_range(disk, inode, call->offset, (size_t)call->length, index);
    else if (disk->rules->steps || inode == NULL)
        force_all(disk, index);
    else
        force_inode(disk, inode, index, call->kind == PC_CALL_FDATASYNC);
    return late;
}

int disk_sync_as(struct pc_disk *disk, uint32_t ino, bool data_only, uint32_t *seen)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {.kind = data_only ? PC_CALL_FDATASYNC : PC_CALL_FSYNC,
                           .path = inode->path};

    return sync_call(disk, inode, &call, seen);
}

int disk_sync(struct pc_disk *disk, uint32_t ino, bool data_only)
{
    return disk_sync_as(disk, ino, data_only, NULL);
}

int disk_sync_all(struct pc_disk *disk)
{
    struct pc_call call = {.kind = PC_CALL_SYNC, .path = ""};

    return sync_call(disk, NULL, &call, NULL);
}

int disk_sync_range(struct pc_disk *disk, uint32_t ino, uint64_t offset, uint64_t len)
{
    struct pc_call call = {.kind = PC_CALL_SYNC_RANGE,
                           .path = disk_inode(disk, ino)->path,
                           .offset = offset,
                           .length = len};

    disk_call(disk, &call);
    return 0;
}

int disk_msync(struct pc_disk *disk, uint32_t ino, uint64_t offset, size_t len)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {
        .kind = PC_CALL_MSYNC, .path = inode->path, .offset = offset, .length = len};

    return sync_call(disk, inode, &call, NULL);
}
