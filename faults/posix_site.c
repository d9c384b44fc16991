/* posix_site.c: where in the program a sync or a rename came from. The place is the chain of return
 * addresses above the interposed call, found through frame pointers, which the build keeps. A call
 * from a chosen place can be left out, as if its line were not there: that is how an audit asks
 * whether a sync is needed. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include "powercut/posix.h"

#define FRAME_SIZE_MAX ((uintptr_t)1 << 20) /* farther apart: no frame pointer was kept */

const void *layer_frame;

static void (*watcher)(void *ctx, const struct pc_site *site);
static void *watcher_ctx;
static struct pc_site suppressed;
static bool suppressing;

void pc_watch_sites(void (*seen)(void *ctx, const struct pc_site *site), void *ctx)
{
    watcher = seen;
    watcher_ctx = ctx;
}

void pc_suppress_site(const struct pc_site *site)
{
    suppressing = site != NULL;
    if (site)
        suppressed = *site;
}

bool pc_site_equal(const struct pc_site *a, const struct pc_site *b)
{
    return a->kind == b->kind && a->directory == b->directory &&
           memcmp(a->frames, b->frames, sizeof a->frames) == 0;
}

/* A frame holds the caller's frame and the return address, on the architectures that keep it so. */
static const void *const *caller(const void *const *frame)
{
    const void *const *up = frame[0];
    uintptr_t distance = (uintptr_t)up - (uintptr_t)frame;

    return (uintptr_t)up > (uintptr_t)frame && distance < FRAME_SIZE_MAX ? up : NULL;
}

bool layer_left_out(enum pc_call_kind kind, bool directory)
{
    struct pc_site site = {.kind = kind, .directory = directory};
    const void *const *frame = layer_frame;

    if (!watcher && !suppressing)
        return false;
    frame = caller(frame); /* of the interposed call itself */
    for (int i = 0; i < PC_SITE_FRAMES && frame; i++) {
        site.frames[i] = frame[1];
        frame = caller(frame);
    }
    if (watcher)
        watcher(watcher_ctx, &site);
    return suppressing && pc_site_equal(&site, &suppressed);
}
