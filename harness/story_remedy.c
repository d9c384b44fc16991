/* story_remedy.c: what would have prevented a finding. Each answer is tried: the trace is run and
 * searched again with it.
 *
 *   R1 A sync that the store did not make, of a file or directory that lost something, right behind
 *      the last call that wrote what was lost, or else the first, or the last that wrote to it.
 *   R2 An order: a file, and what is removed after it, goes only once some later sync has returned.
 *      The earliest such sync is named. Not looked for where R1 answers. Where a mistake is made in
 *      several places no single change prevents all of it: then a sync that makes this crash
 *      harmless is named, and else a removal that should not have been.
 *   R3 A fault that does not strike.
 *   R4 Where nothing of these helps: a flush, a compaction or another move of the store without
 *      which it does not show; and a check that failed, and what it covers was used all the same.
 *
 * A rule that no explorer asks about (a copy, say) is tried by running the crash itself, then
 * everything and nothing lost at its place, and at the end. */
#include <fnmatch.h>
#include <string.h>

#include "fault_text.h"
#include "play.h"
#include "story.h"

#define REMOVALS_MOST 4
#define SYNCS_MOST    8

struct doctor {
    FILE *out;
    const struct trace *trace;
    const struct finding *finding;
    uint32_t epoch;  /* at whose end the power failed */
    bool played;     /* a try runs crashes, and does not search */
    bool this_crash; /* and only that of the finding */
    struct shrink shrink;
};

static bool shows_played(const struct doctor *doctor, const struct trace *trace)
{
    struct finding way = *doctor->finding;
    enum rule rule;

    for (int i = 0; i < (way.cuts && !doctor->this_crash ? 5 : 1); i++) {
        if (i > 0) {
            way.cut[0].item_count = 0;
            way.cut[0].crash.oldest = i & 1;
        }
        if (i > 2)
            way.cut[0].crash.place = CRASH_END;
        way.cut[0].crash.inside &= i <= 2;
        rule = shrink_replay_told(doctor->shrink.store, trace, &way, true, NULL);
        if (rule == doctor->finding->verdict.rule || (rule != RULE_NONE && way.cuts == 0))
            return true;
    }
    return false;
}

