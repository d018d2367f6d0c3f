#include "monitor/settings.h"

#include "base/alloc.h"
#include "monitor/monitor_dir.h"
#include "net/mail_message.h"
#include "net/verify_page.h"
#include "store/key_file.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_HTTP "127.0.0.1:6982"
#define DEFAULT_GRPC "127.0.0.1:6983"

enum {
    SECONDS_MAX = 365 * 86400,
    HOURS_MAX = 8760,
    /* A log is late when it missed two polls, not one. */
    POLLS_BEFORE_LATE = 2,
};

static const struct config_key keys[] = {
    { .name = "data-dir",
      .kind = CONFIG_PATH,
      .group = "Monitor",
      .is_required = true,
      .help = "Where the state lives: what was verified, alerts with their evidence, notes seen. "
              "One that is lost is hashed again from the start, but the alerts are gone." },
    { .name = "key",
      .kind = CONFIG_PATH,
      .is_required = true,
      .help = "The monitor's signer key file, from courtroll keygen --type monitor, or one that "
              "names a key in an HSM. Observations are signed with it." },
    { .name = "policy",
      .kind = CONFIG_PATH,
      .is_required = true,
      .is_repeatable = true,
      .help = "A policy file: the log to follow, with its URL, its witnesses and their quorum. One "
              "log a file; its promise key may be listed too." },
    { .name = "log-url",
      .kind = CONFIG_STRING,
      .argument = "URL|file:DIR",
      .help = "Where the log is read, instead of the URL in its policy. With one policy only." },
    { .name = "start-from",
      .kind = CONFIG_PATH,
      .is_repeatable = true,
      .help = "A file with a checkpoint note of a log that was never followed before: begin at it "
              "instead of at size 0. Entries below are trusted unseen, and every report says so." },
    { .name = "poll-interval-ms",
      .kind = CONFIG_INTEGER,
      .value = "10000",
      .least = 100,
      .most = 3600000,
      .help = "Every log and vantage is asked so often. SIGHUP asks the logs at once." },
    { .name = "scan-threads",
      .kind = CONFIG_INTEGER,
      .value = "4",
      .least = 1,
      .most = SCAN_THREADS_MAX,
      .help = "Threads that fetch and hash, for each log that has much that is new." },
    { .name = "archive",
      .kind = CONFIG_SWITCH,
      .value = "on",
      .help = "Keep the notes that each log published: all of 30 days, then one a minute." },
    { .name = "vantage",
      .kind = CONFIG_STRING,
      .group = "Other views",
      .is_repeatable = true,
      .argument = "ADDRESS",
      .help = "Where others see the logs: http(s)://... of a witness, a mirror or the log under "
              "another address, grpc://HOST:PORT of a monitor, file:DIR with notes, receipts and "
              "promises. Without any a split view goes unnoticed." },
    { .name = "peer",
      .kind = CONFIG_STRING,
      .is_repeatable = true,
      .argument = "VKEY",
      .help = "The vkey of a monitor that may exchange notes with us." },
    { .name = "peer-notes-per-hour",
      .kind = CONFIG_INTEGER,
      .value = "100000",
      .least = 1,
      .most = 100000000,
      .help = "Notes that a peer may hand us in an hour." },
    { .name = "checks-per-minute",
      .kind = CONFIG_INTEGER,
      .value = "60",
      .least = 1,
      .most = 100000000,
      .help = "Notes that callers may have checked in a minute, all together. The control socket "
              "has no limit." },
    { .name = "stalled-after-seconds",
      .kind = CONFIG_INTEGER,
      .group = "Thresholds",
      .value = "1800",
      .most = SECONDS_MAX,
      .help = "No cosigned checkpoint fresher than that: the alert stalled. 0 switches it off, as "
              "in all of these." },
    { .name = "witness-missing-after-seconds",
      .kind = CONFIG_INTEGER,
      .value = "3600",
      .most = SECONDS_MAX,
      .help = "A witness of the policy has not cosigned for so long." },
    { .name = "withheld-after-seconds",
      .kind = CONFIG_INTEGER,
      .value = "600",
      .most = SECONDS_MAX,
      .help = "A larger note was seen elsewhere, and the log has not served its entries for so "
              "long." },
    { .name = "unreachable-after-seconds",
      .kind = CONFIG_INTEGER,
      .value = "300",
      .most = SECONDS_MAX,
      .help = "The log has not answered for so long." },
    { .name = "future-tolerance-seconds",
      .kind = CONFIG_INTEGER,
      .value = "60",
      .least = 1,
      .most = SECONDS_MAX,
      .help =
          "A cosignature may be so far ahead of this machine's clock. Cannot be switched off." },
    { .name = "growth-per-hour-max",
      .kind = CONFIG_INTEGER,
      .value = "0",
      .most = 1000000000000,
      .help = "Entries that a log may grow by in an hour." },
    RECORD_CONFIG_KEYS,
    { .name = "alert-webhook",
      .kind = CONFIG_STRING,
      .group = "Alerts",
      .is_repeatable = true,
      .argument = "URL",
      .help = "POST each alert there, as JSON." },
    { .name = "alert-alertmanager",
      .kind = CONFIG_STRING,
      .is_repeatable = true,
      .argument = "URL",
      .help = "POST each alert to this Prometheus Alertmanager: URL/api/v2/alerts." },
    { .name = "alert-mail-to",
      .kind = CONFIG_STRING,
      .is_repeatable = true,
      .argument = "ADDRESS",
      .help = "Mail each alert to this address. Needs alert-mail-from and alert-smtp." },
    { .name = "alert-mail-from",
      .kind = CONFIG_STRING,
      .argument = "ADDRESS",
      .help = "Who the mails are from." },
    { .name = "alert-smtp",
      .kind = CONFIG_STRING,
      .argument = "URL",
      .help = "The mail server: smtp://HOST:PORT or smtps://HOST:PORT." },
    { .name = "alert-smtp-user", .kind = CONFIG_STRING, .help = "User name for the mail server." },
    { .name = "alert-smtp-password-file",
      .kind = CONFIG_PATH,
      .help = "File whose first line is that user's password." },
    { .name = "alert-syslog",
      .kind = CONFIG_SWITCH,
      .value = "off",
      .help = "Write each alert to the journal, or to syslog where there is none." },
    { .name = "alert-command",
      .kind = CONFIG_PATH,
      .is_repeatable = true,
      .help = "Run this program for each alert: JSON on its standard input; event, code, severity "
              "and id as arguments. Absolute path." },
    { .name = "alert-token-file",
      .kind = CONFIG_PATH,
      .help = "File whose first line webhooks and Alertmanagers get as Authorization: Bearer." },
    { .name = "alert-ca-file",
      .kind = CONFIG_PATH,
      .help = "Webhooks, Alertmanagers and mail servers must show a certificate of this CA, "
              "instead of the system's." },
    { .name = "alert-repeat-hours",
      .kind = CONFIG_INTEGER,
      .value = "24",
      .most = HOURS_MAX,
      .help = "Critical alerts that nobody has acknowledged are told again so often. 0: never." },
    { .name = "heartbeat-hours",
      .kind = CONFIG_INTEGER,
      .value = "24",
      .most = HOURS_MAX,
      .help = "Every so often each sink is told that the monitor lives, and how many entries it "
              "looked at. 0: never." },
    { .name = "page-url",
      .kind = CONFIG_STRING,
      .argument = "URL",
      .help = "Where people reach the page of this monitor: for the links in alerts." },
    LISTEN_CONFIG_KEYS(DEFAULT_HTTP, DEFAULT_GRPC),
    { .name = "control-socket",
      .kind = CONFIG_PATH,
      .help = "The Unix socket on which alerts are acknowledged and resolved, and drills started; "
              "DATA-DIR/control.sock if it is not given. For this user only, and the only one: "
              "grpc-listen takes no unix:PATH here." },
};

