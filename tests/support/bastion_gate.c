#include "tests/support/bastion_gate.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    SILENCE_S = 20, /* of a connection, then it is over */
    WIRE_MAX = 64 * 1024 * 1024,
};

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *ctx)
{
    (void)ssl;
    struct bastion_gate *gate = ctx;
    CLAIM(gate, span_is_str(span_of(in, in_len), "\x09"
                                                 "bastion/0"));
    if (gate->alpn == NULL) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = (const unsigned char *)gate->alpn;
    *out_len = (unsigned char)strlen(gate->alpn);
    return SSL_TLSEXT_ERR_OK;
}

/* A bastion knows keys, not issuers. */
static int accept_any(int is_ok, X509_STORE_CTX *store)
{
    (void)is_ok, (void)store;
    return 1;
}

static void play(struct bastion_gate *gate, SSL *ssl)
{
    X509 *cert = SSL_get1_peer_certificate(ssl);
    size_t len = sizeof gate->client_key;
    CLAIM(gate, cert != NULL);
    EVP_PKEY *key = cert != NULL ? X509_get0_pubkey(cert) : NULL;
    CLAIM(gate, key != NULL && EVP_PKEY_get_raw_public_key(key, gate->client_key, &len) == 1);
    gate->is_tls_1_3 = SSL_version(ssl) == TLS1_3_VERSION;
    X509_free(cert);
    struct h2_client *client = NEW(struct h2_client);
    h2_client_init(client, false);
    gate->play(gate, ssl, client);
    h2_client_clear(client);
    mem_free(client);
    gate->played++;
}

static void *gate_run(void *arg)
{
    struct bastion_gate *gate = arg;
    int fd;
    while ((fd = accept(gate->listener, NULL, NULL)) >= 0) {
        const struct timeval limit = { .tv_sec = SILENCE_S };
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        gate->accepted++;
        SSL *ssl = SSL_new(gate->ctx);
        SSL_set_fd(ssl, fd);
        bool is_shaken = SSL_accept(ssl) == 1;
        if (is_shaken && gate->play != NULL) {
            play(gate, ssl);
        } else {
            /* A client that refuses us does so after we think that all is well. */
            uint8_t byte;
            CLAIM(gate, !is_shaken || SSL_read(ssl, &byte, 1) <= 0);
            gate->refused++;
        }
        SSL_free(ssl);
        close(fd);
    }
    return NULL;
}

void bastion_gate_open(struct bastion_gate *gate, const struct party *server, int tls_max)
{
    gate->ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(gate->ctx, tls_max);
    SSL_CTX_use_certificate(gate->ctx, server->cert);
    SSL_CTX_use_PrivateKey(gate->ctx, server->key);
    SSL_CTX_set_verify(gate->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
    SSL_CTX_set_alpn_select_cb(gate->ctx, select_alpn, gate);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    gate->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(gate->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(gate->listener, 8), 0);
    getsockname(gate->listener, (struct sockaddr *)&address, &len);
    snprintf(gate->address, sizeof gate->address, "localhost:%u", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&gate->thread, NULL, gate_run, gate), 0);
}

void bastion_gate_close(struct bastion_gate *gate)
{
    shutdown(gate->listener, SHUT_RDWR);
    pthread_join(gate->thread, NULL);
    close(gate->listener);
    SSL_CTX_free(gate->ctx);
    assert_int_equal(gate->wrong, 0);
}

void gate_send(SSL *ssl, struct h2_client *client)
{
    struct buf out = BUF_INIT(WIRE_MAX);
    h2_client_take(client, &out);
    if (out.len > 0) {
        (void)SSL_write(ssl, out.data, (int)out.len);
    }
    buf_clear(&out);
}

bool gate_receive(SSL *ssl, struct h2_client *client)
{
    static uint8_t bytes[65536];
    int len = SSL_read(ssl, bytes, sizeof bytes);
    return len > 0 && h2_client_feed(client, span_of(bytes, (size_t)len));
}

bool gate_complete(SSL *ssl, struct h2_client *client, const struct h2_stream *stream)
{
    bool is_alive = true;
    while (is_alive && !stream->is_closed) {
        gate_send(ssl, client);
        is_alive = gate_receive(ssl, client);
    }
    gate_send(ssl, client);
    return stream->is_closed;
}

bool gate_ping(SSL *ssl, struct h2_client *client)
{
    nghttp2_submit_ping(client->http2, NGHTTP2_FLAG_NONE, NULL);
    bool is_alive = true;
    while (is_alive && client->pongs == 0) {
        gate_send(ssl, client);
        is_alive = gate_receive(ssl, client);
    }
    return client->pongs == 1;
}

void gate_drain(SSL *ssl, struct h2_client *client)
{
    do {
        gate_send(ssl, client);
    } while (gate_receive(ssl, client));
}
