#include "net/bastion_tls.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define ALPN "bastion/0"

struct bastion_identity {
    SSL_CTX *ctx;
};

struct bastion_tls {
    SSL *ssl;
    BIO *in, *out; /* in memory; owned by `ssl` */
};

/* The library's oldest error, after `what`; its queue is empty then. */
static enum err_code set_library_error(struct err *err, enum err_code code, const char *what)
{
    unsigned long first = ERR_get_error();
    const char *words = first != 0 ? ERR_reason_error_string(first) : NULL;
    ERR_clear_error();
    return err_set(err, code, "%s: %s", what, words != NULL ? words : "failed");
}

/* Out of memory aborts, and there is no other reason why the library would not make it. */
static void abort_if_null(const void *made)
{
    assert(made != NULL);
}

/* ---- our certificate ---- */

static EVP_PKEY *key_of(const struct signing_key *key)
{
    uint8_t seed[ED25519_SEED_BYTES];
    if (!signing_key_seed(key, seed)) {
        return NULL;
    }
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    crypto_wipe(seed, sizeof seed);
    abort_if_null(pkey);
    return pkey;
}

/* Only its key is looked at. It has no end that could come while we run, and no use for a clock:
 * RFC 5280 4.1.2.5 has this date for that. */
static X509 *certificate_of(EVP_PKEY *pkey)
{
    X509 *cert = X509_new();
    abort_if_null(cert);
    X509_NAME *name = X509_get_subject_name(cert);
    int rc = X509_set_version(cert, X509_VERSION_3) &&
             ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
             ASN1_TIME_set_string(X509_getm_notBefore(cert), "20000101000000Z") &&
             ASN1_TIME_set_string(X509_getm_notAfter(cert), "99991231235959Z") &&
             X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                        (const unsigned char *)"courtroll", -1, -1, 0) &&
             X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, pkey) &&
             X509_sign(cert, pkey, NULL) > 0;
    assert(rc == 1);
    (void)rc;
    return cert;
}

static void use_certificate(SSL_CTX *ctx, EVP_PKEY *pkey)
{
    X509 *cert = certificate_of(pkey);
    int rc = SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, pkey) == 1;
    assert(rc);
    (void)rc;
    X509_free(cert);
}

/* ---- the rules ---- */

static SSL_CTX *context_new(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    abort_if_null(ctx);
    static const unsigned char alpn[] = "\x09" ALPN;
    bool is_set = SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
                  SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
                  SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn - 1) == 0;
    assert(is_set);
    (void)is_set;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    return ctx;
}

static enum err_code use_authorities(SSL_CTX *ctx, const char *ca_file, struct err *err)
{
    if (ca_file == NULL) {
        if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
            return set_library_error(err, E_IO, "the system's certificate authorities");
        }
        return E_OK;
    }
    if (SSL_CTX_load_verify_file(ctx, ca_file) != 1) {
        return set_library_error(err, E_MALFORMED, ca_file);
    }
    return E_OK;
}

enum err_code bastion_identity_new(struct bastion_identity **out, const struct signing_key *key,
                                   const char *ca_file, struct err *err)
{
    EVP_PKEY *pkey = key_of(key);
    if (pkey == NULL) {
        return err_set(err, E_UNSUPPORTED, "the bastion's key must be in memory, not in a device");
    }
    SSL_CTX *ctx = context_new();
    enum err_code rc = use_authorities(ctx, ca_file, err);
    if (rc == E_OK) {
        use_certificate(ctx, pkey);
        *out = NEW(struct bastion_identity);
        (*out)->ctx = ctx;
    } else {
        SSL_CTX_free(ctx);
    }
    EVP_PKEY_free(pkey);
    return rc;
}

void bastion_identity_free(struct bastion_identity *identity)
{
    if (identity != NULL) {
        SSL_CTX_free(identity->ctx);
        mem_free(identity);
    }
}

/* ---- a connection ---- */

