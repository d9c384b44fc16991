/* minivault.h: an embedded key-value store, a log-structured merge tree that says what it promises
 * when the power fails. This header is all that an embedding program includes.
 *
 * Keys and values are byte strings; keys compare as unsigned bytes, a proper prefix first. The
 * empty key and the empty value are ordinary. Limits: VAULT_KEY_MAX, VAULT_VALUE_MAX.
 *
 * Durability. A write with `sync` is durable when it returns VAULT_OK: it survives loss of power.
 * Any write that returned survives the death of the process. What survives a power cut is always a
 * prefix of the order of writes, and a batch is in it whole or not at all. vault_durable_seq()
 * promises a floor: every write with a sequence number up to it survives loss of power.
 *
 * By options: with `sync_writes` or `sync_interval` a write that asked for no sync is made durable
 * not later than that many operations, or that many milliseconds, after it (with VAULT_INLINE the
 * time is looked at when something is written). With `no_log` nothing is logged: what was written
 * survives neither the death of the process nor loss of power until vault_flush, vault_sync (the
 * same) or vault_close has returned VAULT_OK, or the handle has flushed by itself;
 * vault_durable_seq tells. What survives is a prefix all the same. A write with `sync` is
 * VAULT_INVALID then.
 *
 * Errors. Every call that can fail answers an enum vault_status; outputs are set only on VAULT_OK.
 * vault_last_error() adds file, offset and errno. After a failed write or sync of the log, the
 * manifest or a table the handle is *failed*, VAULT_NO_SPACE included: writes answer the first
 * failure until the store is closed and opened again; reads go on. No sync is retried. A write that
 * failed may be there after the next open. VAULT_NO_MEMORY fails one call, and nothing was written.
 *
 * Thread safety. A handle may be used by many threads at once; iterators, snapshots and batches by
 * one at a time each. vault_close needs all iterators freed and snapshots released. */
#ifndef MINIVAULT_H
#define MINIVAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VAULT_VERSION "0.1.0" /* of this header; vault_version() is that of the library */

#define VAULT_KEY_MAX   ((size_t)65535)
#define VAULT_VALUE_MAX ((size_t)1 << 30)

enum vault_status {
    VAULT_OK = 0,
    VAULT_NOT_FOUND = 1,   /* no such key; no such database and create_if_missing is false */
    VAULT_INVALID = 2,     /* a bad argument or option */
    VAULT_IO = 3,          /* the operating system reported an error */
    VAULT_NO_SPACE = 4,    /* the disk is full */
    VAULT_CORRUPT = 5,     /* bytes on disk are damaged; vault_error names file and offset */
    VAULT_DATA_LOSS = 6,   /* bytes known to have been synced are gone */
    VAULT_BUSY = 7,        /* another handle has the database open */
    VAULT_NO_MEMORY = 8,   /* the allocator returned NULL */
    VAULT_EXISTS = 9,      /* error_if_exists and it does */
    VAULT_UNSUPPORTED = 10 /* a format version or feature this library does not know */
};

const char *vault_status_name(enum vault_status st); /* "NOT_FOUND"; static text */
const char *vault_version(void);                     /* "0.1.0"; static text */

/* Where and why. `file` is a name within the database directory, "" when none is to blame. */
struct vault_error {
    enum vault_status status;
    char file[48];
    uint64_t offset;
    int system_errno; /* 0 when the system did not fail */
    char what[96];    /* in words */
};

/* All memory of a handle comes from here. `ctx` is passed back. Must be thread safe unless
 * background is VAULT_INLINE and the handle stays on one thread. */
struct vault_allocator {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *p, size_t size);
};

enum vault_background {
    VAULT_THREAD = 0, /* flush and compaction on one thread of the handle */
    VAULT_INLINE = 1  /* inside the call that makes the work due: deterministic */
};

/* Of data blocks. Methods this library was built without are refused with VAULT_UNSUPPORTED. */
enum vault_compression { VAULT_RAW = 0, VAULT_LZ4 = 1, VAULT_ZSTD = 2 };

#define VAULT_LEVELS 7

