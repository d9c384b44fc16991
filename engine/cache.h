/* cache.h: checked blocks of tables, in memory up to a limit.
 *
 * The blocks lie in a pool, which belongs to one handle or is shared by several (vault_cache_new).
 * A handle sees its own only: a block is named by owner, table number and offset. Table numbers are
 * never used twice in a database (V3 in version.c), owners never in a pool; so a stale block cannot
 * be found under a new name (K28).
 * Thread safety: all calls by any thread. */
#ifndef ENGINE_CACHE_H
#define ENGINE_CACHE_H

#include "env.h"

/* A block somebody holds. The bytes stay until cache_put (K29), whatever the limit says. */
struct cache_block {
    struct cache_block *chain;         /* same bucket */
    struct cache_block *newer, *older; /* order of use; only while nobody else holds it */
    uint64_t owner, table, offset;
    size_t len;
    size_t stored; /* bytes of it in the file, without the trailer */
    uint32_t refs; /* holders, and one for the cache while `cached` */
    bool cached;
    uint8_t data[];
};

struct cache_pool {
    struct env *env; /* memory of a shared pool; NULL: that of the handle */
    struct thread_mutex lock;
    struct cache_block **buckets; /* NULL until the first block */
    size_t bucket_count, count;
    size_t limit, used;
    struct cache_block *newest, *oldest; /* of the blocks nobody holds */
    uint64_t owners;                     /* that there ever were */
    size_t users;                        /* handles, of a shared pool */
};

/* What one handle has of a pool. */
struct cache {
    struct cache_pool *pool; /* &own, or a shared one */
    struct cache_pool own;
    uint64_t owner;
    uint64_t hits, misses, bytes_read, get_blocks; /* atomic; the last two are sst.c's */
};

/* `shared` may be NULL: a pool of its own, of `limit` bytes. */
void cache_init(struct cache *cache, size_t limit, struct vault_cache *shared);
/* Nobody holds a block of this handle any more; they go. */
void cache_release(struct env *env, struct cache *cache);

/* NULL: not there. */
struct cache_block *cache_get(struct cache *cache, uint64_t table, uint64_t offset);
/* A block to be filled by the caller, held and not cached yet. NULL: no memory. */
struct cache_block *cache_block_new(struct env *env, struct cache *cache, uint64_t table,
                                    uint64_t offset, size_t len);
/* Offers a filled block to the cache. Without memory or room it merely stays uncached. */
void cache_offer(struct env *env, struct cache *cache, struct cache_block *block);
void cache_put(struct env *env, struct cache *cache, struct cache_block *block);

#endif
