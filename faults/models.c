/* models.c: the persistence models as rows of flags, and the names of kinds. What the flags mean is
 * in log.h; which real systems the rows describe, and from which sources, is in README.md. */
#include <errno.h>
#include <string.h>

#include "log.h"

const struct model_rules model_rules[PC_MODELS] = {
    [PC_PROCESS_KILL] = {.name = "process-kill",
                         .simulated = true,
                         .steps = true,
                         .undefined = true},
    [PC_PREFIX] = {.name = "prefix", .simulated = true, .steps = true, .undefined = true},
    [PC_POSIX] = {.name = "posix", .simulated = true, .undefined = true},
    [PC_POSIX_MIN] = {.name = "posix-min",
                      .simulated = true,
                      .undefined = true,
                      .split_names = true},
    [PC_EXT4_ORDERED] = {.name = "ext4-ordered",
                         .simulated = true,
                         .journal = true,
                         .map_apart = true,
                         .data_first = true},
    [PC_EXT4_WRITEBACK] = {.name = "ext4-writeback",
                           .simulated = true,
                           .journal = true,
                           .undefined = true},
    [PC_XFS] =
        {.name = "xfs", .simulated = true, .journal = true, .data_first = true, .leaps = true},
    [PC_BTRFS] = {.name = "btrfs",
                  .simulated = true,
                  .journal = true,
                  .map_apart = true,
                  .data_first = true,
                  .leaps = true,
                  .tree_log = true},
};

static const char *const call_names[PC_CALL_CLASSES_END] = {
    [PC_CALL_CREATE] = "create",
    [PC_CALL_MKDIR] = "mkdir",
    [PC_CALL_WRITE] = "write",
    [PC_CALL_TRUNCATE] = "truncate",
    [PC_CALL_ALLOCATE] = "allocate",
    [PC_CALL_LINK] = "link",
    [PC_CALL_UNLINK] = "unlink",
    [PC_CALL_RMDIR] = "rmdir",
    [PC_CALL_RENAME] = "rename",
    [PC_CALL_FSYNC] = "fsync",
    [PC_CALL_FDATASYNC] = "fdatasync",
    [PC_CALL_SYNC] = "sync",
    [PC_CALL_SYNC_RANGE] = "sync_range",
    [PC_CALL_STORE] = "store",
    [PC_CALL_MSYNC] = "msync",
    [PC_CALL_OPEN] = "open",
    [PC_CALL_CLOSE] = "close",
    [PC_CALL_STAT] = "stat",
    [PC_CALL_LIST] = "list",
    [PC_CALL_MMAP] = "mmap",
    [PC_CALL_READ] = "read",
    [PC_CALL_PUNCH] = "punch",
    [PC_CALL_ZERO_RANGE] = "zero_range",
    [PC_CALL_SYMLINK] = "symlink",
    [PC_ANY_SYNC] = "any-sync",
    [PC_ANY_NAME] = "any-name",
    [PC_ANY_WRITE] = "any-write",
    [PC_ANY_CALL] = "any",
};

static const char *const fault_names[PC_FAULT_KINDS] = {
    [PC_FAULT_EIO] = "eio",           [PC_FAULT_ENOSPC] = "enospc",
    [PC_FAULT_EINTR] = "eintr",       [PC_FAULT_SHORT] = "short",
    [PC_FAULT_LOSTSYNC] = "lostsync", [PC_FAULT_BITROT] = "bitrot",
    [PC_FAULT_STICKY] = "sticky",     [PC_FAULT_SILENT] = "silent",
    [PC_FAULT_METADATA] = "metadata", [PC_FAULT_ERROR] = "error",
    [PC_FAULT_FLIP] = "flip",         [PC_FAULT_LATENT] = "latent",
    [PC_FAULT_ZEROED] = "zeroed",     [PC_FAULT_STALE] = "stale",
    [PC_FAULT_MISREAD] = "misread",   [PC_FAULT_MISWRITE] = "miswrite",
    [PC_FAULT_SHORN] = "shorn",       [PC_FAULT_FULL] = "full",
};

const char *pc_model_name(enum pc_model model)
{
    return model_rules[model].name;
}

bool pc_model_simulated(enum pc_model model)
{
    return model_rules[model].simulated;
}

bool pc_model_is_lattice(enum pc_model model)
{
    return !model_rules[model].tree_log;
}

bool pc_model_splits_names(enum pc_model model)
{
    return model_rules[model].split_names;
}

bool pc_model_from_name(const char *name, enum pc_model *model)
{
    for (int i = 0; i < PC_MODELS; i++)
        if (strcmp(model_rules[i].name, name) == 0) {
            *model = (enum pc_model)i;
            return true;
        }
    return false;
}

