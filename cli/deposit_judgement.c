/* The normal path is: what the document is on the log (its leaf hash, through a record or not), then the proof of that
 * leaf, then the ANCHOR. */
#include "cli/deposit_judgement.h"

#include "record/commitment.h"
#include "tlog/merkle.h"

/* The record, whose commitment to the document the salt opens. */
static enum err_code read_record(struct deposit_judgement *out, struct span record,
                                 const struct deposit *deposit, const uint8_t *salt,
                                 struct err *err)
{
    enum err_code rc = operation_decode(&out->operation, record, err);
    if (rc != E_OK) {
        return err_wrap(err, "entry");
    }
    out->has_operation = true;
    struct hash commitment = commitment_document(salt, &deposit->document);
    if (!out->operation.has_commitments || !hash_is_equal(&commitment, &out->operation.document)) {
        return err_set(err, E_BAD_PROOF, "the record does not commit to the document");
    }
    out->leaf = merkle_leaf_hash(record);
    return E_OK;
}

/* All of it is judged, as `courtroll record verify` does. */
static enum verdict read_disclosure(struct deposit_judgement *out, uint8_t *salt,
                                    const struct deposit *deposit, const struct policy *policy,
                                    struct err *err)
{
    struct record_judgement judgement;
    enum verdict verdict = record_judge(&judgement, policy, deposit->fields[DEPOSIT_DISCLOSURE],
                                        &deposit->document, err);
    if (verdict == VERDICT_NO_QUORUM) {
        err_set(err, E_BAD_PROOF, "the disclosure's own proof, or its registration's");
    }
    if (verdict == VERDICT_PASS) {
        buf_put(&out->record, buf_span(&judgement.disclosure.record));
        memcpy(salt, judgement.disclosure.document_salt, DEPOSIT_SALT_BYTES);
        verdict = verdict_of(read_record(out, buf_span(&out->record), deposit, salt, err),
                             &judgement.checkpoint);
    }
    record_judgement_clear(&judgement);
    return verdict;
}

static enum err_code check_proofs(struct deposit_judgement *out, const struct deposit *deposit,
                                  const struct policy *policy, struct err *err)
{
    struct span anchor = deposit->fields[DEPOSIT_ANCHOR];
    enum err_code rc = receipt_parse(&out->receipt, deposit->fields[DEPOSIT_PROOF], err);
    rc = rc != E_OK ? rc : receipt_verify(&out->receipt, policy, &out->leaf, &out->checkpoint, err);
    if (rc == E_OK && anchor.len > 0) {
        rc = anchor_proof_check(&out->anchor, anchor, &out->receipt, policy, &out->checkpoint, err);
        out->has_anchor = rc == E_OK;
    }
    return rc;
}

enum verdict deposit_judge(struct deposit_judgement *out, const struct deposit *deposit,
                           const struct policy *policy, struct err *err)
{
    uint8_t salt[DEPOSIT_SALT_BYTES];
    *out = (struct deposit_judgement){ .leaf = deposit->leaf,
                                       .record = BUF_INIT(OPERATION_BYTES_MAX) };
    memcpy(salt, deposit->salt, sizeof salt);
    enum verdict verdict = VERDICT_PASS;
    if (deposit->kind == DEPOSIT_IN_DISCLOSURE) {
        verdict = read_disclosure(out, salt, deposit, policy, err);
    } else if (deposit->kind == DEPOSIT_IN_RECORD) {
        enum err_code rc = read_record(out, deposit->fields[DEPOSIT_ENTRY], deposit, salt, err);
        verdict = rc == E_OK ? VERDICT_PASS : verdict_of(rc, NULL);
    }
    if (verdict == VERDICT_PASS) {
        bool known = false;
        enum err_code rc = check_proofs(out, deposit, policy, err);
        known = out->checkpoint.log != NULL;
        /* An ANCHOR without a quorum: the log is known. */
        verdict = rc == E_NOT_FOUND && known ? VERDICT_NO_QUORUM : verdict_of(rc, &out->checkpoint);
    }
    if (verdict == VERDICT_PASS) {
        out->no_later_than = policy_no_later_than(policy, &out->checkpoint);
        out->code = deposit_code_make(out->checkpoint.checkpoint.origin, out->receipt.index,
                                      deposit->kind == DEPOSIT_IS_ENTRY ? NULL : salt);
    }
    crypto_wipe(salt, sizeof salt);
    return verdict;
}

void deposit_judgement_clear(struct deposit_judgement *judgement)
{
    receipt_clear(&judgement->receipt);
    operation_clear(&judgement->operation);
    crypto_wipe(&judgement->code, sizeof judgement->code);
    buf_clear(&judgement->record);
}
