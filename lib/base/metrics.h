/* metrics.h -- counters, gauges and histograms, rendered as Prometheus text.
 *
 * Spec: Prometheus text exposition format 0.0.4 (content type METRICS_CONTENT_TYPE).
 * Register everything at start, on one thread; after that updates and rendering are lock-free, from
 * any thread. Names follow Prometheus' habit: courtroll_<what>_<unit>, counters end in _total,
 * durations are printed in seconds.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"
#include "base/span.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum {
    METRICS_TEXT_BYTES_MAX = 1024 * 1024, /* room that metrics_put asks of its buffer */
    METRICS_SERIES_MAX = 1024,
    METRICS_BUCKETS_MAX = 32,
};

struct metrics;
struct metrics_counter;
struct metrics_gauge;
struct metrics_histogram;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics); /* and all that was registered; NULL is fine */

/* Registration. `name` and `help` are static; `labels` is copied: `a="x",b="y"` as made by
 * metrics_put_label, or NULL. Series that share a name share its help and kind; the same name with
 * the same labels twice is a bug. What is returned is owned by `metrics`. */
struct metrics_counter *metrics_add_counter(struct metrics *metrics, const char *name,
                                            const char *labels, const char *help);
struct metrics_gauge *metrics_add_gauge(struct metrics *metrics, const char *name,
                                        const char *labels, const char *help);

/* What a histogram counts: its unit as observed, and how it is printed. */
enum metrics_unit {
    METRICS_PLAIN,        /* bytes, entries: as they are */
    METRICS_MICROSECONDS, /* printed as seconds */
};

/* `bounds`: upper ends of the buckets, inclusive, in the unit observed, ascending; copied. */
struct metrics_histogram *metrics_add_histogram(struct metrics *metrics, const char *name,
                                                const char *labels, const char *help,
                                                enum metrics_unit unit, const uint64_t *bounds,
                                                size_t bound_count);

/* Appends `name="value"`, after a comma if `labels` is not empty; the value may be any text. */
void metrics_put_label(struct buf *labels, const char *name, struct span value);

/* Updates. */
void metrics_count(struct metrics_counter *counter, uint64_t more);
/* For a total that is kept elsewhere, which never goes down. */
void metrics_count_total(struct metrics_counter *counter, uint64_t total);
void metrics_set(struct metrics_gauge *gauge, int64_t value);
void metrics_change(struct metrics_gauge *gauge, int64_t difference);
void metrics_observe(struct metrics_histogram *histogram, uint64_t value);

/* What is in it now, for status pages and tests. */
uint64_t metrics_counted(const struct metrics_counter *counter);
int64_t metrics_value(const struct metrics_gauge *gauge);

/* Appends all of it, and the process's own (below). Reads /proc. Requires METRICS_TEXT_BYTES_MAX
 * bytes of room in `out`. */
void metrics_put(struct buf *out, const struct metrics *metrics);

/* This process, as the kernel counts it. A number it does not tell is METRICS_UNKNOWN. */
#define METRICS_UNKNOWN UINT64_MAX
struct metrics_process {
    uint64_t cpu_us;         /* user and system, all threads */
    uint64_t written_bytes;  /* sent to the disk: write_bytes of /proc/self/io */
    uint64_t rss_anon_bytes; /* RssAnon: without mapped files, such as LevelDB's tables */
    uint64_t open_fds;
    uint64_t max_fds;
};
struct metrics_process metrics_process(void);

#endif
