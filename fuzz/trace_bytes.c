/* trace_bytes.c: see trace_bytes.h. */
#include "trace_bytes.h"

#include <string.h>

#include "base/check.h"

/* Where the parts of header and record lie. */
enum { HEAD_WITHOUT, HEAD_MODEL = 2, HEAD_UNIT, HEAD_SIZES, HEAD_KEYS = 12, HEAD_SEED };
enum { AT_CODE, AT_KEY, AT_CLASS, AT_LEN, AT_FLAGS, AT_ANCHOR, AT_MORE, AT_MORE2 };

static const enum op_kind kinds[] = {OP_PUT,   OP_DELETE_RANGE, OP_DELETE, OP_BATCH,   OP_SYNC,
                                     OP_GET,   OP_SCAN,         OP_BACK,   OP_SEEK,    OP_SNAPSHOT,
                                     OP_AT,    OP_RELEASE,      OP_FLUSH,  OP_COMPACT, OP_REOPEN,
                                     OP_CLOCK, OP_CRASH,        OP_FAULT};
static const uint8_t first_codes[] = {
    CODE_PUT,   CODE_DELETE_RANGE, CODE_DELETE, CODE_BATCH,    CODE_SYNC,  CODE_GET,
    CODE_SCAN,  CODE_BACK,         CODE_SEEK,   CODE_SNAPSHOT, CODE_AT,    CODE_RELEASE,
    CODE_FLUSH, CODE_COMPACT,      CODE_REOPEN, CODE_CLOCK,    CODE_CRASH, CODE_FAULT};

#define KINDS (sizeof kinds / sizeof kinds[0])

static unsigned kind_index(uint8_t code)
{
    unsigned i = KINDS - 1;

    while (first_codes[i] > code % CODES)
        i--;
    return i;
}

struct decoder {
    struct trace *trace;
    const uint8_t *head;
    uint32_t next_seed;
    uint32_t snapshots; /* a bit per slot in use */
};

static uint16_t key_of(struct decoder *d, uint8_t byte)
{
    uint8_t bytes[64];
    uint32_t count = 4u + d->head[HEAD_KEYS] % 48;
    size_t len = values_key(d->head[HEAD_KEYS] / 48, byte % count, bytes);

    return trace_key(d->trace, bytes_of(bytes, len));
}

static struct value value_of(struct decoder *d, const uint8_t *p)
{
    static const uint32_t edges[] = {0, 1, 511, 512, 513, 4096, 1500, 465};
    uint32_t len = p[AT_LEN] % 100;

    if (p[AT_CLASS] % 16 == 15)
        len = edges[p[AT_LEN] % 8];
    else if (p[AT_CLASS] % 16 >= 13)
        len = 100 + p[AT_LEN] * 10u;
    return (struct value){len, ++d->next_seed, NULL};
}

static void add_write(struct decoder *d, struct op *op, const uint8_t *p, bool is_delete,
                      uint8_t key)
{
    uint16_t interned = key_of(d, key);

    trace_add_write(d->trace, op, is_delete, interned,
                    is_delete ? (struct value){0} : value_of(d, p));
    if (!is_delete && p[AT_FLAGS] >> 5 == 7)
        d->trace->writes[d->trace->write_count - 1].ttl = 1u + p[AT_ANCHOR] % 100;
}

static void add_range(struct decoder *d, struct op *op, uint8_t from, uint8_t to)
{
    uint16_t a = key_of(d, from);
    uint16_t b = key_of(d, to);
    bool turned = bytes_compare(d->trace->keys[a], d->trace->keys[b]) > 0;

    trace_add_write(d->trace, op, true, turned ? b : a, (struct value){0});
    if (a != b)
        d->trace->writes[d->trace->write_count - 1].key_end = turned ? a : b;
    else if (op->kind == OP_DELETE_RANGE)
        op->kind = OP_DELETE;
}

static void decode_range(struct decoder *d, const uint8_t *p)
{
    struct op *op = trace_add(d->trace, OP_DELETE_RANGE);

    add_range(d, op, p[AT_KEY], p[AT_MORE]);
    op->sync = (p[AT_FLAGS] & TRACE_SYNC) != 0;
}

