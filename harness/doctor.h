/* doctor.h: what this machine lacks, and the command that mends it. */
#ifndef HARNESS_DOCTOR_H
#define HARNESS_DOCTOR_H

#include <stdio.h>

#include "base/check.h"

/* One line per check: `ok`, `missing` (needed) or `optional` (wanted by some commands only), the
 * name, and what was found or what to do. Exit code: 0, or 4 when something needed is missing.
 * Starts shells; takes about two seconds, most of them in compilers. */
MUST_USE int doctor_run(FILE *out);

#endif
