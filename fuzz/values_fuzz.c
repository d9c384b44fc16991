/* values_fuzz.c: the words of a .crash file that name keys and values.
 *
 * V1  Any bytes, printed, are parsed as the same bytes, and the parse ends where the print ended.
 * V2  Any text that is parsed as bytes gives, printed and parsed, these bytes; the parse never runs
 *     past the end of the text or of the room. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target.h"
#include "values.h"

static void print_and_parse(struct bytes bytes)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    uint8_t *again = malloc(bytes.len + 1);
    const char *at = NULL;
    long n = 0;

    must(out != NULL && again != NULL);
    values_print(out, bytes);
    fclose(out);
    at = text;
    n = values_parse(&at, again, bytes.len);
    must(n == (long)bytes.len && at == text + len);
    must(bytes_equal(bytes_of(again, bytes.len), bytes));
    free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = NULL;
    const char *at = NULL;
    uint8_t out[64];
    long n = 0;

    if (size > TARGET_SIZE_MAX)
        return 0;
    print_and_parse(bytes_of(data, size)); /* V1 */
    text = malloc(size + 1);
    must(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    for (at = text; *at && n >= 0;) { /* V2 */
        const char *before = at;

        n = values_parse(&at, out, sizeof out);
        must(n <= (long)sizeof out && at <= text + size);
        if (n >= 0) {
            must(at > before);
            print_and_parse(bytes_of(out, (size_t)n));
        }
    }
    free(text);
    return 0;
}
