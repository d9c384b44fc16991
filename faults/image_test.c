/* image_test.c: the images of random small traces are those of a brute-force reading of the rules
 * (reference_test.h): all of them and no other, at every crash point, in whatever order one looks,
 * and also on disks that were booted on such an image and ran on. The numbers of legal sets are the
 * count, the models include each other as they should, and nothing synced is missing.
 *
 * The reference counts in small bytes: a unit has 4 (or 1) of them, and the disk gets each repeated
 * `scale` times, which makes units of 512 and blocks of 4096 as cheap as those of 4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/check.h"
#include "base/rng.h"
#include "inner.h"
#include "reference_states_test.h"

#define LEAVES_MAX 1500u

/* ---- the same calls on a disk ---- */

static int disk_resolve(struct pc_disk *disk, const char *path, uint32_t *dir, const char **name,
                        uint32_t *ino)
{
    struct disk_stat st;

    *dir = DISK_ROOT;
    *name = path;
    *ino = 0;
    if (path[0] == '\0') {
        *ino = DISK_ROOT;
        return 0;
    }
    if (path[1] == '/') {
        if (disk_lookup(disk, DISK_ROOT, path, 1, dir) != 0)
            return -1;
        *name = path + 2;
    }
    if (disk_lookup(disk, *dir, *name, 1, ino) != 0)
        *ino = 0;
    else if (disk_stat(disk, *ino, &st) != 0)
        return -1;
    return 0;
}

static int perform_content(struct pc_disk *disk, const struct op *op, uint32_t ino, int scale)
{
    uint8_t buf[BYTES_MAX * 128];
    struct disk_stat st;
    uint64_t off = (uint64_t)op->off * (uint64_t)scale;
    size_t len = (size_t)(op->len * scale);

    disk_stat(disk, ino, &st);
    if (st.kind != DISK_FILE)
        return -1;
    if (op->kind == OP_APPEND)
        off = st.size;
    if (off + len > (uint64_t)(BYTES_MAX * scale))
        return -1;
    memset(buf, op->letter, len);
    switch (op->kind) {
    case OP_TRUNCATE:
        return disk_truncate(disk, ino, off);
    case OP_ALLOCATE:
        return disk_allocate(disk, ino, off, len, op->keep_size);
    case OP_PUNCH:
        return disk_punch(disk, ino, off, len);
    case OP_ZERO:
        return disk_zero_range(disk, ino, off, len, op->keep_size);
    case OP_STORE:
        return off + len > st.size ? -1 : disk_store(disk, ino, off, buf, len);
    case OP_MSYNC:
        return off + len > st.size ? -1 : disk_msync(disk, ino, off, len);
    default:
        return disk_write(disk, ino, off, buf, len, op->dsync) == (ssize_t)len ? 0 : -1;
    }
}

static int perform_name(struct pc_disk *disk, const struct op *op, uint32_t dir, const char *name,
                        uint32_t ino)
{
    uint32_t to_dir = 0, to_ino;
    const char *to_name;

    switch (op->kind) {
    case OP_CREATE:
        return disk_create(disk, dir, name, 1, &ino);
    case OP_MKDIR:
        return disk_mkdir(disk, dir, name, 1);
    case OP_SYMLINK:
        return disk_symlink(disk, dir, name, 1, (const char[]){op->letter, 0});
    case OP_UNLINK:
        return disk_unlink(disk, dir, name, 1);
    case OP_RMDIR:
        return disk_rmdir(disk, dir, name, 1);
    default:
        break;
    }
    if (ino == 0 || disk_resolve(disk, op->to, &to_dir, &to_name, &to_ino) != 0)
        return -1;
    if (op->kind == OP_LINK)
        return disk_link(disk, ino, to_dir, to_name, 1);
    return to_ino == ino ? -1 : disk_rename(disk, dir, name, 1, to_dir, to_name, 1);
}

static bool perform(struct pc_disk *disk, const struct op *op, int scale)
{
    const char *name;
    uint32_t dir, ino;

    if (disk_resolve(disk, op->path, &dir, &name, &ino) != 0)
        return op->kind == OP_SYNC_ALL && disk_sync_all(disk) == 0;
    switch (op->kind) {
    case OP_CREATE:
    case OP_MKDIR:
    case OP_SYMLINK:
    case OP_LINK:
    case OP_UNLINK:
    case OP_RMDIR:
    case OP_RENAME:
        return perform_name(disk, op, dir, name, ino) == 0;
    case OP_SYNC_ALL:
        return disk_sync_all(disk) == 0;
    default:
        break;
    }
    if (ino == 0)
        return false;
    if (op->kind == OP_FSYNC || op->kind == OP_SYNC_DIR || op->kind == OP_FDATASYNC)
        return disk_sync(disk, ino, op->kind == OP_FDATASYNC) == 0;
    if (op->kind == OP_SYNC_RANGE)
        return disk_sync_range(disk, ino, 0, 0) == 0;
    return perform_content(disk, op, ino, scale) == 0;
}

