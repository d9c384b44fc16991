/* script_test.c: .crash files from loading to verdict. The store under them is a stand-in that
 * takes the place of the linked one, so that it can be made to fail on purpose: its tuning names
 * the mistake. Its content is one small file, rewritten by every write. */
#include "script.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "judge.h"
#include "stores.h"

/* ---- the stand-in ---- */

#define FILE_SIZE 512
#define FIELD     16
#define SLOTS     8 /* a slot: length of key + 1, key, length of value, value; sorted */

struct standin {
    const struct pc_store_env *env;
    struct pc_store_env copy;
    int fd;
    uint8_t slots[SLOTS][4 * FIELD];
    bool lazy, leaky;
};

struct cursor {
    struct standin *db;
    int at;
};

static enum pc_store_status standin_sync(void *db, struct pc_store_error *error)
{
    struct standin *standin = db;

    if (!standin->lazy && fsync(standin->fd) != 0) {
        *error = (struct pc_store_error){PC_STORE_IO, "cannot sync"};
        return PC_STORE_IO;
    }
    return PC_STORE_OK;
}

static enum pc_store_status standin_open(const struct pc_store_env *env, void **db,
                                         struct pc_store_error *error)
{
    struct standin *standin = env->alloc(env->alloc_ctx, sizeof *standin);
    int dir;

    memset(standin, 0, sizeof *standin);
    standin->copy = *env;
    standin->lazy = strstr(env->tuning, "lazy") != NULL;
    standin->leaky = strstr(env->tuning, "leaky") != NULL;
    mkdir(STORE_DIR, 0755);
    dir = open(MOUNT_POINT, O_RDONLY | O_DIRECTORY);
    must(dir >= 0 && fsync(dir) == 0 && close(dir) == 0);
    standin->fd = open(STORE_DIR "/content", O_RDWR | O_CREAT, 0644);
    dir = open(STORE_DIR, O_RDONLY | O_DIRECTORY);
    must(standin->fd >= 0 && dir >= 0 && fsync(dir) == 0 && close(dir) == 0);
    must(pread(standin->fd, standin->slots, FILE_SIZE, 0) >= 0);
    *db = standin;
    return PC_STORE_OK;
}

static enum pc_store_status standin_close(void *db, struct pc_store_error *error)
{
    struct standin *standin = db;
    enum pc_store_status st = standin_sync(db, error);

    if (!standin->leaky)
        close(standin->fd);
    standin->copy.free(standin->copy.alloc_ctx, standin, sizeof *standin);
    return st;
}

static struct bytes field(const uint8_t *slot)
{
    return bytes_of(slot + 1, slot[0]);
}

static struct bytes slot_key(const struct standin *standin, int i)
{
    return bytes_of(standin->slots[i] + 1, standin->slots[i][0] - 1u);
}

static int count_of(const struct standin *standin)
{
    int count = 0;

    while (count < SLOTS && standin->slots[count][0])
        count++;
    return count;
}

static int find(const struct standin *standin, struct bytes key, bool *found)
{
    int i = 0, count = count_of(standin);

    while (i < count && bytes_compare(slot_key(standin, i), key) < 0)
        i++;
    *found = i < count && bytes_equal(slot_key(standin, i), key);
    return i;
}

static void apply(struct standin *standin, const struct pc_write *write)
{
    bool found;
    int i = find(standin, write->key, &found), count = count_of(standin);

    if (found)
        memmove(standin->slots[i], standin->slots[i + 1],
                (size_t)(SLOTS - 1 - i) * sizeof standin->slots[0]);
    if (found)
        memset(standin->slots[SLOTS - 1], 0, sizeof standin->slots[0]);
    if (write->is_delete)
        return;
    must(count - found < SLOTS && write->key.len < FIELD && write->value.len < 2 * FIELD);
    memmove(standin->slots[i + 1], standin->slots[i],
            (size_t)(SLOTS - 1 - i) * sizeof standin->slots[0]);
    memset(standin->slots[i], 0, sizeof standin->slots[0]);
    standin->slots[i][0] = (uint8_t)(write->key.len + 1);
    memcpy(standin->slots[i] + 1, write->key.data, write->key.len);
    standin->slots[i][FIELD] = (uint8_t)write->value.len;
    memcpy(standin->slots[i] + FIELD + 1, write->value.data, write->value.len);
}

static enum pc_store_status standin_write(void *db, const struct pc_write *writes, size_t count,
                                          bool sync, uint64_t *seq, struct pc_store_error *error)
{
    struct standin *standin = db;

    for (size_t i = 0; i < count; i++)
        apply(standin, &writes[i]);
    if (pwrite(standin->fd, standin->slots, FILE_SIZE, 0) != FILE_SIZE) {
        *error = (struct pc_store_error){PC_STORE_IO, "cannot write"};
        return PC_STORE_IO;
    }
    return sync ? standin_sync(db, error) : PC_STORE_OK;
}

