/* shrink.c: delta debugging over operations and images. See shrink.h.
 *
 * Order, cheap to dear: what comes after the crash; chunks of operations, halves to singles (Zeller
 * and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002); parts of batches;
 * faults at one call instead of many; values, sync flags; where that stalls: pairs of operations,
 * neighbours fused into one, fewer keys, smaller sizes of the store; then the items of the image,
 * one by one; then crashes that are steps of the trace (shrink_crash.c). */
#include "shrink.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/rng.h"

#include "place.h"
#include "play.h"

/* ---- probes ---- */

static void play_alone(const struct pc_store *store, const struct trace *trace, bool lenient,
                       struct finding *finding)
{
    struct trace copy;
    struct play play;
    bool more = true;

    trace_copy(&copy, trace);
    play_init(&play, &copy, store, NULL, finding);
    play.lenient = lenient;
    for (uint32_t i = 0; more && i < copy.op_count; i++)
        more = play_step(&play, i, NULL);
    if (more)
        play_end(&play);
    play_release(&play);
    trace_release(&copy);
}

static void probe_here(struct shrink *shrink, const struct trace *trace,
                       const struct budget *budget, struct finding *finding)
{
    struct explorer explorer;
    struct trace copy;

    if (shrink->plays) {
        play_alone(shrink->store, trace, false, finding);
        return;
    }
    trace_copy(&copy, trace);
    explorer_init(&explorer, budget, shrink->store, copy.tuning, shrink->seed);
    explore_trace(&explorer, &copy, shrink->store, finding);
    explorer_release(&explorer);
    trace_release(&copy);
}

static void probe_child(struct shrink *shrink, const struct trace *trace,
                        const struct budget *budget, struct finding *finding)
{
    struct finding *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child;
    int status = 0;

    must(shared != MAP_FAILED);
    fflush(NULL);
    child = fork();
    must(child >= 0);
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        probe_here(shrink, trace, budget, shared);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0)
        ;
    *finding = *shared;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        bool hang = WIFEXITED(status) && WEXITSTATUS(status) == HANG_EXIT;

        *finding = (struct finding){.found = true, .live = true, .op = trace->op_count};
        finding->verdict.rule = hang ? RULE_HANG : RULE_CRASH;
        snprintf(finding->verdict.text, sizeof finding->verdict.text,
                 hang ? "the store makes no progress" : "the store died (status 0x%x)", status);
    }
    munmap(shared, sizeof *shared);
}

bool shrink_probe(struct shrink *shrink, const struct trace *trace, const struct budget *budget,
                  struct finding *finding)
{
    *finding = (struct finding){0};
    shrink->tried++;
    if (shrink->beat)
        shrink->beat(shrink->beat_ctx);
    if (shrink->forked)
        probe_child(shrink, trace, budget, finding);
    else
        probe_here(shrink, trace, budget, finding);
    return finding->found;
}

enum rule shrink_replay_told(const struct pc_store *store, const struct trace *trace,
                             const struct finding *finding, bool lenient, struct verdict *verdict)
{
    struct finding result = {0};
    struct trace copy;

    trace_copy(&copy, trace);
    finding_steps(finding, &copy);
    play_alone(store, &copy, lenient, &result);
    trace_release(&copy);
    if (result.found && verdict)
        *verdict = result.verdict;
    return result.found ? result.verdict.rule : RULE_NONE;
}

enum rule shrink_replay(const struct pc_store *store, const struct trace *trace,
                        const struct finding *finding)
{
    return shrink_replay_told(store, trace, finding, false, NULL);
}

/* ---- smaller traces ---- */

/* Is it a step between OP_CRASH and OP_RECOVER? */
static bool of_crash(enum op_kind kind)
{
    return kind == OP_LOSE || kind == OP_KEEP || kind == OP_TROUBLE;
}

static bool recovers(const struct trace *trace, uint32_t i)
{
    while (i < trace->op_count && of_crash(trace->ops[i].kind))
        i++;
    return i < trace->op_count && trace->ops[i].kind == OP_RECOVER;
}

/* Keeps crash and recover in pairs, and what lies between them there. */
static void pair_up(struct trace *trace)
{
    uint32_t out = 0;
    bool crashed = false;

    for (uint32_t i = 0; i < trace->op_count; i++) {
        enum op_kind kind = trace->ops[i].kind;

        if ((kind == OP_CRASH && (crashed || !recovers(trace, i + 1))) ||
            ((kind == OP_RECOVER || of_crash(kind)) && !crashed))
            continue;
        crashed = kind == OP_CRASH || (crashed && kind != OP_RECOVER);
        trace->ops[out++] = trace->ops[i];
    }
    trace->op_count = out;
}

