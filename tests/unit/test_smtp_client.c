/* The client against a mail server of the test's own. */
#include "net/smtp_client.h"

#include "tests/support/certificates.h"
#include "tests/support/files.h"
#include "tests/support/mail_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <time.h>

static const char message[] = "From: <a@x.example>\r\nSubject: s\r\n\r\n.\r\n..two\r\nlast\r\n";

struct fixture {
    char *directory;
    struct party authority, server, other;
};

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fixture.directory = files_make_temp_dir();
    fixture.authority = party_make(fixture.directory, "ca", NULL, NULL);
    fixture.server = party_make(fixture.directory, "server", "IP:127.0.0.1", &fixture.authority);
    fixture.other = party_make(fixture.directory, "other", "DNS:other.example", &fixture.authority);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    party_clear(&fixture.authority);
    party_clear(&fixture.server);
    party_clear(&fixture.other);
    files_remove_tree(fixture.directory);
    return 0;
}

static enum err_code send_as(const struct smtp_client_options *options, const char *to,
                             uint32_t timeout_ms, struct err *err)
{
    struct smtp_client *client = smtp_client_new(options);
    enum err_code rc =
        smtp_client_send(client, "a@x.example", to, span_of_str(message), timeout_ms, err);
    smtp_client_free(client);
    return rc;
}

static enum err_code send_to(struct mail_server *server, const char *to, struct err *err)
{
    return send_as(&(struct smtp_client_options){ .url = mail_server_url(server) }, to, 5000, err);
}

static double seconds(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void mail_arrives_as_it_is(void **state)
{
    (void)state;
    struct mail_server *server = mail_server_start(&(struct mail_server_options){ 0 });
    struct smtp_client *client =
        smtp_client_new(&(struct smtp_client_options){ .url = mail_server_url(server) });
    struct err err;
    assert_int_equal(smtp_client_send(client, "a@x.example", "b@y.example", span_of_str(message),
                                      5000, &err),
                     E_OK);
    assert_int_equal(smtp_client_send(client, "a@x.example", "c@y.example", span_of_str(message),
                                      5000, &err),
                     E_OK);
    smtp_client_free(client);
    assert_int_equal(mail_server_count(server), 2);
    assert_int_equal(mail_server_connections(server), 1);
    const struct mail_server_mail *mail = mail_server_mail(server, 1);
    assert_memory_equal(mail->from, "<a@x.example>", 13);
    assert_string_equal(mail->to, "<c@y.example>");
    assert_string_equal(mail->data, message); /* lone dots included */
    assert_false(mail->is_tls);
    mail_server_stop(server);
}

static void tls_is_used_when_it_is_offered(void **state)
{
    (void)state;
    for (int at_once = 0; at_once < 2; at_once++) {
        struct mail_server *server =
            mail_server_start(&(struct mail_server_options){ .cert_path = fixture.server.cert_path,
                                                             .key_path = fixture.server.key_path,
                                                             .is_tls_at_once = at_once == 1,
                                                             .offers_auth = true });
        struct smtp_client_options options = { .url = mail_server_url(server),
                                               .user = "u",
                                               .password = "p w",
                                               .ca_file = fixture.authority.cert_path };
        struct err err;
        assert_int_equal(send_as(&options, "b@y.example", 5000, &err), E_OK);
        assert_true(mail_server_mail(server, 0)->is_tls);
        assert_string_equal(mail_server_auth(server), "|u|p w");
        mail_server_stop(server);
    }
}

/* Of another name, or of another authority: no mail, and no password. */
static void wrong_certificate_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct party *party = i == 0 ? &fixture.other : &fixture.server;
        struct mail_server *server = mail_server_start(&(struct mail_server_options){
            .cert_path = party->cert_path, .key_path = party->key_path, .offers_auth = true });
        struct smtp_client_options options = { .url = mail_server_url(server),
                                               .user = "u",
                                               .password = "p",
                                               .ca_file =
                                                   i == 0 ? fixture.authority.cert_path : NULL };
        struct err err;
        assert_int_equal(send_as(&options, "b@y.example", 5000, &err), E_IO);
        assert_non_null(strstr(err.msg, "SSL"));
        assert_int_equal(mail_server_count(server), 0);
        assert_string_equal(mail_server_auth(server), "");
        mail_server_stop(server);
    }
}

static void wrong_password_is_not_the_recipients_fault(void **state)
{
    (void)state;
    struct mail_server *server =
        mail_server_start(&(struct mail_server_options){ .offers_auth = true });
    struct smtp_client_options options = { .url = mail_server_url(server),
                                           .user = "u",
                                           .password = "wrong" };
    struct err err;
    assert_int_equal(send_as(&options, "b@y.example", 5000, &err), E_IO);
    assert_non_null(strstr(err.msg, "535 wrong password"));
    assert_null(strstr(err.msg, "|u|"));
    mail_server_stop(server);
}

