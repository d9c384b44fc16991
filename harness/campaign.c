/* campaign.c: draws traces, has them explored in children, adds up, reports. See campaign.h.
 *
 * A task is one trace under one model. What a task finds depends on the seed and its number alone,
 * and results are taken in the order of the tasks: neither the number of jobs nor the clock reaches
 * an answer. */
#include "campaign.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/rng.h"

#include "deal.h"
#include "finish.h"
#include "jobs.h"
#include "json.h"
#include "lanes.h"
#include "marks.h"
#include "place.h"
#include "play.h"
#include "results.h"
#include "shrink.h"
#include "story.h"

#define STALL_SECONDS 120
#define SHRINK_TRIES  1500
#define SIGNATURES    64
#define RECHECK_EVERY 19 /* one task in so many is explored twice; not a multiple of the models */

struct running {
    struct campaign *campaign;
    struct tally tally;
    uint64_t tasks, findings, clusters;
    uint64_t signatures[SIGNATURES];
    double began, last_line;
    uint64_t next_line, next_sample;
    bool terminal;
    struct json json;
};

/* ---- drawing ---- */

/* Which faults a trace may arm: half of the traces have none, an eighth has syncs that lie. */
static uint32_t lane(const struct campaign *campaign, uint64_t index)
{
    uint32_t lie = 1u << PC_FAULT_LOSTSYNC;

    switch (index % 8) {
    case 2:
    case 3:
    case 6:
        return campaign->faults & ~lie;
    case 7:
        return campaign->faults & lie;
    default:
        return 0;
    }
}

/* Sequence `index` of exhaustive_ops letters. A sequence contains its prefixes, with their crash
 * points, so one length is enough. Two keys, buffers so small that two writes fill one. */
static void spell(const struct campaign *campaign, uint64_t index, struct trace *trace)
{
    uint16_t a = trace_key(trace, bytes_str("a")), b = trace_key(trace, bytes_str("b"));
    uint32_t seed = 0;

    snprintf(trace->tuning, sizeof trace->tuning,
             "write_buffer=512 block=128 table=1024 level0=2 level1=1024 multiplier=2 bloom=10 "
             "cache=0 chunk=512 manifest=256");
    for (uint32_t i = 0; i < campaign->exhaustive_ops; i++, index /= CAMPAIGN_ALPHABET) {
        static const enum op_kind kinds[CAMPAIGN_ALPHABET] = {
            OP_PUT,   OP_PUT,  OP_PUT,   OP_DELETE,  OP_DELETE, OP_BATCH,
            OP_BATCH, OP_SYNC, OP_FLUSH, OP_COMPACT, OP_REOPEN};
        uint32_t letter = (uint32_t)(index % CAMPAIGN_ALPHABET);
        struct op *op = trace_add(trace, kinds[letter]);
        struct value value = {op->kind == OP_PUT && letter == 2 ? 600 : 20, ++seed, NULL};

        op->sync = letter == 1 || letter == 4 || letter == 6;
        if (op->kind == OP_PUT || op->kind == OP_BATCH)
            trace_add_write(trace, op, false, letter == 2 ? b : a, value);
        if (op->kind == OP_DELETE || op->kind == OP_BATCH)
            trace_add_write(trace, op, true, op->kind == OP_BATCH ? b : a, (struct value){0});
    }
}

void campaign_trace(const struct campaign *campaign, uint64_t index, enum pc_model model,
                    struct trace *trace)
{
    struct generator generator = {.ops = campaign->ops,
                                  .crashes = !campaign->compared && index % 4 != 0};
    struct tape tape;

    trace_init(trace);
    trace->seed = rng_mix(campaign->seed ^ rng_mix(index));
    trace->disk.model = model;
    trace->disk.unit = campaign->unit ? campaign->unit : (index % 5 == 4 ? 4096 : 512);
    trace->disk.seed = trace->seed;
    snprintf(trace->store, sizeof trace->store, "%s", campaign->store_name);
    if (campaign->exhaustive_ops) {
        spell(campaign, index, trace);
        return;
    }
    tape_init(&tape, trace->seed);
    trace_generate(trace, &tape, &generator);
    tape_release(&tape);
}

static struct deal deal_of(const struct campaign *campaign)
{
    return (struct deal){.first = campaign->first,
                         .traces = campaign->forever ? UINT64_MAX : campaign->seeds,
                         .models = campaign->model_count,
                         .plain = campaign->exhaustive_ops > 0 || campaign->systematic ||
                                  campaign->compared};
}

