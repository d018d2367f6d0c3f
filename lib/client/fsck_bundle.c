/* fsck_bundle.c -- one bundle and the level-0 tile above it.
 *
 * The normal path is: entries hash to what the tile holds, and the tile to what the signed tree holds
 * for it. Else whatever hashes to the signed tree is the truth, and the others are named. */
#include "client/fsck_parts.h"
#include "client/journal_tail.h"
#include "tlog/bundle.h"

#include <stdio.h>

struct pair {
    struct tile_path tile, bundle; /* their paths */
    const struct hash *root;       /* of a full tile; or */
    const struct hash *edge;       /* the leaves of a partial one; or both NULL: nothing is known */
    struct hash stored[TILE_WIDTH], hashed[TILE_WIDTH], spare[TILE_WIDTH];
    struct fsck_file stored_file, hashed_file;
};

static bool is_equal(const struct hash *a, const struct hash *b, uint16_t width)
{
    return memcmp(a, b, (size_t)width * HASH_BYTES) == 0;
}

static bool is_true(const struct pair *pair, const struct hash *leaves)
{
    if (pair->root != NULL) {
        struct hash root = tile_root(span_of(leaves, TILE_BYTES));
        return hash_is_equal(&root, pair->root);
    }
    return pair->edge != NULL && is_equal(leaves, pair->edge, pair->tile.width);
}

bool fsck_read_spare_bundle(struct fsck_reader *reader, unsigned source, uint64_t index,
                            uint16_t width, struct hash *leaves, struct buf *out)
{
    struct err ignored; /* what cannot be had is reported as not repaired */
    const struct journal_tail *tail = reader->fsck->options->tail;
    struct tile_path path = { true, { 0, index }, width };
    enum err_code rc = E_NOT_FOUND;
    buf_reset(out);
    if (source == FSCK_JOURNAL && tail != NULL) {
        rc = journal_tail_get_bundle(tail, index, width, out, &ignored);
    } else if (source == FSCK_MIRROR && reader->from != NULL) {
        rc = log_reader_get_tile(reader->from, &path, out, &ignored);
    }
    return rc == E_OK && bundle_leaf_hashes(leaves, buf_span(out), width, &ignored) == E_OK;
}

/* Bytes whose entries are the truth, from the journal or the mirror. False when neither has them. */
static bool find_bundle(struct fsck_reader *reader, const struct pair *pair,
                        const struct hash *truth, struct buf *out)
{
    struct hash leaves[TILE_WIDTH];
    const struct tile_path *path = &pair->bundle;
    for (unsigned source = 0; source < FSCK_SPARES; source++) {
        if (fsck_read_spare_bundle(reader, source, path->id.index, path->width, leaves, out) &&
            (truth != NULL ? is_equal(leaves, truth, path->width) : is_true(pair, leaves))) {
            return true;
        }
    }
    return false;
}

/* The first of the candidates that the signed tree agrees with, or NULL. */
static const struct hash *find_truth(struct fsck_reader *reader, struct pair *pair)
{
    if (pair->hashed_file.is_there && is_true(pair, pair->hashed)) {
        return pair->hashed;
    }
    if (pair->stored_file.is_there && is_true(pair, pair->stored)) {
        return pair->stored;
    }
    if (pair->edge != NULL) {
        return pair->edge;
    }
    if (pair->root == NULL) {
        return NULL;
    }
    if (fsck_read_mirror_tile(reader, pair->tile.id, pair->tile.width, pair->spare) &&
        is_true(pair, pair->spare)) {
        return pair->spare;
    }
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    struct err ignored;
    bool is_found =
        find_bundle(reader, pair, NULL, &bytes) &&
        bundle_leaf_hashes(pair->spare, buf_span(&bytes), pair->bundle.width, &ignored) == E_OK;
    buf_clear(&bytes);
    return is_found ? pair->spare : NULL;
}

/* Of bytes that are no bundle of the right width: how far they agree with the truth. */
static void name_first_entry(struct fsck_finding *finding, const struct pair *pair,
                             struct span bytes, const struct hash *truth)
{
    struct span entry;
    size_t i = 0;
    while (i < pair->bundle.width && bundle_take_entry(&bytes, &entry)) {
        struct hash found = merkle_leaf_hash(entry);
        if (!hash_is_equal(&found, &truth[i])) {
            finding->has_hashes = true;
            finding->expected = truth[i];
            finding->found = found;
            break;
        }
        i++;
    }
    if (i < pair->bundle.width) {
        finding->has_entry = true;
        finding->entry = pair->bundle.id.index * TILE_WIDTH + i;
    }
}

