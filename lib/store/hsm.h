/* hsm.h -- Ed25519 keys in a PKCS#11 module: smart cards, network HSMs, SoftHSM.
 *
 * Spec: PKCS#11 3.0 (CKM_EDDSA, CKM_EC_EDWARDS_KEY_PAIR_GEN), RFC 7512 for the URI. The module is
 * loaded by dlopen from the URI's module-path; OpenSSL's engine is not used.
 * p11-kit's header shows in hsm_module.h and hsm.c only. Any thread; a session that is lost is opened
 * again, once a signature; a PIN that is refused then is not tried again, lest the token lock itself.
 *
 * PKCS#11 has no timeouts: a device that hangs holds up the thread that signs, and all that sign with
 * the same key after it. Whoever must answer in time signs on a thread that may be late.
 */
#ifndef STORE_HSM_H
#define STORE_HSM_H

#include "base/crypto.h"
#include "base/err.h"
#include "base/span.h"

enum {
    HSM_URI_MAX = 1024
};

/* Opens the private key that the URI names (token, object or id, module-path, pin-source or
 * pin-value), and lets it sign once to see that it can. E_MALFORMED names the attribute, or tells that
 * there are two such tokens or keys; E_NOT_FOUND no such module, token or key; E_DENIED the PIN, or
 * others can read its file; E_UNSUPPORTED not an Ed25519 key; E_CORRUPT a private key whose public key
 * is another; E_IO. Free with signing_key_free. Signing fails with E_UNAVAILABLE while the device or
 * the token is gone, else with E_IO. */
MUST_USE enum err_code hsm_open_key(struct signing_key **out, struct span uri, struct err *err);

/* Makes a key pair in the device, which never leaves it, and opens it. E_EXISTS when there is an
 * object of that name. */
MUST_USE enum err_code hsm_generate_key(struct signing_key **out, struct span uri, struct err *err);

#endif
