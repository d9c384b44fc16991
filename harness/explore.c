/* explore.c: the search over crash states. See explore.h.
 *
 *   E1 A leaf is one recovery. It stands for all legal images that agree on what it looked at; its
 *      weight is their number. Leaves of one point are disjoint, and when the search ends their
 *      weights sum to the number of legal images of the point (checked, always).
 *   E2 Where a leaf read undefined bytes as zeros it is run once more with noise; counted apart.
 *   E4 One leaf in so many is run again with a bit that reads wrong, a failing read and a refused
 *      request for memory (judge.c, J7).
 *   E3 A search that does not end within the budget is completed by what is near the poles
 *      (explore_bounded.c), by families of images, each a legal set by construction, and by seeded
 *      ones. */
#include "explore_point.h"
#include "powercut/verdict.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/rng.h"

#define COUNT_LIMIT ((size_t)20000)

void tally_init(struct tally *tally)
{
    *tally = (struct tally){0};
    mpz_init(tally->images);
    mpz_init(tally->exact);
}

void tally_release(struct tally *tally)
{
    mpz_clear(tally->images);
    mpz_clear(tally->exact);
}

void tally_add(struct tally *to, const struct tally *from)
{
    to->traces += from->traces;
    to->played += from->played;
    to->ops += from->ops;
    to->calls += from->calls;
    to->epochs += from->epochs;
    to->points += from->points;
    to->exhaustive += from->exhaustive;
    to->sampled += from->sampled;
    to->skipped += from->skipped;
    for (int i = 0; i < BOUNDS; i++)
        to->complete_to[i] += from->complete_to[i];
    to->recoveries += from->recoveries;
    to->leaves += from->leaves;
    to->noise += from->noise;
    to->nested += from->nested;
    to->nested_twice += from->nested_twice;
    to->refused += from->refused;
    to->states += from->states;
    to->hash = rng_mix(to->hash ^ from->hash);
    to->rechecked += from->rechecked;
    to->assumed += from->assumed;
    to->witnessed += from->witnessed;
    to->by_reads += from->by_reads;
    to->uncounted += from->uncounted;
    to->after += from->after;
    for (int i = 0; i < TROUBLES; i++) {
        to->troubled[i] += from->troubled[i];
        to->trouble_showed[i] += from->trouble_showed[i];
    }
    for (int i = 0; i < PC_FAULT_KINDS; i++) {
        to->faults_fired[i] += from->faults_fired[i];
        to->faults_mattered[i] += from->faults_mattered[i];
    }
    mpz_add(to->images, to->images, from->images);
    mpz_add(to->exact, to->exact, from->exact);
}

const char *tally_coverage(const struct tally *tally, char *text, size_t room)
{
    uint64_t bounded = 0;
    int least = BOUNDS;

    for (int i = BOUNDS; i-- > 0;) {
        bounded += tally->complete_to[i];
        if (tally->complete_to[i])
            least = i;
    }
    if (tally->exhaustive == tally->points && tally->skipped == 0)
        snprintf(text, room, "exhaustive");
    else if (bounded == tally->points - tally->exhaustive && tally->skipped == 0)
        snprintf(text, room, "complete up to k = %d", least);
    else
        snprintf(text, room, "sampled");
    return text;
}

void explorer_init(struct explorer *explorer, const struct budget *budget,
                   const struct pc_store *store, const char *tuning, uint64_t seed)
{
    *explorer = (struct explorer){.budget = *budget};
    judge_init(&explorer->judge, store, tuning);
    tape_init(&explorer->tape, seed);
    for (int i = 0; i < DEEPER_MOST; i++) {
        judge_init(&explorer->inner[i], store, tuning);
        tape_init(&explorer->deep[i], seed);
    }
    if (explorer->budget.depth == 0)
        explorer->budget.depth = 2;
    tally_init(&explorer->tally);
}

void explorer_release(struct explorer *explorer)
{
    for (int i = 0; i < DEEPER_MOST; i++) {
        judge_release(&explorer->inner[i]);
        tape_release(&explorer->deep[i]);
    }
    pc_disk_free(explorer->view);
    free(explorer->crashed.slots);
    judge_release(&explorer->judge);
    tape_release(&explorer->tape);
    tally_release(&explorer->tally);
    free(explorer->states.slots);
    free(explorer->later);
    free(explorer->shapes.slots);
    free(explorer->after);
}

