/* engine_testing.h: what the unit tests of this folder share: a directory of their own, tiny
 * options, an allocator that counts and can fail, whole files in memory. Include after cmocka.h.
 * Thread safety: the allocator only. */
#ifndef ENGINE_ENGINE_TESTING_H
#define ENGINE_ENGINE_TESTING_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "minivault/minivault.h"

struct test_dir {
    char parent[64]; /* exists, empty */
    char path[80];   /* the database: not made yet */
};

static inline void test_dir_make(struct test_dir *dir)
{
    const char *base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
    char made[sizeof dir->parent]; /* not within *dir: gcc takes its members for one object */

    snprintf(made, sizeof made, "%s/minivault-test-XXXXXX", base);
    assert_non_null(mkdtemp(made));
    snprintf(dir->parent, sizeof dir->parent, "%s", made);
    snprintf(dir->path, sizeof dir->path, "%s/db", made);
}

static inline void test_dir_remove(struct test_dir *dir)
{
    assert_int_equal(vault_destroy(dir->path, NULL), VAULT_OK);
    assert_int_equal(rmdir(dir->parent), 0);
}

/* Everything small, so that a few hundred writes reach deep levels. */
static inline void test_options_tiny(struct vault_options *o)
{
    vault_options_init(o);
    o->background = VAULT_INLINE;
    o->write_buffer_size = 2048;
    o->block_size = 256;
    o->restart_interval = 4;
    o->table_size = 1024;
    o->level0_tables = 2;
    o->level1_size = 2048;
    o->level_multiplier = 2;
    o->block_cache_size = 4096;
    o->read_chunk = 512;
    o->manifest_size = 4096;
}

struct test_alloc {
    struct vault_allocator face;
    int64_t held, count;
    int64_t fail_at;  /* the n-th request from now on fails; 0: none */
    int64_t fail_for; /* and so do the following ones, this many in all */
};

static inline void *test_alloc_get(void *ctx, size_t size)
{
    struct test_alloc *a = ctx;
    int64_t n = __atomic_add_fetch(&a->count, 1, __ATOMIC_RELAXED);

    if (a->fail_at && n >= a->fail_at && n < a->fail_at + a->fail_for)
        return NULL;
    __atomic_add_fetch(&a->held, (int64_t)size, __ATOMIC_RELAXED);
    return malloc(size);
}

static inline void test_alloc_put(void *ctx, void *p, size_t size)
{
    struct test_alloc *a = ctx;

    __atomic_sub_fetch(&a->held, (int64_t)size, __ATOMIC_RELAXED);
    free(p);
}

static inline void test_alloc_init(struct test_alloc *a)
{
    *a = (struct test_alloc){.face = {a, test_alloc_get, test_alloc_put}, .fail_for = 1};
}

struct test_file {
    char path[160];
    uint8_t *data;
    size_t len;
};

static inline void test_file_read(struct test_file *f, const char *dir, const char *name)
{
    struct stat info;
    int fd = -1;

    snprintf(f->path, sizeof f->path, "%s/%s", dir, name);
    fd = open(f->path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &info), 0);
    f->len = (size_t)info.st_size;
    f->data = malloc(f->len + 1);
    assert_int_equal(read(fd, f->data, f->len), (ssize_t)f->len);
    close(fd);
}

static inline void test_file_write(const char *path, const uint8_t *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    close(fd);
}

#endif
