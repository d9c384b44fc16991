/* judge.c: one recovery and all that is asked of it. See judge.h.
 *
 *   J1 open must succeed when every sync was honest and a rename is atomic; else a typed error is
 *      an answer too, but never an older or an empty state.
 *   J2 what is there must be the state of one cut (model.c).
 *   J3 forward scan, backward scan, gets and seeks agree.
 *   J4 the store goes on: a write, a flush, a compaction, its own check, close.
 *   J8 what has expired stays so, whatever the clock says later: see model.h.
 *   J5 opened again it has exactly what it had.
 *   J7 a bit that reads wrong gives an error or does not matter; a failed call or a refused request
 *      for memory gives an error or is made up for, and the next open finds everything.
 *   J6 after close no memory and no descriptor is left.
 *   J9 to J11 are in judge_more.c, J12 and J13 in judge_tools.c. */
#include "judge.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/rng.h"
#include "powercut/posix.h"
#include "powercut/verdict.h"

#include "sum.h"

void (*judge_hanging)(void);

void judge_hang(void *ctx)
{
    static const char text[] =
        "powercut: the store made more steps than any recovery needs: hang\n";

    (void)ctx;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    if (judge_hanging)
        judge_hanging();
    _exit(HANG_EXIT);
}

static int no_claim(void *ctx, const char *file, uint64_t offset)
{
    (void)ctx;
    (void)file;
    (void)offset;
    return 0;
}

const char *trouble_name(enum trouble trouble)
{
    static const char *const names[TROUBLES] = {"none", "bitrot", "read-error", "write-error",
                                                "no-memory"};

    return names[trouble];
}

void judge_init(struct judge *judge, const struct pc_store *store, const char *tuning)
{
    *judge = (struct judge){.store = store, .tuning = tuning};
}

void judge_release(struct judge *judge)
{
    pc_disk_free(judge->disk);
    heap_release(&judge->heap);
    seen_release(&judge->seen);
    seen_release(&judge->other);
    free(judge->buffer);
    *judge = (struct judge){0};
}

/* ---- reading ---- */

static void scan_with(const struct pc_store *store, void *iter, struct seen *seen,
                      struct pc_store_error *error)
{
    struct bytes key, value;
    enum pc_move move = PC_FIRST;

    seen_clear(seen);
    while (store->iter_move(iter, move, (struct bytes){0}, &key, &value, error)) {
        seen_add(seen, key, value);
        move = PC_NEXT;
    }
}

enum pc_store_status judge_scan(const struct pc_store *store, void *db, void *snapshot,
                                struct seen *seen, struct pc_store_error *error)
{
    enum pc_store_status st;
    void *iter;

    seen_clear(seen);
    st = store->iter_new(db, snapshot, &iter, error);
    if (st)
        return st;
    scan_with(store, iter, seen, error);
    store->iter_free(iter);
    return error->status;
}

bool judge_fail(struct verdict *verdict, enum rule rule, const char *what, const char *detail)
{
    verdict->rule = rule;
    snprintf(verdict->text, sizeof verdict->text, "%s%s%s", what, *detail ? ": " : "", detail);
    return false;
}

/* Reading answers an error: a breach, but for bits that rotted. */
static bool fail_error(struct verdict *verdict, const char *what,
                       const struct pc_store_error *error)
{
    verdict->error = (int)error->status;
    return judge_fail(verdict, RULE_READ, what, error->text);
}

static bool sorted(const struct seen *seen)
{
    for (size_t i = 1; i < seen->count; i++)
        if (bytes_compare(seen->entries[i - 1].key, seen->entries[i].key) >= 0)
            return false;
    return true;
}

static bool same(const struct seen_entry *entry, struct bytes key, struct bytes value)
{
    return bytes_equal(entry->key, key) && entry->len == value.len &&
           entry->hash == model_hash(value);
}

