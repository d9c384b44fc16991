/* fault.c: when a fault fires. A rule counts the calls that match its place and fires on the nth of
 * them, once. All rules count every call, so that adding a rule does not move another. */
#include <fnmatch.h>
#include <string.h>

#include "inner.h"

struct pc_fault *fault_ask(struct pc_disk *disk, enum pc_call_kind kind, const char *path)
{
    struct pc_fault *fired = NULL;
    const char *name;

    if (disk->fault_count == 0)
        return NULL;
    name = strrchr(path, '/');
    name = name ? name + 1 : path;
    for (uint32_t i = 0; i < disk->fault_count; i++) {
        struct pc_fault *rule = disk->faults[i];

        if (rule->call != kind || fnmatch(rule->file, name, 0) != 0)
            continue;
        if (++rule->seen == rule->nth && fired == NULL) {
            rule->fired++;
            fired = rule;
        }
    }
    return fired;
}
