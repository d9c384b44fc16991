/* explore_test.c: the search, with a toy store whose crash states can be counted by hand. A3, that
 * frontier points are enough (states and verdicts), and A5, determinism, are among its tests.
 *
 * The toy keeps one log: a record per write or batch, with sequence number, length and checksum;
 * recovery takes the longest run of good records and cuts off the rest. As it is, the search must
 * be silent under every model; the states that it finds must be those of brute force (every legal
 * subset of the open micro-ops, at every crash point), and a mistake must be found exactly where
 * brute force finds one. Each planted mistake must be found under its own name. */
#include "explore.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "base/rng.h"
#include "play.h"
#include "powercut/posix.h"
#include "shrink.h"

/* ---- the toy ---- */

enum mistake {
    NOTHING,
    NO_CHECKSUM,   /* a record is believed when its number and length look right */
    NO_SYNC,       /* a sync write is not synced */
    NO_DIRECTORY,  /* the new log's name is not synced */
    LATE_SYNC,     /* a sync write is synced by the write after it */
    HALF_BATCH,    /* a batch is as many records as it has writes */
    SKIP_BAD,      /* recovery goes on behind a bad record */
    REFUSE_TORN,   /* a torn tail is called corrupt */
    LEAK_FILE,     /* close forgets the descriptor */
    LOSE_AT_CLOSE, /* close cuts the last record off */
    ERASE_ON_OPEN, /* recovery rewrites the log in place, without care */
    FICKLE_ORDER,  /* every second recovery looks at the file in another way */
    FICKLE_LENGTH, /* every second recovery looks at less */
    MISTAKES
};

static enum mistake planted;
static bool synchronous;  /* the log is written through O_DSYNC */
static unsigned openings; /* what makes the fickle ones fickle */

#define TOY_KEYS  16
#define TOY_VALUE 200
#define HEADER    12
#define LOG       STORE_DIR "/log"

struct toy_entry {
    uint8_t key[32], value[TOY_VALUE];
    uint32_t key_len, value_len;
};

struct toy {
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *p, size_t size);
    void *alloc_ctx;
    int fd;
    off_t end;
    uint32_t seq;
    bool late;
    uint32_t count;
    struct toy_entry entries[TOY_KEYS];
};

struct toy_iter {
    struct toy *toy;
    long at;
};

static enum pc_store_status toy_error(struct pc_store_error *error, enum pc_store_status status,
                                      const char *text)
{
    error->status = status;
    snprintf(error->text, sizeof error->text, "%s (errno %d)", text, errno);
    return status;
}

static struct bytes entry_key(const struct toy_entry *entry)
{
    return bytes_of(entry->key, entry->key_len);
}

/* First entry not below the key. */
static uint32_t toy_find(const struct toy *toy, struct bytes key, bool *found)
{
    uint32_t i = 0;

    while (i < toy->count && bytes_compare(entry_key(&toy->entries[i]), key) < 0)
        i++;
    *found = i < toy->count && bytes_equal(entry_key(&toy->entries[i]), key);
    return i;
}

static void toy_apply(struct toy *toy, const struct pc_write *write)
{
    bool found;
    uint32_t i = toy_find(toy, write->key, &found);
    struct toy_entry *entry = &toy->entries[i];

    if (write->is_delete && !found)
        return;
    if (write->is_delete) {
        memmove(entry, entry + 1, (--toy->count - i) * sizeof *entry);
        return;
    }
    if (!found && toy->count == TOY_KEYS)
        return; /* only damage brings so many */
    if (!found)
        memmove(entry + 1, entry, (toy->count++ - i) * sizeof *entry);
    entry->key_len = (uint32_t)write->key.len;
    entry->value_len = (uint32_t)write->value.len;
    if (write->key.len)
        memcpy(entry->key, write->key.data, write->key.len);
    if (write->value.len)
        memcpy(entry->value, write->value.data, write->value.len);
}

static size_t toy_encode(const struct pc_write *writes, size_t count, uint32_t seq, uint8_t *out)
{
    size_t n = HEADER;
    uint32_t length, sum;

    for (size_t i = 0; i < count; i++) {
        out[n++] = writes[i].is_delete;
        out[n++] = (uint8_t)writes[i].key.len;
        out[n++] = (uint8_t)writes[i].value.len;
        memcpy(out + n, writes[i].key.data ? writes[i].key.data : out, writes[i].key.len);
        n += writes[i].key.len;
        memcpy(out + n, writes[i].value.data ? writes[i].value.data : out, writes[i].value.len);
        n += writes[i].value.len;
    }
    length = (uint32_t)(n - HEADER);
    memcpy(out + 4, &seq, 4);
    memcpy(out + 8, &length, 4);
    sum = (uint32_t)XXH3_64bits(out + 4, n - 4);
    memcpy(out, &sum, 4);
    return n;
}