static bool backward_agrees(const struct pc_store *store, void *db, void *snapshot,
                            const struct seen *seen, struct verdict *verdict)
{
    struct pc_store_error error = {0};
    struct bytes key, value;
    enum pc_move move = PC_LAST;
    size_t left = seen->count;
    bool ok = true;
    void *iter;

    if (store->iter_new(db, snapshot, &iter, &error))
        return fail_error(verdict, "no iterator", &error);
    while (ok && store->iter_move(iter, move, (struct bytes){0}, &key, &value, &error)) {
        ok = left > 0 && same(&seen->entries[left - 1], key, value);
        left--;
        move = PC_PREV;
    }
    store->iter_free(iter);
    if (error.status)
        return fail_error(verdict, "the backward scan fails", &error);
    if (!ok || left != 0)
        return judge_fail(verdict, RULE_READ, "the backward scan differs from the forward scan",
                          "");
    return true;
}

/* One move of a walk over what a scan has shown; *at becomes where that leads to, from seen->count
 * on: nowhere. */
static bool step_agrees(const struct pc_store *store, void *iter, const struct seen *seen,
                        struct rng *r, size_t *at, struct pc_store_error *error)
{
    static const enum pc_move moves[] = {PC_FIRST, PC_LAST, PC_SEEK, PC_SEEK_FOR_PREV,
                                         PC_NEXT,  PC_PREV, PC_NEXT, PC_PREV};
    enum pc_move move = moves[rng_below(r, *at < seen->count ? 8 : seen->count ? 4 : 2)];
    struct bytes key = {0}, value = {0};
    bool found;

    if (move == PC_SEEK || move == PC_SEEK_FOR_PREV)
        *at = (size_t)rng_below(r, seen->count);
    else if (move == PC_FIRST || move == PC_LAST)
        *at = move == PC_FIRST ? 0 : seen->count - 1;
    else
        *at += move == PC_NEXT ? 1 : SIZE_MAX; /* below 0 wraps to beyond the end */
    found = store->iter_move(iter, move,
                             move == PC_SEEK || move == PC_SEEK_FOR_PREV ? seen->entries[*at].key
                                                                         : (struct bytes){0},
                             &key, &value, error);
    return !error->status && found == (*at < seen->count) &&
           (!found || same(&seen->entries[*at], key, value));
}

bool judge_walk(const struct pc_store *store, void *db, void *snapshot, struct seen *seen,
                struct rng *r, uint32_t steps, struct pc_store_error *error)
{
    size_t at = SIZE_MAX;
    bool ok = true;
    void *iter;

    seen_clear(seen);
    if (store->iter_new(db, snapshot, &iter, error))
        return true;
    scan_with(store, iter, seen, error);
    for (uint32_t i = 0; ok && !error->status && i < steps; i++)
        ok = step_agrees(store, iter, seen, r, &at, error);
    store->iter_free(iter);
    return ok || error->status;
}

struct got {
    uint64_t hash;
    size_t len;
};

static void take(void *ctx, struct bytes value)
{
    struct got *got = ctx;

    got->hash = model_hash(value);
    got->len = value.len;
}

static bool gets_agree(const struct pc_store *store, void *db, void *snapshot,
                       const struct seen *seen, const struct model *model, struct verdict *verdict)
{
    for (uint32_t i = 0; i < model->line_count; i++) {
        struct pc_store_error error = {0};
        struct got got = {0};
        const struct seen_entry *entry = seen_find(seen, model->lines[i].key);
        enum pc_store_status st = store->get(db, snapshot, model->lines[i].key, take, &got, &error);

        if (st != PC_STORE_OK && st != PC_STORE_NOT_FOUND)
            return fail_error(verdict, "get fails", &error);
        if ((st == PC_STORE_OK) != (entry != NULL) ||
            (entry && (entry->hash != got.hash || entry->len != got.len)))
            return judge_fail(verdict, RULE_READ, "get differs from the scan",
                              st == PC_STORE_OK
                                  ? (entry ? "another value" : "only get finds the key")
                                  : "only the scan finds the key");
    }
    return true;
}

/* First entry not below `key`. */
static size_t lower_bound(const struct seen *seen, struct bytes key)
{
    size_t i = 0;

    while (i < seen->count && bytes_compare(seen->entries[i].key, key) < 0)
        i++;
    return i;
}

