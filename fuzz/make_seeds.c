/* make_seeds.c: writes the seeds of all targets, from the engine as it is.
 *
 *   make_seeds FOLDER      FOLDER/<target>_seeds/<name> for each
 *
 * The seeds are kept in the tree, a few kilobytes in all: they are also a golden set, files of the
 * format as it was when they were written, which have to stay readable. Run this again only when
 * the format has a new version. Exit: 0; 2 usage; 4 a file cannot be written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "block.h"
#include "database.h"
#include "pack.h"
#include "sst.h"
#include "trace_bytes.h"
#include "wal.h"

static const char *folder;

static void save(const char *target, const char *name, struct bytes data)
{
    char path[1024];
    FILE *out = NULL;
    size_t written = 0;

    snprintf(path, sizeof path, "%s/%s_seeds", folder, target);
    if (mkdir(path, 0755) && errno != EEXIST) {
        perror(path);
        exit(4);
    }
    snprintf(path, sizeof path, "%s/%s_seeds/%s", folder, target, name);
    out = fopen(path, "wb");
    if (out) {
        written = data.len ? fwrite(data.data, 1, data.len, out) : 0;
        if (fclose(out) == 0 && written == data.len)
            return;
    }
    perror(path);
    exit(4);
}

static void save_pack(const char *target, const char *name, const struct stage_files *files,
                      uint8_t chunk)
{
    uint8_t *out = malloc(1 << 16);
    size_t size = 0;

    must(out != NULL);
    size = pack_write(files, chunk, out, 1 << 16);
    must(size > 0);
    save(target, name, bytes_of(out, size));
    free(out);
}

/* ---- databases ---- */

#define COMPRESSED 1000u

/* `level0`: tables of level 0 that make a compaction due; 0: as stage_options says; COMPRESSED: the
 * same, and tables are. Wants both libraries. */
static struct vault *open_with(unsigned level0)
{
    struct vault_options options;
    struct vault *v = NULL;

    stage_options(&options);
    if (level0 == COMPRESSED) {
        level0 = 0;
        options.compression[0] = VAULT_LZ4;
        options.compression[1] = VAULT_ZSTD;
    }
    if (level0)
        options.level0_tables = level0;
    must(vault_open(STAGE_DIR, &options, &v, NULL) == VAULT_OK);
    return v;
}

static struct vault *open_store(void)
{
    return open_with(0);
}

static void put(struct vault *v, const char *key, const char *value, bool sync)
{
    must(vault_put(v, key, strlen(key), value, strlen(value), sync, NULL) == VAULT_OK);
}

/* Keys k00 to k19, some written again, some deleted. */
static void fill(struct vault *v, unsigned from, unsigned count)
{
    char key[16];
    char value[64];

    for (unsigned i = from; i < from + count; i++) {
        snprintf(key, sizeof key, "k%02u", i * 7 % 20);
        snprintf(value, sizeof value, "value %u of %s, rather long", i, key);
        if (i % 5 == 4)
            must(vault_delete(v, key, strlen(key), i % 2, NULL) == VAULT_OK);
        else if (i % 7 == 6) /* some have expired, some will */
            must(vault_put_until(v, key, strlen(key), value, strlen(value),
                                 STAGE_NOW + i * 100 - 1200, i % 2, NULL) == VAULT_OK);
        else
            put(v, key, value, i % 3 == 0);
    }
}

static void batch(struct vault *v)
{
    struct vault_batch *b = vault_batch_new();

    must(b != NULL);
    must(vault_batch_put(b, "a", 1, "1", 1) == VAULT_OK);
    must(vault_batch_put(b, "", 0, "", 0) == VAULT_OK);
    must(vault_batch_delete(b, "a", 1) == VAULT_OK);
    must(vault_batch_put(b, "z\0y", 3, "two", 3) == VAULT_OK);
    must(vault_write(v, b, true, NULL) == VAULT_OK);
    vault_batch_free(b);
}

