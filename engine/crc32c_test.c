/* crc32c_test.c: published vectors (RFC 3720, B.4), and the two variants against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/rng.h"
#include "crc32c.h"

static void vectors(void **state)
{
    uint8_t p[32];

    memset(p, 0, sizeof p);
    assert_int_equal(crc32c_table(0, p, 32), 0x8a9136aa);
    memset(p, 0xff, sizeof p);
    assert_int_equal(crc32c_table(0, p, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++)
        p[i] = (uint8_t)i;
    assert_int_equal(crc32c_table(0, p, 32), 0x46dd794e);
    assert_int_equal(crc32c_table(0, (const uint8_t *)"123456789", 9), 0xe3069283);
    assert_int_equal(crc32c_table(0, p, 0), 0);
}

static void variants_agree(void **state)
{
    uint32_t (*chosen)(uint32_t, const uint8_t *, size_t) = crc32c_choose();
    struct rng r = rng_seeded(1);
    uint8_t p[300];

    for (size_t i = 0; i < sizeof p; i++)
        p[i] = (uint8_t)rng_next(&r);
    for (int i = 0; i < 5000; i++) {
        size_t from = rng_below(&r, 40);
        size_t len = rng_below(&r, sizeof p - from);
        size_t cut = rng_below(&r, len + 1);
        uint32_t whole = crc32c_table(0, p + from, len);

        assert_int_equal(chosen(0, p + from, len), whole);
        assert_int_equal(chosen(chosen(0, p + from, cut), p + from + cut, len - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(variants_agree)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
