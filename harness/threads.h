/* threads.h: several threads on one handle of a store, scheduled by a seed (powercut/sched.h), on
 * the simulated disk; its own threads in the background take part. `powercut threads`.
 *
 * What every thread did and was told is written down, and judged afterwards against the reference
 * map: writes stand in the order of the store's sequence numbers, and each read has to agree with
 * one cut of that order between what was acknowledged before it began, or shown to anybody before,
 * and what had begun when it ended. All reads of one snapshot agree with one such cut. Then the
 * power fails, at every point of the run, as in any other crash test.
 *
 * With `faults`, one run in four meets a failing sync or write, drawn from the seed. A thread whose
 * write was answered an error writes no more. What that write left behind nobody is held to: it is
 * there as a whole after a crash, or not at all; what was acknowledged counts as ever. */
#ifndef HARNESS_THREADS_H
#define HARNESS_THREADS_H

#include "campaign.h"

#define THREADS_MOST     8u
#define THREADS_OPS_MOST 400u

struct threads_setting {
    uint64_t seed;     /* of what the threads do */
    uint64_t schedule; /* of who goes on */
    uint32_t threads;  /* that do something: 1 to THREADS_MOST */
    uint32_t ops;      /* of each of them; at most THREADS_OPS_MOST */
    enum pc_model model;
    bool crash;  /* explore crashes, too */
    bool faults; /* some runs meet one */
};

/* Plain data: it may lie in memory that is shared with another process. */
struct threads_outcome {
    struct verdict verdict;
    uint32_t units, reads;
    uint64_t points, switches; /* of the schedule */
    uint64_t digest;           /* of schedule and answers */
    uint64_t crash_points, recoveries;
    uint32_t fired, failed; /* calls that failed; writes that were answered an error */
};

/* Plays once. When the threads are stuck, the process ends with *out filled in. */
void threads_play(const struct pc_store *store, const struct budget *budget,
                  const struct threads_setting *setting, struct threads_outcome *out);

/* What is left open is drawn from the seed. */
struct threads_given {
    uint32_t threads; /* 0: 2 to 4 */
    bool has_schedule;
    uint64_t schedule;
};

/* `powercut threads`: campaign->seeds runs with seeds from campaign->seed on, each in a child. The
 * exit code of the program. */
int threads_run(const struct campaign *campaign, const struct threads_given *given);

#endif
