/* fault.c: when a fault fires. A rule counts the calls that match its place and fires on the nth of
 * them, once. All rules count every call, so that adding a rule does not move another. */
#include "inner.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/check.h"

/* Can it happen to this call? A rule that cannot has not fired. */
static bool takes_effect(enum pc_fault_kind kind, const struct pc_call *call)
{
    bool write = call->kind == PC_CALL_WRITE;

    switch (kind) {
    case PC_FAULT_SHORT:
        return (write || call->kind == PC_CALL_READ) && call->length > 1;
    case PC_FAULT_BITROT:
        return call->kind == PC_CALL_READ;
    case PC_FAULT_LOSTSYNC:
        return write ? (call->flags & PC_CALL_DSYNC) != 0
                     : call->kind == PC_CALL_FSYNC || call->kind == PC_CALL_FDATASYNC ||
                           call->kind == PC_CALL_SYNC || call->kind == PC_CALL_MSYNC;
    default:
        return true;
    }
}

struct pc_fault *fault_ask(struct pc_disk *disk, const struct pc_call *call)
{
    struct pc_fault *fired = NULL;
    const char *name, *path = call->path;

    if (disk->fault_count == 0)
        return NULL;
    name = strrchr(path, '/');
    name = name ? name + 1 : path;
    for (uint32_t i = 0; i < disk->fault_count; i++) {
        struct pc_fault *rule = disk->faults[i];

        if (rule->call != call->kind || fnmatch(rule->file, name, 0) != 0)
            continue;
        if (++rule->seen == rule->nth && fired == NULL && takes_effect(rule->kind, call)) {
            rule->fired++;
            fired = rule;
        }
    }
    return fired;
}

int fault_error(const struct pc_fault *fault)
{
    switch (fault->kind) {
    case PC_FAULT_EIO:
        return -EIO;
    case PC_FAULT_ENOSPC:
        return -ENOSPC;
    default:
        return -EINTR;
    }
}

int disk_refused(struct pc_disk *disk, struct pc_call *call)
{
    struct pc_fault *fault = fault_ask(disk, call);

    if (fault == NULL)
        return 0;
    call->flags |= PC_CALL_FAILED;
    disk_call(disk, call);
    return fault_error(fault);
}

void pc_disk_add_fault(struct pc_disk *disk, struct pc_fault *fault)
{
    must(disk->fault_count < sizeof disk->faults / sizeof disk->faults[0]);
    disk->faults[disk->fault_count++] = fault;
}

void pc_disk_clear_faults(struct pc_disk *disk)
{
    disk->fault_count = 0;
}
