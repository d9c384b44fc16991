/* callers.h: names the functions that a simulated call came from, so that a fault can be aimed at a
 * place in the program (`from=` of a fault). A place is a function by name, never an address: the
 * names are those of the symbol tables of the program and of the stores that it has loaded. Needs
 * frame pointers, and tables that were not stripped. Not thread safe: the disk's lock is held. */
#ifndef HARNESS_CALLERS_H
#define HARNESS_CALLERS_H

#include <stdbool.h>

/* From now on faults that name a function meet the calls that come from it (pc_fault_callers). */
void callers_watch(void);

/* The function that this return address lies in: static ones, too. NULL: not known. */
const char *caller_name(const void *address);

#endif
