/* story.c: see story.h. */
#include "story.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "lanes.h"
#include "play.h"
#include "shrink.h"

static const char *const meanings[RULES] = {
    [RULE_BELOW_FLOOR] = "a promised write is gone",
    [RULE_HOLE] = "a write is gone and a later one is there",
    [RULE_TORN_BATCH] = "a batch is there in part",
    [RULE_PHANTOM] = "something is there that was never written, or had been dropped",
    [RULE_WRONG_BYTES] = "a value is damaged and was delivered",
    [RULE_OPEN] = "the store does not open or cannot be read",
    [RULE_RECOVERY] = "recovering again gives something else",
    [RULE_READ] = "two ways of reading disagree",
    [RULE_STRUCTURE] = "the store's own check fails",
    [RULE_PROGRESS] = "the store does not go on working",
    [RULE_TRUTH] = "more is claimed durable than is",
    [RULE_FAIL_STOP] = "a write is acknowledged after a failure",
    [RULE_LEAK] = "something is left after close",
    [RULE_HANG] = "the store hangs",
    [RULE_CRASH] = "the store died",
    [RULE_NONDETERMINISM] = "two runs of one tape differ",
    [RULE_UNVERIFIED] = "recovery depends on bytes that no checksum has passed",
    [RULE_COPY] = "a copy that was promised is not there, or not what was copied",
    [RULE_READ_ONLY] = "an open to read only changes the disk, or shows something else",
    [RULE_FIGURES] = "what the store says of itself is not so",
    [RULE_VERIFY] = "the check of the closed store is wrong",
    [RULE_REPAIR] = "a repair fails, or is silent about what it lost",
};

const char *story_meaning(enum rule rule)
{
    return meanings[rule] ? meanings[rule] : "nothing is wrong";
}

void story_file(FILE *out, const struct trace *trace, const struct finding *finding,
                const char *command)
{
    struct trace copy;

    trace_copy(&copy, trace);
    fprintf(out, "# %s: %s\n# %s\n", rule_name(finding->verdict.rule),
            meanings[finding->verdict.rule], finding->verdict.text);
    for (uint32_t c = 0; c < finding->cuts; c++)
        fprintf(out, "# the power fails %s%s\n", finding->cut[c].before,
                c ? ", within that recovery" : "");
    fprintf(out, "# found by: %s\nfinding rule=%s\n", command, rule_name(finding->verdict.rule));
    if (finding->live &&
        (finding->verdict.rule == RULE_CRASH || finding->verdict.rule == RULE_HANG))
        trace_add(&copy, OP_EXPLORE);
    else
        finding_steps(finding, &copy);
    trace_print(out, &copy);
    trace_release(&copy);
}

static const char *item_word(enum pc_item_kind kind)
{
    static const char *const words[] = {[PC_ITEM_DATA] = "data",
                                        [PC_ITEM_SIZE] = "size",
                                        [PC_ITEM_MAP] = "mapping",
                                        [PC_ITEM_TRUNCATE] = "size",
                                        [PC_ITEM_NAME] = "name"};

    return words[kind];
}

static void tell_cut(FILE *out, const struct cut *cut, bool second)
{
    fprintf(out, "the power fails %s%s\n", cut->before,
            second ? ", while the store recovers from that" : "");
    fprintf(out, "  %s reached the disk%s\n",
            cut->crash.oldest ? "nothing that was not synced" : "everything",
            cut->item_count ? ", but for" : "");
    for (uint32_t i = 0; i < cut->item_count && i < 12; i++) {
        const struct item_name *item = &cut->items[i];

        fprintf(out, "    %s: the %s of %s", cut->crash.oldest ? "kept" : "lost",
                item_word(item->kind), *item->path ? item->path : "/");
        if (item->kind == PC_ITEM_DATA || item->kind == PC_ITEM_MAP)
            fprintf(out, " at offset %llu", (unsigned long long)item->offset);
        if (item->version > 1)
            fprintf(out, " (change %u)", (unsigned)item->version);
        fputc('\n', out);
    }
    if (cut->crash.fill == PC_FILL_NOISE)
        fputs("    bytes that nobody wrote read as noise\n", out);
}

/* Plays the trace to learn what was acknowledged and promised when. */
static void tell_operations(FILE *out, const struct trace *trace, const struct pc_store *store)
{
    struct finding ignored = {0};
    struct trace copy;
    struct play play;

    trace_copy(&copy, trace);
    play_init(&play, &copy, store, NULL, &ignored);
    for (uint32_t i = 0; i < copy.op_count; i++) {
        struct model *model = &play.session.model;
        uint32_t units = model->unit_count, promises = model->promise_count;

        fprintf(out, "  %3u  ", (unsigned)i + 1);
        trace_print_op(out, &copy, &copy.ops[i]);
        play_step(&play, i, NULL);
        if (model->unit_count > units)
            fprintf(out, "         unit %u: %s\n", (unsigned)model->unit_count,
                    model->units[model->unit_count].status == UNIT_OK ? "acknowledged"
                                                                      : "answered an error");
        if (model->promise_count > promises)
            fprintf(out, "         units 1..%u are promised: %s\n",
                    (unsigned)model->promises[model->promise_count - 1].units,
                    model->promises[model->promise_count - 1].why);
        if (ignored.found)
            break;
    }
    play_release(&play);
    trace_release(&copy);
}

