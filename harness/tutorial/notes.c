/* notes.c: see notes.h. A record is length, checksum, sequence number (4 + 4 + 8 bytes), then the
 * operations: kind, key length, value length (1 + 4 + 4), key, value. Reading stops at the first
 * record that is not whole; what follows is cut off, durably, before anything is appended.
 *
 * Compiled with NOTES_FORGET the directory is not synced after the log was created. That is the
 * mistake the tutorial finds. */
#include "notes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER 16u
#define OP     9u

static uint32_t sum_of(const uint8_t *p, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return (uint32_t)(h ^ h >> 32);
}

/* ---- the map ---- */

size_t notes_find(const struct notes_map *map, const void *key, size_t key_len, bool *equal)
{
    size_t low = 0, high = map->count;

    *equal = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct note *note = &map->at[middle];
        size_t common = note->key_len < key_len ? note->key_len : key_len;
        int order = common ? memcmp(note->key, key, common) : 0;

        if (order == 0)
            order = note->key_len < key_len ? -1 : note->key_len > key_len;
        if (order == 0)
            *equal = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static char *copied(const void *data, size_t len)
{
    char *copy = malloc(len + 1);

    if (copy && len)
        memcpy(copy, data, len);
    return copy;
}

static int map_put(struct notes_map *map, const struct note_op *op)
{
    bool equal;
    size_t i = notes_find(map, op->key, op->key_len, &equal);
    char *value = copied(op->value, op->value_len);
    struct note *grown;

    if (!value)
        return -ENOMEM;
    if (!equal) {
        grown = realloc(map->at, (map->count + 1) * sizeof *grown);
        if (grown)
            map->at = grown;
        char *key = grown ? copied(op->key, op->key_len) : NULL;
        if (!key) {
            free(value);
            return -ENOMEM;
        }
        memmove(&grown[i + 1], &grown[i], (map->count++ - i) * sizeof *grown);
        grown[i] = (struct note){.key = key, .key_len = op->key_len};
    }
    free(map->at[i].value);
    map->at[i].value = value;
    map->at[i].value_len = op->value_len;
    return 0;
}

static int map_apply(struct notes_map *map, const struct note_op *op)
{
    bool equal;
    size_t i;

    if (!op->is_delete)
        return map_put(map, op);
    i = notes_find(map, op->key, op->key_len, &equal);
    if (equal) {
        free(map->at[i].key);
        free(map->at[i].value);
        memmove(&map->at[i], &map->at[i + 1], (--map->count - i) * sizeof map->at[0]);
    }
    return 0;
}

int notes_copy(const struct notes_map *from, struct notes_map *to)
{
    *to = (struct notes_map){NULL, 0};
    for (size_t i = 0; i < from->count; i++) {
        const struct note *n = &from->at[i];
        int code =
            map_put(to, &(struct note_op){false, n->key, n->value, n->key_len, n->value_len});

        if (code)
            return code;
    }
    return 0;
}

void notes_clear(struct notes_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        free(map->at[i].key);
        free(map->at[i].value);
    }
    free(map->at);
    *map = (struct notes_map){NULL, 0};
}

/* ---- the log ---- */

static uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* Takes one operation; false: the record does not hold it. */
static bool take_op(const uint8_t **p, const uint8_t *end, struct note_op *op)
{
    const uint8_t *at = *p;

    if (end - at < OP)
        return false;
    *op = (struct note_op){at[0] == 0, at + OP, NULL, u32_at(at + 1), u32_at(at + 5)};
    at += OP;
    if ((uint64_t)(end - at) < (uint64_t)op->key_len + op->value_len)
        return false;
    op->value = at + op->key_len;
    *p = at + op->key_len + op->value_len;
    return true;
}

/* Replays the good part of the log; its length is in notes->end. */
static int replay(struct notes *notes, const uint8_t *log, size_t size)
{
    while (size - notes->end >= HEADER) {
        const uint8_t *p = log + notes->end, *end;
        uint32_t len = u32_at(p);
        uint64_t seq;
        struct note_op op;

        memcpy(&seq, p + 8, sizeof seq);
        if (len > size - notes->end - HEADER || seq != notes->seq + 1 ||
            u32_at(p + 4) != sum_of(p + 8, 8 + (size_t)len))
            break;
        end = p + HEADER + len;
        for (p += HEADER; p < end;) {
            int code = take_op(&p, end, &op) ? map_apply(&notes->map, &op) : -EIO;

            if (code)
                return code;
        }
        notes->seq = seq;
        notes->end += HEADER + len;
    }
    return 0;
}

