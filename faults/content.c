/* content.c: the calls on the content of files: read, write, truncate, allocate, stores. What they
 * become on the disk is in crack.c. */
#include "inner.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Why something else than a file has no content to read or to change. */
static int no_file(const struct inode *inode)
{
    return inode->kind == DISK_DIRECTORY ? -EISDIR : -EINVAL;
}

ssize_t disk_read(struct pc_disk *disk, uint32_t ino, uint64_t offset, void *buf, size_t len)
{
    struct inode *inode = disk_inode(disk, ino);
    uint8_t *out = buf;
    size_t done = 0;
    struct pc_call call = {.kind = PC_CALL_READ, .path = inode->path};
    struct pc_fault *fault;

    disk_step(disk);
    if (inode->kind != DISK_FILE)
        return no_file(inode);
    disk_load_size(disk, inode);
    if (offset >= inode->size || len == 0)
        return 0;
    len = (size_t)min_u64(len, inode->size - offset);
    call.offset = offset;
    call.length = len;
    call.done = inode->size; /* for rules that are aimed from the end */
    fault = fault_ask(disk, &call);
    if (fault && (pc_fault_damages(fault->kind) || fault->kind == PC_FAULT_LATENT))
        damage_read(disk, inode, offset, len, fault);
    else if (fault && fault->kind == PC_FAULT_SHORT)
        len /= 2;
    else if (fault)
        return fault_error(fault);
    if (disk->damage_count && damage_unreadable(disk, inode, offset, len))
        return -EIO;
    disk->looks = rng_mix(disk->looks ^ (uint64_t)ino << 40 ^ offset << 12 ^ len);
    if (disk->lazy)
        lazy_forget(disk, out, len);
    while (done < len) {
        uint64_t at = offset + done;
        uint32_t within = (uint32_t)(at & (disk->config.unit - 1));
        size_t part = (size_t)min_u64(disk->config.unit - within, len - done);
        uint32_t index = unit_at(disk, at);
        const struct block *content =
            disk->lazy ? lazy_read(disk, inode, index, out + done, within, (uint32_t)part)
                       : disk_unit(disk, inode, index)->content;
        size_t have = 0;

        if (content && content->len > within)
            have = (size_t)min_u64(part, content->len - within);
        if (have)
            memcpy(out + done, content->data + within, have);
        memset(out + done + have, 0, part - have);
        done += part;
    }
    if (disk->damage_count)
        damage_show(disk, inode, offset, out, len);
    return (ssize_t)done;
}

/* What the rules do to a write that is about to happen. 0, or the answer of one that fails. */
static int write_fails(struct pc_disk *disk, struct pc_call *call, const struct pc_fault *fault)
{
    bool was = disk->read_only;

    if (was || (fault && fault->kind != PC_FAULT_SHORT && fault->kind != PC_FAULT_LOSTSYNC &&
                fault->kind != PC_FAULT_SILENT && !pc_fault_damages(fault->kind))) {
        call->done = 0;
        call->flags |= PC_CALL_FAILED;
        disk_call(disk, call);
        return was ? -EROFS : fault_error(fault);
    }
    if (fault && fault->kind == PC_FAULT_SHORT) {
        call->done = call->length / 2;
        call->flags |= PC_CALL_SHORT;
    } else if (fault && fault->kind == PC_FAULT_LOSTSYNC) {
        call->flags |= PC_CALL_LIED | (fault->unordered ? PC_CALL_UNORDERED : 0);
    }
    return 0;
}

/* The second half of a write through O_DSYNC. */
static int write_syncs(struct pc_disk *disk, struct inode *inode, const struct pc_call *call,
                       uint32_t index, uint32_t *seen)
{
    uint64_t end = call->offset + call->done;

    if (call->flags & PC_CALL_LIED)
        return 0;
    if (writeback_is_bad(disk, inode, call->offset, end)) {
        writeback_failed(disk, inode, call->offset, end, index, NULL);
        (void)writeback_tell(inode, seen);
        return -EIO;
    }
    disk_force_range(disk, inode, call->offset, (size_t)call->done, index);
    return 0;
}

ssize_t disk_write_as(struct pc_disk *disk, uint32_t ino, uint64_t offset, const void *buf,
                      size_t len, bool dsync, uint32_t *seen)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {.kind = PC_CALL_WRITE,
                           .path = inode->path,
                           .offset = offset,
                           .length = len,
                           .done = len,
                           .flags = dsync ? PC_CALL_DSYNC : 0};
    const struct block *before = NULL;
    struct pc_fault *fault;
    uint32_t index, unit = unit_at(disk, offset);
    uint64_t old = 0;
    bool damages;
    int err;

    if (inode->kind != DISK_FILE)
        return no_file(inode);
    if (offset > FILE_SIZE_MAX || len > FILE_SIZE_MAX - offset)
        return -EFBIG;
    fault = fault_ask(disk, &call);
    err = write_fails(disk, &call, fault);
    if (!err)
        err = space_grow(disk, inode, &call, offset + call.done);
    if (err)
        return err;
    if (dsync) {
        err = seen ? writeback_tell(inode, seen) : 0;
        if (err) {
            call.done = 0;
            call.flags |= PC_CALL_FAILED;
        }
    }
    damages = fault && pc_fault_damages(fault->kind) && call.done;
    index = disk_call(disk, &call);
    if (damages)
        before = disk_unit(disk, inode, unit)->content;
    if (disk->accounted)
        old = inode->size;
    if (call.done) {
        log_content(&disk->log, buf, (size_t)call.done);
        crack_write(disk, inode, offset, buf, (size_t)call.done);
    }
    space_resized(disk, old, disk->accounted ? inode->size : 0);
    if (damages)
        damage_write(disk, inode, unit, before, fault->kind);
    if (fault && fault->kind == PC_FAULT_SILENT)
        writeback_lost(disk, inode, offset, offset + call.done, index);
    else if (dsync && !err)
        err = write_syncs(disk, inode, &call, index, seen);
    return err ? err : (ssize_t)call.done;
}

