/* trace_bytes.h: a trace as bytes, so that a fuzzer can change it. Any bytes are a trace.
 *
 *   header   16 bytes: what the trace leaves out (2), persistence model, sector (bit 7: no range
 *            deletes), sizes of the store (8), keys, seed (3)
 *   record   8 bytes each: opcode, key, length class, length, flags, anchor, two more
 *
 * What is missing of the header counts as zero, what follows the last whole record as nothing, and
 * records beyond TRACE_RECORDS_MAX likewise. An opcode that the header leaves out is a put. Since a
 * record has a fixed size, one that comes or goes moves no byte of another.
 * Thread safety: none. */
#ifndef FUZZ_TRACE_BYTES_H
#define FUZZ_TRACE_BYTES_H

#include "base/bytes.h"
#include "base/rng.h"
#include "trace.h"

#define TRACE_HEADER      16u
#define TRACE_RECORD      8u
#define TRACE_RECORDS_MAX 512u

/* What the 64 opcodes mean; several mean the same, so that common operations are common. */
enum trace_code {
    CODE_PUT = 0,
    CODE_DELETE_RANGE = 21,
    CODE_DELETE = 22,
    CODE_BATCH = 30,
    CODE_SYNC = 38,
    CODE_GET = 41,
    CODE_SCAN = 43,
    CODE_BACK = 44,
    CODE_SEEK = 45,
    CODE_SNAPSHOT = 47,
    CODE_AT = 49,
    CODE_RELEASE = 51,
    CODE_FLUSH = 52,
    CODE_COMPACT = 56,
    CODE_REOPEN = 59,
    CODE_CLOCK = 61,
    CODE_CRASH = 62, /* the power fails somewhere, and the store goes on with what is left */
    CODE_FAULT = 63, /* one of the next calls of a kind on a kind of file fails */
    CODES
};

/* Flags of a record. */
#define TRACE_SYNC 1u

/* Into an initialised trace. */
void trace_from_bytes(struct trace *trace, struct bytes bytes);

/* Changes whole records: puts in, takes out, repeats, moves, turns sync on or off, aims at a key
 * that was just used, puts a fault before the last call on the log or the manifest, a flush and a
 * crash behind a write. Answers the new size. */
size_t trace_mutate(uint8_t *data, size_t size, size_t size_max, struct rng *rng);
/* The front of one and the end of the other, cut at a flush, a reopen or a crash if there is
 * one. */
size_t trace_splice(struct bytes a, struct bytes b, uint8_t *out, size_t size_max, struct rng *rng);

#endif