static struct dealt task_trace(const struct campaign *campaign, uint64_t task, struct trace *trace)
{
    struct deal deal = deal_of(campaign);
    struct dealt dealt = deal_task(&deal, task);

    campaign_trace(campaign, dealt.trace, campaign->models[dealt.model], trace);
    if (dealt.played)
        finish_trace(trace, finish_way(dealt.trace));
    return dealt;
}

/* ---- in the child ---- */

/* What a child hands over: this, the texts, each ended by a zero byte, and the marks. Without a
 * finding there are the two numbers only; the image of the disk is bytes, without an end. */
enum {
    TEXT_STEPS,
    TEXT_ORIGINAL,
    TEXT_STORY,
    TEXT_IMAGES,
    TEXT_EXACT,
    TEXT_LANES,
    TEXT_DISK,
    TEXTS
};

struct handed {
    struct tally tally;
    bool found;
    enum rule rule;
    uint32_t ops, items, tried;
    uint64_t signature;
    enum pc_model model;
    uint32_t unit;
    char text[640]; /* of the verdict */
    size_t texts[TEXTS];
};

/* What tells a finding from others: the rule, and where the power failed and what was lost, or in
 * which operation it showed; not sizes and keys. */
static uint64_t signature_of(const struct trace *trace, const struct finding *finding)
{
    const struct cut *cut = &finding->cut[0];
    const char *dot = strrchr(cut->crash.file, '.');
    uint64_t h = (uint64_t)finding->verdict.rule << 32 | finding->cuts;

    if (finding->cuts == 0 && finding->op > 0 && finding->op <= trace->op_count)
        h ^= (uint64_t)trace->ops[finding->op - 1].kind + 1;
    if (finding->cuts == 0)
        return rng_mix(h);
    h = rng_mix(h ^ (uint64_t)cut->crash.call << 8 ^ cut->crash.place);
    for (dot = dot ? dot : cut->crash.file; *dot; dot++)
        h = rng_mix(h ^ (uint8_t)*dot);
    for (uint32_t i = 0; i < cut->item_count && i < 1; i++)
        h = rng_mix(h ^ cut->items[i].kind);
    return h;
}

static char *file_text(const struct trace *trace, const struct finding *finding,
                       const char *command)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(out != NULL);
    story_file(out, trace, finding, command);
    fclose(out);
    return text;
}

/* `channel`: NULL in the parent. */
static void shrink_beat(void *channel)
{
    if (channel)
        jobs_beat(channel);
}

static char *story_text(const struct trace *trace, const struct finding *finding,
                        const struct pc_store *store, struct jobs_channel *channel)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(out != NULL);
    story_tell(out, trace, finding, store, shrink_beat, channel);
    fclose(out);
    return text;
}

static void describe(const struct campaign *campaign, struct trace *trace, struct finding *finding,
                     struct jobs_channel *channel, struct handed *handed, char *texts[TEXTS])
{
    bool forked = channel == NULL;
    struct shrink shrink = {.store = campaign->store,
                            .seed = trace->seed,
                            .forked = forked,
                            .tries = forked ? 150 : SHRINK_TRIES,
                            .beat = shrink_beat,
                            .beat_ctx = channel};

    texts[TEXT_ORIGINAL] = file_text(trace, finding, campaign->command);
    if (!campaign->no_shrink)
        shrink_finding(&shrink, trace, finding);
    texts[TEXT_STEPS] = file_text(trace, finding, campaign->command);
    texts[TEXT_STORY] = story_text(trace, finding, campaign->store, channel);
    texts[TEXT_LANES] = lanes_text(trace, finding, campaign->store, !forked);
    if (!forked)
        texts[TEXT_DISK] = lanes_disk(trace, finding, campaign->store, &handed->texts[TEXT_DISK]);
    handed->model = trace->disk.model;
    handed->unit = trace->disk.unit;
    memcpy(handed->text, finding->verdict.text, sizeof handed->text);
    handed->found = true;
    handed->rule = finding->verdict.rule;
    finding_size(trace, finding, &handed->ops, &handed->items);
    handed->tried = shrink.tried;
    handed->signature = signature_of(trace, finding);
}

static void beat(void *ctx, uint32_t epoch, uint64_t k, uint64_t leaf)
{
    (void)epoch;
    (void)k;
    (void)leaf;
    jobs_beat(ctx);
}

