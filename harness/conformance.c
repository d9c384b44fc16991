/* conformance.c: see conformance.h.
 *
 * A state is written as one text, {"d/":null,"d/f":"11.."}, sorted by path, and a set of states is
 * a sorted list of such texts. The expected texts are made from the file, the actual ones from a
 * complete walk over the disk booted on an image. The walk looks at everything, so it decides
 * everything; a chooser that counts through all answers depth first makes it visit every image.
 * '.' stands for a zero byte and '?' for an undefined one, in the file and here.
 *
 * The setup of a trace is made on a disk of its own, which is synced and cut; the trace runs on the
 * disk booted from that image, so nothing of the setup is open when the trace begins. An op is one
 * call that changes or syncs, besides opens and closes of what exists, which are no calls of the
 * log: crash point k is the number of calls that the disk has counted after the first k ops, and a
 * cut inside op k + 1 is one inside the calls between two of those.
 *
 * The file counts in sectors of a few bytes. msync counts in pages, so a trace that has one runs
 * with every byte repeated until a sector is a page; what is read back is folded again. */
#define _GNU_SOURCE
#include "conformance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "json.h"
#include "powercut/disk.h"
#include "powercut/posix.h"

#define MOUNT       "/powercut-conformance"
#define OPS_MAX     64
#define CHOICES_MAX 256
#define IMAGES_MAX  1000000u
#define PATH_LIMIT  256
#define PAGE_BYTES  4096

enum { EXIT_OK = 0, EXIT_MISMATCH = 1, EXIT_FILE = 2 };

/* ---- sets of states ---- */

struct state_set {
    char **items;
    size_t count;
    size_t size_max;
};

static void state_set_release(struct state_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->items[i]);
    free(set->items);
    *set = (struct state_set){0};
}

/* Keeps the list sorted and without doubles; copies `text`. */
static void state_set_add(struct state_set *set, const char *text)
{
    size_t low = 0;
    size_t high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(set->items[middle], text);

        if (order == 0)
            return;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (set->count == set->size_max) {
        set->size_max = set->size_max ? 2 * set->size_max : 16;
        set->items = realloc(set->items, set->size_max * sizeof(*set->items));
        must(set->items);
    }
    memmove(set->items + low + 1, set->items + low, (set->count - low) * sizeof(*set->items));
    set->items[low] = strdup(text);
    must(set->items[low]);
    set->count++;
}

/* Prints, if asked, what is in one set and not in the other; answers how many. */
static size_t state_set_differences(const struct state_set *expected,
                                    const struct state_set *actual, FILE *out)
{
    size_t e = 0;
    size_t a = 0;
    size_t differences = 0;

    while (e < expected->count || a < actual->count) {
        int order = e == expected->count ? 1
                    : a == actual->count ? -1
                                         : strcmp(expected->items[e], actual->items[a]);

        if (order != 0) {
            differences++;
            if (out)
                fprintf(out, "    %s %s\n", order < 0 ? "missing" : "extra  ",
                        order < 0 ? expected->items[e] : actual->items[a]);
        }
        e += order <= 0;
        a += order >= 0;
    }
    return differences;
}

/* ---- one state as text ---- */

struct tree_entry {
    char *path; /* a directory's ends in a slash */
    char *content;
    size_t size;
    bool is_dir;
};

struct tree {
    struct tree_entry *entries;
    size_t count;
    size_t size_max;
};

static void tree_release(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        free(tree->entries[i].path);
        free(tree->entries[i].content);
    }
    free(tree->entries);
    *tree = (struct tree){0};
}

static void tree_add(struct tree *tree, const char *path, bool is_dir, const void *data,
                     size_t size)
{
    struct tree_entry *entry;
    size_t len = strlen(path);
    bool slash = is_dir && (len == 0 || path[len - 1] != '/');

    if (tree->count == tree->size_max) {
        tree->size_max = tree->size_max ? 2 * tree->size_max : 8;
        tree->entries = realloc(tree->entries, tree->size_max * sizeof(*tree->entries));
        must(tree->entries);
    }
    entry = &tree->entries[tree->count++];
    entry->is_dir = is_dir;
    entry->size = size;
    entry->path = malloc(len + 2);
    entry->content = malloc(size + 1);
    must(entry->path && entry->content);
    snprintf(entry->path, len + 2, "%s%s", path, slash ? "/" : "");
    for (size_t i = 0; i < size; i++) {
        char c = ((const char *)data)[i];

        entry->content[i] = c ? c : '.';
    }
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct tree_entry *)a)->path, ((const struct tree_entry *)b)->path);
}