struct pc_hooks;    /* powercut/hooks.h */
struct vault_cache; /* of blocks, for several handles: vault_cache_new */

/* What the background work tells of itself. */
enum vault_event_kind {
    VAULT_EVENT_FLUSH = 0,      /* a memtable became a table of `bytes` */
    VAULT_EVENT_COMPACTION = 1, /* of `level` and the one below, into `bytes` */
    VAULT_EVENT_STALL = 2,      /* a write waited for flush or compaction */
    VAULT_EVENT_SYNC = 3,       /* the log was synced; `seq` and all before are durable */
    VAULT_EVENT_FAILED = 4      /* the handle refuses writes from now on: `status` */
};
struct vault_event {
    enum vault_event_kind kind;
    unsigned level;
    enum vault_status status;
    uint64_t bytes, seq;
    uint64_t nanoseconds; /* how long it took; 0 with VAULT_INLINE, which reads no clock for it */
};

/* Called on the thread that did the work, maybe on several at once; a write may wait behind it. It
 * may read from the handle, and must not write, flush, compact or close. */
struct vault_listener {
    void *ctx;
    void (*event)(void *ctx, const struct vault_event *event);
};

struct vault_options {
    bool create_if_missing;             /* default true */
    bool error_if_exists;               /* default false */
    bool read_only;                     /* default false; see vault_open */
    enum vault_background background;   /* default VAULT_THREAD */
    size_t write_buffer_size;           /* bytes of one memtable; default 4 MiB */
    size_t block_size;                  /* bytes of a data block before it is cut; default 4096 */
    unsigned restart_interval;          /* keys between restart points; default 16 */
    size_t table_size;                  /* target bytes of a table below level 0; default 2 MiB */
    unsigned level0_tables;             /* level-0 tables that make a compaction due; default 4 */
    uint64_t level1_size;               /* target bytes of level 1; default 10 MiB */
    unsigned level_multiplier;          /* target growth from level to level; default 10 */
    unsigned bloom_bits_per_key;        /* 0: no filters; default 10 */
    size_t block_cache_size;            /* bytes; default 8 MiB */
    struct vault_cache *block_cache;    /* instead: one that is shared; NULL: one of its own */
    size_t read_chunk;                  /* bytes the log reader asks for at once; default 32 KiB */
    uint64_t manifest_size;             /* bytes before a new manifest is begun; default 1 MiB */
    unsigned compression[VAULT_LEVELS]; /* enum vault_compression, level by level; default raw */
    unsigned open_tables;               /* descriptors of tables not in use; default 512 */
    size_t table_memory;                /* bytes of their filters and indexes; default 32 MiB */
    bool no_log;                        /* default false; see below */
    uint64_t sync_writes;               /* unsynced operations at most, this one included; 0: any */
    uint64_t sync_interval;             /* milliseconds that one stays unsynced at most; 0: any */
    uint64_t compaction_rate; /* bytes a second that the thread compacts at most; 0: any */
    const struct vault_listener *listener; /* NULL: none; borrowed until close */
    uint64_t (*clock)(void *clock_ctx);    /* NULL: milliseconds since 1970; see vault_put_until */
    void *clock_ctx;
    const struct vault_allocator *allocator; /* NULL: malloc and free; borrowed until close */
    const struct pc_hooks *hooks;            /* NULL: none; borrowed until close */
};

void vault_options_init(struct vault_options *options); /* the defaults */

/* A cache of `size` bytes for any number of handles, of any threads and databases, each of which
 * sees what it has read itself only. `allocator` as in the options. NULL: no memory. Free it when
 * all of them are closed. */
struct vault_cache *vault_cache_new(size_t size, const struct vault_allocator *allocator);
void vault_cache_free(struct vault_cache *cache); /* NULL is accepted */
size_t vault_cache_used(struct vault_cache *cache);

struct vault;
struct vault_iter;
struct vault_snapshot;
struct vault_batch;

