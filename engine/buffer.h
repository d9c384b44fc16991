/* buffer.h: a growing byte string, little-endian encoding into it, bounded decoding out of bytes.
 *
 * Writers reserve first and then append without checking; a `struct taker` reads bytes that came
 * from a disk: running past the end sets `bad` and yields zeros, so a parser checks once at its
 * end and never reads out of bounds.
 * Thread safety: none; one owner each. */
#ifndef ENGINE_BUFFER_H
#define ENGINE_BUFFER_H

#include "env.h"

struct buffer {
    uint8_t *data;
    size_t len, cap;
};

/* Room for `more` bytes beyond len. VAULT_NO_MEMORY: unchanged. */
MUST_USE enum vault_status buffer_reserve(struct env *env, struct buffer *b, size_t more);
MUST_USE enum vault_status buffer_append(struct env *env, struct buffer *b, struct bytes bytes);
void buffer_release(struct env *env, struct buffer *b);

static inline struct bytes buffer_bytes(const struct buffer *b)
{
    return bytes_of(b->data, b->len);
}

#define VARINT_MAX 10 /* bytes of the longest varint */

static inline void store_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void store_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline void store_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint16_t load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t load_u64(const uint8_t *p)
{
    return (uint64_t)load_u32(p) | (uint64_t)load_u32(p + 4) << 32;
}

/* Seven bits a byte, low ones first, the top bit of a byte says that more follow. */
static inline size_t store_varint(uint8_t *p, uint64_t v)
{
    size_t n = 0;

    while (v >= 128) {
        p[n++] = (uint8_t)(v | 128);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

static inline size_t varint_size(uint64_t v)
{
    size_t n = 1;

    while (v >= 128) {
        v >>= 7;
        n++;
    }
    return n;
}

/* The room must have been reserved. */
static inline void buffer_put(struct buffer *b, struct bytes bytes)
{
    must(bytes.len <= b->cap - b->len);
    if (bytes.len)
        memcpy(b->data + b->len, bytes.data, bytes.len);
    b->len += bytes.len;
}

static inline void buffer_put_varint(struct buffer *b, uint64_t v)
{
    must(b->cap - b->len >= VARINT_MAX || b->cap - b->len >= varint_size(v));
    b->len += store_varint(b->data + b->len, v);
}

static inline void buffer_put_u32(struct buffer *b, uint32_t v)
{
    must(b->cap - b->len >= 4);
    store_u32(b->data + b->len, v);
    b->len += 4;
}

struct taker {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct taker taker_of(struct bytes bytes)
{
    return (struct taker){bytes.data, bytes.data ? bytes.data + bytes.len : bytes.data, false};
}

static inline size_t taker_left(const struct taker *t)
{
    return (size_t)(t->end - t->p);
}

static inline uint64_t take_varint(struct taker *t)
{
    uint64_t v = 0;

    if (t->p < t->end && *t->p < 128) /* by far the most */
        return *t->p++;
    for (unsigned shift = 0; shift < 64 && t->p < t->end; shift += 7) {
        uint8_t byte = *t->p++;

        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return v;
    }
    t->bad = true;
    return 0;
}

static inline struct bytes take_bytes(struct taker *t, uint64_t len)
{
    struct bytes out = {NULL, 0};

    if (t->bad || len > taker_left(t)) {
        t->bad = true;
        return out;
    }
    out = bytes_of(t->p, (size_t)len);
    t->p += len;
    return out;
}

#endif
