/* tape_test.c: the drivers of the tape. Random choices depend on seed, section and anchor alone;
 * the search visits every leaf of a tree exactly once, however the tree looks, and notices when the
 * tree is another one than last time; the fixed driver repeats what was recorded. */
#include "tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

/* ---- random ---- */

static void random_repeats_itself(void **state)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct tape a, b;

        tape_init(&a, seed);
        tape_init(&b, seed);
        for (uint64_t anchor = 0; anchor < 200; anchor++) {
            uint32_t n = 1 + (uint32_t)(rng_mix(anchor) % 1000);
            uint32_t value = tape_choose(&a, TAPE_OPS, anchor, n);

            assert_true(value < n);
            assert_int_equal(value, tape_choose(&b, TAPE_OPS, anchor, n));
        }
        assert_false(a.diverged);
        tape_release(&a);
        tape_release(&b);
    }
}

/* More questions, in another order, in other sections: no answer moves. */
static void random_answers_do_not_depend_on_others(void **state)
{
    uint32_t first[100];
    struct tape tape;

    tape_init(&tape, 42);
    for (uint64_t i = 0; i < 100; i++)
        first[i] = tape_choose(&tape, TAPE_CONFIG, i, 1u << 30);
    tape_rewind(&tape, TAPE_CONFIG);
    for (uint64_t i = 100; i-- > 0;) {
        tape_choose(&tape, TAPE_CONFIG, 1000 + i, 7);
        tape_choose(&tape, TAPE_FAULTS, i, 9);
        assert_int_equal(tape_choose(&tape, TAPE_CONFIG, i, 1u << 30), first[i]);
    }
    tape_release(&tape);
}