/* ---- looking at an image ---- */

struct view {
    char text[TEXT_MAX];
    size_t at;
    int scale;
};

static void visit(void *ctx, const struct pc_entry *entry)
{
    struct view *view = ctx;
    size_t scale = (size_t)view->scale;

    view->at += (size_t)snprintf(view->text + view->at, TEXT_MAX - view->at, "%s%c", entry->path,
                                 entry->is_dir ? '/' : '=');
    if (entry->target) {
        view->text[view->at++] = '@';
        view->text[view->at++] = *entry->target;
    } else if (!entry->is_dir) {
        must(entry->size % scale == 0);
        for (size_t i = 0; i < entry->size; i += scale) {
            for (size_t j = 1; j < scale; j++)
                must(entry->data[i + j] == entry->data[i]);
            view->text[view->at++] = (char)(entry->data[i] ? entry->data[i] : '.');
        }
    }
    view->text[view->at++] = ';';
    view->text[view->at] = '\0';
    must(view->at < TEXT_MAX);
}

static void look(struct pc_disk *disk, int scale, char *out)
{
    struct view view = {.scale = scale};

    pc_disk_walk(disk, visit, &view);
    memcpy(out, view.text, TEXT_MAX);
}

/* Looks at some places before the others: the order of questions must not matter. */
static void glance(struct pc_disk *disk, uint64_t seed, int scale)
{
    struct rng rng = rng_seeded(seed);

    for (int i = 0; i < 4; i++) {
        uint8_t buf[256];
        const char *name;
        uint32_t dir, ino;
        uint64_t offset = rng_below(&rng, 40) * (uint64_t)scale;

        if (disk_resolve(disk, file_paths[rng_below(&rng, 5)], &dir, &name, &ino) != 0 || ino == 0)
            continue;
        if (disk_read(disk, ino, offset, buf, 2 * (size_t)scale > 256 ? 256 : 2 * (size_t)scale) <
            0)
            continue;
    }
}

/* Answers depth first. */
struct stack {
    size_t answers[256], sizes[256], depth, position;
};

static size_t choose(void *ctx, const struct pc_choice *choice)
{
    struct stack *stack = ctx;

    must(choice->n >= 2 && stack->position < 256);
    for (size_t i = 0; i + 1 < choice->n; i++)
        must(choice->items[i] != PC_ITEM_NONE);
    if (stack->position == stack->depth) {
        stack->answers[stack->depth] = 0;
        stack->sizes[stack->depth++] = choice->n;
    }
    must(stack->sizes[stack->position] == choice->n);
    return stack->answers[stack->position++];
}

static bool advance(struct stack *stack)
{
    stack->position = 0;
    while (stack->depth > 0) {
        if (++stack->answers[stack->depth - 1] < stack->sizes[stack->depth - 1])
            return true;
        stack->depth--;
    }
    return false;
}

static size_t choose_random(void *ctx, const struct pc_choice *choice)
{
    return (size_t)rng_below(ctx, choice->n);
}

/* All trees by lazy search; the weights of the leaves must add up to the count. `strict`: nothing
 * undefined lies beneath, so that the image knows of each undefined byte. */
static void lazy_states(struct pc_image *image, struct pc_disk *looker, int scale, uint64_t seed,
                        bool strict, struct set *out)
{
    struct stack stack = {.depth = 0};
    const struct pc_chooser chooser = {&stack, choose};
    char text[TEXT_MAX];
    mpz_t total, sum, weight;
    bool counted;

    mpz_inits(total, sum, weight, NULL);
    pc_image_begin(image, &chooser, PC_FILL_QUESTION_MARK);
    counted = pc_image_count(image, 100000, total);
    assert_true(counted);
    do {
        pc_image_begin(image, &chooser, PC_FILL_QUESTION_MARK);
        pc_disk_reboot(looker, image);
        if (seed)
            glance(looker, seed, scale);
        look(looker, scale, text);
        if (strict)
            assert_int_equal(pc_image_undefined_seen(image), strchr(text, '?') != NULL);
        set_add(out, text);
        counted = pc_image_count(image, 100000, weight);
        assert_true(counted);
        mpz_add(sum, sum, weight);
    } while (advance(&stack));
    assert_int_equal(mpz_cmp(sum, total), 0);
    mpz_clears(total, sum, weight, NULL);
}

