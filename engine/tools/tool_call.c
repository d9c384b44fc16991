/* tool_call.c: which command is meant, and with which options. All of it from commands.def. */
#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, U64, DURATION, TEXT, LIST };

struct option_spec {
    const char *name;
    int letter;
    enum kind kind;
    const char *argument, *fallback, *commands, *help;
};

static const struct option_spec specs[] = {
#define OPTION(name, letter, kind, argument, fallback, commands, help)                             \
    {name, letter, kind, argument, fallback, commands, help},
#include "commands.def"
#undef OPTION
    {0},
};

static const struct {
    const char *name;
    enum tool_open open;
    int (*run)(struct tool *tool, struct call *call);
    bool bytes; /* its operands are keys and values */
} verbs[] = {
    {"shell", OPEN_CREATE, verb_shell, false},
    {"get", OPEN_EXISTING, verb_get, true},
    {"put", OPEN_CREATE, verb_put, true},
    {"del", OPEN_EXISTING, verb_del, true},
    {"delrange", OPEN_EXISTING, verb_delrange, true},
    {"scan", OPEN_EXISTING, verb_scan, true},
    {"count", OPEN_EXISTING, verb_count, true},
    {"batch", OPEN_CREATE, verb_batch, false},
    {"load", OPEN_CREATE, verb_load, false},
    {"export", OPEN_EXISTING, verb_export, false},
    {"stats", OPEN_EXISTING, verb_stats, false},
    {"flush", OPEN_EXISTING, verb_flush, false},
    {"compact", OPEN_EXISTING, verb_compact, true},
    {"checkpoint", OPEN_EXISTING, verb_checkpoint, false},
    {"verify", OPEN_NOTHING, verb_verify, false},
    {"repair", OPEN_NOTHING, verb_repair, false},
    {"dump", OPEN_NOTHING, verb_dump, false},
    {"destroy", OPEN_NOTHING, verb_destroy, false},
    {"begin", OPEN_NOTHING, verb_begin, false},
    {"commit", OPEN_NOTHING, verb_commit, false},
    {"abandon", OPEN_NOTHING, verb_abandon, false},
    {"snapshot", OPEN_NOTHING, verb_snapshot, false},
    {"at", OPEN_NOTHING, verb_at, false},
    {"release", OPEN_NOTHING, verb_release, false},
    {"snapshots", OPEN_NOTHING, verb_snapshots, false},
    {"help", OPEN_NOTHING, verb_help, false},
    {"quit", OPEN_NOTHING, verb_quit, false},
};

static const struct command table[] = {
#define COMMAND(name, operands, help) {name, operands, help, false, OPEN_NOTHING, NULL, false},
#define SHELL(name, operands, help)   {name, operands, help, true, OPEN_NOTHING, NULL, false},
#include "commands.def"
#undef COMMAND
#undef SHELL
};

#define COMMANDS (sizeof table / sizeof table[0])

/* Not for the shell: it has a database, and one of its own. */
static bool is_usable(const struct command *command, bool in_shell)
{
    if (!in_shell)
        return !command->shell_only;
    return strcmp(command->name, "shell") != 0 && strcmp(command->name, "destroy") != 0 &&
           strcmp(command->name, "batch") != 0 && strcmp(command->name, "verify") != 0 &&
           strcmp(command->name, "repair") != 0;
}

const struct command *command_find(const char *name, bool in_shell)
{
    static struct command found; /* until the next call */

    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(table[i].name, name) != 0 || !is_usable(&table[i], in_shell))
            continue;
        found = table[i];
        for (size_t j = 0; j < sizeof verbs / sizeof verbs[0]; j++)
            if (strcmp(verbs[j].name, name) == 0) {
                found.open = verbs[j].open;
                found.run = verbs[j].run;
                found.bytes = verbs[j].bytes;
            }
        return &found;
    }
    return NULL;
}

/* How many letters to add, drop or change, or neighbours to swap. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][32] = {{0}};
    size_t m = strlen(b), i = 0;

    if (m > 30 || strlen(a) > 30)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (i = 1; a[i - 1]; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);

            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                earlier[j - 2] + 1 < best)
                best = earlier[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[(i - 1) % 3][m];
}

static bool is_nearer(const char *word, const char *candidate, size_t *best)
{
    size_t d = distance(word, candidate);
    size_t most = strlen(candidate) < 6 ? 1 : 2;

    if (d > most || d >= *best)
        return false;
    *best = d;
    return true;
}

const char *command_nearest(const char *name, bool in_shell)
{
    static const char *const others[][2] = {
        {"set", "put"},    {"insert", "put"},        {"write", "put"},
        {"delete", "del"}, {"remove", "del"},        {"rm", "del"},
        {"ls", "scan"},    {"list", "scan"},         {"keys", "scan"},
        {"range", "scan"}, {"read", "get"},          {"exit", "quit"},
        {"q", "quit"},     {"check", "verify"},      {"import", "load"},
        {"info", "stats"}, {"backup", "checkpoint"}, {"rollback", "abandon"},
        {"open", "shell"}};
    const char *nearest = NULL;
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(others[i][0], name) == 0 && command_find(others[i][1], in_shell))
            return others[i][1];
    for (size_t i = 0; i < COMMANDS; i++)
        if (is_usable(&table[i], in_shell) && is_nearer(name, table[i].name, &best))
            nearest = table[i].name;
    return nearest;
}

/* ---- options ---- */

