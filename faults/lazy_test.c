/* lazy_test.c: decisions by use and by verdict, against brute force.
 *
 * A toy recovery reads a log of records that are packed into shared units, some of them written
 * over older ones, and asks for each checksum before it looks at the bytes. On random histories
 * under every model with a lattice:
 *   A1  the weights of the leaves sum to the number of legal sets, always;
 *   A2  what the toy finds over the leaves is what it finds over all legal sets, tried one by one;
 *   A3  crash points before a sync, and the end, are enough;
 *   A5  equal answers so far, equal question next: asked of every leaf.
 * With POWERCUT_LONG in the environment: a million leaves, every instance up to 2^14 legal sets and
 * one in 64 up to 2^20 tried one by one.
 * Five ways to recover: stop at the first bad record; go on behind it; look for the next good one
 * byte by byte; look at the log from both ends; take a record without asking for its checksum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "base/rng.h"
#include "inner.h"
#include "powercut/verdict.h"

#define HEADER   7u /* sum, length, number */
#define LOG_MAX  16384u
#define LOG_USED 4096u /* of the random ones */
#define SETS_MAX 5000u

enum recovery { STOP, SKIP, RESYNC, BOTH_ENDS, NO_SUM, RECOVERIES };

/* ---- the log ---- */

static uint32_t sum_of(const uint8_t *p, size_t len)
{
    return (uint32_t)XXH3_64bits(p, len);
}

static size_t record(uint8_t *out, uint32_t payload, uint8_t number, uint64_t seed)
{
    uint32_t sum;

    out[4] = (uint8_t)payload;
    out[5] = (uint8_t)(payload >> 8);
    out[6] = number;
    for (uint32_t i = 0; i < payload; i++)
        out[HEADER + i] = (uint8_t)(rng_mix(seed ^ i) | 1);
    sum = sum_of(out + 4, HEADER - 4 + payload);
    memcpy(out, &sum, 4);
    return HEADER + payload;
}

struct shape {
    uint32_t calls, payload_most, unit, block;
};

/* Appends, overwrites, syncs and cuts of one log, and a rename beside it. */
static struct pc_disk *history(struct rng *rng, enum pc_model model, const struct shape *shape)
{
    struct pc_disk_config config = {.model = model, .unit = shape->unit, .block = shape->block};
    struct pc_disk *disk = pc_disk_new(&config);
    uint64_t end = 0;
    uint32_t ino = 0, other = 0;
    uint8_t number = 0;

    assert_int_equal(disk_create(disk, DISK_ROOT, "log", 3, &ino), 0);
    if (rng_chance(rng, 1, 2))
        assert_int_equal(disk_sync_all(disk), 0);
    for (uint32_t i = 0; i < shape->calls; i++) {
        uint8_t bytes[300];
        uint64_t r = rng_below(rng, 20);
        size_t len = 0;

        if (r < 13 && end < LOG_USED - 600) {
            for (uint64_t n = 1 + rng_below(rng, 2); n > 0; n--)
                len += record(bytes + len, (uint32_t)rng_below(rng, shape->payload_most) + 1,
                              ++number, rng_next(rng));
            assert_int_equal(disk_write(disk, ino, end, bytes, len, r == 12), len);
            end += len;
        } else if (r == 13 || r == 14) {
            end = 0; /* the log is used again, over the old records */
        } else if (r == 15) {
            end = rng_below(rng, end + 1);
            assert_int_equal(disk_truncate(disk, ino, end), 0);
        } else if (r == 16 && other == 0) {
            assert_int_equal(disk_create(disk, DISK_ROOT, "new", 3, &other), 0);
            len = record(bytes, 3, 200, rng_next(rng));
            assert_int_equal(disk_write(disk, other, 0, bytes, len, false), len);
            assert_int_equal(disk_rename(disk, DISK_ROOT, "new", 3, DISK_ROOT, "log", 3), 0);
            ino = other;
            end = len;
        } else if (r >= 18) {
            assert_int_equal(disk_sync(disk, ino, r == 18), 0);
        }
    }
    return disk;
}

