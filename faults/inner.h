/* inner.h (private): a disk from within. content.c changes content, names.c names, image.c answers
 * what a power cut left, count.c counts the legal sets, tree.c keeps what is durable for good.
 *
 * Inodes have numbers that stay the same from a disk to its images and to disks booted on them. */
#ifndef FAULTS_INNER_H
#define FAULTS_INNER_H

#include "log.h"

/* ---- what is durable beneath a disk: a plain tree ---- */

struct tree_name {
    const char *name;
    uint32_t len, ino;
};

struct tree_inode {
    bool exists;
    enum disk_kind kind;
    uint32_t parent;
    uint64_t size;
    uint32_t unit_count;
    const struct block **units; /* NULL: nothing there (a hole, or undefined) */
    uint8_t *mapped;            /* one per allocation block */
    uint32_t block_count;
    struct tree_name *names;
    uint32_t name_count;
    const char *path;
    const char *target; /* of a symbolic link */
};

struct tree {
    struct arena arena;
    struct tree_inode *inodes; /* by number */
    uint32_t count;
};

void tree_init_empty(struct tree *tree);
void tree_release(struct tree *tree);
const struct tree_inode *tree_inode(const struct tree *tree, uint32_t ino); /* NULL: none */
uint32_t tree_find(const struct tree_inode *dir, const char *name, size_t len);

/* ---- the volatile view ---- */

struct unit {
    const struct block *content; /* NULL: nothing there */
    bool loaded;
    bool bad;      /* cannot be written */
    uint32_t last; /* newest data effect here */
};

struct place { /* an allocation block of a file */
    bool mapped, loaded;
    uint32_t incarnation; /* of the mapping; 0: the base's */
    uint32_t last;        /* newest map effect here */
};

struct entry {
    const char *name;
    uint32_t len;
    uint32_t ino;  /* 0: no such name now */
    uint32_t last; /* newest name effect here */
};

enum pend {
    PEND_CONTENT,
    PEND_ENTRY /* a name in this directory */,
    PEND_NAME /* of this inode */
};

/* Micro-ops that no sync has forced yet: `count` nodes that follow each other. */
struct pending {
    uint32_t node, count;
    enum pend what;
};

struct inode {
    uint32_t ino;
    enum disk_kind kind;
    uint32_t links, holds, parent;
    const char *path;
    const char *target; /* of a symbolic link */
    uint64_t size;
    bool size_loaded, listed, named;
    struct unit *units;
    uint32_t unit_room;
    struct place *places;
    uint32_t place_room;
    uint32_t incarnations;
    uint32_t last_size;  /* newest size or truncate effect */
    uint32_t last_order; /* newest truncate effect */
    uint32_t last_cut;   /* newest node that truncated or punched */
    uint32_t created;    /* the node that created it; NONE: it was there below */
    uint32_t last_named; /* newest node that gave or took a name of it */
    uint32_t last_entry; /* directories: newest node with an entry here */
    uint32_t errors;     /* writing back that failed, so far; see writeback.c */
    bool error_told;     /* somebody was told of the newest */
    int error;           /* it: an errno */
    uint32_t synced_at;  /* directories: the first call that synced it itself */
    uint32_t *moves;     /* directories: the nodes that created or moved it */
    uint32_t move_count, move_room;
    struct entry *entries;
    uint32_t entry_count, entry_room;
    struct pending *pending;
    uint32_t pending_count, pending_room;
};

/* A unit of a file that reads wrong. */
struct damage {
    enum pc_fault_kind kind;
    uint32_t ino, unit;
    uint32_t at;                 /* the byte of a bit that is wrong, in the unit */
    uint8_t mask;                /* and the bit */
    const struct block *content; /* of the other kinds: what the unit reads as; NULL: zeros */
};

#define DAMAGE_MAX 8u

