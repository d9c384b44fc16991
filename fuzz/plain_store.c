/* plain_store.c: what vault_open has to make of a set of files, worked out in the plainest way.
 *
 * Two answers. The status that an open must give is exact for any input: FORMAT.md says what is
 * damage, what is lost data, what a power cut may leave. The content is known only where the files
 * are *exact*: checksums can be forged, and then tables may be out of order or levels contradict
 * each other, which no reader promises to notice. There the engine must merely stay in one piece.
 *
 * Not modelled: want of memory, and numbers near the end of their range (EXACT_NUMBER_MAX). */
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "plain.h"

#define TABLES_MAX       256
#define EXACT_NUMBER_MAX ((uint64_t)1 << 55) /* file names have room for 18 digits */

struct listed {
    uint64_t level, number, size;
    struct bytes smallest, largest;
    bool open_end; /* the largest key is the end of a range delete and not in the table */
    bool ranges;   /* it is said to have range deletes */
};

struct reading {
    const struct stage_files *files;
    size_t table_count;
    uint64_t manifest, manifest_len, manifest_end; /* number; synced when named; good part */
    uint64_t next_file, last_seq, log;
    bool vague; /* too large for this model */
    struct listed tables[TABLES_MAX];
};

/* ---- CURRENT and the manifest ---- */

static enum vault_status read_current(struct reading *r, const struct stage_file *file)
{
    const uint8_t *p = file->data.data;

    if (file->data.len != FORMAT_CURRENT_SIZE || load_u32(p + 4) != FORMAT_CURRENT_MAGIC ||
        plain_sum(bytes_of(p + 4, FORMAT_CURRENT_SIZE - 4)) != load_u32(p))
        return VAULT_CORRUPT;
    if (load_u32(p + 8) != FORMAT_VERSION)
        return VAULT_UNSUPPORTED;
    r->manifest = load_u64(p + 16);
    r->manifest_len = load_u64(p + 24);
    return r->manifest && r->manifest <= FORMAT_FILE_MAX ? VAULT_OK : VAULT_CORRUPT;
}

/* Is all of the table before the key? */
static bool before(const struct listed *t, struct bytes key)
{
    return bytes_compare(t->largest, key) < t->open_end;
}

static bool apart(const struct listed *a, const struct listed *b)
{
    return before(a, b->smallest) || before(b, a->smallest);
}

static bool add_table(struct reading *r, struct taker *t, bool ranges)
{
    struct listed new = {.ranges = ranges};

    new.level = take_varint(t);
    new.number = take_varint(t);
    new.size = take_varint(t);
    new.smallest = take_bytes(t, take_varint(t));
    take_varint(t);
    new.largest = take_bytes(t, take_varint(t));
    new.open_end = take_varint(t) == UINT64_MAX;
    if (t->bad || new.level >= VAULT_LEVELS || new.number == 0 || new.number > FORMAT_FILE_MAX ||
        new.smallest.len > VAULT_KEY_MAX || new.largest.len > VAULT_KEY_MAX ||
        before(&new, new.smallest))
        return false;
    for (size_t i = 0; i < r->table_count; i++) {
        if (r->tables[i].level == new.level &&
            (new.level ? !apart(&r->tables[i], &new) : r->tables[i].number == new.number))
            return false;
        r->vague |= r->tables[i].number == new.number; /* one table twice */
    }
    if (r->table_count == TABLES_MAX)
        r->vague = true;
    else
        r->tables[r->table_count++] = new;
    return true;
}

static bool remove_table(struct reading *r, struct taker *t)
{
    uint64_t level = take_varint(t);
    uint64_t number = take_varint(t);

    for (size_t i = 0; !t->bad && i < r->table_count; i++)
        if (r->tables[i].level == level && r->tables[i].number == number) {
            r->tables[i] = r->tables[--r->table_count];
            return true;
        }
    return false;
}

