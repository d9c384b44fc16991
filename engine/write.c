/* write.c: what a write does; concurrent writes in groups.
 *
 * Writes queue up under `lock`. The first one leads: it takes `writing`, takes those behind it into
 * its group, makes room (rotates a memtable that is full, creates a log where there is none,
 * reserves memory), encodes a record for each member, writes all of them by one call, syncs once if
 * it was asked to, inserts, publishes one new last_seq, and tells the members. The first one that
 * was left behind leads the next group. Alone, a write does the same without waiting; so inline
 * handles behave as if there were no groups.
 *
 * Each step that can fail comes before anything is visible.
 *
 * E1  A leader that does not sync takes no member that asked for a sync: the group ends before it
 *     (K05). A leader that syncs takes both kinds; all of them are durable then.
 * E2  A member is told after the write, the sync and the insertion (K44), under `lock`, and what
 *     the leader was told: a failure is everybody's (K32).
 * E3  A member is a unit of its own: one record, whole or not at all, in the order of the queue.
 * E4  A group is bounded, so that a small write does not wait for many large ones. */
#include "core.h"

#define RANGES_MAX 128u                /* range deletes in one memtable; more make it full */
#define GROUP_MAX  ((size_t)1 << 20)   /* bytes of operations */
#define GROUP_MORE ((size_t)128 << 10) /* that a small write waits for */

size_t core_op_size(const struct core_op *op)
{
    size_t more = op->kind == FORMAT_OP_PUT_UNTIL ? FORMAT_EXPIRY : 0;

    return ops_size(op->kind, op->key.len, op->value.len + more);
}

void core_op_encode(struct buffer *to, const struct core_op *op)
{
    if (op->kind == FORMAT_OP_PUT_UNTIL)
        ops_encode_until(to, op->key, op->value, op->expires);
    else
        ops_encode(to, op->kind, op->key, op->value);
}

/* Writers are slowed to the pace of compaction when level 0 has grown far beyond its limit. */
static void wait_for_level0(struct vault *v)
{
    thread_lock(&v->lock);
    while (v->options.background == VAULT_THREAD && !v->failed && !v->compaction_paused &&
           v->version->levels[0].count >= (size_t)v->options.level0_tables * 5)
        thread_wait(&v->done, &v->lock);
    thread_unlock(&v->lock);
}

static bool memory_full(const struct vault *v)
{
    size_t size = memtable_size(v->mem);

    if (v->mem_ranges)
        size += memtable_size(v->mem_ranges);
    return size >= v->options.write_buffer_size ||
           (v->mem_ranges && memtable_count(v->mem_ranges) >= RANGES_MAX);
}

/* P5. */
static enum vault_status reserve_ranges(struct vault *v, size_t count, size_t bytes)
{
    struct memtable *fresh = NULL;
    enum vault_status st = VAULT_OK;

    if (!v->mem_ranges) {
        st = memtable_new(&v->env, &fresh);
        if (st)
            return st;
        thread_lock(&v->lock);
        v->mem_ranges = fresh;
        thread_unlock(&v->lock);
    }
    return memtable_reserve(&v->env, v->mem_ranges, count, bytes);
}

/* Room in the memtable and a log to write to, for `count` operations, `ranges` of them range
 * deletes. `writing` is held. */
static enum vault_status make_room(struct vault *v, size_t count, size_t ranges, size_t bytes)
{
    struct record_origin origin;
    enum vault_status st = VAULT_OK;

    /* Recovery would refuse what is numbered beyond; only a forged manifest leads here. */
    if (count >= FORMAT_SEQ_MAX - v->last_seq)
        return env_fail(&v->env, VAULT_UNSUPPORTED, "", 0, 0, "sequence numbers are used up");

    if (memory_full(v)) {
        wait_for_level0(v);
        st = core_rotate(v);
    }
    if (!st)
        st = memtable_reserve(&v->env, v->mem, count, bytes); /* T1 */
    if (!st && ranges)
        st = reserve_ranges(v, ranges, bytes);
    if (st || v->wal.open)
        return st;
    origin = v->chain;
    thread_lock(&v->lock);
    origin.manifest_number = v->manifest_number;
    origin.manifest_synced = v->manifest_synced;
    thread_unlock(&v->lock);
    st = wal_create(&v->env, &v->wal, manifest_new_number(&v->manifest), &origin);
    if (st == VAULT_NO_MEMORY)
        return st;
    return st ? core_fail(v, st) : VAULT_OK;
}

/* A group: the leader and those that follow it in the queue, up to `last`. */
struct group {
    struct core_write *leader, *last;
    size_t count, ranges, bytes;
    size_t written; /* bytes of the log */
};

/* `lock` is held. */
static struct group take_group(struct core_write *leader)
{
    struct group g = {leader, leader, leader->count, leader->ranges, leader->bytes, 0};
    size_t max = leader->bytes <= GROUP_MORE ? leader->bytes + GROUP_MORE : GROUP_MAX;