const struct config_schema monitor_settings_schema = {
    .program = "courtroll-monitor",
    .summary = "follows logs, hashes every entry again, and tells people what is wrong",
    .keys = keys,
    .key_count = sizeof keys / sizeof keys[0],
    .build = verify_page_build,
    .example = "  courtroll keygen --type monitor --name monitor.example/2026 --out monitor.key\n"
               "  courtroll-monitor --data-dir state --key monitor.key --policy log.policy \\\n"
               "      --vantage https://witness.example --alert-mail-to clerk@agency.example \\\n"
               "      --alert-mail-from monitor@agency.example --alert-smtp smtp://localhost:25\n"
               "  courtroll monitor self-test --monitor unix:state/control.sock\n",
    .notes =
        "Prints `event=ready http=ADDR:PORT grpc=ADDR:PORT` on stderr when it serves. SIGHUP polls "
        "all logs now and reads case keys again; SIGTERM stops within 5 s. Exit codes: 0 stopped; "
        "2 configuration; 3 cannot "
        "start (lock, key, disk).\n"
        "What a monitor says is its own word, but for alerts with evidence of a fork, a witness's "
        "equivocation, a broken promise or a repeated entry tag: courtroll verify-evidence "
        "convinces anybody of those. "
        "Without a vantage a log can show this monitor one history and others another one.",
};

