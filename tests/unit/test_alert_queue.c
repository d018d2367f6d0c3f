/* The deliveries of the alert book: order, retries, reminders, bounds, other sinks after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "monitor/alert_queue.h"
#include "tests/support/alert_world.h"

#define ORIGIN "log.example.org/1"

enum {
    HOUR = 3600
};

static const uint64_t late_ms = UINT64_C(1) << 40;
static struct err err;

static int setup(void **state)
{
    *state = alert_world_new(2);
    return 0;
}

static int teardown(void **state)
{
    alert_world_free(*state);
    return 0;
}

static struct alert raise(struct alert_world *world, enum finding_code code, const char *subject,
                          int64_t now_s)
{
    struct finding finding = alert_finding(code, ORIGIN, subject, "something is wrong");
    return alert_raise(world, &finding, now_s);
}

static void resolve(struct alert_world *world, const char *id, int64_t now_s)
{
    assert_int_equal(alert_book_resolve(world->book, id, "", now_s, &err), E_OK);
}

static void assert_delivery(const struct delivery *delivery, enum delivery_event event,
                            const char *id)
{
    assert_int_equal(delivery->event, event);
    assert_string_equal(delivery->alert.id, id);
}

static void deliveries_come_in_order(void **state)
{
    struct alert_world *world = *state;
    struct alert a = raise(world, FINDING_STALLED, "a", 1), b = raise(world, FINDING_FORK, "b", 2);
    resolve(world, a.id, 3);
    for (size_t sink = 0; sink < 2; sink++) {
        struct delivery first = alert_deliver(world, sink, 4);
        struct delivery second = alert_deliver(world, sink, 4);
        struct delivery third = alert_deliver(world, sink, 4);
        assert_delivery(&first, DELIVERY_OPENED, a.id);
        assert_int_equal(first.alert.state, ALERT_RESOLVED); /* as it is now */
        assert_delivery(&second, DELIVERY_OPENED, b.id);
        assert_delivery(&third, DELIVERY_RESOLVED, a.id);
        assert_true(first.number < second.number && second.number < third.number);
        assert_false(alert_is_waiting(world, sink, 4));
    }
    assert_int_equal(alert_keys(world, "alert/queue/"), 0);
}

static void acknowledging_tells_nobody(void **state)
{
    struct alert_world *world = *state;
    struct alert alert = raise(world, FINDING_FORK, "", 1);
    alert_deliver(world, 0, 2);
    assert_int_equal(alert_book_acknowledge(world->book, alert.id, "", 2, &err), E_OK);
    assert_false(alert_is_waiting(world, 0, 3));
}

/* Under the same number, until it is said that it was delivered. */
static void the_same_delivery_is_told_until_it_is_taken(void **state)
{
    struct alert_world *world = *state;
    struct delivery first, again;
    uint64_t wait_ms;
    raise(world, FINDING_FORK, "a", 1);
    raise(world, FINDING_FORK, "b", 1);
    assert_true(alert_book_next(world->book, 0, 1, 0, &first, &wait_ms));
    assert_true(alert_book_next(world->book, 0, 1, 0, &again, &wait_ms));
    assert_int_equal(first.number, again.number);
    alert_world_crash(world);
    assert_true(alert_book_next(world->book, 0, 1, 0, &again, &wait_ms));
    assert_int_equal(first.number, again.number);
    assert_string_equal(first.alert.id, again.alert.id);
    assert_int_equal(alert_book_delivered(world->book, 0, &again, &err), E_OK);
    alert_world_crash(world);
    assert_true(alert_book_next(world->book, 0, 1, 0, &again, &wait_ms));
    assert_int_not_equal(first.number, again.number);
}

static void delivered_twice_is_delivered_once(void **state)
{
    struct alert_world *world = *state;
    struct alert_queue_status status;
    raise(world, FINDING_FORK, "a", 1);
    raise(world, FINDING_FORK, "b", 1);
    struct delivery delivery = alert_deliver(world, 0, 2);
    assert_int_equal(alert_book_delivered(world->book, 0, &delivery, &err), E_OK);
    alert_book_failed(world->book, 0, &delivery, 0);
    alert_book_queue(world->book, 0, &status);
    assert_int_equal(status.waiting, 1);
    assert_int_equal(status.delivered, 1);
    assert_int_equal(status.failures, 0);
}

