/* disk_test.c: the calls of a running disk one by one, and disks that are booted on images. What a
 * power cut may leave is in image_test.c, faults are in fault_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/check.h"
#include "base/rng.h"
#include "inner.h"

#define PATHS_MAX 4096

static struct pc_disk *new_disk(enum pc_model model)
{
    struct pc_disk_config config = {.model = model, .unit = 4, .block = 8, .seed = 7};

    return pc_disk_new(&config);
}

static uint32_t lookup(struct pc_disk *disk, uint32_t dir, const char *name)
{
    uint32_t ino;

    return disk_lookup(disk, dir, name, strlen(name), &ino) == 0 ? ino : 0;
}

static uint32_t create(struct pc_disk *disk, uint32_t dir, const char *name)
{
    uint32_t ino = 0;

    assert_int_equal(disk_create(disk, dir, name, strlen(name), &ino), 0);
    return ino;
}

static uint32_t make_dir(struct pc_disk *disk, uint32_t dir, const char *name)
{
    assert_int_equal(disk_mkdir(disk, dir, name, strlen(name)), 0);
    return lookup(disk, dir, name);
}

static void put(struct pc_disk *disk, uint32_t ino, uint64_t offset, const char *text)
{
    ssize_t n = disk_write(disk, ino, offset, text, strlen(text), false);

    assert_int_equal(n, strlen(text));
}

static int move(struct pc_disk *disk, uint32_t dir, const char *name, uint32_t to, const char *as)
{
    return disk_rename(disk, dir, name, strlen(name), to, as, strlen(as));
}

/* The content, with '.' for zero bytes. */
static const char *content(struct pc_disk *disk, uint32_t ino)
{
    static char text[128];
    ssize_t n = disk_read(disk, ino, 0, text, sizeof text - 1);

    assert_true(n >= 0);
    for (ssize_t i = 0; i < n; i++)
        text[i] = (char)(text[i] ? text[i] : '.');
    text[n] = '\0';
    return text;
}

static void add_text(void *ctx, const struct pc_entry *entry)
{
    char *out = ctx;
    size_t len = strlen(out);

    snprintf(out + len, PATHS_MAX - len, "%s%s ", entry->path, entry->is_dir ? "/" : "");
}

static const char *paths(struct pc_disk *disk)
{
    static char text[PATHS_MAX];

    text[0] = '\0';
    pc_disk_walk(disk, add_text, text);
    return text;
}

/* A disk booted on all that `disk` has at its end; `disk` is freed. */
static struct pc_disk *rebooted(struct pc_disk *disk)
{
    struct pc_image *image = pc_image_new(disk, pc_disk_call_count(disk));
    struct pc_disk *booted = pc_disk_boot(image);

    pc_disk_settle(booted);
    pc_image_free(image);
    pc_disk_free(disk);
    return booted;
}

/* ---- calls ---- */

static void refusals(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    uint32_t f = create(disk, DISK_ROOT, "f"), d = make_dir(disk, DISK_ROOT, "d"), ino;
    char name[DISK_NAME_MAX + 2];
    size_t calls;

    create(disk, d, "g");
    make_dir(disk, d, "e");
    calls = pc_disk_call_count(disk);
    memset(name, 'n', sizeof name);
    assert_int_equal(disk_create(disk, DISK_ROOT, "f", 1, &ino), -EEXIST);
    assert_int_equal(disk_mkdir(disk, DISK_ROOT, "f", 1), -EEXIST);
    assert_int_equal(disk_create(disk, f, "x", 1, &ino), -ENOTDIR);
    assert_int_equal(disk_create(disk, DISK_ROOT, name, sizeof name, &ino), -ENAMETOOLONG);
    assert_int_equal(disk_lookup(disk, DISK_ROOT, "no", 2, &ino), -ENOENT);
    assert_int_equal(disk_lookup(disk, f, "no", 2, &ino), -ENOTDIR);
    assert_int_equal(disk_unlink(disk, DISK_ROOT, "no", 2), -ENOENT);
    assert_int_equal(disk_unlink(disk, DISK_ROOT, "d", 1), -EISDIR);
    assert_int_equal(disk_rmdir(disk, DISK_ROOT, "f", 1), -ENOTDIR);
    assert_int_equal(disk_rmdir(disk, DISK_ROOT, "d", 1), -ENOTEMPTY);
    assert_int_equal(disk_link(disk, d, DISK_ROOT, "x", 1), -EPERM);
    assert_int_equal(disk_link(disk, f, d, "g", 1), -EEXIST);
    assert_int_equal(move(disk, DISK_ROOT, "no", DISK_ROOT, "f"), -ENOENT);
    assert_int_equal(move(disk, DISK_ROOT, "f", DISK_ROOT, "d"), -EISDIR);
    assert_int_equal(move(disk, DISK_ROOT, "d", DISK_ROOT, "f"), -ENOTDIR);
    assert_int_equal(move(disk, DISK_ROOT, "d", lookup(disk, d, "e"), "x"), -EINVAL);
    assert_int_equal(move(disk, d, "e", DISK_ROOT, "d"), -ENOTEMPTY);
    assert_int_equal(move(disk, DISK_ROOT, "f", DISK_ROOT, "f"), 0);
    assert_int_equal(disk_write(disk, d, 0, "x", 1, false), -EISDIR);
    assert_int_equal(disk_read(disk, d, 0, name, 1), -EISDIR);
    assert_int_equal(disk_truncate(disk, d, 0), -EISDIR);
    assert_int_equal(disk_truncate(disk, f, UINT64_MAX), -EFBIG);
    assert_int_equal(disk_write(disk, f, UINT64_MAX, "x", 1, false), -EFBIG);
    assert_int_equal(disk_allocate(disk, f, 0, 0, false), -EINVAL);
    assert_int_equal(pc_disk_call_count(disk), calls);
    pc_disk_free(disk);
}

