/* record.c: append-only files of checksummed records, and the reader that can tell a torn tail from
 * damage as far as that is possible (D4).
 *
 * R1  A record, or a group of them, is written by one call, at the end, each padded to 8 bytes. Its
 *     checksum covers all of it but the checksum itself and the padding: also file number and
 *     place, so that a record left over from another file, or copied inside a value, is not taken
 *     for one of this file.
 * R2  After a failed write or sync the writer answers that failure for good (D5). Nothing is
 *     appended behind bytes that may be missing.
 * R3  `synced` moves only after a sync that returned success, and only to what was written before
 *     that sync began.
 * R4  A claim never exceeds what was synced when the record holding it was written. So whatever
 *     subset of unsynced sectors survives, on an honest disk no valid claim points beyond a bad
 *     record. That holds even if the record with the claim is not synced itself.
 * R5  The reader takes nothing from a record before its checksum has passed, but its magic and
 *     length. It reads ahead by no more than a chunk.
 * R6  Bytes are checked where pread put them; they are never moved, so that an explorer can tell
 *     from an address which sector a byte came from. When the buffer is used up it starts again at
 *     the chunk that holds pos, and reads that chunk again.
 *
 * The reader's algorithm. Records follow each other from offset 64. The first position that does
 * not hold a valid record ends the good part: the end of the file is a clean end, anything else is
 * torn. A tear is what a power cut leaves of writes that were never synced. It is damage instead if
 * some later record is valid and claims that more had been synced; record_claimed looks for one at
 * every aligned position, since the length of a bad record cannot be trusted. */
#include "record.h"

static uint32_t magic_of(enum format_file kind)
{
    must(kind == FORMAT_LOG || kind == FORMAT_MANIFEST);
    return kind == FORMAT_LOG ? FORMAT_LOG_MAGIC : FORMAT_MANIFEST_MAGIC;
}

enum vault_status record_create(struct env *env, struct record_writer *w, enum format_file kind,
                                uint64_t number, const struct record_origin *origin)
{
    uint8_t head[FORMAT_FILE_HEADER] = {0};
    char name[OS_NAME_MAX];
    enum vault_status st = VAULT_OK;
    enum vault_status closing = VAULT_OK;

    *w = (struct record_writer){.file = OS_FILE_CLOSED, .number = number};
    store_u32(head + 4, magic_of(kind));
    store_u32(head + 8, FORMAT_VERSION);
    store_u64(head + 16, number);
    store_u64(head + 24, origin->prev_number);
    store_u64(head + 32, origin->prev_synced);
    store_u64(head + 40, origin->prev_seq);
    store_u64(head + 48, origin->manifest_number);
    store_u64(head + 56, origin->manifest_synced);
    store_u32(head, env->crc(0, head + 4, sizeof head - 4));
    format_name(kind, number, name);
    st = os_create(env, name, &w->file);
    if (st)
        return st;
    st = os_append(env, &w->file, bytes_of(head, sizeof head));
    if (st)
        closing = record_close(env, w);
    return st ? st : closing;
}

enum vault_status record_more(struct env *env, struct record_writer *w, size_t payload)
{
    size_t need = FORMAT_RECORD_HEADER + payload + FORMAT_ALIGN;
    enum vault_status st = w->failed;

    must(payload <= FORMAT_RECORD_MAX);
    must(w->frame.len % FORMAT_ALIGN == 0);
    if (!st)
        st = buffer_reserve(env, &w->frame, need);
    if (st)
        return st;
    w->start = w->frame.len;
    memset(w->frame.data + w->start, 0, FORMAT_RECORD_HEADER);
    w->frame.len += FORMAT_RECORD_HEADER;
    return VAULT_OK;
}

enum vault_status record_begin(struct env *env, struct record_writer *w, size_t payload)
{
    w->frame.len = 0;
    return record_more(env, w, payload);
}

enum vault_status record_seal(struct env *env, struct record_writer *w, unsigned kind, uint64_t seq,
                              uint32_t count)
{
    uint8_t *p = w->frame.data + w->start;
    size_t len = w->frame.len - w->start;
    uint64_t place = (w->file.size + w->start) / FORMAT_ALIGN;

    must(len >= FORMAT_RECORD_HEADER);
    must(w->file.size % FORMAT_ALIGN == 0);
    if (w->failed)
        return w->failed;
    if (place > UINT32_MAX)
        return env_fail(env, VAULT_INVALID, w->file.name, w->file.size, 0, "log is full");
    store_u16(p + 4, FORMAT_RECORD_MAGIC);
    p[6] = (uint8_t)kind;
    store_u32(p + 8, (uint32_t)(len - FORMAT_RECORD_HEADER));
    store_u32(p + 12, count);
    store_u64(p + 16, w->number);
    store_u64(p + 24, seq);
    store_u32(p + 32, (uint32_t)place);
    store_u32(p + 36, (uint32_t)(w->synced / FORMAT_ALIGN)); /* R4 */
    store_u32(p, env->crc(0, p + 4, len - 4));
    while (w->frame.len % FORMAT_ALIGN)
        w->frame.data[w->frame.len++] = 0; /* record_more left room */
    return VAULT_OK;
}

