/* Each kind of sink against what takes its alerts, and what only seems to. */
#include "monitor/alert_sink.h"

#include "base/alloc.h"
#include "base/file.h"
#include "tests/support/files.h"
#include "tests/support/mail_server.h"
#include "tests/support/web_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define NOW      1769903940

static char *directory;
static char id[] = "00112233445566778899aabbccddeeff";

static int set_up(void **state)
{
    (void)state;
    directory = files_make_temp_dir();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    files_remove_tree(directory);
    return 0;
}

static struct delivery sample(enum delivery_event event)
{
    struct delivery delivery = { .number = 7, .event = event };
    struct alert *alert = &delivery.alert;
    snprintf(alert->id, sizeof alert->id, "%s", id);
    snprintf(alert->origin, sizeof alert->origin, "log.court.example/1");
    snprintf(alert->summary, sizeof alert->summary, "Two roots at size 20.");
    alert->number = 3;
    alert->code = FINDING_FORK;
    alert->state = event == DELIVERY_RESOLVED ? ALERT_RESOLVED : ALERT_OPEN;
    alert->first_seen_s = alert->last_seen_s = NOW - 60;
    alert->count = 1;
    return delivery;
}

static double seconds(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static struct alert_sink *open_sink(const struct alert_sink_options *options)
{
    struct alert_sink_options all = *options;
    struct alert_sink *sink;
    struct err err;
    all.monitor_name = "monitor.example";
    assert_int_equal(alert_sink_open(&sink, &all, &err), E_OK);
    return sink;
}

static enum err_code send_once(const struct alert_sink_options *options, enum delivery_event event,
                               struct err *err)
{
    struct alert_sink *sink = open_sink(options);
    struct delivery delivery = sample(event);
    enum err_code rc = alert_sink_send(sink, &delivery, NOW, err);
    alert_sink_close(sink);
    return rc;
}

/* A file of the test's, with its path. */
static char *make_file(const char *name, mode_t mode, const char *text)
{
    char *path = files_join(directory, name);
    files_write(path, span_of_str(text));
    chmod(path, mode);
    return path;
}

/* -- webhook and Alertmanager -- */

static json_t *body_of(const char *request)
{
    return json_loads(strstr(request, "\r\n\r\n") + 4, 0, NULL);
}

static void webhook_is_posted_json(void **state)
{
    (void)state;
    struct web_peer *peer = web_peer_start(OK_REPLY);
    struct err err;
    char url[128];
    snprintf(url, sizeof url, "%s/hook?x=1", web_peer_url(peer));
    assert_int_equal(send_once(&(struct alert_sink_options){ .kind = ALERT_SINK_WEBHOOK,
                                                             .target = url,
                                                             .page_url = "http://m.example" },
                               DELIVERY_OPENED, &err),
                     E_OK);
    char *request = web_peer_last(peer);
    assert_memory_equal(request, "POST /hook?x=1 HTTP/1.1\r\n", 25);
    assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
    assert_null(strstr(request, "Authorization"));
    json_t *body = body_of(request);
    assert_string_equal(json_string_value(json_object_get(body, "event")), "opened");
    json_t *alert = json_object_get(body, "alert");
    assert_string_equal(json_string_value(json_object_get(alert, "id")), id);
    assert_string_equal(json_string_value(json_object_get(alert, "code")), "fork");
    json_decref(body);
    free(request);
    web_peer_stop(peer);
}

static void alertmanager_is_posted_its_own_form(void **state)
{
    (void)state;
    struct web_peer *peer = web_peer_start(OK_REPLY);
    struct err err;
    char url[128];
    snprintf(url, sizeof url, "%s/am//", web_peer_url(peer));
    assert_int_equal(send_once(&(struct alert_sink_options){ .kind = ALERT_SINK_ALERTMANAGER,
                                                             .target = url },
                               DELIVERY_OPENED, &err),
                     E_OK);
    char *request = web_peer_last(peer);
    assert_memory_equal(request, "POST /am/api/v2/alerts HTTP/1.1\r\n", 33);
    json_t *body = body_of(request);
    json_t *labels = json_object_get(json_array_get(body, 0), "labels");
    assert_string_equal(json_string_value(json_object_get(labels, "alert_id")), id);
    json_decref(body);
    free(request);
    web_peer_stop(peer);
}

/* The token is read again for each alert, so it can be exchanged while we run. */
static void token_is_sent_and_read_each_time(void **state)
{
    (void)state;
    struct web_peer *peer = web_peer_start(OK_REPLY);
    char *path = make_file("token", 0600, "first secret\nsecond line\n");
    struct alert_sink *sink = open_sink(&(struct alert_sink_options){
        .kind = ALERT_SINK_WEBHOOK, .target = web_peer_url(peer), .token_file = path });
    struct delivery delivery = sample(DELIVERY_OPENED);
    struct err err;
    assert_int_equal(alert_sink_send(sink, &delivery, NOW, &err), E_OK);
    char *request = web_peer_last(peer);
    assert_non_null(strstr(request, "\r\nAuthorization: Bearer first secret\r\n"));
    free(request);
    files_write(path, span_of_str("other"));
    assert_int_equal(alert_sink_send(sink, &delivery, NOW, &err), E_OK);
    request = web_peer_last(peer);
    assert_non_null(strstr(request, "\r\nAuthorization: Bearer other\r\n"));
    free(request);
    alert_sink_close(sink);
    free(path);
    web_peer_stop(peer);
}

static void bad_token_sends_nothing(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        const char *text;
        enum err_code code;
    } cases[] = {
        { 0640, "secret\n", E_DENIED },
        { 0604, "secret\n", E_DENIED },
        { 0600, "", E_MALFORMED },
        { 0600, "\nsecret\n", E_MALFORMED },
        { 0600, "a\x01\n", E_MALFORMED },
        { 0600, "a\rX-Y: z\n", E_MALFORMED },
        { 0600,
          "a\x7f"
          "b",
          E_MALFORMED },
    };
    struct web_peer *peer = web_peer_start(OK_REPLY);
    struct err err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = make_file("bad", cases[i].mode, cases[i].text);
        struct alert_sink_options options = { .kind = ALERT_SINK_WEBHOOK,
                                              .target = web_peer_url(peer),
                                              .token_file = path };
        assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), cases[i].code);
        assert_null(strstr(err.msg, "secret"));
        free(path);
    }
    assert_int_equal(send_once(&(struct alert_sink_options){ .kind = ALERT_SINK_WEBHOOK,
                                                             .target = web_peer_url(peer),
                                                             .token_file = "/nowhere/token" },
                               DELIVERY_OPENED, &err),
                     E_NOT_FOUND);
    assert_int_equal(web_peer_count(peer), 0);
    web_peer_stop(peer);
}

