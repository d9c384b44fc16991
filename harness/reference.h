/* reference.h: `powercut run --reference`: one fixed trace, searched to the end on one processor,
 * as a measure of the search itself. */
#ifndef HARNESS_REFERENCE_H
#define HARNESS_REFERENCE_H

#include "campaign.h"

/* 200 puts of k000000 to k000199 in an order drawn from the seed, values of 100 bytes, every 8th
 * with sync, a flush after every 64; blocks of 4096 bytes, units of 512. */
void reference_trace(uint64_t seed, enum pc_model model, struct trace *trace);

/* Explores it under each model of the campaign in this process and prints a summary. The exit code
 * of the program: 0 exhaustive and silent, 1 a finding, 3 not exhaustive. */
int reference_run(const struct campaign *campaign);

#endif
