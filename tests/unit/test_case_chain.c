#include "cli/case_chain.h"

#include "base/alloc.h"
#include "record/operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ORIGIN "log.court.example/2026"

enum {
    ENTRY_BYTES = 1024,
    NOBODY = 3, /* a submitter that is not registered */
    DOC = 130,
};

static const struct case_key key = { .bytes = { 1, 2, 3 }, .number = "（2026）测01执1号" };

static struct signing_key *signing_key_of(unsigned who)
{
    uint8_t seed[ED25519_SEED_BYTES] = { (uint8_t)(who + 1) };
    return signing_key_from_seed(seed);
}

static struct submitter_id id_of(unsigned who)
{
    struct signing_key *signing = signing_key_of(who);
    struct ed25519_public public = signing_key_public(signing);
    signing_key_free(signing);
    return submitter_id_make(&public);
}

struct fixture {
    struct case_chain *chain;
    uint64_t index;
    struct case_chain_report report;
};

static void put(struct fixture *fixture, struct operation *operation, unsigned signer)
{
    struct signing_key *signing = signing_key_of(signer);
    struct buf entry = BUF_INIT(ENTRY_BYTES);
    struct err err;
    enum err_code rc = operation->is_vouched
                           ? operation_put(&entry, operation, &err)
                           : operation_put_signed(&entry, operation, ORIGIN, signing, &err);
    assert_int_equal(rc, E_OK);
    assert_int_equal(case_chain_add(fixture->chain, fixture->index++, buf_span(&entry), &err),
                     E_OK);
    buf_clear(&entry);
    signing_key_free(signing);
}

static void put_registration(struct fixture *fixture, unsigned who)
{
    struct signing_key *signing = signing_key_of(who);
    struct operation operation = { .kind = kind_find(KIND_SUBMITTER),
                                   .minute = 100,
                                   .submitter = id_of(who) };
    operation.registration.key = signing_key_public(signing);
    operation.registration.roles = 1U << ROLE_ENFORCEMENT;
    memcpy(operation.registration.name, "a.court.example", sizeof "a.court.example");
    operation.registration.name[0] = (char)('a' + who);
    put(fixture, &operation, who);
    signing_key_free(signing);
}

static struct operation operation_of(unsigned who, uint64_t number, uint32_t kind)
{
    struct submitter_id id = id_of(who);
    return (struct operation){ .kind = kind_find(kind),
                               .minute = 200 + number,
                               .court = court_tag_make(span_of_str("测01")),
                               .has_commitments = true,
                               .entry_tag = entry_tag_make(&key, &id, number),
                               .submitter = id };
}

static void put_number(struct fixture *fixture, unsigned who, uint64_t number)
{
    struct operation operation = operation_of(who, number, DOC);
    put(fixture, &operation, who);
}

static void put_closed(struct fixture *fixture, unsigned who, uint64_t number, uint32_t count0,
                       uint32_t count1)
{
    struct operation operation = operation_of(who, number, KIND_CLOSED);
    const struct closed_count counts[] = { { id_of(0), count0 }, { id_of(1), count1 } };
    closed_counts_make(operation.closed_counts, &key, &operation.entry_tag, counts,
                       count1 > 0 ? 2 : 1);
    put(fixture, &operation, who);
}

static struct fixture start(void)
{
    struct fixture fixture = { .chain = case_chain_new(&key, ORIGIN) };
    put_registration(&fixture, 0);
    put_registration(&fixture, 1);
    return fixture;
}

static const struct case_chain_report *judge(struct fixture *fixture)
{
    case_chain_report_clear(&fixture->report);
    case_chain_judge(fixture->chain, &fixture->report);
    return &fixture->report;
}

static void stop(struct fixture *fixture)
{
    case_chain_report_clear(&fixture->report);
    case_chain_free(fixture->chain);
}

static void expect_text(const struct fixture *fixture, const char *part)
{
    assert_int_equal(fixture->report.problem_count, 1);
    if (strstr(fixture->report.problems[0].text, part) == NULL) {
        fail_msg("%s", fixture->report.problems[0].text);
    }
}

