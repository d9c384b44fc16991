/* count_words.c: a program that embeds minivault: counts the words of its input, for good. */
#include <minivault/minivault.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum vault_status count(struct vault *db, const char *word)
{
    void *value = NULL;
    size_t len = 0;
    unsigned long n = 0;
    enum vault_status st = vault_get(db, NULL, word, strlen(word), &value, &len);

    if (st == VAULT_OK && len == sizeof n)
        memcpy(&n, value, sizeof n);
    if (st == VAULT_OK)
        vault_value_free(db, value, len);
    else if (st != VAULT_NOT_FOUND)
        return st;
    n++;
    return vault_put(db, word, strlen(word), &n, sizeof n, false, NULL);
}

int main(int argc, char **argv)
{
    struct vault *db = NULL;
    struct vault_error error = {0};
    struct vault_options options;
    char word[64];
    enum vault_status st;

    vault_options_init(&options);
    st = vault_open(argc > 1 ? argv[1] : "words.db", &options, &db, &error);
    while (!st && scanf("%63s", word) == 1)
        st = count(db, word);
    if (db)
        printf("%llu writes\n", (unsigned long long)vault_last_seq(db));
    if (!st)
        st = vault_close(db); /* everything is durable now */
    if (st)
        fprintf(stderr, "%s: %s\n", vault_status_name(st), error.what);
    return st != VAULT_OK;
}
