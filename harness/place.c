/* place.c: see place.h. Reads are not in the log of calls: a fault of a read is aimed by chance. */
#include "place.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "play.h"

struct seen_call {
    enum pc_call_kind kind;
    char name[32];
    uint32_t nth;
    uint64_t mark; /* number of the operation that made it */
};

struct seen_calls {
    struct seen_call *calls;
    uint32_t count;
};

static bool is_sync(enum pc_call_kind kind)
{
    return kind == PC_CALL_FSYNC || kind == PC_CALL_FDATASYNC || kind == PC_CALL_SYNC;
}

/* The calls of the first epoch: faults are armed in that one. */
static void collect(const struct pc_disk *disk, struct seen_calls *seen)
{
    size_t count = pc_disk_call_count(disk);

    seen->calls = calloc(count + 1, sizeof *seen->calls);
    must(seen->calls != NULL);
    for (size_t i = 0; i < count; i++) {
        const struct pc_call *call = pc_disk_call(disk, i);
        struct seen_call *mine = &seen->calls[seen->count];
        const char *slash = strrchr(call->path, '/'), *name = slash ? slash + 1 : call->path;

        if (strlen(name) >= sizeof mine->name)
            continue;
        *mine = (struct seen_call){.kind = call->kind, .nth = 1, .mark = call->mark};
        memcpy(mine->name, name, strlen(name) + 1);
        for (uint32_t o = 0; o < seen->count; o++)
            mine->nth +=
                seen->calls[o].kind == mine->kind && strcmp(seen->calls[o].name, mine->name) == 0;
        seen->count++;
    }
}

static void rehearse(const struct trace *trace, const struct pc_store *store,
                     struct seen_calls *seen)
{
    struct finding ignored = {0};
    struct trace copy;
    struct play play;

    trace_copy(&copy, trace);
    play_init(&play, &copy, store, NULL, &ignored);
    for (uint32_t i = 0; i < TRACE_FAULTS; i++)
        play.session.faults[i].nth = 0; /* counts, and never fires */
    for (uint32_t i = 0; i < copy.op_count && copy.ops[i].kind != OP_CRASH; i++)
        if (!play_step(&play, i, NULL))
            break;
    if (play.session.verdict.rule == RULE_NONE)
        session_end_epoch(&play.session); /* the store closes, and a fault may meet that */
    collect(play.session.disk, seen);
    play_release(&play);
    trace_release(&copy);
}

static void aim_read(struct tape *tape, uint32_t anchor, struct pc_fault *fault)
{
    static const char *const files[] = {"*.sst", "*.log", "MANIFEST*", "*"};

    fault->call = PC_CALL_READ;
    snprintf(
        fault->file, sizeof fault->file, "%s",
        files[pc_fault_damages(fault->kind) ? 0 : tape_choose(tape, TAPE_FAULTS, anchor + 5, 4)]);
    fault->nth = 1 + tape_choose(tape, TAPE_FAULTS, anchor + 6,
                                 2u << tape_choose(tape, TAPE_FAULTS, anchor + 7, 4));
}

/* May the fault go there? Damage by a write goes to tables: what a log or a manifest may lose by it
 * no checksum tells from a tail that was never written. */
static bool takes(const struct pc_fault *fault, const struct seen_call *call, bool syncs)
{
    const char *dot = strrchr(call->name, '.');

    if (*call->name == '\0')
        return false; /* the root has no name to be met by; patterns count it */
    if (pc_fault_damages(fault->kind) && (dot == NULL || strcmp(dot, ".sst") != 0))
        return false;
    return pc_fault_fits(fault->kind, call->kind) && (!syncs || is_sync(call->kind));
}

/* One of the errnos that are legal for the call. Now and then the call is one that no log has. */
static void draw_errno(struct tape *tape, uint32_t anchor, struct pc_fault *fault)
{
    static const enum pc_call_kind others[] = {PC_CALL_OPEN, PC_CALL_CLOSE, PC_CALL_LIST,
                                               PC_CALL_STAT};
    uint32_t count = 0;

    if (tape_choose(tape, TAPE_FAULTS, anchor + 11, 4) == 0) {
        fault->call = others[tape_choose(tape, TAPE_FAULTS, anchor + 12, 4)];
        fault->nth = 1 + tape_choose(tape, TAPE_FAULTS, anchor + 13, 12);
        snprintf(fault->file, sizeof fault->file, "*");
    }
    while (pc_errno_of(fault->call, count))
        count++;
    fault->error = pc_errno_of(fault->call, tape_choose(tape, TAPE_FAULTS, anchor + 10, count));
}