/* ---- one point ---- */

bool hashes_add(struct hashes *set, uint64_t hash)
{
    size_t room = set->room, i;

    if ((set->count + 1) * 2 > room) {
        uint64_t *old = set->slots;

        set->room = room ? room * 2 : 1024;
        set->slots = calloc(set->room, sizeof *set->slots);
        must(set->slots != NULL);
        for (size_t o = 0; o < room; o++)
            if (old[o]) {
                i = old[o] % set->room;
                while (set->slots[i])
                    i = (i + 1) % set->room;
                set->slots[i] = old[o];
            }
        free(old);
    }
    hash |= 1;
    i = hash % set->room;
    while (set->slots[i] && set->slots[i] != hash)
        i = (i + 1) % set->room;
    if (set->slots[i] == hash)
        return false;
    set->slots[i] = hash;
    set->count++;
    return true;
}

static void note_state(struct explorer *explorer, uint64_t hash)
{
    explorer->tally.hash = rng_mix(explorer->tally.hash ^ hash);
    explorer->tally.states += hashes_add(&explorer->states, hash);
}

/* Of the alternatives that the bound still allows (the nearest, if none is) one is drawn, nearest
 * first. */
static size_t choose_near(struct explorer *explorer, const struct pc_choice *choice,
                          uint64_t anchor)
{
    uint32_t allowed = 0, nearest = UINT32_MAX, rank;

    for (size_t i = 0; i < choice->n; i++) {
        allowed += choice->costs[i] <= explorer->left;
        if (choice->costs[i] < nearest)
            nearest = choice->costs[i];
    }
    explorer->cut |= allowed < choice->n;
    rank = tape_choose(&explorer->tape, TAPE_CRASH, anchor, allowed ? allowed : 1);
    for (uint32_t cost = nearest;; cost++)
        for (size_t i = 0; i < choice->n; i++)
            if (choice->costs[i] == cost && rank-- == 0) {
                explorer->left -= cost < explorer->left ? cost : explorer->left;
                return i;
            }
}

static size_t choose(void *ctx, const struct pc_choice *choice)
{
    struct explorer *explorer = ctx;
    uint64_t anchor = choice->key ^ XXH3_64bits(choice->items, choice->n * sizeof *choice->items);

    if (explorer->bounded && choice->costs)
        return choose_near(explorer, choice, anchor);
    return tape_choose(&explorer->tape, TAPE_CRASH, anchor, (uint32_t)choice->n);
}

bool point_due(uint64_t leaf, uint32_t every)
{
    return every != 0 && leaf % every == 0;
}

void point_record(struct point *point, const struct verdict *verdict, enum pc_fill fill)
{
    struct finding *finding = point->finding;
    size_t calls = pc_disk_call_count(point->session->disk);

    finding->found = true;
    finding->verdict = *verdict;
    finding->cuts = 1;
    finding->op = point->session->trace->op_count;
    if (point->k < calls)
        finding->op = (uint32_t)pc_disk_call(point->session->disk, point->k)->mark;
    finding_cut(point->session->disk, point->image, point->k, point->inside, fill,
                &finding->cut[0]);
    finding->scanned = point->question.scan_claims;
    finding->trouble = point->question.trouble;
    if (finding->trouble == TROUBLE_BITROT && point->explorer->judge.fault.fired == 0)
        finding->trouble = TROUBLE_NONE; /* it broke before any bit did */
    finding->trouble_at = point->question.trouble_at;
}

/* Runs the leaf that the image is set up for. False: a violation was recorded. */
bool point_run(struct point *point, enum pc_fill fill)
{
    struct explorer *explorer = point->explorer;
    struct verdict verdict;

    point->fill = fill;
    point->question.by_use = point->by_use;
    point->question.memo = true;
    point->question.scans_only =
        explorer->budget.points > 1 && !point_due(point->leaf, explorer->budget.points);
    point->question.life =
        point->question.trouble != TROUBLE_BITROT && point_due(point->leaf, explorer->budget.life);
    if (explorer->position)
        explorer->position(explorer->position_ctx, point->session->epoch, point->k, point->leaf);
    judge_image(&explorer->judge, point->image, &point->question, &verdict, &point->opened);
    explorer->tally.recoveries++;
    explorer->tally.leaves++;
    explorer->spent++;
    if (verdict.rule != RULE_NONE && point->question.by_use)
        point_confirm(point, &verdict);
    if (verdict.rule != RULE_NONE) {
        point_record(point, &verdict, fill);
        return false;
    }
    note_state(explorer, seen_hash(&explorer->judge.seen));
    return true;
}