static bool seek_agrees(const struct pc_store *store, void *iter, const struct seen *seen,
                        struct bytes target, bool forward, struct pc_store_error *error)
{
    struct bytes key = {0}, value = {0};
    size_t at = lower_bound(seen, target);
    bool found;

    found =
        store->iter_move(iter, forward ? PC_SEEK : PC_SEEK_FOR_PREV, target, &key, &value, error);
    if (!forward && !(at < seen->count && bytes_equal(seen->entries[at].key, target)))
        at = at == 0 ? SIZE_MAX : at - 1;
    if (error->status || found != (at < seen->count))
        return false;
    if (!found)
        return true;
    if (!same(&seen->entries[at], key, value))
        return false;
    /* Against the direction of the seek: the turn is where iterators go wrong. */
    found =
        store->iter_move(iter, forward ? PC_PREV : PC_NEXT, (struct bytes){0}, &key, &value, error);
    at = forward ? (at == 0 ? SIZE_MAX : at - 1) : at + 1;
    if (error->status || found != (at < seen->count))
        return false;
    return !found || same(&seen->entries[at], key, value);
}

static bool seeks_agree(const struct pc_store *store, void *db, void *snapshot,
                        const struct seen *seen, const struct model *model, struct verdict *verdict)
{
    struct pc_store_error error = {0};
    uint32_t step = model->line_count / 6 + 1;
    bool ok = true;
    void *iter;

    if (store->iter_new(db, snapshot, &iter, &error))
        return fail_error(verdict, "no iterator", &error);
    for (uint32_t i = 0; ok && i < model->line_count; i += step)
        ok = seek_agrees(store, iter, seen, model->lines[i].key, true, &error) &&
             seek_agrees(store, iter, seen, model->lines[i].key, false, &error);
    store->iter_free(iter);
    if (error.status)
        return fail_error(verdict, "a seek fails", &error);
    return ok || judge_fail(verdict, RULE_READ, "a seek differs from the forward scan", "");
}

bool judge_reads(const struct pc_store *store, void *db, void *snapshot, const struct seen *seen,
                 struct seen *scratch, const struct model *model, struct verdict *verdict)
{
    (void)scratch;
    if (!sorted(seen))
        return judge_fail(verdict, RULE_READ, "the forward scan is not in order", "");
    return backward_agrees(store, db, snapshot, seen, verdict) &&
           gets_agree(store, db, snapshot, seen, model, verdict) &&
           seeks_agree(store, db, snapshot, seen, model, verdict) &&
           judge_many(store, db, snapshot, seen, model, verdict) &&
           judge_bounds(store, db, snapshot, seen, verdict);
}

/* ---- a recovery ---- */

static uint64_t judge_clock(void *ctx)
{
    return ((struct judge *)ctx)->now;
}

/* Only a checksum that no mixture of contents passes by accident may be answered by class. */
static bool crc32c_passes(void *ctx, const uint8_t *bytes, size_t len)
{
    return sum_crc32c(bytes, len) == *(const uint32_t *)ctx;
}

static enum pc_verdict on_verify(void *ctx, const void *range, size_t len, uint32_t expected,
                                 enum pc_checksum algorithm)
{
    struct judge *judge = ctx;

    if (algorithm == PC_CRC32C)
        return pc_disk_verify(judge->disk, range, len, crc32c_passes, &expected);
    pc_disk_use(judge->disk, range, len);
    return PC_VERDICT_COMPUTE;
}

static void on_use(void *ctx, const void *p, size_t len)
{
    pc_disk_use(((struct judge *)ctx)->disk, p, len);
}

struct pc_store_env judge_env(struct judge *judge, const struct question *question,
                              struct judge_open how)
{
    judge->hooks = (struct pc_hooks){.ctx = judge};
    judge->hooks.claim_possible = question->scan_claims ? NULL : no_claim;
    if (question->by_use) {
        judge->hooks.verify = on_verify;
        judge->hooks.use = on_use;
    }
    return (struct pc_store_env){.dir = how.dir,
                                 .read_only = how.read_only,
                                 .hooks = &judge->hooks,
                                 .alloc = heap_alloc,
                                 .free = heap_free,
                                 .alloc_ctx = &judge->heap,
                                 .clock = judge_clock,
                                 .clock_ctx = judge,
                                 .tuning = judge->tuning};
}

