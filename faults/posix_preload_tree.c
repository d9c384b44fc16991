/* posix_preload_tree.c: between a simulated disk and real directories: what the program finds at
 * its start, what it leaves, and the report of what it did. The calls here are interposed ones on
 * paths beside the mount, so they pass through, with the lock held or not. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <stdlib.h>
#include <unistd.h>

#include "posix_preload.h"

/* ---- import ---- */

static int skip_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool import_error(const char *path, int error)
{
    return settings_error("POWERCUT_IMPORT", "%s: %s", path, strerror(error));
}

static bool import_file(struct pc_disk *disk, uint32_t ino, const char *path)
{
    static uint8_t block[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t at = 0;
    ssize_t got = 0;
    int error = fd < 0 ? errno : 0;

    while (!error && (got = read(fd, block, sizeof block)) > 0) {
        ssize_t put = disk_write(disk, ino, at, block, (size_t)got, false);

        if (put != got)
            error = put < 0 ? (int)-put : EIO;
        at += (uint64_t)got;
    }
    if (!error && got < 0)
        error = errno;
    if (fd >= 0)
        (void)close(fd);
    return error ? import_error(path, error) : true;
}

static bool import_link(struct pc_disk *disk, uint32_t dir, const char *path, const char *name)
{
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target - 1);
    int error;

    if (len < 0)
        return import_error(path, errno);
    target[len] = '\0';
    error = -disk_symlink(disk, dir, name, strlen(name), target);
    return error ? import_error(path, error) : true;
}

static bool import_directory(struct pc_disk *disk, uint32_t dir, const char *path);

static bool import_entry(struct pc_disk *disk, uint32_t dir, const char *from, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    uint32_t ino;
    int error;

    if (snprintf(path, sizeof path, "%s/%s", from, name) >= (int)sizeof path)
        return import_error(from, ENAMETOOLONG);
    if (lstat(path, &st))
        return import_error(path, errno);
    if (S_ISREG(st.st_mode)) {
        error = -disk_create(disk, dir, name, strlen(name), &ino);
        return error ? import_error(path, error) : import_file(disk, ino, path);
    }
    if (S_ISLNK(st.st_mode))
        return import_link(disk, dir, path, name);
    if (!S_ISDIR(st.st_mode))
        return settings_error("POWERCUT_IMPORT", "%s: no file, directory or symbolic link", path);
    error = -disk_mkdir(disk, dir, name, strlen(name));
    if (!error)
        error = -disk_lookup(disk, dir, name, strlen(name), &ino);
    return error ? import_error(path, error) : import_directory(disk, ino, path);
}

static bool import_directory(struct pc_disk *disk, uint32_t dir, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, skip_dots, by_bytes);
    bool good = count >= 0;

    if (!good)
        return import_error(path, errno);
    for (int i = 0; i < count; i++) {
        good = good && import_entry(disk, dir, path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return good;
}

bool tree_import(struct pc_disk *disk, const char *from)
{
    bool good = import_directory(disk, DISK_ROOT, from);

    return good && disk_sync_all(disk) == 0;
}

/* ---- export ---- */

bool tree_may_export(const char *to)
{
    struct dirent **entries;
    int count = scandir(to, &entries, skip_dots, NULL);

    if (count < 0)
        return errno == ENOENT || settings_error("POWERCUT_EXPORT", "%s: %s", to, strerror(errno));
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return !count || settings_error("POWERCUT_EXPORT", "%s is not empty", to);
}

struct export
{
    const char *to;
    bool failed;
};

static int write_file(int fd, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t put = write(fd, data, size);

        if (put < 0)
            return errno;
        data += put;
        size -= (size_t)put;
    }
    return 0;
}

static void export_entry(void *ctx, const struct pc_entry *entry)
{
    struct export *export = ctx;
    char path[PATH_MAX];
    int fd, error = 0;

    if (export->failed)
        return;
    if (snprintf(path, sizeof path, "%s/%s", export->to, entry->path) >= (int)sizeof path) {
        error = ENAMETOOLONG;
    } else if (entry->is_dir) {
        error = mkdir(path, 0777) ? errno : 0;
    } else if (entry->target) {
        error = symlink(entry->target, path) ? errno : 0;
    } else {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        error = fd < 0 ? errno : write_file(fd, entry->data, entry->size);
        if (fd >= 0 && close(fd) && !error)
            error = errno;
    }
    if (error)
        export->failed = !settings_error("POWERCUT_EXPORT", "%s: %s", path, strerror(error));
}

