/* courtroll.c -- libcourtroll's public face: our types on the inside, plain ones on the outside. */
#include "courtroll/courtroll.h"

#include "base/alloc.h"
#include "client/log_fetch.h"
#include "client/rpc_log.h"
#include "tlog/receipt.h"

#include <assert.h>
#include <stdio.h>

static_assert((int)COURTROLL_HASH_BYTES == (int)HASH_BYTES, "one size of hash");
static_assert((int)COURTROLL_MESSAGE_MAX == (int)ERR_MSG_MAX, "messages fit");
static_assert((int)COURTROLL_ORIGIN_MAX == ORIGIN_BYTES_MAX + 1, "origins fit");
static_assert((int)COURTROLL_ENTRIES_PER_APPEND_MAX == (int)ENTRIES_PER_CALL_MAX, "one limit");

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000
};

struct courtroll_log {
    struct log_address address;
    struct rpc_log *rpc; /* owned; NULL until the first append */
};

/* The public name of struct policy; never defined. */
static struct policy *policy_inside(const struct courtroll_policy *policy)
{
    return (struct policy *)(uintptr_t)policy;
}

static enum courtroll_code fail(struct courtroll_error *error, enum courtroll_code code,
                                const struct err *err)
{
    error->code = code;
    snprintf(error->message, sizeof error->message, "%s", err->msg);
    return code;
}

/* What an error of verifying means. */
static enum courtroll_code verify_code(enum err_code code)
{
    switch (code) {
    case E_OK:
        return COURTROLL_OK;
    case E_NOT_FOUND:
        return COURTROLL_UNKNOWN_LOG;
    case E_BAD_SIGNATURE:
        return COURTROLL_BAD_SIGNATURE;
    case E_BAD_PROOF:
    case E_CORRUPT:
        return COURTROLL_MISMATCH;
    default:
        return COURTROLL_MALFORMED;
    }
}

/* What an error of asking a log means. */
static enum courtroll_code log_code(enum err_code code)
{
    switch (code) {
    case E_IO:
    case E_TIMEOUT:
        return COURTROLL_UNREACHABLE;
    case E_NOT_FOUND:
        return COURTROLL_NOT_FOUND;
    case E_MALFORMED:
        return COURTROLL_MALFORMED;
    case E_BAD_PROOF:
    case E_CORRUPT:
        return COURTROLL_MISMATCH;
    default:
        return COURTROLL_REFUSED;
    }
}

static struct span span_inside(struct courtroll_bytes bytes)
{
    return span_of(bytes.data, bytes.len);
}

enum courtroll_code courtroll_policy_parse(struct courtroll_policy **out,
                                           struct courtroll_bytes text,
                                           struct courtroll_error *error)
{
    struct err err;
    struct policy *policy = NULL;
    if (policy_parse(&policy, span_inside(text), &err) != E_OK) {
        return fail(error, COURTROLL_MALFORMED, &err);
    }
    *out = (struct courtroll_policy *)policy;
    return COURTROLL_OK;
}

void courtroll_policy_free(struct courtroll_policy *policy)
{
    policy_free((struct policy *)policy);
}

void courtroll_policy_hash(const struct courtroll_policy *policy,
                           uint8_t hash[COURTROLL_HASH_BYTES])
{
    memcpy(hash, policy_hash(policy_inside(policy))->bytes, HASH_BYTES);
}

void courtroll_leaf_hash(struct courtroll_bytes entry, uint8_t hash[COURTROLL_HASH_BYTES])
{
    struct hash leaf = merkle_leaf_hash(span_inside(entry));
    memcpy(hash, leaf.bytes, HASH_BYTES);
}

static struct courtroll_verdict verdict_outside(const struct policy *policy, uint64_t index,
                                                const struct policy_verdict *inside)
{
    struct courtroll_verdict verdict = { .index = index,
                                         .size = inside->checkpoint.size,
                                         .has_quorum_rule = policy_has_quorum(policy),
                                         .no_later_than = policy_no_later_than(policy, inside) };
    snprintf(verdict.origin, sizeof verdict.origin, "%s", inside->checkpoint.origin);
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        verdict.witness_count += inside->cosigned.has[i];
    }
    return verdict;
}

