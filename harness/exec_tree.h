/* exec_tree.h: trees of files as `powercut exec` handles them: taken from a simulated disk, kept
 * once however often they occur, compared, and written out to a real directory.
 *
 * Ownership: a store owns its trees, and all they point to, until it is released. Running out of
 * memory aborts. Thread safety: none. */
#ifndef HARNESS_EXEC_TREE_H
#define HARNESS_EXEC_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"
#include "powercut/recording.h"

enum exec_kind { EXEC_DIRECTORY, EXEC_FILE, EXEC_SYMLINK };

struct exec_entry {
    const char *path;
    enum exec_kind kind;
    uint32_t file;       /* its number in the recording; 0: none */
    const uint8_t *data; /* content; of a symbolic link where it points */
    size_t size;
    uint64_t hash; /* of kind and data */
};

struct exec_tree {
    struct exec_entry *entries; /* sorted by path, a directory before what is in it */
    size_t count;
    uint64_t hash;
};

struct exec_trees {
    struct exec_tree *trees;
    size_t count, room;
    uint32_t *slots; /* trees by hash; index + 1 */
    size_t slot_count;
    struct exec_blob *blobs;
    size_t blob_count, blob_room;
};

void exec_trees_init(struct exec_trees *trees);
void exec_trees_release(struct exec_trees *trees);
/* What is on `disk`, which is the disk of the replay or was booted on an image of it. The index of
 * the tree in the store. */
uint32_t exec_trees_take(struct exec_trees *trees, const struct pc_recording *recording,
                         const struct pc_replay *replay, struct pc_disk *disk);
/* A damaged copy: every file empty. */
uint32_t exec_trees_emptied(struct exec_trees *trees, uint32_t tree);
const struct exec_tree *exec_trees_at(const struct exec_trees *trees, uint32_t tree);
/* NULL: nothing of that path. */
const struct exec_entry *exec_tree_find(const struct exec_tree *tree, const char *path);

/* Writes the tree to `directory`, which is made. Permissions are those after `record` records.
 * False: errno says why. */
MUST_USE bool exec_tree_write(const struct exec_tree *tree, const struct pc_recording *recording,
                              size_t record, const char *directory);
/* Removes a directory with all that is in it; that there is none is no error. */
bool exec_tree_remove(const char *directory);
/* One line per difference between two trees, at most `limit`. */
void exec_tree_compare(const struct exec_tree *was, const struct exec_tree *now,
                       const char *was_name, unsigned limit, FILE *out);

#endif
