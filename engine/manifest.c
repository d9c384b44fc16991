/* manifest.c: MANIFEST and CURRENT.
 *
 * M1  A handle never appends to a manifest it did not begin: the first edit after an open begins a
 *     new one. What was read of the old one may be in the page cache only (a failed sync may have
 *     dropped it), and behind a torn tail an appended edit would not be found. Why not sync the old
 *     one and go on: after a failed sync the next one succeeds without the dropped pages.
 * M2  A new manifest holds one record, a snapshot; it is synced, then CURRENT.tmp is written and
 *     synced (K09), then the directory is synced, so that all three names are durable, tables
 *     included; then the rename; then the directory is synced again (K10). Only then is the old
 *     manifest removed. So whichever CURRENT a crash leaves, what it names is there and whole.
 * M3  Otherwise an edit is one record (K12), appended after the directory is synced if it names new
 *     tables (K11), and synced before anything is done that relies on it.
 * M4  After a failure in here the manifest stays failed; neither its edit is installed nor anything
 *     removed, new tables included, since the edit may have reached the disk (K13, K36). Want of
 *     memory is found out before anything is written, and is no such failure.
 * M5  CURRENT says how long the manifest was when it was named; records carry claims (R4); a clean
 *     close adds one; log headers carry one. If the good part of a manifest ends before any of
 *     these, that is damage and not a torn tail.
 * M6  An open that finds nothing but live files needs no new manifest: had the last switch or edit
 *     not been synced, the old manifest, log or input table would still be there, since they are
 *     removed after that sync. (A trivial move leaves nothing behind; it may come undone, which
 *     changes no content.) An open that finds more begins a new one before it removes anything. So
 *     does one without a log, where a flush whose sync failed leaves nothing behind that tells. */
#include "manifest.h"

void manifest_init(struct manifest *m, struct env *env, struct tables *tables, uint64_t size_max)
{
    *m = (struct manifest){.env = env, .tables = tables, .size_max = size_max, .next_file = 1};
    m->out.file = OS_FILE_CLOSED;
}

enum vault_status manifest_close(struct manifest *m)
{
    enum vault_status st = m->failed;
    enum vault_status closing = VAULT_OK;

    if (!m->open)
        return st;
    if (!st && m->out.synced > m->current_len)
        st = record_claim(m->env, &m->out, 0); /* M5 */
    closing = record_close(m->env, &m->out);
    m->open = false;
    return st ? st : closing;
}

void manifest_release(struct manifest *m)
{
    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        buffer_release(m->env, &m->cursors[i]);
    if (m->open) {
        enum vault_status ignored = record_close(m->env, &m->out); /* The open has failed. */

        (void)ignored;
    }
    m->open = false;
}

uint64_t manifest_new_number(struct manifest *m)
{
    return atomic_add(&m->next_file, 1) - 1;
}

uint64_t manifest_synced(const struct manifest *m)
{
    return m->open ? m->out.synced : 0;
}

static size_t table_bytes(const struct table *t)
{
    return 8 * VARINT_MAX + t->smallest.len + t->largest.len;
}

static void put_table(struct buffer *to, unsigned level, const struct table *t)
{
    buffer_put_varint(to, t->has_ranges ? FORMAT_EDIT_ADD_RANGES : FORMAT_EDIT_ADD);
    buffer_put_varint(to, level);
    buffer_put_varint(to, t->number);
    buffer_put_varint(to, t->size);
    buffer_put_varint(to, t->smallest.len);
    buffer_put(to, t->smallest);
    buffer_put_varint(to, t->smallest_tag);
    buffer_put_varint(to, t->largest.len);
    buffer_put(to, t->largest);
    buffer_put_varint(to, t->largest_tag);
}

static void put_field(struct buffer *to, unsigned field, uint64_t value)
{
    buffer_put_varint(to, field);
    buffer_put_varint(to, value);
}

static void put_cursor(struct buffer *to, unsigned level, struct bytes key)
{
    buffer_put_varint(to, FORMAT_EDIT_CURSOR);
    buffer_put_varint(to, level);
    buffer_put_varint(to, key.len);
    buffer_put(to, key);
}

static enum vault_status write_edit(struct manifest *m, const struct edit *edit)
{
    size_t size = 10 * VARINT_MAX + edit->cursor.len;
    enum vault_status st = VAULT_OK;
    struct buffer *to = &m->out.frame;

