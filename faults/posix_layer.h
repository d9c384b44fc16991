/* posix_layer.h (private): what the files of the POSIX layer share.
 *
 * posix_calls.def lists the interposed calls. posix.c turns each line into three functions:
 *   name       what the program calls; decides whether the call concerns the simulated disk
 *   real_name  the system's own
 * and the line names sim_name, which does the work on the disk. A sim_ function runs with the lock
 * held, after shared mappings were looked at, and answers a result or -errno; a pointer travels as
 * a long, as in the kernel. It may call other sim_ and real_ functions, never an interposed name.
 *
 * Simulated descriptors are numbers of the process, held by O_PATH descriptors of "/" so that a
 * call that is not interposed fails with EBADF. Closing parks the placeholder for the next open.
 *
 * No sanitizer instruments these files, and nothing here calls malloc, except where libc's contract
 * says so (realpath, fopencookie). */
#ifndef FAULTS_POSIX_LAYER_H
#define FAULTS_POSIX_LAYER_H

#ifndef _GNU_SOURCE
#error "posix files define _GNU_SOURCE first"
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <utime.h>

#include "base/check.h"
#include "powercut/posix.h"

#include "disk.h"

struct aiocb;
struct aiocb64;
struct sigevent;
struct open_how;

/* The functions that walks are given. */
typedef int entry_filter(const struct dirent *entry);
typedef int entry_filter64(const struct dirent64 *entry);
typedef int entry_order(const struct dirent **a, const struct dirent **b);
typedef int entry_order64(const struct dirent64 **a, const struct dirent64 **b);
typedef int ftw_visitor(const char *path, const struct stat *st, int type);
typedef int ftw_visitor64(const char *path, const struct stat64 *st, int type);
typedef int nftw_visitor(const char *path, const struct stat *st, int type, struct FTW *where);
typedef int nftw_visitor64(const char *path, const struct stat64 *st, int type, struct FTW *where);

#pragma GCC visibility push(hidden)

#define FD_LIMIT        65536       /* numbers that can be simulated */
#define FD_PARKED_LIMIT 256         /* placeholders that wait for the next open */
#define FILE_PATH_MAX   160         /* for messages only */
#define IO_MAX          0x7ffff000u /* the most that Linux moves in one call */

/* ---- the mount, the lock (posix.c) ---- */

/* posix_site.c: the frame of layer_enter in the call that runs now; where that came from, and the
 * watcher is told. False: nobody wants to know. */
extern const void *layer_frame;
extern bool site_wanted; /* somebody wants to know: then changes, syncs and reads pass layer_seam */
void site_update(void);  /* a mistake was planted, or taken away */
bool layer_site(enum pc_call_kind kind, bool directory, struct pc_site *site);

/* posix_seam.c: a call on its way to the disk, as the disk takes it. */
struct seam_call {
    enum pc_call_kind kind; /* read, write, truncate, unlink, rename, fsync or fdatasync */
    bool directory;         /* a sync of one */
    bool data_only;         /* of a sync; for a write: and sync it */
    uint32_t ino, to_ino;   /* the file, or the directories of the names */
    uint64_t offset, size;  /* of a transfer; truncate: offset is the new size */
    uint32_t *errors;       /* of the description: what it knows of failures to write back */
    void *room;
    const void *bytes;
    const char *name, *to_name;
    size_t len, to_len;
};
long layer_seam(const struct seam_call *call); /* what the program is told */
bool seam_planted(void);
void seam_forget(void); /* another disk: what was to come on the old one never comes */

struct layer {
    struct pc_disk *disk; /* NULL: not mounted */
    bool watching;        /* paths are compared: mounted, or the preload library not awake yet */
    bool orphan;          /* a forked child of the preload library, which has not said so yet */
    size_t orphan_calls;  /* of the disk at the fork */
    pid_t pid;            /* whose memory this is */
    uid_t uid;            /* who owns all files */
    gid_t gid;
    bool inside;  /* the current directory is on the disk (posix_cwd.c) */
    uint32_t cwd; /* it, then */
    size_t prefix_len;
    char prefix[256];
};

extern struct layer layer;
extern __thread bool layer_inside; /* this thread holds the lock */

