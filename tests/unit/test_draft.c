#include "record/draft.h"

#include "base/ascii.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define HEAD                                                                                       \
    "\"case\":\"（2026）测0101执123号\",\"court\":\"测0101\",\"minute\":\"2026-03-04T09:31Z\""
#define HEX_16 "000102030405060708090a0b0c0d0e0f"
#define HEX_32 HEX_16 HEX_16
#define HEX_64 HEX_32 HEX_32
#define FREEZE                                                                                     \
    "{" HEAD ",\"kind\":\"FREEZE\",\"officer\":\"officer 7\",\"fields\":" FREEZE_FIELDS "}"
#define FREEZE_FIELDS "{\"debtor\":\"990000199001010017\",\"asset\":\"account 62009901\"}"

static void assert_parses(struct draft *draft, const char *json)
{
    struct err err = { .msg = "" };
    if (draft_parse(draft, span_of_str(json), &err) != E_OK) {
        fail_msg("%s: %s", json, err.msg);
    }
}

static void assert_refused(const char *json, const char *words)
{
    struct draft draft;
    struct err err = { .msg = "" };
    memset(&draft, 0x5a, sizeof draft);
    if (draft_parse(&draft, span_of_str(json), &err) != E_MALFORMED) {
        fail_msg("%s is taken", json);
    }
    if (strcmp(err.msg, words) != 0) {
        fail_msg("%s: not \"%s\" but \"%s\"", json, words, err.msg);
    }
    for (size_t i = 0; i < sizeof draft; i++) {
        assert_int_equal(((const uint8_t *)&draft)[i], 0x5a); /* left as it was */
    }
}

static void assert_puts(const char *json, const char *canonical)
{
    struct draft draft;
    struct buf line = BUF_INIT(DRAFT_BYTES_MAX), again = BUF_INIT(DRAFT_BYTES_MAX);
    assert_parses(&draft, json);
    draft_put(&line, &draft);
    if (!span_is_str(buf_span(&line), canonical)) {
        fail_msg("%s becomes %.*s", json, SPAN_PRINTF(buf_span(&line)));
    }
    draft_clear(&draft);
    assert_parses(&draft, buf_c_str(&line));
    draft_put(&again, &draft);
    assert_true(span_is_equal(buf_span(&line), buf_span(&again)));
    draft_clear(&draft);
    buf_clear(&line);
    buf_clear(&again);
}

static void assert_field(const struct draft *draft, unsigned number, const char *text)
{
    struct span value = buf_span(&draft->fields[number]);
    assert_true(span_is_str(value, text));
}

static void a_draft_with_everything_is_read(void **state)
{
    (void)state;
    struct draft draft;
    assert_parses(&draft,
                  "{\"id\":\"line 7\",\"case\":\"(2026)测０１０１执123号\",\"kind\":\"FREEZE\","
                  "\"minute\":\"2026-03-04T09:31Z\",\"court\":\"测0101\",\"sealed\":true,"
                  "\"document\":\"" HEX_32 "\",\"references\":[\"" HEX_64 "\"],"
                  "\"officer\":\" e\xcc\x81 \",\"fields\":{\"amount\":\"1234500\","
                  "\"debtor\":\"91990000ma00000hkl\",\"asset\":\"account 62009901\","
                  "\"method\":3,\"end\":\"2027-03-03\",\"reason\":\"\\u6d4b\\u8bd5\"}}");
    assert_string_equal(draft.id, "line 7");
    assert_string_equal(draft.case_number, "（2026）测0101执123号");
    assert_string_equal(draft.court, "测0101");
    assert_int_equal(draft.kind->number, KIND_FREEZE);
    assert_int_equal(draft.minute, UINT64_C(20516) * 1440 + 571);
    assert_true(draft.is_sealed);
    assert_true(draft.has_document);
    assert_int_equal(draft.document.bytes[17], 1);
    assert_int_equal(draft.reference_count, 1);
    assert_int_equal(draft.references[0].leaf.bytes[31], 15);
    assert_field(&draft, FIELD_OFFICER, "\xc3\xa9");
    assert_field(&draft, FIELD_DEBTOR, "91990000MA00000HKL");
    assert_field(&draft, FIELD_ASSET, "account 62009901");
    assert_field(&draft, FIELD_REASON, "测试");
    assert_int_equal(draft.fields[FIELD_AMOUNT].len, 8);
    assert_int_equal(draft.fields[FIELD_METHOD].data[7], 3);
    for (unsigned i = 0; i < FIELDS; i++) {
        struct err err;
        bool is_tag = field_definition(i)->type == FIELD_TYPE_TAG;
        struct span value = buf_span(&draft.fields[i]);
        assert_true(value.len == 0 || is_tag || field_check(i, value, &err) == E_OK);
    }
    draft_clear(&draft);
    draft_clear(&draft); /* again, which is fine */
}