static bool is_ip(const char *host)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* The name to ask for and to expect. Addresses are not asked for: RFC 6066 3. */
static void set_host(SSL *ssl, const char *host)
{
    int rc = 0;
    if (is_ip(host)) {
        rc = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    } else {
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        rc = SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
    }
    assert(rc == 1);
    (void)rc;
}

struct bastion_tls *bastion_tls_new(const struct bastion_identity *identity, const char *host)
{
    struct bastion_tls *tls = NEW(struct bastion_tls);
    tls->ssl = SSL_new(identity->ctx);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    abort_if_null(tls->ssl);
    abort_if_null(tls->in);
    abort_if_null(tls->out);
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_connect_state(tls->ssl);
    set_host(tls->ssl, host);
    return tls;
}

void bastion_tls_free(struct bastion_tls *tls)
{
    if (tls != NULL) {
        SSL_free(tls->ssl);
        mem_free(tls);
    }
}

void bastion_tls_feed(struct bastion_tls *tls, struct span bytes)
{
    assert(bytes.len <= INT_MAX);
    int taken = bytes.len > 0 ? BIO_write(tls->in, bytes.data, (int)bytes.len) : 0;
    assert((size_t)taken == bytes.len); /* it is memory */
    (void)taken;
}

static bool has_alpn(const SSL *ssl)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(ssl, &name, &len);
    return span_is_str(span_of(name, len), ALPN);
}

enum err_code bastion_tls_shake_hands(struct bastion_tls *tls, bool *is_done, struct err *err)
{
    *is_done = false;
    ERR_clear_error();
    int rc = SSL_do_handshake(tls->ssl);
    if (rc != 1) {
        int reason = SSL_get_error(tls->ssl, rc);
        long verdict = SSL_get_verify_result(tls->ssl);
        if (reason == SSL_ERROR_WANT_READ) {
            return E_OK;
        }
        if (verdict != X509_V_OK) {
            ERR_clear_error();
            return err_set(err, E_IO, "TLS: %s", X509_verify_cert_error_string(verdict));
        }
        return set_library_error(err, E_IO, "TLS");
    }
    if (!has_alpn(tls->ssl)) {
        return err_set(err, E_IO, "TLS: the peer does not speak " ALPN);
    }
    *is_done = true;
    return E_OK;
}

enum err_code bastion_tls_read(struct bastion_tls *tls, struct buf *out, struct err *err)
{
    while (buf_room(out) > 0) {
        size_t room = buf_room(out), old = out->len, got = 0;
        uint8_t *at = buf_extend(out, room);
        ERR_clear_error();
        int rc = SSL_read_ex(tls->ssl, at, room, &got);
        buf_truncate(out, old + got);
        if (rc == 1) {
            continue;
        }
        switch (SSL_get_error(tls->ssl, rc)) {
        case SSL_ERROR_WANT_READ:
            return E_OK;
        case SSL_ERROR_ZERO_RETURN:
            return err_set(err, E_IO, "closed by the bastion");
        default:
            return set_library_error(err, E_IO, "TLS");
        }
    }
    return E_OK;
}

enum err_code bastion_tls_write(struct bastion_tls *tls, struct span plain, struct err *err)
{
    size_t written = 0;
    ERR_clear_error();
    if (plain.len > 0 && SSL_write_ex(tls->ssl, plain.data, plain.len, &written) != 1) {
        return set_library_error(err, E_IO, "TLS");
    }
    return E_OK;
}

void bastion_tls_end(struct bastion_tls *tls)
{
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

size_t bastion_tls_pending(const struct bastion_tls *tls)
{
    return BIO_ctrl_pending(tls->out);
}

void bastion_tls_take(struct bastion_tls *tls, struct buf *out)
{
    size_t len = bastion_tls_pending(tls), room = buf_room(out);
    if (len > room) {
        len = room;
    }
    if (len > 0) {
        int taken = BIO_read(tls->out, buf_extend(out, len), (int)len);
        assert((size_t)taken == len);
        (void)taken;
    }
}
