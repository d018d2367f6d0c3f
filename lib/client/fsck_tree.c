/* fsck_tree.c -- the truth about tiles of level 1 and above, and about the right edge.
 *
 * The normal path is: the partial tiles hash to the signed root; each full tile to what its parent
 * holds. A tile that does not is rebuilt from what is below it, or taken from a mirror; it is the
 * truth as soon as it hashes right, whoever it came from. */
#include "base/alloc.h"
#include "client/fsck_parts.h"

#include <assert.h>
#include <stdio.h>

static enum err_code hashes_below(struct fsck_reader *reader, struct tile_id id, uint16_t width,
                                  struct hash *hashes, bool *is_found, struct err *err);

/* The root over the full tile `id`: of the stored one, or with `is_deep`, and when there is none, of
 * what is below it. Recursion goes down: TILE_LEVELS deep at most. */
static enum err_code full_root(struct fsck_reader *reader, struct tile_id id, bool is_deep,
                               struct hash *root, bool *is_found, struct err *err)
{
    struct hash *hashes = mem_calloc(TILE_WIDTH, sizeof *hashes);
    struct fsck_file file = { 0 };
    enum err_code rc = E_OK;
    if (!is_deep) {
        rc = fsck_read_tile(reader, id, TILE_WIDTH, hashes, &file, err);
    }
    *is_found = file.is_there;
    if (rc == E_OK && !file.is_there) {
        rc = hashes_below(reader, id, TILE_WIDTH, hashes, is_found, err);
    }
    if (rc == E_OK && *is_found) {
        *root = tile_root(span_of(hashes, TILE_BYTES));
    }
    mem_free(hashes);
    return rc;
}

static struct tile_id child_of(struct tile_id id, size_t position)
{
    assert(id.level > 0);
    return (struct tile_id){ (uint8_t)(id.level - 1), id.index * TILE_WIDTH + position };
}

/* The hashes of tile `id` as its bundle or the tiles below it give them. */
static enum err_code hashes_below(struct fsck_reader *reader, struct tile_id id, uint16_t width,
                                  struct hash *hashes, bool *is_found, struct err *err)
{
    if (id.level == 0) {
        struct fsck_file file;
        enum err_code rc = fsck_read_bundle(reader, id.index, width, hashes, &file, err);
        *is_found = rc == E_OK && file.is_there;
        for (unsigned i = 0; rc == E_OK && !*is_found && i < FSCK_SPARES; i++) {
            *is_found = fsck_read_spare_bundle(reader, i, id.index, width, hashes, &reader->bundle);
        }
        return rc;
    }
    *is_found = true;
    enum err_code rc = E_OK;
    for (size_t i = 0; rc == E_OK && *is_found && i < width; i++) {
        rc = full_root(reader, child_of(id, i), false, &hashes[i], is_found, err);
    }
    return rc;
}

/* As hashes_below, but where a stored hash (NULL: none) and the tile below it disagree, what is below
 * that one decides: so that damage in several places does not hide the truth. */
static enum err_code rebuild(struct fsck_reader *reader, struct tile_id id, uint16_t width,
                             const struct hash *stored, struct hash *hashes, bool *is_found,
                             struct err *err)
{
    if (id.level == 0 || stored == NULL) {
        return hashes_below(reader, id, width, hashes, is_found, err);
    }
    enum err_code rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < width; i++) {
        bool has_child = false;
        struct hash deep;
        rc = full_root(reader, child_of(id, i), false, &hashes[i], &has_child, err);
        if (rc == E_OK && has_child && !hash_is_equal(&hashes[i], &stored[i])) {
            bool has_deep = false;
            rc = full_root(reader, child_of(id, i), true, &deep, &has_deep, err);
            has_child = !has_deep || !hash_is_equal(&deep, &stored[i]);
        }
        if (!has_child) {
            hashes[i] = stored[i];
        }
    }
    *is_found = rc == E_OK;
    return rc;
}

static bool has_root(const struct hash *hashes, const struct hash *root)
{
    struct hash found = tile_root(span_of(hashes, TILE_BYTES));
    return hash_is_equal(&found, root);
}

