/* results.h: what a run leaves behind for machines: the lines of --json and the folder of a
 * finding. The fields are documented in reports/README.md; reports/trace.py is their reader. */
#ifndef HARNESS_RESULTS_H
#define HARNESS_RESULTS_H

#include <stdio.h>

#include "campaign.h"
#include "json.h"

#define RESULTS_SCHEMA "powercut.result/1"

struct options;

/* A number that differs between builds: a hash of the program's own file, 16 hex digits. Static. */
const char *results_build(void);
/* A hash of every setting that can change what a run finds. */
uint64_t results_config_hash(const struct campaign *campaign);

/* Makes the file `name` in <out>/seed-<seed>, and lets <out>/latest point there. NULL: cannot be
 * made; complains on stderr. */
FILE *results_open(const struct campaign *campaign, const char *name);
/* Writes a finished line to the results and, with --json, to standard output; empties `json`. */
void results_line(const struct campaign *campaign, struct json *json);
/* The same for lines that are finished, each with its end. */
void results_raw(const struct campaign *campaign, struct bytes lines);
/* Writes a file and makes the folders above it. Complains on stderr. */
void results_file(const char *path, struct bytes data);
/* The first line of a run: schema, build, store, seed, settings. */
void results_header(const struct campaign *campaign, const struct options *opts,
                    const char *version);

/* One finding; all texts are borrowed. */
struct result_finding {
    uint64_t number, task, seed, signature;
    enum rule rule;
    enum pc_model model;
    uint32_t unit, ops, items;
    const char *text;     /* the verdict */
    const char *steps;    /* the .crash file */
    const char *original; /* the same before it was shrunk */
    const char *story;
    const char *lanes;   /* JSON, or "" */
    struct bytes disk;   /* see lanes_disk */
    struct bytes errors; /* what the store wrote to stderr when it died */
    double seconds;
};

/* Makes the folder of a finding, with finding.crash, original.crash, explain.txt, trace.jsonl,
 * disk/, env.json and, when there is something to say, stderr.log. `path` gets the name of
 * finding.crash. Complains on stderr. */
void results_folder(const struct campaign *campaign, const struct result_finding *finding,
                    char *path, size_t room);
/* The line {"type":"finding"}. */
void results_finding(struct json *json, const struct campaign *campaign,
                     const struct result_finding *finding, const char *path);
/* On GitHub (GITHUB_ACTIONS=true): an annotation. Elsewhere nothing. */
void results_annotate(FILE *out, const struct campaign *campaign,
                      const struct result_finding *finding, const char *path);

#endif
