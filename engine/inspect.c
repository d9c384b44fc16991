/* inspect.c: what is in the directory, and whether it is what should be there.
 *
 * vault_check is for tests and for the command line: it lists the directory and compares it with
 * the version. It holds `writing`, and on a thread waits for the maintainer to be idle and keeps it
 * so, so that nothing moves underneath; but a reader may let a dropped table go. */
#include <stdlib.h>
#include "core.h"

static enum vault_status add_name(void *ctx, const char *text)
{
    struct core_names *names = ctx;
    struct core_name name = {FORMAT_OTHER, 0};

    name.kind = format_parse(text, &name.number);
    if (name.kind == FORMAT_OTHER) {
        names->others++;
        return VAULT_OK;
    }
    return buffer_append(names->env, &names->data, bytes_of(&name, sizeof name));
}

static int by_number(const void *a, const void *b)
{
    const struct core_name *x = a;
    const struct core_name *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return (int)x->kind - (int)y->kind;
}

/* Sorted here once, so that no decision depends on the order of a listing (K18). */
enum vault_status core_list(struct env *env, struct core_names *names)
{
    enum vault_status st = VAULT_OK;

    *names = (struct core_names){.env = env};
    st = os_list(env, names, add_name);
    if (!st && names->data.len)
        qsort(names->data.data, core_names_count(names), sizeof(struct core_name), by_number);
    return st;
}

void core_names_release(struct core_names *names)
{
    if (names->env)
        buffer_release(names->env, &names->data);
}

static enum vault_status breach(struct vault *v, enum format_file kind, uint64_t number,
                                const char *what)
{
    char name[OS_NAME_MAX];

    format_name(kind, number, name);
    return env_fail(&v->env, VAULT_CORRUPT, name, 0, 0, what);
}

enum vault_status core_check_levels(struct vault *v)
{
    char name[OS_NAME_MAX];
    enum vault_status st = VAULT_OK;

    for (unsigned i = 0; i < VAULT_LEVELS; i++) {
        const struct level *level = &v->version->levels[i];
        uint64_t bytes = 0;

        for (size_t j = 0; j < level->count; j++) {
            const struct table *t = level->at[j];
            uint64_t size = 0;

            bytes += t->size;
            if (i == 0 && j > 0 && level->at[j - 1]->number >= t->number)
                return breach(v, FORMAT_TABLE, t->number, "level 0 is out of order");
            if (i > 0 && j > 0 && !table_before(level->at[j - 1], t->smallest))
                return breach(v, FORMAT_TABLE, t->number, "tables of a level overlap");
            format_name(FORMAT_TABLE, t->number, name);
            st = os_file_size(&v->env, name, &size);
            if (st == VAULT_NOT_FOUND)
                return breach(v, FORMAT_TABLE, t->number, "table is missing");
            if (st)
                return st;
            if (size != t->size)
                return breach(v, FORMAT_TABLE, t->number, "table has another size");
        }
        if (bytes != level->bytes)
            return env_fail(&v->env, VAULT_CORRUPT, "", 0, 0, "bytes of a level are miscounted");
    }
    return VAULT_OK;
}

/* A reader that was the last to hold a table may have removed it since the directory was listed. */
static enum vault_status check_orphan(struct vault *v, enum format_file kind, uint64_t number)
{
    char name[OS_NAME_MAX];
    uint64_t size = 0;
    enum vault_status st = VAULT_OK;

    format_name(kind, number, name);
    st = os_file_size(&v->env, name, &size);
    if (st)
        return st == VAULT_NOT_FOUND ? VAULT_OK : st;
    return breach(v, kind, number, "nothing refers to this file");
}

static enum vault_status check_files(struct vault *v)
{
    struct core_names names = {0};
    enum vault_status st = core_list(&v->env, &names);

    for (size_t i = 0; !st && i < core_names_count(&names); i++) {
        enum format_file kind = core_names_at(&names)[i].kind;
        uint64_t number = core_names_at(&names)[i].number;
        bool alive = true;

        if (kind == FORMAT_TABLE)
            alive = tables_hold(&v->tables, number);
        else if (kind == FORMAT_LOG)
            alive =
                (v->wal.open && v->wal.out.number == number) || (v->full && v->full_log == number);
        else if (kind == FORMAT_MANIFEST)
            alive = v->manifest.number == number;
        if (!alive)
            st = check_orphan(v, kind, number);
        else if (kind == FORMAT_TEMPORARY)
            st = env_fail(&v->env, VAULT_CORRUPT, FORMAT_NAME_TEMPORARY, 0, 0,
                          "left over from a switch of manifests");
    }
    core_names_release(&names);
    return st;
}