    for (size_t i = 0; i < edit->add_count; i++)
        size += table_bytes(edit->add[i].table);
    size += edit->remove_count * 3 * VARINT_MAX;
    st = record_begin(m->env, &m->out, size);
    if (st)
        return st;
    put_field(to, FORMAT_EDIT_NEXT_FILE, atomic_get(&m->next_file));
    if (edit->last_seq)
        put_field(to, FORMAT_EDIT_LAST_SEQ, edit->last_seq);
    if (edit->has_log)
        put_field(to, FORMAT_EDIT_LOG, edit->log);
    for (size_t i = 0; i < edit->remove_count; i++) {
        put_field(to, FORMAT_EDIT_REMOVE, edit->remove[i].level);
        buffer_put_varint(to, edit->remove[i].number);
    }
    for (size_t i = 0; i < edit->add_count; i++)
        put_table(to, edit->add[i].level, edit->add[i].table);
    if (edit->has_cursor)
        put_cursor(to, edit->cursor_level, edit->cursor);
    return record_commit(m->env, &m->out, FORMAT_RECORD_DATA, 0, 1);
}

static size_t snapshot_size(const struct manifest *m, const struct version *v)
{
    size_t size = 10 * VARINT_MAX;

    for (unsigned level = 0; level < VAULT_LEVELS; level++) {
        for (size_t i = 0; i < v->levels[level].count; i++)
            size += table_bytes(v->levels[level].at[i]);
        size += 3 * VARINT_MAX + m->cursors[level].len;
    }
    return size;
}

static enum vault_status write_snapshot(struct manifest *m, const struct edit *edit,
                                        const struct version *v)
{
    struct buffer *to = &m->out.frame;
    enum vault_status st = record_begin(m->env, &m->out, snapshot_size(m, v) + edit->cursor.len);

    if (st)
        return st;
    put_field(to, FORMAT_EDIT_NEXT_FILE, atomic_get(&m->next_file));
    put_field(to, FORMAT_EDIT_LAST_SEQ, edit->last_seq ? edit->last_seq : m->last_seq);
    put_field(to, FORMAT_EDIT_LOG, edit->has_log ? edit->log : m->log_number);
    for (unsigned level = 0; level < VAULT_LEVELS; level++) {
        for (size_t i = 0; i < v->levels[level].count; i++)
            put_table(to, level, v->levels[level].at[i]);
        if (edit->has_cursor && edit->cursor_level == level)
            put_cursor(to, level, edit->cursor);
        else if (m->cursors[level].len)
            put_cursor(to, level, buffer_bytes(&m->cursors[level]));
    }
    return record_commit(m->env, &m->out, FORMAT_RECORD_DATA, 0, 1);
}

static enum vault_status write_current(struct manifest *m, uint64_t number, uint64_t len)
{
    uint8_t p[FORMAT_CURRENT_SIZE] = {0};
    struct os_file file = OS_FILE_CLOSED;
    enum vault_status st = os_create(m->env, FORMAT_NAME_TEMPORARY, &file);
    enum vault_status closing = VAULT_OK;

    if (st)
        return st;
    store_u32(p + 4, FORMAT_CURRENT_MAGIC);
    store_u32(p + 8, FORMAT_VERSION);
    store_u64(p + 16, number);
    store_u64(p + 24, len);
    store_u32(p, m->env->crc(0, p + 4, sizeof p - 4));
    st = os_append(m->env, &file, bytes_of(p, sizeof p));
    if (!st)
        st = os_sync(m->env, &file); /* M2 */
    closing = os_close(m->env, &file);
    return st ? st : closing;
}

/* M2. */
static enum vault_status begin(struct manifest *m, const struct edit *edit, const struct version *v)
{
    struct record_origin origin = {.prev_number = m->number};
    uint64_t number = manifest_new_number(m);
    uint64_t old = m->number;
    char name[OS_NAME_MAX];
    struct buffer frame = {0};
    enum vault_status st =
        buffer_reserve(m->env, &frame, 64 + snapshot_size(m, v) + edit->cursor.len);

    if (st)
        return st; /* before anything was touched: may be tried again */
    if (m->open) {
        m->open = false;
        st = record_close(m->env, &m->out);
    }
    if (!st)
        st = record_create(m->env, &m->out, FORMAT_MANIFEST, number, &origin);
    if (st) {
        buffer_release(m->env, &frame);
        return st;
    }
    m->open = true;
    m->out.frame = frame;
    st = write_snapshot(m, edit, v);
    if (!st)
        st = record_sync(m->env, &m->out);
    if (!st)
        st = write_current(m, number, m->out.synced);
    if (!st && !m->copies)
        st = os_sync_dir(m->env); /* M2: before the rename */
    if (!st)
        st = os_rename(m->env, FORMAT_NAME_TEMPORARY, FORMAT_NAME_CURRENT);
    if (!st)
        st = os_sync_dir(m->env); /* M2: after it (K10) */
    if (st)
        return st;
    m->number = number;
    m->current_len = m->out.synced;
    if (old) {
        format_name(FORMAT_MANIFEST, old, name);
        (void)(st = os_unlink(m->env, name)); /* L2: an orphan does no harm. */
    }
    return VAULT_OK;
}

