#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "tests/support/alert_world.h"

#define ORIGIN "log.example.org/1"

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

static struct finding stalled(const char *subject)
{
    return alert_finding(FINDING_STALLED, ORIGIN, subject, "No checkpoint for 600 s.");
}

static struct finding fork_of(const char *proof)
{
    struct finding finding = alert_finding(FINDING_FORK, ORIGIN, "", "Two roots of size 7.");
    finding.evidence = span_of_str(proof);
    return finding;
}

static struct alert get(struct alert_world *world, const char *id)
{
    struct alert alert;
    assert_int_equal(alert_book_get(world->book, id, &alert, &err), E_OK);
    return alert;
}

/* -- raising -- */

static void raise_tells_what_was_found(void **state)
{
    struct finding finding = stalled("here");
    struct alert alert = alert_raise(*state, &finding, 1000);
    assert_int_equal(alert.number, 1);
    assert_int_equal(alert.code, FINDING_STALLED);
    assert_int_equal(alert.state, ALERT_OPEN);
    assert_string_equal(alert.origin, ORIGIN);
    assert_string_equal(alert.subject, "here");
    assert_string_equal(alert.summary, "No checkpoint for 600 s.");
    assert_int_equal(alert.first_seen_s, 1000);
    assert_int_equal(alert.last_seen_s, 1000);
    assert_int_equal(alert.resolved_s, 0);
    assert_int_equal(alert.count, 1);
    assert_int_equal(alert.evidence_count, 1);
    assert_int_equal(alert.evidence_found, 1);
    assert_false(alert.is_drill);
}

/* The id is what the header says, so that others can compute it. */
static void id_is_of_cause_and_episode(void **state)
{
    struct finding finding = stalled("here");
    struct alert alert = alert_raise(*state, &finding, 1000);
    struct hash hash = sha256(span_of_str("courtroll alert v1\nstalled\n" ORIGIN "\nhere\n1\n"));
    struct buf hex = BUF_INIT(64);
    hex_put(&hex, span_of(hash.bytes, 16));
    assert_string_equal(alert.id, buf_c_str(&hex));
    alert_clear(*state, FINDING_STALLED, ORIGIN, "here", 1001);
    alert = alert_raise(*state, &finding, 1002);
    hash = sha256(span_of_str("courtroll alert v1\nstalled\n" ORIGIN "\nhere\n2\n"));
    buf_reset(&hex);
    hex_put(&hex, span_of(hash.bytes, 16));
    assert_string_equal(alert.id, buf_c_str(&hex));
    buf_clear(&hex);
}

static void raise_is_one_synced_write(void **state)
{
    struct alert_world *world = *state;
    size_t writes = world->disk.writes, synced = world->disk.synced;
    struct finding finding = stalled("");
    alert_raise(world, &finding, 1000);
    assert_int_equal(world->disk.writes - writes, 1);
    assert_int_equal(world->disk.synced - synced, 1);
    assert_int_equal(alert_keys(world, "alert/record/"), 1);
    assert_int_equal(alert_keys(world, "alert/evidence/"), 1);
    assert_int_equal(alert_keys(world, "alert/queue/"), 2);
}

static void other_causes_are_other_alerts(void **state)
{
    struct finding findings[] = {
        stalled(""),
        stalled("x"),
        alert_finding(FINDING_STALLED, "log.example.org/2", "", "s"),
        alert_finding(FINDING_NO_QUORUM, ORIGIN, "", "s"),
    };
    for (size_t i = 0; i < 4; i++) {
        struct alert alert = alert_raise(*state, &findings[i], 1000);
        assert_int_equal(alert.number, i + 1);
    }
    assert_int_equal(alert_count(*state, false), 4);
}

static void found_again_only_counts(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("");
    struct alert first = alert_raise(world, &finding, 1000);
    snprintf(finding.summary, sizeof finding.summary, "No checkpoint for 700 s.");
    struct alert again = alert_raise(world, &finding, 1100);
    assert_string_equal(again.id, first.id);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.first_seen_s, 1000);
    assert_int_equal(again.last_seen_s, 1100);
    assert_string_equal(again.summary, "No checkpoint for 700 s.");
    assert_int_equal(again.evidence_count, 1);
    assert_int_equal(alert_queue_length(world, 0), 1);
    again = alert_raise(world, &finding, 900); /* the clock went back */
    assert_int_equal(again.last_seen_s, 1100);
}

