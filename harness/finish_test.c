/* finish_test.c: the ends of traces that are only played: a store without a mistake passes all of
 * them, and each shows what it is there for, with the toy of toy_test.h. */
#include "finish.h"
#include "toy_test.h"

static enum rule played(enum way way, uint64_t seed)
{
    static const struct shape shape = {8, 150, 3, 64, false, false};
    struct finding finding = {0};
    struct trace trace;
    struct play play;

    random_trace(&trace, seed, PC_POSIX, &shape);
    finish_trace(&trace, way);
    play_init(&play, &trace, &toy_store, NULL, &finding);
    for (uint32_t op = 0; op < trace.op_count && play_step(&play, op, NULL); op++)
        ;
    play_end(&play);
    play_release(&play);
    trace_release(&trace);
    return finding.found ? finding.verdict.rule : RULE_NONE;
}

static uint32_t broken(enum mistake mistake, enum way way)
{
    uint32_t count = 0;

    planted = mistake;
    for (uint64_t seed = 0; seed < 40; seed++)
        count += played(way, seed) != RULE_NONE;
    planted = NOTHING;
    return count;
}

static void nothing_is_found_where_nothing_is(void **state)
{
    for (int way = 0; way < PLAY_WAYS; way++)
        assert_int_equal(broken(NOTHING, (enum way)way), 0);
}

static void each_shows_what_it_is_there_for(void **state)
{
    assert_int_equal(broken(NO_DIRECTORY, PLAY_ON), 0);
    assert_true(broken(NO_DIRECTORY, PLAY_OLDEST) > 0);
    assert_int_equal(broken(NO_DIRECTORY, PLAY_REOPEN), 40); /* the last write has promised */
    assert_true(broken(NO_SYNC, PLAY_ANYWHERE) > 0);
    assert_true(broken(NO_CHECKSUM, PLAY_ROTTEN) > 0);
    assert_int_equal(broken(NO_CHECKSUM, PLAY_OLDEST), 0);
}

/* Only traces without faults and earlier crashes meet rot; every lane of faults meets all else. */
static void the_ways_take_turns_in_every_lane(void **state)
{
    bool met[8][PLAY_WAYS] = {{false}};

    for (uint64_t number = 0; number < 480; number++)
        met[number % 8][finish_way(number)] = true;
    for (uint32_t lane = 0; lane < 8; lane++)
        for (int way = 0; way < PLAY_WAYS; way++)
            assert_int_equal(met[lane][way], way == PLAY_ROTTEN   ? lane % 4 == 0
                                             : way == PLAY_REOPEN ? lane % 4 != 0
                                                                  : true);
}

/* A trace in which no key is named gets one. */
static void an_empty_trace_has_an_end_too(void **state)
{
    struct trace trace;

    trace_init(&trace);
    finish_trace(&trace, PLAY_TWICE);
    assert_int_equal(trace.key_count, 1);
    trace_release(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_found_where_nothing_is),
        cmocka_unit_test(each_shows_what_it_is_there_for),
        cmocka_unit_test(the_ways_take_turns_in_every_lane),
        cmocka_unit_test(an_empty_trace_has_an_end_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
