#include "monitor/settings.h"
#include "monitor/watch_list.h"
#include "tests/support/files.h"
#include "tests/support/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct err err;
static char *directory;

static int make_directory(void **state)
{
    (void)state;
    directory = files_make_temp_dir();
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    files_remove_tree(directory);
    return 0;
}

static char *write_file(const char *name, const char *text)
{
    char *path = files_join(directory, name);
    files_write(path, span_of_str(text));
    return path;
}

/* The settings of a file: "%s" is what every monitor needs. */
static enum err_code read_with(struct monitor_settings *out, struct config **config,
                               const char *data_dir, const char *more)
{
    struct buf text = BUF_INIT(256 * 1024);
    buf_putf(&text, "data-dir = %s\nkey = monitor.key\n%s", data_dir, more);
    *config = config_new(&monitor_settings_schema);
    enum err_code rc = config_parse(*config, "test.conf", buf_span(&text), &err);
    assert_int_equal(rc, E_OK);
    buf_clear(&text);
    return monitor_settings_read(out, *config, &err);
}

static enum err_code read_text(const char *more)
{
    static struct monitor_settings settings;
    struct config *config = NULL;
    enum err_code rc = read_with(&settings, &config, "data", more);
    config_free(config);
    return rc;
}

static void assert_refused(const char *more, const char *words)
{
    char text[1024];
    snprintf(text, sizeof text, "policy = p\n%s", more);
    assert_int_equal(read_text(text), E_MALFORMED);
    if (strstr(err.msg, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, err.msg);
    }
}

static void defaults_are_those_of_the_manual(void **state)
{
    (void)state;
    struct monitor_settings *s = calloc(1, sizeof *s);
    struct config *config;
    assert_int_equal(read_with(s, &config, "data", "policy = p\n"), E_OK);
    assert_int_equal(s->poll_interval_ms, 10000);
    assert_int_equal(s->scan_threads, 4);
    assert_true(s->is_archiving);
    assert_int_equal(s->thresholds.stalled_after_s, 1800);
    assert_int_equal(s->thresholds.witness_missing_after_s, 3600);
    assert_int_equal(s->thresholds.withheld_after_s, 600);
    assert_int_equal(s->thresholds.unreachable_after_s, 300);
    assert_int_equal(s->thresholds.future_tolerance_s, 60);
    assert_int_equal(s->thresholds.growth_per_hour_max, 0);
    assert_int_equal(s->repeat_s, 24 * 3600);
    assert_int_equal(s->heartbeat_s, 24 * 3600);
    assert_int_equal(s->sink_count, 0);
    assert_int_equal(s->listen.http_count, 1);
    assert_string_equal(s->listen.grpc[0], "127.0.0.1:6983");
    config_free(config);
    free(s);
}

static void sinks_come_in_the_order_of_their_kinds(void **state)
{
    (void)state;
    struct monitor_settings *s = calloc(1, sizeof *s);
    struct config *config;
    assert_int_equal(read_with(s, &config, "data",
                               "policy = p\nalert-command = /bin/true\nalert-syslog = on\n"
                               "alert-mail-to = a@example\nalert-mail-to = b@example\n"
                               "alert-mail-from = m@example\nalert-smtp = smtps://mail.example\n"
                               "alert-alertmanager = http://am.example\n"
                               "alert-webhook = https://hook.example/x\n"
                               "page-url = https://page.example/\n"),
                     E_OK);
    assert_int_equal(s->sink_count, 5);
    assert_int_equal(s->sinks[0].kind, ALERT_SINK_WEBHOOK);
    assert_int_equal(s->sinks[1].kind, ALERT_SINK_ALERTMANAGER);
    assert_int_equal(s->sinks[2].kind, ALERT_SINK_MAIL);
    assert_int_equal(s->sinks[3].kind, ALERT_SINK_SYSLOG);
    assert_int_equal(s->sinks[4].kind, ALERT_SINK_COMMAND);
    assert_ptr_equal(s->sinks[2].mail_to, s->mail_to); /* of this struct, not of one that is gone */
    assert_int_equal(s->sinks[2].mail_to_count, 2);
    assert_string_equal(s->sinks[2].mail_to[1], "b@example");
    assert_null(s->sinks[0].mail_to);
    assert_string_equal(s->sinks[0].page_url, "https://page.example/");
    config_free(config);
    free(s);
}

