/* count_test.c: the number of legal sets, exactly. On random traces it is compared with brute force
 * in image_test.c; here are numbers that are known, and numbers that nobody can enumerate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "inner.h"

static struct pc_disk *new_disk(enum pc_model model, uint32_t block)
{
    struct pc_disk_config config = {.model = model, .unit = 4, .block = block};

    return pc_disk_new(&config);
}

static uint32_t file(struct pc_disk *disk, const char *name, uint64_t size)
{
    uint32_t ino = 0;

    assert_int_equal(disk_create(disk, DISK_ROOT, name, strlen(name), &ino), 0);
    if (size) {
        uint8_t *zeros = calloc(1, size);

        memset(zeros, 'z', size);
        assert_int_equal(disk_write(disk, ino, 0, zeros, size, false), size);
        free(zeros);
    }
    assert_int_equal(disk_sync_all(disk), 0);
    return ino;
}

static void put(struct pc_disk *disk, uint32_t ino, uint64_t offset, const char *text)
{
    assert_int_equal(disk_write(disk, ino, offset, text, strlen(text), false), strlen(text));
}

/* base^power * factor */
static void expect(struct pc_disk *disk, unsigned long base, unsigned long power,
                   unsigned long factor)
{
    struct pc_image *image = pc_image_new(disk, pc_disk_call_count(disk));
    mpz_t count, expected;

    mpz_inits(count, expected, NULL);
    assert_true(pc_image_count(image, 100000, count));
    mpz_ui_pow_ui(expected, base, power);
    mpz_mul_ui(expected, expected, factor);
    if (mpz_cmp(count, expected) != 0) {
        gmp_fprintf(stderr, "%Zd, not %Zd\n", count, expected);
        fail();
    }
    mpz_clears(count, expected, NULL);
    pc_image_free(image);
    pc_disk_free(disk);
}

/* A new file is written and takes the place of another one; nothing is synced. */
static void expect_replace(enum pc_model model, unsigned long sets)
{
    struct pc_disk *disk = new_disk(model, 4);
    uint32_t ino;

    assert_int_equal(disk_create(disk, DISK_ROOT, "t", 1, &ino), 0);
    put(disk, ino, 0, "NEW2");
    assert_int_equal(disk_rename(disk, DISK_ROOT, "t", 1, DISK_ROOT, "f", 1), 0);
    expect(disk, sets, 1, 1);
}

static void known_numbers(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX, 4);
    uint32_t f = file(disk, "f", 0);

    put(disk, f, 0, "abcd"); /* D and Z are unordered */
    expect(disk, 2, 2, 1);

    disk = new_disk(PC_PREFIX, 4);
    f = file(disk, "f", 0);
    put(disk, f, 0, "abcdefgh"); /* two steps in a row */
    expect(disk, 3, 1, 1);

    disk = new_disk(PC_EXT4_ORDERED, 4);
    f = file(disk, "f", 0);
    put(disk, f, 0, "abcd"); /* D before M; Z is free */
    expect(disk, 3, 1, 2);

    expect_replace(PC_EXT4_ORDERED, 14); /* the worked example of README.md */
    expect_replace(PC_EXT4_WRITEBACK, 10);
    expect_replace(PC_XFS, 8);
    expect_replace(PC_BTRFS, 10);

    disk = new_disk(PC_PROCESS_KILL, 4);
    f = file(disk, "f", 0);
    put(disk, f, 0, "abcd");
    expect(disk, 1, 1, 1);
}

static void independent_units(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX, 4);
    uint32_t f = file(disk, "f", 800);

    for (uint64_t i = 0; i < 200; i++)
        put(disk, f, i * 4, "ABCD");
    expect(disk, 2, 200, 1);

    disk = new_disk(PC_EXT4_ORDERED, 16);
    f = file(disk, "f", 8000);
    for (uint64_t i = 0; i < 1500; i++)
        put(disk, f, i * 4, "ABCD");
    for (uint64_t i = 0; i < 500; i++)
        put(disk, f, i * 4, "EFGH");
    for (uint64_t i = 500; i < 1500; i++)
        put(disk, f, i * 4, "ABCD"); /* nothing new: no micro-op */
    for (uint64_t i = 1500; i < 2000; i++) {
        put(disk, f, i * 4, "1234");
        put(disk, f, i * 4, "5678");
    }
    { /* 1000 units of two versions more, 1000 of one: 3^1000 * 2^1000 */
        struct pc_image *image = pc_image_new(disk, pc_disk_call_count(disk));
        mpz_t count, expected;

        mpz_inits(count, expected, NULL);
        assert_true(pc_image_count(image, 100000, count));
        mpz_ui_pow_ui(expected, 6, 1000);
        assert_int_equal(mpz_cmp(count, expected), 0);
        mpz_clears(count, expected, NULL);
        pc_image_free(image);
        pc_disk_free(disk);
    }
}