/* 1 s doubled to 5 min; a sink that is down does not hold up the others. */
static void failures_are_tried_later_and_later(void **state)
{
    struct alert_world *world = *state;
    struct delivery delivery;
    struct alert_queue_status status;
    uint64_t now_ms = 1000, wait_ms = 0, least_ms = 1000;
    raise(world, FINDING_FORK, "", 1);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(alert_book_next(world->book, 0, 1, now_ms, &delivery, &wait_ms));
        assert_int_equal(delivery.tries, i);
        alert_book_failed(world->book, 0, &delivery, now_ms);
        assert_false(alert_book_next(world->book, 0, 1, now_ms, &delivery, &wait_ms));
        assert_true(wait_ms > 0);
        assert_false(
            alert_book_next(world->book, 0, 1, now_ms + least_ms / 4 * 3, &delivery, &wait_ms));
        now_ms += least_ms;
        least_ms = least_ms * 2 > 5 * 60 * 1000 ? 5 * 60 * 1000 : least_ms * 2;
    }
    alert_book_queue(world->book, 0, &status);
    assert_int_equal(status.tries, 20);
    assert_int_equal(status.failures, 20);
    alert_deliver(world, 1, 1);
    alert_deliver(world, 0, 1);
    alert_book_queue(world->book, 0, &status);
    assert_int_equal(status.tries, 0);
}

/* A sink that answers 400 to one alert for ever is told all others, news at once, and each in order. */
static void what_a_sink_refuses_does_not_hold_up_the_rest(void **state)
{
    struct alert_world *world = *state;
    struct delivery delivery;
    struct alert_queue_status status;
    uint64_t now_ms = 1000, wait_ms;
    struct alert refused = raise(world, FINDING_STALLED, "refused", 1);
    struct alert other = raise(world, FINDING_FORK, "other", 1);
    resolve(world, refused.id, 2);
    for (unsigned i = 0; i < 3; i++, now_ms += 5 * 60 * 1000) {
        assert_true(alert_book_next(world->book, 0, 2, now_ms, &delivery, &wait_ms));
        assert_delivery(&delivery, DELIVERY_OPENED, refused.id);
        alert_book_failed(world->book, 0, &delivery, now_ms);
    }
    assert_true(alert_book_next(world->book, 0, 2, now_ms, &delivery, &wait_ms));
    assert_delivery(&delivery, DELIVERY_OPENED, other.id);
    assert_int_equal(alert_book_delivered(world->book, 0, &delivery, &err), E_OK);
    assert_true(alert_book_next(world->book, 0, 2, now_ms, &delivery, &wait_ms));
    assert_delivery(&delivery, DELIVERY_OPENED, refused.id); /* not its end before its beginning */
    alert_book_failed(world->book, 0, &delivery, now_ms);
    assert_false(alert_book_next(world->book, 0, 2, now_ms, &delivery, &wait_ms));
    struct alert news = raise(world, FINDING_FORK, "news", 3);
    assert_true(alert_book_next(world->book, 0, 3, now_ms, &delivery, &wait_ms));
    assert_delivery(&delivery, DELIVERY_OPENED, news.id);
    assert_int_equal(alert_book_delivered(world->book, 0, &delivery, &err), E_OK);
    alert_book_queue(world->book, 0, &status);
    assert_int_equal(status.waiting, 2);
}