static void links_have_no_content(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_image *image;
    struct disk_stat st;
    uint32_t l, ino;

    assert_int_equal(disk_symlink(disk, DISK_ROOT, "l", 1, "some/where"), 0);
    assert_int_equal(disk_symlink(disk, DISK_ROOT, "l", 1, "else"), -EEXIST);
    l = lookup(disk, DISK_ROOT, "l");
    assert_int_equal(pc_disk_call(disk, 0)->kind, PC_CALL_SYMLINK);
    assert_string_equal(pc_disk_call(disk, 0)->to, "some/where");
    assert_int_equal(disk_read(disk, l, 0, &st, 1), -EINVAL);
    assert_int_equal(disk_write(disk, l, 0, "x", 1, false), -EINVAL);
    assert_int_equal(disk_truncate(disk, l, 0), -EINVAL);
    assert_int_equal(disk_allocate(disk, l, 0, 1, false), -EINVAL);
    assert_int_equal(disk_create(disk, l, "x", 1, &ino), -ENOTDIR);
    image = pc_image_new(disk, 1);
    assert_int_equal(pc_image_items(image), 1); /* the name; nothing else can be lost */
    pc_image_free(image);
    disk = rebooted(rebooted(disk));
    l = lookup(disk, DISK_ROOT, "l");
    assert_string_equal(disk_target(disk, l), "some/where");
    assert_int_equal(disk_stat(disk, l, &st), 0);
    assert_int_equal(st.kind, DISK_SYMLINK);
    assert_int_equal(st.size, 10);
    assert_int_equal(disk_rmdir(disk, DISK_ROOT, "l", 1), -ENOTDIR);
    assert_int_equal(disk_unlink(disk, DISK_ROOT, "l", 1), 0);
    assert_string_equal(paths(disk), "");
    pc_disk_free(disk);
}

static void contents(void **state)
{
    for (int m = 0; m <= PC_EXT4_ORDERED; m++) {
        struct pc_disk *disk = new_disk((enum pc_model)m);
        uint32_t f = create(disk, DISK_ROOT, "f");
        struct disk_stat st;

        put(disk, f, 6, "abc");
        assert_string_equal(content(disk, f), "......abc");
        put(disk, f, 1, "xy");
        assert_int_equal(disk_truncate(disk, f, 7), 0);
        assert_int_equal(disk_truncate(disk, f, 10), 0);
        assert_string_equal(content(disk, f), ".xy...a...");
        assert_int_equal(disk_allocate(disk, f, 8, 6, true), 0);
        assert_string_equal(content(disk, f), ".xy...a...");
        assert_int_equal(disk_allocate(disk, f, 8, 6, false), 0);
        disk = rebooted(disk);
        f = lookup(disk, DISK_ROOT, "f");
        assert_string_equal(content(disk, f), ".xy...a.......");
        assert_int_equal(disk_stat(disk, f, &st), 0);
        assert_int_equal(st.size, 14);
        pc_disk_free(disk);
    }
}

