/* relay.h -- tiles of the followed logs, handed on to readers of this monitor: so that a page that came from here
 * finds an entry without asking anybody else.
 *
 * Nothing is handed on that does not hash to the root that this monitor holds (client/tile_reader.h). What one reader,
 * or one log that hangs, can use up is bounded: a log is asked one thing at a time, and the others do not wait for it.
 * Loop thread; what blocks runs on the lane.
 */
#ifndef MONITOR_RELAY_H
#define MONITOR_RELAY_H

#include "base/span.h"
#include "monitor/watched_log.h"
#include "net/address.h"
#include "net/http_response.h"

struct work;
struct relay;

enum {
    RELAY_WAITING_MAX = 64,       /* requests, of all logs together; further ones are RELAY_BUSY */
    RELAY_WAITING_PER_LOG = 16,   /* of one log */
    RELAY_ASKED_PER_MINUTE = 600, /* by one address; an entry with its proof takes about ten */
    RELAY_CACHE_BYTES = 4 * 1024 * 1024,
    RELAY_ASK_MS = 15 * 1000, /* for all that one request asks of a log */
    RELAY_REST_MS = 5 * 1000, /* a log that took longer is not asked for so long */
};

enum relay_answer {
    RELAY_OK,
    RELAY_NOT_FOUND, /* no such log, no such path, or not in the tree that is held */
    RELAY_TOO_MANY,  /* asked for by this address */
    RELAY_BUSY,
    RELAY_BAD,  /* the log serves other bytes than it signed, or none */
    RELAY_SLOW, /* it took too long */
    RELAY_ANSWERS
};

/* Status and words. */
int relay_answer_status(enum relay_answer answer);
const char *relay_answer_text(enum relay_answer answer);

/* Borrows all; `lane` is its own. */
struct relay *relay_new(struct watched_log **logs, size_t log_count, struct work *lane);
/* Once nothing is on the lane any more. NULL is fine. */
void relay_free(struct relay *relay);

/* `path` is that of a tile or bundle, such as "tile/entries/000.p/3". on_done is called once, perhaps from within, and
 * borrows `body`, which is NULL unless the answer is RELAY_OK. */
void relay_get(struct relay *relay, const struct hash *origin_hash, struct span path,
               const struct address *peer, uint64_t now_ms, void *ctx,
               void (*on_done)(void *ctx, enum relay_answer answer, struct http_body *body));

#endif
