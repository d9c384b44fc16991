/* explore_nested.c: the power fails again while the store recovers, and once more in the recovery
 * from that. A recovery is the workload of the next level: its frontiers are cut, and what its own
 * writes leave open is searched, as far as a few recoveries go.
 *
 *   N1 The floor and the ceiling stay those of the first crash: an interrupted recovery promises
 *      nothing.
 *   N2 A recovery that returned has decided: whoever recovers after it finds just what it found.
 *      What it had dropped never comes back.
 *   N3 What a recovery did not look at is settled before the next level: as it is newest, or as it
 *      is oldest, in turn.
 *   N4 A level begins only on a disk that none has begun on: the same content below, the same
 *      writes of the recovery, the same floor and ceiling. */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/rng.h"

#include "explore_point.h"

#define LEAVES_MOST 3 /* of a search at one frontier; then seeded images */
#define SEEDED      1
#define DEEPER      40 /* one recovery in so many is crashed once more */

/* ---- N4 ---- */

static void add_entry(void *ctx, const struct pc_entry *entry)
{
    uint64_t *hash = ctx;

    *hash = XXH3_64bits_withSeed(entry->path, strlen(entry->path),
                                 *hash ^ entry->is_dir ^ (entry->target ? 2 : 0));
    if (!entry->is_dir && entry->size)
        *hash = XXH3_64bits_withSeed(entry->data, entry->size, *hash);
}

/* Is the disk that the judge's recovery has left a new one? The image below it is settled. */
static bool is_new(struct point *point, const struct judge *judge, struct pc_image *below)
{
    struct explorer *explorer = point->explorer;
    const struct question *question = &point->question;
    uint64_t hash = pc_disk_hash(judge->disk);

    hash ^= model_terms(question->model, question->at, question->kill, question->trust);
    if (explorer->view)
        pc_disk_reboot(explorer->view, below);
    else
        explorer->view = pc_disk_boot(below);
    pc_disk_walk(explorer->view, add_entry, &hash);
    return hashes_add(&explorer->crashed, hash);
}

/* ---- one level ---- */

static bool crash_again(struct point *point, struct judge *above, size_t opened, uint32_t level);

static void record(struct point *point, const struct verdict *verdict, uint32_t level)
{
    point_record(point, verdict, point->fill);
    point->finding->cuts = 1 + level;
    for (uint32_t l = 0; l < level; l++) {
        const struct again *again = &point->again[l];

        finding_cut(again->disk, again->image, again->k, false, again->fill,
                    &point->finding->cut[1 + l]);
    }
}

/* N2: the state that was recovered is all that there is from then on. */
static void changed_its_mind(struct point *point, const struct judge *above, struct judge *judge,
                             struct verdict *verdict)
{
    const struct model *old = point->question.model;
    struct model model;

    if (model_expires(old))
        return; /* what has expired may be forgotten in between */
    model_init(&model);
    model_rebase(&model, old, &above->seen);
    model_judge(&model, 0, false, SIZE_MAX, &judge->seen, verdict);
    model_release(&model);
}

/* One recovery from what a crash inside the recovery `above` left. */
static bool run_again(struct point *point, const struct judge *above, uint32_t level, bool returned)
{
    struct explorer *explorer = point->explorer;
    struct judge *judge = &explorer->inner[level - 1];
    struct again *again = &point->again[level - 1];
    struct question question = point->question;
    struct verdict verdict;
    size_t opened;

    question.life = explorer->budget.life && point_due(explorer->tally.nested, 4);
    question.by_use = false;
    judge_image(judge, again->image, &question, &verdict, &opened);
    explorer->tally.recoveries++;
    explorer->tally.nested++;
    explorer->tally.nested_twice += level > 1;
    explorer->spent++;
    if (verdict.rule == RULE_NONE && returned && !question.kill && above->answered &&
        judge->answered && !seen_equal(&above->seen, &judge->seen))
        changed_its_mind(point, above, judge, &verdict);
    if (verdict.rule != RULE_NONE) {
        record(point, &verdict, level);
        return false;
    }
    if (level + 1 >= explorer->budget.depth || !point_due(explorer->tally.nested, DEEPER))
        return true;
    pc_image_answer(again->image, NULL);
    pc_disk_settle(judge->disk);
    return !is_new(point, judge, again->image) || crash_again(point, judge, opened, level + 1);
}

static size_t choose(void *ctx, const struct pc_choice *choice)
{
    uint64_t anchor = XXH3_64bits(choice->items, choice->n * sizeof *choice->items);

    return tape_choose(ctx, TAPE_CRASH, anchor, (uint32_t)choice->n);
}

static bool seeded(struct again *again, uint64_t seed)
{
    struct rng rng = rng_seeded(seed);
    uint32_t n = (uint32_t)pc_image_items(again->image);

    pc_image_begin(again->image, NULL, again->fill);
    for (uint32_t i = 0; i < n; i++)
        pc_image_set(again->image, i, rng_chance(&rng, 1 + seed % 2, 3));
    return n > 0;
}

/* All that a crash before call k of the recovery `above` leaves, or some of it. */
static bool search_again(struct point *point, const struct judge *above, uint32_t level,
                         bool returned)
{
    struct again *again = &point->again[level - 1];
    struct tape *tape = &point->explorer->deep[level - 1];
    struct pc_chooser chooser = {tape, choose};
    bool ok = true, more = true;

    tape_drive(tape, TAPE_CRASH, TAPE_SEARCH);
    for (uint32_t leaf = 0; ok && more && leaf < LEAVES_MOST; leaf++) {
        pc_image_begin(again->image, &chooser, again->fill);
        tape_rewind(tape, TAPE_CRASH);
        ok = run_again(point, above, level, returned);
        more = ok && tape_advance(tape, TAPE_CRASH);
    }
    tape->diverged = false; /* the search of the first level tells of that */
    for (uint64_t i = 0; ok && more && i < SEEDED; i++) {
        uint64_t seed = point->explorer->tape.seed ^ point->k << 20 ^ again->k << 8 ^ i;

        if (seeded(again, seed))
            ok = run_again(point, above, level, returned);
    }
    return ok;
}

/* Cuts the recovery that `above` has run on a settled image. */
static bool crash_again(struct point *point, struct judge *above, size_t opened, uint32_t level)
{
    struct again *again = &point->again[level - 1];
    bool ok = true;

    for (size_t k = 0; ok && k <= opened; k++) {
        if (k < opened && !pc_disk_is_frontier(above->disk, k))
            continue;
        *again = (struct again){above->disk, pc_image_new(above->disk, k), k,
                                (k + level) % 2 ? PC_FILL_NOISE : PC_FILL_ZERO};
        ok = search_again(point, above, level, k == opened);
        pc_image_free(again->image);
    }
    return ok;
}

static size_t oldest(void *ctx, const struct pc_choice *choice)
{
    (void)ctx;
    return choice->n - 1;
}

bool point_nested(struct point *point)
{
    static const struct pc_chooser pole = {NULL, oldest};
    struct judge *judge = &point->explorer->judge;

    pc_image_answer(point->image, point->leaf % 2 ? &pole : NULL); /* N3 */
    pc_disk_settle(judge->disk);
    return !is_new(point, judge, point->image) || crash_again(point, judge, point->opened, 1);
}