struct state {
    struct shrink *shrink;
    struct trace *trace;
    struct finding *finding;
    struct budget budget;
    struct aim aims[TRACE_FAULTS];
    enum rule rule;
    bool read; /* what a scan shows is the same mistake */
};

static bool out_of_tries(const struct state *state)
{
    return state->shrink->tried >= state->shrink->tries;
}

/* One check has these names: what is there is not the state of one cut. Which of them it is depends
 * on what else was written. */
static bool no_cut(enum rule rule)
{
    return rule == RULE_BELOW_FLOOR || rule == RULE_HOLE || rule == RULE_TORN_BATCH ||
           rule == RULE_PHANTOM;
}

/* Does it show the same mistake? What a rotten bit breaks depends on where it falls. */
static bool alike(const struct state *state, const struct finding *finding)
{
    if (state->finding->trouble != TROUBLE_NONE)
        return finding->trouble == state->finding->trouble;
    return finding->verdict.rule == state->rule ||
           (no_cut(state->rule) && no_cut(finding->verdict.rule)) ||
           (state->read && finding->verdict.rule == RULE_READ);
}

/* Takes the candidate (released otherwise) when it still breaks the rule. */
static bool take(struct state *state, struct trace *candidate)
{
    struct finding finding;

    pair_up(candidate);
    if (!state->shrink->forked)
        place_again(candidate, state->shrink->store, state->aims);
    if (!out_of_tries(state) && shrink_probe(state->shrink, candidate, &state->budget, &finding) &&
        alike(state, &finding)) {
        trace_release(state->trace);
        state->rule = finding.verdict.rule;
        *state->trace = *candidate;
        *state->finding = finding;
        return true;
    }
    trace_release(candidate);
    return false;
}

static bool try_without(struct state *state, uint32_t first, uint32_t count)
{
    struct trace candidate;

    trace_copy(&candidate, state->trace);
    memmove(candidate.ops + first, candidate.ops + first + count,
            (candidate.op_count - first - count) * sizeof *candidate.ops);
    candidate.op_count -= count;
    return take(state, &candidate);
}

static void trim(struct state *state)
{
    uint32_t op = state->finding->op;

    if (op > 0 && op < state->trace->op_count)
        try_without(state, op, state->trace->op_count - op);
}

static bool drop_ops(struct state *state)
{
    bool any = false;

    for (uint32_t chunk = state->trace->op_count / 2; chunk > 0; chunk /= 2)
        for (uint32_t end = state->trace->op_count; end > 0 && !out_of_tries(state);) {
            uint32_t first = end > chunk ? end - chunk : 0;

            any |= try_without(state, first, end - first);
            end = first < state->trace->op_count ? first : state->trace->op_count;
        }
    return any;
}

static enum op_kind kind_of(const struct trace_write *write)
{
    if (write->key_end != TRACE_NO_KEY)
        return OP_DELETE_RANGE;
    return write->is_delete ? OP_DELETE : OP_PUT;
}

static bool drop_writes(struct state *state)
{
    bool any = false;

    for (uint32_t i = 0; i < state->trace->op_count; i++)
        for (uint32_t w = 0; state->trace->ops[i].kind == OP_BATCH &&
                             state->trace->ops[i].writes > 1 && w < state->trace->ops[i].writes;
             w++) {
            struct trace candidate;
            struct op *op;

            trace_copy(&candidate, state->trace);
            op = &candidate.ops[i];
            if (w == 0)
                op->first_write++;
            else if (w + 1 != op->writes) {
                trace_release(&candidate);
                continue; /* only the ends: writes of one operation lie together */
            }
            op->writes--;
            if (op->writes == 1)
                op->kind = kind_of(&candidate.writes[op->first_write]);
            any |= take(state, &candidate);
        }
    return any;
}

#define NARROW_MOST 48u

