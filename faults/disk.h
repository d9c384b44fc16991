/* disk.h (private): the calls of a disk, by inode. The POSIX layer turns paths and descriptors into
 * these. Each function that changes something is one *call* of the log; it asks the fault rules,
 * changes the volatile view and appends micro-ops. Answers 0 (or a byte count) or -errno. */
#ifndef FAULTS_DISK_H
#define FAULTS_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "powercut/disk.h"

#define DISK_ROOT     1u
#define DISK_NAME_MAX 255u

enum disk_kind { DISK_FILE, DISK_DIRECTORY, DISK_SYMLINK };

struct disk_stat {
    uint32_t ino;
    enum disk_kind kind;
    uint64_t size;
    uint32_t links;
};

/* Nobody will ask for the hash of this disk, so it need not be made. */
void disk_without_hash(struct pc_disk *disk);

/* Names. `len` bytes of `name`, no slash in it, neither "." nor "..". */
int disk_lookup(struct pc_disk *disk, uint32_t dir, const char *name, size_t len, uint32_t *ino);
int disk_create(struct pc_disk *disk, uint32_t dir, const char *name, size_t len, uint32_t *ino);
int disk_mkdir(struct pc_disk *disk, uint32_t dir, const char *name, size_t len);
/* A symbolic link: what it leads to is there with the inode, and never changes. Nothing of the disk
 * follows it; disk_target answers what it holds, NULL for what is none. Valid until the next boot.
 */
int disk_symlink(struct pc_disk *disk, uint32_t dir, const char *name, size_t len,
                 const char *target);
const char *disk_target(struct pc_disk *disk, uint32_t ino);
int disk_link(struct pc_disk *disk, uint32_t ino, uint32_t dir, const char *name, size_t len);
int disk_unlink(struct pc_disk *disk, uint32_t dir, const char *name, size_t len);
int disk_rmdir(struct pc_disk *disk, uint32_t dir, const char *name, size_t len);
int disk_rename(struct pc_disk *disk, uint32_t dir, const char *name, size_t len, uint32_t to_dir,
                const char *to_name, size_t to_len);
/* The parent of a directory, for "..". */
uint32_t disk_parent(struct pc_disk *disk, uint32_t dir);

/* The names of a directory at this moment, in an order that is fixed within a run and is not the
 * order of creation. `names` points to *count strings; one free() of *names frees all. */
struct disk_dirent {
    const char *name;
    uint32_t ino;
    enum disk_kind kind;
};
int disk_list(struct pc_disk *disk, uint32_t dir, struct disk_dirent **entries, size_t *count);

/* Content. */
ssize_t disk_read(struct pc_disk *disk, uint32_t ino, uint64_t offset, void *buf, size_t len);
ssize_t disk_write(struct pc_disk *disk, uint32_t ino, uint64_t offset, const void *buf, size_t len,
                   bool dsync);
int disk_truncate(struct pc_disk *disk, uint32_t ino, uint64_t size);
int disk_allocate(struct pc_disk *disk, uint32_t ino, uint64_t offset, uint64_t len,
                  bool keep_size);
/* A hole, or zeros. Punching keeps the size; what zeros are beyond it, is as allocated. */
int disk_punch(struct pc_disk *disk, uint32_t ino, uint64_t offset, uint64_t len);
int disk_zero_range(struct pc_disk *disk, uint32_t ino, uint64_t offset, uint64_t len,
                    bool keep_size);
int disk_stat(struct pc_disk *disk, uint32_t ino, struct disk_stat *out);
/* A store through a shared mapping, seen now; and the part of msync(MS_SYNC). */
int disk_store(struct pc_disk *disk, uint32_t ino, uint64_t offset, const void *buf, size_t len);
int disk_msync(struct pc_disk *disk, uint32_t ino, uint64_t offset, size_t len);

/* Durability. On a directory fdatasync is fsync. */
int disk_sync(struct pc_disk *disk, uint32_t ino, bool data_only);
int disk_sync_all(struct pc_disk *disk);
/* For an open file description, which is told once of each failure to write back that happened
 * while it was open, and of one before if nobody was told. It begins with *seen as disk_errors
 * answers, and hands it to each call. */
uint32_t disk_errors(struct pc_disk *disk, uint32_t ino);
int disk_sync_as(struct pc_disk *disk, uint32_t ino, bool data_only, uint32_t *seen);
ssize_t disk_write_as(struct pc_disk *disk, uint32_t ino, uint64_t offset, const void *buf,
                      size_t len, bool dsync, uint32_t *seen);
int disk_tell(struct pc_disk *disk, uint32_t ino, uint32_t *seen); /* 0 or -errno, once */
int disk_sync_range(struct pc_disk *disk, uint32_t ino, uint64_t offset, uint64_t len);

/* A call of the program is complete: what pc_disk_insert_sync asked for is done now. */
void disk_after_call(struct pc_disk *disk);

/* An open descriptor keeps a nameless inode alive. */
void disk_hold(struct pc_disk *disk, uint32_t ino);
void disk_drop(struct pc_disk *disk, uint32_t ino);

/* Do the rules fail a call that only they know of (PC_CALL_OPEN and so on)? 0 or -errno. */
int disk_ask(struct pc_disk *disk, enum pc_call_kind kind, uint32_t ino);

/* Counts one step without a call (a read of metadata), for the hang limit. */
void disk_step(struct pc_disk *disk);

#endif
