/* exec_promises.h: what is held against a program when nobody gives a check: a file that existed
 * for certain must after the crash have its old or its new content, and a name and content that the
 * program synced must not be gone.
 *
 * Each path has *versions*, in the order of the calls: what it was at the start, when it was
 * synced, before and after a call changed its name, before it was truncated, and at the end. A sync
 * of the file raises the *floor* of its paths to the version of that moment, as the program takes
 * it for durable. After a crash at k a path whose floor is a file must have one of the versions
 * from the floor to k, or what it had at k. Files that the program rewrites in place, and mends by
 * a journal of its own, break this rule rightly: give a check for those. */
#ifndef HARNESS_EXEC_PROMISES_H
#define HARNESS_EXEC_PROMISES_H

#include "exec_tree.h"

struct exec_promises;

/* `replay`: of the model process-kill. */
struct exec_promises *exec_promises_new(struct exec_trees *trees,
                                        const struct pc_recording *recording,
                                        struct pc_replay *replay);
void exec_promises_free(struct exec_promises *promises);
/* NULL: kept. Else what is broken; free it. `record`: of the crash. */
char *exec_promises_judge(const struct exec_promises *promises, const struct exec_tree *tree,
                          uint32_t record);

#endif
