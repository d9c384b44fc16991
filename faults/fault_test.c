/* fault_test.c: when a fault fires, and what it leaves in the cache and on the disk. */
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
#include "fault_disk_test.h"

/* ---- when a rule fires ---- */

static void nth_of_its_kind(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_fault third = rule(PC_FAULT_EIO, PC_CALL_WRITE, "*.log", 3);
    struct pc_fault second = rule(PC_FAULT_ENOSPC, PC_CALL_WRITE, "*", 2);
    uint32_t a = file(disk, "a.log", ""), b = file(disk, "b.sst", "");

    pc_disk_add_fault(disk, &third);
    pc_disk_add_fault(disk, &second);
    assert_int_equal(put(disk, a, 0, "1"), 1);       /* third: 1, second: 1 */
    assert_int_equal(put(disk, b, 0, "2"), -ENOSPC); /* second: 2 */
    assert_int_equal(disk_sync(disk, a, false), 0);
    assert_int_equal(disk_truncate(disk, a, 9), 0);
    assert_int_equal(put(disk, a, 0, "3"), 1);
    assert_int_equal(put(disk, a, 0, "4"), -EIO);
    assert_int_equal(put(disk, a, 0, "5"), 1);
    assert_int_equal(third.seen, 4);
    assert_int_equal(third.fired, 1);
    assert_int_equal(second.seen, 5);
    assert_int_equal(second.fired, 1);
    pc_disk_clear_faults(disk);
    assert_int_equal(put(disk, a, 0, "6"), 1);
    assert_int_equal(third.seen, 4);
    pc_disk_free(disk);
}

/* What cannot happen to a call has not fired on it, and stands in no other rule's way. */
static void rules_that_do_not_fit(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_fault halves = rule(PC_FAULT_SHORT, PC_CALL_WRITE, "*", 1);
    struct pc_fault lies = rule(PC_FAULT_LOSTSYNC, PC_CALL_WRITE, "*", 1);
    struct pc_fault fails = rule(PC_FAULT_EIO, PC_CALL_WRITE, "*", 1);
    struct pc_fault sync = rule(PC_FAULT_SHORT, PC_CALL_FSYNC, "*", 1);
    uint32_t f = file(disk, "f", "");

    pc_disk_add_fault(disk, &halves);
    pc_disk_add_fault(disk, &lies);
    pc_disk_add_fault(disk, &fails);
    pc_disk_add_fault(disk, &sync);
    assert_int_equal(put(disk, f, 0, "1"), -EIO); /* one byte has no half, and nothing was synced */
    assert_int_equal(disk_sync(disk, f, false), 0);
    assert_int_equal(halves.seen, 1);
    assert_int_equal(halves.fired, 0);
    assert_int_equal(lies.fired, 0);
    assert_int_equal(fails.fired, 1);
    assert_int_equal(sync.seen, 1);
    assert_int_equal(sync.fired, 0);
    halves = rule(PC_FAULT_SHORT, PC_CALL_WRITE, "*", 1);
    lies = rule(PC_FAULT_LOSTSYNC, PC_CALL_WRITE, "*", 2);
    assert_int_equal(put(disk, f, 0, "12"), 1);
    assert_int_equal(disk_write(disk, f, 0, "1", 1, true), 1);
    assert_int_equal(halves.fired, 1);
    assert_int_equal(lies.fired, 1);
    assert_string_equal(contents(disk, "f"), "|1|?|");
    pc_disk_free(disk);
}

/* One call of the kind, which changes something. */
static int perform(struct pc_disk *disk, enum pc_call_kind call, uint32_t f)
{
    uint32_t ino;

    switch (call) {
    case PC_CALL_CREATE:
        return disk_create(disk, DISK_ROOT, "new", 3, &ino);
    case PC_CALL_MKDIR:
        return disk_mkdir(disk, DISK_ROOT, "new", 3);
    case PC_CALL_WRITE:
        return put(disk, f, 2, "abcd");
    case PC_CALL_TRUNCATE:
        return disk_truncate(disk, f, 2);
    case PC_CALL_ALLOCATE:
        return disk_allocate(disk, f, 0, 9, false);
    case PC_CALL_LINK:
        return disk_link(disk, f, DISK_ROOT, "new", 3);
    case PC_CALL_SYMLINK:
        return disk_symlink(disk, DISK_ROOT, "new", 3, "f");
    case PC_CALL_UNLINK:
        return disk_unlink(disk, DISK_ROOT, "f", 1);
    case PC_CALL_RMDIR:
        return disk_rmdir(disk, DISK_ROOT, "d", 1);
    default:
        return disk_rename(disk, DISK_ROOT, "f", 1, DISK_ROOT, "new", 3);
    }
}

static size_t items(struct pc_disk *disk)
{
    struct pc_image *image = pc_image_new(disk, pc_disk_call_count(disk));
    size_t count = pc_image_items(image);

    pc_image_free(image);
    return count;
}

