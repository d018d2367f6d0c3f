#include "base/alloc.h"
#include "base/ascii.h"
#include "logd/cosign_lines.h"
#include "tests/support/witnesses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW  INT64_C(1790000000)
#define TEXT "log.example/test\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

static struct policy *policy; /* w1, w2, w3 */
static struct cosign_lines *lines;

static int set_up(void **state)
{
    (void)state;
    policy = witnesses_policy(3, 0, "group g 2 w1 w2 w3\nquorum g\n");
    lines = NEW(struct cosign_lines);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    policy_free(policy);
    mem_free(lines);
    return 0;
}

static enum err_code read(struct buf *body)
{
    struct err err;
    enum err_code rc =
        cosign_lines_read(lines, policy, span_of_str(TEXT), buf_span(body), NOW, &err);
    buf_clear(body);
    return rc;
}

static void put(struct buf *body, size_t witness, uint64_t timestamp)
{
    witnesses_put_line(body, witness, timestamp, span_of_str(TEXT));
}

static void cosign_lines_takes_what_verifies_of_whomever(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(NOTE_BYTES_MAX), expected = BUF_INIT(COSIGN_LINE_MAX);
    put(&body, 1, 5);
    put(&body, 7, 5); /* a stranger */
    put(&body, 0, (uint64_t)NOW);
    assert_int_equal(read(&body), E_OK);
    assert_int_equal(lines->count, 2);
    assert_int_equal(lines->bad + lines->bad_time, 0);
    assert_int_equal(lines->items[0].witness, 1);
    assert_int_equal(lines->items[0].timestamp, 5);
    put(&expected, 1, 5);
    assert_true(
        span_is_equal(span_of(lines->items[0].text, lines->items[0].len), buf_span(&expected)));
    assert_true(cosign_lines_has(lines, 0) && cosign_lines_has(lines, 1));
    assert_false(cosign_lines_has(lines, 2));
    buf_clear(&expected);
}

static void cosign_lines_drops_what_is_over_another_text(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(NOTE_BYTES_MAX);
    witnesses_put_line(&body, 0, 5, span_of_str(TEXT "x\n"));
    put(&body, 1, 5);
    assert_int_equal(read(&body), E_OK);
    assert_int_equal(lines->count, 1);
    assert_int_equal(lines->bad, 1);
    assert_false(cosign_lines_has(lines, 0));
}

static void cosign_lines_refuses_each_flipped_bit(void **state)
{
    (void)state;
    struct signer signer = witnesses_signer(0);
    struct buf line = BUF_INIT(COSIGN_LINE_MAX);
    put(&line, 0, (uint64_t)NOW);
    struct buf bytes = BUF_INIT(100);
    struct err err;
    struct span base64 = span_slice(buf_span(&line), line.len - 105, 104);
    assert_int_equal(base64_append_decoded(&bytes, base64, BASE64_STRICT, &err), E_OK);
    for (size_t bit = 8 * 4; bit < 8 * bytes.len; bit++) {
        struct buf body = BUF_INIT(NOTE_BYTES_MAX);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        buf_put(&body, span_slice(buf_span(&line), 0, line.len - 105));
        base64_put(&body, buf_span(&bytes));
        buf_put_str(&body, "\n");
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(read(&body), E_OK);
        assert_int_equal(lines->count, 0);
        assert_int_equal(lines->bad, 1);
    }
    buf_clear(&bytes);
    buf_clear(&line);
    signer_clear(&signer);
}

static void cosign_lines_takes_times_up_to_five_minutes_ahead(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(NOTE_BYTES_MAX);
    put(&body, 0, (uint64_t)NOW + COSIGN_LINES_FUTURE_S);
    put(&body, 1, (uint64_t)NOW + COSIGN_LINES_FUTURE_S + 1);
    put(&body, 2, SIZE_VALUE_MAX);
    assert_int_equal(read(&body), E_OK);
    assert_int_equal(lines->count, 1);
    assert_int_equal(lines->bad_time, 2);
    put(&body, 0, 1);
    assert_int_equal(read(&body), E_OK);
    assert_int_equal(lines->count, 1);
}

static void cosign_lines_reads_a_hundred_and_no_more(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(NOTE_BYTES_MAX);
    for (size_t i = 0; i < NOTE_SIGNATURES_MAX - 1; i++) {
        put(&body, 7, 5); /* of a stranger */
    }
    put(&body, 0, 5);
    struct buf more = BUF_INIT(NOTE_BYTES_MAX);
    buf_put(&more, buf_span(&body));
    put(&more, 1, 5);
    assert_int_equal(read(&body), E_OK);
    assert_int_equal(lines->count, 1);
    assert_int_equal(lines->bad, 0);
    assert_int_equal(read(&more), E_MALFORMED);
}

/* Or a stranger has us verify a hundred signatures with one call. */
static void cosign_lines_tries_a_key_once(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(NOTE_BYTES_MAX);
    for (size_t i = 0; i < 48; i++) {
        witnesses_put_line(&body, 0, 5, span_of_str(TEXT "x\n"));
        put(&body, 1, SIZE_VALUE_MAX);
    }
    put(&body, 0, 5); /* good, but behind bad ones of its key */
    put(&body, 1, 5);
    put(&body, 2, 5);
    assert_int_equal(read(&body), E_OK);
    assert_int_equal(lines->bad, 1);
    assert_int_equal(lines->bad_time, 1);
    assert_int_equal(lines->count, 1);
    assert_true(cosign_lines_has(lines, 2));
}

static void cosign_lines_counts_a_key_once(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(NOTE_BYTES_MAX);
    put(&body, 0, 9);
    put(&body, 0, 8);
    assert_int_equal(read(&body), E_OK);
    assert_int_equal(lines->count, 1);
    assert_int_equal(lines->items[0].timestamp, 9);
}

static void cosign_lines_are_lines_and_nothing_else(void **state)
{
    (void)state;
    static const char *const wrong[] = { "",     "\n",     "x\n",        "\xe2\x80\x94 w1\n",
                                         "\x01", "\n\n\n", "other text", "\xff\xfe\n" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct buf body = BUF_INIT(NOTE_BYTES_MAX);
        buf_put_str(&body, wrong[i]);
        assert_int_equal(read(&body), E_MALFORMED);
    }
    /* Nor another text in front of lines, or lines without their end. */
    struct buf body = BUF_INIT(NOTE_BYTES_MAX);
    buf_put_str(&body, "more text\n\n");
    put(&body, 0, 5);
    assert_int_equal(read(&body), E_MALFORMED);
    put(&body, 0, 5);
    buf_truncate(&body, body.len - 1);
    assert_int_equal(read(&body), E_MALFORMED);
    put(&body, 0, 5);
    buf_put_str(&body, "\n");
    put(&body, 1, 5);
    assert_int_equal(read(&body), E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosign_lines_takes_what_verifies_of_whomever),
        cmocka_unit_test(cosign_lines_drops_what_is_over_another_text),
        cmocka_unit_test(cosign_lines_refuses_each_flipped_bit),
        cmocka_unit_test(cosign_lines_takes_times_up_to_five_minutes_ahead),
        cmocka_unit_test(cosign_lines_reads_a_hundred_and_no_more),
        cmocka_unit_test(cosign_lines_tries_a_key_once),
        cmocka_unit_test(cosign_lines_counts_a_key_once),
        cmocka_unit_test(cosign_lines_are_lines_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