/* Neither is the truth, and none is known: say what they hash to. */
static void compare_roots(struct fsck_finding *finding, const struct pair *pair,
                          const struct hash *leaves)
{
    if (pair->root != NULL) {
        finding->has_hashes = true;
        finding->expected = *pair->root;
        finding->found = tile_root(span_of(leaves, TILE_BYTES));
        snprintf(finding->detail, sizeof finding->detail,
                 "hashes of the whole tile; no copy agrees with the signed tree");
    } else {
        snprintf(finding->detail, sizeof finding->detail,
                 "its hashes and its entries differ, and the tree above is damaged");
    }
}

/* It is the truth; or, when the tree above is damaged, there is nothing to hold against it. */
static bool is_innocent(const struct pair *pair, const struct hash *leaves,
                        const struct hash *truth, bool has_other)
{
    if (truth != NULL) {
        return is_equal(leaves, truth, pair->tile.width);
    }
    return pair->root == NULL && pair->edge == NULL && !has_other;
}

static void report_tile(struct fsck_reader *reader, const struct pair *pair,
                        const struct hash *truth)
{
    const struct hash *stored = pair->stored_file.is_there ? pair->stored : NULL;
    if (stored != NULL && is_innocent(pair, stored, truth, pair->hashed_file.is_there)) {
        return;
    }
    struct fsck_finding finding = fsck_finding_make(&pair->tile, &pair->stored_file, truth, stored);
    if (truth == NULL && stored != NULL) {
        compare_roots(&finding, pair, stored);
    }
    if (truth != NULL && reader->fsck->options->is_repair) {
        fsck_repair_file(reader->fsck, &pair->tile,
                         span_of(truth, (size_t)pair->tile.width * HASH_BYTES), &finding);
    }
    fsck_add_finding(reader->fsck, &finding);
}

static void repair_bundle(struct fsck_reader *reader, const struct pair *pair,
                          const struct hash *truth, struct fsck_finding *finding)
{
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    if (find_bundle(reader, pair, truth, &bytes)) {
        fsck_repair_file(reader->fsck, &pair->bundle, buf_span(&bytes), finding);
    } else {
        snprintf(finding->detail, sizeof finding->detail,
                 "not repaired: no journal or mirror given has these entries");
    }
    buf_clear(&bytes);
}

static void report_bundle(struct fsck_reader *reader, const struct pair *pair,
                          const struct hash *truth)
{
    const struct hash *hashed = pair->hashed_file.is_there ? pair->hashed : NULL;
    if (hashed != NULL && is_innocent(pair, hashed, truth, pair->stored_file.is_there)) {
        return;
    }
    struct fsck_finding finding =
        fsck_finding_make(&pair->bundle, &pair->hashed_file, truth, hashed);
    if (truth == NULL && hashed != NULL) {
        compare_roots(&finding, pair, hashed);
    }
    if (truth != NULL && !pair->hashed_file.is_there &&
        pair->hashed_file.problem == FSCK_MALFORMED) {
        name_first_entry(&finding, pair, buf_span(&reader->bundle), truth);
    }
    if (truth != NULL && reader->fsck->options->is_repair) {
        repair_bundle(reader, pair, truth, &finding);
    }
    fsck_add_finding(reader->fsck, &finding);
}

enum err_code fsck_check_bundle(struct fsck_reader *reader, uint64_t index, uint16_t width,
                                const struct hash *root, const struct hash *leaves, struct err *err)
{
    struct pair pair;
    pair.tile = (struct tile_path){ false, { 0, index }, width };
    pair.bundle = (struct tile_path){ true, { 0, index }, width };
    pair.root = root;
    pair.edge = leaves;
    enum err_code rc =
        fsck_read_tile(reader, pair.tile.id, width, pair.stored, &pair.stored_file, err);
    if (rc == E_OK) {
        rc = fsck_read_bundle(reader, index, width, pair.hashed, &pair.hashed_file, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    bool is_agreed = pair.stored_file.is_there && pair.hashed_file.is_there &&
                     is_equal(pair.stored, pair.hashed, width);
    bool is_unknown = root == NULL && leaves == NULL; /* then the finding is in the tree above */
    if (is_agreed && (is_unknown || is_true(&pair, pair.hashed))) {
        return E_OK;
    }
    const struct hash *truth = find_truth(reader, &pair);
    report_tile(reader, &pair, truth);
    report_bundle(reader, &pair, truth);
    return E_OK;
}
