/* results.h: what a run leaves behind for machines: the lines of --json and the folder of a
 * finding. The fields are documented in reports/README.md; reports/trace.py is their reader. */
#ifndef HARNESS_RESULTS_H
#define HARNESS_RESULTS_H

#include "campaign.h"
#include "json.h"

#define RESULTS_SCHEMA "powercut.result/1"

struct options;

/* A number that differs between builds: a hash of the program's own file, 16 hex digits. Static. */
const char *results_build(void);
/* A hash of every setting that can change what a run finds. */
uint64_t results_config_hash(const struct campaign *campaign);

/* The first line of a run: schema, build, store, seed, settings. */
void results_header(FILE *out, const struct campaign *campaign, const struct options *opts,
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
 * disk/, env.json and, when there is something to say, stderr.log; and lets <out>/latest point at
 * the folder of the run. `path` gets the name of finding.crash. Complains on stderr. */
void results_folder(const struct campaign *campaign, const struct result_finding *finding,
                    char *path, size_t room);
/* The line {"type":"finding"}. */
void results_finding(struct json *json, const struct campaign *campaign,
                     const struct result_finding *finding, const char *path);
/* On GitHub (GITHUB_ACTIONS=true): an annotation. Elsewhere nothing. */
void results_annotate(FILE *out, const struct campaign *campaign,
                      const struct result_finding *finding, const char *path);

#endif
