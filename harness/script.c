/* script.c: loads and executes .crash files. See script.h. */
#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "marks.h"
#include "play.h"
#include "stores.h"

/* ---- loading ---- */

static char *trimmed(const char *line, size_t len)
{
    char *copy;

    while (len && (line[len - 1] == '\n' || line[len - 1] == ' ' || line[len - 1] == '\r'))
        len--;
    copy = malloc(len + 1);
    must(copy != NULL);
    memcpy(copy, line, len);
    copy[len] = '\0';
    return copy;
}

static bool read_lines(struct script *script, const char *file, char *why, size_t room)
{
    FILE *in = fopen(file, "r");
    char *line = NULL;
    size_t line_room = 0;
    ssize_t len;

    if (in == NULL) {
        snprintf(why, room, "%s: cannot be opened", file);
        return false;
    }
    while ((len = getline(&line, &line_room, in)) >= 0) {
        script->lines = realloc(script->lines, (script->line_count + 1) * sizeof *script->lines);
        must(script->lines != NULL);
        script->lines[script->line_count++] = trimmed(line, (size_t)len);
    }
    free(line);
    fclose(in);
    return true;
}

static void expect(struct script *script, uint32_t step, const char *line)
{
    char *old = script->steps[step].expected;
    size_t len = old ? strlen(old) : 0, more = line ? strlen(line) + 1 : 0;
    char *text = realloc(old, len + more + 1);

    must(text != NULL);
    text[len] = '\0';
    if (line) {
        memcpy(text + len, line, more - 1);
        memcpy(text + len + more - 1, "\n", 2);
    }
    script->steps[step].expected = text;
}

static bool add_step(struct script *script, const char *line, uint32_t number, char *why,
                     size_t room)
{
    uint32_t before = script->trace.op_count;
    bool ok;

    if (strncmp(line, "finding rule=", 13) == 0) {
        if (rule_from_name(line + 13, &script->rule))
            return true;
        snprintf(why, room, "no such rule");
        return false;
    }
    ok = trace_parse(&script->trace, line, number, why, room);
    if (script->trace.op_count > before) { /* also where half of a step was taken */
        script->steps = realloc(script->steps, script->trace.op_count * sizeof *script->steps);
        must(script->steps != NULL);
        script->steps[before] = (struct script_step){NULL, number};
    }
    return ok;
}

bool script_load(struct script *script, const char *file, char *why, size_t room)
{
    bool answers = false;
    char what[160] = "";

    *script = (struct script){0};
    trace_init(&script->trace);
    if (!read_lines(script, file, why, room))
        return false;
    for (uint32_t i = 0; i < script->line_count; i++) {
        const char *line = script->lines[i];
        uint32_t steps = script->trace.op_count;

        if (answers) {
            if (*line)
                expect(script, steps - 1, line);
            else
                answers = false;
        } else if (strcmp(line, "----") == 0) {
            if (steps == 0) {
                snprintf(why, room, "%s:%u: answers before the first step", file, i + 1);
                return false;
            }
            expect(script, steps - 1, NULL);
            answers = true;
        } else if (*line && *line != '#' && !add_step(script, line, i + 1, what, sizeof what)) {
            snprintf(why, room, "%s:%u: %s", file, (unsigned)i + 1, what);
            return false;
        }
    }
    return true;
}

void script_release(struct script *script)
{
    for (uint32_t i = 0; i < script->trace.op_count && script->steps; i++)
        free(script->steps[i].expected);
    for (uint32_t i = 0; i < script->line_count; i++)
        free(script->lines[i]);
    free(script->lines);
    free(script->steps);
    trace_release(&script->trace);
    *script = (struct script){0};
}

/* ---- showing ---- */

static void show_entry(void *ctx, const struct pc_entry *entry)
{
    if (entry->is_dir)
        fprintf(ctx, "%s/\n", entry->path);
    else if (entry->target)
        fprintf(ctx, "%s -> %s\n", entry->path, entry->target);
    else
        fprintf(ctx, "%s %zu\n", entry->path, entry->size);
}

