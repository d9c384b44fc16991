/* fix.c: see fix.h.
 *
 * A random change of a file with checksums is nearly always found by the checksum, and nothing
 * behind it is ever tried. Switching the check off would try a program that nobody runs. So the
 * mutator forges: it knows where the sums are and makes them right again. */
#include <string.h>

#include "block.h"
#include "crc32c.h"
#include "fix.h"

static void seal(uint8_t *sum, const uint8_t *p, size_t len)
{
    store_u32(sum, crc32c_choose()(0, p, len));
}

void fix_head(uint8_t *p, size_t len, enum format_file kind, uint64_t number)
{
    if (len < FORMAT_FILE_HEADER)
        return;
    store_u32(p + 4, kind == FORMAT_LOG ? FORMAT_LOG_MAGIC : FORMAT_MANIFEST_MAGIC);
    store_u64(p + 16, number);
    seal(p, p + 4, FORMAT_FILE_HEADER - 4);
}

void fix_record(uint8_t *p, size_t len, uint64_t place, uint64_t number)
{
    if (len < FORMAT_RECORD_HEADER)
        return;
    store_u16(p + 4, FORMAT_RECORD_MAGIC);
    store_u32(p + 8, (uint32_t)(len - FORMAT_RECORD_HEADER));
    store_u64(p + 16, number);
    store_u32(p + 32, (uint32_t)(place / FORMAT_ALIGN));
    seal(p, p + 4, len - 4);
}

/* The length of the record at p with its padding; at most `left`. */
static size_t span(const uint8_t *p, size_t left)
{
    uint64_t len = 0;

    if (left < FORMAT_RECORD_HEADER)
        return left;
    len = (FORMAT_RECORD_HEADER + (uint64_t)load_u32(p + 8) + 7) / 8 * 8;
    return len > left ? left : (size_t)len;
}

/* Repeats or drops the record at `at`. */
static size_t restructure(uint8_t *p, size_t len, size_t room, size_t at, struct rng *rng)
{
    size_t n = span(p + at, len - at);

    if (rng_chance(rng, 1, 2)) {
        memmove(p + at, p + at + n, len - at - n);
        return len - n;
    }
    if (room - len < n)
        return len;
    memmove(p + at + n, p + at, len - at);
    return len + n;
}

size_t fix_records(uint8_t *p, size_t len, size_t room, enum format_file kind, uint64_t number,
                   struct rng *rng)
{
    size_t at = FORMAT_FILE_HEADER;
    size_t change = rng_chance(rng, 1, 8) ? (size_t)rng_below(rng, 6) : SIZE_MAX;
    bool all = rng_chance(rng, 3, 4);

    if (all || !rng_chance(rng, 1, 4))
        fix_head(p, len, kind, number);
    if (len >= FORMAT_FILE_HEADER && !rng_chance(rng, 1, 32)) {
        store_u32(p + 8, FORMAT_VERSION);
        seal(p, p + 4, FORMAT_FILE_HEADER - 4);
    }
    for (size_t i = 0; at < len && len - at >= FORMAT_RECORD_HEADER; i++) {
        size_t exact = 0;
        size_t n = 0;

        if (i == change)
            len = restructure(p, len, room, at, rng);
        if (len - at < FORMAT_RECORD_HEADER)
            break;
        n = span(p + at, len - at);
        exact = FORMAT_RECORD_HEADER + (size_t)load_u32(p + at + 8);
        if (exact > len - at)
            exact = len - at; /* a length that leads out of the file */
        if (all || rng_chance(rng, 7, 8))
            fix_record(p + at, exact, at, number);
        at += n;
    }
    return len;
}

void fix_current(uint8_t *p, size_t len, struct rng *rng)
{
    if (len < FORMAT_CURRENT_SIZE)
        return;
    if (!rng_chance(rng, 1, 16))
        store_u32(p + 4, FORMAT_CURRENT_MAGIC);
    if (!rng_chance(rng, 1, 16))
        store_u32(p + 8, FORMAT_VERSION);
    seal(p, p + 4, FORMAT_CURRENT_SIZE - 4);
}

