/* posix.c: the interposed calls, made from posix_calls.def; the mount; the lock.
 *
 * A call asks first whether it concerns the simulated disk: a load and a compare for descriptors,
 * a compare of the first bytes for paths. Nothing else happens on the way to libc, which is found
 * with dlsym at the first call of each name. While dlsym runs (it may itself want to open or map)
 * and where it finds nothing, the system call is made directly.
 *
 * The lock is an ordinary mutex, held for one simulated call. A simulated call inside another one
 * cannot happen: sim_ functions use sim_ and real_ functions only. It is checked, not assumed. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <aio.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "powercut/posix.h"

#define NO_NUMBER (-1)
#define MAP_CONCERNED                                                                              \
    ((!(flags & MAP_ANONYMOUS) && fd_is_ours(fd)) ||                                               \
     ((flags & MAP_FIXED) && map_touches(addr, size)))

_Static_assert(sizeof(off_t) == 8 && sizeof(long) == 8, "64-bit systems only");

#ifdef POWERCUT_PRELOAD
#include "posix_preload.h"
struct layer layer = {.watching = true};
#else
struct layer layer;
#endif
__thread bool layer_inside;

static __thread bool resolving;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- what posix_calls.def uses ---- */

__attribute__((noreturn)) void __chk_fail(void);

static long chk_failed(void)
{
    __chk_fail();
}

static bool aio_is_ours(const void *cb)
{
    /* The descriptor is the first member of both structures. */
    return cb && fd_is_ours(*(const int *)cb);
}

static bool lio_is_ours(const void *const *list, int count)
{
    for (int i = 0; list && i < count; i++) {
        if (aio_is_ours(list[i]))
            return true;
    }
    return false;
}

/* ---- the lock ---- */

static void before_fork(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
    layer.pid = getpid();
    after_fork();
}

#ifdef POWERCUT_PRELOAD
bool layer_borrowed(void)
{
    return layer.pid != getpid();
}
#endif

static void leave_lock(void)
{
    layer_inside = false;
    (void)pthread_mutex_unlock(&lock);
}

static void enter_lock(void)
{
    if (layer_inside) {
        static const char text[] = "powercut: a simulated call inside a simulated call\n";

        (void)!real_write(STDERR_FILENO, text, sizeof text - 1);
        abort();
    }
    (void)pthread_mutex_lock(&lock);
    layer_inside = true;
}

static void (*layer_between)(void);

void pc_between_calls(void (*between)(void))
{
    layer_between = between;
}

void layer_enter(void)
{
    if (layer_between)
        layer_between();
    enter_lock();
    layer_frame = __builtin_frame_address(0);
    if (map_writables)
        map_observe();
}

/* The disk of a forked child is a copy of its parent's. */
static void warn_orphan(void)
{
    char line[200];
    int len;

    if (pc_disk_call_count(layer.disk) == layer.orphan_calls)
        return;
    layer.orphan = false;
    len = snprintf(line, sizeof line,
                   "powercut: process %d was forked and has changed its own copy of the simulated "
                   "disk; nobody else will see it\n",
                   (int)getpid());
    (void)!real_write(STDERR_FILENO, line, (size_t)len);
}

long layer_leave(long result)
{
    if (layer.disk)
        disk_after_call(layer.disk);
    if (layer.orphan)
        warn_orphan();
    leave_lock();
    if (layer_between)
        layer_between();
    if (result_failed(result)) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

/* ---- the system's own calls ---- */

#if defined __x86_64__
static long trap(long number, const long *arg)
{
    register long r10 __asm__("r10") = arg[3];
    register long r8 __asm__("r8") = arg[4];
    register long r9 __asm__("r9") = arg[5];
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(arg[0]), "S"(arg[1]), "d"(arg[2]), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#else
#error "posix_calls.def and trap know x86-64 only"
#endif

void *layer_resolve(const char *name)
{
    void *found;

    if (resolving)
        return NULL;
    resolving = true;
    found = dlsym(RTLD_NEXT, name);
    resolving = false;
    return found;
}

/* Arguments beyond those given are whatever is there; the kernel does not look at them. */
long layer_syscall(long number, ...)
{
    long arg[6], result;
    va_list ap;

    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        arg[i] = va_arg(ap, long);
    va_end(ap);
    result = trap(number, arg);
    if (result_failed(result)) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

/* ---- messages ---- */

long layer_refuse(const char *call, const char *path, int error)
{
    char line[512];
    int len =
        snprintf(line, sizeof line, "powercut: %s is not supported on a simulated file (%.300s)\n",
                 call, path ? path : "NULL");

    (void)!real_write(STDERR_FILENO, line, (size_t)len);
    return -error;
}

long layer_refuse_fd(const char *call, int fd, int error)
{
    struct file *file = fd_peek(fd);

    return layer_refuse(call, file ? file->path : "a closed descriptor", error);
}

/* ---- the mount ---- */

/* Does `path` lie at or below the mount point? Repeated slashes and "." count as nothing; ".." in
 * front of the mount point is not followed. */
static bool names_below(const char *path)
{
    const char *want = layer.prefix, *p = path;

    if (!strncmp(path, layer.prefix, layer.prefix_len) &&
        (path[layer.prefix_len] == '/' || !path[layer.prefix_len]))
        return true;
    while (*want) {
        while (p[0] == '/' || (p[0] == '.' && (p[1] == '/' || !p[1])))
            p++;
        want++;
        while (*want && *want != '/') {
            if (*want++ != *p++)
                return false;
        }
        if (*p && *p != '/')
            return false;
    }
    return true;
}

#ifdef POWERCUT_PRELOAD
bool path_below(const char *path)
{
    return (layer.prefix_len || preload_find_mount()) && names_below(path) &&
           (layer.disk || preload_start());
}
#else
bool path_below(const char *path)
{
    return names_below(path);
}
#endif

/* A simulated call was left by a jump (the step limit of the disk): the lock is still held. */
static void enter_anyhow(void)
{
    if (layer_inside)
        leave_lock();
    enter_lock();
}

void pc_mount(const char *prefix, struct pc_disk *disk)
{
    static bool prepared;
    size_t len = prefix && disk ? strlen(prefix) : 0;

    must(!disk || (len > 1 && len < sizeof layer.prefix && prefix[0] == '/'));
    must(!len || prefix[len - 1] != '/');
    enter_anyhow();
    must(fd_count() == 0 || disk == layer.disk);
    if (!prepared) {
        (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
        prepared = true;
    }
    layer.pid = getpid();
    layer.uid = geteuid();
    layer.gid = getegid();
    if (disk != layer.disk) {
        map_forget_all();
        cwd_forget();
        seam_forget();
    }
    open_restart();
    memcpy(layer.prefix, disk ? prefix : "", len + 1);
    layer.prefix_len = len;
    __atomic_store_n(&layer.disk, disk, __ATOMIC_RELEASE);
    layer.watching = disk != NULL;
    leave_lock();
}

size_t pc_open_descriptors(void)
{
    return fd_count();
}

void pc_close_all(void)
{
    enter_anyhow();
    map_forget_all();
    dir_forget_all();
    stream_forget_all();
    lock_forget_all();
    cwd_forget();
    fd_forget_all();
    leave_lock();
}

void pc_observe_mappings(void)
{
    if (!map_writables)
        return;
    enter_lock();
    map_observe();
    leave_lock();
}

/* ---- the calls ---- */

#pragma GCC visibility push(default)
#include "posix_table.h"
#pragma GCC visibility pop
