/* reference_test.h (private): a second reading of the rules, for tests.
 *
 * It knows nothing of the disk: it cracks calls itself, with its own orders and forced sets,
 * enumerates every legal set of micro-ops by brute force and folds each into a tree (that half is
 * in reference_states_test.h). It never leaves out a write of equal content and never looks lazily,
 * so a comparison also shows that those two economies of the disk lose nothing. What one micro-op
 * depends on is a relation of two, not a chain; the sets of btrfs are made from its definition. It
 * is slow and small on purpose: at most 120 micro-ops, files of at most 64 bytes, names of one
 * letter, directories in the root only.
 *
 * A state is a text "a=xx..;d/;d/a=?;", '.' for a zero byte, '?' for an undefined one. */
#ifndef FAULTS_REFERENCE_TEST_H
#define FAULTS_REFERENCE_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "powercut/disk.h"

#define BYTES_MAX  64
#define INODES_MAX 24
#define NODES_MAX  120 /* bits of a mask */
#define NODES_FULL 60  /* stop adding calls; one adds at most 60 */
#define CALLS_MAX  24
#define TEXT_MAX   1024

typedef unsigned __int128 mask;

/* ---- sets of texts ---- */

struct set {
    char **items;
    size_t count, room;
};

static void set_add(struct set *set, const char *text)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(set->items[middle], text);

        if (order == 0)
            return;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (set->count == set->room) {
        set->room = set->room ? set->room * 2 : 16;
        set->items = realloc(set->items, set->room * sizeof *set->items);
        must(set->items != NULL);
    }
    memmove(set->items + low + 1, set->items + low, (set->count - low) * sizeof *set->items);
    set->items[low] = strdup(text);
    set->count++;
}

static void set_add_all(struct set *set, const struct set *other)
{
    for (size_t i = 0; i < other->count; i++)
        set_add(set, other->items[i]);
}

static void set_release(struct set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->items[i]);
    free(set->items);
    *set = (struct set){0};
}

/* Is `text` one of what `pattern` stands for? '?' is any byte. */
static bool covers(const char *pattern, const char *text)
{
    while (*pattern && *text && (*pattern == *text || *pattern == '?')) {
        pattern++;
        text++;
    }
    return *pattern == *text;
}

static const char *first_uncovered(const struct set *small, const struct set *large)
{
    for (size_t i = 0; i < small->count; i++) {
        bool found = false;

        for (size_t j = 0; j < large->count && !found; j++)
            found = covers(large->items[j], small->items[i]);
        if (!found)
            return small->items[i];
    }
    return NULL;
}

/* ---- operations by name ---- */

enum op_kind {
    OP_CREATE,
    OP_MKDIR,
    OP_WRITE,
    OP_APPEND,
    OP_TRUNCATE,
    OP_ALLOCATE,
    OP_PUNCH,
    OP_ZERO,
    OP_LINK,
    OP_UNLINK,
    OP_RMDIR,
    OP_RENAME,
    OP_FSYNC,
    OP_FDATASYNC,
    OP_SYNC_DIR,
    OP_SYNC_ALL,
    OP_SYNC_RANGE,
    OP_STORE,
    OP_MSYNC,
    OP_SYMLINK,
    OP_KINDS
};

static const char *const op_names[OP_KINDS] = {
    "create",   "mkdir",    "write",      "append", "truncate", "allocate", "punch",
    "zero",     "link",     "unlink",     "rmdir",  "rename",   "fsync",    "fdatasync",
    "sync_dir", "sync_all", "sync_range", "store",  "msync",    "symlink"};

struct op {
    enum op_kind kind;
    const char *path, *to;
    int off, len;
    char letter;
    bool dsync, keep_size;
};

static const char *const file_paths[] = {"a", "b", "d/a", "d/b", "e/a"};
static const char *const dir_paths[] = {"d", "e", ""};

/* Chances in 100ths of each kind. */
static const int weights[OP_KINDS] = {8, 3, 18, 9, 8, 2, 3, 2, 3, 6, 1, 9, 8, 5, 6, 1, 1, 3, 2, 2};

static struct op random_op(struct rng *rng, int call)
{
    struct op op = {.letter = (char)('A' + call), .path = file_paths[rng_below(rng, 5)]};
    int dice = (int)rng_below(rng, 100), kind = 0;