/* ---- the recovery ---- */

struct toy {
    struct pc_disk *disk;
    enum recovery recovery;
    size_t chunk; /* bytes of a read */
    uint8_t bytes[LOG_MAX + 400];
    size_t size;
    uint64_t found; /* a hash of the records accepted, in order */
};

static bool passes(void *ctx, const uint8_t *bytes, size_t len)
{
    return sum_of(bytes, len) == *(const uint32_t *)ctx;
}

static bool checked(struct toy *toy, size_t at, size_t len)
{
    uint32_t sum;
    enum pc_verdict verdict;

    pc_disk_use(toy->disk, toy->bytes + at, 4);
    memcpy(&sum, toy->bytes + at, 4);
    verdict = pc_disk_verify(toy->disk, toy->bytes + at + 4, len - 4, passes, &sum);
    if (verdict == PC_VERDICT_COMPUTE)
        return passes(&sum, toy->bytes + at + 4, len - 4);
    return verdict == PC_VERDICT_PASS;
}

static void accept(struct toy *toy, size_t at, size_t len)
{
    pc_disk_use(toy->disk, toy->bytes + at, len);
    toy->found = rng_mix(toy->found ^ XXH3_64bits(toy->bytes + at, len));
}

/* The length of the record at `at`, 0 when it cannot be one; *good: it passes. */
static size_t look(struct toy *toy, size_t at, bool *good)
{
    size_t len;

    *good = false;
    if (toy->size - at < HEADER)
        return 0;
    pc_disk_use(toy->disk, toy->bytes + at + 4, 2);
    len = HEADER + toy->bytes[at + 4] + 256u * toy->bytes[at + 5];
    if (len == HEADER || len > toy->size - at)
        return 0;
    *good = toy->recovery == NO_SUM || checked(toy, at, len);
    return len;
}

static void recover(struct toy *toy)
{
    uint32_t ino = 0;
    ssize_t got = 1;
    size_t at = 0;

    toy->size = 0;
    toy->found = 0;
    if (disk_lookup(toy->disk, DISK_ROOT, "log", 3, &ino) != 0)
        return;
    while (got > 0 && toy->size < LOG_MAX) {
        got = disk_read(toy->disk, ino, toy->size, toy->bytes + toy->size, toy->chunk);
        toy->size += got > 0 ? (size_t)got : 0;
    }
    if (toy->recovery == BOTH_ENDS && toy->size > 3)
        pc_disk_use(toy->disk, toy->bytes + toy->size - 2, 2),
            toy->found = toy->bytes[toy->size - 2] * 256u + toy->bytes[toy->size - 1];
    while (at < toy->size) {
        bool good;
        size_t len = look(toy, at, &good);

        if (good)
            accept(toy, at, len);
        else if (toy->recovery == STOP || toy->recovery == NO_SUM || toy->recovery == BOTH_ENDS)
            break;
        at += good || (toy->recovery == SKIP && len) ? len : 1;
    }
}

/* ---- the search ---- */

struct answers {
    uint32_t n[4096], value[4096];
    uint64_t key[4096];
    uint32_t count, next;
};

static size_t choose(void *ctx, const struct pc_choice *choice)
{
    struct answers *answers = ctx;
    uint64_t key = choice->key ^ XXH3_64bits(choice->items, choice->n * sizeof *choice->items);
    uint32_t i = answers->next++;

    assert_true(i < 4096);
    if (i == answers->count) {
        answers->n[i] = (uint32_t)choice->n;
        answers->value[i] = 0;
        answers->key[i] = key;
        answers->count++;
    }
    assert_true(answers->n[i] == choice->n && answers->key[i] == key); /* A5 */
    return answers->value[i];
}

