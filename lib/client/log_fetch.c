#include "client/log_fetch.h"

#include "client/log_reader.h"
#include "client/rpc_log.h"
#include "client/tile_reader.h"
#include "tlog/bundle.h"

#include <assert.h>

static enum err_code files_checkpoint(const struct log_address *address, struct buf *note,
                                      struct err *err)
{
    struct log_reader *reader = NULL;
    enum err_code rc = log_reader_open(&reader, address, err);
    if (rc == E_OK) {
        rc = log_reader_checkpoint(reader, note, err);
    }
    log_reader_close(reader);
    return rc;
}

/* A tile that is not there is the log's fault, and no answer to the question. */
static enum err_code not_served(enum err_code rc, struct err *err)
{
    if (rc == E_NOT_FOUND) {
        err->code = E_IO;
        return err_wrap(err, "the log lacks a file");
    }
    return rc;
}

/* Level-0 tiles, the newest first: what one asks for was mostly logged lately. */
static enum err_code find_leaf(struct tile_reader *tiles, uint64_t size,
                               struct log_fetch_entry *entry,
                               void (*on_progress)(void *ctx, uint64_t entries), void *ctx,
                               struct err *err)
{
    for (uint64_t i = size / TILE_WIDTH + 1; i-- > 0;) {
        struct tile_id id = { 0, i };
        uint16_t width = tile_width(id, size);
        const struct hash *hashes = NULL;
        enum err_code rc = width > 0 ? tile_reader_get(tiles, id, &hashes, err) : E_OK;
        if (rc != E_OK) {
            return not_served(rc, err);
        }
        for (uint16_t k = width; k-- > 0;) {
            if (hash_is_equal(&hashes[k], &entry->leaf)) {
                entry->index = i * TILE_WIDTH + k;
                return E_OK;
            }
        }
        if (on_progress != NULL) {
            on_progress(ctx, size - i * TILE_WIDTH);
        }
    }
    return err_set(err, E_NOT_FOUND, "none of the log's %ju entries is this one", (uintmax_t)size);
}

static enum err_code leaf_at(struct tile_reader *tiles, struct log_fetch_entry *entry,
                             struct err *err)
{
    const struct hash *hashes = NULL;
    struct tile_id id = { 0, entry->index / TILE_WIDTH };
    enum err_code rc = tile_reader_get(tiles, id, &hashes, err);
    if (rc == E_OK) {
        entry->leaf = hashes[entry->index % TILE_WIDTH];
        entry->has_leaf = true;
    }
    return rc;
}

static enum err_code files_proof(const struct log_address *address, uint64_t size,
                                 const struct hash *root, struct log_fetch_entry *entry,
                                 struct proof *proof,
                                 void (*on_progress)(void *ctx, uint64_t entries), void *ctx,
                                 struct err *err)
{
    struct log_reader *reader = NULL;
    struct tile_reader *tiles = NULL;
    enum err_code rc = log_reader_open(&reader, address, err);
    if (rc == E_OK) {
        rc = not_served(tile_reader_open(&tiles, reader, size, root, err), err);
    }
    if (rc != E_OK) {
        goto out;
    }
    if (entry->has_leaf) {
        rc = find_leaf(tiles, size, entry, on_progress, ctx, err);
    } else {
        rc = not_served(leaf_at(tiles, entry, err), err);
    }
    struct merkle_source source = tile_reader_source(tiles);
    if (rc == E_OK) {
        rc = not_served(proof_make_inclusion(proof, &source, entry->index, size, err), err);
    }
    if (rc == E_OK) {
        rc = proof_verify_inclusion(proof, entry->index, size, &entry->leaf, root, err);
    }
out:
    tile_reader_close(tiles);
    log_reader_close(reader);
    return rc;
}

/* Every node that is complete in the older tree is so in the newer one, where it is checked. */
static enum err_code older_from_tiles(struct tile_reader *tiles, uint64_t size,
                                      const struct hash *root, uint64_t index,
                                      struct log_fetch_older *out, struct err *err)
{
    const struct merkle_source source = tile_reader_source(tiles);
    enum err_code rc = merkle_root(&out->root, &source, out->size, err);
    if (rc == E_OK) {
        rc = proof_make_consistency(&out->consistency, &source, out->size, size, err);
    }
    if (rc == E_OK) {
        rc = proof_make_inclusion(&out->inclusion, &source, index, out->size, err);
    }
    rc = not_served(rc, err);
    return rc == E_OK
               ? proof_verify_consistency(&out->consistency, out->size, size, &out->root, root, err)
               : rc;
}

