/* courtroll_submit.c -- libcourtroll's public face for submitters. */
#include "base/alloc.h"
#include "client/case_key_file.h"
#include "client/submitter.h"
#include "courtroll/courtroll.h"

#include <assert.h>
#include <stdio.h>

static_assert((int)COURTROLL_ENTRY_BYTES_MAX == (int)ENTRY_BYTES_MAX, "one limit");
static_assert(sizeof((struct spool_status *)NULL)->reason == COURTROLL_MESSAGE_MAX, "reasons fit");

enum {
    DELAY_MS_DEFAULT = 60 * 1000,
};

struct courtroll_submitter {
    struct submitter *inside; /* owned */
    void *ctx;
    void (*on_receipt)(void *ctx, const struct courtroll_receipt *receipt);
};

struct courtroll_case {
    struct case_key key; /* wiped */
};

static enum courtroll_code submit_code(enum err_code code)
{
    switch (code) {
    case E_OK:
        return COURTROLL_OK;
    case E_NOT_FOUND:
        return COURTROLL_NOT_FOUND;
    case E_EXISTS:
        return COURTROLL_EXISTS;
    case E_CONFLICT:
        return COURTROLL_STOPPED;
    case E_BUSY:
        return COURTROLL_BUSY;
    case E_TIMEOUT:
        return COURTROLL_TIMEOUT;
    case E_DENIED:
        return COURTROLL_DENIED;
    case E_BAD_SIGNATURE:
        return COURTROLL_BAD_SIGNATURE;
    case E_BAD_PROOF:
        return COURTROLL_MISMATCH;
    case E_IO:
    case E_CORRUPT:
    case E_UNAVAILABLE:
        return COURTROLL_IO;
    default:
        return COURTROLL_MALFORMED;
    }
}

static enum courtroll_code result(struct courtroll_error *error, enum err_code code,
                                  const struct err *err)
{
    if (code != E_OK) {
        error->code = submit_code(code);
        snprintf(error->message, sizeof error->message, "%s", err->msg);
    }
    return submit_code(code);
}

static struct span span_inside(struct courtroll_bytes bytes)
{
    return span_of(bytes.data, bytes.len);
}

static struct courtroll_bytes bytes_outside(struct span span)
{
    return (struct courtroll_bytes){ span.data, span.len };
}

static struct courtroll_receipt receipt_outside(const struct spool_receipt *inside)
{
    struct courtroll_receipt receipt = { .ticket = inside->ticket,
                                         .id = bytes_outside(inside->id),
                                         .index = inside->index,
                                         .is_refused = inside->is_refused,
                                         .proof = bytes_outside(inside->proof),
                                         .refusal = inside->refusal };
    memcpy(receipt.leaf_hash, inside->leaf.bytes, HASH_BYTES);
    return receipt;
}

/* ---- cases ---- */

static enum courtroll_code case_result(struct courtroll_case **out, struct case_key *key,
                                       enum err_code rc, const struct err *err,
                                       struct courtroll_error *error)
{
    if (rc == E_OK) {
        struct courtroll_case *one = NEW(struct courtroll_case);
        one->key = *key;
        *out = one;
    }
    case_key_wipe(key);
    return result(error, rc, err);
}

enum courtroll_code courtroll_case_open(struct courtroll_case **out, const char *path,
                                        struct courtroll_error *error)
{
    struct err err;
    struct case_key key = { .number = "" };
    enum err_code rc = case_key_file_load(&key, path, &err);
    return case_result(out, &key, rc, &err, error);
}

enum courtroll_code courtroll_case_create(struct courtroll_case **out, const char *path,
                                          const char *case_number, struct courtroll_error *error)
{
    struct err err;
    struct case_key key = { .number = "" };
    enum err_code rc = case_key_file_create(&key, path, case_number, &err);
    return case_result(out, &key, rc, &err, error);
}

void courtroll_case_close(struct courtroll_case *one)
{
    if (one != NULL) {
        case_key_wipe(&one->key);
        mem_free(one);
    }
}

/* ---- open and close ---- */

