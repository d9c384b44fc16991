/* record_trace.c: lets a program and all its processes run, and stops them at the calls that
 * matter.
 *
 * A filter in the kernel (seccomp) picks the calls of record_calls.c, with few others among them,
 * so that reads and all else run at full speed. A picked call stops its thread; the recorder looks,
 * lets the call run, stops the thread again when it has returned, and logs. Between these two stops
 * no other picked call is let in: that is the lock around "do the call and append the record". It
 * needs nothing in the memory of the programs, so static programs, those that make their own system
 * calls, and libc's calls to itself are seen like all others.
 *
 *   R5 A thread waits in the order in which it came. A thread that is killed within a recorded call
 *      ends the recording: nobody knows what the call did. */
#define _GNU_SOURCE
#include "record_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

#define OPTIONS                                                                                    \
    (PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |      \
     PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)
#define SYSCALL_STOP     (SIGTRAP | 0x80)
#define X32_BIT          0x40000000u
#define O_TMPFILE_FLAG   020000000u
#define COMMAND_SIZE_MAX 200
#define FILTER_MAX       512

struct trace {
    struct recorder recorder;
    struct tracee **tracees;
    size_t count, room;
    struct tracee *busy;     /* within a recorded call */
    struct tracee **waiting; /* in the order in which they came */
    size_t waiting_count;
    uint32_t processes;
    pid_t first;
    int status;
    bool killing;
};

/* ---- the filter ---- */

struct filter {
    struct sock_filter code[FILTER_MAX];
    unsigned short len;
};

static void emit(struct filter *filter, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    must(filter->len < FILTER_MAX);
    filter->code[filter->len++] = (struct sock_filter){code, yes, no, k};
}

static void emit_argument(struct filter *filter, unsigned index)
{
    emit(filter, BPF_LD | BPF_W | BPF_ABS,
         (uint32_t)(offsetof(struct seccomp_data, args) + 8 * index), 0, 0);
}

/* Stops at `number`; with a mask only when argument `index` has one of its bits. */
static void emit_call(struct filter *filter, int number, unsigned index, uint32_t mask)
{
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, mask ? 4 : 1);
    if (mask) {
        emit_argument(filter, index);
        emit(filter, BPF_JMP | BPF_JSET | BPF_K, mask, 1, 0);
        emit(filter, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    }
    emit(filter, BPF_RET | BPF_K, SECCOMP_RET_TRACE, 0, 0);
}

static void emit_ioctl(struct filter *filter)
{
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5);
    emit_argument(filter, 1);
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)FICLONE, 2, 0);
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)FICLONERANGE, 1, 0);
    emit(filter, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    emit(filter, BPF_RET | BPF_K, SECCOMP_RET_TRACE, 0, 0);
}

