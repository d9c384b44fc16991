/* door.c: see door.h. */
#include "door.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_ENVIRONMENT 4
#define GIVEN_MOST       256

static const struct door {
    const char *command;
    const char *texts[8], *flags[4], *lists[2];
} doors[] = {
    {"report", {"html", "markdown", "junit", "tap", "sarif", "csv"}, {"gate", "quiet"}, {"base"}},
    {"merge", {"into"}, {"json", "quiet"}, {0}},
    {"submit", {"shards", "into", "program"}, {0}, {0}},
};

static const struct door *find(const char *command)
{
    for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++)
        if (strcmp(doors[i].command, command) == 0)
            return &doors[i];
    return NULL;
}

bool door_leads(const char *command)
{
    return find(command) != NULL;
}

/* The script, installed or in the tree that this program was built in. */
static bool script_of(const char *command, char *path, size_t room)
{
    static const char *const places[] = {"/../share/powercut/reports", "/../../../reports"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n <= 0)
        return false;
    self[n] = '\0';
    slash = strrchr(self, '/');
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int length = snprintf(path, room, "%s%s/%s.py", self, places[i], command);

        if (length > 0 && (size_t)length < room && access(path, R_OK) == 0)
            return true;
    }
    return false;
}

struct words {
    char *word[GIVEN_MOST + 1];
    size_t count;
};

static void add(struct words *words, const char *word)
{
    if (words->count < GIVEN_MOST)
        words->word[words->count++] = (char *)(uintptr_t)word;
}

static void add_given(struct words *words, const struct options *opts, const struct door *door,
                      char names[][32])
{
    size_t used = 0;

    for (size_t i = 0; i < 8 && door->texts[i]; i++)
        if (options_given(opts, door->texts[i])) {
            snprintf(names[used], 32, "--%s", door->texts[i]);
            add(words, names[used++]);
            add(words, options_text(opts, door->texts[i]));
        }
    for (size_t i = 0; i < 4 && door->flags[i]; i++)
        if (options_flag(opts, door->flags[i])) {
            snprintf(names[used], 32, "--%s", door->flags[i]);
            add(words, names[used++]);
        }
    for (size_t i = 0; i < 2 && door->lists[i]; i++)
        for (size_t item = 0; item < options_items(opts, door->lists[i]); item++) {
            if (item == 0)
                snprintf(names[used], 32, "--%s", door->lists[i]);
            add(words, names[used]);
            add(words, options_item(opts, door->lists[i], item));
        }
}

int door_run(const struct options *opts)
{
    char path[4200], names[16][32];
    struct words words = {0};
    pid_t child;
    int status;

    if (!script_of(opts->command, path, sizeof path)) {
        fprintf(stderr, "powercut: the scripts of the reports are not beside this program\n");
        return EXIT_ENVIRONMENT;
    }
    add(&words, "python3");
    add(&words, "-B");
    add(&words, path);
    add_given(&words, opts, find(opts->command), names);
    add(&words, "--");
    for (size_t i = 0; i < opts->operand_count; i++)
        add(&words, opts->operands[i]);
    if (words.count == GIVEN_MOST) {
        fprintf(stderr, "powercut: too many files; give a folder\n");
        return 2;
    }
    fflush(NULL);
    child = fork();
    if (child == 0) {
        execvp(words.word[0], words.word);
        fprintf(stderr, "powercut: python3 cannot be run: %s; powercut doctor\n", strerror(errno));
        _exit(EXIT_ENVIRONMENT);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return EXIT_ENVIRONMENT;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_ENVIRONMENT;
}
