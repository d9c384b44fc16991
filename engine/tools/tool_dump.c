/* tool_dump.c: one file of a database, field by field, each with its offset (FORMAT.md).
 *
 * Reads the bytes itself and trusts none of them: the dump goes on to the first that is wrong,
 * tells what and where, and ends with exit code 3. The end of a log that a power cut has torn is
 * told, too, and is no damage. The file need not be in its place: only its content is looked at.
 * */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "../buffer.h"
#include "../crc32c.h"
#include "../cursor.h"
#include "../format.h"

struct dump {
    struct tool *tool;
    const char *name;
    const uint8_t *data;
    uint64_t size;
    bool json;
};

static int damaged(const struct dump *d, uint64_t offset, const char *what)
{
    return tool_complain(d->tool, TOOL_DAMAGED, "damaged: %s at offset %" PRIu64 ": %s", d->name,
                         offset, what);
}

static void begin_field(const struct dump *d, uint64_t offset, const char *name)
{
    if (d->json)
        printf("{\"type\":\"field\",\"offset\":%" PRIu64 ",\"name\":\"%s\"", offset, name);
    else
        printf("%08" PRIx64 "  %-16s ", offset, name);
}

static void number(const struct dump *d, uint64_t offset, const char *name, uint64_t value)
{
    begin_field(d, offset, name);
    printf(d->json ? ",\"value\":%" PRIu64 "}\n" : "%" PRIu64 "\n", value);
}

static void bytes_field(const struct dump *d, uint64_t offset, const char *name, struct bytes b)
{
    begin_field(d, offset, name);
    if (d->json) {
        print_json_bytes(stdout, "value", b.data, b.len);
        puts("}");
    } else {
        print_escaped(stdout, b.data, b.len, false);
        putchar('\n');
    }
}

/* The checksum at `at` of the bytes [from, from + len). */
static bool checksum(const struct dump *d, uint64_t at, uint64_t from, uint64_t len)
{
    uint32_t stored = load_u32(d->data + at);
    uint32_t computed = crc32c_table(0, d->data + from, len);

    begin_field(d, at, "checksum");
    printf(d->json ? ",\"value\":%" PRIu32 ",\"good\":%s}\n" : "0x%08" PRIx32 " %s\n", stored,
           stored == computed ? (d->json ? "true" : "good") : (d->json ? "false" : "WRONG"));
    return stored == computed;
}

/* checksum, magic, version, zero: the first 16 bytes of every header, [at, at + len). */
static int header(const struct dump *d, uint64_t at, uint64_t len, uint32_t magic)
{
    bool good = checksum(d, at, at + 4, len - 4);

    bytes_field(d, at + 4, "magic", bytes_of(d->data + at + 4, 4));
    number(d, at + 8, "version", load_u32(d->data + at + 8));
    if (load_u32(d->data + at + 4) != magic)
        return damaged(d, at + 4, "not the magic of such a file");
    if (!good)
        return damaged(d, at, "wrong checksum");
    if (load_u32(d->data + at + 8) != FORMAT_VERSION)
        return tool_complain(d->tool, TOOL_DAMAGED, "%s at offset %" PRIu64 ": unknown version %u",
                             d->name, at + 8, load_u32(d->data + at + 8));
    return TOOL_OK;
}

static int dump_current(const struct dump *d)
{
    int code;

    if (d->size != FORMAT_CURRENT_SIZE)
        return damaged(d, d->size, "not 32 bytes");
    code = header(d, 0, FORMAT_CURRENT_SIZE, FORMAT_CURRENT_MAGIC);
    if (code)
        return code;
    number(d, 16, "manifest", load_u64(d->data + 16));
    number(d, 24, "synced", load_u64(d->data + 24));
    return TOOL_OK;
}

/* ---- logs and manifests ---- */

/* Where the next byte to be taken stands: what is taken lies within the file. */
static uint64_t offset_of(const struct dump *d, const uint8_t *p)
{
    return (uint64_t)(p - d->data);
}

