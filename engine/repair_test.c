/* repair_test.c: every kind of damage, told by verify and mended by repair: what differs from what
 * was written must lie in what was reported as lost, and nothing may be there that never was. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rng.h"
#include "engine_testing.h"

#define KEYS      60u
#define FILES_MAX 64u
#define LOST_MAX  256u

struct lost {
    char first[16], last[16];
    bool has_first, has_last;
};

struct world {
    struct test_dir dir, work; /* the good one, and the one to damage */
    struct vault_options o;
    unsigned now[KEYS];
    char names[FILES_MAX][40];
    unsigned files;
    struct lost lost[LOST_MAX];
    unsigned lost_count, damage, orphans;
};

static size_t key_of(unsigned k, char key[16])
{
    return (size_t)snprintf(key, 16, "k%03u", k);
}

static void list(struct world *w, const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry = NULL;

    assert_non_null(dir);
    w->files = 0;
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.') {
            assert_true(w->files < FILES_MAX);
            snprintf(w->names[w->files++], sizeof w->names[0], "%.38s", entry->d_name);
        }
    closedir(dir);
}

/* A fresh copy to damage. */
static void restore(struct world *w)
{
    char path[160];

    if (!access(w->work.path, F_OK)) {
        list(w, w->work.path);
        for (unsigned i = 0; i < w->files; i++) {
            snprintf(path, sizeof path, "%s/%s", w->work.path, w->names[i]);
            assert_int_equal(unlink(path), 0);
        }
        assert_int_equal(rmdir(w->work.path), 0);
    }
    assert_int_equal(mkdir(w->work.path, 0755), 0);
    list(w, w->dir.path);
    for (unsigned i = 0; i < w->files; i++) {
        struct test_file f;

        test_file_read(&f, w->dir.path, w->names[i]);
        snprintf(path, sizeof path, "%s/%s", w->work.path, w->names[i]);
        test_file_write(path, f.data, f.len);
        free(f.data);
    }
}

static void begin(struct world *w, unsigned in_log)
{
    struct vault *v = NULL;
    struct rng r = rng_seeded(21 + in_log);

    *w = (struct world){0};
    test_dir_make(&w->dir);
    w->work = w->dir;
    snprintf(w->work.path, sizeof w->work.path, "%s/work", w->dir.parent);
    test_options_tiny(&w->o);
    assert_int_equal(vault_open(w->dir.path, &w->o, &v, NULL), VAULT_OK);
    for (unsigned i = 1; i <= 150 + in_log; i++) {
        unsigned k = (unsigned)rng_below(&r, KEYS);
        char key[16];
        char text[80];
        size_t len = key_of(k, key);
        int text_len = snprintf(text, sizeof text, "%u:%u:%0*u", k, i, 1 + (int)(i % 60), 0u);

        if (i == 150)
            assert_int_equal(vault_flush(v), VAULT_OK);
        if (i % 9 == 0) {
            char end[16];
            unsigned to = k + 3 < KEYS ? k + 3 : KEYS;

            assert_int_equal(vault_delete_range(v, key, len, end, key_of(to, end), false, NULL),
                             VAULT_OK);
            for (unsigned j = k; j < to; j++)
                w->now[j] = 0;
            continue;
        }
        assert_int_equal(vault_put(v, key, len, text, (size_t)text_len, false, NULL), VAULT_OK);
        w->now[k] = i;
    }
    assert_int_equal(vault_close(v), VAULT_OK);
    restore(w);
}

static void end(struct world *w)
{
    restore(w);
    assert_int_equal(vault_destroy(w->work.path, NULL), VAULT_OK);
    test_dir_remove(&w->dir);
}

static void note(void *ctx, const struct vault_finding *f)
{
    struct world *w = ctx;

    w->damage += f->kind == VAULT_FINDING_DAMAGE;
    w->orphans += f->kind == VAULT_FINDING_ORPHAN;
    assert_true(f->what[0]);
    if (f->kind == VAULT_FINDING_LOST) {
        struct lost *l = &w->lost[w->lost_count++];

        assert_true(w->lost_count < LOST_MAX);
        *l = (struct lost){.has_first = f->first != NULL, .has_last = f->last != NULL};
        snprintf(l->first, sizeof l->first, "%.*s", (int)f->first_len,
                 f->first ? (const char *)f->first : "");
        snprintf(l->last, sizeof l->last, "%.*s", (int)f->last_len,
                 f->last ? (const char *)f->last : "");
    }
}

static bool is_lost(const struct world *w, const char *key)
{
    for (unsigned i = 0; i < w->lost_count; i++) {
        const struct lost *l = &w->lost[i];

        if ((!l->has_first || strcmp(l->first, key) <= 0) &&
            (!l->has_last || strcmp(key, l->last) <= 0))
            return true;
    }
    return false;
}

