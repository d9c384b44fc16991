/* candidate.c: what a unit may still hold, each content with what must be true for it. A content
 * is told by the newest durable mapping of the block and the newest durable data of the unit.
 * Nothing is decided here.
 *
 * Data of one unit is durable in order, so that "version 2, 3 or 4" mostly is two statements: what
 * made version 5 is lost, what made version 2 is kept. Versions that are not related so are never
 * put together. */
#include "inner.h"

#include <stdlib.h>

#include "base/check.h"

void versions_free(struct versions *versions)
{
    free(versions->list);
    free(versions->literals);
    *versions = (struct versions){0};
}

static void literal_add(struct versions *out, uint32_t literal)
{
    if (out->literal_count == out->literal_room) {
        out->literal_room = out->literal_room ? out->literal_room * 2 : 64;
        out->literals = realloc(out->literals, out->literal_room * sizeof *out->literals);
        must(out->literals != NULL);
    }
    out->literals[out->literal_count++] = literal;
}

static struct version *version_new(struct versions *out)
{
    if (out->count == out->room) {
        out->room = out->room ? out->room * 2 : 32;
        out->list = realloc(out->list, out->room * sizeof *out->list);
        must(out->list != NULL);
    }
    out->list[out->count] = (struct version){.item = NONE};
    return &out->list[out->count++];
}

/* "The first n of items are lost", without what follows from the rest of it. */
static void add_lost(struct pc_image *image, struct versions *out, const uint32_t *items,
                     uint32_t n)
{
    uint32_t first = out->literal_count;

    for (uint32_t i = n; i-- > 0;) {
        bool follows = false;

        for (uint32_t l = first; !follows && l < out->literal_count; l++)
            follows = image_needs(image, items[i], out->literals[l] >> 1);
        if (!follows)
            literal_add(out, LITERAL(items[i], 0));
    }
}

/* The call that an effect came with, plus one. */
static uint32_t moment_of(const struct pc_image *image, uint32_t e)
{
    const struct log *log = &image->disk->log;

    return e == NONE ? 0 : log->nodes[log->effects[e].node].call + 1;
}

/* The data versions under one mapping, whose literals are already there. */
static void add_data(struct pc_image *image, uint32_t ino, uint32_t index,
                     const struct mapped *mapped, uint32_t map_first, struct arena *arena,
                     struct versions *out)
{
    uint32_t map_count = out->literal_count - map_first, n = 0, last = NONE, items[2], *list;
    bool seen = image->undefined_seen;

    if (!mapped->hole)
        n = image_gather(image, image_unit_walk(image, ino, index, mapped), &last);
    list = n < 2 ? items : malloc((n + 1) * sizeof *list);
    must(list != NULL);
    for (uint32_t i = 0; i < n; i++)
        list[i] = image->alternatives[i];
    for (uint32_t i = 0; i <= n; i++) {
        uint32_t e = i < n ? image->alternative_effects[i] : last, first = out->literal_count;
        struct version *version;

        add_lost(image, out, list, i);
        version = version_new(out);
        version->map_first = map_first;
        version->map_count = map_count;
        version->newer_first = first;
        version->newer_count = out->literal_count - first;
        version->item = i < n ? list[i] : NONE;
        version->merges = i < n && (i + 1 == n || image_needs(image, list[i], list[i + 1]));
        version->moment = moment_of(image, e);
        if (mapped->since && moment_of(image, mapped->since) > version->moment)
            version->moment = moment_of(image, mapped->since);
        image->undefined_seen = false;
        version->content = image_unit_content(image, ino, index, mapped, e, arena);
        version->undefined = image->undefined_seen;
    }
    image->undefined_seen = seen;
    if (list != items)
        free(list);
}

void versions_add(struct pc_image *image, uint32_t ino, uint32_t index, struct arena *arena,
                  struct versions *out)
{
    struct mapped mapped = {.incarnation = ANY};
    uint32_t n = 0, last = NONE, *list, *effects;
    struct chains walk;

    if (!image->disk->rules->journal) {
        add_data(image, ino, index, &mapped, out->literal_count, arena, out);
        return;
    }
    if (image_map_walk(image, ino, index, &walk))
        n = image_gather(image, walk, &last);
    if (n == 0) {
        mapped = image_mapped_by(image, ino, index, last);
        add_data(image, ino, index, &mapped, out->literal_count, arena, out);
        return;
    }
    list = malloc((size_t)n * 2 * sizeof *list);
    must(list != NULL);
    effects = list + n;
    for (uint32_t i = 0; i < n; i++) {
        list[i] = image->alternatives[i];
        effects[i] = image->alternative_effects[i];
    }
    for (uint32_t i = 0; i <= n; i++) {
        uint32_t first = out->literal_count;

        add_lost(image, out, list, i);
        if (i < n)
            literal_add(out, LITERAL(list[i], 1));
        image_save(image);
        if (literals_set(image, out->literals + first, out->literal_count - first)) {
            mapped = image_mapped_by(image, ino, index, i < n ? effects[i] : last);
            add_data(image, ino, index, &mapped, first, arena, out);
        }
        image_restore(image);
    }
    free(list);
}

uint32_t version_run(const struct versions *versions, uint32_t first, uint32_t last,
                     uint32_t *literals)
{
    const struct version *newest = &versions->list[first], *oldest = &versions->list[last];
    uint32_t n = 0;

    for (uint32_t i = 0; i < newest->map_count; i++)
        literals[n++] = versions->literals[newest->map_first + i];
    for (uint32_t i = 0; i < newest->newer_count; i++)
        literals[n++] = versions->literals[newest->newer_first + i];
    if (oldest->item != NONE)
        literals[n++] = LITERAL(oldest->item, 1);
    return n;
}
