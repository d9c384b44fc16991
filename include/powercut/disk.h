/* disk.h: a simulated disk, and the images that a power cut may leave of it.
 *
 * A *disk* has a volatile view, which running programs see, and a log of micro-operations: the
 * smallest changes that become durable as a whole. A persistence model says which micro-ops must
 * precede which, and what a sync call forces. An *image* is one crash point of a disk: the power
 * fails after `k` calls have returned. Which micro-ops reached the platter is open at first; it is
 * decided one by one, by a chooser, when somebody looks. Every decision is followed by its
 * consequences, so no question has an answer that leads nowhere, and every complete choice is a
 * legal image (faults/README.md has the argument).
 *
 * The rules are those of ALICE (OSDI 2014), Ferrite (ASPLOS 2016) and measurements on Linux 6.18,
 * as written down in faults/README.md.
 *
 * Units: bytes. Ownership: what a function named _new answers is freed with _free. Thread safety:
 * none; one thread at a time per disk (the POSIX layer takes a lock). Errors: 0 or a negative
 * errno where a call of the disk may fail; broken arguments abort. */
#ifndef POWERCUT_DISK_H
#define POWERCUT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gmp.h>

#include "powercut/fault.h"

enum pc_model {
    PC_PROCESS_KILL,   /* only the process dies: the volatile view survives */
    PC_PREFIX,         /* strict order of the calls, torn only at unit ends */
    PC_POSIX,          /* the weakest that POSIX allows, but rename is atomic */
    PC_POSIX_MIN,      /* the same with rename and unlink taken apart */
    PC_EXT4_ORDERED,   /* ext4 data=ordered with delayed allocation */
    PC_EXT4_WRITEBACK, /* ext4 data=writeback: a new size may show what was there before */
    PC_XFS,            /* a size after its data; fsync carries along what it depends on */
    PC_BTRFS,          /* names may leap ahead by the log; legal sets are no lattice */
    PC_MODELS
};

const char *pc_model_name(enum pc_model model); /* "ext4-ordered" */
bool pc_model_from_name(const char *name, enum pc_model *model);
bool pc_model_simulated(enum pc_model model);
/* May a crash leave a rename half done, the old name gone and the new one not there? Then no store
 * can keep a name that it replaces, and an error that says so is all that can be asked of it. */
bool pc_model_splits_names(enum pc_model model);
/* Are the legal sets of a crash point a lattice? Then a complete choice is told by what it keeps or
 * by what it loses, at will. False for btrfs: there it is told by what it loses, for around what is
 * kept there is no least set. */
bool pc_model_is_lattice(enum pc_model model);

struct pc_disk_config {
    enum pc_model model;
    uint32_t unit;  /* atomic unit of the device, a power of two */
    uint32_t block; /* allocation block, a power of two >= unit; 0: the larger of 4096 and unit */
    uint64_t seed;  /* permutes directory listings; nothing else */
    /* Powersafe overwrite is off: the device may have begun to write a unit when the power failed,
     * and then all of the unit is undefined, also what the program did not write. Not in
     * process-kill. */
    bool destroys;
};

struct pc_disk;
struct pc_image;

struct pc_disk *pc_disk_new(const struct pc_disk_config *config); /* an empty root directory */
void pc_disk_free(struct pc_disk *disk);
const struct pc_disk_config *pc_disk_get_config(const struct pc_disk *disk);

/* A disk booted on an image: its volatile view is read from the image as it is looked at, and
 * looking decides. The image must outlive the disk unless pc_disk_settle was called. Booting again
 * reuses the memory of the disk; the fault rules are cleared. */
struct pc_disk *pc_disk_boot(struct pc_image *image);
void pc_disk_reboot(struct pc_disk *disk, struct pc_image *image);

/* Decides all that is open in the image below (asking its chooser), copies what is durable, and
 * lets go of the image. Images of this disk can be made from then on. */
void pc_disk_settle(struct pc_disk *disk);

