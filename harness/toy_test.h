/* toy_test.h: a store whose crash states can be counted by hand, with mistakes to plant.
 *
 * It keeps one log: a record per write or batch, with sequence number, length and checksum;
 * recovery takes the longest run of good records and cuts off the rest. */
#ifndef HARNESS_TOY_TEST_H
#define HARNESS_TOY_TEST_H

#include "explore.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "base/rng.h"
#include "play.h"
#include "powercut/posix.h"
#include "shrink.h"

enum mistake {
    NOTHING,
    NO_CHECKSUM,    /* a record is believed when its number and length look right */
    NO_SYNC,        /* a sync write is not synced */
    NO_DIRECTORY,   /* the new log's name is not synced */
    LATE_SYNC,      /* a sync write is synced by the write after it */
    HALF_BATCH,     /* a batch is as many records as it has writes */
    SKIP_BAD,       /* recovery goes on behind a bad record */
    REFUSE_TORN,    /* a torn tail is called corrupt */
    LEAK_FILE,      /* close forgets the descriptor */
    LOSE_AT_CLOSE,  /* close cuts the last record off */
    ERASE_ON_OPEN,  /* recovery rewrites the log in place, without care */
    FICKLE_ORDER,   /* every second recovery looks at the file in another way */
    FICKLE_LENGTH,  /* every second recovery looks at less */
    DEAD_RETURNS,   /* the first recovery drops the last record, the next one has it again */
    THIRD_TIME,     /* the third recovery in a row begins with an empty log */
    DEAF,           /* a failed sync is taken for one that succeeded */
    DEAF_WHEN_HURT, /* the same, but only once a write has failed */
    PARITY,         /* the checksum sees how many units are empty, odd or even: two lost are none */
    AFTER_REPAIR,   /* the first sync write behind a recovery that cut the log off is not synced */
    STUCK,          /* behind a recovery that cut the log off nothing can be compacted */
    HURT_FOR_GOOD,  /* after a recovery that met a failing call the log is called corrupt */
    MISTAKES
};

static enum mistake planted;
static bool synchronous;  /* the log is written through O_DSYNC */
static unsigned openings; /* what makes the fickle ones fickle */

#define TOY_KEYS  16
#define TOY_VALUE 200
#define HEADER    12
#define LOG       STORE_DIR "/log"
#define FIRST     STORE_DIR "/first"
#define SECOND    STORE_DIR "/second"

struct toy_entry {
    uint8_t key[32], value[TOY_VALUE];
    uint32_t key_len, value_len;
};

struct toy {
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *p, size_t size);
    void *alloc_ctx;
    int fd;
    off_t end;
    uint32_t seq;
    bool late, hurt, failed, repaired, cut;
    uint32_t count;
    struct toy_entry entries[TOY_KEYS];
};

struct toy_iter {
    struct toy *toy;
    long at;
};

static enum pc_store_status toy_error(struct pc_store_error *error, enum pc_store_status status,
                                      const char *text)
{
    error->status = status;
    snprintf(error->text, sizeof error->text, "%s (errno %d)", text, errno);
    return status;
}

static struct bytes entry_key(const struct toy_entry *entry)
{
    return bytes_of(entry->key, entry->key_len);
}

/* First entry not below the key. */
static uint32_t toy_find(const struct toy *toy, struct bytes key, bool *found)
{
    uint32_t i = 0;

    while (i < toy->count && bytes_compare(entry_key(&toy->entries[i]), key) < 0)
        i++;
    *found = i < toy->count && bytes_equal(entry_key(&toy->entries[i]), key);
    return i;
}

static void toy_apply(struct toy *toy, const struct pc_write *write)
{
    bool found;
    uint32_t i = toy_find(toy, write->key, &found);
    struct toy_entry *entry = &toy->entries[i];

    if (write->is_delete && !found)
        return;
    if (write->is_delete) {
        memmove(entry, entry + 1, (--toy->count - i) * sizeof *entry);
        return;
    }
    if (!found && toy->count == TOY_KEYS)
        return; /* only damage brings so many */
    if (!found)
        memmove(entry + 1, entry, (toy->count++ - i) * sizeof *entry);
    entry->key_len = (uint32_t)write->key.len;
    entry->value_len = (uint32_t)write->value.len;
    if (write->key.len)
        memcpy(entry->key, write->key.data, write->key.len);
    if (write->value.len)
        memcpy(entry->value, write->value.data, write->value.len);
}

