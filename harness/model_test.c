/* model_test.c: the interval sweep against brute force, and the names that it gives to violations.
 *
 * Brute force is the definition read aloud: a recovered state is legal when some subset of the
 * optional units and some cut between floor and ceiling give it, tried one by one. A unit with an
 * error is settled by a reopen when every explanation of what was read then agrees about it; else
 * it stays optional. The histories have puts, deletes, batches, equal and empty values, errors,
 * promises, reopens and several epochs; the recovered states are legal ones and planted wrongs. */
#include "model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

#define KEYS       6
#define UNITS_MAX  16
#define WRITES_MAX 4
#define ERRORS_MAX 5
#define ABSENT     0u
#define EMPTY      1u /* the value number of the empty value */

struct plain_write {
    int key;
    uint32_t value; /* ABSENT: a delete */
};

struct plain_unit {
    struct plain_write writes[WRITES_MAX];
    uint32_t count;
    enum unit_status status;
    size_t begun, ended;
    bool settled, present;
    size_t settled_at;
};

struct state {
    uint32_t value[KEYS];
};

struct world {
    struct model model;
    struct rng rng;
    struct state base;
    struct plain_unit units[UNITS_MAX + 1];
    uint32_t count, errors, next_value, values; /* values: 0: all different, else so many */
    uint32_t promised[64];
    size_t promised_at[64], promises, now;
};

static struct bytes key_bytes(int key)
{
    static const char *const keys[KEYS] = {"", "a", "ab", "b", "\xff\x01", "z"};

    return bytes_str(keys[key]);
}

/* Valid until the next call but one. */
static struct bytes value_of(uint32_t value)
{
    static char text[2][24];
    static int turn;

    turn = !turn;
    if (value == EMPTY)
        return bytes_of(text[turn], 0);
    snprintf(text[turn], sizeof text[turn], "v%u", (unsigned)value);
    return bytes_str(text[turn]);
}

static void see(struct seen *seen, const struct state *state)
{
    static const int sorted[KEYS] = {0, 1, 2, 3, 5, 4};

    seen_clear(seen);
    for (int i = 0; i < KEYS; i++)
        if (state->value[sorted[i]] != ABSENT)
            seen_add(seen, key_bytes(sorted[i]), value_of(state->value[sorted[i]]));
}

/* ---- a history ---- */

static void world_init(struct world *world, uint64_t seed, uint32_t values)
{
    *world = (struct world){.rng = rng_seeded(seed), .next_value = 1, .values = values};
    model_init(&world->model);
}

static uint32_t some_value(struct world *world)
{
    if (world->values)
        return EMPTY + (uint32_t)rng_below(&world->rng, world->values);
    return ++world->next_value;
}

static uint32_t begin(struct world *world, const struct plain_write *writes, uint32_t count)
{
    struct plain_unit *unit = &world->units[++world->count];
    struct model_write list[WRITES_MAX];
    uint32_t number;

    assert_true(world->count <= UNITS_MAX);
    *unit = (struct plain_unit){.count = count, .begun = world->now, .ended = SIZE_MAX};
    for (uint32_t i = 0; i < count; i++) {
        bool is_delete = writes[i].value == ABSENT;
        struct bytes value = is_delete ? (struct bytes){0} : value_of(writes[i].value);

        unit->writes[i] = writes[i];
        list[i] = (struct model_write){
            is_delete, key_bytes(writes[i].key), model_hash(value), (uint32_t)value.len, 0, false,
            {0}};
    }
    number = model_begin(&world->model, world->count, false, list, count, world->now);
    assert_int_equal(number, world->count);
    return number;
}

static void end(struct world *world, uint32_t number, enum unit_status status)
{
    world->units[number].status = status;
    world->units[number].ended = world->now;
    model_end(&world->model, number, status, 0, world->now);
    world->errors += status == UNIT_ERROR;
}

static void promise(struct world *world, uint32_t units)
{
    assert_true(world->promises < 64);
    model_promise(&world->model, units, world->now, "test");
    world->promised[world->promises] = units;
    world->promised_at[world->promises++] = world->now;
}

static void put(struct world *world, int key, uint32_t value)
{
    end(world, begin(world, &(struct plain_write){key, value}, 1), UNIT_OK);
    world->now++;
}

