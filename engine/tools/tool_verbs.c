/* tool_verbs.c: the commands that read, write and look after a database. */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void print_pair(const struct call *call, struct bytes key, struct bytes value)
{
    if (call->json) {
        fputs("{\"type\":\"pair\"", stdout);
        print_json_bytes(stdout, "key", key.data, key.len);
        if (!call->keys)
            print_json_bytes(stdout, "value", value.data, value.len);
        puts("}");
        return;
    }
    print_escaped(stdout, key.data, key.len, true);
    if (!call->keys) {
        putchar('\t');
        print_escaped(stdout, value.data, value.len, false);
    }
    putchar('\n');
}

int verb_get(struct tool *tool, struct call *call)
{
    const struct text *key = &call->operands[0];
    void *value = NULL;
    size_t len = 0;
    enum vault_status st = vault_get(tool->db, tool->at, key->data, key->len, &value, &len);

    if (st == VAULT_NOT_FOUND)
        return tool_complain(tool, TOOL_NOT_FOUND, "no such key");
    if (st)
        return tool_failure_of(tool, st);
    if (call->json) {
        print_pair(call, bytes_of(key->data, key->len), bytes_of(value, len));
    } else if (call->raw) {
        fwrite(value, 1, len, stdout);
    } else {
        print_escaped(stdout, value, len, false);
        putchar('\n');
    }
    vault_value_free(tool->db, value, len);
    return TOOL_OK;
}

