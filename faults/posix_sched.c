/* posix_sched.c: the scheduler of sched.h. All threads are real; one holds the turn, a semaphore
 * each hands it over. So whatever is touched here is touched by one thread at a time. A lock is
 * taken with the system's trylock, by a thread that waits its turn again when it was taken, so the
 * state of a mutex is never kept twice. Time is a number that goes on with the decisions. */
#define _GNU_SOURCE
#include "powercut/sched.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/rng.h"
#include "powercut/posix.h"

enum state { FREE, READY, WAITS_LOCK, WAITS_CONDITION, WAITS_TIMED, WAITS_END, DONE };

struct sched_thread {
    enum state state;
    const void *on; /* the lock, condition or thread that it waits for */
    pthread_t os;
    uint64_t until; /* WAITS_TIMED */
    bool timed_out;
    int priority;
    sem_t turn;
    void *(*run)(void *arg);
    void *arg;
};

enum strategy { WALK, PRIORITIES, STARVE, STRATEGIES };

static struct {
    struct pc_sched options;
    struct pc_sched_stats stats;
    struct sched_thread threads[PC_SCHED_THREADS];
    struct rng rng;
    enum strategy strategy;
    uint64_t rarely;  /* a switch, or a change of priority, once in so many points */
    int lowest;       /* the lowest priority given so far */
    unsigned victim;  /* STARVE */
    uint64_t release; /* the point at which another one is taken */
    uint64_t now;     /* nanoseconds, of every clock */
    uint64_t tempo;   /* that go by from one decision point to the next */
} sched;

#define SECOND 1000000000ull
#define EPOCH  (1767225600ull * SECOND) /* every run begins on 1 January 2026 */
#define FAR    (9000000000ull * SECOND) /* whoever waits for longer waits for this; in 2255 */

static __thread struct sched_thread *self;

static int number_of(const struct sched_thread *thread)
{
    return (int)(thread - sched.threads);
}

/* ---- the system's own calls ---- */

/* Conditions of glibc have two versions, of which a plain search may bring the older one. A
 * sanitizer that is linked into the program is not behind it, but beside it. */
static void *found(void *sanitizer, const char *name, const char *version)
{
    void *address = sanitizer;

    if (address == NULL && version)
        address = dlvsym(RTLD_NEXT, name, version);
    if (address == NULL)
        address = dlsym(RTLD_NEXT, name);
    must(address != NULL);
    return address;
}

#define SANITIZERS(name) extern __typeof__(name) __interceptor_##name __attribute__((weak));
SANITIZERS(pthread_create)
SANITIZERS(pthread_join)
SANITIZERS(pthread_mutex_lock)
SANITIZERS(pthread_mutex_trylock)
SANITIZERS(pthread_mutex_timedlock)
SANITIZERS(pthread_mutex_unlock)
SANITIZERS(pthread_rwlock_rdlock)
SANITIZERS(pthread_rwlock_tryrdlock)
SANITIZERS(pthread_rwlock_wrlock)
SANITIZERS(pthread_rwlock_trywrlock)
SANITIZERS(pthread_rwlock_unlock)
SANITIZERS(pthread_cond_wait)
SANITIZERS(pthread_cond_timedwait)
SANITIZERS(pthread_cond_clockwait)
SANITIZERS(pthread_cond_signal)
SANITIZERS(pthread_cond_broadcast)
SANITIZERS(clock_gettime)
SANITIZERS(gettimeofday)
SANITIZERS(time)
SANITIZERS(clock_nanosleep)
SANITIZERS(nanosleep)
SANITIZERS(usleep)
SANITIZERS(sleep)

