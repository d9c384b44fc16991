/* place.h: puts faults into a trace where it makes calls: the trace is played once without any, and
 * a fault is aimed at one of the calls that were seen, so that it fires. */
#ifndef HARNESS_PLACE_H
#define HARNESS_PLACE_H

#include "powercut/store.h"
#include "trace.h"

/* Draws one or two faults of these kinds (a bit each) from the tape; the trace gets them, and the
 * steps that arm them, in front. Nothing when no call fits. */
void place_faults(struct trace *trace, const struct pc_store *store, struct tape *tape,
                  uint32_t kinds);
/* Every single fault of these kinds that a call of the first epoch can meet, one after the other:
 * fault number `index`; false behind the last. */
bool place_single(const struct trace *trace, const struct pc_store *store, uint32_t kinds,
                  uint32_t index, struct pc_fault *fault);

/* Where a fault fires, told by the operation rather than by numbers that move with every other
 * operation: the how-manieth call of its kind on a file of that role within one operation. */
struct aim {
    bool known;
    uint32_t op;      /* the `line` of the operation */
    uint32_t ordinal; /* 1: the first */
    char role[16];    /* the ending of the file name, from the dot; or its letters */
};

/* Gives every operation a number of its own in `line`, and finds the aims of the faults. */
void place_aims(struct trace *trace, const struct pc_store *store, struct aim aims[TRACE_FAULTS]);
/* A fault that strikes several calls, or one of a pattern of files, as one that strikes a single
 * call of a single file: number `index` of those that it may stand for; false behind the last, or
 * when it is such a fault. */
bool place_narrow(const struct trace *trace, const struct pc_store *store, uint32_t which,
                  uint32_t index, struct pc_fault *fault);
/* Aims the faults again, after operations have gone. */
void place_again(struct trace *trace, const struct pc_store *store,
                 const struct aim aims[TRACE_FAULTS]);

#endif
