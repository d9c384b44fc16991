/* survey.c: see survey.h. The search of one point is that of explore.c without its accounts. */
#include "survey.h"

#include <stdlib.h>
#include <string.h>

#include <gmp.h>
#include <xxhash.h>

#include "base/check.h"
#include "base/rng.h"

#include "tape.h"

#define COUNT_LIMIT ((size_t)20000)
#define LIFE_EVERY  8u /* one recovery in so many has to go on living */

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[OUTCOMES] = {
        [OUTCOME_KEPT] = "kept",      [OUTCOME_FALSE] = "false-failure",
        [OUTCOME_WINDOW] = "window",  [OUTCOME_REFUSED] = "refused",
        [OUTCOME_LOST] = "lost",      [OUTCOME_WRONG] = "wrong",
        [OUTCOME_CLOSED] = "no-open", [OUTCOME_STUCK] = "stuck",
    };

    return names[outcome];
}

bool outcome_bad(enum outcome outcome)
{
    return outcome >= OUTCOME_LOST;
}

enum outcome outcome_of(enum rule rule)
{
    switch (rule) {
    case RULE_NONE:
        return OUTCOME_KEPT;
    case RULE_BELOW_FLOOR:
    case RULE_TRUTH:
    case RULE_FAIL_STOP:
        return OUTCOME_LOST;
    case RULE_OPEN:
        return OUTCOME_CLOSED;
    case RULE_PROGRESS:
    case RULE_LEAK:
    case RULE_HANG:
    case RULE_CRASH:
        return OUTCOME_STUCK;
    default:
        return OUTCOME_WRONG;
    }
}

struct surveyor {
    const struct survey *survey;
    struct session *session;
    struct judge judge;
    struct tape tape;
    struct question question;
    struct pc_image *image;
    struct survey_point point;
    uint64_t logged;
};

static size_t choose(void *ctx, const struct pc_choice *choice)
{
    struct surveyor *surveyor = ctx;
    uint64_t anchor = XXH3_64bits(choice->items, choice->n * sizeof *choice->items);

    return tape_choose(&surveyor->tape, TAPE_CRASH, anchor, (uint32_t)choice->n);
}

/* ---- what came back ---- */

static uint32_t acknowledged_above(const struct model *model, size_t at, uint32_t cut)
{
    uint32_t lost = 0;

    for (uint32_t i = cut + 1; i <= model->unit_count; i++)
        lost += model->units[i].status == UNIT_OK && model->units[i].ended <= at;
    return lost;
}

/* Did only this unit ever write that value to the key? */
static bool tells(const struct model *model, const struct model_write *write, uint32_t unit)
{
    const struct line *line = model_line(model, write->key);

    for (uint32_t i = 0; line && i < line->count; i++)
        if (line->versions[i].unit != unit && !line->versions[i].absent &&
            line->versions[i].hash == write->hash && line->versions[i].len == write->len)
            return false;
    return line != NULL;
}

/* Is something there that the store said it had failed to write? */
static bool failed_is_there(const struct model *model, size_t at, const struct seen *seen)
{
    for (uint32_t i = 1; i <= model->unit_count; i++) {
        const struct unit *unit = &model->units[i];

        if (unit->status != UNIT_ERROR || unit->ended > at)
            continue;
        for (uint32_t w = 0; w < unit->writes; w++) {
            const struct model_write *write = &model->writes[unit->first_write + w];
            const struct seen_entry *entry = write->is_delete ? NULL : seen_find(seen, write->key);

            if (entry && entry->hash == write->hash && entry->len == write->len &&
                tells(model, write, i))
                return true;
        }
    }
    return false;
}

