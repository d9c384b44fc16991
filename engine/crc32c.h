/* crc32c.h: CRC-32C (Castagnoli polynomial, reflected 0x82f63b78, initial and final complement).
 * crc(crc(0, a), b) is the sum of a followed by b. Thread safety: pure functions. */
#ifndef ENGINE_CRC32C_H
#define ENGINE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c_table(uint32_t sum, const uint8_t *p, size_t len);

/* The fastest variant of this machine. A handle asks once and keeps the answer. */
uint32_t (*crc32c_choose(void))(uint32_t sum, const uint8_t *p, size_t len);

#endif
