/* results.c: see results.h. */
#include "results.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/rng.h"

#include "lanes.h"
#include "options.h"
#include "story.h"

const char *results_build(void)
{
    static char text[20];
    XXH3_state_t *state;
    uint8_t block[8192];
    size_t n;
    FILE *in;

    if (text[0])
        return text;
    snprintf(text, sizeof text, "unknown");
    in = fopen("/proc/self/exe", "rb");
    state = in ? XXH3_createState() : NULL;
    if (state) {
        XXH3_64bits_reset(state);
        while ((n = fread(block, 1, sizeof block, in)) > 0)
            XXH3_64bits_update(state, block, n);
        snprintf(text, sizeof text, "%016llx", (unsigned long long)XXH3_64bits_digest(state));
        XXH3_freeState(state);
    }
    if (in)
        fclose(in);
    return text;
}

uint64_t results_config_hash(const struct campaign *campaign)
{
    const struct budget *budget = &campaign->budget;
    uint64_t parts[] = {
        campaign->seed,        campaign->ops,        campaign->exhaustive_ops, campaign->faults,
        campaign->unit,        campaign->systematic, budget->leaves,           budget->bounded,
        budget->depth,         budget->samples,      budget->nested,           budget->trouble,
        budget->life,          budget->recoveries,   budget->witness,          budget->by_reads,
        budget->order,         campaign->no_shrink,  campaign->model_count,    campaign->compared,
        campaign->fault_pairs, budget->after};
    uint64_t hash = XXH3_64bits(campaign->store_name, strlen(campaign->store_name));

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        hash = rng_mix(hash ^ parts[i]);
    for (uint32_t i = 0; i < campaign->model_count; i++)
        hash = rng_mix(hash ^ (uint64_t)campaign->models[i] ^ 0x100);
    return hash;
}

static void models_json(struct json *json, const struct campaign *campaign)
{
    json_key(json, "models");
    json_array_begin(json);
    for (uint32_t i = 0; i < campaign->model_count; i++)
        json_text(json, pc_model_name(campaign->models[i]));
    json_array_end(json);
}

static void faults_json(struct json *json, const struct campaign *campaign)
{
    json_key(json, "faults");
    json_array_begin(json);
    for (int i = 0; i < PC_FAULT_KINDS; i++)
        if (campaign->faults >> i & 1)
            json_text(json, pc_fault_kind_name((enum pc_fault_kind)i));
    json_array_end(json);
}

static void about(struct json *json, const struct campaign *campaign)
{
    char hash[20];

    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)results_config_hash(campaign));
    json_key_text(json, "schema", RESULTS_SCHEMA);
    json_key_text(json, "build", results_build());
    json_key_text(json, "compiler", __VERSION__);
#ifdef __SANITIZE_ADDRESS__
    json_key_text(json, "sanitizer", "address, undefined");
#else
    json_key_text(json, "sanitizer", "none");
#endif
    json_key_text(json, "config_hash", hash);
    json_key_text(json, "store", campaign->store->name);
    json_key_u64(json, "seed", campaign->seed);
    models_json(json, campaign);
    faults_json(json, campaign);
    json_key_u64(json, "unit", campaign->unit);
    json_key_text(json, "repeat", campaign->command);
}

void results_header(const struct campaign *campaign, const struct options *opts,
                    const char *version)
{
    struct json json = {0};

    json_object_begin(&json);
    json_key_text(&json, "type", "header");
    json_key_text(&json, "command", opts->command);
    json_key_text(&json, "version", version);
    about(&json, campaign);
    json_key(&json, "settings");
    options_json(opts, &json);
    json_object_end(&json);
    results_line(campaign, &json);
    json_release(&json);
}

/* ---- files ---- */

static bool make_dirs(char *path)
{
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            if (mkdir(path, 0777) != 0 && errno != EEXIST)
                return false;
            *p = '/';
        }
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

static void write_file(const char *dir, const char *name, struct bytes data)
{
    char path[4200];
    FILE *out;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    out = fopen(path, "wb");
    if (out == NULL) {
        fprintf(stderr, "%s: cannot be written: %s\n", path, strerror(errno));
        return;
    }
    if (fwrite(data.data, 1, data.len, out) != data.len)
        fprintf(stderr, "%s: cannot be written: %s\n", path, strerror(errno));
    fclose(out);
}

/* The newest run of this directory. A link is not everywhere to be had: no complaint. */
static void point_latest(const struct campaign *campaign)
{
    char link[4200], made[4300], name[64];

    snprintf(link, sizeof link, "%.4000s/latest", campaign->out);
    snprintf(made, sizeof made, "%s.%ld", link, (long)getpid());
    snprintf(name, sizeof name, "seed-%llu", (unsigned long long)campaign->seed);
    if (symlink(name, made) == 0 && rename(made, link) != 0)
        unlink(made);
}

FILE *results_open(const struct campaign *campaign, const char *name)
{
    char path[4200];
    FILE *out = NULL;

    snprintf(path, sizeof path, "%.4000s/seed-%llu", campaign->out,
             (unsigned long long)campaign->seed);
    if (make_dirs(path)) {
        snprintf(path, sizeof path, "%.4000s/seed-%llu/%s", campaign->out,
                 (unsigned long long)campaign->seed, name);
        out = fopen(path, "wb");
        point_latest(campaign);
    }
    if (out == NULL)
        fprintf(stderr, "%s: cannot be made: %s\n", path, strerror(errno));
    return out;
}

