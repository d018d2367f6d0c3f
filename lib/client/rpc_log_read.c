/* Queries: pack, call, unpack, check the form, copy out. */
#include "base/limits.h"
#include "client/rpc_log_parts.h"
#include "tlog/tile.h"

#define PATH(method) "/courtroll.v1.Log/" method

enum err_code rpc_log_malformed(struct err *err, const char *what)
{
    return err_set(err, E_MALFORMED, "the log's answer makes no sense: %s", what);
}

enum err_code rpc_log_query(struct rpc_log *log, const char *path, const ProtobufCMessage *request,
                            uint32_t timeout_ms, const ProtobufCMessageDescriptor *type,
                            struct arena *memory, const ProtobufCMessage **reply, struct err *err)
{
    struct buf bytes = BUF_INIT(SIZE_MAX);
    enum err_code rc =
        rpc_unary(log->client, path, rpc_log_pack(log, request), timeout_ms, &bytes, err);
    if (rc == E_OK) {
        *reply = rpc_log_unpack(type, memory, buf_span(&bytes));
        rc = *reply != NULL ? E_OK : rpc_log_malformed(err, type->short_name);
    }
    buf_clear(&bytes);
    return rc;
}

enum err_code rpc_log_get_checkpoint(struct rpc_log *log, uint32_t timeout_ms, struct buf *note,
                                     struct err *err)
{
    Courtroll__V1__GetCheckpointRequest request = COURTROLL__V1__GET_CHECKPOINT_REQUEST__INIT;
    struct arena memory;
    arena_init(&memory, RPC_LOG_MEMORY_MAX);
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_log_query(log, PATH("GetCheckpoint"), &request.base, timeout_ms,
                      &courtroll__v1__get_checkpoint_reply__descriptor, &memory, &reply, err);
    if (rc == E_OK) {
        const Courtroll__V1__GetCheckpointReply *answer =
            (const Courtroll__V1__GetCheckpointReply *)reply;
        rc = buf_append(note, rpc_log_span(answer->note), err);
    }
    arena_clear(&memory);
    return rc;
}

enum err_code rpc_log_take_proof(struct proof *out, const ProtobufCBinaryData *hashes, size_t count,
                                 struct err *err)
{
    if (count > PROOF_HASHES_MAX) {
        return rpc_log_malformed(err, "too long a proof");
    }
    for (size_t i = 0; i < count; i++) {
        if (!rpc_log_take_hash(&out->hashes[i], hashes[i])) {
            return rpc_log_malformed(err, "a hash in a proof");
        }
    }
    out->count = count;
    return E_OK;
}

static enum err_code inclusion_read(struct rpc_log_inclusion *out, struct buf *note,
                                    const Courtroll__V1__GetInclusionProofReply *answer,
                                    struct err *err)
{
    struct rpc_log_inclusion inclusion = { .index = answer->index, .size = answer->size };
    if (!rpc_log_take_hash(&inclusion.leaf_hash, answer->leaf_hash)) {
        return rpc_log_malformed(err, "a leaf hash");
    }
    if (rpc_log_take_proof(&inclusion.proof, answer->hashes, answer->n_hashes, err) != E_OK ||
        buf_append(note, rpc_log_span(answer->note), err) != E_OK) {
        return err->code;
    }
    *out = inclusion;
    return E_OK;
}

enum err_code rpc_log_get_inclusion(struct rpc_log *log, struct rpc_log_entry entry, uint64_t size,
                                    uint32_t timeout_ms, struct rpc_log_inclusion *out,
                                    struct buf *note, struct err *err)
{
    Courtroll__V1__GetInclusionProofRequest request =
        COURTROLL__V1__GET_INCLUSION_PROOF_REQUEST__INIT;
    request.size = size;
    if (entry.leaf_hash != NULL) {
        request.entry_case = COURTROLL__V1__GET_INCLUSION_PROOF_REQUEST__ENTRY_LEAF_HASH;
        request.leaf_hash = rpc_log_bytes(hash_span(entry.leaf_hash));
    } else {
        request.entry_case = COURTROLL__V1__GET_INCLUSION_PROOF_REQUEST__ENTRY_INDEX;
        request.index = entry.index;
    }
    struct arena memory;
    arena_init(&memory, RPC_LOG_MEMORY_MAX);
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_log_query(log, PATH("GetInclusionProof"), &request.base, timeout_ms,
                      &courtroll__v1__get_inclusion_proof_reply__descriptor, &memory, &reply, err);
    if (rc == E_OK) {
        rc = inclusion_read(out, note, (const Courtroll__V1__GetInclusionProofReply *)reply, err);
    }
    arena_clear(&memory);
    return rc;
}

