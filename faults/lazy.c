/* lazy.c: reads that decide nothing, and the questions that come later. See verdict.h.
 *
 *   V1 A buffer holds one possible content of each unit that was copied there. Only bytes that are
 *      announced are put right, and only within what the newest read to that address has filled;
 *      so memory that has found another use is never written to.
 *   V2 Contents that agree in the bytes asked about are one alternative, if "one of them" can be
 *      said by literals (candidate.c); else as many alternatives as it takes.
 *   V3 "It fails" excludes each combination that passes, by a clause each. Combinations of contents
 *      that were not there together at any time are tried when there are few; else they are taken
 *      to fail, unless they look the same as one that was.
 *   V4 What a unit may hold is worked out once, and again when something was decided since. */
#include "inner.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/rng.h"
#include "powercut/verdict.h"

#define ALL_TUPLES  16u   /* so many combinations are all tried */
#define MOST_TUPLES 4096u /* moments; beyond it the bytes are decided one unit after another */
#define MOST_PASSES 64u
#define KNOWN       128u  /* units whose versions are kept, by a hash: a power of two */
#define MOST_KEPT   8192u /* versions kept; then all are worked out anew */

/* Where bytes in memory came from. */
struct source {
    const uint8_t *at;
    uint32_t ino, index, within, len;
};

/* Contents of a unit that one literal set covers. */
struct run {
    uint32_t first, last; /* of the versions */
    uint32_t class;       /* runs of one class read the same in the bytes asked about */
};

/* A unit with bytes in the range that is asked about: [lo, hi) of it, at `at` in memory. */
struct part {
    const uint8_t *at;
    uint32_t ino, index, lo, hi;
    uint32_t first_run, runs, classes;
};

/* A choice of runs that passes, as literals, and the classes that it is made of. */
struct combination {
    uint32_t first, count, tuple;
};

/* V4. The versions of a unit: lazy->versions.list[first], and so on. */
struct known {
    uint32_t ino, index;
    uint32_t era;     /* of another one nothing is left */
    uint64_t changes; /* of the image, when they were worked out */
    uint32_t first, count, literals;
};

struct lazy {
    struct source *sources;
    uint32_t count, room;
    const uint8_t *low, *high; /* all sources lie within */
    struct part *parts;
    uint32_t part_count, part_room;
    struct run *runs;
    uint32_t run_count, run_room;
    struct versions versions;
    struct known known[KNOWN];
    uint32_t era, literals_asked; /* literals of the parts that are asked about */
    uint8_t *scratch;
    size_t scratch_room;
    uint32_t *tuple, *tuples; /* a class per part; those tried so far */
    uint32_t one_room, tuple_count, tuple_room;
    struct combination *combinations;
    uint32_t combination_count, combination_room;
    uint32_t *literals, *stack; /* of the combinations; of the one that is being put together */
    uint32_t literal_count, literal_room, stack_room;
    uint32_t *moments;
    uint32_t moment_room;
};

void lazy_free(struct pc_disk *disk)
{
    struct lazy *lazy = disk->sources;

    if (lazy == NULL)
        return;
    versions_free(&lazy->versions);
    free(lazy->sources);
    free(lazy->parts);
    free(lazy->runs);
    free(lazy->scratch);
    free(lazy->tuple);
    free(lazy->tuples);
    free(lazy->combinations);
    free(lazy->literals);
    free(lazy->stack);
    free(lazy->moments);
    free(lazy);
    disk->sources = NULL;
}

static void *grown(void *p, uint32_t *room, uint32_t need, size_t size)
{
    if (need <= *room)
        return p;
    *room = need * 2 + 16;
    p = realloc(p, *room * size);
    must(p != NULL);
    return p;
}

/* ---- V4 ---- */

static void forget_known(struct lazy *lazy)
{
    lazy->versions.count = lazy->versions.literal_count = 0;
    lazy->era++;
}

static struct known known_of(struct pc_disk *disk, uint32_t ino, uint32_t index)
{
    struct lazy *lazy = disk->sources;
    struct versions *versions = &lazy->versions;
    struct known *known = &lazy->known[(ino * 31 + index) % KNOWN];
    uint32_t first = versions->count, literals = versions->literal_count;

