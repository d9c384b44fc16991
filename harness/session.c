/* session.c: executes operations on a live store and compares every answer with the reference map.
 * See session.h. */
#include "session_inner.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "powercut/posix.h"

#include "callers.h"

#define CLOCK_START 1000u

uint64_t session_clock(void *ctx)
{
    return ((struct session *)ctx)->clock;
}

static void mount_disk(struct session *session)
{
    pc_disk_step_limit(session->disk, STEP_LIMIT, judge_hang, NULL);
    callers_watch();
    pc_mount(MOUNT_POINT, session->disk);
}

/* What would have been, had the store synced or waited in this epoch. */
static void change_history(struct session *session)
{
    const struct trace *trace = session->trace;

    if (trace->change_epoch != session->epoch)
        return;
    if (trace->insert_call)
        pc_disk_insert_sync(session->disk, trace->insert_call, trace->insert_sync);
    if (trace->defer_until)
        pc_disk_defer_unlink(session->disk, trace->defer_call, trace->defer_until);
}

void session_init(struct session *session, struct trace *trace, const struct pc_store *store)
{
    *session = (struct session){.trace = trace, .store = store, .before_trust = SIZE_MAX};
    session->misled = SIZE_MAX;
    session->disk = pc_disk_new(&trace->disk);
    model_init(&session->model);
    model_init(&session->before);
    session->clock = CLOCK_START;
    model_set_clock(&session->model, 0, 0, session->clock);
    memcpy(session->faults, trace->faults, sizeof session->faults);
    for (int i = 0; i < TRACE_FAULTS; i++)
        session->faults[i].seen = session->faults[i].fired = 0;
    change_history(session);
    mount_disk(session);
}

/* A session that stopped at a violation: nothing is asked any more of what its store answers. */
static void abandon_db(struct session *session)
{
    struct pc_store_error error = {0};

    if (session->db == NULL)
        return;
    for (int i = 0; i < TRACE_SLOTS; i++)
        if (session->snapshots[i].used)
            session->store->release(session->db, session->snapshots[i].handle);
    session->store->close(session->db, &error);
    session->db = NULL;
}

void session_abandon(struct session *session)
{
    abandon_db(session);
    pc_close_all();
}

void session_release(struct session *session)
{
    session_abandon(session);
    pc_mount(MOUNT_POINT, NULL);
    pc_disk_free(session->disk);
    pc_image_free(session->image);
    pc_disk_free(session->below);
    model_release(&session->model);
    model_release(&session->before);
    heap_release(&session->heap);
    seen_release(&session->seen);
    seen_release(&session->other);
    free(session->buffer);
}

size_t session_now(const struct session *session)
{
    return pc_disk_call_count(session->disk);
}

void session_violate(struct session *session, enum rule rule, const char *what, const char *detail)
{
    if (session->verdict.rule != RULE_NONE)
        return;
    session->verdict.rule = rule;
    session->verdict_op = session->op;
    snprintf(session->verdict.text, sizeof session->verdict.text, "op %u: %.200s%s%.300s",
             (unsigned)session->op, what, *detail ? ": " : "", detail);
}

void session_note(struct session *session, uint64_t value)
{
    session->results = rng_mix(session->results ^ value);
}

bool session_faulty(const struct session *session)
{
    if (session->trouble != TROUBLE_NONE)
        return true;
    for (uint32_t i = 0; i < session->trace->fault_count; i++)
        if (session->faults[i].fired)
            return true;
    return false;
}

size_t session_first_lie(const struct session *session)
{
    for (size_t i = 0; i < session_now(session); i++)
        if (pc_disk_call(session->disk, i)->flags & PC_CALL_LIED || i >= session->misled)
            return i;
    return SIZE_MAX;
}

/* ---- writes ---- */

static uint8_t *room_for(struct session *session, size_t size)
{
    if (size > session->buffer_room) {
        free(session->buffer);
        session->buffer = malloc(size * 2);
        must(session->buffer != NULL);
        session->buffer_room = size * 2;
    }
    return session->buffer;
}

/* One write for the store, its value made at *room. False: the store does not offer this. */
static bool take_write(const struct session *session, const struct trace_write *w, uint8_t *room,
                       struct pc_write *write)
{
    const struct trace *trace = session->trace;
    uint32_t promises = session->store->promises;

    *write = (struct pc_write){.is_delete = w->is_delete, .key = trace->keys[w->key]};
    if (w->key_end != TRACE_NO_KEY) {
        write->is_range = true;
        write->value = trace->keys[w->key_end];
        return promises & PC_PROMISE_RANGES;
    }
    if (w->is_delete)
        return true;
    value_bytes(w->value, room);
    write->value = bytes_of(room, w->value.len);
    if (w->ttl && promises & PC_PROMISE_EXPIRY)
        write->expires = session->clock + w->ttl;
    return true;
}

