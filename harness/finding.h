/* finding.h: one violation, as data: the trace, where the power failed, what did not reach the
 * disk, and which rule broke. Written as a .crash file that replays it. */
#ifndef HARNESS_FINDING_H
#define HARNESS_FINDING_H

#include <stdio.h>

#include "powercut/disk.h"

#include "judge.h"
#include "model.h"
#include "trace.h"

#define CUT_ITEMS 256
#define CUTS_MOST 3

/* A sync that would have made lost items durable: of `path`, after so many calls of the epoch: the
 * last one that wrote what was lost, the first, or the last that left something to be synced. */
#define CUT_REMEDIES 12
struct remedy {
    uint32_t call, first, last, sync;
    char path[64];
};

/* One crash: a point of the log and an image. */
struct cut {
    struct crash crash;
    struct item_name items[CUT_ITEMS]; /* lost when the pole is newest, kept when it is oldest */
    uint32_t item_count;
    struct remedy remedies[CUT_REMEDIES];
    uint32_t remedy_count;
    char before[96]; /* the call that was about to happen, in words */
};

struct finding {
    bool found;
    bool live; /* seen while the store ran, not after a crash */
    struct verdict verdict;
    uint32_t op;   /* live: the operation; else the one during which the power failed */
    uint32_t cuts; /* 0, 1, or more with crashes within the recovery, and within that */
    struct cut cut[CUTS_MOST];
    bool scanned;         /* the log reader looked for claims for real */
    enum trouble trouble; /* met by the last recovery */
    uint32_t trouble_at;
};

/* The name of an item, unambiguous within its image. */
void finding_item(const struct pc_image *image, uint32_t item, struct item_name *name);
/* The item of that name, or PC_ITEM_NONE. */
uint32_t finding_find(const struct pc_image *image, const struct item_name *name);
/* The image of a crash before call k, or in the middle of it. */
struct pc_image *finding_image(struct pc_disk *disk, size_t k, bool inside);
/* Describes the image as it is decided, from the pole that needs fewer words. */
void finding_cut(const struct pc_disk *disk, const struct pc_image *image, size_t k, bool inside,
                 enum pc_fill fill, struct cut *cut);
/* The same, always as what is lost. False: more items than a cut has room for. */
bool finding_cut_lost(const struct pc_disk *disk, const struct pc_image *image, size_t k,
                      bool inside, enum pc_fill fill, struct cut *cut);
/* Puts the items of a cut into effect, and the pole. False: an item is not there (named in why). */
bool finding_impose(struct pc_image *image, const struct cut *cut, char *why, size_t room);

/* How large it is: operations, and items of its crashes, be they steps of the trace or cuts. Where
 * the power fails and comes back is no operation. */
void finding_size(const struct trace *trace, const struct finding *finding, uint32_t *ops,
                  uint32_t *items);
/* Appends the crash steps to a copy of the trace. */
void finding_steps(const struct finding *finding, struct trace *trace);

#endif