/* A block that stays mapped keeps nothing of what a truncation cut off, when the file grows. */
static void truncated_tail_is_zero(void **state)
{
    for (int m = 0; m <= PC_EXT4_ORDERED; m++) {
        struct pc_disk *disk = new_disk((enum pc_model)m);
        uint32_t f = create(disk, DISK_ROOT, "f");

        put(disk, f, 0, "aaaabbbb");
        assert_int_equal(disk_sync_all(disk), 0);
        assert_int_equal(disk_truncate(disk, f, 4), 0);
        assert_int_equal(disk_truncate(disk, f, 8), 0);
        assert_int_equal(disk_sync(disk, f, false), 0);
        disk = rebooted(disk);
        assert_string_equal(content(disk, lookup(disk, DISK_ROOT, "f")), "aaaa....");
        pc_disk_free(disk);
    }
}

static void names_and_calls(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    uint32_t d = make_dir(disk, DISK_ROOT, "d"), e = make_dir(disk, d, "e");
    uint32_t f = create(disk, e, "f");
    size_t last;

    assert_string_equal(paths(disk), "d/ d/e/ d/e/f ");
    assert_int_equal(move(disk, DISK_ROOT, "d", DISK_ROOT, "x"), 0);
    assert_string_equal(paths(disk), "x/ x/e/ x/e/f ");
    last = pc_disk_call_count(disk) - 1;
    assert_int_equal(pc_disk_call(disk, last)->kind, PC_CALL_RENAME);
    assert_string_equal(pc_disk_call(disk, last)->path, "d");
    assert_string_equal(pc_disk_call(disk, last)->to, "x");
    pc_disk_mark(disk, 42);
    put(disk, f, 3, "hi");
    assert_string_equal(pc_disk_call(disk, last + 1)->path, "x/e/f");
    assert_int_equal(pc_disk_call(disk, last + 1)->offset, 3);
    assert_int_equal(pc_disk_call(disk, last + 1)->done, 2);
    assert_int_equal(pc_disk_call(disk, last + 1)->mark, 42);
    assert_int_equal(disk_parent(disk, e), d);
    assert_int_equal(move(disk, d, "e", DISK_ROOT, "y"), 0);
    assert_int_equal(disk_parent(disk, e), DISK_ROOT);
    assert_string_equal(paths(disk), "x/ y/ y/f ");
    disk = rebooted(disk);
    assert_string_equal(paths(disk), "x/ y/ y/f ");
    pc_disk_free(disk);
}

static void unlinked_file_lives_on(void **state)
{
    for (int m = 0; m <= PC_EXT4_ORDERED; m++) {
        struct pc_disk *disk = new_disk((enum pc_model)m);
        uint32_t f = create(disk, DISK_ROOT, "f");
        struct disk_stat st;

        disk_hold(disk, f);
        put(disk, f, 0, "abc");
        assert_int_equal(disk_unlink(disk, DISK_ROOT, "f", 1), 0);
        put(disk, f, 3, "defgh");
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_string_equal(content(disk, f), "abcdefgh");
        assert_int_equal(disk_stat(disk, f, &st), 0);
        assert_int_equal(st.links, 0);
        disk_drop(disk, f);
        disk = rebooted(disk);
        assert_string_equal(paths(disk), "");
        pc_disk_free(disk);
    }
}

static size_t open_items(struct pc_disk *disk)
{
    struct pc_image *image = pc_image_new(disk, pc_disk_call_count(disk));
    size_t count = pc_image_items(image);

    pc_image_free(image);
    return count;
}

/* With a journal a sync of an open file forces also the change that took its name away. */
static void sync_of_a_nameless_file(void **state)
{
    for (int by_rename = 0; by_rename < 2; by_rename++) {
        struct pc_disk *disk = new_disk(PC_EXT4_ORDERED);
        uint32_t f = create(disk, DISK_ROOT, "f");

        create(disk, DISK_ROOT, "g");
        disk_hold(disk, f);
        assert_int_equal(disk_sync_all(disk), 0);
        if (by_rename)
            assert_int_equal(move(disk, DISK_ROOT, "g", DISK_ROOT, "f"), 0);
        else
            assert_int_equal(disk_unlink(disk, DISK_ROOT, "f", 1), 0);
        assert_int_equal(open_items(disk), 1);
        assert_int_equal(disk_sync(disk, f, true), 0);
        assert_int_equal(open_items(disk), 1);
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_int_equal(open_items(disk), 0);
        pc_disk_free(disk);
    }
}