static void random_unit(struct world *world)
{
    struct plain_write writes[WRITES_MAX];
    uint32_t count = rng_chance(&world->rng, 1, 3) ? 2 + (uint32_t)rng_below(&world->rng, 3) : 1;
    uint32_t number;

    for (uint32_t i = 0; i < count; i++)
        writes[i] =
            (struct plain_write){(int)rng_below(&world->rng, KEYS),
                                 rng_chance(&world->rng, 1, 4) ? ABSENT : some_value(world)};
    number = begin(world, writes, count);
    world->now += rng_below(&world->rng, 3);
    if (world->errors < ERRORS_MAX && rng_chance(&world->rng, 1, 5))
        end(world, number, UNIT_ERROR);
    else
        end(world, number, UNIT_OK);
    world->now += rng_below(&world->rng, 2);
    if (rng_chance(&world->rng, 1, 5))
        promise(world, (uint32_t)rng_below(&world->rng, number + 1));
}

/* ---- brute force ---- */

struct span {
    uint32_t floor, ceiling;
    uint32_t optional[UNITS_MAX], optional_count;
};

static void state_at(const struct world *world, const struct span *span, uint32_t mask,
                     uint32_t cut, struct state *state)
{
    *state = world->base;
    for (uint32_t u = 1; u <= cut; u++) {
        const struct plain_unit *unit = &world->units[u];
        bool present = unit->status != UNIT_ERROR || (unit->settled && unit->present);

        for (uint32_t i = 0; i < span->optional_count; i++)
            if (span->optional[i] == u)
                present = mask >> i & 1;
        for (uint32_t i = 0; present && i < unit->count; i++)
            state->value[unit->writes[i].key] = unit->writes[i].value;
    }
}

static struct span span_at(const struct world *world, size_t at, bool kill, size_t trust)
{
    struct span span = {0};

    for (uint32_t u = 1; u <= world->count; u++) {
        const struct plain_unit *unit = &world->units[u];

        if (unit->begun <= at)
            span.ceiling = u;
        if (kill && unit->status == UNIT_OK && unit->ended <= at)
            span.floor = u;
        if (unit->status == UNIT_ERROR && unit->begun <= at &&
            !(unit->settled && unit->settled_at <= at))
            span.optional[span.optional_count++] = u;
    }
    for (size_t i = 0; !kill && i < world->promises; i++)
        if (world->promised_at[i] <= at && world->promised_at[i] <= trust &&
            world->promised[i] > span.floor)
            span.floor = world->promised[i];
    return span;
}

static bool brute(const struct world *world, const struct span *span, const struct state *seen,
                  uint32_t only_cut)
{
    struct state state;

    for (uint32_t mask = 0; mask >> span->optional_count == 0; mask++)
        for (uint32_t cut = span->floor; cut <= span->ceiling; cut++) {
            if (only_cut != UINT32_MAX && cut != only_cut)
                continue;
            state_at(world, span, mask, cut, &state);
            if (memcmp(&state, seen, sizeof state) == 0)
                return true;
        }
    return false;
}

/* What a reopen tells about each optional unit: 1: some explanation has it absent, 2: present. */
static void settle(struct world *world, const struct state *seen)
{
    struct span span = span_at(world, world->now, true, 0);
    uint32_t ways[UNITS_MAX] = {0};
    struct state state;

    span.ceiling = world->count;
    for (uint32_t mask = 0; mask >> span.optional_count == 0; mask++)
        for (uint32_t cut = span.floor; cut <= span.ceiling; cut++) {
            state_at(world, &span, mask, cut, &state);
            for (uint32_t i = 0; i < span.optional_count; i++)
                if (memcmp(&state, seen, sizeof state) == 0)
                    ways[i] |= (mask >> i & 1) && span.optional[i] <= cut ? 2 : 1;
        }
    for (uint32_t i = 0; i < span.optional_count; i++) {
        struct plain_unit *unit = &world->units[span.optional[i]];

        if (ways[i] == 3)
            continue;
        unit->settled = true;
        unit->present = ways[i] == 2;
        unit->settled_at = world->now;
    }
}

/* ---- recovered states ---- */

