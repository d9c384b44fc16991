/* threads_play.c: one run of threads.h: what the threads do, what they were told, and the judgement
 * over it. */
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/rng.h"
#include "powercut/posix.h"
#include "powercut/sched.h"
#include "figures.h"
#include "threads.h"

#define KEYS        7u
#define BATCH_MOST  4u
#define VALUE_MOST  256u
#define POINT_LIMIT 2000000u
#define WALK_STEPS  12u /* of an iterator behind its scan */

/* A unit, with the threads' own time: it goes on by one whenever something begins or ends. */
struct write_record {
    uint32_t thread, op;
    bool sync, failed;
    uint64_t place; /* in the order; */
    uint32_t rank;  /* and at one place */
    uint64_t start, stop;
    size_t begun, ended; /* calls of the disk */
    uint64_t seq;
    uint32_t first, count;
};

/* One moment of the store that somebody looked at: a read, or all reads of a snapshot. */
struct view {
    uint32_t thread, op;
    bool refused; /* a read failed, as it may after a fault */
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
    uint64_t opened_at; /* by ticks() */
    bool timed;         /* the store syncs by time; */
    size_t slept;       /* and that time has passed: calls of the disk until then */
    struct write_record *units;
    struct model_write *writes;
    struct view *views;
    struct read_record *reads;
    uint32_t unit_count, write_count, view_count, read_count;
};

struct worker {
    struct run *run;
    uint32_t number;
    bool silent; /* a write of its failed: it writes no more */
    pthread_t os;
};

static const char *const keys[KEYS] = {"a", "aa", "b", "bc", "k", "kk0", "z"};

static struct run *stuck_run; /* there is one at a time in a process */

static size_t now(const struct run *run)
{
    return pc_disk_call_count(run->session.disk);
}

/* May the store answer an error from now on? */
static bool faulty(const struct run *run)
{
    return run->session.faults[0].fired > 0;
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
    unit->failed = worker->silent = st != PC_STORE_OK;
    run->out->failed += unit->failed;
    if (st && !faulty(run))
        violate(run, RULE_PROGRESS, worker->number, op, "a write fails", error.text);
    else if (st)
        unit->seq = 0;
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

static void read_once(struct worker *worker, struct view *view, void *snapshot, bool whole,
                      struct rng *r)
{
    struct run *run = worker->run;
    struct read_record *read = &run->reads[run->read_count++];
    struct pc_store_error error = {0};
    enum pc_store_status st;
    uint32_t key = (uint32_t)rng_below(r, KEYS);

    *read = (struct read_record){.view = (uint32_t)(view - run->views), .whole = whole, .key = key};
    if (!whole) {
        st = run->store->get(run->session.db, snapshot, bytes_str(keys[key]), take_value, read,
                             &error);
    } else {
        if (!judge_walk(run->store, run->session.db, snapshot, &read->seen, r, WALK_STEPS, &error))
            violate(run, RULE_READ, worker->number, view->op,
                    "an iterator going back and forth differs from its forward scan", "");
        st = error.status;
    }
    view->refused |= st && st != PC_STORE_NOT_FOUND && faulty(run);
    if (st && !(st == PC_STORE_NOT_FOUND && !whole) && !view->refused)
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
        read_once(worker, view, NULL, rng_chance(r, 1, 3), r);
        end_view(worker, view);
        return;
    }
    if (run->store->snapshot(run->session.db, &snapshot, &error)) {
        view->refused = faulty(run);
        end_view(worker, view);
        if (!view->refused)
            violate(run, RULE_READ, worker->number, op, "a snapshot fails", error.text);
        return;
    }
    end_view(worker, view);
    for (uint32_t i = 0; i <= most; i++) {
        read_once(worker, view, snapshot, i == most || rng_chance(r, 1, 2), r);
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
        if (run->store->check && run->store->check(run->session.db, &error) && !faulty(run))
            violate(run, RULE_STRUCTURE, worker->number, op, "the store's check fails", error.text);
        break;
    default:
        st = run->store->flush(run->session.db, &error);
        break;
    }
    if (st && !faulty(run))
        violate(run, RULE_PROGRESS, worker->number, op, "sync, flush or compact fails", error.text);
}

