/* table_fuzz.c: a table, 000003.sst: footer, filter, index and blocks. What must hold is in
 * table_try.h. */
#include "fix.h"
#include "table_try.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= TARGET_SIZE_MAX)
        table_try(bytes_of(data, size));
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    struct rng rng = rng_seeded(seed);

    size = LLVMFuzzerMutate(data, size, size_max);
    if (!rng_chance(&rng, 1, 16))
        fix_table(data, size, TABLE_TRY_NUMBER, &rng);
    return size;
}
