/* session.c: executes operations on a live store and compares every answer with the reference map.
 * See session.h. */
#include "session.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "powercut/posix.h"

#include "callers.h"

#define CLOCK_START 1000u

static uint64_t session_clock(void *ctx)
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

static size_t now(const struct session *session)
{
    return pc_disk_call_count(session->disk);
}

static void violate(struct session *session, enum rule rule, const char *what, const char *detail)
{
    if (session->verdict.rule != RULE_NONE)
        return;
    session->verdict.rule = rule;
    session->verdict_op = session->op;
    snprintf(session->verdict.text, sizeof session->verdict.text, "op %u: %.200s%s%.300s",
             (unsigned)session->op, what, *detail ? ": " : "", detail);
}

static void note(struct session *session, uint64_t value)
{
    session->results = rng_mix(session->results ^ value);
}

static bool faulty(const struct session *session)
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
    for (size_t i = 0; i < now(session); i++)
        if (pc_disk_call(session->disk, i)->flags & PC_CALL_LIED || i >= session->misled)
            return i;
    return SIZE_MAX;
}

/* ---- open and close ---- */

static void promise(struct session *session, const char *why)
{
    uint32_t units = model_acknowledged(&session->model, now(session));

    model_promise(&session->model, units, now(session), why);
}

static uint32_t session_promises(const struct session *session)
{
    const struct pc_store *store = session->store;

    return store->promises_with ? store->promises_with(session->trace->tuning) : store->promises;
}

/* All but the newest operations: the store says how many of these may be lost. */
static void promise_window(struct session *session, uint64_t seq)
{
    const struct pc_store *store = session->store;
    uint64_t window = store->window ? store->window(session->trace->tuning) : UINT64_MAX;

    if (seq > window)
        model_promise(&session->model, model_units_of_seq(&session->model, seq - window),
                      now(session), "no more than its window may be lost");
}

/* Every durable sequence number that the store ever tells is a promise. */
static void ask_durable(struct session *session)
{
    uint64_t seq;

    if (session->db == NULL || session->store->durable_seq == NULL)
        return;
    seq = session->store->durable_seq(session->db);
    note(session, seq);
    model_promise(&session->model, model_units_of_seq(&session->model, seq), now(session),
                  "the durable sequence number covers them");
}

/* The oldest write that is not durable has been there for too long, so now all are. */
static void promise_interval(struct session *session)
{
    const struct pc_store *store = session->store;
    uint64_t most = store->interval ? store->interval(session->trace->tuning) : UINT64_MAX;
    uint64_t since = session->unsynced_since;

    if (most != UINT64_MAX && session->unsynced &&
        (session->clock < since || session->clock - since >= most))
        promise(session, "a write found an older one waiting for longer than its interval");
}

/* After each operation: since when does the oldest write wait that nothing was promised of? */
static void look_at_unsynced(struct session *session)
{
    const struct model *model = &session->model;
    uint32_t promised = model->promise_count ? model->promises[model->promise_count - 1].units : 0;

    if (promised >= model_acknowledged(model, now(session))) {
        session->unsynced = false;
    } else if (!session->unsynced || promised != session->promised) {
        session->unsynced = true;
        session->unsynced_since = session->clock;
    }
    session->promised = promised;
}

/* No rule counts calls, so that reading more moves no fault, and none is still to come. */
static bool undisturbed(const struct session *session)
{
    return session->trace->fault_count == 0 && session->trouble_fault.nth == 0 && !faulty(session);
}

/* What the store says of itself. Sizes are asked for only where no rule counts calls. A mistake
 * planted at a call (pc_seam) makes the counts of the disk others by itself: that is no finding. */
static void ask_figures(struct session *session, enum op_kind kind)
{
    const struct pc_store *store = session->store;
    bool flushed = kind == OP_FLUSH || kind == OP_COMPACT;
    const char *wrong;

    if (session->db == NULL || session->model.failed)
        return;
    wrong = figures_check(&session->figures, store, session->db, session->disk, STORE_NAME,
                          &session->heap, !faulty(session) && pc_seam_acted() == 0);
    if (wrong == NULL && undisturbed(session) && (flushed || kind == OP_SCAN)) {
        struct pc_store_error error = {0};

        session->seen.now = session->clock;
        if (judge_scan(store, session->db, NULL, &session->seen, &error) == PC_STORE_OK)
            wrong = figures_sizes(store, session->db, &session->model, &session->seen, flushed);
    }
    if (wrong)
        violate(session, RULE_FIGURES, wrong, "");
}