__attribute__((noinline)) void layer_enter(void); /* its frame is looked at */
long layer_leave(long result);                    /* turns -errno into errno and -1 */
void *layer_resolve(const char *name);
#ifdef POWERCUT_PRELOAD
/* Does a child made by vfork run here? Its descriptors are its own, but the memory is its parent's,
 * so what it closes before exec must not be noted. Asked where such children make calls. */
bool layer_borrowed(void);
#else
static inline bool layer_borrowed(void)
{
    return false; /* a program that links the layer does not do so; asking costs a system call */
}
#endif
long layer_syscall(long number, ...); /* the system call itself; never interposed */
bool path_below(const char *path);    /* the slow half of path_is_ours */

/* "powercut: CALL is not supported on a simulated file (PATH)" on stderr; answers -error. */
long layer_refuse(const char *call, const char *path, int error);
long layer_refuse_fd(const char *call, int fd, int error);

/* Most paths differ from the mount point in the first letter. */
static inline bool path_is_ours(const char *path)
{
    if (!layer.watching || !path)
        return false;
    if (path[0] != '/')
        return layer.inside;
    return (path[1] == layer.prefix[1] || path[1] == '/' || path[1] == '.' || !layer.prefix_len) &&
           path_below(path);
}

static inline bool result_failed(long result)
{
    return result < 0 && result > -4096;
}

/* ---- open file descriptions and descriptors (posix_fd.c) ---- */

struct file {
    uint32_t ino;
    enum disk_kind kind;
    uint32_t refs;
    int flags;       /* what F_GETFL answers */
    int flock;       /* 0, LOCK_SH or LOCK_EX */
    bool linkable;   /* made with O_TMPFILE: it may get a first name */
    uint64_t offset; /* a directory's: index of the next entry */
    uint32_t errors; /* failures to write back that it knows of (disk_errors) */
    struct file *next_free;
    char path[FILE_PATH_MAX];
};

extern struct file *fd_table[FD_LIMIT];

static inline bool fd_is_ours(int fd)
{
    return (unsigned)fd < FD_LIMIT && __atomic_load_n(&fd_table[fd], __ATOMIC_RELAXED) != NULL;
}

static inline bool at_is_ours(int dirfd, const char *path)
{
    return (path && path[0] == '/') || dirfd == AT_FDCWD ? path_is_ours(path) : fd_is_ours(dirfd);
}

/* Is one of the paths, up to NULL, ours? */
static inline bool any_is_ours(char *const *paths)
{
    while (paths && *paths && !path_is_ours(*paths))
        paths++;
    return paths && *paths;
}

/* Does a program that is started need the disk, for itself or for a standard stream? */
static inline bool exec_is_ours(const char *path)
{
    return path_is_ours(path) || layer.inside || fd_is_ours(0) || fd_is_ours(1) || fd_is_ours(2);
}

static inline const char *exec_reason(const char *path)
{
    return layer.inside ? "the current directory" : path_is_ours(path) ? path : "a standard stream";
}

static inline bool file_readable(const struct file *file)
{
    int access = file->flags & O_ACCMODE;

    return !(file->flags & O_PATH) && (access == O_RDONLY || access == O_RDWR);
}

static inline bool file_writable(const struct file *file)
{
    int access = file->flags & O_ACCMODE;

    return !(file->flags & O_PATH) && (access == O_WRONLY || access == O_RDWR);
}

/* Reserves a number (or -errno), to be given to fd_install or fd_unreserve. */
int fd_reserve(void);
void fd_unreserve(int fd);
/* Makes `fd` refer to `file` and takes the caller's reference. */
void fd_install(int fd, struct file *file, bool cloexec);
struct file *file_new(uint32_t ino, enum disk_kind kind, int flags, const char *path);
void file_release(struct file *file);
struct file *fd_peek(int fd);                   /* NULL: not open on the disk */
int fd_file(int fd, struct file **out);         /* -EBADF also for O_PATH */
int fd_file_or_path(int fd, struct file **out); /* O_PATH descriptors, too */
int fd_high(void);                              /* above all numbers in use */
void fd_set_reserved(int fd, bool reserved);    /* a number of the layer's own */
size_t fd_count(void);
void fd_forget_all(void); /* closes all without a call on the disk */

/* ---- locks (posix_lock.c) ---- */

void lock_release(struct file *file);
void lock_closed(uint32_t ino); /* a descriptor of it was closed: its POSIX locks go */
void lock_forget_all(void);
long lock_fcntl(struct file *file, int command, void *arg);