    while (dice >= weights[kind])
        dice -= weights[kind++];
    op.kind = (enum op_kind)kind;
    op.to = file_paths[rng_below(rng, 5)];
    op.off = (int)rng_below(rng, 20);
    op.len = 1 + (int)rng_below(rng, rng_chance(rng, 1, 3) ? 14 : 5);
    if (rng_chance(rng, 1, 3))
        op.off &= ~3;
    op.dsync = rng_chance(rng, 1, 8);
    op.keep_size = rng_chance(rng, 1, 3);
    if (op.kind == OP_MKDIR || op.kind == OP_RMDIR)
        op.path = dir_paths[rng_below(rng, 2)];
    if (op.kind == OP_SYNC_DIR)
        op.path = dir_paths[rng_below(rng, 3)];
    if (op.kind == OP_RENAME && rng_chance(rng, 1, 6)) {
        op.path = "d";
        op.to = "e";
    }
    return op;
}

static void op_print(const struct op *op, char *out, size_t size)
{
    snprintf(out, size, "%s %s%s%s off=%d len=%d %c%s", op_names[op->kind],
             op->path[0] ? op->path : "/", op->kind == OP_RENAME || op->kind == OP_LINK ? " " : "",
             op->kind == OP_RENAME || op->kind == OP_LINK ? op->to : "", op->off, op->len,
             op->letter, op->dsync ? " dsync" : "");
}

/* ---- the reference: micro-ops ---- */

struct change {
    enum pc_item_kind kind;
    int ino, unit, incarnation, size, len;
    bool shrinks, unmaps;
    uint8_t bytes[4];
    int dir, to;  /* names: entry `name` of `dir` points to `to` (-1: nothing) */
    int named[2]; /* the inodes that gain, move or lose a name; -1: none */
    int creates;  /* the inode that begins with this name; -1: none */
    char name;
};

struct micro {
    mask needs;
    int call, forced_at, first, count;
    bool add_half; /* the next one is the other half of the rename */
};

struct file {
    bool dir, exists;
    char link; /* a symbolic link: the letter that it holds, from its first name on, for good */
    int links, size;
    uint8_t bytes[BYTES_MAX];
    int incarnation[BYTES_MAX]; /* per block: 0 a hole, BASE from before */
    int defined[BYTES_MAX];     /* per unit: bytes that were ever written, or zeroed by a cut */
};

struct name {
    int dir, ino;
    char name;
};

#define BASE (-1)

struct ref {
    enum pc_model model;
    int unit, block;
    bool journal, steps, split, undefined;
    bool writeback, xfs, btrfs; /* by rules of their own; the first two map by the size */
    bool destroys;              /* a unit that is being written may be undefined as a whole */
    bool has_zeros, has_moves;  /* some call wrote explicit zeros, or moved between directories */
    int synced_at[INODES_MAX];  /* directories: the first call that synced it */
    struct file files[INODES_MAX], base[INODES_MAX];
    int file_count, base_count;
    struct name names[64], base_names[64];
    int name_count, base_name_count;
    struct micro micros[NODES_MAX];
    int micro_count;
    struct change changes[1024];
    int change_count;
    int calls, last_journal, incarnations;
    int calls_micros[CALLS_MAX + 1]; /* micro-ops after so many calls */
    char volatile_text[CALLS_MAX + 1][TEXT_MAX];
};

static void ref_init(struct ref *ref, enum pc_model model, int unit, int block)
{
    memset(ref, 0, sizeof *ref);
    ref->model = model;
    ref->unit = unit;
    ref->block = block;
    ref->writeback = model == PC_EXT4_WRITEBACK;
    ref->xfs = model == PC_XFS;
    ref->btrfs = model == PC_BTRFS;
    ref->journal = model == PC_EXT4_ORDERED || ref->writeback || ref->xfs || ref->btrfs;
    ref->steps = model == PC_PREFIX || model == PC_PROCESS_KILL;
    ref->split = model == PC_POSIX_MIN;
    ref->undefined = !ref->journal;
    ref->last_journal = -1;
    for (int i = 0; i < INODES_MAX; i++)
        ref->synced_at[i] = INT32_MAX;
    ref->files[0] = (struct file){.dir = true, .exists = true, .links = 1};
    ref->file_count = 1;
}

