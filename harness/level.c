/* level.c: see level.h. */
#include "level.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

#include "lanes.h"
#include "play.h"
#include "survey.h"

#define DOTS_MOST 400u /* of the recovery figure */

static const struct level levels[] = {
    {"sync-each", "every write that returned survives the loss of power", 1, 0, false},
    {"sync-8", "everything up to the last sync survives the loss of power; a sync after 8 writes",
     8, 0, false},
    {"log-only",
     "every write that returned survives the death of the process; what survives the loss of power "
     "is a prefix, with all that was flushed",
     0, 0, false},
    {"time-60",
     "every write that returned survives the death of the process; what the loss of power takes "
     "was "
     "written in the last 60 ms of the clock before the newest write",
     0, 60, false},
    {"no-log",
     "what survives the loss of power, or the death of the process, is a prefix, with all that was "
     "flushed",
     0, 0, true},
};

size_t level_count(const struct pc_store *store)
{
    return sizeof levels / sizeof levels[0] - (store->promises_with ? 0 : 2);
}

const struct level *level_at(size_t index)
{
    return &levels[index];
}

/* Replaces a number of a tuning, or adds it at the end. */
static void retune(char *tuning, size_t room, const char *name, uint32_t value)
{
    char old[264], word[64];
    size_t len;

    snprintf(old, sizeof old, " %s", tuning);
    len = (size_t)snprintf(word, sizeof word, " %s=", name);
    for (char *at = strstr(old, word); at; at = strstr(at, word)) {
        size_t gone = len + strcspn(at + len, " ");

        memmove(at, at + gone, strlen(at + gone) + 1);
    }
    must((size_t)snprintf(tuning, room, "%s%s%u", old + (old[0] == ' '), word, value) < room);
}

static void set_tuning(const struct level *level, char *tuning, size_t room)
{
    retune(tuning, room, "nolog", level->no_log);
    retune(tuning, room, "sync_writes", level->every > 1 ? level->every : 0);
    retune(tuning, room, "sync_interval", level->interval);
}

/* Does the store keep to the level by itself, when it is tuned so? */
static bool syncs_itself(const struct level *level, const struct pc_store *store)
{
    char tuning[64] = "";

    set_tuning(level, tuning, sizeof tuning);
    return store->window && store->window(tuning) != UINT64_MAX;
}

uint32_t level_window(const struct level *level, const struct pc_store *store)
{
    if (level->every <= 1)
        return level->every ? 0 : LEVEL_NO_WINDOW;
    return level->every - syncs_itself(level, store);
}

static bool is_write(enum op_kind kind)
{
    return kind == OP_PUT || kind == OP_DELETE || kind == OP_DELETE_RANGE || kind == OP_BATCH;
}

void level_trace(const struct campaign *campaign, const struct level *level, uint64_t index,
                 enum pc_model model, struct trace *trace)
{
    struct generator generator = {.ops = campaign->ops};
    bool told = level->every > 1 && !syncs_itself(level, campaign->store);
    uint32_t count, writes = 0;
    struct op *drawn;
    struct tape tape;

    trace_init(trace);
    trace->seed = rng_mix(campaign->seed ^ rng_mix(index));
    trace->disk = (struct pc_disk_config){
        .model = model, .unit = campaign->unit ? campaign->unit : 512, .seed = trace->seed};
    snprintf(trace->store, sizeof trace->store, "%s", campaign->store_name);
    tape_init(&tape, trace->seed);
    trace_generate(trace, &tape, &generator);
    tape_release(&tape);
    set_tuning(level, trace->tuning, sizeof trace->tuning);
    drawn = trace->ops;
    count = trace->op_count;
    trace->ops = NULL;
    trace->op_count = trace->op_room = 0;
    for (uint32_t i = 0; i < count; i++) {
        enum op_kind kind = drawn[i].kind;
        struct op *op;

        if (kind == OP_SYNC || (index % 2 == 0 && (kind == OP_FLUSH || kind == OP_REOPEN)))
            continue;
        op = trace_add(trace, kind);
        *op = drawn[i];
        op->sync = is_write(kind) && level->every == 1;
        if (is_write(kind) && told && ++writes % level->every == 0)
            trace_add(trace, OP_SYNC);
    }
    free(drawn);
}

/* ---- figures ---- */

enum part { PART_LOG, PART_TABLE, PART_MANIFEST, PART_OTHER, PARTS };

struct cost {
    uint64_t traces, writes, user_bytes, syncs, calls, reads;
    uint64_t bytes[PARTS];
};

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path), end_len = strlen(end);

    return len >= end_len && strcmp(path + len - end_len, end) == 0;
}

static enum part part_of(const char *path)
{
    if (ends_with(path, ".log"))
        return PART_LOG;
    if (ends_with(path, ".sst"))
        return PART_TABLE;
    return strstr(path, "MANIFEST") ? PART_MANIFEST : PART_OTHER;
}