    if (known->era == lazy->era && known->ino == ino && known->index == index &&
        known->changes == disk->image->changes)
        return *known;
    versions_add(disk->image, ino, index, &disk->arena, versions);
    *known = (struct known){.ino = ino,
                            .index = index,
                            .era = lazy->era,
                            .changes = disk->image->changes,
                            .first = first,
                            .count = versions->count - first,
                            .literals = versions->literal_count - literals};
    return *known;
}

void pc_disk_decide_by_use(struct pc_disk *disk)
{
    if (disk->image == NULL)
        return;
    must(disk->image->leap == NULL);
    if (disk->sources == NULL) {
        disk->sources = calloc(1, sizeof *disk->sources);
        must(disk->sources != NULL);
    }
    forget_known(disk->sources);
    disk->sources->count = 0;
    disk->sources->low = disk->sources->high = NULL;
    disk->lazy = true;
}

uint64_t pc_disk_looks(const struct pc_disk *disk)
{
    return disk->looks;
}

uint32_t pc_image_assumed(const struct pc_image *image)
{
    return image->assumed;
}

/* ---- sources ---- */

void lazy_forget(struct pc_disk *disk, const uint8_t *at, size_t len)
{
    struct lazy *lazy = disk->sources;
    uint32_t out = 0;

    if (lazy->count == 0 || at >= lazy->high || at + len <= lazy->low)
        return;
    for (uint32_t i = 0; i < lazy->count; i++) {
        struct source *source = &lazy->sources[i];

        if (source->at >= at + len || source->at + source->len <= at)
            lazy->sources[out++] = *source;
        else if (source->at < at) { /* what lies behind is lost with it: nobody reads so */
            source->len = (uint32_t)(at - source->at);
            lazy->sources[out++] = *source;
        }
    }
    lazy->count = out;
}

static void remember(struct lazy *lazy, const struct source *source)
{
    lazy->sources = grown(lazy->sources, &lazy->room, lazy->count + 1, sizeof *lazy->sources);
    lazy->sources[lazy->count++] = *source;
    if (lazy->count == 1 || source->at < lazy->low)
        lazy->low = source->at;
    if (lazy->count == 1 || source->at + source->len > lazy->high)
        lazy->high = source->at + source->len;
}

const struct block *lazy_read(struct pc_disk *disk, struct inode *inode, uint32_t index,
                              const uint8_t *at, uint32_t within, uint32_t len)
{
    struct unit *unit = disk_unit_slot(disk, inode, index);
    const struct version *newest;
    struct known known;

    if (unit->loaded || disk->image == NULL || !disk_exists_below(disk, inode))
        return disk_unit(disk, inode, index)->content;
    known = known_of(disk, inode->ino, index);
    newest = &disk->sources->versions.list[known.first];
    if (known.count == 1 && !disk->image->clause_count) {
        unit->loaded = true;
        unit->content = newest->content;
        disk->image->undefined_seen |= newest->undefined;
        return unit->content;
    }
    remember(disk->sources, &(struct source){at, inode->ino, index, within, len});
    return newest->content;
}

/* ---- the parts of a range ---- */

static uint8_t byte_of(const struct block *content, uint32_t i)
{
    return content && i < content->len ? content->data[i] : 0;
}

static bool same(const struct block *a, const struct block *b, uint32_t lo, uint32_t hi)
{
    uint32_t have = 0;

    if (a == b)
        return true;
    if (a && b)
        have = a->len < b->len ? a->len : b->len;
    if (have > hi)
        have = hi;
    if (have > lo && memcmp(a->data + lo, b->data + lo, have - lo) != 0)
        return false;
    for (uint32_t i = have > lo ? have : lo; i < hi; i++)
        if (byte_of(a, i) != byte_of(b, i))
            return false;
    return true;
}

static void copy(uint8_t *to, const struct block *content, uint32_t lo, uint32_t hi)
{
    uint32_t have = content ? content->len : 0;

    if (have > hi)
        have = hi;
    if (have > lo)
        memcpy(to, content->data + lo, have - lo);
    else
        have = lo;
    memset(to + (have - lo), 0, hi - have);
}

