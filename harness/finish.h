/* finish.h: how a trace ends that is only played, not explored (deal.h): in what brings much to
 * light in a few milliseconds. Mostly the power fails; then values that are to expire do so, all is
 * compacted, and all is read, by the snapshots too. Pure functions. */
#ifndef HARNESS_FINISH_H
#define HARNESS_FINISH_H

#include "trace.h"

enum way {
    PLAY_ON,       /* no power failure, so that snapshots live on */
    PLAY_OLDEST,   /* at the end what was not synced is lost */
    PLAY_REOPEN,   /* the same, after the store was closed and opened, and has promised a write */
    PLAY_ROTTEN,   /* and a bit of what recovery reads has changed; that is the end */
    PLAY_ANYWHERE, /* the power fails anywhere, and leaves anything */
    PLAY_TWICE,    /* and soon after that once more */
    PLAY_WAYS
};

/* Of a trace of this number. Of eight traces in a row, which are the lanes of faults, each ends in
 * the same way. Rot comes to those only that have neither faults nor crashes: the model does not
 * remember the states behind an earlier crash. */
enum way finish_way(uint64_t number);

/* Adds the end to a trace that has none. */
void finish_trace(struct trace *trace, enum way way);

/* Adds a write that the store has to promise. */
void finish_write(struct trace *trace, uint32_t seed);

#endif
