/* block_test.c: blocks against a sorted array, in both directions; and damaged blocks, which may
 * end a walk with VAULT_CORRUPT or show wrong entries (the checksum is not ours), but never read
 * outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/rng.h"
#include "block.h"

#define COUNT 60

struct entry {
    char key[12];
    size_t len;
    uint64_t tag;
};

static int by_order(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;

    return entry_compare(bytes_of(x->key, x->len), x->tag, bytes_of(y->key, y->len), y->tag);
}

static void make(struct env *env, struct entry *entries, struct block_builder *b, uint64_t seed,
                 unsigned interval, struct bytes *contents)
{
    struct rng r = rng_seeded(seed);

    for (int i = 0; i < COUNT; i++) {
        entries[i].len = (size_t)rng_below(&r, 9);
        for (size_t j = 0; j < entries[i].len; j++)
            entries[i].key[j] = (char)("ab\0c"[rng_below(&r, 4)]);
        entries[i].tag = 2 * (uint64_t)(i + 1) + rng_below(&r, 2);
    }
    qsort(entries, COUNT, sizeof entries[0], by_order);
    *b = (struct block_builder){.interval = interval};
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(block_add(env, b, bytes_of(entries[i].key, entries[i].len), entries[i].tag,
                                   bytes_of(&entries[i].tag, (size_t)(i % 9))),
                         VAULT_OK);
    assert_int_equal(block_finish(env, b, contents), VAULT_OK);
}

static void expect(const struct block_cursor *c, const struct entry *entries, int at)
{
    assert_int_equal(c->c.status, VAULT_OK);
    assert_int_equal(c->c.valid, at >= 0 && at < COUNT);
    if (!c->c.valid)
        return;
    assert_true(bytes_equal(c->c.key, bytes_of(entries[at].key, entries[at].len)));
    assert_int_equal(c->c.tag, entries[at].tag);
    assert_int_equal(c->c.value.len, at % 9);
}

static void walks(void **state)
{
    struct env env;

    assert_int_equal(env_init(&env, "x", NULL, NULL), VAULT_OK);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct entry entries[COUNT];
        struct block_builder b;
        struct block_cursor c;
        struct bytes contents;
        struct rng r = rng_seeded(seed);
        int at = -1;

        make(&env, entries, &b, seed, 1 + (unsigned)seed % 7, &contents);
        block_cursor_init(&env, &c);
        block_cursor_open(&c, "x", 0, contents);
        for (int i = 0; i < 400; i++) {
            uint64_t what = rng_below(&r, c.c.valid ? 8 : 3);
            struct entry *target = &entries[rng_below(&r, COUNT)];
            uint64_t tag = target->tag + rng_below(&r, 3) - 1;

            if (what == 0) {
                c.c.ops->first(&c.c);
                at = 0;
            } else if (what == 1) {
                c.c.ops->last(&c.c);
                at = COUNT - 1;
            } else if (what == 2) {
                struct bytes key = bytes_of(target->key, target->len);

                c.c.ops->seek(&c.c, key, tag);
                for (at = 0; at < COUNT; at++)
                    if (entry_compare(bytes_of(entries[at].key, entries[at].len), entries[at].tag,
                                      key, tag) >= 0)
                        break;
            } else if (what < 5) {
                c.c.ops->next(&c.c);
                at++;
            } else {
                c.c.ops->prev(&c.c);
                at--;
            }
            expect(&c, entries, at);
        }
        block_cursor_release(&c);
        block_release(&env, &b);
    }
    env_release(&env);
}

static void damage(void **state)
{
    struct env env;
    struct rng r = rng_seeded(9);

    assert_int_equal(env_init(&env, "x", NULL, NULL), VAULT_OK);
    for (int round = 0; round < 4000; round++) {
        struct entry entries[COUNT];
        struct block_builder b;
        struct block_cursor c;
        struct bytes contents;
        uint8_t *copy = NULL;
        int steps = 0;

        make(&env, entries, &b, (uint64_t)round % 5, 4, &contents);
        contents.len -= rng_chance(&r, 1, 3) ? rng_below(&r, contents.len + 1) : 0;
        copy = malloc(contents.len + 1); /* exact: a read beyond it is seen by the sanitizer */
        copy = realloc(copy, contents.len ? contents.len : 1);
        memcpy(copy, contents.data, contents.len);
        for (uint64_t flips = rng_below(&r, 4); flips && contents.len; flips--)
            copy[rng_chance(&r, 1, 2) ? rng_below(&r, contents.len)
                                      : contents.len - 1 - rng_below(&r, contents.len) % 12] =
                (uint8_t)rng_next(&r);
        block_cursor_init(&env, &c);
        block_cursor_open(&c, "x", 0, bytes_of(copy, contents.len));
        for (c.c.ops->first(&c.c); c.c.valid && steps < 1000; c.c.ops->next(&c.c))
            steps++;
        for (c.c.ops->last(&c.c); c.c.valid && steps < 3000; c.c.ops->prev(&c.c))
            steps++;
        c.c.ops->seek(&c.c, bytes_of("abc", 3), 50);
        assert_true(c.c.status == VAULT_OK || c.c.status == VAULT_CORRUPT);
        assert_true(steps < 1000);
        block_cursor_release(&c);
        block_release(&env, &b);
        free(copy);
    }
    env_release(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(walks), cmocka_unit_test(damage)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
