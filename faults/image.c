/* image.c: what a power cut after k calls left on the disk. See disk.h.
 *
 * Every micro-op issued before k that no sync forced is an *item*: open, kept or lost. A look at a
 * place (a name, a size, a block's mapping, a unit) needs the newest durable effect on it, so it
 * asks which of the open ones it is, newest first (`pick`). An answer keeps one item and loses the
 * newer ones of that place; keeping keeps all that the item needs, losing loses all that needs it.
 *
 *   I1 The kept items are always closed under the edges, so what is open can still go either way.
 *      What was forced is kept from the start. In models that leap it may have passed an open item
 *      that precedes it; then what follows it in the order needs that one directly (`behind`).
 *      Where sets are no lattice, leap.c takes the place of the edges.
 *   I2 Two different sequences of answers disagree on some item: no set is visited twice.
 *   I3 A place is asked for its size before its content, and for its mapping before its data:
 *      what lies beyond the end or in a hole is not looked at.
 *   I4 After a lie that keeps no order, nothing waits for what was issued before the lie, but what
 *      is on the same place: versions of a unit, sizes of a file, changes of a name. A block that
 *      was mapped ahead of its data reads as undefined then, whatever the model. */
#include "inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

/* ---- made at a crash point ---- */

static uint8_t initial_state(const struct pc_image *image, const struct node *node)
{
    if (image->disk->config.model == PC_PROCESS_KILL)
        return NODE_IN;
    return node->forced_at < image->k || node->voided_at < image->k ? NODE_IN : NODE_OPEN;
}

static void find_items(struct pc_image *image)
{
    const struct log *log = &image->disk->log;

    for (uint32_t i = 0; i < image->node_count; i++) {
        image->initial[i] = initial_state(image, &log->nodes[i]);
        image->item_of[i] = NONE;
        if (image->initial[i] == NODE_OPEN) {
            image->item_of[i] = image->item_count;
            image->items[image->item_count++] = i;
        }
    }
}

static uint32_t needs(const struct pc_image *image, uint32_t node, const uint32_t *behind,
                      uint32_t *out, uint32_t count);

/* Adds what `before` is to what needs it: an item, or what it stands for. */
static uint32_t need(const struct pc_image *image, uint32_t before, const uint32_t *behind,
                     uint32_t *out, uint32_t count)
{
    if (image->item_of[before] != NONE)
        out[count++] = image->item_of[before];
    else if (image->disk->log.nodes[before].voided_at < image->k)
        count = needs(image, before, behind, out, count);
    else if (behind && behind[before] != NONE)
        out[count++] = behind[before];
    return count;
}

/* Adds to `out` the open items that node needs, seen through dropped ones and past forced ones. */
static uint32_t needs(const struct pc_image *image, uint32_t node, const uint32_t *behind,
                      uint32_t *out, uint32_t count)
{
    const struct log *log = &image->disk->log;

    for (uint32_t i = 0; i < log_edges(log, node); i++) {
        uint32_t before = log->edges[log->nodes[node].first_edge + i];

        if (image_orders(image, before))
            count = need(image, before, behind, out, count);
    }
    for (uint32_t i = 0; image->lie != NONE && i < log_effects(log, node); i++) {
        uint32_t prev = log_before(log, log->nodes[node].first_effect + i);

        if (prev != NONE && !image_orders(image, log->effects[prev].node))
            count = need(image, log->effects[prev].node, NULL, out, count);
    }
    return count;
}

/* For each node that was forced, the newest open item that it has passed. Only a journal is passed
 * (a forced node depends on all else that precedes it), and a journal is a chain, so the newest one
 * brings the others with it. NULL: the model does not leap. Free it. */
