/* clause.c: what is known of an image beyond kept and lost: "not all of these". A checksum that
 * failed says that no combination of contents was there that would have passed, and no more.
 *
 *   C1 What is decided can always be completed: before an alternative is offered it is looked
 *      whether some legal set agrees with it and breaks no clause. Without clauses every open item
 *      can go either way, so one clause alone is kept by any of its open literals; several may
 *      share items, so it is a search, over literals, with the lattice doing the propagation.
 *   C2 The search has a bound. Beyond it image->gave_up is set, and what follows proves nothing. */
#include "inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "powercut/verdict.h"

#define SEARCH_STEPS 4000u

void clauses_free(struct pc_image *image)
{
    free(image->literals);
    free(image->clauses);
    free(image->marks);
    free(image->saved);
}

void clause_add(struct pc_image *image, const uint32_t *literals, uint32_t count)
{
    if (image->literal_count + count > image->literal_room) {
        image->literal_room = (image->literal_count + count) * 2;
        image->literals = realloc(image->literals, image->literal_room * sizeof *image->literals);
        must(image->literals != NULL);
    }
    if (image->clause_count == image->clause_room) {
        image->clause_room = image->clause_room ? image->clause_room * 2 : 16;
        image->clauses = realloc(image->clauses, image->clause_room * sizeof *image->clauses);
        must(image->clauses != NULL);
    }
    image->clauses[image->clause_count++] = (struct clause){image->literal_count, count};
    memcpy(image->literals + image->literal_count, literals, count * sizeof *literals);
    image->literal_count += count;
}

/* ---- going back ---- */

static uint32_t first_node(const struct pc_image *image)
{
    return image->item_count ? image->items[0] : image->node_count;
}

static uint8_t *push(struct pc_image *image)
{
    uint32_t first = first_node(image), size = image->node_count - first;
    uint8_t *at;

    if (image->saved_used + size > image->saved_room) {
        image->saved_room = (image->saved_used + size) * 2 + 256;
        image->saved = realloc(image->saved, image->saved_room);
        must(image->saved != NULL);
    }
    at = image->saved + image->saved_used;
    memcpy(at, image->state + first, size);
    image->saved_used += size;
    return at;
}

void image_save(struct pc_image *image)
{
    push(image);
}

void image_restore(struct pc_image *image)
{
    uint32_t first = first_node(image), size = image->node_count - first;

    must(image->saved_used >= size);
    image->saved_used -= size;
    memcpy(image->state + first, image->saved + image->saved_used, size);
    image->changes++;
}

static void forget(struct pc_image *image)
{
    image->saved_used -= image->node_count - first_node(image);
}

/* ---- literals ---- */

enum truth { OPEN, TRUE, FALSE };

static enum truth truth_of(const struct pc_image *image, uint32_t literal)
{
    uint8_t state = image->state[image->items[literal >> 1]];

    if (state == NODE_OPEN)
        return OPEN;
    return (state == NODE_IN) == (literal & 1) ? TRUE : FALSE;
}

bool literals_set(struct pc_image *image, const uint32_t *literals, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!pc_image_set(image, literals[i] >> 1, literals[i] & 1))
            return false;
    return true;
}

uint32_t literals_cost(const struct pc_image *image, const uint32_t *literals, uint32_t count)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++)
        n += (literals[i] >> 1 < image->pole) != (literals[i] & 1);
    return n;
}

bool image_needs(struct pc_image *image, uint32_t other, uint32_t item)
{
    uint32_t head = 0, tail = 0;

    for (uint32_t e = image->before_at[other]; e < image->before_at[other + 1]; e++)
        if (image->before[e] == item)
            return true;
    if (other <= item)
        return other == item;
    if (image->marks == NULL) {
        image->marks = calloc((size_t)image->item_count + 1, sizeof *image->marks);
        must(image->marks != NULL);
    }
    image->mark++;
    image->queue[tail++] = other;
    while (head < tail) {
        uint32_t i = image->queue[head++];

        for (uint32_t e = image->before_at[i]; e < image->before_at[i + 1]; e++) {
            uint32_t b = image->before[e];

            if (b == item)
                return true;
            if (b > item && image->marks[b] != image->mark) {
                image->marks[b] = image->mark;
                image->queue[tail++] = b;
            }
        }
    }
    return false;
}

