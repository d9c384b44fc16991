/* powercut_main.c: the commands of powercut. What they take is in options.def. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#include "audit.h"
#include "campaign.h"
#include "conformance.h"
#include "doctor.h"
#include "door.h"
#include "exec.h"
#include "jobs.h"
#include "marks.h"
#include "matrix.h"
#include "options.h"
#include "reference.h"
#include "results.h"
#include "script.h"
#include "shard.h"
#include "shrink.h"
#include "stores.h"
#include "story.h"
#include "threads.h"

#ifndef POWERCUT_VERSION
#define POWERCUT_VERSION "0.1.0"
#endif

enum { EXIT_FINDING = 1, EXIT_USAGE = 2, EXIT_INCONCLUSIVE = 3 };

static const char *program;

static int usage_error(const char *what, const char *word)
{
    fprintf(stderr, "powercut: %s%s%s\n", what, word ? ": " : "", word ? word : "");
    return EXIT_USAGE;
}

static int no_store(const char *name)
{
    fprintf(stderr, "powercut: no store %s (%s)\n", name, stores_why());
    return EXIT_USAGE;
}

/* ---- run ---- */

static bool take_models(const struct options *opts, struct campaign *campaign, const char **bad)
{
    static const enum pc_model all[] = {PC_PROCESS_KILL, PC_PREFIX,         PC_POSIX, PC_POSIX_MIN,
                                        PC_EXT4_ORDERED, PC_EXT4_WRITEBACK, PC_XFS,   PC_BTRFS};

    campaign->model_count = 0;
    for (size_t i = 0; i < options_items(opts, "model"); i++) {
        enum pc_model *model = &campaign->models[campaign->model_count++];

        *bad = options_item(opts, "model", i);
        if (campaign->model_count > PC_MODELS || !pc_model_from_name(*bad, model) ||
            !pc_model_simulated(*model))
            return false;
    }
    if (campaign->model_count == 0) {
        memcpy(campaign->models, all, sizeof all);
        campaign->model_count = sizeof all / sizeof all[0];
    }
    return true;
}

static bool take_faults(const struct options *opts, struct campaign *campaign, const char **bad)
{
    enum pc_fault_kind kind;

    if (options_items(opts, "faults") == 0) {
        campaign->faults = (1u << PC_FAULT_KINDS) - 1;
        return true;
    }
    for (size_t i = 0; i < options_items(opts, "faults"); i++) {
        *bad = options_item(opts, "faults", i);
        if (strcmp(*bad, "none") == 0)
            continue;
        if (!pc_fault_kind_from_name(*bad, &kind))
            return false;
        campaign->faults |= 1u << kind;
    }
    return true;
}

static uint64_t given_or(const struct options *opts, const char *name, uint64_t otherwise)
{
    return options_given(opts, name) ? options_u64(opts, name) : otherwise;
}

static uint64_t fresh_seed(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return ((uint64_t)t.tv_sec * 1000003u ^ (uint64_t)t.tv_nsec ^ (uint64_t)getpid() << 20) %
           1000000000u;
}

/* The command that repeats this run: the options that were given, and the seed. */
static char *repeat_command(const struct options *opts, const struct campaign *campaign,
                            const char *profile)
{
    static const char *const kept[] = {
        "store", "model",   "faults", "sector",         "ops",   "leaves",     "samples", "nested",
        "depth", "witness", "traces", "exhaustive-ops", "order", "fault-pairs"};
    bool every = options_flag(opts, "every-fault");
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(out != NULL);
    fprintf(out, "%s %s", program, opts->command);
    if (profile)
        fprintf(out, " --profile %s", profile);
    fprintf(out, " --seed %llu", (unsigned long long)campaign->seed);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        if (!options_given(opts, kept[i]))
            continue;
        fprintf(out, " --%s ", kept[i]);
        if (strcmp(kept[i], "model") == 0 || strcmp(kept[i], "faults") == 0)
            for (size_t item = 0; item < options_items(opts, kept[i]); item++)
                fprintf(out, "%s%s", item ? "," : "", options_item(opts, kept[i], item));
        else
            fputs(options_text(opts, kept[i]), out);
    }
    if (every)
        fputs(" --every-fault", out);
    if (options_flag(opts, "by-reads"))
        fputs(" --by-reads", out);
    fclose(out);
    return text;
}

