/* cache.c: a hash table with a list in order of use.
 *
 * Only blocks that nobody holds are in the list, so eviction never takes a block in use; `used`
 * counts all cached ones. The table begins empty and doubles, so that a small database pays little.
 * Two threads may read the same block at once; the second to offer keeps its copy to itself. */
#include "cache.h"

void cache_init(struct cache *cache, size_t limit)
{
    *cache = (struct cache){.limit = limit};
    thread_mutex_init(&cache->lock);
}

static size_t block_bytes(const struct cache_block *block)
{
    return sizeof *block + block->len;
}

void cache_release(struct env *env, struct cache *cache)
{
    for (size_t i = 0; i < cache->bucket_count; i++) {
        struct cache_block *block = cache->buckets[i];

        while (block) {
            struct cache_block *chain = block->chain;

            must(block->refs == 1);
            alloc_put(env, block, block_bytes(block));
            block = chain;
        }
    }
    alloc_put(env, cache->buckets, cache->bucket_count * sizeof *cache->buckets);
    thread_mutex_release(&cache->lock);
}

static size_t bucket_of(uint64_t table, uint64_t offset, size_t count)
{
    uint64_t h = (table * 0x9e3779b97f4a7c15u) ^ (offset * 0xff51afd7ed558ccdu);

    h ^= h >> 31;
    h *= 0xc4ceb9fe1a85ec53u;
    return (size_t)(h >> 32) & (count - 1);
}

static void list_remove(struct cache *cache, struct cache_block *block)
{
    if (block->newer)
        block->newer->older = block->older;
    else
        cache->newest = block->older;
    if (block->older)
        block->older->newer = block->newer;
    else
        cache->oldest = block->newer;
    block->newer = block->older = NULL;
}

static void list_push(struct cache *cache, struct cache_block *block)
{
    block->newer = NULL;
    block->older = cache->newest;
    if (cache->newest)
        cache->newest->newer = block;
    else
        cache->oldest = block;
    cache->newest = block;
}

static struct cache_block *lookup(struct cache *cache, uint64_t table, uint64_t offset)
{
    struct cache_block *block = NULL;

    if (cache->bucket_count)
        block = cache->buckets[bucket_of(table, offset, cache->bucket_count)];
    while (block && (block->table != table || block->offset != offset))
        block = block->chain;
    return block;
}

struct cache_block *cache_get(struct cache *cache, uint64_t table, uint64_t offset)
{
    struct cache_block *block = NULL;

    thread_lock(&cache->lock);
    block = lookup(cache, table, offset);
    if (block) {
        if (block->refs == 1)
            list_remove(cache, block);
        block->refs++;
        cache->hits++;
    } else {
        cache->misses++;
    }
    thread_unlock(&cache->lock);
    return block;
}

struct cache_block *cache_block_new(struct env *env, uint64_t table, uint64_t offset, size_t len)
{
    struct cache_block *block = alloc_get(env, sizeof *block + len);

    if (block)
        *block = (struct cache_block){.table = table, .offset = offset, .len = len, .refs = 1};
    return block;
}

static void evict(struct env *env, struct cache *cache)
{
    while (cache->used > cache->limit && cache->oldest) {
        struct cache_block *block = cache->oldest;
        struct cache_block **link =
            &cache->buckets[bucket_of(block->table, block->offset, cache->bucket_count)];

        list_remove(cache, block);
        while (*link != block)
            link = &(*link)->chain;
        *link = block->chain;
        cache->used -= block_bytes(block);
        cache->count--;
        must(block->refs == 1);
        alloc_put(env, block, block_bytes(block));
    }
}

static bool grow(struct env *env, struct cache *cache)
{
    size_t count = cache->bucket_count ? cache->bucket_count * 2 : 16;
    struct cache_block **buckets = NULL;

    if (cache->count < cache->bucket_count)
        return true;
    buckets = alloc_get(env, count * sizeof *buckets);
    if (!buckets)
        return cache->bucket_count > 0; /* Crowded buckets do no harm. */
    memset(buckets, 0, count * sizeof *buckets);
    for (size_t i = 0; i < cache->bucket_count; i++) {
        struct cache_block *block = cache->buckets[i];

        while (block) {
            struct cache_block *chain = block->chain;
            size_t to = bucket_of(block->table, block->offset, count);

            block->chain = buckets[to];
            buckets[to] = block;
            block = chain;
        }
    }
    alloc_put(env, cache->buckets, cache->bucket_count * sizeof *buckets);
    cache->buckets = buckets;
    cache->bucket_count = count;
    return true;
}

void cache_offer(struct env *env, struct cache *cache, struct cache_block *block)
{
    size_t to = 0;

    must(!block->cached);
    if (block_bytes(block) > cache->limit)
        return;
    thread_lock(&cache->lock);
    if (!lookup(cache, block->table, block->offset) && grow(env, cache)) {
        to = bucket_of(block->table, block->offset, cache->bucket_count);
        block->chain = cache->buckets[to];
        cache->buckets[to] = block;
        block->cached = true;
        block->refs++;
        cache->count++;
        cache->used += block_bytes(block);
        evict(env, cache);
    }
    thread_unlock(&cache->lock);
}

void cache_put(struct env *env, struct cache *cache, struct cache_block *block)
{
    if (!block)
        return;
    thread_lock(&cache->lock);
    block->refs--;
    if (block->cached && block->refs == 1) {
        list_push(cache, block);
        evict(env, cache);
    } else if (block->refs == 0) {
        alloc_put(env, block, block_bytes(block));
    }
    thread_unlock(&cache->lock);
}
