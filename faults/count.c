/* count.c: how many legal sets agree with what is decided: the down-sets of the partial order on
 * the open items, exactly, in big integers.
 *
 * Connected components multiply. A component that is a chain of n has n + 1 down-sets. Otherwise
 * branch on the item with most relations: kept, with all that it needs, or lost, with all that
 * needs it; what is left of each branch is smaller and mostly falls apart. Components seen before
 * are remembered, also from one leaf of a search to the next. */
#include "inner.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/check.h"

#define ITEMS_MAX 4096u

struct memo {
    struct memo *next;
    mpz_t count;
    uint64_t set[];
};

struct counter {
    uint32_t n, words;
    uint64_t *ancestors, *descendants; /* per item, itself left out */
    struct memo **table;
    uint32_t table_size;
    size_t memos, limit;
};

static bool has(const uint64_t *set, uint32_t i)
{
    return set[i / 64] >> (i % 64) & 1;
}

static void add(uint64_t *set, uint32_t i)
{
    set[i / 64] |= (uint64_t)1 << (i % 64);
}

static uint32_t size_of(const uint64_t *a, const uint64_t *b, uint32_t words)
{
    uint32_t n = 0;

    for (uint32_t w = 0; w < words; w++)
        n += (uint32_t)__builtin_popcountll(a[w] & b[w]);
    return n;
}

static void counter_clear(struct counter *counter)
{
    if (counter->memos == 0)
        return;
    for (uint32_t i = 0; i < counter->table_size; i++)
        while (counter->table[i]) {
            struct memo *memo = counter->table[i];

            counter->table[i] = memo->next;
            mpz_clear(memo->count);
            free(memo);
        }
    counter->memos = 0;
}

void counter_free(struct counter *counter)
{
    if (counter == NULL)
        return;
    counter_clear(counter);
    free(counter->table);
    free(counter->ancestors);
    free(counter->descendants);
    free(counter);
}

/* Items are in issue order and edges point back, so one pass each way closes them. */
static struct counter *counter_new(const struct pc_image *image)
{
    struct counter *counter = calloc(1, sizeof *counter);
    uint32_t n = image->item_count, words = (n + 63) / 64;

    must(counter != NULL);
    counter->n = n;
    counter->words = words;
    counter->table_size = n <= 48 ? 512 : 65536;
    counter->table = calloc(counter->table_size, sizeof(struct memo *));
    counter->ancestors = calloc((size_t)n * words + 1, sizeof(uint64_t));
    counter->descendants = calloc((size_t)n * words + 1, sizeof(uint64_t));
    must(counter->table != NULL && counter->ancestors != NULL && counter->descendants != NULL);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t e = image->before_at[i]; e < image->before_at[i + 1]; e++) {
            uint32_t b = image->before[e];

            add(counter->ancestors + (size_t)i * words, b);
            for (uint32_t w = 0; w < words; w++)
                counter->ancestors[(size_t)i * words + w] |=
                    counter->ancestors[(size_t)b * words + w];
        }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < i; j++)
            if (has(counter->ancestors + (size_t)i * words, j))
                add(counter->descendants + (size_t)j * words, i);
    return counter;
}

static const uint64_t *anc(const struct counter *counter, uint32_t i)
{
    return counter->ancestors + (size_t)i * counter->words;
}

static const uint64_t *desc(const struct counter *counter, uint32_t i)
{
    return counter->descendants + (size_t)i * counter->words;
}

static uint32_t first_of(const uint64_t *set, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++)
        if (set[w])
            return w * 64 + (uint32_t)__builtin_ctzll(set[w]);
    return NONE;
}

