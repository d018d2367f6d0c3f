#include "logd/partials.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/tile_source.h"

#include <stdio.h>
#include <sys/queue.h>

struct partial {
    LIST_ENTRY(partial) next;
    struct tile_path path;
    uint64_t due_ms; /* 0: its tile is not full yet */
};

struct partials {
    LIST_HEAD(, partial) all;
};

struct partials *partials_new(void)
{
    struct partials *partials = NEW(struct partials);
    LIST_INIT(&partials->all);
    return partials;
}

static void forget(struct partial *partial)
{
    LIST_REMOVE(partial, next);
    mem_free(partial);
}

void partials_free(struct partials *partials)
{
    if (partials == NULL) {
        return;
    }
    while (!LIST_EMPTY(&partials->all)) {
        forget(LIST_FIRST(&partials->all));
    }
    mem_free(partials);
}

/* Newest first: a path that is written again is found at once. */
static void remember(struct partials *partials, const struct tile_path *path)
{
    struct partial *partial;
    LIST_FOREACH(partial, &partials->all, next)
    {
        if (partial->path.is_bundle == path->is_bundle && partial->path.width == path->width &&
            partial->path.id.level == path->id.level && partial->path.id.index == path->id.index) {
            return;
        }
    }
    partial = NEW(struct partial);
    partial->path = *path;
    LIST_INSERT_HEAD(&partials->all, partial, next);
}

struct write {
    struct partials *partials;
    struct tiles *tiles;
    enum err_code rc;
    struct err *err;
};

static void write_partial(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct write *write = ctx;
    if (write->rc == E_OK) {
        write->rc = tiles_write(write->tiles, tile_path_text(path).text, bytes, write->err);
        remember(write->partials, path);
    }
}

enum err_code partials_write(struct partials *partials, struct tiles *tiles,
                             const struct edge *edge, struct err *err)
{
    struct write write = { .partials = partials, .tiles = tiles, .err = err };
    edge_put_partials(edge, write_partial, &write);
    return write.rc;
}

void partials_remove_due(struct partials *partials, struct tiles *tiles, uint64_t published,
                         uint64_t now_ms)
{
    struct partial *partial = LIST_FIRST(&partials->all);
    while (partial != NULL) {
        struct partial *next = LIST_NEXT(partial, next);
        struct err err;
        if (partial->due_ms == 0 && tile_width(partial->path.id, published) == TILE_WIDTH) {
            partial->due_ms = now_ms + PARTIALS_KEEP_MS;
        } else if (partial->due_ms != 0 && partial->due_ms <= now_ms) {
            if (tiles_remove(tiles, tile_path_text(&partial->path).text, &err) != E_OK) {
                log_error(LOG_LEVEL_WARN, "partial_not_removed", &err);
            }
            forget(partial);
        }
        partial = next;
    }
}

/* -- What an earlier process left -- */

struct scan {
    struct partials *partials;
    struct tiles *tiles;
    char dir[TILE_PATH_MAX + 1]; /* whose names are being told */
};

static enum err_code keep_width(void *ctx, const char *name, bool is_dir, struct err *err)
{
    struct scan *scan = ctx;
    char text[2 * TILE_PATH_MAX + 2];
    snprintf(text, sizeof text, "%s/%s", scan->dir, name);
    struct tile_path path;
    if (!is_dir && tile_path_parse(&path, span_of_str(text), err) == E_OK) {
        remember(scan->partials, &path);
    }
    return E_OK; /* files that are not ours are for fsck to tell */
}

static enum err_code scan_group_name(void *ctx, const char *name, bool is_dir, struct err *err)
{
    struct scan *scan = ctx;
    if (!is_dir || !span_has_suffix(span_of_str(name), span_of_str(".p"))) {
        return E_OK;
    }
    struct scan inner = { .partials = scan->partials, .tiles = scan->tiles };
    if (snprintf(inner.dir, sizeof inner.dir, "%s/%s", scan->dir, name) >= (int)sizeof inner.dir) {
        return E_OK;
    }
    return tiles_list(scan->tiles, inner.dir, keep_width, &inner, err);
}

/* The directory that holds tile number `index`, and its neighbours of the same thousand. */
static enum err_code scan_group(struct partials *partials, struct tiles *tiles,
                                const struct tile_path *path, struct err *err)
{
    struct scan scan = { .partials = partials, .tiles = tiles };
    snprintf(scan.dir, sizeof scan.dir, "%s", tile_path_text(path).text);
    *strrchr(scan.dir, '/') = 0;
    enum err_code rc = tiles_list(tiles, scan.dir, scan_group_name, &scan, err);
    return rc == E_NOT_FOUND ? E_OK : rc;
}

enum err_code partials_scan(struct partials *partials, struct tiles *tiles, uint64_t size,
                            struct err *err)
{
    enum {
        GROUP = 1000,
        KINDS = TILE_LEVELS + 1
    }; /* names in one directory; levels and bundles */
    for (unsigned kind = 0; kind < KINDS; kind++) {
        bool is_bundle = kind == TILE_LEVELS;
        uint8_t level = is_bundle ? 0 : (uint8_t)kind;
        uint64_t index = (size >> (TILE_HEIGHT * level)) / TILE_WIDTH;
        for (uint64_t back = 0; back <= GROUP && back <= index; back += GROUP) {
            struct tile_path path = { is_bundle, { level, index - back }, TILE_WIDTH };
            enum err_code rc = scan_group(partials, tiles, &path, err);
            if (rc != E_OK) {
                return rc;
            }
        }
    }
    return E_OK;
}
