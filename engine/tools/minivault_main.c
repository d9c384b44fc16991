/* minivault_main.c: the store on the command line: main, complaints, exit codes.
 *
 *   minivault COMMAND DB WORDS...     one command; commands.def lists them
 *   minivault DB                      a prompt
 *
 * Exit: 0 done; 1 no such key; 2 usage; 3 the database is damaged or of an unknown format; 4 it
 * could not be opened, read or written; 130 stopped by Ctrl-C; 141 the reader of the output has
 * gone. */
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t interrupts;

static void on_interrupt(int signal)
{
    (void)signal;
    if (++interrupts > 1)
        _exit(TOOL_INTERRUPTED); /* what was acknowledged is safe from the death of the process */
}

bool tool_interrupted(void)
{
    return interrupts > 0;
}

void tool_interrupt_clear(void)
{
    interrupts = 0;
}

void tool_wait_for_input(bool waiting)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = waiting ? 0 : SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

/* A gone reader is seen as a failed write. */
static void catch_signals(void)
{
    tool_wait_for_input(false);
    signal(SIGPIPE, SIG_IGN);
}

bool tool_color(FILE *out)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

    if (none && *none)
        return false;
    return isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
}

/* ---- complaints ---- */

static void begin_complaint(const struct tool *tool)
{
    bool color = tool_color(stderr);

    fflush(stdout);
    fputs(color ? "\033[1;31mminivault:\033[0m " : "minivault: ", stderr);
    if (tool->line)
        fprintf(stderr, "line %lu: ", tool->line);
}

int tool_complain(struct tool *tool, int code, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    begin_complaint(tool);
    print_escaped(stderr, text, strlen(text), false);
    fputc('\n', stderr);
    if (tool->json) {
        fputs("{\"type\":\"error\"", stdout);
        print_json_bytes(stdout, "status", code == TOOL_NOT_FOUND ? "NOT_FOUND" : "USAGE",
                         code == TOOL_NOT_FOUND ? 9 : 5);
        print_json_bytes(stdout, "what", text, strlen(text));
        printf(",\"exit\":%d}\n", code);
    }
    return code;
}

static int exit_of(enum vault_status st)
{
    switch (st) {
    case VAULT_CORRUPT:
    case VAULT_DATA_LOSS:
    case VAULT_UNSUPPORTED:
        return TOOL_DAMAGED;
    case VAULT_INVALID:
        return TOOL_USAGE;
    default:
        return TOOL_FAILED;
    }
}

int tool_failure(struct tool *tool, enum vault_status st, const struct vault_error *error)
{
    struct vault_error e = *error;
    int code = exit_of(st);

    if (e.status != st)
        e = (struct vault_error){.status = st};
    begin_complaint(tool);
    if (st == VAULT_NOT_FOUND && !tool->db) {
        fprintf(stderr, "no database in '%s'; put, load and shell create one", tool->path);
        e = (struct vault_error){.status = st, .what = "no database"};
    } else {
        fprintf(stderr, "%s%s%s", vault_status_name(st), *e.what ? ": " : "", e.what);
    }
    if (*e.file)
        fprintf(stderr, ": %s at offset %llu", e.file, (unsigned long long)e.offset);
    if (e.system_errno)
        fprintf(stderr, ": %s", strerror(e.system_errno));
    fputc('\n', stderr);
    if (tool->json) {
        printf("{\"type\":\"error\",\"status\":\"%s\"", vault_status_name(st));
        print_json_bytes(stdout, "what", e.what, strlen(e.what));
        print_json_bytes(stdout, "file", e.file, strlen(e.file));
        printf(",\"offset\":%llu,\"errno\":%d,\"exit\":%d}\n", (unsigned long long)e.offset,
               e.system_errno, code);
    }
    return code;
}

int tool_failure_of(struct tool *tool, enum vault_status st)
{
    struct vault_error error = {0};

    vault_last_error(tool->db, &error);
    return tool_failure(tool, st, &error);
}

int tool_flush_output(struct tool *tool)
{
    bool bad = ferror(stdout) != 0;
    int reason = errno;

    if (fflush(stdout) != 0) {
        bad = true;
        reason = errno;
    }
    if (!bad)
        return TOOL_OK;
    if (reason == EPIPE)
        return TOOL_PIPE;
    tool->json = false;
    return tool_complain(tool, TOOL_FAILED, "writing the output: %s", strerror(reason));
}

