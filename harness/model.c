/* model.c: the reference map and the interval sweep. See model.h.
 *
 * The sweep. For every key that was ever touched, the recovered observation (a value, or absence)
 * agrees with some intervals of cuts: those over which the key has that value. Each agreeing
 * interval adds one in a difference array over [0, ceiling]; a cut whose sum is the number of keys
 * explains the whole state. No state is built, so judging costs O(versions + units). */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

#define OPTIONAL_MAX 8u /* errors looked for at once; a store that fails stop has one that counts */

static const char *const rule_names[RULES] = {
    [RULE_NONE] = "none",
    [RULE_BELOW_FLOOR] = "below-floor",
    [RULE_HOLE] = "hole",
    [RULE_TORN_BATCH] = "torn-batch",
    [RULE_PHANTOM] = "phantom",
    [RULE_WRONG_BYTES] = "wrong-bytes",
    [RULE_OPEN] = "open",
    [RULE_RECOVERY] = "recovery",
    [RULE_READ] = "read",
    [RULE_STRUCTURE] = "structure",
    [RULE_PROGRESS] = "progress",
    [RULE_TRUTH] = "truth",
    [RULE_FAIL_STOP] = "fail-stop",
    [RULE_LEAK] = "leak",
    [RULE_HANG] = "hang",
    [RULE_CRASH] = "crash",
    [RULE_NONDETERMINISM] = "nondeterminism",
    [RULE_UNVERIFIED] = "unverified",
    [RULE_COPY] = "copy",
    [RULE_READ_ONLY] = "read-only",
    [RULE_FIGURES] = "figures",
    [RULE_VERIFY] = "verify",
    [RULE_REPAIR] = "repair",
};

const char *rule_name(enum rule rule)
{
    return rule_names[rule];
}

bool rule_from_name(const char *name, enum rule *rule)
{
    for (int i = 0; i < RULES; i++)
        if (strcmp(rule_names[i], name) == 0) {
            *rule = (enum rule)i;
            return true;
        }
    return false;
}

static void *grown(void *array, uint32_t *room, uint32_t need, size_t size)
{
    if (need <= *room)
        return array;
    *room = need < 32 ? 64 : need * 2;
    array = realloc(array, (size_t)*room * size);
    must(array != NULL);
    return array;
}

/* ---- history ---- */

void model_init(struct model *model)
{
    *model = (struct model){0};
    model->units = grown(NULL, &model->unit_room, 1, sizeof *model->units);
    model->units[0] = (struct unit){0};
}

static void free_lines(struct model *model)
{
    for (uint32_t i = 0; i < model->line_count; i++) {
        free((void *)model->lines[i].key.data);
        free(model->lines[i].versions);
    }
    model->line_count = 0;
}

void model_release(struct model *model)
{
    free_lines(model);
    free(model->lines);
    free(model->units);
    free(model->writes);
    free(model->promises);
    free(model->ticks);
    free(model->dead);
    free(model->sweep);
    *model = (struct model){0};
}

