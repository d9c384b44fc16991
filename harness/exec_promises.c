/* exec_promises.c: see exec_promises.h. The versions are taken from what the disk holds after each
 * call, under the model in which nothing is ever lost. */
#include "exec_promises.h"

#include <stdlib.h>
#include <string.h>

#define ABSENT 0u

struct version {
    uint64_t hash; /* ABSENT: nothing of that path */
    size_t size;
    size_t boundary; /* it was so after that many calls */
};

struct floor {
    size_t boundary;
    size_t version;
};

struct path {
    const char *name; /* borrowed from a tree */
    struct version *versions;
    size_t version_count;
    struct floor *floors;
    size_t floor_count;
};

struct exec_promises {
    struct path *paths;
    size_t count, room;
    uint32_t *after; /* the record of each call */
    uint64_t *now;   /* index of the tree after each number of calls */
    size_t calls;
    const struct exec_trees *trees;
};

static struct path *path_of(struct exec_promises *promises, const char *name)
{
    for (size_t i = 0; i < promises->count; i++)
        if (strcmp(promises->paths[i].name, name) == 0)
            return &promises->paths[i];
    if (promises->count == promises->room) {
        promises->room = promises->room ? 2 * promises->room : 64;
        promises->paths = realloc(promises->paths, promises->room * sizeof *promises->paths);
        must(promises->paths != NULL);
    }
    promises->paths[promises->count] = (struct path){.name = name};
    return &promises->paths[promises->count++];
}

static uint64_t hash_of(const struct exec_entry *entry)
{
    return entry ? entry->hash | 1u : ABSENT;
}

/* What `name` is in the tree is a version, from that boundary on; with `sync` also the floor. */
static void note(struct exec_promises *promises, const char *name, const struct exec_tree *tree,
                 size_t boundary, bool sync)
{
    struct path *path = path_of(promises, name);
    const struct exec_entry *entry = exec_tree_find(tree, name);
    uint64_t hash = hash_of(entry);

    if (path->version_count == 0 || path->versions[path->version_count - 1].hash != hash) {
        path->versions =
            realloc(path->versions, (path->version_count + 1) * sizeof *path->versions);
        must(path->versions != NULL);
        path->versions[path->version_count++] =
            (struct version){hash, entry ? entry->size : 0, boundary};
    }
    if (!sync)
        return;
    path->floors = realloc(path->floors, (path->floor_count + 1) * sizeof *path->floors);
    must(path->floors != NULL);
    path->floors[path->floor_count++] = (struct floor){boundary, path->version_count - 1};
}

static void note_all(struct exec_promises *promises, const struct exec_tree *tree, size_t boundary,
                     bool sync)
{
    for (size_t i = 0; i < tree->count; i++)
        note(promises, tree->entries[i].path, tree, boundary, sync);
}

static void note_file(struct exec_promises *promises, const struct exec_tree *tree, uint32_t file,
                      size_t boundary, bool sync)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->entries[i].file == file && tree->entries[i].kind == EXEC_FILE)
            note(promises, tree->entries[i].path, tree, boundary, sync);
}

/* Every path that means another file after the call than before. */
static void note_changes(struct exec_promises *promises, const struct exec_tree *before,
                         const struct exec_tree *after, size_t boundary)
{
    for (size_t i = 0; i < before->count + after->count; i++) {
        const struct exec_entry *entry =
            i < before->count ? &before->entries[i] : &after->entries[i - before->count];
        const struct exec_entry *was = exec_tree_find(before, entry->path);
        const struct exec_entry *is = exec_tree_find(after, entry->path);

        if (was && is && was->file == is->file)
            continue;
        note(promises, entry->path, before, boundary, false);
        note(promises, entry->path, after, boundary + 1, false);
    }
}

