/* plain.h: the formats read in the plainest way, from whole files in memory, as FORMAT.md spells
 * them out: no chunks, no cursors, no cache. What the engine reads is compared with what is read
 * here. All memory belongs to the struct plain. Thread safety: none. */
#ifndef FUZZ_PLAIN_H
#define FUZZ_PLAIN_H

#include "stage.h"

struct plain_entry {
    struct bytes key, value;
    uint64_t tag;
    unsigned rank; /* of its source, the one to ask first being 0 */
};

struct plain_list {
    struct plain_entry *at;
    size_t count, room;
};

struct plain_keep;

struct plain {
    struct plain_keep *kept;
};

void plain_release(struct plain *p);

/* A copy that lives as long as p. */
struct bytes plain_copy(struct plain *p, struct bytes bytes);
void plain_add(struct plain_list *list, struct plain_entry entry);
void plain_list_release(struct plain_list *list);

uint32_t plain_sum(struct bytes bytes);

/* ---- record files ---- */

struct plain_record {
    unsigned kind;
    uint32_t count;
    uint64_t seq, offset, claim;
    struct bytes payload;
};

struct plain_records {
    bool head;        /* the header is one of this file */
    bool unsupported; /* but of another version */
    bool torn, claimed;
    uint64_t end; /* where the good part ends */
    uint64_t prev_number, prev_synced, prev_seq, manifest_number, manifest_synced;
    struct plain_record *at;
    size_t count, room;
};

/* Reads the file of that number; the payloads are views. */
void plain_records_read(struct plain_records *r, struct bytes file, enum format_file kind,
                        uint64_t number);
void plain_records_release(struct plain_records *r);

/* The operations of a log record, as entries of rank 0. False: not exactly `count` good ones. */
bool plain_ops(struct bytes ops, uint32_t count, uint64_t seq, struct plain_list *out);

/* ---- tables ---- */

/* The entries of a block, keys whole. False: some part of it is not as block.c writes it, or the
 * entries are out of order. */
bool plain_block(struct plain *p, struct bytes contents, struct plain_list *out);

struct plain_table {
    bool opens;   /* footer, index and filter are in place and their checksums right */
    bool whole;   /* and all entries can be had, in order, and are in the filter */
    bool unsound; /* the index is good, but names a block that is not there or damaged */
    struct plain_list entries;
    struct plain_list ranges; /* range deletes, [key, value) */
};

/* A table of that number whose size is that of `file`. */
void plain_table_read(struct plain *p, struct plain_table *t, struct bytes file, uint64_t number);
void plain_table_release(struct plain_table *t);

/* ---- a whole database ---- */

struct plain_store {
    enum vault_status status; /* what vault_open has to answer */
    bool vague;               /* beyond this model: any status will do */
    bool exact;   /* all of it is sound: the content is known, and the store has to work */
    bool unsound; /* a table cannot be opened, or names a block that is damaged */
    uint64_t last_seq;
    struct plain_list entries; /* all of them, range deletes too; sorted by plain_live */
    struct plain_list live;    /* what a scan has to show */
};

void plain_store_read(struct plain *p, struct plain_store *s, const struct stage_files *files);
/* Computes `live` from `entries`. */
void plain_live(struct plain_store *s);
void plain_store_release(struct plain_store *s);

#endif