static void webhook_that_refuses_is_an_error(void **state)
{
    (void)state;
    struct web_peer *peer = web_peer_start(NULL);
    struct alert_sink_options options = { .kind = ALERT_SINK_WEBHOOK,
                                          .target = web_peer_url(peer) };
    struct err err;
    web_peer_set(peer, "HTTP/1.1 500 Oops\r\nContent-Length: 11\r\n\r\nno \x1b[2J\nmore", 0);
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_IO);
    assert_string_equal(err.msg, "answered 500: \"no \\x1b[2J\\x0amor\"");
    web_peer_set(peer, "HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n", 0);
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_IO);
    web_peer_set(peer, "gibberish\r\n\r\n", 0);
    assert_int_not_equal(send_once(&options, DELIVERY_OPENED, &err), E_OK);
    web_peer_stop(peer);
    assert_int_equal(send_once(&(struct alert_sink_options){ .kind = ALERT_SINK_WEBHOOK,
                                                             .target = "http://127.0.0.1:1/" },
                               DELIVERY_OPENED, &err),
                     E_IO);
}

static void redirect_is_not_followed(void **state)
{
    (void)state;
    struct web_peer *peer = web_peer_start(NULL), *other = web_peer_start(OK_REPLY);
    struct err err;
    char answer[256];
    for (int status = 301; status <= 308; status++) {
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 %d Elsewhere\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n", status,
                 web_peer_url(other));
        web_peer_set(peer, answer, 0);
        assert_int_equal(send_once(&(struct alert_sink_options){ .kind = ALERT_SINK_WEBHOOK,
                                                                 .target = web_peer_url(peer) },
                                   DELIVERY_OPENED, &err),
                         E_IO);
        assert_non_null(strstr(err.msg, "redirects are not followed"));
    }
    assert_int_equal(web_peer_count(other), 0);
    web_peer_stop(peer);
    web_peer_stop(other);
}

