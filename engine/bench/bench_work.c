/* bench_work.c: the workloads, the same for every engine.
 *
 * Keys are 16 digits. A value is a function of its key and of how often the key was written, so
 * that every read can be checked byte for byte; half of its bytes repeat, as db_bench has it. Each
 * key is written once by the fill workloads (fillrandom is a permutation), so the data is exactly
 * entries * 116 bytes. What is read is compared while the clock runs; a memcmp of 100 bytes is the
 * same for all. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/rng.h"
#include "bench.h"

#define POOL    ((size_t)1 << 20)
#define BATCH   100u
#define BUCKETS (64u * 16u)

struct io_counts {
    uint64_t read_calls, read_bytes, write_bytes;
};

/* A run in progress. */
struct run {
    const struct bench_engine *engine;
    const struct bench_config *config;
    const char *dir;
    void *db;
    uint8_t *writes; /* per key: how often it was written; 0: absent */
    uint64_t from, last, longest;
    struct io_counts before;
    uint64_t histogram[BUCKETS];
    uint64_t timed;
    uint64_t tables; /* of the tables group */
};

static char pool[POOL + 128];

static void fill_pool(void)
{
    struct rng r = rng_seeded(301);

    for (size_t i = 0; i < sizeof pool; i++)
        pool[i] = (char)rng_next(&r);
}

static void key_of(uint64_t n, char key[BENCH_KEY])
{
    for (int i = (int)BENCH_KEY - 1; i >= 0; i--) {
        key[i] = (char)('0' + n % 10);
        n /= 10;
    }
}

/* 50 bytes that look random, and the same again. */
static void value_of(uint64_t n, unsigned writes, char value[BENCH_VALUE])
{
    const char *from = pool + (rng_mix(n * 256 + writes) & (POOL - 1));

    memcpy(value, from, BENCH_VALUE / 2);
    memcpy(value + BENCH_VALUE / 2, from, BENCH_VALUE / 2);
}

static void check(const struct run *r, bool good, const char *what)
{
    if (!good)
        bench_die(r->engine->name, what, "the engine gave a wrong answer");
}

static void check_value(const struct run *r, uint64_t n, const char *value)
{
    const char *from = pool + (rng_mix(n * 256 + r->writes[n]) & (POOL - 1));

    check(r, memcmp(value, from, BENCH_VALUE / 2) == 0, "value");
    check(r, memcmp(value + BENCH_VALUE / 2, from, BENCH_VALUE / 2) == 0, "value");
}

static struct io_counts io_now(void)
{
    struct io_counts io = {0};
    char line[128];
    FILE *file = fopen("/proc/self/io", "r");

    while (file && fgets(line, sizeof line, file)) {
        unsigned long long n = 0;

        if (sscanf(line, "rchar: %llu", &n) == 1)
            io.read_bytes = n;
        else if (sscanf(line, "wchar: %llu", &n) == 1)
            io.write_bytes = n;
        else if (sscanf(line, "syscr: %llu", &n) == 1)
            io.read_calls = n;
    }
    if (file)
        fclose(file);
    return io;
}

static uint64_t space_of(const char *dir)
{
    uint64_t sum = 0;
    struct dirent *entry = NULL;
    DIR *d = opendir(dir);

    while (d && (entry = readdir(d))) {
        char path[600];
        struct stat info;

        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (stat(path, &info) == 0 && S_ISREG(info.st_mode))
            sum += (uint64_t)info.st_blocks * 512;
    }
    if (d)
        closedir(d);
    return sum;
}

static void begin(struct run *r)
{
    memset(r->histogram, 0, sizeof r->histogram);
    r->timed = r->longest = 0;
    r->before = io_now();
    r->from = r->last = bench_now();
}

static unsigned bucket_of(uint64_t ns)
{
    unsigned top = ns < 16 ? 0 : (unsigned)(63 - __builtin_clzll(ns)) - 3;

    return ns < 16 ? (unsigned)ns : top * 16 + (unsigned)(ns >> (top - 1) & 15);
}

static uint64_t bucket_value(unsigned bucket)
{
    unsigned top = bucket / 16;

    return top == 0 ? bucket : (uint64_t)(16 + bucket % 16) << (top - 1);
}

