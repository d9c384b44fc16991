/* repair.c: makes a database that opens again out of what is intact.
 *
 * X1  Everything intact is merged into one new table at the deepest level: the entries and range
 *     deletes of the tables, and the operations of the logs. Versions of a key are told apart by
 *     their sequence numbers, so it does not matter which table or level they came from.
 * X2  Of a table only the blocks that cannot be read or verified are lost, of a log only the
 *     records that are damaged; the keys concerned are told as far as they are known. What a lost
 *     block has deleted or replaced may show again, which is told with it.
 * X3  If the manifest can be read, it says which tables and logs count. If not, all that are there
 *     do: a table that a compaction had replaced, and a crash had left, may bring keys back.
 * X4  Nothing is removed before the new manifest is durable (M2). A crash on the way leaves the
 *     database as damaged as it was. Files that were found damaged are kept as NAME.damaged.
 * X5  A database that has nothing wrong is left as it is. */
#include "repair.h"
#include "block.h"
#include "merging.h"

struct source {
    uint64_t number, size; /* of a table */
    bool damaged;
    struct sst sst; /* of it, or of the copy without what was lost */
    bool open;
};

struct repair {
    struct env env;
    struct vault_options options;
    struct cache cache;
    struct tables tables;
    struct manifest manifest;
    struct core_names names;
    struct reporter reporter;
    struct source *sources;
    size_t source_count;
    struct memtable *mem, *ranges;
    uint64_t last_seq, log_seq;
    uint64_t first_log;
    bool known; /* the manifest could be read */
};

static struct sst_options options_of(const struct repair *r)
{
    return (struct sst_options){r->options.block_size, r->options.restart_interval,
                                r->options.bloom_bits_per_key,
                                r->options.compression[VAULT_LEVELS - 1]};
}

static void lost(struct repair *r, const char *file, uint64_t offset, const char *what,
                 const struct bytes *first, const struct bytes *last)
{
    reporter_tell(&r->reporter, VAULT_FINDING_LOST, file, offset, what, first, last);
}

/* ---- tables ---- */

struct copying {
    struct repair *r;
    struct sst *from;
    struct sst_builder *to; /* NULL: only look */
    bool damaged;
    struct buffer before; /* the last key of the block before */
    bool any;
    struct buffer last; /* the last entry that was good */
    uint64_t last_tag;
    bool entries;
};

/* Is it behind the entry before, and of a kind that a block may hold? *st: want of memory. */
static bool entry_good(struct copying *c, const struct cursor *at, enum vault_status *st)
{
    unsigned kind = tag_kind(at->tag);

    if (kind == FORMAT_OP_DELETE_RANGE || (kind == FORMAT_OP_PUT_UNTIL && at->value.len < 8) ||
        (c->entries && entry_compare(buffer_bytes(&c->last), c->last_tag, at->key, at->tag) >= 0))
        return false;
    c->entries = true;
    c->last.len = 0;
    c->last_tag = at->tag;
    *st = buffer_append(&c->r->env, &c->last, at->key);
    return true;
}

static void copying_release(struct copying *c)
{
    buffer_release(&c->r->env, &c->before);
    buffer_release(&c->r->env, &c->last);
}

static enum vault_status copy_block(void *ctx, const struct sst_block *block)
{
    struct copying *c = ctx;
    struct env *env = &c->r->env;
    struct bytes before = buffer_bytes(&c->before);
    struct block_cursor at;
    enum vault_status st = VAULT_OK;

    block_cursor_init(env, &at);
    if (block->good) {
        block_cursor_open(&at, c->from->file.name, block->offset, block->contents);
        for (at.c.ops->first(&at.c); !st && at.c.valid; at.c.ops->next(&at.c)) {
            bool good = entry_good(c, &at.c, &st);

            c->damaged |= !good;
            if (c->to && good && !st)
                st = sst_add(c->to, at.c.key, at.c.tag, at.c.value);
            if (c->to && !good)
                lost(c->r, c->from->file.name, block->offset, "an entry that cannot stand here",
                     &at.c.key, &at.c.key);
        }
    }
    if (!block->good || at.c.status) {
        c->damaged = true;
        if (c->to)
            lost(c->r, c->from->file.name, block->offset,
                 "a block of these keys; older values of them may show", c->any ? &before : NULL,
                 &block->last_key);
    }
    block_cursor_release(&at);
    c->any = true;
    c->before.len = 0;
    return st ? st : buffer_append(env, &c->before, block->last_key);
}