/* ---- the search ---- */

/* A clause that nothing decided keeps yet; NONE: all are kept. *broken: all its literals hold. */
static uint32_t open_clause(const struct pc_image *image, bool *broken)
{
    *broken = false;
    for (uint32_t c = 0; c < image->clause_count; c++) {
        const struct clause *clause = &image->clauses[c];
        uint32_t open = 0;
        bool kept = false;

        for (uint32_t i = 0; !kept && i < clause->count; i++) {
            enum truth truth = truth_of(image, image->literals[clause->first + i]);

            kept = truth == FALSE;
            open += truth == OPEN;
        }
        if (kept)
            continue;
        *broken = open == 0;
        return c;
    }
    return NONE;
}

/* Decides so that every clause is kept whatever is still open. Lost items are tried first: what is
 * undefined or old shows more. On false the states are as before. */
static bool comply(struct pc_image *image, uint32_t *steps)
{
    bool broken;
    uint32_t c = open_clause(image, &broken);

    if (c == NONE)
        return true;
    if (broken)
        return false;
    if (++*steps > SEARCH_STEPS) {
        image->gave_up = true;
        return false;
    }
    for (uint32_t kept = 0; kept < 2; kept++)
        for (uint32_t i = 0; i < image->clauses[c].count; i++) {
            uint32_t literal = image->literals[image->clauses[c].first + i];
            bool agreed;

            if (truth_of(image, literal) != OPEN || (literal & 1) == kept)
                continue;
            push(image);
            agreed = pc_image_set(image, literal >> 1, !(literal & 1));
            if (agreed && comply(image, steps)) {
                forget(image);
                return true;
            }
            image_restore(image);
        }
    return false;
}

bool clauses_possible(struct pc_image *image, const uint32_t *literals, uint32_t count)
{
    uint32_t steps = 0;
    bool possible;

    push(image);
    possible = literals_set(image, literals, count) && comply(image, &steps);
    image_restore(image);
    return possible;
}

void pc_image_comply(struct pc_image *image)
{
    uint32_t steps = 0;
    bool possible = comply(image, &steps);

    must(possible || image->gave_up); /* C1 */
    image->clause_count = image->literal_count = 0;
}

bool pc_image_gave_up(const struct pc_image *image)
{
    return image->gave_up;
}

/* The alternatives are mutually exclusive, and one of them is possible (C1). */
uint32_t clauses_pick(struct pc_image *image, uint32_t n)
{
    uint32_t *items = malloc((size_t)n * 4 * sizeof *items), *which = items + n, possible = 0;
    uint32_t *all = which + n, *costs = all + n;
    size_t chosen = 0;
    uint32_t effect;

    must(items != NULL);
    image_costs(image, image->alternatives, n, all);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t item = image->alternatives[i];
        bool agreed = true;

        push(image);
        for (uint32_t j = 0; agreed && j < i; j++)
            agreed = pc_image_set(image, image->alternatives[j], false);
        if (agreed && item != PC_ITEM_NONE)
            agreed = pc_image_set(image, item, true);
        agreed = agreed && clauses_possible(image, NULL, 0);
        image_restore(image);
        if (!agreed)
            continue;
        items[possible] = item;
        costs[possible] = image->measured ? all[i] : 0;
        which[possible++] = i;
    }
    must(possible > 0 || image->gave_up);
    if (image->chooser && possible > 1) {
        struct pc_choice choice = {possible, items, 0, image->measured ? costs : NULL};

        chosen = image->chooser->choose(image->chooser->ctx, &choice);
        must(chosen < possible);
    }
    chosen = possible ? which[chosen] : 0;
    free(items);
    effect = image->alternative_effects[chosen];
    image_decide(image, chosen);
    return effect;
}
