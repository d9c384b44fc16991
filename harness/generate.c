/* generate.c: draws a trace from the tape. Shapes are swarmed: each trace draws its own mix of
 * operations, key space, value lengths and sizes of the store, so that some traces hammer one
 * feature and others leave it out (Groce and others, "Swarm Testing", 2012). The anchor of a
 * choice is the number of the operation and what is asked, so that changing one moves no other. */
#include "trace.h"

#include <string.h>

#include "base/check.h"

enum question {
    ASK_KIND = 1,
    ASK_KEY,
    ASK_KEY2,
    ASK_LEN,
    ASK_LEN2,
    ASK_SYNC,
    ASK_COUNT,
    ASK_DELETE,
    ASK_SLOT,
    ASK_SEED,
    ASK_TTL,
    ASK_TTL2,
    ASK_RANGE,
    ASK_WIDTH
};

struct draw {
    struct trace *trace;
    struct tape *tape;
    uint32_t op; /* number of the operation that is drawn */
    uint32_t part;
    uint32_t keys, key_set;
    uint32_t long_values; /* in 16: how often a value is longer than 100 bytes */
    uint32_t syncs;       /* in 16 */
    bool ranges;          /* in batches, too */
    uint32_t wide;        /* in 8: how often a range is of any width, not narrow */
    uint32_t ttls;        /* in 16: how often a value expires */
    uint32_t copies;      /* slots taken */
    uint32_t interval;    /* of the syncs; 0: none */
    uint32_t weight[OP_KINDS], weights;
    uint32_t next_seed;
    uint32_t snapshots; /* a bit per slot in use */
};

static uint32_t ask(struct draw *draw, enum question question, uint32_t n)
{
    uint64_t anchor = (uint64_t)draw->op << 24 | (uint64_t)draw->part << 8 | question;

    return tape_choose(draw->tape, TAPE_OPS, anchor, n);
}

static uint32_t config(struct draw *draw, uint32_t anchor, uint32_t n)
{
    return tape_choose(draw->tape, TAPE_CONFIG, anchor, n);
}

static uint16_t draw_key(struct draw *draw, enum question question)
{
    uint8_t bytes[64];
    uint32_t index = ask(draw, question, draw->keys);
    size_t len = values_key(draw->key_set, index, bytes);

    return trace_key(draw->trace, bytes_of(bytes, len));
}

static struct value draw_value(struct draw *draw)
{
    static const uint32_t edges[] = {0, 1, 0, 511, 512, 513, 4096, 1500};
    uint32_t len, r = ask(draw, ASK_LEN, 16);

    if (r < draw->long_values)
        len = 100 + ask(draw, ASK_LEN2, 2400);
    else if (r == 15)
        len = edges[ask(draw, ASK_LEN2, sizeof edges / sizeof edges[0])];
    else
        len = ask(draw, ASK_LEN2, 100);
    return (struct value){len, ++draw->next_seed, NULL};
}

/* A delete of a range: mostly a narrow one. Two equal keys make a delete of that key. */
static void draw_range(struct draw *draw, struct op *op)
{
    struct trace *trace = draw->trace;
    uint32_t begin = ask(draw, ASK_KEY, draw->keys), end;
    uint8_t bytes[64];
    uint16_t low, high;

    end = ask(draw, ASK_WIDTH, 8) >= draw->wide ? (begin + 1 + ask(draw, ASK_KEY2, 3)) % draw->keys
                                                : ask(draw, ASK_KEY2, draw->keys);
    low = trace_key(trace, bytes_of(bytes, values_key(draw->key_set, begin, bytes)));
    high = trace_key(trace, bytes_of(bytes, values_key(draw->key_set, end, bytes)));
    if (bytes_compare(trace->keys[low], trace->keys[high]) > 0) {
        uint16_t swap = low;

        low = high;
        high = swap;
    }
    trace_add_write(trace, op, true, low, (struct value){0});
    if (low != high)
        trace->writes[trace->write_count - 1].key_end = high;
    else if (op->kind == OP_DELETE_RANGE)
        op->kind = OP_DELETE;
}

static void draw_write(struct draw *draw, struct op *op, bool is_delete)
{
    uint16_t key = draw_key(draw, ASK_KEY);

    trace_add_write(draw->trace, op, is_delete, key,
                    is_delete ? (struct value){0} : draw_value(draw));
    if (!is_delete && draw->ttls && ask(draw, ASK_TTL, 16) < draw->ttls)
        draw->trace->writes[draw->trace->write_count - 1].ttl = 1 + ask(draw, ASK_TTL2, 100);
}

