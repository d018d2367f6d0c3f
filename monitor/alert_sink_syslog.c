/* The journal, or syslog where there is none. Both libraries lose a message without a word when nobody listens, and
 * block when nobody reads: so the socket is looked at first. */
#include "monitor/alert_sink_parts.h"
#include "monitor/alert_text.h"
#include "monitor/plain_line.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SYSLOG_SOCKET  "/dev/log"
static const char program[] = "courtroll-monitor";

enum {
    MESSAGE_MAX = 2048,
    FIELDS = 9
};

/* E_NOT_FOUND: nobody listens there; E_TIMEOUT: nobody reads. */
static enum err_code look(const char *path, uint32_t timeout_ms, struct err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) {
        return err_set(err, E_NOT_FOUND, "%s: too long for a socket", path);
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set_errno(err, E_IO, errno, "socket");
    }
    enum err_code rc = E_OK;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        struct pollfd polled = { .fd = fd, .events = POLLOUT };
        int count = poll(&polled, 1, (int)timeout_ms);
        rc = count > 0 ? E_OK : err_set(err, E_TIMEOUT, "%s: nobody reads there", path);
    } else if (errno != EPROTOTYPE) { /* a stream: syslog(3) tries that too */
        rc = err_set_errno(err, errno == EAGAIN ? E_TIMEOUT : E_NOT_FOUND, errno, "%s", path);
    }
    close(fd);
    return rc;
}

/* One line in words. */
static void put_message(char out[MESSAGE_MAX], const struct delivery *delivery, const char *monitor)
{
    struct buf text = BUF_INIT(2 * ALERT_TEXT_BYTES_MAX);
    alert_text_put_subject(&text, delivery, monitor);
    buf_putf(&text, ": %s (alert %s)", delivery->alert.summary, delivery->alert.id);
    plain_line(out, MESSAGE_MAX, buf_span(&text));
    buf_clear(&text);
}

static int priority_of(const struct delivery *delivery)
{
    if (delivery->event == DELIVERY_RESOLVED) {
        return LOG_NOTICE;
    }
    switch (finding_kind(delivery->alert.code)->severity) {
    case FINDING_CRITICAL:
        return LOG_CRIT;
    case FINDING_WARNING:
        return LOG_WARNING;
    case FINDING_INFO:
        break;
    }
    return LOG_INFO;
}

static enum err_code send_journal(const char *message, const struct delivery *delivery,
                                  struct err *err)
{
    const struct alert *alert = &delivery->alert;
    const struct finding_kind *kind = finding_kind(alert->code);
    struct buf fields[FIELDS];
    struct iovec vectors[FIELDS];
    for (size_t i = 0; i < FIELDS; i++) {
        buf_init(&fields[i], MESSAGE_MAX + 64);
    }
    buf_putf(&fields[0], "MESSAGE=%s", message);
    buf_putf(&fields[1], "PRIORITY=%d", priority_of(delivery));
    buf_putf(&fields[2], "SYSLOG_IDENTIFIER=%s", program);
    buf_putf(&fields[3], "COURTROLL_ALERT_ID=%s", alert->id);
    buf_putf(&fields[4], "COURTROLL_CODE=%s", kind->text);
    buf_putf(&fields[5], "COURTROLL_ORIGIN=%s", alert->origin);
    buf_putf(&fields[6], "COURTROLL_EVENT=%s", delivery_event_text(delivery->event));
    buf_putf(&fields[7], "COURTROLL_SEVERITY=%s", finding_severity_text(kind->severity));
    buf_putf(&fields[8], "COURTROLL_DRILL=%s", alert->is_drill ? "true" : "false");
    for (size_t i = 0; i < FIELDS; i++) {
        vectors[i] = (struct iovec){ fields[i].data, fields[i].len };
    }
    int rc = sd_journal_sendv(vectors, FIELDS);
    for (size_t i = 0; i < FIELDS; i++) {
        buf_clear(&fields[i]);
    }
    return rc >= 0 ? E_OK : err_set_errno(err, E_IO, -rc, "journal");
}

static void open_syslog(void)
{
    openlog(program, LOG_PID, LOG_DAEMON);
}

static void send_syslog(const char *message, const struct delivery *delivery)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_syslog);
    syslog(priority_of(delivery), "%s", message);
}

enum err_code alert_sink_send_syslog(struct alert_sink *sink, const struct delivery *delivery,
                                     int64_t now_s, struct err *err)
{
    (void)now_s; /* both put a time of their own */
    const struct alert_sink_options *options = &sink->options;
    const char *journal = options->journal_socket, *sys = options->syslog_socket;
    uint32_t timeout_ms = alert_sink_timeout_ms(sink);
    char message[MESSAGE_MAX];
    put_message(message, delivery, options->monitor_name);
    enum err_code rc = look(journal != NULL ? journal : JOURNAL_SOCKET, timeout_ms, err);
    if (rc == E_OK) {
        return send_journal(message, delivery, err);
    }
    if (rc != E_NOT_FOUND) {
        return rc;
    }
    rc = look(sys != NULL ? sys : SYSLOG_SOCKET, timeout_ms, err);
    if (rc == E_OK) {
        send_syslog(message, delivery);
    } else if (rc == E_NOT_FOUND) {
        rc = err_set(err, E_IO, "there is neither a journal nor a syslog on this machine");
    }
    return rc;
}
