/* sst.c: sorted tables.
 *
 *   data block*  range deletes?  filter?  index  footer
 *
 * A block is its contents, a type byte and a checksum of both. The index is a block whose keys are
 * the last entry of each data block, whole (K16: nothing is shortened), and whose values say where
 * it lies. The footer is the last 64 bytes and names its own table and size, so that a table under
 * another's name is noticed.
 *
 * S1  A finished table is synced before sst_finish returns (K14).
 * S2  Every block is verified each time it is read from the file, by whoever reads it (K15). Blocks
 *     in the cache were verified when they went in.
 * S3  Offsets and lengths from the disk are checked against the size in the manifest before memory
 *     is asked for or bytes are read.
 * S5  Smallest and largest cover the range deletes, too. A range ends before its end: where that is
 *     the largest key, its tag is TAG_FIRST, which sorts before every entry of the key.
 * S4  Reading takes no more than needed: footer, then filter and index in one piece, blocks
 *     last. */
#include "sst.h"

#define WRITE_CHUNK ((size_t)256 << 10)

enum vault_status sst_begin(struct env *env, struct sst_builder *b, uint64_t number,
                            const struct sst_options *options)
{
    char name[OS_NAME_MAX];

    *b = (struct sst_builder){
        .env = env, .options = *options, .file = OS_FILE_CLOSED, .number = number};
    b->data.interval = options->restart_interval;
    b->index.interval = 1;
    b->ranges.interval = 1; /* keys whole: the reader keeps views of them */
    format_name(FORMAT_TABLE, number, name);
    return os_create(env, name, &b->file);
}

static uint64_t offset_now(const struct sst_builder *b)
{
    return b->file.size + b->pending.len;
}

static enum vault_status write_pending(struct sst_builder *b)
{
    enum vault_status st = os_append(b->env, &b->file, buffer_bytes(&b->pending));

    b->pending.len = 0;
    return st;
}

static enum vault_status put_block(struct sst_builder *b, unsigned type, struct bytes contents)
{
    uint8_t trailer[FORMAT_BLOCK_TRAILER] = {(uint8_t)type};
    uint32_t sum = b->env->crc(0, contents.data, contents.len);
    enum vault_status st = buffer_reserve(b->env, &b->pending, contents.len + FORMAT_BLOCK_TRAILER);

    if (st)
        return st;
    store_u32(trailer + 1, b->env->crc(sum, trailer, 1));
    buffer_put(&b->pending, contents);
    buffer_put(&b->pending, bytes_of(trailer, sizeof trailer));
    return b->pending.len >= WRITE_CHUNK ? write_pending(b) : VAULT_OK;
}

static enum vault_status cut_block(struct sst_builder *b)
{
    uint8_t handle[2 * VARINT_MAX];
    uint64_t offset = offset_now(b);
    struct bytes contents;
    unsigned type = b->options.compression;
    size_t len = 0;
    enum vault_status st = block_finish(b->env, &b->data, &contents);

    if (st)
        return st;
    b->squeezed.len = 0;
    st = compress_block(b->env, &type, contents, &b->squeezed);
    if (st)
        return st;
    if (type != FORMAT_BLOCK_RAW)
        contents = buffer_bytes(&b->squeezed);
    len = store_varint(handle, offset);
    len += store_varint(handle + len, contents.len);
    st = put_block(b, type, contents);
    if (!st)
        st = block_add(b->env, &b->index, buffer_bytes(&b->largest), b->largest_tag,
                       bytes_of(handle, len));
    block_clear(&b->data);
    return st;
}

static enum vault_status set_key(struct env *env, struct buffer *to, struct bytes key)
{
    to->len = 0;
    return buffer_append(env, to, key);
}

enum vault_status sst_add(struct sst_builder *b, struct bytes key, uint64_t tag, struct bytes value)
{
    uint64_t hash = 0;
    bool new_key = b->entries == 0 || !bytes_equal(key, buffer_bytes(&b->largest));
    enum vault_status st = VAULT_OK;

