#include "base/alloc.h"
#include "tlog/peer_notes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct peer_notes notes;
static struct err err;

static enum err_code parse(const char *text)
{
    return peer_notes_parse(&notes, span_of_str(text), &err);
}

static void parses_what_it_puts(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(4096);
    for (size_t i = 1; i <= PEER_NOTES_MAX; i++) {
        uint8_t bytes[PEER_NOTES_MAX];
        memset(bytes, '\n', sizeof bytes);
        peer_notes_put(&body, span_of(bytes, i));
        assert_int_equal(peer_notes_parse(&notes, buf_span(&body), &err), E_OK);
        assert_int_equal(notes.count, i);
        assert_true(span_is_equal(notes.notes[i - 1], span_of(bytes, i)));
        assert_int_equal(notes.notes[0].len, 1);
    }
    peer_notes_put(&body, span_of_str("one too many"));
    assert_int_equal(peer_notes_parse(&notes, buf_span(&body), &err), E_MALFORMED);
    buf_clear(&body);
}

static void note_may_look_like_a_line_of_ours(void **state)
{
    (void)state;
    assert_int_equal(parse("note 7\nnote 1\nnote 1\nx"), E_OK);
    assert_int_equal(notes.count, 2);
    assert_true(span_is_str(notes.notes[0], "note 1\n"));
    assert_true(span_is_str(notes.notes[1], "x"));
}

static void other_bodies_are_malformed_and_leave_the_output(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "note",
        "note 1",
        "note 1\n",
        "note 2\nx",
        "note 0\n",
        "note 01\nx",
        "note +1\nx",
        "note  1\nx",
        "note 1 \nx",
        "note 1\r\nx",
        "Note 1\nx",
        "\nnote 1\nx",
        "note 1\nxx",
        "note 1\nx\n",
        "note 1\nxnote 2\nx",
        "note 131073\nx",
        "note 18446744073709551617\nx",
        "<html></html>",
    };
    notes.count = 77;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(parse(bad[i]), E_MALFORMED);
        assert_int_equal(notes.count, 77);
    }
}

static void largest_body_is_within_the_maximum(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(PEER_NOTES_BYTES_MAX);
    uint8_t *bytes = mem_calloc(1, PEER_NOTE_BYTES_MAX + 1);
    for (size_t i = 0; i < PEER_NOTES_MAX; i++) {
        peer_notes_put(&body, span_of(bytes, PEER_NOTE_BYTES_MAX));
    }
    assert_int_equal(peer_notes_parse(&notes, buf_span(&body), &err), E_OK);
    assert_int_equal(notes.count, PEER_NOTES_MAX);
    buf_reset(&body);
    buf_putf(&body, "note %d\n", PEER_NOTE_BYTES_MAX + 1);
    buf_put(&body, span_of(bytes, PEER_NOTE_BYTES_MAX + 1));
    assert_int_equal(peer_notes_parse(&notes, buf_span(&body), &err), E_MALFORMED);
    mem_free(bytes);
    buf_clear(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_what_it_puts),
        cmocka_unit_test(note_may_look_like_a_line_of_ours),
        cmocka_unit_test(other_bodies_are_malformed_and_leave_the_output),
        cmocka_unit_test(largest_body_is_within_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
