/* pen.c: see pen.h. Blocks lie one behind the other, a gap of 16 bytes or more between them. */
#include "pen.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define PEN_POISONS 1
#elif defined(__has_feature) /* clang */
#define PEN_POISONS __has_feature(address_sanitizer)
#else
#define PEN_POISONS 0
#endif

#if PEN_POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, size)   ((void)(p), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#endif

#define REGION ((size_t)4 << 20)
#define GAP    16u

static uint8_t *region;
static size_t used;

void *pen_get(size_t size)
{
    size_t span = (size + GAP + 15) & ~(size_t)15;
    uint8_t *p = NULL;

    if (region == NULL) {
        region = malloc(REGION);
        must(region != NULL);
        ASAN_POISON_MEMORY_REGION(region, REGION);
    }
    if (size > REGION || span > REGION - used) {
        p = malloc(size);
        must(p != NULL);
        return p;
    }
    p = region + used;
    used += span;
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    return p;
}

void pen_put(void *p, size_t size)
{
    uintptr_t at = (uintptr_t)p - (uintptr_t)region;

    if (p == NULL)
        return;
    if (at >= REGION)
        free(p);
    else
        ASAN_POISON_MEMORY_REGION(p, size);
}

void pen_clear(void)
{
    used = 0;
}
