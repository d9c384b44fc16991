/* heap_test.c: the memory of a store under test: aligned, apart from each other, counted to the
 * byte, reused, and the same again after a reset. With the address sanitizer each block comes from
 * malloc; then only what does not depend on places is checked. */
#include "heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

#if defined(__SANITIZE_ADDRESS__)
#define PLACES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLACES 0
#else
#define PLACES 1
#endif
#else
#define PLACES 1
#endif

#define BLOCKS 200

struct block {
    uint8_t *p;
    size_t size;
    uint8_t byte;
};

static void check_and_free(struct heap *heap, struct block *block)
{
    for (size_t i = 0; i < block->size; i++)
        assert_int_equal(block->p[i], block->byte);
    heap_free(heap, block->p, block->size);
    block->p = NULL;
}

/* Random lives of blocks; each keeps its own bytes, and the count is exact at every moment. */
static void blocks_are_apart_and_counted(void **state)
{
    struct heap heap = {0};
    struct block blocks[BLOCKS] = {{0}};
    struct rng rng = rng_seeded(1);
    size_t held = 0, peak = 0;

    for (int i = 0; i < 40000; i++) {
        struct block *block = &blocks[rng_below(&rng, BLOCKS)];

        if (block->p) {
            held -= block->size;
            check_and_free(&heap, block);
        } else {
            block->size = rng_below(&rng, (uint64_t)1 << rng_below(&rng, 14));
            block->byte = (uint8_t)i;
            block->p = heap_alloc(&heap, block->size);
            assert_non_null(block->p);
            assert_int_equal((uintptr_t)block->p % 16, 0);
            if (block->size)
                memset(block->p, block->byte, block->size);
            held += block->size;
        }
        peak = held > peak ? held : peak;
        assert_int_equal(heap.held, held);
        assert_int_equal(heap.peak, peak);
    }
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].p)
            check_and_free(&heap, &blocks[i]);
    assert_int_equal(heap.held, 0);
    heap_release(&heap);
}

static void a_leak_shows_until_the_reset(void **state)
{
    struct heap heap = {0};
    void *a = heap_alloc(&heap, 100), *b = heap_alloc(&heap, 28);

    heap_free(&heap, a, 100);
    assert_int_equal(heap.held, 28);
    assert_int_equal(heap.peak, 128);
    heap_free(&heap, NULL, 17);
    assert_int_equal(heap.held, 28);
    memset(b, 1, 28);
    heap_reset(&heap); /* gives b back, too */
    assert_int_equal(heap.held, 0);
    assert_int_equal(heap.peak, 0);
    heap_release(&heap);
}

static void large_blocks_are_whole(void **state)
{
    static const size_t sizes[] = {1u << 19, 1u << 20, (1u << 20) + 1, 5u << 20, 100};
    struct heap heap = {0};
    struct block blocks[5];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++) {
            blocks[i] = (struct block){heap_alloc(&heap, sizes[i]), sizes[i], (uint8_t)(i + 1)};
            assert_int_equal((uintptr_t)blocks[i].p % 16, 0);
            memset(blocks[i].p, i + 1, sizes[i]);
        }
        for (int i = 0; i < 5; i++)
            check_and_free(&heap, &blocks[i]);
        assert_int_equal(heap.held, 0);
        heap_reset(&heap);
    }
    heap_release(&heap);
}

static void freed_blocks_are_reused(void **state)
{
    struct heap heap = {0};
    void *a = heap_alloc(&heap, 40), *b;

    heap_free(&heap, a, 40);
    b = heap_alloc(&heap, 50); /* of the same class */
    if (PLACES)
        assert_ptr_equal(a, b);
    heap_free(&heap, b, 50);
    heap_release(&heap);
}

/* The same requests after a reset get the same places, so that a run repeats exactly. */
static void a_reset_gives_the_same_places(void **state)
{
    static uint8_t *places[2000];
    struct heap heap = {0};

    for (int round = 0; round < 3; round++) {
        struct rng rng = rng_seeded(9);

        for (int i = 0; i < 2000; i++) {
            size_t size = rng_below(&rng, 5000);
            uint8_t *p = heap_alloc(&heap, size);

            if (PLACES && round > 0)
                assert_ptr_equal(p, places[i]);
            places[i] = p;
        }
        heap_reset(&heap);
    }
    heap_release(&heap);
}

static void release_leaves_a_heap_that_works(void **state)
{
    struct heap heap = {0};
    void *p = heap_alloc(&heap, 10);

    heap_free(&heap, p, 10);
    heap_release(&heap);
    heap_release(&heap);
    p = heap_alloc(&heap, 10);
    memset(p, 1, 10);
    assert_int_equal(heap.held, 10);
    heap_free(&heap, p, 10);
    heap_release(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_apart_and_counted),
        cmocka_unit_test(a_leak_shows_until_the_reset),
        cmocka_unit_test(large_blocks_are_whole),
        cmocka_unit_test(freed_blocks_are_reused),
        cmocka_unit_test(a_reset_gives_the_same_places),
        cmocka_unit_test(release_leaves_a_heap_that_works),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
