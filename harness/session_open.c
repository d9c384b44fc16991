/* session_open.c: opening and closing a live store, what it promises by that, and what it says of
 * itself. See session.h. */
#include "session_inner.h"

#include "powercut/posix.h"

void session_promise(struct session *session, const char *why)
{
    uint32_t units = model_acknowledged(&session->model, session_now(session));

    model_promise(&session->model, units, session_now(session), why);
}

uint32_t session_promises(const struct session *session)
{
    const struct pc_store *store = session->store;

    return store->promises_with ? store->promises_with(session->trace->tuning) : store->promises;
}

/* All but the newest operations: the store says how many of these may be lost. */
void session_promise_window(struct session *session, uint64_t seq)
{
    const struct pc_store *store = session->store;
    uint64_t window = store->window ? store->window(session->trace->tuning) : UINT64_MAX;

    if (seq > window)
        model_promise(&session->model, model_units_of_seq(&session->model, seq - window),
                      session_now(session), "no more than its window may be lost");
}

/* Every durable sequence number that the store ever tells is a promise. */
void session_ask_durable(struct session *session)
{
    uint64_t seq;

    if (session->db == NULL || session->store->durable_seq == NULL)
        return;
    seq = session->store->durable_seq(session->db);
    session_note(session, seq);
    model_promise(&session->model, model_units_of_seq(&session->model, seq), session_now(session),
                  "the durable sequence number covers them");
}

/* The oldest write that is not durable has been there for too long, so now all are. */
void session_promise_interval(struct session *session)
{
    const struct pc_store *store = session->store;
    uint64_t most = store->interval ? store->interval(session->trace->tuning) : UINT64_MAX;
    uint64_t since = session->unsynced_since;

    if (most != UINT64_MAX && session->unsynced &&
        (session->clock < since || session->clock - since >= most))
        session_promise(session, "a write found an older one waiting for longer than its interval");
}

/* After each operation: since when does the oldest write wait that nothing was promised of? */
void session_look_at_unsynced(struct session *session)
{
    const struct model *model = &session->model;
    uint32_t promised = model->promise_count ? model->promises[model->promise_count - 1].units : 0;

    if (promised >= model_acknowledged(model, session_now(session))) {
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
    return session->trace->fault_count == 0 && session->trouble_fault.nth == 0 &&
           !session_faulty(session);
}

/* What the store says of itself. Sizes are asked for only where no rule counts calls. A mistake
 * planted at a call (pc_seam) makes the counts of the disk others by itself: that is no finding. */
void session_ask_figures(struct session *session, enum op_kind kind)
{
    const struct pc_store *store = session->store;
    bool flushed = kind == OP_FLUSH || kind == OP_COMPACT;
    const char *wrong;

    if (session->db == NULL || session->model.failed)
        return;
    wrong = figures_check(&session->figures, store, session->db, session->disk, STORE_NAME,
                          &session->heap, !session_faulty(session) && pc_seam_acted() == 0);
    if (wrong == NULL && undisturbed(session) && (flushed || kind == OP_SCAN)) {
        struct pc_store_error error = {0};

        session->seen.now = session->clock;
        if (judge_scan(store, session->db, NULL, &session->seen, &error) == PC_STORE_OK)
            wrong = figures_sizes(store, session->db, &session->model, &session->seen, flushed);
    }
    if (wrong)
        session_violate(session, RULE_FIGURES, wrong, "");
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

    figures_begin(&session->figures, session_now(session));
    session->unsynced = false; /* a handle waits for what it has written itself */
    heap_reset(&session->heap);
    session->heap.fail_at = session->fail_request;
    session->fail_request = 0;
    session->db = NULL;
    st = session->store->open(&env, &session->db, error);
    session_note(session, st);
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
        session_violate(session, verdict.rule, verdict.text, "");
}

enum pc_store_status session_close_db(struct session *session)
{
    struct pc_store_error error = {0};
    enum pc_store_status st;

    if (session->db == NULL)
        return PC_STORE_OK;
    forget_snapshots(session);
    st = session->store->close(session->db, &error);
    session->db = NULL;
    session_note(session, st);
    if (st == PC_STORE_OK && !session->model.failed && !session->given_up &&
        session->store->promises & PC_PROMISE_CLOSE)
        session_promise(session, "close returned OK");
    else if (st && !session_faulty(session))
        session_violate(session, RULE_PROGRESS, "close fails without a fault", error.text);
    if (session->heap.held)
        session_violate(session, RULE_LEAK, "memory is left after close", "");
    if (pc_open_descriptors())
        session_violate(session, RULE_LEAK, "descriptors are left after close", "");
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
        session_violate(session, judge_rule_of(st), what, detail);
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
        model_judge(&session->model, session_now(session), true, SIZE_MAX, &session->seen,
                    &verdict);
        loses = verdict.rule != RULE_NONE;
    }
    if (loses) {
        model_judge(&session->model, session_now(session), false,
                    session_first_lie(session) == SIZE_MAX && !rot ? SIZE_MAX : 0, &session->seen,
                    &verdict);
        session->given_up = true; /* of what was lost the model knows nothing */
        session->misled = rot && session->misled > began ? began : session->misled;
    } else {
        model_reopened(&session->model, session_now(session), &session->seen, &verdict);
    }
    if (verdict.rule != RULE_NONE)
        session_violate(session, verdict.rule, "after closing and opening", verdict.text);
}

