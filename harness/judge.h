/* judge.h: opens a store on what a crash left, reads everything back in every way, and asks the
 * model. One judge is reused for many recoveries. */
#ifndef HARNESS_JUDGE_H
#define HARNESS_JUDGE_H

#include "powercut/disk.h"
#include "powercut/hooks.h"
#include "powercut/store.h"

#include "base/rng.h"

#include "heap.h"
#include "model.h"

#define MOUNT_POINT "/powercut"
#define STORE_DIR   "/powercut/db"
#define STORE_NAME  "db"             /* within the disk */
#define COPY_DIR    "/powercut/copy" /* and the number of the slot */
#define STEP_LIMIT  2000000u         /* calls of the disk in one life of a store: beyond it hangs */

/* What may go wrong while the store recovers, apart from what the crash left. */
enum trouble {
    TROUBLE_NONE,
    TROUBLE_BITROT,    /* a bit of what is read is wrong, and stays so: exact content or an error */
    TROUBLE_READ,      /* one read fails: an error, and all is well the next time */
    TROUBLE_WRITE,     /* one call that changes or syncs something fails: the same */
    TROUBLE_NO_MEMORY, /* one request for memory fails: the same */
    TROUBLES
};

const char *trouble_name(enum trouble trouble);

#define JUDGE_MEMO 1024u

struct judge {
    const struct pc_store *store;
    const char *tuning;
    struct pc_disk *disk; /* of the newest recovery */
    struct heap heap;
    struct seen seen, other;
    enum { LOOKED_NOT, LOOKED_NOTHING, LOOKED_OPEN } looked; /* to read only; then in `other` */
    uint8_t *buffer;
    size_t buffer_room;
    struct pc_hooks hooks;
    uint64_t passed[JUDGE_MEMO];    /* states judged good: see judge_forget */
    const struct model *memo_model; /* one of the two models that an epoch is judged by */
    void *db;
    bool answered;         /* the newest recovery: `seen` is what was recovered, not an error */
    bool damaged;          /* it refused damage: the tools have to tell and to mend it */
    uint64_t now;          /* what the store is told */
    struct pc_fault fault; /* of the trouble */
    uint64_t troubled[TROUBLES], showed[TROUBLES]; /* tried; and the store noticed */
    uint64_t recoveries, refused;                  /* refused: opened with a typed error, and may */
};

/* What is asked of one recovery. */
struct question {
    struct model *model;
    size_t at;        /* position of the crash in the model's time */
    bool kill;        /* the process died; else the power failed */
    bool lied;        /* some sync lied: typed errors are legal answers */
    bool split;       /* a rename may be half done: the name of the root can be gone; the same */
    size_t trust;     /* promises made later are void: what they covered may have moved since */
    uint64_t now;     /* the clock */
    bool scan_claims; /* let the log reader look for claims for real */
    bool memo;        /* a state that was good at this place need not be judged again */
    bool look;        /* first open it to read only */
    bool scans_only;  /* read forward and backward, not key by key */
    bool by_use;      /* decide what the store uses, not what it reads (verdict.h) */
    enum trouble trouble;
    uint32_t trouble_at; /* the how-manieth read or request; 1 is the first */
    bool life;           /* write, flush, compact, close and reopen after it */
};

/* The fault that a trouble is made of; TROUBLE_NO_MEMORY has none. `at`: 1 is the first call. */
struct pc_fault judge_fault(enum trouble trouble, uint32_t at);

void judge_init(struct judge *judge, const struct pc_store *store, const char *tuning);
void judge_release(struct judge *judge);

/* Boots on the image, opens, reads, judges, closes. The disk of it stays until the next call, so
 * that its log can be looked at; *opened gets the number of its calls when open returned. */
void judge_image(struct judge *judge, struct pc_image *image, const struct question *question,
                 struct verdict *verdict, size_t *opened);

/* Before the first question with a memo, and when what the models say has changed: an epoch is
 * judged by `model` and at most one other. */
void judge_forget(struct judge *judge, const struct model *model);

/* For others that hold a store open: reads all into `seen`, forward; checks the other ways of
 * reading against it. */
enum pc_store_status judge_scan(const struct pc_store *store, void *db, void *snapshot,
                                struct seen *seen, struct pc_store_error *error);
/* As judge_scan; then `steps` moves of the same iterator that `r` draws, back and forth. False: one
 * of them has shown something else than the scan. A failure is in *error. */
bool judge_walk(const struct pc_store *store, void *db, void *snapshot, struct seen *seen,
                struct rng *r, uint32_t steps, struct pc_store_error *error);
bool judge_reads(const struct pc_store *store, void *db, void *snapshot, const struct seen *seen,
                 struct seen *scratch, const struct model *model, struct verdict *verdict);

/* J4: a write, a flush, a delete, a compaction, the store's check. The marker goes in and out
 * again, so that the state is what it was. */
bool judge_live_on(const struct pc_store *store, void *db, struct verdict *verdict);

/* For judge.c: what is asked beyond the plain ways of reading; judge_more.c. */
struct judge_open {
    const char *dir;
    bool read_only;
};
struct pc_store_env judge_env(struct judge *judge, const struct question *question,
                              struct judge_open how);
enum pc_store_status judge_open(struct judge *judge, const struct question *question,
                                struct judge_open how, struct pc_store_error *error);
bool judge_fail(struct verdict *verdict, enum rule rule, const char *what, const char *detail);
bool judge_typed(enum pc_store_status st); /* damage or loss, noticed */
bool judge_many(const struct pc_store *store, void *db, void *snapshot, const struct seen *seen,
                const struct model *model, struct verdict *verdict);
bool judge_bounds(const struct pc_store *store, void *db, void *snapshot, const struct seen *seen,
                  struct verdict *verdict);
/* Before the open that may write: what has to be asked of the disk as the crash has left it, copies
 * and, with `look`, an open to read only. judge_looked compares what that has shown with what was
 * read after it. */
bool judge_first(struct judge *judge, const struct question *question, struct verdict *verdict);
bool judge_looked(const struct judge *judge, const struct seen *seen, struct verdict *verdict);

/* J12: there is no damage in the closed store, nor a file too many. */
bool judge_clean(const struct pc_store *store, const struct pc_store_env *env,
                 struct verdict *verdict);
/* J12, J13: the store has refused damage that is still there, and everything is closed. */
bool judge_damaged(struct judge *judge, const struct question *question, struct verdict *verdict);

/* The rule that an error breaks where a state was due: a store that says itself that synced data is
 * gone has lost it. */
enum rule judge_rule_of(enum pc_store_status status);

/* Called when a store makes more steps than it may: ends the process with this status. */
#define HANG_EXIT 41
void judge_hang(void *ctx);
/* Set by a program in which a hang has to leave something behind: called before. */
extern void (*judge_hanging)(void);

#endif
