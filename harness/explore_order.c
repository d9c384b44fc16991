/* explore_order.c: the orders of other tools, to compare the search with. Each visits images that
 * it builds, without looking at what recovery reads.
 *
 * Omission is after "All File Systems Are Not Created Equal" (ALICE, OSDI 2014): from each prefix
 * of the calls one call is left out, or the last call is cut in half. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

#include "explore_point.h"

static const char *const names[ORDERS] = {"lazy", "one-lost", "two-lost", "omission", "random"};

const char *order_name(enum order order)
{
    return names[order];
}

bool order_from_name(const char *name, enum order *order)
{
    for (int i = 0; i < ORDERS; i++)
        if (strcmp(names[i], name) == 0) {
            *order = (enum order)i;
            return true;
        }
    return false;
}

static bool spent(const struct point *point)
{
    return point->leaf >= point->explorer->budget.leaves;
}

/* Everything but items a and b. */
static bool run_without(struct point *point, uint32_t a, uint32_t b)
{
    pc_image_begin(point->image, NULL, PC_FILL_ZERO);
    if (a != PC_ITEM_NONE)
        pc_image_set(point->image, a, false);
    if (b != PC_ITEM_NONE)
        pc_image_set(point->image, b, false);
    for (uint32_t i = 0; i < pc_image_items(point->image); i++)
        pc_image_set(point->image, i, true);
    return point_run_set(point, PC_FILL_ZERO);
}

static bool lost(struct point *point, bool pairs)
{
    uint32_t n = (uint32_t)pc_image_items(point->image);
    bool ok = run_without(point, PC_ITEM_NONE, PC_ITEM_NONE);

    for (uint32_t a = n; ok && a-- > 0 && !spent(point);)
        ok = run_without(point, a, PC_ITEM_NONE);
    for (uint32_t a = n; pairs && ok && a-- > 0;)
        for (uint32_t b = a; ok && b-- > 0 && !spent(point);)
            ok = run_without(point, a, b);
    return ok;
}

/* The calls up to `last`; of that the items before `half`; nothing of `omitted`. */
static bool run_calls(struct point *point, uint32_t last, uint32_t half, uint32_t omitted)
{
    uint32_t n = (uint32_t)pc_image_items(point->image);

    pc_image_begin(point->image, NULL, PC_FILL_ZERO);
    for (int kept = 0; kept < 2; kept++)
        for (uint32_t i = 0; i < n; i++) {
            struct pc_item item;

            pc_image_item(point->image, i, &item);
            if ((item.call < last || (item.call == last && i < half)) && item.call != omitted) {
                if (kept)
                    pc_image_set(point->image, i, true);
            } else if (!kept) {
                pc_image_set(point->image, i, false);
            }
        }
    return point_run_set(point, PC_FILL_ZERO);
}

static bool omission(struct point *point)
{
    uint32_t n = (uint32_t)pc_image_items(point->image);
    bool ok = run_without(point, PC_ITEM_NONE, PC_ITEM_NONE);

    for (uint32_t end = n; ok && end > 0 && !spent(point);) {
        struct pc_item item;
        uint32_t first = end - 1, last;

        pc_image_item(point->image, end - 1, &item);
        last = item.call;
        while (first > 0) {
            pc_image_item(point->image, first - 1, &item);
            if (item.call != last)
                break;
            first--;
        }
        ok = run_calls(point, last, (first + end + 1) / 2, PC_ITEM_NONE);
        for (uint32_t i = first; ok && i-- > 0 && !spent(point);) {
            pc_image_item(point->image, i, &item);
            ok = run_calls(point, last, end, item.call);
        }
        end = first;
    }
    return ok;
}

static bool at_random(struct point *point)
{
    struct rng rng = rng_seeded(point->explorer->tape.seed ^ (uint64_t)point->k << 32);
    bool ok = true;

    for (uint32_t i = 0; ok && i < point->explorer->budget.samples; i++) {
        pc_image_begin(point->image, NULL, PC_FILL_ZERO);
        for (uint32_t item = 0; item < pc_image_items(point->image); item++)
            pc_image_set(point->image, item, rng_chance(&rng, 1, 2));
        ok = point_run_set(point, PC_FILL_ZERO);
    }
    return ok;
}

bool point_in_order(struct point *point)
{
    switch (point->explorer->budget.order) {
    case ORDER_ONE_LOST:
        return lost(point, false);
    case ORDER_TWO_LOST:
        return lost(point, true);
    case ORDER_OMISSION:
        return omission(point);
    default:
        return at_random(point);
    }
}