static uint32_t *find_behind(const struct pc_image *image)
{
    const struct log *log = &image->disk->log;
    uint32_t *behind;

    if (!image->disk->rules->leaps)
        return NULL;
    behind = malloc(((size_t)image->node_count + 1) * sizeof *behind);
    must(behind != NULL);
    for (uint32_t i = 0; i < image->node_count; i++) {
        behind[i] = NONE;
        for (uint32_t e = 0; image->item_of[i] == NONE && e < log_edges(log, i); e++) {
            uint32_t before = log->edges[log->nodes[i].first_edge + e], item = behind[before];
            enum pc_item_kind kind = log->effects[log->nodes[before].first_effect].kind;

            if (kind == PC_ITEM_NAME || kind == PC_ITEM_TRUNCATE ||
                (kind == PC_ITEM_MAP && log->effects[log->nodes[before].first_effect].unmaps))
                item = image->item_of[before] != NONE ? image->item_of[before] : item;
            if (item != NONE && image_orders(image, image->items[item]) &&
                (behind[i] == NONE || item > behind[i]))
                behind[i] = item;
        }
    }
    return behind;
}

static void find_edges(struct pc_image *image)
{
    const struct log *log = &image->disk->log;
    uint32_t n = image->item_count, edges = 0, room = log->edge_count + 1;
    uint32_t *fill = calloc(n + 1, sizeof *fill), *behind = find_behind(image);

    if (image->lie != NONE)
        room += log->effect_count;
    image->before = malloc(room * sizeof *image->before);
    image->before_at = calloc(n + 2, sizeof *image->before_at);
    image->after_at = calloc(n + 2, sizeof *image->after_at);
    must(fill != NULL);
    must(image->before != NULL);
    for (uint32_t i = 0; i < n; i++) {
        image->before_at[i] = edges;
        edges = needs(image, image->items[i], behind, image->before, edges);
        must(edges <= room);
    }
    free(behind);
    image->before_at[n] = edges;
    image->after = malloc((edges + 1) * sizeof *image->after);
    must(image->after != NULL);
    for (uint32_t e = 0; e < edges; e++)
        image->after_at[image->before[e] + 1]++;
    for (uint32_t i = 0; i < n; i++)
        image->after_at[i + 1] += image->after_at[i];
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t e = image->before_at[i]; e < image->before_at[i + 1]; e++) {
            uint32_t from = image->before[e];

            image->after[image->after_at[from] + fill[from]++] = i;
        }
    free(fill);
}

static uint32_t newest_lie(const struct log *log, uint32_t k)
{
    while (k > 0 && log->first_unordered < k)
        if (log->calls[--k].flags & PC_CALL_UNORDERED)
            return k;
    return NONE;
}

/* What calls before `k` forced is durable, of what calls before `end` issued the rest is open. */
static struct pc_image *image_new(struct pc_disk *disk, size_t k, size_t end)
{
    struct pc_image *image = calloc(1, sizeof *image);
    const struct log *log = &disk->log;
    size_t n;

    must(image != NULL);
    must(end <= log->call_count);
    must(disk->image == NULL);
    image->disk = disk;
    image->k = (uint32_t)k;
    image->lie = newest_lie(log, image->k);
    image->node_count = end < log->call_count ? log->call_nodes[end] : log->node_count;
    n = (size_t)image->node_count + 1;
    image->items = malloc(n * sizeof *image->items);
    image->item_of = malloc(n * sizeof *image->item_of);
    image->initial = malloc(n);
    image->state = malloc(n);
    image->queue = malloc(n * sizeof *image->queue);
    must(image->items != NULL && image->item_of != NULL && image->initial != NULL);
    must(image->state != NULL && image->queue != NULL);
    find_items(image);
    find_edges(image);
    if (disk->rules->tree_log)
        leap_new(image);
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    return image;
}

struct pc_image *pc_image_new(struct pc_disk *disk, size_t k)
{
    return image_new(disk, k, k);
}

struct pc_image *pc_image_new_inside(struct pc_disk *disk, size_t k)
{
    return image_new(disk, k, k + 1);
}