/* -- lists -- */

static enum err_code read_lists(struct monitor_settings *s, const struct config *config,
                                struct err *err)
{
    enum err_code rc =
        config_items(s->policies, &s->policy_count, SETTINGS_POLICIES_MAX, "policy", config, err);
    if (rc == E_OK) {
        rc = config_items(s->trusted, &s->trusted_count, SETTINGS_TRUSTED_MAX, "start-from", config,
                          err);
    }
    if (rc == E_OK) {
        rc = config_items(s->vantages, &s->vantage_count, VANTAGES_MAX, "vantage", config, err);
    }
    if (rc == E_OK) {
        rc = config_items(s->peers, &s->peer_count, SETTINGS_PEERS_MAX, "peer", config, err);
    }
    return rc;
}

enum err_code monitor_settings_check_public(const struct log_address *address, struct err *err)
{
    struct span rest = span_of_str(address->target), before;
    if (address->kind != LOG_ADDRESS_HTTP) {
        return E_OK;
    }
    bool is_plain = span_find(rest, span_of_str("?")) == SIZE_MAX &&
                    span_find(rest, span_of_str("#")) == SIZE_MAX &&
                    !span_take_until(&rest, '@', &before);
    return is_plain ? E_OK
                    : err_set(err, E_MALFORMED,
                              "a URL with a user, a password or a query: the page shows it to "
                              "everybody");
}

static enum err_code read_vantages(struct monitor_settings *s, struct err *err)
{
    for (size_t i = 0; i < s->vantage_count; i++) {
        if (log_address_parse(&s->vantage_addresses[i], s->vantages[i], err) != E_OK ||
            monitor_settings_check_public(&s->vantage_addresses[i], err) != E_OK) {
            return err_wrap(err, "vantage");
        }
        struct stat info;
        const struct log_address *address = &s->vantage_addresses[i];
        if (address->kind == LOG_ADDRESS_DIRECTORY &&
            (stat(address->target, &info) != 0 || !S_ISDIR(info.st_mode))) {
            return err_set(err, E_MALFORMED, "vantage: %s is no directory", s->vantages[i]);
        }
    }
    return E_OK;
}

/* -- sinks -- */

static bool is_url(const char *text, const char *scheme, const char *safe_scheme)
{
    struct span rest = span_of_str(text);
    bool is_ours = span_take_prefix(&rest, span_of_str(scheme)) ||
                   span_take_prefix(&rest, span_of_str(safe_scheme));
    bool is_clean = rest.len > 0 && rest.data[0] != '/';
    for (size_t i = 0; i < rest.len; i++) {
        is_clean = is_clean && rest.data[i] > ' ' && rest.data[i] < 0x7f;
    }
    return is_ours && is_clean;
}

static bool is_web_url(const char *text)
{
    return is_url(text, "http://", "https://");
}

static enum err_code check_readable(const char *key, const char *path, struct err *err)
{
    if (path != NULL && access(path, R_OK) != 0) {
        return err_set(err, E_MALFORMED, "%s: %s cannot be read", key, path);
    }
    return E_OK;
}

