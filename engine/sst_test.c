/* sst_test.c: tables, filters and the block cache. Every key added is found again, the last one
 * included (K17); filters rarely let an absent key through; the cache keeps its limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "engine_testing.h"
#include "sst.h"

static void filters(void **state)
{
    struct env env;

    assert_int_equal(env_init(&env, "x", NULL, NULL), VAULT_OK);
    for (unsigned count = 1; count <= 20000; count = count * 3 + 1) {
        struct buffer filter = {0};
        uint64_t *hashes = malloc(count * sizeof *hashes);
        unsigned wrong = 0;
        char key[16];

        for (unsigned i = 0; i < count; i++)
            hashes[i] = bloom_hash(bytes_of(key, (size_t)snprintf(key, sizeof key, "k%u", i)));
        assert_int_equal(bloom_build(&env, hashes, count, 10, &filter), VAULT_OK);
        for (unsigned i = 0; i < count; i++)
            assert_true(bloom_may_hold(buffer_bytes(&filter), hashes[i]));
        for (unsigned i = 0; i < 10000; i++)
            wrong += bloom_may_hold(
                buffer_bytes(&filter),
                bloom_hash(bytes_of(key, (size_t)snprintf(key, sizeof key, "n%u", i))));
        assert_true(wrong < 250); /* of 10000 */
        assert_true(bloom_may_hold(bytes_of(filter.data, filter.len - 2), hashes[0]));
        buffer_release(&env, &filter);
        free(hashes);
    }
    env_release(&env);
}

static void tables(void **state)
{
    struct test_dir dir;
    struct env env;

    test_dir_make(&dir);
    assert_int_equal(env_init(&env, dir.parent, NULL, NULL), VAULT_OK);
    for (unsigned count = 1; count < 3000; count = count * 5 + 2) {
        struct sst_options options = {300, 4, count % 2 ? 10 : 0, 0};
        struct sst_builder b;
        struct cache cache;
        struct sst t;
        struct cursor *c = NULL;
        uint64_t size = 0;
        unsigned seen = 0;
        char key[16];
        char name[OS_NAME_MAX];

        assert_int_equal(sst_begin(&env, &b, count, &options), VAULT_OK);
        for (unsigned i = 0; i < count; i++)
            for (unsigned v = 3; v > 0; v--)
                assert_int_equal(
                    sst_add(&b, bytes_of(key, (size_t)snprintf(key, sizeof key, "%06u", 2 * i)),
                            tag_at(10 * v), bytes_of(&v, v)),
                    VAULT_OK);
        assert_int_equal(sst_finish(&b, &size), VAULT_OK);
        sst_builder_release(&b);
        cache_init(&cache, 2000, NULL);
        assert_int_equal(sst_open(&env, &cache, count, size, &t), VAULT_OK);
        for (unsigned i = 0; i < 2 * count + 1; i++)
            for (uint64_t seq = 5; seq < 40; seq += 10) {
                bool found = false;
                uint64_t tag = 0;
                struct bytes value;
                struct cache_block *block = NULL;

                assert_int_equal(
                    sst_get(&t, bytes_of(key, (size_t)snprintf(key, sizeof key, "%06u", i)), seq,
                            &found, &tag, &value, &block),
                    VAULT_OK);
                assert_int_equal(found, i % 2 == 0 && i < 2 * count && seq >= 10);
                if (found)
                    assert_int_equal(value.len, seq / 10);
                cache_put(&env, &cache, block);
            }
        assert_true(cache.own.used <= cache.own.limit);
        assert_int_equal(sst_cursor(&t, &c), VAULT_OK);
        for (c->ops->last(c); c->valid; c->ops->prev(c))
            seen++;
        assert_int_equal(seen, 3 * count);
        for (c->ops->first(c); c->valid; c->ops->next(c))
            seen--;
        assert_int_equal(seen, 0);
        assert_int_equal(c->status, VAULT_OK);
        cursor_free(c);
        sst_close(&t);
        assert_int_equal(sst_open(&env, &cache, count, size + 1, &t), VAULT_CORRUPT);
        cache_release(&env, &cache);
        format_name(FORMAT_TABLE, count, name);
        assert_int_equal(os_unlink(&env, name), VAULT_OK);
    }
    env_release(&env);
    assert_int_equal(rmdir(dir.parent), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(filters), cmocka_unit_test(tables)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
