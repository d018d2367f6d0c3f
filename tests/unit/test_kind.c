#include "record/kind.h"

#include "courtroll/v1/operation.pb-c.h"
#include "record/field.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define F(name) (UINT32_C(1) << FIELD_##name)

/* operation.proto is what other programs read. */
static void the_table_has_the_numbers_and_names_of_the_schema(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *kinds = &courtroll__v1__kind__descriptor;
    size_t count = 0;
    for (unsigned i = 0; i < kinds->n_values; i++) {
        if (kinds->values[i].value == 0) {
            continue;
        }
        const struct kind *kind = kind_find((uint32_t)kinds->values[i].value);
        assert_non_null(kind);
        assert_string_equal(kind->name, kinds->values[i].name);
        count++;
    }
    assert_null(kind_at(count));
    assert_non_null(kind_at(count - 1));
    assert_null(kind_at(SIZE_MAX));
}

static void roles_have_the_numbers_and_names_of_the_schema(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *roles = &courtroll__v1__role__descriptor;
    assert_int_equal(roles->n_values, ROLE_LAST + 1);
    for (unsigned i = 0; i < roles->n_values; i++) {
        unsigned number = (unsigned)roles->values[i].value;
        const char *name = role_name(number);
        if (number == 0) {
            assert_null(name);
            continue;
        }
        for (size_t k = 0; name[k] != '\0'; k++) { /* "case-management" is CASE_MANAGEMENT */
            char upper = name[k] == '-' ? '_' : (char)(name[k] - 'a' + 'A');
            assert_int_equal(upper, roles->values[i].name[k]);
        }
        assert_int_equal(strlen(name), strlen(roles->values[i].name));
        unsigned parsed = 0;
        assert_true(role_parse(&parsed, span_of_str(name)));
        assert_int_equal(parsed, number);
    }
    unsigned unchanged = 77;
    assert_null(role_name(ROLE_LAST + 1));
    assert_false(role_parse(&unchanged, span_of_str("")));
    assert_false(role_parse(&unchanged, span_of_str("Enforcement")));
    assert_false(role_parse(&unchanged, span_of_str("enforcement ")));
    assert_int_equal(unchanged, 77);
}

static void kinds_are_found_by_number_and_by_name_and_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        const struct kind *kind = kind_at(i);
        assert_ptr_equal(kind_find(kind->number), kind);
        assert_ptr_equal(kind_by_name(span_of_str(kind->name)), kind);
        assert_true(i == 0 || kind_at(i - 1)->number < kind->number);
    }
}

static void what_is_not_in_the_table_is_not_found(void **state)
{
    (void)state;
    static const uint32_t unknown[] = { 0, 7, 15, 24, 134, 167, 256 + KIND_FREEZE, UINT32_MAX };
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_null(kind_find(unknown[i]));
    }
    assert_null(kind_by_name(span_of_str("")));
    assert_null(kind_by_name(span_of_str("freeze")));
    assert_null(kind_by_name(span_of_str("FREEZE ")));
    assert_null(kind_by_name(span_of_str("KIND_NONE")));
}

static void masks_are_inside_each_other(void **state)
{
    (void)state;
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        const struct kind *kind = kind_at(i);
        assert_int_equal(kind->required & ~kind->material, 0);
        assert_int_equal(kind->material & ~kind->allowed, 0);
        assert_int_equal(kind->allowed & (KIND_SEALED_FIELDS | F(RESERVED)), 0);
        assert_int_equal(kind->roles & ~(((1u << ROLE_LAST) - 1) << 1), 0);
    }
}

static void every_record_of_a_case_has_its_number_and_court(void **state)
{
    (void)state;
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        const struct kind *kind = kind_at(i);
        switch (kind->class) {
        case KIND_OF_CASE:
        case KIND_OF_UNSEAL:
            assert_true((kind->required & F(NUMBER)) != 0);
            assert_true((kind->required & F(COURT)) != 0);
            assert_true((kind->allowed & F(OFFICER)) != 0);
            assert_int_not_equal(kind->roles, 0);
            break;
        case KIND_OF_LOG:
            assert_int_equal(kind->allowed | kind->roles, 0);
            assert_false(kind->is_control);
            break;
        case KIND_OF_SEALED:
        case KIND_INSIDE:
            assert_false(kind->is_control);
            break;
        }
    }
}

