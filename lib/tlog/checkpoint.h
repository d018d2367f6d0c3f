/* checkpoint.h -- the text of a checkpoint: origin, size, root, extension lines.
 *
 * Spec: C2SP tlog-checkpoint v1.0.0. A signed checkpoint is a note whose text this is.
 * Pure. Any thread.
 */
#ifndef TLOG_CHECKPOINT_H
#define TLOG_CHECKPOINT_H

#include "base/crypto.h"
#include "base/limits.h"
#include "tlog/note.h"

enum {
    CHECKPOINT_TEXT_MAX = ORIGIN_BYTES_MAX + 1 + 20 + 1 + HASH_BASE64_CHARS + 1
};

struct checkpoint {
    char origin[ORIGIN_BYTES_MAX + 1]; /* NUL-terminated; a valid text has no NUL */
    uint64_t size;                     /* at most SIZE_VALUE_MAX */
    struct hash root;
    bool has_extensions; /* lines after the root, which ours never have */
};

/* 1..ORIGIN_BYTES_MAX bytes of UTF-8 without control characters. */
bool origin_is_valid(struct span origin);

/* E_MALFORMED, also for size 0 with a root other than the empty tree's. */
MUST_USE enum err_code checkpoint_parse(struct checkpoint *out, struct span text, struct err *err);
/* As it, but size 0 may have any root: a witness has an answer of its own for that. */
MUST_USE enum err_code checkpoint_parse_any_root(struct checkpoint *out, struct span text,
                                                 struct err *err);

/* Of a note whose signatures are not looked at: do not act on what it says. E_MALFORMED. */
MUST_USE enum err_code checkpoint_parse_note(struct checkpoint *out, struct span note,
                                             struct err *err);

/* Without extension lines. */
void checkpoint_put(struct buf *out, const struct checkpoint *checkpoint);

bool checkpoint_is_equal(const struct checkpoint *a, const struct checkpoint *b);

/* Parses a note, verifies that `key` signed it, and parses its text, whose origin must be `origin`.
 * E_MALFORMED, E_BAD_SIGNATURE, E_DENIED (another origin). */
MUST_USE enum err_code checkpoint_open(struct checkpoint *out, struct span note,
                                       const struct vkey *key, const char *origin, struct err *err);

#endif
