/* record_files.c: which file is which, what was there at the start, and what was stored through
 * mappings.
 *
 *   R1 A file is known by device and inode number from the call that made it. It gets a new number
 *      when a name appears for an inode that is not known or has lost its last name: then the
 *      kernel has given the inode number away again.
 *   R2 A mapped file is compared with what the log says is in it, before each recorded call and at
 *      the end, sector by sector. Stores between two calls are seen as one, and in no order; those
 *      of a process that ends between two calls are seen at the next. */
#define _GNU_SOURCE
#include "record_inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define STORE_GRAIN 512u

/* ---- known files ---- */

struct known *files_find(struct files *files, const struct stat *st)
{
    for (size_t i = files->count; i-- > 0;)
        if (files->known[i].ino == st->st_ino && files->known[i].dev == st->st_dev)
            return &files->known[i];
    return NULL;
}

struct known *files_add(struct files *files, const struct stat *st)
{
    if (files->count == files->room) {
        files->room = files->room ? 2 * files->room : 64;
        files->known = realloc(files->known, files->room * sizeof *files->known);
        must(files->known != NULL);
    }
    files->known[files->count] = (struct known){.dev = st->st_dev,
                                                .ino = st->st_ino,
                                                .file = ++files->next_file,
                                                .size = (uint64_t)st->st_size,
                                                .named = true,
                                                .mapped = -1};
    return &files->known[files->count++];
}

const char *files_below(const struct files *files, const char *path)
{
    if (strncmp(path, files->root, files->root_len) != 0)
        return NULL;
    path += files->root_len;
    if (*path == '\0')
        return path;
    return *path == '/' ? path + 1 : NULL;
}

void files_release(struct files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        if (files->known[i].mapped >= 0)
            (void)close(files->known[i].mapped);
        free(files->known[i].shadow);
    }
    free(files->known);
    *files = (struct files){0};
}

/* ---- the base ---- */

struct import {
    struct files *files;
    struct log_writer *writer;
    char *why;
    size_t room;
};

static bool import_failed(struct import *import, const char *path, const char *what)
{
    snprintf(import->why, import->room, "%s: %s", *path ? path : import->files->root, what);
    return false;
}

static uint8_t *read_whole(int fd, uint64_t size)
{
    uint8_t *data = malloc(size + 1);
    uint64_t done = 0;

    must(data != NULL);
    while (done < size) {
        ssize_t got = pread(fd, data + done, size - done, (off_t)done);

        if (got <= 0) {
            free(data);
            return NULL;
        }
        done += (uint64_t)got;
    }
    return data;
}

static bool import_file(struct import *import, int dir, const char *name, struct pc_record *record,
                        const struct stat *st)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    uint8_t *data = fd < 0 ? NULL : read_whole(fd, (uint64_t)st->st_size);

    if (fd >= 0)
        (void)close(fd);
    if (data == NULL)
        return import_failed(import, record->path, "cannot be read");
    record->kind = PC_RECORD_BASE_FILE;
    record->data = data;
    record->size = (size_t)st->st_size;
    log_writer_add(import->writer, record);
    free(data);
    return true;
}

static bool import_directory(struct import *import, const char *path);

static bool import_symlink(struct import *import, int dir, const char *name,
                           struct pc_record *record)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(dir, name, target, sizeof target - 1);

    if (len < 0)
        return import_failed(import, record->path, strerror(errno));
    target[len] = '\0';
    record->kind = PC_RECORD_BASE_SYMLINK;
    record->to = target;
    log_writer_add(import->writer, record);
    return true;
}

