/* judge_batch.c -- what the C verifier says of many proofs and disclosures, for comparing with the page's.
 *
 * stdin: lines of JSON {"policy": HEX, "proof": HEX, "document": HEX or null, "anchor": HEX or null}; a proof that begins
 * with '{' is a disclosure. stdout: a line for each, the first words of `courtroll verify`, or POLICY. Behind PASS and
 * NO QUORUM, in brackets: no later than, sequenced after (seconds, 0: not said), f, and how many witnesses may be down.
 */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/ml_dsa.h"
#include "cli/anchor_proof.h"
#include "cli/record_judgement.h"
#include "cli/verdict.h"
#include "tlog/merkle.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BYTES_MAX = 4 * 1024 * 1024,
};

/* false: null */
static bool take(struct buf *out, const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    if (!json_is_string(member)) {
        return false;
    }
    struct span text = span_of(json_string_value(member), json_string_length(member));
    struct err err;
    uint8_t *at = buf_extend(out, text.len / 2);
    if (hex_decode(at, text.len / 2, text, &err) != E_OK) {
        fprintf(stderr, "judge_batch: %s: %s\n", name, err.msg);
        exit(2);
    }
    return true;
}

static void put_bounds(struct buf *out, const struct policy *policy,
                       const struct policy_verdict *checkpoint, uint64_t sequenced_after)
{
    buf_putf(out, " [%ju %ju %zu %zu]", (uintmax_t)policy_no_later_than(policy, checkpoint),
             (uintmax_t)sequenced_after, policy_f(policy), policy_may_be_down(policy));
}

static void judge_receipt(struct buf *out, const struct policy *policy, struct span proof,
                          struct span entry, const struct span *anchor)
{
    struct err err;
    struct receipt receipt;
    struct policy_verdict checkpoint;
    struct anchor_proof found = { 0 };
    enum verdict verdict = VERDICT_MALFORMED;
    enum err_code rc = receipt_parse(&receipt, proof, &err);
    if (rc == E_OK) {
        struct hash leaf = merkle_leaf_hash(entry);
        rc = receipt_verify(&receipt, policy, &leaf, &checkpoint, &err);
        verdict = verdict_of(rc, &checkpoint);
        if (rc == E_OK && anchor != NULL) {
            rc = anchor_proof_check(&found, *anchor, &receipt, policy, &checkpoint, &err);
            verdict = rc == E_NOT_FOUND ? VERDICT_NO_QUORUM : verdict_of(rc, &checkpoint);
        }
        receipt_clear(&receipt);
    }
    buf_put_str(out, verdict_text(verdict, policy));
    if (rc == E_OK) {
        put_bounds(out, policy, &checkpoint, found.time_s);
    }
}

static void judge_disclosure(struct buf *out, const struct policy *policy, struct span json,
                             const struct hash *document)
{
    struct err err;
    struct record_judgement judgement;
    enum verdict verdict = record_judge(&judgement, policy, json, document, &err);
    buf_put_str(out, verdict_text(verdict, policy));
    if (judgement.is_complete) {
        put_bounds(out, policy, &judgement.checkpoint, 0);
    }
    record_judgement_clear(&judgement);
}

static void judge(struct buf *out, const json_t *question)
{
    struct buf policy_bytes = BUF_INIT(BYTES_MAX), proof = BUF_INIT(BYTES_MAX);
    struct buf document = BUF_INIT(BYTES_MAX), anchor = BUF_INIT(BYTES_MAX);
    (void)take(&policy_bytes, question, "policy");
    (void)take(&proof, question, "proof");
    bool has_document = take(&document, question, "document");
    bool has_anchor = take(&anchor, question, "anchor");
    struct policy *policy = NULL;
    struct err err;
    if (policy_parse(&policy, buf_span(&policy_bytes), &err) != E_OK) {
        buf_put_str(out, "POLICY");
    } else if (proof.len > 0 && proof.data[0] == '{') {
        struct hash digest = sha256(buf_span(&document));
        judge_disclosure(out, policy, buf_span(&proof), has_document ? &digest : NULL);
    } else {
        struct span anchor_span = buf_span(&anchor);
        judge_receipt(out, policy, buf_span(&proof), buf_span(&document),
                      has_anchor ? &anchor_span : NULL);
    }
    policy_free(policy);
    buf_clear(&policy_bytes);
    buf_clear(&proof);
    buf_clear(&document);
    buf_clear(&anchor);
}

int main(void)
{
    ml_dsa_hide(); /* no browser checks such signatures: C says what the page does */
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        json_error_t problem;
        json_t *question = json_loads(line, 0, &problem);
        if (question == NULL) {
            fprintf(stderr, "judge_batch: %s\n", problem.text);
            return 2;
        }
        struct buf answer = BUF_INIT(1024);
        judge(&answer, question);
        puts(buf_c_str(&answer));
        buf_clear(&answer);
        json_decref(question);
    }
    free(line);
    return 0;
}
