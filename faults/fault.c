/* fault.c: when a fault fires. A rule counts the calls that match its place and fires on the nth of
 * them: once, at so many, or at all from then on. All rules count every call, so that adding a rule
 * does not move another. */
#include "inner.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

/* Can it happen to this call? A rule that cannot has not fired. */
static bool takes_effect(const struct pc_fault *rule, const struct pc_call *call)
{
    bool write = call->kind == PC_CALL_WRITE;

    switch (rule->kind) {
    case PC_FAULT_SHORT:
        return (write || call->kind == PC_CALL_READ) && call->length > 1;
    case PC_FAULT_ERROR: /* a rule for a class meets calls that cannot fail so */
        return pc_errno_legal(call->kind, rule->error);
    case PC_FAULT_LOSTSYNC:
        return write ? (call->flags & PC_CALL_DSYNC) != 0
                     : call->kind == PC_CALL_FSYNC || call->kind == PC_CALL_FDATASYNC ||
                           call->kind == PC_CALL_SYNC || call->kind == PC_CALL_MSYNC;
    default:
        return (rule->call < PC_CALL_KINDS && !pc_fault_damages(rule->kind) &&
                rule->kind != PC_FAULT_LATENT) ||
               pc_fault_fits(rule->kind, call->kind);
    }
}

static bool in_class(const struct pc_fault *rule, const struct pc_call *call)
{
    return pc_call_in(rule->call, call->kind) ||
           (rule->call == PC_ANY_SYNC && call->kind == PC_CALL_WRITE &&
            call->flags & PC_CALL_DSYNC);
}

bool fault_in_place(const struct pc_fault *rule, const struct pc_call *call)
{
    const char *name = strrchr(call->path, '/');

    return in_class(rule, call) && fnmatch(rule->file, name ? name + 1 : call->path, 0) == 0;
}

/* Does the read cover the byte that the rule is aimed at? */
static bool covers(const struct pc_fault *rule, const struct pc_call *call)
{
    uint64_t at = rule->at < 0 ? call->done + (uint64_t)rule->at : (uint64_t)rule->at;

    return !rule->aimed || call->kind != PC_CALL_READ ||
           (at >= call->offset && at - call->offset < call->length);
}

static bool (*caller_test)(const char *function);

void pc_fault_callers(bool (*called_from)(const char *function))
{
    caller_test = called_from;
}

/* Asked last: it is slow. */
static bool from_there(const struct pc_fault *rule)
{
    return rule->from[0] == '\0' || (caller_test && caller_test(rule->from));
}

/* Is this matching call, the how-manieth `seen` says, among those that the rule fires at? */
static bool is_due(const struct pc_fault *rule)
{
    uint32_t times = rule->times ? rule->times : 1;

    if (rule->rate > 1 && rng_mix(rule->seen ^ (uint64_t)rule->rate << 32) % rule->rate != 0)
        return false;
    return rule->nth > 0 && rule->seen >= rule->nth && rule->seen - rule->nth < times;
}

struct pc_fault *fault_ask(struct pc_disk *disk, const struct pc_call *call)
{
    struct pc_fault *fired = NULL;

    if (disk->fault_count == 0)
        return NULL;
    for (uint32_t i = 0; i < disk->fault_count; i++) {
        struct pc_fault *rule = disk->faults[i];

        if (rule->kind == PC_FAULT_FULL || !fault_in_place(rule, call) || !covers(rule, call) ||
            !from_there(rule))
            continue; /* an account is not asked for each call: space.c */
        rule->seen++;
        if (is_due(rule) && fired == NULL && takes_effect(rule, call)) {
            rule->fired++;
            fired = rule;
        }
    }
    return fired;
}

int fault_error(const struct pc_fault *fault)
{
    switch (fault->kind) {
    case PC_FAULT_ERROR:
        return -fault->error;
    case PC_FAULT_FULL:
        return fault->error ? -fault->error : -ENOSPC;
    case PC_FAULT_LATENT:
    case PC_FAULT_EIO:
    case PC_FAULT_STICKY:
    case PC_FAULT_METADATA:
        return -EIO;
    case PC_FAULT_ENOSPC:
        return -ENOSPC;
    default:
        return -EINTR;
    }
}

int disk_ask(struct pc_disk *disk, enum pc_call_kind kind, uint32_t ino)
{
    struct pc_call call = {.kind = kind};
    struct pc_fault *fault;

    if (disk->fault_count == 0)
        return 0;
    call.path = disk_inode(disk, ino)->path;
    fault = fault_ask(disk, &call);
    return fault ? fault_error(fault) : 0;
}

int disk_refused(struct pc_disk *disk, struct pc_call *call)
{
    struct pc_fault *fault = fault_ask(disk, call);
    bool was = disk->read_only;

    if (fault == NULL && !was)
        return 0;
    call->flags |= PC_CALL_FAILED;
    disk_call(disk, call);
    if (fault && fault->kind == PC_FAULT_METADATA)
        disk->read_only = true;
    return was ? -EROFS : fault_error(fault);
}

void pc_disk_add_fault(struct pc_disk *disk, struct pc_fault *fault)
{
    must(disk->fault_count < sizeof disk->faults / sizeof disk->faults[0]);
    disk->faults[disk->fault_count++] = fault;
    if (fault->kind == PC_FAULT_FULL && !disk->accounted) {
        disk->accounted = true;
        disk->taken = 0;
    }
}

void pc_disk_clear_faults(struct pc_disk *disk)
{
    disk->fault_count = 0;
    disk->read_only = disk->has_bad = disk->accounted = false;
}
