/* bastion.h -- serves HTTP requests that come through an https-bastion, so that no inbound port is
 * needed: we connect to it, and it sends us the requests of others.
 *
 * Spec: C2SP https-bastion v1.0.0-rc.1: TLS 1.3, ALPN "bastion/0", a self-signed Ed25519 client
 * certificate; then the TLS client is the HTTP/2 server (RFC 9113). Reconnects with backoff and
 * jitter. Everything a peer can make us hold has a limit.
 * Loop thread only. nghttp2 and OpenSSL's TLS show in bastion*.c only.
 */
#ifndef NET_BASTION_H
#define NET_BASTION_H

#include "base/crypto.h"
#include "base/err.h"
#include "base/span.h"
#include "net/http_request.h"
#include "net/http_response.h"

#include <uv.h>

struct bastion;
struct bastion_exchange;

struct bastion_options {
    const char *address; /* "HOST:PORT"; copied */
    const char *ca_file; /* PEM, instead of the system's authorities; NULL: those. Copied */
    const struct signing_key
        *key;              /* in memory, borrowed: of the certificate, not the cosigning key */
    size_t body_bytes_max; /* 413 above */
    uint32_t streams_max;  /* 0: 64 */
    void *ctx;
    /* Loop thread. The handler answers with bastion_respond exactly once, at once or later. */
    void (*on_request)(void *ctx, struct bastion_exchange *exchange);
};

/* Starts to connect, and goes on until it is closed. E_MALFORMED, E_UNSUPPORTED (a key in a device). */
MUST_USE enum err_code bastion_new(struct bastion **out, uv_loop_t *loop,
                                   const struct bastion_options *options, struct err *err);
/* Exchanges still with the handler may be answered after; on_closed comes once all are. */
void bastion_close(struct bastion *bastion, void *ctx, void (*on_closed)(void *ctx));

bool bastion_is_connected(const struct bastion *bastion);
/* Lower-case hex of SHA-256 of the raw public key: what the bastion's operator allows. */
const char *bastion_key_hash(const struct bastion *bastion);

enum http_method bastion_exchange_method(const struct bastion_exchange *exchange);
struct span bastion_exchange_path(const struct bastion_exchange *exchange); /* without the query */
struct span bastion_exchange_body(const struct bastion_exchange *exchange);
/* The last X-Forwarded-For value, which the bastion vouches for; may be empty. Peer's bytes. */
struct span bastion_exchange_client(const struct bastion_exchange *exchange);

/* As http_respond; the exchange must not be used after. */
void bastion_respond(struct bastion_exchange *exchange, const struct http_response *response);

#endif
