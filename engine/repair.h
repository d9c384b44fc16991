/* repair.h: what vault_verify and vault_repair share: reports, and the walk through the blocks of a
 * table. Thread safety: one thread. */
#ifndef ENGINE_REPAIR_H
#define ENGINE_REPAIR_H

#include "core.h"

struct reporter {
    vault_report *report; /* NULL: nobody listens */
    void *ctx;
    struct env *env;
    struct vault_error first; /* the first damage or loss; its status VAULT_OK: none */
    uint64_t findings;        /* damage and losses */
};

/* `first` and `last`: the keys concerned, NULL: not known. */
void reporter_tell(struct reporter *r, enum vault_finding_kind kind, const char *file,
                   uint64_t offset, const char *what, const struct bytes *first,
                   const struct bytes *last);
/* Damage as the environment has recorded it last. True: `st` is damage, or a failing read, and was
 * told; else it is an answer of another kind. */
bool reporter_damage(struct reporter *r, enum vault_status st);

/* Everything that can be wrong in a table of which footer and index could be read. */
MUST_USE enum vault_status verify_table(struct reporter *r, const struct table *t, struct sst *sst,
                                        uint64_t last_seq);

#endif
