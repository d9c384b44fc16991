/* fault.c: when a fault fires. A rule counts the calls that match its place and fires on the nth of
 * them, once. All rules count every call, so that adding a rule does not move another. */
#include "inner.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/check.h"

struct pc_fault *fault_ask(struct pc_disk *disk, enum pc_call_kind kind, const char *path)
{
    struct pc_fault *fired = NULL;
    const char *name;

    if (disk->fault_count == 0)
        return NULL;
    name = strrchr(path, '/');
    name = name ? name + 1 : path;
    for (uint32_t i = 0; i < disk->fault_count; i++) {
        struct pc_fault *rule = disk->faults[i];

        if (rule->call != kind || fnmatch(rule->file, name, 0) != 0)
            continue;
        if (++rule->seen == rule->nth && fired == NULL) {
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
    struct pc_fault *fault = fault_ask(disk, call->kind, call->path);

    if (fault == NULL || fault->kind == PC_FAULT_SHORT || fault->kind == PC_FAULT_LOSTSYNC)
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
