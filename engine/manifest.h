/* manifest.h: the durable record of which tables and logs are alive.
 *
 * Thread safety: new numbers by any thread; everything else by the one that maintains the store. */
#ifndef ENGINE_MANIFEST_H
#define ENGINE_MANIFEST_H

#include "record.h"
#include "version.h"

struct manifest {
    struct env *env;
    struct tables *tables;
    struct record_writer out;
    bool open;            /* this handle has begun `out` */
    bool copies;          /* it is of a copy: nobody has been told of it before all is durable */
    uint64_t number;      /* of the manifest in force; 0: none */
    uint64_t current_len; /* bytes of it that CURRENT vouches for */
    uint64_t loaded_end;  /* where reading it ended */
    uint64_t next_file;   /* atomic */
    uint64_t last_seq;    /* newest sequence number in tables */
    uint64_t log_number;  /* logs with smaller numbers are dead */
    uint64_t size_max;    /* begin a new one beyond it */
    enum vault_status failed;
    struct buffer cursors[VAULT_LEVELS]; /* where the next compaction of a level begins */
};

void manifest_init(struct manifest *m, struct env *env, struct tables *tables, uint64_t size_max);
/* Writes a closing claim if there is something to claim, and closes. */
MUST_USE enum vault_status manifest_close(struct manifest *m);
void manifest_release(struct manifest *m);

uint64_t manifest_new_number(struct manifest *m);

/* Reads CURRENT and the manifest it names. VAULT_NOT_FOUND: there is no CURRENT. */
MUST_USE enum vault_status manifest_load(struct manifest *m, size_t chunk, struct version **out);

/* Makes `next` (the current version with `edit` applied) the durable truth. On failure nothing may
 * be removed and nothing installed: what reached the disk is unknown (M4). */
MUST_USE enum vault_status manifest_commit(struct manifest *m, const struct edit *edit,
                                           const struct version *next);

/* How far the manifest in force is known synced; 0 when this handle has not begun one. */
uint64_t manifest_synced(const struct manifest *m);

#endif
