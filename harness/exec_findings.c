/* exec_findings.c: see exec_findings.h. */
#include "exec_findings.h"

#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MAX 16

const char *exec_class_name(enum exec_class class)
{
    static const char *const names[] = {"intact", "kill", "lost", "order"};

    return names[class];
}

struct finder {
    struct exec_search *search;
    struct exec_findings *out;
    bool *hopeless; /* by tree: fails after a mere kill, too */
    size_t hopeless_count;
    bool *killed; /* by record: what a kill leaves there fails */
    char *why;
    size_t room;
};

static bool fails(const struct exec_search *search, const struct exec_case *c)
{
    return search->verdicts[c->verdict].known && search->verdicts[c->verdict].code != 0;
}

static bool counts(const struct finder *finder, const struct exec_case *c)
{
    return fails(finder->search, c) && !finder->killed[c->record] &&
           !(c->tree < finder->hopeless_count && finder->hopeless[c->tree]);
}

static size_t failing(const struct finder *finder, const struct exec_states *states)
{
    size_t n = 0;

    for (size_t i = 0; i < states->count; i++)
        n += counts(finder, &states->cases[i]);
    return n;
}

/* Marks the failing states that these syncs leave possible, and counts them. False: `why`. */
static bool left_by(struct finder *finder, const struct exec_states *states,
                    const struct pc_replay_sync *syncs, size_t count, bool *alive, size_t *left)
{
    *left = 0;
    for (size_t i = 0; i < states->count; i++)
        alive[i] = counts(finder, &states->cases[i]);
    if (!exec_search_survive(finder->search, states, syncs, count, alive, finder->why,
                             finder->room))
        return false;
    for (size_t i = 0; i < states->count; i++)
        *left += alive[i];
    return true;
}

/* All models, judged. */
static bool search_all(struct finder *finder, const struct pc_replay_sync *syncs, size_t count,
                       struct exec_states *states)
{
    *states = (struct exec_states){0};
    for (uint32_t m = 0; m < finder->search->setup.model_count; m++)
        if (!exec_search_states(finder->search, m, syncs, count, states, finder->why, finder->room))
            return false;
    return exec_search_judge(finder->search);
}

static struct exec_finding *add_finding(struct finder *finder, enum exec_class class,
                                        const struct exec_case *c)
{
    struct exec_finding *finding = &finder->out->findings[finder->out->count++];

    *finding = (struct exec_finding){.class = class, .c = *c};
    finding->c.lost = malloc((c->lost_count + 1) * sizeof *c->lost);
    must(finding->c.lost != NULL);
    if (c->lost_count)
        memcpy(finding->c.lost, c->lost, c->lost_count * sizeof *c->lost);
    return finding;
}

/* X4. False: the search failed. */
static bool look_at_kills(struct finder *finder)
{
    struct exec_search *search = finder->search;
    struct exec_states kills = {0};
    const struct exec_case *first = NULL, *last;
    bool good =
        exec_search_kills(search, &kills, finder->why, finder->room) && exec_search_judge(search);

    if (!good)
        goto done;
    last = &kills.cases[kills.count - 1];
    finder->out->last_tree = last->tree;
    finder->hopeless_count = search->trees.count;
    finder->hopeless = calloc(search->trees.count + 1, sizeof *finder->hopeless);
    finder->killed =
        calloc(pc_recording_count(search->setup.recording) + 1, sizeof *finder->killed);
    must(finder->hopeless && finder->killed);
    for (size_t i = 0; i < kills.count; i++) {
        if (!fails(search, &kills.cases[i]))
            continue;
        finder->hopeless[kills.cases[i].tree] = true;
        finder->killed[kills.cases[i].record] = true;
        finder->out->failing++;
        first = first ? first : &kills.cases[i];
    }
    if (fails(search, last))
        add_finding(finder, EXEC_INTACT, last)->failing = finder->out->failing;
    else if (first)
        add_finding(finder, EXEC_KILL, first)->failing = finder->out->failing;
done:
    exec_states_release(&kills);
    return good;
}

/* The failing case that tells most with least. */
static const struct exec_case *choose_case(const struct exec_states *states, const bool *alive)
{
    const struct exec_case *best = NULL;

    for (size_t i = 0; i < states->count; i++) {
        const struct exec_case *c = &states->cases[i];

        if (alive[i] && (best == NULL || c->lost_count < best->lost_count))
            best = c; /* else the earlier one: a stronger model, an earlier crash */
    }
    return best;
}

/* ---- candidates ---- */

struct candidates {
    struct pc_replay_sync syncs[CANDIDATES_MAX];
    size_t count;
};

static void add_candidate(struct candidates *candidates, size_t record, uint32_t file)
{
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->syncs[i].record == record && candidates->syncs[i].file == file)
            return;
    if (candidates->count < CANDIDATES_MAX)
        candidates->syncs[candidates->count++] = (struct pc_replay_sync){record, file};
}