/* A log that misbehaves a thousand times a second for a quarter of an hour: one write a second, none synced. */
static void a_million_sightings_are_cheap(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("");
    struct alert alert = alert_raise(world, &finding, 0);
    size_t writes = world->disk.writes, synced = world->disk.synced;
    size_t changes = world->changes;
    char id[ALERT_ID_CHARS + 1];
    for (int i = 0; i < 1000 * 1000; i++) {
        assert_int_equal(alert_book_raise(world->book, &finding, i / 1000, id, &err), E_OK);
    }
    assert_true(world->disk.writes - writes <= 1000);
    assert_int_equal(world->disk.synced, synced);
    assert_true(world->changes - changes <= 1000);
    assert_int_equal(get(world, alert.id).count, 1000 * 1000 + 1);
}

static void counts_survive_a_clean_close(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("");
    struct alert alert = alert_raise(world, &finding, 1000);
    for (int i = 0; i < 50; i++) {
        alert = alert_raise(world, &finding, 1001);
    }
    alert_world_restart(world);
    struct alert after = get(world, alert.id);
    assert_int_equal(after.count, 51);
    assert_memory_equal(&after, &alert, sizeof alert);
}

static void counts_are_written_when_somebody_asks(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("");
    alert_raise(world, &finding, 1000);
    alert_raise(world, &finding, 1001);
    struct alert alert = alert_raise(world, &finding, 1001); /* not written yet */
    assert_true(alert_is_waiting(world, 0, 1002));
    alert_world_crash(world);
    assert_int_equal(get(world, alert.id).count, 3);
}

/* -- states -- */

static void acknowledged_stays_acknowledged(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("");
    struct alert alert = alert_raise(world, &finding, 1000);
    assert_int_equal(alert_book_acknowledge(world->book, alert.id, "Ada: on it", 1001, &err), E_OK);
    assert_int_equal(alert_raise(world, &finding, 1002).state, ALERT_ACKNOWLEDGED);
    alert_world_restart(world);
    alert = get(world, alert.id);
    assert_int_equal(alert.state, ALERT_ACKNOWLEDGED);
    assert_string_equal(alert.comment, "Ada: on it");
    assert_int_equal(alert.count, 2);
    assert_int_equal(alert_queue_length(world, 0), 1);
}

static void resolved_is_a_new_episode(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("");
    struct alert first = alert_raise(world, &finding, 1000);
    assert_int_equal(alert_book_resolve(world->book, first.id, "done", 1001, &err), E_OK);
    struct alert second = alert_raise(world, &finding, 1002);
    assert_string_not_equal(first.id, second.id);
    assert_int_equal(second.number, 2);
    assert_int_equal(second.count, 1);
    first = get(world, first.id);
    assert_int_equal(first.state, ALERT_RESOLVED);
    assert_int_equal(first.resolved_s, 1001);
    assert_string_equal(first.comment, "done");
}

static void what_is_not_there_is_not_resolved(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("");
    struct alert alert = alert_raise(world, &finding, 1000);
    assert_int_equal(alert_book_resolve(world->book, "", "", 1001, &err), E_NOT_FOUND);
    assert_int_equal(alert_book_acknowledge(world->book, "no such id", "", 1001, &err),
                     E_NOT_FOUND);
    assert_int_equal(alert_book_resolve(world->book, alert.id, "", 1001, &err), E_OK);
    assert_int_equal(alert_book_resolve(world->book, alert.id, "", 1001, &err), E_CONFLICT);
    assert_int_equal(alert_book_acknowledge(world->book, alert.id, "", 1001, &err), E_CONFLICT);
}

static void clear_resolves_what_is_transient(void **state)
{
    struct alert_world *world = *state;
    struct finding transient = stalled(""), proof = fork_of("proof");
    struct finding drill = alert_finding(FINDING_DRILL, "", "", "A drill.");
    struct alert alert = alert_raise(world, &transient, 1000);
    struct alert forked = alert_raise(world, &proof, 1000);
    struct alert drilled = alert_raise(world, &drill, 1000);
    alert_clear(world, FINDING_STALLED, ORIGIN, "", 1001);
    alert_clear(world, FINDING_FORK, ORIGIN, "", 1001);
    alert_clear(world, FINDING_DRILL, "", "", 1001);
    alert = get(world, alert.id);
    assert_int_equal(alert.state, ALERT_RESOLVED);
    assert_string_equal(alert.comment, "over: resolved by the monitor");
    assert_int_equal(get(world, forked.id).state, ALERT_OPEN);
    assert_int_equal(get(world, drilled.id).state, ALERT_OPEN);
}

