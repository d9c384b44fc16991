/* survey.h: visits the crash states of an epoch like explore.h, but goes on after a violation, and
 * sorts what came back: kept, lost within what was promised, lost against a promise, wrong, and so
 * on. The report's crash-point strip and the durability matrix are made of its counts.
 *
 * Legal images of a point are visited depth first up to `leaves` recoveries; then `samples` seeded
 * images. Nothing here shrinks or stops early. Thread safety: none. */
#ifndef HARNESS_SURVEY_H
#define HARNESS_SURVEY_H

#include "finding.h"
#include "judge.h"
#include "session.h"

enum outcome {
    OUTCOME_KEPT,    /* every acknowledged write is there */
    OUTCOME_FALSE,   /* the same, and one that was answered with an error is there, too */
    OUTCOME_WINDOW,  /* acknowledged writes are gone, and no promise covered them */
    OUTCOME_REFUSED, /* answered with a typed error where that is legal: detected */
    OUTCOME_LOST,    /* a write that a promise covered is gone */
    OUTCOME_WRONG,   /* a hole, a torn batch, a phantom, wrong bytes, readers that disagree */
    OUTCOME_CLOSED,  /* does not open, or cannot be read */
    OUTCOME_STUCK,   /* hangs, dies, leaks or does not go on working */
    OUTCOMES
};

const char *outcome_name(enum outcome outcome); /* "kept" */
/* Is it worse than what was promised? */
bool outcome_bad(enum outcome outcome);
/* What a broken rule amounts to. RULE_NONE: OUTCOME_KEPT. */
enum outcome outcome_of(enum rule rule);

struct survey_state {
    size_t k;
    bool inside;
    enum outcome outcome;
    uint32_t lost;   /* acknowledged units that are not there; 0 unless WINDOW or LOST */
    uint64_t steps;  /* calls of the disk, reads included, to open and to read everything back; 0
                       * where the store had to go on living, too */
    uint64_t logged; /* bytes written to files *.log that were not removed before the crash */
    bool scanned;    /* the log reader looked for claims for real */
    uint32_t trouble_at;
    enum pc_fill fill;
    const struct verdict *verdict;
    const struct pc_image *image; /* as it was decided; during the callback only */
};

struct survey_point {
    size_t k;
    bool inside, exhaustive;
    const char *images; /* how many legal images, decimal; "" when they were not counted */
    uint64_t recoveries;
    uint64_t count[OUTCOMES];
};

struct survey {
    const struct pc_store *store;
    const char *tuning;
    uint64_t seed;
    uint32_t leaves, samples;
    uint32_t points_max;  /* crash points per epoch, spread evenly when there are more; 0: all */
    enum trouble trouble; /* met by every recovery */
    void *ctx;
    void (*state)(void *ctx, const struct survey_state *state); /* NULL: none */
    void (*point)(void *ctx, const struct survey_point *point); /* NULL: none */
};

/* Visits a finished epoch (session_end_epoch was called). */
void survey_epoch(const struct survey *survey, struct session *session);

#endif
