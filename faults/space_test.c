/* space_test.c: accounts of free space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "fault_disk_test.h"

/* An account: what grows takes blocks, what goes gives them back. */
static void account_of_space(void **state)
{
    for (size_t m = 0; m < MODELS; m++) {
        struct pc_fault full = rule(PC_FAULT_FULL, PC_ANY_WRITE, "*", 1);
        struct pc_disk *disk = new_disk(models[m]);
        uint32_t a = file(disk, "a", "abc"), b = file(disk, "b", "");
        static uint8_t block[4096];

        full.room = 4096;
        pc_disk_add_fault(disk, &full);
        assert_int_equal(disk_write(disk, b, 0, block, 4096, false), 4096);
        assert_int_equal(put(disk, b, 4000, "within"), 6);
        assert_int_equal(disk_write(disk, a, 3, block, 4096, false), 4093);
        assert_int_equal(full.fired, 1); /* a had one block and gets no second: cut short there */
        assert_int_equal(put(disk, a, 4096, "x"), -ENOSPC);
        assert_int_equal(disk_allocate(disk, a, 0, 4097, false), -ENOSPC);
        assert_int_equal(disk_truncate(disk, a, 10), 0);
        disk_hold(disk, b);
        assert_int_equal(disk_unlink(disk, DISK_ROOT, "b", 1), 0);
        assert_int_equal(put(disk, a, 4096, "x"), -ENOSPC); /* somebody has it open */
        disk_drop(disk, b);
        full.error = EDQUOT;
        assert_int_equal(put(disk, a, 4096, "x"), 1);
        assert_int_equal(put(disk, a, 8192, "x"), -EDQUOT);
        assert_int_equal(disk_truncate(disk, a, 0), 0);
        assert_int_equal(put(disk, a, 4096, "x"), 1);
        pc_disk_free(disk);
    }
}

/* The same where space is found out at the sync: the pages are gone. */
static void account_that_is_late(void **state)
{
    struct pc_fault full = rule(PC_FAULT_FULL, PC_ANY_SYNC, "*", 1);
    struct pc_disk *disk = new_disk(PC_EXT4_ORDERED);
    uint32_t a = file(disk, "a", ""), b = file(disk, "b", "");
    static uint8_t block[8192];

    full.room = 8192;
    pc_disk_add_fault(disk, &full);
    assert_int_equal(disk_write(disk, a, 0, block, 8192, false), 8192);
    assert_int_equal(disk_sync(disk, a, true), 0);
    assert_int_equal(put(disk, b, 0, "late"), 4);
    assert_int_equal(full.fired, 0);
    assert_int_equal(disk_sync(disk, b, true), -ENOSPC);
    assert_int_equal(disk_sync(disk, b, true), 0); /* nothing is dirty any more */
    assert_int_equal(put(disk, b, 0, "more"), 4);
    assert_int_equal(disk_sync(disk, b, true), -ENOSPC);
    assert_int_equal(disk_unlink(disk, DISK_ROOT, "a", 1), 0);
    assert_int_equal(put(disk, b, 0, "room"), 4);
    assert_int_equal(disk_sync(disk, b, true), 0);
    assert_int_equal(full.fired, 2);
    pc_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(account_of_space),
        cmocka_unit_test(account_that_is_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
