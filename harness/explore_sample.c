/* explore_sample.c: where a search does not end within its budget: families of images from several
 * poles, each a legal set by construction, and seeded ones. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

#include "explore_point.h"

bool point_run_set(struct point *point, enum pc_fill fill)
{
    uint32_t n = (uint32_t)pc_image_items(point->image);
    const struct explorer *explorer = point->explorer;
    uint64_t hash = fill;

    if (explorer->position) /* images that were seen take their time, too */
        explorer->position(explorer->position_ctx, point->session->epoch, point->k, point->leaf);
    for (uint32_t i = 0; i < n; i++)
        hash = rng_mix(hash ^ (uint64_t)pc_image_state(point->image, i));
    for (uint32_t i = 0; i < point->seen_count; i++)
        if (point->seen[i] == hash)
            return true;
    if (point->seen_count == point->seen_room) {
        point->seen_room = point->seen_room ? point->seen_room * 2 : 64;
        point->seen = realloc(point->seen, point->seen_room * sizeof *point->seen);
        must(point->seen != NULL);
    }
    point->seen[point->seen_count++] = hash;
    point->question.scan_claims = true;
    if (!point_run(point, fill) || !point_finish(point))
        return false;
    mpz_add_ui(point->explorer->tally.images, point->explorer->tally.images, 1);
    return true;
}

#define STRATA_MOST 24

enum family {
    FAMILY_NONE,
    FAMILY_PREFIX, /* all before an item */
    FAMILY_ALL_BUT_ONE,
    FAMILY_ONE_ONLY,
    FAMILY_ALL_BUT_FILE,
    FAMILY_FILE_ONLY,
    FAMILY_NO_DATA, /* metadata leaps over data */
    FAMILY_DATA_ONLY,
    FAMILY_NO_NAMES,
    FAMILY_NAMES_ONLY,
    FAMILY_RANDOM,
    FAMILIES
};

struct member {
    enum family family;
    uint32_t item;
    struct rng rng;
    uint32_t share; /* random: kept in 10 */
};

static bool wanted(const struct pc_image *image, struct member *member, uint32_t i,
                   const struct pc_item *special)
{
    struct pc_item item;

    switch (member->family) {
    case FAMILY_NONE:
        return false;
    case FAMILY_PREFIX:
        return i < member->item;
    case FAMILY_ALL_BUT_ONE:
        return i != member->item;
    case FAMILY_ONE_ONLY:
        return i == member->item;
    case FAMILY_RANDOM:
        return rng_chance(&member->rng, member->share, 10);
    default:
        break;
    }
    pc_image_item(image, i, &item);
    switch (member->family) {
    case FAMILY_ALL_BUT_FILE:
        return strcmp(item.path, special->path) != 0;
    case FAMILY_FILE_ONLY:
        return strcmp(item.path, special->path) == 0;
    case FAMILY_NO_DATA:
        return item.kind != PC_ITEM_DATA;
    case FAMILY_DATA_ONLY:
        return item.kind == PC_ITEM_DATA;
    case FAMILY_NO_NAMES:
        return item.kind != PC_ITEM_NAME;
    default:
        return item.kind == PC_ITEM_NAME;
    }
}

/* Lost items first where the family names what is lost, so that the closure follows the family. */
static bool run_member(struct point *point, struct member member)
{
    struct pc_image *image = point->image;
    uint32_t n = (uint32_t)pc_image_items(image);
    bool noise = rng_mix(member.item ^ (uint64_t)member.family << 8) & 1;
    struct pc_item special;
    bool lose_first = member.family == FAMILY_ALL_BUT_ONE || member.family == FAMILY_ALL_BUT_FILE ||
                      member.family == FAMILY_NO_DATA || member.family == FAMILY_NO_NAMES;
    uint8_t *want = malloc(n + 1);
    bool ok;

    must(want != NULL);
    pc_image_item(image, member.item, &special);
    pc_image_begin(image, NULL, noise ? PC_FILL_NOISE : PC_FILL_ZERO);
    for (uint32_t i = 0; i < n; i++)
        want[i] = wanted(image, &member, i, &special);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < n; i++)
            if (want[i] == ((pass == 0) != lose_first))
                pc_image_set(image, i, want[i]);
    free(want);
    ok = point_run_set(point, noise ? PC_FILL_NOISE : PC_FILL_ZERO);
    return ok;
}

/* What kind of loss it would be: of what, in which sort of file, by which call. */
static uint64_t stratum_of(const struct point *point, uint32_t i)
{
    struct pc_item item;
    const char *name;
    uint64_t hash;

    pc_image_item(point->image, i, &item);
    name = strrchr(item.path, '.');
    if (name == NULL)
        name = strrchr(item.path, '/');
    hash = (uint64_t)item.kind << 8 | pc_disk_call(point->session->disk, item.call)->kind;
    for (; name && *name; name++)
        if (*name < '0' || *name > '9')
            hash = rng_mix(hash ^ (uint8_t)*name);
    return rng_mix(hash);
}

/* One image per stratum first: the newest of its items is lost, with what needs it. */
static bool run_strata(struct point *point)
{
    uint32_t n = (uint32_t)pc_image_items(point->image), count = 0;
    uint64_t strata[STRATA_MOST];
    bool ok = true;

    for (uint32_t i = n; ok && i-- > 0 && count < STRATA_MOST;) {
        uint64_t stratum = stratum_of(point, i);
        uint32_t s = 0;

        while (s < count && strata[s] != stratum)
            s++;
        if (s < count)
            continue;
        strata[count++] = stratum;
        ok = run_member(point, (struct member){.family = FAMILY_ALL_BUT_ONE, .item = i});
    }
    return ok;
}

bool point_sample(struct point *point)
{
    struct explorer *explorer = point->explorer;
    uint32_t n = (uint32_t)pc_image_items(point->image), per = explorer->budget.samples / 6 + 1;
    struct rng rng =
        rng_seeded(explorer->tape.seed ^ (uint64_t)point->k << 32 ^ point->session->epoch);

    if (explorer->budget.samples == 0)
        return true;
    if (!run_strata(point))
        return false;
    for (int family = 0; family < FAMILY_RANDOM; family++) {
        bool single = family == FAMILY_NONE || family >= FAMILY_NO_DATA;

        for (uint32_t i = 0; i < (single ? 1 : per); i++) {
            struct member member = {.family = (enum family)family};

            /* The newest items first: they are what the crash interrupts. */
            member.item = i < per / 2 && i < n ? n - 1 - i : (uint32_t)rng_below(&rng, n);
            if (!run_member(point, member))
                return false;
        }
    }
    for (uint32_t i = 0; i < explorer->budget.samples; i++) {
        static const uint32_t shares[] = {1, 5, 9, 5, 9, 9};
        struct member member = {
            .family = FAMILY_RANDOM, .rng = {rng_next(&rng)}, .share = shares[i % 6]};

        if (!run_member(point, member))
            return false;
    }
    return true;
}
