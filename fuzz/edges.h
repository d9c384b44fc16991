/* edges.h: the coverage counters of whichever fuzzer drives this program, so that a target can say
 * which part of its work counts. Without a fuzzer nothing happens. Thread safety: none. */
#ifndef FUZZ_EDGES_H
#define FUZZ_EDGES_H

#include <stddef.h>
#include <stdint.h>

/* Forgets what ran since the last call of one of these. */
void edges_drop(void);
/* Puts aside what ran since, beside what was put aside before. */
void edges_keep(void);
/* At the end of an input: what was put aside is all that ran. */
void edges_show(void);

/* Slots that count as coverage for libFuzzer: one for each new sort of thing that happened. */
#define EDGES_SLOTS 4096u
void edges_mark(uint64_t hash);

#endif
