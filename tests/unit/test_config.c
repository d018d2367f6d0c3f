#include "base/config.h"

#include "tests/support/death.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct config_key keys[] = {
    { .name = "data-dir",
      .group = "Storage",
      .kind = CONFIG_PATH,
      .help = "Where the log lives.",
      .is_required = true },
    { .name = "name", .kind = CONFIG_STRING, .help = "Any text." },
    { .name = "dedup", .kind = CONFIG_SWITCH, .value = "on", .help = "Find duplicates." },
    { .name = "interval-ms",
      .group = "Timing",
      .kind = CONFIG_INTEGER,
      .value = "1000",
      .least = 10,
      .most = 60000,
      .help = "Between checkpoints." },
    { .name = "http-listen",
      .group = "Network",
      .kind = CONFIG_ADDRESS,
      .value = "127.0.0.1:6962",
      .help = "HTTP." },
    { .name = "schema",
      .kind = CONFIG_CHOICE,
      .value = "opaque",
      .choices = "opaque|operation",
      .help = "What an entry is." },
    { .name = "vantage", .kind = CONFIG_STRING, .is_repeatable = true, .help = "Where to look." },
};
static const struct config_schema schema = {
    .program = "courtroll-test",
    .summary = "is a test",
    .keys = keys,
    .key_count = COUNT(keys),
    .notes = "Rollback is not detectable.",
};

static struct config *config; /* of the test that runs */
static struct err err;

static int begin(void **state)
{
    (void)state;
    config = config_new(&schema);
    return 0;
}

static int end(void **state)
{
    (void)state;
    config_free(config);
    return 0;
}

static enum err_code parse(const char *text)
{
    config_free(config);
    config = config_new(&schema);
    return config_parse(config, "test.conf", span_of_str(text), &err);
}