static void on_receipt_inside(void *ctx, const struct spool_receipt *inside)
{
    const struct courtroll_submitter *submitter = ctx;
    if (submitter->on_receipt != NULL) {
        struct courtroll_receipt receipt = receipt_outside(inside);
        submitter->on_receipt(submitter->ctx, &receipt);
    }
}

static enum err_code only_log(const char **origin, const struct policy *policy, struct err *err)
{
    const struct policy_log *found = NULL;
    for (size_t i = 0; i < policy_log_count(policy); i++) {
        if (!policy_log_is_promise_key(policy, i)) {
            if (found != NULL) {
                return err_set(err, E_MALFORMED, "the policy lists several logs: give the origin");
            }
            found = policy_log_at(policy, i);
        }
    }
    if (found == NULL) {
        return err_set(err, E_MALFORMED, "the policy lists no log");
    }
    *origin = found->vkey.name;
    return E_OK;
}

static enum err_code options_inside(struct submitter_options *out,
                                    const struct courtroll_submitter_options *options,
                                    struct err *err)
{
    if (options->spool_dir == NULL || options->log_address == NULL || options->policy == NULL) {
        return err_set(err, E_MALFORMED, "spool_dir, log_address and policy are required");
    }
    *out = (struct submitter_options){
        .spool = { .dir = options->spool_dir,
                   .origin = options->origin,
                   .policy = (const struct policy *)options->policy,
                   .items_max = options->items_max,
                   .bytes_max = options->bytes_max,
                   .connections = options->connections,
                   .sealed_delay_max_ms = options->sealed_delay_max_ms != 0
                                              ? options->sealed_delay_max_ms
                                              : DELAY_MS_DEFAULT },
        .key_path = options->key_path,
        .payload_dir = options->payload_dir,
        .payload_key_path = options->payload_key_path,
        .is_vouched = options->is_vouched,
        .decoys_per_hour = options->decoys_per_hour,
        .decoy_court = options->decoy_court,
    };
    if (log_address_parse(&out->spool.log, options->log_address, err) != E_OK) {
        return err->code;
    }
    out->spool.log.tls_ca_path = options->tls_ca_path;
    out->spool.log.tls_cert_path = options->tls_cert_path;
    out->spool.log.tls_key_path = options->tls_key_path;
    return options->origin != NULL ? E_OK : only_log(&out->spool.origin, out->spool.policy, err);
}

enum courtroll_code courtroll_submitter_open(struct courtroll_submitter **out,
                                             const struct courtroll_submitter_options *options,
                                             struct courtroll_error *error)
{
    struct err err;
    struct submitter_options inside;
    struct courtroll_submitter *submitter = NEW(struct courtroll_submitter);
    submitter->ctx = options->ctx;
    submitter->on_receipt = options->on_receipt;
    enum err_code rc = options_inside(&inside, options, &err);
    if (rc == E_OK) {
        inside.spool.ctx = submitter;
        inside.spool.on_receipt = on_receipt_inside;
        rc = submitter_open(&submitter->inside, &inside, &err);
    }
    if (rc != E_OK) {
        mem_free(submitter);
        return result(error, rc, &err);
    }
    *out = submitter;
    return COURTROLL_OK;
}

void courtroll_submitter_close(struct courtroll_submitter *submitter)
{
    if (submitter != NULL) {
        submitter_close(submitter->inside);
        mem_free(submitter);
    }
}

/* ---- submit ---- */

enum courtroll_code courtroll_submit(struct courtroll_submitter *submitter,
                                     const struct courtroll_case *one, struct courtroll_bytes json,
                                     uint64_t *ticket, struct courtroll_error *error)
{
    struct err err;
    struct draft draft;
    size_t failed;
    enum err_code rc = draft_parse(&draft, span_inside(json), &err);
    if (rc == E_OK) {
        const struct submission_draft item = { &draft, &one->key };
        rc = submitter_put(submitter->inside, &item, 1, ticket, &failed, &err);
        draft_clear(&draft);
    }
    return result(error, rc, &err);
}