static uint32_t line_index(const struct model *model, struct bytes key, bool *found)
{
    uint32_t lo = 0, hi = model->line_count;

    *found = false;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int c = bytes_compare(model->lines[mid].key, key);

        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct line *model_line(const struct model *model, struct bytes key)
{
    bool found;
    uint32_t i = line_index(model, key, &found);

    return found ? &model->lines[i] : NULL;
}

static struct line *line_of(struct model *model, struct bytes key)
{
    bool found;
    uint32_t i = line_index(model, key, &found);
    uint8_t *copy;

    if (found)
        return &model->lines[i];
    model->lines =
        grown(model->lines, &model->line_room, model->line_count + 1, sizeof *model->lines);
    memmove(model->lines + i + 1, model->lines + i, (model->line_count - i) * sizeof *model->lines);
    copy = malloc(key.len + 1);
    must(copy != NULL);
    if (key.len)
        memcpy(copy, key.data, key.len);
    model->lines[i] = (struct line){.key = bytes_of(copy, key.len)};
    model->line_count++;
    return &model->lines[i];
}

static void add_version(struct line *line, struct version version)
{
    /* Within one unit the last write of a key wins. */
    if (line->count && line->versions[line->count - 1].unit == version.unit && version.unit) {
        line->versions[line->count - 1] = version;
        return;
    }
    line->versions = grown(line->versions, &line->room, line->count + 1, sizeof *line->versions);
    line->versions[line->count++] = version;
}

static void add_dead(struct model *model, uint64_t hash)
{
    model->dead = grown(model->dead, &model->dead_room, model->dead_count + 1, sizeof *model->dead);
    model->dead[model->dead_count++] = hash;
}

/* ---- the clock ---- */

void model_set_clock(struct model *model, uint32_t op, size_t at, uint64_t now)
{
    model->ticks =
        grown(model->ticks, &model->tick_room, model->tick_count + 1, sizeof *model->ticks);
    model->ticks[model->tick_count++] = (struct tick){op, at, now};
}

uint64_t model_clock(const struct model *model, size_t at)
{
    uint64_t now = 0;

    for (uint32_t i = 0; i < model->tick_count && model->ticks[i].at <= at; i++)
        now = model->ticks[i].now;
    return now;
}

/* The latest that the clock has shown up to `at` since the version was written. */
static uint64_t latest(const struct model *model, const struct version *version, size_t at)
{
    uint32_t op = version->unit ? model->units[version->unit].op : 0;
    uint64_t most = version->most, then = 0;

    for (uint32_t i = 0; i < model->tick_count && model->ticks[i].at <= at; i++) {
        uint64_t now = model->ticks[i].now;

        if (model->ticks[i].op <= op)
            then = now;
        else if (now > most)
            most = now;
    }
    return most > then ? most : then;
}

enum shown model_shown(const struct model *model, const struct version *version, size_t at,
                       uint64_t now)
{
    if (version == NULL || version->absent)
        return SHOWN_ABSENT;
    if (version->vague)
        return SHOWN_EITHER;
    if (version->expires == 0)
        return SHOWN_VALUE;
    if (now >= version->expires)
        return SHOWN_ABSENT;
    return latest(model, version, at) < version->expires ? SHOWN_VALUE : SHOWN_EITHER;
}

bool model_expires(const struct model *model)
{
    for (uint32_t i = 0; i < model->line_count; i++)
        for (uint32_t v = 0; v < model->lines[i].count; v++)
            if (model->lines[i].versions[v].expires || model->lines[i].versions[v].vague)
                return true;
    return false;
}

/* The version that a recovered entry is, as a base. Equal values that expire at different times
 * cannot be told apart. */
static struct version base_of(const struct model *from, const struct seen_entry *entry)
{
    const struct line *line = model_line(from, entry->key);
    struct version base = {.len = entry->len, .hash = entry->hash};
    bool any = false;

    for (uint32_t i = 0; line && i < line->count; i++) {
        const struct version *version = &line->versions[i];
        uint64_t most;

        if (version->absent || version->hash != entry->hash || version->len != entry->len)
            continue;
        base.vague |= version->vague || (any && base.expires != version->expires);
        base.expires = version->expires;
        most = latest(from, version, SIZE_MAX);
        base.most = most > base.most ? most : base.most;
        any = true;
    }
    return base;
}

void model_rebase(struct model *model, const struct model *from, const struct seen *seen)
{
    struct version *bases = calloc(seen->count + 1, sizeof *bases);

    must(bases != NULL);
    for (size_t i = 0; i < seen->count; i++)
        bases[i] = base_of(from, &seen->entries[i]);
    for (uint32_t i = 0; i < model->write_count; i++)
        if (!model->writes[i].is_delete && model->writes[i].len > 0)
            add_dead(model, model->writes[i].hash);
    free_lines(model);
    model->unit_count = model->write_count = model->promise_count = model->tick_count = 0;
    model->copy_count = 0;
    model->failed = false;
    for (size_t i = 0; i < seen->count; i++)
        add_version(line_of(model, seen->entries[i].key), bases[i]);
    free(bases);
}

/* A delete of a range is a delete of every key in it that was ever there. Keys that come later were
 * absent before, anyhow; and a key that is absent, whatever became of the last unit, stays so. */
static void delete_range(struct model *model, uint32_t number, const struct model_write *write)
{
    bool found;

    for (uint32_t i = line_index(model, write->key, &found);
         i < model->line_count && bytes_compare(model->lines[i].key, write->end) < 0; i++) {
        struct line *line = &model->lines[i];
        const struct version *last = line->count ? &line->versions[line->count - 1] : NULL;

        if (last && last->absent && model->units[last->unit].status == UNIT_OK)
            continue;
        add_version(line, (struct version){.unit = number, .absent = true});
    }
}

uint32_t model_begin(struct model *model, uint32_t op, bool sync, const struct model_write *writes,
                     uint32_t count, size_t at)
{
    uint32_t number = ++model->unit_count;

    model->units = grown(model->units, &model->unit_room, number + 1, sizeof *model->units);
    model->units[number] = (struct unit){.op = op,
                                         .sync = sync,
                                         .begun = at,
                                         .ended = SIZE_MAX,
                                         .first_write = model->write_count,
                                         .writes = count};
    for (uint32_t i = 0; i < count; i++) {
        struct line *line;
        struct model_write *copy;

        if (writes[i].is_range) {
            delete_range(model, number, &writes[i]);
            continue;
        }
        line = line_of(model, writes[i].key);
        add_version(line, (struct version){.unit = number,
                                           .absent = writes[i].is_delete,
                                           .len = writes[i].len,
                                           .hash = writes[i].hash,
                                           .expires = writes[i].expires});
        model->writes =
            grown(model->writes, &model->write_room, model->write_count + 1, sizeof *model->writes);
        copy = &model->writes[model->write_count++];
        *copy = writes[i];
        copy->key = line->key;
    }
    model->units[number].writes = model->write_count - model->units[number].first_write;
    return number;
}

void model_end(struct model *model, uint32_t unit, enum unit_status status, uint64_t seq, size_t at)
{
    model->units[unit].status = status;
    model->units[unit].seq = seq;
    model->units[unit].ended = at;
    if (status == UNIT_ERROR)
        model->failed = true;
}

void model_promise(struct model *model, uint32_t units, size_t at, const char *why)
{
    if (units == 0 ||
        (model->promise_count && model->promises[model->promise_count - 1].units >= units))
        return;
    model->promises = grown(model->promises, &model->promise_room, model->promise_count + 1,
                            sizeof *model->promises);
    model->promises[model->promise_count++] = (struct promise){at, units, why};
}

uint32_t model_units_of_seq(const struct model *model, uint64_t seq)
{
    for (uint32_t i = model->unit_count; i > 0; i--)
        if (model->units[i].status == UNIT_OK && model->units[i].seq && model->units[i].seq <= seq)
            return i;
    return 0;
}

uint32_t model_acknowledged(const struct model *model, size_t at)
{
    for (uint32_t i = model->unit_count; i > 0; i--)
        if (model->units[i].status == UNIT_OK && model->units[i].ended <= at)
            return i;
    return 0;
}

/* Is the unit out of every state that the crash may leave, or that reads may show? */
static bool left_out(const struct unit *unit)
{
    return unit->status == UNIT_ERROR && !(unit->resolved && unit->present);
}

const struct version *model_at(const struct model *model, struct bytes key, uint32_t cut)
{
    const struct line *line = model_line(model, key);

    for (uint32_t i = line ? line->count : 0; i > 0; i--) {
        const struct version *version = &line->versions[i - 1];

        if (version->unit <= cut && !left_out(&model->units[version->unit]))
            return version;
    }
    return NULL;
}

bool model_uncertain(const struct model *model, struct bytes key)
{
    const struct line *line = model_line(model, key);

    for (uint32_t i = 0; line && i < line->count; i++) {
        const struct unit *unit = &model->units[line->versions[i].unit];

        if (unit->status == UNIT_ERROR && !unit->resolved)
            return true;
    }
    return false;
}

/* ---- the sweep ---- */

struct judging {
    struct model *model;
    const struct seen *seen;
    size_t at;
    uint32_t floor, ceiling;
    uint32_t optional[OPTIONAL_MAX], optional_count;
    uint32_t mask; /* which of the optional units are taken as present */
};

static bool excluded(const struct judging *judging, uint32_t number)
{
    const struct unit *unit = &judging->model->units[number];

    if (unit->status != UNIT_ERROR)
        return false;
    if (unit->resolved && unit->resolved_at <= judging->at)
        return !unit->present;
    for (uint32_t i = 0; i < judging->optional_count; i++)
        if (judging->optional[i] == number)
            return !(judging->mask >> i & 1);
    return true;
}

static bool is_of(const struct seen_entry *entry, const struct version *version)
{
    return !version->absent && entry->hash == version->hash && entry->len == version->len;
}

static bool agrees(const struct judging *judging, const struct version *version,
                   const struct seen_entry *entry)
{
    enum shown shown = model_shown(judging->model, version, judging->at, judging->seen->now);

    if (entry == NULL)
        return shown != SHOWN_VALUE;
    return shown != SHOWN_ABSENT && is_of(entry, version);
}

/* Adds the cuts with which a key agrees. False: with none up to the ceiling. */
static bool sweep_line(struct judging *judging, const struct line *line,
                       const struct seen_entry *entry)
{
    int32_t *sweep = judging->model->sweep;
    uint32_t from = 0;
    const struct version *current = NULL;
    bool any = false;

    for (uint32_t i = 0; i <= line->count; i++) {
        const struct version *next = i < line->count ? &line->versions[i] : NULL;
        uint32_t to;

        if (next && (next->unit > judging->ceiling || excluded(judging, next->unit)))
            continue;
        to = next ? next->unit : judging->ceiling + 1;
        if (to > from && agrees(judging, current, entry)) {
            sweep[from]++;
            sweep[to]--;
            any = true;
        }
        current = next;
        from = to;
    }
    return any;
}

/* The highest cut in [low, ceiling] that explains the state; *best gets the one with most keys. */
static bool sweep_all(struct judging *judging, uint32_t low, uint32_t *cut, uint32_t *best)
{
    struct model *model = judging->model;
    int32_t sum = 0, most = -1;
    bool found = false;

    model->sweep =
        grown(model->sweep, &model->sweep_room, judging->ceiling + 3, sizeof *model->sweep);
    memset(model->sweep, 0, (judging->ceiling + 3) * sizeof *model->sweep);
    for (uint32_t i = 0; i < model->line_count; i++)
        sweep_line(judging, &model->lines[i], seen_find(judging->seen, model->lines[i].key));
    for (uint32_t c = 0; c <= judging->ceiling; c++) {
        sum += model->sweep[c];
        if (c >= low && sum == (int32_t)model->line_count) {
            *cut = c;
            found = true;
        }
        if (sum >= most) {
            most = sum;
            *best = c;
        }
    }
    return found;
}

/* ---- diagnosis ---- */

static void say_key(char *out, size_t room, struct bytes key)
{
    size_t n = 0;

    for (size_t i = 0; i < key.len && n + 5 < room; i++) {
        uint8_t c = key.data[i];

        if (c > 0x20 && c < 0x7f)
            out[n++] = (char)c;
        else
            n += (size_t)snprintf(out + n, room - n, "\\x%02x", c);
    }
    if (key.len == 0)
        n = (size_t)snprintf(out, room, "(the empty key)");
    out[n] = '\0';
}

static bool is_dead(const struct model *model, uint64_t hash)
{
    for (uint32_t i = 0; i < model->dead_count; i++)
        if (model->dead[i] == hash)
            return true;
    return false;
}

/* An entry that no version of its key explains. */
static bool alien(const struct judging *judging, struct verdict *verdict)
{
    const struct model *model = judging->model;
    char key[96];

    for (size_t i = 0; i < judging->seen->count; i++) {
        const struct seen_entry *entry = &judging->seen->entries[i];
        const struct line *line = model_line(model, entry->key);
        bool known = false;

        for (uint32_t v = 0; line && v < line->count; v++)
            if (is_of(entry, &line->versions[v]))
                known = true;
        if (known)
            continue;
        say_key(key, sizeof key, entry->key);
        if (line == NULL || is_dead(model, entry->hash)) {
            verdict->rule = RULE_PHANTOM;
            snprintf(verdict->text, sizeof verdict->text,
                     line ? "key %s has a value of %u bytes that an earlier recovery had dropped"
                          : "key %s (value of %u bytes) was never written",
                     key, entry->len);
        } else {
            verdict->rule = RULE_WRONG_BYTES;
            snprintf(verdict->text, sizeof verdict->text,
                     "key %s has a value of %u bytes that nobody wrote to it", key, entry->len);
        }
        return true;
    }
    return false;
}

/* Of any version, those included that a batch wrote over itself. */
static bool was_written(const struct model *model, const struct line *line,
                        const struct seen_entry *entry)
{
    for (uint32_t v = 0; v < line->count; v++)
        if (is_of(entry, &line->versions[v]))
            return true;
    for (uint32_t w = 0; w < model->write_count; w++)
        if (model->writes[w].hash == entry->hash && model->writes[w].len == entry->len &&
            bytes_equal(model->writes[w].key, entry->key))
            return true;
    return is_dead(model, entry->hash);
}

bool model_strange(const struct model *model, const struct seen *seen)
{
    for (size_t i = 0; i < seen->count; i++) {
        const struct line *line = model_line(model, seen->entries[i].key);

        if (line == NULL || !was_written(model, line, &seen->entries[i]))
            return true;
    }
    return false;
}

/* Names up to three keys that differ from cut `best`; answers the unit that all of them belong to,
 * or 0. */
static uint32_t outliers(const struct judging *judging, uint32_t best, char *out, size_t room)
{
    const struct model *model = judging->model;
    uint32_t shown = 0, common = UINT32_MAX;
    size_t n = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < model->line_count; i++) {
        const struct line *line = &model->lines[i];
        const struct seen_entry *entry = seen_find(judging->seen, line->key);
        const struct version *version = NULL;
        char key[64];
        uint32_t unit = 0;

        for (uint32_t v = 0; v < line->count; v++) {
            if (line->versions[v].unit <= best && !excluded(judging, line->versions[v].unit))
                version = &line->versions[v];
            if (line->versions[v].unit <= judging->ceiling &&
                agrees(judging, &line->versions[v], entry))
                unit = line->versions[v].unit;
        }
        if (agrees(judging, version, entry))
            continue;
        /* Older than it should be: the unit that is missing is the odd one. */
        if (version && unit < version->unit)
            unit = version->unit;
        common = common == UINT32_MAX || common == unit ? unit : 0;
        if (++shown > 3)
            continue;
        say_key(key, sizeof key, line->key);
        n += (size_t)snprintf(out + n, room - n, "%skey %s: %s, expected %s", n ? "; " : "", key,
                              entry ? "another value" : "absent",
                              !version || version->absent ? "absent" : "a value");
        if (version && version->unit && n < room)
            n += (size_t)snprintf(out + n, room - n, " of op %u", model->units[version->unit].op);
        if (n >= room)
            n = room - 1;
    }
    return common == UINT32_MAX ? 0 : common;
}

