/* tape.c: choices, their record, and the drivers. See tape.h. */
#include "tape.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/rng.h"

void tape_init(struct tape *tape, uint64_t seed)
{
    *tape = (struct tape){.seed = seed};
}

void tape_release(struct tape *tape)
{
    for (int i = 0; i < TAPE_SECTIONS; i++)
        free(tape->lists[i].choices);
    *tape = (struct tape){0};
}

void tape_drive(struct tape *tape, enum tape_section section, enum tape_driver driver)
{
    tape->lists[section].driver = driver;
    tape->lists[section].count = tape->lists[section].next = 0;
    tape->lists[section].prefix = 0;
}

void tape_rewind(struct tape *tape, enum tape_section section)
{
    tape->lists[section].next = 0;
    if (tape->lists[section].driver == TAPE_RANDOM)
        tape->lists[section].count = 0;
}

static void record(struct tape_list *list, uint64_t anchor, uint32_t n, uint32_t value)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 64;
        list->choices = realloc(list->choices, list->room * sizeof *list->choices);
        must(list->choices != NULL);
    }
    list->choices[list->count++] = (struct tape_choice){anchor, n, value};
    list->next = list->count;
}

uint32_t tape_choose(struct tape *tape, enum tape_section section, uint64_t anchor, uint32_t n)
{
    struct tape_list *list = &tape->lists[section];
    uint64_t mixed = tape->seed ^ ((uint64_t)section + 1) << 60;

    must(n >= 1);
    if (list->driver != TAPE_RANDOM && list->next < list->count) {
        const struct tape_choice *choice = &list->choices[list->next++];

        if (choice->anchor != anchor || choice->n != n)
            tape->diverged = true;
        return choice->value < n ? choice->value : n - 1;
    }
    mixed = rng_mix(rng_mix(mixed) ^ anchor);
    record(list, anchor, n, list->driver == TAPE_RANDOM ? (uint32_t)(mixed % n) : 0);
    return list->choices[list->count - 1].value;
}

bool tape_advance(struct tape *tape, enum tape_section section)
{
    struct tape_list *list = &tape->lists[section];

    /* What lay behind the last question of this leaf belongs to another branch. A leaf that ended
     * before it came to the choice that was changed for it is not of the same tree. */
    if (list->next < list->prefix)
        tape->diverged = true;
    list->count = list->next;
    while (list->count > 0) {
        struct tape_choice *last = &list->choices[list->count - 1];

        if (last->value + 1 < last->n) {
            last->value++;
            list->next = 0;
            list->prefix = list->count;
            return true;
        }
        list->count--;
    }
    list->next = list->prefix = 0;
    return false;
}
