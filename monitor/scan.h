/* scan.h -- reads a stretch of a log and hashes it: every entry, every node, from the leaves upward.
 *
 * Spec: C2SP tlog-tiles; RFC 6962 section 2.1. Nothing that is read is believed: the caller compares
 * the root with a signed one. Workers fetch bundles and their level-0 tiles and hash them; the calling
 * thread joins the results in order. Memory is bounded by threads and a short queue, whatever the log.
 *
 * A served hash tile is compared with what its entries hash to: each full level-0 tile byte for byte,
 * each tile above when it becomes full (its root with ours). Blocks.
 */
#ifndef MONITOR_SCAN_H
#define MONITOR_SCAN_H

#include "client/log_reader.h"
#include "tlog/merkle.h"
#include "tlog/tile.h"

#include <stdatomic.h>

enum {
    SCAN_THREADS_MAX = 32
};

/* Opens readers of one log: one for each thread. */
struct scan_source {
    void *ctx;
    enum err_code (*open)(void *ctx, struct log_reader **out, struct err *err);
};

/* A hash tile that is served and is not what the entries hash to, or is not there. The scan goes on. */
struct scan_bad_tile {
    struct tile_path path;
    enum err_code code; /* E_CORRUPT: other hashes; E_NOT_FOUND; E_MALFORMED */
    char detail[256];
};

/* Who looks at the entries themselves. Threads read each into a view, of a size that they do not understand; the
 * calling thread sees the views in order. */
struct scan_visitor {
    void *ctx;
    size_t view_bytes;
    /* On any thread of the scan: fills in *view. `leaf` is the entry's hash. What is read need not come to be seen, and
     * may be read again. */
    void (*read)(void *ctx, uint64_t index, const struct hash *leaf, struct span entry, void *view);
    /* On the calling thread: `count` entries from `first` on, which `at` has all in it, as everything before. An
     * error ends the scan with it; they count as seen then too. */
    enum err_code (*see)(void *ctx, uint64_t first, void *views, size_t count,
                         const struct compact_range *at, struct err *err);
    /* Whoever had *view does not need it any more, seen or not; once for each read. Any thread. */
    void (*drop)(void *ctx, void *view);
};

/* All borrowed for the call. */
struct scan_options {
    struct scan_source source;
    unsigned threads;                 /* 1..SCAN_THREADS_MAX; small stretches use fewer */
    const struct compact_range *from; /* what has been hashed already */
    uint64_t to;                      /* size to reach: above from->size, at most SIZE_VALUE_MAX */
    const atomic_bool *is_stopping;   /* looked at between bundles; NULL: never */
    const struct scan_visitor *visitor; /* NULL: nobody looks */
    void *ctx;
    /* On the calling thread, at most about once a second and at the end: all entries below
     * at->size are hashed into it. May be kept to resume from. NULL: not told. */
    void (*on_progress)(void *ctx, const struct compact_range *at);
    /* On the calling thread. NULL: tiles are not read at all. */
    void (*on_bad_tile)(void *ctx, const struct scan_bad_tile *bad);
};

struct scan_report {
    struct compact_range range; /* at `to` */
    uint64_t entries, bytes;    /* read and hashed: entries from from->size on, bytes of bundles */
    uint64_t tiles;             /* compared */
};

/* E_OK: *out is filled. When from->size is inside a bundle, the entries before it are hashed again and must
 * give the root of `from`. Errors name the file ("tile/entries/x001/234: ..."): E_NOT_FOUND, E_MALFORMED,
 * E_TOO_LARGE, E_CORRUPT (the entries before from->size are not those hashed then), E_IO, E_TIMEOUT;
 * E_UNAVAILABLE: is_stopping. What was told to on_progress stands. */
MUST_USE enum err_code scan_run(struct scan_report *out, const struct scan_options *options,
                                struct err *err);

#endif
