/* peer_lmdb.c: LMDB behind the table of calls. Commits are written with write(), so without sync
 * they survive the process; the map is for reading only (no MDB_WRITEMAP). */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/stat.h>
#include "bench.h"

struct lm {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *reading; /* reset between gets */
};

struct lm_iter {
    MDB_txn *txn;
    MDB_cursor *at;
    MDB_val key, value;
    int state;
};

static void must_ok(int error, const char *what)
{
    if (error)
        bench_die("lmdb", what, mdb_strerror(error));
}

static void version(char *to, size_t size)
{
    snprintf(to, size, "%d.%d.%d", MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH);
}

static void *open_db(const char *dir, const struct bench_config *config)
{
    struct lm *l = calloc(1, sizeof *l);
    MDB_txn *txn = NULL;

    if (!l)
        bench_die("lmdb", "open", "no memory");
    (void)mkdir(dir, 0755); /* mdb_env_open says when it is not there */
    must_ok(mdb_env_create(&l->env), "env");
    must_ok(mdb_env_set_mapsize(l->env, (size_t)1 << 36), "mapsize");
    must_ok(mdb_env_open(l->env, dir, MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD, 0644), "open");
    must_ok(mdb_txn_begin(l->env, NULL, 0, &txn), "begin");
    must_ok(mdb_dbi_open(txn, NULL, MDB_CREATE, &l->dbi), "dbi");
    must_ok(mdb_txn_commit(txn), "commit");
    must_ok(mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->reading), "begin");
    mdb_txn_reset(l->reading);
    return l;
}

static void close_db(void *db)
{
    struct lm *l = db;

    mdb_txn_abort(l->reading);
    must_ok(mdb_env_sync(l->env, 1), "sync");
    mdb_env_close(l->env);
    free(l);
}

static void put(void *db, const char *key, const char *value, bool sync)
{
    struct lm *l = db;
    MDB_txn *txn = NULL;
    MDB_val k = {BENCH_KEY, (void *)key};
    MDB_val v = {BENCH_VALUE, (void *)value};

    must_ok(mdb_txn_begin(l->env, NULL, 0, &txn), "begin");
    must_ok(mdb_put(txn, l->dbi, &k, &v, 0), "put");
    must_ok(mdb_txn_commit(txn), "commit");
    if (sync)
        must_ok(mdb_env_sync(l->env, 1), "sync");
}

static void remove_key(void *db, const char *key)
{
    struct lm *l = db;
    MDB_txn *txn = NULL;
    MDB_val k = {BENCH_KEY, (void *)key};

    must_ok(mdb_txn_begin(l->env, NULL, 0, &txn), "begin");
    must_ok(mdb_del(txn, l->dbi, &k, NULL), "delete");
    must_ok(mdb_txn_commit(txn), "commit");
}

static void batch(void *db, const struct bench_pair *pairs, size_t count)
{
    struct lm *l = db;
    MDB_txn *txn = NULL;

    must_ok(mdb_txn_begin(l->env, NULL, 0, &txn), "begin");
    for (size_t i = 0; i < count; i++) {
        MDB_val k = {BENCH_KEY, (void *)pairs[i].key};
        MDB_val v = {BENCH_VALUE, (void *)pairs[i].value};

        must_ok(mdb_put(txn, l->dbi, &k, &v, 0), "put");
    }
    must_ok(mdb_txn_commit(txn), "commit");
}

static bool get(void *db, const char *key, char value[BENCH_VALUE])
{
    struct lm *l = db;
    MDB_val k = {BENCH_KEY, (void *)key};
    MDB_val v = {0, NULL};
    int got = 0;

    must_ok(mdb_txn_renew(l->reading), "renew");
    got = mdb_get(l->reading, l->dbi, &k, &v);
    if (got == 0) {
        if (v.mv_size != BENCH_VALUE)
            bench_die("lmdb", "get", "length");
        memcpy(value, v.mv_data, BENCH_VALUE);
    }
    mdb_txn_reset(l->reading);
    if (got == MDB_NOTFOUND)
        return false;
    must_ok(got, "get");
    return true;
}

static void *iter(void *db)
{
    struct lm *l = db;
    struct lm_iter *it = calloc(1, sizeof *it);

    if (!it)
        bench_die("lmdb", "iterator", "no memory");
    must_ok(mdb_txn_begin(l->env, NULL, MDB_RDONLY, &it->txn), "begin");
    must_ok(mdb_cursor_open(it->txn, l->dbi, &it->at), "cursor");
    return it;
}

static void iter_free(void *p)
{
    struct lm_iter *it = p;

    mdb_cursor_close(it->at);
    mdb_txn_abort(it->txn);
    free(it);
}

static void move(struct lm_iter *it, MDB_cursor_op op)
{
    it->state = mdb_cursor_get(it->at, &it->key, &it->value, op);
    if (it->state && it->state != MDB_NOTFOUND)
        must_ok(it->state, "scan");
}

static void iter_first(void *it)
{
    move(it, MDB_FIRST);
}

static void iter_last(void *it)
{
    move(it, MDB_LAST);
}

static void iter_seek(void *p, const char *key)
{
    struct lm_iter *it = p;

    it->key = (MDB_val){BENCH_KEY, (void *)key};
    move(it, MDB_SET_RANGE);
}

static void iter_next(void *it)
{
    move(it, MDB_NEXT);
}

static void iter_prev(void *it)
{
    move(it, MDB_PREV);
}

static bool iter_entry(void *p, const char **key, const char **value)
{
    struct lm_iter *it = p;

    if (it->state)
        return false;
    *key = it->key.mv_data;
    *value = it->value.mv_data;
    return true;
}

const struct bench_engine bench_lmdb = {"lmdb",    true,      false,      version,   open_db,
                                        close_db,  put,       remove_key, batch,     get,
                                        NULL,      NULL,      iter,       iter_free, iter_first,
                                        iter_last, iter_seek, iter_next,  iter_prev, iter_entry};