static uint32_t toy_sum(const uint8_t *p, size_t len)
{
    uint32_t full = 0;

    if (planted != PARITY)
        return (uint32_t)XXH3_64bits(p, len);
    for (size_t at = 0; at < len; at += 64) {
        bool any = false;

        for (size_t i = at; i < len && i < at + 64; i++)
            any |= p[i] != 0;
        full += any;
    }
    return full % 2;
}

static size_t toy_encode(const struct pc_write *writes, size_t count, uint32_t seq, uint8_t *out)
{
    size_t n = HEADER;
    uint32_t length, sum;

    for (size_t i = 0; i < count; i++) {
        out[n++] = writes[i].is_delete;
        out[n++] = (uint8_t)writes[i].key.len;
        out[n++] = (uint8_t)writes[i].value.len;
        memcpy(out + n, writes[i].key.data ? writes[i].key.data : out, writes[i].key.len);
        n += writes[i].key.len;
        memcpy(out + n, writes[i].value.data ? writes[i].value.data : out, writes[i].value.len);
        n += writes[i].value.len;
    }
    length = (uint32_t)(n - HEADER);
    memcpy(out + 4, &seq, 4);
    memcpy(out + 8, &length, 4);
    sum = toy_sum(out + 4, n - 4);
    memcpy(out, &sum, 4);
    return n;
}

/* Applies the writes of a record; false: they do not fit into it, or into the toy. */
static bool toy_decode(struct toy *toy, const uint8_t *data, size_t len)
{
    while (len > 0) {
        struct pc_write write;

        if (len < 3 || data[1] > 32 || data[2] > TOY_VALUE || len < 3u + data[1] + data[2])
            return false;
        write = (struct pc_write){data[0] != 0, bytes_of(data + 3, data[1]),
                                  bytes_of(data + 3 + data[1], data[2]), 0, false};
        toy_apply(toy, &write);
        len -= 3u + data[1] + data[2];
        data += 3 + data[1] + data[2];
    }
    return true;
}

/* Reads the record at *at and goes behind it. 1: good, 0: the end, -1: bad, and *at is moved where
 * one may hope for another record behind it. */
static int toy_read_record(struct toy *toy, off_t *at, uint8_t *buffer, size_t room)
{
    uint32_t sum, seq, length;
    ssize_t got = pread(toy->fd, buffer, HEADER, *at);

    if (got < HEADER)
        return got == 0 ? 0 : -1;
    memcpy(&sum, buffer, 4);
    memcpy(&seq, buffer + 4, 4);
    memcpy(&length, buffer + 8, 4);
    if (length > room - HEADER || length == 0 ||
        (planted == SKIP_BAD ? seq <= toy->seq : seq != toy->seq + 1))
        return -1;
    if (pread(toy->fd, buffer + HEADER, length, *at + HEADER) != (ssize_t)length)
        return -1;
    *at += HEADER + (off_t)length;
    if (planted != NO_CHECKSUM && toy_sum(buffer + 4, HEADER - 4 + length) != sum)
        return -1;
    if (!toy_decode(toy, buffer + HEADER, length))
        return -1;
    toy->seq = seq;
    return 1;
}

/* Up to the record number `most`. */
static int toy_read_log(struct toy *toy, uint32_t most)
{
    uint8_t buffer[2048];
    int good = 0;
    off_t at = 0;

    if (planted == FICKLE_ORDER && openings++ % 2)
        (void)!pread(toy->fd, buffer, 1, 100);
    while (toy->seq < most) {
        off_t before = at;

        good = toy_read_record(toy, &at, buffer, sizeof buffer);
        if (good > 0)
            toy->end = at;
        else if (planted != SKIP_BAD || at == before)
            break;
    }
    if (planted == FICKLE_LENGTH && openings++ % 2)
        (void)!pread(toy->fd, buffer, 1, lseek(toy->fd, 0, SEEK_END) - 1);
    return good;
}

