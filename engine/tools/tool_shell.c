/* tool_shell.c: the prompt, and the commands that only make sense there.
 *
 * With libedit lines can be edited, recalled, and commands completed with Tab; without it, or when
 * standard input is no terminal, lines are read as they come. The history is kept in the file that
 * MINIVAULT_HISTORY names, else in ~/.minivault_history; an empty MINIVAULT_HISTORY keeps none. */
#define _GNU_SOURCE /* ppoll */
#include "tool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_LIBEDIT
#include <histedit.h>
#include <locale.h>
#include <wchar.h>
#endif

#define PROMPT_MAX    48
#define HISTORY_LINES 1000

static void prompt_text(const struct tool *tool, char prompt[PROMPT_MAX])
{
    if (tool->batch)
        snprintf(prompt, PROMPT_MAX, "batch(%zu)> ", vault_batch_count(tool->batch));
    else
        snprintf(prompt, PROMPT_MAX, "minivault> ");
}

/* ---- commands ---- */

int verb_begin(struct tool *tool, struct call *call)
{
    (void)call;
    if (tool->batch)
        return tool_complain(tool, TOOL_USAGE, "a batch has begun already: commit or abandon");
    tool->batch = vault_batch_new();
    return tool->batch ? TOOL_OK : tool_complain(tool, TOOL_FAILED, "no memory");
}

static int no_batch(struct tool *tool)
{
    return tool_complain(tool, TOOL_USAGE, "no batch has begun; 'begin' does");
}

int verb_commit(struct tool *tool, struct call *call)
{
    enum vault_status st;
    size_t count;

    (void)call;
    if (!tool->batch)
        return no_batch(tool);
    count = vault_batch_count(tool->batch);
    st = vault_write(tool->db, tool->batch, true, NULL);
    if (st)
        return tool_failure_of(tool, st);
    vault_batch_free(tool->batch);
    tool->batch = NULL;
    if (tool->interactive)
        printf("%zu operation%s written\n", count, count == 1 ? "" : "s");
    return TOOL_OK;
}

int verb_abandon(struct tool *tool, struct call *call)
{
    (void)call;
    if (!tool->batch)
        return no_batch(tool);
    vault_batch_free(tool->batch);
    tool->batch = NULL;
    return TOOL_OK;
}