/* What is there now becomes what was there before. */
static void ref_set_base(struct ref *ref)
{
    for (int i = 0; i < ref->file_count; i++)
        for (int b = 0; b < BYTES_MAX; b++) {
            int within = ref->files[i].size - b * ref->unit;

            ref->files[i].incarnation[b] = ref->files[i].incarnation[b] ? BASE : 0;
            ref->files[i].defined[b] = within < 0 ? 0 : within < ref->unit ? within : ref->unit;
        }
    memcpy(ref->base, ref->files, sizeof ref->files);
    memcpy(ref->base_names, ref->names, sizeof ref->names);
    ref->base_count = ref->file_count;
    ref->base_name_count = ref->name_count;
    ref->micro_count = ref->change_count = ref->calls = 0;
    ref->last_journal = -1;
    for (int i = 0; i < INODES_MAX; i++)
        ref->synced_at[i] = INT32_MAX;
    ref->calls_micros[0] = 0;
}

static void begin(struct ref *ref, bool fresh)
{
    struct micro *micro;

    if (!fresh)
        return;
    must(ref->micro_count < NODES_MAX);
    micro = &ref->micros[ref->micro_count++];
    *micro = (struct micro){.call = ref->calls, .forced_at = INT32_MAX, .first = ref->change_count};
    if (ref->steps && ref->micro_count > 1)
        micro->needs |= (mask)1 << (ref->micro_count - 2);
}

static struct change *change(struct ref *ref, enum pc_item_kind kind, int ino)
{
    struct change *c = &ref->changes[ref->change_count];

    must(ref->change_count < 1024);
    ref->change_count++;
    ref->micros[ref->micro_count - 1].count++;
    *c = (struct change){.kind = kind, .ino = ino, .named = {-1, -1}, .creates = -1};
    return c;
}

static void need(struct ref *ref, int micro)
{
    if (micro >= 0 && micro != ref->micro_count - 1)
        ref->micros[ref->micro_count - 1].needs |= (mask)1 << micro;
}

static int micro_of(const struct ref *ref, int c)
{
    int m = 0;

    while (c >= ref->micros[m].first + ref->micros[m].count)
        m++;
    return m;
}

/* The newest micro-op before this change on the same unit; ext4: of the same incarnation. */
static void need_data(struct ref *ref, const struct change *self)
{
    for (int c = ref->change_count - 2; c >= 0; c--) {
        const struct change *other = &ref->changes[c];

        if (other->kind == PC_ITEM_DATA && other->ino == self->ino && other->unit == self->unit &&
            (!ref->journal || other->incarnation == self->incarnation)) {
            need(ref, micro_of(ref, c));
            return;
        }
    }
}

static void need_size(struct ref *ref, int ino)
{
    if (ref->journal) {
        need(ref, ref->last_journal);
        return;
    }
    for (int c = ref->change_count - 2; c >= 0; c--) {
        const struct change *other = &ref->changes[c];

        if ((other->kind == PC_ITEM_SIZE || other->kind == PC_ITEM_TRUNCATE) && other->ino == ino) {
            need(ref, micro_of(ref, c));
            return;
        }
    }
}

static void data(struct ref *ref, int ino, int unit, int len, bool fresh)
{
    if (len > ref->unit)
        len = ref->unit;
    if (len > ref->files[ino].defined[unit])
        ref->files[ino].defined[unit] = len;
    for (int whole = !ref->destroys; whole < 2; whole++) {
        struct change *c;

        begin(ref, fresh || ref->destroys);
        c = change(ref, PC_ITEM_DATA, ino);
        c->unit = unit;
        c->len = whole ? ref->files[ino].defined[unit] : ref->unit;
        c->incarnation = ref->files[ino].incarnation[unit * ref->unit / ref->block];
        memset(c->bytes, '?', sizeof c->bytes);
        if (whole)
            memcpy(c->bytes, ref->files[ino].bytes + unit * ref->unit, (size_t)ref->unit);
        need_data(ref, c);
    }
}