static void who_waits_is_told_when_to_come_back(void **state)
{
    struct alert_world *world = *state;
    struct delivery delivery;
    uint64_t wait_ms = 0;
    assert_false(alert_book_next(world->book, 0, 1, 0, &delivery, &wait_ms));
    assert_true(wait_ms >= 1000 && wait_ms <= 60 * 1000);
    struct finding finding = alert_finding(FINDING_STALLED, ORIGIN, "", "");
    alert_raise(world, &finding, 1);
    alert_raise(world, &finding, 1);
    alert_raise(world, &finding, 1); /* not written yet */
    alert_deliver(world, 0, 1);
    assert_false(alert_book_next(world->book, 0, 1, 0, &delivery, &wait_ms));
    assert_int_equal(wait_ms, 1000);
}

/* -- reminders -- */

static void open_critical_alerts_are_told_again(void **state)
{
    struct alert_world *world = *state;
    alert_book_close(world->book);
    world->options.repeat_s = 600;
    assert_int_equal(alert_book_open(&world->book, &world->options, &err), E_OK);
    struct alert fork = raise(world, FINDING_FORK, "", 1000);
    raise(world, FINDING_GROWTH, "", 1000); /* a warning */
    struct alert known = raise(world, FINDING_STALLED, "", 1000);
    assert_int_equal(alert_book_acknowledge(world->book, known.id, "", 1000, &err), E_OK);
    alert_deliver_all(world, 0, 1000);
    assert_false(alert_is_waiting(world, 0, 1599));
    struct delivery delivery = alert_deliver(world, 0, 1600);
    assert_delivery(&delivery, DELIVERY_REMINDER, fork.id);
    assert_false(alert_is_waiting(world, 0, 1600));
    assert_false(alert_is_waiting(world, 0, 2199));
    alert_world_crash(world); /* remembers when */
    assert_false(alert_is_waiting(world, 0, 2199));
    assert_true(alert_is_waiting(world, 0, 2200));
    resolve(world, fork.id, 2201); /* before it was told */
    delivery = alert_deliver(world, 0, 2202);
    assert_delivery(&delivery, DELIVERY_RESOLVED, fork.id);
    assert_false(alert_is_waiting(world, 0, 100 * HOUR));
}

static void without_repeat_nothing_is_told_again(void **state)
{
    struct alert_world *world = *state;
    raise(world, FINDING_FORK, "", 1000);
    alert_deliver(world, 0, 1000);
    assert_false(alert_is_waiting(world, 0, 100 * HOUR));
}

static void at_most_one_reminder_waits(void **state)
{
    struct alert_world *world = *state;
    alert_book_close(world->book);
    world->options.repeat_s = 10;
    assert_int_equal(alert_book_open(&world->book, &world->options, &err), E_OK);
    raise(world, FINDING_FORK, "", 1000);
    for (int i = 0; i < 100; i++) { /* it was not even told once */
        assert_true(alert_is_waiting(world, 0, 1000 + 100 * i));
    }
    assert_int_equal(alert_queue_length(world, 0), 1);
    alert_deliver(world, 0, 20000);
    for (int i = 0; i < 100; i++) {
        alert_is_waiting(world, 0, 20000 + 100 * i);
    }
    assert_int_equal(alert_queue_length(world, 0), 1);
}

/* A clock that was ahead for a while does not end the reminders. */
static void a_clock_set_back_does_not_silence(void **state)
{
    struct alert_world *world = *state;
    alert_book_close(world->book);
    world->options.repeat_s = 600;
    assert_int_equal(alert_book_open(&world->book, &world->options, &err), E_OK);
    raise(world, FINDING_FORK, "", 1000 * 1000);
    alert_deliver_all(world, 0, 1000 * 1000 + 1);
    assert_false(alert_is_waiting(world, 0, 1000));
    assert_false(alert_is_waiting(world, 0, 1500));
    assert_true(alert_is_waiting(world, 0, 1600 + 60));
}

