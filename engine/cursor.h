/* cursor.h: what everything that can be walked in key order offers: memtable, block, table, level,
 * and a merge of these.
 *
 * Entries are ordered by user key, and for one key by tag, newest first. A tag is the sequence
 * number times two, plus one for a put (CURSOR_PUT) or zero for a delete. While `valid`, key, tag
 * and value describe the entry; the views are good until the cursor moves or is freed. `status`
 * keeps the first failure; a cursor with a failure is not valid, and its owner must look: the end
 * of a source and a failure of it are two things (K27, K49). Thread safety: one thread at a time
 * each. */
#ifndef ENGINE_CURSOR_H
#define ENGINE_CURSOR_H

#include "env.h"
#include "format.h"

#define CURSOR_PUT ((uint64_t)1)

struct cursor;

struct cursor_ops {
    void (*first)(struct cursor *c);
    void (*last)(struct cursor *c);
    /* The first entry not before (key, tag). */
    void (*seek)(struct cursor *c, struct bytes key, uint64_t tag);
    void (*next)(struct cursor *c); /* needs a valid cursor */
    void (*prev)(struct cursor *c); /* needs a valid cursor */
    void (*free)(struct cursor *c);
};

struct cursor {
    const struct cursor_ops *ops;
    bool valid;
    enum vault_status status;
    struct bytes key;
    struct bytes value;
    uint64_t tag;
};

/* Sorts before every entry of a key that is visible at `seq`, and after the newer ones. */
static inline uint64_t tag_at(uint64_t seq)
{
    return seq << 1 | CURSOR_PUT;
}

static inline uint64_t tag_seq(uint64_t tag)
{
    return tag >> 1;
}

#define TAG_FIRST UINT64_MAX /* sorts before every entry of its key */

static inline int entry_compare(struct bytes a_key, uint64_t a_tag, struct bytes b_key,
                                uint64_t b_tag)
{
    int c = bytes_compare(a_key, b_key);

    if (c)
        return c;
    return a_tag > b_tag ? -1 : a_tag < b_tag;
}

static inline void cursor_free(struct cursor *c)
{
    if (c)
        c->ops->free(c);
}

#endif
