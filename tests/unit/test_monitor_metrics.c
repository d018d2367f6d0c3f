#include "base/ascii.h"
#include "base/metrics.h"
#include "monitor/heartbeat.h"
#include "monitor/monitor_metrics.h"
#include "tests/support/monitor_page_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct monitor_page_world world;

static struct buf make_metrics(void)
{
    struct buf out;
    struct http_server_stats http = { .requests = 3 };
    struct monitor_metrics *metrics = monitor_metrics_new(&world.parts);
    buf_init(&out, MONITOR_METRICS_BYTES_MAX);
    monitor_metrics_put(metrics, &world.parts, &http, WORLD_NOW_S, &out);
    monitor_metrics_free(metrics);
    return out;
}

static bool has(struct buf *out, const char *text)
{
    return strstr(buf_c_str(out), text) != NULL;
}

static void assert_has(struct buf *out, const char *text)
{
    if (!has(out, text)) {
        fail_msg("not there: %s", text);
    }
}

/* Quotes are escaped inside labels, names are ours, a value follows: what Prometheus asks of a line. */
static void assert_line(struct span line)
{
    struct span rest = line;
    size_t name = 0;
    while (name < rest.len && (rest.data[name] == '_' || rest.data[name] == ':' ||
                               (rest.data[name] >= 'a' && rest.data[name] <= 'z') ||
                               (rest.data[name] >= '0' && rest.data[name] <= '9'))) {
        name++;
    }
    assert_true(name > 0);
    rest = span_slice(rest, name, rest.len - name);
    if (span_take_prefix(&rest, span_of_str("{"))) {
        bool is_quoted = false;
        for (; rest.len > 0 && (is_quoted || rest.data[0] != '}');
             rest = span_slice(rest, 1, rest.len - 1)) {
            if (is_quoted && rest.data[0] == '\\') {
                rest = span_slice(rest, 1, rest.len - 1);
                assert_true(rest.len > 0 && strchr("n\"\\", rest.data[0]) != NULL);
            } else if (rest.data[0] == '"') {
                is_quoted = !is_quoted;
            }
        }
        assert_true(span_take_prefix(&rest, span_of_str("}")));
    }
    assert_true(span_take_prefix(&rest, span_of_str(" ")));
    assert_true(rest.len > 0);
    assert_true(span_find(rest, span_of_str(" ")) == SIZE_MAX);
}

/* Each line is a comment or a sample; each family has its help once, and no sample comes twice. */
static void assert_is_exposition(const struct buf *out)
{
    struct span rest = buf_span(out), line;
    assert_true(utf8_is_valid(rest));
    while (span_take_until(&rest, '\n', &line)) {
        if (line.len > 0 && line.data[0] == '#') {
            assert_true(span_has_prefix(line, span_of_str("# HELP ")) ||
                        span_has_prefix(line, span_of_str("# TYPE ")));
            assert_true(span_find(rest, line) == SIZE_MAX);
        } else {
            assert_line(line);
        }
    }
    assert_int_equal(rest.len, 0);
}

static void fill_status(void *ctx, struct watched_status *status)
{
    (void)ctx;
    status->log_size = 20;
    status->held_size = 10;
    status->verified_s = WORLD_NOW_S - 5;
    status->note_time_s = WORLD_NOW_S - 9;
    status->is_scanning = true;
    status->scan_rate = 1234.9;
    status->entries_hashed = 11;
    status->bytes_hashed = 12;
    status->polls = 13;
    status->failed_polls = 14;
    status->is_quorum_met = true;
    status->witness_seen_s[1] = WORLD_NOW_S;
}

