/* index_fuzz.c: range deletes, filter, index and footer of a table whose data blocks are sound: the
 * input is what follows them. What must hold is in table_try.h. Where table_fuzz.c mostly breaks
 * blocks, this breaks what leads to them: handles, lengths and places. */
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "fix.h"
#include "sst.h"
#include "table_try.h"
#include "target.h"

#define ENTRIES   24u
#define DATA_SIZE ((size_t)1024) /* the data blocks, and zeros up to the tail */

static uint8_t data_blocks[DATA_SIZE]; /* made once */
static size_t data_len;

static void build(void)
{
    static const struct sst_options options = {120, 3, 10, 0};
    struct stage_files files;
    struct sst_builder b;
    struct env env;
    uint64_t size = 0;
    const uint8_t *foot = NULL;

    stage_set();
    stage_env(&env);
    must(sst_begin(&env, &b, TABLE_TRY_NUMBER, &options) == VAULT_OK);
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint8_t key[6] = {'k', 'e', 'y', (uint8_t)('a' + i / 2)};

        must(sst_add(&b, bytes_of(key, 4), tag_of(100 - i, FORMAT_OP_PUT),
                     bytes_str("some value")) == VAULT_OK);
    }
    must(sst_add_range(&b, bytes_str("keyb"), bytes_str("keyd"), 90) == VAULT_OK);
    must(sst_finish(&b, &size) == VAULT_OK);
    sst_builder_release(&b);
    env_release(&env);
    stage_capture(&files);
    stage_clear();
    foot = files.at[0].data.data + files.at[0].data.len - FORMAT_FOOTER;
    data_len = (size_t)load_u64(foot + 24) - load_u32(foot + 12) - FORMAT_BLOCK_TRAILER;
    must(data_len > 0 && data_len <= DATA_SIZE);
    memcpy(data_blocks, files.at[0].data.data, data_len);
    stage_release(&files);
}

/* The whole table, in memory of its own. */
static uint8_t *whole(const uint8_t *tail, size_t size)
{
    uint8_t *file = malloc(DATA_SIZE + size + 1);

    must(file != NULL);
    memcpy(file, data_blocks, DATA_SIZE);
    if (size)
        memcpy(file + DATA_SIZE, tail, size);
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = NULL;

    if (size > TARGET_SIZE_MAX)
        return 0;
    if (data_len == 0)
        build();
    file = whole(data, size);
    table_try(bytes_of(file, DATA_SIZE + size));
    free(file);
    return 0;
}

/* Mends the sums of the tail. Those of the data blocks are mended, too, in a copy that is dropped:
 * in the table they are right as they are, if the index still says where they are. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    struct rng rng = rng_seeded(seed);
    uint8_t *file = NULL;

    size = LLVMFuzzerMutate(data, size, size_max);
    if (rng_chance(&rng, 1, 16))
        return size;
    file = whole(data, size);
    fix_table(file, DATA_SIZE + size, TABLE_TRY_NUMBER, &rng);
    memcpy(data, file + DATA_SIZE, size);
    free(file);
    return size;
}
