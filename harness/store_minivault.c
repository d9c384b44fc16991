/* store_minivault.c: the glue between the harness and minivault: inline background work, memory
 * from the harness, everything that minivault.h promises. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "minivault/minivault.h"
#include "powercut/hooks.h"
#include "powercut/store.h"

#include "base/check.h"

#define WRITE_EXTRA  48u    /* of an operation, beside key and value */
#define OTHER_FILES  4u     /* directory, lock, manifest, log */
#define MEMORY_EXTRA 20480u /* what a handle has at least, and what is not full in its parts */
#define TABLE_EXTRA  600u   /* a table that is known: the entry, its two keys */
#define TABLE_TAIL   512u   /* filter, index and footer of a small table */

struct handle {
    struct vault *vault;
    struct vault_cache *shared;     /* NULL: it has a cache of its own */
    struct vault_cache *own_shared; /* the same, where it goes with the handle */
    struct vault *neighbour;        /* which has blocks in it; NULL: none */
    struct vault_allocator allocator;
    struct vault_batch *batch;
    struct vault_listener listener;
    bool no_log, compressed;
    uint64_t level0_tables, block_size, open_tables, memory; /* of the options */
    uint64_t largest;                                        /* atomic; bytes of a write */
    uint64_t jobs_told, bytes_told, durable_told;            /* atomic; by events */
    uint64_t rate;                                           /* of the options */
};

extern const struct pc_store store_minivault;

static enum pc_store_status translated(enum vault_status st)
{
    static const enum pc_store_status table[] = {
        [VAULT_OK] = PC_STORE_OK,
        [VAULT_NOT_FOUND] = PC_STORE_NOT_FOUND,
        [VAULT_INVALID] = PC_STORE_INVALID,
        [VAULT_IO] = PC_STORE_IO,
        [VAULT_NO_SPACE] = PC_STORE_NO_SPACE,
        [VAULT_CORRUPT] = PC_STORE_CORRUPT,
        [VAULT_DATA_LOSS] = PC_STORE_DATA_LOSS,
        [VAULT_BUSY] = PC_STORE_BUSY,
        [VAULT_NO_MEMORY] = PC_STORE_NO_MEMORY,
        [VAULT_EXISTS] = PC_STORE_OTHER,
        [VAULT_UNSUPPORTED] = PC_STORE_OTHER,
    };

    return (size_t)st < sizeof table / sizeof table[0] ? table[st] : PC_STORE_OTHER;
}

static enum pc_store_status answer(enum vault_status st, const struct vault_error *detail,
                                   struct pc_store_error *error)
{
    error->status = translated(st);
    error->text[0] = '\0';
    if (st != VAULT_OK && st != VAULT_NOT_FOUND)
        snprintf(error->text, sizeof error->text, "%s: %s%s%s at offset %llu (errno %d)",
                 vault_status_name(st), detail->what, *detail->file ? " in " : "", detail->file,
                 (unsigned long long)detail->offset, detail->system_errno);
    return error->status;
}

static enum pc_store_status answer_of(struct handle *handle, enum vault_status st,
                                      struct pc_store_error *error)
{
    struct vault_error detail = {0};

    if (st != VAULT_OK && st != VAULT_NOT_FOUND)
        vault_last_error(handle->vault, &detail);
    return answer(st, &detail, error);
}

struct settings {
    struct vault_options options;
    size_t share; /* bytes of a cache that is not the handle's own; 0: it has its own */
};

