/* names.c: directories of a running disk: lookup, the calls that change names, and their micro-ops.
 *
 *   N1 A change of names is one node with an effect per entry; models that split names issue one
 *      node per entry, and empty the file that loses its last name first.
 *      With a tree log a rename between directories is a node that adds and one that removes.
 *   N2 Without a journal a node needs the one before it on each of its entries; with one, the
 *      newest node of the journal.
 *   N3 A node waits for a sync of each directory that it has an entry in, and with a journal also
 *      for one of each inode that gains, moves or loses a name.
 *   N4 In models that leap a node depends on the one before it on each of its entries and on all
 *      that created or moved a directory in which it has one; without a tree log also on the newest
 *      of each of its directories and inodes and on the newest T of the latter; with one, the half
 *      that removes on the half that adds. */
#include "inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"

const char *disk_join(struct pc_disk *disk, const struct inode *dir, const char *name, size_t len)
{
    size_t dir_len = strlen(dir->path);
    char *path = arena_alloc(&disk->arena, dir_len + len + 2);

    memcpy(path, dir->path, dir_len);
    if (dir_len)
        path[dir_len++] = '/';
    memcpy(path + dir_len, name, len);
    path[dir_len + len] = '\0';
    return path;
}

/* ---- entries of the volatile view ---- */

static struct entry *entry_find(struct inode *dir, const char *name, size_t len)
{
    for (uint32_t i = 0; i < dir->entry_count; i++)
        if (dir->entries[i].len == len && memcmp(dir->entries[i].name, name, len) == 0)
            return &dir->entries[i];
    return NULL;
}

static struct entry *entry_add(struct pc_disk *disk, struct inode *dir, const char *name,
                               size_t len, uint32_t ino)
{
    if (dir->entry_count == dir->entry_room) {
        uint32_t room = dir->entry_room ? dir->entry_room * 2 : 16;
        struct entry *entries = arena_alloc(&disk->arena, room * sizeof *entries);

        if (dir->entry_count)
            memcpy(entries, dir->entries, dir->entry_count * sizeof *entries);
        dir->entries = entries;
        dir->entry_room = room;
    }
    dir->entries[dir->entry_count] =
        (struct entry){arena_text(&disk->arena, name, len), (uint32_t)len, ino, NONE};
    return &dir->entries[dir->entry_count++];
}

static bool below(const struct pc_disk *disk, const struct inode *inode)
{
    if (disk->image)
        return inode->ino < disk->image->disk->inode_count;
    return tree_inode(disk->base, inode->ino) != NULL;
}

/* The entry of a name, present or absent; made when it was never looked at. */
struct entry *disk_entry(struct pc_disk *disk, struct inode *dir, const char *name, size_t len)
{
    struct entry *entry = entry_find(dir, name, len);
    uint32_t ino = 0;

    if (entry)
        return entry;
    if (!dir->listed && below(disk, dir))
        ino = disk->image ? image_name(disk->image, dir->ino, name, len)
                          : tree_find(tree_inode(disk->base, dir->ino), name, len);
    return entry_add(disk, dir, name, len, ino);
}

struct listing {
    struct pc_disk *disk;
    struct inode *dir;
};

static void load_name(void *ctx, const char *name, size_t len, uint32_t ino)
{
    struct listing *listing = ctx;

    if (entry_find(listing->dir, name, len) == NULL)
        entry_add(listing->disk, listing->dir, name, len, ino);
}

void disk_load_names(struct pc_disk *disk, struct inode *dir)
{
    struct listing listing = {disk, dir};

    if (dir->listed)
        return;
    if (below(disk, dir)) {
        if (disk->image) {
            image_names(disk->image, dir->ino, load_name, &listing);
        } else {
            const struct tree_inode *base = tree_inode(disk->base, dir->ino);

            for (uint32_t i = 0; i < base->name_count; i++)
                load_name(&listing, base->names[i].name, base->names[i].len, base->names[i].ino);
        }
    }
    dir->listed = true;
}