/* The clock of the scheduler. */
static uint64_t ticks(void)
{
    struct timespec now = {0, 0};

    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void look_at_figures(struct worker *worker, uint32_t op)
{
    const struct run *run = worker->run;
    struct pc_store_figures figures;
    const char *breach;

    if (run->store->figures == NULL)
        return;
    run->store->figures(run->session.db, &figures);
    breach = figures_of_threads(&figures, ticks() - run->opened_at, !faulty(run));
    if (breach)
        violate(worker->run, RULE_FIGURES, worker->number, op, breach, "");
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
        bool silent = worker->silent;

        if (worker->run->out->verdict.rule != RULE_NONE)
            break;
        if (kind < 60 && worker->silent)
            look(worker, op, &r);
        else if (kind < 35)
            write_some(worker, op, &r, 1);
        else if (kind < 60)
            write_some(worker, op, &r, 2 + (uint32_t)rng_below(&r, BATCH_MOST - 1));
        else if (kind < 86)
            look(worker, op, &r);
        else
            maintain(worker, op, &r);
        if (worker->silent && !silent && worker->run->store->check) /* jobs may run */
            (void)worker->run->store->check(worker->run->session.db, &(struct pc_store_error){0});
        look_at_figures(worker, op);
    }
    return NULL;
}

/* Every other store is so small that its writers outrun the compactions; some sync by time, some
 * compact slowly. */
static void tune(struct run *run, char *out, size_t room)
{
    uint64_t seed = run->setting->seed;
    struct rng r = rng_seeded(rng_mix(seed ^ 0x7468726561647321ull));
    const char *given = run->session.trace->tuning;
    unsigned interval = rng_chance(&r, 1, 3) ? 1 + (unsigned)rng_below(&r, 50) : 0;
    unsigned rate = rng_chance(&r, 1, 3) ? 512u << rng_below(&r, 8) : 0;

    interval = strstr(given, "nolog=1") == NULL ? interval : 0;
    snprintf(out, room, "%s background=1 sync_interval=%u rate=%u%s", given, interval, rate,
             seed % 2 ? " level0=1 write_buffer=256" : "");
    run->timed = run->store->interval && run->store->interval(out) != UINT64_MAX; /* it says so */
}

static void all_threads(void *arg)
{
    struct run *run = arg;
    struct worker workers[THREADS_MOST];
    struct session *session = &run->session;
    struct pc_store_error error = {0};
    char tuning[sizeof session->trace->tuning + 96];
    struct pc_store_env env = {.dir = STORE_DIR,
                               .alloc = heap_alloc,
                               .free = heap_free,
                               .alloc_ctx = &session->heap,
                               .tuning = tuning};
    uint32_t started = 0;

    tune(run, tuning, sizeof tuning);
    run->opened_at = ticks();
    if (run->store->open(&env, &session->db, &error)) {
        session->db = NULL;
        violate(run, RULE_OPEN, 0, 0, "a new store does not open", error.text);
        return;
    }
    session->opened = now(run);
    if (session->trace->fault_count)
        pc_disk_add_fault(session->disk, &session->faults[0]);
    for (; started < run->setting->threads; started++) {
        workers[started] = (struct worker){.run = run, .number = started};
        must(pthread_create(&workers[started].os, NULL, work, &workers[started]) == 0);
    }
    for (uint32_t i = 0; i < started; i++)
        must(pthread_join(workers[i].os, NULL) == 0);
    for (unsigned i = 0; i < 16 && run->timed; i++) /* whoever has something to do does it */
        sleep(60);
    run->slept = now(run);
    if (run->out->verdict.rule == RULE_NONE) { /* the last word */
        struct worker last = {.run = run, .number = started};
        struct view *view = new_view(&last, 0);
        struct rng r = rng_seeded(rng_mix(run->setting->seed));

        read_once(&last, view, NULL, true, &r);
        end_view(&last, view);
    }
    if (run->store->close(session->db, &error) && !faulty(run))
        violate(run, RULE_PROGRESS, started, 0, "close fails", error.text);
    session->db = NULL;
    if (run->out->verdict.rule == RULE_NONE && session->heap.held)
        violate(run, RULE_LEAK, started, 0, "memory is left after close", "");
}

/* ---- the judgement ---- */

