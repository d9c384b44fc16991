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
 * E4  A group is bounded, so that a small write does not wait for many large ones.
 * E5  Nothing grows without bound: with LEVEL0_SLOW times the level-0 tables that make a
 *     compaction due a write waits a little now and then, with LEVEL0_STOP times as many, or while
 *     the memtable before is still being flushed, until that is over; so does a flush that was
 *     asked for. A compaction that is paused, as an input cannot be read, stops nobody: the data
 *     has to go somewhere.
 * E6  With sync_writes or sync_interval a group is synced that asked for none: so that less than so
 *     many operations wait for a sync, and none of them longer than so long. A sync of any other
 *     reason begins the count anew. The syncer sees to the time where no write comes.
 * E7  Without a log nothing is written before the insertion; what was inserted is durable when its
 *     memtable has become a table. */
#include "core.h"

#define RANGES_MAX  128u /* range deletes in one memtable; more make it full */
#define LEVEL0_STOP 5
#define SLOW_PARTS  64
#define GROUP_MAX   ((size_t)1 << 20)   /* bytes of operations */
#define GROUP_MORE  ((size_t)128 << 10) /* that a small write waits for */

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

static void stalled(struct vault *v, uint64_t began)
{
    uint64_t ns = os_ticks() - began;

    thread_lock(&v->lock);
    v->stalls++;
    v->stall_ns += ns;
    thread_unlock(&v->lock);
    core_event(v, &(struct vault_event){.kind = VAULT_EVENT_STALL, .nanoseconds = ns});
}

void core_wait_for_room(struct vault *v)
{
    size_t stop = (size_t)v->options.level0_tables * LEVEL0_STOP;
    uint64_t began = 0;

    thread_lock(&v->lock);
    while (v->options.background == VAULT_THREAD && !v->failed && !v->hiccup &&
           (v->full || (!v->compaction_paused && v->version->levels[0].count >= stop))) {
        if (!began)
            began = os_ticks();
        thread_wait(&v->done, &v->lock);
    }
    thread_unlock(&v->lock);
    if (began)
        stalled(v, began);
}

/* E5: a millisecond, at most SLOW_PARTS times until the memtable is full. */
static void slow_down(struct vault *v)
{
    size_t size = memtable_size(v->mem);
    uint64_t began = 0;

    if (v->options.background != VAULT_THREAD || !atomic_relaxed(&v->crowded) ||
        size < v->slowed_at + v->options.write_buffer_size / SLOW_PARTS)
        return;
    v->slowed_at = size;
    began = os_ticks();
    thread_lock(&v->lock);
    thread_wait_until(&v->done, &v->lock, began + 1000000);
    thread_unlock(&v->lock);
    stalled(v, began);
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
        st = core_rotate(v);
        v->slowed_at = 0;
    } else {
        slow_down(v);
    }
    if (!st)
        st = memtable_reserve(&v->env, v->mem, count, bytes); /* T1 */
    if (!st && ranges)
        st = reserve_ranges(v, ranges, bytes);
    if (st || v->wal.open || v->options.no_log)
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

    v->scratch.len = 0;
    for (;;) {
        if (v->options.no_log) {
            ops = &v->scratch;
            w->at = ops->len;
            st = buffer_reserve(&v->env, ops, w->bytes);
        } else {
            st = wal_begin(&v->env, &v->wal, w == g->leader, w->bytes, &ops, &w->at);
        }
        if (st)
            return st;
        if (w->op)
            core_op_encode(ops, w->op);
        else
            buffer_put(ops, w->ops);
        if (!v->options.no_log)
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
    const struct buffer *frame = v->options.no_log ? &v->scratch : &v->wal.out.frame;
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
    if (v->options.no_log) { /* E7 */
        insert_group(v, g);
        return VAULT_OK;
    }
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

static uint64_t sync_clock(struct vault *v)
{
    return v->options.background == VAULT_THREAD ? os_ticks() : vault_now(v);
}

/* E6: is a sync due with this group? `writing` is held. */
static bool sync_due(struct vault *v, const struct group *g)
{
    uint64_t now = 0;
    bool due = false;

    if (v->options.sync_writes && v->unsynced + g->count >= v->options.sync_writes)
        return true;
    if (!v->options.sync_interval || v->options.background == VAULT_THREAD)
        return false;
    now = sync_clock(v);
    thread_lock(&v->lock);
    due = v->waiting_sync && (now < v->waiting_since || /* set back */
                              now - v->waiting_since >= v->options.sync_interval);
    thread_unlock(&v->lock);
    return due;
}

/* E6: a group was written. `writing` and `lock` are held. */
static void count_unsynced(struct vault *v, const struct group *g, bool synced)
{
    v->unsynced = synced ? 0 : v->unsynced + g->count;
    if (synced || !v->options.sync_interval || v->waiting_sync) {
        v->waiting_sync &= !synced;
        return;
    }
    v->waiting_sync = true;
    v->waiting_since = sync_clock(v);
    thread_wake(&v->ticking);
}

void *core_sync_in_time(void *vault)
{
    struct vault *v = vault;

    thread_lock(&v->lock);
    while (!v->stopping) {
        uint64_t due = v->waiting_since + v->options.sync_interval * 1000000;
        enum vault_status ignored = VAULT_OK;

        if (!v->waiting_sync || v->failed) {
            thread_wait(&v->ticking, &v->lock);
        } else if (os_ticks() < due) {
            thread_wait_until(&v->ticking, &v->lock, due);
        } else {
            thread_unlock(&v->lock);
            ignored = vault_sync(v); /* The handle keeps the failure. */
            (void)ignored;
            thread_lock(&v->lock);
        }
    }
    thread_unlock(&v->lock);
    return NULL;
}

enum vault_status core_write(struct vault *v, struct core_write *write, uint64_t *seq)
{
    bool sync = false;
    struct group g;
    struct vault_event event = {.kind = VAULT_EVENT_SYNC};
    enum vault_status st = VAULT_OK;

    if (write->sync && v->options.no_log)
        return env_fail(&v->env, VAULT_INVALID, "", 0, 0, "a sync write without a log");
    thread_lock(&v->lock);
    if (wait_turn(v, write)) {
        thread_unlock(&v->lock);
        thread_lock(&v->writing);
        thread_lock(&v->lock);
        g = take_group(write); /* as late as can be: more have come meanwhile */
        st = v->failed;
        thread_unlock(&v->lock);
        sync = write->sync || sync_due(v, &g);
        if (!st)
            st = write_group(v, &g, sync);
        thread_lock(&v->lock);
        if (!st) {
            v->last_seq = g.last->seq; /* P4 */
            if (!v->options.no_log)
                count_unsynced(v, &g, sync);
            if (sync) {
                v->durable_seq = event.seq = v->last_seq; /* P3 */
                v->log_syncs++;
            }
            v->log_bytes += g.written;
            v->user_bytes += g.bytes;
        }
        end_group(v, &g, st);
        thread_unlock(&v->writing);
    }
    st = write->status;
    thread_unlock(&v->lock);
    if (write->waiting)
        thread_cond_release(&write->turn);
    if (event.seq)
        core_event(v, &event);
    if (!st && seq)
        *seq = write->seq;
    return st;
}