static void decode_write(struct decoder *d, enum op_kind kind, const uint8_t *p)
{
    struct op *op = trace_add(d->trace, kind);
    uint32_t parts = kind == OP_BATCH ? 2 + p[AT_MORE] % 5 : 1;

    for (uint32_t i = 0; i < parts; i++) {
        uint8_t key = (uint8_t)(p[AT_KEY] + i * (1 + p[AT_ANCHOR] % 4));
        bool is_delete = kind == OP_DELETE || (kind == OP_BATCH && p[AT_MORE2] >> i & 1);

        if (kind == OP_BATCH && is_delete && p[AT_FLAGS] >> 6 == 2 && !(d->head[HEAD_UNIT] & 0x80))
            add_range(d, op, key, (uint8_t)(key + p[AT_LEN]));
        else
            add_write(d, op, p, is_delete, key);
    }
    op->sync = (p[AT_FLAGS] & TRACE_SYNC) != 0;
}

static void decode_snapshot(struct decoder *d, enum op_kind kind, const uint8_t *p)
{
    uint32_t slot = p[AT_ANCHOR] % TRACE_SLOTS;
    bool used = d->snapshots >> slot & 1;
    struct op *op = NULL;

    if (kind != OP_SNAPSHOT && !used)
        kind = OP_SNAPSHOT;
    op = trace_add(d->trace, kind);
    op->slot = slot;
    if (kind == OP_AT && p[AT_FLAGS] & 2)
        d->trace->ops[d->trace->op_count - 1].key = key_of(d, p[AT_KEY]);
    if (kind == OP_RELEASE)
        d->snapshots &= ~(1u << slot);
    else
        d->snapshots |= 1u << slot;
}

static void decode_compact(struct decoder *d, const uint8_t *p)
{
    struct op *op = trace_add(d->trace, OP_COMPACT);
    uint16_t a = 0, b = 0;

    if (p[AT_FLAGS] % 3 == 0)
        return;
    a = key_of(d, p[AT_KEY]);
    b = key_of(d, p[AT_MORE]);
    op->key = bytes_compare(d->trace->keys[a], d->trace->keys[b]) > 0 ? b : a;
    op->key_end = op->key == a ? b : a;
}

static void decode_crash(struct decoder *d, const uint8_t *p)
{
    struct op *op = trace_add(d->trace, OP_CRASH);

    op->crash.place = p[AT_FLAGS] % 4 == 3 ? CRASH_END : CRASH_SEED;
    op->crash.seed = (uint64_t)p[AT_KEY] << 8 | p[AT_LEN];
    trace_add(d->trace, OP_RECOVER);
    d->snapshots = 0;
}

static void decode_fault(struct decoder *d, const uint8_t *p)
{
    static const char *const files[] = {"*.log", "MANIFEST*", "*.sst", "CURRENT*", "*"};
    static const enum pc_call_kind calls[] = {PC_CALL_FDATASYNC, PC_CALL_WRITE,  PC_CALL_CREATE,
                                              PC_CALL_FSYNC,     PC_CALL_RENAME, PC_CALL_READ,
                                              PC_CALL_UNLINK,    PC_CALL_WRITE};
    struct trace *trace = d->trace;
    struct pc_fault *fault = &trace->faults[trace->fault_count];
    struct op *op = NULL;

    if (trace->fault_count == TRACE_FAULTS)
        return;
    *fault = (struct pc_fault){.kind = (enum pc_fault_kind)(p[AT_KEY] % PC_FAULT_KINDS),
                               .call = calls[p[AT_MORE] % 8],
                               .nth = 1u + p[AT_ANCHOR] % 8};
    if (fault->kind == PC_FAULT_BITROT)
        fault->call = PC_CALL_READ;
    if (!pc_fault_fits(fault->kind, fault->call))
        fault->kind = PC_FAULT_EIO;
    if (!pc_fault_fits(fault->kind, fault->call))
        return;
    if (p[AT_FLAGS] >> 5 == 7 && fault->kind != PC_FAULT_BITROT) /* nobody interrupts for ever */
        fault->times = p[AT_FLAGS] & 1 && fault->kind != PC_FAULT_EINTR ? PC_FOREVER : 2;
    snprintf(fault->file, sizeof fault->file, "%s", files[p[AT_CLASS] % 5]);
    op = trace_add(trace, OP_FAULT);
    op->slot = trace->fault_count++;
}

