/* What the follower makes of a log of operations, entry by entry: the rules that need no key, and those that do. */
#include "monitor/follow_parts.h"
#include "tests/support/operation_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    KIND_NOTICE = 18,
    KIND_RESUME = 98,
    KIND_DISBURSE = 67,
    KIND_DOC = 130,
    KIND_LATE_ENTRY = 132,
    DAY_S = 86400,
};

static struct operation_world *world;

static int set_up(void **state)
{
    (void)state;
    world = operation_world_new();
    operation_world_register(world, 0, OPERATION_WORLD_COURT);
    follow_world_open(world->follow);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    operation_world_free(world);
    return 0;
}

static void print_open(void)
{
    const struct compare_world *base = world->follow->base;
    for (size_t i = 0; i < base->call_count; i++) {
        const struct world_call *call = &base->calls[i];
        if (follow_world_is_open(world->follow, call->code, call->subject)) {
            print_message("%s %s: %s\n", finding_kind(call->code)->text, call->subject,
                          call->summary);
        }
    }
}

static void assert_open_count(size_t count)
{
    if (follow_world_open_count(world->follow) != count) {
        print_open();
    }
    assert_int_equal(follow_world_open_count(world->follow), count);
}

static void assert_only(enum finding_code code, uint64_t index)
{
    if (!operation_world_has(world, code, index)) {
        print_open();
    }
    assert_true(operation_world_has(world, code, index));
    assert_open_count(1);
}

static size_t raised(void)
{
    return compare_world_raised(world->follow->base);
}

/* A case that nobody can object to. Returns the number of the next operation. */
static uint64_t log_case(size_t c)
{
    operation_world_log(world, 0, c, 0, KIND_CASE_FILED);
    operation_world_log(world, 0, c, 1, KIND_NOTICE);
    operation_world_log(world, 0, c, 2, KIND_FREEZE);
    return 3;
}

/* -- form -- */

static void a_log_in_order_raises_nothing(void **state)
{
    (void)state;
    const uint32_t counts[] = { 7 };
    operation_world_give_key(world, 0);
    operation_world_give_key(world, 1);
    log_case(0);
    operation_world_seal(world, 0, 3);
    log_case(1);
    operation_world_unseal(world, 0, 4);
    operation_world_log(world, 0, 0, 5, KIND_NOTICE);
    operation_world_close(world, 0, 0, 6, counts, 1);
    operation_world_log(world, 0, 0, 7, KIND_DISBURSE);
    operation_world_look(world);
    assert_open_count(0);
    assert_int_equal(raised(), 0);
    assert_int_equal(follow_world_held(world->follow), memory_log_size(world->log));
}

static void what_is_no_record_is_a_bad_record(void **state)
{
    (void)state;
    memory_log_append(world->log, span_of_str("anything"));
    operation_world_log(world, 0, 0, 0, KIND_CASE_FILED);
    memory_log_append(world->log, span_of(NULL, 0));
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_BAD_RECORD, 1));
    assert_true(operation_world_has(world, FINDING_BAD_RECORD, 3));
    assert_open_count(2);
}

/* Bytes of a record whose signature is wrong in one bit, or of another log. */
static uint64_t log_unsigned(uint64_t number, const char *origin)
{
    struct operation operation = operation_world_make(world, 0, 0, number, KIND_NOTICE);
    struct buf bytes = BUF_INIT(OPERATION_BYTES_MAX);
    struct err err;
    assert_int_equal(operation_put_signed(&bytes, &operation, origin, world->submitters[0].key,
                                          &err),
                     E_OK);
    bytes.data[bytes.len - 1] ^= strcmp(origin, COMPARE_WORLD_ORIGIN) == 0;
    memory_log_append(world->log, buf_span(&bytes));
    buf_clear(&bytes);
    return memory_log_size(world->log) - 1;
}

