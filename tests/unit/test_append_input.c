#include "cli/append_input.h"

#include "base/alloc.h"
#include "record/certificate.h"
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

static void framed_entries_may_hold_anything(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "", "", false);
    files_write(fixture.paths[0], SPAN_OF_ARRAY("\0\3a\nb\0")); /* "a\nb", and "" with the NUL */
    files_write(fixture.paths[1],
                SPAN_OF_ARRAY("\0\1c\1\0two hundre")); /* "c", and one that is cut off */
    fixture.input->is_framed = true;
    const char *const entries[] = { "a\nb", "", "c" };
    expect_batch(&fixture, 3, entries, 3);
    struct err err;
    size_t found = 0;
    assert_int_equal(append_input_next(fixture.input, 10, &found, &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "second: entry 2: the file ends inside it"));
    stop(&fixture);
}

static void add_framed(struct buf *out, const char *text, size_t len)
{
    buf_put_u16(out, (uint16_t)len);
    buf_put(out, span_of(text, len));
}

/* Records of 1 to 5 bytes, of which every second is sealed; what is skipped takes its certificate with it, and a batch
 * that ends before an entry leaves it its own. */
static void framed_entries_have_their_certificates(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    char certificate[CERTIFICATE_BYTES];
    struct buf entries = BUF_INIT(1024), certificates = BUF_INIT(1024);
    size_t count = 0;
    for (size_t i = 1; i <= 5; i++) {
        memset(certificate, (int)i, sizeof certificate);
        add_framed(&entries, "12345", i);
        add_framed(&certificates, certificate, i % 2 == 0 ? sizeof certificate : 0);
    }
    start(&fixture, "", "", false);
    files_write(fixture.paths[0], buf_span(&entries));
    files_write(fixture.paths[1], buf_span(&certificates));
    fixture.input->path_count = 1;
    fixture.input->is_framed = true;
    fixture.input->certificates_path = fixture.paths[1];
    fixture.input->first = 2;
    for (size_t i = 2; i <= 5; i += count) {
        assert_int_equal(append_input_next(fixture.input, 3, &count, &err), E_OK);
        assert_int_equal(count, i == 2 ? 3 : 1);
        for (size_t k = 0; k < count; k++) {
            struct span one = fixture.input->certificates[k];
            assert_int_equal(fixture.input->entries[k].len, i + k);
            assert_int_equal(one.len, (i + k) % 2 == 0 ? sizeof certificate : 0);
            assert_true(one.len == 0 || one.data[0] == i + k);
        }
        assert_int_equal(fixture.input->taken, i + count - 1);
    }
    assert_int_equal(append_input_next(fixture.input, 3, &count, &err), E_OK);
    assert_int_equal(count, 0);
    buf_clear(&entries);
    buf_clear(&certificates);
    stop(&fixture);
}

static void a_directory_has_certificates_by_the_names_of_files(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    char certificate[CERTIFICATE_BYTES + 1] = "c";
    size_t count = 0;
    start(&fixture, "one", "two", false);
    char *path = files_join(fixture.directory, "second.certificate");
    files_write(path, span_of(certificate, CERTIFICATE_BYTES));
    fixture.input->certificates_path = fixture.directory;
    assert_int_equal(append_input_next(fixture.input, 9, &count, &err), E_OK);
    assert_int_equal(count, 2);
    assert_int_equal(fixture.input->certificates[0].len, 0);
    assert_int_equal(fixture.input->certificates[1].len, CERTIFICATE_BYTES);
    files_write(path, span_of(certificate, CERTIFICATE_BYTES + 1));
    append_input_clear(fixture.input);
    append_input_init(fixture.input, fixture.paths, 2, false);
    fixture.input->certificates_path = fixture.directory;
    assert_int_equal(append_input_next(fixture.input, 9, &count, &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "second.certificate: a certificate has 80 bytes"));
    free(path);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framed_entries_may_hold_anything),
        cmocka_unit_test(lines_are_entries_and_empty_ones_too),
        cmocka_unit_test(files_are_entries_in_batches_of_the_size_asked_for),
        cmocka_unit_test(batches_fit_one_message),
        cmocka_unit_test(what_is_too_long_is_named),
        cmocka_unit_test(a_missing_file_is_not_found),
        cmocka_unit_test(framed_entries_have_their_certificates),
        cmocka_unit_test(a_directory_has_certificates_by_the_names_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