/* One operation has ended; the next one begins. */
static void tick(struct run *r)
{
    uint64_t now = bench_now();
    uint64_t ns = now - r->last;

    r->histogram[bucket_of(ns)]++;
    r->timed++;
    if (ns > r->longest)
        r->longest = ns;
    r->last = now;
}

static uint64_t percentile(const struct run *r, uint64_t per_thousand)
{
    uint64_t want = r->timed * per_thousand / 1000;
    uint64_t seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += r->histogram[i];
        if (seen > want)
            return bucket_value(i);
    }
    return r->longest;
}

static void end(struct run *r, const char *workload, uint64_t operations, uint64_t written)
{
    uint64_t now = bench_now();
    struct io_counts io = io_now();
    struct rusage usage;
    struct bench_result result = {
        .operations = operations,
        .tables = r->tables,
        .seconds = (double)(now - r->from) / 1e9,
        .reads_per_op = (double)(io.read_calls - r->before.read_calls) / (double)operations,
        .read_bytes_per_op = (double)(io.read_bytes - r->before.read_bytes) / (double)operations,
    };

    if (r->timed) {
        result.p50_ns = percentile(r, 500);
        result.p99_ns = percentile(r, 990);
        result.p999_ns = percentile(r, 999);
        result.max_ns = r->longest;
    }
    if (written)
        result.write_amplification =
            (double)(io.write_bytes - r->before.write_bytes) / (double)written;
    getrusage(RUSAGE_SELF, &usage);
    result.memory = (uint64_t)usage.ru_maxrss * 1024;
    result.space = space_of(r->dir);
    snprintf(result.workload, sizeof result.workload, "%s", workload);
    bench_report(&result);
}

static void open_run(struct run *r, const struct bench_engine *engine,
                     const struct bench_config *config, const char *dir)
{
    memset(r, 0, sizeof *r);
    fill_pool();
    r->engine = engine;
    r->config = config;
    r->dir = dir;
    r->writes = calloc(config->entries, 1);
    if (!r->writes)
        bench_die("bench", "memory", "none");
    r->db = engine->open(dir, config);
}

static void close_run(struct run *r)
{
    r->engine->close(r->db);
    free(r->writes);
}

/* A permutation of [0, n) without a table: a random walk through a Feistel network that skips what
 * is out of range. */
