/* The data of a certificate, inside HTML, inside a PDF, and bare; and a code. */
#include "cli/deposit.h"
#include "cli/deposit_code.h"
#include "cli/deposit_html.h"
#include "cli/deposit_pdf_file.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void parse(struct span data)
{
    struct deposit deposit;
    struct err err;
    struct buf again = BUF_INIT(DEPOSIT_BYTES_MAX);
    if (deposit_parse(&deposit, data, &err) == E_OK) {
        assert(deposit_put(&again, &deposit, &err) == E_OK);
        assert(span_is_equal(buf_span(&again), data)); /* one spelling */
        buf_clear(&again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len), data;
    struct buf out = BUF_INIT(DEPOSIT_BYTES_MAX);
    struct deposit_code code;
    struct err err;
    size_t position;
    parse(in);
    if (deposit_html_extract(&out, &position, in, &err) == E_OK) {
        parse(buf_span(&out));
    }
    assert(position <= len);
    if (deposit_pdf_extract(&data, in, &err) == E_OK) {
        parse(data);
    }
    if (deposit_code_parse(&code, in, &err) == E_OK && span_has_prefix(in, span_of_str("c1."))) {
        buf_reset(&out);
        deposit_code_put(&out, &code);
        assert(span_is_equal(buf_span(&out), in));
    }
    buf_clear(&out);
    return 0;
}
