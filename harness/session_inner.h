/* session_inner.h: what the parts of a session share: session.c, session_open.c, session_read.c. */
#ifndef HARNESS_SESSION_INNER_H
#define HARNESS_SESSION_INNER_H

#include <stdio.h>

#include "session.h"

/* ---- session.c ---- */

/* Calls of the disk in this epoch so far. */
size_t session_now(const struct session *session);
/* The first violation stays; `detail` may be "". */
void session_violate(struct session *session, enum rule rule, const char *what, const char *detail);
/* Adds an answer of the store to the hash of all of them. */
void session_note(struct session *session, uint64_t value);
/* May the store answer an error from now on? */
bool session_faulty(const struct session *session);
/* The time that the store is told; `ctx`: the session. */
uint64_t session_clock(void *ctx);

/* ---- session_open.c ---- */

/* All that was acknowledged is durable from here on, and why. */
void session_promise(struct session *session, const char *why);
/* What the store promises with the tuning of the trace: PC_PROMISE_... */
uint32_t session_promises(const struct session *session);
/* What follows from the tuning behind a write that got this number, from events, from the clock. */
void session_promise_window(struct session *session, uint64_t seq);
void session_ask_durable(struct session *session);
void session_promise_interval(struct session *session);
void session_look_at_unsynced(struct session *session);
/* What the store says of itself (figures.h), behind an operation of this kind. */
void session_ask_figures(struct session *session, enum op_kind kind);

/* Opens, again when a fault was in the way; then everything acknowledged must be there. */
void session_open_live(struct session *session);
/* False: it is shut and stays so. */
bool session_ensure_open(struct session *session);
enum pc_store_status session_close_db(struct session *session);

/* ---- session_read.c ---- */

/* Into session->seen. */
enum pc_store_status session_scan_now(struct session *session, void *snapshot,
                                      struct pc_store_error *error);
/* Held against the model at `cut`; `out`, when not NULL, gets what was found, as text. */
void session_read_key(struct session *session, struct bytes key, void *snapshot, uint32_t cut,
                      FILE *out);
void session_read_all(struct session *session, void *snapshot, uint32_t cut, bool other_ways,
                      FILE *out);
void session_apply_snapshot(struct session *session, const struct op *op, FILE *out);

#endif