    audit(b->entries == 0 ||
          entry_compare(buffer_bytes(&b->largest), b->largest_tag, key, tag) < 0);
    if (b->options.bloom_bits_per_key && new_key) {
        hash = bloom_hash(key); /* F2 */
        st = buffer_append(b->env, &b->hashes, bytes_of(&hash, sizeof hash));
    }
    if (!st && b->entries == 0) {
        b->smallest_tag = tag;
        st = set_key(b->env, &b->smallest, key);
    }
    if (!st)
        st = block_add(b->env, &b->data, key, tag, value);
    if (!st && new_key)
        st = set_key(b->env, &b->largest, key);
    if (st)
        return st;
    b->largest_tag = tag;
    b->entries++;
    return block_size(&b->data) >= b->options.block_size ? cut_block(b) : VAULT_OK;
}

static void put_footer(struct sst_builder *b, uint8_t *p, uint64_t ranges_len, uint64_t filter,
                       uint64_t filter_len, uint64_t index, uint64_t index_len)
{
    memset(p, 0, FORMAT_FOOTER);
    store_u32(p + 4, FORMAT_TABLE_MAGIC);
    store_u32(p + 8, FORMAT_VERSION);
    store_u32(p + 12, (uint32_t)ranges_len);
    store_u64(p + 16, b->number);
    store_u64(p + 24, filter);
    store_u32(p + 32, (uint32_t)filter_len);
    store_u32(p + 36, (uint32_t)index_len);
    store_u64(p + 40, index);
    store_u64(p + 48, b->entries);
    store_u64(p + 56, offset_now(b) + FORMAT_FOOTER);
    store_u32(p, b->env->crc(0, p + 4, FORMAT_FOOTER - 4));
}

enum vault_status sst_add_range(struct sst_builder *b, struct bytes begin, struct bytes end,
                                uint64_t seq)
{
    bool first = b->ranges.count == 0;
    uint64_t tag = tag_of(seq, FORMAT_OP_DELETE_RANGE);
    enum vault_status st = VAULT_OK;

    must(bytes_compare(begin, end) < 0);
    if (first) {
        b->range_tag = tag;
        st = set_key(b->env, &b->range_begin, begin);
    }
    if (!st)
        st = set_key(b->env, &b->range_end, end);
    return st ? st : block_add(b->env, &b->ranges, begin, tag, end);
}

/* S5. */
static enum vault_status widen(struct sst_builder *b)
{
    struct bytes begin = buffer_bytes(&b->range_begin);
    struct bytes end = buffer_bytes(&b->range_end);
    enum vault_status st = VAULT_OK;

    if (!b->ranges.count)
        return VAULT_OK;
    if (!b->entries ||
        entry_compare(begin, b->range_tag, buffer_bytes(&b->smallest), b->smallest_tag) < 0) {
        b->smallest_tag = b->range_tag;
        st = set_key(b->env, &b->smallest, begin);
    }
    if (!st && (!b->entries || bytes_compare(end, buffer_bytes(&b->largest)) > 0)) {
        b->largest_tag = TAG_FIRST;
        st = set_key(b->env, &b->largest, end);
    }
    return st;
}

/* Writes a block of which there is at most one, and says how long it is. */
static enum vault_status put_single(struct sst_builder *b, struct block_builder *from, size_t *len)
{
    struct bytes contents = {NULL, 0};
    enum vault_status st = block_finish(b->env, from, &contents);

    if (st)
        return st;
    must(contents.len <= UINT32_MAX);
    *len = contents.len;
    return put_block(b, FORMAT_BLOCK_RAW, contents);
}

enum vault_status sst_finish(struct sst_builder *b, uint64_t *size)
{
    uint8_t footer[FORMAT_FOOTER];
    uint64_t filter = 0;
    uint64_t index = 0;
    size_t ranges_len = 0;
    size_t index_len = 0;
    struct buffer bloom = {0};
    enum vault_status st = VAULT_OK;
    enum vault_status closing = VAULT_OK;