static void a_signature_that_is_wrong_or_of_another_log_is_a_bad_record(void **state)
{
    (void)state;
    uint64_t wrong = log_unsigned(0, COMPARE_WORLD_ORIGIN);
    uint64_t replayed = log_unsigned(1, "other.example");
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_BAD_RECORD, wrong));
    assert_true(operation_world_has(world, FINDING_BAD_RECORD, replayed));
    assert_open_count(2);
}

static void signatures_are_not_verified_when_told_so(void **state)
{
    (void)state;
    log_unsigned(0, COMPARE_WORLD_ORIGIN);
    world->options.verifies_signatures = false;
    follow_world_restart(world->follow);
    operation_world_look(world);
    assert_open_count(0);
}

static void a_record_that_nothing_signs_is_vouched_for(void **state)
{
    (void)state;
    struct operation operation = operation_world_make(world, 0, 0, 0, KIND_CASE_FILED);
    operation.is_vouched = true;
    operation_world_append(world, &operation, NULL);
    operation_world_look(world);
    assert_open_count(0);
}

static void the_same_record_twice_is_a_bad_record(void **state)
{
    (void)state;
    uint64_t first = operation_world_log(world, 0, 0, 0, KIND_CASE_FILED);
    struct buf bytes = BUF_INIT(OPERATION_BYTES_MAX);
    memory_log_put_entry(world->log, first, &bytes);
    memory_log_append(world->log, buf_span(&bytes));
    buf_clear(&bytes);
    operation_world_look(world);
    assert_only(FINDING_BAD_RECORD, first + 1);
}

/* -- tags -- */

/* The sink of compare_world verifies the evidence as a stranger does, or ends the test. */
static void a_tag_that_repeats_is_proved(void **state)
{
    (void)state;
    struct evidence evidence;
    struct err err;
    log_case(0);
    for (int i = 0; i < 300; i++) { /* in another bundle */
        operation_world_log(world, 0, 1, (uint64_t)i, KIND_NOTICE);
    }
    uint64_t second = operation_world_log(world, 0, 0, 1, KIND_DOC);
    operation_world_look(world);
    assert_only(FINDING_TAG_REPEATED, second);
    assert_int_equal(evidence_parse(&evidence, buf_span(&world->follow->base->evidence), &err),
                     E_OK);
    assert_int_equal(evidence.kind, EVIDENCE_TAG_REPEATED);
    assert_int_equal(evidence.entries[0].index, 2);
    assert_int_equal(evidence.entries[1].index, second);
}

static void a_tag_that_was_held_long_ago_is_remembered(void **state)
{
    (void)state;
    log_case(0);
    operation_world_look(world);
    follow_world_restart(world->follow);
    uint64_t second = operation_world_log(world, 0, 0, 0, KIND_NOTICE);
    operation_world_look(world);
    assert_only(FINDING_TAG_REPEATED, second);
    follow_world_restart(world->follow);
    operation_world_look(world);
    assert_int_equal(raised(), 1);
}

/* -- submitters -- */

static void whoever_is_not_registered_is_told(void **state)
{
    (void)state;
    uint64_t stranger = operation_world_log(world, 1, 1, 0, KIND_CASE_FILED);
    operation_world_register(world, 1, NULL);
    operation_world_log(world, 1, 1, 1, KIND_NOTICE);
    operation_world_end(world, 1);
    uint64_t ended = operation_world_log(world, 1, 1, 2, KIND_NOTICE);
    operation_world_register(world, 1, NULL);
    operation_world_log(world, 1, 1, 3, KIND_NOTICE);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_UNREGISTERED_KEY, stranger));
    assert_true(operation_world_has(world, FINDING_UNREGISTERED_KEY, ended));
    assert_open_count(2);
}

