/* refuse_main.c: plays scenarios again and again, and refuses the store one request for memory in
 * each: the first, the second, and so on, until there is none left to refuse. Then each of them and
 * all that follow it, for ever: till the store was opened four times in vain, as a fault that lasts
 * ends in a scenario. No explorer: this asks about the way back out of every function, not about
 * what a power cut leaves.
 *
 *   refuse_memory FILE.crash...
 *
 * N1  Nothing dies, and the oracle finds nothing broken: what was promised before is there after.
 * N2  Every step answers NO_MEMORY, or what some step of the scenario answers without.
 * N3  After every close no memory and no descriptor is left.
 *
 * Exit: 0 all held; 1 something did not (the scenario and the number are named); 2 usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "heap.h"
#include "play.h"
#include "script.h"
#include "stores.h"

#define ANSWERS_MAX 512u

static const struct pc_store *inner;
static uint64_t requests, refused_at; /* of one play, over all opens; 0: none is refused */
static bool refused;
static bool for_ever;    /* all that follow, too */
static uint32_t in_vain; /* opens since the first refusal */

#define OPENS_IN_VAIN 3u /* that follow the first */

static void *sometimes(void *heap, size_t size)
{
    if (++requests == refused_at)
        refused = true;
    if (requests == refused_at || (refused && for_ever && in_vain <= OPENS_IN_VAIN))
        return NULL;
    return heap_alloc(heap, size);
}

static enum pc_store_status open_inner(const struct pc_store_env *env, void **db,
                                       struct pc_store_error *error)
{
    struct pc_store_env mine = *env;

    in_vain += refused;
    mine.alloc = sometimes;
    return inner->open(&mine, db, error);
}

struct outcome {
    enum pc_store_status answers[ANSWERS_MAX];
    uint32_t count;
    enum rule rule;
    char text[400];
};

/* A rule that never fires stands for the refusal: while it counts as fired, errors are expected. */
static void play_once(const struct trace *scenario, const struct pc_store *store, uint64_t nth,
                      struct outcome *outcome)
{
    struct finding finding = {0};
    struct trace trace;
    struct play play;
    uint32_t mark = 0;
    bool whole = true;

    *outcome = (struct outcome){0};
    trace_copy(&trace, scenario);
    must(trace.fault_count < TRACE_FAULTS);
    mark = trace.fault_count++;
    trace.faults[mark] =
        (struct pc_fault){.kind = PC_FAULT_EIO, .call = PC_CALL_WRITE, .file = "*"};
    if (for_ever)
        trace.faults[mark].times = PC_FOREVER;
    requests = in_vain = 0;
    refused_at = nth;
    refused = false;
    play_init(&play, &trace, store, NULL, &finding);
    /* Told before the step: it is this play in which a request is refused, sooner or later. */
    play.session.faults[mark].fired = nth != 0;
    for (uint32_t i = 0; whole && i < trace.op_count; i++) {
        if (trace.ops[i].kind == OP_EXPLORE || trace.ops[i].kind == OP_REACHED)
            continue;
        whole = play_step(&play, i, NULL);
        if (outcome->count < ANSWERS_MAX)
            outcome->answers[outcome->count++] = play.session.error.status;
    }
    if (whole)
        play_end(&play);
    if (finding.found) {
        outcome->rule = finding.verdict.rule;
        snprintf(outcome->text, sizeof outcome->text, "%.390s", finding.verdict.text);
    }
    play_release(&play);
    trace_release(&trace);
}

/* N2. Faults of the scenario may meet another step than they did. */
static bool answers_fit(const struct outcome *clean, const struct outcome *outcome)
{
    for (uint32_t i = 0; i < outcome->count; i++) {
        bool known = outcome->answers[i] == PC_STORE_NO_MEMORY;

        for (uint32_t c = 0; c < clean->count && !known; c++)
            known = outcome->answers[i] == clean->answers[c];
        if (!known)
            return false;
    }
    return true;
}

/* Where a bit rots depends on how many reads came before, and so does the answer. */
static bool rots(const struct trace *trace)
{
    for (uint32_t i = 0; i < trace->op_count; i++)
        if (trace->ops[i].kind == OP_TROUBLE && strcmp(trace->ops[i].word, "bitrot") == 0)
            return true;
    for (uint32_t i = 0; i < trace->fault_count; i++)
        if (trace->faults[i].kind == PC_FAULT_BITROT)
            return true;
    return false;
}

/* What the oracle reads after a recovery, what it does to see whether the store goes on (J4), and
 * what it opens to read only before one, has no second try: NO_MEMORY is the right answer there. */
static bool typed(const struct trace *trace, const struct outcome *outcome)
{
    bool lasts = false;

    for (uint32_t i = 0; i < trace->fault_count; i++)
        lasts |= pc_fault_lasts(&trace->faults[i]) || trace->faults[i].kind == PC_FAULT_LOSTSYNC ||
                 trace->faults[i].kind == PC_FAULT_METADATA;
    if (outcome->rule == RULE_OPEN && lasts)
        return true; /* opened later than planned, on a disk that fails by then, or lied before */
    if (outcome->rule == RULE_OPEN && for_ever && in_vain <= OPENS_IN_VAIN)
        return strstr(outcome->text, "NO_MEMORY") != NULL; /* there is none to read with either */
    return strstr(outcome->text, "NO_MEMORY") != NULL &&
           (outcome->rule == RULE_READ || outcome->rule == RULE_COPY ||
            strstr(outcome->text, "to read only") != NULL ||
            strstr(outcome->text, "after recovery") != NULL);
}

static bool try_scenario(const char *file, uint64_t *plays)
{
    struct outcome clean, outcome;
    struct script script;
    struct pc_store store;
    char why[300] = "";
    bool good = true;

    if (!script_load(&script, file, why, sizeof why)) {
        fprintf(stderr, "refuse: %s\n", why);
        return false;
    }
    inner = stores_find(script.trace.store);
    if (script.rule != RULE_NONE || inner == NULL || rots(&script.trace) ||
        script.trace.fault_count == TRACE_FAULTS)
        goto done; /* a finding breaks a rule by itself */
    store = *inner;
    store.open = open_inner;
    /* A write that found no memory has written nothing, and the next one may go on. */
    store.promises &= ~(uint32_t)PC_PROMISE_FAIL_STOP;
    play_once(&script.trace, &store, 0, &clean);
    if (clean.rule != RULE_NONE)
        goto done; /* it is about what a store without memory to spare cannot promise either */
    for (uint64_t nth = 1; good; nth += for_ever, for_ever = !for_ever) {
        play_once(&script.trace, &store, nth, &outcome);
        if (!refused)
            break;
        ++*plays;
        good = typed(&script.trace, &outcome) ||
               (outcome.rule == RULE_NONE && answers_fit(&clean, &outcome));
        if (!good)
            fprintf(stderr, "refuse: %s, request %llu%s: %s: %s\n", file, (unsigned long long)nth,
                    for_ever ? " and all that follow" : "",
                    outcome.rule ? rule_name(outcome.rule) : "another answer than NO_MEMORY",
                    outcome.text);
    }
done:
    for_ever = false;
    script_release(&script);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t plays = 0;
    int failed = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: refuse_memory FILE.crash...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        failed += !try_scenario(argv[i], &plays);
    printf("%d scenarios, %llu refused requests: %d failed\n", argc - 1, (unsigned long long)plays,
           failed);
    return failed > 0;
}
