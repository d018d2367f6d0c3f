/* gate_service.h -- the gate of a running log: its worker lanes, its registry filled from the log at start, its
 * submitters file read again on SIGHUP.
 *
 * Until the registry knows every registration on the log the pool stays closed: a submitter that is registered must
 * not be told that it is not. Loop thread, but for the opening and the reload.
 */
#ifndef LOGD_GATE_SERVICE_H
#define LOGD_GATE_SERVICE_H

#include "logd/parts.h"
#include "logd/settings.h"
#include "tlog/edge.h"

struct gate_service;

/* Worker threads that checking uses: one a core, 2 at least. */
unsigned gate_service_workers(void);

/* Makes parts->registry and parts->gate, and reads the submitters file, whose errors are for exit code 2. Borrows both.
 * Main thread, before others. */
MUST_USE enum err_code gate_service_open(struct gate_service **out, const struct settings *settings,
                                         struct parts *parts, struct err *err);

/* Makes parts->verify_work, and takes the registrations of the partial tile, which is in no file, from the edge. */
void gate_service_start(struct gate_service *service, uv_loop_t *loop, const struct edge *edge);

/* Takes all others, as the index lists them: at once, or again and again until it has caught up. The indexer is
 * started. May block on the disk. */
void gate_service_load(struct gate_service *service);

/* Reads the submitters file again; once that is logged, nothing is let in by a key that has gone from it. One that is
 * wrong changes nothing, and is logged. Worker, one at a time. */
void gate_service_reload(struct gate_service *service);

/* Nothing is to be checked any more. */
void gate_service_close(struct gate_service *service, void *ctx, void (*on_closed)(void *ctx));

/* With registry and gate. NULL is fine. */
void gate_service_free(struct gate_service *service);

#endif
