/* exec_story.c: see exec_story.h. */
#include "exec_story.h"

#include <stdlib.h>
#include <string.h>

#define LINES_MAX 8
#define TEXT_SIZE 8300

static const char *const headlines[] = {
    [EXEC_INTACT] = "the check fails on what the program left, without any crash",
    [EXEC_KILL] = "the check fails when the program is killed; no sync helps",
    [EXEC_LOST] = "a power cut loses what a sync would have saved",
    [EXEC_ORDER] = "a power cut loses something, and no single sync of it would have saved it",
};

/* "mv[2]" */
static void say_process(const struct pc_recording *recording, size_t record, char *text,
                        size_t room)
{
    const char *program = pc_recording_program(recording, record);

    snprintf(text, room, "%.*s[%u]", (int)strcspn(program, " "), program,
             (unsigned)pc_recording_at(recording, record)->process);
}

/* "rename conf.tmp -> conf by mv[2] (record 12)" */
static void say_call(const struct pc_recording *recording, size_t record, char *text, size_t room)
{
    const struct pc_record *what = pc_recording_at(recording, record);
    char process[120];
    size_t len;

    pc_record_say(what, text, room);
    if (what->process == 0)
        return;
    say_process(recording, record, process, sizeof process);
    len = strlen(text);
    snprintf(text + len, room - len, " by %s (record %zu)", process, record);
}

/* What the file was called after that record. */
static const char *name_of(const struct pc_recording *recording, uint32_t file, size_t record,
                           bool *directory)
{
    const char *name = "";

    *directory = false;
    for (size_t i = 0; i < pc_recording_count(recording); i++) {
        const struct pc_record *r = pc_recording_at(recording, i);

        if (r->file != file)
            continue;
        if (r->kind == PC_RECORD_BASE_DIRECTORY || r->kind == PC_RECORD_MKDIR)
            *directory = true;
        if (i <= record && r->kind == PC_RECORD_RENAME)
            name = r->to;
        else if (i <= record && *r->path)
            name = r->path;
    }
    return *name ? name : *directory ? "the directory itself" : "a nameless file";
}

static bool is_call(const struct pc_record *record)
{
    return record->kind != PC_RECORD_PROCESS && record->kind != PC_RECORD_MODE;
}

static void say_next(const struct pc_recording *recording, size_t record, char *text, size_t room)
{
    size_t next = record + 1;

    while (next + 1 < pc_recording_count(recording) && !is_call(pc_recording_at(recording, next)))
        next++;
    if (pc_recording_at(recording, next)->kind == PC_RECORD_END)
        snprintf(text, room, "the program ends");
    else
        say_call(recording, next, text, room);
}

static void say_sync(const struct pc_recording *recording, const struct pc_replay_sync *sync,
                     char *text, size_t room)
{
    bool directory;
    const char *name = name_of(recording, sync->file, sync->record, &directory);
    char after[TEXT_SIZE], before[TEXT_SIZE];

    say_call(recording, sync->record, after, sizeof after);
    say_next(recording, sync->record, before, sizeof before);
    snprintf(text, room, "%s of %s%s, after %s, before %s", "fsync",
             directory && strcmp(name, "the directory itself") != 0 ? "the directory " : "", name,
             after, before);
}

static void say_crash(const struct exec_search *search, const struct exec_case *c, char *text,
                      size_t room)
{
    const struct pc_recording *recording = search->setup.recording;
    char call[TEXT_SIZE];

    say_call(recording, c->record, call, sizeof call);
    if (pc_recording_at(recording, c->record)->kind == PC_RECORD_END)
        snprintf(text, room, "after the end of the program");
    else
        snprintf(text, room, "%s %s", c->inside ? "in the middle of" : "before", call);
}

/* ---- what was lost ---- */

static const char *item_word(enum pc_item_kind kind)
{
    static const char *const words[] = {[PC_ITEM_DATA] = "the data",
                                        [PC_ITEM_SIZE] = "the new size",
                                        [PC_ITEM_MAP] = "the place on the disk",
                                        [PC_ITEM_TRUNCATE] = "the size",
                                        [PC_ITEM_NAME] = "the names"};

    return words[kind];
}

static bool told_before(const struct exec_case *c, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++)
        if (c->lost[j].record == c->lost[i].record && c->lost[j].kind == c->lost[i].kind)
            return true;
    return false;
}

static void tell_lost(FILE *out, const struct exec_search *search, const struct exec_case *c)
{
    unsigned told = 0, more = 0;
    char call[TEXT_SIZE];

    for (uint32_t i = 0; i < c->lost_count; i++) {
        if (told_before(c, i))
            continue;
        if (told++ >= LINES_MAX) {
            more++;
            continue;
        }
        say_call(search->setup.recording, c->lost[i].record, call, sizeof call);
        fprintf(out, "  lost: %s of %s\n", item_word(c->lost[i].kind), call);
    }
    if (more)
        fprintf(out, "  and %u more\n", more);
    if (c->noise)
        fputs("  bytes that nobody wrote read as noise\n", out);
}

