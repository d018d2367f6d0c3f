/* bastion_tls.h -- TLS towards a bastion, as a pump: bytes of the network in and out on one side,
 * plain bytes on the other.
 *
 * Spec: C2SP https-bastion; RFC 8446. TLS 1.3 and ALPN "bastion/0" or nothing; the server's chain and
 * name are verified, and we show a self-signed certificate of an Ed25519 key.
 * No I/O but reading the authorities at the start. One owner.
 */
#ifndef NET_BASTION_TLS_H
#define NET_BASTION_TLS_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/span.h"

/* What the connections of one bastion share: certificate, authorities, rules. */
struct bastion_identity;

/* `ca_file` is PEM, NULL for the system's authorities. E_UNSUPPORTED for a key in a device, which
 * cannot make the certificate; E_MALFORMED or E_IO for the file. */
MUST_USE enum err_code bastion_identity_new(struct bastion_identity **out,
                                            const struct signing_key *key, const char *ca_file,
                                            struct err *err);
void bastion_identity_free(struct bastion_identity *identity); /* NULL is fine */

/* One connection. `identity` must outlive it. */
struct bastion_tls;

/* `host` is a DNS name or an IP address, which the server's certificate must be for. */
struct bastion_tls *bastion_tls_new(const struct bastion_identity *identity, const char *host);
void bastion_tls_free(struct bastion_tls *tls); /* NULL is fine */

/* Takes bytes that came from the network. Those that are fed must be read before more are. */
void bastion_tls_feed(struct bastion_tls *tls, struct span bytes);

/* Goes on with the handshake, *is_done once it is over and ALPN is agreed. E_IO, with what the library
 * or the verification says. */
MUST_USE enum err_code bastion_tls_shake_hands(struct bastion_tls *tls, bool *is_done,
                                               struct err *err);

/* Appends plain bytes, as many as there are and `out` has room for. E_IO when the connection is over,
 * be it in good order. After the handshake only, as is all below. */
MUST_USE enum err_code bastion_tls_read(struct bastion_tls *tls, struct buf *out, struct err *err);

MUST_USE enum err_code bastion_tls_write(struct bastion_tls *tls, struct span plain,
                                         struct err *err);

/* Says that nothing more will come from us. */
void bastion_tls_end(struct bastion_tls *tls);

/* At any time: bytes that wait for the network, and taking them. */
size_t bastion_tls_pending(const struct bastion_tls *tls);
void bastion_tls_take(struct bastion_tls *tls, struct buf *out); /* up to the room in `out` */

#endif
