/* record_replay.c: plays a recording into a simulated disk.
 *
 * The names of the simulated disk follow those of the real directory record by record, so a path of
 * the log leads to the same file there as it did here. Content is addressed by file number. What
 * the kernel allowed the disk must allow; if not, the model of the recorder and the kernel
 * disagree, and the replay says where. */
#include "record_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "disk.h"
#include "exchange.h"
#include "unnamed.h"

struct pc_replay {
    const struct pc_recording *recording;
    struct pc_disk *disk;
    uint32_t *ino_of; /* by file number; 0: none */
    uint32_t file_count;
};

struct pc_disk *pc_replay_disk(struct pc_replay *replay)
{
    return replay->disk;
}

uint32_t pc_replay_file(const struct pc_replay *replay, uint32_t ino)
{
    for (uint32_t file = 1; file <= replay->file_count; file++)
        if (replay->ino_of[file] == ino)
            return file;
    return 0;
}

void pc_replay_free(struct pc_replay *replay)
{
    if (replay == NULL)
        return;
    pc_disk_free(replay->disk);
    free(replay->ino_of);
    free(replay);
}

/* ---- names ---- */

struct spot {
    uint32_t dir;
    const char *name;
    size_t len;
};

static int find(struct pc_disk *disk, const char *path, struct spot *spot)
{
    spot->dir = DISK_ROOT;
    for (;;) {
        size_t len = strcspn(path, "/");
        int err;

        if (path[len] == '\0') {
            spot->name = path;
            spot->len = len;
            return len ? 0 : -EINVAL;
        }
        err = disk_lookup(disk, spot->dir, path, len, &spot->dir);
        if (err)
            return err;
        path += len + 1;
    }
}

/* One name: create, mkdir, link, unlink, rmdir. */
static int change_name(struct pc_replay *replay, const struct pc_record *record)
{
    struct pc_disk *disk = replay->disk;
    uint32_t *ino = &replay->ino_of[record->file];
    struct spot at;
    int err = find(disk, record->path, &at);

    if (err)
        return err;
    switch (record->kind) {
    case PC_RECORD_BASE_DIRECTORY:
    case PC_RECORD_MKDIR:
        err = disk_mkdir(disk, at.dir, at.name, at.len);
        return err ? err : disk_lookup(disk, at.dir, at.name, at.len, ino);
    case PC_RECORD_BASE_LINK:
    case PC_RECORD_LINK:
        return disk_link(disk, *ino, at.dir, at.name, at.len);
    case PC_RECORD_UNLINK:
        return disk_unlink(disk, at.dir, at.name, at.len);
    case PC_RECORD_RMDIR:
        return disk_rmdir(disk, at.dir, at.name, at.len);
    default:
        return disk_create(disk, at.dir, at.name, at.len, ino);
    }
}

static int change_two(struct pc_replay *replay, const struct pc_record *record)
{
    struct pc_disk *disk = replay->disk;
    struct spot from, to;
    int err = find(disk, record->path, &from);

    err = err ? err : find(disk, record->to, &to);
    if (err)
        return err;
    if (record->kind == PC_RECORD_EXCHANGE)
        return disk_exchange(disk, from.dir, from.name, from.len, to.dir, to.name, to.len);
    return disk_rename(disk, from.dir, from.name, from.len, to.dir, to.name, to.len);
}

/* ---- records ---- */

static int write_all(struct pc_disk *disk, uint32_t ino, const struct pc_record *record)
{
    ssize_t put = disk_write(disk, ino, record->offset, record->data, record->size, record->dsync);

    return put < 0 ? (int)put : (size_t)put == record->size ? 0 : -EIO;
}

static int base_file(struct pc_replay *replay, const struct pc_record *record)
{
    int err = change_name(replay, record);

    if (err || record->size == 0)
        return err;
    return write_all(replay->disk, replay->ino_of[record->file], record);
}

