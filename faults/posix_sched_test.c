/* posix_sched_test.c: the scheduler finds what only some schedules show, and finds it again. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "powercut/sched.h"

#define SEEDS 150u

static void give_up(void *ctx, enum pc_sched_end end, const char *story)
{
    (void)ctx;
    _exit(*story ? 10 + (int)end : 1);
}

static void run(uint64_t seed, void (*body)(void *), void *arg, struct pc_sched_stats *stats)
{
    struct pc_sched sched = {.seed = seed, .limit = 100000, .stuck = give_up};

    pc_sched_run(&sched, body, arg, stats);
}

/* How many of the seeds end so in a child: 0, or 10 + enum pc_sched_end. */
static unsigned seeds_that_end(int code, void (*body)(void *), void *arg)
{
    unsigned count = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        int status = 0;
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            run(seed, body, arg, NULL);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        count += WIFEXITED(status) && WEXITSTATUS(status) == code;
    }
    return count;
}

/* ---- an update that is not atomic ---- */

struct counter {
    pthread_mutex_t lock;
    int value;
    int locked; /* does the update hold the lock? */
};

static void *count_up(void *arg)
{
    struct counter *c = arg;

    for (int i = 0; i < 5; i++) {
        int old;

        if (c->locked)
            pthread_mutex_lock(&c->lock);
        old = c->value;
        pc_sched_point();
        c->value = old + 1;
        if (c->locked)
            pthread_mutex_unlock(&c->lock);
    }
    return NULL;
}

static void three_count(void *arg)
{
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, arg), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void lost_updates(void **state)
{
    unsigned lost = 0, kinds = 0;
    int seen[16] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct counter c = {PTHREAD_MUTEX_INITIALIZER, 0, 1};

        run(seed, three_count, &c, NULL);
        assert_int_equal(c.value, 15);
        c.locked = c.value = 0;
        run(seed, three_count, &c, NULL);
        assert_in_range(c.value, 1, 15);
        lost += c.value < 15;
        kinds += seen[c.value]++ == 0;
    }
    assert_true(lost > SEEDS / 4);
    assert_true(kinds > 5);
}

static void one_seed_one_run(void **state)
{
    uint64_t digests[SEEDS];
    unsigned different = 0;

    (void)state;
    for (unsigned i = 0; i < 2 * SEEDS; i++) {
        struct counter c = {PTHREAD_MUTEX_INITIALIZER, 0, 0};
        struct pc_sched_stats stats;

        run(i % SEEDS, three_count, &c, &stats);
        assert_int_equal(stats.threads, 4);
        if (i < SEEDS) {
            digests[i] = stats.digest ^ (uint64_t)c.value;
            different += i > 0 && digests[i] != digests[i - 1];
        } else {
            assert_true(digests[i - SEEDS] == (stats.digest ^ (uint64_t)c.value));
        }
    }
    assert_true(different > SEEDS / 2);
}

/* ---- waiting for each other ---- */

struct pair {
    pthread_mutex_t a, b;
    pthread_rwlock_t c;
    int crossed, shared;
};

static void *take_both(void *arg)
{
    struct pair *p = arg;

    pthread_mutex_lock(p->crossed ? &p->b : &p->a);
    pthread_rwlock_rdlock(&p->c);
    pthread_mutex_lock(p->crossed ? &p->a : &p->b);
    pthread_mutex_unlock(&p->a);
    pthread_mutex_unlock(&p->b);
    pthread_rwlock_unlock(&p->c);
    return NULL;
}

static void both_ways(void *arg)
{
    struct pair *p = arg;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, take_both, p), 0);
    pthread_mutex_lock(&p->a);
    if (p->shared)
        pthread_rwlock_wrlock(&p->c);
    pthread_mutex_lock(&p->b);
    pthread_mutex_unlock(&p->b);
    if (p->shared)
        pthread_rwlock_unlock(&p->c);
    pthread_mutex_unlock(&p->a);
    pthread_join(thread, NULL);
}

static void deadlocks(void **state)
{
    struct pair p = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                     PTHREAD_RWLOCK_INITIALIZER, 0, 0};
    unsigned stuck;

    (void)state;
    assert_int_equal(seeds_that_end(0, both_ways, &p), SEEDS);
    p.shared = 1;
    assert_int_equal(seeds_that_end(0, both_ways, &p), SEEDS);
    p.crossed = 1;
    stuck = seeds_that_end(10 + PC_SCHED_DEADLOCK, both_ways, &p);
    assert_in_range(stuck, SEEDS / 20, SEEDS - SEEDS / 20);
    assert_int_equal(seeds_that_end(0, both_ways, &p), SEEDS - stuck);
}

/* ---- conditions ---- */

struct box {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int full, taken, careless, timed;
};

static void *taker(void *arg)
{
    struct box *box = arg;
    struct timespec soon = {0, 0};

    for (int i = 0; i < 4; i++) {
        pthread_mutex_lock(&box->lock);
        if (box->careless && !box->full) { /* what it saw may have changed when it waits */
            pthread_mutex_unlock(&box->lock);
            pthread_mutex_lock(&box->lock);
            pthread_cond_wait(&box->changed, &box->lock);
        }
        while (!box->full)
            (void)(box->timed ? pthread_cond_timedwait(&box->changed, &box->lock, &soon)
                              : pthread_cond_wait(&box->changed, &box->lock));
        box->full = 0;
        box->taken++;
        pthread_cond_broadcast(&box->changed);
        pthread_mutex_unlock(&box->lock);
    }
    return NULL;
}