    must(b->entries > 0 || b->ranges.count > 0);
    if (b->data.count)
        st = cut_block(b);
    if (!st && b->ranges.count)
        st = put_single(b, &b->ranges, &ranges_len);
    filter = offset_now(b);
    if (!st && b->hashes.len)
        st = bloom_build(b->env, (const uint64_t *)(const void *)b->hashes.data,
                         b->hashes.len / sizeof(uint64_t), b->options.bloom_bits_per_key, &bloom);
    if (!st && bloom.len)
        st = put_block(b, FORMAT_BLOCK_RAW, buffer_bytes(&bloom));
    index = offset_now(b);
    must(bloom.len <= UINT32_MAX);
    if (!st)
        st = put_single(b, &b->index, &index_len);
    if (!st)
        st = widen(b);
    if (st)
        goto done;
    put_footer(b, footer, ranges_len, filter, bloom.len, index, index_len);
    st = buffer_append(b->env, &b->pending, bytes_of(footer, sizeof footer));
    if (!st)
        st = write_pending(b);
    if (!st)
        st = os_sync(b->env, &b->file); /* S1 */
done:
    buffer_release(b->env, &bloom);
    closing = os_close(b->env, &b->file);
    if (!st && !closing)
        *size = b->file.size;
    return st ? st : closing;
}

uint64_t sst_size(const struct sst_builder *b)
{
    return offset_now(b) + block_size(&b->data) + block_size(&b->index) + block_size(&b->ranges) +
           FORMAT_FOOTER;
}

void sst_builder_release(struct sst_builder *b)
{
    if (!b->env)
        return;
    if (b->file.fd >= 0) {
        enum vault_status ignored = os_close(b->env, &b->file); /* The table is given up. */

        (void)ignored;
    }
    block_release(b->env, &b->data);
    block_release(b->env, &b->index);
    block_release(b->env, &b->ranges);
    buffer_release(b->env, &b->range_begin);
    buffer_release(b->env, &b->range_end);
    buffer_release(b->env, &b->pending);
    buffer_release(b->env, &b->hashes);
    buffer_release(b->env, &b->squeezed);
    buffer_release(b->env, &b->smallest);
    buffer_release(b->env, &b->largest);
}

static enum vault_status corrupt(struct sst *t, uint64_t offset, const char *what)
{
    return env_fail(t->env, VAULT_CORRUPT, t->file.name, offset, 0, what);
}

/* Checks the block of `len` bytes and its trailer at p. Its type is known to this library. */
static enum vault_status check_block(struct sst *t, const uint8_t *p, size_t len, uint64_t offset)
{
    env_use(t->env, p + len + 1, 4);
    if (!verify(t->env, bytes_of(p, len + 1), load_u32(p + len + 1)))
        return corrupt(t, offset, "block checksum"); /* S2 */
    env_use(t->env, p, len + 1);
    if (!compress_known(p[len]))
        return env_fail(t->env, VAULT_UNSUPPORTED, t->file.name, offset, 0, "block type");
    return VAULT_OK;
}

/* The same for a block that is never compressed. */
static enum vault_status check_raw(struct sst *t, const uint8_t *p, size_t len, uint64_t offset)
{
    enum vault_status st = check_block(t, p, len, offset);

    if (!st && p[len] != FORMAT_BLOCK_RAW)
        return env_fail(t->env, VAULT_UNSUPPORTED, t->file.name, offset, 0, "block type");
    return st;
}

/* Offsets and lengths as the footer has them; the parts adjoin each other. */
struct parts {
    uint64_t ranges, ranges_len, filter, filter_len, index, index_len;
};

static uint64_t part_size(uint64_t len)
{
    return len ? len + FORMAT_BLOCK_TRAILER : 0;
}

static enum vault_status read_footer(struct sst *t, struct parts *parts)
{
    uint8_t p[FORMAT_FOOTER];
    uint64_t at = t->size - FORMAT_FOOTER;
    size_t got = 0;
    enum vault_status st = os_read(t->env, &t->file, at, p, sizeof p, &got);