struct pc_disk {
    struct pc_disk_config config;
    const struct model_rules *rules;
    uint8_t unit_shift, block_shift; /* their binary logarithms */
    struct arena arena;              /* lives until the next boot */
    struct log log;
    struct inode **inodes; /* by number; NULL: not looked at yet */
    uint32_t inode_room, inode_count;
    struct tree *base;      /* durable beneath; NULL while booted on an unsettled image */
    struct pc_image *image; /* what it was booted on; NULL once settled */
    struct pc_fault *faults[16];
    uint32_t fault_count;
    struct damage damages[DAMAGE_MAX];
    uint32_t damage_count;
    uint64_t mark, steps, step_limit;
    uint32_t insert_at, insert_sync; /* the sync that pc_disk_insert_sync asked for; NEVER: none */
    uint32_t defer_at, defer_until;  /* what pc_disk_defer_unlink asked for; NEVER: nothing */
    struct deferred {                /* unlinks that wait */
        const char *name;
        uint32_t dir, len;
    } deferred[8];
    uint32_t deferred_count;
    void (*step_exceeded)(void *);
    void *step_ctx;
    int64_t taken;      /* blocks since there is an account (space.c) */
    bool accounted;     /* some rule is an account */
    bool read_only;     /* the journal could not be written */
    bool has_bad;       /* some unit cannot be written */
    bool hard_links;    /* some inode may have several names */
    bool links_counted; /* since boot; until then `links` of what was there is not known */
    bool lazy;          /* reads decide nothing, uses do */
    struct lazy *sources;
    uint64_t looks; /* a hash of what was looked at since boot */
    uint8_t scratch[16384];
};

/* The unit, and the block, in which a byte of a file lies. Both sizes are powers of two. */
static inline uint32_t unit_at(const struct pc_disk *disk, uint64_t offset)
{
    return (uint32_t)(offset >> disk->unit_shift);
}

static inline uint32_t block_at(const struct pc_disk *disk, uint64_t offset)
{
    return (uint32_t)(offset >> disk->block_shift);
}

struct inode *disk_inode(struct pc_disk *disk, uint32_t ino); /* loads; never NULL */
/* A unit; its slot, without looking at its content; the block of a file. What a write asks for is
 * mostly there already. */
struct unit *disk_unit_loaded(struct pc_disk *disk, struct inode *inode, uint32_t index);
struct unit *disk_unit_room(struct pc_disk *disk, struct inode *inode, uint32_t index);
struct place *disk_place_loaded(struct pc_disk *disk, struct inode *inode, uint32_t index);

static inline struct unit *disk_unit(struct pc_disk *disk, struct inode *inode, uint32_t index)
{
    return index < inode->unit_room && inode->units[index].loaded
               ? &inode->units[index]
               : disk_unit_loaded(disk, inode, index);
}

static inline struct unit *disk_unit_slot(struct pc_disk *disk, struct inode *inode, uint32_t index)
{
    return index < inode->unit_room ? &inode->units[index] : disk_unit_room(disk, inode, index);
}

static inline struct place *disk_place_of(struct pc_disk *disk, struct inode *inode, uint32_t index)
{
    return index < inode->place_room && inode->places[index].loaded
               ? &inode->places[index]
               : disk_place_loaded(disk, inode, index);
}

/* Was the inode there before the log began? */
uint64_t disk_size_below(struct pc_disk *disk, const struct inode *inode); /* its size then */
bool disk_exists_below(const struct pc_disk *disk, const struct inode *inode);
/* O_DSYNC: the units of a range, what maps them, and the size by which the file came to cover
 * it. */
void disk_force_range(struct pc_disk *disk, struct inode *inode, uint64_t offset, size_t len,
                      uint32_t call);
void disk_load_size(struct pc_disk *disk, struct inode *inode);
struct entry *disk_entry(struct pc_disk *disk, struct inode *dir, const char *name, size_t len);
void disk_load_names(struct pc_disk *disk, struct inode *dir);
void disk_count_links(struct pc_disk *disk);
struct inode *disk_new_inode(struct pc_disk *disk, enum disk_kind kind, uint32_t parent,
                             const char *path);
const char *disk_join(struct pc_disk *disk, const struct inode *dir, const char *name, size_t len);
extern const struct block destroyed_unit; /* the content of a unit that is undefined */
const struct block *disk_block(struct pc_disk *disk, const uint8_t *data, uint32_t len);

/* Asks the fault rules for a call that is about to happen: the rule that fires, or NULL. */
struct pc_fault *fault_ask(struct pc_disk *disk, const struct pc_call *call);
int fault_error(const struct pc_fault *fault); /* -EIO and so on */
/* Is the call one of those that the rule is about? */
bool fault_in_place(const struct pc_fault *rule, const struct pc_call *call);

/* space.c: accounts of free space. Asks for what a file grows by in a call, until it ends at
 * `size`: 0, or -errno, and the failed call is in the log. A write may be short (call->done). */