static void sections_seeds_and_anchors_are_told_apart(void **state)
{
    uint32_t seen[TAPE_SECTIONS * 100];
    size_t count = 0, equal = 0;

    for (uint64_t seed = 0; seed < 10; seed++) {
        struct tape tape;

        tape_init(&tape, seed);
        for (int section = 0; section < TAPE_SECTIONS; section++)
            for (uint64_t anchor = 0; anchor < 10; anchor++)
                seen[count++] = tape_choose(&tape, (enum tape_section)section, anchor, UINT32_MAX);
        tape_release(&tape);
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            equal += seen[i] == seen[j];
    assert_int_equal(equal, 0);
}

static void random_answers_spread_evenly(void **state)
{
    uint32_t count[10] = {0};
    struct tape tape;

    tape_init(&tape, 3);
    for (uint64_t anchor = 0; anchor < 10000; anchor++)
        count[tape_choose(&tape, TAPE_OPS, anchor, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(count[i], 800, 1200);
    tape_release(&tape);
}

static void what_was_recorded_is_what_was_answered(void **state)
{
    struct tape tape;
    struct tape_list *list = &tape.lists[TAPE_CRASH];

    tape_init(&tape, 5);
    for (uint64_t i = 0; i < 300; i++) {
        uint32_t value = tape_choose(&tape, TAPE_CRASH, i * i, 17);

        assert_int_equal(list->count, i + 1);
        assert_int_equal(list->choices[i].anchor, i * i);
        assert_int_equal(list->choices[i].n, 17);
        assert_int_equal(list->choices[i].value, value);
    }
    tape_release(&tape);
}

/* ---- search ---- */

#define DEPTH_MAX 7

/* A tree without memory: the node is the hash of the path to it. */
static uint32_t width_of(uint64_t node, uint32_t depth)
{
    if (depth == DEPTH_MAX || (depth > 1 && rng_mix(node) % 5 == 0))
        return 0;
    return 1 + (uint32_t)(rng_mix(node ^ 77) % 4);
}

static uint64_t child_of(uint64_t node, uint32_t i)
{
    return rng_mix(node * 5 + i + 1);
}

static size_t leaves_of(uint64_t node, uint32_t depth, uint64_t *leaves, size_t room)
{
    uint32_t width = width_of(node, depth);
    size_t count = 0;

    if (width == 0) {
        assert_true(room > 0);
        leaves[0] = node;
        return 1;
    }
    for (uint32_t i = 0; i < width; i++)
        count += leaves_of(child_of(node, i), depth + 1, leaves + count, room - count);
    return count;
}

static uint64_t descend(struct tape *tape, uint64_t root)
{
    uint64_t node = root;
    uint32_t width;

    for (uint32_t depth = 0; (width = width_of(node, depth)) > 0; depth++)
        node = child_of(node, tape_choose(tape, TAPE_CRASH, node, width));
    return node;
}

static void search_visits_every_leaf_once_in_order(void **state)
{
    static uint64_t leaves[1 << 15];
    struct tape tape;
    size_t total = 0;

    tape_init(&tape, 1);
    for (uint64_t root = 0; root < 300; root++) {
        size_t count = leaves_of(root, 0, leaves, 1 << 15), visited = 0;

        tape_drive(&tape, TAPE_CRASH, TAPE_SEARCH);
        do {
            tape_rewind(&tape, TAPE_CRASH);
            assert_true(visited < count);
            assert_int_equal(descend(&tape, root), leaves[visited]);
            visited++;
        } while (tape_advance(&tape, TAPE_CRASH));
        assert_int_equal(visited, count);
        total += count;
    }
    assert_false(tape.diverged);
    assert_true(total > 10000);
    tape_release(&tape);
}

static void search_without_a_question_has_one_leaf(void **state)
{
    struct tape tape;

    tape_init(&tape, 1);
    tape_drive(&tape, TAPE_CRASH, TAPE_SEARCH);
    tape_rewind(&tape, TAPE_CRASH);
    assert_false(tape_advance(&tape, TAPE_CRASH));
    tape_release(&tape);
}

/* The second run of a search, with its questions given by anchor and n. */
static bool diverges(const struct tape_choice *questions, size_t count)
{
    struct tape tape;
    bool diverged;

    tape_init(&tape, 1);
    tape_drive(&tape, TAPE_CRASH, TAPE_SEARCH);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(tape_choose(&tape, TAPE_CRASH, 10 + i, 2), 0);
    assert_true(tape_advance(&tape, TAPE_CRASH));
    tape_rewind(&tape, TAPE_CRASH);
    for (size_t i = 0; i < count; i++)
        assert_true(tape_choose(&tape, TAPE_CRASH, questions[i].anchor, questions[i].n) <
                    questions[i].n);
    tape_advance(&tape, TAPE_CRASH);
    diverged = tape.diverged;
    tape_release(&tape);
    return diverged;
}

static void a_changed_question_is_noticed(void **state)
{
    const struct tape_choice same[] = {{10, 2, 0}, {11, 2, 0}, {12, 2, 0}, {99, 5, 0}};
    const struct tape_choice anchor[] = {{10, 2, 0}, {15, 2, 0}, {12, 2, 0}};
    const struct tape_choice wider[] = {{10, 2, 0}, {11, 2, 0}, {12, 3, 0}};
    const struct tape_choice narrow[] = {{10, 2, 0}, {11, 2, 0}, {12, 1, 0}};

    assert_false(diverges(same, 3));
    assert_false(diverges(same, 4)); /* what comes after the prefix is new ground */
    assert_true(diverges(anchor, 3));
    assert_true(diverges(wider, 3));
    assert_true(diverges(narrow, 3));
}

/* A run that ends before it came to the choice that was changed for it is another run, too. */
static void a_missing_question_is_noticed(void **state)
{
    const struct tape_choice same[] = {{10, 2, 0}, {11, 2, 0}};

    assert_true(diverges(same, 2));
    assert_true(diverges(same, 0));
}

/* ---- fixed ---- */

static void fixed_repeats_the_record_and_then_says_zero(void **state)
{
    uint32_t values[50];
    struct tape tape;

    tape_init(&tape, 11);
    for (uint64_t i = 0; i < 50; i++)
        values[i] = tape_choose(&tape, TAPE_OPS, i, 1000);
    tape.lists[TAPE_OPS].driver = TAPE_FIXED;
    for (int round = 0; round < 2; round++) {
        tape_rewind(&tape, TAPE_OPS);
        for (uint64_t i = 0; i < 50; i++)
            assert_int_equal(tape_choose(&tape, TAPE_OPS, i, 1000), values[i]);
        for (uint64_t i = 50; i < 60; i++)
            assert_int_equal(tape_choose(&tape, TAPE_OPS, i, 1000), 0);
    }
    assert_false(tape.diverged);
    tape_release(&tape);
}

static void fixed_stays_in_range_where_the_question_is_smaller(void **state)
{
    struct tape tape;

    tape_init(&tape, 11);
    tape_drive(&tape, TAPE_OPS, TAPE_SEARCH);
    tape_choose(&tape, TAPE_OPS, 1, 9);
    tape.lists[TAPE_OPS].choices[0].value = 8;
    tape.lists[TAPE_OPS].driver = TAPE_FIXED;
    tape_rewind(&tape, TAPE_OPS);
    assert_int_equal(tape_choose(&tape, TAPE_OPS, 1, 4), 3);
    assert_true(tape.diverged);
    tape_release(&tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_repeats_itself),
        cmocka_unit_test(random_answers_do_not_depend_on_others),
        cmocka_unit_test(sections_seeds_and_anchors_are_told_apart),
        cmocka_unit_test(random_answers_spread_evenly),
        cmocka_unit_test(what_was_recorded_is_what_was_answered),
        cmocka_unit_test(search_visits_every_leaf_once_in_order),
        cmocka_unit_test(search_without_a_question_has_one_leaf),
        cmocka_unit_test(a_changed_question_is_noticed),
        cmocka_unit_test(a_missing_question_is_noticed),
        cmocka_unit_test(fixed_repeats_the_record_and_then_says_zero),
        cmocka_unit_test(fixed_stays_in_range_where_the_question_is_smaller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
