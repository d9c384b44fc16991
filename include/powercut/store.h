/* store.h: what an engine must offer to be tested, about a hundred lines of glue. The harness calls
 * these on one thread. Every function that can fail fills `error` and answers its status. A store
 * only has to keep what it lists in `promises`; the rest is not checked, and the report says so. */
#ifndef POWERCUT_STORE_H
#define POWERCUT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct pc_hooks;

#define PC_STORE_ABI 7u

enum pc_store_status {
    PC_STORE_OK,
    PC_STORE_NOT_FOUND,
    PC_STORE_INVALID,
    PC_STORE_IO,
    PC_STORE_NO_SPACE,
    PC_STORE_CORRUPT,   /* damage was detected and is reported */
    PC_STORE_DATA_LOSS, /* loss of synced data was detected and is reported */
    PC_STORE_BUSY,
    PC_STORE_NO_MEMORY,
    PC_STORE_OTHER,
    PC_STORE_STATUSES
};

struct pc_store_error {
    enum pc_store_status status;
    char text[192];
};

enum {
    PC_PROMISE_SYNC = 1,         /* a write with sync is durable when it returns */
    PC_PROMISE_PROCESS_KILL = 2, /* any write that returned survives the death of the process */
    PC_PROMISE_PREFIX = 4,       /* what survives is a prefix of the order of writes */
    PC_PROMISE_BATCH = 8,        /* a batch is atomic */
    PC_PROMISE_CLOSE = 16,       /* close makes everything durable */
    PC_PROMISE_FLUSH = 32,       /* flush makes everything durable */
    PC_PROMISE_SNAPSHOT = 64,    /* snapshots and iterators see one moment */
    PC_PROMISE_FAIL_STOP = 128,  /* after a failed log write no write is acknowledged */
    PC_PROMISE_RANGES = 512,     /* deletes of key ranges; else none is asked for */
    PC_PROMISE_EXPIRY = 256, /* a write with `expires` is gone from then on; else it is ignored */
    PC_PROMISE_COPY = 1024,  /* a copy is durable when `copy` returns; before it is whole, it is
                                    not there, or refused as PC_STORE_CORRUPT */
    PC_PROMISE_READ_ONLY = 2048, /* env->read_only: nothing on the disk changes, and what is read is
                                    what an ordinary open would find */
    PC_PROMISE_HOOKS = 1 << 16,  /* every byte read from a file is announced to env->hooks before it
                                    is used, and every checksum asked for there (hooks.h) */
};

/* One write of a batch; key and value are borrowed for the call. */
struct pc_write {
    bool is_delete;
    struct bytes key, value;
    uint64_t expires; /* of a put: 0 never, else when the clock gets there */
    bool is_range;    /* of a delete: all keys in [key, value) */
};

/* How to open. All borrowed until close. */
struct pc_store_env {
    const char *dir;
    const struct pc_hooks *hooks;           /* NULL: none */
    void *(*alloc)(void *ctx, size_t size); /* NULL: malloc */
    void (*free)(void *ctx, void *p, size_t size);
    void *alloc_ctx;
    uint64_t (*clock)(void *ctx); /* the time; it may jump both ways */
    void *clock_ctx;
    const char *tuning; /* "name=value name=value": the store's own words; "" for its defaults */
    bool read_only;     /* change nothing; PC_STORE_NOT_FOUND where there is no store */
};

/* What a store says of itself, counted since it was opened. */
struct pc_store_figures {
    uint64_t user_bytes;          /* of the operations written: at least their keys and values */
    uint64_t log_bytes;           /* written to logs; 0 where there is none */
    uint64_t table_bytes;         /* written to tables */
    uint64_t syncs;               /* fsync and fdatasync of its files and its directory */
    uint64_t gets, get_blocks;    /* single gets, and blocks of tables that they looked into */
    uint64_t lookups;             /* of blocks, by anybody: in the cache or not */
    uint64_t memory, memory_peak; /* from env->alloc */
    uint64_t size;                /* of all its tables, now */
    uint64_t runs; /* tables, or levels of tables apart from each other, that a key may be in */
    uint64_t
        block; /* a size of keys is right to so many bytes and a value in each run; 0: unknown */
    uint64_t level0, level0_most; /* tables that wait to be merged; as many at most, unless a call
                                     failed */
    /* Between two calls, while there is no iterator: */
    uint64_t tables_open;      /* descriptors of tables */
    uint64_t descriptors_most; /* of all its files; 0: any */
    uint64_t memory_most;      /* what `memory` may be; 0: any */
    uint64_t jobs, jobs_told;  /* flushes and compactions; those that its listener was told of */
    uint64_t bytes_told;       /* written to tables, as its listener was told, or by the opening;
                                  table_bytes where there is no listener */
    /* At any time: */
    uint64_t merged_bytes; /* of table_bytes: written by compactions */
    uint64_t merge_rate;   /* as many of them a second, of CLOCK_MONOTONIC; 0: any; */
    uint64_t merge_burst;  /* and as many more at once */
};

