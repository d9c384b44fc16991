/* session.h: one execution of a trace: a store on a simulated disk, with the reference map beside
 * it. A session goes through *epochs*: from a boot to the next crash. The live store always runs
 * to its end and is closed on its own epoch; a crash is computed from the epoch's log afterwards.
 *
 * Crash points within the open that follows a crash belong to the epoch before: the floor of the
 * first crash still counts (oracle: nested crashes). */
#ifndef HARNESS_SESSION_H
#define HARNESS_SESSION_H

#include "powercut/disk.h"
#include "powercut/store.h"

#include "figures.h"
#include "heap.h"
#include "judge.h"
#include "model.h"
#include "trace.h"

struct snapshot {
    void *handle;
    uint32_t cut;
    bool used;
};

struct session {
    struct trace *trace; /* borrowed */
    const struct pc_store *store;
    struct pc_disk *disk;   /* of this epoch */
    struct pc_disk *below;  /* the disk that it was booted from, until settled */
    struct pc_image *image; /* the crash that it was booted from, until settled */
    void *db;
    struct heap heap;
    struct model model, before; /* of this epoch, and of the one before */
    size_t before_at, before_trust;
    size_t opened; /* calls of this epoch when the first open returned */
    size_t misled; /* calls before an open that took damage for a tear; SIZE_MAX: there is none */
    struct snapshot snapshots[TRACE_SLOTS];
    struct pc_fault faults[TRACE_FAULTS];
    struct seen seen, other;
    struct figures figures;
    uint32_t promised;       /* units, when last looked at */
    bool unsynced;           /* beyond them there is one, */
    uint64_t unsynced_since; /* written when the clock said so */
    uint8_t *buffer;
    size_t buffer_room;
    struct verdict verdict; /* the first violation seen live */
    uint32_t verdict_op;
    enum trouble trouble;  /* of the recovery that runs */
    uint64_t fail_request; /* of memory, in the next open */
    struct pc_fault trouble_fault;
    uint64_t results;            /* a hash of every answer of the store */
    uint64_t digest;             /* of the answers and the calls, when an epoch with rules ended */
    bool armed;                  /* a rule was armed in this epoch */
    struct pc_store_error error; /* of the newest operation, when it answered one */
    uint32_t epoch, op;
    uint32_t copies; /* slots whose directories exist */
    uint64_t clock;  /* what the store is told */
    bool lied;       /* a sync lied before a crash: typed errors are legal from then on */
    bool given_up;   /* no more operations in this epoch: what is there is not known */
    bool refused;    /* and the store answered one: nothing more can be done with it */
    size_t crash_at; /* calls of `below` before the crash that led to this epoch */
};

/* Boots an empty disk. The store is opened by OP_OPEN, or by the first operation. */
void session_init(struct session *session, struct trace *trace, const struct pc_store *store);
void session_release(struct session *session);

/* Closes the store, whatever it answers, and every descriptor; the disk stays, to be looked at. */
void session_abandon(struct session *session);

/* Executes operation `index`. `out`, when not NULL, gets what the operation answers, as text. */
void session_apply(struct session *session, uint32_t index, FILE *out);

/* Closes the live store, so that the epoch is complete, and settles its disk. Images of
 * session->disk may be made then. */
void session_end_epoch(struct session *session);

/* Which model judges a crash at k of this epoch, and at which position of its time. */
struct model *session_judge(struct session *session, size_t k, size_t *at, size_t *trust);
/* The first call of the epoch that lied, or with which damage was believed, or SIZE_MAX. */
size_t session_first_lie(const struct session *session);

/* Does every acknowledged write have to survive a crash at k of this epoch, as after the death of
 * the process? Not behind damage that was believed. */
bool session_kill(const struct session *session, size_t k);

/* The call index of a crash of this epoch; false: no such place, `why` says so. */
bool session_place(const struct session *session, const struct crash *crash, size_t *k, char *why,
                   size_t room);
/* Goes to the next epoch: boots on the image (taken over), opens, reads, judges. The verdict is
 * session->verdict. */
void session_recover(struct session *session, struct pc_image *image, size_t k,
                     enum trouble trouble, uint32_t trouble_at);

#endif
