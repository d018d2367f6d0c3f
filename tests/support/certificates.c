#include "tests/support/certificates.h"

#include "tests/support/files.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void write_pems(struct party *party, const char *directory, const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "%s.key", name);
    party->key_path = files_join(directory, file);
    snprintf(file, sizeof file, "%s.pem", name);
    party->cert_path = files_join(directory, file);
    FILE *out = fopen(party->key_path, "w");
    assert_int_equal(PEM_write_PrivateKey(out, party->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(out);
    out = fopen(party->cert_path, "w");
    assert_int_equal(PEM_write_X509(out, party->cert), 1);
    fclose(out);
}

struct party party_make(const char *directory, const char *name, const char *san,
                        const struct party *issuer)
{
    static long serial = 1;
    struct party party = { .key = EVP_EC_gen("P-256"), .cert = X509_new() };
    X509 *cert = party.cert;
    X509 *signer = issuer != NULL ? issuer->cert : cert;
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, party.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(signer));
    add_extension(cert, signer, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (san != NULL) {
        add_extension(cert, signer, NID_subject_alt_name, san);
    }
    assert_true(X509_sign(cert, issuer != NULL ? issuer->key : party.key, EVP_sha256()) > 0);
    write_pems(&party, directory, name);
    return party;
}

void party_clear(struct party *party)
{
    EVP_PKEY_free(party->key);
    X509_free(party->cert);
    free(party->key_path);
    free(party->cert_path);
}
