/* keys.h -- keys for tests, the same in every run. */
#ifndef SUPPORT_KEYS_H
#define SUPPORT_KEYS_H

#include "tlog/vkey.h"

/* The signer whose seed is the SHA-256 of `secret`. Free with signer_clear. */
struct signer keys_signer(const char *name, enum signature_type type, const char *secret);

/* Likewise from a seed in hex. */
struct signer keys_signer_from_hex(const char *name, enum signature_type type, const char *seed);

#endif