static void count_below(struct pc_disk *disk, uint32_t dir)
{
    struct inode *inode = disk_inode(disk, dir);

    disk_load_names(disk, inode);
    for (uint32_t i = 0; i < inode->entry_count; i++) {
        uint32_t ino = inode->entries[i].ino;
        struct inode *child;

        if (ino == 0)
            continue;
        if (disk->inodes[ino] == NULL)
            disk_inode(disk, ino)->links = 0;
        child = disk->inodes[ino];
        if (child->links++ == 0 && child->kind == DISK_DIRECTORY)
            count_below(disk, ino);
    }
}

/* Of what was there at boot nobody knows how many names survived: they are counted, all at once,
 * when first needed. This looks at all names and moves the tables of entries. */
void disk_count_links(struct pc_disk *disk)
{
    if (disk->links_counted)
        return;
    disk->links_counted = true;
    for (uint32_t i = 0; i < disk->inode_count; i++)
        if (disk->inodes[i])
            disk->inodes[i]->links = 0;
    disk_inode(disk, DISK_ROOT)->links = 1;
    count_below(disk, DISK_ROOT);
}

static struct inode *child_of(struct pc_disk *disk, struct inode *dir, const struct entry *entry)
{
    struct inode *child = disk_inode(disk, entry->ino);

    if (!child->named) {
        child->named = true;
        child->parent = dir->ino;
        child->path = disk_join(disk, dir, entry->name, entry->len);
    }
    return child;
}

int disk_lookup(struct pc_disk *disk, uint32_t dir, const char *name, size_t len, uint32_t *ino)
{
    struct inode *parent = disk_inode(disk, dir);
    struct entry *entry;

    disk_step(disk);
    if (parent->kind != DISK_DIRECTORY)
        return -ENOTDIR;
    if (len > DISK_NAME_MAX)
        return -ENAMETOOLONG;
    entry = disk_entry(disk, parent, name, len);
    if (entry->ino == 0)
        return -ENOENT;
    *ino = child_of(disk, parent, entry)->ino;
    return 0;
}

uint32_t disk_parent(struct pc_disk *disk, uint32_t dir)
{
    return disk_inode(disk, dir)->parent;
}

/* ---- listing ---- */

struct ordered {
    uint64_t key;
    struct disk_dirent entry;
};

static int by_key(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return strcmp(x->entry.name, y->entry.name);
}

int disk_list(struct pc_disk *disk, uint32_t dir, struct disk_dirent **entries, size_t *count)
{
    struct inode *inode = disk_inode(disk, dir);
    struct ordered *ordered;
    size_t n = 0, bytes = 0;
    char *text;

    disk_step(disk);
    if (inode->kind != DISK_DIRECTORY)
        return -ENOTDIR;
    disk_load_names(disk, inode);
    for (uint32_t i = 0; i < inode->entry_count; i++)
        bytes += inode->entries[i].len + 1;
    ordered = malloc((inode->entry_count + 1) * sizeof *ordered);
    *entries = malloc((inode->entry_count + 1) * sizeof **entries + bytes);
    must(ordered != NULL);
    must(*entries != NULL);
    for (uint32_t i = 0; i < inode->entry_count; i++) {
        const struct entry *entry = &inode->entries[i];
        uint64_t key = disk->config.seed;

        if (entry->ino == 0)
            continue;
        for (uint32_t c = 0; c < entry->len; c++)
            key = rng_mix(key ^ (uint8_t)entry->name[c]);
        ordered[n++] =
            (struct ordered){key, {entry->name, entry->ino, child_of(disk, inode, entry)->kind}};
    }
    qsort(ordered, n, sizeof *ordered, by_key);
    text = (char *)(*entries + inode->entry_count + 1);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(ordered[i].entry.name) + 1;

        (*entries)[i] = ordered[i].entry;
        (*entries)[i].name = memcpy(text, ordered[i].entry.name, len);
        text += len;
    }
    free(ordered);
    *count = n;
    return 0;
}

/* ---- micro-ops of names ---- */

void names_begin(struct pc_disk *disk)
{
    crack_begin(disk, true);
    if (disk->rules->journal) {
        log_edge(&disk->log, disk->log.last_journal);
        disk->log.last_journal = disk->log.node_count - 1;
    }
}