static void size_grows(struct ref *ref, int ino, int size, bool fresh)
{
    struct change *c;

    begin(ref, fresh);
    c = change(ref, PC_ITEM_SIZE, ino);
    c->size = size;
    need_size(ref, ino);
    ref->files[ino].size = size;
}

static bool zeros(struct ref *ref, int ino, int from, int to, bool partial, bool fresh)
{
    if (ref->journal)
        return fresh;
    ref->has_zeros |= from < to;
    for (int u = from / ref->unit; from < to && u * ref->unit < to; u++) {
        if (!partial && (u + 1) * ref->unit > to)
            break;
        data(ref, ino, u, to - u * ref->unit, fresh);
        if (ref->steps)
            fresh = false;
    }
    return fresh;
}

static void write_flat(struct ref *ref, int ino, int off, int end, char letter)
{
    struct file *file = &ref->files[ino];
    bool fresh = zeros(ref, ino, file->size, off, false, true);

    for (int u = off / ref->unit; u * ref->unit < end; u++) {
        int from = u * ref->unit > off ? u * ref->unit : off;
        int to = (u + 1) * ref->unit < end ? (u + 1) * ref->unit : end;
        int size = to > file->size ? to : file->size;

        memset(file->bytes + from, letter, (size_t)(to - from));
        data(ref, ino, u, size - u * ref->unit, fresh);
        if (to > file->size)
            size_grows(ref, ino, to, !ref->steps);
        fresh = true;
    }
}

static int block_of(const struct ref *ref, int unit)
{
    return unit * ref->unit / ref->block;
}

/* The micro-ops that mapped this incarnation, of those issued before. */
static void need_mapping(struct ref *ref, int ino, int incarnation)
{
    for (int c = 0; c < ref->change_count; c++)
        if (ref->changes[c].kind == PC_ITEM_MAP && ref->changes[c].ino == ino &&
            ref->changes[c].incarnation == incarnation)
            need(ref, micro_of(ref, c));
}

/* The size of a write in block b, whose data is first..after-1; `maps`: and the block with it. */
static void grows(struct ref *ref, int ino, int size, int b, int first, int after, bool maps)
{
    int incarnation = ref->files[ino].incarnation[b];
    struct change *c;

    size_grows(ref, ino, size, true);
    ref->changes[ref->change_count - 1].unit = b;
    ref->changes[ref->change_count - 1].incarnation = incarnation;
    for (int m = first; m < after && ref->xfs; m++)
        need(ref, m);
    if (ref->xfs || ref->writeback)
        need_mapping(ref, ino, incarnation);
    if (maps) {
        c = change(ref, PC_ITEM_MAP, ino);
        c->unit = b;
        c->incarnation = incarnation;
    }
}

static void write_journal(struct ref *ref, int ino, int off, int end, char letter)
{
    struct file *file = &ref->files[ino];

    for (int b = off / ref->block; b * ref->block < end; b++) {
        int from = b * ref->block > off ? b * ref->block : off;
        int to = (b + 1) * ref->block < end ? (b + 1) * ref->block : end;
        int size = to > file->size ? to : file->size;
        bool mapped = file->incarnation[b] != 0, extends = to > file->size;
        bool by_size = extends && (ref->xfs || (ref->writeback && file->size <= b * ref->block));
        int first = ref->micro_count;
        struct change *c;

        memset(file->bytes + from, letter, (size_t)(to - from));
        if (!mapped)
            file->incarnation[b] = ++ref->incarnations;
        for (int u = from / ref->unit; u * ref->unit < to; u++) {
            int len = (u + 1) * ref->unit < to ? ref->unit : size - u * ref->unit;

            data(ref, ino, u, len, true);
        }
        for (int u = b * ref->block / ref->unit; block_of(ref, u) == b; u++)
            if (ref->writeback && !mapped && (u < from / ref->unit || u * ref->unit >= to))
                data(ref, ino, u, 0, true); /* a new block is written whole */
        int after = ref->micro_count;
        if (extends)
            grows(ref, ino, to, b, first, after, !mapped && by_size);
        if (!mapped && !by_size) {
            begin(ref, true);
            c = change(ref, PC_ITEM_MAP, ino);
            c->unit = b;
            c->incarnation = file->incarnation[b];
            need(ref, ref->last_journal);
            for (int m = first; m < after && !ref->writeback; m++)
                need(ref, m);
        }
    }
}