/* Units 1..cut without the writes of `hole` whose bits are not in `part`. */
static void state_without(const struct world *world, const struct span *span, uint32_t mask,
                          uint32_t cut, uint32_t hole, uint32_t part, struct state *state)
{
    struct world copy = *world;
    struct plain_unit *unit = &copy.units[hole];
    uint32_t kept = 0;

    for (uint32_t i = 0; i < unit->count; i++)
        if (part >> i & 1)
            unit->writes[kept++] = unit->writes[i];
    unit->count = kept;
    state_at(&copy, span, mask, cut, state);
}

static void random_state(struct world *world, const struct span *span, struct state *state)
{
    struct rng *rng = &world->rng;
    uint32_t mask = (uint32_t)rng_below(rng, (uint64_t)1 << span->optional_count);
    uint32_t cut = (uint32_t)rng_below(rng, span->ceiling + 1);
    uint32_t unit = 1 + (uint32_t)rng_below(rng, span->ceiling);

    if (rng_chance(rng, 1, 3))
        cut = span->ceiling;
    state_at(world, span, mask, cut, state);
    switch (span->ceiling ? rng_below(rng, 8) : 7) {
    case 0:
        state_without(world, span, mask, cut, unit, 0, state);
        break;
    case 1:
        state_without(world, span, mask, cut, unit, (uint32_t)rng_below(rng, 16), state);
        break;
    case 2: /* another value of some key, perhaps a right one of another key or time */
        state->value[rng_below(rng, KEYS)] = (uint32_t)rng_below(rng, world->next_value + 3);
        break;
    case 3:
        state->value[rng_below(rng, KEYS)] = world->units[unit].writes[0].value;
        break;
    case 4:
        state->value[rng_below(rng, KEYS)] = 900000;
        break;
    default:
        break;
    }
}

struct counts {
    uint32_t cases, legal, reopens, optional, killed;
};

static void judge_once(struct world *world, struct seen *seen, struct counts *counts)
{
    struct rng *rng = &world->rng;
    size_t at = rng_chance(rng, 1, 2) ? world->now : rng_below(rng, world->now + 1);
    size_t trust = rng_chance(rng, 1, 6) ? rng_below(rng, world->now + 1) : SIZE_MAX;
    bool kill = rng_chance(rng, 1, 4), legal;
    struct span span = span_at(world, at, kill, trust);
    struct state state;
    struct verdict verdict;

    random_state(world, &span, &state);
    see(seen, &state);
    legal = brute(world, &span, &state, UINT32_MAX);
    model_judge(&world->model, at, kill, trust, seen, &verdict);
    if ((verdict.rule == RULE_NONE) != legal)
        fail_msg("brute force says %s, the sweep %s: %s", legal ? "legal" : "illegal",
                 rule_name(verdict.rule), verdict.text);
    assert_int_equal(verdict.floor, span.floor);
    assert_int_equal(verdict.ceiling, span.ceiling);
    if (legal)
        assert_true(brute(world, &span, &state, verdict.cut));
    else
        assert_true(verdict.text[0] != '\0');
    counts->cases++;
    counts->legal += legal;
    counts->optional += span.optional_count > 0;
    counts->killed += kill;
}

/* Closes and opens: what is read then is the whole history with some of the optional units. */
static void reopen(struct world *world, struct seen *seen, struct counts *counts)
{
    struct span span = span_at(world, world->now, true, 0);
    struct verdict verdict;
    struct state state;

    state_at(world, &span, (uint32_t)rng_below(&world->rng, (uint64_t)1 << span.optional_count),
             world->count, &state);
    see(seen, &state);
    model_reopened(&world->model, world->now, seen, &verdict);
    if (verdict.rule != RULE_NONE)
        fail_msg("a true reopen is called %s: %s", rule_name(verdict.rule), verdict.text);
    settle(world, &state);
    world->now++;
    counts->reopens++;
}

/* The next epoch begins with a legal state of this one. */
static void rebase(struct world *world, struct seen *seen)
{
    struct span span = span_at(world, world->now, false, SIZE_MAX);
    uint32_t cut = span.floor + (uint32_t)rng_below(&world->rng, span.ceiling - span.floor + 1);
    struct state state;

    state_at(world, &span, (uint32_t)rng_below(&world->rng, (uint64_t)1 << span.optional_count),
             cut, &state);
    see(seen, &state);
    model_rebase(&world->model, &world->model, seen);
    world->base = state;
    world->count = world->errors = 0;
    world->promises = world->now = 0;
}

