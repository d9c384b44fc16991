/* door.h: the commands that are Python scripts of reports/: report, merge, submit. */
#ifndef HARNESS_DOOR_H
#define HARNESS_DOOR_H

#include "options.h"

/* Is the command one of them? */
bool door_leads(const char *command);
/* Runs the script with what was given, and answers its exit code; 4 when there is no Python or the
 * scripts are not beside the program (share/powercut/reports, or reports/ of the source tree). */
int door_run(const struct options *opts);

#endif
