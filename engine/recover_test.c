/* recover_test.c: what an open makes of files that were cut short, damaged, or never finished, and
 * of an allocator that fails. Every case is tried at every place: each length of a log, each byte
 * of each file, each request for memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rng.h"
#include "engine_testing.h"

#define COUNT 24u

static size_t key_of(unsigned i, char *to)
{
    return (size_t)snprintf(to, 16, "key%03u", i * 37 % 101);
}

static size_t value_of(unsigned i, char *to)
{
    struct rng r = rng_seeded(i);
    size_t len = (size_t)rng_below(&r, 30);

    for (size_t j = 0; j < len; j++)
        to[j] = (char)rng_next(&r);
    return len;
}

static void put_one(struct vault *v, unsigned i, bool sync)
{
    char key[16];
    char value[64];
    size_t len = value_of(i, value);

    assert_int_equal(vault_put(v, key, key_of(i, key), value, len, sync, NULL), VAULT_OK);
}

/* How many of the keys are there, all of them exact and without a gap; UINT_MAX: an error was
 * reported. Wrong data fails the test. */
static unsigned present(struct vault *v, unsigned count)
{
    unsigned found = 0;
    unsigned seen = 0;
    bool gap = false;
    bool error = false;
    struct vault_iter *it = NULL;

    for (unsigned i = 0; i < count; i++) {
        char key[16];
        char value[64];
        void *got = NULL;
        size_t got_len = 0;
        enum vault_status st = vault_get(v, NULL, key, key_of(i, key), &got, &got_len);

        if (st == VAULT_NOT_FOUND) {
            gap = true;
        } else if (st) {
            error = true;
        } else {
            assert_false(gap);
            assert_int_equal(got_len, value_of(i, value));
            assert_memory_equal(got, value, got_len);
            vault_value_free(v, got, got_len);
            found++;
        }
    }
    if (vault_iter_new(v, NULL, &it))
        return UINT32_MAX;
    for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it))
        seen++;
    if (vault_iter_status(it))
        error = true;
    else
        assert_true(error || seen == found);
    vault_iter_last(it);
    vault_iter_free(it);
    return error ? UINT32_MAX : found;
}

struct image {
    struct test_file files[8];
    char names[8][24];
    size_t count;
};

static void image_take(struct image *image, const char *dir, const char *const *names)
{
    image->count = 0;
    for (size_t i = 0; names[i]; i++) {
        test_file_read(&image->files[i], dir, names[i]);
        snprintf(image->names[i], sizeof image->names[i], "%s", names[i]);
        image->count++;
    }
}

static void image_put(const struct image *image, const char *dir)
{
    (void)vault_destroy(dir, NULL);
    assert_int_equal(mkdir(dir, 0755), 0);
    for (size_t i = 0; i < image->count; i++) {
        char path[200];

        snprintf(path, sizeof path, "%s/%s", dir, image->names[i]);
        test_file_write(path, image->files[i].data, image->files[i].len);
    }
}

static void image_release(struct image *image)
{
    for (size_t i = 0; i < image->count; i++)
        free(image->files[i].data);
    image->count = 0;
}

static const char *const log_names[] = {"CURRENT", "MANIFEST-000001", "000002.log", NULL};

/* A database of which everything is in its first log. */
static void make_log(struct test_dir *dir, bool sync, bool close)
{
    struct vault_options o;
    struct vault *v = NULL;

    test_dir_make(dir);
    test_options_tiny(&o);
    o.write_buffer_size = 1 << 20;
    assert_int_equal(vault_open(dir->path, &o, &v, NULL), VAULT_OK);
    for (unsigned i = 0; i < COUNT; i++)
        put_one(v, i, sync && i % 3 == 0);
    if (close) {
        assert_int_equal(vault_close(v), VAULT_OK);
        return;
    }
    struct image image;

    image_take(&image, dir->path, log_names); /* as a killed process leaves it */
    assert_int_equal(vault_close(v), VAULT_OK);
    image_put(&image, dir->path);
    image_release(&image);
}