static bool is_content(enum pc_record_kind kind)
{
    return kind == PC_RECORD_WRITE || kind == PC_RECORD_STORE || kind == PC_RECORD_TRUNCATE ||
           kind == PC_RECORD_ALLOCATE || kind == PC_RECORD_PUNCH || kind == PC_RECORD_ZERO_RANGE;
}

/* The last change of the content before something else happens to the file. */
static size_t end_of_writing(const struct pc_recording *recording, size_t record, uint32_t file)
{
    size_t last = record;

    for (size_t i = record + 1; i < pc_recording_count(recording); i++) {
        const struct pc_record *next = pc_recording_at(recording, i);

        if (next->kind == PC_RECORD_OUTPUT || (next->file == file && !is_content(next->kind)))
            break;
        if (next->file == file)
            last = i;
    }
    return last;
}

/* The last record before the program says something, or ends. */
static size_t before_output(const struct pc_recording *recording, size_t record)
{
    size_t i = record + 1;

    while (i + 1 < pc_recording_count(recording) &&
           pc_recording_at(recording, i)->kind != PC_RECORD_OUTPUT)
        i++;
    while (i > record + 1 && pc_recording_at(recording, i - 1)->kind == PC_RECORD_PROCESS)
        i--;
    return i - 1;
}

/* For each file and directory that lost something: when its writing is over, right behind the last
 * call whose effect is lost, and at the last moment. Of equals the first is taken: a file that is
 * written in two pieces needs one sync. */
static void find_candidates(const struct finder *finder, const struct exec_case *c,
                            struct candidates *candidates)
{
    const struct pc_recording *recording = finder->search->setup.recording;

    candidates->count = 0;
    for (uint32_t i = 0; i < c->lost_count; i++) {
        uint32_t file = c->lost[i].file, last = c->lost[i].record;
        bool seen = false;

        for (uint32_t j = 0; j < c->lost_count; j++) {
            seen = seen || (j < i && c->lost[j].file == file);
            if (c->lost[j].file == file && c->lost[j].record > last)
                last = c->lost[j].record;
        }
        if (seen || file == 0)
            continue;
        add_candidate(candidates, end_of_writing(recording, last, file), file);
        add_candidate(candidates, last, file);
        add_candidate(candidates, before_output(recording, last), file);
    }
}

/* ---- the loop ---- */

static size_t syncs_of(const struct exec_findings *findings, size_t without,
                       struct pc_replay_sync *syncs)
{
    size_t n = 0;

    for (size_t i = 0; i < findings->count; i++)
        if (i != without && findings->findings[i].class == EXEC_LOST)
            syncs[n++] = findings->findings[i].sync;
    return n;
}

/* X5, once: the best sync for the case; false: the search failed. *left: states that fail then. */
static bool try_candidates(struct finder *finder, const struct exec_states *states,
                           const struct exec_case *c, struct pc_replay_sync *best, size_t *left)
{
    struct pc_replay_sync syncs[EXEC_FINDINGS_MAX + 1];
    size_t count = syncs_of(finder->out, SIZE_MAX, syncs), n;
    bool *alive = malloc(states->count + 1), good = true;
    struct candidates candidates;

    must(alive != NULL);
    find_candidates(finder, c, &candidates);
    for (size_t i = 0; good && i<candidates.count && * left> 0; i++) {
        syncs[count] = candidates.syncs[i];
        good = left_by(finder, states, syncs, count + 1, alive, &n);
        if (good && n < *left) {
            *left = n;
            *best = candidates.syncs[i];
        }
    }
    free(alive);
    return good;
}

static void note_models(const struct exec_states *states, const bool *alive,
                        struct exec_finding *finding)
{
    for (size_t i = 0; i < states->count; i++)
        if (alive[i])
            finding->shows[states->cases[i].model] = true;
}

/* X5: until no state is left that fails, or no sync helps. *stuck: the latter, or the limit. */
static bool find_lost(struct finder *finder, const struct exec_states *states, size_t max,
                      bool *stuck)
{
    struct exec_findings *out = finder->out;
    struct pc_replay_sync syncs[EXEC_FINDINGS_MAX], best = {0, 0};
    bool *alive = malloc(states->count + 1), good;
    const struct exec_case *c;
    size_t before, left;

    must(alive != NULL);
    good = left_by(finder, states, syncs, syncs_of(out, SIZE_MAX, syncs), alive, &before);
    while (good && !*stuck && (c = choose_case(states, alive)) != NULL) {
        struct exec_finding *finding;

        *stuck = out->more = out->count == max;
        left = before;
        good = !*stuck && try_candidates(finder, states, c, &best, &left);
        if (!good)
            break;
        finding = add_finding(finder, left < before ? EXEC_LOST : EXEC_ORDER, c);
        finding->sync = best;
        finding->failing = left < before ? before - left : before;
        note_models(states, alive, finding);
        *stuck = finding->class == EXEC_ORDER;
        good = left_by(finder, states, syncs, syncs_of(out, SIZE_MAX, syncs), alive, &before);
    }
    free(alive);
    return good || *stuck;
}