/* Is some of this unit to be seen, and some not? Keys that tell nothing do not count: where it
 * changed nothing, and where what is seen may be of a later unit. */
static bool in_part(const struct judging *judging, uint32_t number)
{
    bool there = false, missing = false;

    for (uint32_t i = 0; i < judging->model->line_count; i++) {
        const struct line *line = &judging->model->lines[i];
        const struct seen_entry *entry = seen_find(judging->seen, line->key);
        const struct version *older = NULL, *here = NULL;
        bool above = false;

        for (uint32_t v = 0; v < line->count; v++) {
            const struct version *version = &line->versions[v];

            if (version->unit > judging->ceiling ||
                (excluded(judging, version->unit) && version->unit != number))
                continue;
            if (version->unit < number)
                older = version;
            else if (version->unit == number)
                here = version;
            else
                above |= agrees(judging, version, entry);
        }
        if (here == NULL || above)
            continue;
        missing |= !agrees(judging, here, entry);
        there |= agrees(judging, here, entry) && !agrees(judging, older, entry);
    }
    return there && missing;
}

/* Does a cut below the floor explain the state, with any of the optional units? */
static bool below_floor(struct judging *judging, uint32_t *cut)
{
    uint32_t best;
    bool found = false;

    for (judging->mask = 0; !found && judging->mask >> judging->optional_count == 0;
         judging->mask++)
        found = sweep_all(judging, 0, cut, &best);
    judging->mask = 0;
    return found;
}