static bool advance(struct answers *answers)
{
    answers->count = answers->next;
    while (answers->count > 0) {
        uint32_t last = answers->count - 1;

        if (++answers->value[last] < answers->n[last])
            return true;
        answers->count--;
    }
    return false;
}

struct set {
    uint64_t hashes[SETS_MAX];
    uint32_t count;
};

static void set_add(struct set *set, uint64_t hash)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->hashes[i] == hash)
            return;
    assert_true(set->count < SETS_MAX);
    set->hashes[set->count++] = hash;
}

static bool set_has(const struct set *set, uint64_t hash)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->hashes[i] == hash)
            return true;
    return false;
}

struct search {
    struct set outcomes;
    uint64_t leaves, assumed;
    bool capped;
};

/* A leaf is made concrete and run again without hooks: it has to find the same. */
static void run_member(struct toy *toy, struct pc_image *image)
{
    uint64_t found = toy->found;
    uint8_t states[4096];
    uint32_t n = (uint32_t)pc_image_items(image);

    pc_image_comply(image);
    for (uint32_t i = 0; i < n; i++)
        states[i] = (uint8_t)pc_image_state(image, i);
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    for (uint32_t i = 0; i < n; i++)
        if (states[i] != PC_ITEM_OPEN)
            assert_true(pc_image_set(image, i, states[i] == PC_ITEM_KEPT));
    pc_disk_reboot(toy->disk, image);
    recover(toy);
    assert_int_equal(toy->found, found);
}

static void search(struct toy *toy, struct pc_image *image, struct search *out)
{
    static struct answers answers;
    struct pc_chooser chooser = {&answers, choose};
    mpz_t legal, sum, weight;

    mpz_inits(legal, sum, weight, NULL);
    *out = (struct search){0};
    answers.count = 0;
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    assert_true(pc_image_count(image, 100000, legal));
    do {
        answers.next = 0;
        pc_image_begin(image, &chooser, PC_FILL_ZERO);
        pc_disk_reboot(toy->disk, image);
        pc_disk_decide_by_use(toy->disk);
        recover(toy);
        assert_false(pc_image_gave_up(image));
        assert_true(pc_image_count(image, 100000, weight));
        assert_true(mpz_sgn(weight) > 0);
        mpz_add(sum, sum, weight);
        set_add(&out->outcomes, toy->found);
        out->assumed += pc_image_assumed(image);
        if (out->leaves < 8 || out->leaves % 16 == 0)
            run_member(toy, image);
        out->capped = ++out->leaves == 150;
    } while (!out->capped && advance(&answers));
    if (!out->capped && mpz_cmp(sum, legal) != 0) {
        gmp_fprintf(stderr, "%Zd, not %Zd\n", sum, legal);
        fail();
    }
    mpz_clears(legal, sum, weight, NULL);
}

/* Every legal set: item 0 is the highest bit, and what fails at item i fails with all that follows.
 * Answers how many there are. */
static uint64_t brute(struct toy *toy, struct pc_image *image, struct set *out)
{
    uint32_t n = (uint32_t)pc_image_items(image), i;
    uint64_t legal = 0, next;

    out->count = 0;
    assert_true(n < 60);
    for (uint64_t subset = 0; subset >> n == 0; subset = next) {
        next = subset + 1;
        pc_image_begin(image, NULL, PC_FILL_ZERO);
        for (i = 0; i < n; i++)
            if (!pc_image_set(image, i, subset >> (n - 1 - i) & 1))
                break;
        if (i < n) {
            next = ((subset >> (n - 1 - i)) + 1) << (n - 1 - i);
            continue;
        }
        legal++;
        pc_disk_reboot(toy->disk, image);
        recover(toy);
        set_add(out, toy->found);
    }
    return legal;
}

