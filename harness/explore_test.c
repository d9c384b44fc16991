/* explore_test.c: the search, with a toy store whose crash states can be counted by hand. A3, that
 * frontier points are enough (states and verdicts), and A5, determinism, are among its tests.
 *
 * As the toy (toy_test.h) is, the search must be silent under every model; the states that it finds
 * must be those of brute force (every legal subset of the open micro-ops, at every crash point);
 * and a mistake must be found exactly where brute force finds one. Each planted mistake must be
 * found under its own name. */
#include "toy_test.h"

static const struct budget plain_budget = {.leaves = 5000, .samples = 30};
static const struct budget full_budget = {.leaves = 300, .samples = 30, .nested = 3, .life = 2};

static enum rule explored(struct trace *trace, const struct budget *budget, struct tally *tally,
                          struct finding *finding)
{
    struct explorer explorer;

    explorer_init(&explorer, budget, &toy_store, "", trace->seed);
    explore_trace(&explorer, trace, &toy_store, finding);
    if (tally)
        tally_add(tally, &explorer.tally);
    explorer_release(&explorer);
    return finding->found ? finding->verdict.rule : RULE_NONE;
}

/* ---- silence ---- */

static void the_toy_as_it_is_keeps_its_word(void **state)
{
    static const struct shape shape = {12, 150, 3, 64, true, true};
    static struct finding finding;
    struct tally tally;

    planted = NOTHING;
    tally_init(&tally);
    for (int model = 0; model < PC_MODELS; model++)
        for (uint64_t seed = 0; pc_model_simulated((enum pc_model)model) && seed < 25; seed++) {
            struct trace trace;

            random_trace(&trace, seed, (enum pc_model)model, &shape);
            if (explored(&trace, &full_budget, &tally, &finding) != RULE_NONE)
                fail_msg("%s, seed %u: %s: %s", pc_model_name((enum pc_model)model), (unsigned)seed,
                         rule_name(finding.verdict.rule), finding.verdict.text);
            trace_release(&trace);
        }
    print_message("%llu points, %llu of them exhaustive, %llu recoveries\n",
                  (unsigned long long)tally.points, (unsigned long long)tally.exhaustive,
                  (unsigned long long)tally.recoveries);
    assert_int_equal(tally.exhaustive + tally.sampled, tally.points);
    assert_true(tally.exhaustive > tally.points / 2 && tally.nested > 0);
    tally_release(&tally);
}

/* ---- brute force ---- */

#define SETS_MAX 4096

struct set {
    uint64_t hashes[SETS_MAX];
    size_t count;
};

static void set_add(struct set *set, uint64_t hash)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->hashes[i] == hash)
            return;
    assert_true(set->count < SETS_MAX);
    set->hashes[set->count++] = hash;
}

static bool set_has(const struct set *set, uint64_t hash)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->hashes[i] == hash)
            return true;
    return false;
}

static bool set_equal(const struct set *a, const struct set *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (!set_has(b, a->hashes[i]))
            return false;
    return a->count == b->count;
}

/* What trying every subset found. */
struct brute {
    struct set frontier, other; /* recovered states: over frontier points, over the others */
    bool broken, noise_broken;  /* some image with zeros (noise) breaks a rule */
    uint32_t rules[2];          /* which, a bit each: over frontier points, over the others */
    uint64_t images;            /* legal subsets of the frontier points */
    uint64_t recoveries;
    uint32_t near; /* only images that differ from some pole in no more micro-ops; 0: all */
};

/* In how many items does the image differ from the nearest pole (the first so many are kept)? */
static uint32_t distance(uint32_t subset, uint32_t items)
{
    uint32_t least = UINT32_MAX;

    for (uint32_t pole = 0; pole <= items; pole++) {
        uint32_t differs = (uint32_t)__builtin_popcount(subset ^ ((1u << pole) - 1));

        if (differs < least)
            least = differs;
    }
    return least;
}

static bool impose_subset(struct pc_image *image, uint32_t subset, enum pc_fill fill)
{
    pc_image_begin(image, NULL, fill);
    for (uint32_t i = 0; i < pc_image_items(image); i++)
        if (!pc_image_set(image, i, subset >> i & 1))
            return false;
    return true;
}

