/* model.h: the reference map with its whole history, and the oracle: is a recovered state legal?
 *
 * A *unit* is one put, one delete or one batch, numbered from 1 in the order of the store. A *cut*
 * c stands for the state after units 1..c on top of the base state. A recovered state is legal when
 * it equals the state of one single cut between the *floor* (the last unit that some promise made
 * before the crash covers) and the *ceiling* (the last unit begun before the crash). Units that
 * answered an error are *optional*: absent, or wholly present at their place.
 *
 * A version may *expire*: it is shown as long as the clock stands below its time, and nothing of
 * its key is shown from then on. A store may forget it then, so that with a clock set back it may
 * be shown again or not; what it replaced may not.
 *
 * Time is counted in calls of the simulated disk: an event with position p happened after p calls
 * had returned and before the next. A crash at k sees the events with position <= k. */
#ifndef HARNESS_MODEL_H
#define HARNESS_MODEL_H

#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

enum rule {
    RULE_NONE,
    RULE_BELOW_FLOOR, /* a promised write is gone (G1) */
    RULE_HOLE,        /* a write is gone and a later one is there (G2) */
    RULE_TORN_BATCH,  /* part of one batch (G3) */
    RULE_PHANTOM,     /* a key or value that was never written, or came back (G4) */
    RULE_WRONG_BYTES, /* a value is damaged and was delivered (G5) */
    RULE_OPEN,        /* does not open, or not readable, though the disk was honest (G6) */
    RULE_RECOVERY,    /* recovering twice does not give the same (G7) */
    RULE_READ,        /* get, scans, seeks and snapshots disagree with each other or the map (G8) */
    RULE_STRUCTURE,   /* the store's own check of levels and files fails (G9) */
    RULE_PROGRESS,    /* does not work or close after recovery (G10) */
    RULE_TRUTH,       /* claims more durable than it wrote (G11) */
    RULE_FAIL_STOP,   /* acknowledges writes after a failure that it reported (G12) */
    RULE_LEAK,        /* memory or descriptors left after close */
    RULE_HANG,        /* too many steps in one call */
    RULE_CRASH,       /* the process died */
    RULE_NONDETERMINISM,
    RULE_UNVERIFIED, /* recovery depends on bytes that no checksum has passed */
    RULE_COPY,       /* a copy that was promised is not there, or not what was copied */
    RULE_READ_ONLY,  /* an open to read only changes the disk, or shows something else */
    RULE_FIGURES,    /* statistics or sizes that contradict what was done, or each other */
    RULE_VERIFY,     /* the check of a closed store finds damage where is none, or overlooks it */
    RULE_REPAIR,     /* a repair fails, or loses or changes something and does not say so */
    RULES
};

const char *rule_name(enum rule rule); /* "below-floor" */
bool rule_from_name(const char *name, enum rule *rule);

struct verdict {
    enum rule rule;
    int error; /* of the store (enum pc_store_status), when an error is what broke the rule */
    uint32_t floor, ceiling, cut; /* cut: the one recovered, when legal or below the floor */
    char text[640];
};

struct model_write {
    bool is_delete;
    struct bytes key;
    uint64_t hash;
    uint32_t len;
    uint64_t expires; /* 0: never */
    bool is_range;    /* a delete of [key, end) */
    struct bytes end;
};

enum unit_status { UNIT_PENDING, UNIT_OK, UNIT_ERROR };

struct unit {
    uint32_t op; /* number of the operation, for the story */
    bool sync;
    enum unit_status status;
    size_t begun, ended;          /* positions */
    uint64_t seq;                 /* the store's, of its last write; 0: none */
    uint32_t first_write, writes; /* of single keys; of a range there are versions only */
    bool resolved, present;       /* an optional unit that was looked for: */
    size_t resolved_at;
};

struct promise {
    size_t at; /* position */
    uint32_t units;
    const char *why; /* static text */
};

struct version {
    uint32_t unit; /* 0: the base */
    bool absent;
    bool vague; /* of the base: when it expires is not known */
    uint32_t len;
    uint64_t hash;
    uint64_t expires; /* 0: never */
    uint64_t most;    /* of the base: the latest that the clock has shown since it was written */
};

/* A copy of the store in a directory of its own. */
struct copy {
    uint32_t slot, op;
    size_t begun, ended; /* positions; ended: SIZE_MAX as long as nothing is promised */
    uint32_t units;      /* what it holds is the state after these */
};

#define MODEL_COPIES 4

/* The clock was set, or moved. */
struct tick {
    uint32_t op;
    size_t at; /* position */
    uint64_t now;
};

