/* story_test.c: a finding made small and told: what became of the writes, the lanes around the
 * crash, and what would have prevented it, which was tried. With planted mistakes of the toy store;
 * those of minivault are told in stories_test.py. */
#include "story.h"
#include "toy_test.h"

static const struct budget budget = {.leaves = 300, .samples = 30};

static void put(struct trace *trace, const char *key, bool sync)
{
    struct op *op = trace_add(trace, OP_PUT);

    op->sync = sync;
    trace_add_write(trace, op, false, trace_key(trace, bytes_str(key)),
                    (struct value){20, trace->write_count + 1, NULL});
}

static void begin(struct trace *trace, enum pc_model model)
{
    trace_init(trace);
    trace->disk = (struct pc_disk_config){.model = model, .unit = 64};
}

/* What the toy does with the mistake in it, found and told; free it. */
static char *story_of(enum mistake mistake, struct trace *trace, struct finding *finding)
{
    struct explorer explorer;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    explorer_init(&explorer, &budget, &toy_store, "", trace->seed);
    planted = mistake;
    explore_trace(&explorer, trace, &toy_store, finding);
    assert_true(finding->found);
    story_tell(out, trace, finding, &toy_store, NULL, NULL);
    planted = NOTHING;
    fclose(out);
    explorer_release(&explorer);
    return text;
}

static void expect(const char *story, const char *words)
{
    if (strstr(story, words) == NULL)
        fail_msg("'%s' is missing in:\n%s", words, story);
}

static void expect_not(const char *story, const char *words)
{
    if (strstr(story, words) != NULL)
        fail_msg("'%s' is in:\n%s", words, story);
}

static void a_missing_sync_is_named(void **state)
{
    struct finding finding;
    struct trace trace;
    char *story;

    begin(&trace, PC_POSIX);
    put(&trace, "a", true);
    put(&trace, "b", false);
    story = story_of(NO_SYNC, &trace, &finding);
    expect(story, "it would not have happened with\n"
                  "  a sync of db/log after the write of db/log (op 1)\n");
    expect(story, "unit 1   op 1   acknowledged promised     LOST");
    expect(story, "======= the power fails =======");
    expect(story, " LOST\n  ");
    expect(story, "(those that promise most): prefix ext4-ordered xfs btrfs\n");
    free(story);
    trace_release(&trace);
}

static void a_missing_sync_of_a_directory_is_named(void **state)
{
    struct finding finding;
    struct trace trace;
    char *story;

    begin(&trace, PC_POSIX);
    put(&trace, "a", true);
    story = story_of(NO_DIRECTORY, &trace, &finding);
    expect(story, "  a sync of db after the create of db/log (op 1)\n");
    expect(story, "name LOST");
    expect_not(story, "a sync of db/log");
    free(story);
    trace_release(&trace);
}

/* The calls of the second epoch are counted from its boot. */
static void a_sync_is_missed_in_a_later_epoch(void **state)
{
    struct finding finding;
    struct trace trace;
    char *story;

    begin(&trace, PC_POSIX);
    put(&trace, "a", false);
    trace_add(&trace, OP_CRASH)->crash = (struct crash){.place = CRASH_END};
    trace_add(&trace, OP_RECOVER);
    put(&trace, "b", true);
    story = story_of(NO_SYNC, &trace, &finding);
    assert_int_equal(finding.cuts, 1);
    expect(story, "  a sync of db/log after the write of db/log (op 4)\n");
    expect_not(story, "(op 1)\nshows");
    free(story);
    trace_release(&trace);
}

/* No sync and no order mends a checksum that nobody looks at. */
static void a_missing_check_is_not_laid_to_a_sync(void **state)
{
    struct finding finding;
    struct trace trace;
    char *story;

    begin(&trace, PC_POSIX);
    put(&trace, "a", false);
    put(&trace, "b", false);
    trace_add_write(&trace, trace_add(&trace, OP_PUT), false, trace_key(&trace, bytes_str("c")),
                    (struct value){190, 9, NULL});
    story = story_of(NO_CHECKSUM, &trace, &finding);
    expect_not(story, "waited for");
    expect_not(story, "it would not have happened");
    free(story);
    trace_release(&trace);
}

static void a_fault_is_named_with_the_call_it_met(void **state)
{
    struct pc_fault fault = {
        .kind = PC_FAULT_EIO, .call = PC_CALL_FDATASYNC, .file = "log", .nth = 2};
    struct finding finding;
    struct trace trace;
    char *story;

    begin(&trace, PC_POSIX);
    put(&trace, "a", true);
    put(&trace, "b", true);
    put(&trace, "c", false);
    trace_arm(&trace, &fault, 1);
    story = story_of(DEAF, &trace, &finding);
    expect(story, "it would not have happened without\n  fault eio op=fdatasync file=log nth=2\n"
                  "    which met the fdatasync of db/log (op 3)\n"
                  "    look at what the store does with the answer of the fdatasync of db/log");
    free(story);
    trace_release(&trace);
}

/* ---- smaller ---- */