/* Opens the copy, which this process has just written. */
static enum vault_status use_copy(struct repair *r, struct source *s, uint64_t number,
                                  uint64_t size)
{
    enum vault_status st = VAULT_OK;

    sst_close(&s->sst);
    st = sst_open(&r->env, &r->cache, number, size, &s->sst);
    s->open = !st;
    return st;
}

/* X2: a copy of the table with what is intact. */
static enum vault_status copy_intact(struct repair *r, struct source *s)
{
    struct sst_options options = options_of(r);
    uint64_t number = manifest_new_number(&r->manifest);
    uint64_t size = 0;
    struct sst_builder b = {0};
    struct copying c = {.r = r, .from = &s->sst, .to = &b};
    enum vault_status st = sst_begin(&r->env, &b, number, &options);

    if (!st)
        st = sst_walk(&s->sst, &c, copy_block);
    if (st == VAULT_CORRUPT) { /* the index ends early */
        struct bytes before = buffer_bytes(&c.before);

        lost(r, s->sst.file.name, s->sst.data_end, "the rest of a table", &before, NULL);
        st = VAULT_OK;
    }
    for (size_t i = 0; !st && i < s->sst.ranges.count; i++) {
        const struct range *p = &s->sst.ranges.at[i];

        st = sst_add_range(&b, p->begin, p->end, p->seq);
    }
    if (!st && !b.entries && !b.ranges.count) {
        sst_close(&s->sst); /* nothing is left of it */
        s->open = false;
        st = os_unlink(&r->env, b.file.name);
    } else if (!st) {
        st = sst_finish(&b, &size);
        if (!st)
            st = use_copy(r, s, number, size);
    }
    sst_builder_release(&b);
    copying_release(&c);
    return st;
}

static enum vault_status open_source(struct repair *r, struct source *s, const struct table *t)
{
    struct copying c = {.r = r, .from = &s->sst};
    char name[OS_NAME_MAX];
    enum vault_status st = sst_open(&r->env, &r->cache, s->number, s->size, &s->sst);

    format_name(FORMAT_TABLE, s->number, name);
    if (st == VAULT_CORRUPT || st == VAULT_IO) {
        s->damaged = true;
        lost(r, name, 0, "a whole table; older values of these keys may show",
             t ? &t->smallest : NULL, t ? &t->largest : NULL);
        return VAULT_OK;
    }
    if (st)
        return st;
    s->open = true;
    st = sst_walk(&s->sst, &c, copy_block);
    copying_release(&c);
    s->damaged = c.damaged || st == VAULT_CORRUPT;
    if (s->damaged)
        st = copy_intact(r, s);
    return st;
}

static enum vault_status add_source(struct repair *r, uint64_t number, uint64_t size,
                                    const struct table *t)
{
    struct source *s = &r->sources[r->source_count++];

    *s = (struct source){.number = number, .size = size};
    return open_source(r, s, t);
}

/* X3. */
static enum vault_status open_tables(struct repair *r, const struct version *version)
{
    enum vault_status st = VAULT_OK;

    for (unsigned i = 0; version && i < VAULT_LEVELS; i++)
        for (size_t j = 0; !st && j < version->levels[i].count; j++) {
            const struct table *t = version->levels[i].at[j];

            st = add_source(r, t->number, t->size, t);
        }
    for (size_t i = 0; !version && !st && i < core_names_count(&r->names); i++) {
        const struct core_name *n = &core_names_at(&r->names)[i];
        char name[OS_NAME_MAX];
        uint64_t size = 0;

        if (n->kind != FORMAT_TABLE)
            continue;
        format_name(n->kind, n->number, name);
        st = os_file_size(&r->env, name, &size);
        if (!st)
            st = add_source(r, n->number, size, NULL);
    }
    return st;
}

/* ---- logs ---- */

static enum vault_status take_record(struct repair *r, const struct record *record, bool *good)
{
    struct env *env = &r->env;
    struct taker ops = taker_of(record->payload);
    struct bytes key;
    struct bytes value;
    unsigned kind = 0;
    size_t ranges = 0;
    enum vault_status st = VAULT_OK;

