/* check.h: the three checks of this tree.
 *
 *   must(x)         a programmer's error; always on; aborts with file, line and the condition
 *   audit(x)        as must, but slow: compiled in only where POWERCUT_AUDIT is defined
 *   reached(name)   marks a branch that named scenarios have to hit; counts it, changes nothing
 *
 * Bytes read from a disk are never asserted: they answer with a status.
 * A mark is a counter in the linker section `powercut_marks`; the harness reads them through
 * __start_powercut_marks and __stop_powercut_marks. Counting is relaxed and thread safe. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST_USE __attribute__((warn_unused_result))

#define must(x) ((x) ? (void)0 : check_failed(#x, __FILE__, __LINE__))

#ifdef POWERCUT_AUDIT
#define audit(x) must(x)
#else
#define audit(x) ((void)sizeof(!(x)))
#endif

struct check_mark {
    const char *name;
    uint64_t hits;
};

#define reached(mark_name)                                                                         \
    do {                                                                                           \
        static struct check_mark mark_here                                                         \
            __attribute__((section("powercut_marks"), used)) = {#mark_name, 0};                    \
        __atomic_fetch_add(&mark_here.hits, 1, __ATOMIC_RELAXED);                                  \
    } while (0)

__attribute__((noreturn)) static inline void check_failed(const char *condition, const char *file,
                                                          int line)
{
    fprintf(stderr, "%s:%d: must(%s) failed\n", file, line, condition);
    abort();
}

#endif