/* A crash of the trace that only a seed describes, and what it lost: the finding is one after that
 * crash then, and one item is enough. */
static void a_seeded_crash_is_made_plain(void **state)
{
    uint32_t shrunk = 0;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct shrink shrink = {.store = &toy_store, .seed = 1, .tries = 400};
        struct finding finding = {.found = true, .live = true};
        uint32_t ops, items;
        struct trace trace;

        begin(&trace, PC_POSIX);
        put(&trace, "a", false);
        put(&trace, "b", true);
        put(&trace, "c", true);
        put(&trace, "d", false);
        trace_add(&trace, OP_CRASH)->crash = (struct crash){.place = CRASH_SEED, .seed = seed};
        trace_add(&trace, OP_RECOVER);
        put(&trace, "e", false);
        planted = NO_SYNC;
        finding.op = 6;
        finding.verdict.rule = shrink_replay(&toy_store, &trace, &finding);
        if (finding.verdict.rule != RULE_NONE) {
            shrink_finding(&shrink, &trace, &finding);
            finding_size(&trace, &finding, &ops, &items);
            assert_int_equal(finding.cuts, 1);
            assert_false(finding.live);
            assert_int_equal(ops, 1);
            assert_in_range(items, 0, 1);
            assert_int_equal(shrink_replay(&toy_store, &trace, &finding), finding.verdict.rule);
            assert_non_null(strstr(finding.verdict.text, "unit 0"));
            assert_int_equal(finding.cut[0].remedy_count, 1);
            shrunk++;
        }
        planted = NOTHING;
        trace_release(&trace);
    }
    print_message("%u of 60 crashes break a rule\n", (unsigned)shrunk);
    assert_in_range(shrunk, 10, 60);
}

/* What is needed behind the recovery stays, and so does the crash as a step, in words. */
static void a_crash_that_stays_has_words(void **state)
{
    struct finding finding = {.found = true, .live = true};
    struct trace trace;
    uint32_t ops, items, i = 0;

    begin(&trace, PC_POSIX);
    put(&trace, "a", true);
    put(&trace, "b", true);
    trace_add(&trace, OP_CRASH)->crash = (struct crash){.place = CRASH_SEED, .seed = 3};
    trace_add(&trace, OP_RECOVER);
    put(&trace, "c", false);
    trace_add(&trace, OP_CRASH)->crash = (struct crash){.place = CRASH_END};
    trace_add(&trace, OP_RECOVER);
    planted = DEAD_RETURNS; /* seen in the second recovery only */
    finding.op = 7;
    finding.verdict.rule = shrink_replay(&toy_store, &trace, &finding);
    assert_int_not_equal(finding.verdict.rule, RULE_NONE);
    shrink_crashes(&toy_store, &trace, &finding);
    assert_int_equal(shrink_replay(&toy_store, &trace, &finding), finding.verdict.rule);
    planted = NOTHING;
    finding_size(&trace, &finding, &ops, &items);
    assert_in_range(ops, 1, 2);
    while (i < trace.op_count && trace.ops[i].kind != OP_CRASH)
        i++;
    if (i < trace.op_count)
        assert_int_not_equal(trace.ops[i].crash.place, CRASH_SEED);
    trace_release(&trace);
}

/* A fault at every write is one at a single write, and a smaller trace has that one, too. */
static void a_wide_fault_is_narrowed(void **state)
{
    struct shrink shrink = {.store = &toy_store, .seed = 1, .tries = 400};
    struct pc_fault fault = {
        .kind = PC_FAULT_EIO, .call = PC_ANY_SYNC, .file = "*", .nth = 6, .times = PC_FOREVER};
    struct explorer explorer;
    struct finding finding;
    struct trace trace;

    begin(&trace, PC_POSIX);
    for (int i = 0; i < 8; i++)
        put(&trace, (const char *[]){"a", "b", "c", "d"}[i % 4], true);
    trace_arm(&trace, &fault, 1);
    planted = DEAF;
    explorer_init(&explorer, &budget, &toy_store, "", 1);
    explore_trace(&explorer, &trace, &toy_store, &finding);
    explorer_release(&explorer);
    assert_true(finding.found);
    shrink_finding(&shrink, &trace, &finding);
    planted = NOTHING;
    assert_string_equal(trace.faults[0].file, "log");
    assert_int_equal(trace.faults[0].call, PC_CALL_FDATASYNC);
    assert_int_equal(trace.faults[0].times, 0);
    assert_int_equal(trace.op_count, 2); /* the fault, and one put */
    trace_release(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_sync_is_named),
        cmocka_unit_test(a_missing_sync_of_a_directory_is_named),
        cmocka_unit_test(a_sync_is_missed_in_a_later_epoch),
        cmocka_unit_test(a_missing_check_is_not_laid_to_a_sync),
        cmocka_unit_test(a_fault_is_named_with_the_call_it_met),
        cmocka_unit_test(a_seeded_crash_is_made_plain),
        cmocka_unit_test(a_crash_that_stays_has_words),
        cmocka_unit_test(a_wide_fault_is_narrowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
