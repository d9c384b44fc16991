/* options.c: see options.h. The numbers of options on the command line are those of the table; for
 * getopt_long, option i has the value LONG_BASE + i, so that its answer names the option whether it
 * was written long or short. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define LONG_BASE    1000
#define VALUE_HELP   999
#define ENV_MAX      64
#define NAME_LEN_MAX 40
#define HELP_COLUMN  30
#define HELP_WIDTH   96
#define EXIT_USAGE   2

static const struct option_command command_table[] = {
#define COMMAND(name, operands, help) {name, operands, help},
#include "options.def"
#undef COMMAND
};

static const struct option_spec spec_table[] = {
#define OPTION(name, letter, kind, argument, fallback, commands, help)                             \
    {name, letter, OPTION_##kind, argument, fallback, commands, help},
#include "options.def"
#undef OPTION
};

static const struct option_table own_table = {
    "powercut",
    command_table,
    sizeof(command_table) / sizeof(command_table[0]),
    spec_table,
    sizeof(spec_table) / sizeof(spec_table[0]),
};

_Static_assert(sizeof(spec_table) / sizeof(spec_table[0]) <= OPTIONS_MAX, "raise OPTIONS_MAX");

/* ---- words ---- */

static bool in_words(const char *words, const char *word, const char *separators)
{
    size_t len = strlen(word);

    while (*words) {
        size_t n = strcspn(words, separators);

        if (n == len && memcmp(words, word, n) == 0)
            return true;
        words += n;
        words += strspn(words, separators);
    }
    return false;
}

static bool applies(const struct option_spec *spec, const char *command)
{
    return strcmp(spec->commands, "*") == 0 || in_words(spec->commands, command, " ");
}

/* How many letters to add, drop or change to turn one word into the other. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NAME_LEN_MAX + 1];
    size_t m = strlen(b);

    if (m > NAME_LEN_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

/* Near enough to suggest: at most a third of the word wrong, and never more than three letters. */
static bool is_nearer(const char *word, const char *candidate, size_t *best)
{
    size_t distance = edit_distance(word, candidate);
    size_t most = strlen(candidate) < 5 ? 1 : strlen(candidate) < 9 ? 2 : 3;

    if (distance > most || distance >= *best)
        return false;
    *best = distance;
    return true;
}

static void env_name(const struct option_spec *spec, char name[ENV_MAX])
{
    size_t n = (size_t)snprintf(name, ENV_MAX, "POWERCUT_%s", spec->name);

    must(n < ENV_MAX);
    for (char *p = name; *p; p++)
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
}

/* ---- values ---- */

static bool parse_number(const char *text, const char **end, uint64_t *number)
{
    char *stop;
    bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    unsigned long long value;

    if (!isdigit((unsigned char)text[0]) || (is_hex && !isxdigit((unsigned char)text[2])))
        return false;
    errno = 0;
    value = strtoull(text, &stop, is_hex ? 16 : 10);
    if (errno)
        return false;
    *end = stop;
    *number = value;
    return true;
}

static bool parse_scaled(const char *text, const char *suffixes, const uint64_t *factors,
                         uint64_t *number)
{
    const char *end;
    const char *suffix;
    uint64_t value;
    uint64_t factor = 1;

    if (!parse_number(text, &end, &value))
        return false;
    if (*end) {
        suffix = strchr(suffixes, *end);
        if (!suffix || end[1])
            return false;
        factor = factors[suffix - suffixes];
    }
    if (value > UINT64_MAX / factor)
        return false;
    *number = value * factor;
    return true;
}

static bool parse_size(const char *text, uint64_t *number)
{
    static const uint64_t factors[] = {1u << 10, 1u << 10, 1u << 20,
                                       1u << 20, 1u << 30, (uint64_t)1 << 40};

    return parse_scaled(text, "kKMmGT", factors, number);
}

/* A unit is wanted: nobody should have to guess whether 10 means seconds or minutes. */
static bool parse_duration(const char *text, uint64_t *number)
{
    static const uint64_t factors[] = {1, 60, 3600, 86400};
    size_t len = strlen(text);

    return len > 0 && strchr("smhd", text[len - 1]) && parse_scaled(text, "smhd", factors, number);
}

