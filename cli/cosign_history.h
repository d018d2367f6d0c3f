/* cosign_history.h -- the checkpoints of a log that were exported before, as a file.
 *
 * Which of them a witness behind a one-way gate has signed is not known here, so that the next export
 * brings proofs from all. Their roots are kept, too: a proof that does not verify shows at once that the
 * log's history has changed, and nothing is carried over. Ours, text:
 *
 *     courtroll cosign-history v1
 *     <origin>
 *     <size> <base64 root>          0..COSIGN_HISTORY_MAX lines, sizes ascending
 *
 * Pure. Any thread.
 */
#ifndef CLI_COSIGN_HISTORY_H
#define CLI_COSIGN_HISTORY_H

#include "tlog/checkpoint.h"

enum {
    COSIGN_HISTORY_MAX = 32,   /* checkpoints */
    COSIGN_HISTORY_NEWEST = 8, /* of these, in any case */
    COSIGN_HISTORY_BYTES_MAX = 512 + COSIGN_HISTORY_MAX * 128,
};

struct cosign_exported {
    uint64_t size;
    struct hash root;
};

struct cosign_history {
    char origin[ORIGIN_BYTES_MAX + 1];
    size_t count;
    struct cosign_exported items[COSIGN_HISTORY_MAX];
};

/* E_MALFORMED. */
MUST_USE enum err_code cosign_history_parse(struct cosign_history *out, struct span bytes,
                                            struct err *err);
void cosign_history_put(struct buf *out, const struct cosign_history *history);

/* What the log exports now, after what it exported before. E_DENIED: of another log; E_BAD_PROOF, in
 * words: smaller than before, or another root for a size. Sets the origin of an empty history. A full one
 * forgets a size: the first and the newest COSIGN_HISTORY_NEWEST stay, and those between become thinner the
 * further back they are, so that a witness is reached whose files have been on their way for long. */
MUST_USE enum err_code cosign_history_add(struct cosign_history *history,
                                          const struct checkpoint *checkpoint, struct err *err);

#endif
