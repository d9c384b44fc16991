/* options_test.c: precedence, kinds, and what is said about a mistake. The table is the test's own,
 * so that options.def may change freely; one test parses every command of the real one. */
#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"

static const struct option_command commands[] = {
    {"run", "", "search"},
    {"replay", "FILE", "run a finding again"},
};

static const struct option_spec specs[] = {
    {"seed", 0, OPTION_U64, "N", "7", "run", "the seed"},
    {"seeds", 0, OPTION_RANGE, "A:B", NULL, "run", "the seeds"},
    {"sector", 0, OPTION_SIZE, "BYTES", "512", "*", "the unit"},
    {"time", 't', OPTION_DURATION, "TIME", NULL, "run", "the cap"},
    {"model", 'm', OPTION_LIST, "LIST", "posix,prefix", "*", "the models"},
    {"fill", 0, OPTION_CHOICE, "zero|noise", "zero", "*", "the fill"},
    {"out", 'o', OPTION_TEXT, "DIR", NULL, "*", "the place"},
    {"max-findings", 0, OPTION_U64, "N", NULL, "run", "the most"},
    {"verbose", 'v', OPTION_FLAG, NULL, NULL, "*", "say more"},
};

static const struct option_table table = {"powercut", commands, 2, specs, 9};

/* A parse of `line`, split at blanks, and what it said. */
struct parse {
    struct options opts;
    char line[256];
    char *argv[32];
    char *said;
    size_t said_len;
    int code;
};

static void parse_init(struct parse *p, const char *command, const char *line)
{
    char *save = NULL;
    int argc = 0;
    FILE *said;

    memset(p, 0, sizeof(*p));
    said = open_memstream(&p->said, &p->said_len);
    assert_non_null(said);
    snprintf(p->line, sizeof(p->line), "%s %s", command, line);
    for (char *word = strtok_r(p->line, " ", &save); word; word = strtok_r(NULL, " ", &save))
        p->argv[argc++] = word;
    p->opts.table = &table;
    p->opts.out = said;
    p->opts.err = said;
    p->code = options_parse(&p->opts, command, argc, p->argv);
    fclose(said);
}

static void parse_release(struct parse *p)
{
    options_release(&p->opts);
    free(p->said);
}

static void defaults_hold_when_nothing_is_given(void **state)
{
    struct parse p;
    uint64_t first = 1;
    uint64_t last = 2;

    parse_init(&p, "run", "");
    assert_int_equal(p.code, OPTIONS_GO);
    assert_int_equal(options_u64(&p.opts, "seed"), 7);
    assert_int_equal(options_u64(&p.opts, "sector"), 512);
    assert_int_equal(options_u64(&p.opts, "time"), 0);
    assert_int_equal(options_items(&p.opts, "model"), 2);
    assert_string_equal(options_item(&p.opts, "model", 1), "prefix");
    assert_string_equal(options_text(&p.opts, "fill"), "zero");
    assert_null(options_text(&p.opts, "out"));
    assert_false(options_flag(&p.opts, "verbose"));
    assert_false(options_given(&p.opts, "seed"));
    assert_false(options_range(&p.opts, "seeds", &first, &last));
    assert_int_equal(first, 1);
    assert_int_equal(p.opts.operand_count, 0);
    parse_release(&p);
}

static void the_command_line_sets_every_kind(void **state)
{
    struct parse p;
    uint64_t first;
    uint64_t last;

    parse_init(&p, "run",
               "a --seed=0xff -v --seeds 3:9 --sector 64k -t2h -m posix -m xfs,,btrfs, b "
               "--fill noise -vv --out=x -- -c");
    assert_int_equal(p.code, OPTIONS_GO);
    assert_int_equal(options_u64(&p.opts, "seed"), 255);
    assert_true(options_range(&p.opts, "seeds", &first, &last));
    assert_int_equal(first, 3);
    assert_int_equal(last, 9);
    assert_int_equal(options_u64(&p.opts, "sector"), 65536);
    assert_int_equal(options_u64(&p.opts, "time"), 7200);
    assert_int_equal(options_items(&p.opts, "model"), 3);
    assert_string_equal(options_item(&p.opts, "model", 0), "posix");
    assert_string_equal(options_item(&p.opts, "model", 2), "btrfs");
    assert_string_equal(options_text(&p.opts, "fill"), "noise");
    assert_string_equal(options_text(&p.opts, "out"), "x");
    assert_int_equal(options_u64(&p.opts, "verbose"), 3);
    assert_true(options_given(&p.opts, "verbose"));
    assert_int_equal(p.opts.operand_count, 3);
    assert_string_equal(p.opts.operands[0], "a");
    assert_string_equal(p.opts.operands[2], "-c");
    parse_release(&p);
}

