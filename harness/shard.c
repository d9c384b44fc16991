/* shard.c: see shard.h. */
#include "shard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/rng.h"

#include "jobs.h"
#include "json.h"
#include "marks.h"
#include "options.h"
#include "results.h"

#define EXIT_AGAIN 75 /* EX_TEMPFAIL: the same command goes on */

struct part {
    uint64_t number, first, traces, id;
    char path[4400];
};

/* ---- which shard ---- */

bool shard_parse(const char *text, struct shard *shard)
{
    unsigned long long index, count;
    char rest;

    if (sscanf(text, "%llu/%llu%c", &index, &count, &rest) != 2 || index >= count || text[0] == '-')
        return false;
    *shard = (struct shard){index, count};
    return true;
}

/* base: the number of the first shard, or the variable that holds it. */
static const struct {
    const char *index, *count, *base;
} variables[] = {
    {"TEST_SHARD_INDEX", "TEST_TOTAL_SHARDS", "0"},   /* Bazel */
    {"GTEST_SHARD_INDEX", "GTEST_TOTAL_SHARDS", "0"}, /* GoogleTest */
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"},
    {"JOB_COMPLETION_INDEX", "POWERCUT_SHARDS", "0"}, /* Kubernetes */
    {"PARALLEL_SEQ", "POWERCUT_SHARDS", "1"},         /* GNU parallel */
    {"CI_NODE_INDEX", "CI_NODE_TOTAL", "1"},          /* GitLab */
};

static bool number_of(const char *text, uint64_t *number)
{
    char *end;

    if (text == NULL || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0;
}

bool shard_from_environment(struct shard *shard, const char **where)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *base = variables[i].base;
        uint64_t index, count, first;

        if (!number_of(getenv(variables[i].index), &index) ||
            !number_of(getenv(variables[i].count), &count))
            continue;
        if (!number_of(*base >= '0' && *base <= '9' ? base : getenv(base), &first))
            continue;
        *where = variables[i].index;
        *shard = (struct shard){index - first, count};
        return index >= first && index - first < count;
    }
    return false;
}

uint64_t shard_units(const struct shard *shard, uint64_t units)
{
    return units / shard->count + (shard->index < units % shard->count);
}

/* Tells the runner that shards are understood. */
static void touch_status(void)
{
    const char *path = getenv("TEST_SHARD_STATUS_FILE");
    int fd = path && *path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;

    if (fd >= 0)
        close(fd);
}

/* ---- the file of a unit ---- */