static void clear_of_nothing_costs_nothing(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("here");
    alert_raise(world, &finding, 1000);
    size_t writes = world->disk.writes, changes = world->changes;
    alert_clear(world, FINDING_STALLED, ORIGIN, "", 1001);
    alert_clear(world, FINDING_STALLED, "log.example.org/2", "here", 1001);
    alert_clear(world, FINDING_NO_QUORUM, ORIGIN, "here", 1001);
    assert_int_equal(world->disk.writes, writes);
    assert_int_equal(world->changes, changes);
    assert_int_equal(alert_count(world, false), 1);
}

/* Else a drill would hide that it has become serious. */
static void a_drill_is_not_the_real_thing(void **state)
{
    struct alert_world *world = *state;
    struct finding drill = fork_of("proof");
    drill.is_drill = true;
    struct alert first = alert_raise(world, &drill, 1000);
    struct finding real = fork_of("proof");
    struct alert second = alert_raise(world, &real, 1001);
    assert_true(first.is_drill);
    assert_false(second.is_drill);
    assert_string_not_equal(first.id, second.id);
    assert_int_equal(alert_raise(world, &drill, 1002).count, 2);
    assert_int_equal(get(world, second.id).count, 1);
}

static void a_heartbeat_needs_nobody(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = alert_finding(FINDING_HEARTBEAT, "", "", "7 entries looked at.");
    struct alert first = alert_raise(world, &finding, 1000), last = first;
    assert_int_equal(first.state, ALERT_RESOLVED);
    for (int i = 1; i < 100; i++) {
        last = alert_raise(world, &finding, 1000 + i);
        assert_string_not_equal(first.id, last.id);
        assert_int_equal(last.number, 1 + i);
    }
    assert_int_equal(alert_count(world, false), 0);
    assert_int_equal(alert_count(world, true), 1);
    assert_int_equal(alert_keys(world, "alert/evidence/"), 1);
    assert_int_equal(alert_queue_length(world, 0), 1); /* the last one only */
    struct delivery delivery = alert_deliver(world, 0, 1100);
    assert_string_equal(delivery.alert.id, last.id);
    alert_world_restart(world);
    assert_string_equal(alert_deliver(world, 1, 1100).alert.id, last.id);
    assert_false(alert_is_waiting(world, 1, 1100));
}

static void lists_are_newest_first(void **state)
{
    struct alert_world *world = *state;
    struct alert *alerts;
    for (int i = 0; i < 10; i++) {
        char subject[8];
        snprintf(subject, sizeof subject, "%d", i);
        struct finding finding = stalled(subject);
        alert_raise(world, &finding, 1000 + i);
    }
    alert_clear(world, FINDING_STALLED, ORIGIN, "8", 1100);
    assert_int_equal(alert_book_list(world->book, false, 3, &alerts), 3);
    assert_string_equal(alerts[0].subject, "9");
    assert_string_equal(alerts[1].subject, "7");
    assert_string_equal(alerts[2].subject, "6");
    mem_free(alerts);
    assert_int_equal(alert_book_list(world->book, true, SIZE_MAX, &alerts), 10);
    assert_string_equal(alerts[1].subject, "8");
    mem_free(alerts);
    assert_int_equal(alert_book_list(world->book, true, 0, &alerts), 0);
    mem_free(alerts);
    size_t open[3];
    alert_book_count(world->book, open);
    assert_int_equal(open[FINDING_CRITICAL], 9);
    assert_int_equal(open[FINDING_WARNING], 0);
}

static void changes_are_told_and_counted(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("");
    uint64_t revision = alert_book_revision(world->book);
    struct alert alert = alert_raise(world, &finding, 1000);
    assert_int_equal(world->changes, 1);
    assert_int_equal(alert_book_acknowledge(world->book, alert.id, "", 1001, &err), E_OK);
    assert_int_equal(alert_book_resolve(world->book, alert.id, "", 1001, &err), E_OK);
    assert_int_equal(alert_book_resolve(world->book, alert.id, "", 1001, &err), E_CONFLICT);
    assert_int_equal(world->changes, 3);
    assert_int_equal(alert_book_revision(world->book), revision + 3);
}

/* -- many -- */

