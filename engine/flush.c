/* flush.c: a full memtable becomes a level-0 table; the maintenance job.
 *
 * J1  The order of a flush: table written and synced (S1), directory synced, manifest edit written
 *     and synced (M3), version installed, log removed (K06). After each step a crash loses nothing:
 *     until the edit is durable the log is there, and recovery reads it.
 * J2  A flush that fails leaves the memtable and its log where they are (K34). Want of memory may
 *     be tried again; any other failure makes the handle refuse writes, reads go on.
 * J3  One maintainer at a time: the thread of the handle, or with VAULT_INLINE whoever holds
 *     `writing`. Only the maintainer commits to the manifest and installs versions.
 * J4  State changes happen under `lock`, the wake-up after them and under it, and waiters look
 *     again (K41).
 * J5  A rotation syncs and closes the old log before the memtable is handed over (W2), under
 *     `writing`, so no writer can hold a memtable that is being flushed (K42).
 * J6  The table of a flush appears and its memtable goes in one step under `lock`: a view that held
 *     both would see each of their entries twice, which the merging cursor cannot walk (G3). */
#include "core.h"

struct sst_options core_sst_options(const struct vault *v, unsigned level)
{
    return (struct sst_options){v->options.block_size, v->options.restart_interval,
                                v->options.bloom_bits_per_key, v->options.compression[level]};
}

static enum vault_status copy_entries(struct sst_builder *b, struct cursor *from)
{
    enum vault_status st = VAULT_OK;

    for (from->ops->first(from); !st && from->valid; from->ops->next(from))
        st = sst_add(b, from->key, from->tag, from->value);
    return st ? st : from->status;
}

enum vault_status core_ranges(struct env *env, struct memtable *from, uint64_t seq,
                              struct ranges *to)
{
    struct cursor *c = NULL;
    enum vault_status st = VAULT_OK;

    if (!from)
        return VAULT_OK;
    st = memtable_cursor(env, from, &c);
    if (!st)
        st = ranges_add_all(env, to, c, seq);
    cursor_free(c);
    return st;
}

/* Does a live snapshot see `low`, but not `high`? */
static bool snapshot_between(struct vault *v, uint64_t low, uint64_t high)
{
    bool found = false;

    thread_lock(&v->lock);
    for (const struct vault_snapshot *s = v->snapshots; s; s = s->next)
        found |= s->seq >= low && s->seq < high;
    thread_unlock(&v->lock);
    return found;
}

/* Of the pieces with the same ends, those that a reader sees first. */
static enum vault_status copy_ranges(struct vault *v, struct memtable *from, struct sst_builder *b)
{
    struct ranges all = {0};
    enum vault_status st = core_ranges(&v->env, from, UINT64_MAX, &all);

    if (!st)
        st = ranges_cut(&v->env, &all);
    for (size_t i = 0; !st && i < all.count; i++) {
        const struct range *r = &all.at[i];

        if (i == 0 || !bytes_equal(r[-1].begin, r->begin) || snapshot_between(v, r->seq, r[-1].seq))
            st = sst_add_range(b, r->begin, r->end, r->seq);
    }
    ranges_release(&v->env, &all);
    return st;
}

enum vault_status core_build(struct vault *v, struct memtable *mem, struct memtable *ranges,
                             struct table **out)
{
    struct sst_options options = core_sst_options(v, 0);
    uint64_t number = manifest_new_number(&v->manifest);
    struct sst_builder b = {0};
    struct cursor *from = NULL;
    uint64_t size = 0;
    char name[OS_NAME_MAX];
    enum vault_status st = sst_begin(&v->env, &b, number, &options);