static struct snapshot_entry **find_snapshot(struct tool *tool, const char *name)
{
    struct snapshot_entry **at = &tool->snapshots;

    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

int verb_snapshot(struct tool *tool, struct call *call)
{
    char name[24];
    struct snapshot_entry *entry, **end;
    enum vault_status st;

    for (unsigned i = 1; i == 1 || *find_snapshot(tool, name); i++)
        snprintf(name, sizeof name, "s%u", i);
    if (call->count && *find_snapshot(tool, call->operands[0].data))
        return tool_complain(tool, TOOL_USAGE, "there is a snapshot %s already",
                             call->operands[0].data);
    entry = calloc(1, sizeof *entry);
    if (!entry)
        return tool_complain(tool, TOOL_FAILED, "no memory");
    entry->name = strdup(call->count ? call->operands[0].data : name);
    st = entry->name ? vault_snapshot_new(tool->db, &entry->snapshot) : VAULT_NO_MEMORY;
    if (st) {
        free(entry->name);
        free(entry);
        return tool_failure_of(tool, st);
    }
    for (end = &tool->snapshots; *end; end = &(*end)->next)
        continue;
    *end = entry;
    if (tool->interactive)
        printf("%s; 'at %s scan' reads from it\n", entry->name, entry->name);
    return TOOL_OK;
}

int verb_release(struct tool *tool, struct call *call)
{
    struct snapshot_entry **at = find_snapshot(tool, call->operands[0].data), *entry = *at;

    if (!entry)
        return tool_complain(tool, TOOL_USAGE, "no snapshot %s", call->operands[0].data);
    *at = entry->next;
    vault_snapshot_release(tool->db, entry->snapshot);
    free(entry->name);
    free(entry);
    return TOOL_OK;
}

int verb_snapshots(struct tool *tool, struct call *call)
{
    for (struct snapshot_entry *entry = tool->snapshots; entry; entry = entry->next)
        if (call->json) {
            fputs("{\"type\":\"snapshot\"", stdout);
            print_json_bytes(stdout, "name", entry->name, strlen(entry->name));
            puts("}");
        } else {
            puts(entry->name);
        }
    return TOOL_OK;
}

int verb_at(struct tool *tool, struct call *call)
{
    struct snapshot_entry *entry = *find_snapshot(tool, call->operands[0].data);
    const char *name = call->operands[1].data;
    const struct command *command = command_find(name, true);
    struct call inner = {0};
    int code;

    if (!entry)
        return tool_complain(tool, TOOL_USAGE, "no snapshot %s", call->operands[0].data);
    if (!command || (strcmp(name, "get") && strcmp(name, "scan") && strcmp(name, "count")))
        return tool_complain(tool, TOOL_USAGE, "at %s: get, scan or count, not %s",
                             call->operands[0].data, name);
    code = call_parse(tool, &inner, command, call->count - 2, call->operands + 2, true);
    tool->at = entry->snapshot;
    if (!code)
        code = inner.command->run(tool, &inner);
    tool->at = NULL;
    call_free(&inner);
    return code;
}

int verb_help(struct tool *tool, struct call *call)
{
    if (call->count == 0)
        help_print(stdout, true);
    else if (help_command(stdout, call->operands[0].data, true))
        return tool_complain(tool, TOOL_USAGE, "no command '%s'", call->operands[0].data);
    return TOOL_OK;
}

int verb_quit(struct tool *tool, struct call *call)
{
    (void)tool;
    (void)call;
    return TOOL_OK; /* tool_run_line sees it */
}

/* ---- a line ---- */

static int run_words(struct tool *tool, const struct words *words, bool *quit)
{
    const char *name = words->at[0].data;
    const struct command *command = command_find(name, true);
    const char *nearest;
    struct call call = {0};
    bool json = tool->json;
    int code;

    if (!command) {
        nearest = command_nearest(name, true);
        return tool_complain(tool, TOOL_USAGE, "no command '%s'%s%s%s", name,
                             nearest ? ", did you mean '" : "", nearest ? nearest : "",
                             nearest ? "'?" : "; 'help' lists them");
    }
    code = call_parse(tool, &call, command, words->count - 1, words->at + 1, true);
    if (!code)
        code = call.command->run(tool, &call);
    if (!code && strcmp(name, "quit") == 0)
        *quit = true;
    call_free(&call);
    tool->json = json;
    return code;
}

int tool_run_line(struct tool *tool, const char *line, bool *quit)
{
    struct words words;
    const char *wrong = words_cut(&words, line);
    int code = TOOL_OK;

    if (wrong)
        code = tool_complain(tool, TOOL_USAGE, "%s", wrong);
    else if (words.count > 0)
        code = run_words(tool, &words, quit);
    words_free(&words);
    return code;
}

/* ---- where lines come from ---- */

struct reader {
    struct tool *tool;
    char *line;
    size_t cap;
#ifdef HAVE_LIBEDIT
    EditLine *editor;
    History *history;
    char history_file[4096];
    char prompt[PROMPT_MAX];
#endif
};

enum got { GOT_LINE, GOT_END, GOT_INTERRUPT };

/* Waits until there is something to read. False: Ctrl-C was typed. The signal waits until there is
 * somebody to be woken: one between the question and the wait would be missed. */
static bool wait_for_input(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    sigset_t held, before;
    int ready;

    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigprocmask(SIG_BLOCK, &held, &before);
    do
        ready = tool_interrupted() ? -1 : ppoll(&in, 1, NULL, &before);
    while (ready < 0 && errno == EINTR && !tool_interrupted());
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ready >= 0 && !tool_interrupted();
}

#ifdef HAVE_LIBEDIT
/* One byte, or -1 when Ctrl-C was typed. */
static ssize_t byte_or_interrupt(char *byte)
{
    return wait_for_input() ? read(STDIN_FILENO, byte, 1) : -1;
}

/* One character. Unlike that of libedit it comes back when Ctrl-C was typed. */
static int editor_char(EditLine *editor, wchar_t *c)
{
    mbstate_t state = {0};

    (void)editor;
    for (;;) {
        char byte;
        ssize_t got = byte_or_interrupt(&byte);
        size_t used;

        if (got < 0 && errno == EINTR && !tool_interrupted())
            continue;
        if (got <= 0)
            return (int)got;
        used = mbrtowc(c, &byte, 1, &state);
        if (used == (size_t)-2)
            continue;
        if (used == (size_t)-1)
            *c = L'?';
        return 1;
    }
}

static char *editor_prompt(EditLine *editor)
{
    struct reader *reader = NULL;

    el_get(editor, EL_CLIENTDATA, &reader);
    prompt_text(reader->tool, reader->prompt);
    return reader->prompt;
}

/* Tab completes the first word, to as much as the commands that begin so have in common. */
static unsigned char editor_complete(EditLine *editor, int key)
{
    static const char *const names[] = {
        "abandon",  "at",      "begin",  "commit",   "checkpoint", "compact", "count", "del",
        "delrange", "dump",    "export", "flush",    "get",        "help",    "load",  "put",
        "quit",     "release", "scan",   "snapshot", "snapshots",  "stats"};
    const LineInfo *info = el_line(editor);
    size_t len = (size_t)(info->cursor - info->buffer), common = 0, matches = 0;
    const char *first = NULL;
    char rest[24];

    (void)key;
    if (len == 0 || memchr(info->buffer, ' ', len))
        return CC_ERROR;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(names[i], info->buffer, len) != 0)
            continue;
        if (matches++ == 0) {
            first = names[i];
            common = strlen(first);
        }
        while (common && strncmp(first, names[i], common) != 0)
            common--;
    }
    if (matches == 0 || (matches > 1 && common == len))
        return CC_ERROR;
    snprintf(rest, sizeof rest, "%.*s%s", (int)(common - len), first + len,
             matches == 1 ? " " : "");
    return el_insertstr(editor, rest) == 0 ? CC_REFRESH : CC_ERROR;
}