static void without_closed_it_is_complete_so_far(void **state)
{
    (void)state;
    struct fixture fixture = start();
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_NONE);
    for (unsigned i = 0; i < 3; i++) {
        put_number(&fixture, 0, i);
        put_number(&fixture, 1, i);
    }
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_OPEN);
    assert_int_equal(fixture.report.operations, 6);
    assert_int_equal(fixture.report.submitter_count, 2);
    assert_int_equal(fixture.report.submitters[0].next, 3);
    stop(&fixture);
}

static void closed_says_that_it_is_all(void **state)
{
    (void)state;
    struct fixture fixture = start();
    put_number(&fixture, 0, 0);
    put_number(&fixture, 1, 0);
    put_closed(&fixture, 0, 1, 2, 1);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_CLOSED);
    put_number(&fixture, 1, 1); /* whatever comes after it is counted by nobody */
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_OPEN);
    assert_int_equal(fixture.report.after_closed, 1);
    stop(&fixture);
}

static void a_hole_is_named(void **state)
{
    (void)state;
    struct fixture fixture = start();
    put_number(&fixture, 0, 0);
    put_number(&fixture, 0, 3);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_INCOMPLETE);
    expect_text(&fixture, "numbers 1 to 2 of submitter a.court.example are missing");
    assert_int_equal(fixture.report.problems[0].number, 1);
    assert_int_equal(fixture.report.problems[0].count, 2);
    stop(&fixture);
}

static void the_first_may_be_missing_too(void **state)
{
    (void)state;
    struct fixture fixture = start();
    put_number(&fixture, 1, 1);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_INCOMPLETE);
    expect_text(&fixture, "number 0 of submitter b.court.example is missing");
    stop(&fixture);
}

static void holes_are_looked_over_as_far_as_the_header_says(void **state)
{
    (void)state;
    struct fixture fixture = start();
    put_number(&fixture, 0, CASE_CHAIN_FIRST);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_NONE);
    put_number(&fixture, 0, CASE_CHAIN_FIRST - 1);
    assert_int_equal(judge(&fixture)->operations, 1);
    put_number(&fixture, 0, CASE_CHAIN_FIRST - 1 + CASE_CHAIN_AHEAD);
    assert_int_equal(judge(&fixture)->operations, 2);
    stop(&fixture);
}

/* The cipher of the counts hides them and does not keep them as they are: only a signature does. */
static void counts_that_nobody_signed_are_the_logs_word(void **state)
{
    (void)state;
    struct fixture fixture = start();
    put_number(&fixture, 0, 0);
    put_closed(&fixture, 0, 1, 2, 0);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_CLOSED);
    assert_false(fixture.report.is_closed_vouched);
    stop(&fixture);
    fixture = start();
    put_number(&fixture, 0, 0);
    struct operation operation = operation_of(0, 1, KIND_CLOSED);
    const struct closed_count honest = { id_of(0), 3 };
    closed_counts_make(operation.closed_counts, &key, &operation.entry_tag, &honest, 1);
    operation.closed_counts[SUBMITTER_ID_BYTES + 3] ^= 3 ^ 2; /* a log hides that 1 is missing */
    operation.is_vouched = true;
    put(&fixture, &operation, 0);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_CLOSED);
    assert_true(fixture.report.is_closed_vouched);
    stop(&fixture);
}

static void what_closed_counts_and_is_not_there_is_missing(void **state)
{
    (void)state;
    struct fixture fixture = start();
    put_number(&fixture, 0, 0);
    put_closed(&fixture, 0, 1, 2, 1); /* one of the other, of whom nothing is there */
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_INCOMPLETE);
    expect_text(&fixture, "number 0 of submitter b.court.example is missing: CLOSED counts it");
    stop(&fixture);
}

