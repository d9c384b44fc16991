/* seen.c: states that were read back, as keys and hashes of values. See model.h. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/check.h"

void seen_clear(struct seen *seen)
{
    seen->count = seen->text_len = 0;
    seen->hashed = false;
}

void seen_release(struct seen *seen)
{
    free(seen->entries);
    free(seen->text);
    *seen = (struct seen){0};
}

void seen_add(struct seen *seen, struct bytes key, struct bytes value)
{
    seen->hashed = false;
    if (seen->count == seen->room) {
        seen->room = seen->room ? seen->room * 2 : 64;
        seen->entries = realloc(seen->entries, seen->room * sizeof *seen->entries);
        must(seen->entries != NULL);
    }
    if (seen->text == NULL || seen->text_len + key.len > seen->text_room) {
        uint8_t *old = seen->text;

        seen->text_room = (seen->text_len + key.len) * 2 + 1024;
        seen->text = malloc(seen->text_room);
        must(seen->text != NULL);
        if (seen->text_len)
            memcpy(seen->text, old, seen->text_len);
        for (size_t i = 0; i < seen->count; i++)
            seen->entries[i].key.data = seen->text + (seen->entries[i].key.data - old);
        free(old);
    }
    if (key.len)
        memcpy(seen->text + seen->text_len, key.data, key.len);
    seen->entries[seen->count++] = (struct seen_entry){
        bytes_of(seen->text + seen->text_len, key.len), (uint32_t)value.len, model_hash(value)};
    seen->text_len += key.len;
}

const struct seen_entry *seen_find(const struct seen *seen, struct bytes key)
{
    size_t lo = 0, hi = seen->count;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = bytes_compare(seen->entries[mid].key, key);

        if (c == 0)
            return &seen->entries[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

bool seen_equal(const struct seen *a, const struct seen *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!bytes_equal(a->entries[i].key, b->entries[i].key) ||
            a->entries[i].hash != b->entries[i].hash || a->entries[i].len != b->entries[i].len)
            return false;
    return true;
}

uint64_t seen_hash(struct seen *seen)
{
    uint64_t h = seen->count;

    if (seen->hashed)
        return seen->hash;
    for (size_t i = 0; i < seen->count; i++) {
        const struct seen_entry *entry = &seen->entries[i];

        h = XXH3_64bits_withSeed(entry->key.data, entry->key.len, h ^ entry->hash) + entry->len;
    }
    seen->hashed = true;
    seen->hash = h;
    return h;
}

uint64_t model_hash(struct bytes value)
{
    return XXH3_64bits(value.data, value.len);
}
