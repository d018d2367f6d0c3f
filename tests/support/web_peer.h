/* web_peer.h -- a web server for tests that answers every request with the bytes it was told, late or never, and
 * keeps what it was asked. A thread of its own, and one for each connection. */
#ifndef SUPPORT_WEB_PEER_H
#define SUPPORT_WEB_PEER_H

#include <stdbool.h>
#include <stddef.h>

enum {
    WEB_PEER_REQUEST_MAX = 80 * 1024
};

struct web_peer;

/* `answer` is head and body, copied, or NULL for a peer that never answers. */
struct web_peer *web_peer_start(const char *answer);
void web_peer_stop(struct web_peer *peer); /* ends what is under way, and frees */
void web_peer_set(struct web_peer *peer, const char *answer, unsigned delay_ms);
/* After the answer "x" is sent until the other side has had enough. */
void web_peer_set_endless(struct web_peer *peer, bool is_endless);
const char *web_peer_url(const struct web_peer *peer); /* "http://127.0.0.1:PORT" */

size_t web_peer_count(struct web_peer *peer); /* requests */
/* The last request with its body; the caller frees it. */
char *web_peer_last(struct web_peer *peer);

#endif