/* Is this instance tried set by set? */
static bool tried(struct pc_image *image, uint64_t number, bool all)
{
    bool answer = false;
    double legal;
    mpz_t count;

    mpz_init(count);
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    if (pc_image_count(image, 100000, count) && pc_image_items(image) < 60) {
        legal = mpz_get_d(count);
        answer = legal <= 512 || (legal <= 16384 && (all || number % 16 == 0)) ||
                 (legal <= 1048576 && all && number % 64 == 0);
    }
    mpz_clear(count);
    return answer;
}

static const enum pc_model models[] = {PC_PREFIX,       PC_POSIX,          PC_POSIX_MIN,
                                       PC_EXT4_ORDERED, PC_EXT4_WRITEBACK, PC_XFS};

static void a1_a2_partition_and_outcomes(void **state)
{
    uint64_t orders = 0, compared = 0, leaves = 0, assumed = 0, capped = 0, sets = 0, legal = 0;
    bool all = getenv("POWERCUT_LONG") != NULL;
    static struct search found;
    static struct set every;
    static struct toy toy;

    for (uint64_t seed = 0; orders < 10000 || (all && leaves < 1000000); seed++) {
        static const uint32_t units[] = {8, 16, 32, 64};
        struct rng rng = rng_seeded(seed);
        struct shape shape = {.calls = 2 + (uint32_t)rng_below(&rng, 7)};
        struct pc_image *image;
        struct pc_disk *disk;

        shape.unit = units[rng_below(&rng, 4)];
        shape.block = shape.unit << rng_below(&rng, 3);
        shape.payload_most = (uint32_t[]){4, 20, 60}[rng_below(&rng, 3)];
        disk = history(&rng, models[seed % 6], &shape);
        image = pc_image_new(disk, rng_chance(&rng, 2, 3)
                                       ? pc_disk_call_count(disk)
                                       : rng_below(&rng, pc_disk_call_count(disk) + 1));
        if (pc_image_items(image) < 400) {
            toy.disk = pc_disk_boot(image);
            toy.recovery = (enum recovery)(seed / 6 % RECOVERIES);
            toy.chunk = rng_chance(&rng, 1, 2) ? shape.unit : 1 + rng_below(&rng, 100);
            search(&toy, image, &found);
            orders += !found.capped; /* its sum was checked */
            capped += found.capped;
            leaves += found.leaves;
            assumed += found.assumed;
            if (!found.capped && tried(image, orders, all)) {
                legal += brute(&toy, image, &every);
                for (uint32_t i = 0; i < every.count; i++)
                    assert_true(set_has(&found.outcomes, every.hashes[i]));
                assert_int_equal(every.count, found.outcomes.count);
                compared++;
                sets += every.count;
            }
            pc_disk_free(toy.disk);
        }
        pc_image_free(image);
        pc_disk_free(disk);
    }
    print_message(
        "%u orders, their weights summed (%u more not finished), %u leaves, %u checks said "
        "to fail; %u compared with all of their %u legal sets, %u outcomes\n",
        (unsigned)orders, (unsigned)capped, (unsigned)leaves, (unsigned)assumed, (unsigned)compared,
        (unsigned)legal, (unsigned)sets);
    assert_true(compared > 6000 && assumed > 5000 && capped < orders / 6);
}

/* A3: what the toy finds at any point it finds at one of the frontier points, be it where a file or
 * the directory is synced. */