/* Moves the component of `start` from `set` to `out`. */
static void take_component(const struct counter *counter, uint64_t *set, uint32_t start,
                           uint64_t *out, uint64_t *todo)
{
    uint32_t words = counter->words, i;

    memset(out, 0, words * sizeof *out);
    memset(todo, 0, words * sizeof *todo);
    add(todo, start);
    while ((i = first_of(todo, words)) != NONE) {
        add(out, i);
        for (uint32_t w = 0; w < words; w++)
            todo[w] |= (anc(counter, i)[w] | desc(counter, i)[w]) & set[w];
        for (uint32_t w = 0; w < words; w++)
            todo[w] &= ~out[w];
    }
    for (uint32_t w = 0; w < words; w++)
        set[w] &= ~out[w];
}

static bool count_set(struct counter *counter, const uint64_t *set, mpz_t out);

static struct memo **memo_slot(struct counter *counter, const uint64_t *set)
{
    size_t bytes = counter->words * sizeof *set;
    struct memo **slot = &counter->table[XXH3_64bits(set, bytes) % counter->table_size];

    while (*slot && memcmp((*slot)->set, set, bytes) != 0)
        slot = &(*slot)->next;
    return slot;
}

/* The item with most relations within the component; *chain when all are related to all. */
static uint32_t pivot_of(const struct counter *counter, const uint64_t *set, bool *chain)
{
    uint32_t words = counter->words, size = size_of(set, set, words), best = NONE, most = 0;

    *chain = true;
    for (uint32_t i = 0; i < counter->n; i++) {
        uint32_t relations;

        if (!has(set, i))
            continue;
        relations = size_of(anc(counter, i), set, words) + size_of(desc(counter, i), set, words);
        if (relations + 1 != size)
            *chain = false;
        if (best == NONE || relations > most) {
            best = i;
            most = relations;
        }
    }
    return best;
}

static bool count_component(struct counter *counter, const uint64_t *set, mpz_t out)
{
    uint32_t words = counter->words, pivot;
    struct memo **slot, *memo;
    uint64_t *rest;
    mpz_t lost;
    bool chain, ok;

    pivot = pivot_of(counter, set, &chain);
    if (chain) {
        mpz_set_ui(out, size_of(set, set, words) + 1);
        return true;
    }
    slot = memo_slot(counter, set);
    if (*slot) {
        mpz_set(out, (*slot)->count);
        return true;
    }
    if (counter->memos >= counter->limit)
        return false;
    counter->memos++;
    rest = malloc(words * sizeof *rest);
    must(rest != NULL);
    mpz_init(lost);
    for (uint32_t w = 0; w < words; w++)
        rest[w] = set[w] & ~anc(counter, pivot)[w];
    rest[pivot / 64] &= ~((uint64_t)1 << (pivot % 64));
    ok = count_set(counter, rest, out);
    for (uint32_t w = 0; w < words; w++)
        rest[w] = set[w] & ~desc(counter, pivot)[w];
    rest[pivot / 64] &= ~((uint64_t)1 << (pivot % 64));
    ok = ok && count_set(counter, rest, lost);
    if (ok) {
        mpz_add(out, out, lost);
        memo = malloc(sizeof *memo + words * sizeof *set);
        must(memo != NULL);
        memcpy(memo->set, set, words * sizeof *set);
        mpz_init_set(memo->count, out);
        slot = memo_slot(counter, set); /* the table has grown meanwhile */
        memo->next = *slot;
        *slot = memo;
    }
    mpz_clear(lost);
    free(rest);
    return ok;
}

static bool count_set(struct counter *counter, const uint64_t *set, mpz_t out)
{
    uint32_t words = counter->words, i;
    uint64_t *left = malloc(3 * words * sizeof *left + 1), *component = left + words;
    bool ok = true;
    mpz_t factor;

    must(left != NULL);
    memcpy(left, set, words * sizeof *left);
    mpz_init(factor);
    mpz_set_ui(out, 1);
    while (ok && (i = first_of(left, words)) != NONE) {
        take_component(counter, left, i, component, left + 2 * words);
        ok = count_component(counter, component, factor);
        if (ok)
            mpz_mul(out, out, factor);
    }
    mpz_clear(factor);
    free(left);
    return ok;
}