/* All trees by setting items by hand, in issue order; their number is the count. */
static void subset_states(struct pc_image *image, struct pc_disk *looker, int scale,
                          struct set *out)
{
    uint32_t n = (uint32_t)pc_image_items(image);
    uint8_t bits[NODES_MAX], free_[NODES_MAX];
    char text[TEXT_MAX];
    mpz_t total;
    unsigned long sets = 0;
    bool more = true;

    must(n <= NODES_MAX);
    memset(bits, 0, sizeof bits);
    mpz_init(total);
    pc_image_begin(image, NULL, PC_FILL_QUESTION_MARK);
    assert_true(pc_image_count(image, 100000, total));
    while (more) {
        pc_image_begin(image, NULL, PC_FILL_QUESTION_MARK);
        for (uint32_t i = 0; i < n; i++) {
            free_[i] = pc_image_state(image, i) == PC_ITEM_OPEN;
            if (free_[i])
                assert_true(pc_image_set(image, i, bits[i]));
            else
                assert_false(pc_image_set(image, i, pc_image_state(image, i) != PC_ITEM_KEPT));
        }
        pc_disk_reboot(looker, image);
        look(looker, scale, text);
        set_add(out, text);
        sets++;
        more = false;
        for (uint32_t i = n; i-- > 0 && !more;) {
            if (free_[i] && !bits[i]) {
                bits[i] = 1;
                more = true;
            } else {
                bits[i] = 0;
            }
        }
    }
    assert_int_equal(mpz_cmp_ui(total, sets), 0);
    mpz_clear(total);
}

/* ---- runs ---- */

static bool destroys; /* the disks and references of this test, from their base on */

struct config {
    int unit, block, scale;
};

static const struct config configs[] = {{4, 4, 1}, {4, 16, 1}, {4, 8, 2}, {4, 32, 128}, {1, 1, 4}};
#define CONFIGS (sizeof configs / sizeof configs[0])

static const enum pc_model models[] = {PC_PROCESS_KILL, PC_PREFIX,         PC_POSIX, PC_POSIX_MIN,
                                       PC_EXT4_ORDERED, PC_EXT4_WRITEBACK, PC_XFS,   PC_BTRFS};
#define MODELS (sizeof models / sizeof models[0])

struct run {
    struct pc_disk *disk;
    struct ref ref;
    struct op ops[CALLS_MAX];
    struct set states[CALLS_MAX + 1];
    struct set inside[CALLS_MAX];
    int scale;
    uint64_t seed;
    size_t points;
};

static void explain(const struct run *run, int k, const char *what, const char *text)
{
    char line[128];

    print_error("seed %llu, %s, unit %d block %d scale %d, k=%d: %s\n  %s\n",
                (unsigned long long)run->seed, pc_model_name(run->ref.model), run->ref.unit,
                run->ref.block, run->scale, k, what, text ? text : "");
    for (int i = 0; i < run->ref.calls; i++) {
        op_print(&run->ops[i], line, sizeof line);
        print_error("  %d %s   -> %s\n", i + 1, line, run->ref.volatile_text[i + 1]);
    }
    fail();
}

static struct pc_disk *new_disk(const struct config *config, enum pc_model model)
{
    struct pc_disk_config disk = {.model = model,
                                  .unit = (uint32_t)(config->unit * config->scale),
                                  .block = (uint32_t)(config->block * config->scale),
                                  .destroys = destroys};

    return pc_disk_new(&disk);
}

static const struct op setup[] = {
    {.kind = OP_MKDIR, .path = "d"},
    {.kind = OP_CREATE, .path = "a"},
    {.kind = OP_WRITE, .path = "a", .len = 6, .letter = 'x'},
    {.kind = OP_CREATE, .path = "d/b"},
    {.kind = OP_WRITE, .path = "d/b", .len = 17, .letter = 'y'},
    {.kind = OP_SYNC_ALL, .path = ""},
};
#define SETUP (sizeof setup / sizeof setup[0])

/* Makes the base; with `boot` on a disk of its own, else in the log of the run. */
static void run_setup(struct run *run, const struct config *config, enum pc_model model, bool boot)
{
    ref_init(&run->ref, model, config->unit, config->block);
    run->ref.destroys = destroys;
    run->scale = config->scale;
    run->disk = new_disk(config, model);
    for (size_t i = 0; i < SETUP; i++) {
        assert_true(ref_perform(&run->ref, &setup[i]));
        assert_true(perform(run->disk, &setup[i], run->scale));
    }
    ref_set_base(&run->ref);
    ref_volatile_text(&run->ref, run->ref.volatile_text[0]);
    if (boot) {
        struct pc_image *image = pc_image_new(run->disk, pc_disk_call_count(run->disk));
        struct pc_disk *disk = pc_disk_boot(image);

        pc_disk_settle(disk);
        pc_image_free(image);
        pc_disk_free(run->disk);
        run->disk = disk;
    }
}