static void assert_error(const char *text, const char *words)
{
    assert_int_equal(parse(text), E_MALFORMED);
    if (strstr(err.msg, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    }
}

/* -- the file -- */

static void config_parse_takes_every_kind(void **state)
{
    (void)state;
    assert_int_equal(parse("# a comment; with = anything : in it\n"
                           "\n"
                           "data-dir = /var/lib/court roll\n"
                           "name=a;b#c=d: \"e\"\n"
                           "dedup =off\n"
                           "interval-ms= 60000 \t\n"
                           "  \t \n"
                           "http-listen = [::1]:0\n"
                           "schema = operation\n"
                           "vantage = https://one.example/\n"
                           "vantage = file:two"),
                     E_OK);
    assert_string_equal(config_string(config, "data-dir"), "/var/lib/court roll");
    assert_string_equal(config_string(config, "name"), "a;b#c=d: \"e\"");
    assert_false(config_is_on(config, "dedup"));
    assert_int_equal(config_integer(config, "interval-ms"), 60000);
    assert_string_equal(config_string(config, "http-listen"), "[::1]:0");
    assert_string_equal(config_string(config, "schema"), "operation");
    assert_int_equal(config_count(config, "vantage"), 2);
    assert_string_equal(config_item(config, "vantage", 0), "https://one.example/");
    assert_string_equal(config_item(config, "vantage", 1), "file:two");
}

static void config_that_is_not_set_has_its_default(void **state)
{
    (void)state;
    assert_int_equal(parse(""), E_OK);
    assert_null(config_string(config, "data-dir"));
    assert_true(config_is_on(config, "dedup"));
    assert_int_equal(config_integer(config, "interval-ms"), 1000);
    assert_string_equal(config_string(config, "schema"), "opaque");
    assert_int_equal(config_count(config, "vantage"), 0);
    assert_false(config_is_set(config, "schema"));
    assert_int_equal(parse("schema = opaque\n"), E_OK);
    assert_true(config_is_set(config, "schema"));
}

static void config_errors_name_file_and_line(void **state)
{
    (void)state;
    assert_error("# one\n\nname = a\ndedup = yes\nschema = none\n", "test.conf:4: dedup: \"yes\"");
    assert_error("name = a\n\n bad", "test.conf:3: ");
}

static void config_unknown_key_names_the_nearest(void **state)
{
    (void)state;
    assert_error("data-dri = x\n", "test.conf:1: unknown key \"data-dri\"; the nearest one is "
                                   "\"data-dir\"");
    assert_error("http_listen = x\n", "\"http-listen\"");
    assert_error("intervall = 3\n", "\"interval-ms\"");
    assert_error("Schema = opaque\n", "\"schema\"");
    assert_error("vantages = x\n", "\"vantage\"");
    assert_error("n\xff\x1b = x\n", "control character");
    assert_error("n\xff = x\n", "\"n\\xff\"");
}

static void config_second_value_is_an_error(void **state)
{
    (void)state;
    assert_error("name = a\nname = a\n", "test.conf:2: name: given twice");
}

static void config_refuses_what_inih_would_misread(void **state)
{
    (void)state;
    assert_error("name = a\n  b\n", "test.conf:2: a setting starts in the first column");
    assert_error("name = a\n\tvantage = b\n", "test.conf:2: a setting starts in the first column");
    assert_error("name = a ; b\n", "test.conf:1: a comment has a line of its own");
    assert_error("name = a\t;b\n", "a comment has a line of its own");
    assert_error("name = a # b\n", "a comment has a line of its own");
    assert_error("name = ;b\n", "a comment has a line of its own");
    assert_error("; name = b\n", "comments start with #");
    assert_error("[section]\nname = b\n", "test.conf:1: there are no sections");
    assert_error("name: b\n", "not of the form key = value");
    assert_error("http-listen: a=1:2\n", "not of the form key = value");
    assert_error("name\n", "not of the form key = value");
    assert_error("= b\n", "no key before the =");
    assert_error("name = a\r\n", "test.conf:1: a control character");
    assert_error("name = a\x1b[31m\n", "a control character");
    assert_int_equal(config_parse(config, "n", span_of("name = a\0b\n", 11), &err), E_MALFORMED);
}

/* inih reads pieces of 200 bytes: a longer line would lose its end, or turn it into a setting. */
static void config_line_is_whole_or_refused(void **state)
{
    (void)state;
    char text[4 * CONFIG_LINE_BYTES_MAX];
    for (size_t len = 8; len < 2 * CONFIG_LINE_BYTES_MAX; len++) {
        memset(text, 'a', len);
        memcpy(text, "name = ", 7);
        snprintf(text + len, sizeof text - len, "\nschema = operation\n");
        if (len <= CONFIG_LINE_BYTES_MAX) {
            assert_int_equal(parse(text), E_OK);
            assert_int_equal(strlen(config_string(config, "name")), len - 7);
            assert_string_equal(config_string(config, "schema"), "operation");
        } else {
            assert_error(text, "test.conf:1: over 180 bytes");
        }
        text[0] = '#';
        assert_int_equal(parse(text), len <= CONFIG_LINE_BYTES_MAX ? E_OK : E_MALFORMED);
    }
}

static void config_values_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        { "name =\n", "name: no value" },
        { "name = \n", "name: no value" },
        { "name = \xff\n", "name: not UTF-8" },
        { "dedup = On\n", "neither on nor off" },
        { "dedup = true\n", "neither on nor off" },
        { "dedup = 1\n", "neither on nor off" },
        { "interval-ms = 9\n", "interval-ms: 9 is not in 10..60000" },
        { "interval-ms = 60001\n", "not in 10..60000" },
        { "interval-ms = 010\n", "leading zero" },
        { "interval-ms = 1s\n", "interval-ms: not a decimal" },
        { "interval-ms = -1\n", "not a decimal" },
        { "interval-ms = 99999999999999999999\n", "interval-ms" },
        { "http-listen = localhost\n", "neither HOST:PORT nor unix:PATH" },
        { "http-listen = :80\n", "neither HOST:PORT" },
        { "http-listen = a:\n", "neither HOST:PORT" },
        { "http-listen = a:65536\n", "neither HOST:PORT" },
        { "http-listen = a:080\n", "neither HOST:PORT" },
        { "http-listen = unix:\n", "neither HOST:PORT" },
        { "schema = opaq\n", "schema: \"opaq\" is none of opaque|operation" },
        { "schema = opaque|operation\n", "is none of" },
        { "schema = |\n", "is none of" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_error(bad[i].text, bad[i].words);
    }
    static const char *const good[] = { "http-listen = unix:/run/x\n", "http-listen = a:65535\n",
                                        "interval-ms = 10\n", "schema = opaque\n" };
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(parse(good[i]), E_OK);
    }
}

