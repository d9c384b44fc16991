/* sanitizers.c: how the address sanitizer runs in a fuzz target: a small quarantine that is never
 * given back to the system. What the engine frees is not in it (pen.h poisons that for a whole
 * input); what is in it is small, and fresh pages for every input cost half of the speed. New
 * memory is not filled: reads of what was never written are for valgrind and the memory
 * sanitizer. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=4:"
           "max_malloc_fill_size=0:"
           "allocator_release_to_os_interval_ms=-1:detect_stack_use_after_return=0";
}
