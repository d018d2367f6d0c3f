#include "logd/read_service.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "courtroll/v1/log.pb-c.h"
#include "net/rpc_answer.h"
#include "tlog/proof.h"

enum {
    RECEIPT_BYTES_MAX = PROOF_FILE_BYTES_MAX,
};

/* One call on its way to a worker and back. */
struct read {
    struct parts *parts;
    struct rpc_call *call;
    struct published_tree *tree; /* the one it is answered from; held */
    bool has_leaf;
    struct hash leaf;
    uint64_t index; /* or the first size of a consistency proof */
    uint64_t size;
};

/* -- Helpers -- */

/* NULL, and the call answered, when nothing is published yet. */
static struct read *read_new(struct parts *parts, struct rpc_call *call)
{
    struct published_tree *tree = published_get(parts->published);
    if (tree == NULL) {
        rpc_fail(call, E_UNAVAILABLE, "nothing is published yet");
        return NULL;
    }
    struct read *read = NEW(struct read);
    read->parts = parts;
    read->call = call;
    read->tree = tree;
    return read;
}

static void read_free(struct read *read)
{
    published_tree_release(read->tree);
    mem_free(read);
}

static void read_end(struct read *read, enum err_code rc, const struct err *err)
{
    if (rc != E_OK) {
        rpc_answer_error(read->call, &read->parts->private_paths, err);
    }
    read_free(read);
}

/* Takes which entry is meant out of a request. */
static enum err_code set_entry(struct read *read, bool has_leaf, ProtobufCBinaryData leaf,
                               uint64_t index, struct err *err)
{
    if (!has_leaf) {
        read->index = index;
        return E_OK;
    }
    if (leaf.len != HASH_BYTES) {
        return err_set(err, E_MALFORMED, "leaf_hash has %zu bytes, expected %d", leaf.len,
                       HASH_BYTES);
    }
    read->has_leaf = true;
    memcpy(read->leaf.bytes, leaf.data, HASH_BYTES);
    return E_OK;
}

/* On a worker: the index and leaf hash of the entry meant. */
static enum err_code find_entry(struct read *read, struct err *err)
{
    struct parts *parts = read->parts;
    if (read->has_leaf) {
        return parts_find_leaf(parts, read->tree, &read->leaf, &read->index, err);
    }
    return parts_leaf(parts, read->tree, read->index, &read->leaf, err);
}

static enum err_code check_size(const struct read *read, struct err *err)
{
    uint64_t published = read->tree->checkpoint.size;
    if (read->size > published) {
        return err_set(err, E_NOT_FOUND, "size %llu is not published: the published size is %llu",
                       (unsigned long long)read->size, (unsigned long long)published);
    }
    return E_OK;
}

/* -- GetCheckpoint -- */

static void get_checkpoint(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    struct read *read = read_new(ctx, call);
    if (read != NULL) {
        Courtroll__V1__GetCheckpointReply out = COURTROLL__V1__GET_CHECKPOINT_REPLY__INIT;
        out.note = rpc_answer_binary(http_body_span(read->tree->note));
        rpc_answer(call, &out.base);
        read_free(read);
    }
}

/* -- GetInclusionProof -- */

static void reply_proof(struct read *read, const struct proof *proof)
{
    ProtobufCBinaryData hashes[PROOF_HASHES_MAX];
    for (size_t i = 0; i < proof->count; i++) {
        hashes[i] = rpc_answer_binary(hash_span(&proof->hashes[i]));
    }
    Courtroll__V1__GetInclusionProofReply out = COURTROLL__V1__GET_INCLUSION_PROOF_REPLY__INIT;
    out.index = read->index;
    out.size = read->size;
    out.leaf_hash = rpc_answer_binary(hash_span(&read->leaf));
    out.n_hashes = proof->count;
    out.hashes = hashes;
    out.note = rpc_answer_binary(http_body_span(read->tree->note));
    rpc_answer(read->call, &out.base);
}

