/* story_check.c: a check that failed, and what it covers was used all the same. The recovery of a
 * finding is run once more with hooks (powercut/hooks.h) that only look on: every checksum is
 * computed here, and bytes that are announced as used are compared with those of checks that had
 * failed. Memory that holds something else by then was read anew. */
#define _GNU_SOURCE /* memmem */
#include <string.h>

#include "powercut/hooks.h"

#include "lanes.h"
#include "play.h"
#include "story.h"
#include "sum.h"

#define FAILED_MOST 16u
#define KEPT_MOST   256u /* bytes of a range that tell it from others */

struct failed {
    const uint8_t *at;
    size_t len, kept;
    uint8_t bytes[KEPT_MOST];
    bool used;
};

/* There is one recovery at a time, and a store's open has no other context. */
static struct watch {
    enum pc_store_status (*open)(const struct pc_store_env *env, void **db,
                                 struct pc_store_error *error);
    const struct pc_hooks *below;
    struct pc_hooks hooks;
    struct failed failed[FAILED_MOST];
    uint32_t count;
} watch;

static enum pc_verdict look_at_check(void *ctx, const void *range, size_t len, uint32_t expected,
                                     enum pc_checksum algorithm)
{
    struct failed *failed = &watch.failed[watch.count];

    (void)ctx;
    if (algorithm != PC_CRC32C)
        return PC_VERDICT_COMPUTE;
    if (sum_crc32c(range, len) == expected)
        return PC_VERDICT_PASS;
    if (watch.count < FAILED_MOST && len > 0) {
        *failed = (struct failed){range, len, len < KEPT_MOST ? len : KEPT_MOST, {0}, false};
        memcpy(failed->bytes, range, failed->kept);
        watch.count++;
    }
    return PC_VERDICT_FAIL;
}

static void look_at_use(void *ctx, const void *p, size_t len)
{
    const uint8_t *from = p;

    (void)ctx;
    for (uint32_t i = 0; i < watch.count; i++) {
        struct failed *failed = &watch.failed[i];

        if (from < failed->at + failed->len && from + len > failed->at &&
            memcmp(failed->at, failed->bytes, failed->kept) == 0)
            failed->used = true;
    }
}

static int claim_below(void *ctx, const char *file, uint64_t offset)
{
    (void)ctx;
    return watch.below->claim_possible(watch.below->ctx, file, offset);
}

static enum pc_store_status open_watched(const struct pc_store_env *env, void **db,
                                         struct pc_store_error *error)
{
    struct pc_store_env mine = *env;

    watch.below = env->hooks;
    watch.hooks = (struct pc_hooks){.verify = look_at_check, .use = look_at_use};
    if (env->hooks && env->hooks->claim_possible)
        watch.hooks.claim_possible = claim_below;
    mine.hooks = &watch.hooks;
    return watch.open(&mine, db, error);
}

/* ---- where the bytes lie ---- */

struct place {
    const struct failed *failed;
    char path[96];
    uint64_t offset;
    bool found;
};

static void look_into(void *ctx, const struct pc_entry *entry)
{
    struct place *place = ctx;
    const uint8_t *at;

    if (place->found || entry->is_dir || entry->size == 0)
        return;
    at = memmem(entry->data, entry->size, place->failed->bytes, place->failed->kept);
    if (at == NULL)
        return;
    place->found = true;
    place->offset = (uint64_t)(at - entry->data);
    snprintf(place->path, sizeof place->path, "%.95s", entry->path);
}

static bool tell(FILE *out, struct pc_image *image)
{
    bool told = false;

    for (uint32_t i = 0; i < watch.count && !told; i++) {
        struct place place = {.failed = &watch.failed[i]};
        struct pc_disk *disk;

        if (!watch.failed[i].used)
            continue;
        disk = pc_disk_boot(image);
        pc_disk_walk(disk, look_into, &place);
        pc_disk_free(disk);
        fprintf(out, "no sync and no order mends it: the check of %zu bytes", place.failed->len);
        if (place.found)
            fprintf(out, " of %s at offset %llu", place.path, (unsigned long long)place.offset);
        fputs(" failed,\n  and they were used all the same\n", out);
        told = true;
    }
    return told;
}

bool story_used_all_the_same(FILE *out, const struct trace *trace, const struct finding *finding,
                             const struct pc_store *store)
{
    struct pc_store watched = *store;
    struct finding ignored = {0};
    struct pc_image *image;
    struct trace copy;
    struct play play;
    bool told = false;
    size_t k;

    if (finding->cuts != 1 || !(store->promises & PC_PROMISE_HOOKS))
        return false;
    watch = (struct watch){.open = store->open};
    watched.open = open_watched;
    trace_copy(&copy, trace);
    play_init(&play, &copy, store, NULL, &ignored);
    for (uint32_t i = 0; i < copy.op_count && play_step(&play, i, NULL); i++)
        ;
    play_end(&play);
    image = lanes_image(&play.session, finding, &k);
    if (image) {
        struct session *session = &play.session;
        struct question question = {.kill = session_kill(session, k),
                                    .scan_claims = finding->scanned};
        struct verdict verdict;
        struct judge judge;
        size_t opened;

        question.model = session_judge(session, k, &question.at, &question.trust);
        question.now = model_clock(question.model, question.at);
        judge_init(&judge, &watched, copy.tuning);
        judge_image(&judge, image, &question, &verdict, &opened);
        judge_release(&judge);
        told = tell(out, image);
        pc_image_free(image);
    }
    play_release(&play);
    trace_release(&copy);
    return told;
}
