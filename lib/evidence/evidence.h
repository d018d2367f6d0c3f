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
 *
 *     witness-equivocation              lines as of fork, but signed by one witness key: one line each
 *
 * (1) and (2) as fork; or (3) no root and no proof: A is smaller than B and its cosignature is later than
 * B's. The texts are of one origin, whatever log that is.
 *
 *     promise-broken
 *     note <bytes>                      the promise, one line by the promise key
 *     note <bytes>                      B, lines by keys of the log
 *     entry <index> <base64 leaf hash>  the leaf that is there, other than the one promised for this index
 *     <base64 hash>                     its inclusion proof in B: 0..63 lines
 *
 *     tag-repeated
 *     note <bytes>                      B, lines by keys of the log
 *     entry <index> <base64 record>     twice, the lesser index first; each with its inclusion proof in B behind
 *     <base64 hash>                     it: 0..63 lines
 *
 * where both entries are operation records in their form (record/operation.h), with one entry tag and other bytes.
 * Their signatures are not looked at: an operation log may hold a tag once, whoever made the records, and no
 * stranger can put one there but through the log.
 *
 *     observation
 *     note <bytes>                      one line by the monitor's key
 *
 * whose text is "courtroll observation v1", then lines of code, origin (or "-"), subject (or "-"), unix time,
 * summary, and, when it is about a note, "note <bytes>" and that note: proves nothing but who says it.
 * A code is a-z, 0-9 and hyphens behind a letter, so that no such text is a checkpoint.
 * docs/evidence.md is for who writes another verifier. Pure. Any thread.
 */
#ifndef EVIDENCE_EVIDENCE_H
#define EVIDENCE_EVIDENCE_H

#include "base/limits.h"
#include "tlog/checkpoint.h"
#include "tlog/proof.h"
#include "tlog/vkey.h"

enum {
    EVIDENCE_BYTES_MAX =
        2 * 128 * 1024 + 48 * 1024,        /* two notes, a proof or two, and two records */
    EVIDENCE_RECORD_BYTES_MAX = 12 * 1024, /* over any record that has a tag */
    EVIDENCE_CODE_BYTES_MAX = 64,          /* of the lines of an observation */
    EVIDENCE_SUBJECT_BYTES_MAX = 1024,
    EVIDENCE_SUMMARY_BYTES_MAX = 4096,
};

enum evidence_kind {
    EVIDENCE_FORK,
    EVIDENCE_WITNESS_EQUIVOCATION,
    EVIDENCE_PROMISE_BROKEN,
    EVIDENCE_TAG_REPEATED,
    EVIDENCE_OBSERVATION,
};

/* One of two records with one tag. */
struct evidence_entry {
    uint64_t index;
    struct span record; /* its base64, inside the bytes parsed */
    struct proof proof;
};

struct evidence {
    enum evidence_kind kind;
    struct span notes[2]; /* A and B, inside the bytes parsed; promise and B; B; the observation */
    bool has_proof;       /* form 2; promise-broken */
    struct hash root;     /* R'; of promise-broken the leaf that is there */
    uint64_t index;       /* promise-broken */
    struct proof proof;
    struct evidence_entry entries[2]; /* tag-repeated */
};

/* What an observation says: spans inside its bytes. */
struct evidence_observation {
    struct span code, origin, subject, summary; /* origin and subject are empty for "-" */
    uint64_t unix_s;
    struct span note; /* empty: about none */
};

/* The form only. E_MALFORMED, also when formatting again would not give the same bytes. */
MUST_USE enum err_code evidence_parse(struct evidence *out, struct span bytes, struct err *err);

/* Makes a file of two notes under the log's keys, in either order, if they prove a fork; lines of
 * others are left out. `root` and `proof` are for form 2, else NULL. E_BAD_PROOF when they prove
 * nothing: then nothing is appended. Notes of one size need no proof, and it is left out. E_TOO_LARGE
 * over EVIDENCE_BYTES_MAX, or over out's room. Others as note_parse, note_verify, checkpoint_parse.
 * That `log_keys` are keys of this log is the caller's word, for logs whose keys have another name than the
 * origin; evidence_verify counts those only that are named as the origin. */
