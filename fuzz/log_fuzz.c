/* log_fuzz.c: a whole log, 000002.log, beside the CURRENT and MANIFEST of a new database.
 *
 * L1  The record reader gives the same records, end, tear and claim as plain.h, whatever the size
 *     of its chunks.
 * L2  Recovery makes of the log what database.h says: never a wrong or half a batch, a refusal
 *     where something synced is gone, and the store goes on working. */
#include "database.h"
#include "fix.h"
#include "plain.h"
#include "record.h"
#include "target.h"

#define NUMBER 2u

static void read_with(struct env *env, const struct plain_records *plain, size_t chunk)
{
    struct record_reader r = {.file = OS_FILE_CLOSED};
    struct record record;
    bool got = false;
    bool claimed = false;
    size_t count = 0;
    enum vault_status st = record_open(env, &r, FORMAT_LOG, NUMBER, chunk);

    must(st == VAULT_OK);
    st = record_head(env, &r, &got);
    must(st == (plain->unsupported ? VAULT_UNSUPPORTED : VAULT_OK));
    must(st || got == plain->head);
    while (!st && got) {
        st = record_next(env, &r, &record, &got);
        if (st || !got)
            break;
        must(count < plain->count);
        must(record.offset == plain->at[count].offset && record.seq == plain->at[count].seq);
        must(record.kind == plain->at[count].kind && record.count == plain->at[count].count);
        must(bytes_equal(record.payload, plain->at[count].payload));
        count++;
    }
    if (!st) {
        must(count == plain->count && r.pos == plain->end && r.torn == plain->torn);
        st = record_claimed(env, &r, &claimed);
        must(st == VAULT_OK && claimed == plain->claimed);
    }
    record_release(env, &r);
}

/* A small chunk and a large one; which, the input decides. */
static void try_reader(struct bytes file)
{
    static const size_t small[] = {1, 8, 100, 8};
    static const size_t large[] = {512, 32768, 200, 4096};
    uint32_t which = plain_sum(file);
    struct plain_records plain;
    struct env env;

    plain_records_read(&plain, file, FORMAT_LOG, NUMBER);
    stage_set();
    stage_env(&env);
    stage_write(FORMAT_LOG, NUMBER, file);
    read_with(&env, &plain, file.len > 600 ? 100 : small[which % 4]);
    read_with(&env, &plain, large[which / 4 % 4]);
    env_release(&env);
    stage_clear();
    plain_records_release(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage_files files = *database_empty();

    if (size > TARGET_SIZE_MAX)
        return 0;
    try_reader(bytes_of(data, size));
    files.at[files.count++] = (struct stage_file){FORMAT_LOG, NUMBER, bytes_of(data, size)};
    database_try(&files, size % 3 ? 512 : 64);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    struct rng rng = rng_seeded(seed);

    size = LLVMFuzzerMutate(data, size, size_max);
    return rng_chance(&rng, 1, 16) ? size
                                   : fix_records(data, size, size_max, FORMAT_LOG, NUMBER, &rng);
}
