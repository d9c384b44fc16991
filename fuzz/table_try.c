/* table_try.c: see table_try.h. */
#include "table_try.h"

#include "sst.h"

#define NUMBER   TABLE_TRY_NUMBER
#define WALK_MAX 200000

static void same(const struct cursor *c, const struct plain_entry *entry)
{
    must(c->valid);
    must(bytes_equal(c->key, entry->key) && bytes_equal(c->value, entry->value));
    must(c->tag == entry->tag);
}

void table_try_walks(struct cursor *c, const struct plain_list *list)
{
    c->ops->first(c);
    for (size_t i = 0; i < list->count; i++, c->ops->next(c))
        same(c, &list->at[i]);
    must(!c->valid && !c->status);
    c->ops->last(c);
    for (size_t i = list->count; i > 0; i--, c->ops->prev(c))
        same(c, &list->at[i - 1]);
    must(!c->valid && !c->status);
    for (size_t i = 0; i < list->count; i += list->count / 64 + 1) {
        c->ops->seek(c, list->at[i].key, list->at[i].tag);
        same(c, &list->at[i]);
        c->ops->prev(c);
        must(c->valid == (i > 0));
        if (i > 0)
            same(c, &list->at[i - 1]);
        c->ops->seek(c, list->at[i].key, TAG_FIRST);
        must(c->valid && bytes_equal(c->key, list->at[i].key));
        if (!list->at[i].tag)
            continue;
        c->ops->seek(c, list->at[i].key, list->at[i].tag - 1);
        must(c->valid == (i + 1 < list->count));
    }
}

static void check_cursor(struct sst *t, const struct plain_list *list)
{
    struct cursor *c = NULL;

    must(sst_cursor(t, &c) == VAULT_OK);
    table_try_walks(c, list);
    cursor_free(c);
}

/* The newest piece that covers the key; 0: none. */
static uint64_t cover_of(const struct plain_list *ranges, struct bytes key)
{
    uint64_t cover = 0;

    for (size_t i = 0; i < ranges->count; i++) {
        const struct plain_entry *r = &ranges->at[i];

        if (bytes_compare(r->key, key) <= 0 && bytes_compare(key, r->value) < 0 &&
            tag_seq(r->tag) <= FORMAT_SEQ_MAX && tag_seq(r->tag) > cover)
            cover = tag_seq(r->tag);
    }
    return cover;
}

/* What is newest of a key: the entry, or the range delete that hides it. */
static void check_newest(struct sst *t, const struct plain_entry *entry, uint64_t cover)
{
    struct cache_block *block = NULL;
    struct bytes value = {NULL, 0};
    bool found = false;
    uint64_t tag = 0;

    must(sst_get(t, entry->key, FORMAT_SEQ_MAX, &found, &tag, &value, &block) == VAULT_OK && found);
    if (cover > tag_seq(entry->tag))
        must(tag == tag_of(cover, FORMAT_OP_DELETE));
    else
        must(tag == entry->tag && bytes_equal(value, entry->value));
    cache_put(t->env, t->cache, block);
}

static void check_ranges(struct sst *t, const struct plain_list *ranges)
{
    must(t->ranges.count == ranges->count);
    for (size_t i = 0; i < ranges->count; i++) {
        const struct range *piece = &t->ranges.at[i];

        must(bytes_equal(piece->begin, ranges->at[i].key));
        must(bytes_equal(piece->end, ranges->at[i].value));
        must(piece->seq == tag_seq(ranges->at[i].tag));
    }
}

static void check_gets(struct sst *t, const struct plain_list *list,
                       const struct plain_list *ranges)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct plain_entry *entry = &list->at[i];
        struct cache_block *block = NULL;
        struct bytes value = {NULL, 0};
        bool found = false;
        uint64_t tag = 0;

        must(sst_get(t, entry->key, tag_seq(entry->tag), &found, &tag, &value, &block) == VAULT_OK);
        must(found);
        if (i == 0 || !bytes_equal(entry->key, list->at[i - 1].key) ||
            tag_seq(list->at[i - 1].tag) != tag_seq(entry->tag))
            must(tag == entry->tag && bytes_equal(value, entry->value));
        cache_put(t->env, t->cache, block);
        if (i == 0 || !bytes_equal(entry->key, list->at[i - 1].key))
            check_newest(t, entry, cover_of(ranges, entry->key));
    }
}

