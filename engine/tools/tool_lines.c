/* tool_lines.c: pairs as lines of text: load, export, and batches from standard input.
 *
 * A line is the key, a tab, the value, each with the escapes of tool_text.c; so no byte of them is
 * a tab or the end of a line. An export begins with the line "# minivault lines 1" and ends with
 * "# end N", N pairs. Other lines that begin with # are comments, and so is an empty line. A file
 * with the first line and without the last was cut off, and load says so; a file without both was
 * written by hand, and that is fine. */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER      "# minivault lines 1"
#define LOAD_PAIRS  1000u
#define LOAD_BYTES  ((size_t)4 << 20)
#define EXPORT_TEMP ".part"

struct loading {
    struct vault_batch *batch;
    size_t bytes;
    uint64_t pairs, line, promised;
    bool has_header, has_end;
};

static int load_write(struct tool *tool, struct loading *loading)
{
    enum vault_status st = VAULT_OK;

    if (vault_batch_count(loading->batch) > 0)
        st = vault_write(tool->db, loading->batch, false, NULL);
    vault_batch_clear(loading->batch);
    loading->bytes = 0;
    return st ? tool_failure_of(tool, st) : TOOL_OK;
}

static int load_pair(struct tool *tool, struct loading *loading, const char *line, size_t len)
{
    const char *tab = memchr(line, '\t', len);
    struct text key = {0}, value = {0};
    const char *wrong = tab ? NULL : "no tab between key and value";
    size_t key_len = tab ? (size_t)(tab - line) : 0;
    enum vault_status st = VAULT_OK;

    if (!wrong && memchr(tab + 1, '\t', len - key_len - 1))
        wrong = "more than one tab; within a key or value it is \\t";
    if (!wrong)
        wrong = text_unescape(&key, line, key_len);
    if (!wrong)
        wrong = text_unescape(&value, tab + 1, len - key_len - 1);
    if (!wrong) {
        st = vault_batch_put(loading->batch, key.data, key.len, value.data, value.len);
        loading->bytes += key.len + value.len;
        loading->pairs++;
    }
    text_free(&key);
    text_free(&value);
    if (wrong)
        return tool_complain(tool, TOOL_USAGE, "line %" PRIu64 ": %s", loading->line, wrong);
    if (st == VAULT_INVALID)
        return tool_complain(tool, TOOL_USAGE, "line %" PRIu64 ": the key or the value is too long",
                             loading->line);
    if (st)
        return tool_failure_of(tool, st);
    if (vault_batch_count(loading->batch) >= LOAD_PAIRS || loading->bytes >= LOAD_BYTES)
        return load_write(tool, loading);
    return TOOL_OK;
}

static int load_line(struct tool *tool, struct loading *loading, const char *line, size_t len)
{
    unsigned long long promised;

    if (loading->has_end)
        return tool_complain(tool, TOOL_USAGE, "line %" PRIu64 ": something behind the end",
                             loading->line);
    if (len == 0)
        return TOOL_OK;
    if (line[0] != '#')
        return load_pair(tool, loading, line, len);
    if (loading->line == 1 && strncmp(line, "# minivault lines ", 18) == 0) {
        loading->has_header = true;
        if (strcmp(line, HEADER) != 0)
            return tool_complain(tool, TOOL_USAGE, "'%s': this program knows version 1", line);
    } else if (loading->has_header && sscanf(line, "# end %llu", &promised) == 1) {
        loading->has_end = true;
        loading->promised = promised;
    }
    return TOOL_OK;
}

static int load_stream(struct tool *tool, struct loading *loading, FILE *in)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int code = TOOL_OK;

    errno = 0;
    tool_wait_for_input(true);
    while (!code && (len = getline(&line, &cap, in)) >= 0) {
        loading->line++;
        if (len && line[len - 1] == '\n')
            line[--len] = '\0';
        if (len && line[len - 1] == '\r')
            line[--len] = '\0'; /* an escape, had it been meant */
        code = load_line(tool, loading, line, (size_t)len);
        if (!code && tool_interrupted())
            code = TOOL_INTERRUPTED;
        errno = 0;
    }
    tool_wait_for_input(false);
    if (!code && (ferror(in) || errno))
        code = tool_interrupted()
                   ? TOOL_INTERRUPTED
                   : tool_complain(tool, TOOL_FAILED, "reading: %s", strerror(errno ? errno : EIO));
    free(line);
    return code;
}

static int load_finish(struct tool *tool, const struct call *call, struct loading *loading)
{
    int code = load_write(tool, loading);
    enum vault_status st = VAULT_OK;

    if (!code && !call->no_sync) {
        st = vault_sync(tool->db);
        if (st)
            code = tool_failure_of(tool, st);
    }
    if (!code && loading->has_header && !loading->has_end)
        code = tool_complain(tool, TOOL_USAGE,
                             "the export was cut off after line %" PRIu64 "; %" PRIu64
                             " pairs were written",
                             loading->line, loading->pairs);
    if (!code && loading->has_end && loading->promised != loading->pairs)
        code =
            tool_complain(tool, TOOL_USAGE, "the export had %" PRIu64 " pairs, here are %" PRIu64,
                          loading->promised, loading->pairs);
    return code;
}

