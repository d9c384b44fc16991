/* peer_sqlite.c: SQLite behind the table of calls: one table without rowid, in WAL mode. With
 * synchronous=OFF a commit is written and survives the process; for sync puts it is FULL. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "bench.h"

enum statement { PUT, GET, REMOVE, BEGIN, COMMIT, STATEMENTS };
static const char *const sql_of[STATEMENTS] = {"INSERT OR REPLACE INTO kv VALUES (?1, ?2)",
                                               "SELECT v FROM kv WHERE k = ?1",
                                               "DELETE FROM kv WHERE k = ?1", "BEGIN", "COMMIT"};

struct sq {
    sqlite3 *db;
    sqlite3_stmt *ready[STATEMENTS];
    bool sync;
};

struct sq_iter {
    struct sq *s;
    sqlite3_stmt *at;
    bool valid, forward;
};

static void must_ok(struct sq *s, bool good, const char *what)
{
    if (!good)
        bench_die("sqlite", what, sqlite3_errmsg(s->db));
}

static void version(char *to, size_t size)
{
    snprintf(to, size, "%s", sqlite3_libversion());
}

static void run_sql(struct sq *s, const char *sql)
{
    must_ok(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static void *open_db(const char *dir, const struct bench_config *config)
{
    struct sq *s = calloc(1, sizeof *s);
    char text[640];

    if (!s)
        bench_die("sqlite", "open", "no memory");
    (void)mkdir(dir, 0755); /* sqlite3_open says when it is not there */
    snprintf(text, sizeof text, "%s/kv.sqlite", dir);
    must_ok(s, sqlite3_open(text, &s->db) == SQLITE_OK, "open");
    run_sql(s, "PRAGMA journal_mode=WAL");
    run_sql(s, "PRAGMA synchronous=OFF");
    snprintf(text, sizeof text, "PRAGMA cache_size=-%zu", config->cache / 1024);
    run_sql(s, text);
    run_sql(s, "CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID");
    for (int i = 0; i < STATEMENTS; i++)
        must_ok(s, sqlite3_prepare_v2(s->db, sql_of[i], -1, &s->ready[i], NULL) == SQLITE_OK,
                "prepare");
    return s;
}

static void close_db(void *db)
{
    struct sq *s = db;

    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->ready[i]);
    must_ok(s, sqlite3_close(s->db) == SQLITE_OK, "close");
    free(s);
}

static void step(struct sq *s, enum statement which)
{
    must_ok(s, sqlite3_step(s->ready[which]) == SQLITE_DONE, sql_of[which]);
    sqlite3_reset(s->ready[which]);
}

static void bind(struct sq *s, enum statement which, const char *key, const char *value)
{
    sqlite3_bind_blob(s->ready[which], 1, key, BENCH_KEY, SQLITE_STATIC);
    if (value)
        sqlite3_bind_blob(s->ready[which], 2, value, BENCH_VALUE, SQLITE_STATIC);
}

static void put(void *db, const char *key, const char *value, bool sync)
{
    struct sq *s = db;

    if (sync != s->sync)
        run_sql(s, sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF");
    s->sync = sync;
    bind(s, PUT, key, value);
    step(s, PUT);
}

static void remove_key(void *db, const char *key)
{
    bind(db, REMOVE, key, NULL);
    step(db, REMOVE);
}

static void batch(void *db, const struct bench_pair *pairs, size_t count)
{
    step(db, BEGIN);
    for (size_t i = 0; i < count; i++) {
        bind(db, PUT, pairs[i].key, pairs[i].value);
        step(db, PUT);
    }
    step(db, COMMIT);
}

static bool get(void *db, const char *key, char value[BENCH_VALUE])
{
    struct sq *s = db;
    int got = 0;

    bind(s, GET, key, NULL);
    got = sqlite3_step(s->ready[GET]);
    if (got == SQLITE_ROW) {
        must_ok(s, sqlite3_column_bytes(s->ready[GET], 0) == (int)BENCH_VALUE, "get");
        memcpy(value, sqlite3_column_blob(s->ready[GET], 0), BENCH_VALUE);
    } else {
        must_ok(s, got == SQLITE_DONE, "get");
    }
    sqlite3_reset(s->ready[GET]);
    return got == SQLITE_ROW;
}

static void compact(void *db)
{
    run_sql(db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static void *iter(void *db)
{
    struct sq_iter *it = calloc(1, sizeof *it);

    if (!it)
        bench_die("sqlite", "iterator", "no memory");
    it->s = db;
    return it;
}

static void iter_free(void *p)
{
    struct sq_iter *it = p;

    sqlite3_finalize(it->at);
    free(it);
}

static void iter_move(void *p)
{
    struct sq_iter *it = p;
    int got = sqlite3_step(it->at);

    must_ok(it->s, got == SQLITE_ROW || got == SQLITE_DONE, "scan");
    it->valid = got == SQLITE_ROW;
}

static void start(struct sq_iter *it, const char *sql, const char *key)
{
    sqlite3_finalize(it->at);
    must_ok(it->s, sqlite3_prepare_v2(it->s->db, sql, -1, &it->at, NULL) == SQLITE_OK, "prepare");
    if (key)
        sqlite3_bind_blob(it->at, 1, key, BENCH_KEY, SQLITE_TRANSIENT);
    iter_move(it);
}

static void iter_first(void *it)
{
    start(it, "SELECT k, v FROM kv ORDER BY k", NULL);
}

static void iter_last(void *it)
{
    start(it, "SELECT k, v FROM kv ORDER BY k DESC", NULL);
}

static void iter_seek(void *it, const char *key)
{
    start(it, "SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k", key);
}

static bool iter_entry(void *p, const char **key, const char **value)
{
    struct sq_iter *it = p;

    if (!it->valid)
        return false;
    *key = sqlite3_column_blob(it->at, 0);
    *value = sqlite3_column_blob(it->at, 1);
    return true;
}

/* A statement goes one way: the benchmark turns no iterator. */
const struct bench_engine bench_sqlite = {"sqlite",  false,     false,      version,   open_db,
                                          close_db,  put,       remove_key, batch,     get,
                                          NULL,      compact,   iter,       iter_free, iter_first,
                                          iter_last, iter_seek, iter_move,  iter_move, iter_entry};