static void a_registration_is_for_courts_times_and_roles(void **state)
{
    (void)state;
    struct operation late = operation_world_registration(world, 2, NULL);
    late.registration.to = world->minute + 1;
    struct operation service = operation_world_registration(world, 3, NULL);
    service.registration.roles = 1u << ROLE_SERVICE;
    operation_world_register(world, 1, "测0202");
    operation_world_append(world, &late, &world->submitters[2]);
    operation_world_append(world, &service, &world->submitters[3]);
    uint64_t other_court = operation_world_log(world, 1, 0, 0, KIND_NOTICE);
    uint64_t other_time = operation_world_log(world, 2, 0, 0, KIND_NOTICE);
    uint64_t other_role = operation_world_log(world, 3, 0, 0, KIND_NOTICE);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_UNREGISTERED_KEY, other_court));
    assert_true(operation_world_has(world, FINDING_UNREGISTERED_KEY, other_time));
    assert_true(operation_world_has(world, FINDING_UNREGISTERED_KEY, other_role));
    assert_open_count(3);
}

static void submitters_are_remembered(void **state)
{
    (void)state;
    operation_world_register(world, 1, NULL);
    operation_world_look(world);
    operation_world_end(world, 1);
    operation_world_look(world);
    follow_world_restart(world->follow);
    operation_world_log(world, 0, 0, 0, KIND_CASE_FILED);
    uint64_t ended = operation_world_log(world, 1, 0, 0, KIND_NOTICE);
    operation_world_look(world);
    assert_only(FINDING_UNREGISTERED_KEY, ended);
}

/* -- sealed -- */

static void a_sealed_record_that_nobody_opens_is_overdue_until_it_is(void **state)
{
    (void)state;
    log_case(0);
    uint64_t sealed = operation_world_seal(world, 0, 3);
    operation_world_look(world);
    compare_world_pass(world->follow->base, 29 * DAY_S);
    operation_world_log(world, 0, 0, 4, KIND_NOTICE);
    operation_world_look(world);
    assert_open_count(0);
    compare_world_pass(world->follow->base, DAY_S);
    operation_world_log(world, 0, 0, 5, KIND_NOTICE);
    operation_world_look(world);
    assert_only(FINDING_SEALED_OVERDUE, sealed);
    follow_world_restart(world->follow);
    operation_world_look(world);
    assert_int_equal(raised(), 1);
    operation_world_unseal(world, 0, 6);
    operation_world_look(world);
    assert_open_count(0);
}

static void one_that_was_opened_is_never_overdue(void **state)
{
    (void)state;
    operation_world_seal(world, 0, 0);
    operation_world_unseal(world, 0, 1);
    operation_world_look(world);
    compare_world_pass(world->follow->base, 90 * DAY_S);
    operation_world_log(world, 0, 0, 2, KIND_NOTICE);
    operation_world_look(world);
    assert_open_count(0);
}

/* Of a log that is finished. */
static void without_days_every_sealed_record_is_to_be_open(void **state)
{
    (void)state;
    world->options.unseal_after_s = 0;
    follow_world_restart(world->follow);
    operation_world_seal(world, 0, 0);
    operation_world_unseal(world, 0, 1);
    uint64_t sealed = operation_world_seal(world, 0, 2);
    operation_world_look(world);
    assert_only(FINDING_SEALED_OVERDUE, sealed);
}

/* A monitor that comes late knows from the log's own anchors how old an entry is. */
static void anchors_tell_the_time(void **state)
{
    (void)state;
    uint64_t sealed = operation_world_seal(world, 0, 0);
    struct operation anchor = { .kind = kind_find(KIND_ANCHOR),
                                .minute = world->minute,
                                .is_vouched = true };
    struct buf note = follow_world_note(world->follow, world->log, sealed + 1);
    anchor.note = buf_span(&note);
    operation_world_append(world, &anchor, NULL);
    buf_clear(&note);
    compare_world_pass(world->follow->base, 31 * DAY_S);
    operation_world_look(world);
    assert_only(FINDING_SEALED_OVERDUE, sealed);
}

