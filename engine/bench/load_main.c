/* load_main.c: loads a database, and holds the engine to what it says of itself (README: Memory,
 * descriptors, pace).
 *
 * While it loads: memory and its peak stay within the stated sum, open tables and descriptors
 * within theirs, level 0 within five times its limit. When it is quiet: no level above its target,
 * vault_check finds nothing. After a compaction: little more space than the data, every key there
 * once, in order, with its value. Prints what it measured; exit 1 and a line for each breach.
 *
 * usage: load --dir DIR [--keys N] [--value BYTES] [--seed N] [--set NAME=VALUE]... [--keep]
 * Keys have 16 bytes and come in a scattered order, each once. */
#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/rng.h"
#include "minivault/minivault.h"

#define MIB         ((uint64_t)1 << 20)
#define SAMPLE      2048u  /* puts between two looks */
#define SPACE_LIMIT 1013u  /* thousandths of the data after a compaction */
#define SPACE_FIXED 65536u /* and what the manifest and a small last table may add */

/* The address sanitizer keeps what was freed, so the resident memory says nothing there. */
#ifdef __SANITIZE_ADDRESS__
#define RESIDENT_TELLS false
#else
#define RESIDENT_TELLS true
#endif

struct load {
    const char *dir;
    uint64_t keys, seed, bits;
    size_t value_len;
    bool keep;
    struct vault_options options;
    struct vault *v;
    uint64_t rss_peak, memory_peak, budget_then, tables_peak;
    unsigned level0_peak, open_peak, files_peak, breaches;
    char value[65536];
};