static bool parse_range(const char *text, uint64_t *first, uint64_t *last)
{
    const char *end;

    if (!parse_number(text, &end, first))
        return false;
    *last = *first;
    if (*end == ':' && !parse_number(end + 1, &end, last))
        return false;
    return *end == '\0' && *first <= *last;
}

static bool parse_flag(const char *text, uint64_t *number)
{
    const char *end;

    if (in_words("yes true on", text, " "))
        *number = 1;
    else if (in_words("no false off", text, " "))
        *number = 0;
    else
        return parse_number(text, &end, number) && *end == '\0';
    return true;
}

/* Adds the words of `text` to the items. */
static void append_items(struct option_value *value, const char *text)
{
    size_t old = 0;

    for (size_t i = 0; i < value->item_count; i++)
        old += strlen(value->copy + old) + 1;
    value->copy = realloc(value->copy, old + strlen(text) + 1);
    must(value->copy);
    while (*text) {
        size_t n = strcspn(text, ",");

        if (n > 0) {
            memcpy(value->copy + old, text, n);
            value->copy[old + n] = '\0';
            old += n + 1;
            value->item_count++;
        }
        text += n + (text[n] == ',');
    }
}

/* What was wanted instead, in words; NULL when `text` is a good value. */
static const char *parse_value(const struct option_spec *spec, const char *text,
                               struct option_value *value)
{
    const char *end;

    switch (spec->kind) {
    case OPTION_FLAG:
        return parse_flag(text, &value->number) ? NULL : "yes, no or a number";
    case OPTION_U64:
        if (parse_number(text, &end, &value->number) && *end == '\0')
            return NULL;
        return "a whole number from 0 to 18446744073709551615";
    case OPTION_SIZE:
        return parse_size(text, &value->number) ? NULL : "a size such as 512, 64k, 16M or 1G";
    case OPTION_DURATION:
        return parse_duration(text, &value->number) ? NULL
                                                    : "a time with its unit: 90s, 10m, 2h or 1d";
    case OPTION_RANGE:
        if (parse_range(text, &value->number, &value->last))
            return NULL;
        return "a range such as 1:100, the smaller number first";
    case OPTION_CHOICE:
        return in_words(spec->argument, text, "|") ? NULL : spec->argument;
    case OPTION_LIST:
        append_items(value, text);
        return NULL;
    case OPTION_TEXT:
        return NULL;
    }
    return "?";
}

static int complain(struct options *opts)
{
    fprintf(opts->err, "%s: '%s %s --help' lists the options\n", opts->table->program,
            opts->table->program, opts->command);
    return EXIT_USAGE;
}

/* Sets one option; `source` says in a complaint where the text came from. */
static int set_value(struct options *opts, size_t index, const char *source, const char *text,
                     enum option_origin origin)
{
    const struct option_spec *spec = &opts->table->specs[index];
    struct option_value *value = &opts->values[index];
    const char *wanted;

    if (value->origin != origin)
        value->item_count = 0; /* the command line replaces the environment, not adds to it */
    wanted = parse_value(spec, text, value);
    if (wanted) {
        fprintf(opts->err, "%s %s: %s: '%s' is not %s\n", opts->table->program, opts->command,
                source, text, spec->kind == OPTION_CHOICE ? "one of the words below" : wanted);
        if (spec->kind == OPTION_CHOICE)
            fprintf(opts->err, "  %s\n", wanted);
        return complain(opts);
    }
    value->origin = origin;
    value->text = text;
    return OPTIONS_GO;
}

static int set_defaults(struct options *opts)
{
    int code = OPTIONS_GO;

    for (size_t i = 0; i < opts->table->spec_count && code == OPTIONS_GO; i++) {
        const struct option_spec *spec = &opts->table->specs[i];
        char name[ENV_MAX];
        const char *text;

        if (spec->fallback) {
            const char *wanted = parse_value(spec, spec->fallback, &opts->values[i]);

            must(wanted == NULL);
            opts->values[i].text = spec->fallback;
        }
        env_name(spec, name);
        text = getenv(name);
        if (text && *text && applies(spec, opts->command))
            code = set_value(opts, i, name, text, OPTION_ENVIRONMENT);
    }
    return code;
}

