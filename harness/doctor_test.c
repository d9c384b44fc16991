/* doctor_test.c: every line has its form, and a machine without tools is told so. */
#define _GNU_SOURCE
#include "doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int doctor_says(char **said)
{
    size_t len = 0;
    FILE *out = open_memstream(said, &len);
    int code;

    assert_non_null(out);
    code = doctor_run(out);
    fclose(out);
    return code;
}

static bool begins_with(const char *line, const char *words)
{
    return strncmp(line, words, strlen(words)) == 0;
}

static void every_line_has_its_form(void **state)
{
    char *said;
    char *save = NULL;
    int code = doctor_says(&said);
    bool is_missing = false;
    const char *last = "";

    for (char *line = strtok_r(said, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (begins_with(line, "missing   "))
            is_missing = true;
        else if (!begins_with(line, "ok        ") && !begins_with(line, "optional  "))
            last = line;
        if (*last == '\0')
            assert_true(strlen(line) > 27); /* found something, or says what to do */
    }
    assert_int_equal(code, is_missing ? 4 : 0);
    assert_true(is_missing || strcmp(last, "all that is needed is here") == 0);
    free(said);
}

static void an_empty_machine_lacks_much(void **state)
{
    char *path = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    char *said;

    assert_non_null(path);
    setenv("PATH", "/nonexistent", 1);
    assert_int_equal(doctor_says(&said), 4);
    setenv("PATH", path, 1);
    assert_non_null(
        strstr(said, "missing   C compiler       apt-get install -y build-essential\n"));
    assert_non_null(strstr(said, "missing   cmake            apt-get install -y cmake"));
    assert_non_null(strstr(said, "optional  valgrind         apt-get install -y valgrind\n"));
    assert_non_null(strstr(said, ".ci/bootstrap installs the packages\n"));
    free(said);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_has_its_form),
        cmocka_unit_test(an_empty_machine_lacks_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
