/* posix_walk.c: scandir, ftw, nftw and glob, which libc makes of calls that nobody sees. They are
 * made here of interposed ones, so they run without the lock; what they hand out is malloc'ed, as
 * libc's contract says. */
#define _GNU_SOURCE
#include "posix_layer.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- scandir ---- */

struct listing {
    struct dirent **entries;
    size_t count, room;
};

static void listing_release(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->entries[i]);
    free(listing->entries);
}

static int listing_add(struct listing *listing, const struct dirent *entry)
{
    struct dirent *copy;

    if (listing->count == listing->room) {
        size_t room = listing->room ? listing->room * 2 : 16;
        struct dirent **more = realloc(listing->entries, room * sizeof *more);

        if (!more)
            return ENOMEM;
        listing->entries = more;
        listing->room = room;
    }
    copy = malloc(sizeof *copy);
    if (!copy)
        return ENOMEM;
    memcpy(copy, entry, entry->d_reclen);
    listing->entries[listing->count++] = copy;
    return 0;
}

static int by_order(const void *a, const void *b, void *order)
{
    return (*(entry_order **)order)((const struct dirent **)a, (const struct dirent **)b);
}

int whole_scandir(int dirfd, const char *path, struct dirent ***list, entry_filter *keep,
                  entry_order *order)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct listing listing = {NULL, 0, 0};
    const struct dirent *entry;

    if (!dir)
        return -1;
    while (!error && (entry = readdir(dir))) {
        if (!keep || keep(entry))
            error = listing_add(&listing, entry);
    }
    (void)closedir(dir);
    if (error) {
        listing_release(&listing);
        errno = error;
        return -1;
    }
    if (order && listing.count)
        qsort_r(listing.entries, listing.count, sizeof *listing.entries, by_order, &order);
    *list = listing.entries;
    return (int)listing.count;
}

/* ---- ftw, nftw ---- */

struct walk {
    ftw_visitor *visit;
    nftw_visitor *visit_at; /* one of the two */
    int flags;
    char path[PATH_MAX];
    ino_t *seen; /* the directories so far, where links are followed: each is walked once */
    size_t seen_count, seen_room;
};