/* A value that is there although its time is over, or that a newer version which expired hides. */
static bool expired(const struct judging *judging, struct verdict *verdict)
{
    const struct model *model = judging->model;
    char key[96];

    for (size_t i = 0; i < judging->seen->count; i++) {
        const struct seen_entry *entry = &judging->seen->entries[i];
        const struct line *line = model_line(model, entry->key);

        for (uint32_t v = 0; line && v < line->count; v++) {
            const struct version *version = &line->versions[v];

            if (version->expires == 0 || judging->seen->now < version->expires ||
                !is_of(entry, version))
                continue;
            say_key(key, sizeof key, entry->key);
            verdict->rule = RULE_PHANTOM;
            snprintf(verdict->text, sizeof verdict->text,
                     "key %s has a value that expired at %llu, and the clock says %llu", key,
                     (unsigned long long)version->expires, (unsigned long long)judging->seen->now);
            return true;
        }
    }
    return false;
}

static void diagnose(struct judging *judging, struct verdict *verdict)
{
    struct model *model = judging->model;
    uint32_t cut = 0, best = 0, unit;
    char keys[360];

    if (alien(judging, verdict) || expired(judging, verdict))
        return;
    if (below_floor(judging, &cut)) {
        const struct unit *lost = &model->units[cut + 1];

        verdict->rule = RULE_BELOW_FLOOR;
        verdict->cut = cut;
        for (uint32_t i = 0; i < model->promise_count; i++)
            if (model->promises[i].at <= judging->at && model->promises[i].units > cut) {
                snprintf(
                    verdict->text, sizeof verdict->text,
                    "recovered the state after unit %u, but units up to %u were promised (%s); "
                    "the first one lost is of op %u",
                    cut, judging->floor, model->promises[i].why, lost->op);
                return;
            }
        snprintf(
            verdict->text, sizeof verdict->text,
            "recovered the state after unit %u, but units up to %u were acknowledged; the first "
            "one lost is of op %u",
            cut, judging->floor, lost->op);
        return;
    }
    sweep_all(judging, 0, &cut, &best);
    unit = outliers(judging, best, keys, sizeof keys);
    if (unit && in_part(judging, unit)) {
        verdict->rule = RULE_TORN_BATCH;
        snprintf(verdict->text, sizeof verdict->text, "the batch of op %u is there in part: %s",
                 model->units[unit].op, keys);
    } else {
        verdict->rule = RULE_HOLE;
        snprintf(verdict->text, sizeof verdict->text,
                 "no single cut explains the state; nearest is after unit %u: %s", best, keys);
    }
}

