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
/* What was acknowledged, what was lost, which rule broke, and under which models it shows. */
/* story_remedy.c: which sync, or which order, would have prevented it; each is tried. */
void story_remedies(FILE *out, const struct trace *trace, const struct finding *finding,
                    const struct shrink *helper);
/* `beat` is called now and then (NULL: not): the story searches. */
void story_tell(FILE *out, const struct trace *trace, const struct finding *finding,
                const struct pc_store *store, void (*beat)(void *ctx), void *beat_ctx);

#endif
