/* script.h: .crash files: scenarios, findings, witnesses and regressions are all of this one form.
 * A step per line; after `----` what it answers, up to a blank line; without, it must answer
 * nothing. crashtests/README.md describes the language. */
#ifndef HARNESS_SCRIPT_H
#define HARNESS_SCRIPT_H

#include <stdio.h>

#include "explore.h"
#include "finding.h"
#include "trace.h"

struct script_step {
    char *expected; /* NULL: none given */
    uint32_t line;
};

struct script {
    struct trace trace;
    struct script_step *steps; /* one per operation of the trace */
    enum rule rule;            /* a finding: what it shows; else RULE_NONE */
    char **lines;              /* of the file */
    uint32_t line_count;
};

/* False: `why` names file and line. */
bool script_load(struct script *script, const char *file, char *why, size_t room);
void script_release(struct script *script);

enum script_result {
    SCRIPT_PASSED,
    SCRIPT_DIFFERS,   /* some step answered something else */
    SCRIPT_VIOLATION, /* a violation that no step expected */
    SCRIPT_BROKEN     /* a step could not be done */
};

/* Executes the steps in this process. `out` gets the differences. `finding` may be NULL. With
 * `rewrite`, the file is written anew with the answers. */
enum script_result script_run(struct script *script, const char *file, bool rewrite, FILE *out,
                              struct finding *finding);

#endif
