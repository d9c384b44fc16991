/* explore.h: visits the crash states of an epoch: every frontier point, and at each the legal
 * images: all of them when a depth-first search over what recovery looks at ends within the
 * budget, otherwise the families that find most, and seeded samples. Counts are exact. */
#ifndef HARNESS_EXPLORE_H
#define HARNESS_EXPLORE_H

#include <gmp.h>

#include "finding.h"
#include "judge.h"
#include "session.h"
#include "tape.h"

/* How crash states are chosen. All but the first are what other tools do, to compare with. */
enum order {
    ORDER_LAZY,     /* everything, depth first over what recovery looks at */
    ORDER_ONE_LOST, /* the newest image, and each item lost, with what needs it */
    ORDER_TWO_LOST, /* and each pair */
    ORDER_OMISSION, /* each call left out, or torn and the last, as ALICE does */
    ORDER_RANDOM,   /* as many seeded images as `samples` says */
    ORDERS
};

const char *order_name(enum order order); /* "two-lost" */
bool order_from_name(const char *name, enum order *order);

struct budget {
    enum order order;
    uint32_t leaves;  /* recoveries per crash point before it is sampled instead */
    uint32_t bounded; /* recoveries per crash point for what is near the poles, where the search did
                         not end; 0: none */
    uint32_t samples; /* seeded images per sampled crash point, besides the families; 0: neither */
    uint32_t nested;  /* one leaf in so many is crashed again inside its recovery; 0: none */
    uint32_t depth;   /* crashes in a row, at most 3; 0: 2 */
    uint32_t trouble; /* one leaf in so many meets bit rot, a failing read, no memory; 0: none */
    bool scan_claims; /* the log reader always looks for claims for real */
    enum trouble trouble_kind; /* this kind alone; TROUBLE_NONE: all */
    uint32_t trouble_tries;    /* how many reads or requests are tried per kind then; 0: one */
    uint32_t life;             /* one leaf in so many has to go on living */
    uint32_t recoveries;       /* per epoch; beyond it crash points are thinned out */
    uint32_t points;           /* one leaf in so many is also read key by key; 0, 1: each */
    uint32_t look;    /* at one crash point in so many it is first opened to read only; 0: 4 */
    uint32_t witness; /* one leaf in so many where a check was said to fail is run on real
                                  images of its class; 0: none */
    bool by_reads;    /* decide what is read, also where the store says what it uses */
    uint32_t after;   /* recoveries of a trace that are gone on from, to crash again; 0: none */
    uint32_t tail;    /* only crash points within the last so many operations; 0: all */
};

#define BOUNDS 4 /* 0, 1, 2, and more */

struct tally {
    uint64_t traces, ops, calls, epochs;
    uint64_t played; /* traces that were played, not explored; not among `traces` */
    uint64_t points, exhaustive, sampled, skipped;
    uint64_t
        complete_to[BOUNDS]; /* sampled points, complete up to so many micro-ops from each pole */
    uint64_t recoveries, leaves, noise, nested, nested_twice, refused, states;
    uint64_t hash;      /* of all that was done and seen, in order: equal for equal runs */
    uint64_t rechecked; /* traces that were run twice and compared */
    uint64_t assumed;   /* checks that were said to fail for a whole class of images */
    uint64_t witnessed; /* recoveries on single members of such classes */
    uint64_t by_reads;  /* points where decisions were made by what was read */
    uint64_t after;     /* recoveries that were gone on from */
    uint64_t uncounted; /* exhaustive points whose legal images were too many to count */
    uint64_t troubled[TROUBLES], trouble_showed[TROUBLES];
    uint64_t faults_fired[PC_FAULT_KINDS], faults_mattered[PC_FAULT_KINDS];
    mpz_t images; /* legal images of the exhaustive points, plus those run one by one */
    mpz_t exact;  /* of the exhaustive points alone */
};

/* "exhaustive", "complete up to k = 1" or "sampled": what can be said of all crash points. */
const char *tally_coverage(const struct tally *tally, char *text, size_t room);
void tally_init(struct tally *tally);
void tally_release(struct tally *tally);
void tally_add(struct tally *to, const struct tally *from);

/* A leaf that meets troubles once its epoch was explored without. */
struct later {
    size_t k;
    bool inside;
    uint64_t leaf;
    enum pc_fill fill;
    uint8_t *states; /* of the items */
};

/* A crash whose recovery is gone on from. */
struct after {
    uint64_t rank; /* drawn */
    uint32_t ops;  /* of the trace, before the crash */
    struct cut cut;
};

/* Hashes seen so far, open addressing. */
struct hashes {
    uint64_t *slots;
    size_t count, room;
};

bool hashes_add(struct hashes *set, uint64_t hash); /* false: it was there */

#define DEEPER_MOST 2 /* crashes after the first */

struct explorer {
    struct budget budget;
    struct judge judge, inner[DEEPER_MOST]; /* inner: recoveries of crashed recoveries */
    struct tape tape, deep[DEEPER_MOST];
    struct tally tally;
    struct hashes states;  /* recovered */
    struct hashes crashed; /* disks whose recovery was crashed */
    struct hashes shapes;  /* what recoveries have done */
    struct pc_disk *view;
    struct later *later;
    uint32_t later_count;
    struct after *after;
    uint32_t after_count;
    uint64_t spent;    /* recoveries of this trace */
    bool bounded, cut; /* the search keeps near a pole; and has left something out for it */
    uint32_t left;     /* micro-ops that may still be settled in another way than the pole's */
    void (*position)(void *ctx, uint32_t epoch, uint64_t k, uint64_t leaf); /* NULL: none */
    void *position_ctx;
};

void explorer_init(struct explorer *explorer, const struct budget *budget,
                   const struct pc_store *store, const char *tuning, uint64_t seed);
void explorer_release(struct explorer *explorer);

/* Explores a finished epoch (session_end_epoch was called). Stops at the first violation. */
void explore_epoch(struct explorer *explorer, struct session *session, struct finding *finding);

/* Executes a whole trace and explores each of its epochs. */
void explore_trace(struct explorer *explorer, struct trace *trace, const struct pc_store *store,
                   struct finding *finding);

/* explore_after.c. Behind explore_trace without a finding: from some of its recoveries the store
 * goes on, and the power fails again. With a finding *trace becomes the one that shows it. */
void explore_after(struct explorer *explorer, struct trace *trace, const struct pc_store *store,
                   struct finding *finding);

#endif
