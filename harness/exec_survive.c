/* exec_survive.c: which crash states would still be possible, had the program made more syncs.
 *
 * A sync only takes states away: what was legal with it at a crash point was legal without. So the
 * states that were found need not be searched again, only asked whether all that they lost can
 * still be lost there. A tree that several losses lead to is asked for one of them: the others show
 * when the recording is searched again with the syncs in it, which ends every search for the
 * missing.
 * */
#include "exec_search.h"

#include <stdlib.h>

#include "exec_promises.h"

struct open_items {
    struct exec_lost *items;
    size_t count;
};

static int by_place(const void *a, const void *b)
{
    const struct exec_lost *x = a, *y = b;

    if (x->record != y->record)
        return x->record < y->record ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->change < y->change ? -1 : x->change > y->change;
}

/* What can be lost at a crash before that record. */
static void list_open(struct pc_replay *replay, uint32_t record, bool inside,
                      struct open_items *open)
{
    struct pc_disk *disk = pc_replay_disk(replay);
    size_t k = 0, items;
    struct pc_image *image;

    /* An inserted sync has the mark of the call before it, so the first is the program's. */
    while (k < pc_disk_call_count(disk) && pc_disk_call(disk, k)->mark < record)
        k++;
    image = inside ? pc_image_new_inside(disk, k) : pc_image_new(disk, k);
    items = pc_image_items(image);
    open->items = malloc((items + 1) * sizeof *open->items);
    must(open->items != NULL);
    open->count = items;
    for (uint32_t i = 0; i < items; i++)
        open->items[i] = exec_lost_of(image, replay, disk, i);
    pc_image_free(image);
    qsort(open->items, items, sizeof *open->items, by_place);
}

static bool can_lose(const struct open_items *open, const struct exec_case *c)
{
    for (uint32_t i = 0; i < c->lost_count; i++)
        if (!bsearch(&c->lost[i], open->items, open->count, sizeof *open->items, by_place))
            return false;
    return true;
}

/* Is it an inserted sync? That has the mark of the call before it. */
static bool is_inserted(struct pc_disk *disk, size_t k)
{
    return k > 0 && pc_disk_call(disk, k)->mark == pc_disk_call(disk, k - 1)->mark;
}

static bool was_lost(const struct pc_image *image, struct pc_replay *replay, uint32_t index,
                     const struct exec_case *c)
{
    struct exec_lost place = exec_lost_of(image, replay, pc_replay_disk(replay), index);

    for (uint32_t i = 0; i < c->lost_count; i++)
        if (by_place(&c->lost[i], &place) == 0)
            return true;
    return false;
}

/* Would the same tree be left by a crash straight before inserted sync k? */
static bool same_before(struct exec_search *search, struct pc_replay *replay, size_t k,
                        const struct exec_case *c)
{
    struct pc_image *image = pc_image_new(pc_replay_disk(replay), k);
    struct pc_disk *looker;
    uint32_t tree;

    pc_image_begin(image, NULL, c->noise ? PC_FILL_NOISE : PC_FILL_ZERO);
    for (uint32_t i = 0; i < pc_image_items(image); i++)
        if (was_lost(image, replay, i, c))
            (void)pc_image_set(image, i, false);
    looker = pc_disk_boot(image);
    tree = exec_trees_take(&search->trees, search->setup.recording, replay, looker);
    pc_disk_free(looker);
    pc_image_free(image);
    return tree == c->tree;
}

/* The new sync comes too late when the power fails just before it, and the program had said as much
 * by then. */
static bool survives_before(struct exec_search *search, struct pc_replay *replay,
                            const struct exec_case *c)
{
    struct pc_disk *disk = pc_replay_disk(replay);
    const struct pc_recording *recording = search->setup.recording;

    for (size_t k = 0; k < pc_disk_call_count(disk); k++) {
        uint32_t record = (uint32_t)pc_disk_call(disk, k)->mark + 1;
        char *text = NULL;
        bool fails;

        if (record > c->record || !is_inserted(disk, k) || !same_before(search, replay, k, c))
            continue;
        if (search->promises)
            text = exec_promises_judge(search->promises, exec_trees_at(&search->trees, c->tree),
                                       record);
        fails = search->promises ? text != NULL
                                 : exec_said(recording, record) == exec_said(recording, c->record);
        free(text);
        if (fails)
            return true;
    }
    return false;
}

static void survive(struct exec_search *search, struct pc_replay *replay, uint32_t model,
                    const struct exec_states *states, bool *alive)
{
    struct open_items open = {NULL, 0};
    const struct exec_case *at = NULL; /* the case whose point `open` is about */

    for (size_t i = 0; i < states->count; i++) {
        const struct exec_case *c = &states->cases[i];

        if (c->model != model || !alive[i])
            continue;
        if (at == NULL || at->record != c->record || at->inside != c->inside) {
            free(open.items);
            list_open(replay, c->record, c->inside, &open);
            at = c;
        }
        alive[i] = can_lose(&open, c) || survives_before(search, replay, c);
    }
    free(open.items);
}

bool exec_search_survive(struct exec_search *search, const struct exec_states *states,
                         const struct pc_replay_sync *syncs, size_t sync_count, bool *alive,
                         char *why, size_t room)
{
    for (uint32_t m = 0; m < search->setup.model_count; m++) {
        struct pc_disk_config config = {.model = search->setup.models[m],
                                        .unit = search->setup.unit};
        struct pc_replay *replay =
            pc_replay_new(search->setup.recording, &config, syncs, sync_count, why, room);

        if (!replay)
            return false;
        survive(search, replay, m, states, alive);
        pc_replay_free(replay);
    }
    return true;
}
