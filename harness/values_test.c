/* values_test.c: values follow from length and seed alone and name their writer; keys are distinct
 * and fully defined; what is printed parses back to the same bytes, whatever they are. */
#include "values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

/* In a block of its own, so that the sanitizer sees each byte too many. */
static uint8_t *made(uint32_t len, uint32_t seed)
{
    uint8_t *bytes = malloc(len ? len : 1);

    assert_non_null(bytes);
    value_bytes((struct value){len, seed, NULL}, bytes);
    return bytes;
}

static void a_value_is_its_length_and_seed(void **state)
{
    static const uint32_t seeds[] = {0, 1, 7, 99999, 1234567890, UINT32_MAX};

    for (uint32_t len = 0; len < 600; len++)
        for (size_t s = 0; s < sizeof seeds / sizeof seeds[0]; s++) {
            uint8_t *a = made(len, seeds[s]), *b = made(len, seeds[s]);
            char tag[48];
            size_t n = (size_t)snprintf(tag, sizeof tag, "u%u.%u:", seeds[s], len);

            assert_memory_equal(a, b, len);
            assert_memory_equal(a, tag, n < len ? n : len);
            free(a);
            free(b);
        }
}

static void long_values_are_made_too(void **state)
{
    static const uint32_t lens[] = {4096, 10000, 99999, 1u << 20, 1u << 24};

    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        uint8_t *a = made(lens[i], UINT32_MAX), *b = made(lens[i], UINT32_MAX - 1);

        assert_memory_not_equal(a, b, lens[i]);
        assert_memory_not_equal(a + lens[i] / 2, b + lens[i] / 2, lens[i] / 2);
        free(a);
        free(b);
    }
}

static void seeds_give_values_apart(void **state)
{
    enum { COUNT = 3000, LEN = 8 };
    static uint8_t all[COUNT][LEN];

    for (uint32_t i = 0; i < COUNT; i++)
        value_bytes((struct value){LEN, i, NULL}, all[i]);
    for (uint32_t i = 0; i < COUNT; i++)
        for (uint32_t j = 0; j < i; j++)
            if (memcmp(all[i], all[j], LEN) == 0)
                fail_msg("seeds %u and %u give one value", i, j);
}

static void a_literal_is_its_text(void **state)
{
    uint8_t out[5];

    value_bytes((struct value){5, 3,
                               "a\0b\xff"
                               "c"},
                out);
    assert_memory_equal(out,
                        "a\0b\xff"
                        "c",
                        5);
    value_bytes((struct value){0, 3, ""}, out);
}

/* What was in the buffer before must not show through. */
static void keys_are_defined_and_distinct(void **state)
{
    static uint8_t a[VALUES_KEYS_MAX][64], b[64];
    size_t lens[VALUES_KEYS_MAX];

    for (uint32_t set = 0; set < 12; set++)
        for (uint32_t i = 0; i < VALUES_KEYS_MAX; i++) {
            memset(a[i], 0x00, 64);
            memset(b, 0xff, 64);
            lens[i] = values_key(set, i, a[i]);
            assert_true(lens[i] <= 64);
            assert_int_equal(values_key(set, i, b), lens[i]);
            assert_memory_equal(a[i], b, lens[i]);
            for (uint32_t j = 0; j < i; j++)
                if (lens[i] == lens[j] && memcmp(a[i], a[j], lens[i]) == 0)
                    fail_msg("set %u: keys %u and %u are one", set, j, i);
        }
}

static void key_sets_have_the_hard_ones(void **state)
{
    uint8_t key[64];
    bool empty = false, zero = false, high = false, large = false;

    for (uint32_t set = 0; set < 6; set++)
        for (uint32_t i = 0; i < 54; i++) {
            size_t len = values_key(set, i, key);

            empty |= len == 0;
            zero |= len > 1 && key[1] == 0;
            high |= len > 0 && key[0] == 0xff;
            large |= len > 30;
        }
    assert_true(empty && zero && high && large);
}

/* ---- words ---- */

static long printed_and_parsed(struct bytes bytes, uint8_t *out, size_t room, char *text)
{
    FILE *file = fmemopen(text, 1024, "w");
    const char *at = text;
    long len;

    assert_non_null(file);
    values_print(file, bytes);
    fputs(" rest", file);
    fclose(file);
    len = values_parse(&at, out, room);
    assert_string_equal(at, " rest");
    return len;
}

static void words_come_back(void **state)
{
    struct rng rng = rng_seeded(4);
    uint8_t bytes[64], back[64];
    char text[1024];

    for (int i = 0; i < 50000; i++) {
        size_t len = rng_below(&rng, 40);
        bool plain = rng_chance(&rng, 1, 2);

        for (size_t b = 0; b < len; b++)
            bytes[b] = plain ? (uint8_t) "ab_.-/*,=\"\\ \tx"[rng_below(&rng, 14)]
                             : (uint8_t)rng_below(&rng, 256);
        assert_int_equal(printed_and_parsed(bytes_of(bytes, len), back, len, text), len);
        assert_memory_equal(bytes, back, len);
    }
}

static void a_word_is_bare_where_that_is_clear(void **state)
{
    static const struct {
        const char *word, *text;
    } cases[] = {{"abc", "abc rest"},
                 {"a/b.c_d-9", "a/b.c_d-9 rest"},
                 {"", "\"\" rest"},
                 {"a b", "\"a b\" rest"},
                 {"a\"b", "\"a\\x22b\" rest"},
                 {",", "\",\" rest"},
                 {"len=3", "\"len=3\" rest"},
                 {"*", "\"*\" rest"},
                 {"\n", "\"\\x0a\" rest"}};
    uint8_t back[64];
    char text[1024];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        printed_and_parsed(bytes_str(cases[i].word), back, sizeof back, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void broken_words_are_refused_in_place(void **state)
{
    static const struct {
        const char *text;
        size_t room, at;
    } cases[] = {{"", 9, 0},         {"   ", 9, 3},      {"\"abc", 9, 4},     {"\"a\\", 9, 2},
                 {"\"a\\n\"", 9, 2}, {"\"\\x4\"", 9, 1}, {"\"\\x4g\"", 9, 1}, {"abcd", 3, 3},
                 {"\"abcd\"", 3, 4}, {"\"", 9, 1},       {"\"\\x", 9, 1}};
    uint8_t out[16];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *at = cases[i].text;

        assert_int_equal(values_parse(&at, out, cases[i].room), -1);
        assert_int_equal(at - cases[i].text, cases[i].at);
    }
}

static void words_end_at_blanks(void **state)
{
    const char *at = " \t ab\tcd";
    uint8_t out[16];

    assert_int_equal(values_parse(&at, out, 2), 2);
    assert_memory_equal(out, "ab", 2);
    assert_int_equal(values_parse(&at, out, 2), 2);
    assert_memory_equal(out, "cd", 2);
    assert_int_equal(values_parse(&at, out, 2), -1);
    at = "\"\\x00\\xfF\"";
    assert_int_equal(values_parse(&at, out, 2), 2);
    assert_memory_equal(out, "\0\xff", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_its_length_and_seed),
        cmocka_unit_test(long_values_are_made_too),
        cmocka_unit_test(seeds_give_values_apart),
        cmocka_unit_test(a_literal_is_its_text),
        cmocka_unit_test(keys_are_defined_and_distinct),
        cmocka_unit_test(key_sets_have_the_hard_ones),
        cmocka_unit_test(words_come_back),
        cmocka_unit_test(a_word_is_bare_where_that_is_clear),
        cmocka_unit_test(broken_words_are_refused_in_place),
        cmocka_unit_test(words_end_at_blanks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
