/* threads_play.c: one run of threads.h: what the threads do, what they were told, and the judgement
 * over it. */
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <unistd.h>

#include "base/check.h"
#include "base/rng.h"
#include "powercut/posix.h"
#include "powercut/sched.h"
#include "threads.h"

#define KEYS        7u
#define BATCH_MOST  4u
#define VALUE_MOST  256u
#define POINT_LIMIT 2000000u

/* A unit, with the threads' own time: it goes on by one whenever something begins or ends. */
struct write_record {
    uint32_t thread, op;
    bool sync;
    uint64_t start, stop;
    size_t begun, ended; /* calls of the disk */
    uint64_t seq;
    uint32_t first, count;
};

/* One moment of the store that somebody looked at: a read, or all reads of a snapshot. */
struct view {
    uint32_t thread, op;
    uint64_t start, stop;
    uint32_t low, high; /* cuts that it may show */
};

struct read_record {
    uint32_t view;
    bool whole; /* a scan; else one key */
    uint32_t key;
    bool present;
    uint32_t len;
    uint64_t hash;
    struct seen seen;
};

struct run {
    const struct pc_store *store;
    const struct threads_setting *setting;
    struct threads_outcome *out;
    struct session session;
    uint64_t time;
    struct write_record *units;
    struct model_write *writes;
    struct view *views;
    struct read_record *reads;
    uint32_t unit_count, write_count, view_count, read_count;
};

struct worker {
    struct run *run;
    uint32_t number;
    pthread_t os;
};

static const char *const keys[KEYS] = {"a", "aa", "b", "bc", "k", "kk0", "z"};

static struct run *stuck_run; /* there is one at a time in a process */

static size_t now(const struct run *run)
{
    return pc_disk_call_count(run->session.disk);
}

static void violate(struct run *run, enum rule rule, uint32_t thread, uint32_t op, const char *what,
                    const char *detail)
{
    struct verdict *verdict = &run->out->verdict;

    if (verdict->rule != RULE_NONE)
        return;
    verdict->rule = rule;
    snprintf(verdict->text, sizeof verdict->text, "thread %u, op %u: %.200s%s%.300s",
             (unsigned)thread, (unsigned)op, what, detail[0] ? ": " : "", detail);
}

static void stuck(void *ctx, enum pc_sched_end end, const char *story)
{
    struct verdict *verdict = &stuck_run->out->verdict;

    (void)ctx;
    if (verdict->rule == RULE_NONE) {
        verdict->rule = RULE_HANG;
        snprintf(verdict->text, sizeof verdict->text, "%s: %.500s",
                 end == PC_SCHED_DEADLOCK ? "every thread waits" : "no end in sight", story);
    }
    _exit(0);
}

/* ---- what the threads do ---- */

static void write_some(struct worker *worker, uint32_t op, struct rng *r, uint32_t count)
{
    struct run *run = worker->run;
    struct write_record *unit = &run->units[run->unit_count];
    struct pc_write writes[BATCH_MOST];
    char values[BATCH_MOST][VALUE_MOST];
    struct pc_store_error error = {0};
    enum pc_store_status st;
    uint64_t seq = 0;
    bool ranges = run->store->promises & PC_PROMISE_RANGES;

    *unit = (struct write_record){.thread = worker->number,
                                  .op = op,
                                  .sync = rng_chance(r, 1, 4),
                                  .first = run->write_count,
                                  .count = count};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = (uint32_t)rng_below(r, KEYS);
        size_t len = (size_t[]){8, 24, 100, 250}[rng_below(r, 4)];
        int used = snprintf(values[i], VALUE_MOST, "%u.%u.%u;", (unsigned)worker->number,
                            (unsigned)op, (unsigned)i);

        memset(values[i] + used, 'a' + (int)key, VALUE_MOST - (size_t)used);
        writes[i] = (struct pc_write){.is_delete = rng_chance(r, 1, 6),
                                      .key = bytes_str(keys[key]),
                                      .value = bytes_of(values[i], len)};
        if (ranges && writes[i].is_delete && rng_chance(r, 1, 3) && key + 1 < KEYS) {
            writes[i].is_range = true;
            writes[i].value = bytes_str(keys[key + 1 + rng_below(r, KEYS - key - 1)]);
        } else if (writes[i].is_delete) {
            writes[i].value = bytes_of(NULL, 0);
        }
        run->writes[run->write_count++] =
            (struct model_write){.is_delete = writes[i].is_delete,
                                 .key = writes[i].key,
                                 .hash = writes[i].is_delete ? 0 : model_hash(writes[i].value),
                                 .len = writes[i].is_delete ? 0 : (uint32_t)len,
                                 .is_range = writes[i].is_range,
                                 .end = writes[i].is_range ? writes[i].value : bytes_of(NULL, 0)};
    }
    run->unit_count++;
    unit->start = ++run->time;
    unit->begun = now(run);
    unit->stop = UINT64_MAX;
    st = run->store->write(run->session.db, writes, count, unit->sync, &seq, &error);
    unit->ended = now(run);
    unit->stop = ++run->time;
    unit->seq = seq;
    if (st)
        violate(run, RULE_PROGRESS, worker->number, op, "a write fails", error.text);
    else if (seq == 0)
        violate(run, RULE_TRUTH, worker->number, op, "a write has no sequence number", "");
}

