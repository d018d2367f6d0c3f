/* guard_service.h -- asks peers and the logs themselves for notes under our own key, for the guard.
 *
 * At the start and whenever the guard wants it: <peer>/<hex of the origin's hash>/checkpoint of every
 * peer, and <url>/checkpoint of a log that has a URL. Answers go to guard_on_note and guard_on_none; a
 * peer that does not answer is asked again, ever less often, as long as the guard waits for it.
 * Loop thread but for guard_service_ask; notes are judged, and the guard ticks, in the lane given.
 */
#ifndef WITNESS_GUARD_SERVICE_H
#define WITNESS_GUARD_SERVICE_H

#include "net/work.h"
#include "witness/guard.h"
#include "witness/log_table.h"

enum {
    GUARD_SERVICE_IN_FLIGHT_MAX = 16,
    GUARD_SERVICE_TIMEOUT_MS = 5 * 1000,
    GUARD_SERVICE_RETRY_MS_MIN = 1000,
    GUARD_SERVICE_RETRY_MS_MAX = 60 * 1000,
};

struct guard_service;

struct guard_service_options {
    uv_loop_t *loop;
    struct work *work; /* borrowed, as all below; closed after the service */
    struct log_table *logs;
    struct guard *guard;
    const char *const *peers; /* URLs, as many as the guard was told */
    size_t peer_count;
};

/* Begins to ask, about logs that are added later too. */
struct guard_service *guard_service_start(const struct guard_service_options *options);

/* An old-size conflict of this log: asks if the guard wants it now. Any thread. */
void guard_service_ask(struct guard_service *service, struct known_log *log);

/* Nobody may call guard_service_ask any more. on_closed comes from the loop; the service is freed then. */
void guard_service_close(struct guard_service *service, void *ctx, void (*on_closed)(void *ctx));

#endif