static void history_open(struct reader *reader)
{
    const char *named = getenv("MINIVAULT_HISTORY"), *home = getenv("HOME");
    HistEvent event;

    reader->history = history_init();
    if (!reader->history)
        return;
    history(reader->history, &event, H_SETSIZE, HISTORY_LINES);
    history(reader->history, &event, H_SETUNIQUE, 1);
    el_set(reader->editor, EL_HIST, history, reader->history);
    if (named)
        snprintf(reader->history_file, sizeof reader->history_file, "%s", named);
    else if (home && *home)
        snprintf(reader->history_file, sizeof reader->history_file, "%s/.minivault_history", home);
    if (*reader->history_file)
        history(reader->history, &event, H_LOAD, reader->history_file);
}

static void reader_open(struct reader *reader)
{
    if (!reader->tool->interactive)
        return;
    /* Keys and values are UTF-8 here, whatever the environment forgot to say. */
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8");
    reader->editor = el_init("minivault", stdin, stdout, stderr);
    if (!reader->editor)
        return;
    el_set(reader->editor, EL_CLIENTDATA, reader);
    el_set(reader->editor, EL_PROMPT, editor_prompt);
    el_set(reader->editor, EL_EDITOR, "emacs");
    el_set(reader->editor, EL_GETCFN, editor_char);
    history_open(reader);
    el_set(reader->editor, EL_ADDFN, "minivault-complete", "Complete a command", editor_complete);
    el_set(reader->editor, EL_BIND, "^I", "minivault-complete", NULL);
    el_set(reader->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(reader->editor, NULL);
}

static void reader_close(struct reader *reader)
{
    HistEvent event;
    mode_t mask;

    if (reader->history) {
        mask = umask(077); /* what was typed is nobody else's business */
        if (*reader->history_file)
            history(reader->history, &event, H_SAVE, reader->history_file);
        umask(mask);
        history_end(reader->history);
    }
    if (reader->editor)
        el_end(reader->editor);
    free(reader->line);
}

static enum got editor_line(struct reader *reader, const char **line)
{
    HistEvent event;
    int count = 0;

    errno = 0;
    *line = el_gets(reader->editor, &count);
    if (tool_interrupted() || (!*line && errno == EINTR)) {
        putchar('\n');
        el_reset(reader->editor);
        return GOT_INTERRUPT;
    }
    if (!*line || count <= 0) {
        putchar('\n');
        return GOT_END;
    }
    if (reader->history && (*line)[strspn(*line, " \t\n")])
        history(reader->history, &event, H_ENTER, *line);
    return GOT_LINE;
}
#else
static void reader_open(struct reader *reader)
{
    (void)reader;
}

static void reader_close(struct reader *reader)
{
    free(reader->line);
}
#endif

static enum got reader_line(struct reader *reader, const char **line)
{
    char prompt[PROMPT_MAX];
    ssize_t len;

#ifdef HAVE_LIBEDIT
    if (reader->editor)
        return editor_line(reader, line);
#endif
    if (reader->tool->interactive) {
        prompt_text(reader->tool, prompt);
        fputs(prompt, stdout);
        fflush(stdout);
    }
    errno = 0;
    len = -1;
    if (!reader->tool->interactive || wait_for_input()) /* a terminal gives one line at a time */
        len = getline(&reader->line, &reader->cap, stdin);
    *line = reader->line;
    if (len >= 0 && !(reader->tool->interactive && tool_interrupted()))
        return GOT_LINE;
    if (tool_interrupted() || errno == EINTR) {
        clearerr(stdin);
        if (reader->tool->interactive)
            putchar('\n');
        return GOT_INTERRUPT;
    }
    if (reader->tool->interactive)
        putchar('\n');
    return GOT_END;
}

/* One line after the other. On a terminal a mistake is told and forgotten; in a script the first
 * one gives the exit code, and the lines behind it still run. */
static int shell_loop(struct tool *tool, struct reader *reader)
{
    const char *line = NULL;
    bool quit = false;
    int first = TOOL_OK;

    while (!quit) {
        enum got got;
        int code;

        tool_wait_for_input(true);
        got = reader_line(reader, &line);
        tool_wait_for_input(false);

        if (got == GOT_END)
            break;
        if (got == GOT_INTERRUPT) {
            tool_interrupt_clear();
            if (!tool->interactive)
                return TOOL_INTERRUPTED;
            continue;
        }
        tool->line += !tool->interactive;
        code = tool_run_line(tool, line, &quit);
        if (code == TOOL_INTERRUPTED && tool->interactive) {
            fputs("interrupted\n", stderr);
            tool_interrupt_clear();
        } else if (code == TOOL_INTERRUPTED) {
            return code;
        }
        if (ferror(stdout))
            return first;
        fflush(stdout);
        first = first ? first : code;
    }
    return tool->interactive ? TOOL_OK : first;
}

int verb_shell(struct tool *tool, struct call *call)
{
    struct reader reader = {.tool = tool};
    int code;

    (void)call;
    tool->shell = true;
    tool->interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (tool->interactive)
        printf("minivault %s, %s. 'help' lists the commands, Ctrl-D leaves.\n", vault_version(),
               tool->path);
    reader_open(&reader);
    code = shell_loop(tool, &reader);
    reader_close(&reader);
    tool->line = 0;
    if (tool->batch) {
        int lost = tool_complain(tool, TOOL_USAGE, "a batch of %zu operations was not committed",
                                 vault_batch_count(tool->batch));

        vault_batch_free(tool->batch);
        tool->batch = NULL;
        code = code ? code : tool->interactive ? TOOL_OK : lost;
    }
    while (tool->snapshots) {
        struct snapshot_entry *entry = tool->snapshots;

        tool->snapshots = entry->next;
        vault_snapshot_release(tool->db, entry->snapshot);
        free(entry->name);
        free(entry);
    }
    return code;
}