static struct view *new_view(struct worker *worker, uint32_t op)
{
    struct view *view = &worker->run->views[worker->run->view_count++];

    *view = (struct view){
        .thread = worker->number, .op = op, .start = ++worker->run->time, .stop = UINT64_MAX};
    return view;
}

static void end_view(struct worker *worker, struct view *view)
{
    view->stop = ++worker->run->time;
}

static void take_value(void *ctx, struct bytes value)
{
    struct read_record *read = ctx;

    read->present = true;
    read->len = (uint32_t)value.len;
    read->hash = model_hash(value);
}

static void read_once(struct worker *worker, const struct view *view, void *snapshot, bool whole,
                      uint32_t key)
{
    struct run *run = worker->run;
    struct read_record *read = &run->reads[run->read_count++];
    struct pc_store_error error = {0};
    enum pc_store_status st;

    *read = (struct read_record){.view = (uint32_t)(view - run->views), .whole = whole, .key = key};
    st = whole ? judge_scan(run->store, run->session.db, snapshot, &read->seen, &error)
               : run->store->get(run->session.db, snapshot, bytes_str(keys[key]), take_value, read,
                                 &error);
    if (st && !(st == PC_STORE_NOT_FOUND && !whole))
        violate(run, RULE_READ, worker->number, view->op, "a read fails", error.text);
}

static void look(struct worker *worker, uint32_t op, struct rng *r)
{
    struct run *run = worker->run;
    struct pc_store_error error = {0};
    struct view *view = new_view(worker, op);
    uint32_t most = (uint32_t)rng_below(r, 3);
    void *snapshot = NULL;

    if (!(run->store->promises & PC_PROMISE_SNAPSHOT) || rng_chance(r, 1, 2)) {
        read_once(worker, view, NULL, rng_chance(r, 1, 3), (uint32_t)rng_below(r, KEYS));
        end_view(worker, view);
        return;
    }
    if (run->store->snapshot(run->session.db, &snapshot, &error)) {
        violate(run, RULE_READ, worker->number, op, "a snapshot fails", error.text);
        return;
    }
    end_view(worker, view);
    for (uint32_t i = 0; i <= most; i++) {
        read_once(worker, view, snapshot, i == most || rng_chance(r, 1, 2),
                  (uint32_t)rng_below(r, KEYS));
        for (uint64_t n = rng_below(r, 6); n > 0; n--)
            pc_sched_point();
    }
    run->store->release(run->session.db, snapshot);
}

static void maintain(struct worker *worker, uint32_t op, struct rng *r)
{
    struct run *run = worker->run;
    struct pc_store_error error = {0};
    struct bytes open = bytes_of(NULL, 0);
    enum pc_store_status st = PC_STORE_OK;

    switch (rng_below(r, 6)) {
    case 0:
        st = run->store->sync(run->session.db, &error);
        break;
    case 1:
        st = run->store->compact(run->session.db, open, open, &error);
        break;
    case 2:
        if (run->store->check && run->store->check(run->session.db, &error))
            violate(run, RULE_STRUCTURE, worker->number, op, "the store's check fails", error.text);
        break;
    default:
        st = run->store->flush(run->session.db, &error);
        break;
    }
    if (st)
        violate(run, RULE_PROGRESS, worker->number, op, "sync, flush or compact fails", error.text);
}

