/* pack.h: several files of a database in one input.
 *
 *   file     kind (1: CURRENT 2: CURRENT.tmp 3: MANIFEST 4: log 5: table), number, length as
 *            three little-endian bytes, then its content
 *   pack     one byte that chooses the reader's chunk, then files; a second file of one name and
 *            what does not fit are passed over
 *
 * Any bytes are a pack. Thread safety: none. */
#ifndef FUZZ_PACK_H
#define FUZZ_PACK_H

#include "stage.h"

#define PACK_HEADER 5u

/* Views into `data`. */
void pack_read(struct bytes data, struct stage_files *files, size_t *chunk);
/* Writes the pack to `out` if it fits in `room`; 0: it does not. */
size_t pack_write(const struct stage_files *files, uint8_t chunk, uint8_t *out, size_t room);

/* The chunk sizes a byte can choose. */
size_t pack_chunk(uint8_t byte);

/* A mutator: changes one file of the pack and mends its checksums. With `heads_only` it leaves
 * logs and tables alone. */
size_t pack_mutate(uint8_t *data, size_t size, size_t size_max, unsigned seed, bool heads_only);

#endif
