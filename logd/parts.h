/* parts.h -- the parts of a running log, as its two surfaces see them.
 *
 * Everything is owned by daemon.c and outlives the services. Any thread.
 */
#ifndef LOGD_PARTS_H
#define LOGD_PARTS_H

#include "base/private_paths.h"
#include "logd/gate.h"
#include "logd/indexer.h"
#include "logd/integrator.h"
#include "logd/pool.h"
#include "logd/published.h"
#include "logd/publisher.h"
#include "logd/sequencer_thread.h"
#include "logd/signing.h"
#include "logd/tile_cache.h"
#include "net/work.h"

#include <stdatomic.h>

struct parts {
    struct signing signing;
    struct tiles *tiles;
    struct pool *pool;
    struct published *published;
    struct tile_cache *cache;
    struct integrator *integrator;
    struct indexer *indexer; /* NULL: dedup = off */
    struct sequencer_thread *sequencer;
    struct publisher *publisher;
    struct work *work;
    struct work *cosign_work;             /* of cosign_service.c, whose callers are strangers */
    atomic_size_t cosign_calls;           /* under way there */
    struct private_paths private_paths;   /* of what peers are told */
    _Atomic(const char *) rollback_check; /* how a restored backup would be noticed: static words */
    struct policy *policy;                /* NULL: there are no witnesses */
    struct buf policy_text; /* offered to readers: its file, or one without witnesses */
    bool has_http_add;
    bool has_client_ca; /* TLS callers have shown a certificate */
    /* schema = operation; NULL: opaque entries. */
    struct registry *registry;
    struct gate *gate;
    struct anchor *anchor;    /* NULL: none is to be made */
    struct work *verify_work; /* worker lanes that check records */
    uint64_t started_ms;      /* monotonic */
    atomic_bool is_stopping;
};

enum {
    STATUS_REASON_MAX = 512
};

/* What the log says about itself. */
struct status {
    uint64_t durable_size;
    uint64_t stored_size;
    uint64_t published_size;
    bool is_admitting;
    bool is_degraded; /* not admitting, or the last round failed, or damaged tiles were met */
    char reason[STATUS_REASON_MAX]; /* empty when all is well; for peers to read */
    struct sequencer_stats stats;
    uint64_t bytes_written; /* to journal, tiles and index, since the start */
    uint64_t cpu_us;
    uint64_t rss_anon_bytes;
    uint64_t uptime_ms;
    size_t pool_entries;
    uint64_t corrupt_count;
    bool has_contradiction; /* nothing is signed any more */
    bool is_operation;      /* the schema */
    struct registry_counts submitters;
};
void parts_status(struct parts *parts, struct status *out);

/* The witnesses of the policy, *count of them; the caller frees them with mem_free. */
struct witness_status *parts_witnesses(struct parts *parts, size_t *count);

/* Whether entries are taken now; if not, why, with our paths in it. */
bool parts_is_admitting(struct parts *parts, char *reason, size_t reason_max);

/* Proof of entry `index` in the published tree, or in an earlier one that has more cosignatures, as a
 * tlog-proof; appended. E_NOT_FOUND unless it is published. Blocks on the disk. */
MUST_USE enum err_code parts_put_receipt(struct parts *parts, struct published_tree *tree,
                                         uint64_t index, struct buf *out, struct err *err);

/* The index of a published entry with this leaf hash. E_NOT_FOUND; E_UNAVAILABLE when the log has no
 * index. Blocks on the disk. */
MUST_USE enum err_code parts_find_leaf(struct parts *parts, const struct published_tree *tree,
                                       const struct hash *leaf, uint64_t *index, struct err *err);

/* The leaf hash of a published entry. Blocks on the disk. */
MUST_USE enum err_code parts_leaf(struct parts *parts, const struct published_tree *tree,
                                  uint64_t index, struct hash *out, struct err *err);

#endif