#define REAL(name, version)                                                                        \
    ({                                                                                             \
        static __typeof__(&name) real;                                                             \
                                                                                                   \
        if (real == NULL)                                                                          \
            *(void **)&real = found((void *)__interceptor_##name, #name, version);                 \
        real;                                                                                      \
    })
#define REAL_CONDITION(name) REAL(name, "GLIBC_2.3.2")

/* ---- who goes on ---- */

static const char *word_of(enum state state)
{
    switch (state) {
    case READY:
        return "could go on";
    case WAITS_LOCK:
        return "waits for a lock";
    case WAITS_CONDITION:
        return "waits for a condition";
    case WAITS_TIMED:
        return "waits for a condition or a time";
    case WAITS_END:
        return "waits for the end of a thread";
    default:
        return "has ended";
    }
}

static void stuck(enum pc_sched_end end)
{
    char story[1024];
    size_t len = 0;

    for (unsigned i = 0; i < sched.stats.threads && len < sizeof story - 1; i++) {
        const struct sched_thread *t = &sched.threads[i];

        if (t->state != DONE)
            len += (size_t)snprintf(story + len, sizeof story - len, "%sthread %u %s",
                                    len ? ", " : "", i, word_of(t->state));
    }
    sched.options.stuck(sched.options.ctx, end, story);
    must(!"stuck came back");
}

static void time_out(struct sched_thread *t)
{
    sched.now = t->until > sched.now ? t->until : sched.now;
    t->timed_out = true;
    t->state = READY;
}

/* A thread whose time has come may go on; that it does so late is up to the scheduler. */
static void pass_time(void)
{
    sched.now += sched.tempo;
    for (unsigned i = 0; i < sched.stats.threads; i++)
        if (sched.threads[i].state == WAITS_TIMED && sched.threads[i].until <= sched.now)
            time_out(&sched.threads[i]);
}

static struct sched_thread *first_due(void)
{
    struct sched_thread *first = NULL;

    for (unsigned i = 0; i < sched.stats.threads; i++) {
        struct sched_thread *t = &sched.threads[i];

        if (t->state == WAITS_TIMED && (first == NULL || t->until < first->until))
            first = t;
    }
    return first;
}

/* A wait may end early; or so much time goes by that the first one with a time ends. */
static void wake_for_nothing(bool last_resort)
{
    unsigned at = (unsigned)rng_below(&sched.rng, sched.stats.threads);

    for (unsigned i = 0; i < sched.stats.threads; i++) {
        struct sched_thread *t = &sched.threads[(at + i) % sched.stats.threads];

        if (t->state == WAITS_TIMED) {
            time_out(first_due());
            return;
        }
        if (t->state == WAITS_CONDITION && !last_resort) {
            t->state = READY;
            return;
        }
    }
}

/* The ready threads, in the order of their numbers. */
static unsigned ready(struct sched_thread *out[PC_SCHED_THREADS])
{
    unsigned count = 0;

    for (unsigned i = 0; i < sched.stats.threads; i++)
        if (sched.threads[i].state == READY)
            out[count++] = &sched.threads[i];
    return count;
}

static struct sched_thread *by_priority(struct sched_thread *const *list, unsigned count)
{
    struct sched_thread *best = list[0];

    if (self && self->state == READY && rng_chance(&sched.rng, 1, sched.rarely))
        self->priority = --sched.lowest;
    for (unsigned i = 1; i < count; i++)
        if (list[i]->priority > best->priority)
            best = list[i];
    return best;
}

static struct sched_thread *drawn(struct sched_thread **list, unsigned count)
{
    if (sched.strategy == PRIORITIES)
        return by_priority(list, count);
    if (sched.strategy == STARVE) {
        if (sched.stats.points >= sched.release) {
            sched.victim = (unsigned)rng_below(&sched.rng, sched.stats.threads);
            sched.release = sched.stats.points + ((uint64_t)1 << rng_below(&sched.rng, 12));
        }
        for (unsigned i = 0; count > 1 && i < count; i++)
            if (list[i] == &sched.threads[sched.victim])
                list[i] = list[--count];
    }
    if (self && self->state == READY && !rng_chance(&sched.rng, 1, sched.rarely))
        for (unsigned i = 0; i < count; i++)
            if (list[i] == self)
                return self;
    return list[rng_below(&sched.rng, count)];
}

static struct sched_thread *next_thread(void)
{
    struct sched_thread *list[PC_SCHED_THREADS];
    struct sched_thread *next;
    unsigned count;

    sched.stats.points++;
    if (sched.options.limit && sched.stats.points > sched.options.limit)
        stuck(PC_SCHED_LIMIT);
    pass_time();
    if (rng_chance(&sched.rng, 1, 512))
        wake_for_nothing(false);
    count = ready(list);
    if (count == 0) {
        wake_for_nothing(true);
        count = ready(list);
    }
    if (count == 0)
        stuck(PC_SCHED_DEADLOCK);
    next = count == 1 ? list[0] : drawn(list, count);
    sched.stats.switches += next != self;
    sched.stats.digest = rng_mix(sched.stats.digest ^ (uint64_t)number_of(next));
    return next;
}

static void wait_turn(void)
{
    while (sem_wait(&self->turn) != 0)
        must(errno == EINTR);
}

/* Gives the turn to whoever is next; back when it is one's own again. */
static void go_on(void)
{
    struct sched_thread *next = next_thread();

    if (next == self)
        return;
    sem_post(&next->turn);
    wait_turn();
}

static void wait_for(const void *on, enum state state)
{
    self->state = state;
    self->on = on;
    self->timed_out = false;
    go_on();
    self->on = NULL;
}

/* Threads that wait for `on` in one of the two ways; `most` of them, drawn. */
static unsigned wake(const void *on, enum state a, enum state b, unsigned most)
{
    struct sched_thread *list[PC_SCHED_THREADS];
    unsigned count = 0, woken = 0;

    for (unsigned i = 0; i < sched.stats.threads; i++)
        if (sched.threads[i].on == on &&
            (sched.threads[i].state == a || sched.threads[i].state == b))
            list[count++] = &sched.threads[i];
    while (count > 0 && woken < most) {
        unsigned at = count > most ? (unsigned)rng_below(&sched.rng, count) : 0;

        list[at]->state = READY;
        list[at] = list[--count];
        woken++;
    }
    return woken;
}

static unsigned wake_all(const void *on, enum state state)
{
    return wake(on, state, state, PC_SCHED_THREADS);
}

void pc_sched_point(void)
{
    int saved = errno;

    if (self)
        go_on();
    errno = saved;
}

int pc_sched_self(void)
{
    return self ? number_of(self) : -1;
}

/* ---- threads ---- */

static void *thread_main(void *arg)
{
    struct sched_thread *next;
    void *result;

    self = arg;
    wait_turn();
    result = self->run(self->arg);
    self->state = DONE;
    (void)wake_all(self, WAITS_END);
    next = next_thread(); /* the first thread, at least, waits for this one */
    self = NULL;
    sem_post(&next->turn);
    return result;
}

int pthread_create(pthread_t *restrict os, const pthread_attr_t *restrict attributes,
                   void *(*run)(void *), void *restrict arg)
{
    struct sched_thread *t;
    int failed;

    if (self == NULL)
        return REAL(pthread_create, NULL)(os, attributes, run, arg);
    if (sched.stats.threads == PC_SCHED_THREADS)
        return EAGAIN;
    t = &sched.threads[sched.stats.threads];
    *t = (struct sched_thread){.state = READY, .run = run, .arg = arg};
    t->priority = (int)rng_below(&sched.rng, 1000);
    must(sem_init(&t->turn, 0, 0) == 0);
    failed = REAL(pthread_create, NULL)(&t->os, attributes, thread_main, t);
    if (failed)
        return failed;
    sched.stats.threads++;
    *os = t->os;
    go_on();
    return 0;
}

static void until_done(struct sched_thread *t)
{
    while (t->state != DONE)
        wait_for(t, WAITS_END);
}

int pthread_join(pthread_t os, void **result)
{
    if (self) {
        go_on();
        for (unsigned i = 1; i < sched.stats.threads; i++)
            if (sched.threads[i].os && pthread_equal(sched.threads[i].os, os)) {
                until_done(&sched.threads[i]);
                sched.threads[i].os = 0; /* the system may give the name again */
            }
    }
    return REAL(pthread_join, NULL)(os, result);
}

void pc_sched_run(const struct pc_sched *options, void (*body)(void *arg), void *arg,
                  struct pc_sched_stats *stats)
{
    must(self == NULL && sched.stats.threads == 0);
    sched.options = *options;
    sched.rng = rng_seeded(options->seed);
    sched.strategy = (enum strategy)rng_below(&sched.rng, STRATEGIES);
    sched.rarely = (uint64_t)1 << rng_below(&sched.rng, sched.strategy == PRIORITIES ? 10 : 6);
    sched.lowest = 0;
    sched.release = 0;
    sched.now = EPOCH;
    sched.tempo = (uint64_t)1 << (rng_mix(options->seed) % 21);
    sched.stats = (struct pc_sched_stats){.threads = 1};
    sched.threads[0] = (struct sched_thread){.state = READY, .priority = 500};
    must(sem_init(&sched.threads[0].turn, 0, 0) == 0);
    self = &sched.threads[0];
    pc_between_calls(pc_sched_point);
    body(arg);
    for (unsigned i = 1; i < sched.stats.threads; i++)
        until_done(&sched.threads[i]);
    pc_between_calls(NULL);
    self = NULL;
    if (stats)
        *stats = sched.stats;
    sched.stats.threads = 0;
}

/* ---- locks ---- */

/* With the turn in hand, EBUSY means that another scheduled thread has it. */
#define TAKE(attempt, on)                                                                          \
    do {                                                                                           \
        int taken = (attempt);                                                                     \
                                                                                                   \
        if (taken != EBUSY)                                                                        \
            return taken;                                                                          \
        wait_for((on), WAITS_LOCK);                                                                \
    } while (true)

static int take_mutex(pthread_mutex_t *m)
{
    TAKE(REAL(pthread_mutex_trylock, NULL)(m), m);
}

/* `woken`: somebody waited. */
static int give_mutex(pthread_mutex_t *m, bool *woken)
{
    int failed = REAL(pthread_mutex_unlock, NULL)(m);

    *woken = !failed && wake_all(m, WAITS_LOCK) > 0;
    return failed;
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
    if (self == NULL)
        return REAL(pthread_mutex_lock, NULL)(m);
    go_on();
    return take_mutex(m);
}

int pthread_mutex_trylock(pthread_mutex_t *m)
{
    if (self)
        go_on();
    return REAL(pthread_mutex_trylock, NULL)(m);
}

/* The time never comes: who holds the lock will let it go, or all is stuck. */
int pthread_mutex_timedlock(pthread_mutex_t *restrict m, const struct timespec *restrict until)
{
    if (self == NULL)
        return REAL(pthread_mutex_timedlock, NULL)(m, until);
    go_on();
    return take_mutex(m);
}

/* Who waited may go on at once: a decision point only where somebody did. */
int pthread_mutex_unlock(pthread_mutex_t *m)
{
    bool woken;
    int failed;

    if (self == NULL)
        return REAL(pthread_mutex_unlock, NULL)(m);
    failed = give_mutex(m, &woken);
    if (woken)
        go_on();
    return failed;
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    if (self == NULL)
        return REAL(pthread_rwlock_rdlock, NULL)(lock);
    go_on();
    TAKE(REAL(pthread_rwlock_tryrdlock, NULL)(lock), lock);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    if (self == NULL)
        return REAL(pthread_rwlock_wrlock, NULL)(lock);
    go_on();
    TAKE(REAL(pthread_rwlock_trywrlock, NULL)(lock), lock);
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    int failed = REAL(pthread_rwlock_unlock, NULL)(lock);

    if (self && !failed && wake_all(lock, WAITS_LOCK))
        go_on();
    return failed;
}

/* ---- conditions ---- */

static uint64_t nanoseconds_of(const struct timespec *t)
{
    if (t->tv_sec < 0)
        return 0;
    if ((uint64_t)t->tv_sec >= FAR / SECOND)
        return FAR;
    return (uint64_t)t->tv_sec * SECOND + (uint64_t)t->tv_nsec;
}

/* `until`: NULL for ever. */
static int wait_condition(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
    bool timed_out, woken;
    int failed;

    if (until && (until->tv_nsec < 0 || until->tv_nsec >= (long)SECOND))
        return EINVAL;
    go_on();
    failed = give_mutex(m, &woken); /* whoever that was gets its chance in the wait */
    if (failed)
        return failed;
    self->until = until ? nanoseconds_of(until) : 0;
    wait_for(c, until ? WAITS_TIMED : WAITS_CONDITION);
    timed_out = self->timed_out;
    failed = take_mutex(m);
    return failed || !timed_out ? failed : ETIMEDOUT;
}

int pthread_cond_wait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m)
{
    if (self == NULL)
        return REAL_CONDITION(pthread_cond_wait)(c, m);
    return wait_condition(c, m, NULL);
}

