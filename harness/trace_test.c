/* trace_test.c: the text of traces. What the generator draws, and what it never draws but a .crash
 * file may say, prints and parses back to the same operations. Lines that are no steps are refused
 * with words and a place, and random damage to lines never does worse than that. */
#include "trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/rng.h"

/* ---- comparing ---- */

static bool same_key(const struct trace *a, uint16_t i, const struct trace *b, uint16_t j)
{
    if (i == TRACE_NO_KEY || j == TRACE_NO_KEY)
        return i == j;
    return bytes_equal(a->keys[i], b->keys[j]);
}

static bool same_write(const struct trace *a, const struct trace_write *x, const struct trace *b,
                       const struct trace_write *y)
{
    if (!same_key(a, x->key_end, b, y->key_end) || x->is_delete != y->is_delete ||
        !same_key(a, x->key, b, y->key))
        return false;
    if (x->is_delete)
        return true;
    if (x->ttl != y->ttl || x->value.len != y->value.len || !x->value.text != !y->value.text)
        return false;
    return x->value.text ? memcmp(x->value.text, y->value.text, x->value.len) == 0
                         : x->value.seed == y->value.seed;
}

static bool same_crash(const struct crash *x, const struct crash *y)
{
    if (x->place != y->place || x->fill != y->fill)
        return false;
    if (x->place == CRASH_SEED)
        return x->seed == y->seed;
    if (x->oldest != y->oldest)
        return false;
    return x->place == CRASH_END ||
           (x->call == y->call && x->nth == y->nth && strcmp(x->file, y->file) == 0);
}

static bool same_fault(const struct pc_fault *x, const struct pc_fault *y)
{
    return x->kind == y->kind && x->call == y->call && x->nth == y->nth && x->error == y->error &&
           x->rate == y->rate && pc_fault_lasts(x) == pc_fault_lasts(y) &&
           (!pc_fault_lasts(x) || x->times == y->times) && strcmp(x->file, y->file) == 0;
}

static bool same_item(const struct item_name *x, const struct item_name *y)
{
    return x->kind == y->kind && strcmp(x->path, y->path) == 0 && x->version == y->version &&
           (x->kind == PC_ITEM_NAME || x->offset == y->offset);
}

static bool same_op(const struct trace *a, const struct op *x, const struct trace *b,
                    const struct op *y)
{
    bool same = x->kind == y->kind && x->sync == y->sync && x->writes == y->writes &&
                same_key(a, x->key, b, y->key) && same_key(a, x->key_end, b, y->key_end);

    for (uint32_t i = 0; same && i < x->writes; i++)
        same = same_write(a, &a->writes[x->first_write + i], b, &b->writes[y->first_write + i]);
    if (!same)
        return false;
    switch (x->kind) {
    case OP_SNAPSHOT:
    case OP_RELEASE:
    case OP_AT:
    case OP_COPY:
        return x->slot == y->slot;
    case OP_CLOCK:
        return x->shift == y->shift;
    case OP_FAULT:
        return same_fault(&a->faults[x->slot], &b->faults[y->slot]);
    case OP_CRASH:
        return same_crash(&x->crash, &y->crash);
    case OP_LOSE:
    case OP_KEEP:
        return same_item(&x->item, &y->item);
    case OP_SHOW:
    case OP_REACHED:
        return strcmp(x->word, y->word) == 0;
    case OP_TROUBLE:
        return strcmp(x->word, y->word) == 0 && x->slot == y->slot;
    default:
        return true;
    }
}

/* ---- there and back ---- */

static char *printed(const struct trace *trace)
{
    size_t size;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    trace_print(out, trace);
    fclose(out);
    return text;
}

static void parse_all(struct trace *trace, char *text)
{
    char why[160] = "", *rest = text, *line;
    uint32_t number = 0;

    trace_init(trace);
    while ((line = strsep(&rest, "\n")) != NULL)
        if (*line && !trace_parse(trace, line, ++number, why, sizeof why))
            fail_msg("%s: %s", line, why);
}