static int read_all(struct tool *tool, struct text *to)
{
    char chunk[65536];
    size_t got;

    text_add(to, "", 0);
    tool_wait_for_input(true);
    while ((got = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
        text_add(to, chunk, got);
        if (to->len > VAULT_VALUE_MAX)
            return tool_complain(tool, TOOL_USAGE, "the value on standard input is too long");
    }
    tool_wait_for_input(false);
    if (ferror(stdin))
        return tool_complain(tool, TOOL_FAILED, "standard input: %s", strerror(errno));
    return TOOL_OK;
}

static int put(struct tool *tool, const struct call *call, const struct text *value)
{
    const struct text *key = &call->operands[0];
    uint64_t until = call->has_ttl ? vault_now(tool->db) + call->ttl : 0;
    enum vault_status st;

    if (tool->batch)
        st = call->has_ttl
                 ? vault_batch_put_until(tool->batch, key->data, key->len, value->data, value->len,
                                         until)
                 : vault_batch_put(tool->batch, key->data, key->len, value->data, value->len);
    else
        st = call->has_ttl ? vault_put_until(tool->db, key->data, key->len, value->data, value->len,
                                             until, !call->no_sync, NULL)
                           : vault_put(tool->db, key->data, key->len, value->data, value->len,
                                       !call->no_sync, NULL);
    return st ? tool_failure_of(tool, st) : TOOL_OK;
}

int verb_put(struct tool *tool, struct call *call)
{
    struct text input = {0};
    bool from_input = !tool->shell && strcmp(call->operands[1].data, "-") == 0;
    int code = from_input ? read_all(tool, &input) : TOOL_OK;

    if (!code)
        code = put(tool, call, from_input ? &input : &call->operands[1]);
    text_free(&input);
    return code;
}

int verb_del(struct tool *tool, struct call *call)
{
    struct vault_batch *batch = tool->batch ? tool->batch : vault_batch_new();
    enum vault_status st = batch ? VAULT_OK : VAULT_NO_MEMORY;

    for (size_t i = 0; i < call->count && !st; i++)
        st = vault_batch_delete(batch, call->operands[i].data, call->operands[i].len);
    if (!tool->batch) {
        if (!st)
            st = vault_write(tool->db, batch, !call->no_sync, NULL);
        vault_batch_free(batch);
    }
    return st ? tool_failure_of(tool, st) : TOOL_OK;
}

int verb_delrange(struct tool *tool, struct call *call)
{
    const struct text *from = &call->operands[0], *to = &call->operands[1];
    enum vault_status st;

    if (bytes_compare(bytes_of(from->data, from->len), bytes_of(to->data, to->len)) >= 0)
        return tool_complain(tool, TOOL_USAGE, "delrange: TO has to be behind FROM");
    if (tool->batch)
        st = vault_batch_delete_range(tool->batch, from->data, from->len, to->data, to->len);
    else
        st = vault_delete_range(tool->db, from->data, from->len, to->data, to->len, !call->no_sync,
                                NULL);
    return st ? tool_failure_of(tool, st) : TOOL_OK;
}

/* ---- ranges ---- */

void range_free(struct range *range)
{
    text_free(&range->from);
    text_free(&range->to);
}

/* The smallest key above all that begin with the prefix; none when it is all 0xff. */
static void above_prefix(struct text *to, const struct text *prefix)
{
    size_t len = prefix->len;

    while (len && (unsigned char)prefix->data[len - 1] == 0xff)
        len--;
    if (len == 0)
        return;
    text_add(to, prefix->data, len);
    to->data[len - 1] = (char)((unsigned char)to->data[len - 1] + 1);
}

static struct bytes text_bytes(const struct text *t)
{
    return bytes_of(t->data, t->len);
}

int range_of(struct tool *tool, const struct call *call, size_t first, struct range *range)
{
    *range = (struct range){.reverse = call->reverse};
    if (call->has_prefix && call->count > first)
        return tool_complain(tool, TOOL_USAGE, "%s: either --prefix or FROM and TO", call->name);
    text_add(&range->from, "", 0);
    if (call->has_prefix) {
        text_add(&range->from, call->prefix.data, call->prefix.len);
        above_prefix(&range->to, &call->prefix);
    }
    if (call->count > first)
        text_add(&range->from, call->operands[first].data, call->operands[first].len);
    if (call->count > first + 1)
        text_add(&range->to, call->operands[first + 1].data, call->operands[first + 1].len);
    return TOOL_OK;
}

static void range_begin(const struct range *range, struct vault_iter *it)
{
    size_t len = 0;

    if (!range->reverse) {
        vault_iter_seek(it, range->from.data, range->from.len);
    } else if (!range->to.data) {
        vault_iter_last(it);
    } else {
        vault_iter_seek_for_prev(it, range->to.data, range->to.len);
        if (vault_iter_valid(it)) {
            const void *key = vault_iter_key(it, &len);

            if (bytes_equal(bytes_of(key, len), text_bytes(&range->to)))
                vault_iter_prev(it);
        }
    }
}

static bool is_inside(const struct range *range, struct bytes key)
{
    if (range->reverse)
        return bytes_compare(key, text_bytes(&range->from)) >= 0;
    return !range->to.data || bytes_compare(key, text_bytes(&range->to)) < 0;
}

int range_walk(struct tool *tool, const struct range *range, void *ctx,
               int (*each)(void *ctx, struct bytes key, struct bytes value))
{
    struct vault_iter *it = NULL;
    enum vault_status st = vault_iter_new(tool->db, tool->at, &it);
    int code = TOOL_OK;

    if (st)
        return tool_failure_of(tool, st);
    range_begin(range, it);
    while (vault_iter_valid(it) && !code) {
        size_t key_len = 0, value_len = 0;
        const void *key = vault_iter_key(it, &key_len);
        const void *value = vault_iter_value(it, &value_len);

        if (!is_inside(range, bytes_of(key, key_len)))
            break;
        code = tool_interrupted() ? TOOL_INTERRUPTED
                                  : each(ctx, bytes_of(key, key_len), bytes_of(value, value_len));
        if (range->reverse)
            vault_iter_prev(it);
        else
            vault_iter_next(it);
    }
    st = vault_iter_status(it);
    vault_iter_free(it);
    return code ? code : st ? tool_failure_of(tool, st) : TOOL_OK;
}

struct scanning {
    struct call *call;
    uint64_t count;
    bool ended;
};

#define SCAN_ENDED (-1)

static int show(void *ctx, struct bytes key, struct bytes value)
{
    struct scanning *scanning = ctx;

    if (scanning->call->has_limit && scanning->count == scanning->call->limit)
        return SCAN_ENDED;
    print_pair(scanning->call, key, value);
    scanning->count++;
    /* Nobody listens any more: do not read on. */
    return ferror(stdout) ? SCAN_ENDED : TOOL_OK;
}

int verb_scan(struct tool *tool, struct call *call)
{
    struct scanning scanning = {.call = call};
    struct range range;
    int code = range_of(tool, call, 0, &range);

    if (!code)
        code = range_walk(tool, &range, &scanning, show);
    range_free(&range);
    return code == SCAN_ENDED ? TOOL_OK : code;
}

static int add_one(void *ctx, struct bytes key, struct bytes value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)ctx;
    return TOOL_OK;
}

