/* The alert book, ended at every write of a random life, before and after the write took effect; with each of
 * its writes failing in turn; and used by several threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evidence/evidence.h"
#include "tests/support/alert_world.h"

#define ORIGIN "log.example.org/1"

enum {
    SINKS = 3,
    STEPS = 120,
    TOLD_MAX = 8192,
    RAISED_MAX = 512,
    TRIES = 4,
    REPEAT_S = 60
};

static const uint64_t late_ms = UINT64_C(1) << 40;
static struct err err;

/* What the world outside has seen. */
struct told {
    size_t sink;
    uint64_t number;
    enum delivery_event event;
    char id[ALERT_ID_CHARS + 1];
};

struct seen {
    struct told told[TOLD_MAX];
    size_t told_count;
    char raised[RAISED_MAX][ALERT_ID_CHARS + 1]; /* of calls that returned E_OK */
    size_t raised_count;
    char resolved[RAISED_MAX][ALERT_ID_CHARS + 1];
    size_t resolved_count;
};

struct snapshot {
    struct kv *kv;
    size_t told_count, raised_count, resolved_count;
};

struct life {
    struct alert_world *world;
    struct seen *seen;
    uint64_t random;
    struct snapshot *snapshots; /* NULL: none are made */
    size_t snapshot_count, snapshot_cap;
};

static struct alert_world *new_world(struct kv *kv)
{
    struct alert_world *world = alert_world_new_on(kv, SINKS);
    world->options.repeat_s = REPEAT_S;
    alert_world_restart(world);
    return world;
}

static uint32_t next_random(struct life *life, uint32_t below)
{
    life->random = life->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(life->random >> 33) % below;
}

static void on_write(void *ctx, const struct kv *kv, bool is_after)
{
    struct life *life = ctx;
    (void)is_after;
    if (life->snapshot_count == life->snapshot_cap) {
        life->snapshot_cap = life->snapshot_cap == 0 ? 64 : 2 * life->snapshot_cap;
        life->snapshots =
            mem_realloc(life->snapshots, life->snapshot_cap * sizeof *life->snapshots);
    }
    life->snapshots[life->snapshot_count++] =
        (struct snapshot){ kv_memory_copy(kv), life->seen->told_count, life->seen->raised_count,
                           life->seen->resolved_count };
}