static uint64_t permute(uint64_t i, uint64_t n, uint64_t seed)
{
    unsigned half = 1;

    while (((uint64_t)1 << 2 * half) < n)
        half++;
    do {
        uint64_t mask = ((uint64_t)1 << half) - 1;
        uint64_t left = i >> half;
        uint64_t right = i & mask;

        for (unsigned round = 0; round < 4; round++) {
            uint64_t next = left ^ (rng_mix(right * 4 + round + seed) & mask);

            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}

/* Everything is there and nothing else, in order: the check behind the fill workloads. */
static void check_all(struct run *r)
{
    const char *key = NULL;
    const char *value = NULL;
    char expected[BENCH_KEY];
    uint64_t n = 0;
    void *it = r->engine->iter(r->db);

    r->engine->iter_first(it);
    for (n = 0; n < r->config->entries; n++) {
        if (!r->writes[n])
            continue;
        check(r, r->engine->iter_entry(it, &key, &value), "scan ends early");
        key_of(n, expected);
        check(r, memcmp(key, expected, BENCH_KEY) == 0, "key");
        check_value(r, n, value);
        r->engine->iter_next(it);
    }
    check(r, !r->engine->iter_entry(it, &key, &value), "more entries than were written");
    r->engine->iter_free(it);
}

static void put(struct run *r, uint64_t n, bool sync)
{
    char key[BENCH_KEY];
    char value[BENCH_VALUE];

    key_of(n, key);
    value_of(n, ++r->writes[n], value);
    r->engine->put(r->db, key, value, sync);
}

static uint64_t bytes_of_entries(uint64_t count)
{
    return count * (BENCH_KEY + BENCH_VALUE);
}

static void fill(struct run *r, const char *workload, bool ascending, bool sync, uint64_t count)
{
    begin(r);
    for (uint64_t i = 0; i < count; i++) {
        put(r, ascending ? i : permute(i, r->config->entries, 1), sync);
        tick(r);
    }
    end(r, workload, count, bytes_of_entries(count));
}

static void run_fillseq(const struct bench_engine *engine, const struct bench_config *config,
                        const char *dir)
{
    struct run r;

    open_run(&r, engine, config, dir);
    fill(&r, "fillseq", true, false, config->entries);
    check_all(&r);
    close_run(&r);
}

static void fill_batches(const struct bench_engine *engine, const struct bench_config *config,
                         const char *dir, const char *workload, bool ascending)
{
    static struct bench_pair pairs[BATCH];
    struct run r;

    open_run(&r, engine, config, dir);
    begin(&r);
    for (uint64_t i = 0; i < config->entries;) {
        size_t count = 0;

        for (; count < BATCH && i < config->entries; count++, i++) {
            uint64_t n = ascending ? i : permute(i, config->entries, 1);

            key_of(n, pairs[count].key);
            value_of(n, ++r.writes[n], pairs[count].value);
        }
        engine->batch(r.db, pairs, count);
        tick(&r);
    }
    end(&r, workload, config->entries, bytes_of_entries(config->entries));
    check_all(&r);
    close_run(&r);
}

static void run_fillbatch(const struct bench_engine *engine, const struct bench_config *config,
                          const char *dir)
{
    fill_batches(engine, config, dir, "fillbatch", true);
}

static void run_fillrandbatch(const struct bench_engine *engine, const struct bench_config *config,
                              const char *dir)
{
    fill_batches(engine, config, dir, "fillrandbatch", false);
}

static uint64_t sync_count(const struct bench_config *config)
{
    uint64_t count = config->entries / 100;

    return count ? count : 1;
}

static void run_fillsync(const struct bench_engine *engine, const struct bench_config *config,
                         const char *dir)
{
    struct run r;

    open_run(&r, engine, config, dir);
    fill(&r, "fillsync", false, true, sync_count(config));
    check_all(&r);
    close_run(&r);
}

#define SYNC_THREADS 4u

struct sync_thread {
    struct run *r;
    uint64_t from, to;
    pthread_t thread;
};

static void *sync_some(void *arg)
{
    struct sync_thread *t = arg;

    for (uint64_t i = t->from; i < t->to; i++)
        put(t->r, permute(i, t->r->config->entries, 1), true);
    return NULL;
}

/* Four writers, each of which waits for its sync: what group commit is for. */
static void run_fillsync4(const struct bench_engine *engine, const struct bench_config *config,
                          const char *dir)
{
    struct sync_thread threads[SYNC_THREADS];
    uint64_t share = sync_count(config) / SYNC_THREADS;
    struct run r;

    if (!engine->threads || !share)
        return;
    open_run(&r, engine, config, dir);
    begin(&r);
    for (unsigned i = 0; i < SYNC_THREADS; i++) {
        threads[i] = (struct sync_thread){.r = &r, .from = i * share, .to = (i + 1) * share};
        if (pthread_create(&threads[i].thread, NULL, sync_some, &threads[i]))
            bench_die("bench", "thread", "none");
    }
    for (unsigned i = 0; i < SYNC_THREADS; i++)
        pthread_join(threads[i].thread, NULL);
    end(&r, "fillsync4", share * SYNC_THREADS, bytes_of_entries(share * SYNC_THREADS));
    check_all(&r);
    close_run(&r);
}

static void read_random(struct run *r, const char *workload, uint64_t count)
{
    struct rng rng = rng_seeded(77);
    char key[BENCH_KEY];
    char value[BENCH_VALUE];

    begin(r);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t n = rng_below(&rng, r->config->entries);
        bool found = false;

        key_of(n, key);
        found = r->engine->get(r->db, key, value);
        check(r, found == (r->writes[n] > 0), "presence");
        if (found)
            check_value(r, n, value);
        tick(r);
    }
    end(r, workload, count, 0);
}

static void read_missing(struct run *r)
{
    struct rng rng = rng_seeded(78);
    char key[BENCH_KEY];
    char value[BENCH_VALUE];

    begin(r);
    for (uint64_t i = 0; i < r->config->entries; i++) {
        key_of(rng_below(&rng, r->config->entries), key);
        key[BENCH_KEY - 1] = 'x'; /* within the range of the keys */
        check(r, !r->engine->get(r->db, key, value), "absence");
        tick(r);
    }
    end(r, "readmissing", r->config->entries, 0);
}

static void scan(struct run *r, const char *workload, bool forward)
{
    const struct bench_engine *e = r->engine;
    const char *key = NULL;
    const char *value = NULL;
    uint64_t count = 0;
    uint64_t sum = 0;
    void *it = NULL;

    begin(r);
    it = e->iter(r->db);
    if (forward)
        e->iter_first(it);
    else
        e->iter_last(it);
    while (e->iter_entry(it, &key, &value)) {
        sum += (uint8_t)key[BENCH_KEY - 1] + (uint8_t)value[BENCH_VALUE - 1];
        count++;
        if (forward)
            e->iter_next(it);
        else
            e->iter_prev(it);
    }
    e->iter_free(it);
    end(r, workload, r->config->entries, 0);
    check(r, count == r->config->entries, "number of entries of a scan");
    for (uint64_t n = 0; n < r->config->entries; n++) {
        char expected[BENCH_VALUE];

        value_of(n, r->writes[n], expected);
        sum -= '0' + n % 10 + (uint8_t)expected[BENCH_VALUE - 1];
    }
    check(r, sum == 0, "sum over a scan");
}

static void seek_random(struct run *r)
{
    const struct bench_engine *e = r->engine;
    struct rng rng = rng_seeded(79);
    uint64_t count = r->config->entries / 4 + 1;
    char target[BENCH_KEY];

    begin(r);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t n = rng_below(&rng, r->config->entries);
        void *it = e->iter(r->db);
        const char *key = NULL;
        const char *value = NULL;

        key_of(n, target);
        e->iter_seek(it, target);
        for (unsigned j = 0; j <= 10 && e->iter_entry(it, &key, &value); j++) {
            check_value(r, n + j, value);
            e->iter_next(it);
        }
        e->iter_free(it);
        tick(r);
    }
    end(r, "seekrandom", count, 0);
}

