#include "net/tls_files.h"

#include "base/crypto.h"
#include "base/file.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

/* The library's oldest error, behind the file that it is about; its queue is empty then. */
static enum err_code refuse(struct err *err, const char *path, const char *what)
{
    unsigned long first = ERR_get_error();
    const char *words = first != 0 ? ERR_reason_error_string(first) : NULL;
    ERR_clear_error();
    return err_set(err, E_MALFORMED, "%s: %s%s%s", path, what, words != NULL ? ": " : "",
                   words != NULL ? words : "");
}

/* Up to a NUL, as who uses the C string sees it. */
static BIO *bio_of(const struct buf *text)
{
    BIO *bio = BIO_new_mem_buf(text->data, -1);
    assert(bio != NULL);
    return bio;
}

/* A key under a password is no key: nobody is there to be asked. */
static int no_password(char *password, int size, int is_encrypting, void *ctx)
{
    (void)password, (void)size, (void)is_encrypting, (void)ctx;
    return -1;
}

/* True past the last certificate of a file; false when what follows is not one. */
static bool is_at_end(void)
{
    unsigned long last = ERR_peek_last_error();
    bool is_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    if (is_end) {
        ERR_clear_error();
    }
    return is_end;
}

/* The first one is ours, the others are its chain. */
static enum err_code use_chain(SSL_CTX *ctx, const struct buf *text, const char *path,
                               struct err *err)
{
    BIO *bio = bio_of(text);
    size_t count = 0;
    bool is_ok = true;
    X509 *cert;
    while (is_ok && (cert = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        is_ok = count++ == 0 ? SSL_CTX_use_certificate(ctx, cert) == 1
                             : SSL_CTX_add1_chain_cert(ctx, cert) == 1;
        X509_free(cert);
    }
    is_ok = is_ok && is_at_end() && count > 0;
    BIO_free(bio);
    return is_ok ? E_OK : refuse(err, path, "not a certificate that TLS can show");
}

static enum err_code use_key(SSL_CTX *ctx, const struct buf *text, const char *path,
                             const char *cert_path, struct err *err)
{
    BIO *bio = bio_of(text);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (key == NULL) {
        return refuse(err, path, "not a private key without a password");
    }
    bool is_ours = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    if (!is_ours) {
        ERR_clear_error();
        return err_set(err, E_MALFORMED, "%s: not the key of the certificate in %s", path,
                       cert_path);
    }
    return E_OK;
}

static enum err_code check_authorities(const struct buf *text, const char *path, struct err *err)
{
    BIO *bio = bio_of(text);
    size_t count = 0;
    X509 *cert;
    while ((cert = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        X509_free(cert);
        count++;
    }
    bool is_ok = is_at_end() && count > 0;
    BIO_free(bio);
    return is_ok ? E_OK : refuse(err, path, "not certificates of authorities");
}

static enum err_code check(const struct tls_files *files, const char *cert_path,
                           const char *key_path, const char *client_ca_path, struct err *err)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert(ctx != NULL);
    enum err_code rc = use_chain(ctx, &files->cert, cert_path, err);
    if (rc == E_OK) {
        rc = use_key(ctx, &files->key, key_path, cert_path, err);
    }
    if (rc == E_OK && client_ca_path != NULL) {
        rc = check_authorities(&files->client_ca, client_ca_path, err);
    }
    SSL_CTX_free(ctx);
    return rc;
}

static enum err_code read_text(struct buf *out, const char *path, struct err *err)
{
    if (file_read(out, path, err) != E_OK) {
        return err_wrap(err, "%s", path);
    }
    if (buf_room(out) == 0) {
        return err_set(err, E_TOO_LARGE, "%s: over %d bytes", path, TLS_FILE_BYTES_MAX);
    }
    (void)buf_c_str(out);
    return E_OK;
}

enum err_code tls_files_read(struct tls_files *out, const char *cert_path, const char *key_path,
                             const char *client_ca_path, struct err *err)
{
    struct tls_files files = { .cert = BUF_INIT(TLS_FILE_BYTES_MAX),
                               .key = BUF_INIT(TLS_FILE_BYTES_MAX),
                               .client_ca = BUF_INIT(TLS_FILE_BYTES_MAX) };
    enum err_code rc = read_text(&files.cert, cert_path, err);
    if (rc == E_OK) {
        rc = read_text(&files.key, key_path, err);
    }
    if (rc == E_OK && client_ca_path != NULL) {
        rc = read_text(&files.client_ca, client_ca_path, err);
    }
    if (rc == E_OK) {
        rc = check(&files, cert_path, key_path, client_ca_path, err);
    }
    if (rc != E_OK) {
        tls_files_clear(&files);
        return rc;
    }
    *out = files;
    return E_OK;
}

void tls_files_clear(struct tls_files *files)
{
    crypto_wipe_buf(&files->key);
    buf_clear(&files->cert);
    buf_clear(&files->client_ca);
}
