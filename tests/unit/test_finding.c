#include "monitor/finding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void every_code_has_words_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < FINDING_COUNT; i++) {
        const struct finding_kind *kind = finding_kind((enum finding_code)i);
        enum finding_code found;
        assert_non_null(kind->text);
        assert_true(strlen(kind->meaning) > 20 && kind->meaning[strlen(kind->meaning) - 1] == '.');
        assert_true(strlen(kind->runbook) > 20 && kind->runbook[strlen(kind->runbook) - 1] == '.');
        assert_true(finding_code_parse(&found, span_of_str(kind->text)));
        assert_int_equal(found, i);
        for (const char *c = kind->text; *c != 0; c++) {
            assert_true((*c >= 'a' && *c <= 'z') || *c == '-');
        }
    }
}

/* The codes are a promise to whoever has written rules on them. */
static void codes_are_those_documented(void **state)
{
    static const char *const codes[FINDING_COUNT] = {
        "fork",
        "witness-equivocation",
        "promise-broken",
        "tag-repeated",
        "bad-signature",
        "no-quorum",
        "stale-cosignature",
        "future-cosignature",
        "time-backwards",
        "witness-missing",
        "stalled",
        "rollback",
        "root-mismatch",
        "malformed",
        "tile-mismatch",
        "growth",
        "withheld",
        "unreachable",
        "bad-record",
        "unregistered-key",
        "sealed-overdue",
        "case-gap",
        "case-order",
        "case-after-closed",
        "case-time-backwards",
        "case-filed-twice",
        "case-count",
        "drill",
        "heartbeat",
    };
    (void)state;
    for (int i = 0; i < FINDING_COUNT; i++) {
        assert_string_equal(finding_kind((enum finding_code)i)->text, codes[i]);
    }
}

static void provable_codes_are_critical_and_stay(void **state)
{
    (void)state;
    for (int i = 0; i < FINDING_COUNT; i++) {
        const struct finding_kind *kind = finding_kind((enum finding_code)i);
        bool is_provable = i == FINDING_FORK || i == FINDING_WITNESS_EQUIVOCATION ||
                           i == FINDING_PROMISE_BROKEN || i == FINDING_TAG_REPEATED;
        bool is_of_record = i >= FINDING_BAD_RECORD && i <= FINDING_CASE_COUNT;
        assert_int_equal(kind->is_provable, is_provable);
        assert_true(!is_provable || kind->severity == FINDING_CRITICAL);
        assert_true(!is_provable || !kind->is_transient);
        bool is_info = kind->severity == FINDING_INFO;
        assert_int_equal(is_info, i == FINDING_DRILL || i == FINDING_HEARTBEAT);
        assert_true(is_provable || is_info || kind->is_transient || is_of_record);
        /* What may still be put right on a log that only grows. */
        bool is_curable = i == FINDING_SEALED_OVERDUE || i == FINDING_CASE_GAP;
        assert_true(!is_of_record || kind->is_transient == is_curable);
    }
}

static void other_texts_are_no_code(void **state)
{
    enum finding_code code = FINDING_COUNT;
    (void)state;
    assert_false(finding_code_parse(&code, span_of_str("")));
    assert_false(finding_code_parse(&code, span_of_str("Fork")));
    assert_false(finding_code_parse(&code, span_of_str("fork ")));
    assert_false(finding_code_parse(&code, span_of("fork\0", 5)));
    assert_int_equal(code, FINDING_COUNT);
}

static void severities_have_names(void **state)
{
    (void)state;
    assert_string_equal(finding_severity_text(FINDING_INFO), "info");
    assert_string_equal(finding_severity_text(FINDING_WARNING), "warning");
    assert_string_equal(finding_severity_text(FINDING_CRITICAL), "critical");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_words_of_its_own),
        cmocka_unit_test(codes_are_those_documented),
        cmocka_unit_test(provable_codes_are_critical_and_stay),
        cmocka_unit_test(other_texts_are_no_code),
        cmocka_unit_test(severities_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
