/* os.c: the seam to the operating system (D1). Plain POSIX calls, all of them in this file.
 *
 * O1  A write is complete or has failed: short transfers go on, an interruption before the first
 *     byte starts again (K33).
 * O2  A sync is called once. Its failure says nothing about which pages reached the disk, and the
 *     next call may succeed without them, so the caller must give the file up (D5, K31).
 * O3  A transfer of zero bytes where some were asked is a failure, not a reason to loop.
 * O4  The result of close is checked wherever something was written (K35). After EINTR the
 *     descriptor is gone on Linux; it is not closed again.
 *
 * Paths are built on the stack per call. The directory's descriptor is opened with the first
 * directory sync and kept: opening a database that needs nothing pays nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "os.h"

struct path {
    char text[ENV_PATH_MAX + OS_NAME_MAX + 2];
};

static void path_of(const struct env *env, const char *name, struct path *path)
{
    size_t len = strlen(name);

    must(len < OS_NAME_MAX);
    memcpy(path->text, env->path, env->path_len);
    path->text[env->path_len] = '/';
    memcpy(path->text + env->path_len + 1, name, len + 1);
}

static enum vault_status failed(struct env *env, const char *name, uint64_t offset,
                                const char *what)
{
    int why = errno;

    if (why == ENOENT)
        return env_fail(env, VAULT_NOT_FOUND, name, offset, why, what);
    if (why == ENOSPC || why == EDQUOT)
        return env_fail(env, VAULT_NO_SPACE, name, offset, why, what);
    return env_fail(env, VAULT_IO, name, offset, why, what);
}

/* As failed, for calls on which a missing file is no answer but a fault. */
static enum vault_status broke(struct env *env, const char *name, uint64_t offset, const char *what)
{
    enum vault_status st = failed(env, name, offset, what);

    return st == VAULT_NOT_FOUND ? env_fail(env, VAULT_IO, name, offset, ENOENT, what) : st;
}

static enum vault_status open_as(struct env *env, const char *name, int flags, struct os_file *file)
{
    struct path path;
    size_t len = strlen(name);

    *file = OS_FILE_CLOSED;
    path_of(env, name, &path);
    memcpy(file->name, name, len + 1);
    do
        file->fd = open(path.text, flags | O_CLOEXEC, 0644);
    while (file->fd < 0 && errno == EINTR);
    return file->fd < 0 ? failed(env, name, 0, "open") : VAULT_OK;
}

enum vault_status os_open(struct env *env, const char *name, struct os_file *file)
{
    return open_as(env, name, O_RDONLY, file);
}

enum vault_status os_create(struct env *env, const char *name, struct os_file *file)
{
    return open_as(env, name, O_RDWR | O_CREAT | O_TRUNC, file);
}

enum vault_status os_close(struct env *env, struct os_file *file)
{
    int fd = file->fd;

    file->fd = -1;
    if (fd < 0)
        return VAULT_OK;
    if (close(fd) && errno != EINTR)
        return broke(env, file->name, file->size, "close");
    return VAULT_OK;
}