static enum pc_store_status standin_get(void *db, void *snapshot, struct bytes key,
                                        void (*give)(void *ctx, struct bytes value), void *ctx,
                                        struct pc_store_error *error)
{
    struct standin *standin = db;
    bool found;
    int i = find(standin, key, &found);

    if (!found)
        return PC_STORE_NOT_FOUND;
    give(ctx, field(standin->slots[i] + FIELD));
    return PC_STORE_OK;
}

static enum pc_store_status standin_iter_new(void *db, void *snapshot, void **out,
                                             struct pc_store_error *error)
{
    struct standin *standin = db;
    struct cursor *cursor = standin->copy.alloc(standin->copy.alloc_ctx, sizeof *cursor);

    *cursor = (struct cursor){standin, -1};
    *out = cursor;
    return PC_STORE_OK;
}

static void standin_iter_free(void *iter)
{
    struct cursor *cursor = iter;

    cursor->db->copy.free(cursor->db->copy.alloc_ctx, cursor, sizeof *cursor);
}

static bool standin_iter_move(void *iter, enum pc_move move, struct bytes key,
                              struct bytes *found_key, struct bytes *found_value,
                              struct pc_store_error *error)
{
    struct cursor *cursor = iter;
    int count = count_of(cursor->db);
    bool exact;

    if (move == PC_FIRST)
        cursor->at = 0;
    else if (move == PC_LAST)
        cursor->at = count - 1;
    else if (move == PC_NEXT)
        cursor->at++;
    else if (move == PC_PREV)
        cursor->at--;
    else
        cursor->at = find(cursor->db, key, &exact);
    if (move == PC_SEEK_FOR_PREV && !exact)
        cursor->at--;
    if (cursor->at < 0 || cursor->at >= count)
        return false;
    *found_key = slot_key(cursor->db, cursor->at);
    *found_value = field(cursor->db->slots[cursor->at] + FIELD);
    return true;
}

static enum pc_store_status standin_snapshot(void *db, void **out, struct pc_store_error *error)
{
    *error = (struct pc_store_error){PC_STORE_INVALID, "no snapshots"};
    return PC_STORE_INVALID;
}

static void standin_release(void *db, void *snapshot)
{
}

static enum pc_store_status standin_compact(void *db, struct bytes begin, struct bytes end,
                                            struct pc_store_error *error)
{
    return PC_STORE_OK;
}

/* Takes the place of the real one at link time. */
extern const struct pc_store store_minivault;
const struct pc_store store_minivault = {
    .abi = PC_STORE_ABI,
    .name = "standin",
    .promises = PC_PROMISE_SYNC | PC_PROMISE_CLOSE | PC_PROMISE_FLUSH | PC_PROMISE_PREFIX,
    .open = standin_open,
    .close = standin_close,
    .write = standin_write,
    .sync = standin_sync,
    .get = standin_get,
    .snapshot = standin_snapshot,
    .release = standin_release,
    .iter_new = standin_iter_new,
    .iter_free = standin_iter_free,
    .iter_move = standin_iter_move,
    .flush = standin_sync,
    .compact = standin_compact,
};

/* ---- files ---- */

static char path[] = "/tmp/powercut-script-XXXXXX";

static void write_file(const char *text)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static char *read_file(void)
{
    FILE *in = fopen(path, "r");
    char *text = calloc(1, 65536);

    assert_non_null(in);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, in) < 65535);
    fclose(in);
    return text;
}

static int make_path(void **state)
{
    int fd = mkstemp(path);

    return fd < 0 || close(fd) != 0;
}

static int remove_path(void **state)
{
    return unlink(path);
}

/* Loads and runs; what was said is in `said`. */
static enum script_result run(const char *text, bool rewrite, char *said, size_t room,
                              struct finding *finding)
{
    struct script script;
    enum script_result result;
    char why[256] = "";
    FILE *out = fmemopen(said, room, "w");

    assert_non_null(out);
    if (text)
        write_file(text);
    if (!script_load(&script, path, why, sizeof why))
        fail_msg("%s", why);
    result = script_run(&script, path, rewrite, out, finding);
    fclose(out);
    script_release(&script);
    return result;
}

static void expect_run(const char *text, enum script_result expected, const char *words)
{
    static struct finding finding;
    char said[4096] = "";
    enum script_result result = run(text, false, said, sizeof said, &finding);

    if (result != expected || (words && !strstr(said, words)))
        fail_msg("result %d instead of %d:\n%s%s", (int)result, (int)expected, text, said);
    assert_int_equal(finding.found, result == SCRIPT_VIOLATION);
}

/* ---- loading ---- */