static bool is_in(char ids[][ALERT_ID_CHARS + 1], size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

static void add_id(char ids[][ALERT_ID_CHARS + 1], size_t *count, const char *id)
{
    if (!is_in(ids, *count, id)) {
        assert_true(*count < RAISED_MAX);
        memcpy(ids[(*count)++], id, ALERT_ID_CHARS + 1);
    }
}

/* -- one life -- */

static void raise_some(struct life *life, int64_t now_s)
{
    static const enum finding_code codes[] = { FINDING_STALLED, FINDING_FORK, FINDING_GROWTH,
                                               FINDING_HEARTBEAT };
    enum finding_code code = codes[next_random(life, 4)];
    char subject[8], proof[16], id[ALERT_ID_CHARS + 1];
    snprintf(subject, sizeof subject, "%u", (unsigned)next_random(life, 3));
    snprintf(proof, sizeof proof, "proof %u", (unsigned)next_random(life, 4));
    struct finding finding = alert_finding(code, ORIGIN, subject, "something is wrong");
    if (code == FINDING_FORK) {
        finding.evidence = span_of_str(proof);
    }
    enum err_code rc = E_IO;
    for (int i = 0; i < TRIES && rc != E_OK; i++) { /* as a follower does */
        rc = alert_book_raise(life->world->book, &finding, now_s, id, &err);
    }
    assert_int_equal(rc, E_OK);
    if (code != FINDING_HEARTBEAT) { /* of these only the last is kept */
        add_id(life->seen->raised, &life->seen->raised_count, id);
    }
}

static void note_resolved(struct life *life)
{
    struct alert *alerts;
    size_t count = alert_book_list(life->world->book, true, SIZE_MAX, &alerts);
    for (size_t i = 0; i < count; i++) {
        if (alerts[i].state == ALERT_RESOLVED && alerts[i].code != FINDING_HEARTBEAT) {
            add_id(life->seen->resolved, &life->seen->resolved_count, alerts[i].id);
        }
    }
    mem_free(alerts);
}

static void clear_some(struct life *life, int64_t now_s)
{
    char subject[8];
    snprintf(subject, sizeof subject, "%u", (unsigned)next_random(life, 3));
    struct finding_sink sink = alert_book_sink(life->world->book);
    enum err_code rc = E_IO;
    for (int i = 0; i < TRIES && rc != E_OK; i++) {
        rc = sink.clear(sink.ctx, FINDING_STALLED, ORIGIN, subject, now_s, &err);
    }
    assert_int_equal(rc, E_OK);
    note_resolved(life);
}

/* A person's click on what may be resolved by then. */
static void decide_some(struct life *life, int64_t now_s)
{
    if (life->seen->raised_count == 0) {
        return;
    }
    const char *id = life->seen->raised[next_random(life, (uint32_t)life->seen->raised_count)];
    bool is_resolving = next_random(life, 2) == 0;
    enum err_code rc = E_IO;
    for (int i = 0; i < TRIES && rc == E_IO; i++) {
        rc = is_resolving ? alert_book_resolve(life->world->book, id, "done", now_s, &err)
                          : alert_book_acknowledge(life->world->book, id, "seen", now_s, &err);
    }
    assert_true(rc == E_OK || rc == E_CONFLICT);
    note_resolved(life);
}

static void note_told(struct seen *seen, size_t sink, const struct delivery *delivery)
{
    assert_true(seen->told_count < TOLD_MAX);
    struct told *told = &seen->told[seen->told_count++];
    *told = (struct told){ sink, delivery->number, delivery->event, "" };
    memcpy(told->id, delivery->alert.id, sizeof told->id);
}

/* False: nothing waits. */
static bool deliver_one(struct alert_world *world, struct seen *seen, size_t sink, int64_t now_s)
{
    struct delivery delivery;
    uint64_t wait_ms;
    if (!alert_book_next(world->book, sink, now_s, late_ms, &delivery, &wait_ms)) {
        return false;
    }
    note_told(seen, sink, &delivery); /* sent: the other side has it */
    enum err_code rc = alert_book_delivered(world->book, sink, &delivery, &err);
    assert_true(rc == E_OK || rc == E_IO);
    return true;
}

static void step(struct life *life, int64_t now_s)
{
    uint32_t choice = next_random(life, 10);
    if (choice < 4) {
        raise_some(life, now_s);
    } else if (choice < 5) {
        clear_some(life, now_s);
    } else if (choice < 6) {
        decide_some(life, now_s);
    } else {
        deliver_one(life->world, life->seen, next_random(life, SINKS), now_s);
    }
}

static void live(struct life *life, uint64_t seed)
{
    life->random = seed;
    for (int i = 0; i < STEPS; i++) {
        step(life, 1000 + i * 7);
    }
}

/* -- what must be true afterwards -- */

static size_t count_told(const struct seen *seen, size_t sink, const char *id,
                         enum delivery_event event)
{
    size_t count = 0;
    for (size_t i = 0; i < seen->told_count; i++) {
        const struct told *told = &seen->told[i];
        count += told->sink == sink && told->event == event && strcmp(told->id, id) == 0 ? 1 : 0;
    }
    return count;
}

/* Numbers only go up, but for one that repeats after the crash: with the same id and event. */
static void check_order(const struct seen *seen, size_t sink, size_t repeats_max)
{
    const struct told *last = NULL;
    size_t repeats = 0;
    for (size_t i = 0; i < seen->told_count; i++) {
        const struct told *told = &seen->told[i];
        if (told->sink != sink) {
            continue;
        }
        if (last != NULL && told->number == last->number) {
            assert_string_equal(told->id, last->id);
            assert_int_equal(told->event, last->event);
            repeats++;
        } else {
            assert_true(last == NULL || told->number > last->number);
        }
        last = told;
    }
    assert_true(repeats <= repeats_max);
}

static void check_alert(struct alert_world *world, const char *id, bool is_resolved)
{
    struct alert alert;
    assert_int_equal(alert_book_get(world->book, id, &alert, &err), E_OK);
    assert_true(!is_resolved || alert.state == ALERT_RESOLVED);
    assert_true(alert.evidence_count >= 1);
    for (size_t i = 0; i < alert.evidence_count; i++) {
        struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
        assert_int_equal(alert_book_evidence(world->book, &alert.evidence[i], &file, &err), E_OK);
        buf_clear(&file);
    }
}

/* One live alert of a cause, and ids and numbers of their own. */
static void check_list(struct alert_world *world)
{
    struct alert *alerts;
    size_t count = alert_book_list(world->book, true, SIZE_MAX, &alerts);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(alerts[i].id, alerts[j].id);
            assert_true(alerts[i].number < alerts[j].number);
            assert_false(alerts[i].state != ALERT_RESOLVED && alerts[j].state != ALERT_RESOLVED &&
                         alerts[i].code == alerts[j].code &&
                         strcmp(alerts[i].subject, alerts[j].subject) == 0);
        }
    }
    mem_free(alerts);
}