/* Before the first alert is due: a secret that others can read would keep it from being told. */
static enum err_code check_secret(const char *key, const char *path, struct err *err)
{
    enum err_code rc = check_readable(key, path, err);
    if (rc == E_OK && path != NULL && key_file_check_private(path, err) != E_OK) {
        rc = err_set(err, E_MALFORMED, "%s: %s can be read or written by others: chmod 600", key,
                     path);
    }
    return rc;
}

static enum err_code add_sink(struct monitor_settings *s, const struct alert_sink_options *sink,
                              struct err *err)
{
    if (s->sink_count == ALERT_SINKS_MAX) {
        return err_set(err, E_MALFORMED, "alert-*: over %d ways to tell people", ALERT_SINKS_MAX);
    }
    s->sinks[s->sink_count++] = *sink;
    return E_OK;
}

static enum err_code read_web_sinks(struct monitor_settings *s, const char *key,
                                    enum alert_sink_kind kind, const struct config *config,
                                    struct err *err)
{
    const char *urls[ALERT_SINKS_MAX];
    size_t count = 0;
    enum err_code rc = config_items(urls, &count, ALERT_SINKS_MAX, key, config, err);
    for (size_t i = 0; i < count && rc == E_OK; i++) {
        struct alert_sink_options sink = {
            .kind = kind,
            .target = urls[i],
            .token_file = config_string(config, "alert-token-file"),
            .ca_file = config_string(config, "alert-ca-file"),
        };
        rc = is_web_url(urls[i])
                 ? add_sink(s, &sink, err)
                 : err_set(err, E_MALFORMED, "%s: %s is not an http:// or https:// URL", key,
                           urls[i]);
    }
    return rc;
}

static enum err_code check_mail(const struct alert_sink_options *mail, struct err *err)
{
    if (mail->mail_to_count == 0 || mail->mail_from == NULL || mail->target == NULL) {
        return err_set(err, E_MALFORMED,
                       "mail needs all three: alert-mail-to, alert-mail-from and alert-smtp");
    }
    for (size_t i = 0; i < mail->mail_to_count; i++) {
        if (!mail_address_is_valid(span_of_str(mail->mail_to[i]))) {
            return err_set(err, E_MALFORMED, "alert-mail-to: %s is no mail address",
                           mail->mail_to[i]);
        }
    }
    if (!mail_address_is_valid(span_of_str(mail->mail_from))) {
        return err_set(err, E_MALFORMED, "alert-mail-from: %s is no mail address", mail->mail_from);
    }
    if (!is_url(mail->target, "smtp://", "smtps://")) {
        return err_set(err, E_MALFORMED, "alert-smtp: %s is not an smtp:// or smtps:// URL",
                       mail->target);
    }
    if ((mail->smtp_user == NULL) != (mail->smtp_password_file == NULL)) {
        return err_set(err, E_MALFORMED,
                       "alert-smtp-user and alert-smtp-password-file go together");
    }
    return check_secret("alert-smtp-password-file", mail->smtp_password_file, err);
}

static enum err_code read_mail(struct monitor_settings *s, const struct config *config,
                               struct err *err)
{
    struct alert_sink_options mail = {
        .kind = ALERT_SINK_MAIL,
        .target = config_string(config, "alert-smtp"),
        .mail_from = config_string(config, "alert-mail-from"),
        .mail_to = s->mail_to,
        .smtp_user = config_string(config, "alert-smtp-user"),
        .smtp_password_file = config_string(config, "alert-smtp-password-file"),
        .ca_file = config_string(config, "alert-ca-file"),
    };
    enum err_code rc = config_items(s->mail_to, &mail.mail_to_count, SETTINGS_MAIL_TO_MAX,
                                    "alert-mail-to", config, err);
    if (rc != E_OK || (mail.mail_to_count == 0 && mail.target == NULL && mail.mail_from == NULL &&
                       mail.smtp_user == NULL && mail.smtp_password_file == NULL)) {
        return rc;
    }
    rc = check_mail(&mail, err);
    return rc == E_OK ? add_sink(s, &mail, err) : rc;
}