static void show_log(const struct pc_disk *disk, FILE *out)
{
    static const struct {
        uint32_t flag;
        const char *word;
    } flags[] = {{PC_CALL_FAILED, " failed"},
                 {PC_CALL_LIED, " lied"},
                 {PC_CALL_UNORDERED, " unordered"},
                 {PC_CALL_SHORT, " short"},
                 {PC_CALL_DSYNC, " dsync"}};

    for (size_t i = 0; i < pc_disk_call_count(disk); i++) {
        const struct pc_call *call = pc_disk_call(disk, i);

        fprintf(out, "%s %s", pc_call_kind_name(call->kind), *call->path ? call->path : "/");
        if (*call->to)
            fprintf(out, " -> %s", call->to);
        if (call->kind == PC_CALL_WRITE)
            fprintf(out, " %llu+%llu", (unsigned long long)call->offset,
                    (unsigned long long)call->done);
        if (call->kind == PC_CALL_TRUNCATE)
            fprintf(out, " %llu", (unsigned long long)call->length);
        for (size_t f = 0; f < sizeof flags / sizeof flags[0]; f++)
            if (call->flags & flags[f].flag)
                fputs(flags[f].word, out);
        fputc('\n', out);
    }
}

static void show_items(struct play *play, FILE *out)
{
    static const char *const kinds[] = {"data", "size", "map", "truncate", "name"};
    struct pc_image *image;
    size_t k;

    if (!play->crashed ||
        !session_place(&play->session, &play->cut.crash, &k, play->why, sizeof play->why))
        return;
    image = finding_image(play->session.disk, k, play->cut.crash.inside);
    for (uint32_t i = 0; i < pc_image_items(image); i++) {
        struct item_name name;

        finding_item(image, i, &name);
        fprintf(out, "%s %s", kinds[name.kind], *name.path ? name.path : "/");
        if (name.kind != PC_ITEM_NAME)
            fprintf(out, " offset=%llu", (unsigned long long)name.offset);
        fprintf(out, " version=%u\n", (unsigned)name.version);
    }
    pc_image_free(image);
}

static void show(struct play *play, const char *what, FILE *out)
{
    struct session *session = &play->session;

    if (strcmp(what, "disk") == 0)
        pc_disk_walk(session->disk, show_entry, out);
    else if (strcmp(what, "log") == 0)
        show_log(session->disk, out);
    else if (strcmp(what, "items") == 0)
        show_items(play, out);
    else if (strcmp(what, "faults") == 0)
        for (uint32_t i = 0; i < session->trace->fault_count; i++)
            fprintf(out, "%s %s %s fired=%u\n", pc_fault_kind_name(session->faults[i].kind),
                    pc_call_kind_name(session->faults[i].call), session->faults[i].file,
                    (unsigned)session->faults[i].fired);
    else
        snprintf(play->why, sizeof play->why, "show disk, log, items or faults");
}

/* ---- running ---- */

struct run {
    struct script *script;
    struct play play;
    struct finding finding;
    struct explorer explorer;
    char **answers; /* of each step that ran */
};

static void explore_now(struct run *run)
{
    struct play *play = &run->play;
    bool crashed = play->crashed;

    if (!crashed)
        session_end_epoch(&play->session);
    if (play->session.verdict.rule == RULE_NONE)
        explore_epoch(&run->explorer, &play->session, &run->finding);
    play->crashed = true;
    play->cut = (struct cut){.crash = {.place = CRASH_END, .nth = 1}};
}

static void check_mark(struct play *play, const char *name)
{
    uint64_t hits = marks_hits(name);

    if (hits == UINT64_MAX)
        snprintf(play->why, sizeof play->why, "no mark %s in this program", name);
    else if (hits == 0)
        snprintf(play->why, sizeof play->why, "mark %s was not reached", name);
}

static void answer_error(const struct session *session, FILE *out)
{
    if (session->error.status)
        fprintf(out, "error: %s\n", session->error.text);
}

/* One step; false: no further ones. */
static bool run_step(struct run *run, uint32_t i, FILE *out)
{
    const struct op *op = &run->script->trace.ops[i];
    bool more = play_step(&run->play, i, out);

    if (op->kind == OP_SHOW)
        show(&run->play, op->word, out);
    if (op->kind == OP_REACHED)
        check_mark(&run->play, op->word);
    if (op->kind == OP_EXPLORE && more)
        explore_now(run);
    answer_error(&run->play.session, out);
    if (run->finding.found)
        fprintf(out, "violation: %s: %s\n", rule_name(run->finding.verdict.rule),
                run->finding.verdict.text);
    return more && !run->finding.found && run->play.why[0] == '\0';
}

