/* plain.c: records, operations, blocks and tables, read as FORMAT.md says. See plain.h.
 *
 * Written from the page, not from the engine, so that a mistake has to be made twice to go unseen.
 * Shared with the engine: little-endian loads, varints, the checksum and the filter's hash, each
 * with tests of its own. Speed does not matter here; shortness does. */
#include <stdlib.h>
#include <string.h>
#ifdef MINIVAULT_LZ4
#include <lz4.h>
#endif
#ifdef MINIVAULT_ZSTD
#include <zstd.h>
#endif

#include "bloom.h"
#include "crc32c.h"
#include "cursor.h"
#include "plain.h"

struct plain_keep {
    struct plain_keep *next;
    uint8_t bytes[];
};

void plain_release(struct plain *p)
{
    while (p->kept) {
        struct plain_keep *keep = p->kept;

        p->kept = keep->next;
        free(keep);
    }
}

struct bytes plain_copy(struct plain *p, struct bytes bytes)
{
    struct plain_keep *keep = malloc(sizeof *keep + bytes.len);

    must(keep != NULL);
    keep->next = p->kept;
    p->kept = keep;
    if (bytes.len)
        memcpy(keep->bytes, bytes.data, bytes.len);
    return bytes_of(keep->bytes, bytes.len);
}

void plain_add(struct plain_list *list, struct plain_entry entry)
{
    if (list->count == list->room) {
        list->room = list->room * 2 + 16;
        list->at = realloc(list->at, list->room * sizeof *list->at);
        must(list->at != NULL);
    }
    list->at[list->count++] = entry;
}

void plain_list_release(struct plain_list *list)
{
    free(list->at);
    *list = (struct plain_list){0};
}

uint32_t plain_sum(struct bytes bytes)
{
    return crc32c_choose()(0, bytes.data, bytes.len); /* held against a loop by crc_fuzz.c */
}

static bool sum_is(struct bytes bytes, const uint8_t *stored)
{
    return plain_sum(bytes) == load_u32(stored);
}

/* ---- record files ---- */

static bool record_at(struct bytes file, uint64_t pos, uint64_t number, struct plain_record *out)
{
    const uint8_t *p = file.data + pos;
    uint64_t left = pos > file.len ? 0 : file.len - pos;
    uint64_t len = 0;

    if (left < FORMAT_RECORD_HEADER || load_u16(p + 4) != FORMAT_RECORD_MAGIC)
        return false;
    len = load_u32(p + 8);
    if (len > FORMAT_RECORD_MAX || len > left - FORMAT_RECORD_HEADER ||
        !sum_is(bytes_of(p + 4, FORMAT_RECORD_HEADER - 4 + len), p) || load_u64(p + 16) != number ||
        load_u32(p + 32) != pos / FORMAT_ALIGN)
        return false;
    *out = (struct plain_record){.kind = p[6],
                                 .count = load_u32(p + 12),
                                 .seq = load_u64(p + 24),
                                 .offset = pos,
                                 .claim = (uint64_t)load_u32(p + 36) * FORMAT_ALIGN,
                                 .payload = bytes_of(p + FORMAT_RECORD_HEADER, len)};
    return true;
}

static void read_head(struct plain_records *r, struct bytes file, enum format_file kind,
                      uint64_t number)
{
    const uint8_t *p = file.data;

    if (file.len < FORMAT_FILE_HEADER || !sum_is(bytes_of(p + 4, FORMAT_FILE_HEADER - 4), p) ||
        load_u32(p + 4) != (kind == FORMAT_LOG ? FORMAT_LOG_MAGIC : FORMAT_MANIFEST_MAGIC) ||
        load_u64(p + 16) != number)
        return;
    r->head = true;
    r->unsupported = load_u32(p + 8) != FORMAT_VERSION;
    r->prev_number = load_u64(p + 24);
    r->prev_synced = load_u64(p + 32);
    r->prev_seq = load_u64(p + 40);
    r->manifest_number = load_u64(p + 48);
    r->manifest_synced = load_u64(p + 56);
    r->end = FORMAT_FILE_HEADER;
}

void plain_records_read(struct plain_records *r, struct bytes file, enum format_file kind,
                        uint64_t number)
{
    struct plain_record record;

    *r = (struct plain_records){0};
    read_head(r, file, kind, number);
    while (r->head && record_at(file, r->end, number, &record)) {
        if (r->count == r->room) {
            r->room = r->room * 2 + 16;
            r->at = realloc(r->at, r->room * sizeof *r->at);
            must(r->at != NULL);
        }
        r->at[r->count++] = record;
        r->end += (FORMAT_RECORD_HEADER + record.payload.len + 7) / 8 * 8;
    }
    r->torn = r->end < file.len;
    for (uint64_t pos = r->end + FORMAT_ALIGN; r->torn && pos < file.len; pos += FORMAT_ALIGN)
        r->claimed |= record_at(file, pos, number, &record) && record.claim > r->end;
}

void plain_records_release(struct plain_records *r)
{
    free(r->at);
    *r = (struct plain_records){0};
}