/* Bytes of one unit that lie side by side are one part. */
static void find_parts(struct lazy *lazy, const uint8_t *p, size_t len)
{
    lazy->part_count = 0;
    if (lazy->count == 0 || p >= lazy->high || p + len <= lazy->low)
        return;
    for (uint32_t i = 0; i < lazy->count; i++) {
        const struct source *source = &lazy->sources[i];
        const uint8_t *from = source->at > p ? source->at : p, *end = source->at + source->len;
        struct part part;
        uint32_t j = 0;

        if (end > p + len)
            end = p + len;
        if (from >= end)
            continue;
        part = (struct part){.at = from, .ino = source->ino, .index = source->index};
        part.lo = source->within + (uint32_t)(from - source->at);
        part.hi = part.lo + (uint32_t)(end - from);
        while (j < lazy->part_count &&
               (lazy->parts[j].ino != part.ino || lazy->parts[j].index != part.index ||
                lazy->parts[j].at - lazy->parts[j].lo != part.at - part.lo))
            j++;
        lazy->parts =
            grown(lazy->parts, &lazy->part_room, lazy->part_count + 1, sizeof *lazy->parts);
        if (j == lazy->part_count) {
            lazy->parts[lazy->part_count++] = part;
            continue;
        }
        if (part.hi > lazy->parts[j].hi)
            lazy->parts[j].hi = part.hi;
        if (part.lo < lazy->parts[j].lo) {
            lazy->parts[j].lo = part.lo;
            lazy->parts[j].at = part.at;
        }
    }
}

/* V2. */
static void find_runs(struct pc_disk *disk, struct part *part)
{
    struct lazy *lazy = disk->sources;
    struct known known = known_of(disk, part->ino, part->index);
    const struct versions *versions = &lazy->versions;

    lazy->literals_asked += known.literals;
    part->first_run = lazy->run_count;
    part->classes = 0;
    for (uint32_t v = known.first; v < known.first + known.count; v++) {
        const struct block *content = versions->list[v].content;
        struct run *last =
            lazy->run_count > part->first_run ? &lazy->runs[lazy->run_count - 1] : NULL;
        uint32_t class = part->classes;

        if (last && versions->list[v - 1].merges &&
            same(versions->list[last->first].content, content, part->lo, part->hi)) {
            last->last = v;
            continue;
        }
        for (uint32_t r = part->first_run; r < lazy->run_count && class == part->classes; r++)
            if (same(versions->list[lazy->runs[r].first].content, content, part->lo, part->hi))
                class = lazy->runs[r].class;
        part->classes += class == part->classes;
        lazy->runs = grown(lazy->runs, &lazy->run_room, lazy->run_count + 1, sizeof *lazy->runs);
        lazy->runs[lazy->run_count++] = (struct run){v, v, class};
    }
    part->runs = lazy->run_count - part->first_run;
    must(part->runs > 0);
}

static void begin_runs(struct lazy *lazy)
{
    if (lazy->versions.count > MOST_KEPT || lazy->versions.literal_count > MOST_KEPT)
        forget_known(lazy);
    lazy->run_count = lazy->literals_asked = 0;
}

static uint32_t run_literals(const struct lazy *lazy, const struct run *run, uint32_t *literals)
{
    return version_run(&lazy->versions, run->first, run->last, literals);
}

static size_t literals_most(const struct lazy *lazy)
{
    return (size_t)lazy->literals_asked + lazy->part_count + 2;
}

static void put(const struct lazy *lazy, const struct part *part, const struct run *run)
{
    copy((uint8_t *)part->at, lazy->versions.list[run->first].content, part->lo, part->hi);
}

static bool run_undefined(const struct lazy *lazy, const struct run *run)
{
    for (uint32_t v = run->first; v <= run->last; v++)
        if (lazy->versions.list[v].undefined)
            return true;
    return false;
}

static uint64_t part_key(uint64_t key, const struct part *part)
{
    return rng_mix(key ^ (uint64_t)part->ino << 40 ^ (uint64_t)part->index << 20 ^
                   (uint64_t)part->lo << 10 ^ part->hi);
}

static size_t ask(const struct pc_image *image, const uint32_t *names, const uint32_t *costs,
                  uint32_t n, uint64_t key)
{
    struct pc_choice choice = {n, names, key | 1, image->measured ? costs : NULL};
    size_t chosen = 0;

    if (image->chooser && n > 1)
        chosen = image->chooser->choose(image->chooser->ctx, &choice);
    must(chosen < n);
    return chosen;
}