uint8_t *point_states(const struct point *point)
{
    uint32_t n = (uint32_t)pc_image_items(point->image);
    uint8_t *states = malloc(n + 1);

    must(states != NULL);
    for (uint32_t i = 0; i < n; i++)
        states[i] = (uint8_t)pc_image_state(point->image, i);
    return states;
}

/* E4: troubles come last, so that what shows without them is found without them. */
static void remember(struct point *point)
{
    struct explorer *explorer = point->explorer;

    explorer->later =
        realloc(explorer->later, (explorer->later_count + 1) * sizeof *explorer->later);
    must(explorer->later != NULL);
    explorer->later[explorer->later_count++] =
        (struct later){point->k, point->inside, point->leaf, point->fill, point_states(point)};
}

/* A second crash within the recovery of one leaf in so many. */
bool point_finish(struct point *point)
{
    uint64_t number = point->leaf++ + point->k;

    if (point_due(number, point->explorer->budget.trouble) && !point->question.lied)
        remember(point);
    point_remember_after(point);
    return !point_due(number, point->explorer->budget.nested) || point->question.lied ||
           point_nested(point);
}

/* ---- all images of a point ---- */

/* An image that was decided so far. Recovery may look at more than it did then: that is as it is
 * newest. The tape of the search is left alone. */
bool point_run_states(struct point *point, const uint8_t *states, enum pc_fill fill)
{
    bool by_use = point->by_use, ok;

    pc_image_begin(point->image, NULL, fill);
    for (uint32_t i = 0; i < pc_image_items(point->image); i++)
        if (states[i] != PC_ITEM_OPEN)
            pc_image_set(point->image, i, states[i] == PC_ITEM_KEPT);
    point->by_use = false;
    ok = point_run(point, fill);
    point->by_use = by_use;
    return ok;
}

static bool run_noise(struct point *point)
{
    uint8_t *states = point_states(point);
    bool ok;

    point->explorer->tally.noise++;
    ok = point_run_states(point, states, PC_FILL_NOISE);
    free(states);
    return ok;
}

/* E4. What rot may cost is the tail: no promise is held against it. */
static bool run_trouble(struct point *point, const struct later *later)
{
    struct question whole = point->question;
    uint32_t tries = point->explorer->budget.trouble_tries;
    bool ok = true;

    for (uint32_t i = 0; ok && i < (tries ? tries : 1); i++)
        for (int kind = TROUBLE_NONE + 1; ok && kind < TROUBLES; kind++) {
            uint64_t chance = rng_mix(later->leaf << 8 ^ point->k << 24 ^ (uint64_t)kind);

            if (point->explorer->budget.trouble_kind &&
                kind != (int)point->explorer->budget.trouble_kind)
                continue;
            point->question.trouble = (enum trouble)kind;
            point->question.trouble_at = tries ? i + 1 : 1 + (uint32_t)(chance % 40);
            point->question.scan_claims = true;
            if (kind == TROUBLE_BITROT && point->session->epoch > 0)
                continue; /* the model has forgotten the states that rot may lead back to */
            if (kind == TROUBLE_BITROT) {
                point->question.trust = 0;
                point->question.kill = false;
            }
            ok = point_run_states(point, later->states, later->fill);
            point->question = whole;
        }
    return ok;
}

/* The sums of one search (E1). */
struct sums {
    mpz_t legal, sum, weight;
    bool countable;
};

static void add_weight(struct point *point, struct sums *sums)
{
    if (sums->countable)
        sums->countable = pc_image_count(point->image, COUNT_LIMIT, sums->weight);
    if (sums->countable)
        mpz_add(sums->sum, sums->sum, sums->weight);
}

