/* shrink_crash.c: crashes made plain. See shrink.h.
 *
 *   C1 A crash that only a seed describes is said in words: before which call, and what was lost.
 *   C2 A finding that the session saw in the recovery from a crash of the trace is one after that
 *      crash, like those that an explorer finds.
 *   C3 What neither needs goes: items, operations. Each try is a run of exactly that crash, so
 *      what no explorer looks for (a copy, a second epoch) is made smaller, too.
 * Nothing is kept that does not break the same rule when it is run. */
#include "shrink.h"

#include <stdlib.h>
#include <string.h>

#include "play.h"

#define CLEAR 2u /* items: more are worth another look for a crash that loses fewer */

/* Does it break the same rule, run as it is? */
static bool breaks(const struct pc_store *store, const struct trace *trace,
                   const struct finding *finding)
{
    return shrink_replay(store, trace, finding) == finding->verdict.rule;
}

/* The crash at step `crash` of the trace, as a cut; `lost`: told by what is lost. False: it cannot
 * be made, or said so. */
static bool crash_as_cut(const struct pc_store *store, const struct trace *trace, uint32_t crash,
                         bool lost, struct finding *out)
{
    struct cut *cut = &out->cut[0];
    bool ok = false;
    struct finding ignored = {0};
    struct pc_image *image = NULL;
    struct trace copy;
    struct play play;
    uint32_t i = 0;
    size_t k;

    trace_copy(&copy, trace);
    play_init(&play, &copy, store, NULL, &ignored);
    while (i < copy.op_count && !(i > crash && copy.ops[i].kind == OP_RECOVER) &&
           play_step(&play, i, NULL))
        i++;
    if (i < copy.op_count && copy.ops[i].kind == OP_RECOVER && play.crashed)
        image = play_image(&play, &k);
    if (image) {
        for (uint32_t item = 0; item < pc_image_items(image); item++)
            if (pc_image_state(image, item) == PC_ITEM_OPEN)
                pc_image_set(image, item, !play.cut.crash.oldest);
        ok = true;
        if (lost)
            ok = finding_cut_lost(play.session.disk, image, k, play.cut.crash.inside,
                                  play.cut.crash.fill, cut);
        else
            finding_cut(play.session.disk, image, k, play.cut.crash.inside, play.cut.crash.fill,
                        cut);
        out->trouble = play.trouble;
        out->trouble_at = play.trouble_at;
        pc_image_free(image);
    }
    play_release(&play);
    trace_release(&copy);
    return ok;
}

/* ---- C2 ---- */

bool shrink_promote(const struct pc_store *store, struct trace *trace, struct finding *finding)
{
    struct finding other = {.found = true, .verdict = finding->verdict, .cuts = 1};
    uint32_t crash = finding->op - 1;
    struct trace copy;
    bool ok;

    if (!finding->found || finding->cuts || finding->op == 0 || finding->op > trace->op_count ||
        trace->ops[crash].kind != OP_RECOVER)
        return false;
    while (crash > 0 && trace->ops[crash].kind != OP_CRASH)
        crash--;
    if (!crash_as_cut(store, trace, crash, false, &other))
        return false;
    trace_copy(&copy, trace);
    copy.op_count = other.op = crash;
    ok = breaks(store, &copy, &other);
    if (ok) {
        trace->op_count = crash;
        *finding = other;
    }
    trace_release(&copy);
    return ok;
}

/* ---- C1 ---- */

static uint32_t crash_steps(const struct trace *trace, uint32_t crash)
{
    uint32_t steps = 1;

    while (crash + steps < trace->op_count && trace->ops[crash + steps].kind != OP_RECOVER)
        steps++;
    return steps;
}

/* In place of the steps of a crash those that describe this one. */
static void replace_crash(struct trace *trace, uint32_t crash, const struct cut *cut)
{
    uint32_t old = crash_steps(trace, crash), new = 1 + cut->item_count, tail;

    for (uint32_t i = old; i < new; i++)
        trace_add(trace, OP_RECOVER); /* room */
    tail = trace->op_count - (new > old ? new - old : 0) - crash - old;
    memmove(trace->ops + crash + new, trace->ops + crash + old, tail * sizeof *trace->ops);
    trace->op_count = crash + new + tail;
    for (uint32_t i = 0; i < new; i++)
        trace->ops[crash + i] =
            (struct op){.kind = cut->crash.oldest ? OP_KEEP : OP_LOSE,
                        .key = TRACE_NO_KEY,
                        .key_end = TRACE_NO_KEY,
                        .item = i ? cut->items[i - 1] : (struct item_name){PC_ITEM_DATA}};
    trace->ops[crash].kind = OP_CRASH;
    trace->ops[crash].crash = cut->crash;
}

static bool try_crash(const struct pc_store *store, struct trace *trace, struct finding *finding,
                      uint32_t crash, const struct cut *cut)
{
    uint32_t before = trace->op_count;
    struct trace copy;

    trace_copy(&copy, trace);
    replace_crash(&copy, crash, cut);
    if (!breaks(store, &copy, finding)) {
        trace_release(&copy);
        return false;
    }
    if (finding->op > crash)
        finding->op += copy.op_count - before;
    trace_release(trace);
    *trace = copy;
    return true;
}

/* All that was synced and nothing else, or everything; else what the seed lost, less what is not
 * needed. */