static void log_seeds(void)
{
    struct stage_files files;
    const struct stage_file *log = NULL;
    struct vault *v = NULL;

    for (unsigned kind = 0; kind < 3; kind++) {
        static const char *const names[] = {"one_put", "batch", "many"};

        stage_set();
        v = open_store();
        if (kind == 0)
            put(v, "apple", "red", true);
        if (kind == 1)
            batch(v);
        if (kind == 2)
            fill(v, 0, 9);
        must(vault_close(v) == VAULT_OK);
        stage_capture(&files);
        stage_clear();
        log = stage_find(&files, FORMAT_LOG, 2);
        must(log != NULL);
        save("log", names[kind], log->data);
        if (kind == 2) {
            save("log", "torn", bytes_of(log->data.data, log->data.len - 60));
            save("log", "head_only", bytes_of(log->data.data, FORMAT_FILE_HEADER));
        }
        stage_release(&files);
    }
}

static void store_seeds(void)
{
    struct stage_files files = *database_empty();
    struct vault *v = NULL;

    save_pack("manifest", "empty", &files, 0);
    save("current", "empty", stage_find(&files, FORMAT_CURRENT, 0)->data);
    stage_set();
    v = open_store();
    fill(v, 0, 12);
    must(vault_flush(v) == VAULT_OK);
    fill(v, 12, 4);
    must(vault_flush(v) == VAULT_OK);
    must(vault_close(v) == VAULT_OK);
    stage_capture(&files);
    save_pack("manifest", "flushed", &files, 0);
    stage_release(&files);
    v = open_store();
    fill(v, 16, 3);
    batch(v);
    must(vault_close(v) == VAULT_OK);
    stage_capture(&files);
    save_pack("store", "table_and_log", &files, 1);
    stage_release(&files);
    v = open_store();
    fill(v, 20, 10);
    must(vault_compact_range(v, NULL, 0, NULL, 0) == VAULT_OK);
    fill(v, 30, 6);
    must(vault_flush(v) == VAULT_OK);
    must(vault_close(v) == VAULT_OK);
    stage_capture(&files);
    stage_clear();
    save_pack("manifest", "levels", &files, 3);
    save_pack("store", "levels", &files, 0);
    stage_release(&files);
}

/* Tables of level 0 that hold the same keys, above deeper levels. */
static void overlap_seed(void)
{
    struct stage_files files;
    struct vault *v = NULL;

    stage_set();
    v = open_with(9);
    for (unsigned i = 0; i < 4; i++) {
        if (i == 1 || i == 2)
            must(vault_compact_range(v, NULL, 0, NULL, 0) == VAULT_OK);
        put(v, "b", i % 2 ? "odd" : "even", false);
        put(v, i % 2 ? "a" : "d", "once", false);
        must(vault_delete(v, "c", 1, false, NULL) == VAULT_OK);
        put(v, i < 2 ? "c" : "e", "first", true);
        must(vault_flush(v) == VAULT_OK);
    }
    must(vault_delete(v, "b", 1, true, NULL) == VAULT_OK);
    must(vault_close(v) == VAULT_OK);
    stage_capture(&files);
    stage_clear();
    save_pack("store", "overlap", &files, 2);
    save_pack("manifest", "overlap", &files, 0);
    stage_release(&files);
}

static uint64_t write_log(struct env *env, uint64_t number, const struct record_origin *origin,
                          uint64_t seq)
{
    struct wal wal = {.open = false};
    struct buffer *to = NULL;
    size_t at = 0;

    must(wal_create(env, &wal, number, origin) == VAULT_OK);
    for (unsigned i = 0; i < 3; i++, seq++) {
        uint8_t key[2] = {'l', (uint8_t)('0' + seq)};
        struct bytes value = bytes_str("of a log");

        must(wal_begin(env, &wal, true, ops_size(FORMAT_OP_PUT, 2, value.len), &to, &at) ==
             VAULT_OK);
        ops_encode(to, FORMAT_OP_PUT, bytes_of(key, 2), value);
        must(wal_seal(env, &wal, seq, 1) == VAULT_OK);
        must(wal_write(env, &wal) == VAULT_OK);
        must(wal_sync(env, &wal) == VAULT_OK);
    }
    must(wal_finish(env, &wal) == VAULT_OK);
    return wal.out.synced;
}