/* The trailer behind the contents at `at`; `types` are known. */
static void seal_block(uint8_t *p, uint64_t at, uint64_t len, unsigned types, struct rng *rng)
{
    if (rng_chance(rng, 1, 32))
        p[at + len] = (uint8_t)rng_below(rng, FORMAT_BLOCK_ZSTD + 2);
    else if (p[at + len] >= types)
        p[at + len] = FORMAT_BLOCK_RAW;
    seal(p + at + len + 1, p + at, (size_t)len + 1);
}

/* Walks the entries of the index as far as they make sense. */
static void seal_blocks(uint8_t *p, uint64_t data_end, struct bytes index, struct rng *rng)
{
    struct taker t;
    uint64_t restarts = index.len < 4 ? 0 : load_u32(index.data + index.len - 4);

    if (index.len < 4 || restarts > (index.len - 4) / 4)
        return;
    t = taker_of(bytes_of(index.data, index.len - 4 - 4 * (size_t)restarts));
    while (!t.bad && taker_left(&t)) {
        uint64_t own = 0;
        uint64_t value_len = 0;
        struct taker handle;
        uint64_t offset, len;

        take_varint(&t); /* shared */
        own = take_varint(&t);
        value_len = take_varint(&t);
        take_varint(&t); /* tag */
        take_bytes(&t, own);
        handle = taker_of(take_bytes(&t, value_len));
        if (t.bad)
            return;
        offset = take_varint(&handle);
        len = take_varint(&handle);
        if (!handle.bad && offset <= data_end && len <= data_end - offset &&
            data_end - offset - len >= FORMAT_BLOCK_TRAILER)
            seal_block(p, offset, len, FORMAT_BLOCK_ZSTD + 1, rng);
    }
}

/* What a part of the tail takes; one that does not fit before `end` is left out. */
static uint64_t part_size(uint64_t *len, uint64_t end)
{
    if (*len && *len + FORMAT_BLOCK_TRAILER > end)
        *len = 0;
    return *len ? *len + FORMAT_BLOCK_TRAILER : 0;
}

void fix_table(uint8_t *p, size_t len, uint64_t number, struct rng *rng)
{
    uint8_t *foot = p + len - FORMAT_FOOTER;
    uint64_t index_len, filter_len, ranges_len, index, filter, ranges;

    if (len < FORMAT_FOOTER + FORMAT_BLOCK_TRAILER)
        return;
    if (!rng_chance(rng, 1, 16)) {
        store_u32(foot + 4, FORMAT_TABLE_MAGIC);
        store_u32(foot + 8, FORMAT_VERSION);
        store_u64(foot + 16, number);
        store_u64(foot + 56, len);
    }
    index_len = load_u32(foot + 36);
    filter_len = load_u32(foot + 32);
    ranges_len = load_u32(foot + 12);
    if (index_len > len - FORMAT_FOOTER - FORMAT_BLOCK_TRAILER)
        index_len = len - FORMAT_FOOTER - FORMAT_BLOCK_TRAILER;
    index = len - FORMAT_FOOTER - FORMAT_BLOCK_TRAILER - index_len;
    filter = index - part_size(&filter_len, index);
    ranges = filter - part_size(&ranges_len, filter);
    if (!rng_chance(rng, 1, 16)) {
        store_u32(foot + 36, (uint32_t)index_len);
        store_u32(foot + 32, (uint32_t)filter_len);
        store_u32(foot + 12, (uint32_t)ranges_len);
        store_u64(foot + 40, index);
        store_u64(foot + 24, filter);
    }
    if (ranges_len)
        seal_block(p, ranges, ranges_len, 1, rng);
    if (filter_len)
        seal_block(p, filter, filter_len, 1, rng);
    seal_block(p, index, index_len, 1, rng);
    seal_blocks(p, ranges, bytes_of(p + index, (size_t)index_len), rng);
    seal(foot, foot + 4, FORMAT_FOOTER - 4);
}