static void the_sweep_is_brute_force(void **state)
{
    struct counts counts = {0};
    struct seen seen = {0};

    for (uint64_t seed = 0; counts.cases < 40000; seed++) {
        struct world world;

        world_init(&world, seed, (uint32_t[]){0, 2, 4}[seed % 3]);
        for (int epoch = 0; epoch < 3; epoch++) {
            uint32_t units = (uint32_t)rng_below(&world.rng, UNITS_MAX + 1);

            for (uint32_t u = 0; u < units; u++) {
                random_unit(&world);
                if (rng_chance(&world.rng, 1, 10))
                    reopen(&world, &seen, &counts);
                if (rng_chance(&world.rng, 1, 2))
                    judge_once(&world, &seen, &counts);
            }
            for (int i = 0; i < 8; i++)
                judge_once(&world, &seen, &counts);
            rebase(&world, &seen);
        }
        model_release(&world.model);
    }
    seen_release(&seen);
    print_message("%u cases: %u legal, %u with optional units, %u kills, %u reopens\n",
                  (unsigned)counts.cases, (unsigned)counts.legal, (unsigned)counts.optional,
                  (unsigned)counts.killed, (unsigned)counts.reopens);
    assert_true(counts.legal > counts.cases / 4 && counts.legal < counts.cases * 3 / 4);
    assert_true(counts.optional > 5000 && counts.reopens > 1000);
}

/* ---- the name of the rule ---- */

static enum rule rule_of(struct world *world, const struct state *state, struct verdict *verdict)
{
    struct seen seen = {0};

    see(&seen, state);
    model_judge(&world->model, world->now, false, SIZE_MAX, &seen, verdict);
    seen_release(&seen);
    return verdict->rule;
}

static void expect_rule(struct world *world, const struct state *state, enum rule rule)
{
    struct verdict verdict;

    if (rule_of(world, state, &verdict) != rule)
        fail_msg("%s is called %s: %s", rule_name(rule), rule_name(verdict.rule), verdict.text);
}

/* A history with all values different and every unit acknowledged. */
static void plain_history(struct world *world, uint64_t seed)
{
    world_init(world, seed, 0);
    for (int u = 0; u < 12; u++) {
        struct plain_write writes[WRITES_MAX];
        uint32_t count = rng_chance(&world->rng, 1, 2) ? 3 : 1;
        int first = (int)rng_below(&world->rng, KEYS);

        for (uint32_t i = 0; i < count; i++)
            writes[i] = (struct plain_write){(first + (int)i) % KEYS, some_value(world)};
        if (rng_chance(&world->rng, 1, 5))
            writes[count - 1].value = ABSENT;
        end(world, begin(world, writes, count), UNIT_OK);
        world->now++;
    }
}

static void a_lost_promise_is_below_floor(void **state)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct world world;
        struct span span = {0};
        struct state lost, all;
        uint32_t cut;

        plain_history(&world, seed);
        promise(&world, 12);
        cut = (uint32_t)rng_below(&world.rng, 12);
        state_at(&world, &span, 0, 12, &all);
        state_at(&world, &span, 0, cut, &lost);
        if (memcmp(&all, &lost, sizeof all) != 0)
            expect_rule(&world, &lost, RULE_BELOW_FLOOR);
        expect_rule(&world, &all, RULE_NONE);
        model_release(&world.model);
    }
}

/* The unit that failed is there, the promised one behind it is not. */
static void below_floor_with_an_optional_unit(void **state)
{
    struct world world;
    struct state seen = {{0}};

    world_init(&world, 1, 0);
    put(&world, 1, 10);
    end(&world, begin(&world, &(struct plain_write){2, 11}, 1), UNIT_ERROR);
    put(&world, 3, 12);
    promise(&world, 3);
    seen.value[1] = 10;
    seen.value[2] = 11;
    expect_rule(&world, &seen, RULE_BELOW_FLOOR);
    seen.value[3] = 12;
    expect_rule(&world, &seen, RULE_NONE);
    seen.value[2] = ABSENT;
    expect_rule(&world, &seen, RULE_NONE);
    model_release(&world.model);
}

