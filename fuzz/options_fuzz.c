/* options_fuzz.c: the command line: words, each ended by a zero byte; the first names the command.
 *
 * A1  The answer is to go on, 0 (after --help) or 2.
 * A2  After 2 something has been said: whole lines, each begins with the program's name or goes
 *     on, indented, with the one above.
 *     Control characters in a word are printed as they came, so they are taken out here.
 * A3  To go on, every setting can be printed, as text and as JSON. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "target.h"

#define WORDS_MAX 32

static void check_said(int code, const char *said, size_t len)
{
    must(code == OPTIONS_GO || code == 0 || code == 2);
    if (code != 2)
        return;
    must(len > 1 && said[len - 1] == '\n');
    for (const char *line = said; line < said + len; line = strchr(line, '\n') + 1)
        must(strncmp(line, "powercut", 8) == 0 || strncmp(line, "  ", 2) == 0);
}

static void print_all(const struct options *options)
{
    struct json json = {0};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    must(out != NULL);
    options_print(options, out);
    options_json(options, &json);
    must(json_line(&json, out));
    fclose(out);
    json_release(&json);
    free(text);
}

static void try_words(char *command, int argc, char **argv)
{
    struct options options = {0};
    char *said = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&said, &len);
    int code = 0;

    must(out != NULL);
    options.out = options.err = out;
    code = options_parse(&options, command, argc, argv);
    fclose(out);
    check_said(code, said, len);
    if (code == OPTIONS_GO)
        print_all(&options);
    options_release(&options);
    free(said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS_MAX + 1] = {NULL};
    char *text = NULL;
    int count = 0;

    if (size > 4096)
        return 0;
    text = malloc(size + 1);
    must(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    for (size_t i = 0; i < size; i++)
        if (text[i] && iscntrl((unsigned char)text[i]))
            text[i] = '-';
    for (char *p = text; p < text + size && count < WORDS_MAX; p += strlen(p) + 1)
        words[count++] = p;
    if (count && options_command_known(words[0]))
        try_words(words[0], count, words);
    else if (count)
        options_command_nearest(words[0]);
    free(text);
    return 0;
}