static uint32_t begin_unit(struct session *session, const struct op *op, struct pc_write *writes,
                           uint32_t *count)
{
    const struct trace *trace = session->trace;
    struct model_write model_writes[TRACE_BATCH_MAX];
    size_t total = 0, used = 0;

    must(op->writes <= TRACE_BATCH_MAX);
    for (uint32_t i = 0; i < op->writes; i++)
        total += trace->writes[op->first_write + i].value.len;
    room_for(session, total + 1);
    *count = 0;
    for (uint32_t i = 0; i < op->writes; i++) {
        const struct trace_write *w = &trace->writes[op->first_write + i];
        struct pc_write *write = &writes[*count];

        if (!take_write(session, w, session->buffer + used, write))
            continue;
        used += w->value.len;
        model_writes[(*count)++] = (struct model_write){.is_delete = write->is_delete,
                                                        .key = write->key,
                                                        .hash = model_hash(write->value),
                                                        .len = (uint32_t)write->value.len,
                                                        .expires = write->expires,
                                                        .is_range = write->is_range,
                                                        .end = write->value};
    }
    if (*count == 0)
        return 0;
    return model_begin(&session->model, session->op, op->sync, model_writes, *count,
                       session_now(session));
}

static void apply_write(struct session *session, const struct op *op)
{
    struct pc_write writes[TRACE_BATCH_MAX];
    struct pc_store_error error = {0};
    bool failed = session->model.failed;
    uint32_t count, unit = begin_unit(session, op, writes, &count);
    uint64_t seq = 0;
    enum pc_store_status st;

    if (count == 0)
        return;
    st = session->store->write(session->db, writes, count, op->sync, &seq, &error);

    session_note(session, st);
    session_note(session, seq);
    session->error = error;
    model_end(&session->model, unit, st ? UNIT_ERROR : UNIT_OK, seq, session_now(session));
    figures_wrote(&session->figures, writes, count, st == PC_STORE_OK);
    if (st == PC_STORE_OK) {
        if (failed && session->store->promises & PC_PROMISE_FAIL_STOP)
            session_violate(session, RULE_FAIL_STOP,
                            "a write is acknowledged after one that failed", "");
        if (op->sync && session->store->promises & PC_PROMISE_SYNC)
            session_promise(session, "a sync write returned OK");
        session_promise_window(session, seq);
        session_promise_interval(session);
    } else if (!session_faulty(session)) {
        session_violate(session, RULE_PROGRESS, "a write fails without a fault", error.text);
    }
}

/* ---- operations ---- */

static struct bytes key_or_open(const struct session *session, uint16_t key)
{
    return key == TRACE_NO_KEY ? (struct bytes){0} : session->trace->keys[key];
}

static void apply_work(struct session *session, const struct op *op)
{
    const struct pc_store *store = session->store;
    struct pc_store_error error = {0};
    enum pc_store_status st;

    if (op->kind == OP_SYNC)
        st = store->sync(session->db, &error);
    else if (op->kind == OP_FLUSH)
        st = store->flush(session->db, &error);
    else
        st = store->compact(session->db, key_or_open(session, op->key),
                            key_or_open(session, op->key_end), &error);
    session_note(session, st);
    session->error = error;
    if (st && !session_faulty(session))
        session_violate(session, RULE_PROGRESS, "flush, compact or sync fails without a fault",
                        error.text);
    if (st == PC_STORE_OK && op->kind == OP_SYNC && store->promises & PC_PROMISE_SYNC)
        session_promise(session, "sync returned OK");
    if (st == PC_STORE_OK && op->kind == OP_FLUSH && store->promises & PC_PROMISE_FLUSH)
        session_promise(session, "flush returned OK");
    if (st == PC_STORE_OK && op->kind == OP_COMPACT && store->check && !session_faulty(session) &&
        store->check(session->db, &error) && !session_faulty(session)) /* nor within the check */
        session_violate(session, RULE_STRUCTURE, "the store's check fails", error.text);
}

static void apply_copy(struct session *session, const struct op *op)
{
    struct copy copy = {op->slot, session->op, session_now(session), SIZE_MAX,
                        session->model.unit_count};
    struct pc_store_error error = {0};
    char dir[sizeof COPY_DIR + 8];
    enum pc_store_status st;

    if (session->store->copy == NULL || session->copies >> op->slot & 1)
        return;
    session->copies |= 1u << op->slot;
    snprintf(dir, sizeof dir, COPY_DIR "%u", (unsigned)op->slot);
    st = session->store->copy(session->db, dir, &error);
    session_note(session, st);
    session->error = error;
    if (st == PC_STORE_OK)
        copy.ended = session_now(session);
    else if (!session_faulty(session))
        session_violate(session, RULE_PROGRESS, "a copy fails without a fault", error.text);
    if (session->store->promises & PC_PROMISE_COPY)
        model_copy(&session->model, copy);
}

