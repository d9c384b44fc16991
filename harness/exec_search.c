/* exec_search.c: see exec_search.h. */
#define _GNU_SOURCE
#include "exec_search.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/rng.h"

#include "exec_promises.h"
#include "jobs.h"

#define CHOICES_MAX   4096
#define CHECK_SECONDS 120
#define TEXT_MAX      1000

void exec_search_init(struct exec_search *search, const struct exec_setup *setup)
{
    *search = (struct exec_search){.setup = *setup};
    exec_trees_init(&search->trees);
}

void exec_search_release(struct exec_search *search)
{
    for (size_t i = 0; i < search->verdict_count; i++)
        free(search->verdicts[i].text);
    free(search->verdicts);
    free(search->slots);
    exec_promises_free(search->promises);
    exec_trees_release(&search->trees);
    *search = (struct exec_search){0};
}

void exec_states_release(struct exec_states *states)
{
    for (size_t i = 0; i < states->count; i++)
        free(states->cases[i].lost);
    free(states->cases);
    *states = (struct exec_states){0};
}

uint64_t exec_said(const struct pc_recording *recording, size_t record)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < record; i++)
        if (pc_recording_at(recording, i)->kind == PC_RECORD_OUTPUT)
            bytes += pc_recording_at(recording, i)->size;
    return bytes;
}

/* ---- verdicts ---- */

static uint64_t verdict_hash(uint32_t tree, uint64_t said)
{
    return rng_mix(rng_mix(tree) ^ said);
}

static void put_slot(struct exec_search *search, uint32_t verdict)
{
    const struct exec_verdict *v = &search->verdicts[verdict];
    size_t at = verdict_hash(v->tree, v->said) % search->slot_count;

    while (search->slots[at])
        at = (at + 1) % search->slot_count;
    search->slots[at] = verdict + 1;
}

static void grow(struct exec_search *search)
{
    search->verdict_room = search->verdict_room ? 2 * search->verdict_room : 128;
    search->verdicts = realloc(search->verdicts, search->verdict_room * sizeof *search->verdicts);
    free(search->slots);
    search->slot_count = 2 * search->verdict_room + 1;
    search->slots = calloc(search->slot_count, sizeof *search->slots);
    must(search->verdicts && search->slots);
    for (uint32_t i = 0; i < search->verdict_count; i++)
        put_slot(search, i);
}

uint32_t exec_search_verdict(struct exec_search *search, uint32_t tree, uint32_t record,
                             enum pc_model model)
{
    uint64_t said = search->setup.check ? exec_said(search->setup.recording, record) : record;

    if (search->verdict_count == search->verdict_room)
        grow(search);
    for (size_t at = verdict_hash(tree, said) % search->slot_count; search->slots[at];
         at = (at + 1) % search->slot_count) {
        const struct exec_verdict *v = &search->verdicts[search->slots[at] - 1];

        if (v->tree == tree && v->said == said)
            return search->slots[at] - 1;
    }
    search->verdicts[search->verdict_count] =
        (struct exec_verdict){.tree = tree, .said = said, .record = record, .model = model};
    put_slot(search, (uint32_t)search->verdict_count);
    return (uint32_t)search->verdict_count++;
}

/* ---- the states of one crash point ---- */

struct point {
    struct exec_search *search;
    struct exec_states *states;
    struct pc_replay *replay;
    struct pc_image *image;
    struct pc_disk *looker; /* booted again and again */
    uint32_t model, record;
    size_t first; /* case of this point */
    bool inside;
    uint32_t answers[CHOICES_MAX], sizes[CHOICES_MAX], depth, position;
    bool too_deep;
};

struct exec_lost exec_lost_of(const struct pc_image *image, const struct pc_replay *replay,
                              struct pc_disk *disk, uint32_t index)
{
    struct pc_item item;

    pc_image_item(image, index, &item);
    return (struct exec_lost){item.kind, pc_replay_file(replay, item.sync),
                              (uint32_t)pc_disk_call(disk, item.call)->mark, item.offset,
                              rng_mix(XXH3_64bits(item.path, strlen(item.path)) ^ item.version)};
}

static void note_lost(struct point *point, struct exec_case *c)
{
    size_t items = pc_image_items(point->image);

    c->lost = malloc((items + 1) * sizeof *c->lost);
    must(c->lost != NULL);
    for (uint32_t i = 0; i < items; i++) {
        if (pc_image_state(point->image, i) == PC_ITEM_LOST)
            c->lost[c->lost_count++] =
                exec_lost_of(point->image, point->replay, pc_replay_disk(point->replay), i);
    }
    c->lost = realloc(c->lost, (c->lost_count + 1) * sizeof *c->lost);
    must(c->lost != NULL);
}

