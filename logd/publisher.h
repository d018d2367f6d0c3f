/* publisher.h -- drives the rounds: signs checkpoints and makes them public.
 *
 * It performs round.h's actions: partial tiles, signing and publishing on a libuv worker, one at a
 * time. publisher_on_news, _on_stored, _on_snapshot,
 * _is_degraded: any thread. The rest: loop thread.
 */
#ifndef LOGD_PUBLISHER_H
#define LOGD_PUBLISHER_H

#include "logd/sequencer_thread.h"
#include "logd/signing.h"

#include <uv.h>

struct publisher;

struct publisher_options {
    uv_loop_t *loop; /* all pointers are borrowed */
    struct signing *signing;
    struct tiles *tiles;
    struct published *published;
    uint64_t interval_ms;
    uint64_t stored;
    bool is_paused; /* the start check has not passed: sign nothing */
    void *ctx;
    void (*on_published)(void *ctx); /* loop thread; published_get has the new tree */
};

/* `published` holds the tree published last, if there is one. */
struct publisher *publisher_new(const struct publisher_options *options);

/* Begins the first round, if one is due. */
void publisher_start(struct publisher *publisher, struct sequencer_thread *sequencer,
                     uint64_t durable_size);

/* The log is stopping: what is durable is published now, without regard to the interval. */
void publisher_drain(struct publisher *publisher);

void publisher_on_news(struct publisher *publisher, uint64_t size);
void publisher_on_stored(struct publisher *publisher, uint64_t size);
void publisher_on_snapshot(struct publisher *publisher, struct snapshot *snapshot);

/* True since a round failed, with the reason, until one succeeds. Any thread. */
bool publisher_is_degraded(struct publisher *publisher, char *reason, size_t reason_max);

/* Lets the step under way end; on_closed comes from the loop, and the publisher is freed then. */
void publisher_close(struct publisher *publisher, void *ctx, void (*on_closed)(void *ctx));

#endif
