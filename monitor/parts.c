#include "monitor/parts.h"

#include "base/ascii.h"

#include <stdio.h>
#include <time.h>

enum {
    SILENT_MS_MIN = 60 * 1000,
    SILENT_POLLS = 10,
    SINK_FAILING_S = 10 * 60,
    REASON_ORIGIN = 64, /* bytes of an origin in a reason */
};

struct watched_log *monitor_parts_log(const struct monitor_parts *parts, const char *origin,
                                      size_t *position)
{
    for (size_t i = 0; i < parts->log_count; i++) {
        if (strcmp(watched_log_origin(parts->logs[i]), origin) == 0) {
            if (position != NULL) {
                *position = i;
            }
            return parts->logs[i];
        }
    }
    return NULL;
}

uint64_t monitor_parts_entries(struct monitor_parts *parts)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < parts->log_count; i++) {
        struct watched_status status;
        watched_log_status(parts->logs[i], &status);
        sum += status.entries_hashed;
    }
    return sum;
}

static bool is_host_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || strchr(".-:[]_", byte) != NULL;
}

void monitor_parts_put_sink(struct monitor_parts *parts, size_t i, struct buf *out)
{
    struct courier_status status;
    courier_read_status(parts->couriers[i], &status);
    struct span rest = span_of_str(status.sink), kind, before;
    size_t start = out->len;
    buf_putf(out, "%zu ", i + 1);
    if (!span_take_until(&rest, ' ', &kind)) {
        kind = rest;
        rest.len = 0;
    }
    ascii_put_escaped(out, kind, 16);
    size_t slashes = span_find(rest, span_of_str("://"));
    if (slashes == SIZE_MAX || slashes > 8) {
        return;
    }
    buf_put_str(out, " ");
    buf_put(out, span_slice(rest, 0, slashes + 3));
    rest = span_slice(rest, slashes + 3, rest.len - slashes - 3);
    if (span_take_until(&rest, '@', &before)) { /* never a user's name, be it a strange URL */
        return;
    }
    while (rest.len > 0 && is_host_byte(rest.data[0]) &&
           out->len - start + 1 < MONITOR_SINK_LABEL_MAX) {
        buf_put_u8(out, rest.data[0]);
        rest = span_slice(rest, 1, rest.len - 1);
    }
}

/* -- health: the gravest reason, or none -- */

static bool is_store_failing(struct monitor_parts *parts, struct monitor_health *out)
{
    if (!state_store_is_failing(parts->store)) {
        return false;
    }
    snprintf(out->reason, sizeof out->reason, "the store cannot be written");
    return true;
}

static bool is_follower_silent(struct monitor_parts *parts, struct monitor_health *out)
{
    uint64_t most_ms = SILENT_POLLS * parts->poll_interval_ms;
    most_ms = most_ms > SILENT_MS_MIN ? most_ms : SILENT_MS_MIN;
    for (size_t i = 0; i < parts->log_count; i++) {
        uint64_t silent_ms = follower_silent_ms(parts->followers[i]);
        if (silent_ms > most_ms) {
            struct buf origin = BUF_INIT(4 * REASON_ORIGIN + 8);
            ascii_put_escaped(&origin, span_of_str(watched_log_origin(parts->logs[i])),
                              REASON_ORIGIN);
            snprintf(out->reason, sizeof out->reason,
                     "the follower of %s has made no progress for %llu s", buf_c_str(&origin),
                     (unsigned long long)(silent_ms / 1000));
            buf_clear(&origin);
            return true;
        }
    }
    return false;
}

/* Seconds since this sink was first seen failing; 0: it is not. */
static int64_t sink_failing_s(struct monitor_parts *parts, size_t i, int64_t now_s)
{
    struct courier_status status;
    courier_read_status(parts->couriers[i], &status);
    if (status.last_error[0] == 0) {
        atomic_store(&parts->sink_failing_since_s[i], 0);
        return 0;
    }
    int64_t since_s = 0;
    atomic_compare_exchange_strong(&parts->sink_failing_since_s[i], &since_s, now_s);
    since_s = since_s == 0 ? now_s : since_s;
    return now_s > since_s ? now_s - since_s : 0;
}

static bool is_sink_failing(struct monitor_parts *parts, struct monitor_health *out)
{
    int64_t now_s = (int64_t)time(NULL);
    bool is_failing = false;
    for (size_t i = 0; i < parts->courier_count; i++) { /* all: each has its time noted */
        int64_t failing_s = sink_failing_s(parts, i, now_s);
        if (failing_s > SINK_FAILING_S && !is_failing) {
            snprintf(out->reason, sizeof out->reason,
                     "alert sink %zu of %zu has failed for %lld min", i + 1, parts->courier_count,
                     (long long)(failing_s / 60));
            is_failing = true;
        }
    }
    return is_failing;
}

void monitor_parts_health(struct monitor_parts *parts, struct monitor_health *out)
{
    *out = (struct monitor_health){ .is_well = false };
    if (atomic_load(&parts->is_stopping)) {
        snprintf(out->reason, sizeof out->reason, "stopping");
        return;
    }
    bool is_sink = is_sink_failing(parts, out);
    out->is_well = !is_store_failing(parts, out) && !is_follower_silent(parts, out) && !is_sink;
}
