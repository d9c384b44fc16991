/* figures.h: holds a store to what it says of itself: statistics and sizes (struct
 * pc_store_figures, pc_store.size). What it is compared with is what was asked of it, what the
 * simulated disk has logged, and what was read back. See figures.c for the rules.
 * Thread safety: one thread. */
#ifndef HARNESS_FIGURES_H
#define HARNESS_FIGURES_H

#include "powercut/disk.h"
#include "powercut/store.h"

#include "heap.h"
#include "model.h"

struct figures {
    struct pc_store_figures last;
    uint64_t least, most;    /* that the operations since the open may add up to */
    size_t next;             /* call of the disk to be counted next */
    uint64_t syncs, written; /* calls, and bytes, below its directory since the open */
};

/* The store is about to be opened; the disk has so many calls. */
void figures_begin(struct figures *figures, size_t calls);
/* A write was asked for, and was acknowledged or not. */
void figures_wrote(struct figures *figures, const struct pc_write *writes, size_t count, bool ok);

/* NULL: they hold; else what does not. `dir`: of the store, within the disk. `honest`: no call has
 * failed. A store without figures always holds. */
const char *figures_check(struct figures *figures, const struct pc_store *store, void *db,
                          const struct pc_disk *disk, const char *dir, const struct heap *heap,
                          bool honest);
/* One get, or one that found nothing, between the two. */
const char *figures_of_get(const struct pc_store_figures *before,
                           const struct pc_store_figures *after);
/* What holds at any time, of a store that has been open for so many nanoseconds. */
const char *figures_of_threads(const struct pc_store_figures *now, uint64_t open_for, bool honest);
/* Sizes of ranges between the keys of the model. `flushed`: all of `seen` is in tables. */
const char *figures_sizes(const struct pc_store *store, void *db, const struct model *model,
                          const struct seen *seen, bool flushed);

#endif
