/* sched.h: runs a program's threads one at a time; which one goes on is drawn from a seed, so that
 * a run with several threads can be repeated exactly.
 *
 * The program calls pthreads as ever: linked with the POSIX layer, pthread_create, join, mutexes,
 * read-write locks and conditions are interposed, and every call of theirs, like every call that
 * meets the simulated disk, is a *decision point* where another thread may be let on. Between two
 * such points a thread is never interrupted, so what races without locks is not found here; that is
 * ThreadSanitizer's work. Threads that were not started below pc_sched_run go on as always, and
 * must not hold what the scheduled ones wait for. Semaphores, barriers, pthread_once, spin locks,
 * timed waits for read-write locks, and futexes are not interposed: waiting there with the turn in
 * hand is waiting for ever. A timed wait for a mutex waits until it has it.
 *
 * Time is part of the schedule. For scheduled threads clock_gettime, gettimeofday and time tell a
 * time that begins with the run, at 2026-01-01 00:00:00 UTC on every clock but those of processor
 * time, and goes on at each decision point and each look by as much as the seed says, 1 ns to 1 ms.
 * Sleeping, and waiting with a time, end when it has come; where nobody else goes on it comes at
 * once. What waits by itself is not interposed (poll, select, sigtimedwait) and waits for real
 * time with the turn in hand.
 *
 * How the next thread is drawn is itself drawn from the seed: a random walk with few or many
 * switches; priorities that change at few places (after Burckhardt et al., "A randomized scheduler
 * with probabilistic guarantees of finding bugs", 2010); one thread starved for a while (after
 * O'Callahan et al., "Engineering record and replay for deployability", 2017, chaos mode). A wait
 * for a condition sometimes ends without a reason, as POSIX allows; one with a time then
 * ends because that much time has gone by. */
#ifndef POWERCUT_SCHED_H
#define POWERCUT_SCHED_H

#include <stddef.h>
#include <stdint.h>

#define PC_SCHED_THREADS 64 /* at most in one run, ended ones too; another one gets EAGAIN */

enum pc_sched_end {
    PC_SCHED_DONE,
    PC_SCHED_DEADLOCK, /* every thread waits */
    PC_SCHED_LIMIT     /* too many decision points: a loop without an end, or the limit is low */
};

struct pc_sched {
    uint64_t seed;
    uint64_t limit; /* of decision points; 0: none */
    /* The run cannot go on. `story` says who waits for what. Called on one of the threads; must not
     * return, since the others never will. */
    void (*stuck)(void *ctx, enum pc_sched_end end, const char *story);
    void *ctx;
};

struct pc_sched_stats {
    uint64_t points, switches; /* decision points; those where another thread went on */
    unsigned threads;          /* that there were, the caller included */
    uint64_t digest;           /* of all decisions: equal for two equal runs */
};

/* Calls body(arg) as the first thread, and comes back when it and all threads it started have
 * ended. One such call at a time in a process. `stats` may be NULL. */
void pc_sched_run(const struct pc_sched *sched, void (*body)(void *arg), void *arg,
                  struct pc_sched_stats *stats);
/* A decision point of one's own; nothing on a thread that is not scheduled. */
void pc_sched_point(void);
/* The number of the calling thread in the order of their starts, from 0; -1: not scheduled. */
int pc_sched_self(void);

#endif