/* ---- paths (posix_path.c) ---- */

enum place_last { PLACE_NAME, PLACE_ROOT, PLACE_DOT, PLACE_DOTDOT };

struct place {
    uint32_t dir; /* holds the name; unless PLACE_NAME: the directory that was named itself */
    enum place_last last;
    const char *name; /* points into the path */
    size_t len;
    bool slash;     /* the path ends in a slash */
    bool relative;  /* found from a descriptor, whose directory may have been removed */
    uint32_t links; /* symbolic links that were followed to get here */
};

#define LINKS_MAX 40 /* as Linux: one more is ELOOP */

/* What follows the mount point in `path`, which path_is_ours accepts. */
const char *path_rest(const char *path);
int place_find(int dirfd, const char *path, struct place *out);
/* May a name be made here? Not in a directory that was removed. */
int place_free(const struct place *place);
/* What is there, be it a symbolic link. */
int place_look(const struct place *place, uint32_t *ino, enum disk_kind *kind);
/* To where the symbolic link at this place leads; that may be another one, or nothing. */
int place_follow(struct place *place, uint32_t link);
/* What is there; of symbolic links, if they are followed (a slash at the end follows anyhow), what
 * they lead to. A directory, if the path ends in a slash. */
int place_inode(struct place *place, bool follow, uint32_t *ino, enum disk_kind *kind);
/* All in one; with AT_EMPTY_PATH in `flags` an empty path names `dirfd`, with AT_SYMLINK_NOFOLLOW
 * links are not followed. */
int path_inode(int dirfd, const char *path, int flags, uint32_t *ino, enum disk_kind *kind);
enum disk_kind inode_kind(uint32_t ino);
uint64_t inode_size(uint32_t ino);

/* The inode that AT_EMPTY_PATH means: of a descriptor, or the current directory. */
int inode_of_fd(int fd, uint32_t *ino, enum disk_kind *kind);

/* ---- the current directory (posix_cwd.c) ---- */

/* The absolute path of a directory into `out`, of PATH_MAX bytes; its length or -errno. */
long cwd_text(uint32_t dir, char *out);
void cwd_forget(void); /* back to the real directory, without a call on the disk */

/* ---- mappings (posix_map.c) ---- */

extern uint32_t map_high;      /* above all records in use; 0: nothing is mapped */
extern uint32_t map_writables; /* mapped inodes that stores may change */

bool map_touches_slow(const void *addr, size_t len);
static inline bool map_touches(const void *addr, size_t len)
{
    return map_high && !layer_inside && map_touches_slow(addr, len);
}
void map_observe(void);
void map_written(uint32_t ino, uint64_t offset, const void *buf, size_t len);
void map_zeroed(uint32_t ino, uint64_t offset, uint64_t len); /* within the file */
void map_resized(uint32_t ino);
/* The disk went back to what was committed. */
void map_reload(uint32_t ino);
void map_forget_all(void);
/* Memory of the layer for one call. */
void *layer_scratch(size_t size);

/* ---- directories and streams (posix_dir.c, posix_stdio.c) ---- */

#define DIR_LIMIT 512

struct directory {
    bool used;
    int fd;
    size_t next, count;
    struct disk_dirent *entries; /* NULL: to be listed at the next readdir */
    struct dirent entry;
};

extern struct directory dir_table[DIR_LIMIT];
static inline bool dir_is_ours(const void *dir)
{
    return (uintptr_t)dir >= (uintptr_t)dir_table &&
           (uintptr_t)dir < (uintptr_t)(dir_table + DIR_LIMIT);
}
void dir_forget_all(void);

extern uint32_t stream_high;
bool stream_is_ours_slow(FILE *file);
static inline bool stream_is_ours(FILE *file)
{
    return stream_high && stream_is_ours_slow(file);
}
void stream_forget_all(void);
void stream_flush_all(void);

/* ---- the calls ---- */

#pragma GCC visibility pop

#pragma GCC visibility push(default)
#define POSIX_DECLARE
#include "posix_table.h"
#undef POSIX_DECLARE
#pragma GCC visibility pop

#pragma GCC visibility push(hidden)
#include "posix_sim.h"
#pragma GCC visibility pop

#endif