/* Delivers what waits, and compares all with what was promised. */
static void check_world(struct alert_world *world, struct seen *seen, size_t repeats_max)
{
    for (size_t sink = 0; sink < SINKS; sink++) {
        while (deliver_one(world, seen, sink, 5000)) {
        }
        check_order(seen, sink, repeats_max);
        for (size_t i = 0; i < seen->raised_count; i++) {
            size_t told = count_told(seen, sink, seen->raised[i], DELIVERY_OPENED);
            assert_true(told >= 1 && told <= 1 + repeats_max);
        }
        for (size_t i = 0; i < seen->resolved_count; i++) {
            size_t told = count_told(seen, sink, seen->resolved[i], DELIVERY_RESOLVED);
            assert_true(told >= 1 && told <= 1 + repeats_max);
        }
    }
    for (size_t i = 0; i < seen->raised_count; i++) {
        check_alert(world, seen->raised[i],
                    is_in(seen->resolved, seen->resolved_count, seen->raised[i]));
    }
    check_list(world);
}

static void check_snapshot(const struct snapshot *snapshot, const struct seen *seen)
{
    struct seen *copy = mem_alloc(sizeof *copy);
    *copy = *seen;
    copy->told_count = snapshot->told_count;
    copy->raised_count = snapshot->raised_count;
    copy->resolved_count = snapshot->resolved_count;
    struct alert_world *world = new_world(snapshot->kv);
    check_world(world, copy, 1);
    alert_world_free(world);
    mem_free(copy);
}

/* What the others have been told when one of them is ended between sending and saying so. */
static void ended_at_any_write_nothing_is_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct life life = { .world = new_world(kv_memory_new()), .seen = NEW(struct seen) };
        life.world->disk.ctx = &life;
        life.world->disk.on_write = on_write;
        live(&life, seed);
        life.world->disk.on_write = NULL;
        assert_true(life.snapshot_count > 100);
        for (size_t i = 0; i < life.snapshot_count; i++) {
            check_snapshot(&life.snapshots[i], life.seen);
        }
        check_world(life.world, life.seen, 0);
        alert_world_free(life.world);
        mem_free(life.snapshots);
        mem_free(life.seen);
    }
}

/* Each write of a life fails once, before or after it took effect; whoever asked for it asks again. Nothing is
 * there twice, and nobody is told twice. */
static void any_write_may_fail(void **state)
{
    (void)state;
    for (size_t fail_at = 1;; fail_at++) {
        size_t writes = 0;
        for (int is_applied = 0; is_applied < 2; is_applied++) {
            struct life life = { .world = new_world(kv_memory_new()), .seen = NEW(struct seen) };
            size_t before = life.world->disk.writes;
            life.world->disk.fail_at = before + fail_at;
            life.world->disk.is_applied = is_applied == 1;
            live(&life, 3);
            writes = life.world->disk.writes - before;
            check_world(life.world, life.seen, 0);
            alert_world_restart(life.world);
            check_world(life.world, life.seen, 0);
            alert_world_free(life.world);
            mem_free(life.seen);
        }
        if (fail_at > writes) {
            break;
        }
    }
}

static void a_failed_raise_leaves_nothing(void **state)
{
    (void)state;
    for (int is_applied = 0; is_applied < 2; is_applied++) {
        struct alert_world *world = alert_world_new(SINKS);
        struct finding finding = alert_finding(FINDING_STALLED, ORIGIN, "", "s");
        char id[ALERT_ID_CHARS + 1];
        size_t changes = world->changes;
        kv_memory_fail(world->disk.kv, 1, is_applied == 1);
        assert_int_equal(alert_book_raise(world->book, &finding, 1000, id, &err), E_IO);
        assert_int_equal(alert_count(world, true), 0);
        assert_int_equal(alert_queue_length(world, 0), 0);
        assert_int_equal(world->changes, changes);
        struct alert alert = alert_raise(world, &finding, 1001);
        assert_int_equal(alert.number, 1);
        assert_int_equal(alert_count(world, true), 1);
        assert_int_equal(alert_keys(world, "alert/record/"), 1);
        assert_int_equal(alert_keys(world, "alert/queue/"), SINKS);
        for (size_t sink = 0; sink < SINKS; sink++) {
            assert_string_equal(alert_deliver(world, sink, 1002).alert.id, alert.id);
            assert_false(alert_is_waiting(world, sink, 1002));
        }
        alert_world_free(world);
    }
}