static bool apply_edit(struct reading *r, struct bytes payload)
{
    struct taker t = taker_of(payload);
    bool good = true;

    while (good && taker_left(&t)) {
        uint64_t tag = take_varint(&t);

        if (tag == FORMAT_EDIT_NEXT_FILE)
            good = (r->next_file = take_varint(&t)) <= FORMAT_FILE_MAX;
        else if (tag == FORMAT_EDIT_LAST_SEQ)
            good = (r->last_seq = take_varint(&t)) <= FORMAT_SEQ_MAX;
        else if (tag == FORMAT_EDIT_LOG)
            good = (r->log = take_varint(&t)) <= FORMAT_FILE_MAX;
        else if (tag == FORMAT_EDIT_ADD || tag == FORMAT_EDIT_ADD_RANGES)
            good = add_table(r, &t, tag == FORMAT_EDIT_ADD_RANGES);
        else if (tag == FORMAT_EDIT_REMOVE)
            good = remove_table(r, &t);
        else if (tag == FORMAT_EDIT_CURSOR)
            good = take_varint(&t) < VAULT_LEVELS &&
                   take_bytes(&t, take_varint(&t)).len <= VAULT_KEY_MAX;
        else
            good = false;
        good &= !t.bad;
    }
    return good;
}

static enum vault_status read_manifest(struct reading *r)
{
    const struct stage_file *file = stage_find(r->files, FORMAT_MANIFEST, r->manifest);
    struct plain_records records = {0};
    enum vault_status st = VAULT_OK;

    if (!file)
        return VAULT_CORRUPT;
    plain_records_read(&records, file->data, FORMAT_MANIFEST, r->manifest);
    if (!records.head)
        st = VAULT_CORRUPT;
    else if (records.unsupported)
        st = VAULT_UNSUPPORTED;
    for (size_t i = 0; !st && i < records.count; i++)
        if (records.at[i].kind != FORMAT_RECORD_DATA && records.at[i].kind != FORMAT_RECORD_CLAIM)
            st = VAULT_UNSUPPORTED;
        else if (records.at[i].kind == FORMAT_RECORD_DATA && !apply_edit(r, records.at[i].payload))
            st = VAULT_CORRUPT;
    if (!st && (records.claimed || records.end < r->manifest_len))
        st = VAULT_DATA_LOSS;
    r->manifest_end = records.end;
    plain_records_release(&records);
    return st;
}

/* ---- logs ---- */

struct logs {
    uint64_t last_seq, prev_number, prev_end;
};

static bool chained(const struct reading *r, const struct logs *logs, const struct plain_records *l)
{
    if (l->manifest_number == r->manifest && r->manifest_end < l->manifest_synced)
        return false;
    if (l->prev_number >= r->log && l->prev_number != logs->prev_number)
        return false;
    if (logs->prev_number &&
        (l->prev_number != logs->prev_number || logs->prev_end < l->prev_synced))
        return false;
    return l->prev_seq == logs->last_seq;
}

static enum vault_status apply_log(struct logs *logs, const struct plain_record *record,
                                   struct plain_list *out)
{
    if (record->kind == FORMAT_RECORD_CLAIM)
        return VAULT_OK;
    if (record->kind != FORMAT_RECORD_DATA)
        return VAULT_UNSUPPORTED;
    if (record->seq > logs->last_seq + 1)
        return VAULT_DATA_LOSS;
    if (record->seq <= logs->last_seq || record->count == 0 ||
        record->seq + record->count > FORMAT_SEQ_MAX ||
        !plain_ops(record->payload, record->count, record->seq, out))
        return VAULT_CORRUPT;
    logs->last_seq = record->seq + record->count - 1;
    return VAULT_OK;
}

