/* story.h: a finding in words, and as a .crash file. */
#ifndef HARNESS_STORY_H
#define HARNESS_STORY_H

#include <stdio.h>

#include "finding.h"
#include "powercut/store.h"
#include "shrink.h"

/* What a broken rule means, in words; static. */
const char *story_meaning(enum rule rule);

/* The file: comments that say what it is, then steps that replay it. */
void story_file(FILE *out, const struct trace *trace, const struct finding *finding,
                const char *command);
/* story_remedy.c: which sync or order would have prevented it, or without which fault it would not
 * have happened; each is tried. */
void story_remedies(FILE *out, const struct trace *trace, const struct finding *finding,
                    const struct shrink *helper);
/* story_check.c: says which check has failed without being heeded in the recovery of a finding.
 * False: none, or the store does not say what it checks and uses. */
bool story_used_all_the_same(FILE *out, const struct trace *trace, const struct finding *finding,
                             const struct pc_store *store);
/* story_marks.c: where no call is at fault: the marked branches of the store (reached() of
 * base/check.h) that are taken when it shows, and seldom when an operation is missing and it does
 * not. */
void story_branches(FILE *out, const struct trace *trace, const struct finding *finding,
                    const struct pc_store *store);
/* What was acknowledged, what was lost, which rule broke, and under which models it shows. */
/* `beat` is called now and then (NULL: not): the story searches. */
void story_tell(FILE *out, const struct trace *trace, const struct finding *finding,
                const struct pc_store *store, void (*beat)(void *ctx), void *beat_ctx);

#endif