static int toy_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY), bad;

    if (fd < 0)
        return -1;
    bad = fsync(fd);
    close(fd);
    return bad;
}

/* Makes an empty file, durably. */
static int toy_mark(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0644);

    if (fd < 0)
        return -1;
    close(fd);
    return toy_sync_dir(STORE_DIR);
}

static void toy_empty(struct toy *toy)
{
    toy->count = toy->seq = 0;
    toy->end = 0;
}

/* What the mistakes do that need several recoveries, once the log was read. */
static int toy_misbehave(struct toy *toy)
{
    struct stat st;
    uint32_t last = toy->seq;

    if (last == 0)
        return 0;
    if (planted == DEAD_RETURNS && stat(FIRST, &st) != 0) {
        toy_empty(toy);
        (void)toy_read_log(toy, last - 1);
        return toy_mark(FIRST);
    }
    if (planted != THIRD_TIME)
        return 0;
    if (stat(SECOND, &st) == 0)
        toy_empty(toy);
    else if (toy_mark(stat(FIRST, &st) == 0 ? SECOND : FIRST) != 0)
        return -1;
    (void)unlink(FIRST);
    (void)unlink(SECOND);
    return toy_sync_dir(STORE_DIR);
}

static int toy_recover(struct toy *toy, struct pc_store_error *error)
{
    struct stat st;
    int bad;

    if (planted == HURT_FOR_GOOD && stat(SECOND, &st) == 0)
        return toy_error(error, PC_STORE_CORRUPT, "hurt") ? -1 : 0;
    if (mkdir(STORE_DIR, 0755) != 0 && errno != EEXIST)
        return -1;
    if (toy_sync_dir(MOUNT_POINT) != 0)
        return -1;
    toy->fd = open(LOG, O_RDWR | O_CREAT | (synchronous ? O_DSYNC : 0), 0644);
    if (toy->fd < 0 || (planted != NO_DIRECTORY && toy_sync_dir(STORE_DIR) != 0))
        return -1;
    bad = toy_read_log(toy, UINT32_MAX);
    if (bad && planted == REFUSE_TORN)
        return toy_error(error, PC_STORE_CORRUPT, "a bad record") ? -1 : 0;
    if (planted == ERASE_ON_OPEN && toy->end > 0) {
        uint8_t whole[4096];
        ssize_t len = pread(toy->fd, whole, sizeof whole, 0);

        return ftruncate(toy->fd, 0) || pwrite(toy->fd, whole, (size_t)len, 0) != len ||
               fdatasync(toy->fd);
    }
    if (toy_misbehave(toy) != 0)
        return -1;
    if (planted == DEAD_RETURNS)
        return 0;
    if (fstat(toy->fd, &st) != 0)
        return -1;
    toy->repaired = toy->cut = st.st_size != toy->end;
    if (toy->repaired && (ftruncate(toy->fd, toy->end) != 0 || fsync(toy->fd) != 0))
        return -1;
    return 0;
}

static enum pc_store_status toy_open(const struct pc_store_env *env, void **db,
                                     struct pc_store_error *error)
{
    struct toy *toy = env->alloc(env->alloc_ctx, sizeof *toy);

    memset(toy, 0, sizeof *toy);
    toy->alloc = env->alloc;
    toy->free = env->free;
    toy->alloc_ctx = env->alloc_ctx;
    toy->fd = -1;
    if (toy_recover(toy, error) != 0) {
        if (!error->status)
            toy_error(error, PC_STORE_IO, "recovery fails");
        if (planted == HURT_FOR_GOOD)
            (void)toy_mark(SECOND);
        if (toy->fd >= 0)
            close(toy->fd);
        toy->free(toy->alloc_ctx, toy, sizeof *toy);
        return error->status;
    }
    *db = toy;
    return PC_STORE_OK;
}

