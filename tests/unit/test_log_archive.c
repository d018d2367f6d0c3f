/* The archive of a copy on disk; over HTTP the log does the searching (test_cli.py, test_archive). */
#include "client/log_archive.h"

#include "base/limits.h"
#include "tests/support/files.h"
#include "tests/support/log_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    char *temp;
    struct log_dir log;
    struct log_address address;
};

static void make(struct fixture *fixture)
{
    fixture->temp = files_make_temp_dir();
    char *path = files_join(fixture->temp, "log");
    log_dir_make(&fixture->log, path, 3);
    fixture->address = (struct log_address){ .kind = LOG_ADDRESS_DIRECTORY };
    snprintf(fixture->address.target, sizeof fixture->address.target, "%s", path);
    free(path);
}

static void drop(struct fixture *fixture)
{
    log_dir_clear(&fixture->log);
    files_remove_tree(fixture->temp);
}

/* Notes of these sizes, up to the first 0, in one minute. */
static void put(struct fixture *fixture, const char *path, const uint64_t *sizes)
{
    struct buf file = BUF_INIT(1 << 20);
    for (; *sizes > 0; sizes++) {
        struct hash root = sha256(span_of(sizes, sizeof *sizes));
        if (file.len > 0) {
            buf_put_u8(&file, '\n');
        }
        log_dir_put_note(&file, &fixture->log, *sizes, &root, 2);
    }
    log_dir_write(&fixture->log, path, buf_span(&file));
    buf_clear(&file);
}

#define PUT(fixture, path, ...) put(fixture, path, (const uint64_t[]){ __VA_ARGS__, 0 })

/* The size of the note found, or 0. */
static uint64_t after(const struct fixture *fixture, uint64_t index)
{
    struct err err;
    struct note note;
    struct checkpoint checkpoint = { .size = 0 };
    struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
    enum err_code rc = log_archive_after(&fixture->address, index, &bytes, &err);
    if (rc == E_OK) {
        assert_int_equal(note_parse(&note, buf_span(&bytes), &err), E_OK);
        assert_int_equal(note.count, 3); /* all lines, and nothing of the next note */
        assert_int_equal(checkpoint_parse(&checkpoint, note.text, &err), E_OK);
        note_clear(&note);
    } else {
        assert_int_equal(rc, E_NOT_FOUND);
        assert_int_equal(bytes.len, 0);
    }
    buf_clear(&bytes);
    return checkpoint.size;
}

static void the_first_note_above_an_index_is_found(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 2, 4, 4, 7, 8, 20, 21, 21, 30, 31, 40 };
    struct fixture fixture;
    make(&fixture);
    PUT(&fixture, "archive/2026-01-01/00/00", 2, 4, 4);
    PUT(&fixture, "archive/2026-01-01/00/59", 7);
    PUT(&fixture, "archive/2026-01-01/23/30", 8, 20);
    PUT(&fixture, "archive/2026-01-02/12/00", 21, 21, 30);
    PUT(&fixture, "archive/2026-02-01/12/00", 31);
    PUT(&fixture, "archive/2027-01-01/12/00", 40);
    log_dir_write(&fixture.log, "archive/thin-until", span_of_str("2026-01-01"));
    for (uint64_t index = 0; index < 45; index++) {
        uint64_t expected = 0;
        for (size_t i = sizeof sizes / sizeof sizes[0]; i-- > 0;) {
            expected = sizes[i] > index ? sizes[i] : expected;
        }
        assert_int_equal(after(&fixture, index), expected);
    }
    drop(&fixture);
}

static void no_archive_and_a_torn_one_have_no_note(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture);
    assert_int_equal(after(&fixture, 0), 0);
    log_dir_write(&fixture.log, "archive/2026-01-01/00/00", span_of_str("log\n5\n"));
    log_dir_write(&fixture.log, "archive/2026-01-01/00/01", span_of_str("\n\n\n\n"));
    log_dir_write(&fixture.log, "archive/2026-01-01/00/02", span_of_str(""));
    assert_int_equal(after(&fixture, 0), 0);
    drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_note_above_an_index_is_found),
        cmocka_unit_test(no_archive_and_a_torn_one_have_no_note),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
