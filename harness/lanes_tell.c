/* lanes_tell.c: the lanes of a finding as text, for a terminal. See lanes.h. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "judge.h"
#include "lanes.h"
#include "play.h"

#define UNITS_MOST 12u /* the newest before the crash */
#define CALLS_MOST 14u
#define ITEMS_MOST 5u /* of one call */

/* ---- the writes ---- */

/* Is what the unit wrote there? Only keys that no later unit before the crash has written tell. */
static const char *fate(const struct model *model, const struct unit *unit, uint32_t number,
                        uint32_t ceiling, const struct seen *seen)
{
    bool tells = false;

    for (uint32_t w = 0; w < unit->writes; w++) {
        const struct model_write *write = &model->writes[unit->first_write + w];
        const struct version *version = model_at(model, write->key, ceiling);
        const struct seen_entry *entry = seen_find(seen, write->key);

        if (version == NULL || version->unit != number)
            continue;
        tells = true;
        if ((entry != NULL) == version->absent ||
            (entry && (entry->hash != version->hash || entry->len != version->len)))
            return "LOST";
    }
    return tells ? "there" : "written over";
}

static void tell_writes(FILE *out, struct session *session, struct pc_image *image, size_t k,
                        const struct pc_store *store)
{
    struct question question = {.kill = session_kill(session, k)};
    uint32_t ceiling = 0, floor = 0;
    struct verdict verdict;
    struct judge judge;
    size_t opened;

    question.model = session_judge(session, k, &question.at, &question.trust);
    question.now = model_clock(question.model, question.at);
    for (uint32_t u = 1; u <= question.model->unit_count; u++)
        if (question.model->units[u].begun <= question.at)
            ceiling = u;
    for (uint32_t p = 0; p < question.model->promise_count; p++)
        if (question.model->promises[p].at <= question.at &&
            question.model->promises[p].units > floor)
            floor = question.model->promises[p].units;
    if (question.kill)
        floor = model_acknowledged(question.model, question.at);
    judge_init(&judge, store, session->trace->tuning);
    judge_image(&judge, image, &question, &verdict, &opened);
    fputs(judge.answered ? "the writes before the crash, and what became of them:\n"
                         : "the writes before the crash; nothing could be read afterwards:\n",
          out);
    for (uint32_t u = ceiling > UNITS_MOST ? ceiling - UNITS_MOST + 1 : 1; u <= ceiling; u++) {
        const struct unit *unit = &question.model->units[u];
        const char *status = unit->status == UNIT_ERROR ? "error" : "acknowledged";

        if (unit->status == UNIT_PENDING || unit->ended > question.at)
            status = "in flight";
        fprintf(out, "  unit %-3u op %-3u %-13s%-13s%s\n", (unsigned)u, (unsigned)unit->op, status,
                u <= floor ? "promised" : "",
                judge.answered ? fate(question.model, unit, u, ceiling, &judge.seen) : "");
    }
    judge_release(&judge);
}

/* ---- operation, call, disk ---- */

static void tell_items(FILE *out, struct pc_image *image, size_t call)
{
    static const char *const kinds[] = {[PC_ITEM_DATA] = "data",
                                        [PC_ITEM_SIZE] = "size",
                                        [PC_ITEM_MAP] = "map",
                                        [PC_ITEM_TRUNCATE] = "cut",
                                        [PC_ITEM_NAME] = "name"};
    uint32_t shown = 0, more = 0;

    for (uint32_t i = 0; i < pc_image_items(image); i++) {
        struct pc_item item;

        pc_image_item(image, i, &item);
        if (item.call != call)
            continue;
        if (shown == ITEMS_MOST) {
            more++;
            continue;
        }
        fprintf(out, "%s%s", shown++ ? ", " : "", kinds[item.kind]);
        if (item.kind != PC_ITEM_NAME)
            fprintf(out, "@%llu", (unsigned long long)item.offset);
        fputs(pc_image_state(image, i) == PC_ITEM_LOST ? " LOST" : " kept", out);
    }
    if (more)
        fprintf(out, ", %u more", (unsigned)more);
    if (shown == 0)
        fputs("-", out);
}

static void tell_call(FILE *out, const struct pc_call *call)
{
    char text[160];
    int n = snprintf(text, sizeof text, "%s %.48s", pc_call_kind_name(call->kind),
                     *call->path ? call->path : "/");

    if (*call->to)
        n += snprintf(text + n, sizeof text - (size_t)n, " to %.48s", call->to);
    if (call->length)
        n += snprintf(text + n, sizeof text - (size_t)n, " [%llu, +%llu)",
                      (unsigned long long)call->offset, (unsigned long long)call->length);
    if (call->flags & PC_CALL_FAILED)
        n += snprintf(text + n, sizeof text - (size_t)n, " FAILED");
    if (call->flags & PC_CALL_LIED)
        snprintf(text + n, sizeof text - (size_t)n, " LIED");
    fprintf(out, "  op %-4llu %-46s ", (unsigned long long)call->mark, text);
}

static void tell_lanes(FILE *out, const struct pc_disk *disk, struct pc_image *image, size_t k,
                       bool inside)
{
    size_t first = k > CALLS_MOST ? k - CALLS_MOST : 0, end = inside ? k + 1 : k;

    fputs("around the crash: operation, call, and what of it was not durable for sure yet:\n", out);
    if (first)
        fprintf(out, "  ... %llu calls before\n", (unsigned long long)first);
    for (size_t i = first; i < end; i++) {
        tell_call(out, pc_disk_call(disk, i));
        tell_items(out, image, i);
        fputc('\n', out);
    }
    fprintf(out, "  ======= the power fails%s =======\n", inside ? " in the middle of that" : "");
    if (end < pc_disk_call_count(disk)) {
        tell_call(out, pc_disk_call(disk, end));
        fputs("did not happen\n", out);
    }
}

void lanes_tell(FILE *out, const struct trace *trace, const struct finding *finding,
                const struct pc_store *store)
{
    struct finding ignored = {0};
    struct pc_image *image;
    struct trace copy;
    struct play play;
    size_t k;

    if (finding->cuts == 0)
        return;
    trace_copy(&copy, trace);
    play_init(&play, &copy, store, NULL, &ignored);
    for (uint32_t i = 0; i < copy.op_count && play_step(&play, i, NULL); i++)
        ;
    play_end(&play);
    image = lanes_image(&play.session, finding, &k);
    if (image) {
        if (finding->cuts == 1 && !finding->trouble)
            tell_writes(out, &play.session, image, k, store);
        tell_lanes(out, play.session.disk, image, k, finding->cut[0].crash.inside);
        pc_image_free(image);
    }
    play_release(&play);
    trace_release(&copy);
}