static void an_anchor_must_be_a_note_of_the_log_before_it(void **state)
{
    (void)state;
    struct operation anchor = { .kind = kind_find(KIND_ANCHOR),
                                .minute = world->minute,
                                .is_vouched = true };
    struct buf ahead = follow_world_note(world->follow, world->follow->base->forked, 60);
    anchor.note = buf_span(&ahead);
    uint64_t too_large = operation_world_append(world, &anchor, NULL);
    buf_clear(&ahead);
    struct buf other = compare_world_sign(world->follow->base, world->log, 1,
                                          &world->follow->base->other_key, NULL);
    anchor.note = buf_span(&other);
    uint64_t of_another = operation_world_append(world, &anchor, NULL);
    buf_clear(&other);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_BAD_RECORD, too_large));
    assert_true(operation_world_has(world, FINDING_BAD_RECORD, of_another));
    assert_open_count(2);
}

/* Each opening, and the record that it is of. */
static void an_unseal_must_open_what_was_committed(void **state)
{
    (void)state;
    uint64_t sealed = operation_world_seal(world, 0, 0);
    struct buf record = operation_world_unsealing(world, 0, 1);
    struct operation operation;
    struct err err;
    uint64_t bad[OPERATION_OPENINGS + 2];
    for (size_t i = 0; i < OPERATION_OPENINGS + 2; i++) {
        assert_int_equal(operation_decode(&operation, buf_span(&record), &err), E_OK);
        struct submitter_id id = operation_world_id(world, 0);
        operation.entry_tag = entry_tag_make(&world->cases[1], &id, i);
        if (i < OPERATION_OPENINGS) {
            operation.openings[i].salt[0] ^= 1;
        } else if (i == OPERATION_OPENINGS) {
            operation.references[0].leaf.bytes[0] ^= 1;
        } else {
            operation.references[0].origin.bytes[0] ^= 1;
        }
        bad[i] = operation_world_append(world, &operation, &world->submitters[0]);
        operation_clear(&operation);
    }
    buf_clear(&record);
    operation_world_look(world);
    for (size_t i = 0; i < OPERATION_OPENINGS + 2; i++) {
        assert_true(operation_world_has(world, FINDING_BAD_RECORD, bad[i]));
    }
    assert_open_count(OPERATION_OPENINGS + 2);
    compare_world_pass(world->follow->base, 31 * DAY_S); /* none of them has opened it */
    operation_world_log(world, 0, 0, 1, KIND_NOTICE);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_SEALED_OVERDUE, sealed));
}

static void a_sealed_record_of_nobody_is_told_once_it_is_open(void **state)
{
    (void)state;
    uint64_t sealed = operation_world_seal(world, 1, 0);
    operation_world_register(world, 1, NULL);
    operation_world_unseal(world, 1, 1);
    operation_world_look(world);
    assert_only(FINDING_UNREGISTERED_KEY, sealed);
}

/* -- with the keys of cases -- */

static void a_gap_is_told_by_the_second_look_until_it_is_filled(void **state)
{
    (void)state;
    operation_world_give_key(world, 0);
    log_case(0);
    operation_world_look(world);
    uint64_t after = operation_world_log(world, 0, 0, 5, KIND_NOTICE);
    follow_world_serve(world->follow, memory_log_size(world->log));
    follow_world_step_after(world->follow, 10);
    assert_open_count(0);
    follow_world_step_after(world->follow, 10);
    assert_only(FINDING_CASE_GAP, after);
    for (int i = 0; i < 3; i++) {
        follow_world_step_after(world->follow, 10);
        follow_world_restart(world->follow);
    }
    assert_int_equal(raised(), 1);
    uint64_t filled = operation_world_log(world, 0, 0, 3, KIND_NOTICE);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_CASE_GAP, after)); /* 4 is missing still */
    operation_world_log(world, 0, 0, 4, KIND_NOTICE);
    operation_world_look(world);
    assert_false(operation_world_has(world, FINDING_CASE_GAP, after));
    assert_true(operation_world_has(world, FINDING_CASE_ORDER, filled));
    assert_true(operation_world_has(world, FINDING_CASE_ORDER, filled + 1));
    assert_open_count(2);
}

