/* deal_test.c: every pair of trace and model comes once, broad first, whatever the numbers. */
#include "deal.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

static void each_once(uint64_t traces, uint32_t models)
{
    struct deal deal = {.traces = traces, .models = models};
    uint8_t *explored = calloc(traces * models, 1), *played = calloc(traces * DEAL_PLAYS, 1);
    uint64_t tasks = deal_tasks(&deal);

    assert_non_null(explored);
    assert_non_null(played);
    assert_int_equal(tasks, traces * (models + DEAL_PLAYS));
    for (uint64_t task = 0; task < tasks; task++) {
        struct dealt dealt = deal_task(&deal, task);

        assert_true(dealt.model < models);
        assert_true(dealt.trace < traces * (dealt.played ? DEAL_PLAYS : 1));
        if (dealt.played)
            assert_int_equal(played[dealt.trace]++, 0);
        else
            assert_int_equal(explored[dealt.trace * models + dealt.model]++, 0);
    }
    free(explored);
    free(played);
}

static void test_each_once(void **state)
{
    static const uint64_t traces[] = {1, 7, 8, 216, 255, 256, 257, 700};

    (void)state;
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++)
        for (uint32_t models = 1; models <= 8; models++)
            each_once(traces[i], models);
}

/* A run that is cut into units takes the same traces under the same models. */
static void test_units_add_up(void **state)
{
    static uint32_t seen[2][20 * 8], played[2][20 * DEAL_PLAYS][8];
    static const uint64_t cuts[][2] = {{0, 20}, {0, 7}, {7, 9}, {16, 4}};

    (void)state;
    for (size_t c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
        struct deal deal = {.first = cuts[c][0], .traces = cuts[c][1], .models = 8};

        for (uint64_t t = 0; t < deal_tasks(&deal); t++) {
            struct dealt dealt = deal_task(&deal, deal_first(&deal) + t);

            if (dealt.played)
                played[c > 0][dealt.trace][dealt.model]++;
            else
                seen[c > 0][dealt.trace * 8 + dealt.model]++;
        }
    }
    assert_memory_equal(seen[0], seen[1], sizeof seen[0]);
    assert_memory_equal(played[0], played[1], sizeof played[0]);
}

static void test_broad_first(void **state)
{
    struct deal deal = {.traces = 216, .models = 8};
    uint32_t used[8] = {0};

    (void)state;
    for (uint64_t i = 0; i < 216; i++) {
        struct dealt dealt = deal_task(&deal, i * (DEAL_PLAYS + 1) + DEAL_PLAYS);

        assert_false(dealt.played);
        assert_int_equal(dealt.trace, i);
        used[dealt.model]++;
    }
    for (int m = 0; m < 8; m++)
        assert_int_equal(used[m], 27);
    /* Traces of one lane (their number modulo 8) meet every model early, too. */
    for (uint32_t round = 0; round < 8; round++)
        assert_int_equal(deal_task(&deal, (round * 8 + 7) * (DEAL_PLAYS + 1) + DEAL_PLAYS).model,
                         (7 + round) % 8);
}

static void test_plain_and_endless(void **state)
{
    struct deal plain = {.traces = 11, .models = 3, .plain = true};
    struct deal endless = {.traces = UINT64_MAX, .models = 8};

    (void)state;
    assert_int_equal(deal_tasks(&plain), 33);
    assert_int_equal(deal_task(&plain, 31).trace, 10);
    assert_int_equal(deal_task(&plain, 31).model, 1);
    assert_true(deal_tasks(&endless) == UINT64_MAX);
    assert_int_equal(deal_task(&endless, DEAL_BLOCK * (8ull + DEAL_PLAYS) + DEAL_PLAYS).trace,
                     DEAL_BLOCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_units_add_up),
        cmocka_unit_test(test_broad_first),
        cmocka_unit_test(test_plain_and_endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
