/* exec.h: `powercut exec`: records a program and all its processes, cuts the power at every point
 * of the recording, and runs a check on each tree that may be left. */
#ifndef HARNESS_EXEC_H
#define HARNESS_EXEC_H

#include "options.h"

/* Answers an exit code: 0 nothing found, 1 findings, 2 usage, 3 the program cannot be recorded or
 * the check sees nothing, 4 the machine. */
MUST_USE int exec_command(const struct options *opts);

#endif