    *good = record->kind == FORMAT_RECORD_CLAIM;
    if (record->kind != FORMAT_RECORD_DATA || record->seq <= r->log_seq || record->count == 0 ||
        record->seq > FORMAT_SEQ_MAX - record->count ||
        !ops_valid(record->payload, record->count, &ranges))
        return VAULT_OK;
    st = memtable_reserve(env, r->mem, record->count, record->payload.len);
    if (!st)
        st = memtable_reserve(env, r->ranges, ranges, record->payload.len);
    if (st)
        return st;
    for (uint32_t i = 0; i < record->count; i++) {
        bool valid = ops_take(&ops, &kind, &key, &value);

        must(valid);
        memtable_add(kind == FORMAT_OP_DELETE_RANGE ? r->ranges : r->mem,
                     tag_of(record->seq + i, kind), key, value);
    }
    r->log_seq = record->seq + record->count - 1;
    *good = true;
    return VAULT_OK;
}

/* Whether a stop is a torn tail or damage shows in what follows it. */
static enum vault_status take_log(struct repair *r, uint64_t number)
{
    struct env *env = &r->env;
    struct record_reader reader = {.file = OS_FILE_CLOSED};
    struct record record;
    uint64_t known = 0; /* the newest operation that was found */
    uint64_t size = 0;
    bool good = false;
    bool got = false;
    enum vault_status st = record_open(env, &reader, FORMAT_LOG, number, r->options.read_chunk);

    if (!st)
        st = record_head(env, &reader, &good);
    if (!st && !good) {
        st = record_resync(env, &reader, &got);
        if (!st)
            st = os_size(env, &reader.file, &size);
        if (!st && size > FORMAT_FILE_HEADER)
            lost(r, reader.file.name, 0, "the header of a log", NULL, NULL);
    }
    known = r->log_seq > r->last_seq ? r->log_seq : r->last_seq;
    if (!st && good && r->known && reader.origin.prev_seq > known)
        lost(r, reader.file.name, 0, "what was written before this log", NULL, NULL);
    while (!st && (good || got)) {
        uint64_t stopped = reader.pos;

        st = record_next(env, &reader, &record, &got);
        good = false;
        if (!st && got) {
            bool taken = false;

            st = take_record(r, &record, &taken);
            if (!st && !taken)
                lost(r, reader.file.name, record.offset, "a record that makes no sense", NULL,
                     NULL);
            continue;
        }
        if (st || !reader.torn)
            break;
        st = record_resync(env, &reader, &got);
        if (!st && got)
            lost(r, reader.file.name, stopped, "records of a log", NULL, NULL);
    }
    if (st == VAULT_IO) { /* a part of the file cannot be read */
        lost(r, reader.file.name, reader.pos, "the rest of a log that cannot be read", NULL, NULL);
        st = VAULT_OK;
    }
    record_release(env, &reader);
    return st;
}

static enum vault_status take_logs(struct repair *r)
{
    enum vault_status st = memtable_new(&r->env, &r->mem);

    if (!st)
        st = memtable_new(&r->env, &r->ranges);
    for (size_t i = 0; !st && i < core_names_count(&r->names); i++) {
        const struct core_name *n = &core_names_at(&r->names)[i];

        if (n->kind == FORMAT_LOG && n->number >= r->first_log)
            st = take_log(r, n->number);
    }
    return st;
}

/* ---- the new table ---- */

static enum vault_status merge_entries(struct repair *r, struct cursor *from, struct sst_builder *b)
{
    struct buffer before = {0};
    uint64_t before_tag = 0;
    bool any = false;
    enum vault_status st = VAULT_OK;

    for (from->ops->first(from); !st && from->valid; from->ops->next(from)) {
        /* A dead log, or a table that was replaced, has what another table has. */
        if (any && from->tag == before_tag && bytes_equal(from->key, buffer_bytes(&before)))
            continue;
        st = sst_add(b, from->key, from->tag, from->value);
        any = true;
        before.len = 0;
        if (!st)
            st = buffer_append(&r->env, &before, from->key);
        before_tag = from->tag;
        if (tag_seq(from->tag) > r->last_seq)
            r->last_seq = tag_seq(from->tag);
    }
    buffer_release(&r->env, &before);
    return st ? st : from->status;
}

static enum vault_status merge_ranges(struct repair *r, struct sst_builder *b)
{
    struct ranges all = {0};
    enum vault_status st = core_ranges(&r->env, r->ranges, UINT64_MAX, &all);