static int reference_command(const struct options *opts, struct campaign *campaign)
{
    campaign->seed = given_or(opts, "seed", 1);
    if (options_items(opts, "model") == 0) {
        campaign->models[0] = PC_POSIX;
        campaign->models[1] = PC_EXT4_ORDERED;
        campaign->model_count = 2;
    }
    return reference_run(campaign);
}

/* A matrix visits many more traces than a run, each for fewer states. */
static struct budget budget_of(const struct options *opts, bool matrix)
{
    return (struct budget){.leaves = (uint32_t)given_or(opts, "leaves", matrix ? 48 : 96),
                           .samples = (uint32_t)given_or(opts, "samples", matrix ? 12 : 24),
                           .bounded = (uint32_t)given_or(opts, "leaves", matrix ? 48 : 96),
                           .nested = (uint32_t)given_or(opts, "nested", 64),
                           .depth = (uint32_t)given_or(opts, "depth", 3),
                           .witness = (uint32_t)given_or(opts, "witness", 20),
                           .by_reads = options_flag(opts, "by-reads"),
                           .trouble = 24,
                           .life = 4,
                           .after = matrix || given_or(opts, "nested", 64) == 0 ? 0 : 4,
                           .recoveries = 7000};
}

static int run_shard(const struct options *opts, struct campaign *campaign)
{
    const char *text = options_text(opts, "shard"), *where = "--shard";
    uint64_t size = options_u64(opts, "unit");
    struct shard shard;

    if (strcmp(text, "auto") == 0 && !shard_from_environment(&shard, &where))
        return usage_error("no variable of a test runner says which shard this is", where);
    if (strcmp(text, "auto") != 0 && !shard_parse(text, &shard))
        return usage_error("a shard is I/N with I from 0 to N-1, or auto", text);
    if (!options_given(opts, "seed") && !options_given(opts, "profile"))
        return usage_error("the shards of a run need the same --seed", NULL);
    if (size == 0)
        return usage_error("a unit has at least one trace", NULL);
    if (!options_given(opts, "max-findings"))
        campaign->max_findings = 0;
    if (!campaign->quiet)
        fprintf(stderr, "shard %llu of %llu (%s)\n", (unsigned long long)shard.index,
                (unsigned long long)shard.count, where);
    return shard_run(campaign, opts, &shard, size, POWERCUT_VERSION);
}

/* `command` is freed. */
static int shard_command(const struct options *opts, struct campaign *campaign, char *command)
{
    int code = run_shard(opts, campaign);

    free(command);
    return code;
}

/* What is enumerated, not drawn. False: more than can be. */
static bool enumerate(const struct options *opts, struct campaign *campaign)
{
    campaign->exhaustive_ops = (uint32_t)given_or(opts, "exhaustive-ops", 0);
    campaign->systematic = options_flag(opts, "every-fault");
    campaign->fault_pairs = (uint32_t)given_or(opts, "fault-pairs", 0);
    if (campaign->exhaustive_ops > 8)
        return false;
    for (uint32_t i = 0; i < campaign->exhaustive_ops; i++)
        campaign->seeds = i == 0 ? CAMPAIGN_ALPHABET : campaign->seeds * CAMPAIGN_ALPHABET;
    return true;
}