static void drop_finding(struct exec_findings *out, size_t i)
{
    free(out->findings[i].c.lost);
    memmove(&out->findings[i], &out->findings[i + 1], (--out->count - i) * sizeof out->findings[0]);
}

/* X6. */
static bool reduce(struct finder *finder)
{
    struct exec_findings *out = finder->out;
    struct pc_replay_sync syncs[EXEC_FINDINGS_MAX];
    bool *alive = malloc(out->base.count + 1), good = true;

    must(alive != NULL);
    for (size_t i = out->count; good && i-- > 0;) {
        struct exec_finding *finding = &out->findings[i];
        size_t rest;

        if (finding->class != EXEC_LOST)
            continue;
        good = left_by(finder, &out->base, syncs, syncs_of(out, i, syncs), alive, &rest);
        if (!good || rest > 0) {
            memset(finding->shows, 0, sizeof finding->shows);
            note_models(&out->base, alive, finding);
        } else if (finding->first) {
            drop_finding(out, i);
        }
    }
    free(alive);
    return good;
}

/* X7. What fails although all is inserted that helps is a finding without a remedy. */
static bool find_more(struct finder *finder, const struct exec_states *again, size_t max,
                      bool *stuck)
{
    size_t before = finder->out->count;
    bool good = find_lost(finder, again, max, stuck);

    for (size_t i = 0; good && !*stuck && finder->out->count == before && i < again->count; i++) {
        struct exec_finding *finding;

        if (!counts(finder, &again->cases[i]))
            continue;
        *stuck = true;
        if (before == max)
            break;
        finding = add_finding(finder, EXEC_ORDER, &again->cases[i]);
        finding->failing = failing(finder, again);
        finding->shows[finding->c.model] = true;
    }
    return good;
}

/* X6, in the end: what was found when the recording was searched anew may make an earlier sync
 * superfluous. It is dropped only if the recording is silent without it. */
static bool reduce_again(struct finder *finder)
{
    struct exec_findings *out = finder->out;
    struct pc_replay_sync syncs[EXEC_FINDINGS_MAX];
    bool *alive = malloc(out->base.count + 1), good = true;

    must(alive != NULL);
    for (size_t i = out->count; good && i-- > 0;) {
        size_t count = syncs_of(out, i, syncs), rest;
        struct exec_states again;

        if (out->findings[i].class != EXEC_LOST)
            continue;
        good = left_by(finder, &out->base, syncs, count, alive, &rest);
        if (!good || rest > 0)
            continue;
        good = search_all(finder, syncs, count, &again);
        if (good && failing(finder, &again) == 0)
            drop_finding(out, i);
        exec_states_release(&again);
    }
    free(alive);
    return good;
}

/* X5 on the recording as it is, then on the recording with what was missing, until that is silent.
 * */
static bool find_all(struct finder *finder, size_t max)
{
    struct exec_findings *out = finder->out;
    struct pc_replay_sync syncs[EXEC_FINDINGS_MAX];
    struct exec_states again;
    bool stuck = false, good = find_lost(finder, &out->base, max, &stuck);
    size_t fail = 1;

    for (size_t i = 0; i < out->count; i++)
        out->findings[i].first = true;
    if (good && !stuck)
        good = reduce(finder);
    while (good && !stuck && fail > 0 && out->count > 0) {
        good = search_all(finder, syncs, syncs_of(out, SIZE_MAX, syncs), &again);
        fail = good ? failing(finder, &again) : 0;
        if (fail > 0)
            good = find_more(finder, &again, max, &stuck);
        exec_states_release(&again);
    }
    if (good && !stuck && out->count > 1)
        good = reduce_again(finder);
    out->silent = good && !stuck;
    return good;
}

bool exec_find(struct exec_search *search, size_t max, struct exec_findings *out, char *why,
               size_t room)
{
    struct finder finder = {search, out, NULL, 0, NULL, why, room};
    bool good;

    *out = (struct exec_findings){0};
    *why = '\0';
    max = max && max < EXEC_FINDINGS_MAX ? max : EXEC_FINDINGS_MAX;
    good = look_at_kills(&finder);
    if (good && (out->count == 0 || out->findings[0].class != EXEC_INTACT)) {
        good = search_all(&finder, NULL, 0, &out->base);
        if (good) {
            out->failing += failing(&finder, &out->base);
            good = find_all(&finder, max);
        }
    }
    free(finder.hopeless);
    free(finder.killed);
    return good;
}

void exec_findings_release(struct exec_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        free(findings->findings[i].c.lost);
    exec_states_release(&findings->base);
    *findings = (struct exec_findings){0};
}