static void run_inclusion(void *arg)
{
    struct read *read = arg;
    struct tile_nodes nodes = { read->parts->cache, read->tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    struct proof proof;
    struct err err;
    enum err_code rc = find_entry(read, &err);
    if (rc == E_OK) {
        rc = proof_make_inclusion(&proof, &source, read->index, read->size, &err);
    }
    if (rc == E_OK) {
        reply_proof(read, &proof);
    }
    read_end(read, rc, &err);
}

static void get_inclusion_proof(void *ctx, struct rpc_call *call, struct span message)
{
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__GetInclusionProofRequest *in =
        courtroll__v1__get_inclusion_proof_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a GetInclusionProofRequest");
        return;
    }
    if (in->entry_case == COURTROLL__V1__GET_INCLUSION_PROOF_REQUEST__ENTRY__NOT_SET) {
        rpc_fail(call, E_MALFORMED, "neither an index nor a leaf_hash");
        courtroll__v1__get_inclusion_proof_request__free_unpacked(in, NULL);
        return;
    }
    struct read *read = read_new(ctx, call);
    if (read != NULL) {
        struct err err;
        bool has_leaf =
            in->entry_case == COURTROLL__V1__GET_INCLUSION_PROOF_REQUEST__ENTRY_LEAF_HASH;
        read->size = in->size == 0 ? read->tree->checkpoint.size : in->size;
        enum err_code rc = has_leaf ? set_entry(read, true, in->leaf_hash, 0, &err)
                                    : set_entry(read, false, rpc_answer_binary((struct span){ 0 }),
                                                in->index, &err);
        if (rc == E_OK) {
            rc = check_size(read, &err);
        }
        if (rc == E_OK) {
            work_post(read->parts->work, run_inclusion, read);
        } else {
            read_end(read, rc, &err);
        }
    }
    courtroll__v1__get_inclusion_proof_request__free_unpacked(in, NULL);
}

/* -- GetConsistencyProof -- */

static void run_consistency(void *arg)
{
    struct read *read = arg;
    struct tile_nodes nodes = { read->parts->cache, read->tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    struct proof proof;
    struct err err;
    enum err_code rc = proof_make_consistency(&proof, &source, read->index, read->size, &err);
    if (rc == E_OK) {
        ProtobufCBinaryData hashes[PROOF_HASHES_MAX];
        for (size_t i = 0; i < proof.count; i++) {
            hashes[i] = rpc_answer_binary(hash_span(&proof.hashes[i]));
        }
        Courtroll__V1__GetConsistencyProofReply out =
            COURTROLL__V1__GET_CONSISTENCY_PROOF_REPLY__INIT;
        out.new_size = read->size;
        out.n_hashes = proof.count;
        out.hashes = hashes;
        rpc_answer(read->call, &out.base);
    }
    read_end(read, rc, &err);
}

static void get_consistency_proof(void *ctx, struct rpc_call *call, struct span message)
{
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__GetConsistencyProofRequest *in =
        courtroll__v1__get_consistency_proof_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a GetConsistencyProofRequest");
        return;
    }
    struct read *read = read_new(ctx, call);
    if (read != NULL) {
        struct err err;
        read->index = in->old_size;
        read->size = in->new_size == 0 ? read->tree->checkpoint.size : in->new_size;
        enum err_code rc = check_size(read, &err);
        if (rc == E_OK && read->index > read->size) {
            rc = err_set(&err, E_MALFORMED, "old_size is larger than new_size");
        }
        if (rc == E_OK) {
            work_post(read->parts->work, run_consistency, read);
        } else {
            read_end(read, rc, &err);
        }
    }
    courtroll__v1__get_consistency_proof_request__free_unpacked(in, NULL);
}

/* -- GetReceipt -- */

static void run_receipt(void *arg)
{
    struct read *read = arg;
    struct buf receipt = BUF_INIT(RECEIPT_BYTES_MAX);
    struct err err;
    enum err_code rc = find_entry(read, &err);
    if (rc == E_OK) {
        rc = parts_put_receipt(read->parts, read->tree, read->index, &receipt, &err);
    }
    if (rc == E_OK) {
        Courtroll__V1__GetReceiptReply out = COURTROLL__V1__GET_RECEIPT_REPLY__INIT;
        out.receipt = rpc_answer_binary(buf_span(&receipt));
        rpc_answer(read->call, &out.base);
    }
    buf_clear(&receipt);
    read_end(read, rc, &err);
}

