/* explore_verify_test.c: decisions by use, on minivault itself.
 *
 *   A2  what the search finds by use it finds by reads, and the legal images are as many;
 *   A4  a recovery that looks at bytes that no checksum has passed is flagged, whether it then
 *       reads, writes or recovers something else; one that does not is not.
 *
 *   A5  a recovery reads, writes, finds and asks for the same, whatever was recovered before.
 *
 * A1 and A2 on random orders and toy recoveries are in faults/lazy_test.c; A3 (frontiers), and the
 * rest of A5 (determinism) in explore_test.c; A6 is conformance_test.c. README.md has them all. */
#include "explore.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "play.h"
#include "powercut/hooks.h"
#include "powercut/verdict.h"
#include "sum.h"

extern const struct pc_store store_minivault;

static void random_trace(struct trace *trace, uint64_t seed, enum pc_model model)
{
    struct rng rng = rng_seeded(seed);
    uint32_t next = 0, ops = 3 + (uint32_t)rng_below(&rng, 4);

    trace_init(trace);
    trace->seed = seed;
    trace->disk = (struct pc_disk_config){
        .model = model, .unit = rng_chance(&rng, 1, 2) ? 128 : 512, .seed = seed};
    snprintf(trace->tuning, sizeof trace->tuning,
             "write_buffer=%u block=256 table=1024 level0=2 level1=1024 multiplier=2 bloom=10 "
             "cache=0 chunk=%u manifest=256",
             rng_chance(&rng, 1, 3) ? 600u : 4000u, (unsigned)trace->disk.unit);
    for (uint32_t i = 0; i < ops; i++) {
        uint64_t r = rng_below(&rng, 12);
        uint8_t key = (uint8_t)('a' + rng_below(&rng, 3));
        uint32_t length = rng_chance(&rng, 1, 4) ? 700 : 30;
        struct op *op = trace_add(trace, r == 0 ? OP_SYNC : (r == 1 ? OP_FLUSH : OP_PUT));

        if (op->kind != OP_PUT)
            continue;
        op->sync = rng_chance(&rng, 1, 6);
        trace_add_write(trace, op, false, trace_key(trace, bytes_of(&key, 1)),
                        (struct value){length, ++next, NULL});
    }
}

struct outcome {
    struct tally tally;
    uint64_t *states;
    size_t room;
    enum rule rule;
    char text[640];
};

static void explore(const struct pc_store *store, uint64_t seed, enum pc_model model,
                    const struct budget *budget, struct outcome *out)
{
    static struct finding finding;
    struct explorer explorer;
    struct trace trace;

    random_trace(&trace, seed, model);
    explorer_init(&explorer, budget, store, trace.tuning, seed);
    explore_trace(&explorer, &trace, store, &finding);
    *out = (struct outcome){.rule = finding.found ? finding.verdict.rule : RULE_NONE};
    snprintf(out->text, sizeof out->text, "%s", finding.verdict.text);
    tally_init(&out->tally);
    tally_add(&out->tally, &explorer.tally);
    out->states = explorer.states.slots;
    out->room = explorer.states.room;
    explorer.states.slots = NULL;
    explorer_release(&explorer);
    trace_release(&trace);
}

static void release(struct outcome *out)
{
    tally_release(&out->tally);
    free(out->states);
}

static bool has(const struct outcome *out, uint64_t state)
{
    for (size_t i = 0; i < out->room; i++)
        if (out->states[i] == state)
            return true;
    return false;
}

static const enum pc_model lattices[] = {PC_PREFIX,       PC_POSIX,          PC_POSIX_MIN,
                                         PC_EXT4_ORDERED, PC_EXT4_WRITEBACK, PC_XFS};