static int read_log(struct notes *notes)
{
    struct stat st;
    uint8_t *log = NULL;
    size_t got = 0;
    int code = fstat(notes->fd, &st) ? -errno : 0;

    if (!code && !(log = malloc((size_t)st.st_size + 1)))
        code = -ENOMEM;
    while (!code && got < (size_t)st.st_size) {
        ssize_t n = pread(notes->fd, log + got, (size_t)st.st_size - got, (off_t)got);

        if (n < 0 && errno != EINTR)
            code = -errno;
        else if (n == 0)
            break;
        else if (n > 0)
            got += (size_t)n;
    }
    if (!code)
        code = replay(notes, log, got);
    free(log);
    if (!code && notes->end < (uint64_t)st.st_size &&
        (ftruncate(notes->fd, (off_t)notes->end) || fdatasync(notes->fd)))
        code = -errno;
    return code;
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    int code = fd < 0 || fsync(fd) ? -errno : 0;

    if (fd >= 0)
        close(fd);
    return code;
}

static int create_files(struct notes *notes, const char *dir)
{
    char path[PATH_MAX];
    int code;

    if (mkdir(dir, 0777) && errno != EEXIST)
        return -errno;
    snprintf(path, sizeof path, "%s/..", dir);
    code = sync_directory(path);
    if (code)
        return code;
    snprintf(path, sizeof path, "%s/notes.log", dir);
    notes->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (notes->fd < 0)
        return -errno;
#ifdef NOTES_FORGET
    return 0;
#else
    return sync_directory(dir);
#endif
}

int notes_open(const char *dir, struct notes **out)
{
    struct notes *notes = calloc(1, sizeof *notes);
    int code;

    if (!notes)
        return -ENOMEM;
    notes->fd = -1;
    code = create_files(notes, dir);
    if (!code)
        code = read_log(notes);
    if (code) {
        notes->failed = code;
        notes_close(notes);
        return code;
    }
    *out = notes;
    return 0;
}

int notes_sync(struct notes *notes)
{
    if (!notes->failed && fdatasync(notes->fd))
        notes->failed = -errno; /* never asked again: the next answer would mean nothing */
    return notes->failed;
}

int notes_close(struct notes *notes)
{
    int code = notes_sync(notes);

    if (notes->fd >= 0)
        close(notes->fd);
    notes_clear(&notes->map);
    free(notes);
    return code;
}

static int append(struct notes *notes, const uint8_t *record, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(notes->fd, record + done, len - done, (off_t)(notes->end + done));

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

int notes_write(struct notes *notes, const struct note_op *ops, size_t count, bool sync)
{
    size_t len = 0, at = HEADER;
    uint64_t seq = notes->seq + 1;
    uint8_t *record;

    for (size_t i = 0; i < count; i++)
        len += OP + ops[i].key_len + ops[i].value_len;
    if (notes->failed)
        return notes->failed;
    record = calloc(1, HEADER + len);
    if (!record)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        uint32_t lens[2] = {(uint32_t)ops[i].key_len, (uint32_t)ops[i].value_len};

        record[at] = !ops[i].is_delete;
        memcpy(record + at + 1, lens, sizeof lens);
        at += OP;
        if (ops[i].key_len)
            memcpy(record + at, ops[i].key, ops[i].key_len);
        at += ops[i].key_len;
        if (ops[i].value_len)
            memcpy(record + at, ops[i].value, ops[i].value_len);
        at += ops[i].value_len;
    }
    memcpy(record, &(uint32_t){(uint32_t)len}, 4);
    memcpy(record + 8, &seq, sizeof seq);
    memcpy(record + 4, &(uint32_t){sum_of(record + 8, 8 + len)}, 4);
    notes->failed = append(notes, record, HEADER + len);
    free(record);
    if (!notes->failed) {
        notes->end += HEADER + len;
        notes->seq = seq;
    }
    if (sync)
        notes_sync(notes);
    for (size_t i = 0; i < count && !notes->failed; i++)
        notes->failed = map_apply(&notes->map, &ops[i]);
    return notes->failed;
}
