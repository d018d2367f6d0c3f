#include "cli/append_input.h"

#include "base/alloc.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    char *directory;
    char *paths[3];
    struct append_input *input;
};

static void start(struct fixture *fixture, const char *first, const char *second, bool is_lines)
{
    fixture->directory = files_make_temp_dir();
    fixture->paths[0] = files_join(fixture->directory, "first");
    fixture->paths[1] = files_join(fixture->directory, "second");
    fixture->paths[2] = files_join(fixture->directory, "missing");
    files_write(fixture->paths[0], span_of_str(first));
    files_write(fixture->paths[1], span_of_str(second));
    fixture->input = NEW(struct append_input);
    append_input_init(fixture->input, fixture->paths, 2, is_lines);
}

static void stop(struct fixture *fixture)
{
    append_input_clear(fixture->input);
    mem_free(fixture->input);
    for (size_t i = 0; i < 3; i++) {
        free(fixture->paths[i]);
    }
    files_remove_tree(fixture->directory);
}

static void expect_batch(struct fixture *fixture, size_t count_max, const char *const *entries,
                         size_t count)
{
    struct err err;
    size_t found = 0;
    assert_int_equal(append_input_next(fixture->input, count_max, &found, &err), E_OK);
    assert_int_equal(found, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(span_is_str(fixture->input->entries[i], entries[i]));
    }
}

static void lines_are_entries_and_empty_ones_too(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "a\n\nb c\r\n", "last has no newline", true);
    const char *const entries[] = { "a", "", "b c\r", "last has no newline" };
    expect_batch(&fixture, 1000, entries, 4);
    expect_batch(&fixture, 1000, NULL, 0);
    expect_batch(&fixture, 1000, NULL, 0);
    stop(&fixture);
}

static void files_are_entries_in_batches_of_the_size_asked_for(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "one\ntwo\n", "", false);
    const char *const first[] = { "one\ntwo\n" };
    const char *const second[] = { "" };
    expect_batch(&fixture, 1, first, 1);
    expect_batch(&fixture, 1, second, 1);
    expect_batch(&fixture, 1, NULL, 0);
    stop(&fixture);
}

/* The largest entries: as many in a batch as one message takes, and none is lost between two. */
static void batches_fit_one_message(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    char *text = mem_alloc(ENTRY_BYTES_MAX + 2);
    memset(text, 'x', ENTRY_BYTES_MAX);
    text[ENTRY_BYTES_MAX] = '\n';
    text[ENTRY_BYTES_MAX + 1] = 0;
    start(&fixture, "", "", true);
    FILE *file = fopen(fixture.paths[0], "w");
    for (int i = 0; i < 150; i++) {
        fputs(text, file);
    }
    fclose(file);
    size_t total = 0, count = 0;
    do {
        assert_int_equal(append_input_next(fixture.input, 1000, &count, &err), E_OK);
        assert_true(count * (ENTRY_BYTES_MAX + 4) <= CALL_BYTES_MAX);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(fixture.input->entries[i].len, ENTRY_BYTES_MAX);
        }
        total += count;
    } while (count > 0);
    assert_int_equal(total, 150);
    mem_free(text);
    stop(&fixture);
}

static void what_is_too_long_is_named(void **state)
{
    (void)state;
    char *text = mem_alloc(ENTRY_BYTES_MAX + 4);
    memset(text, 'x', ENTRY_BYTES_MAX + 3);
    text[1] = '\n';
    text[ENTRY_BYTES_MAX + 3] = 0;
    for (int is_lines = 0; is_lines < 2; is_lines++) {
        struct fixture fixture;
        struct err err;
        size_t count = 0;
        start(&fixture, text, "", is_lines != 0);
        assert_int_equal(append_input_next(fixture.input, 1000, &count, &err), E_TOO_LARGE);
        assert_non_null(strstr(err.msg, is_lines ? "first:2: longer" : "first: larger"));
        stop(&fixture);
    }
    mem_free(text);
}

static void a_missing_file_is_not_found(void **state)
{
    (void)state;
    for (int is_lines = 0; is_lines < 2; is_lines++) {
        struct fixture fixture;
        struct err err;
        size_t count = 0;
        start(&fixture, "", "", is_lines != 0);
        append_input_init(fixture.input, &fixture.paths[2], 1, is_lines != 0);
        assert_int_equal(append_input_next(fixture.input, 1000, &count, &err), E_NOT_FOUND);
        assert_non_null(strstr(err.msg, "missing"));
        stop(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_entries_and_empty_ones_too),
        cmocka_unit_test(files_are_entries_in_batches_of_the_size_asked_for),
        cmocka_unit_test(batches_fit_one_message),
        cmocka_unit_test(what_is_too_long_is_named),
        cmocka_unit_test(a_missing_file_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