void results_line(const struct campaign *campaign, struct json *json)
{
    const char *text = json_written(json);

    if (campaign->results && fprintf(campaign->results, "%s\n", text) < 0)
        fprintf(stderr, "the results cannot be written: %s\n", strerror(errno));
    if (!campaign->json)
        json_clear(json);
    else if (!json_line(json, stdout))
        fprintf(stderr, "standard output cannot be written\n");
}

void results_raw(const struct campaign *campaign, struct bytes lines)
{
    if (campaign->results && fwrite(lines.data, 1, lines.len, campaign->results) != lines.len)
        fprintf(stderr, "the results cannot be written: %s\n", strerror(errno));
    if (campaign->json && fwrite(lines.data, 1, lines.len, stdout) != lines.len)
        fprintf(stderr, "standard output cannot be written\n");
}

void results_file(const char *path, struct bytes data)
{
    const char *slash = strrchr(path, '/');
    char dir[4200];

    snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    if (!make_dirs(dir))
        fprintf(stderr, "%s: cannot be made: %s\n", dir, strerror(errno));
    else
        write_file(dir, slash + 1, data);
}

static void write_env(const struct campaign *campaign, const struct result_finding *finding,
                      const char *dir)
{
    struct json json = {0};

    json_object_begin(&json);
    about(&json, campaign);
    json_key_u64(&json, "task", finding->task);
    json_key_text(&json, "rule", rule_name(finding->rule));
    json_object_end(&json);
    write_file(dir, "env.json", bytes_str(json_written(&json)));
    json_release(&json);
}

void results_folder(const struct campaign *campaign, const struct result_finding *finding,
                    char *path, size_t room)
{
    char dir[4096], disk[4200];

    snprintf(dir, sizeof dir, "%.3900s/seed-%llu/finding-%03llu-%s-%08x", campaign->out,
             (unsigned long long)campaign->seed, (unsigned long long)finding->number,
             rule_name(finding->rule), (unsigned)finding->signature);
    snprintf(path, room, "%s/finding.crash", dir);
    if (!make_dirs(dir)) {
        fprintf(stderr, "%s: cannot be made: %s\n", dir, strerror(errno));
        return;
    }
    write_file(dir, "finding.crash", bytes_str(finding->steps));
    write_file(dir, "original.crash", bytes_str(finding->original));
    write_file(dir, "explain.txt", bytes_str(finding->story));
    write_file(dir, "trace.jsonl", bytes_str(finding->lanes));
    write_env(campaign, finding, dir);
    if (finding->errors.len)
        write_file(dir, "stderr.log", finding->errors);
    snprintf(disk, sizeof disk, "%s/disk", dir);
    if (finding->disk.len && !lanes_write_disk(disk, finding->disk))
        fprintf(stderr, "%s: cannot be written: %s\n", disk, strerror(errno));
}

/* ---- the line of a finding ---- */

/* The models that the story names behind "shows under:". */
static void shows_under(struct json *json, const struct result_finding *finding)
{
    const char *at = strstr(finding->story, "shows under:");

    json_key(json, "shows_under");
    json_array_begin(json);
    for (at = at ? at + strlen("shows under:") : ""; *at == ' ';) {
        size_t len = strcspn(++at, " \n");

        json_bytes(json, bytes_of(at, len));
        at += len;
    }
    json_array_end(json);
}

void results_finding(struct json *json, const struct campaign *campaign,
                     const struct result_finding *finding, const char *path)
{
    char signature[20];

    snprintf(signature, sizeof signature, "%016llx", (unsigned long long)finding->signature);
    json_object_begin(json);
    json_key_text(json, "type", "finding");
    json_key_u64(json, "number", finding->number);
    json_key_u64(json, "task", finding->task);
    json_key_text(json, "signature", signature);
    json_key_text(json, "rule", rule_name(finding->rule));
    json_key_text(json, "meaning", story_meaning(finding->rule));
    json_key_text(json, "text", finding->text);
    json_key_text(json, "store", campaign->store->name);
    json_key_text(json, "model", pc_model_name(finding->model));
    json_key_u64(json, "unit", finding->unit);
    shows_under(json, finding);
    json_key_u64(json, "operations", finding->ops);
    json_key_u64(json, "items", finding->items);
    json_key_text(json, "file", path);
    json_key_text(json, "story", finding->story);
    json_key_text(json, "steps", finding->steps);
    if (*finding->lanes)
        json_key_value(json, "lanes", finding->lanes);
    json_key_seconds(json, "found_after_seconds", finding->seconds);
    json_object_end(json);
    results_line(campaign, json);
}

/* Workflow commands end at a line end: it is written as %0A, and the percent sign as %25. */
static void escaped(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '%' || *text == '\n' || *text == '\r')
            fprintf(out, "%%%02X", (unsigned)(unsigned char)*text);
        else
            fputc(*text, out);
}

void results_annotate(FILE *out, const struct campaign *campaign,
                      const struct result_finding *finding, const char *path)
{
    const char *actions = getenv("GITHUB_ACTIONS");

    if (actions == NULL || strcmp(actions, "true") != 0)
        return;
    fprintf(out, "::error file=%s,title=powercut %s::", path, rule_name(finding->rule));
    escaped(out, story_meaning(finding->rule));
    fputs(": ", out);
    escaped(out, finding->text);
    fprintf(out, "%%0Amodel %s; replay: %s replay %s\n", pc_model_name(finding->model),
            campaign->program, path);
    fflush(out);
}