static void drafts_have_one_canonical_line(void **state)
{
    (void)state;
    assert_puts(" {\"officer\" : \"officer 7\", \"kind\":\"FREEZE\", \"sealed\":false, "
                "\"fields\":" FREEZE_FIELDS ",\n" HEAD "}\r\n",
                "{\"case\":\"（2026）测0101执123号\",\"court\":\"测0101\",\"fields\":{\"asset\":"
                "\"account 62009901\",\"debtor\":\"990000199001010017\"},\"kind\":\"FREEZE\","
                "\"minute\":\"2026-03-04T09:31Z\",\"officer\":\"officer 7\"}\n");
    assert_puts("{" HEAD ",\"kind\":\"DECOY\",\"sealed\":true,\"id\":\"\\u0022\\/\"}",
                "{\"case\":\"（2026）测0101执123号\",\"court\":\"测0101\",\"fields\":{},\"id\":"
                "\"\\\"/\",\"kind\":\"DECOY\",\"minute\":\"2026-03-04T09:31Z\",\"sealed\":true}\n");
    assert_puts("{" HEAD ",\"kind\":\"UNSEAL\",\"unseal\":\"a/b c\",\"references\":[],"
                "\"document\":\"" HEX_32 "\"}",
                "{\"case\":\"（2026）测0101执123号\",\"court\":\"测0101\",\"document\":\"" HEX_32
                "\",\"fields\":{},\"kind\":\"UNSEAL\",\"minute\":\"2026-03-04T09:31Z\","
                "\"unseal\":\"a/b c\"}\n");
    assert_puts("{" HEAD ",\"kind\":\"CLOSED\",\"fields\":{\"method\":1},\"counts\":{"
                "\"FF0102030405060708090A0B0C0D0E0F\":7,\"" HEX_16 "\":2}}",
                "{\"case\":\"（2026）测0101执123号\",\"counts\":{\"" HEX_16 "\":2,"
                "\"ff0102030405060708090a0b0c0d0e0f\":7},\"court\":\"测0101\",\"fields\":{"
                "\"method\":\"1\"},\"kind\":\"CLOSED\",\"minute\":\"2026-03-04T09:31Z\"}\n");
}

static void counts_are_sorted_and_unique(void **state)
{
    (void)state;
    static const char other[] = "ff0102030405060708090a0b0c0d0e0f";
    char json[1024];
    struct draft draft;
    (void)snprintf(json, sizeof json,
                   "{" HEAD ",\"kind\":\"CLOSED\",\"fields\":{\"method\":1},"
                   "\"counts\":{\"%s\":4294967295,\"" HEX_16 "\":1}}",
                   other);
    assert_parses(&draft, json);
    assert_int_equal(draft.count_count, 2);
    assert_int_equal(draft.counts[0].submitter.bytes[0], 0);
    assert_int_equal(draft.counts[0].count, 1);
    assert_int_equal(draft.counts[1].submitter.bytes[0], 0xff);
    assert_int_equal(draft.counts[1].count, UINT32_MAX);
    draft_clear(&draft);
#define CLOSED(counts)                                                                             \
    "{" HEAD ",\"kind\":\"CLOSED\",\"fields\":{\"method\":1},\"counts\":" counts "}"
    assert_refused(CLOSED("{\"ff0102030405060708090a0b0c0d0e0f\":1,"
                          "\"FF0102030405060708090a0b0c0d0e0f\":2}"),
                   "counts: a submitter twice");
    assert_refused(CLOSED("{\"ff\":1}"), "counts: submitter 0: expected 32 hexadecimal digits");
    assert_refused(CLOSED("{\"" HEX_16 "\":0}"),
                   "counts: submitter 0: expected an integer from 1 to 4294967295");
    assert_refused(CLOSED("{\"" HEX_16 "\":4294967296}"),
                   "counts: submitter 0: expected an integer from 1 to 4294967295");
    assert_refused(CLOSED("{\"" HEX_16 "\":\"1\"}"),
                   "counts: submitter 0: expected an integer from 1 to 4294967295");
    assert_refused(CLOSED("[]"), "counts: expected an object of at most 8 submitters");
}