static struct pc_store_env env_of(struct session *session)
{
    return (struct pc_store_env){.dir = STORE_DIR,
                                 .alloc = heap_alloc,
                                 .free = heap_free,
                                 .alloc_ctx = &session->heap,
                                 .clock = session_clock,
                                 .clock_ctx = session,
                                 .tuning = session->trace->tuning};
}

static enum pc_store_status open_db(struct session *session, struct pc_store_error *error)
{
    struct pc_store_env env = env_of(session);
    enum pc_store_status st;

    figures_begin(&session->figures, now(session));
    session->unsynced = false; /* a handle waits for what it has written itself */
    heap_reset(&session->heap);
    session->heap.fail_at = session->fail_request;
    session->fail_request = 0;
    session->db = NULL;
    st = session->store->open(&env, &session->db, error);
    note(session, st);
    return st;
}

static void forget_snapshots(struct session *session)
{
    for (int i = 0; i < TRACE_SLOTS; i++)
        if (session->snapshots[i].used) {
            session->store->release(session->db, session->snapshots[i].handle);
            session->snapshots[i].used = false;
        }
}

/* J12. Not where a rule counts calls. */
static void verify_closed(struct session *session, enum pc_store_status closed)
{
    struct pc_store_env env = env_of(session);
    struct verdict verdict = {0};

    if (closed || !undisturbed(session) || session->model.failed ||
        session->verdict.rule != RULE_NONE)
        return;
    heap_reset(&session->heap);
    if (!judge_clean(session->store, &env, &verdict))
        violate(session, verdict.rule, verdict.text, "");
}

static enum pc_store_status close_db(struct session *session)
{
    struct pc_store_error error = {0};
    enum pc_store_status st;

    if (session->db == NULL)
        return PC_STORE_OK;
    forget_snapshots(session);
    st = session->store->close(session->db, &error);
    session->db = NULL;
    note(session, st);
    if (st == PC_STORE_OK && !session->model.failed && !session->given_up &&
        session->store->promises & PC_PROMISE_CLOSE)
        promise(session, "close returned OK");
    else if (st && !faulty(session))
        violate(session, RULE_PROGRESS, "close fails without a fault", error.text);
    if (session->heap.held)
        violate(session, RULE_LEAK, "memory is left after close", "");
    if (pc_open_descriptors())
        violate(session, RULE_LEAK, "descriptors are left after close", "");
    pc_close_all();
    verify_closed(session, st);
    return st;
}

static bool rotted(const struct session *session)
{
    for (uint32_t i = 0; i < session->trace->fault_count; i++)
        if (pc_fault_damages(session->faults[i].kind) && session->faults[i].fired)
            return true;
    return session->trouble == TROUBLE_BITROT;
}

/* The store answers an error instead of a state: legal, if typed, where a sync has lied or a rename
 * may be half done, so that the file that names all others can be missing. */
static void refusal(struct session *session, enum pc_store_status st, const char *what,
                    const char *detail)
{
    bool lied = session->lied || session_first_lie(session) != SIZE_MAX || rotted(session);

    if ((lied || pc_model_splits_names(pc_disk_get_config(session->disk)->model)) &&
        (st == PC_STORE_CORRUPT || st == PC_STORE_DATA_LOSS))
        session->refused = true;
    else
        violate(session, judge_rule_of(st), what, detail);
}

/* A store that cannot go on for a fault that lasts: the fault ends, and it has to (G10). False: no
 * such fault is there. */
static bool lift(struct session *session)
{
    bool lasting = false;

    for (uint32_t i = 0; i < session->trace->fault_count; i++)
        lasting |= session->faults[i].fired && (pc_fault_lasts(&session->faults[i]) ||
                                                session->faults[i].kind == PC_FAULT_METADATA ||
                                                session->faults[i].kind == PC_FAULT_STICKY ||
                                                session->faults[i].kind == PC_FAULT_LATENT);
    if (lasting) {
        pc_disk_clear_faults(session->disk);
        pc_disk_lift_damage(session->disk);
    }
    return lasting;
}

static enum pc_store_status scan_now(struct session *session, void *snapshot,
                                     struct pc_store_error *error)
{
    session->seen.now = session->clock;
    return judge_scan(session->store, session->db, snapshot, &session->seen, error);
}

/* Did the cache go back to what was committed (btrfs)? What was acknowledged and not promised may
 * then be gone though nothing crashed. */