static void there_and_back(const struct trace *trace)
{
    char *text = printed(trace), *copy = strdup(text), *again;
    struct trace back;

    assert_non_null(copy);
    parse_all(&back, copy);
    assert_int_equal(back.op_count, trace->op_count);
    assert_int_equal(back.disk.model, trace->disk.model);
    assert_int_equal(back.disk.unit, trace->disk.unit);
    assert_string_equal(back.store, trace->store);
    assert_string_equal(back.tuning, trace->tuning);
    for (uint32_t i = 0; i < trace->op_count; i++)
        if (!same_op(trace, &trace->ops[i], &back, &back.ops[i])) {
            trace_print_op(stderr, trace, &trace->ops[i]);
            trace_print_op(stderr, &back, &back.ops[i]);
            fail_msg("operation %u came back as another", (unsigned)i + 1);
        }
    again = printed(&back);
    assert_string_equal(again, text);
    free(again);
    free(copy);
    free(text);
    trace_release(&back);
}

static void generate(struct trace *trace, uint64_t seed)
{
    static const uint32_t lanes[] = {0, 1u << PC_FAULT_EIO, 1u << PC_FAULT_LOSTSYNC,
                                     1u << PC_FAULT_SHORT | 1u << PC_FAULT_EINTR,
                                     (1u << PC_FAULT_KINDS) - 1};
    struct generator generator = {.ops = 5 + (uint32_t)(seed % 60), .crashes = seed % 3 == 0};
    struct pc_fault faults[TRACE_FAULTS];
    struct tape tape;
    uint32_t count = 0;

    tape_init(&tape, seed);
    trace_init(trace);
    trace->disk.model = (enum pc_model)(seed % 5);
    trace->disk.unit = 1u << (seed % 15);
    trace_generate(trace, &tape, &generator);
    tape_release(&tape);
    for (int kind = 0; kind < PC_FAULT_KINDS; kind++)
        for (int call = 0; call < PC_CALL_KINDS && count < TRACE_FAULTS; call++)
            if ((lanes[seed % 5] >> kind & 1) && (seed + (uint64_t)call) % 3 == 0 &&
                pc_fault_fits((enum pc_fault_kind)kind, (enum pc_call_kind)call))
                faults[count++] = (struct pc_fault){
                    .kind = (enum pc_fault_kind)kind,
                    .call = (enum pc_call_kind)call,
                    .error = kind == PC_FAULT_ERROR ? pc_errno_of((enum pc_call_kind)call, 0) : 0,
                    .file = "*.log",
                    .nth = 1 + (uint32_t)(seed % 9)};
    trace_arm(trace, faults, count);
}

static void generated_traces_come_back(void **state)
{
    uint32_t kinds[OP_KINDS] = {0};

    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct trace trace;

        generate(&trace, seed);
        assert_true(trace.op_count > 0);
        for (uint32_t i = 0; i < trace.op_count; i++)
            kinds[trace.ops[i].kind]++;
        there_and_back(&trace);
        trace_release(&trace);
    }
    for (int kind = 0; kind <= OP_REOPEN; kind++)
        assert_true(kinds[kind] > 50);
    assert_true(kinds[OP_FAULT] > 50 && kinds[OP_CRASH] > 50 && kinds[OP_RECOVER] > 50);
}

static void one_seed_is_one_trace(void **state)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct trace a, b, c;
        char *x, *y, *z;

        generate(&a, seed);
        generate(&b, seed);
        trace_copy(&c, &a);
        x = printed(&a);
        y = printed(&b);
        trace_release(&a);
        z = printed(&c);
        assert_string_equal(x, y);
        assert_string_equal(x, z);
        free(x);
        free(y);
        free(z);
        trace_release(&b);
        trace_release(&c);
    }
}

/* ---- operations that are not drawn ---- */