MUST_USE enum err_code evidence_put_fork(struct buf *out, struct span note_1, struct span note_2,
                                         const struct hash *root, const struct proof *proof,
                                         const struct vkey *const *log_keys, size_t key_count,
                                         struct err *err);

/* Two notes cosigned by `witness`, in either order; forms and errors as evidence_put_fork. Form (3) is made
 * when root and proof are NULL and the sizes differ. */
MUST_USE enum err_code evidence_put_equivocation(struct buf *out, struct span note_1,
                                                 struct span note_2, const struct hash *root,
                                                 const struct proof *proof,
                                                 const struct vkey *witness, struct err *err);

/* `promise` is signed by the promise key, `note` by keys of the log; `leaf` is what `proof` leads to at
 * `index` in the note's tree. E_BAD_PROOF when that is what was promised, or nothing was. */
MUST_USE enum err_code
evidence_put_broken_promise(struct buf *out, struct span promise, struct span note, uint64_t index,
                            const struct hash *leaf, const struct proof *proof,
                            const struct vkey *promise_key, const struct vkey *const *log_keys,
                            size_t key_count, struct err *err);

/* A record at an index, and its inclusion proof. Borrowed. */
struct evidence_record {
    uint64_t index;
    struct span bytes;
    const struct proof *proof;
};
/* In either order; the proofs are for the tree of `note`, which is signed by keys of the log. E_MALFORMED for what
 * is no record with a tag; E_BAD_PROOF when tag or bytes do not repeat so, or a record is not there. */
MUST_USE enum err_code evidence_put_repeated_tag(struct buf *out, struct span note,
                                                 const struct evidence_record *record_1,
                                                 const struct evidence_record *record_2,
                                                 const struct vkey *const *log_keys,
                                                 size_t key_count, struct err *err);

/* Signed by `key`, of type 0x01. The texts are one line each, without control characters and within the bounds
 * above; code and summary are not empty; `note` may be empty, else it is a well-formed note. E_MALFORMED;
 * E_TOO_LARGE; signing_key_sign's. */
MUST_USE enum err_code evidence_put_observation(struct buf *out,
                                                const struct evidence_observation *observation,
                                                const struct signer *key, struct err *err);

/* What an observation says; nothing is verified. Spans inside its bytes. E_MALFORMED, also for another kind. */
MUST_USE enum err_code evidence_read_observation(struct evidence_observation *out,
                                                 const struct evidence *evidence, struct err *err);

/* What verified evidence says. */
struct evidence_verdict {
    struct checkpoint checkpoints[2]; /* of A and B; of promise-broken and tag-repeated only [1] */
    size_t keys[2];              /* position of a key that signed A, and B; if only B, twice that */
    struct hash contradicted;    /* the other root at A's size: B's, or R' */
    uint64_t timestamps[2];      /* witness-equivocation: of the two lines */
    bool is_later_smaller;       /* witness-equivocation, form 3 */
    struct hash promised, found; /* promise-broken: leaf hashes */
    struct hash tag, leaves[2];  /* tag-repeated: of the entries, which have that tag */
    struct evidence_observation observation;
};

/* E_OK: proved, for these keys (of an observation: that is what the monitor says). `keys` may hold keys of any
 * log, witness, promise or monitor: those count that fit by type and name (a log's and a promise's origin).
 * A key that is the promise key of another one given is neither a log's nor a monitor's; nothing tells a
 * monitor's key from a log's. E_BAD_SIGNATURE when a note is not signed by any of them (see note_verify), or
 * has a line of another; E_BAD_PROOF when there is no contradiction; E_MALFORMED; E_CONFLICT as note_verify. */
MUST_USE enum err_code evidence_verify(const struct evidence *evidence,
                                       const struct vkey *const *keys, size_t key_count,
                                       struct evidence_verdict *out, struct err *err);

/* "fork", "witness-equivocation", "promise-broken", "tag-repeated", "observation" */
const char *evidence_kind_text(enum evidence_kind kind);
/* The origin that the evidence is about: of the first note that tells one; nothing is verified. Empty when an
 * observation is about none, or nothing can be read. `out` has room for ORIGIN_BYTES_MAX. */
void evidence_put_origin(struct buf *out, const struct evidence *evidence);

#endif
