/* lanes.c: see lanes.h. The trace is played once more, without a search; then the image of the
 * finding is imposed and every open micro-op is asked for its state. */
#include "lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"

#include "json.h"
#include "play.h"
#include "survey.h"

#define CALLS_MOST    1200u
#define ITEMS_MOST    1200u
#define SURVEY_MOST   160u /* crash points of the strip */
#define SURVEY_LEAVES 48u

/* ---- operations ---- */

static char *op_text(const struct trace *trace, const struct op *op)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(out != NULL);
    trace_print_op(out, trace, op);
    fclose(out);
    if (size > 0 && text[size - 1] == '\n')
        text[size - 1] = '\0';
    return text;
}

static void operation(struct json *json, struct play *play, uint32_t index)
{
    struct trace *trace = play->session.trace;
    struct model *model = &play->session.model;
    uint32_t units = model->unit_count, promises = model->promise_count;
    uint32_t epoch = play->session.epoch;
    char *text = op_text(trace, &trace->ops[index]);

    play_step(play, index, NULL);
    json_object_begin(json);
    json_key_u64(json, "n", index + 1);
    json_key_text(json, "text", text);
    json_key_u64(json, "epoch", epoch);
    if (play->session.epoch == epoch && model->unit_count > units) {
        json_key_u64(json, "unit", model->unit_count);
        json_key_bool(json, "acknowledged", model->units[model->unit_count].status == UNIT_OK);
        json_key_u64(json, "answered_at", model->units[model->unit_count].ended);
    }
    if (play->session.epoch == epoch && model->promise_count > promises) {
        json_key_u64(json, "promised", model->promises[model->promise_count - 1].units);
        json_key_u64(json, "promised_at", model->promises[model->promise_count - 1].at);
        json_key_text(json, "why", model->promises[model->promise_count - 1].why);
    }
    json_object_end(json);
    free(text);
}

/* ---- the disk ---- */

static void flags(struct json *json, uint32_t set)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } names[] = {{PC_CALL_FAILED, "failed"},
                 {PC_CALL_LIED, "lied"},
                 {PC_CALL_SHORT, "short"},
                 {PC_CALL_DSYNC, "dsync"}};

    json_key(json, "flags");
    json_array_begin(json);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (set & names[i].flag)
            json_text(json, names[i].name);
    json_array_end(json);
}

void lanes_calls(struct json *json, const struct pc_disk *disk)
{
    size_t count = pc_disk_call_count(disk), first = count > CALLS_MOST ? count - CALLS_MOST : 0;

    json_key_u64(json, "calls_left_out", first);
    json_key(json, "calls");
    json_array_begin(json);
    for (size_t i = first; i < count; i++) {
        const struct pc_call *call = pc_disk_call(disk, i);

        json_object_begin(json);
        json_key_u64(json, "n", i);
        json_key_u64(json, "op", call->mark);
        json_key_text(json, "call", pc_call_kind_name(call->kind));
        json_key_text(json, "path", call->path);
        json_key_text(json, "to", call->to);
        json_key_u64(json, "offset", call->offset);
        json_key_u64(json, "length", call->length);
        flags(json, call->flags);
        json_object_end(json);
    }
    json_array_end(json);
}

static void items(struct json *json, struct pc_image *image)
{
    static const char *const kinds[] = {[PC_ITEM_DATA] = "data",
                                        [PC_ITEM_SIZE] = "size",
                                        [PC_ITEM_MAP] = "map",
                                        [PC_ITEM_TRUNCATE] = "truncate",
                                        [PC_ITEM_NAME] = "name"};
    static const char *const states[] = {
        [PC_ITEM_OPEN] = "open", [PC_ITEM_KEPT] = "kept", [PC_ITEM_LOST] = "lost"};

    json_key(json, "items");
    json_array_begin(json);
    for (uint32_t i = 0; i < pc_image_items(image) && i < ITEMS_MOST; i++) {
        struct pc_item item;

        pc_image_item(image, i, &item);
        json_object_begin(json);
        json_key_text(json, "kind", kinds[item.kind]);
        json_key_text(json, "path", item.path);
        json_key_u64(json, "offset", item.offset);
        json_key_u64(json, "version", item.version);
        json_key_u64(json, "call", item.call);
        json_key_text(json, "state", states[pc_image_state(image, i)]);
        json_object_end(json);
    }
    json_array_end(json);
}