static int dump_operations(const struct dump *d, uint64_t at, struct bytes payload)
{
    static const char *const names[] = {"delete", "put", "delete-range", "put-until"};
    struct taker t = taker_of(payload);

    while (taker_left(&t) > 0) {
        uint64_t here = at + (uint64_t)(t.p - payload.data);
        struct bytes kind = take_bytes(&t, 1);
        struct bytes key = take_bytes(&t, take_varint(&t));
        struct bytes value = {NULL, 0};

        if (!t.bad && kind.data[0] > FORMAT_OP_PUT_UNTIL)
            return damaged(d, here, "an unknown kind of operation");
        if (!t.bad && kind.data[0] != FORMAT_OP_DELETE)
            value = take_bytes(&t, take_varint(&t));
        if (t.bad || (kind.data[0] == FORMAT_OP_PUT_UNTIL && value.len < FORMAT_EXPIRY))
            return damaged(d, here, "an operation runs over the end of its record");
        bytes_field(d, here, names[kind.data[0]], key);
        if (kind.data[0] == FORMAT_OP_PUT_UNTIL) {
            number(d, offset_of(d, value.data), "  expires", load_u64(value.data));
            value = bytes_of(value.data + FORMAT_EXPIRY, value.len - FORMAT_EXPIRY);
        }
        if (kind.data[0] != FORMAT_OP_DELETE)
            bytes_field(d, offset_of(d, value.data), "  value", value);
    }
    return TOOL_OK;
}

static void taken_number(const struct dump *d, const char *name, struct taker *t)
{
    uint64_t at = offset_of(d, t->p);

    number(d, at, name, take_varint(t));
}

static void taken_key(const struct dump *d, const char *name, struct taker *t)
{
    uint64_t at = offset_of(d, t->p);

    bytes_field(d, at, name, take_bytes(t, take_varint(t)));
}

static void dump_table_entry(const struct dump *d, struct taker *t)
{
    static const char *const names[] = {"  level", "  number", "  size"};

    for (int i = 0; i < 3; i++)
        taken_number(d, names[i], t);
    for (int i = 0; i < 2; i++) {
        taken_key(d, i ? "  largest" : "  smallest", t);
        taken_number(d, "  tag", t);
    }
}

static int dump_edit(const struct dump *d, uint64_t at, struct bytes payload)
{
    static const char *const names[] = {"",    "next_file", "last_seq", "log",
                                        "add", "remove",    "cursor",   "add-with-ranges"};
    struct taker t = taker_of(payload);

    while (taker_left(&t) > 0 && !t.bad) {
        uint64_t here = at + (uint64_t)(t.p - payload.data);
        uint64_t tag = take_varint(&t);

        if (t.bad || tag == 0 || tag >= sizeof names / sizeof names[0])
            return damaged(d, here, "an unknown field of an edit");
        if (tag <= FORMAT_EDIT_LOG) {
            taken_number(d, names[tag], &t);
        } else {
            bytes_field(d, here, names[tag], bytes_of(NULL, 0));
            if (tag == FORMAT_EDIT_REMOVE || tag == FORMAT_EDIT_CURSOR)
                taken_number(d, "  level", &t);
            if (tag == FORMAT_EDIT_REMOVE)
                taken_number(d, "  number", &t);
            else if (tag == FORMAT_EDIT_CURSOR)
                taken_key(d, "  key", &t);
            else
                dump_table_entry(d, &t);
        }
        if (t.bad)
            return damaged(d, here, "an edit runs over the end of its record");
    }
    return TOOL_OK;
}

/* Does a valid record begin here? `len` is what it takes with its padding. */
static bool record_at(const struct dump *d, uint64_t at, uint64_t *len)
{
    const uint8_t *p = d->data + at;
    uint64_t payload;

    if (d->size - at < FORMAT_RECORD_HEADER || load_u16(p + 4) != FORMAT_RECORD_MAGIC)
        return false;
    payload = load_u32(p + 8);
    if (payload > FORMAT_RECORD_MAX || payload > d->size - at - FORMAT_RECORD_HEADER)
        return false;
    *len = (FORMAT_RECORD_HEADER + payload + FORMAT_ALIGN - 1) / FORMAT_ALIGN * FORMAT_ALIGN;
    return (uint64_t)load_u32(p + 32) * FORMAT_ALIGN == at &&
           crc32c_table(0, p + 4, FORMAT_RECORD_HEADER - 4 + payload) == load_u32(p);
}