/* Opens; answers how many writes are there, UINT32_MAX when an error was reported. */
static unsigned reopen(const char *dir, unsigned count)
{
    struct vault_options o;
    struct vault_error error;
    struct vault *v = NULL;
    enum vault_status st = VAULT_OK;
    unsigned found = UINT32_MAX;

    test_options_tiny(&o);
    st = vault_open(dir, &o, &v, &error);
    if (st) {
        assert_true(st == VAULT_CORRUPT || st == VAULT_DATA_LOSS || st == VAULT_UNSUPPORTED);
        assert_true(error.status == st && error.file[0]);
        return UINT32_MAX;
    }
    found = present(v, count);
    st = vault_close(v);
    assert_true(st == VAULT_OK);
    return found;
}

static void torn_log(void **state)
{
    struct test_dir dir;
    struct image image;
    size_t whole = 0;
    unsigned last = 0;

    make_log(&dir, true, false);
    image_take(&image, dir.path, log_names);
    whole = image.files[2].len;
    for (size_t len = 0; len <= whole; len++) {
        unsigned found = 0;

        image.files[2].len = len;
        image_put(&image, dir.path);
        found = reopen(dir.path, COUNT);
        assert_true(found == last || found == last + 1); /* never an error, never a step back */
        last = found;
        assert_int_equal(reopen(dir.path, COUNT), found); /* and it stays */
    }
    assert_int_equal(last, COUNT);
    image_release(&image);
    test_dir_remove(&dir);
}

static void flipped_log(void **state)
{
    for (int closed = 0; closed < 2; closed++) {
        struct test_dir dir;
        struct image image;
        size_t data_end = 0;
        size_t silent = 0;

        make_log(&dir, true, closed != 0);
        image_take(&image, dir.path, log_names);
        data_end = image.files[2].len - (closed ? 40 : 0); /* the closing claim holds no data */
        for (size_t at = 0; at < image.files[2].len; at++) {
            unsigned found = 0;

            image.files[2].data[at] ^= (uint8_t)(1u << at % 8);
            image_put(&image, dir.path);
            found = reopen(dir.path, COUNT);
            if (found < COUNT && closed)
                fail_msg("byte %zu of %zu: %u keys and no error", at, data_end, found);
            silent += found < COUNT;
            image.files[2].data[at] ^= (uint8_t)(1u << at % 8);
        }
        /* Killed: only what no later claim covers may go in silence, the last few writes. */
        assert_true(silent < data_end / 4);
        image_release(&image);
        test_dir_remove(&dir);
    }
}

/* Flips each byte of `name` in a database of several levels. */
static void flip_file(const char *dir, const struct image *image, size_t which)
{
    for (size_t at = 0; at < image->files[which].len; at++) {
        unsigned found = 0;

        image->files[which].data[at] ^= (uint8_t)(1u << at % 8);
        image_put(image, dir);
        found = reopen(dir, COUNT);
        if (found != UINT32_MAX && found != COUNT)
            fail_msg("%s, byte %zu: %u keys and no error", image->names[which], at, found);
        image->files[which].data[at] ^= (uint8_t)(1u << at % 8);
    }
}

static void flipped_files(void **state)
{
    static const char *const names[] = {"CURRENT",    "MANIFEST-000001", "000003.sst",
                                        "000005.sst", "000007.sst",      NULL};
    struct test_dir dir;
    struct image image;
    struct vault_options o;
    struct vault *v = NULL;

    test_dir_make(&dir);
    test_options_tiny(&o);
    o.level0_tables = 8;
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        put_one(v, i, false);
        if (i % 8 == 7)
            assert_int_equal(vault_flush(v), VAULT_OK);
    }
    assert_int_equal(vault_close(v), VAULT_OK);
    image_take(&image, dir.path, names);
    for (size_t which = 0; which < image.count; which++)
        flip_file(dir.path, &image, which);
    image_release(&image);
    test_dir_remove(&dir);
}

