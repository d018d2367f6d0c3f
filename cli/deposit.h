/* deposit.h -- the data of a deposit's certificate: all that its page is made of, in one spelling.
 *
 * Spec: docs/certificate.md, "The data". Hostile bytes are what deposit_parse is for. Pure. Any thread.
 */
#ifndef CLI_DEPOSIT_H
#define CLI_DEPOSIT_H

#include "base/buf.h"
#include "base/crypto.h"

enum {
    DEPOSIT_BYTES_MAX =
        8 * 1024 * 1024, /* two proofs, a policy and a disclosure at their largest */
    DEPOSIT_NAME_BYTES_MAX = 255,
    DEPOSIT_PROGRAM_BYTES_MAX = 64,
    DEPOSIT_ABOUT_BYTES_MAX = 32 * 1024,
    DEPOSIT_SALT_BYTES = 16,
};

#define DEPOSIT_TEMPLATE_VERSION "1"

enum deposit_field {
    DEPOSIT_TEMPLATE,
    DEPOSIT_PROGRAM,
    DEPOSIT_EXECUTABLE,
    DEPOSIT_DOCUMENT_SHA256,
    DEPOSIT_DOCUMENT_BYTES,
    DEPOSIT_DOCUMENT_NAME,
    DEPOSIT_ADDRESS,
    DEPOSIT_ABOUT,
    DEPOSIT_POLICY,
    DEPOSIT_PROOF,
    DEPOSIT_ANCHOR,
    DEPOSIT_LEAF_HASH,
    DEPOSIT_ENTRY,
    DEPOSIT_SALT,
    DEPOSIT_DISCLOSURE,
    DEPOSIT_FIELDS,
};

/* What the document is on the log. */
enum deposit_kind {
    DEPOSIT_IS_ENTRY,     /* leaf-hash: the document itself */
    DEPOSIT_IN_RECORD,    /* entry and salt: a record that commits to it */
    DEPOSIT_IN_DISCLOSURE /* disclosure */
};

struct deposit {
    struct span fields[DEPOSIT_FIELDS]; /* inside the bytes parsed, or the maker's; empty: absent */
    /* What deposit_parse read in them. */
    enum deposit_kind kind;
    struct hash executable, document, leaf; /* leaf: DEPOSIT_IS_ENTRY only */
    uint64_t document_bytes;
    uint8_t salt[DEPOSIT_SALT_BYTES]; /* DEPOSIT_IN_RECORD */
};

/* The fields, in their order. Requires a buffer of DEPOSIT_BYTES_MAX; E_TOO_LARGE. */
MUST_USE enum err_code deposit_put(struct buf *out, const struct deposit *deposit, struct err *err);

/* E_MALFORMED, naming the field; E_TOO_LARGE. Of policy, proof, anchor, entry and disclosure only that they are there:
 * they are judged by deposit_judge. */
MUST_USE enum err_code deposit_parse(struct deposit *out, struct span bytes, struct err *err);

/* UTF-8 without control characters and without marks that turn the direction of text. */
bool deposit_text_is_plain(struct span text);

#endif
