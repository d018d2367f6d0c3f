/* cosign_file.h -- a checkpoint on its way to a witness as a file, where no network leads.
 *
 * Ours, text. The request holds one checkpoint and proofs from several older sizes, since nobody
 * knows on this side which the witness holds by the time the file arrives:
 *
 *     courtroll cosign-request v1
 *     old <size>                        1..COSIGN_FILE_PROOFS_MAX sections, sizes ascending
 *     <base64 hash>                     0..63 lines
 *                                       an empty line
 *     <checkpoint note>
 *
 * The answer is a note of its own: the checkpoint's text with the log's line and the witness's
 * cosignature lines.
 * Pure. Any thread.
 */
#ifndef TLOG_COSIGN_FILE_H
#define TLOG_COSIGN_FILE_H

#include "base/limits.h"
#include "tlog/proof.h"

enum {
    COSIGN_FILE_PROOFS_MAX = 64,
    COSIGN_FILE_BYTES_MAX = 128 * 1024 + COSIGN_FILE_PROOFS_MAX * (64 * 45 + 32),
};

struct cosign_file_proof {
    uint64_t old_size;
    struct proof proof;
};

struct cosign_file {
    size_t count;
    struct cosign_file_proof *proofs; /* owned */
    struct span note;                 /* verbatim, inside the bytes parsed; nothing verified */
};

/* E_MALFORMED. Free with cosign_file_clear. */
MUST_USE enum err_code cosign_file_parse(struct cosign_file *out, struct span bytes,
                                         struct err *err);
void cosign_file_clear(struct cosign_file *file);

/* Requires 1 <= count <= COSIGN_FILE_PROOFS_MAX and ascending sizes. */
void cosign_file_put(struct buf *out, const struct cosign_file_proof *proofs, size_t count,
                     struct span note);

/* The proof from that size, or NULL. */
const struct proof *cosign_file_proof_from(const struct cosign_file *file, uint64_t old_size);

#endif