/* The image of the first cut, everything decided; NULL: there is none. */
struct pc_image *lanes_image(struct session *session, const struct finding *finding, size_t *k)
{
    const struct cut *cut = &finding->cut[0];
    char why[160];
    struct pc_image *image;

    if (finding->cuts == 0 || session->verdict.rule != RULE_NONE ||
        !session_place(session, &cut->crash, k, why, sizeof why) ||
        (cut->crash.inside && *k == pc_disk_call_count(session->disk)))
        return NULL;
    image = finding_image(session->disk, *k, cut->crash.inside);
    pc_image_begin(image, NULL, cut->crash.fill);
    if (!finding_impose(image, cut, why, sizeof why)) {
        pc_image_free(image);
        return NULL;
    }
    for (uint32_t i = 0; i < pc_image_items(image); i++)
        if (pc_image_state(image, i) == PC_ITEM_OPEN)
            pc_image_set(image, i, true);
    return image;
}

/* Did the store break its promise in a recovery that is a step of the trace itself? Then the crash
 * before it is the one to show: its image is still there, and so is the disk below. */
static bool broke_in_recovery(const struct session *session)
{
    const struct trace *trace = session->trace;

    return session->verdict.rule != RULE_NONE && session->image && session->below &&
           session->verdict_op > 0 && session->verdict_op <= trace->op_count &&
           trace->ops[session->verdict_op - 1].kind == OP_RECOVER;
}

static void cut_json(struct json *json, struct pc_image *image, size_t k, const struct cut *cut,
                     const char *again)
{
    json_key(json, "crash");
    json_object_begin(json);
    json_key_u64(json, "at", k);
    json_key_bool(json, "inside", cut->crash.inside);
    json_key_text(json, "where", cut->before);
    json_key_bool(json, "again", again != NULL);
    json_key_text(json, "again_where", again ? again : "");
    items(json, image);
    json_object_end(json);
}

static void crash(struct json *json, struct play *play, const struct finding *finding)
{
    struct session *session = &play->session;
    struct pc_image *image;
    size_t k;

    if (broke_in_recovery(session)) {
        const struct crash *crash = &play->cut.crash;
        struct cut cut;

        finding_cut(session->below, session->image, session->crash_at, crash->inside, crash->fill,
                    &cut);
        cut_json(json, session->image, session->crash_at, &cut, NULL);
        return;
    }
    image = lanes_image(session, finding, &k);
    if (image == NULL)
        return;
    cut_json(json, image, k, &finding->cut[0], finding->cuts > 1 ? finding->cut[1].before : NULL);
    pc_image_free(image);
}

/* ---- the strip ---- */

static void strip_point(void *ctx, const struct survey_point *point)
{
    struct json *json = ctx;

    json_object_begin(json);
    json_key_u64(json, "at", point->k);
    json_key_bool(json, "inside", point->inside);
    json_key_bool(json, "exhaustive", point->exhaustive);
    json_key_text(json, "images", point->images);
    json_key_u64(json, "recoveries", point->recoveries);
    for (int i = 0; i < OUTCOMES; i++)
        if (point->count[i])
            json_key_u64(json, outcome_name((enum outcome)i), point->count[i]);
    json_object_end(json);
}

void lanes_strip(struct json *json, const char *name, struct session *session, enum trouble trouble)
{
    struct survey survey = {.store = session->store,
                            .tuning = session->trace->tuning,
                            .seed = 1,
                            .leaves = SURVEY_LEAVES,
                            .samples = 24,
                            .points_max = SURVEY_MOST,
                            .trouble = trouble,
                            .ctx = json,
                            .point = strip_point};

    json_key(json, name);
    json_array_begin(json);
    survey_epoch(&survey, session);
    json_array_end(json);
}

