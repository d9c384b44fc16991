/* threads_play_test.c: the judgement over several threads sees each kind of mistake that a store
 * can make there, says nothing of a right one, and one seed is one run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/rng.h"
#include "powercut/sched.h"
#include "stores.h"
#include "threads.h"

static const struct pc_store *right; /* minivault; the others are made of it */
static bool faults;                  /* do calls fail? */
static unsigned fired, failed;       /* calls and writes that did */

static void play(const struct pc_store *store, uint64_t seed, bool crash,
                 struct threads_outcome *out)
{
    struct budget budget = {.leaves = 16, .samples = 2, .recoveries = 60};
    struct threads_setting setting = {.seed = seed,
                                      .schedule = rng_mix(~seed),
                                      .threads = 2 + (uint32_t)(seed % 3),
                                      .ops = 4 + (uint32_t)(seed % 11),
                                      .model = (enum pc_model)(seed % PC_MODELS),
                                      .crash = crash,
                                      .faults = faults};

    if (!pc_model_simulated(setting.model))
        setting.model = PC_POSIX;
    threads_play(store, &budget, &setting, out);
    fired += out->fired;
    failed += out->failed;
}

/* How many of the seeds show the rule; no seed may show another, but for `also`. */
static unsigned shown(const struct pc_store *store, enum rule rule, enum rule also, unsigned seeds,
                      bool crash)
{
    unsigned count = 0;

    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct threads_outcome out;

        play(store, seed, crash, &out);
        if (out.verdict.rule != RULE_NONE && out.verdict.rule != rule && out.verdict.rule != also)
            fail_msg("seed %u: %s: %s", (unsigned)seed, rule_name(out.verdict.rule),
                     out.verdict.text);
        count += rule != RULE_NONE && out.verdict.rule == rule;
    }
    return count;
}

static void a_right_store_is_silent(void **state)
{
    (void)state;
    assert_int_equal(shown(right, RULE_NONE, RULE_NONE, 60, true), 0);
}

static void a_right_store_that_meets_faults_is_silent(void **state)
{
    (void)state;
    faults = true;
    fired = failed = 0;
    assert_int_equal(shown(right, RULE_NONE, RULE_NONE, 120, true), 0);
    faults = false;
    assert_true(fired > 10 && failed > 10);
}

static void one_seed_one_run(void **state)
{
    struct threads_outcome first[20], again;
    unsigned different = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        play(right, seed, true, &first[seed]);
        assert_true(first[seed].units > 0 && first[seed].points > 0);
        different += seed > 0 && first[seed].digest != first[seed - 1].digest;
    }
    assert_int_equal(different, 19);
    for (uint64_t seed = 0; seed < 20; seed++) {
        play(right, seed, true, &again);
        assert_memory_equal(&again, &first[seed], sizeof again);
    }
}

/* ---- wrong in one way each ---- */

/* A batch in two halves. */
static enum pc_store_status torn_write(void *db, const struct pc_write *writes, size_t count,
                                       bool sync, uint64_t *seq, struct pc_store_error *error)
{
    enum pc_store_status st = right->write(db, writes, 1, sync, seq, error);

    if (st == PC_STORE_OK && count > 1)
        st = right->write(db, writes + 1, count - 1, sync, seq, error);
    return st;
}

static void a_batch_in_two_halves(void **state)
{
    struct pc_store wrong = *right;

    (void)state;
    wrong.write = torn_write;
    assert_true(shown(&wrong, RULE_READ, RULE_TRUTH, 300, false) > 0);
}

/* Acknowledges without a sync. */
static enum pc_store_status unsynced_write(void *db, const struct pc_write *writes, size_t count,
                                           bool sync, uint64_t *seq, struct pc_store_error *error)
{
    (void)sync;
    return right->write(db, writes, count, false, seq, error);
}

static void no_sync(void **state)
{
    struct pc_store wrong = *right;

    (void)state;
    wrong.write = unsynced_write;
    assert_true(shown(&wrong, RULE_BELOW_FLOOR, RULE_NONE, 40, true) > 5);
    assert_int_equal(shown(&wrong, RULE_NONE, RULE_NONE, 40, false), 0); /* only a crash shows it */
}

