/* store_notes.c: the glue between powercut and notes. Snapshots and iterators are copies. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <powercut/store.h>

#include "notes.h"

struct iter {
    struct notes_map map;
    size_t at; /* map.count: nowhere */
};

static enum pc_store_status answer(int code, struct pc_store_error *error)
{
    error->status = code == 0         ? PC_STORE_OK
                    : code == -ENOSPC ? PC_STORE_NO_SPACE
                    : code == -ENOMEM ? PC_STORE_NO_MEMORY
                                      : PC_STORE_IO;
    snprintf(error->text, sizeof error->text, "%s", code ? strerror(-code) : "");
    return error->status;
}

static enum pc_store_status store_open(const struct pc_store_env *env, void **db,
                                       struct pc_store_error *error)
{
    struct notes *notes = NULL;
    int code = notes_open(env->dir, &notes);

    *db = notes;
    return answer(code, error);
}

static enum pc_store_status store_close(void *db, struct pc_store_error *error)
{
    return answer(notes_close(db), error);
}

static enum pc_store_status store_write(void *db, const struct pc_write *writes, size_t count,
                                        bool sync, uint64_t *seq, struct pc_store_error *error)
{
    struct note_op *ops = calloc(count + 1, sizeof *ops);
    int code = ops ? 0 : -ENOMEM;

    for (size_t i = 0; i < count && !code; i++)
        ops[i] = (struct note_op){writes[i].is_delete, writes[i].key.data, writes[i].value.data,
                                  writes[i].key.len, writes[i].is_delete ? 0 : writes[i].value.len};
    if (!code)
        code = notes_write(db, ops, count, sync);
    free(ops);
    *seq = 0;
    return answer(code, error);
}

static enum pc_store_status store_sync(void *db, struct pc_store_error *error)
{
    return answer(notes_sync(db), error);
}

static enum pc_store_status store_get(void *db, void *snapshot, struct bytes key,
                                      void (*give)(void *ctx, struct bytes value), void *ctx,
                                      struct pc_store_error *error)
{
    struct notes *notes = db;
    const struct notes_map *map = snapshot ? snapshot : &notes->map;
    bool equal;
    size_t i = notes_find(map, key.data, key.len, &equal);

    if (!equal) {
        error->status = PC_STORE_NOT_FOUND;
        return error->status;
    }
    give(ctx, bytes_of(map->at[i].value, map->at[i].value_len));
    return answer(0, error);
}

static enum pc_store_status store_snapshot(void *db, void **snapshot, struct pc_store_error *error)
{
    struct notes_map *map = calloc(1, sizeof *map);
    int code = map ? notes_copy(&((struct notes *)db)->map, map) : -ENOMEM;

    *snapshot = map;
    return answer(code, error);
}

static void store_release(void *db, void *snapshot)
{
    (void)db;
    notes_clear(snapshot);
    free(snapshot);
}

static enum pc_store_status store_iter_new(void *db, void *snapshot, void **out,
                                           struct pc_store_error *error)
{
    struct iter *iter = calloc(1, sizeof *iter);
    int code =
        iter ? notes_copy(snapshot ? snapshot : &((struct notes *)db)->map, &iter->map) : -ENOMEM;

    *out = iter;
    return answer(code, error);
}

static void store_iter_free(void *iter)
{
    notes_clear(&((struct iter *)iter)->map);
    free(iter);
}

static bool store_iter_move(void *cursor, enum pc_move move, struct bytes key,
                            struct bytes *found_key, struct bytes *found_value,
                            struct pc_store_error *error)
{
    struct iter *iter = cursor;
    size_t count = iter->map.count;
    bool equal = false;

    answer(0, error);
    if (move == PC_FIRST)
        iter->at = 0;
    else if (move == PC_LAST)
        iter->at = count ? count - 1 : count;
    else if (move == PC_NEXT)
        iter->at++;
    else if (move == PC_PREV)
        iter->at = iter->at ? iter->at - 1 : count;
    else
        iter->at = notes_find(&iter->map, key.data, key.len, &equal);
    if (move == PC_SEEK_FOR_PREV && !equal)
        iter->at = iter->at ? iter->at - 1 : count;
    if (iter->at >= count)
        return false;
    *found_key = bytes_of(iter->map.at[iter->at].key, iter->map.at[iter->at].key_len);
    *found_value = bytes_of(iter->map.at[iter->at].value, iter->map.at[iter->at].value_len);
    return true;
}

/* There are no tables: a flush only has to keep its promise. */
static enum pc_store_status store_compact(void *db, struct bytes begin, struct bytes end,
                                          struct pc_store_error *error)
{
    (void)begin;
    (void)end;
    return store_sync(db, error);
}

const struct pc_store powercut_store = {
    .abi = PC_STORE_ABI,
    .name = "notes",
    .promises = PC_PROMISE_SYNC | PC_PROMISE_PROCESS_KILL | PC_PROMISE_PREFIX | PC_PROMISE_BATCH |
                PC_PROMISE_CLOSE | PC_PROMISE_FLUSH | PC_PROMISE_SNAPSHOT | PC_PROMISE_FAIL_STOP,
    .open = store_open,
    .close = store_close,
    .write = store_write,
    .sync = store_sync,
    .get = store_get,
    .snapshot = store_snapshot,
    .release = store_release,
    .iter_new = store_iter_new,
    .iter_free = store_iter_free,
    .iter_move = store_iter_move,
    .flush = store_sync,
    .compact = store_compact,
};
