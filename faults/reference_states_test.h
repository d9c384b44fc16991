/* reference_states_test.h (private): the other half of the second reading (reference_test.h): which
 * sets of micro-ops are legal, and what tree each of them makes. */
#ifndef FAULTS_REFERENCE_STATES_TEST_H
#define FAULTS_REFERENCE_STATES_TEST_H

#include "reference_test.h"

/* ---- the reference: images ---- */

static size_t text_bytes(char *out, size_t at, const uint8_t *bytes, int size)
{
    for (int i = 0; i < size; i++)
        out[at++] = (char)(bytes[i] ? bytes[i] : '.');
    return at;
}

static size_t text_tree(const struct file *files, const struct name *names, int count, int dir,
                        const char *prefix, char *out, size_t at)
{
    for (char letter = 'a'; letter <= 'z'; letter++)
        for (int i = 0; i < count; i++) {
            const struct file *file;

            if (names[i].dir != dir || names[i].name != letter || names[i].ino < 0)
                continue;
            file = &files[names[i].ino];
            at += (size_t)snprintf(out + at, TEXT_MAX - at, "%s%c%c", prefix, letter,
                                   file->dir ? '/' : '=');
            if (file->link) {
                at += (size_t)snprintf(out + at, TEXT_MAX - at, "@%c;", file->link);
            } else if (file->dir) {
                char below[8];

                must(prefix[0] == '\0');
                snprintf(below, sizeof below, "%c/", letter);
                out[at++] = ';';
                at = text_tree(files, names, count, names[i].ino, below, out, at);
            } else {
                at = text_bytes(out, at, file->bytes, file->size);
                out[at++] = ';';
            }
        }
    out[at] = '\0';
    must(at < TEXT_MAX);
    return at;
}

static void ref_volatile_text(const struct ref *ref, char *out)
{
    text_tree(ref->files, ref->names, ref->name_count, 0, "", out, 0);
}

/* A file being read from an image: what each unit holds. */
struct folded {
    struct file file;
    int base_size;
    int have[BYTES_MAX];
    int mapped_by[BYTES_MAX]; /* per block: the change */
    bool never[BYTES_MAX];    /* per unit: mapped and never written */
    uint8_t bytes[BYTES_MAX][4];
};

static void fold_change(const struct ref *ref, const struct change *c, struct folded *f)
{
    switch (c->kind) {
    case PC_ITEM_SIZE:
        if (c->size > f->file.size)
            f->file.size = c->size;
        break;
    case PC_ITEM_TRUNCATE:
        f->file.size = c->size;
        for (int b = (c->size + ref->block - 1) / ref->block; c->shrinks && b < BYTES_MAX; b++)
            f->file.incarnation[b] = 0;
        for (int u = (c->size + ref->unit - 1) / ref->unit;
             c->shrinks && !ref->journal && u < BYTES_MAX; u++)
            f->have[u] = 0;
        break;
    case PC_ITEM_MAP:
        f->file.incarnation[c->unit] = c->incarnation;
        f->mapped_by[c->unit] = (int)(c - ref->changes);
        break;
    case PC_ITEM_DATA:
        f->have[c->unit] = c->len;
        memcpy(f->bytes[c->unit], c->bytes, 4);
        break;
    case PC_ITEM_NAME:
        break;
    }
}

/* Journalled: the newest durable data of the incarnation that is mapped now. */
static void journal_unit(const struct ref *ref, mask in, int ino, int u, struct folded *f)
{
    int incarnation = f->file.incarnation[u * ref->unit / ref->block];
    int have = incarnation == BASE ? f->base_size - u * ref->unit : 0;
    int since = incarnation == BASE ? 0 : f->mapped_by[block_of(ref, u)];

    f->never[u] = incarnation != BASE && incarnation != 0;
    f->have[u] = have < 0 ? 0 : have;
    if (f->have[u] > 0)
        memcpy(f->bytes[u], ref->base[ino].bytes + u * ref->unit, (size_t)ref->unit);
    for (int m = 0; m < ref->micro_count && incarnation != 0; m++)
        for (int i = 0; (in >> m & 1) && i < ref->micros[m].count; i++) {
            const struct change *c = &ref->changes[ref->micros[m].first + i];

            if (c->ino != ino)
                continue;
            if (c->kind == PC_ITEM_DATA && c->unit == u && c->incarnation == incarnation) {
                fold_change(ref, c, f);
                f->never[u] = false;
            }
            if (c->kind == PC_ITEM_TRUNCATE && c->shrinks && u * ref->unit >= c->size &&
                c >= ref->changes + since) {
                f->have[u] = 0;
                f->never[u] = false;
            }
        }
}