/* Adds the finding about a stored tile that is not the truth, and repairs it. */
static void report(struct fsck_tree *tree, struct tile_id id, uint16_t width,
                   const struct fsck_file *file, const struct hash *stored,
                   const struct fsck_truth *truth, const struct hash *root)
{
    struct fsck *fsck = tree->reader.fsck;
    struct tile_path path = { false, id, width };
    const struct hash *hashes = truth->is_known ? truth->hashes : NULL;
    struct fsck_finding finding =
        fsck_finding_make(&path, file, hashes, file->is_there ? stored : NULL);
    if (truth->is_known && fsck->options->is_repair) {
        fsck_repair_file(fsck, &path, span_of(hashes, (size_t)width * HASH_BYTES), &finding);
    } else if (!truth->is_known && file->is_there && root != NULL) {
        finding.has_hashes = true;
        finding.expected = *root;
        finding.found = tile_root(span_of(stored, TILE_BYTES));
        snprintf(finding.detail, sizeof finding.detail,
                 "hashes of the whole tile; it could not be rebuilt from what is below it");
    }
    fsck_add_finding(fsck, &finding);
}

/* -- a full tile -- */

/* Looks for the hashes of full tile `id` that `root` (NULL: unknown) is over, apart from `stored`. */
static enum err_code find_full(struct fsck_tree *tree, struct tile_id id, const struct hash *stored,
                               const struct hash *root, struct fsck_truth *truth, struct err *err)
{
    bool is_found = false;
    enum err_code rc =
        rebuild(&tree->reader, id, TILE_WIDTH, stored, truth->hashes, &is_found, err);
    truth->has_hashes = is_found;
    truth->is_known = is_found && root != NULL && has_root(truth->hashes, root);
    if (rc != E_OK || truth->is_known || root == NULL) {
        return rc;
    }
    if (fsck_read_mirror_tile(&tree->reader, id, TILE_WIDTH, truth->hashes)) {
        truth->has_hashes = truth->is_known = has_root(truth->hashes, root);
    }
    return rc;
}

static enum err_code load_full(struct fsck_tree *tree, struct tile_id id, const struct hash *root,
                               struct fsck_truth *truth, struct err *err)
{
    struct hash *stored = mem_calloc(TILE_WIDTH, sizeof *stored);
    struct fsck_file file;
    enum err_code rc = fsck_read_tile(&tree->reader, id, TILE_WIDTH, stored, &file, err);
    bool is_true = rc == E_OK && file.is_there && root != NULL && has_root(stored, root);
    bool is_guess = rc == E_OK && file.is_there && root == NULL;
    if (is_true || is_guess) {
        truth->is_known = is_true;
        truth->has_hashes = true;
        memcpy(truth->hashes, stored, TILE_BYTES);
    } else if (rc == E_OK) {
        rc = find_full(tree, id, file.is_there ? stored : NULL, root, truth, err);
        if (rc == E_OK) {
            report(tree, id, TILE_WIDTH, &file, stored, truth, root);
        }
    }
    mem_free(stored);
    return rc;
}

enum err_code fsck_tree_get(struct fsck_tree *tree, struct tile_id id,
                            const struct fsck_truth **out, struct err *err)
{
    uint64_t size = tree->reader.fsck->options->size;
    uint16_t width = tile_width(id, size);
    assert(width > 0);
    if (width < TILE_WIDTH) {
        *out = &tree->edge[id.level];
        return E_OK;
    }
    assert(id.level > 0);
    if (!tree->path[id.level].is_there || tree->path[id.level].index != id.index) {
        const struct fsck_truth *parent = NULL;
        struct tile_id parent_id = { (uint8_t)(id.level + 1), id.index / TILE_WIDTH };
        enum err_code rc = fsck_tree_get(tree, parent_id, &parent, err);
        if (rc != E_OK) {
            return rc;
        }
        const struct hash *root = parent->is_known ? &parent->hashes[id.index % TILE_WIDTH] : NULL;
        tree->path[id.level].is_there = false;
        rc = load_full(tree, id, root, &tree->path[id.level].truth, err);
        if (rc != E_OK) {
            return rc;
        }
        tree->path[id.level].is_there = true;
        tree->path[id.level].index = id.index;
    }
    *out = &tree->path[id.level].truth;
    return E_OK;
}

