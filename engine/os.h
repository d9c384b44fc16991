/* os.h: files of one database directory. os.c is the only file of the engine that makes a system
 * call, and the only one that reads errno.
 *
 * Every call names a file within env's directory. A failure is recorded with file, offset and errno
 * (env_fail) and answers VAULT_NO_SPACE for a full disk or quota, else VAULT_IO. Nothing is retried
 * but a transfer that was interrupted or fell short; a sync never is.
 * Thread safety: reads of one file by many threads; everything else by one thread at a time. */
#ifndef ENGINE_OS_H
#define ENGINE_OS_H

#include "env.h"

#define OS_NAME_MAX 32

struct os_file {
    int fd; /* -1: closed */
    char name[OS_NAME_MAX];
    uint64_t size; /* of a file created here: bytes appended so far */
};

#define OS_FILE_CLOSED ((struct os_file){.fd = -1})

/* VAULT_NOT_FOUND: no such file (recorded, too). `file` is closed on failure. */
MUST_USE enum vault_status os_open(struct env *env, const char *name, struct os_file *file);
/* Creates, or empties what was left under that name. The entry is not durable: os_sync_dir. */
MUST_USE enum vault_status os_create(struct env *env, const char *name, struct os_file *file);
MUST_USE enum vault_status os_close(struct env *env, struct os_file *file);

/* Reads until `len` bytes or the end of the file; `got` says how many. */
MUST_USE enum vault_status os_read(struct env *env, const struct os_file *file, uint64_t offset,
                                   void *p, size_t len, size_t *got);
/* Writes all of it at the end, or fails. */
MUST_USE enum vault_status os_append(struct env *env, struct os_file *file, struct bytes bytes);
/* Data and size durable. */
MUST_USE enum vault_status os_sync(struct env *env, const struct os_file *file);
MUST_USE enum vault_status os_size(struct env *env, const struct os_file *file, uint64_t *size);
MUST_USE enum vault_status os_file_size(struct env *env, const char *name, uint64_t *size);

/* Creations, renames and removals so far durable. */
MUST_USE enum vault_status os_sync_dir(struct env *env);
MUST_USE enum vault_status os_sync_parent(struct env *env);
MUST_USE enum vault_status os_rename(struct env *env, const char *from, const char *to);
MUST_USE enum vault_status os_unlink(struct env *env, const char *name);

/* The file of that name gets the same name in the other directory. VAULT_UNSUPPORTED: another file
 * system, or one without links. */
MUST_USE enum vault_status os_link(struct env *from, struct env *to, const char *name);

/* An existing directory is success. */
MUST_USE enum vault_status os_mkdir(struct env *env);
/* An existing one is VAULT_EXISTS. */
MUST_USE enum vault_status os_mkdir_new(struct env *env);
MUST_USE enum vault_status os_rmdir(struct env *env);
void os_release_dir(struct env *env);

/* Calls `each` for every name but . and .., in no particular order; stops at its first failure. */
MUST_USE enum vault_status os_list(struct env *env, void *ctx,
                                   enum vault_status (*each)(void *ctx, const char *name));

/* Milliseconds since 1970. */
uint64_t os_clock(void);
uint64_t os_ticks(void); /* nanoseconds of a clock that only goes forward */

/* VAULT_BUSY: somebody holds it, in this process or another. VAULT_NOT_FOUND: no directory. Holds
 * until os_unlock. */
MUST_USE enum vault_status os_lock(struct env *env, const char *name, struct os_file *file);
/* The same beside others who read. Creates nothing: without that file, or directory, there is
 * nothing to hold, and `file` stays closed. */
MUST_USE enum vault_status os_lock_shared(struct env *env, const char *name, struct os_file *file);
void os_unlock(struct env *env, struct os_file *file);

#endif