static void decode_record(struct decoder *d, const uint8_t *p)
{
    unsigned index = kind_index(p[AT_CODE]);
    enum op_kind kind = kinds[index];
    unsigned without = d->head[HEAD_WITHOUT] | (unsigned)d->head[HEAD_WITHOUT + 1] << 8;

    if (kind == OP_DELETE_RANGE ? d->head[HEAD_UNIT] & 0x80
                                : index > 1 && without >> (index - 2) & 1)
        kind = OP_PUT;
    switch (kind) {
    case OP_PUT:
    case OP_DELETE:
    case OP_BATCH:
        decode_write(d, kind, p);
        break;
    case OP_DELETE_RANGE:
        decode_range(d, p);
        break;
    case OP_SNAPSHOT:
    case OP_AT:
    case OP_RELEASE:
        decode_snapshot(d, kind, p);
        break;
    case OP_COMPACT:
        decode_compact(d, p);
        break;
    case OP_CRASH:
        decode_crash(d, p);
        break;
    case OP_FAULT:
        decode_fault(d, p);
        break;
    case OP_GET:
    case OP_SEEK:
        trace_add(d->trace, kind)->key = key_of(d, p[AT_KEY]);
        break;
    case OP_CLOCK:
        trace_add(d->trace, kind)->shift = (p[AT_FLAGS] & 3 ? 1 : -1) * (1 + (int64_t)p[AT_LEN]);
        break;
    default:
        trace_add(d->trace, kind);
        if (kind == OP_REOPEN)
            d->snapshots = 0;
        break;
    }
}

/* What this build has. */
static unsigned compression_of(unsigned drawn)
{
#ifdef MINIVAULT_LZ4
    if (drawn % 4 == 1)
        return 1;
#endif
#ifdef MINIVAULT_ZSTD
    if (drawn % 4 == 2)
        return 2;
#endif
    return 0;
}

static void decode_head(struct decoder *d)
{
    static const uint32_t buffers[] = {512, 1024, 2048, 4096, 16384};
    static const uint32_t tables[] = {1024, 2048, 8192};
    static const uint32_t level1[] = {2048, 4096, 16384};
    const uint8_t *sizes = d->head + HEAD_SIZES;
    struct trace *trace = d->trace;

    trace->disk.model = (enum pc_model)(d->head[HEAD_MODEL] % PC_MODELS);
    trace->disk.unit = d->head[HEAD_UNIT] % 5 == 4 ? 4096 : 512;
    trace->seed = (uint64_t)d->head[HEAD_SEED] << 16 | (uint64_t)d->head[HEAD_SEED + 1] << 8 |
                  d->head[HEAD_SEED + 2];
    trace->disk.seed = trace->seed;
    snprintf(trace->store, sizeof trace->store, "minivault");
    snprintf(trace->tuning, sizeof trace->tuning,
             "write_buffer=%u block=%u table=%u level0=%u level1=%u multiplier=%u bloom=%u "
             "cache=%u chunk=512 manifest=%u compress=%u open=%u",
             buffers[sizes[0] % 5], 128u << sizes[1] % 3, tables[sizes[2] % 3], 2u + sizes[3] % 3,
             level1[sizes[4] % 3], 2u + sizes[5] % 3, sizes[6] % 4 ? 10u : 0u,
             sizes[6] / 4 % 4 ? 8192u : 0u, sizes[7] % 3 ? 4096u : 256u,
             compression_of(sizes[2] / 3), sizes[3] / 3 % 3 ? 1u : 64u);
}

void trace_from_bytes(struct trace *trace, struct bytes bytes)
{
    uint8_t head[TRACE_HEADER] = {0};
    struct decoder d = {.trace = trace, .head = head};
    size_t got = bytes.len < TRACE_HEADER ? bytes.len : TRACE_HEADER;

    if (got)
        memcpy(head, bytes.data, got);
    decode_head(&d);
    for (size_t i = 0; i < TRACE_RECORDS_MAX; i++) {
        size_t at = TRACE_HEADER + i * TRACE_RECORD;

        if (at > bytes.len || bytes.len - at < TRACE_RECORD)
            break;
        decode_record(&d, bytes.data + at);
    }
}