/* -- the right edge -- */

enum {
    STORED,
    REBUILT,
    MIRRORED,
    CANDIDATES
};

/* For each level with a partial tile, up to three versions of it. */
struct edge {
    uint64_t size;
    uint16_t width[TILE_LEVELS]; /* 0: no partial tile there */
    struct tile_id id[TILE_LEVELS];
    bool is_there[CANDIDATES][TILE_LEVELS];
    struct hash hashes[CANDIDATES][TILE_LEVELS][TILE_WIDTH];
    struct fsck_file file[TILE_LEVELS];
    unsigned choice[TILE_LEVELS];
};

static enum err_code edge_node(void *ctx, struct merkle_node node, struct hash *out,
                               struct err *err)
{
    (void)err;
    const struct edge *edge = ctx;
    struct tile_place place = tile_place_of(node);
    uint8_t level = place.id.level;
    assert(edge->width[level] >= place.first + place.count);
    struct span tile = SPAN_OF_ARRAY(edge->hashes[edge->choice[level]][level]);
    *out = tile_node_hash(tile, place.first, place.count);
    return E_OK;
}

static struct hash edge_root_of(struct edge *edge)
{
    struct hash root = { { 0 } };
    struct err err;
    struct merkle_source source = { edge_node, edge };
    enum err_code rc = merkle_root(&root, &source, edge->size, &err);
    assert(rc == E_OK);
    return root;
}

/* The next choice of versions, all of which are there; false after the last. */
static bool edge_next(struct edge *edge)
{
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        while (edge->width[level] > 0 && ++edge->choice[level] < CANDIDATES) {
            if (edge->is_there[edge->choice[level]][level]) {
                return true;
            }
        }
        edge->choice[level] = 0;
        while (edge->width[level] > 0 && !edge->is_there[edge->choice[level]][level]) {
            edge->choice[level]++;
        }
    }
    return false;
}

/* Puts the first version there is in front; false when a level has none. */
static bool edge_first(struct edge *edge)
{
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        edge->choice[level] = 0;
        while (edge->width[level] > 0 && !edge->is_there[edge->choice[level]][level]) {
            if (++edge->choice[level] == CANDIDATES) {
                edge->choice[level] = 0;
                return false;
            }
        }
    }
    return true;
}

/* Drops versions that say what another one says: each doubles the choices. */
static void edge_drop_equal(struct edge *edge, unsigned level)
{
    size_t bytes = (size_t)edge->width[level] * HASH_BYTES;
    for (unsigned a = 0; a < CANDIDATES; a++) {
        for (unsigned b = a + 1; b < CANDIDATES; b++) {
            if (edge->is_there[a][level] && edge->is_there[b][level] &&
                memcmp(edge->hashes[a][level], edge->hashes[b][level], bytes) == 0) {
                edge->is_there[b][level] = false;
            }
        }
    }
}

static enum err_code edge_read(struct edge *edge, struct fsck_reader *reader, struct err *err)
{
    for (uint8_t level = 0; level < TILE_LEVELS; level++) {
        struct tile_id id = { level, edge->size >> (TILE_HEIGHT * level) >> TILE_HEIGHT };
        edge->id[level] = id;
        edge->width[level] = tile_width(id, edge->size);
        if (edge->width[level] == 0) {
            continue;
        }
        enum err_code rc = fsck_read_tile(reader, id, edge->width[level],
                                          edge->hashes[STORED][level], &edge->file[level], err);
        if (rc != E_OK) {
            return rc;
        }
        edge->is_there[STORED][level] = edge->file[level].is_there;
    }
    return E_OK;
}