static struct bytes random_word(struct rng *rng, uint8_t *room, size_t max)
{
    static const char *const hard[] = {"",     "*",     "sync", ",",  "delete", "put",
                                       "len=", "s0",    "end",  "\"", "a b",    "\n",
                                       "----", "seed=", "/",    "#",  "len=3",  "\\x00"};
    size_t len = rng_below(rng, max + 1);

    if (rng_chance(rng, 1, 2)) {
        const char *word = hard[rng_below(rng, sizeof hard / sizeof hard[0])];

        len = strlen(word);
        memcpy(room, word, len);
    } else {
        for (size_t i = 0; i < len; i++)
            room[i] = (uint8_t)rng_below(rng, 256);
    }
    return bytes_of(room, len);
}

static uint16_t random_key(struct trace *trace, struct rng *rng)
{
    uint8_t room[64];

    return trace_key(trace, random_word(rng, room, 30));
}

static void random_range(struct trace *trace, struct rng *rng, struct trace_write *write)
{
    int c = 0;

    while (c == 0) {
        write->key_end = random_key(trace, rng);
        c = bytes_compare(trace->keys[write->key], trace->keys[write->key_end]);
    }
    if (c > 0) {
        uint16_t swap = write->key;

        write->key = write->key_end;
        write->key_end = swap;
    }
}

static void add_random_write(struct trace *trace, struct rng *rng, struct op *op, bool is_delete)
{
    uint8_t room[6000];
    uint16_t key = random_key(trace, rng);
    struct value value = {(uint32_t)rng_below(rng, 1u << 24), (uint32_t)rng_next(rng), NULL};

    if (is_delete) {
        value = (struct value){0};
    } else if (rng_chance(rng, 1, 2)) {
        struct bytes text = random_word(rng, room, rng_chance(rng, 1, 20) ? sizeof room : 40);
        char *copy = malloc(text.len + 1);

        assert_non_null(copy);
        memcpy(copy, text.data, text.len);
        value = (struct value){(uint32_t)text.len, 0, copy};
    }
    trace_add_write(trace, op, is_delete, key, value);
    if (is_delete &&
        (op->kind == OP_DELETE_RANGE || (op->kind == OP_BATCH && rng_chance(rng, 1, 2))))
        random_range(trace, rng, &trace->writes[trace->write_count - 1]);
    if (!is_delete && rng_chance(rng, 1, 3))
        trace->writes[trace->write_count - 1].ttl = (uint32_t)rng_next(rng);
}

static void name_place(char *out, size_t room, struct rng *rng, bool root)
{
    static const char *const names[] = {
        "*",       "*.log", "000001.log", "CURRENT", "MANIFEST-000001", "db/000007.sst",
        "[a-z]?*", "end",   "before=x"};

    snprintf(out, room, "%s",
             root && rng_chance(rng, 1, 8) ? ""
                                           : names[rng_below(rng, sizeof names / sizeof *names)]);
}

static void add_random_fault(struct trace *trace, struct rng *rng, struct op *op)
{
    struct pc_fault *fault = &trace->faults[trace->fault_count];

    op->slot = trace->fault_count++;
    *fault = (struct pc_fault){.kind = (enum pc_fault_kind)rng_below(rng, PC_FAULT_KINDS),
                               .call = (enum pc_call_kind)rng_below(rng, PC_CALL_CLASSES_END),
                               .nth = (uint32_t)rng_next(rng),
                               .times = (uint32_t[]){0, 1, 7, PC_FOREVER}[rng_below(rng, 4)]};
    while (!pc_fault_fits(fault->kind, fault->call))
        fault->call = (enum pc_call_kind)rng_below(rng, PC_CALL_CLASSES_END);
    if (fault->kind == PC_FAULT_ERROR)
        fault->error = pc_errno_legal(fault->call, EIO) ? EIO : pc_errno_of(fault->call, 0);
    fault->rate = rng_chance(rng, 1, 3) ? 1 + (uint32_t)rng_below(rng, 99) : 0;
    name_place(fault->file, sizeof fault->file, rng, false);
}