struct slow_writer {
    struct run *r;
    bool stop;
    uint64_t count;
    pthread_t thread;
};

/* 50,000 puts a second, in portions of 50 each millisecond, of keys beside those that are read. */
static void *write_slowly(void *arg)
{
    struct slow_writer *w = arg;
    uint64_t next = bench_now();
    char key[BENCH_KEY];
    char value[BENCH_VALUE];

    while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
        for (unsigned i = 0; i < 50; i++, w->count++) {
            key_of(permute(w->count % w->r->config->entries, w->r->config->entries, 9), key);
            key[0] = '9';
            value_of(w->count, 1, value);
            w->r->engine->put(w->r->db, key, value, false);
        }
        next += 1000000;
        while (bench_now() < next) {
            struct timespec nap = {0, 100000};

            nanosleep(&nap, NULL);
        }
    }
    return NULL;
}

static void read_while_writing(struct run *r)
{
    struct slow_writer w = {.r = r};

    if (!r->engine->threads || !bench_wanted("readwhilewriting"))
        return;
    if (pthread_create(&w.thread, NULL, write_slowly, &w))
        bench_die("bench", "thread", "none");
    read_random(r, "readwhilewriting", r->config->entries);
    __atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
    pthread_join(w.thread, NULL);
}

static void overwrite(struct run *r)
{
    struct rng rng = rng_seeded(80);

    begin(r);
    for (uint64_t i = 0; i < r->config->entries; i++) {
        put(r, rng_below(&rng, r->config->entries), false);
        tick(r);
    }
    end(r, "overwrite", r->config->entries, bytes_of_entries(r->config->entries));
}

static void delete_random(struct run *r)
{
    char key[BENCH_KEY];

    begin(r);
    for (uint64_t i = 0; i < r->config->entries; i++) {
        uint64_t n = permute(i, r->config->entries, 3);

        key_of(n, key);
        r->engine->remove(r->db, key);
        r->writes[n] = 0;
        tick(r);
    }
    end(r, "deleterandom", r->config->entries, r->config->entries * BENCH_KEY);
    for (uint64_t n = 0; n < r->config->entries; n++) {
        char value[BENCH_VALUE];

        key_of(n, key);
        check(r, !r->engine->get(r->db, key, value), "a deleted key is there");
    }
}

static void compact(struct run *r)
{
    if (!r->engine->compact)
        return;
    begin(r);
    r->engine->compact(r->db);
    end(r, "compact", 1, 0);
}

