/* space.c: accounts of free space (PC_FAULT_FULL). A file takes the blocks that its size needs,
 * holes or not; names take none. Blocks come back when a file shrinks, and when its last name is
 * gone and nobody has it open.
 *
 * A rule for writes answers where the file grows, as file systems do that reserve. A rule for syncs
 * lets all writes pass and answers at the sync of the file, as where allocation is delayed; then
 * the dirty pages are gone, and the account stays overdrawn until something is deleted. */
#include "inner.h"

#include <errno.h>

#define SPACE_BLOCK 4096u

static int64_t blocks(uint64_t size)
{
    return (int64_t)((size + SPACE_BLOCK - 1) / SPACE_BLOCK);
}

static int64_t left_of(const struct pc_disk *disk, const struct pc_fault *rule)
{
    int64_t left = (int64_t)(rule->room / SPACE_BLOCK) - disk->taken;

    return left > 0 ? left : 0;
}

/* The call lacks space: does the rule answer? It counts such calls. */
static bool answers(struct pc_fault *rule)
{
    rule->seen++;
    if (rule->nth == 0 || rule->seen < rule->nth ||
        (rule->times && rule->seen - rule->nth >= rule->times))
        return false;
    rule->fired++;
    return true;
}

static struct pc_fault *find(struct pc_disk *disk, const struct pc_call *call, int64_t need)
{
    for (uint32_t i = 0; i < disk->fault_count; i++) {
        struct pc_fault *rule = disk->faults[i];

        if (rule->kind == PC_FAULT_FULL && fault_in_place(rule, call) &&
            need > left_of(disk, rule) && answers(rule))
            return rule;
    }
    return NULL;
}

int space_grow(struct pc_disk *disk, struct inode *inode, struct pc_call *call, uint64_t size)
{
    const struct pc_fault *rule;
    uint64_t fits;
    int64_t need;

    if (!disk->accounted)
        return 0;
    disk_load_size(disk, inode);
    need = blocks(size) - blocks(inode->size);
    rule = need > 0 ? find(disk, call, need) : NULL;
    if (rule == NULL)
        return 0;
    fits = (uint64_t)(blocks(inode->size) + left_of(disk, rule)) * SPACE_BLOCK;
    if (call->kind == PC_CALL_WRITE && fits > call->offset) {
        call->done = fits - call->offset;
        call->flags |= PC_CALL_SHORT;
        return 0;
    }
    call->done = 0;
    call->flags |= PC_CALL_FAILED;
    disk_call(disk, call);
    return fault_error(rule);
}

void space_resized(struct pc_disk *disk, uint64_t from, uint64_t to)
{
    if (disk->accounted)
        disk->taken += blocks(to) - blocks(from);
}

void space_dropped(struct pc_disk *disk, struct inode *inode)
{
    if (!disk->accounted || inode->kind != DISK_FILE || inode->links || inode->holds)
        return;
    disk_load_size(disk, inode);
    disk->taken -= blocks(inode->size);
}

struct pc_fault *space_late(struct pc_disk *disk, const struct inode *inode,
                            const struct pc_call *call)
{
    if (!disk->accounted || inode == NULL || inode->kind != DISK_FILE || inode->pending_count == 0)
        return NULL;
    for (uint32_t i = 0; i < disk->fault_count; i++) {
        struct pc_fault *rule = disk->faults[i];

        if (rule->kind == PC_FAULT_FULL && fault_in_place(rule, call) &&
            disk->taken > (int64_t)(rule->room / SPACE_BLOCK) && answers(rule))
            return rule;
    }
    return NULL;
}
