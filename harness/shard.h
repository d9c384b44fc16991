/* shard.h: a run cut into units of traces, so that many machines share it without talking.
 *
 * Unit u has the traces [u * size, (u + 1) * size); shard i of n has the units u with u mod n = i.
 * What a unit finds depends on the settings and on its traces alone, so it is the same whoever runs
 * it. A finished unit is a file <out>/units/unit-<id>.jsonl: header, the unit, the lines of its
 * run, a trailer with their number and checksum. It appears whole or not at all (a file of another
 * name, fsync, rename, fsync of the folder); one that is there for this build is not run again.
 * `powercut merge` (reports/merge.py) adds such files up.
 *
 * Thread safety: none. */
#ifndef HARNESS_SHARD_H
#define HARNESS_SHARD_H

#include "campaign.h"

struct options;

struct shard {
    uint64_t index, count; /* index < count */
};

/* "I/N", I from 0. False: it is not. */
bool shard_parse(const char *text, struct shard *shard);
/* What a test runner, a batch system or a pipeline says in the environment: the first pair of the
 * table that is set. `where` gets the name of its variable. False: none is set, or makes no sense.
 */
bool shard_from_environment(struct shard *shard, const char **where);
/* How many of `units` the shard has. */
uint64_t shard_units(const struct shard *shard, uint64_t units);

/* Runs the units of a shard. `size`: traces per unit. The exit code is that of the worst unit,
 * those of earlier runs included: 1 before 3 before 0. 75: stopped between units by SIGTERM,
 * SIGUSR1 or --time; the same command goes on. 130: by SIGINT. 4: a file cannot be written. */
int shard_run(struct campaign *campaign, const struct options *opts, const struct shard *shard,
              uint64_t size, const char *version);

#endif
