/* known_note.h -- a note of one log, read once: who has signed it, and what is worth keeping of it.
 *
 * What is kept of a note is its text, the log's lines and those of witnesses of the policy: whatever else
 * somebody has put on it is dropped, so that its size is bounded.
 * Pure. Any thread. Verifying costs about 100 us for each known key on the note.
 */
#ifndef MONITOR_KNOWN_NOTE_H
#define MONITOR_KNOWN_NOTE_H

#include "monitor/watched_log.h"

enum {
    /* Of a checkpoint with its extension lines: two such notes fit into an evidence file. */
    KNOWN_NOTE_TEXT_MAX = 32 * 1024,
    /* And lines: NOTE_SIGNATURES_MAX of Ed25519, or 25 of ML-DSA-44. */
    KNOWN_NOTE_BYTES_MAX = KNOWN_NOTE_TEXT_MAX + 88 * 1024,
};

struct known_line {
    size_t witness; /* position in the policy */
    size_t line;    /* position in note.lines */
};

struct known_note {
    struct note note; /* spans point into the bytes read */
    struct policy_verdict verdict;
    size_t log_line_count;
    size_t log_lines[NOTE_SIGNATURES_MAX]; /* positions in note.lines */
    size_t witness_line_count;
    struct known_line witness_lines[NOTE_SIGNATURES_MAX]; /* those that verify */
    struct policy_set bad_witnesses;                      /* with a line that does not */
};

/* The form only: E_MALFORMED; E_NOT_FOUND for another origin. Call known_note_clear after success. */
MUST_USE enum err_code known_note_parse(struct known_note *out,
                                        const struct watched_log_options *options,
                                        struct span bytes, struct err *err);
/* Fills the rest, that of the witnesses also when the log's line is bad. E_BAD_SIGNATURE: it does not verify,
 * or is missing. */
MUST_USE enum err_code known_note_verify(struct known_note *note,
                                         const struct watched_log_options *options,
                                         struct err *err);
/* Both. Call known_note_clear after success. */
MUST_USE enum err_code known_note_open(struct known_note *out,
                                       const struct watched_log_options *options, struct span bytes,
                                       struct err *err);
void known_note_clear(struct known_note *note);

/* Appends what is kept, of a verified note: with the lines of all witnesses, or that of one. Room for
 * KNOWN_NOTE_BYTES_MAX. */
void known_note_put(struct buf *out, const struct known_note *note);
void known_note_put_for_witness(struct buf *out, const struct known_note *note, size_t witness);

/* The keys of the policy that sign for the log. */
size_t known_note_log_keys(const struct watched_log_options *options,
                           const struct vkey *keys[static POLICY_KEYS_MAX]);

/* A note from our own store, whose lines were verified when it was put there. False: it is none. */
bool known_note_read_stored(struct checkpoint *out, size_t *line_count, struct span bytes);

#endif
