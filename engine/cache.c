/* cache.c: a hash table with a list in order of use.
 *
 * Only blocks that nobody holds are in the list, so eviction never takes a block in use; `used`
 * counts all cached ones. The table begins empty and doubles, so that a small database pays little.
 * Two threads may read the same block at once; the second to offer keeps its copy to itself.
 *
 * N1  A block is found by its owner only, and goes with it at the latest (K28): what a handle read
 *     is never shown to another, though both number their tables from 1.
 * N2  Blocks of a shared pool are the pool's memory, as the one that evicts a block need not be the
 *     one that read it. */
#include <stdlib.h>
#include "cache.h"

struct vault_cache {
    struct cache_pool pool;
    struct env env;
};

static void pool_init(struct cache_pool *pool, size_t limit)
{
    *pool = (struct cache_pool){.limit = limit};
    thread_mutex_init(&pool->lock);
}

void cache_init(struct cache *cache, size_t limit, struct vault_cache *shared)
{
    *cache = (struct cache){.pool = shared ? &shared->pool : NULL};
    if (shared) {
        thread_lock(&shared->pool.lock);
        shared->pool.users++;
        cache->owner = ++shared->pool.owners;
        thread_unlock(&shared->pool.lock);
    } else {
        pool_init(&cache->own, limit);
        cache->pool = &cache->own;
    }
}

/* N2 */
static struct env *memory_of(struct env *env, const struct cache_pool *pool)
{
    return pool->env ? pool->env : env;
}

static size_t block_bytes(const struct cache_block *block)
{
    return sizeof *block + block->len;
}

static size_t bucket_of(uint64_t owner, uint64_t table, uint64_t offset, size_t count)
{
    uint64_t h = (table * 0x9e3779b97f4a7c15u) ^ (offset * 0xff51afd7ed558ccdu) ^ owner;

    h ^= h >> 31;
    h *= 0xc4ceb9fe1a85ec53u;
    return (size_t)(h >> 32) & (count - 1);
}

static void list_remove(struct cache_pool *pool, struct cache_block *block)
{
    if (block->newer)
        block->newer->older = block->older;
    else
        pool->newest = block->older;
    if (block->older)
        block->older->newer = block->newer;
    else
        pool->oldest = block->newer;
    block->newer = block->older = NULL;
}

static void list_push(struct cache_pool *pool, struct cache_block *block)
{
    block->newer = NULL;
    block->older = pool->newest;
    if (pool->newest)
        pool->newest->newer = block;
    else
        pool->oldest = block;
    pool->newest = block;
}

static struct cache_block *lookup(const struct cache_pool *pool, uint64_t owner, uint64_t table,
                                  uint64_t offset)
{
    struct cache_block *block = NULL;

    if (pool->bucket_count)
        block = pool->buckets[bucket_of(owner, table, offset, pool->bucket_count)];
    while (block &&
           (block->table != table || block->offset != offset || block->owner != owner)) /* N1 */
        block = block->chain;
    return block;
}

struct cache_block *cache_get(struct cache *cache, uint64_t table, uint64_t offset)
{
    struct cache_pool *pool = cache->pool;
    struct cache_block *block = NULL;

    thread_lock(&pool->lock);
    block = lookup(pool, cache->owner, table, offset);
    if (block) {
        if (block->refs == 1)
            list_remove(pool, block);
        block->refs++;
    }
    thread_unlock(&pool->lock);
    atomic_count(block ? &cache->hits : &cache->misses, 1);
    return block;
}

struct cache_block *cache_block_new(struct env *env, struct cache *cache, uint64_t table,
                                    uint64_t offset, size_t len)
{
    struct cache_block *block = alloc_get(memory_of(env, cache->pool), sizeof *block + len);

    if (block)
        *block = (struct cache_block){
            .owner = cache->owner, .table = table, .offset = offset, .len = len, .refs = 1};
    return block;
}

/* Out of its bucket; nobody holds it, and it is in no list any more. */
static void drop(struct env *env, struct cache_pool *pool, struct cache_block *block)
{
    struct cache_block **link =
        &pool->buckets[bucket_of(block->owner, block->table, block->offset, pool->bucket_count)];

    while (*link != block)
        link = &(*link)->chain;
    *link = block->chain;
    pool->used -= block_bytes(block);
    pool->count--;
    must(block->refs == 1);
    alloc_put(env, block, block_bytes(block));
}

static void evict(struct env *env, struct cache_pool *pool)
{
    while (pool->used > pool->limit && pool->oldest) {
        struct cache_block *block = pool->oldest;

        list_remove(pool, block);
        drop(env, pool, block);
    }
}