static void sinks_that_cannot_work_are_refused(void **state)
{
    (void)state;
    assert_refused("alert-webhook = ftp://x.example\n", "alert-webhook");
    assert_refused("alert-webhook = http://\n", "alert-webhook");
    assert_refused("alert-webhook = http:///path\n", "alert-webhook");
    assert_refused("alert-alertmanager = am.example:9093\n", "alert-alertmanager");
    assert_refused("alert-mail-to = a@example\n", "all three");
    assert_refused("alert-smtp = smtp://x.example\n", "all three");
    assert_refused("alert-mail-to = a@example\nalert-mail-from = b@example\n", "all three");
    const char *mail = "alert-mail-from = b@example\nalert-smtp = smtp://x.example\n";
    char text[512];
    snprintf(text, sizeof text, "alert-mail-to = nobody\n%s", mail);
    assert_refused(text, "no mail address");
    snprintf(text, sizeof text, "alert-mail-to = a@example,b@example\n%s", mail);
    assert_refused(text, "no mail address");
    snprintf(text, sizeof text, "alert-mail-to = a@example\nalert-smtp-user = u\n%s", mail);
    assert_refused(text, "go together");
    assert_refused("alert-mail-to = a@example\nalert-mail-from = b@example\n"
                   "alert-smtp = http://x.example\n",
                   "smtp://");
    assert_refused("alert-command = bin/true\n", "absolute");
    assert_refused("alert-command = /bin\n", "no program");
    assert_refused("alert-command = /nonexistent/x\n", "no program");
    assert_refused("alert-token-file = /nonexistent/x\n", "cannot be read");
    assert_refused("alert-token-file = /etc/passwd\n", "by others");
    snprintf(text, sizeof text,
             "alert-mail-to = a@example\nalert-smtp-user = u\n"
             "alert-smtp-password-file = /etc/passwd\n%s",
             mail);
    assert_refused(text, "by others");
    assert_refused("alert-ca-file = /nonexistent/x\n", "cannot be read");
    assert_refused("alert-webhook = http://x.example\nalert-webhook = http://x.example\n", "twice");
}

static void there_are_no_more_sinks_than_the_book_takes(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(64 * 1024);
    buf_put_str(&text, "policy = p\nalert-syslog = on\n");
    for (int i = 0; i < ALERT_SINKS_MAX - 1; i++) {
        buf_putf(&text, "alert-webhook = http://h%d.example\n", i);
    }
    assert_int_equal(read_text(buf_c_str(&text)), E_OK);
    buf_put_str(&text, "alert-command = /bin/true\n");
    assert_int_equal(read_text(buf_c_str(&text)), E_MALFORMED);
    buf_clear(&text);
}

static void vantages_are_addresses_of_any_kind(void **state)
{
    (void)state;
    struct monitor_settings *s = calloc(1, sizeof *s);
    struct config *config;
    char text[1024];
    snprintf(text, sizeof text,
             "policy = p\nvantage = https://w.example/\nvantage = grpc://m.example:6983\n"
             "vantage = file:%s\n",
             directory);
    assert_int_equal(read_with(s, &config, "data", text), E_OK);
    assert_int_equal(s->vantage_count, 3);
    assert_int_equal(s->vantage_addresses[0].kind, LOG_ADDRESS_HTTP);
    assert_string_equal(s->vantage_addresses[0].target, "https://w.example");
    assert_int_equal(s->vantage_addresses[1].kind, LOG_ADDRESS_GRPC);
    assert_int_equal(s->vantage_addresses[2].kind, LOG_ADDRESS_DIRECTORY);
    config_free(config);
    free(s);
    assert_refused("vantage = nowhere\n", "vantage");
    assert_refused("vantage = file:/nonexistent\n", "no directory");
    assert_refused("vantage = http://x.example\nvantage = http://x.example\n", "twice");
}

static void thresholds_below_two_polls_are_refused(void **state)
{
    (void)state;
    assert_refused("poll-interval-ms = 60000\nunreachable-after-seconds = 119\n",
                   "unreachable-after-seconds");
    assert_refused("poll-interval-ms = 1000000\n", "stalled-after-seconds");
    assert_int_equal(read_text(
                         "policy = p\npoll-interval-ms = 60000\nunreachable-after-seconds = 120\n"),
                     E_OK);
    assert_int_equal(read_text("policy = p\npoll-interval-ms = 60000\nstalled-after-seconds = 0\n"),
                     E_OK);
}

static void other_settings_that_contradict_are_refused(void **state)
{
    (void)state;
    assert_refused("policy = q\nlog-url = http://x.example\n", "log-url");
    assert_refused("policy = p\n", "twice");
    assert_refused("page-url = page.example\n", "page-url");
    struct buf text = BUF_INIT(4096);
    for (int i = 0; i < LISTEN_MAX; i++) {
        buf_putf(&text, "grpc-listen = 127.0.0.1:%d\n", 7000 + i);
    }
    assert_refused(buf_c_str(&text), "control socket");
    buf_clear(&text);
}