static void run_ops(struct run *run, uint64_t seed, int calls)
{
    struct rng rng = rng_seeded(seed);
    char text[TEXT_MAX];

    for (int tries = 0; tries < 60 && run->ref.calls < calls; tries++) {
        struct op op = random_op(&rng, run->ref.calls);
        size_t before = pc_disk_call_count(run->disk);
        bool expected = ref_perform(&run->ref, &op);

        if (expected)
            run->ops[run->ref.calls - 1] = op;
        if (perform(run->disk, &op, run->scale) != expected ||
            pc_disk_call_count(run->disk) - before != (size_t)expected)
            explain(run, run->ref.calls, "one fails, the other does not", op_names[op.kind]);
        look(run->disk, run->scale, text);
        if (strcmp(text, run->ref.volatile_text[run->ref.calls]) != 0)
            explain(run, run->ref.calls, "the volatile view differs", text);
    }
}

/* How many calls of the trace fit into the reference under every model. */
static int scout(const struct config *config, uint64_t seed, int calls)
{
    static struct ref ref;

    for (size_t m = 0; m < MODELS; m++) {
        struct rng rng = rng_seeded(seed);

        ref_init(&ref, models[m], config->unit, config->block);
        ref.destroys = destroys;
        for (size_t i = 0; i < SETUP; i++)
            ref_perform(&ref, &setup[i]);
        ref_set_base(&ref);
        for (int tries = 0; tries < 60 && ref.calls < calls; tries++) {
            struct op op = random_op(&rng, ref.calls);

            ref_perform(&ref, &op);
            if (ref.micro_count > NODES_FULL)
                calls = ref.calls;
        }
        if (ref.calls < calls)
            calls = ref.calls;
    }
    return calls;
}

static void compare(const struct run *run, int k, const char *what, const struct set *expected,
                    const struct set *actual)
{
    char note[256];

    for (size_t i = 0; i < expected->count || i < actual->count; i++)
        if (i >= expected->count || i >= actual->count ||
            strcmp(expected->items[i], actual->items[i]) != 0) {
            snprintf(note, sizeof note,
                     "%s: %zu states expected, %zu found; first difference:\n  %.90s", what,
                     expected->count, actual->count,
                     i < expected->count ? expected->items[i] : "(none)");
            explain(run, k, note, i < actual->count ? actual->items[i] : "(none)");
        }
}

static bool is_small(struct pc_image *image, mpz_t count)
{
    if (pc_image_items(image) > 14)
        return false;
    if (pc_image_count(image, 100000, count))
        return mpz_cmp_ui(count, LEAVES_MAX) <= 0;
    assert_false(pc_model_is_lattice(pc_disk_get_config(image->disk)->model));
    return false;
}

/* The cut inside call k: it has what the reference has, and what a cut before it has; if it tears
 * nothing, then what it has more is there after the call; and as a rule all that is there after the
 * call. */
static void check_inside(struct run *run, struct pc_disk *looker, size_t first_call, int k,
                         mpz_t count)
{
    struct pc_image *image = pc_image_new_inside(run->disk, first_call + (size_t)k);
    struct set both = {0}, lazy = {0};
    const char *missing = NULL;

    if (!is_small(image, count) || run->states[k].count == 0 || run->states[k + 1].count == 0)
        goto done;
    ref_states_inside(&run->ref, k, &run->inside[k]);
    lazy_states(image, looker, run->scale, 0, false, &lazy);
    compare(run, k, "lazy search inside the next call", &run->inside[k], &lazy);
    set_add_all(&both, &run->states[k]);
    set_add_all(&both, &run->states[k + 1]);
    if (!pc_disk_tears_inside(run->disk, first_call + (size_t)k))
        missing = first_uncovered(&run->inside[k], &both);
    if (missing)
        explain(run, k, "torn inside the next call", missing);
    if (run->ref.model != PC_PROCESS_KILL)
        missing = first_uncovered(&run->states[k], &run->inside[k]);
    if (missing)
        explain(run, k, "not inside the next call", missing);
    if (run->ref.model != PC_XFS && run->ref.model != PC_BTRFS)
        missing = first_uncovered(&run->states[k + 1], &run->inside[k]);
    if (missing)
        explain(run, k + 1, "not inside the call before", missing);
    set_add_all(&run->inside[k], &both);
done:
    set_release(&both);
    set_release(&lazy);
    pc_image_free(image);
}