/* What stands at the first bad position: a later record that knows the place to be synced makes it
 * damage, else it is what a power cut leaves. */
static int dump_tear(const struct dump *d, uint64_t at)
{
    uint64_t len;

    for (uint64_t later = at; later + FORMAT_RECORD_HEADER <= d->size; later += FORMAT_ALIGN)
        if (record_at(d, later, &len) &&
            (uint64_t)load_u32(d->data + later + 36) * FORMAT_ALIGN > at) {
            char what[96];

            snprintf(what, sizeof what,
                     "no valid record, and the one at %" PRIu64 " says that this was synced",
                     later);
            return damaged(d, at, what);
        }
    begin_field(d, at, "torn");
    printf(d->json ? ",\"value\":%" PRIu64 "}\n" : "%" PRIu64 " bytes without a valid record\n",
           d->size - at);
    return TOOL_OK;
}

static int dump_record(const struct dump *d, uint64_t at, bool is_log)
{
    const uint8_t *p = d->data + at;
    struct bytes payload = bytes_of(p + FORMAT_RECORD_HEADER, load_u32(p + 8));

    begin_field(d, at,
                p[6] == FORMAT_RECORD_DATA    ? "record"
                : p[6] == FORMAT_RECORD_CLAIM ? "claim"
                                              : "?");
    printf(d->json ? ",\"value\":%zu}\n" : "%zu bytes\n", payload.len);
    checksum(d, at, at + 4, FORMAT_RECORD_HEADER - 4 + payload.len);
    number(d, at + 6, "kind", p[6]);
    number(d, at + 8, "length", payload.len);
    number(d, at + 12, "count", load_u32(p + 12));
    number(d, at + 16, "number", load_u64(p + 16));
    number(d, at + 24, "seq", load_u64(p + 24));
    number(d, at + 32, "place", (uint64_t)load_u32(p + 32) * FORMAT_ALIGN);
    number(d, at + 36, "claim", (uint64_t)load_u32(p + 36) * FORMAT_ALIGN);
    if (p[6] == FORMAT_RECORD_CLAIM)
        return TOOL_OK;
    if (p[6] != FORMAT_RECORD_DATA)
        return damaged(d, at + 6, "an unknown kind of record");
    return is_log ? dump_operations(d, at + FORMAT_RECORD_HEADER, payload)
                  : dump_edit(d, at + FORMAT_RECORD_HEADER, payload);
}

static int dump_records(const struct dump *d, bool is_log)
{
    static const char *const names[] = {"number",   "prev_number",     "prev_synced",
                                        "prev_seq", "manifest_number", "manifest_synced"};
    uint64_t at = FORMAT_FILE_HEADER, len = 0;
    int code;

    if (d->size < FORMAT_FILE_HEADER)
        return damaged(d, d->size, "the file ends within its header");
    code = header(d, 0, FORMAT_FILE_HEADER, is_log ? FORMAT_LOG_MAGIC : FORMAT_MANIFEST_MAGIC);
    for (unsigned i = 0; i < 6 && !code; i++)
        number(d, 16 + 8 * i, names[i], load_u64(d->data + 16 + 8 * i));
    while (!code && at < d->size && !tool_interrupted() && !ferror(stdout)) {
        if (!record_at(d, at, &len))
            return dump_tear(d, at);
        code = dump_record(d, at, is_log);
        at += len;
    }
    if (!code && tool_interrupted())
        return TOOL_INTERRUPTED;
    if (!code)
        number(d, at, "end", at);
    return code;
}

/* ---- tables ---- */

/* Checksum and type of the block [at, at + len) and its trailer. */
static int dump_trailer(const struct dump *d, uint64_t at, uint64_t len)
{
    number(d, at + len, "type", d->data[at + len]);
    if (!checksum(d, at + len + 1, at, len + 1))
        return damaged(d, at, "wrong checksum of a block");
    return TOOL_OK;
}