/* CRC-32 of ISO-HDLC, which every scripting language has. */
static uint32_t crc32_of(const char *data, size_t len)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < len; i++) {
        crc ^= (uint8_t)data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static char *file_text(const char *path, size_t *size)
{
    FILE *in = fopen(path, "rb");
    char *text = NULL, block[8192];
    size_t n;
    FILE *out;

    if (in == NULL)
        return NULL;
    out = open_memstream(&text, size);
    must(out != NULL);
    while ((n = fread(block, 1, sizeof block, in)) > 0)
        fwrite(block, 1, n, out);
    fclose(out);
    fclose(in);
    return text;
}

/* Is the unit there, whole, and of this build? Its exit code then. */
static bool finished(const struct part *unit, int *code)
{
    size_t size = 0, at;
    char *text = file_text(unit->path, &size), build[20] = "";
    unsigned long long id = 0, records = 0;
    unsigned crc = 0;
    bool good = false;

    if (text == NULL)
        return false;
    for (at = size ? size - 1 : 0; at > 0 && text[at - 1] != '\n'; at--)
        ;
    if (size && text[size - 1] == '\n' &&
        sscanf(text + at,
               "{\"type\":\"trailer\",\"unit\":\"%16llx\",\"build\":\"%16[0-9a-z]\",\"exit\":%d,"
               "\"records\":%llu,\"crc32\":\"%8x\"}",
               &id, build, code, &records, &crc) == 5)
        good = id == unit->id && strcmp(build, results_build()) == 0 && crc == crc32_of(text, at);
    free(text);
    return good;
}

static void unit_line(const struct campaign *campaign, const struct part *unit, uint64_t units)
{
    struct json json = {0};
    char id[20];

    snprintf(id, sizeof id, "%016llx", (unsigned long long)unit->id);
    json_object_begin(&json);
    json_key_text(&json, "type", "unit");
    json_key_text(&json, "id", id);
    json_key_u64(&json, "number", unit->number);
    json_key_u64(&json, "units", units);
    json_key_u64(&json, "first", unit->first);
    json_key_u64(&json, "traces", unit->traces);
    json_object_end(&json);
    results_line(campaign, &json);
    json_release(&json);
}

static bool sync_folder(const char *path)
{
    char folder[4400];
    const char *slash = strrchr(path, '/');
    int fd;
    bool good;

    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

/* The lines so far lie in `made`; ends them, and gives the file its name. */
static bool finish(const struct part *unit, const char *made, int code)
{
    size_t size = 0;
    char *text = file_text(made, &size);
    uint64_t records = 0;
    bool good;
    FILE *out;

    if (text == NULL)
        return false;
    for (size_t i = 0; i < size; i++)
        records += text[i] == '\n';
    out = fopen(made, "ab");
    good = out && fprintf(out,
                          "{\"type\":\"trailer\",\"unit\":\"%016llx\",\"build\":\"%s\","
                          "\"exit\":%d,\"records\":%llu,\"crc32\":\"%08x\"}\n",
                          (unsigned long long)unit->id, results_build(), code,
                          (unsigned long long)records, (unsigned)crc32_of(text, size)) > 0;
    good = good && fflush(out) == 0 && fsync(fileno(out)) == 0;
    if (out && fclose(out) != 0)
        good = false;
    free(text);
    return good && rename(made, unit->path) == 0 && sync_folder(unit->path);
}

/* ---- a unit ---- */

static uint64_t unit_id(const struct campaign *campaign, const struct part *unit)
{
    uint64_t parts[] = {results_config_hash(campaign), campaign->max_findings, unit->first,
                        unit->traces};
    uint64_t id = 0x70777263;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        id = rng_mix(id ^ parts[i]);
    return id;
}

/* What ended the run of a unit early: the code of this program. */
static int stopped(const struct campaign *campaign, int code)
{
    if (campaign->interrupted)
        return jobs_signal() == SIGINT ? 130 : EXIT_AGAIN;
    if (campaign->out_of_time)
        return EXIT_AGAIN;
    return code == 0 || code == 1 || code == 3 ? -1 : code;
}

/* Runs a unit that is not there yet. `code` gets its exit code; the answer: -1 go on, else stop. */
static int run_unit(const struct campaign *whole, const struct options *opts,
                    const struct part *unit, uint64_t units, uint64_t time_left,
                    const char *version, int *code)
{
    struct campaign campaign = *whole;
    char made[4500], host[80] = "host", out[4300];
    int stop;

    gethostname(host, sizeof host - 1);
    snprintf(made, sizeof made, "%s.tmp.%ld.%s", unit->path, (long)getpid(), host);
    snprintf(out, sizeof out, "%.4000s/unit-%016llx", whole->out, (unsigned long long)unit->id);
    campaign.out = out;
    campaign.first = unit->first;
    campaign.seeds = unit->traces;
    campaign.time_seconds = time_left;
    campaign.canary = unit->number == 0 ? whole->canary : NULL;
    campaign.brief = true;
    marks_clear(); /* those of the unit before */
    results_file(made, bytes_str(""));
    campaign.results = fopen(made, "wb");
    if (campaign.results == NULL)
        return 4;
    results_header(&campaign, opts, version);
    unit_line(&campaign, unit, units);
    *code = campaign_run(&campaign);
    stop = stopped(&campaign, *code);
    if (fclose(campaign.results) != 0)
        stop = 4;
    if (stop < 0 && !finish(unit, made, *code))
        stop = 4;
    if (stop == 4)
        fprintf(stderr, "%s: cannot be written: %s\n", unit->path, strerror(errno));
    if (stop >= 0)
        unlink(made);
    return stop;
}

static void tell(const struct campaign *campaign, const struct part *unit, uint64_t units, int code,
                 const char *how)
{
    static const char *const words[] = {[0] = "passed", [1] = "FAILED", [3] = "INCONCLUSIVE"};

    if (!campaign->json)
        printf("unit %llu of %llu, traces %llu to %llu: %s, exit %d%s: %s\n",
               (unsigned long long)unit->number, (unsigned long long)units,
               (unsigned long long)unit->first,
               (unsigned long long)(unit->first + unit->traces - 1),
               code == 1 || code == 3 ? words[code] : words[0], code, how, unit->path);
    fflush(stdout);
}

static uint64_t seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec;
}

int shard_run(struct campaign *campaign, const struct options *opts, const struct shard *shard,
              uint64_t size, const char *version)
{
    uint64_t units = (campaign->seeds + size - 1) / size, began = seconds();
    bool failed = false, unsure = false;

    touch_status();
    if (!campaign->quiet)
        fprintf(stderr, "%llu of %llu units\n", (unsigned long long)shard_units(shard, units),
                (unsigned long long)units);
    campaign->forever = false;
    campaign->least_recoveries = 0;
    for (uint64_t u = shard->index; u < units; u += shard->count) {
        struct part unit = {.number = u, .first = u * size, .traces = size};
        uint64_t limit = campaign->time_seconds, spent = seconds() - began;
        const char *how = "";
        int code = 0, stop = -1;

        if (unit.first + size > campaign->seeds)
            unit.traces = campaign->seeds - unit.first;
        unit.id = unit_id(campaign, &unit);
        snprintf(unit.path, sizeof unit.path, "%.4000s/units/unit-%016llx.jsonl", campaign->out,
                 (unsigned long long)unit.id);
        if (finished(&unit, &code))
            how = ", skipped, it is there";
        else if (limit && spent >= limit)
            return EXIT_AGAIN;
        else
            stop =
                run_unit(campaign, opts, &unit, units, limit ? limit - spent : 0, version, &code);
        if (stop >= 0)
            return stop;
        tell(campaign, &unit, units, code, how);
        failed |= code == 1;
        unsure |= code == 3;
    }
    return failed ? 1 : (unsure ? 3 : 0);
}
