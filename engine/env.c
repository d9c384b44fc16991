/* env.c: the shared part of a handle: see env.h.
 *
 * The newest failure is kept here with file, offset and errno, because a status alone does not
 * tell a user which file to restore. It is copied under its own lock, so that a reader on one
 * thread and a writer on another may both fail. */
#include <string.h>
#include "crc32c.h"
#include "env.h"

enum vault_status env_init(struct env *env, const char *path,
                           const struct vault_allocator *allocator, const struct pc_hooks *hooks)
{
    size_t len = strlen(path);

    memset(env, 0, offsetof(struct env, path));
    env->dir_fd = -1;
    env->allocator = allocator;
    env->hooks = hooks;
    env->crc = crc32c_choose();
    thread_mutex_init(&env->error_lock);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0 || len > ENV_PATH_MAX)
        return env_fail(env, VAULT_INVALID, "", 0, 0, "path is empty or too long");
    memcpy(env->path, path, len);
    env->path[len] = 0;
    env->path_len = len;
    return VAULT_OK;
}

void env_release(struct env *env)
{
    must(env->memory == 0); /* A2: a leak is a programmer's error */
    must(env->dir_fd == -1);
    thread_mutex_release(&env->error_lock);
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);

    if (len >= size)
        len = size - 1;
    memcpy(to, from, len);
    to[len] = 0;
}

enum vault_status env_fail(struct env *env, enum vault_status st, const char *file, uint64_t offset,
                           int system_errno, const char *what)
{
    must(st != VAULT_OK);
    thread_lock(&env->error_lock);
    env->last.status = st;
    env->last.offset = offset;
    env->last.system_errno = system_errno;
    copy_text(env->last.file, sizeof env->last.file, file);
    copy_text(env->last.what, sizeof env->last.what, what);
    thread_unlock(&env->error_lock);
    return st;
}

void env_last(struct env *env, struct vault_error *error)
{
    thread_lock(&env->error_lock);
    *error = env->last;
    thread_unlock(&env->error_lock);
}

bool verify(const struct env *env, struct bytes range, uint32_t stored)
{
    enum pc_verdict verdict = PC_VERDICT_COMPUTE;

    if (env->hooks && env->hooks->verify)
        verdict = env->hooks->verify(env->hooks->ctx, range.data, range.len, stored, PC_CRC32C);
    if (verdict == PC_VERDICT_COMPUTE)
        return env->crc(0, range.data, range.len) == stored;
    return verdict == PC_VERDICT_PASS;
}
