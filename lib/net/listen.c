#include "net/listen.h"

#include <assert.h>

static_assert((int)ADDRESS_TEXT_MAX < (int)RPC_ADDRESS_MAX, "LISTEN_TEXT_MAX is for both kinds");
static_assert(LISTEN_MAX <= (int)RPC_LISTEN_MAX && LISTEN_MAX <= (int)HTTP_LISTENERS_MAX,
              "the servers take as many addresses as are configured");

static enum err_code read_http(struct listen_settings *out, const struct config *config,
                               const char *http_default, struct err *err)
{
    out->http_count = config_count(config, "http-listen");
    if (out->http_count > LISTEN_MAX) {
        return err_set(err, E_MALFORMED, "http-listen: over %d addresses", LISTEN_MAX);
    }
    for (size_t i = 0; i < out->http_count; i++) {
        const char *text = config_item(config, "http-listen", i);
        if (address_parse(&out->http[i], span_of_str(text), err) != E_OK) {
            return err_wrap(err, "http-listen");
        }
    }
    if (out->http_count == 0) {
        out->http_count = 1;
        return address_parse(&out->http[0], span_of_str(http_default), err);
    }
    return E_OK;
}

/* Plaintext gRPC is for this machine only. */
static enum err_code check_grpc(const struct listen_settings *settings, const char *text,
                                struct err *err)
{
    struct address address;
    if (address_parse(&address, span_of_str(text), err) != E_OK) {
        return err_wrap(err, "grpc-listen");
    }
    if (!address_is_loopback(&address) && settings->tls_cert == NULL) {
        return err_set(err, E_DENIED,
                       "grpc-listen: %s can be reached from other machines without TLS: set "
                       "tls-cert and tls-key, or listen on 127.0.0.1 or unix:PATH",
                       text);
    }
    return E_OK;
}

static enum err_code read_grpc(struct listen_settings *out, const struct config *config,
                               const char *grpc_default, struct err *err)
{
    out->tls_cert = config_string(config, "tls-cert");
    out->tls_key = config_string(config, "tls-key");
    out->tls_client_ca = config_string(config, "tls-client-ca");
    if ((out->tls_cert == NULL) != (out->tls_key == NULL) ||
        (out->tls_client_ca != NULL && out->tls_cert == NULL)) {
        return err_set(err, E_MALFORMED,
                       "tls-cert and tls-key go together, and tls-client-ca needs both");
    }
    out->grpc_count = config_count(config, "grpc-listen");
    if (out->grpc_count > LISTEN_MAX) {
        return err_set(err, E_MALFORMED, "grpc-listen: over %d addresses", LISTEN_MAX);
    }
    for (size_t i = 0; i < out->grpc_count; i++) {
        out->grpc[i] = config_item(config, "grpc-listen", i);
        if (check_grpc(out, out->grpc[i], err) != E_OK) {
            return err->code;
        }
    }
    if (out->grpc_count == 0) {
        out->grpc_count = 1;
        out->grpc[0] = grpc_default;
    }
    return E_OK;
}

enum err_code listen_settings_read(struct listen_settings *out, const struct config *config,
                                   const char *http_default, const char *grpc_default,
                                   struct err *err)
{
    struct listen_settings settings = { .http_count = 0 };
    enum err_code rc = read_http(&settings, config, http_default, err);
    if (rc == E_OK) {
        rc = read_grpc(&settings, config, grpc_default, err);
    }
    if (rc == E_OK) {
        *out = settings;
    }
    return rc;
}

enum err_code listen_http(const struct listen_settings *settings, struct http_server *server,
                          struct buf *text, struct err *err)
{
    for (size_t i = 0; i < settings->http_count; i++) {
        struct address bound;
        if (http_server_listen(server, &settings->http[i], &bound, err) != E_OK) {
            return err_wrap(err, "http-listen");
        }
        buf_put_str(text, i == 0 ? "" : ",");
        address_put(text, &bound);
    }
    return E_OK;
}

void listen_set_rpc(const struct listen_settings *settings, struct rpc_server_config *config)
{
    config->listen_count = settings->grpc_count;
    for (size_t i = 0; i < settings->grpc_count; i++) {
        config->listen[i] = settings->grpc[i];
    }
    config->tls_cert_path = settings->tls_cert;
    config->tls_key_path = settings->tls_key;
    config->tls_client_ca_path = settings->tls_client_ca;
}

void listen_put_rpc(const struct listen_settings *settings, const struct rpc_server *server,
                    struct buf *text)
{
    for (size_t i = 0; i < settings->grpc_count; i++) {
        buf_putf(text, "%s%s", i == 0 ? "" : ",", rpc_server_address(server, i));
    }
}