static bool applies(const struct option_spec *spec, const char *command)
{
    size_t len = strlen(command);

    if (strcmp(spec->commands, "*") == 0)
        return true;
    for (const char *p = spec->commands; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");

        if (n == len && memcmp(p, command, n) == 0)
            return true;
        p += n;
    }
    return false;
}

static bool parse_u64(const char *text, const char **end, uint64_t *out)
{
    char *stop;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *out = strtoull(text, &stop, 10);
    *end = stop;
    return errno == 0;
}

/* Milliseconds. */
static bool parse_duration(const char *text, uint64_t *out)
{
    static const uint64_t factors[] = {1000, 60000, 3600000, 86400000};
    const char *end, *unit;

    if (!parse_u64(text, &end, out) || !*end || end[1])
        return false;
    unit = strchr("smhd", *end);
    if (!unit || *out > UINT64_MAX / 86400000)
        return false;
    *out *= factors[unit - "smhd"];
    return true;
}

static int set_option(struct tool *tool, struct call *call, const struct option_spec *spec,
                      const char *value)
{
    const char *end, *wrong = NULL;

    switch (spec->letter) {
    case 'j':
        call->json = tool->json = true;
        break;
    case 'r':
        call->raw = true;
        break;
    case 'N':
        call->no_sync = true;
        break;
    case 'R':
        call->reverse = true;
        break;
    case 'k':
        call->keys = true;
        break;
    case 'c':
        call->copy = true;
        break;
    case 'f':
        call->force = true;
        break;
    case 'n':
        call->has_limit = true;
        if (!parse_u64(value, &end, &call->limit) || *end)
            wrong = "is not a whole number";
        break;
    case 't':
        call->has_ttl = true;
        if (!parse_duration(value, &call->ttl))
            wrong = "is not a time with its unit, such as 90s, 10m, 2h or 1d";
        break;
    case 'p':
        call->has_prefix = true;
        text_free(&call->prefix);
        wrong = text_unescape(&call->prefix, value, strlen(value));
        break;
    case 's':
        if (call->set_count == WORDS_MAX)
            wrong = "is one too many";
        else
            call->set[call->set_count++] = value;
        break;
    }
    if (wrong)
        return tool_complain(tool, TOOL_USAGE, "--%s: '%s' %s", spec->name, value, wrong);
    return TOOL_OK;
}

static int complain_option(struct tool *tool, const struct call *call, const char *word)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    char name[32];

    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2 * (word[1] == '-'), "="),
             word + 2 * (word[1] == '-'));
    for (const struct option_spec *spec = specs; spec->name; spec++) {
        if (strcmp(spec->name, name) == 0)
            return tool_complain(tool, TOOL_USAGE, "--%s does not belong to %s, but to: %s", name,
                                 call->name, spec->commands);
        if (applies(spec, call->name) && is_nearer(name, spec->name, &best))
            nearest = spec->name;
    }
    return tool_complain(tool, TOOL_USAGE,
                         "%s: no option '%s'%s%s%s (a key that begins with - goes behind --)",
                         call->name, word, nearest ? ", did you mean '--" : "",
                         nearest ? nearest : "", nearest ? "'?" : "");
}

/* Takes the option at words[*i], with its value if it has one. */
static int take_option(struct tool *tool, struct call *call, size_t count, const struct text *words,
                       size_t *i)
{
    const char *word = words[*i].data;
    bool is_long = word[1] == '-';
    size_t len = is_long ? strcspn(word + 2, "=") : 1;
    const struct option_spec *spec = specs;

    for (; spec->name; spec++)
        if (applies(spec, call->name) &&
            (is_long ? strlen(spec->name) == len && memcmp(spec->name, word + 2, len) == 0
                     : spec->letter == word[1]))
            break;
    if (!spec->name)
        return complain_option(tool, call, word);
    if (spec->kind == FLAG) {
        if (is_long ? word[2 + len] != '\0' : word[2] != '\0')
            return tool_complain(tool, TOOL_USAGE, "--%s takes no value", spec->name);
        return set_option(tool, call, spec, NULL);
    }
    if (is_long && word[2 + len] == '=')
        return set_option(tool, call, spec, word + 3 + len);
    if (!is_long && word[2])
        return set_option(tool, call, spec, word + 2);
    if (*i + 1 == count)
        return tool_complain(tool, TOOL_USAGE, "--%s needs a value: --%s %s", spec->name,
                             spec->name, spec->argument);
    return set_option(tool, call, spec, words[++*i].data);
}

