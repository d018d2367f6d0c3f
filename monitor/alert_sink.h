/* alert_sink.h -- one way to tell people: a webhook, Alertmanager, mail, syslog, a command.
 *
 * What is sent is alert_text.h's. Blocks up to ALERT_SINK_TIMEOUT_MS; one thread for a sink.
 */
#ifndef MONITOR_ALERT_SINK_H
#define MONITOR_ALERT_SINK_H

#include "monitor/alert_book.h"

enum {
    ALERT_SINK_TIMEOUT_MS = 15 * 1000,
    ALERT_SINK_NAME_MAX = 256
};

enum alert_sink_kind {
    ALERT_SINK_WEBHOOK,      /* POST application/json: alert_text_put_json */
    ALERT_SINK_ALERTMANAGER, /* POST <url>/api/v2/alerts */
    ALERT_SINK_MAIL,         /* SMTP by libcurl */
    ALERT_SINK_SYSLOG,       /* the journal when there is one, else syslog(3) */
    ALERT_SINK_COMMAND,      /* the JSON on its standard input; arguments: event code severity id */
};

struct
    alert_sink_options { /* strings are borrowed for the sink's life; NULL where it says nothing */
    enum alert_sink_kind kind;
    const char *target; /* URL; smtp://HOST:PORT or smtps://; path of the command */
    const char *
        token_file; /* webhook, Alertmanager: "Authorization: Bearer <its first line>", read each time */
    const char *ca_file; /* PEM */
    const char *mail_from;
    const char *const *mail_to;
    size_t mail_to_count;
    const char *smtp_user, *smtp_password_file;
    const char *monitor_name; /* the name of the monitor's key */
    const char *page_url;     /* of our page, for links; NULL: none */
    uint32_t timeout_ms;      /* 0: ALERT_SINK_TIMEOUT_MS */
    /* Sockets of journal and syslog, looked at before the libraries are called, which would lose the alert
     * without a word. NULL: where the libraries have them. */
    const char *journal_socket, *syslog_socket;
};

struct alert_sink;

/* E_MALFORMED for a target that cannot be one. */
MUST_USE enum err_code alert_sink_open(struct alert_sink **out,
                                       const struct alert_sink_options *options, struct err *err);
void alert_sink_close(struct alert_sink *sink);
const char *
alert_sink_name(const struct alert_sink *sink); /* "webhook http://...": without passwords */

/* E_OK: the other side has taken it (2xx; the command exited 0). */
MUST_USE enum err_code alert_sink_send(struct alert_sink *sink, const struct delivery *delivery,
                                       int64_t now_s, struct err *err);

#endif
