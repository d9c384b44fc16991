/* stores.h: the stores that can be tested, by name. */
#ifndef HARNESS_STORES_H
#define HARNESS_STORES_H

#include "powercut/store.h"

/* NULL: no such store. */
const struct pc_store *stores_find(const char *name);
const struct pc_store *stores_at(size_t index); /* NULL behind the last */

#endif
