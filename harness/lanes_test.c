/* lanes_test.c: a finding as data. The crash of a finding is told with every open micro-op and its
 * fate; what is written as files is what the image has. */
#include "lanes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "explore.h"
#include "play.h"
#include "stores.h"

static struct pc_store forgetful;

static enum pc_store_status write_unsynced(void *db, const struct pc_write *writes, size_t count,
                                           bool sync, uint64_t *seq, struct pc_store_error *error)
{
    return stores_find("minivault")->write(db, writes, count, false, seq, error);
}

static void find(struct trace *trace, struct finding *finding)
{
    struct budget budget = {.leaves = 64, .samples = 10, .recoveries = 10000};
    struct explorer explorer;
    char why[160];

    forgetful = *stores_find("minivault");
    forgetful.write = write_unsynced;
    trace_init(trace);
    trace->disk = (struct pc_disk_config){.model = PC_POSIX, .unit = 512};
    assert_true(trace_parse(trace, "put a 1 sync", 1, why, sizeof why));
    assert_true(trace_parse(trace, "put b 2 sync", 2, why, sizeof why));
    explorer_init(&explorer, &budget, &forgetful, trace->tuning, 1);
    explore_trace(&explorer, trace, &forgetful, finding);
    explorer_release(&explorer);
    assert_true(finding->found);
    assert_int_equal(finding->verdict.rule, RULE_BELOW_FLOOR);
}

static void tells_the_crash(void **state)
{
    struct finding finding;
    struct trace trace;
    json_t *lanes, *item, *point;
    char *text;
    size_t i, lost = 0, bad = 0;

    find(&trace, &finding);
    text = lanes_text(&trace, &finding, &forgetful, true);
    lanes = json_loads(text, 0, NULL);
    assert_non_null(lanes);
    assert_int_equal(json_array_size(json_object_get(lanes, "operations")), 2);
    assert_true(json_array_size(json_object_get(lanes, "calls")) > 10);
    json_array_foreach(json_object_get(json_object_get(lanes, "crash"), "items"), i, item)
    {
        const char *fate = json_string_value(json_object_get(item, "state"));

        assert_string_not_equal(fate, "open");
        lost += strcmp(fate, "lost") == 0;
    }
    assert_true(lost > 0);
    json_array_foreach(json_object_get(lanes, "strip"), i, point) bad +=
        json_object_get(point, "lost") != NULL;
    assert_true(bad > 0);
    json_decref(lanes);
    free(text);
    trace_release(&trace);
}

static void finding_of_play(struct trace *trace, struct finding *finding)
{
    struct play play;

    play_init(&play, trace, &forgetful, NULL, finding);
    for (uint32_t i = 0; i < trace->op_count && play_step(&play, i, NULL); i++)
        ;
    play_release(&play);
}

/* Under a store that died nothing is played: the operations alone. */
static void tells_without_playing(void **state)
{
    struct finding finding;
    struct trace trace;
    json_t *lanes;
    char *text;

    find(&trace, &finding);
    text = lanes_text(&trace, &finding, &forgetful, false);
    lanes = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(lanes, "operations")), 2);
    assert_null(json_object_get(lanes, "calls"));
    json_decref(lanes);
    free(text);
    trace_release(&trace);
}

/* The crash is a step of the trace, and no search found it: it is told all the same. */
static void tells_a_crash_of_the_trace(void **state)
{
    struct finding searched, finding = {0};
    struct trace trace;
    json_t *lanes, *crash;
    char *text;
    size_t len;

    find(&trace, &searched);
    finding_steps(&searched, &trace);
    finding_of_play(&trace, &finding);
    assert_true(finding.found && finding.live);
    assert_int_equal(finding.cuts, 0);
    text = lanes_text(&trace, &finding, &forgetful, true);
    lanes = json_loads(text, 0, NULL);
    free(text);
    assert_int_equal(json_integer_value(json_object_get(lanes, "epoch")), 0);
    crash = json_object_get(lanes, "crash");
    assert_true(json_array_size(json_object_get(lanes, "calls")) > 10);
    assert_true(json_array_size(json_object_get(crash, "items")) > 0);
    assert_string_equal(json_string_value(json_object_get(crash, "where")), searched.cut[0].before);
    json_decref(lanes);
    text = lanes_disk(&trace, &finding, &forgetful, &len);
    assert_non_null(text);
    assert_true(len > 0);
    free(text);
    trace_release(&trace);
}

static void image_becomes_files(void **state)
{
    char dir[] = "/tmp/lanes-XXXXXX", name[128], content[64];
    struct finding finding;
    struct trace trace;
    char *list;
    size_t len;
    FILE *in;

    find(&trace, &finding);
    list = lanes_disk(&trace, &finding, &forgetful, &len);
    assert_non_null(list);
    assert_non_null(mkdtemp(dir));
    assert_true(lanes_write_disk(dir, bytes_of(list, len)));
    snprintf(name, sizeof name, "%s/db/CURRENT", dir);
    in = fopen(name, "rb");
    assert_non_null(in);
    assert_int_equal(fread(content, 1, sizeof content, in), 32); /* engine/FORMAT.md */
    fclose(in);
    snprintf(name, sizeof name, "rm -r %s", dir);
    assert_int_equal(system(name), 0);
    assert_false(lanes_write_disk("/proc/none", bytes_of(list, len)));
    free(list);
    trace_release(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_crash),
        cmocka_unit_test(tells_without_playing),
        cmocka_unit_test(tells_a_crash_of_the_trace),
        cmocka_unit_test(image_becomes_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