static void add_case(struct point *point, uint32_t tree, bool noise)
{
    struct exec_states *states = point->states;
    struct exec_case new = {.tree = tree,
                            .model = point->model,
                            .record = point->record,
                            .inside = point->inside,
                            .noise = noise};

    note_lost(point, &new);
    for (size_t i = point->first; i < states->count; i++) {
        struct exec_case *c = &states->cases[i];

        if (c->tree != tree)
            continue;
        if (new.lost_count < c->lost_count) { /* the shorter story */
            struct exec_lost *lost = c->lost;

            c->lost = new.lost;
            c->lost_count = new.lost_count;
            new.lost = lost;
        }
        free(new.lost);
        return;
    }
    if (states->count == states->room) {
        states->room = states->room ? 2 * states->room : 128;
        states->cases = realloc(states->cases, states->room * sizeof *states->cases);
        must(states->cases != NULL);
    }
    new.verdict = exec_search_verdict(point->search, tree, point->record,
                                      pc_disk_get_config(pc_replay_disk(point->replay))->model);
    states->cases[states->count++] = new;
}

/* The image is set up: looks at all of it. */
static void take(struct point *point, bool noise)
{
    if (point->looker)
        pc_disk_reboot(point->looker, point->image);
    else
        point->looker = pc_disk_boot(point->image);
    add_case(point,
             exec_trees_take(&point->search->trees, point->search->setup.recording, point->replay,
                             point->looker),
             noise);
}

/* The same once more, where it read what nobody wrote. */
static void take_noise(struct point *point)
{
    size_t items = pc_image_items(point->image);
    uint8_t *states;

    if (!pc_image_undefined_seen(point->image))
        return;
    states = malloc(items + 1);
    must(states != NULL);
    for (uint32_t i = 0; i < items; i++)
        states[i] = (uint8_t)pc_image_state(point->image, i);
    pc_image_begin(point->image, NULL, PC_FILL_NOISE);
    for (uint32_t i = 0; i < items; i++)
        if (states[i] != PC_ITEM_OPEN)
            (void)pc_image_set(point->image, i, states[i] == PC_ITEM_KEPT);
    take(point, true);
    free(states);
}

static size_t choose(void *ctx, const struct pc_choice *choice)
{
    struct point *point = ctx;

    if (point->position == CHOICES_MAX) {
        point->too_deep = true;
        return 0;
    }
    if (point->position == point->depth) {
        point->answers[point->depth] = 0;
        point->sizes[point->depth++] = (uint32_t)choice->n;
    }
    must(point->sizes[point->position] == choice->n); /* the same answers, the same question */
    return point->answers[point->position++];
}

static bool advance(struct point *point)
{
    point->position = 0;
    while (point->depth > 0) {
        if (++point->answers[point->depth - 1] < point->sizes[point->depth - 1])
            return true;
        point->depth--;
    }
    return false;
}

/* Depth first over all answers. False: too many; what was taken is taken back. */
static bool exhaust(struct point *point)
{
    const struct pc_chooser chooser = {point, choose};
    uint32_t leaves = 0;
    bool more = true;

    point->depth = point->position = 0;
    point->too_deep = false;
    while (more && leaves++ < point->search->setup.leaves && !point->too_deep) {
        pc_image_begin(point->image, &chooser, PC_FILL_ZERO);
        take(point, false);
        take_noise(point);
        more = advance(point);
    }
    if (!more && !point->too_deep)
        return true;
    while (point->states->count > point->first)
        free(point->states->cases[--point->states->count].lost);
    return false;
}

enum family {
    FAMILY_NEWEST,
    FAMILY_OLDEST,
    FAMILY_NO_DATA,
    FAMILY_NO_NAMES,
    FAMILY_ALL_BUT_ONE,
    FAMILY_ONE_ONLY,
    FAMILY_PREFIX,
    FAMILY_SEEDED,
    FAMILIES
};

static bool is_kept(const struct point *point, enum family family, uint32_t number, uint32_t item,
                    struct rng *rng)
{
    struct pc_item what;

    pc_image_item(point->image, item, &what);
    switch (family) {
    case FAMILY_NEWEST:
        return true;
    case FAMILY_OLDEST:
        return false;
    case FAMILY_NO_DATA:
        return what.kind != PC_ITEM_DATA;
    case FAMILY_NO_NAMES:
        return what.kind != PC_ITEM_NAME;
    case FAMILY_ALL_BUT_ONE:
        return item != number;
    case FAMILY_ONE_ONLY:
        return item == number;
    case FAMILY_PREFIX:
        return item < number;
    default:
        return rng_chance(rng, 1 + number % 9, 10);
    }
}

