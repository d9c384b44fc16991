/* edges.c: see edges.h. libFuzzer reads a counter of a byte per edge, from a section that the
 * compiler fills and the linker names, and more such bytes from a section of its own; AFL++ a map
 * in shared memory. */
#include "edges.h"

#include <string.h>

#include "base/check.h"

#define KEPT_MAX ((size_t)1 << 20)

extern uint8_t __start___sancov_cntrs[] __attribute__((weak, visibility("hidden")));
extern uint8_t __stop___sancov_cntrs[] __attribute__((weak, visibility("hidden")));
extern uint8_t *__afl_area_ptr __attribute__((weak));
extern uint32_t __afl_map_size __attribute__((weak));

#if defined(__clang__)
__attribute__((section("__libfuzzer_extra_counters")))
#endif
static uint8_t slots[EDGES_SLOTS];
static uint8_t kept[KEPT_MAX];

static uint8_t *counters(size_t *count)
{
    if (&__afl_area_ptr && __afl_area_ptr) {
        *count = __afl_map_size;
        return __afl_area_ptr;
    }
    *count = (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
    return __start___sancov_cntrs;
}

void edges_drop(void)
{
    size_t count = 0;
    uint8_t *p = counters(&count);

    if (count)
        memset(p, 0, count);
}

void edges_keep(void)
{
    size_t count = 0;
    uint8_t *p = counters(&count);

    must(count <= KEPT_MAX);
    for (size_t i = 0; i < count; i++)
        if (p[i])
            kept[i] = p[i] > 255 - kept[i] ? 255 : (uint8_t)(kept[i] + p[i]);
    edges_drop();
}

void edges_show(void)
{
    size_t count = 0;
    uint8_t *p = counters(&count);

    if (count == 0)
        return;
    memcpy(p, kept, count);
    memset(kept, 0, count);
}

void edges_mark(uint64_t hash)
{
    size_t count = 0;
    uint8_t *p = counters(&count);

    if (&__afl_area_ptr && __afl_area_ptr && count > EDGES_SLOTS)
        p[count - 1 - hash % EDGES_SLOTS] = kept[count - 1 - hash % EDGES_SLOTS] = 1;
    slots[hash % EDGES_SLOTS] = 1;
}
