/* cursor.h: what everything that can be walked in key order offers: memtable, block, table, level,
 * and a merge of these.
 *
 * Entries are ordered by user key, and for one key by tag, newest first. A tag is the sequence
 * number times four, plus the kind (FORMAT_OP_*). The value of a put that
 * expires begins with the time (cursor_live). While `valid`, key, tag and value describe the entry;
 * the views are good until the cursor moves or is freed. `status` keeps the first failure; a cursor
 * with a failure is not valid, and its owner must look: the end of a source and a failure of it are
 * two things (K27, K49). Thread safety: one thread at a time each. */
#ifndef ENGINE_CURSOR_H
#define ENGINE_CURSOR_H

#include "buffer.h"
#include "format.h"

#define CURSOR_PUT     ((uint64_t)1) /* bits of a kind */
#define CURSOR_EXPIRES ((uint64_t)2)
#define CURSOR_KINDS   ((uint64_t)3)

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
    return seq << 2 | CURSOR_KINDS;
}

static inline uint64_t tag_seq(uint64_t tag)
{
    return tag >> 2;
}

static inline uint64_t tag_of(uint64_t seq, unsigned kind)
{
    return seq << 2 | kind;
}

static inline unsigned tag_kind(uint64_t tag)
{
    return (unsigned)(tag & CURSOR_KINDS);
}

#define TAG_FIRST UINT64_MAX /* sorts before every entry of its key */

/* May the value of an entry be shown at `now`? Takes the time off its front. An entry with a time
 * that is too short for one was forged: it has expired. */
static inline bool cursor_live(uint64_t tag, uint64_t now, struct bytes *value)
{
    uint64_t expires = 0;

    if (!(tag & CURSOR_PUT))
        return false;
    if (!(tag & CURSOR_EXPIRES))
        return true;
    if (value->len < FORMAT_EXPIRY)
        return false;
    expires = load_u64(value->data);
    *value = bytes_of(value->data + FORMAT_EXPIRY, value->len - FORMAT_EXPIRY);
    return now < expires;
}

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
