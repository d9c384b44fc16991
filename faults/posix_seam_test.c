/* posix_seam_test.c: what each mistake that is planted at a call does to the disk, and what the
 * program is told. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "powercut/disk.h"
#include "powercut/posix.h"

#define MOUNT "/powercut"

static struct pc_disk *disk;
static struct pc_site last; /* where the newest call came from */

static int mount_new(void **state)
{
    const struct pc_disk_config config = {.model = PC_POSIX, .unit = 512, .seed = 7};

    (void)state;
    disk = pc_disk_new(&config);
    pc_mount(MOUNT, disk);
    return 0;
}

static int unmount(void **state)
{
    (void)state;
    pc_seam(NULL, PC_SEAM_NONE);
    pc_watch_sites(NULL, NULL);
    pc_close_all();
    pc_mount(NULL, NULL);
    pc_disk_free(disk);
    return 0;
}

static void remember(void *ctx, const struct pc_site *site)
{
    (void)ctx;
    last = *site;
}

/* One place for each kind of call, whoever asks for it: deeper than the frames of a site. */
struct wish {
    enum pc_call_kind kind;
    int fd;
    const char *text, *to;
    char *room;
};

__attribute__((noinline)) static ssize_t deep(int levels, const struct wish *wish)
{
    ssize_t result;

    if (levels > 0)
        result = deep(levels - 1, wish);
    else if (wish->kind == PC_CALL_WRITE)
        result = pwrite(wish->fd, wish->text, strlen(wish->text), 0);
    else if (wish->kind == PC_CALL_READ)
        result = pread(wish->fd, wish->room, 4, 0);
    else if (wish->kind == PC_CALL_RENAME)
        result = rename(wish->text, wish->to);
    else
        result = fdatasync(wish->fd);
    __asm__ volatile("" : : "r"(result)); /* no tail call */
    return result;
}

static ssize_t put(int fd, const char *text)
{
    return deep(PC_SITE_FRAMES, &(struct wish){.kind = PC_CALL_WRITE, .fd = fd, .text = text});
}

static ssize_t get(int fd, char *room)
{
    return deep(PC_SITE_FRAMES, &(struct wish){.kind = PC_CALL_READ, .fd = fd, .room = room});
}

static ssize_t sync_it(int fd)
{
    return deep(PC_SITE_FRAMES, &(struct wish){.kind = PC_CALL_FDATASYNC, .fd = fd});
}

static ssize_t name_it(const char *from, const char *to)
{
    return deep(PC_SITE_FRAMES, &(struct wish){.kind = PC_CALL_RENAME, .text = from, .to = to});
}

static void plant(enum pc_seam_act act)
{
    struct pc_site site = last;

    pc_watch_sites(NULL, NULL);
    pc_seam(&site, act);
}

static void holds(int fd, const char *expected)
{
    char text[64] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    assert_int_equal(n, strlen(expected));
    assert_string_equal(text, expected);
}

static int new_file(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT, 0644);

    assert_true(fd >= 0);
    return fd;
}

/* The site of put() becomes known; the file holds "----". */
static int prepared(void)
{
    int fd = new_file(MOUNT "/a");

    pc_watch_sites(remember, NULL);
    assert_int_equal(put(fd, "----"), 4);
    assert_int_equal(last.kind, PC_CALL_WRITE);
    return fd;
}

static void a_dropped_call_is_not_made(void **state)
{
    int fd = prepared();

    (void)state;
    plant(PC_SEAM_DROP);
    assert_int_equal(put(fd, "abcd"), 4);
    holds(fd, "----");
    assert_int_equal(pc_seam_acted(), 1);
    pc_seam(NULL, PC_SEAM_NONE);
    assert_int_equal(put(fd, "abcd"), 4);
    holds(fd, "abcd");
}

static void a_later_call_changes_places_with_the_next(void **state)
{
    int fd = prepared(), other = new_file(MOUNT "/b");

    (void)state;
    plant(PC_SEAM_LATER);
    assert_int_equal(put(fd, "abcd"), 4);
    holds(fd, "----"); /* a read is no neighbour */
    assert_int_equal(pwrite(other, "x", 1, 0), 1);
    holds(fd, "abcd");
    holds(other, "x");
    assert_int_equal(pc_disk_call_count(disk), 5);
    /* Two from the same place, one after the other, change places, too. */
    assert_int_equal(put(fd, "12"), 2);
    assert_int_equal(put(fd, "345"), 3);
    holds(fd, "125d");
}

static void a_later_call_whose_file_is_gone_is_never_made(void **state)
{
    int fd = prepared();

    (void)state;
    plant(PC_SEAM_LATER);
    assert_int_equal(put(fd, "abcd"), 4);
    assert_int_equal(unlink(MOUNT "/a"), 0);
    holds(fd, "----");
}

static struct pc_fault once(enum pc_call_kind call)
{
    return (struct pc_fault){.kind = PC_FAULT_EIO, .call = call, .file = "*", .nth = 1};
}