    if (st)
        return st;
    if (got < sizeof p)
        return corrupt(t, at + got, "table is shorter than the manifest says");
    env_use(t->env, p, sizeof p);
    if (!verify(t->env, bytes_of(p + 4, sizeof p - 4), load_u32(p)))
        return corrupt(t, at, "footer checksum");
    if (load_u32(p + 4) != FORMAT_TABLE_MAGIC || load_u64(p + 16) != t->number ||
        load_u64(p + 56) != t->size)
        return corrupt(t, at, "footer of another table");
    if (load_u32(p + 8) != FORMAT_VERSION)
        return env_fail(t->env, VAULT_UNSUPPORTED, t->file.name, at + 8, 0,
                        "unknown format version");
    t->entries = load_u64(p + 48);
    parts->ranges_len = load_u32(p + 12);
    parts->filter = load_u64(p + 24);
    parts->filter_len = load_u32(p + 32);
    parts->index_len = load_u32(p + 36);
    parts->index = load_u64(p + 40);
    if (parts->filter > at || parts->index < parts->filter || parts->index > at ||
        parts->index - parts->filter != part_size(parts->filter_len) ||
        at - parts->index != parts->index_len + FORMAT_BLOCK_TRAILER ||
        part_size(parts->ranges_len) > parts->filter)
        return corrupt(t, at, "footer"); /* S3 */
    parts->ranges = parts->filter - part_size(parts->ranges_len);
    return VAULT_OK;
}

/* The pieces of the range deletes, as views. */
static enum vault_status read_ranges(struct sst *t, struct bytes contents, uint64_t offset)
{
    struct block_cursor at;
    bool fits = true;
    enum vault_status st = VAULT_OK;

    block_cursor_init(t->env, &at);
    block_cursor_open(&at, t->file.name, offset, contents);
    for (at.c.ops->first(&at.c); !st && fits && at.c.valid; at.c.ops->next(&at.c)) {
        fits = tag_kind(at.c.tag) == FORMAT_OP_DELETE_RANGE && at.c.key.data != at.key.data;
        if (fits)
            st = ranges_view(t->env, &t->ranges,
                             (struct range){at.c.key, at.c.value, tag_seq(at.c.tag)}, &fits);
    }
    if (!st)
        st = at.c.status;
    block_cursor_release(&at);
    return !st && !fits ? corrupt(t, offset, "range deletes") : st;
}

/* Everything behind the data blocks, in one piece (S4). */
static enum vault_status read_tail(struct sst *t, const struct parts *parts)
{
    const uint8_t *ranges = NULL;
    const uint8_t *filter = NULL;
    const uint8_t *index = NULL;
    size_t got = 0;
    enum vault_status st = VAULT_OK;

    t->data_end = parts->ranges;
    t->tail_len = (size_t)(t->size - FORMAT_FOOTER - parts->ranges);
    t->tail = alloc_get(t->env, t->tail_len);
    if (!t->tail)
        return env_fail(t->env, VAULT_NO_MEMORY, t->file.name, parts->ranges, 0, "table index");
    st = os_read(t->env, &t->file, parts->ranges, t->tail, t->tail_len, &got);
    if (!st && got < t->tail_len)
        st = corrupt(t, parts->ranges + got, "table is shorter than the manifest says");
    if (st)
        return st;
    ranges = t->tail;
    filter = t->tail + (parts->filter - parts->ranges);
    index = t->tail + (parts->index - parts->ranges);
    if (parts->ranges_len)
        st = check_raw(t, ranges, (size_t)parts->ranges_len, parts->ranges);
    if (!st && parts->filter_len)
        st = check_raw(t, filter, (size_t)parts->filter_len, parts->filter);
    if (!st)
        st = check_raw(t, index, (size_t)parts->index_len, parts->index);
    t->filter = bytes_of(filter, (size_t)parts->filter_len);
    t->index = bytes_of(index, (size_t)parts->index_len);
    if (!st && parts->ranges_len)
        st = read_ranges(t, bytes_of(ranges, (size_t)parts->ranges_len), parts->ranges);
    return st;
}

