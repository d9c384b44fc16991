/* database.c: see database.h.
 *
 * D1  The status of the open is the one that plain_store.c works out.
 * D2  A refusal names a file and an offset within it.
 * D3  Where the files are exact, the store shows exactly what they hold, in every way of reading,
 *     takes a write, a flush and a compaction, and shows the same again after it was reopened.
 * D4  Where they are not (a table is damaged, or somebody forged checksums), reading ends: with a
 *     content or an error; with an error if it passes a block that is damaged.
 * D5  After the close no memory and no descriptor is left (stage_clear). */
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "database.h"
#include "plain.h"
#include "salvage.h"

#define WALK_MAX 100000 /* entries; a scan that shows more goes round in circles */
#define SEEKS    16
#ifndef SALVAGE_EVERY
#define SALVAGE_EVERY 1 /* one input in so many is verified and repaired, too */
#endif

static struct bytes key_of(const struct vault_iter *it)
{
    size_t len = 0;
    const void *key = vault_iter_key(it, &len);

    return bytes_of(key, len);
}

static struct bytes value_of(const struct vault_iter *it)
{
    size_t len = 0;
    const void *value = vault_iter_value(it, &len);

    return bytes_of(value, len);
}

static void same(const struct vault_iter *it, const struct plain_entry *entry)
{
    must(vault_iter_valid(it));
    must(bytes_equal(key_of(it), entry->key));
    must(bytes_equal(value_of(it), entry->value));
}

static void check_scans(struct vault *v, const struct plain_list *live)
{
    struct vault_iter *it = NULL;
    size_t step = live->count / SEEKS + 1;

    must(vault_iter_new(v, NULL, &it) == VAULT_OK);
    vault_iter_first(it);
    for (size_t i = 0; i < live->count; i++, vault_iter_next(it))
        same(it, &live->at[i]);
    must(!vault_iter_valid(it));
    vault_iter_last(it);
    for (size_t i = live->count; i > 0; i--, vault_iter_prev(it))
        same(it, &live->at[i - 1]);
    must(!vault_iter_valid(it));
    for (size_t i = 0; i < live->count; i += step) {
        const struct plain_entry *entry = &live->at[i];

        vault_iter_seek(it, entry->key.data, entry->key.len);
        same(it, entry);
        vault_iter_prev(it);
        must(vault_iter_valid(it) == (i > 0));
        vault_iter_seek_for_prev(it, entry->key.data, entry->key.len);
        same(it, entry);
        vault_iter_next(it);
        must(vault_iter_valid(it) == (i + 1 < live->count));
    }
    must(vault_iter_status(it) == VAULT_OK);
    vault_iter_free(it);
}

/* Point reads of every key there ever was; `s->entries` is sorted. */
static void check_gets(struct vault *v, const struct plain_store *s)
{
    size_t next = 0;

    for (size_t i = 0; i < s->entries.count; i++) {
        struct bytes key = s->entries.at[i].key;
        void *value = NULL;
        size_t len = 0;
        enum vault_status st = VAULT_OK;
        bool live = false;

        if (i > 0 && bytes_equal(key, s->entries.at[i - 1].key))
            continue;
        live = next < s->live.count && bytes_equal(key, s->live.at[next].key);
        st = vault_get(v, NULL, key.data, key.len, &value, &len);
        must(st == (live ? VAULT_OK : VAULT_NOT_FOUND));
        if (!live)
            continue;
        must(bytes_equal(bytes_of(value, len), s->live.at[next].value));
        vault_value_free(v, value, len);
        next++;
    }
}

/* Two ranges that adjoin have the size of both together. */
static void check_sizes(struct vault *v, const struct plain_list *live)
{
    uint64_t whole = 0;
    uint64_t low = 0;
    uint64_t high = 0;
    struct bytes middle;

    if (!live->count)
        return;
    middle = live->at[live->count / 2].key;
    must(vault_approximate_size(v, "", 0, NULL, 0, &whole) == VAULT_OK);
    must(vault_approximate_size(v, "", 0, middle.data, middle.len, &low) == VAULT_OK);
    must(vault_approximate_size(v, middle.data, middle.len, NULL, 0, &high) == VAULT_OK);
    must(low + high == whole);
}

static void check_content(struct vault *v, const struct plain_store *s)
{
    struct vault_error error = {0};

    check_scans(v, &s->live);
    check_gets(v, s);
    check_sizes(v, &s->live);
    must(vault_check(v, &error) == VAULT_OK);
}