static enum outcome sort_state(struct surveyor *surveyor, const struct verdict *verdict,
                               bool refused, uint32_t *lost)
{
    const struct question *question = &surveyor->question;
    const struct model *model = question->model;

    *lost = 0;
    if (verdict->rule == RULE_BELOW_FLOOR)
        *lost = acknowledged_above(model, question->at, verdict->cut);
    if (verdict->rule != RULE_NONE)
        return outcome_of(verdict->rule);
    if (refused)
        return OUTCOME_REFUSED;
    *lost = acknowledged_above(model, question->at, verdict->cut);
    if (*lost)
        return OUTCOME_WINDOW;
    return failed_is_there(model, question->at, &surveyor->judge.seen) ? OUTCOME_FALSE
                                                                       : OUTCOME_KEPT;
}

static uint64_t refusals(const struct judge *judge)
{
    return judge->refused + judge->showed[TROUBLE_BITROT];
}

/* One recovery of the image as it is set up. */
static void run(struct surveyor *surveyor, enum pc_fill fill)
{
    const struct survey *survey = surveyor->survey;
    struct survey_state state = {.k = surveyor->point.k,
                                 .inside = surveyor->point.inside,
                                 .fill = fill,
                                 .logged = surveyor->logged,
                                 .image = surveyor->image};
    uint64_t before = refusals(&surveyor->judge), number = surveyor->point.recoveries++;
    struct verdict verdict;
    size_t opened;

    surveyor->question.trouble = survey->trouble;
    surveyor->question.trouble_at = 1 + (uint32_t)(rng_mix(number ^ state.k << 20) % 40);
    surveyor->question.life = survey->trouble == TROUBLE_NONE && number % LIFE_EVERY == 0;
    judge_image(&surveyor->judge, surveyor->image, &surveyor->question, &verdict, &opened);
    state.steps = surveyor->question.life ? 0 : pc_disk_steps(surveyor->judge.disk);
    state.outcome =
        sort_state(surveyor, &verdict, refusals(&surveyor->judge) > before, &state.lost);
    state.verdict = &verdict;
    state.scanned = surveyor->question.scan_claims;
    state.trouble_at = surveyor->question.trouble_at;
    surveyor->point.count[state.outcome]++;
    if (survey->state)
        survey->state(survey->ctx, &state);
}

/* ---- one point ---- */

/* Undefined bytes were read as zeros: once more, as noise. */
static void run_noise(struct surveyor *surveyor)
{
    uint32_t n = (uint32_t)pc_image_items(surveyor->image);
    uint8_t *states = malloc(n + 1);

    must(states != NULL);
    for (uint32_t i = 0; i < n; i++)
        states[i] = (uint8_t)pc_image_state(surveyor->image, i);
    pc_image_begin(surveyor->image, NULL, PC_FILL_NOISE);
    for (uint32_t i = 0; i < n; i++)
        if (states[i] != PC_ITEM_OPEN)
            pc_image_set(surveyor->image, i, states[i] == PC_ITEM_KEPT);
    run(surveyor, PC_FILL_NOISE);
    free(states);
}

static bool search(struct surveyor *surveyor)
{
    struct pc_chooser chooser = {surveyor, choose};
    bool more = true;

    tape_drive(&surveyor->tape, TAPE_CRASH, TAPE_SEARCH);
    for (uint32_t leaf = 0; more && leaf < surveyor->survey->leaves; leaf++) {
        pc_image_begin(surveyor->image, &chooser, PC_FILL_ZERO);
        tape_rewind(&surveyor->tape, TAPE_CRASH);
        run(surveyor, PC_FILL_ZERO);
        if (pc_image_undefined_seen(surveyor->image))
            run_noise(surveyor);
        more = tape_advance(&surveyor->tape, TAPE_CRASH);
    }
    return !more;
}