static void apply_open(struct session *session, const struct op *op, FILE *out)
{
    switch (op->kind) {
    case OP_PUT:
    case OP_DELETE:
    case OP_DELETE_RANGE:
    case OP_BATCH:
        apply_write(session, op);
        break;
    case OP_SYNC:
    case OP_FLUSH:
    case OP_COMPACT:
        apply_work(session, op);
        break;
    case OP_GET:
        session_read_key(session, session->trace->keys[op->key], NULL, session->model.unit_count,
                         out);
        break;
    case OP_SCAN:
        session_read_all(session, NULL, session->model.unit_count, false, out);
        break;
    case OP_BACK:
    case OP_SEEK:
        session_read_all(session, NULL, session->model.unit_count, true, NULL);
        break;
    case OP_SNAPSHOT:
    case OP_AT:
    case OP_RELEASE:
        session_apply_snapshot(session, op, out);
        break;
    case OP_COPY:
        apply_copy(session, op);
        break;
    default:
        break;
    }
    session_ask_durable(session);
    session_look_at_unsynced(session);
    session_ask_figures(session, op->kind);
}

void session_apply(struct session *session, uint32_t index, FILE *out)
{
    const struct op *op = &session->trace->ops[index];

    session->op = index + 1;
    session->error = (struct pc_store_error){0};
    pc_disk_mark(session->disk, session->op);
    switch (op->kind) {
    case OP_FAULT:
        pc_disk_add_fault(session->disk, &session->faults[op->slot]);
        session->armed = true;
        break;
    case OP_OPEN:
        session_ensure_open(session);
        break;
    case OP_CLOSE:
        session_close_db(session);
        break;
    case OP_REOPEN:
        session_close_db(session);
        session_ensure_open(session);
        break;
    case OP_CLOCK:
        session->clock = op->shift < 0 && session->clock < (uint64_t)-op->shift
                             ? 0
                             : session->clock + (uint64_t)op->shift;
        model_set_clock(&session->model, session->op, session_now(session), session->clock);
        break;
    default:
        if (session_ensure_open(session))
            apply_open(session, op, out);
        break;
    }
}

/* ---- epochs ---- */

void session_end_epoch(struct session *session)
{
    session->op = session->trace->op_count;
    session_close_db(session);
    if (session->armed)
        session->digest =
            rng_mix(session->digest ^ session->results ^ rng_mix(pc_disk_hash(session->disk)));
    session->armed = false;
    pc_disk_settle(session->disk);
    pc_image_free(session->image);
    session->image = NULL;
    pc_disk_free(session->below);
    session->below = NULL;
}

struct model *session_judge(struct session *session, size_t k, size_t *at, size_t *trust)
{
    if (session->epoch > 0 && k < session->opened) {
        *at = session->before_at;
        *trust = session->before_trust;
        return &session->before;
    }
    *at = k;
    *trust = session_first_lie(session) < k ? 0 : SIZE_MAX;
    return &session->model;
}

bool session_kill(const struct session *session, size_t k)
{
    return k <= session->misled && session->trace->disk.model == PC_PROCESS_KILL &&
           session_promises(session) & PC_PROMISE_PROCESS_KILL;
}

bool session_place(const struct session *session, const struct crash *crash, size_t *k, char *why,
                   size_t room)
{
    const struct trace *trace = session->trace;
    uint32_t nth = 0;
    size_t calls = session_now(session), inserted = SIZE_MAX;

    if (trace && trace->insert_call && trace->change_epoch == session->epoch)
        inserted = trace->insert_call; /* a call of the log that the store did not make */
    if (crash->place == CRASH_END) {
        *k = calls;
        return true;
    }
    if (crash->place == CRASH_SEED) {
        struct rng rng = rng_seeded(crash->seed);

        *k = (size_t)rng_below(&rng, calls + 1);
        return true;
    }
    for (size_t i = 0; i < calls; i++) {
        const struct pc_call *call = pc_disk_call(session->disk, i);
        const char *name = strrchr(call->path, '/');

        if (i == inserted)
            continue;
        name = name ? name + 1 : call->path;
        if (call->kind == crash->call && fnmatch(crash->file, name, 0) == 0 &&
            ++nth == crash->nth) {
            *k = i;
            return true;
        }
    }
    snprintf(why, room, "this epoch has only %u calls of %s on %s", (unsigned)nth,
             pc_call_kind_name(crash->call), *crash->file ? crash->file : "/");
    return false;
}