/* T3, T4. */
static void wander(struct sst *t, const struct plain_table *plain)
{
    struct cursor *c = NULL;
    struct vault_error error = {0};
    size_t shown = 0;

    must(sst_cursor(t, &c) == VAULT_OK);
    for (c->ops->first(c); c->valid; c->ops->next(c))
        must(++shown < WALK_MAX);
    must(!plain->unsound || c->status);
    for (c->ops->last(c); c->valid; c->ops->prev(c))
        must(++shown < WALK_MAX);
    for (size_t i = 0; i < plain->entries.count; i += plain->entries.count / 16 + 1) {
        struct cache_block *block = NULL;
        struct bytes value = {NULL, 0};
        bool found = false;
        uint64_t tag = 0;

        c->ops->seek(c, plain->entries.at[i].key, plain->entries.at[i].tag);
        if (!sst_get(t, plain->entries.at[i].key, FORMAT_SEQ_MAX, &found, &tag, &value, &block))
            cache_put(t->env, t->cache, block);
    }
    if (c->status) {
        env_last(t->env, &error);
        stage_check_error(&error);
    }
    cursor_free(c);
}

/* Builds table 4 of the entries and looks at it in the same way. */
static void build_again(struct env *env, struct cache *cache, const struct plain_table *plain)
{
    const struct plain_list *list = &plain->entries;
    const struct plain_list *ranges = &plain->ranges;
    static const struct sst_options options = {200, 3, 10, 0};
    struct sst_builder b;
    struct sst t;
    uint64_t size = 0;

    must(sst_begin(env, &b, NUMBER + 1, &options) == VAULT_OK);
    for (size_t i = 0; i < ranges->count; i++)
        must(sst_add_range(&b, ranges->at[i].key, ranges->at[i].value,
                           tag_seq(ranges->at[i].tag)) == VAULT_OK);
    for (size_t i = 0; i < list->count; i++)
        must(sst_add(&b, list->at[i].key, list->at[i].tag, list->at[i].value) == VAULT_OK);
    must(sst_finish(&b, &size) == VAULT_OK);
    sst_builder_release(&b);
    must(sst_open(env, cache, NUMBER + 1, size, &t) == VAULT_OK);
    check_cursor(&t, list);
    check_gets(&t, list, ranges);
    check_ranges(&t, ranges);
    sst_close(&t);
}

static void try_with(struct env *env, struct cache *cache, struct bytes file)
{
    struct plain p = {0};
    struct plain_table plain;
    struct vault_error error = {0};
    struct sst t;
    enum vault_status st = sst_open(env, cache, NUMBER, file.len, &t);

    plain_table_read(&p, &plain, file, NUMBER);
    must(plain.opens == (st == VAULT_OK)); /* T1 */
    if (st) {
        env_last(env, &error);
        stage_check_error(&error);
    } else if (plain.whole) {
        check_cursor(&t, &plain.entries);
        check_gets(&t, &plain.entries, &plain.ranges);
        check_ranges(&t, &plain.ranges);
        sst_close(&t);
        if (plain.entries.count)
            build_again(env, cache, &plain);
    } else {
        wander(&t, &plain);
        sst_close(&t);
    }
    plain_table_release(&plain);
    plain_release(&p);
}

void table_try(struct bytes file)
{
    struct env env;
    struct cache cache;

    stage_set();
    stage_env(&env);
    cache_init(&cache, 4096, NULL);
    stage_write(FORMAT_TABLE, NUMBER, file);
    try_with(&env, &cache, file);
    cache_release(&env, &cache);
    env_release(&env);
    stage_clear();
}
