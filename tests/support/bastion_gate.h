/* bastion_gate.h -- an https-bastion for tests: a thread that takes TLS connections one after the
 * other, and on each plays the bastion as the test wants it.
 */
#ifndef SUPPORT_BASTION_GATE_H
#define SUPPORT_BASTION_GATE_H

#include "base/crypto.h"
#include "tests/support/certificates.h"
#include "tests/support/h2_client.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* `alpn` and `play` are set before it is opened. */
struct bastion_gate {
    int listener;
    char address[64];
    SSL_CTX *ctx;
    const char *alpn; /* what it agrees to, whatever is offered; NULL: nothing */
    /* On the gate's thread. NULL: the client must refuse the connection, which counts as that. */
    void (*play)(struct bastion_gate *gate, SSL *ssl, struct h2_client *client);
    pthread_t thread;
    atomic_size_t accepted, refused, played; /* connections: TCP, failed handshakes, plays done */
    atomic_size_t wrong;                     /* claims of the play that were not so */
    uint8_t client_key[ED25519_PUBLIC_BYTES];
    bool is_tls_1_3;
};

/* For a play: the test fails at the end, as it may not in another thread. */
#define CLAIM(gate, claim)                                                                         \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "line %d: %s\n", __LINE__, #claim);                                    \
            (gate)->wrong++;                                                                       \
        }                                                                                          \
    } while (0)

/* Listens on a port of loopback, `address` is "localhost:PORT". */
void bastion_gate_open(struct bastion_gate *gate, const struct party *server, int tls_max);
void bastion_gate_close(
    struct bastion_gate *gate); /* after the play under way; no claim was wrong */

/* Steps of a play. */
void gate_send(SSL *ssl, struct h2_client *client);    /* all that the client has to say */
bool gate_receive(SSL *ssl, struct h2_client *client); /* false at the end of the connection */
bool gate_complete(SSL *ssl, struct h2_client *client, const struct h2_stream *stream);
bool gate_ping(SSL *ssl, struct h2_client *client);  /* until it is answered */
void gate_drain(SSL *ssl, struct h2_client *client); /* until the other side has closed */

#endif