/* Applies the writes of a record; false: they do not fit into it, or into the toy. */
static bool toy_decode(struct toy *toy, const uint8_t *data, size_t len)
{
    while (len > 0) {
        struct pc_write write;

        if (len < 3 || data[1] > 32 || data[2] > TOY_VALUE || len < 3u + data[1] + data[2])
            return false;
        write = (struct pc_write){data[0] != 0, bytes_of(data + 3, data[1]),
                                  bytes_of(data + 3 + data[1], data[2]), 0, false};
        toy_apply(toy, &write);
        len -= 3u + data[1] + data[2];
        data += 3 + data[1] + data[2];
    }
    return true;
}

/* Reads the record at *at and goes behind it. 1: good, 0: the end, -1: bad, and *at is moved where
 * one may hope for another record behind it. */
static int toy_read_record(struct toy *toy, off_t *at, uint8_t *buffer, size_t room)
{
    uint32_t sum, seq, length;
    ssize_t got = pread(toy->fd, buffer, HEADER, *at);

    if (got < HEADER)
        return got == 0 ? 0 : -1;
    memcpy(&sum, buffer, 4);
    memcpy(&seq, buffer + 4, 4);
    memcpy(&length, buffer + 8, 4);
    if (length > room - HEADER || length == 0 ||
        (planted == SKIP_BAD ? seq <= toy->seq : seq != toy->seq + 1))
        return -1;
    if (pread(toy->fd, buffer + HEADER, length, *at + HEADER) != (ssize_t)length)
        return -1;
    *at += HEADER + (off_t)length;
    if (planted != NO_CHECKSUM && (uint32_t)XXH3_64bits(buffer + 4, HEADER - 4 + length) != sum)
        return -1;
    if (!toy_decode(toy, buffer + HEADER, length))
        return -1;
    toy->seq = seq;
    return 1;
}

static int toy_read_log(struct toy *toy)
{
    uint8_t buffer[2048];
    int good;
    off_t at = 0;

    if (planted == FICKLE_ORDER && openings++ % 2)
        (void)!pread(toy->fd, buffer, 1, 100);
    for (;;) {
        off_t before = at;

        good = toy_read_record(toy, &at, buffer, sizeof buffer);
        if (good > 0)
            toy->end = at;
        else if (planted != SKIP_BAD || at == before)
            break;
    }
    if (planted == FICKLE_LENGTH && openings++ % 2)
        (void)!pread(toy->fd, buffer, 1, lseek(toy->fd, 0, SEEK_END) - 1);
    return good;
}

static int toy_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY), bad;

    if (fd < 0)
        return -1;
    bad = fsync(fd);
    close(fd);
    return bad;
}

static int toy_recover(struct toy *toy, struct pc_store_error *error)
{
    struct stat st;
    int bad;

    if (mkdir(STORE_DIR, 0755) != 0 && errno != EEXIST)
        return -1;
    if (toy_sync_dir(MOUNT_POINT) != 0)
        return -1;
    toy->fd = open(LOG, O_RDWR | O_CREAT | (synchronous ? O_DSYNC : 0), 0644);
    if (toy->fd < 0 || (planted != NO_DIRECTORY && toy_sync_dir(STORE_DIR) != 0))
        return -1;
    bad = toy_read_log(toy);
    if (bad && planted == REFUSE_TORN)
        return toy_error(error, PC_STORE_CORRUPT, "a bad record") ? -1 : 0;
    if (planted == ERASE_ON_OPEN && toy->end > 0) {
        uint8_t whole[4096];
        ssize_t len = pread(toy->fd, whole, sizeof whole, 0);

        return ftruncate(toy->fd, 0) || pwrite(toy->fd, whole, (size_t)len, 0) != len ||
               fdatasync(toy->fd);
    }
    if (fstat(toy->fd, &st) != 0)
        return -1;
    if (st.st_size != toy->end && (ftruncate(toy->fd, toy->end) != 0 || fsync(toy->fd) != 0))
        return -1;
    return 0;
}

static enum pc_store_status toy_open(const struct pc_store_env *env, void **db,
                                     struct pc_store_error *error)
{
    struct toy *toy = env->alloc(env->alloc_ctx, sizeof *toy);

