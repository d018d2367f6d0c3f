/* deposit_code.h -- the code that a paper carries for its document: which log, which entry, which salt.
 *
 * Spec: docs/code.md. `c1.<log id>.<index>.<salt>`; a link is ADDRESS/verify#CODE, so that no server is told it.
 * Pure. Any thread.
 */
#ifndef CLI_DEPOSIT_CODE_H
#define CLI_DEPOSIT_CODE_H

#include "base/buf.h"
#include "base/err.h"

enum {
    DEPOSIT_LOG_ID_BYTES = 16,
    DEPOSIT_CODE_SALT_BYTES = 16,
    DEPOSIT_ADDRESS_BYTES_MAX = 128, /* what a QR code of version 10 and level M has room for */
    DEPOSIT_LINK_BYTES_MAX = DEPOSIT_ADDRESS_BYTES_MAX + 8 + 3 + 22 + 1 + 19 + 1 + 22,
    DEPOSIT_NUMBER_BYTES_MAX = 22 + 1 + 19,
    DEPOSIT_QR_VERSION_MAX = 10,
};

struct deposit_code {
    uint8_t log_id[DEPOSIT_LOG_ID_BYTES]; /* SHA-256(origin), its first bytes */
    uint64_t index;
    bool has_salt; /* of a record; an entry that is the document itself has none */
    uint8_t salt[DEPOSIT_CODE_SALT_BYTES];
};

/* `salt` may be NULL. */
struct deposit_code deposit_code_make(const char *origin, uint64_t index, const uint8_t *salt);

/* All need the room that the constants above say. */
void deposit_code_put(struct buf *out, const struct deposit_code *code);
void deposit_code_put_link(struct buf *out, const struct deposit_code *code, struct span address);
/* `<log id>-<index>` */
void deposit_code_put_number(struct buf *out, const struct deposit_code *code);

/* A code or a link, in exactly the form that is written here. E_MALFORMED, which does not repeat the code. */
MUST_USE enum err_code deposit_code_parse(struct deposit_code *out, struct span text,
                                          struct err *err);

/* https://HOST[:PORT], or http:// of this machine, without a path. E_MALFORMED. */
MUST_USE enum err_code deposit_address_check(struct span address, struct err *err);

#endif