static void get_receipt(void *ctx, struct rpc_call *call, struct span message)
{
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__GetReceiptRequest *in =
        courtroll__v1__get_receipt_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a GetReceiptRequest");
        return;
    }
    if (in->entry_case == COURTROLL__V1__GET_RECEIPT_REQUEST__ENTRY__NOT_SET) {
        rpc_fail(call, E_MALFORMED, "neither an index nor a leaf_hash");
        courtroll__v1__get_receipt_request__free_unpacked(in, NULL);
        return;
    }
    struct read *read = read_new(ctx, call);
    if (read != NULL) {
        struct err err;
        bool has_leaf = in->entry_case == COURTROLL__V1__GET_RECEIPT_REQUEST__ENTRY_LEAF_HASH;
        enum err_code rc = has_leaf ? set_entry(read, true, in->leaf_hash, 0, &err)
                                    : set_entry(read, false, rpc_answer_binary((struct span){ 0 }),
                                                in->index, &err);
        if (rc == E_OK) {
            work_post(read->parts->work, run_receipt, read);
        } else {
            read_end(read, rc, &err);
        }
    }
    courtroll__v1__get_receipt_request__free_unpacked(in, NULL);
}

/* -- GetStatus -- */

static Courtroll__V1__WitnessStatus witness_message(const struct witness_status *status)
{
    Courtroll__V1__WitnessStatus out = COURTROLL__V1__WITNESS_STATUS__INIT;
    out.name = rpc_answer_binary(span_of_str(status->name));
    out.size = status->size;
    out.timestamp = status->timestamp;
    out.ok = status->is_ok;
    out.problem = rpc_answer_binary(span_of_str(witness_status_problem(status)));
    out.cosignatures = status->cosignatures;
    out.failures = witness_status_failures(status);
    return out;
}

/* Answers with the witnesses in it. */
static void reply_status(struct parts *parts, struct rpc_call *call,
                         Courtroll__V1__GetStatusReply *out)
{
    size_t count;
    struct witness_status *statuses = parts_witnesses(parts, &count);
    Courtroll__V1__WitnessStatus *messages = mem_calloc(count + 1, sizeof *messages);
    out->witnesses = mem_calloc(count + 1, sizeof *out->witnesses);
    out->n_witnesses = count;
    for (size_t i = 0; i < count; i++) {
        messages[i] = witness_message(&statuses[i]);
        out->witnesses[i] = &messages[i];
    }
    rpc_answer(call, &out->base);
    mem_free(out->witnesses);
    mem_free(messages);
    mem_free(statuses);
}

static void get_status(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    struct parts *parts = ctx;
    struct status status;
    parts_status(parts, &status);
    Courtroll__V1__GetStatusReply out = COURTROLL__V1__GET_STATUS_REPLY__INIT;
    out.origin = rpc_answer_binary(span_of_str(signing_origin(&parts->signing)));
    out.durable_size = status.durable_size;
    out.integrated_size = status.stored_size;
    out.published_size = status.published_size;
    out.admitting = status.is_admitting;
    out.degraded = status.is_degraded;
    out.reason = rpc_answer_binary(span_of_str(status.reason));
    out.rollback_check = rpc_answer_binary(span_of_str(parts->rollback_check));
    out.cpu_us = status.cpu_us;
    out.bytes_written = status.bytes_written;
    out.bytes_logged = status.stats.bytes_logged;
    out.rss_anon_bytes = status.rss_anon_bytes;
    out.uptime_ms = status.uptime_ms;
    out.version = rpc_answer_binary(span_of_str(COURTROLL_VERSION));
    out.pool_entries = status.pool_entries;
    out.duplicates = status.stats.duplicates;
    out.entries_logged = status.stats.entries_logged;
    out.schema = rpc_answer_binary(span_of_str(status.is_operation ? "operation" : "opaque"));
    out.submitters_registered = status.submitters.registered;
    out.submitters_enabled = status.submitters.enabled;
    out.submitters_usable = status.submitters.usable;
    reply_status(parts, call, &out);
}

/* -- The table -- */

void read_service_methods(struct parts *parts, struct rpc_method out[READ_METHODS])
{
    const struct rpc_method methods[READ_METHODS] = {
        { .path = "/courtroll.v1.Log/GetCheckpoint", .on_call = get_checkpoint },
        { .path = "/courtroll.v1.Log/GetInclusionProof", .on_call = get_inclusion_proof },
        { .path = "/courtroll.v1.Log/GetConsistencyProof", .on_call = get_consistency_proof },
        { .path = "/courtroll.v1.Log/GetReceipt", .on_call = get_receipt },
        { .path = "/courtroll.v1.Log/GetStatus", .on_call = get_status },
    };
    for (size_t i = 0; i < READ_METHODS; i++) {
        out[i] = methods[i];
        out[i].ctx = parts;
    }
}
