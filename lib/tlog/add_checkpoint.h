/* add_checkpoint.h -- what a log asks of a witness: a checkpoint, and proof that it extends an older one.
 *
 * Spec: C2SP tlog-witness, "add-checkpoint": the request's body, and the answer to a wrong old size.
 * Pure. Any thread.
 */
#ifndef TLOG_ADD_CHECKPOINT_H
#define TLOG_ADD_CHECKPOINT_H

#include "base/buf.h"
#include "base/err.h"
#include "tlog/proof.h"

#define ADD_CHECKPOINT_SIZE_TYPE "text/x.tlog.size" /* Content-Type of the 409: exactly this */

enum {
    ADD_CHECKPOINT_BYTES_MAX = 128 * 1024, /* of a request, as sunlight's witness */
    ADD_CHECKPOINT_LINES_MAX = 64 * 1024,  /* of an answer: signature lines */
};

struct add_checkpoint {
    uint64_t old_size;
    struct proof proof;
    struct span note; /* the checkpoint note, verbatim: inside the bytes parsed, nothing verified */
    struct span origin; /* its first line, at least one byte, likewise */
};

/* Check 1 of the protocol: E_MALFORMED. The note's own form is not looked at but for its first line. */
MUST_USE enum err_code add_checkpoint_parse(struct add_checkpoint *out, struct span body,
                                            struct err *err);

void add_checkpoint_put(struct buf *out, uint64_t old_size, const struct proof *proof,
                        struct span note);

/* The body of a 409: the size that the witness holds. E_MALFORMED. */
MUST_USE enum err_code add_checkpoint_parse_size(uint64_t *out, struct span body, struct err *err);
void add_checkpoint_put_size(struct buf *out, uint64_t size);

#endif