static void refusals_are_told_apart(void **state)
{
    (void)state;
    struct mail_server *server = mail_server_start(&(struct mail_server_options){
        .refused = "nobody", .refusal = "550 no \x1b[2J such user" });
    struct err err;
    assert_int_equal(send_to(server, "nobody@y.example", &err), E_DENIED);
    assert_non_null(strstr(err.msg, "550 no \\x1b[2J such user"));
    assert_int_equal(send_to(server, "b@y.example", &err), E_OK);
    mail_server_set(server, &(struct mail_server_options){ .refused = "nobody",
                                                           .refusal = "451 greylisted" });
    assert_int_equal(send_to(server, "nobody@y.example", &err), E_IO);
    assert_non_null(strstr(err.msg, "451 greylisted"));
    mail_server_set(server, &(struct mail_server_options){ .answer_to_data = "554 spam" });
    assert_int_equal(send_to(server, "b@y.example", &err), E_DENIED);
    mail_server_set(server, &(struct mail_server_options){ .answer_to_data = "452 full" });
    assert_int_equal(send_to(server, "b@y.example", &err), E_IO);
    assert_int_equal(mail_server_count(server), 1);
    mail_server_stop(server);
}

static void server_that_hangs_is_left(void **state)
{
    (void)state;
    static const char *const places[] = { "connect", "EHLO", "RCPT", "DATA", "." };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct mail_server *server =
            mail_server_start(&(struct mail_server_options){ .hangs_at = places[i] });
        struct smtp_client_options options = { .url = mail_server_url(server) };
        struct err err;
        double began = seconds();
        assert_int_equal(send_as(&options, "b@y.example", 200, &err), E_TIMEOUT);
        assert_true(seconds() - began < 2);
        assert_int_equal(mail_server_count(server), 0);
        mail_server_stop(server);
    }
}

/* The answer to QUIT is not waited for. */
static void server_that_does_not_say_goodbye_is_left(void **state)
{
    (void)state;
    struct mail_server *server =
        mail_server_start(&(struct mail_server_options){ .hangs_at = "QUIT" });
    struct err err;
    double began = seconds();
    assert_int_equal(send_to(server, "b@y.example", &err), E_OK);
    assert_true(seconds() - began < 2);
    mail_server_stop(server);
}

/* A reply that comes too late is not taken for that to the next mail. */
static void mail_after_one_that_hung_begins_anew(void **state)
{
    (void)state;
    struct mail_server *server =
        mail_server_start(&(struct mail_server_options){ .hangs_at = "." });
    struct smtp_client *client =
        smtp_client_new(&(struct smtp_client_options){ .url = mail_server_url(server) });
    struct err err;
    assert_int_equal(smtp_client_send(client, "a@x.example", "b@y.example", span_of_str(message),
                                      200, &err),
                     E_TIMEOUT);
    mail_server_set(server, &(struct mail_server_options){ .refused = "c@", .refusal = "550 no" });
    assert_int_equal(smtp_client_send(client, "a@x.example", "c@y.example", span_of_str(message),
                                      3000, &err),
                     E_DENIED);
    assert_int_equal(smtp_client_send(client, "a@x.example", "d@y.example", span_of_str(message),
                                      3000, &err),
                     E_OK);
    smtp_client_free(client);
    assert_int_equal(mail_server_count(server), 1);
    mail_server_stop(server);
}

static void what_is_no_mail_server_is_an_error(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(send_as(&(struct smtp_client_options){ .url = "smtp://127.0.0.1:1" },
                             "b@y.example", 1000, &err),
                     E_IO);
    assert_int_equal(send_as(&(struct smtp_client_options){ .url = "http://127.0.0.1:1" },
                             "b@y.example", 1000, &err),
                     E_MALFORMED);
    assert_int_equal(send_as(&(struct smtp_client_options){ .url = "file:///etc/passwd" },
                             "b@y.example", 1000, &err),
                     E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_arrives_as_it_is),
        cmocka_unit_test(tls_is_used_when_it_is_offered),
        cmocka_unit_test(wrong_certificate_is_refused),
        cmocka_unit_test(wrong_password_is_not_the_recipients_fault),
        cmocka_unit_test(refusals_are_told_apart),
        cmocka_unit_test(server_that_hangs_is_left),
        cmocka_unit_test(server_that_does_not_say_goodbye_is_left),
        cmocka_unit_test(mail_after_one_that_hung_begins_anew),
        cmocka_unit_test(what_is_no_mail_server_is_an_error),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
