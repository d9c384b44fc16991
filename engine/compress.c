/* compress.c: LZ4 and Zstandard, each where its library was found.
 *
 *   stored   raw length u32, then what the library made
 *
 * Z1  The length comes from a disk: it is bounded by a multiple of the stored bytes before memory
 *     is asked for, and what comes out has to have exactly that length. A block that would break
 *     the bound is written raw. */
#include "compress.h"
#ifdef MINIVAULT_LZ4
#include <lz4.h>
#endif
#ifdef MINIVAULT_ZSTD
#include <zstd.h>
#endif

#define HEAD      4u
#define RATIO_MAX 4096u /* Z1 */

bool compress_known(unsigned type)
{
#ifdef MINIVAULT_LZ4
    if (type == FORMAT_BLOCK_LZ4)
        return true;
#endif
#ifdef MINIVAULT_ZSTD
    if (type == FORMAT_BLOCK_ZSTD)
        return true;
#endif
    return type == FORMAT_BLOCK_RAW;
}

/* The most that `len` bytes can become; 0: too many for the method. */
static size_t bound_of(unsigned type, size_t len)
{
#ifdef MINIVAULT_LZ4
    if (type == FORMAT_BLOCK_LZ4)
        return len <= LZ4_MAX_INPUT_SIZE ? (size_t)LZ4_compressBound((int)len) : 0;
#endif
#ifdef MINIVAULT_ZSTD
    if (type == FORMAT_BLOCK_ZSTD)
        return ZSTD_compressBound(len);
#endif
    return 0;
}

/* 0: it did not go. */
static size_t squeeze(unsigned type, struct bytes raw, uint8_t *to, size_t room)
{
#ifdef MINIVAULT_LZ4
    if (type == FORMAT_BLOCK_LZ4) {
        int len = LZ4_compress_default((const char *)raw.data, (char *)to, (int)raw.len, (int)room);

        return len > 0 ? (size_t)len : 0;
    }
#endif
#ifdef MINIVAULT_ZSTD
    if (type == FORMAT_BLOCK_ZSTD) {
        size_t len = ZSTD_compress(to, room, raw.data, raw.len, 1);

        return ZSTD_isError(len) ? 0 : len;
    }
#endif
    return 0;
}

enum vault_status compress_block(struct env *env, unsigned *type, struct bytes raw,
                                 struct buffer *out)
{
    size_t bound = bound_of(*type, raw.len);
    size_t len = 0;
    enum vault_status st = VAULT_OK;

    if (*type == FORMAT_BLOCK_RAW || !bound || raw.len > UINT32_MAX) {
        *type = FORMAT_BLOCK_RAW;
        return VAULT_OK;
    }
    st = buffer_reserve(env, out, HEAD + bound);
    if (st)
        return st;
    len = squeeze(*type, raw, out->data + out->len + HEAD, bound);
    if (!len || HEAD + len > raw.len - raw.len / 8 || raw.len / RATIO_MAX > HEAD + len) {
        *type = FORMAT_BLOCK_RAW;
        return VAULT_OK;
    }
    store_u32(out->data + out->len, (uint32_t)raw.len);
    out->len += HEAD + len;
    return VAULT_OK;
}

size_t compress_raw_len(struct bytes stored)
{
    size_t len = stored.len > HEAD ? load_u32(stored.data) : 0;

    return len / RATIO_MAX > stored.len ? 0 : len;
}

bool compress_undo(unsigned type, struct bytes stored, uint8_t *to, size_t len)
{
    const uint8_t *from = stored.data + HEAD;
    size_t from_len = stored.len - HEAD;

    must(stored.len > HEAD);
    (void)from;
    (void)from_len;
#ifdef MINIVAULT_LZ4
    if (type == FORMAT_BLOCK_LZ4)
        return from_len <= INT32_MAX && len <= LZ4_MAX_INPUT_SIZE &&
               LZ4_decompress_safe((const char *)from, (char *)to, (int)from_len, (int)len) ==
                   (int)len;
#endif
#ifdef MINIVAULT_ZSTD
    if (type == FORMAT_BLOCK_ZSTD)
        return ZSTD_decompress(to, len, from, from_len) == len;
#endif
    return false;
}