enum pc_store_status judge_open(struct judge *judge, const struct question *question,
                                struct judge_open how, struct pc_store_error *error)
{
    struct pc_store_env env = judge_env(judge, question, how);

    judge->db = NULL;
    return judge->store->open(&env, &judge->db, error);
}

static enum pc_store_status open_store(struct judge *judge, const struct question *question,
                                       struct pc_store_error *error)
{
    return judge_open(judge, question, (struct judge_open){STORE_DIR, false}, error);
}

enum rule judge_rule_of(enum pc_store_status status)
{
    return status == PC_STORE_DATA_LOSS ? RULE_BELOW_FLOOR : RULE_OPEN;
}

bool judge_typed(enum pc_store_status st)
{
    return st == PC_STORE_CORRUPT || st == PC_STORE_DATA_LOSS;
}

/* An answer with an error where a state was asked for. True: legal, and nothing more to ask. */
static bool refusal(struct judge *judge, const struct question *question, const char *what,
                    const struct pc_store_error *error, struct verdict *verdict)
{
    if ((question->lied || question->split || judge->fault.fired) && judge_typed(error->status)) {
        judge->refused += question->lied || question->split;
        judge->showed[TROUBLE_BITROT] += judge->fault.fired;
        judge->damaged = judge->fault.fired && !question->lied && !question->split;
        return true;
    }
    return judge_fail(verdict, judge_rule_of(error->status), what, error->text);
}

static void close_store(struct judge *judge, struct verdict *verdict)
{
    struct pc_store_error error = {0};
    void *db = judge->db;

    judge->db = NULL;
    if (db && judge->store->close(db, &error) && verdict->rule == RULE_NONE)
        judge_fail(verdict, RULE_PROGRESS, "close fails after recovery", error.text);
    if (verdict->rule != RULE_NONE)
        return;
    if (judge->heap.held != 0)
        judge_fail(verdict, RULE_LEAK, "memory is left after close", "");
    if (pc_open_descriptors() != 0)
        judge_fail(verdict, RULE_LEAK, "descriptors are left after close", "");
}

bool judge_live_on(const struct pc_store *store, void *db, struct verdict *verdict)
{
    struct pc_write marker = {.key = bytes_str("~powercut"), .value = bytes_str("alive")};
    struct pc_store_error error = {0};
    uint64_t seq = 0;

    if (store->write(db, &marker, 1, true, &seq, &error))
        return judge_fail(verdict, RULE_PROGRESS, "a write after recovery fails", error.text);
    if (store->flush(db, &error))
        return judge_fail(verdict, RULE_PROGRESS, "a flush after recovery fails", error.text);
    marker.is_delete = true;
    if (store->write(db, &marker, 1, false, &seq, &error))
        return judge_fail(verdict, RULE_PROGRESS, "a delete after recovery fails", error.text);
    if (store->compact(db, (struct bytes){0}, (struct bytes){0}, &error))
        return judge_fail(verdict, RULE_PROGRESS, "a compaction after recovery fails", error.text);
    if (store->check && store->check(db, &error))
        return judge_fail(verdict, RULE_STRUCTURE, "the store's check fails after recovery",
                          error.text);
    return true;
}

/* J8: with the clock set back, and far ahead. */
static bool other_times(struct judge *judge, const struct question *question,
                        struct verdict *verdict)
{
    static const uint64_t times[] = {0, UINT64_MAX};
    struct pc_store_error error = {0};
    bool ok = true;

