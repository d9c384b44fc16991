/* memtable.h: the newest writes, ordered, in memory. Counted references; the last one frees.
 *
 * Thread safety: one writer at a time and any number of readers beside it. What a reader sees is
 * filtered by sequence number, so a half-inserted batch is never visible (K51). */
#ifndef ENGINE_MEMTABLE_H
#define ENGINE_MEMTABLE_H

#include "cursor.h"

struct memtable;

MUST_USE enum vault_status memtable_new(struct env *env, struct memtable **out);
void memtable_ref(struct memtable *m);
void memtable_unref(struct env *env, struct memtable *m); /* NULL is accepted */

/* Memory for `count` operations of `bytes` encoded bytes, so that adding them cannot fail. */
MUST_USE enum vault_status memtable_reserve(struct env *env, struct memtable *m, size_t count,
                                            size_t bytes);
/* Copies one operation in; reserved before. Each sequence number once. */
void memtable_add(struct memtable *m, uint64_t tag, struct bytes key, struct bytes value);

/* The newest entry of `key` at `seq`. false: none. A delete is found too: *tag tells. The view is
 * good while a reference is held. */
bool memtable_get(const struct memtable *m, struct bytes key, uint64_t seq, uint64_t *tag,
                  struct bytes *value);

size_t memtable_size(const struct memtable *m);  /* bytes held */
size_t memtable_count(const struct memtable *m); /* entries */
uint64_t memtable_last_seq(const struct memtable *m);

/* Holds a reference. Cannot fail once made. */
MUST_USE enum vault_status memtable_cursor(struct env *env, struct memtable *m,
                                           struct cursor **out);

#endif