/* Every crash point that is small enough. */
static void run_check(struct run *run, size_t first_call)
{
    struct pc_image *image = pc_image_new(run->disk, 0);
    struct pc_disk *looker = pc_disk_boot(image);
    mpz_t count;

    pc_image_free(image);
    mpz_init(count);
    for (int k = 0; k <= run->ref.calls; k++) {
        struct set lazy = {0}, glanced = {0}, subsets = {0};

        image = pc_image_new(run->disk, first_call + (size_t)k);
        if (is_small(image, count)) {
            run->points++;
            ref_states(&run->ref, k, &run->states[k]);
            lazy_states(image, looker, run->scale, 0, !strchr(run->ref.volatile_text[0], '?'),
                        &lazy);
            compare(run, k, "lazy search", &run->states[k], &lazy);
            if (mpz_cmp_ui(count, 200) <= 0) {
                lazy_states(image, looker, run->scale, run->seed + 1, false, &glanced);
                compare(run, k, "another order of looks", &run->states[k], &glanced);
                subset_states(image, looker, run->scale, &subsets);
                compare(run, k, "subsets", &run->states[k], &subsets);
            }
        }
        set_release(&lazy);
        set_release(&glanced);
        set_release(&subsets);
        pc_image_free(image);
    }
    for (int k = 0; k < run->ref.calls; k++)
        check_inside(run, looker, first_call, k, count);
    mpz_clear(count);
    pc_disk_free(looker);
}

static void run_release(struct run *run)
{
    for (int k = 0; k <= CALLS_MAX; k++)
        set_release(&run->states[k]);
    for (int k = 0; k < CALLS_MAX; k++)
        set_release(&run->inside[k]);
    pc_disk_free(run->disk);
    memset(run, 0, sizeof *run);
}

/* ---- what must hold between models and crash points ---- */

static void check_smaller(const struct run *small, const struct run *large, int k, bool inside)
{
    const struct set *few = inside ? &small->inside[k] : &small->states[k];
    const struct set *many = inside ? &large->inside[k] : &large->states[k];
    const char *missing;
    char note[96];

    if (few->count == 0 || many->count == 0)
        return;
    missing = first_uncovered(few, many);
    snprintf(note, sizeof note, "a state %sthat %s does not have", inside ? "inside the call " : "",
             pc_model_name(large->ref.model));
    if (missing)
        explain(small, k, note, missing);
}

static void check_monotone(const struct run *small, const struct run *large)
{
    for (int k = 0; k <= small->ref.calls; k++)
        check_smaller(small, large, k, false);
    for (int k = 0; k < small->ref.calls && small->ref.model != PC_PROCESS_KILL; k++)
        check_smaller(small, large, k, true);
}

/* What some call of a trace does. */
enum { ZEROS = 1, MOVES = 2, SYNCS = 4, RANGES = 8, HOLES = 16 };

static unsigned features(const struct run *posix)
{
    unsigned has = (posix->ref.has_zeros ? ZEROS : 0) | (posix->ref.has_moves ? MOVES : 0);
    bool punched = false;

    for (int i = 0; i < posix->ref.calls; i++) {
        const struct op *op = &posix->ops[i];

        if (op->dsync || op->kind == OP_MSYNC)
            has |= SYNCS | RANGES | (punched ? HOLES : 0);
        punched |= op->kind == OP_PUNCH || op->kind == OP_ZERO;
        if (op->kind == OP_FSYNC || op->kind == OP_FDATASYNC || op->kind == OP_SYNC_DIR)
            has |= SYNCS;
    }
    return has;
}

/* Which models have the images of which. Where something comes between two, only traces without
 * it: explicit zeros of the models without a journal, which ext4-writeback has not, and which a
 * sync of a range forces where the others have a hole, which it does not force; renames between
 * directories, which btrfs takes apart; syncs, with which ext4 carries more along than xfs; and
 * syncs of a range, with which xfs carries the block of the size along and btrfs does not. */
static void check_models(struct run *runs)
{
    static const struct pair {
        int small, large;
        unsigned without;
    } pairs[] = {
        {0, 1, 0},     {1, 2, 0},     {2, 3, 0},     {4, 2, HOLES},         {4, 5, 0},
        {5, 2, ZEROS}, {6, 2, HOLES}, {7, 3, HOLES}, {7, 2, MOVES | HOLES}, {6, 7, MOVES | RANGES},
        {6, 4, SYNCS},
    };
    unsigned has = features(&runs[2]);

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (!(pairs[i].without & has))
            check_monotone(&runs[pairs[i].small], &runs[pairs[i].large]);
}