/* A 2xx with an endless body has taken the alert all the same; a refusal with one is a refusal. */
static void huge_answer_does_no_harm(void **state)
{
    (void)state;
    struct web_peer *peer =
        web_peer_start("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000\r\n\r\n");
    struct alert_sink_options options = { .kind = ALERT_SINK_WEBHOOK,
                                          .target = web_peer_url(peer) };
    struct err err;
    web_peer_set_endless(peer, true);
    double began = seconds();
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_OK);
    web_peer_set(peer, "HTTP/1.1 503 Busy\r\nContent-Length: 9000000000000\r\n\r\n", 0);
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_IO);
    assert_memory_equal(err.msg, "answered 503: \"xxx", 18);
    assert_true(seconds() - began < 3);
    web_peer_stop(peer);
}

static void slow_webhook_is_left(void **state)
{
    (void)state;
    struct web_peer *peer = web_peer_start(NULL);
    struct err err;
    double began = seconds();
    assert_int_equal(send_once(&(struct alert_sink_options){ .kind = ALERT_SINK_WEBHOOK,
                                                             .target = web_peer_url(peer),
                                                             .timeout_ms = 300 },
                               DELIVERY_OPENED, &err),
                     E_TIMEOUT);
    assert_true(seconds() - began < 2);
    web_peer_stop(peer);
}

/* -- names and targets -- */

static void assert_name(enum alert_sink_kind kind, const char *target, const char *name)
{
    static const char *const to[] = { "a@x.example", "b@y.example" };
    struct alert_sink *sink = open_sink(&(struct alert_sink_options){ .kind = kind,
                                                                      .target = target,
                                                                      .mail_from = "m@x.example",
                                                                      .mail_to = to,
                                                                      .mail_to_count = 2 });
    assert_string_equal(alert_sink_name(sink), name);
    alert_sink_close(sink);
}

static void names_tell_no_passwords(void **state)
{
    (void)state;
    assert_name(ALERT_SINK_WEBHOOK, "http://h.example/p", "webhook http://h.example/p");
    assert_name(ALERT_SINK_WEBHOOK, "https://u:p@h.example:8/p@q?r@s",
                "webhook https://h.example:8/p@q?r@s");
    assert_name(ALERT_SINK_WEBHOOK, "https://u:p@w@h.example", "webhook https://h.example");
    assert_name(ALERT_SINK_ALERTMANAGER, "http://u@h.example/", "alertmanager http://h.example/");
    assert_name(ALERT_SINK_MAIL, "smtp://h.example:25",
                "mail a@x.example, b@y.example by smtp://h.example:25");
    assert_name(ALERT_SINK_SYSLOG, NULL, "syslog");
    assert_name(ALERT_SINK_COMMAND, "/opt/x y\n", "command /opt/x y\\x0a");
}

