/* explore_point.h (private): the search at one crash point, as the files explore*.c share it. */
#ifndef HARNESS_EXPLORE_POINT_H
#define HARNESS_EXPLORE_POINT_H

#include "explore.h"

/* A crash within a recovery. */
struct again {
    struct pc_disk *disk; /* of that recovery */
    struct pc_image *image;
    size_t k;
    enum pc_fill fill;
};

struct point {
    struct explorer *explorer;
    struct session *session;
    struct finding *finding;
    struct pc_image *image;
    size_t k;
    bool inside; /* in the middle of call k */
    struct question question;
    uint64_t leaf;        /* number of the next leaf of this point */
    enum pc_fill fill;    /* of the newest leaf */
    size_t opened;        /* calls of the newest recovery when its open returned */
    bool searched_by_use; /* so the search was made */
    bool by_use;          /* what recovery uses is decided, not what it reads (verdict.h) */
    struct again again[DEEPER_MOST];
    uint64_t *seen; /* hashes of sampled images */
    uint32_t seen_count, seen_room;
};

/* Runs the leaf that the image is set up for. False: a violation was recorded. */
bool point_run(struct point *point, enum pc_fill fill);
/* What follows a leaf that broke nothing: a second crash inside it, troubles later. */
bool point_finish(struct point *point);
/* An image that was decided so far. Recovery may look at more than it did then: that is as it is
 * newest. The tape of the search is left alone. */
bool point_run_states(struct point *point, const uint8_t *states, enum pc_fill fill);
uint8_t *point_states(const struct point *point); /* of the items; free it */
void point_record(struct point *point, const struct verdict *verdict, enum pc_fill fill);
bool point_due(uint64_t leaf, uint32_t every);

/* One leaf of a search from `chooser`'s answers, and all that is done with it. */
bool point_search_leaf(struct point *point);
struct pc_chooser point_chooser(struct point *point);
bool point_same_tree(struct point *point);
/* explore_nested.c: crashes inside the recovery that just ran. False: a violation was recorded. */
bool point_nested(struct point *point);
/* explore_after.c: is the newest recovery one to go on from? */
void point_remember_after(struct point *point);
/* explore_bounded.c: all that is near one of the poles, nearest first. */
bool point_bounded(struct point *point);
/* explore_sample.c: families of images and seeded ones, where a search does not end. */
bool point_sample(struct point *point);
/* explore_order.c: instead of the search, where the budget asks for another order. */
bool point_in_order(struct point *point);
/* The image as it is set now: run it unless it was. */
bool point_run_set(struct point *point, enum pc_fill fill);

/* explore_verify.c */
/* The newest recovery was decided by use and broke a rule: does it so on a real image? The verdict
 * is that of the real one; else that recovery looks at what no checksum has passed. */
void point_confirm(struct point *point, struct verdict *verdict);
/* The witness rule: further members of the class that the newest leaf stands for, from its states.
 * False: one of them is told apart, and a violation was recorded. */
struct sight {
    uint64_t seen, looks, log; /* what was recovered, read and written */
    bool life;
};
struct sight point_sight(const struct point *point);
bool point_witness(struct point *point, const uint8_t *states, const struct sight *sight);

#endif
