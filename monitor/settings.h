/* settings.h -- the configuration keys of courtroll-monitor, checked and in their types. */
#ifndef MONITOR_SETTINGS_H
#define MONITOR_SETTINGS_H

#include "base/config.h"
#include "client/log_address.h"
#include "monitor/alert_sink.h"
#include "monitor/record_settings.h"
#include "monitor/vantage.h"
#include "net/listen.h"

enum {
    SETTINGS_POLICIES_MAX = WATCHED_LOGS_MAX,
    SETTINGS_PEERS_MAX = 64,
    SETTINGS_TRUSTED_MAX = 64,
    SETTINGS_MAIL_TO_MAX = 16,
};

extern const struct config_schema monitor_settings_schema;

/* All strings are the config's. */
struct monitor_settings {
    const char *data_dir;
    const char *key;
    size_t policy_count;
    const char
        *policies[SETTINGS_POLICIES_MAX]; /* files: one log each, and perhaps its promise key */
    const char *log_url;                  /* or NULL */
    size_t trusted_count;
    const char *trusted[SETTINGS_TRUSTED_MAX]; /* start-from: files with checkpoint notes */
    size_t vantage_count;
    const char *vantages[VANTAGES_MAX];
    struct log_address vantage_addresses[VANTAGES_MAX];
    size_t peer_count;
    const char *peers[SETTINGS_PEERS_MAX]; /* vkeys of monitors that may hand us notes */
    uint64_t poll_interval_ms, scan_threads;
    struct watch_thresholds thresholds;
    bool is_archiving; /* archive = on */
    struct record_settings records;
    size_t sink_count;
    struct alert_sink_options sinks[ALERT_SINKS_MAX];
    const char *mail_to[SETTINGS_MAIL_TO_MAX];
    uint64_t repeat_s, heartbeat_s;
    const char *page_url;
    const char *control_path;     /* Unix socket for ack, resolve, self-test; NULL: the default */
    uint64_t peer_notes_per_hour; /* quota of ExchangeNotes, a peer */
    uint64_t checks_per_minute;   /* quota of CheckNote, all callers but the control socket */
    struct listen_settings listen;
};

/* Every error is for exit code 2. */
MUST_USE enum err_code monitor_settings_read(struct monitor_settings *out,
                                             const struct config *config, struct err *err);

/* Addresses of logs and vantages are on the page, in metrics and in errors: E_MALFORMED for one that may hold a
 * secret. */
MUST_USE enum err_code monitor_settings_check_public(const struct log_address *address,
                                                     struct err *err);

#endif