static enum vault_status read_log(const struct reading *r, struct logs *logs,
                                  const struct stage_file *file, struct plain_list *out)
{
    struct plain_records records;
    enum vault_status st = VAULT_OK;

    plain_records_read(&records, file->data, FORMAT_LOG, file->number);
    if (records.head && records.unsupported)
        st = VAULT_UNSUPPORTED;
    else if (records.head && !chained(r, logs, &records))
        st = VAULT_DATA_LOSS;
    for (size_t i = 0; !st && i < records.count; i++)
        st = apply_log(logs, &records.at[i], out);
    if (!st && (records.claimed || (!records.head && file->data.len > FORMAT_FILE_HEADER)))
        st = VAULT_DATA_LOSS;
    logs->prev_number = file->number;
    logs->prev_end = records.end;
    plain_records_release(&records);
    return st;
}

static enum vault_status read_logs(struct reading *r, struct plain_store *s)
{
    struct logs logs = {.last_seq = r->last_seq};
    enum vault_status st = VAULT_OK;
    uint64_t done = 0;

    for (;;) { /* by number; there are few */
        const struct stage_file *next = NULL;

        for (size_t i = 0; i < r->files->count; i++) {
            const struct stage_file *file = &r->files->at[i];

            if (file->kind == FORMAT_LOG && file->number >= r->log && file->number > done &&
                (!next || file->number < next->number))
                next = file;
        }
        if (!next || st)
            break;
        st = read_log(r, &logs, next, &s->entries);
        done = next->number;
    }
    s->last_seq = logs.last_seq;
    return st;
}

/* ---- tables ---- */

/* Level 0: the larger number first; below: by level. */
static unsigned rank_of(const struct listed *t)
{
    if (t->level)
        return (unsigned)(1000 + t->level);
    return (unsigned)(1 + 255 - (t->number & 255));
}

/* Entries and pieces of range deletes, where they may be. */
static bool add_entries(const struct reading *r, const struct listed *listed,
                        const struct plain_table *table, struct plain_store *s)
{
    bool good = true;

    for (size_t i = 0; good && i < table->entries.count; i++) {
        struct plain_entry entry = table->entries.at[i];

        entry.rank = rank_of(listed);
        good = bytes_compare(listed->smallest, entry.key) <= 0 && !before(listed, entry.key) &&
               tag_seq(entry.tag) <= r->last_seq && tag_kind(entry.tag) != FORMAT_OP_DELETE_RANGE;
        plain_add(&s->entries, entry);
    }
    for (size_t i = 0; good && i < table->ranges.count; i++) {
        struct plain_entry piece = table->ranges.at[i];

        piece.rank = rank_of(listed);
        good = bytes_compare(listed->smallest, piece.key) <= 0 &&
               bytes_compare(piece.value, listed->largest) <= 0 &&
               tag_seq(piece.tag) <= r->last_seq;
        plain_add(&s->entries, piece);
    }
    return good;
}

static bool read_table(struct plain *p, const struct reading *r, const struct listed *listed,
                       struct plain_store *s)
{
    const struct stage_file *file = stage_find(r->files, FORMAT_TABLE, listed->number);
    struct plain_table table = {0};
    bool good = file && file->data.len == listed->size && listed->number < 256;

    if (good)
        plain_table_read(p, &table, file->data, listed->number);
    s->unsound |=
        good && (!table.opens || table.unsound || (table.ranges.count && !listed->ranges));
    good = good && table.whole && !(table.ranges.count && !listed->ranges) &&
           add_entries(r, listed, &table, s);
    plain_table_release(&table);
    return good;
}

static int by_entry(const void *a, const void *b)
{
    const struct plain_entry *x = a;
    const struct plain_entry *y = b;

    return entry_compare(x->key, x->tag, y->key, y->tag);
}

static bool covers(const struct plain_entry *range, struct bytes key)
{
    return tag_kind(range->tag) == FORMAT_OP_DELETE_RANGE && bytes_compare(range->key, key) <= 0 &&
           bytes_compare(key, range->value) < 0;
}