/* Every call that can be refused is, leaves no trace but itself, and works the next time. */
static void refused_calls(void **state)
{
    static const enum pc_call_kind calls[] = {
        PC_CALL_CREATE, PC_CALL_MKDIR,  PC_CALL_WRITE, PC_CALL_TRUNCATE, PC_CALL_ALLOCATE,
        PC_CALL_LINK,   PC_CALL_UNLINK, PC_CALL_RMDIR, PC_CALL_RENAME,   PC_CALL_SYMLINK};
    static const enum pc_fault_kind kinds[] = {PC_FAULT_EIO, PC_FAULT_ENOSPC, PC_FAULT_EINTR};
    static const int errors[] = {-EIO, -ENOSPC, -EINTR};

    for (size_t i = 0; i < sizeof calls / sizeof calls[0] * 3; i++) {
        enum pc_call_kind call = calls[i / 3];
        struct pc_disk *disk = new_disk(models[i % MODELS]);
        struct pc_fault fault = rule(kinds[i % 3], call, "*", 1);
        uint32_t f = file(disk, "f", "text"), ino;
        size_t count;

        assert_int_equal(disk_mkdir(disk, DISK_ROOT, "d", 1), 0);
        assert_int_equal(disk_sync_all(disk), 0);
        count = pc_disk_call_count(disk);
        pc_disk_add_fault(disk, &fault);
        assert_int_equal(perform(disk, call, f), errors[i % 3]);
        assert_int_equal(pc_disk_call_count(disk), count + 1);
        assert_int_equal(pc_disk_call(disk, count)->flags, PC_CALL_FAILED);
        assert_int_equal(items(disk), 0);
        assert_string_equal(content(disk, f), "text");
        assert_int_equal(disk_lookup(disk, DISK_ROOT, "new", 3, &ino), -ENOENT);
        assert_int_equal(disk_lookup(disk, DISK_ROOT, "f", 1, &ino), 0);
        assert_int_equal(disk_lookup(disk, DISK_ROOT, "d", 1, &ino), 0);
        assert_int_equal(perform(disk, call, f), call == PC_CALL_WRITE ? 4 : 0);
        assert_int_equal(pc_disk_call_count(disk), count + 2);
        assert_int_equal(pc_disk_call(disk, count + 1)->flags, 0);
        assert_true(items(disk) > 0);
        assert_int_equal(fault.fired, 1);
        pc_disk_free(disk);
    }
}

static void short_write(void **state)
{
    for (size_t m = 0; m < MODELS; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_SHORT, PC_CALL_WRITE, "f", 1);
        uint32_t f = file(disk, "f", "........");
        const struct pc_call *call;

        pc_disk_add_fault(disk, &fault);
        assert_int_equal(put(disk, f, 1, "abcde"), 2);
        assert_string_equal(content(disk, f), ".ab.....");
        call = pc_disk_call(disk, pc_disk_call_count(disk) - 1);
        assert_int_equal(call->flags, PC_CALL_SHORT);
        assert_int_equal(call->length, 5);
        assert_int_equal(call->done, 2);
        assert_int_equal(put(disk, f, 3, "cde"), 3);
        assert_int_equal(disk_sync(disk, f, true), 0);
        assert_string_equal(contents(disk, "f"), ".abcde..|");
        pc_disk_free(disk);
    }
}

/* ---- a sync that fails ---- */

static void failed_overwrite(void **state)
{
    for (size_t m = 0; m < KEEPING; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_FSYNC, "f", 1);
        uint32_t f = file(disk, "f", "oldoOLDO");

        pc_disk_add_fault(disk, &fault);
        put(disk, f, 0, "new");
        assert_string_equal(contents(disk, "f"), "newoOLDO|oldoOLDO|");
        assert_int_equal(disk_sync(disk, f, false), -EIO);
        assert_string_equal(content(disk, f), "newoOLDO"); /* clean in the cache */
        assert_string_equal(contents(disk, "f"), "oldoOLDO|");
        assert_int_equal(disk_sync(disk, f, false), 0); /* and nothing is written again */
        assert_int_equal(disk_sync_all(disk), 0);
        assert_string_equal(content(disk, f), "newoOLDO");
        assert_string_equal(contents(disk, "f"), "oldoOLDO|");
        put(disk, f, 3, "X"); /* the whole unit is dirty again */
        assert_string_equal(contents(disk, "f"), "newXOLDO|oldoOLDO|");
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_string_equal(contents(disk, "f"), "newXOLDO|");
        pc_disk_free(disk);
    }
}

/* The same bytes once more: the unit does hold them, but they were lost, so they are written. */
static void same_bytes_again(void **state)
{
    for (size_t m = 0; m < MODELS; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_FDATASYNC, "*", 1);
        uint32_t f = file(disk, "f", "oldo");

        pc_disk_add_fault(disk, &fault);
        put(disk, f, 0, "newn");
        assert_int_equal(disk_sync(disk, f, true), -EIO);
        put(disk, f, 0, "newn");
        assert_int_equal(disk_sync(disk, f, true), 0);
        assert_string_equal(contents(disk, "f"), "newn|");
        pc_disk_free(disk);
    }
}

