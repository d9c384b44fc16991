/* verdict.h: a crash image that is decided by what a program *uses*, not by what it reads.
 *
 * After pc_disk_decide_by_use a read of the booted disk fills the buffer with one content that is
 * possible, and remembers where each byte came from. The program, or its hooks (hooks.h), says
 * which bytes it is about to use: then those bytes are decided, and put into its buffer. Contents
 * that agree in those bytes stay together.
 *
 * A checksum is asked for before its bytes are used. It is one question: one alternative for each
 * combination of contents that passes, and one for "it fails", which decides nothing but that none
 * of those is there. Every checksum is computed over real bytes; only a mixture of contents that
 * were never on the disk at one time is taken to fail without a look where there are too many of
 * them, so the checksum has to be one that does not pass by accident (CRC-32C does in 1 of 2^32).
 *
 * A program that uses bytes without saying so, or after their checksum has failed, sees the newest
 * content where another one is possible, too. That is for the caller to find out: pc_image_comply
 * makes a complete choice, to run again for real.
 *
 * Only where legal sets are a lattice (pc_model_is_lattice). Thread safety: as disk.h. */
#ifndef POWERCUT_VERDICT_H
#define POWERCUT_VERDICT_H

#include "powercut/disk.h"
#include "powercut/hooks.h"

/* From now until the disk is booted again. Does nothing on a disk without an open image. */
void pc_disk_decide_by_use(struct pc_disk *disk);

/* The program is about to use [p, p + len). Bytes that no read of an open unit has put there are
 * left alone. */
void pc_disk_use(struct pc_disk *disk, const void *p, size_t len);

/* Does the content of [p, p + len) pass? `passes` computes the checksum of len bytes. COMPUTE: it
 * is decided, and in the buffer: compute it yourself. */
enum pc_verdict pc_disk_verify(struct pc_disk *disk, const void *p, size_t len,
                               bool (*passes)(void *ctx, const uint8_t *bytes, size_t len),
                               void *ctx);

/* How many checks were said to fail, with contents open that would have passed, since
 * pc_image_begin. */
uint32_t pc_image_assumed(const struct pc_image *image);

/* Decides just so much that every completion agrees with all answers given so far, lost first.
 * Afterwards the states of the items alone tell what is possible. */
void pc_image_comply(struct pc_image *image);

/* Did keeping the answers consistent take too long? Then what was seen and counted since the image
 * was made proves nothing, and it has to be done again without pc_disk_decide_by_use. */
bool pc_image_gave_up(const struct pc_image *image);

/* A hash of all reads of file content since boot: which, where, how long. */
uint64_t pc_disk_looks(const struct pc_disk *disk);

#endif
