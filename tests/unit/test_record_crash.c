/* The follower of a log of operations dies at any write, is lied to, comes late: what it finds is the same. */
#include "monitor/follow_parts.h"
#include "monitor/record_findings.h"
#include "tests/support/operation_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    KIND_NOTICE = 18,
    KIND_DOC = 130,
    FOUND_MAX = 32,
    PADDING = 270, /* records in order between what is wrong: several bundles */
};

static struct operation_world *world;

struct found {
    enum finding_code code;
    uint64_t index;
};
static struct found expected[FOUND_MAX];
static size_t expected_count;

static void expect(enum finding_code code, uint64_t index)
{
    assert_true(expected_count < FOUND_MAX);
    expected[expected_count++] = (struct found){ code, index };
}

static int set_up(void **state)
{
    (void)state;
    expected_count = 0;
    world = operation_world_new();
    operation_world_give_key(world, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    operation_world_free(world);
    return 0;
}

/* -- a log with one of everything -- */

static uint64_t padding; /* numbers of case 1 */

static void log_padding(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        operation_world_log(world, 0, 1, padding++, KIND_NOTICE);
    }
}

static void log_first_half(void)
{
    padding = 0;
    operation_world_register(world, 0, OPERATION_WORLD_COURT);
    operation_world_log(world, 0, 0, 0, KIND_CASE_FILED);
    memory_log_append(world->log, span_of_str("no record"));
    expect(FINDING_BAD_RECORD, memory_log_size(world->log) - 1);
    log_padding(PADDING);
    expect(FINDING_UNREGISTERED_KEY, operation_world_log(world, 1, 1, 0, KIND_NOTICE));
    operation_world_log(world, 0, 0, 1, KIND_NOTICE);
    expect(FINDING_CASE_GAP, operation_world_log(world, 0, 0, 3, KIND_NOTICE));
}

static void log_second_half(void)
{
    const uint32_t counts[] = { 9 };
    expect(FINDING_TAG_REPEATED, operation_world_log(world, 0, 0, 1, KIND_DOC));
    expect(FINDING_SEALED_OVERDUE, operation_world_seal(world, 0, 4));
    operation_world_seal(world, 0, 5);
    operation_world_unseal(world, 0, 6);
    log_padding(PADDING);
    expect(FINDING_CASE_FILED_TWICE, operation_world_log(world, 0, 0, 7, KIND_CASE_FILED));
    expect(FINDING_CASE_COUNT, operation_world_close(world, 0, 0, 8, counts, 1) + 0);
    expected_count--; /* nine are there: it is right */
    expect(FINDING_CASE_AFTER_CLOSED, operation_world_log(world, 0, 0, 9, KIND_DOC));
}

/* -- what was found -- */

static void print_open(void)
{
    for (size_t i = 0; i < world->follow->base->call_count; i++) {
        const struct world_call *call = &world->follow->base->calls[i];
        print_message("%s%s %s: %s\n", call->is_clear ? "over: " : "",
                      finding_kind(call->code)->text, call->subject, call->summary);
    }
}

static void assert_found(size_t times_max)
{
    for (size_t i = 0; i < expected_count; i++) {
        char subject[FINDING_SUBJECT_MAX];
        snprintf(subject, sizeof subject, "entry %ju", (uintmax_t)expected[i].index);
        size_t count = compare_world_count(world->follow->base, expected[i].code, subject, false);
        if (count == 0 || count > times_max) {
            print_open();
            fail_msg("%s %s: %zu times", finding_kind(expected[i].code)->text, subject, count);
        }
    }
    if (follow_world_open_count(world->follow) != expected_count) {
        print_open();
    }
    assert_int_equal(follow_world_open_count(world->follow), expected_count);
}

/* Steps until nothing more is to be expected, whatever dies on the way. Returns whether anything did. */
static bool look(unsigned steps)
{
    bool has_died = false;
    for (unsigned i = 0; i < steps; i++) {
        compare_world_pass(world->follow->base, 10);
        if (follow_world_try_step(world->follow) != E_OK) {
            has_died = true;
            follow_world_restart(world->follow);
        }
    }
    return has_died;
}

static void publish(void)
{
    follow_world_serve(world->follow, memory_log_size(world->log));
}