int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict until)
{
    if (self == NULL)
        return REAL_CONDITION(pthread_cond_timedwait)(c, m, until);
    return wait_condition(c, m, until);
}

int pthread_cond_clockwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m, clockid_t clock,
                           const struct timespec *restrict until)
{
    if (self == NULL)
        return REAL(pthread_cond_clockwait, NULL)(c, m, clock, until);
    return wait_condition(c, m, until);
}

int pthread_cond_signal(pthread_cond_t *c)
{
    if (self == NULL)
        return REAL_CONDITION(pthread_cond_signal)(c);
    (void)wake(c, WAITS_CONDITION, WAITS_TIMED, 1);
    go_on();
    return 0;
}

int pthread_cond_broadcast(pthread_cond_t *c)
{
    if (self == NULL)
        return REAL_CONDITION(pthread_cond_broadcast)(c);
    (void)wake(c, WAITS_CONDITION, WAITS_TIMED, PC_SCHED_THREADS);
    go_on();
    return 0;
}

/* ---- time ---- */

/* Who looks at the clock again and again sees it go on. */
static struct timespec time_now(void)
{
    sched.now += sched.tempo;
    return (struct timespec){(time_t)(sched.now / SECOND), (long)(sched.now % SECOND)};
}

static bool own_clock(clockid_t clock)
{
    /* Not those of processor time, of other threads (negative) neither, nor unknown ones. */
    return self && clock >= 0 && clock <= CLOCK_TAI && clock != CLOCK_PROCESS_CPUTIME_ID &&
           clock != CLOCK_THREAD_CPUTIME_ID;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (!own_clock(clock))
        return REAL(clock_gettime, NULL)(clock, t);
    *t = time_now();
    return 0;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;

    if (self == NULL)
        return REAL(gettimeofday, NULL)(t, zone);
    now = time_now();
    *t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *t)
{
    struct timespec now;

    if (self == NULL)
        return REAL(time, NULL)(t);
    now = time_now();
    if (t)
        *t = now.tv_sec;
    return now.tv_sec;
}

