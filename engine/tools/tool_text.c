/* tool_text.c: bytes as people type and read them.
 *
 * The notation: \\ \n \t \r \0 \" \' \# "\ " and \xNN for any byte. Printed are as they stand all
 * characters of well-formed UTF-8 that are not controls; so a terminal cannot be steered by a
 * value, and what is printed can be typed. */
#include "tool.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}

void text_add(struct text *t, const void *data, size_t len)
{
    if (t->len + len + 1 > t->cap) {
        size_t cap = (t->len + len + 1) * 2;
        char *grown = realloc(t->data, cap);

        if (!grown) {
            fputs("minivault: no memory\n", stderr);
            exit(TOOL_FAILED);
        }
        t->data = grown;
        t->cap = cap;
    }
    if (len)
        memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = '\0';
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *found = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* One escape at from[0] == '\\'; `used` says how many letters it has. */
static const char *take_escape(struct text *to, const char *from, size_t len, size_t *used)
{
    static const char letters[] = "\\ntr0\"'# ";
    static const char meanings[] = "\\\n\t\r\0\"'# ";
    const char *found;
    char byte;

    *used = 2;
    if (len < 2)
        return "a backslash at the end; write \\\\ for one";
    found = from[1] ? strchr(letters, from[1]) : NULL;
    if (found) {
        text_add(to, &meanings[found - letters], 1);
        return NULL;
    }
    if (from[1] != 'x')
        return "an unknown escape; there are \\\\ \\n \\t \\r \\0 \\\" \\' \\# and \\xNN";
    if (len < 4 || hex_digit(from[2]) < 0 || hex_digit(from[3]) < 0)
        return "\\x wants two hexadecimal digits";
    byte = (char)(hex_digit(from[2]) * 16 + hex_digit(from[3]));
    text_add(to, &byte, 1);
    *used = 4;
    return NULL;
}

const char *text_unescape(struct text *to, const char *from, size_t len)
{
    text_add(to, "", 0);
    for (size_t i = 0; i < len;) {
        size_t used = 1;
        const char *wrong = NULL;

        if (from[i] == '\\')
            wrong = take_escape(to, from + i, len - i, &used);
        else
            text_add(to, from + i, 1);
        if (wrong)
            return wrong;
        i += used;
    }
    return NULL;
}

/* Bytes of the well-formed UTF-8 character at p that may be shown; 0: none. */
static size_t shown(const unsigned char *p, size_t len)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (n == 0 || n > len || p[0] > 0xf4 || p[0] < 0x20 || p[0] == 0x7f)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if (p[0] == 0xe0 && p[1] < 0xa0) /* longer than it need be */
        return 0;
    if (p[0] == 0xed && p[1] >= 0xa0) /* half of a pair of UTF-16 */
        return 0;
    if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))
        return 0;
    if (p[0] == 0xc2 && p[1] < 0xa0) /* the controls U+0080 to U+009F */
        return 0;
    return n;
}

void print_escaped(FILE *out, const void *data, size_t len, bool line)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < len;) {
        size_t n = shown(p + i, len - i);

        if (p[i] == '\\')
            fputs("\\\\", out);
        else if (p[i] == '\n')
            fputs("\\n", out);
        else if (p[i] == '\t')
            fputs("\\t", out);
        else if (p[i] == '\r')
            fputs("\\r", out);
        else if (n == 0 || (line && i == 0 && p[i] == '#'))
            fprintf(out, "\\x%02x", p[i]);
        else
            fwrite(p + i, 1, n, out);
        i += n ? n : 1;
    }
}

/* Valid UTF-8, controls included: JSON can hold it. */
static bool is_utf8(const unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = shown(p + i, len - i);

        if (n == 0 && (p[i] < 0x80 || (p[i] == 0xc2 && len - i > 1 && (p[i + 1] & 0xc0) == 0x80)))
            n = p[i] < 0x80 ? 1 : 2;
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

void print_json_bytes(FILE *out, const char *name, const void *data, size_t len)
{
    const unsigned char *p = data;

    if (!is_utf8(p, len)) {
        fprintf(out, ",\"%s_hex\":\"", name);
        for (size_t i = 0; i < len; i++)
            fprintf(out, "%02x", p[i]);
        fputc('"', out);
        return;
    }
    fprintf(out, ",\"%s\":\"", name);
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '"' || p[i] == '\\')
            fprintf(out, "\\%c", p[i]);
        else if (p[i] < 0x20 || p[i] == 0x7f)
            fprintf(out, "\\u%04x", p[i]);
        else
            fputc(p[i], out);
    }
    fputc('"', out);
}

/* ---- words of a line ---- */

void words_free(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        text_free(&words->at[i]);
    words->count = 0;
}

/* Takes one word at *p; quotes may be anywhere in it. In single quotes nothing is an escape. */
static const char *take_word(struct text *word, const char **p)
{
    char quote = '\0';

    text_add(word, "", 0);
    for (; **p && (quote || !isspace((unsigned char)**p)); (*p)++) {
        size_t used = 1;

        if (quote ? **p == quote : (**p == '"' || **p == '\'')) {
            quote = quote ? '\0' : **p;
        } else if (**p == '\\' && quote != '\'') {
            const char *wrong = take_escape(word, *p, strlen(*p), &used);

            if (wrong)
                return wrong;
            *p += used - 1;
        } else {
            text_add(word, *p, 1);
        }
    }
    return quote ? "a quote is not closed" : NULL;
}

const char *words_cut(struct words *words, const char *line)
{
    words->count = 0;
    for (;;) {
        const char *wrong;

        line += strspn(line, " \t\r\n");
        if (!*line || (*line == '#' && words->count == 0))
            return NULL;
        if (words->count == WORDS_MAX)
            return "too many words";
        words->at[words->count] = (struct text){0};
        wrong = take_word(&words->at[words->count++], &line);
        if (wrong)
            return wrong;
    }
}
