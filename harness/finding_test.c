/* finding_test.c: names of micro-ops and of crash points. On random small traces of POSIX calls,
 * under every model and at random images (set by hand, or looked at by a reader): an item is found
 * again by its name, a cut puts every decided item back to what it was, the place of the crash is
 * found again, and the steps of a finding come back from their text. */
#include "finding.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "powercut/posix.h"
#include "session.h"

static const char *const names[] = {"a", "b", "c.log", "d/a", "d/e"};

static const char *full(uint64_t name)
{
    static char text[2][64];
    static int turn;

    turn = !turn;
    snprintf(text[turn], sizeof text[turn], MOUNT_POINT "/%s", names[name]);
    return text[turn];
}

static void random_content_call(struct rng *rng, int fd)
{
    uint8_t bytes[200];
    size_t len = 1 + rng_below(rng, sizeof bytes - 1);

    memset(bytes, (int)rng_next(rng), sizeof bytes);
    switch (rng_below(rng, 6)) {
    case 0:
        assert_int_equal(ftruncate(fd, (off_t)rng_below(rng, 300)), 0);
        break;
    case 1:
        assert_int_equal(fsync(fd), 0);
        break;
    default:
        assert_int_equal(pwrite(fd, bytes, len, (off_t)rng_below(rng, 200)), (ssize_t)len);
        break;
    }
}

static void random_call(struct rng *rng)
{
    uint64_t name = rng_below(rng, 5);
    int fd;

    switch (rng_below(rng, 10)) {
    case 0:
        unlink(full(name));
        break;
    case 1:
    case 2:
        rename(full(name), full(rng_below(rng, 5)));
        break;
    case 3:
        (void)!link(full(name), full(rng_below(rng, 5)));
        break;
    case 4:
        mkdir(MOUNT_POINT "/d", 0755);
        break;
    case 5:
        fd = open(rng_chance(rng, 1, 2) ? MOUNT_POINT : MOUNT_POINT "/d", O_RDONLY | O_DIRECTORY);
        if (fd >= 0 && rng_chance(rng, 1, 3))
            assert_int_equal(fsync(fd), 0);
        if (fd >= 0)
            close(fd);
        break;
    default:
        fd = open(full(name), O_RDWR | O_CREAT, 0644);
        if (fd < 0)
            break;
        random_content_call(rng, fd);
        close(fd);
        break;
    }
}

static struct pc_disk *random_disk(struct rng *rng, enum pc_model model)
{
    struct pc_disk_config config = {.model = model, .unit = 64, .block = 128};
    struct pc_disk *disk = pc_disk_new(&config);
    uint64_t calls = 3 + rng_below(rng, 25);

    pc_mount(MOUNT_POINT, disk);
    for (uint64_t i = 0; i < calls; i++)
        random_call(rng);
    pc_close_all();
    pc_mount(MOUNT_POINT, NULL);
    return disk;
}

/* ---- random images ---- */

static size_t choose(void *ctx, const struct pc_choice *choice)
{
    return (size_t)rng_below(ctx, choice->n);
}

/* A reader looks at some of it; the rest stays open. */
static void look(struct rng *rng, struct pc_image *image)
{
    struct pc_disk *booted = pc_disk_boot(image);
    char bytes[100];

    pc_mount(MOUNT_POINT, booted);
    for (int i = 0; i < 4; i++) {
        int fd = open(full(rng_below(rng, 5)), O_RDONLY);

        if (fd < 0)
            continue;
        (void)!pread(fd, bytes, 1 + rng_below(rng, 99), (off_t)rng_below(rng, 150));
        close(fd);
    }
    pc_close_all();
    pc_mount(MOUNT_POINT, NULL);
    pc_disk_free(booted);
}

static enum pc_fill random_image(struct rng *rng, struct pc_image *image)
{
    struct pc_chooser chooser = {rng, choose};
    enum pc_fill fill = rng_chance(rng, 1, 2) ? PC_FILL_NOISE : PC_FILL_ZERO;
    uint64_t share = rng_below(rng, 11);

    if (rng_chance(rng, 1, 2)) {
        pc_image_begin(image, &chooser, fill);
        look(rng, image);
        return fill;
    }
    pc_image_begin(image, NULL, fill);
    for (uint32_t i = 0; i < pc_image_items(image); i++)
        if (rng_chance(rng, 4, 5))
            pc_image_set(image, i, rng_chance(rng, share, 10));
    return fill;
}

static void each_image(void (*check)(struct pc_disk *disk, struct pc_image *image, size_t k,
                                     enum pc_fill fill, uint64_t *count),
                       uint64_t at_least)
{
    uint64_t count = 0;

    for (int model = 0; model < PC_MODELS; model++)
        for (uint64_t seed = 0; pc_model_simulated((enum pc_model)model) && seed < 120; seed++) {
            struct rng rng = rng_seeded(seed * PC_MODELS + (uint64_t)model);
            struct pc_disk *disk = random_disk(&rng, (enum pc_model)model);

            for (int i = 0; i < 6; i++) {
                size_t k = (size_t)rng_below(&rng, pc_disk_call_count(disk) + 1);
                struct pc_image *image = pc_image_new(disk, k);
                enum pc_fill fill = random_image(&rng, image);

                check(disk, image, k, fill, &count);
                pc_image_free(image);
            }
            pc_disk_free(disk);
        }
    print_message("%llu compared\n", (unsigned long long)count);
    assert_true(count > at_least);
}

/* ---- items ---- */

