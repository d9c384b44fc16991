/* record_test.c: record files and the one question of D4: is a bad record a tear or damage? And the
 * hooks: who is asked, and that the answers are acted upon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "engine_testing.h"
#include "record.h"
#include "wal.h"

struct probe {
    int verdict; /* for every verify */
    int claims;  /* answer of claim_possible */
    unsigned verified, used, asked;
    uint64_t offset;
};

static enum pc_verdict on_verify(void *ctx, const void *range, size_t len, uint32_t expected,
                                 enum pc_checksum algorithm)
{
    struct probe *p = ctx;

    assert_int_equal(algorithm, PC_CRC32C);
    p->verified++;
    return (enum pc_verdict)p->verdict;
}

static void on_use(void *ctx, const void *data, size_t len)
{
    ((struct probe *)ctx)->used++;
}

static int on_claim(void *ctx, const char *file, uint64_t offset)
{
    struct probe *p = ctx;

    assert_string_equal(file, "000007.log");
    p->asked++;
    p->offset = offset;
    return p->claims;
}

/* Writes `count` records, the i-th with i * 100 bytes, syncing after those in the bit set. */
static void write_file(struct env *env, unsigned count, unsigned synced)
{
    struct record_origin origin = {3, 640, 99, 5, 112};
    struct record_writer w;

    assert_int_equal(record_create(env, &w, FORMAT_LOG, 7, &origin), VAULT_OK);
    assert_int_equal(record_sync(env, &w), VAULT_OK);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(record_begin(env, &w, i * 100), VAULT_OK);
        memset(w.frame.data + w.frame.len, (int)i, i * 100);
        w.frame.len += i * 100;
        assert_int_equal(record_commit(env, &w, FORMAT_RECORD_DATA, 100 + i, 1), VAULT_OK);
        if (synced >> i & 1)
            assert_int_equal(record_sync(env, &w), VAULT_OK);
    }
    assert_int_equal(record_close(env, &w), VAULT_OK);
}

/* How many records are read; *claimed as record_claimed says. */
static unsigned read_file(struct env *env, size_t chunk, bool *claimed, uint64_t *end)
{
    struct record_reader r;
    struct record record;
    unsigned count = 0;
    bool got = false;

    assert_int_equal(record_open(env, &r, FORMAT_LOG, 7, chunk), VAULT_OK);
    assert_int_equal(record_head(env, &r, &got), VAULT_OK);
    while (got) {
        assert_int_equal(record_next(env, &r, &record, &got), VAULT_OK);
        if (!got)
            break;
        assert_int_equal(record.seq, 100 + count);
        assert_int_equal(record.payload.len, count * 100);
        for (size_t i = 0; i < record.payload.len; i++)
            assert_int_equal(record.payload.data[i], count);
        count++;
    }
    assert_int_equal(record_claimed(env, &r, claimed), VAULT_OK);
    *end = r.pos;
    record_release(env, &r);
    return count;
}

static void flip(const char *path, uint64_t at)
{
    int fd = open(path, O_RDWR);
    uint8_t byte = 0;

    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 16;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static void tears_and_claims(void **state)
{
    static const size_t chunks[] = {1, 7, 64, 512, 4096, 100000};
    struct test_dir dir;
    struct env env;
    char path[200];

    test_dir_make(&dir);
    snprintf(path, sizeof path, "%s/000007.log", dir.parent);
    assert_int_equal(env_init(&env, dir.parent, NULL, NULL), VAULT_OK);
    for (unsigned synced = 0; synced < 64; synced += 3) {
        uint64_t offsets[13] = {64};

        write_file(&env, 12, synced);
        for (unsigned i = 0; i < 12; i++)
            offsets[i + 1] = (offsets[i] + 40 + i * 100 + 7) & ~(uint64_t)7;
        for (unsigned bad = 0; bad <= 12; bad++) {
            bool expected = false; /* some record after `bad` was written after a sync beyond it */
            bool claimed = false;
            uint64_t end = 0;
            uint64_t at = offsets[bad] + bad * 13 % 40;

            for (unsigned i = bad; i < 11; i++)
                expected |= (synced >> i & 1) != 0;
            if (bad < 12)
                flip(path, at);
            assert_int_equal(read_file(&env, chunks[bad % 6], &claimed, &end), bad);
            assert_int_equal(claimed, expected);
            assert_int_equal(end, offsets[bad]);
            if (bad < 12)
                flip(path, at);
        }
    }
    unlink(path);
    rmdir(dir.parent);
    env_release(&env);
}

static void hooks(void **state)
{
    struct probe probe = {.verdict = PC_VERDICT_COMPUTE, .claims = 1};
    struct pc_hooks table = {&probe, on_verify, on_use, on_claim};
    struct test_dir dir;
    struct env env;
    char path[200];
    bool claimed = false;
    uint64_t end = 0;

    test_dir_make(&dir);
    snprintf(path, sizeof path, "%s/000007.log", dir.parent);
    assert_int_equal(env_init(&env, dir.parent, NULL, &table), VAULT_OK);
    write_file(&env, 5, 31);
    assert_int_equal(read_file(&env, 512, &claimed, &end), 5);
    assert_int_equal(probe.verified, 6); /* header and records; the end asks nobody */
    assert_true(probe.used >= 12);
    assert_int_equal(probe.asked, 0);
    flip(path, 64 + 40 + 30); /* in the second record */
    assert_int_equal(read_file(&env, 512, &claimed, &end), 1);
    assert_true(claimed);
    assert_int_equal(probe.asked, 1);
    assert_int_equal(probe.offset, 104);
    probe.claims = 0; /* "do not look" */
    assert_int_equal(read_file(&env, 512, &claimed, &end), 1);
    assert_false(claimed);
    probe.verdict = PC_VERDICT_FAIL;
    assert_int_equal(read_file(&env, 512, &claimed, &end), 0);
    assert_int_equal(end, 0);
    unlink(path);
    rmdir(dir.parent);
    env_release(&env);
}

/* A log record inside a value of another record is not taken for a record of the file (R1). */
static void copies_do_not_count(void **state)
{
    struct test_dir dir;
    struct env env;
    struct test_file copy;
    struct record_origin origin = {0};
    struct record_writer w;
    char path[200];
    bool claimed = true;
    uint64_t end = 0;

    test_dir_make(&dir);
    snprintf(path, sizeof path, "%s/000007.log", dir.parent);
    assert_int_equal(env_init(&env, dir.parent, NULL, NULL), VAULT_OK);
    write_file(&env, 6, 63);
    test_file_read(&copy, dir.parent, "000007.log");
    assert_int_equal(record_create(&env, &w, FORMAT_LOG, 7, &origin), VAULT_OK);
    assert_int_equal(record_begin(&env, &w, copy.len), VAULT_OK);
    buffer_put(&w.frame, bytes_of(copy.data, copy.len));
    assert_int_equal(record_commit(&env, &w, FORMAT_RECORD_DATA, 100, 1), VAULT_OK);
    assert_int_equal(record_close(&env, &w), VAULT_OK);
    flip(path, 64 + 41);
    assert_int_equal(read_file(&env, 512, &claimed, &end), 0);
    assert_false(claimed);
    free(copy.data);
    unlink(path);
    rmdir(dir.parent);
    env_release(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tears_and_claims),
        cmocka_unit_test(hooks),
        cmocka_unit_test(copies_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