static void fold_file(const struct ref *ref, mask in, int ino, struct file *out)
{
    struct folded f = {0};

    if (ino < ref->base_count)
        f.file = ref->base[ino];
    f.base_size = f.file.size;
    for (int u = 0; u * ref->unit < f.base_size; u++) {
        f.have[u] =
            f.base_size - u * ref->unit < ref->unit ? f.base_size - u * ref->unit : ref->unit;
        memcpy(f.bytes[u], f.file.bytes + u * ref->unit, (size_t)ref->unit);
    }
    for (int m = 0; m < ref->micro_count; m++)
        for (int i = 0; (in >> m & 1) && i < ref->micros[m].count; i++) {
            const struct change *c = &ref->changes[ref->micros[m].first + i];

            if (c->kind != PC_ITEM_NAME && c->ino == ino)
                fold_change(ref, c, &f);
        }
    f.file.dir = ref->files[ino].dir;
    f.file.link = ref->files[ino].link;
    for (int u = 0; u * ref->unit < f.file.size; u++) {
        if (ref->journal)
            journal_unit(ref, in, ino, u, &f);
        for (int i = 0; i < ref->unit && u * ref->unit + i < f.file.size; i++)
            f.file.bytes[u * ref->unit + i] =
                i < f.have[u]
                    ? f.bytes[u][i]
                    : (uint8_t)(ref->undefined || (ref->writeback && f.never[u]) ? '?' : 0);
    }
    *out = f.file;
}

static void ref_image(const struct ref *ref, mask in, char *out)
{
    static struct file files[INODES_MAX];
    struct name names[64];
    int count = ref->base_name_count;

    memcpy(names, ref->base_names, sizeof names);
    for (int m = 0; m < ref->micro_count; m++)
        for (int i = 0; (in >> m & 1) && i < ref->micros[m].count; i++) {
            const struct change *c = &ref->changes[ref->micros[m].first + i];
            int n = 0;

            if (c->kind != PC_ITEM_NAME)
                continue;
            while (n < count && (names[n].dir != c->dir || names[n].name != c->name))
                n++;
            names[n] = (struct name){c->dir, c->to, c->name};
            if (n == count)
                count++;
        }
    for (int i = 0; i < ref->file_count; i++)
        fold_file(ref, in, i, &files[i]);
    text_tree(files, names, count, 0, "", out, 0);
}

/* What precedes each micro-op, directly or not. */
static void close_needs(const struct ref *ref, mask all[NODES_MAX])
{
    for (int m = 0; m < ref->micro_count; m++) {
        all[m] = ref->micros[m].needs;
        for (int i = 0; i < m; i++)
            if (ref->micros[m].needs >> i & 1)
                all[m] |= all[i];
    }
}

/* The sets of the first `end` micro-ops that contain what calls before k forced and, with each
 * other one, all that precedes it. */
static void ref_sets(const struct ref *ref, const mask *before, int k, int end, int micro, mask in,
                     struct set *out)
{
    char text[TEXT_MAX];

    if (micro == end) {
        ref_image(ref, in, text);
        set_add(out, text);
        return;
    }
    if (ref->micros[micro].forced_at < k) {
        ref_sets(ref, before, k, end, micro + 1, in | (mask)1 << micro, out);
        return;
    }
    ref_sets(ref, before, k, end, micro + 1, in, out);
    for (int m = 0; m < micro; m++)
        if ((before[micro] >> m & 1) && !(in >> m & 1))
            return;
    ref_sets(ref, before, k, end, micro + 1, in | (mask)1 << micro, out);
}

/* ---- the reference: btrfs, by its definition: transactions P and logs G ---- */

#define MASKS_MAX (1u << 20)

struct masks {
    mask *items;
    size_t count, room;
};

static void masks_add(struct masks *masks, mask m)
{
    if (masks->count == masks->room) {
        masks->room = masks->room ? masks->room * 2 : 64;
        masks->items = realloc(masks->items, masks->room * sizeof *masks->items);
        must(masks->items != NULL);
    }
    masks->items[masks->count++] = m;
    must(masks->count <= MASKS_MAX);
}