static void add_cost(struct cost *cost, struct session *session)
{
    const struct trace *trace = session->trace;
    const struct pc_disk *disk = session->disk;
    size_t calls = pc_disk_call_count(disk);

    cost->traces++;
    cost->calls += calls;
    cost->reads += pc_disk_steps(disk) > calls ? pc_disk_steps(disk) - calls : 0;
    for (uint32_t i = 0; i < trace->op_count; i++) {
        const struct op *op = &trace->ops[i];

        cost->writes += is_write(op->kind);
        for (uint32_t w = 0; w < op->writes; w++) {
            const struct trace_write *write = &trace->writes[op->first_write + w];

            cost->user_bytes += trace->keys[write->key].len;
            cost->user_bytes += write->is_delete ? 0 : write->value.len;
        }
    }
    for (size_t i = 0; i < calls; i++) {
        const struct pc_call *call = pc_disk_call(disk, i);

        if (call->kind == PC_CALL_WRITE)
            cost->bytes[part_of(call->path)] += call->done;
        cost->syncs += call->kind == PC_CALL_FSYNC || call->kind == PC_CALL_FDATASYNC ||
                       call->kind == PC_CALL_SYNC || call->kind == PC_CALL_MSYNC;
    }
}

static void cost_json(struct json *json, const struct level *level, const struct cost *cost)
{
    static const char *const names[PARTS] = {"log", "tables", "manifest", "other"};

    json_object_begin(json);
    json_key_text(json, "type", "cost");
    json_key_text(json, "level", level->name);
    json_key_u64(json, "traces", cost->traces);
    json_key_u64(json, "writes", cost->writes);
    json_key_u64(json, "user_bytes", cost->user_bytes);
    json_key_u64(json, "syncs", cost->syncs);
    json_key_u64(json, "calls", cost->calls);
    json_key_u64(json, "reads", cost->reads);
    json_key(json, "bytes");
    json_object_begin(json);
    for (int i = 0; i < PARTS; i++)
        json_key_u64(json, names[i], cost->bytes[i]);
    json_object_end(json);
    json_object_end(json);
}

/* The recovery with most calls at each crash point. */
struct dots {
    uint64_t logged, steps;
    uint32_t count;
    struct json *json;
};

static void take_state(void *ctx, const struct survey_state *state)
{
    struct dots *dots = ctx;

    dots->logged = state->logged;
    if (!outcome_bad(state->outcome) && state->steps > dots->steps)
        dots->steps = state->steps;
}

static void take_point(void *ctx, const struct survey_point *point)
{
    struct dots *dots = ctx;

    if (dots->steps > 0 && dots->count++ < DOTS_MOST) {
        json_array_begin(dots->json);
        json_u64(dots->json, dots->logged);
        json_u64(dots->json, dots->steps);
        json_array_end(dots->json);
    }
    dots->steps = 0;
}

static void strip_json(struct json *json, const struct level *level, struct session *session,
                       enum pc_model model)
{
    json_object_begin(json);
    json_key_text(json, "type", "strip");
    json_key_text(json, "level", level->name);
    json_key_text(json, "model", pc_model_name(model));
    lanes_calls(json, session->disk);
    lanes_strip(json, "points", session, TROUBLE_NONE);
    json_object_end(json);
}

static void end_line(struct json *json, FILE *out)
{
    fprintf(out, "%s\n", json_written(json));
    json_release(json);
}

void level_figures(const struct campaign *campaign, const struct level *level, enum pc_model model,
                   uint32_t traces, FILE *out)
{
    struct json dots_json = {0}, strip = {0}, json = {0};
    struct dots dots = {.json = &dots_json};
    struct cost cost = {0};

    json_object_begin(&dots_json);
    json_key_text(&dots_json, "type", "recovery");
    json_key_text(&dots_json, "level", level->name);
    json_key_text(&dots_json, "model", pc_model_name(model));
    json_key(&dots_json, "points");
    json_array_begin(&dots_json);
    for (uint32_t i = 0; i < traces; i++) {
        struct finding ignored = {0};
        struct trace trace;
        struct play play;
        struct survey survey = {.store = campaign->store,
                                .seed = 1,
                                .leaves = 4,
                                .samples = 4,
                                .points_max = 60,
                                .ctx = &dots,
                                .state = take_state,
                                .point = take_point};

        level_trace(campaign, level, i, model, &trace);
        survey.tuning = trace.tuning;
        play_init(&play, &trace, campaign->store, NULL, &ignored);
        for (uint32_t op = 0; op < trace.op_count && play_step(&play, op, NULL); op++)
            ;
        add_cost(&cost, &play.session);
        play_end(&play);
        if (play.session.verdict.rule == RULE_NONE) {
            survey_epoch(&survey, &play.session);
            if (i == 0)
                strip_json(&strip, level, &play.session, model);
        }
        play_release(&play);
        trace_release(&trace);
    }
    json_array_end(&dots_json);
    json_object_end(&dots_json);
    cost_json(&json, level, &cost);
    end_line(&json, out);
    end_line(&dots_json, out);
    if (strip.len)
        end_line(&strip, out);
}
