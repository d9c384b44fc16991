/* finish.c: see finish.h. */
#include "finish.h"

#include <stdio.h>

#include "base/rng.h"

#include "judge.h"

#define ROT_READS 40u /* that recovery makes, or so */

enum way finish_way(uint64_t number)
{
    static const enum way ways[] = {PLAY_ON, PLAY_OLDEST,   PLAY_REOPEN,
                                    PLAY_ON, PLAY_ANYWHERE, PLAY_TWICE};
    enum way way = ways[number / 8 % (sizeof ways / sizeof ways[0])];

    return way == PLAY_REOPEN && number % 4 == 0 ? PLAY_ROTTEN : way;
}

/* `rot`: the read that is wrong; 0: none. */
static void cut_power(struct trace *trace, struct crash crash, uint32_t rot)
{
    trace_add(trace, OP_CRASH)->crash = crash;
    if (rot) {
        struct op *op = trace_add(trace, OP_TROUBLE);

        snprintf(op->word, sizeof op->word, "%s", trouble_name(TROUBLE_BITROT));
        op->slot = rot;
    }
    trace_add(trace, OP_RECOVER);
}

void finish_write(struct trace *trace, uint32_t seed)
{
    struct op *op = trace_add(trace, OP_PUT);
    uint16_t key = trace->key_count ? 0 : trace_key(trace, bytes_str("k"));

    trace_add_write(trace, op, false, key, (struct value){100, seed, NULL});
    op->sync = true;
}

/* What brings much to light: a crash of some kind; then values that are to expire do so, all is
 * compacted, and read, by the snapshots too. */
void finish_trace(struct trace *trace, enum way way)
{
    uint32_t slots = 0, count = trace->op_count;
    bool expires = false;

    for (uint32_t i = 0; i < trace->write_count; i++)
        expires |= trace->writes[i].ttl != 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct op *op = &trace->ops[i];

        if (op->kind == OP_SNAPSHOT)
            slots |= 1u << op->slot;
        else if (op->kind == OP_RELEASE)
            slots &= ~(1u << op->slot);
        else if (op->kind == OP_REOPEN || op->kind == OP_CRASH)
            slots = 0;
    }
    if (way != PLAY_ON)
        slots = 0;
    if (way == PLAY_REOPEN || way == PLAY_ROTTEN) {
        trace_add(trace, OP_REOPEN);
        finish_write(trace, 0);
    }
    if (way == PLAY_OLDEST || way == PLAY_REOPEN || way == PLAY_ROTTEN)
        cut_power(trace, (struct crash){.place = CRASH_END, .oldest = true},
                  way == PLAY_ROTTEN ? 1 + (uint32_t)(rng_mix(trace->seed) % ROT_READS) : 0);
    if (way == PLAY_ROTTEN)
        return; /* what it may answer from here on is not known */
    for (uint32_t i = PLAY_ANYWHERE; i <= way; i++) {
        if (i > PLAY_ANYWHERE)
            finish_write(trace, i);
        cut_power(trace, (struct crash){.place = CRASH_SEED, .seed = rng_mix(trace->seed + i)}, 0);
    }
    if (expires)
        trace_add(trace, OP_CLOCK)->shift = 120;
    trace_add(trace, OP_FLUSH);
    trace_add(trace, OP_COMPACT);
    for (uint32_t slot = 0; slot < TRACE_SLOTS; slot++)
        if (slots >> slot & 1)
            trace_add(trace, OP_AT)->slot = slot;
    trace_add(trace, OP_SCAN);
    trace_add(trace, OP_BACK);
}