static void the_classes_are_those_of_the_schema(void **state)
{
    (void)state;
    assert_int_equal(kind_find(KIND_SEALED)->class, KIND_OF_SEALED);
    assert_int_equal(kind_find(KIND_UNSEAL)->class, KIND_OF_UNSEAL);
    assert_int_equal(kind_find(KIND_DECOY)->class, KIND_INSIDE);
    assert_int_equal(kind_find(KIND_SUBMITTER)->class, KIND_OF_LOG);
    assert_int_equal(kind_find(KIND_SUBMITTER_END)->class, KIND_OF_LOG);
    assert_int_equal(kind_find(KIND_ANCHOR)->class, KIND_OF_LOG);
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        if (kind_at(i)->number >= KIND_CASE_FILED) {
            assert_int_equal(kind_at(i)->class, KIND_OF_CASE);
        }
    }
}

/* What would tip off a debtor may be sealed, and nothing that must be seen by all. */
static void control_measures_and_queries_may_be_sealed(void **state)
{
    (void)state;
    static const char *const sealable[] = { "CLUE",   "QUERY",   "QUERY_RESULT",  "INVESTIGATE",
                                            "FREEZE", "SEAL",    "SEIZE",         "WAIT_SEAL",
                                            "RENEW",  "RELEASE", "ASSIST_NOTICE", "ASSIST_REPLY",
                                            "DEDUCT", "EXIT_BAN" };
    static const char *const open[] = { "CASE_FILED", "NOTICE",   "CLOSED", "AUCTION_NOTICE",
                                        "DISBURSE",   "OPENED",   "SERVED", "CORRECTION",
                                        "UNSEAL",     "APPROVAL", "RULING" };
    size_t count = 0;
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        count += kind_at(i)->is_control;
    }
    assert_int_equal(count, sizeof sealable / sizeof sealable[0]);
    for (size_t i = 0; i < count; i++) {
        assert_true(kind_by_name(span_of_str(sealable[i]))->is_control);
    }
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        assert_false(kind_by_name(span_of_str(open[i]))->is_control);
    }
}

static void kinds_require_what_they_are_about(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t required;
    } rows[] = {
        { "CASE_FILED", F(CASE_NUMBER) },
        { "FREEZE", F(OFFICER) | F(DEBTOR) | F(ASSET) },
        { "SEAL", F(OFFICER) | F(DEBTOR) | F(ASSET) },
        { "RELEASE", F(OFFICER) | F(ASSET) },
        { "DEDUCT", F(OFFICER) | F(AMOUNT) },
        { "AUCTION_RESULT", F(OFFICER) | F(ASSET) | F(RESULT) },
        { "DISBURSE", F(AMOUNT) | F(PAYEE) },
        { "APPROVAL", F(APPROVER) | F(ROLE) },
        { "CLOSED", F(METHOD) },
        { "MANIFEST", F(DIGEST) },
        { "OPENED", F(REASON) },
        { "DECOY", 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct kind *kind = kind_by_name(span_of_str(rows[i].name));
        assert_int_equal(kind->required, rows[i].required | F(NUMBER) | F(COURT));
    }
    /* The term of a measure and who approved a fine are never hidden, though they may be absent. */
    const uint32_t term = F(AMOUNT) | F(START) | F(END) | F(INSTITUTION);
    assert_int_equal(kind_by_name(span_of_str("FREEZE"))->material & term, term);
    assert_true((kind_by_name(span_of_str("FINE"))->material & F(APPROVER)) != 0);
}

static void a_bank_logs_replies_and_no_measures(void **state)
{
    (void)state;
    const uint32_t bank = 1u << ROLE_INSTITUTION, court = 1u << ROLE_ENFORCEMENT;
    assert_true((kind_by_name(span_of_str("ASSIST_REPLY"))->roles & bank) != 0);
    assert_true((kind_by_name(span_of_str("QUERY_RESULT"))->roles & bank) != 0);
    static const char *const measures[] = { "FREEZE", "SEAL", "DEDUCT", "CLOSED", "RULING" };
    for (size_t i = 0; i < sizeof measures / sizeof measures[0]; i++) {
        const struct kind *kind = kind_by_name(span_of_str(measures[i]));
        assert_int_equal(kind->roles & bank, 0);
        assert_true((kind->roles & court) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_the_numbers_and_names_of_the_schema),
        cmocka_unit_test(roles_have_the_numbers_and_names_of_the_schema),
        cmocka_unit_test(kinds_are_found_by_number_and_by_name_and_in_order),
        cmocka_unit_test(what_is_not_in_the_table_is_not_found),
        cmocka_unit_test(masks_are_inside_each_other),
        cmocka_unit_test(every_record_of_a_case_has_its_number_and_court),
        cmocka_unit_test(the_classes_are_those_of_the_schema),
        cmocka_unit_test(control_measures_and_queries_may_be_sealed),
        cmocka_unit_test(kinds_require_what_they_are_about),
        cmocka_unit_test(a_bank_logs_replies_and_no_measures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