static void cut_tables(void **state)
{
    static const char *const names[] = {"CURRENT", "MANIFEST-000001", "000003.sst", NULL};
    struct test_dir dir;
    struct image image;
    struct vault_options o;
    struct vault *v = NULL;
    size_t whole = 0;

    test_dir_make(&dir);
    test_options_tiny(&o);
    assert_int_equal(vault_open(dir.path, &o, &v, NULL), VAULT_OK);
    for (unsigned i = 0; i < COUNT; i++)
        put_one(v, i, false);
    assert_int_equal(vault_flush(v), VAULT_OK);
    assert_int_equal(vault_close(v), VAULT_OK);
    image_take(&image, dir.path, names);
    whole = image.files[2].len;
    for (size_t len = 0; len < whole; len++) {
        image.files[2].len = len;
        image_put(&image, dir.path);
        assert_int_equal(reopen(dir.path, COUNT), UINT32_MAX);
    }
    image.count = 2; /* no table at all */
    image_put(&image, dir.path);
    assert_int_equal(reopen(dir.path, COUNT), UINT32_MAX);
    image.count = 3;
    image_release(&image);
    test_dir_remove(&dir);
}

/* The very first open, cut short after any of its files: the next one finds an empty database. But
 * a CURRENT that is gone while data is there is damage. */
static void first_open(void **state)
{
    struct test_dir dir;
    struct image image;
    struct test_file garbage = {.data = (uint8_t *)"garbage", .len = 7};

    make_log(&dir, false, true);
    image_take(&image, dir.path, log_names);
    for (unsigned what = 0; what < 8; what++) {
        struct image some = {0};

        if (what & 1) {
            some.files[some.count] = image.files[1];
            some.files[some.count].len /= 1 + (what >> 1 & 1);
            memcpy(some.names[some.count++], "MANIFEST-000001", 16);
        }
        if (what & 4) {
            some.files[some.count] = garbage;
            memcpy(some.names[some.count++], "CURRENT.tmp", 12);
        }
        image_put(&some, dir.path);
        assert_int_equal(reopen(dir.path, 0), 0);
        assert_int_equal(reopen(dir.path, 0), 0);
    }
    struct image headless = {.count = 2}; /* the manifest and a log */

    for (size_t i = 0; i < 2; i++) {
        headless.files[i] = image.files[i + 1];
        memcpy(headless.names[i], image.names[i + 1], sizeof headless.names[i]);
    }
    image_put(&headless, dir.path);
    assert_int_equal(reopen(dir.path, 0), UINT32_MAX);
    image_release(&image);
    test_dir_remove(&dir);
}

static void bad_arguments(void **state)
{
    struct test_dir dir;
    struct vault_options o;
    struct vault_error error;
    struct vault *v = NULL;
    struct vault *second = NULL;

    test_dir_make(&dir);
    test_options_tiny(&o);
    assert_int_equal(vault_open("", &o, &v, &error), VAULT_INVALID);
    assert_int_equal(vault_open(NULL, &o, &v, &error), VAULT_INVALID);
    o.create_if_missing = false;
    assert_int_equal(vault_open(dir.path, &o, &v, &error), VAULT_NOT_FOUND);
    o.create_if_missing = true;
    o.block_size = 0;
    assert_int_equal(vault_open(dir.path, &o, &v, &error), VAULT_INVALID);
    o.block_size = 256;
    assert_int_equal(vault_open(dir.path, &o, &v, &error), VAULT_OK);
    assert_int_equal(vault_open(dir.path, &o, &second, &error), VAULT_BUSY);
    assert_int_equal(vault_destroy(dir.path, &error), VAULT_BUSY);
    assert_int_equal(vault_put(v, NULL, 1, "", 0, false, NULL), VAULT_INVALID);
    assert_int_equal(vault_put(v, "k", VAULT_KEY_MAX + 1, "", 0, false, NULL), VAULT_INVALID);
    assert_int_equal(vault_close(v), VAULT_OK);
    o.error_if_exists = true;
    assert_int_equal(vault_open(dir.path, &o, &v, &error), VAULT_EXISTS);
    assert_int_equal(vault_close(NULL), VAULT_OK);
    test_dir_remove(&dir);
}