static void a3_frontiers_are_enough(void **state)
{
    static struct set frontier, other;
    uint64_t points = 0, frontiers = 0, systems = 0;
    static struct toy toy;

    for (uint64_t seed = 0; systems < 400; seed++) {
        struct rng rng = rng_seeded(seed ^ 77777);
        struct shape shape = {
            .calls = 4 + (uint32_t)rng_below(&rng, 4), .payload_most = 12, .unit = 16, .block = 32};
        struct pc_disk *disk = history(&rng, models[seed % 6], &shape);
        bool small = true;

        frontier.count = other.count = 0;
        toy.recovery = (enum recovery)(seed / 6 % RECOVERIES);
        toy.chunk = shape.unit;
        for (size_t k = 0; k <= pc_disk_call_count(disk) && small; k++) {
            struct pc_image *image = pc_image_new(disk, k);
            struct set *set = pc_disk_is_frontier(disk, k) ? &frontier : &other;
            static struct set found;

            small = pc_image_items(image) <= 12;
            toy.disk = pc_disk_boot(image);
            if (small)
                (void)brute(&toy, image, &found);
            for (uint32_t i = 0; small && i < found.count; i++)
                set_add(set, found.hashes[i]);
            points += small;
            frontiers += small && set == &frontier;
            pc_disk_free(toy.disk);
            pc_image_free(image);
        }
        for (uint32_t i = 0; small && i < other.count; i++)
            assert_true(set_has(&frontier, other.hashes[i]));
        systems += small;
        pc_disk_free(disk);
    }
    print_message("%u systems, %u points, %u of them frontiers\n", (unsigned)systems,
                  (unsigned)points, (unsigned)frontiers);
    assert_true(frontiers * 2 < points);
}

/* One record of 2,600 bytes and four of 50 in its last sector, nothing synced: 192 choices of the
 * content, 6 outcomes. Packed records are the ordinary case. */
static void packed_records(void **state)
{
    struct pc_disk_config config = {.model = PC_POSIX, .unit = 512};
    struct pc_disk *disk = pc_disk_new(&config);
    static uint8_t bytes[4000];
    static struct search found;
    static struct set all;
    static struct toy toy;
    struct pc_image *image;
    uint32_t ino = 0;
    mpz_t count;

    assert_int_equal(disk_create(disk, DISK_ROOT, "log", 3, &ino), 0);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(disk_write(disk, ino, 0, bytes, 3072, false), 3072); /* made in advance */
    assert_int_equal(disk_sync_all(disk), 0);
    assert_int_equal(record(bytes, 2600 - HEADER, 1, 1), 2600);
    assert_int_equal(disk_write(disk, ino, 0, bytes, 2600, false), 2600);
    for (size_t i = 0; i < 4; i++) {
        size_t len = record(bytes, 50 - HEADER, (uint8_t)(i + 2), i);

        assert_int_equal(disk_write(disk, ino, 2600 + i * 50, bytes, len, false), len);
    }
    image = pc_image_new(disk, pc_disk_call_count(disk));
    mpz_init(count);
    assert_true(pc_image_count(image, 1000, count));
    assert_int_equal(mpz_get_ui(count), 192);
    toy.disk = pc_disk_boot(image);
    toy.recovery = STOP;
    toy.chunk = 512;
    search(&toy, image, &found);
    assert_int_equal(brute(&toy, image, &all), 192);
    print_message("%u leaves, %u outcomes\n", (unsigned)found.leaves,
                  (unsigned)found.outcomes.count);
    assert_int_equal(found.outcomes.count, 6);
    assert_int_equal(all.count, 6);
    assert_true(found.leaves <= 12);
    mpz_clear(count);
    pc_disk_free(toy.disk);
    pc_image_free(image);
    pc_disk_free(disk);
}