enum vault_status sst_open(struct env *env, struct cache *cache, uint64_t number, uint64_t size,
                           struct sst *t)
{
    char name[OS_NAME_MAX];
    struct parts parts = {0};
    enum vault_status st = VAULT_OK;

    *t = (struct sst){
        .env = env, .cache = cache, .file = OS_FILE_CLOSED, .number = number, .size = size};
    format_name(FORMAT_TABLE, number, name);
    if (size < FORMAT_FOOTER)
        return env_fail(env, VAULT_CORRUPT, name, 0, 0, "table too small");
    st = os_open(env, name, &t->file);
    if (st == VAULT_NOT_FOUND)
        st = env_fail(env, VAULT_CORRUPT, name, 0, 0, "table is missing");
    if (!st)
        st = read_footer(t, &parts);
    if (!st)
        st = read_tail(t, &parts);
    if (st)
        sst_close(t);
    return st;
}

void sst_close(struct sst *t)
{
    enum vault_status ignored = os_close(t->env, &t->file); /* Nothing was written. */

    (void)ignored;
    ranges_release(t->env, &t->ranges);
    alloc_put(t->env, t->tail, t->tail_len);
    t->tail = NULL;
}

/* Puts the contents in the place of a compressed block, which is given back. */
static enum vault_status expand(struct sst *t, struct cache_block **block)
{
    struct cache_block *from = *block;
    struct bytes stored = bytes_of(from->data, from->stored);
    size_t len = compress_raw_len(stored); /* Z1 */
    struct cache_block *to = NULL;

    if (!len)
        return corrupt(t, from->offset, "compressed block");
    to = cache_block_new(t->env, t->cache, t->number, from->offset, len + FORMAT_BLOCK_TRAILER);
    if (!to)
        return env_fail(t->env, VAULT_NO_MEMORY, t->file.name, from->offset, 0, "block");
    to->stored = from->stored;
    *block = to;
    if (!compress_undo(from->data[from->stored], stored, to->data, len)) {
        cache_put(t->env, t->cache, from);
        return corrupt(t, to->offset, "compressed block");
    }
    cache_put(t->env, t->cache, from);
    return VAULT_OK;
}

/* The block an index entry points to, held. */
static enum vault_status read_block(struct sst *t, struct bytes handle, struct cache_block **out)
{
    struct taker taker = taker_of(handle);
    uint64_t offset = take_varint(&taker);
    uint64_t len = take_varint(&taker);
    struct cache_block *block = NULL;
    size_t whole = 0;
    size_t got = 0;
    enum vault_status st = VAULT_OK;

    if (taker.bad || offset > t->data_end || len > t->data_end - offset ||
        t->data_end - offset - len < FORMAT_BLOCK_TRAILER)
        return corrupt(t, offset, "index entry"); /* S3 */
    block = cache_get(t->cache, t->number, offset);
    if (block && block->stored == len) {
        *out = block;
        return VAULT_OK;
    }
    cache_put(t->env, t->cache, block);
    whole = (size_t)len + FORMAT_BLOCK_TRAILER;
    block = cache_block_new(t->env, t->cache, t->number, offset, whole);
    if (!block)
        return env_fail(t->env, VAULT_NO_MEMORY, t->file.name, offset, 0, "block");
    st = os_read(t->env, &t->file, offset, block->data, whole, &got);
    if (!st && got < whole)
        st = corrupt(t, offset + got, "table is shorter than the manifest says");
    if (!st)
        st = check_block(t, block->data, (size_t)len, offset);
    block->stored = (size_t)len;
    atomic_count(&t->cache->bytes_read, whole);
    if (!st && block->data[len] != FORMAT_BLOCK_RAW)
        st = expand(t, &block);
    if (st) {
        cache_put(t->env, t->cache, block);
        return st;
    }
    cache_offer(t->env, t->cache, block);
    *out = block;
    return VAULT_OK;
}