/* A fault that strikes once, at a call that has a name: others may go then. */
static bool narrow_faults(struct state *state)
{
    bool any = false;

    for (uint32_t f = 0; f < state->trace->fault_count && !state->shrink->forked; f++)
        for (uint32_t i = 0; i < NARROW_MOST && !out_of_tries(state); i++) {
            struct trace candidate;
            struct pc_fault fault;

            if (!place_narrow(state->trace, state->shrink->store, f, i, &fault))
                break;
            trace_copy(&candidate, state->trace);
            candidate.faults[f] = fault;
            place_aims(&candidate, state->shrink->store, state->aims);
            if (take(state, &candidate)) {
                any = true;
                break;
            }
            place_aims(state->trace, state->shrink->store, state->aims);
        }
    return any;
}

static void simplify_values(struct state *state)
{
    static const uint32_t lengths[] = {1, 100, 600};

    for (uint32_t i = 0; i < state->trace->op_count; i++)
        for (uint32_t w = 0; w < state->trace->ops[i].writes; w++)
            for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
                uint32_t index = state->trace->ops[i].first_write + w;
                struct trace candidate;

                if (state->trace->writes[index].is_delete ||
                    state->trace->writes[index].value.len <= lengths[l])
                    continue;
                trace_copy(&candidate, state->trace);
                candidate.writes[index].value.len = lengths[l];
                if (take(state, &candidate))
                    break;
            }
}

static void simplify_syncs(struct state *state)
{
    for (uint32_t i = 0; i < state->trace->op_count; i++) {
        struct trace candidate;

        if (!state->trace->ops[i].sync)
            continue;
        trace_copy(&candidate, state->trace);
        candidate.ops[i].sync = false;
        take(state, &candidate);
    }
}

/* ---- when single steps stall ---- */

#define PAIRS_MOST 20u
#define SMALL      3u /* operations: not worth the dearer steps */
#define ENOUGH     6u /* operations, crash and recovery among them: not worth a search per try */
#define REDRAWN    4000u

static void cut_out(struct trace *trace, uint32_t first, uint32_t count)
{
    memmove(trace->ops + first, trace->ops + first + count,
            (trace->op_count - first - count) * sizeof *trace->ops);
    trace->op_count -= count;
}

/* Two operations that only go together: one writes, the other takes it back. */
static bool drop_pairs(struct state *state)
{
    bool any = false;

    for (uint32_t i = 0; state->trace->op_count <= PAIRS_MOST && i < state->trace->op_count; i++)
        for (uint32_t j = i + 1; j < state->trace->op_count && !out_of_tries(state); j++) {
            struct trace candidate;

            trace_copy(&candidate, state->trace);
            cut_out(&candidate, j, 1);
            cut_out(&candidate, i, 1);
            if (take(state, &candidate)) {
                any = true;
                j = i;
            }
        }
    return any;
}

/* Two or three neighbours that only move data down: one flush or compaction instead. */
static bool fuse(struct state *state)
{
    static const enum op_kind kinds[] = {OP_FLUSH, OP_COMPACT};
    bool any = false;

    for (uint32_t width = 3; width > 1; width--)
        for (uint32_t i = 0; i + width <= state->trace->op_count && !out_of_tries(state); i++)
            for (int k = 0; k < 2; k++) {
                struct trace candidate;
                bool crash = false;

                if (i + width > state->trace->op_count)
                    break;
                for (uint32_t o = i; o < i + width; o++)
                    crash |= state->trace->ops[o].kind == OP_CRASH ||
                             state->trace->ops[o].kind == OP_RECOVER;
                if (crash)
                    continue;
                trace_copy(&candidate, state->trace);
                cut_out(&candidate, i, width - 1);
                candidate.ops[i] =
                    (struct op){.kind = kinds[k], .key = TRACE_NO_KEY, .key_end = TRACE_NO_KEY};
                any |= take(state, &candidate);
            }
    return any;
}

/* Fewer keys: the first of the trace instead of each other one. */
static bool merge_keys(struct state *state)
{
    bool any = false;

    for (uint32_t i = 0; i < state->trace->op_count; i++)
        for (uint32_t w = 0; w < state->trace->ops[i].writes && !out_of_tries(state); w++) {
            uint32_t index = state->trace->ops[i].first_write + w;
            uint16_t first = state->trace->writes[state->trace->ops[0].first_write].key;
            struct trace candidate;

            if (state->trace->ops[0].writes == 0 || state->trace->writes[index].key == first)
                continue;
            trace_copy(&candidate, state->trace);
            candidate.writes[index].key = first;
            any |= take(state, &candidate);
        }
    return any;
}