    if (!st)
        st = memtable_cursor(&v->env, mem, &from);
    if (!st)
        st = copy_entries(&b, from);
    if (!st)
        st = copy_ranges(v, ranges, &b);
    if (!st)
        st = sst_finish(&b, &size);
    if (!st)
        st = table_new(&v->tables, number, size, buffer_bytes(&b.smallest), b.smallest_tag,
                       buffer_bytes(&b.largest), b.largest_tag, out);
    if (!st)
        (*out)->has_ranges = b.ranges.count > 0;
    cursor_free(from);
    sst_builder_release(&b);
    if (st == VAULT_NO_MEMORY) { /* The store goes on: no orphan may stay behind. */
        enum vault_status ignored = VAULT_OK;

        format_name(FORMAT_TABLE, number, name);
        ignored = os_unlink(&v->env, name);
        (void)ignored;
    }
    if (!st)
        atomic_count(&v->table_bytes, size);
    return st;
}

void core_install(struct vault *v, struct version *next, const struct edit *flushed)
{
    struct version *old = NULL;
    struct memtable *full = NULL;
    struct memtable *ranges = NULL;

    thread_lock(&v->lock);
    old = v->version;
    v->version = next;
    if (flushed) { /* J6 */
        full = v->full;
        ranges = v->full_ranges;
        v->full = v->full_ranges = NULL;
        v->flushes++;
        v->compaction_paused = false;
        if (flushed->last_seq > v->durable_seq)
            v->durable_seq = flushed->last_seq;
        thread_wake(&v->done);
    }
    v->manifest_number = v->manifest.number;
    v->manifest_synced = manifest_synced(&v->manifest);
    atomic_set(&v->crowded,
               next->levels[0].count >= (size_t)v->options.level0_tables * LEVEL0_SLOW);
    thread_unlock(&v->lock);
    version_unref(&v->tables, old);
    memtable_unref(&v->env, full);
    memtable_unref(&v->env, ranges);
}

static void remove_log(struct vault *v, uint64_t number)
{
    char name[OS_NAME_MAX];
    enum vault_status ignored = VAULT_OK;

    format_name(FORMAT_LOG, number, name);
    ignored = os_unlink(&v->env, name); /* An orphan does no harm (L2). */
    (void)ignored;
}

enum vault_status core_flush_full(struct vault *v)
{
    struct edit edit = {0};
    struct memtable *full = v->full;
    struct memtable *ranges = v->full_ranges;
    uint64_t log = v->full_log; /* the next rotation changes it as soon as `full` is free */
    struct table *table = NULL;
    struct version *next = NULL;
    uint64_t began = core_ticks(v);
    struct vault_event event = {.kind = VAULT_EVENT_FLUSH};
    enum vault_status st = VAULT_OK;

    if (!full)
        return VAULT_OK;
    edit.has_log = log > 0;
    edit.log = log + 1;
    edit.last_seq = memtable_last_seq(full);
    if (ranges && memtable_last_seq(ranges) > edit.last_seq)
        edit.last_seq = memtable_last_seq(ranges);
    st = core_build(v, full, ranges, &table);
    if (!st)
        st = edit_add(&v->env, &edit, 0, table);
    if (st) {
        if (table)
            table_obsolete(&v->tables, table); /* no edit names it */
        table_unref(&v->tables, table);
        goto done;
    }
    st = version_clone(&v->tables, v->version, &next);
    if (!st)
        st = version_apply(&v->tables, next, &edit);
    if (!st)
        st = manifest_commit(&v->manifest, &edit, next); /* J1 */
    if (st && !v->manifest.failed)
        table_obsolete(&v->tables, table); /* no edit names it (M4) */
    if (st)
        goto done;
    core_install(v, next, &edit);
    next = NULL;
    event.bytes = table->size; /* the edit holds it */
    event.seq = edit.last_seq;
    if (log)
        remove_log(v, log);
    event.nanoseconds = core_ticks(v) - began;
    core_event(v, &event);
done:
    version_unref(&v->tables, next);
    edit_release(&v->tables, &edit);
    return st;
}

void core_flush_job(struct vault *v)
{
    enum vault_status st = core_flush_full(v);

    if (st && st != VAULT_NO_MEMORY) {
        (void)core_fail(v, st); /* J2 */
    } else if (st) {
        thread_lock(&v->lock);
        v->hiccup = st;
        thread_wake(&v->done);
        thread_unlock(&v->lock);
    }
}