static struct bytes block_contents(const struct cache_block *block)
{
    return bytes_of(block->data, block->len - FORMAT_BLOCK_TRAILER);
}

static enum vault_status find_entry(struct sst *t, struct bytes key, uint64_t seq, bool *found,
                                    uint64_t *tag, struct bytes *value, struct cache_block **out)
{
    struct block_cursor at;
    struct cache_block *block = NULL;
    enum vault_status st = VAULT_OK;

    *found = false;
    if (t->filter.len && !bloom_may_hold(t->filter, bloom_hash(key)))
        return VAULT_OK;
    block_cursor_init(t->env, &at);
    block_cursor_open(&at, t->file.name, t->data_end, t->index);
    at.c.ops->seek(&at.c, key, tag_at(seq));
    st = at.c.status;
    if (st || !at.c.valid)
        goto done;
    atomic_count(&t->cache->get_blocks, 1);
    st = read_block(t, at.c.value, &block);
    if (st)
        goto done;
    block_cursor_open(&at, t->file.name, block->offset, block_contents(block));
    at.c.ops->seek(&at.c, key, tag_at(seq));
    st = at.c.status;
    if (st || !at.c.valid || !bytes_equal(at.c.key, key))
        goto done;
    *found = true;
    *tag = at.c.tag;
    *value = at.c.value; /* into the block, not into the cursor */
    *out = block;
    block = NULL;
done:
    cache_put(t->env, t->cache, block);
    block_cursor_release(&at);
    return st;
}

enum vault_status sst_get(struct sst *t, struct bytes key, uint64_t seq, bool *found, uint64_t *tag,
                          struct bytes *value, struct cache_block **block)
{
    uint64_t cover = ranges_cover(&t->ranges, key, seq);
    enum vault_status st = find_entry(t, key, seq, found, tag, value, block);

    if (st || !cover || (*found && tag_seq(*tag) >= cover))
        return st;
    if (*found)
        cache_put(t->env, t->cache, *block);
    *found = true;
    *tag = tag_of(cover, FORMAT_OP_DELETE);
    *value = bytes_of(NULL, 0);
    *block = NULL;
    return VAULT_OK;
}

enum vault_status sst_walk(struct sst *t, void *ctx,
                           enum vault_status (*each)(void *ctx, const struct sst_block *block))
{
    struct block_cursor at;
    enum vault_status st = VAULT_OK;

    block_cursor_init(t->env, &at);
    block_cursor_open(&at, t->file.name, t->data_end, t->index);
    for (at.c.ops->first(&at.c); !st && at.c.valid; at.c.ops->next(&at.c)) {
        struct taker taker = taker_of(at.c.value);
        struct cache_block *block = NULL;
        struct sst_block b = {.offset = take_varint(&taker), .last_key = at.c.key};

        b.status = read_block(t, at.c.value, &block);
        b.good = !b.status;
        if (b.status == VAULT_NO_MEMORY)
            st = b.status;
        if (b.good)
            b.contents = block_contents(block);
        if (!st)
            st = each(ctx, &b);
        cache_put(t->env, t->cache, block);
    }
    if (!st)
        st = at.c.status;
    block_cursor_release(&at);
    return st;
}

enum vault_status sst_offset(struct sst *t, struct bytes key, uint64_t *offset)
{
    struct block_cursor at;
    struct taker taker;
    enum vault_status st = VAULT_OK;

    block_cursor_init(t->env, &at);
    block_cursor_open(&at, t->file.name, t->data_end, t->index);
    at.c.ops->seek(&at.c, key, TAG_FIRST);
    st = at.c.status;
    *offset = t->size;
    if (!st && at.c.valid) {
        taker = taker_of(at.c.value);
        *offset = take_varint(&taker);
        if (taker.bad || *offset > t->size)
            st = corrupt(t, t->data_end, "index entry");
    }
    block_cursor_release(&at);
    return st;
}

struct sst_cursor {
    struct cursor c;
    struct sst *t;
    struct cache_block *block; /* held: what `data` walks */
    struct block_cursor index, data;
};