/* ---- without a lattice ---- */

/* Counts the legal sets one by one: the newest open item kept, and lost if it can be. False
 * when *budget sets were not enough. The states are as before, or more of them is known. */
static bool count_each(struct pc_image *image, uint32_t items, size_t *budget, mpz_t out)
{
    uint8_t *states;
    bool ok = true;

    while (items > 0 && pc_image_state(image, items - 1) != PC_ITEM_OPEN)
        items--;
    if (items == 0) {
        mpz_add_ui(out, out, 1);
        return (*budget)-- > 0;
    }
    states = malloc(image->node_count);
    must(states != NULL);
    memcpy(states, image->state, image->node_count);
    for (int kept = 0; ok && kept < 2; kept++) {
        bool agreed = pc_image_set(image, items - 1, kept);

        must(agreed);
        ok = count_each(image, items - 1, budget, out);
        memcpy(image->state, states, image->node_count);
    }
    free(states);
    return ok;
}

/* A set takes about a look at every micro-op for every item. */
#define STEPS_PER_LIMIT 64u

static bool count_leaping(struct pc_image *image, size_t limit, mpz_t count)
{
    size_t per_set = (size_t)image->item_count * image->node_count + 1;
    size_t budget = limit * STEPS_PER_LIMIT / per_set;
    mpz_t result;
    bool ok;

    mpz_init(result);
    ok = count_each(image, image->item_count, &budget, result);
    if (ok)
        mpz_set(count, result);
    mpz_clear(result);
    return ok;
}

/* ---- with clauses ---- */

/* What is open falls into groups that share neither an edge nor a clause; groups multiply. In one
 * group: all sets, less those that break its first clause and not the others, and so on: inclusion
 * and exclusion over its clauses, where most combinations contradict each other. */
struct group {
    struct pc_image *image;
    uint64_t *set; /* the items of the group, out of what is open now */
    uint32_t *clauses;
    uint32_t clause_count;
    size_t budget;
};

/* Adds to `out` (subtracts when `sign` is negative) the sets that break every clause taken so
 * far, over all ways to take more from clause `next` on. */
static bool alternate(struct group *group, uint32_t next, bool negative, mpz_t out)
{
    struct pc_image *image = group->image;
    struct counter *counter = image->counter;
    uint64_t *open = calloc(counter->words + 1, sizeof *open);
    mpz_t count;
    bool ok;

    must(open != NULL);
    if (group->budget-- == 0) {
        group->budget = 0;
        free(open);
        return false;
    }
    for (uint32_t i = 0; i < image->item_count; i++)
        if (has(group->set, i) && image->state[image->items[i]] == NODE_OPEN)
            add(open, i);
    mpz_init(count);
    ok = count_set(counter, open, count);
    free(open);
    if (ok && negative)
        mpz_sub(out, out, count);
    else if (ok)
        mpz_add(out, out, count);
    mpz_clear(count);
    for (uint32_t c = next; ok && c < group->clause_count; c++) {
        const struct clause *clause = &image->clauses[group->clauses[c]];

        image_save(image);
        if (literals_set(image, image->literals + clause->first, clause->count))
            ok = alternate(group, c + 1, !negative, out);
        image_restore(image);
    }
    return ok;
}

/* Is some literal of it false? Then nothing can break it. */
static bool kept_already(const struct pc_image *image, const struct clause *clause)
{
    for (uint32_t i = 0; i < clause->count; i++) {
        uint32_t literal = image->literals[clause->first + i];
        uint8_t state = image->state[image->items[literal >> 1]];

        if (state != NODE_OPEN && (state == NODE_IN) != (literal & 1))
            return true;
    }
    return false;
}

/* Takes from `open` all that hangs together with the clause, and the clauses that do. */
static void gather_group(struct pc_image *image, uint64_t *open, bool *taken, uint32_t clause,
                         struct group *group)
{
    struct counter *counter = image->counter;
    uint32_t words = counter->words;
    uint64_t *component = calloc(2 * words + 1, sizeof *component);
    bool more = true;