static void failed_append(void **state)
{
    for (size_t m = 0; m < KEEPING; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_FSYNC, "*", 1);
        uint32_t f = file(disk, "f", "oldo");

        pc_disk_add_fault(disk, &fault);
        put(disk, f, 4, "new!");
        assert_int_equal(disk_sync(disk, f, false), -EIO);
        assert_string_equal(content(disk, f), "oldonew!");
        /* Size and mapping were written, the data was not; in steps nothing was forced. */
        assert_string_equal(contents(disk, "f"),
                            models[m] == PC_PREFIX ? "oldo|oldo????|" : "oldo????|");
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_string_equal(contents(disk, "f"), "oldo????|");
        put(disk, f, 4, "N");
        put(disk, f, 5, "ew!");
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_string_equal(contents(disk, "f"), "oldoNew!|");
        pc_disk_free(disk);
    }
}

/* Background writeback may have stored an older version; the failure loses the newest only. */
static void older_versions_stay(void **state)
{
    for (size_t m = 1; m < KEEPING; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_FSYNC, "*", 1);
        uint32_t f = file(disk, "f", "1111");

        pc_disk_add_fault(disk, &fault);
        put(disk, f, 0, "2222");
        put(disk, f, 0, "3333");
        assert_string_equal(contents(disk, "f"), "1111|2222|3333|");
        assert_int_equal(disk_sync(disk, f, false), -EIO);
        assert_string_equal(contents(disk, "f"), "1111|2222|");
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_string_equal(contents(disk, "f"), "1111|2222|");
        assert_string_equal(content(disk, f), "3333");
        put(disk, f, 0, "4");
        assert_string_equal(contents(disk, "f"), "1111|2222|4333|");
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_string_equal(contents(disk, "f"), "4333|");
        /* before the failure everything was still possible */
        assert_string_equal(contents_at(disk, "f", pc_disk_call_count(disk) - 4),
                            "1111|2222|3333|");
        pc_disk_free(disk);
    }
}

/* A block that was mapped without its data is undefined, but only until it is written. */
static void undefined_until_written(void **state)
{
    struct pc_disk *disk = new_disk(PC_EXT4_ORDERED);
    struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_FSYNC, "*", 1);
    uint32_t f = file(disk, "f", "");

    pc_disk_add_fault(disk, &fault);
    put(disk, f, 0, "ab");
    assert_int_equal(disk_sync(disk, f, false), -EIO);
    assert_string_equal(contents(disk, "f"), "??|");
    put(disk, f, 0, "c");
    assert_int_equal(disk_truncate(disk, f, 4), 0);
    assert_int_equal(disk_sync(disk, f, false), 0);
    assert_string_equal(contents(disk, "f"), "cb..|");
    assert_int_equal(disk_truncate(disk, f, 0), 0);
    put(disk, f, 1, "d");
    assert_int_equal(disk_truncate(disk, f, 3), 0);
    assert_int_equal(disk_sync(disk, f, false), 0);
    assert_string_equal(contents(disk, "f"), ".d.|");
    pc_disk_free(disk);
}

/* A step may hold several units (a gap is filled with zeros); each is lost for itself. */
static void failed_steps(void **state)
{
    struct pc_disk *disk = new_disk(PC_PREFIX);
    struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_FSYNC, "*", 1);
    uint32_t f = file(disk, "f", "aaaa");

    pc_disk_add_fault(disk, &fault);
    put(disk, f, 9, "x");
    put(disk, f, 4, "b");
    assert_int_equal(disk_sync(disk, f, false), -EIO);
    assert_string_equal(content(disk, f), "aaaab....x");
    assert_int_equal(disk_sync(disk, f, false), 0);
    assert_string_equal(contents(disk, "f"), "aaaa....??|");
    put(disk, f, 8, "y");
    assert_int_equal(disk_sync(disk, f, false), 0);
    assert_string_equal(contents(disk, "f"), "aaaa....yx|");
    pc_disk_free(disk);
}

/* ENOSPC and EINTR of a sync: nothing was forced and nothing dropped. */
static void sync_state_unknown(void **state)
{
    for (size_t i = 0; i < 2 * MODELS; i++) {
        struct pc_disk *disk = new_disk(models[i / 2]);
        struct pc_fault fault =
            rule(i % 2 ? PC_FAULT_EINTR : PC_FAULT_ENOSPC, PC_CALL_FSYNC, "*", 1);
        uint32_t f = file(disk, "f", "oldo");

        pc_disk_add_fault(disk, &fault);
        put(disk, f, 0, "newn");
        assert_int_equal(disk_sync(disk, f, false), i % 2 ? -EINTR : -ENOSPC);
        assert_string_equal(contents(disk, "f"), "newn|oldo|");
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_string_equal(contents(disk, "f"), "newn|");
        pc_disk_free(disk);
    }
}