/* All states are states of some frontier point. */
static void check_frontier(const struct run *run, size_t first_call)
{
    struct set all = {0}, frontier = {0};

    for (int k = 0; k <= run->ref.calls; k++) {
        if (run->states[k].count == 0)
            goto done; /* too large to enumerate */
        set_add_all(&all, &run->states[k]);
        if (pc_disk_is_frontier(run->disk, first_call + (size_t)k))
            set_add_all(&frontier, &run->states[k]);
    }
    compare(run, -1, "frontier", &all, &frontier);
done:
    set_release(&all);
    set_release(&frontier);
}

/* Does `tree` have this file? Then "path=content;" in *out. */
static bool find_file(const char *tree, const char *path, char *out)
{
    size_t len = strlen(path);

    for (const char *at = tree; *at; at = strchr(at, ';') + 1)
        if (strncmp(at, path, len) == 0 && at[len] == '=') {
            snprintf(out, TEXT_MAX, "%.*s", (int)(strchr(at, ';') + 1 - at), at);
            return true;
        }
    return false;
}

/* What syncs have promised about one path. */
struct promise {
    bool content, name, dir;
};

static void promise_after(struct promise *p, const struct op *op, const char *path)
{
    bool nested = path[1] == '/';

    switch (op->kind) {
    case OP_FSYNC:
    case OP_FDATASYNC:
        p->content |= strcmp(op->path, path) == 0;
        break;
    case OP_SYNC_DIR:
        if (op->path[0] == '\0')
            *(nested ? &p->dir : &p->name) = true;
        else
            p->name |= nested && op->path[0] == path[0];
        break;
    case OP_SYNC_ALL:
        *p = (struct promise){true, true, true};
        break;
    case OP_MSYNC:
    case OP_SYNC_RANGE:
        break;
    case OP_WRITE:
    case OP_APPEND:
    case OP_TRUNCATE:
    case OP_ALLOCATE:
    case OP_STORE:
        p->content &= strcmp(op->path, path) != 0;
        break;
    default:
        *p = (struct promise){false, false, !nested};
        break;
    }
}

/* A file whose content and name were synced and not touched since is in every image. Reads nothing
 * but the list of calls. */
static void check_promises(const struct run *run)
{
    for (int k = 1; k <= run->ref.calls; k++)
        if (run->ops[k - 1].kind == OP_LINK)
            return; /* a path would not say which file it is */
    for (size_t f = 0; f < sizeof file_paths / sizeof file_paths[0]; f++) {
        const char *path = file_paths[f];
        struct promise p = {false, false, path[1] != '/'};

        for (int k = 1; k <= run->ref.calls; k++) {
            const struct set *states = &run->states[k];
            char wanted[TEXT_MAX], found[TEXT_MAX];

            promise_after(&p, &run->ops[k - 1], path);
            if (!p.content || !p.name || !p.dir ||
                !find_file(run->ref.volatile_text[k], path, wanted))
                continue;
            for (size_t i = 0; i < states->count; i++)
                if (!find_file(states->items[i], path, found) || strcmp(found, wanted) != 0)
                    explain(run, k, "a promise is broken", states->items[i]);
        }
    }
}

static size_t trace_check(uint64_t seed)
{
    const struct config *config = &configs[seed % CONFIGS];
    static struct run runs[MODELS];
    int calls = scout(config, seed, 3 + (int)(seed / CONFIGS % 5));
    size_t points = 0;

    for (size_t m = 0; m < MODELS; m++) {
        /* What is forced in the same log counts as logged in btrfs, so its setup is apart. */
        bool boot = (rng_mix(seed) & 1) || models[m] == PC_BTRFS;
        size_t first;

        runs[m].seed = seed;
        run_setup(&runs[m], config, models[m], boot);
        first = pc_disk_call_count(runs[m].disk);
        run_ops(&runs[m], seed, calls);
        assert_int_equal(runs[m].ref.calls, runs[0].ref.calls);
        run_check(&runs[m], first);
        check_frontier(&runs[m], first);
        check_promises(&runs[m]);
        points += runs[m].points;
    }
    check_models(runs);
    for (size_t m = 0; m < MODELS; m++)
        run_release(&runs[m]);
    return points;
}

/* Runs `check` over the seeds; POWERCUT_SEEDS=from-to replaces them. */
static void over_seeds(size_t (*check)(uint64_t seed), unsigned long long last)
{
    const char *range = getenv("POWERCUT_SEEDS");
    unsigned long long seed = 1;
    size_t points = 0;

    if (range)
        assert_int_equal(sscanf(range, "%llu-%llu", &seed, &last), 2);
    for (; seed <= last; seed++)
        points += check(seed);
    print_message("%zu crash points\n", points);
}