/* One of the calls that the fault fits, all alike; half of the errors go to syncs. */
static bool aim(struct tape *tape, uint32_t anchor, const struct seen_calls *seen,
                struct pc_fault *fault)
{
    bool error = fault->kind == PC_FAULT_EIO || fault->kind == PC_FAULT_ERROR;
    bool syncs = error && tape_choose(tape, TAPE_FAULTS, anchor + 1, 2);
    uint32_t fitting = 0, chosen;

    for (uint32_t i = 0; i < seen->count; i++)
        fitting += takes(fault, &seen->calls[i], syncs);
    if (fitting == 0)
        return false;
    chosen = tape_choose(tape, TAPE_FAULTS, anchor + 2, fitting);
    for (uint32_t i = 0; i < seen->count; i++) {
        const struct seen_call *call = &seen->calls[i];

        if (!takes(fault, call, syncs) || chosen-- > 0)
            continue;
        fault->call = call->kind;
        memcpy(fault->file, call->name, sizeof fault->file);
        fault->nth = call->nth;
        return true;
    }
    return false;
}

/* The rule from one of its calls on: at that call and all that are like it. A device that begins to
 * lie does so to everybody; a full disk is full for all writes. */
static void widen(const struct seen_calls *seen, struct pc_fault *fault)
{
    enum pc_call_kind class = fault->call;
    uint32_t nth = 0;

    if (fault->call >= PC_CALL_READ) {
        snprintf(fault->file, sizeof fault->file, "*");
        return;
    }
    if (fault->kind == PC_FAULT_LOSTSYNC)
        class = PC_ANY_SYNC;
    else if (fault->kind == PC_FAULT_ENOSPC && pc_call_in(PC_ANY_WRITE, fault->call))
        class = PC_ANY_WRITE;
    for (uint32_t i = 0; i < seen->count; i++) {
        const struct seen_call *call = &seen->calls[i];

        nth += pc_call_in(class, call->kind);
        if (call->kind == fault->call && call->nth == fault->nth &&
            strcmp(call->name, fault->file) == 0)
            break;
    }
    fault->call = class;
    fault->nth = nth;
    snprintf(fault->file, sizeof fault->file, "*");
}

/* Once, for a while, for ever on this file, or for ever everywhere. A call that is interrupted for
 * ever never ends, so it is not. A device that lies once often goes on. */
static void last(struct tape *tape, uint32_t anchor, const struct seen_calls *seen,
                 struct pc_fault *fault)
{
    uint32_t chance = tape_choose(tape, TAPE_FAULTS, anchor + 8, 8);
    uint32_t once = fault->kind == PC_FAULT_LOSTSYNC ? 3 : 5;

    if (chance < once || pc_fault_damages(fault->kind) || fault->kind == PC_FAULT_LATENT)
        return; /* what is damaged stays so by itself */
    fault->times = 2 + tape_choose(tape, TAPE_FAULTS, anchor + 9, 4);
    if (chance == once || fault->kind == PC_FAULT_EINTR || fault->error == EINTR)
        return;
    fault->times = PC_FOREVER;
    if (chance > once + 1)
        widen(seen, fault);
}

/* A disk of few blocks, for all files; one of three notices at the sync only. */
static void draw_account(struct tape *tape, uint32_t anchor, struct pc_fault *fault)
{
    fault->call = tape_choose(tape, TAPE_FAULTS, anchor + 10, 3) ? PC_ANY_WRITE : PC_ANY_SYNC;
    fault->room = 4096u * (1 + tape_choose(tape, TAPE_FAULTS, anchor + 11, 12));
    fault->error = tape_choose(tape, TAPE_FAULTS, anchor + 12, 4) ? ENOSPC : EDQUOT;
    fault->nth = 1;
    snprintf(fault->file, sizeof fault->file, "*");
}

