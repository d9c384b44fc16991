/* callers_test.c: functions by their addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "powercut/fault.h"

#include "callers.h"

static __attribute__((noinline)) const char *who_calls_me(void)
{
    const char *name = caller_name(__builtin_return_address(0));

    __asm__ volatile(""); /* no tail call */
    return name;
}

static __attribute__((noinline)) const char *some_static_function(void)
{
    const char *name = who_calls_me();

    __asm__ volatile("");
    return name;
}

/* Static functions, too; what is in no function has no name. */
static void names(void **state)
{
    static const char data[] = "data";
    const char *name = some_static_function();

    assert_non_null(name);
    assert_memory_equal(name, "some_static_function", strlen("some_static_function"));
    assert_null(caller_name(data));
    assert_null(caller_name(NULL));
    assert_ptr_equal(caller_name((const char *)(uintptr_t)some_static_function + 1),
                     caller_name((const char *)(uintptr_t)some_static_function + 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
