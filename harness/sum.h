/* sum.h: the checksum that hooks may ask for (PC_CRC32C): CRC-32C of Castagnoli as in RFC 3720,
 * appendix B.4. Of its own, so that the engine under test is not asked about itself. Pure; any
 * thread. */
#ifndef HARNESS_SUM_H
#define HARNESS_SUM_H

#include <stddef.h>
#include <stdint.h>

uint32_t sum_crc32c(const uint8_t *p, size_t len);

#endif