bool plain_ops(struct bytes ops, uint32_t count, uint64_t seq, struct plain_list *out)
{
    struct taker t = taker_of(ops);

    for (uint32_t i = 0; i < count; i++) {
        struct bytes kind = take_bytes(&t, 1);
        struct plain_entry entry = {.key = take_bytes(&t, take_varint(&t))};

        if (t.bad || kind.data[0] > 3 || entry.key.len > VAULT_KEY_MAX)
            return false;
        entry.tag = (seq + i) * 4 + kind.data[0];
        if (kind.data[0])
            entry.value = take_bytes(&t, take_varint(&t));
        if (t.bad || entry.value.len > VAULT_VALUE_MAX + (kind.data[0] == 3 ? 8 : 0) ||
            (kind.data[0] == 3 && entry.value.len < 8))
            return false;
        if (kind.data[0] == 2 &&
            (entry.value.len > VAULT_KEY_MAX || bytes_compare(entry.key, entry.value) >= 0))
            return false;
        plain_add(out, entry);
    }
    return taker_left(&t) == 0;
}

/* ---- blocks ---- */

/* One entry behind the key `last`. */
static bool take_entry(struct plain *p, struct taker *t, struct bytes last, bool restart,
                       struct plain_entry *out)
{
    uint8_t key[VAULT_KEY_MAX];
    uint64_t shared = take_varint(t);
    uint64_t own = take_varint(t);
    uint64_t value_len = take_varint(t);
    uint64_t tag = take_varint(t);
    struct bytes suffix = take_bytes(t, own);
    struct bytes value = take_bytes(t, value_len);

    if (t->bad || shared > last.len || (restart && shared) || shared + own > VAULT_KEY_MAX)
        return false;
    if (shared)
        memcpy(key, last.data, shared);
    if (suffix.len)
        memcpy(key + shared, suffix.data, suffix.len);
    *out = (struct plain_entry){plain_copy(p, bytes_of(key, shared + suffix.len)), value, tag, 0};
    return true;
}

bool plain_block(struct plain *p, struct bytes contents, struct plain_list *out)
{
    uint64_t restarts = contents.len < 4 ? 0 : load_u32(contents.data + contents.len - 4);
    struct taker t;
    const uint8_t *array = NULL;
    uint64_t restart = 0;
    struct plain_entry entry = {0};
    size_t first = out->count;

    if (contents.len < 4 || restarts > (contents.len - 4) / 4)
        return false;
    array = contents.data + contents.len - 4 - 4 * restarts;
    t = taker_of(bytes_of(contents.data, (size_t)(array - contents.data)));
    while (taker_left(&t)) {
        uint64_t at = (uint64_t)(t.p - contents.data);
        bool here = restart < restarts && load_u32(array + 4 * restart) == at;
        struct bytes last = entry.key;

        if ((at == 0 && !here) || !take_entry(p, &t, last, here, &entry))
            return false;
        restart += here;
        if (out->count > first &&
            entry_compare(out->at[out->count - 1].key, out->at[out->count - 1].tag, entry.key,
                          entry.tag) >= 0)
            return false;
        plain_add(out, entry);
    }
    return restart == restarts;
}

/* ---- tables ---- */

static bool sealed(struct bytes file, uint64_t offset, uint64_t len)
{
    const uint8_t *p = file.data + offset;

    return sum_is(bytes_of(p, len + 1), p + len + 1) && p[len] == FORMAT_BLOCK_RAW;
}

static bool expand(unsigned type, const uint8_t *from, uint64_t from_len, uint8_t *to, uint64_t len)
{
#ifdef MINIVAULT_LZ4
    if (type == 1)
        return LZ4_decompress_safe((const char *)from, (char *)to, (int)from_len, (int)len) ==
               (int)len;
#endif
#ifdef MINIVAULT_ZSTD
    if (type == 2)
        return ZSTD_decompress(to, len, from, from_len) == len;
#endif
    return false;
}

/* The contents of a data block, which may be compressed; false: damaged, or of an unknown type. */
static bool contents_of(struct plain *p, struct bytes file, uint64_t offset, uint64_t len,
                        struct bytes *out)
{
    const uint8_t *at = file.data + offset;
    struct plain_keep *keep = NULL;
    uint64_t whole = len > 4 ? load_u32(at) : 0;

    if (!sum_is(bytes_of(at, len + 1), at + len + 1))
        return false;
    *out = bytes_of(at, len);
    if (at[len] == FORMAT_BLOCK_RAW)
        return true;
    if (whole == 0 || whole / 4096 > len)
        return false;
    keep = malloc(sizeof *keep + whole);
    must(keep != NULL);
    keep->next = p->kept;
    p->kept = keep;
    *out = bytes_of(keep->bytes, whole);
    return expand(at[len], at + 4, len - 4, keep->bytes, whole);
}

