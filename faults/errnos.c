/* errnos.c: with which errors a call may fail, by the manual pages of what the calls of a program
 * become: open(2), mkdir(2), write(2), truncate(2), fallocate(2), link(2), symlink(2), unlink(2),
 * rmdir(2), rename(2), fsync(2), read(2), close(2), stat(2), getdents(2), mmap(2). Left out is what
 * only a wrong argument can cause. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "powercut/fault.h"

#define LIST_MAX 10

static const int legal[PC_CALL_KINDS][LIST_MAX] = {
    [PC_CALL_CREATE] = {EIO, ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EACCES, EROFS, EINTR},
    [PC_CALL_MKDIR] = {EIO, ENOSPC, EDQUOT, EMLINK, ENOMEM, EACCES, EROFS},
    [PC_CALL_WRITE] = {EIO, ENOSPC, EDQUOT, EFBIG, EINTR, EPERM},
    [PC_CALL_TRUNCATE] = {EIO, ENOSPC, EDQUOT, EFBIG, EINTR, EROFS, EPERM},
    [PC_CALL_ALLOCATE] = {EIO, ENOSPC, EDQUOT, EFBIG, EINTR, EOPNOTSUPP, EPERM},
    [PC_CALL_PUNCH] = {EIO, ENOSPC, EDQUOT, EINTR, EOPNOTSUPP, EPERM},
    [PC_CALL_ZERO_RANGE] = {EIO, ENOSPC, EDQUOT, EINTR, EOPNOTSUPP, EPERM},
    [PC_CALL_LINK] = {EIO, ENOSPC, EDQUOT, EMLINK, ENOMEM, EACCES, EROFS},
    [PC_CALL_SYMLINK] = {EIO, ENOSPC, EDQUOT, ENOMEM, EACCES, EROFS},
    [PC_CALL_UNLINK] = {EIO, ENOSPC, EBUSY, ENOMEM, EACCES, EROFS},
    [PC_CALL_RMDIR] = {EIO, ENOSPC, EBUSY, ENOMEM, EACCES, EROFS},
    [PC_CALL_RENAME] = {EIO, ENOSPC, EDQUOT, EBUSY, EMLINK, ENOMEM, EACCES, EROFS},
    [PC_CALL_FSYNC] = {EIO, ENOSPC, EDQUOT, EINTR, EROFS},
    [PC_CALL_FDATASYNC] = {EIO, ENOSPC, EDQUOT, EINTR, EROFS},
    [PC_CALL_SYNC] = {EIO, ENOSPC, EDQUOT},
    [PC_CALL_MSYNC] = {EIO, ENOSPC, EBUSY},
    [PC_CALL_READ] = {EIO, EINTR},
    [PC_CALL_OPEN] = {EIO, EMFILE, ENFILE, ENOMEM, EACCES, EINTR, ETXTBSY},
    [PC_CALL_CLOSE] = {EIO, ENOSPC, EDQUOT, EINTR},
    [PC_CALL_STAT] = {EIO, ENOMEM, EACCES},
    [PC_CALL_LIST] = {EIO, ENOMEM},
    [PC_CALL_MMAP] = {ENOMEM, EAGAIN, ENFILE, EPERM},
};

static const struct {
    int error;
    const char *name;
} names[] = {
    {EIO, "EIO"},       {ENOSPC, "ENOSPC"}, {EDQUOT, "EDQUOT"},   {EMFILE, "EMFILE"},
    {ENFILE, "ENFILE"}, {ENOMEM, "ENOMEM"}, {EACCES, "EACCES"},   {EROFS, "EROFS"},
    {EINTR, "EINTR"},   {EMLINK, "EMLINK"}, {EFBIG, "EFBIG"},     {EPERM, "EPERM"},
    {EBUSY, "EBUSY"},   {EAGAIN, "EAGAIN"}, {ETXTBSY, "ETXTBSY"}, {EOPNOTSUPP, "EOPNOTSUPP"},
};

int pc_errno_of(enum pc_call_kind call, uint32_t index)
{
    return call < PC_CALL_KINDS && index < LIST_MAX ? legal[call][index] : 0;
}

bool pc_errno_legal(enum pc_call_kind call, int error)
{
    for (int kind = 0; kind < PC_CALL_KINDS; kind++)
        for (uint32_t i = 0; pc_call_in(call, (enum pc_call_kind)kind) && i < LIST_MAX; i++)
            if (error && legal[kind][i] == error)
                return true;
    return false;
}

const char *pc_errno_name(int error)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].error == error)
            return names[i].name;
    return NULL;
}

bool pc_errno_from_name(const char *name, int *error)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, name) == 0) {
            *error = names[i].error;
            return true;
        }
    return false;
}
