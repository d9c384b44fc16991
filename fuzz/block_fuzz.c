/* block_fuzz.c: the contents of one block of a table; there is no checksum in it.
 *
 * B1  Where plain.h finds it well-formed and in order, scans and seeks show exactly its entries,
 *     and a block built of them has the same entries again.
 * B2  Otherwise walking it ends, with entries or with VAULT_CORRUPT, and reads no byte outside. */
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "plain.h"
#include "table_try.h"
#include "target.h"

#define NAME "000003.sst"

/* B2: each step goes on by a byte at least, and back by an entry at least. */
static void wander(struct block_cursor *b, size_t len, const struct plain_list *list)
{
    struct cursor *c = &b->c;
    size_t steps = 0;

    for (c->ops->first(c); c->valid; c->ops->next(c))
        must(++steps <= len);
    steps = 0;
    for (c->ops->last(c); c->valid; c->ops->prev(c))
        must(++steps <= len);
    for (size_t i = 0; i < list->count && i < 16; i++)
        c->ops->seek(c, list->at[i].key, list->at[i].tag);
    must(!c->status || c->status == VAULT_CORRUPT);
}

static void build_again(struct env *env, struct block_cursor *b, const struct plain_list *list)
{
    struct block_builder builder = {.interval = 2};
    struct bytes contents;

    for (size_t i = 0; i < list->count; i++)
        must(block_add(env, &builder, list->at[i].key, list->at[i].tag, list->at[i].value) ==
             VAULT_OK);
    must(block_finish(env, &builder, &contents) == VAULT_OK);
    block_cursor_open(b, NAME, 0, contents);
    table_try_walks(&b->c, list);
    block_release(env, &builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plain p = {0};
    struct plain_list list = {0};
    struct block_cursor b;
    struct vault_error error = {0};
    struct env env;
    bool good = false;

    if (size > TARGET_SIZE_MAX)
        return 0;
    must(env_init(&env, "/fuzz", stage_allocator(), NULL) == VAULT_OK);
    good = plain_block(&p, bytes_of(data, size), &list);
    block_cursor_init(&env, &b);
    block_cursor_open(&b, NAME, 77, bytes_of(data, size));
    if (good)
        table_try_walks(&b.c, &list);
    else
        wander(&b, size, &list);
    env_last(&env, &error);
    must(error.status == b.c.status);
    must(!error.status || (strcmp(error.file, NAME) == 0 && error.offset == 77));
    if (good)
        build_again(&env, &b, &list);
    block_cursor_release(&b);
    env_release(&env);
    stage_forget();
    plain_list_release(&list);
    plain_release(&p);
    return 0;
}
