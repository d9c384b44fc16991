/* format.c: names of files: see format.h. Numbers have six digits at least and no leading zero
 * beyond that, so that name and number determine each other. Thread safety: pure functions. */
#include <string.h>
#include "format.h"

static size_t put_number(char *to, uint64_t number)
{
    char digits[24];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number || n < 6);
    for (size_t i = 0; i < n; i++)
        to[i] = digits[n - 1 - i];
    return n;
}

void format_name(enum format_file kind, uint64_t number, char name[OS_NAME_MAX])
{
    const char *suffix = kind == FORMAT_LOG ? ".log" : kind == FORMAT_TABLE ? ".sst" : "";
    size_t len = 0;

    must(kind == FORMAT_LOG || kind == FORMAT_TABLE || kind == FORMAT_MANIFEST);
    if (kind == FORMAT_MANIFEST) {
        memcpy(name, "MANIFEST-", 9);
        len = 9;
    }
    len += put_number(name + len, number);
    memcpy(name + len, suffix, strlen(suffix) + 1);
}

enum format_file format_parse(const char *name, uint64_t *number)
{
    enum format_file kind = FORMAT_OTHER;
    char again[OS_NAME_MAX];
    const char *digits = name;
    uint64_t n = 0;
    size_t count = 0;

    *number = 0;
    if (!strcmp(name, FORMAT_NAME_LOCK))
        return FORMAT_LOCK;
    if (!strcmp(name, FORMAT_NAME_CURRENT))
        return FORMAT_CURRENT;
    if (!strcmp(name, FORMAT_NAME_TEMPORARY))
        return FORMAT_TEMPORARY;
    if (!strncmp(name, "MANIFEST-", 9)) {
        kind = FORMAT_MANIFEST;
        digits += 9;
    }
    for (; digits[count] >= '0' && digits[count] <= '9'; count++) {
        if (count == 18)
            return FORMAT_OTHER;
        n = n * 10 + (uint64_t)(digits[count] - '0');
    }
    if (kind == FORMAT_OTHER && !strcmp(digits + count, ".log"))
        kind = FORMAT_LOG;
    else if (kind == FORMAT_OTHER && !strcmp(digits + count, ".sst"))
        kind = FORMAT_TABLE;
    if (kind == FORMAT_OTHER || count == 0)
        return FORMAT_OTHER;
    format_name(kind, n, again);
    if (strcmp(again, name))
        return FORMAT_OTHER;
    *number = n;
    return kind;
}
