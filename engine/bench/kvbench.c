/* kvbench.c: minivault beside the engines that are installed, on the same workloads.
 *
 * Every group of workloads runs in a process of its own and a fresh directory; runs are interleaved
 * (run by run, group by group, engine by engine), so that a machine that slows down slows all of
 * them. usage: kvbench [--entries N] [--runs N] [--engines A,B] [--workloads A,B] [--dir DIR]
 * [--json FILE]. Exit: 0, 1 an engine failed or answered wrongly, 2 usage, 4 environment. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

#define SERIES_MAX 256u

static const struct bench_engine *const known[] = {
    &bench_minivault,
#ifdef BENCH_LEVELDB
    &bench_leveldb,
#endif
#ifdef BENCH_ROCKSDB
    &bench_rocksdb,
#endif
#ifdef BENCH_LMDB
    &bench_lmdb,
#endif
#ifdef BENCH_SQLITE
    &bench_sqlite,
#endif
};
#define KNOWN (sizeof known / sizeof known[0])

static struct bench_series all[SERIES_MAX];
static size_t all_count;
static const struct bench_engine *chosen[KNOWN];
static size_t chosen_count;
static const char *wanted;
static int answer = -1; /* the child's end of the pipe */

uint64_t bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_die(const char *engine, const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", engine, what, why);
    _exit(1);
}

/* Is `name` one of the words of the comma-separated list? NULL: all are. */
static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    if (!list || !*list)
        return true;
    while (list) {
        if (strncmp(list, name, len) == 0 && (list[len] == ',' || list[len] == 0))
            return true;
        list = strchr(list, ',');
        list = list ? list + 1 : NULL;
    }
    return false;
}

bool bench_wanted(const char *workload)
{
    return listed(wanted, workload);
}

void bench_report(const struct bench_result *result)
{
    if (bench_wanted(result->workload) &&
        write(answer, result, sizeof *result) != (ssize_t)sizeof *result)
        bench_die("bench", "pipe", "broken");
}

static void keep(const struct bench_engine *engine, const struct bench_result *result)
{
    struct bench_series *s = NULL;

    for (size_t i = 0; i < all_count; i++)
        if (all[i].engine == engine && strcmp(all[i].workload, result->workload) == 0 &&
            all[i].runs[0].tables == result->tables)
            s = &all[i];
    if (!s) {
        if (all_count == SERIES_MAX)
            bench_die("bench", "results", "too many");
        s = &all[all_count++];
        s->engine = engine;
        memcpy(s->workload, result->workload, sizeof s->workload);
    }
    if (s->count < BENCH_RUNS_MAX)
        s->runs[s->count++] = *result;
    fprintf(stderr, "%-10s %-18s %10.1f %s\n", engine->name, result->workload,
            result->operations == 1 ? result->seconds * 1e3
                                    : (double)result->operations / result->seconds / 1e3,
            result->operations == 1 ? "ms" : "kops/s");
}

static void remove_dir(const char *dir)
{
    struct dirent *entry = NULL;
    DIR *d = opendir(dir);

    while (d && (entry = readdir(d))) {
        char path[600];

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (unlink(path))
            remove_dir(path);
    }
    if (d)
        closedir(d);
    (void)rmdir(dir); /* what is left over is seen by the next open */
}

static bool run_group(const struct bench_group *group, const struct bench_engine *engine,
                      const struct bench_config *config, const char *dir)
{
    struct bench_result result;
    int ends[2];
    int status = 0;
    pid_t child = 0;

    remove_dir(dir);
    if (pipe(ends)) {
        perror("pipe");
        exit(4);
    }
    child = fork();
    if (child == 0) {
        close(ends[0]);
        answer = ends[1];
        group->run(engine, config, dir);
        _exit(0);
    }
    close(ends[1]);
    while (child > 0 && read(ends[0], &result, sizeof result) == (ssize_t)sizeof result)
        keep(engine, &result);
    close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        status = 1;
    remove_dir(dir);
    return status == 0;
}

static bool group_wanted(const struct bench_group *group)
{
    for (size_t i = 0; group->workloads[i]; i++)
        if (bench_wanted(group->workloads[i]))
            return true;
    return false;
}

static int usage(void)
{
    fprintf(stderr, "usage: kvbench [--entries N] [--runs N] [--engines A,B] [--workloads A,B]\n"
                    "               [--dir DIR] [--json FILE]\nengines:");
    for (size_t i = 0; i < KNOWN; i++)
        fprintf(stderr, " %s", known[i]->name);
    fprintf(stderr, "\nworkloads:");
    for (size_t i = 0; i < bench_group_count; i++)
        for (size_t j = 0; bench_groups[i].workloads[j]; j++)
            fprintf(stderr, " %s", bench_groups[i].workloads[j]);
    fprintf(stderr, "\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct bench_config config = {1000000, (size_t)64 << 20, (size_t)64 << 20, true};
    const char *engines = NULL;
    const char *dir = "bench.db";
    const char *json = NULL;
    unsigned runs = 3;
    bool good = true;

    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--entries") == 0)
            config.entries = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--runs") == 0)
            runs = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--engines") == 0)
            engines = value;
        else if (strcmp(argv[i], "--workloads") == 0)
            wanted = value;
        else if (strcmp(argv[i], "--dir") == 0)
            dir = value;
        else if (strcmp(argv[i], "--json") == 0)
            json = value;
        else
            return usage();
    }
    for (size_t i = 0; i < KNOWN; i++)
        if (listed(engines, known[i]->name))
            chosen[chosen_count++] = known[i];
    if (!chosen_count || config.entries < 100 || config.entries > 1000000000 || runs < 1 ||
        runs > BENCH_RUNS_MAX || strlen(dir) > 500)
        return usage();
    for (unsigned run = 0; run < runs; run++)
        for (size_t g = 0; g < bench_group_count; g++)
            for (size_t e = 0; e < chosen_count && group_wanted(&bench_groups[g]); e++)
                good &= run_group(&bench_groups[g], chosen[(e + run) % chosen_count], &config, dir);
    if (!all_count)
        return good ? usage() : 1;
    bench_write_table(all, all_count, chosen, chosen_count);
    if (json && bench_write_json(json, all, all_count, &config, runs))
        return 4;
    return good ? 0 : 1;
}