static bool reads(struct tape *tape, uint32_t anchor, enum pc_fault_kind kind)
{
    if (!pc_fault_fits(kind, PC_ANY_WRITE) && !pc_fault_fits(kind, PC_ANY_SYNC))
        return true;
    return pc_fault_fits(kind, PC_CALL_READ) && kind != PC_FAULT_ERROR &&
           tape_choose(tape, TAPE_FAULTS, anchor + 3, 5) == 0;
}

void place_faults(struct trace *trace, const struct pc_store *store, struct tape *tape,
                  uint32_t kinds)
{
    enum pc_fault_kind known[PC_FAULT_KINDS];
    struct pc_fault faults[2];
    struct seen_calls seen = {0};
    uint32_t n = 0, count, placed = 0;

    for (int kind = 0; kind < PC_FAULT_KINDS; kind++)
        if (kinds >> kind & 1)
            known[n++] = (enum pc_fault_kind)kind;
    if (n == 0)
        return;
    rehearse(trace, store, &seen);
    count = 1 + tape_choose(tape, TAPE_FAULTS, 0, 2);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t anchor = (i + 1) * 16;
        struct pc_fault *fault = &faults[placed];

        *fault = (struct pc_fault){.kind = known[tape_choose(tape, TAPE_FAULTS, anchor, n)]};
        if (reads(tape, anchor, fault->kind))
            aim_read(tape, anchor, fault);
        else if (!aim(tape, anchor, &seen, fault))
            continue;
        if (fault->kind == PC_FAULT_ERROR)
            draw_errno(tape, anchor, fault);
        if (fault->kind == PC_FAULT_FULL)
            draw_account(tape, anchor, fault);
        else
            last(tape, anchor, &seen, fault);
        placed++;
    }
    trace_arm(trace, faults, placed);
    free(seen.calls);
}

/* Does a single fault of this kind also come for ever? Of the others some number of times is no
 * more than once. */
static bool also_for_ever(enum pc_fault_kind kind)
{
    return kind == PC_FAULT_EIO || kind == PC_FAULT_ENOSPC || kind == PC_FAULT_LOSTSYNC;
}

bool place_single(const struct trace *trace, const struct pc_store *store, uint32_t kinds,
                  uint32_t index, struct pc_fault *fault)
{
    struct seen_calls seen = {0};
    bool found = false;

    rehearse(trace, store, &seen);
    for (uint32_t i = 0; i < seen.count && !found; i++)
        for (int kind = 0; kind < PC_FAULT_KINDS && !found; kind++) {
            const struct seen_call *call = &seen.calls[i];
            uint32_t ways = also_for_ever((enum pc_fault_kind)kind) ? 2 : 1;

            if (!(kinds >> kind & 1) ||
                !takes(&(struct pc_fault){.kind = (enum pc_fault_kind)kind}, call, false))
                continue;
            if (index >= ways) {
                index -= ways;
                continue;
            }
            *fault = (struct pc_fault){
                .kind = (enum pc_fault_kind)kind, .call = call->kind, .nth = call->nth};
            if (kind == PC_FAULT_ERROR) /* not all of them each time: they take turns */
                fault->error = pc_errno_of(call->kind, i % 5);
            if (kind == PC_FAULT_ERROR && fault->error == 0)
                fault->error = pc_errno_of(call->kind, 0);
            memcpy(fault->file, call->name, sizeof fault->file);
            if (index == 1) {
                fault->times = PC_FOREVER;
                widen(&seen, fault);
            }
            found = true;
        }
    free(seen.calls);
    return found;
}

/* ---- keeping the aim ---- */

static void role_of(const char *name, char *role, size_t room)
{
    const char *dot = strrchr(name, '.');

    if (*name == '*')
        snprintf(role, room, "*");
    else
        snprintf(role, room, "%.*s", dot ? 15 : (int)strcspn(name, "-0123456789"),
                 dot ? dot : name);
}

static bool in_role(const struct seen_call *call, const struct aim *aim)
{
    char role[16];

    role_of(call->name, role, sizeof role);
    return strcmp(aim->role, "*") == 0 || strcmp(role, aim->role) == 0;
}

static bool counts(const struct pc_fault *fault, const struct seen_call *call)
{
    return pc_call_in(fault->call, call->kind) && fnmatch(fault->file, call->name, 0) == 0;
}

static void narrow_to(const struct seen_call *call, struct pc_fault *fault)
{
    fault->call = call->kind;
    memcpy(fault->file, call->name, sizeof fault->file);
    fault->nth = call->nth;
    fault->times = 0;
}

