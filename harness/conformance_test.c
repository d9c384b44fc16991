/* conformance_test.c: the comparison itself. A file whose expectations were altered must fail, in
 * both directions, and name the trace; a broken file is told from a mismatch. */
#include "conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#define TRACE "t14-replace-rename-no-fsync"

/* The file lies in the tree, found from this source. */
static void models_path(char *out, size_t size)
{
    const char *source = __FILE__;
    const char *end = strstr(source, "harness/conformance_test.c");

    snprintf(out, size, "%.*scrashtests/conformance/persistence-models.json",
             end ? (int)(end - source) : 0, source);
}

/* A copy of the file with one trace only; its member `expected`, borrowed, is for altering. */
static json_t *one_trace(json_t **expected)
{
    char path[512];
    json_t *root;
    json_t *traces;
    json_t *only = json_array();
    size_t i;
    json_t *trace;

    models_path(path, sizeof(path));
    root = json_load_file(path, 0, NULL);
    if (!root)
        fail_msg("cannot read %s", path);
    traces = json_object_get(root, "traces");
    json_array_foreach(traces, i, trace)
    {
        if (strcmp(json_string_value(json_object_get(trace, "id")), TRACE) == 0)
            json_array_append(only, trace);
    }
    assert_int_equal(json_array_size(only), 1);
    *expected = json_object_get(json_array_get(only, 0), "expected");
    json_object_set_new(root, "traces", only);
    return root;
}

/* Runs on a copy of `root`; what was printed is in *said (free it). */
static int run_on(json_t *root, const char *models, char **said)
{
    char path[] = "/tmp/powercut-conformance-XXXXXX";
    int fd = mkstemp(path);
    size_t len = 0;
    FILE *out = open_memstream(said, &len);
    int result;

    assert_true(fd >= 0);
    assert_non_null(out);
    assert_int_equal(json_dumpfd(root, fd, 0), 0);
    close(fd);
    result = conformance_run(path, models, out, false);
    fclose(out);
    unlink(path);
    return result;
}

static void the_file_as_it_is_passes(void **state)
{
    json_t *expected;
    json_t *root = one_trace(&expected);
    char *said;

    assert_int_equal(run_on(root, "posix,ext4-ordered", &said), 0);
    assert_string_equal(said, "14 passed, 0 failed\n");
    free(said);
    json_decref(root);
}

static void a_state_too_many_in_the_file_is_missing(void **state)
{
    json_t *expected;
    json_t *root = one_trace(&expected);
    json_t *posix = json_object_get(expected, "posix");
    json_t *at = json_array_get(json_object_get(posix, "at"), 3);
    json_t *states = json_object_get(posix, "states");
    char *said;

    json_array_append_new(at, json_integer((json_int_t)json_array_size(states)));
    json_array_append_new(states, json_pack("{s:s}", "f", "odd1"));
    assert_int_equal(run_on(root, "posix", &said), 1);
    assert_non_null(strstr(said, TRACE ", posix, k=3: "));
    assert_non_null(strstr(said, "    missing {\"f\":\"odd1\"}\n"));
    assert_non_null(strstr(said, "6 passed, 1 failed\n"));
    free(said);
    json_decref(root);
}

static void a_state_too_few_in_the_file_is_extra(void **state)
{
    json_t *expected;
    json_t *root = one_trace(&expected);
    json_t *prefix = json_object_get(expected, "prefix");
    json_t *at = json_array_get(json_object_get(prefix, "at"), 2);
    char *said;

    json_array_remove(at, json_array_size(at) - 1);
    assert_int_equal(run_on(root, "prefix", &said), 1);
    assert_non_null(strstr(said, TRACE ", prefix, k=2: "));
    assert_non_null(strstr(said, "    extra   {"));
    free(said);
    json_decref(root);
}

/* Of a cut inside a call too much and too little is told as well, and the call is named. */
static void an_altered_inside_is_told(void **state)
{
    json_t *expected;
    json_t *root = one_trace(&expected);
    json_t *btrfs = json_object_get(expected, "btrfs");
    json_t *inside = json_array_get(json_object_get(btrfs, "inside"), 1);
    json_t *states = json_object_get(btrfs, "states");
    char *said;

    json_array_remove(inside, 0);
    json_array_append_new(inside, json_integer((json_int_t)json_array_size(states)));
    json_array_append_new(states, json_pack("{s:s}", "f", "odd1"));
    assert_int_equal(run_on(root, "btrfs", &said), 1);
    assert_non_null(strstr(said, TRACE ", btrfs, inside the call after k=1: "));
    assert_non_null(strstr(said, "    missing {\"f\":\"odd1\"}\n"));
    assert_non_null(strstr(said, "    extra   {"));
    assert_non_null(strstr(said, "6 passed, 1 failed\n"));
    free(said);
    json_object_del(btrfs, "inside");
    assert_int_equal(run_on(root, "btrfs", &said), 2);
    free(said);
    json_decref(root);
}

static void an_altered_byte_is_both(void **state)
{
    json_t *expected;
    json_t *root = one_trace(&expected);
    json_t *states = json_object_get(json_object_get(expected, "process-kill"), "states");
    char *said;

    json_array_set_new(states, 0, json_pack("{s:s}", "f", "????"));
    assert_int_equal(run_on(root, "process-kill", &said), 1);
    assert_non_null(strstr(said, "missing {\"f\":\"????\"}"));
    assert_non_null(strstr(said, "extra   {"));
    free(said);
    json_decref(root);
}

static void a_broken_file_is_no_mismatch(void **state)
{
    json_t *expected;
    json_t *root = one_trace(&expected);
    char *said;

    assert_int_equal(run_on(root, "nonsense", &said), 2);
    free(said);
    json_array_append_new(
        json_object_get(json_array_get(json_object_get(root, "traces"), 0), "ops"),
        json_pack("{s:s}", "op", "defragment"));
    assert_int_equal(run_on(root, "posix", &said), 2);
    free(said);
    json_object_set_new(root, "format", json_integer(1));
    assert_int_equal(run_on(root, "posix", &said), 2);
    free(said);
    json_decref(root);
    assert_int_equal(conformance_run("/nonexistent/file", NULL, stdout, false), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_as_it_is_passes),
        cmocka_unit_test(a_state_too_many_in_the_file_is_missing),
        cmocka_unit_test(a_state_too_few_in_the_file_is_extra),
        cmocka_unit_test(an_altered_inside_is_told),
        cmocka_unit_test(an_altered_byte_is_both),
        cmocka_unit_test(a_broken_file_is_no_mismatch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
