/* matrix.c: see matrix.h. A task is one cell, or the figures of one level (what it costs, how long
 * recovery takes, the outcomes along one trace). Children write the JSON of their task; the parent
 * prints it in the order of the tasks and keeps the file that replays the first bad state. */
#include "matrix.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

#include "jobs.h"
#include "json.h"
#include "level.h"
#include "place.h"
#include "play.h"
#include "results.h"
#include "shrink.h"
#include "story.h"
#include "survey.h"

#define PLAIN_TRACES  3u  /* traces of a cell without faults, times campaign->seeds */
#define FAULT_PLACES  4u  /* places of a fault that are tried per trace; one trace */
#define PLAIN_POINTS  40u /* crash points per trace, spread evenly */
#define FAULT_POINTS  14u
#define LOST_MOST     256u /* longer losses count as this */
#define SHRINK_TRIES  40
#define STALL_SECONDS 120
#define RECOVERY_MOST 400u /* dots of the recovery figure */
#define COLUMNS       (1 + PC_FAULT_KINDS + TROUBLES - 1)

struct matrix {
    struct campaign *campaign;
    uint32_t columns[COLUMNS], column_count;
    uint64_t states, cells, broken, empty;
    char **worst; /* lines that tell of broken cells */
};

/* One cell, in the child. */
struct cell {
    const struct matrix *matrix;
    const struct level *level;
    enum pc_model model;
    uint32_t column;
    struct trace *trace; /* the one that is surveyed */
    uint64_t count[OUTCOMES], lost[LOST_MOST + 1];
    uint64_t states, points, exhaustive, fired, traces;
    uint32_t lost_most;
    bool bad; /* `finding` in `shown` is the first bad state */
    struct finding finding;
    struct trace shown;
    struct session *session;
    struct jobs_channel *channel;
};

/* What the child hands over; the file that replays, then the lines of JSON follow. */
struct answer {
    uint64_t states, bad;
    uint64_t count[OUTCOMES];
    uint32_t lost_most;
    enum outcome verdict;
    enum rule rule;
    size_t file;
};

/* ---- columns ---- */

static bool is_trouble(uint32_t column)
{
    return column > PC_FAULT_KINDS;
}

static enum trouble trouble_of(uint32_t column)
{
    return is_trouble(column) ? (enum trouble)(column - PC_FAULT_KINDS) : TROUBLE_NONE;
}

static const char *column_name(uint32_t column)
{
    static const char *const during[TROUBLES] = {
        [TROUBLE_BITROT] = "open-rot",
        [TROUBLE_READ] = "open-read",
        [TROUBLE_WRITE] = "open-write",
        [TROUBLE_NO_MEMORY] = "open-memory",
    };

    if (column == 0)
        return "none";
    if (is_trouble(column)) {
        must(during[trouble_of(column)] != NULL);
        return during[trouble_of(column)];
    }
    return pc_fault_kind_name((enum pc_fault_kind)(column - 1));
}

/* ---- a cell, in the child ---- */

static void keep_bad(struct cell *cell, const struct survey_state *state)
{
    struct finding *finding = &cell->finding;

    cell->bad = true;
    *finding = (struct finding){.found = true, .cuts = 1, .verdict = *state->verdict};
    finding->op = cell->trace->op_count;
    if (state->k < pc_disk_call_count(cell->session->disk))
        finding->op = (uint32_t)pc_disk_call(cell->session->disk, state->k)->mark;
    finding_cut(cell->session->disk, state->image, state->k, state->inside, state->fill,
                &finding->cut[0]);
    finding->scanned = state->scanned;
    finding->trouble = trouble_of(cell->column);
    finding->trouble_at = state->trouble_at;
    trace_copy(&cell->shown, cell->trace);
}

static void take_state(void *ctx, const struct survey_state *state)
{
    struct cell *cell = ctx;

    /* What a level says of its window, the oracle has to know as well. */
    must(cell->column || state->outcome != OUTCOME_WINDOW ||
         state->lost <= level_window(cell->level, cell->matrix->campaign->store));
    cell->states++;
    cell->count[state->outcome]++;
    cell->lost[state->lost < LOST_MOST ? state->lost : LOST_MOST]++;
    if (state->lost > cell->lost_most)
        cell->lost_most = state->lost;
    if (outcome_bad(state->outcome) && !cell->bad)
        keep_bad(cell, state);
    if (cell->states % 64 == 0)
        jobs_beat(cell->channel);
}