static void tree_write(struct tree *tree, struct json *json)
{
    if (tree->count > 0)
        qsort(tree->entries, tree->count, sizeof(*tree->entries), compare_entries);
    json_clear(json);
    json_object_begin(json);
    for (size_t i = 0; i < tree->count; i++) {
        const struct tree_entry *entry = &tree->entries[i];

        json_key(json, entry->path);
        if (entry->is_dir)
            json_none(json);
        else
            json_bytes(json, bytes_of(entry->content, entry->size));
    }
    json_object_end(json);
}

/* ---- all images of a crash point ---- */

struct choice_stack {
    size_t answers[CHOICES_MAX];
    size_t sizes[CHOICES_MAX];
    size_t depth;    /* answers that are fixed for this walk, or were given in it */
    size_t position; /* questions asked in this walk */
};

static size_t choose(void *ctx, const struct pc_choice *choice)
{
    struct choice_stack *stack = ctx;

    must(choice->n >= 2 && stack->position < CHOICES_MAX);
    if (stack->position == stack->depth) {
        stack->answers[stack->depth] = 0;
        stack->sizes[stack->depth] = choice->n;
        stack->depth++;
    }
    must(stack->sizes[stack->position] == choice->n); /* the same answers, the same question */
    return stack->answers[stack->position++];
}

/* To the next leaf; false after the last. */
static bool choice_stack_advance(struct choice_stack *stack)
{
    must(stack->position == stack->depth);
    stack->position = 0;
    while (stack->depth > 0) {
        size_t top = stack->depth - 1;

        if (++stack->answers[top] < stack->sizes[top])
            return true;
        stack->depth--;
    }
    return false;
}

struct view {
    struct tree tree;
    size_t scale; /* how often each byte is repeated */
};

/* Folds the repeated bytes of a file; '#' where they are not the same, which no state has. */
static void visit(void *ctx, const struct pc_entry *entry)
{
    struct view *view = ctx;
    size_t size = entry->is_dir ? 0 : (entry->size + view->scale - 1) / view->scale;
    uint8_t *folded = malloc(size + 1);

    must(folded);
    for (size_t i = 0; i < size; i++) {
        const uint8_t *from = entry->data + i * view->scale;
        bool whole = (i + 1) * view->scale <= entry->size;

        for (size_t j = 1; whole && j < view->scale; j++)
            whole = from[j] == from[0];
        folded[i] = whole ? from[0] : '#';
    }
    tree_add(&view->tree, entry->path, entry->is_dir, folded, size);
    free(folded);
}

/* Adds every state that the image may turn out to be, and frees it; false: there is no end of
 * them. */
static bool enumerate(struct pc_image *image, size_t scale, struct state_set *set)
{
    struct choice_stack stack = {.depth = 0};
    const struct pc_chooser chooser = {&stack, choose};
    struct pc_disk *looker = NULL;
    struct json json = {0};
    size_t images = 0;

    do {
        struct view view = {.scale = scale};

        pc_image_begin(image, &chooser, PC_FILL_QUESTION_MARK);
        if (looker)
            pc_disk_reboot(looker, image);
        else
            looker = pc_disk_boot(image);
        pc_disk_walk(looker, visit, &view);
        tree_write(&view.tree, &json);
        state_set_add(set, json_written(&json));
        tree_release(&view.tree);
    } while (choice_stack_advance(&stack) && ++images < IMAGES_MAX);
    json_release(&json);
    pc_disk_free(looker);
    pc_image_free(image);
    return images < IMAGES_MAX;
}

/* Adds every state that a power cut inside one of the calls from..to-1 may leave, and at `to`. That
 * one is added although most models have it inside already: xfs and btrfs do not. In the others it
 * must add nothing, which *grew tells. */
static bool enumerate_inside(struct pc_disk *disk, size_t from, size_t to, size_t scale,
                             struct state_set *set, bool *grew)
{
    bool bounded = true;
    size_t count;

    for (size_t call = from; call < to && bounded; call++)
        bounded = enumerate(pc_image_new_inside(disk, call), scale, set);
    count = set->count;
    bounded = bounded && enumerate(pc_image_new(disk, to), scale, set);
    *grew = from < to && set->count > count;
    return bounded;
}

/* ---- performing a trace ---- */

