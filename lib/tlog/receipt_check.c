#include "tlog/receipt_check.h"

void receipt_check_init(struct receipt_check *check, const struct policy *policy)
{
    *check = (struct receipt_check){ .policy = policy, .note = BUF_INIT(NOTE_BYTES_MAX) };
}

void receipt_check_clear(struct receipt_check *check)
{
    buf_clear(&check->note);
}

static enum err_code open_note(struct receipt_check *check, struct span note, struct err *err)
{
    if (check->note.len > 0 && span_is_equal(note, buf_span(&check->note))) {
        return E_OK;
    }
    struct policy_verdict verdict;
    enum err_code rc = policy_open_checkpoint(check->policy, &verdict, note, err);
    if (rc == E_OK) {
        buf_reset(&check->note);
        buf_put(&check->note, note);
        check->verdict = verdict;
        check->opened++;
    }
    return rc;
}

enum err_code receipt_check(struct receipt_check *check, struct span bytes, uint64_t index,
                            const struct hash *leaf, const struct policy_verdict **verdict,
                            struct err *err)
{
    struct receipt receipt;
    if (receipt_parse(&receipt, bytes, err) != E_OK) {
        return err->code;
    }
    enum err_code rc = open_note(check, receipt.note, err);
    if (rc == E_OK && receipt.index != index) {
        rc = err_set(err, E_BAD_PROOF, "it is for entry %ju", (uintmax_t)receipt.index);
    }
    if (rc == E_OK) {
        const struct checkpoint *checkpoint = &check->verdict.checkpoint;
        rc = proof_verify_inclusion(&receipt.proof, index, checkpoint->size, leaf,
                                    &checkpoint->root, err);
    }
    if (rc == E_OK) {
        *verdict = &check->verdict;
    }
    receipt_clear(&receipt);
    return rc;
}
