/* fault.h: what may go wrong on a simulated disk apart from the power cut, as rules. A rule names a
 * kind, a place (which calls on which files, and the how-manieth of them) and a manner. */
#ifndef POWERCUT_FAULT_H
#define POWERCUT_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* The calls of a disk that change it or make it durable. Reads are not listed: they change nothing.
 * PC_CALL_STORE is a store through a shared mapping, seen at the next call. */
enum pc_call_kind {
    PC_CALL_CREATE,
    PC_CALL_MKDIR,
    PC_CALL_WRITE,
    PC_CALL_TRUNCATE,
    PC_CALL_ALLOCATE,
    PC_CALL_LINK,
    PC_CALL_UNLINK,
    PC_CALL_RMDIR,
    PC_CALL_RENAME,
    PC_CALL_FSYNC,
    PC_CALL_FDATASYNC,
    PC_CALL_SYNC,
    PC_CALL_SYNC_RANGE,
    PC_CALL_STORE,
    PC_CALL_MSYNC,
    PC_CALL_PUNCH,      /* fallocate: a range becomes a hole */
    PC_CALL_ZERO_RANGE, /* fallocate: a range becomes zeros */
    PC_CALL_SYMLINK,
    PC_CALL_READ, /* only rules name it and what follows: they are no calls of the log */
    PC_CALL_OPEN, /* of what is there; what is made is PC_CALL_CREATE */
    PC_CALL_CLOSE,
    PC_CALL_STAT, /* readlink, too */
    PC_CALL_LIST,
    PC_CALL_MMAP,
    PC_CALL_KINDS,
    /* Classes, which only rules name. */
    PC_ANY_SYNC = PC_CALL_KINDS, /* fsync, fdatasync, sync, msync, a write through O_DSYNC */
    PC_ANY_NAME,                 /* create, mkdir, link, symlink, unlink, rmdir, rename */
    PC_ANY_WRITE,                /* write, truncate, allocate, punch, zero_range */
    PC_ANY_CALL,                 /* all of these */
    PC_CALL_CLASSES_END
};

const char *pc_call_kind_name(enum pc_call_kind kind); /* "fdatasync"; a class: "any-sync" */
bool pc_call_kind_from_name(const char *name, enum pc_call_kind *kind);  /* no classes */
bool pc_call_class_from_name(const char *name, enum pc_call_kind *kind); /* these, too */
/* Is a call of this kind in the class (or of the kind) `place`? */
bool pc_call_in(enum pc_call_kind place, enum pc_call_kind kind);

enum pc_fault_kind {
    PC_FAULT_EIO,      /* write: -1/EIO, nothing written. sync: -1/EIO, the dirty pages are dropped
                        * (clean in the cache, not on disk), the next sync succeeds */
    PC_FAULT_ENOSPC,   /* -1/ENOSPC, nothing changes */
    PC_FAULT_EINTR,    /* write: -1/EINTR, nothing written */
    PC_FAULT_SHORT,    /* write: only a leading part is accepted; half of it, at least one byte */
    PC_FAULT_BITROT,   /* read: one bit of what is read is wrong, from then on, until the place is
                        * written again; crash images are not touched */
    PC_FAULT_LOSTSYNC, /* sync answers 0 and makes nothing durable; see `unordered` */
    PC_FAULT_STICKY, /* sync: as PC_FAULT_EIO, and the units that were to be written stay bad: each
                        * sync that has to write one of them fails */
    PC_FAULT_SILENT, /* write: it succeeds, but writing it back fails: the next sync of a descriptor
                        * that was open then says so, if there is one */
    PC_FAULT_ERROR, /* the errno of the rule; nothing changes. A file that is closed is closed. EIO,
                        * ENOSPC and EDQUOT at a sync: as PC_FAULT_EIO (delayed allocation) */
    PC_FAULT_FLIP,  /* read: one bit is wrong, this time */
    PC_FAULT_LATENT,   /* read: -1/EIO wherever a unit is touched, until it is written again */
    PC_FAULT_ZEROED,   /* read: a unit reads as zeros from then on, until it is written again */
    PC_FAULT_STALE,    /* read: the same with what the unit held before it was last written */
    PC_FAULT_MISREAD,  /* read: a unit reads as its neighbour, this time */
    PC_FAULT_MISWRITE, /* write: a unit keeps what it had, its neighbour has what was written */
    PC_FAULT_SHORN,    /* write: of a unit only the first half reads as written */
    PC_FAULT_METADATA, /* the journal cannot be written: -1/EIO, and later changes -1/EROFS */
    PC_FAULT_FULL, /* an account: so many bytes are free. A file that grows takes blocks, one that
                    * shrinks or goes gives them back. What finds too little fails with the errno
                    * of the rule (0: ENOSPC), or is short; a sync drops the pages (late) */
    PC_FAULT_KINDS
};

const char *pc_fault_kind_name(enum pc_fault_kind kind); /* "lostsync" */
bool pc_fault_kind_from_name(const char *name, enum pc_fault_kind *kind);

/* Can a call fail so? A short transfer or an interruption needs a write, a lost sync a sync. Of a
 * class: can some call of it? */
bool pc_fault_fits(enum pc_fault_kind kind, enum pc_call_kind call);
/* Does it give wrong bytes with success? */
bool pc_fault_damages(enum pc_fault_kind kind);
/* May the call fail with this errno? By the manual pages (errnos.c); a class: may a call of it? */
bool pc_errno_legal(enum pc_call_kind call, int error);
/* "ENOSPC"; NULL: no call fails with it. */
const char *pc_errno_name(int error);
bool pc_errno_from_name(const char *name, int *error);
/* The errnos that are legal for a call, one by one; 0 behind the last. */
int pc_errno_of(enum pc_call_kind call, uint32_t index);

struct pc_fault {
    enum pc_fault_kind kind;
    enum pc_call_kind call; /* which calls; fsync and fdatasync are told apart; or a class */
    char file[32];          /* shell pattern over the last path component; "*": any */
    uint32_t nth;           /* 1: the first matching call of the epoch; 0: counts, never fires */
    int error;              /* PC_FAULT_ERROR: the errno, one that is legal for the call */
    uint32_t rate;          /* of the calls that would be met, about one in so many; 0: all */
    uint32_t times;         /* so many matching calls, from the nth on; 0: one; PC_FOREVER */
    uint64_t room;          /* PC_FAULT_FULL: bytes that are free when the rule is added */
    bool aimed;             /* damage by a read: only at this byte of the file, */
    int64_t at;             /* from its end when negative */
    bool unordered;         /* PC_FAULT_LOSTSYNC: nor does the device keep any order among what was
                             * written before it, not even a file system's; but on one place */
    char from[32];          /* only calls from this function; "": all (pc_fault_callers) */
    uint32_t seen;          /* matching calls so far; set to 0 by the caller */
    uint32_t fired;         /* set to 0 by the caller */
};

#define PC_FOREVER UINT32_MAX

/* Who tells whether the call that is made now comes from a function of that name, directly or
 * through up to three others. For all disks of the process; borrowed. NULL, as at first: nobody,
 * and a rule that names a function meets no call. */
void pc_fault_callers(bool (*called_from)(const char *function));

/* Does the rule fire at more than one call? */
static inline bool pc_fault_lasts(const struct pc_fault *fault)
{
    return fault->times > 1 || fault->kind == PC_FAULT_FULL;
}

#endif