/* Explores the trace once more with these faults; it keeps them when that finds something. */
static void explore_with(const struct campaign *campaign, struct explorer *explorer,
                         struct trace *trace, const struct pc_fault *faults, uint32_t count,
                         struct finding *finding)
{
    struct trace copy;

    trace_copy(&copy, trace);
    trace_arm(&copy, faults, count);
    explore_trace(explorer, &copy, campaign->store, finding);
    if (finding->found) {
        trace_release(trace);
        *trace = copy;
    } else {
        trace_release(&copy);
    }
}

void campaign_single_faults(const struct campaign *campaign, struct explorer *explorer,
                            struct trace *trace, struct finding *finding)
{
    struct pc_fault pair[2];
    struct tape tape;
    uint32_t n = 0;

    for (; !finding->found && place_single(trace, campaign->store, campaign->faults, n, &pair[0]);
         n++)
        explore_with(campaign, explorer, trace, pair, 1, finding);
    tape_init(&tape, trace->seed ^ rng_mix(trace->disk.model));
    for (uint32_t p = 0; n > 1 && p < campaign->fault_pairs && !finding->found; p++) {
        uint32_t a = tape_choose(&tape, TAPE_FAULTS, 2 * p, n);
        uint32_t b = tape_choose(&tape, TAPE_FAULTS, 2 * p + 1, n - 1);

        b += b >= a; /* two of them */
        must(place_single(trace, campaign->store, campaign->faults, a, &pair[0]) &&
             place_single(trace, campaign->store, campaign->faults, b, &pair[1]));
        explore_with(campaign, explorer, trace, pair, 2, finding);
    }
    tape_release(&tape);
}

/* One seed, one run: the trace is explored once more, and has to do and see the same. */
static void recheck(const struct campaign *campaign, const struct trace *trace,
                    struct explorer *first, struct finding *finding)
{
    struct explorer again;
    struct finding other;
    struct trace copy;

    trace_copy(&copy, trace);
    explorer_init(&again, &campaign->budget, campaign->store, copy.tuning, copy.seed);
    again.position = first->position;
    again.position_ctx = first->position_ctx;
    explore_trace(&again, &copy, campaign->store, &other);
    first->tally.rechecked++;
    if (other.found || again.tally.hash != first->tally.hash ||
        again.tally.recoveries != first->tally.recoveries) {
        *finding = (struct finding){.found = true, .live = true, .op = copy.op_count};
        finding->verdict.rule = RULE_NONDETERMINISM;
        snprintf(finding->verdict.text, sizeof finding->verdict.text,
                 "explored twice: %llu and %llu recoveries, hashes %016llx and %016llx",
                 (unsigned long long)first->tally.recoveries,
                 (unsigned long long)again.tally.recoveries, (unsigned long long)first->tally.hash,
                 (unsigned long long)again.tally.hash);
    }
    explorer_release(&again);
    trace_release(&copy);
}

/* Lies in the scratch of a child, so that the parent can arm the same when the child died. */
struct armed {
    uint32_t count;
    struct pc_fault faults[TRACE_FAULTS];
};

static void arm(const struct campaign *campaign, const struct dealt *dealt, struct trace *trace,
                struct armed *armed)
{
    struct tape tape;

    /* Every model gets faults of its own: more places are tried. */
    tape_init(&tape, trace->seed ^ rng_mix(dealt->model));
    if (campaign->exhaustive_ops == 0)
        place_faults(trace, campaign->store, &tape, lane(campaign, dealt->trace));
    tape_release(&tape);
    memcpy(armed->faults, trace->faults, sizeof armed->faults);
    armed->count = trace->fault_count;
}

/* A trace as it is, with its crashes, and nothing explored. */
static void play_only(const struct campaign *campaign, struct trace *trace,
                      struct explorer *explorer, struct finding *finding)
{
    struct play play;

    *finding = (struct finding){0};
    explorer->tally.played++;
    play_init(&play, trace, campaign->store, NULL, finding);
    for (uint32_t op = 0; op < trace->op_count && play_step(&play, op, NULL); op++)
        ;
    play_end(&play);
    play_release(&play);
}

static void search(const struct campaign *campaign, const struct dealt *dealt, struct trace *trace,
                   struct explorer *explorer, struct finding *finding)
{
    uint64_t number = dealt->trace * campaign->model_count + dealt->model;