static bool grow(struct env *env, struct cache_pool *pool)
{
    size_t count = pool->bucket_count ? pool->bucket_count * 2 : 16;
    struct cache_block **buckets = NULL;

    if (pool->count < pool->bucket_count)
        return true;
    buckets = alloc_get(env, count * sizeof *buckets);
    if (!buckets)
        return pool->bucket_count > 0; /* Crowded buckets do no harm. */
    memset(buckets, 0, count * sizeof *buckets);
    for (size_t i = 0; i < pool->bucket_count; i++) {
        struct cache_block *block = pool->buckets[i];

        while (block) {
            struct cache_block *chain = block->chain;
            size_t to = bucket_of(block->owner, block->table, block->offset, count);

            block->chain = buckets[to];
            buckets[to] = block;
            block = chain;
        }
    }
    alloc_put(env, pool->buckets, pool->bucket_count * sizeof *pool->buckets);
    pool->buckets = buckets;
    pool->bucket_count = count;
    return true;
}

void cache_offer(struct env *env, struct cache *cache, struct cache_block *block)
{
    struct cache_pool *pool = cache->pool;
    size_t to = 0;

    must(!block->cached);
    if (block_bytes(block) > pool->limit)
        return;
    env = memory_of(env, pool);
    thread_lock(&pool->lock);
    if (!lookup(pool, block->owner, block->table, block->offset) && grow(env, pool)) {
        to = bucket_of(block->owner, block->table, block->offset, pool->bucket_count);
        block->chain = pool->buckets[to];
        pool->buckets[to] = block;
        block->cached = true;
        block->refs++;
        pool->count++;
        pool->used += block_bytes(block);
        evict(env, pool);
    }
    thread_unlock(&pool->lock);
}

void cache_put(struct env *env, struct cache *cache, struct cache_block *block)
{
    struct cache_pool *pool = cache->pool;

    if (!block)
        return;
    env = memory_of(env, pool);
    thread_lock(&pool->lock);
    block->refs--;
    if (block->cached && block->refs == 1) {
        list_push(pool, block);
        evict(env, pool);
    } else if (block->refs == 0) {
        alloc_put(env, block, block_bytes(block));
    }
    thread_unlock(&pool->lock);
}

/* All blocks of `owner`. The lock is held, or nobody else is left. */
static void purge(struct env *env, struct cache_pool *pool, uint64_t owner)
{
    for (size_t i = 0; i < pool->bucket_count; i++) {
        struct cache_block *block = pool->buckets[i];

        while (block) {
            struct cache_block *chain = block->chain;

            if (block->owner == owner) {
                list_remove(pool, block);
                drop(env, pool, block);
            }
            block = chain;
        }
    }
}

static void pool_release(struct env *env, struct cache_pool *pool)
{
    must(pool->count == 0);
    alloc_put(env, pool->buckets, pool->bucket_count * sizeof *pool->buckets);
    thread_mutex_release(&pool->lock);
}

void cache_release(struct env *env, struct cache *cache)
{
    struct cache_pool *pool = cache->pool;

    env = memory_of(env, pool);
    thread_lock(&pool->lock);
    purge(env, pool, cache->owner); /* N1 */
    if (pool != &cache->own)
        pool->users--;
    thread_unlock(&pool->lock);
    if (pool == &cache->own)
        pool_release(env, pool);
}

struct vault_cache *vault_cache_new(size_t size, const struct vault_allocator *allocator)
{
    struct vault_cache *cache = NULL;

    if (allocator && (!allocator->alloc || !allocator->free))
        return NULL;
    cache = allocator ? allocator->alloc(allocator->ctx, sizeof *cache) : malloc(sizeof *cache);
    if (!cache)
        return NULL;
    pool_init(&cache->pool, size);
    if (env_init(&cache->env, "cache", allocator, NULL)) /* no directory: for its memory */
        must(!"a short path");
    cache->pool.env = &cache->env;
    return cache;
}

void vault_cache_free(struct vault_cache *cache)
{
    const struct vault_allocator *allocator = NULL;

    if (!cache)
        return;
    must(cache->pool.users == 0);
    allocator = cache->env.allocator;
    pool_release(&cache->env, &cache->pool);
    env_release(&cache->env);
    if (allocator)
        allocator->free(allocator->ctx, cache, sizeof *cache);
    else
        free(cache);
}

size_t vault_cache_used(struct vault_cache *cache)
{
    size_t used = 0;

    thread_lock(&cache->pool.lock);
    used = cache->pool.used;
    thread_unlock(&cache->pool.lock);
    return used;
}
