/* store_fuzz.c: any set of files, opened as a database: logs that follow each other, tables,
 * several manifests, CURRENT or none. The input is a pack (pack.h); what must hold is in
 * database.h. Where manifest_fuzz.c asks about one file, this asks about what the files say of each
 * other. */
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
    return pack_mutate(data, size, size_max, seed, false);
}
