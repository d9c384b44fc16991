/* exchange_test.c: what a power cut leaves of two names that changed places. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "exchange.h"

static struct pc_disk *disk;
static uint32_t sub; /* the directory d */

/* A disk on which a, b and d/c, with their names as content, are durable. */
static void begin(enum pc_model model)
{
    const struct pc_disk_config config = {.model = model, .unit = 512};
    uint32_t ino;

    disk = pc_disk_new(&config);
    assert_int_equal(disk_mkdir(disk, DISK_ROOT, "d", 1), 0);
    assert_int_equal(disk_lookup(disk, DISK_ROOT, "d", 1, &sub), 0);
    for (const char *name = "abc"; *name; name++) {
        assert_int_equal(disk_create(disk, *name == 'c' ? sub : DISK_ROOT, name, 1, &ino), 0);
        assert_int_equal(disk_write(disk, ino, 0, name, 1, false), 1);
    }
    assert_int_equal(disk_sync_all(disk), 0);
}

static void add_entry(void *ctx, const struct pc_entry *entry)
{
    char *text = ctx;
    size_t len = strlen(text);

    if (!entry->is_dir)
        snprintf(text + len, 100 - len, "%s=%.*s ", entry->path, (int)entry->size,
                 (const char *)entry->data);
}

static const char *content(struct pc_disk *of)
{
    static char text[100];

    text[0] = '\0';
    pc_disk_walk(of, add_entry, text);
    return text;
}

/* A set of items that is kept, by the bits of ctx; what is not open any more is passed over. */
static const char *image_content(struct pc_image *image, unsigned kept)
{
    struct pc_disk *booted;
    const char *text;

    pc_image_begin(image, NULL, PC_FILL_ZERO);
    for (uint32_t i = 0; i < pc_image_items(image); i++)
        (void)pc_image_set(image, i, kept >> i & 1);
    booted = pc_disk_boot(image);
    text = content(booted);
    pc_disk_free(booted);
    return text;
}

static void one_node_where_names_are_whole(void **state)
{
    static const enum pc_model models[] = {PC_PREFIX, PC_POSIX, PC_EXT4_ORDERED};

    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        struct pc_image *image;

        begin(models[i]);
        assert_int_equal(disk_exchange(disk, DISK_ROOT, "a", 1, sub, "c", 1), 0);
        assert_string_equal(content(disk), "a=c b=b d/c=a ");
        image = pc_image_new(disk, pc_disk_call_count(disk));
        assert_int_equal(pc_image_items(image), 1);
        assert_string_equal(image_content(image, 0), "a=a b=b d/c=c ");
        assert_string_equal(image_content(image, 1), "a=c b=b d/c=a ");
        pc_image_free(image);
        pc_disk_free(disk);
    }
}

static void one_node_per_entry_where_they_are_not(void **state)
{
    static const char *const legal[] = {"a=a b=b d/c=c ", "a=c b=b d/c=c ", "a=a b=b d/c=a ",
                                        "a=c b=b d/c=a "};
    struct pc_image *image;

    begin(PC_POSIX_MIN);
    assert_int_equal(disk_exchange(disk, DISK_ROOT, "a", 1, sub, "c", 1), 0);
    image = pc_image_new(disk, pc_disk_call_count(disk));
    assert_int_equal(pc_image_items(image), 2);
    for (unsigned kept = 0; kept < 4; kept++)
        assert_string_equal(image_content(image, kept), legal[kept]);
    pc_image_free(image);
    pc_disk_free(disk);
}

static void either_directory_makes_it_durable(void **state)
{
    static const enum pc_model models[] = {PC_POSIX, PC_EXT4_ORDERED};

    for (size_t i = 0; i < 4; i++) {
        struct pc_image *image;

        begin(models[i / 2]);
        assert_int_equal(disk_exchange(disk, DISK_ROOT, "a", 1, sub, "c", 1), 0);
        assert_int_equal(disk_sync(disk, i % 2 ? sub : DISK_ROOT, false), 0);
        image = pc_image_new(disk, pc_disk_call_count(disk));
        assert_int_equal(pc_image_items(image), 0);
        assert_string_equal(image_content(image, 0), "a=c b=b d/c=a ");
        pc_image_free(image);
        pc_disk_free(disk);
    }
}

static void directories_take_their_content_along(void **state)
{
    const struct pc_call *call;
    uint32_t ino;

    begin(PC_EXT4_ORDERED);
    assert_int_equal(disk_lookup(disk, sub, "c", 1, &ino), 0);
    assert_int_equal(disk_exchange(disk, DISK_ROOT, "d", 1, DISK_ROOT, "a", 1), 0);
    assert_string_equal(content(disk), "a/c=c b=b d=a ");
    assert_int_equal(disk_write(disk, ino, 0, "x", 1, false), 1);
    call = pc_disk_call(disk, pc_disk_call_count(disk) - 1);
    assert_string_equal(call->path, "a/c");
    call = pc_disk_call(disk, pc_disk_call_count(disk) - 2);
    assert_int_equal(call->kind, PC_CALL_RENAME);
    assert_string_equal(call->path, "d");
    assert_string_equal(call->to, "a");
    pc_disk_free(disk);
}

static void what_is_refused(void **state)
{
    struct pc_fault fault = {
        .kind = PC_FAULT_ENOSPC, .call = PC_CALL_RENAME, .file = "a", .nth = 1};
    size_t calls;

    begin(PC_EXT4_ORDERED);
    calls = pc_disk_call_count(disk);
    assert_int_equal(disk_exchange(disk, DISK_ROOT, "a", 1, DISK_ROOT, "x", 1), -ENOENT);
    assert_int_equal(disk_exchange(disk, DISK_ROOT, "x", 1, DISK_ROOT, "a", 1), -ENOENT);
    assert_int_equal(disk_exchange(disk, DISK_ROOT, "d", 1, sub, "c", 1), -EINVAL);
    assert_int_equal(disk_exchange(disk, sub, "c", 1, DISK_ROOT, "d", 1), -EINVAL);
    assert_int_equal(disk_exchange(disk, DISK_ROOT, "a", 1, DISK_ROOT, "a", 1), 0);
    assert_int_equal(pc_disk_call_count(disk), calls);
    pc_disk_add_fault(disk, &fault);
    assert_int_equal(disk_exchange(disk, DISK_ROOT, "a", 1, sub, "c", 1), -ENOSPC);
    assert_string_equal(content(disk), "a=a b=b d/c=c ");
    pc_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_node_where_names_are_whole),
        cmocka_unit_test(one_node_per_entry_where_they_are_not),
        cmocka_unit_test(either_directory_makes_it_durable),
        cmocka_unit_test(directories_take_their_content_along),
        cmocka_unit_test(what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
