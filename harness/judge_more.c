/* judge_more.c: what is asked of a store beyond the plain ways of reading: many keys at once,
 * bounded iterators, an open to read only, copies. See judge.h.
 *
 *   J9  Many keys asked for together, and scans within bounds, agree with the forward scan.
 *   J10 An open to read only makes no call that could change the disk, and shows what the ordinary
 *       open finds after it.
 *   J11 A copy that was acknowledged before the crash opens and holds what the store held then. One
 *       that was being made is not there, is refused, or holds that. */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "powercut/posix.h"

/* ---- J9 ---- */

struct many {
    const struct seen *seen;
    const struct model *model;
    size_t found;
    bool differs;
};

static void compare(void *ctx, size_t index, struct bytes value)
{
    struct many *many = ctx;
    const struct seen_entry *entry = seen_find(many->seen, many->model->lines[index].key);

    many->found++;
    many->differs |= !entry || entry->len != value.len || entry->hash != model_hash(value);
}

bool judge_many(const struct pc_store *store, void *db, void *snapshot, const struct seen *seen,
                const struct model *model, struct verdict *verdict)
{
    struct many many = {.seen = seen, .model = model};
    struct pc_store_error error = {0};
    struct bytes *keys;
    size_t expected = 0;
    enum pc_store_status st;

    if (store->multi_get == NULL)
        return true;
    keys = calloc(model->line_count + 1u, sizeof *keys);
    must(keys != NULL);
    for (uint32_t i = 0; i < model->line_count; i++) {
        keys[i] = model->lines[i].key;
        expected += seen_find(seen, keys[i]) != NULL;
    }
    st = store->multi_get(db, snapshot, keys, model->line_count, compare, &many, &error);
    free(keys);
    if (st) {
        verdict->error = (int)st;
        return judge_fail(verdict, RULE_READ, "a get of many keys fails", error.text);
    }
    if (many.differs || many.found != expected)
        return judge_fail(verdict, RULE_READ, "a get of many keys differs from the scan", "");
    return true;
}

/* Walks between two entries, the second one not included, in one direction. */
static bool walk(const struct pc_store *store, void *iter, const struct seen *seen, size_t low,
                 size_t high, bool forward, struct pc_store_error *error)
{
    struct bytes key = {0}, value = {0};
    enum pc_move move = forward ? PC_FIRST : PC_LAST;
    size_t count = 0;

    while (store->iter_move(iter, move, (struct bytes){0}, &key, &value, error)) {
        const struct seen_entry *entry;

        if (count == high - low)
            return false;
        entry = &seen->entries[forward ? low + count : high - 1 - count];
        if (!bytes_equal(entry->key, key) || entry->len != value.len ||
            entry->hash != model_hash(value))
            return false;
        count++;
        move = forward ? PC_NEXT : PC_PREV;
    }
    return error->status == PC_STORE_OK && count == high - low;
}

bool judge_bounds(const struct pc_store *store, void *db, void *snapshot, const struct seen *seen,
                  struct verdict *verdict)
{
    struct pc_store_error error = {0};
    size_t step = seen->count / 4 + 1;
    bool ok = true;
    void *iter;

    if (store->iter_bound == NULL || seen->count == 0)
        return true;
    if (store->iter_new(db, snapshot, &iter, &error)) {
        verdict->error = (int)error.status;
        return judge_fail(verdict, RULE_READ, "no iterator", error.text);
    }
    for (size_t low = 0; ok && low < seen->count; low += step) {
        size_t high = low + 1 + (low * 7 + 3) % (seen->count - low);
        struct bytes upper = high < seen->count ? seen->entries[high].key : (struct bytes){NULL, 0};

        ok = !store->iter_bound(iter, seen->entries[low].key, upper, &error) &&
             walk(store, iter, seen, low, high, true, &error) &&
             walk(store, iter, seen, low, high, false, &error);
    }
    store->iter_free(iter);
    if (error.status) {
        verdict->error = (int)error.status;
        return judge_fail(verdict, RULE_READ, "a bounded scan fails", error.text);
    }
    return ok || judge_fail(verdict, RULE_READ, "a bounded scan differs from the forward scan", "");
}

/* ---- J10, J11 ---- */

