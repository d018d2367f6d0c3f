/* Couriers between a book in memory and web peers that take alerts, refuse them, or hang. */
#include "monitor/courier.h"

#include "base/ascii.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/alert_world.h"
#include "tests/support/web_peer.h"

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define NO_REPLY "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
#define NOW      ((int64_t)time(NULL))

enum {
    WAIT_MS = 10 * 1000,
    SINK_TIMEOUT_MS = 700
};

static double seconds(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static struct courier *start(struct alert_world *world, size_t position, struct web_peer *peer)
{
    struct alert_sink *sink;
    struct err err;
    struct alert_sink_options options = { .kind = ALERT_SINK_WEBHOOK,
                                          .target = web_peer_url(peer),
                                          .monitor_name = "monitor.example.org",
                                          .timeout_ms = SINK_TIMEOUT_MS };
    assert_int_equal(alert_sink_open(&sink, &options, &err), E_OK);
    return courier_start(world->book, position, sink);
}

static struct alert raise_on(struct alert_world *world, const char *origin)
{
    struct finding finding = { .code = FINDING_STALLED, .origin = origin, .summary = "Stalled." };
    return alert_raise(world, &finding, NOW);
}

/* True as soon as it is so; false when it does not come to be. */
static bool wait_for_count(struct web_peer *peer, size_t count)
{
    for (int ms = 0; ms < WAIT_MS; ms += 5) {
        if (web_peer_count(peer) >= count) {
            return true;
        }
        usleep(5000);
    }
    return false;
}

static bool wait_for_empty(struct alert_world *world, size_t sink)
{
    for (int ms = 0; ms < WAIT_MS; ms += 5) {
        if (alert_queue_length(world, sink) == 0) {
            return true;
        }
        usleep(5000);
    }
    return false;
}

static void alerts_are_told_in_order_and_once(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(1);
    struct web_peer *peer = web_peer_start(OK_REPLY);
    struct courier *courier = start(world, 0, peer);
    struct courier_status status;
    courier_read_status(courier, &status);
    assert_int_equal(status.last_success_s, 0);
    for (size_t i = 0; i < 5; i++) {
        char origin[32];
        snprintf(origin, sizeof origin, "log.example/%zu", i);
        struct alert alert = raise_on(world, origin);
        assert_false(courier_has_delivered(courier, alert.id));
        double began = seconds();
        courier_wake(courier);
        assert_true(wait_for_count(peer, i + 1));
        assert_true(wait_for_empty(world, 0));
        assert_true(seconds() - began < 3);
        assert_true(courier_has_delivered(courier, alert.id));
        char *request = web_peer_last(peer);
        assert_non_null(strstr(request, alert.id));
        free(request);
    }
    usleep(50 * 1000);
    assert_int_equal(web_peer_count(peer), 5);
    courier_read_status(courier, &status);
    assert_string_equal(status.last_error, "");
    assert_true(status.last_success_s > 0);
    assert_memory_equal(status.sink, "webhook http://127.0.0.1:", 25);
    courier_stop(courier);
    web_peer_stop(peer);
    alert_world_free(world);
}

static void sink_that_hangs_does_not_hold_up_another(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(3);
    struct web_peer *hung = web_peer_start(NULL), *peer = web_peer_start(OK_REPLY);
    struct courier *first = start(world, 0, hung), *second = start(world, 2, peer);
    double began = seconds();
    for (size_t i = 0; i < 20; i++) {
        char origin[32];
        snprintf(origin, sizeof origin, "log.example/%zu", i);
        raise_on(world, origin);
        courier_wake(first);
        courier_wake(second);
    }
    assert_true(wait_for_empty(world, 2));
    assert_true(seconds() - began < (double)SINK_TIMEOUT_MS / 1000 * 10);
    assert_int_equal(web_peer_count(peer), 20);
    assert_int_equal(alert_queue_length(world, 0), 20);
    assert_true(web_peer_count(hung) <= 10);
    courier_stop(second);
    courier_stop(first);
    web_peer_stop(hung);
    web_peer_stop(peer);
    alert_world_free(world);
}

/* The sink is asked once and hangs; stopping waits for that one try, and the alert stays in the queue. */
static void stop_waits_for_the_try_under_way_only(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(1);
    struct web_peer *hung = web_peer_start(NULL);
    struct courier *courier = start(world, 0, hung);
    raise_on(world, "log.example/1");
    raise_on(world, "log.example/2");
    courier_wake(courier);
    assert_true(wait_for_count(hung, 1));
    double began = seconds();
    courier_stop(courier);
    assert_true(seconds() - began < (double)SINK_TIMEOUT_MS / 1000 + 1);
    assert_int_equal(web_peer_count(hung), 1);
    assert_int_equal(alert_queue_length(world, 0), 2);
    courier = start(world, 0, hung); /* idle: the first is not due again */
    began = seconds();
    courier_stop(courier);
    assert_true(seconds() - began < (double)SINK_TIMEOUT_MS / 1000 + 1);
    web_peer_stop(hung);
    alert_world_free(world);
}

static void refused_alert_is_told_again_later(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(1);
    struct web_peer *peer = web_peer_start(NO_REPLY);
    struct courier *courier = start(world, 0, peer);
    struct courier_status status;
    struct alert alert = raise_on(world, "log.example/1");
    courier_wake(courier);
    assert_true(wait_for_count(peer, 1));
    usleep(100 * 1000);
    courier_wake(courier); /* being woken does not make it try early */
    usleep(200 * 1000);
    assert_int_equal(web_peer_count(peer), 1);
    courier_read_status(courier, &status);
    assert_memory_equal(status.last_error, "answered 500", 12);
    assert_false(courier_has_delivered(courier, alert.id));
    web_peer_set(peer, OK_REPLY, 0);
    assert_true(wait_for_empty(world, 0));
    assert_int_equal(web_peer_count(peer), 2);
    char *request = web_peer_last(peer);
    assert_non_null(strstr(request, alert.id));
    free(request);
    courier_read_status(courier, &status);
    assert_string_equal(status.last_error, "");
    courier_stop(courier);
    web_peer_stop(peer);
    alert_world_free(world);
}

/* The sink has the alert, and the store does not take that: it is not told again and again meanwhile. */
static void store_that_fails_does_not_repeat_the_alert(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(1);
    struct web_peer *peer = web_peer_start(OK_REPLY);
    raise_on(world, "log.example/1");
    kv_memory_fail(world->disk.kv, 1000000, false);
    struct courier *courier = start(world, 0, peer);
    assert_true(wait_for_count(peer, 1));
    size_t writes = world->disk.writes;
    usleep(1300 * 1000);
    assert_int_equal(web_peer_count(peer), 1);
    assert_true(world->disk.writes - writes < 10);
    kv_memory_fail(world->disk.kv, 0, false);
    assert_true(wait_for_empty(world, 0));
    raise_on(world, "log.example/2");
    courier_wake(courier);
    assert_true(wait_for_count(peer, 2));
    assert_true(wait_for_empty(world, 0));
    courier_stop(courier);
    alert_world_crash(world); /* what was acknowledged is durable */
    assert_int_equal(alert_queue_length(world, 0), 0);
    assert_int_equal(web_peer_count(peer), 2);
    web_peer_stop(peer);
    alert_world_free(world);
}

static void stop_does_not_wait_for_the_store(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(1);
    struct web_peer *peer = web_peer_start(OK_REPLY);
    raise_on(world, "log.example/1");
    kv_memory_fail(world->disk.kv, 1000000, false);
    struct courier *courier = start(world, 0, peer);
    assert_true(wait_for_count(peer, 1));
    usleep(50 * 1000);
    double began = seconds();
    courier_stop(courier);
    assert_true(seconds() - began < 1);
    kv_memory_fail(world->disk.kv, 0, false);
    web_peer_stop(peer);
    alert_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alerts_are_told_in_order_and_once),
        cmocka_unit_test(sink_that_hangs_does_not_hold_up_another),
        cmocka_unit_test(stop_waits_for_the_try_under_way_only),
        cmocka_unit_test(refused_alert_is_told_again_later),
        cmocka_unit_test(store_that_fails_does_not_repeat_the_alert),
        cmocka_unit_test(stop_does_not_wait_for_the_store),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