static void an_ignored_error_is_not_told(void **state)
{
    int fd = prepared();
    struct pc_fault fault = once(PC_CALL_WRITE);

    (void)state;
    plant(PC_SEAM_DEAF);
    assert_int_equal(put(fd, "abcd"), 4);
    assert_int_equal(pc_seam_acted(), 0); /* nothing failed */
    pc_disk_add_fault(disk, &fault);
    assert_int_equal(put(fd, "1234"), 4);
    assert_int_equal(pc_seam_acted(), 1);
    holds(fd, "abcd");
}

static void an_ignored_error_of_a_read_reads_zeros(void **state)
{
    int fd = prepared();
    struct pc_fault fault = once(PC_CALL_READ);
    char text[4] = "";

    (void)state;
    assert_int_equal(get(fd, text), 4);
    assert_memory_equal(text, "----", 4);
    plant(PC_SEAM_DEAF);
    pc_disk_add_fault(disk, &fault);
    assert_int_equal(get(fd, text), 4);
    assert_int_equal(fault.fired, 1);
    assert_memory_equal(text, "\0\0\0\0", 4);
}

static void a_sync_that_is_tried_again_is_believed(void **state)
{
    int fd = prepared();
    struct pc_fault fault = once(PC_CALL_FDATASYNC);

    (void)state;
    assert_int_equal(sync_it(fd), 0);
    plant(PC_SEAM_RETRY);
    pc_disk_add_fault(disk, &fault);
    assert_int_equal(sync_it(fd), 0);
    assert_int_equal(fault.fired, 1);
    assert_int_equal(pc_seam_acted(), 1);
}

static void half_a_write_counts_as_whole(void **state)
{
    int fd = prepared();

    (void)state;
    plant(PC_SEAM_SHORT);
    assert_int_equal(put(fd, "abcd"), 4);
    holds(fd, "ab--");
    assert_int_equal(put(fd, "x"), 1);
    holds(fd, "ab--");
}

static void a_rename_can_come_later(void **state)
{
    int fd = new_file(MOUNT "/a"), other = new_file(MOUNT "/b");

    (void)state;
    pc_watch_sites(remember, NULL);
    assert_int_equal(name_it(MOUNT "/a", MOUNT "/c"), 0);
    plant(PC_SEAM_LATER);
    assert_int_equal(name_it(MOUNT "/c", MOUNT "/d"), 0);
    assert_int_equal(access(MOUNT "/c", F_OK), 0);
    assert_int_equal(access(MOUNT "/d", F_OK), -1);
    assert_int_equal(fsync(other), 0);
    assert_int_equal(access(MOUNT "/c", F_OK), -1);
    assert_int_equal(access(MOUNT "/d", F_OK), 0);
    close(fd);
}

/* The next disk may lie where the old one lay, and has no such file. */
static void a_later_call_whose_disk_is_gone_is_never_made(void **state)
{
    int fd = prepared(), other;

    (void)state;
    plant(PC_SEAM_LATER);
    assert_int_equal(put(fd, "abcd"), 4);
    close(fd);
    pc_mount(NULL, NULL);
    pc_disk_free(disk);
    (void)mount_new(state);
    other = new_file(MOUNT "/a");
    assert_int_equal(pwrite(other, "xy", 2, 0), 2);
    holds(other, "xy");
    close(other);
}

static void a_mistake_fits_where_a_program_could_make_it(void **state)
{
    (void)state;
    assert_true(pc_seam_fits(PC_SEAM_DROP, PC_CALL_UNLINK));
    assert_false(pc_seam_fits(PC_SEAM_DROP, PC_CALL_READ));
    assert_true(pc_seam_fits(PC_SEAM_DEAF, PC_CALL_READ));
    assert_true(pc_seam_fits(PC_SEAM_RETRY, PC_CALL_FSYNC));
    assert_false(pc_seam_fits(PC_SEAM_RETRY, PC_CALL_WRITE));
    assert_false(pc_seam_fits(PC_SEAM_SHORT, PC_CALL_RENAME));
    assert_false(pc_seam_fits(PC_SEAM_NONE, PC_CALL_WRITE));
    assert_string_equal(pc_seam_act_name(PC_SEAM_DEAF), "ignore");
}

#define on_a_disk(test) cmocka_unit_test_setup_teardown(test, mount_new, unmount)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_a_disk(a_dropped_call_is_not_made),
        on_a_disk(a_later_call_changes_places_with_the_next),
        on_a_disk(a_later_call_whose_file_is_gone_is_never_made),
        on_a_disk(an_ignored_error_is_not_told),
        on_a_disk(an_ignored_error_of_a_read_reads_zeros),
        on_a_disk(a_sync_that_is_tried_again_is_believed),
        on_a_disk(half_a_write_counts_as_whole),
        on_a_disk(a_rename_can_come_later),
        on_a_disk(a_later_call_whose_disk_is_gone_is_never_made),
        on_a_disk(a_mistake_fits_where_a_program_could_make_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