/* One "name=value" of the tuning. */
static bool tune(struct settings *settings, const char *name, unsigned long value)
{
    struct vault_options *options = &settings->options;

    if (strcmp(name, "write_buffer") == 0)
        options->write_buffer_size = value;
    else if (strcmp(name, "block") == 0)
        options->block_size = value;
    else if (strcmp(name, "table") == 0)
        options->table_size = value;
    else if (strcmp(name, "level0") == 0)
        options->level0_tables = (unsigned)value;
    else if (strcmp(name, "level1") == 0)
        options->level1_size = value;
    else if (strcmp(name, "multiplier") == 0)
        options->level_multiplier = (unsigned)value;
    else if (strcmp(name, "bloom") == 0)
        options->bloom_bits_per_key = (unsigned)value;
    else if (strcmp(name, "cache") == 0)
        options->block_cache_size = value;
    else if (strcmp(name, "chunk") == 0)
        options->read_chunk = value;
    else if (strcmp(name, "manifest") == 0)
        options->manifest_size = value;
    else if (strcmp(name, "compress") == 0)
        for (unsigned level = 0; level < VAULT_LEVELS; level++) /* raw on level 0, as is usual */
            options->compression[level] = level ? (unsigned)value : VAULT_RAW;
    else if (strcmp(name, "open") == 0)
        options->open_tables = (unsigned)value;
    else if (strcmp(name, "tails") == 0)
        options->table_memory = value;
    else if (strcmp(name, "background") == 0)
        options->background = value ? VAULT_THREAD : VAULT_INLINE;
    else if (strcmp(name, "nolog") == 0)
        options->no_log = value > 0;
    else if (strcmp(name, "sync_writes") == 0)
        options->sync_writes = value;
    else if (strcmp(name, "sync_interval") == 0)
        options->sync_interval = value;
    else if (strcmp(name, "rate") == 0)
        options->compaction_rate = value;
    else if (strcmp(name, "share") == 0)
        settings->share = value;
    else
        return false;
    return true;
}

static bool tune_all(struct settings *settings, const char *text)
{
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t len = strcspn(text, "= ");
        char name[32], *end;
        unsigned long value;

        if (len >= sizeof name || text[len] != '=' || text[len + 1] < '0' || text[len + 1] > '9')
            return false;
        memcpy(name, text, len);
        name[len] = '\0';
        value = strtoul(text + len + 1, &end, 10);
        if (!tune(settings, name, value))
            return false;
        text = end;
    }
    return true;
}

/* False: there is an unknown word in the tuning. */
static bool options_of(const struct pc_store_env *env, struct vault_allocator *allocator,
                       struct settings *settings, struct pc_store_error *error)
{
    struct vault_options *options = &settings->options;

    *settings = (struct settings){0};
    vault_options_init(options);
    options->background = VAULT_INLINE;
    options->hooks = env->hooks;
    options->clock = env->clock;
    options->clock_ctx = env->clock_ctx;
    options->read_only = env->read_only;
    if (env->alloc) {
        *allocator = (struct vault_allocator){env->alloc_ctx, env->alloc, env->free};
        options->allocator = allocator;
    }
    if (tune_all(settings, env->tuning))
        return true;
    error->status = PC_STORE_INVALID;
    snprintf(error->text, sizeof error->text, "an unknown setting in: %.120s", env->tuning);
    return false;
}

/* ---- a neighbour: another database that has blocks in the same cache (N1 in engine/cache.c) ----
 *
 * It numbers its tables from the same number on, and what is in them is its own. There is one in a
 * process. It lies in memory, not on the simulated disk, where it would add to what a recovery may
 * look at; its files have lost their names by the time it is used, so that nothing stays behind. A
 * machine without /dev/shm has none. */

#define NEIGHBOUR_TABLES 4u

static size_t neighbour_entry(unsigned n, char key[16], char value[64])
{
    snprintf(key, 16, "k%02u", n);
    return (size_t)snprintf(value, 64, "of the neighbour, number %u", n);
}

/* Reads all of it through the cache: then its blocks are there, in this order, whatever was read
 * before. */
static bool neighbour_has_its_own(struct vault *neighbour)
{
    char key[16], value[64];
    bool own = true;

    for (unsigned n = 0; own && n < NEIGHBOUR_TABLES; n++) {
        size_t len = neighbour_entry(n, key, value), found_len = 0;
        void *found = NULL;

        own = vault_get(neighbour, NULL, key, strlen(key), &found, &found_len) == VAULT_OK;
        if (own) {
            own = found_len == len && memcmp(found, value, len) == 0;
            vault_value_free(neighbour, found, found_len);
        }
    }
    return own;
}