/* A table that is only moved is taken away and put back: its name has been durable for long. */
static bool names_new_table(const struct edit *edit)
{
    for (size_t i = 0; i < edit->add_count; i++) {
        bool moved = false;

        for (size_t j = 0; j < edit->remove_count; j++)
            moved |= edit->remove[j].number == edit->add[i].table->number;
        if (!moved)
            return true;
    }
    return false;
}

enum vault_status manifest_commit(struct manifest *m, const struct edit *edit,
                                  const struct version *next)
{
    struct buffer *cursor = &m->cursors[edit->cursor_level];
    enum vault_status st = m->failed;

    if (!st && edit->has_cursor && edit->cursor.len > cursor->len) /* cannot fail after it */
        st = buffer_reserve(m->env, cursor, edit->cursor.len - cursor->len);
    if (st)
        return st;
    if (!m->open || m->out.file.size >= m->size_max) {
        st = begin(m, edit, next); /* M1 */
    } else {
        if (names_new_table(edit))
            st = os_sync_dir(m->env); /* M3 (K11) */
        if (!st)
            st = write_edit(m, edit);
        if (!st)
            st = record_sync(m->env, &m->out);
    }
    if (st && st != VAULT_NO_MEMORY)
        m->failed = st; /* M4 */
    if (st)
        return st;
    if (edit->last_seq)
        m->last_seq = edit->last_seq;
    if (edit->has_log)
        m->log_number = edit->log;
    if (edit->has_cursor) {
        cursor->len = 0;
        buffer_put(cursor, edit->cursor);
    }
    return VAULT_OK;
}

static enum vault_status read_current(struct manifest *m, uint64_t *number, uint64_t *len)
{
    struct env *env = m->env;
    struct os_file file = OS_FILE_CLOSED;
    uint8_t p[FORMAT_CURRENT_SIZE + 1];
    size_t got = 0;
    enum vault_status st = os_open(env, FORMAT_NAME_CURRENT, &file);
    enum vault_status ignored = VAULT_OK;

    if (st)
        return st;
    st = os_read(env, &file, 0, p, sizeof p, &got);
    ignored = os_close(env, &file); /* Nothing was written. */
    (void)ignored;
    if (st)
        return st;
    if (got != FORMAT_CURRENT_SIZE)
        return env_fail(env, VAULT_CORRUPT, FORMAT_NAME_CURRENT, got, 0, "size of CURRENT");
    env_use(env, p, FORMAT_CURRENT_SIZE);
    if (!verify(env, bytes_of(p + 4, FORMAT_CURRENT_SIZE - 4), load_u32(p)) ||
        load_u32(p + 4) != FORMAT_CURRENT_MAGIC)
        return env_fail(env, VAULT_CORRUPT, FORMAT_NAME_CURRENT, 0, 0, "checksum of CURRENT");
    if (load_u32(p + 8) != FORMAT_VERSION)
        return env_fail(env, VAULT_UNSUPPORTED, FORMAT_NAME_CURRENT, 8, 0,
                        "unknown format version");
    *number = load_u64(p + 16);
    *len = load_u64(p + 24);
    return VAULT_OK;
}

static enum vault_status take_table(struct manifest *m, struct taker *t, bool has_ranges,
                                    struct version *v)
{
    struct table *table = NULL;
    uint64_t level = take_varint(t);
    uint64_t number = take_varint(t);
    uint64_t size = take_varint(t);
    struct bytes smallest = take_bytes(t, take_varint(t));
    uint64_t smallest_tag = take_varint(t);
    struct bytes largest = take_bytes(t, take_varint(t));
    uint64_t largest_tag = take_varint(t);
    enum vault_status st = VAULT_OK;

    if (t->bad || level >= VAULT_LEVELS || smallest.len > VAULT_KEY_MAX ||
        largest.len > VAULT_KEY_MAX || number == 0 || number > FORMAT_FILE_MAX) {
        t->bad = true;
        return VAULT_OK;
    }
    st = table_new(m->tables, number, size, smallest, smallest_tag, largest, largest_tag, &table);
    if (st)
        return st;
    table->has_ranges = has_ranges;
    st = version_add(m->tables, v, (unsigned)level, table);
    table_unref(m->tables, table);
    return st;
}