static enum err_code read_commands(struct monitor_settings *s, const struct config *config,
                                   struct err *err)
{
    const char *paths[ALERT_SINKS_MAX];
    size_t count = 0;
    enum err_code rc = config_items(paths, &count, ALERT_SINKS_MAX, "alert-command", config, err);
    for (size_t i = 0; i < count && rc == E_OK; i++) {
        struct alert_sink_options sink = { .kind = ALERT_SINK_COMMAND, .target = paths[i] };
        struct stat info;
        if (paths[i][0] != '/') {
            return err_set(err, E_MALFORMED, "alert-command: %s is not an absolute path", paths[i]);
        }
        if (stat(paths[i], &info) != 0 || !S_ISREG(info.st_mode) || access(paths[i], X_OK) != 0) {
            return err_set(err, E_MALFORMED, "alert-command: %s is no program that we may run",
                           paths[i]);
        }
        rc = add_sink(s, &sink, err);
    }
    return rc;
}

static enum err_code read_sinks(struct monitor_settings *s, const struct config *config,
                                struct err *err)
{
    enum err_code rc =
        check_secret("alert-token-file", config_string(config, "alert-token-file"), err);
    if (rc == E_OK) {
        rc = check_readable("alert-ca-file", config_string(config, "alert-ca-file"), err);
    }
    if (rc == E_OK) {
        rc = read_web_sinks(s, "alert-webhook", ALERT_SINK_WEBHOOK, config, err);
    }
    if (rc == E_OK) {
        rc = read_web_sinks(s, "alert-alertmanager", ALERT_SINK_ALERTMANAGER, config, err);
    }
    if (rc == E_OK) {
        rc = read_mail(s, config, err);
    }
    if (rc == E_OK && config_is_on(config, "alert-syslog")) {
        rc = add_sink(s, &(struct alert_sink_options){ .kind = ALERT_SINK_SYSLOG }, err);
    }
    if (rc == E_OK) {
        rc = read_commands(s, config, err);
    }
    for (size_t i = 0; i < s->sink_count; i++) {
        s->sinks[i].page_url = s->page_url;
    }
    return rc;
}

/* -- checks -- */

static enum err_code check_threshold(const char *key, uint64_t seconds, uint64_t poll_ms,
                                     struct err *err)
{
    if (seconds != 0 && seconds * 1000 < POLLS_BEFORE_LATE * poll_ms) {
        return err_set(err, E_MALFORMED,
                       "%s: %llu s is less than %d polls of %llu ms: every pause would be an alert",
                       key, (unsigned long long)seconds, POLLS_BEFORE_LATE,
                       (unsigned long long)poll_ms);
    }
    return E_OK;
}

static enum err_code check_thresholds(const struct monitor_settings *s, struct err *err)
{
    const struct watch_thresholds *t = &s->thresholds;
    const struct {
        const char *key;
        uint64_t seconds;
    } checked[] = {
        { "stalled-after-seconds", t->stalled_after_s },
        { "witness-missing-after-seconds", t->witness_missing_after_s },
        { "withheld-after-seconds", t->withheld_after_s },
        { "unreachable-after-seconds", t->unreachable_after_s },
    };
    for (size_t i = 0; i < sizeof checked / sizeof checked[0]; i++) {
        if (check_threshold(checked[i].key, checked[i].seconds, s->poll_interval_ms, err) != E_OK) {
            return err->code;
        }
    }
    return E_OK;
}

/* gRPC does not tell one Unix socket from another: whoever comes by any of them may give orders. */
static enum err_code check_grpc(const struct monitor_settings *s, struct err *err)
{
    if (s->listen.grpc_count >= LISTEN_MAX) {
        return err_set(err, E_MALFORMED,
                       "grpc-listen: over %d addresses, since the control socket "
                       "is one too",
                       LISTEN_MAX - 1);
    }
    for (size_t i = 0; i < s->listen.grpc_count; i++) {
        if (span_has_prefix(span_of_str(s->listen.grpc[i]), span_of_str("unix:"))) {
            return err_set(err, E_MALFORMED,
                           "grpc-listen: %s: a monitor has one Unix socket, on which it takes "
                           "orders: set control-socket to its path, or listen on HOST:PORT",
                           s->listen.grpc[i]);
        }
    }
    return E_OK;
}

