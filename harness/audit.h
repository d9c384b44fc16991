/* audit.h: which syncs and renames of a store does its safety hang on? Each call site is left out
 * in turn, as if its line were not there, and searched with the ordinary generator. */
#ifndef HARNESS_AUDIT_H
#define HARNESS_AUDIT_H

#include "campaign.h"

/* `campaign` says what is searched: seeds, models, budget. Prints a line per call site. The exit
 * code: 0 every site is load-bearing, 1 some are undetected. */
int audit_run(struct campaign *campaign);

#endif