static void the_environment_stands_between(void **state)
{
    struct parse p;

    setenv("POWERCUT_MAX_FINDINGS", "3", 1);
    setenv("POWERCUT_MODEL", "xfs", 1);
    setenv("POWERCUT_VERBOSE", "yes", 1);
    setenv("POWERCUT_SEED", "", 1);
    parse_init(&p, "run", "--model btrfs");
    assert_int_equal(p.code, OPTIONS_GO);
    assert_int_equal(options_u64(&p.opts, "max-findings"), 3);
    assert_int_equal(options_origin(&p.opts, "max-findings"), OPTION_ENVIRONMENT);
    assert_int_equal(options_items(&p.opts, "model"), 1);
    assert_string_equal(options_item(&p.opts, "model", 0), "btrfs");
    assert_true(options_flag(&p.opts, "verbose"));
    assert_int_equal(options_u64(&p.opts, "seed"), 7);
    parse_release(&p);

    /* An environment made for another command is no concern of this one. */
    setenv("POWERCUT_MAX_FINDINGS", "many", 1);
    parse_init(&p, "replay", "file");
    assert_int_equal(p.code, OPTIONS_GO);
    assert_int_equal(options_u64(&p.opts, "max-findings"), 0);
    parse_release(&p);

    parse_init(&p, "run", "");
    assert_int_equal(p.code, 2);
    assert_non_null(strstr(p.said, "POWERCUT_MAX_FINDINGS: 'many' is not a whole number"));
    parse_release(&p);
    unsetenv("POWERCUT_MAX_FINDINGS");
    unsetenv("POWERCUT_MODEL");
    unsetenv("POWERCUT_VERBOSE");
    unsetenv("POWERCUT_SEED");
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *command;
        const char *line;
        const char *said;
    } cases[] = {
        {"run", "--sead 3", "unknown option '--sead'; did you mean '--seed'?"},
        {"run", "--max-finding-s=3", "unknown option '--max-finding-s'; did you mean"},
        {"run", "--quux", "unknown option '--quux'\n"},
        {"run", "-x", "unknown option '-x'"},
        {"replay", "--seed 3", "unknown option '--seed'; it belongs to: run"},
        {"run", "--seed x3", "--seed: 'x3' is not a whole number"},
        {"run", "--seed -3", "--seed: '-3' is not a whole number"},
        {"run", "--seed 3x", "--seed: '3x' is not a whole number"},
        {"run", "--seed 18446744073709551616", "is not a whole number"},
        {"run", "--seed", "--seed needs a value: --seed N"},
        {"run", "-t", "--time needs a value: --time TIME"},
        {"run", "--seeds 9:3", "--seeds: '9:3' is not a range"},
        {"run", "--seeds 1:", "--seeds: '1:' is not a range"},
        {"run", "--sector 4q", "--sector: '4q' is not a size"},
        {"run", "--sector 99999999999T", "is not a size"},
        {"run", "--time 60", "--time: '60' is not a time with its unit"},
        {"run", "--fill ones", "--fill: 'ones' is not one of the words below\n  zero|noise"},
        {"run", "--verbose=1", "'--verbose=1': this option takes no value"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parse p;

        parse_init(&p, cases[i].command, cases[i].line);
        assert_int_equal(p.code, 2);
        if (!strstr(p.said, cases[i].said))
            print_error("%s: %s", cases[i].line, p.said);
        assert_non_null(strstr(p.said, cases[i].said));
        assert_non_null(strstr(p.said, "--help' lists the options"));
        parse_release(&p);
    }
}

static void help_shows_the_options_of_the_command(void **state)
{
    struct parse p;

    parse_init(&p, "replay", "--help");
    assert_int_equal(p.code, 0);
    assert_non_null(strstr(p.said, "usage: powercut replay [options] FILE\n"));
    assert_non_null(strstr(p.said, "  -m, --model LIST            the models "));
    assert_non_null(strstr(p.said, "[posix,prefix; POWERCUT_MODEL]\n"));
    assert_null(strstr(p.said, "--seed "));
    parse_release(&p);
}

static void settings_print_with_their_origin(void **state)
{
    struct parse p;
    struct json json = {0};
    char *text = NULL;
    size_t len = 0;
    FILE *out;

    parse_init(&p, "replay", "-v --model a -m b x");
    assert_int_equal(p.code, OPTIONS_GO);
    out = open_memstream(&text, &len);
    assert_non_null(out);
    options_print(&p.opts, out);
    fclose(out);
    assert_non_null(strstr(text, "model          a,b                      command line\n"));
    assert_non_null(strstr(text, "sector         512                      default\n"));
    options_json(&p.opts, &json);
    assert_string_equal(json_written(&json), "{\"sector\":\"512\",\"model\":\"a,b\","
                                             "\"fill\":\"zero\",\"out\":\"\",\"verbose\":\"1\"}");
    json_release(&json);
    free(text);
    parse_release(&p);
}

/* The real table: every default parses, no letter is given twice, every command has its help. */
static void the_real_table_is_sound(void **state)
{
    static const char *const names[] = {"run", "script", "replay", "list", "demo", "doctor"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct options opts = {0};
        char *argv[] = {(char *)names[i], NULL};
        bool seen[128] = {false};

        assert_true(options_command_known(names[i]));
        assert_int_equal(options_parse(&opts, names[i], 1, argv), OPTIONS_GO);
        for (size_t j = 0; j < opts.table->spec_count; j++) {
            const struct option_spec *spec = &opts.table->specs[j];

            assert_true(spec->letter >= 0 && spec->letter < 128 && spec->letter != 'h');
            assert_false(spec->letter && seen[spec->letter]);
            seen[spec->letter] = true;
            for (size_t k = 0; k < j; k++)
                assert_string_not_equal(spec->name, opts.table->specs[k].name);
        }
        options_release(&opts);
    }
    assert_null(options_command_nearest("rnu"));
    assert_string_equal(options_command_nearest("repaly") ? "replay" : "none", "replay");
    assert_null(options_command_nearest("frobnicate"));
    assert_false(options_command_known("runn"));
    assert_string_equal(options_command_nearest("runn"), "run");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_when_nothing_is_given),
        cmocka_unit_test(the_command_line_sets_every_kind),
        cmocka_unit_test(the_environment_stands_between),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(help_shows_the_options_of_the_command),
        cmocka_unit_test(settings_print_with_their_origin),
        cmocka_unit_test(the_real_table_is_sound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