/* Is [at, at + len + trailer) below `end`? */
static bool fits(uint64_t at, uint64_t len, uint64_t end)
{
    return at <= end && len <= end - at && FORMAT_BLOCK_TRAILER <= end - at - len;
}

static int dump_data_entry(const struct dump *d, uint64_t here, struct bytes key, uint64_t tag,
                           struct bytes value)
{
    static const char *const names[] = {"delete", "put", "delete-range", "put-until"};

    bytes_field(d, here, names[tag_kind(tag)], key);
    number(d, here, "  seq", tag_seq(tag));
    if (tag_kind(tag) == FORMAT_OP_PUT_UNTIL) {
        if (value.len < FORMAT_EXPIRY)
            return damaged(d, here, "a value too short for its time");
        number(d, offset_of(d, value.data), "  expires", load_u64(value.data));
        value = bytes_of(value.data + FORMAT_EXPIRY, value.len - FORMAT_EXPIRY);
    }
    if (tag_kind(tag) != FORMAT_OP_DELETE)
        bytes_field(d, offset_of(d, value.data), "  value", value);
    return TOOL_OK;
}

/* The entries of a block, handed to `each`. */
static int walk_block(const struct dump *d, uint64_t at, struct bytes contents,
                      int (*each)(const struct dump *d, uint64_t here, struct bytes key,
                                  uint64_t tag, struct bytes value))
{
    struct text key = {0};
    uint64_t restarts = contents.len >= 4 ? load_u32(contents.data + contents.len - 4) : UINT64_MAX;
    struct taker t;
    int code = TOOL_OK;

    if (restarts > contents.len / 4 || 4 + 4 * restarts > contents.len)
        return damaged(d, at + contents.len, "more restart points than the block can hold");
    t = taker_of(bytes_of(contents.data, contents.len - 4 - 4 * restarts));
    while (taker_left(&t) > 0 && !code && !ferror(stdout)) {
        uint64_t here = at + (uint64_t)(t.p - contents.data);
        uint64_t shared = take_varint(&t), own = take_varint(&t), len = take_varint(&t);
        uint64_t tag = take_varint(&t);
        struct bytes rest = take_bytes(&t, own), value = take_bytes(&t, len);

        if (t.bad || shared > key.len) {
            code = damaged(d, here, "an entry of a block is broken");
            break;
        }
        key.len = shared;
        text_add(&key, rest.data, rest.len);
        code = each(d, here, bytes_of(key.data, key.len), tag, value);
    }
    text_free(&key);
    return code;
}

static int dump_data_block(const struct dump *d, uint64_t here, struct bytes key, uint64_t tag,
                           struct bytes value)
{
    struct taker t = taker_of(value);
    uint64_t at = take_varint(&t), len = take_varint(&t);
    int code;

    (void)key;
    (void)tag;
    if (tool_interrupted())
        return TOOL_INTERRUPTED;
    if (t.bad || !fits(at, len, d->size))
        return damaged(d, here, "the index points beyond the file");
    number(d, at, "block", len);
    code = dump_trailer(d, at, len);
    if (code)
        return code;
    if (d->data[at + len] != FORMAT_BLOCK_RAW) {
        begin_field(d, at, "content");
        printf(d->json ? ",\"value\":null,\"packed\":true}\n" : "packed, not shown\n");
        return TOOL_OK;
    }
    return walk_block(d, at, bytes_of(d->data + at, len), dump_data_entry);
}

static int dump_index_entry(const struct dump *d, uint64_t here, struct bytes key, uint64_t tag,
                            struct bytes value)
{
    struct taker t = taker_of(value);
    uint64_t at = take_varint(&t);

    bytes_field(d, here, "up to", key);
    number(d, here, "  seq", tag_seq(tag));
    number(d, here, "  block at", at);
    number(d, here, "  length", take_varint(&t));
    return t.bad ? damaged(d, here, "an entry of the index is broken") : TOOL_OK;
}