/* One session in which any call may run out of memory. `acked` counts the writes that were
 * acknowledged, in order, until the first that was not. */
static unsigned starved(const char *dir, const struct vault_options *o)
{
    struct vault *v = NULL;
    struct vault_iter *it = NULL;
    struct vault_snapshot *snap = NULL;
    unsigned acked = 0;
    enum vault_status st = vault_open(dir, o, &v, NULL);

    if (st) {
        assert_int_equal(st, VAULT_NO_MEMORY);
        return 0;
    }
    for (; acked < COUNT; acked++) {
        char key[16];
        char value[64];
        size_t len = value_of(acked, value);

        st = vault_put(v, key, key_of(acked, key), value, len, acked % 5 == 0, NULL);
        assert_true(st == VAULT_OK || st == VAULT_NO_MEMORY);
        if (st) /* once more: the shortage is over */
            assert_int_equal(vault_put(v, key, key_of(acked, key), value, len, false, NULL),
                             VAULT_OK);
        if (acked % 9 == 8) {
            st = vault_flush(v);
            assert_true(st == VAULT_OK || st == VAULT_NO_MEMORY);
        }
    }
    st = vault_snapshot_new(v, &snap);
    assert_true(st == VAULT_OK || st == VAULT_NO_MEMORY);
    st = vault_compact_range(v, NULL, 0, NULL, 0);
    assert_true(st == VAULT_OK || st == VAULT_NO_MEMORY);
    st = vault_iter_new(v, snap, &it);
    assert_true(st == VAULT_OK || st == VAULT_NO_MEMORY);
    if (!st) {
        for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it))
            ;
        vault_iter_last(it);
        st = vault_iter_status(it);
        assert_true(st == VAULT_OK || st == VAULT_NO_MEMORY);
        vault_iter_free(it);
    }
    vault_snapshot_release(v, snap);
    (void)present(v, COUNT);
    st = vault_check(v, NULL);
    assert_true(st == VAULT_OK || st == VAULT_NO_MEMORY);
    st = vault_close(v);
    assert_true(st == VAULT_OK || st == VAULT_NO_MEMORY);
    return acked;
}

static void no_memory(void **state)
{
    struct test_dir dir;
    struct vault_options o;
    struct test_alloc alloc;
    unsigned there = 0; /* what earlier sessions left */
    int64_t n = 1;

    test_dir_make(&dir);
    test_options_tiny(&o);
    o.write_buffer_size = 400;
    test_alloc_init(&alloc);
    o.allocator = &alloc.face;
    for (;; n++) {
        unsigned acked = 0;

        alloc.count = 0;
        alloc.fail_at = n;
        acked = starved(dir.path, &o);
        assert_int_equal(alloc.held, 0);
        if (alloc.count < n)
            break;
        alloc.fail_at = 0;
        there = acked ? acked : there;
        assert_int_equal(reopen(dir.path, there), there);
        if (n % 2 == 0)
            continue; /* start from what is there */
        (void)vault_destroy(dir.path, NULL);
        there = 0;
    }
    print_message("%d places where memory ran out\n", (int)n);
    assert_true(n > 300);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_log),      cmocka_unit_test(flipped_log),
        cmocka_unit_test(flipped_files), cmocka_unit_test(cut_tables),
        cmocka_unit_test(first_open),    cmocka_unit_test(bad_arguments),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