int space_grow(struct pc_disk *disk, struct inode *inode, struct pc_call *call, uint64_t size);
/* The size is another one now; or nothing leads to the file any more, if that is so. */
void space_resized(struct pc_disk *disk, uint64_t from, uint64_t to);
void space_dropped(struct pc_disk *disk, struct inode *inode);
/* The account that a sync finds overdrawn, which writes delayed; or NULL. */
struct pc_fault *space_late(struct pc_disk *disk, const struct inode *inode,
                            const struct pc_call *call);

uint32_t disk_call(struct pc_disk *disk, const struct pc_call *call);

/* Names: begins a node; adds to the newest that `entry` of `dir` points to `ino` from now on (0: is
 * gone), where `named` is the inode whose name it is or was; adds that `victim` lost a name. */
void names_begin(struct pc_disk *disk);
void names_entry(struct pc_disk *disk, struct inode *dir, struct entry *entry, uint32_t ino,
                 struct inode *named);
void names_victim(struct pc_disk *disk, struct inode *victim);

#define FILE_SIZE_MAX ((uint64_t)1 << 30)

/* writeback.c: writing back failed in a sync call `call`. The dirty pages of [from, to) are gone,
 * with `sticky` for good; in btrfs all that the file has not committed. The error is kept. */
void writeback_failed(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to,
                      uint32_t call, const struct pc_fault *fault);
/* The same in the background, at no sync. */
void writeback_lost(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to,
                    uint32_t call);
/* Has a unit that cannot be written to be written now? */
bool writeback_is_bad(struct pc_disk *disk, const struct inode *inode, uint64_t from, uint64_t to);
/* What is to be told to a description that knows of the first `*seen` errors; then it knows all.
 * 0, or -errno. `seen` NULL: nobody who remembers. */
int writeback_tell(struct inode *inode, uint32_t *seen);

/* damage.c: damage that a read, or the unit of a write, meets; `before`: what the unit held. */
void damage_read(struct pc_disk *disk, struct inode *inode, uint64_t offset, size_t len,
                 const struct pc_fault *fault);
void damage_write(struct pc_disk *disk, struct inode *inode, uint32_t unit,
                  const struct block *before, enum pc_fault_kind kind);
bool damage_unreadable(const struct pc_disk *disk, const struct inode *inode, uint64_t offset,
                       size_t len);
void damage_show(struct pc_disk *disk, const struct inode *inode, uint64_t offset, uint8_t *out,
                 size_t len);
/* A unit is written: what was wrong in it is gone. */
void damage_written(struct pc_disk *disk, const struct inode *inode, uint32_t unit);

/* Micro-ops. Each begins a node when `new_node`, else adds to the newest. */
void crack_begin(struct pc_disk *disk, bool new_node);
void crack_truncate(struct pc_disk *disk, struct inode *inode, uint64_t size, bool new_node);
/* C10: [from, to) reads as zeros. Answers whether the next micro-op of the call begins a node. */
bool crack_punch(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to);
/* The size alone, and of the durable file alone: the running program still sees its content. */
void crack_vanish(struct pc_disk *disk, struct inode *inode);
/* D. The node of it, or NONE where nothing had to be written (C6). */
uint32_t crack_data(struct pc_disk *disk, struct inode *inode, uint32_t index, const uint8_t *data,
                    uint32_t len, bool new_node);
/* All that a write becomes. */
void crack_write(struct pc_disk *disk, struct inode *inode, uint64_t offset, const void *data,
                 size_t len);
/* C5: explicit zeros in [from, to), which lies beyond the size; the unit of `to` is left to the
 * caller unless `whole`. Adds to the newest node in steps models once there is one. */
bool crack_zeros(struct pc_disk *disk, struct inode *inode, uint64_t from, uint64_t to, bool whole,
                 bool new_node);
/* The unit as it reads now, zeros where nothing is; answers how many bytes are defined. */
uint32_t crack_unit_bytes(struct pc_disk *disk, struct inode *inode, uint32_t index, uint8_t *out);
uint32_t crack_effect_node(const struct pc_disk *disk, uint32_t effect); /* NONE of NONE */
/* A node is not forced yet; the newest. */
void disk_pend_node(struct pc_disk *disk, struct inode *inode, uint32_t node, enum pend what);
static inline void disk_pend(struct pc_disk *disk, struct inode *inode, enum pend what)
{
    uint32_t node = disk->log.node_count - 1;
    struct pending *last = inode->pending + inode->pending_count;

    if (inode->pending_count && last[-1].what == what && node == last[-1].node + last[-1].count)
        last[-1].count++;
    else
        disk_pend_node(disk, inode, node, what);
}

