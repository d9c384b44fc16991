/* standalone.h: the seeded numbers that standalone_main.c and standalone_mutate.c draw from. */
#ifndef FUZZ_STANDALONE_H
#define FUZZ_STANDALONE_H

#include "base/rng.h"

extern struct rng standalone_rng;

#endif