static void a_broken_file_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *what;
    } cases[] = {
        {"put a 1\nputt b 2\n", 2, "no such step"},
        {"# one\n\nput a\n", 3, "a value is expected"},
        {"----\nx\n", 1, "answers before the first step"},
        {"store standin\n----\nx\n", 2, "answers before the first step"},
        {"put a 1\nfinding rule=nonsense\n", 2, "no such rule"},
        {"put a 1\n----\nyes\n\nget\n", 5, "a key is expected"},
        {"disk unit=5\n", 1, "a unit is a power of two"},
        {"put a 1\nput b 2\nput c 3\nput d 4\nput e \"\n", 5, "a value is expected"},
        {"batch put a 1 , put\n", 1, "a key is expected"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script script;
        char why[256] = "", place[64];

        write_file(cases[i].text);
        assert_false(script_load(&script, path, why, sizeof why));
        snprintf(place, sizeof place, "%s:%u: ", path, cases[i].line);
        if (strncmp(why, place, strlen(place)) != 0 || !strstr(why, cases[i].what))
            fail_msg("%s", why);
        script_release(&script);
    }
}

static void a_missing_file_is_named(void **state)
{
    struct script script;
    char why[256] = "";

    assert_false(script_load(&script, "/nonexistent/x.crash", why, sizeof why));
    assert_string_equal(why, "/nonexistent/x.crash: cannot be opened");
    script_release(&script);
}

static void an_unknown_store_is_broken(void **state)
{
    expect_run("store nonsense\nput a 1\n", SCRIPT_BROKEN, "no store nonsense");
    expect_run("store minivault\nput a 1\n", SCRIPT_BROKEN, "no store minivault");
}

static void a_finding_knows_its_rule(void **state)
{
    struct script script;
    char why[256];

    write_file("finding rule=torn-batch\nput a 1\n");
    assert_true(script_load(&script, path, why, sizeof why));
    assert_int_equal(script.rule, RULE_TORN_BATCH);
    assert_int_equal(script.trace.op_count, 1);
    script_release(&script);
}

/* ---- answers ---- */

#define STORE "disk model=posix unit=512\nstore standin\n"

static void answers_are_compared(void **state)
{
    expect_run(STORE "put a 1 sync\nget a\n----\n1\n\nget b\n----\n(absent)\n", SCRIPT_PASSED,
               NULL);
    expect_run(STORE "put a 1\nget a\n----\n2\n", SCRIPT_DIFFERS, "1\n");
    expect_run(STORE "put a 1\nget a\n", SCRIPT_DIFFERS,
               ":4: expected\n-- but the step answers\n1\n");
    expect_run(STORE "put a 1\n----\nOK\n", SCRIPT_DIFFERS, ":3: expected\nOK\n");
    expect_run(STORE "batch put a 1 , put b \"x y\"\nscan\n----\na (1 bytes)\nb (3 bytes)\n",
               SCRIPT_PASSED, NULL);
    expect_run(STORE "# a comment\n\nput a 1  \n", SCRIPT_PASSED, NULL);
}

static void errors_are_answers(void **state)
{
    expect_run(STORE "open\nfault eio op=write file=content nth=1\nput a 1\n----\n"
                     "error: cannot write\n",
               SCRIPT_PASSED, NULL);
    expect_run(STORE "open\nfault eio op=write file=content nth=1\nput a 1\n", SCRIPT_DIFFERS,
               "error: cannot write");
}

static void what_cannot_be_done_is_broken(void **state)
{
    expect_run(STORE "put a 1\nrecover\n", SCRIPT_BROKEN, ":4: recover follows a crash");
    expect_run(STORE "put a 1\ncrash end\nput b 2\n", SCRIPT_BROKEN,
               ":5: the power is off: recover comes first");
    expect_run(STORE "put a 1\ncrash end image=newest\nkeep data db/content offset=0\n",
               SCRIPT_BROKEN, ":5: lose follows a crash with image=newest");
    expect_run(STORE "put a 1\ncrash before=write file=content nth=7\nrecover\n", SCRIPT_BROKEN,
               ":5: this epoch has only 1 calls of write on content");
    expect_run(STORE "put a 1\ncrash end\nlose data db/other offset=0\nrecover\n", SCRIPT_BROKEN,
               ":6: nothing is open at version 1 of db/other offset 0");
    expect_run(STORE "put a 1\nshow stars\n", SCRIPT_BROKEN, "show disk, log, items or faults");
    expect_run(STORE "put a 1\nreached no_such_mark\n", SCRIPT_BROKEN,
               "no mark no_such_mark in this program");
}

