/* exec.c: the command. See exec.h; the search is in exec_search.c, what is made of it in
 * exec_findings.c. */
#define _GNU_SOURCE
#include "exec.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec_findings.h"
#include "exec_story.h"
#include "json.h"

#define LEAVES_DEFAULT  100
#define SAMPLES_DEFAULT 16

enum { CODE_OK = 0, CODE_FINDING = 1, CODE_USAGE = 2, CODE_INCONCLUSIVE = 3, CODE_MACHINE = 4 };

/* Fewest legal states first. */
static const enum pc_model by_strength[] = {
    PC_PROCESS_KILL, PC_PREFIX,         PC_XFS,   PC_BTRFS,
    PC_EXT4_ORDERED, PC_EXT4_WRITEBACK, PC_POSIX, PC_POSIX_MIN,
};

struct run {
    const struct options *opts;
    char out[PATH_MAX / 2]; /* absolute; of this program */
    char log[PATH_MAX], output[PATH_MAX], work[PATH_MAX];
    char directory[PATH_MAX]; /* where the program runs */
    bool temporary;           /* the directory is ours */
    struct pc_recording *recording;
    struct exec_setup setup;
};

static int complain(int code, const char *format, const char *what, const char *why)
{
    fputs("powercut exec: ", stderr);
    fprintf(stderr, format, what, why);
    fputc('\n', stderr);
    return code;
}

static bool quiet(const struct run *run)
{
    return options_flag(run->opts, "quiet") || options_flag(run->opts, "json");
}

/* ---- settings ---- */

static bool wanted(const struct options *opts, enum pc_model model)
{
    enum pc_model other;

    if (options_items(opts, "model") == 0)
        return model == PC_EXT4_ORDERED || model == PC_POSIX;
    for (size_t i = 0; i < options_items(opts, "model"); i++)
        if (strcmp(options_item(opts, "model", i), "all") == 0 ||
            (pc_model_from_name(options_item(opts, "model", i), &other) && other == model))
            return true;
    return false;
}

static int take_settings(struct run *run)
{
    const struct options *opts = run->opts;
    struct exec_setup *setup = &run->setup;
    enum pc_model ignored;
    uint64_t unit = options_u64(opts, "sector");

    for (size_t i = 0; i < options_items(opts, "model"); i++)
        if (strcmp(options_item(opts, "model", i), "all") != 0 &&
            !pc_model_from_name(options_item(opts, "model", i), &ignored))
            return complain(CODE_USAGE, "there is no persistence model '%s' (%s)",
                            options_item(opts, "model", i), "powercut list models");
    for (size_t i = 0; i < sizeof by_strength / sizeof by_strength[0]; i++)
        if (pc_model_simulated(by_strength[i]) && wanted(opts, by_strength[i]))
            setup->models[setup->model_count++] = by_strength[i];
    if (unit == 0 || unit > 16384 || (unit & (unit - 1)))
        return complain(CODE_USAGE, "--sector: '%s' is not a power of two up to %s",
                        options_text(opts, "sector"), "16384");
    setup->unit = (uint32_t)unit;
    setup->check = options_text(opts, "check");
    setup->seed = options_given(opts, "seed") ? options_u64(opts, "seed") : 1;
    setup->leaves =
        options_given(opts, "leaves") ? (uint32_t)options_u64(opts, "leaves") : LEAVES_DEFAULT;
    setup->samples =
        options_given(opts, "samples") ? (uint32_t)options_u64(opts, "samples") : SAMPLES_DEFAULT;
    setup->samples += setup->samples == 0;
    setup->jobs = (unsigned)options_u64(opts, "jobs");
    setup->output = run->output;
    setup->work = run->work;
    return CODE_OK;
}

/* ---- directories ---- */

static bool make_dirs(char *path)
{
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            if (mkdir(path, 0777) != 0 && errno != EEXIST)
                return false;
            *p = '/';
        }
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

