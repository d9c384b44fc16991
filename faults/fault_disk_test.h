/* fault_disk_test.h: small disks, files and rules, for tests of faults. Units and blocks have 4
 * bytes, so that the content of a file is a word. Include cmocka.h first. */
#ifndef FAULTS_FAULT_DISK_TEST_H
#define FAULTS_FAULT_DISK_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

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

/* ---- every content of a file over all images ---- */

struct answers {
    size_t given[64], sizes[64], depth, position;
};

static inline size_t choose(void *ctx, const struct pc_choice *choice)
{
    struct answers *answers = ctx;

    must(answers->position < 64);
    if (answers->position == answers->depth) {
        answers->given[answers->depth] = 0;
        answers->sizes[answers->depth++] = choice->n;
    }
    return answers->given[answers->position++];
}

static inline bool advance(struct answers *answers)
{
    answers->position = 0;
    while (answers->depth > 0) {
        if (++answers->given[answers->depth - 1] < answers->sizes[answers->depth - 1])
            return true;
        answers->depth--;
    }
    return false;
}

static inline int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The contents of files of the root, "old1,-": "-" where the name is missing. */
static inline void read_files(struct pc_disk *disk, const char *names, char *out, size_t room)
{
    size_t n = 0;

    for (const char *name = names; *name; name += strspn(name, " ")) {
        size_t len = strcspn(name, " ");
        uint32_t ino;

        n += (size_t)snprintf(out + n, room - n, "%s%s", name > names ? "," : "",
                              disk_lookup(disk, DISK_ROOT, name, len, &ino) ? "-"
                                                                            : content(disk, ino));
        must(n < room);
        name += len;
    }
}

/* "old1|old2|", sorted; of several files, their names with spaces between, "old1,new2|". */
static inline const char *contents_at(struct pc_disk *disk, const char *names, size_t k)
{
    static char out[2048], found[64][128];
    struct answers answers = {.depth = 0};
    const struct pc_chooser chooser = {&answers, choose};
    struct pc_image *image = pc_image_new(disk, k);
    size_t n = 0, len = 0;

    do {
        struct pc_disk *booted;

        pc_image_begin(image, &chooser, PC_FILL_QUESTION_MARK);
        booted = pc_disk_boot(image);
        must(n < 64);
        read_files(booted, names, found[n++], sizeof found[0]);
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

static inline const char *contents(struct pc_disk *disk, const char *name)
{
    return contents_at(disk, name, pc_disk_call_count(disk));
}

#endif