static void tell_lines(FILE *out, const char *head, const char *text)
{
    while (text && *text) {
        size_t len = strcspn(text, "\n");

        if (len)
            fprintf(out, "  %s%.*s\n", head, (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static void tell_models(FILE *out, const struct exec_search *search,
                        const struct exec_finding *finding)
{
    for (int shown = 1; shown >= 0; shown--) {
        bool any = false;

        for (size_t m = 0; m < search->setup.model_count; m++) {
            if (finding->shows[m] != (shown == 1))
                continue;
            fputs(any ? " " : shown ? "  shows under: " : "  not under: ", out);
            fputs(pc_model_name(search->setup.models[m]), out);
            any = true;
        }
        if (any)
            fputc('\n', out);
    }
}

static void tell_said(FILE *out, const struct exec_search *search, const struct exec_case *c)
{
    const struct pc_recording *recording = search->setup.recording;
    const struct pc_record *last = NULL;

    for (size_t i = 0; i < c->record; i++)
        if (pc_recording_at(recording, i)->kind == PC_RECORD_OUTPUT)
            last = pc_recording_at(recording, i);
    if (last)
        fprintf(out, "  the program had said %llu bytes, at last: %.*s\n",
                (unsigned long long)exec_said(recording, c->record),
                (int)(last->size < 60 ? strcspn((const char *)last->data, "\n") < last->size
                                            ? strcspn((const char *)last->data, "\n")
                                            : last->size
                                      : 60),
                (const char *)last->data);
}

void exec_tell(FILE *out, const struct exec_search *search, const struct exec_findings *findings,
               size_t index, const char *tree)
{
    const struct exec_finding *finding = &findings->findings[index];
    const struct exec_case *c = &finding->c;
    const struct exec_verdict *verdict = &search->verdicts[c->verdict];
    char text[2 * TEXT_SIZE + 100];

    fprintf(out, "finding %zu: %s\n", index + 1, headlines[finding->class]);
    say_crash(search, c, text, sizeof text);
    if (finding->class != EXEC_INTACT)
        fprintf(out, "  %s %s\n", finding->class == EXEC_KILL ? "killed" : "the power fails", text);
    tell_lost(out, search, c);
    tell_said(out, search, c);
    if (findings->last_tree != c->tree) {
        fputs("  in the tree, compared with what the program left in the end:\n", out);
        exec_tree_compare(exec_trees_at(&search->trees, findings->last_tree),
                          exec_trees_at(&search->trees, c->tree), "in the end", LINES_MAX, out);
    }
    if (search->setup.check)
        fprintf(out, "  the check ends with %d\n", verdict->code);
    tell_lines(out, search->setup.check ? "check: " : "", verdict->text);
    if (finding->class == EXEC_LOST || finding->class == EXEC_ORDER)
        tell_models(out, search, finding);
    if (finding->class == EXEC_LOST) {
        say_sync(search->setup.recording, &finding->sync, text, sizeof text);
        fprintf(out, "  missing sync: %s\n", text);
        fprintf(out, "  with it %zu failing states cannot come about%s\n", finding->failing,
                findings->silent && findings->count == 1 ? ", and none is left" : "");
    } else if (finding->class == EXEC_ORDER) {
        fprintf(out, "  %zu states fail; look for an order, or a missing check\n",
                finding->failing);
    }
    if (tree)
        fprintf(out, "  tree: %s\n", tree);
}

void exec_tell_json(struct json *json, const struct exec_search *search,
                    const struct exec_findings *findings, size_t index)
{
    const struct exec_finding *finding = &findings->findings[index];
    char text[2 * TEXT_SIZE + 100];

    json_key_text(json, "class", exec_class_name(finding->class));
    say_crash(search, &finding->c, text, sizeof text);
    json_key_text(json, "crash", text);
    json_key_u64(json, "record", finding->c.record);
    json_key_u64(json, "lost", finding->c.lost_count);
    json_key_u64(json, "failing_states", finding->failing);
    json_key_i64(json, "code", search->verdicts[finding->c.verdict].code);
    json_key_text(json, "says", search->verdicts[finding->c.verdict].text);
    json_key(json, "models");
    json_array_begin(json);
    for (size_t m = 0; m < search->setup.model_count; m++)
        if (finding->shows[m])
            json_text(json, pc_model_name(search->setup.models[m]));
    json_array_end(json);
    if (finding->class != EXEC_LOST)
        return;
    say_sync(search->setup.recording, &finding->sync, text, sizeof text);
    json_key_text(json, "missing_sync", text);
    json_key_u64(json, "sync_after_record", finding->sync.record);
}