static bool import_entry(struct import *import, int dir, const char *above, const char *name)
{
    char path[PATH_MAX];
    struct pc_record record = {.path = path};
    struct known *known;
    struct stat st;

    if (snprintf(path, sizeof path, "%s%s%s", above, *above ? "/" : "", name) >= PATH_MAX)
        return import_failed(import, above, "a path is too long");
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
        return import_failed(import, path, strerror(errno));
    known = files_find(import->files, &st);
    record.mode = st.st_mode & 07777u;
    if (known) {
        record.kind = PC_RECORD_BASE_LINK;
        record.file = known->file;
        log_writer_add(import->writer, &record);
        return true;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return import_failed(import, path, "is no file, directory or symbolic link");
    record.file = files_add(import->files, &st)->file;
    if (S_ISREG(st.st_mode))
        return import_file(import, dir, name, &record, &st);
    if (S_ISLNK(st.st_mode))
        return import_symlink(import, dir, name, &record);
    record.kind = PC_RECORD_BASE_DIRECTORY;
    log_writer_add(import->writer, &record);
    return import_directory(import, path);
}

static int skip_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool import_directory(struct import *import, const char *path)
{
    char full[2 * PATH_MAX];
    struct dirent **entries = NULL;
    int dir, count;
    bool good;

    snprintf(full, sizeof full, "%s/%s", import->files->root, path);
    dir = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    count = dir < 0 ? -1 : scandirat(dir, ".", &entries, skip_dots, by_bytes);
    good = count >= 0 || import_failed(import, path, strerror(errno));
    for (int i = 0; i < count; i++) {
        good = good && import_entry(import, dir, path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (dir >= 0)
        (void)close(dir);
    return good;
}

bool files_import(struct files *files, const char *directory, struct log_writer *writer, char *why,
                  size_t room)
{
    struct import import = {files, writer, why, room};
    struct pc_record record = {.kind = PC_RECORD_BASE_DIRECTORY, .path = ""};
    struct stat st;

    *files = (struct files){0};
    if (realpath(directory, files->root) == NULL || stat(files->root, &st) ||
        !S_ISDIR(st.st_mode)) {
        snprintf(why, room, "%s: not a directory", directory);
        return false;
    }
    if (strcmp(files->root, "/") == 0) {
        snprintf(why, room, "the root directory cannot be recorded");
        return false;
    }
    files->root_len = strlen(files->root);
    files->root_dev = st.st_dev;
    record.file = files_add(files, &st)->file;
    record.mode = st.st_mode & 07777u;
    log_writer_add(writer, &record);
    return import_directory(&import, "");
}

/* ---- mappings ---- */

void files_map(struct known *known, const char *fd_path, uint32_t process)
{
    struct stat st;

    known->mapper = process;
    if (known->mapped >= 0)
        return;
    known->mapped = open(fd_path, O_RDONLY | O_CLOEXEC);
    if (known->mapped < 0 || fstat(known->mapped, &st))
        return;
    known->shadow = read_whole(known->mapped, (uint64_t)st.st_size);
    known->shadow_size = known->shadow ? (uint64_t)st.st_size : 0;
}

void files_wrote(struct known *known, uint64_t offset, const uint8_t *data, size_t size)
{
    if (known->mapped < 0)
        return;
    if (offset + size > known->shadow_size)
        files_resized(known, offset + size);
    if (size)
        memcpy(known->shadow + offset, data, size);
}

void files_zeroed(struct known *known, uint64_t from, uint64_t to)
{
    if (known->mapped < 0)
        return;
    if (to > known->shadow_size)
        to = known->shadow_size;
    if (from < to)
        memset(known->shadow + from, 0, to - from);
}

void files_resized(struct known *known, uint64_t size)
{
    if (known->mapped < 0)
        return;
    known->shadow = realloc(known->shadow, size + 1);
    must(known->shadow != NULL);
    if (size > known->shadow_size)
        memset(known->shadow + known->shadow_size, 0, size - known->shadow_size);
    known->shadow_size = size;
}

/* The path that the descriptor has now, below the directory; "" when it has none. */
static const char *path_of(const struct files *files, int fd, char path[PATH_MAX])
{
    char link[64];
    ssize_t len;
    const char *below;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, path, PATH_MAX - 1);
    path[len < 0 ? 0 : len] = '\0';
    below = files_below(files, path);
    return below ? below : "";
}

static void observe(const struct files *files, struct known *known, struct log_writer *writer)
{
    uint8_t *now = read_whole(known->mapped, known->shadow_size);
    char path[PATH_MAX];
    struct pc_record record = {
        .kind = PC_RECORD_STORE, .process = known->mapper, .file = known->file};

    for (uint64_t at = 0; now && at < known->shadow_size; at += STORE_GRAIN) {
        uint64_t end = at;

        while (end < known->shadow_size) {
            uint64_t rest = known->shadow_size - end;
            size_t size = rest < STORE_GRAIN ? (size_t)rest : STORE_GRAIN;

            if (memcmp(now + end, known->shadow + end, size) == 0)
                break;
            end += size;
        }
        if (end == at)
            continue;
        record.path = path_of(files, known->mapped, path);
        record.offset = at;
        record.data = now + at;
        record.size = (size_t)(end - at);
        log_writer_add(writer, &record);
        memcpy(known->shadow + at, now + at, record.size);
        at = (end - 1) / STORE_GRAIN * STORE_GRAIN;
    }
    free(now);
}

void files_observe(struct files *files, struct log_writer *writer)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->known[i].mapped >= 0)
            observe(files, &files->known[i], writer);
}