static enum err_code check_control_path(const struct monitor_settings *s, struct err *err)
{
    char path[PATH_MAX];
    struct address address;
    const char *name = s->control_path != NULL ? "control-socket" : "data-dir";
    int len = s->control_path != NULL
                  ? snprintf(path, sizeof path, "unix:%s", s->control_path)
                  : snprintf(path, sizeof path, "unix:%s/" MONITOR_CONTROL_NAME, s->data_dir);
    if (len < 0 || (size_t)len >= sizeof path ||
        address_parse(&address, span_of_str(path), err) != E_OK) {
        return err_set(err, E_MALFORMED,
                       "%s: %s is too long for a Unix socket: set control-socket to a path of at "
                       "most %d bytes",
                       name, path + strlen("unix:"), (int)ADDRESS_PATH_MAX);
    }
    return E_OK;
}

static enum err_code check(const struct monitor_settings *s, struct err *err)
{
    if (s->log_url != NULL && s->policy_count > 1) {
        return err_set(err, E_MALFORMED,
                       "log-url is for one log, and there are %zu policies: put each log's URL "
                       "into the log line of its policy",
                       s->policy_count);
    }
    if (s->page_url != NULL && !is_web_url(s->page_url)) {
        return err_set(err, E_MALFORMED, "page-url: %s is not an http:// or https:// URL",
                       s->page_url);
    }
    enum err_code rc = check_grpc(s, err);
    if (rc == E_OK) {
        rc = check_control_path(s, err);
    }
    return rc == E_OK ? check_thresholds(s, err) : rc;
}

static void read_scalars(struct monitor_settings *s, const struct config *config)
{
    *s = (struct monitor_settings){
        .data_dir = config_string(config, "data-dir"),
        .key = config_string(config, "key"),
        .log_url = config_string(config, "log-url"),
        .poll_interval_ms = config_integer(config, "poll-interval-ms"),
        .scan_threads = config_integer(config, "scan-threads"),
        .thresholds = {
            .stalled_after_s = config_integer(config, "stalled-after-seconds"),
            .witness_missing_after_s = config_integer(config, "witness-missing-after-seconds"),
            .withheld_after_s = config_integer(config, "withheld-after-seconds"),
            .unreachable_after_s = config_integer(config, "unreachable-after-seconds"),
            .future_tolerance_s = config_integer(config, "future-tolerance-seconds"),
            .growth_per_hour_max = config_integer(config, "growth-per-hour-max"),
        },
        .is_archiving = config_is_on(config, "archive"),
        .repeat_s = config_integer(config, "alert-repeat-hours") * 3600,
        .heartbeat_s = config_integer(config, "heartbeat-hours") * 3600,
        .page_url = config_string(config, "page-url"),
        .control_path = config_string(config, "control-socket"),
        .peer_notes_per_hour = config_integer(config, "peer-notes-per-hour"),
        .checks_per_minute = config_integer(config, "checks-per-minute"),
    };
}

enum err_code monitor_settings_read(struct monitor_settings *out, const struct config *config,
                                    struct err *err)
{
    struct monitor_settings *s = NEW(struct monitor_settings);
    read_scalars(s, config);
    enum err_code rc = read_lists(s, config, err);
    if (rc == E_OK) {
        rc = record_settings_read(&s->records, config, err);
    }
    if (rc == E_OK) {
        rc = read_vantages(s, err);
    }
    if (rc == E_OK) {
        rc = read_sinks(s, config, err);
    }
    if (rc == E_OK) {
        rc = listen_settings_read(&s->listen, config, DEFAULT_HTTP, DEFAULT_GRPC, err);
    }
    if (rc == E_OK) {
        rc = check(s, err);
    }
    if (rc == E_OK) {
        *out = *s;
        for (size_t i = 0; i < out->sink_count; i++) { /* the list is the struct's own */
            out->sinks[i].mail_to = out->sinks[i].mail_to != NULL ? out->mail_to : NULL;
        }
    }
    mem_free(s);
    return rc;
}