/* The answer of a fault to a call that either happens or not; 0: it happens. */
int disk_refused(struct pc_disk *disk, struct pc_call *call);

/* ---- images ---- */

struct pc_image {
    struct pc_disk *disk;
    uint32_t k;          /* what calls before this one forced and dropped counts */
    uint32_t node_count; /* of the log: what is issued; at k, or after call k when inside it */
    uint32_t lie;        /* newest call before k that was PC_CALL_UNORDERED; NONE: none */
    uint32_t *items;     /* node of each item */
    uint32_t item_count;
    uint32_t *item_of; /* item of each node, or NONE */
    uint8_t *initial;  /* state of each node before any question */
    uint8_t *state;
    uint64_t changes;             /* never the same again once a state has changed */
    uint32_t *before, *before_at; /* edges among items, both ways; [i] to [i+1] */
    uint32_t *after, *after_at;
    uint32_t *queue;
    struct leap *leap; /* instead of the edges, where legal sets are no lattice; else NULL */
    const struct pc_chooser *chooser;
    enum pc_fill fill;
    bool undefined_seen;
    bool measured; /* from the pole in which the first `pole` items are kept */
    uint32_t pole;
    uint32_t size_ino; /* the inode whose size was asked last; 0: none */
    uint64_t size;
    uint32_t *alternatives, *alternative_effects, *costs;
    uint32_t alternative_room;
    uint32_t *literals; /* of the clauses: item << 1 | kept */
    uint32_t literal_count, literal_room;
    struct clause *clauses; /* each: not all of its literals are true (clause.c) */
    uint32_t clause_count, clause_room;
    uint32_t *marks, mark; /* per item, of image_needs */
    uint8_t *saved;        /* a stack of states */
    size_t saved_used, saved_room;
    bool gave_up;            /* a search for a set that keeps the clauses was too long */
    uint32_t assumed;        /* checks that were said to fail since pc_image_begin */
    struct counter *counter; /* made when first asked to count */
};

void counter_free(struct counter *counter);

/* I4: must what comes after this node in the order still wait for it? */
static inline bool image_orders(const struct pc_image *image, uint32_t before)
{
    return image->lie == NONE || image->disk->log.nodes[before].call > image->lie;
}

/* leap.c: legal sets that are closed under union only. Makes image->leap once nodes, items and
 * initial states are there, and marks what no legal set has as lost. */
void leap_new(struct pc_image *image);
void leap_free(struct leap *leap);
/* Loses an open item, and with it all that no legal set without it has. False, and nothing is
 * changed: every legal set that agrees with what is decided has it. */
bool leap_lose(struct pc_image *image, uint32_t item);
/* Could it be lost? Changes nothing. */
bool leap_may_lose(struct pc_image *image, uint32_t item);
/* Of the n alternatives (see struct pc_choice, and the effect that each means) keeps those that are
 * possible; answers how many. */
uint32_t leap_possible(struct pc_image *image, uint32_t *alternatives, uint32_t *effects,
                       uint32_t n);

/* The effects on a place, newest first: `first` and its chain, and merged with it the chain of
 * `second` (truncations that reach the place). */
struct chains {
    uint32_t first, second;
    uint64_t limit;       /* of the second chain only sizes up to this count, */
    uint32_t since;       /* and only what is newer than this effect */
    uint32_t incarnation; /* of the first chain only this one counts, unless ANY */
};

#define ANY UINT32_MAX

/* The open effects on a place, newest first, into image->alternatives; *last: what lies beneath
 * them. Answers how many. */
uint32_t image_gather(struct pc_image *image, struct chains walk, uint32_t *last);
/* The costs of the n alternatives (see struct pc_choice) into `costs`; NULL: nobody measures. */
const uint32_t *image_costs(const struct pc_image *image, const uint32_t *items, uint32_t n,
                            uint32_t *costs);
/* Loses the alternatives before `chosen` and keeps that one. */
void image_decide(struct pc_image *image, size_t chosen);

/* How the block of a unit is mapped. */
struct mapped {
    uint32_t incarnation, since; /* see image.c, mapping() */
    bool hole;
};

bool image_map_walk(const struct pc_image *image, uint32_t ino, uint32_t index,
                    struct chains *walk);
struct mapped image_mapped_by(const struct pc_image *image, uint32_t ino, uint32_t index,
                              uint32_t e);
struct chains image_unit_walk(const struct pc_image *image, uint32_t ino, uint32_t index,
                              const struct mapped *mapped);