enum vault_status vault_check(struct vault *v, struct vault_error *error)
{
    enum vault_status st = VAULT_OK;

    if (!v)
        return VAULT_INVALID;
    thread_lock(&v->writing);
    thread_lock(&v->lock);
    while (v->options.background == VAULT_THREAD &&
           (v->busy || (!v->failed && !v->hiccup && (v->full || core_compaction_due(v)))))
        thread_wait(&v->done, &v->lock);
    v->held++; /* somebody may ask for a compaction meanwhile */
    thread_unlock(&v->lock);
    st = core_check_levels(v);
    if (!st && !core_failed(v)) /* A failed handle removes nothing: files may be left over. */
        st = check_files(v);
    thread_lock(&v->lock);
    v->held--;
    thread_wake(&v->work);
    thread_unlock(&v->lock);
    if (st && error)
        env_last(&v->env, error);
    thread_unlock(&v->writing);
    return st;
}

/* Of the table, what lies in [begin, end): end - begin of these. */
static enum vault_status size_up_to(struct tables *tables, struct table *t, struct bytes key,
                                    uint64_t *bytes)
{
    struct sst *sst = NULL;
    enum vault_status st = VAULT_OK;

    *bytes = 0;
    if (bytes_compare(key, t->smallest) <= 0)
        return VAULT_OK;
    *bytes = t->size;
    if (bytes_compare(key, t->largest) > 0)
        return VAULT_OK;
    st = table_pin(tables, t, &sst);
    if (st)
        return st;
    st = sst_offset(sst, key, bytes);
    table_unpin(tables, t);
    return st;
}

enum vault_status vault_approximate_size(struct vault *v, const void *begin, size_t begin_len,
                                         const void *end, size_t end_len, uint64_t *bytes)
{
    struct core_view view;
    uint64_t sum = 0;
    enum vault_status st = VAULT_OK;

    if (!v || !bytes || begin_len > VAULT_KEY_MAX || end_len > VAULT_KEY_MAX)
        return VAULT_INVALID;
    core_view_get(v, NULL, &view);
    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        for (size_t j = 0; !st && j < view.version->levels[i].count; j++) {
            struct table *t = view.version->levels[i].at[j];
            uint64_t low = 0;
            uint64_t high = t->size;

            if (begin)
                st = size_up_to(&v->tables, t, bytes_of(begin, begin_len), &low);
            if (!st && end)
                st = size_up_to(&v->tables, t, bytes_of(end, end_len), &high);
            if (!st && high > low)
                sum += high - low;
        }
    core_view_put(v, &view);
    if (!st)
        *bytes = sum;
    return st;
}

enum vault_status core_remove_files(struct env *env)
{
    struct core_names names = {0};
    char text[OS_NAME_MAX];
    size_t others = 0;
    enum vault_status st = core_list(env, &names);

    for (size_t i = 0; !st && i < core_names_count(&names); i++) {
        enum format_file kind = core_names_at(&names)[i].kind;

        if (kind == FORMAT_LOCK)
            continue;
        if (kind == FORMAT_CURRENT)
            st = os_unlink(env, FORMAT_NAME_CURRENT);
        else if (kind == FORMAT_TEMPORARY)
            st = os_unlink(env, FORMAT_NAME_TEMPORARY);
        else {
            format_name(kind, core_names_at(&names)[i].number, text);
            st = os_unlink(env, text);
        }
    }
    others = names.others;
    core_names_release(&names);
    if (!st)
        st = os_unlink(env, FORMAT_NAME_LOCK);
    if (st == VAULT_NOT_FOUND) /* a copy that was never opened has none */
        st = VAULT_OK;
    if (!st && !others)
        st = os_rmdir(env);
    return st;
}

enum vault_status vault_destroy(const char *path, struct vault_error *error)
{
    struct env env;
    struct os_file lock = OS_FILE_CLOSED;
    enum vault_status st = VAULT_OK;

    if (!path)
        return VAULT_INVALID;
    st = env_init(&env, path, NULL, NULL);
    if (!st)
        st = os_lock(&env, FORMAT_NAME_LOCK, &lock);
    if (!st)
        st = core_remove_files(&env);
    os_unlock(&env, &lock);
    if (st && error)
        env_last(&env, error);
    env_release(&env);
    return st;
}
