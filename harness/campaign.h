/* campaign.h: many traces, several at a time, one verdict. `powercut run`. */
#ifndef HARNESS_CAMPAIGN_H
#define HARNESS_CAMPAIGN_H

#include "explore.h"

struct campaign {
    const struct pc_store *store;
    const char *store_name; /* as it was asked for */
    uint64_t seed;
    uint64_t first; /* the number of the first trace that is drawn */
    uint64_t seeds; /* how many are drawn; each runs under every model */
    enum pc_model models[PC_MODELS];
    uint32_t model_count;
    uint32_t ops;
    uint32_t exhaustive_ops; /* instead of random traces: every sequence of so many operations */
    bool compared; /* one order beside others: no trace is only played, none crashes by itself */
    uint32_t fault_pairs; /* with `systematic`: and with so many pairs of them, sampled */
    bool systematic;      /* each trace once more with every single fault that it can meet */
    uint32_t faults;      /* kinds that may be armed, a bit each */
    uint32_t unit;        /* 0: 512, and sometimes 4096 */
    struct budget budget;
    unsigned jobs;
    uint64_t time_seconds;
    uint64_t max_findings; /* 0: all */
    bool no_shrink, json, quiet, verbose;
    bool brief;                    /* no summary as text */
    bool forever;                  /* until the time is over */
    uint64_t least_recoveries;     /* fewer: inconclusive */
    const char *out;               /* directory of findings */
    FILE *results;                 /* gets every line of --json; NULL: nothing */
    const char *canary;            /* a program with a planted mistake, or NULL */
    const char *program;           /* argv[0] */
    const char *command;           /* what repeats the run */
    bool interrupted, out_of_time; /* set by campaign_run: not all traces were run */
};

/* Operations that exhaustive sequences are made of. */
#define CAMPAIGN_ALPHABET 11u

/* The exit code of the program. */
int campaign_run(struct campaign *campaign);

/* Explores a trace with every single fault of the campaign's kinds, then with pairs of them; stops
 * at a finding, and *trace is the one that shows it. */
void campaign_single_faults(const struct campaign *campaign, struct explorer *explorer,
                            struct trace *trace, struct finding *finding);

/* Draws the trace of one seed, as campaign_run does. */
void campaign_trace(const struct campaign *campaign, uint64_t index, enum pc_model model,
                    struct trace *trace);

#endif
