/* jobs.c: see jobs.h. Tasks pass through a ring of slots, in order; a slot is free, running, or
 * ended and waiting for its elders to be reported:
 *
 *     reported ... | head: running  ended  running  ... next | not begun
 *
 * J1 A slot is given back only after its task was reported (or dropped) and its child reaped, so
 *    its files and its scratch have one writer at a time.
 * J2 `done` is called for the head of the ring only. Together with the fact that a task sees
 *    nothing of the others, this makes the output independent of the number of jobs.
 * J3 The ring is larger than the number of jobs, so that one slow task does not idle the others at
 *    once, and bounded, so that results cannot pile up behind it without end.
 *
 * Results and captured output travel through memory files, which take any amount without a reader:
 * there is no pipe to fill up. The captured output of a chatty child is cut off at the front while
 * it runs. Signals are blocked and fetched with sigtimedwait, so there are no handlers, and
 * a child that ends wakes the parent at once. Children are process groups of their own: a Ctrl-C of
 * the terminal reaches the parent alone, and whatever a child started dies with it. */
#define _GNU_SOURCE
#include "jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOTS_PER_JOB    4
#define TICK_NS          100000000L
#define CAPTURE_SIZE_MAX ((off_t)1 << 20)
#define PAGE             ((size_t)4096)

/* What parent and child share. */
struct shared {
    _Atomic uint64_t beats;
    _Atomic uint32_t returned; /* `work` came to its end */
};

struct jobs_channel {
    struct shared *shared; /* one page, then the scratch */
    int result_fd;
};

enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_ENDED };

struct slot {
    enum slot_state state;
    uint64_t task;
    pid_t pid;
    struct jobs_channel channel;
    int capture_fd;
    off_t capture_dropped; /* bytes given back at the front of the capture */
    int status;            /* of wait, once ended */
    bool stalled;
    uint64_t beats_seen;
    double beat_time,
        beat_cpu; /* when the newest beat was seen; processor time of the child then */
    double began;
    double ended;
};

struct pool {
    const struct jobs_config *config;
    unsigned jobs;
    struct slot *slots;
    size_t slot_count;
    uint64_t next; /* offset from config->first of the next task to begin */
    uint64_t head; /* the same of the next to report */
    unsigned running;
    double began;
    double ticked;
    unsigned signals; /* how many came */
    sigset_t waited;
    enum jobs_end end;
    bool closed; /* no further task begins */
};

static int last_signal;

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Processor time of a child so far; 0: it cannot be told. */
static double cpu_of(pid_t pid)
{
    struct timespec ts;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) != 0)
        return 0;
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- in the child ---- */

/* The coverage build writes its counters at exit; a task leaves by _exit. */
extern void __gcov_dump(void) __attribute__((weak));

void jobs_emit(struct jobs_channel *channel, struct bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(channel->result_fd, bytes.data, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            perror("jobs: writing a result");
            abort();
        }
        bytes.data += n;
        bytes.len -= (size_t)n;
    }
}

void *jobs_scratch(struct jobs_channel *channel)
{
    return (uint8_t *)channel->shared + PAGE;
}

void jobs_beat(struct jobs_channel *channel)
{
    atomic_fetch_add_explicit(&channel->shared->beats, 1, memory_order_relaxed);
}

__attribute__((noreturn)) static void run_child(struct pool *pool, struct slot *slot, pid_t parent,
                                                const sigset_t *old_mask)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(1);
    sigprocmask(SIG_SETMASK, old_mask, NULL);
    if (dup2(slot->capture_fd, STDOUT_FILENO) < 0 || dup2(slot->capture_fd, STDERR_FILENO) < 0)
        _exit(1);
    pool->config->work(pool->config->ctx, slot->task, &slot->channel);
    fflush(stdout);
    fflush(stderr);
    if (__gcov_dump)
        __gcov_dump();
    atomic_store(&slot->channel.shared->returned, 1);
    _exit(0);
}

/* ---- slots ---- */