static void add_random_crash(struct rng *rng, struct crash *crash)
{
    *crash = (struct crash){.place = (enum crash_place)rng_below(rng, 3),
                            .fill = (enum pc_fill)rng_below(rng, 3)};
    if (crash->place == CRASH_SEED) {
        crash->seed = rng_next(rng);
        return;
    }
    crash->oldest = rng_chance(rng, 1, 2);
    if (crash->place == CRASH_END)
        return;
    crash->call = (enum pc_call_kind)rng_below(rng, PC_CALL_KINDS);
    crash->nth = (uint32_t)rng_next(rng);
    name_place(crash->file, sizeof crash->file, rng, true);
}

static void add_random_op(struct trace *trace, struct rng *rng)
{
    enum op_kind kind = (enum op_kind)rng_below(rng, OP_KINDS);
    struct op *op;

    if (kind == OP_FAULT && trace->fault_count == TRACE_FAULTS)
        kind = OP_CHECK;
    op = trace_add(trace, kind);
    if (kind == OP_PUT || kind == OP_DELETE || kind == OP_DELETE_RANGE || kind == OP_BATCH) {
        uint32_t writes = kind == OP_BATCH ? 1 + (uint32_t)rng_below(rng, 6) : 1;

        for (uint32_t i = 0; i < writes; i++)
            add_random_write(trace, rng, op,
                             kind == OP_DELETE || kind == OP_DELETE_RANGE ||
                                 (kind == OP_BATCH && rng_chance(rng, 1, 3)));
        op->sync = rng_chance(rng, 1, 2);
    }
    if (kind == OP_GET || kind == OP_SEEK || (kind == OP_AT && rng_chance(rng, 1, 2)))
        op->key = random_key(trace, rng);
    if (kind == OP_COMPACT && rng_chance(rng, 2, 3))
        op->key = random_key(trace, rng);
    if (kind == OP_COMPACT && rng_chance(rng, 2, 3))
        op->key_end = random_key(trace, rng);
    if (kind == OP_SNAPSHOT || kind == OP_AT || kind == OP_RELEASE || kind == OP_COPY)
        op->slot = (uint32_t)rng_below(rng, TRACE_SLOTS);
    if (kind == OP_CLOCK)
        op->shift = (int64_t)rng_below(rng, UINT32_MAX) * (rng_chance(rng, 1, 2) ? 1 : -1);
    if (kind == OP_FAULT)
        add_random_fault(trace, rng, op);
    if (kind == OP_CRASH)
        add_random_crash(rng, &op->crash);
    if (kind == OP_LOSE || kind == OP_KEEP) {
        op->item = (struct item_name){.kind = (enum pc_item_kind)rng_below(rng, PC_ITEM_NAME + 1),
                                      .version = (uint32_t)rng_next(rng)};
        op->item.offset = op->item.kind == PC_ITEM_NAME ? 0 : rng_next(rng);
        name_place(op->item.path, sizeof op->item.path, rng, true);
    }
    if (kind == OP_SHOW || kind == OP_REACHED)
        snprintf(op->word, sizeof op->word, "word_%u", (unsigned)rng_below(rng, 100));
    if (kind == OP_TROUBLE) {
        static const char *const troubles[] = {"bitrot", "read-error", "write-error", "no-memory"};

        snprintf(op->word, sizeof op->word, "%s", troubles[rng_below(rng, 4)]);
        op->slot = 1 + (uint32_t)rng_below(rng, 1000);
    }
}

static void every_kind_of_step_comes_back(void **state)
{
    struct rng rng = rng_seeded(8);

    for (int i = 0; i < 400; i++) {
        struct trace trace;

        trace_init(&trace);
        snprintf(trace.tuning, sizeof trace.tuning, "%s", i % 2 ? "a=1 b=2" : "");
        for (int op = 0; op < 30; op++)
            add_random_op(&trace, &rng);
        there_and_back(&trace);
        trace_release(&trace);
    }
}

/* ---- lines that are no steps ---- */