/* One leaf, and all that is done with it. False: a violation was recorded. */
static bool search_leaf(struct point *point, struct sums *sums)
{
    struct explorer *explorer = point->explorer;
    struct sight sight;
    uint8_t *states = NULL;
    uint32_t assumed;
    bool ok, undefined;

    if (!point_run(point, PC_FILL_ZERO))
        return false;
    add_weight(point, sums);
    assumed = pc_image_assumed(point->image);
    undefined = pc_image_undefined_seen(point->image);
    explorer->tally.assumed += assumed;
    if (point->by_use) {
        sight = point_sight(point);
        pc_image_comply(point->image);
        if (assumed && point_due(point->leaf + point->k, explorer->budget.witness))
            states = point_states(point);
    }
    ok = !undefined || run_noise(point);
    ok = ok && point_finish(point);
    if (ok && states)
        ok = point_witness(point, states, &sight);
    free(states);
    return ok;
}

bool point_search_leaf(struct point *point)
{
    struct sums none = {.countable = false};

    return search_leaf(point, &none);
}

struct pc_chooser point_chooser(struct point *point)
{
    return (struct pc_chooser){point->explorer, choose};
}

/* Whatever else was seen: it was another run. */
bool point_same_tree(struct point *point)
{
    struct verdict verdict = {.rule = RULE_NONDETERMINISM};

    if (!point->explorer->tape.diverged)
        return true;
    snprintf(verdict.text, sizeof verdict.text,
             "two recoveries of one image looked at different places");
    pc_image_comply(point->image);
    point_record(point, &verdict, PC_FILL_ZERO);
    return false;
}

/* Depth first over the questions of recovery. True: finished or out of budget; *complete says
 * which. False: a violation. */
static bool search_as(struct point *point, bool by_use, bool *complete)
{
    struct explorer *explorer = point->explorer;
    struct pc_chooser chooser = {explorer, choose};
    struct sums sums = {.countable = false};
    bool ok = true, more = true;
    uint32_t leaves = 0;

    mpz_inits(sums.legal, sums.sum, sums.weight, NULL);
    pc_image_begin(point->image, &chooser, PC_FILL_ZERO);
    sums.countable = pc_image_count(point->image, COUNT_LIMIT, sums.legal);
    tape_drive(&explorer->tape, TAPE_CRASH, TAPE_SEARCH);
    point->by_use = by_use;
    while (ok && more && leaves < explorer->budget.leaves && !pc_image_gave_up(point->image)) {
        pc_image_begin(point->image, &chooser, PC_FILL_ZERO);
        tape_rewind(&explorer->tape, TAPE_CRASH);
        ok = search_leaf(point, &sums);
        leaves++;
        more = ok && tape_advance(&explorer->tape, TAPE_CRASH);
        ok = point_same_tree(point) && ok;
    }
    point->by_use = false;
    *complete = ok && !more && !pc_image_gave_up(point->image);
    if (*complete && sums.countable) {
        must(mpz_cmp(sums.sum, sums.legal) == 0); /* E1 */
        mpz_add(explorer->tally.images, explorer->tally.images, sums.legal);
        mpz_add(explorer->tally.exact, explorer->tally.exact, sums.legal);
    } else {
        mpz_add_ui(explorer->tally.images, explorer->tally.images, leaves);
    }
    explorer->tally.uncounted += *complete && !sums.countable;
    mpz_clears(sums.legal, sums.sum, sums.weight, NULL);
    return ok;
}

/* By use where the store says what it uses and legal sets are a lattice; where that gives up, as
 * elsewhere, by what is read. */
static bool search(struct point *point, bool *complete)
{
    const struct session *session = point->session;
    bool by_use = session->store->promises & PC_PROMISE_HOOKS && !point->question.scan_claims &&
                  pc_model_is_lattice(session->trace->disk.model) &&
                  !point->explorer->budget.by_reads;

    point->searched_by_use = by_use;
    if (by_use && !search_as(point, true, complete))
        return false;
    if (by_use && !pc_image_gave_up(point->image))
        return true;
    point->explorer->tally.by_reads++;
    point->searched_by_use = false;
    if (by_use) {
        pc_image_free(point->image);
        point->image = finding_image(session->disk, point->k, point->inside);
    }
    return search_as(point, false, complete);
}

