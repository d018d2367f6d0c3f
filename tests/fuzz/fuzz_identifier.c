/* fuzz_identifier.c -- identifiers, and every field's value: the first byte says which, the rest is what
 * somebody wrote. What is taken becomes the one spelling, which is taken as it is, and is found in a text. */
#include "record/field.h"
#include "record/identifier.h"
#include "record/text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_identifier(enum err_code (*put)(struct buf *out, struct span text,
                                                  struct err *err),
                             struct span text, bool is_hidden)
{
    struct buf one = BUF_INIT(IDENTIFIER_BYTES_MAX), again = BUF_INIT(IDENTIFIER_BYTES_MAX);
    struct err err;
    if (put(&one, text, &err) == E_OK) {
        enum err_code rc = put(&again, buf_span(&one), &err);
        assert(rc == E_OK);
        assert(span_is_equal(buf_span(&one), buf_span(&again)));
        assert(!is_hidden || identifier_is_hidden_in(text));
    } else {
        assert(err.code == E_MALFORMED);
        assert(one.len == 0);
        assert(strncmp(err.msg, "character ", 10) == 0);
    }
    buf_clear(&one);
    buf_clear(&again);
}

static void check_field(unsigned number, struct span text)
{
    struct buf value = BUF_INIT(FIELD_VALUE_BYTES_MAX), again = BUF_INIT(FIELD_VALUE_BYTES_MAX);
    struct buf written = BUF_INIT(4 * FIELD_VALUE_BYTES_MAX);
    struct err err;
    if (field_put_value(&value, number, text, &err) == E_OK) {
        enum err_code rc = field_check(number, buf_span(&value), &err);
        assert(rc == E_OK);
        field_put_text(&written, number, buf_span(&value));
        rc = field_put_value(&again, number, buf_span(&written), &err);
        assert(rc == E_OK);
        assert(span_is_equal(buf_span(&value), buf_span(&again)));
    } else {
        assert(err.code == E_MALFORMED && value.len == 0);
    }
    if (field_check(number, text, &err) == E_OK) { /* the text as a value */
        buf_reset(&again);
        buf_reset(&written);
        field_put_text(&written, number, text);
        enum err_code rc = field_put_value(&again, number, buf_span(&written), &err);
        assert(rc == E_OK);
        assert(span_is_equal(buf_span(&again), text));
    }
    buf_clear(&value);
    buf_clear(&again);
    buf_clear(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct span text = span_of(data + 1, size - 1);
    check_identifier(identifier_put_case_number, text, true);
    check_identifier(identifier_put_court_code, text, false);
    check_identifier(identifier_put_credit_code, text, false);
    check_identifier(identifier_put_citizen_id, text, true);
    (void)identifier_is_hidden_in(text);
    check_field(data[0] % FIELDS, text);
    return 0;
}