/* The tuning with its setting number `which` divided; false: there is none, or it is small. */
static bool divided(const char *tuning, uint32_t which, unsigned long divisor, char *out,
                    size_t room)
{
    size_t used = 0;
    bool changed = false;

    *out = '\0';
    for (uint32_t i = 0; *tuning; i++) {
        size_t len = strcspn(tuning, " ");
        const char *equal = memchr(tuning, '=', len);
        unsigned long value = equal ? strtoul(equal + 1, NULL, 10) : 0;

        if (i == which && value / divisor >= 1) {
            used += (size_t)snprintf(out + used, room - used, "%.*s%lu ", (int)(equal + 1 - tuning),
                                     tuning, value / divisor);
            changed = true;
        } else {
            used += (size_t)snprintf(out + used, room - used, "%.*s ", (int)len, tuning);
        }
        if (used >= room)
            return false;
        tuning += len;
        tuning += strspn(tuning, " ");
    }
    if (used)
        out[used - 1] = '\0';
    return changed;
}

/* Smaller sizes of the store, where they let operations go. */
static bool shrink_tuning(struct state *state)
{
    bool any = false;

    for (uint32_t which = 0; which < 16; which++)
        for (unsigned long divisor = 2; divisor <= 4 && !out_of_tries(state); divisor += 2) {
            struct trace candidate, before;
            struct finding finding = *state->finding;
            uint32_t ops = state->trace->op_count;
            enum rule rule = state->rule;

            trace_copy(&candidate, state->trace);
            if (!divided(state->trace->tuning, which, divisor, candidate.tuning,
                         sizeof candidate.tuning)) {
                trace_release(&candidate);
                continue;
            }
            trace_copy(&before, state->trace);
            if (take(state, &candidate)) {
                drop_ops(state);
                drop_pairs(state);
            }
            if (state->trace->op_count < ops) {
                any = true;
                trace_release(&before);
                continue;
            }
            trace_release(state->trace);
            *state->trace = before;
            *state->finding = finding;
            state->rule = rule;
        }
    return any;
}

/* ---- the image ---- */

static bool image_without(struct state *state, uint32_t cut, uint32_t item)
{
    struct finding candidate = *state->finding;
    struct cut *smaller = &candidate.cut[cut];

    memmove(smaller->items + item, smaller->items + item + 1,
            (smaller->item_count - item - 1) * sizeof *smaller->items);
    smaller->item_count--;
    if (shrink_replay(state->shrink->store, state->trace, &candidate) != state->rule)
        return false;
    *state->finding = candidate;
    return true;
}

static void shrink_image(struct state *state)
{
    for (uint32_t cut = 0; cut < state->finding->cuts; cut++)
        for (uint32_t i = state->finding->cut[cut].item_count; i > 0; i--)
            image_without(state, cut, i - 1);
}

static void shrink_whole(struct shrink *shrink, struct trace *trace, struct finding *finding)
{
    struct state state = {
        .shrink = shrink, .trace = trace, .finding = finding, .rule = finding->verdict.rule};
    bool nested = finding->cuts > 1;

    state.budget = (struct budget){.leaves = 48,
                                   .samples = 18,
                                   .nested = nested ? 2 : 0,
                                   .depth = finding->cuts,
                                   .witness = finding->verdict.rule == RULE_UNVERIFIED,
                                   .trouble = finding->trouble ? 1 : 0,
                                   .trouble_kind = finding->trouble,
                                   .scan_claims = finding->scanned,
                                   .trouble_tries = 24,
                                   .life = 2,
                                   .recoveries = 6000};
    if (!shrink->forked)
        place_aims(trace, shrink->store, state.aims);
    if (nested) { /* perhaps one crash is enough */
        struct budget whole = state.budget;
        struct trace same;

        state.budget.nested = 0;
        trace_copy(&same, trace);
        if (!take(&state, &same))
            state.budget = whole;
    }
    trim(&state);
    state.budget.tail = finding->live ? 0 : 4;
    for (int round = 0; round < 4; round++)
        if (!drop_ops(&state) && !drop_writes(&state))
            break;
    if (narrow_faults(&state))
        while (drop_ops(&state) || drop_writes(&state))
            ;
    simplify_values(&state);
    simplify_syncs(&state);
    drop_ops(&state);
    for (int round = 0; round < 3 && state.trace->op_count > SMALL; round++)
        if (!drop_pairs(&state) && !fuse(&state) && !merge_keys(&state) && !shrink_tuning(&state))
            break;
    merge_keys(&state);
    drop_writes(&state);
    drop_ops(&state);
    if (!finding->live && !shrink->forked)
        shrink_image(&state);
}

