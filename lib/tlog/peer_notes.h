/* peer_notes.h -- what a witness remembers of its peers' notes, as it serves them.
 *
 * The body of GET /<origin hash>/peers, ours: each note is
 *
 *     note <bytes>
 *     <so many bytes>
 *
 * and that is all: 1..PEER_NOTES_MAX of them. What is in a note is for the caller to check.
 * Pure. Any thread.
 */
#ifndef TLOG_PEER_NOTES_H
#define TLOG_PEER_NOTES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum {
    PEER_NOTES_MAX = 16, /* as many as a witness has peers */
    PEER_NOTE_BYTES_MAX = 128 * 1024,
    PEER_NOTES_BYTES_MAX = PEER_NOTES_MAX * (PEER_NOTE_BYTES_MAX + 16)
};

struct peer_notes {
    size_t count;
    struct span notes[PEER_NOTES_MAX]; /* inside the bytes parsed; none is empty */
};

/* E_MALFORMED, also for a body without notes, or with too many or too large ones. */
MUST_USE enum err_code peer_notes_parse(struct peer_notes *out, struct span bytes, struct err *err);

/* Appends one. Requires 1..PEER_NOTE_BYTES_MAX bytes. */
void peer_notes_put(struct buf *out, struct span note);

#endif
