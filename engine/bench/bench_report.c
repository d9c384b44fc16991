/* bench_report.c: all results as JSON, and the medians as a table.
 *
 * JSON: one object. `config` what was run, `engines` name and version of each, `results` one object
 * per engine and workload:
 *   engine, workload, unit ("kops/s", or "ms" for what happens once), tables (0 but for
 *   readrandom-tables: how many tables overlapped)
 *   runs: the figure of each run; median; spread: (largest - smallest) / median
 *   p50_ns p99_ns p999_ns max_ns: of single operations, the run of median figure; 0: not measured
 *   write_amplification: bytes given to write() per byte of key and value, flushes and compactions
 *   within the workload included
 *   reads_per_op, read_bytes_per_op: read() calls; engines that map their files show none
 *   space_bytes: allocated on the disk afterwards; memory_bytes: largest resident size of the
 *   process until then, mapped file pages included */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"

static bool once(const struct bench_result *r)
{
    return r->operations == 1;
}

/* Thousands of operations per second, or milliseconds. */
static double figure(const struct bench_result *r)
{
    return once(r) ? r->seconds * 1e3 : (double)r->operations / r->seconds / 1e3;
}

static int by_figure(const void *a, const void *b)
{
    double x = figure(a);
    double y = figure(b);

    return (x > y) - (x < y);
}

static const struct bench_result *median(const struct bench_series *s, struct bench_result *sorted,
                                         double *spread)
{
    const struct bench_result *middle = &sorted[s->count / 2];

    memcpy(sorted, s->runs, s->count * sizeof *sorted);
    qsort(sorted, s->count, sizeof *sorted, by_figure);
    *spread = (figure(&sorted[s->count - 1]) - figure(&sorted[0])) / figure(middle);
    return middle;
}

static void write_series(FILE *out, const struct bench_series *s, bool last)
{
    struct bench_result sorted[BENCH_RUNS_MAX];
    double spread = 0;
    const struct bench_result *m = median(s, sorted, &spread);

    fprintf(out,
            "    {\"engine\": \"%s\", \"workload\": \"%s\", \"unit\": \"%s\", \"tables\": %llu, "
            "\"runs\": [",
            s->engine->name, s->workload, once(m) ? "ms" : "kops/s", (unsigned long long)m->tables);
    for (size_t i = 0; i < s->count; i++)
        fprintf(out, "%s%.3f", i ? ", " : "", figure(&s->runs[i]));
    fprintf(out, "], \"median\": %.3f, \"spread\": %.4f,\n     ", figure(m), spread);
    fprintf(out, "\"p50_ns\": %llu, \"p99_ns\": %llu, \"p999_ns\": %llu, \"max_ns\": %llu, ",
            (unsigned long long)m->p50_ns, (unsigned long long)m->p99_ns,
            (unsigned long long)m->p999_ns, (unsigned long long)m->max_ns);
    fprintf(out,
            "\"write_amplification\": %.3f, \"reads_per_op\": %.4f, "
            "\"read_bytes_per_op\": %.1f,\n     ",
            m->write_amplification, m->reads_per_op, m->read_bytes_per_op);
    fprintf(out, "\"space_bytes\": %llu, \"memory_bytes\": %llu}%s\n", (unsigned long long)m->space,
            (unsigned long long)m->memory, last ? "" : ",");
}

int bench_write_json(const char *path, const struct bench_series *all, size_t count,
                     const struct bench_config *config, unsigned runs)
{
    FILE *out = fopen(path, "w");
    const struct bench_engine *before = NULL;
    bool first = true;

    if (!out) {
        perror(path);
        return 4;
    }
    fprintf(out,
            "{\"type\": \"bench\", \"format\": 1,\n  \"config\": {\"entries\": %llu, "
            "\"key_bytes\": %u, \"value_bytes\": %u, \"write_buffer\": %zu, \"cache\": %zu, "
            "\"runs\": %u},\n  \"engines\": [",
            (unsigned long long)config->entries, BENCH_KEY, BENCH_VALUE, config->write_buffer,
            config->cache, runs);
    for (size_t i = 0; i < count; i++) {
        char version[64];
        bool seen = false;

        for (size_t j = 0; j < i; j++)
            seen |= all[j].engine == all[i].engine;
        before = all[i].engine;
        if (seen)
            continue;
        before->version(version, sizeof version);
        fprintf(out, "%s{\"name\": \"%s\", \"version\": \"%s\"}", first ? "" : ", ", before->name,
                version);
        first = false;
    }
    fprintf(out, "],\n  \"results\": [\n");
    for (size_t i = 0; i < count; i++)
        write_series(out, &all[i], i + 1 == count);
    fprintf(out, "  ]}\n");
    if (fclose(out)) {
        perror(path);
        return 4;
    }
    return 0;
}

