/* compact.c: picking and running compactions.
 *
 * A level is due when its score reaches 1: for level 0 the number of tables against level0_tables,
 * for the others bytes against a target that grows by level_multiplier. The highest score wins, the
 * smaller level on a tie. Within a level tables take turns by key: a cursor in the manifest says
 * where the next one begins. All of it depends on the version only, so runs repeat.
 *
 * C1  A compaction of level 0 takes every level-0 table that overlaps, transitively: none that is
 *     older than a picked one and overlaps it stays behind (K25).
 * C2  Of the versions of a key it keeps the newest, and for each live snapshot the newest that the
 *     snapshot sees (K21). Snapshots are listed under `lock` after the inputs were picked; a later
 *     snapshot sees everything that is in a table.
 * C3  Outputs are never split between two versions of one user key (V2).
 * C4  A delete is dropped only if no older version can be below: none kept in this compaction, and
 *     no table of any deeper level covers the key (K20, K24).
 *     A value that has expired is as good as a delete, and no better: it becomes one, and goes
 *     under the same condition (K46).
 * C5  A failure of an input ends the compaction and nothing is dropped (K27).
 * C6  Inputs are removed from the version by one durable edit together with the outputs that
 *     replace them (K12); their files go when no reader holds them (L1).
 * C7  Range deletes of the inputs are cut into pieces. An entry goes when a piece hides it from all
 *     that could see it (same stratum, C2). A piece goes by the rule of C4, asked of its whole
 *     range. What stays is written into the outputs, cut where they are cut: each output has the
 *     part from its first key to the first key of the next, so that outputs stay disjoint (V2) and
 *     a piece is always in the table that a search for its keys comes to.
 * C8  With compaction_rate the thread waits until what it has written is due, before a compaction
 *     and at each PACE_STEP in it, and flushes meanwhile. However short a compaction was, the next
 *     one waits for it. A handle that is being closed waits no more. */
#include "merging.h"
#include "core.h"

struct compaction {
    struct vault *v;
    unsigned level; /* inputs: tables of it, and of the level below */
    struct version *version;
    struct edit edit;
    struct table **inputs[2];
    size_t counts[2], caps[2];
    uint64_t *snapshots; /* ascending */
    size_t snapshot_count, snapshot_cap;
    struct sst_builder out;
    bool building;
    bool write_failed; /* an output could not be written; else it was an input, or memory */
    uint64_t out_number;
    struct ranges ranges;
    size_t next_range;      /* the first piece that is not written whole */
    struct buffer cut;      /* where the output begins */
    bool has_cut;           /* else: at the beginning of all keys */
    struct buffer last_key; /* user key of the entry before */
    uint64_t last_stratum;
    bool has_last;
    unsigned turns;
    uint64_t written; /* bytes of the finished outputs */
    uint64_t paced;   /* bytes that were waited for */
    uint64_t began;   /* ticks; 0: nothing was merged */
    uint64_t now;     /* of the beginning */
};

static uint64_t level_target(const struct vault *v, unsigned level)
{
    uint64_t target = v->options.level1_size;

    while (--level > 0)
        target = target > UINT64_MAX / v->options.level_multiplier
                     ? UINT64_MAX
                     : target * v->options.level_multiplier;
    return target;
}

/* The level most in need, or VAULT_LEVELS. Scores are in thousandths. */
static unsigned pick_level(const struct vault *v, const struct version *version)
{
    unsigned best = VAULT_LEVELS;
    uint64_t best_score = 0;

    for (unsigned level = 0; level + 1 < VAULT_LEVELS; level++) {
        const struct level *l = &version->levels[level];
        uint64_t score = level == 0 ? l->count * 1000 / v->options.level0_tables
                                    : l->bytes * 1000 / level_target(v, level);

        if (score >= 1000 && score > best_score) {
            best = level;
            best_score = score;
        }
    }
    return best;
}

bool core_compaction_due(struct vault *v)
{
    return !v->compaction_paused && pick_level(v, v->version) < VAULT_LEVELS;
}

static enum vault_status add_input(struct compaction *c, unsigned which, struct table *t)
{
    size_t cap = c->caps[which];
    struct table **bigger = NULL;