static bool went_back(const struct session *session)
{
    for (uint32_t i = 0; i < session->trace->fault_count; i++) {
        enum pc_fault_kind kind = session->faults[i].kind;

        if (session->faults[i].fired && session->trace->disk.model == PC_BTRFS &&
            (kind == PC_FAULT_EIO || kind == PC_FAULT_STICKY || kind == PC_FAULT_SILENT ||
             kind == PC_FAULT_ERROR || kind == PC_FAULT_FULL))
            return true;
    }
    return false;
}

/* The store was opened again in an epoch that goes on. */
static void judge_reopened(struct session *session, size_t began)
{
    struct verdict verdict = {0};
    bool loses = went_back(session), rot = rotted(session);

    /* A store that does not promise to survive its process may lose as much by a failed close; and
     * damage of what was written last, no claim behind it, looks like a tear (E4). */
    if (!loses && (rot || !(session_promises(session) & PC_PROMISE_PROCESS_KILL))) {
        model_judge(&session->model, now(session), true, SIZE_MAX, &session->seen, &verdict);
        loses = verdict.rule != RULE_NONE;
    }
    if (loses) {
        model_judge(&session->model, now(session), false,
                    session_first_lie(session) == SIZE_MAX && !rot ? SIZE_MAX : 0, &session->seen,
                    &verdict);
        session->given_up = true; /* of what was lost the model knows nothing */
        session->misled = rot && session->misled > began ? began : session->misled;
    } else {
        model_reopened(&session->model, now(session), &session->seen, &verdict);
    }
    if (verdict.rule != RULE_NONE)
        violate(session, verdict.rule, "after closing and opening", verdict.text);
}

/* Opens, again when a fault was in the way; then everything acknowledged must be there. */
static void open_live(struct session *session)
{
    struct pc_store_error error = {0};
    uint32_t most = 3;
    size_t began = now(session);
    enum pc_store_status st = open_db(session, &error);

    for (uint32_t i = 0; i < session->trace->fault_count; i++)
        most += !pc_fault_lasts(&session->faults[i]); /* each may strike an open of its own */
    for (uint32_t tries = 0; st && faulty(session) && tries < most; tries++) {
        pc_close_all();
        st = open_db(session, &error);
    }
    /* The first sync may still tell of a write that failed before and that nobody was told of. */
    for (int tries = st && lift(session) ? 2 : 0; st && tries > 0; tries--) {
        pc_close_all();
        st = open_db(session, &error);
    }
    if (st == PC_STORE_OK && session->trouble != TROUBLE_NONE &&
        scan_now(session, NULL, &error) != PC_STORE_OK && session->trouble != TROUBLE_BITROT) {
        close_db(session);
        st = open_db(session, &error);
    }
    session->error = error;
    if (st) {
        refusal(session, st, "open fails", error.text);
        return;
    }
    error = (struct pc_store_error){0}; /* of an open before, that failed by a fault */
    st = scan_now(session, NULL, &error);
    if (st && faulty(session)) /* a read that failed once succeeds the next time */
        st = scan_now(session, NULL, &error);
    if (st && lift(session))
        st = scan_now(session, NULL, &error);
    if (st) {
        refusal(session, st, "the store opens and cannot be read", error.text);
        return;
    }
    if (session->epoch > 0 && session->opened == SIZE_MAX)
        return; /* session_recover judges */
    judge_reopened(session, began);
    if (session->given_up)
        close_db(session);
}

static bool ensure_open(struct session *session)
{
    if (session->db == NULL && session->verdict.rule == RULE_NONE && !session->refused &&
        !session->given_up)
        open_live(session);
    return session->db != NULL;
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
    return model_begin(&session->model, session->op, op->sync, model_writes, *count, now(session));
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

    note(session, st);
    note(session, seq);
    session->error = error;
    model_end(&session->model, unit, st ? UNIT_ERROR : UNIT_OK, seq, now(session));
    figures_wrote(&session->figures, writes, count, st == PC_STORE_OK);
    if (st == PC_STORE_OK) {
        if (failed && session->store->promises & PC_PROMISE_FAIL_STOP)
            violate(session, RULE_FAIL_STOP, "a write is acknowledged after one that failed", "");
        if (op->sync && session->store->promises & PC_PROMISE_SYNC)
            promise(session, "a sync write returned OK");
        promise_window(session, seq);
        promise_interval(session);
    } else if (!faulty(session)) {
        violate(session, RULE_PROGRESS, "a write fails without a fault", error.text);
    }
}

/* ---- reads ---- */

struct got {
    bool found;
    uint64_t hash;
    size_t len;
    FILE *out;
};

