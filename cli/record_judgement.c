#include "cli/record_judgement.h"

#include "record/certificate.h"
#include "tlog/merkle.h"

/* The entry is on the policy's log of this origin: a proof from another log, however good, proves nothing here. */
static enum err_code check_proof(uint64_t *index, struct policy_verdict *checkpoint,
                                 const struct policy *policy, const char *origin, struct span entry,
                                 struct span proof, struct err *err)
{
    struct receipt receipt;
    enum err_code rc = receipt_parse(&receipt, proof, err);
    if (rc != E_OK) {
        return rc;
    }
    struct hash leaf = merkle_leaf_hash(entry);
    rc = receipt_verify(&receipt, policy, &leaf, checkpoint, err);
    if (rc == E_OK && strcmp(checkpoint->checkpoint.origin, origin) != 0) {
        rc = err_set(err, E_BAD_PROOF, "the proof is of another log than the record");
    }
    *index = receipt.index;
    receipt_clear(&receipt);
    return rc;
}

static bool is_opened(const struct disclosure *disclosure, unsigned number)
{
    return (disclosure->opened >> number & 1) != 0 && disclosure->is_present[number];
}

struct submitter_id record_judgement_submitter(const struct record_judgement *judgement)
{
    struct submitter_id id = judgement->says.operation.submitter;
    if (judgement->says.operation.is_sealed) {
        memcpy(id.bytes, judgement->disclosure.values[FIELD_SUBMITTER].data, sizeof id.bytes);
    }
    return id;
}

/* The registered key vouches for the one-time key of a sealed record. */
static enum err_code check_certificate(const struct record_judgement *judgement, struct err *err)
{
    const struct operation *operation = &judgement->says.operation;
    struct certificate certificate;
    enum err_code rc =
        certificate_parse(&certificate, buf_span(&judgement->disclosure.values[FIELD_CERTIFICATE]),
                          err);
    if (rc == E_OK) {
        rc = certificate_verify(&certificate, judgement->disclosure.origin,
                                &operation->one_time_key, &operation->entry_tag,
                                &judgement->registration.registration.key, err);
    }
    return rc == E_OK ? E_OK : err_wrap(err, "field certificate");
}

static uint64_t minute_of(const struct record_judgement *judgement)
{
    uint64_t minute = judgement->says.operation.minute;
    if (judgement->says.operation.is_sealed) {
        struct span value = buf_span(&judgement->disclosure.values[FIELD_MINUTE]);
        (void)span_take_u64(&value, &minute); /* field_check has seen it */
    }
    return minute;
}

static bool has_court(const struct registration *registration, const struct court_tag *court)
{
    bool has = registration->court_count == 0;
    for (size_t i = 0; i < registration->court_count; i++) {
        has = has || memcmp(registration->courts[i].bytes, court->bytes, COURT_TAG_BYTES) == 0;
    }
    return has;
}

/* The key may have been registered for something else. */
static enum err_code check_scope(const struct record_judgement *judgement, struct err *err)
{
    const struct registration *registration = &judgement->registration.registration;
    const struct disclosure *disclosure = &judgement->disclosure;
    uint64_t minute = minute_of(judgement);
    const struct kind *kind = judgement->says.kind;
    struct court_tag court = judgement->says.operation.court;
    if (is_opened(disclosure, FIELD_COURT)) {
        court = court_tag_make(buf_span(&disclosure->values[FIELD_COURT]));
    }
    if (minute < registration->from || (registration->to != 0 && minute >= registration->to)) {
        return err_set(err, E_BAD_PROOF, "the submitter's registration is for another time");
    }
    if (!has_court(registration, &court)) {
        return err_set(err, E_BAD_PROOF, "the submitter's registration is for other courts");
    }
    if (kind != NULL && kind->roles != 0 && (kind->roles & registration->roles) == 0) {
        return err_set(err, E_BAD_PROOF, "the submitter's registration is for other kinds");
    }
    return E_OK;
}

