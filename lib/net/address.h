/* address.h -- where a listener or a peer is: an IP address and port, or a Unix socket.
 *
 * Written `127.0.0.1:6962`, `[::1]:6962`, `localhost:6962` (that is 127.0.0.1) or `unix:PATH`.
 * Other names are not resolved here: a listener needs an address. Pure. Any thread.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    ADDRESS_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1, /* bytes, without a NUL */
    ADDRESS_TEXT_MAX = 5 + ADDRESS_PATH_MAX, /* bytes: "unix:" and the longest path */
    ADDRESS_HOST_MAX = INET6_ADDRSTRLEN - 1,
};

struct address {
    union {
        struct sockaddr any; /* any.sa_family: AF_INET, AF_INET6 or AF_UNIX */
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un; /* sun_path is NUL-terminated; empty for an unnamed peer */
    };
};

/* The port is a decimal, 0 only to have the kernel choose. E_MALFORMED, with what is wrong. */
MUST_USE enum err_code address_parse(struct address *out, struct span text, struct err *err);

/* Copies an address as the kernel gives it. An unknown family becomes an unnamed Unix peer. */
struct address address_from_sockaddr(const struct sockaddr *from);

/* Appends the text that address_parse reads; at most ADDRESS_TEXT_MAX bytes. A path is as it was
 * configured: it goes to a log through log_quoted. */
void address_put(struct buf *out, const struct address *address);

/* Likewise without the port, for whom to charge: an IPv6 address without brackets, a Unix socket is just
 * "unix". At most ADDRESS_HOST_MAX bytes. */
void address_put_host(struct buf *out, const struct address *address);

/* Whether only this machine can reach it: 127.0.0.0/8, ::1, those mapped into IPv6, Unix. */
bool address_is_loopback(const struct address *address);

bool address_is_unix(const struct address *address);

/* Host byte order; 0 for a Unix socket. */
uint16_t address_port(const struct address *address);

#endif
