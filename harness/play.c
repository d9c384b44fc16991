/* play.c: the steps of a trace that are not operations of the store: crash, lose, keep, recover. */
#include "play.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

void play_init(struct play *play, struct trace *trace, const struct pc_store *store,
               struct explorer *explorer, struct finding *finding)
{
    *play = (struct play){.explorer = explorer, .finding = finding};
    session_init(&play->session, trace, store);
}

void play_release(struct play *play)
{
    session_release(&play->session);
}

static bool live_finding(struct play *play)
{
    struct session *session = &play->session;

    if (session->verdict.rule == RULE_NONE || play->finding->found)
        return false;
    *play->finding = (struct finding){
        .found = true, .live = true, .op = session->verdict_op, .verdict = session->verdict};
    return true;
}

static void end_epoch(struct play *play)
{
    session_end_epoch(&play->session);
    if (!live_finding(play) && play->explorer && !play->finding->found)
        explore_epoch(play->explorer, &play->session, play->finding);
}

/* A crash that only a seed describes: every item is kept or lost by chance, or all go one way. */
static void scatter(struct pc_image *image, struct crash *crash)
{
    struct rng rng = rng_seeded(crash->seed);
    uint64_t share = (uint64_t[]){0, 3, 7, 10}[rng_below(&rng, 4)];

    crash->fill = rng_chance(&rng, 1, 2) ? PC_FILL_NOISE : PC_FILL_ZERO;
    pc_image_begin(image, NULL, crash->fill);
    for (uint32_t i = 0; i < pc_image_items(image); i++)
        pc_image_set(image, i, rng_chance(&rng, share, 10));
}

/* Takes the items out that the image does not have. */
static void pass_over(struct pc_image *image, struct cut *cut)
{
    uint32_t out = 0;

    for (uint32_t i = 0; i < cut->item_count; i++)
        if (finding_find(image, &cut->items[i]) != PC_ITEM_NONE)
            cut->items[out++] = cut->items[i];
    cut->item_count = out;
}

struct pc_image *play_image(struct play *play, size_t *k)
{
    struct session *session = &play->session;
    struct crash *crash = &play->cut.crash;
    struct pc_image *image;

    if (!session_place(session, crash, k, play->why, sizeof play->why))
        return NULL;
    if (crash->inside && *k == pc_disk_call_count(session->disk)) {
        snprintf(play->why, sizeof play->why, "there is no call to cut at the end");
        return NULL;
    }
    image = finding_image(session->disk, *k, crash->inside);
    if (crash->place == CRASH_SEED) {
        scatter(image, crash);
        return image;
    }
    pc_image_begin(image, NULL, crash->fill);
    if (play->lenient)
        pass_over(image, &play->cut);
    if (!finding_impose(image, &play->cut, play->why, sizeof play->why)) {
        pc_image_free(image);
        return NULL;
    }
    return image;
}

static bool recover(struct play *play)
{
    size_t k;
    struct pc_image *image = play_image(play, &k);

    if (image)
        session_recover(&play->session, image, k, play->trouble, play->trouble_at);
    return image != NULL;
}

static bool crash_step(struct play *play, const struct op *op)
{
    switch (op->kind) {
    case OP_CRASH:
        end_epoch(play);
        play->cut = (struct cut){.crash = op->crash};
        play->trouble = TROUBLE_NONE;
        play->crashed = true;
        return !play->finding->found;
    case OP_LOSE:
    case OP_KEEP:
        if (!play->crashed || (op->kind == OP_KEEP) != play->cut.crash.oldest) {
            snprintf(play->why, sizeof play->why,
                     "lose follows a crash with image=newest, keep one with image=oldest");
            return false;
        }
        if (play->cut.item_count < CUT_ITEMS)
            play->cut.items[play->cut.item_count++] = op->item;
        return true;
    case OP_TROUBLE:
        for (int t = TROUBLE_NONE + 1; t < TROUBLES; t++)
            if (strcmp(trouble_name((enum trouble)t), op->word) == 0)
                play->trouble = (enum trouble)t;
        play->trouble_at = op->slot;
        return true;
    default:
        if (!play->crashed) {
            snprintf(play->why, sizeof play->why, "recover follows a crash");
            return false;
        }
        play->crashed = false;
        return recover(play);
    }
}

static uint64_t fired(const struct session *session)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < session->trace->fault_count; i++)
        sum += session->faults[i].fired;
    return sum;
}

