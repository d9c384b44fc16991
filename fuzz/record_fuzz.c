/* record_fuzz.c: one record, where the first record of log 7 lies, behind a good header.
 *
 * C1  It is taken exactly when plain.h takes it.
 * C2  What is taken, written again by the engine's writer, gives the same bytes: reader and writer
 *     agree on every field. Left out: byte 7 and the padding, which nobody checks. */
#include <stdlib.h>
#include <string.h>

#include "fix.h"
#include "plain.h"
#include "record.h"
#include "target.h"

#define NUMBER 7u

static void write_again(struct env *env, const struct plain_record *record, struct bytes input)
{
    struct record_origin origin = {0};
    struct record_writer w;
    struct buffer *frame = &w.frame;
    size_t len = FORMAT_RECORD_HEADER + record->payload.len;
    uint8_t *expected = malloc(len);

    must(expected != NULL);
    must(record_create(env, &w, FORMAT_LOG, NUMBER, &origin) == VAULT_OK);
    w.synced = record->claim;
    must(record_begin(env, &w, record->payload.len) == VAULT_OK);
    buffer_put(frame, record->payload);
    must(record_commit(env, &w, record->kind, record->seq, record->count) == VAULT_OK);
    must(w.file.size == FORMAT_FILE_HEADER + (len + 7) / 8 * 8);
    memcpy(expected, input.data, len);
    expected[7] = 0;
    store_u32(expected, plain_sum(bytes_of(expected + 4, len - 4)));
    must(memcmp(expected, frame->data, len) == 0);
    must(record_close(env, &w) == VAULT_OK);
    free(expected);
}

static void try_record(struct env *env, struct bytes file, struct bytes input)
{
    struct plain_records plain;
    struct record_reader r = {.file = OS_FILE_CLOSED};
    struct record record;
    bool got = false;

    plain_records_read(&plain, file, FORMAT_LOG, NUMBER);
    must(record_open(env, &r, FORMAT_LOG, NUMBER, input.len % 2 ? 64 : 4096) == VAULT_OK);
    must(record_head(env, &r, &got) == VAULT_OK && got);
    must(record_next(env, &r, &record, &got) == VAULT_OK);
    must(got == (plain.count > 0)); /* C1 */
    if (got) {
        must(record.seq == plain.at[0].seq && record.count == plain.at[0].count);
        must(bytes_equal(record.payload, plain.at[0].payload));
    }
    record_release(env, &r);
    if (got)
        write_again(env, &plain.at[0], input); /* C2 */
    plain_records_release(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct env env;
    uint8_t *file = NULL;

    if (size > TARGET_SIZE_MAX)
        return 0;
    file = calloc(1, FORMAT_FILE_HEADER + size);
    must(file != NULL);
    store_u32(file + 8, FORMAT_VERSION);
    fix_head(file, FORMAT_FILE_HEADER, FORMAT_LOG, NUMBER);
    if (size)
        memcpy(file + FORMAT_FILE_HEADER, data, size);
    stage_set();
    stage_env(&env);
    stage_write(FORMAT_LOG, NUMBER, bytes_of(file, FORMAT_FILE_HEADER + size));
    try_record(&env, bytes_of(file, FORMAT_FILE_HEADER + size), bytes_of(data, size));
    env_release(&env);
    stage_clear();
    free(file);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    struct rng rng = rng_seeded(seed);
    uint64_t len = 0;

    size = LLVMFuzzerMutate(data, size, size_max);
    if (size < FORMAT_RECORD_HEADER || rng_chance(&rng, 1, 16))
        return size;
    len = FORMAT_RECORD_HEADER + (uint64_t)load_u32(data + 8);
    fix_record(data, len > size || rng_chance(&rng, 1, 2) ? size : (size_t)len, FORMAT_FILE_HEADER,
               NUMBER);
    return size;
}