    if (c->counts[which] == cap) {
        size_t more = cap ? cap * 2 : 8;

        bigger = alloc_get(&c->v->env, more * sizeof(struct table *));
        if (!bigger)
            return env_fail(&c->v->env, VAULT_NO_MEMORY, "", 0, 0, "compaction");
        if (cap)
            memcpy(bigger, c->inputs[which], cap * sizeof(struct table *));
        alloc_put(&c->v->env, c->inputs[which], cap * sizeof(struct table *));
        c->inputs[which] = bigger;
        c->caps[which] = more;
    }
    c->inputs[which][c->counts[which]++] = t;
    return VAULT_OK;
}

static void widen(const struct table *t, struct bytes *from, struct bytes *to)
{
    if (bytes_compare(t->smallest, *from) < 0)
        *from = t->smallest;
    if (bytes_compare(t->largest, *to) > 0)
        *to = t->largest;
}

/* The tables of c->level that overlap [begin, end], on level 0 widened until nothing more does
 * (C1), and those of the level below that overlap any of them. */
static enum vault_status take_inputs(struct compaction *c, const struct bytes *begin,
                                     const struct bytes *end)
{
    const struct level *upper = &c->version->levels[c->level];
    const struct level *lower = &c->version->levels[c->level + 1];
    struct bytes from = begin ? *begin : bytes_of(NULL, 0);
    struct bytes to = end ? *end : bytes_of(NULL, 0);
    size_t before = 0;
    enum vault_status st = VAULT_OK;

    do {
        before = c->counts[0];
        c->counts[0] = 0;
        for (size_t i = 0; !st && i < upper->count; i++)
            if (table_overlaps(upper->at[i], begin ? &from : NULL, end ? &to : NULL))
                st = add_input(c, 0, upper->at[i]);
        for (size_t i = 0; i < c->counts[0]; i++)
            widen(c->inputs[0][i], &from, &to);
    } while (!st && c->level == 0 && c->counts[0] != before);
    if (st || !c->counts[0])
        return st;
    from = c->inputs[0][0]->smallest;
    to = c->inputs[0][0]->largest;
    for (size_t i = 1; i < c->counts[0]; i++)
        widen(c->inputs[0][i], &from, &to);
    for (size_t i = 0; !st && i < lower->count; i++)
        if (table_overlaps(lower->at[i], &from, &to))
            st = add_input(c, 1, lower->at[i]);
    return st;
}

/* Inputs of an automatic compaction of c->level: the oldest table of level 0, or the next in turn.
 */
static enum vault_status pick_inputs(struct compaction *c)
{
    const struct level *upper = &c->version->levels[c->level];
    const struct buffer *cursor = &c->v->manifest.cursors[c->level];
    struct table *first = upper->at[0];

    if (c->level > 0 && cursor->len)
        for (size_t i = 0; i < upper->count; i++)
            if (bytes_compare(upper->at[i]->largest, buffer_bytes(cursor)) > 0) {
                first = upper->at[i];
                break;
            }
    if (c->level > 0) {
        c->edit.has_cursor = true;
        c->edit.cursor_level = c->level;
        c->edit.cursor = first->largest;
    }
    return take_inputs(c, &first->smallest, &first->largest);
}

static enum vault_status list_snapshots(struct compaction *c)
{
    struct vault *v = c->v;
    size_t count = 0;
    enum vault_status st = VAULT_OK;

    for (;;) {
        thread_lock(&v->lock);
        count = 0;
        for (struct vault_snapshot *s = v->snapshots; s; s = s->next)
            if (count++ < c->snapshot_cap)
                c->snapshots[count - 1] = s->seq;
        thread_unlock(&v->lock);
        if (count <= c->snapshot_cap)
            break;
        alloc_put(&v->env, c->snapshots, c->snapshot_cap * sizeof(uint64_t));
        c->snapshot_cap = count + 8;
        c->snapshots = alloc_get(&v->env, c->snapshot_cap * sizeof(uint64_t));
        if (!c->snapshots) {
            c->snapshot_cap = 0;
            return env_fail(&v->env, VAULT_NO_MEMORY, "", 0, 0, "compaction");
        }
    }
    c->snapshot_count = count;
    return st;
}