static void raise_subject(struct alert_world *world, enum finding_code code, const char *origin,
                          int number, int64_t now_s)
{
    char subject[32], id[ALERT_ID_CHARS + 1];
    snprintf(subject, sizeof subject, "tile/0/%d", number);
    struct finding finding = alert_finding(code, origin, subject, "not what it should be");
    assert_int_equal(alert_book_raise(world->book, &finding, now_s, id, &err), E_OK);
}

static struct alert find_subject(struct alert_world *world, const char *origin, const char *subject)
{
    struct alert *alerts, found = { .number = 0 };
    size_t count = alert_book_list(world->book, false, SIZE_MAX, &alerts);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(alerts[i].subject, subject) == 0 && strcmp(alerts[i].origin, origin) == 0) {
            found = alerts[i];
        }
    }
    mem_free(alerts);
    return found;
}

static void many_subjects_become_one_alert(void **state)
{
    struct alert_world *world = *state;
    for (int i = 0; i < 100 * 1000; i++) {
        raise_subject(world, FINDING_MALFORMED, ORIGIN, i, 1000);
    }
    assert_int_equal(alert_count(world, true), 65);
    struct alert others = find_subject(world, ORIGIN, "others");
    assert_int_equal(others.count, 100 * 1000 - 64);
    assert_int_equal(others.code, FINDING_MALFORMED);
    assert_non_null(strstr(others.summary, "tile/0/99999: not what it should be"));
    assert_true(world->disk.writes < 100);
    raise_subject(world, FINDING_MALFORMED, "log.example.org/2", 1, 1000); /* another log */
    assert_int_equal(find_subject(world, "log.example.org/2", "tile/0/1").count, 1);
    raise_subject(world, FINDING_MALFORMED, ORIGIN, 5, 1000); /* one with an alert of its own */
    assert_int_equal(find_subject(world, ORIGIN, "tile/0/5").count, 2);
}

static void the_folded_alert_ends_with_the_last_of_them(void **state)
{
    struct alert_world *world = *state;
    for (int i = 0; i < 100; i++) {
        raise_subject(world, FINDING_MALFORMED, ORIGIN, i, 1000);
    }
    for (int i = 0; i < 63; i++) {
        char subject[32];
        snprintf(subject, sizeof subject, "tile/0/%d", i);
        alert_clear(world, FINDING_MALFORMED, ORIGIN, subject, 1001);
    }
    alert_clear(world, FINDING_MALFORMED, ORIGIN, "tile/0/99", 1001); /* a folded one */
    assert_int_equal(alert_count(world, false), 2);
    alert_clear(world, FINDING_MALFORMED, ORIGIN, "tile/0/63", 1002);
    assert_int_equal(alert_count(world, false), 0);
    raise_subject(world, FINDING_MALFORMED, ORIGIN, 99, 1003); /* still wrong: by itself now */
    assert_int_equal(find_subject(world, ORIGIN, "tile/0/99").count, 1);
}

static void many_logs_become_one_alert_of_a_code(void **state)
{
    struct alert_world *world = *state;
    for (int i = 0; i < 6000; i++) {
        char origin[32];
        snprintf(origin, sizeof origin, "log.example.org/%d", i / 50);
        raise_subject(world, FINDING_MALFORMED, origin, i, 1000);
    }
    assert_int_equal(alert_count(world, false), 3073);
    assert_int_equal(find_subject(world, "", "others").count, 6000 - 3072);
    struct finding finding = fork_of("proof"); /* finds room all the same */
    assert_string_equal(alert_raise(world, &finding, 1000).origin, ORIGIN);
    for (int i = 0; i < 3072; i++) { /* over, one by one */
        char origin[32], subject[32];
        snprintf(origin, sizeof origin, "log.example.org/%d", i / 50);
        snprintf(subject, sizeof subject, "tile/0/%d", i);
        alert_clear(world, FINDING_MALFORMED, origin, subject, 1001);
    }
    assert_int_equal(alert_count(world, false), 1); /* the fork */
}

