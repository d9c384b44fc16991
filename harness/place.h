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
#endif
