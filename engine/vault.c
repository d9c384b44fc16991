/* vault.c: the public face: opening, writing, reading, snapshots.
 *
 * How writes go is in write.c.
 *
 * P1  A write is acknowledged only after its record was handed to the kernel, and with `sync` only
 *     after the log was synced (K30).
 * P2  A write whose record or sync failed is neither acknowledged nor inserted; the handle keeps
 *     the failure and refuses all further writes (D5). It may still come back after a reopen: its
 *     bytes may have reached the disk.
 * P3  durable_seq moves only after a sync that succeeded, to what was written before it; or when a
 *     flush or recovery has made a table durable.
 * P5  Range deletes are kept beside the memtable, in one of their own, which is there only once one
 *     was written: who never uses them pays nothing. A get that finds one covering the key takes it
 *     for a delete: whatever is older lies behind it. Their number in memory is limited.
 * P4  A batch becomes visible by one change of last_seq (K51). A view takes its references and its
 *     sequence number under one lock, and so does a snapshot its registration (K43). */
#include <stdlib.h>
#include "core.h"

struct vault_batch {
    struct buffer ops;
    uint32_t count;
    size_t ranges;  /* how many of them are range deletes */
    bool failed;    /* memory ran out: the batch is not whole */
    struct env env; /* malloc; a batch belongs to no handle */
};

const char *vault_status_name(enum vault_status st)
{
    static const char *const names[] = {"OK",        "NOT_FOUND", "INVALID",    "IO",
                                        "NO_SPACE",  "CORRUPT",   "DATA_LOSS",  "BUSY",
                                        "NO_MEMORY", "EXISTS",    "UNSUPPORTED"};

    return (size_t)st < sizeof names / sizeof names[0] ? names[st] : "?";
}

void vault_options_init(struct vault_options *options)
{
    *options = (struct vault_options){
        .create_if_missing = true,
        .background = VAULT_THREAD,
        .write_buffer_size = (size_t)4 << 20,
        .block_size = 4096,
        .restart_interval = 16,
        .table_size = (size_t)2 << 20,
        .level0_tables = 4,
        .level1_size = (uint64_t)10 << 20,
        .level_multiplier = 10,
        .bloom_bits_per_key = 10,
        .block_cache_size = (size_t)8 << 20,
        .read_chunk = (size_t)32 << 10,
        .manifest_size = (uint64_t)1 << 20,
        .open_tables = 512,
        .table_memory = (size_t)32 << 20,
    };
}

static bool options_valid(const struct vault_options *o)
{
    return (o->background == VAULT_THREAD || o->background == VAULT_INLINE) &&
           o->write_buffer_size > 0 && o->write_buffer_size <= (size_t)4 << 30 &&
           o->block_size > 0 && o->block_size <= (size_t)64 << 20 && o->restart_interval > 0 &&
           o->table_size > 0 && o->level0_tables > 0 && o->level1_size > 0 &&
           o->level_multiplier > 0 && o->bloom_bits_per_key <= 64 && o->read_chunk > 0 &&
           !(o->no_log && (o->sync_writes || o->sync_interval)) &&
           o->sync_interval <= UINT64_MAX / 2000000 && o->read_chunk <= (size_t)64 << 20 &&
           o->manifest_size > 0 && o->open_tables > 0 &&
           (!o->allocator || (o->allocator->alloc && o->allocator->free));
}

enum vault_status core_fail(struct vault *v, enum vault_status st)
{
    bool first = false;

    must(st != VAULT_OK);
    thread_lock(&v->lock);
    first = !v->failed;
    if (first) {
        v->failed = st;
        env_last(&v->env, &v->failure);
    }
    st = v->failed;
    thread_wake(&v->done);
    thread_wake(&v->work);
    thread_unlock(&v->lock);
    if (first)
        core_event(v, &(struct vault_event){.kind = VAULT_EVENT_FAILED, .status = st});
    return st;
}

enum vault_status core_failed(struct vault *v)
{
    enum vault_status st = VAULT_OK;

    thread_lock(&v->lock);
    st = v->failed;
    thread_unlock(&v->lock);
    return st;
}

