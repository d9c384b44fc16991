/* crc_fuzz.c: CRC-32C. First byte: where the rest is cut in two, and how it is aligned.
 *
 * K1  The table, and whichever variant this machine chooses, give what a loop over single bits
 *     gives, from whatever address.
 * K2  The sum of a followed by b is the sum of b begun with that of a. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crc32c.h"
#include "target.h"

/* The polynomial, one bit at a time (RFC 3720, appendix B.4). */
static uint32_t by_bits(uint32_t sum, struct bytes bytes)
{
    uint32_t c = ~sum;

    for (size_t i = 0; i < bytes.len; i++) {
        c ^= bytes.data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
    }
    return ~c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t (*chosen)(uint32_t, const uint8_t *, size_t) = crc32c_choose();
    size_t len = size ? size - 1 : 0;
    size_t shift = size ? data[0] % 16 : 0;
    size_t cut = size ? (size_t)data[0] * len / 255 : 0;
    uint8_t *copy = malloc(len + shift + 1);
    struct bytes bytes;
    uint32_t sum = 0;

    must(copy != NULL);
    if (len)
        memcpy(copy + shift, data + 1, len);
    bytes = bytes_of(copy + shift, len);
    sum = by_bits(0, bytes);
    must(crc32c_table(0, bytes.data, len) == sum); /* K1 */
    must(chosen(0, bytes.data, len) == sum);
    must(chosen(chosen(0, bytes.data, cut), bytes.data + cut, len - cut) == sum); /* K2 */
    must(crc32c_table(crc32c_table(0, bytes.data, cut), bytes.data + cut, len - cut) == sum);
    must(by_bits(by_bits(0, bytes_of(bytes.data, cut)), bytes_of(bytes.data + cut, len - cut)) ==
         sum);
    free(copy);
    return 0;
}