/* ---- the command line ---- */

static int complain_unknown(struct options *opts, const char *word)
{
    const struct option_table *table = opts->table;
    char name[NAME_LEN_MAX + 1];
    const char *nearest = NULL;
    size_t best = SIZE_MAX;

    if (strncmp(word, "--", 2) != 0) {
        fprintf(opts->err, "%s %s: unknown option '%s'\n", table->program, opts->command, word);
        return complain(opts);
    }
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    fprintf(opts->err, "%s %s: unknown option '--%s'", table->program, opts->command, name);
    for (size_t i = 0; i < table->spec_count; i++) {
        const struct option_spec *spec = &table->specs[i];

        if (strcmp(spec->name, name) == 0) {
            fprintf(opts->err, "; it belongs to: %s\n", spec->commands);
            return complain(opts);
        }
        if (applies(spec, opts->command) && is_nearer(name, spec->name, &best))
            nearest = spec->name;
    }
    if (nearest)
        fprintf(opts->err, "; did you mean '--%s'?", nearest);
    fputc('\n', opts->err);
    return complain(opts);
}

/* Fills the two tables of getopt_long with the options of the command. */
static void fill_getopt(const struct options *opts, struct option *longs, char *letters)
{
    *letters++ = ':';
    *letters++ = 'h';
    *longs++ = (struct option){"help", no_argument, NULL, VALUE_HELP};
    for (size_t i = 0; i < opts->table->spec_count; i++) {
        const struct option_spec *spec = &opts->table->specs[i];
        bool is_flag = spec->kind == OPTION_FLAG;

        if (!applies(spec, opts->command))
            continue;
        *longs++ = (struct option){spec->name, is_flag ? no_argument : required_argument, NULL,
                                   LONG_BASE + (int)i};
        if (spec->letter) {
            *letters++ = (char)spec->letter;
            if (!is_flag)
                *letters++ = ':';
        }
    }
    *longs = (struct option){0};
    *letters = '\0';
}

static size_t index_of_answer(const struct options *opts, int answer)
{
    if (answer >= LONG_BASE)
        return (size_t)(answer - LONG_BASE);
    for (size_t i = 0; i < opts->table->spec_count; i++) {
        const struct option_spec *spec = &opts->table->specs[i];

        if (spec->letter == answer && applies(spec, opts->command))
            return i;
    }
    return SIZE_MAX;
}

/* The answers '?' and ':' of getopt_long. */
static int complain_answer(struct options *opts, int answer, char **argv)
{
    size_t index = index_of_answer(opts, optopt);
    char letter[3] = {'-', (char)optopt, '\0'};

    if (answer == ':' && index != SIZE_MAX) {
        const struct option_spec *spec = &opts->table->specs[index];

        fprintf(opts->err, "%s %s: --%s needs a value: --%s %s\n", opts->table->program,
                opts->command, spec->name, spec->name, spec->argument);
        return complain(opts);
    }
    if (optopt >= LONG_BASE || optopt == VALUE_HELP) {
        fprintf(opts->err, "%s %s: '%s': this option takes no value\n", opts->table->program,
                opts->command, argv[optind - 1]);
        return complain(opts);
    }
    return complain_unknown(opts, optopt ? letter : argv[optind - 1]);
}

static int set_given(struct options *opts, size_t index, const char *argument)
{
    const struct option_spec *spec = &opts->table->specs[index];
    struct option_value *value = &opts->values[index];
    char source[NAME_LEN_MAX + 3];

    snprintf(source, sizeof(source), "--%s", spec->name);
    if (spec->kind != OPTION_FLAG)
        return set_value(opts, index, source, argument, OPTION_GIVEN);
    value->number = value->origin == OPTION_GIVEN ? value->number + 1 : 1;
    value->origin = OPTION_GIVEN;
    value->text = "yes";
    return OPTIONS_GO;
}