/* A store that stopped refuses many writes; the one in flight at the crash is the last of them. */
static void the_last_of_many_errors_is_there(void **state)
{
    struct world world;
    struct state seen = {{0}};

    world_init(&world, 1, 0);
    put(&world, 1, 10);
    put(&world, 2, 11);
    put(&world, 4, 12);
    for (uint32_t i = 0; i < 9; i++)
        end(&world, begin(&world, &(struct plain_write){(int)(i % 3), i % 4 ? 20 + i : ABSENT}, 1),
            UNIT_ERROR);
    end(&world, begin(&world, &(struct plain_write){3, 30}, 1), UNIT_ERROR);
    promise(&world, 3);
    seen.value[1] = 10;
    seen.value[2] = 11;
    seen.value[4] = 12;
    expect_rule(&world, &seen, RULE_NONE);
    seen.value[3] = 30;
    expect_rule(&world, &seen, RULE_NONE);
    seen.value[2] = ABSENT; /* by the last delete that failed */
    expect_rule(&world, &seen, RULE_NONE);
    seen.value[2] = 25;
    expect_rule(&world, &seen, RULE_NONE);
    seen.value[4] = ABSENT;
    expect_rule(&world, &seen, RULE_HOLE);
    model_release(&world.model);
}

/* Plants units 1..12 with only `part` of one of them; returns whether no cut explains it. */
static bool plant(struct world *world, uint32_t hole, uint32_t part, struct state *seen)
{
    struct span span = {.ceiling = world->count};

    state_without(world, &span, 0, world->count, hole, part, seen);
    return !brute(world, &span, seen, UINT32_MAX);
}

static void a_lost_unit_before_others_is_a_hole(void **state)
{
    uint32_t planted = 0, batches = 0;

    for (uint64_t seed = 0; seed < 4000; seed++) {
        struct world world;
        struct state seen;
        uint32_t hole;

        plain_history(&world, seed);
        hole = 1 + (uint32_t)rng_below(&world.rng, 11);
        if (plant(&world, hole, 0, &seen)) {
            expect_rule(&world, &seen, RULE_HOLE);
            planted++;
            batches += world.units[hole].count > 1;
        }
        model_release(&world.model);
    }
    assert_true(planted > 300 && batches > 100);
}

static void half_of_the_last_batch_is_torn(void **state)
{
    uint32_t planted = 0;

    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct world world;
        struct state seen;

        plain_history(&world, seed);
        if (world.units[12].count == 3 &&
            plant(&world, 12, 1 + (uint32_t)rng_below(&world.rng, 6), &seen)) {
            expect_rule(&world, &seen, RULE_TORN_BATCH);
            planted++;
        }
        model_release(&world.model);
    }
    assert_true(planted > 200);
}

static void strangers_and_damage_are_told_apart(void **state)
{
    struct world world;
    struct state seen = {{0}};
    struct seen reading = {0};

    world_init(&world, 1, 0);
    put(&world, 1, 10);
    put(&world, 1, 11);
    seen.value[1] = 77;
    expect_rule(&world, &seen, RULE_WRONG_BYTES);
    seen.value[1] = EMPTY;
    expect_rule(&world, &seen, RULE_WRONG_BYTES);
    seen.value[1] = 11;
    seen.value[0] = 10;
    expect_rule(&world, &seen, RULE_PHANTOM); /* never written, the empty key */
    seen = (struct state){{0}};
    see(&reading, &seen);
    model_rebase(&world.model, &world.model, &reading); /* the crash lost both */
    world.now = 0;
    seen.value[1] = 11;
    expect_rule(&world, &seen, RULE_PHANTOM); /* back from the dead, on a key that is new again */
    world.count = 0;
    put(&world, 1, 20);
    expect_rule(&world, &seen, RULE_PHANTOM);
    seen.value[1] = 78;
    expect_rule(&world, &seen, RULE_WRONG_BYTES);
    seen.value[1] = 20;
    expect_rule(&world, &seen, RULE_NONE);
    seen_release(&reading);
    model_release(&world.model);
}

/* ---- corners ---- */

static void without_units_only_emptiness_is_legal(void **state)
{
    struct world world;
    struct state seen = {{0}};

    world_init(&world, 1, 0);
    expect_rule(&world, &seen, RULE_NONE);
    seen.value[0] = EMPTY;
    expect_rule(&world, &seen, RULE_PHANTOM);
    model_release(&world.model);
}