/* A directory has no pages: names are not dropped, and the next sync makes them durable. */
static void failed_directory_sync(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_FSYNC, "*", 1);
    uint32_t ino;

    pc_disk_add_fault(disk, &fault);
    assert_int_equal(disk_create(disk, DISK_ROOT, "f", 1, &ino), 0);
    assert_int_equal(disk_sync(disk, DISK_ROOT, false), -EIO);
    assert_string_equal(contents(disk, "f"), "|-|"); /* empty, or missing */
    assert_int_equal(disk_sync(disk, DISK_ROOT, false), 0);
    assert_string_equal(contents(disk, "f"), "|");
    pc_disk_free(disk);
}

/* msync fails for its range only. */
static void failed_msync(void **state)
{
    for (size_t m = 1; m < KEEPING; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_MSYNC, "*", 1);
        uint32_t f = file(disk, "f", "aaaabbbb");

        pc_disk_add_fault(disk, &fault);
        assert_int_equal(disk_store(disk, f, 0, "AAAABBBB", 8), 0);
        assert_int_equal(disk_msync(disk, f, 0, 4), -EIO);
        assert_int_equal(disk_msync(disk, f, 0, 4), 0);
        assert_string_equal(contents(disk, "f"), "aaaaBBBB|aaaabbbb|");
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_string_equal(contents(disk, "f"), "aaaaBBBB|");
        pc_disk_free(disk);
    }
}

/* btrfs: nothing of the update is kept, neither in the cache nor of the size. */
static void goes_back(void **state)
{
    struct pc_disk *disk = new_disk(PC_BTRFS);
    struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_FSYNC, "*", 2);
    uint32_t f = file(disk, "f", "aaaabbbb");

    pc_disk_add_fault(disk, &fault);
    put(disk, f, 0, "1111");
    assert_int_equal(disk_sync(disk, f, false), 0);
    put(disk, f, 4, "2222");
    put(disk, f, 4, "3333");
    put(disk, f, 8, "4444");
    assert_string_equal(content(disk, f), "111133334444");
    assert_int_equal(disk_sync(disk, f, false), -EIO);
    assert_string_equal(content(disk, f), "1111bbbb");
    assert_string_equal(contents(disk, "f"), "1111bbbb|");
    assert_int_equal(disk_sync(disk, f, false), 0);
    put(disk, f, 8, "55");
    put(disk, f, 16, "66");
    assert_string_equal(content(disk, f), "1111bbbb55......66");
    assert_int_equal(disk_sync(disk, f, false), 0);
    assert_string_equal(contents(disk, "f"), "1111bbbb55......66|");
    pc_disk_free(disk);
}

/* A truncation is the file system's own and stays; what was written after it does not. */
static void goes_back_to_a_truncation(void **state)
{
    struct pc_disk *disk = new_disk(PC_BTRFS);
    struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_FSYNC, "*", 1);
    uint32_t f = file(disk, "f", "aaaabbbbcccc");

    pc_disk_add_fault(disk, &fault);
    assert_int_equal(disk_truncate(disk, f, 4), 0);
    put(disk, f, 4, "NNNN");
    assert_int_equal(disk_sync(disk, f, false), -EIO);
    assert_string_equal(content(disk, f), "aaaa");
    assert_string_equal(contents(disk, "f"), "aaaa|aaaabbbbcccc|");
    assert_int_equal(disk_truncate(disk, f, 12), 0);
    assert_int_equal(disk_sync(disk, f, false), 0);
    assert_string_equal(contents(disk, "f"), "aaaa........|");
    assert_string_equal(content(disk, f), "aaaa........");
    pc_disk_free(disk);
}

/* ---- who is told ---- */

/* A description that was open gets the error once; one that was opened later gets it if nobody has
 * seen it. The others write what is dirty then, but for btrfs. */
static void who_is_told(void **state)
{
    for (size_t m = 0; m < MODELS; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_FSYNC, "*", 1);
        uint32_t f = file(disk, "f", "oldo"), one = disk_errors(disk, f), two = one, late;

        pc_disk_add_fault(disk, &fault);
        put(disk, f, 0, "newn");
        assert_int_equal(disk_sync_as(disk, f, false, &one), -EIO);
        late = disk_errors(disk, f);
        assert_int_equal(disk_sync_as(disk, f, false, &one), 0);
        assert_int_equal(disk_sync_as(disk, f, false, &late), 0);
        put(disk, f, 0, "more");
        assert_int_equal(disk_sync_as(disk, f, true, &two), -EIO);
        assert_string_equal(contents(disk, "f"), models[m] == PC_BTRFS ? "more|oldo|" : "more|");
        assert_int_equal(disk_sync_as(disk, f, true, &two), 0);
        assert_string_equal(contents(disk, "f"), "more|");
        pc_disk_free(disk);
    }
}

