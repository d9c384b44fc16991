/* pack.c: see pack.h.
 *
 * A mutator that knew nothing of the form would spend its time on lengths. This one takes the pack
 * apart, changes one file with libFuzzer's own mutations, mends what only a checksum could tell
 * (fix.c), and packs again; now and then a file goes, or takes another number. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "fix.h"
#include "pack.h"
#include "target.h"

static const enum format_file kinds[] = {FORMAT_OTHER,    FORMAT_CURRENT, FORMAT_TEMPORARY,
                                         FORMAT_MANIFEST, FORMAT_LOG,     FORMAT_TABLE};

static uint8_t code_of(enum format_file kind)
{
    for (uint8_t i = 1; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i] == kind)
            return i;
    return 0;
}

size_t pack_chunk(uint8_t byte)
{
    static const size_t sizes[] = {512, 8, 64, 4096, 1, 13, 32768, 200};

    return sizes[byte % 8];
}

void pack_read(struct bytes data, struct stage_files *files, size_t *chunk)
{
    const uint8_t *p = data.data;
    const uint8_t *end = p + data.len;

    files->count = 0;
    *chunk = pack_chunk(data.len ? *p : 0);
    p += data.len > 0;
    while ((size_t)(end - p) >= PACK_HEADER && files->count < STAGE_FILES_MAX) {
        size_t len = (size_t)p[2] | (size_t)p[3] << 8 | (size_t)p[4] << 16;
        struct stage_file file = {kinds[p[0] % 6], p[1], {p + PACK_HEADER, 0}};

        if (len > (size_t)(end - p) - PACK_HEADER)
            len = (size_t)(end - p) - PACK_HEADER;
        file.data.len = len;
        p += PACK_HEADER + len;
        if (file.kind == FORMAT_CURRENT || file.kind == FORMAT_TEMPORARY)
            file.number = 0;
        if (file.kind != FORMAT_OTHER && !stage_find(files, file.kind, file.number))
            files->at[files->count++] = file;
    }
}

size_t pack_write(const struct stage_files *files, uint8_t chunk, uint8_t *out, size_t room)
{
    size_t size = 1;

    if (room)
        out[0] = chunk;
    for (size_t i = 0; i < files->count; i++) {
        const struct stage_file *file = &files->at[i];
        uint8_t *p = out + size;

        if (size > room || room - size < PACK_HEADER + file->data.len)
            return 0;
        p[0] = code_of(file->kind);
        p[1] = (uint8_t)file->number;
        p[2] = (uint8_t)file->data.len;
        p[3] = (uint8_t)(file->data.len >> 8);
        p[4] = (uint8_t)(file->data.len >> 16);
        if (file->data.len)
            memcpy(p + PACK_HEADER, file->data.data, file->data.len);
        size += PACK_HEADER + file->data.len;
    }
    return size;
}

static void mutate_file(struct stage_file *file, uint8_t *buffer, size_t room, struct rng *rng)
{
    size_t len = file->data.len < room ? file->data.len : room;

    if (len)
        memcpy(buffer, file->data.data, len);
    if (!rng_chance(rng, 1, 8))
        len = LLVMFuzzerMutate(buffer, len, room);
    if (file->kind == FORMAT_CURRENT)
        fix_current(buffer, len, rng);
    else if (file->kind == FORMAT_TABLE)
        fix_table(buffer, len, file->number, rng);
    else if (file->kind == FORMAT_MANIFEST || file->kind == FORMAT_LOG)
        len = fix_records(buffer, len, room, file->kind, file->number, rng);
    file->data = bytes_of(buffer, len);
}

size_t pack_mutate(uint8_t *data, size_t size, size_t size_max, unsigned seed, bool heads_only)
{
    struct rng rng = rng_seeded(seed);
    struct stage_files files;
    struct stage_file *file = NULL;
    uint8_t *buffer = malloc(2 * size_max + 1);
    uint8_t *whole = buffer + size_max;
    uint8_t byte = size ? data[0] : 0;
    size_t chunk = 0;
    size_t used = 0;

    must(buffer != NULL);
    pack_read(bytes_of(data, size), &files, &chunk);
    if (rng_chance(&rng, 1, 16))
        byte = (uint8_t)rng_next(&rng);
    if (files.count)
        file = &files.at[rng_below(&rng, files.count)];
    if (file && heads_only && (file->kind == FORMAT_LOG || file->kind == FORMAT_TABLE))
        file = (struct stage_file *)(void *)stage_find(&files, FORMAT_MANIFEST, 1);
    if (file && rng_chance(&rng, 1, 40))
        *file = files.at[--files.count];
    else if (file && rng_chance(&rng, 1, 40) && file->number)
        file->number = 1 + rng_below(&rng, 12);
    else if (file)
        mutate_file(file, buffer, size_max - size < 512 ? file->data.len : file->data.len + 256,
                    &rng);
    used = pack_write(&files, byte, whole, size_max);
    if (used)
        memcpy(data, whole, used);
    free(buffer);
    return used ? used : size;
}
