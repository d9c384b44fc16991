/* afl_mutator.c: a target's own mutator for AFL++, as a library that afl-fuzz loads. libFuzzer
 * calls LLVMFuzzerCustomMutator itself; AFL++ has calls of its own, which lead there. The plain
 * mutations beneath are those of standalone_mutate.c. Thread safety: none. */
#include <stdlib.h>
#include <string.h>

#include "standalone.h"
#include "target.h"

#define EXPORT __attribute__((visibility("default")))

#pragma weak LLVMFuzzerCustomCrossOver

EXPORT void *afl_custom_init(void *afl, unsigned seed);
EXPORT void afl_custom_deinit(void *state);
EXPORT size_t afl_custom_fuzz(void *state, uint8_t *data, size_t size, uint8_t **out,
                              uint8_t *other, size_t other_size, size_t size_max);

struct state {
    uint8_t *buffer;
    size_t room;
};

void *afl_custom_init(void *afl, unsigned seed)
{
    standalone_rng = rng_seeded(seed);
    return calloc(1, sizeof(struct state));
}

void afl_custom_deinit(void *state)
{
    struct state *s = state;

    free(s->buffer);
    free(s);
}

size_t afl_custom_fuzz(void *state, uint8_t *data, size_t size, uint8_t **out, uint8_t *other,
                       size_t other_size, size_t size_max)
{
    struct state *s = state;
    uint64_t times = 1 + rng_below(&standalone_rng, 4);

    if (s->room < size_max) {
        free(s->buffer);
        s->buffer = malloc(size_max);
        must(s->buffer != NULL);
        s->room = size_max;
    }
    if (size > size_max)
        size = size_max;
    if (LLVMFuzzerCustomCrossOver && other_size && rng_chance(&standalone_rng, 1, 8)) {
        size = LLVMFuzzerCustomCrossOver(data, size, other, other_size, s->buffer, size_max,
                                         (unsigned)rng_next(&standalone_rng));
    } else {
        memcpy(s->buffer, data, size);
        while (times-- > 0)
            size = LLVMFuzzerCustomMutator(s->buffer, size, size_max,
                                           (unsigned)rng_next(&standalone_rng));
    }
    *out = s->buffer;
    return size;
}