enum err_code log_fetch_older(const struct log_address *address, uint64_t size,
                              const struct hash *root, uint64_t index, struct log_fetch_older *out,
                              struct err *err)
{
    struct log_reader *reader = NULL;
    struct tile_reader *tiles = NULL;
    assert(index < out->size);
    assert(out->size < size);
    enum err_code rc = log_reader_open(&reader, address, err);
    if (rc == E_OK) {
        rc = not_served(tile_reader_open(&tiles, reader, size, root, err), err);
    }
    if (rc == E_OK) {
        rc = older_from_tiles(tiles, size, root, index, out, err);
    }
    tile_reader_close(tiles);
    log_reader_close(reader);
    return rc;
}

static enum err_code bytes_from_tiles(struct tile_reader *tiles, uint64_t index, struct buf *out,
                                      struct err *err)
{
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    struct span entry;
    enum err_code rc =
        not_served(tile_reader_get_bundle(tiles, index / TILE_WIDTH, &bundle, err), err);
    if (rc == E_OK) {
        rc = bundle_entry(&entry, buf_span(&bundle), (uint16_t)(index % TILE_WIDTH), err);
    }
    if (rc == E_OK) {
        buf_put(out, entry);
    }
    buf_clear(&bundle);
    return rc;
}

enum err_code log_fetch_bytes(const struct log_address *address, uint64_t size,
                              const struct hash *root, uint64_t index, struct buf *out,
                              struct err *err)
{
    struct log_reader *reader = NULL;
    struct tile_reader *tiles = NULL;
    assert(index < size);
    enum err_code rc = log_reader_open(&reader, address, err);
    if (rc == E_OK) {
        rc = not_served(tile_reader_open(&tiles, reader, size, root, err), err);
    }
    if (rc == E_OK) {
        rc = bytes_from_tiles(tiles, index, out, err);
    }
    tile_reader_close(tiles);
    log_reader_close(reader);
    return rc;
}

/* -- over gRPC -- */

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    CALL_TIMEOUT_MS = 30 * 1000,
};

static enum err_code rpc_open(struct rpc_log **out, const struct log_address *address,
                              struct err *err)
{
    struct rpc_client_config config = { .target = address->target,
                                        .tls_ca_path = address->tls_ca_path,
                                        .tls_cert_path = address->tls_cert_path,
                                        .tls_key_path = address->tls_key_path };
    return rpc_log_open(out, &config, CONNECT_TIMEOUT_MS, err);
}

static enum err_code rpc_checkpoint(const struct log_address *address, struct buf *note,
                                    struct err *err)
{
    struct rpc_log *log = NULL;
    enum err_code rc = rpc_open(&log, address, err);
    if (rc == E_OK) {
        rc = rpc_log_get_checkpoint(log, CALL_TIMEOUT_MS, note, err);
    }
    rpc_log_close(log);
    return rc;
}

static enum err_code rpc_proof(const struct log_address *address, uint64_t size,
                               const struct hash *root, struct log_fetch_entry *entry,
                               struct proof *proof, struct err *err)
{
    struct rpc_log *log = NULL;
    struct rpc_log_inclusion inclusion;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX); /* a later one perhaps: not needed */
    struct rpc_log_entry wanted = { entry->has_leaf ? &entry->leaf : NULL, entry->index };
    enum err_code rc = rpc_open(&log, address, err);
    if (rc == E_OK) {
        rc = rpc_log_get_inclusion(log, wanted, size, CALL_TIMEOUT_MS, &inclusion, &note, err);
    }
    if (rc == E_OK && ((entry->has_leaf && !hash_is_equal(&inclusion.leaf_hash, &entry->leaf)) ||
                       (!entry->has_leaf && inclusion.index != entry->index))) {
        rc = err_set(err, E_BAD_PROOF, "the log proved another entry than was asked for");
    }
    if (rc == E_OK) {
        rc = proof_verify_inclusion(&inclusion.proof, inclusion.index, size, &inclusion.leaf_hash,
                                    root, err);
    }
    if (rc == E_OK) {
        *entry = (struct log_fetch_entry){ true, inclusion.leaf_hash, inclusion.index };
        *proof = inclusion.proof;
    }
    buf_clear(&note);
    rpc_log_close(log);
    return rc;
}

/* -- either -- */

enum err_code log_fetch_checkpoint(const struct log_address *address, struct buf *note,
                                   struct err *err)
{
    return address->kind == LOG_ADDRESS_GRPC ? rpc_checkpoint(address, note, err)
                                             : files_checkpoint(address, note, err);
}

enum err_code log_fetch_proof(const struct log_address *address, uint64_t size,
                              const struct hash *root, struct log_fetch_entry *entry,
                              struct proof *proof, void (*on_progress)(void *ctx, uint64_t entries),
                              void *ctx, struct err *err)
{
    if (!entry->has_leaf && entry->index >= size) {
        return err_set(err, E_NOT_FOUND, "the log has %ju entries: there is no index %ju",
                       (uintmax_t)size, (uintmax_t)entry->index);
    }
    return address->kind == LOG_ADDRESS_GRPC
               ? rpc_proof(address, size, root, entry, proof, err)
               : files_proof(address, size, root, entry, proof, on_progress, ctx, err);
}