static void add_move(struct pc_disk *disk, struct inode *dir, uint32_t node)
{
    if (dir->move_count && dir->moves[dir->move_count - 1] == node)
        return;
    if (dir->move_count == dir->move_room) {
        uint32_t room = dir->move_room ? dir->move_room * 2 : 2;
        uint32_t *moves = arena_alloc(&disk->arena, room * sizeof *moves);

        if (dir->move_count)
            memcpy(moves, dir->moves, dir->move_count * sizeof *moves);
        dir->moves = moves;
        dir->move_room = room;
    }
    dir->moves[dir->move_count++] = node;
}

/* N4, for an inode that gains or loses a name by the newest node. */
static void depend_on_inode(struct pc_disk *disk, struct inode *named)
{
    uint32_t node = disk->log.node_count - 1;

    if (!disk->rules->leaps)
        return;
    if (!disk->rules->tree_log) {
        log_depend(&disk->log, named->last_named);
        log_depend(&disk->log, named->last_cut);
    }
    named->last_named = node;
    if (named->kind == DISK_DIRECTORY)
        add_move(disk, named, node);
}

/* N4, for a directory in which the newest node has an entry. */
static void depend_on_directory(struct pc_disk *disk, struct inode *dir)
{
    if (!disk->rules->leaps)
        return;
    if (!disk->rules->tree_log)
        log_depend(&disk->log, dir->last_entry);
    dir->last_entry = disk->log.node_count - 1;
    for (uint32_t i = 0; i < dir->move_count; i++)
        log_depend(&disk->log, dir->moves[i]);
}

void names_entry(struct pc_disk *disk, struct inode *dir, struct entry *entry, uint32_t ino,
                 struct inode *named)
{
    struct effect effect = {.kind = PC_ITEM_NAME,
                            .ino = ino,
                            .unit = dir->ino,
                            .prev = entry->last,
                            .path = disk_join(disk, dir, entry->name, entry->len)};

    if (entry->last != NONE) {
        uint32_t before = disk->log.effects[entry->last].node;

        if (!disk->rules->journal)
            log_edge(&disk->log, before);
        log_depend(&disk->log, before);
    }
    depend_on_directory(disk, dir);
    depend_on_inode(disk, named);
    entry->last = log_effect(&disk->log, &effect);
    entry->ino = ino;
    disk_pend(disk, dir, PEND_ENTRY);
    disk_pend(disk, named, PEND_NAME);
}

void names_victim(struct pc_disk *disk, struct inode *victim)
{
    depend_on_inode(disk, victim);
    disk_pend(disk, victim, PEND_NAME);
}

/* `target`: of a symbolic link, else NULL. */
static int add_new(struct pc_disk *disk, uint32_t dir, const char *name, size_t len,
                   enum disk_kind kind, const char *target, uint32_t *ino)
{
    static const enum pc_call_kind calls[] = {[DISK_FILE] = PC_CALL_CREATE,
                                              [DISK_DIRECTORY] = PC_CALL_MKDIR,
                                              [DISK_SYMLINK] = PC_CALL_SYMLINK};
    struct inode *parent = disk_inode(disk, dir);
    struct pc_call call = {.kind = calls[kind]};
    struct inode *inode;
    struct entry *entry;
    int err;

    if (parent->kind != DISK_DIRECTORY)
        return -ENOTDIR;
    if (len > DISK_NAME_MAX)
        return -ENAMETOOLONG;
    if (disk_entry(disk, parent, name, len)->ino != 0)
        return -EEXIST;
    call.path = disk_join(disk, parent, name, len);
    if (target)
        call.to = target = arena_text(&disk->arena, target, strlen(target));
    err = disk_refused(disk, &call);
    if (err)
        return err;
    disk_call(disk, &call);
    inode = disk_new_inode(disk, kind, dir, call.path);
    inode->named = true;
    inode->target = target;
    inode->size = target ? strlen(target) : 0;
    entry = disk_entry(disk, parent, name, len);
    names_begin(disk);
    inode->created = disk->log.node_count - 1;
    names_entry(disk, parent, entry, inode->ino, inode);
    if (ino)
        *ino = inode->ino;
    return 0;
}

