/* exec_findings.h: from failing crash states to findings: what was lost, under which models, and
 * which sync was missing.
 *
 *   X4 A tree that a mere kill leaves, and that fails, is one finding of its own: no sync helps,
 *      and states with that tree say nothing about power cuts.
 *   X5 Of the other failing states the one that lost least tells the story. Each sync that would
 *      have saved what it lost is tried: how many failing states are still possible with it? The
 *      one that leaves the fewest is the missing sync; then on to what still fails.
 *   X6 A missing sync that the others make superfluous is dropped, here and after X7. A finding
 *      *shows* under the models in which something fails when all missing syncs but its own are
 *      inserted.
 *   X7 In the end the recording is searched anew with all missing syncs in it. What fails then is a
 *      finding too; when nothing does, the result is *silent*: these syncs were all that was
 *      missing.
 *      */
#ifndef HARNESS_EXEC_FINDINGS_H
#define HARNESS_EXEC_FINDINGS_H

#include "exec_search.h"

#define EXEC_FINDINGS_MAX 16

enum exec_class {
    EXEC_INTACT, /* the check fails on what the program left, without any crash */
    EXEC_KILL,   /* it fails when the program is killed: the change is not atomic */
    EXEC_LOST,   /* a power cut loses something, and a sync would have saved it */
    EXEC_ORDER   /* a power cut loses something, and no single sync is the remedy */
};

const char *exec_class_name(enum exec_class class);

struct exec_finding {
    enum exec_class class;
    struct exec_case c;         /* the story; owns `lost` */
    struct pc_replay_sync sync; /* EXEC_LOST: the missing one */
    bool shows[PC_MODELS];      /* by index in setup->models */
    size_t failing;             /* states that fail without it */
    bool first;                 /* found in the recording as it is */
};

struct exec_findings {
    struct exec_finding findings[EXEC_FINDINGS_MAX];
    size_t count;
    bool more;               /* the limit was reached */
    struct exec_states base; /* the states of the recording as it is */
    size_t failing;          /* of these, and of those after a mere kill */
    bool silent;             /* with all missing syncs inserted nothing fails */
    uint32_t last_tree;      /* what the program left */
};

/* False: interrupted, or `why` says what went wrong. `max`: findings, 0: as many as there is room.
 * */
MUST_USE bool exec_find(struct exec_search *search, size_t max, struct exec_findings *out,
                        char *why, size_t room);
void exec_findings_release(struct exec_findings *findings);

#endif
