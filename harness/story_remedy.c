/* story_remedy.c: what would have prevented a finding. Each answer is tried: the trace is run and
 * searched again with it.
 *
 *   R1 A sync that the store did not make, of a file or directory that lost something, right behind
 *      the last call that wrote what was lost.
 *   R2 An order: a file, and what is removed after it, goes only once some later sync has returned.
 *      The earliest such sync is named. Not looked for where R1 answers. */
#include <string.h>

#include "play.h"
#include "story.h"

#define REMOVALS_MOST 4
#define SYNCS_MOST    8

struct doctor {
    FILE *out;
    const struct trace *trace;
    const struct finding *finding;
    struct shrink shrink;
};

static bool single_epoch(const struct trace *trace)
{
    for (uint32_t i = 0; i < trace->op_count; i++)
        if (trace->ops[i].kind == OP_CRASH)
            return false;
    return true;
}

/* Does the mistake show in the trace, changed by what it says of syncs and removals? */
static bool shows(struct doctor *doctor, const struct trace *trace)
{
    struct budget budget = {.leaves = 400, .samples = 30, .life = 4, .recoveries = 20000};
    struct finding other;

    return shrink_probe(&doctor->shrink, trace, &budget, &other);
}

/* Plays the trace as it is; the session has its calls then. */
static void play(struct play *play, struct trace *copy, struct finding *ignored,
                 const struct pc_store *store)
{
    play_init(play, copy, store, NULL, ignored);
    for (uint32_t i = 0; i < copy->op_count && play_step(play, i, NULL); i++)
        ;
    play_end(play);
}

static void print_call(FILE *out, const struct pc_call *call)
{
    fprintf(out, "the %s of %s%s%s (op %llu)", pc_call_kind_name(call->kind),
            *call->path ? call->path : "/", *call->to ? " to " : "", call->to,
            (unsigned long long)call->mark);
}

/* ---- R1 ---- */

static uint32_t try_syncs(struct doctor *doctor, const struct pc_disk *disk)
{
    uint32_t found = 0;

    for (uint32_t r = 0; r < doctor->finding->cut[0].remedy_count; r++) {
        const struct remedy *remedy = &doctor->finding->cut[0].remedies[r];
        struct trace copy;

        if (remedy->call > pc_disk_call_count(disk))
            continue;
        trace_copy(&copy, doctor->trace);
        copy.insert_call = remedy->call;
        copy.insert_sync = remedy->sync;
        if (!shows(doctor, &copy)) {
            fprintf(doctor->out, "%s  a sync of %s after ",
                    found++ ? "" : "it would not have happened with\n",
                    *remedy->path ? remedy->path : "/");
            print_call(doctor->out, pc_disk_call(disk, remedy->call - 1));
            fputc('\n', doctor->out);
        }
        trace_release(&copy);
    }
    return found;
}

/* ---- R2 ---- */

static bool shows_with_removal(struct doctor *doctor, size_t removal, size_t until)
{
    struct trace copy;
    bool answer;

    trace_copy(&copy, doctor->trace);
    copy.defer_call = (uint32_t)removal;
    copy.defer_until = (uint32_t)until;
    answer = shows(doctor, &copy);
    trace_release(&copy);
    return answer;
}

static bool is_sync(const struct pc_call *call)
{
    return call->kind == PC_CALL_FSYNC || call->kind == PC_CALL_FDATASYNC ||
           call->kind == PC_CALL_SYNC;
}

/* One removal: true when doing it later, at the earliest after some sync, prevents it all. */
static bool try_removal(struct doctor *doctor, const struct pc_disk *disk, size_t removal)
{
    size_t calls = pc_disk_call_count(disk);
    uint32_t tried = 0, waiting = 1;

    if (shows_with_removal(doctor, removal, UINT32_MAX))
        return false; /* not even without it */
    for (size_t i = removal + 1; i < calls && tried < SYNCS_MOST; i++) {
        waiting += pc_disk_call(disk, i)->kind == PC_CALL_UNLINK;
        if (!is_sync(pc_disk_call(disk, i)))
            continue;
        tried++;
        if (shows_with_removal(doctor, removal, i + 1 - waiting))
            continue;
        fputs("it would not have happened, had ", doctor->out);
        print_call(doctor->out, pc_disk_call(disk, removal));
        if (waiting > 1)
            fprintf(doctor->out, " and %u behind it", (unsigned)waiting - 1);
        fputs("\n  waited for ", doctor->out);
        print_call(doctor->out, pc_disk_call(disk, i));
        fputc('\n', doctor->out);
        return true;
    }
    fputs("it would not have happened without ", doctor->out);
    print_call(doctor->out, pc_disk_call(disk, removal));
    fputc('\n', doctor->out);
    return true;
}

static bool try_removals(struct doctor *doctor, const struct pc_disk *disk, size_t crash)
{
    uint32_t tried = 0;

    for (size_t i = crash; i-- > 0 && tried < REMOVALS_MOST;) {
        const struct pc_call *call = pc_disk_call(disk, i);

        if (call->kind != PC_CALL_UNLINK || call->flags & PC_CALL_FAILED)
            continue;
        tried++;
        if (try_removal(doctor, disk, i))
            return true;
    }
    return false;
}

void story_remedies(FILE *out, const struct trace *trace, const struct finding *finding,
                    const struct shrink *helper)
{
    struct doctor doctor = {out, trace, finding, *helper};
    struct finding ignored = {0};
    struct trace copy;
    struct play scene;
    char why[160];
    size_t crash;

    if (finding->cuts != 1 || finding->trouble || !single_epoch(trace))
        return;
    trace_copy(&copy, trace);
    play(&scene, &copy, &ignored, helper->store);
    if (scene.session.verdict.rule == RULE_NONE &&
        session_place(&scene.session, &finding->cut[0].crash, &crash, why, sizeof why) &&
        try_syncs(&doctor, scene.session.disk) == 0 &&
        !try_removals(&doctor, scene.session.disk, crash))
        fputs("no single sync of what was lost prevents it, nor a removal that waits: look for a "
              "missing check\n",
              out);
    play_release(&scene);
    trace_release(&copy);
}