/* ---- use ---- */

static void use_part(struct pc_disk *disk, struct part *part)
{
    struct lazy *lazy = disk->sources;
    struct pc_image *image = disk->image;
    uint32_t n = 0, *names, *which, *costs, *literals;
    struct run *run;

    begin_runs(lazy);
    find_runs(disk, part);
    if (part->runs == 1) {
        put(lazy, part, &lazy->runs[0]);
        image->undefined_seen |= run_undefined(lazy, &lazy->runs[0]);
        return;
    }
    names = malloc((part->runs * 3 + literals_most(lazy)) * sizeof *names);
    must(names != NULL);
    which = names + part->runs;
    costs = which + part->runs;
    literals = costs + part->runs;
    for (uint32_t r = 0; r < part->runs; r++) {
        uint32_t count = run_literals(lazy, &lazy->runs[r], literals);

        if (image->clause_count && !clauses_possible(image, literals, count))
            continue;
        costs[n] = literals_cost(image, literals, count);
        names[n] = lazy->versions.list[lazy->runs[r].first].item;
        which[n++] = r;
    }
    must(n > 0 || image->gave_up);
    run = &lazy->runs[n ? which[ask(image, names, costs, n, part_key(1, part))] : 0];
    {
        bool agreed = literals_set(image, literals, run_literals(lazy, run, literals));

        must(agreed || image->gave_up);
    }
    put(lazy, part, run);
    image->undefined_seen |= run_undefined(lazy, run);
    free(names);
}

void pc_disk_use(struct pc_disk *disk, const void *p, size_t len)
{
    if (!disk->lazy || disk->image == NULL || len == 0)
        return;
    find_parts(disk->sources, p, len);
    for (uint32_t i = 0; i < disk->sources->part_count; i++)
        use_part(disk, &disk->sources->parts[i]);
}

/* ---- verify ---- */

struct check {
    struct pc_disk *disk;
    struct lazy *lazy;
    const uint8_t *p;
    size_t len;
    bool (*passes)(void *ctx, const uint8_t *bytes, size_t len);
    void *ctx;
    uint32_t passed[MOST_PASSES]; /* tuples (index) that pass */
    uint32_t passed_count;
    bool too_many;
};

static const struct run *run_of_class(const struct lazy *lazy, const struct part *part,
                                      uint32_t class)
{
    for (uint32_t r = 0; r < part->runs; r++)
        if (lazy->runs[part->first_run + r].class == class)
            return &lazy->runs[part->first_run + r];
    abort();
}

/* The tuple in lazy->tuple, unless it was tried. */
static void try_tuple(struct check *check)
{
    struct lazy *lazy = check->lazy;
    uint32_t n = lazy->part_count;

    for (uint32_t t = 0; t < lazy->tuple_count; t++)
        if (memcmp(lazy->tuples + (size_t)t * n, lazy->tuple, n * sizeof *lazy->tuple) == 0)
            return;
    lazy->tuples =
        grown(lazy->tuples, &lazy->tuple_room, (lazy->tuple_count + 1) * n, sizeof *lazy->tuples);
    memcpy(lazy->tuples + (size_t)lazy->tuple_count * n, lazy->tuple, n * sizeof *lazy->tuple);
    for (uint32_t i = 0; i < n; i++) {
        const struct part *part = &lazy->parts[i];
        const struct run *run = run_of_class(lazy, part, lazy->tuple[i]);

        copy(lazy->scratch + (part->at - check->p), lazy->versions.list[run->first].content,
             part->lo, part->hi);
    }
    if (check->passes(check->ctx, lazy->scratch, check->len)) {
        if (check->passed_count == MOST_PASSES)
            check->too_many = true;
        else
            check->passed[check->passed_count++] = lazy->tuple_count;
    }
    lazy->tuple_count++;
}

static void try_all(struct check *check, uint32_t part)
{
    if (part == check->lazy->part_count) {
        try_tuple(check);
        return;
    }
    for (uint32_t c = 0; c < check->lazy->parts[part].classes; c++) {
        check->lazy->tuple[part] = c;
        try_all(check, part + 1);
    }
}