/* What a range delete hides lies behind it, what it does not in front of it. */
static bool range_ranked(const struct plain_list *entries, const struct plain_entry *range)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct plain_entry *e = &entries->at[i];

        if (e == range || !covers(range, e->key) || tag_kind(e->tag) == FORMAT_OP_DELETE_RANGE)
            continue;
        if (tag_seq(e->tag) == tag_seq(range->tag) ||
            (tag_seq(e->tag) < tag_seq(range->tag) ? e->rank < range->rank : e->rank > range->rank))
            return false;
    }
    return true;
}

/* Newer entries of a key lie where they are looked for first. */
static bool ranked(const struct plain_list *entries)
{
    for (size_t i = 1; i < entries->count; i++) {
        const struct plain_entry *a = &entries->at[i - 1];
        const struct plain_entry *b = &entries->at[i];

        if (bytes_equal(a->key, b->key) && (a->tag == b->tag || a->rank > b->rank))
            return false;
    }
    for (size_t i = 0; i < entries->count; i++)
        if (tag_kind(entries->at[i].tag) == FORMAT_OP_DELETE_RANGE &&
            !range_ranked(entries, &entries->at[i]))
            return false;
    return true;
}

/* Does a newer range delete cover it? */
static bool in_range(const struct plain_list *entries, const struct plain_entry *entry)
{
    for (size_t i = 0; i < entries->count; i++)
        if (tag_seq(entries->at[i].tag) > tag_seq(entry->tag) &&
            covers(&entries->at[i], entry->key))
            return true;
    return false;
}

void plain_live(struct plain_store *s)
{
    const struct plain_entry *newest = NULL;

    s->live.count = 0;
    if (s->entries.count)
        qsort(s->entries.at, s->entries.count, sizeof *s->entries.at, by_entry);
    for (size_t i = 0; i < s->entries.count; i++) {
        struct plain_entry entry = s->entries.at[i];

        if (tag_kind(entry.tag) == FORMAT_OP_DELETE_RANGE ||
            (newest && bytes_equal(entry.key, newest->key)))
            continue;
        newest = &s->entries.at[i];
        if (!in_range(&s->entries, newest) && cursor_live(entry.tag, STAGE_NOW, &entry.value))
            plain_add(&s->live, entry);
    }
}

/* Without CURRENT: only what an interrupted first open leaves may be there. */
static enum vault_status nothing_there(const struct stage_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->at[i].kind == FORMAT_LOG || files->at[i].kind == FORMAT_TABLE ||
            (files->at[i].kind == FORMAT_MANIFEST && files->at[i].number != 1))
            return VAULT_CORRUPT;
    return VAULT_OK;
}

static enum vault_status read_all(struct plain *p, struct reading *r, struct plain_store *s)
{
    const struct stage_file *current = stage_find(r->files, FORMAT_CURRENT, 0);
    enum vault_status st = VAULT_OK;

    if (!current)
        return nothing_there(r->files);
    st = read_current(r, current);
    if (!st)
        st = read_manifest(r);
    for (size_t i = 0; !st && i < r->table_count; i++)
        if (!stage_find(r->files, FORMAT_TABLE, r->tables[i].number))
            st = VAULT_CORRUPT;
    if (!st)
        st = read_logs(r, s);
    for (size_t i = 0; !st && i < r->table_count; i++)
        s->exact &= read_table(p, r, &r->tables[i], s);
    return st;
}

void plain_store_read(struct plain *p, struct plain_store *s, const struct stage_files *files)
{
    struct reading *r = malloc(sizeof *r);

    must(r != NULL);
    memset(r, 0, offsetof(struct reading, tables));
    r->files = files;
    r->next_file = 1;
    *s = (struct plain_store){.exact = true};
    s->status = read_all(p, r, s);
    s->vague = r->vague;
    s->exact = s->exact && !s->status && !r->vague && r->next_file < EXACT_NUMBER_MAX &&
               s->last_seq < EXACT_NUMBER_MAX;
    plain_live(s);
    s->exact = s->exact && ranked(&s->entries);
    free(r);
}

void plain_store_release(struct plain_store *s)
{
    plain_list_release(&s->entries);
    plain_list_release(&s->live);
}