static int by_mask(const void *a, const void *b)
{
    mask x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static void masks_unique(struct masks *masks)
{
    size_t n = 0;

    if (masks->count)
        qsort(masks->items, masks->count, sizeof *masks->items, by_mask);
    for (size_t i = 0; i < masks->count; i++)
        if (i == 0 || masks->items[i] != masks->items[i - 1])
            masks->items[n++] = masks->items[i];
    masks->count = n;
}

/* B2: is some data of the file in `in`, mapped, and not forced before the call of this size? */
static bool goes_with_data(const struct ref *ref, mask in, int size)
{
    for (int d = 0; d < ref->micro_count; d++) {
        const struct change *data = &ref->changes[ref->micros[d].first];
        bool mapped = data->incarnation == BASE;

        if (!(in >> d & 1) || data->kind != PC_ITEM_DATA ||
            data->ino != ref->changes[ref->micros[size].first].ino ||
            ref->micros[d].forced_at < ref->micros[size].call)
            continue;
        for (int m = 0; m < ref->micro_count && !mapped; m++) {
            const struct change *map = &ref->changes[ref->micros[m].first];

            mapped = (in >> m & 1) && map->kind == PC_ITEM_MAP && map->ino == data->ino &&
                     map->incarnation == data->incarnation;
        }
        if (mapped)
            return true;
    }
    return false;
}

static bool is_possible(const struct ref *ref, mask in)
{
    for (int m = 0; m < ref->micro_count; m++) {
        if (ref->micros[m].add_half && ((in >> m & 1) != (in >> (m + 1) & 1)))
            return false;
        if ((in >> m & 1) && ref->changes[ref->micros[m].first].kind == PC_ITEM_SIZE &&
            !goes_with_data(ref, in, m))
            return false;
    }
    return true;
}

/* All P. Data and mappings that are forced are taken as soon as they may be: the union with G is
 * the same, and B2 only gains. A forced size is left out: the union has it, and B2 has one less. */
static void transactions(const struct ref *ref, int k, int end, int micro, mask in,
                         struct masks *out)
{
    enum pc_item_kind kind;
    bool may = micro < end && (ref->micros[micro].needs & ~in) == 0, forced;

    if (micro == end) {
        if (is_possible(ref, in))
            masks_add(out, in);
        return;
    }
    kind = ref->changes[ref->micros[micro].first].kind;
    forced = ref->micros[micro].forced_at < k;
    if (!may || !forced || (kind != PC_ITEM_DATA && kind != PC_ITEM_MAP))
        transactions(ref, k, end, micro + 1, in, out);
    if (may && !(forced && kind == PC_ITEM_SIZE))
        transactions(ref, k, end, micro + 1, in | (mask)1 << micro, out);
}

static bool is_logged(const struct ref *ref, int k, int dir)
{
    if (ref->synced_at[dir] < k)
        return true;
    for (int c = 0; c < ref->change_count; c++)
        if (ref->changes[c].kind == PC_ITEM_NAME && ref->changes[c].dir == dir &&
            ref->micros[micro_of(ref, c)].forced_at < k)
            return true;
    return false;
}

static mask dependences(const struct ref *ref, int micro)
{
    mask all = (mask)1 << micro;

    for (int i = 0; i < micro; i++)
        if (depends(ref, micro, i))
            all |= dependences(ref, i);
    return all;
}

/* All G: what was forced, and any names in logged directories with what they depend on. */
static void logs(const struct ref *ref, int k, struct masks *out)
{
    mask forced = 0;

    for (int m = 0; m < ref->micro_count; m++)
        if (ref->micros[m].forced_at < k)
            forced |= (mask)1 << m;
    masks_add(out, forced);
    for (int m = 0; m < ref->calls_micros[k]; m++) {
        const struct micro *micro = &ref->micros[m];
        size_t n = out->count;
        bool may = false;

        for (int c = micro->first; c < micro->first + micro->count; c++)
            may |= ref->changes[c].kind == PC_ITEM_NAME && is_logged(ref, k, ref->changes[c].dir);
        for (size_t i = 0; may && i < n; i++)
            masks_add(out, out->items[i] | dependences(ref, m));
        masks_unique(out);
    }
}

static void ref_btrfs(const struct ref *ref, int k, int end, struct set *out)
{
    struct masks p = {0}, g = {0}, all = {0};
    char text[TEXT_MAX];

    transactions(ref, k, end, 0, 0, &p);
    logs(ref, k, &g);
    for (size_t i = 0; i < p.count; i++)
        for (size_t j = 0; j < g.count; j++)
            masks_add(&all, p.items[i] | g.items[j]);
    masks_unique(&all);
    for (size_t i = 0; i < all.count; i++) {
        ref_image(ref, all.items[i], text);
        set_add(out, text);
    }
    free(p.items);
    free(g.items);
    free(all.items);
}

/* The states of a cut after k calls. */
static void ref_states_of(const struct ref *ref, int k, int end, struct set *out)
{
    mask before[NODES_MAX];

    close_needs(ref, before);
    if (ref->btrfs)
        ref_btrfs(ref, k, end, out);
    else
        ref_sets(ref, before, k, end, 0, 0, out);
}

static void ref_states(const struct ref *ref, int k, struct set *out)
{
    if (ref->model == PC_PROCESS_KILL)
        set_add(out, ref->volatile_text[k]);
    else
        ref_states_of(ref, k, ref->calls_micros[k], out);
}

/* Of a cut inside call k, before it has forced anything. */
static void ref_states_inside(const struct ref *ref, int k, struct set *out)
{
    if (ref->model == PC_PROCESS_KILL)
        set_add(out, ref->volatile_text[k + 1]);
    else
        ref_states_of(ref, k, ref->calls_micros[k + 1], out);
}

#endif
