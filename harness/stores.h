/* stores.h: the stores that can be tested, by name. */
#ifndef HARNESS_STORES_H
#define HARNESS_STORES_H

#include "powercut/store.h"

/* A name from stores.def, or the path of a shared object (anything with a slash or ending in .so).
 * NULL: no such store; stores_why says why. */
const struct pc_store *stores_find(const char *name);
const char *stores_why(void);
const struct pc_store *stores_at(size_t index); /* NULL behind the last */

#endif
