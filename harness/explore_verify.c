/* explore_verify.c: keeps verdicts by class honest.
 *
 *   E5 A leaf in which a checksum was said to fail stands for many images. One in so many such
 *      leaves is run again on members of its class, without hooks: the one that loses most, and a
 *      mixture drawn by the seed. They have to read, write and recover the same. If not, recovery
 *      has looked at bytes that no checksum has passed.
 *   E6 What breaks a rule on a class must break one on a real image of it, which is the finding. */
#include <stdlib.h>

#include "base/rng.h"
#include "powercut/verdict.h"

#include "explore_point.h"

#define WITNESSES 2

static void unverified(struct verdict *verdict, const char *what)
{
    verdict->rule = RULE_UNVERIFIED;
    snprintf(verdict->text, sizeof verdict->text,
             "recovery looks at bytes that no checksum has passed: %s", what);
}

struct sight point_sight(const struct point *point)
{
    struct judge *judge = &point->explorer->judge;

    return (struct sight){seen_hash(&judge->seen), pc_disk_looks(judge->disk),
                          pc_disk_hash(judge->disk), point->question.life};
}

void point_confirm(struct point *point, struct verdict *verdict)
{
    struct explorer *explorer = point->explorer;
    struct question question = point->question;
    struct verdict real;
    uint8_t *states;

    pc_image_comply(point->image);
    states = point_states(point);
    pc_image_begin(point->image, NULL, point->fill);
    for (uint32_t i = 0; i < pc_image_items(point->image); i++)
        if (states[i] != PC_ITEM_OPEN)
            pc_image_set(point->image, i, states[i] == PC_ITEM_KEPT);
    free(states);
    question.by_use = false;
    judge_image(&explorer->judge, point->image, &question, &real, &point->opened);
    explorer->tally.recoveries++;
    explorer->spent++;
    if (real.rule == RULE_NONE)
        unverified(verdict, "a rule breaks only as long as they are open");
    else
        *verdict = real;
}

static void begin_member(struct pc_image *image, const uint8_t *states, enum pc_fill fill,
                         struct rng *rng, uint64_t share)
{
    uint32_t n = (uint32_t)pc_image_items(image);

    pc_image_begin(image, NULL, fill);
    for (uint32_t i = 0; i < n; i++)
        if (states[i] != PC_ITEM_OPEN)
            pc_image_set(image, i, states[i] == PC_ITEM_KEPT);
    for (uint32_t i = 0; share > 0 && i < n; i++)
        pc_image_set(image, i, rng_chance(rng, share, 4));
}

bool point_witness(struct point *point, const uint8_t *states, const struct sight *sight)
{
    struct explorer *explorer = point->explorer;
    struct question question = point->question;
    struct rng rng = rng_seeded(explorer->tape.seed ^ point->k << 24 ^ point->leaf);

    question.by_use = false;
    question.life = sight->life;
    for (uint64_t w = 0; w < WITNESSES; w++) {
        struct judge *judge = &explorer->inner[0];
        struct verdict verdict;
        size_t ignored;

        begin_member(point->image, states, PC_FILL_ZERO, &rng, w);
        judge_image(judge, point->image, &question, &verdict, &ignored);
        explorer->tally.recoveries++;
        explorer->tally.witnessed++;
        explorer->spent++;
        if (verdict.rule == RULE_NONE && seen_hash(&judge->seen) != sight->seen)
            unverified(&verdict, "what is recovered depends on them");
        else if (verdict.rule == RULE_NONE && pc_disk_looks(judge->disk) != sight->looks)
            unverified(&verdict, "what is read depends on them");
        else if (verdict.rule == RULE_NONE && pc_disk_hash(judge->disk) != sight->log)
            unverified(&verdict, "what is written depends on them");
        if (verdict.rule == RULE_NONE)
            continue;
        point_record(point, &verdict, PC_FILL_ZERO);
        return false;
    }
    return true;
}
