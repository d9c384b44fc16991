/* checkpoint_test.c: copies, opens to read only, and the ways of reading beside get and plain
 * iterators: many keys at once, bounds and prefixes, sizes. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rng.h"
#include "core.h"
#include "engine_testing.h"

#define KEYS 300u

static size_t key_of(unsigned k, char key[16])
{
    return (size_t)snprintf(key, 16, "k%03u", k);
}

static void put(struct vault *v, unsigned k, unsigned value)
{
    char key[16];
    char text[80];
    size_t len = key_of(k, key);
    int text_len = snprintf(text, sizeof text, "%u:%0*u", value, 1 + (int)(value % 60), 0u);

    assert_int_equal(vault_put(v, key, len, text, (size_t)text_len, false, NULL), VAULT_OK);
}

/* Which value of each key; 0: absent. */
static void expect(struct vault *v, const unsigned *state)
{
    struct vault_iter *it = NULL;
    unsigned k = 0;

    assert_int_equal(vault_iter_new(v, NULL, &it), VAULT_OK);
    for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it), k++) {
        char key[16];
        size_t len = 0;

        while (k < KEYS && !state[k])
            k++;
        assert_true(k < KEYS);
        assert_int_equal(key_of(k, key), 4);
        assert_memory_equal(vault_iter_key(it, &len), key, 4);
        assert_int_equal(atoi(vault_iter_value(it, &len)), state[k]);
    }
    assert_int_equal(vault_iter_status(it), VAULT_OK);
    while (k < KEYS && !state[k])
        k++;
    assert_int_equal(k, KEYS);
    vault_iter_free(it);
}

static void change(struct vault *v, struct rng *r, unsigned *state, unsigned *next, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned k = (unsigned)rng_below(r, KEYS);
        unsigned to = k + 1 + (unsigned)rng_below(r, 6);
        char key[16];
        char end[16];

        if (rng_chance(r, 1, 20)) {
            size_t len = key_of(k, key);

            assert_int_equal(vault_delete_range(v, key, len, end, key_of(to, end), false, NULL),
                             VAULT_OK);
            for (unsigned j = k; j < to && j < KEYS; j++)
                state[j] = 0;
        } else {
            put(v, k, state[k] = ++*next);
        }
    }
}

struct name {
    char text[48];
};

static struct name name_of(const struct dirent *entry)
{
    struct name name;

    snprintf(name.text, sizeof name.text, "%.40s", entry->d_name);
    return name;
}

/* Names, bytes and times of change of everything in a directory, as one number. */
static uint64_t fingerprint(const char *path)
{
    uint64_t sum = 0;
    DIR *dir = opendir(path);
    struct dirent *entry = NULL;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        struct test_file f;
        struct stat info;
        uint64_t h = 1469598103934665603u;

        if (entry->d_name[0] == '.')
            continue;
        test_file_read(&f, path, name_of(entry).text);
        assert_int_equal(stat(f.path, &info), 0);
        for (const char *p = entry->d_name; *p; p++)
            h = (h ^ (uint8_t)*p) * 1099511628211u;
        for (size_t i = 0; i < f.len; i++)
            h = (h ^ f.data[i]) * 1099511628211u;
        sum += h ^ (uint64_t)info.st_mtim.tv_nsec ^ (uint64_t)info.st_ino;
        free(f.data);
    }
    closedir(dir);
    return sum;
}

