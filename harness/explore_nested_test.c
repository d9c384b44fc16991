/* explore_nested_test.c: crashes within recoveries and soon after: what no single crash shows. */
#include "toy_test.h"

static uint32_t rules[RULES], third;
static uint64_t gone_on; /* recoveries, from which the store went on */

/* Explores random traces of the toy with a mistake; how many of them break a rule? */
static uint32_t broken(enum mistake mistake, const struct budget *budget,
                       const struct pc_store *store, const struct shape *shape)
{
    static const enum pc_model models[] = {PC_PREFIX, PC_POSIX, PC_EXT4_ORDERED, PC_BTRFS};
    static struct finding finding;
    uint32_t count = 0;

    memset(rules, 0, sizeof rules);
    third = 0;
    gone_on = 0;
    for (uint64_t seed = 0; seed < 24; seed++) {
        struct explorer explorer;
        struct trace trace;

        random_trace(&trace, seed, models[seed % 4], shape);
        explorer_init(&explorer, budget, store, "", trace.seed);
        planted = mistake;
        explore_trace(&explorer, &trace, store, &finding);
        if (!finding.found)
            explore_after(&explorer, &trace, store, &finding);
        gone_on += explorer.tally.after;
        if (finding.found) {
            rules[finding.verdict.rule]++;
            third += finding.cuts == 3;
            assert_int_equal(shrink_replay(store, &trace, &finding), finding.verdict.rule);
        }
        planted = NOTHING;
        count += finding.found;
        explorer_release(&explorer);
        trace_release(&trace);
    }
    return count;
}

/* N2. The record was never promised, so each recovery for itself is right. */
static void what_a_recovery_has_dropped_stays_away(void **state)
{
    static const struct shape shape = {8, 150, 0, 64, false, false};
    static const struct budget once = {.leaves = 300}, again = {.leaves = 300, .nested = 1};
    struct pc_store modest = toy_store;
    uint32_t found;

    modest.promises &= ~(uint32_t)(PC_PROMISE_CLOSE | PC_PROMISE_PROCESS_KILL | PC_PROMISE_SYNC);
    assert_int_equal(broken(NOTHING, &again, &modest, &shape), 0);
    assert_int_equal(broken(DEAD_RETURNS, &once, &modest, &shape), 0);
    found = broken(DEAD_RETURNS, &again, &modest, &shape);
    print_message("found in %u of 24 traces\n", (unsigned)found);
    assert_true(found > 16 && rules[RULE_PHANTOM] > 0);
}

/* It takes three power failures in a row, and the search makes them. */
static void the_third_recovery_is_crashed_to(void **state)
{
    static const struct shape shape = {8, 150, 5, 64, false, false};
    static const struct budget two = {.leaves = 300, .nested = 1, .depth = 2};
    static const struct budget three = {.leaves = 300, .nested = 1, .depth = 3};
    uint32_t found;

    assert_int_equal(broken(NOTHING, &three, &toy_store, &shape), 0);
    assert_int_equal(broken(THIRD_TIME, &two, &toy_store, &shape), 0);
    found = broken(THIRD_TIME, &three, &toy_store, &shape);
    print_message("found in %u of 24 traces\n", (unsigned)found);
    assert_true(found > 8 && third == found);
}

/* N5. Every recovery is right, and so is every crash within one. */
static void the_write_behind_a_recovery_is_crashed_too(void **state)
{
    static const struct shape shape = {8, 150, 5, 64, false, false};
    static const struct budget none = {.leaves = 300, .nested = 1, .life = 1};
    static const struct budget some = {.leaves = 300, .after = 4};
    uint32_t found;

    assert_int_equal(broken(NOTHING, &some, &toy_store, &shape), 0);
    assert_true(gone_on >= 24 && gone_on <= 24 * 4);
    assert_int_equal(broken(AFTER_REPAIR, &none, &toy_store, &shape), 0);
    assert_int_equal(gone_on, 0);
    found = broken(AFTER_REPAIR, &some, &toy_store, &shape);
    print_message("found in %u of 24 traces\n", (unsigned)found);
    assert_true(found > 12 && rules[RULE_BELOW_FLOOR] == found);
}

/* J4. Such a finding is made again by its own steps: `broken` replays it. */
static void a_store_that_does_not_go_on_is_replayed(void **state)
{
    static const struct shape shape = {8, 150, 5, 64, false, false};
    static const struct budget dead = {.leaves = 300}, alive = {.leaves = 300, .life = 1};
    uint32_t found;

    assert_int_equal(broken(STUCK, &dead, &toy_store, &shape), 0);
    found = broken(STUCK, &alive, &toy_store, &shape);
    print_message("found in %u of 24 traces\n", (unsigned)found);
    assert_true(found > 12 && rules[RULE_PROGRESS] == found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_recovery_has_dropped_stays_away),
        cmocka_unit_test(the_third_recovery_is_crashed_to),
        cmocka_unit_test(the_write_behind_a_recovery_is_crashed_too),
        cmocka_unit_test(a_store_that_does_not_go_on_is_replayed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