/* Frees everything but the memory of the vault itself, which may be partly set up. */
static void dismantle(struct vault *v)
{
    if (v->wal.open)
        wal_abandon(&v->env, &v->wal);
    manifest_release(&v->manifest);
    memtable_unref(&v->env, v->mem);
    memtable_unref(&v->env, v->full);
    memtable_unref(&v->env, v->mem_ranges);
    memtable_unref(&v->env, v->full_ranges);
    version_unref(&v->tables, v->version);
    tables_release(&v->tables);
    cache_release(&v->env, &v->cache);
    os_unlock(&v->env, &v->lock_file);
    os_release_dir(&v->env);
    thread_cond_release(&v->work);
    thread_cond_release(&v->done);
    thread_cond_release(&v->ticking);
    buffer_release(&v->env, &v->scratch);
    thread_mutex_release(&v->lock);
    thread_mutex_release(&v->writing);
}

static enum vault_status lock_directory(struct vault *v)
{
    enum vault_status st = VAULT_OK;

    if (v->options.read_only)
        return os_lock_shared(&v->env, FORMAT_NAME_LOCK, &v->lock_file);
    st = os_lock(&v->env, FORMAT_NAME_LOCK, &v->lock_file);
    if (st != VAULT_NOT_FOUND || !v->options.create_if_missing)
        return st;
    st = os_mkdir(&v->env);
    return st ? st : os_lock(&v->env, FORMAT_NAME_LOCK, &v->lock_file);
}

static void stop_threads(struct vault *v)
{
    thread_lock(&v->lock);
    v->stopping = true;
    thread_wake(&v->work);
    thread_wake(&v->ticking);
    thread_unlock(&v->lock);
    thread_join(&v->maintainer);
    thread_join(&v->syncer);
}

static enum vault_status start_threads(struct vault *v)
{
    if (thread_start(&v->maintainer, core_maintain, v) &&
        (!v->options.sync_interval || thread_start(&v->syncer, core_sync_in_time, v)))
        return VAULT_OK;
    stop_threads(v);
    return env_fail(&v->env, VAULT_NO_MEMORY, "", 0, 0, "no thread");
}

static enum vault_status bring_up(struct vault *v)
{
    enum vault_status st = lock_directory(v);

    if (!st)
        st = core_recover(v);
    if (!st && !v->mem)
        st = memtable_new(&v->env, &v->mem);
    if (st)
        return st;
    thread_lock(&v->env.error_lock);
    v->env.last = (struct vault_error){0}; /* a CURRENT not found is no failure of this handle */
    thread_unlock(&v->env.error_lock);
    if (v->options.read_only) {
        v->failed = env_fail(&v->env, VAULT_INVALID, "", 0, 0, "the database is open to read only");
        return VAULT_OK; /* and no work is ever due */
    }
    return v->options.background == VAULT_THREAD ? start_threads(v) : VAULT_OK;
}

static void set_error(struct vault_error *error, enum vault_status st)
{
    if (error)
        *error = (struct vault_error){.status = st};
}

/* Frees the memory of a handle, which is not counted in env: it holds env. */
static void free_handle(struct vault *v)
{
    const struct vault_allocator *allocator = v->env.allocator;

    env_release(&v->env);
    if (allocator)
        allocator->free(allocator->ctx, v, sizeof *v);
    else
        free(v);
}

static struct vault *new_handle(const struct vault_options *options)
{
    const struct vault_allocator *allocator = options->allocator;
    struct vault *v = allocator ? allocator->alloc(allocator->ctx, sizeof *v) : malloc(sizeof *v);

    if (!v)
        return NULL;
    memset(v, 0, sizeof *v);
    v->options = *options;
    v->lock_file = OS_FILE_CLOSED;
    return v;
}

enum vault_status vault_open(const char *path, const struct vault_options *options,
                             struct vault **out, struct vault_error *error)
{
    struct vault_options defaults;
    struct vault *v = NULL;
    enum vault_status st = VAULT_OK;

    vault_options_init(&defaults);
    if (!options)
        options = &defaults;
    if (!path || !out || !options_valid(options)) {
        set_error(error, VAULT_INVALID);
        return VAULT_INVALID;
    }
    for (unsigned level = 0; level < VAULT_LEVELS; level++)
        if (!compress_known(options->compression[level])) {
            set_error(error, VAULT_UNSUPPORTED);
            return VAULT_UNSUPPORTED;
        }
    v = new_handle(options);
    if (!v) {
        set_error(error, VAULT_NO_MEMORY);
        return VAULT_NO_MEMORY;
    }
    st = env_init(&v->env, path, options->allocator, options->hooks);
    cache_init(&v->cache, options->block_cache_size, options->block_cache);
    tables_init(&v->tables, &v->env, &v->cache, options->open_tables, options->table_memory);
    manifest_init(&v->manifest, &v->env, &v->tables, options->manifest_size);
    thread_mutex_init(&v->writing);
    thread_mutex_init(&v->lock);
    thread_cond_init(&v->work);
    thread_cond_init(&v->done);
    thread_cond_init(&v->ticking);
    if (!st)
        st = bring_up(v);
    if (!st) {
        *out = v;
        return VAULT_OK;
    }
    if (error)
        env_last(&v->env, error);
    dismantle(v);
    free_handle(v);
    return st;
}