    explore_trace(explorer, trace, campaign->store, finding);
    if (!finding->found && campaign->systematic)
        campaign_single_faults(campaign, explorer, trace, finding);
    if (!finding->found && !campaign->systematic && number % RECHECK_EVERY == 0)
        recheck(campaign, trace, explorer, finding);
    if (!finding->found)
        explore_after(explorer, trace, campaign->store, finding);
}

static void work(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    struct campaign *campaign = ((struct running *)ctx)->campaign;
    struct handed handed = {0};
    struct dealt dealt;
    struct explorer explorer;
    struct finding finding;
    struct trace trace;
    char *texts[TEXTS] = {0};
    uint64_t *marks = calloc(marks_count() + 1, sizeof *marks);

    must(marks != NULL);
    for (uint32_t i = 0; i < marks_count(); i++)
        marks[i] = marks_get(i);
    dealt = task_trace(campaign, task, &trace);
    arm(campaign, &dealt, &trace, jobs_scratch(channel));
    explorer_init(&explorer, &campaign->budget, campaign->store, trace.tuning, trace.seed);
    explorer.position = beat;
    explorer.position_ctx = channel;
    if (dealt.played)
        play_only(campaign, &trace, &explorer, &finding);
    else
        search(campaign, &dealt, &trace, &explorer, &finding);
    for (uint32_t i = 0; i < marks_count(); i++)
        marks[i] = marks_get(i) - marks[i];
    if (finding.found)
        describe(campaign, &trace, &finding, channel, &handed, texts);
    handed.tally = explorer.tally;
    texts[TEXT_IMAGES] = mpz_get_str(NULL, 10, explorer.tally.images);
    texts[TEXT_EXACT] = mpz_get_str(NULL, 10, explorer.tally.exact);
    for (int i = 0; i < TEXT_DISK; i++)
        handed.texts[i] = texts[i] ? strlen(texts[i]) + 1 : 0;
    jobs_emit(channel, bytes_of(&handed, sizeof handed));
    for (int i = 0; i < TEXTS; i++)
        jobs_emit(channel, bytes_of(texts[i], handed.texts[i]));
    jobs_emit(channel, bytes_of(marks, marks_count() * sizeof *marks));
    for (int i = 0; i < TEXTS; i++)
        free(texts[i]);
    free(marks);
    trace_release(&trace);
    explorer_release(&explorer);
}

/* ---- reports ---- */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool known(struct running *running, uint64_t signature)
{
    for (uint64_t i = 0; i < running->clusters && i < SIGNATURES; i++)
        if (running->signatures[i] == signature)
            return true;
    if (running->clusters < SIGNATURES)
        running->signatures[running->clusters] = signature;
    running->clusters++;
    return false;
}

static void report_finding(struct running *running, uint64_t task, const struct handed *handed,
                           char **texts, struct bytes errors)
{
    const struct campaign *campaign = running->campaign;
    struct result_finding finding = {.task = task,
                                     .seed = campaign->seed,
                                     .signature = handed->signature,
                                     .rule = handed->rule,
                                     .model = handed->model,
                                     .unit = handed->unit,
                                     .ops = handed->ops,
                                     .items = handed->items,
                                     .text = handed->text,
                                     .steps = texts[TEXT_STEPS],
                                     .original = texts[TEXT_ORIGINAL],
                                     .story = texts[TEXT_STORY],
                                     .lanes = texts[TEXT_LANES],
                                     .disk = bytes_of(texts[TEXT_DISK], handed->texts[TEXT_DISK]),
                                     .errors = errors,
                                     .seconds = now() - running->began};
    char file[4200];

    running->findings++;
    if (known(running, handed->signature))
        return;
    finding.number = running->clusters;
    results_folder(campaign, &finding, file, sizeof file);
    results_finding(&running->json, campaign, &finding, file);
    if (campaign->json) {
        results_annotate(stderr, campaign, &finding, file);
        return;
    }
    printf("finding %llu after %.1f s, %u operations, %u items\n%s",
           (unsigned long long)running->clusters, finding.seconds, (unsigned)handed->ops,
           (unsigned)handed->items, finding.story);
    printf("replay: %s replay %s\n\n", campaign->program, file);
    results_annotate(stdout, campaign, &finding, file);
    fflush(stdout);
}