static void random_traces(void **state)
{
    over_seeds(trace_check, 150);
}

/* Where a cut destroys the unit that is being written. */
static void random_destroyed(void **state)
{
    destroys = true;
    over_seeds(trace_check, 30);
    destroys = false;
}

/* ---- boots ---- */

/* The base of the reference is what the disk settled on. */
static void adopt_base(struct ref *ref, struct pc_disk *disk, int scale, int map[INODES_MAX],
                       uint32_t ino, int dir)
{
    const struct tree_inode *base = tree_inode(disk->base, ino);

    for (uint32_t i = 0; i < base->name_count; i++) {
        const struct tree_inode *child = tree_inode(disk->base, base->names[i].ino);
        int to = 1;

        while (to < ref->file_count && map[to] != (int)base->names[i].ino)
            to++;
        if (to == ref->file_count) {
            struct file *file = &ref->files[add_inode(ref, child->kind == DISK_DIRECTORY)];

            map[to] = (int)base->names[i].ino;
            file->links = 0;
            file->link = child->target ? *child->target : 0;
            file->size = (int)(child->size / (uint64_t)scale);
            for (int b = 0; b < file->size; b++) {
                uint32_t unit = (uint32_t)(b / ref->unit);
                const struct block *block = unit < child->unit_count ? child->units[unit] : NULL;
                uint32_t at = (uint32_t)(b % ref->unit * scale);

                file->bytes[b] = block && at < block->len ? block->data[at] : 0;
            }
            for (uint32_t b = 0; b < child->block_count; b++)
                file->incarnation[b] = child->mapped[b] ? BASE : 0;
            if (child->kind == DISK_DIRECTORY)
                adopt_base(ref, disk, scale, map, base->names[i].ino, to);
        }
        ref->files[to].links++;
        ref->names[ref->name_count++] = (struct name){dir, to, base->names[i].name[0]};
    }
}

/* The calls of a run that was booted lazily, against a reference that knew the base all the time.
 * A text that is empty was not looked at. */
static void replay(struct run *run, char texts[][TEXT_MAX])
{
    struct ref *ref = &run->ref;
    int calls = ref->calls, map[INODES_MAX] = {DISK_ROOT};

    ref_init(ref, ref->model, ref->unit, ref->block);
    ref->destroys = destroys;
    adopt_base(ref, run->disk, run->scale, map, DISK_ROOT, 0);
    ref_set_base(ref);
    ref_volatile_text(ref, ref->volatile_text[0]);
    for (int i = 0; i < calls; i++) {
        if (!ref_perform(ref, &run->ops[i]))
            explain(run, i, "did not fail on the booted disk", op_names[run->ops[i].kind]);
        if (texts[i][0] && strcmp(ref->volatile_text[i + 1], texts[i]) != 0)
            explain(run, i + 1, "the volatile view of the booted disk differs", texts[i]);
    }
}

/* Boots `run` on a random image of its disk, runs a few calls that look at no more than they need,
 * and settles. */
static void boot_on(struct run *run, size_t k, uint64_t seed)
{
    struct rng rng = rng_seeded(seed), choices = rng_seeded(~seed);
    const struct pc_chooser chooser = {&choices, choose_random};
    struct pc_image *image = pc_image_new(run->disk, k);
    struct pc_disk *below = run->disk;
    char texts[8][TEXT_MAX] = {{0}};
    bool looks = rng_chance(&rng, 1, 2);
    int calls = 1 + (int)rng_below(&rng, 5);

    pc_image_begin(image, &chooser, rng_chance(&rng, 1, 2) ? PC_FILL_QUESTION_MARK : PC_FILL_ZERO);
    run->disk = pc_disk_boot(image);
    run->ref.calls = 0;
    for (int tries = 0; tries < 40 && run->ref.calls < calls; tries++) {
        struct op op = random_op(&rng, run->ref.calls);
        size_t before = pc_disk_call_count(run->disk);

        if (!perform(run->disk, &op, run->scale))
            continue;
        assert_int_equal(pc_disk_call_count(run->disk), before + 1);
        if (looks)
            look(run->disk, run->scale, texts[run->ref.calls]);
        run->ops[run->ref.calls++] = op;
    }
    pc_disk_settle(run->disk);
    pc_image_free(image);
    pc_disk_free(below);
    if (run->ref.calls)
        look(run->disk, run->scale, texts[run->ref.calls - 1]);
    replay(run, texts);
}