void pc_image_free(struct pc_image *image)
{
    if (image == NULL)
        return;
    counter_free(image->counter);
    leap_free(image->leap);
    free(image->items);
    free(image->item_of);
    free(image->initial);
    free(image->state);
    free(image->queue);
    free(image->before);
    free(image->before_at);
    free(image->after);
    free(image->after_at);
    free(image->alternatives);
    free(image->alternative_effects);
    free(image->costs);
    clauses_free(image);
    free(image);
}

void pc_image_begin(struct pc_image *image, const struct pc_chooser *chooser, enum pc_fill fill)
{
    memcpy(image->state, image->initial, image->node_count);
    image->changes++;
    image->chooser = chooser;
    image->fill = fill;
    image->undefined_seen = image->measured = false;
    image->size_ino = 0;
    image->clause_count = image->literal_count = image->assumed = 0;
}

void pc_image_answer(struct pc_image *image, const struct pc_chooser *chooser)
{
    image->chooser = chooser;
}

void pc_image_measure(struct pc_image *image, uint32_t kept)
{
    image->measured = true;
    image->pole = kept;
}

bool pc_image_undefined_seen(const struct pc_image *image)
{
    return image->undefined_seen;
}

/* ---- items ---- */

size_t pc_image_items(const struct pc_image *image)
{
    return image->item_count;
}

void pc_image_item(const struct pc_image *image, uint32_t item, struct pc_item *out)
{
    const struct log *log = &image->disk->log;
    const struct node *node;
    const struct effect *effect;

    must(item < image->item_count);
    node = &log->nodes[image->items[item]];
    effect = &log->effects[node->first_effect];
    *out = (struct pc_item){.kind = (enum pc_item_kind)effect->kind,
                            .path = log_path(log, effect),
                            .to = "",
                            .version = effect->version,
                            .call = node->call,
                            .sync = effect->ino};
    if (effect->kind == PC_ITEM_DATA)
        out->offset = (uint64_t)effect->unit * image->disk->config.unit;
    else if (effect->kind == PC_ITEM_MAP)
        out->offset = (uint64_t)effect->unit * image->disk->config.block;
    else if (effect->kind == PC_ITEM_NAME)
        out->sync = effect->unit;
    else
        out->offset = effect->size;
    if (effect->kind == PC_ITEM_NAME && log_effects(log, image->items[item]) > 1)
        out->to = log->effects[node->first_effect + 1].path;
}

/* Without a lattice it is found out only now whether an open item can still be lost. */
enum pc_item_state pc_image_state(const struct pc_image *image, uint32_t item)
{
    uint8_t *state;

    must(item < image->item_count);
    state = &image->state[image->items[item]];
    if (image->leap && *state == NODE_OPEN && !leap_may_lose((struct pc_image *)image, item))
        *state = NODE_IN;
    return (enum pc_item_state) * state;
}

/* Breadth first along `next`: an open item takes the state, and so do the open ones behind it. */
static void spread(struct pc_image *image, uint32_t item, uint8_t state, const uint32_t *next,
                   const uint32_t *next_at)
{
    uint32_t head = 0, tail = 0;

    image->state[image->items[item]] = state;
    image->queue[tail++] = item;
    while (head < tail) {
        uint32_t i = image->queue[head++];

        for (uint32_t e = next_at[i]; e < next_at[i + 1]; e++) {
            uint8_t *other = &image->state[image->items[next[e]]];

            if (*other == NODE_OPEN) {
                *other = state;
                image->queue[tail++] = next[e];
            }
            audit(*other == state);
        }
    }
}

bool pc_image_set(struct pc_image *image, uint32_t item, bool kept)
{
    uint8_t state = kept ? NODE_IN : NODE_OUT;

    must(item < image->item_count);
    if (image->state[image->items[item]] != NODE_OPEN)
        return image->state[image->items[item]] == state;
    image->changes++;
    if (image->leap && !kept)
        return leap_lose(image, item);
    if (image->leap)
        image->state[image->items[item]] = NODE_IN;
    else if (kept)
        spread(image, item, state, image->before, image->before_at);
    else
        spread(image, item, state, image->after, image->after_at);
    return true;
}

