/* log.c: append-only arrays of calls, nodes, effects and edges. See log.h. */
#include "log.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/rng.h"

static void *grown(void *array, uint32_t *room, uint32_t need, size_t size)
{
    uint32_t wanted = *room ? *room : 256;

    if (need <= *room)
        return array;
    while (wanted < need)
        wanted *= 2;
    array = realloc(array, (size_t)wanted * size);
    must(array != NULL);
    *room = wanted;
    return array;
}

void log_clear(struct log *log)
{
    log->node_count = log->effect_count = log->edge_count = log->call_count = 0;
    log->dependence_count = 0;
    log->last_journal = NONE;
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
    log->hash = rng_mix(log->hash ^ value);
}

uint32_t log_call(struct log *log, const struct pc_call *call)
{
    uint32_t room = log->call_room;

    log->calls = grown(log->calls, &log->call_room, log->call_count + 1, sizeof *log->calls);
    log->call_nodes = grown(log->call_nodes, &room, log->call_count + 1, sizeof *log->call_nodes);
    log->calls[log->call_count] = *call;
    log->call_nodes[log->call_count] = log->node_count;
    log_mix(log, (uint64_t)call->kind << 32 ^ call->flags);
    log_mix(log, call->offset);
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
    log->nodes[copy->node].effects++;
    log_mix(log, (uint64_t)effect->kind << 56 ^ (uint64_t)effect->ino << 24 ^ effect->unit);
    log_mix(log, effect->size ^ (effect->content ? effect->content->hash : 0));
    if (effect->kind == PC_ITEM_NAME)
        log_mix(log, XXH3_64bits(effect->path, strlen(effect->path)));
    return log->effect_count++;
}

void log_edge(struct log *log, uint32_t before)
{
    struct node *node = &log->nodes[log->node_count - 1];
    uint32_t i;

    if (before == NONE || before == log->node_count - 1)
        return;
    for (i = 0; i < node->edges; i++)
        if (log->edges[node->first_edge + i] == before)
            return;
    log->edges = grown(log->edges, &log->edge_room, log->edge_count + 1, sizeof *log->edges);
    log->edges[log->edge_count++] = before;
    node->edges++;
}

void log_depend(struct log *log, uint32_t before)
{
    struct node *node = &log->nodes[log->node_count - 1];
    uint32_t i;

    if (!log->leaps || before == NONE || before == log->node_count - 1)
        return;
    for (i = 0; i < node->dependences; i++)
        if (log->dependences[node->first_dependence + i] == before)
            return;
    log->dependences = grown(log->dependences, &log->dependence_room, log->dependence_count + 1,
                             sizeof *log->dependences);
    log->dependences[log->dependence_count++] = before;
    node->dependences++;
}

static bool is_data(const struct log *log, uint32_t node)
{
    return log->effects[log->nodes[node].first_effect].kind == PC_ITEM_DATA;
}

/* Depth first: what is forced already had its needs forced with it. */
void log_force(struct log *log, uint32_t node, uint32_t at, bool waive_data)
{
    const uint32_t *needs = log->leaps ? log->dependences : log->edges;
    uint32_t depth = 0, room = (log->leaps ? log->dependence_count : log->edge_count) + 2;

    log->stack = grown(log->stack, &log->stack_room, room, sizeof *log->stack);
    log->stack[depth++] = node;
    while (depth > 0) {
        struct node *top = &log->nodes[log->stack[--depth]];
        uint32_t first = log->leaps ? top->first_dependence : top->first_edge;
        uint32_t count = log->leaps ? top->dependences : top->edges;

        if (top->forced_at != NEVER)
            continue;
        top->forced_at = at;
        log_mix(log, (uint64_t)at << 32 ^ (uint64_t)(top - log->nodes));
        for (uint32_t i = first; i < first + count; i++)
            if (!waive_data || !is_data(log, needs[i]))
                log->stack[depth++] = needs[i];
    }
}

void log_void(struct log *log, uint32_t effect, uint32_t at)
{
    struct effect *dropped = &log->effects[effect];

    if (dropped->voided_at != NEVER)
        return;
    dropped->voided_at = at;
    log_mix(log, (uint64_t)at << 32 ^ effect ^ 0x8000000000000000u);
    /* Only a node that is nothing but the dropped data leaves the order (see image.c). */
    if (log->nodes[dropped->node].effects == 1)
        log->nodes[dropped->node].voided_at = at;
}