static void expect_read_only(const char *path, const unsigned *state, const struct vault_options *o)
{
    struct vault_options reading = *o;
    struct vault *v = NULL;
    struct vault *second = NULL;
    uint64_t before = fingerprint(path);

    reading.read_only = true;
    assert_int_equal(vault_open(path, &reading, &v, NULL), VAULT_OK);
    expect(v, state);
    assert_int_equal(vault_open(path, &reading, &second, NULL), VAULT_OK); /* readers share */
    assert_int_equal(vault_close(second), VAULT_OK);
    assert_int_equal(vault_open(path, o, &second, NULL), VAULT_BUSY);
    assert_int_equal(vault_put(v, "a", 1, "b", 1, false, NULL), VAULT_INVALID);
    assert_int_equal(vault_sync(v), VAULT_INVALID);
    assert_int_equal(vault_flush(v), VAULT_INVALID);
    assert_int_equal(vault_compact_range(v, NULL, 0, NULL, 0), VAULT_INVALID);
    assert_int_equal(vault_checkpoint(v, "never", 0, NULL), VAULT_INVALID);
    assert_int_equal(vault_durable_seq(v), 0);
    assert_int_equal(vault_close(v), VAULT_OK);
    assert_int_equal(fingerprint(path), before);
}

static void copy_file(const char *from, const char *to, const char *name)
{
    struct test_file f;
    char path[240];

    test_file_read(&f, from, name);
    snprintf(path, sizeof path, "%s/%s", to, name);
    test_file_write(path, f.data, f.len);
    free(f.data);
}

/* As the death of the process leaves it: logs, orphans, a temporary. */
static void copy_as_killed(const char *from, const char *to)
{
    DIR *dir = opendir(from);
    struct dirent *entry = NULL;
    char path[240];

    assert_non_null(dir);
    assert_int_equal(mkdir(to, 0755), 0);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            copy_file(from, to, name_of(entry).text);
    closedir(dir);
    snprintf(path, sizeof path, "%s/009999.sst", to);
    test_file_write(path, (const uint8_t *)"orphan", 6);
    snprintf(path, sizeof path, "%s/CURRENT.tmp", to);
    test_file_write(path, (const uint8_t *)"x", 1);
}

static void reading_changes_nothing(enum vault_background background)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault *v = NULL;
    struct rng r = rng_seeded(5);
    unsigned state[KEYS] = {0};
    unsigned next = 0;

    test_dir_make(&dir);
    test_options_tiny(&o);
    o.background = background;
    o.read_only = true;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_NOT_FOUND);
    assert_int_equal(access(dir.path, F_OK), -1);
    assert_int_equal(mkdir(dir.path, 0755), 0);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_NOT_FOUND);
    assert_int_equal(rmdir(dir.path), 0);
    o.read_only = false;
    for (unsigned round = 0; round < 20; round++) {
        struct test_dir killed = dir;

        snprintf(killed.path, sizeof killed.path, "%s/killed", dir.parent);
        assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
        change(v, &r, state, &next, 10 + 20 * (round % 5));
        if (background == VAULT_INLINE) /* else a job may be at work meanwhile */
            copy_as_killed(dir.path, killed.path);
        assert_int_equal(vault_close(v), VAULT_OK);
        expect_read_only(dir.path, state, &o);
        if (background == VAULT_INLINE) {
            expect_read_only(killed.path, state, &o);
            assert_int_equal(vault_destroy(killed.path, NULL), VAULT_OK);
        }
    }
    test_dir_remove(&dir);
}

static void reading_inline(void **state)
{
    reading_changes_nothing(VAULT_INLINE);
}

static void reading_thread(void **state)
{
    reading_changes_nothing(VAULT_THREAD);
}

