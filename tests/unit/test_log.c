#include "base/log.h"

#include "base/file.h"
#include "tests/support/files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* stderr goes to a file while a test runs. */
struct capture {
    char *directory, *path;
    int saved;
    struct buf text;
};

static int capture_begin(void **state)
{
    struct capture *capture = calloc(1, sizeof *capture);
    buf_init(&capture->text, 64 * 1024);
    capture->directory = files_make_temp_dir();
    capture->path = files_join(capture->directory, "stderr");
    capture->saved = dup(STDERR_FILENO);
    int fd = open(capture->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, STDERR_FILENO);
    close(fd);
    *state = capture;
    return 0;
}

static int capture_end(void **state)
{
    struct capture *capture = *state;
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    files_remove_tree(capture->directory);
    free(capture->path);
    buf_clear(&capture->text);
    free(capture);
    log_set_level(LOG_LEVEL_INFO);
    return 0;
}

/* All that was logged so far; NUL-terminated. */
static const char *logged(struct capture *capture)
{
    struct err err;
    buf_reset(&capture->text);
    assert_int_equal(file_read(&capture->text, capture->path, &err), E_OK);
    return buf_c_str(&capture->text);
}

/* What follows the time, which has a fixed width. */
static const char *after_time(const char *line)
{
    static const char form[] = "time=0000-00-00T00:00:00.000Z ";
    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == '0') {
            assert_in_range(line[i], '0', '9');
        } else {
            assert_int_equal(line[i], form[i]);
        }
    }
    return line + sizeof form - 1;
}

static void log_event_is_one_line_of_logfmt(void **state)
{
    log_event(LOG_LEVEL_WARN, "quorum_late", "round=%d missing=%s", 7, "a");
    assert_string_equal(after_time(logged(*state)),
                        "level=warn event=quorum_late round=7 missing=a\n");
}

static void log_event_without_fields_has_no_trailing_blank(void **state)
{
    log_event(LOG_LEVEL_INFO, "stopped", "%s", "");
    assert_string_equal(after_time(logged(*state)), "level=info event=stopped\n");
}

static void log_event_below_the_level_is_dropped(void **state)
{
    log_event(LOG_LEVEL_DEBUG, "no", "a=%d", 1);
    log_set_level(LOG_LEVEL_ERROR);
    log_event(LOG_LEVEL_WARN, "no", "a=%d", 2);
    log_event(LOG_LEVEL_ERROR, "yes", "a=%d", 3);
    log_set_level(LOG_LEVEL_DEBUG);
    log_event(LOG_LEVEL_DEBUG, "too", "a=%d", 4);
    const char *text = logged(*state);
    assert_null(strstr(text, "event=no"));
    assert_non_null(strstr(text, "level=error event=yes a=3\n"));
    assert_non_null(strstr(text, "level=debug event=too a=4\n"));
}

static void log_event_that_is_too_long_is_cut_and_still_one_line(void **state)
{
    static char field[10000];
    memset(field, 'a', sizeof field - 1);
    log_event(LOG_LEVEL_INFO, "long", "field=%s", field);
    const char *text = logged(*state);
    size_t len = strlen(text);
    assert_in_range(len, 4000, 4096);
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
}

static void log_quoted_cannot_forge_a_line(void **state)
{
    const char *evil = "x\"\nlevel=error event=forged \x1b[31m\\";
    log_event(LOG_LEVEL_INFO, "peer", "said=%s", log_quoted_str(evil).text);
    const char *text = logged(*state);
    assert_string_equal(after_time(text), "level=info event=peer said=\"x\\\"\\x0alevel=error "
                                          "event=forged \\x1b[31m\\\\\"\n");
}

static void log_quoted_cuts_long_words_of_a_peer(void **state)
{
    (void)state;
    static uint8_t bytes[100000];
    memset(bytes, 0xff, sizeof bytes); /* four characters each */
    struct log_quoted quoted = log_quoted(SPAN_OF_ARRAY(bytes));
    size_t len = strlen(quoted.text);
    assert_in_range(len, 900, LOG_QUOTED_MAX - 1);
    assert_string_equal(quoted.text + len - 4, "...\"");
}

static void log_error_gives_the_message_quoted(void **state)
{
    struct err err;
    err_set(&err, E_IO, "disk \"full\"");
    log_error(LOG_LEVEL_ERROR, "commit_failed", &err);
    assert_string_equal(after_time(logged(*state)),
                        "level=error event=commit_failed error=\"disk \\\"full\\\"\"\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, capture_begin, capture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(log_event_is_one_line_of_logfmt),
        TEST(log_event_without_fields_has_no_trailing_blank),
        TEST(log_event_below_the_level_is_dropped),
        TEST(log_event_that_is_too_long_is_cut_and_still_one_line),
        TEST(log_quoted_cannot_forge_a_line),
        TEST(log_quoted_cuts_long_words_of_a_peer),
        TEST(log_error_gives_the_message_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