/* The class of what was there at a moment: of the newest version that is not newer. */
static uint32_t class_at(const struct lazy *lazy, const struct part *part, uint32_t moment)
{
    uint32_t class = lazy->runs[part->first_run + part->runs - 1].class, newest = 0;
    bool found = false;

    for (uint32_t r = part->first_run; r < part->first_run + part->runs; r++)
        for (uint32_t v = lazy->runs[r].first; v <= lazy->runs[r].last; v++) {
            uint32_t at = lazy->versions.list[v].moment;

            if (at <= moment && (!found || at > newest)) {
                found = true;
                newest = at;
                class = lazy->runs[r].class;
            }
        }
    return class;
}

static int newer_first(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? 1 : (x > y ? -1 : 0);
}

static void try_moments(struct check *check)
{
    struct lazy *lazy = check->lazy;
    uint32_t n = 0;

    for (uint32_t r = 0; r < lazy->run_count; r++)
        n += lazy->runs[r].last - lazy->runs[r].first + 1;
    if (n > MOST_TUPLES) {
        check->too_many = true;
        return;
    }
    lazy->moments = grown(lazy->moments, &lazy->moment_room, n, sizeof *lazy->moments);
    n = 0;
    for (uint32_t r = 0; r < lazy->run_count; r++)
        for (uint32_t v = lazy->runs[r].first; v <= lazy->runs[r].last; v++)
            lazy->moments[n++] = lazy->versions.list[v].moment;
    qsort(lazy->moments, n, sizeof *lazy->moments, newer_first);
    for (uint32_t m = 0; m < n; m++) {
        if (m > 0 && lazy->moments[m] == lazy->moments[m - 1])
            continue;
        for (uint32_t i = 0; i < lazy->part_count; i++)
            lazy->tuple[i] = class_at(lazy, &lazy->parts[i], lazy->moments[m]);
        try_tuple(check);
    }
}

/* Puts the classes of a tuple that passes together from runs, in every way that is possible. */
static void combine(struct check *check, uint32_t tuple, uint32_t part, uint32_t used)
{
    struct lazy *lazy = check->lazy;
    const struct part *at = &lazy->parts[part];

    if (part == lazy->part_count) {
        if (!clauses_possible(check->disk->image, lazy->stack, used))
            return;
        if (lazy->combination_count == MOST_PASSES) {
            check->too_many = true;
            return;
        }
        lazy->combinations = grown(lazy->combinations, &lazy->combination_room,
                                   lazy->combination_count + 1, sizeof *lazy->combinations);
        lazy->literals = grown(lazy->literals, &lazy->literal_room, lazy->literal_count + used,
                               sizeof *lazy->literals);
        memcpy(lazy->literals + lazy->literal_count, lazy->stack, used * sizeof *lazy->literals);
        lazy->combinations[lazy->combination_count++] =
            (struct combination){lazy->literal_count, used, tuple};
        lazy->literal_count += used;
        return;
    }
    for (uint32_t r = at->first_run; r < at->first_run + at->runs && !check->too_many; r++)
        if (lazy->runs[r].class == lazy->tuples[(size_t)tuple * lazy->part_count + part])
            combine(check, tuple, part + 1,
                    used + run_literals(lazy, &lazy->runs[r], lazy->stack + used));
}

/* Which combinations pass? False: too many to tell. */
static bool find_passing(struct check *check)
{
    struct lazy *lazy = check->lazy;
    uint64_t tuples = 1;

    if (check->len > lazy->scratch_room) {
        lazy->scratch_room = check->len * 2;
        lazy->scratch = realloc(lazy->scratch, lazy->scratch_room);
        must(lazy->scratch != NULL);
    }
    memcpy(lazy->scratch, check->p, check->len);
    lazy->tuple = grown(lazy->tuple, &lazy->one_room, lazy->part_count, sizeof *lazy->tuple);
    lazy->stack =
        grown(lazy->stack, &lazy->stack_room, (uint32_t)literals_most(lazy), sizeof *lazy->stack);
    lazy->tuple_count = lazy->combination_count = lazy->literal_count = 0;
    for (uint32_t i = 0; i < lazy->part_count && tuples <= ALL_TUPLES; i++)
        tuples *= lazy->parts[i].classes;
    if (tuples <= ALL_TUPLES)
        try_all(check, 0);
    else
        try_moments(check);
    for (uint32_t i = 0; i < check->passed_count && !check->too_many; i++)
        combine(check, check->passed[i], 0, 0);
    return !check->too_many;
}

