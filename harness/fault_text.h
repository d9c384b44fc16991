/* fault_text.h: the words of a `fault` step: which fault, at which calls, for how long. */
#ifndef HARNESS_FAULT_TEXT_H
#define HARNESS_FAULT_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "powercut/fault.h"

/* " KIND op=CALL file=PATTERN nth=N [errno=E] [rate=1/N] [times=N|forever]": all that tells the
 * rule from another. */
void fault_print(FILE *out, const struct pc_fault *fault);
/* Reads what fault_print writes, words left out too, from *text up to the end of the line; *text
 * then points behind what was understood. NULL, or what is wrong at *text. */
const char *fault_parse(const char **text, struct pc_fault *fault);

#endif
