/* exec_tree.c: see exec_tree.h. */
#define _GNU_SOURCE
#include "exec_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/rng.h"

struct exec_blob {
    uint64_t hash;
    uint8_t *data;
    size_t size;
};

void exec_trees_init(struct exec_trees *trees)
{
    *trees = (struct exec_trees){0};
}

void exec_trees_release(struct exec_trees *trees)
{
    for (size_t t = 0; t < trees->count; t++) {
        for (size_t i = 0; i < trees->trees[t].count; i++)
            free((char *)trees->trees[t].entries[i].path);
        free(trees->trees[t].entries);
    }
    for (size_t i = 0; i < trees->blob_count; i++)
        free(trees->blobs[i].data);
    free(trees->trees);
    free(trees->slots);
    free(trees->blobs);
    *trees = (struct exec_trees){0};
}

/* ---- content, kept once ---- */

static size_t blob_find(const struct exec_trees *trees, uint64_t hash)
{
    size_t low = 0, high = trees->blob_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (trees->blobs[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const uint8_t *keep(struct exec_trees *trees, const uint8_t *data, size_t size)
{
    uint64_t hash = XXH3_64bits_withSeed(data, size, size);
    size_t at = blob_find(trees, hash);
    struct exec_blob *blob;

    for (; at < trees->blob_count && trees->blobs[at].hash == hash; at++)
        if (trees->blobs[at].size == size && memcmp(trees->blobs[at].data, data, size) == 0)
            return trees->blobs[at].data;
    if (trees->blob_count == trees->blob_room) {
        trees->blob_room = trees->blob_room ? 2 * trees->blob_room : 64;
        trees->blobs = realloc(trees->blobs, trees->blob_room * sizeof *trees->blobs);
        must(trees->blobs != NULL);
    }
    blob = &trees->blobs[at];
    memmove(blob + 1, blob, (trees->blob_count++ - at) * sizeof *blob);
    *blob = (struct exec_blob){hash, malloc(size + 1), size};
    must(blob->data != NULL);
    memcpy(blob->data, data, size);
    return blob->data;
}

/* ---- taking a tree ---- */

struct taking {
    struct exec_trees *trees;
    const struct pc_recording *recording;
    const struct pc_replay *replay;
    struct exec_tree tree;
    size_t room;
};

static void add_entry(struct taking *taking, const char *path, enum exec_kind kind, uint32_t file,
                      const uint8_t *data, size_t size)
{
    struct exec_tree *tree = &taking->tree;
    struct exec_entry *entry;

    if (tree->count == taking->room) {
        taking->room = taking->room ? 2 * taking->room : 32;
        tree->entries = realloc(tree->entries, taking->room * sizeof *tree->entries);
        must(tree->entries != NULL);
    }
    entry = &tree->entries[tree->count++];
    *entry = (struct exec_entry){.path = strdup(path), .kind = kind, .file = file, .size = size};
    must(entry->path != NULL);
    entry->data = keep(taking->trees, size ? data : (const uint8_t *)"", size);
    entry->hash = rng_mix(XXH3_64bits(entry->data, size) ^ (uint64_t)kind);
    tree->hash = rng_mix(tree->hash ^ XXH3_64bits(path, strlen(path)));
    tree->hash = rng_mix(tree->hash ^ entry->hash);
}

static void take_entry(void *ctx, const struct pc_entry *entry)
{
    struct taking *taking = ctx;
    uint32_t file = pc_replay_file(taking->replay, entry->number);
    const char *target = NULL;

    if (!entry->is_dir && entry->size == 0 && file)
        target = pc_recording_symlink(taking->recording, file);
    if (target)
        add_entry(taking, entry->path, EXEC_SYMLINK, file, (const uint8_t *)target, strlen(target));
    else
        add_entry(taking, entry->path, entry->is_dir ? EXEC_DIRECTORY : EXEC_FILE, file,
                  entry->data, entry->size);
}

static void put_slot(struct exec_trees *trees, uint32_t tree)
{
    size_t at = trees->trees[tree].hash % trees->slot_count;

    while (trees->slots[at])
        at = (at + 1) % trees->slot_count;
    trees->slots[at] = tree + 1;
}

static void grow_slots(struct exec_trees *trees)
{
    free(trees->slots);
    trees->slot_count = trees->slot_count ? 2 * trees->slot_count : 256;
    trees->slots = calloc(trees->slot_count, sizeof *trees->slots);
    must(trees->slots != NULL);
    for (uint32_t i = 0; i < trees->count; i++)
        put_slot(trees, i);
}

static bool same_tree(const struct exec_tree *a, const struct exec_tree *b)
{
    bool same = a->hash == b->hash && a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->entries[i].path, b->entries[i].path) == 0 &&
               a->entries[i].kind == b->entries[i].kind && a->entries[i].data == b->entries[i].data;
    return same;
}

/* Takes over `tree`, or drops it when there is one like it. */
static uint32_t settle(struct exec_trees *trees, struct exec_tree *tree)
{
    if (2 * (trees->count + 1) > trees->slot_count)
        grow_slots(trees);
    for (size_t at = tree->hash % trees->slot_count; trees->slots[at];
         at = (at + 1) % trees->slot_count) {
        uint32_t other = trees->slots[at] - 1;

        if (!same_tree(&trees->trees[other], tree))
            continue;
        for (size_t i = 0; i < tree->count; i++)
            free((char *)tree->entries[i].path);
        free(tree->entries);
        return other;
    }
    if (trees->count == trees->room) {
        trees->room = trees->room ? 2 * trees->room : 64;
        trees->trees = realloc(trees->trees, trees->room * sizeof *trees->trees);
        must(trees->trees != NULL);
    }
    trees->trees[trees->count++] = *tree;
    put_slot(trees, (uint32_t)trees->count - 1);
    return (uint32_t)trees->count - 1;
}

uint32_t exec_trees_take(struct exec_trees *trees, const struct pc_recording *recording,
                         const struct pc_replay *replay, struct pc_disk *disk)
{
    struct taking taking = {trees, recording, replay, {0}, 0};

    pc_disk_walk(disk, take_entry, &taking);
    return settle(trees, &taking.tree);
}

uint32_t exec_trees_emptied(struct exec_trees *trees, uint32_t tree)
{
    struct taking taking = {trees, NULL, NULL, {0}, 0};

    for (size_t i = 0; i < trees->trees[tree].count; i++) {
        const struct exec_entry entry = trees->trees[tree].entries[i];

        add_entry(&taking, entry.path, entry.kind, entry.file, entry.data,
                  entry.kind == EXEC_FILE ? 0 : entry.size);
    }
    return settle(trees, &taking.tree);
}

const struct exec_tree *exec_trees_at(const struct exec_trees *trees, uint32_t tree)
{
    must(tree < trees->count);
    return &trees->trees[tree];
}

const struct exec_entry *exec_tree_find(const struct exec_tree *tree, const char *path)
{
    for (size_t i = 0; i < tree->count; i++)
        if (strcmp(tree->entries[i].path, path) == 0)
            return &tree->entries[i];
    return NULL;
}

/* ---- real directories ---- */

static bool write_file(const char *path, const struct exec_entry *entry, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t done = 0;
    bool good = fd >= 0;

    while (good && done < entry->size) {
        ssize_t put = write(fd, entry->data + done, entry->size - done);

        good = put > 0;
        done += good ? (size_t)put : 0;
    }
    good = good && fchmod(fd, (mode_t)mode) == 0;
    if (fd >= 0 && close(fd))
        good = false;
    return good;
}

/* Another name of a file that was written already; NULL: none. */
static const char *first_name(const struct exec_tree *tree, size_t index)
{
    const struct exec_entry *entry = &tree->entries[index];

    for (size_t i = 0; entry->file && i < index; i++)
        if (tree->entries[i].kind == EXEC_FILE && tree->entries[i].file == entry->file)
            return tree->entries[i].path;
    return NULL;
}

bool exec_tree_write(const struct exec_tree *tree, const struct pc_recording *recording,
                     size_t record, const char *directory)
{
    char path[2 * PATH_MAX], other[2 * PATH_MAX];
    bool good = mkdir(directory, 0777) == 0;

    for (size_t i = 0; good && i < tree->count; i++) {
        const struct exec_entry *entry = &tree->entries[i];
        unsigned mode = entry->file ? pc_recording_mode(recording, entry->file, record) : 0644;
        const char *first = entry->kind == EXEC_FILE ? first_name(tree, i) : NULL;

        snprintf(path, sizeof path, "%s/%s", directory, entry->path);
        if (entry->kind == EXEC_DIRECTORY) {
            good = mkdir(path, 0777) == 0;
        } else if (entry->kind == EXEC_SYMLINK) {
            good = symlink((const char *)entry->data, path) == 0;
        } else if (first) {
            snprintf(other, sizeof other, "%s/%s", directory, first);
            good = link(other, path) == 0;
        } else {
            good = write_file(path, entry, mode);
        }
    }
    return good;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)where;
    return type == FTW_DP ? rmdir(path) : unlink(path);
}

bool exec_tree_remove(const char *directory)
{
    struct stat st;

    if (lstat(directory, &st) && errno == ENOENT)
        return true;
    return nftw(directory, remove_one, 32, FTW_DEPTH | FTW_PHYS) == 0;
}

/* ---- differences ---- */

static bool all_zero(const struct exec_entry *entry)
{
    for (size_t i = 0; i < entry->size; i++)
        if (entry->data[i])
            return false;
    return entry->size > 0;
}

static void tell_change(const struct exec_entry *was, const struct exec_entry *now,
                        const char *was_name, FILE *out)
{
    size_t from = 0;

    if (now == NULL) {
        fprintf(out, "    %s is missing\n", was->path);
        return;
    }
    if (was == NULL) {
        fprintf(out, "    %s is there (%zu bytes), and was not %s\n", now->path, now->size,
                was_name);
        return;
    }
    while (from < was->size && from < now->size && was->data[from] == now->data[from])
        from++;
    if (now->size == 0)
        fprintf(out, "    %s is empty; it had %zu bytes %s\n", now->path, was->size, was_name);
    else if (all_zero(now))
        fprintf(out, "    %s is %zu zero bytes\n", now->path, now->size);
    else
        fprintf(out, "    %s has %zu bytes and differs from byte %zu on; it had %zu %s\n",
                now->path, now->size, from, was->size, was_name);
}

void exec_tree_compare(const struct exec_tree *was, const struct exec_tree *now,
                       const char *was_name, unsigned limit, FILE *out)
{
    unsigned told = 0, more = 0;

    for (size_t i = 0; i < was->count + now->count; i++) {
        bool old = i < was->count;
        const struct exec_entry *entry = old ? &was->entries[i] : &now->entries[i - was->count];
        const struct exec_entry *other = exec_tree_find(old ? now : was, entry->path);

        if ((!old && other) || (other && other->hash == entry->hash))
            continue;
        if (told++ < limit)
            tell_change(old ? entry : NULL, old ? other : entry, was_name, out);
        else
            more++;
    }
    if (more)
        fprintf(out, "    and %u more\n", more);
}