static void take(void *ctx, struct bytes value)
{
    struct got *got = ctx;

    got->found = true;
    got->hash = model_hash(value);
    got->len = value.len;
    if (got->out && value.len <= 40)
        values_print(got->out, value);
    else if (got->out)
        fprintf(got->out, "(%zu bytes)", value.len);
}

static void read_key(struct session *session, struct bytes key, void *snapshot, uint32_t cut,
                     FILE *out)
{
    struct got got = {.out = out};
    struct pc_store_error error = {0};
    struct pc_store_figures before = {0}, after = {0};
    enum pc_store_status st;
    const struct version *version = model_at(&session->model, key, cut);
    enum shown shown = model_shown(&session->model, version, now(session), session->clock);

    if (session->store->figures)
        session->store->figures(session->db, &before);
    st = session->store->get(session->db, snapshot, key, take, &got, &error);
    if (session->store->figures)
        session->store->figures(session->db, &after);
    if (session->store->figures && !faulty(session) && figures_of_get(&before, &after))
        violate(session, RULE_FIGURES, figures_of_get(&before, &after), "");
    note(session, st);
    note(session, got.hash);
    if (st != PC_STORE_NOT_FOUND)
        session->error = error;
    if (out)
        fputs(got.found ? "\n" : "(absent)\n", out);
    if (st != PC_STORE_OK && st != PC_STORE_NOT_FOUND) {
        if (!faulty(session))
            violate(session, RULE_READ, "get fails without a fault", error.text);
    } else if (!model_uncertain(&session->model, key)) {
        if (got.found ? shown == SHOWN_ABSENT : shown == SHOWN_VALUE)
            violate(session, RULE_READ, "get differs from the reference map",
                    got.found ? "a value where none is expected" : "the key is not found");
        else if (got.found && (got.hash != version->hash || got.len != version->len))
            violate(session, RULE_READ, "get differs from the reference map", "another value");
    }
}

/* The forward scan against the map at `cut`. */
static bool scan_agrees(struct session *session, uint32_t cut)
{
    const struct model *model = &session->model;
    size_t i = 0;

    for (uint32_t l = 0; l < model->line_count; l++) {
        struct bytes key = model->lines[l].key;
        const struct version *version = model_at(model, key, cut);
        const struct seen_entry *entry = seen_find(&session->seen, key);
        enum shown shown;

        if (entry)
            i++;
        if (model_uncertain(model, key))
            continue;
        shown = model_shown(model, version, now(session), session->clock);
        if (entry ? shown == SHOWN_ABSENT : shown == SHOWN_VALUE)
            return false;
        if (entry && (entry->hash != version->hash || entry->len != version->len))
            return false;
    }
    return i == session->seen.count;
}

static void read_all(struct session *session, void *snapshot, uint32_t cut, bool other_ways,
                     FILE *out)
{
    struct pc_store_error error = {0};
    struct verdict verdict = {0};

    if (scan_now(session, snapshot, &error)) {
        if (!faulty(session))
            violate(session, RULE_READ, "the scan fails without a fault", error.text);
        return;
    }
    note(session, seen_hash(&session->seen));
    for (size_t i = 0; out && i < session->seen.count; i++) {
        values_print(out, session->seen.entries[i].key);
        fprintf(out, " (%u bytes)\n", (unsigned)session->seen.entries[i].len);
    }
    if (!scan_agrees(session, cut))
        violate(session, RULE_READ, "the scan differs from the reference map", "");
    else if (other_ways &&
             !judge_reads(session->store, session->db, snapshot, &session->seen, &session->other,
                          &session->model, &verdict) &&
             !(verdict.error && faulty(session)))
        violate(session, verdict.rule, verdict.text, "");
}

