/* leap_test.c: what a log that runs ahead may leave, and a cut inside a call; one small trace per
 * rule. That the sets are exactly those of the definition is in image_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "inner.h"

#define TEXTS_MAX 256
#define TEXT_MAX  96

static struct pc_disk *new_disk(enum pc_model model)
{
    struct pc_disk_config config = {.model = model, .unit = 4, .block = 4};

    return pc_disk_new(&config);
}

static uint32_t create(struct pc_disk *disk, uint32_t dir, const char *name)
{
    uint32_t ino = 0;

    assert_int_equal(disk_create(disk, dir, name, strlen(name), &ino), 0);
    return ino;
}

static uint32_t make_dir(struct pc_disk *disk, const char *name)
{
    uint32_t ino = 0;

    assert_int_equal(disk_mkdir(disk, DISK_ROOT, name, strlen(name)), 0);
    assert_int_equal(disk_lookup(disk, DISK_ROOT, name, strlen(name), &ino), 0);
    return ino;
}

static void put(struct pc_disk *disk, uint32_t ino, uint64_t offset, const char *text, bool dsync)
{
    assert_int_equal(disk_write(disk, ino, offset, text, strlen(text), dsync), strlen(text));
}

/* Everything so far is what was there before; `disk` is freed. */
static struct pc_disk *settled(struct pc_disk *disk)
{
    struct pc_image *image;
    struct pc_disk *booted;

    assert_int_equal(disk_sync_all(disk), 0);
    image = pc_image_new(disk, pc_disk_call_count(disk));
    booted = pc_disk_boot(image);
    pc_disk_settle(booted);
    pc_image_free(image);
    pc_disk_free(disk);
    return booted;
}

/* ---- every tree of an image ---- */

struct answers {
    size_t given[64], sizes[64], depth, position;
};

static size_t choose(void *ctx, const struct pc_choice *choice)
{
    struct answers *answers = ctx;

    must(answers->position < 64);
    if (answers->position == answers->depth) {
        answers->given[answers->depth] = 0;
        answers->sizes[answers->depth++] = choice->n;
    }
    return answers->given[answers->position++];
}

static bool advance(struct answers *answers)
{
    answers->position = 0;
    while (answers->depth > 0) {
        if (++answers->given[answers->depth - 1] < answers->sizes[answers->depth - 1])
            return true;
        answers->depth--;
    }
    return false;
}

static void add_entry(void *ctx, const struct pc_entry *entry)
{
    char *text = ctx;
    size_t len = strlen(text);

    len += (size_t)snprintf(text + len, TEXT_MAX - len, "%s%s", entry->path,
                            entry->is_dir ? "/ " : "=");
    for (size_t i = 0; i < entry->size && len + 2 < TEXT_MAX; i++)
        text[len++] = (char)(entry->data[i] ? entry->data[i] : '.');
    snprintf(text + len, TEXT_MAX - len, "%s", entry->is_dir ? "" : " ");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* "a=1 b=2 |a=1 |", sorted; frees the image. */
static const char *trees(struct pc_image *image)
{
    static char out[TEXTS_MAX * TEXT_MAX], found[TEXTS_MAX][TEXT_MAX];
    struct answers answers = {.depth = 0};
    const struct pc_chooser chooser = {&answers, choose};
    size_t n = 0, len = 0;

    do {
        struct pc_disk *booted;

        pc_image_begin(image, &chooser, PC_FILL_QUESTION_MARK);
        booted = pc_disk_boot(image);
        must(n < TEXTS_MAX);
        found[n][0] = '\0';
        pc_disk_walk(booted, add_entry, found[n++]);
        pc_disk_free(booted);
    } while (advance(&answers));
    pc_image_free(image);
    qsort(found, n, sizeof found[0], by_text);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(found[i], found[i - 1]) != 0)
            len += (size_t)snprintf(out + len, sizeof out - len, "%s|", found[i]);
    return out;
}

static const char *trees_at_end(struct pc_disk *disk)
{
    return trees(pc_image_new(disk, pc_disk_call_count(disk)));
}

/* ---- what a sync carries along ---- */