static int run_command(const struct options *opts)
{
    const char *profile = options_text(opts, "profile"), *bad = NULL;
    bool crashtest = profile && strcmp(profile, "crashtest") == 0;
    bool audit = strcmp(opts->command, "audit") == 0, matrix = strcmp(opts->command, "matrix") == 0;
    bool quick = profile && strcmp(profile, "quick") == 0;
    struct campaign campaign = {.jobs = (unsigned)options_u64(opts, "jobs"),
                                .out = options_text(opts, "out"),
                                .canary = options_text(opts, "canary"),
                                .program = program,
                                .json = options_flag(opts, "json"),
                                .quiet = options_flag(opts, "quiet"),
                                .no_shrink = options_flag(opts, "no-shrink"),
                                .time_seconds = options_u64(opts, "time")};
    char *command;
    int code;

    if (profile && !crashtest && !quick)
        return usage_error("no such profile (crashtest, quick)", profile);
    campaign.store_name = options_text(opts, "store");
    campaign.store = stores_find(campaign.store_name);
    if (campaign.store == NULL)
        return no_store(options_text(opts, "store"));
    if (!take_models(opts, &campaign, &bad))
        return usage_error("no such model (powercut list models)", bad);
    if (!take_faults(opts, &campaign, &bad))
        return usage_error("no such fault (powercut list faults)", bad);
    campaign.seed = given_or(opts, "seed", profile || audit || matrix ? 1 : fresh_seed());
    campaign.seeds = given_or(opts, "traces", crashtest ? 120 : (quick ? 8 : (matrix ? 2 : 100)));
    if (!enumerate(opts, &campaign))
        return usage_error("at most 8 operations can be enumerated", NULL);
    campaign.forever = campaign.time_seconds && !options_given(opts, "traces") && !profile;
    campaign.ops = (uint32_t)given_or(opts, "ops", matrix ? 30 : 40);
    campaign.unit =
        options_given(opts, "sector") ? (uint32_t)options_u64(opts, "sector") : (matrix ? 512 : 0);
    campaign.max_findings = given_or(opts, "max-findings", profile ? 10 : 1);
    campaign.least_recoveries = crashtest ? 100000 : 0;
    if (options_flag(opts, "reference"))
        return reference_command(opts, &campaign);
    campaign.budget = budget_of(opts, matrix);
    if (campaign.budget.depth < 1 || campaign.budget.depth > CUTS_MOST)
        return usage_error("--depth takes 1 to 3", NULL);
    if (!audit && !matrix && !order_from_name(options_text(opts, "order"), &campaign.budget.order))
        return usage_error("no such order", options_text(opts, "order"));
    campaign.compared = !audit && !matrix && options_given(opts, "order");
    if (campaign.compared)
        campaign.budget.after = 0;
    command = repeat_command(opts, &campaign, profile);
    campaign.command = command;
    if (!campaign.quiet)
        fprintf(stderr, "seed=%llu version=%s store=%s traces=%llu models=%u\n",
                (unsigned long long)campaign.seed, POWERCUT_VERSION, campaign.store->name,
                (unsigned long long)campaign.seeds, (unsigned)campaign.model_count);
    if (!audit && !matrix && options_given(opts, "shard"))
        return shard_command(opts, &campaign, command);
    campaign.results =
        audit ? NULL : results_open(&campaign, matrix ? "results-matrix.jsonl" : "results.jsonl");
    results_header(&campaign, opts, POWERCUT_VERSION);
    if (audit)
        code = audit_run(&campaign, options_flag(opts, "seams"), options_text(opts, "explained"),
                         options_text(opts, "only"));
    else
        code = matrix ? matrix_run(&campaign) : campaign_run(&campaign);
    if (campaign.results && fclose(campaign.results) != 0)
        fprintf(stderr, "the results cannot be written\n");
    free(command);
    return code;
}

static int threads_command(const struct options *opts)
{
    struct threads_given given = {.threads = (uint32_t)given_or(opts, "threads", 0),
                                  .has_schedule = options_given(opts, "schedule"),
                                  .schedule = given_or(opts, "schedule", 0)};
    struct campaign campaign = {.jobs = (unsigned)options_u64(opts, "jobs"),
                                .program = program,
                                .json = options_flag(opts, "json"),
                                .no_shrink = options_flag(opts, "no-shrink"),
                                .time_seconds = options_u64(opts, "time"),
                                .store_name = options_text(opts, "store"),
                                .seed = given_or(opts, "seed", 1),
                                .seeds = given_or(opts, "traces", 6000),
                                .ops = (uint32_t)given_or(opts, "ops", 0),
                                .max_findings = given_or(opts, "max-findings", 1),
                                .budget = {.leaves = (uint32_t)given_or(opts, "leaves", 24),
                                           .samples = (uint32_t)given_or(opts, "samples", 4),
                                           .life = 8,
                                           .trouble = 8,
                                           .recoveries = 300}};
    const char *bad = NULL;

    campaign.store = stores_find(campaign.store_name);
    if (campaign.store == NULL)
        return no_store(campaign.store_name);
    if (campaign.store->last_seq == NULL)
        return usage_error("this store has no sequence numbers, so the order of its writes is not "
                           "known",
                           campaign.store_name);
    if (!take_models(opts, &campaign, &bad))
        return usage_error("no such model (powercut list models)", bad);
    if (given.threads > THREADS_MOST)
        return usage_error("at most 8 threads", options_text(opts, "threads"));
    if (campaign.ops > THREADS_OPS_MOST)
        return usage_error("at most 400 operations of each thread", options_text(opts, "ops"));
    return threads_run(&campaign, &given);
}