static void what_closed_does_not_count_is_told(void **state)
{
    (void)state;
    struct fixture fixture = start();
    put_number(&fixture, 1, 0);
    put_closed(&fixture, 0, 0, 1, 0);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_FAULTY);
    expect_text(&fixture, "CLOSED does not count submitter b.court.example");
    stop(&fixture);
    fixture = start();
    put_number(&fixture, 0, 0);
    put_number(&fixture, 0, 1);
    put_closed(&fixture, 0, 2, 1, 0);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_FAULTY);
    expect_text(&fixture, "CLOSED counts 1 operations");
    stop(&fixture);
}

static void another_order_and_a_repeat_are_told(void **state)
{
    (void)state;
    struct fixture fixture = start();
    put_number(&fixture, 0, 0);
    put_number(&fixture, 0, 2);
    put_number(&fixture, 0, 1);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_FAULTY);
    expect_text(&fixture, "number 2 of submitter a.court.example is out of order");
    stop(&fixture);
    fixture = start();
    put_number(&fixture, 0, 0);
    put_number(&fixture, 0, 0);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_FAULTY);
    expect_text(&fixture, "number 0 of submitter a.court.example is there twice: entries 2 and 3");
    stop(&fixture);
}

/* Whoever has the case key can make tags, but not sign for the submitter. */
static void a_tag_alone_is_no_operation(void **state)
{
    (void)state;
    struct fixture fixture = start();
    put_number(&fixture, 0, 0);
    struct operation operation = operation_of(0, 1, DOC);
    operation.submitter = id_of(NOBODY);
    put(&fixture, &operation, NOBODY);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_FAULTY);
    expect_text(&fixture, "is not signed by it");
    stop(&fixture);
}

static void who_is_not_registered_or_not_named_is_not_looked_for(void **state)
{
    (void)state;
    struct fixture fixture = start();
    put_number(&fixture, NOBODY, 0);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_NONE);
    stop(&fixture);
    fixture = (struct fixture){ .chain = case_chain_new(&key, ORIGIN) };
    struct submitter_id only = id_of(1);
    case_chain_restrict(fixture.chain, &only);
    put_registration(&fixture, 0);
    put_registration(&fixture, 1);
    put_number(&fixture, 0, 1); /* a hole, of the other */
    put_number(&fixture, 1, 0);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_OPEN);
    assert_int_equal(fixture.report.operations, 1);
    stop(&fixture);
}

static void bytes_that_are_no_record_are_passed_over(void **state)
{
    (void)state;
    struct fixture fixture = start();
    struct err err;
    const char *const entries[] = { "", "\x08", "hello", "\x08\x01\x10\x03" };
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        assert_int_equal(case_chain_add(fixture.chain, fixture.index++, span_of_str(entries[i]),
                                        &err),
                         E_OK);
    }
    put_number(&fixture, 0, 0);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_OPEN);
    stop(&fixture);
}

static void counts_of_another_key_are_told(void **state)
{
    (void)state;
    struct fixture fixture = start();
    struct operation operation = operation_of(0, 0, KIND_CLOSED);
    memset(operation.closed_counts, 0x5a, sizeof operation.closed_counts);
    put(&fixture, &operation, 0);
    assert_int_equal(judge(&fixture)->verdict, CASE_CHAIN_FAULTY);
    expect_text(&fixture, "the counts of CLOSED, entry 2, are not of this case key");
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_closed_it_is_complete_so_far),
        cmocka_unit_test(closed_says_that_it_is_all),
        cmocka_unit_test(a_hole_is_named),
        cmocka_unit_test(the_first_may_be_missing_too),
        cmocka_unit_test(holes_are_looked_over_as_far_as_the_header_says),
        cmocka_unit_test(counts_that_nobody_signed_are_the_logs_word),
        cmocka_unit_test(what_closed_counts_and_is_not_there_is_missing),
        cmocka_unit_test(what_closed_does_not_count_is_told),
        cmocka_unit_test(another_order_and_a_repeat_are_told),
        cmocka_unit_test(a_tag_alone_is_no_operation),
        cmocka_unit_test(who_is_not_registered_or_not_named_is_not_looked_for),
        cmocka_unit_test(bytes_that_are_no_record_are_passed_over),
        cmocka_unit_test(counts_of_another_key_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