    for (size_t i = 0; i < r->source_count; i++)
        for (size_t j = 0; !st && r->sources[i].open && j < r->sources[i].sst.ranges.count; j++) {
            const struct range *p = &r->sources[i].sst.ranges.at[j];

            st = ranges_add(&r->env, &all, p->begin, p->end, p->seq);
        }
    if (!st)
        st = ranges_cut(&r->env, &all);
    for (size_t i = 0; !st && i < all.count; i++) {
        const struct range *p = &all.at[i];
        bool twice = i > 0 && bytes_equal(p[-1].begin, p->begin) && p[-1].seq == p->seq;

        if (!twice)
            st = sst_add_range(b, p->begin, p->end, p->seq);
        if (p->seq > r->last_seq)
            r->last_seq = p->seq;
    }
    ranges_release(&r->env, &all);
    return st;
}

static enum vault_status all_cursors(struct repair *r, struct cursor **out)
{
    size_t room = (r->source_count + 1) * sizeof(struct cursor *);
    struct cursor **children = alloc_get(&r->env, room);
    size_t count = 0;
    enum vault_status st = VAULT_OK;

    if (!children)
        return env_fail(&r->env, VAULT_NO_MEMORY, "", 0, 0, "repair");
    st = memtable_cursor(&r->env, r->mem, &children[0]);
    count += !st;
    for (size_t i = 0; !st && i < r->source_count; i++)
        if (r->sources[i].open) {
            st = sst_cursor(&r->sources[i].sst, &children[count]);
            count += !st;
        }
    if (!st)
        st = merge_cursor(&r->env, children, count, out);
    else
        for (size_t i = 0; i < count; i++)
            cursor_free(children[i]);
    alloc_put(&r->env, children, room);
    return st;
}

/* X1. *out stays NULL when nothing is left to keep. */
static enum vault_status build_all(struct repair *r, struct table **out)
{
    struct sst_options options = options_of(r);
    uint64_t number = manifest_new_number(&r->manifest);
    uint64_t size = 0;
    struct sst_builder b = {0};
    struct cursor *from = NULL;
    char name[OS_NAME_MAX];
    enum vault_status st = all_cursors(r, &from);

    if (!st)
        st = sst_begin(&r->env, &b, number, &options);
    if (!st)
        st = merge_entries(r, from, &b);
    if (!st)
        st = merge_ranges(r, &b);
    cursor_free(from);
    if (!st && !b.entries && !b.ranges.count) {
        sst_builder_release(&b);
        format_name(FORMAT_TABLE, number, name);
        return os_unlink(&r->env, name);
    }
    if (!st)
        st = sst_finish(&b, &size);
    if (!st)
        st = table_new(&r->tables, number, size, buffer_bytes(&b.smallest), b.smallest_tag,
                       buffer_bytes(&b.largest), b.largest_tag, out);
    if (!st)
        (*out)->has_ranges = b.ranges.count > 0;
    sst_builder_release(&b);
    return st;
}

/* ---- the whole ---- */

static bool was_damaged(const struct repair *r, const struct core_name *n)
{
    for (size_t i = 0; n->kind == FORMAT_TABLE && i < r->source_count; i++)
        if (r->sources[i].number == n->number)
            return r->sources[i].damaged;
    return n->kind != FORMAT_TABLE && !r->known;
}

/* X4: what was there before, of tables, logs and manifests. */
static enum vault_status put_away(struct repair *r)
{
    enum vault_status st = VAULT_OK;

    for (size_t i = 0; !st && i < core_names_count(&r->names); i++) {
        const struct core_name *n = &core_names_at(&r->names)[i];
        char name[OS_NAME_MAX];
        char kept[OS_NAME_MAX + 8];

        if (n->kind != FORMAT_TABLE && n->kind != FORMAT_LOG && n->kind != FORMAT_MANIFEST)
            continue;
        format_name(n->kind, n->number, name);
        memcpy(kept, name, strlen(name));
        memcpy(kept + strlen(name), ".damaged", sizeof ".damaged");
        if (was_damaged(r, n) || (n->kind == FORMAT_LOG && r->reporter.findings))
            st = strlen(kept) < OS_NAME_MAX ? os_rename(&r->env, name, kept) : VAULT_OK;
        else
            st = os_unlink(&r->env, name);
    }
    return st ? st : os_sync_dir(&r->env);
}