/* Does no model show it that allows less than this one? faults/README.md has the inclusions. */
static bool is_strongest(const bool shown[PC_MODELS], enum pc_model model)
{
    static const enum pc_model less[][2] = {{PC_PROCESS_KILL, PC_PREFIX},
                                            {PC_PREFIX, PC_POSIX},
                                            {PC_PROCESS_KILL, PC_POSIX},
                                            {PC_POSIX, PC_POSIX_MIN},
                                            {PC_PREFIX, PC_POSIX_MIN},
                                            {PC_PROCESS_KILL, PC_POSIX_MIN},
                                            {PC_EXT4_ORDERED, PC_EXT4_WRITEBACK},
                                            {PC_EXT4_ORDERED, PC_POSIX},
                                            {PC_EXT4_ORDERED, PC_POSIX_MIN},
                                            {PC_EXT4_WRITEBACK, PC_POSIX},
                                            {PC_EXT4_WRITEBACK, PC_POSIX_MIN},
                                            {PC_XFS, PC_POSIX},
                                            {PC_XFS, PC_POSIX_MIN},
                                            {PC_BTRFS, PC_POSIX_MIN}};

    for (size_t i = 0; i < sizeof less / sizeof less[0]; i++)
        if (less[i][1] == model && shown[less[i][0]])
            return false;
    return true;
}

static void tell_models(FILE *out, const struct trace *trace, const struct finding *finding,
                        const struct shrink *helper)
{
    struct budget budget = {.leaves = 200,
                            .samples = 30,
                            .nested = finding->cuts > 1 ? 2 : 0,
                            .depth = finding->cuts,
                            .trouble = finding->trouble ? 1 : 0,
                            .trouble_kind = finding->trouble,
                            .scan_claims = finding->scanned,
                            .trouble_tries = 24,
                            .life = 4,
                            .recoveries = 20000};
    struct shrink shrink = *helper;
    bool shown[PC_MODELS] = {false};

    fputs("shows under:", out);
    for (int m = 0; m < PC_MODELS; m++) {
        struct trace copy;
        struct finding other;

        if (!pc_model_simulated((enum pc_model)m))
            continue;
        trace_copy(&copy, trace);
        copy.disk.model = (enum pc_model)m;
        shown[m] = (enum pc_model)m == trace->disk.model ||
                   (shrink_probe(&shrink, &copy, &budget, &other) &&
                    other.verdict.rule == finding->verdict.rule);
        if (shown[m])
            fprintf(out, " %s", pc_model_name((enum pc_model)m));
        trace_release(&copy);
    }
    fputs("\nthe strongest of them (those that promise most):", out);
    for (int m = 0; m < PC_MODELS; m++)
        if (shown[m] && is_strongest(shown, (enum pc_model)m))
            fprintf(out, " %s", pc_model_name((enum pc_model)m));
    fputc('\n', out);
}

void story_tell(FILE *out, const struct trace *trace, const struct finding *finding,
                const struct pc_store *store, void (*beat)(void *ctx), void *beat_ctx)
{
    struct shrink helper = {.store = store, .seed = 1, .beat = beat, .beat_ctx = beat_ctx};
    bool fatal = finding->verdict.rule == RULE_CRASH || finding->verdict.rule == RULE_HANG;

    fprintf(out, "%s: %s\n  %s\n", rule_name(finding->verdict.rule),
            meanings[finding->verdict.rule], finding->verdict.text);
    fprintf(out, "operations, model %s, unit %u:\n", pc_model_name(trace->disk.model),
            (unsigned)trace->disk.unit);
    if (fatal) {
        for (uint32_t i = 0; i < trace->op_count; i++) {
            fprintf(out, "  %3u  ", (unsigned)i + 1);
            trace_print_op(out, trace, &trace->ops[i]);
        }
        return;
    }
    tell_operations(out, trace, store);
    for (uint32_t c = 0; c < finding->cuts; c++)
        tell_cut(out, &finding->cut[c], c > 0);
    if (finding->trouble)
        fprintf(out, "while it recovers: %s, number %u\n", trouble_name(finding->trouble),
                (unsigned)finding->trouble_at);
    lanes_tell(out, trace, finding, store);
    story_remedies(out, trace, finding, &helper);
    tell_models(out, trace, finding, &helper);
}