static void the_empty_key_and_value_count(void **state)
{
    struct world world;
    struct state seen = {{0}};

    world_init(&world, 1, 0);
    put(&world, 0, EMPTY);
    promise(&world, 1);
    expect_rule(&world, &seen, RULE_BELOW_FLOOR);
    seen.value[0] = EMPTY;
    expect_rule(&world, &seen, RULE_NONE);
    put(&world, 0, ABSENT);
    promise(&world, 2);
    expect_rule(&world, &seen, RULE_BELOW_FLOOR);
    model_release(&world.model);
}

static void a_kill_takes_nothing_that_returned(void **state)
{
    struct world world;
    struct verdict verdict;
    struct seen none = {0};

    world_init(&world, 1, 0);
    world.now = 5;
    put(&world, 1, 10); /* ends at 5 */
    begin(&world, &(struct plain_write){2, 11}, 1);
    model_judge(&world.model, 4, true, SIZE_MAX, &none, &verdict);
    assert_int_equal(verdict.rule, RULE_NONE);
    assert_int_equal(verdict.ceiling, 0);
    model_judge(&world.model, 5, true, SIZE_MAX, &none, &verdict);
    assert_int_equal(verdict.rule, RULE_BELOW_FLOOR);
    assert_int_equal(verdict.floor, 1);
    model_judge(&world.model, 5, false, SIZE_MAX, &none, &verdict);
    assert_int_equal(verdict.rule, RULE_NONE);
    model_judge(&world.model, 9, true, 0, &none, &verdict);
    assert_int_equal(verdict.rule, RULE_BELOW_FLOOR);
    assert_int_equal(verdict.ceiling, 2); /* begun at 6, still pending */
    model_release(&world.model);
}

static void without_trust_a_promise_is_void(void **state)
{
    struct world world;
    struct verdict verdict;
    struct seen none = {0};

    world_init(&world, 1, 0);
    put(&world, 1, 10);
    world.now = 3;
    promise(&world, 1);
    world.now = 8;
    model_judge(&world.model, 8, false, 3, &none, &verdict);
    assert_int_equal(verdict.rule, RULE_BELOW_FLOOR);
    model_judge(&world.model, 8, false, 2, &none, &verdict);
    assert_int_equal(verdict.rule, RULE_NONE);
    model_judge(&world.model, 8, false, 0, &none, &verdict);
    assert_int_equal(verdict.rule, RULE_NONE);
    model_judge(&world.model, 2, false, SIZE_MAX, &none, &verdict);
    assert_int_equal(verdict.rule, RULE_NONE);
    model_release(&world.model);
}

/* What was refused and tells nothing must not crowd out what can be seen. */
static void many_refused_hide_none(void **state)
{
    struct world world;
    struct state seen = {{0}};

    world_init(&world, 1, 0);
    put(&world, 1, 10);
    for (int i = 0; i < 7; i++) {
        end(&world, begin(&world, &(struct plain_write){2, ABSENT}, 1), UNIT_ERROR);
        end(&world, begin(&world, &(struct plain_write){3, 20 + (uint32_t)i}, 1), UNIT_ERROR);
    }
    end(&world, begin(&world, &(struct plain_write){3, 50}, 1), UNIT_ERROR);
    seen.value[1] = 10;
    expect_rule(&world, &seen, RULE_NONE);
    seen.value[3] = 50;
    expect_rule(&world, &seen, RULE_NONE);
    seen.value[1] = ABSENT;
    promise(&world, 1);
    expect_rule(&world, &seen, RULE_HOLE);
    model_release(&world.model);
}

static enum rule judged_at(struct model *model, uint64_t now, const char *value)
{
    struct seen seen = {0};
    struct verdict verdict;

    if (value)
        seen_add(&seen, bytes_str("k"), bytes_str(value));
    seen.now = now;
    model_judge(model, 100, false, SIZE_MAX, &seen, &verdict);
    seen_release(&seen);
    return verdict.rule;
}