static bool slot_init(struct slot *slot)
{
    slot->channel.result_fd = -1;
    slot->capture_fd = -1;
    slot->channel.shared = mmap(NULL, PAGE + JOBS_SCRATCH_SIZE, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (slot->channel.shared == MAP_FAILED) {
        slot->channel.shared = NULL;
        return false;
    }
    slot->channel.result_fd = memfd_create("powercut-result", MFD_CLOEXEC);
    slot->capture_fd = memfd_create("powercut-output", MFD_CLOEXEC);
    /* Appending: the parent may cut the front while the child writes. */
    return slot->channel.result_fd >= 0 && slot->capture_fd >= 0 &&
           fcntl(slot->capture_fd, F_SETFL, O_APPEND) == 0;
}

static void slot_release(struct slot *slot)
{
    must(slot->state != SLOT_RUNNING);
    if (slot->channel.shared)
        munmap(slot->channel.shared, PAGE + JOBS_SCRATCH_SIZE);
    if (slot->channel.result_fd >= 0)
        close(slot->channel.result_fd);
    if (slot->capture_fd >= 0)
        close(slot->capture_fd);
}

/* Makes a used slot as good as new. */
static bool slot_clear(struct slot *slot)
{
    slot->state = SLOT_FREE;
    slot->capture_dropped = 0;
    slot->stalled = false;
    slot->beats_seen = 0;
    memset(slot->channel.shared, 0, PAGE + JOBS_SCRATCH_SIZE);
    return ftruncate(slot->channel.result_fd, 0) == 0 && ftruncate(slot->capture_fd, 0) == 0 &&
           lseek(slot->channel.result_fd, 0, SEEK_SET) == 0;
}

static bool slot_begin(struct pool *pool, struct slot *slot, uint64_t task,
                       const sigset_t *old_mask)
{
    pid_t parent = getpid();

    must(slot->state == SLOT_FREE);
    if (!slot_clear(slot))
        return false;
    slot->task = task;
    fflush(stdout); /* else the child would write it once more */
    fflush(stderr);
    slot->pid = fork();
    if (slot->pid == 0)
        run_child(pool, slot, parent, old_mask);
    if (slot->pid < 0)
        return false;
    setpgid(slot->pid, slot->pid); /* also here: a kill may come before the child has run */
    slot->state = SLOT_RUNNING;
    slot->began = now();
    slot->beat_time = slot->began;
    slot->beat_cpu = 0;
    pool->running++;
    return true;
}

static void slot_kill(struct slot *slot)
{
    if (slot->state == SLOT_RUNNING && kill(-slot->pid, SIGKILL) != 0)
        kill(slot->pid, SIGKILL);
}

/* Gives back the front of a long capture: the last bytes are all that is ever shown. */
static void slot_trim_capture(struct slot *slot)
{
    struct stat st;
    off_t keep = (off_t)(2 * JOBS_STDERR_MAX);
    off_t front;

    if (fstat(slot->capture_fd, &st) != 0 || st.st_size - slot->capture_dropped < CAPTURE_SIZE_MAX)
        return;
    front = (st.st_size - keep) / (off_t)PAGE * (off_t)PAGE;
    if (fallocate(slot->capture_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, front) == 0)
        slot->capture_dropped = front;
}

/* ---- reporting ---- */

static bool map_file(int fd, struct bytes *out)
{
    struct stat st;
    void *data;

    *out = bytes_of(NULL, 0);
    if (fstat(fd, &st) != 0)
        return false;
    if (st.st_size == 0)
        return true;
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return false;
    *out = bytes_of(data, (size_t)st.st_size);
    return true;
}

static void unmap_file(struct bytes file)
{
    if (file.data)
        munmap((void *)(uintptr_t)file.data, file.len);
}

static void fill_outcome(const struct slot *slot, struct jobs_result *result)
{
    bool returned = atomic_load(&slot->channel.shared->returned) != 0;

    result->code = 0;
    if (slot->stalled && !returned) {
        result->outcome = JOBS_STALLED;
    } else if (WIFSIGNALED(slot->status) && !returned) {
        result->outcome = JOBS_SIGNALED;
        result->code = WTERMSIG(slot->status);
    } else if (returned) {
        result->outcome = JOBS_EXITED;
    } else {
        result->outcome = JOBS_FAILED;
        result->code = WEXITSTATUS(slot->status);
    }
}

/* Hands the result of an ended slot to `done`; false when it wants no more, or when the result
 * cannot be read. */
static bool report(struct pool *pool, struct slot *slot)
{
    struct jobs_result result = {.task = slot->task};
    struct bytes emitted;
    struct bytes capture;
    size_t tail;
    bool more = false;

    fill_outcome(slot, &result);
    if (!map_file(slot->channel.result_fd, &emitted)) {
        pool->end = JOBS_BROKEN;
        return false;
    }
    if (!map_file(slot->capture_fd, &capture)) {
        pool->end = JOBS_BROKEN;
        goto done;
    }
    tail = capture.len < JOBS_STDERR_MAX ? capture.len : JOBS_STDERR_MAX;
    result.emitted = emitted;
    if (tail > 0)
        result.stderr_tail = bytes_of(capture.data + capture.len - tail, tail);
    result.scratch = jobs_scratch(&slot->channel);
    result.beats = atomic_load(&slot->channel.shared->beats);
    result.seconds = slot->ended - slot->began;
    more = pool->config->done(pool->config->ctx, slot->task, &result);
    if (!more)
        pool->end = JOBS_STOPPED;
    unmap_file(capture);
done:
    unmap_file(emitted);
    return more;
}

/* ---- the pool ---- */

static struct slot *slot_at(struct pool *pool, uint64_t offset)
{
    return &pool->slots[offset % pool->slot_count];
}

static void close_pool(struct pool *pool, enum jobs_end end)
{
    if (!pool->closed)
        pool->end = end;
    pool->closed = true;
}

/* Without reaping: until then nobody else can have its number. */
static bool has_ended(const struct slot *slot)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)slot->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == slot->pid;
}

