/* hooks.h: what an engine may let an explorer take over. Travels in the engine's options; every
 * member may be NULL, and a NULL table means production behaviour. No dependency but libc, so
 * that any engine may include it. Thread safety: called on the thread that opens or reads. */
#ifndef POWERCUT_HOOKS_H
#define POWERCUT_HOOKS_H

#include <stddef.h>
#include <stdint.h>

enum pc_checksum { PC_CRC32C = 1 };

enum pc_verdict {
    PC_VERDICT_COMPUTE = -1, /* compute the real checksum and use its answer */
    PC_VERDICT_FAIL = 0,
    PC_VERDICT_PASS = 1,
};

struct pc_hooks {
    void *ctx;
    /* The one door for checksums. `range` is the checked memory, `expected` the stored sum. The
     * engine acts on the answer: COMPUTE is the production path. */
    enum pc_verdict (*verify)(void *ctx, const void *range, size_t len, uint32_t expected,
                              enum pc_checksum algorithm);
    /* The engine is about to use the bytes it read into [p, p + len). */
    void (*use)(void *ctx, const void *p, size_t len);
    /* After a bad log record at `offset` of `file`: may any later record, or a later log, carry
     * a claim that bytes beyond `offset` were synced? 0: no, do not look. 1: look for real. */
    int (*claim_possible)(void *ctx, const char *file, uint64_t offset);
};

#endif