static void check_names(struct pc_disk *disk, struct pc_image *image, size_t k, enum pc_fill fill,
                        uint64_t *count)
{
    for (uint32_t i = 0; i < pc_image_items(image); i++) {
        struct item_name name;

        finding_item(image, i, &name);
        assert_int_equal(finding_find(image, &name), i);
        name.version += 500;
        assert_int_equal(finding_find(image, &name), PC_ITEM_NONE);
        ++*count;
    }
}

static void an_item_is_found_by_its_name(void **state)
{
    each_image(check_names, 5000);
}

/* ---- cuts ---- */

static void check_cut(struct pc_disk *disk, struct pc_image *image, size_t k, enum pc_fill fill,
                      uint64_t *count)
{
    struct pc_image *again = pc_image_new(disk, k);
    static struct cut cut;
    char why[160] = "";

    finding_cut(disk, image, k, false, fill, &cut);
    assert_int_equal(cut.crash.fill, fill);
    pc_image_begin(again, NULL, cut.crash.fill);
    if (!finding_impose(again, &cut, why, sizeof why))
        fail_msg("%s", why);
    pc_image_answer(again, NULL);
    for (uint32_t i = 0; i < pc_image_items(image); i++) {
        enum pc_item_state was = pc_image_state(image, i), is = pc_image_state(again, i);

        if (was == PC_ITEM_OPEN)
            continue;
        ++*count;
        if (is == PC_ITEM_OPEN)
            is = PC_ITEM_KEPT; /* nobody asks, so the newest is durable */
        assert_int_equal(is, was);
    }
    pc_image_free(again);
}

static void a_cut_gives_the_same_image(void **state)
{
    each_image(check_cut, 5000);
}

static void check_place(struct pc_disk *disk, struct pc_image *image, size_t k, enum pc_fill fill,
                        uint64_t *count)
{
    static struct session session;
    static struct cut cut;
    char why[160] = "";
    size_t place;

    finding_cut(disk, image, k, false, fill, &cut);
    session.disk = disk;
    if (!session_place(&session, &cut.crash, &place, why, sizeof why))
        fail_msg("%s", why);
    assert_int_equal(place, k);
    ++*count;
}

static void the_place_of_a_crash_is_found_again(void **state)
{
    each_image(check_place, 2000);
}

static void what_is_not_there_is_named(void **state)
{
    struct rng rng = rng_seeded(3);
    struct pc_disk *disk = random_disk(&rng, PC_POSIX);
    struct pc_image *image = pc_image_new(disk, pc_disk_call_count(disk));
    static struct cut cut;
    char why[160] = "";

    cut = (struct cut){.item_count = 1, .items = {{PC_ITEM_DATA, "no/such", 512, 3}}};
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    assert_false(finding_impose(image, &cut, why, sizeof why));
    assert_string_equal(why, "nothing is open at version 3 of no/such offset 512");
    pc_image_free(image);
    pc_disk_free(disk);
}

/* ---- steps ---- */

static bool same_item(const struct item_name *x, const struct item_name *y)
{
    return x->kind == y->kind && strcmp(x->path, y->path) == 0 && x->version == y->version &&
           (x->kind == PC_ITEM_NAME || x->offset == y->offset);
}

static void parse_back(const struct trace *trace, struct trace *back)
{
    trace_init(back);
    for (uint32_t i = 0; i < trace->op_count; i++) {
        char line[400], why[160];
        FILE *out = fmemopen(line, sizeof line, "w");

        assert_non_null(out);
        trace_print_op(out, trace, &trace->ops[i]);
        fclose(out);
        line[strcspn(line, "\n")] = '\0';
        if (!trace_parse(back, line, i + 1, why, sizeof why))
            fail_msg("%s: %s", line, why);
    }
}

static void check_steps(struct pc_disk *disk, struct pc_image *image, size_t k, enum pc_fill fill,
                        uint64_t *count)
{
    static struct finding finding;
    struct trace trace, back;
    struct cut *cut = &finding.cut[0];

    finding = (struct finding){.found = true, .cuts = 1};
    finding_cut(disk, image, k, false, fill, cut);
    trace_init(&trace);
    finding_steps(&finding, &trace);
    parse_back(&trace, &back);
    assert_int_equal(back.op_count, cut->item_count + 3);
    assert_int_equal(back.ops[0].kind, OP_CRASH);
    assert_int_equal(back.ops[0].crash.oldest, cut->crash.oldest);
    assert_int_equal(back.ops[0].crash.fill, fill);
    assert_string_equal(back.ops[0].crash.file, cut->crash.file);
    for (uint32_t i = 0; i < cut->item_count; i++) {
        assert_int_equal(back.ops[1 + i].kind, cut->crash.oldest ? OP_KEEP : OP_LOSE);
        assert_true(same_item(&back.ops[1 + i].item, &cut->items[i]));
    }
    assert_int_equal(back.ops[back.op_count - 2].kind, OP_RECOVER);
    assert_int_equal(back.ops[back.op_count - 1].kind, OP_CHECK);
    trace_release(&back);
    trace_release(&trace);
    ++*count;
}

static void the_steps_of_a_finding_come_back(void **state)
{
    each_image(check_steps, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_is_found_by_its_name),
        cmocka_unit_test(a_cut_gives_the_same_image),
        cmocka_unit_test(the_place_of_a_crash_is_found_again),
        cmocka_unit_test(what_is_not_there_is_named),
        cmocka_unit_test(the_steps_of_a_finding_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