enum err_code rpc_log_get_consistency(struct rpc_log *log, uint64_t old_size, uint64_t new_size,
                                      uint32_t timeout_ms, struct proof *out, uint64_t *size,
                                      struct err *err)
{
    Courtroll__V1__GetConsistencyProofRequest request =
        COURTROLL__V1__GET_CONSISTENCY_PROOF_REQUEST__INIT;
    request.old_size = old_size;
    request.new_size = new_size;
    struct arena memory;
    arena_init(&memory, RPC_LOG_MEMORY_MAX);
    const ProtobufCMessage *reply = NULL;
    enum err_code rc = rpc_log_query(log, PATH("GetConsistencyProof"), &request.base, timeout_ms,
                                     &courtroll__v1__get_consistency_proof_reply__descriptor,
                                     &memory, &reply, err);
    if (rc == E_OK) {
        const Courtroll__V1__GetConsistencyProofReply *answer =
            (const Courtroll__V1__GetConsistencyProofReply *)reply;
        rc = rpc_log_take_proof(out, answer->hashes, answer->n_hashes, err);
        *size = rc == E_OK ? answer->new_size : *size;
    }
    arena_clear(&memory);
    return rc;
}

enum err_code rpc_log_get_receipt(struct rpc_log *log, struct rpc_log_entry entry,
                                  uint32_t timeout_ms, struct buf *receipt, struct err *err)
{
    Courtroll__V1__GetReceiptRequest request = COURTROLL__V1__GET_RECEIPT_REQUEST__INIT;
    if (entry.leaf_hash != NULL) {
        request.entry_case = COURTROLL__V1__GET_RECEIPT_REQUEST__ENTRY_LEAF_HASH;
        request.leaf_hash = rpc_log_bytes(hash_span(entry.leaf_hash));
    } else {
        request.entry_case = COURTROLL__V1__GET_RECEIPT_REQUEST__ENTRY_INDEX;
        request.index = entry.index;
    }
    struct arena memory;
    arena_init(&memory, RPC_LOG_MEMORY_MAX);
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_log_query(log, PATH("GetReceipt"), &request.base, timeout_ms,
                      &courtroll__v1__get_receipt_reply__descriptor, &memory, &reply, err);
    if (rc == E_OK) {
        const Courtroll__V1__GetReceiptReply *answer =
            (const Courtroll__V1__GetReceiptReply *)reply;
        rc = buf_append(receipt, rpc_log_span(answer->receipt), err);
    }
    arena_clear(&memory);
    return rc;
}

void rpc_log_take_text(char out[static RPC_LOG_TEXT_MAX], ProtobufCBinaryData bytes)
{
    size_t len = bytes.len < RPC_LOG_TEXT_MAX ? bytes.len : RPC_LOG_TEXT_MAX - 1;
    if (len > 0) {
        memcpy(out, bytes.data, len);
    }
    out[len] = 0;
}

static void witnesses_read(struct rpc_log_status *out, const Courtroll__V1__GetStatusReply *answer)
{
    out->witness_count =
        answer->n_witnesses < RPC_LOG_WITNESSES_MAX ? answer->n_witnesses : RPC_LOG_WITNESSES_MAX;
    for (size_t i = 0; i < out->witness_count; i++) {
        const Courtroll__V1__WitnessStatus *from = answer->witnesses[i];
        struct rpc_log_witness *to = &out->witnesses[i];
        rpc_log_take_text(to->name, from->name);
        rpc_log_take_text(to->problem, from->problem);
        to->is_ok = from->ok != 0;
        to->size = from->size;
        to->timestamp = from->timestamp;
        to->cosignatures = from->cosignatures;
        to->failures = from->failures;
    }
}

static void status_read(struct rpc_log_status *out, const Courtroll__V1__GetStatusReply *answer)
{
    rpc_log_take_text(out->origin, answer->origin);
    rpc_log_take_text(out->reason, answer->reason);
    rpc_log_take_text(out->rollback_check, answer->rollback_check);
    rpc_log_take_text(out->version, answer->version);
    rpc_log_take_text(out->schema, answer->schema);
    out->submitters_registered = answer->submitters_registered;
    out->submitters_enabled = answer->submitters_enabled;
    out->submitters_usable = answer->submitters_usable;
    out->is_admitting = answer->admitting != 0;
    out->is_degraded = answer->degraded != 0;
    out->durable_size = answer->durable_size;
    out->integrated_size = answer->integrated_size;
    out->published_size = answer->published_size;
    out->pool_entries = answer->pool_entries;
    out->uptime_ms = answer->uptime_ms;
    out->cpu_us = answer->cpu_us;
    out->bytes_written = answer->bytes_written;
    out->bytes_logged = answer->bytes_logged;
    out->entries_logged = answer->entries_logged;
    out->duplicates = answer->duplicates;
    out->rss_anon_bytes = answer->rss_anon_bytes;
    witnesses_read(out, answer);
}

enum err_code rpc_log_get_status(struct rpc_log *log, uint32_t timeout_ms,
                                 struct rpc_log_status *out, struct err *err)
{
    Courtroll__V1__GetStatusRequest request = COURTROLL__V1__GET_STATUS_REQUEST__INIT;
    struct arena memory;
    arena_init(&memory, RPC_LOG_MEMORY_MAX);
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_log_query(log, PATH("GetStatus"), &request.base, timeout_ms,
                      &courtroll__v1__get_status_reply__descriptor, &memory, &reply, err);
    if (rc == E_OK) {
        status_read(out, (const Courtroll__V1__GetStatusReply *)reply);
    }
    arena_clear(&memory);
    return rc;
}