/* May the operation be drawn again, and twice? */
static bool by_itself(enum op_kind kind)
{
    return kind == OP_PUT || kind == OP_DELETE || kind == OP_DELETE_RANGE || kind == OP_BATCH ||
           kind == OP_SYNC || kind == OP_SCAN || kind == OP_FLUSH || kind == OP_COMPACT ||
           kind == OP_REOPEN;
}

/* Many operations of which none can go may have come to depend on each other by chance, through the
 * shape of the store. A few of them, drawn, may show the mistake as well. */
static bool redraw(struct shrink *shrink, struct trace *trace, struct finding *finding)
{
    struct state state = {.shrink = shrink,
                          .trace = trace,
                          .finding = finding,
                          .rule = finding->verdict.rule,
                          .read = no_cut(finding->verdict.rule)};
    const struct trace *from = trace;
    struct rng rng = rng_seeded(rng_mix(shrink->seed ^ from->op_count));
    uint32_t *of = calloc(from->op_count, sizeof *of);
    uint32_t count = 0;
    bool found = false;

    must(of != NULL);
    for (uint32_t i = 0; i < from->op_count; i++)
        if (by_itself(from->ops[i].kind))
            of[count++] = i;
    for (uint32_t n = 0; n < REDRAWN && count > 0 && from->fault_count == 0 && !found; n++) {
        uint32_t ops = 2 + (uint32_t)rng_below(&rng, ENOUGH);
        struct trace candidate;

        trace_copy(&candidate, from);
        for (candidate.op_count = 0; candidate.op_count < ops;)
            candidate.ops[candidate.op_count++] = from->ops[of[rng_below(&rng, count)]];
        trace_add(&candidate, OP_SCAN);
        shrink->tried = 0;
        found = take(&state, &candidate);
    }
    free(of);
    return found;
}

/* A scan of the live store in place of the crash: where that shows it, no crash takes part. */
static void scan_instead(struct shrink *shrink, struct trace *trace, struct finding *finding)
{
    struct state state = {.shrink = shrink,
                          .trace = trace,
                          .finding = finding,
                          .rule = finding->verdict.rule,
                          .read = true};
    uint32_t end = finding->op;
    struct trace candidate;

    if (!no_cut(state.rule) || finding->trouble != TROUBLE_NONE || end > trace->op_count)
        return;
    while (finding->cuts == 0 && end > 0 && trace->ops[end - 1].kind != OP_CRASH)
        end--;
    if (finding->cuts == 0 && end > 0)
        end--; /* the crash */
    if (end == 0)
        return;
    place_aims(trace, shrink->store, state.aims);
    trace_copy(&candidate, trace);
    candidate.op_count = end;
    trace_add(&candidate, OP_SCAN);
    take(&state, &candidate);
}

void shrink_finding(struct shrink *shrink, struct trace *trace, struct finding *finding)
{
    /* What the trace shows by itself is made smaller by playing: an explorer that meets another
     * rule first, at a crash which the trace does not make, never gets to this one. */
    if (!shrink->forked) {
        shrink->plays = true;
        scan_instead(shrink, trace, finding);
        if (finding->cuts == 0) {
            shrink_whole(shrink, trace, finding);
            if (trace->op_count > 2 * ENOUGH && redraw(shrink, trace, finding))
                shrink_whole(shrink, trace, finding);
        }
        shrink->plays = false;
        /* A try that explores costs a thousand times as much: few, for what is small by now. */
        shrink->tried = finding->cuts == 0 && trace->op_count <= 2 * ENOUGH
                            ? shrink->tries - shrink->tries / 32
                            : 0;
    }
    if (finding->cuts > 0 || shrink->forked || trace->op_count > ENOUGH)
        shrink_whole(shrink, trace, finding);
    if (!shrink->forked) {
        bool live = finding->cuts == 0;

        shrink_crashes(shrink->store, trace, finding);
        if (live && finding->cuts > 0 && trace->op_count > 1) {
            shrink->tried = 0;
            shrink_whole(shrink, trace, finding);
            shrink_crashes(shrink->store, trace, finding);
        }
    }
}