static void drop_block(struct sst_cursor *s)
{
    s->data.c.valid = false;
    cache_put(s->t->env, s->t->cache, s->block);
    s->block = NULL;
}

/* Opens the block the index shows. false: there is none, or a failure (kept in c.status). */
static bool load_block(struct sst_cursor *s)
{
    drop_block(s);
    if (s->index.c.status)
        s->c.status = s->index.c.status;
    if (s->c.status || !s->index.c.valid)
        return false;
    s->c.status = read_block(s->t, s->index.c.value, &s->block);
    if (s->c.status)
        return false;
    block_cursor_open(&s->data, s->t->file.name, s->block->offset, block_contents(s->block));
    return true;
}

static void show(struct sst_cursor *s)
{
    if (s->data.c.status && !s->c.status)
        s->c.status = s->data.c.status;
    s->c.valid = s->data.c.valid && !s->c.status;
    if (!s->c.valid)
        return;
    s->c.key = s->data.c.key;
    s->c.tag = s->data.c.tag;
    s->c.value = s->data.c.value;
}

/* Where a block has no entry (left) in the direction of travel, goes to the next one that has. */
static void skip_empty(struct sst_cursor *s, bool forward)
{
    while (!s->data.c.valid && !s->data.c.status && s->index.c.valid) {
        if (forward)
            s->index.c.ops->next(&s->index.c);
        else
            s->index.c.ops->prev(&s->index.c);
        if (!load_block(s))
            break;
        if (forward)
            s->data.c.ops->first(&s->data.c);
        else
            s->data.c.ops->last(&s->data.c);
    }
    show(s);
}

static void sst_first(struct cursor *c)
{
    struct sst_cursor *s = (struct sst_cursor *)c;

    s->index.c.ops->first(&s->index.c);
    if (load_block(s))
        s->data.c.ops->first(&s->data.c);
    skip_empty(s, true);
}

static void sst_last(struct cursor *c)
{
    struct sst_cursor *s = (struct sst_cursor *)c;

    s->index.c.ops->last(&s->index.c);
    if (load_block(s))
        s->data.c.ops->last(&s->data.c);
    skip_empty(s, false);
}

static void sst_seek(struct cursor *c, struct bytes key, uint64_t tag)
{
    struct sst_cursor *s = (struct sst_cursor *)c;

    s->index.c.ops->seek(&s->index.c, key, tag);
    if (load_block(s))
        s->data.c.ops->seek(&s->data.c, key, tag);
    skip_empty(s, true);
}

static void sst_next(struct cursor *c)
{
    struct sst_cursor *s = (struct sst_cursor *)c;

    must(c->valid);
    s->data.c.ops->next(&s->data.c);
    if (s->data.c.valid)
        show(s);
    else
        skip_empty(s, true);
}

static void sst_prev(struct cursor *c)
{
    struct sst_cursor *s = (struct sst_cursor *)c;

    must(c->valid);
    s->data.c.ops->prev(&s->data.c);
    skip_empty(s, false);
}

static void sst_cursor_free(struct cursor *c)
{
    struct sst_cursor *s = (struct sst_cursor *)c;

    drop_block(s);
    block_cursor_release(&s->index);
    block_cursor_release(&s->data);
    alloc_put(s->t->env, s, sizeof *s);
}

static const struct cursor_ops sst_cursor_ops = {
    sst_first, sst_last, sst_seek, sst_next, sst_prev, sst_cursor_free,
};

enum vault_status sst_cursor(struct sst *t, struct cursor **out)
{
    struct sst_cursor *s = alloc_get(t->env, sizeof *s);

    if (!s)
        return env_fail(t->env, VAULT_NO_MEMORY, t->file.name, 0, 0, "iterator");
    *s = (struct sst_cursor){.c = {.ops = &sst_cursor_ops}, .t = t};
    block_cursor_init(t->env, &s->index);
    block_cursor_init(t->env, &s->data);
    block_cursor_open(&s->index, t->file.name, t->data_end, t->index);
    *out = &s->c;
    return VAULT_OK;
}