/* The child died: the parent shrinks, with every try in a child of its own. */
static void report_death(struct running *running, uint64_t task, const struct jobs_result *result)
{
    struct campaign *campaign = running->campaign;
    bool hang = result->outcome == JOBS_STALLED ||
                (result->outcome == JOBS_FAILED && result->code == HANG_EXIT);
    struct finding finding = {.found = true, .live = true};
    struct handed handed = {0};
    const struct armed *armed = result->scratch;
    char *texts[TEXTS] = {0};
    struct trace trace;

    (void)task_trace(campaign, task, &trace);
    trace_arm(&trace, armed->faults, armed->count);
    finding.op = trace.op_count;
    finding.verdict.rule = hang ? RULE_HANG : RULE_CRASH;
    snprintf(finding.verdict.text, sizeof finding.verdict.text, "the store %s (%s %d): %.*s",
             hang ? "makes no progress" : "died", jobs_outcome_name(result->outcome), result->code,
             (int)(result->stderr_tail.len < 400 ? result->stderr_tail.len : 400),
             (const char *)result->stderr_tail.data);
    for (char *p = finding.verdict.text; *p; p++)
        if (*p == '\n')
            *p = ' ';
    describe(campaign, &trace, &finding, NULL, &handed, texts);
    report_finding(running, task, &handed, texts, result->stderr_tail);
    for (int i = 0; i < TEXTS; i++)
        free(texts[i]);
    trace_release(&trace);
}

static void progress(struct running *running, bool last)
{
    const struct campaign *campaign = running->campaign;
    struct deal deal = deal_of(campaign);
    uint64_t total = deal_tasks(&deal);
    double spent = now() - running->began;

    if (campaign->quiet || (last && !running->terminal))
        return;
    if (!running->terminal) {
        if (running->tasks < running->next_line && spent < running->last_line + 60)
            return;
        running->next_line = running->tasks * 2 > 0 ? running->tasks * 2 : 1;
        running->last_line = spent;
    }
    fprintf(stderr, "%s%02d:%02d traces %llu", running->terminal ? "\r" : "", (int)spent / 60,
            (int)spent % 60, (unsigned long long)running->tasks);
    if (!campaign->forever)
        fprintf(stderr, "/%llu", (unsigned long long)total);
    fprintf(stderr, " recoveries %llu (%.0f/s) points %llu findings %llu%s",
            (unsigned long long)running->tally.recoveries,
            spent > 0 ? (double)running->tally.recoveries / spent : 0.0,
            (unsigned long long)running->tally.points, (unsigned long long)running->findings,
            running->terminal && !last ? "   " : "\n");
    fflush(stderr);
}

static void count_reached(void *ctx, const char *name, uint64_t hits)
{
    *(uint64_t *)ctx += hits > 0;
}

/* How far the search is, ever more seldom: the report draws its growth. */
static void sample_json(struct running *running)
{
    struct json *json = &running->json;
    uint64_t reached = 0;

    if (running->tasks < running->next_sample)
        return;
    running->next_sample = running->tasks + 1 + running->tasks / 12;
    marks_each(count_reached, &reached);
    json_object_begin(json);
    json_key_text(json, "type", "progress");
    json_key_u64(json, "traces", running->tally.traces);
    json_key_u64(json, "crash_points", running->tally.points);
    json_key_u64(json, "recoveries", running->tally.recoveries);
    json_key_u64(json, "recovered_states", running->tally.states);
    json_key_u64(json, "marks_reached", reached);
    json_key_u64(json, "findings", running->clusters);
    json_key_seconds(json, "spent_seconds", now() - running->began);
    json_object_end(json);
    results_line(running->campaign, json);
}

static bool done(void *ctx, uint64_t task, const struct jobs_result *result)
{
    struct running *running = ctx;
    struct campaign *campaign = running->campaign;
    const uint8_t *at = result->emitted.data;
    char *texts[TEXTS];
    struct handed handed;

    running->tasks++;
    if (result->outcome != JOBS_EXITED || result->emitted.len < sizeof handed) {
        report_death(running, task, result);
    } else {
        mpz_t images, exact;

        memcpy(&handed, at, sizeof handed);
        at += sizeof handed;
        for (int i = 0; i < TEXTS; i++) {
            texts[i] = handed.texts[i] ? (char *)at : "";
            at += handed.texts[i];
        }
        for (uint32_t i = 0; i < marks_count(); i++) {
            uint64_t hits;

            memcpy(&hits, at + i * sizeof hits, sizeof hits);
            marks_add(i, hits);
        }
        mpz_init_set_str(images, texts[TEXT_IMAGES], 10);
        mpz_init_set_str(exact, texts[TEXT_EXACT], 10);
        memcpy(&handed.tally.images, &images, sizeof images);
        memcpy(&handed.tally.exact, &exact, sizeof exact);
        tally_add(&running->tally, &handed.tally);
        mpz_clears(images, exact, NULL);
        if (handed.found)
            report_finding(running, task, &handed, texts, (struct bytes){0});
    }
    sample_json(running);
    progress(running, false);
    return campaign->max_findings == 0 || running->clusters < campaign->max_findings;
}