/* ---- changing ---- */

struct records {
    uint8_t *at;
    size_t count, room;
};

static uint8_t *record(struct records *r, size_t i)
{
    must(i < r->count);
    return r->at + i * TRACE_RECORD;
}

/* Makes room for n records before record i; false: there is none. */
static bool open_gap(struct records *r, size_t i, size_t n)
{
    if (r->room - r->count < n)
        return false;
    memmove(r->at + (i + n) * TRACE_RECORD, r->at + i * TRACE_RECORD,
            (r->count - i) * TRACE_RECORD);
    r->count += n;
    return true;
}

static void fill_record(uint8_t *p, struct rng *rng)
{
    for (unsigned i = 0; i < TRACE_RECORD; i++)
        p[i] = (uint8_t)rng_next(rng);
}

static void take_out(struct records *r, struct rng *rng)
{
    size_t i = (size_t)rng_below(rng, r->count);
    size_t n = 1 + (size_t)rng_below(rng, rng_chance(rng, 1, 4) ? 8 : 1);

    if (n > r->count - i)
        n = r->count - i;
    memmove(r->at + i * TRACE_RECORD, r->at + (i + n) * TRACE_RECORD,
            (r->count - i - n) * TRACE_RECORD);
    r->count -= n;
}

static void repeat(struct records *r, struct rng *rng)
{
    size_t i = (size_t)rng_below(rng, r->count);
    size_t n = 1 + (size_t)rng_below(rng, rng_chance(rng, 1, 2) ? 8 : 1);
    size_t to = (size_t)rng_below(rng, r->count + 1);
    uint8_t copy[8 * TRACE_RECORD];

    if (n > r->count - i)
        n = r->count - i;
    memcpy(copy, record(r, i), n * TRACE_RECORD);
    if (open_gap(r, to, n))
        memcpy(record(r, to), copy, n * TRACE_RECORD);
}

static void swap_neighbours(struct records *r, struct rng *rng)
{
    size_t i = (size_t)rng_below(rng, r->count);
    uint8_t copy[TRACE_RECORD];

    if (i + 1 >= r->count)
        return;
    memcpy(copy, record(r, i), TRACE_RECORD);
    memcpy(record(r, i), record(r, i + 1), TRACE_RECORD);
    memcpy(record(r, i + 1), copy, TRACE_RECORD);
}

/* At a key that one of the last few records used. */
static void retarget(struct records *r, struct rng *rng)
{
    size_t i = (size_t)rng_below(rng, r->count);
    size_t back = 1 + (size_t)rng_below(rng, 6);

    if (back <= i)
        record(r, i)[AT_KEY] = record(r, i - back)[AT_KEY];
}

static void new_record(struct records *r, size_t at, uint8_t code, struct rng *rng)
{
    if (!open_gap(r, at, 1))
        return;
    fill_record(record(r, at), rng);
    record(r, at)[AT_CODE] = code;
}

/* Before one of the last records: the fault meets the next such call on a log or a manifest. */
static void attach_fault(struct records *r, struct rng *rng)
{
    size_t back = (size_t)rng_below(rng, 4);
    size_t at = back < r->count ? r->count - back : 0;
    size_t count = r->count;
    uint8_t *p = NULL;

    if (rng_chance(rng, 1, 3))
        at = (size_t)rng_below(rng, r->count + 1);
    new_record(r, at, CODE_FAULT, rng);
    if (r->count == count)
        return;
    p = record(r, at);
    p[AT_CLASS] = (uint8_t)rng_below(rng, 2); /* log, manifest */
    p[AT_ANCHOR] = (uint8_t)rng_below(rng, 2);
    p[AT_FLAGS] &= 0x1f;
}

/* A write that is synced, a flush, and perhaps the power fails. */
static void barrier(struct records *r, struct rng *rng)
{
    size_t at = (size_t)rng_below(rng, r->count + 1);
    size_t count = r->count;

    new_record(r, at, CODE_PUT, rng);
    if (r->count == count)
        return;
    record(r, at)[AT_FLAGS] |= TRACE_SYNC;
    new_record(r, at + 1, CODE_FLUSH, rng);
    if (rng_chance(rng, 1, 2) && r->count == count + 2)
        new_record(r, at + 2, CODE_CRASH, rng);
}