    if (!model_expires(question->model))
        return true;
    for (size_t i = 0; ok && i < sizeof times / sizeof times[0]; i++) {
        judge->now = judge->other.now = times[i];
        if (judge_scan(judge->store, judge->db, NULL, &judge->other, &error))
            ok = judge_fail(verdict, RULE_READ, "the scan fails at another time", error.text);
        else
            model_judge(question->model, question->at, question->kill, question->trust,
                        &judge->other, verdict);
        ok &= verdict->rule == RULE_NONE;
    }
    judge->now = question->now;
    return ok;
}

static bool same_again(struct judge *judge, struct verdict *verdict, const char *when)
{
    struct pc_store_error error = {0};

    if (judge_scan(judge->store, judge->db, NULL, &judge->other, &error))
        return judge_fail(verdict, RULE_RECOVERY, when, error.text);
    if (!seen_equal(&judge->seen, &judge->other))
        return judge_fail(verdict, RULE_RECOVERY, when, "the content changed");
    return true;
}

/* Most recoveries of an epoch end in a state that was judged before, against the same floor and
 * ceiling: then it is not judged again. What was seen is compared by a hash of 64 bits. */
static void judge_state(struct judge *judge, const struct question *question,
                        struct verdict *verdict)
{
    uint64_t key = 0, *slot;

    if (question->memo) {
        key = seen_hash(&judge->seen) ^
              rng_mix(question->at << 2 ^ question->kill << 1 ^ (question->trust == SIZE_MAX)) ^
              rng_mix(question->now) ^ rng_mix(question->trust);
        key = rng_mix(key ^ (question->model == judge->memo_model)) | 1;
    }
    slot = &judge->passed[key % JUDGE_MEMO];
    if (key && *slot == key)
        return;
    model_judge(question->model, question->at, question->kill, question->trust, &judge->seen,
                verdict);
    if (key && verdict->rule == RULE_NONE)
        *slot = key;
}

void judge_forget(struct judge *judge, const struct model *model)
{
    memset(judge->passed, 0, sizeof judge->passed);
    judge->memo_model = model;
}

static void examine(struct judge *judge, const struct question *question, struct verdict *verdict)
{
    struct pc_store_error error = {0};

    if (judge_scan(judge->store, judge->db, NULL, &judge->seen, &error)) {
        refusal(judge, question, "the recovered store cannot be read", &error, verdict);
        return;
    }
    if (!judge_looked(judge, &judge->seen, verdict))
        return;
    judge->answered = true;
    judge_state(judge, question, verdict);
    if (verdict->rule != RULE_NONE)
        return;
    if (question->scans_only) {
        if (!sorted(&judge->seen))
            judge_fail(verdict, RULE_READ, "the forward scan is not in order", "");
        else
            backward_agrees(judge->store, judge->db, NULL, &judge->seen, verdict);
        if (verdict->rule != RULE_NONE)
            return;
    } else if (!judge_reads(judge->store, judge->db, NULL, &judge->seen, &judge->other,
                            question->model, verdict)) {
        if (judge->fault.fired && judge_typed((enum pc_store_status)verdict->error)) {
            verdict->rule = RULE_NONE;
            judge->damaged = !question->lied && !question->split;
        }
        return;
    }
    if (question->life && !question->lied && !judge->fault.fired &&
        other_times(judge, question, verdict) && judge_live_on(judge->store, judge->db, verdict))
        same_again(judge, verdict, "after recovery, a flush and a compaction");
}

static void boot(struct judge *judge, struct pc_image *image)
{
    if (judge->disk)
        pc_disk_reboot(judge->disk, image);
    else
        judge->disk = pc_disk_boot(image);
    pc_disk_step_limit(judge->disk, STEP_LIMIT, judge_hang, NULL);
    heap_reset(&judge->heap);
    judge->fault = (struct pc_fault){0};
    pc_mount(MOUNT_POINT, judge->disk);
    judge->recoveries++;
}

struct pc_fault judge_fault(enum trouble trouble, uint32_t at)
{
    return (struct pc_fault){.kind = trouble == TROUBLE_BITROT ? PC_FAULT_BITROT : PC_FAULT_EIO,
                             .call = trouble == TROUBLE_WRITE ? PC_ANY_CALL : PC_CALL_READ,
                             .file = "*",
                             .nth = at};
}