static void long_names_are_cut_and_stay_different(void **state)
{
    (void)state;
    char one[600] = "http://h.example/", two[600];
    memset(one + 17, 'a', 500);
    one[517] = 0;
    memcpy(two, one, sizeof two);
    two[516] = 'b';
    struct alert_sink *a =
        open_sink(&(struct alert_sink_options){ .kind = ALERT_SINK_WEBHOOK, .target = one });
    struct alert_sink *b =
        open_sink(&(struct alert_sink_options){ .kind = ALERT_SINK_WEBHOOK, .target = two });
    assert_int_equal(strlen(alert_sink_name(a)), ALERT_SINK_NAME_MAX - 1);
    assert_string_not_equal(alert_sink_name(a), alert_sink_name(b));
    alert_sink_close(a);
    alert_sink_close(b);
}

static void impossible_targets_are_refused(void **state)
{
    (void)state;
    static const char *const to[] = { "a@x.example" };
    static const char *const bad_to[] = { "a@x.example\nRCPT" };
    static const struct alert_sink_options cases[] = {
        { .kind = ALERT_SINK_WEBHOOK },
        { .kind = ALERT_SINK_WEBHOOK, .target = "" },
        { .kind = ALERT_SINK_WEBHOOK, .target = "http://" },
        { .kind = ALERT_SINK_WEBHOOK, .target = "http:///x" },
        { .kind = ALERT_SINK_WEBHOOK, .target = "ftp://x" },
        { .kind = ALERT_SINK_WEBHOOK, .target = "http://x/\r\nX: y" },
        { .kind = ALERT_SINK_WEBHOOK, .target = "http://x/ y" },
        { .kind = ALERT_SINK_ALERTMANAGER, .target = "file:///etc/passwd" },
        { .kind = ALERT_SINK_COMMAND, .target = "sh" },
        { .kind = ALERT_SINK_COMMAND, .target = "" },
        { .kind = ALERT_SINK_MAIL, .target = "smtp://x" },
        { .kind = ALERT_SINK_MAIL, .target = "smtp://x", .mail_from = "a@b", .mail_to = to },
        { .kind = ALERT_SINK_MAIL,
          .target = "smtp://u:p@x",
          .mail_from = "a@b",
          .mail_to = to,
          .mail_to_count = 1 },
        { .kind = ALERT_SINK_MAIL,
          .target = "http://x",
          .mail_from = "a@b",
          .mail_to = to,
          .mail_to_count = 1 },
        { .kind = ALERT_SINK_MAIL,
          .target = "smtp://x",
          .mail_from = "a@b",
          .mail_to = bad_to,
          .mail_to_count = 1 },
        { .kind = ALERT_SINK_MAIL,
          .target = "smtp://x",
          .mail_from = "a@b",
          .mail_to = to,
          .mail_to_count = 1,
          .smtp_user = "u" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alert_sink *sink = NULL;
        struct err err;
        assert_int_equal(alert_sink_open(&sink, &cases[i], &err), E_MALFORMED);
        assert_null(sink);
    }
}

/* -- mail -- */

static const char *const recipients[] = { "one@x.example", "two@x.example", "three@x.example" };

static struct alert_sink_options mail_options(struct mail_server *server)
{
    return (struct alert_sink_options){ .kind = ALERT_SINK_MAIL,
                                        .target = mail_server_url(server),
                                        .mail_from = "m@x.example",
                                        .mail_to = recipients,
                                        .mail_to_count = 3,
                                        .timeout_ms = 3000 };
}

static void mail_reaches_each_recipient_under_one_id(void **state)
{
    (void)state;
    struct mail_server *server = mail_server_start(&(struct mail_server_options){ 0 });
    struct alert_sink_options options = mail_options(server);
    char line[128];
    struct err err;
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_OK);
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_OK); /* as after a crash */
    assert_int_equal(send_once(&options, DELIVERY_RESOLVED, &err), E_OK);
    assert_int_equal(mail_server_count(server), 9);
    snprintf(line, sizeof line, "\r\nMessage-ID: <%s.opened@x.example>\r\n", id);
    for (size_t i = 0; i < 6; i++) {
        const struct mail_server_mail *mail = mail_server_mail(server, i);
        assert_non_null(strstr(mail->to, recipients[i % 3]));
        assert_non_null(strstr(mail->data, line));
        assert_non_null(strstr(mail->data, "\r\nSubject: [courtroll] critical fork "));
    }
    const char *resolved = mail_server_mail(server, 8)->data;
    assert_null(strstr(resolved, line));
    snprintf(line, sizeof line, "\r\nIn-Reply-To: <%s.opened@x.example>\r\n", id);
    assert_non_null(strstr(resolved, line));
    mail_server_stop(server);
}