static void set_size(struct ref *ref, int ino, int size, bool fresh)
{
    struct file *file = &ref->files[ino];
    int old = file->size;
    struct change *c;

    begin(ref, fresh);
    c = change(ref, PC_ITEM_TRUNCATE, ino);
    c->size = size;
    c->shrinks = size < old;
    need_size(ref, ino);
    if (ref->journal)
        ref->last_journal = ref->micro_count - 1;
    file->size = size;
    if (size > old) {
        zeros(ref, ino, old, size, true, !ref->steps);
        return;
    }
    memset(file->bytes + size, 0, (size_t)(old - size));
    for (int b = (size + ref->block - 1) / ref->block; b < BYTES_MAX && ref->journal; b++)
        file->incarnation[b] = 0;
    for (int u = (size + ref->unit - 1) / ref->unit; u < BYTES_MAX; u++)
        file->defined[u] = 0;
    if (size % ref->unit && (!ref->journal || file->incarnation[size / ref->block] != 0))
        data(ref, ino, size / ref->unit, ref->unit, !ref->steps);
}

/* Zeros in [off, end). With a journal the blocks that lie in it as a whole are given back, by one
 * micro-op of the journal; a block that the file ends in counts as a whole where the range does not
 * end before the file. What is left of mapped blocks is overwritten. */
static bool punch(struct ref *ref, int ino, int off, int end)
{
    struct file *file = &ref->files[ino];
    bool gone[BYTES_MAX] = {false}, any = false, fresh = true;

    if (off >= file->size)
        return true;
    if (end > file->size)
        end = file->size;
    ref->has_zeros |= !ref->journal;
    memset(file->bytes + off, 0, (size_t)(end - off));
    for (int b = 0; b * ref->block < file->size && ref->journal; b++) {
        int last = (b + 1) * ref->block < file->size ? (b + 1) * ref->block : file->size;

        gone[b] = file->incarnation[b] != 0 && off <= b * ref->block && last <= end;
        any |= gone[b];
    }
    if (any) {
        begin(ref, true);
        need(ref, ref->last_journal);
        ref->last_journal = ref->micro_count - 1;
    }
    for (int b = 0; b < BYTES_MAX; b++)
        if (gone[b]) {
            struct change *c = change(ref, PC_ITEM_MAP, ino);

            c->unit = b;
            c->unmaps = true;
            file->incarnation[b] = 0;
            for (int u = 0; u < BYTES_MAX; u++)
                if (block_of(ref, u) == b)
                    file->defined[u] = 0;
        }
    for (int u = off / ref->unit; u * ref->unit < end; u++) {
        int len = file->size - u * ref->unit;

        if (ref->journal && file->incarnation[block_of(ref, u)] == 0)
            continue;
        data(ref, ino, u, len, fresh);
        if (ref->steps)
            fresh = false;
    }
    return fresh;
}

/* Does the change take blocks from a file? */
static bool is_cut(const struct change *c)
{
    return c->kind == PC_ITEM_TRUNCATE || (c->kind == PC_ITEM_MAP && c->unmaps);
}

/* ---- the reference: names ---- */

static int name_find(const struct ref *ref, int dir, char name)
{
    for (int i = 0; i < ref->name_count; i++)
        if (ref->names[i].dir == dir && ref->names[i].name == name)
            return i;
    return -1;
}

static int name_ino(const struct ref *ref, int dir, char name)
{
    int i = dir < 0 ? -1 : name_find(ref, dir, name);

    return i < 0 ? -1 : ref->names[i].ino;
}

/* "d/a": the directory (-1: none) and the last letter. "": the root itself in *ino. */
static int resolve(const struct ref *ref, const char *path, char *name, int *ino)
{
    int dir = 0;

    *name = path[0];
    if (path[0] == '\0') {
        *ino = 0;
        return 0;
    }
    if (path[1] == '/') {
        dir = name_ino(ref, 0, path[0]);
        if (dir >= 0 && !ref->files[dir].dir)
            dir = -1;
        *name = path[2];
    }
    *ino = name_ino(ref, dir, *name);
    return dir;
}