static void copies(enum vault_background background, unsigned flags)
{
    struct test_dir dir;
    struct test_dir copy;
    struct vault_options o;
    struct vault *v = NULL;
    struct vault *c = NULL;
    struct rng r = rng_seeded(11 + flags);
    unsigned state[KEYS] = {0};
    unsigned next = 0;

    test_dir_make(&dir);
    copy = dir;
    snprintf(copy.path, sizeof copy.path, "%s/copy", dir.parent);
    test_options_tiny(&o);
    o.background = background;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    for (unsigned round = 0; round < 12; round++) {
        unsigned then[KEYS];
        uint64_t seq = 0;

        memcpy(then, state, sizeof then);
        assert_int_equal(vault_checkpoint(v, copy.path, flags, &seq), VAULT_OK);
        assert_int_equal(seq, vault_last_seq(v));
        assert_int_equal(vault_checkpoint(v, copy.path, flags, NULL), VAULT_EXISTS);
        change(v, &r, state, &next, 150); /* whatever becomes of the one, the other stays */
        assert_int_equal(vault_compact_range(v, NULL, 0, NULL, 0), VAULT_OK);
        expect_read_only(copy.path, then, &o);
        assert_int_equal(vault_open(copy.path, &o, &c, NULL), VAULT_OK);
        expect(c, then);
        assert_int_equal(vault_last_seq(c), seq);
        change(c, &r, then, &next, 100);
        assert_int_equal(vault_compact_range(c, NULL, 0, NULL, 0), VAULT_OK);
        expect(c, then);
        assert_int_equal(vault_check(c, NULL), VAULT_OK);
        assert_int_equal(vault_close(c), VAULT_OK);
        expect(v, state);
        assert_int_equal(vault_check(v, NULL), VAULT_OK);
        assert_int_equal(vault_destroy(copy.path, NULL), VAULT_OK);
        expect(v, state);
    }
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

static void links(void **state)
{
    copies(VAULT_INLINE, 0);
    copies(VAULT_THREAD, 0);
}

static void bytes(void **state)
{
    copies(VAULT_INLINE, VAULT_CHECKPOINT_COPY);
}

static void spoil_tables(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry = NULL;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        if (strstr(entry->d_name, ".sst")) {
            struct test_file f;

            test_file_read(&f, path, name_of(entry).text);
            memset(f.data, 0xee, f.len);
            test_file_write(f.path, f.data, f.len);
            free(f.data);
        }
    closedir(dir);
}

/* Damage to a copy by bytes does not reach the source. */
static void no_aliasing(void **state)
{
    struct test_dir dir;
    struct test_dir copy;
    struct vault_options o;
    struct vault *v = NULL;
    struct rng r = rng_seeded(2);
    unsigned content[KEYS] = {0};
    unsigned next = 0;

    test_dir_make(&dir);
    copy = dir;
    snprintf(copy.path, sizeof copy.path, "%s/copy", dir.parent);
    test_options_tiny(&o);
    o.block_cache_size = 0;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    change(v, &r, content, &next, 400);
    assert_int_equal(vault_checkpoint(v, copy.path, VAULT_CHECKPOINT_COPY, NULL), VAULT_OK);
    spoil_tables(copy.path);
    assert_int_equal(vault_close(v), VAULT_OK);
    expect_read_only(dir.path, content, &o);
    assert_int_equal(vault_destroy(copy.path, NULL), VAULT_OK);
    test_dir_remove(&dir);
}

/* Every request for memory fails once: no copy and no trace of one, or all of it. */
static void no_memory(void **state)
{
    struct test_dir dir;
    struct test_dir copy;
    struct test_alloc alloc;
    struct vault_options o;
    struct vault *v = NULL;
    struct rng r = rng_seeded(2);
    unsigned content[KEYS] = {0};
    unsigned next = 0;
    unsigned failures = 0;
    enum vault_status st = VAULT_NO_MEMORY;

    test_dir_make(&dir);
    copy = dir;
    snprintf(copy.path, sizeof copy.path, "%s/copy", dir.parent);
    test_options_tiny(&o);
    test_alloc_init(&alloc);
    o.allocator = &alloc.face;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    change(v, &r, content, &next, 100);
    for (int64_t n = 1; st == VAULT_NO_MEMORY; n++) {
        put(v, 0, content[0] = ++next);
        alloc.fail_at = alloc.count + n;
        st = vault_checkpoint(v, copy.path, VAULT_CHECKPOINT_COPY, NULL);
        alloc.fail_at = 0;
        if (st) {
            assert_int_equal(st, VAULT_NO_MEMORY);
            assert_int_equal(access(copy.path, F_OK), -1);
            failures++;
        }
        expect(v, content);
    }
    assert_int_equal(st, VAULT_OK);
    assert_true(failures > 5);
    assert_int_equal(vault_close(v), VAULT_OK);
    assert_int_equal(alloc.held, 0);
    o.allocator = NULL;
    expect_read_only(copy.path, content, &o);
    assert_int_equal(vault_destroy(copy.path, NULL), VAULT_OK);
    test_dir_remove(&dir);
}

static void many_keys(void **ignored)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault *v = NULL;
    struct rng r = rng_seeded(7);
    unsigned state[KEYS] = {0};
    unsigned next = 0;
    char keys[KEYS][16];
    struct vault_key list[KEYS];
    struct vault_found found[KEYS];

    test_dir_make(&dir);
    test_options_tiny(&o);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    change(v, &r, state, &next, 400);
    for (unsigned k = 0; k < KEYS; k++)
        list[k] = (struct vault_key){keys[k], key_of(KEYS - 1 - k, keys[k])};
    assert_int_equal(vault_multi_get(v, NULL, list, KEYS, found), VAULT_OK);
    for (unsigned k = 0; k < KEYS; k++) {
        assert_int_equal(found[k].status, state[KEYS - 1 - k] ? VAULT_OK : VAULT_NOT_FOUND);
        if (!found[k].status)
            assert_int_equal(atoi(found[k].value), state[KEYS - 1 - k]);
        if (!found[k].status)
            vault_value_free(v, found[k].value, found[k].value_len);
    }
    assert_int_equal(vault_multi_get(v, NULL, NULL, 0, NULL), VAULT_OK);
    list[3].len = VAULT_KEY_MAX + 1;
    assert_int_equal(vault_multi_get(v, NULL, list, KEYS, found), VAULT_INVALID);
    list[3].len = 4;
    assert_int_equal(vault_flush(v), VAULT_OK);
    assert_int_equal(vault_close(v), VAULT_OK);
    o.block_cache_size = 0;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    spoil_tables(dir.path);
    assert_int_equal(vault_multi_get(v, NULL, list, KEYS, found), VAULT_CORRUPT);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

/* Every pair of bounds, forward and backward, and seeks from outside of them. */
static void bounds(void **ignored)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault *v = NULL;
    struct vault_iter *it = NULL;
    struct rng r = rng_seeded(9);
    unsigned state[KEYS] = {0};
    unsigned next = 0;

    test_dir_make(&dir);
    test_options_tiny(&o);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    change(v, &r, state, &next, 500);
    assert_int_equal(vault_iter_new(v, NULL, &it), VAULT_OK);
    for (unsigned round = 0; round < 400; round++) {
        unsigned low = (unsigned)rng_below(&r, KEYS);
        unsigned high = (unsigned)rng_below(&r, KEYS);
        unsigned way = (unsigned)rng_below(&r, 4);
        char lower[16];
        char upper[16];
        char key[16];
        size_t len = key_of(low, lower);
        unsigned at = low;
        unsigned end = high;

        assert_int_equal(key_of(high, upper), len);
        assert_int_equal(vault_iter_bound(it, way & 1 ? lower : NULL, way & 1 ? len : 0,
                                          way & 2 ? upper : NULL, way & 2 ? len : 0),
                         VAULT_OK);
        assert_false(vault_iter_valid(it));
        at = way & 1 ? low : 0;
        end = way & 2 ? high : KEYS;
        if (round % 3)
            vault_iter_first(it);
        else
            vault_iter_seek(it, "", 0);
        for (; at < end; at++)
            if (state[at]) {
                assert_true(vault_iter_valid(it));
                key_of(at, key);
                assert_memory_equal(vault_iter_key(it, &len), key, 4);
                vault_iter_next(it);
            }
        assert_false(vault_iter_valid(it));
        if (round % 3)
            vault_iter_last(it);
        else
            vault_iter_seek_for_prev(it, "z", 1);
        for (at = way & 1 ? low : 0; end > at; end--)
            if (state[end - 1]) {
                assert_true(vault_iter_valid(it));
                key_of(end - 1, key);
                assert_memory_equal(vault_iter_key(it, &len), key, 4);
                vault_iter_prev(it);
            }
        assert_false(vault_iter_valid(it));
    }
    vault_iter_free(it);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

static void prefixes(void **ignored)
{
    static const char *const keys[] = {"",           "a",  "ab",   "ab\xff",
                                       "ab\xff\xff", "ac", "\xff", "\xff\xff"};
    static const struct {
        const char *prefix;
        unsigned first, count;
    } cases[] = {{"", 0, 8},       {"a", 1, 5}, {"ab", 2, 3},
                 {"ab\xff", 3, 2}, {"b", 0, 0}, {"\xff", 6, 2}};
    struct test_dir dir;
    struct vault_options o;
    struct vault *v = NULL;
    struct vault_iter *it = NULL;

    test_dir_make(&dir);
    test_options_tiny(&o);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(vault_put(v, keys[i], strlen(keys[i]), "v", 1, false, NULL), VAULT_OK);
    assert_int_equal(vault_iter_new(v, NULL, &it), VAULT_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned seen = 0;
        size_t len = 0;

        assert_int_equal(vault_iter_prefix(it, cases[i].prefix, strlen(cases[i].prefix)), VAULT_OK);
        for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it), seen++) {
            const void *key = vault_iter_key(it, &len);

            assert_memory_equal(key, keys[cases[i].first + seen], len);
        }
        assert_int_equal(seen, cases[i].count);
        for (vault_iter_last(it); vault_iter_valid(it); vault_iter_prev(it)) {
            const void *key = vault_iter_key(it, &len);

            assert_memory_equal(key, keys[cases[i].first + --seen], len);
        }
        assert_int_equal(seen, 0);
    }
    vault_iter_free(it);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

