/* bench.h: what the benchmark's parts share: an engine as a table of calls, a result, a workload.
 *
 * Every engine is opened so that a put which returned survives the death of the process; with
 * `sync` it survives loss of power. An engine that cannot promise that is not compared. Calls that
 * fail end the process with a message: a benchmark of an engine that fails has no result. Thread
 * safety: one thread per handle, but for put and get where `threads` is set. */
#ifndef ENGINE_BENCH_H
#define ENGINE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_KEY      16u  /* bytes of a key */
#define BENCH_VALUE    100u /* bytes of a value; half of it compresses */
#define BENCH_RUNS_MAX 32u

struct bench_config {
    uint64_t entries;
    size_t write_buffer, cache; /* bytes */
    bool compaction;            /* false: leave the tables as flushed */
};

struct bench_pair {
    char key[BENCH_KEY];
    char value[BENCH_VALUE];
};

struct bench_engine {
    const char *name;
    bool threads; /* put and get by several threads at once */
    bool flushes; /* flush makes one table more, and compaction can be switched off */
    void (*version)(char *to, size_t size);
    void *(*open)(const char *dir, const struct bench_config *config);
    void (*close)(void *db);
    void (*put)(void *db, const char *key, const char *value, bool sync);
    void (*remove)(void *db, const char *key);
    void (*batch)(void *db, const struct bench_pair *pairs, size_t count); /* one atomic write */
    bool (*get)(void *db, const char *key, char value[BENCH_VALUE]);       /* false: absent */
    void (*flush)(void *db);   /* NULL: nothing to flush */
    void (*compact)(void *db); /* NULL: nothing to compact */
    void *(*iter)(void *db);
    void (*iter_free)(void *it);
    void (*iter_first)(void *it);
    void (*iter_last)(void *it);
    void (*iter_seek)(void *it, const char *key);
    void (*iter_next)(void *it);
    void (*iter_prev)(void *it);
    /* false: past the end. The views live until the next move. */
    bool (*iter_entry)(void *it, const char **key, const char **value);
};

extern const struct bench_engine bench_minivault, bench_leveldb, bench_rocksdb, bench_lmdb,
    bench_sqlite;

void bench_die(const char *engine, const char *what, const char *why) __attribute__((noreturn));

/* One measurement of one workload. Rates are operations per second. */
struct bench_result {
    char workload[32];
    uint64_t operations;
    double seconds;
    uint64_t p50_ns, p99_ns, p999_ns, max_ns; /* of single operations; 0: not measured */
    double write_amplification;               /* bytes given to write() per byte of the user */
    double reads_per_op, read_bytes_per_op;   /* calls of read(); mapped pages do not show */
    uint64_t space;                           /* bytes of the files afterwards; 0: not measured */
    uint64_t memory;                          /* largest resident size of the process so far */
    uint64_t tables;                          /* read amplification: how many tables there were */
};

/* Runs the group of workloads in a fresh directory `dir` and calls `each` for every result of a
 * workload that `wanted` names (NULL: all). */
struct bench_group {
    const char *workloads[12]; /* which it yields, ended by NULL */
    void (*run)(const struct bench_engine *engine, const struct bench_config *config,
                const char *dir);
};
extern const struct bench_group bench_groups[];
extern const size_t bench_group_count;

/* kvbench.c: the workload's answer to its parent. */
void bench_report(const struct bench_result *result);
bool bench_wanted(const char *workload);
uint64_t bench_now(void); /* nanoseconds */

/* bench_report.c: all results of one workload and engine, over the runs. */
struct bench_series {
    const struct bench_engine *engine;
    struct bench_result runs[BENCH_RUNS_MAX];
    size_t count;
    char workload[32];
};

int bench_write_json(const char *path, const struct bench_series *all, size_t count,
                     const struct bench_config *config, unsigned runs);
void bench_write_table(const struct bench_series *all, size_t count,
                       const struct bench_engine *const *engines, size_t engine_count);

#endif