/* Mostly the time passes, by less than the interval of syncs if there is one; now and then it is
 * set back. */
static int64_t draw_shift(struct draw *draw)
{
    uint32_t way = ask(draw, ASK_TTL, 4);
    uint32_t most = draw->interval && way % 2 ? draw->interval : 120;
    int64_t by = 1 + (int64_t)ask(draw, ASK_TTL2, most);

    return way ? by : -by;
}

static enum op_kind draw_kind(struct draw *draw)
{
    uint32_t r = ask(draw, ASK_KIND, draw->weights);

    for (int kind = 0; kind < OP_KINDS; kind++) {
        if (r < draw->weight[kind])
            return (enum op_kind)kind;
        r -= draw->weight[kind];
    }
    return OP_PUT;
}

static void draw_snapshot_op(struct draw *draw, enum op_kind kind)
{
    uint32_t slot = ask(draw, ASK_SLOT, TRACE_SLOTS);
    bool used = draw->snapshots >> slot & 1;
    struct op *op;

    if (kind == OP_SNAPSHOT && used)
        kind = OP_AT;
    if (kind != OP_SNAPSHOT && !used)
        kind = OP_SNAPSHOT;
    op = trace_add(draw->trace, kind);
    op->slot = slot;
    if (kind == OP_SNAPSHOT)
        draw->snapshots |= 1u << slot;
    if (kind == OP_RELEASE)
        draw->snapshots &= ~(1u << slot);
    if (kind == OP_AT && ask(draw, ASK_COUNT, 2)) {
        uint16_t key = draw_key(draw, ASK_KEY);

        op->key = key;
    }
}

static void draw_bounds(struct draw *draw, struct op *op)
{
    op->key = draw_key(draw, ASK_KEY);
    op->key_end = draw_key(draw, ASK_KEY2);
    if (bytes_compare(draw->trace->keys[op->key], draw->trace->keys[op->key_end]) > 0) {
        uint16_t swap = op->key;

        op->key = op->key_end;
        op->key_end = swap;
    }
}

static void draw_op(struct draw *draw)
{
    enum op_kind kind = draw_kind(draw);
    struct op *op;

    draw->part = 0;
    if (kind == OP_SNAPSHOT || kind == OP_AT || kind == OP_RELEASE) {
        draw_snapshot_op(draw, kind);
        return;
    }
    if (kind == OP_COPY && draw->copies == TRACE_SLOTS)
        kind = OP_FLUSH;
    op = trace_add(draw->trace, kind);
    switch (kind) {
    case OP_COPY:
        op->slot = draw->copies++;
        break;
    case OP_DELETE_RANGE:
        draw_range(draw, op);
        op->sync = ask(draw, ASK_SYNC, 16) < draw->syncs;
        break;
    case OP_PUT:
    case OP_DELETE:
    case OP_BATCH: {
        uint32_t count = kind == OP_BATCH ? 2 + ask(draw, ASK_COUNT, 5) : 1;

        for (uint32_t i = 0; i < count; i++) {
            draw->part = i;
            if (draw->ranges && kind == OP_BATCH && ask(draw, ASK_RANGE, 8) == 0) {
                draw_range(draw, op);
                continue;
            }
            draw_write(draw, op,
                       kind == OP_DELETE || (kind == OP_BATCH && ask(draw, ASK_DELETE, 4) == 0));
        }
        draw->part = 0;
        op->sync = ask(draw, ASK_SYNC, 16) < draw->syncs;
        break;
    }
    case OP_GET:
    case OP_SEEK:
        op->key = draw_key(draw, ASK_KEY);
        break;
    case OP_COMPACT:
        if (ask(draw, ASK_COUNT, 3))
            draw_bounds(draw, op);
        break;
    case OP_CLOCK:
        op->shift = draw_shift(draw);
        break;
    case OP_REOPEN:
        draw->snapshots = 0;
        break;
    case OP_CRASH:
        op->crash.place = CRASH_SEED;
        op->crash.seed = ask(draw, ASK_SEED, UINT32_MAX);
        trace_add(draw->trace, OP_RECOVER);
        draw->snapshots = 0;
        break;
    default:
        break;
    }
}