/* The data blocks that the index names, one after the other. */
static void read_blocks(struct plain *p, struct plain_table *t, struct bytes file,
                        uint64_t data_end, const struct plain_list *index)
{
    t->whole = true;
    for (size_t i = 0; i < index->count; i++) {
        struct taker handle = taker_of(index->at[i].value);
        uint64_t offset = take_varint(&handle);
        uint64_t len = take_varint(&handle);
        size_t first = t->entries.count;
        const struct plain_entry *last = NULL;
        struct bytes contents;

        if (handle.bad || offset > data_end || len > data_end - offset ||
            data_end - offset - len < FORMAT_BLOCK_TRAILER ||
            !contents_of(p, file, offset, len, &contents)) {
            t->unsound = true;
            t->whole = false;
            return;
        }
        if (!plain_block(p, contents, &t->entries) || t->entries.count == first) {
            t->whole = false;
            return;
        }
        last = &t->entries.at[t->entries.count - 1];
        t->whole &=
            entry_compare(last->key, last->tag, index->at[i].key, index->at[i].tag) == 0 &&
            (first == 0 || entry_compare(t->entries.at[first - 1].key, t->entries.at[first - 1].tag,
                                         t->entries.at[first].key, t->entries.at[first].tag) < 0);
        if (!t->whole)
            return;
    }
}

/* The range deletes: keys whole, each behind the one before it or with the same ends and older. */
static bool read_ranges(struct bytes contents, struct plain_list *out)
{
    uint64_t restarts = contents.len < 4 ? 0 : load_u32(contents.data + contents.len - 4);
    uint64_t end, at;

    if (contents.len < 4 || restarts > (contents.len - 4) / 4)
        return false;
    end = contents.len - 4 - 4 * restarts;
    if (restarts == 0)
        return end == 0;
    for (at = load_u32(contents.data + end); at < end;) {
        struct taker t = taker_of(bytes_of(contents.data + at, end - at));
        uint64_t shared = take_varint(&t);
        uint64_t own = take_varint(&t);
        uint64_t value_len = take_varint(&t);
        struct plain_entry entry = {.tag = take_varint(&t)};
        const struct plain_entry *last = out->count ? &out->at[out->count - 1] : NULL;

        entry.key = take_bytes(&t, own);
        entry.value = take_bytes(&t, value_len);
        if (t.bad || shared || own > VAULT_KEY_MAX || tag_kind(entry.tag) != FORMAT_OP_DELETE_RANGE)
            return false;
        if (bytes_compare(entry.key, entry.value) >= 0)
            return false;
        if (last && bytes_compare(last->value, entry.key) > 0 &&
            !(bytes_equal(last->key, entry.key) && bytes_equal(last->value, entry.value) &&
              last->tag > entry.tag))
            return false;
        plain_add(out, entry);
        at = (uint64_t)(t.p - contents.data);
    }
    return out->count > 0;
}

void plain_table_read(struct plain *p, struct plain_table *t, struct bytes file, uint64_t number)
{
    const uint8_t *foot = file.data + file.len - FORMAT_FOOTER;
    uint64_t end = file.len - FORMAT_FOOTER;
    uint64_t ranges_len, ranges, filter, filter_len, index, index_len;
    struct plain_list names = {0};

    *t = (struct plain_table){0};
    if (file.len < FORMAT_FOOTER || !sum_is(bytes_of(foot + 4, FORMAT_FOOTER - 4), foot) ||
        load_u32(foot + 4) != FORMAT_TABLE_MAGIC || load_u32(foot + 8) != FORMAT_VERSION ||
        load_u64(foot + 16) != number || load_u64(foot + 56) != file.len)
        return;
    ranges_len = load_u32(foot + 12);
    filter = load_u64(foot + 24);
    filter_len = load_u32(foot + 32);
    index_len = load_u32(foot + 36);
    index = load_u64(foot + 40);
    if (filter > end || index > end || index + index_len + FORMAT_BLOCK_TRAILER != end ||
        filter + (filter_len ? filter_len + FORMAT_BLOCK_TRAILER : 0) != index ||
        (ranges_len ? ranges_len + FORMAT_BLOCK_TRAILER : 0) > filter)
        return;
    ranges = filter - (ranges_len ? ranges_len + FORMAT_BLOCK_TRAILER : 0);
    t->opens = sealed(file, index, index_len) && (!filter_len || sealed(file, filter, filter_len));
    if (t->opens && ranges_len)
        t->opens = sealed(file, ranges, ranges_len) &&
                   read_ranges(bytes_of(file.data + ranges, ranges_len), &t->ranges);
    if (!t->opens)
        return;
    if (plain_block(p, bytes_of(file.data + index, index_len), &names))
        read_blocks(p, t, file, ranges, &names);
    plain_list_release(&names);
    for (size_t i = 0; t->whole && i < t->entries.count; i++)
        t->whole = tag_seq(t->entries.at[i].tag) <= FORMAT_SEQ_MAX &&
                   (!filter_len || bloom_may_hold(bytes_of(file.data + filter, filter_len),
                                                  bloom_hash(t->entries.at[i].key)));
}

void plain_table_release(struct plain_table *t)
{
    plain_list_release(&t->entries);
    plain_list_release(&t->ranges);
}
