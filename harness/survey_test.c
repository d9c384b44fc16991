/* survey_test.c: what the survey sorts. The clean engine has no bad state and its losses are those
 * that no promise covered; an engine that forgets to sync loses promised writes, one that tells no
 * one of damage is wrong, and one that fails a write and keeps it is told as such. */
#include "survey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "play.h"
#include "stores.h"

struct sum {
    uint64_t count[OUTCOMES], points, recoveries, states;
    uint32_t lost_most;
};

static void add_state(void *ctx, const struct survey_state *state)
{
    struct sum *sum = ctx;

    sum->states++;
    assert_int_equal(state->lost > 0,
                     state->outcome == OUTCOME_WINDOW || state->outcome == OUTCOME_LOST);
    if (state->lost > sum->lost_most)
        sum->lost_most = state->lost;
}

static void add_point(void *ctx, const struct survey_point *point)
{
    struct sum *sum = ctx;
    uint64_t all = 0;

    for (int i = 0; i < OUTCOMES; i++) {
        sum->count[i] += point->count[i];
        all += point->count[i];
    }
    assert_int_equal(all, point->recoveries);
    sum->points++;
    sum->recoveries += point->recoveries;
}

static struct sum survey(const struct pc_store *store, enum pc_model model,
                         const char *const *steps, enum trouble trouble)
{
    struct sum sum = {0};
    struct finding finding = {0};
    struct trace trace;
    struct play play;
    char why[160];

    trace_init(&trace);
    trace.disk = (struct pc_disk_config){.model = model, .unit = 512};
    for (uint32_t i = 0; steps[i]; i++)
        assert_true(trace_parse(&trace, steps[i], i + 1, why, sizeof why));
    play_init(&play, &trace, store, NULL, &finding);
    for (uint32_t i = 0; i < trace.op_count && play_step(&play, i, NULL); i++)
        ;
    play_end(&play);
    {
        struct survey job = {.store = store,
                             .tuning = trace.tuning,
                             .seed = 1,
                             .leaves = 64,
                             .samples = 12,
                             .trouble = trouble,
                             .ctx = &sum,
                             .state = add_state,
                             .point = add_point};

        survey_epoch(&job, &play.session);
    }
    play_release(&play);
    trace_release(&trace);
    assert_int_equal(sum.states, sum.recoveries);
    assert_true(sum.points > 0);
    return sum;
}

static uint64_t bad(const struct sum *sum)
{
    uint64_t count = 0;

    for (int i = 0; i < OUTCOMES; i++)
        if (outcome_bad((enum outcome)i))
            count += sum->count[i];
    return count;
}

static const char *const synced[] = {"put a 1 sync", "put b 2 sync", "put c 3 sync", NULL};
static const char *const unsynced[] = {"put a 1", "put b 2", "put c 3", NULL};
static const char *const failing[] = {"fault eio op=write file=*.log nth=3", "put a 1 sync",
                                      "put b 2 sync", "put c 3 sync", NULL};

static void clean_engine_keeps(void **state)
{
    const struct pc_store *store = stores_find("minivault");

    for (int m = 0; m < PC_MODELS; m++) {
        struct sum sum = survey(store, (enum pc_model)m, synced, TROUBLE_NONE);
        assert_int_equal(bad(&sum), 0);
        assert_int_equal(sum.count[OUTCOME_WINDOW], 0);
        assert_true(sum.count[OUTCOME_KEPT] > 0);
    }
}

static void window_is_what_no_promise_covers(void **state)
{
    struct sum sum = survey(stores_find("minivault"), PC_POSIX, unsynced, TROUBLE_NONE);

    assert_int_equal(bad(&sum), 0);
    assert_true(sum.count[OUTCOME_WINDOW] > 0);
    assert_int_equal(sum.lost_most, 3);
    sum = survey(stores_find("minivault"), PC_PROCESS_KILL, unsynced, TROUBLE_NONE);
    assert_int_equal(sum.count[OUTCOME_WINDOW], 0);
}

static void rot_is_refused(void **state)
{
    struct sum sum = survey(stores_find("minivault"), PC_PREFIX, synced, TROUBLE_BITROT);

    assert_true(sum.count[OUTCOME_REFUSED] > 0);
    assert_int_equal(bad(&sum), 0);
}

/* A store that answers a sync write before it is durable. */
static struct pc_store forgetful;

static enum pc_store_status write_unsynced(void *db, const struct pc_write *writes, size_t count,
                                           bool sync, uint64_t *seq, struct pc_store_error *error)
{
    return stores_find("minivault")->write(db, writes, count, false, seq, error);
}

static void forgotten_sync_loses(void **state)
{
    struct sum sum;

    forgetful = *stores_find("minivault");
    forgetful.write = write_unsynced;
    sum = survey(&forgetful, PC_POSIX, synced, TROUBLE_NONE);
    assert_true(sum.count[OUTCOME_LOST] > 0);
    assert_int_equal(sum.lost_most, 3);
    sum = survey(&forgetful, PC_PROCESS_KILL, synced, TROUBLE_NONE);
    assert_int_equal(bad(&sum), 0);
}

/* A store that writes, and then says that it could not. */
static enum pc_store_status write_and_fail(void *db, const struct pc_write *writes, size_t count,
                                           bool sync, uint64_t *seq, struct pc_store_error *error)
{
    enum pc_store_status st = stores_find("minivault")->write(db, writes, count, sync, seq, error);

    return st == PC_STORE_OK && writes[0].key.data[0] == 'c' ? PC_STORE_IO : st;
}

static void false_failure_is_told(void **state)
{
    struct pc_store *store = &forgetful;
    struct sum sum;

    *store = *stores_find("minivault");
    store->write = write_and_fail;
    store->durable_seq = NULL;
    /* The fault makes an error a legal answer; it fires within the write of a. */
    sum = survey(store, PC_PREFIX,
                 (const char *const[]){"fault short op=write file=*.log nth=2", "put a 1 sync",
                                       "put c 333333 sync", NULL},
                 TROUBLE_NONE);
    assert_true(sum.count[OUTCOME_FALSE] > 0);
    sum = survey(stores_find("minivault"), PC_PREFIX, failing, TROUBLE_NONE);
    assert_int_equal(bad(&sum), 0);
}

static enum pc_store_status get_wrong(void *db, void *snapshot, struct bytes key,
                                      void (*give)(void *ctx, struct bytes value), void *ctx,
                                      struct pc_store_error *error)
{
    give(ctx, bytes_str("something else"));
    return PC_STORE_OK;
}

static void wrong_bytes_are_wrong(void **state)
{
    struct sum sum;

    forgetful = *stores_find("minivault");
    forgetful.get = get_wrong;
    sum = survey(&forgetful, PC_POSIX, synced, TROUBLE_NONE);
    assert_true(sum.count[OUTCOME_WRONG] > 0);
}

static void every_rule_is_some_outcome(void **state)
{
    assert_int_equal(outcome_of(RULE_NONE), OUTCOME_KEPT);
    for (int r = RULE_NONE + 1; r < RULES; r++)
        assert_true(outcome_bad(outcome_of((enum rule)r)));
    for (int i = 0; i < OUTCOMES; i++)
        assert_non_null(outcome_name((enum outcome)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_engine_keeps),
        cmocka_unit_test(window_is_what_no_promise_covers),
        cmocka_unit_test(rot_is_refused),
        cmocka_unit_test(forgotten_sync_loses),
        cmocka_unit_test(false_failure_is_told),
        cmocka_unit_test(wrong_bytes_are_wrong),
        cmocka_unit_test(every_rule_is_some_outcome),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
