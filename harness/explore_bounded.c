/* explore_bounded.c: where a search does not end: limited discrepancy, as Harvey and Ginsberg have
 * it (IJCAI 1995), from three kinds of pole: everything is durable, nothing is, and each prefix of
 * the calls. An answer costs the micro-ops that it settles in another way than the pole has them;
 * all leaves within a cost of 0 of every pole come first, then those within 1, ...
 *
 *   E7 When level k is done from every pole, every legal image was visited that differs from one of
 *      the poles in k or fewer of the micro-ops that recovery looks at. (The cost of an answer is
 *      never more than the number of micro-ops that differ, and no micro-op is settled twice.) */
#include <stdlib.h>

#include "base/check.h"
#include "powercut/verdict.h"

#include "explore_point.h"

/* All leaves near one pole. False: a violation was recorded. *done: none was left out for the
 * budget. */
static bool near_pole(struct point *point, uint32_t pole, uint32_t level, uint32_t *budget,
                      bool *done)
{
    struct explorer *explorer = point->explorer;
    struct pc_chooser chooser = point_chooser(point);
    bool ok = true, more = true;

    tape_drive(&explorer->tape, TAPE_CRASH, TAPE_SEARCH);
    while (ok && more && *budget > 0 && !pc_image_gave_up(point->image)) {
        pc_image_begin(point->image, &chooser, PC_FILL_ZERO);
        pc_image_measure(point->image, pole);
        explorer->left = level;
        explorer->bounded = true;
        tape_rewind(&explorer->tape, TAPE_CRASH);
        ok = point_search_leaf(point);
        explorer->bounded = false;
        (*budget)--;
        mpz_add_ui(explorer->tally.images, explorer->tally.images, 1);
        more = ok && tape_advance(&explorer->tape, TAPE_CRASH);
        ok = point_same_tree(point) && ok;
    }
    *done = !more && !pc_image_gave_up(point->image);
    return ok;
}

/* Is the pole one of the images that the newest leaf stands for? */
static bool covered(const struct point *point, uint32_t pole)
{
    for (uint32_t i = 0; i < pc_image_items(point->image); i++) {
        enum pc_item_state state = pc_image_state(point->image, i);

        if (state != PC_ITEM_OPEN && (state == PC_ITEM_KEPT) != (i < pole))
            return false;
    }
    return true;
}

/* From every pole, the newest first. False: a violation was recorded. */
static bool run_level(struct point *point, uint32_t level, uint32_t *budget, bool *done)
{
    uint32_t n = (uint32_t)pc_image_items(point->image);
    bool ok = true;

    *done = true;
    for (uint32_t pole = n + 1; ok && *done && pole-- > 0;) {
        if (level == 0 && pole < n && covered(point, pole))
            continue;
        ok = near_pole(point, pole, level, budget, done);
    }
    return ok;
}

bool point_bounded(struct point *point)
{
    struct explorer *explorer = point->explorer;
    uint32_t budget = explorer->budget.bounded, level = 0;
    bool done = true, ok = true;

    point->by_use = point->searched_by_use;
    explorer->cut = true;
    while (ok && done && budget > 0 && explorer->cut && !pc_image_gave_up(point->image)) {
        explorer->cut = false;
        ok = run_level(point, level, &budget, &done);
        level += ok && done;
    }
    point->by_use = false;
    if (level > 0)
        explorer->tally.complete_to[level - 1 < BOUNDS ? level - 1 : BOUNDS - 1]++;
    return ok;
}