/* Who has the mail does not get it again because of another; who is refused for good holds up nobody. */
static void mail_is_repeated_for_whom_it_failed_only(void **state)
{
    (void)state;
    struct mail_server *server = mail_server_start(
        &(struct mail_server_options){ .refused = "two@", .refusal = "451 later" });
    struct alert_sink_options options = mail_options(server);
    struct alert_sink *sink = open_sink(&options);
    struct delivery delivery = sample(DELIVERY_OPENED);
    struct err err;
    assert_int_equal(alert_sink_send(sink, &delivery, NOW, &err), E_IO);
    assert_non_null(strstr(err.msg, "two@x.example"));
    assert_int_equal(mail_server_count(server), 2);
    assert_int_equal(alert_sink_send(sink, &delivery, NOW, &err), E_IO);
    assert_int_equal(mail_server_count(server), 2);
    mail_server_set(server, &(struct mail_server_options){ 0 });
    assert_int_equal(alert_sink_send(sink, &delivery, NOW, &err), E_OK);
    assert_int_equal(mail_server_count(server), 3);
    assert_non_null(strstr(mail_server_mail(server, 2)->to, "two@"));
    mail_server_set(server,
                    &(struct mail_server_options){ .refused = "two@", .refusal = "550 gone" });
    delivery.event = DELIVERY_RESOLVED;
    assert_int_equal(alert_sink_send(sink, &delivery, NOW, &err), E_OK);
    assert_int_equal(mail_server_count(server), 5);
    mail_server_set(server, &(struct mail_server_options){ .refused = "@x", .refusal = "550 no" });
    delivery.number++;
    for (int i = 0; i < 2; i++) { /* nobody was told: that is no success, however often */
        assert_int_equal(alert_sink_send(sink, &delivery, NOW, &err), E_IO);
        assert_non_null(strstr(err.msg, "every recipient is refused"));
    }
    alert_sink_close(sink);
    mail_server_stop(server);
}

static void mail_server_that_hangs_is_left_in_time(void **state)
{
    (void)state;
    struct mail_server *server =
        mail_server_start(&(struct mail_server_options){ .hangs_at = "MAIL" });
    struct alert_sink_options options = mail_options(server);
    struct err err;
    options.timeout_ms = 400;
    double began = seconds();
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_TIMEOUT);
    assert_true(seconds() - began < 2); /* for all recipients together */
    mail_server_stop(server);
}

static void mail_password_is_private(void **state)
{
    (void)state;
    struct mail_server *server =
        mail_server_start(&(struct mail_server_options){ .offers_auth = true });
    struct alert_sink_options options = mail_options(server);
    char *path = make_file("password", 0644, "s3cret\n");
    struct err err;
    options.smtp_user = "u";
    options.smtp_password_file = path;
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_DENIED);
    assert_int_equal(mail_server_connections(server), 0);
    chmod(path, 0600);
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_OK);
    assert_string_equal(mail_server_auth(server), "|u|s3cret");
    free(path);
    mail_server_stop(server);
}

/* -- journal and syslog: the library calls are caught here, the sockets are the test's -- */

static struct {
    char fields[16][2100];
    size_t count;
    int rc;
} journal;