/* Adds the clauses of "it fails". False: it cannot, and nothing was added. */
static bool assume_failure(struct pc_image *image, const struct lazy *lazy)
{
    uint32_t clauses = image->clause_count, literals = image->literal_count;

    for (uint32_t i = 0; i < lazy->combination_count; i++)
        clause_add(image, lazy->literals + lazy->combinations[i].first,
                   lazy->combinations[i].count);
    if (clauses_possible(image, NULL, 0))
        return true;
    image->clause_count = clauses;
    image->literal_count = literals;
    return false;
}

static enum pc_verdict pass(struct check *check, const struct combination *combination)
{
    struct lazy *lazy = check->lazy;
    struct pc_image *image = check->disk->image;
    const uint32_t *tuple = lazy->tuples + (size_t)combination->tuple * lazy->part_count;
    bool agreed = literals_set(image, lazy->literals + combination->first, combination->count);

    must(agreed || image->gave_up);
    for (uint32_t i = 0; i < lazy->part_count; i++) {
        const struct run *run = run_of_class(lazy, &lazy->parts[i], tuple[i]);

        put(lazy, &lazy->parts[i], run);
        image->undefined_seen |= run_undefined(lazy, run);
    }
    return PC_VERDICT_PASS;
}

static enum pc_verdict decide(struct check *check)
{
    struct lazy *lazy = check->lazy;
    struct pc_image *image = check->disk->image;
    uint32_t n = lazy->combination_count, names[MOST_PASSES + 1], costs[MOST_PASSES + 1];
    uint32_t clauses = image->clause_count, literals = image->literal_count;
    uint64_t key = 2;
    bool may_fail = assume_failure(image, lazy);
    size_t chosen;

    for (uint32_t i = 0; i < n; i++)
        names[i] = (uint32_t)XXH3_64bits(lazy->literals + lazy->combinations[i].first,
                                         lazy->combinations[i].count * sizeof *lazy->literals);
    names[n] = PC_ITEM_NONE;
    costs[n] = 0; /* of "it fails": one literal, if some combination is the pole's */
    for (uint32_t i = 0; i < n; i++) {
        const struct combination *at = &lazy->combinations[i];

        costs[i] = literals_cost(image, lazy->literals + at->first, at->count);
        if (costs[i] == 0)
            costs[n] = 1;
    }
    for (uint32_t i = 0; i < lazy->part_count; i++)
        key = part_key(key, &lazy->parts[i]);
    must(n + may_fail > 0 || image->gave_up);
    chosen = n + may_fail > 1 ? ask(image, names, costs, n + may_fail, key) : 0;
    if (chosen < n) {
        image->clause_count = clauses;
        image->literal_count = literals;
        return pass(check, &lazy->combinations[chosen]);
    }
    image->assumed += n > 0;
    for (uint32_t r = 0; r < lazy->run_count; r++)
        image->undefined_seen |= run_undefined(lazy, &lazy->runs[r]);
    return PC_VERDICT_FAIL;
}

enum pc_verdict pc_disk_verify(struct pc_disk *disk, const void *p, size_t len,
                               bool (*passes)(void *ctx, const uint8_t *bytes, size_t len),
                               void *ctx)
{
    struct check check = {
        .disk = disk, .lazy = disk->sources, .p = p, .len = len, .passes = passes, .ctx = ctx};
    struct lazy *lazy = disk->sources;
    bool open = false;

    if (!disk->lazy || disk->image == NULL || len == 0)
        return PC_VERDICT_COMPUTE;
    find_parts(lazy, p, len);
    begin_runs(lazy);
    for (uint32_t i = 0; i < lazy->part_count; i++) {
        find_runs(disk, &lazy->parts[i]);
        open |= lazy->parts[i].runs > 1;
    }
    if (open && find_passing(&check))
        return decide(&check);
    for (uint32_t i = 0; i < lazy->part_count; i++)
        use_part(disk, &lazy->parts[i]);
    return PC_VERDICT_COMPUTE;
}
