/* key_file.h -- where a program's private key comes from: a file, or a device that the file names.
 *
 * A key file is a C2SP signer key (PRIVATE+KEY+...), or two lines:
 *
 *     <vkey>
 *     pkcs11:token=...;object=...?module-path=...&pin-source=...      RFC 7512
 *
 * for a key in a PKCS#11 module (hsm.h). Either is refused when others than its owner can read it,
 * and so is the file of pin-source.
 * Blocks on the disk. Any thread.
 */
#ifndef STORE_KEY_FILE_H
#define STORE_KEY_FILE_H

#include "base/err.h"
#include "tlog/vkey.h"

/* Free with signer_clear. E_NOT_FOUND; E_DENIED when others can read it, or the PIN; E_MALFORMED,
 * E_TOO_LARGE, E_UNSUPPORTED; E_BAD_SIGNATURE when the vkey is not that of the key; E_CORRUPT, E_IO from
 * a device. The error names the file. */
MUST_USE enum err_code key_file_load(struct signer *out, const char *path, struct err *err);
/* The first takes keys of Ed25519 only, and is E_UNSUPPORTED for others: its callers sign with out->key. This one is for
 * logs and witnesses, which sign checkpoints with either kind. */
MUST_USE enum err_code key_file_load_any(struct signer *out, const char *path, struct err *err);

/* E_DENIED when others than its owner can read or write the file. */
MUST_USE enum err_code key_file_check_private(const char *path, struct err *err);

#endif