/* Two new files in two directories, and a sync of the second. */
static void what_is_carried_along(void **state)
{
    static const struct {
        enum pc_model model;
        const char *expected;
    } cases[] = {
        {PC_EXT4_ORDERED, "d/ d/a= e/ e/b= |"},
        {PC_XFS, "d/ d/a= e/ e/b= |d/ e/ e/b= |"},
        {PC_BTRFS, "d/ d/a= e/ e/b= |d/ e/ e/b= |"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pc_disk *disk = new_disk(cases[i].model);
        uint32_t d = make_dir(disk, "d"), e = make_dir(disk, "e");

        disk = settled(disk);
        create(disk, d, "a");
        assert_int_equal(disk_sync(disk, create(disk, e, "b"), false), 0);
        assert_string_equal(trees_at_end(disk), cases[i].expected);
        pc_disk_free(disk);
    }
}

/* A later name was forced past an older one; what comes after both still waits for the older. */
static void order_behind_a_leap(void **state)
{
    struct pc_disk *disk = new_disk(PC_XFS);
    uint32_t d = make_dir(disk, "d"), e = make_dir(disk, "e"), f = make_dir(disk, "f");

    disk = settled(disk);
    create(disk, d, "1");
    assert_int_equal(disk_sync(disk, create(disk, e, "2"), false), 0);
    create(disk, f, "3");
    assert_string_equal(trees_at_end(disk),
                        "d/ d/1= e/ e/2= f/ |d/ d/1= e/ e/2= f/ f/3= |d/ e/ e/2= f/ |");
    pc_disk_free(disk);
}

/* ---- btrfs ---- */

/* B1: a sync of the target directory has the new name and not the loss of the old one. */
static void both_names_after_a_move(void **state)
{
    struct pc_disk *disk = new_disk(PC_BTRFS);
    uint32_t d = make_dir(disk, "d"), f = create(disk, DISK_ROOT, "f");

    disk = settled(disk);
    assert_int_equal(disk_rename(disk, DISK_ROOT, "f", 1, d, "g", 1), 0);
    assert_string_equal(trees_at_end(disk), "d/ d/g= |d/ f= |");
    assert_int_equal(disk_sync(disk, d, false), 0);
    assert_string_equal(trees_at_end(disk), "d/ d/g= |d/ d/g= f= |");
    assert_int_equal(disk_sync(disk, f, false), 0);
    assert_string_equal(trees_at_end(disk), "d/ d/g= |");
    pc_disk_free(disk);
}

/* B2: a size goes with the data of its own write, or with any other that was not synced before. */
static void a_size_with_any_data(void **state)
{
    struct pc_disk *disk = new_disk(PC_BTRFS);
    uint32_t f = create(disk, DISK_ROOT, "f");

    put(disk, f, 0, "aaaa", false);
    disk = settled(disk);
    put(disk, f, 4, "bbbb", false);
    assert_string_equal(trees_at_end(disk), "f=aaaa |f=aaaabbbb |");
    put(disk, f, 0, "AAAA", false);
    assert_string_equal(trees_at_end(disk), "f=AAAA |f=AAAA.... |f=AAAAbbbb |f=aaaa |f=aaaabbbb |");
    pc_disk_free(disk);
}

/* The size is kept, so of its two witnesses one may be lost, and then the other may not. */
static void no_dead_ends(void **state)
{
    struct pc_disk *disk = new_disk(PC_BTRFS);
    uint32_t f = create(disk, DISK_ROOT, "f"), size = PC_ITEM_NONE, data[2], n = 0;
    struct pc_image *image;
    mpz_t count;

    put(disk, f, 0, "aaaa", false);
    disk = settled(disk);
    put(disk, f, 0, "AAAA", false);
    put(disk, f, 4, "bbbb", false);
    image = pc_image_new(disk, pc_disk_call_count(disk));
    for (uint32_t i = 0; i < pc_image_items(image); i++) {
        struct pc_item item;

        pc_image_item(image, i, &item);
        if (item.kind == PC_ITEM_SIZE)
            size = i;
        if (item.kind == PC_ITEM_DATA)
            data[n++] = i;
    }
    assert_int_equal(n, 2);
    mpz_init(count);
    assert_true(pc_image_count(image, 1000, count)); /* A; b or b with its mapping; size: 6 + 4 */
    assert_int_equal(mpz_cmp_ui(count, 10), 0);
    assert_false(pc_image_count(image, 0, count));
    assert_true(pc_image_set(image, size, true));
    assert_int_equal(pc_image_state(image, data[0]), PC_ITEM_OPEN);
    assert_int_equal(pc_image_state(image, data[1]), PC_ITEM_OPEN);
    assert_true(pc_image_set(image, data[0], false));
    assert_int_equal(pc_image_state(image, data[1]), PC_ITEM_KEPT);
    assert_false(pc_image_set(image, data[1], false));
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    assert_true(pc_image_set(image, data[0], false));
    assert_true(pc_image_set(image, data[1], false));
    assert_int_equal(pc_image_state(image, size), PC_ITEM_LOST);
    mpz_clear(count);
    pc_image_free(image);
    pc_disk_free(disk);
}

/* B3: once its directory was synced, a newer name may be there before an older one elsewhere. */
static void a_logged_directory(void **state)
{
    struct pc_disk *disk = new_disk(PC_BTRFS);
    uint32_t d = make_dir(disk, "d");

    disk = settled(disk);
    create(disk, DISK_ROOT, "a");
    create(disk, d, "b");
    assert_string_equal(trees_at_end(disk), "a= d/ |a= d/ d/b= |d/ |");
    disk = settled(disk);
    assert_int_equal(disk_sync(disk, d, false), 0);
    create(disk, DISK_ROOT, "c");
    create(disk, d, "e");
    assert_string_equal(trees_at_end(disk), "a= c= d/ d/b= |a= c= d/ d/b= d/e= |a= d/ d/b= |"
                                            "a= d/ d/b= d/e= |");
    pc_disk_free(disk);
}

/* ---- inside a call ---- */

static const enum pc_model lattices[] = {PC_PREFIX,       PC_POSIX,          PC_POSIX_MIN,
                                         PC_EXT4_ORDERED, PC_EXT4_WRITEBACK, PC_XFS};

/* A synchronous overwrite of two units is torn inside and nowhere else. */
static void torn_inside(void **state)
{
    for (size_t m = 0; m < sizeof lattices / sizeof lattices[0] + 1; m++) {
        bool last = m == sizeof lattices / sizeof lattices[0];
        struct pc_disk *disk = new_disk(last ? PC_BTRFS : lattices[m]);
        uint32_t f = create(disk, DISK_ROOT, "f");
        const char *inside;

        put(disk, f, 0, "aaaabbbb", false);
        disk = settled(disk);
        put(disk, f, 0, "AAAABBBB", true);
        assert_true(pc_disk_tears_inside(disk, 0));
        assert_string_equal(trees(pc_image_new(disk, 0)), "f=aaaabbbb |");
        assert_string_equal(trees(pc_image_new(disk, 1)), "f=AAAABBBB |");
        inside = trees(pc_image_new_inside(disk, 0));
        assert_string_equal(inside, m == 0 ? "f=AAAABBBB |f=AAAAbbbb |f=aaaabbbb |"
                                           : "f=AAAABBBB |f=AAAAbbbb |f=aaaaBBBB |f=aaaabbbb |");
        pc_disk_free(disk);
    }
}

static void what_tears_nothing(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_fault lie = {.kind = PC_FAULT_LOSTSYNC, .call = PC_CALL_WRITE, .file = "*", .nth = 1};
    uint32_t f = create(disk, DISK_ROOT, "f");

    put(disk, f, 0, "aaaabbbb", false);
    disk = settled(disk);
    put(disk, f, 0, "1111", true);      /* one micro-op: there or not */
    put(disk, f, 0, "1111", true);      /* nothing new */
    put(disk, f, 0, "22223333", false); /* not synchronous */
    assert_int_equal(disk_sync(disk, f, false), 0);
    pc_disk_add_fault(disk, &lie);
    put(disk, f, 0, "44445555", true); /* a lie */
    for (size_t k = 0; k < 5; k++)
        assert_false(pc_disk_tears_inside(disk, k));
    assert_string_equal(trees(pc_image_new_inside(disk, 0)), "f=1111bbbb |f=aaaabbbb |");
    put(disk, f, 8, "6", true); /* data and size */
    assert_true(pc_disk_tears_inside(disk, 5));
    pc_disk_free(disk);
    disk = new_disk(PC_PROCESS_KILL);
    put(disk, create(disk, DISK_ROOT, "f"), 0, "aaaabbbb", true);
    assert_false(pc_disk_tears_inside(disk, 1));
    assert_string_equal(trees(pc_image_new_inside(disk, 1)), "f=aaaabbbb |");
    pc_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_carried_along),
        cmocka_unit_test(order_behind_a_leap),
        cmocka_unit_test(both_names_after_a_move),
        cmocka_unit_test(a_size_with_any_data),
        cmocka_unit_test(no_dead_ends),
        cmocka_unit_test(a_logged_directory),
        cmocka_unit_test(torn_inside),
        cmocka_unit_test(what_tears_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
