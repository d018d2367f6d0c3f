/* promise.h -- a log's signed word that entries are durable and which indices they have.
 *
 * Ours: a note under the promise key, of type 0x01 and with the name "<origin>/promise". Its text is
 * never a checkpoint, so that neither can pass for the other:
 *
 *     courtroll promise v1
 *     <origin>
 *     <index> <leaf hash, base64>       1..PROMISE_ITEMS_MAX lines, in the order of the call
 *
 * A promise proves nothing about the log's tree; with a later checkpoint that has another leaf at
 * one of its indices it proves that the log broke its word.
 * Pure. Any thread.
 */
#ifndef TLOG_PROMISE_H
#define TLOG_PROMISE_H

#include "base/ascii.h"
#include "tlog/note.h"

enum {
    PROMISE_ITEMS_MAX = ENTRIES_PER_CALL_MAX,
    PROMISE_LINE_MAX = DECIMAL_MAX + 1 + HASH_BASE64_CHARS + 1,
    PROMISE_TEXT_MAX = 32 + ORIGIN_BYTES_MAX + 1 + PROMISE_ITEMS_MAX * PROMISE_LINE_MAX,
    PROMISE_NOTE_MAX = PROMISE_TEXT_MAX + 512, /* with one signature line */
};

struct promise_item {
    uint64_t index; /* below SIZE_VALUE_MAX */
    struct hash leaf;
};

struct promise {
    char origin[ORIGIN_BYTES_MAX + 1]; /* NUL-terminated */
    size_t count;                      /* 1..PROMISE_ITEMS_MAX */
    struct promise_item items[PROMISE_ITEMS_MAX];
};

/* Is this the promise key of a log by its type and name? */
bool promise_key_is_of(const struct vkey *key, const char *origin);

/* Appends the text, for note_put_signed. Requires a valid origin and 1 <= count <=
 * PROMISE_ITEMS_MAX. */
void promise_put_text(struct buf *out, const char *origin, const struct promise_item *items,
                      size_t count);

/* The text of a note; nothing is verified. E_MALFORMED. */
MUST_USE enum err_code promise_parse(struct promise *out, struct span text, struct err *err);

/* Parses a note, verifies that `key` signed it, and parses its text, whose origin must be the one
 * that the key is named for. E_MALFORMED, E_BAD_SIGNATURE, E_DENIED (another origin). */
MUST_USE enum err_code promise_open(struct promise *out, struct span note, const struct vkey *key,
                                    struct err *err);

#endif