/* Tries every way to take the optional units. */
static bool explain(struct judging *judging, struct verdict *verdict)
{
    uint32_t cut, best;

    for (judging->mask = 0; judging->mask >> judging->optional_count == 0; judging->mask++)
        if (sweep_all(judging, judging->floor, &cut, &best)) {
            verdict->cut = cut;
            return true;
        }
    judging->mask = 0;
    return false;
}

static bool unknown_key(const struct judging *judging)
{
    for (size_t i = 0; i < judging->seen->count; i++)
        if (model_line(judging->model, judging->seen->entries[i].key) == NULL)
            return true;
    return false;
}

/* What a unit that answered an error has to do with the state. */
enum trace_of { TRACE_NONE, TRACE_HIDDEN, TRACE_POSSIBLE, TRACE_SEEN };

/* Seen: a value that it wrote. Possible: it deleted what was there, and it is not there. Hidden: if
 * it is there, others lie above it. None: it deletes what was absent anyhow. */
static enum trace_of trace_of(const struct judging *judging, uint32_t number)
{
    const struct model *model = judging->model;
    enum trace_of most = TRACE_NONE;

    for (uint32_t i = 0; i < model->line_count; i++) {
        const struct line *line = &model->lines[i];
        bool any_value = false;

        for (uint32_t v = 0; v < line->count && line->versions[v].unit <= number; v++) {
            const struct version *version = &line->versions[v];
            const struct seen_entry *entry;

            any_value |= !version->absent;
            if (version->unit != number || !any_value)
                continue;
            entry = seen_find(judging->seen, line->key);
            if (agrees(judging, version, entry)) {
                if (entry)
                    return TRACE_SEEN;
                most = TRACE_POSSIBLE;
            } else if (most == TRACE_NONE) {
                most = TRACE_HIDDEN;
            }
        }
    }
    return most;
}

