/* threads.c: many runs of threads.h, each in a child; a finding is made small by fewer threads and
 * operations under new schedules. */
#include "threads.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/rng.h"
#include "jobs.h"
#include "json.h"

#define RECHECK_EVERY 16u
#define SHRINK_TRIES  40u

struct running {
    const struct campaign *campaign;
    const struct threads_given *given;
    uint64_t runs, units, reads, points, switches, crash_points, recoveries, findings;
    uint64_t fired, failed;
    struct timespec began;
};

/* What a child leaves in its scratch. */
struct left {
    struct threads_setting setting;
    struct threads_outcome outcome;
    bool settled; /* `outcome` is that of `setting` to its end */
};

static void setting_of(const struct running *running, uint64_t task, struct threads_setting *out)
{
    const struct campaign *campaign = running->campaign;
    uint64_t seed = campaign->seed + task;
    uint64_t drawn = rng_mix(rng_mix(seed));

    *out = (struct threads_setting){
        .seed = seed,
        .schedule = running->given->has_schedule ? running->given->schedule : rng_mix(~seed),
        .threads = running->given->threads ? running->given->threads : 2 + (uint32_t)(drawn % 3),
        .ops = campaign->ops ? campaign->ops : 3 + (uint32_t)(drawn / 3 % 22),
        .model = campaign->models[seed % campaign->model_count],
        .faults = true,
        .crash = running->given->has_schedule || drawn / 66 % 12 == 0};
}

static void work(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    const struct running *running = ctx;
    const struct campaign *campaign = running->campaign;
    struct left *left = jobs_scratch(channel);
    uint64_t digest;

    setting_of(running, task, &left->setting);
    threads_play(campaign->store, &campaign->budget, &left->setting, &left->outcome);
    if (left->outcome.verdict.rule == RULE_NONE && task % RECHECK_EVERY == 0) {
        digest = left->outcome.digest;
        threads_play(campaign->store, &campaign->budget, &left->setting, &left->outcome);
        if (digest != left->outcome.digest)
            left->outcome.verdict = (struct verdict){
                .rule = RULE_NONDETERMINISM, .text = "the same schedule gave other answers"};
    }
    left->settled = true;
}

/* The child's outcome, whichever way it ended. */
static void outcome_of(const struct jobs_result *result, struct left *out)
{
    memcpy(out, result->scratch, sizeof *out);
    if (out->settled || out->outcome.verdict.rule != RULE_NONE)
        return;
    out->outcome.verdict.rule = result->outcome == JOBS_STALLED ? RULE_HANG : RULE_CRASH;
    snprintf(out->outcome.verdict.text, sizeof out->outcome.verdict.text,
             "the process ended (%s %d): %.*s", jobs_outcome_name(result->outcome), result->code,
             (int)(result->stderr_tail.len < 400 ? result->stderr_tail.len : 400),
             (const char *)result->stderr_tail.data);
}

/* ---- smaller ---- */

struct smaller {
    const struct running *running;
    struct left best;
    uint32_t threads, ops;
    bool found;
};

static void try_smaller(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    const struct smaller *smaller = ctx;
    struct left *left = jobs_scratch(channel);

    left->setting = smaller->best.setting;
    left->setting.threads = smaller->threads;
    left->setting.ops = smaller->ops;
    left->setting.seed = smaller->best.setting.seed + task;
    left->setting.schedule = smaller->best.setting.schedule + task;
    threads_play(smaller->running->campaign->store, &smaller->running->campaign->budget,
                 &left->setting, &left->outcome);
    left->settled = true;
}

static bool take_smaller(void *ctx, uint64_t task, const struct jobs_result *result)
{
    struct smaller *smaller = ctx;
    struct left left;

    (void)task;
    outcome_of(result, &left);
    if (left.outcome.verdict.rule != smaller->best.outcome.verdict.rule)
        return true;
    smaller->best = left;
    smaller->found = true;
    return false;
}

static void shrink(const struct running *running, struct left *left)
{
    struct smaller smaller = {.running = running, .best = *left};
    struct jobs_config config = {.jobs = running->campaign->jobs,
                                 .count = SHRINK_TRIES,
                                 .stall_seconds = 60,
                                 .ctx = &smaller,
                                 .work = try_smaller,
                                 .done = take_smaller};
    enum jobs_end end = JOBS_ALL;

    do {
        const struct threads_setting *best = &smaller.best.setting;

        smaller.found = false;
        for (int way = 0; way < 3 && !smaller.found && end != JOBS_INTERRUPTED; way++) {
            smaller.threads = way == 0 ? best->threads - 1 : best->threads;
            smaller.ops = way == 1 ? best->ops / 2 : best->ops - (way == 2);
            if (smaller.threads > 0 && smaller.ops > 0)
                end = jobs_run(&config);
        }
    } while (smaller.found && end != JOBS_INTERRUPTED);
    *left = smaller.best;
}

/* ---- reports ---- */

static double seconds_since(const struct timespec *began)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)(t.tv_sec - began->tv_sec) + (double)(t.tv_nsec - began->tv_nsec) / 1e9;
}

