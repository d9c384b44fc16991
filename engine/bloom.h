/* bloom.h: which keys a table surely does not hold. Blocked by cache line: one key touches one
 * line. Thread safety: pure functions. */
#ifndef ENGINE_BLOOM_H
#define ENGINE_BLOOM_H

#include "buffer.h"

#define BLOOM_LINE 64u

uint64_t bloom_hash(struct bytes key);

/* Appends a filter for the hashes: lines, then one byte, the number of probes. */
MUST_USE enum vault_status bloom_build(struct env *env, const uint64_t *hashes, size_t count,
                                       unsigned bits_per_key, struct buffer *out);

/* false: surely absent. A filter that cannot be one answers true. */
bool bloom_may_hold(struct bytes filter, uint64_t hash);

#endif
