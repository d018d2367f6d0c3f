/* indexer.h -- keeps the deduplication index up with the log, in the background.
 *
 * design: "The life of an entry", step 2. First it catches up from the level-0 tiles, then it takes
 * what is committed. An index that does not open, or that knows more than the log, is thrown away and
 * built again; so is one found damaged later, after a restart.
 * indexer_add: sequencer thread. indexer_find: any thread. Callbacks: indexer thread.
 */
#ifndef LOGD_INDEXER_H
#define LOGD_INDEXER_H

#include "logd/sequencer.h"
#include "store/tiles.h"

struct indexer;

struct indexer_callbacks {
    void *ctx;
    void (*on_indexed)(void *ctx, uint64_t size);
    /* The index is damaged and has been removed: the process must exit. */
    void (*on_damaged)(void *ctx, const struct err *err);
};

/* Opens the index of a log whose head is `head`; `has_facts` with schema = operation, and an index that was
 * made without them is built again. Borrows `tiles` and `dir`. An index that cannot be
 * opened now (a full disk) is no error: it is not ready, with the reason, and tried again by the
 * thread once a second. */
struct indexer *indexer_open(const char *dir, struct tiles *tiles, bool has_facts, uint64_t head);
uint64_t indexer_covered(const struct indexer *indexer);

/* Starts the thread: indexes [covered, tiled) from level-0 tiles (and bundles, for facts), waiting for those
 * that are not stored yet, then the jobs, the first of which begins at `tiled`. */
void indexer_start(struct indexer *indexer, uint64_t tiled,
                   const struct indexer_callbacks *callbacks);
void indexer_add(struct indexer *indexer, struct index_job *job);

/* Adds the entries of the partial tile, which is in no file: the first job, before indexer_start. */
void indexer_add_tail(struct indexer *indexer, const struct edge *edge);

/* Until it has caught up, for at most so long. Main thread, after indexer_start. */
void indexer_wait_ready(struct indexer *indexer, unsigned ms);

/* Where an entry with this leaf hash may be: compare the hash there. E_NOT_FOUND; E_UNAVAILABLE while
 * it catches up or cannot be written. */
MUST_USE enum err_code indexer_find(struct indexer *indexer, const struct hash *leaf,
                                    uint64_t *index, struct err *err);

/* Where the entry with this tag is; the answer is exact. Errors as indexer_find. */
MUST_USE enum err_code indexer_find_tag(struct indexer *indexer, const struct hash *tag,
                                        uint64_t *index, struct err *err);

/* Tells every SUBMITTER and SUBMITTER_END of the log as it was when it was opened, and maybe later ones, in
 * the order of the log. Ends with the callback's error, if it has one; the callback must not call the
 * indexer. E_UNAVAILABLE while it catches up. Any thread; blocks on the disk. */
MUST_USE enum err_code
indexer_scan_registrations(struct indexer *indexer, void *ctx,
                           enum err_code (*on_index)(void *ctx, uint64_t index, struct err *err),
                           struct err *err);

/* Whether indexer_find answers; if not, why. */
bool indexer_is_ready(struct indexer *indexer, char *reason, size_t reason_max);

uint64_t indexer_bytes_written(struct indexer *indexer);

/* Stops without waiting for jobs: the index catches up at the next start. NULL is fine. */
void indexer_stop(struct indexer *indexer);

#endif