    memset(toy, 0, sizeof *toy);
    toy->alloc = env->alloc;
    toy->free = env->free;
    toy->alloc_ctx = env->alloc_ctx;
    toy->fd = -1;
    if (toy_recover(toy, error) != 0) {
        if (!error->status)
            toy_error(error, PC_STORE_IO, "recovery fails");
        if (toy->fd >= 0)
            close(toy->fd);
        toy->free(toy->alloc_ctx, toy, sizeof *toy);
        return error->status;
    }
    *db = toy;
    return PC_STORE_OK;
}

static enum pc_store_status toy_sync(void *db, struct pc_store_error *error)
{
    struct toy *toy = db;

    if (fdatasync(toy->fd) != 0)
        return toy_error(error, PC_STORE_IO, "fdatasync");
    return PC_STORE_OK;
}

static enum pc_store_status toy_close(void *db, struct pc_store_error *error)
{
    struct toy *toy = db;
    enum pc_store_status st = PC_STORE_OK;

    if (planted == LOSE_AT_CLOSE && toy->end > 0 && ftruncate(toy->fd, toy->end - 1) != 0)
        st = toy_error(error, PC_STORE_IO, "ftruncate");
    if (st == PC_STORE_OK)
        st = toy_sync(db, error);
    if (planted != LEAK_FILE)
        close(toy->fd);
    toy->free(toy->alloc_ctx, toy, sizeof *toy);
    return st;
}

static enum pc_store_status toy_append(struct toy *toy, const struct pc_write *writes, size_t count,
                                       struct pc_store_error *error)
{
    uint8_t record[2048];
    size_t len = toy_encode(writes, count, toy->seq + 1, record);

    if (pwrite(toy->fd, record, len, toy->end) != (ssize_t)len)
        return toy_error(error, PC_STORE_IO, "pwrite");
    toy->end += (off_t)len;
    toy->seq++;
    for (size_t i = 0; i < count; i++)
        toy_apply(toy, &writes[i]);
    return PC_STORE_OK;
}

static enum pc_store_status toy_write(void *db, const struct pc_write *writes, size_t count,
                                      bool sync, uint64_t *seq, struct pc_store_error *error)
{
    struct toy *toy = db;
    enum pc_store_status st = PC_STORE_OK;
    size_t step = planted == HALF_BATCH ? 1 : count;

    if (toy->late)
        st = toy_sync(db, error);
    toy->late = false;
    for (size_t i = 0; st == PC_STORE_OK && i < count; i += step)
        st = toy_append(toy, writes + i, step, error);
    if (st == PC_STORE_OK && sync && planted == LATE_SYNC)
        toy->late = true;
    else if (st == PC_STORE_OK && sync && planted != NO_SYNC)
        st = toy_sync(db, error);
    *seq = toy->seq;
    return st;
}

static enum pc_store_status toy_get(void *db, void *snapshot, struct bytes key,
                                    void (*give)(void *ctx, struct bytes value), void *ctx,
                                    struct pc_store_error *error)
{
    struct toy *toy = db;
    bool found;
    uint32_t i = toy_find(toy, key, &found);

    if (!found)
        return PC_STORE_NOT_FOUND;
    give(ctx, bytes_of(toy->entries[i].value, toy->entries[i].value_len));
    return PC_STORE_OK;
}

static enum pc_store_status toy_snapshot(void *db, void **snapshot, struct pc_store_error *error)
{
    return toy_error(error, PC_STORE_INVALID, "no snapshots");
}

static void toy_release(void *db, void *snapshot)
{
}

static enum pc_store_status toy_iter_new(void *db, void *snapshot, void **out,
                                         struct pc_store_error *error)
{
    struct toy *toy = db;
    struct toy_iter *iter = toy->alloc(toy->alloc_ctx, sizeof *iter);

    *iter = (struct toy_iter){toy, -1};
    *out = iter;
    return PC_STORE_OK;
}

static void toy_iter_free(void *it)
{
    struct toy_iter *iter = it;

    iter->toy->free(iter->toy->alloc_ctx, iter, sizeof *iter);
}

static bool toy_iter_move(void *it, enum pc_move move, struct bytes key, struct bytes *found_key,
                          struct bytes *found_value, struct pc_store_error *error)
{
    struct toy_iter *iter = it;
    const struct toy *toy = iter->toy;
    bool exact = false;
    long count = (long)toy->count;

    switch (move) {
    case PC_FIRST:
        iter->at = 0;
        break;
    case PC_LAST:
        iter->at = count - 1;
        break;
    case PC_NEXT:
        iter->at++;
        break;
    case PC_PREV:
        iter->at--;
        break;
    default:
        iter->at = (long)toy_find(toy, key, &exact);
        iter->at -= move == PC_SEEK_FOR_PREV && !exact;
        break;
    }
    if (iter->at < 0 || iter->at >= count)
        return false;
    *found_key = entry_key(&toy->entries[iter->at]);
    *found_value = bytes_of(toy->entries[iter->at].value, toy->entries[iter->at].value_len);
    return true;
}

