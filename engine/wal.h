/* wal.h: the log. A record is one write: operations in order, applied whole or not at all.
 *
 * Thread safety: none; the write lock of the handle covers it. */
#ifndef ENGINE_WAL_H
#define ENGINE_WAL_H

#include "record.h"

struct wal {
    struct record_writer out;
    uint64_t last_seq; /* of the newest record */
    bool open;
};

/* Creates log `number` and makes header and directory entry durable (W1). On failure the log is
 * closed. */
MUST_USE enum vault_status wal_create(struct env *env, struct wal *wal, uint64_t number,
                                      const struct record_origin *origin);
/* Begins a record with room for operations of `len` bytes; the caller encodes them into *ops. */
MUST_USE enum vault_status wal_begin(struct env *env, struct wal *wal, size_t len,
                                     struct buffer **ops);
/* Writes the record begun: it survives the process, not yet a power cut. `seq` is the number of its
 * first operation. `ops` receives a view of the operations, good until the next record. */
MUST_USE enum vault_status wal_append(struct env *env, struct wal *wal, uint64_t seq,
                                      uint32_t count, struct bytes *ops);
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
/* Are there exactly `count` good operations? Asked of bytes from disk before any is applied. */
bool ops_valid(struct bytes ops, uint32_t count);

#endif
