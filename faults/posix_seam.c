/* posix_seam.c: mistakes at the seam. A program that leaves a call out, makes two calls in the
 * wrong order or does not look at a result differs from a right one in what reaches the disk and
 * in what it is told; so such a mistake can be planted here, at run time, in any program. See
 * pc_seam in powercut/posix.h.
 *
 * Between a call and the disk every change, sync and read passes layer_seam(). A call that is to
 * come later answers at once and is made after the next one; one whose file, or disk, has gone by
 * then is never made. The answer it then gets nobody looks at. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include "powercut/posix.h"

#define HELD_MAX 65536u /* bytes of a write that can come later; longer ones come at once */

static struct {
    struct pc_site site;
    enum pc_seam_act act;
    uint64_t acted;
    struct pc_disk *disk; /* of the call that is to come; NULL: none */
    struct seam_call call;
    uint8_t bytes[HELD_MAX];
    char names[2][256];
    uint32_t errors;
} seam;

static const char *const act_names[PC_SEAM_ACTS] = {
    [PC_SEAM_NONE] = "none",   [PC_SEAM_DROP] = "drop",   [PC_SEAM_LATER] = "later",
    [PC_SEAM_DEAF] = "ignore", [PC_SEAM_RETRY] = "retry", [PC_SEAM_SHORT] = "shorten",
};

const char *pc_seam_act_name(enum pc_seam_act act)
{
    return act_names[act];
}

static bool is_sync(enum pc_call_kind kind)
{
    return kind == PC_CALL_FSYNC || kind == PC_CALL_FDATASYNC;
}

bool pc_seam_fits(enum pc_seam_act act, enum pc_call_kind kind)
{
    switch (act) {
    case PC_SEAM_DROP:
    case PC_SEAM_LATER:
        return kind != PC_CALL_READ;
    case PC_SEAM_DEAF:
        return true;
    case PC_SEAM_RETRY:
        return is_sync(kind);
    case PC_SEAM_SHORT:
        return kind == PC_CALL_WRITE;
    default:
        return false;
    }
}

void pc_seam(const struct pc_site *site, enum pc_seam_act act)
{
    seam.act = site ? act : PC_SEAM_NONE;
    seam.acted = 0;
    seam.disk = NULL;
    if (site)
        seam.site = *site;
    site_update();
}

bool seam_planted(void)
{
    return seam.act != PC_SEAM_NONE;
}

uint64_t pc_seam_acted(void)
{
    return seam.acted;
}

void seam_forget(void)
{
    seam.disk = NULL;
}

/* ---- making a call ---- */

static long make(const struct seam_call *call)
{
    switch (call->kind) {
    case PC_CALL_READ:
        return disk_read(layer.disk, call->ino, call->offset, call->room, call->size);
    case PC_CALL_WRITE:
        return disk_write_as(layer.disk, call->ino, call->offset, call->bytes, call->size,
                             call->data_only, call->errors);
    case PC_CALL_TRUNCATE:
        return disk_truncate(layer.disk, call->ino, call->offset);
    case PC_CALL_UNLINK:
        return disk_unlink(layer.disk, call->ino, call->name, call->len);
    case PC_CALL_RENAME:
        return disk_rename(layer.disk, call->ino, call->name, call->len, call->to_ino,
                           call->to_name, call->to_len);
    default:
        return disk_sync_as(layer.disk, call->ino, call->data_only, call->errors);
    }
}

/* What a program hears when all is well. */
static long well(const struct seam_call *call)
{
    return call->kind == PC_CALL_WRITE || call->kind == PC_CALL_READ ? (long)call->size : 0;
}

static bool later(const struct seam_call *call)
{
    if (call->kind == PC_CALL_WRITE && call->size > HELD_MAX)
        return false;
    seam.disk = layer.disk;
    seam.call = *call;
    if (call->errors) { /* the descriptor may be closed by then */
        seam.errors = *call->errors;
        seam.call.errors = &seam.errors;
    }
    if (call->kind == PC_CALL_WRITE) {
        memcpy(seam.bytes, call->bytes, call->size);
        seam.call.bytes = seam.bytes;
    }
    if (call->name) {
        memcpy(seam.names[0], call->name, call->len);
        seam.call.name = seam.names[0];
    }
    if (call->to_name) {
        memcpy(seam.names[1], call->to_name, call->to_len);
        seam.call.to_name = seam.names[1];
    }
    return true;
}

static void make_up(void)
{
    struct disk_stat stat;

    if (seam.disk == NULL)
        return;
    if (seam.disk == layer.disk && disk_stat(layer.disk, seam.call.ino, &stat) == 0 &&
        stat.links > 0)
        (void)make(&seam.call);
    seam.disk = NULL;
}

static long act_on(const struct seam_call *call)
{
    struct seam_call half = *call;
    long result;

    seam.acted +=
        seam.act == PC_SEAM_DROP || seam.act == PC_SEAM_LATER || seam.act == PC_SEAM_SHORT;
    switch (seam.act) {
    case PC_SEAM_DROP:
        return well(call);
    case PC_SEAM_LATER:
        return seam.disk == NULL && later(call) ? well(call) : make(call);
    case PC_SEAM_SHORT:
        half.size = call->size / 2;
        result = half.size ? make(&half) : 0;
        return result < 0 ? result : well(call);
    case PC_SEAM_RETRY:
        result = make(call);
        if (result >= 0)
            return result;
        seam.acted++;
        return make(call);
    default:
        result = make(call);
        if (result >= 0)
            return result;
        seam.acted++;
        if (call->kind == PC_CALL_READ)
            memset(call->room, 0, call->size);
        return well(call);
    }
}

long layer_seam(const struct seam_call *call)
{
    struct pc_site site;
    long result;
    bool due = seam.disk != NULL; /* this call is the neighbour that one waits for */

    if (!layer_site(call->kind, call->directory, &site) || seam.act == PC_SEAM_NONE)
        return make(call);
    result = pc_site_equal(&site, &seam.site) ? act_on(call) : make(call);
    if (due && call->kind != PC_CALL_READ)
        make_up();
    return result;
}
