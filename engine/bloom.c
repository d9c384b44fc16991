/* bloom.c: a Bloom filter in lines of 64 bytes.
 *
 * The high half of a key's hash picks the line, the low half the bits in it, nine bits a probe
 * after a multiplication. Blocking costs some precision (about 1.2 % false positives at ten bits a
 * key instead of 0.8 %) and saves all cache misses but one.
 *
 * F1  The hash is part of the file format: it is spelled out in FORMAT.md and must not change
 *     without a new format version. It reads bytes, never words in the machine's order.
 * F2  Every key added to a table is in its filter; a key is hashed when it is added (K17). */
#include "bloom.h"

uint64_t bloom_hash(struct bytes key)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ (uint64_t)key.len * 0xff51afd7ed558ccdu;
    size_t i = 0;

    for (; key.len - i >= 8; i += 8) {
        h = (h ^ load_u64(key.data + i)) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    if (i < key.len) {
        uint64_t word = 0;

        for (size_t j = 0; i + j < key.len; j++)
            word |= (uint64_t)key.data[i + j] << (8 * j);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    h = (h ^ (h >> 29)) * 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 32);
}

static size_t line_of(uint64_t hash, size_t lines)
{
    return (size_t)(((hash >> 32) * (uint64_t)lines) >> 32);
}

enum vault_status bloom_build(struct env *env, const uint64_t *hashes, size_t count,
                              unsigned bits_per_key, struct buffer *out)
{
    size_t lines = (count * bits_per_key + 8 * BLOOM_LINE - 1) / (8 * BLOOM_LINE);
    unsigned probes = bits_per_key * 69 / 100; /* ln 2 */
    enum vault_status st = VAULT_OK;
    uint8_t *bits = NULL;

    must(count < UINT32_MAX);
    probes = probes < 1 ? 1 : probes > 16 ? 16 : probes;
    lines = lines ? lines : 1;
    st = buffer_reserve(env, out, lines * BLOOM_LINE + 1);
    if (st)
        return st;
    bits = out->data + out->len;
    memset(bits, 0, lines * BLOOM_LINE);
    for (size_t i = 0; i < count; i++) {
        uint8_t *line = bits + line_of(hashes[i], lines) * BLOOM_LINE;
        uint32_t low = (uint32_t)hashes[i];

        for (unsigned p = 0; p < probes; p++) {
            line[low >> 26] |= (uint8_t)(1u << (low >> 23 & 7));
            low = low * 0x9e3779b1u + 0x7f4a7c15u;
        }
    }
    bits[lines * BLOOM_LINE] = (uint8_t)probes;
    out->len += lines * BLOOM_LINE + 1;
    return VAULT_OK;
}

bool bloom_may_hold(struct bytes filter, uint64_t hash)
{
    size_t lines = filter.len / BLOOM_LINE;
    const uint8_t *line = NULL;
    uint32_t low = (uint32_t)hash;

    if (filter.len % BLOOM_LINE != 1 || lines == 0 || lines > UINT32_MAX)
        return true;
    line = filter.data + line_of(hash, lines) * BLOOM_LINE;
    for (unsigned p = 0; p < filter.data[filter.len - 1]; p++) {
        if (!(line[low >> 26] & 1u << (low >> 23 & 7)))
            return false;
        low = low * 0x9e3779b1u + 0x7f4a7c15u;
    }
    return true;
}