char *lanes_text(const struct trace *trace, const struct finding *finding,
                 const struct pc_store *store, bool survey)
{
    struct finding ignored = {0};
    struct json json = {0};
    struct trace copy;
    struct play play;
    char *text;

    trace_copy(&copy, trace);
    json_object_begin(&json);
    json_key(&json, "operations");
    json_array_begin(&json);
    play_init(&play, &copy, store, NULL, &ignored);
    for (uint32_t i = 0; survey && i < copy.op_count && !ignored.found; i++)
        operation(&json, &play, i);
    for (uint32_t i = 0; !survey && i < copy.op_count; i++) {
        char *op = op_text(&copy, &copy.ops[i]);

        json_object_begin(&json);
        json_key_u64(&json, "n", i + 1);
        json_key_text(&json, "text", op);
        json_object_end(&json);
        free(op);
    }
    json_array_end(&json);
    if (survey) {
        bool below;

        play_end(&play);
        below = broke_in_recovery(&play.session);
        json_key_u64(&json, "epoch", play.session.epoch - below);
        json_key_u64(&json, "failed_op", finding->op);
        lanes_calls(&json, below ? play.session.below : play.session.disk);
        crash(&json, &play, finding);
        if (play.session.verdict.rule == RULE_NONE)
            lanes_strip(&json, "strip", &play.session, finding->trouble);
    }
    play_release(&play);
    json_object_end(&json);
    text = strdup(json_written(&json));
    must(text != NULL);
    json_release(&json);
    trace_release(&copy);
    return text;
}

/* ---- the image as files ---- */

static void entry(void *ctx, const struct pc_entry *entry)
{
    FILE *out = ctx;

    fprintf(out, "%c%016zx%016zx%s", entry->is_dir ? 'd' : 'f', strlen(entry->path),
            entry->is_dir ? 0 : entry->size, entry->path);
    if (!entry->is_dir && entry->size)
        fwrite(entry->data, 1, entry->size, out);
}

char *lanes_disk(const struct trace *trace, const struct finding *finding,
                 const struct pc_store *store, size_t *len)
{
    struct finding ignored = {0};
    struct pc_image *image, *made;
    struct trace copy;
    struct play play;
    char *text = NULL;
    size_t k;

    *len = 0;
    trace_copy(&copy, trace);
    play_init(&play, &copy, store, NULL, &ignored);
    for (uint32_t i = 0; i < copy.op_count && play_step(&play, i, NULL); i++)
        ;
    play_end(&play);
    made = lanes_image(&play.session, finding, &k);
    image = broke_in_recovery(&play.session) ? play.session.image : made;
    if (image) {
        struct pc_disk *disk = pc_disk_boot(image);
        FILE *out = open_memstream(&text, len);

        must(out != NULL);
        pc_disk_walk(disk, entry, out);
        fclose(out);
        pc_disk_free(disk);
    }
    pc_image_free(made);
    play_release(&play);
    trace_release(&copy);
    return text;
}

static bool write_entry(const char *dir, char kind, struct bytes path, struct bytes data)
{
    char name[4600];
    bool ok;
    FILE *out;

    snprintf(name, sizeof name, "%.4000s/%.*s", dir, (int)path.len, (const char *)path.data);
    if (kind == 'd')
        return mkdir(name, 0777) == 0 || errno == EEXIST;
    out = fopen(name, "wb");
    if (out == NULL)
        return false;
    ok = fwrite(data.data, 1, data.len, out) == data.len;
    return fclose(out) == 0 && ok;
}

bool lanes_write_disk(const char *dir, struct bytes list)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return false;
    for (size_t at = 0; at + 33 <= list.len;) {
        char number[17] = "";
        size_t path_len, len;
        char kind = (char)list.data[at];

        memcpy(number, list.data + at + 1, 16);
        path_len = strtoull(number, NULL, 16);
        memcpy(number, list.data + at + 17, 16);
        len = strtoull(number, NULL, 16);
        at += 33;
        must(path_len <= list.len - at && len <= list.len - at - path_len);
        if (!write_entry(dir, kind, bytes_of(list.data + at, path_len),
                         bytes_of(list.data + at + path_len, len)))
            return false;
        at += path_len + len;
    }
    return true;
}