/* A1 where groups overlap: any clauses ("not all of these"), counted and tried. */
static void clauses_are_counted(void **state)
{
    uint64_t compared = 0, overlap = 0;

    for (uint64_t seed = 0; compared < 3000; seed++) {
        struct rng rng = rng_seeded(seed ^ 424242);
        struct shape shape = {
            .calls = 3 + (uint32_t)rng_below(&rng, 4), .payload_most = 12, .unit = 16, .block = 32};
        struct pc_disk *disk = history(&rng, models[seed % 6], &shape);
        struct pc_image *image = pc_image_new(disk, pc_disk_call_count(disk));
        uint32_t n = (uint32_t)pc_image_items(image), clauses = 2 + (uint32_t)rng_below(&rng, 3);
        uint32_t literals[4][3], uses[16] = {0};
        uint64_t legal = 0;
        mpz_t count;

        mpz_init(count);
        if (n >= 4 && n <= 10) {
            for (uint32_t c = 0; c < clauses; c++)
                for (uint32_t i = 0; i < 3; i++) {
                    literals[c][i] = (uint32_t)rng_below(&rng, n) << 1 | rng_chance(&rng, 2, 3);
                    uses[literals[c][i] >> 1] |= 1u << c;
                }
            for (uint32_t subset = 0; subset >> n == 0; subset++) {
                bool holds = true;

                pc_image_begin(image, NULL, PC_FILL_ZERO);
                for (uint32_t i = 0; holds && i < n; i++)
                    holds = pc_image_set(image, i, subset >> i & 1);
                for (uint32_t c = 0; holds && c < clauses; c++) {
                    bool all = true;

                    for (uint32_t i = 0; i < 3; i++)
                        all &= (subset >> (literals[c][i] >> 1) & 1) == (literals[c][i] & 1);
                    holds = !all;
                }
                legal += holds;
            }
            pc_image_begin(image, NULL, PC_FILL_ZERO);
            for (uint32_t c = 0; c < clauses; c++)
                clause_add(image, literals[c], 3);
            assert_true(pc_image_count(image, 100000, count));
            assert_int_equal(mpz_get_ui(count), legal);
            compared++;
            for (uint32_t i = 0; i < n; i++)
                overlap += __builtin_popcount(uses[i]) > 1;
        }
        mpz_clear(count);
        pc_image_free(image);
        pc_disk_free(disk);
    }
    print_message("%u images with clauses, %u items in more than one\n", (unsigned)compared,
                  (unsigned)overlap);
}

/* n records of m units each, nothing synced: 2^(nm) legal sets, 2n + 1 leaves, n + 1 outcomes. */
static void closed_form(void **state)
{
    static const uint32_t cases[][2] = {{5, 4}, {16, 8}, {16, 64}};
    static uint8_t bytes[LOG_MAX];
    static struct search found;
    static struct toy toy;

    for (size_t c = 0; c < 3; c++) {
        struct pc_disk_config config = {.model = PC_POSIX, .unit = 8};
        struct pc_disk *disk = pc_disk_new(&config);
        uint32_t n = cases[c][0], m = cases[c][1], ino = 0;
        struct pc_image *image;
        mpz_t count;

        assert_int_equal(disk_create(disk, DISK_ROOT, "log", 3, &ino), 0);
        memset(bytes, 0, sizeof bytes);
        assert_int_equal(disk_write(disk, ino, 0, bytes, (size_t)n * m * 8, false), n * m * 8);
        assert_int_equal(disk_sync_all(disk), 0);
        for (uint32_t i = 0; i < n; i++) {
            size_t len = record(bytes, m * 8 - HEADER, (uint8_t)i, i);

            assert_int_equal(disk_write(disk, ino, (uint64_t)i * len, bytes, len, false), len);
        }
        image = pc_image_new(disk, pc_disk_call_count(disk));
        mpz_init(count);
        assert_true(pc_image_count(image, 1000, count));
        assert_int_equal(mpz_popcount(count), 1);
        assert_int_equal(mpz_scan1(count, 0), n * m);
        toy.disk = pc_disk_boot(image);
        toy.recovery = STOP;
        toy.chunk = 64;
        search(&toy, image, &found);
        assert_int_equal(found.leaves, 2 * n + 1);
        assert_int_equal(found.outcomes.count, n + 1);
        mpz_clear(count);
        pc_disk_free(toy.disk);
        pc_image_free(image);
        pc_disk_free(disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a1_a2_partition_and_outcomes),
        cmocka_unit_test(a3_frontiers_are_enough),
        cmocka_unit_test(clauses_are_counted),
        cmocka_unit_test(packed_records),
        cmocka_unit_test(closed_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