/* Of the units that answered an error those that may be in the state; first those that are seen,
 * so that many that were refused do not crowd them out. */
static void choose_optional(struct judging *judging)
{
    struct model *model = judging->model;

    for (enum trace_of wanted = TRACE_SEEN; wanted > TRACE_NONE; wanted--)
        for (uint32_t i = 1; i <= judging->ceiling; i++) {
            const struct unit *unit = &model->units[i];

            if (unit->status == UNIT_ERROR && judging->optional_count < OPTIONAL_MAX &&
                !(unit->resolved && unit->resolved_at <= judging->at) &&
                trace_of(judging, i) == wanted)
                judging->optional[judging->optional_count++] = i;
        }
}

static void judge(struct judging *judging, struct verdict *verdict)
{
    verdict->rule = RULE_NONE;
    verdict->text[0] = '\0';
    verdict->floor = judging->floor;
    verdict->ceiling = judging->ceiling;
    choose_optional(judging);
    if (unknown_key(judging) || !explain(judging, verdict))
        diagnose(judging, verdict);
}

static void bounds(const struct model *model, size_t at, bool kill, size_t trust,
                   struct judging *judging)
{
    for (uint32_t i = 1; i <= model->unit_count; i++)
        if (model->units[i].begun <= at)
            judging->ceiling = i;
    for (uint32_t i = 0; i < model->promise_count; i++)
        if (model->promises[i].at <= at && model->promises[i].at <= trust &&
            model->promises[i].units > judging->floor)
            judging->floor = model->promises[i].units;
    if (kill)
        judging->floor = model_acknowledged(model, at);
}