enum vault_status vault_close(struct vault *v)
{
    enum vault_status st = VAULT_OK;
    enum vault_status closing = VAULT_OK;

    if (!v)
        return VAULT_OK;
    if (v->options.no_log && !v->options.read_only)
        st = vault_flush(v); /* nothing else makes it durable */
    must(v->snapshots == NULL);
    stop_threads(v);
    if (v->options.read_only)
        st = VAULT_OK;
    else
        st = v->failed ? v->failed : st;
    if (!st && v->wal.open)
        st = wal_finish(&v->env, &v->wal);
    closing = manifest_close(&v->manifest);
    st = st ? st : closing;
    dismantle(v);
    free_handle(v);
    return st;
}

static bool pair_valid(const void *key, size_t key_len, const void *value, size_t value_len)
{
    return key_len <= VAULT_KEY_MAX && value_len <= VAULT_VALUE_MAX && (key || !key_len) &&
           (value || !value_len);
}

static enum vault_status write_one(struct vault *v, const struct core_op *op, bool sync,
                                   uint64_t *seq)
{
    struct core_write write = {.op = op,
                               .count = 1,
                               .ranges = op->kind == FORMAT_OP_DELETE_RANGE,
                               .bytes = core_op_size(op),
                               .sync = sync};

    return core_write(v, &write, seq);
}

enum vault_status vault_put(struct vault *v, const void *key, size_t key_len, const void *value,
                            size_t value_len, bool sync, uint64_t *seq)
{
    struct core_op op;

    if (!v || !pair_valid(key, key_len, value, value_len))
        return VAULT_INVALID;
    op = (struct core_op){FORMAT_OP_PUT, bytes_of(key, key_len), bytes_of(value, value_len), 0};
    return write_one(v, &op, sync, seq);
}

enum vault_status vault_put_until(struct vault *v, const void *key, size_t key_len,
                                  const void *value, size_t value_len, uint64_t expires, bool sync,
                                  uint64_t *seq)
{
    struct core_op op;

    if (!v || !expires || !pair_valid(key, key_len, value, value_len))
        return VAULT_INVALID;
    op = (struct core_op){FORMAT_OP_PUT_UNTIL, bytes_of(key, key_len), bytes_of(value, value_len),
                          expires};
    return write_one(v, &op, sync, seq);
}

uint64_t vault_now(struct vault *v)
{
    return v->options.clock ? v->options.clock(v->options.clock_ctx) : os_clock();
}

enum vault_status vault_delete(struct vault *v, const void *key, size_t key_len, bool sync,
                               uint64_t *seq)
{
    struct core_op op;

    if (!v || !pair_valid(key, key_len, NULL, 0))
        return VAULT_INVALID;
    op = (struct core_op){.kind = FORMAT_OP_DELETE, .key = bytes_of(key, key_len)};
    return write_one(v, &op, sync, seq);
}

static bool range_valid(const void *begin, size_t begin_len, const void *end, size_t end_len)
{
    return pair_valid(begin, begin_len, NULL, 0) && pair_valid(end, end_len, NULL, 0) &&
           bytes_compare(bytes_of(begin, begin_len), bytes_of(end, end_len)) < 0;
}

enum vault_status vault_delete_range(struct vault *v, const void *begin, size_t begin_len,
                                     const void *end, size_t end_len, bool sync, uint64_t *seq)
{
    struct core_op op;

    if (!v || !range_valid(begin, begin_len, end, end_len))
        return VAULT_INVALID;
    op = (struct core_op){FORMAT_OP_DELETE_RANGE, bytes_of(begin, begin_len),
                          bytes_of(end, end_len), 0};
    return write_one(v, &op, sync, seq);
}

struct vault_batch *vault_batch_new(void)
{
    struct vault_batch *batch = calloc(1, sizeof *batch);

    if (!batch)
        return NULL;
    if (env_init(&batch->env, "batch", NULL, NULL)) {
        free(batch);
        return NULL;
    }
    return batch;
}