    must(component != NULL);
    memset(group->set, 0, words * sizeof *group->set);
    group->clause_count = 0;
    group->clauses[group->clause_count++] = clause;
    taken[clause] = true;
    for (uint32_t c = 0; more; c++) {
        const struct clause *at;

        if (c == group->clause_count) {
            more = false;
            for (uint32_t o = 0; o < image->clause_count; o++)
                for (uint32_t i = 0; !taken[o] && i < image->clauses[o].count; i++)
                    if (has(group->set, image->literals[image->clauses[o].first + i] >> 1)) {
                        group->clauses[group->clause_count++] = o;
                        taken[o] = more = true;
                    }
            if (!more)
                break;
        }
        at = &image->clauses[group->clauses[c]];
        for (uint32_t i = 0; i < at->count; i++) {
            uint32_t item = image->literals[at->first + i] >> 1;

            if (!has(open, item))
                continue;
            take_component(counter, open, item, component, component + words);
            for (uint32_t w = 0; w < words; w++)
                group->set[w] |= component[w];
        }
        more = true;
    }
    free(component);
}

#define GROUP_STEPS 20000u

static bool count_with_clauses(struct pc_image *image, uint64_t *open, mpz_t out)
{
    uint32_t words = image->counter->words;
    bool *taken = calloc(image->clause_count + 1, sizeof *taken), ok = true;
    struct group group = {.image = image, .budget = GROUP_STEPS};
    mpz_t factor;

    group.set = calloc(words + 1, sizeof *group.set);
    group.clauses = calloc(image->clause_count + 1, sizeof *group.clauses);
    must(taken != NULL && group.set != NULL && group.clauses != NULL);
    mpz_init(factor);
    mpz_set_ui(out, 1);
    for (uint32_t c = 0; c < image->clause_count; c++)
        taken[c] = kept_already(image, &image->clauses[c]);
    for (uint32_t c = 0; ok && c < image->clause_count; c++) {
        if (taken[c])
            continue;
        gather_group(image, open, taken, c, &group);
        mpz_set_ui(factor, 0);
        ok = alternate(&group, 0, false, factor);
        mpz_mul(out, out, factor);
    }
    ok = ok && count_set(image->counter, open, factor);
    if (ok)
        mpz_mul(out, out, factor);
    mpz_clear(factor);
    free(taken);
    free(group.set);
    free(group.clauses);
    return ok;
}

static bool count_open(struct pc_image *image, const uint64_t *open, mpz_t out)
{
    uint32_t words = image->counter->words;
    uint64_t *left;
    bool ok;

    if (image->clause_count == 0)
        return count_set(image->counter, open, out);
    left = malloc(words * sizeof *left + 1);
    must(left != NULL);
    memcpy(left, open, words * sizeof *left);
    ok = count_with_clauses(image, left, out);
    free(left);
    return ok;
}

bool pc_image_count(struct pc_image *image, size_t limit, mpz_t count)
{
    uint64_t *open;
    mpz_t result;
    bool ok;

    if (image->leap)
        return count_leaping(image, limit, count);
    if (image->item_count > ITEMS_MAX)
        return false;
    if (image->item_count == 0) {
        mpz_set_ui(count, 1);
        return true;
    }
    if (image->counter == NULL)
        image->counter = counter_new(image);
    image->counter->limit = limit;
    open = calloc(image->counter->words, sizeof *open);
    must(open != NULL);
    for (uint32_t i = 0; i < image->item_count; i++)
        if (image->state[image->items[i]] == NODE_OPEN)
            add(open, i);
    mpz_init(result);
    ok = count_open(image, open, result);
    if (!ok) { /* the room may be taken by what earlier counts remembered */
        counter_clear(image->counter);
        ok = count_open(image, open, result);
    }
    if (ok)
        mpz_set(count, result);
    mpz_clear(result);
    free(open);
    return ok;
}