/* Dies at write number `dies_at` behind the opening. */
static bool run_with_death(uint64_t dies_at, bool is_applied)
{
    follow_world_open(world->follow);
    world->follow->disk->is_applied = is_applied;
    world->follow->disk->dies_at = world->follow->disk->writes + dies_at;
    publish();
    bool has_died = look(4);
    log_second_half();
    publish();
    has_died = look(4) || has_died;
    compare_world_pass(world->follow->base, UINT64_C(31) * 86400);
    log_padding(3);
    publish();
    return look(4) || has_died;
}

/* -- dying -- */

static void nothing_is_lost_wherever_it_dies(void **state)
{
    bool has_died = true;
    (void)state;
    for (uint64_t dies_at = 1; has_died; dies_at++) {
        for (int is_applied = 0; is_applied < 2; is_applied++) {
            if (dies_at > 1 || is_applied == 1) {
                tear_down(NULL);
                set_up(NULL);
            }
            log_first_half();
            has_died = run_with_death(dies_at, is_applied == 1);
            assert_found(has_died ? 2 : 1);
        }
        assert_true(dies_at < 200);
    }
}

/* A restart in between every two steps, and in the middle of a scan. */
static void a_restart_changes_nothing(void **state)
{
    (void)state;
    log_first_half();
    log_second_half();
    follow_world_open(world->follow);
    publish();
    for (int i = 0; i < 6; i++) {
        look(1);
        follow_world_restart(world->follow);
    }
    compare_world_pass(world->follow->base, UINT64_C(31) * 86400);
    log_padding(1);
    publish();
    for (int i = 0; i < 4; i++) {
        look(1);
        follow_world_restart(world->follow);
    }
    assert_found(1);
}

/* -- pausing in the middle of a scan -- */

static uint64_t slow_ms;

static struct monitor_time slow_time(void *ctx)
{
    struct compare_world *base = ctx;
    base->now.monotonic_ms += slow_ms;
    return base->now;
}

/* What waits is written with the cursor, so whoever goes on from there knows what came before. */
static void a_scan_that_goes_on_after_a_crash_knows_what_it_saw(void **state)
{
    (void)state;
    log_first_half();
    log_second_half();
    world->follow->now = slow_time;
    world->follow->now_ctx = world->follow->base;
    slow_ms = 0;
    follow_world_open(world->follow);
    publish();
    world->follow->follow->chunk = 1 << 8; /* a chunk is a bundle, and then the step is over */
    slow_ms = FOLLOW_STEP_SCAN_MS;
    look(1);
    assert_true(world->follow->follow->cursor.is_there);
    uint64_t at = world->follow->follow->cursor.range.size;
    assert_true(at > 0 && at < memory_log_size(world->log));
    assert_int_equal(compare_world_raised(world->follow->base), 0); /* nobody has vouched for it */
    slow_ms = 0;
    follow_world_restart(world->follow);
    assert_int_equal(record_watch_position(world->follow->follow->records), at);
    look(4);
    compare_world_pass(world->follow->base, UINT64_C(31) * 86400);
    log_padding(1);
    publish();
    look(2);
    assert_found(1);
}

/* -- lies -- */

static void serve_lie(struct memory_log *liar, const char *path)
{
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    struct err err;
    assert_int_equal(memory_log_get(liar, path, &bytes, &err), E_OK);
    memory_log_replace(world->log, path, buf_span(&bytes));
    buf_clear(&bytes);
}

/* Served under a root that they do not hash to, entries prove nothing: not what is wrong in them, nor what is right.
 * Here the lie fills a gap, and has a fault of its own. */
