/* fsck_rpc.c -- the same question asked over gRPC: do the entries hash to the signed root?
 *
 * The normal path is: one stream of all entries, hashed as they come. When the root is another one,
 * consistency proofs tell how long a prefix of what came is right (each prefix of the right entries
 * verifies, no longer one does), so that two bisections find the first wrong entry. */
#include "base/alloc.h"
#include "client/fsck_parts.h"
#include "client/rpc_log.h"
#include "tlog/proof.h"

#include <stdio.h>

enum {
    CHUNK_LEVEL = 16, /* nodes kept for the bisection: 32 bytes for 65536 entries */
    CHUNK = 1 << CHUNK_LEVEL,
    CONNECT_TIMEOUT_MS = 10 * 1000,
    CALL_TIMEOUT_MS = 30 * 1000,
};

struct stream {
    struct fsck *fsck;
    struct rpc_log *log;        /* owned */
    struct compact_range range; /* of what came */
    struct hash *chunks;        /* complete nodes of CHUNK_LEVEL; owned */
    size_t chunk_count, chunk_cap;
    struct hash *leaves; /* of one chunk, when it is asked for again; owned */
    uint64_t leaf_count;
};

static void keep_chunk(void *ctx, struct merkle_node node, const struct hash *hash)
{
    struct stream *stream = ctx;
    if (node.level != CHUNK_LEVEL) {
        return;
    }
    if (stream->chunk_count == stream->chunk_cap) {
        stream->chunk_cap = stream->chunk_cap == 0 ? 64 : 2 * stream->chunk_cap;
        stream->chunks = mem_realloc(stream->chunks, stream->chunk_cap * sizeof *stream->chunks);
    }
    stream->chunks[stream->chunk_count++] = *hash;
}

static void take_run(struct stream *stream, const struct rpc_log_run *run)
{
    for (size_t i = 0; i < run->entry_count; i++) {
        struct hash leaf = merkle_leaf_hash(run->entries[i]);
        if (stream->leaves != NULL) {
            stream->leaves[stream->leaf_count++] = leaf;
        } else {
            compact_range_append(&stream->range, &leaf, keep_chunk, stream);
            atomic_fetch_add(&stream->fsck->bytes, run->entries[i].len);
        }
    }
}

/* Reads entries [first, first + count), or as many as there are. */
static enum err_code read_entries(struct stream *stream, uint64_t first, uint64_t count,
                                  struct err *err)
{
    const struct fsck_options *options = stream->fsck->options;
    struct rpc_log_entries *entries = NULL;
    struct rpc_log_run run = { 0 };
    uint64_t got = 0;
    enum err_code rc =
        rpc_log_entries_open(&entries, stream->log, first, count, RPC_NO_DEADLINE, err);
    if (rc != E_OK) {
        return rc;
    }
    while (got < count) {
        rc = rpc_log_entries_next(entries, &run, err);
        if (rc != E_OK || run.entry_count == 0) {
            break;
        }
        if (run.first != first + got || run.entry_count > count - got) {
            rc = err_set(err, E_MALFORMED, "entry %ju: the log sent others than were asked for",
                         (uintmax_t)(first + got));
            break;
        }
        take_run(stream, &run);
        got += run.entry_count;
        if (stream->leaves == NULL) {
            atomic_fetch_add(&stream->fsck->entries, run.entry_count);
            if (options->on_progress != NULL) {
                options->on_progress(options->ctx, got);
            }
        }
    }
    rpc_log_entries_close(entries);
    return rc;
}

/* Is the tree of `range` a prefix of the signed one? By a consistency proof from the log. */
static enum err_code is_prefix(struct stream *stream, const struct compact_range *range,
                               bool *is_right, struct err *err)
{
    const struct fsck_options *options = stream->fsck->options;
    *is_right = range->size == 0;
    if (*is_right) {
        return E_OK;
    }
    struct hash root = compact_range_root(range);
    struct proof proof;
    uint64_t size = 0;
    enum err_code rc = rpc_log_get_consistency(stream->log, range->size, options->size,
                                               CALL_TIMEOUT_MS, &proof, &size, err);
    if (rc == E_OK) {
        struct err ignored; /* that it does not verify is the answer */
        *is_right = proof_verify_consistency(&proof, range->size, options->size, &root,
                                             &options->root, &ignored) == E_OK;
    }
    return rc;
}

/* What came, up to the end of chunk number `count`: chunks are like leaves of a smaller tree. */
static struct compact_range range_of_chunks(const struct stream *stream, size_t count)
{
    struct compact_range range;
    compact_range_init(&range);
    for (size_t i = 0; i < count; i++) {
        compact_range_append(&range, &stream->chunks[i], NULL, NULL);
    }
    range.size <<= CHUNK_LEVEL;
    return range;
}