static void take_point(void *ctx, const struct survey_point *point)
{
    struct cell *cell = ctx;

    cell->points++;
    cell->exhaustive += point->exhaustive;
}

/* The store broke a rule while it ran: one state, and nothing to survey. */
static void take_live(struct cell *cell, const struct session *session)
{
    enum outcome outcome = outcome_of(session->verdict.rule);

    cell->states++;
    cell->count[outcome]++;
    if (cell->bad)
        return;
    cell->bad = true;
    cell->finding = (struct finding){
        .found = true, .live = true, .op = session->verdict_op, .verdict = session->verdict};
    trace_copy(&cell->shown, cell->trace);
}

/* Lies in the scratch of the child, so that the parent knows what the store died of. */
struct dying {
    uint32_t index;
    uint32_t count;
    struct pc_fault faults[TRACE_FAULTS];
};

static void survey_trace(struct cell *cell, uint32_t index, uint32_t points)
{
    const struct campaign *campaign = cell->matrix->campaign;
    struct survey survey = {.store = campaign->store,
                            .tuning = cell->trace->tuning,
                            .seed = cell->trace->seed,
                            .leaves = campaign->budget.leaves,
                            .samples = campaign->budget.samples,
                            .points_max = points,
                            .trouble = trouble_of(cell->column),
                            .ctx = cell,
                            .state = take_state,
                            .point = take_point};
    struct dying *dying = jobs_scratch(cell->channel);
    struct finding ignored = {0};
    struct play play;
    uint32_t fired = 0;

    dying->index = index;
    dying->count = cell->trace->fault_count;
    memcpy(dying->faults, cell->trace->faults, sizeof dying->faults);
    play_init(&play, cell->trace, campaign->store, NULL, &ignored);
    cell->session = &play.session;
    for (uint32_t i = 0; i < cell->trace->op_count && play_step(&play, i, NULL); i++)
        ;
    play_end(&play);
    cell->traces++;
    for (uint32_t i = 0; i < cell->trace->fault_count; i++)
        fired += play.session.faults[i].fired > 0;
    if (cell->trace->fault_count && fired == 0) {
        play_release(&play); /* it was aimed at a call that did not come: no state of this cell */
        return;
    }
    cell->fired += fired;
    if (play.session.verdict.rule != RULE_NONE)
        take_live(cell, &play.session);
    else if (!play.session.refused)
        survey_epoch(&survey, &play.session);
    play_release(&play);
    jobs_beat(cell->channel);
}