/* ---- main ---- */

static int with_database(struct tool *tool, struct call *call)
{
    struct vault_options options;
    struct vault_error error = {0};
    enum vault_status st;
    int code;

    vault_options_init(&options);
    options.create_if_missing = call->command->open == OPEN_CREATE;
    code = options_apply(tool, call, &options);
    if (code)
        return code;
    st = vault_open(tool->path, &options, &tool->db, &error);
    if (st)
        return tool_failure(tool, st, &error);
    code = call->command->run(tool, call);
    vault_last_error(tool->db, &error);
    st = vault_close(tool->db);
    if (st && !code)
        code = tool_failure(tool, st, &error);
    return code;
}

static int run(struct tool *tool, const struct command *command, int argc, char **argv)
{
    struct command own = *command; /* command_find keeps one at a time */
    struct call call = {0};
    struct text *words = calloc((size_t)argc + 1, sizeof *words);
    int code = TOOL_FAILED, output;

    if (!words)
        return code;
    for (int i = 0; i < argc; i++)
        text_add(&words[i], argv[i], strlen(argv[i]));
    code = call_parse(tool, &call, &own, (size_t)argc, words, false);
    if (!code && own.open == OPEN_NOTHING)
        code = own.run(tool, &call);
    else if (!code)
        code = with_database(tool, &call);
    if (tool->json)
        printf("{\"type\":\"summary\",\"schema\":\"minivault.result/1\",\"command\":\"%s\","
               "\"exit\":%d}\n",
               own.name, code);
    output = tool_flush_output(tool);
    for (int i = 0; i < argc; i++)
        text_free(&words[i]);
    free(words);
    call_free(&call);
    return output ? output : code;
}

static int help(FILE *out)
{
    fprintf(out,
            "minivault %s, an embedded key-value store\n\n"
            "usage: minivault COMMAND DB ...   or, for a prompt: minivault DB\n\n",
            vault_version());
    help_print(out, false);
    fprintf(
        out,
        "\nexamples:\n"
        "  minivault put my.db apple red\n"
        "  minivault scan my.db --prefix=a\n"
        "  minivault help scan\n\n"
        "Keys and values are printed, and read, with escapes such as \\n, \\t, \\\\ and \\xff.\n"
        "Exit: 0 done, 1 no such key, 2 usage, 3 damaged, 4 cannot be opened, read or "
        "written\n");
    return TOOL_OK;
}

static int version(bool json)
{
    if (json)
        printf("{\"name\":\"minivault\",\"version\":\"%s\",\"library\":\"%s\",\"editing\":%s}\n",
               VAULT_VERSION, vault_version(),
#ifdef HAVE_LIBEDIT
               "true"
#else
               "false"
#endif
        );
    else
        printf("minivault %s\n", vault_version());
    return TOOL_OK;
}

/* A word that is no command may be a database: then a prompt is wanted. */
static bool is_database(const char *word)
{
    struct stat st;

    return strchr(word, '/') || (stat(word, &st) == 0 && S_ISDIR(st.st_mode));
}

int main(int argc, char **argv)
{
    struct tool tool = {0};
    const char *name = argc > 1 ? argv[1] : NULL, *nearest;
    const struct command *command;

    catch_signals();
    if (!name || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        (strcmp(name, "help") == 0 && argc == 2)) {
        help(stdout);
        return tool_flush_output(&tool);
    }
    if (strcmp(name, "--version") == 0) {
        version(argc > 2 && strcmp(argv[2], "--json") == 0);
        return tool_flush_output(&tool);
    }
    if (strcmp(name, "help") == 0) {
        if (help_command(stdout, argv[2], false))
            return tool_complain(&tool, TOOL_USAGE, "no command '%s'", argv[2]);
        return tool_flush_output(&tool);
    }
    command = command_find(name, false);
    if (command && argc == 3 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
        help_command(stdout, name, false);
        return tool_flush_output(&tool);
    }
    if (command)
        return run(&tool, command, argc - 2, argv + 2);
    if (argc == 2 && is_database(name))
        return run(&tool, command_find("shell", false), argc - 1, argv + 1);
    nearest = command_nearest(name, false);
    return tool_complain(&tool, TOOL_USAGE, "no command '%s'%s%s%s", name,
                         nearest ? ", did you mean '" : "", nearest ? nearest : "",
                         nearest ? "'?" : "; 'minivault help' lists them");
}