/* ---- questions ---- */

static const struct effect *effect_at(const struct pc_image *image, uint32_t effect)
{
    return &image->disk->log.effects[effect];
}

static void room_for(struct pc_image *image, uint32_t count)
{
    if (count <= image->alternative_room)
        return;
    image->alternative_room = count * 2 + 16;
    image->alternatives =
        realloc(image->alternatives, image->alternative_room * sizeof *image->alternatives);
    image->alternative_effects = realloc(
        image->alternative_effects, image->alternative_room * sizeof *image->alternative_effects);
    image->costs = realloc(image->costs, image->alternative_room * sizeof *image->costs);
    must(image->alternatives != NULL && image->costs != NULL);
    must(image->alternative_effects != NULL);
}

static bool counts(const struct pc_image *image, uint32_t e)
{
    const struct effect *effect = effect_at(image, e);

    return effect->node < image->node_count && effect->voided_at >= image->k &&
           image->state[effect->node] != NODE_OUT;
}

/* What follows in the second chain. */
static uint32_t older(const struct pc_image *image, const struct chains *walk)
{
    uint32_t e = effect_at(image, walk->second)->prev;

    return e != NONE && e < walk->since ? NONE : e;
}

static uint32_t walk_next(const struct pc_image *image, struct chains *walk)
{
    while (walk->first != NONE &&
           (!counts(image, walk->first) ||
            (walk->incarnation != ANY &&
             effect_at(image, walk->first)->incarnation != walk->incarnation)))
        walk->first = effect_at(image, walk->first)->prev;
    while (walk->second != NONE &&
           (effect_at(image, walk->second)->kind != PC_ITEM_TRUNCATE ||
            !effect_at(image, walk->second)->unmaps || !counts(image, walk->second) ||
            effect_at(image, walk->second)->size > walk->limit))
        walk->second = older(image, walk);
    if (walk->first == NONE && walk->second == NONE)
        return NONE;
    if (walk->second == NONE || (walk->first != NONE && walk->first > walk->second)) {
        uint32_t e = walk->first;

        walk->first = effect_at(image, e)->prev;
        return e;
    } else {
        uint32_t e = walk->second;

        walk->second = older(image, walk);
        return e;
    }
}

void image_decide(struct pc_image *image, size_t chosen)
{
    bool agreed = true;

    for (size_t i = 0; i < chosen; i++)
        agreed = pc_image_set(image, image->alternatives[i], false) && agreed;
    if (image->alternatives[chosen] != PC_ITEM_NONE)
        agreed = pc_image_set(image, image->alternatives[chosen], true) && agreed;
    must(agreed); /* I1, L3 */
}

uint32_t image_gather(struct pc_image *image, struct chains walk, uint32_t *last)
{
    uint32_t n = 0, e;

    *last = NONE;
    while ((e = walk_next(image, &walk)) != NONE) {
        uint32_t node = effect_at(image, e)->node;

        if (image->state[node] == NODE_IN) {
            *last = e;
            break;
        }
        room_for(image, n + 2);
        image->alternatives[n] = image->item_of[node];
        image->alternative_effects[n++] = e;
    }
    return n;
}

const uint32_t *image_costs(const struct pc_image *image, const uint32_t *items, uint32_t n,
                            uint32_t *costs)
{
    uint32_t lost = 0;

    if (!image->measured)
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        bool held = items[i] != PC_ITEM_NONE && items[i] < image->pole;

        costs[i] = lost + (items[i] != PC_ITEM_NONE && !held);
        lost += held;
    }
    return costs;
}