int options_parse(struct options *opts, const char *command, int argc, char **argv)
{
    struct option longs[OPTIONS_MAX + 2];
    char letters[2 * OPTIONS_MAX + 3];
    int code;
    int answer;

    opts->table = opts->table ? opts->table : &own_table;
    opts->out = opts->out ? opts->out : stdout;
    opts->err = opts->err ? opts->err : stderr;
    opts->command = command;
    must(opts->table->spec_count <= OPTIONS_MAX);
    code = set_defaults(opts);
    fill_getopt(opts, longs, letters);
    optind = 0; /* glibc: begin anew */
    opterr = 0;
    while (code == OPTIONS_GO && (answer = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (answer == VALUE_HELP || answer == 'h') {
            options_help(opts, opts->out);
            code = 0;
        } else if (answer == '?' || answer == ':') {
            code = complain_answer(opts, answer, argv);
        } else {
            code = set_given(opts, index_of_answer(opts, answer), optarg);
        }
    }
    if (code == OPTIONS_GO) {
        opts->operands = argv + optind;
        opts->operand_count = (size_t)(argc - optind);
    } else {
        options_release(opts);
    }
    return code;
}

void options_release(struct options *opts)
{
    for (size_t i = 0; i < OPTIONS_MAX; i++)
        free(opts->values[i].copy);
    memset(opts->values, 0, sizeof(opts->values));
    opts->operands = NULL;
    opts->operand_count = 0;
}

/* ---- answers ---- */

static size_t find(const struct options *opts, const char *name)
{
    size_t i = 0;

    must(opts->table);
    while (i < opts->table->spec_count && strcmp(opts->table->specs[i].name, name) != 0)
        i++;
    if (i == opts->table->spec_count)
        fprintf(stderr, "options.def has no option '%s'\n", name);
    must(i < opts->table->spec_count);
    return i;
}

static const struct option_value *value_of(const struct options *opts, const char *name,
                                           unsigned kinds)
{
    size_t i = find(opts, name);

    must(kinds & 1u << opts->table->specs[i].kind);
    return &opts->values[i];
}

bool options_flag(const struct options *opts, const char *name)
{
    return value_of(opts, name, 1u << OPTION_FLAG)->number != 0;
}

uint64_t options_u64(const struct options *opts, const char *name)
{
    return value_of(opts, name,
                    1u << OPTION_FLAG | 1u << OPTION_U64 | 1u << OPTION_SIZE |
                        1u << OPTION_DURATION)
        ->number;
}

const char *options_text(const struct options *opts, const char *name)
{
    return value_of(opts, name, UINT_MAX)->text;
}

bool options_range(const struct options *opts, const char *name, uint64_t *first, uint64_t *last)
{
    const struct option_value *value = value_of(opts, name, 1u << OPTION_RANGE);

    if (!value->text)
        return false;
    *first = value->number;
    *last = value->last;
    return true;
}

size_t options_items(const struct options *opts, const char *name)
{
    return value_of(opts, name, 1u << OPTION_LIST)->item_count;
}

const char *options_item(const struct options *opts, const char *name, size_t index)
{
    const struct option_value *value = value_of(opts, name, 1u << OPTION_LIST);
    const char *item = value->copy;

    must(index < value->item_count);
    while (index-- > 0)
        item += strlen(item) + 1;
    return item;
}

bool options_given(const struct options *opts, const char *name)
{
    return options_origin(opts, name) != OPTION_DEFAULT;
}

enum option_origin options_origin(const struct options *opts, const char *name)
{
    return value_of(opts, name, UINT_MAX)->origin;
}

/* ---- printing ---- */

/* The setting as one text: what was written, but a list in full and a flag as its count. */
static void setting(const struct option_spec *spec, const struct option_value *value, char *text,
                    size_t size)
{
    size_t len = 0;
    const char *item = value->copy;

    text[0] = '\0';
    if (spec->kind == OPTION_FLAG) {
        snprintf(text, size, "%" PRIu64, value->number);
    } else if (spec->kind == OPTION_LIST) {
        for (size_t i = 0; i < value->item_count && len < size; i++) {
            len += (size_t)snprintf(text + len, size - len, "%s%s", i ? "," : "", item);
            item += strlen(item) + 1;
        }
    } else {
        snprintf(text, size, "%s", value->text ? value->text : "");
    }
}

void options_print(const struct options *opts, FILE *out)
{
    static const char *const origins[] = {"default", "environment", "command line"};
    char text[1024];

    for (size_t i = 0; i < opts->table->spec_count; i++) {
        const struct option_spec *spec = &opts->table->specs[i];

        if (!applies(spec, opts->command))
            continue;
        setting(spec, &opts->values[i], text, sizeof(text));
        fprintf(out, "%-14s %-24s %s\n", spec->name, *text ? text : "-",
                origins[opts->values[i].origin]);
    }
}

void options_json(const struct options *opts, struct json *json)
{
    char text[1024];

    json_object_begin(json);
    for (size_t i = 0; i < opts->table->spec_count; i++) {
        const struct option_spec *spec = &opts->table->specs[i];

        if (!applies(spec, opts->command))
            continue;
        setting(spec, &opts->values[i], text, sizeof(text));
        json_key_text(json, spec->name, text);
    }
    json_object_end(json);
}

/* Prints words from `column` on, broken before HELP_WIDTH. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t column = HELP_COLUMN;

    while (*text) {
        size_t n = strcspn(text, " ");

        if (column > HELP_COLUMN && column + 1 + n > HELP_WIDTH) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", (int)n, text);
        column += n;
        text += n + (text[n] == ' ');
    }
    fputc('\n', out);
}

static void print_option(FILE *out, const struct option_spec *spec)
{
    char env[ENV_MAX];
    char text[512];
    char letter[5] = "   ";
    int n;

    env_name(spec, env);
    if (spec->letter)
        snprintf(letter, sizeof(letter), "-%c,", spec->letter);
    n = fprintf(out, "  %s --%s%s%s", letter, spec->name, spec->argument ? " " : "",
                spec->argument ? spec->argument : "");
    if (n >= HELP_COLUMN)
        fprintf(out, "\n%*s", HELP_COLUMN, "");
    else
        fprintf(out, "%*s", HELP_COLUMN - n, "");
    snprintf(text, sizeof(text), "%s [%s%s%s]", spec->help, spec->fallback ? spec->fallback : "",
             spec->fallback ? "; " : "", env);
    print_wrapped(out, text);
}

void options_help(const struct options *opts, FILE *out)
{
    const struct option_table *table = opts->table;
    const struct option_command *command = NULL;

    for (size_t i = 0; i < table->command_count; i++) {
        if (strcmp(table->commands[i].name, opts->command) == 0)
            command = &table->commands[i];
    }
    must(command);
    fprintf(out, "usage: %s %s [options]%s%s\n%s\n\n", table->program, command->name,
            *command->operands ? " " : "", command->operands, command->help);
    for (size_t i = 0; i < table->spec_count; i++) {
        if (applies(&table->specs[i], opts->command))
            print_option(out, &table->specs[i]);
    }
    fprintf(out, "  -h, --help%*sthis text\n\n", HELP_COLUMN - 12, "");
    fprintf(out, "In brackets: the default, and the environment variable that replaces it.\n");
}

void options_list_commands(FILE *out)
{
    for (size_t i = 0; i < own_table.command_count; i++)
        fprintf(out, "  %-12s %s\n", own_table.commands[i].name, own_table.commands[i].help);
}

bool options_command_known(const char *name)
{
    for (size_t i = 0; i < own_table.command_count; i++) {
        if (strcmp(own_table.commands[i].name, name) == 0)
            return true;
    }
    return false;
}

const char *options_command_nearest(const char *name)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < own_table.command_count; i++) {
        if (is_nearer(name, own_table.commands[i].name, &best))
            nearest = own_table.commands[i].name;
    }
    return nearest;
}
