/* ranges.h: deletes of key ranges, cut into pieces that can be searched.
 *
 * A range delete hides all entries with begin <= key < end and a smaller sequence number. Added in
 * any order, they are cut at each other's ends: two pieces are disjoint, or have the same ends and
 * different numbers. Thread safety: building by one thread; a finished set is immutable. */
#ifndef ENGINE_RANGES_H
#define ENGINE_RANGES_H

#include "cursor.h"

struct range {
    struct bytes begin, end; /* views: of the set's own text, or of what ranges_view was given */
    uint64_t seq;
};

/* Zeroed is empty. */
struct ranges {
    struct range *added; /* own their text */
    size_t added_count, added_cap;
    struct range *at; /* the pieces, by begin; those with the same ends newest first */
    size_t count, cap;
};

void ranges_release(struct env *env, struct ranges *r);
/* Copies the keys. */
MUST_USE enum vault_status ranges_add(struct env *env, struct ranges *r, struct bytes begin,
                                      struct bytes end, uint64_t seq);
/* Adds all entries of kind FORMAT_OP_DELETE_RANGE up to `seq` that the cursor walks over. */
MUST_USE enum vault_status ranges_add_all(struct env *env, struct ranges *r, struct cursor *from,
                                          uint64_t seq);
/* Makes the pieces of what was added. */
MUST_USE enum vault_status ranges_cut(struct env *env, struct ranges *r);
/* Adds a piece whose keys are borrowed. false: it does not fit behind the last one (it came from a
 * disk). */
MUST_USE enum vault_status ranges_view(struct env *env, struct ranges *r, struct range piece,
                                       bool *fits);

/* Index of the first piece that covers the key; r->count if none does. */
size_t ranges_find(const struct ranges *r, struct bytes key);
/* The newest sequence number up to `seq` of a piece that covers the key; 0: none. */
uint64_t ranges_cover(const struct ranges *r, struct bytes key, uint64_t seq);

#endif
