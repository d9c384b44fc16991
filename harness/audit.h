/* audit.h: which calls of a store does its safety hang on? Each call site is left out in turn, as
 * if its line were not there, or wronged in other ways, and the ordinary traces are searched. */
#ifndef HARNESS_AUDIT_H
#define HARNESS_AUDIT_H

#include "campaign.h"

/* `campaign` says what is searched: seeds, models, budget. `every`: all mistakes at all calls, not
 * only syncs and renames left out. `explained`, when not NULL, is a file of mistakes that make no
 * difference. `only`, when not NULL, is part of the lines of the mistakes that are tried; then
 * explanations about no site are not told. Prints a line per mistake. The exit code: 0 each is
 * load-bearing or explained, 1 some are undetected or were never made, 2 no such file. */
int audit_run(struct campaign *campaign, bool every, const char *explained, const char *only);

#endif