static void listing_order(void **state)
{
    struct pc_disk_config config = {.model = PC_POSIX, .unit = 512};
    char orders[6][64] = {{0}};
    bool differ = false, sorted = true;

    for (uint64_t seed = 0; seed < 6; seed++) {
        struct pc_disk *disk;
        struct disk_dirent *entries;
        size_t count;

        config.seed = seed / 2; /* twice the same */
        disk = pc_disk_new(&config);
        for (char name[] = "a"; name[0] <= 'j'; name[0]++)
            create(disk, DISK_ROOT, name);
        assert_int_equal(disk_list(disk, DISK_ROOT, &entries, &count), 0);
        assert_int_equal(count, 10);
        for (size_t i = 0; i < count; i++)
            orders[seed][i] = entries[i].name[0];
        free(entries);
        sorted &= strcmp(orders[seed], "abcdefghij") == 0;
        if (seed % 2)
            assert_string_equal(orders[seed], orders[seed - 1]);
        else if (seed)
            differ |= strcmp(orders[seed], orders[seed - 1]) != 0;
        pc_disk_free(disk);
    }
    assert_false(sorted);
    assert_true(differ);
}

static void hash_of_a_run(void **state)
{
    uint64_t hashes[5];

    for (int i = 0; i < 5; i++) {
        struct pc_disk *disk = new_disk(PC_EXT4_ORDERED);
        uint32_t f = create(disk, DISK_ROOT, i == 2 ? "g" : "f");

        put(disk, f, 0, i == 3 ? "b" : "a");
        assert_int_equal(disk_sync(disk, f, i == 4), 0);
        hashes[i] = pc_disk_hash(disk);
        pc_disk_free(disk);
    }
    assert_true(hashes[0] == hashes[1]);
    for (int i = 2; i < 5; i++)
        assert_true(hashes[i] != hashes[0]);
}

static void stop(void *ctx)
{
    ++*(int *)ctx;
}

static void steps(void **state)
{
    struct pc_disk *disk = new_disk(PC_PREFIX);
    uint64_t before = pc_disk_steps(disk);
    uint32_t f = create(disk, DISK_ROOT, "f");
    int stopped = 0;

    content(disk, f);
    disk_step(disk);
    assert_int_equal(pc_disk_steps(disk), before + 3);
    pc_disk_step_limit(disk, before + 4, stop, &stopped);
    paths(disk);
    assert_int_equal(pc_disk_steps(disk), before + 3);
    disk_step(disk);
    assert_int_equal(stopped, 0);
    disk_step(disk);
    disk_step(disk);
    assert_int_equal(stopped, 1);
    pc_disk_free(disk);
}

static void kinds_have_names(void **state)
{
    enum pc_model model;
    enum pc_call_kind call;
    enum pc_fault_kind fault;

    for (int i = 0; i < PC_MODELS; i++) {
        assert_true(pc_model_from_name(pc_model_name((enum pc_model)i), &model));
        assert_int_equal(model, i);
    }
    for (int i = 0; i < PC_CALL_KINDS; i++) {
        assert_true(pc_call_kind_from_name(pc_call_kind_name((enum pc_call_kind)i), &call));
        assert_int_equal(call, i);
    }
    for (int i = 0; i < PC_FAULT_KINDS; i++) {
        assert_true(pc_fault_kind_from_name(pc_fault_kind_name((enum pc_fault_kind)i), &fault));
        assert_int_equal(fault, i);
    }
    assert_false(pc_model_from_name("zfs", &model));
    assert_false(pc_call_kind_from_name("", &call));
    assert_false(pc_fault_kind_from_name("eioo", &fault));
    for (int i = 0; i < PC_MODELS; i++)
        assert_true(pc_model_simulated((enum pc_model)i));
}

/* ---- boots ---- */

static uint32_t links(struct pc_disk *disk, uint32_t ino)
{
    struct disk_stat st;

    assert_int_equal(disk_stat(disk, ino, &st), 0);
    return st.links;
}

