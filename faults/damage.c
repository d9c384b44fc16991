/* damage.c: places of files that read wrong. An overlay of the volatile view: images do not have
 * it, and writing a unit lifts what was wrong with it. */
#include "inner.h"

#include <string.h>

#include "base/check.h"
#include "base/rng.h"

void damage_add(struct pc_disk *disk, const struct inode *inode, uint64_t offset, size_t len,
                const struct pc_fault *fault)
{
    uint64_t where = rng_mix(offset ^ (uint64_t)fault->nth << 32);

    if (disk->damage_count < DAMAGE_MAX)
        disk->damages[disk->damage_count++] =
            (struct damage){inode->ino, offset + where % len, (uint8_t)(1u << (where >> 60 & 7))};
}

void damage_show(const struct pc_disk *disk, const struct inode *inode, uint64_t offset,
                 uint8_t *out, size_t len)
{
    for (uint32_t i = 0; i < disk->damage_count; i++) {
        const struct damage *damage = &disk->damages[i];

        if (damage->ino == inode->ino && damage->offset >= offset && damage->offset - offset < len)
            out[damage->offset - offset] ^= damage->mask;
    }
}

/* A unit is written: what was wrong in it is gone. */
void damage_written(struct pc_disk *disk, const struct inode *inode, uint32_t unit)
{
    for (uint32_t i = 0; i < disk->damage_count; i++)
        if (disk->damages[i].ino == inode->ino &&
            disk->damages[i].offset / disk->config.unit == unit)
            disk->damages[i].mask = 0;
}
