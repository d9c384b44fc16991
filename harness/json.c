/* json.c: see json.h. The state is a stack of open objects and arrays; each value first writes the
 * comma that separates it from its elder, then itself. */
#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 1e15

static void append(struct json *json, const char *data, size_t len)
{
    if (json->size_max - json->len <= len) {
        size_t size = json->size_max ? json->size_max : 256;

        while (size - json->len <= len) {
            must(size <= SIZE_MAX / 2);
            size *= 2;
        }
        json->data = realloc(json->data, size);
        must(json->data);
        json->size_max = size;
    }
    memcpy(json->data + json->len, data, len);
    json->len += len;
    json->data[json->len] = '\0';
}

/* Separates the value that follows from the one before it, and checks that one may follow. */
static void value_begin(struct json *json)
{
    if (json->depth == 0) {
        must(json->len == 0);
        return;
    }
    if (json->is_object[json->depth - 1]) {
        must(json->after_key);
        json->after_key = false;
        return;
    }
    if (json->has_item[json->depth - 1])
        append(json, ",", 1);
    json->has_item[json->depth - 1] = true;
}

static void container_begin(struct json *json, bool is_object)
{
    value_begin(json);
    must(json->depth < JSON_DEPTH_MAX);
    json->is_object[json->depth] = is_object;
    json->has_item[json->depth] = false;
    json->depth++;
    append(json, is_object ? "{" : "[", 1);
}

static void container_end(struct json *json, bool is_object)
{
    must(json->depth > 0 && !json->after_key);
    must(json->is_object[json->depth - 1] == is_object);
    json->depth--;
    append(json, is_object ? "}" : "]", 1);
}

/* How many bytes at `p` are one well-formed character of UTF-8; 0 when they are none. Overlong
 * forms, surrogates and what lies beyond U+10FFFF are not well formed (RFC 3629). */
static size_t utf8_length(const uint8_t *p, size_t len)
{
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t need;

    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        need = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        need = 3;
        low = p[0] == 0xe0 ? 0xa0 : 0x80;
        high = p[0] == 0xed ? 0x9f : 0xbf;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        need = 4;
        low = p[0] == 0xf0 ? 0x90 : 0x80;
        high = p[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (len < need || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    }
    return need;
}

static void append_escape(struct json *json, uint8_t c)
{
    char text[8];

    switch (c) {
    case '"':
        append(json, "\\\"", 2);
        return;
    case '\\':
        append(json, "\\\\", 2);
        return;
    case '\n':
        append(json, "\\n", 2);
        return;
    case '\r':
        append(json, "\\r", 2);
        return;
    case '\t':
        append(json, "\\t", 2);
        return;
    default:
        snprintf(text, sizeof(text), "\\u%04x", c);
        append(json, text, 6);
        return;
    }
}

static void append_quoted(struct json *json, struct bytes text)
{
    size_t i = 0;

    append(json, "\"", 1);
    while (i < text.len) {
        uint8_t c = text.data[i];
        size_t n = utf8_length(text.data + i, text.len - i);

        if (n == 0 || c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
            append_escape(json, c);
            i++;
        } else {
            append(json, (const char *)text.data + i, n);
            i += n;
        }
    }
    append(json, "\"", 1);
}

void json_init(struct json *json)
{
    *json = (struct json){0};
}

void json_release(struct json *json)
{
    free(json->data);
    json_init(json);
}

void json_clear(struct json *json)
{
    json->len = 0;
    json->depth = 0;
    json->after_key = false;
    if (json->data)
        json->data[0] = '\0';
}

const char *json_written(const struct json *json)
{
    return json->data ? json->data : "";
}

void json_object_begin(struct json *json)
{
    container_begin(json, true);
}

void json_object_end(struct json *json)
{
    container_end(json, true);
}

void json_array_begin(struct json *json)
{
    container_begin(json, false);
}

void json_array_end(struct json *json)
{
    container_end(json, false);
}

void json_key(struct json *json, const char *name)
{
    must(json->depth > 0 && json->is_object[json->depth - 1]);
    must(!json->after_key);
    if (json->has_item[json->depth - 1])
        append(json, ",", 1);
    json->has_item[json->depth - 1] = true;
    append_quoted(json, bytes_str(name));
    append(json, ":", 1);
    json->after_key = true;
}

void json_text(struct json *json, const char *text)
{
    if (text)
        json_bytes(json, bytes_str(text));
    else
        json_none(json);
}

void json_bytes(struct json *json, struct bytes text)
{
    value_begin(json);
    append_quoted(json, text);
}

void json_u64(struct json *json, uint64_t value)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRIu64, value);

    value_begin(json);
    append(json, text, (size_t)n);
}

void json_i64(struct json *json, int64_t value)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRId64, value);

    value_begin(json);
    append(json, text, (size_t)n);
}

void json_bool(struct json *json, bool value)
{
    value_begin(json);
    append(json, value ? "true" : "false", value ? 4 : 5);
}

void json_none(struct json *json)
{
    value_begin(json);
    append(json, "null", 4);
}

void json_seconds(struct json *json, double seconds)
{
    char text[40];
    uint64_t thousandths;
    int n;

    /* Written so that NaN fails the test, too. */
    if (!(seconds > -SECONDS_MAX && seconds < SECONDS_MAX)) {
        json_none(json);
        return;
    }
    /* By hand: printf would take its decimal point from the locale. */
    thousandths = (uint64_t)((seconds < 0 ? -seconds : seconds) * 1000.0 + 0.5);
    n = snprintf(text, sizeof(text), "%s%" PRIu64 ".%03u", seconds < 0 && thousandths ? "-" : "",
                 thousandths / 1000, (unsigned)(thousandths % 1000));
    value_begin(json);
    append(json, text, (size_t)n);
}

void json_decimal(struct json *json, const char *digits)
{
    size_t sign = digits[0] == '-';
    size_t len = strlen(digits);

    must(len > sign && strspn(digits + sign, "0123456789") == len - sign);
    json_text(json, digits);
}

void json_key_text(struct json *json, const char *name, const char *text)
{
    json_key(json, name);
    json_text(json, text);
}

void json_key_bytes(struct json *json, const char *name, struct bytes text)
{
    json_key(json, name);
    json_bytes(json, text);
}

void json_key_u64(struct json *json, const char *name, uint64_t value)
{
    json_key(json, name);
    json_u64(json, value);
}

void json_key_i64(struct json *json, const char *name, int64_t value)
{
    json_key(json, name);
    json_i64(json, value);
}

void json_key_bool(struct json *json, const char *name, bool value)
{
    json_key(json, name);
    json_bool(json, value);
}

void json_key_seconds(struct json *json, const char *name, double seconds)
{
    json_key(json, name);
    json_seconds(json, seconds);
}

void json_key_decimal(struct json *json, const char *name, const char *digits)
{
    json_key(json, name);
    json_decimal(json, digits);
}

void json_key_value(struct json *json, const char *name, const char *value)
{
    must(*value != '\0');
    json_key(json, name);
    value_begin(json);
    append(json, value, strlen(value));
}

bool json_line(struct json *json, FILE *out)
{
    bool written;

    must(json->depth == 0 && json->len > 0);
    append(json, "\n", 1);
    written = fwrite(json->data, 1, json->len, out) == json->len;
    written = fflush(out) == 0 && written;
    json_clear(json);
    return written;
}
