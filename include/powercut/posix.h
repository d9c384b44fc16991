/* posix.h: mounts a simulated disk beneath the POSIX calls of this process. Needs the object
 * library faults_posix to be linked into the program. Paths below the mount point go to the disk,
 * all others to the system. The calls are thread safe (one lock). */
#ifndef POWERCUT_POSIX_H
#define POWERCUT_POSIX_H

#include <stdbool.h>
#include <stddef.h>

#include "powercut/fault.h"

struct pc_disk;

/* Mounts `disk` at `prefix`, an absolute path without a trailing slash ("/powercut"). At most one
 * mount; mounting again switches the disk. Descriptors opened on the old disk must be closed. The
 * mount point need not exist on the system. NULL unmounts. */
void pc_mount(const char *prefix, struct pc_disk *disk);

/* Simulated descriptors that are open now: a leak of the program under test when not 0 after its
 * close. pc_close_all closes them without a call on the disk (the process died). */
size_t pc_open_descriptors(void);
void pc_close_all(void);

/* Compares shared mappings with what is known of them, so that stores become micro-ops. Done by
 * itself at every simulated call. */
void pc_observe_mappings(void);

/* Where a call came from: return addresses, innermost first, NULL where the chain ends. Needs frame
 * pointers in the program. */
#define PC_SITE_FRAMES 4
struct pc_site {
    enum pc_call_kind kind;
    bool directory; /* a sync of a directory */
    const void *frames[PC_SITE_FRAMES];
};

bool pc_site_equal(const struct pc_site *a, const struct pc_site *b);
/* Where the call comes from that this thread makes on the disk at this moment (the kind is not
 * set); for what the disk asks in the middle of one. False: it makes none. */
bool pc_site_now(struct pc_site *site);
/* Tells of each read, write, truncate, unlink, rename, fsync and fdatasync on the mount, before it
 * is done. `seen` must not make a simulated call. NULL: no more. */
void pc_watch_sites(void (*seen)(void *ctx, const struct pc_site *site), void *ctx);

/* `between` is called before and after every interposed call that is done on a simulated disk,
 * without the lock, on the thread that calls; a scheduler may let another thread on. NULL: no
 * more. */
void pc_between_calls(void (*between)(void));

/* Mistakes that can be planted at a call, without a change of the program. */
enum pc_seam_act {
    PC_SEAM_NONE,
    PC_SEAM_DROP,  /* the call is not made; the program hears that all is well */
    PC_SEAM_LATER, /* it hears so at once; the call changes places with the next that is no read */
    PC_SEAM_DEAF,  /* when the call fails, it hears that all is well; a read has then read zeros */
    PC_SEAM_RETRY, /* when the call fails it is made once more; the second answer counts */
    PC_SEAM_SHORT, /* half of a write is made, and the answer is that all of it was */
    PC_SEAM_ACTS
};

const char *pc_seam_act_name(enum pc_seam_act act); /* "drop" */
/* Is it a mistake there? A read that is left out or moved is not one a program can make and still
 * run; making a call again that had no effect is none at all, so that only a sync, which forgets
 * what it could not write, is worth a second try. */
bool pc_seam_fits(enum pc_seam_act act, enum pc_call_kind kind);
/* Plants it at every call from this place. NULL: none any more. Not thread safe. */
void pc_seam(const struct pc_site *site, enum pc_seam_act act);
uint64_t pc_seam_acted(void); /* how often it met its call since */

#endif