/* The newest durable effect on a place; NONE: what was there before the log. */
static uint32_t pick(struct pc_image *image, struct chains walk)
{
    uint32_t last, n = image_gather(image, walk, &last);
    size_t chosen = 0;

    if (n == 0)
        return last;
    image->alternatives[n] = PC_ITEM_NONE;
    image->alternative_effects[n++] = last;
    if (image->leap)
        n = leap_possible(image, image->alternatives, image->alternative_effects, n);
    if (image->clause_count)
        return clauses_pick(image, n);
    if (image->chooser && n > 1) {
        struct pc_choice choice = {n, image->alternatives, 0,
                                   image_costs(image, image->alternatives, n, image->costs)};

        chosen = image->chooser->choose(image->chooser->ctx, &choice);
        must(chosen < n);
    }
    image_decide(image, chosen);
    return image->alternative_effects[chosen];
}

/* The inode in the disk beneath, when that disk ever looked at it. */
static const struct inode *beneath(const struct pc_image *image, uint32_t ino)
{
    return ino < image->disk->inode_count ? image->disk->inodes[ino] : NULL;
}

enum disk_kind image_kind(struct pc_image *image, uint32_t ino)
{
    const struct inode *inode = beneath(image, ino);

    if (inode)
        return inode->kind;
    must(tree_inode(image->disk->base, ino) != NULL);
    return tree_inode(image->disk->base, ino)->kind;
}

const char *image_path(struct pc_image *image, uint32_t ino)
{
    const struct inode *inode = beneath(image, ino);

    return inode ? inode->path : tree_inode(image->disk->base, ino)->path;
}

const char *image_target(struct pc_image *image, uint32_t ino)
{
    const struct inode *inode = beneath(image, ino);

    return inode ? inode->target : tree_inode(image->disk->base, ino)->target;
}

static uint32_t base_name(const struct pc_image *image, uint32_t dir, const char *name, size_t len)
{
    const struct tree_inode *base = tree_inode(image->disk->base, dir);

    return base ? tree_find(base, name, len) : 0;
}

uint32_t image_name(struct pc_image *image, uint32_t dir, const char *name, size_t len)
{
    const struct inode *inode = beneath(image, dir);

    for (uint32_t i = 0; inode && i < inode->entry_count; i++) {
        const struct entry *entry = &inode->entries[i];

        if (entry->len == len && memcmp(entry->name, name, len) == 0) {
            uint32_t e = pick(image, (struct chains){entry->last, NONE, 0, 0, ANY});

            if (e != NONE)
                return effect_at(image, e)->ino;
            break;
        }
    }
    return base_name(image, dir, name, len);
}

void image_names(struct pc_image *image, uint32_t dir,
                 void (*visit)(void *ctx, const char *name, size_t len, uint32_t ino), void *ctx)
{
    const struct inode *inode = beneath(image, dir);
    const struct tree_inode *base = tree_inode(image->disk->base, dir);

    for (uint32_t i = 0; base && i < base->name_count; i++) {
        uint32_t ino = image_name(image, dir, base->names[i].name, base->names[i].len);

        if (ino)
            visit(ctx, base->names[i].name, base->names[i].len, ino);
    }
    for (uint32_t i = 0; inode && i < inode->entry_count; i++) {
        const struct entry *entry = &inode->entries[i];
        uint32_t ino;

        if (entry->last == NONE || (base && tree_find(base, entry->name, entry->len)))
            continue;
        ino = image_name(image, dir, entry->name, entry->len);
        if (ino)
            visit(ctx, entry->name, entry->len, ino);
    }
}

uint64_t image_size(struct pc_image *image, uint32_t ino)
{
    const struct inode *inode = beneath(image, ino);
    const struct tree_inode *base = tree_inode(image->disk->base, ino);
    uint32_t e = NONE;

    if (image->size_ino == ino) /* once answered it stays, and each unit of a file asks */
        return image->size;
    if (inode)
        e = pick(image, (struct chains){inode->last_size, NONE, 0, 0, ANY});
    image->size_ino = ino;
    image->size = e != NONE ? effect_at(image, e)->size : base ? base->size : 0;
    return image->size;
}