static void begin_trouble(struct judge *judge, const struct question *question)
{
    judge->troubled[question->trouble]++;
    judge->fault = judge_fault(question->trouble, question->trouble_at);
    if (question->trouble == TROUBLE_NO_MEMORY)
        judge->heap.fail_at = question->trouble_at;
    else
        pc_disk_add_fault(judge->disk, &judge->fault);
}

/* J7: opens and reads with a failing call or request. The store may notice; then it says so, and
 * lets go of everything. False: it did something else. */
static bool survive(struct judge *judge, const struct question *question, struct verdict *verdict)
{
    enum pc_store_status expected =
        question->trouble == TROUBLE_NO_MEMORY ? PC_STORE_NO_MEMORY : PC_STORE_IO;
    struct pc_store_error error = {0};
    enum pc_store_status st;

    begin_trouble(judge, question);
    st = open_store(judge, question, &error);
    if (st == PC_STORE_OK)
        st = judge_scan(judge->store, judge->db, NULL, &judge->seen, &error);
    pc_disk_clear_faults(judge->disk);
    judge->fault.fired = 0; /* it is over: what comes now it does not excuse */
    judge->heap.fail_at = 0;
    judge->showed[question->trouble] += st != PC_STORE_OK;
    if (st != PC_STORE_OK && st != expected && !(question->split && judge_typed(st)))
        judge_fail(verdict, RULE_OPEN,
                   "a failing call or request for memory is reported as something else",
                   error.text);
    if (st == PC_STORE_OK)
        model_judge(question->model, question->at, question->kill, question->trust, &judge->seen,
                    verdict);
    close_store(judge, verdict);
    pc_close_all();
    heap_reset(&judge->heap);
    return verdict->rule == RULE_NONE;
}

/* J12, after an honest life. */
static void tools(struct judge *judge, const struct question *question, struct verdict *verdict)
{
    struct pc_store_env env = judge_env(judge, question, (struct judge_open){STORE_DIR, false});

    heap_reset(&judge->heap);
    if (verdict->rule == RULE_NONE)
        judge_clean(judge->store, &env, verdict);
}

void judge_image(struct judge *judge, struct pc_image *image, const struct question *question,
                 struct verdict *verdict, size_t *opened)
{
    struct pc_store_error error = {0};

    *verdict = (struct verdict){0};
    judge->now = judge->seen.now = question->now;
    judge->answered = judge->damaged = false;
    seen_clear(&judge->seen);
    boot(judge, image);
    if (question->by_use)
        pc_disk_decide_by_use(judge->disk);
    if (question->trouble == TROUBLE_BITROT)
        begin_trouble(judge, question);
    else if (question->trouble != TROUBLE_NONE && !survive(judge, question, verdict))
        return;
    if (!judge_first(judge, question, verdict))
        return;
    if (open_store(judge, question, &error)) {
        *opened = pc_disk_call_count(judge->disk);
        refusal(judge, question, "the store does not open", &error, verdict);
        if (verdict->rule == RULE_NONE && (judge->heap.held || pc_open_descriptors()))
            judge_fail(verdict, RULE_LEAK, "memory or descriptors are left after a refused open",
                       "");
        pc_close_all();
        if (verdict->rule == RULE_NONE && judge->damaged)
            judge_damaged(judge, question, verdict);
        pc_close_all();
        return;
    }
    *opened = pc_disk_call_count(judge->disk);
    examine(judge, question, verdict);
    close_store(judge, verdict);
    if (verdict->rule == RULE_NONE && question->life && !question->lied &&
        question->trouble != TROUBLE_BITROT) {
        heap_reset(&judge->heap);
        if (open_store(judge, question, &error))
            judge_fail(verdict, RULE_RECOVERY, "a second recovery does not open", error.text);
        else
            same_again(judge, verdict, "recovered a second time");
        close_store(judge, verdict);
        tools(judge, question, verdict);
    }
    pc_close_all();
    if (verdict->rule == RULE_NONE && judge->damaged)
        judge_damaged(judge, question, verdict);
    pc_close_all();
}
