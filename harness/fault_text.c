/* fault_text.c: see fault_text.h. The language is described in crashtests/README.md. */
#include "fault_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void fault_print(FILE *out, const struct pc_fault *fault)
{
    fprintf(out, " %s op=%s file=%s nth=%u", pc_fault_kind_name(fault->kind),
            pc_call_kind_name(fault->call), fault->file, (unsigned)fault->nth);
    if (fault->error)
        fprintf(out, " errno=%s", pc_errno_name(fault->error));
    if (fault->kind == PC_FAULT_FULL)
        fprintf(out, " room=%llu", (unsigned long long)fault->room);
    if (fault->aimed)
        fprintf(out, " at=%lld", (long long)fault->at);
    if (fault->unordered)
        fputs(" order=none", out);
    if (fault->from[0])
        fprintf(out, " from=%s", fault->from);
    if (fault->rate)
        fprintf(out, " rate=1/%u", (unsigned)fault->rate);
    if (fault->times == PC_FOREVER)
        fputs(" times=forever", out);
    else if (fault->times > 1 || (fault->kind == PC_FAULT_FULL && fault->times))
        fprintf(out, " times=%u", (unsigned)fault->times);
}

/* The next word: what stands before "=" in `name` (empty without one), and the rest in `value`. */
static bool next_word(const char **text, char *name, char *value, size_t room)
{
    size_t len, n = 0;
    const char *equals;

    *text += strspn(*text, " \t");
    len = strcspn(*text, " \t");
    equals = memchr(*text, '=', len);
    if (equals)
        n = (size_t)(equals - *text) + 1;
    if (len == 0 || n > room || len - n >= room)
        return false;
    snprintf(name, room, "%.*s", n ? (int)n - 1 : 0, *text);
    snprintf(value, room, "%.*s", (int)(len - n), *text + n);
    return true;
}

static bool number(const char *word, uint32_t *out)
{
    char *end;
    unsigned long long n;

    errno = 0;
    n = strtoull(word, &end, 10);
    if (!isdigit((unsigned char)*word) || *end || errno || n > UINT32_MAX)
        return false;
    *out = (uint32_t)n;
    return true;
}

/* A place in a file, from its end when negative. */
static bool aim(const char *word, struct pc_fault *fault)
{
    uint32_t n;

    if (!number(word + (*word == '-'), &n))
        return false;
    fault->aimed = true;
    fault->at = *word == '-' ? -(int64_t)n : (int64_t)n;
    return true;
}

static const char *set(struct pc_fault *fault, const char *name, const char *value)
{
    if (strcmp(name, "op") == 0)
        return pc_call_class_from_name(value, &fault->call)
                   ? NULL
                   : "a call is expected (powercut list calls)";
    if (strcmp(name, "nth") == 0)
        return number(value, &fault->nth) ? NULL : "a number is expected";
    if (strcmp(name, "times") == 0) {
        if (strcmp(value, "forever") == 0)
            fault->times = PC_FOREVER;
        else if (!number(value, &fault->times))
            return "a number is expected, or forever";
        return NULL;
    }
    if (strcmp(name, "errno") == 0)
        return pc_errno_from_name(value, &fault->error) ? NULL : "an errno is expected (EDQUOT)";
    if (strcmp(name, "at") == 0)
        return aim(value, fault) ? NULL : "a place in the file is expected (at=16, at=-8)";
    if (strcmp(name, "room") == 0) {
        uint32_t bytes;

        if (!number(value, &bytes))
            return "a number of bytes is expected";
        fault->room = bytes;
        return NULL;
    }
    if (strcmp(name, "order") == 0) {
        fault->unordered = strcmp(value, "none") == 0;
        return fault->unordered ? NULL : "order=none is expected";
    }
    if (strcmp(name, "from") == 0) {
        if (*value == '\0' || strlen(value) >= sizeof fault->from)
            return "a function is expected";
        memcpy(fault->from, value, strlen(value) + 1);
        return NULL;
    }
    if (strcmp(name, "rate") == 0)
        return strncmp(value, "1/", 2) == 0 && number(value + 2, &fault->rate)
                   ? NULL
                   : "a rate is expected (1/10)";
    if (strcmp(name, "file") != 0)
        return "op=, file=, nth=, times=, rate=, errno=, room=, at=, from= or order= is expected";
    if (*value == '\0' || strlen(value) >= sizeof fault->file)
        return "a file is expected";
    memcpy(fault->file, value, strlen(value) + 1);
    return NULL;
}

const char *fault_parse(const char **text, struct pc_fault *fault)
{
    char name[64], value[64];
    const char *wrong;

    *fault = (struct pc_fault){.call = PC_CALL_WRITE, .file = "*", .nth = 1};
    if (!next_word(text, name, value, sizeof value) || *name ||
        !pc_fault_kind_from_name(value, &fault->kind)) {
        *text += strcspn(*text, " \t");
        return "a kind of fault is expected (powercut list faults)";
    }
    *text += strcspn(*text, " \t");
    while (next_word(text, name, value, sizeof value)) {
        wrong = set(fault, name, value);
        *text += strcspn(*text, " \t");
        if (wrong)
            return wrong;
    }
    if (fault->kind == PC_FAULT_ERROR && !pc_errno_legal(fault->call, fault->error))
        return "errno= is expected, of those that this call may answer";
    if (fault->kind == PC_FAULT_FULL && fault->error && fault->error != ENOSPC &&
        fault->error != EDQUOT)
        return "errno=ENOSPC or errno=EDQUOT is expected";
    if (fault->unordered && fault->kind != PC_FAULT_LOSTSYNC)
        return "order= is for syncs that lie";
    if (fault->aimed && (fault->call != PC_CALL_READ || !pc_fault_fits(fault->kind, PC_CALL_READ)))
        return "at= is for what a read meets";
    if (!pc_fault_fits(fault->kind, fault->call))
        return "this kind of fault cannot happen to that call";
    return NULL;
}