/* Losing loses what needs it, keeping keeps what it needs: where most is kept, what is lost goes
 * first, and the other way round, so that each member is what its name says. */
static void take_member(struct point *point, enum family family, uint32_t number)
{
    uint32_t items = (uint32_t)pc_image_items(point->image);
    struct rng rng = rng_seeded(point->search->setup.seed ^ (uint64_t)point->record << 20 ^ number);
    bool mostly_lost = family == FAMILY_OLDEST || family == FAMILY_ONE_ONLY;
    bool *kept = calloc(items + 1, sizeof *kept);

    must(kept != NULL);
    for (uint32_t i = 0; i < items; i++)
        kept[i] = is_kept(point, family, number, i, &rng);
    pc_image_begin(point->image, NULL, PC_FILL_ZERO);
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < items; i++)
            if (kept[i] == (mostly_lost == (round == 0)))
                (void)pc_image_set(point->image, i, kept[i]);
    free(kept);
    take(point, false);
    take_noise(point);
}

static void sample(struct point *point)
{
    uint32_t items = (uint32_t)pc_image_items(point->image);
    uint32_t samples = point->search->setup.samples;

    for (enum family family = 0; family < FAMILIES; family++) {
        bool single = family < FAMILY_ALL_BUT_ONE;
        uint32_t members = single ? 1 : family == FAMILY_SEEDED ? samples : items;
        uint32_t step = !single && members > samples ? members / samples : 1;

        for (uint32_t i = 0; i < members; i += step)
            take_member(point, family, i);
    }
}

static void visit_point(struct point *point, size_t k, bool inside)
{
    struct pc_disk *disk = pc_replay_disk(point->replay);
    size_t calls = pc_disk_call_count(disk);

    point->inside = inside;
    point->record = (uint32_t)pc_recording_count(point->search->setup.recording) - 1;
    if (k < calls)
        point->record = (uint32_t)pc_disk_call(disk, k)->mark;
    if (k > 0 && k < calls && point->record == pc_disk_call(disk, k - 1)->mark)
        point->record++; /* an inserted sync */
    point->image = inside ? pc_image_new_inside(disk, k) : pc_image_new(disk, k);
    point->first = point->states->count;
    point->states->points++;
    if (exhaust(point)) {
        point->states->exhaustive++;
    } else {
        sample(point);
        point->states->sampled++;
    }
    if (point->looker)
        pc_disk_free(point->looker); /* it must not outlive its image */
    point->looker = NULL;
    pc_image_free(point->image);
}

static bool visit_all(struct exec_search *search, enum pc_model model, uint32_t index,
                      const struct pc_replay_sync *syncs, size_t sync_count,
                      struct exec_states *states, char *why, size_t room)
{
    struct pc_disk_config config = {.model = model, .unit = search->setup.unit};
    struct pc_replay *replay =
        pc_replay_new(search->setup.recording, &config, syncs, sync_count, why, room);
    struct point *point = calloc(1, sizeof *point);
    struct pc_disk *disk;

    must(point != NULL);
    if (replay) {
        *point =
            (struct point){.search = search, .states = states, .replay = replay, .model = index};
        disk = pc_replay_disk(replay);
        for (size_t k = 0; k <= pc_disk_call_count(disk); k++) {
            if (pc_disk_is_frontier(disk, k))
                visit_point(point, k, false);
            if (k < pc_disk_call_count(disk) && pc_disk_tears_inside(disk, k))
                visit_point(point, k, true);
        }
    }
    free(point);
    pc_replay_free(replay);
    return replay != NULL;
}

bool exec_search_states(struct exec_search *search, uint32_t model,
                        const struct pc_replay_sync *syncs, size_t sync_count,
                        struct exec_states *states, char *why, size_t room)
{
    return visit_all(search, search->setup.models[model], model, syncs, sync_count, states, why,
                     room);
}

bool exec_search_kills(struct exec_search *search, struct exec_states *states, char *why,
                       size_t room)
{
    struct pc_disk_config config = {.model = PC_PROCESS_KILL, .unit = search->setup.unit};
    struct pc_replay *replay;

    if (!search->setup.check && !search->promises) {
        replay = pc_replay_new(search->setup.recording, &config, NULL, 0, why, room);
        if (!replay)
            return false;
        search->promises = exec_promises_new(&search->trees, search->setup.recording, replay);
        pc_replay_free(replay);
    }
    return visit_all(search, PC_PROCESS_KILL, 0, NULL, 0, states, why, room);
}

/* ---- judging ---- */

struct judging {
    struct exec_search *search;
    uint32_t *pending;
    size_t count;
};

