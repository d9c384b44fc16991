/* exec_story.h: what `powercut exec` prints about a finding. */
#ifndef HARNESS_EXEC_STORY_H
#define HARNESS_EXEC_STORY_H

#include "exec_findings.h"
#include "json.h"

/* The whole story, for people; `tree`: where the tree was written, or NULL. */
void exec_tell(FILE *out, const struct exec_search *search, const struct exec_findings *findings,
               size_t index, const char *tree);
/* The members of a JSON object. */
void exec_tell_json(struct json *json, const struct exec_search *search,
                    const struct exec_findings *findings, size_t index);

#endif