static enum pc_store_status toy_compact(void *db, struct bytes begin, struct bytes end,
                                        struct pc_store_error *error)
{
    return PC_STORE_OK;
}

static const struct pc_store toy_store = {
    .abi = PC_STORE_ABI,
    .name = "toy",
    .promises = PC_PROMISE_SYNC | PC_PROMISE_PROCESS_KILL | PC_PROMISE_PREFIX | PC_PROMISE_BATCH |
                PC_PROMISE_CLOSE | PC_PROMISE_FLUSH,
    .open = toy_open,
    .close = toy_close,
    .write = toy_write,
    .sync = toy_sync,
    .get = toy_get,
    .snapshot = toy_snapshot,
    .release = toy_release,
    .iter_new = toy_iter_new,
    .iter_free = toy_iter_free,
    .iter_move = toy_iter_move,
    .flush = toy_sync,
    .compact = toy_compact,
};

/* ---- traces ---- */

struct shape {
    uint32_t ops, value_max, syncs; /* syncs: in 10 */
    uint32_t unit;
    bool reopens, crashes;
};

static void random_trace(struct trace *trace, uint64_t seed, enum pc_model model,
                         const struct shape *shape)
{
    struct rng rng = rng_seeded(seed);
    uint32_t next = 0;

    trace_init(trace);
    trace->seed = seed;
    trace->disk = (struct pc_disk_config){.model = model, .unit = shape->unit, .seed = seed};
    for (uint32_t i = 0; i < shape->ops; i++) {
        uint64_t r = rng_below(&rng, 20);
        struct op *op;

        if (shape->crashes && r == 0 && i > 0) {
            trace_add(trace, OP_CRASH)->crash = (struct crash){CRASH_SEED, .seed = rng_next(&rng)};
            trace_add(trace, OP_RECOVER);
        } else if (shape->reopens && r == 1) {
            trace_add(trace, OP_REOPEN);
        } else if (r == 2) {
            trace_add(trace, OP_SYNC);
        } else {
            uint32_t writes = r < 8 ? 2 : 1;

            op = trace_add(trace, r < 8 ? OP_BATCH : OP_PUT);
            for (uint32_t w = 0; w < writes; w++) {
                uint8_t key = (uint8_t)('a' + rng_below(&rng, 5));
                bool is_delete = r < 8 && rng_chance(&rng, 1, 5);
                struct value value = {(uint32_t)rng_below(&rng, shape->value_max), ++next, NULL};

                trace_add_write(trace, op, is_delete, trace_key(trace, bytes_of(&key, 1)),
                                is_delete ? (struct value){0} : value);
            }
            op->sync = rng_chance(&rng, shape->syncs, 10);
        }
    }
}

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
    bool other_broken;          /* one of a point that is no frontier */
    uint64_t images;            /* legal subsets of the frontier points */
    uint64_t recoveries;
};

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
        for (int noise = 0; noise < 2; noise++) {
            impose_subset(image, subset, noise ? PC_FILL_NOISE : PC_FILL_ZERO);
            judge_image(judge, image, &question, &verdict, &opened);
            brute->recoveries++;
            *(noise ? &brute->noise_broken : &brute->broken) |= verdict.rule != RULE_NONE;
            brute->other_broken |= !frontier && verdict.rule != RULE_NONE;
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

    *brute = (struct brute){0};
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
    for (size_t i = 0; i < explorer->state_room; i++)
        if (explorer->states[i])
            set_add(set, explorer->states[i]);
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
    uint32_t broken = 0, whole = 0;

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
                if (brute.other_broken)
                    assert_true(finding.found); /* the frontier points are enough */
                broken += finding.found;
                whole += !finding.found;
            }
    planted = NOTHING;
    print_message("%u broken, %u whole\n", (unsigned)broken, (unsigned)whole);
    assert_true(broken > 40 && whole > 10);
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
        assert_int_equal(runs[0].state_room, runs[1].state_room);
        assert_memory_equal(runs[0].states, runs[1].states, runs[0].state_room * sizeof(uint64_t));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_toy_as_it_is_keeps_its_word),
        cmocka_unit_test(the_search_finds_the_states_of_brute_force),
        cmocka_unit_test(the_search_breaks_where_brute_force_does),
        cmocka_unit_test(each_mistake_is_found_and_named),
        cmocka_unit_test(a_synchronous_write_is_torn_inside),
        cmocka_unit_test(equal_seeds_are_equal_runs),
        cmocka_unit_test(a_fickle_recovery_is_called_that),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
