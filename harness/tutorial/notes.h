/* notes.h: a small store to learn on: every write is appended to one log; the map is in memory.
 * Errors are negative errno values. One thread. */
#ifndef TUTORIAL_NOTES_H
#define TUTORIAL_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct note {
    char *key, *value;
    size_t key_len, value_len;
};

struct note_op {
    bool is_delete;
    const void *key, *value;
    size_t key_len, value_len;
};

struct notes_map { /* sorted by key */
    struct note *at;
    size_t count;
};

struct notes {
    int fd;
    int failed; /* the first failed write or sync; it stays */
    uint64_t end, seq;
    struct notes_map map;
};

int notes_open(const char *dir, struct notes **notes);
int notes_close(struct notes *notes);
/* All of them or none. With sync they are durable on return. */
int notes_write(struct notes *notes, const struct note_op *ops, size_t count, bool sync);
int notes_sync(struct notes *notes);

/* The first key that is not less; map->count when there is none. */
size_t notes_find(const struct notes_map *map, const void *key, size_t key_len, bool *equal);
int notes_copy(const struct notes_map *from, struct notes_map *to);
void notes_clear(struct notes_map *map);

#endif
