/* heap.c: power-of-two classes on top of bump chunks. See heap.h. */
#include "heap.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define CHUNK_SIZE ((size_t)1 << 20)

#if defined(__SANITIZE_ADDRESS__)
#define HEAP_MALLOC 1
#elif defined(__has_feature) /* clang */
#define HEAP_MALLOC __has_feature(address_sanitizer)
#else
#define HEAP_MALLOC 0
#endif

#if HEAP_MALLOC
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, size)   ((void)(p), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#endif

struct heap_chunk {
    struct heap_chunk *next;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};

/* Before a block from malloc; out of bounds for everybody but the functions here. */
struct heap_block {
    _Alignas(16) struct heap_block *next;
    struct heap_block **link; /* what points here */
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

static void link_block(struct heap_block **link, struct heap_block *block)
{
    ASAN_UNPOISON_MEMORY_REGION(link, sizeof *link);
    *link = block;
    if (block) {
        ASAN_UNPOISON_MEMORY_REGION(block, sizeof *block);
        block->link = link;
        ASAN_POISON_MEMORY_REGION(block, sizeof *block);
    }
}

static void *block_new(struct heap *heap, size_t size)
{
    struct heap_block *block = malloc(sizeof *block + size);

    must(block != NULL);
    *block = (struct heap_block){0};
    link_block(&block->next, heap->blocks);
    link_block(&heap->blocks, block);
    return block + 1;
}

static void block_free(void *p)
{
    struct heap_block *block = (struct heap_block *)p - 1;

    ASAN_UNPOISON_MEMORY_REGION(block, sizeof *block);
    link_block(block->link, block->next);
    free(block);
}

void *heap_alloc(void *ctx, size_t size)
{
    struct heap *heap = ctx;
    unsigned class = class_of(size);
    void *p;

    if (++heap->requests == heap->fail_at)
        return NULL;
    heap->held += size;
    if (heap->held > heap->peak)
        heap->peak = heap->held;
    if (HEAP_MALLOC || class >= HEAP_CLASSES)
        return block_new(heap, size);
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
        block_free(p);
        return;
    }
    memset(p, 0xdd, size); /* what is used after this does not look right */
    *(void **)p = heap->free_lists[class];
    heap->free_lists[class] = p;
}

void heap_reset(struct heap *heap)
{
    while (heap->blocks)
        block_free(heap->blocks + 1);
    for (int i = 0; i < HEAP_CLASSES; i++)
        heap->free_lists[i] = NULL;
    heap->current = NULL;
    heap->used = 0;
    heap->held = heap->peak = 0;
    heap->requests = heap->fail_at = 0;
}

void heap_release(struct heap *heap)
{
    heap_reset(heap);
    while (heap->first) {
        struct heap_chunk *chunk = heap->first;

        heap->first = chunk->next;
        free(chunk);
    }
    *heap = (struct heap){0};
}