enum vault_status os_read(struct env *env, const struct os_file *file, uint64_t offset, void *p,
                          size_t len, size_t *got)
{
    size_t done = 0;

    must(file->fd >= 0);
    if (offset > INT64_MAX - len)
        return env_fail(env, VAULT_CORRUPT, file->name, offset, 0, "offset out of range");
    while (done < len) {
        ssize_t n = pread(file->fd, (uint8_t *)p + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return broke(env, file->name, offset + done, "pread");
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *got = done;
    return VAULT_OK;
}

enum vault_status os_append(struct env *env, struct os_file *file, struct bytes bytes)
{
    size_t done = 0;

    must(file->fd >= 0);
    while (done < bytes.len) { /* O1 */
        ssize_t n =
            pwrite(file->fd, bytes.data + done, bytes.len - done, (off_t)(file->size + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO; /* O3 */
        if (n <= 0)
            return broke(env, file->name, file->size + done, "pwrite");
        done += (size_t)n;
    }
    file->size += bytes.len;
    return VAULT_OK;
}

enum vault_status os_sync(struct env *env, const struct os_file *file)
{
    must(file->fd >= 0);
    atomic_count(&env->syncs, 1);
    if (fdatasync(file->fd)) /* O2 */
        return broke(env, file->name, file->size, "fdatasync");
    return VAULT_OK;
}

enum vault_status os_size(struct env *env, const struct os_file *file, uint64_t *size)
{
    struct stat info;

    must(file->fd >= 0);
    if (fstat(file->fd, &info))
        return broke(env, file->name, 0, "fstat");
    *size = info.st_size < 0 ? 0 : (uint64_t)info.st_size;
    return VAULT_OK;
}

enum vault_status os_file_size(struct env *env, const char *name, uint64_t *size)
{
    struct os_file file = OS_FILE_CLOSED;
    enum vault_status st = os_open(env, name, &file);
    enum vault_status closing = VAULT_OK;

    if (st)
        return st;
    st = os_size(env, &file, size);
    closing = os_close(env, &file);
    return st ? st : closing;
}

enum vault_status os_sync_dir(struct env *env)
{
    while (env->dir_fd < 0) {
        env->dir_fd = open(env->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (env->dir_fd < 0 && errno != EINTR)
            return broke(env, "", 0, "open of the directory");
    }
    atomic_count(&env->syncs, 1);
    if (fsync(env->dir_fd)) /* O2 */
        return broke(env, "", 0, "fsync of the directory");
    return VAULT_OK;
}

enum vault_status os_sync_parent(struct env *env)
{
    struct path path;
    enum vault_status st = VAULT_OK;
    char *slash = NULL;
    int fd = -1;

    memcpy(path.text, env->path, env->path_len + 1);
    slash = strrchr(path.text, '/');
    if (!slash)
        memcpy(path.text, ".", 2);
    else if (slash == path.text)
        slash[1] = 0;
    else
        *slash = 0;
    do
        fd = open(path.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return broke(env, "", 0, "open of the parent directory");
    if (fsync(fd))
        st = broke(env, "", 0, "fsync of the parent directory");
    if (close(fd) && errno != EINTR && !st)
        st = broke(env, "", 0, "close of the parent directory");
    return st;
}

void os_release_dir(struct env *env)
{
    if (env->dir_fd >= 0)
        (void)close(env->dir_fd); /* Nothing was written through it. */
    env->dir_fd = -1;
}

enum vault_status os_rename(struct env *env, const char *from, const char *to)
{
    struct path old;
    struct path new;

    path_of(env, from, &old);
    path_of(env, to, &new);
    if (rename(old.text, new.text))
        return broke(env, to, 0, "rename");
    return VAULT_OK;
}

enum vault_status os_unlink(struct env *env, const char *name)
{
    struct path path;

    path_of(env, name, &path);
    if (unlink(path.text))
        return failed(env, name, 0, "unlink");
    return VAULT_OK;
}

enum vault_status os_link(struct env *from, struct env *to, const char *name)
{
    struct path old;
    struct path new;

    path_of(from, name, &old);
    path_of(to, name, &new);
    if (!link(old.text, new.text))
        return VAULT_OK;
    if (errno == EXDEV || errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS ||
        errno == EMLINK)
        return VAULT_UNSUPPORTED;
    return broke(to, name, 0, "link");
}

enum vault_status os_mkdir_new(struct env *env)
{
    if (!mkdir(env->path, 0755))
        return VAULT_OK;
    if (errno == EEXIST)
        return env_fail(env, VAULT_EXISTS, "", 0, errno, "the directory exists");
    return failed(env, "", 0, "mkdir");
}

enum vault_status os_mkdir(struct env *env)
{
    if (mkdir(env->path, 0755) && errno != EEXIST)
        return failed(env, "", 0, "mkdir");
    return VAULT_OK;
}

enum vault_status os_rmdir(struct env *env)
{
    if (rmdir(env->path))
        return failed(env, "", 0, "rmdir");
    return VAULT_OK;
}

enum vault_status os_list(struct env *env, void *ctx,
                          enum vault_status (*each)(void *ctx, const char *name))
{
    enum vault_status st = VAULT_OK;
    DIR *dir = opendir(env->path);

    if (!dir)
        return failed(env, "", 0, "opendir");
    while (!st) {
        struct dirent *entry = NULL;

        errno = 0;
        entry = readdir(dir);
        if (!entry && errno)
            st = broke(env, "", 0, "readdir");
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            st = each(ctx, entry->d_name);
    }
    if (closedir(dir) && errno != EINTR && !st)
        st = broke(env, "", 0, "closedir");
    return st;
}

static enum vault_status lock_as(struct env *env, const char *name, int kind, struct os_file *file)
{
    enum vault_status st = VAULT_OK;
    int got = -1;

    do
        got = flock(file->fd, kind | LOCK_NB);
    while (got && errno == EINTR);
    if (got && errno == EWOULDBLOCK)
        st = env_fail(env, VAULT_BUSY, name, 0, errno, "database is open elsewhere");
    else if (got)
        st = broke(env, name, 0, "flock");
    if (st)
        os_unlock(env, file);
    return st;
}

enum vault_status os_lock(struct env *env, const char *name, struct os_file *file)
{
    enum vault_status st = open_as(env, name, O_RDWR | O_CREAT, file);

    return st ? st : lock_as(env, name, LOCK_EX, file);
}

enum vault_status os_lock_shared(struct env *env, const char *name, struct os_file *file)
{
    enum vault_status st = open_as(env, name, O_RDONLY, file);

    if (st == VAULT_NOT_FOUND)
        return VAULT_OK;
    return st ? st : lock_as(env, name, LOCK_SH, file);
}

void os_unlock(struct env *env, struct os_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd); /* Nothing was written; the lock goes with it. */
    file->fd = -1;
}

uint64_t os_clock(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_REALTIME, &now); /* Cannot fail for this clock. */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t os_ticks(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail for this clock. */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
