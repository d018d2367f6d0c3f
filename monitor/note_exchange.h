/* note_exchange.h -- what monitors say to each other: their newest notes, and what contradicts them, under
 * their own signature.
 *
 * Ours: a signed note (type 0x01) whose text is
 *
 *     courtroll notes v1
 *     <unix time, decimal>
 *     note <bytes>
 *     <a checkpoint note, so many bytes>      0..NOTE_EXCHANGE_MAX of them
 *
 * The signature says who asks, for the quota; it vouches for nothing: each note in it stands for itself. Only
 * checkpoint notes are sent, never an index, a proof, or who asked about what.
 * Pure. Any thread.
 */
#ifndef MONITOR_NOTE_EXCHANGE_H
#define MONITOR_NOTE_EXCHANGE_H

#include "tlog/note.h"

enum {
    NOTE_EXCHANGE_MAX = 256,                  /* notes */
    NOTE_EXCHANGE_NOTE_MAX = 64 * 1024,       /* bytes of one */
    NOTE_EXCHANGE_BYTES_MAX = NOTE_BYTES_MAX, /* a message is a note itself */
    NOTE_EXCHANGE_SKEW_S = 300,               /* a message older or newer than that is refused */
};

struct note_exchange {
    int64_t unix_s;
    size_t sender; /* position in the keys given; SIZE_MAX: nobody looked */
    size_t count;
    struct span notes[NOTE_EXCHANGE_MAX]; /* inside the bytes parsed */
};

/* Appends a signed message. Notes that do not fit, and what is no checkpoint note, are left out. Errors are
 * signing_key_sign's. Requires a key of type 0x01, and room for NOTE_EXCHANGE_BYTES_MAX. */
MUST_USE enum err_code note_exchange_put(struct buf *out, const struct signer *key, int64_t unix_s,
                                         const struct span *notes, size_t count, struct err *err);

/* Signed by one of `keys`, by nobody else, in the one spelling that note_exchange_put has. Keys of another type
 * than 0x01 count as unknown. E_MALFORMED; E_BAD_SIGNATURE; E_DENIED for its time. The position of the sender is
 * that in `keys`. */
MUST_USE enum err_code note_exchange_open(struct note_exchange *out, struct span bytes,
                                          const struct vkey *const *keys, size_t key_count,
                                          int64_t now_s, struct err *err);

/* The form only: for an answer, whose notes stand for themselves whoever sends them. E_MALFORMED. */
MUST_USE enum err_code note_exchange_parse(struct note_exchange *out, struct span bytes,
                                           struct err *err);

#endif