/* Seeded images: each item is kept by chance, mostly the old ones and few of the new, and so on. */
static void sample(struct surveyor *surveyor)
{
    struct rng rng = rng_seeded(surveyor->survey->seed ^ (uint64_t)surveyor->point.k << 32);
    uint32_t n = (uint32_t)pc_image_items(surveyor->image);

    for (uint32_t s = 0; s < surveyor->survey->samples; s++) {
        static const uint32_t shares[] = {0, 5, 9, 1, 8};
        enum pc_fill fill = s & 1 ? PC_FILL_NOISE : PC_FILL_ZERO;

        pc_image_begin(surveyor->image, NULL, fill);
        for (uint32_t i = 0; i < n; i++)
            pc_image_set(surveyor->image, i, rng_chance(&rng, shares[s % 5], 10));
        run(surveyor, fill);
    }
}

static void visit(struct surveyor *surveyor, size_t k, bool inside)
{
    struct session *session = surveyor->session;
    struct question *question = &surveyor->question;
    char *images = NULL;
    mpz_t legal;

    *question = (struct question){0};
    question->model = session_judge(session, k, &question->at, &question->trust);
    question->now = model_clock(question->model, question->at);
    question->kill = session_kill(session, k);
    question->split = pc_model_splits_names(pc_disk_get_config(session->disk)->model);
    question->lied = session->lied || session_first_lie(session) < k;
    question->scan_claims = question->lied || surveyor->survey->trouble != TROUBLE_NONE;
    if (surveyor->survey->trouble == TROUBLE_BITROT) {
        question->trust = 0; /* what rot may cost is the tail */
        question->kill = false;
    }
    surveyor->point = (struct survey_point){.k = k, .inside = inside, .images = ""};
    surveyor->image = finding_image(session->disk, k, inside);
    mpz_init(legal);
    pc_image_begin(surveyor->image, NULL, PC_FILL_ZERO);
    if (pc_image_count(surveyor->image, COUNT_LIMIT, legal))
        surveyor->point.images = images = mpz_get_str(NULL, 10, legal);
    surveyor->point.exhaustive = search(surveyor);
    if (!surveyor->point.exhaustive)
        sample(surveyor);
    if (surveyor->survey->point)
        surveyor->survey->point(surveyor->survey->ctx, &surveyor->point);
    free(images);
    mpz_clear(legal);
    pc_image_free(surveyor->image);
}

/* Bytes that were appended to logs and not yet taken away by the first k calls. */
static uint64_t logged_by(const struct pc_disk *disk, size_t k)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < k; i++) {
        const struct pc_call *call = pc_disk_call(disk, i);
        size_t len = strlen(call->path);
        bool gone = false;

        if (call->kind != PC_CALL_WRITE || len < 4 || strcmp(call->path + len - 4, ".log") != 0)
            continue;
        for (size_t j = i + 1; j < k && !gone; j++)
            gone = pc_disk_call(disk, j)->kind == PC_CALL_UNLINK &&
                   strcmp(pc_disk_call(disk, j)->path, call->path) == 0;
        sum += gone ? 0 : call->done;
    }
    return sum;
}

void survey_epoch(const struct survey *survey, struct session *session)
{
    struct surveyor surveyor = {.survey = survey, .session = session};
    size_t calls = pc_disk_call_count(session->disk), frontiers = 0, number = 0;

    judge_init(&surveyor.judge, survey->store, survey->tuning);
    tape_init(&surveyor.tape, survey->seed);
    for (size_t k = 0; k <= calls; k++)
        frontiers += pc_disk_is_frontier(session->disk, k);
    for (size_t k = 0; k <= calls; k++) {
        size_t most = survey->points_max;

        if (!pc_disk_is_frontier(session->disk, k))
            continue;
        number++; /* spread evenly, the last one always among them */
        if (most && frontiers > most &&
            number * most / frontiers == (number - 1) * most / frontiers)
            continue;
        surveyor.logged = logged_by(session->disk, k);
        visit(&surveyor, k, false);
        if (k < calls && pc_disk_tears_inside(session->disk, k))
            visit(&surveyor, k, true);
    }
    tape_release(&surveyor.tape);
    judge_release(&surveyor.judge);
}
