/* posix_bench.c: what the POSIX layer costs, per call.
 *
 *   posix_bench LIBRARY              prints the table; LIBRARY is libpowercut-preload.so
 *   posix_bench - CALL WHERE COUNT   one loop, as the table runs it in a process of its own
 *
 * WHERE is libc (its own function, found by name), through (the interposed one, on a real file) or
 * disk (the interposed one, on the mount). Instructions are counted by valgrind's callgrind, where
 * it is installed, as the difference of two lengths of a loop; system calls are not in them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COUNT_NS  200000
#define COUNT_FEW 1000

/* The functions that a loop calls. */
static ssize_t (*do_pread)(int fd, void *buf, size_t size, off_t at) = pread;
static ssize_t (*do_pwrite)(int fd, const void *buf, size_t size, off_t at) = pwrite;
static off_t (*do_lseek)(int fd, off_t at, int whence) = lseek;
static int (*do_fstat)(int fd, struct stat *st) = fstat;
static int (*do_stat)(const char *path, struct stat *st) = stat;
static int (*do_open)(const char *path, int flags, ...) = open;
static int (*do_close)(int fd) = close;
static int (*do_fdatasync)(int fd) = fdatasync;

static const char *path;
static int fd;
static char block[4096];

static void call_nothing(void)
{
    __asm__ volatile("");
}

static void call_pread(void)
{
    (void)!do_pread(fd, block, 64, 0);
}

static void call_pread4k(void)
{
    (void)!do_pread(fd, block, sizeof block, 0);
}

static void call_pwrite(void)
{
    block[0]++; /* a write of what is there already is no micro-op */
    (void)!do_pwrite(fd, block, 64, 0);
}

static void call_lseek(void)
{
    (void)do_lseek(fd, 1, SEEK_SET);
}

static void call_fstat(void)
{
    struct stat st;

    (void)do_fstat(fd, &st);
}

static void call_stat(void)
{
    struct stat st;

    (void)do_stat(path, &st);
}

static void call_open(void)
{
    (void)do_close(do_open(path, O_RDONLY));
}

static void call_fdatasync(void)
{
    (void)do_fdatasync(fd);
}

static const struct {
    const char *name;
    void (*call)(void);
    bool on_disk_only; /* the device would be measured */
} calls[] = {
    {"nothing", call_nothing, false},    {"pread", call_pread, false},
    {"pread4k", call_pread4k, false},    {"pwrite", call_pwrite, false},
    {"lseek", call_lseek, false},        {"fstat", call_fstat, false},
    {"stat", call_stat, false},          {"open+close", call_open, false},
    {"fdatasync", call_fdatasync, true},
};

#define CALLS (sizeof calls / sizeof calls[0])

static void use_libc(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW);

    *(void **)&do_pread = dlsym(libc, "pread");
    *(void **)&do_pwrite = dlsym(libc, "pwrite");
    *(void **)&do_lseek = dlsym(libc, "lseek");
    *(void **)&do_fstat = dlsym(libc, "fstat");
    *(void **)&do_stat = dlsym(libc, "stat");
    *(void **)&do_open = dlsym(libc, "open");
    *(void **)&do_close = dlsym(libc, "close");
}

static uint64_t now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Prints nanoseconds per call. */
static int loop(const char *name, const char *where, long count)
{
    void (*call)(void) = NULL;
    uint64_t start;

    for (size_t i = 0; i < CALLS; i++) {
        if (!strcmp(calls[i].name, name))
            call = calls[i].call;
    }
    path = !strcmp(where, "disk") ? "/powercut/posix_bench" : "/tmp/posix_bench";
    if (!strcmp(where, "libc"))
        use_libc();
    fd = open(path, O_RDWR | O_CREAT, 0600);
    if (!call || fd < 0 || pwrite(fd, block, sizeof block, 0) != sizeof block)
        return 1;
    call();
    start = now();
    for (long i = 0; i < count; i++)
        call();
    printf("ns %.1f\n", (double)(now() - start) / (double)count);
    (void)close(fd);
    return unlink(path) ? 1 : 0;
}

/* ---- the table ---- */

static const char *self, *library;

/* The number that follows `words` in what the loop prints; negative: there is none. */
static double run(const char *tool, const char *name, const char *where, long count,
                  const char *words)
{
    char line[512];
    double value = -1;
    FILE *pipe;

    snprintf(line, sizeof line, "LD_PRELOAD=%s %s %s - %s %s %ld 2>&1", library, tool, self, name,
             where, count);
    pipe = popen(line, "r");
    while (pipe && fgets(line, sizeof line, pipe)) {
        const char *at = strstr(line, words);

        if (at)
            value = strtod(at + strlen(words), NULL);
    }
    if (pipe)
        (void)pclose(pipe);
    return value;
}

static double nanoseconds(const char *name, const char *where)
{
    return run("", name, where, COUNT_NS, "ns ") - run("", "nothing", where, COUNT_NS, "ns ");
}

static double instructions(const char *name, const char *where)
{
    static const char tool[] = "valgrind --tool=callgrind --callgrind-out-file=/dev/null";
    double few = run(tool, name, where, COUNT_FEW, "Collected : ");
    double more = run(tool, name, where, 2 * COUNT_FEW, "Collected : ");

    return few < 0 || more < 0 ? -1 : (more - few) / COUNT_FEW;
}

/* A cell of the table; `known` false: there is nothing to tell. */
static void print_cell(int width, const char *format, double value, bool known)
{
    char cell[32] = "-";

    if (known)
        snprintf(cell, sizeof cell, format, value);
    printf("%*s", width, cell);
    fflush(stdout);
}

static void print_row(size_t i, double empty)
{
    const char *name = calls[i].name;
    bool real = !calls[i].on_disk_only, counted = empty >= 0;

    printf("%-11s", name);
    print_cell(10, "%.0f", real ? nanoseconds(name, "libc") : 0, real);
    print_cell(10, "%.0f", real ? nanoseconds(name, "through") : 0, real);
    print_cell(10, "%+.0f",
               real && counted ? instructions(name, "through") - instructions(name, "libc") : 0,
               real && counted);
    print_cell(12, "%.0f", nanoseconds(name, "disk"), true);
    print_cell(13, "%.0f", counted ? instructions(name, "disk") - empty : 0, counted);
    putchar('\n');
}

int main(int argc, char **argv)
{
    double empty;

    if (argc == 5)
        return loop(argv[2], argv[3], strtol(argv[4], NULL, 10));
    if (argc != 2)
        return 2;
    self = argv[0];
    library = argv[1];
    empty = instructions("nothing", "disk");
    printf("           -------- on a real file --------   -- on the disk --\n");
    printf("%-11s%10s%10s%10s%12s%13s\n", "call", "libc ns", "layer ns", "+instr", "ns", "instr");
    for (size_t i = 1; i < CALLS; i++)
        print_row(i, empty);
    return 0;
}
