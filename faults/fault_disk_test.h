/* fault_disk_test.h: small disks, files and rules, for tests of faults. Units and blocks have 4
 * bytes, so that the content of a file is a word. Include cmocka.h first. */
#ifndef FAULTS_FAULT_DISK_TEST_H
#define FAULTS_FAULT_DISK_TEST_H

#include <stdio.h>
#include <string.h>

#include "inner.h"

static const enum pc_model models[] = {PC_PREFIX,         PC_POSIX, PC_POSIX_MIN, PC_EXT4_ORDERED,
                                       PC_EXT4_WRITEBACK, PC_XFS,   PC_BTRFS};
#define MODELS  (sizeof models / sizeof models[0])
#define KEEPING (MODELS - 1) /* all but btrfs keep the new content in the cache, clean */

static inline struct pc_disk *new_disk(enum pc_model model)
{
    struct pc_disk_config config = {.model = model, .unit = 4, .block = 4};

    return pc_disk_new(&config);
}

/* A file that is durable with this content. */
static inline uint32_t file(struct pc_disk *disk, const char *name, const char *text)
{
    uint32_t ino = 0;
    size_t len = strlen(text);

    assert_int_equal(disk_create(disk, DISK_ROOT, name, strlen(name), &ino), 0);
    if (len)
        assert_int_equal(disk_write(disk, ino, 0, text, len, false), len);
    assert_int_equal(disk_sync_all(disk), 0);
    return ino;
}

static inline int put(struct pc_disk *disk, uint32_t ino, uint64_t offset, const char *text)
{
    return (int)disk_write(disk, ino, offset, text, strlen(text), false);
}

/* What it reads as; a byte of zero as a dot. */
static inline const char *content(struct pc_disk *disk, uint32_t ino)
{
    static char text[128];
    ssize_t n = disk_read(disk, ino, 0, text, sizeof text - 1);

    for (ssize_t i = 0; i < n; i++)
        text[i] = (char)(text[i] ? text[i] : '.');
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static inline struct pc_fault rule(enum pc_fault_kind kind, enum pc_call_kind call,
                                   const char *pattern, uint32_t nth)
{
    struct pc_fault fault = {.kind = kind, .call = call, .nth = nth};

    snprintf(fault.file, sizeof fault.file, "%s", pattern);
    return fault;
}

#endif