static enum pc_store_status toy_sync(void *db, struct pc_store_error *error)
{
    struct toy *toy = db;

    if (toy->failed)
        return toy_error(error, PC_STORE_IO, "failed before");
    if (fdatasync(toy->fd) == 0 || planted == DEAF || (planted == DEAF_WHEN_HURT && toy->hurt))
        return PC_STORE_OK;
    toy->failed = true; /* what was written may be gone, and no later sync brings it back */
    return toy_error(error, PC_STORE_IO, "fdatasync");
}

static enum pc_store_status toy_close(void *db, struct pc_store_error *error)
{
    struct toy *toy = db;
    enum pc_store_status st = PC_STORE_OK;

    if (planted == LOSE_AT_CLOSE && toy->end > 0 && ftruncate(toy->fd, toy->end - 1) != 0)
        st = toy_error(error, PC_STORE_IO, "ftruncate");
    if (planted == DEAD_RETURNS && ftruncate(toy->fd, toy->end) != 0)
        st = toy_error(error, PC_STORE_IO, "ftruncate");
    if (st == PC_STORE_OK)
        st = toy_sync(db, error);
    if (planted != LEAK_FILE)
        close(toy->fd);
    toy->free(toy->alloc_ctx, toy, sizeof *toy);
    return st;
}

static enum pc_store_status toy_append(struct toy *toy, const struct pc_write *writes, size_t count,
                                       struct pc_store_error *error)
{
    uint8_t record[2048];
    size_t len = toy_encode(writes, count, toy->seq + 1, record);

    if (pwrite(toy->fd, record, len, toy->end) != (ssize_t)len) {
        toy->hurt = true;
        return toy_error(error, PC_STORE_IO, "pwrite");
    }
    toy->end += (off_t)len;
    toy->seq++;
    for (size_t i = 0; i < count; i++)
        toy_apply(toy, &writes[i]);
    return PC_STORE_OK;
}

static enum pc_store_status toy_write(void *db, const struct pc_write *writes, size_t count,
                                      bool sync, uint64_t *seq, struct pc_store_error *error)
{
    struct toy *toy = db;
    enum pc_store_status st = PC_STORE_OK;
    size_t step = planted == HALF_BATCH ? 1 : count;

    if (toy->failed)
        return toy_error(error, PC_STORE_IO, "failed before");
    if (toy->late)
        st = toy_sync(db, error);
    toy->late = false;
    for (size_t i = 0; st == PC_STORE_OK && i < count; i += step)
        st = toy_append(toy, writes + i, step, error);
    if (st == PC_STORE_OK && sync && planted == LATE_SYNC)
        toy->late = true;
    else if (st == PC_STORE_OK && sync && planted != NO_SYNC &&
             !(planted == AFTER_REPAIR && toy->repaired))
        st = toy_sync(db, error);
    toy->repaired = false;
    *seq = toy->seq;
    return st;
}

static enum pc_store_status toy_get(void *db, void *snapshot, struct bytes key,
                                    void (*give)(void *ctx, struct bytes value), void *ctx,
                                    struct pc_store_error *error)
{
    struct toy *toy = db;
    bool found;
    uint32_t i = toy_find(toy, key, &found);

    if (!found)
        return PC_STORE_NOT_FOUND;
    give(ctx, bytes_of(toy->entries[i].value, toy->entries[i].value_len));
    return PC_STORE_OK;
}

static enum pc_store_status toy_snapshot(void *db, void **snapshot, struct pc_store_error *error)
{
    return toy_error(error, PC_STORE_INVALID, "no snapshots");
}

static void toy_release(void *db, void *snapshot)
{
}

static enum pc_store_status toy_iter_new(void *db, void *snapshot, void **out,
                                         struct pc_store_error *error)
{
    struct toy *toy = db;
    struct toy_iter *iter = toy->alloc(toy->alloc_ctx, sizeof *iter);

    *iter = (struct toy_iter){toy, -1};
    *out = iter;
    return PC_STORE_OK;
}