enum pc_move { PC_FIRST, PC_LAST, PC_NEXT, PC_PREV, PC_SEEK, PC_SEEK_FOR_PREV };

struct pc_store {
    uint32_t abi; /* PC_STORE_ABI */
    const char *name;
    uint32_t promises;

    enum pc_store_status (*open)(const struct pc_store_env *env, void **db,
                                 struct pc_store_error *error);
    enum pc_store_status (*close)(void *db, struct pc_store_error *error); /* frees in any case */
    /* One put, one delete, or a batch. `seq`: of its last operation, 0 when the store has none. */
    enum pc_store_status (*write)(void *db, const struct pc_write *writes, size_t count, bool sync,
                                  uint64_t *seq, struct pc_store_error *error);
    enum pc_store_status (*sync)(void *db, struct pc_store_error *error);
    /* Calls `give` with the value, a view, when there is one. */
    enum pc_store_status (*get)(void *db, void *snapshot, struct bytes key,
                                void (*give)(void *ctx, struct bytes value), void *ctx,
                                struct pc_store_error *error);
    enum pc_store_status (*snapshot)(void *db, void **snapshot, struct pc_store_error *error);
    void (*release)(void *db, void *snapshot);
    enum pc_store_status (*iter_new)(void *db, void *snapshot, void **iter,
                                     struct pc_store_error *error);
    void (*iter_free)(void *iter);
    /* Moves, then tells where: false at either end or after an error (see *error). */
    bool (*iter_move)(void *iter, enum pc_move move, struct bytes key, struct bytes *found_key,
                      struct bytes *found_value, struct pc_store_error *error);
    enum pc_store_status (*flush)(void *db, struct pc_store_error *error);
    /* Ends inclusive; data == NULL: open. */
    enum pc_store_status (*compact)(void *db, struct bytes begin, struct bytes end,
                                    struct pc_store_error *error);
    /* A copy of what it holds now, in a new directory. NULL: none. */
    enum pc_store_status (*copy)(void *db, const char *dir, struct pc_store_error *error);
    /* Many keys of one state: calls `give` for every key that is there. NULL: none. */
    enum pc_store_status (*multi_get)(void *db, void *snapshot, const struct bytes *keys,
                                      size_t count,
                                      void (*give)(void *ctx, size_t index, struct bytes value),
                                      void *ctx, struct pc_store_error *error);
    /* Only keys in [lower, upper) from now on; data == NULL: open. NULL: none. */
    enum pc_store_status (*iter_bound)(void *iter, struct bytes lower, struct bytes upper,
                                       struct pc_store_error *error);
    uint64_t (*last_seq)(void *db);    /* NULL: none */
    uint64_t (*durable_seq)(void *db); /* NULL: none */
    /* Structural self-check; NULL: none. */
    enum pc_store_status (*check)(void *db, struct pc_store_error *error);
    /* NULL: none. */
    void (*figures)(void *db, struct pc_store_figures *figures);
    /* About how many bytes of tables the keys in [begin, end) take; data == NULL: open.
     * NULL: none. */
    enum pc_store_status (*size)(void *db, struct bytes begin, struct bytes end, uint64_t *bytes,
                                 struct pc_store_error *error);
    /* Of a store that is closed: reads all of it and changes nothing. PC_STORE_OK: there is no
     * damage; *orphans: files that nobody needs. NULL: none. */
    enum pc_store_status (*verify)(const struct pc_store_env *env, uint64_t *orphans,
                                   struct pc_store_error *error);
    /* Of a store that is closed: saves what can be read. PC_STORE_OK: it opens from now on, and
     * nothing is lost but what was told, *lost times. NULL: none. */
    enum pc_store_status (*repair)(const struct pc_store_env *env, uint64_t *lost,
                                   struct pc_store_error *error);
    /* What of `promises` it keeps when opened with this tuning; NULL: all of it. */
    uint32_t (*promises_with)(const char *tuning);
    /* The newest operations that a power cut may take though they were acknowledged, so many at
     * most; UINT64_MAX: any number. NULL: any. */
    uint64_t (*window)(const char *tuning);
    /* A write that returns when the oldest one that is not durable has been there for so long, by
     * env->clock, has made all of them durable; so it has where the clock was set back behind it.
     * UINT64_MAX: no such time. NULL: none. */
    uint64_t (*interval)(const char *tuning);
};

/* A shared object that `--store FILE.so` names offers its store under this name. Its calls of open,
 * write and the rest meet the simulated disk by themselves: the program that loads it defines
 * them. */
#define PC_STORE_SYMBOL "powercut_store"

const char *pc_store_status_name(enum pc_store_status status); /* "DATA_LOSS" */

#endif
