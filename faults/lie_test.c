/* lie_test.c: what is in order on a disk that lies about its syncs, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fault_disk_test.h"

static const enum pc_model all[] = {PC_PREFIX,         PC_POSIX, PC_POSIX_MIN, PC_EXT4_ORDERED,
                                    PC_EXT4_WRITEBACK, PC_XFS,   PC_BTRFS};
#define ALL (sizeof all / sizeof all[0])

static uint32_t create(struct pc_disk *disk, const char *name)
{
    uint32_t ino = 0;

    assert_int_equal(disk_create(disk, DISK_ROOT, name, strlen(name), &ino), 0);
    return ino;
}

/* A sync of everything lies, once. */
static struct pc_fault lie(bool unordered)
{
    struct pc_fault fault = rule(PC_FAULT_LOSTSYNC, PC_CALL_SYNC, "*", 1);

    fault.unordered = unordered;
    return fault;
}

/* A journal keeps names in order, and a lie alone does not change that; one without order does. */
static void names(void **state)
{
    for (size_t i = 0; i < 2 * ALL; i++) {
        enum pc_model model = all[i / 2];
        bool chain = model == PC_PREFIX || model == PC_EXT4_ORDERED || model == PC_EXT4_WRITEBACK ||
                     model == PC_XFS || model == PC_BTRFS;
        struct pc_fault fault = lie(i % 2);
        struct pc_disk *disk = new_disk(model);

        pc_disk_add_fault(disk, &fault);
        create(disk, "a");
        create(disk, "b");
        assert_int_equal(disk_sync_all(disk), 0);
        assert_int_equal(fault.fired, 1);
        /* The lie is not told yet: the order holds. */
        assert_string_equal(contents_at(disk, "a b", 2), chain ? ",|,-|-,-|" : ",|,-|-,|-,-|");
        assert_string_equal(contents(disk, "a b"),
                            chain && i % 2 == 0 ? ",|,-|-,-|" : ",|,-|-,|-,-|");
        /* What comes after it is in order again, and an honest sync keeps all. */
        create(disk, "c");
        create(disk, "d");
        assert_string_equal(contents(disk, "c d"), chain ? ",|,-|-,-|" : ",|,-|-,|-,-|");
        assert_int_equal(disk_sync_all(disk), 0);
        assert_string_equal(contents(disk, "a b c d"), ",,,|");
        pc_disk_free(disk);
    }
}

/* A block that ext4 maps in data=ordered has its data. Not behind a device that lies so: it shows
 * what was there before. */
static void data_before_its_block(void **state)
{
    for (int unordered = 0; unordered < 2; unordered++) {
        struct pc_fault fault = lie(unordered);
        struct pc_disk *disk = new_disk(PC_EXT4_ORDERED);
        uint32_t f = file(disk, "f", "");

        pc_disk_add_fault(disk, &fault);
        put(disk, f, 0, "data");
        assert_int_equal(disk_sync_all(disk), 0);
        assert_string_equal(contents(disk, "f"), unordered ? "|....|????|data|" : "|....|data|");
        pc_disk_free(disk);
    }
}

/* Versions of one place stay in order: an old name does not come back over a newer one, and a sync
 * that came before the lie still holds. */
static void one_place(void **state)
{
    for (size_t m = 0; m < ALL; m++) {
        struct pc_fault fault = lie(true);
        struct pc_disk *disk = new_disk(all[m]);
        uint32_t f = file(disk, "f", "one1");

        put(disk, f, 0, "two2");
        assert_int_equal(disk_sync(disk, f, true), 0);
        pc_disk_add_fault(disk, &fault);
        put(disk, f, 0, "thr3");
        put(disk, f, 0, "fou4");
        assert_int_equal(disk_sync_all(disk), 0);
        assert_string_equal(contents(disk, "f"), "fou4|thr3|two2|");
        assert_int_equal(disk_unlink(disk, DISK_ROOT, "f", 1), 0);
        create(disk, "f");
        pc_disk_clear_faults(disk);
        assert_int_equal(disk_sync_all(disk), 0);
        assert_string_equal(contents(disk, "f"), "|");
        pc_disk_free(disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(data_before_its_block),
        cmocka_unit_test(one_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