static bool base_mapped(const struct pc_image *image, uint32_t ino, uint32_t place)
{
    const struct tree_inode *base = tree_inode(image->disk->base, ino);

    return base && place < base->block_count && base->mapped[place];
}

/* The newest durable mapping of a block: its incarnation in *out and the effect in *since (0: from
 * below), or false for a hole. */
static bool mapping(struct pc_image *image, uint32_t ino, uint32_t place, uint32_t *out,
                    uint32_t *since)
{
    const struct inode *inode = beneath(image, ino);
    uint32_t e = NONE;

    *out = *since = 0;
    if (inode && place < inode->place_room)
        e = pick(image, (struct chains){inode->places[place].last, NONE, 0, 0, ANY});
    if (e == NONE)
        return base_mapped(image, ino, place);
    *out = effect_at(image, e)->incarnation;
    *since = e;
    return !effect_at(image, e)->unmaps;
}

/* A mapping beyond the end of the file does not outlive the boot: recovery of the file system frees
 * it, and tree.c does not keep it. */
bool image_mapped(struct pc_image *image, uint32_t ino, uint32_t place)
{
    uint32_t incarnation, since;

    return image->disk->rules->journal &&
           (uint64_t)place * image->disk->config.block < image_size(image, ino) &&
           mapping(image, ino, place, &incarnation, &since);
}

static const struct block *base_unit(const struct pc_image *image, uint32_t ino, uint32_t index)
{
    const struct tree_inode *base = tree_inode(image->disk->base, ino);

    return base && index < base->unit_count ? base->units[index] : NULL;
}

/* Was data of this unit dropped by a failed sync, so that a new block was mapped without it? */
static bool dropped(const struct pc_image *image, uint32_t e, uint32_t incarnation)
{
    for (; e != NONE; e = effect_at(image, e)->prev)
        if (effect_at(image, e)->voided_at < image->k &&
            effect_at(image, e)->incarnation == incarnation)
            return true;
    return false;
}

/* I4: was data issued for this life of the block? */
static bool was_written(const struct pc_image *image, uint32_t e, uint32_t incarnation)
{
    for (; e != NONE; e = effect_at(image, e)->prev)
        if (effect_at(image, e)->node < image->node_count &&
            effect_at(image, e)->incarnation == incarnation)
            return true;
    return false;
}

/* Undefined bytes in [from, to) of a unit that begins at `start` of the file. */
static void fill_undefined(const struct pc_image *image, uint32_t ino, uint64_t start,
                           uint8_t *data, uint32_t from, uint32_t to)
{
    uint64_t word = 0;

    if (image->fill != PC_FILL_NOISE) {
        memset(data + from, image->fill == PC_FILL_ZERO ? 0 : '?', to - from);
        return;
    }
    for (uint32_t i = from; i < to; i++) {
        uint64_t at = start + i;

        if (i == from || at % 8 == 0)
            word = rng_mix((uint64_t)ino << 40 ^ at >> 3);
        data[i] = (uint8_t)(word >> at % 8 * 8);
    }
}

/* `content` up to `len` bytes, what is missing filled as the model says. What was written beyond
 * the size that survived is cut off: it must not come back when the file grows again. */
static const struct block *filled(struct pc_image *image, uint32_t ino, uint32_t index,
                                  const struct block *content, uint32_t len, bool undefined,
                                  struct arena *arena)
{
    uint32_t have = content ? content->len : 0;
    uint64_t at = (uint64_t)index * image->disk->config.unit;
    struct block *block;

