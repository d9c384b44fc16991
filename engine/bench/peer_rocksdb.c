/* peer_rocksdb.c: RocksDB behind the table of calls, through its C API. */
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"

struct rocks {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_block_based_table_options_t *table;
    rocksdb_flushoptions_t *flush;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write, *sync;
};

static void must_ok(char *error, const char *what)
{
    if (error)
        bench_die("rocksdb", what, error);
}

static void version(char *to, size_t size)
{
    snprintf(to, size, "%s", BENCH_ROCKSDB_VERSION); /* its header of numbers is C++ */
}

static void *open_db(const char *dir, const struct bench_config *config)
{
    struct rocks *l = calloc(1, sizeof *l);
    char *error = NULL;

    if (!l)
        bench_die("rocksdb", "open", "no memory");
    l->options = rocksdb_options_create();
    l->table = rocksdb_block_based_options_create();
    rocksdb_options_set_create_if_missing(l->options, 1);
    rocksdb_options_set_write_buffer_size(l->options, config->write_buffer);
    rocksdb_options_set_compression(l->options, rocksdb_no_compression);
    rocksdb_options_set_disable_auto_compactions(l->options, !config->compaction);
    if (!config->compaction) {
        rocksdb_options_set_level0_slowdown_writes_trigger(l->options, 1000);
        rocksdb_options_set_level0_stop_writes_trigger(l->options, 1000);
    }
    if (config->cache) {
        l->cache = rocksdb_cache_create_lru(config->cache);
        rocksdb_block_based_options_set_block_cache(l->table, l->cache);
    } else {
        rocksdb_block_based_options_set_no_block_cache(l->table, 1);
    }
    /* The options take the filter over. */
    rocksdb_block_based_options_set_filter_policy(l->table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_set_block_based_table_factory(l->options, l->table);
    l->read = rocksdb_readoptions_create();
    l->write = rocksdb_writeoptions_create();
    l->sync = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(l->sync, 1);
    l->flush = rocksdb_flushoptions_create();
    l->db = rocksdb_open(l->options, dir, &error);
    must_ok(error, "open");
    return l;
}

static void close_db(void *db)
{
    struct rocks *l = db;

    rocksdb_close(l->db);
    rocksdb_options_destroy(l->options);
    rocksdb_block_based_options_destroy(l->table);
    if (l->cache)
        rocksdb_cache_destroy(l->cache);
    rocksdb_readoptions_destroy(l->read);
    rocksdb_writeoptions_destroy(l->write);
    rocksdb_writeoptions_destroy(l->sync);
    rocksdb_flushoptions_destroy(l->flush);
    free(l);
}

static void put(void *db, const char *key, const char *value, bool sync)
{
    struct rocks *l = db;
    char *error = NULL;

    rocksdb_put(l->db, sync ? l->sync : l->write, key, BENCH_KEY, value, BENCH_VALUE, &error);
    must_ok(error, "put");
}

static void remove_key(void *db, const char *key)
{
    struct rocks *l = db;
    char *error = NULL;

    rocksdb_delete(l->db, l->write, key, BENCH_KEY, &error);
    must_ok(error, "delete");
}

static void batch(void *db, const struct bench_pair *pairs, size_t count)
{
    struct rocks *l = db;
    char *error = NULL;
    rocksdb_writebatch_t *b = rocksdb_writebatch_create();

    for (size_t i = 0; i < count; i++)
        rocksdb_writebatch_put(b, pairs[i].key, BENCH_KEY, pairs[i].value, BENCH_VALUE);
    rocksdb_write(l->db, l->write, b, &error);
    must_ok(error, "write");
    rocksdb_writebatch_destroy(b);
}

static bool get(void *db, const char *key, char value[BENCH_VALUE])
{
    struct rocks *l = db;
    size_t len = 0;
    char *error = NULL;
    char *got = rocksdb_get(l->db, l->read, key, BENCH_KEY, &len, &error);

    must_ok(error, "get");
    if (!got)
        return false;
    if (len != BENCH_VALUE)
        bench_die("rocksdb", "get", "length");
    memcpy(value, got, BENCH_VALUE);
    rocksdb_free(got);
    return true;
}

static void flush(void *db)
{
    struct rocks *l = db;
    char *error = NULL;

    rocksdb_flush(l->db, l->flush, &error);
    must_ok(error, "flush");
}

static void compact(void *db)
{
    struct rocks *l = db;

    flush(db);
    rocksdb_compact_range(l->db, NULL, 0, NULL, 0);
}

static void *iter(void *db)
{
    struct rocks *l = db;

    return rocksdb_create_iterator(l->db, l->read);
}

static void iter_free(void *it)
{
    char *error = NULL;

    rocksdb_iter_get_error(it, &error);
    must_ok(error, "scan");
    rocksdb_iter_destroy(it);
}

static void iter_first(void *it)
{
    rocksdb_iter_seek_to_first(it);
}

static void iter_last(void *it)
{
    rocksdb_iter_seek_to_last(it);
}

static void iter_seek(void *it, const char *key)
{
    rocksdb_iter_seek(it, key, BENCH_KEY);
}

static void iter_next(void *it)
{
    rocksdb_iter_next(it);
}

static void iter_prev(void *it)
{
    rocksdb_iter_prev(it);
}

static bool iter_entry(void *it, const char **key, const char **value)
{
    size_t len = 0;

    if (!rocksdb_iter_valid(it))
        return false;
    *key = rocksdb_iter_key(it, &len);
    *value = rocksdb_iter_value(it, &len);
    return true;
}

const struct bench_engine bench_rocksdb = {"rocksdb", true,      true,       version,   open_db,
                                           close_db,  put,       remove_key, batch,     get,
                                           flush,     compact,   iter,       iter_free, iter_first,
                                           iter_last, iter_seek, iter_next,  iter_prev, iter_entry};
