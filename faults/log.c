/* log.c: append-only arrays of calls, nodes, effects and edges. See log.h. */
#include "log.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/rng.h"

/* Room for `need`. The memory of an array doubles; a large one makes use of it step by step, as it
 * is got ready. */
static void *enlarged(void *array, uint32_t *room, uint32_t need, size_t size)
{
    uint32_t had = 256, wanted = *room ? *room : 256, all;

    while (had < *room)
        had *= 2;
    while (wanted < need)
        wanted = wanted * size < MEMORY_STEP ? wanted * 2 : wanted + (uint32_t)(MEMORY_STEP / size);
    for (all = had; all < wanted;)
        all *= 2;
    if (array == NULL || all > had)
        array = realloc(array, (size_t)all * size);
    must(array != NULL);
    if (*room * size >= MEMORY_STEP)
        memory_ready((char *)array + *room * size, (wanted - *room) * size);
    *room = wanted;
    return array;
}

static inline void *grown(void *array, uint32_t *room, uint32_t need, size_t size)
{
    return need <= *room ? array : enlarged(array, room, need, size);
}

void log_clear(struct log *log)
{
    log->node_count = log->effect_count = log->edge_count = log->call_count = 0;
    log->dependence_count = 0;
    log->last_journal = NONE;
    log->first_unordered = NEVER;
    log->drops_older = false;
    log->hash = 0;
}

void log_release(struct log *log)
{
    free(log->nodes);
    free(log->effects);
    free(log->edges);
    free(log->dependences);
    free(log->calls);
    free(log->call_nodes);
    free(log->stack);
    *log = (struct log){0};
}

void log_mix(struct log *log, uint64_t value)
{
    if (!log->hashless)
        log->hash = rng_mix(log->hash ^ value);
}

uint32_t log_call(struct log *log, const struct pc_call *call)
{
    log->calls = grown(log->calls, &log->call_room, log->call_count + 1, sizeof *log->calls);
    log->call_nodes =
        grown(log->call_nodes, &log->call_node_room, log->call_count + 1, sizeof *log->call_nodes);
    log->calls[log->call_count] = *call;
    if (call->flags & PC_CALL_UNORDERED && log->first_unordered == NEVER)
        log->first_unordered = log->call_count;
    log->call_nodes[log->call_count] = log->node_count;
    log_mix(log, (uint64_t)call->kind << 56 ^ (uint64_t)call->flags << 48 ^ call->offset);
    log_mix(log, call->length << 1 ^ call->done);
    return log->call_count++;
}

uint32_t log_node(struct log *log)
{
    struct node *node;

    must(log->call_count > 0);
    log->nodes = grown(log->nodes, &log->node_room, log->node_count + 1, sizeof *log->nodes);
    node = &log->nodes[log->node_count];
    *node = (struct node){.call = log->call_count - 1,
                          .forced_at = NEVER,
                          .voided_at = NEVER,
                          .first_effect = log->effect_count,
                          .first_edge = log->edge_count,
                          .first_dependence = log->dependence_count};
    return log->node_count++;
}

uint32_t log_effect(struct log *log, const struct effect *effect)
{
    struct effect *copy;

    log->effects =
        grown(log->effects, &log->effect_room, log->effect_count + 1, sizeof *log->effects);
    copy = &log->effects[log->effect_count];
    *copy = *effect;
    copy->node = log->node_count - 1;
    copy->voided_at = NEVER;
    copy->version = effect->prev == NONE ? 1 : log->effects[effect->prev].version + 1;
    if (effect->kind == PC_ITEM_NAME)
        log_content(log, effect->path, strlen(effect->path));
    /* Data was brought by the call: log_content. */
    log_mix(log, (uint64_t)effect->kind << 56 ^ (uint64_t)effect->ino << 32 ^ effect->unit ^
                     (effect->kind == PC_ITEM_DATA || effect->kind == PC_ITEM_NAME
                          ? 0
                          : effect->size << 16));
    return log->effect_count++;
}

void log_content(struct log *log, const void *data, size_t len)
{
    if (!log->hashless)
        log_mix(log, XXH3_64bits_withSeed(data, len, len));
}