/* Causes that come and go: what is kept is bounded, in memory and in the store. */
static void resolved_alerts_are_forgotten(void **state)
{
    struct alert_world *world = *state;
    struct finding proof = fork_of("proof");
    struct alert forked = alert_raise(world, &proof, 1);
    assert_int_equal(alert_book_resolve(world->book, forked.id, "", 2, &err), E_OK);
    for (int i = 0; i < 5000; i++) {
        char subject[32];
        snprintf(subject, sizeof subject, "tile/0/%d", i);
        raise_subject(world, FINDING_MALFORMED, ORIGIN, i, i);
        alert_clear(world, FINDING_MALFORMED, ORIGIN, subject, i);
        alert_deliver_all(world, 0, i);
        alert_deliver_all(world, 1, i);
    }
    assert_int_equal(alert_count(world, true), ALERT_RESOLVED_KEPT_MAX + 1);
    assert_int_equal(alert_keys(world, "alert/record/"), ALERT_RESOLVED_KEPT_MAX + 1);
    assert_int_equal(alert_keys(world, "alert/evidence/"), ALERT_RESOLVED_KEPT_MAX + 1);
    assert_int_equal(alert_keys(world, "alert/queue/"), 0);
    assert_int_equal(get(world, forked.id).state, ALERT_RESOLVED);
    alert_world_restart(world);
    assert_int_equal(alert_count(world, true), ALERT_RESOLVED_KEPT_MAX + 1);
}

/* Receivers may remember an id for ever. */
static void a_forgotten_id_does_not_come_back(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("");
    struct alert first = alert_raise(world, &finding, 1);
    alert_clear(world, FINDING_STALLED, ORIGIN, "", 2);
    alert_deliver_all(world, 0, 2);
    alert_deliver_all(world, 1, 2);
    for (int i = 0; i < ALERT_RESOLVED_KEPT_MAX; i++) {
        char subject[32];
        snprintf(subject, sizeof subject, "tile/0/%d", i);
        raise_subject(world, FINDING_MALFORMED, ORIGIN, i, i + 3);
        alert_clear(world, FINDING_MALFORMED, ORIGIN, subject, i + 3);
        alert_deliver_all(world, 0, i + 3);
        alert_deliver_all(world, 1, i + 3);
    }
    struct alert gone;
    assert_int_equal(alert_book_get(world->book, first.id, &gone, &err), E_NOT_FOUND);
    alert_world_restart(world);
    struct alert second = alert_raise(world, &finding, 10000);
    assert_string_not_equal(first.id, second.id);
}

static void two_sinks_of_one_name_are_refused(void **state)
{
    struct alert_world *world = *state;
    struct alert_book *book;
    struct alert_book_options options = world->options;
    options.sinks[1] = options.sinks[0];
    assert_int_equal(alert_book_open(&book, &options, &err), E_MALFORMED);
}

static void damaged_records_are_told(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("");
    alert_raise(world, &finding, 1000);
    struct alert_key keys[] = { alert_key_record(1), alert_key_record(2), alert_key_next(),
                                alert_key_queue(&(struct hash){ { 1 } }, 7) };
    for (size_t i = 0; i < 4; i++) {
        struct alert_book *book;
        struct kv_batch batch;
        struct kv *kv = kv_memory_copy(world->disk.kv);
        kv_batch_init(&batch);
        kv_batch_put(&batch, alert_key_span(&keys[i]), span_of_str("\1damaged"));
        assert_int_equal(kv_write(kv, &batch, &err), E_OK);
        kv_batch_clear(&batch);
        struct state_store *store = state_store_new(kv, NULL, NULL);
        struct alert_book_options options = world->options;
        options.store = store;
        assert_int_equal(alert_book_open(&book, &options, &err), E_CORRUPT);
        state_store_free(store);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(raise_tells_what_was_found),
        CASE(id_is_of_cause_and_episode),
        CASE(raise_is_one_synced_write),
        CASE(other_causes_are_other_alerts),
        CASE(found_again_only_counts),
        CASE(a_million_sightings_are_cheap),
        CASE(counts_survive_a_clean_close),
        CASE(counts_are_written_when_somebody_asks),
        CASE(acknowledged_stays_acknowledged),
        CASE(resolved_is_a_new_episode),
        CASE(what_is_not_there_is_not_resolved),
        CASE(clear_resolves_what_is_transient),
        CASE(clear_of_nothing_costs_nothing),
        CASE(a_drill_is_not_the_real_thing),
        CASE(a_heartbeat_needs_nobody),
        CASE(lists_are_newest_first),
        CASE(changes_are_told_and_counted),
        CASE(many_subjects_become_one_alert),
        CASE(the_folded_alert_ends_with_the_last_of_them),
        CASE(many_logs_become_one_alert_of_a_code),
        CASE(resolved_alerts_are_forgotten),
        CASE(a_forgotten_id_does_not_come_back),
        CASE(two_sinks_of_one_name_are_refused),
        CASE(damaged_records_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