static void sleep_until(uint64_t until)
{
    until = until < FAR ? until : FAR;
    do {
        self->until = until;
        wait_for(self, WAITS_TIMED);
    } while (sched.now < until);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *left)
{
    if (!own_clock(clock))
        return REAL(clock_nanosleep, NULL)(clock, flags, t, left);
    if (t->tv_sec < 0 || t->tv_nsec < 0 || t->tv_nsec >= (long)SECOND)
        return EINVAL;
    sleep_until(nanoseconds_of(t) + (flags & TIMER_ABSTIME ? 0 : sched.now));
    return 0;
}

int nanosleep(const struct timespec *t, struct timespec *left)
{
    int failed;

    if (self == NULL)
        return REAL(nanosleep, NULL)(t, left);
    failed = clock_nanosleep(CLOCK_MONOTONIC, 0, t, left);
    if (failed)
        errno = failed;
    return failed ? -1 : 0;
}

int usleep(useconds_t us)
{
    if (self == NULL)
        return REAL(usleep, NULL)(us);
    sleep_until(sched.now + us * 1000ull);
    return 0;
}

unsigned sleep(unsigned seconds)
{
    if (self == NULL)
        return REAL(sleep, NULL)(seconds);
    sleep_until(sched.now + seconds * SECOND);
    return 0;
}