/* Opens or creates the database in directory `path` (its parent must exist; it is synced when the
 * directory is created). Refuses a second open, by any process, with VAULT_BUSY. `error` may be
 * NULL; else it is filled on failure. Free with vault_close.
 *
 * With `read_only` no byte and no name in the directory changes, whatever state it is in: logs are
 * read into memory, all of them, whatever the write_buffer_size. Many may have it open so at once,
 * but nobody who writes. Writes, flushes, compactions and checkpoints answer VAULT_INVALID, and
 * vault_durable_seq() is 0, as nothing was synced. Where there is no database: VAULT_NOT_FOUND. */
enum vault_status vault_open(const char *path, const struct vault_options *options,
                             struct vault **vault, struct vault_error *error);

/* Syncs the log, ends background work, frees the handle (always, also on failure). VAULT_OK
 * promises that every acknowledged write survives loss of power. NULL is accepted. */
enum vault_status vault_close(struct vault *vault);

/* Removes the database files that this library made in `path`, then the directory if empty. */
enum vault_status vault_destroy(const char *path, struct vault_error *error);

/* Writes. `seq`, when not NULL, receives the sequence number of the (last) operation. With `sync`
 * the log is synced before the return. Deleting an absent key is not an error. */
enum vault_status vault_put(struct vault *vault, const void *key, size_t key_len, const void *value,
                            size_t value_len, bool sync, uint64_t *seq);
enum vault_status vault_delete(struct vault *vault, const void *key, size_t key_len, bool sync,
                               uint64_t *seq);

/* Deletes all keys with begin <= key < end, whatever their number; one operation. VAULT_INVALID
 * when the range is empty. */
enum vault_status vault_delete_range(struct vault *vault, const void *begin, size_t begin_len,
                                     const void *end, size_t end_len, bool sync, uint64_t *seq);

/* A put with a time to live: the value is there as long as the clock of the handle stands below
 * `expires` (not 0), and is as if deleted from then on; what the key had before never comes back.
 * With a clock that is set back, a value that had expired may be there again or not. A get reads
 * the clock once, an iterator at its creation. Snapshots pin what was written, not the time. */
enum vault_status vault_put_until(struct vault *vault, const void *key, size_t key_len,
                                  const void *value, size_t value_len, uint64_t expires, bool sync,
                                  uint64_t *seq);
uint64_t vault_now(struct vault *vault); /* the clock of the handle */

/* A batch is applied whole or not at all, in the order of its operations. */
struct vault_batch *vault_batch_new(void); /* NULL: no memory */
void vault_batch_free(struct vault_batch *batch);
void vault_batch_clear(struct vault_batch *batch);
enum vault_status vault_batch_put(struct vault_batch *batch, const void *key, size_t key_len,
                                  const void *value, size_t value_len);
enum vault_status vault_batch_put_until(struct vault_batch *batch, const void *key, size_t key_len,
                                        const void *value, size_t value_len, uint64_t expires);
enum vault_status vault_batch_delete(struct vault_batch *batch, const void *key, size_t key_len);
enum vault_status vault_batch_delete_range(struct vault_batch *batch, const void *begin,
                                           size_t begin_len, const void *end, size_t end_len);
size_t vault_batch_count(const struct vault_batch *batch);
enum vault_status vault_write(struct vault *vault, const struct vault_batch *batch, bool sync,
                              uint64_t *seq);

/* Makes every write so far durable. */
enum vault_status vault_sync(struct vault *vault);

/* Reads. `snapshot` may be NULL: the newest state. The value is the caller's: vault_value_free
 * with the same handle. VAULT_NOT_FOUND when absent. */
enum vault_status vault_get(struct vault *vault, const struct vault_snapshot *snapshot,
                            const void *key, size_t key_len, void **value, size_t *value_len);
void vault_value_free(struct vault *vault, void *value, size_t value_len);

/* Many keys of one state, in any order. found[i] is what vault_get says of keys[i]: a value that is
 * the caller's with VAULT_OK, or VAULT_NOT_FOUND. Any other failure is answered for all, and then
 * there is nothing to free. */
struct vault_key {
    const void *data;
    size_t len;
};
struct vault_found {
    enum vault_status status;
    void *value; /* vault_value_free */
    size_t value_len;
};
enum vault_status vault_multi_get(struct vault *vault, const struct vault_snapshot *snapshot,
                                  const struct vault_key *keys, size_t count,
                                  struct vault_found *found);

