/* explore_after.c: the power fails again soon after a recovery, when the store has gone on by one
 * write. What a recovery leaves to be synced by others (names removed, numbers to be used next) is
 * put to the test by the first call behind it, and by nothing before.
 *
 *   N5 A recovery that does what no recovery of the trace has done before, by the calls it makes,
 *      may be gone on from: the trace up to the crash, that crash, the recovery, a write with sync;
 *      and the crashes within that write are explored. Which of them are is drawn. */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/rng.h"

#include "explore_point.h"
#include "finish.h"
#include "play.h"

/* What a recovery has done: its calls, by kind and by the kind of file, that is by their names
 * without the numbers; the same again and again counts once. */
static uint64_t shape_of(const struct pc_disk *disk, size_t calls)
{
    uint64_t hash = 0, last = 0;

    for (size_t i = 0; i < calls; i++) {
        const struct pc_call *call = pc_disk_call(disk, i);
        char name[64];
        uint64_t what;
        size_t len = 0;

        for (const char *c = call->path; *c && len < sizeof name; c++)
            if (*c < '0' || *c > '9')
                name[len++] = *c;
        what = XXH3_64bits_withSeed(name, len, (uint64_t)call->kind);
        if (what != last)
            hash = rng_mix(hash ^ what);
        last = what;
    }
    return hash;
}

/* The operations of the trace that a crash at this point needs. */
static uint32_t ops_until(const struct point *point)
{
    const struct session *session = point->session;
    const struct trace *trace = session->trace;
    uint32_t epoch = 0, end = 0;

    while (end < trace->op_count &&
           !(trace->ops[end].kind == OP_CRASH && epoch++ == session->epoch))
        end++;
    if (point->k < pc_disk_call_count(session->disk)) {
        uint32_t mark = (uint32_t)pc_disk_call(session->disk, point->k)->mark;

        end = mark < end ? mark : end;
    }
    return end;
}

/* Where to keep what has this rank, the lower the better; NULL: others are better. */
static struct after *room_for(struct explorer *explorer, uint64_t rank)
{
    uint32_t worst = 0;

    if (explorer->after_count < explorer->budget.after) {
        explorer->after =
            realloc(explorer->after, (explorer->after_count + 1) * sizeof *explorer->after);
        must(explorer->after != NULL);
        return &explorer->after[explorer->after_count++];
    }
    for (uint32_t i = 1; i < explorer->after_count; i++)
        if (explorer->after[i].rank > explorer->after[worst].rank)
            worst = i;
    return explorer->after[worst].rank > rank ? &explorer->after[worst] : NULL;
}

void point_remember_after(struct point *point)
{
    struct explorer *explorer = point->explorer;
    const struct session *session = point->session;
    struct after *after;
    uint64_t shape, rank;

    if (explorer->budget.after == 0 || point->question.lied || !explorer->judge.answered)
        return;
    shape = shape_of(explorer->judge.disk, point->opened);
    if (!hashes_add(&explorer->shapes, shape))
        return;
    rank = rng_mix(shape ^ rng_mix(explorer->tape.seed + session->trace->disk.model));
    after = room_for(explorer, rank);
    if (after == NULL)
        return;
    after->rank = rank;
    after->ops = ops_until(point);
    finding_cut(session->disk, point->image, point->k, point->inside, point->fill, &after->cut);
}

/* False: the crash cannot be said so that it is made again, or more is wrong than is asked here. */
static bool go_on(struct explorer *explorer, struct trace *trace, const struct pc_store *store,
                  struct finding *finding)
{
    struct play play;
    bool ok = true;

    play_init(&play, trace, store, NULL, finding);
    for (uint32_t i = 0; ok && i < trace->op_count; i++)
        ok = play_step(&play, i, NULL);
    play.explorer = explorer;
    if (ok)
        play_end(&play);
    play_release(&play);
    return ok;
}

void explore_after(struct explorer *explorer, struct trace *trace, const struct pc_store *store,
                   struct finding *finding)
{
    struct budget whole = explorer->budget;

    explorer->budget = (struct budget){.leaves = 24, .tail = 1, .points = 4};
    for (uint32_t i = 0; i < explorer->after_count && !finding->found; i++) {
        struct finding first = {.found = true, .cuts = 1, .cut[0] = explorer->after[i].cut};
        struct trace copy;

        trace_copy(&copy, trace);
        copy.op_count = explorer->after[i].ops;
        finding_steps(&first, &copy);
        copy.op_count--; /* the check */
        finish_write(&copy, i);
        explorer->tally.after += go_on(explorer, &copy, store, finding);
        if (finding->found) {
            trace_release(trace);
            *trace = copy;
        } else {
            trace_release(&copy);
        }
    }
    explorer->budget = whole;
}
