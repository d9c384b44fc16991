/* checkpoint.c: a copy of the database in a directory of its own, made while writers go on.
 *
 * H1  The memtable is flushed first, under `writing`: the version taken then holds every write that
 *     was acknowledged, so the copy needs no log. A reference keeps its tables from being removed
 *     while they are linked or copied.
 * H2  Tables are linked: a table never changes once it is finished, and its content has been
 *     durable since then (S1). Where that cannot be done, or was not wanted, the bytes are copied
 *     and synced. CURRENT is written last, by the steps of any new manifest (M2) but for the first
 *     sync of the directory: until the last one nobody was promised anything, and a copy of which
 *     CURRENT outlives a crash without all that it names is refused. Its manifest never has number
 *     1, so that a directory which a crash left unfinished is refused, or empty, but never taken
 *     for a new database with something in it (Y4).
 * H3  The parent is synced in the end: only then is the name of the copy durable.
 * H4  A failure is none of the handle: no file of it was touched. What was made is removed. */
#include "core.h"

#define COPY_CHUNK ((size_t)64 << 10)

static enum vault_status copy_bytes(struct env *from, const struct os_file *source, struct env *to,
                                    struct os_file *target, uint64_t size, uint8_t *chunk)
{
    enum vault_status st = VAULT_OK;

    while (!st && target->size < size) {
        size_t want = size - target->size < COPY_CHUNK ? (size_t)(size - target->size) : COPY_CHUNK;
        size_t got = 0;

        st = os_read(from, source, target->size, chunk, want, &got);
        if (!st && got < want)
            st = env_fail(to, VAULT_CORRUPT, source->name, target->size + got, 0,
                          "table is shorter than the manifest says");
        env_use(from, chunk, got);
        if (!st)
            st = os_append(to, target, bytes_of(chunk, got));
    }
    return st ? st : os_sync(to, target);
}

static enum vault_status copy_table(struct env *from, struct env *to, const char *name,
                                    uint64_t size)
{
    struct os_file source = OS_FILE_CLOSED;
    struct os_file target = OS_FILE_CLOSED;
    uint8_t *chunk = alloc_get(to, COPY_CHUNK);
    enum vault_status closing = VAULT_OK;
    enum vault_status st = VAULT_OK;

    if (!chunk)
        return env_fail(to, VAULT_NO_MEMORY, name, 0, 0, "copy of a table");
    st = os_open(from, name, &source);
    if (!st)
        st = os_create(to, name, &target);
    if (!st)
        st = copy_bytes(from, &source, to, &target, size, chunk);
    closing = os_close(to, &target);
    if (!st)
        st = closing;
    closing = os_close(from, &source); /* Nothing was written. */
    alloc_put(to, chunk, COPY_CHUNK);
    return st;
}

static enum vault_status bring_tables(struct vault *v, const struct version *version,
                                      struct env *to, bool copy)
{
    char name[OS_NAME_MAX];
    enum vault_status st = VAULT_OK;

    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        for (size_t j = 0; !st && j < version->levels[i].count; j++) {
            const struct table *t = version->levels[i].at[j];

            format_name(FORMAT_TABLE, t->number, name);
            st = copy ? VAULT_UNSUPPORTED : os_link(&v->env, to, name);
            if (st == VAULT_UNSUPPORTED)
                st = copy_table(&v->env, to, name, t->size);
        }
    return st;
}

/* Readers hold it, and need not be able to create it. */
static enum vault_status make_lock(struct env *to)
{
    struct os_file lock = OS_FILE_CLOSED;
    enum vault_status st = os_create(to, FORMAT_NAME_LOCK, &lock);

    return st ? st : os_close(to, &lock);
}

/* H2, H3. */
static enum vault_status fill(struct vault *v, const struct core_view *view, struct env *to,
                              bool copy)
{
    struct manifest m;
    struct edit edit = {.has_log = true, .last_seq = view->seq};
    enum vault_status closing = VAULT_OK;
    enum vault_status st = bring_tables(v, view->version, to, copy);

    manifest_init(&m, to, &v->tables, v->options.manifest_size);
    m.copies = true; /* H2 */
    m.next_file = atomic_get(&v->manifest.next_file);
    must(m.next_file > 1);
    edit.log = m.next_file + 1; /* behind the number of the manifest */
    if (!st)
        st = make_lock(to);
    if (!st)
        st = manifest_commit(&m, &edit, view->version);
    closing = manifest_close(&m);
    if (!st)
        st = closing;
    manifest_release(&m);
    if (!st)
        st = os_sync_parent(to);
    return st;
}

static void remove_copy(struct env *to)
{
    enum vault_status ignored = core_remove_files(to);

    (void)ignored;
}

/* Says what failed in the other directory as a failure of the handle's. */
static enum vault_status tell(struct vault *v, struct env *to, enum vault_status st)
{
    struct vault_error error;

    env_last(to, &error);
    if (error.status != st) /* it was recorded where it belongs */
        return st;
    return env_fail(&v->env, st, error.file, error.offset, error.system_errno, error.what);
}

enum vault_status vault_checkpoint(struct vault *v, const char *path, unsigned flags, uint64_t *seq)
{
    struct core_view view;
    struct env to;
    enum vault_status st = VAULT_OK;

    if (!v || !path || flags & ~VAULT_CHECKPOINT_COPY)
        return VAULT_INVALID;
    thread_lock(&v->writing); /* H1 */
    st = core_rotate(v);
    if (!st)
        st = core_settle(v);
    if (!st)
        core_view_get(v, NULL, &view);
    thread_unlock(&v->writing);
    if (st)
        return st;
    st = env_init(&to, path, v->env.allocator, v->env.hooks);
    if (!st)
        st = os_mkdir_new(&to);
    if (!st) {
        st = fill(v, &view, &to, flags & VAULT_CHECKPOINT_COPY);
        if (st)
            remove_copy(&to); /* H4 */
    }
    if (st)
        st = tell(v, &to, st);
    if (!st && seq)
        *seq = view.seq;
    os_release_dir(&to);
    env_release(&to);
    core_view_put(v, &view);
    return st;
}
