/* figures.c: what a store says of itself, against what is known. See figures.h.
 *
 *   Q1 What is counted never goes down while the store is open.
 *   Q2 The bytes of the operations are at least keys and values of what was acknowledged, and at
 *      most those of all that was asked for and a little for each.
 *   Q3 Syncs are those that the disk has seen below the store's directory.
 *   Q4 Logs and tables have no more bytes than the disk was given; a log has all of the operations.
 *   Q5 A get counts once, and looks up each block that it counts.
 *   Q6 Memory is what was asked of the allocator and not given back.
 *   Q7 No more tables wait to be merged than the store allows.
 *   Q8 The sizes of two ranges side by side add up to that of both, none is less than another one
 *      within it, and the whole is what the tables have.
 *   Q9 When all is in tables and nothing is compressed, a range is not smaller than its values, but
 *      for a block and a value in each run.
 *   Q10 No more descriptors are open than the store allows, of which the tables are some.
 *   Q11 No more memory is held than the store allows.
 *   Q12 Of each flush and each compaction its listener was told, and of all bytes that they wrote.
 *   Q13 Compactions keep their rate, by the time of the run, where threads are scheduled. */
#include "figures.h"

#include <string.h>

#include "base/check.h"
#include "powercut/posix.h"

#define EACH_MOST 48u /* what a store may add to an operation */
#define SIZES     8u  /* keys that are asked about */

void figures_begin(struct figures *figures, size_t calls)
{
    *figures = (struct figures){.next = calls};
}

void figures_wrote(struct figures *figures, const struct pc_write *writes, size_t count, bool ok)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = writes[i].key.len + writes[i].value.len;

        figures->least += ok ? bytes : 0;
        figures->most += bytes + EACH_MOST;
    }
}

static bool below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    path += *path == '/';
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static void count_calls(struct figures *figures, const struct pc_disk *disk, const char *dir)
{
    for (; figures->next < pc_disk_call_count(disk); figures->next++) {
        const struct pc_call *call = pc_disk_call(disk, figures->next);

        if (!below(call->path, dir))
            continue;
        figures->syncs += call->kind == PC_CALL_FSYNC || call->kind == PC_CALL_FDATASYNC;
        figures->written += call->kind == PC_CALL_WRITE ? call->done : 0;
    }
}

static bool went_down(const struct pc_store_figures *a, const struct pc_store_figures *b)
{
    return b->user_bytes < a->user_bytes || b->log_bytes < a->log_bytes ||
           b->table_bytes < a->table_bytes || b->syncs < a->syncs || b->gets < a->gets ||
           b->get_blocks < a->get_blocks || b->lookups < a->lookups ||
           b->memory_peak < a->memory_peak;
}

/* Q10 to Q12: bounds that hold between two calls. */
static const char *bounds(const struct pc_store_figures *now)
{
    uint64_t open = pc_open_descriptors();

    if (now->descriptors_most && (open > now->descriptors_most || now->tables_open > open))
        return "more descriptors are open than the store allows";
    if (now->memory_most && now->memory > now->memory_most)
        return "more memory is held than the store allows";
    if (now->jobs != now->jobs_told)
        return "the listener was not told of every flush and compaction";
    if (now->bytes_told != now->table_bytes)
        return "the listener was told of other bytes than were written to tables";
    return NULL;
}

const char *figures_of_threads(const struct pc_store_figures *now, uint64_t open_for, bool honest)
{
    double due = (double)now->merge_rate * 1e-9 * (double)open_for;

    if (honest && now->level0 > now->level0_most) /* Q7 */
        return "more tables wait to be merged than the store allows";
    if (now->merge_rate && (double)now->merged_bytes > due + (double)now->merge_burst) /* Q13 */
        return "compactions wrote more than their rate allows in that time";
    return NULL;
}

const char *figures_check(struct figures *figures, const struct pc_store *store, void *db,
                          const struct pc_disk *disk, const char *dir, const struct heap *heap,
                          bool honest)
{
    struct pc_store_figures now;

    if (store->figures == NULL)
        return NULL;
    store->figures(db, &now);
    if (went_down(&figures->last, &now)) /* Q1 */
        return "a count went down";
    figures->last = now;
    if (now.user_bytes < figures->least || now.user_bytes > figures->most) /* Q2 */
        return "the bytes of the operations are not those that were written";
    if (now.memory > heap->held || now.memory > now.memory_peak || now.memory_peak > heap->peak)
        return "memory is not what was taken and not given back"; /* Q6 */
    if (!honest)
        return NULL;
    count_calls(figures, disk, dir);
    if (now.syncs != figures->syncs) /* Q3 */
        return "syncs are not those that the disk has seen";
    if (now.log_bytes + now.table_bytes > figures->written ||
        (now.log_bytes && now.log_bytes < now.user_bytes)) /* Q4 */
        return "bytes written to logs and tables are not those that the disk was given";
    if (now.level0 > now.level0_most) /* Q7 */
        return "more tables wait to be merged than the store allows";
    return bounds(&now);
}

const char *figures_of_get(const struct pc_store_figures *before,
                           const struct pc_store_figures *after)
{
    uint64_t blocks = after->get_blocks - before->get_blocks;

    if (after->gets != before->gets + 1)
        return "a get is not counted once";
    if (after->lookups - before->lookups < blocks)
        return "a get counts blocks that nobody looked up";
    return NULL;
}

/* ---- sizes ---- */

struct range_of {
    struct bytes begin, end;
};

static uint64_t size_of(const struct pc_store *store, void *db, struct range_of range, bool *ok)
{
    struct pc_store_error error = {0};
    uint64_t bytes = 0;

    *ok &= store->size(db, range.begin, range.end, &bytes, &error) == PC_STORE_OK;
    return bytes;
}

/* Q9: of what lies below `key`. */
static bool too_small(const struct pc_store_figures *now, const struct seen *seen, struct bytes key,
                      uint64_t size)
{
    uint64_t values = 0, longest = 0;

    for (size_t i = 0; i < seen->count; i++) {
        uint64_t len = seen->entries[i].len;

        longest = len > longest ? len : longest;
        if (bytes_compare(seen->entries[i].key, key) < 0)
            values += len;
    }
    return size + now->runs * (now->block + longest) < values;
}

const char *figures_sizes(const struct pc_store *store, void *db, const struct model *model,
                          const struct seen *seen, bool flushed)
{
    struct pc_store_figures now;
    uint32_t step = model->line_count / SIZES + 1;
    struct bytes open = {0}, before = {0};
    uint64_t whole, last = 0;
    bool ok = true;

    if (store->size == NULL || store->figures == NULL)
        return NULL;
    store->figures(db, &now);
    whole = size_of(store, db, (struct range_of){open, open}, &ok);
    if (ok && whole != now.size)
        return "the size of everything is not that of the tables";
    for (uint32_t i = 0; ok && i < model->line_count; i += step) {
        struct bytes key = model->lines[i].key;
        uint64_t low = size_of(store, db, (struct range_of){open, key}, &ok);
        uint64_t high = size_of(store, db, (struct range_of){key, open}, &ok);
        uint64_t between = size_of(store, db, (struct range_of){before, key}, &ok);

        if (!ok)
            break;
        if (low + high != whole || low < last || between != low - last) /* Q8 */
            return "sizes of ranges do not add up";
        if (flushed && now.block && too_small(&now, seen, key, low)) /* Q9 */
            return "a range is smaller than its values";
        last = low;
        before = key;
    }
    return ok ? NULL : "a size is not told";
}