/* Logs 2 and 3, the second of which says where the first one ended. */
static void chain_seed(void)
{
    const struct stage_files *empty = database_empty();
    struct record_origin origin = {.manifest_number = 1};
    struct stage_files files;
    struct env env;

    origin.manifest_synced = stage_find(empty, FORMAT_MANIFEST, 1)->data.len;
    stage_set();
    stage_env(&env);
    stage_write_all(empty);
    origin.prev_synced = write_log(&env, 2, &origin, 1);
    origin.prev_number = 2;
    origin.prev_seq = 3;
    write_log(&env, 3, &origin, 4);
    os_release_dir(&env);
    env_release(&env);
    stage_capture(&files);
    stage_clear();
    save_pack("store", "two_logs", &files, 0);
    stage_release(&files);
}

/* Range deletes, on the way from the log to tables below. */
static void range_seeds(void)
{
    struct stage_files files;
    struct vault *v = NULL;

    stage_set();
    v = open_store();
    fill(v, 0, 6);
    must(vault_delete_range(v, "k03", 3, "k15", 3, true, NULL) == VAULT_OK);
    put(v, "k07", "once more", true);
    must(vault_close(v) == VAULT_OK);
    stage_capture(&files);
    save("log", "range", stage_find(&files, FORMAT_LOG, 2)->data);
    stage_release(&files);
    v = open_with(9);
    must(vault_flush(v) == VAULT_OK);
    fill(v, 6, 6);
    must(vault_delete_range(v, "k10", 3, "k2", 2, false, NULL) == VAULT_OK);
    must(vault_flush(v) == VAULT_OK);
    must(vault_delete_range(v, "", 0, "k01", 3, true, NULL) == VAULT_OK);
    must(vault_close(v) == VAULT_OK);
    stage_capture(&files);
    stage_clear();
    save_pack("manifest", "ranges", &files, 0);
    save_pack("store", "ranges", &files, 1);
    stage_release(&files);
}

static void compressed_seed(void)
{
    struct stage_files files;
    struct vault *v = NULL;

    stage_set();
    v = open_with(COMPRESSED);
    fill(v, 0, 14);
    must(vault_compact_range(v, NULL, 0, NULL, 0) == VAULT_OK);
    fill(v, 14, 9);
    must(vault_flush(v) == VAULT_OK);
    must(vault_close(v) == VAULT_OK);
    stage_capture(&files);
    stage_clear();
    save_pack("store", "compressed", &files, 0);
    stage_release(&files);
}

/* ---- parts ---- */

static void record_seeds(void)
{
    struct record_origin origin = {0};
    struct record_writer w;
    struct env env;

    stage_set();
    stage_env(&env);
    must(record_create(&env, &w, FORMAT_LOG, 7, &origin) == VAULT_OK);
    must(record_sync(&env, &w) == VAULT_OK);
    must(record_begin(&env, &w, 30) == VAULT_OK);
    ops_encode(&w.frame, FORMAT_OP_PUT, bytes_str("apple"), bytes_str("red"));
    must(record_commit(&env, &w, FORMAT_RECORD_DATA, 1, 1) == VAULT_OK);
    save("record", "put", buffer_bytes(&w.frame));
    must(record_close(&env, &w) == VAULT_OK);
    must(record_create(&env, &w, FORMAT_LOG, 7, &origin) == VAULT_OK);
    must(record_sync(&env, &w) == VAULT_OK);
    must(record_claim(&env, &w, 9) == VAULT_OK);
    save("record", "claim", buffer_bytes(&w.frame));
    must(record_close(&env, &w) == VAULT_OK);
    env_release(&env);
    stage_clear();
}

