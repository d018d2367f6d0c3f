#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "logd/contradiction.h"
#include "logd/exported.h"
#include "logd/publisher_parts.h"
#include "store/archive.h"
#include "store/tile_source.h"
#include "tlog/bundle.h"

enum {
    PRUNE_MS = 60 * 60 * 1000, /* between two looks at the archive */
};

static enum err_code prepare(struct step *step)
{
    struct publisher *publisher = step->publisher;
    struct tiles *tiles = publisher->options.tiles;
    const struct snapshot *snapshot = step->snapshot;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    enum err_code rc = partials_write(publisher->partials, tiles, &snapshot->edge, &step->err);
    if (rc == E_OK) {
        rc = tiles_sync(tiles, &step->err);
    }
    if (rc == E_OK && atomic_load(&publisher->is_halted)) { /* since the step began */
        rc = err_set(&step->err, E_UNAVAILABLE, "nothing is signed any more");
    }
    if (rc == E_OK) {
        rc = signing_sign(publisher->options.signing, &snapshot->checkpoint, &note, &step->err);
    }
    if (rc == E_OK) {
        struct http_body *body = http_body_take(&note);
        step->made = published_tree_new(&snapshot->checkpoint, body, &snapshot->edge);
        http_body_release(body);
    }
    buf_clear(&note);
    return rc;
}

/* The partial bundle of a tree that was kept without it: from its own file, or from the full one, as one
 * of them is there. What was read is compared with the tree's leaves. */
static enum err_code load_bundle(struct step *step, struct buf *out)
{
    struct tiles *tiles = step->publisher->options.tiles;
    const struct published_tree *tree = step->tree;
    struct tile_path path = { .is_bundle = true, .id = { 0, tree->checkpoint.size / TILE_WIDTH } };
    uint16_t width = (uint16_t)(tree->checkpoint.size % TILE_WIDTH);
    struct hash leaves[TILE_WIDTH];
    struct span bundle;
    path.width = width;
    enum err_code rc = tiles_read(tiles, tile_path_text(&path).text, out, &step->err);
    if (rc == E_NOT_FOUND) {
        path.width = TILE_WIDTH;
        rc = tiles_read(tiles, tile_path_text(&path).text, out, &step->err);
    }
    if (rc == E_OK) {
        rc = bundle_prefix(&bundle, buf_span(out), width, &step->err);
    }
    if (rc == E_OK) {
        buf_truncate(out, bundle.len);
        rc = bundle_leaf_hashes(leaves, buf_span(out), width, &step->err);
    }
    if (rc == E_OK && memcmp(leaves, tree->edge.tiles[0], width * sizeof leaves[0]) != 0) {
        rc = err_set(&step->err, E_CORRUPT, "not the entries of the tree");
    }
    return rc == E_OK ? E_OK : err_wrap(&step->err, "%s", tile_path_text(&path).text);
}

/* The tree with the note as it is to be served, and with all its entries. */
static enum err_code make_tree(struct step *step)
{
    const struct published_tree *tree = step->tree;
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    bool is_whole = tree->checkpoint.size % TILE_WIDTH == 0 || tree->edge.bundle.len > 0;
    enum err_code rc = is_whole ? E_OK : load_bundle(step, &bundle);
    if (rc == E_OK) {
        struct http_body *body = http_body_new(buf_span(&step->note));
        step->made = published_tree_new(&tree->checkpoint, body, &tree->edge);
        http_body_release(body);
        if (!is_whole) {
            buf_put(&step->made->edge.bundle, buf_span(&bundle));
        }
    }
    buf_clear(&bundle);
    return rc;
}

/* The archive first: what was ever published is in it, with the cosignatures that made its quorum. */
static enum err_code publish(struct step *step, bool is_first)
{
    struct tiles *tiles = step->publisher->options.tiles;
    enum err_code rc = make_tree(step);
    if (rc == E_OK && is_first) {
        rc = archive_add(tiles, step->unix_s, buf_span(&step->note), &step->err);
    }
    if (rc == E_OK) {
        rc = tiles_replace(tiles, "checkpoint", buf_span(&step->note), &step->err);
    }
    if (rc != E_OK) {
        published_tree_release(step->made);
        step->made = NULL;
    }
    return rc;
}

static enum err_code export_notes(struct step *step)
{
    const char *data_dir = step->publisher->options.data_dir;
    uint64_t sizes[ROUND_PINNED];
    enum err_code rc = E_OK;
    for (size_t i = 0; i < step->file_count && rc == E_OK; i++) {
        const struct step_file *file = &step->files[i];
        sizes[i] = file->size;
        if (file->is_unsaved) {
            rc = exported_write(data_dir, file->size, buf_span(&file->note), &step->err);
        }
    }
    if (rc == E_OK) {
        exported_remove_others(data_dir, sizes, step->file_count);
    }
    return rc;
}

/* Ours is the note of the same size where there is one, else the one signed last. */
static enum err_code keep_proof(struct step *step)
{
    const struct publisher_options *options = &step->publisher->options;
    enum err_code rc = E_OK;
    if (step->ours.len == 0) {
        rc = file_read(&step->ours, options->signing->signed_path, &step->err);
    }
    if (rc == E_OK || rc == E_NOT_FOUND) { /* perhaps we have signed nothing */
        rc = contradiction_keep(options->data_dir, buf_span(&step->note), buf_span(&step->ours),
                                &step->err);
    }
    return rc;
}

/* What is old enough goes, a little at a time. Failures wait for the next time. */
static void clean(struct step *step)
{
    struct publisher *publisher = step->publisher;
    struct tiles *tiles = publisher->options.tiles;
    uint64_t now = publisher_now_ms();
    partials_remove_due(publisher->partials, tiles, published_size(publisher->options.published),
                        now);
    if (now < publisher->prune_ms) {
        return;
    }
    bool has_more = false;
    struct err err;
    if (archive_prune(tiles, step->unix_s, &has_more, &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "archive_not_pruned", &err);
    }
    publisher->prune_ms = has_more ? now : now + PRUNE_MS;
}

void publisher_run_step(uv_work_t *request)
{
    struct step *step = request->data;
    step->rc = E_OK;
    switch (step->kind) {
    case STEP_KEEP_PROOF:
        step->rc = keep_proof(step);
        break;
    case STEP_PREPARE:
        step->rc = prepare(step);
        break;
    case STEP_PUBLISH:
        step->rc = publish(step, true);
        break;
    case STEP_MERGE:
        step->rc = publish(step, false);
        break;
    case STEP_EXPORT:
        step->rc = export_notes(step);
        break;
    case STEP_CLEAN:
        clean(step);
        break;
    case STEP_KINDS:
        break;
    }
}
