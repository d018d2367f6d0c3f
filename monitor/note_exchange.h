/* note_exchange.h -- what monitors say to each other: their newest notes, under their own signature.
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
    NOTE_EXCHANGE_MAX = 256,            /* notes */
    NOTE_EXCHANGE_NOTE_MAX = 64 * 1024, /* bytes of one */
    NOTE_EXCHANGE_BYTES_MAX = 2 * 1024 * 1024,
    NOTE_EXCHANGE_SKEW_S = 300, /* a message older or newer than that is refused */
};

struct note_exchange {
    int64_t unix_s;
    size_t sender; /* position in the keys given */
    size_t count;
    struct span notes[NOTE_EXCHANGE_MAX]; /* inside the bytes parsed */
};

/* Appends a signed message. Notes that do not fit are left out. Errors are signing_key_sign's. */
MUST_USE enum err_code note_exchange_put(struct buf *out, const struct signer *key, int64_t unix_s,
                                         const struct span *notes, size_t count, struct err *err);

/* Signed by one of `keys`. E_MALFORMED; E_BAD_SIGNATURE; E_DENIED for its time. */
MUST_USE enum err_code note_exchange_open(struct note_exchange *out, struct span bytes,
                                          const struct vkey *const *keys, size_t key_count,
                                          int64_t now_s, struct err *err);

#endif
