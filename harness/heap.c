/* heap.c: power-of-two classes on top of bump chunks. See heap.h. */
#include "heap.h"

#include <stdlib.h>

#include "base/check.h"

#define CHUNK_SIZE ((size_t)1 << 20)

#if defined(__SANITIZE_ADDRESS__)
#define HEAP_MALLOC 1
#elif defined(__has_feature) /* clang */
#define HEAP_MALLOC __has_feature(address_sanitizer)
#else
#define HEAP_MALLOC 0
#endif

struct heap_chunk {
    struct heap_chunk *next;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};

static unsigned class_of(size_t size)
{
    unsigned class = 4;

    while (((size_t)1 << class) < size)
        class ++;
    return class;
}

static void *bump(struct heap *heap, size_t size)
{
    void *p;

    if (heap->current == NULL || heap->current->size - heap->used < size) {
        struct heap_chunk *next = heap->current ? heap->current->next : heap->first;

        if (next == NULL || next->size < size) {
            struct heap_chunk *chunk =
                malloc(sizeof *chunk + (size > CHUNK_SIZE ? size : CHUNK_SIZE));

            must(chunk != NULL);
            chunk->size = size > CHUNK_SIZE ? size : CHUNK_SIZE;
            chunk->next = next;
            if (heap->current)
                heap->current->next = chunk;
            else
                heap->first = chunk;
            next = chunk;
        }
        heap->current = next;
        heap->used = 0;
    }
    p = heap->current->bytes + heap->used;
    heap->used += size;
    return p;
}

void *heap_alloc(void *ctx, size_t size)
{
    struct heap *heap = ctx;
    unsigned class = class_of(size);
    void *p;

    heap->held += size;
    if (heap->held > heap->peak)
        heap->peak = heap->held;
    if (HEAP_MALLOC || class >= HEAP_CLASSES)
        return malloc(size ? size : 1);
    p = heap->free_lists[class];
    if (p) {
        heap->free_lists[class] = *(void **)p;
        return p;
    }
    return bump(heap, (size_t)1 << class);
}

void heap_free(void *ctx, void *p, size_t size)
{
    struct heap *heap = ctx;
    unsigned class = class_of(size);

    if (p == NULL)
        return;
    heap->held -= size;
    if (HEAP_MALLOC || class >= HEAP_CLASSES) {
        free(p);
        return;
    }
    *(void **)p = heap->free_lists[class];
    heap->free_lists[class] = p;
}

void heap_reset(struct heap *heap)
{
    for (int i = 0; i < HEAP_CLASSES; i++)
        heap->free_lists[i] = NULL;
    heap->current = NULL;
    heap->used = 0;
    heap->held = heap->peak = 0;
}

void heap_release(struct heap *heap)
{
    while (heap->first) {
        struct heap_chunk *chunk = heap->first;

        heap->first = chunk->next;
        free(chunk);
    }
    *heap = (struct heap){0};
}
