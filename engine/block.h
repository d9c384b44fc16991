/* block.h: a run of sorted entries, keys stored as what differs from the one before.
 *
 * Thread safety: a built block is immutable; builders and cursors have one owner each. */
#ifndef ENGINE_BLOCK_H
#define ENGINE_BLOCK_H

#include "buffer.h"
#include "cursor.h"

struct block_builder {
    struct buffer data;
    struct buffer restarts; /* u32 each, as they go to disk */
    struct buffer last_key;
    unsigned interval, since; /* entries between restarts; since the last one */
    size_t count;
};

/* Entries come in order. VAULT_NO_MEMORY: the builder is unchanged. */
MUST_USE enum vault_status block_add(struct env *env, struct block_builder *b, struct bytes key,
                                     uint64_t tag, struct bytes value);
/* Appends the restart array; `contents` is a view until clear or release. */
MUST_USE enum vault_status block_finish(struct env *env, struct block_builder *b,
                                        struct bytes *contents);
void block_clear(struct block_builder *b); /* ready for the next block; memory is kept */
void block_release(struct env *env, struct block_builder *b);
size_t block_size(const struct block_builder *b);

#define BLOCK_PATH 16 /* as many entries as lie between two restart points, mostly */

/* An entry of the run between two restart points, decoded to walk it backward. */
struct block_entry {
    uint32_t at, next;
    uint32_t key, key_len; /* within block_cursor.keys */
    uint64_t tag;
    struct bytes value;
};

/* Walks the contents of a block. Damage ends it with VAULT_CORRUPT, naming `name` and `offset`. The
 * struct is the caller's; `contents` and `name` are borrowed until block_cursor_release. */
struct block_cursor {
    struct cursor c;
    struct env *env;
    const char *name;
    uint64_t offset;
    const uint8_t *data;
    uint32_t entries_len, restarts;
    uint32_t at, next;                /* offsets of the entry shown and of the one after it */
    uint32_t restart;                 /* index of the restart point at or before `at` */
    uint32_t path[BLOCK_PATH], steps; /* the entries of the newest walk, from its restart point */
    struct buffer key;
    /* Backward: the entries before the one at `run_end`, the last one decoded. */
    struct buffer run, keys; /* struct block_entry each; their keys */
    size_t run_left;         /* entries before the one shown; 0: nothing decoded */
    uint32_t run_end;        /* offset of the entry that `run` is good for */
};

void block_cursor_init(struct env *env, struct block_cursor *b);
/* Shows another block, nowhere yet. The key memory is kept. */
void block_cursor_open(struct block_cursor *b, const char *name, uint64_t offset,
                       struct bytes contents);
void block_cursor_release(struct block_cursor *b);

#endif