/* The first `size` bytes of one file into another. */
static bool copy_head(const char *from, const char *to, uint64_t size)
{
    char block[4096];
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    bool good = in && out;

    while (good && size > 0) {
        size_t got = fread(block, 1, size < sizeof block ? (size_t)size : sizeof block, in);

        good = got > 0 && fwrite(block, 1, got, out) == got;
        size -= got;
    }
    if (in)
        (void)fclose(in);
    if (out && fclose(out))
        good = false;
    return good;
}

static bool set_environment(const struct exec_search *search, const struct exec_verdict *verdict,
                            const char *tree, const char *said)
{
    char number[24];

    snprintf(number, sizeof number, "%u", (unsigned)verdict->record);
    return setenv("POWERCUT_TREE", tree, 1) == 0 && setenv("POWERCUT_STDOUT", said, 1) == 0 &&
           setenv("POWERCUT_MODEL", pc_model_name(verdict->model), 1) == 0 &&
           setenv("POWERCUT_RECORD", number, 1) == 0 &&
           setenv("POWERCUT_WHOLE_STDOUT", search->setup.output, 1) == 0;
}

/* In a child: the exit code of the check; -1: the machine failed. */
static int run_check(const struct exec_search *search, uint32_t index)
{
    const struct exec_verdict *verdict = &search->verdicts[index];
    char tree[PATH_MAX], said[PATH_MAX];
    int status;

    snprintf(tree, sizeof tree, "%s/%u", search->setup.work, (unsigned)index);
    snprintf(said, sizeof said, "%s/%u.stdout", search->setup.work, (unsigned)index);
    if (!exec_tree_remove(tree) ||
        !exec_tree_write(exec_trees_at(&search->trees, verdict->tree), search->setup.recording,
                         verdict->record, tree) ||
        !copy_head(search->setup.output, said, verdict->said) ||
        !set_environment(search, verdict, tree, said) || chdir(tree)) {
        fprintf(stderr, "powercut: %s: %s\n", tree, strerror(errno));
        return -1;
    }
    status = system(search->setup.check);
    if (chdir("/") || !exec_tree_remove(tree) || unlink(said) || status == -1)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void check_work(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    struct judging *judging = ctx;
    int code = run_check(judging->search, judging->pending[task]);

    jobs_emit(channel, bytes_of(&code, sizeof code));
}

static bool check_done(void *ctx, uint64_t task, const struct jobs_result *result)
{
    struct judging *judging = ctx;
    struct exec_verdict *verdict = &judging->search->verdicts[judging->pending[task]];
    size_t len = result->stderr_tail.len < TEXT_MAX ? result->stderr_tail.len : TEXT_MAX;

    verdict->code = -1;
    if (result->outcome == JOBS_STALLED)
        verdict->code = 124;
    else if (result->outcome == JOBS_EXITED && result->emitted.len == sizeof verdict->code)
        memcpy(&verdict->code, result->emitted.data, sizeof verdict->code);
    verdict->text = calloc(1, len + 40);
    must(verdict->text != NULL);
    if (result->outcome == JOBS_STALLED)
        snprintf(verdict->text, len + 40, "no end after %d s", CHECK_SECONDS);
    else if (len)
        memcpy(verdict->text, result->stderr_tail.data + result->stderr_tail.len - len, len);
    verdict->known = true;
    judging->search->checks_run++;
    if (verdict->code < 0)
        fprintf(stderr, "powercut: a check could not be run: %s\n", verdict->text);
    judging->search->broken = judging->search->broken || verdict->code < 0;
    return !judging->search->broken;
}

static void judge_promise(struct exec_search *search, struct exec_verdict *verdict)
{
    verdict->text = exec_promises_judge(
        search->promises, exec_trees_at(&search->trees, verdict->tree), verdict->record);
    verdict->code = verdict->text != NULL;
    verdict->known = true;
    search->checks_run++;
}

bool exec_search_judge(struct exec_search *search)
{
    struct judging judging = {search, NULL, 0};
    struct jobs_config config = {.jobs = search->setup.jobs,
                                 .stall_seconds = CHECK_SECONDS,
                                 .ctx = &judging,
                                 .work = check_work,
                                 .done = check_done};
    bool good = true;

    judging.pending = malloc((search->verdict_count + 1) * sizeof *judging.pending);
    must(judging.pending != NULL);
    for (uint32_t i = 0; i < search->verdict_count; i++) {
        if (search->verdicts[i].known)
            continue;
        if (search->setup.check)
            judging.pending[judging.count++] = i;
        else
            judge_promise(search, &search->verdicts[i]);
    }
    config.count = judging.count;
    if (judging.count)
        good = jobs_run(&config) == JOBS_ALL;
    free(judging.pending);
    return good && !search->broken;
}
