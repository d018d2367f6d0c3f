/* bidi_peer.h -- the client's end of a gRPC stream, step by step: what a test wants to do wrong, or late.
 *
 * One thread may send while another one reads. A step that hangs fails the test after a while.
 */
#ifndef SUPPORT_BIDI_PEER_H
#define SUPPORT_BIDI_PEER_H

#include "base/buf.h"
#include "base/span.h"

struct bidi_peer;

enum {
    BIDI_NO_DEADLINE = UINT32_MAX
};

struct bidi_peer *bidi_peer_open(const char *address, const char *path, uint32_t timeout_ms);

/* Copies. False when the stream is over. */
bool bidi_peer_send(struct bidi_peer *peer, struct span message);
/* Without waiting for room: false, after a moment, when the message is still not taken; nothing else
 * may be sent then until bidi_peer_flush. */
bool bidi_peer_offer(struct bidi_peer *peer, struct span message);
bool bidi_peer_flush(struct bidi_peer *peer);
void bidi_peer_half_close(struct bidi_peer *peer);
void bidi_peer_cancel(struct bidi_peer *peer);

/* Replaces what is in `message`. False when the stream is over. */
bool bidi_peer_next(struct bidi_peer *peer, struct buf *message);
/* Waits for the end; a gRPC status. */
int bidi_peer_status(struct bidi_peer *peer);
void bidi_peer_close(struct bidi_peer *peer); /* cancels what is not over */

#endif
