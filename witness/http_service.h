/* http_service.h -- the witness over HTTP: add-checkpoint, what was cosigned last, evidence, and how it
 * is doing; to connections of our own and through bastions.
 *
 * Spec: C2SP tlog-witness, to the letter in statuses and content types; design: "Surfaces". Nothing is
 * ever redirected. Loop thread.
 */
#ifndef WITNESS_HTTP_SERVICE_H
#define WITNESS_HTTP_SERVICE_H

#include "net/bastion.h"
#include "net/listen.h"
#include "net/work.h"
#include "witness/parts.h"

struct witness_http;

/* Borrows `parts`. */
struct witness_http *witness_http_new(uv_loop_t *loop, struct parts *parts);

/* As listen_http. */
MUST_USE enum err_code witness_http_listen(struct witness_http *http,
                                           const struct listen_settings *settings, struct buf *text,
                                           struct err *err);

/* A request that came through a bastion: its on_request; `ctx` is a struct witness_http. */
void witness_http_on_bastion(void *ctx, struct bastion_exchange *exchange);

/* Takes no more requests and answers those under way, then calls on_ended from the loop. */
void witness_http_end(struct witness_http *http, uint32_t grace_ms, void *ctx,
                      void (*on_ended)(void *ctx));

/* Frees, after that and once nothing can wake us any more: the ledger has stopped. */
void witness_http_close(struct witness_http *http, void *ctx, void (*on_closed)(void *ctx));

#endif
