/* bastion_session.h -- one HTTP/2 connection on which we are the server, and its exchanges.
 *
 * Spec: RFC 9113. Plain bytes in and out; no I/O. Time comes with the calls, but for the Date header,
 * which is the wall clock's. Loop thread.
 * nghttp2 shows in bastion_session.c only. An exchange may outlive its session: the handler answers
 * it in any case, into the void if the session is gone.
 */
#ifndef NET_BASTION_SESSION_H
#define NET_BASTION_SESSION_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "net/bastion.h"

/* What the sessions of one bastion share, one after the other. Outlives every exchange. */
struct bastion_service {
    size_t body_bytes_max;
    uint32_t
        streams_max; /* a session; and exchanges that the handler has at a time, over them all */
    uint32_t held_count; /* of those */
    bool is_closed;      /* the handler gets no more */
    void *ctx;           /* of on_request, as in bastion_options */
    void (*on_request)(void *ctx, struct bastion_exchange *exchange);
    void *owner;
    void (*on_answered)(void *owner); /* held_count went down */
};

struct bastion_session;

/* on_output: bastion_session_take has something, asked for from outside of _feed and _tick. */
struct bastion_session *bastion_session_new(struct bastion_service *service, uint64_t now_ms,
                                            void *ctx, void (*on_output)(void *ctx));
void bastion_session_free(struct bastion_session *session); /* NULL is fine */

/* Takes plain bytes from the bastion; the handler may be called. E_MALFORMED when they are not HTTP/2,
 * E_BUSY for a flood: the connection is then of no more use. */
MUST_USE enum err_code bastion_session_feed(struct bastion_session *session, struct span bytes,
                                            uint64_t now_ms, struct err *err);

/* The next bytes to send, good until the next call; empty when there are none. */
MUST_USE enum err_code bastion_session_take(struct bastion_session *session, struct span *out,
                                            struct err *err);

/* Ends what has taken too long, and asks whether a silent peer is there. To be called each second.
 * E_TIMEOUT when it is not. */
MUST_USE enum err_code bastion_session_tick(struct bastion_session *session, uint64_t now_ms,
                                            struct err *err);

/* Whether the peer has begun to speak HTTP/2. */
bool bastion_session_is_open(const struct bastion_session *session);

/* Nothing more will come or go: both sides are done, as after a GOAWAY. */
bool bastion_session_is_over(const struct bastion_session *session);

#endif