/* Writing back fails in the background: only a sync tells, and who opens before it is told, too. */
static void silent_failure(void **state)
{
    for (size_t m = 0; m < MODELS; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_SILENT, PC_CALL_WRITE, "*", 1);
        uint32_t f = file(disk, "f", "oldo"), one = disk_errors(disk, f), late;
        bool back = models[m] == PC_BTRFS;

        pc_disk_add_fault(disk, &fault);
        assert_int_equal(put(disk, f, 0, "newn"), 4);
        assert_string_equal(content(disk, f), back ? "oldo" : "newn");
        assert_string_equal(contents(disk, "f"), "oldo|");
        late = disk_errors(disk, f);
        assert_int_equal(disk_write_as(disk, f, 0, "dsyn", 4, true, &one), -EIO);
        assert_string_equal(content(disk, f), back ? "oldo" : "newn"); /* and wrote nothing */
        assert_int_equal(disk_errors(disk, f), late + 1); /* told: who opens now is not */
        assert_int_equal(disk_tell(disk, f, &late), -EIO);
        assert_int_equal(disk_tell(disk, f, &late), 0);
        assert_int_equal(disk_write_as(disk, f, 0, "dsyn", 4, true, &one), 4);
        assert_string_equal(contents(disk, "f"), "dsyn|");
        pc_disk_free(disk);
    }
}

static void bad_unit(void **state)
{
    for (size_t m = 0; m < MODELS; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_STICKY, PC_CALL_FSYNC, "*", 1);
        uint32_t f = file(disk, "f", "aaaabbbb"), one = disk_errors(disk, f);

        pc_disk_add_fault(disk, &fault);
        put(disk, f, 0, "1111");
        assert_int_equal(disk_sync_as(disk, f, false, &one), -EIO);
        put(disk, f, 4, "2222"); /* another unit can be written */
        assert_int_equal(disk_sync_as(disk, f, false, &one), 0);
        assert_string_equal(contents(disk, "f"), "aaaa2222|");
        put(disk, f, 0, "3333");
        assert_int_equal(disk_sync_as(disk, f, true, &one), -EIO);
        assert_int_equal(disk_write(disk, f, 0, "4444", 4, true), -EIO);
        assert_int_equal(disk_tell(disk, f, &one), -EIO);
        assert_int_equal(disk_sync_as(disk, f, true, &one), 0);
        assert_string_equal(contents(disk, "f"), "aaaa2222|");
        assert_int_equal(fault.fired, 1);
        pc_disk_free(disk);
    }
}

/* The journal cannot be written: nothing changes any more, what is there can be read. */
static void journal_failure(void **state)
{
    for (size_t m = 0; m < MODELS; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_METADATA, PC_CALL_RENAME, "*", 1);
        uint32_t f = file(disk, "f", "oldo"), g;

        pc_disk_add_fault(disk, &fault);
        put(disk, f, 0, "newn");
        assert_int_equal(disk_rename(disk, DISK_ROOT, "f", 1, DISK_ROOT, "g", 1), -EIO);
        assert_int_equal(disk_create(disk, DISK_ROOT, "g", 1, &g), -EROFS);
        assert_int_equal(put(disk, f, 0, "more"), -EROFS);
        assert_int_equal(disk_truncate(disk, f, 0), -EROFS);
        assert_int_equal(disk_sync(disk, f, false), -EROFS);
        assert_int_equal(disk_sync_all(disk), -EROFS);
        assert_string_equal(content(disk, f), "newn");
        assert_string_equal(contents(disk, "f"), "newn|oldo|");
        pc_disk_clear_faults(disk);
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_string_equal(contents(disk, "f"), "newn|");
        pc_disk_free(disk);
    }
}

/* ---- a sync that lies ---- */

static void lost_sync(void **state)
{
    for (size_t i = 0; i < 5 * MODELS; i++) {
        static const enum pc_call_kind calls[] = {PC_CALL_FSYNC, PC_CALL_FDATASYNC, PC_CALL_SYNC,
                                                  PC_CALL_MSYNC, PC_CALL_WRITE};
        enum pc_call_kind call = calls[i % 5];
        struct pc_disk *disk = new_disk(models[i / 5]);
        struct pc_fault fault = rule(PC_FAULT_LOSTSYNC, call, "*", 1);
        uint32_t f = file(disk, "f", "oldo");

        put(disk, f, 0, "tmp1");
        pc_disk_add_fault(disk, &fault);
        for (int again = 0; again < 2; again++) {
            int got = 0;

            if (call == PC_CALL_SYNC)
                got = disk_sync_all(disk);
            else if (call == PC_CALL_MSYNC)
                got = disk_msync(disk, f, 0, 4);
            else if (call == PC_CALL_WRITE)
                got = disk_write(disk, f, 0, "tmp1", 4, true) == 4 ? 0 : -1;
            else
                got = disk_sync(disk, f, call == PC_CALL_FDATASYNC);
            assert_int_equal(got, 0);
            assert_string_equal(contents(disk, "f"), again ? "tmp1|" : "oldo|tmp1|");
            if (!again)
                assert_true(pc_disk_call(disk, pc_disk_call_count(disk) - 1)->flags & PC_CALL_LIED);
            assert_int_equal(pc_disk_is_frontier(disk, pc_disk_call_count(disk) - 1), again);
        }
        assert_int_equal(fault.fired, 1);
        pc_disk_free(disk);
    }
}

/* Where writing back fails in the background and takes older writes with it, what could be there
 * before cannot be there after: the point before is one to look at. */