/* Rules that fire once and have fired. Who was struck tries again: what is judged is an answer that
 * none of them had a part in. */
static uint32_t struck(const struct session *session)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < session->trace->fault_count; i++)
        count += session->faults[i].fired && !pc_fault_lasts(&session->faults[i]);
    return count;
}

/* Opens, again when a fault was in the way; then everything acknowledged must be there. */
void session_open_live(struct session *session)
{
    struct pc_store_error error = {0};
    size_t began = session_now(session);
    enum pc_store_status st = open_db(session, &error);

    for (uint32_t tries = 0, before; st && session_faulty(session) && tries < 3;
         tries += struck(session) == before) {
        before = struck(session);
        pc_close_all();
        st = open_db(session, &error);
    }
    /* The first sync may still tell of a write that failed before and that nobody was told of. */
    for (int tries = st && lift(session) ? 2 : 0; st && tries > 0; tries--) {
        pc_close_all();
        st = open_db(session, &error);
    }
    if (st == PC_STORE_OK && session->trouble != TROUBLE_NONE &&
        session_scan_now(session, NULL, &error) != PC_STORE_OK &&
        session->trouble != TROUBLE_BITROT) {
        session_close_db(session);
        st = open_db(session, &error);
    }
    session->error = error;
    if (st) {
        refusal(session, st, "open fails", error.text);
        return;
    }
    error = (struct pc_store_error){0}; /* of an open before, that failed by a fault */
    st = session_scan_now(session, NULL, &error);
    for (uint32_t tries = 0, before; st && session_faulty(session) && tries < 1;
         tries += struck(session) == before) {
        before = struck(session); /* a read that failed once succeeds the next time */
        st = session_scan_now(session, NULL, &error);
    }
    if (st && lift(session))
        st = session_scan_now(session, NULL, &error);
    if (st) {
        refusal(session, st, "the store opens and cannot be read", error.text);
        return;
    }
    if (session->epoch > 0 && session->opened == SIZE_MAX)
        return; /* session_recover judges */
    judge_reopened(session, began);
    if (session->given_up)
        session_close_db(session);
}

bool session_ensure_open(struct session *session)
{
    if (session->db == NULL && session->verdict.rule == RULE_NONE && !session->refused &&
        !session->given_up)
        session_open_live(session);
    return session->db != NULL;
}
