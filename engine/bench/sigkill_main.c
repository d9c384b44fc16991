/* sigkill_main.c: a program that embeds minivault, and does not trust it.
 *
 * A child opens the database and writes numbered keys, some of them synced, and tells the parent
 * through shared memory which number it is about to write and which was acknowledged. The parent
 * kills it with SIGKILL at a random moment, opens the database itself and compares: every
 * acknowledged write must be there with its exact bytes, the one in flight may be, and nothing
 * else. Then the next round goes on from there; after the last one the rest of the keys is written
 * in peace. usage: sigkill DIR [ROUNDS [SEED [KEYS]]] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/rng.h"
#include "minivault/minivault.h"

#define SYNC_EVERY 512u

struct progress {
    uint64_t begun, acknowledged; /* highest number; the child writes, the parent reads */
};

static size_t key_of(uint64_t n, char *to)
{
    return (size_t)snprintf(to, 32, "%016llx", (unsigned long long)rng_mix(n)); /* scattered */
}

static size_t value_of(uint64_t n, char *to)
{
    struct rng r = rng_seeded(n);
    size_t len = (size_t)rng_below(&r, 200);

    for (size_t i = 0; i < len; i++)
        to[i] = (char)rng_next(&r);
    return len;
}

static struct vault *open_or_die(const char *dir, enum vault_background background)
{
    struct vault_options options;
    struct vault_error error;
    struct vault *v = NULL;

    vault_options_init(&options);
    options.background = background;
    options.write_buffer_size = 256 << 10; /* so that flushes and compactions are hit, too */
    options.table_size = 128 << 10;
    options.level1_size = 512 << 10;
    if (vault_open(dir, &options, &v, &error)) {
        fprintf(stderr, "open: %s: %s at %llu: %s\n", vault_status_name(error.status), error.file,
                (unsigned long long)error.offset, error.what);
        exit(1);
    }
    return v;
}

static void write_until_killed(const char *dir, struct progress *p, uint64_t keys)
{
    struct vault *v = open_or_die(dir, VAULT_THREAD);
    char key[32];
    char value[256];

    for (uint64_t n = p->acknowledged + 1; n <= keys; n++) {
        size_t key_len = key_of(n, key);
        size_t value_len = value_of(n, value);

        __atomic_store_n(&p->begun, n, __ATOMIC_SEQ_CST);
        if (vault_put(v, key, key_len, value, value_len, n % SYNC_EVERY == 0, NULL))
            _exit(2);
        __atomic_store_n(&p->acknowledged, n, __ATOMIC_SEQ_CST);
    }
    _exit(vault_close(v) ? 2 : 0);
}

/* Complaints about this recovery; on success `acknowledged` is moved to what is there. */
static unsigned examine(const char *dir, struct progress *p)
{
    struct vault *v = open_or_die(dir, VAULT_INLINE);
    struct vault_iter *it = NULL;
    uint64_t present = 0;
    unsigned bad = 0;
    char key[32];
    char value[256];

    for (uint64_t n = 1; n <= p->begun; n++) {
        void *got = NULL;
        size_t got_len = 0;
        size_t len = value_of(n, value);
        enum vault_status st = vault_get(v, NULL, key, key_of(n, key), &got, &got_len);
        bool exact = !st && got_len == len && !memcmp(got, value, len);

        if (!exact && (n <= p->acknowledged || st != VAULT_NOT_FOUND) && bad++ < 5)
            fprintf(stderr, "key %llu: %s\n", (unsigned long long)n, vault_status_name(st));
        present = exact ? n : present;
        if (!st)
            vault_value_free(v, got, got_len);
    }
    uint64_t count = 0;
    if (vault_iter_new(v, NULL, &it))
        return bad + 1;
    for (vault_iter_first(it); vault_iter_valid(it); vault_iter_next(it))
        count++;
    if ((vault_iter_status(it) || count != present) && bad++ < 5)
        fprintf(stderr, "scan: %llu keys, expected %llu\n", (unsigned long long)count,
                (unsigned long long)present);
    vault_iter_free(it);
    bad += vault_close(v) != VAULT_OK;
    p->acknowledged = p->begun = present;
    return bad;
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 50;
    struct rng r = rng_seeded(argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
    struct progress *p =
        mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t keys = argc > 4 ? strtoull(argv[4], NULL, 10) : 1000000;
    unsigned failed = 0;

    if (argc < 2 || p == MAP_FAILED) {
        fprintf(stderr, "usage: sigkill DIR [ROUNDS [SEED [KEYS]]]   (DIR is made and emptied)\n");
        return 2;
    }
    (void)vault_destroy(argv[1], NULL);
    for (unsigned round = 0; round <= rounds; round++) {
        pid_t child = fork();
        int how = 0;

        if (child < 0)
            return 2;
        if (child == 0)
            write_until_killed(argv[1], p, keys);
        if (round < rounds) {
            usleep((useconds_t)rng_below(&r, 1000 + keys / 2));
            kill(child, SIGKILL);
        }
        waitpid(child, &how, 0);
        if (!WIFSIGNALED(how) && WEXITSTATUS(how)) {
            fprintf(stderr, "round %u: the writer failed\n", round);
            failed++;
        } else if (examine(argv[1], p)) {
            fprintf(stderr, "round %u: damage\n", round);
            failed++;
        }
    }
    printf("%u passed, %u failed, %llu keys\n", rounds + 1 - failed, failed,
           (unsigned long long)p->acknowledged);
    if (!failed)
        (void)vault_destroy(argv[1], NULL);
    return failed ? 1 : 0;
}