/* A write that failed is told to be there. */
static enum pc_store_status deaf_write(void *db, const struct pc_write *writes, size_t count,
                                       bool sync, uint64_t *seq, struct pc_store_error *error)
{
    enum pc_store_status st = right->write(db, writes, count, sync, seq, error);

    if (st)
        *seq = right->last_seq(db) + count;
    return PC_STORE_OK;
}

static void a_failure_not_told(void **state)
{
    struct pc_store wrong = *right;

    (void)state;
    wrong.write = deaf_write;
    assert_int_equal(shown(&wrong, RULE_NONE, RULE_NONE, 60, false), 0);
    faults = true;
    assert_true(shown(&wrong, RULE_TRUTH, RULE_READ, 120, false) > 3);
    faults = false;
}

/* A snapshot that is none. */
static enum pc_store_status no_snapshot(void *db, void **snapshot, struct pc_store_error *error)
{
    (void)db;
    (void)error;
    *snapshot = NULL;
    return PC_STORE_OK;
}

static void no_release(void *db, void *snapshot)
{
    (void)db;
    (void)snapshot;
}

static void a_snapshot_that_moves(void **state)
{
    struct pc_store wrong = *right;

    (void)state;
    wrong.snapshot = no_snapshot;
    wrong.release = no_release;
    assert_true(shown(&wrong, RULE_READ, RULE_NONE, 200, false) > 3);
}

/* A get remembers its last answer for too long. */
static struct {
    char key[16];
    size_t len;
    char value[256];
    bool full;
} remembered;

static void (*give_on)(void *ctx, struct bytes value);

static void remember(void *ctx, struct bytes value)
{
    must(value.len <= sizeof remembered.value);
    memcpy(remembered.value, value.data, value.len);
    remembered.len = value.len;
    remembered.full = true;
    give_on(ctx, value);
}

static enum pc_store_status stale_get(void *db, void *snapshot, struct bytes key,
                                      void (*give)(void *ctx, struct bytes value), void *ctx,
                                      struct pc_store_error *error)
{
    if (snapshot == NULL && remembered.full && strlen(remembered.key) == key.len &&
        memcmp(remembered.key, key.data, key.len) == 0) {
        give(ctx, bytes_of(remembered.value, remembered.len));
        return PC_STORE_OK;
    }
    if (snapshot)
        return right->get(db, snapshot, key, give, ctx, error);
    remembered.full = false;
    must(key.len < sizeof remembered.key);
    memcpy(remembered.key, key.data, key.len);
    remembered.key[key.len] = '\0';
    give_on = give;
    return right->get(db, snapshot, key, remember, ctx, error);
}

static enum pc_store_status forgetful_open(const struct pc_store_env *env, void **db,
                                           struct pc_store_error *error)
{
    remembered.full = false;
    return right->open(env, db, error);
}

static void a_stale_answer(void **state)
{
    struct pc_store wrong = *right;

    (void)state;
    wrong.get = stale_get;
    wrong.open = forgetful_open;
    assert_true(shown(&wrong, RULE_READ, RULE_NONE, 200, false) > 3);
}

/* Numbers that others have, too. */
static enum pc_store_status misnumbered_write(void *db, const struct pc_write *writes, size_t count,
                                              bool sync, uint64_t *seq,
                                              struct pc_store_error *error)
{
    enum pc_store_status st = right->write(db, writes, count, sync, seq, error);

    *seq = right->last_seq(db);
    return st;
}

static void a_number_of_somebody_else(void **state)
{
    struct pc_store wrong = *right;

    (void)state;
    wrong.write = misnumbered_write;
    assert_true(shown(&wrong, RULE_TRUTH, RULE_NONE, 60, false) > 3);
}

static int find_store(void **state)
{
    (void)state;
    right = stores_find("minivault");
    return right ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_store_is_silent),
        cmocka_unit_test(one_seed_one_run),
        cmocka_unit_test(a_batch_in_two_halves),
        cmocka_unit_test(no_sync),
        cmocka_unit_test(a_snapshot_that_moves),
        cmocka_unit_test(a_stale_answer),
        cmocka_unit_test(a_number_of_somebody_else),
        cmocka_unit_test(a_right_store_that_meets_faults_is_silent),
        cmocka_unit_test(a_failure_not_told),
    };

    return cmocka_run_group_tests(tests, find_store, NULL);
}
