/* posix_preload.c: the life of the preload library. It mounts a disk when the first path below the
 * mount point is used, and in its constructor at the latest; libraries that start before it find
 * the disk all the same. It looks at the mount point without malloc, so an allocator that opens
 * files while it starts is not called back.
 *
 * At the end of the process, by exit or _exit, it writes what was asked for. A process that made no
 * simulated call writes nothing, and neither does a forked child: the environment is inherited by
 * every program that is started, and the last one would overwrite what the first one found. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "posix_preload.h"
#include "powercut/posix.h"

#define EXIT_SETTINGS 2 /* usage or configuration error */

static struct settings settings;
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static pid_t owner;         /* who started; 0: nobody yet */
static uint64_t first_step; /* steps of the disk before the program's first */

struct counter;
void counter_free(struct counter *counter);

/* Nothing here counts images, so count.c, and the library for large numbers it needs, stay out. */
void counter_free(struct counter *counter)
{
    must(counter == NULL);
}

/* ---- the start ---- */

bool preload_find_mount(void)
{
    char mount[sizeof layer.prefix];

    if (!environ || !settings_mount(mount, sizeof mount))
        return false;
    memcpy(layer.prefix, mount, strlen(mount) + 1);
    __atomic_store_n(&layer.prefix_len, strlen(mount), __ATOMIC_RELEASE);
    return true;
}

static void in_child(void)
{
    layer.orphan = true;
    layer.orphan_calls = layer.disk ? pc_disk_call_count(layer.disk) : 0;
}

static void finish(void);

/* What was imported is durable, and the log of calls begins after it. */
static struct pc_disk *imported(struct pc_disk *disk)
{
    struct pc_image *image;
    struct pc_disk *booted;

    if (!tree_import(disk, settings.import))
        return NULL;
    image = pc_image_new(disk, pc_disk_call_count(disk));
    booted = pc_disk_boot(image);
    pc_disk_settle(booted);
    pc_image_free(image);
    pc_disk_free(disk);
    return booted;
}

static void start(void)
{
    struct pc_disk *disk;

    if (!settings_read(&settings))
        _exit(EXIT_SETTINGS);
    disk = pc_disk_new(&settings.config);
    if (!settings.report[0]) /* which alone tells it */
        disk_without_hash(disk);
    if (settings.import[0])
        disk = imported(disk);
    if (!disk)
        _exit(EXIT_SETTINGS);
    for (size_t i = 0; i < settings.rule_count; i++)
        pc_disk_add_fault(disk, &settings.rules[i].fault);
    (void)pthread_atfork(NULL, NULL, in_child);
    (void)at_quick_exit(finish);
    first_step = pc_disk_steps(disk);
    owner = getpid();
    pc_mount(settings.mount, disk);
}

bool preload_start(void)
{
    (void)pthread_mutex_lock(&starting);
    if (!owner)
        start();
    (void)pthread_mutex_unlock(&starting);
    return true;
}

__attribute__((constructor)) static void construct(void)
{
    int error = errno;

    (void)preload_start();
    errno = error;
}

/* ---- the end ---- */

static void write_all(void)
{
    size_t calls = pc_disk_call_count(layer.disk);

    if (settings.report[0])
        tree_report(layer.disk, &settings);
    if (!settings.export[0])
        return;
    if (!settings.crash)
        (void)tree_export(layer.disk, settings.export);
    else if (settings.crash_at == UINT64_MAX)
        (void)tree_export_crash(layer.disk, calls, settings.oldest, settings.export);
    else if (settings.crash_at <= calls)
        (void)tree_export_crash(layer.disk, settings.crash_at, settings.oldest, settings.export);
    else
        (void)settings_error("POWERCUT_CRASH", "there were only %zu calls; nothing is exported",
                             calls);
}

/* A child made by vfork has its parent's memory, so the process is asked for. A signal handler that
 * leaves in the middle of a simulated call finds the disk half changed. */
static void finish(void)
{
    static bool done;
    int error = errno;

    if (!layer.disk || layer_inside || getpid() != owner ||
        __atomic_exchange_n(&done, true, __ATOMIC_ACQ_REL))
        return;
    layer_enter();
    if (pc_disk_steps(layer.disk) > first_step)
        write_all();
    (void)layer_leave(0);
    errno = error;
}

/* exit flushes streams after this. */
__attribute__((destructor)) static void destruct(void)
{
    stream_flush_all();
    finish();
}

#pragma GCC visibility push(default)

__attribute__((noreturn)) void _exit(int status)
{
    finish();
    for (;;)
        (void)layer_syscall(SYS_exit_group, status);
}

__attribute__((noreturn)) void _Exit(int status)
{
    _exit(status);
}

#pragma GCC visibility pop
