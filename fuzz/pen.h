/* pen.h: memory for the engine under a target: taken from one region that is given back whole, so
 * that an input costs no work of malloc. With the address sanitizer every byte that the engine does
 * not hold is poisoned, what it gave back included, for as long as the pen is not cleared: an
 * overrun, or a use after the return, is found as it is with malloc. Thread safety: none. */
#ifndef FUZZ_PEN_H
#define FUZZ_PEN_H

#include <stddef.h>

/* NULL never: what does not fit in the region comes from malloc. */
void *pen_get(size_t size);
void pen_put(void *p, size_t size);
/* All of it must have been given back. */
void pen_clear(void);

#endif
