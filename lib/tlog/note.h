/* note.h -- signed notes: a text and the signature lines below it.
 *
 * Spec: C2SP signed-note v1.0.0; cosignature lines C2SP tlog-cosignature.
 * Pure. Any thread. Verifying costs about 100 us for each known key.
 * Lines of ML-DSA-44 keys cannot be checked with a libcrypto older than 3.5: they are then as if they were not there,
 * and note_is_unchecked tells of them.
 */
#ifndef TLOG_NOTE_H
#define TLOG_NOTE_H

#include "base/limits.h"
#include "tlog/vkey.h"

struct note_line {
    struct span line; /* the whole line with its newline, as it came */
    struct span name;
    uint32_t key_id;
    struct span signature; /* decoded, behind the key ID: bytes of note.decoded */
};

struct note {
    struct span text; /* with its final newline: what is signed */
    size_t count;     /* 1..NOTE_SIGNATURES_MAX */
    struct note_line lines[NOTE_SIGNATURES_MAX];
    struct buf decoded; /* owned */
};

/* UTF-8 without control characters other than newline: what a note's bytes are. */
bool note_text_is_valid(struct span text);

/* Splits and checks the form of a note; nothing is verified, so do not act on the text. Spans point
 * into `bytes`, which must outlive the note. E_MALFORMED. Call note_clear after success. */
MUST_USE enum err_code note_parse(struct note *out, struct span bytes, struct err *err);
void note_clear(struct note *note);

/* What one known key said about the text. */
struct note_verified {
    size_t key;         /* position in the keys given */
    size_t line;        /* position in note.lines */
    uint64_t timestamp; /* seconds; cosignatures only, else 0 */
};

/* Verifies every line whose (name, key ID) is one of `keys`; the first line of a key counts, later
 * ones are skipped; unknown lines are ignored. E_BAD_SIGNATURE when a known key's line does not
 * verify, none is known, or none of those that are can be checked here. `verified` has room for min(key_count, NOTE_SIGNATURES_MAX).
 * E_CONFLICT when two keys given share name and ID. */
MUST_USE enum err_code note_verify(const struct note *note, const struct vkey *const *keys,
                                   size_t key_count, struct note_verified *verified,
                                   size_t *verified_count, struct err *err);

/* Is there a line of this key that nobody can check here? */
bool note_is_unchecked(const struct note *note, const struct vkey *key);

/* Verifies only the lines that do verify; bad ones of known keys are reported in *bad_count instead
 * of failing. For receipts and monitors, which must not let one bad witness hide the others. */
void note_verify_each(const struct note *note, const struct vkey *const *keys, size_t key_count,
                      struct note_verified *verified, size_t *verified_count, size_t *bad_count);

/* Appends "— name base64\n". `text` ends with a newline; `timestamp` is for cosignatures only and
 * then not 0. Errors are signing_key_sign's, or cosignature_put_ml_dsa's; nothing is appended then. */
MUST_USE enum err_code note_put_signature(struct buf *out, struct span text,
                                          const struct signer *signer, uint64_t timestamp,
                                          struct err *err);

/* Appends text, blank line and one signature line: a whole note. */
MUST_USE enum err_code note_put_signed(struct buf *out, struct span text,
                                       const struct signer *signer, uint64_t timestamp,
                                       struct err *err);

/* Appends a line of a parsed note as we would write it, so that a verified line is kept and passed on
 * in one spelling only: base64 has several. */
void note_put_line(struct buf *out, const struct note_line *line);

/* Verifies one already decoded signature of `key` over `text`; *timestamp is set for cosignatures. */
bool note_signature_is_valid(const struct vkey *key, struct span text, struct span signature,
                             uint64_t *timestamp);

#endif