static void table_seed(const char *name, unsigned count, unsigned bits, bool ranges,
                       unsigned compression)
{
    struct sst_options options = {120, 3, bits, compression};
    struct stage_files files;
    struct sst_builder b;
    struct env env;
    const uint8_t *foot = NULL;
    char key[16];
    uint64_t size = 0;

    stage_set();
    stage_env(&env);
    must(sst_begin(&env, &b, 3, &options) == VAULT_OK);
    for (unsigned i = 0; i < count; i++) {
        bool put = i % 4 != 3;

        snprintf(key, sizeof key, "key%03u", i / 2);
        must(sst_add(&b, bytes_str(key), tag_of(100 - i, put),
                     put ? bytes_str("some value") : bytes_of(NULL, 0)) == VAULT_OK);
    }
    if (ranges) {
        must(sst_add_range(&b, bytes_str("key001"), bytes_str("key004"), 97) == VAULT_OK);
        must(sst_add_range(&b, bytes_str("key001"), bytes_str("key004"), 95) == VAULT_OK);
        must(sst_add_range(&b, bytes_str("key004"), bytes_str("l"), 90) == VAULT_OK);
    }
    must(sst_finish(&b, &size) == VAULT_OK);
    sst_builder_release(&b);
    env_release(&env);
    stage_capture(&files);
    stage_clear();
    save("table", name, files.at[0].data);
    foot = files.at[0].data.data + files.at[0].data.len - FORMAT_FOOTER;
    if (count > 8 &&
        !compression) { /* the places in it are those of another table; the mutator mends them */
        uint64_t tail = load_u64(foot + 24) - (ranges ? load_u32(foot + 12) + 5 : 0);

        save("index", name,
             bytes_of(files.at[0].data.data + tail, files.at[0].data.len - (size_t)tail));
    }
    stage_release(&files);
}

static void block_seed(const char *name, unsigned count, unsigned interval)
{
    struct block_builder b = {.interval = interval};
    struct bytes contents;
    struct env env;
    char key[16];

    stage_env(&env);
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "k%03u%s", i / 2, i % 3 ? "" : "long");
        if (i % 2)
            snprintf(key, sizeof key, "k%03uz", i / 2);
        must(block_add(&env, &b, bytes_str(key), tag_of(i, FORMAT_OP_PUT), bytes_str("value")) ==
             VAULT_OK);
    }
    must(block_finish(&env, &b, &contents) == VAULT_OK);
    save("block", name, contents);
    block_release(&env, &b);
    env_release(&env);
}

/* Traces as bytes: each writes, and ends in another way. */
static void trace_seeds(void)
{
    static const uint8_t ends[][3] = {{CODE_FLUSH, CODE_PUT, CODE_REOPEN},
                                      {CODE_BATCH, CODE_COMPACT, CODE_DELETE},
                                      {CODE_FAULT, CODE_PUT, CODE_FLUSH},
                                      {CODE_CRASH, CODE_PUT, CODE_CRASH},
                                      {CODE_FLUSH, CODE_DELETE_RANGE, CODE_FLUSH}};
    static const char *const names[] = {"flush", "compact", "fault", "crashes", "ranges"};

    for (unsigned i = 0; i < 5; i++) {
        uint8_t bytes[TRACE_HEADER + 9 * TRACE_RECORD] = {0};

        bytes[2] = (uint8_t)(1 + i * 2); /* model */
        for (unsigned r = 0; r < 9; r++) {
            uint8_t *p = bytes + TRACE_HEADER + r * TRACE_RECORD;

            p[0] = r < 6 ? (r % 3 == 2 ? CODE_DELETE : CODE_PUT) : ends[i][r - 6];
            p[1] = (uint8_t)(r % 4);
            p[3] = 40;
            p[6] = i == 4 ? 3 : 0; /* where a range ends */
            p[4] = r % 2 ? TRACE_SYNC : 0;
        }
        save("trace", names[i], bytes_of(bytes, sizeof bytes));
    }
}