static uint64_t size_of(struct vault *v, const char *begin, const char *end)
{
    uint64_t bytes = UINT64_MAX;

    assert_int_equal(vault_approximate_size(v, begin, begin ? strlen(begin) : 0, end,
                                            end ? strlen(end) : 0, &bytes),
                     VAULT_OK);
    return bytes;
}

static void sizes(void **ignored)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault_stats stats;
    struct vault *v = NULL;
    struct rng r = rng_seeded(13);
    unsigned state[KEYS] = {0};
    unsigned next = 0;
    uint64_t all = 0;

    test_dir_make(&dir);
    test_options_tiny(&o);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    assert_int_equal(size_of(v, NULL, NULL), 0);
    change(v, &r, state, &next, 1500);
    assert_int_equal(vault_flush(v), VAULT_OK);
    vault_get_stats(v, &stats);
    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        all += stats.bytes[i];
    assert_int_equal(size_of(v, NULL, NULL), all);
    assert_int_equal(size_of(v, "x", NULL), 0);
    assert_int_equal(size_of(v, "k100", "k100"), 0);
    assert_int_equal(size_of(v, "k200", "k100"), 0);
    for (unsigned k = 0; k < KEYS; k += 7) {
        char key[16];

        key_of(k, key);
        assert_int_equal(size_of(v, NULL, key) + size_of(v, key, NULL), all);
        assert_int_equal(size_of(v, "k050", key) + size_of(v, key, "k250"),
                         k <= 50    ? size_of(v, key, "k250")
                         : k >= 250 ? size_of(v, "k050", key)
                                    : size_of(v, "k050", "k250"));
    }
    /* Half of the keys are about half of the bytes. */
    assert_true(size_of(v, NULL, "k150") > all / 3 && size_of(v, NULL, "k150") < all * 2 / 3);
    assert_int_equal(vault_close(v), VAULT_OK);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_inline), cmocka_unit_test(reading_thread),
        cmocka_unit_test(links),          cmocka_unit_test(bytes),
        cmocka_unit_test(no_aliasing),    cmocka_unit_test(no_memory),
        cmocka_unit_test(many_keys),      cmocka_unit_test(bounds),
        cmocka_unit_test(prefixes),       cmocka_unit_test(sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
