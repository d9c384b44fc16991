/* arena.h: memory that is given back all at once. Chunks are kept over a clear, so a disk that is
 * rebooted a million times asks the system for memory a few times. Not thread safe. */
#ifndef FAULTS_ARENA_H
#define FAULTS_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *first, *current;
    size_t used; /* bytes of the current chunk */
    uint32_t chunks;
};

/* Fresh memory that will be used soon is got from the system in steps: page by page it costs more,
 * and much at once has left the cache when its turn comes. The range is all within one allocation
 * of several pages, or its last page is the caller's, too. */
#define MEMORY_STEP ((size_t)32 << 10)
void memory_ready(void *from, size_t size);

/* Zeroed is initialised. Memory is aligned to 8 bytes and not zeroed; never NULL. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_zeroed(struct arena *arena, size_t size);
char *arena_text(struct arena *arena, const char *text, size_t len);
void arena_clear(struct arena *arena);
void arena_release(struct arena *arena);

#endif
