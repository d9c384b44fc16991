/* level.h: levels of durability: who syncs how often, the program that uses a store or the store by
 * itself, and what is promised for that. The rows of `powercut matrix` that cost something. */
#ifndef HARNESS_LEVEL_H
#define HARNESS_LEVEL_H

#include "campaign.h"
#include "json.h"

#define LEVEL_NO_WINDOW UINT32_MAX

struct level {
    const char *name;
    const char *promise;
    uint32_t every;    /* a sync after so many writes; 1: with each; 0: never */
    uint32_t interval; /* of the clock, after which the store syncs by itself; 0: never */
    bool no_log;
};

/* A store that promises the same with every tuning has not the last two, which are its own. */
size_t level_count(const struct pc_store *store);
const struct level *level_at(size_t index);

/* Acknowledged writes that a power cut may take; LEVEL_NO_WINDOW: any number. */
uint32_t level_window(const struct level *level, const struct pc_store *store);

/* Trace `index` of a level: drawn like those of a run, then the syncs are put as the level has
 * them: by the tuning of a store that syncs after so many writes by itself, else as operations.
 * Traces with an even index are never flushed or closed by the program. */
void level_trace(const struct campaign *campaign, const struct level *level, uint64_t index,
                 enum pc_model model, struct trace *trace);

/* What a level costs over `traces` traces (a line "cost"), its recoveries against the size of the
 * log (a line "recovery") and the outcomes along its first trace (a line "strip"), all under
 * `model`. One line of JSON each, appended to `out`. */
void level_figures(const struct campaign *campaign, const struct level *level, enum pc_model model,
                   uint32_t traces, FILE *out);

#endif