/* What an operation is depends on seed, thread and number, never on the schedule. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    const struct threads_setting *setting = worker->run->setting;

    for (uint32_t op = 0; op < setting->ops; op++) {
        struct rng r =
            rng_seeded(rng_mix(setting->seed) ^ rng_mix(worker->number * 1000003ull + op));
        uint64_t kind = rng_below(&r, 100);

        if (worker->run->out->verdict.rule != RULE_NONE)
            break;
        if (kind < 35)
            write_some(worker, op, &r, 1);
        else if (kind < 60)
            write_some(worker, op, &r, 2 + (uint32_t)rng_below(&r, BATCH_MOST - 1));
        else if (kind < 86)
            look(worker, op, &r);
        else
            maintain(worker, op, &r);
    }
    return NULL;
}

static void all_threads(void *arg)
{
    struct run *run = arg;
    struct worker workers[THREADS_MOST];
    struct session *session = &run->session;
    struct pc_store_error error = {0};
    char tuning[sizeof session->trace->tuning + 16];
    struct pc_store_env env = {.dir = STORE_DIR,
                               .alloc = heap_alloc,
                               .free = heap_free,
                               .alloc_ctx = &session->heap,
                               .tuning = tuning};
    uint32_t started = 0;

    snprintf(tuning, sizeof tuning, "%s background=1", session->trace->tuning);
    if (run->store->open(&env, &session->db, &error)) {
        session->db = NULL;
        violate(run, RULE_OPEN, 0, 0, "a new store does not open", error.text);
        return;
    }
    session->opened = now(run);
    for (; started < run->setting->threads; started++) {
        workers[started] = (struct worker){.run = run, .number = started};
        must(pthread_create(&workers[started].os, NULL, work, &workers[started]) == 0);
    }
    for (uint32_t i = 0; i < started; i++)
        must(pthread_join(workers[i].os, NULL) == 0);
    if (run->out->verdict.rule == RULE_NONE) { /* the last word */
        struct worker last = {.run = run, .number = started};
        struct view *view = new_view(&last, 0);

        read_once(&last, view, NULL, true, 0);
        end_view(&last, view);
    }
    if (run->store->close(session->db, &error))
        violate(run, RULE_PROGRESS, started, 0, "close fails", error.text);
    session->db = NULL;
    if (run->out->verdict.rule == RULE_NONE && session->heap.held)
        violate(run, RULE_LEAK, started, 0, "memory is left after close", "");
}

/* ---- the judgement ---- */

static int by_seq(const void *a, const void *b)
{
    uint64_t x = ((const struct write_record *)a)->seq, y = ((const struct write_record *)b)->seq;

    return x < y ? -1 : x > y;
}

/* Unit n of the model is units[n - 1] from here on. */
static void fill_model(struct run *run)
{
    struct model *model = &run->session.model;

    qsort(run->units, run->unit_count, sizeof *run->units, by_seq);
    for (uint32_t i = 0; i < run->unit_count; i++) {
        const struct write_record *unit = &run->units[i];

        if (i > 0 && unit->seq - unit->count < run->units[i - 1].seq)
            violate(run, RULE_TRUTH, unit->thread, unit->op,
                    "its sequence numbers belong to another write, too", "");
        model_begin(model, unit->op, unit->sync, &run->writes[unit->first], unit->count,
                    unit->begun);
    }
    for (uint32_t i = 0; i < run->unit_count; i++) {
        const struct write_record *unit = &run->units[i];

        for (uint32_t j = i + 1; j < run->unit_count; j++)
            if (run->units[j].stop < unit->start)
                violate(run, RULE_TRUTH, unit->thread, unit->op,
                        "it stands before a write that had ended when it began", "");
        model_end(model, i + 1, UNIT_OK, unit->seq, unit->ended);
    }
    if (!(run->store->promises & PC_PROMISE_SYNC))
        return;
    for (;;) { /* what is promised, in the order of time */
        const struct write_record *next = NULL;
        uint32_t units = model->promise_count ? model->promises[model->promise_count - 1].units : 0;

        for (uint32_t i = units; i < run->unit_count; i++)
            if (run->units[i].sync && (next == NULL || run->units[i].stop < next->stop))
                next = &run->units[i];
        if (next == NULL)
            return;
        model_promise(model, (uint32_t)(next - run->units) + 1, next->ended,
                      "a write with sync has returned");
    }
}

static bool shows(const struct run *run, const struct read_record *read, uint32_t cut)
{
    const struct model *model = &run->session.model;
    uint32_t present = 0;

    if (!read->whole) {
        const struct version *v = model_at(model, bytes_str(keys[read->key]), cut);
        bool there = v && !v->absent;

        return there == read->present && (!there || (v->len == read->len && v->hash == read->hash));
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct version *v = model_at(model, bytes_str(keys[i]), cut);
        const struct seen_entry *entry = seen_find(&read->seen, bytes_str(keys[i]));
        bool there = v && !v->absent;

        if (there != (entry != NULL) || (there && (v->len != entry->len || v->hash != entry->hash)))
            return false;
        present += there;
    }
    return present == read->seen.count;
}