/* k is "old", then "new" until 50; the clock goes 10, 40, 60, 45. */
static void values_expire(void **state)
{
    struct model model;
    struct model_write old = {false, bytes_str("k"), model_hash(bytes_str("old")), 3, 0, false,
                              {0}};
    struct model_write until = {false, bytes_str("k"), model_hash(bytes_str("new")), 3, 50, false,
                                {0}};

    model_init(&model);
    model_set_clock(&model, 0, 0, 10);
    model_begin(&model, 1, true, &old, 1, 1);
    model_end(&model, 1, UNIT_OK, 1, 2);
    model_begin(&model, 2, true, &until, 1, 3);
    model_end(&model, 2, UNIT_OK, 2, 4);
    model_promise(&model, 2, 4, "sync");
    model_set_clock(&model, 3, 5, 40);
    assert_int_equal(judged_at(&model, 40, "new"), RULE_NONE);
    assert_int_equal(judged_at(&model, 49, "new"), RULE_NONE);
    assert_int_equal(judged_at(&model, 50, NULL), RULE_NONE);
    assert_int_equal(judged_at(&model, 50, "new"), RULE_PHANTOM);
    assert_int_equal(judged_at(&model, 40, NULL), RULE_BELOW_FLOOR);  /* too early */
    assert_int_equal(judged_at(&model, 50, "old"), RULE_BELOW_FLOOR); /* what it replaced */
    model_set_clock(&model, 4, 6, 60);
    model_set_clock(&model, 5, 7, 45); /* back: there or not, but never the older one */
    assert_int_equal(model_clock(&model, 6), 60);
    assert_int_equal(model_clock(&model, 100), 45);
    assert_int_equal(judged_at(&model, 45, "new"), RULE_NONE);
    assert_int_equal(judged_at(&model, 45, NULL), RULE_NONE);
    assert_int_equal(judged_at(&model, 45, "old"), RULE_BELOW_FLOOR);
    until.expires = 55; /* written after the jump: the 60 does not count for it */
    model_begin(&model, 6, true, &until, 1, 8);
    model_end(&model, 6, UNIT_OK, 3, 9);
    model_promise(&model, 3, 9, "sync");
    assert_int_equal(judged_at(&model, 45, "new"), RULE_NONE);
    assert_int_equal(judged_at(&model, 45, NULL), RULE_BELOW_FLOOR);
    model_release(&model);
}

/* A delete of a range takes keys in it, whether written before or never, and leaves its end. */
static void ranges_delete(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d"};
    struct model model;
    struct verdict verdict;

    model_init(&model);
    for (uint32_t u = 0; u < 4; u++) {
        struct model_write put = {
            .key = bytes_str(keys[u]), .hash = model_hash(bytes_str("x")), .len = 1};

        model_begin(&model, u + 1, false, &put, 1, u);
        model_end(&model, u + 1, UNIT_OK, u + 1, u);
    }
    for (uint32_t u = 4; u < 6; u++) { /* the second one changes nothing */
        struct model_write range = {
            .is_delete = true, .is_range = true, .key = bytes_str("b"), .end = bytes_str("d")};

        model_begin(&model, u + 1, true, &range, 1, u);
        model_end(&model, u + 1, UNIT_OK, u + 1, u);
        assert_int_equal(model.units[u + 1].writes, 0); /* none of a single key */
    }
    model_promise(&model, 6, 6, "sync");
    for (unsigned there = 0; there < 16; there++) {
        struct seen seen = {0};

        for (unsigned k = 0; k < 4; k++)
            if (there >> k & 1)
                seen_add(&seen, bytes_str(keys[k]), bytes_str("x"));
        model_judge(&model, 100, false, SIZE_MAX, &seen, &verdict);
        assert_int_equal(verdict.rule == RULE_NONE, there == 9); /* a and d */
        if (there == 15)
            assert_int_equal(verdict.rule, RULE_BELOW_FLOOR);
        if (there == 11 || there == 13)
            assert_int_equal(verdict.rule, RULE_TORN_BATCH);
        seen_release(&seen);
    }
    model_release(&model);
}

/* A base remembers when it expires, and that the clock has been there. */
static void bases_expire(void **state)
{
    struct model model;
    struct model_write until = {false, bytes_str("k"), model_hash(bytes_str("new")), 3, 50, false,
                                {0}};
    struct seen seen = {0};

    model_init(&model);
    model_set_clock(&model, 0, 0, 10);
    model_begin(&model, 1, true, &until, 1, 1);
    model_end(&model, 1, UNIT_OK, 1, 2);
    seen_add(&seen, bytes_str("k"), bytes_str("new"));
    model_rebase(&model, &model, &seen);
    model_set_clock(&model, 0, 0, 10);
    assert_int_equal(judged_at(&model, 10, NULL), RULE_HOLE);
    assert_int_equal(judged_at(&model, 10, "new"), RULE_NONE);
    assert_int_equal(judged_at(&model, 70, NULL), RULE_NONE);
    model_set_clock(&model, 1, 0, 70);
    model_rebase(&model, &model, &seen);
    model_set_clock(&model, 0, 0, 10);
    assert_int_equal(judged_at(&model, 10, NULL), RULE_NONE);
    assert_int_equal(judged_at(&model, 10, "new"), RULE_NONE);
    seen_release(&seen);
    model_release(&model);
}

