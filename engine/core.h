/* core.h: struct vault, as the files that make up the public face share it.
 *
 *   vault.c    public calls: writing, reading, snapshots, statistics
 *   write.c    what a write does; concurrent ones in groups
 *   iter.c     public iterators
 *   recover.c  opening
 *   flush.c    a memtable becomes a table; the maintenance job, inline or on its thread
 *   compact.c  picking and running compactions
 *   inspect.c    vault_check and vault_destroy
 *   checkpoint.c a copy in another directory
 *   watch.c      statistics and events
 *   verify.c repair.c   what is wrong with a database, and what can be saved of it
 *
 * Two locks. `writing` is held for a whole write, sync, rotation; it orders the writers and covers
 * the log. `lock` covers the rest, is held briefly and never across a system call, so readers never
 * wait for a disk write. Order: writing, then lock. */
#ifndef ENGINE_CORE_H
#define ENGINE_CORE_H

#include "manifest.h"
#include "memtable.h"
#include "wal.h"

#define LEVEL0_SLOW 3 /* times level0_tables: E5 in write.c */

struct vault_snapshot {
    struct vault_snapshot *next, *prev;
    uint64_t seq;
};

/* A compaction asked for by vault_compact_range; lives on the caller's stack. */
struct core_manual {
    const struct bytes *begin, *end; /* NULL: open */
    bool done;
    enum vault_status status;
};

/* One operation on its way into the log; `expires` counts for FORMAT_OP_PUT_UNTIL alone. */
struct core_op {
    unsigned kind;
    struct bytes key, value;
    uint64_t expires;
};

/* A write that waits for its turn; lives on the caller's stack. */
struct core_write {
    const struct core_op *op; /* one operation; NULL: `ops` */
    struct bytes ops;         /* encoded */
    uint32_t count;           /* of operations */
    size_t ranges;            /* how many of them are range deletes */
    size_t bytes;             /* encoded */
    bool sync;
    /* write.c */
    struct core_write *next;
    struct thread_cond turn; /* only where `waiting` */
    bool waiting, done;
    enum vault_status status;
    uint64_t seq; /* of the last operation */
    size_t at;    /* where in the log's frame the operations begin */
};

struct vault {
    struct env env;
    struct vault_options options;
    struct os_file lock_file;
    struct cache cache;
    struct tables tables;
    struct manifest manifest; /* by the maintainer: the thread, or who holds `writing` inline */

    struct thread_mutex writing;
    struct wal wal;             /* `writing`; closed until the first write after a rotation */
    struct record_origin chain; /* `writing`; what the next log says about the last one */
    struct buffer scratch;      /* `writing`; the operations of a group, without a log */
    uint64_t unsynced;          /* `writing`; operations since the newest sync */

    struct thread_mutex lock; /* everything below */
    struct thread_cond work;  /* the maintainer waits */
    struct thread_cond done;  /* others wait for the maintainer */
    struct thread maintainer;
    struct thread syncer;       /* with sync_interval */
    struct thread_cond ticking; /* the syncer waits */
    bool waiting_sync;          /* something is not synced, */
    uint64_t waiting_since;     /* since then: nanoseconds; inline: milliseconds of vault_now */
    struct core_write *first_write, *last_write; /* in the order of their turns; first: leads */
    bool stopping;
    bool busy;     /* the thread is at work */
    unsigned held; /* checks that run: the thread begins nothing */
    struct memtable *mem;
    struct memtable *full; /* being flushed; NULL: none */
    /* Range deletes beside them, by begin, the end as the value; NULL: none. */
    struct memtable *mem_ranges, *full_ranges;
    uint64_t full_log;                         /* the log that holds `full` */
    struct version *version;                   /* the installed one */
    uint64_t manifest_number, manifest_synced; /* what a new log says about the manifest (M5) */
    uint64_t last_seq, durable_seq;
    enum vault_status failed; /* first failure of a write; stays (D5) */
    struct vault_error failure;
    enum vault_status hiccup; /* a flush that may be tried again: no memory */
    bool compaction_paused;   /* one failed on reading; until the next flush */
    struct core_manual *manual;
    struct vault_snapshot *snapshots; /* oldest first */
    struct vault_snapshot *newest_snapshot;
    uint64_t flushes, compactions, log_syncs, log_bytes, user_bytes;
    uint64_t stalls, stall_ns;
    uint64_t table_bytes, compacted_bytes, gets; /* atomic */
    bool crowded;                                /* atomic; level 0 has grown far: E5 */
    size_t slowed_at; /* `writing`; size of the memtable when a write was last slowed */
    uint64_t pace;    /* by the maintainer: when the next bytes are due (C8) */
};