/* How many single faults of the kind the trace can meet; asked by doubling, then by halving. */
static uint32_t single_faults(const struct cell *cell, uint32_t kinds)
{
    const struct pc_store *store = cell->matrix->campaign->store;
    uint32_t low = 0, high = 1; /* low: all below it are there */
    struct pc_fault fault;

    while (high < 4096 && place_single(cell->trace, store, kinds, high - 1, &fault)) {
        low = high;
        high *= 2;
    }
    while (low + 1 < high) {
        uint32_t middle = low + (high - low) / 2;

        if (place_single(cell->trace, store, kinds, middle - 1, &fault))
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* A fault of reads, which are no calls of the log: its place is drawn. */
static void survey_drawn(struct cell *cell, uint32_t index, uint32_t number, uint32_t kinds)
{
    struct trace *plain = cell->trace, copy;
    struct tape tape;

    trace_copy(&copy, plain);
    tape_init(&tape, plain->seed ^ rng_mix(number + 1));
    place_faults(&copy, cell->matrix->campaign->store, &tape, kinds);
    tape_release(&tape);
    cell->trace = &copy;
    if (copy.fault_count)
        survey_trace(cell, index, FAULT_POINTS);
    cell->trace = plain;
    trace_release(&copy);
}

static void survey_faults(struct cell *cell, uint32_t index)
{
    const struct pc_store *store = cell->matrix->campaign->store;
    uint32_t kinds = 1u << (cell->column - 1), all = single_faults(cell, kinds);
    uint32_t tries = all < FAULT_PLACES ? all : FAULT_PLACES;
    struct trace *plain = cell->trace;

    for (uint32_t i = 0; all == 0 && i < FAULT_PLACES; i++)
        survey_drawn(cell, index, i, kinds);
    for (uint32_t i = 0; i < tries; i++) {
        struct trace copy;
        struct pc_fault fault;

        /* The middle of each of `tries` equal parts. */
        if (!place_single(plain, store, kinds, (2 * i + 1) * all / (2 * tries), &fault))
            continue;
        trace_copy(&copy, plain);
        trace_arm(&copy, &fault, 1);
        cell->trace = &copy;
        survey_trace(cell, index, FAULT_POINTS);
        trace_release(&copy);
    }
    cell->trace = plain;
}

static void survey_cell(struct cell *cell)
{
    const struct campaign *campaign = cell->matrix->campaign;
    bool plain = cell->column == 0 || is_trouble(cell->column);
    uint32_t traces = (uint32_t)campaign->seeds * (cell->column == 0 ? PLAIN_TRACES : 1);

    for (uint32_t i = 0; i < traces; i++) {
        struct trace trace;

        level_trace(campaign, cell->level, i, cell->model, &trace);
        cell->trace = &trace;
        if (plain)
            survey_trace(cell, i, cell->column == 0 ? PLAIN_POINTS : FAULT_POINTS);
        else
            survey_faults(cell, i);
        trace_release(&trace);
    }
}

static enum outcome verdict_of(const uint64_t count[OUTCOMES])
{
    static const enum outcome by_weight[] = {OUTCOME_REFUSED, OUTCOME_WINDOW, OUTCOME_FALSE};
    enum outcome worst = OUTCOME_KEPT;

    for (int i = 0; i < OUTCOMES; i++)
        if (outcome_bad((enum outcome)i) && count[i] > 0 &&
            (!outcome_bad(worst) || count[i] > count[worst]))
            worst = (enum outcome)i;
    for (size_t i = 0; worst == OUTCOME_KEPT && i < sizeof by_weight / sizeof by_weight[0]; i++)
        if (count[by_weight[i]])
            worst = by_weight[i];
    return worst;
}

static void file_name(const struct matrix *matrix, const struct level *level, enum pc_model model,
                      uint32_t column, char *path, size_t room)
{
    const struct campaign *campaign = matrix->campaign;
    size_t n =
        (size_t)snprintf(path, room, "%.3900s/seed-%llu/matrix/%s-%s-", campaign->out,
                         (unsigned long long)campaign->seed, level->name, pc_model_name(model));

    snprintf(path + n, room - n, "%s.crash", column_name(column));
    for (char *p = path + n; *p; p++)
        if (*p == ' ')
            *p = '-';
}

static void cell_json(struct json *json, const struct cell *cell, const char *path)
{
    uint32_t window = level_window(cell->level, cell->matrix->campaign->store);

    json_object_begin(json);
    json_key_text(json, "type", "cell");
    json_key_text(json, "store", cell->matrix->campaign->store->name);
    json_key_text(json, "level", cell->level->name);
    json_key_text(json, "promise", cell->level->promise);
    json_key(json, "window");
    if (window == LEVEL_NO_WINDOW)
        json_none(json);
    else
        json_u64(json, window);
    json_key_text(json, "model", pc_model_name(cell->model));
    json_key_text(json, "fault", column_name(cell->column));
    json_key_u64(json, "unit", cell->matrix->campaign->unit);
    json_key_u64(json, "traces", cell->traces);
    json_key_u64(json, "fired", cell->fired);
    json_key_u64(json, "points", cell->points);
    json_key_u64(json, "exhaustive", cell->exhaustive);
    json_key_u64(json, "states", cell->states);
    json_key_text(json, "verdict",
                  cell->states ? outcome_name(verdict_of(cell->count)) : "untested");
    json_key(json, "outcomes");
    json_object_begin(json);
    for (int i = 0; i < OUTCOMES; i++)
        if (cell->count[i])
            json_key_u64(json, outcome_name((enum outcome)i), cell->count[i]);
    json_object_end(json);
    json_key(json, "lost");
    json_array_begin(json);
    for (uint32_t i = 0; i <= LOST_MOST; i++)
        if (cell->lost[i]) {
            json_array_begin(json);
            json_u64(json, i);
            json_u64(json, cell->lost[i]);
            json_array_end(json);
        }
    json_array_end(json);
    json_key_u64(json, "lost_most", cell->lost_most);
    json_key_text(json, "rule", cell->bad ? rule_name(cell->finding.verdict.rule) : "");
    json_key_text(json, "file", cell->bad ? path : "");
    json_object_end(json);
}

static void beat(void *channel)
{
    jobs_beat(channel);
}

/* The file that replays the first bad state, made small; "" when there is none. */
static char *cell_file(struct cell *cell)
{
    const struct campaign *campaign = cell->matrix->campaign;
    struct shrink shrink = {.store = campaign->store,
                            .seed = cell->shown.seed,
                            .tries = SHRINK_TRIES,
                            .beat = beat,
                            .beat_ctx = cell->channel};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(out != NULL);
    if (cell->bad) {
        if (!campaign->no_shrink)
            shrink_finding(&shrink, &cell->shown, &cell->finding);
        story_file(out, &cell->shown, &cell->finding, campaign->command);
        trace_release(&cell->shown);
    }
    fclose(out);
    return text;
}

static void work_cell(const struct matrix *matrix, const struct level *level, enum pc_model model,
                      uint32_t column, struct jobs_channel *channel)
{
    struct cell cell = {
        .matrix = matrix, .level = level, .model = model, .column = column, .channel = channel};
    struct answer answer = {0};
    struct json json = {0};
    char path[4200], *file;

    survey_cell(&cell);
    file_name(matrix, level, model, column, path, sizeof path);
    file = cell_file(&cell);
    cell_json(&json, &cell, path);
    answer.states = cell.states;
    memcpy(answer.count, cell.count, sizeof answer.count);
    for (int i = 0; i < OUTCOMES; i++)
        answer.bad += outcome_bad((enum outcome)i) ? cell.count[i] : 0;
    answer.lost_most = cell.lost_most;
    answer.verdict = verdict_of(cell.count);
    answer.rule = cell.bad ? cell.finding.verdict.rule : RULE_NONE;
    answer.file = strlen(file);
    jobs_emit(channel, bytes_of(&answer, sizeof answer));
    jobs_emit(channel, bytes_of(file, answer.file));
    jobs_emit(channel, bytes_str(json_written(&json)));
    jobs_emit(channel, bytes_str("\n"));
    free(file);
    json_release(&json);
}

/* ---- tasks ---- */

/* The model that the figures of a level are drawn under: the weakest with an atomic rename. */
static enum pc_model figure_model(const struct campaign *campaign)
{
    for (uint32_t i = 0; i < campaign->model_count; i++)
        if (campaign->models[i] == PC_POSIX)
            return PC_POSIX;
    return campaign->models[campaign->model_count - 1];
}

/* Which level, model and column a task is; false: the figures of the level. */
static bool place_of(const struct matrix *matrix, uint64_t task, const struct level **level,
                     enum pc_model *model, uint32_t *column)
{
    uint32_t per_model = matrix->column_count;
    uint32_t per_level = matrix->campaign->model_count * per_model + 1;
    uint64_t within = task % per_level;

    *level = level_at(task / per_level);
    if (within + 1 == per_level)
        return false;
    *model = matrix->campaign->models[within / per_model];
    *column = matrix->columns[within % per_model];
    return true;
}

static void work(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    const struct matrix *matrix = ctx;
    const struct campaign *campaign = matrix->campaign;
    const struct level *level;
    enum pc_model model;
    uint32_t column;

    if (place_of(matrix, task, &level, &model, &column)) {
        work_cell(matrix, level, model, column, channel);
    } else {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        must(out != NULL);
        level_figures(campaign, level, figure_model(campaign),
                      (uint32_t)campaign->seeds * PLAIN_TRACES, out);
        fclose(out);
        jobs_emit(channel, bytes_of(text, size));
        free(text);
    }
}

/* ---- the parent ---- */

static const char *glyph(enum outcome outcome)
{
    static const char *const glyphs[OUTCOMES] = {
        [OUTCOME_KEPT] = "✓",    [OUTCOME_FALSE] = "↺", [OUTCOME_WINDOW] = "◐",
        [OUTCOME_REFUSED] = "⚠", [OUTCOME_LOST] = "✗",  [OUTCOME_WRONG] = "≠",
        [OUTCOME_CLOSED] = "☠",  [OUTCOME_STUCK] = "∞",
    };

    return glyphs[outcome];
}

static void head_line(const struct matrix *matrix, const struct level *level)
{
    printf("%s, %s: %s\n%-15s", matrix->campaign->store->name, level->name, level->promise, "");
    for (uint32_t c = 0; c < matrix->column_count; c++)
        printf(" %-11s", column_name(matrix->columns[c]));
    printf("\n");
}

static void print_cell(const struct answer *answer)
{
    char text[64];
    int width;

    if (answer->states == 0)
        snprintf(text, sizeof text, "?");
    else if (answer->bad)
        snprintf(text, sizeof text, "%llu of %llu", (unsigned long long)answer->bad,
                 (unsigned long long)answer->states);
    else if (answer->lost_most)
        snprintf(text, sizeof text, "%llu ≤%u", (unsigned long long)answer->states,
                 (unsigned)answer->lost_most);
    else
        snprintf(text, sizeof text, "%llu", (unsigned long long)answer->states);
    /* A sign is one column wide and three bytes long. */
    width = (int)strlen(text) - (strstr(text, "≤") ? 2 : 0);
    if (answer->states)
        printf(" %s %s%*s", glyph(answer->verdict), text, width < 9 ? 9 - width : 0, "");
    else
        printf(" %-11s", text);
}

static void tell_broken(struct matrix *matrix, const struct level *level, enum pc_model model,
                        uint32_t column, const struct answer *answer, const char *path)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(out != NULL);
    fprintf(out, "%s %s, %s, %s: %s in %llu of %llu states: %s\n", glyph(answer->verdict),
            level->name, pc_model_name(model), column_name(column), rule_name(answer->rule),
            (unsigned long long)answer->bad, (unsigned long long)answer->states,
            story_meaning(answer->rule));
    fprintf(out, "  replay: %s replay %s\n", matrix->campaign->program, path);
    fclose(out);
    matrix->worst = realloc(matrix->worst, (matrix->broken + 1) * sizeof *matrix->worst);
    must(matrix->worst != NULL);
    matrix->worst[matrix->broken++] = text;
}

/* The store died in a cell: what it was doing lies in the scratch. */
static void dead_cell(struct matrix *matrix, const struct level *level, enum pc_model model,
                      uint32_t column, const struct jobs_result *result, struct answer *answer)
{
    const struct dying *dying = result->scratch;
    struct cell cell = {.matrix = matrix, .level = level, .model = model, .column = column};
    struct json json = {0};
    char path[4200];
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(out != NULL);
    level_trace(matrix->campaign, level, dying->index, model, &cell.shown);
    if (dying->count)
        trace_arm(&cell.shown, dying->faults, dying->count);
    cell.bad = true;
    cell.states = cell.count[OUTCOME_STUCK] = 1;
    cell.lost[0] = 1;
    cell.finding = (struct finding){.found = true, .live = true, .op = cell.shown.op_count};
    cell.finding.verdict.rule =
        result->outcome == JOBS_STALLED ||
                (result->outcome == JOBS_FAILED && result->code == HANG_EXIT)
            ? RULE_HANG
            : RULE_CRASH;
    snprintf(cell.finding.verdict.text, sizeof cell.finding.verdict.text, "the store died (%s %d)",
             jobs_outcome_name(result->outcome), result->code);
    story_file(out, &cell.shown, &cell.finding, matrix->campaign->command);
    fclose(out);
    file_name(matrix, level, model, column, path, sizeof path);
    results_file(path, bytes_of(text, size));
    cell_json(&json, &cell, path);
    results_line(matrix->campaign, &json);
    *answer = (struct answer){.states = 1, .bad = 1, .verdict = OUTCOME_STUCK};
    answer->count[OUTCOME_STUCK] = 1;
    answer->rule = cell.finding.verdict.rule;
    json_release(&json);
    trace_release(&cell.shown);
    free(text);
}

static bool done(void *ctx, uint64_t task, const struct jobs_result *result)
{
    struct matrix *matrix = ctx;
    struct campaign *campaign = matrix->campaign;
    struct bytes rest = result->emitted;
    const struct level *level;
    enum pc_model model = PC_POSIX;
    uint32_t column = 0;
    struct answer answer;
    char path[4200];

    if (!place_of(matrix, task, &level, &model, &column)) {
        if (result->outcome == JOBS_EXITED)
            results_raw(campaign, rest);
        if (!campaign->json)
            printf("\n");
        return true;
    }
    if (!campaign->json && column == matrix->columns[0]) {
        if (model == campaign->models[0])
            head_line(matrix, level);
        printf("%-15s", pc_model_name(model));
    }
    file_name(matrix, level, model, column, path, sizeof path);
    if (result->outcome != JOBS_EXITED || rest.len < sizeof answer) {
        dead_cell(matrix, level, model, column, result, &answer);
    } else {
        memcpy(&answer, rest.data, sizeof answer);
        if (answer.file)
            results_file(path, bytes_of(rest.data + sizeof answer, answer.file));
        results_raw(campaign, bytes_of(rest.data + sizeof answer + answer.file,
                                       rest.len - sizeof answer - answer.file));
    }
    matrix->cells++;
    matrix->states += answer.states;
    matrix->empty += answer.states == 0;
    if (answer.bad)
        tell_broken(matrix, level, model, column, &answer, path);
    if (!campaign->json)
        print_cell(&answer);
    if (!campaign->json && column == matrix->columns[matrix->column_count - 1])
        printf("\n");
    fflush(stdout);
    return true;
}

static void summary(struct matrix *matrix, int code)
{
    const struct campaign *campaign = matrix->campaign;
    struct json json = {0};

    json_object_begin(&json);
    json_key_text(&json, "type", "summary");
    json_key_text(&json, "schema", RESULTS_SCHEMA);
    json_key_text(&json, "command", "matrix");
    json_key_text(&json, "store", campaign->store->name);
    json_key_u64(&json, "seed", campaign->seed);
    json_key(&json, "models");
    json_array_begin(&json);
    for (uint32_t i = 0; i < campaign->model_count; i++)
        json_text(&json, pc_model_name(campaign->models[i]));
    json_array_end(&json);
    json_key_u64(&json, "cells", matrix->cells);
    json_key_u64(&json, "cells_broken", matrix->broken);
    json_key_u64(&json, "cells_untested", matrix->empty);
    json_key_u64(&json, "recoveries", matrix->states);
    json_key_u64(&json, "exit", (uint64_t)code);
    json_key_text(&json, "repeat", campaign->command);
    json_object_end(&json);
    results_line(campaign, &json);
    json_release(&json);
    if (campaign->json)
        return;
    printf("✓ kept  ↺ reported failed, later there  ◐ lost what no promise covered  ⚠ detected and "
           "refused\n✗ promised write lost  ≠ wrong data  ☠ does not open  ∞ hangs, dies, leaks  ? "
           "not tested\nnumbers: recovered states; ≤: so many acknowledged writes lost. Each model "
           "was "
           "surveyed by itself.\n");
    for (uint64_t i = 0; i < matrix->broken; i++)
        fputs(matrix->worst[i], stdout);
    printf("%s: %llu cells, %llu with a promise not kept, %llu not tested, %llu recovered states, "
           "exit %d\nrepeat: %s\n",
           code == 0 ? "passed" : (code == 1 ? "FAILED" : "INCONCLUSIVE"),
           (unsigned long long)matrix->cells, (unsigned long long)matrix->broken,
           (unsigned long long)matrix->empty, (unsigned long long)matrix->states, code,
           campaign->command);
}

int matrix_run(struct campaign *campaign)
{
    struct matrix matrix = {.campaign = campaign};
    struct jobs_config config = {.jobs = campaign->jobs,
                                 .stall_seconds = STALL_SECONDS,
                                 .ctx = &matrix,
                                 .work = work,
                                 .done = done};
    enum jobs_end end;
    int code = 0;

    matrix.columns[matrix.column_count++] = 0;
    for (uint32_t c = 1; c < COLUMNS; c++)
        if (is_trouble(c) ? campaign->faults : campaign->faults >> (c - 1) & 1)
            matrix.columns[matrix.column_count++] = c;
    config.count =
        level_count(campaign->store) * ((uint64_t)campaign->model_count * matrix.column_count + 1);
    end = jobs_run(&config);
    if (matrix.broken)
        code = 1;
    else if (end == JOBS_INTERRUPTED)
        code = 130;
    else if (end == JOBS_BROKEN)
        code = 4;
    else if (matrix.cells == 0 || matrix.states == 0)
        code = 3;
    summary(&matrix, code);
    for (uint64_t i = 0; i < matrix.broken; i++)
        free(matrix.worst[i]);
    free(matrix.worst);
    return code;
}
