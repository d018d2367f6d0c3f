#include "tlog/upgraded_receipt.h"

#include "tlog/merkle.h"

#include <assert.h>

static const char header[] = "c2sp.org/tlog-proof@v1\n";

static bool has_older(const struct receipt *receipt)
{
    return receipt->has_extra && span_has_prefix(buf_span(&receipt->extra), span_of_str(header));
}

void upgraded_receipt_clear(struct upgraded_receipt *receipt)
{
    while (receipt->count > 0) {
        receipt_clear(&receipt->receipts[--receipt->count]);
    }
}

enum err_code upgraded_receipt_parse(struct upgraded_receipt *out, struct span bytes,
                                     struct err *err)
{
    out->count = 0;
    for (;;) {
        struct receipt *next = &out->receipts[out->count];
        enum err_code rc = receipt_parse(next, bytes, err);
        out->count += rc == E_OK;
        if (rc == E_OK && !has_older(next)) {
            return E_OK;
        }
        if (rc == E_OK && out->count == UPGRADED_RECEIPT_LOGS_MAX) {
            rc = err_set(err, E_MALFORMED, "an upgraded receipt of over %d logs",
                         UPGRADED_RECEIPT_LOGS_MAX);
        }
        if (rc != E_OK) {
            upgraded_receipt_clear(out);
            return rc;
        }
        bytes = buf_span(&next->extra);
    }
}

enum err_code upgraded_receipt_verify(const struct upgraded_receipt *receipt,
                                      const struct policy *policy, const struct hash *leaf,
                                      struct policy_verdict *out, struct checkpoint *ended,
                                      struct err *err)
{
    assert(receipt->count > 1);
    for (size_t i = 1; i < receipt->count; i++) {
        const struct receipt *newer = &receipt->receipts[i - 1], *older = &receipt->receipts[i];
        struct hash note_leaf = merkle_leaf_hash(older->note);
        if (newer->index != 0) {
            return err_set(err, E_BAD_PROOF,
                           "an upgraded receipt leads through entry 0 of a successor, not through "
                           "entry %llu",
                           (unsigned long long)newer->index);
        }
        enum err_code rc = i == 1 ? receipt_verify(newer, policy, &note_leaf, out, err)
                                  : proof_verify_inclusion(&newer->proof, 0, ended->size,
                                                           &note_leaf, &ended->root, err);
        if (rc == E_OK) {
            rc = checkpoint_parse_note(ended, older->note, err);
        }
        if (rc != E_OK) {
            return rc;
        }
    }
    const struct receipt *oldest = &receipt->receipts[receipt->count - 1];
    return proof_verify_inclusion(&oldest->proof, oldest->index, ended->size, leaf, &ended->root,
                                  err);
}

enum err_code upgraded_receipt_put_extra(struct buf *out, struct span receipt, struct span final,
                                         struct err *err)
{
    struct receipt old;
    struct checkpoint of_receipt, of_final;
    enum err_code rc = receipt_parse(&old, receipt, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = checkpoint_parse_note(&of_receipt, old.note, err);
    if (rc == E_OK && checkpoint_parse_note(&of_final, final, err) != E_OK) {
        rc = err_set(err, E_BAD_PROOF, "entry 0 of this log is no checkpoint: it succeeds no log");
    }
    if (rc == E_OK && !checkpoint_is_equal(&of_receipt, &of_final)) {
        rc = err_set(
            err, E_BAD_PROOF,
            "the receipt is of %s at %llu entries, but this log's entry 0 is the final checkpoint "
            "of %s at %llu: make a receipt in that one with courtroll prove --log, from the old "
            "log or a mirror of it",
            of_receipt.origin, (unsigned long long)of_receipt.size, of_final.origin,
            (unsigned long long)of_final.size);
    }
    if (rc == E_OK) {
        struct buf text = BUF_INIT(2 * PROOF_FILE_BYTES_MAX);
        if (has_older(&old)) {
            receipt_put_with_extra(&text, buf_span(&old.extra), old.index, &old.proof, final);
        } else {
            receipt_put(&text, old.index, &old.proof, final);
        }
        rc = buf_append(out, buf_span(&text), err);
        buf_clear(&text);
    }
    receipt_clear(&old);
    return rc;
}