static int by_place(const void *a, const void *b)
{
    const struct write_record *x = a, *y = b;

    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

#define ORDERED_MOST                                                                               \
    4u /* writes that failed whose orders are all tried; the others as they began */

/* The n-th order of the writes that failed, as ranks. */
static void rank_failed(struct run *run, uint32_t count, uint64_t n)
{
    uint32_t ordered = count < ORDERED_MOST ? count : ORDERED_MOST;
    uint32_t ranks[ORDERED_MOST], before;

    for (uint32_t i = 0; i < ordered; i++)
        ranks[i] = i;
    for (uint32_t i = 0; i < ordered; i++) {
        uint32_t pick = i + (uint32_t)(n % (ordered - i)), swap = ranks[pick];

        n /= ordered - i;
        ranks[pick] = ranks[i];
        ranks[i] = swap;
    }
    for (uint32_t i = 0; i < run->unit_count; i++) {
        before = 0;
        for (uint32_t o = 0; run->units[i].failed && o < run->unit_count; o++)
            before += run->units[o].failed && run->units[o].start < run->units[i].start;
        run->units[i].rank = before < ordered ? ranks[before] : before;
    }
}

static struct write_record *failed_of_rank(struct run *run, uint32_t rank)
{
    for (uint32_t i = 0; i < run->unit_count; i++)
        if (run->units[i].failed && run->units[i].rank == rank)
            return &run->units[i];
    return NULL;
}

/* Does no write that failed stand before another one that had ended when it began, or behind one
 * that had not begun when it ended? */
static bool in_time(const struct run *run)
{
    for (uint32_t i = 0; i < run->unit_count; i++)
        for (uint32_t j = i + 1; j < run->unit_count; j++)
            if ((run->units[i].failed || run->units[j].failed) &&
                run->units[j].stop < run->units[i].start)
                return false;
    return true;
}

/* Sorts the writes: by their numbers; those that failed, of which nobody was told a number, where
 * numbers are left over, as many as they have, and else at the end: in the n-th order. False: that
 * cannot have been the order. */
static bool place_all(struct run *run, uint64_t n)
{
    struct write_record *failed;
    uint32_t rank = 0;
    uint64_t before = 0;

    for (uint32_t i = 0; i < run->unit_count; i++)
        run->units[i].place = run->units[i].failed ? UINT64_MAX : run->units[i].seq * 2;
    rank_failed(run, run->out->failed, n);
    qsort(run->units, run->unit_count, sizeof *run->units, by_place);
    failed = failed_of_rank(run, rank);
    for (uint32_t i = 0; i < run->unit_count && !run->units[i].failed; i++) {
        const struct write_record *unit = &run->units[i];

        while (failed && before + failed->count <= unit->seq - unit->count) {
            before += failed->count;
            failed->place = unit->seq * 2 - 1;
            failed = failed_of_rank(run, ++rank);
        }
        before = unit->seq;
    }
    qsort(run->units, run->unit_count, sizeof *run->units, by_place);
    return in_time(run);
}

/* What writes with sync promise, in the order of time. */
static void promise_syncs(struct run *run)
{
    struct model *model = &run->session.model;

    while (run->store->promises & PC_PROMISE_SYNC) {
        const struct write_record *next = NULL;
        uint32_t units = model->promise_count ? model->promises[model->promise_count - 1].units : 0;

        for (uint32_t i = units; i < run->unit_count; i++)
            if (run->units[i].sync && !run->units[i].failed &&
                (next == NULL || run->units[i].stop < next->stop))
                next = &run->units[i];
        if (next == NULL)
            return;
        model_promise(model, (uint32_t)(next - run->units) + 1, next->ended,
                      "a write with sync has returned");
    }
}

/* What a model knows of the run. Unit n of it is units[n - 1] from here on. */
static void fill_model(struct run *run)
{
    struct model *model = &run->session.model;
    uint64_t before = 0; /* the number of the write before that has one */

    model_release(model);
    model_init(model);
    model_set_clock(model, 0, 0, run->session.clock);
    for (uint32_t i = 0; i < run->unit_count; i++) {
        const struct write_record *unit = &run->units[i];

        if (!unit->failed && unit->seq - unit->count < before)
            violate(run, RULE_TRUTH, unit->thread, unit->op,
                    "its sequence numbers belong to another write, too", "");
        before = unit->failed ? before : unit->seq;
        model_begin(model, unit->op, unit->sync, &run->writes[unit->first], unit->count,
                    unit->begun);
    }
    for (uint32_t i = 0; i < run->unit_count; i++) {
        const struct write_record *unit = &run->units[i];

        for (uint32_t j = i + 1; j < run->unit_count; j++)
            if (run->units[j].stop < unit->start && !unit->failed && !run->units[j].failed)
                violate(run, RULE_TRUTH, unit->thread, unit->op,
                        "it stands before a write that had ended when it began", "");
        model_end(model, i + 1, unit->failed ? UNIT_ERROR : UNIT_OK, unit->seq, unit->ended);
    }
    promise_syncs(run);
    if (run->timed && run->out->failed == 0 && !faulty(run))
        model_promise(model, run->unit_count, run->slept, "its time without a sync has passed");
}

static bool agrees(bool there, uint32_t len, uint64_t hash, bool present,
                   const struct read_record *told)
{
    return there == present && (!there || (len == told->len && hash == told->hash));
}

/* May a write that failed have left this? It had begun when the view was taken. */
static bool left_by_failed(const struct run *run, const struct read_record *read, bool present,
                           const struct read_record *told)
{
    struct bytes key = bytes_str(keys[told->key]);

    for (uint32_t i = 0; run->out->failed && i < run->unit_count; i++) {
        const struct write_record *unit = &run->units[i];

        if (!unit->failed || unit->start > run->views[read->view].stop)
            continue;
        for (uint32_t w = unit->first; w < unit->first + unit->count; w++) {
            const struct model_write *write = &run->writes[w];
            bool covers = write->is_range ? bytes_compare(write->key, key) <= 0 &&
                                                bytes_compare(key, write->end) < 0
                                          : bytes_equal(write->key, key);

            if (covers && agrees(!write->is_delete, write->len, write->hash, present, told))
                return true;
        }
    }
    return false;
}

static bool shows_key(const struct run *run, const struct read_record *read, uint32_t cut,
                      bool present, const struct read_record *told)
{
    const struct version *v = model_at(&run->session.model, bytes_str(keys[told->key]), cut);
    bool there = v && !v->absent;

    return agrees(there, there ? v->len : 0, there ? v->hash : 0, present, told) ||
           left_by_failed(run, read, present, told);
}

static bool shows(const struct run *run, const struct read_record *read, uint32_t cut)
{
    uint32_t present = 0;

    if (!read->whole)
        return shows_key(run, read, cut, read->present, read);
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct seen_entry *entry = seen_find(&read->seen, bytes_str(keys[i]));
        struct read_record told = {
            .key = i, .len = entry ? entry->len : 0, .hash = entry ? entry->hash : 0};

        if (!shows_key(run, read, cut, entry != NULL, &told))
            return false;
        present += entry != NULL;
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
            if (run->units[u].stop < view->start && !run->units[u].failed)
                view->low = u + 1;
            if (run->units[u].start < view->stop)
                view->high = u + 1;
        }
        for (uint32_t e = 0; e < i; e++)
            if (run->views[e].stop < view->start && run->views[e].low > view->low)
                view->low = run->views[e].low;
        if (view->refused)
            continue;
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

static bool explore_once(struct run *run, const struct budget *budget, struct finding *finding)
{
    struct explorer explorer;

    *finding = (struct finding){0};
    explorer_init(&explorer, budget, run->store, run->session.trace->tuning, run->setting->seed);
    explore_epoch(&explorer, &run->session, finding);
    run->out->crash_points += explorer.tally.points;
    run->out->recoveries += explorer.tally.recoveries;
    explorer_release(&explorer);
    return finding->found;
}

/* In which order the members of a group stand that failed nobody was told: it is a finding if there
 * is one in every order. */
static void explore_crashes(struct run *run, const struct budget *budget)
{
    struct finding finding, other;
    uint64_t orders = 1;

    for (uint32_t i = 2; i <= run->out->failed && i <= ORDERED_MOST; i++)
        orders *= i;
    if (!explore_once(run, budget, &finding))
        return;
    for (uint64_t n = 0; n < orders; n++) {
        if (run->out->failed < 2 || !place_all(run, n))
            continue;
        fill_model(run);
        if (!explore_once(run, budget, &other))
            return;
    }
    run->out->verdict = finding.verdict;
}

/* Which call fails, in one run of four: a sync or a write, of a log more often than of all files,
 * once or for ever. The how-manieth is any of those that the threads may bring about. */
static void draw_fault(const struct threads_setting *setting, struct trace *trace)
{
    struct rng r = rng_seeded(rng_mix(setting->seed) ^ setting->seed);
    struct pc_fault *fault = &trace->faults[0];
    bool sync = rng_chance(&r, 1, 2);

    if (!rng_chance(&r, 1, 4))
        return;
    *fault = (struct pc_fault){
        .kind = sync || rng_chance(&r, 1, 2) ? PC_FAULT_EIO : PC_FAULT_ENOSPC,
        .call = sync ? PC_ANY_SYNC : PC_ANY_WRITE,
        .nth = 1 + (uint32_t)rng_below(&r, (uint64_t)setting->threads * setting->ops),
        .times = rng_chance(&r, 1, 3) ? PC_FOREVER : 0};
    snprintf(fault->file, sizeof fault->file, "%s", rng_chance(&r, 2, 3) ? "*.log" : "*");
    trace->fault_count = 1;
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
    if (setting->faults)
        draw_fault(setting, &trace);
    allocate(&run);
    session_init(&run.session, &trace, store);
    stuck_run = &run;
    pc_sched_run(&sched, all_threads, &run, &stats);
    out->units = run.unit_count;
    out->reads = run.read_count;
    out->points = stats.points;
    out->switches = stats.switches;
    out->digest = rng_mix(stats.digest ^ rng_mix(pc_disk_hash(run.session.disk)));
    out->fired = run.session.faults[0].fired;
    if (out->verdict.rule == RULE_NONE) {
        (void)place_all(&run, 0); /* as they began */
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
