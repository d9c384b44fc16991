/* standalone_main.c: runs a fuzz target where there is no fuzzer: an ordinary regression test.
 *
 *   TARGET [-runs=N] [-seed=N] [-out=FILE] FILE|FOLDER...
 *
 * First every file; then N inputs (none by default) that are these files after a few mutations,
 * drawn from the seed, so that two runs do the same. Mutations go through the mutator of the target
 * if it has one. When an input fails, it is written to FILE (failed-input), and the program aborts
 * as the sanitizers do. A file or folder that is not there counts as empty. Exit: 0, or 2 usage.
 *
 * An input is copied to a block of its own size, so that the address sanitizer sees a read behind
 * its end. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "standalone.h"
#include "target.h"

#define SLACK 512u /* how much an input may grow */

struct input {
    uint8_t *data;
    size_t len;
};

static struct input *inputs;
static size_t input_count;
static struct bytes running;
static const char *out_path = "failed-input";

extern size_t LLVMFuzzerCustomMutator(uint8_t *, size_t, size_t, unsigned) __attribute__((weak));
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* ---- what is left of a failure ---- */

static void keep_input(void)
{
    int fd = open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (fd < 0)
        return;
    if (write(fd, running.data, running.len) == (ssize_t)running.len)
        fprintf(stderr, "the input is kept in %s, %zu bytes\n", out_path, running.len);
    close(fd);
}

static void aborted(int number)
{
    signal(number, SIG_DFL);
    keep_input();
    raise(number);
}

/* ---- running ---- */

static void run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    must(copy != NULL);
    if (len)
        memcpy(copy, data, len);
    running = bytes_of(copy, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void run_mutated(void)
{
    const struct input *input =
        input_count ? &inputs[rng_below(&standalone_rng, input_count)] : NULL;
    size_t len = input ? input->len : 0;
    size_t size_max = len + SLACK;
    uint8_t *data = malloc(size_max);
    uint64_t times = 1 + rng_below(&standalone_rng, rng_chance(&standalone_rng, 1, 4) ? 12 : 3);

    must(data != NULL);
    if (len)
        memcpy(data, input->data, len);
    for (uint64_t i = 0; i < times; i++)
        len = LLVMFuzzerCustomMutator ? LLVMFuzzerCustomMutator(data, len, size_max,
                                                                (unsigned)rng_next(&standalone_rng))
                                      : LLVMFuzzerMutate(data, len, size_max);
    run(data, len);
    free(data);
}

/* ---- files ---- */

static void load_file(const char *path)
{
    struct input input = {NULL, 0};
    FILE *file = fopen(path, "rb");
    long len = 0;

    must(file != NULL);
    must(fseek(file, 0, SEEK_END) == 0);
    len = ftell(file);
    must(len >= 0 && fseek(file, 0, SEEK_SET) == 0);
    input.len = (size_t)len;
    input.data = malloc(input.len + 1);
    must(input.data != NULL);
    must(fread(input.data, 1, input.len, file) == input.len);
    fclose(file);
    inputs = realloc(inputs, (input_count + 1) * sizeof *inputs);
    must(inputs != NULL);
    inputs[input_count++] = input;
}

static void load(const char *path)
{
    struct dirent **names = NULL;
    struct stat info;
    int count = 0;

    if (stat(path, &info))
        return;
    if (!S_ISDIR(info.st_mode)) {
        load_file(path);
        return;
    }
    count = scandir(path, &names, NULL, alphasort); /* sorted: a run is the same everywhere */
    for (int i = 0; i < count; i++) {
        char name[4096];

        snprintf(name, sizeof name, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            load(name);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    uint64_t runs = 0;

    standalone_rng = rng_seeded(1);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0)
            runs = strtoull(argv[i] + 6, NULL, 10);
        else if (strncmp(argv[i], "-seed=", 6) == 0)
            standalone_rng = rng_seeded(strtoull(argv[i] + 6, NULL, 10));
        else if (strncmp(argv[i], "-out=", 5) == 0)
            out_path = argv[i] + 5;
        else if (argv[i][0] == '-') {
            fprintf(stderr, "usage: %s [-runs=N] [-seed=N] [-out=FILE] FILE|FOLDER...\n", argv[0]);
            return 2;
        } else
            load(argv[i]);
    }
    signal(SIGABRT, aborted);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_input);
    for (size_t i = 0; i < input_count; i++)
        run(inputs[i].data, inputs[i].len);
    for (uint64_t i = 0; i < runs; i++)
        run_mutated();
    printf("%zu files and %llu mutations of them: nothing found\n", input_count,
           (unsigned long long)runs);
    for (size_t i = 0; i < input_count; i++)
        free(inputs[i].data);
    free(inputs);
    return 0;
}