static bool fill_neighbour(struct vault *neighbour)
{
    char key[16], value[64];
    bool ok = true;

    for (unsigned n = 0; ok && n < NEIGHBOUR_TABLES; n++) {
        size_t len = neighbour_entry(n, key, value);

        ok = vault_put(neighbour, key, strlen(key), value, len, false, NULL) == VAULT_OK &&
             vault_flush(neighbour) == VAULT_OK;
    }
    return ok && neighbour_has_its_own(neighbour);
}

static void remove_names(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    (void)rmdir(path);
}

static struct vault *new_neighbour(struct vault_cache *cache)
{
    char path[] = "/dev/shm/powercut-neighbour-XXXXXX";
    struct vault_options options;
    struct vault *neighbour = NULL;

    if (mkdtemp(path) == NULL)
        return NULL;
    vault_options_init(&options);
    options.background = VAULT_INLINE;
    options.block_cache = cache;
    options.no_log = true;
    options.level0_tables = NEIGHBOUR_TABLES + 1;
    if (vault_open(path, &options, &neighbour, NULL) == VAULT_OK && !fill_neighbour(neighbour)) {
        (void)vault_close(neighbour);
        neighbour = NULL;
    }
    remove_names(path);
    return neighbour;
}

/* NULL: there is none. */
static struct vault *the_neighbour(struct vault_cache *cache)
{
    static struct vault *neighbour;
    static bool tried;

    if (!tried)
        neighbour = new_neighbour(cache);
    tried = true;
    return neighbour;
}

/* One cache for all that a process opens one after the other without hooks, each of which numbers
 * its tables from the same number on: what one has read must not be seen by the next, nor what the
 * neighbour has. With hooks, in a recovery, the cache goes with the handle: no recovery depends on
 * another one. False: there is no memory for it. */
static bool take_cache(struct handle *handle, const struct pc_store_env *env,
                       const struct settings *settings)
{
    static struct vault_cache *common;
    struct vault *neighbour;

    if (env->hooks) {
        handle->own_shared =
            vault_cache_new(settings->share, env->alloc ? &handle->allocator : NULL);
        handle->shared = handle->own_shared;
        return handle->shared != NULL;
    }
    if (common == NULL)
        common = vault_cache_new(settings->share, NULL);
    must(common != NULL);
    handle->shared = common;
    /* Where threads are scheduled, what it does would be scheduled, too. */
    neighbour = settings->options.background == VAULT_INLINE ? the_neighbour(common) : NULL;
    handle->neighbour = neighbour && neighbour_has_its_own(neighbour) ? neighbour : NULL;
    return true;
}