/* <out>/exec-<program>, empty. */
static int make_out(struct run *run)
{
    const struct options *opts = run->opts;
    const char *program = options_text(opts, "log") ? "log" : opts->operands[0];
    const char *slash = strrchr(program, '/');
    char path[PATH_MAX / 2], work[PATH_MAX];

    snprintf(path, sizeof path, "%s/exec-%.80s", options_text(opts, "out"),
             slash ? slash + 1 : program);
    if (!exec_tree_remove(path) || !make_dirs(path) || realpath(path, work) == NULL ||
        strlen(work) >= sizeof run->out)
        return complain(CODE_MACHINE, "%s: %s", path, strerror(errno));
    memcpy(run->out, work, strlen(work) + 1);
    snprintf(run->log, sizeof run->log, "%s/log", run->out);
    snprintf(run->output, sizeof run->output, "%s/stdout", run->out);
    snprintf(run->work, sizeof run->work, "%s/work", run->out);
    if (mkdir(run->work, 0777))
        return complain(CODE_MACHINE, "%s: %s", run->work, strerror(errno));
    return CODE_OK;
}

/* Runs a command and waits for it. */
static bool call(const char *const *argv)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static int make_directory(struct run *run)
{
    const char *import = options_text(run->opts, "import"), *dir = options_text(run->opts, "dir");
    const char *temporary = getenv("TMPDIR");
    char from[PATH_MAX];
    const char *copy[] = {"cp", "-a", "--", from, run->directory, NULL};

    if (dir) {
        if (import)
            return complain(CODE_USAGE, "%s and %s exclude each other", "--dir", "--import");
        if (realpath(dir, run->directory) == NULL)
            return complain(CODE_USAGE, "--dir %s: %s", dir, strerror(errno));
        return CODE_OK;
    }
    snprintf(run->directory, sizeof run->directory, "%s/powercut-exec-XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    if (mkdtemp(run->directory) == NULL)
        return complain(CODE_MACHINE, "%s: %s", run->directory, strerror(errno));
    run->temporary = true;
    if (import) {
        snprintf(from, sizeof from, "%.4000s/.", import);
        if (!call(copy))
            return complain(CODE_USAGE, "--import %s: %s", import, "it cannot be copied");
    }
    return CODE_OK;
}

/* ---- recording ---- */

static int record(struct run *run)
{
    char program[PATH_MAX], why[PATH_MAX + 200];
    struct pc_record_job job = {run->directory, run->log, run->output, NULL, stderr};
    size_t count = run->opts->operand_count;
    char **argv = calloc(count + 1, sizeof *argv);
    enum pc_record_end end;
    int status;

    must(argv != NULL);
    memcpy(argv, run->opts->operands, count * sizeof *argv);
    /* It runs in another directory; its own name is meant from here. */
    if (strchr(argv[0], '/') && realpath(argv[0], program))
        argv[0] = program;
    job.argv = argv;
    fflush(stdout);
    end = pc_record_run(&job, &status, why, sizeof why);
    free(argv);
    switch (end) {
    case PC_RECORD_DONE:
        return CODE_OK;
    case PC_RECORD_NO_PROGRAM:
        return complain(CODE_USAGE, "%s%s", why, "");
    case PC_RECORD_NOT_RECORDED:
        return complain(CODE_INCONCLUSIVE, "not recorded: %s%s", why, "");
    case PC_RECORD_BROKEN:
        break;
    }
    return complain(CODE_MACHINE, "%s%s", why, "");
}

/* The log holds the output, too. */
static bool write_output(const struct run *run)
{
    FILE *out = fopen(run->output, "we");
    bool good = out != NULL;

    for (size_t i = 0; good && i < pc_recording_count(run->recording); i++) {
        const struct pc_record *r = pc_recording_at(run->recording, i);

        if (r->kind == PC_RECORD_OUTPUT)
            good = fwrite(r->data, 1, r->size, out) == r->size;
    }
    return out && fclose(out) == 0 && good;
}

static bool write_text_log(const struct run *run)
{
    char path[PATH_MAX];
    FILE *out;

    snprintf(path, sizeof path, "%s/log.txt", run->out);
    out = fopen(path, "we");
    if (out)
        pc_recording_print(run->recording, out);
    return out && fclose(out) == 0;
}

/* Loads what was recorded now or earlier. */
static int load(struct run *run)
{
    const char *earlier = options_text(run->opts, "log");
    char why[PATH_MAX + 200];
    int code;

    if (earlier) { /* before its directory is made anew */
        run->recording = pc_recording_load(earlier, why, sizeof why);
        if (!run->recording)
            return complain(CODE_USAGE, "%s%s", why, "");
        snprintf(run->log, sizeof run->log, "%s", earlier);
    }
    code = make_out(run);
    if (code == CODE_OK && !earlier)
        code = make_directory(run);
    if (code == CODE_OK && !earlier)
        code = record(run);
    if (code == CODE_OK && !earlier) {
        run->recording = pc_recording_load(run->log, why, sizeof why);
        if (!run->recording)
            return complain(CODE_MACHINE, "%s%s", why, "");
    }
    if (code == CODE_OK && (!write_output(run) || !write_text_log(run)))
        code = complain(CODE_MACHINE, "%s: %s", run->out, strerror(errno));
    if (earlier && realpath(earlier, run->log) == NULL)
        snprintf(run->log, sizeof run->log, "%s", earlier);
    run->setup.recording = run->recording;
    return code;
}

static void tell_recording(const struct run *run)
{
    const struct pc_recording *recording = run->recording;
    size_t calls = 0, syncs = 0, last = pc_recording_count(recording) - 1;
    uint32_t processes = 0;

    for (size_t i = 0; i < last; i++) {
        const struct pc_record *r = pc_recording_at(recording, i);

        processes = r->process > processes ? r->process : processes;
        calls += r->process && r->kind != PC_RECORD_PROCESS && r->kind != PC_RECORD_OUTPUT;
        syncs += r->kind >= PC_RECORD_FSYNC && r->kind <= PC_RECORD_MSYNC &&
                 r->kind != PC_RECORD_SYNC_RANGE;
    }
    printf("recorded %zu calls of %u processes, %zu of them syncs; %llu bytes of output; exit "
           "code %llu\n",
           calls, (unsigned)processes, syncs, (unsigned long long)exec_said(recording, last),
           (unsigned long long)pc_recording_at(recording, last)->length);
}

/* ---- results ---- */

/* Does the check notice when everything is destroyed? */
static bool check_sees(struct exec_search *search, uint32_t last_tree)
{
    struct pc_disk_config config = {.model = PC_PREFIX, .unit = search->setup.unit};
    struct pc_disk *none = pc_disk_new(&config);
    uint32_t end = (uint32_t)pc_recording_count(search->setup.recording) - 1;
    uint32_t empty = exec_trees_take(&search->trees, search->setup.recording, NULL, none);
    uint32_t emptied = exec_trees_emptied(&search->trees, last_tree);
    uint32_t first = exec_search_verdict(search, empty, end, PC_POSIX);
    uint32_t second = exec_search_verdict(search, emptied, end, PC_POSIX);
    bool judged = exec_search_judge(search);

    pc_disk_free(none);
    return !judged || emptied == last_tree || search->verdicts[first].code != 0 ||
           search->verdicts[second].code != 0;
}

/* finding-001-lost/{tree,stdout,explain.txt} */
static bool write_finding(const struct run *run, const struct exec_search *search,
                          const struct exec_findings *findings, size_t index, char tree[PATH_MAX])
{
    const struct exec_finding *finding = &findings->findings[index];
    char path[PATH_MAX];
    uint64_t said = exec_said(run->recording, finding->c.record);
    FILE *in = fopen(run->output, "re"), *out;
    int c;

    snprintf(path, sizeof path, "%s/finding-%03zu-%s", run->out, index + 1,
             exec_class_name(finding->class));
    snprintf(tree, PATH_MAX, "%.4000s/tree", path);
    if (mkdir(path, 0777) || !exec_tree_write(exec_trees_at(&search->trees, finding->c.tree),
                                              run->recording, finding->c.record, tree)) {
        if (in)
            (void)fclose(in);
        return false;
    }
    snprintf(path, sizeof path, "%.4000s/../stdout", tree);
    out = fopen(path, "we");
    while (in && out && said-- > 0 && (c = getc(in)) != EOF)
        (void)putc(c, out);
    if (in)
        (void)fclose(in);
    if (out == NULL || fclose(out))
        return false;
    snprintf(path, sizeof path, "%.4000s/../explain.txt", tree);
    out = fopen(path, "we");
    if (out)
        exec_tell(out, search, findings, index, tree);
    return out && fclose(out) == 0;
}

static void tell_states(const struct run *run, const struct exec_search *search,
                        const struct exec_states *states)
{
    for (size_t m = 0; m < run->setup.model_count; m++) {
        size_t all = 0, fail = 0;

        for (size_t i = 0; i < states->count; i++) {
            if (states->cases[i].model != m)
                continue;
            all++;
            fail += search->verdicts[states->cases[i].verdict].code != 0;
        }
        printf("%s: %zu states, %zu fail\n", pc_model_name(run->setup.models[m]), all, fail);
    }
    printf("crash points %llu: %llu exhaustive, %llu sampled; distinct trees %zu, judged %llu "
           "times\n",
           (unsigned long long)states->points, (unsigned long long)states->exhaustive,
           (unsigned long long)states->sampled, search->trees.count,
           (unsigned long long)search->checks_run);
}

static void tell_json(const struct run *run, const struct exec_search *search,
                      const struct exec_findings *findings, int code)
{
    struct json json = {0};
    bool good = true;

    for (size_t i = 0; i < findings->count; i++) {
        json_object_begin(&json);
        json_key_text(&json, "type", "finding");
        exec_tell_json(&json, search, findings, i);
        json_object_end(&json);
        good = json_line(&json, stdout) && good;
    }
    json_object_begin(&json);
    json_key_text(&json, "type", "summary");
    json_key_text(&json, "schema", "powercut.exec/1");
    json_key_u64(&json, "records", pc_recording_count(run->recording));
    json_key_u64(&json, "points", findings->base.points);
    json_key_u64(&json, "exhaustive", findings->base.exhaustive);
    json_key_u64(&json, "sampled", findings->base.sampled);
    json_key_u64(&json, "states", findings->base.count);
    json_key_u64(&json, "failing", findings->failing);
    json_key_u64(&json, "findings", findings->count);
    json_key_bool(&json, "silent_with_syncs", findings->silent);
    json_key_text(&json, "out", run->out);
    json_key_i64(&json, "exit", code);
    json_object_end(&json);
    good = json_line(&json, stdout) && good;
    json_release(&json);
    if (!good)
        (void)complain(CODE_MACHINE, "%s: %s", "standard output", strerror(errno));
}

/* What is said in any case: the verdict, and how to see it again. */
static void tell_end(const struct run *run, const struct exec_findings *findings, int code)
{
    if (findings->silent && findings->count > 0)
        printf("searched again with %s: nothing fails\n",
               findings->count > 1 ? "all these syncs" : "this sync");
    printf("%s: %zu finding%s%s, exit %d\n",
           code == CODE_OK        ? "passed"
           : code == CODE_FINDING ? "failed"
                                  : "inconclusive",
           findings->count, findings->count == 1 ? "" : "s", findings->more ? " and more" : "",
           code);
    printf("repeat: powercut exec --log %s --sector %u --seed %llu --model ", run->log,
           (unsigned)run->setup.unit, (unsigned long long)run->setup.seed);
    for (size_t m = 0; m < run->setup.model_count; m++)
        printf("%s%s", m ? "," : "", pc_model_name(run->setup.models[m]));
    if (run->setup.check)
        printf(" --check '%s'", run->setup.check);
    putchar('\n');
}

static int report(const struct run *run, struct exec_search *search,
                  const struct exec_findings *findings)
{
    int code = findings->count ? CODE_FINDING : CODE_OK;
    char tree[PATH_MAX];

    if (!quiet(run) && findings->base.count)
        tell_states(run, search, &findings->base);
    for (size_t i = 0; i < findings->count; i++) {
        if (!write_finding(run, search, findings, i, tree))
            return complain(CODE_MACHINE, "%s: %s", tree, strerror(errno));
        if (!options_flag(run->opts, "json"))
            exec_tell(stdout, search, findings, i, tree);
    }
    if (run->setup.check && code == CODE_OK && !check_sees(search, findings->last_tree)) {
        fputs("powercut exec: the check passes on an empty directory and on empty files, with all "
              "that the program said: it sees nothing\n",
              stderr);
        code = CODE_INCONCLUSIVE;
    }
    if (options_flag(run->opts, "json"))
        tell_json(run, search, findings, code);
    else
        tell_end(run, findings, code);
    return code;
}

static int search(struct run *run)
{
    struct exec_search search;
    struct exec_findings findings;
    char why[2 * PATH_MAX];
    int code = CODE_MACHINE;

    if (!quiet(run))
        tell_recording(run);
    exec_search_init(&search, &run->setup);
    if (exec_find(&search, options_u64(run->opts, "max-findings"), &findings, why, sizeof why))
        code = report(run, &search, &findings);
    else if (*why)
        (void)complain(CODE_MACHINE, "%s%s", why, "");
    else
        (void)complain(CODE_MACHINE, "%s%s", "interrupted, or a check could not be run", "");
    exec_findings_release(&findings);
    exec_search_release(&search);
    (void)rmdir(run->work);
    return code;
}

/* ---- the other two ways ---- */

static int show(const char *log)
{
    char why[PATH_MAX + 200];
    struct pc_recording *recording = pc_recording_load(log, why, sizeof why);

    if (!recording)
        return complain(CODE_USAGE, "%s%s", why, "");
    pc_recording_print(recording, stdout);
    pc_recording_free(recording);
    return CODE_OK;
}

static bool set(const char *name, const char *value)
{
    return value == NULL || setenv(name, value, 1) == 0;
}

/* Becomes the program, with the preload library beneath it: bin/powercut, lib/libpowercut-... */
static int simulated(const struct options *opts)
{
    char own[PATH_MAX] = "", library[PATH_MAX + 64], report_file[PATH_MAX], left[PATH_MAX];
    const char *out = options_given(opts, "out") ? options_text(opts, "out") : NULL;
    char *slash = readlink("/proc/self/exe", own, sizeof own - 1) > 0 ? strrchr(own, '/') : NULL;

    if (slash)
        *slash = '\0';
    slash = strrchr(own, '/');
    snprintf(library, sizeof library, "%.*s/lib/libpowercut-preload.so",
             slash ? (int)(slash - own) : 0, own);
    if (access(library, R_OK))
        return complain(CODE_MACHINE, "%s: %s", library, strerror(errno));
    if (out && mkdir(out, 0777) && errno != EEXIST)
        return complain(CODE_MACHINE, "%s: %s", out, strerror(errno));
    snprintf(report_file, sizeof report_file, "%s/report", out ? out : "");
    snprintf(left, sizeof left, "%s/disk", out ? out : "");
    if (out && !exec_tree_remove(left))
        return complain(CODE_MACHINE, "%s: %s", left, strerror(errno));
    if (!set("LD_PRELOAD", library) || !set("POWERCUT_MOUNT", options_text(opts, "dir")) ||
        !set("POWERCUT_MODEL",
             options_items(opts, "model") ? options_item(opts, "model", 0) : NULL) ||
        !set("POWERCUT_UNIT",
             options_given(opts, "sector") ? options_text(opts, "sector") : NULL) ||
        !set("POWERCUT_SEED", options_given(opts, "seed") ? options_text(opts, "seed") : NULL) ||
        !set("POWERCUT_IMPORT", options_text(opts, "import")) ||
        !set("POWERCUT_REPORT", out ? report_file : NULL) ||
        !set("POWERCUT_EXPORT", out ? left : NULL))
        return complain(CODE_MACHINE, "%s: %s", "environment", strerror(errno));
    execvp(opts->operands[0], opts->operands);
    return complain(CODE_USAGE, "%s: %s", opts->operands[0], strerror(errno));
}

int exec_command(const struct options *opts)
{
    struct run run = {.opts = opts};
    int code;

    if (options_text(opts, "show"))
        return show(options_text(opts, "show"));
    if (opts->operand_count == 0 && !options_text(opts, "log"))
        return complain(CODE_USAGE, "%s%s", "a program is wanted: powercut exec -- PROGRAM ARGS",
                        "");
    if (opts->operand_count > 0 && options_text(opts, "log"))
        return complain(CODE_USAGE, "%s and %s exclude each other", "--log", "a program");
    if (options_flag(opts, "simulated"))
        return simulated(opts);
    code = take_settings(&run);
    if (code == CODE_OK)
        code = load(&run);
    if (code == CODE_OK)
        code = search(&run);
    if (run.temporary && !exec_tree_remove(run.directory))
        (void)complain(code, "%s: %s", run.directory, strerror(errno));
    pc_recording_free(run.recording);
    return code;
}
