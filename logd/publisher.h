/* publisher.h -- drives the rounds: signs checkpoints, has them cosigned and makes them public.
 *
 * It performs round.h's actions: partial tiles, signing and publishing on a libuv worker, one step at a
 * time; asking through cosigning.h. publisher_steps.c has what runs on the worker,
 * publisher_witnesses.c the start check, exports and cosignatures that come as files.
 * publisher_on_news, _on_stored, _on_snapshot, _is_degraded, _statuses, _post: any thread. The rest:
 * loop thread.
 */
#ifndef LOGD_PUBLISHER_H
#define LOGD_PUBLISHER_H

#include "logd/cosigning.h"
#include "logd/sequencer_thread.h"
#include "logd/signing.h"

#include <uv.h>

struct publisher;

struct publisher_options {
    uv_loop_t *loop; /* all pointers are borrowed */
    struct signing *signing;
    struct tiles *tiles;
    struct tile_cache *cache;
    struct published *published;
    const struct policy *policy; /* NULL: no witnesses are asked */
    const char *data_dir;
    uint64_t interval_ms;
    uint64_t stored;
    bool is_paused;   /* nothing is signed, ever */
    bool is_checking; /* nor is it until the witnesses have shown no newer history */
    void *ctx;        /* loop thread, all below */
    /* The first note of this run is signed: from here on there is always something to compare with. */
    void (*on_signed)(void *ctx);
    void (*on_published)(void *ctx); /* published_get has the new tree */
    /* Whom the start check waits for, in words; NULL: it has passed. */
    void (*on_checked)(void *ctx, const char *reason);
    /* Nothing is signed any more, for that reason. */
    void (*on_halted)(void *ctx, const char *reason);
};

/* `published` holds the tree published last, if there is one. */
struct publisher *publisher_new(const struct publisher_options *options);

/* Before the start: a note of an earlier run, exported or published, whose tree was compared with ours.
 * It may have cosignatures. */
void publisher_add_note(struct publisher *publisher, const struct published_tree *tree,
                        bool is_exported);

/* Begins the first round, if one is due, or the start check. */
void publisher_start(struct publisher *publisher, struct sequencer_thread *sequencer,
                     uint64_t durable_size);

/* The log is stopping: what is durable is published now, without regard to the interval. */
void publisher_drain(struct publisher *publisher);

void publisher_on_news(struct publisher *publisher, uint64_t size);
void publisher_on_stored(struct publisher *publisher, uint64_t size);
void publisher_on_snapshot(struct publisher *publisher, struct snapshot *snapshot);

/* True since a round failed or ended below quorum, or nothing may be signed any more, with the reason. */
bool publisher_is_degraded(struct publisher *publisher, char *reason, size_t reason_max);
/* What the newest signed note lacks to be published, in words: empty when nothing is known. Any thread. */
void publisher_missing(struct publisher *publisher, char *out, size_t out_max);
/* Entries below are in a published tree that met the policy. Any thread. */
uint64_t publisher_witnessed(const struct publisher *publisher);
/* Has the log met a contradiction? Any thread. */
bool publisher_is_halted(const struct publisher *publisher);

/* The witnesses of the policy: their count, 0 without a quorum; and out[count] of them. */
size_t publisher_witness_count(const struct publisher *publisher);
void publisher_statuses(struct publisher *publisher, struct witness_status *out);

/* Has `run` called on the loop thread, soon. */
struct publisher_job {
    struct publisher_job *next;
    void (*run)(struct publisher_job *job);
};
void publisher_post(struct publisher *publisher, struct publisher_job *job);

/* The tree of the newest signed note, or of the note of that size; held, or NULL. Its note has the log's
 * line only. */
struct published_tree *publisher_newest(struct publisher *publisher);
struct published_tree *publisher_signed(struct publisher *publisher, uint64_t size);

/* The newest signed note, which is remembered from then on; one is signed for it if all is published
 * and there are news. on_exported gets the tree, which is held for it, or NULL and why. */
struct publisher_export {
    struct publisher_export *next;
    uint64_t size;
    void (*on_exported)(struct publisher_export *export, struct published_tree *tree,
                        const struct err *err);
};
void publisher_export(struct publisher *publisher, struct publisher_export *export);

/* Verified lines over our checkpoint of that size, which anybody may bring again and again: a time that
 * is less than a minute newer than the one that is there is known. */
struct cosigning_added publisher_add_lines(struct publisher *publisher, uint64_t size,
                                           const struct cosign_lines *lines);

/* Somebody showed a note under our key that our tree contradicts: ends the signing. */
void publisher_halt(struct publisher *publisher, const char *who, struct span theirs);

/* A note of ours that is not kept any more, or was signed before a restart, and of which the tree was
 * compared with ours, is kept again as one that was exported. False when there is no room: as many are,
 * and all of them larger. The tree's note has the log's line only. */
bool publisher_pin(struct publisher *publisher, const struct published_tree *tree);

/* Lets the step under way end; on_closed comes from the loop, and the publisher is freed then. */
void publisher_close(struct publisher *publisher, void *ctx, void (*on_closed)(void *ctx));

#endif