static void note_call(struct exec_promises *promises, const struct pc_record *record, size_t call)
{
    const struct exec_tree *before = exec_trees_at(promises->trees, (uint32_t)promises->now[call]);
    const struct exec_tree *after =
        exec_trees_at(promises->trees, (uint32_t)promises->now[call + 1]);

    switch (record->kind) {
    case PC_RECORD_TRUNCATE:
        note_file(promises, before, record->file, call, false);
        break;
    case PC_RECORD_FSYNC:
    case PC_RECORD_FDATASYNC:
        note_file(promises, after, record->file, call + 1, true);
        break;
    case PC_RECORD_WRITE:
        if (record->dsync)
            note_file(promises, after, record->file, call + 1, true);
        break;
    case PC_RECORD_SYNC:
        note_all(promises, after, call + 1, true);
        break;
    case PC_RECORD_STORE:
    case PC_RECORD_ALLOCATE:
    case PC_RECORD_PUNCH:
    case PC_RECORD_ZERO_RANGE:
    case PC_RECORD_SYNC_RANGE:
    case PC_RECORD_MSYNC:
        break;
    default:
        note_changes(promises, before, after, call);
    }
}

struct exec_promises *exec_promises_new(struct exec_trees *trees,
                                        const struct pc_recording *recording,
                                        struct pc_replay *replay)
{
    struct exec_promises *promises = calloc(1, sizeof *promises);
    struct pc_disk *disk = pc_replay_disk(replay), *looker = NULL;

    must(promises != NULL);
    promises->trees = trees;
    promises->calls = pc_disk_call_count(disk);
    promises->after = calloc(promises->calls + 1, sizeof *promises->after);
    promises->now = calloc(promises->calls + 1, sizeof *promises->now);
    must(promises->after && promises->now);
    for (size_t k = 0; k <= promises->calls; k++) {
        struct pc_image *image = pc_image_new(disk, k);

        pc_image_begin(image, NULL, PC_FILL_ZERO);
        if (looker)
            pc_disk_reboot(looker, image);
        else
            looker = pc_disk_boot(image);
        promises->now[k] = exec_trees_take(trees, recording, replay, looker);
        pc_disk_settle(looker);
        pc_image_free(image);
        if (k < promises->calls)
            promises->after[k] = (uint32_t)pc_disk_call(disk, k)->mark;
    }
    pc_disk_free(looker);
    note_all(promises, exec_trees_at(trees, (uint32_t)promises->now[0]), 0, true);
    for (size_t k = 0; k < promises->calls; k++)
        note_call(promises, pc_recording_at(recording, promises->after[k]), k);
    return promises;
}

void exec_promises_free(struct exec_promises *promises)
{
    if (promises == NULL)
        return;
    for (size_t i = 0; i < promises->count; i++) {
        free(promises->paths[i].versions);
        free(promises->paths[i].floors);
    }
    free(promises->paths);
    free(promises->after);
    free(promises->now);
    free(promises);
}

/* Calls made before that record. */
static size_t calls_before(const struct exec_promises *promises, uint32_t record)
{
    size_t k = 0;

    while (k < promises->calls && promises->after[k] < record)
        k++;
    return k;
}

static char *broken(const char *format, const char *name, size_t size)
{
    size_t room = strlen(format) + strlen(name) + 40;
    char *text = malloc(room);

    must(text != NULL);
    snprintf(text, room, format, name, size);
    return text;
}

char *exec_promises_judge(const struct exec_promises *promises, const struct exec_tree *tree,
                          uint32_t record)
{
    size_t k = calls_before(promises, record);
    const struct exec_tree *now = exec_trees_at(promises->trees, (uint32_t)promises->now[k]);

    for (size_t i = 0; i < promises->count; i++) {
        const struct path *path = &promises->paths[i];
        const struct exec_entry *entry = exec_tree_find(tree, path->name);
        uint64_t hash = hash_of(entry);
        const struct floor *floor = NULL;
        bool kept = hash == hash_of(exec_tree_find(now, path->name)), older = false;

        for (size_t f = 0; f < path->floor_count; f++)
            if (path->floors[f].boundary <= k)
                floor = &path->floors[f];
        if (floor == NULL || path->versions[floor->version].hash == ABSENT)
            continue;
        for (size_t v = 0; v < path->version_count && path->versions[v].boundary <= k; v++) {
            kept = kept || (v >= floor->version && path->versions[v].hash == hash);
            older = older || (v < floor->version && path->versions[v].hash == hash);
        }
        if (kept)
            continue;
        if (entry == NULL)
            return broken("%s is gone; it was durable, with %zu bytes", path->name,
                          path->versions[floor->version].size);
        if (older)
            return broken("%s has content from before it was synced (%zu bytes)", path->name,
                          entry->size);
        return broken("%s has neither its old nor its new content (%zu bytes)", path->name,
                      entry->size);
    }
    return NULL;
}
