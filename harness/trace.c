/* trace.c: traces as data, and their text. See trace.h; the language is described in
 * crashtests/README.md. */
#include "trace.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "fault_text.h"

/* ---- building ---- */

void trace_init(struct trace *trace)
{
    *trace = (struct trace){.disk = {.model = PC_POSIX, .unit = 512}};
    snprintf(trace->store, sizeof trace->store, "minivault");
}

void trace_release(struct trace *trace)
{
    for (uint32_t i = 0; i < trace->key_count; i++)
        free((void *)trace->keys[i].data);
    for (uint32_t i = 0; i < trace->write_count; i++)
        free((void *)trace->writes[i].value.text);
    free(trace->keys);
    free(trace->ops);
    free(trace->writes);
    *trace = (struct trace){0};
}

static void *copied(const void *data, size_t size)
{
    void *copy = malloc(size + 1);

    must(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

void trace_copy(struct trace *to, const struct trace *from)
{
    *to = *from;
    to->key_room = from->key_count;
    to->op_room = from->op_count;
    to->write_room = from->write_count;
    to->keys = copied(from->keys, from->key_count * sizeof *from->keys);
    to->ops = copied(from->ops, from->op_count * sizeof *from->ops);
    to->writes = copied(from->writes, from->write_count * sizeof *from->writes);
    for (uint32_t i = 0; i < to->key_count; i++)
        to->keys[i].data = copied(from->keys[i].data, from->keys[i].len);
    for (uint32_t i = 0; i < to->write_count; i++)
        if (to->writes[i].value.text)
            to->writes[i].value.text = copied(to->writes[i].value.text, to->writes[i].value.len);
}

static void *grown(void *array, uint32_t *room, uint32_t need, size_t size)
{
    if (need <= *room)
        return array;
    *room = need * 2 + 16;
    array = realloc(array, (size_t)*room * size);
    must(array != NULL);
    return array;
}

uint16_t trace_key(struct trace *trace, struct bytes key)
{
    for (uint32_t i = 0; i < trace->key_count; i++)
        if (bytes_equal(trace->keys[i], key))
            return (uint16_t)i;
    must(trace->key_count < TRACE_NO_KEY);
    trace->keys = grown(trace->keys, &trace->key_room, trace->key_count + 1, sizeof *trace->keys);
    trace->keys[trace->key_count] = bytes_of(copied(key.data, key.len), key.len);
    return (uint16_t)trace->key_count++;
}

struct op *trace_add(struct trace *trace, enum op_kind kind)
{
    struct op *op;

    trace->ops = grown(trace->ops, &trace->op_room, trace->op_count + 1, sizeof *trace->ops);
    op = &trace->ops[trace->op_count++];
    *op = (struct op){.kind = kind,
                      .first_write = trace->write_count,
                      .key = TRACE_NO_KEY,
                      .key_end = TRACE_NO_KEY};
    return op;
}

void trace_add_write(struct trace *trace, struct op *op, bool is_delete, uint16_t key,
                     struct value value)
{
    must(op->first_write + op->writes == trace->write_count);
    trace->writes =
        grown(trace->writes, &trace->write_room, trace->write_count + 1, sizeof *trace->writes);
    trace->writes[trace->write_count++] =
        (struct trace_write){is_delete, key, TRACE_NO_KEY, value, 0};
    op->writes++;
}

void trace_arm(struct trace *trace, const struct pc_fault *faults, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        trace->faults[i] = faults[i];
        trace_add(trace, OP_FAULT);
    }
    memmove(trace->ops + count, trace->ops, (trace->op_count - count) * sizeof *trace->ops);
    for (uint32_t i = 0; i < count; i++)
        trace->ops[i] =
            (struct op){.kind = OP_FAULT, .slot = i, .key = TRACE_NO_KEY, .key_end = TRACE_NO_KEY};
    trace->fault_count = count;
}

/* ---- printing ---- */

static const char *const op_names[OP_KINDS] = {
    [OP_PUT] = "put",           [OP_DELETE] = "delete",   [OP_DELETE_RANGE] = "deleterange",
    [OP_BATCH] = "batch",       [OP_SYNC] = "sync",       [OP_GET] = "get",
    [OP_SCAN] = "scan",         [OP_BACK] = "scanback",   [OP_SEEK] = "seek",
    [OP_SNAPSHOT] = "snapshot", [OP_AT] = "at",           [OP_RELEASE] = "release",
    [OP_FLUSH] = "flush",       [OP_COMPACT] = "compact", [OP_REOPEN] = "reopen",
    [OP_OPEN] = "open",         [OP_CLOSE] = "close",     [OP_FAULT] = "fault",
    [OP_CRASH] = "crash",       [OP_LOSE] = "lose",       [OP_KEEP] = "keep",
    [OP_TROUBLE] = "trouble",   [OP_RECOVER] = "recover", [OP_CHECK] = "check",
    [OP_SHOW] = "show",         [OP_EXPLORE] = "explore", [OP_REACHED] = "reached",
    [OP_CLOCK] = "clock",       [OP_COPY] = "copy",
};

const char *trace_step_name(enum op_kind kind)
{
    return op_names[kind];
}

static const char *const item_names[] = {
    [PC_ITEM_DATA] = "data",         [PC_ITEM_SIZE] = "size", [PC_ITEM_MAP] = "map",
    [PC_ITEM_TRUNCATE] = "truncate", [PC_ITEM_NAME] = "name",
};

static const char *const fill_names[] = {
    [PC_FILL_ZERO] = "zeros",
    [PC_FILL_NOISE] = "noise",
    [PC_FILL_QUESTION_MARK] = "question",
};

static void print_write(FILE *out, const struct trace *trace, const struct trace_write *write)
{
    bool is_range = write->key_end != TRACE_NO_KEY;

    fputs(is_range ? "deleterange " : (write->is_delete ? "delete " : "put "), out);
    values_print(out, trace->keys[write->key]);
    if (is_range) {
        fputc(' ', out);
        values_print(out, trace->keys[write->key_end]);
    }
    if (write->is_delete)
        return;
    if (write->value.text) {
        fputc(' ', out);
        values_print(out, bytes_of(write->value.text, write->value.len));
    } else {
        fprintf(out, " len=%u seed=%u", (unsigned)write->value.len, (unsigned)write->value.seed);
    }
    if (write->ttl)
        fprintf(out, " ttl=%u", (unsigned)write->ttl);
}

static void print_crash(FILE *out, const struct crash *crash)
{
    if (crash->place == CRASH_SEED)
        fprintf(out, " seed=%llu", (unsigned long long)crash->seed);
    else if (crash->place == CRASH_END)
        fputs(" end", out);
    else
        fprintf(out, " before=%s file=%s nth=%u", pc_call_kind_name(crash->call),
                *crash->file ? crash->file : "/", (unsigned)crash->nth);
    if (crash->inside)
        fputs(" inside", out);
    if (crash->place != CRASH_SEED)
        fprintf(out, " image=%s", crash->oldest ? "oldest" : "newest");
    if (crash->fill != PC_FILL_ZERO)
        fprintf(out, " fill=%s", fill_names[crash->fill]);
}

static void print_key(FILE *out, const struct trace *trace, uint16_t key)
{
    if (key == TRACE_NO_KEY)
        return;
    fputc(' ', out);
    values_print(out, trace->keys[key]);
}

void trace_print_op(FILE *out, const struct trace *trace, const struct op *op)
{
    if (op->kind == OP_PUT || op->kind == OP_DELETE || op->kind == OP_DELETE_RANGE)
        print_write(out, trace, &trace->writes[op->first_write]);
    else
        fputs(op_names[op->kind], out);
    switch (op->kind) {
    case OP_BATCH:
        for (uint32_t i = 0; i < op->writes; i++) {
            fputs(i ? " , " : " ", out);
            print_write(out, trace, &trace->writes[op->first_write + i]);
        }
        break;
    case OP_SNAPSHOT:
    case OP_RELEASE:
    case OP_AT:
        fprintf(out, " s%u", (unsigned)op->slot);
        break;
    case OP_COPY:
        fprintf(out, " c%u", (unsigned)op->slot);
        break;
    case OP_CLOCK:
        fprintf(out, " %+lld", (long long)op->shift);
        break;
    case OP_FAULT:
        fault_print(out, &trace->faults[op->slot]);
        break;
    case OP_CRASH:
        print_crash(out, &op->crash);
        break;
    case OP_LOSE:
    case OP_KEEP:
        fprintf(out, " %s %s", item_names[op->item.kind], *op->item.path ? op->item.path : "/");
        if (op->item.kind != PC_ITEM_NAME)
            fprintf(out, " offset=%llu", (unsigned long long)op->item.offset);
        fprintf(out, " version=%u", (unsigned)op->item.version);
        break;
    case OP_SHOW:
    case OP_REACHED:
        fprintf(out, " %s", op->word);
        break;
    case OP_TROUBLE:
        fprintf(out, " %s nth=%u", op->word, (unsigned)op->slot);
        break;
    default:
        break;
    }
    if (op->kind == OP_COMPACT && op->key == TRACE_NO_KEY && op->key_end != TRACE_NO_KEY)
        fputs(" *", out);
    print_key(out, trace, op->key);
    if (op->kind == OP_COMPACT && op->key != TRACE_NO_KEY && op->key_end == TRACE_NO_KEY)
        fputs(" *", out);
    print_key(out, trace, op->key_end);
    if (op->sync)
        fputs(" sync", out);
    fputc('\n', out);
}

void trace_print(FILE *out, const struct trace *trace)
{
    fprintf(out, "disk model=%s unit=%u%s\n", pc_model_name(trace->disk.model),
            (unsigned)trace->disk.unit, trace->disk.destroys ? " psow=off" : "");
    fprintf(out, "store %s %s\n", trace->store, trace->tuning);
    for (uint32_t i = 0; i < trace->op_count; i++)
        trace_print_op(out, trace, &trace->ops[i]);
}

/* ---- parsing ---- */

struct parse {
    struct trace *trace;
    const char *at;
    char *why;
    size_t room;
};

static bool wrong(struct parse *parse, const char *what)
{
    snprintf(parse->why, parse->room, "%s at \"%.24s\"", what, parse->at);
    return false;
}

static void blanks(struct parse *parse)
{
    while (*parse->at == ' ' || *parse->at == '\t')
        parse->at++;
}

/* The next bare word, copied; false at the end of the line. */
static bool next_word(struct parse *parse, char *word, size_t room)
{
    size_t n = 0;

    blanks(parse);
    while (*parse->at && *parse->at != ' ' && *parse->at != '\t') {
        if (n + 1 < room)
            word[n++] = *parse->at;
        parse->at++;
    }
    word[n] = '\0';
    return n > 0;
}

static bool peek(struct parse *parse, const char *word)
{
    size_t len = strlen(word);

    blanks(parse);
    return strncmp(parse->at, word, len) == 0 &&
           (parse->at[len] == '\0' || parse->at[len] == ' ' || word[len - 1] == '=');
}

static bool accept(struct parse *parse, const char *word)
{
    if (!peek(parse, word))
        return false;
    parse->at += strlen(word);
    return true;
}

static bool number(struct parse *parse, uint64_t max, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(parse->at, &end, 10);
    if (end == parse->at || errno || *out > max || !isdigit((unsigned char)*parse->at))
        return wrong(parse, "a number is expected");
    parse->at = end;
    return true;
}

static bool parse_key(struct parse *parse, uint16_t *key)
{
    static _Thread_local uint8_t bytes[65536];
    long len = values_parse(&parse->at, bytes, sizeof bytes);

    if (len < 0)
        return wrong(parse, "a key is expected (a word, or \"...\" with \\xNN)");
    *key = trace_key(parse->trace, bytes_of(bytes, (size_t)len));
    return true;
}

static bool parse_value(struct parse *parse, struct value *value)
{
    uint64_t len, seed;

    if (accept(parse, "len=")) {
        if (!number(parse, 1u << 24, &len))
            return false;
        if (!accept(parse, "seed="))
            return wrong(parse, "seed=N is expected");
        if (!number(parse, UINT32_MAX, &seed))
            return false;
        *value = (struct value){(uint32_t)len, (uint32_t)seed, NULL};
    } else {
        static _Thread_local uint8_t bytes[65536];
        long n = values_parse(&parse->at, bytes, sizeof bytes);

        if (n < 0)
            return wrong(parse, "a value is expected (a word, \"...\", or len=N seed=N)");
        *value = (struct value){(uint32_t)n, 0, copied(bytes, (size_t)n)};
    }
    return true;
}

static bool parse_write(struct parse *parse, enum op_kind kind)
{
    bool is_delete = kind != OP_PUT;
    struct value value = {0};
    uint64_t ttl;
    uint16_t key, key_end = TRACE_NO_KEY;

    if (!parse_key(parse, &key))
        return false;
    if (kind == OP_DELETE_RANGE && !parse_key(parse, &key_end))
        return false;
    if (key_end != TRACE_NO_KEY &&
        bytes_compare(parse->trace->keys[key], parse->trace->keys[key_end]) >= 0)
        return wrong(parse, "a range ends behind its beginning");
    if (!is_delete && !parse_value(parse, &value))
        return false;
    trace_add_write(parse->trace, &parse->trace->ops[parse->trace->op_count - 1], is_delete, key,
                    value);
    parse->trace->writes[parse->trace->write_count - 1].key_end = key_end;
    if (is_delete || !accept(parse, "ttl="))
        return true;
    if (!number(parse, UINT32_MAX, &ttl))
        return false;
    parse->trace->writes[parse->trace->write_count - 1].ttl = (uint32_t)ttl;
    return true;
}

static bool parse_batch(struct parse *parse)
{
    for (uint32_t writes = 0; writes == 0 || accept(parse, ","); writes++) {
        enum op_kind kind = OP_PUT;

        if (writes == TRACE_BATCH_MAX)
            return wrong(parse, "a batch has at most 64 writes");
        if (accept(parse, "deleterange"))
            kind = OP_DELETE_RANGE;
        else if (accept(parse, "delete"))
            kind = OP_DELETE;
        else if (!accept(parse, "put"))
            return wrong(parse, "put, delete or deleterange is expected");
        if (!parse_write(parse, kind))
            return false;
    }
    return true;
}

static bool parse_slot(struct parse *parse, struct op *op)
{
    uint64_t slot;

    blanks(parse);
    if (*parse->at != (op->kind == OP_COPY ? 'c' : 's'))
        return wrong(parse, op->kind == OP_COPY ? "a copy c0 to c3 is expected"
                                                : "a snapshot s0 to s3 is expected");
    parse->at++;
    if (!number(parse, TRACE_SLOTS - 1, &slot))
        return false;
    op->slot = (uint32_t)slot;
    return true;
}

/* What stands right behind "file=". */
static bool parse_file(struct parse *parse, char *file, size_t room)
{
    if (*parse->at == '\0' || *parse->at == ' ' || *parse->at == '\t')
        return wrong(parse, "a file is expected");
    return next_word(parse, file, room);
}

static bool parse_fault(struct parse *parse, struct op *op)
{
    const char *what;

    if (parse->trace->fault_count == TRACE_FAULTS)
        return wrong(parse, "too many faults");
    what = fault_parse(&parse->at, &parse->trace->faults[parse->trace->fault_count]);
    if (what)
        return wrong(parse, what);
    op->slot = parse->trace->fault_count++;
    return true;
}

static bool parse_fill(struct parse *parse, enum pc_fill *fill)
{
    if (accept(parse, "zeros"))
        *fill = PC_FILL_ZERO;
    else if (accept(parse, "noise"))
        *fill = PC_FILL_NOISE;
    else if (accept(parse, "question"))
        *fill = PC_FILL_QUESTION_MARK;
    else
        return wrong(parse, "zeros, noise or question is expected");
    return true;
}

static bool parse_crash(struct parse *parse, struct crash *crash)
{
    char word[48];
    uint64_t n;

    *crash = (struct crash){.place = CRASH_END, .nth = 1};
    for (;;) {
        if (accept(parse, "end")) {
            crash->place = CRASH_END;
        } else if (accept(parse, "seed=")) {
            crash->place = CRASH_SEED;
            if (!number(parse, UINT64_MAX, &crash->seed))
                return false;
        } else if (accept(parse, "before=")) {
            crash->place = CRASH_BEFORE;
            if (!next_word(parse, word, sizeof word) || !pc_call_kind_from_name(word, &crash->call))
                return wrong(parse, "a call is expected (powercut list calls)");
            snprintf(crash->file, sizeof crash->file, "*");
        } else if (accept(parse, "file=")) {
            if (!parse_file(parse, crash->file, sizeof crash->file))
                return false;
            if (strcmp(crash->file, "/") == 0)
                crash->file[0] = '\0';
        } else if (accept(parse, "nth=")) {
            if (!number(parse, UINT32_MAX, &n))
                return false;
            crash->nth = (uint32_t)n;
        } else if (accept(parse, "inside")) {
            crash->inside = true;
        } else if (accept(parse, "image=")) {
            if (!peek(parse, "oldest") && !peek(parse, "newest"))
                return wrong(parse, "oldest or newest is expected");
            crash->oldest = accept(parse, "oldest") || !accept(parse, "newest");
        } else if (accept(parse, "fill=")) {
            if (!parse_fill(parse, &crash->fill))
                return false;
        } else {
            return true;
        }
    }
}

static bool parse_item(struct parse *parse, struct item_name *item)
{
    char word[48];
    uint64_t n;
    bool found = false;

    next_word(parse, word, sizeof word);
    for (int i = 0; i <= PC_ITEM_NAME; i++)
        if (strcmp(item_names[i], word) == 0) {
            item->kind = (enum pc_item_kind)i;
            found = true;
        }
    if (!found)
        return wrong(parse, "data, size, map, truncate or name is expected");
    if (!next_word(parse, item->path, sizeof item->path))
        return wrong(parse, "a path is expected");
    if (strcmp(item->path, "/") == 0)
        item->path[0] = '\0';
    item->version = 1;
    for (;;) {
        if (accept(parse, "offset=")) {
            if (!number(parse, UINT64_MAX, &item->offset))
                return false;
        } else if (accept(parse, "version=")) {
            if (!number(parse, UINT32_MAX, &n))
                return false;
            item->version = (uint32_t)n;
        } else {
            return true;
        }
    }
}

static bool parse_trouble(struct parse *parse, struct op *op)
{
    static const char *const known[] = {"bitrot", "read-error", "write-error", "no-memory"};
    uint64_t n = 1;
    bool found = false;

    next_word(parse, op->word, sizeof op->word);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        found |= strcmp(known[i], op->word) == 0;
    if (!found)
        return wrong(parse, "bitrot, read-error, write-error or no-memory is expected");
    if (accept(parse, "nth=") && !number(parse, UINT32_MAX, &n))
        return false;
    op->slot = (uint32_t)n;
    return true;
}

static bool parse_shift(struct parse *parse, struct op *op)
{
    uint64_t n;
    bool back;

    blanks(parse);
    back = *parse->at == '-';
    if (*parse->at != '-' && *parse->at != '+')
        return wrong(parse, "+N or -N is expected");
    parse->at++;
    if (!number(parse, UINT32_MAX, &n))
        return false;
    op->shift = back ? -(int64_t)n : (int64_t)n;
    return true;
}

static bool parse_range(struct parse *parse, struct op *op)
{
    blanks(parse);
    if (*parse->at == '\0')
        return true;
    if (!accept(parse, "*") && !parse_key(parse, &op->key))
        return false;
    return accept(parse, "*") || parse_key(parse, &op->key_end);
}

static bool parse_arguments(struct parse *parse, struct op *op)
{
    switch (op->kind) {
    case OP_PUT:
    case OP_DELETE:
    case OP_DELETE_RANGE:
        return parse_write(parse, op->kind);
    case OP_BATCH:
        return parse_batch(parse);
    case OP_GET:
    case OP_SEEK:
        return parse_key(parse, &op->key);
    case OP_SNAPSHOT:
    case OP_RELEASE:
    case OP_COPY:
        return parse_slot(parse, op);
    case OP_AT:
        if (!parse_slot(parse, op))
            return false;
        blanks(parse);
        return *parse->at == '\0' || parse_key(parse, &op->key);
    case OP_COMPACT:
        return parse_range(parse, op);
    case OP_CLOCK:
        return parse_shift(parse, op);
    case OP_FAULT:
        return parse_fault(parse, op);
    case OP_CRASH:
        return parse_crash(parse, &op->crash);
    case OP_LOSE:
    case OP_KEEP:
        return parse_item(parse, &op->item);
    case OP_TROUBLE:
        return parse_trouble(parse, op);
    case OP_SHOW:
    case OP_REACHED:
        return next_word(parse, op->word, sizeof op->word) || wrong(parse, "a word is expected");
    default:
        return true;
    }
}

static bool parse_disk(struct parse *parse)
{
    struct pc_disk_config *disk = &parse->trace->disk;
    char word[48];
    uint64_t n;

    for (;;) {
        if (accept(parse, "model=")) {
            if (!next_word(parse, word, sizeof word) || !pc_model_from_name(word, &disk->model))
                return wrong(parse, "a model is expected (powercut list models)");
            if (!pc_model_simulated(disk->model))
                return wrong(parse, "this model is not simulated");
        } else if (accept(parse, "unit=")) {
            if (!number(parse, 16384, &n))
                return false;
            if (n == 0 || (n & (n - 1)))
                return wrong(parse, "a unit is a power of two up to 16384");
            disk->unit = (uint32_t)n;
        } else if (accept(parse, "psow=off")) {
            disk->destroys = true;
        } else if (accept(parse, "psow=on")) {
            disk->destroys = false;
        } else {
            return true;
        }
    }
}

static bool parse_store(struct parse *parse)
{
    if (!next_word(parse, parse->trace->store, sizeof parse->trace->store))
        return wrong(parse, "the name of a store is expected");
    blanks(parse);
    snprintf(parse->trace->tuning, sizeof parse->trace->tuning, "%s", parse->at);
    parse->at += strlen(parse->at);
    return true;
}

bool trace_parse(struct trace *trace, const char *line, uint32_t number_of_line, char *why,
                 size_t room)
{
    struct parse parse = {trace, line, why, room};
    char word[48];
    struct op *op = NULL;

    next_word(&parse, word, sizeof word);
    if (strcmp(word, "disk") == 0) {
        if (!parse_disk(&parse))
            return false;
    } else if (strcmp(word, "store") == 0) {
        if (!parse_store(&parse))
            return false;
    } else {
        for (int i = 0; i < OP_KINDS && op == NULL; i++)
            if (strcmp(op_names[i], word) == 0)
                op = trace_add(trace, (enum op_kind)i);
        if (op == NULL) {
            parse.at = line;
            return wrong(&parse, "no such step (powercut list steps)");
        }
        op->line = number_of_line;
        if (!parse_arguments(&parse, op))
            return false;
        op = &trace->ops[trace->op_count - 1];
        op->sync = (op->kind == OP_PUT || op->kind == OP_DELETE || op->kind == OP_DELETE_RANGE ||
                    op->kind == OP_BATCH) &&
                   accept(&parse, "sync");
    }
    blanks(&parse);
    return *parse.at == '\0' || wrong(&parse, "nothing more is expected");
}