static void a_gap_that_is_filled_by_the_next_poll_is_none(void **state)
{
    (void)state;
    operation_world_give_key(world, 0);
    log_case(0);
    operation_world_log(world, 0, 0, 4, KIND_NOTICE);
    follow_world_serve(world->follow, memory_log_size(world->log));
    follow_world_step_after(world->follow, 10);
    uint64_t late = operation_world_log(world, 0, 0, 3, KIND_NOTICE);
    operation_world_look(world);
    assert_only(FINDING_CASE_ORDER, late);
    assert_int_equal(raised(), 1);
}

static void every_rule_of_a_case_is_looked_at(void **state)
{
    (void)state;
    const uint32_t counts[] = { 9 };
    operation_world_give_key(world, 0);
    uint64_t next = log_case(0);
    uint64_t again = operation_world_log(world, 0, 0, next++, KIND_CASE_FILED);
    world->minute -= 5;
    uint64_t backwards = operation_world_log(world, 0, 0, next++, KIND_NOTICE);
    world->minute += 5;
    uint64_t closed = operation_world_close(world, 0, 0, next++, counts, 1);
    uint64_t after = operation_world_log(world, 0, 0, next++, KIND_DOC);
    operation_world_log(world, 0, 0, next++, KIND_RESUME);
    operation_world_log(world, 0, 0, next++, KIND_DOC);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_CASE_FILED_TWICE, again));
    assert_true(operation_world_has(world, FINDING_CASE_TIME_BACKWARDS, backwards));
    assert_true(operation_world_has(world, FINDING_CASE_COUNT, closed));
    assert_true(operation_world_has(world, FINDING_CASE_AFTER_CLOSED, after));
    assert_open_count(4);
}

static void without_a_key_nothing_is_known_of_a_case(void **state)
{
    (void)state;
    uint64_t next = log_case(0);
    operation_world_log(world, 0, 0, next + 5, KIND_CASE_FILED);
    operation_world_log(world, 0, 0, next + 1, KIND_CLOSED);
    operation_world_look(world);
    assert_open_count(0);
}

/* The log is not read again for it. */
static void a_key_that_comes_later_finds_what_was_logged_before(void **state)
{
    (void)state;
    uint64_t next = log_case(0);
    uint64_t after = operation_world_log(world, 0, 0, next + 1, KIND_NOTICE);
    operation_world_look(world);
    assert_open_count(0);
    operation_world_give_key(world, 0);
    uint64_t reads = memory_log_get_count(world->log);
    follow_world_step_after(world->follow, 61);
    follow_world_step_after(world->follow, 10);
    assert_only(FINDING_CASE_GAP, after);
    assert_int_equal(memory_log_get_count(world->log), reads + 2); /* its checkpoint, twice */
}

static void keys_are_read_at_once_when_somebody_asks(void **state)
{
    (void)state;
    static atomic_uint reloads;
    world->options.reloads = &reloads;
    follow_world_restart(world->follow);
    uint64_t next = log_case(0);
    uint64_t after = operation_world_log(world, 0, 0, next + 1, KIND_NOTICE);
    operation_world_look(world);
    operation_world_give_key(world, 0);
    atomic_fetch_add(&reloads, 1);
    follow_world_step_after(world->follow, 1);
    follow_world_step_after(world->follow, 1);
    assert_only(FINDING_CASE_GAP, after);
}

static void two_keys_of_one_number_file_it_twice(void **state)
{
    (void)state;
    operation_world_give_key(world, 2);
    operation_world_log(world, 0, 1, 0, KIND_CASE_FILED);
    uint64_t again = operation_world_log(world, 0, 2, 0, KIND_CASE_FILED);
    operation_world_look(world);
    assert_open_count(0);
    operation_world_give_key(world, 1); /* the one that was first comes last */
    follow_world_step_after(world->follow, 61);
    assert_only(FINDING_CASE_FILED_TWICE, again);
    follow_world_restart(world->follow);
    operation_world_look(world);
    assert_int_equal(raised(), 1);
}

static void a_sealed_record_is_one_of_its_case(void **state)
{
    (void)state;
    operation_world_give_key(world, 0);
    log_case(0);
    operation_world_seal(world, 0, 3);
    operation_world_look(world);
    uint64_t after = operation_world_seal(world, 0, 5);
    operation_world_look(world);
    assert_only(FINDING_CASE_GAP, after);
}

