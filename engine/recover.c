/* recover.c: opening a database: what survived is found, made durable, and only then built upon.
 *
 * Y1  CURRENT names the manifest, the manifest the tables and the first log that counts. Logs are
 *     replayed in order of number, each record whole or not at all (W4).
 * Y2  What was replayed is written as a level-0 table, synced, and becomes durable by the same new
 *     manifest that declares the logs dead; only then are they removed (K37). No byte of an old log
 *     is trusted to be on the disk, even if it could be read: a failed sync may have left it in the
 *     page cache only. So every open that finds a log rewrites its content.
 * Y3  A log must begin where the one before it ended: same number, at least the synced length, next
 *     sequence number. If not, something that had been synced is gone: VAULT_DATA_LOSS, never a
 *     hole (K03). On an honest disk this cannot happen, since a log is synced before the next one
 *     is created (W2). The same is asked of the manifest (M5). And a header is synced before a
 *     record is written behind it (W1), so one that is damaged in a longer file was there.
 * Y4  Without CURRENT the directory is a new database only if the very first open was cut short:
 *     that leaves LOCK, MANIFEST-000001 and CURRENT.tmp at most, since logs and tables come after
 *     CURRENT is durable, and so do manifests with other numbers. Anything else means CURRENT was
 *     lost (K40).
 * Y5  Whatever crash happens in here, the next open finds either the old CURRENT with all it names
 *     (nothing has been removed), or the new one with all it names (M2).
 * Y6  Files that nothing refers to are removed last, once the manifest that ignores them is
 *     durable; and the number counter is moved past everything seen, theirs included (K39, V3).
 * Y7  Names that could be read are not durable for that: an open whose directory sync failed has
 *     left CURRENT in the cache. The directory is synced before anything is built on them.
 * Y8  An open to read only changes nothing: what the logs hold stays in memory, what is dead stays
 *     where it is, and nothing is promised to be durable. */
#include "core.h"

struct recovery {
    struct vault *v;
    struct core_names names;
    struct memtable *mem, *ranges;
    struct version *version;
    uint64_t last_seq;
    uint64_t prev_number, prev_end; /* the log replayed last, and where its good part ended */
    size_t logs;
    size_t orphans;
};

static enum vault_status lost(struct recovery *r, const char *file, uint64_t offset,
                              const char *what)
{
    reached(wal_data_loss);
    return env_fail(&r->v->env, VAULT_DATA_LOSS, file, offset, 0, what);
}

static enum vault_status apply_record(struct recovery *r, const struct record_reader *reader,
                                      const struct record *record)
{
    struct env *env = &r->v->env;
    struct taker ops = taker_of(record->payload);
    struct bytes key;
    struct bytes value;
    unsigned kind = 0;
    size_t ranges = 0;
    enum vault_status st = VAULT_OK;

    if (record->kind == FORMAT_RECORD_CLAIM)
        return VAULT_OK;
    if (record->kind != FORMAT_RECORD_DATA)
        return env_fail(env, VAULT_UNSUPPORTED, reader->file.name, record->offset, 0,
                        "unknown kind of record");
    if (record->seq > r->last_seq + 1)
        return lost(r, reader->file.name, record->offset, "sequence numbers are missing"); /* Y3 */
    if (record->seq <= r->last_seq || record->count == 0 ||
        record->seq + record->count > FORMAT_SEQ_MAX ||
        !ops_valid(record->payload, record->count, &ranges))
        return env_fail(env, VAULT_CORRUPT, reader->file.name, record->offset, 0, "log record");
    st = memtable_reserve(env, r->mem, record->count, record->payload.len);
    if (!st && ranges && !r->ranges)
        st = memtable_new(env, &r->ranges);
    if (!st && ranges)
        st = memtable_reserve(env, r->ranges, record->count, record->payload.len);
    if (st)
        return st;
    for (uint32_t i = 0; i < record->count; i++) {
        bool good = ops_take(&ops, &kind, &key, &value);

        must(good); /* ops_valid has seen them all (W4) */
        memtable_add(kind == FORMAT_OP_DELETE_RANGE ? r->ranges : r->mem,
                     tag_of(record->seq + i, kind), key, value);
    }
    r->last_seq = record->seq + record->count - 1;
    return VAULT_OK;
}

/* Y3: does this log fit what was replayed before it? */
static enum vault_status check_chain(struct recovery *r, const struct record_reader *reader)
{
    const struct record_origin *origin = &reader->origin;
    const struct manifest *m = &r->v->manifest;
    char name[OS_NAME_MAX];

