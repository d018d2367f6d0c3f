#include "monitor/heartbeat.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

#define KEY "heartbeat/last"

enum {
    VALUE_BYTES = 16,  /* time of the last one; entries looked at since, in runs that are over */
    SUMMARY_LOGS = 8,  /* logs named in the summary */
    ORIGIN_SHOWN = 40, /* bytes of an origin in it */
};

struct heartbeat {
    struct monitor_parts *parts;
    uint64_t interval_s;
    _Atomic int64_t last_s;
    uint64_t before;  /* entries looked at since the last one, by runs that are over */
    uint64_t counted; /* monitor_parts_entries when the last one was */
    uint64_t stored;  /* entries in the store */
};

static uint64_t entries_since(const struct heartbeat *heartbeat)
{
    return heartbeat->before + monitor_parts_entries(heartbeat->parts) - heartbeat->counted;
}

static enum err_code read_last(struct heartbeat *heartbeat, struct err *err)
{
    struct buf value = BUF_INIT(VALUE_BYTES);
    uint64_t last_s = 0;
    enum err_code rc = state_store_get(heartbeat->parts->store, span_of_str(KEY), &value, err);
    if (rc == E_OK) {
        struct span in = buf_span(&value);
        if (!span_take_u64(&in, &last_s) || !span_take_u64(&in, &heartbeat->before) || in.len > 0) {
            rc = err_set(err, E_CORRUPT, "the store's " KEY " has %zu bytes", value.len);
        }
        atomic_store(&heartbeat->last_s, (int64_t)last_s);
        heartbeat->stored = heartbeat->before;
    }
    buf_clear(&value);
    return rc;
}

static enum err_code write_last(struct heartbeat *heartbeat, int64_t last_s, uint64_t entries,
                                bool is_synced, struct err *err)
{
    struct kv_batch batch;
    struct buf value = BUF_INIT(VALUE_BYTES);
    kv_batch_init(&batch);
    buf_put_u64(&value, (uint64_t)last_s);
    buf_put_u64(&value, entries);
    kv_batch_put(&batch, span_of_str(KEY), buf_span(&value));
    enum err_code rc = is_synced ? state_store_write_synced(heartbeat->parts->store, &batch, err)
                                 : state_store_write(heartbeat->parts->store, &batch, err);
    kv_batch_clear(&batch);
    buf_clear(&value);
    return rc;
}

enum err_code heartbeat_open(struct heartbeat **out, struct monitor_parts *parts,
                             uint64_t interval_s, int64_t now_s, struct err *err)
{
    struct heartbeat *heartbeat = NEW(struct heartbeat);
    heartbeat->parts = parts;
    heartbeat->interval_s = interval_s;
    heartbeat->counted = monitor_parts_entries(parts);
    enum err_code rc = read_last(heartbeat, err);
    if (rc == E_NOT_FOUND) {
        atomic_store(&heartbeat->last_s, now_s);
        rc = write_last(heartbeat, now_s, 0, true, err);
    }
    if (rc != E_OK) {
        heartbeat_free(heartbeat);
        return rc;
    }
    *out = heartbeat;
    return E_OK;
}

void heartbeat_free(struct heartbeat *heartbeat)
{
    mem_free(heartbeat);
}

/* -- what it says -- */

static void put_logs(struct heartbeat *heartbeat, struct buf *out)
{
    const struct monitor_parts *parts = heartbeat->parts;
    for (size_t i = 0; i < parts->log_count && i < SUMMARY_LOGS; i++) {
        struct watched_status status;
        struct buf origin = BUF_INIT(4 * ORIGIN_SHOWN + 8);
        watched_log_status(parts->logs[i], &status);
        ascii_put_escaped(&origin, span_of_str(watched_log_origin(parts->logs[i])), ORIGIN_SHOWN);
        buf_putf(out, "%s%s: %" PRIu64, i == 0 ? "" : ", ", buf_c_str(&origin), status.held_size);
        buf_clear(&origin);
    }
    if (parts->log_count > SUMMARY_LOGS) {
        buf_putf(out, ", and %zu more logs", parts->log_count - SUMMARY_LOGS);
    }
}

static void fill(struct heartbeat *heartbeat, struct finding *finding, int64_t now_s)
{
    size_t open[3];
    struct buf logs = BUF_INIT(SUMMARY_LOGS * (4 * ORIGIN_SHOWN + 64) + 64);
    alert_book_count(heartbeat->parts->alerts, open);
    put_logs(heartbeat, &logs);
    *finding = (struct finding){ .code = FINDING_HEARTBEAT, .origin = "" };
    int64_t since_s = now_s - heartbeat_last_s(heartbeat);
    snprintf(finding->summary, sizeof finding->summary,
             "%" PRIu64 " entries looked at in the last %" PRId64
             " h. Open alerts: %zu, of which critical: %zu. Sizes: %s.",
             entries_since(heartbeat), since_s / 3600,
             open[FINDING_INFO] + open[FINDING_WARNING] + open[FINDING_CRITICAL],
             open[FINDING_CRITICAL], buf_c_str(&logs));
    buf_clear(&logs);
}

/* A crash between the two writes tells it once more: better than not at all. */
static enum err_code beat(struct heartbeat *heartbeat, int64_t now_s, struct err *err)
{
    struct finding finding;
    char id[ALERT_ID_CHARS + 1];
    uint64_t entries = entries_since(heartbeat);
    fill(heartbeat, &finding, now_s);
    enum err_code rc = alert_book_raise(heartbeat->parts->alerts, &finding, now_s, id, err);
    if (rc == E_OK) {
        rc = write_last(heartbeat, now_s, 0, true, err);
    }
    if (rc == E_OK) {
        log_event(LOG_LEVEL_INFO, "heartbeat", "entries=%" PRIu64 " summary=%s", entries,
                  log_quoted_str(finding.summary).text);
        atomic_store(&heartbeat->last_s, now_s);
        heartbeat->counted += entries - heartbeat->before;
        heartbeat->before = heartbeat->stored = 0;
    }
    return rc;
}

enum err_code heartbeat_look(struct heartbeat *heartbeat, int64_t now_s, struct err *err)
{
    int64_t last_s = heartbeat_last_s(heartbeat);
    if (heartbeat->interval_s > 0 &&
        (now_s < last_s || (uint64_t)(now_s - last_s) >= heartbeat->interval_s)) {
        return beat(heartbeat, now_s,
                    err); /* a clock that was set back: not silent until it is again */
    }
    uint64_t entries = entries_since(heartbeat);
    enum err_code rc = E_OK;
    if (entries != heartbeat->stored) {
        rc = write_last(heartbeat, last_s, entries, false, err);
        heartbeat->stored = rc == E_OK ? entries : heartbeat->stored;
    }
    return rc;
}

int64_t heartbeat_last_s(const struct heartbeat *heartbeat)
{
    return atomic_load(&heartbeat->last_s);
}

uint64_t heartbeat_interval_s(const struct heartbeat *heartbeat)
{
    return heartbeat->interval_s;
}