static void a2_by_use_and_by_reads_find_the_same(void **state)
{
    struct budget by_use = {.leaves = 30000, .witness = 1};
    struct budget by_reads = {.leaves = 30000, .by_reads = true};
    uint64_t compared = 0, less = 0, leaves[2] = {0}, assumed = 0;

    for (uint64_t seed = 0; seed < 60; seed++) {
        struct outcome use, reads;

        explore(&store_minivault, seed, lattices[seed % 6], &by_use, &use);
        if (use.rule != RULE_NONE)
            fail_msg("seed %u: %s: %s", (unsigned)seed, rule_name(use.rule), use.text);
        explore(&store_minivault, seed, lattices[seed % 6], &by_reads, &reads);
        assert_int_equal(reads.rule, RULE_NONE);
        assert_int_equal(use.tally.by_reads, 0);
        assert_int_equal(use.tally.sampled, 0);
        leaves[0] += use.tally.leaves;
        leaves[1] += reads.tally.leaves;
        assumed += use.tally.assumed;
        for (size_t i = 0; i < reads.room; i++)
            if (reads.states[i])
                assert_true(has(&use, reads.states[i]));
        if (reads.tally.sampled == 0) {
            assert_int_equal(use.tally.states, reads.tally.states);
            assert_int_equal(mpz_cmp(use.tally.exact, reads.tally.exact), 0);
            compared++;
        }
        less += use.tally.leaves < reads.tally.leaves;
        release(&use);
        release(&reads);
    }
    print_message("%u traces compared; by use %u leaves, %u checks said to fail; by reads %u\n",
                  (unsigned)compared, (unsigned)leaves[0], (unsigned)assumed, (unsigned)leaves[1]);
    assert_true(compared > 40 && assumed > 50 && less > 10);
}

/* ---- A4 ---- */

enum peeping { NO_PEEPING, PEEP_AND_READ, PEEP_AND_WRITE, PEEP_AND_KEEP, PEEPINGS };

static enum peeping peeping;
static const struct pc_hooks *below;
static bool peeped;

/* Looks at the last byte of what has failed. */
static enum pc_verdict peeping_verify(void *ctx, const void *range, size_t len, uint32_t expected,
                                      enum pc_checksum algorithm)
{
    enum pc_verdict verdict = PC_VERDICT_COMPUTE;

    if (below->verify)
        verdict = below->verify(below->ctx, range, len, expected, algorithm);
    if (verdict == PC_VERDICT_COMPUTE)
        verdict = sum_crc32c(range, len) == expected ? PC_VERDICT_PASS : PC_VERDICT_FAIL;
    if (verdict == PC_VERDICT_FAIL)
        peeped = ((const uint8_t *)range)[len - 1] == 0;
    return verdict;
}

static void peeping_use(void *ctx, const void *p, size_t len)
{
    if (below->use)
        below->use(below->ctx, p, len);
}

static void act(void *db)
{
    struct pc_write write = {.key = bytes_str("a"), .value = bytes_str("x"), .is_delete = true};
    struct pc_store_error error;
    uint8_t byte;
    uint64_t seq;
    int fd;

    switch (peeping) {
    case PEEP_AND_READ:
        fd = open(STORE_DIR "/CURRENT", O_RDONLY);
        (void)!pread(fd, &byte, 1, 0);
        close(fd);
        break;
    case PEEP_AND_WRITE:
        fd = open(STORE_DIR "/note", O_WRONLY | O_CREAT, 0644);
        close(fd);
        break;
    case PEEP_AND_KEEP:
        store_minivault.write(db, &write, 1, false, &seq, &error);
        break;
    default:
        break;
    }
}

static enum pc_store_status peeping_open(const struct pc_store_env *env, void **db,
                                         struct pc_store_error *error)
{
    struct pc_store_env mine = *env;
    static struct pc_hooks hooks;
    enum pc_store_status st;

    if (env->hooks == NULL)
        return store_minivault.open(env, db, error);
    below = env->hooks;
    hooks = *env->hooks;
    hooks.verify = peeping_verify;
    hooks.use = peeping_use;
    hooks.ctx = below->ctx;
    mine.hooks = &hooks;
    peeped = false;
    st = store_minivault.open(&mine, db, error);
    if (st == PC_STORE_OK && peeped)
        act(*db);
    return st;
}

