/* A server's certificate, key and client authorities, which change while it serves.
 *
 * gRPC asks a fetcher at each handshake, once for every listener: so a listener remembers which generation of
 * the files it has. What is handed out has been checked, so that gRPC does not refuse it half-way. TLS 1.2 is the
 * least that gRPC's server takes; nothing here lowers it.
 */
#include "base/alloc.h"
#include "net/rpc_parts.h"
#include "net/tls_files.h"

#include <assert.h>

struct rpc_tls_listener {
    struct rpc_tls *tls;
    uint64_t seen; /* generation; under the lock */
};

struct rpc_tls {
    char *cert_path, *key_path, *client_ca_path; /* owned; the last may be NULL */
    pthread_mutex_t lock;                        /* guards all below */
    struct tls_files files;
    uint64_t generation;
    struct rpc_tls_listener listeners[RPC_LISTEN_MAX];
    size_t listener_count;
};

static char *copy_of(const char *text)
{
    return text == NULL ? NULL : mem_strdup(text);
}

enum err_code rpc_tls_open(struct rpc_tls **out, const struct rpc_server_config *config,
                           struct err *err)
{
    struct tls_files files;
    enum err_code rc = tls_files_read(&files, config->tls_cert_path, config->tls_key_path,
                                      config->tls_client_ca_path, err);
    if (rc != E_OK) {
        return rc;
    }
    struct rpc_tls *tls = NEW(struct rpc_tls);
    tls->cert_path = copy_of(config->tls_cert_path);
    tls->key_path = copy_of(config->tls_key_path);
    tls->client_ca_path = copy_of(config->tls_client_ca_path);
    pthread_mutex_init(&tls->lock, NULL);
    tls->files = files;
    tls->generation = 1;
    *out = tls;
    return E_OK;
}

void rpc_tls_free(struct rpc_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    tls_files_clear(&tls->files);
    pthread_mutex_destroy(&tls->lock);
    mem_free(tls->cert_path);
    mem_free(tls->key_path);
    mem_free(tls->client_ca_path);
    mem_free(tls);
}

enum err_code rpc_tls_reload(struct rpc_tls *tls, struct err *err)
{
    struct tls_files files;
    enum err_code rc =
        tls_files_read(&files, tls->cert_path, tls->key_path, tls->client_ca_path, err);
    if (rc != E_OK) {
        return rc;
    }
    pthread_mutex_lock(&tls->lock);
    struct tls_files old = tls->files;
    tls->files = files;
    tls->generation++;
    pthread_mutex_unlock(&tls->lock);
    tls_files_clear(&old);
    return E_OK;
}

/* A thread of gRPC's asks. */
static grpc_ssl_certificate_config_reload_status fetch(void *user,
                                                       grpc_ssl_server_certificate_config **out)
{
    struct rpc_tls_listener *listener = user;
    struct rpc_tls *tls = listener->tls;
    pthread_mutex_lock(&tls->lock);
    bool is_new = listener->seen != tls->generation;
    if (is_new) {
        const struct tls_files *files = &tls->files;
        /* gRPC insists on authorities, also where no client is asked for a certificate: any do then. */
        const struct buf *ca = files->client_ca.len > 0 ? &files->client_ca : &files->cert;
        grpc_ssl_pem_key_cert_pair pair = { (const char *)files->key.data,
                                            (const char *)files->cert.data };
        *out = grpc_ssl_server_certificate_config_create((const char *)ca->data, &pair, 1);
        listener->seen = tls->generation;
    }
    pthread_mutex_unlock(&tls->lock);
    return is_new ? GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW
                  : GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
}

grpc_server_credentials *rpc_tls_credentials(struct rpc_tls *tls)
{
    assert(tls->listener_count < RPC_LISTEN_MAX);
    struct rpc_tls_listener *listener = &tls->listeners[tls->listener_count++];
    listener->tls = tls;
    grpc_ssl_server_credentials_options *options =
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            tls->client_ca_path != NULL ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                        : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
            fetch, listener);
    return grpc_ssl_server_credentials_create_with_options(options); /* takes the options */
}
