/* posix_preload_test.c: the preload library under a program of its own (programs/preload_child.c),
 * from outside: what it prints, what is left in real directories, what the report says. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CHILD "LD_PRELOAD=" PRELOAD_LIBRARY " " PRELOAD_CHILD " "

static char scratch[64];
static char text[8192]; /* what was printed last */
static char where[128];

static int begin(void **state)
{
    snprintf(scratch, sizeof scratch, "/tmp/posix_preload_test_XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static int end(void **state)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    return system(command);
}

static const char *in_scratch(const char *name)
{
    snprintf(where, sizeof where, "%s/%s", scratch, name);
    return where;
}

/* Runs a shell command in the scratch directory; its exit code. What it prints is in `text`. */
static int run(const char *command)
{
    char line[2048];
    FILE *pipe;
    size_t len;
    int status;

    snprintf(line, sizeof line, "cd %s && { %s ; } 2>&1", scratch, command);
    pipe = popen(line, "r");
    assert_non_null(pipe);
    len = fread(text, 1, sizeof text - 1, pipe);
    text[len] = '\0';
    status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect_run(const char *command, const char *output)
{
    assert_int_equal(run(command), 0);
    assert_string_equal(text, output);
}

static void expect_file(const char *name, const char *content)
{
    char got[256];
    FILE *file = fopen(in_scratch(name), "r");
    size_t len;

    assert_non_null(file);
    len = fread(got, 1, sizeof got - 1, file);
    got[len] = '\0';
    assert_int_equal(fclose(file), 0);
    assert_string_equal(got, content);
}

static void expect_none(const char *name)
{
    assert_int_equal(access(in_scratch(name), F_OK), -1);
}

/* Does the file that was printed last, or the output, hold this? */
static void expect_words(const char *words)
{
    if (!strstr(text, words))
        fail_msg("no \"%s\" in: %s", words, text);
}

/* ---- what is left ---- */

static void the_disk_is_exported_and_reported(void **state)
{
    expect_run("POWERCUT_EXPORT=left POWERCUT_REPORT=report " CHILD
               "write /powercut/a.log hello sync write /powercut/b xyz rename /powercut/b "
               "/powercut/c print /powercut/c",
               "0 0 0 0 xyz 0 ");
    expect_file("left/a.log", "hello");
    expect_file("left/c", "xyz");
    expect_none("left/b");
    assert_int_equal(run("cat report"), 0);
    expect_words("model ext4-ordered\nunit 512\nseed 0\ncalls 6\nbytes 8\n");
    expect_words("\n1 create a.log\n2 write a.log 0+5\n3 fdatasync a.log\n4 create b\n"
                 "5 write b 0+3\n6 rename b -> c\n");
    expect_none("/powercut");
}

static void the_mount_is_chosen(void **state)
{
    expect_run("POWERCUT_MOUNT=/tmp/no/such POWERCUT_UNIT=4096 POWERCUT_MODEL=posix "
               "POWERCUT_SEED=9 POWERCUT_REPORT=report " CHILD
               "write /tmp/no/such/a x write /powercut/a x",
               "0 2 ");
    assert_int_equal(run("cat report"), 0);
    expect_words("model posix\nunit 4096\nseed 9\ncalls 2\n");
}

static void what_was_imported_is_durable(void **state)
{
    assert_int_equal(run("mkdir -p from/d && echo -n one > from/a && echo -n two > from/d/b &&"
                         " ln -s ../a from/d/l"),
                     0);
    expect_run(
        "POWERCUT_IMPORT=from POWERCUT_EXPORT=left POWERCUT_CRASH=0 POWERCUT_REPORT=report " CHILD
        "print /powercut/a print /powercut/d/b print /powercut/d/l write /powercut/d/l changed",
        "one 0 two 0 one 0 0 ");
    expect_file("left/a", "one");
    expect_file("left/d/l", "one");
    assert_int_equal(run("test -L left/d/l && readlink left/d/l"), 0);
    expect_words("../a");
    expect_file("left/d/b", "two");
    expect_file("from/a", "one");
    assert_int_equal(run("cat report"), 0);
    expect_words("calls 2\n");
}

static void settings_outlive_a_change_of_directory(void **state)
{
    assert_int_equal(run("mkdir from && echo -n one > from/a"), 0);
    expect_run("POWERCUT_IMPORT=from POWERCUT_EXPORT=left POWERCUT_REPORT=report " CHILD
               "chdir / write /powercut/b two",
               "0 0 ");
    expect_file("left/a", "one");
    expect_file("left/b", "two");
    assert_int_equal(run("cat report"), 0);
}

static void the_power_fails(void **state)
{
    static const struct {
        const char *crash, *a, *b; /* NULL: is not there */
    } cases[] = {
        {"0", NULL, NULL},       {"2:newest", "A", NULL},   {"2:oldest", NULL, NULL},
        {"3", "A", NULL},        {"end:newest", "A", "BB"}, {"end:oldest", "A", NULL},
        {"6:newest", "A", "BB"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char command[512];

        snprintf(command, sizeof command,
                 "rm -rf left; POWERCUT_EXPORT=left POWERCUT_CRASH=%s " CHILD
                 "write /powercut/a A fsync /powercut/a write /powercut/b BB",
                 cases[i].crash);
        if (i == 6) {
            assert_int_equal(run(command), 0);
            expect_words("POWERCUT_CRASH: there were only 5 calls; nothing is exported");
            expect_none("left");
            continue;
        }
        expect_run(command, "0 0 0 ");
        if (cases[i].a)
            expect_file("left/a", cases[i].a);
        else
            expect_none("left/a");
        if (cases[i].b)
            expect_file("left/b", cases[i].b);
        else
            expect_none("left/b");
    }
}

static void faults_fire(void **state)
{
    expect_run("POWERCUT_FAULTS=eio:fdatasync:*.log:2,enospc:create:b POWERCUT_REPORT=report " CHILD
               "write /powercut/x.dat 1 sync write /powercut/a.log 2 sync sync sync write "
               "/powercut/b 3",
               "0 0 0 0 5 0 28 ");
    assert_int_equal(run("cat report"), 0);
    expect_words("fault eio:fdatasync:*.log:2 seen 3 fired 1\n");
    expect_words("fault enospc:create:b seen 1 fired 1\n");
    expect_words("fdatasync a.log, failed\n");
}

/* ---- settings ---- */

static void wrong_settings_are_named(void **state)
{
    static const struct {
        const char *setting, *words;
    } cases[] = {
        {"POWERCUT_FAULTS=eio:fsnc", "POWERCUT_FAULTS: in 'eio:fsnc': no call 'fsnc'; there are: "},
        {"POWERCUT_FAULTS=eoi:fsync", "no fault 'eoi'; there are: eio "},
        {"POWERCUT_FAULTS=eio:fsync:a:b", "'b' is not a number from 1"},
        {"POWERCUT_FAULTS=eio", "'eio' is not kind:call[:file[:nth]]"},
        {"POWERCUT_FAULTS=eio:fsync:a:1:2", "is not kind:call[:file[:nth]]"},
        {"POWERCUT_FAULTS=eio:fsync:0123456789012345678901234567890123456789", "is too long"},
        {"POWERCUT_MODEL=zfs", "no model 'zfs'; there are: process-kill "},
        {"POWERCUT_UNIT=1000", "1000 is not a power of two"},
        {"POWERCUT_SEED=many", "'many' is not a number"},
        {"POWERCUT_MOUNT=here", "'here' is not an absolute path"},
        {"POWERCUT_CRASH=3", "needs POWERCUT_EXPORT"},
        {"POWERCUT_EXPORT=left POWERCUT_CRASH=3:some", "'3:some' is not K[:oldest|newest]"},
        {"POWERCUT_EXPORT=/powercut/x", "'/powercut/x' is on the simulated disk"},
        {"POWERCUT_EXPORT=/etc", "/etc is not empty"},
        {"POWERCUT_IMPORT=/none/such", "/none/such: No such file"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char command[512];

        snprintf(command, sizeof command, "%s " CHILD "write /tmp/x x", cases[i].setting);
        assert_int_equal(run(command), 2);
        expect_words(cases[i].words);
    }
}

/* ---- processes ---- */

static void a_forked_child_shares_nothing(void **state)
{
    const char *first;

    assert_int_equal(run("POWERCUT_EXPORT=left POWERCUT_REPORT=report " CHILD
                         "write /powercut/a x fork /powercut/b y print /powercut/b"),
                     0);
    expect_words("has changed its own copy of the simulated disk");
    first = strstr(text, "own copy");
    assert_null(strstr(first + 1, "own copy"));
    expect_words("0 0 2 ");
    expect_file("left/a", "x");
    expect_none("left/b");
}

static void a_vforked_child_closes_its_own_descriptors(void **state)
{
    expect_run("POWERCUT_EXPORT=left " CHILD "write /powercut/a x vfork sync", "0 0 0 ");
    expect_file("left/a", "x");
}

static void every_way_out_is_seen(void **state)
{
    expect_run("POWERCUT_EXPORT=e1 " CHILD "stream /powercut/a text", "0 ");
    expect_file("e1/a", "text");
    expect_run("POWERCUT_EXPORT=e2 " CHILD "stream /powercut/a text exit", "0 ");
    expect_file("e2/a", "text");
    expect_run("POWERCUT_EXPORT=e3 " CHILD "stream /powercut/a text _exit", "0 ");
    expect_file("e3/a", "");
    expect_run("POWERCUT_EXPORT=e4 " CHILD "stream /powercut/a text quick_exit", "0 ");
    expect_file("e4/a", "");
    (void)run("POWERCUT_EXPORT=e5 " CHILD "write /powercut/a text abort");
    expect_none("e5");
}

static void who_does_nothing_writes_nothing(void **state)
{
    expect_run("POWERCUT_EXPORT=left POWERCUT_REPORT=report " CHILD "write /dev/null x", "0 ");
    expect_none("left");
    expect_none("report");
}

/* The library the child needs has an allocator that opens files, and starts first. */
static void it_works_before_it_was_constructed(void **state)
{
    expect_run("PRELOAD_EARLY=/powercut/early POWERCUT_EXPORT=left " CHILD "print /powercut/early",
               "early 0 ");
    expect_file("left/early", "early");
}

static void shells_are_told(void **state)
{
    assert_int_equal(run("LD_PRELOAD=" PRELOAD_LIBRARY
                         " sh -c 'echo one > /powercut/a; read x < /powercut/a; echo $x'"),
                     0);
    assert_string_equal(text, "one\n");
    assert_int_equal(run("LD_PRELOAD=" PRELOAD_LIBRARY " sh -c 'ls > /powercut/a'"), 126);
    expect_words("execve is not supported on a simulated file (a standard stream)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_disk_is_exported_and_reported),
        TEST(the_mount_is_chosen),
        TEST(what_was_imported_is_durable),
        TEST(settings_outlive_a_change_of_directory),
        TEST(the_power_fails),
        TEST(faults_fire),
        TEST(wrong_settings_are_named),
        TEST(a_forked_child_shares_nothing),
        TEST(a_vforked_child_closes_its_own_descriptors),
        TEST(every_way_out_is_seen),
        TEST(who_does_nothing_writes_nothing),
        TEST(it_works_before_it_was_constructed),
        TEST(shells_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
