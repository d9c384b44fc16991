/* tool.h: the minivault command. What all its parts share.
 *
 * A run is one command, or a shell of them: a struct tool with the database, and per command a
 * struct call with its words and options. Keys and values are typed and printed in one notation:
 * printable text as it is, every other byte as an escape (tool_text.c), so that what is printed
 * can be typed. Results go to stdout, complaints to stderr. With --json everything goes to stdout
 * as well, as lines of JSON. Thread safety: none; one thread. */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "minivault/minivault.h"
#include "base/bytes.h"

enum tool_exit {
    TOOL_OK = 0,
    TOOL_NOT_FOUND = 1, /* no such key */
    TOOL_USAGE = 2,     /* words or input that cannot be understood */
    TOOL_DAMAGED = 3,   /* the database is damaged, or of a format this program does not know */
    TOOL_FAILED = 4,    /* no such database, in use, I/O error, full disk, no memory */
    TOOL_INTERRUPTED = 130,
    TOOL_PIPE = 141, /* who read the output has gone */
};

/* Bytes of the heap. text_free accepts zeroed ones. */
struct text {
    char *data;
    size_t len, cap;
};

void text_free(struct text *t);
void text_add(struct text *t, const void *data, size_t len); /* keeps a zero byte behind */
/* Undoes the escapes of `from`; NULL on success, else what is wrong, static. */
const char *text_unescape(struct text *to, const char *from, size_t len);
/* Prints with escapes. `line`: for a line of pairs, where a leading # is one, too. */
void print_escaped(FILE *out, const void *data, size_t len, bool line);
/* ,"name":"text" or, when the bytes are not UTF-8, ,"name_hex":"...". */
void print_json_bytes(FILE *out, const char *name, const void *data, size_t len);

/* Cuts a line into words, escapes undone. NULL on success, else what is wrong. */
#define WORDS_MAX 64
struct words {
    struct text at[WORDS_MAX];
    size_t count;
};
const char *words_cut(struct words *words, const char *line);
void words_free(struct words *words);

struct call {
    const char *name;
    const struct command *command;
    struct text database;            /* the operand DB, when there was one */
    struct text operands[WORDS_MAX]; /* the others */
    size_t count;
    bool json, raw, no_sync, reverse, keys, force, copy, has_limit, has_prefix, has_ttl;
    uint64_t limit, ttl;
    struct text prefix;
    const char *set[WORDS_MAX];
    size_t set_count;
};

struct snapshot_entry {
    char *name;
    struct vault_snapshot *snapshot;
    struct snapshot_entry *next;
};

struct tool {
    const char *path;
    struct vault *db;
    struct vault_batch *batch; /* the shell has begun one */
    struct snapshot_entry *snapshots;
    struct vault_snapshot *at; /* what the current command reads from; NULL: now */
    bool shell, interactive;
    bool json;
    unsigned long line; /* of a script on standard input; 0: none */
};

enum tool_open { OPEN_NOTHING, OPEN_EXISTING, OPEN_CREATE };

struct command {
    const char *name, *operands, *help;
    bool shell_only;
    enum tool_open open;
    int (*run)(struct tool *tool, struct call *call);
    bool bytes; /* its operands are keys and values */
};

/* Good until the next call. NULL: there is none of that name. */
const struct command *command_find(const char *name, bool in_shell);
const char *command_nearest(const char *name, bool in_shell);
/* Reads the words behind the command's name. TOOL_OK, or TOOL_USAGE after a complaint. */
int call_parse(struct tool *tool, struct call *call, const struct command *command, size_t count,
               const struct text *words, bool in_shell);
void call_free(struct call *call);
void help_print(FILE *out, bool in_shell);
int help_command(FILE *out, const char *name, bool in_shell);
int options_apply(struct tool *tool, const struct call *call, struct vault_options *options);
/* Parses a line of the shell and runs it. */
int tool_run_line(struct tool *tool, const char *line, bool *quit);

/* A complaint in words, to stderr and as JSON; answers `code`. */
int tool_complain(struct tool *tool, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a failure of the store: names file, offset and the system's words. */
int tool_failure(struct tool *tool, enum vault_status st, const struct vault_error *error);
int tool_failure_of(struct tool *tool, enum vault_status st); /* asks the handle */
/* Was stdout written? Else the reason as an exit code. */
int tool_flush_output(struct tool *tool);
bool tool_interrupted(void);
void tool_interrupt_clear(void);
/* SIGINT ends a read of the input, and nothing else: an answer is written whole. */
void tool_wait_for_input(bool waiting);
bool tool_color(FILE *out);

int verb_get(struct tool *tool, struct call *call);
int verb_put(struct tool *tool, struct call *call);
int verb_del(struct tool *tool, struct call *call);
int verb_delrange(struct tool *tool, struct call *call);
int verb_scan(struct tool *tool, struct call *call);
int verb_count(struct tool *tool, struct call *call);
int verb_batch(struct tool *tool, struct call *call);
int verb_load(struct tool *tool, struct call *call);
int verb_export(struct tool *tool, struct call *call);
int verb_stats(struct tool *tool, struct call *call);
int verb_flush(struct tool *tool, struct call *call);
int verb_compact(struct tool *tool, struct call *call);
int verb_checkpoint(struct tool *tool, struct call *call);
int verb_verify(struct tool *tool, struct call *call);
int verb_repair(struct tool *tool, struct call *call);
int verb_dump(struct tool *tool, struct call *call);
int verb_destroy(struct tool *tool, struct call *call);
int verb_shell(struct tool *tool, struct call *call);
int verb_begin(struct tool *tool, struct call *call);
int verb_commit(struct tool *tool, struct call *call);
int verb_abandon(struct tool *tool, struct call *call);
int verb_snapshot(struct tool *tool, struct call *call);
int verb_at(struct tool *tool, struct call *call);
int verb_release(struct tool *tool, struct call *call);
int verb_snapshots(struct tool *tool, struct call *call);
int verb_help(struct tool *tool, struct call *call);
int verb_quit(struct tool *tool, struct call *call);

/* Calls `each` for the pairs of a range until it answers another code than TOOL_OK. */
struct range {
    struct text from, to; /* to.data NULL: open */
    bool reverse;
};
int range_walk(struct tool *tool, const struct range *range, void *ctx,
               int (*each)(void *ctx, struct bytes key, struct bytes value));
int range_of(struct tool *tool, const struct call *call, size_t first, struct range *range);
void range_free(struct range *range);

#endif
