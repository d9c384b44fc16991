/* jobs_test.c: order, ends of every kind, and the same output with one job as with four. */
#define _GNU_SOURCE
#include "jobs.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"

#define LARGE ((size_t)5 << 20)

/* What the parent saw, as text and as a count. */
struct seen {
    char text[16384];
    size_t len;
    uint64_t count;
    uint64_t stop_after; /* 0: never */
    struct jobs_result last;
    char tail[64];
    char scratch[32];
};

static void sleep_ms(unsigned ms)
{
    struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&ts, NULL);
}

static bool note(void *ctx, uint64_t task, const struct jobs_result *result)
{
    struct seen *seen = ctx;
    size_t shown = result->emitted.len < 40 ? result->emitted.len : 40;
    size_t tail = result->stderr_tail.len;

    seen->len += (size_t)snprintf(
        seen->text + seen->len, sizeof(seen->text) - seen->len, "%d %s %d [%.*s] %zu\n", (int)task,
        jobs_outcome_name(result->outcome), result->code, (int)shown,
        result->emitted.data ? (const char *)result->emitted.data : "", result->emitted.len);
    assert_true(seen->len < sizeof(seen->text));
    assert_int_equal(task, result->task);
    seen->last = *result;
    snprintf(seen->tail, sizeof(seen->tail), "%.*s", (int)(tail < 60 ? tail : 60),
             tail ? (const char *)result->stderr_tail.data : "");
    snprintf(seen->scratch, sizeof(seen->scratch), "%s", (const char *)result->scratch);
    seen->count++;
    return seen->stop_after == 0 || seen->count < seen->stop_after;
}

static enum jobs_end run(struct seen *seen, unsigned jobs, uint64_t count,
                         void (*work)(void *, uint64_t, struct jobs_channel *))
{
    struct jobs_config config = {.jobs = jobs,
                                 .first = 100,
                                 .count = count,
                                 .stall_seconds = 3,
                                 .ctx = seen,
                                 .work = work,
                                 .done = note};

    return jobs_run(&config);
}

static void emit_text(struct jobs_channel *channel, const char *text)
{
    jobs_emit(channel, bytes_str(text));
}

/* Late tasks end first. Some die. */
static void mixed(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    struct rng rng = rng_seeded(task);
    char text[32];

    snprintf(text, sizeof(text), "task %d", (int)task);
    snprintf(jobs_scratch(channel), JOBS_SCRATCH_SIZE, "at %d", (int)task);
    sleep_ms((unsigned)rng_below(&rng, 20));
    jobs_beat(channel);
    emit_text(channel, text);
    if (task % 7 == 3)
        raise(SIGKILL);
    if (task % 7 == 5)
        _exit(9);
    emit_text(channel, ".");
}

static void order_does_not_depend_on_jobs(void **state)
{
    static struct seen one;
    static struct seen four;

    assert_int_equal(run(&one, 1, 40, mixed), JOBS_ALL);
    assert_int_equal(run(&four, 4, 40, mixed), JOBS_ALL);
    assert_int_equal(one.count, 40);
    assert_string_equal(one.text, four.text);
    assert_memory_equal(one.text, "100 exited 0 [task 100.] 9\n101 signaled 9 [task 101] 8\n", 27);
    assert_non_null(strstr(one.text, "103 failed 9 [task 103] 8\n"));
    assert_string_equal(one.scratch, "at 139");
}

