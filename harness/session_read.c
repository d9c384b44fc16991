/* session_read.c: what a live store shows, in every way of reading, against the reference map. See
 * session.h. */
#include "session_inner.h"

enum pc_store_status session_scan_now(struct session *session, void *snapshot,
                                      struct pc_store_error *error)
{
    session->seen.now = session->clock;
    return judge_scan(session->store, session->db, snapshot, &session->seen, error);
}

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

void session_read_key(struct session *session, struct bytes key, void *snapshot, uint32_t cut,
                      FILE *out)
{
    struct got got = {.out = out};
    struct pc_store_error error = {0};
    struct pc_store_figures before = {0}, after = {0};
    enum pc_store_status st;
    const struct version *version = model_at(&session->model, key, cut);
    enum shown shown = model_shown(&session->model, version, session_now(session), session->clock);

    if (session->store->figures)
        session->store->figures(session->db, &before);
    st = session->store->get(session->db, snapshot, key, take, &got, &error);
    if (session->store->figures)
        session->store->figures(session->db, &after);
    if (session->store->figures && !session_faulty(session) && figures_of_get(&before, &after))
        session_violate(session, RULE_FIGURES, figures_of_get(&before, &after), "");
    session_note(session, st);
    session_note(session, got.hash);
    if (st != PC_STORE_NOT_FOUND)
        session->error = error;
    if (out)
        fputs(got.found ? "\n" : "(absent)\n", out);
    if (st != PC_STORE_OK && st != PC_STORE_NOT_FOUND) {
        if (!session_faulty(session))
            session_violate(session, RULE_READ, "get fails without a fault", error.text);
    } else if (!model_uncertain(&session->model, key)) {
        if (got.found ? shown == SHOWN_ABSENT : shown == SHOWN_VALUE)
            session_violate(session, RULE_READ, "get differs from the reference map",
                            got.found ? "a value where none is expected" : "the key is not found");
        else if (got.found && (got.hash != version->hash || got.len != version->len))
            session_violate(session, RULE_READ, "get differs from the reference map",
                            "another value");
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
        shown = model_shown(model, version, session_now(session), session->clock);
        if (entry ? shown == SHOWN_ABSENT : shown == SHOWN_VALUE)
            return false;
        if (entry && (entry->hash != version->hash || entry->len != version->len))
            return false;
    }
    return i == session->seen.count;
}

void session_read_all(struct session *session, void *snapshot, uint32_t cut, bool other_ways,
                      FILE *out)
{
    struct pc_store_error error = {0};
    struct verdict verdict = {0};

    if (session_scan_now(session, snapshot, &error)) {
        if (!session_faulty(session))
            session_violate(session, RULE_READ, "the scan fails without a fault", error.text);
        return;
    }
    session_note(session, seen_hash(&session->seen));
    for (size_t i = 0; out && i < session->seen.count; i++) {
        values_print(out, session->seen.entries[i].key);
        fprintf(out, " (%u bytes)\n", (unsigned)session->seen.entries[i].len);
    }
    if (!scan_agrees(session, cut))
        session_violate(session, RULE_READ, "the scan differs from the reference map", "");
    else if (other_ways &&
             !judge_reads(session->store, session->db, snapshot, &session->seen, &session->other,
                          &session->model, &verdict) &&
             !(verdict.error && session_faulty(session)))
        session_violate(session, verdict.rule, verdict.text, "");
}

void session_apply_snapshot(struct session *session, const struct op *op, FILE *out)
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
            session_read_key(session, session->trace->keys[op->key], snapshot->handle,
                             snapshot->cut, out);
        else
            session_read_all(session, snapshot->handle, snapshot->cut, true, out);
        break;
    default:
        if (snapshot->used)
            session->store->release(session->db, snapshot->handle);
        snapshot->used = false;
        break;
    }
}