static void hard_links_over_boots(void **state)
{
    for (int m = 0; m <= PC_EXT4_ORDERED; m++) {
        struct pc_disk *disk = new_disk((enum pc_model)m);
        uint32_t f = create(disk, DISK_ROOT, "f"), d = make_dir(disk, DISK_ROOT, "d");
        char name[] = "n00";

        put(disk, f, 0, "one");
        assert_int_equal(disk_link(disk, f, d, "g", 1), 0);
        for (int i = 0; i < 20; i++) { /* so that tables grow while links are counted */
            name[1] = (char)('0' + i / 10);
            name[2] = (char)('0' + i % 10);
            create(disk, d, name);
        }
        disk = rebooted(disk);
        d = lookup(disk, DISK_ROOT, "d");
        assert_int_equal(lookup(disk, d, "g"), lookup(disk, DISK_ROOT, "f"));
        f = lookup(disk, d, "g");
        disk = rebooted(disk);
        d = lookup(disk, DISK_ROOT, "d");
        assert_int_equal(disk_unlink(disk, d, "g", 1), 0);
        assert_int_equal(lookup(disk, d, "g"), 0);
        f = lookup(disk, DISK_ROOT, "f");
        assert_string_equal(content(disk, f), "one");
        assert_int_equal(links(disk, f), 1);
        assert_int_equal(disk_link(disk, f, DISK_ROOT, "h", 1), 0);
        assert_int_equal(links(disk, f), 2);
        disk = rebooted(disk);
        f = lookup(disk, DISK_ROOT, "h");
        assert_int_equal(links(disk, f), 2);
        put(disk, f, 0, "two");
        assert_string_equal(content(disk, lookup(disk, DISK_ROOT, "f")), "two");
        assert_int_equal(move(disk, DISK_ROOT, "f", DISK_ROOT, "h"), 0); /* the same file */
        assert_int_equal(links(disk, f), 2);
        assert_int_equal(move(disk, lookup(disk, DISK_ROOT, "d"), "n07", DISK_ROOT, "h"), 0);
        assert_int_equal(links(disk, f), 1);
        assert_string_equal(content(disk, lookup(disk, DISK_ROOT, "f")), "two");
        disk = rebooted(disk);
        assert_string_equal(content(disk, lookup(disk, DISK_ROOT, "f")), "two");
        assert_string_equal(content(disk, lookup(disk, DISK_ROOT, "h")), "");
        pc_disk_free(disk);
    }
}

static size_t last_of(const struct pc_image *image, enum pc_item_kind kind)
{
    struct pc_item item;

    for (size_t i = pc_image_items(image); i-- > 0;) {
        pc_image_item(image, (uint32_t)i, &item);
        if (item.kind == kind)
            return i;
    }
    fail();
    return 0;
}

/* Where names are split, a rename may leave both; then neither is the last. */
static void both_names_of_a_rename(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX_MIN), *booted;
    uint32_t f = create(disk, DISK_ROOT, "a");
    struct pc_image *image;
    struct pc_item item;

    put(disk, f, 0, "text");
    assert_int_equal(disk_sync_all(disk), 0);
    assert_int_equal(move(disk, DISK_ROOT, "a", DISK_ROOT, "b"), 0);
    image = pc_image_new(disk, pc_disk_call_count(disk));
    assert_int_equal(pc_image_items(image), 2);
    pc_image_item(image, 0, &item);
    assert_string_equal(item.path, "a");
    assert_true(pc_image_set(image, 0, false));
    booted = pc_disk_boot(image);
    assert_string_equal(paths(booted), "a b ");
    assert_int_equal(disk_unlink(booted, DISK_ROOT, "a", 1), 0);
    pc_disk_settle(booted);
    pc_image_free(image);
    pc_disk_free(disk);
    booted = rebooted(booted);
    assert_string_equal(content(booted, lookup(booted, DISK_ROOT, "b")), "text");
    pc_disk_free(booted);
}

/* In the same model a directory may even be found below itself; a walk ends nevertheless. */
static void directory_below_itself(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX_MIN), *booted;
    uint32_t a = make_dir(disk, DISK_ROOT, "a"), b = make_dir(disk, DISK_ROOT, "b");
    struct pc_image *image;
    bool kept[] = {false, true, false, true, false, true}; /* removed, added, removed, ... */

    create(disk, a, "f");
    assert_int_equal(disk_sync_all(disk), 0);
    assert_int_equal(move(disk, DISK_ROOT, "b", a, "b"), 0);
    assert_int_equal(move(disk, a, "b", DISK_ROOT, "c"), 0);
    assert_int_equal(move(disk, DISK_ROOT, "a", b, "a"), 0);
    image = pc_image_new(disk, pc_disk_call_count(disk));
    assert_int_equal(pc_image_items(image), 6);
    for (uint32_t i = 0; i < 6; i++)
        assert_true(pc_image_set(image, i, kept[i]));
    booted = pc_disk_boot(image);
    assert_string_equal(paths(booted),
                        "a/ a/b/ a/b/a/ a/f b/ b/a/ b/a/b/ b/a/f c/ c/a/ c/a/b/ c/a/f ");
    assert_int_equal(disk_unlink(booted, lookup(booted, DISK_ROOT, "a"), "f", 1), 0);
    pc_disk_settle(booted);
    pc_image_free(image);
    pc_disk_free(disk);
    booted = rebooted(booted);
    assert_int_equal(lookup(booted, lookup(booted, DISK_ROOT, "a"), "f"), 0);
    pc_disk_free(booted);
}