    if (origin->manifest_number == m->number && m->loaded_end < origin->manifest_synced) {
        format_name(FORMAT_MANIFEST, m->number, name);
        return lost(r, name, m->loaded_end, "manifest ends before what a log saw of it");
    }
    format_name(FORMAT_LOG, origin->prev_number, name);
    if (origin->prev_number >= m->log_number && origin->prev_number != r->prev_number)
        return lost(r, name, 0, "a log is missing");
    if (r->prev_number && origin->prev_number != r->prev_number)
        return lost(r, reader->file.name, 0, "log does not follow the one before");
    if (r->prev_number && r->prev_end < origin->prev_synced)
        return lost(r, name, r->prev_end, "log ends before what was synced");
    if (origin->prev_seq != r->last_seq)
        return lost(r, reader->file.name, 0, "sequence numbers are missing before this log");
    return VAULT_OK;
}

/* Y3: is a log that has no header one that was being created? */
static enum vault_status check_headless(struct recovery *r, const struct record_reader *reader)
{
    uint64_t size = 0;
    enum vault_status st = os_size(&r->v->env, &reader->file, &size);

    if (!st && size > FORMAT_FILE_HEADER)
        st = lost(r, reader->file.name, 0, "the header of a log is damaged");
    return st;
}

static enum vault_status replay_records(struct recovery *r, struct record_reader *reader)
{
    struct env *env = &r->v->env;
    struct record record;
    bool good = false;
    bool head = false;
    bool claimed = false;
    enum vault_status st = record_head(env, reader, &good);

    head = good;
    if (!st && good)
        st = check_chain(r, reader);
    while (!st && good) {
        st = record_next(env, reader, &record, &good);
        if (!st && good)
            st = apply_record(r, reader, &record);
    }
    if (!st)
        st = record_claimed(env, reader, &claimed);
    if (st)
        return st;
    if (claimed)
        return lost(r, reader->file.name, reader->pos, "a later record claims more was synced");
    if (!head)
        st = check_headless(r, reader);
    if (st)
        return st;
    if (reader->pos == 0)
        reached(wal_bad_header);
    else if (reader->torn)
        reached(wal_torn_tail);
    return VAULT_OK;
}

static enum vault_status replay_log(struct recovery *r, uint64_t number)
{
    struct env *env = &r->v->env;
    struct record_reader reader = {.file = OS_FILE_CLOSED};
    enum vault_status st = record_open(env, &reader, FORMAT_LOG, number, r->v->options.read_chunk);

    if (!st)
        st = replay_records(r, &reader);
    r->prev_number = number;
    r->prev_end = reader.pos;
    record_release(env, &reader);
    return st;
}

/* Goes through the names: counts what is dead, replays what counts (Y1). */
static enum vault_status replay(struct recovery *r)
{
    struct manifest *m = &r->v->manifest;
    const struct core_name *names = core_names_at(&r->names);
    enum vault_status st = VAULT_OK;

    for (size_t i = 0; !st && i < core_names_count(&r->names); i++) {
        const struct core_name *name = &names[i];

        switch (name->kind) {
        case FORMAT_LOG:
            r->orphans++;
            if (name->number < m->log_number)
                break;
            r->logs++;
            st = replay_log(r, name->number);
            break;
        case FORMAT_TABLE:
            r->orphans += !tables_hold(&r->v->tables, name->number);
            break;
        case FORMAT_MANIFEST:
            r->orphans += name->number != m->number;
            break;
        case FORMAT_TEMPORARY:
            r->orphans++;
            break;
        default:
            break;
        }
        if (name->number >= m->next_file && name->number < FORMAT_FILE_MAX)
            m->next_file = name->number + 1; /* Y6 */
    }
    return st;
}

/* Every table of the manifest must at least have a name. */
static enum vault_status check_tables(struct recovery *r)
{
    const struct core_name *names = core_names_at(&r->names);
    char name[OS_NAME_MAX];

    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        for (size_t j = 0; j < r->version->levels[i].count; j++) {
            uint64_t number = r->version->levels[i].at[j]->number;
            size_t low = 0;
            size_t high = core_names_count(&r->names);

            while (low < high) { /* by number, then kind */
                size_t mid = low + (high - low) / 2;

                if (names[mid].number < number ||
                    (names[mid].number == number && names[mid].kind < FORMAT_TABLE))
                    low = mid + 1;
                else
                    high = mid;
            }
            if (low < core_names_count(&r->names) && names[low].number == number &&
                names[low].kind == FORMAT_TABLE)
                continue;
            format_name(FORMAT_TABLE, number, name);
            return env_fail(&r->v->env, VAULT_CORRUPT, name, 0, 0, "table is missing");
        }
    return VAULT_OK;
}

/* Y2: makes what was found durable, by a table for the logs and a new manifest. */
static enum vault_status settle(struct recovery *r)
{
    struct vault *v = r->v;
    struct edit edit = {.has_log = true, .last_seq = r->last_seq};
    struct table *table = NULL;
    enum vault_status st = VAULT_OK;