static int is_child(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

static int tell(struct walk *walk, const struct stat *st, int type, int base, int level)
{
    struct FTW where = {base, level};

    if (walk->visit) /* it has no word for links */
        type = type == FTW_SL ? FTW_F : type == FTW_SLN ? FTW_NS : type;
    return walk->visit ? walk->visit(walk->path, st, type)
                       : walk->visit_at(walk->path, st, type, &where);
}

static int walk_from(struct walk *walk, int base, int level);

/* The children of the directory at walk->path, in the order of the disk. */
static int walk_children(struct walk *walk, struct dirent **entries, int count, int level)
{
    size_t len = strlen(walk->path);
    bool slash = len && walk->path[len - 1] == '/';
    int st = 0;

    for (int i = 0; i < count && !st; i++) {
        size_t room = sizeof walk->path - len;

        if ((size_t)snprintf(walk->path + len, room, "%s%s", slash ? "" : "/",
                             entries[i]->d_name) >= room) {
            errno = ENAMETOOLONG;
            st = -1;
        } else {
            st = walk_from(walk, (int)len + !slash, level + 1);
        }
        walk->path[len] = '\0';
    }
    return (walk->flags & FTW_ACTIONRETVAL) && st == FTW_SKIP_SIBLINGS ? 0 : st;
}

static int walk_directory(struct walk *walk, const struct stat *st, int base, int level)
{
    struct dirent **entries;
    int count = whole_scandir(AT_FDCWD, walk->path, &entries, is_child, NULL), result = 0;

    if (count < 0)
        return tell(walk, st, FTW_DNR, base, level);
    if (!(walk->flags & FTW_DEPTH))
        result = tell(walk, st, FTW_D, base, level);
    if (!result)
        result = walk_children(walk, entries, count, level);
    else if ((walk->flags & FTW_ACTIONRETVAL) && result == FTW_SKIP_SUBTREE)
        result = 0;
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    if (!result && (walk->flags & FTW_DEPTH))
        result = tell(walk, st, FTW_DP, base, level);
    return result;
}

/* 1: it was walked already; 0: not, and is noted; -1: an error. */
static int walked(struct walk *walk, ino_t ino)
{
    if (walk->flags & FTW_PHYS)
        return 0;
    for (size_t i = 0; i < walk->seen_count; i++) {
        if (walk->seen[i] == ino)
            return 1;
    }
    if (walk->seen_count == walk->seen_room) {
        size_t room = walk->seen_room ? walk->seen_room * 2 : 16;
        ino_t *more = realloc(walk->seen, room * sizeof *more);

        if (!more)
            return -1;
        walk->seen = more;
        walk->seen_room = room;
    }
    walk->seen[walk->seen_count++] = ino;
    return 0;
}

/* What stat cannot say: a link that leads nowhere, or nothing at all. */
static int walk_unknown(struct walk *walk, int base, int level)
{
    bool physical = walk->flags & FTW_PHYS;
    struct stat st;

    if ((errno != EACCES && errno != ENOENT) || (level == 0 && (physical || errno != ENOENT)))
        return -1;
    memset(&st, 0, sizeof st);
    if (!physical && lstat(walk->path, &st) == 0 && S_ISLNK(st.st_mode))
        return tell(walk, &st, FTW_SLN, base, level);
    return level == 0 ? -1 : tell(walk, &st, FTW_NS, base, level);
}

static int walk_from(struct walk *walk, int base, int level)
{
    struct stat st;
    int known;

    if (walk->flags & FTW_PHYS ? lstat(walk->path, &st) : stat(walk->path, &st))
        return walk_unknown(walk, base, level);
    if (!S_ISDIR(st.st_mode))
        return tell(walk, &st, S_ISLNK(st.st_mode) ? FTW_SL : FTW_F, base, level);
    known = walked(walk, st.st_ino);
    if (known)
        return known < 0 ? -1 : 0;
    return walk_directory(walk, &st, base, level);
}

static int walk_start(struct walk *walk, const char *path)
{
    size_t len = strlen(path), base;
    int st;

    if (len >= sizeof walk->path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (walk->flags & FTW_CHDIR) {
        errno = (int)-layer_refuse("nftw with FTW_CHDIR", path, ENOTSUP);
        return -1;
    }
    while (len > 1 && path[len - 1] == '/')
        len--;
    memcpy(walk->path, path, len);
    walk->path[len] = '\0';
    for (base = len; base > 0 && path[base - 1] != '/'; base--)
        ;
    st = walk_from(walk, (int)base, 0);
    free(walk->seen);
    return st;
}

int whole_ftw(const char *path, ftw_visitor *visit)
{
    struct walk walk = {.visit = visit};

    return walk_start(&walk, path);
}

int whole_nftw(const char *path, nftw_visitor *visit, int flags)
{
    struct walk walk = {.visit_at = visit, .flags = flags};

    return walk_start(&walk, path);
}

/* ---- glob: libc's own, told to ask the interposed calls ---- */

static void *glob_opendir(const char *path)
{
    return opendir(path);
}

static struct dirent *glob_readdir(void *dir)
{
    return readdir(dir);
}

static void glob_closedir(void *dir)
{
    (void)closedir(dir);
}

int whole_glob(const char *pattern, int flags, int (*failed)(const char *, int), glob_t *out)
{
    if (!(flags & GLOB_ALTDIRFUNC)) {
        out->gl_opendir = glob_opendir;
        out->gl_readdir = glob_readdir;
        out->gl_closedir = glob_closedir;
        out->gl_stat = stat;
        out->gl_lstat = lstat;
    }
    return real_glob(pattern, flags | GLOB_ALTDIRFUNC, failed, out);
}
