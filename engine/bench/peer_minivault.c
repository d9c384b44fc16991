/* peer_minivault.c: minivault behind the table of calls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "minivault/minivault.h"
#include "bench.h"

static void must_ok(enum vault_status st, const char *what)
{
    if (st)
        bench_die("minivault", what, vault_status_name(st));
}

static void version(char *to, size_t size)
{
    snprintf(to, size, "this tree");
}

static void *open_db(const char *dir, const struct bench_config *config)
{
    struct vault_options options;
    struct vault *v = NULL;

    vault_options_init(&options);
    options.write_buffer_size = config->write_buffer;
    options.block_cache_size = config->cache;
    if (!config->compaction)
        options.level0_tables = 1000000;
    must_ok(vault_open(dir, &options, &v, NULL), "open");
    return v;
}

static void close_db(void *db)
{
    must_ok(vault_close(db), "close");
}

static void put(void *db, const char *key, const char *value, bool sync)
{
    must_ok(vault_put(db, key, BENCH_KEY, value, BENCH_VALUE, sync, NULL), "put");
}

static void remove_key(void *db, const char *key)
{
    must_ok(vault_delete(db, key, BENCH_KEY, false, NULL), "delete");
}

static void batch(void *db, const struct bench_pair *pairs, size_t count)
{
    struct vault_batch *b = vault_batch_new();

    if (!b)
        bench_die("minivault", "batch", "no memory");
    for (size_t i = 0; i < count; i++)
        must_ok(vault_batch_put(b, pairs[i].key, BENCH_KEY, pairs[i].value, BENCH_VALUE), "batch");
    must_ok(vault_write(db, b, false, NULL), "write");
    vault_batch_free(b);
}

static bool get(void *db, const char *key, char value[BENCH_VALUE])
{
    void *got = NULL;
    size_t len = 0;
    enum vault_status st = vault_get(db, NULL, key, BENCH_KEY, &got, &len);

    if (st == VAULT_NOT_FOUND)
        return false;
    must_ok(st, "get");
    if (len != BENCH_VALUE)
        bench_die("minivault", "get", "length");
    memcpy(value, got, BENCH_VALUE);
    vault_value_free(db, got, len);
    return true;
}

static void flush(void *db)
{
    must_ok(vault_flush(db), "flush");
}

static void compact(void *db)
{
    must_ok(vault_compact_range(db, NULL, 0, NULL, 0), "compact");
}

static void *iter(void *db)
{
    struct vault_iter *it = NULL;

    must_ok(vault_iter_new(db, NULL, &it), "iterator");
    return it;
}

static void iter_free(void *it)
{
    must_ok(vault_iter_status(it), "scan");
    vault_iter_free(it);
}

static void iter_first(void *it)
{
    vault_iter_first(it);
}

static void iter_last(void *it)
{
    vault_iter_last(it);
}

static void iter_seek(void *it, const char *key)
{
    vault_iter_seek(it, key, BENCH_KEY);
}

static void iter_next(void *it)
{
    vault_iter_next(it);
}

static void iter_prev(void *it)
{
    vault_iter_prev(it);
}

static bool iter_entry(void *it, const char **key, const char **value)
{
    size_t len = 0;

    if (!vault_iter_valid(it))
        return false;
    *key = vault_iter_key(it, &len);
    *value = vault_iter_value(it, &len);
    return true;
}

const struct bench_engine bench_minivault = {
    "minivault", true,      true,      version,   open_db,   close_db,  put,
    remove_key,  batch,     get,       flush,     compact,   iter,      iter_free,
    iter_first,  iter_last, iter_seek, iter_next, iter_prev, iter_entry};