/* Which readers see a version first: the index of the oldest snapshot at or after it. Of two
 * versions of one key in the same stratum, nobody sees the older. */
static uint64_t stratum_of(const struct compaction *c, uint64_t seq)
{
    size_t low = 0;
    size_t high = c->snapshot_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (c->snapshots[mid] < seq)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* C4: may a level below the output hold the key? */
static bool held_deeper(const struct compaction *c, struct bytes key)
{
    for (unsigned level = c->level + 2; level < VAULT_LEVELS; level++) {
        const struct level *l = &c->version->levels[level];
        size_t at = level_find(l, key);

        if (at < l->count && bytes_compare(l->at[at]->smallest, key) <= 0)
            return true;
    }
    return false;
}

/* C4: may a level below the output hold a key of the range? */
static bool range_held_deeper(const struct compaction *c, struct bytes begin, struct bytes end)
{
    for (unsigned level = c->level + 2; level < VAULT_LEVELS; level++) {
        const struct level *l = &c->version->levels[level];
        size_t at = level_find(l, begin);

        if (at < l->count && bytes_compare(l->at[at]->smallest, end) < 0)
            return true;
    }
    return false;
}

/* C7: is the entry hidden from all that could see it? */
static bool hidden(const struct compaction *c, struct bytes key, uint64_t seq, uint64_t stratum)
{
    size_t i = c->ranges.count ? ranges_find(&c->ranges, key) : 0;
    uint64_t cover = 0;

    if (i >= c->ranges.count)
        return false;
    for (size_t first = i; i < c->ranges.count && c->ranges.at[i].seq > seq &&
                           bytes_equal(c->ranges.at[i].begin, c->ranges.at[first].begin);
         i++)
        cover = c->ranges.at[i].seq; /* the oldest that is newer than the entry */
    return cover && stratum_of(c, cover) == stratum;
}

/* C2, C4 for the piece at index i. */
static bool range_stays(const struct compaction *c, size_t i)
{
    const struct range *r = &c->ranges.at[i];
    uint64_t stratum = stratum_of(c, r->seq);

    if (i > 0 && bytes_equal(r[-1].begin, r->begin) && stratum_of(c, r[-1].seq) == stratum)
        return false;
    if (stratum == 0 && !range_held_deeper(c, r->begin, r->end)) {
        reached(compaction_dropped_range);
        return false;
    }
    return true;
}

static enum vault_status begin_output(struct compaction *c)
{
    struct sst_options options = core_sst_options(c->v, c->level + 1);

    c->out_number = manifest_new_number(&c->v->manifest);
    c->building = true;
    return sst_begin(&c->v->env, &c->out, c->out_number, &options);
}

/* C7: the pieces from the last cut up to `end` (NULL: all that are left). */
static enum vault_status write_ranges(struct compaction *c, const struct bytes *end)
{
    enum vault_status st = VAULT_OK;

    for (size_t i = c->next_range; !st && i < c->ranges.count; i++) {
        struct range r = c->ranges.at[i];

        if (end && bytes_compare(r.begin, *end) >= 0)
            break;
        if (c->has_cut && bytes_compare(r.begin, buffer_bytes(&c->cut)) < 0)
            r.begin = buffer_bytes(&c->cut);
        if (end && bytes_compare(r.end, *end) > 0)
            r.end = *end; /* the rest goes to the next output */
        else
            c->next_range = i + 1;
        if (!range_stays(c, i))
            continue;
        if (!c->building)
            st = begin_output(c);
        if (!st)
            st = sst_add_range(&c->out, r.begin, r.end, r.seq);
    }
    return st;
}

static enum vault_status finish_output(struct compaction *c)
{
    struct table *table = NULL;
    uint64_t size = 0;
    enum vault_status st = sst_finish(&c->out, &size);

    if (!st)
        st = table_new(&c->v->tables, c->out_number, size, buffer_bytes(&c->out.smallest),
                       c->out.smallest_tag, buffer_bytes(&c->out.largest), c->out.largest_tag,
                       &table);
    if (!st) {
        table->has_ranges = c->out.ranges.count > 0;
        atomic_count(&c->v->table_bytes, size);
        atomic_count(&c->v->compacted_bytes, size);
        c->written += size;
        st = edit_add(&c->v->env, &c->edit, c->level + 1, table);
        if (st) {
            table_obsolete(&c->v->tables, table);
            table_unref(&c->v->tables, table);
        } else {
            c->building = false;
            sst_builder_release(&c->out);
        }
    }
    return st;
}

static enum vault_status write_entry(struct compaction *c, struct bytes key, uint64_t tag,
                                     struct bytes value, bool new_key)
{
    enum vault_status st = VAULT_OK;

    if (c->building && new_key && sst_size(&c->out) >= c->v->options.table_size) { /* C3 */
        st = write_ranges(c, &key);
        if (!st)
            st = finish_output(c);
        c->cut.len = 0;
        c->has_cut = true;
        if (!st)
            st = buffer_append(&c->v->env, &c->cut, key);
    }
    if (!st && !c->building)
        st = begin_output(c);
    return st ? st : sst_add(&c->out, key, tag, value);
}

/* Decides about one entry of the merged input, which comes newest first within a key. */
static enum vault_status handle_entry(struct compaction *c, const struct cursor *in)
{
    uint64_t stratum = stratum_of(c, tag_seq(in->tag));
    bool new_key = !c->has_last || !bytes_equal(in->key, buffer_bytes(&c->last_key));
    uint64_t tag = in->tag;
    struct bytes value = in->value;
    enum vault_status st = VAULT_OK;

    if (new_key) {
        c->last_key.len = 0;
        st = buffer_append(&c->v->env, &c->last_key, in->key);
        c->has_last = true;
    } else if (stratum == c->last_stratum) {
        return VAULT_OK; /* C2: hidden behind the one before */
    }
    if (st)
        return st;
    c->last_stratum = stratum;
    if (hidden(c, in->key, tag_seq(in->tag), stratum)) {
        reached(compaction_dropped_covered); /* C7 */
        return VAULT_OK;
    }
    if (tag & CURSOR_PUT && !cursor_live(tag, c->now, &value)) {
        reached(compaction_met_expired);
        tag = tag_of(tag_seq(tag), FORMAT_OP_DELETE);
        value = bytes_of(NULL, 0);
    } else {
        value = in->value; /* with its time */
    }
    if (!(tag & CURSOR_PUT) && stratum == 0 && !held_deeper(c, in->key)) {
        reached(compaction_dropped_tombstone); /* C4 */
        return VAULT_OK;
    }
    return write_entry(c, in->key, tag, value, new_key);
}

static enum vault_status open_inputs(struct compaction *c, struct cursor **out)
{
    struct vault *v = c->v;
    size_t max = c->counts[0] + 1;
    struct cursor **children = alloc_get(&v->env, max * sizeof(struct cursor *));
    size_t count = 0;
    enum vault_status st = VAULT_OK;

    if (!children)
        return env_fail(&v->env, VAULT_NO_MEMORY, "", 0, 0, "compaction");
    if (c->level == 0) {
        for (size_t i = 0; !st && i < c->counts[0]; i++) {
            st = level_cursor(&v->tables, c->inputs[0] + i, 1, &children[count]);
            count += !st;
        }
    } else {
        st = level_cursor(&v->tables, c->inputs[0], c->counts[0], &children[count]);
        count += !st;
    }
    if (!st && c->counts[1]) {
        st = level_cursor(&v->tables, c->inputs[1], c->counts[1], &children[count]);
        count += !st;
    }
    if (!st)
        st = merge_cursor(&v->env, children, count, out);
    else
        for (size_t i = 0; i < count; i++)
            cursor_free(children[i]);
    alloc_put(&v->env, children, max * sizeof(struct cursor *));
    return st;
}

/* Bytes that are written at once: those of 16 ms, and not too few to be worth a wait. */
#define PACE_STEP(rate) ((rate) / 64 < 1024 ? 1024 : (rate) / 64)

static uint64_t written(const struct compaction *c)
{
    return c->written + (c->building ? sst_size(&c->out) : 0);
}

/* C8: what was written since the last time, as time that has to pass. */
static void charge(struct compaction *c)
{
    struct vault *v = c->v;
    uint64_t more = written(c) > c->paced ? written(c) - c->paced : 0;
    uint64_t now = os_ticks();

    c->paced += more;
    v->pace = v->pace > now ? v->pace : now; /* time that nobody used is gone */
    v->pace += (uint64_t)((double)more * 1e9 / (double)v->options.compaction_rate);
}

/* On a thread, a memtable that became full meanwhile goes first: writers wait for it. With `paced`,
 * until all is due that was charged. */
static enum vault_status let_flush(struct vault *v, bool paced)
{
    bool full = false;

    do {
        thread_lock(&v->lock);
        full = v->full && !v->failed && !v->hiccup;
        if (!full && paced) {
            paced = !v->stopping && !v->failed && os_ticks() < v->pace;
            if (paced)
                thread_wait_until(&v->work, &v->lock, v->pace);
        }
        thread_unlock(&v->lock);
        if (full)
            core_flush_job(v);
    } while (paced && !core_failed(v));
    return core_failed(v);
}

static bool has_rate(const struct vault *v)
{
    return v->options.background != VAULT_INLINE && v->options.compaction_rate > 0;
}

static enum vault_status give_way(struct compaction *c)
{
    struct vault *v = c->v;
    bool step = has_rate(v) && written(c) >= c->paced + PACE_STEP(v->options.compaction_rate);

    if (v->options.background == VAULT_INLINE || (!step && ++c->turns % 512))
        return VAULT_OK;
    if (step)
        charge(c);
    return let_flush(v, step);
}

static enum vault_status gather_ranges(struct compaction *c)
{
    struct vault *v = c->v;
    enum vault_status st = VAULT_OK;

    for (unsigned which = 0; which < 2; which++)
        for (size_t i = 0; !st && i < c->counts[which]; i++) {
            struct sst *sst = NULL;

            if (!c->inputs[which][i]->has_ranges)
                continue;
            st = table_pin(&v->tables, c->inputs[which][i], &sst);
            if (st)
                break;
            for (size_t j = 0; !st && j < sst->ranges.count; j++)
                st = ranges_add(&v->env, &c->ranges, sst->ranges.at[j].begin, sst->ranges.at[j].end,
                                sst->ranges.at[j].seq);
            table_unpin(&v->tables, c->inputs[which][i]);
        }
    return st ? st : ranges_cut(&v->env, &c->ranges);
}

static enum vault_status merge_inputs(struct compaction *c)
{
    struct cursor *in = NULL;
    enum vault_status st = open_inputs(c, &in);

    if (st)
        return st;
    for (in->ops->first(in); !st && in->valid; in->ops->next(in)) {
        st = handle_entry(c, in);
        c->write_failed = st != VAULT_OK;
        if (!st)
            st = give_way(c);
    }
    if (!st)
        st = in->status; /* C5 */
    cursor_free(in);
    if (st)
        return st;
    st = write_ranges(c, NULL);
    if (!st && c->building)
        st = finish_output(c);
    c->write_failed = st != VAULT_OK;
    return st;
}

/* C6. */
static enum vault_status commit(struct compaction *c)
{
    struct vault *v = c->v;
    struct vault_event event = {
        .kind = VAULT_EVENT_COMPACTION, .level = c->level, .bytes = c->written};
    struct version *next = NULL;
    enum vault_status st = VAULT_OK;

    for (unsigned which = 0; which < 2; which++)
        for (size_t i = 0; !st && i < c->counts[which]; i++)
            st = edit_remove(&v->env, &c->edit, c->level + which, c->inputs[which][i]->number);
    if (!st)
        st = version_clone(&v->tables, v->version, &next);
    if (!st)
        st = version_apply(&v->tables, next, &c->edit);
    if (!st)
        st = manifest_commit(&v->manifest, &c->edit, next);
    if (st) { /* M4: after a failure of the manifest the outputs stay */
        version_unref(&v->tables, next);
        return v->manifest.failed ? core_fail(v, st) : st;
    }
    for (unsigned which = 0; which < 2; which++)
        for (size_t i = 0; i < c->counts[which]; i++) {
            struct table *t = c->inputs[which][i];
            bool moved = false;

            for (size_t j = 0; j < c->edit.add_count; j++)
                moved |= c->edit.add[j].table == t;
            if (!moved)
                table_obsolete(&v->tables, t);
        }
    core_install(v, next, NULL);
    thread_lock(&v->lock);
    v->compactions++;
    thread_unlock(&v->lock);
    event.nanoseconds = c->began ? core_ticks(v) - c->began : 0;
    core_event(v, &event);
    return VAULT_OK;
}

/* A failure before the manifest was touched: what was written is garbage. */
static void discard_outputs(struct compaction *c)
{
    char name[OS_NAME_MAX];

    for (size_t i = 0; i < c->edit.add_count; i++)
        table_obsolete(&c->v->tables, c->edit.add[i].table);
    if (c->building) {
        enum vault_status ignored = VAULT_OK;

        sst_builder_release(&c->out);
        format_name(FORMAT_TABLE, c->out_number, name);
        ignored = os_unlink(&c->v->env, name);
        (void)ignored;
        c->building = false;
    }
}

static enum vault_status run(struct compaction *c)
{
    struct vault *v = c->v;
    bool move = c->level > 0 && c->counts[0] == 1 && c->counts[1] == 0;
    enum vault_status st = VAULT_OK;

    if (!c->counts[0])
        return VAULT_OK;
    if (move) {
        struct table *t = c->inputs[0][0];

        reached(trivial_move);
        table_ref(&v->tables, t);
        st = edit_add(&v->env, &c->edit, c->level + 1, t);
        if (st)
            table_unref(&v->tables, t);
        return st ? st : commit(c);
    }
    if (has_rate(v))
        st = let_flush(v, true);
    if (st)
        return st;
    c->now = vault_now(v);
    c->began = core_ticks(v);
    st = list_snapshots(c);
    if (!st)
        st = gather_ranges(c);
    if (!st)
        st = merge_inputs(c);
    if (has_rate(v))
        charge(c);
    if (!st)
        st = commit(c);
    if (st && !v->manifest.failed)
        discard_outputs(c);
    return st;
}

static void release(struct compaction *c)
{
    struct env *env = &c->v->env;

    if (c->building)
        sst_builder_release(&c->out);
    for (unsigned which = 0; which < 2; which++)
        alloc_put(env, c->inputs[which], c->caps[which] * sizeof(struct table *));
    alloc_put(env, c->snapshots, c->snapshot_cap * sizeof(uint64_t));
    buffer_release(env, &c->last_key);
    buffer_release(env, &c->cut);
    ranges_release(env, &c->ranges);
    edit_release(&c->v->tables, &c->edit);
    version_unref(&c->v->tables, c->version);
}

/* Failures of writing stop the handle; a failed read, damage or want of memory only pauses
 * compaction: nothing was dropped, and reads of the same place report it themselves. */
static enum vault_status judge(struct vault *v, struct compaction *c, enum vault_status st)
{
    if (!st)
        return st;
    thread_lock(&v->lock);
    v->compaction_paused = true;
    thread_unlock(&v->lock);
    return c->write_failed && st != VAULT_NO_MEMORY ? core_fail(v, st) : st;
}

enum vault_status core_compact_once(struct vault *v)
{
    struct compaction c = {.v = v};
    enum vault_status st = VAULT_OK;

    c.version = v->version; /* J3: nobody else installs one */
    version_ref(c.version);
    c.level = pick_level(v, c.version);
    if (c.level < VAULT_LEVELS) {
        st = pick_inputs(&c);
        if (!st)
            st = run(&c);
    }
    release(&c);
    return judge(v, &c, st);
}

enum vault_status core_compact_manual(struct vault *v, const struct bytes *begin,
                                      const struct bytes *end)
{
    unsigned deepest = 1;
    enum vault_status st = VAULT_OK;

    for (unsigned level = 1; level < VAULT_LEVELS; level++)
        for (size_t i = 0; i < v->version->levels[level].count; i++)
            if (table_overlaps(v->version->levels[level].at[i], begin, end))
                deepest = level;
    for (unsigned level = 0; !st && level < deepest; level++) {
        struct compaction c = {.v = v, .level = level};

        st = core_failed(v);
        if (st)
            break;
        c.version = v->version;
        version_ref(c.version);
        st = take_inputs(&c, begin, end);
        if (!st)
            st = run(&c);
        release(&c);
        st = judge(v, &c, st);
    }
    return st;
}
