/* trace_fuzz.c: a trace as bytes (trace_bytes.h): operations, faults and power cuts, run against
 * minivault on a simulated disk as `powercut run` runs one, every crash point of every epoch
 * explored within a small budget, every recovery judged by the oracle.
 *
 * R1  Nothing that the oracle knows of is broken.
 *
 * What counts as coverage is what ran while crash states were recovered and judged, not what the
 * operations did before (edges.h), and which sorts of recovery there were: the calls one made, the
 * faults that fired, on what, and what the store answered.
 *
 * A finding is printed as a .crash file, and written to fuzz-<rule>-<hash>.crash in the folder that
 * POWERCUT_FOUND names. With POWERCUT_TRACE_PRINT an input is printed as such a file and not run:
 * for an input on which the store dies. POWERCUT_TRACE_RANDOM=SEED: inputs are not looked at; each
 * run draws a trace as `powercut run` draws them instead, so that the two ways of search can be
 * compared in one program. At the end the program says how many recoveries there were per second of
 * processor time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "campaign.h"
#include "edges.h"
#include "place.h"
#include "play.h"
#include "stores.h"
#include "story.h"
#include "target.h"
#include "trace_bytes.h"

#define OPS_RANDOM 24u

#define RECOVERIES 256u /* of one input, over all its epochs, roughly */

static const struct budget budget = {
    .leaves = 32, .samples = 6, .nested = 29, .trouble = 23, .life = 13, .recoveries = RECOVERIES};
static uint64_t traces, recoveries;
static const char *random_seed;

static void say_rate(void)
{
    double seconds = (double)clock() / CLOCKS_PER_SEC;

    fprintf(stderr, "trace: %llu traces, %llu recoveries, %.0f per second of one core\n",
            (unsigned long long)traces, (unsigned long long)recoveries,
            (double)recoveries / (seconds > 0 ? seconds : 1));
}

static const struct pc_store *the_store(void)
{
    static const struct pc_store *store;

    if (store)
        return store;
    store = stores_find("minivault");
    must(store != NULL);
    random_seed = getenv("POWERCUT_TRACE_RANDOM");
    judge_hanging = abort; /* so that the fuzzer keeps the input */
    atexit(say_rate);
    return store;
}

/* ---- which sorts of recovery ---- */

static uint64_t role_of(const char *path)
{
    const char *name = strrchr(path, '/');
    const char *dot = NULL;

    name = name ? name + 1 : path;
    dot = strrchr(name, '.');
    return dot ? rng_mix((uint8_t)dot[1]) : rng_mix((uint64_t)(uint8_t)name[0] << 8);
}

/* The leaf before this one has just been judged; its disk is still there. */
static void look_back(void *ctx, uint32_t epoch, uint64_t k, uint64_t leaf)
{
    const struct explorer *explorer = ctx;
    const struct pc_disk *disk = explorer->judge.disk;
    size_t calls = disk ? pc_disk_call_count(disk) : 0;
    uint64_t hash = explorer->judge.refused > 0;

    for (size_t i = 0; i < calls && i < 24; i++) {
        const struct pc_call *call = pc_disk_call(disk, i);

        hash = rng_mix(hash ^ (uint64_t)call->kind << 4 ^ role_of(call->path));
    }
    edges_mark(hash);
}

static void look_at_faults(const struct session *session)
{
    for (uint32_t i = 0; i < session->trace->fault_count; i++) {
        const struct pc_fault *fault = &session->faults[i];

        if (fault->fired)
            edges_mark(rng_mix((uint64_t)fault->kind << 32 ^ (uint64_t)fault->call << 24 ^
                               (uint64_t)(uint8_t)fault->file[2] << 16 ^
                               (uint64_t)session->error.status << 8 ^ session->refused));
    }
}

static unsigned log2_of(uint64_t n)
{
    unsigned bits = 0;

    while (n >>= 1)
        bits++;
    return bits;
}

/* ---- a run ---- */

static void report(const struct trace *trace, const struct finding *finding)
{
    const char *folder = getenv("POWERCUT_FOUND");
    char path[1024];
    FILE *out = NULL;

    story_file(stderr, trace, finding, "fuzz/run trace");
    snprintf(path, sizeof path, "%s/fuzz-%s-%08x.crash", folder ? folder : ".",
             rule_name(finding->verdict.rule),
             (unsigned)(rng_mix(trace->seed ^ trace->op_count ^ traces) & 0xffffffff));
    if (folder && (out = fopen(path, "w")) != NULL) {
        story_file(out, trace, finding, "fuzz/run trace");
        fclose(out);
        fprintf(stderr, "trace: written to %s\n", path);
    }
}

/* What the epochs before left of the budget: few recoveries per crash point, once it is spent. */
static void ration(struct explorer *explorer)
{
    uint64_t left = explorer->spent < RECOVERIES ? RECOVERIES - explorer->spent : 0;

    explorer->budget.recoveries = left > 8 ? left : 8;
    explorer->budget.leaves = left > 64 ? 32 : 4;
    explorer->budget.samples = left > 64 ? 6 : 1;
}

/* As explore_trace does, with an eye on what counts. */
static void run(struct trace *trace)
{
    const struct pc_store *store = the_store();
    struct finding finding = {0};
    struct explorer explorer;
    struct play play;
    bool whole = true;

    explorer_init(&explorer, &budget, store, trace->tuning, trace->seed);
    explorer.position = look_back;
    explorer.position_ctx = &explorer;
    play_init(&play, trace, store, &explorer, &finding);
    for (uint32_t i = 0; whole && i < trace->op_count; i++) {
        edges_drop();
        ration(&explorer);
        whole = play_step(&play, i, NULL);
        look_at_faults(&play.session);
        if (trace->ops[i].kind == OP_CRASH)
            edges_keep();
    }
    edges_drop();
    ration(&explorer);
    if (whole)
        play_end(&play);
    edges_keep();
    edges_mark(rng_mix(log2_of(explorer.tally.states) | 64));
    edges_mark(rng_mix(explorer.tally.epochs | 128));
    recoveries += explorer.tally.recoveries;
    if (finding.found)
        report(trace, &finding);
    play_release(&play);
    explorer_release(&explorer);
    edges_show();
    if (finding.found)
        abort();
}

static void draw(struct trace *trace)
{
    struct campaign campaign = {.store = the_store(), .store_name = "minivault", .ops = OPS_RANDOM};
    struct tape tape;

    campaign.seed = strtoull(random_seed, NULL, 10);
    campaign_trace(&campaign, traces, (enum pc_model)(traces % PC_MODELS), trace);
    if (traces % 2 == 0)
        return;
    tape_init(&tape, trace->seed);
    place_faults(trace, campaign.store, &tape, (1u << PC_FAULT_KINDS) - 1);
    tape_release(&tape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace trace;

    the_store();
    if (random_seed) {
        draw(&trace);
    } else {
        trace_init(&trace);
        trace_from_bytes(&trace, bytes_of(data, size));
    }
    traces++;
    if (getenv("POWERCUT_TRACE_PRINT")) {
        printf("# found by: fuzz/run trace\nfinding rule=crash\n");
        trace_print(stdout, &trace);
        printf("explore\n");
    } else {
        run(&trace);
    }
    trace_release(&trace);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    struct rng rng = rng_seeded(seed);

    return trace_mutate(data, size, size_max, &rng);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t size_max, unsigned seed)
{
    struct rng rng = rng_seeded(seed);

    return trace_splice(bytes_of(a, a_size), bytes_of(b, b_size), out, size_max, &rng);
}