static void change_byte(uint8_t *data, size_t size, struct rng *rng)
{
    size_t at = (size_t)rng_below(rng, size);

    if (rng_chance(rng, 1, 2))
        data[at] = (uint8_t)rng_next(rng);
    else
        data[at] = (uint8_t)(data[at] + (rng_chance(rng, 1, 2) ? 1 : 255));
}

static void change(uint8_t *data, struct records *r, struct rng *rng)
{
    uint64_t what = rng_below(rng, 16);

    if (what == 0)
        change_byte(data, TRACE_HEADER, rng);
    else if (what <= 3)
        new_record(r, (size_t)rng_below(rng, r->count + 1), (uint8_t)rng_next(rng), rng);
    else if (what == 4)
        attach_fault(r, rng);
    else if (what == 5)
        barrier(r, rng);
    else if (r->count == 0)
        return;
    else if (what <= 7)
        take_out(r, rng);
    else if (what <= 9)
        repeat(r, rng);
    else if (what == 10)
        swap_neighbours(r, rng);
    else if (what == 11)
        retarget(r, rng);
    else if (what == 12)
        record(r, (size_t)rng_below(rng, r->count))[AT_FLAGS] ^= TRACE_SYNC;
    else
        change_byte(r->at, r->count * TRACE_RECORD, rng);
}

size_t trace_mutate(uint8_t *data, size_t size, size_t size_max, struct rng *rng)
{
    struct records r = {.at = data + TRACE_HEADER};
    uint64_t times = 1 + rng_below(rng, rng_chance(rng, 1, 4) ? 8 : 2);

    if (size_max < TRACE_HEADER)
        return size;
    if (size < TRACE_HEADER) {
        memset(data + size, 0, TRACE_HEADER - size);
        size = TRACE_HEADER;
    }
    r.count = (size - TRACE_HEADER) / TRACE_RECORD;
    r.room = (size_max - TRACE_HEADER) / TRACE_RECORD;
    if (r.room > TRACE_RECORDS_MAX)
        r.room = TRACE_RECORDS_MAX;
    if (r.count > r.room)
        r.count = r.room;
    while (times-- > 0)
        change(data, &r, rng);
    return TRACE_HEADER + r.count * TRACE_RECORD;
}

/* Behind one of the places where a trace comes apart; any place if there is none. */
static size_t cut_of(struct bytes bytes, struct rng *rng)
{
    size_t count = bytes.len < TRACE_HEADER ? 0 : (bytes.len - TRACE_HEADER) / TRACE_RECORD;
    size_t seen = 0;
    size_t cut = (size_t)rng_below(rng, count + 1);

    for (size_t i = 0; i < count; i++) {
        enum op_kind kind = kinds[kind_index(bytes.data[TRACE_HEADER + i * TRACE_RECORD])];

        if ((kind == OP_FLUSH || kind == OP_REOPEN || kind == OP_CRASH) &&
            rng_below(rng, ++seen) == 0)
            cut = i + 1;
    }
    return cut;
}

size_t trace_splice(struct bytes a, struct bytes b, uint8_t *out, size_t size_max, struct rng *rng)
{
    size_t front = TRACE_HEADER + cut_of(a, rng) * TRACE_RECORD;
    size_t back = TRACE_HEADER + cut_of(b, rng) * TRACE_RECORD;
    size_t len = b.len > back ? b.len - back : 0;

    if (a.len < TRACE_HEADER || size_max < TRACE_HEADER) {
        len = a.len < size_max ? a.len : size_max;
        if (len)
            memcpy(out, a.data, len);
        return len;
    }
    if (front > size_max)
        front = TRACE_HEADER + (size_max - TRACE_HEADER) / TRACE_RECORD * TRACE_RECORD;
    memcpy(out, a.data, front);
    if (len > size_max - front)
        len = size_max - front;
    if (len)
        memcpy(out + front, b.data + back, len);
    return front + len;
}