/* No beat for so long. On a machine with much else to do a child that works has had little of that
 * time: it is given half of it of its own. One that waits for something uses none, and hangs. */
static bool hangs(const struct slot *slot, double stall)
{
    double waited = now() - slot->beat_time, worked;

    if (waited <= stall)
        return false;
    worked = cpu_of(slot->pid) - slot->beat_cpu;
    return worked < waited / 100 || worked > stall / 2;
}

/* Reaps what has ended, and kills what hangs. */
static void look_after_children(struct pool *pool)
{
    double stall = pool->config->stall_seconds;

    for (uint64_t i = pool->head; i < pool->next; i++) {
        struct slot *slot = slot_at(pool, i);
        uint64_t beats;

        if (slot->state != SLOT_RUNNING)
            continue;
        if (has_ended(slot)) {
            kill(-slot->pid, SIGKILL); /* what it started and left behind */
            waitpid(slot->pid, &slot->status, 0);
            slot->state = SLOT_ENDED;
            slot->ended = now();
            pool->running--;
            continue;
        }
        slot_trim_capture(slot);
        beats = atomic_load(&slot->channel.shared->beats);
        if (beats != slot->beats_seen) {
            slot->beats_seen = beats;
            slot->beat_time = now();
            slot->beat_cpu = cpu_of(slot->pid);
        } else if (stall > 0 && !slot->stalled && hangs(slot, stall)) {
            slot->stalled = true;
            slot_kill(slot);
        }
    }
}

static void kill_all(struct pool *pool)
{
    for (uint64_t i = pool->head; i < pool->next; i++) {
        struct slot *slot = slot_at(pool, i);

        if (slot->state != SLOT_RUNNING)
            continue;
        slot_kill(slot);
        while (waitpid(slot->pid, &slot->status, 0) < 0 && errno == EINTR)
            ;
        slot->state = SLOT_ENDED;
        pool->running--;
    }
    pool->head = pool->next;
}

/* Reports the heads that have ended (J2). False: the pool is over. */
static bool report_heads(struct pool *pool)
{
    while (pool->head < pool->next && slot_at(pool, pool->head)->state == SLOT_ENDED) {
        struct slot *slot = slot_at(pool, pool->head);

        if (!report(pool, slot))
            return false;
        slot->state = SLOT_FREE;
        pool->head++;
    }
    return true;
}