static void reopen(struct run *r)
{
    begin(r);
    r->db = r->engine->open(r->dir, r->config);
    end(r, "reopen", 1, 0);
}

static void run_main(const struct bench_engine *engine, const struct bench_config *config,
                     const char *dir)
{
    struct run r;

    open_run(&r, engine, config, dir);
    fill(&r, "fillrandom", false, false, config->entries);
    if (bench_wanted("overwrite") || bench_wanted("readrandom-left"))
        overwrite(&r);
    if (bench_wanted("readrandom-left"))
        read_random(&r, "readrandom-left", config->entries);
    compact(&r);
    read_random(&r, "readrandom", config->entries);
    if (bench_wanted("readmissing"))
        read_missing(&r);
    scan(&r, "readseq", true);
    scan(&r, "readreverse", false);
    if (bench_wanted("seekrandom"))
        seek_random(&r);
    check_all(&r);
    engine->close(r.db);
    reopen(&r);
    if (bench_wanted("deleterandom"))
        delete_random(&r);
    close_run(&r);
}

/* Apart, because its writer leaves entries that the other checks do not expect. */
static void run_readwhilewriting(const struct bench_engine *engine,
                                 const struct bench_config *config, const char *dir)
{
    struct run r;

    if (!engine->threads)
        return;
    open_run(&r, engine, config, dir);
    for (uint64_t i = 0; i < config->entries; i++)
        put(&r, permute(i, config->entries, 1), false);
    if (engine->compact)
        engine->compact(r.db);
    read_while_writing(&r);
    close_run(&r);
}

/* A process writes 64 MiB that stay in the log and dies; opening has to bring them back. */
static void run_recover(const struct bench_engine *engine, const struct bench_config *config,
                        const char *dir)
{
    struct bench_config big = *config;
    uint64_t count = config->entries * 58 / 100;
    struct run r;
    int status = 0;
    pid_t child = 0;

    big.write_buffer = config->write_buffer * 4;
    child = fork();
    if (child == 0) {
        open_run(&r, engine, &big, dir);
        for (uint64_t i = 0; i < count; i++)
            put(&r, permute(i, config->entries, 1), false);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status)
        bench_die(engine->name, "recover", "the writer failed");
    memset(&r, 0, sizeof r);
    fill_pool();
    r.engine = engine;
    r.config = &big;
    r.dir = dir;
    r.writes = calloc(config->entries, 1);
    if (!r.writes)
        bench_die("bench", "memory", "none");
    for (uint64_t i = 0; i < count; i++)
        r.writes[permute(i, config->entries, 1)] = 1;
    begin(&r);
    r.db = engine->open(dir, &big);
    end(&r, "recover", 1, 0);
    check_all(&r);
    close_run(&r);
}

/* Random gets against a growing number of overlapping tables, without compaction or cache. */
static void run_tables(const struct bench_engine *engine, const struct bench_config *config,
                       const char *dir)
{
    struct bench_config small = *config;
    uint64_t share = config->entries / 64;
    struct run r;

    if (!engine->flushes || !share)
        return;
    small.compaction = false;
    small.cache = 0;
    small.entries = share * 16;
    open_run(&r, engine, &small, dir);
    for (uint64_t tables = 1, i = 0; tables <= 16; tables++) {
        for (uint64_t end_of = i + share; i < end_of; i++)
            put(&r, permute(i, small.entries, 1), false);
        engine->flush(r.db);
        if (tables & (tables - 1))
            continue;
        r.tables = tables;
        read_random(&r, "readrandom-tables", small.entries / 4);
    }
    close_run(&r);
}

const struct bench_group bench_groups[] = {
    {{"fillseq"}, run_fillseq},
    {{"fillbatch"}, run_fillbatch},
    {{"fillrandbatch"}, run_fillrandbatch},
    {{"fillsync"}, run_fillsync},
    {{"fillsync4"}, run_fillsync4},
    {{"fillrandom", "overwrite", "readrandom-left", "compact", "readrandom", "readmissing",
      "readseq", "readreverse", "seekrandom", "reopen", "deleterandom"},
     run_main},
    {{"readwhilewriting"}, run_readwhilewriting},
    {{"recover"}, run_recover},
    {{"readrandom-tables"}, run_tables},
};
const size_t bench_group_count = sizeof bench_groups / sizeof bench_groups[0];
