/* play.h: plays a trace from beginning to end, crashes included. With an explorer every epoch is
 * explored when it ends; with `out` the steps print what they answer, as scripts expect it. */
#ifndef HARNESS_PLAY_H
#define HARNESS_PLAY_H

#include "explore.h"

struct play {
    struct session session;
    struct explorer *explorer; /* NULL: execute only */
    struct finding *finding;   /* what was found; owned by the caller */
    struct cut cut;            /* what the steps since OP_CRASH asked for */
    enum trouble trouble;      /* of the next recovery */
    uint32_t trouble_at;
    bool crashed;  /* between OP_CRASH and OP_RECOVER */
    bool lenient;  /* an item of a crash that is not there is passed over: what a trace that was
                      changed has made durable cannot be lost */
    char why[160]; /* a step that could not be done; "" if none */
};

void play_init(struct play *play, struct trace *trace, const struct pc_store *store,
               struct explorer *explorer, struct finding *finding);
void play_release(struct play *play);
/* One step. False: stop here: there is a finding, or play->why. */
bool play_step(struct play *play, uint32_t index, FILE *out);
/* The image that the steps since OP_CRASH ask for, and its place. NULL: play->why. The caller frees
 * it, or gives it away. */
struct pc_image *play_image(struct play *play, size_t *k);
/* Ends the last epoch. */
void play_end(struct play *play);

#endif
