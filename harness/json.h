/* json.h: an append-only writer of JSON into a buffer that grows. Commas and colons come by
 * themselves; begin and end must pair, and a key comes before each value of an object (`must`
 * otherwise). Text may be any bytes: what is not valid UTF-8 is written byte by byte as \u00XX, as
 * if it were Latin-1, so every line can be read back. There are no doubles but json_seconds: the
 * output of a run must not depend on how a library prints a fraction. Names that jansson has taken
 * (json_string, json_null) are avoided, since programs here link both.
 *
 * Ownership: the caller's struct, {0} to begin with; json_release frees the buffer. Running out of
 * memory aborts. Thread safety: none; one writer, one thread. */
#ifndef HARNESS_JSON_H
#define HARNESS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"

#define JSON_DEPTH_MAX 32

struct json {
    char *data; /* len bytes, then a zero byte; NULL while nothing was written */
    size_t len;
    size_t size_max; /* bytes of the allocation */
    unsigned depth;  /* open objects and arrays */
    bool is_object[JSON_DEPTH_MAX];
    bool has_item[JSON_DEPTH_MAX];
    bool after_key; /* a key waits for its value */
};

void json_init(struct json *json);
void json_release(struct json *json);
void json_clear(struct json *json); /* empties it; the memory stays */
/* What was written so far; a view until the next call. "" when nothing was. */
const char *json_written(const struct json *json);

void json_object_begin(struct json *json);
void json_object_end(struct json *json);
void json_array_begin(struct json *json);
void json_array_end(struct json *json);
void json_key(struct json *json, const char *name);

void json_text(struct json *json, const char *text); /* NULL: null */
void json_bytes(struct json *json, struct bytes text);
void json_u64(struct json *json, uint64_t value);
void json_i64(struct json *json, int64_t value);
void json_bool(struct json *json, bool value);
void json_none(struct json *json);
/* Three decimals. What is not a number, or beyond 10^15, becomes null. */
void json_seconds(struct json *json, double seconds);
/* A whole number of any length as a string: "123456789012345678901234567890". */
void json_decimal(struct json *json, const char *digits);

/* A key and its value. */
void json_key_text(struct json *json, const char *name, const char *text);
void json_key_bytes(struct json *json, const char *name, struct bytes text);
void json_key_u64(struct json *json, const char *name, uint64_t value);
void json_key_i64(struct json *json, const char *name, int64_t value);
void json_key_bool(struct json *json, const char *name, bool value);
void json_key_seconds(struct json *json, const char *name, double seconds);
void json_key_decimal(struct json *json, const char *name, const char *digits);

/* A finished value, as another writer made it: not looked at. */
void json_key_value(struct json *json, const char *name, const char *value);

/* Writes the finished value and a newline to `out`, flushes it and empties the buffer. False: the
 * write failed (errno says how); the buffer is empty then, too. */
MUST_USE bool json_line(struct json *json, FILE *out);

#endif
