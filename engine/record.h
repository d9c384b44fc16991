/* record.h: a file of checksummed records that is only ever appended to. The log and the manifest
 * are both such files; FORMAT.md gives the bytes.
 *
 * Thread safety: none; one owner each. */
#ifndef ENGINE_RECORD_H
#define ENGINE_RECORD_H

#include "buffer.h"
#include "format.h"

/* What the file header says about the world when the file was begun. Zero: nothing. */
struct record_origin {
    uint64_t prev_number;     /* the file of this kind before it */
    uint64_t prev_synced;     /* bytes of it that are known synced, and that held everything */
    uint64_t prev_seq;        /* last sequence number in it */
    uint64_t manifest_number; /* the manifest in force, and how far it was synced */
    uint64_t manifest_synced;
};

struct record_writer {
    struct os_file file;
    uint64_t number;
    uint64_t synced;     /* bytes known to be on the disk */
    struct buffer frame; /* the records being built */
    size_t start;        /* where in the frame the last one begins */
    enum vault_status failed;
};

/* Creates the file and writes its header; nothing is synced yet. On failure the writer is closed.
 * `kind` is FORMAT_LOG or FORMAT_MANIFEST. */
MUST_USE enum vault_status record_create(struct env *env, struct record_writer *w,
                                         enum format_file kind, uint64_t number,
                                         const struct record_origin *origin);

/* Begins a record in w->frame with room for `payload` bytes, which the caller appends there. */
MUST_USE enum vault_status record_begin(struct env *env, struct record_writer *w, size_t payload);
/* Writes the record begun; it is not durable before record_sync. A failure stays (R2). */
MUST_USE enum vault_status record_commit(struct env *env, struct record_writer *w, unsigned kind,
                                         uint64_t seq, uint32_t count);
/* Several records by one write: record_begin, record_seal, then record_more and record_seal for
 * each further one, then record_write. record_commit is record_seal and record_write. */
MUST_USE enum vault_status record_more(struct env *env, struct record_writer *w, size_t payload);
MUST_USE enum vault_status record_seal(struct env *env, struct record_writer *w, unsigned kind,
                                       uint64_t seq, uint32_t count);
MUST_USE enum vault_status record_write(struct env *env, struct record_writer *w);
MUST_USE enum vault_status record_sync(struct env *env, struct record_writer *w);
/* Writes a claim for what is synced. It need not be synced itself (R4). */
MUST_USE enum vault_status record_claim(struct env *env, struct record_writer *w, uint64_t seq);
MUST_USE enum vault_status record_close(struct env *env, struct record_writer *w);

struct record {
    unsigned kind;
    uint64_t seq;
    uint32_t count;
    uint64_t offset;      /* of its header in the file */
    struct bytes payload; /* view into the reader, good until its next call */
};

struct record_reader {
    struct os_file file;
    enum format_file kind;
    uint64_t number;
    size_t chunk;
    struct record_origin origin;
    uint64_t pos;  /* everything before it was read and is good */
    uint64_t base; /* file offset of data[0] */
    uint8_t *data;
    size_t cap, filled;
    bool at_end; /* the file ends at base + filled */
    bool torn;   /* record_next stopped at something that is not the end of the file */
};

/* VAULT_NOT_FOUND: no such file. Release in every case. */
MUST_USE enum vault_status record_open(struct env *env, struct record_reader *r,
                                       enum format_file kind, uint64_t number, size_t chunk);
void record_release(struct env *env, struct record_reader *r);

/* Reads the file header. `good` false: not the header of this file, pos stays 0. */
MUST_USE enum vault_status record_head(struct env *env, struct record_reader *r, bool *good);
/* The next record. `got` false: there is none; pos is where the good part of the file ends, torn
 * says whether bytes follow. */
MUST_USE enum vault_status record_next(struct env *env, struct record_reader *r,
                                       struct record *record, bool *got);
/* After record_next or record_head ended at pos: does any later record of this file claim that
 * bytes beyond pos were synced? The one question of D4. */
MUST_USE enum vault_status record_claimed(struct env *env, struct record_reader *r, bool *claimed);

/* After record_next or record_head ended at pos: goes on to the next valid record behind it.
 * `found` false: there is none. For repair alone: what lies between is lost. */
MUST_USE enum vault_status record_resync(struct env *env, struct record_reader *r, bool *found);

/* hooks->claim_possible, or true without it. */
bool record_may_claim(const struct env *env, const char *name, uint64_t offset);

#endif