static void brute_point(struct judge *judge, struct session *session, size_t k, struct brute *brute)
{
    struct pc_image *image = pc_image_new(session->disk, k);
    bool frontier = pc_disk_is_frontier(session->disk, k);
    struct question question = {.kill = session->trace->disk.model == PC_PROCESS_KILL};
    struct verdict verdict;
    size_t opened;

    question.model = session_judge(session, k, &question.at, &question.trust);
    for (uint32_t subset = 0; subset >> pc_image_items(image) == 0; subset++) {
        if (!impose_subset(image, subset, PC_FILL_ZERO))
            continue;
        brute->images += frontier;
        if (brute->near && distance(subset, (uint32_t)pc_image_items(image)) >= brute->near)
            continue;
        for (int noise = 0; noise < 2; noise++) {
            impose_subset(image, subset, noise ? PC_FILL_NOISE : PC_FILL_ZERO);
            judge_image(judge, image, &question, &verdict, &opened);
            brute->recoveries++;
            *(noise ? &brute->noise_broken : &brute->broken) |= verdict.rule != RULE_NONE;
            if (verdict.rule != RULE_NONE)
                brute->rules[!frontier] |= 1u << verdict.rule;
            set_add(frontier ? &brute->frontier : &brute->other, seen_hash(&judge->seen) | 1);
        }
    }
    pc_image_free(image);
}

/* False: more open micro-ops than can be enumerated. */
static bool brute_epoch(struct session *session, struct brute *brute)
{
    size_t calls = pc_disk_call_count(session->disk);
    struct judge judge;

    *brute = (struct brute){.near = brute->near};
    for (size_t k = 0; k <= calls; k++) {
        struct pc_image *image = pc_image_new(session->disk, k);
        size_t items = pc_image_items(image);

        pc_image_free(image);
        if (items > 10)
            return false;
    }
    judge_init(&judge, &toy_store, "");
    for (size_t k = 0; k <= calls; k++)
        brute_point(&judge, session, k, brute);
    judge_release(&judge);
    return true;
}

static void run_session(struct session *session, struct trace *trace)
{
    session_init(session, trace, &toy_store);
    for (uint32_t i = 0; i < trace->op_count; i++)
        session_apply(session, i, NULL);
    session_end_epoch(session);
    assert_int_equal(session->verdict.rule, RULE_NONE);
}

static void collect_states(const struct explorer *explorer, struct set *set)
{
    set->count = 0;
    for (size_t i = 0; i < explorer->states.room; i++)
        if (explorer->states.slots[i])
            set_add(set, explorer->states.slots[i]);
    assert_int_equal(set->count, explorer->tally.states);
}

/* Explores one epoch and tries all its subsets. False: too large. */
static bool against_brute(uint64_t seed, enum pc_model model, struct brute *brute,
                          struct set *states, struct finding *finding, uint64_t *images)
{
    static const struct shape shape = {4, 70, 4, 64, false, false};
    struct explorer explorer;
    struct session session;
    struct trace trace;
    bool small;

    random_trace(&trace, seed, model, &shape);
    run_session(&session, &trace);
    small = brute_epoch(&session, brute);
    if (small) {
        *finding = (struct finding){0};
        explorer_init(&explorer, &plain_budget, &toy_store, "", seed);
        explore_epoch(&explorer, &session, finding);
        collect_states(&explorer, states);
        *images = mpz_get_ui(explorer.tally.exact);
        if (!finding->found)
            assert_int_equal(explorer.tally.exhaustive, explorer.tally.points);
        explorer_release(&explorer);
    }
    session_release(&session);
    trace_release(&trace);
    return small;
}

static void the_search_finds_the_states_of_brute_force(void **state)
{
    static struct finding finding;
    static struct brute brute;
    static struct set states;
    uint64_t recoveries = 0, images = 0;
    uint32_t compared = 0;

    planted = NOTHING;
    for (int model = 0; model < PC_MODELS; model++)
        for (uint64_t seed = 0; pc_model_simulated((enum pc_model)model) && seed < 60; seed++) {
            if (!against_brute(seed, (enum pc_model)model, &brute, &states, &finding, &images))
                continue;
            assert_false(finding.found || brute.broken || brute.noise_broken);
            assert_true(set_equal(&states, &brute.frontier));
            assert_int_equal(images, brute.images); /* the count is that of the subsets */
            for (size_t i = 0; i < brute.other.count; i++)
                assert_true(set_has(&brute.frontier, brute.other.hashes[i]));
            recoveries += brute.recoveries;
            compared++;
        }
    print_message("%u epochs compared, %llu recoveries by brute force\n", (unsigned)compared,
                  (unsigned long long)recoveries);
    assert_true(compared > 100);
}

