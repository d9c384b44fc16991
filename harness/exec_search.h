/* exec_search.h: the crash states of a recording: which trees a power cut may leave at which point,
 * and what the check says of each.
 *
 *   X1 A *case* is a tree at a crash point under a model, with what the program had said by then.
 *      Equal trees with equal output are judged once.
 *   X2 The program has said what it said before the next recorded call: at a frontier that is the
 *      most that any crash with that tree allows.
 *   X3 A crash point is *exhaustive* when all trees that the model allows there were taken, else
 *      *sampled*: everything and nothing kept, each single item lost and kept, all before an item,
 *      no data, and seeded choices. */
#ifndef HARNESS_EXEC_SEARCH_H
#define HARNESS_EXEC_SEARCH_H

#include "exec_tree.h"

#define EXEC_SYNCS_MAX 32

struct exec_setup {
    const struct pc_recording *recording;
    const char *check;  /* NULL: the built-in promises (exec_promises.h) */
    const char *output; /* file: all that the program said */
    const char *work;   /* directory for trees that are being checked; absolute */
    enum pc_model models[PC_MODELS];
    size_t model_count; /* strongest first */
    uint32_t unit;
    uint64_t seed;
    uint32_t leaves;  /* trees per crash point before it is sampled */
    uint32_t samples; /* seeded choices per sampled crash point */
    unsigned jobs;
};

/* What did not reach the disk. */
struct exec_lost {
    enum pc_item_kind kind;
    uint32_t file;   /* whose sync makes it durable */
    uint32_t record; /* the call that issued it */
    uint64_t offset;
    uint64_t change; /* which change of which path */
};

struct exec_case {
    uint32_t tree;
    uint32_t model;  /* index in setup->models */
    uint32_t record; /* the power fails before this record returns; its output has not happened */
    bool inside;     /* in the middle of that call */
    bool noise;      /* bytes that nobody wrote read as noise */
    uint32_t verdict;
    struct exec_lost *lost;
    uint32_t lost_count;
};

struct exec_verdict {
    uint32_t tree;
    uint64_t said; /* with a check: bytes of output; else the record of the crash */
    uint32_t record;
    enum pc_model model; /* of the first case that has it */
    bool known;
    int code; /* of the check: 0 passed */
    char *text;
};

struct exec_states {
    struct exec_case *cases;
    size_t count, room;
    uint64_t points, exhaustive, sampled;
};

struct exec_search {
    struct exec_setup setup;
    struct exec_trees trees;
    struct exec_verdict *verdicts;
    size_t verdict_count, verdict_room;
    uint32_t *slots;
    size_t slot_count;
    struct exec_promises *promises;
    uint64_t checks_run;
    bool broken; /* the machine: a tree could not be written, a check not be started */
};

void exec_search_init(struct exec_search *search, const struct exec_setup *setup);
void exec_search_release(struct exec_search *search);

/* Takes the states of one model, had the program made these syncs too. Adds to `states`. False: the
 * recording does not fit the simulated disk; `why` says where. */
MUST_USE bool exec_search_states(struct exec_search *search, uint32_t model,
                                 const struct pc_replay_sync *syncs, size_t sync_count,
                                 struct exec_states *states, char *why, size_t room);
/* The same for the states that a mere kill leaves, each with nothing lost. */
MUST_USE bool exec_search_kills(struct exec_search *search, struct exec_states *states, char *why,
                                size_t room);
/* Judges all that was not judged yet. False: interrupted, or the machine failed. */
MUST_USE bool exec_search_judge(struct exec_search *search);
/* The verdict of a tree of one's own, with the output so far. */
uint32_t exec_search_verdict(struct exec_search *search, uint32_t tree, uint32_t record,
                             enum pc_model model);
/* Which of the states are still possible with these syncs: takes the others out of `alive`. */
MUST_USE bool exec_search_survive(struct exec_search *search, const struct exec_states *states,
                                  const struct pc_replay_sync *syncs, size_t sync_count,
                                  bool *alive, char *why, size_t room);
void exec_states_release(struct exec_states *states);
/* An item of an image of the replay, as what may be lost. */
struct exec_lost exec_lost_of(const struct pc_image *image, const struct pc_replay *replay,
                              struct pc_disk *disk, uint32_t item);
/* Bytes that the program had said before that record. */
uint64_t exec_said(const struct pc_recording *recording, size_t record);

#endif
