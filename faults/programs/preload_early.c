/* preload_early.c: a library that its program needs, with what makes preloading hard: an allocator
 * that opens files while it starts (as jemalloc does), and a constructor that uses the mount and
 * runs before the one of the preload library. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAP_SIZE ((size_t)64 << 20)

static _Alignas(16) uint8_t heap[HEAP_SIZE];
static size_t heap_used;
static int allocator_started;

/* Nothing is ever given back; the size stands in front. */
void *malloc(size_t size)
{
    size_t at, room = (size + 31) & ~(size_t)15;
    char conf[64];

    if (!allocator_started) {
        allocator_started = 1;
        (void)!readlink("/etc/malloc.conf", conf, sizeof conf);
        (void)close(open("/proc/self/maps", O_RDONLY));
    }
    at = __atomic_fetch_add(&heap_used, room, __ATOMIC_RELAXED);
    if (at + room > HEAP_SIZE) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(heap + at, &size, sizeof size);
    return heap + at + 16;
}

void free(void *p)
{
}

void *calloc(size_t count, size_t size)
{
    return malloc(count * size); /* fresh memory is zero */
}

void *realloc(void *p, size_t size)
{
    void *more = malloc(size);
    size_t old;

    if (p && more) {
        memcpy(&old, (uint8_t *)p - 16, sizeof old);
        memcpy(more, p, old < size ? old : size);
    }
    return more;
}

__attribute__((constructor)) static void construct(void)
{
    const char *path = getenv("PRELOAD_EARLY");
    int fd = path ? open(path, O_WRONLY | O_CREAT, 0600) : -1;

    if (fd >= 0) {
        (void)!write(fd, "early", 5);
        (void)close(fd);
    }
}