static void tick(void *ctx, unsigned children)
{
    struct running *running = ctx;

    (void)children;
    if (running->terminal)
        progress(running, false);
}

/* ---- the summary ---- */

struct canary {
    bool run, found;
    double seconds;
    char rule[32];
};

/* The canary is a build with a planted mistake; its exit code 1 means that it was found. */
static void run_canary(const struct running *running, struct canary *canary)
{
    const struct campaign *campaign = running->campaign;
    char command[4400], line[65536];
    double began = now();
    FILE *in;

    canary->run = true;
    snprintf(command, sizeof command,
             "'%s' run --json --quiet --seed %llu --traces 60 --max-findings 1 --jobs %u "
             "--out '%s/canary'",
             campaign->canary, (unsigned long long)campaign->seed, campaign->jobs, campaign->out);
    fflush(NULL);
    in = popen(command, "r");
    if (in == NULL)
        return;
    while (fgets(line, sizeof line, in)) {
        const char *rule = strstr(line, "\"rule\":\"");

        if (strstr(line, "\"finding\"") && rule && canary->rule[0] == '\0')
            sscanf(rule + 8, "%31[a-z-]", canary->rule);
    }
    {
        int status = pclose(in);

        canary->found = WIFEXITED(status) && WEXITSTATUS(status) == 1 && canary->rule[0];
    }
    canary->seconds = now() - began;
}

static void collect_unreached(void *ctx, const char *name, uint64_t hits)
{
    struct json *json = ctx;

    if (hits == 0)
        json_text(json, name);
}

static void collect_hits(void *ctx, const char *name, uint64_t hits)
{
    json_key_u64(ctx, name, hits);
}

static void number_json(struct json *json, const char *name, const mpz_t number)
{
    char *text = mpz_get_str(NULL, 10, number);

    json_key_decimal(json, name, text);
    free(text);
}

static void faults_json(struct json *json, const struct tally *tally)
{
    json_key(json, "faults");
    json_object_begin(json);
    for (int i = 0; i < PC_FAULT_KINDS; i++) {
        json_key(json, pc_fault_kind_name((enum pc_fault_kind)i));
        json_object_begin(json);
        json_key_u64(json, "fired", tally->faults_fired[i]);
        json_key_u64(json, "mattered", tally->faults_mattered[i]);
        json_object_end(json);
    }
    json_object_end(json);
}

static void troubles_json(struct json *json, const struct tally *tally)
{
    json_key(json, "troubles");
    json_object_begin(json);
    for (int i = TROUBLE_NONE + 1; i < TROUBLES; i++) {
        json_key(json, trouble_name((enum trouble)i));
        json_object_begin(json);
        json_key_u64(json, "recoveries", tally->troubled[i]);
        json_key_u64(json, "noticed", tally->trouble_showed[i]);
        json_object_end(json);
    }
    json_object_end(json);
}

static void points_json(struct json *json, const struct tally *tally)
{
    char coverage[40];

    json_key_u64(json, "crash_points", tally->points);
    json_key_u64(json, "crash_points_exhaustive", tally->exhaustive);
    json_key_u64(json, "crash_points_sampled", tally->sampled);
    json_key_u64(json, "crash_points_skipped", tally->skipped);
    json_key_text(json, "coverage", tally_coverage(tally, coverage, sizeof coverage));
    json_key(json, "crash_points_complete_to");
    json_array_begin(json);
    for (int i = 0; i < BOUNDS; i++)
        json_u64(json, tally->complete_to[i]);
    json_array_end(json);
}