/* The unit as it reads when `e` is the newest durable effect on it. */
const struct block *image_unit_content(struct pc_image *image, uint32_t ino, uint32_t index,
                                       const struct mapped *mapped, uint32_t e,
                                       struct arena *arena);

/* ---- clause.c: "not all of these" ---- */

/* A literal says that an item is kept, or lost. A clause says that not all of its literals are
 * true. What is decided never breaks a clause, and can always be completed without breaking one. */
struct clause {
    uint32_t first, count;
};

#define LITERAL(item, kept) ((item) << 1 | (uint32_t)(kept))

void clauses_free(struct pc_image *image);
void clause_add(struct pc_image *image, const uint32_t *literals, uint32_t count);
/* Makes the literals true. False: they contradict what is decided; some of them may be true now. */
bool literals_set(struct pc_image *image, const uint32_t *literals, uint32_t count);
/* Can what is decided be completed without breaking a clause? With literals: when these are true,
 * too. Changes nothing. */
bool clauses_possible(struct pc_image *image, const uint32_t *literals, uint32_t count);
/* How many of the literals are false in the pole that the image is measured from. */
uint32_t literals_cost(const struct pc_image *image, const uint32_t *literals, uint32_t count);
/* Must `item` be kept when `other` is? */
bool image_needs(struct pc_image *image, uint32_t other, uint32_t item);
/* As pick(), where clauses are: n alternatives were gathered. */
uint32_t clauses_pick(struct pc_image *image, uint32_t n);
/* Keeps the states on a stack, to go back to. */
void image_save(struct pc_image *image);
void image_restore(struct pc_image *image);

/* ---- candidate.c: what a unit may read as ---- */

/* One content of a unit and what must be true for it. Newest first. */
struct version {
    const struct block *content;       /* NULL: zeros */
    bool undefined;                    /* bytes of it are undefined */
    bool merges;                       /* it needs the next version: see version_run */
    uint32_t moment;                   /* newest call that made it, plus one; 0: it lay beneath */
    uint32_t map_first, map_count;     /* literals about the mapping */
    uint32_t newer_first, newer_count; /* literals: newer versions are lost */
    uint32_t item;                     /* it is kept; NONE: nothing needs to be */
};

struct versions {
    struct version *list;
    uint32_t count, room;
    uint32_t *literals;
    uint32_t literal_count, literal_room;
};

/* Adds the versions of a unit that what is decided so far allows, newest first. The size of the
 * file is decided. */
void versions_add(struct pc_image *image, uint32_t ino, uint32_t index, struct arena *arena,
                  struct versions *out);
/* The literals for "one of the versions first..last", which merge. At most count of both + 1. */
uint32_t version_run(const struct versions *versions, uint32_t first, uint32_t last,
                     uint32_t *literals);
void versions_free(struct versions *versions);

/* ---- lazy.c: reads that decide nothing ---- */

/* What a unit that is not loaded reads as until somebody uses its bytes; NULL: zeros. Remembers
 * that `len` bytes of it from `within` on were copied to `at`. */
const struct block *lazy_read(struct pc_disk *disk, struct inode *inode, uint32_t index,
                              const uint8_t *at, uint32_t within, uint32_t len);
/* What was known of these addresses is void. */
void lazy_forget(struct pc_disk *disk, const uint8_t *at, size_t len);
void lazy_free(struct pc_disk *disk);

enum { NODE_OPEN = PC_ITEM_OPEN, NODE_IN = PC_ITEM_KEPT, NODE_OUT = PC_ITEM_LOST };

uint32_t image_name(struct pc_image *image, uint32_t dir, const char *name, size_t len);
uint64_t image_size(struct pc_image *image, uint32_t ino);
/* The unit as it reads, as far as it is defined beneath `size`; NULL: it reads as zeros. */
const struct block *image_unit(struct pc_image *image, uint32_t ino, uint32_t index,
                               struct arena *arena);
bool image_mapped(struct pc_image *image, uint32_t ino, uint32_t place);
/* Calls `name` for each durable name of a directory. */
void image_names(struct pc_image *image, uint32_t dir,
                 void (*visit)(void *ctx, const char *name, size_t len, uint32_t ino), void *ctx);
enum disk_kind image_kind(struct pc_image *image, uint32_t ino);
const char *image_path(struct pc_image *image, uint32_t ino);
const char *image_target(struct pc_image *image, uint32_t ino);

#endif
