#include "base/metrics.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum kind {
    KIND_COUNTER,
    KIND_GAUGE,
    KIND_HISTOGRAM
};
static const char *const kind_names[] = { "counter", "gauge", "histogram" };

/* Updates are relaxed: a reader may see one series before another, never a wrong value. Each hot
 * word has a cache line to itself, or threads that count different things would slow each other. */
enum {
    CACHE_LINE_BYTES = 64
};

struct metrics_counter {
    _Atomic uint64_t total;
    char apart[CACHE_LINE_BYTES - sizeof(uint64_t)];
};

struct metrics_gauge {
    _Atomic int64_t value;
    char apart[CACHE_LINE_BYTES - sizeof(int64_t)];
};

struct metrics_histogram {
    enum metrics_unit unit;
    size_t bound_count;
    uint64_t bounds[METRICS_BUCKETS_MAX];
    _Atomic uint64_t sum;
    _Atomic uint64_t counts[METRICS_BUCKETS_MAX + 1]; /* not cumulative; the last: above all */
};

struct series {
    enum kind kind;
    const char *name;
    const char *help;
    char *labels; /* owned; "" for none */
    union {       /* owned */
        void *memory;
        struct metrics_counter *counter;
        struct metrics_gauge *gauge;
        struct metrics_histogram *histogram;
    };
};

struct metrics {
    size_t count;
    struct series series[METRICS_SERIES_MAX];
};

struct metrics *metrics_new(void)
{
    return NEW(struct metrics);
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->count; i++) {
        mem_free(metrics->series[i].labels);
        mem_free(metrics->series[i].memory);
    }
    mem_free(metrics);
}

/* -- registration -- */

static void add_series(struct metrics *metrics, enum kind kind, const char *name,
                       const char *labels, const char *help, void *memory)
{
    assert(metrics->count < METRICS_SERIES_MAX);
    labels = labels == NULL ? "" : labels;
    for (size_t i = 0; i < metrics->count; i++) {
        const struct series *other = &metrics->series[i];
        if (strcmp(other->name, name) == 0) {
            assert(other->kind == kind);
            assert(strcmp(other->labels, labels) != 0);
        }
    }
    metrics->series[metrics->count++] = (struct series){
        .kind = kind, .name = name, .help = help, .labels = mem_strdup(labels), .memory = memory
    };
}

struct metrics_counter *metrics_add_counter(struct metrics *metrics, const char *name,
                                            const char *labels, const char *help)
{
    struct metrics_counter *counter = NEW(struct metrics_counter);
    add_series(metrics, KIND_COUNTER, name, labels, help, counter);
    return counter;
}

struct metrics_gauge *metrics_add_gauge(struct metrics *metrics, const char *name,
                                        const char *labels, const char *help)
{
    struct metrics_gauge *gauge = NEW(struct metrics_gauge);
    add_series(metrics, KIND_GAUGE, name, labels, help, gauge);
    return gauge;
}

struct metrics_histogram *metrics_add_histogram(struct metrics *metrics, const char *name,
                                                const char *labels, const char *help,
                                                enum metrics_unit unit, const uint64_t *bounds,
                                                size_t bound_count)
{
    assert(bound_count <= METRICS_BUCKETS_MAX);
    struct metrics_histogram *histogram = NEW(struct metrics_histogram);
    histogram->unit = unit;
    histogram->bound_count = bound_count;
    for (size_t i = 0; i < bound_count; i++) {
        assert(i == 0 || bounds[i - 1] < bounds[i]);
        histogram->bounds[i] = bounds[i];
    }
    add_series(metrics, KIND_HISTOGRAM, name, labels, help, histogram);
    return histogram;
}

void metrics_put_label(struct buf *labels, const char *name, struct span value)
{
    buf_putf(labels, "%s%s=\"", labels->len > 0 ? "," : "", name);
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c == '\n') {
            buf_put_str(labels, "\\n");
            continue;
        }
        if (c == '"' || c == '\\') {
            buf_put_u8(labels, '\\');
        }
        buf_put_u8(labels, c);
    }
    buf_put_str(labels, "\"");
}

/* -- updates -- */

void metrics_count(struct metrics_counter *counter, uint64_t more)
{
    atomic_fetch_add_explicit(&counter->total, more, memory_order_relaxed);
}

void metrics_count_total(struct metrics_counter *counter, uint64_t total)
{
    atomic_store_explicit(&counter->total, total, memory_order_relaxed);
}