/* It forgets what it does not hear of: also what is acknowledged, and no more than a warning. */
static void alertmanager_is_told_every_hour(void **state)
{
    struct alert_world *world = *state;
    struct alert alert = raise(world, FINDING_GROWTH, "", 1000);
    assert_int_equal(alert_book_acknowledge(world->book, alert.id, "", 1000, &err), E_OK);
    alert_deliver_all(world, 0, 1000);
    alert_deliver_all(world, 1, 1000);
    for (int i = 1; i < 5; i++) {
        assert_false(alert_is_waiting(world, 1, 1000 + i * HOUR - 1));
        struct delivery delivery = alert_deliver(world, 1, 1000 + i * HOUR);
        assert_delivery(&delivery, DELIVERY_REMINDER, alert.id);
        assert_false(alert_is_waiting(world, 0, 1000 + i * HOUR));
    }
    resolve(world, alert.id, 1000 + 5 * HOUR);
    struct delivery delivery = alert_deliver(world, 1, 1000 + 6 * HOUR);
    assert_delivery(&delivery, DELIVERY_RESOLVED, alert.id);
    assert_false(alert_is_waiting(world, 1, 1000 + 100 * HOUR));
}

static void many_reminders_are_few_writes(void **state)
{
    struct alert_world *world = *state;
    for (int i = 0; i < 1000; i++) {
        char origin[32];
        snprintf(origin, sizeof origin, "log.example.org/%d", i);
        struct finding finding = alert_finding(FINDING_STALLED, origin, "", "");
        alert_raise(world, &finding, 1000);
    }
    alert_deliver_all(world, 1, 1000);
    size_t writes = world->disk.writes;
    for (int i = 0; i < 10; i++) {
        assert_true(alert_is_waiting(world, 1, 1000 + HOUR));
    }
    assert_true(world->disk.writes - writes <= 4);
    assert_int_equal(alert_queue_length(world, 1), 1000);
}

/* -- bounds -- */

/* A sink that is down for weeks while causes come and go. */
static void what_was_never_told_and_is_over_is_dropped(void **state)
{
    struct alert_world *world = *state;
    struct alert first = raise(world, FINDING_FORK, "", 1);
    struct alert old = raise(world, FINDING_PROMISE_BROKEN, "", 1);
    alert_deliver(world, 0, 1); /* the fork: it is open and told */
    for (int i = 0; i < 6000; i++) {
        char subject[32];
        snprintf(subject, sizeof subject, "%d", i);
        raise(world, FINDING_STALLED, subject, i + 2);
        alert_clear(world, FINDING_STALLED, ORIGIN, subject, i + 2);
        alert_deliver_all(world, 1, 2);
    }
    resolve(world, first.id, 7000);
    assert_true(alert_queue_length(world, 0) <= ALERT_QUEUE_MAX);
    assert_true(alert_queue_length(world, 0) > ALERT_QUEUE_MAX - 10);
    assert_int_equal(alert_keys(world, "alert/queue/"), alert_queue_length(world, 0) + 1);
    alert_world_restart(world);
    assert_true(alert_queue_length(world, 0) > ALERT_QUEUE_MAX - 10);
    struct delivery delivery = alert_deliver(world, 0, 7001);
    assert_delivery(&delivery, DELIVERY_OPENED, old.id); /* still open: never dropped */
    bool is_resolved_told = false;
    uint64_t last = delivery.number;
    int balance = 0;
    while (alert_is_waiting(world, 0, 7001)) {
        delivery = alert_deliver(world, 0, 7001);
        assert_true(delivery.number > last);
        last = delivery.number;
        if (strcmp(delivery.alert.id, first.id) == 0) {
            is_resolved_told = delivery.event == DELIVERY_RESOLVED;
        } else {
            balance += delivery.event == DELIVERY_OPENED ? 1 : -1;
            assert_true(balance == 0 || balance == 1); /* no half of a pair */
        }
    }
    assert_int_equal(balance, 0);
    assert_true(is_resolved_told);
    assert_true(alert_count(world, true) <= ALERT_RESOLVED_KEPT_MAX + 10); /* nobody waits now */
}

static struct alert_entry *add_entry(struct alert_table *table, uint64_t number, bool is_live)
{
    struct alert_record record = { .episode = number };
    record.alert.number = number;
    record.alert.code = FINDING_STALLED;
    record.alert.state = is_live ? ALERT_OPEN : ALERT_RESOLVED;
    alert_record_set_id(&record);
    return alert_table_add(table, &record);
}