static enum err_code edge_read_others(struct edge *edge, struct fsck_reader *reader,
                                      struct err *err)
{
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        uint16_t width = edge->width[level];
        if (width == 0) {
            continue;
        }
        const struct hash *stored =
            edge->is_there[STORED][level] ? edge->hashes[STORED][level] : NULL;
        enum err_code rc =
            rebuild(reader, edge->id[level], width, stored, edge->hashes[REBUILT][level],
                    &edge->is_there[REBUILT][level], err);
        if (rc != E_OK) {
            return rc;
        }
        edge->is_there[MIRRORED][level] =
            fsck_read_mirror_tile(reader, edge->id[level], width, edge->hashes[MIRRORED][level]);
        edge_drop_equal(edge, level);
    }
    return E_OK;
}

/* Sets the choice of versions that hashes to the signed root. */
static enum err_code edge_solve(struct edge *edge, struct fsck_reader *reader, bool *is_solved,
                                struct err *err)
{
    const struct hash *root = &reader->fsck->options->root;
    struct hash found;
    *is_solved = edge_first(edge) && (found = edge_root_of(edge), hash_is_equal(&found, root));
    if (*is_solved) {
        return E_OK;
    }
    enum err_code rc = edge_read_others(edge, reader, err);
    if (rc != E_OK || !edge_first(edge)) {
        return rc;
    }
    do {
        found = edge_root_of(edge);
        *is_solved = hash_is_equal(&found, root);
    } while (!*is_solved && edge_next(edge));
    if (!*is_solved) {
        edge_first(edge);
    }
    return E_OK;
}

static void report_root(struct fsck *fsck, struct edge *edge)
{
    struct fsck_file file = { .problem = FSCK_ROOT };
    struct tile_path path = { false, { 0, 0 }, TILE_WIDTH };
    struct fsck_finding finding = fsck_finding_make(&path, &file, NULL, NULL);
    snprintf(finding.path, sizeof finding.path, "checkpoint");
    snprintf(finding.detail, sizeof finding.detail,
             "no version of the tree's right edge hashes to the signed root");
    if (edge_first(edge)) {
        finding.has_hashes = true;
        finding.expected = fsck->options->root;
        finding.found = edge_root_of(edge);
    }
    fsck_add_finding(fsck, &finding);
}

/* Level 0 is told about by the worker that looks at its bundle. */
static void take_edge(struct fsck_tree *tree, struct edge *edge, bool is_solved)
{
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        uint16_t width = edge->width[level];
        if (width == 0) {
            continue;
        }
        struct fsck_truth *truth = &tree->edge[level];
        unsigned choice = edge->choice[level];
        truth->is_known = is_solved;
        truth->has_hashes = edge->is_there[choice][level];
        memcpy(truth->hashes, edge->hashes[choice][level], (size_t)width * HASH_BYTES);
        bool is_bad = !edge->file[level].is_there || (is_solved && choice != STORED);
        if (level > 0 && is_bad) {
            report(tree, edge->id[level], width, &edge->file[level], edge->hashes[STORED][level],
                   truth, NULL);
        }
    }
}

enum err_code fsck_tree_open(struct fsck_tree **out, struct fsck *fsck, struct err *err)
{
    struct fsck_tree *tree = NEW(struct fsck_tree);
    struct edge *edge = NEW(struct edge);
    bool is_solved = false;
    enum err_code rc = fsck_reader_open(&tree->reader, fsck, err);
    if (rc != E_OK) {
        goto out;
    }
    edge->size = fsck->options->size;
    rc = edge_read(edge, &tree->reader, err);
    if (rc == E_OK) {
        rc = edge_solve(edge, &tree->reader, &is_solved, err);
    }
    if (rc != E_OK) {
        goto out;
    }
    take_edge(tree, edge, is_solved);
    fsck->report->is_root_reached = is_solved;
    if (!is_solved) {
        report_root(fsck, edge);
    }
    *out = tree;
    tree = NULL;
out:
    fsck_tree_close(tree);
    mem_free(edge);
    return rc;
}

void fsck_tree_close(struct fsck_tree *tree)
{
    if (tree != NULL) {
        fsck_reader_close(&tree->reader);
        mem_free(tree);
    }
}