int disk_create(struct pc_disk *disk, uint32_t dir, const char *name, size_t len, uint32_t *ino)
{
    return add_new(disk, dir, name, len, DISK_FILE, NULL, ino);
}

int disk_mkdir(struct pc_disk *disk, uint32_t dir, const char *name, size_t len)
{
    return add_new(disk, dir, name, len, DISK_DIRECTORY, NULL, NULL);
}

int disk_symlink(struct pc_disk *disk, uint32_t dir, const char *name, size_t len,
                 const char *target)
{
    return add_new(disk, dir, name, len, DISK_SYMLINK, target, NULL);
}

const char *disk_target(struct pc_disk *disk, uint32_t ino)
{
    return disk_inode(disk, ino)->target;
}

int disk_link(struct pc_disk *disk, uint32_t ino, uint32_t dir, const char *name, size_t len)
{
    struct inode *inode = disk_inode(disk, ino), *parent = disk_inode(disk, dir);
    struct pc_call call = {.kind = PC_CALL_LINK, .path = inode->path};
    int err;

    if (parent->kind != DISK_DIRECTORY)
        return -ENOTDIR;
    if (inode->kind == DISK_DIRECTORY)
        return -EPERM;
    if (len > DISK_NAME_MAX)
        return -ENAMETOOLONG;
    if (disk_entry(disk, parent, name, len)->ino != 0)
        return -EEXIST;
    call.to = disk_join(disk, parent, name, len);
    err = disk_refused(disk, &call);
    if (err)
        return err;
    disk_call(disk, &call);
    disk->hard_links = true;
    inode->links++;
    names_begin(disk);
    if (!inode->named && !below(disk, inode)) { /* its first name */
        inode->created = disk->log.node_count - 1;
        inode->named = true;
        inode->parent = dir;
        inode->path = call.to;
    }
    names_entry(disk, parent, disk_entry(disk, parent, name, len), ino, inode);
    return 0;
}

/* A file is about to lose a name: where names are split it is emptied with the last one, so the
 * links have been counted. */
static void lose_name(struct pc_disk *disk, struct inode *inode)
{
    must(disk->links_counted || !(disk->rules->split_names || disk->accounted));
    if (inode->kind == DISK_FILE && disk->rules->split_names && inode->links == 1) {
        disk_load_size(disk, inode);
        if (inode->size > 0)
            crack_vanish(disk, inode);
    }
    if (inode->links > 0)
        inode->links--;
    space_dropped(disk, inode);
}

static bool is_empty(struct pc_disk *disk, struct inode *dir)
{
    disk_load_names(disk, dir);
    for (uint32_t i = 0; i < dir->entry_count; i++)
        if (dir->entries[i].ino != 0)
            return false;
    return true;
}

/* Does an unlink that comes now have to wait? */
static bool defers(const struct pc_disk *disk)
{
    return disk->defer_at != NEVER && disk->log.call_count < disk->defer_until &&
           (disk->deferred_count || disk->log.call_count == disk->defer_at) &&
           disk->deferred_count < sizeof disk->deferred / sizeof disk->deferred[0];
}

static int remove_name(struct pc_disk *disk, uint32_t dir, const char *name, size_t len,
                       enum disk_kind kind)
{
    struct inode *parent = disk_inode(disk, dir), *inode;
    struct pc_call call = {.kind = kind == DISK_FILE ? PC_CALL_UNLINK : PC_CALL_RMDIR};
    struct entry *entry;
    int err;

    if (parent->kind != DISK_DIRECTORY)
        return -ENOTDIR;
    if (len > DISK_NAME_MAX)
        return -ENAMETOOLONG;
    entry = disk_entry(disk, parent, name, len);
    if (entry->ino == 0)
        return -ENOENT;
    inode = child_of(disk, parent, entry);
    if ((inode->kind == DISK_DIRECTORY) != (kind == DISK_DIRECTORY))
        return kind == DISK_FILE ? -EISDIR : -ENOTDIR;
    if (kind == DISK_DIRECTORY && !is_empty(disk, inode))
        return -ENOTEMPTY;
    call.path = disk_join(disk, parent, name, len);
    if (kind == DISK_FILE && defers(disk)) {
        disk->deferred[disk->deferred_count++] = (struct deferred){entry->name, dir, entry->len};
        return 0;
    }
    err = disk_refused(disk, &call);
    if (err)
        return err;
    if (disk->rules->split_names || disk->accounted)
        disk_count_links(disk);
    disk_call(disk, &call);
    lose_name(disk, inode);
    names_begin(disk);
    names_entry(disk, parent, disk_entry(disk, parent, name, len), 0, inode);
    return 0;
}