    if (memtable_count(r->mem) || r->ranges) {
        reached(recovered_log_flushed);
        st = core_build(v, r->mem, r->ranges, &table);
        if (!st)
            st = edit_add(&v->env, &edit, 0, table);
        if (st) {
            table_unref(&v->tables, table);
            goto done;
        }
        st = version_apply(&v->tables, r->version, &edit);
    }
    edit.log = manifest_new_number(&v->manifest); /* past every log there is (W5) */
    if (!st)
        st = manifest_commit(&v->manifest, &edit, r->version);
done:
    edit_release(&v->tables, &edit);
    return st;
}

/* Y6. */
static enum vault_status remove_dead(struct recovery *r)
{
    struct vault *v = r->v;
    const struct core_name *names = core_names_at(&r->names);
    char text[OS_NAME_MAX];
    enum vault_status st = VAULT_OK;

    for (size_t i = 0; !st && i < core_names_count(&r->names); i++) {
        uint64_t number = names[i].number;
        enum format_file kind = names[i].kind;
        bool dead = kind == FORMAT_LOG ||
                    (kind == FORMAT_TABLE && !tables_hold(&v->tables, number)) ||
                    (kind == FORMAT_MANIFEST && number != v->manifest.number);

        if (!dead)
            continue;
        reached(orphan_removed);
        format_name(kind, number, text);
        st = os_unlink(&v->env, text);
        if (st == VAULT_NOT_FOUND) /* the old manifest: manifest_commit has removed it */
            st = VAULT_OK;
    }
    return st;
}

/* A CURRENT.tmp left behind goes first. Where a rename may come apart, it may be a second name of
 * CURRENT, and creating it anew would empty both. */
static enum vault_status drop_temporary(struct recovery *r)
{
    const struct core_name *names = core_names_at(&r->names);

    for (size_t i = 0; i < core_names_count(&r->names); i++)
        if (names[i].kind == FORMAT_TEMPORARY)
            return os_unlink(&r->v->env, FORMAT_NAME_TEMPORARY);
    return VAULT_OK;
}

/* Y4. */
static enum vault_status create(struct recovery *r)
{
    struct vault *v = r->v;
    const struct core_name *names = core_names_at(&r->names);
    struct edit edit = {.has_log = true, .log = 2}; /* the manifest takes number 1 */
    enum vault_status st = VAULT_OK;

    for (size_t i = 0; i < core_names_count(&r->names); i++)
        if (names[i].kind == FORMAT_LOG || names[i].kind == FORMAT_TABLE ||
            (names[i].kind == FORMAT_MANIFEST && names[i].number != 1)) {
            reached(current_missing);
            return env_fail(&v->env, VAULT_CORRUPT, FORMAT_NAME_CURRENT, 0, 0,
                            "CURRENT is missing, but other files are there");
        }
    if (!v->options.create_if_missing || v->options.read_only)
        return env_fail(&v->env, VAULT_NOT_FOUND, FORMAT_NAME_CURRENT, 0, 0, "no database here");
    st = version_new(&v->env, &r->version);
    if (!st)
        st =
            os_sync_parent(&v->env); /* also when an earlier, interrupted open made the directory */
    if (!st)
        st = manifest_commit(&v->manifest, &edit, r->version);
    return st;
}

static enum vault_status load(struct recovery *r)
{
    struct vault *v = r->v;
    enum vault_status st = v->options.read_only ? VAULT_OK : os_sync_dir(&v->env); /* Y7, Y8 */

    if (!st)
        st = check_tables(r);
    if (st)
        return st;
    r->last_seq = v->manifest.last_seq;
    st = memtable_new(&v->env, &r->mem);
    if (!st)
        st = replay(r);
    if (st || v->options.read_only || (!r->orphans && !v->options.no_log))
        return st; /* M6, Y8 */
    st = drop_temporary(r);
    if (!st)
        st = settle(r);
    return st ? st : remove_dead(r);
}

enum vault_status core_recover(struct vault *v)
{
    struct recovery r = {.v = v};
    enum vault_status st = core_list(&v->env, &r.names);

    if (!st) {
        st = manifest_load(&v->manifest, v->options.read_chunk, &r.version);
        if (st == VAULT_NOT_FOUND)
            st = create(&r);
        else if (!st && v->options.error_if_exists)
            st = env_fail(&v->env, VAULT_EXISTS, FORMAT_NAME_CURRENT, 0, 0, "database exists");
        else if (!st)
            st = load(&r);
    }
    core_names_release(&r.names);
    if (!st && v->options.read_only) { /* Y8 */
        v->mem = r.mem;
        v->mem_ranges = r.ranges;
        r.mem = r.ranges = NULL;
    }
    memtable_unref(&v->env, r.mem);
    memtable_unref(&v->env, r.ranges);
    if (st) {
        version_unref(&v->tables, r.version);
        return st;
    }
    core_install(v, r.version, NULL);
    v->last_seq = r.last_seq;
    v->durable_seq = v->options.read_only ? 0 : r.last_seq; /* Y2 */
    v->chain = (struct record_origin){.prev_seq = r.last_seq};
    return VAULT_OK;
}