static void config_list_and_file_have_a_maximum(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(CONFIG_FILE_BYTES_MAX + 1);
    for (int i = 0; i < CONFIG_ITEMS_MAX; i++) {
        buf_putf(&text, "vantage = %d\n", i);
    }
    assert_int_equal(parse(buf_c_str(&text)), E_OK);
    assert_int_equal(config_count(config, "vantage"), CONFIG_ITEMS_MAX);
    assert_string_equal(config_item(config, "vantage", CONFIG_ITEMS_MAX - 1), "255");
    buf_put_str(&text, "vantage = one more\n");
    assert_error(buf_c_str(&text), "test.conf:257: vantage: over 256 values");
    buf_reset(&text);
    memset(buf_extend(&text, CONFIG_FILE_BYTES_MAX + 1), '\n', CONFIG_FILE_BYTES_MAX + 1);
    assert_int_equal(config_parse(config, "large", buf_span(&text), &err), E_MALFORMED);
    buf_clear(&text);
}

/* -- the command line -- */

static enum config_outcome outcome;

#define LOAD(...) load((const char *[]){ "courtroll-test", __VA_ARGS__, NULL })

static enum err_code load(const char *words[])
{
    enum {
        WORDS_MAX = 32
    };
    char *argv[WORDS_MAX] = { NULL }; /* main's is not const, though nothing changes its words */
    int argc = 0;
    while (words[argc] != NULL) {
        argv[argc] = (char *)words[argc];
        argc++;
    }
    config_free(config);
    config = NULL;
    outcome = CONFIG_STOP;
    return config_load(&config, &outcome, &schema, argc, argv, &err);
}

static void assert_load_error(enum err_code rc, const char *words)
{
    assert_int_equal(rc, E_MALFORMED);
    assert_null(config);
    if (strstr(err.msg, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    }
}

static void config_runs_from_flags_alone(void **state)
{
    (void)state;
    assert_int_equal(LOAD("--data-dir", "d", "--interval-ms=20", "--dedup", "off", "--vantage", "a",
                          "--vantage=b=c", "--name", "--strange"),
                     E_OK);
    assert_int_equal(outcome, CONFIG_RUN);
    assert_string_equal(config_string(config, "data-dir"), "d");
    assert_int_equal(config_integer(config, "interval-ms"), 20);
    assert_false(config_is_on(config, "dedup"));
    assert_int_equal(config_count(config, "vantage"), 2);
    assert_string_equal(config_item(config, "vantage", 1), "b=c");
    assert_string_equal(config_string(config, "name"), "--strange");
}

static void config_flags_override_the_file(void **state)
{
    (void)state;
    char *directory = files_make_temp_dir();
    char *file = files_join(directory, "c.conf");
    files_write(file, span_of_str("data-dir = from-file\nname = from-file\nschema = operation\n"
                                  "vantage = 1\nvantage = 2\nvantage = 3\n"));
    assert_int_equal(LOAD("--name", "from-flag", "--config", file, "--vantage", "4"), E_OK);
    assert_string_equal(config_string(config, "data-dir"), "from-file");
    assert_string_equal(config_string(config, "name"), "from-flag");
    assert_string_equal(config_string(config, "schema"), "operation");
    assert_int_equal(config_count(config, "vantage"), 1);
    assert_string_equal(config_item(config, "vantage", 0), "4");
    files_write(file, span_of_str("data-dir = x\ndedup = maybe\n"));
    assert_load_error(LOAD("--config", file, "--dedup", "on"), "c.conf:2: dedup: \"maybe\"");
    files_remove_tree(directory);
    assert_int_equal(LOAD("--config", file), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, file));
    free(file);
}

static void config_wrong_flags_are_refused(void **state)
{
    (void)state;
    assert_load_error(LOAD("--data-dri", "x"), "command line: unknown key \"data-dri\"; the "
                                               "nearest one is \"data-dir\"");
    assert_load_error(LOAD("--data-dri=x"), "the nearest one is \"data-dir\"");
    assert_load_error(LOAD("--data", "x"), "unknown key \"data\"");
    assert_load_error(LOAD("--data=x"), "unknown key \"data\"");
    assert_load_error(LOAD("--hel"), "unknown key \"hel\"");
    assert_load_error(LOAD("-x"), "unknown key \"-x\"");
    assert_load_error(LOAD("--data-dir"), "\"--data-dir\" needs a value");
    assert_load_error(LOAD("--data-dir", "x", "--name"), "\"--name\" needs a value");
    assert_load_error(LOAD("--data-dir", "x", "y"), "unexpected argument \"y\"");
    assert_load_error(LOAD("--data-dir", "x", "--", "y"), "unexpected argument \"y\"");
    assert_load_error(LOAD("--data-dir", "x", "--data-dir", "x"), "data-dir: given twice");
    assert_load_error(LOAD("--config", "x", "--config", "y"), "--config: given twice");
    assert_load_error(LOAD("--data-dir", ""), "data-dir: no value");
    assert_load_error(LOAD("--interval-ms", "0", "--data-dir", "x"),
                      "command line: interval-ms: 0 is not in");
    assert_load_error(LOAD("--name", "x"), "data-dir is not set: give --data-dir");
}