/* Copies of damaged tables were needed for the merge only. */
static enum vault_status drop_copies(struct repair *r)
{
    enum vault_status st = VAULT_OK;

    for (size_t i = 0; !st && i < r->source_count; i++)
        if (r->sources[i].open && r->sources[i].sst.number != r->sources[i].number)
            st = os_unlink(&r->env, r->sources[i].sst.file.name);
    return st;
}

static enum vault_status commit(struct repair *r, struct table *table)
{
    struct edit edit = {.has_log = true};
    struct version *version = NULL;
    enum vault_status closing = VAULT_OK;
    enum vault_status st = version_new(&r->env, &version);

    /* It may be a second name of CURRENT: see recover.c. */
    for (size_t i = 0; !st && i < core_names_count(&r->names); i++)
        if (core_names_at(&r->names)[i].kind == FORMAT_TEMPORARY)
            st = os_unlink(&r->env, FORMAT_NAME_TEMPORARY);
    if (!st && table)
        st = version_add(&r->tables, version, VAULT_LEVELS - 1, table);
    edit.last_seq = r->last_seq;
    edit.log = atomic_get(&r->manifest.next_file) + 1;
    r->manifest.number = 0; /* put_away sees to the old one */
    if (!st)
        st = manifest_commit(&r->manifest, &edit, version);
    closing = manifest_close(&r->manifest);
    version_unref(&r->tables, version);
    return st ? st : closing;
}

static bool is_there(const struct repair *r, enum format_file kind, uint64_t number)
{
    for (size_t i = 0; i < core_names_count(&r->names); i++)
        if (core_names_at(&r->names)[i].kind == kind &&
            core_names_at(&r->names)[i].number == number)
            return true;
    return false;
}

/* Does a log know the manifest to be longer than it is, or more to be in tables? */
static enum vault_status log_disagrees(struct repair *r, uint64_t number, bool *disagrees)
{
    struct record_reader reader = {.file = OS_FILE_CLOSED};
    bool good = false;
    enum vault_status st = record_open(&r->env, &reader, FORMAT_LOG, number, r->options.read_chunk);

    if (!st)
        st = record_head(&r->env, &reader, &good);
    if (!st && good)
        *disagrees |=
            (reader.origin.manifest_number == r->manifest.number &&
             reader.origin.manifest_synced > r->manifest.loaded_end) ||
            (number >= r->manifest.log_number && reader.origin.prev_seq > r->manifest.last_seq &&
             !is_there(r, FORMAT_LOG, reader.origin.prev_number));
    record_release(&r->env, &reader);
    return st == VAULT_NO_MEMORY ? st : VAULT_OK;
}

/* A manifest that ends early can be read, and tells of former times: logs know better, or tables it
 * names are gone while others are there that it does not name. */
static enum vault_status is_stale(struct repair *r, const struct version *version, bool *stale)
{
    bool missing = false;
    bool unnamed = false;
    enum vault_status st = VAULT_OK;

    for (size_t i = 0; !st && i < core_names_count(&r->names); i++) {
        const struct core_name *n = &core_names_at(&r->names)[i];

        if (n->kind == FORMAT_LOG)
            st = log_disagrees(r, n->number, stale);
        unnamed |= n->kind == FORMAT_TABLE && !tables_hold(&r->tables, n->number);
    }
    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        for (size_t j = 0; j < version->levels[i].count; j++)
            missing |= !is_there(r, FORMAT_TABLE, version->levels[i].at[j]->number);
    *stale |= missing && unnamed;
    return st;
}

static void no_manifest(struct repair *r)
{
    r->known = false;
    lost(r, FORMAT_NAME_CURRENT, 0, "which tables count: all that are there are taken", NULL, NULL);
}

/* What was read of a manifest that is damaged, up to and with the damage, is not built upon. */
static void forget(struct manifest *m)
{
    m->next_file = 1;
    m->last_seq = 0;
    m->log_number = 0;
    for (unsigned level = 0; level < VAULT_LEVELS; level++)
        m->cursors[level].len = 0;
}

/* Which tables and logs count, and no number twice. */
static enum vault_status look_around(struct repair *r, struct version **version)
{
    bool stale = false;
    enum vault_status st = core_list(&r->env, &r->names);

