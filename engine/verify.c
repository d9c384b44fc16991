/* verify.c: reads everything a database holds and tells all that is wrong with it.
 *
 * The database is opened to read only, which checks CURRENT, the manifest, the logs and how they
 * follow each other (Y3). Then every block of every table is read from the disk, and compared with
 * what others say of it: the manifest of bounds and numbers, the filter of its keys, the footer of
 * their count. Damage to one block does not end the walk. Files that nothing refers to are told,
 * and are no damage: a crash leaves them, and the next open removes them. */
#include "repair.h"
#include "bloom.h"
#include "block.h"

void reporter_tell(struct reporter *r, enum vault_finding_kind kind, const char *file,
                   uint64_t offset, const char *what, const struct bytes *first,
                   const struct bytes *last)
{
    struct vault_finding f = {.kind = kind, .offset = offset};
    size_t len = strlen(file);

    memcpy(f.file, file, len < sizeof f.file ? len : sizeof f.file - 1);
    len = strlen(what);
    memcpy(f.what, what, len < sizeof f.what ? len : sizeof f.what - 1);
    if (kind != VAULT_FINDING_ORPHAN && !r->findings++) {
        r->first = (struct vault_error){.status = VAULT_CORRUPT, .offset = offset};
        memcpy(r->first.file, f.file, sizeof f.file);
        memcpy(r->first.what, f.what, sizeof f.what);
    }
    if (!r->report)
        return;
    if (first) {
        f.first = first->data ? (const void *)first->data : "";
        f.first_len = first->len;
    }
    if (last) {
        f.last = last->data ? (const void *)last->data : "";
        f.last_len = last->len;
    }
    r->report(r->ctx, &f);
}

bool reporter_damage(struct reporter *r, enum vault_status st)
{
    struct vault_error error;

    if (st != VAULT_CORRUPT && st != VAULT_DATA_LOSS && st != VAULT_IO)
        return false;
    env_last(r->env, &error);
    reporter_tell(r, VAULT_FINDING_DAMAGE, error.file, error.offset, error.what, NULL, NULL);
    if (r->findings == 1)
        r->first = error;
    return true;
}

struct walk {
    struct reporter *r;
    const struct table *t;
    struct sst *sst;
    uint64_t last_seq, entries;
    struct buffer before; /* the key before */
    uint64_t before_tag;
    bool any;
};

static void wrong(struct walk *w, uint64_t offset, const char *what, struct bytes key)
{
    reporter_tell(w->r, VAULT_FINDING_DAMAGE, w->sst->file.name, offset, what, &key, &key);
}

static void check_entry(struct walk *w, const struct cursor *c, uint64_t offset)
{
    int order = w->any ? bytes_compare(buffer_bytes(&w->before), c->key) : -1;

    if (order > 0 || (order == 0 && w->before_tag <= c->tag))
        wrong(w, offset, "entries are out of order", c->key);
    if (bytes_compare(c->key, w->t->smallest) < 0 || bytes_compare(c->key, w->t->largest) > 0)
        wrong(w, offset, "a key lies outside of what the manifest says", c->key);
    if (tag_seq(c->tag) > w->last_seq)
        wrong(w, offset, "a sequence number is newer than the newest", c->key);
    if (tag_kind(c->tag) == FORMAT_OP_DELETE_RANGE)
        wrong(w, offset, "a range delete among the entries", c->key);
    if (w->sst->filter.len && !bloom_may_hold(w->sst->filter, bloom_hash(c->key)))
        wrong(w, offset, "the filter denies a key", c->key);
}

static enum vault_status check_block(void *ctx, const struct sst_block *block)
{
    struct walk *w = ctx;
    struct block_cursor at;
    enum vault_status st = VAULT_OK;

    if (!block->good) {
        (void)reporter_damage(w->r, block->status);
        return VAULT_OK;
    }
    block_cursor_init(w->r->env, &at);
    block_cursor_open(&at, w->sst->file.name, block->offset, block->contents);
    for (at.c.ops->first(&at.c); !st && at.c.valid; at.c.ops->next(&at.c)) {
        check_entry(w, &at.c, block->offset);
        w->entries++;
        w->any = true;
        w->before.len = 0;
        st = buffer_append(w->r->env, &w->before, at.c.key);
        w->before_tag = at.c.tag;
    }
    if (!st && at.c.status && !reporter_damage(w->r, at.c.status))
        st = at.c.status;
    if (!st && w->any && !bytes_equal(buffer_bytes(&w->before), block->last_key))
        wrong(w, block->offset, "a block does not end as its index says", block->last_key);
    block_cursor_release(&at);
    return st;
}