static void older_writes_go_along(void **state)
{
    for (size_t m = 0; m < MODELS; m++) {
        struct pc_disk *disk = new_disk(models[m]);
        struct pc_fault fault = rule(PC_FAULT_SILENT, PC_CALL_WRITE, "*", 1);
        uint32_t f = file(disk, "f", "oldooldo");
        size_t count;

        put(disk, f, 0, "new1");
        pc_disk_add_fault(disk, &fault);
        count = pc_disk_call_count(disk);
        put(disk, f, 4, "new2");
        assert_int_equal(fault.fired, 1);
        assert_int_equal(pc_disk_is_frontier(disk, count), models[m] == PC_BTRFS);
        put(disk, f, 0, "new3");
        assert_false(pc_disk_is_frontier(disk, count + 1));
        pc_disk_free(disk);
    }
}

/* ---- reads that fail or are wrong ---- */

/* What one read of the file answers when the rule meets it, and what the next one does. */
static void expect_reads(enum pc_fault_kind kind, const char *first, const char *then)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_fault fault = rule(kind, PC_CALL_READ, "f", 1);
    uint32_t f = file(disk, "f", "aaaa");
    char buf[8] = "";

    put(disk, f, 0, "bbbb");
    put(disk, f, 4, "cccc");
    pc_disk_add_fault(disk, &fault);
    if (first)
        assert_int_equal(disk_read(disk, f, 0, buf, 4), 4);
    else
        assert_int_equal(disk_read(disk, f, 0, buf, 4), -EIO);
    if (first)
        assert_memory_equal(buf, first, 4);
    assert_int_equal(fault.fired, 1);
    if (then) {
        assert_int_equal(disk_read(disk, f, 0, buf, 4), 4);
        assert_memory_equal(buf, then, 4);
    } else {
        assert_int_equal(disk_read(disk, f, 2, buf, 4), -EIO);
    }
    assert_int_equal(disk_read(disk, f, 4, buf, 4), 4); /* the other unit is well */
    assert_memory_equal(buf, "cccc", 4);
    assert_string_equal(contents(disk, "f"), "aaaa|aaaa????|aaaacccc|bbbb|bbbb????|bbbbcccc|");
    put(disk, f, 1, "x"); /* written as a whole, from what was meant to be there */
    assert_int_equal(disk_read(disk, f, 0, buf, 4), 4);
    assert_memory_equal(buf, "bxbb", 4);
    pc_disk_free(disk);
}

static void damaged_reads(void **state)
{
    expect_reads(PC_FAULT_LATENT, NULL, NULL);
    expect_reads(PC_FAULT_EIO, NULL, "bbbb");
    expect_reads(PC_FAULT_ZEROED, "\0\0\0\0", "\0\0\0\0");
    expect_reads(PC_FAULT_STALE, "aaaa", "aaaa");
    expect_reads(PC_FAULT_MISREAD, "cccc", "bbbb");
}

static void one_bit(void **state)
{
    for (int lasts = 0; lasts < 2; lasts++) {
        struct pc_disk *disk = new_disk(PC_POSIX);
        struct pc_fault fault = rule(lasts ? PC_FAULT_BITROT : PC_FAULT_FLIP, PC_CALL_READ, "f", 1);
        uint32_t f = file(disk, "f", "aaaa");
        int bits = 0;
        char buf[4];

        pc_disk_add_fault(disk, &fault);
        assert_int_equal(disk_read(disk, f, 0, buf, 4), 4);
        for (int i = 0; i < 32; i++)
            bits += (buf[i / 8] ^ 'a') >> i % 8 & 1;
        assert_int_equal(bits, 1);
        assert_int_equal(disk_read(disk, f, 0, buf, 4), 4);
        assert_int_equal(memcmp(buf, "aaaa", 4) != 0, lasts);
        pc_disk_lift_damage(disk);
        assert_string_equal(content(disk, f), "aaaa");
        pc_disk_free(disk);
    }
}

static void damaging_writes(void **state)
{
    static const struct {
        enum pc_fault_kind kind;
        const char *reads;
    } cases[] = {{PC_FAULT_SHORN, "BBaabbbb"}, {PC_FAULT_MISWRITE, "aaaaBBBB"}};

    for (size_t i = 0; i < 2; i++) {
        struct pc_disk *disk = new_disk(PC_POSIX);
        struct pc_fault fault = rule(cases[i].kind, PC_CALL_WRITE, "f", 1);
        uint32_t f = file(disk, "f", "aaaabbbb");

        pc_disk_add_fault(disk, &fault);
        put(disk, f, 0, "BBBB");
        assert_string_equal(content(disk, f), cases[i].reads);
        assert_int_equal(disk_sync(disk, f, false), 0);
        assert_string_equal(content(disk, f), cases[i].reads);
        pc_disk_lift_damage(disk);
        assert_string_equal(content(disk, f), "BBBBbbbb");
        pc_disk_free(disk);
    }
}

/* ---- errors from the table ---- */