/* Opens to read only, reads into judge->other, closes. */
static enum pc_store_status look(struct judge *judge, const struct question *question,
                                 const char *dir, struct verdict *verdict,
                                 struct pc_store_error *error)
{
    size_t calls = pc_disk_call_count(judge->disk);
    struct pc_store_error closing = {0};
    enum pc_store_status st = judge_open(judge, question, (struct judge_open){dir, true}, error);

    judge->other.now = question->now;
    if (st == PC_STORE_OK) {
        st = judge_scan(judge->store, judge->db, NULL, &judge->other, error);
        if (judge->store->close(judge->db, &closing) && st == PC_STORE_OK)
            judge_fail(verdict, RULE_READ_ONLY, "close fails after reading only", closing.text);
        judge->db = NULL;
    }
    if (verdict->rule == RULE_NONE && pc_disk_call_count(judge->disk) != calls)
        judge_fail(verdict, RULE_READ_ONLY, "an open to read only changes the disk",
                   pc_call_kind_name(pc_disk_call(judge->disk, calls)->kind));
    if (verdict->rule == RULE_NONE && (judge->heap.held || pc_open_descriptors()))
        judge_fail(verdict, RULE_LEAK, "memory or descriptors are left after reading only", "");
    pc_close_all();
    return st;
}

static void read_only(struct judge *judge, const struct question *question, struct verdict *verdict)
{
    struct pc_store_error error = {0};
    enum pc_store_status st;

    st = look(judge, question, STORE_DIR, verdict, &error);
    if (st == PC_STORE_OK || st == PC_STORE_NOT_FOUND)
        judge->looked = st == PC_STORE_OK ? LOOKED_OPEN : LOOKED_NOTHING;
    /* Where a first open was cut short there is nothing to read, though it can be gone on with. */
    if (st && st != PC_STORE_NOT_FOUND && !(question->split && judge_typed(st)) &&
        verdict->rule == RULE_NONE)
        judge_fail(verdict, judge_rule_of(st), "an open to read only fails", error.text);
}

bool judge_looked(const struct judge *judge, const struct seen *seen, struct verdict *verdict)
{
    if (judge->looked == LOOKED_OPEN && !seen_equal(seen, &judge->other))
        judge_fail(verdict, RULE_READ_ONLY, "an open to read only shows something else", "");
    if (judge->looked == LOOKED_NOTHING && seen->count)
        judge_fail(verdict, RULE_READ_ONLY, "an open to read only does not find the store", "");
    return verdict->rule == RULE_NONE;
}

static void judge_copy(struct judge *judge, const struct question *question,
                       const struct copy *copy, struct verdict *verdict)
{
    struct pc_store_error error = {0};
    struct verdict content = {0};
    bool promised = copy->ended <= question->at;
    char dir[sizeof COPY_DIR + 8];
    enum pc_store_status st;

    snprintf(dir, sizeof dir, COPY_DIR "%u", (unsigned)copy->slot);
    heap_reset(&judge->heap);
    st = look(judge, question, dir, verdict, &error);
    if (verdict->rule != RULE_NONE)
        return;
    if (st == PC_STORE_NOT_FOUND && promised) {
        judge_fail(verdict, RULE_COPY, "a copy that was acknowledged is not there", "");
    } else if (st && st != PC_STORE_NOT_FOUND &&
               !((!promised || question->split) && judge_typed(st))) {
        judge_fail(verdict, RULE_COPY, "a copy cannot be read", error.text);
    } else if (st == PC_STORE_OK) {
        model_judge_copy(question->model, copy, question->at, &judge->other, &content);
        if (content.rule != RULE_NONE)
            judge_fail(verdict, RULE_COPY, "a copy holds something else", content.text);
    }
}

bool judge_first(struct judge *judge, const struct question *question, struct verdict *verdict)
{
    const struct model *model = question->model;

    judge->looked = LOOKED_NOT;
    if (question->lied || question->trouble == TROUBLE_BITROT)
        return true;
    for (uint32_t i = 0; i < model->copy_count && verdict->rule == RULE_NONE; i++)
        if (model->copies[i].begun <= question->at && question->trouble == TROUBLE_NONE)
            judge_copy(judge, question, &model->copies[i], verdict);
    heap_reset(&judge->heap);
    if (question->look && verdict->rule == RULE_NONE &&
        judge->store->promises & PC_PROMISE_READ_ONLY)
        read_only(judge, question, verdict);
    heap_reset(&judge->heap);
    return verdict->rule == RULE_NONE;
}