static enum err_code check_registration(struct record_judgement *judgement,
                                        const struct policy *policy, struct err *err)
{
    const struct disclosure *disclosure = &judgement->disclosure;
    struct span entry = buf_span(&disclosure->registration);
    enum err_code rc = operation_decode(&judgement->registration, entry, err);
    if (rc == E_OK && judgement->registration.kind->number != KIND_SUBMITTER) {
        rc = err_set(err, E_MALFORMED, "not a SUBMITTER entry");
    }
    if (rc == E_OK) {
        rc = operation_verify(&judgement->registration, entry, disclosure->origin,
                              &judgement->registration.registration.key, err);
    }
    if (rc == E_OK) {
        rc =
            check_proof(&judgement->registration_index, &judgement->registration_checkpoint, policy,
                        disclosure->origin, entry, buf_span(&disclosure->registration_proof), err);
    }
    return rc == E_OK ? E_OK : err_wrap(err, "registration");
}

/* The registration is on the log; is it this record's? */
static enum err_code match_registration(struct record_judgement *judgement, struct err *err)
{
    struct submitter_id id = record_judgement_submitter(judgement);
    struct submitter_id registered = submitter_id_make(&judgement->registration.registration.key);
    if (!submitter_id_is_equal(&id, &registered)) {
        return err_set(err, E_BAD_PROOF, "the registration is of another submitter");
    }
    if (judgement->registration_index >= judgement->index) {
        return err_set(err, E_BAD_PROOF, "the submitter was registered only after the record");
    }
    if (judgement->says.operation.is_sealed) {
        enum err_code rc = check_certificate(judgement, err);
        if (rc != E_OK) {
            return rc;
        }
    }
    return check_scope(judgement, err);
}

static enum err_code check_document(struct record_judgement *judgement, const struct hash *document,
                                    struct err *err)
{
    const struct disclosure *disclosure = &judgement->disclosure;
    if (!disclosure->has_document) {
        return err_set(err, E_BAD_PROOF,
                       "the disclosure does not open the commitment to the document, so the file "
                       "cannot be compared with it");
    }
    if (!disclosure->is_document_present) {
        return err_set(err, E_BAD_PROOF, "the record commits to having no document");
    }
    if (!hash_is_equal(&disclosure->document, document)) {
        return err_set(err, E_BAD_PROOF, "the file is not the document that the record commits to");
    }
    judgement->has_document = true;
    return E_OK;
}

/* What the disclosure says of itself, and that the record is on the log. */
static enum err_code check_record(struct record_judgement *judgement, const struct policy *policy,
                                  struct span json, struct err *err)
{
    enum err_code rc = disclosure_parse(&judgement->disclosure, json, err);
    const struct disclosure *disclosure = &judgement->disclosure;
    if (rc == E_OK) {
        rc = disclosure_verify(&judgement->says, disclosure, err);
    }
    if (rc == E_OK && disclosure->proof.len == 0) {
        rc = err_set(err, E_MALFORMED,
                     "it has no tlog-proof: nothing shows that the record is on a log");
    }
    if (rc == E_OK) {
        rc = check_proof(&judgement->index, &judgement->checkpoint, policy, disclosure->origin,
                         buf_span(&disclosure->record), buf_span(&disclosure->proof), err);
    }
    return rc;
}

enum verdict record_judge(struct record_judgement *out, const struct policy *policy,
                          struct span json, const struct hash *document, struct err *err)
{
    *out = (struct record_judgement){ 0 };
    disclosure_init(&out->disclosure);
    enum err_code rc = check_record(out, policy, json, err);
    if (rc == E_OK && out->disclosure.registration.len > 0) {
        rc = check_registration(out, policy, err);
        if (rc == E_OK) {
            rc = match_registration(out, err);
        }
    }
    if (rc == E_OK && document != NULL) {
        rc = check_document(out, document, err);
    }
    if (rc != E_OK) {
        return verdict_of(rc, NULL);
    }
    out->is_complete = true;
    out->is_registered = out->disclosure.registration.len > 0;
    if (out->is_registered && !out->registration_checkpoint.is_met) {
        return VERDICT_NO_QUORUM;
    }
    return verdict_of(E_OK, &out->checkpoint);
}

void record_judgement_clear(struct record_judgement *judgement)
{
    disclosure_verdict_clear(&judgement->says);
    operation_clear(&judgement->registration);
    disclosure_clear(&judgement->disclosure);
}