/* ---- streams ---- */

struct rpc_log_entries {
    struct rpc_incoming *incoming;
    uint64_t next;       /* the index that must come */
    struct buf bytes;    /* of the message under the spans */
    struct arena memory; /* likewise */
    struct span spans[TILE_WIDTH];
};

enum err_code rpc_log_entries_open(struct rpc_log_entries **out, struct rpc_log *log,
                                   uint64_t first, uint64_t count, uint32_t timeout_ms,
                                   struct err *err)
{
    Courtroll__V1__GetEntriesRequest request = COURTROLL__V1__GET_ENTRIES_REQUEST__INIT;
    request.first = first;
    request.count = count;
    struct rpc_incoming *incoming = NULL;
    if (rpc_incoming_open(&incoming, log->client, PATH("GetEntries"),
                          rpc_log_pack(log, &request.base), timeout_ms, err) != E_OK) {
        return err->code;
    }
    struct rpc_log_entries *entries = NEW(struct rpc_log_entries);
    entries->incoming = incoming;
    entries->next = first;
    buf_init(&entries->bytes, SIZE_MAX);
    arena_init(&entries->memory, RPC_LOG_MEMORY_MAX);
    *out = entries;
    return E_OK;
}

enum err_code rpc_log_entries_next(struct rpc_log_entries *entries, struct rpc_log_run *out,
                                   struct err *err)
{
    bool is_end = false;
    buf_reset(&entries->bytes);
    if (rpc_incoming_next(entries->incoming, &entries->bytes, &is_end, err) != E_OK) {
        return err->code;
    }
    if (is_end) {
        *out = (struct rpc_log_run){ .first = entries->next };
        return E_OK;
    }
    arena_clear(&entries->memory);
    arena_init(&entries->memory, RPC_LOG_MEMORY_MAX);
    const Courtroll__V1__GetEntriesReply *answer = (const Courtroll__V1__GetEntriesReply *)
        rpc_log_unpack(&courtroll__v1__get_entries_reply__descriptor, &entries->memory,
                       buf_span(&entries->bytes));
    if (answer == NULL || answer->n_entries == 0 || answer->n_entries > TILE_WIDTH ||
        answer->first != entries->next) {
        return rpc_log_malformed(err, "entries out of order");
    }
    for (size_t i = 0; i < answer->n_entries; i++) {
        entries->spans[i] = rpc_log_span(answer->entries[i]);
    }
    *out = (struct rpc_log_run){ answer->first, entries->spans, answer->n_entries };
    entries->next += answer->n_entries;
    return E_OK;
}

void rpc_log_entries_close(struct rpc_log_entries *entries)
{
    if (entries != NULL) {
        rpc_incoming_close(entries->incoming);
        buf_clear(&entries->bytes);
        arena_clear(&entries->memory);
        mem_free(entries);
    }
}

struct rpc_log_watch {
    struct rpc_incoming *incoming;
};

enum err_code rpc_log_watch_open(struct rpc_log_watch **out, struct rpc_log *log, struct err *err)
{
    Courtroll__V1__WatchCheckpointsRequest request = COURTROLL__V1__WATCH_CHECKPOINTS_REQUEST__INIT;
    struct rpc_incoming *incoming = NULL;
    if (rpc_incoming_open(&incoming, log->client, PATH("WatchCheckpoints"),
                          rpc_log_pack(log, &request.base), RPC_NO_DEADLINE, err) != E_OK) {
        return err->code;
    }
    *out = NEW(struct rpc_log_watch);
    (*out)->incoming = incoming;
    return E_OK;
}

enum err_code rpc_log_watch_next(struct rpc_log_watch *watch, struct buf *note, bool *is_end,
                                 struct err *err)
{
    struct buf bytes = BUF_INIT(SIZE_MAX);
    struct arena memory;
    arena_init(&memory, RPC_LOG_MEMORY_MAX);
    enum err_code rc = rpc_incoming_next(watch->incoming, &bytes, is_end, err);
    if (rc == E_OK && !*is_end) {
        const Courtroll__V1__GetCheckpointReply *answer =
            (const Courtroll__V1__GetCheckpointReply *)rpc_log_unpack(
                &courtroll__v1__get_checkpoint_reply__descriptor, &memory, buf_span(&bytes));
        rc = answer != NULL ? buf_append(note, rpc_log_span(answer->note), err)
                            : rpc_log_malformed(err, "a checkpoint");
    }
    arena_clear(&memory);
    buf_clear(&bytes);
    return rc;
}

void rpc_log_watch_close(struct rpc_log_watch *watch)
{
    if (watch != NULL) {
        rpc_incoming_close(watch->incoming);
        mem_free(watch);
    }
}