static void text_seeds(void)
{
    static const char all[] =
        "# every step\ndisk model=posix unit=512\nstore minivault write_buffer=2048\n"
        "fault eio op=fdatasync file=*.log nth=2\nput a 1 sync\nput \"\\x00b\" len=1200 seed=1\n"
        "batch put c 3 , delete a , put d len=0 seed=4 sync\ndelete a\nsnapshot s0\nat s0 a\n"
        "at s0\nrelease s0\nget c\n----\n3\n\nscan\nscanback\nseek b\nsync\nflush\ncompact\n"
        "compact a *\ncompact * \"z\"\nreopen\nclose\nopen\nshow log\n"
        "crash before=fdatasync file=000002.log nth=3 image=oldest fill=noise\n"
        "lose data db/000002.log offset=512 version=1\nkeep name db/CURRENT version=2\n"
        "trouble bitrot nth=3\nrecover\ncheck\nreached wal_torn_tail\ncrash seed=7\n"
        "crash end image=newest\nexplore\n";
    static const char words[] = "a k00 \"\\x00z \\\"\" \"\" db/000002.log \"p\\xffq\"";
    static const char run[] = "run\0--seed=7\0-n\0003\0--model\0posix,prefix\0--sector=4k\0-q";
    static const char help[] = "replay\0found.crash\0--help";
    static const char wrong[] = "run\0--sed=7";
    static const char filter[] =
        "\x0a\1hash\1\2\3\4"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\6";
    static const char ops[] = "\4\1\1a\3xyz\0\1b\1\0\0\3\1c\12\1\2\0\0\0\0\0\0hi";

    save("script", "every_step", bytes_of(all, sizeof all - 1));
    save("script", "refused", bytes_str("put a 1\ncrash before=fdatasink\n"));
    save("script", "answers_first", bytes_str("----\nx\n"));
    save("values", "words", bytes_of(words, sizeof words - 1));
    save("options", "run", bytes_of(run, sizeof run - 1));
    save("options", "help", bytes_of(help, sizeof help - 1));
    save("options", "wrong", bytes_of(wrong, sizeof wrong - 1));
    save("batch", "four", bytes_of(ops, sizeof ops - 1));
    save("batch", "range", bytes_of("\2\2\1a\1c\1\1a\0", 9));
    save("batch", "none", bytes_of("\0", 1));
    save("batch", "long_key", bytes_of("\x81\1\x81\x80\4", 5));
    save("batch", "long_begin", bytes_of("\x81\2\x81\x80\4", 5));
    save("batch", "long_end", bytes_of("\x81\2\1a\x81\x80\4", 7));
    save("crc", "text", bytes_str("\x83The quick brown fox jumps over it"));
    save("filter", "keys", bytes_of("\x09\0\1a\3key\0", 8));
    save("filter", "bytes", bytes_of(filter, sizeof filter - 1));
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_seeds FOLDER\n");
        return 2;
    }
    folder = argv[1];
    log_seeds();
    store_seeds();
    overlap_seed();
    chain_seed();
    range_seeds();
    compressed_seed();
    record_seeds();
    table_seed("small", 3, 0, false, 0);
    table_seed("blocks", 24, 10, false, 0);
    table_seed("ranges", 12, 10, true, 0);
    table_seed("lz4", 24, 10, false, FORMAT_BLOCK_LZ4);
    table_seed("zstd", 24, 10, true, FORMAT_BLOCK_ZSTD);
    block_seed("small", 3, 16);
    block_seed("restarts", 20, 3);
    text_seeds();
    trace_seeds();
    return 0;
}
