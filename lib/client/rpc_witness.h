/* rpc_witness.h -- the gRPC service courtroll.v1.Witness as one with a checkpoint for it sees it.
 *
 * Spec: proto/courtroll/v1/witness.proto. Replies are checked for form only. One thread at a time.
 */
#ifndef CLIENT_RPC_WITNESS_H
#define CLIENT_RPC_WITNESS_H

#include "base/buf.h"
#include "net/rpc_client.h"
#include "tlog/proof.h"

struct rpc_witness_answer {
    bool is_stale;        /* old_size is not what the witness holds: */
    uint64_t stored_size; /* this is */
    bool is_refused;
    struct err why; /* then: the witness's words */
};

/* Asks for cosignatures on a checkpoint that extends the tree of `old_size`; their lines are appended
 * to `lines`. A refusal is an answer; E_IO when the witness cannot be reached or says that it failed,
 * E_TIMEOUT, E_MALFORMED for an answer that makes no sense. */
MUST_USE enum err_code rpc_witness_add_checkpoint(struct rpc_client *client, uint64_t old_size,
                                                  const struct proof *proof, struct span note,
                                                  uint32_t timeout_ms,
                                                  struct rpc_witness_answer *out, struct buf *lines,
                                                  struct err *err);

#endif
