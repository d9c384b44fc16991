/* compress_test.c: every method there and back; damage, forged lengths, unknown types refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/rng.h"
#include "compress.h"
#include "engine_testing.h"

static struct env env;

static void there_and_back(void **state)
{
    static const unsigned types[] = {FORMAT_BLOCK_LZ4, FORMAT_BLOCK_ZSTD};
    uint8_t raw[5000];
    uint8_t back[5000];
    struct rng r = rng_seeded(4);

    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i % 100 < 50 ? rng_next(&r) : raw[i - 50]);
    for (size_t i = 0; i < 2; i++) {
        struct buffer out = {0};
        unsigned type = types[i];

        assert_int_equal(compress_block(&env, &type, bytes_of(raw, sizeof raw), &out), VAULT_OK);
        assert_int_equal(type, compress_known(types[i]) ? types[i] : FORMAT_BLOCK_RAW);
        if (type != FORMAT_BLOCK_RAW) {
            assert_true(out.len < sizeof raw * 7 / 8);
            assert_int_equal(compress_raw_len(buffer_bytes(&out)), sizeof raw);
            assert_true(compress_undo(type, buffer_bytes(&out), back, sizeof raw));
            assert_memory_equal(raw, back, sizeof raw);
            assert_false(compress_undo(type, buffer_bytes(&out), back, sizeof raw - 1));
            assert_false(compress_undo(type, bytes_of(out.data, out.len - 9), back, sizeof raw));
            assert_false(compress_undo(9, buffer_bytes(&out), back, sizeof raw));
            store_u32(out.data, 0xffffffffu); /* Z1: a forged length asks for no memory */
            assert_int_equal(compress_raw_len(buffer_bytes(&out)), 0);
        }
        buffer_release(&env, &out);
    }
}

static void what_does_not_shrink_stays_raw(void **state)
{
    uint8_t raw[300];
    struct rng r = rng_seeded(5);
    unsigned type = FORMAT_BLOCK_LZ4;
    struct buffer out = {0};

    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)rng_next(&r);
    assert_int_equal(compress_block(&env, &type, bytes_of(raw, sizeof raw), &out), VAULT_OK);
    assert_int_equal(type, FORMAT_BLOCK_RAW);
    assert_int_equal(out.len, 0);
    buffer_release(&env, &out);
}

/* A database, with another method on each level. Its tables are smaller, its content the same. */
static void databases(void **state)
{
    uint64_t sizes[3] = {0};

    for (unsigned method = 0; method < 3; method++) {
        struct test_dir dir;
        struct vault_options o;
        struct vault *v = NULL;
        struct vault_stats stats;
        char key[16];
        char value[400];

        test_dir_make(&dir);
        test_options_tiny(&o);
        o.block_size = 1024;
        o.table_size = 8192;
        o.write_buffer_size = 16384;
        for (unsigned level = 0; level < VAULT_LEVELS; level++)
            o.compression[level] = method == 2 && level == 0 ? VAULT_LZ4 : method;
        if (!compress_known(method) || !compress_known(o.compression[0])) {
            assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_UNSUPPORTED);
            assert_int_equal(rmdir(dir.parent), 0);
            continue;
        }
        assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
        for (unsigned i = 0; i < 1000; i++) {
            int len = snprintf(key, sizeof key, "%05u", i * 7 % 1000);

            memset(value, 'a' + (int)(i * 7 % 1000 % 26), sizeof value);
            assert_int_equal(vault_put(v, key, (size_t)len, value, sizeof value, false, NULL),
                             VAULT_OK);
        }
        assert_int_equal(vault_compact_range(v, NULL, 0, NULL, 0), VAULT_OK);
        vault_get_stats(v, &stats);
        for (unsigned level = 0; level < VAULT_LEVELS; level++)
            sizes[method] += stats.bytes[level];
        assert_int_equal(vault_close(v), VAULT_OK);
        o.compression[1] = VAULT_RAW; /* what is there is read, whatever is written from now on */
        assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
        for (unsigned i = 0; i < 1000; i++) {
            int len = snprintf(key, sizeof key, "%05u", i);
            void *got = NULL;
            size_t got_len = 0;

            memset(value, 'a' + (int)(i % 26), sizeof value);
            assert_int_equal(vault_get(v, NULL, key, (size_t)len, &got, &got_len), VAULT_OK);
            assert_int_equal(got_len, sizeof value);
            assert_memory_equal(got, value, sizeof value);
            vault_value_free(v, got, got_len);
        }
        assert_int_equal(vault_close(v), VAULT_OK);
        test_dir_remove(&dir);
        if (method)
            assert_true(sizes[method] < sizes[0] / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(what_does_not_shrink_stays_raw),
        cmocka_unit_test(databases),
    };

    if (env_init(&env, "compress", NULL, NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
