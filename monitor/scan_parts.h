/* scan_parts.h -- what the two parts of scan share: inside monitor/scan*.c only.
 *
 * scan.c        threads, and joining in order what they hashed
 * scan_bundle.c one bundle with its level-0 tile, and one tile above
 */
#ifndef MONITOR_SCAN_PARTS_H
#define MONITOR_SCAN_PARTS_H

#include "monitor/scan.h"

#include <stdatomic.h>

enum {
    /* Each thread may hold a bundle of so many bytes. Larger ones are the calling thread's alone, so that
     * a log of giant entries is slow and takes hardly more memory than others: malloc keeps what is
     * freed for the thread that had it. */
    SCAN_BUNDLE_BYTES = 2 * 1024 * 1024
};

/* What all threads of a run share. */
struct scan_shared {
    const struct scan_options *options;
    atomic_bool is_abandoned; /* the run has failed: what is under way is of no use */
};

/* What one thread reads with. */
struct scan_reader {
    struct scan_shared *shared;
    bool is_callers;         /* the calling thread's: bundles of any size */
    struct log_reader *log;  /* owned; opened when it is first needed */
    struct buf bundle, tile; /* owned */
};

void scan_reader_init(struct scan_reader *reader, struct scan_shared *shared, bool is_callers);
void scan_reader_clear(struct scan_reader *reader);

/* E_UNAVAILABLE once the scan is to end. */
MUST_USE enum err_code scan_check_stopping(const struct scan_shared *shared, struct err *err);

/* How a served hash tile compares with the entries. */
struct scan_tile {
    bool is_compared;         /* it was there, and of the right length */
    bool is_bad;              /* it was not, or holds other hashes */
    struct scan_bad_tile bad; /* then */
};

/* A bundle: its entries' hashes, and its tile. */
struct scan_bundle {
    struct hash leaves[TILE_WIDTH];
    uint64_t bytes;
    struct scan_tile tile; /* zeroes when there is none to compare with */
};

/* What a visitor has read of a bundle's entries: from `first` to before `end`, positions in it. */
struct scan_views {
    uint8_t *all; /* TILE_WIDTH of view_bytes; owned. NULL: there is no visitor */
    uint16_t first, end;
};
void scan_views_init(struct scan_views *views, const struct scan_shared *shared);
void scan_views_drop(struct scan_views *views, const struct scan_shared *shared);
void scan_views_clear(struct scan_views *views, const struct scan_shared *shared);
static inline void *scan_views_at(const struct scan_views *views, const struct scan_shared *shared,
                                  size_t position)
{
    return views->all + position * shared->options->visitor->view_bytes;
}

/* Reads and hashes a bundle of exactly `width` entries, which the visitor reads from position `known` on; if it is
 * full and tiles are wanted, its tile is compared. Errors name the file; E_TOO_LARGE may mean that the calling thread
 * can read it. *views may have something in it after an error. */
MUST_USE enum err_code scan_read_bundle(struct scan_reader *reader, uint64_t index, uint16_t known,
                                        uint16_t width, struct scan_bundle *out,
                                        struct scan_views *views, struct err *err);

/* Reads the full tile `id` of level 1 or above, and compares its root with what its entries hash to. */
MUST_USE enum err_code scan_check_tile(struct scan_reader *reader, struct tile_id id,
                                       const struct hash *root, struct scan_tile *out,
                                       struct err *err);

#endif