static void crash(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    fprintf(stderr, "about to die in task %d\n", (int)task);
    memcpy(jobs_scratch(channel), "step 12", 8);
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void a_crash_is_a_result(void **state)
{
    static struct seen seen;

    assert_int_equal(run(&seen, 2, 1, crash), JOBS_ALL);
    assert_string_equal(seen.text, "100 signaled 6 [] 0\n");
    assert_string_equal(seen.tail, "about to die in task 100\n");
    assert_string_equal(seen.scratch, "step 12");
}

/* Task 100 makes slow progress, task 101 hangs with a child of its own. */
static void hang(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    if (task == 100) {
        for (unsigned i = 0; i < 8; i++) {
            jobs_beat(channel);
            sleep_ms(500);
        }
        return;
    }
    if (fork() == 0)
        sleep_ms(100000);
    emit_text(channel, "before");
    for (;;)
        sleep_ms(1000);
}

static void a_hang_is_a_result(void **state)
{
    static struct seen seen;

    assert_int_equal(run(&seen, 2, 2, hang), JOBS_ALL);
    assert_string_equal(seen.text, "100 exited 0 [] 0\n101 stalled 0 [before] 6\n");
}

static void stop_after_three(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    if (task > 102)
        sleep_ms(task == 103 ? 30000 : 1);
    emit_text(channel, "x");
}

static void done_stops_the_rest(void **state)
{
    static struct seen seen;

    seen.stop_after = 3;
    assert_int_equal(run(&seen, 4, 1000, stop_after_three), JOBS_STOPPED);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.last.task, 102);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void large(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    static uint8_t block[65536];

    memset(block, 'a' + (int)(task % 26), sizeof(block));
    for (size_t i = 0; i < LARGE; i += sizeof(block)) {
        jobs_emit(channel, bytes_of(block, sizeof(block)));
        fwrite(block, 1, sizeof(block), stderr);
        fwrite(block, 1, sizeof(block), stdout);
    }
    fprintf(stderr, "the end of %d", (int)task);
}

static bool check_large(void *ctx, uint64_t task, const struct jobs_result *result)
{
    static const char end[] = "the end of ";
    uint64_t *count = ctx;

    assert_int_equal(result->outcome, JOBS_EXITED);
    assert_int_equal(result->emitted.len, LARGE);
    assert_int_equal(result->emitted.data[LARGE - 1], 'a' + (int)(task % 26));
    assert_int_equal(result->stderr_tail.len, JOBS_STDERR_MAX);
    assert_non_null(memmem(result->stderr_tail.data, JOBS_STDERR_MAX, end, sizeof(end) - 1));
    ++*count;
    return true;
}

static void large_results_pass(void **state)
{
    uint64_t count = 0;
    struct jobs_config config = {
        .jobs = 3, .count = 9, .ctx = &count, .work = large, .done = check_large};

    assert_int_equal(jobs_run(&config), JOBS_ALL);
    assert_int_equal(count, 9);
}

static void slow(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    sleep_ms(300);
    if (task == 101)
        kill(getppid(), SIGINT);
    sleep_ms(300);
    emit_text(channel, "finished");
}

static void the_first_signal_lets_tasks_finish(void **state)
{
    static struct seen seen;

    assert_int_equal(run(&seen, 2, 1000, slow), JOBS_INTERRUPTED);
    assert_int_equal(jobs_signal(), SIGINT);
    assert_memory_equal(seen.text, "100 exited 0 [finished] 8\n101 exited 0 [finished] 8\n", 52);
    assert_true(seen.count <= 4); /* on a slow machine another one may have begun before */
}

static void signal_twice(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    if (task == 100)
        return;
    if (task == 101) {
        kill(getppid(), SIGTERM);
        sleep_ms(300);
        kill(getppid(), SIGTERM);
    }
    sleep_ms(30000);
}

static void the_second_signal_kills(void **state)
{
    static struct seen seen;
    struct jobs_config config = {
        .jobs = 2, .first = 100, .count = 50, .ctx = &seen, .work = signal_twice, .done = note};

    assert_int_equal(jobs_run(&config), JOBS_INTERRUPTED);
    assert_int_equal(jobs_signal(), SIGTERM);
    assert_string_equal(seen.text, "100 exited 0 [] 0\n");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void time_is_a_cap(void **state)
{
    static struct seen seen;
    struct jobs_config config = {.jobs = 2,
                                 .count = UINT64_MAX,
                                 .time_seconds = 1,
                                 .ctx = &seen,
                                 .work = slow,
                                 .done = note};

    config.first = 1000;
    assert_int_equal(jobs_run(&config), JOBS_TIME);
    assert_true(seen.count >= 2 && seen.count <= 4);
}

static void nothing_to_do_is_done(void **state)
{
    static struct seen seen;

    assert_int_equal(run(&seen, 2, 0, mixed), JOBS_ALL);
    assert_int_equal(seen.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_does_not_depend_on_jobs),
        cmocka_unit_test(a_crash_is_a_result),
        cmocka_unit_test(a_hang_is_a_result),
        cmocka_unit_test(done_stops_the_rest),
        cmocka_unit_test(large_results_pass),
        cmocka_unit_test(the_first_signal_lets_tasks_finish),
        cmocka_unit_test(the_second_signal_kills),
        cmocka_unit_test(time_is_a_cap),
        cmocka_unit_test(nothing_to_do_is_done),
    };

    signal(SIGINT, SIG_DFL); /* a shell may have started us with it ignored */
    signal(SIGTERM, SIG_DFL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