static void begin_entry(struct ref *ref)
{
    begin(ref, true);
    if (ref->journal) {
        need(ref, ref->last_journal);
        ref->last_journal = ref->micro_count - 1;
    }
}

static void entry(struct ref *ref, int dir, char name, int to, int named, int victim)
{
    struct change *c = change(ref, PC_ITEM_NAME, 0);
    int i = name_find(ref, dir, name);

    c->dir = dir;
    c->name = name;
    c->to = to;
    c->named[0] = named;
    c->named[1] = victim;
    for (int p = ref->change_count - 2; p >= 0 && !ref->journal; p--)
        if (ref->changes[p].kind == PC_ITEM_NAME && ref->changes[p].dir == dir &&
            ref->changes[p].name == name) {
            need(ref, micro_of(ref, p));
            break;
        }
    if (i < 0) {
        must(ref->name_count < 64);
        i = ref->name_count++;
    }
    ref->names[i] = (struct name){dir, to, name};
}

static int add_inode(struct ref *ref, bool dir)
{
    must(ref->file_count < INODES_MAX);
    ref->files[ref->file_count] = (struct file){.dir = dir, .exists = true, .links = 1};
    return ref->file_count++;
}

static void loses_name(struct ref *ref, int ino)
{
    struct file *file = &ref->files[ino];

    if (--file->links == 0 && ref->split && !file->dir && file->size > 0) {
        struct change *c;

        begin(ref, true);
        c = change(ref, PC_ITEM_TRUNCATE, ino);
        c->shrinks = true;
        need_size(ref, ino);
    }
}

static bool is_empty(const struct ref *ref, int dir)
{
    for (int i = 0; i < ref->name_count; i++)
        if (ref->names[i].dir == dir && ref->names[i].ino >= 0)
            return false;
    return true;
}

static bool ref_rename(struct ref *ref, const struct op *op)
{
    char from_name, to_name;
    int ino, victim, from = resolve(ref, op->path, &from_name, &ino);
    int to = resolve(ref, op->to, &to_name, &victim);

    if (from < 0 || to < 0 || ino < 0 || ino == victim || to == ino)
        return false;
    if (victim >= 0 && ref->files[victim].dir != ref->files[ino].dir)
        return false;
    if (victim >= 0 && ref->files[victim].dir && !is_empty(ref, victim))
        return false;
    ref->has_moves |= from != to;
    if (victim >= 0)
        loses_name(ref, victim);
    if (ref->btrfs && from != to) {
        begin_entry(ref);
        ref->micros[ref->micro_count - 1].add_half = true;
        entry(ref, to, to_name, ino, ino, victim);
        begin_entry(ref);
        entry(ref, from, from_name, -1, ino, -1);
    } else if (ref->split) {
        if (victim >= 0) {
            begin_entry(ref);
            entry(ref, to, to_name, -1, victim, -1);
        }
        begin_entry(ref);
        entry(ref, from, from_name, -1, ino, -1);
        begin_entry(ref);
        entry(ref, to, to_name, ino, ino, -1);
    } else {
        begin_entry(ref);
        entry(ref, from, from_name, -1, ino, victim);
        entry(ref, to, to_name, ino, ino, victim);
    }
    return true;
}

/* ---- the reference: what is forced ---- */

/* xfs, btrfs: a name depends on an earlier one, or (xfs) on an earlier truncation. */
static bool name_depends(const struct ref *ref, const struct change *c, const struct change *e)
{
    bool shares = false;

    for (int i = 0; i < 4; i++)
        shares |= c->named[i / 2] >= 0 &&
                  c->named[i / 2] == (e->kind == PC_ITEM_NAME ? e->named[i % 2] : e->ino);
    if (is_cut(e))
        return ref->xfs && shares;
    return e->kind == PC_ITEM_NAME && ((e->dir == c->dir && e->name == c->name) ||
                                       (e->named[0] == c->dir && ref->files[c->dir].dir) ||
                                       (ref->xfs && (shares || e->dir == c->dir)));
}