static bool capture_step(struct run *run, uint32_t i)
{
    size_t size;
    FILE *out = open_memstream(&run->answers[i], &size);
    bool more;

    must(out != NULL);
    more = run_step(run, i, out);
    fclose(out);
    return more;
}

static void write_answers(const struct run *run, const char *file)
{
    const struct script *script = run->script;
    FILE *out = fopen(file, "w");
    uint32_t step = 0;
    bool skipping = false;

    if (out == NULL) {
        fprintf(stderr, "%s: cannot be written\n", file);
        return;
    }
    for (uint32_t i = 0; i < script->line_count; i++) {
        const char *line = script->lines[i];

        if (skipping) {
            skipping = *line != '\0';
            continue;
        }
        if (strcmp(line, "----") == 0) {
            skipping = true;
            continue;
        }
        fprintf(out, "%s\n", line);
        if (step < script->trace.op_count && script->steps[step].line == i + 1) {
            if (run->answers[step] && run->answers[step][0])
                fprintf(out, "----\n%s\n", run->answers[step]);
            step++;
        }
    }
    fclose(out);
}

static enum script_result compare(const struct run *run, const char *file, FILE *out)
{
    const struct script *script = run->script;
    enum script_result result = SCRIPT_PASSED;

    for (uint32_t i = 0; i < script->trace.op_count; i++) {
        const char *expected = script->steps[i].expected ? script->steps[i].expected : "";
        const char *answer = run->answers[i] ? run->answers[i] : "";

        if (strcmp(expected, answer) == 0)
            continue;
        if (out)
            fprintf(out, "%s:%u: expected\n%s-- but the step answers\n%s", file,
                    (unsigned)script->steps[i].line, expected, answer);
        result = SCRIPT_DIFFERS;
        break;
    }
    if (result != SCRIPT_PASSED && run->finding.found)
        result = SCRIPT_VIOLATION;
    if (run->play.why[0]) {
        if (out)
            fprintf(out, "%s:%u: %s\n", file,
                    (unsigned)script->steps[run->play.session.op - 1].line, run->play.why);
        result = SCRIPT_BROKEN;
    }
    return result;
}

enum script_result script_run(struct script *script, const char *file, bool rewrite, FILE *out,
                              struct finding *finding)
{
    static const struct budget budget = {
        .leaves = 2000, .samples = 60, .nested = 16, .witness = 1, .life = 4, .recoveries = 200000};
    const struct pc_store *store = stores_find(script->trace.store);
    struct run run = {.script = script};
    enum script_result result;
    bool more = true, unanswered;

    if (store == NULL) {
        if (out)
            fprintf(out, "%s: no store %s (powercut list stores)\n", file, script->trace.store);
        return SCRIPT_BROKEN;
    }
    run.answers = calloc(script->trace.op_count + 1, sizeof *run.answers);
    must(run.answers != NULL);
    explorer_init(&run.explorer, &budget, store, script->trace.tuning, 1);
    play_init(&run.play, &script->trace, store, NULL, &run.finding);
    for (uint32_t i = 0; more && i < script->trace.op_count; i++)
        more = capture_step(&run, i);
    if (more)
        play_end(&run.play);
    unanswered = more && run.finding.found;
    if (rewrite && run.play.why[0] == '\0')
        write_answers(&run, file);
    result = rewrite && run.play.why[0] == '\0' ? SCRIPT_PASSED : compare(&run, file, out);
    if (unanswered) { /* seen when the store was closed behind the last step */
        if (out)
            fprintf(out, "%s: after the last step: violation: %s: %s\n", file,
                    rule_name(run.finding.verdict.rule), run.finding.verdict.text);
        result = SCRIPT_VIOLATION;
    }
    if (finding)
        *finding = run.finding;
    play_release(&run.play);
    explorer_release(&run.explorer);
    for (uint32_t i = 0; i < script->trace.op_count; i++)
        free(run.answers[i]);
    free(run.answers);
    return result;
}