static void pose(struct point *point)
{
    struct session *session = point->session;
    struct question *question = &point->question;
    uint32_t look = point->explorer->budget.look;

    question->model = session_judge(session, point->k, &question->at, &question->trust);
    question->now = model_clock(question->model, question->at);
    question->kill = session_kill(session, point->k);
    question->lied = session->lied || session_first_lie(session) < point->k;
    question->split = pc_model_splits_names(pc_disk_get_config(session->disk)->model);
    question->look = point_due(point->k, look ? look : 4);
    question->scan_claims = question->lied || point->explorer->budget.scan_claims;
}

static void explore_point(struct explorer *explorer, struct session *session, size_t k, bool inside,
                          struct finding *finding)
{
    struct point point = {
        .explorer = explorer, .session = session, .finding = finding, .k = k, .inside = inside};
    bool complete;

    pose(&point);
    point.image = finding_image(session->disk, k, inside);
    explorer->tally.points++;
    if (explorer->budget.order != ORDER_LAZY) {
        explorer->tally.sampled++;
        point_in_order(&point);
    } else if (search(&point, &complete)) {
        if (complete)
            explorer->tally.exhaustive++;
        else {
            explorer->tally.sampled++;
            if (point_bounded(&point))
                point_sample(&point);
        }
    }
    free(point.seen);
    pc_image_free(point.image);
}

/* Is the point of interest? With a tail only those within the last operations are. */
static bool within(const struct explorer *explorer, const struct session *session, size_t k)
{
    size_t calls = pc_disk_call_count(session->disk);
    uint32_t ops = session->trace->op_count, tail = explorer->budget.tail;

    if (!pc_disk_is_frontier(session->disk, k))
        return false;
    if (tail == 0 || ops <= tail || k == calls)
        return true;
    return pc_disk_call(session->disk, k)->mark > ops - tail;
}

void explore_epoch(struct explorer *explorer, struct session *session, struct finding *finding)
{
    size_t calls = pc_disk_call_count(session->disk), frontiers = 0, seen = 0;
    uint64_t spent = explorer->spent;

    judge_forget(&explorer->judge, &session->model);
    for (int i = 0; i < DEEPER_MOST; i++)
        judge_forget(&explorer->inner[i], &session->model);
    explorer->tally.epochs++;
    explorer->tally.hash = rng_mix(explorer->tally.hash ^ session->results);
    explorer->tally.hash = rng_mix(explorer->tally.hash ^ pc_disk_hash(session->disk));
    explorer->tally.calls += calls;
    for (size_t k = 0; k <= calls; k++)
        frontiers += within(explorer, session, k);
    for (size_t k = 0; k <= calls && !finding->found; k++) {
        if (!within(explorer, session, k))
            continue;
        seen++;
        /* Out of budget: what is left is thinned out evenly, the last point is always visited. */
        if (explorer->budget.recoveries && explorer->spent - spent > explorer->budget.recoveries &&
            seen % 8 != 0 && seen != frontiers) {
            explorer->tally.skipped++;
            continue;
        }
        explore_point(explorer, session, k, false, finding);
        if (!finding->found && k < calls && pc_disk_tears_inside(session->disk, k))
            explore_point(explorer, session, k, true, finding);
    }
    for (uint32_t i = 0; i < explorer->later_count; i++) {
        struct later *later = &explorer->later[i];

        if (!finding->found) {
            struct point point = {.explorer = explorer,
                                  .session = session,
                                  .finding = finding,
                                  .k = later->k,
                                  .inside = later->inside};

            pose(&point);
            point.image = finding_image(session->disk, later->k, later->inside);
            run_trouble(&point, later);
            pc_image_free(point.image);
        }
        free(later->states);
    }
    explorer->later_count = 0;
    explorer->tally.refused += explorer->judge.refused;
    explorer->judge.refused = 0;
    for (int i = 0; i < DEEPER_MOST; i++) {
        explorer->tally.refused += explorer->inner[i].refused;
        explorer->inner[i].refused = 0;
    }
    for (int i = 0; i < TROUBLES; i++) {
        explorer->tally.troubled[i] = explorer->judge.troubled[i];
        explorer->tally.trouble_showed[i] = explorer->judge.showed[i];
    }
}