/* What lies beyond the size that survived does not come back when the file grows. */
static void nothing_beyond_the_end(void **state)
{
    for (int m = PC_POSIX; m <= PC_EXT4_ORDERED; m++)
        for (int settled = 0; settled < 2; settled++) {
            struct pc_disk *disk = new_disk((enum pc_model)m), *booted;
            uint32_t f = create(disk, DISK_ROOT, "f");
            struct pc_image *image;

            put(disk, f, 0, "a");
            assert_int_equal(disk_sync_all(disk), 0);
            put(disk, f, 1, "bcd");
            image = pc_image_new(disk, pc_disk_call_count(disk));
            assert_true(pc_image_set(image, (uint32_t)last_of(image, PC_ITEM_SIZE), false));
            booted = pc_disk_boot(image);
            if (settled)
                pc_disk_settle(booted);
            f = lookup(booted, DISK_ROOT, "f");
            assert_string_equal(content(booted, f), "a");
            assert_int_equal(disk_truncate(booted, f, 3), 0);
            assert_string_equal(content(booted, f), "a..");
            assert_int_equal(disk_sync_all(booted), 0);
            pc_disk_settle(booted);
            pc_image_free(image);
            pc_disk_free(disk);
            booted = rebooted(booted);
            assert_string_equal(content(booted, lookup(booted, DISK_ROOT, "f")), "a..");
            pc_disk_free(booted);
        }
}

/* A block that was mapped without the size is mapped anew by the next write. */
static void mapping_without_size(void **state)
{
    struct pc_disk *disk = new_disk(PC_EXT4_ORDERED), *booted;
    uint32_t f = create(disk, DISK_ROOT, "f");
    struct pc_image *image;

    assert_int_equal(disk_sync_all(disk), 0);
    put(disk, f, 0, "old!");
    image = pc_image_new(disk, pc_disk_call_count(disk));
    assert_true(pc_image_set(image, (uint32_t)last_of(image, PC_ITEM_SIZE), false));
    assert_true(pc_image_set(image, (uint32_t)last_of(image, PC_ITEM_MAP), true));
    booted = pc_disk_boot(image);
    f = lookup(booted, DISK_ROOT, "f");
    put(booted, f, 2, "new");
    assert_string_equal(content(booted, f), "..new");
    assert_int_equal(disk_sync_all(booted), 0);
    pc_disk_settle(booted);
    pc_image_free(image);
    pc_disk_free(disk);
    booted = rebooted(booted);
    assert_string_equal(content(booted, lookup(booted, DISK_ROOT, "f")), "..new");
    pc_disk_free(booted);
}

/* What was read before the image was let go stays readable after it. */
/* A new block is written whole, also when what it replaces was as empty. */
static void new_block_is_written_whole(void **state)
{
    struct pc_disk_config config = {.model = PC_EXT4_WRITEBACK, .unit = 4, .block = 16};
    struct pc_disk *disk = pc_disk_new(&config);
    uint32_t f = create(disk, DISK_ROOT, "f");
    struct pc_image *image;

    put(disk, f, 0, "yyyyyyyyyyyyyyyyy");
    assert_int_equal(disk_sync_all(disk), 0);
    assert_int_equal(disk_truncate(disk, f, 0), 0);
    assert_int_equal(disk_allocate(disk, f, 0, 26, false), 0);
    assert_int_equal(disk_write(disk, f, 26, "EE", 2, true), 2);
    image = pc_image_new(disk, pc_disk_call_count(disk));
    assert_int_equal(pc_image_items(image), 3); /* the units of the block that were not touched */
    pc_image_free(image);
    pc_disk_free(disk);
}

static void settled_disk_stands_alone(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX), *booted;
    uint32_t f = create(disk, DISK_ROOT, "f");
    struct pc_image *image;

    put(disk, f, 0, "abcdefgh");
    image = pc_image_new(disk, pc_disk_call_count(disk));
    booted = pc_disk_boot(image);
    f = lookup(booted, DISK_ROOT, "f");
    assert_string_equal(content(booted, f), "abcdefgh");
    put(booted, f, 0, "A");
    pc_disk_settle(booted);
    pc_image_free(image);
    pc_disk_free(disk);
    assert_string_equal(content(booted, f), "Abcdefgh");
    assert_string_equal(paths(booted), "f ");
    pc_disk_free(booted);
}