/* Swarm: every optional feature is in or out, and has its own weight. */
static void draw_weights(struct draw *draw, const struct generator *generator)
{
    static const struct {
        enum op_kind kind;
        uint32_t weight;
    } optional[] = {{OP_DELETE, 40}, {OP_BATCH, 30},  {OP_SYNC, 8},   {OP_GET, 12},
                    {OP_SCAN, 4},    {OP_BACK, 4},    {OP_SEEK, 8},   {OP_SNAPSHOT, 6},
                    {OP_AT, 8},      {OP_RELEASE, 4}, {OP_FLUSH, 10}, {OP_COMPACT, 5},
                    {OP_REOPEN, 5}};

    draw->weight[OP_PUT] = 60;
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        static const uint32_t scale[4] = {0, 1, 1, 2};

        draw->weight[optional[i].kind] =
            optional[i].weight * scale[config(draw, 16 + (uint32_t)i, 4)];
    }
    draw->ranges = config(draw, 62, 2) == 0;
    draw->wide = (uint32_t[]){1, 2, 5}[config(draw, 64, 3)];
    if (draw->ranges)
        draw->weight[OP_DELETE_RANGE] = 8 + 16 * config(draw, 63, 3);
    if (config(draw, 65, 4) == 0)
        draw->weight[OP_COPY] = 6;
    draw->ttls = (uint32_t[]){0, 0, 3, 8}[config(draw, 61, 4)];
    if (draw->ttls || draw->interval)
        draw->weight[OP_CLOCK] = draw->interval ? 60 : 12;
    if (generator->crashes)
        draw->weight[OP_CRASH] = 2 * config(draw, 60, 3);
    for (int i = 0; i < OP_KINDS; i++)
        draw->weights += draw->weight[i];
}

/* Half of the traces compress, with what this build has. */
static uint32_t compression_of(uint32_t drawn)
{
#ifdef MINIVAULT_LZ4
    if (drawn == 1)
        return 1;
#endif
#ifdef MINIVAULT_ZSTD
    if (drawn == 2)
        return 2;
#endif
    return 0;
}

/* Sync every so many; seldom beside an interval, which would then never end. */
static uint32_t draw_window(struct draw *draw, bool no_log)
{
    static const uint32_t windows[] = {0, 0, 0, 2, 3, 7};

    if (no_log || (draw->interval && config(draw, 77, 3)))
        return 0;
    return windows[config(draw, 73, 6)];
}

void trace_generate(struct trace *trace, struct tape *tape, const struct generator *generator)
{
    static const uint32_t buffers[] = {512, 1024, 2048, 4096, 16384};
    static const uint32_t tables[] = {1024, 2048, 8192};
    static const uint32_t level1[] = {2048, 4096, 16384};
    static const uint32_t intervals[] = {0, 0, 15, 60}; /* sync every so many of the clock */
    struct draw draw = {.trace = trace, .tape = tape};
    uint32_t no_log = config(&draw, 72, 8) == 7;
    uint32_t count;

    draw.interval = no_log ? 0 : intervals[config(&draw, 75, 4)];
    draw.keys = 6u + config(&draw, 1, 5) * config(&draw, 2, 5) * 3;
    draw.key_set = config(&draw, 3, 6);
    draw.long_values = (uint32_t[]){0, 1, 2, 6}[config(&draw, 4, 4)];
    draw.syncs = (uint32_t[]){0, 1, 3, 8, 16}[config(&draw, 5, 5)];
    if (draw.interval) /* a sync of another kind ends it */
        draw.syncs /= 4;
    snprintf(trace->tuning, sizeof trace->tuning,
             "write_buffer=%u block=%u table=%u level0=%u level1=%u multiplier=%u bloom=%u "
             "cache=%u chunk=512 manifest=%u compress=%u open=%u nolog=%u sync_writes=%u "
             "share=%u sync_interval=%u tails=%u",
             buffers[config(&draw, 6, 5)], 128u << config(&draw, 7, 3), tables[config(&draw, 8, 3)],
             2 + config(&draw, 9, 3), level1[config(&draw, 10, 3)], 2 + config(&draw, 11, 3),
             config(&draw, 12, 4) ? 10u : 0u, config(&draw, 13, 4) ? 8192u : 0u,
             config(&draw, 14, 3) ? 4096u : 256u, compression_of(config(&draw, 70, 4)),
             config(&draw, 71, 3) ? 64u : 1u, no_log, draw_window(&draw, no_log),
             config(&draw, 74, 2) ? 8192u : 0u, draw.interval,
             config(&draw, 76, 2) ? 1u << 20 : 512u);
    draw_weights(&draw, generator);
    count = generator->ops / 2 + config(&draw, 15, generator->ops + 1);
    for (draw.op = 1; draw.op <= count; draw.op++)
        draw_op(&draw);
}