static void a4_looking_at_unverified_bytes_is_flagged(void **state)
{
    struct budget budget = {.leaves = 5000, .witness = 1};
    struct pc_store store = store_minivault;
    uint32_t flagged[PEEPINGS] = {0}, other = 0;

    store.open = peeping_open;
    for (int kind = 0; kind < PEEPINGS; kind++)
        for (uint64_t seed = 0; seed < 24; seed++) {
            struct outcome out;

            peeping = (enum peeping)kind;
            explore(&store, seed, lattices[1 + seed % 5], &budget, &out);
            flagged[kind] += out.rule == RULE_UNVERIFIED;
            other += out.rule != RULE_UNVERIFIED && out.rule != RULE_NONE;
            if (kind == NO_PEEPING && out.rule != RULE_NONE)
                fail_msg("seed %u: %s", (unsigned)seed, out.text);
            release(&out);
        }
    peeping = NO_PEEPING;
    print_message("flagged in %u, %u, %u of 24 traces; in %u another rule broke first\n",
                  (unsigned)flagged[1], (unsigned)flagged[2], (unsigned)flagged[3],
                  (unsigned)other);
    for (int kind = 1; kind < PEEPINGS; kind++)
        assert_true(flagged[kind] > 4 || (kind == PEEP_AND_KEEP && flagged[kind] + other > 4));
}

/* ---- A5 ---- */

struct trail {
    uint64_t seen, looks, log, requests;
    size_t peak, used;
};

static struct trail recovered(struct judge *judge, struct session *session, size_t k, bool newest)
{
    struct pc_image *image = pc_image_new(session->disk, k);
    struct question question = {0};
    struct verdict verdict;
    size_t opened;
    struct trail trail;

    for (uint32_t i = 0; i < pc_image_items(image); i++)
        pc_image_set(image, i, newest);
    question.model = session_judge(session, k, &question.at, &question.trust);
    question.now = model_clock(question.model, question.at);
    judge_image(judge, image, &question, &verdict, &opened);
    assert_int_equal(verdict.rule, RULE_NONE);
    trail = (struct trail){seen_hash(&judge->seen),   pc_disk_looks(judge->disk),
                           pc_disk_hash(judge->disk), judge->heap.requests,
                           judge->heap.peak,          judge->heap.used};
    pc_image_free(image);
    return trail;
}

/* What a recovery does, and which memory it gets, does not depend on the recoveries before it. */
static void a5_a_recovery_forgets_the_one_before(void **state)
{
    uint32_t compared = 0, differ = 0;

    for (uint64_t seed = 0; seed < 12; seed++) {
        struct judge judges[2];
        struct session session;
        struct trace trace;

        random_trace(&trace, seed, PC_POSIX);
        session_init(&session, &trace, &store_minivault);
        for (uint32_t i = 0; i < trace.op_count; i++)
            session_apply(&session, i, NULL);
        session_end_epoch(&session);
        for (int j = 0; j < 2; j++)
            judge_init(&judges[j], &store_minivault, trace.tuning);
        for (size_t k = 0; k <= pc_disk_call_count(session.disk); k++) {
            struct trail first = recovered(&judges[0], &session, k, true);
            struct trail other = recovered(&judges[0], &session, k, false);
            struct trail again = recovered(&judges[0], &session, k, true);
            struct trail fresh = recovered(&judges[1], &session, k, true);

            assert_memory_equal(&first, &again, sizeof first);
            assert_memory_equal(&first, &fresh, sizeof first);
            differ += memcmp(&first, &other, sizeof first) != 0;
            compared++;
        }
        for (int j = 0; j < 2; j++)
            judge_release(&judges[j]);
        session_release(&session);
        trace_release(&trace);
    }
    print_message("%u points; at %u of them another image makes another recovery\n",
                  (unsigned)compared, (unsigned)differ);
    assert_true(compared > 150 && differ > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a5_a_recovery_forgets_the_one_before),
        cmocka_unit_test(a2_by_use_and_by_reads_find_the_same),
        cmocka_unit_test(a4_looking_at_unverified_bytes_is_flagged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