static void check_ranges(struct walk *w)
{
    for (size_t i = 0; i < w->sst->ranges.count; i++) {
        const struct range *p = &w->sst->ranges.at[i];

        if (bytes_compare(p->begin, w->t->smallest) < 0 || bytes_compare(p->end, w->t->largest) > 0)
            wrong(w, w->sst->data_end, "a range delete lies outside of what the manifest says",
                  p->begin);
        if (p->seq > w->last_seq)
            wrong(w, w->sst->data_end, "a sequence number is newer than the newest", p->begin);
    }
}

enum vault_status verify_table(struct reporter *r, const struct table *t, struct sst *sst,
                               uint64_t last_seq)
{
    struct walk w = {.r = r, .t = t, .sst = sst, .last_seq = last_seq};
    uint64_t before = r->findings;
    enum vault_status st = sst_walk(sst, &w, check_block);

    if (st && reporter_damage(r, st))
        st = VAULT_OK;
    check_ranges(&w);
    if (!st && r->findings == before && w.entries != sst->entries)
        reporter_tell(r, VAULT_FINDING_DAMAGE, sst->file.name, sst->size - FORMAT_FOOTER,
                      "another number of entries than the footer says", NULL, NULL);
    buffer_release(r->env, &w.before);
    return st;
}

static enum vault_status check_tables(struct vault *v, struct reporter *r)
{
    enum vault_status st = VAULT_OK;

    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        for (size_t j = 0; !st && j < v->version->levels[i].count; j++) {
            struct table *t = v->version->levels[i].at[j];
            struct sst *sst = NULL;

            st = table_pin(&v->tables, t, &sst);
            if (st && reporter_damage(r, st)) {
                st = VAULT_OK;
                continue;
            }
            if (!st)
                st = verify_table(r, t, sst, v->last_seq);
            if (sst)
                table_unpin(&v->tables, t);
        }
    return st;
}

static enum vault_status tell_orphans(struct vault *v, struct reporter *r)
{
    struct core_names names = {0};
    char name[OS_NAME_MAX];
    enum vault_status st = core_list(&v->env, &names);

    for (size_t i = 0; !st && i < core_names_count(&names); i++) {
        const struct core_name *n = &core_names_at(&names)[i];
        bool dead = n->kind == FORMAT_TEMPORARY ||
                    (n->kind == FORMAT_TABLE && !tables_hold(&v->tables, n->number)) ||
                    (n->kind == FORMAT_LOG && n->number < v->manifest.log_number) ||
                    (n->kind == FORMAT_MANIFEST && n->number != v->manifest.number);

        if (!dead)
            continue;
        if (n->kind == FORMAT_TEMPORARY)
            memcpy(name, FORMAT_NAME_TEMPORARY, sizeof FORMAT_NAME_TEMPORARY);
        else
            format_name(n->kind, n->number, name);
        reporter_tell(r, VAULT_FINDING_ORPHAN, name, 0, "nothing refers to this file", NULL, NULL);
    }
    core_names_release(&names);
    return st;
}

enum vault_status vault_verify(const char *path, const struct vault_options *options,
                               vault_report *report, void *ctx, struct vault_error *error)
{
    struct vault_options reading;
    struct vault_error failure = {0};
    struct vault *v = NULL;
    struct reporter r = {.report = report, .ctx = ctx};
    enum vault_status st = VAULT_OK;

    vault_options_init(&reading);
    if (options)
        reading = *options;
    reading.read_only = true;
    reading.block_cache_size = 0; /* what is in memory says nothing about the disk */
    st = vault_open(path, &reading, &v, &failure);
    if (st == VAULT_CORRUPT || st == VAULT_DATA_LOSS)
        reporter_tell(&r, VAULT_FINDING_DAMAGE, failure.file, failure.offset, failure.what, NULL,
                      NULL);
    if (!st) {
        r.env = &v->env;
        st = core_check_levels(v);
        if (st && reporter_damage(&r, st))
            st = VAULT_OK;
        if (!st)
            st = check_tables(v, &r);
        if (!st)
            st = tell_orphans(v, &r);
        if (!st)
            st = r.first.status;
        if (st)
            env_last(&v->env, &failure);
        if (r.findings)
            failure = r.first;
        (void)vault_close(v);
    }
    if (error) {
        *error = failure;
        error->status = st;
    }
    return st;
}
