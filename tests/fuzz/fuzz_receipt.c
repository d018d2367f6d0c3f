/* fuzz_receipt.c -- receipts: parse, then format, gives back the input without its extra line. */
#include "tlog/receipt.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input, the extra line left out. */
static void put_without_extra(struct buf *out, const struct receipt *receipt, struct span bytes)
{
    struct span line;
    bool is_taken = span_take_until(&bytes, '\n', &line);
    assert(is_taken);
    buf_put(out, line);
    buf_put_u8(out, '\n');
    if (receipt->has_extra) {
        is_taken = span_take_until(&bytes, '\n', &line);
        assert(is_taken);
        struct buf extra = BUF_INIT(PROOF_FILE_BYTES_MAX);
        buf_put_str(&extra, "extra ");
        base64_put(&extra, buf_span(&receipt->extra));
        assert(span_is_equal(buf_span(&extra), line));
        buf_clear(&extra);
    }
    buf_put(out, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct policy *policy;
    struct receipt receipt;
    struct err err;
    if (policy == NULL) {
        enum err_code rc = policy_parse(&policy, span_of_str("quorum none\n"), &err);
        assert(rc == E_OK);
    }
    if (receipt_parse(&receipt, span_of(data, size), &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        return 0;
    }
    struct buf expected = BUF_INIT(PROOF_FILE_BYTES_MAX), again = BUF_INIT(PROOF_FILE_BYTES_MAX);
    put_without_extra(&expected, &receipt, span_of(data, size));
    receipt_put(&again, receipt.index, &receipt.proof, receipt.note);
    assert(span_is_equal(buf_span(&again), buf_span(&expected)));
    struct hash leaf = { { 0 } };
    struct policy_verdict verdict;
    assert(receipt_verify(&receipt, policy, &leaf, &verdict, &err) != E_OK);
    buf_clear(&expected);
    buf_clear(&again);
    receipt_clear(&receipt);
    return 0;
}