/* E7: a search that must stop has seen all that is near the poles, to the depth that it says: what
 * it did not find lies further off. */
static void near_the_poles_nothing_is_missed(void **state)
{
    struct budget budget = {.leaves = 1};
    static const enum mistake mistakes[] = {NO_CHECKSUM, SKIP_BAD, NOTHING, PARITY};
    static const struct shape shapes[] = {{4, 70, 3, 64, false, false},
                                          {2, 190, 2, 64, false, false}};
    uint32_t levels[BOUNDS] = {0}, found = 0, far = 0;
    static struct brute brute, all;

    for (uint64_t seed = 0; seed < 500; seed++) {
        struct finding finding = {0};
        struct explorer explorer;
        struct session session;
        struct trace trace;
        int k = 0;

        budget.bounded = (uint32_t[]){8, 14, 30}[seed % 3];
        planted = mistakes[seed / 7 % 4];
        random_trace(&trace, seed, (enum pc_model)(PC_PREFIX + seed % (PC_MODELS - PC_PREFIX)),
                     &shapes[planted == PARITY]);
        run_session(&session, &trace);
        explorer_init(&explorer, &budget, &toy_store, "", seed);
        explore_epoch(&explorer, &session, &finding);
        while (k < BOUNDS && explorer.tally.complete_to[k] == 0)
            k++;
        brute.near = (uint32_t)k + 1;
        found += finding.found;
        /* Nothing is said of points whose budget did not do for the poles alone. */
        if (!finding.found && k < BOUNDS &&
            explorer.tally.sampled ==
                explorer.tally.complete_to[0] + explorer.tally.complete_to[1] +
                    explorer.tally.complete_to[2] + explorer.tally.complete_to[3] &&
            brute_epoch(&session, &brute)) {
            if (brute.broken)
                fail_msg("seed %u: complete to %d, and missed", (unsigned)seed, k);
            brute_epoch(&session, &all);
            far += all.broken;
            levels[k]++;
        }
        explorer_release(&explorer);
        session_release(&session);
        trace_release(&trace);
    }
    planted = NOTHING;
    print_message(
        "complete up to 0, 1, 2, more: %u, %u, %u, %u epochs, in %u of them a mistake lay "
        "further off; in %u it was found\n",
        (unsigned)levels[0], (unsigned)levels[1], (unsigned)levels[2], (unsigned)levels[3],
        (unsigned)far, (unsigned)found);
    assert_true(levels[0] > 20 && levels[1] + levels[2] > 20 && found > 50 && far > 0);
}

/* Mistakes that only a crash shows: the search finds one exactly where there is one. */
static void the_search_breaks_where_brute_force_does(void **state)
{
    static const enum mistake mistakes[] = {NO_CHECKSUM, NO_SYNC,  NO_DIRECTORY, LATE_SYNC,
                                            HALF_BATCH,  SKIP_BAD, REFUSE_TORN};
    static const enum pc_model models[] = {PC_PREFIX, PC_POSIX, PC_EXT4_ORDERED};
    static struct finding finding;
    static struct brute brute;
    static struct set states;
    uint64_t images;
    uint32_t broken = 0, whole = 0, others = 0;

    for (size_t m = 0; m < sizeof mistakes / sizeof mistakes[0]; m++)
        for (size_t d = 0; d < 3; d++)
            for (uint64_t seed = 100; seed < 112; seed++) {
                planted = mistakes[m];
                if (!against_brute(seed, models[d], &brute, &states, &finding, &images))
                    continue;
                if (brute.broken && !finding.found)
                    fail_msg("mistake %d, %s, seed %u: missed", (int)mistakes[m],
                             pc_model_name(models[d]), (unsigned)seed);
                if (finding.found && !brute.broken && !brute.noise_broken)
                    fail_msg("mistake %d, %s, seed %u: invented: %s", (int)mistakes[m],
                             pc_model_name(models[d]), (unsigned)seed, finding.verdict.text);
                /* A3: the frontier points are enough, for the verdicts, too. */
                assert_int_equal(brute.rules[1] & ~brute.rules[0], 0);
                for (size_t i = 0; i < brute.other.count; i++)
                    assert_true(set_has(&brute.frontier, brute.other.hashes[i]));
                others += brute.rules[1] != 0;
                broken += finding.found;
                whole += !finding.found;
            }
    planted = NOTHING;
    print_message("%u broken, %u of them also where no frontier is; %u whole\n", (unsigned)broken,
                  (unsigned)others, (unsigned)whole);
    assert_true(broken > 40 && whole > 10 && others > 20);
}