/* A check right behind a recovery, at the end of the trace: as in judge.c, so that a finding of a
 * store that did not go on is made again by its file. A fault that a script still has for these
 * calls is no finding. */
static void live_on(struct play *play, uint32_t index)
{
    struct session *session = &play->session;
    struct verdict verdict = {0};
    struct pc_store_error error = {0};
    uint64_t before = fired(session);

    if (index == 0 || session->trace->ops[index - 1].kind != OP_RECOVER ||
        index + 1 < session->trace->op_count || play->explorer || play->trouble != TROUBLE_NONE ||
        session->lied || session->refused || session->given_up || session->db == NULL)
        return;
    if (judge_live_on(session->store, session->db, &verdict) && !model_expires(&session->before) &&
        (judge_scan(session->store, session->db, NULL, &session->other, &error) ||
         !seen_equal(&session->seen, &session->other)))
        judge_fail(&verdict, RULE_RECOVERY, "after recovery, a flush and a compaction",
                   error.status ? error.text : "the content changed");
    if (verdict.rule == RULE_NONE || fired(session) != before)
        return;
    session->verdict = verdict;
    session->verdict_op = session->op;
    snprintf(session->verdict.text, sizeof session->verdict.text, "op %u: %.600s",
             (unsigned)session->op, verdict.text);
}

bool play_step(struct play *play, uint32_t index, FILE *out)
{
    const struct op *op = &play->session.trace->ops[index];

    play->session.op = index + 1;
    play->session.error = (struct pc_store_error){0};
    switch (op->kind) {
    case OP_CRASH:
    case OP_LOSE:
    case OP_KEEP:
    case OP_TROUBLE:
    case OP_RECOVER:
        if (!crash_step(play, op))
            return false;
        break;
    case OP_CHECK:
        live_on(play, index);
        break;
    case OP_SHOW:
    case OP_EXPLORE:
    case OP_REACHED:
        break;
    default:
        if (play->crashed) {
            snprintf(play->why, sizeof play->why, "the power is off: recover comes first");
            return false;
        }
        session_apply(&play->session, index, out);
        break;
    }
    return !live_finding(play) && !play->finding->found && !play->session.refused;
}

void play_end(struct play *play)
{
    if (!play->crashed && !play->finding->found)
        end_epoch(play);
}

/* ---- a whole trace, explored ---- */

/* The digest of the run in which this rule counts and never fires. Only the epochs in which rules
 * are armed count, so it ends with the last of them. */
static uint64_t digest_without(struct trace *trace, const struct pc_store *store, uint32_t fault)
{
    struct finding ignored = {0};
    uint32_t last = 0;
    struct play play;
    uint64_t digest;

    for (uint32_t i = 0; i < trace->op_count; i++)
        if (trace->ops[i].kind == OP_FAULT)
            last = i;
    play_init(&play, trace, store, NULL, &ignored);
    play.session.faults[fault].nth = 0;
    for (uint32_t i = 0; i < trace->op_count && play_step(&play, i, NULL); i++)
        if (i > last && trace->ops[i].kind == OP_CRASH)
            break;
    play_end(&play);
    digest = play.session.digest;
    play_release(&play);
    return digest;
}

/* A fault mattered when the run without it answers or writes something else in its epoch. */
static void weigh_faults(struct explorer *explorer, const struct pc_fault *faults, uint64_t digest,
                         struct trace *trace, const struct pc_store *store)
{
    for (uint32_t i = 0; i < trace->fault_count; i++) {
        if (faults[i].fired == 0)
            continue;
        explorer->tally.faults_fired[faults[i].kind]++;
        explorer->tally.faults_mattered[faults[i].kind] +=
            digest_without(trace, store, i) != digest;
    }
}

void explore_trace(struct explorer *explorer, struct trace *trace, const struct pc_store *store,
                   struct finding *finding)
{
    struct pc_fault faults[TRACE_FAULTS];
    struct play play;
    bool whole = true;
    uint64_t digest;

    *finding = (struct finding){0};
    explorer->spent = 0;
    explorer->tally.traces++;
    explorer->tally.ops += trace->op_count;
    play_init(&play, trace, store, explorer, finding);
    for (uint32_t i = 0; whole && i < trace->op_count; i++)
        whole = play_step(&play, i, NULL);
    if (whole)
        play_end(&play);
    memcpy(faults, play.session.faults, sizeof faults);
    digest = play.session.digest;
    play_release(&play);
    if (!finding->found)
        weigh_faults(explorer, faults, digest, trace, store);
}