/* A write, a delete and a compaction; the model follows. */
static void go_on(struct vault *v, struct plain_store *s)
{
    static const struct bytes key = {(const uint8_t *)"\x7f written", 9};
    static const struct bytes value = {(const uint8_t *)"later", 5};
    uint64_t seq = 0;

    must(vault_put(v, key.data, key.len, value.data, value.len, true, &seq) == VAULT_OK);
    must(seq == s->last_seq + 1);
    plain_add(&s->entries, (struct plain_entry){key, value, tag_of(seq, FORMAT_OP_PUT), 0});
    if (s->live.count) {
        struct bytes gone = s->live.at[s->live.count / 2].key;

        must(vault_delete(v, gone.data, gone.len, false, &seq) == VAULT_OK);
        must(seq == s->last_seq + 2);
        plain_add(&s->entries,
                  (struct plain_entry){gone, {NULL, 0}, tag_of(seq, FORMAT_OP_DELETE), 0});
    }
    plain_live(s);
    check_content(v, s);
    must(vault_compact_range(v, NULL, 0, NULL, 0) == VAULT_OK);
    check_content(v, s);
}

/* D4: looks at everything, believes nothing. */
static void wander(struct vault *v, const struct plain_store *s)
{
    struct vault_iter *it = NULL;
    struct vault_error error = {0};
    size_t shown = 0;

    if (vault_iter_new(v, NULL, &it) == VAULT_OK) {
        for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it))
            must(++shown < WALK_MAX);
        must(!s->unsound || vault_iter_status(it));
        for (vault_iter_last(it); vault_iter_valid(it); vault_iter_prev(it))
            must(++shown < WALK_MAX);
        vault_iter_free(it);
    }
    for (size_t i = 0; i < s->entries.count && i < SEEKS; i++) {
        void *value = NULL;
        size_t len = 0;
        struct bytes key = s->entries.at[i].key;

        if (vault_get(v, NULL, key.data, key.len, &value, &len) == VAULT_OK)
            vault_value_free(v, value, len);
    }
    vault_last_error(v, &error);
    if (error.status)
        stage_check_error(&error); /* D2 */
}

static struct vault *reopen(struct vault *v, const struct vault_options *options)
{
    struct vault_error error = {0};

    must(vault_close(v) == VAULT_OK);
    must(stage_held() == 0);
    v = NULL;
    must(vault_open(STAGE_DIR, options, &v, &error) == VAULT_OK);
    return v;
}

/* Depends on all the bytes, so that each input is always treated alike. */
static uint32_t sum_of(const struct stage_files *files)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < files->count; i++)
        sum += plain_sum(files->at[i].data);
    return sum ^ sum >> 16;
}

void database_try(const struct stage_files *files, size_t chunk)
{
    struct plain p = {0};
    struct plain_store s;
    struct vault_options options;
    struct vault_error error = {0};
    struct vault *v = NULL;
    enum vault_status st = VAULT_OK;

    plain_store_read(&p, &s, files);
    stage_options(&options);
    options.read_chunk = chunk;
    if (sum_of(files) % SALVAGE_EVERY == 0)
        salvage_try(files, &s, &options);
    stage_set();
    stage_write_all(files);
    st = vault_open(STAGE_DIR, &options, &v, &error);
    must(s.vague || st == s.status); /* D1 */
    if (st) {
        must(error.status == st);
        stage_check_error(&error);
    } else if (s.exact) {
        must(vault_last_seq(v) == s.last_seq);
        check_content(v, &s);
        v = reopen(v, &options);
        check_content(v, &s);
        go_on(v, &s);
        v = reopen(v, &options);
        check_content(v, &s);
    } else {
        wander(v, &s);
    }
    st = vault_close(v);
    must(!s.exact || st == VAULT_OK);
    stage_clear();
    plain_store_release(&s);
    plain_release(&p);
}

void database_make(struct stage_files *files, void (*fill)(struct vault *v))
{
    struct vault_options options;
    struct vault *v = NULL;

    stage_set();
    stage_options(&options);
    must(vault_open(STAGE_DIR, &options, &v, NULL) == VAULT_OK);
    if (fill)
        fill(v);
    must(vault_close(v) == VAULT_OK);
    stage_capture(files);
    stage_clear();
}

const struct stage_files *database_empty(void)
{
    static struct stage_files files;

    if (!files.count)
        database_make(&files, NULL);
    return &files;
}