static void errors_by_name(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_fault quota = rule(PC_FAULT_ERROR, PC_ANY_NAME, "*", 2);
    struct pc_fault late = rule(PC_FAULT_ERROR, PC_CALL_FSYNC, "f", 1);
    struct pc_fault open = rule(PC_FAULT_ERROR, PC_CALL_OPEN, "f", 1);
    uint32_t f = file(disk, "f", "oldo"), one = disk_errors(disk, f), g;

    quota.error = EDQUOT;
    late.error = ENOSPC;
    open.error = EMFILE;
    pc_disk_add_fault(disk, &quota);
    pc_disk_add_fault(disk, &late);
    pc_disk_add_fault(disk, &open);
    assert_int_equal(disk_create(disk, DISK_ROOT, "g", 1, &g), 0);
    assert_int_equal(disk_create(disk, DISK_ROOT, "h", 1, &g), -EDQUOT);
    put(disk, f, 0, "newn");
    assert_int_equal(disk_sync_as(disk, f, false, &one), -ENOSPC); /* allocated too late */
    assert_string_equal(contents(disk, "f"), "oldo|");
    assert_int_equal(disk_ask(disk, PC_CALL_CLOSE, f), 0);
    assert_int_equal(disk_ask(disk, PC_CALL_OPEN, f), -EMFILE);
    assert_int_equal(disk_ask(disk, PC_CALL_OPEN, f), 0);
    pc_disk_free(disk);
}

static void error_table(void **state)
{
    for (int call = 0; call < PC_CALL_KINDS; call++)
        for (uint32_t i = 0; pc_errno_of((enum pc_call_kind)call, i); i++) {
            int error = pc_errno_of((enum pc_call_kind)call, i), same;

            assert_true(pc_errno_legal((enum pc_call_kind)call, error));
            assert_true(pc_errno_legal(PC_ANY_CALL, error));
            assert_true(pc_errno_from_name(pc_errno_name(error), &same));
            assert_int_equal(same, error);
        }
    assert_false(pc_errno_legal(PC_CALL_OPEN, ENOSPC));
    assert_false(pc_errno_legal(PC_CALL_WRITE, EMFILE));
    assert_false(pc_errno_legal(PC_CALL_STORE, EIO));
}

static void one_in_so_many(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_WRITE, "*", 1);
    uint32_t f = file(disk, "f", ""), failed = 0;

    fault.rate = 4;
    fault.times = PC_FOREVER;
    pc_disk_add_fault(disk, &fault);
    for (int i = 0; i < 1000; i++)
        failed += put(disk, f, 0, "aaaa") < 0;
    assert_int_equal(failed, fault.fired);
    assert_in_range(failed, 200, 300);
    pc_disk_free(disk);
}

/* ---- for a while, and for ever ---- */

static void for_a_while(void **state)
{
    static const uint32_t times[] = {0, 1, 3, PC_FOREVER};

    for (size_t t = 0; t < 4; t++) {
        struct pc_disk *disk = new_disk(PC_POSIX);
        struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_WRITE, "f", 2);
        uint32_t f = file(disk, "f", ""), g = file(disk, "g", ""), failed = 0;

        fault.times = times[t];
        pc_disk_add_fault(disk, &fault);
        for (uint32_t i = 1; i <= 9; i++) {
            int got = put(disk, f, 0, "aaaa");

            assert_int_equal(put(disk, g, 0, "aaaa"), 4); /* another file counts nothing */
            assert_true(got == 4 || got == -EIO);
            failed += got < 0;
            assert_int_equal(got < 0, i >= 2 && i - 2 < (times[t] ? times[t] : 1));
        }
        assert_int_equal(fault.fired, failed);
        assert_int_equal(fault.seen, 9);
        pc_disk_free(disk);
    }
}

/* A rule that never fires stays so, however long it would last. */
static void never(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_fault fault = rule(PC_FAULT_EIO, PC_ANY_CALL, "*", 0);
    uint32_t f;

    fault.times = PC_FOREVER;
    pc_disk_add_fault(disk, &fault);
    f = file(disk, "f", "aaaa");
    assert_int_equal(disk_sync(disk, f, false), 0);
    assert_int_equal(fault.seen, 4);
    assert_int_equal(fault.fired, 0);
    pc_disk_free(disk);
}

static void classes(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_fault lie = rule(PC_FAULT_LOSTSYNC, PC_ANY_SYNC, "*", 2);
    struct pc_fault names = rule(PC_FAULT_EIO, PC_ANY_NAME, "*", 2);
    uint32_t f = file(disk, "f", "old1"), g;

    lie.times = names.times = PC_FOREVER;
    pc_disk_add_fault(disk, &lie);
    pc_disk_add_fault(disk, &names);
    put(disk, f, 0, "new2");
    assert_int_equal(disk_sync(disk, f, true), 0);
    assert_string_equal(contents(disk, "f"), "new2|");
    assert_int_equal(disk_write(disk, f, 0, "lost", 4, true), 4); /* O_DSYNC is a sync, too */
    assert_int_equal(disk_sync(disk, f, false), 0);
    assert_int_equal(disk_sync_all(disk), 0);
    assert_int_equal(lie.fired, 3);
    assert_string_equal(contents(disk, "f"), "lost|new2|");
    assert_int_equal(disk_create(disk, DISK_ROOT, "g", 1, &g), 0);
    assert_int_equal(disk_rename(disk, DISK_ROOT, "g", 1, DISK_ROOT, "h", 1), -EIO);
    assert_int_equal(disk_unlink(disk, DISK_ROOT, "g", 1), -EIO);
    assert_int_equal(put(disk, f, 0, "next"), 4); /* no name, no sync: nothing happens to it */
    pc_disk_free(disk);
}

