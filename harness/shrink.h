/* shrink.h: makes a finding smaller: operations, batches, values, faults, then the image. A smaller
 * trace counts when *some* crash state of it breaks the same rule. Bounded by counts, not time. */
#ifndef HARNESS_SHRINK_H
#define HARNESS_SHRINK_H

#include "explore.h"

struct shrink {
    const struct pc_store *store;
    uint64_t seed;
    bool forked;    /* every try in a child: the store dies or hangs */
    bool plays;     /* a try executes the crashes of the trace, and explores no others */
    uint32_t tries; /* how many traces may be tried */
    uint32_t tried;
    void (*beat)(void *ctx); /* called now and then: progress; NULL: none */
    void *beat_ctx;
};

/* Replaces *trace (released) and *finding by the smallest that was found. */
void shrink_finding(struct shrink *shrink, struct trace *trace, struct finding *finding);

/* Explores a trace; with `forked` in a child. True: it breaks a rule. */
bool shrink_probe(struct shrink *shrink, const struct trace *trace, const struct budget *budget,
                  struct finding *finding);
/* Executes trace and finding as they are, without a search: the rule that breaks, or RULE_NONE. */
enum rule shrink_replay(const struct pc_store *store, const struct trace *trace,
                        const struct finding *finding);
/* The same; *verdict, when not NULL, is what was seen. `lenient`: as in play.h. */
enum rule shrink_replay_told(const struct pc_store *store, const struct trace *trace,
                             const struct finding *finding, bool lenient, struct verdict *verdict);

/* shrink_crash.c: crashes of the trace in words, and without what the rule does not need. */
void shrink_crashes(const struct pc_store *store, struct trace *trace, struct finding *finding);
/* A finding that was seen in the recovery from the last crash of the trace becomes one after that
 * crash (cuts is 1), and the trace ends before it. False: it is no such finding, and stays. */
bool shrink_promote(const struct pc_store *store, struct trace *trace, struct finding *finding);

#endif