static size_t boots_check(uint64_t seed)
{
    const struct config *config = &configs[seed % CONFIGS];
    enum pc_model model = models[seed / CONFIGS % MODELS];
    struct rng rng = rng_seeded(seed);
    static struct run run;
    size_t points;

    run.seed = seed;
    run_setup(&run, config, model, false);
    run_ops(&run, seed, scout(config, seed, 6));
    for (int boot = 0; boot < 3; boot++) {
        for (int k = 0; k <= CALLS_MAX; k++)
            set_release(&run.states[k]);
        for (int k = 0; k < CALLS_MAX; k++)
            set_release(&run.inside[k]);
        boot_on(&run, (size_t)rng_below(&rng, pc_disk_call_count(run.disk) + 1), rng_next(&rng));
        run_check(&run, 0);
        check_frontier(&run, 0);
    }
    points = run.points;
    run_release(&run);
    return points;
}

static void random_boots(void **state)
{
    over_seeds(boots_check, 400);
}

/* ---- faults ---- */

/* In btrfs programs read what would be there if all that can still become durable did, whatever
 * failed before. */
static void check_newest(struct run *run, struct pc_disk *looker)
{
    struct pc_image *image = pc_image_new(run->disk, pc_disk_call_count(run->disk));
    char newest[TEXT_MAX], now[TEXT_MAX];

    pc_disk_reboot(looker, image);
    look(looker, run->scale, newest);
    look(run->disk, run->scale, now);
    if (strcmp(newest, now) != 0)
        explain(run, run->ref.calls, now, newest);
    pc_image_free(image);
}

/* The reference knows no faults; but the three ways to enumerate must still agree, the weights must
 * add up, and nothing may be possible that is so at no frontier point. */
static size_t faults_check(uint64_t seed)
{
    static const enum pc_call_kind calls[] = {PC_CALL_FSYNC, PC_CALL_FDATASYNC, PC_CALL_WRITE,
                                              PC_CALL_MSYNC};
    const struct config *config = &configs[seed % 2]; /* half a write is whole bytes */
    struct pc_fault faults[4];
    struct rng rng = rng_seeded(seed);
    static struct run run;
    struct pc_image *image;
    struct pc_disk *looker = NULL;
    size_t first, points = 0;

    run.seed = seed;
    run_setup(&run, config, models[seed / 2 % MODELS], true);
    first = pc_disk_call_count(run.disk);
    for (int i = 0; i < 4; i++) {
        faults[i] = (struct pc_fault){.kind = (enum pc_fault_kind)rng_below(&rng, PC_FAULT_KINDS),
                                      .call = calls[i],
                                      .error = EIO,
                                      .file = "*",
                                      .nth = 1 + (uint32_t)rng_below(&rng, 2)};
        if (rng_chance(&rng, 1, 2) && i != 2)
            faults[i].kind = PC_FAULT_EIO;
        pc_disk_add_fault(run.disk, &faults[i]);
    }
    for (int tries = 0; tries < 30 && run.ref.calls < 7; tries++) {
        struct op op = random_op(&rng, run.ref.calls);
        size_t before = pc_disk_call_count(run.disk);

        perform(run.disk, &op, run.scale);
        if (pc_disk_call_count(run.disk) > before)
            run.ops[run.ref.calls++] = op;
    }
    for (int k = 0; k <= run.ref.calls; k++) {
        struct set subsets = {0}, glanced = {0};

        image = pc_image_new(run.disk, first + (size_t)k);
        if (looker == NULL)
            looker = pc_disk_boot(image);
        if (pc_image_items(image) <= 9) {
            points++;
            lazy_states(image, looker, run.scale, 0, false, &run.states[k]);
            lazy_states(image, looker, run.scale, seed + 1, false, &glanced);
            compare(&run, k, "another order of looks", &run.states[k], &glanced);
            subset_states(image, looker, run.scale, &subsets);
            compare(&run, k, "subsets", &run.states[k], &subsets);
        }
        set_release(&subsets);
        set_release(&glanced);
        pc_image_free(image);
    }
    pc_disk_lift_damage(run.disk);
    if (run.ref.model == PC_BTRFS)
        check_newest(&run, looker);
    check_frontier(&run, first);
    pc_disk_free(looker);
    run_release(&run);
    return points;
}

static void random_faults(void **state)
{
    over_seeds(faults_check, 300);
}

/* Many small blocks: with the stack of each the sanitizer takes as long as the test. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "malloc_context_size=2:quarantine_size_mb=32";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_traces),
        cmocka_unit_test(random_destroyed),
        cmocka_unit_test(random_boots),
        cmocka_unit_test(random_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
