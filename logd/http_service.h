/* http_service.h -- the log over HTTP: checkpoint, tiles, archive, POST /add, and how it is doing.
 *
 * Spec: C2SP tlog-tiles for the paths, content types and caching; design: "Surfaces". Loop thread.
 */
#ifndef LOGD_HTTP_SERVICE_H
#define LOGD_HTTP_SERVICE_H

#include "logd/parts.h"
#include "net/listen.h"

struct http_service;

enum {
    HTTP_SERVICE_WORKERS = 2 /* of libuv's, at most, at a time */
};

/* Borrows `parts`. */
struct http_service *http_service_new(uv_loop_t *loop, struct parts *parts);
/* As listen_http. */
MUST_USE enum err_code http_service_listen(struct http_service *service,
                                           const struct listen_settings *settings, struct buf *text,
                                           struct err *err);

/* Takes no more requests and answers those under way, then calls on_ended from the loop. */
void http_service_end(struct http_service *service, uint32_t grace_ms, void *ctx,
                      void (*on_ended)(void *ctx));

/* Frees, after that and once the sequencer thread has stopped, which may still be in the call that
 * wakes us. on_closed comes from the loop. */
void http_service_close(struct http_service *service, void *ctx, void (*on_closed)(void *ctx));

#endif