/* ---- mistakes by name ---- */

static void each_mistake_is_found_and_named(void **state)
{
    static const struct {
        enum mistake mistake;
        enum pc_model model;
        enum rule rule;
    } cases[] = {
        {NO_CHECKSUM, PC_POSIX, RULE_WRONG_BYTES},
        {NO_SYNC, PC_POSIX, RULE_BELOW_FLOOR},
        {NO_SYNC, PC_EXT4_ORDERED, RULE_BELOW_FLOOR},
        {NO_SYNC, PC_PREFIX, RULE_BELOW_FLOOR},
        {NO_DIRECTORY, PC_POSIX, RULE_BELOW_FLOOR},
        {LATE_SYNC, PC_POSIX, RULE_BELOW_FLOOR},
        {HALF_BATCH, PC_PREFIX, RULE_TORN_BATCH},
        {HALF_BATCH, PC_PROCESS_KILL, RULE_TORN_BATCH},
        {SKIP_BAD, PC_POSIX, RULE_HOLE},
        {REFUSE_TORN, PC_POSIX, RULE_OPEN},
        {LEAK_FILE, PC_POSIX, RULE_LEAK},
        {LOSE_AT_CLOSE, PC_PREFIX, RULE_RECOVERY},
        {ERASE_ON_OPEN, PC_PREFIX, RULE_BELOW_FLOOR},
    };
    static const struct shape shape = {10, 150, 3, 64, true, false};
    static struct finding finding;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t named = 0, found = 0;

        for (uint64_t seed = 0; seed < 12; seed++) {
            struct trace trace;
            enum rule rule;

            random_trace(&trace, seed, cases[i].model, &shape);
            planted = cases[i].mistake;
            rule = explored(&trace, &full_budget, NULL, &finding);
            planted = NOTHING;
            found += rule != RULE_NONE;
            named += rule == cases[i].rule;
            trace_release(&trace);
        }
        print_message("mistake %d: found in %u of 12 traces, as %s in %u\n", (int)cases[i].mistake,
                      (unsigned)found, rule_name(cases[i].rule), (unsigned)named);
        if (found < 3 || named * 2 < found)
            fail_msg("mistake %d under %s: found %u, named %u", (int)cases[i].mistake,
                     pc_model_name(cases[i].model), (unsigned)found, (unsigned)named);
    }
}

/* A log written through O_DSYNC is torn in the middle of a call, and nowhere else: before it none
 * of the record exists, after it all of it is durable. (On xfs an append is not torn even there:
 * its size waits for its data.) */
static void a_synchronous_write_is_torn_inside(void **state)
{
    static const struct shape shape = {10, 150, 3, 64, true, false};
    static const enum pc_model models[] = {PC_POSIX, PC_EXT4_ORDERED};
    static struct finding finding;

    synchronous = true;
    for (size_t m = 0; m < 2; m++) {
        uint32_t found = 0;

        for (uint64_t seed = 0; seed < 12; seed++) {
            struct trace trace;

            random_trace(&trace, seed, models[m], &shape);
            assert_int_equal(explored(&trace, &full_budget, NULL, &finding), RULE_NONE);
            planted = NO_CHECKSUM;
            if (explored(&trace, &full_budget, NULL, &finding) != RULE_NONE) {
                found++;
                assert_true(finding.cut[0].crash.inside);
                assert_int_equal(shrink_replay(&toy_store, &trace, &finding), finding.verdict.rule);
            }
            planted = NOTHING;
            trace_release(&trace);
        }
        print_message("%s: torn and believed in %u of 12 traces\n", pc_model_name(models[m]),
                      (unsigned)found);
        assert_true(found > 3);
    }
    synchronous = false;
}

/* ---- one seed, one run ---- */

