/* log.h (private): the micro-operations of a disk and the order in which they may persist.
 *
 * A *node* is a micro-op: it becomes durable as a whole. It has one or more *effects*, each on one
 * place (a unit, a size, a block's mapping, a name), and edges to nodes that must be durable before
 * it. Effects on one place are chained, newest first, so that an image finds the versions of a
 * place without a search. `forced_at` and `voided_at` are indices of calls; an image at crash point
 * k takes them into account when they are below k.
 *
 * What a sync forces brings with it what it needs. In most models that is all that must precede it,
 * along the edges. In models that *leap* it is less: what it *depends* on, a second kind of edge;
 * then what was forced may be ahead of what should precede it. */
#ifndef FAULTS_LOG_H
#define FAULTS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "disk.h"

#define NONE  UINT32_MAX
#define NEVER UINT32_MAX

/* What a model does when a call is cracked, and which orders it keeps. */
struct model_rules {
    const char *name;
    bool simulated;
    bool steps;       /* everything in one chain, one step per unit or call */
    bool journal;     /* N and T in one chain, Z and M behind it; blocks are mapped */
    bool map_apart;   /* an extending write has an M of its own; else its Z maps */
    bool data_first;  /* what maps a block waits for the data of its write there */
    bool undefined;   /* bytes that were never written read as undefined, not as zeros */
    bool split_names; /* rename and unlink fall apart */
    bool leaps;       /* a sync forces what its micro-ops depend on, not all that precedes it */
    bool tree_log;    /* the special rules of btrfs (leap.c) */
};

extern const struct model_rules model_rules[PC_MODELS];

/* Content of one unit. Bytes from len on are not part of it; so versions of a unit that is appended
 * to share their bytes, each with a length of its own. */
struct block {
    const uint8_t *data;
    uint32_t len;
    uint32_t room; /* bytes behind these that no version has taken yet */
};

/* A block with `len` bytes of its own, which are not set yet. */
static inline struct block *arena_block(struct arena *arena, uint32_t len)
{
    struct block *block = arena_alloc(arena, sizeof *block + len);

    *block = (struct block){(const uint8_t *)(block + 1), len, 0};
    return block;
}

/* Its bytes, while it is being made. */
static inline uint8_t *block_bytes(const struct block *block)
{
    return (uint8_t *)(uintptr_t)block->data;
}

/* Of these and of nodes there are two or three per write: their size is what a write costs. */
struct effect {
    uint8_t kind; /* enum pc_item_kind */
    bool unmaps;  /* map: a hole; truncate: the size became smaller, units are forgotten */
    uint32_t node;
    uint32_t prev; /* the effect before it on the same place */
    uint32_t ino;  /* names: the inode that the name then points to, 0 for none */
    uint32_t unit; /* data: unit index; map: block index; name: number of the directory */
    uint32_t incarnation;
    uint32_t version;
    uint32_t voided_at; /* data whose page was dropped by the failed sync call of this index */
    uint32_t mapper;    /* data: the node that maps its incarnation; NONE: mapped below */
    union {
        uint64_t size;               /* size, truncate */
        const struct block *content; /* data */
        const char *path;            /* name: what was changed; else the call tells (log_path) */
    };
};

struct node {
    uint32_t call;
    uint32_t forced_at, voided_at;
    uint32_t add_half : 1; /* of a rename between directories; the next node is the other half */
    uint32_t first_effect : 31, first_edge, first_dependence; /* up to those of the next node */
};

struct log {
    struct node *nodes;
    struct effect *effects;
    uint32_t *edges, *dependences;
    struct pc_call *calls;
    uint32_t *call_nodes; /* first node of each call */
    uint32_t node_count, node_room;
    uint32_t effect_count, effect_room;
    uint32_t edge_count, edge_room;
    uint32_t dependence_count, dependence_room;
    bool leaps; /* set by the disk; dependences are kept and used only then */
    uint32_t call_count, call_room, call_node_room;
    uint32_t first_unordered; /* the first call that is PC_CALL_UNORDERED; NEVER: none */
    bool drops_older;         /* some call dropped what an earlier one had written */
    uint32_t last_journal;    /* newest N or T */
    uint64_t hash;
    bool hashless;   /* nobody will ask for it */
    uint32_t *stack; /* scratch of log_force */
    uint32_t stack_room;
};

/* How many effects, edges and dependences a node has. */
static inline uint32_t log_effects(const struct log *log, uint32_t node)
{
    return (node + 1 < log->node_count ? log->nodes[node + 1].first_effect : log->effect_count) -
           log->nodes[node].first_effect;
}

static inline uint32_t log_edges(const struct log *log, uint32_t node)
{
    return (node + 1 < log->node_count ? log->nodes[node + 1].first_edge : log->edge_count) -
           log->nodes[node].first_edge;
}

static inline uint32_t log_dependences(const struct log *log, uint32_t node)
{
    return (node + 1 < log->node_count ? log->nodes[node + 1].first_dependence
                                       : log->dependence_count) -
           log->nodes[node].first_dependence;
}

/* The effect before this one on the very same place; data of another life of a block is not. */
uint32_t log_before(const struct log *log, uint32_t effect);
/* What an effect is on: the file or the entry, as it was named then. */
const char *log_path(const struct log *log, const struct effect *effect);

void log_clear(struct log *log);
void log_release(struct log *log);

uint32_t log_call(struct log *log, const struct pc_call *call);
uint32_t log_node(struct log *log);
/* Appends to the newest node. `prev`: the effect before it on the same place, or NONE. */
uint32_t log_effect(struct log *log, const struct effect *effect);
void log_add_edge(struct log *log, uint32_t before);
void log_add_dependence(struct log *log, uint32_t before);

/* The newest node needs `before` (a node, or NONE: nothing). */
static inline void log_edge(struct log *log, uint32_t before)
{
    if (before != NONE && before != log->node_count - 1)
        log_add_edge(log, before);
}

/* The newest node depends on `before`: it is forced with it. Nothing in models that do not leap. */
static inline void log_depend(struct log *log, uint32_t before)
{
    if (log->leaps && before != NONE && before != log->node_count - 1)
        log_add_dependence(log, before);
}

/* Call `at` forces `node` and all that it needs (in models that leap: depends on); with
 * `waive_data` not the data among it. */
void log_force(struct log *log, uint32_t node, uint32_t at, bool waive_data);
/* Content that a call brings, for the hash of the log. */
void log_content(struct log *log, const void *data, size_t len);
/* The page of a data effect was dropped by the failed sync `at`. */
void log_void(struct log *log, uint32_t effect, uint32_t at);
void log_mix(struct log *log, uint64_t value);

#endif
