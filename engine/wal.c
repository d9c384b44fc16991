/* wal.c: the write-ahead log.
 *
 * W1  Before wal_create returns, the header is synced and so is the directory: whatever is later
 *     acknowledged in this log cannot lose its file (K01).
 * W2  A log is synced to its end before the next one is created (wal_finish), so that a later log
 *     never outlives an earlier one (K07). The next log's header says how far that was.
 * W3  The first failure of a log is its answer from then on (R2).
 * W4  A record is one write of the user; concurrent ones are written in one call, as records of
 *     their own. Its operations are checked as a whole before any is
 *     applied (K38).
 * W5  A log is never appended to by a handle that did not create it: what recovery read of it may
 *     be in the page cache only. Numbers are never used twice (K04).
 *
 * The closing claim is written after the sync and is not synced itself. It costs one write; it
 * makes later damage to the last synced group visible. On an honest disk nothing depends on it
 * (R4). */
#include "wal.h"

enum vault_status wal_create(struct env *env, struct wal *wal, uint64_t number,
                             const struct record_origin *origin)
{
    enum vault_status st = VAULT_OK;

    must(!wal->open);
    st = record_create(env, &wal->out, FORMAT_LOG, number, origin);
    if (st)
        return st;
    wal->open = true;
    wal->last_seq = origin->prev_seq;
    st = record_sync(env, &wal->out);
    if (!st)
        st = os_sync_dir(env); /* W1 */
    if (st)
        wal_abandon(env, wal);
    return st;
}

enum vault_status wal_begin(struct env *env, struct wal *wal, bool first, size_t len,
                            struct buffer **ops, size_t *at)
{
    enum vault_status st = VAULT_OK;

    must(wal->open);
    st = first ? record_begin(env, &wal->out, len) : record_more(env, &wal->out, len);
    if (st)
        return st;
    *ops = &wal->out.frame;
    *at = wal->out.frame.len;
    return VAULT_OK;
}

enum vault_status wal_seal(struct env *env, struct wal *wal, uint64_t seq, uint32_t count)
{
    must(wal->open);
    must(count > 0);
    wal->sealed = seq + count - 1;
    return record_seal(env, &wal->out, FORMAT_RECORD_DATA, seq, count);
}

enum vault_status wal_write(struct env *env, struct wal *wal)
{
    enum vault_status st = VAULT_OK;

    must(wal->open);
    st = record_write(env, &wal->out);
    if (!st)
        wal->last_seq = wal->sealed;
    return st;
}

enum vault_status wal_sync(struct env *env, struct wal *wal)
{
    must(wal->open);
    return record_sync(env, &wal->out);
}

enum vault_status wal_finish(struct env *env, struct wal *wal)
{
    enum vault_status st = wal->out.failed;
    enum vault_status closing = VAULT_OK;

    must(wal->open);
    if (!st && wal->out.synced < wal->out.file.size)
        st = wal_sync(env, wal); /* W2 */
    if (!st)
        st = record_claim(env, &wal->out, wal->last_seq);
    closing = record_close(env, &wal->out);
    wal->open = false;
    return st ? st : closing;
}

void wal_abandon(struct env *env, struct wal *wal)
{
    if (wal->open) {
        enum vault_status ignored = record_close(env, &wal->out); /* It has failed already. */

        (void)ignored;
    }
    wal->open = false;
}

size_t ops_size(unsigned kind, size_t key_len, size_t value_len)
{
    size_t size = 1 + varint_size(key_len) + key_len;

    return kind == FORMAT_OP_DELETE ? size : size + varint_size(value_len) + value_len;
}

void ops_encode(struct buffer *to, unsigned kind, struct bytes key, struct bytes value)
{
    uint8_t byte = (uint8_t)kind;

    buffer_put(to, bytes_of(&byte, 1));
    buffer_put_varint(to, key.len);
    buffer_put(to, key);
    if (kind == FORMAT_OP_DELETE)
        return;
    buffer_put_varint(to, value.len);
    buffer_put(to, value);
}

void ops_encode_until(struct buffer *to, struct bytes key, struct bytes value, uint64_t expires)
{
    uint8_t time[FORMAT_EXPIRY];
    uint8_t byte = FORMAT_OP_PUT_UNTIL;

    store_u64(time, expires);
    buffer_put(to, bytes_of(&byte, 1));
    buffer_put_varint(to, key.len);
    buffer_put(to, key);
    buffer_put_varint(to, sizeof time + value.len);
    buffer_put(to, bytes_of(time, sizeof time));
    buffer_put(to, value);
}

bool ops_take(struct taker *ops, unsigned *kind, struct bytes *key, struct bytes *value)
{
    struct bytes byte = take_bytes(ops, 1);
    size_t more = 0;

    *value = (struct bytes){NULL, 0};
    if (ops->bad)
        return false;
    *kind = byte.data[0];
    if (*kind > FORMAT_OP_PUT_UNTIL)
        return false;
    *key = take_bytes(ops, take_varint(ops));
    if (*kind != FORMAT_OP_DELETE)
        *value = take_bytes(ops, take_varint(ops));
    if (*kind == FORMAT_OP_PUT_UNTIL)
        more = FORMAT_EXPIRY;
    if (*kind == FORMAT_OP_DELETE_RANGE && !ops->bad)
        return key->len <= VAULT_KEY_MAX && value->len <= VAULT_KEY_MAX &&
               bytes_compare(*key, *value) < 0;
    return !ops->bad && key->len <= VAULT_KEY_MAX && value->len >= more &&
           value->len - more <= VAULT_VALUE_MAX;
}

bool ops_valid(struct bytes ops, uint32_t count, size_t *ranges)
{
    struct taker t = taker_of(ops);
    struct bytes key;
    struct bytes value;
    unsigned kind = 0;

    *ranges = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!ops_take(&t, &kind, &key, &value))
            return false;
        *ranges += kind == FORMAT_OP_DELETE_RANGE;
    }
    return taker_left(&t) == 0;
}