void log_add_edge(struct log *log, uint32_t before)
{
    for (uint32_t i = log->nodes[log->node_count - 1].first_edge; i < log->edge_count; i++)
        if (log->edges[i] == before)
            return;
    log->edges = grown(log->edges, &log->edge_room, log->edge_count + 1, sizeof *log->edges);
    log->edges[log->edge_count++] = before;
}

void log_add_dependence(struct log *log, uint32_t before)
{
    for (uint32_t i = log->nodes[log->node_count - 1].first_dependence; i < log->dependence_count;
         i++)
        if (log->dependences[i] == before)
            return;
    log->dependences = grown(log->dependences, &log->dependence_room, log->dependence_count + 1,
                             sizeof *log->dependences);
    log->dependences[log->dependence_count++] = before;
}

static bool is_data(const struct log *log, uint32_t node)
{
    return log->effects[log->nodes[node].first_effect].kind == PC_ITEM_DATA;
}

/* Marks a node as forced; false: it was. */
static inline bool mark_forced(struct log *log, uint32_t node, uint32_t at)
{
    if (log->nodes[node].forced_at != NEVER)
        return false;
    log->nodes[node].forced_at = at;
    log_mix(log, (uint64_t)at << 32 ^ node);
    return true;
}

static uint32_t need_count(const struct log *log, uint32_t node)
{
    return log->leaps ? log_dependences(log, node) : log_edges(log, node);
}

/* The needs of a node: what it depends on in models that leap. */
static const uint32_t *first_need(const struct log *log, uint32_t node)
{
    return log->leaps ? log->dependences + log->nodes[node].first_dependence
                      : log->edges + log->nodes[node].first_edge;
}

/* Depth first: what is forced already had its needs forced with it. */
static void force_needs(struct log *log, uint32_t node, uint32_t at, bool waive_data)
{
    uint32_t depth = 0, room = (log->leaps ? log->dependence_count : log->edge_count) + 1;

    log->stack = grown(log->stack, &log->stack_room, room, sizeof *log->stack);
    for (log->stack[depth++] = node; depth > 0;) {
        uint32_t top = log->stack[--depth], count = need_count(log, top);
        const uint32_t *needs = first_need(log, top);

        for (uint32_t i = 0; i < count; i++)
            if ((!waive_data || !is_data(log, needs[i])) && mark_forced(log, needs[i], at))
                log->stack[depth++] = needs[i];
    }
}

/* Mostly all that a node needs is forced already. */
void log_force(struct log *log, uint32_t node, uint32_t at, bool waive_data)
{
    const uint32_t *needs = first_need(log, node);

    if (!mark_forced(log, node, at))
        return;
    for (uint32_t i = need_count(log, node); i-- > 0;)
        if (log->nodes[needs[i]].forced_at == NEVER) {
            force_needs(log, node, at, waive_data);
            return;
        }
}

void log_void(struct log *log, uint32_t effect, uint32_t at)
{
    struct effect *dropped = &log->effects[effect];

    if (dropped->voided_at != NEVER)
        return;
    dropped->voided_at = at;
    log->drops_older |= log->nodes[dropped->node].call != at;
    log_mix(log, (uint64_t)at << 32 ^ effect ^ 0x8000000000000000u);
    /* Only a node that is nothing but the dropped data leaves the order (see image.c). */
    if (log_effects(log, dropped->node) == 1)
        log->nodes[dropped->node].voided_at = at;
}

/* Content is that of the file which the call names; a rename takes it from what it replaces. */
const char *log_path(const struct log *log, const struct effect *effect)
{
    const struct pc_call *call = &log->calls[log->nodes[effect->node].call];

    if (effect->kind == PC_ITEM_NAME)
        return effect->path;
    return call->kind == PC_CALL_RENAME ? call->to : call->path;
}

uint32_t log_before(const struct log *log, uint32_t effect)
{
    const struct effect *this = &log->effects[effect];

    return this->prev != NONE && this->kind == PC_ITEM_DATA &&
                   log->effects[this->prev].incarnation != this->incarnation
               ? NONE
               : this->prev;
}