/* One op with all that any op may have. */
struct step {
    const char *op;
    const char *path;
    const char *to;
    const char *data;
    size_t data_len; /* before each byte is repeated */
    size_t scale;
    json_int_t off, size, len; /* bytes of the disk */
    int dsync;
};

/* The bytes to write; free them. */
static uint8_t *step_data(const struct step *step, size_t *size)
{
    uint8_t *data;

    *size = step->data_len * step->scale;
    data = malloc(*size + 1);
    must(data);
    for (size_t i = 0; i < *size; i++)
        data[i] = (uint8_t)step->data[i / step->scale];
    return data;
}

static void full_path(char out[PATH_LIMIT], const char *path)
{
    int n = snprintf(out, PATH_LIMIT, "%s%s%s", MOUNT, *path && strcmp(path, "/") ? "/" : "",
                     strcmp(path, "/") ? path : "");

    must(n > 0 && n < PATH_LIMIT);
    if (n > 1 && out[n - 1] == '/')
        out[n - 1] = '\0';
}

static int step_write(const struct step *step, const char *path, off_t off)
{
    int fd = open(path, O_WRONLY | (step->dsync ? O_DSYNC : 0));
    uint8_t *data;
    size_t size;
    ssize_t n;

    if (fd < 0)
        return -1;
    data = step_data(step, &size);
    n = pwrite(fd, data, size, off);
    free(data);
    close(fd);
    if (n >= 0 && (size_t)n != size)
        errno = EIO;
    return n == (ssize_t)size ? 0 : -1;
}

static int step_append(const struct step *step, const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? step_write(step, path, st.st_size) : -1;
}

/* Maps the file, stores into it or syncs a part of it, and unmaps it. */
static int step_map(const struct step *step, const char *path)
{
    int fd = open(path, O_RDWR);
    bool is_store = strcmp(step->op, "mmap_store") == 0;
    size_t size;
    uint8_t *data = step_data(step, &size);
    size_t end = (size_t)step->off + (is_store ? size : (size_t)step->len);
    struct stat st;
    uint8_t *map = MAP_FAILED;
    int result = -1;

    if (fd < 0 || fstat(fd, &st) != 0)
        goto done;
    if (end > (uint64_t)st.st_size) {
        errno = ENXIO;
        goto done;
    }
    map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        goto done;
    if (is_store) {
        memcpy(map + step->off, data, size);
        pc_observe_mappings();
        result = 0;
    } else {
        result = msync(map + step->off, (size_t)step->len, MS_SYNC);
    }
done:
    if (map != MAP_FAILED)
        munmap(map, (size_t)st.st_size);
    if (fd >= 0)
        close(fd);
    free(data);
    return result;
}

/* Ops on an open file. */
static int step_on_file(const struct step *step, const char *path)
{
    bool writes = strcmp(step->op, "ftruncate") == 0 || strcmp(step->op, "fallocate") == 0 ||
                  strcmp(step->op, "sync_file_range") == 0;
    int fd = open(path, writes ? O_RDWR : O_RDONLY);
    int result = -1;

    if (fd < 0)
        return -1;
    if (strcmp(step->op, "fsync") == 0)
        result = fsync(fd);
    else if (strcmp(step->op, "fdatasync") == 0)
        result = fdatasync(fd);
    else if (strcmp(step->op, "syncfs") == 0)
        result = syncfs(fd);
    else if (strcmp(step->op, "ftruncate") == 0)
        result = ftruncate(fd, step->size);
    else if (strcmp(step->op, "fallocate") == 0)
        result = fallocate(fd, 0, 0, step->size);
    else if (strcmp(step->op, "sync_file_range") == 0)
        result = sync_file_range(fd, step->off, step->len, SYNC_FILE_RANGE_WRITE);
    else
        errno = ENOSYS;
    close(fd);
    return result;
}

static int step_create(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0644);

    return fd < 0 ? -1 : close(fd);
}

/* 0, or -1 and errno. */
static int step_perform(const struct step *step)
{
    char path[PATH_LIMIT];
    char to[PATH_LIMIT];

    full_path(path, step->path);
    full_path(to, step->to);
    if (strcmp(step->op, "creat") == 0)
        return step_create(path);
    if (strcmp(step->op, "mkdir") == 0)
        return mkdir(path, 0755);
    if (strcmp(step->op, "pwrite") == 0)
        return step_write(step, path, step->off);
    if (strcmp(step->op, "append") == 0)
        return step_append(step, path);
    if (strcmp(step->op, "rename") == 0)
        return rename(path, to);
    if (strcmp(step->op, "link") == 0)
        return link(path, to);
    if (strcmp(step->op, "unlink") == 0)
        return unlink(path);
    if (strcmp(step->op, "rmdir") == 0)
        return rmdir(path);
    if (strcmp(step->op, "mmap_store") == 0 || strcmp(step->op, "msync") == 0)
        return step_map(step, path);
    return step_on_file(step, path);
}

