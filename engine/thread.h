/* thread.h: the one door to threads, locks and atomics, so that a scheduler can take them over.
 *
 * In production everything maps to pthreads and compiler builtins. Time is looked at only where
 * a handle has a thread of its own: to keep a rate, and to say how long a write waited. What an
 * inline handle does never depends on it. A lock call that fails is a
 * programmer's error (a lock never initialised), hence must().
 * Thread safety: this is what the others are made safe with. */
#ifndef ENGINE_THREAD_H
#define ENGINE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "base/check.h"

struct thread_mutex {
    pthread_mutex_t os;
};

struct thread_cond {
    pthread_cond_t os;
};

struct thread {
    pthread_t os;
    bool running;
};

static inline void thread_mutex_init(struct thread_mutex *m)
{
    int failed = pthread_mutex_init(&m->os, NULL);

    must(failed == 0);
}

static inline void thread_mutex_release(struct thread_mutex *m)
{
    int failed = pthread_mutex_destroy(&m->os);

    must(failed == 0);
}

static inline void thread_lock(struct thread_mutex *m)
{
    int failed = pthread_mutex_lock(&m->os);

    must(failed == 0);
}

static inline void thread_unlock(struct thread_mutex *m)
{
    int failed = pthread_mutex_unlock(&m->os);

    must(failed == 0);
}

static inline void thread_cond_init(struct thread_cond *c)
{
    pthread_condattr_t how;
    int failed = pthread_condattr_init(&how);

    if (!failed)
        failed = pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
    if (!failed)
        failed = pthread_cond_init(&c->os, &how);
    must(failed == 0);
    failed = pthread_condattr_destroy(&how);
    must(failed == 0);
}

static inline void thread_cond_release(struct thread_cond *c)
{
    int failed = pthread_cond_destroy(&c->os);

    must(failed == 0);
}

/* As every condition wait: may return early; callers loop over what they wait for. */
static inline void thread_wait(struct thread_cond *c, struct thread_mutex *m)
{
    int failed = pthread_cond_wait(&c->os, &m->os);

    must(failed == 0);
}

/* The same, until os_ticks() is at `until` at the latest; callers look at the time again. */
static inline void thread_wait_until(struct thread_cond *c, struct thread_mutex *m, uint64_t until)
{
    struct timespec at = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    int ignored = pthread_cond_timedwait(&c->os, &m->os, &at); /* woken, or it is time */

    (void)ignored;
}

/* Wakes all. There is no wake-one: several conditions may share a variable (K41). */
static inline void thread_wake(struct thread_cond *c)
{
    int failed = pthread_cond_broadcast(&c->os);

    must(failed == 0);
}

/* false: the system has no thread to give. */
static inline bool thread_start(struct thread *t, void *(*run)(void *), void *arg)
{
    t->running = pthread_create(&t->os, NULL, run, arg) == 0;
    return t->running;
}

static inline void thread_join(struct thread *t)
{
    int failed = t->running ? pthread_join(t->os, NULL) : 0;

    must(failed == 0);
    t->running = false;
}

#define atomic_get(p)      __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_set(p, v)   __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_relaxed(p)  __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_add(p, n)   __atomic_add_fetch((p), (n), __ATOMIC_ACQ_REL)
#define atomic_sub(p, n)   __atomic_sub_fetch((p), (n), __ATOMIC_ACQ_REL)
#define atomic_count(p, n) ((void)__atomic_add_fetch((p), (n), __ATOMIC_RELAXED))

/* *p becomes n if that is more. */
static inline void atomic_max(uint64_t *p, uint64_t n)
{
    uint64_t now = atomic_relaxed(p);

    while (now < n &&
           !__atomic_compare_exchange_n(p, &now, n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

#endif