/* "DB KEY" is "KEY" in the shell. */
static const char *operands_of(const struct command *command, bool in_shell)
{
    const char *p = command->operands;

    if (in_shell && strncmp(p, "DB", 2) == 0)
        p += p[2] ? 3 : 2;
    return p;
}

/* Fewest and most operands that "DB [FROM [TO]]" allows. */
static void operand_bounds(const struct command *command, bool in_shell, size_t *least,
                           size_t *most)
{
    const char *p = command->operands;

    *least = *most = 0;
    while (*p) {
        size_t n = strcspn(p, " ");

        if (!(in_shell && n == 2 && memcmp(p, "DB", 2) == 0)) {
            ++*most;
            *least += *p != '[';
        }
        if (n > 3 && memcmp(p + n - 3, "...", 3) == 0)
            *most = WORDS_MAX - 1;
        p += n;
        p += strspn(p, " ");
    }
}

/* On the command line keys and values still have their escapes. The database leaves the operands.
 * */
static int finish_operands(struct tool *tool, struct call *call, const struct command *command)
{
    bool has_db = strncmp(command->operands, "DB", 2) == 0;
    size_t first = has_db ? 1 : 0;

    for (size_t i = first; i < call->count && command->bytes && !call->raw; i++) {
        struct text cooked = {0};
        const char *wrong = text_unescape(&cooked, call->operands[i].data, call->operands[i].len);

        if (wrong) {
            text_free(&cooked);
            return tool_complain(tool, TOOL_USAGE, "%s: '%s': %s", call->name,
                                 call->operands[i].data, wrong);
        }
        text_free(&call->operands[i]);
        call->operands[i] = cooked;
    }
    if (has_db) {
        tool->path = call->operands[0].data;
        call->database = call->operands[0];
        call->count--;
        memmove(call->operands, call->operands + 1, call->count * sizeof call->operands[0]);
    }
    return TOOL_OK;
}

int call_parse(struct tool *tool, struct call *call, const struct command *command, size_t count,
               const struct text *words, bool in_shell)
{
    /* What follows `at NAME` are the words of another command. */
    bool options_ended = strcmp(command->name, "at") == 0;
    size_t least, most;

    *call = (struct call){.name = command->name, .command = command, .json = tool->json};
    operand_bounds(command, in_shell, &least, &most);
    for (size_t i = 0; i < count; i++) {
        int code = TOOL_OK;

        if (!options_ended && strcmp(words[i].data, "--") == 0)
            options_ended = true;
        else if (!options_ended && words[i].data[0] == '-' && words[i].data[1])
            code = take_option(tool, call, count, words, &i);
        else if (call->count == most)
            code = tool_complain(tool, TOOL_USAGE, "%s takes at most %zu word%s: %s %s", call->name,
                                 most, most == 1 ? "" : "s", call->name, command->operands);
        else
            text_add(&call->operands[call->count++], words[i].data, words[i].len);
        if (code)
            return code;
    }
    if (call->count < least)
        return tool_complain(tool, TOOL_USAGE, "%s needs more words: %s%s %s", call->name,
                             in_shell ? "" : "minivault ", call->name,
                             operands_of(command, in_shell));
    return in_shell ? TOOL_OK : finish_operands(tool, call, command);
}

void call_free(struct call *call)
{
    for (size_t i = 0; i < call->count; i++)
        text_free(&call->operands[i]);
    text_free(&call->prefix);
    text_free(&call->database);
    call->count = 0;
}

/* ---- help ---- */

#define HELP_COLUMN 31u
#define HELP_WIDTH  80u

/* Words from HELP_COLUMN on, in lines of HELP_WIDTH; the cursor is at column `at`. */
static void print_folded(FILE *out, const char *text, size_t at)
{
    while (*text) {
        size_t len = strcspn(text, " ");

        if (at > HELP_COLUMN && at + 1 + len > HELP_WIDTH) {
            fputc('\n', out);
            at = 0;
        }
        if (at < HELP_COLUMN)
            at += (size_t)fprintf(out, "%*s", (int)(HELP_COLUMN - at), "");
        else if (at > HELP_COLUMN)
            at += (size_t)fprintf(out, " ");
        at += (size_t)fprintf(out, "%.*s", (int)len, text);
        text += len + strspn(text + len, " ");
    }
    fputc('\n', out);
}