    if (st)
        return st;
    st = manifest_load(&r->manifest, r->options.read_chunk, version);
    r->known = !st;
    if (st == VAULT_NOT_FOUND && !core_names_count(&r->names))
        return st;
    if (st == VAULT_NOT_FOUND || (st && reporter_damage(&r->reporter, st)))
        no_manifest(r);
    else if (st)
        return st;
    st = r->known ? is_stale(r, *version, &stale) : VAULT_OK;
    if (st)
        return st;
    if (stale) {
        no_manifest(r);
        version_unref(&r->tables, *version);
        *version = NULL;
    }
    if (!r->known)
        forget(&r->manifest);
    r->first_log = r->manifest.log_number;
    r->last_seq = r->manifest.last_seq;
    if (r->manifest.next_file > FORMAT_FILE_MAX / 2)
        r->manifest.next_file = 1; /* what nobody has counted to is not built upon */
    for (size_t i = 0; i < core_names_count(&r->names); i++)
        if (core_names_at(&r->names)[i].number >= r->manifest.next_file &&
            core_names_at(&r->names)[i].number < FORMAT_FILE_MAX)
            r->manifest.next_file = core_names_at(&r->names)[i].number + 1;
    return VAULT_OK;
}

static enum vault_status rebuild(struct repair *r)
{
    struct version *version = NULL;
    struct table *table = NULL;
    size_t room = 0;
    enum vault_status st = look_around(r, &version);

    if (!st) {
        room = 1 + core_names_count(&r->names);
        for (unsigned i = 0; version && i < VAULT_LEVELS; i++)
            room += version->levels[i].count;
        room *= sizeof(struct source);
        r->sources = alloc_get(&r->env, room);
        if (!r->sources)
            st = env_fail(&r->env, VAULT_NO_MEMORY, "", 0, 0, "repair");
    }
    if (!st)
        st = open_tables(r, version);
    if (!st)
        st = take_logs(r);
    if (!st)
        st = build_all(r, &table);
    if (!st)
        st = commit(r, table);
    if (!st)
        st = drop_copies(r);
    if (!st)
        st = put_away(r);
    for (size_t i = 0; i < r->source_count; i++)
        if (r->sources[i].open)
            sst_close(&r->sources[i].sst);
    alloc_put(&r->env, r->sources, room);
    table_unref(&r->tables, table);
    version_unref(&r->tables, version);
    return st;
}

static enum vault_status repair_locked(struct repair *r, struct vault_error *error)
{
    enum vault_status st = VAULT_OK;

    cache_init(&r->cache, 0, NULL);
    tables_init(&r->tables, &r->env, &r->cache, r->options.open_tables, r->options.table_memory);
    manifest_init(&r->manifest, &r->env, &r->tables, r->options.manifest_size);
    st = rebuild(r);
    if (st)
        env_last(&r->env, error);
    core_names_release(&r->names);
    memtable_unref(&r->env, r->mem);
    memtable_unref(&r->env, r->ranges);
    manifest_release(&r->manifest);
    tables_release(&r->tables);
    cache_release(&r->env, &r->cache);
    os_release_dir(&r->env);
    return st;
}

enum vault_status vault_repair(const char *path, const struct vault_options *options,
                               vault_report *report, void *ctx, struct vault_error *error)
{
    struct repair r = {0};
    struct os_file lock = OS_FILE_CLOSED;
    struct vault_error ignored;
    enum vault_status st = VAULT_OK;

    if (!error)
        error = &ignored;
    *error = (struct vault_error){0};
    if (!path)
        return VAULT_INVALID;
    st = vault_verify(path, options, NULL, NULL, error);
    if (st != VAULT_CORRUPT && st != VAULT_DATA_LOSS && st != VAULT_IO)
        return st; /* X5, or no case for a repair */
    vault_options_init(&r.options);
    if (options)
        r.options = *options;
    st = env_init(&r.env, path, r.options.allocator, r.options.hooks);
    r.reporter = (struct reporter){.report = report, .ctx = ctx, .env = &r.env};
    if (!st)
        st = os_lock(&r.env, FORMAT_NAME_LOCK, &lock);
    if (st)
        env_last(&r.env, error);
    else
        st = repair_locked(&r, error);
    os_unlock(&r.env, &lock);
    env_release(&r.env);
    return st;
}
