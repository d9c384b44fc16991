/* fix.h: mends the checksums of bytes that were mutated, so that the reader behind the checksum is
 * fuzzed with the checksum on. Now and then something is left broken, as a tear would leave it.
 * Every function accepts any bytes. Thread safety: none but by separate rng. */
#ifndef FUZZ_FIX_H
#define FUZZ_FIX_H

#include "base/rng.h"
#include "format.h"

/* A log or manifest file: header, then each record. Mostly also magic, number and place, and a
 * length that leads out of the file. May repeat or drop a record; answers the new length. */
size_t fix_records(uint8_t *p, size_t len, size_t room, enum format_file kind, uint64_t number,
                   struct rng *rng);
/* The record that is to lie at `place` of file `number`; `len` reaches to its end. */
void fix_record(uint8_t *p, size_t len, uint64_t place, uint64_t number);
void fix_head(uint8_t *p, size_t len, enum format_file kind, uint64_t number);
void fix_current(uint8_t *p, size_t len, struct rng *rng);
/* Footer, index, filter, and the blocks that the index names. */
void fix_table(uint8_t *p, size_t len, uint64_t number, struct rng *rng);

#endif