static size_t newest_or_none(void *ctx, const struct pc_choice *choice)
{
    return *(bool *)ctx ? choice->n - 1 : 0;
}

static void fills(void **state)
{
    static const enum pc_fill kinds[] = {PC_FILL_ZERO, PC_FILL_QUESTION_MARK, PC_FILL_NOISE};
    struct pc_disk *disk = new_disk(PC_POSIX);
    uint32_t f = create(disk, DISK_ROOT, "f");
    struct pc_image *image;

    put(disk, f, 0, "abcdefgh");
    image = pc_image_new(disk, pc_disk_call_count(disk));
    for (int i = 0; i < 3; i++) {
        struct pc_disk *booted;
        char first[16];

        for (int again = 0; again < 2; again++) {
            pc_image_begin(image, NULL, kinds[i]);
            for (uint32_t item = 0; item < pc_image_items(image); item++) {
                struct pc_item what;

                pc_image_item(image, item, &what);
                assert_true(pc_image_set(image, item, what.kind != PC_ITEM_DATA));
            }
            booted = pc_disk_boot(image);
            assert_false(pc_image_undefined_seen(image));
            if (again)
                assert_string_equal(content(booted, f), first);
            snprintf(first, sizeof first, "%s", content(booted, f));
            assert_true(pc_image_undefined_seen(image));
            pc_disk_free(booted);
        }
        assert_string_not_equal(first, "abcdefgh");
        if (i < 2)
            assert_string_equal(first, i == 0 ? "........" : "????????");
    }
    pc_image_free(image);
    pc_disk_free(disk);
}

/* A million reboots must not ask for memory a million times: the arena comes to the same place. */
static void reboot_reuses_memory(void **state)
{
    struct pc_disk *disk = new_disk(PC_EXT4_ORDERED), *booted = NULL;
    uint32_t f = create(disk, DISK_ROOT, "f");
    struct pc_image *image;
    bool none = false;
    const struct pc_chooser chooser = {&none, newest_or_none};
    const struct arena_chunk *chunk = NULL;
    size_t used = 0;

    for (int i = 0; i < 50; i++)
        put(disk, f, (uint64_t)i * 7, "0123456789");
    image = pc_image_new(disk, pc_disk_call_count(disk));
    for (int round = 0; round < 200; round++) {
        none = round & 1;
        pc_image_begin(image, &chooser, PC_FILL_ZERO);
        if (booted)
            pc_disk_reboot(booted, image);
        else
            booted = pc_disk_boot(image);
        paths(booted);
        if (!none) {
            f = lookup(booted, DISK_ROOT, "f");
            for (int i = 0; i < 30; i++)
                put(booted, f, (uint64_t)i * 11, "abcdefghijkl");
            assert_true(chunk == NULL ||
                        (chunk == booted->arena.current && used == booted->arena.used));
            chunk = booted->arena.current;
            used = booted->arena.used;
        }
        if (round % 8 == 2)
            pc_disk_settle(booted);
    }
    pc_image_free(image);
    pc_disk_free(booted);
    pc_disk_free(disk);
}

/* The program is told at once that the files are gone; they go with the sync that is waited for. */
static void removals_that_wait(void **state)
{
    struct pc_disk_config config = {.model = PC_POSIX, .unit = 512};
    struct pc_disk *disk = pc_disk_new(&config);
    uint32_t first = 0, second = 0, found = 0;
    size_t calls;

    assert_int_equal(disk_create(disk, DISK_ROOT, "first", 5, &first), 0);
    assert_int_equal(disk_create(disk, DISK_ROOT, "second", 6, &second), 0);
    assert_int_equal(disk_sync_all(disk), 0);
    calls = pc_disk_call_count(disk);
    pc_disk_defer_unlink(disk, calls, calls + 2);
    assert_int_equal(disk_unlink(disk, DISK_ROOT, "first", 5), 0);
    disk_after_call(disk);
    assert_int_equal(disk_write(disk, second, 0, "x", 1, false), 1);
    disk_after_call(disk);
    assert_int_equal(disk_unlink(disk, DISK_ROOT, "second", 6), 0);
    disk_after_call(disk);
    assert_int_equal(pc_disk_call_count(disk), calls + 1);
    assert_int_equal(disk_lookup(disk, DISK_ROOT, "first", 5, &found), 0);
    assert_int_equal(disk_sync(disk, second, false), 0);
    disk_after_call(disk);
    assert_int_equal(pc_disk_call_count(disk), calls + 4);
    assert_int_equal(pc_disk_call(disk, calls + 2)->kind, PC_CALL_UNLINK);
    assert_string_equal(pc_disk_call(disk, calls + 3)->path, "second");
    assert_int_equal(disk_lookup(disk, DISK_ROOT, "first", 5, &found), -ENOENT);
    assert_int_equal(disk_lookup(disk, DISK_ROOT, "second", 6, &found), -ENOENT);
    pc_disk_free(disk);
}

