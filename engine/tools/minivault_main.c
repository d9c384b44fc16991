/* minivault_main.c: the store on the command line, one operation per call or a prompt.
 *
 *   minivault DIR put KEY VALUE | get KEY | del KEY | scan [FROM [TO]] | stats | check
 *   minivault DIR dump wal|sst|manifest FILE
 *   minivault DIR                     a prompt: the same words, one operation a line
 *
 * Keys and values are taken as they are; what is printed has bytes outside of printable ASCII, and
 * the backslash, as \xNN. Exit: 0 done; 1 not found, or the operation failed; 2 usage. Messages go
 * to stderr and name file, offset and the system's words. `dump` reads a file and changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "minivault/minivault.h"
#include "../record.h"
#include "../sst.h"
#include "../wal.h"

static void print_bytes(const void *data, size_t len)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < len; i++)
        if (p[i] >= 32 && p[i] < 127 && p[i] != '\\')
            putchar(p[i]);
        else
            printf("\\x%02x", p[i]);
}

static int complain(enum vault_status st, const struct vault_error *e)
{
    fprintf(stderr, "minivault: %s", vault_status_name(st));
    if (e->status == st) {
        fprintf(stderr, ": %s", e->what);
        if (e->file[0])
            fprintf(stderr, ": %s at offset %llu", e->file, (unsigned long long)e->offset);
        if (e->system_errno)
            fprintf(stderr, ": %s", strerror(e->system_errno));
    }
    fputc('\n', stderr);
    return 1;
}

static int complain_of(struct vault *v, enum vault_status st)
{
    struct vault_error e;

    vault_last_error(v, &e);
    return complain(st, &e);
}

static int do_get(struct vault *v, const char *key)
{
    void *value = NULL;
    size_t len = 0;
    enum vault_status st = vault_get(v, NULL, key, strlen(key), &value, &len);

    if (st == VAULT_NOT_FOUND) {
        fprintf(stderr, "minivault: no such key\n");
        return 1;
    }
    if (st)
        return complain_of(v, st);
    print_bytes(value, len);
    putchar('\n');
    vault_value_free(v, value, len);
    return 0;
}

static int do_scan(struct vault *v, const char *from, const char *to)
{
    struct vault_iter *it = NULL;
    enum vault_status st = vault_iter_new(v, NULL, &it);

    if (st)
        return complain_of(v, st);
    vault_iter_seek(it, from, strlen(from));
    for (; vault_iter_valid(it); vault_iter_next(it)) {
        size_t key_len = 0;
        size_t value_len = 0;
        const void *key = vault_iter_key(it, &key_len);
        const void *value = vault_iter_value(it, &value_len);

        if (to && bytes_compare(bytes_of(key, key_len), bytes_str(to)) > 0)
            break;
        print_bytes(key, key_len);
        putchar('\t');
        print_bytes(value, value_len);
        putchar('\n');
    }
    st = vault_iter_status(it);
    vault_iter_free(it);
    return st ? complain_of(v, st) : 0;
}

static int do_stats(struct vault *v)
{
    struct vault_stats s;

    vault_get_stats(v, &s);
    for (unsigned i = 0; i < VAULT_LEVELS; i++)
        if (s.tables[i])
            printf("level %u: %u tables, %llu bytes\n", i, s.tables[i],
                   (unsigned long long)s.bytes[i]);
    printf("last sequence number %llu, durable %llu\n", (unsigned long long)vault_last_seq(v),
           (unsigned long long)vault_durable_seq(v));
    printf("memory %llu bytes\n", (unsigned long long)s.memory);
    return 0;
}

static int do_check(struct vault *v)
{
    struct vault_error e = {0};
    struct vault_iter *it = NULL;
    unsigned long long keys = 0;
    enum vault_status st = vault_check(v, &e);

    if (st)
        return complain(st, &e);
    st = vault_iter_new(v, NULL, &it);
    if (st)
        return complain_of(v, st);
    for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it))
        keys++;
    st = vault_iter_status(it);
    vault_iter_free(it);
    if (st)
        return complain_of(v, st);
    printf("ok, %llu keys\n", keys);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: minivault DIR [put KEY VALUE | get KEY | del KEY | scan [FROM [TO]] |\n"
                    "                      flush | stats | check | dump wal|sst|manifest FILE]\n");
    return 2;
}

static int run(struct vault *v, int argc, char **argv)
{
    const char *verb = argv[0];
    enum vault_status st = VAULT_OK;

    if (!strcmp(verb, "get") && argc == 2)
        return do_get(v, argv[1]);
    if (!strcmp(verb, "scan") && argc <= 3)
        return do_scan(v, argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : NULL);
    if (!strcmp(verb, "stats") && argc == 1)
        return do_stats(v);
    if (!strcmp(verb, "check") && argc == 1)
        return do_check(v);
    if (!strcmp(verb, "put") && argc == 3)
        st = vault_put(v, argv[1], strlen(argv[1]), argv[2], strlen(argv[2]), true, NULL);
    else if (!strcmp(verb, "del") && argc == 2)
        st = vault_delete(v, argv[1], strlen(argv[1]), true, NULL);
    else if (!strcmp(verb, "flush") && argc == 1)
        st = vault_flush(v);
    else
        return usage();
    return st ? complain_of(v, st) : 0;
}

static int prompt(struct vault *v)
{
    char line[4096];
    int worst = 0;
    bool tty = isatty(STDIN_FILENO) != 0;

    for (;;) {
        char *words[4];
        int count = 0;
        int result = 0;

        if (tty)
            fputs("minivault> ", stdout);
        fflush(stdout);
        if (!fgets(line, sizeof line, stdin))
            return worst;
        for (char *word = strtok(line, " \t\n"); word && count < 4; word = strtok(NULL, " \t\n"))
            words[count++] = word;
        if (count == 0)
            continue;
        if (!strcmp(words[0], "quit") || !strcmp(words[0], "exit"))
            return worst;
        result = run(v, count, words);
        if (result > worst && !tty)
            worst = result;
    }
}

/* Record files: one line per record; for the log one more per operation. */
static enum vault_status dump_records(struct env *env, enum format_file kind, uint64_t number)
{
    struct record_reader r;
    struct record record;
    bool got = false;
    enum vault_status st = record_open(env, &r, kind, number, 4096);