/* The failed one has been written after all, and another is raised before it is tried again: neither takes
 * the other's number. */
static void a_failed_raise_keeps_its_number(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(SINKS);
    struct finding first = alert_finding(FINDING_STALLED, ORIGIN, "a", "s");
    struct finding second = alert_finding(FINDING_STALLED, ORIGIN, "b", "s");
    char id[ALERT_ID_CHARS + 1];
    kv_memory_fail(world->disk.kv, 1, true);
    assert_int_equal(alert_book_raise(world->book, &first, 1000, id, &err), E_IO);
    assert_int_equal(alert_raise(world, &second, 1000).number, 2);
    assert_int_equal(alert_raise(world, &first, 1000).number, 1);
    assert_int_equal(alert_deliver(world, 0, 1000).number, 1);
    assert_int_equal(alert_deliver(world, 0, 1000).number, 2);
    alert_world_restart(world);
    assert_int_equal(alert_count(world, true), 2);
    alert_world_free(world);
}

/* Counts that were not written are not lost by a failed write of something else. */
static void counts_survive_a_failed_write(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(SINKS);
    struct finding counted = alert_finding(FINDING_STALLED, ORIGIN, "a", "s");
    struct finding other = alert_finding(FINDING_STALLED, ORIGIN, "b", "s");
    char id[ALERT_ID_CHARS + 1];
    for (int i = 0; i < 10; i++) {
        alert_raise(world, &counted, 1000);
    }
    kv_memory_fail(world->disk.kv, 1, false);
    assert_int_equal(alert_book_raise(world->book, &other, 1000, id, &err), E_IO);
    assert_int_equal(alert_raise(world, &counted, 1000).count, 11);
    alert_world_restart(world);
    assert_int_equal(alert_raise(world, &counted, 1000).count, 12);
    alert_world_free(world);
}

/* -- threads -- */

enum {
    ROUNDS = 400
};

static void *raising(void *arg)
{
    struct alert_world *world = arg;
    struct err why;
    char id[ALERT_ID_CHARS + 1], subject[8];
    struct finding_sink sink = alert_book_sink(world->book);
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(subject, sizeof subject, "%d", i % 5);
        struct finding finding = alert_finding(FINDING_STALLED, ORIGIN, subject, "s");
        enum err_code rc = alert_book_raise(world->book, &finding, i, id, &why);
        if (rc == E_OK && i % 3 == 0) {
            rc = sink.clear(sink.ctx, FINDING_STALLED, ORIGIN, subject, i, &why);
        }
        if (rc != E_OK) {
            return arg; /* not NULL: it failed */
        }
    }
    return NULL;
}

static void *delivering(void *arg)
{
    struct alert_world *world = arg;
    struct err why;
    struct delivery delivery;
    struct alert_queue_status status;
    uint64_t wait_ms;
    struct alert *alerts;
    for (int i = 0; i < ROUNDS; i++) {
        if (alert_book_next(world->book, 0, i, late_ms, &delivery, &wait_ms)) {
            if (i % 4 == 0) {
                alert_book_failed(world->book, 0, &delivery, 0);
            } else if (alert_book_delivered(world->book, 0, &delivery, &why) != E_OK) {
                return arg; /* not NULL: it failed */
            }
        }
        alert_book_list(world->book, true, 10, &alerts);
        mem_free(alerts);
        alert_book_queue(world->book, 0, &status);
        alert_book_revision(world->book);
    }
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    struct alert_world *world = alert_world_new(SINKS);
    pthread_t threads[4];
    void *failure;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, i < 3 ? raising : delivering, world), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    check_list(world);
    size_t before = alert_count(world, true);
    alert_world_restart(world);
    assert_int_equal(alert_count(world, true), before);
    alert_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ended_at_any_write_nothing_is_lost),
        cmocka_unit_test(any_write_may_fail),
        cmocka_unit_test(a_failed_raise_leaves_nothing),
        cmocka_unit_test(a_failed_raise_keeps_its_number),
        cmocka_unit_test(counts_survive_a_failed_write),
        cmocka_unit_test(threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