static void sequence_numbers_name_units(void **state)
{
    struct model model;
    struct model_write write = {false, bytes_str("k"), 1, 1, 0, false, {0}};

    model_init(&model);
    assert_int_equal(model_units_of_seq(&model, 100), 0);
    for (uint32_t u = 1; u <= 4; u++) {
        model_begin(&model, u, false, &write, 1, u);
        model_end(&model, u, u == 3 ? UNIT_ERROR : UNIT_OK, u * 10, u);
    }
    assert_int_equal(model_units_of_seq(&model, 9), 0);
    assert_int_equal(model_units_of_seq(&model, 10), 1);
    assert_int_equal(model_units_of_seq(&model, 35), 2);
    assert_int_equal(model_units_of_seq(&model, 40), 4);
    assert_int_equal(model_acknowledged(&model, 3), 2);
    assert_int_equal(model_acknowledged(&model, 4), 4);
    assert_int_equal(model_acknowledged(&model, 0), 0);
    model_release(&model);
}

/* Keys of any bytes and length, more than fit: the words about them stay in their place. */
static void long_and_binary_keys_are_described(void **state)
{
    static uint8_t keys[20][300];
    struct model model;
    struct verdict verdict;
    struct seen seen = {0};

    model_init(&model);
    for (uint32_t u = 0; u < 20; u++) {
        struct model_write write = {false, bytes_of(keys[u], 300), u + 5, 1, 0, false, {0}};

        memset(keys[u], u % 2 ? 0x01 : 'x', 300);
        keys[u][299] = (uint8_t)u;
        model_begin(&model, u + 1, false, &write, 1, u);
        model_end(&model, u + 1, UNIT_OK, 0, u);
    }
    model_judge(&model, 30, true, SIZE_MAX, &seen, &verdict);
    assert_int_equal(verdict.rule, RULE_BELOW_FLOOR);
    seen_add(&seen, bytes_of(keys[19], 300), bytes_str("?"));
    seen.entries[0].hash = 24;
    model_judge(&model, 30, false, SIZE_MAX, &seen, &verdict);
    assert_int_equal(verdict.rule, RULE_HOLE);
    seen.entries[0].hash = 1;
    model_judge(&model, 30, false, SIZE_MAX, &seen, &verdict);
    assert_int_equal(verdict.rule, RULE_WRONG_BYTES);
    seen_release(&seen);
    model_release(&model);
}

static void rules_have_names(void **state)
{
    for (int i = 0; i < RULES; i++) {
        enum rule rule = RULES;

        assert_true(rule_from_name(rule_name((enum rule)i), &rule));
        assert_int_equal(rule, i);
    }
    assert_false(rule_from_name("nonsense", &(enum rule){RULE_NONE}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sweep_is_brute_force),
        cmocka_unit_test(a_lost_promise_is_below_floor),
        cmocka_unit_test(below_floor_with_an_optional_unit),
        cmocka_unit_test(the_last_of_many_errors_is_there),
        cmocka_unit_test(a_lost_unit_before_others_is_a_hole),
        cmocka_unit_test(half_of_the_last_batch_is_torn),
        cmocka_unit_test(strangers_and_damage_are_told_apart),
        cmocka_unit_test(without_units_only_emptiness_is_legal),
        cmocka_unit_test(the_empty_key_and_value_count),
        cmocka_unit_test(a_kill_takes_nothing_that_returned),
        cmocka_unit_test(many_refused_hide_none),
        cmocka_unit_test(without_trust_a_promise_is_void),
        cmocka_unit_test(values_expire),
        cmocka_unit_test(bases_expire),
        cmocka_unit_test(ranges_delete),
        cmocka_unit_test(sequence_numbers_name_units),
        cmocka_unit_test(long_and_binary_keys_are_described),
        cmocka_unit_test(rules_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