static void equal_seeds_are_equal_runs(void **state)
{
    static const struct shape shape = {10, 150, 3, 64, true, true};
    static struct finding finding;

    planted = NOTHING;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct explorer runs[2];

        for (int run = 0; run < 2; run++) {
            struct trace trace;

            random_trace(&trace, seed, PC_POSIX, &shape);
            explorer_init(&runs[run], &full_budget, &toy_store, "", seed);
            explore_trace(&runs[run], &trace, &toy_store, &finding);
            assert_false(finding.found);
            trace_release(&trace);
        }
        assert_int_equal(runs[0].states.room, runs[1].states.room);
        assert_memory_equal(runs[0].states.slots, runs[1].states.slots,
                            runs[0].states.room * sizeof(uint64_t));
        assert_memory_equal(&runs[0].tally, &runs[1].tally, offsetof(struct tally, images));
        assert_int_equal(mpz_cmp(runs[0].tally.images, runs[1].tally.images), 0);
        assert_int_equal(mpz_cmp(runs[0].tally.exact, runs[1].tally.exact), 0);
        explorer_release(&runs[0]);
        explorer_release(&runs[1]);
    }
}

/* A recovery that looks elsewhere is noticed when the search comes by again; where there was
 * nothing to choose it does not come. */
static void a_fickle_recovery_is_called_that(void **state)
{
    static const enum mistake mistakes[] = {FICKLE_ORDER, FICKLE_LENGTH};
    static const enum pc_model models[] = {PC_POSIX, PC_PREFIX, PC_EXT4_ORDERED};
    static struct finding finding;
    uint32_t noticed[2] = {0};

    for (int m = 0; m < 2; m++)
        for (uint64_t seed = 0; seed < 120; seed++) {
            const struct shape shape = {6 + (uint32_t)seed / 12, 150, 0, 64, false, false};
            struct trace trace;
            enum rule rule;

            random_trace(&trace, seed, models[seed % 3], &shape);
            openings = seed / 3 % 2;
            planted = mistakes[m];
            rule = explored(&trace, &plain_budget, NULL, &finding);
            planted = NOTHING;
            if (rule != RULE_NONDETERMINISM && rule != RULE_NONE)
                fail_msg("mistake %d, seed %u: %s: %s", (int)mistakes[m], (unsigned)seed,
                         rule_name(rule), finding.verdict.text);
            noticed[m] += rule == RULE_NONDETERMINISM;
            trace_release(&trace);
        }
    print_message("noticed in %u and %u of 120 traces\n", (unsigned)noticed[0],
                  (unsigned)noticed[1]);
    assert_true(noticed[0] > 30 && noticed[1] > 20);
}

/* J7: a call fails while the store recovers. That excuses the answer of this open alone. */
static void the_open_after_a_failing_call_is_not_excused(void **state)
{
    static const struct budget budget = {
        .leaves = 100, .trouble = 4, .trouble_kind = TROUBLE_WRITE, .trouble_tries = 8};
    static const enum mistake mistakes[] = {NOTHING, HURT_FOR_GOOD};
    static const enum pc_model models[] = {PC_POSIX, PC_PREFIX, PC_EXT4_ORDERED, PC_BTRFS};
    static struct finding finding;

    for (int m = 0; m < 2; m++) {
        uint32_t broken = 0;

        for (uint64_t seed = 0; seed < 12; seed++) {
            const struct shape shape = {6, 150, 3, 64, false, false};
            enum rule rule;
            struct trace trace;

            random_trace(&trace, seed, models[seed % 4], &shape);
            planted = mistakes[m];
            rule = explored(&trace, &budget, NULL, &finding);
            planted = NOTHING;
            assert_true(rule == RULE_NONE || rule == RULE_OPEN);
            broken += rule == RULE_OPEN;
            trace_release(&trace);
        }
        assert_int_equal(broken, m == 0 ? 0 : 12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_toy_as_it_is_keeps_its_word),
        cmocka_unit_test(the_search_finds_the_states_of_brute_force),
        cmocka_unit_test(the_search_breaks_where_brute_force_does),
        cmocka_unit_test(near_the_poles_nothing_is_missed),
        cmocka_unit_test(each_mistake_is_found_and_named),
        cmocka_unit_test(a_synchronous_write_is_torn_inside),
        cmocka_unit_test(equal_seeds_are_equal_runs),
        cmocka_unit_test(a_fickle_recovery_is_called_that),
        cmocka_unit_test(the_open_after_a_failing_call_is_not_excused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