static void hand_over(void *arg)
{
    struct box *box = arg;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, taker, box), 0);
    for (int i = 0; i < 4; i++) {
        pthread_mutex_lock(&box->lock);
        while (box->full)
            pthread_cond_wait(&box->changed, &box->lock);
        box->full = 1;
        if (!box->timed)
            pthread_cond_signal(&box->changed);
        pthread_mutex_unlock(&box->lock);
    }
    pthread_join(thread, NULL);
    assert_int_equal(box->taken, 4);
}

static void conditions(void **state)
{
    struct box box = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, 0};

    (void)state;
    assert_int_equal(seeds_that_end(0, hand_over, &box), SEEDS);
    box.timed = 1; /* nobody signals: time has to pass */
    assert_int_equal(seeds_that_end(0, hand_over, &box), SEEDS);
    box.timed = 0;
    box.careless = 1; /* the wake-up is lost */
    assert_in_range(seeds_that_end(10 + PC_SCHED_DEADLOCK, hand_over, &box), SEEDS / 30, SEEDS);
}

/* ---- time ---- */

struct nap {
    pthread_mutex_t lock;
    pthread_cond_t never;
    uint64_t began, woke[3]; /* nanoseconds of the run */
};

static uint64_t clock_now(clockid_t clock)
{
    struct timespec t;

    assert_int_equal(clock_gettime(clock, &t), 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *an_hour(void *arg)
{
    struct nap *nap = arg;

    assert_int_equal(nanosleep(&(struct timespec){3600, 0}, NULL), 0);
    nap->woke[0] = clock_now(CLOCK_MONOTONIC);
    return NULL;
}

static void *a_condition(void *arg)
{
    struct nap *nap = arg;
    struct timespec at = {(time_t)(nap->began / 1000000000u) + 60, 0};
    int st;

    pthread_mutex_lock(&nap->lock);
    while ((st = pthread_cond_timedwait(&nap->never, &nap->lock, &at)) == 0)
        ;
    assert_int_equal(st, ETIMEDOUT);
    nap->woke[1] = clock_now(CLOCK_REALTIME);
    assert_true(nap->woke[1] >= (uint64_t)at.tv_sec * 1000000000u);
    pthread_mutex_unlock(&nap->lock);
    return NULL;
}

static void sleepers(void *arg)
{
    struct nap *nap = arg;
    pthread_t threads[2];

    nap->began = clock_now(CLOCK_MONOTONIC);
    assert_int_equal(nap->began / 1000000000u, 1767225600);
    assert_int_equal(time(NULL), 1767225600);
    assert_int_equal(pthread_create(&threads[0], NULL, an_hour, nap), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, a_condition, nap), 0);
    while (clock_now(CLOCK_MONOTONIC) < nap->began + 1000) /* it goes on by being looked at */
        ;
    assert_int_equal(usleep(1000000), 0);
    nap->woke[2] = clock_now(CLOCK_MONOTONIC);
    assert_true(nap->woke[2] >= nap->began + 1000000000u);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(nap->woke[0] >= nap->began + 3600 * 1000000000ull);
}

/* An hour of the run is no time at all, and the same for the same seed. */
static void time_is_the_runs(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct nap naps[2];

        for (int i = 0; i < 2; i++) {
            naps[i] =
                (struct nap){.lock = PTHREAD_MUTEX_INITIALIZER, .never = PTHREAD_COND_INITIALIZER};
            pc_sched_run(&(struct pc_sched){.seed = seed}, sleepers, &naps[i], NULL);
        }
        assert_memory_equal(naps[0].woke, naps[1].woke, sizeof naps[0].woke);
    }
    assert_int_equal(clock_gettime((clockid_t)-1000000, &(struct timespec){0}), -1);
}

/* Nobody waits for less because a time is more than can be counted. */
static void for_ever(void *arg)
{
    static const struct timespec ages = {INT64_MAX, 0}, before = {-1, 0};
    struct nap *nap = arg;

    nap->began = clock_now(CLOCK_MONOTONIC);
    pthread_mutex_lock(&nap->lock);
    assert_int_equal(pthread_cond_timedwait(&nap->never, &nap->lock, &before), ETIMEDOUT);
    nap->woke[0] = clock_now(CLOCK_MONOTONIC);
    while (pthread_cond_timedwait(&nap->never, &nap->lock, &ages) == 0)
        ;
    pthread_mutex_unlock(&nap->lock);
    nap->woke[1] = clock_now(CLOCK_MONOTONIC);
    assert_int_equal(nanosleep(&ages, NULL), 0);
    assert_int_equal(sleep(UINT_MAX), 0);
    nap->woke[2] = clock_now(CLOCK_MONOTONIC);
}

static void far_times(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct nap nap = {.lock = PTHREAD_MUTEX_INITIALIZER, .never = PTHREAD_COND_INITIALIZER};

        pc_sched_run(&(struct pc_sched){.seed = seed}, for_ever, &nap, NULL);
        assert_true(nap.woke[0] < nap.began + 3600 * 1000000000ull);
        assert_true(nap.woke[1] > nap.began + 200ull * 365 * 86400 * 1000000000u);
        assert_true(nap.woke[2] > nap.woke[1]);
    }
}

/* ---- a loop without an end ---- */

static void spin(void *arg)
{
    (void)arg;
    for (;;)
        pc_sched_point();
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(seeds_that_end(10 + PC_SCHED_LIMIT, spin, NULL), SEEDS);
    assert_int_equal(pc_sched_self(), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_updates), cmocka_unit_test(one_seed_one_run),
        cmocka_unit_test(deadlocks),    cmocka_unit_test(conditions),
        cmocka_unit_test(limits),       cmocka_unit_test(time_is_the_runs),
        cmocka_unit_test(far_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
