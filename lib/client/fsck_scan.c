/* fsck_scan.c -- files in a directory that the signed tree does not need.
 *
 * Older partial tiles and bundles are served too, to readers with an older checkpoint, so they must be
 * prefixes of what the signed tree holds. All else is only remarked upon. */
#include "base/alloc.h"
#include "client/fsck_parts.h"
#include "client/tile_reader.h"
#include "store/tile_source.h"
#include "tlog/bundle.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>

struct scan {
    struct fsck_reader *reader;
    struct tile_reader *tiles; /* opened for the first older file; owned */
    bool is_tried;
    uint64_t ahead_count;
};

static struct tile_reader *scan_tiles(struct scan *scan)
{
    const struct fsck_options *options = scan->reader->fsck->options;
    if (!scan->is_tried) {
        struct err ignored; /* then the edge is damaged, which has been told */
        scan->is_tried = true;
        if (tile_reader_open(&scan->tiles, scan->reader->log, options->size, &options->root,
                             &ignored) != E_OK) {
            scan->tiles = NULL;
        }
    }
    return scan->tiles;
}

/* The bytes that an older partial file should have; false when they are not to be had. */
static bool older_bytes(struct scan *scan, const struct tile_path *path, const struct hash *truth,
                        struct buf *out)
{
    struct err ignored;
    if (!path->is_bundle) {
        buf_put(out, span_of(truth, (size_t)path->width * HASH_BYTES));
        return true;
    }
    struct span prefix;
    struct buf whole = BUF_INIT(BUNDLE_BYTES_MAX);
    bool is_had = tile_reader_get_bundle(scan->tiles, path->id.index, &whole, &ignored) == E_OK &&
                  bundle_prefix(&prefix, buf_span(&whole), path->width, &ignored) == E_OK;
    if (is_had) {
        buf_put(out, prefix);
    }
    buf_clear(&whole);
    return is_had;
}

static void report_older(struct scan *scan, const struct tile_path *path,
                         const struct fsck_file *file, const struct hash *truth,
                         const struct hash *found)
{
    struct fsck *fsck = scan->reader->fsck;
    struct fsck_finding finding = fsck_finding_make(path, file, truth, found);
    if (fsck->options->is_repair) {
        struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
        if (older_bytes(scan, path, truth, &bytes)) {
            fsck_repair_file(fsck, path, buf_span(&bytes), &finding);
        }
        buf_clear(&bytes);
    }
    fsck_add_finding(fsck, &finding);
}

/* A partial tile or bundle that a wider one has replaced. */
static enum err_code check_older(struct scan *scan, const struct tile_path *path, struct err *err)
{
    struct hash found[TILE_WIDTH];
    struct fsck_file file;
    struct err ignored;
    const struct hash *truth = NULL;
    enum err_code rc =
        path->is_bundle
            ? fsck_read_bundle(scan->reader, path->id.index, path->width, found, &file, err)
            : fsck_read_tile(scan->reader, path->id, path->width, found, &file, err);
    if (rc != E_OK) {
        return rc;
    }
    if (scan_tiles(scan) == NULL ||
        tile_reader_get(scan->tiles, path->id, &truth, &ignored) != E_OK) {
        fsck_add_note(scan->reader->fsck, "%s could not be checked: what replaced it is damaged",
                      tile_path_text(path).text);
        return E_OK;
    }
    if (!file.is_there || memcmp(found, truth, (size_t)path->width * HASH_BYTES) != 0) {
        struct hash copy[TILE_WIDTH]; /* the reader's is good for one call only */
        memcpy(copy, truth, (size_t)path->width * HASH_BYTES);
        report_older(scan, path, &file, copy, file.is_there ? found : NULL);
    }
    return E_OK;
}

static enum err_code look_at(struct scan *scan, const char *name, struct err *err)
{
    struct fsck *fsck = scan->reader->fsck;
    struct tile_path path;
    struct err ignored;
    if (strcmp(name, "checkpoint") == 0 || strncmp(name, "archive/", strlen("archive/")) == 0) {
        return E_OK;
    }
    if (tile_path_parse(&path, span_of_str(name), &ignored) != E_OK) {
        fsck_add_note(fsck, "%.300s is not part of a log", name);
        return E_OK;
    }
    uint16_t width = tile_width(path.id, fsck->options->size);
    if (path.width > width) {
        scan->ahead_count++;
        return E_OK;
    }
    return path.width < width ? check_older(scan, &path, err) : E_OK;
}

enum err_code fsck_scan(struct fsck_reader *reader, struct err *err)
{
    struct scan scan = { .reader = reader };
    char *root = mem_strdup(reader->fsck->options->log->target);
    size_t prefix = strlen(root);
    while (prefix > 1 && root[prefix - 1] == '/') {
        root[--prefix] = '\0';
    }
    enum err_code rc = E_OK;
    FTS *files = fts_open((char *const[]){ root, NULL }, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (files == NULL) {
        rc = err_set_errno(err, E_IO, errno, "list %s", root);
        goto out;
    }
    FTSENT *file = NULL;
    while (rc == E_OK && (file = fts_read(files)) != NULL) {
        bool is_directory = file->fts_info == FTS_D || file->fts_info == FTS_DP;
        if (!is_directory && file->fts_pathlen > prefix + 1) {
            rc = look_at(&scan, file->fts_path + prefix + 1, err);
        }
    }
    if (rc == E_OK && scan.ahead_count > 0) {
        fsck_add_note(reader->fsck, "%ju files are of a larger tree than the signed one",
                      (uintmax_t)scan.ahead_count);
    }
    fts_close(files);
out:
    tile_reader_close(scan.tiles);
    mem_free(root);
    return rc;
}
