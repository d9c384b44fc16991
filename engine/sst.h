/* sst.h: one sorted table file: the builder writes it once, the reader never changes it.
 *
 * Thread safety: an open reader may be used by many threads; builders and cursors by one each. */
#ifndef ENGINE_SST_H
#define ENGINE_SST_H

#include "block.h"
#include "bloom.h"
#include "cache.h"
#include "compress.h"
#include "ranges.h"

struct sst_options {
    size_t block_size;
    unsigned restart_interval;
    unsigned bloom_bits_per_key;
    unsigned compression; /* FORMAT_BLOCK_* of data blocks */
};

struct sst_builder {
    struct env *env;
    struct sst_options options;
    struct os_file file;
    uint64_t number;
    struct block_builder data, index, ranges;
    struct buffer pending;  /* bytes not yet written */
    struct buffer squeezed; /* a compressed block */
    struct buffer hashes;   /* uint64_t each, in memory order */
    struct buffer smallest, largest;
    uint64_t smallest_tag, largest_tag;
    uint64_t entries;
    struct buffer range_begin, range_end; /* of all range deletes */
    uint64_t range_tag;                   /* of the first one */
};

/* Creates the file. Release the builder in every case. */
MUST_USE enum vault_status sst_begin(struct env *env, struct sst_builder *b, uint64_t number,
                                     const struct sst_options *options);
/* Entries come in order (cursor.h). */
MUST_USE enum vault_status sst_add(struct sst_builder *b, struct bytes key, uint64_t tag,
                                   struct bytes value);
/* The pieces of range deletes, in order (ranges.h), before or between the entries. Entries may lie
 * anywhere. */
MUST_USE enum vault_status sst_add_range(struct sst_builder *b, struct bytes begin,
                                         struct bytes end, uint64_t seq);
/* Writes range deletes, filter, index and footer, syncs and closes the file. Its directory entry is
 * not durable. */
MUST_USE enum vault_status sst_finish(struct sst_builder *b, uint64_t *size);
uint64_t sst_size(const struct sst_builder *b); /* of the file, as if finished now, roughly */
/* Closes what is open. The file stays. */
void sst_builder_release(struct sst_builder *b);

struct sst {
    struct env *env;
    struct cache *cache;
    struct os_file file;
    uint64_t number, size;
    uint64_t data_end; /* blocks lie before it */
    uint64_t entries;  /* as the footer says */
    uint8_t *tail;     /* range deletes, filter and index, as read */
    size_t tail_len;
    struct bytes filter, index; /* views into tail */
    struct ranges ranges;       /* the same */
};

/* `size` is what the manifest says; a shorter file is VAULT_CORRUPT. A missing one is, too. */
MUST_USE enum vault_status sst_open(struct env *env, struct cache *cache, uint64_t number,
                                    uint64_t size, struct sst *t);
void sst_close(struct sst *t);

/* The newest entry of `key` at `seq`; a range delete that hides it is found as a delete. On
 * `found`, `block` holds the bytes of `value`: cache_put it. */
MUST_USE enum vault_status sst_get(struct sst *t, struct bytes key, uint64_t seq, bool *found,
                                   uint64_t *tag, struct bytes *value, struct cache_block **block);

/* Every data block in order, as it is on the disk. A block that cannot be had is no failure of the
 * walk: `good` is false, and `status` says why. VAULT_CORRUPT: the index is damaged behind the last
 * block. The first failure of `each` ends it. */
struct sst_block {
    bool good;
    enum vault_status status;
    uint64_t offset;
    struct bytes contents, last_key; /* views, good for the call */
};
MUST_USE enum vault_status sst_walk(struct sst *t, void *ctx,
                                    enum vault_status (*each)(void *ctx,
                                                              const struct sst_block *block));

/* Where about in the file the entries from `key` on begin; its size when there are none. */
MUST_USE enum vault_status sst_offset(struct sst *t, struct bytes key, uint64_t *offset);

/* `t` is borrowed until the cursor is freed. */
MUST_USE enum vault_status sst_cursor(struct sst *t, struct cursor **out);

#endif