static void make_filter(struct filter *filter)
{
    filter->len = 0;
    emit(filter, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    emit(filter, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    emit(filter, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    emit(filter, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    emit(filter, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    for (size_t i = 0; i < call_row_count; i++) {
        int number = call_rows[i].number;

        if (number == SYS_open || number == SYS_openat)
            emit_call(filter, number, number == SYS_open ? 1 : 2,
                      O_CREAT | O_TRUNC | O_TMPFILE_FLAG);
        else if (number == SYS_mmap)
            emit_call(filter, number, 3, 1); /* MAP_SHARED, and MAP_SHARED_VALIDATE */
        else if (number == SYS_ioctl)
            emit_ioctl(filter);
        else
            emit_call(filter, number, 0, 0);
    }
    emit(filter, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

/* ---- the first process ---- */

struct start {
    int go[2], failed[2]; /* pipes: the recorder is there; what failed before exec */
};

static _Noreturn void child(const struct pc_record_job *job, struct start *start)
{
    static struct filter filter;
    struct sock_fprog program = {0, filter.code};
    char byte, *before = getcwd(NULL, 0);
    int output = open(job->output, O_WRONLY | O_APPEND), error = 0;

    (void)close(start->go[1]);
    make_filter(&filter);
    program.len = filter.len;
    if (read(start->go[0], &byte, 1) != 1)
        _exit(127);
    if (output < 0 || dup2(output, STDOUT_FILENO) < 0 || close(output) || chdir(job->directory) ||
        (before && setenv("OLDPWD", before, 1)) || setenv("PWD", job->directory, 1) ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
        error = -errno;
    if (!error) {
        execvp(job->argv[0], job->argv);
        error = errno;
    }
    (void)!write(start->failed[1], &error, sizeof error);
    _exit(127);
}

/* ---- the processes ---- */

static struct tracee *find(struct trace *trace, pid_t tid)
{
    for (size_t i = 0; i < trace->count; i++)
        if (trace->tracees[i]->tid == tid)
            return trace->tracees[i];
    return NULL;
}

static pid_t process_of(pid_t tid)
{
    char path[64], line[128];
    int pid = tid;
    FILE *in;

    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    in = fopen(path, "re");
    while (in && fgets(line, sizeof line, in))
        if (sscanf(line, "Tgid: %d", &pid) == 1)
            break;
    if (in)
        (void)fclose(in);
    return (pid_t)pid;
}

/* Its arguments in one line; of the first the last component. */
static void command_of(pid_t pid, char command[COMMAND_SIZE_MAX])
{
    char path[64], *name = command;
    int in;
    ssize_t len;

    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    in = open(path, O_RDONLY | O_CLOEXEC);
    len = in < 0 ? -1 : read(in, command, COMMAND_SIZE_MAX - 1);
    if (in >= 0)
        (void)close(in);
    command[len < 0 ? 0 : len] = '\0';
    name = strrchr(command, '/');
    if (name) {
        len -= name + 1 - command;
        memmove(command, name + 1, (size_t)len);
        command[len] = '\0';
    }
    for (ssize_t i = 0; i + 1 < len; i++)
        if ((unsigned char)command[i] < ' ')
            command[i] = ' ';
}

static void log_process(struct trace *trace, const struct tracee *tracee)
{
    char command[COMMAND_SIZE_MAX];
    struct pc_record record = {
        .kind = PC_RECORD_PROCESS, .process = tracee->process, .to = command};

    command_of(tracee->pid, command);
    log_writer_add(&trace->recorder.writer, &record);
}

static struct tracee *add(struct trace *trace, pid_t tid)
{
    struct tracee *tracee = calloc(1, sizeof *tracee);
    struct tracee *other = NULL;

    must(tracee != NULL);
    if (trace->count == trace->room) {
        trace->room = trace->room ? 2 * trace->room : 16;
        trace->tracees = realloc(trace->tracees, trace->room * sizeof(struct tracee *));
        trace->waiting = realloc(trace->waiting, trace->room * sizeof(struct tracee *));
        must(trace->tracees && trace->waiting);
    }
    tracee->tid = tid;
    tracee->pid = process_of(tid);
    for (size_t i = 0; i < trace->count; i++)
        if (trace->tracees[i]->pid == tracee->pid)
            other = trace->tracees[i];
    trace->tracees[trace->count++] = tracee;
    tracee->process = other ? other->process : ++trace->processes;
    if (other == NULL && trace->count > 1)
        log_process(trace, tracee);
    return tracee;
}

static void drop(struct trace *trace, struct tracee *tracee)
{
    size_t kept = 0;

    if (trace->busy == tracee) {
        trace->busy = NULL;
        record_failed(&trace->recorder, "process %u was killed within %s",
                      (unsigned)tracee->process, tracee->row->name);
    }
    for (size_t i = 0; i < trace->waiting_count; i++)
        if (trace->waiting[i] != tracee)
            trace->waiting[kept++] = trace->waiting[i];
    trace->waiting_count = kept;
    kept = 0;
    for (size_t i = 0; i < trace->count; i++)
        if (trace->tracees[i] != tracee)
            trace->tracees[kept++] = trace->tracees[i];
    trace->count = kept;
    free(tracee);
}

/* A thread that vanished meanwhile is told by waitpid. */
static void go_on(const struct tracee *tracee, int request, int signal_number)
{
    (void)ptrace(request, tracee->tid, NULL, (void *)(intptr_t)signal_number);
}

/* ---- calls ---- */

static void begin_call(struct trace *trace, struct tracee *tracee)
{
    struct user_regs_struct regs;

    tracee->phase = TRACEE_RUNNING;
    switch (call_before(&trace->recorder, tracee)) {
    case CALL_PASS:
        go_on(tracee, PTRACE_CONT, 0);
        break;
    case CALL_RECORD:
        tracee->phase = TRACEE_IN_CALL;
        trace->busy = tracee;
        go_on(tracee, PTRACE_SYSCALL, 0);
        break;
    case CALL_ANSWER:
        if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) == 0) {
            regs.orig_rax = (unsigned long long)-1;
            regs.rax = (unsigned long long)-(long long)tracee->answer;
            (void)ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs);
        }
        go_on(tracee, PTRACE_CONT, 0);
        break;
    case CALL_STOP:
        break; /* it is killed in a moment */
    }
}

static void at_call(struct trace *trace, struct tracee *tracee)
{
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs))
        return;
    tracee->number = regs.orig_rax;
    tracee->arg[0] = regs.rdi;
    tracee->arg[1] = regs.rsi;
    tracee->arg[2] = regs.rdx;
    tracee->arg[3] = regs.r10;
    tracee->arg[4] = regs.r8;
    tracee->arg[5] = regs.r9;
    if (trace->busy) {
        tracee->phase = TRACEE_WAITING;
        trace->waiting[trace->waiting_count++] = tracee;
    } else {
        begin_call(trace, tracee);
    }
}

static void end_call(struct trace *trace, struct tracee *tracee)
{
    struct user_regs_struct regs;

    if (trace->busy == tracee && ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) == 0) {
        call_after(&trace->recorder, tracee, (int64_t)regs.rax);
        trace->busy = NULL;
    }
    tracee->phase = TRACEE_RUNNING;
    go_on(tracee, PTRACE_CONT, 0);
}

/* Lets in who waits, until one is within a call. */
static void admit(struct trace *trace)
{
    while (trace->busy == NULL && trace->waiting_count > 0 && !trace->killing) {
        struct tracee *next = trace->waiting[0];

        trace->waiting_count--;
        memmove(trace->waiting, trace->waiting + 1, trace->waiting_count * sizeof(struct tracee *));
        begin_call(trace, next);
    }
}

/* ---- stops ---- */

/* The thread that calls exec takes the number of its process; all others are gone. */
static void at_exec(struct trace *trace, struct tracee *tracee)
{
    for (size_t i = trace->count; i-- > 0;) {
        struct tracee *other = trace->tracees[i];

        if (other != tracee && other->pid == tracee->pid)
            drop(trace, other);
    }
    tracee->phase = TRACEE_RUNNING;
    log_process(trace, tracee);
    go_on(tracee, PTRACE_CONT, 0);
}

static void at_stop(struct trace *trace, struct tracee *tracee, int status)
{
    int event = status >> 16, number = WSTOPSIG(status);

    switch (event) {
    case 0:
        if (number == SYSCALL_STOP)
            end_call(trace, tracee);
        else
            go_on(tracee, PTRACE_CONT, number);
        break;
    case PTRACE_EVENT_SECCOMP:
        at_call(trace, tracee);
        break;
    case PTRACE_EVENT_EXEC:
        at_exec(trace, tracee);
        break;
    case PTRACE_EVENT_STOP:
        if (number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU)
            go_on(tracee, PTRACE_LISTEN, 0);
        else
            go_on(tracee, PTRACE_CONT, 0);
        break;
    default:
        go_on(tracee, PTRACE_CONT, 0);
    }
}

static void kill_all(struct trace *trace)
{
    trace->killing = true;
    for (size_t i = 0; i < trace->count; i++)
        (void)kill(trace->tracees[i]->pid, SIGKILL);
}

static void gone(struct trace *trace, pid_t tid, int status)
{
    struct tracee *tracee = find(trace, tid);

    if (tid == trace->first)
        trace->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        record_failed(&trace->recorder, "a process made a system call of another architecture");
    if (tracee)
        drop(trace, tracee);
}

/* Until no process is left. */
static void follow(struct trace *trace)
{
    int status;
    pid_t tid;

    while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        struct tracee *tracee;

        if (tid < 0)
            continue;
        if (!WIFSTOPPED(status)) {
            gone(trace, tid, status);
        } else {
            tracee = find(trace, tid);
            if (trace->killing)
                (void)kill(tid, SIGKILL);
            at_stop(trace, tracee ? tracee : add(trace, tid), status);
        }
        if (*trace->recorder.why && !trace->killing)
            kill_all(trace);
        admit(trace);
    }
}

/* ---- all of it ---- */

/* 0, or -1: `why` is set. */
static int launch(struct trace *trace, const struct pc_record_job *job, struct start *start)
{
    if (pipe2(start->go, O_CLOEXEC) || pipe2(start->failed, O_CLOEXEC)) {
        record_failed(&trace->recorder, "pipe: %s", strerror(errno));
        return -1;
    }
    trace->first = fork();
    if (trace->first == 0)
        child(job, start);
    (void)close(start->go[0]);
    (void)close(start->failed[1]);
    if (trace->first < 0) {
        record_failed(&trace->recorder, "fork: %s", strerror(errno));
        return -1;
    }
    if (ptrace(PTRACE_SEIZE, trace->first, NULL, (void *)(intptr_t)OPTIONS)) {
        record_failed(&trace->recorder, "ptrace is not allowed here: %s", strerror(errno));
        return -1; /* closing the pipe ends the child */
    }
    add(trace, trace->first);
    return write(start->go[1], "", 1) == 1 ? 0 : -1;
}

static enum pc_record_end run(struct trace *trace, const struct pc_record_job *job)
{
    struct start start = {{-1, -1}, {-1, -1}};
    enum pc_record_end end = PC_RECORD_BROKEN;
    int error = 0, launched = launch(trace, job, &start);

    (void)close(start.go[1]);
    follow(trace);
    if (launched)
        goto done;
    if (read(start.failed[0], &error, sizeof error) == sizeof error && error) {
        *trace->recorder.why = '\0';
        record_failed(&trace->recorder, "%s: %s", error < 0 ? "the filter of calls" : job->argv[0],
                      strerror(error < 0 ? -error : error));
        end = error < 0 ? PC_RECORD_BROKEN : PC_RECORD_NO_PROGRAM;
    } else {
        end = *trace->recorder.why ? PC_RECORD_NOT_RECORDED : PC_RECORD_DONE;
    }
done:
    (void)close(start.failed[0]);
    return end;
}

enum pc_record_end pc_record_run(const struct pc_record_job *job, int *status, char *why,
                                 size_t room)
{
    struct trace trace = {.recorder = {.messages = job->messages, .why = why, .why_room = room}};
    struct recorder *recorder = &trace.recorder;
    struct pc_record last = {.kind = PC_RECORD_END};
    enum pc_record_end end = PC_RECORD_BROKEN;
    int output = open(job->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    *why = '\0';
    if (output < 0 || fstat(output, &recorder->output)) {
        record_failed(recorder, "%s: %s", job->output, strerror(errno));
    } else if (!log_writer_open(&recorder->writer, job->log)) {
        record_failed(recorder, "%s: %s", job->log, strerror(errno));
    } else if (files_import(&recorder->files, job->directory, &recorder->writer, why, room)) {
        end = run(&trace, job);
        files_observe(&recorder->files, &recorder->writer);
    }
    if (output >= 0)
        (void)close(output);
    *status = trace.status;
    last.length = (uint64_t)trace.status;
    if (end == PC_RECORD_DONE)
        log_writer_add(&recorder->writer, &last);
    if (recorder->writer.frame && !log_writer_close(&recorder->writer) && end == PC_RECORD_DONE) {
        record_failed(recorder, "%s: %s", job->log, strerror(errno));
        end = PC_RECORD_BROKEN;
    }
    files_release(&recorder->files);
    for (size_t i = 0; i < trace.count; i++)
        free(trace.tracees[i]);
    free(trace.tracees);
    free(trace.waiting);
    return end;
}