/* Compacts as long as it is due, a bounded number of times. */
static void compact_inline(struct vault *v)
{
    enum vault_status st = VAULT_OK;

    for (int i = 0; i < 16; i++) {
        bool due = false;

        thread_lock(&v->lock);
        due = core_compaction_due(v);
        thread_unlock(&v->lock);
        if (!due)
            break;
        st = core_compact_once(v);
        if (st)
            break;
    }
}

enum vault_status core_settle(struct vault *v)
{
    enum vault_status st = core_failed(v);

    if (v->options.background == VAULT_INLINE) {
        if (st || !v->full)
            return st;
        st = core_flush_full(v);
        if (st && st != VAULT_NO_MEMORY)
            return core_fail(v, st);
        if (!st)
            compact_inline(v);
        return st;
    }
    thread_lock(&v->lock);
    thread_wake(&v->work);
    while (v->full && !v->failed && !v->hiccup)
        thread_wait(&v->done, &v->lock);
    st = v->failed;
    if (!st && v->full) {
        st = v->hiccup;
        v->hiccup = VAULT_OK; /* J2: the next one to wait tries again */
    }
    thread_unlock(&v->lock);
    return st;
}

enum vault_status core_rotate(struct vault *v)
{
    struct memtable *fresh = NULL;
    uint64_t number = 0; /* of the log; 0: none */
    enum vault_status st = VAULT_OK;

    if (memtable_count(v->mem) || (v->mem_ranges && memtable_count(v->mem_ranges)))
        core_wait_for_room(v);
    st = core_settle(v);
    if (st)
        return st;
    if (!memtable_count(v->mem) && !(v->mem_ranges && memtable_count(v->mem_ranges)))
        return VAULT_OK;
    must(v->wal.open != v->options.no_log);
    st = memtable_new(&v->env, &fresh);
    if (st)
        return st;
    if (v->wal.open) {
        number = v->wal.out.number;
        st = wal_finish(&v->env, &v->wal); /* J5 */
        if (st) {
            memtable_unref(&v->env, fresh);
            return core_fail(v, st);
        }
        v->chain = (struct record_origin){
            .prev_number = number, .prev_synced = v->wal.out.synced, .prev_seq = v->last_seq};
    }
    thread_lock(&v->lock);
    if (number) {
        v->log_syncs++;
        v->durable_seq = v->last_seq;
        v->unsynced = 0;
        v->waiting_sync = false;
    }
    v->full = v->mem;
    v->full_log = number;
    v->mem = fresh;
    v->full_ranges = v->mem_ranges;
    v->mem_ranges = NULL;
    thread_wake(&v->work);
    thread_unlock(&v->lock);
    return v->options.background == VAULT_INLINE ? core_settle(v) : VAULT_OK;
}

static void run_manual(struct vault *v, struct core_manual *manual)
{
    manual->status = core_compact_manual(v, manual->begin, manual->end);
    thread_lock(&v->lock);
    v->manual = NULL;
    manual->done = true;
    thread_wake(&v->done);
    thread_unlock(&v->lock);
}

void *core_maintain(void *vault)
{
    struct vault *v = vault;

    thread_lock(&v->lock);
    while (!v->stopping) {
        struct core_manual *manual = v->manual;
        bool flush = v->full && !v->failed && !v->hiccup;
        bool compact = !v->failed && core_compaction_due(v);
        enum vault_status paused = VAULT_OK;

        if (v->held || (!flush && !manual && !compact)) {
            thread_wait(&v->work, &v->lock);
            continue;
        }
        v->busy = true;
        thread_unlock(&v->lock);
        if (flush)
            core_flush_job(v);
        else if (manual)
            run_manual(v, manual);
        else
            paused = core_compact_once(v); /* it has set compaction_paused, or failed the store */
        (void)paused;
        thread_lock(&v->lock);
        v->busy = false;
        thread_wake(&v->done);
    }
    thread_unlock(&v->lock);
    return NULL;
}