/* ---- script, replay, shrink, explain: each file in a child ---- */

struct files {
    const struct options *opts;
    char **names;
    uint64_t passed, failed;
    int code;
};

static void apply_overrides(const struct options *opts, struct script *script)
{
    enum pc_model model;

    if (options_given(opts, "store"))
        snprintf(script->trace.store, sizeof script->trace.store, "%s",
                 options_text(opts, "store"));
    if (options_items(opts, "model") &&
        pc_model_from_name(options_item(opts, "model", 0), &model) && pc_model_simulated(model))
        script->trace.disk.model = model;
}

static void emit_code(struct jobs_channel *channel, int code, const char *text)
{
    jobs_emit(channel, bytes_of(&code, sizeof code));
    jobs_emit(channel, bytes_str(text));
}

/* The trace of a finding without the steps that only place the crash. */
static void strip(struct trace *trace)
{
    while (trace->op_count > 0) {
        enum op_kind kind = trace->ops[trace->op_count - 1].kind;

        if (kind != OP_CRASH && kind != OP_LOSE && kind != OP_KEEP && kind != OP_RECOVER &&
            kind != OP_TROUBLE && kind != OP_CHECK && kind != OP_EXPLORE)
            return;
        trace->op_count--;
    }
}

static bool is_death(enum rule rule)
{
    return rule == RULE_CRASH || rule == RULE_HANG;
}

static bool has_trouble(const struct script *script)
{
    for (uint32_t i = 0; i < script->trace.op_count; i++)
        if (script->trace.ops[i].kind == OP_TROUBLE)
            return true;
    return false;
}

static uint32_t crashes_in_a_row(const struct script *script)
{
    uint32_t count = 0;

    for (uint32_t i = script->trace.op_count; i-- > 0;) {
        enum op_kind kind = script->trace.ops[i].kind;

        if (kind != OP_CRASH && kind != OP_LOSE && kind != OP_KEEP && kind != OP_RECOVER &&
            kind != OP_TROUBLE && kind != OP_CHECK && kind != OP_EXPLORE)
            break;
        count += kind == OP_CRASH;
    }
    return count;
}

static bool neighbourhood(const struct script *script, const struct pc_store *store,
                          struct trace *trace, struct finding *finding)
{
    struct budget budget = {.leaves = 2000,
                            .samples = 120,
                            .nested = crashes_in_a_row(script) > 1 ? 4 : 0,
                            .depth = crashes_in_a_row(script),
                            .witness = 1,
                            .life = 2,
                            .recoveries = 10000,
                            .trouble = has_trouble(script) ? 1 : 0,
                            .scan_claims = script->rule != RULE_UNVERIFIED,
                            .trouble_tries = 24};
    struct shrink shrink = {.store = store, .seed = 1, .forked = is_death(script->rule)};

    trace_copy(trace, &script->trace);
    strip(trace);
    return shrink_probe(&shrink, trace, &budget, finding) && finding->verdict.rule == script->rule;
}

