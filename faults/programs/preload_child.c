/* preload_child.c: a program that does what its arguments say, for posix_preload_test.c.
 *
 *   write FILE TEXT    creates the file, writes, keeps the descriptor
 *   sync               fdatasync of that descriptor
 *   fsync PATH         fsync of a file or directory
 *   chdir PATH
 *   rename FROM TO     print FILE    stream FILE TEXT (not flushed)    fork FILE TEXT
 *   vfork              a child that closes the descriptor, as children do before exec
 *   exit | _exit | quick_exit | abort
 *
 * Every step but print and the last ones prints the error number it met. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int last = -1;

static int write_file(const char *path, const char *text)
{
    last = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    return last < 0 || write(last, text, strlen(text)) < 0 ? errno : 0;
}

static int sync_path(const char *path)
{
    int fd = open(path, O_RDONLY), error = fd < 0 || fsync(fd) ? errno : 0;

    if (fd >= 0)
        (void)close(fd);
    return error;
}

static int print_file(const char *path)
{
    char text[100];
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);

    if (got < 0)
        return errno;
    printf("%.*s ", (int)got, text);
    return close(fd) ? errno : 0;
}

static int fork_writer(const char *path, const char *text)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        (void)write_file(path, text);
        (void)write_file(path, text);
        exit(0);
    }
    return pid < 0 || waitpid(pid, &status, 0) != pid ? errno : status;
}

static int vfork_closer(void)
{
    pid_t pid = vfork();
    int status;

    if (pid == 0) {
        (void)close_range((unsigned)last, (unsigned)last, 0);
        (void)close(last);
        _exit(0);
    }
    return pid < 0 || waitpid(pid, &status, 0) != pid ? errno : status;
}

static int open_stream(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    return !file || fputs(text, file) < 0 ? errno : 0;
}

static void leave(const char *how)
{
    if (!strcmp(how, "exit"))
        exit(0);
    fflush(stdout);
    if (!strcmp(how, "_exit"))
        _exit(0);
    if (!strcmp(how, "quick_exit"))
        quick_exit(0);
    abort();
}

int main(int argc, char **argv)
{
    char **arg = argv + 1;

    while (*arg) {
        const char *verb = *arg++;
        int error;

        if (!strcmp(verb, "sync")) {
            error = fdatasync(last) ? errno : 0;
        } else if (!strcmp(verb, "vfork")) {
            error = vfork_closer();
        } else if (strstr(verb, "exit") || !strcmp(verb, "abort")) {
            leave(verb);
            return 1;
        } else if (!strcmp(verb, "fsync")) {
            error = sync_path(*arg++);
        } else if (!strcmp(verb, "chdir")) {
            error = chdir(*arg++) ? errno : 0;
        } else if (!strcmp(verb, "print")) {
            error = print_file(*arg++);
        } else {
            const char *first = *arg++, *second = *arg++;

            error = !strcmp(verb, "write")    ? write_file(first, second)
                    : !strcmp(verb, "rename") ? (rename(first, second) ? errno : 0)
                    : !strcmp(verb, "stream") ? open_stream(first, second)
                                              : fork_writer(first, second);
        }
        printf("%d ", error);
    }
    return 0;
}