void metrics_set(struct metrics_gauge *gauge, int64_t value)
{
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

void metrics_change(struct metrics_gauge *gauge, int64_t difference)
{
    atomic_fetch_add_explicit(&gauge->value, difference, memory_order_relaxed);
}

void metrics_observe(struct metrics_histogram *histogram, uint64_t value)
{
    size_t i = 0;
    while (i < histogram->bound_count && value > histogram->bounds[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&histogram->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}

uint64_t metrics_counted(const struct metrics_counter *counter)
{
    return atomic_load_explicit(&counter->total, memory_order_relaxed);
}

int64_t metrics_value(const struct metrics_gauge *gauge)
{
    return atomic_load_explicit(&gauge->value, memory_order_relaxed);
}

/* -- the process -- */

/* The number after `field` in a /proc file of "Field: number" lines. */
static uint64_t proc_number(const char *path, const char *field)
{
    enum {
        PROC_BYTES_MAX = 16 * 1024
    };
    struct buf text = BUF_INIT(PROC_BYTES_MAX);
    struct err ignored;
    uint64_t number = METRICS_UNKNOWN;
    if (file_read(&text, path, &ignored) == E_OK) {
        struct span rest = buf_span(&text);
        struct span line;
        while (number == METRICS_UNKNOWN && span_take_until(&rest, '\n', &line)) {
            if (!span_take_prefix(&line, span_of_str(field))) {
                continue;
            }
            while (line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t')) {
                line = span_slice(line, 1, line.len - 1);
            }
            size_t digits = span_find(line, span_of_str(" ")); /* "1234 kB" */
            line = digits == SIZE_MAX ? line : span_slice(line, 0, digits);
            if (decimal_parse(&number, line, SIZE_VALUE_MAX, &ignored) != E_OK) {
                break;
            }
        }
    }
    buf_clear(&text);
    return number;
}

static uint64_t count_open_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) {
        return METRICS_UNKNOWN;
    }
    uint64_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count - 1; /* the one that reads the directory */
}

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

struct metrics_process metrics_process(void)
{
    struct metrics_process process = { .cpu_us = METRICS_UNKNOWN, .max_fds = METRICS_UNKNOWN };
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        process.cpu_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        process.max_fds = limit.rlim_cur;
    }
    process.written_bytes = proc_number("/proc/self/io", "write_bytes:");
    uint64_t kilobytes = proc_number("/proc/self/status", "RssAnon:");
    process.rss_anon_bytes = kilobytes == METRICS_UNKNOWN ? METRICS_UNKNOWN : kilobytes * 1024;
    process.open_fds = count_open_fds();
    return process;
}

/* -- rendering -- */

static void put_head(struct buf *out, const char *name, enum kind kind, const char *help)
{
    buf_putf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind_names[kind]);
}

/* Seconds with all six decimals of microseconds, or the plain number. */
static void put_amount(struct buf *out, enum metrics_unit unit, uint64_t amount)
{
    if (unit == METRICS_MICROSECONDS) {
        buf_putf(out, "%" PRIu64 ".%06" PRIu64, amount / 1000000, amount % 1000000);
    } else {
        buf_putf(out, "%" PRIu64, amount);
    }
}

/* "name_suffix{labels} ", without braces when there are no labels. */
static void put_series_name(struct buf *out, const struct series *series, const char *suffix)
{
    buf_putf(out, "%s%s", series->name, suffix);
    if (series->labels[0] != '\0') {
        buf_putf(out, "{%s}", series->labels);
    }
    buf_put_str(out, " ");
}

static void put_histogram(struct buf *out, const struct series *series)
{
    const struct metrics_histogram *histogram = series->histogram;
    const char *comma = series->labels[0] != '\0' ? "," : "";
    uint64_t total = 0; /* of what is printed, so that the buckets and the count agree */
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        total += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        buf_putf(out, "%s_bucket{%s%sle=\"", series->name, series->labels, comma);
        if (i < histogram->bound_count) {
            put_amount(out, histogram->unit, histogram->bounds[i]);
        } else {
            buf_put_str(out, "+Inf");
        }
        buf_putf(out, "\"} %" PRIu64 "\n", total);
    }
    put_series_name(out, series, "_sum");
    put_amount(out, histogram->unit, atomic_load_explicit(&histogram->sum, memory_order_relaxed));
    buf_put_str(out, "\n");
    put_series_name(out, series, "_count");
    buf_putf(out, "%" PRIu64 "\n", total);
}

static void put_series(struct buf *out, const struct series *series)
{
    switch (series->kind) {
    case KIND_COUNTER:
        put_series_name(out, series, "");
        buf_putf(out, "%" PRIu64 "\n", metrics_counted(series->counter));
        break;
    case KIND_GAUGE:
        put_series_name(out, series, "");
        buf_putf(out, "%" PRId64 "\n", metrics_value(series->gauge));
        break;
    case KIND_HISTOGRAM:
        put_histogram(out, series);
        break;
    }
}

static bool is_first_of_name(const struct metrics *metrics, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(metrics->series[j].name, metrics->series[i].name) == 0) {
            return false;
        }
    }
    return true;
}

static void put_process_row(struct buf *out, const char *name, enum kind kind,
                            enum metrics_unit unit, uint64_t amount, const char *help)
{
    if (amount == METRICS_UNKNOWN) {
        return;
    }
    put_head(out, name, kind, help);
    buf_putf(out, "%s ", name);
    put_amount(out, unit, amount);
    buf_put_str(out, "\n");
}

static void put_process(struct buf *out)
{
    struct metrics_process process = metrics_process();
    put_process_row(out, "process_cpu_seconds_total", KIND_COUNTER, METRICS_MICROSECONDS,
                    process.cpu_us, "User and system time of all threads.");
    put_process_row(out, "process_written_bytes_total", KIND_COUNTER, METRICS_PLAIN,
                    process.written_bytes, "Bytes sent to the disk.");
    put_process_row(out, "process_resident_anon_bytes", KIND_GAUGE, METRICS_PLAIN,
                    process.rss_anon_bytes, "Resident memory without mapped files (RssAnon).");
    put_process_row(out, "process_open_fds", KIND_GAUGE, METRICS_PLAIN, process.open_fds,
                    "Open file descriptors.");
    put_process_row(out, "process_max_fds", KIND_GAUGE, METRICS_PLAIN, process.max_fds,
                    "Limit of open file descriptors.");
}

void metrics_put(struct buf *out, const struct metrics *metrics)
{
    for (size_t i = 0; i < metrics->count; i++) {
        const struct series *first = &metrics->series[i];
        if (!is_first_of_name(metrics, i)) {
            continue; /* printed with the first: a name's series stand together */
        }
        put_head(out, first->name, first->kind, first->help);
        for (size_t j = i; j < metrics->count; j++) {
            if (strcmp(metrics->series[j].name, first->name) == 0) {
                put_series(out, &metrics->series[j]);
            }
        }
    }
    put_process(out);
}