void help_print(FILE *out, bool in_shell)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        size_t at = 0;

        if (!is_usable(&table[i], in_shell))
            continue;
        at = (size_t)fprintf(out, "  %s %s", table[i].name, operands_of(&table[i], in_shell));
        if (at >= HELP_COLUMN) {
            fputc('\n', out);
            at = 0;
        }
        print_folded(out, table[i].help, at);
    }
}

static int help_set(FILE *out)
{
    struct vault_options options;

    vault_options_init(&options);
    fprintf(out, "--set NAME=VALUE, the options of a database and their defaults:\n"
                 "(an array takes a list, 0,1,2; the last value counts for all that remain)\n");
    for (const struct vault_field *f = vault_fields("options", NULL); f->name; f++) {
        uint64_t value = 0;

        if (f->kind == VAULT_FIELD_POINTER || f->kind == VAULT_FIELD_TEXT)
            continue;
        memcpy(&value, (const char *)&options + f->offset, f->size);
        fprintf(out, "  %-24s %llu\n", f->name, (unsigned long long)value);
    }
    return TOOL_OK;
}

int help_command(FILE *out, const char *name, bool in_shell)
{
    const struct command *command = command_find(name, in_shell);

    if (strcmp(name, "set") == 0)
        return help_set(out);
    if (!command)
        return TOOL_USAGE;
    fprintf(out, "%s%s%s%s\n  %s\n", in_shell ? "" : "minivault ", name,
            *operands_of(command, in_shell) ? " " : "", operands_of(command, in_shell),
            command->help);
    for (const struct option_spec *spec = specs; spec->name; spec++) {
        char text[64];

        if (!applies(spec, name) || (in_shell && spec->letter == 's'))
            continue;
        snprintf(text, sizeof text, "-%c, --%s%s%s", spec->letter, spec->name,
                 spec->argument ? " " : "", spec->argument ? spec->argument : "");
        fprintf(out, "    %-24s %s\n", text, spec->help);
    }
    return TOOL_OK;
}

/* ---- options of the database ---- */

/* One value of the field, up to a comma or the end. */
static int set_value(struct tool *tool, const struct vault_field *f, const char *text,
                     const char **end, uint64_t *value)
{
    static const char suffixes[] = "kKmMgG";
    const char *suffix;

    if (!parse_u64(text, end, value))
        return tool_complain(tool, TOOL_USAGE, "--set %s: '%s' is not a number", f->name, text);
    if (**end && (!(*end)[1] || (*end)[1] == ',') && (suffix = strchr(suffixes, **end)) != NULL) {
        unsigned shift = 10 * (1 + (unsigned)(suffix - suffixes) / 2);

        if (*value >> (64 - shift))
            return tool_complain(tool, TOOL_USAGE, "--set %s: '%s' is too large", f->name, text);
        *value <<= shift;
        ++*end;
    }
    if ((**end && **end != ',') || (f->size < 8 && *value >> (8 * f->size)) ||
        (f->kind == VAULT_FIELD_BOOL && *value > 1))
        return tool_complain(tool, TOOL_USAGE, "--set %s: '%s' is not a value for it", f->name,
                             text);
    return TOOL_OK;
}

/* An array takes a list, the last value of it for all that remain. */
static int set_field(struct tool *tool, const struct vault_field *f, const char *text,
                     struct vault_options *options)
{
    const char *end = text;
    uint64_t value = 0;

    for (uint32_t i = 0; i < f->count; i++) {
        int code = i == 0 || *end ? set_value(tool, f, end, &end, &value) : TOOL_OK;

        if (code)
            return code;
        memcpy((char *)options + f->offset + (size_t)i * f->size, &value, f->size);
        if (*end == ',')
            end++;
    }
    if (*end || end[-1] == ',')
        return tool_complain(tool, TOOL_USAGE, "--set %s: '%s' is not a value for it", f->name,
                             text);
    return TOOL_OK;
}

int options_apply(struct tool *tool, const struct call *call, struct vault_options *options)
{
    for (size_t i = 0; i < call->set_count; i++) {
        const char *equals = strchr(call->set[i], '=');
        const struct vault_field *f = vault_fields("options", NULL);
        size_t len = equals ? (size_t)(equals - call->set[i]) : 0;
        int code;

        if (!equals)
            return tool_complain(tool, TOOL_USAGE, "--set wants NAME=VALUE, not '%s'",
                                 call->set[i]);
        while (f->name && (strlen(f->name) != len || memcmp(f->name, call->set[i], len) != 0))
            f++;
        if (!f->name || f->kind == VAULT_FIELD_POINTER || f->kind == VAULT_FIELD_TEXT)
            return tool_complain(tool, TOOL_USAGE,
                                 "--set: no option '%.*s'; 'minivault help set' lists them",
                                 (int)len, call->set[i]);
        code = set_field(tool, f, equals + 1, options);
        if (code)
            return code;
    }
    return TOOL_OK;
}
