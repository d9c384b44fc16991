/* jobs.h: runs numbered tasks, each in a child of its own, several at a time, and hands the results
 * over strictly in the order of their numbers: what comes out never depends on how many ran at
 * once. A task that crashes, aborts, exits or hangs is a result like any other.
 *
 * The child gets a channel: it emits bytes (any amount), beats while it makes progress, and keeps
 * its position in a scratch area that the parent can read however the child ended. What it writes
 * to stdout or stderr is captured; the parent sees the last JOBS_STDERR_MAX bytes.
 *
 * The first SIGINT, SIGTERM or SIGUSR1 begins no further task and lets the running ones finish; the
 * second kills them. Tasks that were killed that way are not reported, nor is any task after them.
 *
 * Thread safety: none; call it from a process with one thread. Signals are blocked while it runs
 * and restored at the end. Ownership: a result is a view, good during the call of `done`. */
#ifndef HARNESS_JOBS_H
#define HARNESS_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/check.h"

#define JOBS_SCRATCH_SIZE ((size_t)64 << 10)
#define JOBS_STDERR_MAX   ((size_t)16 << 10)

struct jobs_channel;

/* In the child. */
void jobs_emit(struct jobs_channel *channel, struct bytes bytes); /* appends to the result */
void *jobs_scratch(struct jobs_channel *channel); /* JOBS_SCRATCH_SIZE bytes, zero at first */
void jobs_beat(struct jobs_channel *channel);     /* progress: not hanging */

enum jobs_outcome {
    JOBS_EXITED,   /* `work` returned */
    JOBS_FAILED,   /* the child left with an exit code: `code`, 0 too (exit() under the task) */
    JOBS_SIGNALED, /* the child died of signal `code` */
    JOBS_STALLED   /* no beat for stall_seconds; killed */
};

const char *jobs_outcome_name(enum jobs_outcome outcome); /* "signaled" */

struct jobs_result {
    uint64_t task;
    enum jobs_outcome outcome;
    int code;
    struct bytes emitted;
    struct bytes stderr_tail;
    const void *scratch; /* JOBS_SCRATCH_SIZE bytes */
    uint64_t beats;
    double seconds; /* wall time of the child */
};

struct jobs_config {
    unsigned jobs;          /* children at once; 0: one per processor */
    uint64_t first;         /* the number of the first task */
    uint64_t count;         /* how many; UINT64_MAX: until `done` or time says stop */
    unsigned stall_seconds; /* 0: never; of a child that works, half of it is its processor time */
    uint64_t time_seconds;  /* begin no task after this time; 0: no cap */
    void *ctx;
    /* In the child. */
    void (*work)(void *ctx, uint64_t task, struct jobs_channel *channel);
    /* In the parent, in the order of the tasks. False: begin no more; later tasks are killed and
     * not reported, even those that are finished. */
    bool (*done)(void *ctx, uint64_t task, const struct jobs_result *result);
    /* In the parent, about ten times a second; NULL: none. `running`: children at the moment. */
    void (*tick)(void *ctx, unsigned running);
};

enum jobs_end {
    JOBS_ALL,         /* every task was reported */
    JOBS_STOPPED,     /* `done` said so */
    JOBS_TIME,        /* the time was over first */
    JOBS_INTERRUPTED, /* a signal came; jobs_signal says which */
    JOBS_BROKEN       /* no child could be started, errno says why: the machine's fault */
};

MUST_USE enum jobs_end jobs_run(const struct jobs_config *config);

/* The signal that ended the last jobs_run with JOBS_INTERRUPTED. */
int jobs_signal(void);

#endif
