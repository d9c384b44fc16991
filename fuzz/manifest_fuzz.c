/* manifest_fuzz.c: CURRENT and MANIFEST of a database that has tables and a log, opened for real.
 * The input is a pack (pack.h); the mutator changes its CURRENT and its MANIFEST only, and mends
 * their checksums. What must hold is in database.h. store_fuzz.c changes the other files, too. */
#include "database.h"
#include "pack.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage_files files;
    size_t chunk = 0;

    if (size > TARGET_SIZE_MAX)
        return 0;
    pack_read(bytes_of(data, size), &files, &chunk);
    database_try(&files, chunk);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    return pack_mutate(data, size, size_max, seed, true);
}
