/* alert_sink_parts.h -- the sinks, as the files that are it share them: alert_sink.c opens and names them, and
 * there is a file for each kind. */
#ifndef MONITOR_ALERT_SINK_PARTS_H
#define MONITOR_ALERT_SINK_PARTS_H

#include "monitor/alert_sink.h"
#include "net/http_client.h"
#include "net/mail_message.h"

enum {
    ALERT_SINK_SECRET_MAX = 4096, /* bytes of a token or a password */
    ALERT_SINK_ID_MAX = MAIL_ID_MAX
};

/* A mail goes to each recipient by itself, so that one who cannot be reached is tried again without telling the
 * others twice. */
struct alert_sink_mail {
    char id[ALERT_SINK_ID_MAX + 1]; /* of the mail under way; "": none */
    bool is_done[MAIL_RECIPIENTS_MAX], is_refused[MAIL_RECIPIENTS_MAX];
};

struct alert_sink {
    struct alert_sink_options options;
    char name[ALERT_SINK_NAME_MAX];
    char *url;                    /* webhook, Alertmanager: where to POST; owned */
    struct http_fetcher *fetcher; /* of these; owned */
    struct alert_sink_mail mail;
};

uint32_t alert_sink_timeout_ms(const struct alert_sink *sink);

/* The first line of a file that nobody else can read, appended. E_DENIED; E_MALFORMED: empty, or it has control
 * characters; E_NOT_FOUND, E_TOO_LARGE, E_IO. The caller wipes `out`. */
MUST_USE enum err_code alert_sink_read_secret(struct buf *out, const char *path, struct err *err);

/* Each takes an alert_sink of its kind, and is alert_sink_send. */
MUST_USE enum err_code alert_sink_send_web(struct alert_sink *sink, const struct delivery *delivery,
                                           int64_t now_s, struct err *err);
MUST_USE enum err_code alert_sink_send_mail(struct alert_sink *sink,
                                            const struct delivery *delivery, int64_t now_s,
                                            struct err *err);
MUST_USE enum err_code alert_sink_send_syslog(struct alert_sink *sink,
                                              const struct delivery *delivery, int64_t now_s,
                                              struct err *err);
MUST_USE enum err_code alert_sink_send_command(struct alert_sink *sink,
                                               const struct delivery *delivery, int64_t now_s,
                                               struct err *err);

/* What can be checked without asking anybody. */
MUST_USE enum err_code alert_sink_check_mail(const struct alert_sink_options *options,
                                             struct err *err);

#endif
