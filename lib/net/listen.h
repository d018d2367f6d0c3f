/* listen.h -- where a daemon listens: the configuration keys that all of ours share, and their checks.
 *
 * Plaintext gRPC is for this machine only; HTTP is plaintext always, with a proxy in front of it.
 * Main thread.
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "base/config.h"
#include "net/address.h"
#include "net/http_server.h"
#include "net/rpc_server.h"

enum {
    LISTEN_MAX = 8,
    LISTEN_TEXT_MAX = LISTEN_MAX * (RPC_ADDRESS_MAX + 1), /* all addresses of a kind, with commas */
};

/* The keys, for the table of a program's settings. `http` and `grpc` are the defaults, as literals. */
#define LISTEN_CONFIG_KEYS(http, grpc)                                                             \
    { .name = "http-listen",                                                                       \
      .kind = CONFIG_ADDRESS,                                                                      \
      .group = "Surfaces",                                                                         \
      .is_repeatable = true,                                                                       \
      .help = "HTTP address, " http " if none is given. Port 0: any. TLS is for a proxy." },       \
        { .name = "grpc-listen",                                                                   \
          .kind = CONFIG_ADDRESS,                                                                  \
          .is_repeatable = true,                                                                   \
          .help = "gRPC address or unix:PATH, " grpc " if none is given." },                       \
        { .name = "tls-cert",                                                                      \
          .kind = CONFIG_PATH,                                                                     \
          .help = "Certificate chain of the gRPC listeners." },                                    \
        { .name = "tls-key", .kind = CONFIG_PATH, .help = "Private key of tls-cert." },            \
    {                                                                                              \
        .name = "tls-client-ca", .kind = CONFIG_PATH,                                              \
        .help = "Callers must show a certificate of this CA."                                      \
    }

struct listen_settings {
    size_t http_count;
    struct address http[LISTEN_MAX];
    size_t grpc_count;
    const char *grpc[LISTEN_MAX];                   /* the config's strings, as those below */
    const char *tls_cert, *tls_key, *tls_client_ca; /* or NULL */
};

/* E_MALFORMED; E_DENIED for a gRPC address that others can reach without TLS. */
MUST_USE enum err_code listen_settings_read(struct listen_settings *out,
                                            const struct config *config, const char *http_default,
                                            const char *grpc_default, struct err *err);

/* Binds all HTTP addresses, and appends what event=ready says of them: LISTEN_TEXT_MAX bytes. E_IO. */
MUST_USE enum err_code listen_http(const struct listen_settings *settings,
                                   struct http_server *server, struct buf *text, struct err *err);

/* Sets listeners and TLS of a server that is to be started. */
void listen_set_rpc(const struct listen_settings *settings, struct rpc_server_config *config);
/* Likewise, of the server that was started. */
void listen_put_rpc(const struct listen_settings *settings, const struct rpc_server *server,
                    struct buf *text);

#endif