static void a_key_whose_file_is_gone_is_forgotten(void **state)
{
    (void)state;
    operation_world_give_key(world, 0);
    operation_world_give_key(world, 1);
    log_case(0);
    operation_world_look(world);
    char *path = files_join(world->key_dir, "0.casekey");
    assert_int_equal(unlink(path), 0);
    mem_free(path);
    follow_world_step_after(world->follow, 61);
    operation_world_log(world, 0, 0, 9, KIND_NOTICE);
    uint64_t of_the_other = operation_world_log(world, 0, 1, 1, KIND_NOTICE);
    operation_world_look(world);
    assert_only(FINDING_CASE_GAP, of_the_other);
}

static void a_key_that_others_can_read_is_left_out(void **state)
{
    (void)state;
    operation_world_give_key(world, 0);
    char *path = files_join(world->key_dir, "0.casekey");
    assert_int_equal(chmod(path, 0640), 0);
    mem_free(path);
    operation_world_log(world, 0, 0, 9, KIND_NOTICE);
    operation_world_look(world);
    assert_open_count(0);
}

/* Alerts are public: that two entries are of one case only its key may tell. */
static void no_alert_names_a_case(void **state)
{
    (void)state;
    operation_world_give_key(world, 0);
    uint64_t next = log_case(0);
    operation_world_log(world, 0, 0, next + 1, KIND_CASE_FILED);
    operation_world_look(world);
    assert_open_count(2);
    struct buf hex = BUF_INIT(2 * CASE_KEY_BYTES + 1);
    hex_put(&hex, SPAN_OF_ARRAY(world->cases[0].bytes));
    for (size_t i = 0; i < world->follow->base->call_count; i++) {
        const struct world_call *call = &world->follow->base->calls[i];
        assert_null(strstr(call->summary, world->cases[0].number));
        assert_null(strstr(call->subject, world->cases[0].number));
        assert_null(strstr(call->summary, buf_c_str(&hex)));
        assert_null(strstr(call->summary, ".casekey"));
        assert_int_equal(strncmp(call->subject, "entry ", 6), 0);
    }
    buf_clear(&hex);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_log_in_order_raises_nothing),
        CASE(what_is_no_record_is_a_bad_record),
        CASE(a_signature_that_is_wrong_or_of_another_log_is_a_bad_record),
        CASE(signatures_are_not_verified_when_told_so),
        CASE(a_record_that_nothing_signs_is_vouched_for),
        CASE(the_same_record_twice_is_a_bad_record),
        CASE(a_tag_that_repeats_is_proved),
        CASE(a_tag_that_was_held_long_ago_is_remembered),
        CASE(whoever_is_not_registered_is_told),
        CASE(a_registration_is_for_courts_times_and_roles),
        CASE(submitters_are_remembered),
        CASE(a_sealed_record_that_nobody_opens_is_overdue_until_it_is),
        CASE(one_that_was_opened_is_never_overdue),
        CASE(without_days_every_sealed_record_is_to_be_open),
        CASE(anchors_tell_the_time),
        CASE(an_anchor_must_be_a_note_of_the_log_before_it),
        CASE(an_unseal_must_open_what_was_committed),
        CASE(a_sealed_record_of_nobody_is_told_once_it_is_open),
        CASE(a_gap_is_told_by_the_second_look_until_it_is_filled),
        CASE(a_gap_that_is_filled_by_the_next_poll_is_none),
        CASE(every_rule_of_a_case_is_looked_at),
        CASE(without_a_key_nothing_is_known_of_a_case),
        CASE(a_key_that_comes_later_finds_what_was_logged_before),
        CASE(keys_are_read_at_once_when_somebody_asks),
        CASE(two_keys_of_one_number_file_it_twice),
        CASE(a_sealed_record_is_one_of_its_case),
        CASE(a_key_whose_file_is_gone_is_forgotten),
        CASE(a_key_that_others_can_read_is_left_out),
        CASE(no_alert_names_a_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
