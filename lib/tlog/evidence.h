/* evidence.h -- proof of misbehaviour that convinces a stranger, in one file.
 *
 * design: "What proves misbehaviour". Ours, text:
 *
 *     courtroll evidence v1
 *     fork
 *     note <bytes>
 *     <note A, so many bytes>
 *     note <bytes>
 *     <note B>
 *     root <base64 root R'>             form 2 only, with what follows
 *     <base64 hash>                     proof that (size of A, R') is a prefix of B: 0..63 lines
 *
 * fork: (1) A and B have one origin and size and different roots, A's root being the lesser in bytes;
 * or (2) A is smaller than B, has a root other than R', and the proof leads from (size of A, R') to
 * B. Both notes are signed by keys of the log, and hold only signature lines of such keys, one of each,
 * sorted by name, key ID and signature: every byte is signed or recomputed, and parse-then-format
 * gives the same bytes.
 * Pure. Any thread.
 */
#ifndef TLOG_EVIDENCE_H
#define TLOG_EVIDENCE_H

#include "base/limits.h"
#include "tlog/checkpoint.h"
#include "tlog/proof.h"
#include "tlog/vkey.h"

enum {
    EVIDENCE_BYTES_MAX = 2 * 128 * 1024 + 16 * 1024
};

enum evidence_kind {
    EVIDENCE_FORK
};

struct evidence {
    enum evidence_kind kind;
    struct span notes[2]; /* A and B, inside the bytes parsed */
    bool has_proof;       /* form 2 */
    struct hash root;     /* R' */
    struct proof proof;
};

/* The form only. E_MALFORMED, also when formatting again would not give the same bytes. */
MUST_USE enum err_code evidence_parse(struct evidence *out, struct span bytes, struct err *err);

/* Makes a file of two notes under the log's keys, in either order, if they prove a fork; lines of
 * others are left out. `root` and `proof` are for form 2, else NULL. E_BAD_PROOF when they prove
 * nothing: then nothing is appended. Notes of one size need no proof, and it is left out. E_TOO_LARGE
 * over EVIDENCE_BYTES_MAX, or over out's room. Others as note_parse, note_verify, checkpoint_parse. */
MUST_USE enum err_code evidence_put_fork(struct buf *out, struct span note_1, struct span note_2,
                                         const struct hash *root, const struct proof *proof,
                                         const struct vkey *const *log_keys, size_t key_count,
                                         struct err *err);

/* What verified evidence says. */
struct evidence_verdict {
    struct checkpoint checkpoints[2]; /* of A and B */
    size_t keys[2];                   /* position of a key that signed A, and B */
    struct hash contradicted;         /* the other root at A's size: B's, or R' */
};

/* E_OK: proved, for these keys. E_BAD_SIGNATURE when a note is not signed by any of them (see
 * note_verify), or has a line of another; E_BAD_PROOF when there is no contradiction; E_MALFORMED. */
MUST_USE enum err_code evidence_verify(const struct evidence *evidence,
                                       const struct vkey *const *log_keys, size_t key_count,
                                       struct evidence_verdict *out, struct err *err);

/* The one name of a piece of evidence: SHA-256 of its bytes, and what it is about. */
const char *evidence_kind_text(enum evidence_kind kind); /* "fork" */

#endif