static bool parses(const char *line, char *why, size_t room)
{
    struct trace trace;
    bool ok;

    trace_init(&trace);
    snprintf(why, room, "%s", "");
    ok = trace_parse(&trace, line, 1, why, room);
    trace_release(&trace);
    return ok;
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
    static const struct {
        const char *line, *what, *at;
    } cases[] = {
        {"", "no such step", "\"\""},
        {"putt a 1", "no such step", "\"putt a 1\""},
        {"put", "a key is expected", "\"\""},
        {"put a", "a value is expected", "\"\""},
        {"put \"a", "a key is expected", "\"\""},
        {"put a \"\\y\"", "a value is expected", "\"\\y\"\""},
        {"put a len=x", "a number is expected", "\"x\""},
        {"put a len=-1 seed=1", "a number is expected", "\"-1 seed=1\""},
        {"put a len=99999999999 seed=1", "a number is expected", "\"99999999999 seed=1\""},
        {"put a len=16777217 seed=1", "a number is expected", "\"16777217 seed=1\""},
        {"put a len=1", "seed=N is expected", "\"\""},
        {"put a len=1 seed=4294967296", "a number is expected", "\"4294967296\""},
        {"put a 1 syncc", "nothing more is expected", "\"syncc\""},
        {"get", "a key is expected", "\"\""},
        {"get a b", "nothing more is expected", "\"b\""},
        {"get a sync", "nothing more is expected", "\"sync\""},
        {"batch", "put, delete or deleterange is expected", "\"\""},
        {"batch get a", "put, delete or deleterange is expected", "\"get a\""},
        {"batch put a 1 ,", "put, delete or deleterange is expected", "\"\""},
        {"snapshot", "a snapshot s0 to s3 is expected", "\"\""},
        {"snapshot s4", "a number is expected", "\"4\""},
        {"at s0 a b", "nothing more is expected", "\"b\""},
        {"compact a", "a key is expected", "\"\""},
        {"fault", "a kind of fault is expected", "\"\""},
        {"fault eio op=fly", "a call is expected", "\"\""},
        {"fault short op=rename", "this kind of fault cannot happen to that call", "\"\""},
        {"fault eio nth=", "a number is expected", "\"\""},
        {"fault error op=open errno=ENOSPC", "errno= is expected", "\"\""},
        {"fault error op=open", "errno= is expected", "\"\""},
        {"fault error op=open errno=EWHAT", "an errno is expected", "\"\""},
        {"fault eio rate=3", "a rate is expected", "\"\""},
        {"fault eio times=ever", "a number is expected, or forever", "\"\""},
        {"fault eio op=any-name kind=3",
         "op=, file=, nth=, times=, rate=, errno=, room=, at=, from= or order= is expected",
         "\"\""},
        {"fault lostsync op=any-name", "this kind of fault cannot happen to that call", "\"\""},
        {"fault eio file= nth=3", "a file is expected", "\" nth=3\""},
        {"fault eio file=", "a file is expected", "\"\""},
        {"crash before=fly", "a call is expected", "\"\""},
        {"crash before=write file=", "a file is expected", "\"\""},
        {"crash image=middle", "oldest or newest is expected", "\"middle\""},
        {"crash fill=snow", "zeros, noise or question is expected", "\"snow\""},
        {"crash somewhere", "nothing more is expected", "\"somewhere\""},
        {"lose", "data, size, map, truncate or name is expected", "\"\""},
        {"lose data", "a path is expected", "\"\""},
        {"keep data f offset=", "a number is expected", "\"\""},
        {"show", "a word is expected", "\"\""},
        {"disk model=fat", "a model is expected", "\"\""},
        {"disk unit=3", "a unit is a power of two", "\"\""},
        {"disk unit=0", "a unit is a power of two", "\"\""},
        {"disk unit=32768", "a number is expected", "\"32768\""},
        {"store", "the name of a store is expected", "\"\""},
    };
    char why[160];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (parses(cases[i].line, why, sizeof why))
            fail_msg("\"%s\" is taken for a step", cases[i].line);
        if (strstr(why, cases[i].what) != why || !strstr(why, cases[i].at))
            fail_msg("\"%s\": %s", cases[i].line, why);
    }
}