static bool find(const char *const *names, int count, const char *name, int *out)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) {
            *out = i;
            return true;
        }
    return false;
}

bool pc_call_in(enum pc_call_kind place, enum pc_call_kind kind)
{
    switch (place) {
    case PC_ANY_SYNC:
        return kind == PC_CALL_FSYNC || kind == PC_CALL_FDATASYNC || kind == PC_CALL_SYNC ||
               kind == PC_CALL_MSYNC;
    case PC_ANY_NAME:
        return kind == PC_CALL_CREATE || kind == PC_CALL_MKDIR || kind == PC_CALL_LINK ||
               kind == PC_CALL_SYMLINK || kind == PC_CALL_UNLINK || kind == PC_CALL_RMDIR ||
               kind == PC_CALL_RENAME;
    case PC_ANY_WRITE:
        return kind == PC_CALL_WRITE || kind == PC_CALL_TRUNCATE || kind == PC_CALL_ALLOCATE ||
               kind == PC_CALL_PUNCH || kind == PC_CALL_ZERO_RANGE;
    case PC_ANY_CALL:
        return kind != PC_CALL_READ;
    default:
        return kind == place;
    }
}

static bool fits(enum pc_fault_kind kind, enum pc_call_kind call)
{
    bool sync = call == PC_CALL_FSYNC || call == PC_CALL_FDATASYNC || call == PC_CALL_SYNC;

    switch (kind) {
    case PC_FAULT_SHORT:
        return call == PC_CALL_WRITE || call == PC_CALL_READ;
    case PC_FAULT_EINTR:
        return call == PC_CALL_WRITE || call == PC_CALL_READ || sync;
    case PC_FAULT_SILENT:
    case PC_FAULT_MISWRITE:
    case PC_FAULT_SHORN:
        return call == PC_CALL_WRITE;
    case PC_FAULT_STICKY:
        return sync && call != PC_CALL_SYNC;
    case PC_FAULT_METADATA:
        return sync || call == PC_CALL_TRUNCATE || call == PC_CALL_ALLOCATE ||
               pc_call_in(PC_ANY_NAME, call);
    case PC_FAULT_BITROT:
    case PC_FAULT_FLIP:
    case PC_FAULT_LATENT:
    case PC_FAULT_ZEROED:
    case PC_FAULT_STALE:
    case PC_FAULT_MISREAD:
        return call == PC_CALL_READ;
    case PC_FAULT_ENOSPC:
        return pc_errno_legal(call, ENOSPC);
    case PC_FAULT_LOSTSYNC:
        return sync;
    case PC_FAULT_FULL:
        return call == PC_CALL_WRITE || call == PC_CALL_TRUNCATE || call == PC_CALL_ALLOCATE ||
               call == PC_CALL_ZERO_RANGE || call == PC_CALL_FSYNC || call == PC_CALL_FDATASYNC;
    case PC_FAULT_ERROR:
        return pc_errno_of(call, 0) != 0;
    default:
        return pc_errno_legal(call, EIO);
    }
}

bool pc_fault_damages(enum pc_fault_kind kind)
{
    return kind == PC_FAULT_BITROT || kind == PC_FAULT_FLIP || kind == PC_FAULT_ZEROED ||
           kind == PC_FAULT_STALE || kind == PC_FAULT_MISREAD || kind == PC_FAULT_MISWRITE ||
           kind == PC_FAULT_SHORN;
}

bool pc_fault_fits(enum pc_fault_kind kind, enum pc_call_kind call)
{
    for (int i = 0; i < PC_CALL_KINDS; i++)
        if (pc_call_in(call, (enum pc_call_kind)i) && fits(kind, (enum pc_call_kind)i))
            return true;
    return false;
}

const char *pc_call_kind_name(enum pc_call_kind kind)
{
    return call_names[kind];
}

bool pc_call_kind_from_name(const char *name, enum pc_call_kind *kind)
{
    int i;

    if (!find(call_names, PC_CALL_KINDS, name, &i))
        return false;
    *kind = (enum pc_call_kind)i;
    return true;
}

bool pc_call_class_from_name(const char *name, enum pc_call_kind *kind)
{
    int i;

    if (!find(call_names, PC_CALL_CLASSES_END, name, &i))
        return false;
    *kind = (enum pc_call_kind)i;
    return true;
}

const char *pc_fault_kind_name(enum pc_fault_kind kind)
{
    return fault_names[kind];
}

bool pc_fault_kind_from_name(const char *name, enum pc_fault_kind *kind)
{
    int i;

    if (!find(fault_names, PC_FAULT_KINDS, name, &i))
        return false;
    *kind = (enum pc_fault_kind)i;
    return true;
}