/* Applies the edit of one record to `v`. Damage sets t->bad or answers VAULT_CORRUPT. */
static enum vault_status take_edit(struct manifest *m, struct taker *t, struct version *v)
{
    enum vault_status st = VAULT_OK;

    while (!st && !t->bad && taker_left(t)) {
        uint64_t field = take_varint(t);
        uint64_t level = 0;
        uint64_t number = 0;
        struct bytes key;

        switch (field) {
        case FORMAT_EDIT_NEXT_FILE:
            m->next_file = take_varint(t);
            t->bad |= m->next_file > FORMAT_FILE_MAX;
            break;
        case FORMAT_EDIT_LAST_SEQ:
            m->last_seq = take_varint(t);
            t->bad |= m->last_seq > FORMAT_SEQ_MAX;
            break;
        case FORMAT_EDIT_LOG:
            m->log_number = take_varint(t);
            t->bad |= m->log_number > FORMAT_FILE_MAX;
            break;
        case FORMAT_EDIT_ADD:
        case FORMAT_EDIT_ADD_RANGES:
            st = take_table(m, t, field == FORMAT_EDIT_ADD_RANGES, v);
            break;
        case FORMAT_EDIT_REMOVE:
            level = take_varint(t);
            number = take_varint(t);
            t->bad |= level >= VAULT_LEVELS;
            if (!t->bad)
                st = version_remove(m->tables, v, (unsigned)level, number);
            break;
        case FORMAT_EDIT_CURSOR:
            level = take_varint(t);
            key = take_bytes(t, take_varint(t));
            t->bad |= level >= VAULT_LEVELS || key.len > VAULT_KEY_MAX;
            if (t->bad)
                break;
            m->cursors[level].len = 0;
            st = buffer_append(m->env, &m->cursors[level], key);
            break;
        default:
            t->bad = true;
        }
    }
    return st;
}

static enum vault_status read_edits(struct manifest *m, struct record_reader *r, struct version *v)
{
    struct record record;
    bool got = false;
    bool claimed = false;
    enum vault_status st = VAULT_OK;

    for (;;) {
        struct taker t;

        st = record_next(m->env, r, &record, &got);
        if (st || !got)
            break;
        t = taker_of(record.payload);
        if (record.kind == FORMAT_RECORD_DATA)
            st = take_edit(m, &t, v);
        else if (record.kind != FORMAT_RECORD_CLAIM)
            st = env_fail(m->env, VAULT_UNSUPPORTED, r->file.name, record.offset, 0,
                          "unknown kind of record");
        if (!st && t.bad)
            st = VAULT_CORRUPT;
        if (st == VAULT_CORRUPT)
            st = env_fail(m->env, st, r->file.name, record.offset, 0, "manifest edit");
        if (st)
            return st;
    }
    if (!st)
        st = record_claimed(m->env, r, &claimed);
    if (st)
        return st;
    m->loaded_end = r->pos;
    if (claimed || r->pos < m->current_len)
        return env_fail(m->env, VAULT_DATA_LOSS, r->file.name, r->pos, 0,
                        "manifest ends before what was synced"); /* M5 */
    if (r->torn)
        reached(manifest_torn_tail);
    return VAULT_OK;
}

enum vault_status manifest_load(struct manifest *m, size_t chunk, struct version **out)
{
    struct record_reader reader = {.file = OS_FILE_CLOSED};
    struct version *v = NULL;
    bool good = false;
    enum vault_status st = read_current(m, &m->number, &m->current_len);

    if (st)
        return st;
    if (m->number == 0 || m->number > FORMAT_FILE_MAX)
        return env_fail(m->env, VAULT_CORRUPT, FORMAT_NAME_CURRENT, 16, 0, "manifest number");
    st = record_open(m->env, &reader, FORMAT_MANIFEST, m->number, chunk);
    if (st == VAULT_NOT_FOUND)
        st = env_fail(m->env, VAULT_CORRUPT, reader.file.name, 0, 0, "manifest is missing");
    if (!st)
        st = record_head(m->env, &reader, &good);
    if (!st && !good)
        st = env_fail(m->env, VAULT_CORRUPT, reader.file.name, 0, 0, "manifest header");
    if (!st)
        st = version_new(m->env, &v);
    if (!st)
        st = read_edits(m, &reader, v);
    record_release(m->env, &reader);
    if (st)
        version_unref(m->tables, v);
    else
        *out = v;
    return st;
}