int disk_unlink(struct pc_disk *disk, uint32_t dir, const char *name, size_t len)
{
    return remove_name(disk, dir, name, len, DISK_FILE);
}

int disk_rmdir(struct pc_disk *disk, uint32_t dir, const char *name, size_t len)
{
    return remove_name(disk, dir, name, len, DISK_DIRECTORY);
}

/* May `moved` be put in place of `target` (NULL: nothing is there), in directory `to_dir`? */
static int may_replace(struct pc_disk *disk, const struct inode *moved, struct inode *target,
                       uint32_t to_dir)
{
    if (moved->kind == DISK_DIRECTORY) {
        for (uint32_t up = to_dir;; up = disk_inode(disk, up)->parent) {
            if (up == moved->ino)
                return -EINVAL;
            if (up == DISK_ROOT)
                break;
        }
    }
    if (target == NULL)
        return 0;
    if (target->kind == DISK_DIRECTORY) {
        if (moved->kind != DISK_DIRECTORY)
            return -EISDIR;
        return is_empty(disk, target) ? 0 : -ENOTEMPTY;
    }
    return moved->kind == DISK_DIRECTORY ? -ENOTDIR : 0;
}

/* The halves of a rename between directories. In between the file has both names. */
static void crack_halves(struct pc_disk *disk, struct inode *from, struct entry *source,
                         struct inode *to, struct entry *target, struct inode *moved,
                         struct inode *victim)
{
    uint32_t add;

    if (moved->kind != DISK_DIRECTORY)
        disk->hard_links = true;
    if (victim)
        lose_name(disk, victim);
    names_begin(disk);
    add = disk->log.node_count - 1;
    disk->log.nodes[add].add_half = true;
    names_entry(disk, to, target, moved->ino, moved);
    if (victim)
        names_victim(disk, victim);
    names_begin(disk);
    log_depend(&disk->log, add);
    names_entry(disk, from, source, 0, moved);
}

static void crack_rename(struct pc_disk *disk, struct inode *from, struct entry *source,
                         struct inode *to, struct entry *target, struct inode *moved,
                         struct inode *victim)
{
    bool split = disk->rules->split_names;

    if (victim)
        lose_name(disk, victim);
    if (victim && split) {
        names_begin(disk);
        names_entry(disk, to, target, 0, victim);
    }
    names_begin(disk);
    names_entry(disk, from, source, 0, moved);
    if (split)
        names_begin(disk);
    names_entry(disk, to, target, moved->ino, moved);
    if (victim && !split)
        names_victim(disk, victim);
}

/* Below a directory that moved the paths are new. */
static void move_paths(struct pc_disk *disk, const struct inode *dir)
{
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        struct inode *child = disk->inodes[i];
        const char *name;

        if (child == NULL || child == dir || !child->named || child->parent != dir->ino)
            continue;
        name = strrchr(child->path, '/');
        child->path = disk_join(disk, dir, name ? name + 1 : child->path,
                                strlen(name ? name + 1 : child->path));
        if (child->kind == DISK_DIRECTORY)
            move_paths(disk, child);
    }
}

