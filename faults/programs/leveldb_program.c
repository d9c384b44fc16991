/* leveldb_program.c: a small program that uses LevelDB and knows nothing of simulated disks.
 *
 *   leveldb_program DIR fill COUNT    writes COUNT keys, some of them over and over, in batches
 *   leveldb_program DIR sum           prints how many keys there are and a sum over all of them */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leveldb/c.h>

static int failed(char *error)
{
    if (!error)
        return 0;
    fprintf(stderr, "leveldb_program: %s\n", error);
    leveldb_free(error);
    return 1;
}

static int put(leveldb_t *db, unsigned i, unsigned count)
{
    leveldb_writeoptions_t *options = leveldb_writeoptions_create();
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    char key[32], value[200], *error = NULL;

    for (unsigned k = 0; k < 3; k++) {
        int len = snprintf(key, sizeof key, "key%06u", (i * 7919 + k * 31) % count);

        memset(value, 'a' + (int)(i % 26), sizeof value);
        snprintf(value, sizeof value, "%u", i);
        leveldb_writebatch_put(batch, key, (size_t)len, value, sizeof value);
    }
    leveldb_writeoptions_set_sync(options, i % 50 == 0);
    leveldb_write(db, options, batch, &error);
    leveldb_writebatch_destroy(batch);
    leveldb_writeoptions_destroy(options);
    return failed(error);
}

static uint64_t mix(uint64_t sum, const char *bytes, size_t len)
{
    while (len--)
        sum = (sum ^ (uint8_t)*bytes++) * 0x100000001b3u;
    return sum;
}

static int sum_all(leveldb_t *db)
{
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    leveldb_iterator_t *it;
    unsigned long count = 0;
    uint64_t sum = 0xcbf29ce484222325u;
    char *error = NULL;

    leveldb_readoptions_set_verify_checksums(options, 1);
    it = leveldb_create_iterator(db, options);
    for (leveldb_iter_seek_to_first(it); leveldb_iter_valid(it); leveldb_iter_next(it)) {
        size_t len;
        const char *bytes = leveldb_iter_key(it, &len);

        sum = mix(sum, bytes, len);
        bytes = leveldb_iter_value(it, &len);
        sum = mix(sum, bytes, len);
        count++;
    }
    leveldb_iter_get_error(it, &error);
    leveldb_iter_destroy(it);
    leveldb_readoptions_destroy(options);
    printf("%lu keys, %016llx\n", count, (unsigned long long)sum);
    return failed(error);
}

int main(int argc, char **argv)
{
    leveldb_options_t *options = leveldb_options_create();
    unsigned count = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    char *error = NULL;
    leveldb_t *db;
    int st = 0;

    if (argc < 3)
        return 2;
    leveldb_options_set_create_if_missing(options, 1);
    leveldb_options_set_paranoid_checks(options, 1);
    leveldb_options_set_write_buffer_size(options, 1 << 17);
    db = leveldb_open(options, argv[1], &error);
    if (failed(error))
        return 1;
    for (unsigned i = 0; i < count && !st; i++)
        st = put(db, i, count);
    if (!st && count)
        leveldb_compact_range(db, NULL, 0, NULL, 0);
    if (!st)
        st = sum_all(db);
    leveldb_close(db);
    leveldb_options_destroy(options);
    return st;
}
