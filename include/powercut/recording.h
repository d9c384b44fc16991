/* recording.h: what a program and all processes that it starts do to a directory, recorded while
 * they run, and played into a simulated disk afterwards.
 *
 * The program runs on a real directory under ptrace. Each system call that changes the directory or
 * makes it durable is let through alone: no other recorded call of any process begins before it has
 * returned and its effect is in the log. So the order of the log is the order of the effects,
 * across processes and threads. A *recording* is such a log, loaded: it begins with what was in the
 * directory (durable), then has one record per call. It holds everything; the directory is not
 * needed any more.
 *
 * Files are numbered from 1, the directory itself; a file keeps its number whatever it is called,
 * and no number is used again. Processes are numbered from 1 in the order in which they began.
 * Paths are relative to the directory, "" is the directory itself. Units: bytes. Thread safety:
 * none. Errors: told in words in `why`. Linux on x86-64 only. */
#ifndef POWERCUT_RECORDING_H
#define POWERCUT_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "powercut/disk.h"

enum pc_record_kind {
    PC_RECORD_BASE_DIRECTORY, /* was there at the start, durable: file, path, mode */
    PC_RECORD_BASE_FILE,      /* file, path, mode, data */
    PC_RECORD_BASE_SYMLINK,   /* file, path, to: where it points */
    PC_RECORD_BASE_LINK,      /* one more name of a file: file, path */
    PC_RECORD_PROCESS,        /* a process began, or became this program: to: its command */
    PC_RECORD_CREATE,         /* file, path, mode */
    PC_RECORD_UNNAMED,        /* O_TMPFILE: file, mode */
    PC_RECORD_MKDIR,          /* file, path, mode */
    PC_RECORD_SYMLINK,        /* file, path, to: where it points */
    PC_RECORD_LINK,           /* file, path: its new name */
    PC_RECORD_RENAME,         /* file, path, to */
    PC_RECORD_EXCHANGE,       /* path, to */
    PC_RECORD_UNLINK,         /* file, path; also of a file that is moved out of the directory */
    PC_RECORD_RMDIR,          /* file, path */
    PC_RECORD_WRITE,          /* file, path, offset, data, dsync */
    PC_RECORD_STORE,          /* through a shared mapping, seen now: file, path, offset, data */
    PC_RECORD_TRUNCATE,       /* file, path, length */
    PC_RECORD_ALLOCATE,       /* file, path, offset, length, keep_size */
    PC_RECORD_FSYNC,          /* file, path */
    PC_RECORD_FDATASYNC,      /* file, path */
    PC_RECORD_SYNC,           /* all of the directory; syncfs, too */
    PC_RECORD_SYNC_RANGE,     /* file, path, offset, length */
    PC_RECORD_MSYNC,          /* file, path, offset, length */
    PC_RECORD_MODE,           /* file, path, mode */
    PC_RECORD_OUTPUT,         /* standard output: data */
    PC_RECORD_END,            /* the recording is whole; length: the exit code of the program */
    PC_RECORD_PUNCH,          /* file, path, offset, length: a hole; behind the end, for old logs */
    PC_RECORD_ZERO_RANGE,     /* file, path, offset, length, keep_size */
    PC_RECORD_KINDS
};

const char *pc_record_kind_name(enum pc_record_kind kind); /* "write" */

struct pc_record {
    enum pc_record_kind kind;
    bool dsync, keep_size;
    uint32_t process, file, mode;
    uint64_t offset, length;
    const char *path, *to; /* never NULL */
    const uint8_t *data;
    size_t size; /* of data */
};

/* ---- recording ---- */

struct pc_record_job {
    const char *directory; /* exists; the program runs in it */
    const char *log;       /* is made */
    const char *output;    /* is made: the standard output of the program */
    char *const *argv;     /* ends with NULL; argv[0] is looked up in PATH */
    FILE *messages;        /* calls that were refused */
};

enum pc_record_end {
    PC_RECORD_DONE,
    PC_RECORD_NO_PROGRAM,   /* it could not be started */
    PC_RECORD_NOT_RECORDED, /* it did what cannot be recorded, and was stopped */
    PC_RECORD_BROKEN        /* the machine: no ptrace, no space */
};

/* Runs the program to the end of all its processes. *status: its exit code, or 128 + the signal
 * that ended it. */
enum pc_record_end pc_record_run(const struct pc_record_job *job, int *status, char *why,
                                 size_t room);

/* ---- a recording ---- */

struct pc_recording;

/* NULL: not a log, or not a whole one. */
struct pc_recording *pc_recording_load(const char *log, char *why, size_t room);
void pc_recording_free(struct pc_recording *recording);
size_t pc_recording_count(const struct pc_recording *recording);
const struct pc_record *pc_recording_at(const struct pc_recording *recording, size_t index);
/* The command of a process as it was at record `index`: "sh", and "" when nobody knows. */
const char *pc_recording_program(const struct pc_recording *recording, size_t index);
/* One line per record: its number, the process, what it did. */
void pc_recording_print(const struct pc_recording *recording, FILE *out);
/* One record in words, without the process: "rename conf.tmp -> conf". */
void pc_record_say(const struct pc_record *record, char *text, size_t room);

/* ---- on the simulated disk ---- */

/* A sync that the program did not make: of `file`, after the record of that index. */
struct pc_replay_sync {
    size_t record;
    uint32_t file;
};

struct pc_replay;

/* A disk on which all of the recording has happened; what was there at the start is durable. Each
 * call of the disk has the index of its record as its mark. Symbolic links are files of size 0
 * there. The recording is borrowed. NULL: the disk refused a call that the kernel allowed. */
struct pc_replay *pc_replay_new(const struct pc_recording *recording,
                                const struct pc_disk_config *config,
                                const struct pc_replay_sync *syncs, size_t sync_count, char *why,
                                size_t room);
void pc_replay_free(struct pc_replay *replay);
struct pc_disk *pc_replay_disk(struct pc_replay *replay);
/* The number of a file of the disk (pc_entry, pc_item); 0: it has none. */
uint32_t pc_replay_file(const struct pc_replay *replay, uint32_t ino);
/* Where the symbolic link with that file number points; NULL: it is none. */
const char *pc_recording_symlink(const struct pc_recording *recording, uint32_t file);
/* Its permissions after the first `index` records. */
unsigned pc_recording_mode(const struct pc_recording *recording, uint32_t file, size_t index);

#endif