struct line { /* all versions of a key, oldest first */
    struct bytes key;
    struct version *versions;
    uint32_t count, room;
};

/* A state that was read back: sorted by key. */
struct seen_entry {
    struct bytes key;
    uint32_t len;
    uint64_t hash;
};

struct seen {
    struct seen_entry *entries;
    size_t count, room;
    uint64_t now;  /* the clock when it was read */
    uint8_t *text; /* the keys' bytes */
    size_t text_len, text_room;
    uint64_t hash; /* once asked for */
    bool hashed;
};

void seen_clear(struct seen *seen);
void seen_release(struct seen *seen);
void seen_add(struct seen *seen, struct bytes key, struct bytes value);
const struct seen_entry *seen_find(const struct seen *seen, struct bytes key);
bool seen_equal(const struct seen *a, const struct seen *b);
uint64_t seen_hash(struct seen *seen);

struct model {
    struct unit *units; /* [0] is unused */
    uint32_t unit_count, unit_room;
    struct model_write *writes;
    uint32_t write_count, write_room;
    struct promise *promises;
    uint32_t promise_count, promise_room;
    struct line *lines; /* sorted by key */
    uint32_t line_count, line_room;
    struct tick *ticks;
    uint32_t tick_count, tick_room;
    uint64_t *dead; /* hashes of values of earlier epochs */
    uint32_t dead_count, dead_room;
    int32_t *sweep;
    uint32_t sweep_room;
    struct copy copies[MODEL_COPIES]; /* of this epoch */
    uint32_t copy_count;
    bool failed; /* a unit answered an error and was not looked for since */
};

void model_init(struct model *model);
void model_release(struct model *model);
/* A new epoch that begins with what was recovered: all units go, their values are dead. `seen` is
 * all that the store holds: read with the clock at 0, so that what has expired is seen, too. `from`
 * is the model of the epoch that it was recovered from, or the same; it knows when things expire.
 * Tell it the clock afterwards. */
void model_rebase(struct model *model, const struct model *from, const struct seen *seen);
/* Operation `op` set the clock. */
void model_set_clock(struct model *model, uint32_t op, size_t at, uint64_t now);
uint64_t model_clock(const struct model *model, size_t at);
bool model_expires(const struct model *model); /* does anything? */

/* What a reader whose clock stands at `now` may be shown of a version (NULL: never there). */
enum shown { SHOWN_ABSENT, SHOWN_VALUE, SHOWN_EITHER };
enum shown model_shown(const struct model *model, const struct version *version, size_t at,
                       uint64_t now);

uint64_t model_hash(struct bytes value);

/* Keys are copied. Begins a unit; end it with its status. */
uint32_t model_begin(struct model *model, uint32_t op, bool sync, const struct model_write *writes,
                     uint32_t count, size_t at);
void model_end(struct model *model, uint32_t unit, enum unit_status status, uint64_t seq,
               size_t at);
/* Units 1..units are promised to survive loss of power from now on. */
void model_promise(struct model *model, uint32_t units, size_t at, const char *why);
/* The newest acknowledged unit whose sequence number is at most seq. */
uint32_t model_units_of_seq(const struct model *model, uint64_t seq);
uint32_t model_acknowledged(const struct model *model, size_t at); /* newest with status OK */

/* Bytes under a key that nobody ever wrote to it, in any epoch: never right, whatever was lost. */
bool model_strange(const struct model *model, const struct seen *seen);

void model_copy(struct model *model, struct copy copy);
/* Judges what a copy holds, read after a crash at `at`. */
void model_judge_copy(struct model *model, const struct copy *copy, size_t at,
                      const struct seen *seen, struct verdict *verdict);

/* The version of a key after units 1..cut, errors left out; NULL: the key was never there. */
const struct version *model_at(const struct model *model, struct bytes key, uint32_t cut);
const struct line *model_line(const struct model *model, struct bytes key);
/* Was the key written by a unit with an error that nobody looked for yet? */
bool model_uncertain(const struct model *model, struct bytes key);

/* Judges a state recovered from a crash at `at`. `kill`: the process died, the disk did not.
 * `trust`: promises made at a later position do not count (a sync lied). */
void model_judge(struct model *model, size_t at, bool kill, size_t trust, const struct seen *seen,
                 struct verdict *verdict);
/* A hash of all that the verdict on a state depends on beside it. */
uint64_t model_terms(const struct model *model, size_t at, bool kill, size_t trust);
/* The store was closed and opened in the same process: looks for the optional units, and settles
 * them. Everything acknowledged must be there. */
void model_reopened(struct model *model, size_t at, const struct seen *seen,
                    struct verdict *verdict);

#endif