ssize_t disk_write(struct pc_disk *disk, uint32_t ino, uint64_t offset, const void *buf, size_t len,
                   bool dsync)
{
    return disk_write_as(disk, ino, offset, buf, len, dsync, NULL);
}

int disk_store(struct pc_disk *disk, uint32_t ino, uint64_t offset, const void *buf, size_t len)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {
        .kind = PC_CALL_STORE, .path = inode->path, .offset = offset, .length = len, .done = len};

    disk_load_size(disk, inode);
    must(offset + len <= inode->size);
    if (disk->read_only)
        return -EROFS;
    disk_call(disk, &call);
    log_content(&disk->log, buf, len);
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

    if (inode->kind != DISK_FILE)
        return no_file(inode);
    if (size > FILE_SIZE_MAX)
        return -EFBIG;
    err = disk_refused(disk, &call);
    if (!err)
        err = space_grow(disk, inode, &call, size);
    if (err)
        return err;
    disk_load_size(disk, inode);
    disk_call(disk, &call);
    old = inode->size;
    if (size == old)
        return 0;
    space_resized(disk, old, size);
    crack_truncate(disk, inode, size, true);
    if (size > old)
        crack_zeros(disk, inode, old, size, true, !disk->rules->steps);
    else if (size % unit) {
        uint32_t index = (uint32_t)(size / unit);

        if (crack_unit_bytes(disk, inode, index, disk->scratch) > size % unit ||
            ((disk->rules->tree_log || disk->config.destroys) &&
             (!disk->rules->journal || disk_place_of(disk, inode, block_at(disk, size))->mapped))) {
            memset(disk->scratch + size % unit, 0, unit - size % unit);
            crack_data(disk, inode, index, disk->scratch, unit, !disk->rules->steps);
        }
    }
    return 0;
}

/* May a call change this range, up to the size that a file can have? 0 or -errno. */
static int range_check(const struct inode *inode, uint64_t offset, uint64_t len)
{
    if (inode->kind != DISK_FILE)
        return no_file(inode);
    if (len == 0)
        return -EINVAL;
    return offset > FILE_SIZE_MAX || len > FILE_SIZE_MAX - offset ? -EFBIG : 0;
}

int disk_allocate(struct pc_disk *disk, uint32_t ino, uint64_t offset, uint64_t len, bool keep_size)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {
        .kind = PC_CALL_ALLOCATE, .path = inode->path, .offset = offset, .length = len};
    uint64_t old;
    int err = range_check(inode, offset, len);

    if (!err)
        err = disk_refused(disk, &call);
    if (!err && !keep_size)
        err = space_grow(disk, inode, &call, offset + len);
    if (err)
        return err;
    disk_load_size(disk, inode);
    disk_call(disk, &call);
    old = inode->size;
    if (keep_size || offset + len <= old)
        return 0;
    space_resized(disk, old, offset + len);
    crack_truncate(disk, inode, offset + len, true);
    crack_zeros(disk, inode, old, offset + len, true, !disk->rules->steps);
    return 0;
}

/* Both, but for how far they may reach. */
static int zero(struct pc_disk *disk, struct inode *inode, struct pc_call *call, bool keep_size)
{
    uint64_t end = call->offset + call->length, old;
    bool new_node;
    int err;

    err = disk_refused(disk, call);
    if (!err && !keep_size)
        err = space_grow(disk, inode, call, end);
    if (err)
        return err;
    disk_load_size(disk, inode);
    disk_call(disk, call);
    old = inode->size;
    new_node = crack_punch(disk, inode, call->offset, end);
    if (keep_size || end <= old)
        return 0;
    space_resized(disk, old, end);
    crack_truncate(disk, inode, end, new_node);
    crack_zeros(disk, inode, old, end, true, !disk->rules->steps);
    return 0;
}

int disk_punch(struct pc_disk *disk, uint32_t ino, uint64_t offset, uint64_t len)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {
        .kind = PC_CALL_PUNCH, .path = inode->path, .offset = offset, .length = len};
    int err = range_check(inode, 0, len ? 1 : 0); /* a hole may begin and end anywhere */

    call.length = min_u64(len, UINT64_MAX - offset);
    return err ? err : zero(disk, inode, &call, true);
}

int disk_zero_range(struct pc_disk *disk, uint32_t ino, uint64_t offset, uint64_t len,
                    bool keep_size)
{
    struct inode *inode = disk_inode(disk, ino);
    struct pc_call call = {
        .kind = PC_CALL_ZERO_RANGE, .path = inode->path, .offset = offset, .length = len};
    int err = range_check(inode, offset, len);

    return err ? err : zero(disk, inode, &call, keep_size);
}
