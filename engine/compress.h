/* compress.h: the contents of a block, smaller. Which methods there are is decided when the library
 * is built (liblz4, libzstd); raw is always there.
 *
 * Thread safety: pure functions. */
#ifndef ENGINE_COMPRESS_H
#define ENGINE_COMPRESS_H

#include "buffer.h"
#include "format.h"

/* Is this FORMAT_BLOCK_* type one that this library can write and read? */
bool compress_known(unsigned type);

/* Appends the stored form of `raw` to `out`: its length, then the compressed bytes. *type is the
 * type asked for, or FORMAT_BLOCK_RAW, and nothing appended, where less than an eighth is saved. */
MUST_USE enum vault_status compress_block(struct env *env, unsigned *type, struct bytes raw,
                                          struct buffer *out);

/* The length that a stored form says it has; 0: damage. Bounded by what the method can reach. */
size_t compress_raw_len(struct bytes stored);

/* Into `to`, of exactly that length. false: damage. */
MUST_USE bool compress_undo(unsigned type, struct bytes stored, uint8_t *to, size_t len);

#endif
