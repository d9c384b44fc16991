/* batch_fuzz.c: the operations of a log record. First byte: how many there are said to be, up to
 * 127; 128 more: zeros follow the input, enough for keys that are too long.
 *
 * O1  ops_valid accepts exactly what plain.h accepts.
 * O2  What is accepted is taken whole by ops_take, equals plain.h, and written again it is no
 *     longer (a varint may have been written with more bytes than it needs), of the size that
 *     ops_size says, and valid with the same operations. */
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "plain.h"
#include "target.h"
#include "wal.h"

#define PADDING (VAULT_KEY_MAX + 4096u)

static void compare(struct bytes ops, const struct plain_list *list)
{
    struct taker t = taker_of(ops);

    for (size_t i = 0; i < list->count; i++) {
        struct bytes key;
        struct bytes value;
        unsigned kind = 0;

        must(ops_take(&t, &kind, &key, &value));
        must(kind == tag_kind(list->at[i].tag));
        must(bytes_equal(key, list->at[i].key) && bytes_equal(value, list->at[i].value));
    }
    must(taker_left(&t) == 0);
}

static void write_again(struct env *env, struct bytes ops, const struct plain_list *list)
{
    struct buffer again = {0};
    size_t size = 0;
    size_t ranges = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct plain_entry *entry = &list->at[i];
        unsigned kind = tag_kind(entry->tag);

        size += ops_size(kind, entry->key.len, entry->value.len);
        must(buffer_reserve(env, &again, ops_size(kind, entry->key.len, entry->value.len)) ==
             VAULT_OK);
        ops_encode(&again, kind, entry->key, entry->value);
    }
    must(again.len == size && size <= ops.len);
    must(ops_valid(buffer_bytes(&again), (uint32_t)list->count, &ranges));
    compare(buffer_bytes(&again), list);
    must(size < ops.len || bytes_equal(buffer_bytes(&again), ops));
    buffer_release(env, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plain_list list = {0};
    struct bytes ops = bytes_of(data + 1, size - 1);
    struct env env;
    uint8_t *padded = NULL;
    uint32_t count = 0;
    size_t ranges = 0;
    bool good = false;

    if (size < 1 || size > TARGET_SIZE_MAX)
        return 0;
    count = data[0] & 127u;
    if (data[0] & 128) {
        padded = calloc(1, size + PADDING);
        must(padded != NULL);
        memcpy(padded, ops.data, ops.len);
        ops = bytes_of(padded, ops.len + PADDING);
    }
    must(env_init(&env, "/fuzz", stage_allocator(), NULL) == VAULT_OK);
    good = plain_ops(ops, count, 1, &list);
    must(good == ops_valid(ops, count, &ranges)); /* O1 */
    if (good) {
        compare(ops, &list);
        write_again(&env, ops, &list); /* O2 */
    }
    env_release(&env);
    stage_forget();
    plain_list_release(&list);
    free(padded);
    return 0;
}