/* Whether a change depends on an earlier one; `same`: of the same call. */
static bool change_depends(const struct ref *ref, const struct change *c, const struct change *e,
                           bool same)
{
    bool content = e->kind != PC_ITEM_NAME && e->ino == c->ino;

    switch (c->kind) {
    case PC_ITEM_DATA:
        return content && e->kind == PC_ITEM_DATA && e->unit == c->unit &&
               e->incarnation == c->incarnation;
    case PC_ITEM_SIZE:
    case PC_ITEM_MAP:
        if (is_cut(c))
            return (content && is_cut(e)) || e->creates == c->ino;
        if (content && e->kind == PC_ITEM_DATA && same && block_of(ref, e->unit) == c->unit)
            return ref->xfs || c->kind == PC_ITEM_MAP;
        if (content && e->kind == PC_ITEM_MAP && !e->unmaps && e->incarnation == c->incarnation)
            return ref->xfs;
        return (content && is_cut(e)) || e->creates == c->ino;
    case PC_ITEM_TRUNCATE:
        return (content && is_cut(e)) || e->creates == c->ino;
    default:
        return name_depends(ref, c, e);
    }
}

static bool depends(const struct ref *ref, int micro, int on)
{
    const struct micro *m = &ref->micros[micro], *o = &ref->micros[on];

    if (o->add_half && micro == on + 1)
        return true;
    for (int c = m->first; c < m->first + m->count; c++)
        for (int e = o->first; e < o->first + o->count; e++)
            if (change_depends(ref, &ref->changes[c], &ref->changes[e], m->call == o->call))
                return true;
    return false;
}

static void force(struct ref *ref, int micro)
{
    struct micro *m = &ref->micros[micro];

    if (m->forced_at != INT32_MAX)
        return;
    m->forced_at = ref->calls;
    for (int i = 0; i < micro; i++)
        if (ref->xfs || ref->btrfs ? depends(ref, micro, i) : m->needs >> i & 1)
            force(ref, i);
}

static void force_all(struct ref *ref)
{
    for (int m = 0; m < ref->micro_count; m++)
        force(ref, m);
}

static void force_file(struct ref *ref, int ino, bool data_only)
{
    bool names = ref->journal && (!data_only || ref->files[ino].dir);

    if (ref->synced_at[ino] == INT32_MAX)
        ref->synced_at[ino] = ref->calls;
    for (int c = 0; c < ref->change_count; c++) {
        const struct change *change = &ref->changes[c];
        bool wanted = change->kind == PC_ITEM_NAME
                          ? change->dir == ino ||
                                (names && (change->named[0] == ino || change->named[1] == ino))
                          : change->ino == ino;

        if (wanted)
            force(ref, micro_of(ref, c));
    }
}

/* Is the data part of what the file has mapped there now? */
static bool is_current(const struct ref *ref, const struct change *change, int unit)
{
    return !ref->journal ||
           change->incarnation == ref->files[change->ino].incarnation[block_of(ref, unit)];
}

static void force_range(struct ref *ref, int ino, int off, int end)
{
    int size = ref->base_count > ino ? ref->base[ino].size : 0, covering = -1;

    if (off == end)
        return;
    for (int c = 0; c < ref->change_count; c++) {
        const struct change *change = &ref->changes[c];

        if (change->kind == PC_ITEM_NAME || change->ino != ino)
            continue;
        if (change->kind == PC_ITEM_DATA && change->unit >= off / ref->unit &&
            change->unit <= (end - 1) / ref->unit && is_current(ref, change, change->unit))
            force(ref, micro_of(ref, c));
        if (change->kind == PC_ITEM_MAP && !change->unmaps && change->unit >= off / ref->block &&
            change->unit <= (end - 1) / ref->block &&
            change->incarnation == ref->files[ino].incarnation[change->unit])
            force(ref, micro_of(ref, c));
        if (change->kind == PC_ITEM_SIZE || change->kind == PC_ITEM_TRUNCATE) {
            if (size < end && change->size >= end)
                covering = micro_of(ref, c);
            size = change->size;
        }
    }
    if (covering >= 0)
        force(ref, covering);
}

/* ---- the reference: calls ---- */