/* Verifies one proof; `out` may be NULL. */
static enum courtroll_code verify(const struct policy *policy, struct span proof,
                                  const struct hash *leaf, struct courtroll_verdict *out,
                                  struct courtroll_error *error)
{
    struct err err;
    struct receipt receipt;
    struct policy_verdict inside;
    if (receipt_parse(&receipt, proof, &err) != E_OK) {
        return fail(error, COURTROLL_MALFORMED, &err);
    }
    uint64_t index = receipt.index;
    enum err_code rc = receipt_verify(&receipt, policy, leaf, &inside, &err);
    receipt_clear(&receipt);
    if (rc != E_OK) {
        return fail(error, verify_code(rc), &err);
    }
    if (out != NULL) {
        *out = verdict_outside(policy, index, &inside);
    }
    if (!inside.is_met) {
        err_set(&err, E_BAD_SIGNATURE, "too few witnesses have signed the checkpoint");
        return fail(error, COURTROLL_NO_QUORUM, &err);
    }
    return COURTROLL_OK;
}

enum courtroll_code courtroll_verify(const struct courtroll_policy *policy,
                                     struct courtroll_bytes proof, struct courtroll_bytes entry,
                                     struct courtroll_verdict *verdict,
                                     struct courtroll_error *error)
{
    struct hash leaf = merkle_leaf_hash(span_inside(entry));
    return verify(policy_inside(policy), span_inside(proof), &leaf, verdict, error);
}

/* -- a log -- */

enum courtroll_code courtroll_log_open(struct courtroll_log **out, const char *address,
                                       const struct courtroll_log_options *options,
                                       struct courtroll_error *error)
{
    struct err err;
    struct log_address parsed = { 0 };
    if (log_address_parse(&parsed, address, &err) != E_OK) {
        return fail(error, COURTROLL_MALFORMED, &err);
    }
    if (options != NULL) {
        parsed.tls_ca_path = options->tls_ca_path;
        parsed.tls_cert_path = options->tls_cert_path;
        parsed.tls_key_path = options->tls_key_path;
    }
    struct courtroll_log *log = NEW(struct courtroll_log);
    log->address = parsed;
    *out = log;
    return COURTROLL_OK;
}

void courtroll_log_close(struct courtroll_log *log)
{
    if (log != NULL) {
        rpc_log_close(log->rpc);
        mem_free(log);
    }
}

static struct courtroll_proof proof_copy(struct span bytes)
{
    struct courtroll_proof proof = { NULL, bytes.len };
    if (bytes.len > 0) {
        proof.data = mem_alloc(bytes.len);
        memcpy(proof.data, bytes.data, bytes.len);
    }
    return proof;
}

void courtroll_proof_clear(struct courtroll_proof *proof)
{
    mem_free(proof->data);
    *proof = (struct courtroll_proof){ NULL, 0 };
}

static enum err_code connect_log(struct courtroll_log *log, struct err *err)
{
    if (log->address.kind != LOG_ADDRESS_GRPC) {
        return err_set(err, E_UNSUPPORTED, "to append give the log's gRPC address, HOST:PORT");
    }
    struct rpc_client_config config = { .target = log->address.target,
                                        .tls_ca_path = log->address.tls_ca_path,
                                        .tls_cert_path = log->address.tls_cert_path,
                                        .tls_key_path = log->address.tls_key_path };
    return log->rpc != NULL ? E_OK : rpc_log_open(&log->rpc, &config, CONNECT_TIMEOUT_MS, err);
}

static enum err_code call_append(struct courtroll_log *log, const struct courtroll_bytes *entries,
                                 size_t count, bool wants_witnessed, uint32_t timeout_ms,
                                 struct rpc_log_append_reply *reply, struct err *err)
{
    if (count < 1 || count > ENTRIES_PER_CALL_MAX) {
        return err_set(err, E_MALFORMED, "an append has 1 to %d entries", ENTRIES_PER_CALL_MAX);
    }
    struct span spans[ENTRIES_PER_CALL_MAX];
    for (size_t i = 0; i < count; i++) {
        spans[i] = span_inside(entries[i]);
    }
    struct rpc_log_append request = { .entries = spans,
                                      .entry_count = count,
                                      .wants_witnessed = wants_witnessed };
    enum err_code rc = connect_log(log, err);
    return rc == E_OK ? rpc_log_append(log->rpc, &request, timeout_ms, reply, err) : rc;
}

/* Compares what the log answered with what was sent, entry by entry. */
static enum courtroll_code check_appended(const struct courtroll_policy *policy,
                                          const struct courtroll_bytes *entries,
                                          const struct rpc_log_append_reply *reply,
                                          struct courtroll_error *error)
{
    for (size_t i = 0; i < reply->entry_count; i++) {
        struct hash leaf = merkle_leaf_hash(span_inside(entries[i]));
        struct courtroll_verdict verdict;
        struct err err;
        if (!hash_is_equal(&leaf, &reply->entries[i].leaf_hash)) {
            err_set(&err, E_BAD_PROOF, "the log answered with another entry's hash at %zu", i);
            return fail(error, COURTROLL_MISMATCH, &err);
        }
        if (policy == NULL || !reply->is_witnessed) {
            continue;
        }
        enum courtroll_code code =
            verify(policy_inside(policy), reply->entries[i].proof, &leaf, &verdict, error);
        if (code != COURTROLL_OK) {
            return code;
        }
        if (verdict.index != reply->entries[i].index) {
            err_set(&err, E_BAD_PROOF, "the log's proof is for another index than its answer");
            return fail(error, COURTROLL_MISMATCH, &err);
        }
    }
    return COURTROLL_OK;
}