/* ---- the file ---- */

struct trace {
    const char *file;
    const char *id;
    json_int_t sector_size;
    size_t scale; /* how often each byte is repeated */
    json_t *setup;
    json_t *ops;
    json_t *expected;
};

struct tally {
    size_t passed;
    size_t failed;
    FILE *out;
    bool verbose;
};

static bool known_op(const char *op)
{
    static const char *const ops[] = {"creat",      "mkdir",     "pwrite",    "append",
                                      "rename",     "link",      "unlink",    "rmdir",
                                      "mmap_store", "msync",     "fsync",     "syncfs",
                                      "fdatasync",  "ftruncate", "fallocate", "sync_file_range"};

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (strcmp(op, ops[i]) == 0)
            return true;
    }
    return false;
}

static bool read_step(const struct trace *trace, size_t index, struct step *step)
{
    json_t *op = json_array_get(trace->ops, index);
    json_error_t error;

    *step = (struct step){.op = "", .path = "/", .to = "/", .data = "", .scale = trace->scale};
    if (json_unpack_ex(op, &error, JSON_STRICT, "{s:s, s?s, s?s, s?s%, s?I, s?I, s?I, s?b}", "op",
                       &step->op, "path", &step->path, "to", &step->to, "data", &step->data,
                       &step->data_len, "off", &step->off, "size", &step->size, "len", &step->len,
                       "dsync", &step->dsync) != 0) {
        fprintf(stderr, "%s: trace %s: op %zu: %s\n", trace->file, trace->id, index + 1,
                error.text);
        return false;
    }
    if (!known_op(step->op) || step->off < 0 || step->size < 0 || step->len < 0) {
        fprintf(stderr, "%s: trace %s: op %zu: unknown op or negative number in '%s'\n",
                trace->file, trace->id, index + 1, step->op);
        return false;
    }
    step->off *= (json_int_t)step->scale;
    step->size *= (json_int_t)step->scale;
    step->len *= (json_int_t)step->scale;
    return true;
}

static bool read_trace(const char *file, json_t *json, struct trace *trace)
{
    json_error_t error;
    const char *title = "";

    *trace = (struct trace){.file = file, .id = "?", .scale = 1};
    if (json_unpack_ex(json, &error, 0, "{s:s, s?s, s:I, s:o, s:o, s:o}", "id", &trace->id, "title",
                       &title, "sector_size", &trace->sector_size, "setup", &trace->setup, "ops",
                       &trace->ops, "expected", &trace->expected) != 0) {
        fprintf(stderr, "%s: trace %s: %s\n", file, trace->id, error.text);
        return false;
    }
    if (!json_is_object(trace->setup) || !json_is_array(trace->ops) ||
        !json_is_object(trace->expected) || json_array_size(trace->ops) > OPS_MAX ||
        trace->sector_size < 1 || trace->sector_size > PAGE_BYTES ||
        (trace->sector_size & (trace->sector_size - 1))) {
        fprintf(stderr, "%s: trace %s: a member is of the wrong type or size\n", file, trace->id);
        return false;
    }
    for (size_t i = 0; i < json_array_size(trace->ops); i++) {
        struct step step;

        if (!read_step(trace, i, &step))
            return false;
        if (strcmp(step.op, "msync") == 0)
            trace->scale = PAGE_BYTES / (size_t)trace->sector_size;
    }
    return true;
}

/* The states that the file allows of a model; `place` is "at" (crash point k) or "inside" (op
 * k + 1). */
static bool read_expected(const struct trace *trace, const char *model, const char *place, size_t k,
                          struct state_set *set)
{
    json_t *of_model = json_object_get(trace->expected, model);
    json_t *states = json_object_get(of_model, "states");
    json_t *at = json_array_get(json_object_get(of_model, place), k);
    struct json json = {0};
    bool good = json_is_array(at) && json_array_size(at) > 0;

