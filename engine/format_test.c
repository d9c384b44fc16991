/* format_test.c: the bytes in FORMAT.md are the bytes on disk. The worked example there is read
 * from the page itself, so the page cannot drift. Names of files, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "engine_testing.h"
#include "format.h"

/* The hex dump in FORMAT.md under "```hex NAME". Lines: offset, up to 16 bytes, then words. */
static size_t documented(const char *name, uint8_t *to, size_t max)
{
    char path[512];
    char line[256];
    char want[64];
    size_t len = 0;
    bool inside = false;
    FILE *page = NULL;

    snprintf(path, sizeof path, "%.*s/FORMAT.md", (int)(strrchr(__FILE__, '/') - __FILE__),
             __FILE__);
    snprintf(want, sizeof want, "```hex %s\n", name);
    page = fopen(path, "r");
    assert_non_null(page);
    while (fgets(line, sizeof line, page)) {
        if (!inside) {
            inside = strcmp(line, want) == 0;
            continue;
        }
        if (!strncmp(line, "```", 3))
            break;
        assert_int_equal(strtoul(line, NULL, 16), len);
        for (char *p = line + 6; p < line + 54 && p[0] > ' ' && p[1] > ' '; p += 3) {
            assert_true(len < max);
            to[len++] = (uint8_t)strtoul(p, NULL, 16);
        }
    }
    fclose(page);
    return len;
}

static void expect_documented(const char *dir, const char *name)
{
    uint8_t bytes[1024];
    size_t len = documented(name, bytes, sizeof bytes);
    struct test_file file;
    bool same = false;

    test_file_read(&file, dir, name);
    same = file.len == len && !memcmp(file.data, bytes, len);
    if (!same) { /* what the page should say */
        print_message("```hex %s\n", name);
        for (size_t i = 0; i < file.len; i += 16) {
            print_message("%04zx  ", i);
            for (size_t j = i; j < i + 16 && j < file.len; j++)
                print_message("%02x ", file.data[j]);
            print_message("\n");
        }
    }
    free(file.data);
    assert_true(same);
}

static void worked_example(void **state)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault *v = NULL;

    test_dir_make(&dir);
    vault_options_init(&o);
    o.background = VAULT_INLINE;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    assert_int_equal(vault_put(v, "apple", 5, "red", 3, true, NULL), VAULT_OK);
    assert_int_equal(vault_delete(v, "apply", 5, false, NULL), VAULT_OK);
    expect_documented(dir.path, "000002.log");
    assert_int_equal(vault_flush(v), VAULT_OK);
    expect_documented(dir.path, "000003.sst");
    expect_documented(dir.path, "MANIFEST-000001");
    expect_documented(dir.path, "CURRENT");
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

static void names(void **state)
{
    static const struct {
        const char *name;
        enum format_file kind;
        uint64_t number;
    } cases[] = {
        {"000012.log", FORMAT_LOG, 12},
        {"1234567.sst", FORMAT_TABLE, 1234567},
        {"MANIFEST-000001", FORMAT_MANIFEST, 1},
        {"CURRENT", FORMAT_CURRENT, 0},
        {"CURRENT.tmp", FORMAT_TEMPORARY, 0},
        {"LOCK", FORMAT_LOCK, 0},
        {"12.log", FORMAT_OTHER, 0},
        {"0000012.log", FORMAT_OTHER, 0},
        {".log", FORMAT_OTHER, 0},
        {"MANIFEST-", FORMAT_OTHER, 0},
        {"99999999999999999999.sst", FORMAT_OTHER, 0},
        {"000012.sst.bak", FORMAT_OTHER, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[OS_NAME_MAX];
        uint64_t number = 77;

        assert_int_equal(format_parse(cases[i].name, &number), cases[i].kind);
        assert_int_equal(number, cases[i].number);
        if (number == 0)
            continue;
        format_name(cases[i].kind, number, name);
        assert_string_equal(name, cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(worked_example), cmocka_unit_test(names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