uint64_t model_terms(const struct model *model, size_t at, bool kill, size_t trust)
{
    struct judging judging = {.at = at};
    bool plain = !model_expires(model);

    bounds(model, at, kill, trust, &judging);
    for (uint32_t i = 1; i <= judging.ceiling; i++)
        plain &= model->units[i].status != UNIT_ERROR;
    return rng_mix((uint64_t)judging.floor << 32 | judging.ceiling) ^ rng_mix(plain ? 0 : at + 1);
}

void model_judge(struct model *model, size_t at, bool kill, size_t trust, const struct seen *seen,
                 struct verdict *verdict)
{
    struct judging judging = {.model = model, .seen = seen, .at = at};

    bounds(model, at, kill, trust, &judging);
    judge(&judging, verdict);
}

void model_copy(struct model *model, struct copy copy)
{
    must(model->copy_count < MODEL_COPIES);
    model->copies[model->copy_count++] = copy;
}

void model_judge_copy(struct model *model, const struct copy *copy, size_t at,
                      const struct seen *seen, struct verdict *verdict)
{
    struct judging judging = {.model = model, .seen = seen, .at = at};

    judging.ceiling = copy->units;
    judging.floor = model_acknowledged(model, copy->begun);
    judge(&judging, verdict);
}

/* Settles the optional units about which all explanations of the state agree. The others were
 * written over: what is read cannot tell, but a crash that loses the later units could. */
static void resolve(struct judging *judging)
{
    uint32_t with = 0, without = 0, best, cut;

    for (judging->mask = 0; judging->mask >> judging->optional_count == 0; judging->mask++)
        if (sweep_all(judging, judging->floor, &cut, &best))
            for (uint32_t o = 0; o < judging->optional_count; o++) {
                bool here = (judging->mask >> o & 1) && judging->optional[o] <= cut;

                *(here ? &with : &without) |= 1u << o;
            }
    for (uint32_t o = 0; o < judging->optional_count; o++) {
        struct unit *unit = &judging->model->units[judging->optional[o]];

        if ((with & without) >> o & 1)
            continue;
        unit->resolved = true;
        unit->resolved_at = judging->at;
        unit->present = with >> o & 1;
    }
}

void model_reopened(struct model *model, size_t at, const struct seen *seen,
                    struct verdict *verdict)
{
    struct judging judging = {.model = model, .seen = seen, .at = at};

    judging.ceiling = model->unit_count;
    judging.floor = model_acknowledged(model, at);
    judge(&judging, verdict);
    if (judging.optional_count)
        resolve(&judging);
    model->failed = false;
}