/* Begins tasks while there is room. False: nothing runs and nothing can be begun. */
static bool begin_tasks(struct pool *pool, const sigset_t *old_mask)
{
    const struct jobs_config *config = pool->config;

    while (!pool->closed && pool->running < pool->jobs &&
           pool->next - pool->head < pool->slot_count) {
        if (pool->next == config->count) {
            close_pool(pool, JOBS_ALL);
            break;
        }
        if (config->time_seconds > 0 && now() - pool->began >= (double)config->time_seconds) {
            close_pool(pool, JOBS_TIME);
            break;
        }
        if (!slot_begin(pool, slot_at(pool, pool->next), config->first + pool->next, old_mask)) {
            /* Out of processes, perhaps: wait for one of ours to end. */
            if (pool->running == 0)
                return false;
            break;
        }
        pool->next++;
    }
    return true;
}

/* Sleeps until a child ends, a signal comes or a tick is over. False: the second signal. */
static bool wait_for_news(struct pool *pool)
{
    struct timespec tick = {0, TICK_NS};
    int signal_number = sigtimedwait(&pool->waited, NULL, &tick);

    if (signal_number == SIGINT || signal_number == SIGTERM || signal_number == SIGUSR1) {
        last_signal = signal_number;
        pool->closed = true;
        pool->end = JOBS_INTERRUPTED;
        if (++pool->signals > 1)
            return false;
    }
    if (pool->config->tick && now() - pool->ticked >= (double)TICK_NS / 1e9) {
        pool->ticked = now();
        pool->config->tick(pool->config->ctx, pool->running);
    }
    return true;
}

static void run_pool(struct pool *pool, const sigset_t *old_mask)
{
    for (;;) {
        look_after_children(pool);
        if (!report_heads(pool))
            return;
        if (!begin_tasks(pool, old_mask)) {
            pool->end = JOBS_BROKEN;
            return;
        }
        if (pool->closed && pool->head == pool->next)
            return;
        if (!wait_for_news(pool))
            return;
    }
}

/* The signals to fetch: those that whoever started us has not chosen to ignore. */
static void choose_signals(struct pool *pool)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGUSR1};
    struct sigaction action;

    sigemptyset(&pool->waited);
    sigaddset(&pool->waited, SIGCHLD);
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        if (sigaction(stops[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&pool->waited, stops[i]);
    }
}

enum jobs_end jobs_run(const struct jobs_config *config)
{
    struct pool pool = {.config = config, .jobs = config->jobs, .end = JOBS_ALL};
    struct sigaction child_default = {.sa_handler = SIG_DFL};
    struct sigaction child_old;
    sigset_t old_mask;
    int error = 0;

    if (pool.jobs == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);

        pool.jobs = processors > 0 ? (unsigned)processors : 1;
    }
    pool.slot_count = (size_t)pool.jobs * SLOTS_PER_JOB;
    pool.slots = calloc(pool.slot_count, sizeof(*pool.slots));
    must(pool.slots);
    for (size_t i = 0; i < pool.slot_count; i++) {
        if (!slot_init(&pool.slots[i])) {
            error = errno;
            pool.slot_count = i + 1;
            pool.end = JOBS_BROKEN;
        }
    }
    pool.began = now();
    choose_signals(&pool);
    sigaction(SIGCHLD, &child_default, &child_old);
    sigprocmask(SIG_BLOCK, &pool.waited, &old_mask);
    if (pool.end != JOBS_BROKEN) {
        run_pool(&pool, &old_mask);
        error = errno;
        kill_all(&pool);
    }
    sigprocmask(SIG_SETMASK, &old_mask, NULL);
    sigaction(SIGCHLD, &child_old, NULL);
    for (size_t i = 0; i < pool.slot_count; i++)
        slot_release(&pool.slots[i]);
    free(pool.slots);
    errno = error;
    return pool.end;
}

int jobs_signal(void)
{
    return last_signal;
}

const char *jobs_outcome_name(enum jobs_outcome outcome)
{
    static const char *const names[] = {"exited", "failed", "signaled", "stalled"};

    must(outcome < sizeof(names) / sizeof(names[0]));
    return names[outcome];
}
