/* finding.c: names for items and crash points that a person can read. See finding.h. */
#include "finding.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static bool alike(const struct pc_item *a, const struct pc_item *b)
{
    return a->kind == b->kind && strcmp(a->path, b->path) == 0 && a->version == b->version &&
           (a->kind == PC_ITEM_NAME || a->offset == b->offset);
}

/* A path can name several inodes in one epoch; then the versions of later ones are told apart by
 * adding 1000 for each one before. */
#define SAME_NAME 1000u

void finding_item(const struct pc_image *image, uint32_t item, struct item_name *name)
{
    struct pc_item wanted, other;

    pc_image_item(image, item, &wanted);
    *name = (struct item_name){wanted.kind, "", wanted.offset, wanted.version};
    snprintf(name->path, sizeof name->path, "%s", wanted.path);
    for (uint32_t i = 0; i < item; i++) {
        pc_image_item(image, i, &other);
        if (alike(&wanted, &other))
            name->version += SAME_NAME;
    }
}

uint32_t finding_find(const struct pc_image *image, const struct item_name *name)
{
    uint32_t skip = name->version / SAME_NAME;
    struct pc_item wanted = {.kind = name->kind,
                             .path = name->path,
                             .to = "",
                             .offset = name->offset,
                             .version = name->version % SAME_NAME};
    struct pc_item other;

    for (uint32_t i = 0; i < pc_image_items(image); i++) {
        pc_image_item(image, i, &other);
        if (alike(&wanted, &other) && skip-- == 0)
            return i;
    }
    return PC_ITEM_NONE;
}

/* The items in state `state` that do not follow from another one in it. `lost` items follow from
 * earlier lost ones, kept ones from later kept ones: try each on an image without it. */
static uint32_t minimal(struct pc_image *image, const uint8_t *states, enum pc_item_state state,
                        struct item_name *out)
{
    uint32_t n = (uint32_t)pc_image_items(image), count = 0;
    bool lost = state == PC_ITEM_LOST;

    pc_image_begin(image, NULL, PC_FILL_ZERO);
    for (uint32_t step = 0; step < n; step++) {
        uint32_t i = lost ? step : n - 1 - step;

        if (states[i] != state || pc_image_state(image, i) == state)
            continue;
        if (count == CUT_ITEMS)
            return UINT32_MAX;
        pc_image_set(image, i, !lost);
        finding_item(image, i, &out[count++]);
    }
    return count;
}

/* Per file or directory with lost items: a sync right behind the last call that issued one. */
static void find_remedies(const struct pc_image *image, const uint8_t *states, struct cut *cut)
{
    for (uint32_t i = 0; i < pc_image_items(image); i++) {
        struct pc_item item;
        uint32_t r = 0;
        const char *slash;

        if (states[i] != PC_ITEM_LOST)
            continue;
        pc_image_item(image, i, &item);
        while (r < cut->remedy_count && cut->remedies[r].sync != item.sync)
            r++;
        if (r == CUT_REMEDIES)
            continue;
        if (r == cut->remedy_count)
            cut->remedies[cut->remedy_count++].first = item.call + 1;
        cut->remedies[r].sync = item.sync;
        cut->remedies[r].call = item.call + 1;
        if (item.call + 1 < cut->remedies[r].first)
            cut->remedies[r].first = item.call + 1;
        slash = item.kind == PC_ITEM_NAME ? strrchr(item.path, '/') : NULL;
        if (item.kind == PC_ITEM_NAME)
            snprintf(cut->remedies[r].path, sizeof cut->remedies[r].path, "%.*s",
                     slash ? (int)(slash - item.path) : 1, slash ? item.path : "/");
        else
            snprintf(cut->remedies[r].path, sizeof cut->remedies[r].path, "%.63s", item.path);
    }
    for (uint32_t i = 0; i < pc_image_items(image); i++) {
        struct pc_item item;

        pc_image_item(image, i, &item);
        for (uint32_t r = 0; r < cut->remedy_count; r++)
            if (cut->remedies[r].sync == item.sync && cut->remedies[r].last < item.call + 1)
                cut->remedies[r].last = item.call + 1;
    }
}

static void say_call(const struct pc_disk *disk, size_t k, struct cut *cut)
{
    const struct pc_call *call;
    const char *name;

    if (k >= pc_disk_call_count(disk)) {
        cut->crash.place = CRASH_END;
        snprintf(cut->before, sizeof cut->before, "after the last call");
        return;
    }
    call = pc_disk_call(disk, k);
    name = strrchr(call->path, '/');
    name = name ? name + 1 : call->path;
    cut->crash.place = CRASH_BEFORE;
    cut->crash.call = call->kind;
    snprintf(cut->crash.file, sizeof cut->crash.file, "%.47s", name);
    for (size_t i = 0; i <= k; i++) {
        const struct pc_call *other = pc_disk_call(disk, i);
        const char *other_name = strrchr(other->path, '/');

        other_name = other_name ? other_name + 1 : other->path;
        if (other->kind == call->kind && strcmp(other_name, name) == 0)
            cut->crash.nth++;
    }
    snprintf(cut->before, sizeof cut->before, "%s %s of %.48s",
             cut->crash.inside ? "in the middle of the" : "before", pc_call_kind_name(call->kind),
             *call->path ? call->path : "/");
}