static void what_is_no_json_is_refused_at_its_byte(void **state)
{
    (void)state;
    assert_refused("", "byte 0: not JSON");
    assert_refused("{", "byte 1: not JSON");
    assert_refused("[]", "expected a JSON object");
    assert_refused("null", "byte 4: not JSON");
    assert_refused("{} {}", "byte 4: not JSON");
    assert_refused("{\"case\":\"secret\",\"case\":\"secret\"}", "byte 23: a name twice");
    assert_refused("{\"case\":\"\\u0000\"}", "byte 16: not JSON");
    assert_refused("{\"case\":\"\xff\"}", "byte 9: not JSON");
    assert_refused("{\"case\":\"\\ud800\"}", "byte 16: not JSON");
    assert_refused("{\"case\":1e999}", "byte 13: not JSON");
}

static void required_members_are_asked_for(void **state)
{
    (void)state;
    assert_refused("{}", "case is missing");
    assert_refused("{\"case\":1}", "court is missing");
    assert_refused("{" HEAD "}", "kind is missing");
    assert_refused("{\"case\":\"（2026）测0101执123号\",\"court\":\"测0101\",\"kind\":\"DOC\"}",
                   "minute is missing");
}

static void unknown_names_are_refused_and_not_repeated(void **state)
{
    (void)state;
    assert_refused("{" HEAD ",\"kind\":\"DOC\",\"amuont\":1}", "unknown name amuont");
    assert_refused("{" HEAD ",\"kind\":\"DOC\",\"990000199001010017\":1}", "unknown name");
    assert_refused("{" HEAD ",\"kind\":\"DOC\",\"fields\":{\"amuont\":1}}",
                   "fields: unknown name amuont");
    assert_refused("{" HEAD ",\"kind\":\"DOC\",\"fields\":{\"（2026）测0101执123号\":1}}",
                   "fields: unknown name");
}

static void members_of_the_wrong_form_are_refused_by_name(void **state)
{
    (void)state;
#define DOC(rest) "{" HEAD ",\"kind\":\"DOC\"," rest "}"
    assert_refused(DOC("\"sealed\":1"), "sealed: expected true or false");
    assert_refused(DOC("\"sealed\":\"true\""), "sealed: expected true or false");
    assert_refused(DOC("\"document\":\"00\""), "document: expected 64 hexadecimal digits");
    assert_refused(DOC("\"document\":null"), "document: expected a string");
    assert_refused(DOC("\"references\":\"\""), "references: expected an array of at most 16");
    assert_refused(DOC("\"references\":[\"" HEX_64 "\",\"" HEX_32 "\"]"),
                   "references: reference 1: expected 128 hexadecimal digits");
    assert_refused(DOC("\"references\":[1]"), "references: reference 0: expected a string");
    assert_refused(DOC("\"references\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"),
                   "references: expected an array of at most 16");
    assert_refused(DOC("\"id\":\"\""), "id: character 1: an empty text");
    assert_refused(DOC("\"id\":\"a\\n\""), "id: character 2: a control or invisible character");
    assert_refused(DOC("\"officer\":7"), "officer: expected a string");
    assert_refused(DOC("\"fields\":[]"), "fields: expected an object");
    assert_refused(DOC("\"fields\":{\"amount\":1.5}"), "fields: amount: expected a string");
    assert_refused(DOC("\"fields\":{\"amount\":-1}"),
                   "fields: amount: character 1: expected a digit");
    assert_refused(DOC("\"fields\":{\"start\":20260304}"), "fields: start: expected a string");
    assert_refused(DOC("\"fields\":{\"reason\":\"\"}"),
                   "fields: reason: character 1: an empty text");
    assert_refused("{\"case\":\"（2026）测01执1号\",\"court\":\"测01\",\"kind\":\"DOC\","
                   "\"minute\":7}",
                   "minute: expected a string");
    assert_refused("{\"case\":\"（2026）测01执1号\",\"court\":\"测01\",\"kind\":\"DOC\","
                   "\"minute\":\"2026-03-04T25:00Z\"}",
                   "minute: character 12: no such time");
    assert_refused("{" HEAD ",\"kind\":7}", "kind: expected a string");
    assert_refused("{" HEAD ",\"kind\":\"doc\"}", "kind: no kind of operation of a case");
    assert_refused("{" HEAD ",\"kind\":\"SEALED\"}", "kind: no kind of operation of a case");
    assert_refused("{" HEAD ",\"kind\":\"SUBMITTER\"}", "kind: no kind of operation of a case");
    assert_refused("{\"case\":\"(2026)x\",\"court\":\"测01\",\"kind\":\"DOC\",\"minute\":\"\"}",
                   "case: character 7: expected a court code");
}