static void victims_are_over_and_never_the_first(void **state)
{
    (void)state;
    struct alert_table table;
    struct alert_queue queue;
    struct alert_entry *entries[5];
    alert_table_init(&table);
    alert_queue_init(&queue, 3);
    for (size_t i = 0; i < 5; i++) {
        entries[i] = add_entry(&table, i + 1, i == 1 || i == 2);
    }
    alert_queue_push(&queue, 1, DELIVERY_OPENED, entries[0]); /* may be under way */
    alert_queue_push(&queue, 2, DELIVERY_RESOLVED, entries[0]);
    alert_queue_push(&queue, 3, DELIVERY_OPENED, entries[1]);
    assert_null(alert_queue_victim(&queue));
    alert_queue_push(&queue, 4, DELIVERY_RESOLVED, entries[3]);
    assert_int_equal(alert_queue_victim(&queue)->number, 4);
    alert_queue_push(&queue, 5, DELIVERY_REMINDER, entries[2]);
    assert_int_equal(alert_queue_victim(&queue)->number, 5);
    alert_queue_push(&queue, 6, DELIVERY_OPENED, entries[4]);
    alert_queue_push(&queue, 7, DELIVERY_RESOLVED, entries[4]);
    assert_int_equal(alert_queue_victim(&queue)->number, 6);
    assert_int_equal(entries[4]->waiting, 2);
    assert_int_equal(entries[4]->untold, 1 << 3);
    alert_queue_remove(&queue, alert_queue_find(&queue, 6));
    assert_int_equal(entries[4]->untold, 0);
    assert_null(alert_queue_find(&queue, 6));
    assert_int_equal(queue.count, 6);
    alert_queue_clear(&queue);
    alert_table_clear(&table);
}

/* -- other sinks -- */

static void new_sinks_are_told_what_is_open(void **state)
{
    struct alert_world *world = *state;
    struct alert a = raise(world, FINDING_FORK, "a", 1), b = raise(world, FINDING_FORK, "b", 2);
    struct alert c = raise(world, FINDING_FORK, "c", 3);
    resolve(world, b.id, 4);
    assert_int_equal(alert_book_acknowledge(world->book, c.id, "", 4, &err), E_OK);
    alert_deliver_all(world, 0, 5);
    world->options.sinks[2] = "mail ada@example.org";
    world->options.sink_count = 3;
    alert_world_restart(world);
    struct delivery first = alert_deliver(world, 2, 6), second = alert_deliver(world, 2, 6);
    assert_delivery(&first, DELIVERY_OPENED, a.id);
    assert_delivery(&second, DELIVERY_OPENED, c.id);
    assert_false(alert_is_waiting(world, 2, 6));
    assert_false(alert_is_waiting(world, 0, 6));
    assert_int_equal(alert_queue_length(world, 1), 4);
    alert_world_crash(world); /* they are new only once */
    assert_false(alert_is_waiting(world, 2, 6));
    raise(world, FINDING_FORK, "d", 7);
    assert_true(alert_deliver(world, 0, 7).number > second.number);
}

static void deliveries_of_sinks_that_are_no_more_are_dropped(void **state)
{
    struct alert_world *world = *state;
    struct alert alert = raise(world, FINDING_FORK, "", 1);
    world->options.sinks[0] = world->options.sinks[1]; /* now the only one */
    world->options.sink_count = 1;
    alert_world_restart(world);
    assert_int_equal(alert_keys(world, "alert/queue/"), 1);
    assert_int_equal(alert_keys(world, "alert/sink/"), 1);
    struct delivery delivery = alert_deliver(world, 0, 2);
    assert_delivery(&delivery, DELIVERY_OPENED, alert.id);
    world->options.sinks[1] = "webhook 0"; /* back again: it is told what is open */
    world->options.sink_count = 2;
    alert_world_restart(world);
    delivery = alert_deliver(world, 1, 3);
    assert_delivery(&delivery, DELIVERY_OPENED, alert.id);
}