enum courtroll_code courtroll_submit_entry(struct courtroll_submitter *submitter,
                                           struct courtroll_bytes entry,
                                           struct courtroll_bytes order, struct courtroll_bytes id,
                                           uint64_t *ticket, struct courtroll_error *error)
{
    struct err err;
    enum err_code rc = submitter_put_entry(submitter->inside, span_inside(entry),
                                           span_inside(order), span_inside(id), ticket, &err);
    return result(error, rc, &err);
}

/* ---- what came of it ---- */

enum courtroll_code courtroll_flush(struct courtroll_submitter *submitter, uint32_t timeout_ms,
                                    struct courtroll_error *error)
{
    struct err err;
    enum err_code rc = spool_flush(submitter_spool(submitter->inside), timeout_ms, &err);
    return result(error, rc, &err);
}

enum courtroll_code courtroll_wait(struct courtroll_submitter *submitter, uint64_t ticket,
                                   uint32_t timeout_ms, struct courtroll_error *error)
{
    struct err err;
    enum err_code rc = spool_await(submitter_spool(submitter->inside), ticket, timeout_ms, &err);
    enum courtroll_code code = result(error, rc, &err);
    if (rc == E_DENIED) {
        error->code = code = COURTROLL_REFUSED;
    }
    return code;
}

enum courtroll_code courtroll_receipt(struct courtroll_submitter *submitter, uint64_t ticket,
                                      struct courtroll_proof *proof, struct courtroll_error *error)
{
    struct err err;
    struct buf bytes = BUF_INIT(PROOF_FILE_BYTES_MAX);
    enum err_code rc = spool_receipt(submitter_spool(submitter->inside), ticket, &bytes, &err);
    if (rc == E_OK) {
        *proof = (struct courtroll_proof){ mem_alloc(bytes.len + 1), bytes.len };
        memcpy(proof->data, bytes.data, bytes.len);
    }
    buf_clear(&bytes);
    return result(error, rc, &err);
}

enum courtroll_code courtroll_forget(struct courtroll_submitter *submitter, uint64_t ticket,
                                     struct courtroll_error *error)
{
    struct err err;
    enum err_code rc = spool_forget(submitter_spool(submitter->inside), ticket, &err);
    return result(error, rc, &err);
}

struct each {
    void *ctx;
    void (*on_receipt)(void *ctx, const struct courtroll_receipt *receipt);
};

static enum err_code on_kept(void *ctx, const struct spool_receipt *inside, struct err *err)
{
    const struct each *each = ctx;
    struct courtroll_receipt receipt = receipt_outside(inside);
    (void)err;
    each->on_receipt(each->ctx, &receipt);
    return E_OK;
}

enum courtroll_code
courtroll_each_receipt(struct courtroll_submitter *submitter,
                       void (*on_receipt)(void *ctx, const struct courtroll_receipt *receipt),
                       void *ctx, struct courtroll_error *error)
{
    struct err err;
    struct each each = { ctx, on_receipt };
    enum err_code rc = submitter_each_receipt(submitter->inside, on_kept, &each, &err);
    return result(error, rc, &err);
}

static void status_outside(struct courtroll_submitter_status *out,
                           const struct spool_status *inside)
{
    *out = (struct courtroll_submitter_status){
        .waiting = inside->waiting,
        .waiting_bytes = inside->waiting_bytes,
        .durable = inside->durable,
        .refused_now = inside->refused_now,
        .proved = inside->proved,
        .refused = inside->refused,
        .wrong = inside->wrong,
        .lag_ms = inside->lag_ms,
        .is_stopped = inside->is_stopped,
    };
    memcpy(out->reason, inside->reason, sizeof out->reason);
}

void courtroll_submitter_status(struct courtroll_submitter *submitter,
                                struct courtroll_submitter_status *status)
{
    struct spool_status inside;
    spool_status(submitter_spool(submitter->inside), &inside);
    status_outside(status, &inside);
}

enum courtroll_code courtroll_spool_status(const char *spool_dir,
                                           struct courtroll_submitter_status *status,
                                           struct courtroll_error *error)
{
    struct err err;
    struct spool_status inside;
    enum err_code rc = spool_status_read(&inside, spool_dir, &err);
    if (rc == E_OK) {
        status_outside(status, &inside);
    }
    return result(error, rc, &err);
}