    if (have == len && content)
        return content;
    if (have > len)
        have = len;
    if (have == 0 && !undefined)
        return NULL;
    block = arena_block(arena, len);
    if (have)
        memcpy(block_bytes(block), content->data, have);
    if (undefined && have < len)
        fill_undefined(image, ino, at, block_bytes(block), have, len);
    else
        memset(block_bytes(block) + have, 0, len - have);
    if (undefined && have < len)
        image->undefined_seen = true;
    return block;
}

struct chains image_unit_walk(const struct pc_image *image, uint32_t ino, uint32_t index,
                              const struct mapped *mapped)
{
    const struct inode *inode = beneath(image, ino);
    uint64_t start = (uint64_t)index * image->disk->config.unit;
    uint32_t last, cut;

    if (inode == NULL)
        return (struct chains){NONE, NONE, 0, 0, ANY};
    last = index < inode->unit_room ? inode->units[index].last : NONE;
    cut =
        inode->last_order != NONE && inode->last_order >= mapped->since ? inode->last_order : NONE;
    return (struct chains){last, cut, start, mapped->since, mapped->incarnation};
}

const struct block *image_unit_content(struct pc_image *image, uint32_t ino, uint32_t index,
                                       const struct mapped *mapped, uint32_t e, struct arena *arena)
{
    const struct inode *inode = beneath(image, ino);
    uint32_t unit = image->disk->config.unit, len;
    uint64_t start = (uint64_t)index * unit, size = image_size(image, ino);
    bool journal = image->disk->rules->journal, undefined = !journal;
    const struct block *content;

    if (start >= size || mapped->hole)
        return NULL;
    len = size - start < unit ? (uint32_t)(size - start) : unit;
    if (inode && journal && e == NONE && mapped->incarnation != 0) {
        uint32_t last = index < inode->unit_room ? inode->units[index].last : NONE;

        undefined = image->disk->rules->undefined || dropped(image, last, mapped->incarnation) ||
                    (image->lie != NONE && was_written(image, last, mapped->incarnation));
    }
    if (e == NONE)
        content = journal && mapped->incarnation != 0 ? NULL : base_unit(image, ino, index);
    else
        content = effect_at(image, e)->kind == PC_ITEM_DATA ? effect_at(image, e)->content : NULL;
    undefined |= content == &destroyed_unit;
    return filled(image, ino, index, content, len, undefined, arena);
}

const struct block *image_unit(struct pc_image *image, uint32_t ino, uint32_t index,
                               struct arena *arena)
{
    uint64_t start = (uint64_t)index * image->disk->config.unit;
    struct mapped mapped = {.incarnation = ANY};
    uint32_t e = NONE;

    if (start >= image_size(image, ino))
        return NULL;
    if (image->disk->rules->journal &&
        !mapping(image, ino, block_at(image->disk, start), &mapped.incarnation, &mapped.since))
        return NULL;
    if (beneath(image, ino))
        e = pick(image, image_unit_walk(image, ino, index, &mapped));
    return image_unit_content(image, ino, index, &mapped, e, arena);
}

/* The walk over the mappings of the block that holds a unit. */
bool image_map_walk(const struct pc_image *image, uint32_t ino, uint32_t index, struct chains *walk)
{
    const struct inode *inode = beneath(image, ino);
    uint32_t place =
        (uint32_t)((uint64_t)index * image->disk->config.unit / image->disk->config.block);

    if (inode == NULL || place >= inode->place_room)
        return false;
    *walk = (struct chains){inode->places[place].last, NONE, 0, 0, ANY};
    return true;
}

/* What a mapping effect (NONE: the one from below) means for the units of its block. */
struct mapped image_mapped_by(const struct pc_image *image, uint32_t ino, uint32_t index,
                              uint32_t e)
{
    uint64_t at = (uint64_t)index * image->disk->config.unit;

    if (e == NONE)
        return (struct mapped){0, 0, !base_mapped(image, ino, block_at(image->disk, at))};
    return (struct mapped){effect_at(image, e)->incarnation, e, effect_at(image, e)->unmaps};
}