static void apply_snapshot(struct session *session, const struct op *op, FILE *out)
{
    struct snapshot *snapshot = &session->snapshots[op->slot];
    struct pc_store_error error = {0};

    switch (op->kind) {
    case OP_SNAPSHOT:
        if (snapshot->used)
            session->store->release(session->db, snapshot->handle);
        snapshot->used = session->store->snapshot(session->db, &snapshot->handle, &error) == 0;
        snapshot->cut = session->model.unit_count;
        break;
    case OP_AT:
        if (!snapshot->used)
            break;
        if (op->key != TRACE_NO_KEY)
            read_key(session, session->trace->keys[op->key], snapshot->handle, snapshot->cut, out);
        else
            read_all(session, snapshot->handle, snapshot->cut, true, out);
        break;
    default:
        if (snapshot->used)
            session->store->release(session->db, snapshot->handle);
        snapshot->used = false;
        break;
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
    note(session, st);
    session->error = error;
    if (st && !faulty(session))
        violate(session, RULE_PROGRESS, "flush, compact or sync fails without a fault", error.text);
    if (st == PC_STORE_OK && op->kind == OP_SYNC && store->promises & PC_PROMISE_SYNC)
        promise(session, "sync returned OK");
    if (st == PC_STORE_OK && op->kind == OP_FLUSH && store->promises & PC_PROMISE_FLUSH)
        promise(session, "flush returned OK");
    if (st == PC_STORE_OK && op->kind == OP_COMPACT && store->check && !faulty(session) &&
        store->check(session->db, &error) && !faulty(session)) /* nor within the check */
        violate(session, RULE_STRUCTURE, "the store's check fails", error.text);
}

static void apply_copy(struct session *session, const struct op *op)
{
    struct copy copy = {op->slot, session->op, now(session), SIZE_MAX, session->model.unit_count};
    struct pc_store_error error = {0};
    char dir[sizeof COPY_DIR + 8];
    enum pc_store_status st;

    if (session->store->copy == NULL || session->copies >> op->slot & 1)
        return;
    session->copies |= 1u << op->slot;
    snprintf(dir, sizeof dir, COPY_DIR "%u", (unsigned)op->slot);
    st = session->store->copy(session->db, dir, &error);
    note(session, st);
    session->error = error;
    if (st == PC_STORE_OK)
        copy.ended = now(session);
    else if (!faulty(session))
        violate(session, RULE_PROGRESS, "a copy fails without a fault", error.text);
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
        read_key(session, session->trace->keys[op->key], NULL, session->model.unit_count, out);
        break;
    case OP_SCAN:
        read_all(session, NULL, session->model.unit_count, false, out);
        break;
    case OP_BACK:
    case OP_SEEK:
        read_all(session, NULL, session->model.unit_count, true, NULL);
        break;
    case OP_SNAPSHOT:
    case OP_AT:
    case OP_RELEASE:
        apply_snapshot(session, op, out);
        break;
    case OP_COPY:
        apply_copy(session, op);
        break;
    default:
        break;
    }
    ask_durable(session);
    look_at_unsynced(session);
    ask_figures(session, op->kind);
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
        ensure_open(session);
        break;
    case OP_CLOSE:
        close_db(session);
        break;
    case OP_REOPEN:
        close_db(session);
        ensure_open(session);
        break;
    case OP_CLOCK:
        session->clock = op->shift < 0 && session->clock < (uint64_t)-op->shift
                             ? 0
                             : session->clock + (uint64_t)op->shift;
        model_set_clock(&session->model, session->op, now(session), session->clock);
        break;
    default:
        if (ensure_open(session))
            apply_open(session, op, out);
        break;
    }
}

/* ---- epochs ---- */

void session_end_epoch(struct session *session)
{
    session->op = session->trace->op_count;
    close_db(session);
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

bool session_kill(const struct session *session)
{
    return session->trace->disk.model == PC_PROCESS_KILL &&
           session_promises(session) & PC_PROMISE_PROCESS_KILL;
}

bool session_place(const struct session *session, const struct crash *crash, size_t *k, char *why,
                   size_t room)
{
    const struct trace *trace = session->trace;
    uint32_t nth = 0;
    size_t calls = now(session), inserted = SIZE_MAX;

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
        if (scan_now(session, NULL, &error) && ask)
            violate(session, RULE_READ, "the scan fails with the clock set back", error.text);
        session->clock = clock;
        if (ask)
            model_judge(&session->before, session->before_at, false, 0, &session->seen, &verdict);
        if (verdict.rule != RULE_NONE)
            violate(session, verdict.rule, "after the crash, with the clock set back",
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
        violate(session, verdict.rule, "after the crash", verdict.text);
    judge->disk = NULL;
}

void session_recover(struct session *session, struct pc_image *image, size_t k,
                     enum trouble trouble, uint32_t trouble_at)
{
    size_t at, trust;
    struct model *model = session_judge(session, k, &at, &trust);
    bool kill = session_kill(session);
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
        open_live(session);
    session->opened = now(session);
    if (session->db && !session->refused && session->verdict.rule == RULE_NONE &&
        !judge_looked(&judge, &session->seen, &verdict))
        violate(session, verdict.rule, "after the crash", verdict.text);
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
        violate(session, verdict.rule, "after the crash", verdict.text);
    rebase(session, trouble != TROUBLE_BITROT);
}