int sd_journal_sendv(const struct iovec *vectors, int count)
{
    journal.count = (size_t)count;
    for (int i = 0; i < count; i++) {
        snprintf(journal.fields[i], sizeof journal.fields[i], "%.*s", (int)vectors[i].iov_len,
                 (const char *)vectors[i].iov_base);
    }
    return journal.rc;
}

static char logged[4096];
static int logged_priority;

/* Fortified builds call the second. */
void syslog(int priority, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(logged, sizeof logged, fmt, args);
    va_end(args);
    logged_priority = priority;
}

__attribute__((format(printf, 3, 4))) void __syslog_chk(int priority, int flag, const char *fmt,
                                                        ...);
void __syslog_chk(int priority, int flag, const char *fmt, ...)
{
    (void)flag;
    va_list args;
    va_start(args, fmt);
    vsnprintf(logged, sizeof logged, fmt, args);
    va_end(args);
    logged_priority = priority;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static bool has_field(const char *field)
{
    for (size_t i = 0; i < journal.count; i++) {
        if (strcmp(journal.fields[i], field) == 0) {
            return true;
        }
    }
    return false;
}

static void journal_comes_before_syslog(void **state)
{
    (void)state;
    char *journal_path = files_join(directory, "journal"), *log_path = files_join(directory, "log");
    struct alert_sink_options options = { .kind = ALERT_SINK_SYSLOG,
                                          .journal_socket = journal_path,
                                          .syslog_socket = log_path };
    struct err err;
    logged[0] = 0;
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_IO);
    assert_string_equal(err.msg, "there is neither a journal nor a syslog on this machine");
    int log_fd = listen_at(log_path);
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_OK);
    assert_non_null(strstr(logged, "[courtroll] critical fork log.court.example/1"));
    assert_non_null(strstr(logged, "Two roots at size 20."));
    assert_non_null(strstr(logged, id));
    assert_int_equal(logged_priority & 7, LOG_CRIT);
    assert_int_equal(journal.count, 0);
    logged[0] = 0;
    int journal_fd = listen_at(journal_path);
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_OK);
    assert_string_equal(logged, "");
    assert_true(has_field("PRIORITY=2"));
    assert_true(has_field("SYSLOG_IDENTIFIER=courtroll-monitor"));
    assert_true(has_field("COURTROLL_ALERT_ID=00112233445566778899aabbccddeeff"));
    assert_true(has_field("COURTROLL_CODE=fork"));
    assert_true(has_field("COURTROLL_ORIGIN=log.court.example/1"));
    assert_true(has_field("COURTROLL_EVENT=opened"));
    assert_int_equal(send_once(&options, DELIVERY_RESOLVED, &err), E_OK);
    assert_true(has_field("PRIORITY=5"));
    assert_true(has_field("COURTROLL_EVENT=resolved"));
    for (size_t i = 0; i < journal.count; i++) {
        assert_memory_not_equal(journal.fields[i], "MESSAGE_ID", 10);
    }
    journal.rc = -ENOSPC;
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_IO);
    journal.rc = 0;
    close(journal_fd); /* the file stays, and nobody listens: syslog again */
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_OK);
    assert_non_null(strstr(logged, id));
    close(log_fd);
    free(journal_path);
    free(log_path);
}

/* A journal that does not read is waited for, but not for ever. */
static void journal_that_does_not_read_is_left(void **state)
{
    (void)state;
    char *path = files_join(directory, "full");
    struct alert_sink_options options = {
        .kind = ALERT_SINK_SYSLOG, .journal_socket = path, .syslog_socket = path, .timeout_ms = 200
    };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct err err;
    int fd = listen_at(path), sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    while (sendto(sender, "x", 1, 0, (struct sockaddr *)&address, sizeof address) == 1) {
    }
    journal.count = 0;
    assert_int_equal(send_once(&options, DELIVERY_OPENED, &err), E_TIMEOUT);
    assert_int_equal(journal.count, 0);
    close(sender);
    close(fd);
    free(path);
}

