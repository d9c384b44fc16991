/* arena.c: a list of chunks, filled one after the other. See arena.h. */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define CHUNK_SIZE ((size_t)256 * 1024)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};

static struct arena_chunk *chunk_new(size_t size)
{
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);

    must(chunk != NULL);
    chunk->next = NULL;
    chunk->size = size;
    return chunk;
}

/* Moves to a chunk with room for `size`: the next kept one, or a new one put behind the current. */
static void advance(struct arena *arena, size_t size)
{
    struct arena_chunk *next = arena->current ? arena->current->next : arena->first;

    if (next == NULL || next->size < size) {
        struct arena_chunk *chunk = chunk_new(size > CHUNK_SIZE ? size : CHUNK_SIZE);

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

void *arena_alloc(struct arena *arena, size_t size)
{
    void *p;

    size = (size + 15) & ~(size_t)15;
    if (arena->current == NULL || arena->current->size - arena->used < size)
        advance(arena, size);
    p = arena->current->bytes + arena->used;
    arena->used += size;
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
