/* campaign_test.c: every single fault, and pairs of them. A mistake that takes two faults, one of a
 * write and one of a sync, is found by pairs only; the toy as it is bears all of them. */
#include "campaign.h"
#include "toy_test.h"

static void put(struct trace *trace, const char *key)
{
    struct op *op = trace_add(trace, OP_PUT);

    op->sync = true;
    trace_add_write(trace, op, false, trace_key(trace, bytes_str(key)),
                    (struct value){20, trace->write_count + 1, NULL});
}

static bool breaks(enum mistake mistake, uint32_t pairs, uint32_t *faults)
{
    static const struct budget budget = {.leaves = 200, .samples = 10};
    static const struct pc_store *const store = &toy_store;
    struct campaign campaign = {.store = store,
                                .faults = 1u << PC_FAULT_SHORT | 1u << PC_FAULT_STICKY,
                                .fault_pairs = pairs};
    struct finding finding = {0};
    struct explorer explorer;
    struct trace trace;

    trace_init(&trace);
    trace.disk = (struct pc_disk_config){.model = PC_POSIX, .unit = 64};
    put(&trace, "a");
    put(&trace, "b");
    explorer_init(&explorer, &budget, store, "", 1);
    planted = mistake;
    campaign_single_faults(&campaign, &explorer, &trace, &finding);
    planted = NOTHING;
    *faults = trace.fault_count;
    explorer_release(&explorer);
    trace_release(&trace);
    return finding.found;
}

static void pairs_find_what_single_faults_do_not(void **state)
{
    uint32_t faults;

    assert_false(breaks(NOTHING, 100, &faults));
    assert_false(breaks(DEAF_WHEN_HURT, 0, &faults));
    assert_true(breaks(DEAF, 0, &faults));
    assert_int_equal(faults, 1);
    assert_true(breaks(DEAF_WHEN_HURT, 100, &faults));
    assert_int_equal(faults, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_find_what_single_faults_do_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