/* ---- the log of calls ---- */

enum {
    PC_CALL_FAILED = 1,    /* answered an error by a fault */
    PC_CALL_LIED = 2,      /* a sync that answered 0 and forced nothing */
    PC_CALL_SHORT = 4,     /* a write that accepted less than asked */
    PC_CALL_DSYNC = 8,     /* a write through O_SYNC or O_DSYNC */
    PC_CALL_UNORDERED = 16 /* a lie after which what was issued before may survive in any order */
};

struct pc_call {
    enum pc_call_kind kind;
    uint32_t flags;
    const char *path; /* within the disk, as it was named then; rename: the old path */
    const char *to;   /* rename, link: the new path; else "" */
    uint64_t offset, length, done;
    uint64_t mark; /* see pc_disk_mark */
};

size_t pc_disk_call_count(const struct pc_disk *disk);
const struct pc_call *pc_disk_call(const struct pc_disk *disk, size_t index);
/* Stamps the calls from now on with `mark`: the harness passes the number of its API event. */
void pc_disk_mark(struct pc_disk *disk, uint64_t mark);
/* Calls of any kind so far, reads included: the step counter that tells a hang. The function, when
 * set, is called once `limit` is exceeded; it must not return. */
uint64_t pc_disk_steps(const struct pc_disk *disk);
void pc_disk_step_limit(struct pc_disk *disk, uint64_t limit, void (*exceeded)(void *), void *ctx);
/* A hash of all micro-ops, forced sets and call results so far: equal for equal runs. */
uint64_t pc_disk_hash(const struct pc_disk *disk);
/* May a crash at k allow an image that no later crash point allows? True before every sync call,
 * and at the end. Under PC_PROCESS_KILL: true everywhere. */
bool pc_disk_is_frontier(const struct pc_disk *disk, size_t k);
/* May a crash inside call k (0-based: the call that follows crash point k) leave what no crash at k
 * or k + 1 leaves? Only a synchronous write is such a call, as it issues and forces in one; and not
 * if it issues nothing, or one micro-op and forces nothing else. False under PC_PROCESS_KILL. */
bool pc_disk_tears_inside(const struct pc_disk *disk, size_t k);

/* A sync that the program does not make: after `call` calls have returned, the file or directory
 * with that number is synced. Asks what would have been, had the program synced there. One per
 * boot; it is a call of the log like others. */
void pc_disk_insert_sync(struct pc_disk *disk, size_t call, uint32_t sync);

/* Unlinks that come later than the program asked for: that which would be call `call`, and those
 * behind it, are done once `until` calls have returned (they are not counted); till then the
 * program is told that they were done. Asks what would have been, had the program waited. One per
 * boot. */
void pc_disk_defer_unlink(struct pc_disk *disk, size_t call, size_t until);

/* ---- faults ---- */

/* The rule is borrowed until cleared; its counters are kept up. */
void pc_disk_add_fault(struct pc_disk *disk, struct pc_fault *fault);
/* No rule any more; a disk that went read-only, and units that could not be written, can be written
 * again. What reads wrong stays so. */
void pc_disk_clear_faults(struct pc_disk *disk);
/* What reads wrong reads right again. */
void pc_disk_lift_damage(struct pc_disk *disk);

/* ---- images ---- */

#define PC_ITEM_NONE UINT32_MAX

/* One question: which of the versions of something survived? Alternative i says that the micro-op
 * items[i] is durable and items[0..i-1] are not; newest first. items[n-1] may be PC_ITEM_NONE: none
 * of them. n >= 2. */
struct pc_choice {
    size_t n;
    const uint32_t *items;
    uint64_t key; /* what is asked, where the items alone do not say it (verdict.h); else 0 */
    /* After pc_image_measure: each alternative settles so many items, or more, in another way than
     * the pole has them. Else NULL. */
    const uint32_t *costs;
};

struct pc_chooser {
    void *ctx;
    size_t (*choose)(void *ctx, const struct pc_choice *choice);
};

