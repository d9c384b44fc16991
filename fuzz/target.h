/* target.h: what a fuzz target offers (libFuzzer's names, so that libFuzzer, AFL++ and
 * standalone_main.c can all run it) and how it says that a property does not hold: by must().
 * Thread safety: none; one input at a time. */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/rng.h"

#define TARGET_SIZE_MAX ((size_t)64 << 10) /* longer inputs are passed over */

/* Tries one input; 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Optional: changes an input in place, `size_max` bytes at most; answers its new size. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);

/* Optional: makes an input of two, `size_max` bytes at most, in `out`; answers its size. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t size_max, unsigned seed);

/* The mutator for bytes of no known form: libFuzzer's own, or the one of standalone_main.c. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

#endif
