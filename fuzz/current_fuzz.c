/* current_fuzz.c: the file CURRENT, of a database with tables of two levels and a log. What must
 * hold is in database.h; here the whole of it stands or falls with one file of 32 bytes. An input
 * of another size is a CURRENT that was cut off, or that goes on. */
#include <stdio.h>
#include <string.h>

#include "database.h"
#include "fix.h"
#include "target.h"

static void fill(struct vault *v)
{
    for (unsigned i = 0; i < 24; i++) {
        char key[8];

        snprintf(key, sizeof key, "k%02u", i * 7 % 20);
        must(vault_put(v, key, 3, "some value, rather long", 23, i % 4 == 0, NULL) == VAULT_OK);
        if (i == 15)
            must(vault_compact_range(v, NULL, 0, NULL, 0) == VAULT_OK);
        if (i == 20)
            must(vault_flush(v) == VAULT_OK);
    }
}

/* Made once; never released. */
static const struct stage_files *the_database(void)
{
    static struct stage_files files;

    if (!files.count)
        database_make(&files, fill);
    return &files;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage_files files = *the_database();

    if (size > TARGET_SIZE_MAX)
        return 0;
    for (size_t i = 0; i < files.count; i++)
        if (files.at[i].kind == FORMAT_CURRENT)
            files.at[i].data = bytes_of(data, size);
    database_try(&files, 512);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    struct rng rng = rng_seeded(seed);

    size = LLVMFuzzerMutate(data, size, size_max);
    if (!rng_chance(&rng, 1, 16))
        fix_current(data, size, &rng);
    return size;
}