static bool view_shows(const struct run *run, uint32_t view, uint32_t cut)
{
    for (uint32_t i = 0; i < run->read_count; i++)
        if (run->reads[i].view == view && !shows(run, &run->reads[i], cut))
            return false;
    return true;
}

/* The views stand in the order in which they began. */
static void judge_views(struct run *run)
{
    for (uint32_t i = 0; i < run->view_count; i++) {
        struct view *view = &run->views[i];
        char text[160];

        for (uint32_t u = 0; u < run->unit_count; u++) {
            if (run->units[u].stop < view->start)
                view->low = u + 1;
            if (run->units[u].start < view->stop)
                view->high = u + 1;
        }
        for (uint32_t e = 0; e < i; e++)
            if (run->views[e].stop < view->start && run->views[e].low > view->low)
                view->low = run->views[e].low;
        for (uint32_t cut = view->low; cut <= view->high; cut++)
            if (view_shows(run, i, cut)) {
                view->low = cut; /* whoever begins later sees this at least */
                break;
            } else if (cut == view->high) {
                snprintf(text, sizeof text,
                         "of %u writes, %u had been acknowledged or shown before it began, %u had "
                         "begun when it ended",
                         (unsigned)run->unit_count, (unsigned)view->low, (unsigned)view->high);
                violate(run, RULE_READ, view->thread, view->op,
                        "what it saw is the state of no moment", text);
            }
    }
}

static void explore_crashes(struct run *run, const struct budget *budget)
{
    struct explorer explorer;
    struct finding finding = {0};

    explorer_init(&explorer, budget, run->store, run->session.trace->tuning, run->setting->seed);
    explore_epoch(&explorer, &run->session, &finding);
    run->out->crash_points = explorer.tally.points;
    run->out->recoveries = explorer.tally.recoveries;
    if (finding.found)
        run->out->verdict = finding.verdict;
    explorer_release(&explorer);
}

static void allocate(struct run *run)
{
    size_t ops = (size_t)run->setting->threads * run->setting->ops + 1;

    run->units = calloc(ops, sizeof *run->units);
    run->writes = calloc(ops * BATCH_MOST, sizeof *run->writes);
    run->views = calloc(ops, sizeof *run->views);
    run->reads = calloc(ops * 3, sizeof *run->reads);
    must(run->units && run->writes && run->views && run->reads);
}

void threads_play(const struct pc_store *store, const struct budget *budget,
                  const struct threads_setting *setting, struct threads_outcome *out)
{
    struct generator generator = {.ops = 1};
    struct run run = {.store = store, .setting = setting, .out = out};
    struct pc_sched sched = {.seed = setting->schedule, .limit = POINT_LIMIT, .stuck = stuck};
    struct pc_sched_stats stats;
    struct trace trace;
    struct tape tape;

    must(setting->threads && setting->threads <= THREADS_MOST && setting->ops <= THREADS_OPS_MOST);
    *out = (struct threads_outcome){0};
    trace_init(&trace);
    tape_init(&tape, setting->seed);
    trace_generate(&trace, &tape, &generator); /* its settings; the operations are ours */
    trace.op_count = 0;
    trace.disk.model = setting->model;
    tape_release(&tape);
    allocate(&run);
    session_init(&run.session, &trace, store);
    stuck_run = &run;
    pc_sched_run(&sched, all_threads, &run, &stats);
    out->units = run.unit_count;
    out->reads = run.read_count;
    out->points = stats.points;
    out->switches = stats.switches;
    out->digest = rng_mix(stats.digest ^ rng_mix(pc_disk_hash(run.session.disk)));
    if (out->verdict.rule == RULE_NONE) {
        fill_model(&run);
        judge_views(&run);
    }
    session_end_epoch(&run.session);
    if (out->verdict.rule == RULE_NONE && setting->crash)
        explore_crashes(&run, budget);
    session_release(&run.session);
    for (uint32_t i = 0; i < run.read_count; i++) {
        out->digest = rng_mix(out->digest ^ run.reads[i].hash ^ run.reads[i].seen.count);
        seen_release(&run.reads[i].seen);
    }
    free(run.units);
    free(run.writes);
    free(run.views);
    free(run.reads);
    trace_release(&trace);
}