static void order_of_sinks_does_not_matter(void **state)
{
    struct alert_world *world = *state;
    raise(world, FINDING_FORK, "a", 1);
    raise(world, FINDING_FORK, "b", 1);
    alert_deliver(world, 0, 2);
    const char *first = world->options.sinks[0];
    world->options.sinks[0] = world->options.sinks[1];
    world->options.sinks[1] = first;
    alert_world_restart(world);
    assert_int_equal(alert_queue_length(world, 0), 2);
    assert_int_equal(alert_queue_length(world, 1), 1);
    assert_int_equal(alert_deliver(world, 1, 3).number, 2);
}

static void without_sinks_alerts_are_kept_all_the_same(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(0);
    raise(world, FINDING_FORK, "", 1);
    alert_world_restart(world);
    assert_int_equal(alert_count(world, false), 1);
    alert_world_free(world);
}

/* -- a disk that fails -- */

/* People are told though it cannot be written down; it is written off as soon as that is possible. */
static void a_full_disk_does_not_hold_up_deliveries(void **state)
{
    struct alert_world *world = *state;
    struct delivery first, second;
    uint64_t wait_ms;
    raise(world, FINDING_FORK, "a", 1);
    raise(world, FINDING_FORK, "b", 1);
    kv_memory_fail(world->disk.kv, 2, false);
    assert_true(alert_book_next(world->book, 0, 2, late_ms, &first, &wait_ms));
    assert_int_equal(alert_book_delivered(world->book, 0, &first, &err), E_IO);
    assert_true(alert_book_next(world->book, 0, 2, late_ms, &second, &wait_ms));
    assert_int_equal(first.number, 1);
    assert_int_equal(second.number, 2); /* not the first again */
    assert_int_equal(alert_book_delivered(world->book, 0, &second, &err), E_IO);
    assert_false(alert_is_waiting(world, 0, 2));
    assert_int_equal(alert_keys(world, "alert/queue/"), 4);
    assert_int_equal(alert_book_delivered(world->book, 0, &first, &err), E_OK);
    assert_int_equal(alert_keys(world, "alert/queue/"), 2);
    assert_int_equal(alert_queue_length(world, 1), 2);
}

static void what_could_not_be_written_off_is_at_the_close(void **state)
{
    struct alert_world *world = *state;
    struct delivery delivery;
    uint64_t wait_ms;
    raise(world, FINDING_FORK, "a", 1);
    kv_memory_fail(world->disk.kv, 1, false);
    assert_true(alert_book_next(world->book, 0, 2, late_ms, &delivery, &wait_ms));
    assert_int_equal(alert_book_delivered(world->book, 0, &delivery, &err), E_IO);
    alert_world_restart(world);
    assert_false(alert_is_waiting(world, 0, 2));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(deliveries_come_in_order),
        CASE(acknowledging_tells_nobody),
        CASE(the_same_delivery_is_told_until_it_is_taken),
        CASE(delivered_twice_is_delivered_once),
        CASE(failures_are_tried_later_and_later),
        CASE(what_a_sink_refuses_does_not_hold_up_the_rest),
        CASE(who_waits_is_told_when_to_come_back),
        CASE(open_critical_alerts_are_told_again),
        CASE(without_repeat_nothing_is_told_again),
        CASE(at_most_one_reminder_waits),
        CASE(a_clock_set_back_does_not_silence),
        CASE(alertmanager_is_told_every_hour),
        CASE(many_reminders_are_few_writes),
        CASE(what_was_never_told_and_is_over_is_dropped),
        cmocka_unit_test(victims_are_over_and_never_the_first),
        CASE(new_sinks_are_told_what_is_open),
        CASE(deliveries_of_sinks_that_are_no_more_are_dropped),
        CASE(order_of_sinks_does_not_matter),
        cmocka_unit_test(without_sinks_alerts_are_kept_all_the_same),
        CASE(a_full_disk_does_not_hold_up_deliveries),
        CASE(what_could_not_be_written_off_is_at_the_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