/* Deciding half of a large image by hand divides the count accordingly. */
static void decided_items(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX, 4);
    uint32_t f = file(disk, "f", 400);
    struct pc_image *image;
    mpz_t count;

    for (uint64_t i = 0; i < 100; i++)
        put(disk, f, i * 4, "ABCD");
    image = pc_image_new(disk, pc_disk_call_count(disk));
    mpz_init(count);
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(pc_image_count(image, 1000, count));
        assert_int_equal(mpz_popcount(count), 1);
        assert_int_equal(mpz_scan1(count, 0), 100 - i);
        assert_true(pc_image_set(image, i, i % 3 == 0));
        assert_false(pc_image_set(image, i, i % 3 != 0));
    }
    assert_true(pc_image_count(image, 1000, count));
    assert_int_equal(mpz_cmp_ui(count, 1), 0);
    mpz_clear(count);
    pc_image_free(image);
    pc_disk_free(disk);
}

/* A journal chain with data hanging off it, and its number by a recurrence: with n rounds of one
 * name and one new block (D before M, M and Z behind the name): the name chain cut at j leaves
 * j blocks whose Z and M are open: sum over j of (D alone: 2^(n-j)) * (Z 2 * (D,M) 3)^j. */
static void chain_with_leaves(void **state)
{
    enum { ROUNDS = 40 };
    struct pc_disk *disk = new_disk(PC_EXT4_ORDERED, 4);
    struct pc_image *image;
    mpz_t count, expected, term;

    for (int i = 0; i < ROUNDS; i++) {
        char name[16];
        uint32_t ino;

        snprintf(name, sizeof name, "f%d", i);
        assert_int_equal(disk_create(disk, DISK_ROOT, name, strlen(name), &ino), 0);
        put(disk, ino, 0, "abcd");
    }
    image = pc_image_new(disk, pc_disk_call_count(disk));
    mpz_inits(count, expected, term, NULL);
    assert_true(pc_image_count(image, 100000, count));
    for (unsigned long j = 0; j <= ROUNDS; j++) {
        mpz_ui_pow_ui(term, 6, j);
        mpz_mul_2exp(term, term, ROUNDS - j);
        mpz_add(expected, expected, term);
    }
    assert_int_equal(mpz_cmp(count, expected), 0);
    mpz_clears(count, expected, term, NULL);
    pc_image_free(image);
    pc_disk_free(disk);
}

/* Too small a bound says so and touches nothing; what filled the memory before does not matter. */
static void bound(void **state)
{
    struct pc_disk *disk = new_disk(PC_EXT4_ORDERED, 4);
    struct pc_image *image;
    mpz_t count;

    for (int i = 0; i < 12; i++) {
        char name[16];
        uint32_t ino;

        snprintf(name, sizeof name, "f%d", i);
        assert_int_equal(disk_create(disk, DISK_ROOT, name, strlen(name), &ino), 0);
        put(disk, ino, 0, "abcd");
    }
    image = pc_image_new(disk, pc_disk_call_count(disk));
    mpz_init_set_ui(count, 77);
    assert_false(pc_image_count(image, 1, count));
    assert_int_equal(mpz_cmp_ui(count, 77), 0);
    for (uint32_t i = 0; i + 4 < pc_image_items(image); i++)
        pc_image_set(image, i, true);
    assert_true(pc_image_count(image, 1, count)); /* a name, its D, Z, M: 2 without it, 6 with */
    assert_int_equal(mpz_cmp_ui(count, 8), 0);
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    assert_true(pc_image_count(image, 1000, count));
    mpz_clear(count);
    pc_image_free(image);
    pc_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers), cmocka_unit_test(independent_units),
        cmocka_unit_test(decided_items), cmocka_unit_test(chain_with_leaves),
        cmocka_unit_test(bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