static void summary_json(struct running *running, const struct canary *canary, int code)
{
    const struct campaign *campaign = running->campaign;
    const struct tally *tally = &running->tally;
    struct json *json = &running->json;
    double spent = now() - running->began;

    json_object_begin(json);
    json_key_text(json, "type", "summary");
    json_key_text(json, "schema", "powercut.result/1");
    json_key_text(json, "store", campaign->store->name);
    json_key_u64(json, "seed", campaign->seed);
    json_key(json, "models");
    json_array_begin(json);
    for (uint32_t i = 0; i < campaign->model_count; i++)
        json_text(json, pc_model_name(campaign->models[i]));
    json_array_end(json);
    json_key_u64(json, "traces", tally->traces);
    json_key_u64(json, "traces_played", tally->played);
    json_key_u64(json, "operations", tally->ops);
    json_key_u64(json, "epochs", tally->epochs);
    json_key_u64(json, "calls", tally->calls);
    points_json(json, tally);
    number_json(json, "legal_images_accounted", tally->images);
    number_json(json, "legal_images_exhaustive", tally->exact);
    json_key_u64(json, "recoveries", tally->recoveries);
    json_key_u64(json, "recoveries_nested", tally->nested);
    json_key_u64(json, "recoveries_nested_twice", tally->nested_twice);
    json_key_u64(json, "recoveries_gone_on_from", tally->after);
    json_key_u64(json, "recoveries_noise", tally->noise);
    json_key_u64(json, "recoveries_refused", tally->refused);
    json_key_u64(json, "recovered_states", tally->states);
    json_key_u64(json, "crash_points_by_reads", tally->by_reads);
    json_key_u64(json, "checks_assumed", tally->assumed);
    json_key_u64(json, "recoveries_witness", tally->witnessed);
    json_key_u64(json, "traces_rechecked", tally->rechecked);
    faults_json(json, tally);
    troubles_json(json, tally);
    json_key(json, "marks");
    json_object_begin(json);
    marks_each(collect_hits, json);
    json_object_end(json);
    json_key(json, "marks_not_reached");
    json_array_begin(json);
    marks_each(collect_unreached, json);
    json_array_end(json);
    json_key_u64(json, "findings", running->clusters);
    json_key_u64(json, "violations", running->findings);
    json_key_text(json, "hooks",
                  campaign->store->promises & PC_PROMISE_HOOKS && !campaign->budget.by_reads
                      ? "claim_possible use verify"
                      : "claim_possible");
    json_key_text(json, "canary", !canary->run ? "not run" : (canary->found ? "found" : "missed"));
    json_key_text(json, "canary_rule", canary->rule);
    json_key_u64(json, "exit", (uint64_t)code);
    json_key_text(json, "repeat", campaign->command);
    json_key_seconds(json, "wall_seconds", spent);
    json_key_seconds(json, "recoveries_per_second",
                     spent > 0 ? (double)tally->recoveries / spent : 0);
    json_key_seconds(json, "canary_seconds", canary->seconds);
    json_object_end(json);
    results_line(running->campaign, json);
}

static void print_unreached(void *ctx, const char *name, uint64_t hits)
{
    if (hits == 0)
        printf("%s%s", (*(unsigned *)ctx)++ ? ", " : "marks not reached: ", name);
}

static void print_number(const char *what, const mpz_t number)
{
    char *text = mpz_get_str(NULL, 10, number);

    if (strlen(text) <= 30)
        printf("%s%s", what, text);
    else
        printf("%s%.1s.%.3se%zu (%zu digits)", what, text, text + 1, strlen(text) - 1,
               strlen(text));
    free(text);
}