static void toy_iter_free(void *it)
{
    struct toy_iter *iter = it;

    iter->toy->free(iter->toy->alloc_ctx, iter, sizeof *iter);
}

static bool toy_iter_move(void *it, enum pc_move move, struct bytes key, struct bytes *found_key,
                          struct bytes *found_value, struct pc_store_error *error)
{
    struct toy_iter *iter = it;
    const struct toy *toy = iter->toy;
    bool exact = false;
    long count = (long)toy->count;

    switch (move) {
    case PC_FIRST:
        iter->at = 0;
        break;
    case PC_LAST:
        iter->at = count - 1;
        break;
    case PC_NEXT:
        iter->at++;
        break;
    case PC_PREV:
        iter->at--;
        break;
    default:
        iter->at = (long)toy_find(toy, key, &exact);
        iter->at -= move == PC_SEEK_FOR_PREV && !exact;
        break;
    }
    if (iter->at < 0 || iter->at >= count)
        return false;
    *found_key = entry_key(&toy->entries[iter->at]);
    *found_value = bytes_of(toy->entries[iter->at].value, toy->entries[iter->at].value_len);
    return true;
}

static enum pc_store_status toy_compact(void *db, struct bytes begin, struct bytes end,
                                        struct pc_store_error *error)
{
    const struct toy *toy = db;

    return planted == STUCK && toy->cut ? toy_error(error, PC_STORE_IO, "stuck") : PC_STORE_OK;
}

static const struct pc_store toy_store = {
    .abi = PC_STORE_ABI,
    .name = "toy",
    .promises = PC_PROMISE_SYNC | PC_PROMISE_PROCESS_KILL | PC_PROMISE_PREFIX | PC_PROMISE_BATCH |
                PC_PROMISE_CLOSE | PC_PROMISE_FLUSH,
    .open = toy_open,
    .close = toy_close,
    .write = toy_write,
    .sync = toy_sync,
    .get = toy_get,
    .snapshot = toy_snapshot,
    .release = toy_release,
    .iter_new = toy_iter_new,
    .iter_free = toy_iter_free,
    .iter_move = toy_iter_move,
    .flush = toy_sync,
    .compact = toy_compact,
};

/* ---- traces ---- */

struct shape {
    uint32_t ops, value_max, syncs; /* syncs: in 10 */
    uint32_t unit;
    bool reopens, crashes;
};

static inline void random_trace(struct trace *trace, uint64_t seed, enum pc_model model,
                                const struct shape *shape)
{
    struct rng rng = rng_seeded(seed);
    uint32_t next = 0;

    trace_init(trace);
    trace->seed = seed;
    trace->disk = (struct pc_disk_config){.model = model, .unit = shape->unit, .seed = seed};
    for (uint32_t i = 0; i < shape->ops; i++) {
        uint64_t r = rng_below(&rng, 20);
        struct op *op;

        if (shape->crashes && r == 0 && i > 0) {
            trace_add(trace, OP_CRASH)->crash = (struct crash){CRASH_SEED, .seed = rng_next(&rng)};
            trace_add(trace, OP_RECOVER);
        } else if (shape->reopens && r == 1) {
            trace_add(trace, OP_REOPEN);
        } else if (r == 2) {
            trace_add(trace, OP_SYNC);
        } else {
            uint32_t writes = r < 8 ? 2 : 1;

            op = trace_add(trace, r < 8 ? OP_BATCH : OP_PUT);
            for (uint32_t w = 0; w < writes; w++) {
                uint8_t key = (uint8_t)('a' + rng_below(&rng, 5));
                bool is_delete = r < 8 && rng_chance(&rng, 1, 5);
                struct value value = {(uint32_t)rng_below(&rng, shape->value_max), ++next, NULL};

                trace_add_write(trace, op, is_delete, trace_key(trace, bytes_of(&key, 1)),
                                is_delete ? (struct value){0} : value);
            }
            op->sync = rng_chance(&rng, shape->syncs, 10);
        }
    }
}

#endif