__attribute__((format(printf, 2, 3))) static void breach(struct load *l, const char *format, ...)
{
    va_list args;

    if (l->breaches++ > 20)
        return;
    va_start(args, format);
    fputs("BREACH: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

static void need(struct load *l, enum vault_status st, const char *what)
{
    struct vault_error error = {0};

    if (!st)
        return;
    if (l->v)
        vault_last_error(l->v, &error);
    fprintf(stderr, "load: %s: %s %s %s\n", what, vault_status_name(st), error.file, error.what);
    exit(2);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A permutation of [0, 2^bits): each key once, in a scattered order. */
static uint64_t scattered(const struct load *l, uint64_t n)
{
    uint64_t mask = ((uint64_t)1 << l->bits) - 1;

    for (int round = 0; round < 3; round++) {
        n = (n * 0x9e3779b97f4a7c15u + l->seed) & mask;
        n ^= n >> (l->bits / 2);
    }
    return n & mask;
}

static void key_of(uint64_t n, char to[17])
{
    snprintf(to, 17, "%016" PRIx64, n);
}

/* Half of it repeats, so that it compresses by half; the first bytes tell the key. */
static void value_of(struct load *l, uint64_t n)
{
    struct rng r = rng_seeded(n);

    for (size_t i = 0; i < l->value_len; i++)
        l->value[i] = i < 8 ? (char)(n >> (8 * i)) : i % 2 ? 'x' : (char)rng_next(&r);
}

static uint64_t rss(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static unsigned files_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the directory itself */
}

static uint64_t tables_of(const struct vault_stats *s)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        count += s->tables[i];
    return count;
}

/* What README states. */
static uint64_t budget_of(const struct load *l, uint64_t tables)
{
    const struct vault_options *o = &l->options;

    return 2 * (o->write_buffer_size + MIB) + o->block_cache_size + o->table_memory + MIB +
           tables * (400 + 32);
}

static void look(struct load *l)
{
    struct vault_stats s;
    uint64_t budget, resident = rss();
    unsigned files = files_open();

    vault_get_stats(l->v, &s);
    if (tables_of(&s) > l->tables_peak)
        l->tables_peak = tables_of(&s);
    /* Inputs and outputs of a compaction are there beside each other. */
    budget = budget_of(l, 2 * l->tables_peak + 64);
    l->budget_then = budget;
    l->memory_peak = s.memory_peak;
    l->rss_peak = resident > l->rss_peak ? resident : l->rss_peak;
    l->level0_peak = s.tables[0] > l->level0_peak ? s.tables[0] : l->level0_peak;
    l->open_peak = s.open_tables > l->open_peak ? s.open_tables : l->open_peak;
    l->files_peak = files > l->files_peak ? files : l->files_peak;
    if (s.memory_peak > budget)
        breach(l, "memory: %" PRIu64 " bytes held, %" PRIu64 " stated", s.memory_peak, budget);
    if (s.tables[0] > 5 * l->options.level0_tables + 1)
        breach(l, "level 0 has %u tables", s.tables[0]);
    if (s.open_tables > l->options.open_tables + 64)
        breach(l, "%u tables open, %u stated", s.open_tables, l->options.open_tables);
    if (files > l->options.open_tables + 64 + 16)
        breach(l, "%u descriptors", files);
}

static void fill(struct load *l)
{
    uint64_t put = 0;
    char key[17];

    for (uint64_t n = 0; put < l->keys; n++) {
        uint64_t k = scattered(l, n);

        if (k >= l->keys)
            continue;
        key_of(k, key);
        value_of(l, k);
        need(l, vault_put(l->v, key, 16, l->value, l->value_len, false, NULL), "put");
        if (++put % SAMPLE == 0)
            look(l);
    }
    look(l);
}

/* No level has more than its target: then nothing is due. */
static bool quiet(const struct load *l, bool say, struct load *breached)
{
    struct vault_stats s;
    uint64_t target = l->options.level1_size;
    bool good = true;

    vault_get_stats(l->v, &s);
    for (unsigned i = 0; i + 1 < VAULT_LEVELS; i++) {
        bool fits = i ? s.bytes[i] < target : s.tables[0] < l->options.level0_tables;

        if (say && (s.tables[i] || i == 0))
            printf("level %u: %u tables, %" PRIu64 " bytes of %" PRIu64 "\n", i, s.tables[i],
                   s.bytes[i], i ? target : 0);
        if (!fits && breached)
            breach(breached, "level %u is above its target", i);
        good &= fits;
        target = i ? target * l->options.level_multiplier : target;
    }
    return good;
}

static void settle(struct load *l)
{
    struct vault_error error = {0};

    need(l, vault_flush(l->v), "flush");
    for (int i = 0; i < 6000 && !quiet(l, false, NULL); i++)
        usleep(100000);
    quiet(l, true, l);
    if (vault_check(l->v, &error))
        breach(l, "vault_check: %s %s", error.file, error.what);
}

static void read_back(struct load *l)
{
    struct vault_iter *it = NULL;
    uint64_t n = 0;
    char key[17];

    need(l, vault_iter_new(l->v, NULL, &it), "iterator");
    for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it), n++) {
        size_t key_len, value_len;
        const void *k = vault_iter_key(it, &key_len), *v = vault_iter_value(it, &value_len);

        key_of(n, key);
        value_of(l, n);
        if (key_len != 16 || memcmp(k, key, 16) != 0 || value_len != l->value_len ||
            memcmp(v, l->value, value_len) != 0) {
            breach(l, "key number %" PRIu64 " is another", n);
            break;
        }
    }
    need(l, vault_iter_status(it), "iterate");
    vault_iter_free(it);
    if (n != l->keys)
        breach(l, "%" PRIu64 " keys were read", n);
}

static void measure_space(struct load *l)
{
    uint64_t data = l->keys * (16 + l->value_len), bytes = 0;
    struct vault_stats s;

    need(l, vault_compact_range(l->v, NULL, 0, NULL, 0), "compact");
    look(l);
    vault_get_stats(l->v, &s);
    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        bytes += s.bytes[i];
    printf("space: %.1f MiB for %.1f MiB of data (%.1f %%)\n", (double)bytes / (double)MIB,
           (double)data / (double)MIB, 100.0 * (double)bytes / (double)data);
    if (l->value_len >= 100 && bytes > data / 1000 * SPACE_LIMIT + SPACE_FIXED)
        breach(l, "space: %" PRIu64 " bytes for %" PRIu64, bytes, data);
}

