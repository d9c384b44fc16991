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
/* Tells of each fsync, fdatasync and rename on the mount, before it is done. `seen` must not make
 * a simulated call. NULL: no more. */
void pc_watch_sites(void (*seen)(void *ctx, const struct pc_site *site), void *ctx);
/* Such calls from this place answer 0 and do nothing from now on. NULL: all are done again. */
void pc_suppress_site(const struct pc_site *site);

#endif
