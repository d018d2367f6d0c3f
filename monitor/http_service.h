/* http_service.h -- the monitor over HTTP: one page for people, alerts, evidence, metrics.
 *
 * design: "Surfaces". GET and HEAD of / (status_page.h), /alerts (JSON array, open
 * ones first), /evidence/<hex>, /<origin hash>/checkpoint (the note verified last), /metrics,
 * /healthz, and one stylesheet inside the page: no script, nothing from elsewhere. Then /verify and /verify.json
 * (net/verify_page.h), and for that page /logs/<origin hash>/checkpoint and tile/... (relay.h). Loop thread.
 */
#ifndef MONITOR_HTTP_SERVICE_H
#define MONITOR_HTTP_SERVICE_H

#include "monitor/parts.h"
#include "monitor/relay.h"
#include "net/listen.h"

struct monitor_http;

/* Borrows all. */
struct monitor_http *monitor_http_new(uv_loop_t *loop, struct monitor_parts *parts,
                                      struct relay *relay);

/* As listen_http. */
MUST_USE enum err_code monitor_http_listen(struct monitor_http *http,
                                           const struct listen_settings *settings, struct buf *text,
                                           struct err *err);

/* Answers what is under way, closes, frees; on_closed comes from the loop. Work it has posted is done by then. */
void monitor_http_close(struct monitor_http *http, uint32_t grace_ms, void *ctx,
                        void (*on_closed)(void *ctx));

#endif
