/* record_inner.h (private): what the files of the recorder share.
 *
 * record_trace.c lets the processes run and stops them at their calls, record_calls.c says what a
 * call did, record_files.c knows which file is which, record_log.c is the format of the log, and
 * record_replay.c plays it. */
#ifndef FAULTS_RECORD_INNER_H
#define FAULTS_RECORD_INNER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "powercut/recording.h"

/* ---- the log (record_log.c) ---- */

#define LOG_MAGIC "powercut record\n"

struct log_writer {
    int fd;
    uint64_t sequence;
    bool failed;
    uint8_t *frame;
    size_t room;
};

bool log_writer_open(struct log_writer *writer, const char *path);
void log_writer_add(struct log_writer *writer, const struct pc_record *record);
bool log_writer_close(struct log_writer *writer); /* false: something was not written */

/* ---- which file is which (record_files.c) ---- */

/* A file of the directory, known by device and inode number. A number that the kernel gave away
 * again is told apart by `named`: what has no name any more is never found by a new name. */
struct known {
    dev_t dev;
    ino_t ino;
    uint32_t file;
    uint64_t size;
    bool named;
    int mapped;      /* a descriptor of the recorder while somebody maps it shared, else -1 */
    uint8_t *shadow; /* of a mapped file: what the log says is in it */
    uint64_t shadow_size;
    uint32_t mapper; /* the process that mapped it last */
};

struct files {
    struct known *known;
    size_t count, room;
    uint32_t next_file;
    char root[PATH_MAX]; /* canonical */
    size_t root_len;
    dev_t root_dev;
};

void files_release(struct files *files);
/* Reads the directory and logs it as the base. False: `why` says what is in the way. */
bool files_import(struct files *files, const char *directory, struct log_writer *writer, char *why,
                  size_t room);
/* The newest file of that inode; NULL: not one of the directory. */
struct known *files_find(struct files *files, const struct stat *st);
struct known *files_add(struct files *files, const struct stat *st);
/* The part of an absolute canonical path below the directory; NULL: it is outside. */
const char *files_below(const struct files *files, const char *path);
/* Logs what was stored through mappings since the last look. */
void files_observe(struct files *files, struct log_writer *writer);
void files_map(struct known *known, const char *fd_path, uint32_t process);
/* Keeps the shadow of a mapped file in step with a logged write or truncation. */
void files_wrote(struct known *known, uint64_t offset, const uint8_t *data, size_t size);
void files_resized(struct known *known, uint64_t size);
void files_zeroed(struct known *known, uint64_t from, uint64_t to);

/* ---- calls (record_calls.c) ---- */

enum tracee_phase { TRACEE_RUNNING, TRACEE_WAITING, TRACEE_IN_CALL };

enum call_what {
    CALL_OPEN,
    CALL_WRITE,
    CALL_COPY, /* sendfile, copy_file_range, splice: what was written is read back */
    CALL_TRUNCATE,
    CALL_FTRUNCATE,
    CALL_FALLOCATE,
    CALL_RENAME,
    CALL_LINK,
    CALL_SYMLINK,
    CALL_UNLINK,
    CALL_RMDIR,
    CALL_MKDIR,
    CALL_MKNOD,
    CALL_CHMOD,
    CALL_FCHMOD,
    CALL_FSYNC,
    CALL_FDATASYNC,
    CALL_SYNC,
    CALL_SYNCFS,
    CALL_SYNC_RANGE,
    CALL_MSYNC,
    CALL_MMAP,
    CALL_CLONE_FILE, /* ioctl FICLONE, FICLONERANGE */
    CALL_REFUSED,    /* answered with an error; programs go on without */
    CALL_FORBIDDEN   /* ends the recording */
};

/* Where the arguments of a system call are; -1: it has no such argument. */
struct call_row {
    int number;
    enum call_what what;
    const char *name;
    signed char fd, dir, path, to_dir, to, flags, offset, length;
};

extern const struct call_row call_rows[];
extern const size_t call_row_count;

struct tracee {
    pid_t tid, pid;
    uint32_t process;
    enum tracee_phase phase;
    uint64_t number, arg[6];
    /* From the look before the call. */
    const struct call_row *row;
    int flags, answer;
    char path[PATH_MAX], to[PATH_MAX]; /* below the directory, when `ours` and `to_ours` */
    bool ours, to_ours;    /* for CALL_SYMLINK `to` is where it points, whatever that is */
    struct stat st, to_st; /* what the path, the descriptor, the target was; st_ino 0: nothing */
};

struct recorder {
    struct files files;
    struct log_writer writer;
    struct stat output;
    FILE *messages;
    char *why; /* set, and not empty: the recording has failed */
    size_t why_room;
};

enum call_verdict {
    CALL_PASS,   /* does not concern the directory */
    CALL_RECORD, /* alone, and call_after when it has returned */
    CALL_ANSWER, /* not made: tracee->answer is its error */
    CALL_STOP    /* recorder->why says why */
};

enum call_verdict call_before(struct recorder *recorder, struct tracee *tracee);
void call_after(struct recorder *recorder, struct tracee *tracee, int64_t result);
/* Sets recorder->why, once. */
void record_failed(struct recorder *recorder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
