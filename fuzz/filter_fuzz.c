/* filter_fuzz.c: the Bloom filter of a table. First byte: bits per key. Second byte: an even one,
 * and keys follow, each behind its length; an odd one, and a hash of eight bytes and a filter.
 *
 * F1  The filter of some keys has the bytes that the plain builder gives it.
 * F2  It holds every one of them.
 * F3  Of any bytes as a filter, the answer is that of the plain reader; bytes that cannot be a
 *     filter hold everything. No byte outside is read. */
#include <stdlib.h>
#include <string.h>

#include "bloom.h"
#include "stage.h"
#include "target.h"

#define KEYS_MAX 512u

/* Calls `each` with the number of every bit that a hash stands for. */
static bool plain_bits(size_t lines, unsigned probes, uint64_t hash, uint8_t *set,
                       const uint8_t *ask)
{
    uint64_t line = (hash >> 32) * lines / ((uint64_t)1 << 32);
    uint64_t low = hash % ((uint64_t)1 << 32);
    bool all = true;

    for (unsigned p = 0; p < probes; p++) {
        uint64_t bit = line * 512 + low / ((uint64_t)1 << 23);

        if (set)
            set[bit / 8] |= (uint8_t)(1u << bit % 8);
        if (ask)
            all &= ask[bit / 8] >> bit % 8 & 1;
        low = (low * 0x9e3779b1u + 0x7f4a7c15u) % ((uint64_t)1 << 32);
    }
    return all;
}

static void check_built(struct bytes filter, const uint64_t *hashes, size_t count, unsigned bits)
{
    size_t lines = (filter.len - 1) / BLOOM_LINE;
    unsigned probes = filter.data[filter.len - 1];
    uint8_t *plain = calloc(1, filter.len);

    must(plain != NULL);
    must(filter.len % BLOOM_LINE == 1 && lines >= 1);
    must(lines * 512 >= count * bits && (lines == 1 || (lines - 1) * 512 < count * bits));
    must(probes >= 1 && probes <= 16);
    for (size_t i = 0; i < count; i++)
        plain_bits(lines, probes, hashes[i], plain, NULL);
    plain[filter.len - 1] = (uint8_t)probes;
    must(memcmp(plain, filter.data, filter.len) == 0); /* F1 */
    for (size_t i = 0; i < count; i++)
        must(bloom_may_hold(filter, hashes[i])); /* F2 */
    free(plain);
}

static void build(unsigned bits, struct bytes input)
{
    uint64_t hashes[KEYS_MAX];
    struct buffer out = {0};
    struct env env;
    size_t count = 0;

    while (input.len && count < KEYS_MAX) {
        size_t len = input.data[0] < input.len ? input.data[0] : input.len - 1;

        hashes[count++] = bloom_hash(bytes_of(input.data + 1, len));
        input = bytes_of(input.data + 1 + len, input.len - 1 - len);
    }
    must(env_init(&env, "/fuzz", stage_allocator(), NULL) == VAULT_OK);
    must(bloom_build(&env, hashes, count, bits, &out) == VAULT_OK);
    check_built(buffer_bytes(&out), hashes, count, bits);
    buffer_release(&env, &out);
    env_release(&env);
    stage_forget();
}

static void ask(struct bytes input)
{
    uint64_t hash = 0;
    struct bytes filter;
    bool expected = true;

    if (input.len < 8)
        return;
    hash = load_u64(input.data);
    filter = bytes_of(input.data + 8, input.len - 8);
    if (filter.len > BLOOM_LINE && filter.len % BLOOM_LINE == 1)
        expected = plain_bits(filter.len / BLOOM_LINE, filter.data[filter.len - 1], hash, NULL,
                              filter.data);
    must(bloom_may_hold(filter, hash) == expected); /* F3 */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > TARGET_SIZE_MAX)
        return 0;
    if (data[1] % 2)
        ask(bytes_of(data + 2, size - 2));
    else
        build(1u + data[0] % 40, bytes_of(data + 2, size - 2));
    return 0;
}