/* The number of chunks, or of leaves behind `base`, that are a right prefix. */
static enum err_code bisect(struct stream *stream, const struct compact_range *base, uint64_t total,
                            uint64_t *right, struct err *err)
{
    uint64_t low = 0;          /* is right */
    uint64_t high = total + 1; /* is not, or is not there */
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        struct compact_range range = base != NULL ? *base : range_of_chunks(stream, (size_t)middle);
        for (uint64_t i = 0; base != NULL && i < middle; i++) {
            compact_range_append(&range, &stream->leaves[i], NULL, NULL);
        }
        bool is_right = false;
        enum err_code rc = is_prefix(stream, &range, &is_right, err);
        if (rc != E_OK) {
            return rc;
        }
        *(is_right ? &low : &high) = middle;
    }
    *right = low;
    return E_OK;
}

/* The first wrong entry is `position` behind `base`; asks the log which leaf hash it can prove. */
static void name_entry(struct stream *stream, uint64_t base, uint64_t position,
                       struct fsck_finding *finding)
{
    const struct fsck_options *options = stream->fsck->options;
    struct rpc_log_inclusion inclusion;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct err ignored;
    uint64_t index = base + position;
    finding->has_entry = true;
    finding->entry = index;
    if (position < stream->leaf_count &&
        rpc_log_get_inclusion(stream->log, (struct rpc_log_entry){ NULL, index }, options->size,
                              CALL_TIMEOUT_MS, &inclusion, &note, &ignored) == E_OK &&
        proof_verify_inclusion(&inclusion.proof, index, options->size, &inclusion.leaf_hash,
                               &options->root, &ignored) == E_OK) {
        finding->has_hashes = true;
        finding->expected = inclusion.leaf_hash;
        finding->found = stream->leaves[position];
    }
    buf_clear(&note);
}

static enum err_code find_first(struct stream *stream, struct fsck_finding *finding,
                                struct err *err)
{
    uint64_t size = stream->fsck->options->size;
    uint64_t chunks = 0;
    uint64_t leaves = 0;
    enum err_code rc = bisect(stream, NULL, stream->chunk_count, &chunks, err);
    if (rc != E_OK) {
        return rc;
    }
    struct compact_range base = range_of_chunks(stream, (size_t)chunks);
    uint64_t count = size - base.size < CHUNK ? size - base.size : CHUNK;
    stream->leaves = mem_calloc(CHUNK, sizeof *stream->leaves);
    rc = read_entries(stream, base.size, count, err);
    if (rc == E_OK) {
        rc = bisect(stream, &base, stream->leaf_count, &leaves, err);
    }
    if (rc == E_OK && leaves < count) {
        name_entry(stream, base.size, leaves, finding);
    }
    return rc;
}

static enum err_code judge(struct stream *stream, struct err *err)
{
    struct fsck *fsck = stream->fsck;
    struct hash found = compact_range_root(&stream->range);
    if (stream->range.size == fsck->options->size && hash_is_equal(&found, &fsck->options->root)) {
        fsck->report->is_root_reached = true;
        return E_OK;
    }
    struct fsck_finding finding = { .problem = FSCK_WRONG };
    snprintf(finding.path, sizeof finding.path, "GetEntries");
    if (stream->range.size < fsck->options->size) {
        snprintf(finding.detail, sizeof finding.detail, "the log sent %ju entries only",
                 (uintmax_t)stream->range.size);
    }
    enum err_code rc = find_first(stream, &finding, err);
    if (rc == E_OK) {
        fsck_add_finding(fsck, &finding);
    }
    return rc;
}

enum err_code fsck_run_rpc(struct fsck *fsck, struct err *err)
{
    struct stream stream = { .fsck = fsck };
    const struct log_address *address = fsck->options->log;
    struct rpc_client_config config = { .target = address->target,
                                        .tls_ca_path = address->tls_ca_path,
                                        .tls_cert_path = address->tls_cert_path,
                                        .tls_key_path = address->tls_key_path };
    compact_range_init(&stream.range);
    enum err_code rc = rpc_log_open(&stream.log, &config, CONNECT_TIMEOUT_MS, err);
    if (rc == E_OK && fsck->options->size > 0) {
        rc = read_entries(&stream, 0, fsck->options->size, err);
    }
    if (rc == E_OK) {
        rc = judge(&stream, err);
    }
    rpc_log_close(stream.log);
    mem_free(stream.chunks);
    mem_free(stream.leaves);
    return rc;
}