static void control_socket_fits_into_an_address(void **state)
{
    (void)state;
    struct monitor_settings *s = calloc(1, sizeof *s);
    struct config *config;
    char name[ADDRESS_PATH_MAX + 1];
    memset(name, 'd', sizeof name);
    name[ADDRESS_PATH_MAX - strlen("/control.sock")] = 0;
    assert_int_equal(read_with(s, &config, name, "policy = p\n"), E_OK);
    config_free(config);
    name[ADDRESS_PATH_MAX - strlen("/control.sock")] = 'd';
    name[ADDRESS_PATH_MAX - strlen("/control.sock") + 1] = 0;
    assert_int_equal(read_with(s, &config, name, "policy = p\n"), E_MALFORMED);
    assert_non_null(strstr(err.msg, "control-socket"));
    config_free(config);
    assert_int_equal(read_with(s, &config, name, "policy = p\ncontrol-socket = c\n"), E_OK);
    config_free(config);
    free(s);
}

static void help_names_every_key(void **state)
{
    (void)state;
    struct buf help = BUF_INIT(64 * 1024);
    config_put_help(&help, &monitor_settings_schema);
    for (size_t i = 0; i < monitor_settings_schema.key_count; i++) {
        assert_non_null(strstr(buf_c_str(&help), monitor_settings_schema.keys[i].name));
    }
    buf_clear(&help);
}

/* -- what the settings name: policies, checkpoints, peers -- */

static void put_log(struct buf *out, const char *origin, const char *url)
{
    struct signer log = keys_signer(origin, SIGNATURE_ED25519, origin);
    buf_put_str(out, "log ");
    vkey_put(out, &log.vkey);
    buf_putf(out, " %s\n", url);
    signer_clear(&log);
}

/* Writes the policy `name` of one log. */
static void write_policy(const char *name, const char *origin, const char *url)
{
    struct buf text = BUF_INIT(4096);
    put_log(&text, origin, url);
    buf_put_str(&text, "quorum none\n");
    free(write_file(name, buf_c_str(&text)));
    buf_clear(&text);
}

/* Words: '=' settings with the test's directory for '@'. */
static enum err_code read_list(struct watch_list *out, const char *words)
{
    struct monitor_settings *s = calloc(1, sizeof *s);
    struct config *config;
    struct buf text = BUF_INIT(64 * 1024);
    for (const char *at = words; *at != 0; at++) {
        if (*at == '@') {
            buf_put_str(&text, directory);
        } else {
            buf_put_u8(&text, (uint8_t)*at);
        }
    }
    assert_int_equal(read_with(s, &config, "data", buf_c_str(&text)), E_OK);
    enum err_code rc = watch_list_read(out, s, &err);
    buf_clear(&text);
    config_free(config);
    free(s);
    return rc;
}

static void assert_list_refused(const char *words, enum err_code code, const char *reason)
{
    struct watch_list list;
    assert_int_equal(read_list(&list, words), code);
    if (strstr(err.msg, reason) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", reason, err.msg);
    }
}

static void each_policy_is_of_one_log_that_can_be_read(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(4096);
    write_policy("a", "log.example/a", "http://a.example");
    write_policy("b", "log.example/b", "");
    write_policy("c", "log.example/a", "http://c.example");
    write_policy("g", "log.example/g", "g.example:6963");
    put_log(&text, "log.example/x", "http://x.example");
    put_log(&text, "log.example/y", "http://y.example");
    buf_put_str(&text, "quorum none\n");
    free(write_file("two", buf_c_str(&text)));
    free(write_file("none", "quorum none\n"));
    free(write_file("garbage", "quorum of one\n"));
    buf_clear(&text);
    assert_list_refused("policy = @/b\n", E_MALFORMED, "has no URL");
    assert_list_refused("policy = @/a\npolicy = @/c\n", E_MALFORMED, "in another policy");
    assert_list_refused("policy = @/g\n", E_MALFORMED, "gRPC");
    assert_list_refused("policy = @/two\n", E_MALFORMED, "2 logs");
    assert_list_refused("policy = @/none\n", E_MALFORMED, "0 logs");
    assert_list_refused("policy = @/garbage\n", E_MALFORMED, "garbage");
    assert_list_refused("policy = @/missing\n", E_NOT_FOUND, "missing");
    struct watch_list list;
    assert_int_equal(read_list(&list, "policy = @/b\nlog-url = file:@\n"), E_OK);
    assert_int_equal(list.items[0].address.kind, LOG_ADDRESS_DIRECTORY);
    assert_null(list.items[0].promise_key);
    watch_list_clear(&list);
}