void vault_batch_free(struct vault_batch *batch)
{
    if (!batch)
        return;
    buffer_release(&batch->env, &batch->ops);
    env_release(&batch->env);
    free(batch);
}

void vault_batch_clear(struct vault_batch *batch)
{
    batch->ops.len = 0;
    batch->count = 0;
    batch->ranges = 0;
    batch->failed = false;
}

static enum vault_status batch_add(struct vault_batch *batch, const struct core_op *op)
{
    size_t size = core_op_size(op);
    enum vault_status st = VAULT_OK;

    if (batch->ops.len + size > FORMAT_RECORD_MAX || batch->count == UINT32_MAX)
        return VAULT_INVALID;
    st = buffer_reserve(&batch->env, &batch->ops, size);
    if (st) {
        batch->failed = true; /* The write will refuse it: half a batch is none. */
        return st;
    }
    core_op_encode(&batch->ops, op);
    batch->count++;
    batch->ranges += op->kind == FORMAT_OP_DELETE_RANGE;
    return VAULT_OK;
}

enum vault_status vault_batch_put(struct vault_batch *batch, const void *key, size_t key_len,
                                  const void *value, size_t value_len)
{
    struct core_op op;

    if (!batch || !pair_valid(key, key_len, value, value_len))
        return VAULT_INVALID;
    op = (struct core_op){FORMAT_OP_PUT, bytes_of(key, key_len), bytes_of(value, value_len), 0};
    return batch_add(batch, &op);
}

enum vault_status vault_batch_put_until(struct vault_batch *batch, const void *key, size_t key_len,
                                        const void *value, size_t value_len, uint64_t expires)
{
    struct core_op op;

    if (!batch || !expires || !pair_valid(key, key_len, value, value_len))
        return VAULT_INVALID;
    op = (struct core_op){FORMAT_OP_PUT_UNTIL, bytes_of(key, key_len), bytes_of(value, value_len),
                          expires};
    return batch_add(batch, &op);
}

enum vault_status vault_batch_delete(struct vault_batch *batch, const void *key, size_t key_len)
{
    struct core_op op;

    if (!batch || !pair_valid(key, key_len, NULL, 0))
        return VAULT_INVALID;
    op = (struct core_op){.kind = FORMAT_OP_DELETE, .key = bytes_of(key, key_len)};
    return batch_add(batch, &op);
}

enum vault_status vault_batch_delete_range(struct vault_batch *batch, const void *begin,
                                           size_t begin_len, const void *end, size_t end_len)
{
    struct core_op op;

    if (!batch || !range_valid(begin, begin_len, end, end_len))
        return VAULT_INVALID;
    op = (struct core_op){FORMAT_OP_DELETE_RANGE, bytes_of(begin, begin_len),
                          bytes_of(end, end_len), 0};
    return batch_add(batch, &op);
}

size_t vault_batch_count(const struct vault_batch *batch)
{
    return batch->count;
}

enum vault_status vault_write(struct vault *v, const struct vault_batch *batch, bool sync,
                              uint64_t *seq)
{
    struct core_write write;
    enum vault_status st = VAULT_OK;

    if (!v || !batch)
        return VAULT_INVALID;
    if (batch->failed)
        return VAULT_NO_MEMORY;
    if (!batch->count) {
        st = sync ? vault_sync(v) : core_failed(v);
        if (!st && seq)
            *seq = vault_last_seq(v);
        return st;
    }
    write = (struct core_write){.ops = buffer_bytes(&batch->ops),
                                .count = batch->count,
                                .ranges = batch->ranges,
                                .bytes = batch->ops.len,
                                .sync = sync};
    return core_write(v, &write, seq);
}

enum vault_status vault_sync(struct vault *v)
{
    struct vault_event event = {.kind = VAULT_EVENT_SYNC};
    enum vault_status st = VAULT_OK;

    if (!v)
        return VAULT_INVALID;
    if (v->options.no_log)
        return vault_flush(v);
    thread_lock(&v->writing);
    st = core_failed(v);
    /* Without a log everything is in tables or in a log that was synced at rotation (W2). */
    if (!st && v->wal.open && v->wal.out.synced < v->wal.out.file.size) {
        st = wal_sync(&v->env, &v->wal);
        if (st)
            st = core_fail(v, st);
        thread_lock(&v->lock);
        if (!st)
            v->durable_seq = event.seq = v->last_seq; /* P3 */
        v->log_syncs++;
        thread_unlock(&v->lock);
    }
    if (!st) {
        thread_lock(&v->lock);
        v->unsynced = 0;
        v->waiting_sync = false;
        thread_unlock(&v->lock);
    }
    thread_unlock(&v->writing);
    if (event.seq)
        core_event(v, &event);
    return st;
}