static int replay_loaded(struct script *script, const char *file, FILE *out)
{
    const struct pc_store *store = stores_find(script->trace.store);
    struct finding finding = {0};
    struct verdict other;
    struct trace trace;
    bool found;

    if (store == NULL) {
        fprintf(out, "%s: no store %s\n", file, script->trace.store);
        return EXIT_USAGE;
    }
    if (!is_death(script->rule)) {
        script_run(script, file, false, NULL, &finding);
        if (finding.found && (finding.verdict.rule == script->rule || script->rule == RULE_NONE)) {
            fprintf(out, "REPRODUCED exact: %s: %s\n", rule_name(finding.verdict.rule),
                    finding.verdict.text);
            return EXIT_FINDING;
        }
    }
    other = finding.verdict;
    found = neighbourhood(script, store, &trace, &finding);
    if (found && is_death(script->rule))
        fprintf(out, "REPRODUCED exact: %s\n", finding.verdict.text);
    else if (found)
        fprintf(out, "REPRODUCED by neighbourhood search: %s: %s\n",
                rule_name(finding.verdict.rule), finding.verdict.text);
    else
        fprintf(out, "NOT REPRODUCED (neither the recorded crash nor any near it breaks %s)\n",
                rule_name(script->rule));
    if (other.rule != RULE_NONE)
        fprintf(out, "at the recorded crash another rule breaks: %s: %s\n", rule_name(other.rule),
                other.text);
    trace_release(&trace);
    return found ? EXIT_FINDING : 0;
}

/* A scenario has to answer what it says; a finding must not be reproduced, in no way. */
static int play_file(const struct files *files, struct script *script, const char *name, FILE *out)
{
    bool rewrite = options_flag(files->opts, "rewrite");

    if (script->rule != RULE_NONE && !rewrite)
        return replay_loaded(script, name, out);
    return script_run(script, name, rewrite, out, NULL) == SCRIPT_PASSED ? 0 : EXIT_FINDING;
}

static void script_work(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    struct files *files = ctx;
    struct script script;
    char *text = NULL, why[320];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    int code;

    must(out != NULL);
    if (!script_load(&script, files->names[task], why, sizeof why)) {
        fprintf(out, "%s\n", why);
        code = EXIT_USAGE;
    } else {
        apply_overrides(files->opts, &script);
        code = play_file(files, &script, files->names[task], out);
    }
    script_release(&script);
    fclose(out);
    emit_code(channel, code, text);
    free(text);
}

static bool script_done(void *ctx, uint64_t task, const struct jobs_result *result)
{
    struct files *files = ctx;
    int code = EXIT_FINDING;
    struct bytes text = result->stderr_tail;

    if (result->outcome == JOBS_EXITED && result->emitted.len >= sizeof code) {
        memcpy(&code, result->emitted.data, sizeof code);
        text = bytes_of(result->emitted.data + sizeof code, result->emitted.len - sizeof code);
    } else {
        printf("%s: the store died (%s %d)\n", files->names[task],
               jobs_outcome_name(result->outcome), result->code);
    }
    if (code == 0)
        files->passed++;
    else
        files->failed++;
    if (code > files->code || files->code == 0)
        files->code = code ? code : files->code;
    if (code != 0)
        fwrite(text.data, 1, text.len, stdout);
    else if (options_flag(files->opts, "verbose"))
        printf("%s: passed\n", files->names[task]);
    return true;
}

static int script_command(const struct options *opts)
{
    struct files files = {.opts = opts, .names = opts->operands};
    struct jobs_config config = {.count = opts->operand_count,
                                 .stall_seconds = 300,
                                 .ctx = &files,
                                 .work = script_work,
                                 .done = script_done};

    if (opts->operand_count == 0)
        return usage_error("script needs a FILE", NULL);
    if (jobs_run(&config) != JOBS_ALL)
        return 4;
    printf("%llu passed, %llu failed\n", (unsigned long long)files.passed,
           (unsigned long long)files.failed);
    return files.code;
}

static void make_smaller(struct script *script, const char *file, bool shrinking, FILE *out)
{
    const struct pc_store *store = stores_find(script->trace.store);
    struct finding finding = {0};
    struct trace trace;
    struct shrink shrink = {
        .store = store, .seed = 1, .tries = 600, .forked = is_death(script->rule)};

    if (store && !is_death(script->rule))
        script_run(script, file, false, NULL, &finding);
    if (finding.found && (finding.verdict.rule == script->rule || script->rule == RULE_NONE)) {
        trace_copy(&trace, &script->trace);
        shrink_promote(store, &trace, &finding);
    } else if (store == NULL || !neighbourhood(script, store, &trace, &finding)) {
        fprintf(out, "%s: not reproduced\n", file);
        return;
    }
    if (shrinking) {
        shrink_finding(&shrink, &trace, &finding);
        story_file(out, &trace, &finding, file);
    } else {
        story_tell(out, &trace, &finding, store, NULL, NULL);
    }
    trace_release(&trace);
}