int verb_load(struct tool *tool, struct call *call)
{
    struct loading loading = {.batch = vault_batch_new()};
    FILE *in = call->count ? fopen(call->operands[0].data, "r") : stdin;
    int code;

    if (!loading.batch || !in) {
        code = tool_complain(tool, TOOL_FAILED, "%s: %s",
                             call->count ? call->operands[0].data : "load", strerror(errno));
    } else {
        code = load_stream(tool, &loading, in);
        if (!code)
            code = load_finish(tool, call, &loading);
        else if (loading.pairs > vault_batch_count(loading.batch))
            tool_complain(tool, code, "%" PRIu64 " pairs were written before that",
                          loading.pairs - vault_batch_count(loading.batch));
    }
    if (in && in != stdin)
        fclose(in);
    vault_batch_free(loading.batch);
    if (!code)
        printf(call->json ? "{\"type\":\"load\",\"pairs\":%" PRIu64 "}\n" : "%" PRIu64 " pairs\n",
               loading.pairs);
    return code;
}

/* ---- export ---- */

struct exporting {
    FILE *out;
    uint64_t pairs;
};

static int export_pair(void *ctx, struct bytes key, struct bytes value)
{
    struct exporting *exporting = ctx;

    print_escaped(exporting->out, key.data, key.len, true);
    fputc('\t', exporting->out);
    print_escaped(exporting->out, value.data, value.len, false);
    fputc('\n', exporting->out);
    exporting->pairs++;
    return ferror(exporting->out) ? TOOL_FAILED : TOOL_OK;
}

static int export_to(struct tool *tool, const struct call *call, size_t first,
                     struct exporting *exporting)
{
    struct range range;
    int code = range_of(tool, call, first, &range);

    if (!code) {
        fputs(HEADER "\n", exporting->out);
        code = range_walk(tool, &range, exporting, export_pair);
    }
    if (!code)
        fprintf(exporting->out, "# end %" PRIu64 "\n", exporting->pairs);
    range_free(&range);
    return code;
}

/* Into a new file: written aside, synced, then renamed, so that there is all of it or none. */
static int export_file(struct tool *tool, const struct call *call, const char *name)
{
    struct exporting exporting = {0};
    struct text part = {0};
    int code = TOOL_OK;
    bool good;

    if (!call->force && access(name, F_OK) == 0)
        return tool_complain(tool, TOOL_USAGE, "%s is there already; --force replaces it", name);
    text_add(&part, name, strlen(name));
    text_add(&part, EXPORT_TEMP, strlen(EXPORT_TEMP));
    exporting.out = fopen(part.data, "w");
    if (!exporting.out) {
        code = tool_complain(tool, TOOL_FAILED, "%s: %s", part.data, strerror(errno));
    } else {
        code = export_to(tool, call, 1, &exporting);
        good = fflush(exporting.out) == 0 && !ferror(exporting.out) &&
               fsync(fileno(exporting.out)) == 0;
        if (fclose(exporting.out) != 0)
            good = false;
        if (good && !code && rename(part.data, name) != 0)
            good = false;
        if (!good && (code == TOOL_OK || code == TOOL_FAILED))
            code = tool_complain(tool, TOOL_FAILED, "%s: %s", name, strerror(errno));
        if (code)
            unlink(part.data);
    }
    text_free(&part);
    if (!code)
        printf(call->json ? "{\"type\":\"export\",\"pairs\":%" PRIu64 "}\n" : "%" PRIu64 " pairs\n",
               exporting.pairs);
    return code;
}

int verb_export(struct tool *tool, struct call *call)
{
    struct exporting exporting = {.out = stdout};
    int code;

    if (call->count)
        return export_file(tool, call, call->operands[0].data);
    if (call->json)
        return tool_complain(tool, TOOL_USAGE, "export --json needs a FILE; scan --json prints");
    code = export_to(tool, call, 1, &exporting);
    return ferror(stdout) ? TOOL_OK : code; /* tool_flush_output tells why */
}

/* ---- batches ---- */

int verb_batch(struct tool *tool, struct call *call)
{
    enum vault_status st = VAULT_OK;
    char *line = NULL;
    size_t cap = 0;
    bool quit = false;
    uint64_t count;
    int code = TOOL_OK;

    tool->batch = vault_batch_new();
    if (!tool->batch)
        return tool_failure_of(tool, VAULT_NO_MEMORY);
    tool->shell = true;
    tool_wait_for_input(true);
    while (!code && getline(&line, &cap, stdin) >= 0) {
        const char *word = line + strspn(line, " \t");

        tool->line++;
        if (*word && *word != '\n' && *word != '#' && strncmp(word, "put ", 4) != 0 &&
            strncmp(word, "del ", 4) != 0 && strncmp(word, "delrange ", 9) != 0)
            code =
                tool_complain(tool, TOOL_USAGE, "a batch has lines of put, del and delrange only");
        else
            code = tool_run_line(tool, line, &quit);
        if (!code && tool_interrupted())
            code = TOOL_INTERRUPTED;
    }
    tool_wait_for_input(false);
    if (!code && ferror(stdin))
        code = tool_interrupted()
                   ? TOOL_INTERRUPTED
                   : tool_complain(tool, TOOL_FAILED, "reading: %s", strerror(errno));
    tool->line = 0;
    tool->shell = false;
    free(line);
    count = vault_batch_count(tool->batch);
    if (!code)
        st = vault_write(tool->db, tool->batch, !call->no_sync, NULL);
    else
        tool_complain(tool, code, "nothing was written");
    vault_batch_free(tool->batch);
    tool->batch = NULL;
    if (st)
        return tool_failure_of(tool, st);
    if (!code)
        printf(call->json ? "{\"type\":\"batch\",\"operations\":%" PRIu64 "}\n"
                          : "%" PRIu64 " operations\n",
               count);
    return code;
}
