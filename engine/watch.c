/* watch.c: what a handle tells of itself: statistics, events, how long writes waited.
 *
 * Time is read only where the handle has a thread: an inline handle does the same calls whatever
 * the time is. */
#include "core.h"

uint64_t core_ticks(const struct vault *v)
{
    return v->options.background == VAULT_THREAD ? os_ticks() : 0;
}

void core_event(struct vault *v, const struct vault_event *event)
{
    const struct vault_listener *listener = v->options.listener;

    if (listener && listener->event)
        listener->event(listener->ctx, event);
}

static uint64_t thousandths(uint64_t of, uint64_t against)
{
    return against ? of * 1000 / against : 0;
}

void vault_get_stats(struct vault *v, struct vault_stats *stats)
{
    *stats = (struct vault_stats){0};
    thread_lock(&v->lock);
    for (unsigned i = 0; i < VAULT_LEVELS; i++) {
        stats->tables[i] = (unsigned)v->version->levels[i].count;
        stats->bytes[i] = v->version->levels[i].bytes;
    }
    stats->flushes = v->flushes;
    stats->compactions = v->compactions;
    stats->log_syncs = v->log_syncs;
    stats->log_bytes = v->log_bytes;
    stats->user_bytes = v->user_bytes;
    stats->stalls = v->stalls;
    stats->stall_ns = v->stall_ns;
    thread_unlock(&v->lock);
    thread_lock(&v->tables.lock);
    stats->open_tables = (unsigned)v->tables.open_count;
    stats->table_memory = v->tables.tails;
    thread_unlock(&v->tables.lock);
    stats->table_bytes_written = atomic_get(&v->table_bytes);
    stats->compacted_bytes = atomic_get(&v->compacted_bytes);
    stats->write_amplification =
        thousandths(stats->log_bytes + stats->table_bytes_written, stats->user_bytes);
    stats->syncs = atomic_get(&v->env.syncs);
    stats->gets = atomic_get(&v->gets);
    stats->get_blocks = atomic_get(&v->cache.get_blocks);
    stats->read_amplification = thousandths(stats->get_blocks, stats->gets);
    stats->cache_hits = atomic_get(&v->cache.hits);
    stats->cache_misses = atomic_get(&v->cache.misses);
    stats->block_bytes_read = atomic_get(&v->cache.bytes_read);
    stats->memory = atomic_get(&v->env.memory);
    stats->memory_peak = atomic_get(&v->env.memory_peak);
}
