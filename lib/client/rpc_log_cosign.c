/* Export and import of what a witness without a network cosigns. */
#include "base/limits.h"
#include "client/rpc_log_parts.h"

#include <assert.h>

#define PATH(method) "/courtroll.v1.Log/" method

static enum err_code export_read(struct rpc_log_export *out, size_t count_max,
                                 const Courtroll__V1__ExportCheckpointReply *answer,
                                 struct err *err)
{
    size_t count = answer->n_proofs;
    if (count > count_max) {
        return rpc_log_malformed(err, "more proofs than were asked for");
    }
    for (size_t i = 0; i < count; i++) {
        const Courtroll__V1__ConsistencyProof *from = answer->proofs[i];
        struct cosign_file_proof *to = &out->proofs[i];
        to->old_size = from->old_size;
        if (i > 0 && to->old_size <= to[-1].old_size) {
            return rpc_log_malformed(err, "proofs out of order");
        }
        if (rpc_log_take_proof(&to->proof, from->hashes, from->n_hashes, err) != E_OK) {
            return err->code;
        }
    }
    out->proof_count = count;
    return E_OK;
}

enum err_code rpc_log_export(struct rpc_log *log, const uint64_t *old_sizes, size_t old_count,
                             uint32_t timeout_ms, struct rpc_log_export *out, struct buf *note,
                             struct err *err)
{
    assert(old_count <= COSIGN_FILE_PROOFS_MAX);
    Courtroll__V1__ExportCheckpointRequest request = COURTROLL__V1__EXPORT_CHECKPOINT_REQUEST__INIT;
    uint64_t sizes[COSIGN_FILE_PROOFS_MAX];
    for (size_t i = 0; i < old_count; i++) {
        sizes[i] = old_sizes[i];
    }
    request.old_sizes = sizes;
    request.n_old_sizes = old_count;
    struct rpc_log_export read = { .proofs = mem_calloc(old_count + 1, sizeof *read.proofs) };
    struct arena memory;
    arena_init(&memory, RPC_LOG_MEMORY_MAX);
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_log_query(log, PATH("ExportCheckpoint"), &request.base, timeout_ms,
                      &courtroll__v1__export_checkpoint_reply__descriptor, &memory, &reply, err);
    if (rc == E_OK) {
        const Courtroll__V1__ExportCheckpointReply *answer =
            (const Courtroll__V1__ExportCheckpointReply *)reply;
        rc = export_read(&read, old_count, answer, err);
        if (rc == E_OK) {
            rc = buf_append(note, rpc_log_span(answer->note), err);
        }
    }
    arena_clear(&memory);
    if (rc == E_OK) {
        *out = read;
    } else {
        rpc_log_export_clear(&read);
    }
    return rc;
}

void rpc_log_export_clear(struct rpc_log_export *out)
{
    mem_free(out->proofs);
    *out = (struct rpc_log_export){ 0 };
}

enum err_code rpc_log_add_cosignatures(struct rpc_log *log, struct span note, uint32_t timeout_ms,
                                       struct rpc_log_added *out, struct err *err)
{
    Courtroll__V1__AddCosignaturesRequest request = COURTROLL__V1__ADD_COSIGNATURES_REQUEST__INIT;
    request.note = rpc_log_bytes(note);
    struct arena memory;
    arena_init(&memory, RPC_LOG_MEMORY_MAX);
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_log_query(log, PATH("AddCosignatures"), &request.base, timeout_ms,
                      &courtroll__v1__add_cosignatures_reply__descriptor, &memory, &reply, err);
    if (rc == E_OK) {
        const Courtroll__V1__AddCosignaturesReply *answer =
            (const Courtroll__V1__AddCosignaturesReply *)reply;
        *out = (struct rpc_log_added){ .size = answer->size,
                                       .added = answer->added,
                                       .known = answer->known,
                                       .published_size = answer->published_size };
    }
    arena_clear(&memory);
    return rc;
}
