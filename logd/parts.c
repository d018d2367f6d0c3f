#include "logd/parts.h"

#include "base/alloc.h"
#include "base/metrics.h"
#include "tlog/receipt.h"

#include <stdio.h>

bool parts_is_admitting(struct parts *parts, char *reason, size_t reason_max)
{
    return !pool_is_closed(parts->pool, reason, reason_max) &&
           (parts->indexer == NULL || indexer_is_ready(parts->indexer, reason, reason_max));
}

void parts_status(struct parts *parts, struct status *out)
{
    struct metrics_process process = metrics_process();
    *out = (struct status){
        .stats = sequencer_thread_stats(parts->sequencer),
        .stored_size = integrator_stored(parts->integrator),
        .published_size = published_size(parts->published),
        .cpu_us = process.cpu_us,
        .rss_anon_bytes = process.rss_anon_bytes,
        .uptime_ms = uv_hrtime() / 1000000 - parts->started_ms,
        .pool_entries = pool_entries(parts->pool),
        .corrupt_count = tile_cache_corrupt_count(parts->cache),
        .bytes_written = process.written_bytes,
    };
    out->durable_size = out->stats.durable_size;
    out->has_contradiction = publisher_is_halted(parts->publisher);
    out->is_operation = parts->gate != NULL;
    if (out->is_operation) {
        out->submitters = gate_counts(parts->gate);
    }
    if (out->stored_size >= out->durable_size / TILE_WIDTH * TILE_WIDTH) {
        out->stored_size = out->durable_size; /* no full tile is missing */
    }
    out->is_admitting = parts_is_admitting(parts, out->reason, sizeof out->reason);
    out->is_degraded = !out->is_admitting;
    if (!out->is_degraded) {
        out->is_degraded = publisher_is_degraded(parts->publisher, out->reason, sizeof out->reason);
    }
    if (!out->is_degraded && out->corrupt_count > 0) {
        out->is_degraded = true;
        snprintf(out->reason, sizeof out->reason,
                 "damaged tiles were met: run courtroll fsck --dir DIR");
    }
    private_paths_hide(&parts->private_paths, out->reason, sizeof out->reason);
}

struct witness_status *parts_witnesses(struct parts *parts, size_t *count)
{
    *count = publisher_witness_count(parts->publisher);
    struct witness_status *statuses = mem_calloc(*count + 1, sizeof *statuses);
    publisher_statuses(parts->publisher, statuses);
    return statuses;
}

enum err_code parts_put_receipt(struct parts *parts, struct published_tree *tree, uint64_t index,
                                struct buf *out, struct err *err)
{
    struct published_tree *best = published_best(parts->published, tree, index);
    struct tile_nodes nodes = { parts->cache, best };
    struct merkle_source source = tile_cache_nodes(&nodes);
    struct proof proof;
    enum err_code rc = proof_make_inclusion(&proof, &source, index, best->checkpoint.size, err);
    if (rc == E_OK) {
        receipt_put(out, index, &proof, http_body_span(best->note));
    }
    published_tree_release(best);
    return rc;
}

enum err_code parts_leaf(struct parts *parts, const struct published_tree *tree, uint64_t index,
                         struct hash *out, struct err *err)
{
    struct tile_nodes nodes = { parts->cache, tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    if (index >= tree->checkpoint.size) {
        return err_set(err, E_NOT_FOUND, "entry %llu is not published: the published size is %llu",
                       (unsigned long long)index, (unsigned long long)tree->checkpoint.size);
    }
    return source.get(source.ctx, (struct merkle_node){ 0, index }, out, err);
}

enum err_code parts_find_leaf(struct parts *parts, const struct published_tree *tree,
                              const struct hash *leaf, uint64_t *index, struct err *err)
{
    if (parts->indexer == NULL) {
        return err_set(err, E_UNAVAILABLE, "this log keeps no index of leaf hashes: dedup = off");
    }
    uint64_t found;
    enum err_code rc = indexer_find(parts->indexer, leaf, &found, err);
    if (rc != E_OK) {
        return rc;
    }
    struct hash there;
    rc = parts_leaf(parts, tree, found, &there, err);
    if (rc != E_OK) {
        return rc;
    }
    if (!hash_is_equal(&there, leaf)) {
        return err_set(err, E_NOT_FOUND, "no such leaf hash");
    }
    *index = found;
    return E_OK;
}