static const struct bench_series *find(const struct bench_series *all, size_t count,
                                       const char *workload, uint64_t tables,
                                       const struct bench_engine *engine)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].engine == engine && strcmp(all[i].workload, workload) == 0 &&
            all[i].runs[0].tables == tables)
            return &all[i];
    return NULL;
}

static void write_row(const struct bench_series *all, size_t count, const struct bench_series *row,
                      const struct bench_engine *const *engines, size_t engine_count)
{
    struct bench_result sorted[BENCH_RUNS_MAX];
    char name[64];
    double own = 0;
    double best = 0;
    double level = 0;
    double spread = 0;

    if (row->runs[0].tables)
        snprintf(name, sizeof name, "%s %llu", row->workload,
                 (unsigned long long)row->runs[0].tables);
    else
        snprintf(name, sizeof name, "%s%s", row->workload, once(&row->runs[0]) ? " (ms)" : "");
    printf("%-20s", name);
    for (size_t e = 0; e < engine_count; e++) {
        const struct bench_series *s =
            find(all, count, row->workload, row->runs[0].tables, engines[e]);
        double value = 0;

        if (!s) {
            printf(" %14s", "-");
            continue;
        }
        value = figure(median(s, sorted, &spread));
        printf(" %9.1f \302\261%2.0f%%", value, spread * 50);
        if (once(&s->runs[0]))
            value = 1 / value;
        if (engines[e] == &bench_minivault)
            own = value;
        else if (value > best)
            best = value;
        if (strcmp(engines[e]->name, "leveldb") == 0)
            level = value;
    }
    if (own > 0 && level > 0)
        printf(" %9.2f", own / level);
    else if (best > 0)
        printf(" %9s", "-");
    if (own > 0 && best > 0)
        printf(" %9.2f", own / best);
    printf("\n");
}

static void write_sizes(const struct bench_series *all, size_t count,
                        const struct bench_engine *const *engines, size_t engine_count)
{
    static const char *const rows[] = {"write amplification, fillrandom",
                                       "longest put, fillrandom (ms)", "99.9 % of puts (us)",
                                       "space after compaction (MiB)", "memory (MiB)"};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        printf("%-20.20s", rows[i]);
        for (size_t e = 0; e < engine_count; e++) {
            struct bench_result sorted[BENCH_RUNS_MAX];
            double spread = 0;
            const struct bench_series *s =
                find(all, count, i == 3 ? "compact" : "fillrandom", 0, engines[e]);
            const struct bench_result *m = s ? median(s, sorted, &spread) : NULL;
            double values[5] = {0};

            if (m) {
                values[0] = m->write_amplification;
                values[1] = (double)m->max_ns / 1e6;
                values[2] = (double)m->p999_ns / 1e3;
                values[3] = (double)m->space / 1048576.0;
                values[4] = (double)m->memory / 1048576.0;
                printf(" %9.2f     ", values[i]);
            } else {
                printf(" %14s", "-");
            }
        }
        printf("   %s\n", rows[i]);
    }
}

void bench_write_table(const struct bench_series *all, size_t count,
                       const struct bench_engine *const *engines, size_t engine_count)
{
    printf("\n%-20s", "kops/s, median");
    for (size_t e = 0; e < engine_count; e++)
        printf(" %14s", engines[e]->name);
    printf(" %9s %9s\n", "/leveldb", "/best");
    for (size_t i = 0; i < count; i++) {
        bool seen = false;

        for (size_t j = 0; j < i; j++)
            seen |= strcmp(all[j].workload, all[i].workload) == 0 &&
                    all[j].runs[0].tables == all[i].runs[0].tables;
        if (!seen)
            write_row(all, count, &all[i], engines, engine_count);
    }
    write_sizes(all, count, engines, engine_count);
}
