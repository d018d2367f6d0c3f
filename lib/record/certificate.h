/* certificate.h -- a submitter's word that a one-time key is its own: how a sealed record gets in unnamed.
 *
 * Spec: docs/record.md, "Sealed records". 80 bytes: submitter id || Ed25519 signature by that submitter's key over
 * "courtroll/one-time-key/v1" LF, u8 length, origin, one-time key, entry tag. It goes to the gate beside the entry,
 * is not logged, and is a field that UNSEAL opens.
 * Pure. Any thread.
 */
#ifndef RECORD_CERTIFICATE_H
#define RECORD_CERTIFICATE_H

#include "record/operation.h"

enum {
    CERTIFICATE_BYTES = SUBMITTER_ID_BYTES + ED25519_SIGNATURE_BYTES
};

struct certificate {
    struct submitter_id submitter;
    struct ed25519_signature signature;
};

MUST_USE enum err_code certificate_parse(struct certificate *out, struct span bytes,
                                         struct err *err);
void certificate_put(struct buf *out, const struct certificate *certificate);

MUST_USE enum err_code certificate_make(struct certificate *out, const char *origin,
                                        const struct ed25519_public *one_time_key,
                                        const struct hash *entry_tag,
                                        const struct ed25519_public *submitter_public,
                                        const struct signing_key *submitter_key, struct err *err);
/* E_BAD_SIGNATURE. */
MUST_USE enum err_code certificate_verify(const struct certificate *certificate, const char *origin,
                                          const struct ed25519_public *one_time_key,
                                          const struct hash *entry_tag,
                                          const struct ed25519_public *submitter_key,
                                          struct err *err);

#endif