int verb_count(struct tool *tool, struct call *call)
{
    uint64_t count = 0;
    struct range range;
    int code = range_of(tool, call, 0, &range);

    if (!code)
        code = range_walk(tool, &range, &count, add_one);
    range_free(&range);
    if (!code)
        printf(call->json ? "{\"type\":\"count\",\"keys\":%" PRIu64 "}\n" : "%" PRIu64 "\n", count);
    return code;
}

/* ---- looking after it ---- */

static void print_figure(const struct call *call, const char *name, const uint64_t *values,
                         uint32_t count)
{
    if (!call->json && strstr(name, "_amplification")) { /* thousandths */
        printf("%-22s %" PRIu64 ".%03" PRIu64 "\n", name, values[0] / 1000, values[0] % 1000);
        return;
    }
    printf(call->json ? ",\"%s\":" : "%-22s ", name);
    if (call->json && count > 1)
        putchar('[');
    for (uint32_t i = 0; i < count; i++)
        printf("%s%" PRIu64, i == 0 ? "" : call->json ? "," : " ", values[i]);
    if (call->json && count > 1)
        putchar(']');
    if (!call->json)
        putchar('\n');
}

int verb_stats(struct tool *tool, struct call *call)
{
    struct vault_stats stats;
    uint64_t seqs[2] = {vault_last_seq(tool->db), vault_durable_seq(tool->db)};

    vault_get_stats(tool->db, &stats);
    if (call->json)
        fputs("{\"type\":\"stats\"", stdout);
    print_figure(call, "last_seq", &seqs[0], 1);
    print_figure(call, "durable_seq", &seqs[1], 1);
    for (const struct vault_field *f = vault_fields("stats", NULL); f->name; f++) {
        uint64_t values[64] = {0};

        for (uint32_t i = 0; i < f->count && i < 64; i++)
            memcpy(&values[i], (const char *)&stats + f->offset + i * f->size, f->size);
        print_figure(call, f->name, values, f->count < 64 ? f->count : 64);
    }
    if (call->json)
        puts("}");
    return TOOL_OK;
}

int verb_flush(struct tool *tool, struct call *call)
{
    enum vault_status st = vault_flush(tool->db);

    (void)call;
    return st ? tool_failure_of(tool, st) : TOOL_OK;
}

int verb_compact(struct tool *tool, struct call *call)
{
    const struct text *from = call->count > 0 ? &call->operands[0] : NULL;
    const struct text *to = call->count > 1 ? &call->operands[1] : NULL;
    enum vault_status st =
        vault_compact_range(tool->db, from ? from->data : NULL, from ? from->len : 0,
                            to ? to->data : NULL, to ? to->len : 0);

    return st ? tool_failure_of(tool, st) : TOOL_OK;
}

int verb_checkpoint(struct tool *tool, struct call *call)
{
    uint64_t seq = 0;
    enum vault_status st = vault_checkpoint(tool->db, call->operands[0].data,
                                            call->copy ? VAULT_CHECKPOINT_COPY : 0, &seq);

    if (st)
        return tool_failure_of(tool, st);
    if (call->json)
        printf("{\"type\":\"checkpoint\",\"last_seq\":%" PRIu64 "}\n", seq);
    return TOOL_OK;
}

