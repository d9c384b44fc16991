/* posix_site.c: where in the program a call came from. The place is the chain of return addresses
 * above the interposed call, found through frame pointers, which the build keeps. An audit asks
 * what every place is good for (posix_seam.c). */
#define _GNU_SOURCE
#include "posix_layer.h"

#include "powercut/posix.h"

#define FRAME_SIZE_MAX ((uintptr_t)1 << 20) /* farther apart: no frame pointer was kept */

const void *layer_frame;

static void (*watcher)(void *ctx, const struct pc_site *site);
static void *watcher_ctx;
bool site_wanted; /* by a watcher, or for a mistake that is planted */

void site_update(void)
{
    site_wanted = watcher != NULL || seam_planted();
}

void pc_watch_sites(void (*seen)(void *ctx, const struct pc_site *site), void *ctx)
{
    watcher = seen;
    watcher_ctx = ctx;
    site_update();
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

static void walk_up(struct pc_site *site)
{
    const void *const *frame = caller(layer_frame); /* of the interposed call itself */

    for (int i = 0; i < PC_SITE_FRAMES && frame; i++) {
        site->frames[i] = frame[1];
        frame = caller(frame);
    }
}

bool pc_site_now(struct pc_site *site)
{
    if (!layer_inside || layer_frame == NULL)
        return false;
    *site = (struct pc_site){.kind = PC_CALL_KINDS};
    walk_up(site);
    return true;
}

bool layer_site(enum pc_call_kind kind, bool directory, struct pc_site *site)
{
    if (!site_wanted)
        return false;
    *site = (struct pc_site){.kind = kind, .directory = directory};
    walk_up(site);
    if (watcher)
        watcher(watcher_ctx, site);
    return true;
}