/* -- command -- */

static enum err_code run_command(const char *text, struct err *err)
{
    char *path = make_file("command", 0700, text);
    struct alert_sink_options options = { .kind = ALERT_SINK_COMMAND,
                                          .target = path,
                                          .timeout_ms = 1500 };
    enum err_code rc = send_once(&options, DELIVERY_OPENED, err);
    free(path);
    return rc;
}

static void command_gets_arguments_and_json(void **state)
{
    (void)state;
    char *said = files_join(directory, "said"), text[512];
    struct buf bytes = BUF_INIT(65536);
    struct err err;
    snprintf(text, sizeof text, "#!/bin/sh\n{ echo \"$# $1 $2 $3 $4\"; cat; } > '%s'\n", said);
    assert_int_equal(run_command(text, &err), E_OK);
    assert_int_equal(file_read(&bytes, said, &err), E_OK);
    struct span rest = buf_span(&bytes), line;
    assert_true(span_take_until(&rest, '\n', &line));
    assert_true(span_is_str(line, "4 opened fork critical 00112233445566778899aabbccddeeff"));
    json_t *body = json_loadb((const char *)rest.data, rest.len, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(body, "event")), "opened");
    json_decref(body);
    buf_clear(&bytes);
    free(said);
}

static void command_that_fails_is_an_error(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(run_command("#!/bin/sh\necho 'no \033[2Jway' >&2\nexit 3\n", &err), E_IO);
    assert_non_null(strstr(err.msg, "exit code 3: no \\x1b[2Jway"));
    assert_int_equal(run_command("#!/bin/sh\nkill -TERM $$\n", &err), E_IO);
    assert_int_equal(run_command("#!/nowhere/sh\n", &err), E_NOT_FOUND);
    assert_int_equal(send_once(&(struct alert_sink_options){ .kind = ALERT_SINK_COMMAND,
                                                             .target = "/nowhere/tool" },
                               DELIVERY_OPENED, &err),
                     E_NOT_FOUND);
}

static void command_that_hangs_is_ended(void **state)
{
    (void)state;
    struct err err;
    double began = seconds();
    assert_int_equal(run_command("#!/bin/sh\nsleep 60\n", &err), E_TIMEOUT);
    assert_true(seconds() - began < 4);
}

static void command_need_not_read_its_input(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(run_command("#!/bin/sh\nexit 0\n", &err), E_OK);
    assert_int_equal(run_command("#!/bin/sh\nexec 0<&-\nsleep 0.1\n", &err), E_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(webhook_is_posted_json),
        cmocka_unit_test(alertmanager_is_posted_its_own_form),
        cmocka_unit_test(token_is_sent_and_read_each_time),
        cmocka_unit_test(bad_token_sends_nothing),
        cmocka_unit_test(webhook_that_refuses_is_an_error),
        cmocka_unit_test(redirect_is_not_followed),
        cmocka_unit_test(huge_answer_does_no_harm),
        cmocka_unit_test(slow_webhook_is_left),
        cmocka_unit_test(names_tell_no_passwords),
        cmocka_unit_test(long_names_are_cut_and_stay_different),
        cmocka_unit_test(impossible_targets_are_refused),
        cmocka_unit_test(mail_reaches_each_recipient_under_one_id),
        cmocka_unit_test(mail_is_repeated_for_whom_it_failed_only),
        cmocka_unit_test(mail_server_that_hangs_is_left_in_time),
        cmocka_unit_test(mail_password_is_private),
        cmocka_unit_test(journal_comes_before_syslog),
        cmocka_unit_test(journal_that_does_not_read_is_left),
        cmocka_unit_test(command_gets_arguments_and_json),
        cmocka_unit_test(command_that_fails_is_an_error),
        cmocka_unit_test(command_that_hangs_is_ended),
        cmocka_unit_test(command_need_not_read_its_input),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
