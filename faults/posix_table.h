/* posix_table.h (private): the shapes of the lines of posix_calls.def. Included once by
 * posix_layer.h, to declare, and once by posix.c, to define. No guard: that is on purpose. */
#undef UNPACK
#undef CALL_SHAPE
#undef CALL_POINTER
#undef CALL_VARIADIC
#undef CALL_VOID
#undef CALL_COMPOSITE
#undef CALL_ALIAS
#undef CALL_REFUSED

#define UNPACK(...) __VA_ARGS__

#ifdef POSIX_DECLARE

#define CALL(returns, name, params, args, number, when, simulated)                                 \
    returns name params;                                                                           \
    extern __attribute__((visibility("hidden"))) returns(*real_##name) params;
#define CALL_POINTER CALL
#define CALL_VARIADIC(returns, name, params, last, type, args, number, when, simulated)            \
    CALL(returns, name, params, args, number, when, simulated)
#define CALL_VOID(name, params, args, when, simulated)                                             \
    CALL(void, name, params, args, NO_NUMBER, when, simulated)
#define CALL_COMPOSITE                                CALL
#define CALL_ALIAS(returns, name, params, expression) returns name params;
#define CALL_REFUSED(returns, name, params, args, when, path, error)                               \
    CALL(returns, name, params, args, NO_NUMBER, when, error)

#else

/* real_name is the system's own after its first call; until then it is the function that looks. */
#define REAL(returns, name, params, args, number, ...)                                             \
    static returns first_##name params                                                             \
    {                                                                                              \
        returns(*found) params = (returns(*) params)layer_resolve(#name);                          \
                                                                                                   \
        __VA_ARGS__                                                                                \
        if (!found)                                                                                \
            return (returns)layer_syscall(number, UNPACK args);                                    \
        __atomic_store_n(&real_##name, found, __ATOMIC_RELAXED);                                   \
        return found args;                                                                         \
    }                                                                                              \
    returns(*real_##name) params = first_##name;

/* The way past the disk is a test and a jump, so the rest is a function of its own. It is jumped to
 * as well: between it and the caller there is no frame, on which posix_site.c relies. */
#define CALL(returns, name, params, args, number, when, simulated)                                 \
    REAL(returns, name, params, args, number)                                                      \
    static __attribute__((noinline)) returns slow_##name params                                    \
    {                                                                                              \
        layer_enter();                                                                             \
        return (returns)layer_leave(simulated);                                                    \
    }                                                                                              \
    returns name params                                                                            \
    {                                                                                              \
        return (when) ? slow_##name args : real_##name args;                                       \
    }
/* As CALL, but an error is NULL. */
#define CALL_POINTER(returns, name, params, args, number, when, simulated)                         \
    REAL(returns, name, params, args, number)                                                      \
    returns name params                                                                            \
    {                                                                                              \
        long result;                                                                               \
                                                                                                   \
        if (!(when))                                                                               \
            return real_##name args;                                                               \
        layer_enter();                                                                             \
        result = layer_leave(simulated);                                                           \
        return result == -1 ? NULL : (returns)result;                                              \
    }
/* `last` is the parameter before the dots; what follows it is named `extra`. */
#define CALL_VARIADIC(returns, name, params, last, type, args, number, when, simulated)            \
    REAL(returns, name, params, args, number, va_list ap; va_start(ap, last);                      \
         type extra = va_arg(ap, type); va_end(ap);)                                               \
    returns name params                                                                            \
    {                                                                                              \
        va_list ap;                                                                                \
        type extra;                                                                                \
                                                                                                   \
        va_start(ap, last);                                                                        \
        extra = va_arg(ap, type);                                                                  \
        va_end(ap);                                                                                \
        if (!(when))                                                                               \
            return real_##name args;                                                               \
        layer_enter();                                                                             \
        return (returns)layer_leave(simulated);                                                    \
    }
#define CALL_VOID(name, params, args, when, simulated)                                             \
    static void first_##name params                                                                \
    {                                                                                              \
        void(*found) params = (void(*) params)layer_resolve(#name);                                \
                                                                                                   \
        if (found) {                                                                               \
            __atomic_store_n(&real_##name, found, __ATOMIC_RELAXED);                               \
            found args;                                                                            \
        }                                                                                          \
    }                                                                                              \
    void(*real_##name) params = first_##name;                                                      \
    void name params                                                                               \
    {                                                                                              \
        if (!(when)) {                                                                             \
            real_##name args;                                                                      \
            return;                                                                                \
        }                                                                                          \
        layer_enter();                                                                             \
        (void)layer_leave(simulated);                                                              \
    }
/* Made of interposed calls, so without the lock; `simulated` is the answer as it stands. */
#define CALL_COMPOSITE(returns, name, params, args, number, when, simulated)                       \
    REAL(returns, name, params, args, number)                                                      \
    returns name params                                                                            \
    {                                                                                              \
        return (when) ? simulated : real_##name args;                                              \
    }
/* Another name of an interposed call. */
#define CALL_ALIAS(returns, name, params, expression)                                              \
    returns name params                                                                            \
    {                                                                                              \
        return expression;                                                                         \
    }
/* Not supported on a simulated file: says so, and answers the error. */
#define CALL_REFUSED(returns, name, params, args, when, path, error)                               \
    CALL(returns, name, params, args, NO_NUMBER, when, layer_refuse(#name, path, error))

#endif

#include "posix_calls.def"

#undef CALL
#undef CALL_POINTER
#undef CALL_VARIADIC
#undef CALL_VOID
#undef CALL_COMPOSITE
#undef CALL_ALIAS
#undef CALL_REFUSED
