#include "client/rpc_witness.h"

#include "courtroll/v1/witness.pb-c.h"

enum {
    REPLY_BYTES_MAX = 1024 * 1024
};

static enum err_code answer_read(struct rpc_witness_answer *out, struct buf *lines,
                                 struct span bytes, struct err *err)
{
    Courtroll__V1__AddCheckpointReply *answer =
        courtroll__v1__add_checkpoint_reply__unpack(NULL, bytes.len, bytes.data);
    if (answer == NULL) {
        return err_set(err, E_MALFORMED, "the witness's answer is not an AddCheckpointReply");
    }
    enum err_code rc = E_OK;
    if (answer->stale == 0) {
        rc = buf_append(lines, span_of(answer->cosignatures.data, answer->cosignatures.len), err);
    }
    if (rc == E_OK) {
        *out = (struct rpc_witness_answer){ .is_stale = answer->stale != 0,
                                            .stored_size = answer->stored_size };
    }
    courtroll__v1__add_checkpoint_reply__free_unpacked(answer, NULL);
    return rc;
}

enum err_code rpc_witness_add_checkpoint(struct rpc_client *client, uint64_t old_size,
                                         const struct proof *proof, struct span note,
                                         uint32_t timeout_ms, struct rpc_witness_answer *out,
                                         struct buf *lines, struct err *err)
{
    Courtroll__V1__AddCheckpointRequest request = COURTROLL__V1__ADD_CHECKPOINT_REQUEST__INIT;
    ProtobufCBinaryData hashes[PROOF_HASHES_MAX];
    for (size_t i = 0; i < proof->count; i++) {
        hashes[i] =
            (ProtobufCBinaryData){ HASH_BYTES, (uint8_t *)(uintptr_t)proof->hashes[i].bytes };
    }
    request.old_size = old_size;
    request.n_hashes = proof->count;
    request.hashes = hashes;
    request.note = (ProtobufCBinaryData){ note.len, (uint8_t *)(uintptr_t)note.data };
    struct buf packed = BUF_INIT(SIZE_MAX);
    struct buf reply = BUF_INIT(REPLY_BYTES_MAX);
    size_t bytes = courtroll__v1__add_checkpoint_request__get_packed_size(&request);
    if (bytes > 0) {
        courtroll__v1__add_checkpoint_request__pack(&request, buf_extend(&packed, bytes));
    }
    enum err_code rc = rpc_unary(client, "/courtroll.v1.Witness/AddCheckpoint", buf_span(&packed),
                                 timeout_ms, &reply, err);
    if (rc == E_OK) {
        rc = answer_read(out, lines, buf_span(&reply), err);
    } else if (rc != E_IO && rc != E_TIMEOUT) {
        *out = (struct rpc_witness_answer){ .is_refused = true, .why = *err };
        rc = E_OK;
    }
    buf_clear(&packed);
    buf_clear(&reply);
    return rc;
}
