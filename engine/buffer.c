/* buffer.c: see buffer.h. Growth doubles, so that n appended bytes cost O(n) copies. */
#include "buffer.h"

enum vault_status buffer_reserve(struct env *env, struct buffer *b, size_t more)
{
    size_t cap = b->cap ? b->cap : 64;
    uint8_t *data = NULL;

    if (more <= b->cap - b->len)
        return VAULT_OK;
    must(more <= SIZE_MAX / 4 && b->len <= SIZE_MAX / 4);
    while (cap - b->len < more)
        cap *= 2;
    data = alloc_get(env, cap);
    if (!data)
        return env_fail(env, VAULT_NO_MEMORY, "", 0, 0, "buffer");
    if (b->len)
        memcpy(data, b->data, b->len);
    alloc_put(env, b->data, b->cap);
    b->data = data;
    b->cap = cap;
    return VAULT_OK;
}

enum vault_status buffer_append(struct env *env, struct buffer *b, struct bytes bytes)
{
    enum vault_status st = buffer_reserve(env, b, bytes.len);

    if (st)
        return st;
    buffer_put(b, bytes);
    return VAULT_OK;
}

void buffer_release(struct env *env, struct buffer *b)
{
    alloc_put(env, b->data, b->cap);
    *b = (struct buffer){0};
}