static void a_crash_goes_where_it_is_told(void **state)
{
    expect_run(STORE "put a 1 sync\nput b 2\ncrash before=fsync file=content nth=2 image=newest\n"
                     "recover\nget b\n----\n2\n",
               SCRIPT_PASSED, NULL);
    expect_run(STORE "put a 1 sync\nput b 2\ncrash before=fsync file=content nth=2 image=oldest\n"
                     "recover\nget a\n----\n1\n\nget b\n----\n(absent)\n",
               SCRIPT_PASSED, NULL);
    expect_run(STORE "put a 1 sync\nput b 2\ncrash before=fsync file=content nth=2\n"
                     "lose data db/content offset=0 version=2\nrecover\nget b\n----\n(absent)\n",
               SCRIPT_PASSED, NULL);
}

/* ---- violations ---- */

static void a_violation_is_told(void **state)
{
    expect_run(
        "disk model=posix unit=512\nstore standin lazy\nput a 1 sync\ncrash end image=oldest\n"
        "recover\n",
        SCRIPT_VIOLATION, "violation: below-floor");
    expect_run("disk model=posix unit=512\nstore standin lazy\nput a 1 sync\nexplore\n",
               SCRIPT_VIOLATION, "violation: below-floor");
    expect_run("disk model=posix unit=512\nstore standin leaky\nput a 1\nclose\n", SCRIPT_VIOLATION,
               "violation: leak");
}

/* No step of it answers; the file still does not pass. */
static void a_violation_at_the_very_end_is_told(void **state)
{
    expect_run("disk model=posix unit=512\nstore standin leaky\nput a 1\n", SCRIPT_VIOLATION,
               "leak");
}

static void an_expected_violation_passes(void **state)
{
    static struct finding finding;
    char said[4096] = "";

    write_file("disk model=posix unit=512\nstore standin leaky\nput a 1\nclose\n----\n"
               "violation: leak: op 2: descriptors are left after close\n");
    assert_int_equal(run(NULL, false, said, sizeof said, &finding), SCRIPT_PASSED);
    assert_true(finding.found);
    assert_int_equal(finding.verdict.rule, RULE_LEAK);
}

static void an_honest_store_passes_the_search(void **state)
{
    expect_run(
        "disk model=prefix unit=512\nstore standin\nput a 1 sync\nput b 2\ndelete a\nexplore\n",
        SCRIPT_PASSED, NULL);
}

/* ---- rewriting ---- */

static void rewriting_twice_changes_nothing(void **state)
{
    static const char *const texts[] = {
        STORE "put a 1\nget a\nget b\nscan\n",
        STORE "# first\nput a 1\n----\nwrong\n\n# second\nget a\n----\nold\nold\n\n\nget b\n",
        STORE "put a 1\nget a\n# between\n----\nx\n",
        STORE "open\nshow log\nshow disk\nput a 1 sync\ncrash end\nshow items\nrecover\n",
        "disk model=posix unit=512\nstore standin leaky\nput a 1\nclose\nget a\n",
    };
    static struct finding finding;
    char said[4096];

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *first, *second;

        assert_int_equal(run(texts[i], true, said, sizeof said, &finding), SCRIPT_PASSED);
        first = read_file();
        assert_int_equal(run(NULL, true, said, sizeof said, &finding), SCRIPT_PASSED);
        second = read_file();
        assert_string_equal(first, second);
        assert_int_equal(run(NULL, false, said, sizeof said, &finding), SCRIPT_PASSED);
        free(first);
        free(second);
    }
}

static void a_rewritten_file_has_the_answers(void **state)
{
    static struct finding finding;
    char said[4096], *text;

    run(STORE "# keep me\nput a 1\n----\nold\n\nget a\n", true, said, sizeof said, &finding);
    text = read_file();
    assert_string_equal(text, STORE "# keep me\nput a 1\nget a\n----\n1\n\n");
    free(text);
}

/* What could not be done must not wipe the answers out. */
static void a_broken_file_is_not_rewritten(void **state)
{
    static const char broken[] = STORE "get a\n----\n(absent)\n\nrecover\n";
    static struct finding finding;
    char said[4096] = "", *text;

    assert_int_equal(run(broken, true, said, sizeof said, &finding), SCRIPT_BROKEN);
    text = read_file();
    assert_string_equal(text, broken);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_file_is_refused_with_its_line),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(an_unknown_store_is_broken),
        cmocka_unit_test(a_finding_knows_its_rule),
        cmocka_unit_test(answers_are_compared),
        cmocka_unit_test(errors_are_answers),
        cmocka_unit_test(what_cannot_be_done_is_broken),
        cmocka_unit_test(a_crash_goes_where_it_is_told),
        cmocka_unit_test(a_violation_is_told),
        cmocka_unit_test(a_violation_at_the_very_end_is_told),
        cmocka_unit_test(an_expected_violation_passes),
        cmocka_unit_test(an_honest_store_passes_the_search),
        cmocka_unit_test(rewriting_twice_changes_nothing),
        cmocka_unit_test(a_rewritten_file_has_the_answers),
        cmocka_unit_test(a_broken_file_is_not_rewritten),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
