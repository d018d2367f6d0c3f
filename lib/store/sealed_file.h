/* sealed_file.h -- files encrypted at rest under a key file.
 *
 * Format: "courtroll sealed file v1" LF, cipher name LF ("aes-256-gcm" or "sm4-gcm"), 12 bytes of nonce, ciphertext
 * with its tag; the two lines are authenticated too. A key file is 32 random bytes in base64 on one line, 0600.
 * Blocks on the disk. Any thread.
 */
#ifndef STORE_SEALED_FILE_H
#define STORE_SEALED_FILE_H

#include "base/crypto_cipher.h"

struct sealed_key {
    uint8_t bytes[CIPHER_KEY_BYTES]; /* wipe with crypto_wipe */
};

/* E_NOT_FOUND, E_DENIED when others can read it, E_MALFORMED. */
MUST_USE enum err_code sealed_key_load(struct sealed_key *out, const char *path, struct err *err);
/* Makes a new one: E_EXISTS when the file is there. */
MUST_USE enum err_code sealed_key_create(const char *path, struct err *err);

/* In memory: appends the file's bytes; and the other way. `out` of the second is to be wiped. */
void sealed_file_put(struct buf *out, enum cipher cipher, const struct sealed_key *key,
                     struct span plain);
MUST_USE enum err_code sealed_file_take(struct buf *out, const struct sealed_key *key,
                                        struct span bytes, struct err *err);
/* On disk: written synced under another name, then renamed; 0600. */
MUST_USE enum err_code sealed_file_write(const char *path, enum cipher cipher,
                                         const struct sealed_key *key, struct span plain,
                                         struct err *err);
MUST_USE enum err_code sealed_file_read(struct buf *out, const char *path,
                                        const struct sealed_key *key, size_t bytes_max,
                                        struct err *err);

#endif