/* Opens, reads, writes; answers how many keys differ from what was written. */
static unsigned expect_explained(struct world *w)
{
    struct vault *v = NULL;
    unsigned differ = 0;

    assert_int_equal(vault_open(w->work.path, &w->o, &v, NULL), VAULT_OK);
    for (unsigned k = 0; k < KEYS; k++) {
        char key[16];
        unsigned shown_key = 0;
        unsigned shown = 0;
        void *value = NULL;
        size_t len = 0;
        enum vault_status st = vault_get(v, NULL, key, key_of(k, key), &value, &len);

        if (st == VAULT_OK) {
            char text[32];

            snprintf(text, sizeof text, "%.*s", (int)len, (const char *)value);
            assert_int_equal(sscanf(text, "%u:%u:", &shown_key, &shown), 2);
            assert_int_equal(shown_key, k);
            vault_value_free(v, value, len);
        } else {
            assert_int_equal(st, VAULT_NOT_FOUND);
        }
        if (shown != w->now[k]) {
            assert_true(is_lost(w, key));
            differ++;
        }
    }
    assert_int_equal(vault_put(v, "new", 3, "x", 1, true, NULL), VAULT_OK);
    assert_int_equal(vault_compact_range(v, NULL, 0, NULL, 0), VAULT_OK);
    assert_int_equal(vault_check(v, NULL), VAULT_OK);
    assert_int_equal(vault_close(v), VAULT_OK);
    assert_int_equal(vault_verify(w->work.path, &w->o, NULL, NULL, NULL), VAULT_OK);
    return differ;
}

static void forget(struct world *w)
{
    w->lost_count = w->damage = w->orphans = 0;
}

/* What was damaged, told and mended? Answers how many keys were lost. */
static unsigned mend(struct world *w)
{
    enum vault_status st = VAULT_OK;

    forget(w);
    st = vault_verify(w->work.path, &w->o, note, w, NULL);
    if (st) {
        assert_true(st == VAULT_CORRUPT || st == VAULT_DATA_LOSS);
        assert_true(w->damage > 0);
    } else {
        assert_int_equal(w->damage, 0);
    }
    forget(w);
    assert_int_equal(vault_repair(w->work.path, &w->o, note, w, NULL), VAULT_OK);
    return expect_explained(w);
}

static void a_good_one_stays(void **state)
{
    struct world w;
    struct test_file before[FILES_MAX];
    unsigned count = 0;

    begin(&w, 20);
    list(&w, w.work.path);
    count = w.files;
    for (unsigned i = 0; i < count; i++)
        test_file_read(&before[i], w.work.path, w.names[i]);
    assert_int_equal(vault_verify(w.work.path, &w.o, note, &w, NULL), VAULT_OK);
    assert_int_equal(vault_repair(w.work.path, &w.o, note, &w, NULL), VAULT_OK);
    assert_int_equal(w.lost_count + w.damage + w.orphans, 0);
    list(&w, w.work.path);
    assert_int_equal(w.files, count);
    for (unsigned i = 0; i < count; i++) {
        struct test_file f;

        test_file_read(&f, w.work.path, w.names[i]);
        assert_int_equal(f.len, before[i].len);
        assert_memory_equal(f.data, before[i].data, f.len);
        free(f.data);
        free(before[i].data);
    }
    assert_int_equal(expect_explained(&w), 0);
    end(&w);
}

/* Bytes of every file, one at a time. */
static void bytes(void **state)
{
    struct world w;
    unsigned told = 0;
    unsigned lossless = 0;
    unsigned files = 0;

    begin(&w, 20);
    list(&w, w.dir.path);
    files = w.files;
    for (unsigned i = 0; i < files; i++) {
        struct test_file f;
        char name[40];

        list(&w, w.dir.path);
        memcpy(name, w.names[i], sizeof name);
        test_file_read(&f, w.dir.path, name);
        for (size_t at = 0; at < f.len; at += 1 + f.len / 23) {
            char path[160];
            uint8_t old = f.data[at];

            restore(&w);
            snprintf(path, sizeof path, "%s/%s", w.work.path, name);
            f.data[at] ^= 0x10;
            test_file_write(path, f.data, f.len);
            f.data[at] = old;
            if (mend(&w) == 0)
                lossless++;
            told += w.lost_count > 0;
        }
        free(f.data);
    }
    assert_true(told > 50);
    assert_true(lossless > 20);
    end(&w);
}

/* Every file missing, empty, cut in half. */
static void files(void **state)
{
    struct world w;
    unsigned count = 0;

    begin(&w, 20);
    list(&w, w.dir.path);
    count = w.files;
    for (unsigned i = 0; i < count; i++)
        for (unsigned way = 0; way < 3; way++) {
            struct test_file f;
            char path[160];

            restore(&w);
            test_file_read(&f, w.work.path, w.names[i]);
            snprintf(path, sizeof path, "%s/%s", w.work.path, w.names[i]);
            if (way == 0)
                assert_int_equal(unlink(path), 0);
            else
                assert_int_equal(truncate(path, way == 1 ? 0 : (off_t)f.len / 2), 0);
            free(f.data);
            /* A log that ends early with nothing behind it looks as after a power cut. */
            if (strstr(w.names[i], ".log")) {
                w.lost[0] = (struct lost){.has_first = false};
                assert_int_equal(vault_repair(w.work.path, &w.o, NULL, NULL, NULL), VAULT_OK);
                w.lost_count = 1;
                (void)expect_explained(&w);
            } else {
                (void)mend(&w);
            }
        }
    end(&w);
}

static void no_database(void **state)
{
    struct test_dir dir;
    struct vault_error error;

    test_dir_make(&dir);
    assert_int_equal(vault_verify(dir.path, NULL, NULL, NULL, &error), VAULT_NOT_FOUND);
    assert_int_equal(error.status, VAULT_NOT_FOUND);
    assert_int_equal(vault_repair(dir.path, NULL, NULL, NULL, NULL), VAULT_NOT_FOUND);
    assert_int_equal(access(dir.path, F_OK), -1);
    assert_int_equal(rmdir(dir.parent), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_one_stays),
        cmocka_unit_test(bytes),
        cmocka_unit_test(files),
        cmocka_unit_test(no_database),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
