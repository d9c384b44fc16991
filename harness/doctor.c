/* doctor.c: see doctor.h. A check is a shell command that succeeds and prints one line of what it
 * found; all there is to know about it is its line in the table. The shell sees no input, and its
 * errors are dropped: the table says what they mean. */
#define _GNU_SOURCE
#include "doctor.h"

#include <stdbool.h>
#include <string.h>

enum { EXIT_OK = 0, EXIT_ENVIRONMENT = 4 };

enum need { NEEDED, OPTIONAL };

struct doctor_check {
    const char *name;
    enum need need;
    const char *probe;
    const char *mend;
};

#define APT "apt-get install -y "
/* first_line is defined for all probes: it prints the first line of a command that succeeds. */
#define PRELUDE   "first_line() { o=$(\"$@\") && echo \"$o\" | { read -r l; echo \"$l\"; }; }; "
#define TEMPORARY "d=$(mktemp -d) && trap 'rm -rf \"$d\"' EXIT && "
#define PROGRAM   "echo 'int main(void){return 0;}' >\"$d/a.c\" && "

static const struct doctor_check checks[] = {
    {"C compiler", NEEDED, "first_line ${CC:-cc} --version", APT "build-essential"},
    {"cmake", NEEDED,
     "v=$(first_line cmake --version) && v=${v##* } && "
     "[ \"$(printf '3.25\\n%s\\n' \"$v\" | sort -V | head -n 1)\" = 3.25 ] && echo \"$v\"",
     APT "cmake (3.25 or later)"},
    {"ninja", NEEDED, "first_line ninja --version", APT "ninja-build"},
    {"pkg-config", NEEDED, "first_line pkg-config --version", APT "pkg-config"},
    {"cmocka", NEEDED, "first_line pkg-config --modversion cmocka", APT "libcmocka-dev"},
    {"jansson", NEEDED, "first_line pkg-config --modversion jansson", APT "libjansson-dev"},
    {"xxhash", NEEDED, "first_line pkg-config --modversion libxxhash", APT "libxxhash-dev"},
    {"gmp", NEEDED,
     TEMPORARY "printf '#include <gmp.h>\\nint main(void){mpz_t x; mpz_init(x); return 0;}\\n' "
               ">\"$d/a.c\" && ${CC:-cc} \"$d/a.c\" -lgmp -o \"$d/a\" && \"$d/a\" && echo links",
     APT "libgmp-dev"},
    {"sanitizers", NEEDED,
     TEMPORARY PROGRAM "${CC:-cc} -fsanitize=address,undefined \"$d/a.c\" -o \"$d/a\" && "
                       "\"$d/a\" && echo address, undefined",
     APT "build-essential (in a container, allow ptrace and a changed address space)"},
    {"temporary files", NEEDED,
     TEMPORARY "printf '#!/bin/sh\\nexit 0\\n' >\"$d/a\" && chmod +x \"$d/a\" && \"$d/a\" && "
               "echo \"${TMPDIR:-/tmp} can be written and run from\"",
     "export TMPDIR=$HOME/tmp (a folder that can be written, not mounted noexec)"},
    {"open files", NEEDED,
     "n=$(ulimit -n) && { [ \"$n\" = unlimited ] || [ \"$n\" -ge 256 ]; } && echo \"$n\"",
     "ulimit -n 1024"},
    {"python3", NEEDED, "first_line python3 --version", APT "python3"},
    {"patch", OPTIONAL, "first_line patch --version", APT "patch (for make mutants)"},
    {"clang-format", OPTIONAL, "first_line clang-format --version",
     APT "clang-format (for make format)"},
    {"clang", OPTIONAL, "first_line clang --version", APT "clang (for the fuzz preset)"},
    {"afl++", OPTIONAL, "command -v afl-fuzz", APT "afl++"},
    {"libedit", OPTIONAL, "first_line pkg-config --modversion libedit",
     APT "libedit-dev (for editing lines at the prompt of minivault)"},
    {"groff", OPTIONAL, "first_line groff --version", APT "groff (checks the manual pages)"},
    {"valgrind", OPTIONAL, "first_line valgrind --version", APT "valgrind"},
    {"/dev/shm", OPTIONAL,
     "k=$(df -Pk /dev/shm | { read -r l; read -r a b c k e; echo \"$k\"; }) && "
     "[ \"$k\" -ge 65536 ] && echo \"$((k / 1024)) MiB free\"",
     "mount -o remount,size=256m /dev/shm (docker run --shm-size=256m)"},
    {"core dumps", OPTIONAL,
     "read -r p </proc/sys/kernel/core_pattern && [ \"${p#|}\" = \"$p\" ] && echo \"to $p\"",
     "echo core | sudo tee /proc/sys/kernel/core_pattern (AFL++ refuses a pipe there)"},
};

/* Runs a probe; true and its line, if it succeeded. */
static bool run_probe(const char *probe, char *line, size_t size)
{
    char command[1024];
    FILE *pipe;
    int n = snprintf(command, sizeof(command), "exec </dev/null 2>/dev/null; LC_ALL=C; %s%s",
                     PRELUDE, probe);

    must(n > 0 && (size_t)n < sizeof(command));
    pipe = popen(command, "re");
    if (!pipe)
        return false;
    if (!fgets(line, (int)size, pipe))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return pclose(pipe) == 0;
}

int doctor_run(FILE *out)
{
    unsigned missing = 0;

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        const struct doctor_check *check = &checks[i];
        char found[100];
        bool good = run_probe(check->probe, found, sizeof(found));
        const char *word = good ? "ok" : check->need == NEEDED ? "missing" : "optional";

        fprintf(out, "%-9s %-16s %s\n", word, check->name, good ? found : check->mend);
        missing += !good && check->need == NEEDED;
    }
    if (missing)
        fprintf(out, "%u needed things are missing; .ci/bootstrap installs the packages\n",
                missing);
    else
        fprintf(out, "all that is needed is here\n");
    return missing ? EXIT_ENVIRONMENT : EXIT_OK;
}