/* The runner takes so many writes at once and no more. */
static void a_batch_has_a_limit(void **state)
{
    char line[2048] = "batch", why[160];

    for (int i = 0; i < TRACE_BATCH_MAX; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), "%s put k%d 1", i ? " ," : "", i);
    assert_true(parses(line, why, sizeof why));
    snprintf(line + strlen(line), sizeof line - strlen(line), " , delete a");
    assert_false(parses(line, why, sizeof why));
    assert_non_null(strstr(why, "at most 64 writes"));
}

static void too_many_faults_are_refused(void **state)
{
    struct trace trace;
    char why[160];

    trace_init(&trace);
    for (int i = 0; i < TRACE_FAULTS; i++)
        assert_true(trace_parse(&trace, "fault eio op=write file=* nth=1", 1, why, sizeof why));
    assert_false(trace_parse(&trace, "fault eio op=write file=* nth=1", 1, why, sizeof why));
    assert_non_null(strstr(why, "too many faults"));
    trace_release(&trace);
}

/* ---- damage ---- */

static void damage(char *line, size_t room, struct rng *rng)
{
    size_t len = strlen(line);
    uint64_t times = 1 + rng_below(rng, 3);

    for (uint64_t i = 0; i < times && len > 0; i++) {
        size_t at = rng_below(rng, len);

        switch (rng_below(rng, 6)) {
        case 0:
            line[at] = '\0';
            break;
        case 1:
            line[at] = (char)(line[at] ^ 1 << rng_below(rng, 8));
            break;
        case 2:
            line[at] = " \t\"\\=,*0s/"[rng_below(rng, 10)];
            break;
        case 3:
            memmove(line + at, line + at + 1, len - at);
            break;
        case 4:
            if (len + 1 < room) {
                memmove(line + at + 1, line + at, len - at + 1);
                line[at] = (char)(1 + rng_below(rng, 255));
            }
            break;
        default:
            line[at] = (char)rng_below(rng, 256);
            break;
        }
        for (char *end; (end = strchr(line, '\n')) != NULL;)
            *end = 'n';
        len = strlen(line);
    }
}

/* A line that is taken in spite of its damage means what it prints as. */
static void check_damaged(const char *line, uint64_t *taken)
{
    struct trace trace;
    char why[160] = "", *exact = strdup(line);

    assert_non_null(exact);
    trace_init(&trace);
    if (trace_parse(&trace, exact, 7, why, sizeof why)) {
        ++*taken;
        if (trace.op_count)
            assert_int_equal(trace.ops[0].line, 7);
        there_and_back(&trace);
    } else if (!strstr(why, " at \"")) {
        fail_msg("\"%s\": %s", line, why);
    }
    trace_release(&trace);
    free(exact);
}

static void damaged_lines_never_do_harm(void **state)
{
    struct rng rng = rng_seeded(12);
    uint64_t tried = 0, taken = 0;

    while (tried < 50000) {
        struct trace trace;
        char *text, *rest, *line;

        trace_init(&trace);
        for (int op = 0; op < 30; op++)
            add_random_op(&trace, &rng);
        rest = text = printed(&trace);
        while ((line = strsep(&rest, "\n")) != NULL) {
            char copy[400];

            for (int i = 0; i < 10 && *line; i++, tried++) {
                snprintf(copy, sizeof copy, "%s", line);
                damage(copy, sizeof copy, &rng);
                check_damaged(copy, &taken);
            }
        }
        free(text);
        trace_release(&trace);
    }
    assert_true(taken > 1000 && taken < tried - 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generated_traces_come_back),
        cmocka_unit_test(one_seed_is_one_trace),
        cmocka_unit_test(every_kind_of_step_comes_back),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(a_batch_has_a_limit),
        cmocka_unit_test(too_many_faults_are_refused),
        cmocka_unit_test(damaged_lines_never_do_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