enum vault_status record_write(struct env *env, struct record_writer *w)
{
    if (!w->failed)
        w->failed = os_append(env, &w->file, buffer_bytes(&w->frame)); /* R1, R2 */
    return w->failed;
}

enum vault_status record_commit(struct env *env, struct record_writer *w, unsigned kind,
                                uint64_t seq, uint32_t count)
{
    enum vault_status st = record_seal(env, w, kind, seq, count);

    return st ? st : record_write(env, w);
}

enum vault_status record_sync(struct env *env, struct record_writer *w)
{
    uint64_t written = w->file.size;

    if (w->failed)
        return w->failed;
    w->failed = os_sync(env, &w->file); /* R2 */
    if (w->failed)
        return w->failed;
    w->synced = written; /* R3 */
    return VAULT_OK;
}

enum vault_status record_claim(struct env *env, struct record_writer *w, uint64_t seq)
{
    enum vault_status st = record_begin(env, w, 0);

    if (st)
        return st;
    return record_commit(env, w, FORMAT_RECORD_CLAIM, seq, 0);
}

enum vault_status record_close(struct env *env, struct record_writer *w)
{
    buffer_release(env, &w->frame);
    return os_close(env, &w->file);
}

enum vault_status record_open(struct env *env, struct record_reader *r, enum format_file kind,
                              uint64_t number, size_t chunk)
{
    char name[OS_NAME_MAX];

    must(chunk > 0);
    *r = (struct record_reader){
        .file = OS_FILE_CLOSED, .kind = kind, .number = number, .chunk = chunk};
    format_name(kind, number, name);
    return os_open(env, name, &r->file);
}

void record_release(struct env *env, struct record_reader *r)
{
    enum vault_status ignored = os_close(env, &r->file); /* Nothing was written. */

    (void)ignored;
    alloc_put(env, r->data, r->cap);
    r->data = NULL;
    r->cap = 0;
}

/* Starts the buffer again at the chunk holding pos, with room for `n` bytes from there (R6). */
static enum vault_status restart(struct env *env, struct record_reader *r, uint64_t pos, size_t n)
{
    uint64_t base = pos - pos % r->chunk;
    size_t need = (size_t)(pos - base) + n + 2 * r->chunk;
    size_t cap = need < 8 * r->chunk ? 8 * r->chunk : need;
    uint64_t size = 0;
    enum vault_status st = VAULT_OK;

    if (need > r->cap && r->cap) {
        /* A length from the disk asks for more memory: only as much as the file can hold. */
        st = os_size(env, &r->file, &size);
        if (st)
            return st;
        if (size < pos || size - pos < n)
            cap = r->cap;
    }
    if (cap > r->cap) {
        uint8_t *data = alloc_get(env, cap);

        if (!data)
            return env_fail(env, VAULT_NO_MEMORY, r->file.name, pos, 0, "read buffer");
        alloc_put(env, r->data, r->cap);
        r->data = data;
        r->cap = cap;
    }
    r->base = base;
    r->filled = 0;
    r->at_end = false;
    return VAULT_OK;
}

/* Makes [pos, pos + n) readable at *p; *avail is less than n where the file ends sooner. */
static enum vault_status fill(struct env *env, struct record_reader *r, uint64_t pos, size_t n,
                              uint8_t **p, size_t *avail)
{
    enum vault_status st = VAULT_OK;
    uint64_t end = 0;

    if (!r->data || pos < r->base || pos > r->base + r->filled ||
        pos - r->base + n > r->cap - r->cap % r->chunk) {
        st = restart(env, r, pos, n);
        if (st)
            return st;
    }
    while (!r->at_end && r->base + r->filled < pos + n && r->filled + r->chunk <= r->cap) {
        size_t got = 0;

        st = os_read(env, &r->file, r->base + r->filled, r->data + r->filled, r->chunk, &got);
        if (st)
            return st;
        r->filled += got;
        r->at_end = got < r->chunk;
    }
    end = r->base + r->filled;
    *avail = end <= pos ? 0 : end - pos < n ? (size_t)(end - pos) : n;
    *p = r->data + (pos - r->base);
    return VAULT_OK;
}

enum vault_status record_head(struct env *env, struct record_reader *r, bool *good)
{
    uint8_t *p = NULL;
    size_t avail = 0;
    enum vault_status st = fill(env, r, 0, FORMAT_FILE_HEADER, &p, &avail);

    if (st)
        return st;
    *good = false;
    if (avail < FORMAT_FILE_HEADER) {
        r->torn = avail > 0;
        return VAULT_OK;
    }
    env_use(env, p, FORMAT_FILE_HEADER);
    if (!verify(env, bytes_of(p + 4, FORMAT_FILE_HEADER - 4), load_u32(p)) ||
        load_u32(p + 4) != magic_of(r->kind) || load_u64(p + 16) != r->number) {
        r->torn = true;
        return VAULT_OK;
    }
    if (load_u32(p + 8) != FORMAT_VERSION)
        return env_fail(env, VAULT_UNSUPPORTED, r->file.name, 8, 0, "unknown format version");
    r->origin = (struct record_origin){load_u64(p + 24), load_u64(p + 32), load_u64(p + 40),
                                       load_u64(p + 48), load_u64(p + 56)};
    r->pos = FORMAT_FILE_HEADER;
    *good = true;
    return VAULT_OK;
}

