#include "tlog/receipt.h"

#include "base/ascii.h"

#include <assert.h>
#include <inttypes.h>

static const char header[] = "c2sp.org/tlog-proof@v1\n";
static const char extra_prefix[] = "extra ";
static const char index_prefix[] = "index ";

static enum err_code parse_extra(struct receipt *receipt, struct span *in, struct err *err)
{
    struct span text;
    if (!span_take_prefix(in, span_of_str(extra_prefix))) {
        return E_OK;
    }
    if (!span_take_until(in, '\n', &text)) {
        return err_set(err, E_MALFORMED, "extra: no newline");
    }
    buf_init(&receipt->extra, text.len);
    if (base64_append_decoded(&receipt->extra, text, BASE64_STRICT, err) != E_OK) {
        return err_wrap(err, "extra");
    }
    receipt->has_extra = true;
    return E_OK;
}

static enum err_code parse_index(struct receipt *receipt, struct span *in, struct err *err)
{
    struct span text;
    if (!span_take_prefix(in, span_of_str(index_prefix)) || !span_take_until(in, '\n', &text)) {
        return err_set(err, E_MALFORMED, "the line \"index N\" is missing");
    }
    if (decimal_parse(&receipt->index, text, SIZE_VALUE_MAX - 1, err) != E_OK) {
        return err_wrap(err, "index");
    }
    return E_OK;
}

static enum err_code check_note(struct span bytes, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, bytes, err);
    if (rc == E_OK) {
        note_clear(&note);
    }
    return rc;
}

static enum err_code parse(struct receipt *receipt, struct span in, struct err *err)
{
    if (in.len > PROOF_FILE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "%zu bytes, at most %d are read", in.len,
                       PROOF_FILE_BYTES_MAX);
    }
    if (!span_take_prefix(&in, span_of_str(header))) {
        return err_set(err, E_MALFORMED, "the first line is not c2sp.org/tlog-proof@v1");
    }
    enum err_code rc = parse_extra(receipt, &in, err);
    if (rc == E_OK) {
        rc = parse_index(receipt, &in, err);
    }
    if (rc == E_OK) {
        rc = proof_take_lines(&receipt->proof, &in, err);
    }
    if (rc == E_OK) {
        rc = check_note(in, err);
    }
    receipt->note = in;
    return rc;
}

enum err_code receipt_parse(struct receipt *out, struct span bytes, struct err *err)
{
    struct receipt receipt = { 0 };
    if (parse(&receipt, bytes, err) != E_OK) {
        receipt_clear(&receipt);
        return err_wrap(err, "tlog-proof");
    }
    *out = receipt;
    return E_OK;
}

void receipt_clear(struct receipt *receipt)
{
    buf_clear(&receipt->extra);
}

static void put_rest(struct buf *out, uint64_t index, const struct proof *proof, struct span note)
{
    assert(index < SIZE_VALUE_MAX);
    buf_putf(out, "%s%" PRIu64 "\n", index_prefix, index);
    proof_put_lines(out, proof);
    buf_put_u8(out, '\n');
    buf_put(out, note);
}

void receipt_put(struct buf *out, uint64_t index, const struct proof *proof, struct span note)
{
    buf_put_str(out, header);
    put_rest(out, index, proof, note);
}

void receipt_put_with_extra(struct buf *out, struct span extra, uint64_t index,
                            const struct proof *proof, struct span note)
{
    buf_putf(out, "%s%s", header, extra_prefix);
    base64_put(out, extra);
    buf_put_u8(out, '\n');
    put_rest(out, index, proof, note);
}

enum err_code receipt_verify(const struct receipt *receipt, const struct policy *policy,
                             const struct hash *leaf, struct policy_verdict *out, struct err *err)
{
    struct policy_verdict verdict;
    enum err_code rc = policy_open_checkpoint(policy, &verdict, receipt->note, err);
    if (rc == E_OK) {
        rc = proof_verify_inclusion(&receipt->proof, receipt->index, verdict.checkpoint.size, leaf,
                                    &verdict.checkpoint.root, err);
    }
    if (rc == E_OK) {
        *out = verdict;
    }
    return rc;
}
