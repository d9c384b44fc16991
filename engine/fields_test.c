/* fields_test.c: every member of a public struct is in the table of fields.c. The header is read as
 * text, so a member that was added there and forgotten here is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "minivault/minivault.h"

static const struct vault_field *find(const struct vault_field *fields, const char *name,
                                      size_t len)
{
    for (; fields->name; fields++)
        if (strlen(fields->name) == len && memcmp(fields->name, name, len) == 0)
            return fields;
    return NULL;
}

/* Checks the members that one line declares, and counts them. A member is the name before a comma,
 * a semicolon or a bracket. */
static size_t expect_members(const char *of, const struct vault_field *fields, char *line)
{
    char *comment = strstr(line, "/*");
    size_t count = 0;

    if (comment)
        *comment = '\0';
    if (strstr(line, "(*")) { /* a function: its name stands alone */
        line = strstr(line, "(*") + 2;
        strchr(line, ')')[0] = ';';
        strchr(line, ';')[1] = '\0';
    }
    for (char *p = line; *p; p++) {
        size_t len = 0;

        if (!strchr(",;[", *p))
            continue;
        while (p - len > line &&
               (isalnum((unsigned char)p[-1 - (long)len]) || p[-1 - (long)len] == '_'))
            len++;
        if (!find(fields, p - len, len))
            fail_msg("struct vault_%s has a member '%.*s': add it to fields.c", of, (int)len,
                     p - len);
        count++;
        if (*p == '[')
            p = strchr(p, ';') ? strchr(p, ';') : p + strlen(p) - 1;
    }
    return count;
}

static void expect_struct(const char *of)
{
    const struct vault_field *fields = vault_fields(of, NULL);
    char path[512], line[512], begin[64];
    size_t members = 0, listed = 0;
    bool inside = false, ended = false;
    FILE *header;

    snprintf(path, sizeof path, "%.*s/../include/minivault/minivault.h",
             (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
    snprintf(begin, sizeof begin, "struct vault_%s {\n", of);
    header = fopen(path, "r");
    assert_non_null(header);
    while (!ended && fgets(line, sizeof line, header)) {
        if (inside && line[0] == '}')
            ended = true;
        else if (inside)
            members += expect_members(of, fields, line);
        else
            inside = strcmp(line, begin) == 0;
    }
    fclose(header);
    assert_true(ended);
    while (fields[listed].name)
        listed++;
    assert_int_equal(members, listed);
}

static void structs_are_listed(void **state)
{
    (void)state;
    expect_struct("options");
    expect_struct("stats");
    expect_struct("error");
}

static void tables_answer(void **state)
{
    size_t size = 0;
    const struct vault_field *fields = vault_fields("options", &size);
    const struct vault_field *f;
    struct vault_options o;
    size_t value = 0;

    (void)state;
    assert_int_equal(size, sizeof o);
    vault_options_init(&o);
    f = find(fields, "write_buffer_size", 17);
    assert_int_equal(f->size, sizeof value);
    memcpy(&value, (const char *)&o + f->offset, sizeof value);
    assert_int_equal(value, o.write_buffer_size);
    assert_int_equal(find(fields, "background", 10)->kind, VAULT_FIELD_UNSIGNED);
    assert_int_equal(find(fields, "create_if_missing", 17)->kind, VAULT_FIELD_BOOL);
    assert_int_equal(find(fields, "hooks", 5)->kind, VAULT_FIELD_POINTER);
    f = find(vault_fields("stats", NULL), "bytes", 5);
    assert_int_equal(f->count, VAULT_LEVELS);
    assert_int_equal(f->size, sizeof(uint64_t));
    f = find(vault_fields("error", NULL), "what", 4);
    assert_int_equal(f->kind, VAULT_FIELD_TEXT);
    assert_int_equal(f->count, sizeof(((struct vault_error *)0)->what));
    assert_null(vault_fields("handle", NULL));
    assert_null(vault_fields(NULL, NULL));
    assert_string_equal(vault_version(), VAULT_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structs_are_listed),
        cmocka_unit_test(tables_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
