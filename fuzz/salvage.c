/* salvage.c: see salvage.h. */
#include <string.h>

#include "salvage.h"

#define WALK_MAX 100000 /* entries; a scan that shows more goes round in circles */

struct told {
    size_t findings; /* orphans are none */
    size_t forged;   /* those that no reader minds: somebody forged a checksum */
};

static bool nobody_minds(const char *what)
{
    return strcmp(what, "another number of entries than the footer says") == 0 ||
           strcmp(what, "a block does not end as its index says") == 0;
}

static void tell(void *ctx, const struct vault_finding *finding)
{
    struct told *told = ctx;

    must(memchr(finding->file, 0, sizeof finding->file) != NULL);
    must(memchr(finding->what, 0, sizeof finding->what) != NULL);
    must(finding->what[0]);
    if (finding->kind == VAULT_FINDING_ORPHAN)
        return;
    told->findings++;
    told->forged += nobody_minds(finding->what);
}

static bool is_damage(enum vault_status st)
{
    return st == VAULT_CORRUPT || st == VAULT_DATA_LOSS;
}

/* Verify, with the files on the stage; its status. */
static enum vault_status look(const struct vault_options *options, struct told *told)
{
    struct vault_error error = {0};
    enum vault_status st = VAULT_OK;

    *told = (struct told){0};
    st = vault_verify(STAGE_DIR, options, tell, told, &error);
    must(!is_damage(st) || told->findings > 0); /* V1 */
    must(st || told->findings == 0);
    must(error.status == st);
    if (is_damage(st) || st == VAULT_UNSUPPORTED)
        stage_check_error(&error);
    else
        must(st == VAULT_OK || st == VAULT_NOT_FOUND);
    must(stage_held() == 0);
    return st;
}

static void check_unchanged(const struct stage_files *files)
{
    struct stage_files now;

    stage_capture(&now);
    must(now.count == files->count);
    for (size_t i = 0; i < now.count; i++) {
        const struct stage_file *was = stage_find(files, now.at[i].kind, now.at[i].number);

        must(was && bytes_equal(was->data, now.at[i].data));
    }
    stage_release(&now);
}

/* Everything that is there, once forward. Exact: it is what was there before. */
static void check_shown(struct vault *v, const struct plain_store *s)
{
    struct vault_iter *it = NULL;
    size_t shown = 0;

    must(vault_iter_new(v, NULL, &it) == VAULT_OK);
    for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it)) {
        size_t key_len = 0;
        size_t value_len = 0;
        const void *key = vault_iter_key(it, &key_len);
        const void *value = vault_iter_value(it, &value_len);

        if (s->exact) {
            must(shown < s->live.count);
            must(bytes_equal(bytes_of(key, key_len), s->live.at[shown].key));
            must(bytes_equal(bytes_of(value, value_len), s->live.at[shown].value));
        }
        must(++shown < WALK_MAX);
    }
    must(vault_iter_status(it) == VAULT_OK);
    must(!s->exact || shown == s->live.count);
    vault_iter_free(it);
}

static void mend(const struct stage_files *files, const struct plain_store *s,
                 const struct vault_options *options)
{
    struct vault_error error = {0};
    struct vault *v = NULL;
    struct told told = {0};
    enum vault_status st = VAULT_OK;

    stage_set();
    stage_write_all(files);
    st = vault_repair(STAGE_DIR, options, tell, &told, &error);
    must(stage_held() == 0);
    if (st == VAULT_OK) { /* V3 */
        must(look(options, &told) == VAULT_OK);
        must(vault_open(STAGE_DIR, options, &v, &error) == VAULT_OK);
        check_shown(v, s);
        must(vault_last_seq(v) > FORMAT_SEQ_MAX - 2 ||
             vault_put(v, "k", 1, "v", 1, true, NULL) == VAULT_OK);
        must(vault_check(v, &error) == VAULT_OK);
        must(vault_close(v) == VAULT_OK);
    } else {
        must(error.status == st);
    }
    stage_clear();
}

void salvage_try(const struct stage_files *files, const struct plain_store *s,
                 const struct vault_options *options)
{
    struct told told;
    enum vault_status st = VAULT_OK;

    stage_set();
    stage_write_all(files);
    st = look(options, &told);
    check_unchanged(files);
    stage_clear();
    if (st == VAULT_NOT_FOUND) { /* an open would make a new database */
        must(!stage_find(files, FORMAT_CURRENT, 0));
        return;
    }
    must(!s->exact || told.findings == told.forged); /* V2 */
    must(s->vague || !(s->status || s->unsound) || st);
    mend(files, s, options);
}