static bool ref_content(struct ref *ref, const struct op *op, int ino)
{
    struct file *file = &ref->files[ino];
    int off = op->kind == OP_APPEND ? file->size : op->off, end = off + op->len;

    if (file->dir || file->link || end > BYTES_MAX)
        return false;
    switch (op->kind) {
    case OP_STORE:
    case OP_MSYNC:
        if (end > file->size)
            return false;
        if (op->kind == OP_MSYNC) {
            force_range(ref, ino, off, end);
            if (ref->steps)
                force_all(ref);
            return true;
        }
        break;
    case OP_TRUNCATE:
        if (off != file->size)
            set_size(ref, ino, off, true);
        return true;
    case OP_ALLOCATE:
        if (!op->keep_size && end > file->size)
            set_size(ref, ino, end, true);
        return true;
    case OP_PUNCH:
        punch(ref, ino, off, end);
        return true;
    case OP_ZERO: {
        bool fresh = punch(ref, ino, off, end);

        if (!op->keep_size && end > file->size)
            set_size(ref, ino, end, fresh);
        return true;
    }
    default:
        break;
    }
    if (ref->journal)
        write_journal(ref, ino, off, end, op->letter);
    else
        write_flat(ref, ino, off, end, op->letter);
    if (op->dsync && op->kind != OP_STORE) {
        force_range(ref, ino, off, end);
        if (ref->steps)
            force_all(ref);
    }
    return true;
}

static bool ref_name(struct ref *ref, const struct op *op, int dir, char name, int ino)
{
    char to_name;
    int to_ino, to;

    switch (op->kind) {
    case OP_CREATE:
    case OP_MKDIR:
    case OP_SYMLINK:
        if (dir < 0 || ino >= 0)
            return false;
        ino = add_inode(ref, op->kind == OP_MKDIR);
        if (op->kind == OP_SYMLINK)
            ref->files[ino].link = op->letter;
        begin_entry(ref);
        entry(ref, dir, name, ino, ino, -1);
        ref->changes[ref->change_count - 1].creates = ino;
        return true;
    case OP_LINK:
        to = resolve(ref, op->to, &to_name, &to_ino);
        if (ino < 0 || ref->files[ino].dir || to < 0 || to_ino >= 0)
            return false;
        ref->files[ino].links++;
        begin_entry(ref);
        entry(ref, to, to_name, ino, ino, -1);
        return true;
    case OP_UNLINK:
    case OP_RMDIR:
        if (ino < 0 || ref->files[ino].dir != (op->kind == OP_RMDIR))
            return false;
        if (op->kind == OP_RMDIR && !is_empty(ref, ino))
            return false;
        loses_name(ref, ino);
        begin_entry(ref);
        entry(ref, dir, name, -1, ino, -1);
        return true;
    default:
        return ref_rename(ref, op);
    }
}

static bool ref_sync(struct ref *ref, const struct op *op, int ino)
{
    if (op->kind == OP_SYNC_RANGE)
        return true;
    if (op->kind == OP_SYNC_ALL || ref->steps)
        force_all(ref);
    else
        force_file(ref, ino, op->kind == OP_FDATASYNC);
    return true;
}

static void ref_volatile_text(const struct ref *ref, char *out);

/* One call; false: it would fail, and nothing happened. */
static bool ref_perform(struct ref *ref, const struct op *op)
{
    char name;
    int ino, dir = resolve(ref, op->path, &name, &ino);
    bool done;

    if (op->kind == OP_CREATE || op->kind == OP_MKDIR || op->kind == OP_SYMLINK ||
        op->kind == OP_LINK || op->kind == OP_UNLINK || op->kind == OP_RMDIR ||
        op->kind == OP_RENAME)
        done = ref_name(ref, op, dir, name, ino);
    else if (op->kind == OP_SYNC_ALL)
        done = ref_sync(ref, op, 0);
    else if (ino < 0)
        done = false;
    else if (op->kind == OP_FSYNC || op->kind == OP_FDATASYNC || op->kind == OP_SYNC_DIR ||
             op->kind == OP_SYNC_RANGE)
        done = ref_sync(ref, op, ino);
    else
        done = ref_content(ref, op, ino);
    if (done) {
        ref->calls++;
        must(ref->calls <= CALLS_MAX);
        ref->calls_micros[ref->calls] = ref->micro_count;
        ref_volatile_text(ref, ref->volatile_text[ref->calls]);
    }
    return done;
}

#endif
