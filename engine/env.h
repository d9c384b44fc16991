/* env.h: what every module of one handle shares: memory, hooks, the directory, the last failure.
 *
 * There is no global state in the engine; this struct is what others would keep in globals. It
 * lives inside struct vault and outlives every other object of the handle.
 * Thread safety: immutable after env_init but for the counters (atomic) and `last` (error_lock). */
#ifndef ENGINE_ENV_H
#define ENGINE_ENV_H

#include <stdbool.h>
#include "minivault/minivault.h"
#include "powercut/hooks.h"
#include "base/bytes.h"
#include "thread.h"

#define ENV_PATH_MAX 3900

struct env {
    const struct vault_allocator *allocator; /* NULL: malloc and free */
    const struct pc_hooks *hooks;            /* NULL: none */
    uint32_t (*crc)(uint32_t sum, const uint8_t *p, size_t len);
    uint64_t memory, memory_peak; /* bytes held now, and at most; atomic */
    uint64_t syncs;               /* fsync and fdatasync; atomic */
    int dir_fd;                   /* -1 until the directory is synced for the first time; os.c */
    struct thread_mutex error_lock;
    struct vault_error last; /* newest failure; error_lock */
    size_t path_len;
    char path[ENV_PATH_MAX + 1];
};

/* VAULT_INVALID: the path is empty or too long. Release with env_release in every case. */
MUST_USE enum vault_status env_init(struct env *env, const char *path,
                                    const struct vault_allocator *allocator,
                                    const struct pc_hooks *hooks);
void env_release(struct env *env);

/* Records the failure as the newest one and answers `st`, so that callers can return it. `file` is
 * a name within the directory or "". */
MUST_USE enum vault_status env_fail(struct env *env, enum vault_status st, const char *file,
                                    uint64_t offset, int system_errno, const char *what);
void env_last(struct env *env, struct vault_error *error);

/* The one door for checksums (D3). true: `range` is what was written. */
MUST_USE bool verify(const struct env *env, struct bytes range, uint32_t stored);

/* Announces that bytes read from a disk are about to be used. */
static inline void env_use(const struct env *env, const void *p, size_t len)
{
    if (env->hooks && env->hooks->use)
        env->hooks->use(env->hooks->ctx, p, len);
}

/* Memory. alloc_get answers NULL when there is none; sizes are given back exactly. */
void *alloc_get(struct env *env, size_t size);
void alloc_put(struct env *env, void *p, size_t size);

#endif