static void summary_text(struct running *running, const struct canary *canary, int code)
{
    const struct campaign *campaign = running->campaign;
    const struct tally *tally = &running->tally;
    double spent = now() - running->began;
    unsigned unreached = 0;
    char coverage[40];

    printf("traces %llu, and %llu only played; operations %llu, epochs %llu; models",
           (unsigned long long)tally->traces, (unsigned long long)tally->played,
           (unsigned long long)tally->ops, (unsigned long long)tally->epochs);
    for (uint32_t i = 0; i < campaign->model_count; i++)
        printf(" %s", pc_model_name(campaign->models[i]));
    printf("\n%s: crash points %llu: %llu exhaustive, %llu sampled (complete up to 0, 1, 2, more "
           "micro-ops from each pole: %llu, %llu, %llu, %llu), %llu skipped for the budget\n",
           tally_coverage(tally, coverage, sizeof coverage), (unsigned long long)tally->points,
           (unsigned long long)tally->exhaustive, (unsigned long long)tally->sampled,
           (unsigned long long)tally->complete_to[0], (unsigned long long)tally->complete_to[1],
           (unsigned long long)tally->complete_to[2], (unsigned long long)tally->complete_to[3],
           (unsigned long long)tally->skipped);
    print_number("legal images accounted for: ", tally->images);
    print_number(" (exhaustively: ", tally->exact);
    printf(")\nrecoveries judged: %llu (%.0f/s), %llu of them inside a recovery, %llu recoveries "
           "gone on from; distinct recovered "
           "states %llu; refused with a typed error, where that is legal, %llu\n",
           (unsigned long long)tally->recoveries,
           spent > 0 ? (double)tally->recoveries / spent : 0.0, (unsigned long long)tally->nested,
           (unsigned long long)tally->after, (unsigned long long)tally->states,
           (unsigned long long)tally->refused);
    printf("faults fired/mattered:");
    for (int i = 0; i < PC_FAULT_KINDS; i++)
        printf(" %s %llu/%llu", pc_fault_kind_name((enum pc_fault_kind)i),
               (unsigned long long)tally->faults_fired[i],
               (unsigned long long)tally->faults_mattered[i]);
    printf("; hooks: active (claim_possible%s)\n",
           campaign->store->promises & PC_PROMISE_HOOKS && !campaign->budget.by_reads
               ? ", use, verify"
               : "");
    printf("decided by use at %llu points, by reads at %llu; checks assumed to fail %llu, witness "
           "recoveries %llu\ntroubled recoveries/noticed:",
           (unsigned long long)(tally->points - tally->by_reads),
           (unsigned long long)tally->by_reads, (unsigned long long)tally->assumed,
           (unsigned long long)tally->witnessed);
    for (int i = TROUBLE_NONE + 1; i < TROUBLES; i++)
        printf(" %s %llu/%llu", trouble_name((enum trouble)i),
               (unsigned long long)tally->troubled[i],
               (unsigned long long)tally->trouble_showed[i]);
    printf("\n");
    printf("determinism: %llu traces explored twice\n", (unsigned long long)tally->rechecked);
    marks_each(print_unreached, &unreached);
    if (unreached)
        printf("\n");
    if (canary->run)
        printf("canary: %s%s%s in %.1f s\n", canary->found ? "found" : "MISSED",
               canary->rule[0] ? ", " : "", canary->rule, canary->seconds);
    printf("%s: %llu findings (%llu violations) in %.1f s, exit %d\n",
           code == 0 ? "passed" : (code == 1 ? "FAILED" : "INCONCLUSIVE"),
           (unsigned long long)running->clusters, (unsigned long long)running->findings, spent,
           code);
    printf("seed=%llu repeat: %s\n", (unsigned long long)campaign->seed, campaign->command);
}

static int exit_code(const struct running *running, enum jobs_end end, const struct canary *canary)
{
    const struct campaign *campaign = running->campaign;

    if (running->findings)
        return 1;
    if (end == JOBS_INTERRUPTED)
        return 130;
    if (end == JOBS_BROKEN)
        return 4;
    if (end == JOBS_TIME && !campaign->forever)
        return 3;
    if (running->tally.recoveries < campaign->least_recoveries)
        return 3;
    return canary->run && !canary->found ? 3 : 0;
}

int campaign_run(struct campaign *campaign)
{
    struct running running = {.campaign = campaign, .next_line = 1};
    struct deal deal = deal_of(campaign);
    struct jobs_config config = {.jobs = campaign->jobs,
                                 .first = deal_first(&deal),
                                 .count = deal_tasks(&deal),
                                 .stall_seconds = STALL_SECONDS,
                                 .time_seconds = campaign->time_seconds,
                                 .ctx = &running,
                                 .work = work,
                                 .done = done,
                                 .tick = tick};
    struct canary canary = {0};
    enum jobs_end end;
    int code;

    tally_init(&running.tally);
    json_init(&running.json);
    running.terminal = isatty(STDERR_FILENO) && !campaign->quiet;
    running.began = now();
    end = jobs_run(&config);
    campaign->interrupted = end == JOBS_INTERRUPTED;
    campaign->out_of_time = end == JOBS_TIME;
    progress(&running, true);
    if (campaign->canary && running.findings == 0 && end != JOBS_INTERRUPTED)
        run_canary(&running, &canary);
    code = exit_code(&running, end, &canary);
    summary_json(&running, &canary, code);
    if (!campaign->json && !campaign->brief)
        summary_text(&running, &canary, code);
    json_release(&running.json);
    tally_release(&running.tally);
    return code;
}
