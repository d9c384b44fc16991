/* wal.h: the log. A record is one write: operations in order, applied whole or not at all.
 *
 * Thread safety: none; the write lock of the handle covers it. */
#ifndef ENGINE_WAL_H
#define ENGINE_WAL_H

#include "record.h"

struct wal {
    struct record_writer out;
    uint64_t last_seq; /* of the newest record */
    uint64_t sealed;   /* of the newest one that is not written yet */
    bool open;
};

/* Creates log `number` and makes header and directory entry durable (W1). On failure the log is
 * closed. */
MUST_USE enum vault_status wal_create(struct env *env, struct wal *wal, uint64_t number,
                                      const struct record_origin *origin);
/* A group of records: wal_begin with `first`, encode the operations into *ops, wal_seal; the same
 * without `first` for each further record; then wal_write, which is one write for all of them. It
 * survives the process then, not yet a power cut. `seq` is the number of the first operation of a
 * record. `at` receives where in *ops the operations of this record begin: the bytes stay there
 * until the next group. */
MUST_USE enum vault_status wal_begin(struct env *env, struct wal *wal, bool first, size_t len,
                                     struct buffer **ops, size_t *at);
MUST_USE enum vault_status wal_seal(struct env *env, struct wal *wal, uint64_t seq, uint32_t count);
MUST_USE enum vault_status wal_write(struct env *env, struct wal *wal);
/* Everything appended survives a power cut. */
MUST_USE enum vault_status wal_sync(struct env *env, struct wal *wal);
/* Syncs what is unsynced, writes the closing claim and closes. The log is closed in any case. */
MUST_USE enum vault_status wal_finish(struct env *env, struct wal *wal);
/* Closes without writing: after a failure. */
void wal_abandon(struct env *env, struct wal *wal);

/* One operation, encoded. `kind` is FORMAT_OP_*. */
size_t ops_size(unsigned kind, size_t key_len, size_t value_len);
void ops_encode(struct buffer *to, unsigned kind, struct bytes key, struct bytes value);
/* A put that expires: FORMAT_OP_PUT_UNTIL, of value.len + FORMAT_EXPIRY bytes. */
void ops_encode_until(struct buffer *to, struct bytes key, struct bytes value, uint64_t expires);
/* Takes the next operation; sets ops->bad on damage. */
bool ops_take(struct taker *ops, unsigned *kind, struct bytes *key, struct bytes *value);
/* Are there exactly `count` good operations? Asked of bytes from disk before any is applied.
 * `ranges` receives how many of them are range deletes. */
bool ops_valid(struct bytes ops, uint32_t count, size_t *ranges);

#endif
