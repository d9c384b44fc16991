/* tape.h: the one place where the harness makes decisions. Every decision that is not the
 * program's own is tape_choose(section, anchor, n): the next operation and its arguments, a fault,
 * a crash point, which version of a sector survived. A choice is addressed by its section and
 * anchor, so adding one does not move the others. Drivers: random from a seed, depth-first search,
 * a fixed list. Two runs with one tape are the same run; where a search finds another question than
 * last time at the same place, the run is not deterministic, and the tape says so. */
#ifndef HARNESS_TAPE_H
#define HARNESS_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tape_section { TAPE_CONFIG, TAPE_OPS, TAPE_FAULTS, TAPE_SCHEDULE, TAPE_CRASH, TAPE_SECTIONS };

enum tape_driver {
    TAPE_RANDOM, /* seed, section and anchor decide: an anchor asked again answers the same */
    TAPE_SEARCH, /* 0 first; tape_advance goes on to the next leaf */
    TAPE_FIXED   /* the recorded values, then 0 */
};

struct tape_choice {
    uint64_t anchor;
    uint32_t n, value;
};

struct tape_list {
    enum tape_driver driver;
    struct tape_choice *choices;
    size_t count, room, next;
    size_t prefix; /* search: so many questions must come again in this run */
};

struct tape {
    uint64_t seed;
    struct tape_list lists[TAPE_SECTIONS];
    bool diverged; /* a search met another question than before */
};

void tape_init(struct tape *tape, uint64_t seed);
void tape_release(struct tape *tape);
void tape_drive(struct tape *tape, enum tape_section section, enum tape_driver driver);
/* A number below n; n >= 1. Recorded. */
uint32_t tape_choose(struct tape *tape, enum tape_section section, uint64_t anchor, uint32_t n);
/* Back to the first question of a section, for another run. */
void tape_rewind(struct tape *tape, enum tape_section section);
/* Search: the next leaf; false when all were visited. */
bool tape_advance(struct tape *tape, enum tape_section section);

#endif
