/* damage.c: units of files that read wrong. An overlay of what programs see: images do not have it,
 * writing a unit lifts what was wrong with it, and all of it can be lifted at once. What happens in
 * flight (a bit on the bus, a read that went elsewhere) is there for one read only. Damage by a
 * write shows at once, as if the page had left the cache. */
#include "inner.h"

#include <string.h>

#include "base/check.h"
#include "base/rng.h"

static struct damage *add(struct pc_disk *disk, uint32_t ino, uint32_t unit,
                          enum pc_fault_kind kind)
{
    struct damage *damage = &disk->damages[0];

    if (disk->damage_count < DAMAGE_MAX)
        damage = &disk->damages[disk->damage_count++];
    *damage = (struct damage){.kind = kind, .ino = ino, .unit = unit};
    return damage;
}

/* What the unit held before it was last written in this log, as far as that is known. */
static const struct block *older(struct pc_disk *disk, struct inode *inode, uint32_t index)
{
    uint32_t e = disk_unit(disk, inode, index)->last;

    e = e == NONE ? NONE : disk->log.effects[e].prev;
    return e == NONE ? NULL : disk->log.effects[e].content;
}

/* The unit after it, or the one before the last. Itself in a file of one. */
static uint32_t neighbour(const struct pc_disk *disk, const struct inode *inode, uint32_t index)
{
    if ((uint64_t)(index + 1) * disk->config.unit < inode->size)
        return index + 1;
    return index ? index - 1 : index;
}

void damage_read(struct pc_disk *disk, struct inode *inode, uint64_t offset, size_t len,
                 const struct pc_fault *fault)
{
    uint64_t where = fault->aimed ? 0 : rng_mix(offset ^ (uint64_t)fault->nth << 32);
    uint64_t at = offset + where % len;
    struct damage *damage;
    uint32_t unit;

    if (fault->aimed)
        at = fault->at < 0 ? inode->size + (uint64_t)fault->at : (uint64_t)fault->at;
    unit = (uint32_t)(at / disk->config.unit);
    damage = add(disk, inode->ino, unit, fault->kind);

    damage->at = (uint32_t)(at % disk->config.unit);
    damage->mask = (uint8_t)(1u << (where >> 60 & 7));
    if (fault->kind == PC_FAULT_STALE)
        damage->content = older(disk, inode, unit);
    else if (fault->kind == PC_FAULT_MISREAD)
        damage->content = disk_unit(disk, inode, neighbour(disk, inode, unit))->content;
}

/* The first half of what is there now, then what was there. */
static const struct block *half_of(struct pc_disk *disk, const struct block *now,
                                   const struct block *before)
{
    uint32_t half = disk->config.unit / 2;

    memset(disk->scratch, 0, disk->config.unit);
    if (before)
        memcpy(disk->scratch, before->data, before->len);
    if (now)
        memcpy(disk->scratch, now->data, now->len < half ? now->len : half);
    return disk_block(disk, disk->scratch, disk->config.unit);
}

void damage_write(struct pc_disk *disk, struct inode *inode, uint32_t unit,
                  const struct block *before, enum pc_fault_kind kind)
{
    const struct block *now = disk_unit(disk, inode, unit)->content;

    if (kind == PC_FAULT_SHORN) {
        add(disk, inode->ino, unit, kind)->content = half_of(disk, now, before);
        return;
    }
    add(disk, inode->ino, unit, kind)->content = before;
    if (neighbour(disk, inode, unit) != unit)
        add(disk, inode->ino, neighbour(disk, inode, unit), kind)->content = now;
}

bool damage_unreadable(const struct pc_disk *disk, const struct inode *inode, uint64_t offset,
                       size_t len)
{
    uint64_t unit = disk->config.unit;

    for (uint32_t i = 0; i < disk->damage_count; i++) {
        const struct damage *damage = &disk->damages[i];

        if (damage->kind == PC_FAULT_LATENT && damage->ino == inode->ino &&
            (damage->unit + 1) * unit > offset && damage->unit * unit < offset + len)
            return true;
    }
    return false;
}

/* What of the unit lies in the buffer, which begins at `offset` of the file. */
static void show(const struct pc_disk *disk, const struct damage *damage, uint64_t offset,
                 uint8_t *out, size_t len)
{
    uint64_t start = (uint64_t)damage->unit * disk->config.unit;
    bool flips = damage->kind == PC_FAULT_BITROT || damage->kind == PC_FAULT_FLIP;

    for (uint32_t i = 0; i < disk->config.unit; i++) {
        uint64_t at = start + i;

        if (at < offset || at - offset >= len)
            continue;
        if (!flips)
            out[at - offset] =
                damage->content && i < damage->content->len ? damage->content->data[i] : 0;
        else if (i == damage->at)
            out[at - offset] ^= damage->mask;
    }
}

void damage_show(struct pc_disk *disk, const struct inode *inode, uint64_t offset, uint8_t *out,
                 size_t len)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < disk->damage_count; i++) {
        const struct damage damage = disk->damages[i];

        if (damage.ino == inode->ino && damage.kind != PC_FAULT_LATENT)
            show(disk, &damage, offset, out, len);
        if (damage.kind != PC_FAULT_FLIP && damage.kind != PC_FAULT_MISREAD)
            disk->damages[kept++] = damage;
    }
    disk->damage_count = kept;
}

void damage_written(struct pc_disk *disk, const struct inode *inode, uint32_t unit)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < disk->damage_count; i++)
        if (disk->damages[i].ino != inode->ino || disk->damages[i].unit != unit)
            disk->damages[kept++] = disk->damages[i];
    disk->damage_count = kept;
}

void pc_disk_lift_damage(struct pc_disk *disk)
{
    disk->damage_count = 0;
}