/* Is there a valid record at `pos`? On true, *p is its header and *len its payload's length. */
static enum vault_status probe(struct env *env, struct record_reader *r, uint64_t pos, uint8_t **p,
                               size_t *len, bool *good)
{
    size_t avail = 0;
    uint64_t payload = 0;
    enum vault_status st = fill(env, r, pos, FORMAT_RECORD_HEADER, p, &avail);

    *good = false;
    if (st || avail == 0)
        return st;
    r->torn = true;
    if (avail < FORMAT_RECORD_HEADER)
        return VAULT_OK;
    env_use(env, *p + 4, 8); /* R5: magic, kind and length, before the checksum */
    payload = load_u32(*p + 8);
    if (load_u16(*p + 4) != FORMAT_RECORD_MAGIC || payload > FORMAT_RECORD_MAX)
        return VAULT_OK;
    st = fill(env, r, pos, FORMAT_RECORD_HEADER + (size_t)payload, p, &avail);
    if (st || avail < FORMAT_RECORD_HEADER + payload)
        return st;
    env_use(env, *p, 4);
    if (!verify(env, bytes_of(*p + 4, FORMAT_RECORD_HEADER - 4 + (size_t)payload), load_u32(*p)))
        return VAULT_OK;
    env_use(env, *p, FORMAT_RECORD_HEADER + (size_t)payload);
    if (load_u64(*p + 16) != r->number || load_u32(*p + 32) != pos / FORMAT_ALIGN)
        return VAULT_OK; /* R1 */
    r->torn = false;
    *len = (size_t)payload;
    *good = true;
    return VAULT_OK;
}

enum vault_status record_next(struct env *env, struct record_reader *r, struct record *record,
                              bool *got)
{
    uint8_t *p = NULL;
    size_t len = 0;
    enum vault_status st = VAULT_OK;

    must(r->pos >= FORMAT_FILE_HEADER);
    r->torn = false;
    st = probe(env, r, r->pos, &p, &len, got);
    if (st || !*got)
        return st;
    *record = (struct record){.kind = p[6],
                              .seq = load_u64(p + 24),
                              .count = load_u32(p + 12),
                              .offset = r->pos,
                              .payload = bytes_of(p + FORMAT_RECORD_HEADER, len)};
    r->pos += FORMAT_RECORD_HEADER + len;
    r->pos += (FORMAT_ALIGN - r->pos % FORMAT_ALIGN) % FORMAT_ALIGN;
    return VAULT_OK;
}

bool record_may_claim(const struct env *env, const char *name, uint64_t offset)
{
    if (env->hooks && env->hooks->claim_possible)
        return env->hooks->claim_possible(env->hooks->ctx, name, offset) != 0;
    return true;
}

enum vault_status record_claimed(struct env *env, struct record_reader *r, bool *claimed)
{
    bool torn = r->torn;
    enum vault_status st = VAULT_OK;
    uint64_t pos = r->pos;

    *claimed = false;
    if (!torn || !record_may_claim(env, r->file.name, pos))
        return VAULT_OK;
    while (!st && !*claimed) {
        uint8_t *p = NULL;
        size_t avail = 0;
        size_t len = 0;
        bool good = false;

        pos += FORMAT_ALIGN;
        st = fill(env, r, pos, FORMAT_RECORD_HEADER, &p, &avail);
        if (st || avail < FORMAT_RECORD_HEADER)
            break;
        env_use(env, p + 4, 2);
        if (load_u16(p + 4) != FORMAT_RECORD_MAGIC)
            continue;
        st = probe(env, r, pos, &p, &len, &good);
        *claimed = !st && good && (uint64_t)load_u32(p + 36) * FORMAT_ALIGN > r->pos;
    }
    r->torn = torn;
    return st;
}

enum vault_status record_resync(struct env *env, struct record_reader *r, bool *found)
{
    uint64_t pos = r->pos < FORMAT_FILE_HEADER ? FORMAT_FILE_HEADER - FORMAT_ALIGN : r->pos;
    enum vault_status st = VAULT_OK;

    *found = false;
    while (!st && !*found) {
        uint8_t *p = NULL;
        size_t avail = 0;
        size_t len = 0;

        pos += FORMAT_ALIGN;
        st = fill(env, r, pos, FORMAT_RECORD_HEADER, &p, &avail);
        if (st || avail < FORMAT_RECORD_HEADER)
            break;
        if (load_u16(p + 4) == FORMAT_RECORD_MAGIC)
            st = probe(env, r, pos, &p, &len, found);
    }
    if (*found)
        r->pos = pos;
    return st;
}
