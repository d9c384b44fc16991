/* options.h: the command line, from one table (options.def). An option is taken from the command
 * line, else from the environment (POWERCUT_MAX_FINDINGS for --max-findings; empty counts as
 * unset), else from the table. What is wrong with any of them is told in one line that names the
 * option, with exit code 2.
 *
 *   struct options opts = {0};
 *   int code = options_parse(&opts, "run", argc - 1, argv + 1);
 *   if (code != OPTIONS_GO)
 *       return code;
 *   ... options_u64(&opts, "seed") ...
 *   options_release(&opts);
 *
 * Asking for a name that the table lacks, or by the wrong kind, aborts: it is a slip of the
 * program. An option that does not apply to the command answers its default. Ownership: texts are
 * views, good until options_release or the end of argv. Thread safety: none (getopt). */
#ifndef HARNESS_OPTIONS_H
#define HARNESS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"

struct json;

#define OPTIONS_GO  (-1)
#define OPTIONS_MAX 64

enum option_kind {
    OPTION_FLAG,     /* counts how often it is given; in the environment a number or yes/no */
    OPTION_U64,      /* decimal or 0x... */
    OPTION_SIZE,     /* 512 64k 16M 1G, in bytes */
    OPTION_DURATION, /* 90s 10m 2h 1d, in seconds */
    OPTION_TEXT,
    OPTION_RANGE,  /* A:B, both included, or A */
    OPTION_LIST,   /* comma separated; given again, it grows */
    OPTION_CHOICE, /* one of the words in `argument` */
};

struct option_spec {
    const char *name;
    int letter; /* 0: none */
    enum option_kind kind;
    const char *argument; /* as --help shows it; NULL for flags */
    const char *fallback; /* the default as text; NULL: none (0, "", or no item) */
    const char *commands; /* separated by blanks; "*": all */
    const char *help;
};

struct option_command {
    const char *name;
    const char *operands;
    const char *help;
};

struct option_table {
    const char *program;
    const struct option_command *commands;
    size_t command_count;
    const struct option_spec *specs;
    size_t spec_count;
};

enum option_origin { OPTION_DEFAULT, OPTION_ENVIRONMENT, OPTION_GIVEN };

struct option_value {
    enum option_origin origin;
    const char *text; /* as it was written; NULL: none */
    uint64_t number;  /* of a range: its first */
    uint64_t last;
    char *copy; /* owned; the items lie in it, each ended by a zero byte */
    size_t item_count;
};

struct options {
    const struct option_table *table; /* NULL before the parse: that of options.def */
    FILE *out;                        /* help; NULL before the parse: stdout */
    FILE *err;                        /* complaints; NULL before the parse: stderr */
    const char *command;
    struct option_value values[OPTIONS_MAX];
    char **operands;
    size_t operand_count;
};

/* Reads argv[1..argc-1] as options and operands of `command`, which must be in the table. argv is
 * reordered: operands last. OPTIONS_GO: go on. Anything else is the exit code of the program: 0
 * after --help, 2 after a complaint. */
MUST_USE int options_parse(struct options *opts, const char *command, int argc, char **argv);
void options_release(struct options *opts);

bool options_flag(const struct options *opts, const char *name);
uint64_t options_u64(const struct options *opts, const char *name); /* flag: its count */
/* The text; NULL when there is none. Any kind. */
const char *options_text(const struct options *opts, const char *name);
/* False: not set, the outputs are untouched. */
bool options_range(const struct options *opts, const char *name, uint64_t *first, uint64_t *last);
size_t options_items(const struct options *opts, const char *name);
const char *options_item(const struct options *opts, const char *name, size_t index);
/* Was it on the command line or in the environment? */
bool options_given(const struct options *opts, const char *name);
enum option_origin options_origin(const struct options *opts, const char *name);

/* Every setting of the command with its origin, one line each; the same as members of an object. */
void options_print(const struct options *opts, FILE *out);
void options_json(const struct options *opts, struct json *json);

void options_help(const struct options *opts, FILE *out); /* of the command of the last parse */
/* One line per command; and is there such a command? */
void options_list_commands(FILE *out);
bool options_command_known(const char *name);
/* The known command most like `name`; NULL when none is near. */
const char *options_command_nearest(const char *name);

#endif