struct findings {
    struct call *call;
    uint64_t damage, lost, orphans;
};

static void tell_finding(void *ctx, const struct vault_finding *f)
{
    static const char *const kinds[] = {"damaged", "lost", "orphan"};
    struct findings *all = ctx;

    all->damage += f->kind == VAULT_FINDING_DAMAGE;
    all->lost += f->kind == VAULT_FINDING_LOST;
    all->orphans += f->kind == VAULT_FINDING_ORPHAN;
    if (all->call->json) {
        printf("{\"type\":\"finding\",\"kind\":\"%s\",\"file\":\"%s\",\"offset\":%" PRIu64
               ",\"what\":\"%s\"",
               kinds[f->kind], f->file, f->offset, f->what);
        if (f->first)
            print_json_bytes(stdout, "first", f->first, f->first_len);
        if (f->last)
            print_json_bytes(stdout, "last", f->last, f->last_len);
        puts("}");
        return;
    }
    printf("%s: %s at offset %" PRIu64 ": %s", kinds[f->kind], f->file, f->offset, f->what);
    if (f->first || f->last) {
        fputs("; keys from ", stdout);
        print_escaped(stdout, f->first ? f->first : "", f->first_len, true);
        fputs(" to ", stdout);
        if (f->last)
            print_escaped(stdout, f->last, f->last_len, true);
        else
            fputs("the end", stdout);
    }
    putchar('\n');
}

static int count_keys(struct tool *tool, const struct vault_options *options, uint64_t *keys)
{
    struct range all = {0};
    struct vault_error error = {0};
    enum vault_status st = vault_open(tool->path, options, &tool->db, &error);
    int code;

    if (st)
        return tool_failure(tool, st, &error);
    text_add(&all.from, "", 0);
    code = range_walk(tool, &all, keys, add_one);
    range_free(&all);
    (void)vault_close(tool->db);
    tool->db = NULL;
    return code;
}

/* Both work on a database that is closed. */
static int look_over(struct tool *tool, struct call *call, bool mend)
{
    struct findings all = {.call = call};
    struct vault_options options;
    struct vault_error error = {0};
    uint64_t keys = 0;
    enum vault_status st;
    int code;

    vault_options_init(&options);
    code = options_apply(tool, call, &options);
    if (code)
        return code;
    st = mend ? vault_repair(tool->path, &options, tell_finding, &all, &error)
              : vault_verify(tool->path, &options, tell_finding, &all, &error);
    if (st)
        return tool_failure(tool, st, &error);
    options.read_only = true;
    code = count_keys(tool, &options, &keys);
    if (code)
        return code;
    if (call->json)
        printf("{\"type\":\"%s\",\"keys\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"lost\":%" PRIu64
               ",\"orphans\":%" PRIu64 "}\n",
               call->name, keys, all.damage, all.lost, all.orphans);
    else if (mend && (all.damage || all.lost))
        printf("repaired, %" PRIu64 " losses, %" PRIu64 " keys\n", all.lost, keys);
    else
        printf("%s, %" PRIu64 " keys\n", mend ? "ok, nothing to repair" : "ok", keys);
    return TOOL_OK;
}

int verb_verify(struct tool *tool, struct call *call)
{
    return look_over(tool, call, false);
}

int verb_repair(struct tool *tool, struct call *call)
{
    return look_over(tool, call, true);
}

int verb_destroy(struct tool *tool, struct call *call)
{
    struct vault_error error = {0};
    enum vault_status st;

    if (!call->force)
        return tool_complain(tool, TOOL_USAGE, "destroy removes %s for good; say --force",
                             tool->path);
    st = vault_destroy(tool->path, &error);
    return st ? tool_failure(tool, st, &error) : TOOL_OK;
}
