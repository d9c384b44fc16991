/* posix_open.c: open and its relatives, and temporary files. The order of the checks is Linux's
 * (fs/namei.c), because programs look at errno. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include "unnamed.h"

#include <unistd.h>

static uint32_t temporary_number;

/* May this inode, which was there before, be opened so? */
static int may_open(int flags, enum disk_kind kind)
{
    bool changes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);

    if ((flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (kind == DISK_DIRECTORY && ((flags & O_CREAT) || changes))
        return -EISDIR;
    if (kind == DISK_DIRECTORY)
        return flags & O_DIRECT ? -EINVAL : 0;
    if (flags & O_DIRECTORY)
        return -ENOTDIR;
    return kind == DISK_SYMLINK && !(flags & O_PATH) ? -ELOOP : 0;
}

/* The end of a path at which a file may be made: what is there, or *created and nothing is. A link
 * at the end may lead to where nothing is yet. */
static int find_to_make(struct place *place, bool follow, uint32_t *ino, enum disk_kind *kind,
                        bool *created)
{
    for (;;) {
        int st;

        if (place->last == PLACE_NAME && place->slash)
            return -EISDIR;
        st = place_look(place, ino, kind);
        *created = st == -ENOENT;
        if (*created)
            return place_free(place);
        if (st || *kind != DISK_SYMLINK || !follow)
            return st;
        st = place_follow(place, *ino);
        if (st)
            return st;
    }
}

/* Finds or makes the file. */
static int find_or_create(int dirfd, const char *path, int flags, uint32_t *ino,
                          enum disk_kind *kind, bool *created)
{
    struct place place;
    int st = place_find(dirfd, path, &place);

    *created = false;
    if (st)
        return st;
    st = flags & O_CREAT
             ? find_to_make(&place, !(flags & (O_EXCL | O_NOFOLLOW)), ino, kind, created)
             : place_inode(&place, !(flags & O_NOFOLLOW), ino, kind);
    if (st)
        return st;
    if (!*created)
        return may_open(flags, *kind);
    *kind = DISK_FILE;
    return disk_create(layer.disk, place.dir, place.name, place.len, ino);
}

static long open_inode(int fd, int dirfd, const char *path, int flags)
{
    struct file *file;
    enum disk_kind kind;
    uint32_t ino;
    bool created;
    int st = find_or_create(dirfd, path, flags, &ino, &kind, &created);

    if (st)
        return st;
    if (!created && !(flags & O_PATH)) {
        st = disk_ask(layer.disk, PC_CALL_OPEN, ino);
        if (st)
            return st;
    }
    if ((flags & O_TRUNC) && !created) {
        st = disk_truncate(layer.disk, ino, 0);
        if (st)
            return st;
        map_resized(ino);
    }
    file = file_new(ino, kind, flags, path);
    if (!file)
        return -ENFILE;
    fd_install(fd, file, flags & O_CLOEXEC);
    return fd;
}

static bool is_tmpfile(int flags)
{
    return (flags & O_TMPFILE) == O_TMPFILE;
}

/* A file without a name, which linkat may give it later. */
static long open_tmpfile(int fd, int dirfd, const char *path, int flags)
{
    struct file *file;
    enum disk_kind kind;
    uint32_t dir;
    int st = path_inode(dirfd, path, flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &dir, &kind);

    if (!st && kind != DISK_DIRECTORY)
        st = -ENOTDIR;
    if (!st)
        st = disk_ask(layer.disk, PC_CALL_CREATE, dir);
    if (st)
        return st;
    file = file_new(disk_create_unnamed(layer.disk), DISK_FILE, flags, path);
    if (!file)
        return -ENFILE;
    file->linkable = !(flags & O_EXCL);
    fd_install(fd, file, flags & O_CLOEXEC);
    return fd;
}

long sim_openat(int dirfd, const char *path, int flags)
{
    long st;
    int fd;

    if (flags & O_PATH)
        flags &= O_PATH | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW;
    if ((flags & O_CREAT) && (flags & O_DIRECTORY))
        return -EINVAL;
    if (is_tmpfile(flags) && (flags & O_ACCMODE) == O_RDONLY)
        return -EINVAL;
    fd = fd_reserve();
    if (fd < 0)
        return fd;
    st = is_tmpfile(flags) ? open_tmpfile(fd, dirfd, path, flags)
                           : open_inode(fd, dirfd, path, flags);
    if (st < 0)
        fd_unreserve(fd);
    return st;
}

long sim_reopen(int fd, int flags)
{
    struct file *file;
    int to, st = fd_file(fd, &file);

    if (!st)
        st = may_open(flags & ~O_EXCL, file->kind);
    if (!st && (flags & O_TRUNC))
        st = disk_truncate(layer.disk, file->ino, 0);
    if (st)
        return st;
    map_resized(file->ino);
    to = fd_reserve();
    if (to < 0)
        return to;
    file = file_new(file->ino, file->kind, flags, file->path);
    if (!file) {
        fd_unreserve(to);
        return -ENFILE;
    }
    fd_install(to, file, flags & O_CLOEXEC);
    return to;
}

/* ---- temporary names: counted, so that a run repeats ---- */

void open_restart(void)
{
    temporary_number = 0;
}

/* The six letters that are replaced, or NULL. */
static char *six(char *template, int suffix)
{
    size_t len = strlen(template);

    if (suffix < 0 || len < 6 + (size_t)suffix)
        return NULL;
    template += len - (size_t)suffix - 6;
    return memcmp(template, "XXXXXX", 6) ? NULL : template;
}

static void fill_six(char *six_letters)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    uint32_t number = __atomic_fetch_add(&temporary_number, 1, __ATOMIC_RELAXED);

    for (int i = 5; i >= 0; i--) {
        six_letters[i] = letters[number % 36];
        number /= 36;
    }
}

int whole_mkstemp(char *template, int suffix, int flags)
{
    char *place = six(template, suffix);
    int fd = -1;

    if (!place) {
        errno = EINVAL;
        return -1;
    }
    do {
        fill_six(place);
        fd = open(template, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL, 0600);
    } while (fd < 0 && errno == EEXIST);
    return fd;
}

char *whole_mkdtemp(char *template)
{
    char *place = six(template, 0);
    int st;

    if (!place) {
        errno = EINVAL;
        return NULL;
    }
    do {
        fill_six(place);
        st = mkdir(template, 0700);
    } while (st && errno == EEXIST);
    return st ? NULL : template;
}