/* A full disk as one call that found too little: a short write or a failed one, newest first. */
static bool narrow_account(const struct seen_calls *seen, const struct pc_fault *wide,
                           uint32_t index, struct pc_fault *fault)
{
    for (uint32_t i = seen->count; i-- > 0;)
        for (int kind = 0; kind < 2; kind++) {
            struct pc_fault narrow = {.kind = kind ? PC_FAULT_ENOSPC : PC_FAULT_SHORT};
            const struct seen_call *call = &seen->calls[i];

            if (!counts(wide, call) || *call->name == '\0' ||
                !pc_fault_fits(narrow.kind, call->kind) || index-- > 0)
                continue;
            narrow_to(call, &narrow);
            *fault = narrow;
            return true;
        }
    return false;
}

bool place_narrow(const struct trace *trace, const struct pc_store *store, uint32_t which,
                  uint32_t index, struct pc_fault *fault)
{
    const struct pc_fault *wide = &trace->faults[which];
    struct seen_calls seen = {0};
    uint32_t nth = 0;
    bool found = false;

    if (wide->times <= 1 && strcspn(wide->file, "*?[") == strlen(wide->file))
        return false; /* as narrow as can be */
    rehearse(trace, store, &seen);
    if (wide->kind == PC_FAULT_FULL) {
        found = narrow_account(&seen, wide, index, fault);
        free(seen.calls);
        return found;
    }
    for (uint32_t i = 0; i < seen.count && !found; i++) {
        const struct seen_call *call = &seen.calls[i];

        if (!counts(wide, call))
            continue;
        nth++;
        if (nth < wide->nth || *call->name == '\0' || !pc_fault_fits(wide->kind, call->kind) ||
            index-- > 0)
            continue;
        if (wide->times != PC_FOREVER && nth - wide->nth >= (wide->times ? wide->times : 1))
            break;
        *fault = *wide;
        narrow_to(call, fault);
        found = true;
    }
    free(seen.calls);
    return found;
}

void place_aims(struct trace *trace, const struct pc_store *store, struct aim aims[TRACE_FAULTS])
{
    struct seen_calls seen = {0};

    for (uint32_t i = 0; i < trace->op_count; i++)
        trace->ops[i].line = i + 1;
    rehearse(trace, store, &seen);
    for (uint32_t f = 0; f < trace->fault_count; f++) {
        const struct pc_fault *fault = &trace->faults[f];
        struct aim *aim = &aims[f];
        uint32_t nth = 0;

        *aim = (struct aim){0};
        role_of(fault->file, aim->role, sizeof aim->role);
        for (uint32_t i = 0; i < seen.count && !aim->known; i++) {
            const struct seen_call *call = &seen.calls[i];

            if (!pc_call_in(fault->call, call->kind))
                continue;
            if (call->mark != aim->op)
                aim->ordinal = 0;
            aim->op = (uint32_t)call->mark;
            aim->ordinal += in_role(call, aim);
            nth += counts(fault, call);
            aim->known = counts(fault, call) && nth == fault->nth;
        }
    }
    free(seen.calls);
}

void place_again(struct trace *trace, const struct pc_store *store,
                 const struct aim aims[TRACE_FAULTS])
{
    struct seen_calls seen = {0};

    if (trace->fault_count == 0)
        return;
    rehearse(trace, store, &seen);
    for (uint32_t f = 0; f < trace->fault_count; f++) {
        struct pc_fault *fault = &trace->faults[f], old = *fault;
        bool any_file = strcmp(old.file, "*") == 0;
        uint32_t ordinal = 0, nth = 0;

        for (uint32_t i = 0; aims[f].known && i < seen.count; i++) {
            const struct seen_call *call = &seen.calls[i];

            nth += counts(&old, call);
            if (call->mark == 0 || call->mark > trace->op_count ||
                trace->ops[call->mark - 1].line != aims[f].op ||
                !pc_call_in(old.call, call->kind) || !in_role(call, &aims[f]) ||
                ++ordinal != aims[f].ordinal)
                continue;
            if (!any_file)
                memcpy(fault->file, call->name, sizeof fault->file);
            fault->nth = any_file ? nth : call->nth;
        }
    }
    free(seen.calls);
}