    for (size_t i = 0; good && i < json_array_size(at); i++) {
        json_t *index = json_array_get(at, i);
        json_t *state = json_array_get(states, (size_t)json_integer_value(index));
        struct tree tree = {0};
        const char *path;
        json_t *content;

        good = json_is_integer(index) && json_is_object(state);
        if (!good)
            break;
        json_object_foreach(state, path, content)
        {
            const char *text = json_string_value(content);

            tree_add(&tree, path, !text, text, text ? json_string_length(content) : 0);
        }
        tree_write(&tree, &json);
        state_set_add(set, json_written(&json));
        tree_release(&tree);
    }
    json_release(&json);
    if (!good)
        fprintf(stderr, "%s: trace %s: expected.%s.%s[%zu] is missing or broken\n", trace->file,
                trace->id, model, place, k);
    return good;
}

/* ---- one trace under one model ---- */

/* Directories first, then files, then one sync. */
static int perform_setup(const struct trace *trace)
{
    const char *path;
    json_t *content;

    json_object_foreach(trace->setup, path, content)
    {
        struct step step = {.op = "mkdir", .path = path, .to = "/", .scale = 1};

        if (!json_is_string(content) && step_perform(&step) != 0)
            return -1;
    }
    json_object_foreach(trace->setup, path, content)
    {
        struct step create = {.op = "creat", .path = path, .to = "/", .scale = 1};
        struct step write = {.op = "pwrite", .path = path, .to = "/", .scale = trace->scale};

        if (!json_is_string(content))
            continue;
        write.data = json_string_value(content);
        write.data_len = json_string_length(content);
        if (step_perform(&create) != 0 || (write.data_len > 0 && step_perform(&write) != 0))
            return -1;
    }
    return step_perform(&(struct step){.op = "syncfs", .path = "/", .to = "/", .scale = 1});
}

/* A disk that holds the setup and nothing else, all of it durable; NULL: a call failed. */
static struct pc_disk *make_base(const struct trace *trace, enum pc_model model)
{
    uint32_t sector = (uint32_t)(trace->sector_size * (json_int_t)trace->scale);
    struct pc_disk_config config = {.model = model, .unit = sector, .block = sector};
    struct pc_disk *first = pc_disk_new(&config);
    struct pc_image *image;
    struct pc_disk *base;
    int result;
    int error;

    pc_mount(MOUNT, first);
    result = perform_setup(trace);
    error = errno;
    pc_mount(MOUNT, NULL);
    if (result != 0) {
        pc_disk_free(first);
        errno = error;
        return NULL;
    }
    image = pc_image_new(first, pc_disk_call_count(first));
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    base = pc_disk_boot(image);
    pc_disk_settle(base);
    pc_image_free(image);
    pc_disk_free(first);
    return base;
}

/* Performs the ops; calls[k] becomes the crash point after k of them. Answers the number of the op
 * that failed, counted from 1, or 0. */
static size_t perform_ops(const struct trace *trace, struct pc_disk *disk, size_t *calls)
{
    size_t failed = 0;
    int error = 0;

    pc_mount(MOUNT, disk);
    calls[0] = pc_disk_call_count(disk);
    for (size_t i = 0; i < json_array_size(trace->ops) && !failed; i++) {
        struct step step;
        bool good = read_step(trace, i, &step);

        must(good); /* read_trace has seen it */
        if (step_perform(&step) != 0) {
            error = errno;
            failed = i + 1;
        }
        calls[i + 1] = pc_disk_call_count(disk);
    }
    pc_mount(MOUNT, NULL);
    errno = error;
    return failed;
}

/* Compares crash point k or, with `inside`, a cut inside op k + 1. False: the file is broken. */
static bool compare_point(const struct trace *trace, enum pc_model model, struct pc_disk *disk,
                          const size_t *calls, size_t k, bool inside, struct tally *tally)
{
    const char *name = pc_model_name(model);
    bool two_families = model == PC_XFS || model == PC_BTRFS;
    struct state_set expected = {0};
    struct state_set actual = {0};
    bool good = read_expected(trace, name, inside ? "inside" : "at", k, &expected);
    bool bounded;
    bool grew = false;
    size_t differences;

    if (!good)
        goto done;
    if (inside)
        bounded = enumerate_inside(disk, calls[k], calls[k + 1], trace->scale, &actual, &grew);
    else
        bounded = enumerate(pc_image_new(disk, calls[k]), trace->scale, &actual);
    differences = state_set_differences(&expected, &actual, NULL);
    if (bounded && differences == 0 && (!grew || two_families)) {
        tally->passed++;
        goto done;
    }
    tally->failed++;
    fprintf(tally->out, "%s, %s, %sk=%zu: %zu states expected, %zu%s found, %zu differ%s\n",
            trace->id, name, inside ? "inside the call after " : "", k, expected.count,
            actual.count, bounded ? "" : " and more", differences,
            grew && !two_families ? "; some are only at the next point" : "");
    state_set_differences(&expected, &actual, tally->out);
done:
    state_set_release(&expected);
    state_set_release(&actual);
    return good;
}

