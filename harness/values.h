/* values.h: keys and values as the traces name them, and as bytes.
 *
 * A value is {len, seed}: its bytes follow from the two, and begin with the seed in text, so that a
 * recovered value names its writer. A trace gives every write a seed of its own. A literal value is
 * kept as text. Keys are byte strings of an interned table. */
#ifndef HARNESS_VALUES_H
#define HARNESS_VALUES_H

#include <stdio.h>

#include "base/bytes.h"

struct value {
    uint32_t len;
    uint32_t seed;
    const char *text; /* a literal; NULL: made from the seed. Owned by the trace */
};

/* Fills `out`, which has room for value.len bytes. */
void value_bytes(struct value value, uint8_t *out);

#define VALUES_KEYS_MAX 256u

/* The key of an index: short keys with common prefixes, among them the empty key, keys that differ
 * behind a zero byte, and long ones. Deterministic; room for 64 bytes in `out`. */
size_t values_key(uint32_t set, uint32_t index, uint8_t *out);

/* A word of a .crash file: bare, or in quotes with \xNN. */
void values_print(FILE *out, struct bytes bytes);
/* Parses one word at *text (after blanks) into `out`; answers its length, or -1 with *text at the
 * offending place. */
long values_parse(const char **text, uint8_t *out, size_t room);

#endif