/* Does the mistake show in the trace, changed by what it says of syncs and removals? */
static bool shows(struct doctor *doctor, const struct trace *trace)
{
    struct budget budget = {.leaves = 400,
                            .samples = 30,
                            .nested = doctor->finding->cuts > 1 ? 2 : 0,
                            .depth = doctor->finding->cuts,
                            .life = 4,
                            .recoveries = 20000};
    struct finding other;

    if (doctor->played || doctor->this_crash)
        return shows_played(doctor, trace);
    if (!shrink_probe(&doctor->shrink, trace, &budget, &other))
        return false;
    /* Another rule may hide it, or be all that is left. */
    return other.verdict.rule == doctor->finding->verdict.rule || shows_played(doctor, trace);
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

static bool helps(struct doctor *doctor, uint32_t sync, uint32_t call)
{
    struct trace copy;
    bool answer;

    trace_copy(&copy, doctor->trace);
    copy.change_epoch = doctor->epoch;
    copy.insert_call = call;
    copy.insert_sync = sync;
    answer = !shows(doctor, &copy);
    trace_release(&copy);
    return answer;
}

static uint32_t try_syncs(struct doctor *doctor, const struct pc_disk *disk)
{
    uint32_t found = 0;

    for (uint32_t r = 0; r < doctor->finding->cut[0].remedy_count; r++) {
        const struct remedy *remedy = &doctor->finding->cut[0].remedies[r];
        uint32_t calls[] = {remedy->call, remedy->first, remedy->last}, call = 0;

        for (int i = 0; i < 3 && call == 0; i++)
            if (calls[i] && calls[i] <= pc_disk_call_count(disk) &&
                (i == 0 || calls[i] != remedy->call) && helps(doctor, remedy->sync, calls[i]))
                call = calls[i];
        if (call == 0)
            continue;
        if (found++ == 0)
            fprintf(doctor->out, "%s with\n",
                    doctor->this_crash
                        ? "more than one place is wrong; this crash would have been harmless"
                        : "it would not have happened");
        fprintf(doctor->out, "  a sync of %s after ", *remedy->path ? remedy->path : "/");
        print_call(doctor->out, pc_disk_call(disk, call - 1));
        fputc('\n', doctor->out);
    }
    return found;
}

/* ---- R2 ---- */

static bool shows_with_removal(struct doctor *doctor, size_t removal, size_t until)
{
    struct trace copy;
    bool answer;

    trace_copy(&copy, doctor->trace);
    copy.change_epoch = doctor->epoch;
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

enum waiting { NO_HELP, WITHOUT_IT, WAITED };

/* One removal: does doing it later, at the earliest after some sync, prevent it all? */
static enum waiting try_removal(struct doctor *doctor, const struct pc_disk *disk, size_t calls,
                                size_t removal)
{
    uint32_t tried = 0, waiting = 1;

    if (shows_with_removal(doctor, removal, UINT32_MAX))
        return NO_HELP; /* not even without it */
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
        return WAITED;
    }
    return WITHOUT_IT;
}

/* Of the first `crash` calls; *without: the newest removal that should not have been, or crash. */
static bool try_removals(struct doctor *doctor, const struct pc_disk *disk, size_t calls,
                         size_t crash, size_t *without)
{
    uint32_t tried = 0;

    *without = crash;
    for (size_t i = crash; i-- > 0 && tried < REMOVALS_MOST;) {
        const struct pc_call *call = pc_disk_call(disk, i);
        enum waiting answer;

        if (call->kind != PC_CALL_UNLINK || call->flags & PC_CALL_FAILED)
            continue;
        tried++;
        answer = try_removal(doctor, disk, calls, i);
        if (answer == WAITED)
            return true;
        if (answer == WITHOUT_IT && *without == crash)
            *without = i;
    }
    return false;
}

static bool say_without(struct doctor *doctor, const struct pc_disk *disk, size_t removal)
{
    fputs("it would not have happened without ", doctor->out);
    print_call(doctor->out, pc_disk_call(disk, removal));
    fputc('\n', doctor->out);
    return true;
}

/* ---- R3, R4: without a step of the trace ---- */

static bool shows_without(struct doctor *doctor, uint32_t step)
{
    struct trace copy;
    bool answer;

    trace_copy(&copy, doctor->trace);
    memmove(copy.ops + step, copy.ops + step + 1, (copy.op_count - step - 1) * sizeof *copy.ops);
    copy.op_count--;
    answer = shows(doctor, &copy);
    trace_release(&copy);
    return answer;
}

/* The call that the rule has met, when it is one of this disk's log. */
static const struct pc_call *struck(const struct pc_disk *disk, const struct pc_fault *fault)
{
    uint32_t nth = 0;

    if (fault->kind == PC_FAULT_FULL)
        return NULL; /* an account, of all of them */
    for (size_t i = 0; i < pc_disk_call_count(disk); i++) {
        const struct pc_call *call = pc_disk_call(disk, i);
        const char *name = strrchr(call->path, '/');

        name = name ? name + 1 : call->path;
        if (pc_call_in(fault->call, call->kind) && fnmatch(fault->file, name, 0) == 0 &&
            ++nth == fault->nth)
            return call;
    }
    return NULL;
}

static void say_answered(struct doctor *doctor, const struct pc_disk *disk)
{
    for (size_t i = 0; i < pc_disk_call_count(disk); i++)
        if (pc_disk_call(disk, i)->flags & (PC_CALL_FAILED | PC_CALL_LIED)) {
            fputs("    look at what the store does with the answer of ", doctor->out);
            print_call(doctor->out, pc_disk_call(disk, i));
            fputc('\n', doctor->out);
            return;
        }
}

static uint32_t try_faults(struct doctor *doctor, const struct pc_disk *disk)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < doctor->trace->op_count; i++) {
        const struct op *op = &doctor->trace->ops[i];
        const struct pc_call *call;

        if (op->kind != OP_FAULT || shows_without(doctor, i))
            continue;
        fprintf(doctor->out, "%s  ", found++ ? "" : "it would not have happened without\n");
        trace_print_op(doctor->out, doctor->trace, op);
        call = struck(disk, &doctor->trace->faults[op->slot]);
        if (call == NULL)
            continue;
        fputs("    which met ", doctor->out);
        print_call(doctor->out, call);
        fputc('\n', doctor->out);
    }
    if (found)
        say_answered(doctor, disk);
    return found;
}

static bool is_move(enum op_kind kind)
{
    return kind == OP_FLUSH || kind == OP_COMPACT || kind == OP_REOPEN || kind == OP_CLOSE ||
           kind == OP_SNAPSHOT || kind == OP_COPY || kind == OP_CLOCK;
}

