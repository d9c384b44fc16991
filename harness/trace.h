/* trace.h: what is done to a store: a list of operations, as data. The generator draws one from the
 * tape, a .crash file spells one out, the shrinker makes one smaller; the runner executes it. One
 * step of a .crash file is one operation here: trace_print writes, trace_parse reads that line. */
#ifndef HARNESS_TRACE_H
#define HARNESS_TRACE_H

#include <stdbool.h>
#include <stdio.h>

#include "powercut/disk.h"

#include "tape.h"
#include "values.h"

enum op_kind {
    OP_PUT,
    OP_DELETE,
    OP_DELETE_RANGE,
    OP_BATCH,
    OP_SYNC,
    OP_GET,
    OP_SCAN,     /* whole, forward */
    OP_BACK,     /* whole, backward */
    OP_SEEK,     /* seek, then a few steps in both directions */
    OP_SNAPSHOT, /* into a slot */
    OP_AT,       /* reads a key, or all, at the snapshot of a slot */
    OP_RELEASE,
    OP_FLUSH,
    OP_COMPACT,
    OP_COPY, /* into the directory of a slot; once each */
    OP_REOPEN,
    OP_OPEN,
    OP_CLOSE,
    OP_FAULT,   /* arms the fault of this number */
    OP_CRASH,   /* the power fails: at a place, or wherever the seed says */
    OP_LOSE,    /* after OP_CRASH: this item did not reach the disk */
    OP_KEEP,    /* after OP_CRASH: this one did */
    OP_TROUBLE, /* after OP_CRASH: what goes wrong while it recovers */
    OP_RECOVER, /* boots on what is left and opens */
    OP_CHECK,   /* asks the oracle about the last recovery */
    OP_SHOW,    /* prints the disk or the log of calls */
    OP_EXPLORE, /* recovers every crash of the epoch */
    OP_REACHED, /* a mark must have been hit */
    OP_CLOCK,   /* the clock jumps */
    OP_KINDS
};

struct trace_write {
    bool is_delete;
    uint16_t key, key_end; /* TRACE_NO_KEY: one key; else a delete of [key, key_end) */
    struct value value;
    uint32_t ttl; /* of a put, from now; 0: it never expires */
};

/* Where the power fails: before the nth call of a kind on a file in this epoch, at its end, or at a
 * place drawn from a seed. */
enum crash_place { CRASH_BEFORE, CRASH_END, CRASH_SEED };

struct crash {
    enum crash_place place;
    enum pc_call_kind call;
    char file[48];
    uint32_t nth;
    bool inside; /* in the middle of that call, which may be torn */
    uint64_t seed;
    bool oldest; /* what is not named is lost; else kept */
    enum pc_fill fill;
};

/* A micro-op by what it is, not by its number. */
struct item_name {
    enum pc_item_kind kind;
    char path[64];
    uint64_t offset;
    uint32_t version;
};

#define TRACE_NO_KEY UINT16_MAX

struct op {
    enum op_kind kind;
    bool sync;
    uint32_t first_write, writes;
    uint16_t key, key_end; /* TRACE_NO_KEY: none */
    uint32_t slot;         /* snapshot slot, fault number */
    int64_t shift;         /* of the clock */
    struct crash crash;
    struct item_name item;
    char word[48]; /* show, reached */
    uint32_t line; /* of the file it came from; 0: generated */
};

#define TRACE_FAULTS    8
#define TRACE_SLOTS     4
#define TRACE_BATCH_MAX 64

struct trace {
    struct pc_disk_config disk;
    char store[256];
    char tuning[256];
    struct bytes *keys;
    uint32_t key_count, key_room;
    struct op *ops;
    uint32_t op_count, op_room;
    struct trace_write *writes;
    uint32_t write_count, write_room;
    struct pc_fault faults[TRACE_FAULTS];
    uint32_t fault_count;
    uint64_t seed;
    uint32_t change_epoch; /* in which the following two are made; 0: the first */
    /* A sync that the store does not make; insert_call 0: none. */
    uint32_t insert_call, insert_sync;
    /* Unlinks that come later than was asked for; defer_until 0: none. */
    uint32_t defer_call, defer_until;
};

void trace_init(struct trace *trace);
void trace_release(struct trace *trace);
void trace_copy(struct trace *to, const struct trace *from);
uint16_t trace_key(struct trace *trace, struct bytes key); /* interns */
struct op *trace_add(struct trace *trace, enum op_kind kind);
void trace_add_write(struct trace *trace, struct op *op, bool is_delete, uint16_t key,
                     struct value value);

/* Arms these faults, in front, in a trace that has none. */
void trace_arm(struct trace *trace, const struct pc_fault *faults, uint32_t count);

/* Draws a trace of about `ops` operations, without faults (place.h puts them in). */
struct generator {
    uint32_t ops;
    bool crashes; /* several epochs */
};
void trace_generate(struct trace *trace, struct tape *tape, const struct generator *generator);

const char *trace_step_name(enum op_kind kind);
void trace_print_op(FILE *out, const struct trace *trace, const struct op *op);
/* The header lines (disk, open) and all operations. */
void trace_print(FILE *out, const struct trace *trace);
/* Parses one step into the trace. False: `why` says what is wrong. */
bool trace_parse(struct trace *trace, const char *line, uint32_t number, char *why, size_t room);

#endif