static void every_part_has_its_series(void **state)
{
    (void)state;
    static const char *const sinks[] = { "webhook https://hooks.example/secret/token" };
    char id[ALERT_ID_CHARS + 1];
    world_open(&world, "monitor.example", sinks, 1);
    world_add_log(&world, "log.example/a", "w", 2);
    world_add_vantage(&world, "http://w.example", "");
    watched_log_update(world.logs[0], fill_status, NULL);
    world_raise(&world, FINDING_STALLED, "log.example/a", "", "nothing new", id);
    struct buf out = make_metrics();
    assert_is_exposition(&out);
    assert_has(&out, "courtroll_monitor_log_size{origin=\"log.example/a\"} 20\n");
    assert_has(&out, "courtroll_monitor_held_size{origin=\"log.example/a\"} 10\n");
    assert_has(&out, "courtroll_monitor_note_time_seconds{origin=\"log.example/a\"} 1789999991\n");
    assert_has(&out,
               "courtroll_monitor_verified_time_seconds{origin=\"log.example/a\"} 1789999995\n");
    assert_has(&out, "courtroll_monitor_scan_rate{origin=\"log.example/a\"} 1234\n");
    assert_has(&out, "courtroll_monitor_entries_hashed_total{origin=\"log.example/a\"} 11\n");
    assert_has(&out, "courtroll_monitor_polls_total{origin=\"log.example/a\"} 13\n");
    assert_has(&out, "courtroll_monitor_failed_polls_total{origin=\"log.example/a\"} 14\n");
    assert_has(&out, "courtroll_monitor_quorum_met{origin=\"log.example/a\"} 1\n");
    assert_has(&out, "courtroll_monitor_waiting_notes{origin=\"log.example/a\"} 0\n");
    assert_has(&out, "courtroll_monitor_witness_seen_seconds{origin=\"log.example/a\","
                     "witness=\"w0\"} 0\n");
    assert_has(&out, "courtroll_monitor_witness_seen_seconds{origin=\"log.example/a\","
                     "witness=\"w1\"} 1790000000\n");
    assert_has(&out, "courtroll_monitor_alerts_open{severity=\"critical\"} 1\n");
    assert_has(&out, "courtroll_monitor_alerts_open{severity=\"warning\"} 0\n");
    assert_has(&out, "courtroll_monitor_deliveries_waiting{sink=\"1 webhook "
                     "https://hooks.example\"} 1\n");
    assert_has(&out, "courtroll_monitor_vantage_notes_total{vantage=\"http://w.example\"} 3\n");
    assert_has(&out, "courtroll_monitor_store_failing 0\n");
    assert_has(&out, "courtroll_monitor_well 1\n");
    assert_has(&out, "courtroll_monitor_series_left_out 0\n");
    assert_false(has(&out, "secret"));
    buf_clear(&out);
    world_close(&world);
}

static void what_is_not_known_yet_has_no_sample(void **state)
{
    (void)state;
    world_open(&world, "monitor.example", NULL, 0);
    world_add_log(&world, "log.example/a", "w", 0);
    struct buf out = make_metrics();
    assert_is_exposition(&out);
    assert_false(has(&out, "courtroll_monitor_note_time_seconds{"));
    assert_false(has(&out, "courtroll_monitor_verified_time_seconds{"));
    assert_false(has(&out, "courtroll_monitor_quorum_met{")); /* nor is an alert for it */
    buf_clear(&out);
    world_close(&world);
}

static void labels_hold_any_text(void **state)
{
    (void)state;
    world_open(&world, "monitor.example", NULL, 0);
    world_add_log(&world, "log\\\"}{<&", "w\"\\", 2);
    world_add_vantage(&world, "http://x\n\"\\{} 1", "");
    struct buf out = make_metrics();
    assert_is_exposition(&out);
    assert_has(&out, "{origin=\"log\\\\\\\"}{<&\"}");
    assert_has(&out, "{vantage=\"http://x\\n\\\"\\\\{} 1\"} 3\n");
    buf_clear(&out);
    world_close(&world);
}

/* As many logs as may be followed: all have their series. */
static void all_logs_have_their_series(void **state)
{
    (void)state;
    char name[64], wanted[128];
    world_open(&world, "monitor.example", NULL, 0);
    for (size_t i = 0; i < WATCHED_LOGS_MAX; i++) {
        snprintf(name, sizeof name, "log.example/%zu", i);
        world_add_log(&world, name, "w", 3);
    }
    struct buf out = make_metrics();
    assert_is_exposition(&out);
    for (size_t i = 0; i < WATCHED_LOGS_MAX; i++) {
        snprintf(wanted, sizeof wanted, "courtroll_monitor_held_size{origin=\"log.example/%zu\"} 0",
                 i);
        assert_has(&out, wanted);
    }
    assert_has(&out, "courtroll_monitor_series_left_out 0\n");
    buf_clear(&out);
    world_close(&world);
}

/* More than fit: the rest is counted, not written over the end. */
static void too_many_series_are_left_out_and_counted(void **state)
{
    (void)state;
    char witness[230], name[240];
    memset(witness, '"', sizeof witness);
    witness[sizeof witness - 1] = 0;
    world_open(&world, "monitor.example", NULL, 0);
    for (size_t i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "%s%zu", witness, i);
        world_add_log(&world, name, witness, 255);
    }
    struct buf out = make_metrics();
    assert_has(&out, "courtroll_monitor_series_left_out ");
    assert_false(has(&out, "courtroll_monitor_series_left_out 0\n"));
    assert_true(out.len > MONITOR_METRICS_BYTES_MAX - 32 * 1024);
    struct span rest = buf_span(&out), line;
    while (span_take_until(&rest, '\n', &line)) {
        assert_true(line.data[0] == '#' || line.data[line.len - 1] != '"');
    }
    assert_int_equal(rest.len, 0);
    buf_clear(&out);
    world_close(&world);
}

