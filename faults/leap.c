/* leap.c: legal sets that are no lattice: a file system whose log may run ahead of its transactions
 * (btrfs). A legal set is what the last transaction holds, P, and what the log holds on top, G.
 *
 *   P needs what the edges say, and also
 *     B1 has both halves of a rename between directories, or neither;
 *     B2 with the new size of a file has some data of that file: any that is mapped in P and that
 *        no call before the one that changed the size had forced. (Whichever part of a file is
 *        written back first takes the size in memory along.)
 *   G is what was forced, and (B3) any changes of names in *logged* directories that were issued by
 *     the calls which have returned, each with what it depends on. A directory is logged when it
 *     was synced itself, or when a name in it was forced.
 *
 * Such sets are not closed under intersection, but they are under union: a union of two P keeps the
 * edges, the pairs and the data that each size has, and a union of two G is a G. So among the legal
 * sets without certain items there is a largest one, and it decides everything: a choice of lost
 * and kept items can be completed to a legal set if and only if that largest set has all the kept
 * ones. Here, then,
 *
 *   L1 what is open is in the largest legal set without what is lost; all else is lost;
 *   L2 what is open can always be kept; it can be lost if the largest set without it still has all
 *      that is kept. That is found out when somebody asks;
 *   L3 so no choice leads to a dead end, and different answers still exclude each other. */
#include "inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct leap {
    uint8_t *may_log; /* per node: a name in a logged directory, of a call that returned */
    uint8_t *in_p, *closed, *largest; /* per node: scratch of find_largest, and its answer */
    uint8_t *before;                  /* states to go back to; leap_lose */
    uint8_t *asked;                   /* the same; leap_possible and leap_may_lose */
    uint32_t *witness; /* per inode: the newest call that may have issued a size, and 1; 0: none */
    uint32_t inodes;
};

static bool forced(const struct pc_image *image, uint32_t node)
{
    return image->disk->log.nodes[node].forced_at < image->k;
}

static const struct effect *first_effect(const struct pc_image *image, uint32_t node)
{
    const struct log *log = &image->disk->log;

    return &log->effects[log->nodes[node].first_effect];
}

/* ---- the largest legal set ---- */

/* P by the edges and B1. The other half is always the next node, of the same call. */
static void find_ordered(const struct pc_image *image, uint8_t *in_p)
{
    const struct log *log = &image->disk->log;

    for (uint32_t i = 0; i < image->node_count; i++) {
        const struct node *node = &log->nodes[i];
        bool in = image->state[i] != NODE_OUT;

        if (node->add_half)
            in = in && image->state[i + 1] != NODE_OUT;
        for (uint32_t e = 0; in && e < log_edges(log, i); e++) {
            uint32_t before = log->edges[node->first_edge + e];

            in = in_p[before] || !image_orders(image, before);
        }
        for (uint32_t e = 0; image->lie != NONE && in && e < log_effects(log, i); e++) {
            uint32_t prev = log_before(log, node->first_effect + e);

            in = prev == NONE || in_p[log->effects[prev].node];
        }
        in_p[i] = in;
    }
}

/* B2. Nothing needs a size, so taking sizes away takes nothing else along. */
static void take_sizes(const struct pc_image *image, uint8_t *in_p)
{
    const struct log *log = &image->disk->log;
    uint32_t *witness = image->leap->witness;

    memset(witness, 0, image->leap->inodes * sizeof *witness);
    for (uint32_t i = 0; i < image->node_count; i++) {
        const struct effect *effect = first_effect(image, i);
        uint32_t until = log->nodes[i].forced_at;

        if (effect->kind != PC_ITEM_DATA || !in_p[i] || effect->voided_at < image->k ||
            (effect->mapper != NONE && !in_p[effect->mapper]))
            continue;
        if (until != NEVER)
            until++;
        if (until > witness[effect->ino])
            witness[effect->ino] = until;
    }
    for (uint32_t i = 0; i < image->node_count; i++)
        if (first_effect(image, i)->kind == PC_ITEM_SIZE && image_orders(image, i) &&
            witness[first_effect(image, i)->ino] <= log->nodes[i].call)
            in_p[i] = false;
}

/* G, added to what is in P. `closed`: with all that the node depends on it avoids what is lost. */
static void add_log(const struct pc_image *image, const uint8_t *in_p, uint8_t *closed,
                    uint8_t *out)
{
    const struct log *log = &image->disk->log;

    for (uint32_t i = 0; i < image->node_count; i++) {
        const struct node *node = &log->nodes[i];

        closed[i] = image->state[i] != NODE_OUT;
        for (uint32_t d = 0; closed[i] && d < log_dependences(log, i); d++)
            closed[i] = closed[log->dependences[node->first_dependence + d]];
        out[i] = forced(image, i) || (image->leap->may_log[i] && closed[i]);
    }
    for (uint32_t i = image->node_count; i-- > 0;) {
        const struct node *node = &log->nodes[i];

        for (uint32_t d = 0; out[i] && d < log_dependences(log, i); d++)
            out[log->dependences[node->first_dependence + d]] = true;
    }
    for (uint32_t i = 0; i < image->node_count; i++)
        out[i] |= in_p[i];
}

