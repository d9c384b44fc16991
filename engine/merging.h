/* merging.h: several cursors walked as one. Thread safety: one thread at a time each. */
#ifndef ENGINE_MERGING_H
#define ENGINE_MERGING_H

#include "cursor.h"

/* Takes over the cursors in any case: on failure they are freed. The array is copied. */
MUST_USE enum vault_status merge_cursor(struct env *env, struct cursor **children, size_t count,
                                        struct cursor **out);

#endif