/* What an undefined byte reads as. */
enum pc_fill { PC_FILL_ZERO, PC_FILL_NOISE, PC_FILL_QUESTION_MARK };

/* The crash after `k` calls (0 <= k <= call count). The disk must outlive the image, and must be
 * settled or new. */
struct pc_image *pc_image_new(struct pc_disk *disk, size_t k);
/* The crash inside call k (0 <= k < call count): all micro-ops of the call are issued and none is
 * forced by it. Has the images of a crash at k; together with those of a crash at k + 1 it has all
 * that a crash inside the call may leave. In models with a lattice but for xfs the former alone has
 * them. Under PC_PROCESS_KILL as a crash at k + 1. */
struct pc_image *pc_image_new_inside(struct pc_disk *disk, size_t k);
void pc_image_free(struct pc_image *image);

/* Opens every question again and names who answers from now on. NULL: what is not set by hand is
 * kept (the newest is durable). */
void pc_image_begin(struct pc_image *image, const struct pc_chooser *chooser, enum pc_fill fill);

/* From now on `chooser` answers; what was decided stays. NULL: the newest is durable. */
void pc_image_answer(struct pc_image *image, const struct pc_chooser *chooser);

/* From now until pc_image_begin each question says how far its alternatives are from a pole: the
 * image in which the first `kept` items are durable and no others. */
void pc_image_measure(struct pc_image *image, uint32_t kept);

/* Micro-ops that were open when the image was made, in issue order. */
size_t pc_image_items(const struct pc_image *image);

enum pc_item_kind { PC_ITEM_DATA, PC_ITEM_SIZE, PC_ITEM_MAP, PC_ITEM_TRUNCATE, PC_ITEM_NAME };

struct pc_item {
    enum pc_item_kind kind;
    const char *path; /* the file or, for names, the changed entry; as named at that time */
    const char *to;   /* rename: the other entry; else "" */
    uint64_t offset;  /* data, map: byte offset of the unit or block; size, truncate: the size */
    uint32_t version; /* 1, 2, …: the how-manieth of its kind on this place in this epoch */
    uint32_t call;    /* index of the call that issued it */
    uint32_t sync;    /* number of the file or directory whose sync makes it durable */
};

void pc_image_item(const struct pc_image *image, uint32_t item, struct pc_item *out);

enum pc_item_state { PC_ITEM_OPEN, PC_ITEM_KEPT, PC_ITEM_LOST };
enum pc_item_state pc_image_state(const struct pc_image *image, uint32_t item);
/* Decides an open item and what follows from it. An item that is decided otherwise: false. Where
 * legal sets are no lattice also when that is found out only now: the item is kept in every legal
 * set that agrees with what is decided. */
bool pc_image_set(struct pc_image *image, uint32_t item, bool kept);

/* How many legal sets agree with what is decided so far; exact. Straight after pc_image_begin: the
 * number of legal images of the crash point. False: too many connected micro-ops to count within
 * the bound (`limit` memo entries), `count` untouched. Where legal sets are no lattice they are
 * counted one by one, so the bound is soon met. */
bool pc_image_count(struct pc_image *image, size_t limit, mpz_t count);

/* Did anything read a byte that the model leaves undefined since pc_image_begin? */
bool pc_image_undefined_seen(const struct pc_image *image);

/* ---- looking at a disk from outside, without a call of its own ---- */

struct pc_entry {
    const char *path; /* "dir/name", without a leading slash */
    bool is_dir;
    const uint8_t *data;
    size_t size;
    uint32_t number;    /* of the file or directory: equal for two names of one file */
    const char *target; /* of a symbolic link, which `data` holds, too; else NULL */
};

/* Every file and directory below the root of the volatile view: a directory before what is in it,
 * and the names of one directory sorted by their bytes. */
void pc_disk_walk(struct pc_disk *disk, void (*visit)(void *ctx, const struct pc_entry *entry),
                  void *ctx);

#endif