int disk_rename(struct pc_disk *disk, uint32_t dir, const char *name, size_t len, uint32_t to_dir,
                const char *to_name, size_t to_len)
{
    struct inode *from = disk_inode(disk, dir), *to = disk_inode(disk, to_dir), *moved;
    struct inode *victim = NULL;
    struct pc_call call = {.kind = PC_CALL_RENAME};
    struct entry *source, *target;
    int err;

    if (from->kind != DISK_DIRECTORY || to->kind != DISK_DIRECTORY)
        return -ENOTDIR;
    if (len > DISK_NAME_MAX || to_len > DISK_NAME_MAX)
        return -ENAMETOOLONG;
    source = disk_entry(disk, from, name, len);
    if (source->ino == 0)
        return -ENOENT;
    moved = child_of(disk, from, source);
    target = disk_entry(disk, to, to_name, to_len);
    if (target->ino)
        victim = child_of(disk, to, target);
    if (victim == moved)
        return 0;
    err = may_replace(disk, moved, victim, to_dir);
    if (err)
        return err;
    call.path = disk_join(disk, from, name, len);
    call.to = disk_join(disk, to, to_name, to_len);
    err = disk_refused(disk, &call);
    if (err)
        return err;
    if (victim && (disk->rules->split_names || disk->accounted))
        disk_count_links(disk);
    disk_call(disk, &call);
    source = disk_entry(disk, from, name, len); /* the tables may have moved */
    target = disk_entry(disk, to, to_name, to_len);
    if (disk->rules->tree_log && from != to)
        crack_halves(disk, from, source, to, target, moved, victim);
    else
        crack_rename(disk, from, source, to, target, moved, victim);
    moved->path = call.to;
    moved->parent = to_dir;
    if (moved->kind == DISK_DIRECTORY)
        move_paths(disk, moved);
    return 0;
}

/* ---- looking from outside ---- */

struct walk {
    struct pc_disk *disk;
    void (*visit)(void *ctx, const struct pc_entry *entry);
    void *ctx;
};

/* Where a walk is. The path is made from the names that led here: where names are split a directory
 * may have two of them, and even be found below itself, which is not entered again. */
struct walk_level {
    const struct walk_level *above;
    uint32_t dir;
    const char *path;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct disk_dirent *)a)->name, ((const struct disk_dirent *)b)->name);
}

static bool is_above(const struct walk_level *level, uint32_t dir)
{
    while (level && level->dir != dir)
        level = level->above;
    return level != NULL;
}

static void walk_dir(struct walk *walk, const struct walk_level *level);

static void walk_entry(struct walk *walk, const struct walk_level *level,
                       const struct disk_dirent *dirent)
{
    struct inode *inode = disk_inode(walk->disk, dirent->ino);
    size_t len = strlen(level->path) + strlen(dirent->name) + 2;
    char *path = malloc(len);
    uint8_t *data = NULL;
    struct pc_entry entry = {path,         inode->kind == DISK_DIRECTORY, NULL, 0, dirent->ino,
                             inode->target};

    must(path != NULL);
    snprintf(path, len, "%s%s%s", level->path, level->path[0] ? "/" : "", dirent->name);
    if (entry.target) {
        entry.data = (const uint8_t *)entry.target;
        entry.size = strlen(entry.target);
    } else if (!entry.is_dir) {
        ssize_t got;

        disk_load_size(walk->disk, inode);
        data = malloc(inode->size + 1);
        must(data != NULL);
        got = disk_read(walk->disk, inode->ino, 0, data, inode->size);
        must(got == (ssize_t)inode->size);
        entry.data = data;
        entry.size = inode->size;
    }
    walk->visit(walk->ctx, &entry);
    free(data);
    if (entry.is_dir && !is_above(level, inode->ino))
        walk_dir(walk, &(struct walk_level){level, inode->ino, path});
    free(path);
}

static void walk_dir(struct walk *walk, const struct walk_level *level)
{
    struct disk_dirent *entries;
    size_t count;
    int err = disk_list(walk->disk, level->dir, &entries, &count);

    must(err == 0);
    qsort(entries, count, sizeof *entries, by_name);
    for (size_t i = 0; i < count; i++)
        walk_entry(walk, level, &entries[i]);
    free(entries);
}

/* Looking from outside is no step of the program. */
void pc_disk_walk(struct pc_disk *disk, void (*visit)(void *ctx, const struct pc_entry *entry),
                  void *ctx)
{
    struct walk walk = {disk, visit, ctx};
    uint64_t steps = disk->steps, limit = disk->step_limit;

    disk->step_limit = UINT64_MAX;
    walk_dir(&walk, &(struct walk_level){NULL, DISK_ROOT, ""});
    disk->steps = steps;
    disk->step_limit = limit;
}
