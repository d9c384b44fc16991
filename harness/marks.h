/* marks.h: the branches named by reached() in whatever is linked into this program. */
#ifndef HARNESS_MARKS_H
#define HARNESS_MARKS_H

#include <stdint.h>
#include <stdio.h>

/* Hits so far over all places with that name; UINT64_MAX: no such mark in this program. */
uint64_t marks_hits(const char *name);
/* Adds up counters of the same name and calls `visit` once per name, sorted. */
void marks_each(void (*visit)(void *ctx, const char *name, uint64_t hits), void *ctx);
/* Raw counters, so that a child can hand them to its parent. */
uint32_t marks_count(void);
uint64_t marks_get(uint32_t index);
const char *marks_name(uint32_t index);
void marks_add(uint32_t index, uint64_t hits);
void marks_clear(void);

#endif