/* The largest legal set that has nothing of what is lost. */
static const uint8_t *find_largest(const struct pc_image *image)
{
    struct leap *leap = image->leap;

    find_ordered(image, leap->in_p);
    take_sizes(image, leap->in_p);
    add_log(image, leap->in_p, leap->closed, leap->largest);
    return leap->largest;
}

/* ---- made with an image ---- */

static void find_logged(struct pc_image *image, uint8_t *logged)
{
    const struct pc_disk *disk = image->disk;
    const struct log *log = &disk->log;

    for (uint32_t i = 0; i < disk->inode_count; i++)
        logged[i] = disk->inodes[i] && disk->inodes[i]->synced_at < image->k;
    for (uint32_t i = 0; i < image->node_count; i++)
        for (uint32_t e = 0; forced(image, i) && e < log_effects(log, i); e++) {
            const struct effect *effect = &log->effects[log->nodes[i].first_effect + e];

            if (effect->kind == PC_ITEM_NAME)
                logged[effect->unit] = true;
        }
}

static void find_may_log(struct pc_image *image, const uint8_t *logged)
{
    const struct log *log = &image->disk->log;

    for (uint32_t i = 0; i < image->node_count; i++) {
        image->leap->may_log[i] = false;
        for (uint32_t e = 0; e < log_effects(log, i) && log->nodes[i].call < image->k; e++) {
            const struct effect *effect = &log->effects[log->nodes[i].first_effect + e];

            if (effect->kind == PC_ITEM_NAME && logged[effect->unit])
                image->leap->may_log[i] = true;
        }
    }
}

void leap_new(struct pc_image *image)
{
    struct leap *leap = calloc(1, sizeof *leap);
    size_t n = (size_t)image->node_count + 1;
    uint8_t *logged = calloc(image->disk->inode_count, 1);
    uint8_t *bytes = calloc(n, 6);
    const uint8_t *largest;

    must(leap != NULL && logged != NULL && bytes != NULL);
    image->leap = leap;
    leap->may_log = bytes;
    leap->in_p = bytes + n;
    leap->closed = bytes + 2 * n;
    leap->largest = bytes + 3 * n;
    leap->before = bytes + 4 * n;
    leap->asked = bytes + 5 * n;
    leap->inodes = image->disk->inode_count;
    leap->witness = calloc(leap->inodes, sizeof *leap->witness);
    must(leap->witness != NULL);
    find_logged(image, logged);
    find_may_log(image, logged);
    free(logged);
    memcpy(image->state, image->initial, image->node_count);
    largest = find_largest(image);
    for (uint32_t i = 0; i < image->item_count; i++)
        if (!largest[image->items[i]])
            image->initial[image->items[i]] = NODE_OUT;
}

void leap_free(struct leap *leap)
{
    if (leap == NULL)
        return;
    free(leap->may_log);
    free(leap->witness);
    free(leap);
}

/* ---- decisions ---- */

bool leap_lose(struct pc_image *image, uint32_t item)
{
    const uint8_t *largest;

    must(image->state[image->items[item]] == NODE_OPEN);
    memcpy(image->leap->before, image->state, image->node_count);
    image->state[image->items[item]] = NODE_OUT;
    largest = find_largest(image);
    for (uint32_t i = 0; i < image->item_count; i++) {
        uint8_t *state = &image->state[image->items[i]];

        if (largest[image->items[i]])
            continue;
        if (*state == NODE_IN) {
            memcpy(image->state, image->leap->before, image->node_count);
            return false;
        }
        *state = NODE_OUT;
    }
    return true;
}

bool leap_may_lose(struct pc_image *image, uint32_t item)
{
    bool may;

    memcpy(image->leap->asked, image->state, image->node_count);
    may = leap_lose(image, item);
    memcpy(image->state, image->leap->asked, image->node_count);
    return may;
}

uint32_t leap_possible(struct pc_image *image, uint32_t *alternatives, uint32_t *effects,
                       uint32_t n)
{
    uint32_t possible = 0;

    memcpy(image->leap->asked, image->state, image->node_count);
    for (uint32_t i = 0; i < n; i++) {
        if (alternatives[i] != PC_ITEM_NONE &&
            image->state[image->items[alternatives[i]]] == NODE_OUT)
            continue; /* lost with one before it */
        alternatives[possible] = alternatives[i];
        effects[possible++] = effects[i];
        if (alternatives[i] != PC_ITEM_NONE && !leap_lose(image, alternatives[i]))
            break; /* it is there if those before it are not */
    }
    memcpy(image->state, image->leap->asked, image->node_count);
    return possible;
}
