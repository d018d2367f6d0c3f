/* Drills over a book in memory, with sinks that take alerts and sinks that do not. */
#include "monitor/self_test.h"

#include "base/ascii.h"
#include "evidence/evidence.h"
#include "monitor/drill_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/alert_world.h"
#include "tests/support/web_peer.h"

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define NO_REPLY "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"

static struct courier *start(struct alert_world *world, size_t position, struct web_peer *peer)
{
    struct alert_sink *sink;
    struct err err;
    struct alert_sink_options options = { .kind = ALERT_SINK_WEBHOOK,
                                          .target = web_peer_url(peer),
                                          .monitor_name = "monitor.example.org",
                                          .timeout_ms = 500 };
    assert_int_equal(alert_sink_open(&sink, &options, &err), E_OK);
    return courier_start(world->book, position, sink);
}

static void run(struct alert_world *world, struct courier *const *couriers, size_t count,
                uint64_t timeout_ms, struct self_test_report *out)
{
    self_test_run(&(struct self_test_options){ .alerts = world->book,
                                               .couriers = couriers,
                                               .courier_count = count,
                                               .key = &world->key,
                                               .timeout_ms = timeout_ms },
                  out);
}

/* What anybody can do who downloads the evidence: its key is in no policy, so take it from the alert's origin
 * and see that the file is of that origin and well-formed. */
static void assert_evidence(struct alert_world *world, const struct self_test_report *report,
                            const struct alert *alert)
{
    struct buf bytes = BUF_INIT(EVIDENCE_BYTES_MAX), origin = BUF_INIT(ORIGIN_BYTES_MAX);
    struct evidence evidence;
    struct err err;
    assert_int_equal(alert_book_evidence(world->book, &report->evidence_id, &bytes, &err), E_OK);
    assert_int_equal(evidence_parse(&evidence, buf_span(&bytes), &err), E_OK);
    assert_int_equal(evidence.kind, EVIDENCE_FORK);
    evidence_put_origin(&origin, &evidence);
    assert_true(span_is_str(buf_span(&origin), alert->origin));
    buf_clear(&origin);
    buf_clear(&bytes);
}

static void drill_finds_the_fork_and_tells_every_sink(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(3);
    struct web_peer *peers[3];
    struct courier *couriers[3];
    struct self_test_report report;
    struct alert alert;
    struct err err;
    for (size_t i = 0; i < 3; i++) {
        peers[i] = web_peer_start(OK_REPLY);
        couriers[i] = start(world, i, peers[i]);
    }
    run(world, couriers, 3, 10000, &report);
    assert_string_equal(report.error, "");
    assert_true(report.is_fork_found);
    assert_true(report.is_evidence_good);
    assert_int_equal(report.sink_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(report.sinks[i].is_told);
        assert_string_equal(report.sinks[i].error, "");
        assert_memory_equal(report.sinks[i].name, "webhook http://", 15);
        assert_true(web_peer_count(peers[i]) >= 1);
        char *request = web_peer_last(peers[i]);
        assert_non_null(strstr(request, report.alert_id));
        assert_non_null(strstr(request, "\"drill\":true"));
        free(request);
    }
    assert_int_equal(alert_book_get(world->book, report.alert_id, &alert, &err), E_OK);
    assert_int_equal(alert.code, FINDING_FORK);
    assert_int_equal(alert.state, ALERT_RESOLVED);
    assert_string_equal(alert.comment, "drill over");
    assert_true(alert.is_drill);
    assert_int_equal(alert.count, 3); /* of the same size, smaller, larger */
    assert_int_equal(alert.evidence_count, 3);
    assert_memory_equal(alert.origin, "drill.monitor.example.org/", 26);
    assert_int_equal(alert_count(world, true), 1); /* nothing else was raised */
    assert_evidence(world, &report, &alert);
    for (size_t i = 0; i < 3; i++) {
        courier_stop(couriers[i]);
        web_peer_stop(peers[i]);
    }
    alert_world_free(world);
}

