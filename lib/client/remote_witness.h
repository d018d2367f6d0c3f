/* remote_witness.h -- hands checkpoints to a witness, over HTTP or gRPC, and waits for its answer.
 *
 * Spec: C2SP tlog-witness, "add-checkpoint". Nothing that comes back is verified but its form.
 * Blocks. One thread at a time.
 */
#ifndef CLIENT_REMOTE_WITNESS_H
#define CLIENT_REMOTE_WITNESS_H

#include "base/buf.h"
#include "client/log_address.h"
#include "tlog/proof.h"

struct remote_witness;

/* http(s)://HOST[:PORT][/PATH] is the submission prefix, HOST:PORT and unix:PATH are gRPC. HTTP connects
 * with the first request. E_UNSUPPORTED for file:DIR, E_IO when gRPC cannot be reached. */
MUST_USE enum err_code remote_witness_open(struct remote_witness **out,
                                           const struct log_address *address, struct err *err);
void remote_witness_close(struct remote_witness *witness); /* NULL is fine */

enum remote_witness_answer {
    REMOTE_WITNESS_SIGNED,  /* its signature lines are in `lines` */
    REMOTE_WITNESS_STALE,   /* it holds another size than old_size */
    REMOTE_WITNESS_REFUSED, /* `why` says why */
};

struct remote_witness_reply {
    enum remote_witness_answer answer;
    struct buf lines;     /* owned; one or more whole signature lines */
    uint64_t stored_size; /* with REMOTE_WITNESS_STALE */
    struct err why;       /* with REMOTE_WITNESS_REFUSED: the code that has its status, its words */
};
void remote_witness_reply_clear(struct remote_witness_reply *reply);

/* Sends a checkpoint note with the proof from `old_size`. What the witness says is E_OK, whatever it is;
 * E_IO and E_TIMEOUT when it says nothing, E_MALFORMED when that makes no sense. On E_OK the caller
 * clears *reply. */
MUST_USE enum err_code remote_witness_add(struct remote_witness *witness, uint64_t old_size,
                                          const struct proof *proof, struct span note,
                                          struct remote_witness_reply *reply, struct err *err);

#endif
