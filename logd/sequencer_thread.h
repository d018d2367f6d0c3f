/* sequencer_thread.h -- drives the sequencer: the thread that takes from the pool and commits.
 *
 * It performs the sequencer's actions one by one and feeds the results back. See sequencer.h for the
 * order of things, ARCHITECTURE.md for who wakes whom.
 */
#ifndef LOGD_SEQUENCER_THREAD_H
#define LOGD_SEQUENCER_THREAD_H

#include "logd/indexer.h"
#include "logd/integrator.h"
#include "logd/pool.h"
#include "logd/sequencer.h"
#include "logd/tile_cache.h"

struct sequencer_thread;

/* A copy of the durable tree. */
struct snapshot {
    struct checkpoint checkpoint; /* origin left empty */
    struct edge edge;
};
void snapshot_free(struct snapshot *snapshot);

struct sequencer_thread_options {
    struct sequencer *sequencer; /* passes to the thread */
    struct pool *pool;           /* all below are borrowed */
    struct journal *journal;
    struct integrator *integrator;
    struct indexer *indexer; /* NULL: no deduplication */
    struct tile_cache *tiles;
    void *ctx;
    /* The durable tree has grown. Sequencer thread. */
    void (*on_news)(void *ctx, uint64_t size);
    /* Passes the snapshot that was asked for. Sequencer thread. */
    void (*on_snapshot)(void *ctx, struct snapshot *snapshot);
    /* The result of a commit is unknown: the process must exit at once. Sequencer thread. */
    void (*on_halt)(void *ctx, const struct err *err);
};

/* Counters, any thread. */
struct sequencer_stats {
    uint64_t durable_size;
    uint64_t entries_logged;
    uint64_t bytes_logged; /* of entries, without framing */
    uint64_t duplicates;
    uint64_t conflicts; /* submissions refused for an entry tag */
    uint64_t commits;
    uint64_t journal_bytes_written;
};

struct sequencer_thread *sequencer_thread_start(const struct sequencer_thread_options *options);

/* Asks for a copy of the durable tree: on_snapshot. Any thread. */
void sequencer_thread_ask_snapshot(struct sequencer_thread *thread);

/* What happened elsewhere. Any thread. */
void sequencer_thread_on_stored(struct sequencer_thread *thread, uint64_t size);
void sequencer_thread_on_store_failed(struct sequencer_thread *thread, const struct err *err);
void sequencer_thread_on_indexed(struct sequencer_thread *thread, uint64_t size);

struct sequencer_stats sequencer_thread_stats(const struct sequencer_thread *thread);

/* So long it has been busy with one batch or other step; 0 while it waits. Any thread. */
uint64_t sequencer_thread_stuck_ms(struct sequencer_thread *thread);

/* From now on refuses what it has not committed, and what comes: nobody waits any more. Any thread. */
void sequencer_thread_end(struct sequencer_thread *thread);

/* Stops once every submission in the pool, which must be closed, is answered. */
void sequencer_thread_stop(struct sequencer_thread *thread);

/* After the stop, when nobody is left who tells it anything. */
void sequencer_thread_free(struct sequencer_thread *thread);

#endif