/* The range block ends where the filter begins. */
static int dump_ranges(const struct dump *d, uint64_t filter, uint64_t len)
{
    uint64_t at = filter - len - FORMAT_BLOCK_TRAILER;
    int code;

    number(d, at, "ranges", len);
    code = dump_trailer(d, at, len);
    return code ? code : walk_block(d, at, bytes_of(d->data + at, len), dump_data_entry);
}

static int dump_table(const struct dump *d)
{
    uint64_t foot = d->size - FORMAT_FOOTER, index, index_len, filter, filter_len, ranges_len;
    int code;

    if (d->size < FORMAT_FOOTER)
        return damaged(d, d->size, "the file is shorter than a footer");
    code = header(d, foot, FORMAT_FOOTER, FORMAT_TABLE_MAGIC);
    if (code)
        return code;
    ranges_len = load_u32(d->data + foot + 12);
    filter = load_u64(d->data + foot + 24);
    filter_len = load_u32(d->data + foot + 32);
    index_len = load_u32(d->data + foot + 36);
    index = load_u64(d->data + foot + 40);
    number(d, foot + 12, "ranges_len", ranges_len);
    number(d, foot + 16, "number", load_u64(d->data + foot + 16));
    number(d, foot + 24, "filter", filter);
    number(d, foot + 32, "filter_len", filter_len);
    number(d, foot + 36, "index_len", index_len);
    number(d, foot + 40, "index", index);
    number(d, foot + 48, "entries", load_u64(d->data + foot + 48));
    number(d, foot + 56, "size", load_u64(d->data + foot + 56));
    if (load_u64(d->data + foot + 56) != d->size)
        return damaged(d, foot + 56, "not the size of this file");
    if (!fits(index, index_len, foot) || (filter_len && !fits(filter, filter_len, foot)))
        return damaged(d, foot + 24, "filter or index lie outside of the file");
    if (ranges_len && (filter > foot || ranges_len + FORMAT_BLOCK_TRAILER > filter))
        return damaged(d, foot + 12, "the range deletes lie outside of the file");
    if (ranges_len)
        code = dump_ranges(d, filter, ranges_len);
    if (!code && filter_len) {
        number(d, filter, "filter", filter_len);
        code = dump_trailer(d, filter, filter_len);
    }
    if (!code) {
        number(d, index, "index", index_len);
        code = dump_trailer(d, index, index_len);
    }
    if (!code)
        code = walk_block(d, index, bytes_of(d->data + index, index_len), dump_index_entry);
    if (!code)
        code = walk_block(d, index, bytes_of(d->data + index, index_len), dump_data_block);
    return code;
}

/* ---- the command ---- */

static int read_file(struct tool *tool, const char *name, struct text *to)
{
    char chunk[65536];
    size_t got;
    FILE *in = fopen(name, "r");
    int code = TOOL_OK;

    text_add(to, "", 0);
    if (!in)
        return tool_complain(tool, TOOL_FAILED, "%s: %s", name, strerror(errno));
    while ((got = fread(chunk, 1, sizeof chunk, in)) > 0)
        text_add(to, chunk, got);
    if (ferror(in))
        code = tool_complain(tool, TOOL_FAILED, "%s: %s", name, strerror(errno));
    fclose(in);
    return code;
}

int verb_dump(struct tool *tool, struct call *call)
{
    const char *what = call->operands[0].data, *name = call->operands[1].data;
    struct text content = {0};
    struct dump d = {.tool = tool, .name = name, .json = call->json};
    int code = read_file(tool, name, &content);

    d.data = (const uint8_t *)content.data;
    d.size = content.len;
    if (code)
        ;
    else if (strcmp(what, "wal") == 0)
        code = dump_records(&d, true);
    else if (strcmp(what, "manifest") == 0)
        code = dump_records(&d, false);
    else if (strcmp(what, "sst") == 0)
        code = dump_table(&d);
    else if (strcmp(what, "current") == 0)
        code = dump_current(&d);
    else
        code =
            tool_complain(tool, TOOL_USAGE, "dump wal, sst, manifest or current, not '%s'", what);
    text_free(&content);
    return code;
}