/* These come from the other members and the spool's count: giving them would be a second way to say it. */
static void fields_that_are_filled_in_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = { "number",      "case-number", "kind",
                                         "minute",      "court",       "submitter",
                                         "certificate", "references",  "officer" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char json[512], words[128];
        (void)snprintf(json, sizeof json, DOC("\"fields\":{\"%s\":\"1\"}"), names[i]);
        (void)snprintf(words, sizeof words, "fields: %s is not given here", names[i]);
        assert_refused(json, words);
    }
    assert_refused(DOC("\"fields\":{\"reserved\":\"1\"}"),
                   "fields: reserved: is reserved: always absent");
}

static void fields_must_fit_the_kind(void **state)
{
    (void)state;
    struct draft draft;
    assert_parses(&draft, FREEZE);
    draft_clear(&draft);
    assert_refused("{" HEAD ",\"kind\":\"FREEZE\",\"fields\":" FREEZE_FIELDS "}",
                   "officer: FREEZE must have it");
    assert_refused("{" HEAD ",\"kind\":\"FREEZE\",\"officer\":\"7\",\"fields\":{\"debtor\":"
                   "\"990000199001010017\"}}",
                   "asset: FREEZE must have it");
    assert_refused("{" HEAD ",\"kind\":\"UNSEAL\",\"fields\":{\"payee\":\"x\"}}",
                   "payee: UNSEAL has no such field");
    assert_refused("{" HEAD ",\"kind\":\"DECOY\",\"sealed\":true,\"officer\":\"x\"}",
                   "officer: DECOY has no such field");
}

/* Every field of every kind: taken when the kind's row has it, else refused by name. */
static void fields_follow_the_table_of_kinds(void **state)
{
    (void)state;
    static const char *const values[] = {
        [FIELD_TYPE_COUNT] = "1",
        [FIELD_TYPE_MONEY] = "1",
        [FIELD_TYPE_DATE] = "2026-03-04",
        [FIELD_TYPE_CODE] = "1",
        [FIELD_TYPE_TEXT] = "x",
        [FIELD_TYPE_PARTY] = "990000199001010017",
        [FIELD_TYPE_CREDIT_CODE] = "91990000MA00000HKL",
        [FIELD_TYPE_TAG] = "x",
        [FIELD_TYPE_DIGEST] = HEX_32,
    };
    static const uint32_t given =
        ~(KIND_SEALED_FIELDS | UINT32_C(1) << FIELD_NUMBER | UINT32_C(1) << FIELD_CASE_NUMBER |
          UINT32_C(1) << FIELD_COURT | UINT32_C(1) << FIELD_RESERVED);
    const struct kind *kind;
    for (size_t k = 0; (kind = kind_at(k)) != NULL; k++) {
        if (kind->class == KIND_OF_LOG || kind->class == KIND_OF_SEALED) {
            continue;
        }
        for (unsigned extra = 0; extra <= FIELDS; extra++) {
            uint32_t bit = extra < FIELDS ? UINT32_C(1) << extra : 0;
            uint32_t set = (kind->required | bit) & given;
            struct buf json = BUF_INIT(4096);
            buf_putf(&json, "{" HEAD ",\"kind\":\"%s\"%s%s,\"fields\":{", kind->name,
                     kind->class == KIND_INSIDE ? ",\"sealed\":true" : "",
                     set >> FIELD_OFFICER & 1 ? ",\"officer\":\"x\"" : "");
            const char *comma = "";
            for (unsigned i = 0; i < FIELDS; i++) {
                if (i != FIELD_OFFICER && (set >> i & 1) != 0) {
                    buf_putf(&json, "%s\"%s\":\"%s\"", comma, field_definition(i)->name,
                             values[field_definition(i)->type]);
                    comma = ",";
                }
            }
            buf_put_str(&json, "}}");
            struct draft draft;
            struct err err = { .msg = "" };
            enum err_code rc = draft_parse(&draft, buf_span(&json), &err);
            if (rc != ((set & ~kind->allowed) == 0 ? E_OK : E_MALFORMED)) {
                fail_msg("%s: %s", buf_c_str(&json), err.msg);
            }
            if (rc == E_OK) {
                draft_clear(&draft);
            }
            buf_clear(&json);
        }
    }
}