static void what_does_not_hash_to_the_root_was_never_there(void **state)
{
    (void)state;
    log_first_half();
    memory_log_append(world->log, span_of_str("no record")); /* where the lie has its own */
    expect(FINDING_BAD_RECORD, memory_log_size(world->log) - 1);
    uint64_t size = memory_log_size(world->log);
    struct memory_log *liar =
        memory_log_fork(world->log, size - 1, &(struct memory_log_options){ .seed = 1 });
    struct memory_log *honest = world->log;
    world->log = liar;
    operation_world_log(world, 0, 0, 2, KIND_CASE_FILED); /* the number that is missing */
    world->log = honest;
    char path[64];
    snprintf(path, sizeof path, "tile/entries/%03u.p/%u", (unsigned)(size / 256),
             (unsigned)(size % 256));
    memory_log_publish(world->log, size);
    struct err err;
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    memory_log_grow(liar, size);
    struct signer *key = &world->follow->base->log_key;
    struct memory_log *published =
        memory_log_fork(liar, size, &(struct memory_log_options){ .signer = key });
    memory_log_publish(published, size);
    assert_int_equal(memory_log_get(published, path, &bytes, &err), E_OK);
    buf_clear(&bytes);
    serve_lie(published, path);
    follow_world_open(world->follow);
    publish();
    look(3);
    assert_true(follow_world_is_open(world->follow, FINDING_ROOT_MISMATCH, ""));
    assert_int_equal(compare_world_raised(world->follow->base), 1);
    memory_log_restore_all(world->log);
    compare_world_pass(world->follow->base, 60);
    look(4);
    assert_false(follow_world_is_open(world->follow, FINDING_ROOT_MISMATCH, ""));
    assert_found(1);
    memory_log_free(liar);
    memory_log_free(published);
}

/* -- coming late -- */

static void a_log_that_was_followed_without_is_read_once_more(void **state)
{
    (void)state;
    log_first_half();
    world->follow->records = NULL;
    follow_world_open(world->follow);
    publish();
    look(2);
    assert_int_equal(compare_world_raised(world->follow->base), 0);
    assert_int_equal(follow_world_held(world->follow), memory_log_size(world->log));
    follow_world_crash(world->follow);
    world->follow->records = &world->options;
    follow_world_open(world->follow);
    look(3);
    assert_found(1);
    log_padding(300);
    publish();
    look(2);
    assert_int_equal(follow_world_held(world->follow), memory_log_size(world->log));
    assert_found(1);
}

/* Switched off and on again: what came in between is looked at then. */
static void what_came_while_it_was_off_is_looked_at_later(void **state)
{
    (void)state;
    log_first_half();
    follow_world_open(world->follow);
    publish();
    look(3);
    follow_world_crash(world->follow);
    world->follow->records = NULL;
    follow_world_open(world->follow);
    log_padding(300);
    memory_log_append(world->log, span_of_str("no record"));
    expect(FINDING_BAD_RECORD, memory_log_size(world->log) - 1);
    publish();
    look(2);
    follow_world_crash(world->follow);
    world->follow->records = &world->options;
    follow_world_open(world->follow);
    look(3);
    assert_found(1);
}

/* Told to begin in the middle, nobody knows who was registered before, or what cases had. */
static void from_a_trusted_start_only_what_is_there_is_judged(void **state)
{
    (void)state;
    log_first_half();
    expected_count = 0;
    uint64_t start = memory_log_size(world->log);
    struct buf note = follow_world_note(world->follow, world->log, start);
    publish();
    world->follow->trusted = buf_span(&note);
    follow_world_open(world->follow);
    look(2);
    operation_world_log(world, 0, 0, 7, KIND_NOTICE);
    memory_log_append(world->log, span_of_str("no record"));
    expect(FINDING_BAD_RECORD, memory_log_size(world->log) - 1);
    publish();
    look(3);
    assert_found(1);
    follow_world_restart(world->follow);
    look(2);
    assert_found(1);
    buf_clear(&note);
}

/* -- many -- */

/* Of very many only so many are told one by one, and how many more there are. */
static void a_log_of_something_else_is_told_of_in_bounds(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        memory_log_append(world->log, span_of_str("no record"));
    }
    follow_world_open(world->follow);
    publish();
    look(2);
    size_t count = compare_world_count(world->follow->base, FINDING_BAD_RECORD, NULL, false);
    assert_int_equal(count, RECORD_FINDINGS_MAX + 1);
    const struct world_call *last =
        &world->follow->base->calls[world->follow->base->call_count - 1];
    assert_string_equal(last->subject, "more from entry 256");
    assert_non_null(strstr(last->summary, "4744 entries more"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(nothing_is_lost_wherever_it_dies),
        CASE(a_restart_changes_nothing),
        CASE(a_scan_that_goes_on_after_a_crash_knows_what_it_saw),
        CASE(what_does_not_hash_to_the_root_was_never_there),
        CASE(a_log_that_was_followed_without_is_read_once_more),
        CASE(what_came_while_it_was_off_is_looked_at_later),
        CASE(from_a_trusted_start_only_what_is_there_is_judged),
        CASE(a_log_of_something_else_is_told_of_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
