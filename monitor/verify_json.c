#include "monitor/verify_json.h"

#include "base/alloc.h"
#include "client/verify_context.h"
#include "net/verify_page.h"

enum {
    RECENT_POLLS = 10,
    RECENT_S_MIN = 60,
};

/* "No alert" means something only where we have looked: the tree is verified, and the last look at the log that went
 * well is not long ago. */
static bool is_checked(const struct monitor_parts *parts, const struct watched_status *status,
                       int64_t now_s)
{
    int64_t recent_s = (int64_t)(RECENT_POLLS * parts->poll_interval_ms / 1000);
    recent_s = recent_s > RECENT_S_MIN ? recent_s : RECENT_S_MIN;
    return status->is_verified && status->good_poll_s > 0 &&
           now_s - status->good_poll_s <= recent_s;
}

/* What is about this log, or about none; drills are not about it. Returns the count. */
static size_t pick_alerts(const struct alert *alerts, size_t count, const char *origin,
                          struct verify_context_alert out[static VERIFY_CONTEXT_ALERTS_MAX])
{
    size_t picked = 0;
    for (size_t i = 0; i < count && picked < VERIFY_CONTEXT_ALERTS_MAX; i++) {
        const struct finding_kind *kind = finding_kind(alerts[i].code);
        if (strcmp(alerts[i].origin, origin) == 0 && !alerts[i].is_drill) {
            out[picked++] = (struct verify_context_alert){
                .id = alerts[i].id,
                .code = kind->text,
                .severity = finding_severity_text(kind->severity),
                .state = alert_state_text(alerts[i].state),
                .summary = alerts[i].summary,
            };
        }
    }
    return picked;
}

static void tell_log(struct verify_context_log *out, struct watched_log *log,
                     const struct monitor_parts *parts, int64_t now_s)
{
    const struct watched_log_options *options = watched_log_options(log);
    struct watched_status status;
    watched_log_status(log, &status);
    *out = (struct verify_context_log){
        .origin = watched_log_origin(log),
        .policy_hash = policy_hash(options->policy),
        .policy = policy_text(options->policy),
        .has_tiles = true,
        .has_size = status.is_verified,
        .size = status.held_size,
        .knows_alerts = true,
        .is_checked = is_checked(parts, &status, now_s),
    };
}

enum err_code verify_json_put(struct buf *out, struct monitor_parts *parts, int64_t now_s,
                              struct err *err)
{
    struct verify_context_log *logs = mem_calloc(parts->log_count + 1, sizeof *logs);
    struct verify_context_alert(*picked)[VERIFY_CONTEXT_ALERTS_MAX] =
        mem_calloc(parts->log_count + 1, sizeof *picked);
    struct alert *alerts = NULL;
    for (size_t i = 0; i < parts->log_count;
         i++) { /* before the alerts: a late one is still told */
        tell_log(&logs[i], parts->logs[i], parts, now_s);
    }
    size_t count = alert_book_list(parts->alerts, false, SIZE_MAX, &alerts);
    for (size_t i = 0; i < parts->log_count; i++) {
        logs[i].alert_count = pick_alerts(alerts, count, logs[i].origin, picked[i]);
        logs[i].alerts = picked[i];
    }
    struct verify_context context = { .server = VERIFY_CONTEXT_MONITOR,
                                      .name = parts->vkey.name,
                                      .page_hash = verify_page_hash,
                                      .now_s = now_s,
                                      .log_count = parts->log_count,
                                      .logs = logs };
    enum err_code rc = verify_context_put(out, &context, err);
    mem_free(alerts);
    mem_free(picked);
    mem_free(logs);
    return rc;
}