static void name_crash(const struct pc_store *store, struct trace *trace, struct finding *finding,
                       uint32_t crash)
{
    struct finding named = {0};
    struct cut cut;

    for (int oldest = 0; oldest < 2; oldest++) {
        cut = (struct cut){.crash = {.place = CRASH_END, .oldest = oldest}};
        if (try_crash(store, trace, finding, crash, &cut))
            return;
    }
    if (!crash_as_cut(store, trace, crash, false, &named) || named.trouble != TROUBLE_NONE ||
        !try_crash(store, trace, finding, crash, &named.cut[0]))
        return;
    cut = named.cut[0];
    for (uint32_t i = cut.item_count; i-- > 0;) {
        struct cut less = cut;

        memmove(less.items + i, less.items + i + 1, (less.item_count - i - 1) * sizeof *less.items);
        less.item_count--;
        if (try_crash(store, trace, finding, crash, &less))
            cut = less;
    }
}

/* ---- C3 ---- */

static bool without_items(const struct pc_store *store, const struct trace *trace,
                          struct finding *finding)
{
    bool any = false;

    for (uint32_t c = 0; c < finding->cuts; c++)
        for (uint32_t i = finding->cut[c].item_count; i-- > 0;) {
            struct finding less = *finding;
            struct cut *cut = &less.cut[c];

            memmove(cut->items + i, cut->items + i + 1,
                    (cut->item_count - i - 1) * sizeof *cut->items);
            cut->item_count--;
            if (breaks(store, trace, &less)) {
                *finding = less;
                any = true;
            }
        }
    return any;
}

/* Another crash with fewer words. The remedies stay those of what was lost first. */
static void clearer(const struct pc_store *store, const struct trace *trace,
                    struct finding *finding)
{
    for (uint32_t c = 0; c < finding->cuts; c++)
        for (int way = 0; finding->cut[c].item_count > CLEAR && way < 4; way++) {
            struct finding other = *finding;

            other.cut[c].item_count = 0;
            other.cut[c].crash.oldest = way & 1;
            if (way & 2) {
                other.cut[c].crash = (struct crash){.place = CRASH_END, .oldest = way & 1};
                snprintf(other.cut[c].before, sizeof other.cut[c].before, "after the last call");
            }
            if (breaks(store, trace, &other))
                *finding = other;
        }
}

/* The call before which the power failed may have gone with the operation: at the end then. */
static bool breaks_at_end(const struct pc_store *store, const struct trace *trace,
                          struct finding *finding)
{
    struct cut *cut = &finding->cut[0];

    if (finding->cuts != 1 || cut->item_count > 0)
        return false;
    cut->crash =
        (struct crash){.place = CRASH_END, .oldest = cut->crash.oldest, .fill = cut->crash.fill};
    snprintf(cut->before, sizeof cut->before, "after the last call");
    return breaks(store, trace, finding);
}

static bool without_ops(const struct pc_store *store, struct trace *trace, struct finding *finding)
{
    bool any = false;

    for (uint32_t i = trace->op_count; i-- > 0;) {
        struct finding other = *finding;
        enum op_kind kind = trace->ops[i].kind;
        struct trace copy;

        if (kind == OP_CRASH || kind == OP_LOSE || kind == OP_KEEP || kind == OP_TROUBLE ||
            kind == OP_RECOVER)
            continue;
        trace_copy(&copy, trace);
        memmove(copy.ops + i, copy.ops + i + 1, (copy.op_count - i - 1) * sizeof *copy.ops);
        copy.op_count--;
        other.op -= other.op > i;
        if (breaks(store, &copy, &other) || breaks_at_end(store, &copy, &other)) {
            trace_release(trace);
            *trace = copy;
            *finding = other;
            any = true;
        } else {
            trace_release(&copy);
        }
    }
    return any;
}

/* The words of the newest run; which operation it was is no news after a crash. */
static void say_again(const struct pc_store *store, const struct trace *trace,
                      struct finding *finding)
{
    struct verdict verdict;
    const char *colon;

    if (shrink_replay_told(store, trace, finding, false, &verdict) != finding->verdict.rule)
        return;
    colon = strstr(verdict.text, ": ");
    if (finding->cuts && colon && strncmp(verdict.text, "op ", 3) == 0)
        memmove(verdict.text, colon + 2, strlen(colon + 2) + 1);
    finding->verdict = verdict;
}

/* What was lost, and which syncs would have saved it, of the crash as it is now. */
static void look_again(const struct pc_store *store, const struct trace *trace,
                       struct finding *finding)
{
    struct finding other = *finding;
    struct trace copy;

    if (finding->cuts != 1)
        return;
    trace_copy(&copy, trace);
    finding_steps(finding, &copy);
    if (crash_as_cut(store, &copy, trace->op_count, true, &other)) {
        finding->cut[0].remedy_count = other.cut[0].remedy_count;
        memcpy(finding->cut[0].remedies, other.cut[0].remedies, sizeof other.cut[0].remedies);
        if (finding->cut[0].crash.oldest && breaks(store, trace, &other)) {
            without_items(store, trace, &other);
            if (other.cut[0].item_count <= CLEAR)
                *finding = other; /* what is lost says more than what is kept */
        }
    }
    trace_release(&copy);
}

void shrink_crashes(const struct pc_store *store, struct trace *trace, struct finding *finding)
{
    uint32_t ops = trace->op_count;

    if (!breaks(store, trace, finding))
        return; /* the search found it in another way than by these crashes */
    (void)shrink_promote(store, trace, finding);
    for (uint32_t i = 0; i < trace->op_count; i++)
        if (trace->ops[i].kind == OP_CRASH && trace->ops[i].crash.place == CRASH_SEED)
            name_crash(store, trace, finding, i);
    without_items(store, trace, finding);
    clearer(store, trace, finding);
    while (without_ops(store, trace, finding) && without_items(store, trace, finding))
        ;
    look_again(store, trace, finding);
    if (trace->op_count != ops)
        say_again(store, trace, finding);
}