/* Threads may tell side by side. */
static void on_event(void *ctx, const struct vault_event *event)
{
    struct handle *handle = ctx;
    uint64_t durable = __atomic_load_n(&handle->durable_told, __ATOMIC_RELAXED);

    if (event->kind == VAULT_EVENT_FLUSH || event->kind == VAULT_EVENT_COMPACTION) {
        __atomic_add_fetch(&handle->jobs_told, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&handle->bytes_told, event->bytes, __ATOMIC_RELAXED);
    }
    if (event->kind != VAULT_EVENT_FLUSH && event->kind != VAULT_EVENT_SYNC)
        return;
    while (event->seq > durable &&
           !__atomic_compare_exchange_n(&handle->durable_told, &durable, event->seq, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static enum pc_store_status store_open(const struct pc_store_env *env, void **db,
                                       struct pc_store_error *error)
{
    struct handle *handle = calloc(1, sizeof *handle);
    struct settings settings;
    struct vault_options *options = &settings.options;
    struct vault_error detail = {0};
    enum vault_status st;

    must(handle != NULL);
    if (!options_of(env, &handle->allocator, &settings, error)) {
        free(handle);
        return error->status;
    }
    if (settings.share && !take_cache(handle, env, &settings)) {
        free(handle);
        return answer(VAULT_NO_MEMORY, &detail, error);
    }
    options->block_cache = handle->shared;
    handle->listener = (struct vault_listener){.ctx = handle, .event = on_event};
    options->listener = &handle->listener;
    handle->no_log = options->no_log;
    handle->open_tables = options->open_tables;
    handle->memory = 2 * options->write_buffer_size + options->table_memory +
                     (options->block_cache ? 0 : options->block_cache_size);
    handle->compressed = options->compression[VAULT_LEVELS - 1] != VAULT_RAW;
    handle->level0_tables = options->level0_tables;
    handle->block_size = options->block_size;
    handle->rate = options->background == VAULT_INLINE ? 0 : options->compaction_rate;
    st = vault_open(env->dir, options, &handle->vault, &detail);
    if (st) {
        vault_cache_free(handle->own_shared);
        free(handle);
        return answer(st, &detail, error);
    }
    if (options->background == VAULT_INLINE) { /* of tables that the opening wrote nobody is told */
        struct vault_stats stats;

        vault_get_stats(handle->vault, &stats);
        handle->bytes_told = stats.table_bytes_written;
    }
    *db = handle;
    return answer(st, &detail, error);
}

static enum pc_store_status store_close(void *db, struct pc_store_error *error)
{
    struct handle *handle = db;
    struct vault_error detail = {0};
    enum vault_status st;

    vault_last_error(handle->vault, &detail);
    st = vault_close(handle->vault);
    vault_cache_free(handle->own_shared);
    vault_batch_free(handle->batch);
    free(handle);
    return answer(st, &detail, error);
}

static void note_size(struct handle *handle, const struct pc_write *writes, size_t count)
{
    uint64_t size = 0, most = __atomic_load_n(&handle->largest, __ATOMIC_RELAXED);

    for (size_t i = 0; i < count; i++)
        size += writes[i].key.len + writes[i].value.len + WRITE_EXTRA;
    while (size > most && !__atomic_compare_exchange_n(&handle->largest, &most, size, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static enum vault_status write_all(struct handle *handle, const struct pc_write *writes,
                                   size_t count, bool sync, uint64_t *seq)
{
    struct vault_batch *batch;
    enum vault_status st = VAULT_OK;

    note_size(handle, writes, count);
    if (count == 1) {
        const struct pc_write *w = &writes[0];

        if (w->expires)
            st = vault_put_until(handle->vault, w->key.data, w->key.len, w->value.data,
                                 w->value.len, w->expires, sync, seq);
        else if (w->is_range)
            st = vault_delete_range(handle->vault, w->key.data, w->key.len, w->value.data,
                                    w->value.len, sync, seq);
        else if (w->is_delete)
            st = vault_delete(handle->vault, w->key.data, w->key.len, sync, seq);
        else
            st = vault_put(handle->vault, w->key.data, w->key.len, w->value.data, w->value.len,
                           sync, seq);
        return st;
    }
    /* It is one writer's at a time. */
    batch = __atomic_exchange_n(&handle->batch, NULL, __ATOMIC_ACQ_REL);
    if (batch == NULL)
        batch = vault_batch_new();
    must(batch != NULL);
    vault_batch_clear(batch);
    for (size_t i = 0; i < count && st == VAULT_OK; i++) {
        const struct pc_write *w = &writes[i];

        if (w->expires)
            st = vault_batch_put_until(batch, w->key.data, w->key.len, w->value.data, w->value.len,
                                       w->expires);
        else if (w->is_range)
            st = vault_batch_delete_range(batch, w->key.data, w->key.len, w->value.data,
                                          w->value.len);
        else if (w->is_delete)
            st = vault_batch_delete(batch, w->key.data, w->key.len);
        else
            st = vault_batch_put(batch, w->key.data, w->key.len, w->value.data, w->value.len);
    }
    if (st == VAULT_OK)
        st = vault_write(handle->vault, batch, sync, seq);
    vault_batch_free(__atomic_exchange_n(&handle->batch, batch, __ATOMIC_ACQ_REL));
    return st;
}

/* Without a log a sync write is a write and a flush, as a program would do it: once more where it
 * found no memory. */
static enum pc_store_status store_write(void *db, const struct pc_write *writes, size_t count,
                                        bool sync, uint64_t *seq, struct pc_store_error *error)
{
    struct handle *handle = db;
    enum vault_status st = write_all(handle, writes, count, sync && !handle->no_log, seq);

    if (st == VAULT_OK && sync && handle->no_log) {
        st = vault_flush(handle->vault);
        if (st == VAULT_NO_MEMORY)
            st = vault_flush(handle->vault);
    }
    return answer_of(handle, st, error);
}

static enum pc_store_status store_sync(void *db, struct pc_store_error *error)
{
    struct handle *handle = db;

    return answer_of(handle, vault_sync(handle->vault), error);
}

static enum pc_store_status store_get(void *db, void *snapshot, struct bytes key,
                                      void (*give)(void *ctx, struct bytes value), void *ctx,
                                      struct pc_store_error *error)
{
    struct handle *handle = db;
    void *value;
    size_t len;
    enum vault_status st = vault_get(handle->vault, snapshot, key.data, key.len, &value, &len);

    if (st == VAULT_OK) {
        give(ctx, bytes_of(value, len));
        vault_value_free(handle->vault, value, len);
    }
    return answer_of(handle, st, error);
}

static enum pc_store_status store_snapshot(void *db, void **snapshot, struct pc_store_error *error)
{
    struct handle *handle = db;
    struct vault_snapshot *new_snapshot = NULL;
    enum vault_status st = vault_snapshot_new(handle->vault, &new_snapshot);

    *snapshot = new_snapshot;
    return answer_of(handle, st, error);
}

static void store_release(void *db, void *snapshot)
{
    vault_snapshot_release(((struct handle *)db)->vault, snapshot);
}

static enum pc_store_status store_iter_new(void *db, void *snapshot, void **iter,
                                           struct pc_store_error *error)
{
    struct handle *handle = db;
    struct vault_iter *new_iter = NULL;
    enum vault_status st = vault_iter_new(handle->vault, snapshot, &new_iter);

    *iter = new_iter;
    return answer_of(handle, st, error);
}

static void store_iter_free(void *iter)
{
    vault_iter_free(iter);
}

static bool store_iter_move(void *cursor, enum pc_move move, struct bytes key,
                            struct bytes *found_key, struct bytes *found_value,
                            struct pc_store_error *error)
{
    struct vault_iter *iter = cursor;
    enum vault_status st;
    size_t len;
    const void *data;

    switch (move) {
    case PC_FIRST:
        vault_iter_first(iter);
        break;
    case PC_LAST:
        vault_iter_last(iter);
        break;
    case PC_NEXT:
        vault_iter_next(iter);
        break;
    case PC_PREV:
        vault_iter_prev(iter);
        break;
    case PC_SEEK:
        vault_iter_seek(iter, key.data, key.len);
        break;
    case PC_SEEK_FOR_PREV:
        vault_iter_seek_for_prev(iter, key.data, key.len);
        break;
    }
    st = vault_iter_status(iter);
    error->status = PC_STORE_OK;
    error->text[0] = '\0';
    if (st) {
        struct vault_error detail = {.what = "while moving an iterator"};

        answer(st, &detail, error);
    }
    if (!vault_iter_valid(iter))
        return false;
    data = vault_iter_key(iter, &len);
    *found_key = bytes_of(data, len);
    data = vault_iter_value(iter, &len);
    *found_value = bytes_of(data, len);
    return true;
}

static enum pc_store_status store_flush(void *db, struct pc_store_error *error)
{
    struct handle *handle = db;

    return answer_of(handle, vault_flush(handle->vault), error);
}

static enum pc_store_status store_compact(void *db, struct bytes begin, struct bytes end,
                                          struct pc_store_error *error)
{
    struct handle *handle = db;

    return answer_of(handle,
                     vault_compact_range(handle->vault, begin.data, begin.len, end.data, end.len),
                     error);
}

static enum pc_store_status store_copy(void *db, const char *dir, struct pc_store_error *error)
{
    struct handle *handle = db;

    return answer_of(handle, vault_checkpoint(handle->vault, dir, 0, NULL), error);
}

static enum pc_store_status
store_multi_get(void *db, void *snapshot, const struct bytes *keys, size_t count,
                void (*give)(void *ctx, size_t index, struct bytes value), void *ctx,
                struct pc_store_error *error)
{
    struct handle *handle = db;
    struct vault_key *list = calloc(count + 1, sizeof *list);
    struct vault_found *found = calloc(count + 1, sizeof *found);
    enum vault_status st;

    must(list && found);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct vault_key){keys[i].data, keys[i].len};
    st = vault_multi_get(handle->vault, snapshot, list, count, found);
    for (size_t i = 0; st == VAULT_OK && i < count; i++)
        if (found[i].status == VAULT_OK) {
            give(ctx, i, bytes_of(found[i].value, found[i].value_len));
            vault_value_free(handle->vault, found[i].value, found[i].value_len);
        }
    free(list);
    free(found);
    return answer_of(handle, st, error);
}

static enum pc_store_status store_iter_bound(void *iter, struct bytes lower, struct bytes upper,
                                             struct pc_store_error *error)
{
    struct vault_error detail = {.what = "while setting bounds"};

    return answer(vault_iter_bound(iter, lower.data, lower.len, upper.data, upper.len), &detail,
                  error);
}

static uint64_t store_last_seq(void *db)
{
    return vault_last_seq(((struct handle *)db)->vault);
}

/* By whichever way it tells. */
static uint64_t store_durable_seq(void *db)
{
    const struct handle *handle = db;
    uint64_t told = __atomic_load_n(&handle->durable_told, __ATOMIC_RELAXED);
    uint64_t seq = vault_durable_seq(handle->vault);

    return told > seq ? told : seq;
}

static enum pc_store_status store_check(void *db, struct pc_store_error *error)
{
    const struct handle *handle = db;
    struct vault_error detail = {0};
    enum vault_status st = vault_check(handle->vault, &detail);

    if (st == VAULT_OK && handle->neighbour && !neighbour_has_its_own(handle->neighbour)) {
        st = VAULT_CORRUPT;
        detail = (struct vault_error){.what = "a database that shares the cache sees other blocks"};
    }
    return answer(st, &detail, error);
}

static void store_figures(void *db, struct pc_store_figures *figures)
{
    const struct handle *handle = db;
    uint64_t largest = __atomic_load_n(&handle->largest, __ATOMIC_RELAXED);
    struct vault_stats stats;

    vault_get_stats(handle->vault, &stats);
    *figures = (struct pc_store_figures){
        .user_bytes = stats.user_bytes,
        .log_bytes = stats.log_bytes,
        .table_bytes = stats.table_bytes_written,
        .syncs = stats.syncs,
        .gets = stats.gets,
        .get_blocks = stats.get_blocks,
        .lookups = stats.cache_hits + stats.cache_misses,
        .memory = stats.memory,
        .memory_peak = stats.memory_peak,
        .runs = stats.tables[0],
        .block = handle->compressed ? 0 : handle->block_size,
        .level0 = stats.tables[0],
        .level0_most = 5 * handle->level0_tables + 1, /* E5 in engine/write.c */
        .tables_open = stats.open_tables,
        .descriptors_most = handle->open_tables + OTHER_FILES,
        .memory_most = handle->memory + MEMORY_EXTRA + 4 * largest,
        .jobs = stats.flushes + stats.compactions,
        .jobs_told = __atomic_load_n(&handle->jobs_told, __ATOMIC_RELAXED),
        .bytes_told = __atomic_load_n(&handle->bytes_told, __ATOMIC_RELAXED),
        .merged_bytes = stats.compacted_bytes,
        .merge_rate = handle->rate,
        .merge_burst = (handle->rate / 64 > 1024 ? handle->rate / 64 : 1024) /* C8 */ +
                       2 * (handle->block_size + TABLE_TAIL + largest),
    };
    for (unsigned level = 0; level < VAULT_LEVELS; level++) {
        figures->memory_most += (uint64_t)stats.tables[level] * TABLE_EXTRA;
        figures->size += stats.bytes[level];
        figures->runs += level && stats.tables[level];
    }
}

static enum pc_store_status store_size(void *db, struct bytes begin, struct bytes end,
                                       uint64_t *bytes, struct pc_store_error *error)
{
    struct handle *handle = db;

    return answer_of(
        handle,
        vault_approximate_size(handle->vault, begin.data, begin.len, end.data, end.len, bytes),
        error);
}

struct told {
    uint64_t orphans, lost;
};

static void tell(void *ctx, const struct vault_finding *finding)
{
    struct told *told = ctx;

    told->orphans += finding->kind == VAULT_FINDING_ORPHAN;
    told->lost += finding->kind == VAULT_FINDING_LOST;
}

static enum pc_store_status
run_tool(enum vault_status (*run)(const char *, const struct vault_options *, vault_report *,
                                  void *, struct vault_error *),
         const struct pc_store_env *env, struct told *told, struct pc_store_error *error)
{
    struct vault_allocator allocator;
    struct settings settings;
    struct vault_error detail = {0};

    if (!options_of(env, &allocator, &settings, error))
        return error->status;
    return answer(run(env->dir, &settings.options, tell, told, &detail), &detail, error);
}

static enum pc_store_status store_verify(const struct pc_store_env *env, uint64_t *orphans,
                                         struct pc_store_error *error)
{
    struct told told = {0};
    enum pc_store_status st = run_tool(vault_verify, env, &told, error);

    *orphans = told.orphans;
    return st;
}

static enum pc_store_status store_repair(const struct pc_store_env *env, uint64_t *lost,
                                         struct pc_store_error *error)
{
    struct told told = {0};
    enum pc_store_status st = run_tool(vault_repair, env, &told, error);

    *lost = told.lost;
    return st;
}

/* What the tuning says of the options alone; the defaults where it has an unknown word. */
static struct vault_options tuned(const char *tuning)
{
    struct settings settings = {0}, defaults;

    vault_options_init(&settings.options);
    defaults = settings;
    return tune_all(&settings, tuning) ? settings.options : defaults.options;
}

/* Not all of the promises hold without a log. */
static uint32_t store_promises_with(const char *tuning)
{
    return tuned(tuning).no_log ? store_minivault.promises & ~(uint32_t)PC_PROMISE_PROCESS_KILL
                                : store_minivault.promises;
}

static uint64_t store_window(const char *tuning)
{
    uint64_t every = tuned(tuning).sync_writes;

    return every ? every - 1 : UINT64_MAX;
}

static uint64_t store_interval(const char *tuning)
{
    uint64_t most = tuned(tuning).sync_interval;

    return most ? most : UINT64_MAX;
}

const struct pc_store store_minivault = {
    .abi = PC_STORE_ABI,
    .name = "minivault",
    .promises = PC_PROMISE_SYNC | PC_PROMISE_PROCESS_KILL | PC_PROMISE_PREFIX | PC_PROMISE_BATCH |
                PC_PROMISE_CLOSE | PC_PROMISE_FLUSH | PC_PROMISE_SNAPSHOT | PC_PROMISE_FAIL_STOP |
                PC_PROMISE_EXPIRY | PC_PROMISE_RANGES | PC_PROMISE_COPY | PC_PROMISE_READ_ONLY |
                PC_PROMISE_HOOKS,
    .open = store_open,
    .close = store_close,
    .write = store_write,
    .sync = store_sync,
    .get = store_get,
    .snapshot = store_snapshot,
    .release = store_release,
    .iter_new = store_iter_new,
    .iter_free = store_iter_free,
    .iter_move = store_iter_move,
    .flush = store_flush,
    .compact = store_compact,
    .copy = store_copy,
    .multi_get = store_multi_get,
    .iter_bound = store_iter_bound,
    .last_seq = store_last_seq,
    .durable_seq = store_durable_seq,
    .check = store_check,
    .figures = store_figures,
    .size = store_size,
    .verify = store_verify,
    .repair = store_repair,
    .promises_with = store_promises_with,
    .window = store_window,
    .interval = store_interval,
};