bool tree_export(struct pc_disk *disk, const char *to)
{
    struct export export = {.to = to};

    if (!tree_may_export(to))
        return false;
    if (mkdir(to, 0777) && errno != EEXIST)
        return settings_error("POWERCUT_EXPORT", "%s: %s", to, strerror(errno));
    pc_disk_walk(disk, export_entry, &export);
    return !export.failed;
}

static size_t choose_oldest(void *ctx, const struct pc_choice *choice)
{
    return choice->n - 1;
}

bool tree_export_crash(struct pc_disk *disk, size_t k, bool oldest, const char *to)
{
    static const struct pc_chooser chooser = {NULL, choose_oldest};
    struct pc_image *image = pc_image_new(disk, k);
    struct pc_disk *booted;
    bool good;

    pc_image_begin(image, oldest ? &chooser : NULL, PC_FILL_NOISE);
    booted = pc_disk_boot(image);
    pc_disk_settle(booted);
    good = tree_export(booted, to);
    pc_disk_free(booted);
    pc_image_free(image);
    return good;
}

/* ---- the report ---- */

static uint64_t bytes_written(const struct pc_disk *disk)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < pc_disk_call_count(disk); i++) {
        const struct pc_call *call = pc_disk_call(disk, i);

        if (call->kind == PC_CALL_WRITE || call->kind == PC_CALL_STORE)
            bytes += call->done;
    }
    return bytes;
}

/* "7 write a.log 4096+512, kept 256 short" */
static void report_call(FILE *file, size_t number, const struct pc_call *call)
{
    fprintf(file, "%zu %s %s", number, pc_call_kind_name(call->kind),
            call->path[0] ? call->path : "/");
    switch (call->kind) {
    case PC_CALL_WRITE:
    case PC_CALL_STORE:
    case PC_CALL_ALLOCATE:
    case PC_CALL_MSYNC:
    case PC_CALL_SYNC_RANGE:
        fprintf(file, " %llu+%llu", (unsigned long long)call->offset,
                (unsigned long long)call->length);
        break;
    case PC_CALL_TRUNCATE:
        fprintf(file, " %llu", (unsigned long long)call->length);
        break;
    case PC_CALL_RENAME:
    case PC_CALL_LINK:
    case PC_CALL_SYMLINK:
        fprintf(file, " -> %s", call->to);
        break;
    default:
        break;
    }
    if (call->flags & PC_CALL_SHORT)
        fprintf(file, ", kept %llu", (unsigned long long)call->done);
    if (call->flags & PC_CALL_FAILED)
        fprintf(file, ", failed");
    if (call->flags & PC_CALL_LIED)
        fprintf(file, ", lied");
    if (call->flags & PC_CALL_DSYNC)
        fprintf(file, ", dsync");
    fputc('\n', file);
}

void tree_report(struct pc_disk *disk, const struct settings *settings)
{
    const struct pc_disk_config *config = pc_disk_get_config(disk);
    size_t calls = pc_disk_call_count(disk);
    FILE *file = fopen(settings->report, "we");
    bool failed;

    if (!file) {
        (void)settings_error("POWERCUT_REPORT", "%s: %s", settings->report, strerror(errno));
        return;
    }
    fprintf(file, "model %s\nunit %u\nseed %llu\n", pc_model_name(config->model), config->unit,
            (unsigned long long)config->seed);
    fprintf(file, "calls %zu\nbytes %llu\nsteps %llu\nhash %016llx\n", calls,
            (unsigned long long)bytes_written(disk), (unsigned long long)pc_disk_steps(disk),
            (unsigned long long)pc_disk_hash(disk));
    for (size_t i = 0; i < settings->rule_count; i++)
        fprintf(file, "fault %s seen %u fired %u\n", settings->rules[i].text,
                settings->rules[i].fault.seen, settings->rules[i].fault.fired);
    fprintf(file, "\n");
    for (size_t i = 0; i < calls; i++)
        report_call(file, i + 1, pc_disk_call(disk, i));
    failed = ferror(file) != 0;
    if (fclose(file) || failed)
        (void)settings_error("POWERCUT_REPORT", "%s: cannot be written", settings->report);
}