static void a_promise_key_in_the_policy_is_no_second_log(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(4096);
    put_log(&text, "log.example/p", "http://p.example");
    put_log(&text, "log.example/p/promise", "");
    buf_put_str(&text, "quorum none\n");
    free(write_file("promise", buf_c_str(&text)));
    buf_clear(&text);
    struct watch_list list;
    assert_int_equal(read_list(&list, "policy = @/promise\n"), E_OK);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].log->vkey.name, "log.example/p");
    assert_string_equal(list.items[0].promise_key->name, "log.example/p/promise");
    watch_list_clear(&list);
}

static void write_note(const char *name, const char *origin, const char *signer_secret)
{
    struct signer log = keys_signer(origin, SIGNATURE_ED25519, signer_secret);
    struct checkpoint checkpoint = { .size = 7, .root = sha256(span_of_str("root")) };
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(NOTE_BYTES_MAX);
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", origin);
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(&note, buf_span(&text), &log, 0);
    free(write_file(name, buf_c_str(&note)));
    buf_clear(&text);
    buf_clear(&note);
    signer_clear(&log);
}

static void a_checkpoint_to_begin_at_is_of_a_log_that_is_followed(void **state)
{
    (void)state;
    write_policy("a", "log.example/a", "http://a.example");
    write_policy("d", "log.example/d", "http://d.example");
    write_note("at", "log.example/d", "log.example/d");
    write_note("forged", "log.example/d", "somebody else");
    write_note("strange", "log.example/z", "log.example/z");
    const char *both = "policy = @/a\npolicy = @/d\n";
    char text[256];
    struct watch_list list;
    snprintf(text, sizeof text, "%sstart-from = @/at\n", both);
    assert_int_equal(read_list(&list, text), E_OK);
    assert_int_equal(list.items[0].trusted.len, 0);
    assert_true(list.items[1].trusted.len > 0);
    watch_list_clear(&list);
    snprintf(text, sizeof text, "%sstart-from = @/forged\n", both);
    assert_list_refused(text, E_BAD_SIGNATURE, "forged");
    snprintf(text, sizeof text, "%sstart-from = @/strange\n", both);
    assert_list_refused(text, E_NOT_FOUND, "no policy");
    snprintf(text, sizeof text, "%sstart-from = @/at\nstart-from = @/./at\n", both);
    assert_list_refused(text, E_MALFORMED, "another file");
    snprintf(text, sizeof text, "%sstart-from = @/a\n", both);
    assert_list_refused(text, E_MALFORMED, "start-from");
}

static void peers_are_keys_of_monitors(void **state)
{
    (void)state;
    struct signer monitor = keys_signer("m.example", SIGNATURE_ED25519, "m");
    struct signer witness = keys_signer("w.example", SIGNATURE_COSIGNATURE, "w");
    struct buf good = BUF_INIT(1024), bad = BUF_INIT(1024);
    char text[1024];
    struct watch_list list;
    vkey_put(&good, &monitor.vkey);
    vkey_put(&bad, &witness.vkey);
    write_policy("a", "log.example/a", "http://a.example");
    snprintf(text, sizeof text, "policy = @/a\npeer = %s\n", buf_c_str(&good));
    assert_int_equal(read_list(&list, text), E_OK);
    assert_int_equal(list.peer_count, 1);
    assert_string_equal(list.peers[0].name, "m.example");
    watch_list_clear(&list);
    snprintf(text, sizeof text, "policy = @/a\npeer = %s\n", buf_c_str(&bad));
    assert_list_refused(text, E_MALFORMED, "peer");
    assert_list_refused("policy = @/a\npeer = nobody\n", E_MALFORMED, "peer");
    buf_clear(&good);
    buf_clear(&bad);
    signer_clear(&monitor);
    signer_clear(&witness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_manual),
        cmocka_unit_test(sinks_come_in_the_order_of_their_kinds),
        cmocka_unit_test(sinks_that_cannot_work_are_refused),
        cmocka_unit_test(there_are_no_more_sinks_than_the_book_takes),
        cmocka_unit_test(vantages_are_addresses_of_any_kind),
        cmocka_unit_test(thresholds_below_two_polls_are_refused),
        cmocka_unit_test(other_settings_that_contradict_are_refused),
        cmocka_unit_test(control_socket_fits_into_an_address),
        cmocka_unit_test(help_names_every_key),
        cmocka_unit_test(each_policy_is_of_one_log_that_can_be_read),
        cmocka_unit_test(a_promise_key_in_the_policy_is_no_second_log),
        cmocka_unit_test(a_checkpoint_to_begin_at_is_of_a_log_that_is_followed),
        cmocka_unit_test(peers_are_keys_of_monitors),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
