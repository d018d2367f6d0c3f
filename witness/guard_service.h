/* guard_service.h -- asks peers and the logs themselves for notes: for those under our own key, which are
 * the guard's, and for those under the peers' keys, which are remembered for them (peer_memory.h).
 *
 * At the start and whenever the guard wants it: <peer>/<hex of the origin's hash>/checkpoint and .../peers
 * of every peer, and <url>/checkpoint of a log that has a URL. Each note goes to guard_on_note, and
 * guard_on_none is told when a peer has answered both. An answer is a note of the log under its key, the
 * notes of peers as peer_notes.h has them, 404, and for /peers also 405 and 501, since others than our own
 * need not have it. Whoever does not answer is asked again, ever less often, until each question was
 * answered once since the start, whatever the guard's verdict is by then.
 *
 * Every poll_ms, more or less, the /checkpoint of each peer is asked for about each log. Polls are spread
 * over that time, come behind all other questions, and leave out for a while a peer that does not answer.
 *
 * Loop thread but for guard_service_ask; notes are judged, and the guard ticks, in the lane given.
 */
#ifndef WITNESS_GUARD_SERVICE_H
#define WITNESS_GUARD_SERVICE_H

#include "net/work.h"
#include "witness/evidence_keep.h"
#include "witness/guard.h"
#include "witness/log_table.h"

enum {
    GUARD_SERVICE_IN_FLIGHT_MAX = 16,
    GUARD_SERVICE_POLLED_MAX = 8,            /* a poll waits while so many requests are in flight */
    GUARD_SERVICE_POLLS_PER_SECOND_MAX = 32, /* then they take longer than poll_ms */
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
    struct ledger *ledger;
    struct evidence_keep *evidence;
    const char *const *peers; /* URLs, as many as the guard was told */
    size_t peer_count;
    uint64_t poll_ms; /* at least 1000 */
};

/* Begins to ask, about logs that are added later too. */
struct guard_service *guard_service_start(const struct guard_service_options *options);

/* An old-size conflict of this log: asks if the guard wants it now. Any thread. */
void guard_service_ask(struct guard_service *service, struct known_log *log);

/* Logs were added to the guard: it ticks soon. Loop thread, before the service is closed. */
void guard_service_look(struct guard_service *service);

/* Nobody may call guard_service_ask any more. on_closed comes from the loop; the service is freed then. */
void guard_service_close(struct guard_service *service, void *ctx, void (*on_closed)(void *ctx));

#endif