static void sink_that_is_down_is_named_with_its_error(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(3);
    struct web_peer *peers[] = { web_peer_start(OK_REPLY), web_peer_start(NO_REPLY),
                                 web_peer_start(NULL) };
    struct courier *couriers[3];
    struct self_test_report report;
    struct alert alert;
    struct err err;
    for (size_t i = 0; i < 3; i++) {
        couriers[i] = start(world, i, peers[i]);
    }
    run(world, couriers, 3, 1500, &report);
    assert_string_equal(report.error, "");
    assert_true(report.is_fork_found);
    assert_true(report.is_evidence_good);
    assert_true(report.sinks[0].is_told);
    assert_false(report.sinks[1].is_told);
    assert_memory_equal(report.sinks[1].error, "answered 500", 12);
    assert_false(report.sinks[2].is_told);
    assert_string_not_equal(report.sinks[2].error, "");
    assert_string_not_equal(report.sinks[1].name, report.sinks[2].name);
    assert_int_equal(alert_book_get(world->book, report.alert_id, &alert, &err), E_OK);
    assert_int_equal(alert.state, ALERT_RESOLVED);
    for (size_t i = 0; i < 3; i++) {
        courier_stop(couriers[i]);
        web_peer_stop(peers[i]);
    }
    alert_world_free(world);
}

static void drill_needs_no_sink_and_can_be_repeated(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(0);
    struct self_test_report one, two;
    run(world, NULL, 0, 0, &one);
    run(world, NULL, 0, 0, &two);
    assert_true(one.is_fork_found && one.is_evidence_good);
    assert_true(two.is_fork_found && two.is_evidence_good);
    assert_string_equal(two.error, "");
    assert_string_not_equal(one.alert_id, two.alert_id);
    assert_int_equal(alert_count(world, true), 2);
    assert_int_equal(alert_count(world, false), 0);
    alert_world_free(world);
}

/* The longest name of a monitor, whose origin would be too long as it is. */
static void long_name_is_cut_between_characters(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(0);
    char name[KEY_NAME_BYTES_MAX + 1];
    struct self_test_report report;
    struct alert *alerts;
    for (size_t i = 0; i < 254; i += 2) {
        memcpy(name + i, "\xc3\xa4", 2);
    }
    name[254] = 0;
    struct signer key = keys_signer(name, SIGNATURE_ED25519, "long");
    self_test_run(&(struct self_test_options){ .alerts = world->book, .key = &key }, &report);
    assert_true(report.is_fork_found && report.is_evidence_good);
    assert_int_equal(alert_book_list(world->book, true, 10, &alerts), 1);
    assert_true(origin_is_valid(span_of_str(alerts[0].origin)));
    mem_free(alerts);
    signer_clear(&key);
    alert_world_free(world);
}

/* Nothing can be raised while the store fails: the report says so, and nobody is said to be told. */
static void store_that_fails_fails_the_drill(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(1);
    struct web_peer *peer = web_peer_start(OK_REPLY);
    struct courier *couriers[] = { start(world, 0, peer) };
    struct self_test_report report;
    kv_memory_fail(world->disk.kv, 1000000, false);
    run(world, couriers, 1, 500, &report);
    assert_false(report.is_fork_found);
    assert_false(report.is_evidence_good);
    assert_string_not_equal(report.error, "");
    assert_false(report.sinks[0].is_told);
    assert_int_equal(web_peer_count(peer), 0);
    kv_memory_fail(world->disk.kv, 0, false);
    courier_stop(couriers[0]);
    web_peer_stop(peer);
    alert_world_free(world);
}

struct drilling {
    struct alert_world *world;
    struct courier *courier;
    struct self_test_report report;
};

static void *drill(void *arg)
{
    struct drilling *drilling = arg;
    run(drilling->world, &drilling->courier, 1, 1500, &drilling->report);
    return NULL;
}

static void one_drill_is_held_at_a_time(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(1);
    struct web_peer *hung = web_peer_start(NULL);
    struct drilling drilling = { .world = world, .courier = start(world, 0, hung) };
    struct self_test_report second;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drill, &drilling), 0);
    while (web_peer_count(hung) == 0) { /* the first waits for its sink */
        usleep(5000);
    }
    run(world, NULL, 0, 0, &second);
    pthread_join(thread, NULL);
    assert_string_equal(second.error, "another drill is under way");
    assert_false(second.is_fork_found);
    assert_true(drilling.report.is_fork_found);
    assert_int_equal(alert_count(world, true), 1);
    courier_stop(drilling.courier);
    web_peer_stop(hung);
    alert_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drill_finds_the_fork_and_tells_every_sink),
        cmocka_unit_test(sink_that_is_down_is_named_with_its_error),
        cmocka_unit_test(drill_needs_no_sink_and_can_be_repeated),
        cmocka_unit_test(long_name_is_cut_between_characters),
        cmocka_unit_test(store_that_fails_fails_the_drill),
        cmocka_unit_test(one_drill_is_held_at_a_time),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