void core_view_get(struct vault *v, const struct vault_snapshot *snapshot, struct core_view *view)
{
    thread_lock(&v->lock); /* P4 */
    *view = (struct core_view){.mem = v->mem,
                               .full = v->full,
                               .mem_ranges = v->mem_ranges,
                               .full_ranges = v->full_ranges,
                               .version = v->version,
                               .seq = snapshot ? snapshot->seq : v->last_seq};
    memtable_ref(view->mem);
    if (view->mem_ranges)
        memtable_ref(view->mem_ranges);
    if (view->full_ranges)
        memtable_ref(view->full_ranges);
    if (view->full)
        memtable_ref(view->full);
    version_ref(view->version);
    thread_unlock(&v->lock);
}

void core_view_put(struct vault *v, struct core_view *view)
{
    memtable_unref(&v->env, view->mem);
    memtable_unref(&v->env, view->full);
    memtable_unref(&v->env, view->mem_ranges);
    memtable_unref(&v->env, view->full_ranges);
    version_unref(&v->tables, view->version);
}

/* The newest range delete of a memtable that covers the key. */
static enum vault_status cover_of(struct vault *v, struct memtable *ranges, struct bytes key,
                                  uint64_t seq, uint64_t *cover)
{
    struct cursor *c = NULL;
    enum vault_status st = memtable_cursor(&v->env, ranges, &c);

    *cover = 0;
    if (st)
        return st;
    for (c->ops->first(c); c->valid && bytes_compare(c->key, key) <= 0; c->ops->next(c))
        if (tag_seq(c->tag) <= seq && tag_seq(c->tag) > *cover && bytes_compare(key, c->value) < 0)
            *cover = tag_seq(c->tag);
    cursor_free(c);
    return VAULT_OK;
}

/* As sst_get, in a memtable and its range deletes (NULL: none). */
static enum vault_status mem_get(struct vault *v, struct memtable *mem, struct memtable *ranges,
                                 struct bytes key, uint64_t seq, bool *found, uint64_t *tag,
                                 struct bytes *value)
{
    uint64_t cover = 0;
    enum vault_status st = ranges ? cover_of(v, ranges, key, seq, &cover) : VAULT_OK;

    *found = memtable_get(mem, key, seq, tag, value);
    if (st || !cover || (*found && tag_seq(*tag) > cover))
        return st;
    *found = true;
    *tag = tag_of(cover, FORMAT_OP_DELETE);
    *value = bytes_of(NULL, 0);
    return VAULT_OK;
}

static enum vault_status get_at(struct vault *v, const struct core_view *view, struct bytes key,
                                void **value, size_t *value_len)
{
    struct cache_block *block = NULL;
    struct bytes got = {NULL, 0};
    bool found = false;
    uint64_t tag = 0;
    enum vault_status st =
        mem_get(v, view->mem, view->mem_ranges, key, view->seq, &found, &tag, &got);

    if (!st && !found && view->full)
        st = mem_get(v, view->full, view->full_ranges, key, view->seq, &found, &tag, &got);
    if (!st && !found) /* K22: a delete that was found ends the search */
        st = version_get(&v->tables, view->version, key, view->seq, &found, &tag, &got, &block);
    if (!st && !(found && core_live(v, tag, &got)))
        st = VAULT_NOT_FOUND;
    if (!st) {
        void *copy = alloc_get(&v->env, got.len ? got.len : 1);

        if (copy) {
            if (got.len)
                memcpy(copy, got.data, got.len); /* K29: while the block is held */
            *value = copy;
            *value_len = got.len;
        } else {
            st = env_fail(&v->env, VAULT_NO_MEMORY, "", 0, 0, "value");
        }
    }
    atomic_count(&v->gets, 1);
    cache_put(&v->env, &v->cache, block);
    return st;
}

enum vault_status vault_get(struct vault *v, const struct vault_snapshot *snapshot, const void *key,
                            size_t key_len, void **value, size_t *value_len)
{
    struct core_view view;
    enum vault_status st = VAULT_OK;

    if (!v || !value || !value_len || !pair_valid(key, key_len, NULL, 0))
        return VAULT_INVALID;
    core_view_get(v, snapshot, &view);
    st = get_at(v, &view, bytes_of(key, key_len), value, value_len);
    core_view_put(v, &view);
    return st;
}

