/* certificates.h -- X.509 certificates for tests, made on the spot and good for an hour. */
#ifndef SUPPORT_CERTIFICATES_H
#define SUPPORT_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/x509.h>

struct party {
    EVP_PKEY *key;
    X509 *cert;
    char *key_path; /* PEM files, <name>.key and <name>.pem */
    char *cert_path;
};

/* `san` such as "DNS:localhost,IP:127.0.0.1", or NULL. `issuer` NULL makes an authority, which signs
 * itself. The files go to `directory`. */
struct party party_make(const char *directory, const char *name, const char *san,
                        const struct party *issuer);
void party_clear(struct party *party);

#endif