/* A snapshot pins the state of the moment; release it before close. */
enum vault_status vault_snapshot_new(struct vault *vault, struct vault_snapshot **snapshot);
void vault_snapshot_release(struct vault *vault, struct vault_snapshot *snapshot);

/* An iterator sees the state at its creation (or of the snapshot). It begins nowhere: seek first.
 * Moving off either end makes it invalid; so does an error, which stays (vault_iter_status). Key
 * and value are views, good until the iterator moves or is freed. */
enum vault_status vault_iter_new(struct vault *vault, const struct vault_snapshot *snapshot,
                                 struct vault_iter **iter);
void vault_iter_free(struct vault_iter *iter);
bool vault_iter_valid(const struct vault_iter *iter);
enum vault_status vault_iter_status(const struct vault_iter *iter);
void vault_iter_first(struct vault_iter *iter);
void vault_iter_last(struct vault_iter *iter);
void vault_iter_seek(struct vault_iter *iter, const void *key, size_t key_len); /* first >= key */
void vault_iter_seek_for_prev(struct vault_iter *iter, const void *key, size_t key_len); /* <= */
/* Only keys >= lower and < upper are there from now on; NULL: open. Keys are copied. The iterator
 * begins nowhere again. VAULT_NO_MEMORY: the bounds are as before. */
enum vault_status vault_iter_bound(struct vault_iter *iter, const void *lower, size_t lower_len,
                                   const void *upper, size_t upper_len);
/* The same for all keys that begin with `prefix`. */
enum vault_status vault_iter_prefix(struct vault_iter *iter, const void *prefix, size_t prefix_len);
void vault_iter_next(struct vault_iter *iter); /* needs a valid iterator */
void vault_iter_prev(struct vault_iter *iter); /* needs a valid iterator */
const void *vault_iter_key(const struct vault_iter *iter, size_t *len);
const void *vault_iter_value(const struct vault_iter *iter, size_t *len);

/* Writes the memtable to a durable table and waits for it. */
enum vault_status vault_flush(struct vault *vault);

/* Compacts [begin, end], both inclusive, NULL for open, down to the deepest level that holds such
 * keys, and waits for it. */
enum vault_status vault_compact_range(struct vault *vault, const void *begin, size_t begin_len,
                                      const void *end, size_t end_len);

/* Copies the database as it is now into the new directory `path` (VAULT_EXISTS if it is there; its
 * parent must exist and is synced). The copy is durable on VAULT_OK, and `seq`, when not NULL,
 * receives the newest sequence number in it. Others may write meanwhile. Tables are hard links to
 * the same files, which neither side ever changes, and copies where links are not possible. With
 * VAULT_CHECKPOINT_COPY they are copies, so that damage to one does not reach the other. A crash
 * before the return leaves the copy absent, complete, or refused by vault_open. */
#define VAULT_CHECKPOINT_COPY 1u
enum vault_status vault_checkpoint(struct vault *vault, const char *path, unsigned flags,
                                   uint64_t *seq);

/* About how many bytes of tables hold the keys from begin on, those before end (NULL: open); what
 * is in memory is not counted. Adjoining ranges add up. */
enum vault_status vault_approximate_size(struct vault *vault, const void *begin, size_t begin_len,
                                         const void *end, size_t end_len, uint64_t *bytes);

/* What vault_verify and vault_repair tell, one call each. Keys are views, good for the call; NULL:
 * not known. */
enum vault_finding_kind {
    VAULT_FINDING_DAMAGE = 0, /* bytes that are missing, damaged, or contradict others */
    VAULT_FINDING_LOST = 1,   /* repair: what could not be saved */
    VAULT_FINDING_ORPHAN = 2  /* a file that nothing refers to: harmless */
};
struct vault_finding {
    enum vault_finding_kind kind;
    char file[48];
    uint64_t offset;
    char what[96];
    const void *first; /* the keys concerned lie between these two */
    size_t first_len;
    const void *last;
    size_t last_len;
};
typedef void vault_report(void *ctx, const struct vault_finding *finding);