struct pc_image *finding_image(struct pc_disk *disk, size_t k, bool inside)
{
    return inside ? pc_image_new_inside(disk, k) : pc_image_new(disk, k);
}

static void cut_as(const struct pc_disk *disk, const struct pc_image *image_in, size_t k,
                   bool inside, enum pc_fill fill, bool lost_only, struct cut *cut)
{
    struct pc_image *image = finding_image((struct pc_disk *)disk, k, inside);
    uint32_t n = (uint32_t)pc_image_items(image), lost, kept;
    uint8_t *states = malloc(n + 1);
    struct item_name *names = malloc(CUT_ITEMS * sizeof *names);

    must(states != NULL && names != NULL);
    must(n == pc_image_items(image_in));
    for (uint32_t i = 0; i < n; i++)
        states[i] = (uint8_t)pc_image_state(image_in, i);
    *cut = (struct cut){.crash = {.fill = fill, .inside = inside}};
    say_call(disk, k, cut);
    find_remedies(image, states, cut);
    lost = minimal(image, states, PC_ITEM_LOST, cut->items);
    for (uint32_t i = 0; i < n; i++) /* what nobody looked at is lost, seen from the oldest pole */
        if (states[i] == PC_ITEM_OPEN)
            states[i] = PC_ITEM_LOST;
    kept = minimal(image, states, PC_ITEM_KEPT, names);
    cut->item_count = lost;
    if (!lost_only && kept < lost && pc_model_is_lattice(pc_disk_get_config(disk)->model)) {
        cut->crash.oldest = true;
        cut->item_count = kept;
        memcpy(cut->items, names, kept * sizeof *names);
    }
    free(states);
    free(names);
    pc_image_free(image);
}

void finding_cut(const struct pc_disk *disk, const struct pc_image *image, size_t k, bool inside,
                 enum pc_fill fill, struct cut *cut)
{
    cut_as(disk, image, k, inside, fill, false, cut);
    if (cut->item_count == UINT32_MAX)
        cut->item_count = CUT_ITEMS; /* cut short: replay says when that is not enough */
}

bool finding_cut_lost(const struct pc_disk *disk, const struct pc_image *image, size_t k,
                      bool inside, enum pc_fill fill, struct cut *cut)
{
    cut_as(disk, image, k, inside, fill, true, cut);
    return cut->item_count != UINT32_MAX;
}

bool finding_impose(struct pc_image *image, const struct cut *cut, char *why, size_t room)
{
    for (uint32_t i = 0; i < cut->item_count; i++) {
        uint32_t item = finding_find(image, &cut->items[i]);

        if (item == PC_ITEM_NONE) {
            snprintf(why, room, "nothing is open at version %u of %s offset %llu",
                     (unsigned)cut->items[i].version, cut->items[i].path,
                     (unsigned long long)cut->items[i].offset);
            return false;
        }
        pc_image_set(image, item, cut->crash.oldest);
    }
    for (uint32_t i = 0; cut->crash.oldest && i < pc_image_items(image); i++)
        pc_image_set(image, i, false);
    return true;
}

void finding_steps(const struct finding *finding, struct trace *trace)
{
    for (uint32_t c = 0; c < finding->cuts; c++) {
        const struct cut *cut = &finding->cut[c];

        trace_add(trace, OP_CRASH)->crash = cut->crash;
        for (uint32_t i = 0; i < cut->item_count; i++)
            trace_add(trace, cut->crash.oldest ? OP_KEEP : OP_LOSE)->item = cut->items[i];
        if (finding->trouble && c + 1 == finding->cuts) {
            struct op *op = trace_add(trace, OP_TROUBLE);

            op->slot = finding->trouble_at;
            snprintf(op->word, sizeof op->word, "%s", trouble_name(finding->trouble));
        }
        trace_add(trace, OP_RECOVER);
    }
    trace_add(trace, OP_CHECK);
}

void finding_size(const struct trace *trace, const struct finding *finding, uint32_t *ops,
                  uint32_t *items)
{
    *ops = *items = 0;
    for (uint32_t i = 0; i < trace->op_count; i++)
        switch (trace->ops[i].kind) {
        case OP_LOSE:
        case OP_KEEP:
            ++*items;
            break;
        case OP_CRASH:
        case OP_TROUBLE:
        case OP_RECOVER:
        case OP_CHECK:
            break;
        default:
            ++*ops;
        }
    for (uint32_t c = 0; c < finding->cuts; c++)
        *items += finding->cut[c].item_count;
}
