/* reference.c: see reference.h. Rates are per second of processor time of this process, so that
 * others at work on the machine do not count. */
#include "reference.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"

#include "explore.h"
#include "json.h"

#define PUTS 200u

void reference_trace(uint64_t seed, enum pc_model model, struct trace *trace)
{
    struct rng rng = rng_seeded(seed);
    uint32_t order[PUTS];

    trace_init(trace);
    trace->seed = seed;
    trace->disk = (struct pc_disk_config){.model = model, .unit = 512, .block = 4096, .seed = seed};
    snprintf(trace->store, sizeof trace->store, "minivault");
    snprintf(trace->tuning, sizeof trace->tuning,
             "write_buffer=1048576 block=4096 table=1048576 level0=8 level1=1048576 multiplier=10 "
             "bloom=10 cache=1048576 chunk=512 manifest=65536");
    for (uint32_t i = 0; i < PUTS; i++)
        order[i] = i;
    for (uint32_t i = PUTS - 1; i > 0; i--) {
        uint32_t other = (uint32_t)rng_below(&rng, i + 1), swap = order[i];

        order[i] = order[other];
        order[other] = swap;
    }
    for (uint32_t i = 0; i < PUTS; i++) {
        struct op *op = trace_add(trace, OP_PUT);
        char key[16];

        snprintf(key, sizeof key, "k%06u", (unsigned)order[i]);
        op->sync = i % 8 == 7;
        trace_add_write(trace, op, false, trace_key(trace, bytes_str(key)),
                        (struct value){100, i + 1, NULL});
        if (i % 64 == 63)
            trace_add(trace, OP_FLUSH);
    }
}

static double log2_of(const mpz_t number)
{
    long exponent = 0;
    double mantissa = mpz_get_d_2exp(&exponent, number);

    return mantissa > 0 ? log2(mantissa) + (double)exponent : 0;
}

static double processor_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_json(const struct campaign *campaign, const struct tally *tally, bool exhaustive,
                       double seconds, const char *rule)
{
    struct json json = {0};

    json_init(&json);
    json_object_begin(&json);
    json_key_text(&json, "type", "summary");
    json_key_text(&json, "schema", "powercut.reference/1");
    json_key_text(&json, "store", campaign->store->name);
    json_key_u64(&json, "seed", campaign->seed);
    json_key(&json, "models");
    json_array_begin(&json);
    for (uint32_t i = 0; i < campaign->model_count; i++)
        json_text(&json, pc_model_name(campaign->models[i]));
    json_array_end(&json);
    json_key(&json, "exhaustive");
    json_bool(&json, exhaustive);
    json_key_u64(&json, "crash_points", tally->points);
    json_key_u64(&json, "leaves", tally->leaves);
    json_key_seconds(&json, "legal_log2", log2_of(tally->exact));
    json_key_u64(&json, "recovered_states", tally->states);
    json_key_u64(&json, "checks_assumed", tally->assumed);
    json_key_u64(&json, "recoveries_witness", tally->witnessed);
    json_key_text(&json, "finding", rule);
    json_key_seconds(&json, "processor_seconds", seconds);
    json_key_seconds(&json, "leaves_per_second", seconds > 0 ? (double)tally->leaves / seconds : 0);
    json_object_end(&json);
    if (!json_line(&json, stdout))
        fprintf(stderr, "standard output cannot be written\n");
    json_release(&json);
}

static void print_text(const struct tally *tally, bool exhaustive, double seconds, const char *rule)
{
    printf("%s: %llu crash points, %llu leaves, legal images 2^%.1f, %llu distinct recovered "
           "states, %llu checks assumed to fail (%llu witness recoveries)\n%.0f leaves per second "
           "of processor time%s%s\n",
           exhaustive ? "exhaustive" : "NOT exhaustive", (unsigned long long)tally->points,
           (unsigned long long)tally->leaves, log2_of(tally->exact),
           (unsigned long long)tally->states, (unsigned long long)tally->assumed,
           (unsigned long long)tally->witnessed,
           seconds > 0 ? (double)tally->leaves / seconds : 0.0, *rule ? "; finding: " : "", rule);
}

int reference_run(const struct campaign *campaign)
{
    struct budget budget = {.leaves = 1u << 24, .witness = 20, .points = 16, .look = 16};
    struct tally tally;
    const char *rule = "";
    double began = processor_seconds(), seconds;
    bool exhaustive;

    tally_init(&tally);
    for (uint32_t m = 0; m < campaign->model_count; m++) {
        static struct finding finding;
        struct explorer explorer;
        struct trace trace;

        reference_trace(campaign->seed, campaign->models[m], &trace);
        explorer_init(&explorer, &budget, campaign->store, trace.tuning, campaign->seed);
        explore_trace(&explorer, &trace, campaign->store, &finding);
        tally_add(&tally, &explorer.tally);
        if (finding.found) {
            rule = rule_name(finding.verdict.rule);
            fprintf(stderr, "%s: %s\n", rule, finding.verdict.text);
        }
        explorer_release(&explorer);
        trace_release(&trace);
    }
    seconds = processor_seconds() - began;
    exhaustive = !*rule && tally.exhaustive == tally.points && tally.uncounted == 0;
    if (campaign->json)
        print_json(campaign, &tally, exhaustive, seconds, rule);
    else
        print_text(&tally, exhaustive, seconds, rule);
    tally_release(&tally);
    return *rule ? 1 : (exhaustive ? 0 : 3);
}