    for (struct core_write *w = leader->next; w; w = w->next) {
        if (w->sync && !leader->sync) /* E1 */
            break;
        if (g.bytes + w->bytes > max) /* E4 */
            break;
        g.last = w;
        g.count += w->count;
        g.ranges += w->ranges;
        g.bytes += w->bytes;
    }
    return g;
}

/* Encodes the records of the group. VAULT_NO_MEMORY: nothing was written. */
static enum vault_status encode_group(struct vault *v, const struct group *g)
{
    uint64_t seq = v->last_seq + 1;
    struct core_write *w = g->leader;
    struct buffer *ops = NULL;
    enum vault_status st = VAULT_OK;

    for (;;) {
        st = wal_begin(&v->env, &v->wal, w == g->leader, w->bytes, &ops, &w->at);
        if (st)
            return st;
        if (w->op)
            core_op_encode(ops, w->op);
        else
            buffer_put(ops, w->ops);
        st = wal_seal(&v->env, &v->wal, seq, w->count); /* E3 */
        seq += w->count;
        w->seq = seq - 1;
        if (st || w == g->last)
            return st;
        w = w->next;
    }
}

/* From the log's frame: a view of each operation, which is copied once. */
static void insert_group(struct vault *v, const struct group *g)
{
    const struct buffer *frame = &v->wal.out.frame;
    uint64_t seq = v->last_seq;
    struct core_write *w = g->leader;

    for (;;) {
        struct taker taker = taker_of(bytes_of(frame->data + w->at, w->bytes));

        for (uint32_t i = 0; i < w->count; i++) {
            struct bytes key;
            struct bytes value;
            unsigned kind = 0;
            bool good = ops_take(&taker, &kind, &key, &value);

            must(good); /* encoded by this process */
            memtable_add(kind == FORMAT_OP_DELETE_RANGE ? v->mem_ranges : v->mem,
                         tag_of(++seq, kind), key, value);
        }
        if (w == g->last)
            return;
        w = w->next;
    }
}

/* `writing` is held. */
static enum vault_status write_group(struct vault *v, struct group *g, bool sync)
{
    enum vault_status st = make_room(v, g->count, g->ranges, g->bytes);

    if (!st)
        st = encode_group(v, g);
    if (st) /* Without memory nothing was written; else the log has failed before. */
        return st == VAULT_NO_MEMORY || !v->wal.out.failed ? st : core_fail(v, st);
    g->written = v->wal.out.frame.len;
    st = wal_write(&v->env, &v->wal);
    if (!st && sync)
        st = wal_sync(&v->env, &v->wal); /* P1 */
    if (st)
        return core_fail(v, st); /* P2 */
    insert_group(v, g);
    return VAULT_OK;
}

/* E2: `lock` is held. The queue moves on. */
static void end_group(struct vault *v, const struct group *g, enum vault_status st)
{
    struct core_write *w = v->first_write;

    must(w == g->leader);
    v->first_write = g->last->next;
    if (!v->first_write)
        v->last_write = NULL;
    else if (v->first_write->waiting)
        thread_wake(&v->first_write->turn);
    for (;;) {
        struct core_write *next = w->next; /* who is told may be gone */
        bool last = w == g->last;

        w->status = st;
        w->done = true;
        if (w->waiting && w != g->leader)
            thread_wake(&w->turn);
        if (last)
            return;
        w = next;
    }
}

/* Waits for the turn of `write`; `lock` is held. true: it leads. */
static bool wait_turn(struct vault *v, struct core_write *write)
{
    if (v->last_write)
        v->last_write->next = write;
    else
        v->first_write = write;
    v->last_write = write;
    if (v->first_write == write)
        return true;
    thread_cond_init(&write->turn);
    write->waiting = true;
    while (!write->done && v->first_write != write)
        thread_wait(&write->turn, &v->lock);
    return !write->done;
}

enum vault_status core_write(struct vault *v, struct core_write *write, uint64_t *seq)
{
    struct group g;
    enum vault_status st = VAULT_OK;

    thread_lock(&v->lock);
    if (wait_turn(v, write)) {
        thread_unlock(&v->lock);
        thread_lock(&v->writing);
        thread_lock(&v->lock);
        g = take_group(write); /* as late as can be: more have come meanwhile */
        st = v->failed;
        thread_unlock(&v->lock);
        if (!st)
            st = write_group(v, &g, write->sync);
        thread_lock(&v->lock);
        if (!st) {
            v->last_seq = g.last->seq; /* P4 */
            if (write->sync) {
                v->durable_seq = v->last_seq; /* P3 */
                v->log_syncs++;
            }
            v->log_bytes += g.written;
        }
        end_group(v, &g, st);
        thread_unlock(&v->writing);
    }
    st = write->status;
    thread_unlock(&v->lock);
    if (write->waiting)
        thread_cond_release(&write->turn);
    if (!st && seq)
        *seq = write->seq;
    return st;
}
