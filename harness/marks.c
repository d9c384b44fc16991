/* marks.c: reads the linker section that reached() fills. See base/check.h. */
#include "marks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

extern struct check_mark __start_powercut_marks[] __attribute__((weak));
extern struct check_mark __stop_powercut_marks[] __attribute__((weak));

uint32_t marks_count(void)
{
    return (uint32_t)(__stop_powercut_marks - __start_powercut_marks);
}

uint64_t marks_get(uint32_t index)
{
    return __start_powercut_marks[index].hits;
}

const char *marks_name(uint32_t index)
{
    return __start_powercut_marks[index].name;
}

void marks_add(uint32_t index, uint64_t hits)
{
    __start_powercut_marks[index].hits += hits;
}

void marks_clear(void)
{
    for (uint32_t i = 0; i < marks_count(); i++)
        __start_powercut_marks[i].hits = 0;
}

uint64_t marks_hits(const char *name)
{
    uint64_t hits = 0;
    bool found = false;

    for (uint32_t i = 0; i < marks_count(); i++)
        if (strcmp(__start_powercut_marks[i].name, name) == 0) {
            hits += __start_powercut_marks[i].hits;
            found = true;
        }
    return found ? hits : UINT64_MAX;
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

void marks_each(void (*visit)(void *ctx, const char *name, uint64_t hits), void *ctx)
{
    uint32_t count = marks_count();
    const char **names = malloc((count + 1) * sizeof *names);

    must(names != NULL);
    for (uint32_t i = 0; i < count; i++)
        names[i] = __start_powercut_marks[i].name;
    qsort(names, count, sizeof *names, by_name);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            visit(ctx, names[i], marks_hits(names[i]));
    free(names);
}