/* Crash points 0..ops, and inside each op where the model has that. */
static bool run_trace(const struct trace *trace, enum pc_model model, struct tally *tally)
{
    size_t ops = json_array_size(trace->ops);
    size_t insides = model == PC_PROCESS_KILL ? 0 : ops;
    size_t calls[OPS_MAX + 1];
    size_t failed_before = tally->failed;
    struct pc_disk *disk = make_base(trace, model);
    size_t failed_op = 0;
    bool good = true;

    if (disk)
        failed_op = perform_ops(trace, disk, calls);
    if (!disk || failed_op) {
        fprintf(tally->out, "%s, %s: %s %zu failed: %s\n", trace->id, pc_model_name(model),
                disk ? "op" : "the setup, op", failed_op, strerror(errno));
        tally->failed += ops + 1 + insides;
    } else {
        for (size_t k = 0; k <= ops && good; k++)
            good = compare_point(trace, model, disk, calls, k, false, tally);
        for (size_t k = 0; k < insides && good; k++)
            good = compare_point(trace, model, disk, calls, k, true, tally);
    }
    if (disk)
        pc_disk_free(disk);
    if (good && tally->verbose)
        fprintf(tally->out, "%s, %s: %zu crash points, %zu calls cut, %s\n", trace->id,
                pc_model_name(model), ops + 1, insides,
                tally->failed == failed_before ? "equal" : "NOT EQUAL");
    return good;
}

/* ---- the whole file ---- */

static bool choose_models(const char *names, bool chosen[PC_MODELS])
{
    if (!names) {
        for (unsigned m = 0; m < PC_MODELS; m++)
            chosen[m] = pc_model_simulated((enum pc_model)m);
        return true;
    }
    while (*names) {
        size_t n = strcspn(names, ",");
        char name[32];
        enum pc_model model;

        snprintf(name, sizeof(name), "%.*s", (int)n, names);
        if (!pc_model_from_name(name, &model)) {
            fprintf(stderr, "conformance: there is no persistence model '%s'\n", name);
            return false;
        }
        if (!pc_model_simulated(model)) {
            fprintf(stderr, "conformance: model '%s' is not simulated\n", name);
            return false;
        }
        chosen[model] = true;
        names += n + (names[n] == ',');
    }
    return true;
}

static json_t *load(const char *file)
{
    json_error_t error;
    json_t *root = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
    const char *format = json_string_value(json_object_get(root, "format"));
    json_int_t version = json_integer_value(json_object_get(root, "version"));

    if (!root) {
        if (error.line > 0)
            fprintf(stderr, "%s:%d:%d: %s\n", file, error.line, error.column, error.text);
        else
            fprintf(stderr, "%s\n", error.text);
        return NULL;
    }
    if (!format || strcmp(format, "powercut-persistence-conformance") != 0 || version != 2 ||
        json_array_size(json_object_get(root, "traces")) == 0) {
        fprintf(stderr, "%s: not a conformance file of version 2, or without traces\n", file);
        json_decref(root);
        return NULL;
    }
    return root;
}

int conformance_run(const char *file, const char *models, FILE *out, bool verbose)
{
    struct tally tally = {.out = out, .verbose = verbose};
    bool chosen[PC_MODELS] = {false};
    json_t *root = NULL;
    json_t *traces;
    int result = EXIT_FILE;

    if (!choose_models(models, chosen))
        goto done;
    root = load(file);
    if (!root)
        goto done;
    traces = json_object_get(root, "traces");
    for (size_t i = 0; i < json_array_size(traces); i++) {
        struct trace trace;

        if (!read_trace(file, json_array_get(traces, i), &trace))
            goto done;
        for (unsigned m = 0; m < PC_MODELS; m++) {
            if (chosen[m] && !run_trace(&trace, (enum pc_model)m, &tally))
                goto done;
        }
    }
    fprintf(out, "%zu passed, %zu failed\n", tally.passed, tally.failed);
    result = tally.failed == 0 && tally.passed > 0 ? EXIT_OK : EXIT_MISMATCH;
done:
    json_decref(root);
    return result;
}