static void sealing_is_for_control_measures(void **state)
{
    (void)state;
    assert_refused(DOC("\"sealed\":true"), "sealed: DOC is never sealed");
    assert_refused("{" HEAD ",\"kind\":\"UNSEAL\",\"sealed\":true}",
                   "sealed: UNSEAL is never sealed");
    assert_refused("{" HEAD ",\"kind\":\"DECOY\"}", "sealed: DECOY is always sealed");
    assert_refused(DOC("\"counts\":{\"" HEX_16 "\":1}"), "counts: DOC has none");
    assert_refused(DOC("\"unseal\":\"x\""), "unseal: DOC opens nothing");
}

static void a_draft_that_is_too_large_is_refused(void **state)
{
    (void)state;
    static char json[DRAFT_BYTES_MAX + 2];
    memset(json, ' ', sizeof json - 1);
    memcpy(json, FREEZE, sizeof FREEZE - 1);
    assert_refused(json, "over 65536 bytes");
    json[DRAFT_BYTES_MAX] = 0;
    struct draft draft;
    assert_parses(&draft, json);
    draft_clear(&draft);
    memset(json, '[', DRAFT_BYTES_MAX); /* deep */
    assert_refused(json, "byte 2049: not JSON");
}

/* The largest draft there is fits its own line. */
static void the_largest_draft_is_written_and_read(void **state)
{
    (void)state;
    char text[FIELD_VALUE_BYTES_MAX + 1], quoted[2 * FIELD_VALUE_BYTES_MAX + 1];
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        memcpy(quoted + 2 * i, "\\\"", 2);
    }
    quoted[sizeof quoted - 1] = 0;
    struct buf json = BUF_INIT(DRAFT_BYTES_MAX), line = BUF_INIT(DRAFT_BYTES_MAX);
    buf_putf(&json,
             "{" HEAD ",\"kind\":\"FREEZE\",\"officer\":\"%s\",\"fields\":{\"debtor\":"
             "\"990000199001010017\",\"asset\":\"%s\",\"approver\":\"%s\",\"basis\":\"%s\","
             "\"account\":\"%s\",\"place\":\"%s\",\"reason\":\"%s\"},\"references\":[\"" HEX_64
             "\"",
             quoted, quoted, quoted, quoted, quoted, quoted, quoted);
    for (size_t i = 1; i < OPERATION_REFERENCES_MAX; i++) {
        buf_put_str(&json, ",\"" HEX_64 "\"");
    }
    buf_put_str(&json, "]}");
    struct draft draft, again;
    assert_parses(&draft, buf_c_str(&json));
    draft_put(&line, &draft);
    assert_parses(&again, buf_c_str(&line));
    for (unsigned i = 0; i < FIELDS; i++) {
        assert_true(span_is_equal(buf_span(&draft.fields[i]), buf_span(&again.fields[i])));
    }
    assert_field(&again, FIELD_PLACE, text);
    draft_clear(&draft);
    draft_clear(&again);
    buf_clear(&json);
    buf_clear(&line);
}

static void draft_clear_wipes(void **state)
{
    (void)state;
    struct draft draft;
    assert_parses(&draft, FREEZE);
    draft_clear(&draft);
    struct span all = span_of(&draft, sizeof draft);
    assert_int_equal(span_find(all, span_of_str("测0101")), SIZE_MAX);
    assert_int_equal(draft.case_number[0], 0);
    for (unsigned i = 0; i < FIELDS; i++) {
        assert_int_equal(draft.fields[i].len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draft_with_everything_is_read),
        cmocka_unit_test(drafts_have_one_canonical_line),
        cmocka_unit_test(counts_are_sorted_and_unique),
        cmocka_unit_test(what_is_no_json_is_refused_at_its_byte),
        cmocka_unit_test(required_members_are_asked_for),
        cmocka_unit_test(unknown_names_are_refused_and_not_repeated),
        cmocka_unit_test(members_of_the_wrong_form_are_refused_by_name),
        cmocka_unit_test(fields_that_are_filled_in_are_refused),
        cmocka_unit_test(fields_must_fit_the_kind),
        cmocka_unit_test(fields_follow_the_table_of_kinds),
        cmocka_unit_test(sealing_is_for_control_measures),
        cmocka_unit_test(a_draft_that_is_too_large_is_refused),
        cmocka_unit_test(the_largest_draft_is_written_and_read),
        cmocka_unit_test(draft_clear_wipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
