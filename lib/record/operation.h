/* operation.h -- an operation record: its one encoding, its form, its signature.
 *
 * Spec: proto/courtroll/v1/operation.proto; docs/record.md. Only operation*.c know the protobuf code.
 * Pure. Any thread. Decoding costs about 2 us, verifying a signature about 100 us: use a worker.
 *
 * Signed bytes: "courtroll/operation/v1" LF, u8 length, origin, and the record's bytes up to the signature.
 * The key signs nothing else, and the origin binds the record to one log.
 */
#ifndef RECORD_OPERATION_H
#define RECORD_OPERATION_H

#include "base/crypto.h"
#include "base/limits.h"
#include "record/kind.h"

enum {
    OPERATION_VERSION = 1,
    OPERATION_REFERENCES_MAX = 16,
    OPERATION_OPENINGS = 5,          /* of an UNSEAL */
    OPERATION_BYTES_MAX = 60 * 1024, /* an ANCHOR holds a note; all others are below 4 KiB */
    OPERATION_NOTE_BYTES_MAX = 56 * 1024,
    COURT_TAG_BYTES = 8,
    SUBMITTER_ID_BYTES = 16,
    CLOSED_COUNTS_BYTES = 160,
    REGISTRATION_NAME_MAX = 254, /* with the NUL */
    REGISTRATION_COURTS_MAX = 64,
    FIELD_SALT_BYTES = 16,
    OPENING_VALUE_BYTES_MAX = 1024,
    OPENING_HASHES = 5,
};

/* The last one of the year 9999. */
#define OPERATION_MINUTE_MAX UINT64_C(4223371679)

/* SHA-256("courtroll/court/v1" LF || court code), first 8 bytes: a court by a number of fixed size. */
struct court_tag {
    uint8_t bytes[COURT_TAG_BYTES];
};
struct court_tag court_tag_make(struct span court_code);

/* SHA-256("courtroll/submitter-key/v1" LF || public key), first 16 bytes. */
struct submitter_id {
    uint8_t bytes[SUBMITTER_ID_BYTES];
};
struct submitter_id submitter_id_make(const struct ed25519_public *key);
bool submitter_id_is_equal(const struct submitter_id *a, const struct submitter_id *b);

struct reference {
    struct hash origin; /* SHA-256 of the origin of the log that has it */
    struct hash leaf;
};

struct registration {
    struct ed25519_public key;
    char name[REGISTRATION_NAME_MAX]; /* a DNS name, lower case */
    size_t court_count;               /* 0: every court */
    struct court_tag courts[REGISTRATION_COURTS_MAX];
    uint32_t roles;    /* bit 1 << role */
    uint64_t from, to; /* minutes; to is the first that is over, 0: open */
};

/* A DNS name as certificates have it, in lower case, in which nobody's id is hidden. E_MALFORMED, without the name. */
MUST_USE enum err_code registration_name_check(struct span name, struct err *err);

struct opening {
    uint8_t number; /* of the field */
    uint8_t salt[FIELD_SALT_BYTES];
    size_t value_len;
    uint8_t value[OPENING_VALUE_BYTES_MAX];
    struct hash hashes[OPENING_HASHES];
};

/* A record in the clear. What a kind does not have is zero. */
struct operation {
    const struct kind *kind;
    bool is_sealed;  /* kind is SEALED */
    bool is_vouched; /* no signature: the log's word for the sender */
    uint64_t minute;
    struct court_tag court;
    bool has_commitments; /* entry_tag, document and fields_root are there */
    struct hash entry_tag;
    struct hash document;
    struct hash fields_root;
    size_t reference_count;
    struct reference references[OPERATION_REFERENCES_MAX];
    struct submitter_id submitter;
    struct ed25519_public one_time_key;
    struct registration registration; /* SUBMITTER */
    struct span note;                 /* ANCHOR: inside the bytes decoded, or the caller's */
    struct hash case_commitment;      /* CASE_FILED */
    uint8_t closed_counts[CLOSED_COUNTS_BYTES]; /* CLOSED */
    struct opening *openings; /* UNSEAL: OPERATION_OPENINGS of them; see operation_clear */
    struct ed25519_signature signature; /* unless is_vouched */
};

/* Decodes and checks the form: the one encoding, a known version and kind, exactly the fields that its kind
 * has, each of its size and range. E_MALFORMED or E_TOO_LARGE, naming the field. E_OK: call operation_clear.
 * `note` points into `bytes`. */
MUST_USE enum err_code operation_decode(struct operation *out, struct span bytes, struct err *err);
void operation_clear(struct operation *operation); /* frees openings; a zeroed one is fine */

/* Appends the encoding, with the signature as it stands in it. E_MALFORMED when operation_decode would refuse
 * it; nothing is appended then. */
MUST_USE enum err_code operation_put(struct buf *out, const struct operation *operation,
                                     struct err *err);

/* Signs and appends the encoding; `key` is the submitter's, or the one-time key of a sealed record (whose public
 * key must stand in it already). Not for is_vouched. Errors as operation_put, and the key's. */
MUST_USE enum err_code operation_put_signed(struct buf *out, struct operation *operation,
                                            const char *origin, const struct signing_key *key,
                                            struct err *err);

/* `bytes` is what was decoded. The key: one_time_key of a sealed record, registration.key of SUBMITTER, else the
 * caller's, whose id must be `submitter`. E_BAD_SIGNATURE, also for is_vouched and a key of another id. */
MUST_USE enum err_code operation_verify(const struct operation *operation, struct span bytes,
                                        const char *origin, const struct ed25519_public *key,
                                        struct err *err);

/* The entry tag alone, of bytes that need not be checked in full; false when they have none. For evidence and
 * indexes, where the record has been decoded before. */
bool operation_peek_tag(struct hash *tag, struct span bytes);

#endif