static void class_names(void **state)
{
    enum pc_call_kind kind;

    for (int i = 0; i < PC_CALL_CLASSES_END; i++) {
        assert_true(pc_call_class_from_name(pc_call_kind_name((enum pc_call_kind)i), &kind));
        assert_int_equal(kind, i);
        assert_int_equal(pc_call_kind_from_name(pc_call_kind_name((enum pc_call_kind)i), &kind),
                         i < PC_CALL_KINDS);
    }
    assert_true(pc_fault_fits(PC_FAULT_LOSTSYNC, PC_ANY_SYNC));
    assert_false(pc_fault_fits(PC_FAULT_LOSTSYNC, PC_ANY_NAME));
    assert_false(pc_fault_fits(PC_FAULT_BITROT, PC_ANY_WRITE));
    assert_true(pc_fault_fits(PC_FAULT_SHORT, PC_ANY_CALL));
}

/* Only a read of that byte meets it. */
static void aimed_damage(void **state)
{
    struct pc_disk *disk = new_disk(PC_POSIX);
    struct pc_fault flip = rule(PC_FAULT_BITROT, PC_CALL_READ, "*", 1);
    uint32_t a = file(disk, "a", "0123456789");
    char text[8] = "";

    flip.aimed = true;
    flip.at = -3;
    pc_disk_add_fault(disk, &flip);
    assert_int_equal(disk_read(disk, a, 0, text, 7), 7);
    assert_int_equal(flip.fired, 0);
    assert_string_equal(content(disk, a), "0123456689");
    assert_int_equal(flip.fired, 1);
    assert_string_equal(content(disk, a), "0123456689");
    pc_disk_free(disk);
}

/* A rule that names a function counts the calls that come from it, and no others. */
static const char *caller;

static bool called_from(const char *function)
{
    return caller && strcmp(function, caller) == 0;
}

static void from_a_function(void **state)
{
    struct pc_fault fault = rule(PC_FAULT_EIO, PC_CALL_WRITE, "*", 2);
    struct pc_disk *disk = new_disk(PC_POSIX);
    uint32_t a = file(disk, "a", "");

    snprintf(fault.from, sizeof fault.from, "log");
    pc_disk_add_fault(disk, &fault);
    assert_int_equal(put(disk, a, 0, "1"), 1); /* nobody is there to ask */
    assert_int_equal(fault.seen, 0);
    pc_fault_callers(called_from);
    caller = "table";
    assert_int_equal(put(disk, a, 0, "2"), 1);
    assert_int_equal(put(disk, a, 0, "3"), 1);
    caller = "log";
    assert_int_equal(put(disk, a, 0, "4"), 1);
    assert_int_equal(fault.seen, 1);
    caller = "table";
    assert_int_equal(put(disk, a, 0, "5"), 1);
    caller = "log";
    assert_int_equal(put(disk, a, 0, "6"), -EIO);
    assert_int_equal(put(disk, a, 0, "7"), 1);
    assert_int_equal(fault.seen, 3);
    assert_int_equal(fault.fired, 1);
    pc_fault_callers(NULL);
    pc_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nth_of_its_kind),
        cmocka_unit_test(rules_that_do_not_fit),
        cmocka_unit_test(older_writes_go_along),
        cmocka_unit_test(refused_calls),
        cmocka_unit_test(short_write),
        cmocka_unit_test(failed_overwrite),
        cmocka_unit_test(same_bytes_again),
        cmocka_unit_test(failed_append),
        cmocka_unit_test(older_versions_stay),
        cmocka_unit_test(undefined_until_written),
        cmocka_unit_test(failed_steps),
        cmocka_unit_test(sync_state_unknown),
        cmocka_unit_test(failed_directory_sync),
        cmocka_unit_test(failed_msync),
        cmocka_unit_test(goes_back),
        cmocka_unit_test(goes_back_to_a_truncation),
        cmocka_unit_test(who_is_told),
        cmocka_unit_test(silent_failure),
        cmocka_unit_test(bad_unit),
        cmocka_unit_test(journal_failure),
        cmocka_unit_test(lost_sync),
        cmocka_unit_test(damaged_reads),
        cmocka_unit_test(aimed_damage),
        cmocka_unit_test(one_bit),
        cmocka_unit_test(damaging_writes),
        cmocka_unit_test(errors_by_name),
        cmocka_unit_test(error_table),
        cmocka_unit_test(one_in_so_many),
        cmocka_unit_test(for_a_while),
        cmocka_unit_test(never),
        cmocka_unit_test(from_a_function),
        cmocka_unit_test(classes),
        cmocka_unit_test(class_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