/* Reads everything in the database `path`, which nobody may have open to write, and tells all that
 * is wrong: checksums of every file, the order within and between tables, what manifest, filters
 * and footers say of them, how the logs follow each other. Changes nothing. VAULT_OK: nothing is
 * wrong; VAULT_CORRUPT or VAULT_DATA_LOSS: something is. `options` as for vault_open; `options`,
 * `report` and `error` may be NULL. */
enum vault_status vault_verify(const char *path, const struct vault_options *options,
                               vault_report *report, void *ctx, struct vault_error *error);

/* Makes a damaged database open again, with all that is intact; tells what was lost. Where a block
 * of a table is lost, older values of its keys may show; where the manifest is lost, keys that were
 * deleted may come back. Damaged files are kept as NAME.damaged. VAULT_OK: it can be opened; one in
 * which vault_verify finds nothing is left as it is. A crash on the way leaves it no worse than
 * before. It takes about as much free space as the database. */
enum vault_status vault_repair(const char *path, const struct vault_options *options,
                               vault_report *report, void *ctx, struct vault_error *error);

/* The newest sequence number written, and the newest known to survive loss of power. 0: none. */
uint64_t vault_last_seq(struct vault *vault);
uint64_t vault_durable_seq(struct vault *vault);

/* Copies the newest failure of this handle; VAULT_OK in it when there was none. */
void vault_last_error(struct vault *vault, struct vault_error *error);

/* Since the handle was opened; the first two lines are of now. Amplifications are in thousandths, 0
 * as long as nothing was written or read. */
struct vault_stats {
    unsigned tables[VAULT_LEVELS];
    uint64_t bytes[VAULT_LEVELS];
    uint64_t flushes, compactions, log_syncs, log_bytes, table_bytes_written;
    uint64_t compacted_bytes;     /* of table_bytes_written: those that compactions wrote */
    uint64_t user_bytes;          /* of the operations written */
    uint64_t write_amplification; /* log_bytes and table_bytes_written against user_bytes */
    uint64_t syncs;               /* fsync and fdatasync of any file or directory */
    uint64_t gets, get_blocks;    /* vault_get; data blocks that it looked into */
    uint64_t read_amplification;  /* get_blocks against gets */
    uint64_t cache_hits, cache_misses;
    uint64_t block_bytes_read;    /* from files, for reads and compactions */
    uint64_t stalls, stall_ns;    /* writes that waited for flush or compaction, and how long */
    uint64_t memory, memory_peak; /* bytes held from the allocator now, and at most */
    unsigned open_tables;         /* now */
    uint64_t table_memory;        /* of their filters and indexes, now */
};
void vault_get_stats(struct vault *vault, struct vault_stats *stats);

/* What the structs of this header look like, for callers that cannot read C: bindings, and programs
 * that take options by name or print every figure. */
enum vault_field_kind {
    VAULT_FIELD_BOOL = 0,
    VAULT_FIELD_SIGNED = 1,
    VAULT_FIELD_UNSIGNED = 2, /* enums, too */
    VAULT_FIELD_TEXT = 3,     /* char[count], ended by a zero byte */
    VAULT_FIELD_POINTER = 4
};
struct vault_field {
    const char *name; /* NULL: the end of the table */
    enum vault_field_kind kind;
    uint32_t offset, size; /* bytes; size is that of one element */
    uint32_t count;        /* elements of an array; 1 for a plain member */
};
/* `of` is "options", "stats" or "error"; NULL for another. `size`, when not NULL, receives the
 * bytes of the struct. Static; any thread. */
const struct vault_field *vault_fields(const char *of, size_t *size);

/* Checks what must hold of levels and files whenever the store is quiet: tables of levels below 0
 * disjoint and ordered, every live file present with its size, no file that nothing refers to.
 * VAULT_CORRUPT names the first breach in `error`. For tests: it lists the directory. */
enum vault_status vault_check(struct vault *vault, struct vault_error *error);

#ifdef __cplusplus
}
#endif

#endif