static void config_flags_have_no_length_limit(void **state)
{
    (void)state;
    static char value[5000];
    memset(value, 'a', sizeof value - 1);
    assert_int_equal(LOAD("--data-dir", value), E_OK);
    assert_string_equal(config_string(config, "data-dir"), value);
}

/* What the program wrote to stdout meanwhile; to be freed. */
static char *output_of(const char *flag)
{
    char *directory = files_make_temp_dir();
    char *file = files_join(directory, "out");
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    assert_non_null(freopen(file, "w+", stdout));
    enum err_code rc = LOAD(flag);
    fflush(stdout);
    char *text = calloc(1, 65536);
    rewind(stdout);
    size_t len = fread(text, 1, 65535, stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    files_remove_tree(directory);
    free(file);
    assert_int_equal(rc, E_OK);
    assert_int_equal(outcome, CONFIG_STOP);
    assert_null(config);
    assert_true(len > 0);
    return text;
}

static void config_answers_help_and_version(void **state)
{
    (void)state;
    char *version = output_of("--version");
    assert_string_equal(version, "courtroll-test " COURTROLL_VERSION "\n");
    free(version);
    char *help = output_of("--help");
    struct buf expected = BUF_INIT(65536);
    config_put_help(&expected, &schema);
    assert_string_equal(help, buf_c_str(&expected));
    buf_clear(&expected);
    free(help);
}

static void config_help_shows_every_key_with_its_default(void **state)
{
    (void)state;
    struct buf help = BUF_INIT(65536);
    config_put_help(&help, &schema);
    const char *text = buf_c_str(&help);
    static const char *const parts[] = {
        "courtroll-test -- is a test\n",
        "\nStorage:\n  --data-dir PATH\n      Where the log lives. Required.\n",
        "  --name TEXT\n      Any text.\n",
        "  --dedup on|off\n      Find duplicates. Default: on.\n",
        "\nTiming:\n  --interval-ms N\n      Between checkpoints. 10..60000. Default: 1000.\n",
        "  --http-listen HOST:PORT\n      HTTP. Default: 127.0.0.1:6962.\n",
        "  --schema opaque|operation\n      What an entry is. Default: opaque.\n",
        "  --vantage TEXT\n      Where to look. May be given more than once.\n",
        "\nRollback is not detectable.\n",
    };
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (strstr(text, parts[i]) == NULL) {
            fail_msg("no \"%s\" in \"%s\"", parts[i], text);
        }
    }
    struct span rest = buf_span(&help), line;
    while (span_take_until(&rest, '\n', &line)) {
        assert_true(line.len <= 80);
        assert_false(span_has_suffix(line, span_of_str(" ")));
    }
    buf_clear(&help);
}

static void ask_for_a_key_that_is_not_there(void)
{
    config_string(config_new(&schema), "no-such-key");
}

static void ask_for_the_wrong_kind(void)
{
    config_integer(config_new(&schema), "name");
}

static void config_asking_for_what_is_not_in_the_table_is_a_bug(void **state)
{
    (void)state;
    assert_true(death_of(ask_for_a_key_that_is_not_there));
    assert_true(death_of(ask_for_the_wrong_kind));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(config_parse_takes_every_kind),
        TEST(config_that_is_not_set_has_its_default),
        TEST(config_errors_name_file_and_line),
        TEST(config_unknown_key_names_the_nearest),
        TEST(config_second_value_is_an_error),
        TEST(config_refuses_what_inih_would_misread),
        TEST(config_line_is_whole_or_refused),
        TEST(config_values_are_checked),
        TEST(config_list_and_file_have_a_maximum),
        TEST(config_runs_from_flags_alone),
        TEST(config_flags_override_the_file),
        TEST(config_wrong_flags_are_refused),
        TEST(config_flags_have_no_length_limit),
        TEST(config_answers_help_and_version),
        TEST(config_help_shows_every_key_with_its_default),
        TEST(config_asking_for_what_is_not_in_the_table_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