/* A sync of a range writes the pages that are there: what stood in a block before it was punched is
 * in none, so that it may be missing still. */
static void hole_in_a_synced_range(void **state)
{
    struct pc_disk *disk = new_disk(PC_EXT4_WRITEBACK);
    uint32_t f = create(disk, DISK_ROOT, "f");
    struct pc_image *image;
    uint32_t open = 0;

    put(disk, f, 0, "aaaabbbb");
    assert_int_equal(disk_punch(disk, f, 0, 8), 0);
    assert_int_equal(disk_msync(disk, f, 0, 8), 0);
    image = pc_image_new(disk, pc_disk_call_count(disk));
    for (uint32_t i = 0; i < pc_image_items(image); i++) {
        struct pc_item item;

        pc_image_item(image, i, &item);
        open += item.kind == PC_ITEM_DATA;
    }
    assert_int_equal(open, 2);
    pc_image_free(image);
    put(disk, f, 0, "cccc");
    assert_int_equal(disk_msync(disk, f, 0, 8), 0);
    disk = rebooted(disk);
    assert_string_equal(content(disk, lookup(disk, DISK_ROOT, "f")), "cccc....");
    pc_disk_free(disk);
}

/* Powersafe overwrite off: bytes that were synced and that nobody writes go with their unit. */
static void unsafe_overwrite(void **state)
{
    struct pc_disk_config config = {.model = PC_POSIX, .unit = 4, .block = 8, .destroys = true};
    struct pc_disk *disk = pc_disk_new(&config), *booted;
    uint32_t f = create(disk, DISK_ROOT, "f");
    struct pc_image *image;

    put(disk, f, 0, "aaaabbbb");
    assert_int_equal(disk_sync_all(disk), 0);
    put(disk, f, 1, "x");
    image = pc_image_new(disk, pc_disk_call_count(disk));
    assert_int_equal(pc_image_items(image), 2);
    pc_image_begin(image, NULL, PC_FILL_QUESTION_MARK);
    assert_true(pc_image_set(image, 0, true));
    assert_true(pc_image_set(image, 1, false));
    booted = pc_disk_boot(image);
    assert_string_equal(content(booted, f), "????bbbb");
    assert_true(pc_image_undefined_seen(image));
    pc_disk_free(booted);
    pc_image_free(image);
    assert_int_equal(disk_sync(disk, f, false), 0);
    image = pc_image_new(disk, pc_disk_call_count(disk));
    assert_int_equal(pc_image_items(image), 0);
    pc_image_free(image);
    pc_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),
        cmocka_unit_test(links_have_no_content),
        cmocka_unit_test(contents),
        cmocka_unit_test(truncated_tail_is_zero),
        cmocka_unit_test(names_and_calls),
        cmocka_unit_test(unlinked_file_lives_on),
        cmocka_unit_test(sync_of_a_nameless_file),
        cmocka_unit_test(listing_order),
        cmocka_unit_test(hash_of_a_run),
        cmocka_unit_test(steps),
        cmocka_unit_test(kinds_have_names),
        cmocka_unit_test(hard_links_over_boots),
        cmocka_unit_test(both_names_of_a_rename),
        cmocka_unit_test(directory_below_itself),
        cmocka_unit_test(nothing_beyond_the_end),
        cmocka_unit_test(mapping_without_size),
        cmocka_unit_test(new_block_is_written_whole),
        cmocka_unit_test(settled_disk_stands_alone),
        cmocka_unit_test(fills),
        cmocka_unit_test(reboot_reuses_memory),
        cmocka_unit_test(removals_that_wait),
        cmocka_unit_test(hole_in_a_synced_range),
        cmocka_unit_test(unsafe_overwrite),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
