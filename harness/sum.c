/* sum.c: by the instruction where the processor has it, else bit by bit into a table. */
#include "sum.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u

static uint32_t by_table(const uint8_t *p, size_t len)
{
    static uint32_t table[256];
    static bool made;
    uint32_t crc = ~0u;

    for (uint32_t i = 0; !made && i < 256; i++) {
        uint32_t value = i;

        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
        table[i] = value;
    }
    made = true;
    while (len-- > 0)
        crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(const uint8_t *p, size_t len)
{
    uint64_t crc = ~0u, word;

    for (; len >= 8; len -= 8, p += 8) {
        memcpy(&word, p, 8);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    while (len-- > 0)
        crc = __builtin_ia32_crc32qi((uint32_t)crc, *p++);
    return ~(uint32_t)crc;
}

uint32_t sum_crc32c(const uint8_t *p, size_t len)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(p, len) : by_table(p, len);
}
#else
uint32_t sum_crc32c(const uint8_t *p, size_t len)
{
    return by_table(p, len);
}
#endif
