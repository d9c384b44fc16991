/* posix_preload.h (private): the preload library, which mounts a disk under a program that knows
 * nothing of it. Not part of the object library. */
#ifndef FAULTS_POSIX_PRELOAD_H
#define FAULTS_POSIX_PRELOAD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "powercut/disk.h"

#pragma GCC visibility push(hidden)

#define RULES_MAX     16 /* what a disk takes */
#define RULE_TEXT_MAX 80

struct rule {
    struct pc_fault fault;
    char text[RULE_TEXT_MAX];
};

struct settings {
    char mount[256];
    struct pc_disk_config config;
    struct rule rules[RULES_MAX];
    size_t rule_count;
    char report[PATH_MAX], import[PATH_MAX], export[PATH_MAX]; /* "": not asked for */
    bool crash, oldest;
    uint64_t crash_at; /* UINT64_MAX: at the end */
};

/* posix_preload_settings.c: the environment. False: an error was reported. */
bool settings_mount(char *mount, size_t size); /* POWERCUT_MOUNT alone; without malloc, silent */
bool settings_read(struct settings *out);
/* Is `path` the mount point or below it? As text. */
bool settings_below(const struct settings *settings, const char *path);
/* "powercut: VARIABLE: ..." on stderr. Answers false. */
bool settings_error(const char *variable, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* posix_preload_tree.c: from and to real directories. False: an error was reported. */
bool tree_import(struct pc_disk *disk, const char *from);
bool tree_export(struct pc_disk *disk, const char *to);
bool tree_export_crash(struct pc_disk *disk, size_t k, bool oldest, const char *to);
bool tree_may_export(const char *to); /* is it an empty directory, or can it be made? */
void tree_report(struct pc_disk *disk, const struct settings *settings);

/* posix_preload.c */
bool preload_find_mount(void); /* sets the prefix of the layer */
bool preload_start(void);      /* mounts; true unless this is too early */

#pragma GCC visibility pop

#endif