/* -- the heartbeat, which /metrics tells of -- */

static void count_entries(void *ctx, struct watched_status *status)
{
    status->entries_hashed = *(uint64_t *)ctx;
}

static void look_at(uint64_t entries)
{
    watched_log_update(world.logs[0], count_entries, &entries);
}

static size_t heartbeats(struct alert *newest)
{
    struct alert *alerts = NULL;
    size_t all = alert_book_list(world.parts.alerts, true, SIZE_MAX, &alerts), count = 0;
    for (size_t i = 0; i < all; i++) {
        count += alerts[i].code == FINDING_HEARTBEAT;
    }
    if (all > 0) {
        *newest = alerts[0];
    }
    free(alerts);
    return count;
}

static void look(int64_t after_s)
{
    struct err err;
    assert_int_equal(heartbeat_look(world.parts.heartbeat, WORLD_NOW_S + after_s, &err), E_OK);
}

static void reopen(int64_t after_s)
{
    struct err err;
    heartbeat_free(world.parts.heartbeat);
    look_at(0); /* a new process counts from 0 */
    assert_int_equal(heartbeat_open(&world.parts.heartbeat, &world.parts, 86400,
                                    WORLD_NOW_S + after_s, &err),
                     E_OK);
}

static void heartbeats_come_when_due_whatever_is_restarted(void **state)
{
    (void)state;
    struct alert alert;
    size_t open[3];
    world_open(&world, "monitor.example", NULL, 0);
    world_add_log(&world, "log.example/a", "w", 0);
    reopen(0);
    look_at(1000);
    look(86399);
    assert_int_equal(heartbeats(&alert), 0);
    reopen(86399); /* what was counted is not lost, nor is the time */
    look_at(234);
    look(86400);
    assert_int_equal(heartbeats(&alert), 1);
    assert_non_null(strstr(alert.summary, "1234 entries looked at in the last 24 h"));
    assert_non_null(strstr(alert.summary, "Open alerts: 0"));
    assert_int_equal(heartbeat_last_s(world.parts.heartbeat), WORLD_NOW_S + 86400);
    alert_book_count(world.parts.alerts, open);
    assert_int_equal(open[FINDING_INFO], 0);
    struct buf out = make_metrics();
    assert_has(&out, "courtroll_monitor_heartbeat_time_seconds 1790086400\n");
    assert_has(&out, "courtroll_monitor_heartbeat_interval_seconds 86400\n");
    buf_clear(&out);
    look(86401);
    reopen(86402);
    look(2 * 86400 - 1);
    look_at(5);
    look(2 * 86400);
    char first[ALERT_ID_CHARS + 1];
    memcpy(first, alert.id, sizeof first);
    heartbeats(&alert);
    assert_string_not_equal(alert.id, first); /* another alert: nobody takes it for a repetition */
    assert_non_null(strstr(alert.summary, "5 entries looked at"));
    heartbeat_free(world.parts.heartbeat);
    world_close(&world);
}

static void a_heartbeat_that_cannot_be_written_is_tried_again(void **state)
{
    (void)state;
    struct alert alert;
    struct err err;
    struct kv *kv = kv_memory_new();
    world_open(&world, "monitor.example", NULL, 0);
    world_add_log(&world, "log.example/a", "w", 0);
    struct state_store *store = state_store_new(kv, NULL, NULL);
    world.parts.store = store; /* the heartbeat's own: the book's stays well */
    reopen(0);
    look_at(7);
    kv_memory_fail(kv, 1, false);
    assert_int_equal(heartbeat_look(world.parts.heartbeat, WORLD_NOW_S + 86400, &err), E_IO);
    assert_int_equal(heartbeat_last_s(world.parts.heartbeat), WORLD_NOW_S);
    look(86430);
    assert_true(heartbeats(&alert) > 0);
    assert_non_null(strstr(alert.summary, "7 entries looked at"));
    assert_int_equal(heartbeat_last_s(world.parts.heartbeat), WORLD_NOW_S + 86430);
    heartbeat_free(world.parts.heartbeat);
    state_store_free(store);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_has_its_series),
        cmocka_unit_test(what_is_not_known_yet_has_no_sample),
        cmocka_unit_test(labels_hold_any_text),
        cmocka_unit_test(all_logs_have_their_series),
        cmocka_unit_test(too_many_series_are_left_out_and_counted),
        cmocka_unit_test(heartbeats_come_when_due_whatever_is_restarted),
        cmocka_unit_test(a_heartbeat_that_cannot_be_written_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