enum vault_status vault_multi_get(struct vault *v, const struct vault_snapshot *snapshot,
                                  const struct vault_key *keys, size_t count,
                                  struct vault_found *found)
{
    struct core_view view;
    size_t done = 0;
    enum vault_status st = VAULT_OK;

    if (!v || (count && (!keys || !found)))
        return VAULT_INVALID;
    for (size_t i = 0; i < count; i++)
        if (!pair_valid(keys[i].data, keys[i].len, NULL, 0))
            return VAULT_INVALID;
    core_view_get(v, snapshot, &view); /* one for all */
    for (; done < count; done++) {
        struct vault_found *f = &found[done];

        *f = (struct vault_found){0};
        f->status =
            get_at(v, &view, bytes_of(keys[done].data, keys[done].len), &f->value, &f->value_len);
        if (f->status && f->status != VAULT_NOT_FOUND) {
            st = f->status;
            break;
        }
    }
    core_view_put(v, &view);
    for (size_t i = 0; st && i < done; i++)
        if (!found[i].status)
            vault_value_free(v, found[i].value, found[i].value_len);
    return st;
}

void vault_value_free(struct vault *v, void *value, size_t value_len)
{
    alloc_put(&v->env, value, value_len ? value_len : 1);
}

enum vault_status vault_snapshot_new(struct vault *v, struct vault_snapshot **out)
{
    struct vault_snapshot *s = NULL;

    if (!v || !out)
        return VAULT_INVALID;
    s = alloc_get(&v->env, sizeof *s);
    if (!s)
        return env_fail(&v->env, VAULT_NO_MEMORY, "", 0, 0, "snapshot");
    *s = (struct vault_snapshot){0};
    thread_lock(&v->lock); /* P4 */
    s->seq = v->last_seq;
    s->prev = v->newest_snapshot;
    if (s->prev)
        s->prev->next = s;
    else
        v->snapshots = s;
    v->newest_snapshot = s;
    thread_unlock(&v->lock);
    *out = s;
    return VAULT_OK;
}

void vault_snapshot_release(struct vault *v, struct vault_snapshot *s)
{
    if (!s)
        return;
    thread_lock(&v->lock);
    if (s->prev)
        s->prev->next = s->next;
    else
        v->snapshots = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        v->newest_snapshot = s->prev;
    thread_unlock(&v->lock);
    alloc_put(&v->env, s, sizeof *s);
}

enum vault_status vault_flush(struct vault *v)
{
    enum vault_status st = VAULT_OK;

    if (!v)
        return VAULT_INVALID;
    thread_lock(&v->writing);
    st = core_rotate(v);
    if (!st)
        st = core_settle(v);
    thread_unlock(&v->writing);
    return st;
}

enum vault_status vault_compact_range(struct vault *v, const void *begin, size_t begin_len,
                                      const void *end, size_t end_len)
{
    struct bytes low = bytes_of(begin, begin_len);
    struct bytes high = bytes_of(end, end_len);
    struct core_manual manual = {begin ? &low : NULL, end ? &high : NULL, false, VAULT_OK};
    enum vault_status st = VAULT_OK;

    if (!v)
        return VAULT_INVALID;
    st = vault_flush(v);
    if (st)
        return st;
    if (v->options.background == VAULT_INLINE) {
        thread_lock(&v->writing);
        st = core_compact_manual(v, manual.begin, manual.end);
        thread_unlock(&v->writing);
        return st;
    }
    thread_lock(&v->lock);
    while (v->manual)
        thread_wait(&v->done, &v->lock);
    v->manual = &manual;
    thread_wake(&v->work);
    while (!manual.done)
        thread_wait(&v->done, &v->lock);
    thread_unlock(&v->lock);
    return manual.status;
}

uint64_t vault_last_seq(struct vault *v)
{
    uint64_t seq = 0;

    thread_lock(&v->lock);
    seq = v->last_seq;
    thread_unlock(&v->lock);
    return seq;
}

uint64_t vault_durable_seq(struct vault *v)
{
    uint64_t seq = 0;

    thread_lock(&v->lock);
    seq = v->durable_seq;
    thread_unlock(&v->lock);
    return seq;
}

void vault_last_error(struct vault *v, struct vault_error *error)
{
    env_last(&v->env, error);
}
