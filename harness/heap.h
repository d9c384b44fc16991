/* heap.h: the memory that a store under test gets. Given back all at once when the store is gone,
 * so that every recovery starts from the same state, and counted, so that a leak shows. In builds
 * with the address sanitizer each block comes from malloc, so that overruns show too. */
#ifndef HARNESS_HEAP_H
#define HARNESS_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define HEAP_CLASSES 28

struct heap_chunk;
struct heap_block;

struct heap {
    struct heap_chunk *first, *current;
    size_t used;
    void *free_lists[HEAP_CLASSES];
    struct heap_block *blocks; /* those that came from malloc */
    size_t held;               /* bytes that the store has not given back */
    size_t peak;
    uint64_t requests, fail_at; /* the request of this number gets NULL; 0: none */
};

/* Zeroed is initialised. The two functions are of the kind that struct pc_store_env asks for. */
void *heap_alloc(void *heap, size_t size);
void heap_free(void *heap, void *p, size_t size);
void heap_reset(struct heap *heap);
void heap_release(struct heap *heap);

#endif
