/* peer_leveldb.c: LevelDB behind the table of calls, through its C API. */
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"

struct level {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *bloom;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write, *sync;
};

static void must_ok(char *error, const char *what)
{
    if (error)
        bench_die("leveldb", what, error);
}

static void version(char *to, size_t size)
{
    snprintf(to, size, "%d.%d", leveldb_major_version(), leveldb_minor_version());
}

static void *open_db(const char *dir, const struct bench_config *config)
{
    struct level *l = calloc(1, sizeof *l);
    char *error = NULL;

    if (!l)
        bench_die("leveldb", "open", "no memory");
    l->options = leveldb_options_create();
    l->cache = leveldb_cache_create_lru(config->cache);
    l->bloom = leveldb_filterpolicy_create_bloom(10);
    leveldb_options_set_create_if_missing(l->options, 1);
    leveldb_options_set_write_buffer_size(l->options, config->write_buffer);
    leveldb_options_set_cache(l->options, l->cache);
    leveldb_options_set_filter_policy(l->options, l->bloom);
    leveldb_options_set_compression(l->options, leveldb_no_compression);
    l->read = leveldb_readoptions_create();
    l->write = leveldb_writeoptions_create();
    l->sync = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(l->sync, 1);
    l->db = leveldb_open(l->options, dir, &error);
    must_ok(error, "open");
    return l;
}

static void close_db(void *db)
{
    struct level *l = db;

    leveldb_close(l->db);
    leveldb_options_destroy(l->options);
    leveldb_cache_destroy(l->cache);
    leveldb_filterpolicy_destroy(l->bloom);
    leveldb_readoptions_destroy(l->read);
    leveldb_writeoptions_destroy(l->write);
    leveldb_writeoptions_destroy(l->sync);
    free(l);
}

static void put(void *db, const char *key, const char *value, bool sync)
{
    struct level *l = db;
    char *error = NULL;

    leveldb_put(l->db, sync ? l->sync : l->write, key, BENCH_KEY, value, BENCH_VALUE, &error);
    must_ok(error, "put");
}

static void remove_key(void *db, const char *key)
{
    struct level *l = db;
    char *error = NULL;

    leveldb_delete(l->db, l->write, key, BENCH_KEY, &error);
    must_ok(error, "delete");
}

static void batch(void *db, const struct bench_pair *pairs, size_t count)
{
    struct level *l = db;
    char *error = NULL;
    leveldb_writebatch_t *b = leveldb_writebatch_create();

    for (size_t i = 0; i < count; i++)
        leveldb_writebatch_put(b, pairs[i].key, BENCH_KEY, pairs[i].value, BENCH_VALUE);
    leveldb_write(l->db, l->write, b, &error);
    must_ok(error, "write");
    leveldb_writebatch_destroy(b);
}

static bool get(void *db, const char *key, char value[BENCH_VALUE])
{
    struct level *l = db;
    size_t len = 0;
    char *error = NULL;
    char *got = leveldb_get(l->db, l->read, key, BENCH_KEY, &len, &error);

    must_ok(error, "get");
    if (!got)
        return false;
    if (len != BENCH_VALUE)
        bench_die("leveldb", "get", "length");
    memcpy(value, got, BENCH_VALUE);
    leveldb_free(got);
    return true;
}

static void compact(void *db)
{
    struct level *l = db;

    leveldb_compact_range(l->db, NULL, 0, NULL, 0);
}

static void *iter(void *db)
{
    struct level *l = db;

    return leveldb_create_iterator(l->db, l->read);
}

static void iter_free(void *it)
{
    char *error = NULL;

    leveldb_iter_get_error(it, &error);
    must_ok(error, "scan");
    leveldb_iter_destroy(it);
}

static void iter_first(void *it)
{
    leveldb_iter_seek_to_first(it);
}

static void iter_last(void *it)
{
    leveldb_iter_seek_to_last(it);
}

static void iter_seek(void *it, const char *key)
{
    leveldb_iter_seek(it, key, BENCH_KEY);
}

static void iter_next(void *it)
{
    leveldb_iter_next(it);
}

static void iter_prev(void *it)
{
    leveldb_iter_prev(it);
}

static bool iter_entry(void *it, const char **key, const char **value)
{
    size_t len = 0;

    if (!leveldb_iter_valid(it))
        return false;
    *key = leveldb_iter_key(it, &len);
    *value = leveldb_iter_value(it, &len);
    return true;
}

const struct bench_engine bench_leveldb = {"leveldb", true,      false,      version,   open_db,
                                           close_db,  put,       remove_key, batch,     get,
                                           NULL,      compact,   iter,       iter_free, iter_first,
                                           iter_last, iter_seek, iter_next,  iter_prev, iter_entry};