static uint32_t try_moves(struct doctor *doctor)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < doctor->trace->op_count; i++) {
        const struct op *op = &doctor->trace->ops[i];

        if (!is_move(op->kind) || shows_without(doctor, i))
            continue;
        fprintf(doctor->out, "%s  op %u: ",
                found++ ? "" : "no sync and no order prevents it; it does not happen without\n",
                (unsigned)i + 1);
        trace_print_op(doctor->out, doctor->trace, op);
    }
    return found;
}

static bool tell_moves(struct doctor *doctor, const struct pc_store *store)
{
    if (try_moves(doctor) == 0)
        return false;
    story_branches(doctor->out, doctor->trace, doctor->finding, store);
    return true;
}

static bool crashes(const struct trace *trace)
{
    for (uint32_t i = 0; i < trace->op_count; i++)
        if (trace->ops[i].kind == OP_CRASH)
            return true;
    return false;
}

/* Changes that prevent all of it; *without: as try_removals has it. */
static bool try_crash(struct doctor *doctor, struct session *session, size_t *crash,
                      size_t *without)
{
    char why[160];

    *crash = *without = 0;
    if (session->verdict.rule != RULE_NONE ||
        !session_place(session, &doctor->finding->cut[0].crash, crash, why, sizeof why))
        return false;
    *without = *crash;
    return try_syncs(doctor, session->disk) > 0 ||
           try_removals(doctor, session->disk, pc_disk_call_count(session->disk), *crash, without);
}

/* Those that prevent this one. */
static bool try_this_crash(struct doctor *doctor, struct session *session, size_t crash,
                           size_t without)
{
    bool told;

    if (crash == 0)
        return false;
    doctor->this_crash = true;
    told = try_syncs(doctor, session->disk) > 0;
    doctor->this_crash = false;
    return told || (without < crash && say_without(doctor, session->disk, without));
}

/* No crash: what was removed while the store ran. */
static bool try_live(struct doctor *doctor, struct session *session)
{
    size_t calls = pc_disk_call_count(session->disk), without;

    session_abandon(session);
    return try_removals(doctor, session->disk, calls, calls, &without);
}

/* Nothing that was tried helps. */
static void tell_none(struct doctor *doctor)
{
    const struct cut *cut = &doctor->finding->cut[0];

    if (doctor->finding->cuts == 0 && !crashes(doctor->trace))
        fputs("no power failure and no fault takes part in it: look at how the store reads\n",
              doctor->out);
    else if (doctor->finding->cuts == 1 && cut->item_count == 0 && !cut->crash.oldest)
        fputs(
            "nothing was lost, so no sync prevents it, nor does a removal that waits: look at how "
            "what is there is read\n",
            doctor->out);
    else
        fputs("no single sync of what was lost prevents it, nor a removal that waits: look for a "
              "missing check\n",
              doctor->out);
}

/* The store of the scene runs no more when others are tried; its disk has the calls. */
static bool try_all(struct doctor *doctor)
{
    const struct pc_store *store = doctor->shrink.store;
    size_t crash = 0, without = 0;
    struct finding ignored = {0};
    struct trace copy;
    struct play scene;
    bool told = false;

    trace_copy(&copy, doctor->trace);
    play(&scene, &copy, &ignored, store);
    doctor->epoch = scene.session.epoch;
    if (story_used_all_the_same(doctor->out, doctor->trace, doctor->finding, store))
        told = true; /* whatever a sync would have hidden */
    else if (doctor->finding->cuts == 1)
        told = try_crash(doctor, &scene.session, &crash, &without);
    else
        told = try_live(doctor, &scene.session);
    told |= try_faults(doctor, scene.session.disk) > 0;
    told =
        told || try_this_crash(doctor, &scene.session, crash, without) || tell_moves(doctor, store);
    play_release(&scene);
    trace_release(&copy);
    return told;
}

void story_remedies(FILE *out, const struct trace *trace, const struct finding *finding,
                    const struct shrink *helper)
{
    struct doctor doctor = {.out = out, .trace = trace, .finding = finding, .shrink = *helper};

    if (finding->trouble)
        return;
    doctor.played = finding->cuts == 0 || !shows(&doctor, trace);
    if (doctor.played && !shows(&doctor, trace))
        return; /* whatever it was, it cannot be asked for again */
    if (!try_all(&doctor)) {
        tell_none(&doctor);
        story_branches(out, trace, finding, helper->store);
    }
}