    if (!st)
        st = record_head(env, &r, &got);
    if (!st && got)
        printf("0: header number=%llu prev=%llu prev_synced=%llu prev_seq=%llu manifest=%llu "
               "manifest_synced=%llu\n",
               (unsigned long long)number, (unsigned long long)r.origin.prev_number,
               (unsigned long long)r.origin.prev_synced, (unsigned long long)r.origin.prev_seq,
               (unsigned long long)r.origin.manifest_number,
               (unsigned long long)r.origin.manifest_synced);
    while (!st && got) {
        struct taker ops;
        struct bytes key;
        struct bytes value;
        unsigned kind_of_op = 0;

        st = record_next(env, &r, &record, &got);
        if (st || !got)
            break;
        printf("%llu: %s seq=%llu count=%u bytes=%zu\n", (unsigned long long)record.offset,
               record.kind == FORMAT_RECORD_DATA ? "record" : "claim",
               (unsigned long long)record.seq, record.count, record.payload.len);
        ops = taker_of(record.payload);
        while (kind == FORMAT_LOG && taker_left(&ops) &&
               ops_take(&ops, &kind_of_op, &key, &value)) {
            printf("    %s ", kind_of_op & CURSOR_PUT ? "put" : "del");
            print_bytes(key.data, key.len);
            putchar(' ');
            print_bytes(value.data, value.len);
            putchar('\n');
        }
    }
    if (!st)
        printf("%llu: %s\n", (unsigned long long)r.pos, r.torn ? "torn here" : "end");
    record_release(env, &r);
    return st;
}

static enum vault_status dump_table(struct env *env, uint64_t number, const char *name)
{
    struct cache cache;
    struct sst sst;
    struct cursor *c = NULL;
    uint64_t size = 0;
    enum vault_status st = os_file_size(env, name, &size);

    cache_init(&cache, 0);
    if (!st)
        st = sst_open(env, &cache, number, size, &sst);
    if (!st) {
        printf("table number=%llu bytes=%llu data=%llu filter=%zu index=%zu\n",
               (unsigned long long)number, (unsigned long long)size,
               (unsigned long long)sst.data_end, sst.filter.len, sst.index.len);
        st = sst_cursor(&sst, &c);
        if (!st)
            c->ops->first(c);
        for (; !st && c->valid; c->ops->next(c)) {
            printf("    %s seq=%llu ", c->tag & CURSOR_PUT ? "put" : "del",
                   (unsigned long long)tag_seq(c->tag));
            print_bytes(c->key.data, c->key.len);
            putchar(' ');
            print_bytes(c->value.data, c->value.len);
            putchar('\n');
        }
        st = st ? st : c->status;
        cursor_free(c);
        sst_close(&sst);
    }
    cache_release(env, &cache);
    return st;
}

static int dump(const char *dir, const char *what, const char *name)
{
    struct env env;
    struct vault_error e;
    uint64_t number = 0;
    enum format_file kind = format_parse(name, &number);
    enum format_file asked = !strcmp(what, "wal")        ? FORMAT_LOG
                             : !strcmp(what, "sst")      ? FORMAT_TABLE
                             : !strcmp(what, "manifest") ? FORMAT_MANIFEST
                                                         : FORMAT_OTHER;
    enum vault_status st = env_init(&env, dir, NULL, NULL);

    if (asked == FORMAT_OTHER || kind != asked) {
        env_release(&env);
        fprintf(stderr, "minivault: %s is not the name of a %s file\n", name, what);
        return usage();
    }
    if (!st)
        st = kind == FORMAT_TABLE ? dump_table(&env, number, name)
                                  : dump_records(&env, kind, number);
    env_last(&env, &e);
    env_release(&env);
    return st ? complain(st, &e) : 0;
}

int main(int argc, char **argv)
{
    struct vault_options options;
    struct vault_error error = {0};
    struct vault *v = NULL;
    int result = 0;
    enum vault_status st = VAULT_OK;

    if (argc < 2 || argv[1][0] == '-')
        return usage();
    if (argc == 5 && !strcmp(argv[2], "dump"))
        return dump(argv[1], argv[3], argv[4]);
    vault_options_init(&options);
    options.create_if_missing = argc == 2 || !strcmp(argv[2], "put");
    st = vault_open(argv[1], &options, &v, &error);
    if (st)
        return complain(st, &error);
    result = argc > 2 ? run(v, argc - 2, argv + 2) : prompt(v);
    st = vault_close(v);
    if (st && !result) {
        fprintf(stderr, "minivault: close: %s\n", vault_status_name(st));
        result = 1;
    }
    return result;
}
