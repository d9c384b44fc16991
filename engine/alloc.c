/* alloc.c: all memory of a handle.
 *
 * Why not malloc in place: the explorer resets an arena before each run, tests fail the n-th
 * request, and an embedding program may account for memory. So every request goes through the
 * handle's allocator, and every return names its size.
 *
 * A1  What alloc_get gave comes back through alloc_put with the same size, once.
 * A2  `memory` is the sum of the sizes outstanding; it is 0 when env_release is called. */
#include <stdlib.h>
#include "env.h"

void *alloc_get(struct env *env, size_t size)
{
    void *p = NULL;

    must(size > 0);
    if (env->allocator)
        p = env->allocator->alloc(env->allocator->ctx, size);
    else
        p = malloc(size);
    if (p)
        atomic_max(&env->memory_peak, atomic_add(&env->memory, size));
    return p;
}

void alloc_put(struct env *env, void *p, size_t size)
{
    if (!p)
        return;
    must(atomic_relaxed(&env->memory) >= size);
    atomic_count(&env->memory, (uint64_t)0 - size);
    if (env->allocator)
        env->allocator->free(env->allocator->ctx, p, size);
    else
        free(p);
}
