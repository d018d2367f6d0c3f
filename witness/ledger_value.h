/* ledger_value.h -- keys and values of the witness's store, to the byte.
 *
 * Every value begins with the version of its format; a value that we would not have written is
 * E_CORRUPT. Integers are big-endian, so that seen notes of an origin come in order of size.
 * Pure. Any thread.
 */
#ifndef WITNESS_LEDGER_VALUE_H
#define WITNESS_LEDGER_VALUE_H

#include "witness/decision.h"

enum {
    LEDGER_KEY_BYTES_MAX = 80,
    LEDGER_VALUE_OVERHEAD = 1 /* bytes before a note or a small value: the version */
};

struct ledger_key {
    size_t len;
    uint8_t bytes[LEDGER_KEY_BYTES_MAX];
};

static inline struct span ledger_key_span(const struct ledger_key *key)
{
    return span_of(key->bytes, key->len);
}

/* What is kept of an origin in one key each. */
#define LEDGER_KEY_STATE         "state/"
#define LEDGER_KEY_NOTE          "note/"
#define LEDGER_KEY_SEEN          "seen/" /* with a size behind the origin's hash */
#define LEDGER_KEY_REFUSED       "refused/"
#define LEDGER_KEY_CONTRADICTION "contradiction/"
#define LEDGER_KEY_PEER          "peer/" /* with the peer's hash behind the origin's */

struct ledger_key ledger_key_of(const char *prefix, const struct hash *origin_hash);
struct ledger_key ledger_key_seen(const struct hash *origin_hash, uint64_t size);
struct ledger_key ledger_key_peer(const struct hash *origin_hash, const struct hash *peer);
/* A key of a name alone, such as "tpm". Requires that it fits. */
struct ledger_key ledger_key_named(const char *name);

/* The origin's hash in a key that ledger_key_of made; false when it is none. */
bool ledger_key_parse(const char *prefix, struct span key, struct hash *origin_hash);
/* The size in the key of a seen note; false when it is none. */
bool ledger_key_parse_seen(struct span key, uint64_t *size);
/* The peer's hash in the key of a peer's note; false when it is none. */
bool ledger_key_parse_peer(struct span key, struct hash *peer);

struct ledger_value {
    struct origin_state state;
    uint32_t seen_count; /* notes kept under LEDGER_KEY_SEEN */
};

void ledger_value_put(struct buf *out, const struct ledger_value *value);
MUST_USE enum err_code ledger_value_parse(struct ledger_value *out, struct span bytes,
                                          struct err *err);

/* A note, or a small value: bytes behind a version. */
void ledger_value_put_bytes(struct buf *out, struct span bytes);
MUST_USE enum err_code ledger_value_parse_bytes(struct span *out, struct span bytes,
                                                struct err *err);

#endif
