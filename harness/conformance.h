/* conformance.h: does the simulated disk allow exactly the states that the persistence models
 * allow? Reads a file of small traces with their complete sets of legal states (see "about" in
 * crashtests/conformance/persistence-models.json), performs each trace by ordinary POSIX calls on a
 * mounted disk, enumerates every image of every crash point and of a cut inside every call, and
 * compares the sets, both ways. */
#ifndef HARNESS_CONFORMANCE_H
#define HARNESS_CONFORMANCE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/check.h"

/* `models`: names separated by commas; NULL: all that are simulated. Mismatches and the closing
 * line "N passed, M failed" go to `out`; a unit is one crash point, or the inside of one call, of
 * one trace under one model.
 * What is wrong with the file or the names goes to stderr. Answers an exit code: 0, 1 (a mismatch)
 * or 2 (the file or a name). Mounts a disk of its own, so none may be mounted. */
MUST_USE int conformance_run(const char *file, const char *models, FILE *out, bool verbose);

#endif