static void set_option(struct load *l, const char *text)
{
    const char *equals = strchr(text, '=');
    const struct vault_field *f = vault_fields("options", NULL);
    uint64_t value = equals ? strtoull(equals + 1, NULL, 10) : 0;

    while (equals && f->name &&
           (strlen(f->name) != (size_t)(equals - text) ||
            memcmp(f->name, text, (size_t)(equals - text)) != 0))
        f++;
    if (!equals || !f->name || f->kind == VAULT_FIELD_POINTER) {
        fprintf(stderr, "load: no option %s\n", text);
        exit(2);
    }
    for (uint32_t i = 0; i < f->count; i++)
        memcpy((char *)&l->options + f->offset + (size_t)i * f->size, &value, f->size);
}

static void take_options(struct load *l, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--keep") == 0) {
            l->keep = true;
            continue;
        }
        if (strcmp(argv[i], "--dir") == 0)
            l->dir = next;
        else if (strcmp(argv[i], "--keys") == 0)
            l->keys = strtoull(next, NULL, 10);
        else if (strcmp(argv[i], "--value") == 0)
            l->value_len = strtoull(next, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            l->seed = strtoull(next, NULL, 10);
        else if (strcmp(argv[i], "--set") == 0)
            set_option(l, next);
        else
            l->dir = NULL, i = argc;
        i++;
    }
    if (!l->dir || !*l->dir || !l->keys || l->value_len < 8 || l->value_len > sizeof l->value) {
        fprintf(stderr, "usage: load --dir DIR [--keys N] [--value 8..65536] [--seed N] "
                        "[--set NAME=VALUE]... [--keep]\n");
        exit(2);
    }
    while ((uint64_t)1 << l->bits < l->keys || l->bits < 4)
        l->bits++;
}

static void tell(const struct load *l, double took)
{
    struct vault_stats s;

    vault_get_stats(l->v, &s);
    printf("loaded: %" PRIu64 " keys in %.1f s, %.0f a second; write amplification %.2f\n", l->keys,
           took, (double)l->keys / took, (double)s.write_amplification / 1000);
    printf("memory: peak %.1f MiB of %.1f stated; resident peak %.1f MiB\n",
           (double)l->memory_peak / (double)MIB, (double)l->budget_then / (double)MIB,
           (double)l->rss_peak / (double)MIB);
    printf("descriptors: at most %u, open tables %u of %u; tables %" PRIu64 ", on level 0 %u\n",
           l->files_peak, l->open_peak, l->options.open_tables, l->tables_peak, l->level0_peak);
    printf("stalls: %" PRIu64 ", %.2f s in all; syncs %" PRIu64 "\n", s.stalls,
           (double)s.stall_ns / 1e9, s.syncs);
}

int main(int argc, char **argv)
{
    static struct load l = {.keys = 1000000, .value_len = 100, .seed = 1};
    double began;

    vault_options_init(&l.options);
    take_options(&l, argc, argv);
    if (vault_destroy(l.dir, NULL) != VAULT_NOT_FOUND)
        printf("%s was there and was removed\n", l.dir);
    need(&l, vault_open(l.dir, &l.options, &l.v, NULL), "open");
    began = seconds();
    fill(&l);
    tell(&l, seconds() - began);
    settle(&l);
    measure_space(&l);
    read_back(&l);
    look(&l);
    /* The allocator keeps some of what was given back. */
    if (RESIDENT_TELLS && l.rss_peak > l.budget_then + l.budget_then / 4 + 24 * MIB)
        breach(&l, "resident: %" PRIu64 " bytes", l.rss_peak);
    printf("resident peak %.1f MiB; %u breaches\n", (double)l.rss_peak / (double)MIB, l.breaches);
    need(&l, vault_close(l.v), "close");
    if (!l.keep)
        need(&l, vault_destroy(l.dir, NULL), "destroy");
    return l.breaches != 0;
}
