/* deal.h: in which order a campaign takes its traces. A mistake of the store's logic shows in a
 * trace of the right shape, whatever is lost at a crash; one of its durability shows in most
 * traces, at the right crash. So the order is broad first: of a block of traces each is explored
 * under one model before any is explored under a second one, the models taking turns; and beside
 * the first round some more traces are only played, not explored, which costs a few milliseconds
 * each.
 *
 * Every pair of trace and model comes exactly once, whatever the order. Pure functions. */
#ifndef HARNESS_DEAL_H
#define HARNESS_DEAL_H

#include <stdbool.h>
#include <stdint.h>

#define DEAL_BLOCK 256u /* traces that are spread over all models before the next ones begin */
#define DEAL_PLAYS 64u  /* traces that are played for one that is explored */

struct deal {
    uint64_t first;  /* the number of the first trace */
    uint64_t traces; /* to be explored, each under every model; UINT64_MAX: without end */
    uint32_t models;
    bool plain; /* trace by trace, none only played: where all are enumerated anyway */
};

struct dealt {
    uint64_t trace; /* those that are played: from DEAL_PLAYS * first on */
    uint32_t model; /* an index */
    bool played;    /* not explored */
};

/* The number of the first task: a run that was cut into units has no number twice. */
uint64_t deal_first(const struct deal *deal);

/* How many tasks; UINT64_MAX: without end. */
uint64_t deal_tasks(const struct deal *deal);

struct dealt deal_task(const struct deal *deal, uint64_t task);

#endif