static void finding_work(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    struct files *files = ctx;
    const char *command = files->opts->command;
    struct script script;
    char *text = NULL, why[320];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    int code = 0;

    must(out != NULL);
    if (!script_load(&script, files->names[task], why, sizeof why)) {
        fprintf(out, "%s\n", why);
        code = EXIT_USAGE;
    } else {
        apply_overrides(files->opts, &script);
        if (strcmp(command, "replay") == 0)
            code = replay_loaded(&script, files->names[task], out);
        else
            make_smaller(&script, files->names[task], strcmp(command, "shrink") == 0, out);
    }
    script_release(&script);
    fclose(out);
    emit_code(channel, code, text);
    free(text);
}

static bool finding_done(void *ctx, uint64_t task, const struct jobs_result *result)
{
    struct files *files = ctx;

    files->code = 4;
    if (result->outcome == JOBS_EXITED && result->emitted.len >= sizeof files->code) {
        memcpy(&files->code, result->emitted.data, sizeof files->code);
        fwrite(result->emitted.data + sizeof files->code, 1,
               result->emitted.len - sizeof files->code, stdout);
    } else if (strcmp(files->opts->command, "replay") == 0) {
        printf("REPRODUCED: the store died (%s %d)\n", jobs_outcome_name(result->outcome),
               result->code);
        files->code = EXIT_FINDING;
    } else {
        printf("%s: the store died (%s %d)\n", files->names[task],
               jobs_outcome_name(result->outcome), result->code);
    }
    return true;
}

static int finding_command(const struct options *opts)
{
    struct files files = {.opts = opts, .names = opts->operands};
    struct jobs_config config = {.count = 1,
                                 .stall_seconds = 600,
                                 .ctx = &files,
                                 .work = finding_work,
                                 .done = finding_done};

    if (opts->operand_count != 1)
        return usage_error("one FILE is needed", NULL);
    return jobs_run(&config) == JOBS_ALL ? files.code : 4;
}

/* ---- the rest ---- */

static void print_mark(void *ctx, const char *name, uint64_t hits)
{
    (void)ctx;
    (void)hits;
    printf("mark %s\n", name);
}

static bool listable(const char *what)
{
    static const char *const known[] = {"",      "stores", "models", "faults",
                                        "calls", "steps",  "rules",  "marks"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], what) == 0)
            return true;
    return false;
}

static int list_command(const struct options *opts)
{
    const char *what = opts->operand_count ? opts->operands[0] : "";
    bool all = *what == '\0';

    if (!listable(what))
        return usage_error("nothing of that name to list (powercut help list)", what);
    if (all || strcmp(what, "stores") == 0)
        for (size_t i = 0; stores_at(i); i++)
            printf("store %s\n", stores_at(i)->name);
    if (all || strcmp(what, "models") == 0)
        for (int i = 0; i < PC_MODELS; i++)
            printf("model %s%s\n", pc_model_name((enum pc_model)i),
                   pc_model_simulated((enum pc_model)i) ? "" : " (not simulated yet)");
    if (all || strcmp(what, "faults") == 0)
        for (int i = 0; i < PC_FAULT_KINDS; i++)
            printf("fault %s\n", pc_fault_kind_name((enum pc_fault_kind)i));
    if (all || strcmp(what, "calls") == 0)
        for (int i = 0; i < PC_CALL_CLASSES_END; i++)
            printf("call %s%s\n", pc_call_kind_name((enum pc_call_kind)i),
                   i < PC_CALL_KINDS ? "" : " (faults only)");
    if (all || strcmp(what, "steps") == 0)
        for (int i = 0; i < OP_KINDS; i++)
            printf("step %s\n", trace_step_name((enum op_kind)i));
    if (all || strcmp(what, "rules") == 0)
        for (int i = 1; i < RULES; i++)
            printf("rule %s\n", rule_name((enum rule)i));
    if (all || strcmp(what, "marks") == 0)
        marks_each(print_mark, NULL);
    return 0;
}

