/* values.c: see values.h. */
#include "values.h"

#include <ctype.h>
#include <string.h>

#include "base/rng.h"

void value_bytes(struct value value, uint8_t *out)
{
    char tag[32];
    size_t n;
    struct rng rng = rng_seeded(value.seed);

    if (value.text) {
        memcpy(out, value.text, value.len);
        return;
    }
    n = (size_t)snprintf(tag, sizeof tag, "u%u.%u:", (unsigned)value.seed, (unsigned)value.len);
    if (n > value.len)
        n = value.len;
    memcpy(out, tag, n);
    while (n < value.len) {
        uint64_t word = rng_next(&rng);
        size_t part = value.len - n < 8 ? value.len - n : 8;

        /* Half of the words repeat, so that compression has something to do. */
        if (n >= 8 + 8 && (word & 1))
            memcpy(out + n, out + n - 8, part);
        else
            memcpy(out + n, &word, part);
        n += part;
    }
}

size_t values_key(uint32_t set, uint32_t index, uint8_t *out)
{
    uint64_t h = rng_mix((uint64_t)set << 32 | index);

    switch (set % 3 == 0 ? 0 : index % 16) {
    case 1:
        return index == 1 ? 0 : (size_t)snprintf((char *)out, 64, "k%u", (unsigned)index);
    case 5: /* differ behind a zero byte */
        memcpy(out, "z\0a", 3);
        out[3] = (uint8_t)index;
        return 4;
    case 9: {
        size_t len = 20 + h % 40;

        memset(out, 'p', len);
        out[len - 1] = (uint8_t)index;
        return len;
    }
    case 13:
        out[0] = 0xff;
        out[1] = (uint8_t)index;
        out[2] = 0;
        return 1 + h % 2 + (index > 16);
    default:
        return (size_t)snprintf((char *)out, 64, "k%02u", (unsigned)index);
    }
}

static int is_bare(struct bytes bytes)
{
    if (bytes.len == 0)
        return 0;
    for (size_t i = 0; i < bytes.len; i++)
        if (!isalnum(bytes.data[i]) && !strchr("_.-/", bytes.data[i]))
            return 0;
        else if (bytes.data[i] == '\0')
            return 0;
    return 1;
}

void values_print(FILE *out, struct bytes bytes)
{
    if (is_bare(bytes)) {
        fwrite(bytes.data, 1, bytes.len, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.data[i];

        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
            fputc(c, out);
        else
            fprintf(out, "\\x%02x", c);
    }
    fputc('"', out);
}

static int hex(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static long parse_quoted(const char **text, uint8_t *out, size_t room)
{
    const char *p = *text + 1;
    size_t n = 0;

    for (; *p != '"'; p++) {
        int c = (unsigned char)*p;

        *text = p;
        if (c == '\0' || n == room)
            return -1;
        if (c == '\\') {
            if (p[1] != 'x' || hex(p[2]) < 0 || hex(p[3]) < 0)
                return -1;
            c = hex(p[2]) * 16 + hex(p[3]);
            p += 3;
        }
        out[n++] = (uint8_t)c;
    }
    *text = p + 1;
    return (long)n;
}

long values_parse(const char **text, uint8_t *out, size_t room)
{
    size_t n = 0;

    while (**text == ' ' || **text == '\t')
        (*text)++;
    if (**text == '"')
        return parse_quoted(text, out, room);
    while (**text && **text != ' ' && **text != '\t') {
        if (n == room)
            return -1;
        out[n++] = (uint8_t) * (*text)++;
    }
    return n ? (long)n : -1;
}