enum courtroll_code courtroll_append(struct courtroll_log *log,
                                     const struct courtroll_policy *policy,
                                     const struct courtroll_bytes *entries, size_t count,
                                     uint32_t timeout_ms, struct courtroll_appended *appended,
                                     struct courtroll_error *error)
{
    struct err err;
    struct rpc_log_append_reply reply;
    enum err_code rc = call_append(log, entries, count, policy != NULL, timeout_ms, &reply, &err);
    if (rc != E_OK) {
        return fail(error, log_code(rc), &err);
    }
    enum courtroll_code code = check_appended(policy, entries, &reply, error);
    bool is_logged = code == COURTROLL_OK || code == COURTROLL_NO_QUORUM;
    for (size_t i = 0; is_logged && i < count; i++) {
        const struct rpc_log_appended *one = &reply.entries[i];
        struct span proof = code == COURTROLL_OK ? one->proof : span_of(NULL, 0);
        appended[i] = (struct courtroll_appended){ .index = one->index,
                                                   .is_duplicate = one->is_duplicate,
                                                   .proof = proof_copy(proof) };
        memcpy(appended[i].leaf_hash, one->leaf_hash.bytes, HASH_BYTES);
    }
    if (code == COURTROLL_OK && policy != NULL && !reply.is_witnessed) {
        err_set(&err, E_TIMEOUT, "durable, not witnessed yet: %.*s", SPAN_PRINTF(reply.reason));
        code = fail(error, COURTROLL_NO_QUORUM, &err);
    }
    rpc_log_append_reply_clear(&reply);
    return code;
}

/* Fetches and verifies the checkpoint, and proves the entry in its tree. */
static enum courtroll_code prove(struct courtroll_log *log, const struct policy *policy,
                                 struct log_fetch_entry *entry, struct courtroll_proof *out,
                                 struct courtroll_error *error)
{
    struct err err;
    struct proof proof;
    struct policy_verdict checkpoint;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct buf bytes = BUF_INIT(PROOF_FILE_BYTES_MAX);
    enum courtroll_code code = COURTROLL_OK;
    enum err_code rc = log_fetch_checkpoint(&log->address, &note, &err);
    if (rc != E_OK) {
        code = rc == E_NOT_FOUND ? COURTROLL_UNREACHABLE : log_code(rc);
        fail(error, code, &err);
        goto out;
    }
    rc = policy_open_checkpoint(policy, &checkpoint, buf_span(&note), &err);
    if (rc != E_OK) {
        code = fail(error, verify_code(rc), &err);
        goto out;
    }
    rc = log_fetch_proof(&log->address, checkpoint.checkpoint.size, &checkpoint.checkpoint.root,
                         entry, &proof, NULL, NULL, &err);
    if (rc != E_OK) {
        code = fail(error, log_code(rc), &err);
        goto out;
    }
    receipt_put(&bytes, entry->index, &proof, buf_span(&note));
    code = verify(policy, buf_span(&bytes), &entry->leaf, NULL, error);
    if (code == COURTROLL_OK) {
        *out = proof_copy(buf_span(&bytes));
    }
out:
    buf_clear(&note);
    buf_clear(&bytes);
    return code;
}

enum courtroll_code courtroll_prove(struct courtroll_log *log,
                                    const struct courtroll_policy *policy,
                                    const uint8_t leaf_hash[COURTROLL_HASH_BYTES],
                                    struct courtroll_proof *proof, struct courtroll_error *error)
{
    struct log_fetch_entry entry = { .has_leaf = true };
    memcpy(entry.leaf.bytes, leaf_hash, HASH_BYTES);
    return prove(log, policy_inside(policy), &entry, proof, error);
}

enum courtroll_code courtroll_prove_index(struct courtroll_log *log,
                                          const struct courtroll_policy *policy, uint64_t index,
                                          struct courtroll_proof *proof,
                                          struct courtroll_error *error)
{
    struct log_fetch_entry entry = { .index = index };
    return prove(log, policy_inside(policy), &entry, proof, error);
}
