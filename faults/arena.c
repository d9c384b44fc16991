/* arena.c: a list of chunks, filled one after the other. See arena.h. */
#define _GNU_SOURCE
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

#define CHUNK_SIZE ((size_t)256 * 1024)
#define CHUNKS_FEW 4
#define PAGE       ((uintptr_t)4096)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, ready; /* the bytes that were got ready */
    _Alignas(16) uint8_t bytes[];
};

void memory_ready(void *from, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    uintptr_t at = ((uintptr_t)from + PAGE - 1) & ~(PAGE - 1);
    uintptr_t end = ((uintptr_t)from + size + PAGE - 1) & ~(PAGE - 1);

    if (end > at)
        (void)madvise((void *)at, end - at, MADV_POPULATE_WRITE);
#endif
}

static struct arena_chunk *chunk_new(size_t size)
{
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);

    must(chunk != NULL);
    chunk->next = NULL;
    chunk->size = chunk->ready = size;
    return chunk;
}

/* Moves to a chunk with room for `size`: the next kept one, or a new one put behind the current. An
 * arena that has grown large will fill it. */
static void advance(struct arena *arena, size_t size)
{
    struct arena_chunk *next = arena->current ? arena->current->next : arena->first;

    if (next == NULL || next->size < size) {
        struct arena_chunk *chunk = chunk_new(size > CHUNK_SIZE ? size : CHUNK_SIZE);

        if (++arena->chunks > CHUNKS_FEW && size < CHUNK_SIZE)
            chunk->ready = 0;
        chunk->next = next;
        if (arena->current)
            arena->current->next = chunk;
        else
            arena->first = chunk;
        next = chunk;
    }
    arena->current = next;
    arena->used = 0;
}

/* The first `used` bytes of a chunk, and a step more. */
static void get_ready(struct arena_chunk *chunk, size_t used)
{
    size_t ready = used + MEMORY_STEP < chunk->size ? used + MEMORY_STEP : chunk->size;

    memory_ready(chunk->bytes + chunk->ready, ready - chunk->ready);
    chunk->ready = ready;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *p;

    size = (size + 7) & ~(size_t)7;
    if (arena->current == NULL || arena->current->size - arena->used < size)
        advance(arena, size);
    p = arena->current->bytes + arena->used;
    arena->used += size;
    if (arena->used > arena->current->ready)
        get_ready(arena->current, arena->used);
    return p;
}

void *arena_zeroed(struct arena *arena, size_t size)
{
    return memset(arena_alloc(arena, size), 0, size);
}

char *arena_text(struct arena *arena, const char *text, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

void arena_clear(struct arena *arena)
{
    arena->current = NULL;
    arena->used = 0;
}

void arena_release(struct arena *arena)
{
    while (arena->first) {
        struct arena_chunk *chunk = arena->first;

        arena->first = chunk->next;
        free(chunk);
    }
    *arena = (struct arena){0};
}