static int play(struct pc_replay *replay, const struct pc_record *record)
{
    struct pc_disk *disk = replay->disk;
    uint32_t ino = replay->ino_of[record->file];

    switch (record->kind) {
    case PC_RECORD_BASE_FILE:
        return base_file(replay, record);
    case PC_RECORD_RENAME:
    case PC_RECORD_EXCHANGE:
        return change_two(replay, record);
    case PC_RECORD_UNNAMED:
        replay->ino_of[record->file] = disk_create_unnamed(disk);
        return 0;
    case PC_RECORD_WRITE:
        return write_all(disk, ino, record);
    case PC_RECORD_STORE:
        return disk_store(disk, ino, record->offset, record->data, record->size);
    case PC_RECORD_TRUNCATE:
        return disk_truncate(disk, ino, record->length);
    case PC_RECORD_ALLOCATE:
        return disk_allocate(disk, ino, record->offset, record->length, record->keep_size);
    case PC_RECORD_PUNCH:
        return disk_punch(disk, ino, record->offset, record->length);
    case PC_RECORD_ZERO_RANGE:
        return disk_zero_range(disk, ino, record->offset, record->length, record->keep_size);
    case PC_RECORD_FSYNC:
    case PC_RECORD_FDATASYNC:
        return disk_sync(disk, ino, record->kind == PC_RECORD_FDATASYNC);
    case PC_RECORD_SYNC:
        return disk_sync_all(disk);
    case PC_RECORD_SYNC_RANGE:
        return disk_sync_range(disk, ino, record->offset, record->length);
    case PC_RECORD_MSYNC:
        return disk_msync(disk, ino, record->offset, record->length);
    case PC_RECORD_PROCESS:
    case PC_RECORD_MODE:
    case PC_RECORD_OUTPUT:
    case PC_RECORD_END:
        return 0;
    default:
        return change_name(replay, record);
    }
}

static bool is_base(const struct pc_record *record)
{
    return record->kind <= PC_RECORD_BASE_LINK;
}

/* Does the record name a file that it needs, and is that one known? */
static bool has_file(const struct pc_replay *replay, const struct pc_record *record)
{
    switch (record->kind) {
    case PC_RECORD_LINK:
    case PC_RECORD_BASE_LINK:
    case PC_RECORD_WRITE:
    case PC_RECORD_STORE:
    case PC_RECORD_TRUNCATE:
    case PC_RECORD_ALLOCATE:
    case PC_RECORD_PUNCH:
    case PC_RECORD_ZERO_RANGE:
    case PC_RECORD_FSYNC:
    case PC_RECORD_FDATASYNC:
    case PC_RECORD_SYNC_RANGE:
    case PC_RECORD_MSYNC:
        return replay->ino_of[record->file] != 0;
    default:
        return true;
    }
}

static bool play_at(struct pc_replay *replay, size_t index, char *why, size_t room)
{
    const struct pc_record *record = pc_recording_at(replay->recording, index);
    char text[2 * PATH_MAX];
    int err;

    if (record->file == 1 && record->kind == PC_RECORD_BASE_DIRECTORY)
        return true; /* the root */
    pc_disk_mark(replay->disk, index);
    err = has_file(replay, record) ? play(replay, record) : -EBADF;
    if (!err)
        return true;
    pc_record_say(record, text, sizeof text);
    snprintf(why, room, "record %zu does not fit the simulated disk: %s: %s", index, text,
             strerror(-err));
    return false;
}

/* What is on the disk now is durable, and its log begins anew. */
static void make_base(struct pc_replay *replay)
{
    struct pc_disk *first = replay->disk;
    struct pc_image *image;
    int err = disk_sync_all(first);

    must(err == 0);
    image = pc_image_new(first, pc_disk_call_count(first));
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    replay->disk = pc_disk_boot(image);
    pc_disk_settle(replay->disk);
    pc_image_free(image);
    pc_disk_free(first);
}

static bool add_syncs(struct pc_replay *replay, size_t index, const struct pc_replay_sync *syncs,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t file = syncs[i].file;

        if (syncs[i].record != index)
            continue;
        if (file == 0 || file > replay->file_count || replay->ino_of[file] == 0 ||
            disk_sync(replay->disk, replay->ino_of[file], false))
            return false;
    }
    return true;
}

struct pc_replay *pc_replay_new(const struct pc_recording *recording,
                                const struct pc_disk_config *config,
                                const struct pc_replay_sync *syncs, size_t sync_count, char *why,
                                size_t room)
{
    struct pc_replay *replay = calloc(1, sizeof *replay);
    size_t count = pc_recording_count(recording), index = 0;
    bool good = true;

    must(replay != NULL);
    replay->recording = recording;
    for (size_t i = 0; i < count; i++)
        if (pc_recording_at(recording, i)->file > replay->file_count)
            replay->file_count = pc_recording_at(recording, i)->file;
    replay->ino_of = calloc((size_t)replay->file_count + 2, sizeof *replay->ino_of);
    must(replay->ino_of != NULL);
    replay->ino_of[1] = DISK_ROOT;
    replay->disk = pc_disk_new(config);
    for (; good && index < count && is_base(pc_recording_at(recording, index)); index++)
        good = play_at(replay, index, why, room);
    make_base(replay);
    for (; good && index < count; index++) {
        good = play_at(replay, index, why, room);
        if (good && !add_syncs(replay, index, syncs, sync_count)) {
            snprintf(why, room, "record %zu is no place for a sync", index);
            good = false;
        }
    }
    if (good)
        return replay;
    pc_replay_free(replay);
    return NULL;
}