/* What a reader sees: references to everything it needs. */
struct core_view {
    struct memtable *mem, *full;
    struct memtable *mem_ranges, *full_ranges;
    struct version *version;
    uint64_t seq;
};

void core_view_get(struct vault *v, const struct vault_snapshot *snapshot, struct core_view *view);
void core_view_put(struct vault *v, struct core_view *view);

/* May the entry be shown now? Takes the time off the front of a value that expires. */
static inline bool core_live(struct vault *v, uint64_t tag, struct bytes *value)
{
    return cursor_live(tag, tag & CURSOR_EXPIRES ? vault_now(v) : 0, value);
}

/* Adds the range deletes of a memtable of them (NULL: none) up to `seq`. */
MUST_USE enum vault_status core_ranges(struct env *env, struct memtable *from, uint64_t seq,
                                       struct ranges *to);

/* Keeps the first failure, wakes who waits, and answers it. Not under `lock`. */
enum vault_status core_fail(struct vault *v, enum vault_status st);
enum vault_status core_failed(struct vault *v);

/* write.c */
size_t core_op_size(const struct core_op *op);
void core_op_encode(struct buffer *to, const struct core_op *op); /* room was reserved */
/* Writes, alone or with those that wait beside it. `seq` may be NULL. */
MUST_USE enum vault_status core_write(struct vault *v, struct core_write *write, uint64_t *seq);

/* watch.c */
uint64_t core_ticks(const struct vault *v); /* nanoseconds; 0 with VAULT_INLINE */
void core_event(struct vault *v, const struct vault_event *event); /* not under `lock` */

void *core_sync_in_time(void *vault); /* write.c; the syncer */
/* E5, before a rotation; `writing` is held. */
void core_wait_for_room(struct vault *v);

/* recover.c. On failure the vault is as before, plus what manifest and version hold. */
MUST_USE enum vault_status core_recover(struct vault *v);

/* flush.c */
/* Writes the entries of `mem` and `ranges` (NULL: none) as a synced table; its directory entry is
 * not durable yet. */
MUST_USE enum vault_status core_build(struct vault *v, struct memtable *mem,
                                      struct memtable *ranges, struct table **out);
struct sst_options core_sst_options(const struct vault *v, unsigned level);
/* Installs `next`, whose edit is durable; takes the reference. `flushed`: that edit, when it is
 * v->full that has become a table; NULL: a compaction or recovery. */
void core_install(struct vault *v, struct version *next, const struct edit *flushed);
/* Flushes v->full if there is one. By the maintainer only. */
MUST_USE enum vault_status core_flush_full(struct vault *v);
void core_flush_job(struct vault *v); /* the same, and says what a failure means for the handle */
/* Makes v->mem full and lets it be flushed. `writing` is held. */
MUST_USE enum vault_status core_rotate(struct vault *v);
/* Waits until nothing is being flushed (inline: flushes). `writing` is held. */
MUST_USE enum vault_status core_settle(struct vault *v);
void *core_maintain(void *vault);

/* compact.c */
bool core_compaction_due(struct vault *v);                     /* `lock` held */
MUST_USE enum vault_status core_compact_once(struct vault *v); /* by the maintainer */
MUST_USE enum vault_status core_compact_manual(struct vault *v, const struct bytes *begin,
                                               const struct bytes *end);

/* inspect.c: the names in the directory that are ours, by number. */
struct core_name {
    enum format_file kind;
    uint64_t number;
};

struct core_names {
    struct env *env;
    struct buffer data; /* struct core_name each */
    size_t others;      /* names that are not ours */
};

MUST_USE enum vault_status core_list(struct env *env, struct core_names *names);
/* Order and bounds within the levels, and that every table is there with its size. */
MUST_USE enum vault_status core_check_levels(struct vault *v);
/* Removes the files that are ours, then the directory if nothing else is in it. */
MUST_USE enum vault_status core_remove_files(struct env *env);
void core_names_release(struct core_names *names);

static inline const struct core_name *core_names_at(const struct core_names *names)
{
    return (const struct core_name *)(const void *)names->data.data;
}

static inline size_t core_names_count(const struct core_names *names)
{
    return names->data.len / sizeof(struct core_name);
}

#endif