static int conformance_command(const struct options *opts)
{
    if (opts->operand_count != 1)
        return usage_error("conformance needs one FILE", NULL);
    return conformance_run(opts->operands[0], options_text(opts, "model"), stdout,
                           options_flag(opts, "verbose"));
}

/* Runs the canary, the build with a planted mistake that lies beside this program. */
static int demo_command(const struct options *opts)
{
    char canary[4096], line[4400];
    const char *slash = strrchr(program, '/');
    int status;

    snprintf(canary, sizeof canary, "%.*spowercut-canary", slash ? (int)(slash - program) + 1 : 0,
             program);
    if (slash && access(canary, X_OK) != 0) {
        fprintf(stderr, "powercut: %s is missing; 'make' builds it\n", canary);
        return 4;
    }
    printf(
        "A build of minivault with one line taken out: the directory is not synced after CURRENT "
        "is renamed.\nLooking for a power cut that shows it.\n\n");
    fflush(stdout);
    snprintf(
        line, sizeof line,
        "'%s' run --exhaustive-ops 1 --seed 1 --max-findings 1 --quiet --out powercut-out/demo",
        canary);
    status = system(line);
    (void)opts;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_FINDING) {
        printf("\nThe planted mistake was not found.\n");
        return EXIT_INCONCLUSIVE;
    }
    printf("\nThe planted mistake was found, shrunk and explained.\n");
    return 0;
}

static const struct {
    const char *name;
    int (*run)(const struct options *opts);
} commands[] = {
    {"run", run_command},        {"audit", run_command},      {"script", script_command},
    {"replay", finding_command}, {"shrink", finding_command}, {"explain", finding_command},
    {"matrix", run_command},     {"exec", exec_command},      {"conformance", conformance_command},
    {"list", list_command},      {"demo", demo_command},      {"threads", threads_command},
};

static int help(FILE *out)
{
    fprintf(out, "powercut %s: does a storage engine keep its promises when the power fails?\n\n",
            POWERCUT_VERSION);
    options_list_commands(out);
    fprintf(out, "\nexamples:\n"
                 "  powercut run --seed 1\n"
                 "  powercut script crashtests/wal/*.crash\n"
                 "  powercut help run\n");
    return 0;
}

static int version(bool json)
{
    if (json)
        printf("{\"name\":\"powercut\",\"version\":\"%s\",\"result_schema\":\"powercut.result/1\","
               "\"store_abi\":%u}\n",
               POWERCUT_VERSION, PC_STORE_ABI);
    else
        printf("powercut %s\n", POWERCUT_VERSION);
    return 0;
}

static int dispatch(const char *name, int argc, char **argv)
{
    struct options opts = {0};
    int code = options_parse(&opts, name, argc, argv);

    if (code != OPTIONS_GO)
        return code;
    if (options_flag(&opts, "print-config")) {
        options_print(&opts, stdout);
        return 0;
    }
    code = EXIT_USAGE;
    if (strcmp(name, "doctor") == 0)
        code = doctor_run(stdout);
    if (door_leads(name))
        code = door_run(&opts);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            code = commands[i].run(&opts);
    options_release(&opts);
    return code;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL, *nearest;
    char *help_argv[] = {argv[0], "--help", NULL};

    program = argv[0];
    if (name == NULL || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(stdout);
    if (strcmp(name, "--version") == 0)
        return version(argc > 2 && strcmp(argv[2], "--json") == 0);
    if (strcmp(name, "help") == 0 && argc == 2)
        return help(stdout);
    if (strcmp(name, "help") == 0 && options_command_known(argv[2]))
        return dispatch(argv[2], 2, help_argv);
    if (options_command_known(name))
        return dispatch(name, argc - 1, argv + 1);
    nearest = options_command_nearest(name);
    fprintf(stderr, "powercut: no command '%s'%s%s%s\n", name, nearest ? ", did you mean '" : "",
            nearest ? nearest : "", nearest ? "'?" : "; powercut help lists them");
    return EXIT_USAGE;
}