/* As judge.c has it (J7): a rule for the new disk, or a request for memory that is refused. */
static void begin_trouble(struct session *session, enum trouble trouble, uint32_t at)
{
    session->trouble = trouble;
    session->trouble_fault = (struct pc_fault){0};
    if (trouble == TROUBLE_NO_MEMORY) {
        session->fail_request = at;
    } else if (trouble != TROUBLE_NONE) {
        session->trouble_fault = judge_fault(trouble, at);
        pc_disk_add_fault(session->disk, &session->trouble_fault);
    }
}

/* The next epoch begins with what the store holds, what has expired included: a clock that is set
 * back shows it. That may be there or not, and what it replaced may not. */
static void rebase(struct session *session, bool ask)
{
    struct pc_store_error error = {0};
    struct verdict verdict = {0};
    uint64_t clock = session->clock;

    if (session->verdict.rule == RULE_NONE && model_expires(&session->before)) {
        session->clock = 0;
        if (session_scan_now(session, NULL, &error) && ask)
            session_violate(session, RULE_READ, "the scan fails with the clock set back",
                            error.text);
        session->clock = clock;
        if (ask)
            model_judge(&session->before, session->before_at, false, 0, &session->seen, &verdict);
        if (verdict.rule != RULE_NONE)
            session_violate(session, verdict.rule, "after the crash, with the clock set back",
                            verdict.text);
    }
    model_rebase(&session->model, &session->before, &session->seen);
    model_set_clock(&session->model, 0, 0, clock);
}

/* What is asked of the disk before the store opens to go on. The judge keeps what it was shown. */
static void look_first(struct session *session, struct judge *judge, size_t at, bool kill)
{
    struct question question = {.model = &session->before,
                                .at = at,
                                .kill = kill,
                                .now = session->clock,
                                .lied = session->lied,
                                .split =
                                    pc_model_splits_names(pc_disk_get_config(session->disk)->model),
                                .look = true,
                                .trouble = session->trouble};
    struct verdict verdict = {0};

    judge_init(judge, session->store, session->trace->tuning);
    judge->disk = session->disk;
    judge->now = session->clock;
    if (session->trouble == TROUBLE_NONE && !judge_first(judge, &question, &verdict))
        session_violate(session, verdict.rule, "after the crash", verdict.text);
    judge->disk = NULL;
}

void session_recover(struct session *session, struct pc_image *image, size_t k,
                     enum trouble trouble, uint32_t trouble_at)
{
    size_t at, trust;
    struct model *model = session_judge(session, k, &at, &trust);
    bool kill = session_kill(session, k);
    struct verdict verdict = {0};
    struct judge judge;

    if (model == &session->model) {
        struct model swap = session->before;

        session->before = session->model;
        session->before_at = at;
        session->before_trust = trust;
        session->model = swap;
    }
    session->lied |= session_first_lie(session) < k;
    session->below = session->disk;
    session->crash_at = k;
    session->image = image;
    session->disk = pc_disk_boot(image);
    session->clock = model_clock(&session->before, at);
    session->epoch++;
    session->given_up = session->unsynced = false;
    session->opened = session->misled = SIZE_MAX;
    change_history(session);
    mount_disk(session);
    pc_disk_mark(session->disk, session->op);
    begin_trouble(session, trouble, trouble_at);
    look_first(session, &judge, at, kill);
    if (session->verdict.rule == RULE_NONE)
        session_open_live(session);
    session->opened = session_now(session);
    if (session->db && !session->refused && session->verdict.rule == RULE_NONE &&
        !judge_looked(&judge, &session->seen, &verdict))
        session_violate(session, verdict.rule, "after the crash", verdict.text);
    judge_release(&judge);
    if (trouble == TROUBLE_BITROT)
        kill = false;
    if (session->db == NULL || session->refused || session->verdict.rule != RULE_NONE)
        return;
    model_judge(&session->before, session->before_at, kill,
                trouble == TROUBLE_BITROT ? 0 : session->before_trust, &session->seen, &verdict);
    session->trouble = TROUBLE_NONE;
    /* Rot may lead back behind the epoch before, and the model has forgotten those states. */
    if (trouble == TROUBLE_BITROT && session->epoch > 1 && verdict.rule != RULE_WRONG_BYTES)
        verdict.rule = RULE_NONE;
    if (verdict.rule == RULE_NONE)
        judge_reads(session->store, session->db, NULL, &session->seen, &session->other,
                    &session->before, &verdict);
    if (verdict.error && trouble == TROUBLE_BITROT)
        verdict.rule = RULE_NONE;
    if (verdict.rule != RULE_NONE)
        session_violate(session, verdict.rule, "after the crash", verdict.text);
    rebase(session, trouble != TROUBLE_BITROT);
}
