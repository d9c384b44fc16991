/* json_test.c: what the writer writes, jansson reads back as the same value. */
#include "json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/rng.h"

static json_t *parsed(struct json *json)
{
    json_error_t error;
    json_t *root = json_loads(json_written(json), JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (!root)
        print_error("%s: %s\n", json_written(json), error.text);
    assert_non_null(root);
    return root;
}

static void writes_objects_and_arrays(void **state)
{
    struct json json = {0};

    json_object_begin(&json);
    json_key_text(&json, "type", "summary");
    json_key_u64(&json, "most", UINT64_MAX);
    json_key_i64(&json, "least", INT64_MIN);
    json_key(&json, "list");
    json_array_begin(&json);
    json_bool(&json, true);
    json_none(&json);
    json_object_begin(&json);
    json_object_end(&json);
    json_array_begin(&json);
    json_array_end(&json);
    json_text(&json, NULL);
    json_array_end(&json);
    json_key_bool(&json, "last", false);
    json_key_decimal(&json, "images", "123456789012345678901234567890");
    json_object_end(&json);
    assert_string_equal(json_written(&json),
                        "{\"type\":\"summary\",\"most\":18446744073709551615,"
                        "\"least\":-9223372036854775808,\"list\":[true,null,{},[],null],"
                        "\"last\":false,\"images\":\"123456789012345678901234567890\"}");
    json_release(&json);
}

static void writes_seconds_with_three_decimals(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0.000"},        {1.0005, "1.001"},         {-0.25, "-0.250"},
                 {-0.0001, "0.000"},  {12345.6789, "12345.679"}, {0.0 / 0.0, "null"},
                 {1.0 / 0.0, "null"}, {-1e300, "null"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json json = {0};

        json_seconds(&json, cases[i].value);
        assert_string_equal(json_written(&json), cases[i].text);
        json_release(&json);
    }
}

static void escapes_what_is_no_text(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } cases[] = {
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\n\t\r\0\x1f\x7f", 6, "\"\\n\\t\\r\\u0000\\u001f\\u007f\""},
        {"\xc3\xa9", 2, "\"\xc3\xa9\""},
        {"\xf0\x9f\x92\xbe", 4, "\"\xf0\x9f\x92\xbe\""},
        {"\xff\xfe", 2, "\"\\u00ff\\u00fe\""},
        {"\xc3", 1, "\"\\u00c3\""},
        {"\xc0\xaf", 2, "\"\\u00c0\\u00af\""},            /* overlong */
        {"\xed\xa0\x80", 3, "\"\\u00ed\\u00a0\\u0080\""}, /* a surrogate */
        {"\xf4\x90\x80\x80", 4, "\"\\u00f4\\u0090\\u0080\\u0080\""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json json = {0};

        json_bytes(&json, bytes_of(cases[i].bytes, cases[i].len));
        assert_string_equal(json_written(&json), cases[i].text);
        json_decref(parsed(&json));
        json_release(&json);
    }
}

/* Any bytes give a text that jansson accepts; where all bytes were UTF-8, the same text. */
static void round_trips_random_bytes(void **state)
{
    struct rng rng = rng_seeded(7);

    for (unsigned round = 0; round < 2000; round++) {
        uint8_t bytes[24];
        size_t len = (size_t)rng_below(&rng, sizeof(bytes) + 1);
        uint8_t limit = round % 2 ? 0x80 : 0xff;
        struct json json = {0};
        json_t *root;

        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)rng_below(&rng, limit);
        json_bytes(&json, bytes_of(bytes, len));
        root = parsed(&json);
        assert_true(json_is_string(root));
        if (limit == 0x80) {
            assert_int_equal(json_string_length(root), len);
            assert_memory_equal(json_string_value(root), bytes, len);
        }
        json_decref(root);
        json_release(&json);
    }
}

static void writes_lines(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct json json = {0};

    assert_non_null(out);
    for (uint64_t i = 0; i < 3; i++) {
        json_array_begin(&json);
        json_u64(&json, i);
        json_array_end(&json);
        assert_true(json_line(&json, out));
        assert_string_equal(json_written(&json), "");
    }
    fclose(out);
    assert_string_equal(text, "[0]\n[1]\n[2]\n");
    free(text);
    json_release(&json);
}

static void a_full_disk_is_told(void **state)
{
    FILE *out = fopen("/dev/full", "w");
    struct json json = {0};

    if (!out)
        skip();
    json_u64(&json, 1);
    assert_false(json_line(&json, out));
    assert_string_equal(json_written(&json), "");
    fclose(out);
    json_release(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_objects_and_arrays),
        cmocka_unit_test(writes_seconds_with_three_decimals),
        cmocka_unit_test(escapes_what_is_no_text),
        cmocka_unit_test(round_trips_random_bytes),
        cmocka_unit_test(writes_lines),
        cmocka_unit_test(a_full_disk_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
