/* bastion_link.h -- one connection to a bastion, from the first packet to its loss: TCP on the loop,
 * TLS and HTTP/2 on it.
 *
 * Loop thread only. The process ignores SIGPIPE, as libuv needs.
 */
#ifndef NET_BASTION_LINK_H
#define NET_BASTION_LINK_H

#include "base/err.h"
#include "net/bastion_session.h"
#include "net/bastion_tls.h"

#include <uv.h>

struct bastion_link;

struct bastion_link_events {
    void *ctx;
    void (*on_open)(void *ctx); /* the bastion speaks HTTP/2 */
    /* At most once, and not after bastion_link_close. The link is dead for the caller. */
    void (*on_lost)(void *ctx, const struct err *why);
    void (*on_closed)(void *ctx); /* from the loop: the link is freed, after either */
};

/* Starts to connect; no callback comes from here. `host` is the name that the bastion must prove. Takes
 * no ownership; `identity` and `service` outlive the link. */
struct bastion_link *bastion_link_start(uv_loop_t *loop, const struct sockaddr *to,
                                        const char *host, const struct bastion_identity *identity,
                                        struct bastion_service *service,
                                        const struct bastion_link_events *events);

void bastion_link_close(struct bastion_link *link);

#endif