static void command_of(const struct campaign *campaign, const struct left *left, char *out,
                       size_t room)
{
    snprintf(out, room,
             "%s threads --store %s --traces 1 --seed %llu --schedule %llu --threads %u --ops %u "
             "--model %s",
             campaign->program, campaign->store_name, (unsigned long long)left->setting.seed,
             (unsigned long long)left->setting.schedule, (unsigned)left->setting.threads,
             (unsigned)left->setting.ops, pc_model_name(left->setting.model));
}

static void report(struct running *running, uint64_t task, const struct left *left)
{
    const struct campaign *campaign = running->campaign;
    const struct verdict *verdict = &left->outcome.verdict;
    double seconds = seconds_since(&running->began);
    struct json json = {0};
    struct left small = *left;
    char command[512];

    if (!campaign->no_shrink)
        shrink(running, &small);
    command_of(campaign, &small, command, sizeof command);
    if (!campaign->json) {
        printf("VIOLATION %s with seed %llu: %s\n  smallest: %u threads of %u operations: %s\n"
               "  again: %s\n",
               rule_name(verdict->rule), (unsigned long long)(campaign->seed + task), verdict->text,
               (unsigned)small.setting.threads, (unsigned)small.setting.ops,
               small.outcome.verdict.text, command);
        return;
    }
    json_object_begin(&json);
    json_key_text(&json, "type", "finding");
    json_key_text(&json, "lane", "threads");
    json_key_text(&json, "rule", rule_name(verdict->rule));
    json_key_u64(&json, "seed", campaign->seed + task);
    json_key_text(&json, "text", small.outcome.verdict.text);
    json_key_u64(&json, "threads", small.setting.threads);
    json_key_u64(&json, "operations", (uint64_t)small.setting.threads * small.setting.ops);
    json_key_u64(&json, "items", 0);
    json_key_text(&json, "replay", command);
    json_key(&json, "found_after_seconds");
    json_seconds(&json, seconds);
    json_object_end(&json);
    if (!json_line(&json, stdout))
        fprintf(stderr, "standard output cannot be written\n");
    json_release(&json);
}

static bool done(void *ctx, uint64_t task, const struct jobs_result *result)
{
    struct running *running = ctx;
    const struct campaign *campaign = running->campaign;
    struct left left;

    outcome_of(result, &left);
    running->runs++;
    running->units += left.outcome.units;
    running->reads += left.outcome.reads;
    running->points += left.outcome.points;
    running->switches += left.outcome.switches;
    running->crash_points += left.outcome.crash_points;
    running->recoveries += left.outcome.recoveries;
    running->fired += left.outcome.fired;
    running->failed += left.outcome.failed;
    if (left.outcome.verdict.rule == RULE_NONE)
        return true;
    running->findings++;
    report(running, task, &left);
    return campaign->max_findings == 0 || running->findings < campaign->max_findings;
}

static void sum_up(const struct running *running)
{
    struct json json = {0};

    if (!running->campaign->json) {
        printf("%llu schedules, %llu decision points, %llu switches; %llu writes, %llu reads; "
               "%llu calls made to fail, %llu writes answered an error; "
               "%llu crash points, %llu recoveries; %llu findings; %.1f s\n",
               (unsigned long long)running->runs, (unsigned long long)running->points,
               (unsigned long long)running->switches, (unsigned long long)running->units,
               (unsigned long long)running->reads, (unsigned long long)running->fired,
               (unsigned long long)running->failed, (unsigned long long)running->crash_points,
               (unsigned long long)running->recoveries, (unsigned long long)running->findings,
               seconds_since(&running->began));
        return;
    }
    json_object_begin(&json);
    json_key_text(&json, "type", "summary");
    json_key_u64(&json, "schedules", running->runs);
    json_key_u64(&json, "decision_points", running->points);
    json_key_u64(&json, "switches", running->switches);
    json_key_u64(&json, "writes", running->units);
    json_key_u64(&json, "reads", running->reads);
    json_key_u64(&json, "calls_failed", running->fired);
    json_key_u64(&json, "writes_failed", running->failed);
    json_key_u64(&json, "crash_points", running->crash_points);
    json_key_u64(&json, "recoveries", running->recoveries);
    json_key_u64(&json, "findings", running->findings);
    json_key(&json, "seconds");
    json_seconds(&json, seconds_since(&running->began));
    json_object_end(&json);
    if (!json_line(&json, stdout))
        fprintf(stderr, "standard output cannot be written\n");
    json_release(&json);
}

static int ended(const struct running *running, enum jobs_end end)
{
    if (end == JOBS_INTERRUPTED)
        return 130;
    if (end == JOBS_BROKEN)
        return 4;
    return running->findings ? 1 : 0;
}

int threads_run(const struct campaign *campaign, const struct threads_given *given)
{
    struct running running = {.campaign = campaign, .given = given};
    struct jobs_config config = {.jobs = campaign->jobs,
                                 .count = campaign->seeds,
                                 .stall_seconds = 120,
                                 .time_seconds = campaign->time_seconds,
                                 .ctx = &running,
                                 .work = work,
                                 .done = done};
    enum jobs_end end;

    clock_gettime(CLOCK_MONOTONIC, &running.began);
    end = jobs_run(&config);
    sum_up(&running);
    return ended(&running, end);
}
