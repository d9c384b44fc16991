/* standalone_mutate.c: the mutations of bytes that libFuzzer would offer, in a plain form, drawn
 * from standalone_rng: insert, erase, copy, boundary numbers, single bits and bytes. */
#include <string.h>

#include "standalone.h"
#include "target.h"

struct rng standalone_rng;

static size_t insert(uint8_t *p, size_t len, size_t size_max)
{
    size_t at = (size_t)rng_below(&standalone_rng, len + 1);
    size_t n = 1 + (size_t)rng_below(&standalone_rng, rng_chance(&standalone_rng, 1, 4) ? 64 : 8);
    uint8_t fill =
        rng_chance(&standalone_rng, 1, 2) && len ? p[rng_below(&standalone_rng, len)] : 0;

    if (size_max - len < n)
        return len;
    memmove(p + at + n, p + at, len - at);
    for (size_t i = 0; i < n; i++)
        p[at + i] = fill ? fill : (uint8_t)rng_next(&standalone_rng);
    return len + n;
}

static size_t erase(uint8_t *p, size_t len)
{
    size_t at = (size_t)rng_below(&standalone_rng, len);
    size_t n = 1 + (size_t)rng_below(&standalone_rng, rng_chance(&standalone_rng, 1, 4) ? 64 : 8);

    if (n > len - at)
        n = len - at;
    memmove(p + at, p + at + n, len - at - n);
    return len - n;
}

static void copy_within(uint8_t *p, size_t len)
{
    size_t from = (size_t)rng_below(&standalone_rng, len);
    size_t to = (size_t)rng_below(&standalone_rng, len);
    size_t n = 1 + (size_t)rng_below(&standalone_rng, 32);

    if (n > len - from)
        n = len - from;
    if (n > len - to)
        n = len - to;
    memmove(p + to, p + from, n);
}

static void set_number(uint8_t *p, size_t len)
{
    static const uint64_t numbers[] = {0,       1,          2,          7,          8,
                                       0x7f,    0x80,       0xff,       0x7fff,     0xffff,
                                       0x10000, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX};
    uint64_t value = numbers[rng_below(&standalone_rng, sizeof numbers / sizeof numbers[0])];
    size_t width = (size_t)1 << rng_below(&standalone_rng, 4);
    size_t at = (size_t)rng_below(&standalone_rng, len);

    for (size_t i = 0; i < width && at + i < len; i++)
        p[at + i] = (uint8_t)(value >> (8 * i));
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max)
{
    uint64_t what = rng_below(&standalone_rng, 8);

    if (what == 0 || size == 0)
        return insert(data, size, size_max);
    if (what == 1)
        return erase(data, size);
    if (what == 2)
        copy_within(data, size);
    else if (what == 3)
        set_number(data, size);
    else if (what == 4)
        data[rng_below(&standalone_rng, size)] += (uint8_t)(rng_below(&standalone_rng, 33) - 16);
    else if (what == 5)
        data[rng_below(&standalone_rng, size)] = (uint8_t)rng_next(&standalone_rng);
    else
        data[rng_below(&standalone_rng, size)] ^= (uint8_t)(1u << rng_below(&standalone_rng, 8));
    return size;
}
