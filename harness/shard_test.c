/* shard_test.c: unit tests of shard.c: which shard, and how many units. What is run is tested by
 * reports/test_shards. */
#include "shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_parse(void **state)
{
    struct shard shard;

    assert_true(shard_parse("0/1", &shard));
    assert_true(shard_parse("3/4", &shard));
    assert_int_equal(shard.index, 3);
    assert_int_equal(shard.count, 4);
    assert_false(shard_parse("4/4", &shard));
    assert_false(shard_parse("1", &shard));
    assert_false(shard_parse("1/4x", &shard));
    assert_false(shard_parse("-1/4", &shard));
    assert_false(shard_parse("0/0", &shard));
    assert_false(shard_parse("", &shard));
}

static const char *const all[] = {
    "TEST_SHARD_INDEX",    "TEST_TOTAL_SHARDS",      "GTEST_SHARD_INDEX",    "GTEST_TOTAL_SHARDS",
    "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "JOB_COMPLETION_INDEX",
    "POWERCUT_SHARDS",     "PARALLEL_SEQ",           "CI_NODE_INDEX",        "CI_NODE_TOTAL",
};

static int clear(void **state)
{
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        unsetenv(all[i]);
    return 0;
}

static void expect(uint64_t index, uint64_t count, const char *from)
{
    struct shard shard;
    const char *where = "";

    assert_true(shard_from_environment(&shard, &where));
    assert_int_equal(shard.index, index);
    assert_int_equal(shard.count, count);
    assert_string_equal(where, from);
}

static void test_environment(void **state)
{
    struct shard shard;
    const char *where = "";

    assert_false(shard_from_environment(&shard, &where));
    setenv("CI_NODE_INDEX", "4", 1);
    assert_false(shard_from_environment(&shard, &where)); /* of how many? */
    setenv("CI_NODE_TOTAL", "4", 1);
    expect(3, 4, "CI_NODE_INDEX");
    setenv("CI_NODE_INDEX", "0", 1); /* they count from 1 */
    assert_false(shard_from_environment(&shard, &where));
    setenv("PARALLEL_SEQ", "1", 1);
    setenv("POWERCUT_SHARDS", "9", 1);
    expect(0, 9, "PARALLEL_SEQ");
    setenv("JOB_COMPLETION_INDEX", "8", 1);
    expect(8, 9, "JOB_COMPLETION_INDEX");
    setenv("SLURM_ARRAY_TASK_ID", "12", 1);
    setenv("SLURM_ARRAY_TASK_COUNT", "3", 1);
    setenv("SLURM_ARRAY_TASK_MIN", "10", 1);
    expect(2, 3, "SLURM_ARRAY_TASK_ID");
    setenv("GTEST_SHARD_INDEX", "1", 1);
    setenv("GTEST_TOTAL_SHARDS", "2", 1);
    expect(1, 2, "GTEST_SHARD_INDEX");
    setenv("TEST_SHARD_INDEX", "7", 1);
    setenv("TEST_TOTAL_SHARDS", "8", 1);
    expect(7, 8, "TEST_SHARD_INDEX");
    setenv("TEST_SHARD_INDEX", "8", 1);
    assert_false(shard_from_environment(&shard, &where));
}

/* Every unit belongs to one shard. */
static void test_units(void **state)
{
    for (uint64_t count = 1; count < 9; count++)
        for (uint64_t units = 0; units < 30; units++) {
            uint64_t sum = 0;

            for (uint64_t i = 0; i < count; i++) {
                struct shard shard = {i, count};
                uint64_t mine = 0;

                for (uint64_t u = i; u < units; u += count)
                    mine++;
                assert_int_equal(shard_units(&shard, units), mine);
                sum += mine;
            }
            assert_int_equal(sum, units);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test_setup_teardown(test_environment, clear, clear),
        cmocka_unit_test(test_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
