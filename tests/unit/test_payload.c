#include "record/payload.h"

#include "base/ascii.h"
#include "tests/support/record_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct buf file_of(const struct payload *payload)
{
    struct buf json = BUF_INIT(PAYLOAD_BYTES_MAX);
    payload_put(&json, payload);
    return json;
}

/* The code that payload_parse answers with; what it read is cleared. */
static enum err_code parse(struct span json, struct err *err)
{
    struct payload payload;
    payload_init(&payload);
    *err = (struct err){ 0 };
    enum err_code rc = payload_parse(&payload, json, err);
    payload_clear(&payload);
    return rc;
}

static enum err_code parse_changed(const struct buf *json, const char *from, const char *to)
{
    struct buf changed = BUF_INIT(PAYLOAD_BYTES_MAX);
    struct err err;
    size_t at = span_find(buf_span(json), span_of_str(from));
    assert_int_not_equal(at, SIZE_MAX);
    size_t after = at + strlen(from);
    buf_put(&changed, span_slice(buf_span(json), 0, at));
    buf_put_str(&changed, to);
    buf_put(&changed, span_slice(buf_span(json), after, json->len - after));
    enum err_code rc = parse(buf_span(&changed), &err);
    buf_clear(&changed);
    return rc;
}

static enum err_code compose(const struct record_recipe *recipe, struct err *err)
{
    struct payload payload;
    *err = (struct err){ 0 };
    enum err_code rc = record_world_compose(&payload, recipe, err);
    payload_clear(&payload);
    return rc;
}

/* -- what composing makes -- */

static void a_composed_record_is_signed_and_opened_by_its_payload(void **state)
{
    (void)state;
    struct payload payload;
    struct operation operation;
    struct err err;
    record_world_make(&payload, RECORD_WORLD_FILED, 0);
    assert_int_equal(operation_decode(&operation, buf_span(&payload.record), &err), E_OK);
    assert_int_equal(operation_verify(&operation, buf_span(&payload.record), RECORD_WORLD_ORIGIN,
                                      &payload.signing_key, &err),
                     E_OK);
    struct case_key key = record_world_case_key();
    struct hash tag = entry_tag_make(&key, &operation.submitter, 0);
    struct hash commitment = case_commitment_make(&key);
    struct hash digests[FIELDS];
    payload_digests(digests, &payload);
    struct hash root = commitment_root(digests);
    assert_true(hash_is_equal(&tag, &operation.entry_tag));
    assert_true(hash_is_equal(&commitment, &operation.case_commitment));
    assert_true(hash_is_equal(&root, &operation.fields_root));
    assert_string_equal(operation.kind->name, "CASE_FILED");
    assert_false(payload.has_certificate);
    operation_clear(&operation);
    payload_clear(&payload);
}

static void a_sealed_record_shows_nothing_of_the_draft(void **state)
{
    (void)state;
    struct payload payload;
    struct operation operation;
    struct err err;
    record_world_make(&payload, RECORD_WORLD_FREEZE("true"), 1);
    assert_int_equal(operation_decode(&operation, buf_span(&payload.record), &err), E_OK);
    assert_true(operation.is_sealed);
    assert_int_equal(operation.minute, 0);
    assert_int_equal(operation.reference_count, 0);
    struct submitter_id none = { { 0 } };
    assert_true(submitter_id_is_equal(&operation.submitter, &none));
    struct signer submitter = record_world_submitter();
    struct submitter_id id = submitter_id_make(&submitter.vkey.key);
    assert_true(span_find(buf_span(&payload.record), SPAN_OF_ARRAY(id.bytes)) == SIZE_MAX);
    assert_true(memcmp(payload.signing_key.bytes, submitter.vkey.key.bytes, ED25519_PUBLIC_BYTES) !=
                0);
    assert_true(payload.has_certificate);
    assert_int_equal(certificate_verify(&payload.certificate, RECORD_WORLD_ORIGIN,
                                        &payload.signing_key, &operation.entry_tag,
                                        &submitter.vkey.key, &err),
                     E_OK);
    signer_clear(&submitter);
    operation_clear(&operation);
    payload_clear(&payload);
}

static void an_unseal_opens_the_header_of_the_sealed_record(void **state)
{
    (void)state;
    struct payload sealed, payload;
    struct operation operation, inside;
    struct err err;
    record_world_make(&sealed, RECORD_WORLD_FREEZE("true"), 1);
    struct record_recipe recipe = { .draft = RECORD_WORLD_UNSEAL, .number = 2, .sealed = &sealed };
    assert_int_equal(record_world_compose(&payload, &recipe, &err), E_OK);
    assert_int_equal(operation_decode(&operation, buf_span(&payload.record), &err), E_OK);
    assert_int_equal(operation_decode(&inside, buf_span(&sealed.record), &err), E_OK);
    struct hash leaf = merkle_leaf_hash(buf_span(&sealed.record));
    struct hash origin = sha256(span_of_str(RECORD_WORLD_ORIGIN));
    assert_true(hash_is_equal(&operation.references[0].leaf, &leaf));
    assert_true(hash_is_equal(&operation.references[0].origin, &origin));
    struct hash context = commitment_context(RECORD_WORLD_ORIGIN, OPERATION_VERSION,
                                             &inside.one_time_key, &inside.entry_tag);
    for (size_t i = 0; i < OPERATION_OPENINGS; i++) {
        const struct opening *opening = &operation.openings[i];
        struct field_value field = { .is_present = true,
                                     .value = span_of(opening->value, opening->value_len) };
        memcpy(field.salt, opening->salt, sizeof field.salt);
        struct hash digest = commitment_digest(&context, opening->number, &field);
        assert_int_equal(commitment_verify(&inside.fields_root, &digest, opening->number,
                                           opening->hashes, &err),
                         E_OK);
    }
    operation_clear(&inside);
    operation_clear(&operation);
    payload_clear(&payload);
    payload_clear(&sealed);
}

static void one_person_has_one_tag_in_every_role_of_a_case(void **state)
{
    (void)state;
    struct payload payload;
    record_world_make(&payload,
                      "{\"case\":\"" RECORD_WORLD_CASE "\",\"court\":\"测0101\",\"fields\":{"
                      "\"approver\":\"officer 7\",\"asset\":\"officer 7\",\"role\":3},"
                      "\"kind\":\"APPROVAL\",\"minute\":\"2026-03-04T09:31Z\","
                      "\"officer\":\"officer 7\"}",
                      3);
    struct span officer = buf_span(&payload.values[FIELD_OFFICER]);
    assert_int_equal(officer.len, PERSON_TAG_BYTES);
    assert_true(span_is_equal(officer, buf_span(&payload.values[FIELD_APPROVER])));
    assert_false(span_is_equal(officer, buf_span(&payload.values[FIELD_ASSET])));
    payload_clear(&payload);
}

static void a_decoy_looks_like_any_sealed_record(void **state)
{
    (void)state;
    static const char decoy[] = "{\"case\":\"" RECORD_WORLD_CASE "\",\"court\":\"测0101\","
                                "\"kind\":\"DECOY\",\"minute\":\"2026-03-04T09:31Z\","
                                "\"sealed\":true}";
    struct payload payload, freeze;
    struct err err;
    record_world_make(&payload, decoy, 1);
    record_world_make(&freeze, RECORD_WORLD_FREEZE("true"), 1);
    assert_int_equal(payload.record.len, freeze.record.len);
    assert_false(payload.is_present[FIELD_CASE_NUMBER]);
    struct buf json = file_of(&payload);
    assert_int_equal(parse(buf_span(&json), &err), E_OK);
    buf_clear(&json);
    payload_clear(&freeze);
    payload_clear(&payload);
}

static void what_does_not_fit_is_not_composed(void **state)
{
    (void)state;
    struct err err;
    struct payload sealed, clear;
    record_world_make(&sealed, RECORD_WORLD_FREEZE("true"), 1);
    record_world_make(&clear, RECORD_WORLD_FREEZE("false"), 1);
    const struct record_recipe recipes[] = {
        { .draft = RECORD_WORLD_FREEZE("true"), .number = 1, .is_vouched = true },
        { .draft = RECORD_WORLD_UNSEAL, .number = 2 },
        { .draft = RECORD_WORLD_UNSEAL, .number = 2, .sealed = &clear },
        { .draft = RECORD_WORLD_FILED, .number = 0, .sealed = &sealed },
        { .draft = "{\"case\":\"（2026）测0101执124号\",\"court\":\"测0101\",\"kind\":\"NOTICE\","
                   "\"minute\":\"2026-03-04T09:31Z\",\"fields\":{\"debtor\":"
                   "\"" RECORD_WORLD_DEBTOR "\"}}",
          .number = 2 }, /* another case than the key's */
    };
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        assert_int_equal(compose(&recipes[i], &err), E_MALFORMED);
        assert_null(strstr(err.msg, RECORD_WORLD_DEBTOR));
        assert_null(strstr(err.msg, "124"));
    }
    struct record_recipe unseal = { .draft = RECORD_WORLD_UNSEAL, .number = 2, .sealed = &sealed };
    assert_int_equal(compose(&unseal, &err), E_OK);
    buf_reset(
        &sealed.values[FIELD_CASE_NUMBER]); /* a sealed record of another case is not opened */
    buf_put_str(&sealed.values[FIELD_CASE_NUMBER], "（2026）测0101执124号");
    assert_int_equal(compose(&unseal, &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "unseal"));
    payload_clear(&clear);
    payload_clear(&sealed);
}

static void a_vouched_record_has_no_signature_and_says_so(void **state)
{
    (void)state;
    struct payload payload;
    struct operation operation;
    struct err err;
    struct record_recipe recipe = { .draft = RECORD_WORLD_FILED, .is_vouched = true };
    assert_int_equal(record_world_compose(&payload, &recipe, &err), E_OK);
    assert_int_equal(operation_decode(&operation, buf_span(&payload.record), &err), E_OK);
    assert_true(operation.is_vouched);
    struct buf json = file_of(&payload);
    assert_int_equal(parse(buf_span(&json), &err), E_OK);
    buf_clear(&json);
    payload.signing_key.bytes[0] ^= 1; /* nothing signed it, but it is said whose it is */
    json = file_of(&payload);
    assert_int_equal(parse(buf_span(&json), &err), E_BAD_SIGNATURE);
    assert_non_null(strstr(err.msg, "submitter"));
    buf_clear(&json);
    operation_clear(&operation);
    payload_clear(&payload);
}

/* -- the file -- */

static void a_payload_is_read_back_to_the_same_bytes(void **state)
{
    (void)state;
    static const char *const drafts[] = { RECORD_WORLD_FILED, RECORD_WORLD_FREEZE("true"),
                                          RECORD_WORLD_FREEZE("false") };
    for (size_t i = 0; i < sizeof drafts / sizeof drafts[0]; i++) {
        struct payload payload, again;
        struct err err;
        record_world_make(&payload, drafts[i], i);
        struct buf json = file_of(&payload);
        payload_init(&again);
        assert_int_equal(payload_parse(&again, buf_span(&json), &err), E_OK);
        assert_int_equal(again.has_certificate, payload.has_certificate);
        assert_memory_equal(&again.certificate, &payload.certificate, sizeof payload.certificate);
        struct buf second = file_of(&again);
        assert_true(span_is_equal(buf_span(&json), buf_span(&second)));
        buf_clear(&second);
        buf_clear(&json);
        payload_clear(&again);
        payload_clear(&payload);
    }
}

static void a_second_spelling_is_refused(void **state)
{
    (void)state;
    struct payload payload;
    record_world_make(&payload, RECORD_WORLD_FREEZE("true"), 1);
    struct buf json = file_of(&payload);
    static const char *const changes[][2] = {
        { "\"format\":", "\"format\": " },
        { "{\"document\"", "{\"a\":1,\"document\"" },
        { "{\"document\"", " {\"document\"" },
        { "}\n", "}" },
        { "}\n", "}\n\n" },
        { "\"1234500\"", "\"01234500\"" },
        { "\"1234500\"", "\"+1234500\"" },
        { "\"1234500\"", "1234500" },
        { "测0101执123号", "测０101执123号" },
        { "（2026）", "(2026)" },
        { "测0101\"", "\\u6d4b0101\"" },
        { "91990000MA00000HKL", "91990000ma00000hkl" },
        { "\"value\":\"FREEZE\"", "\"value\":\"freeze\"" },
        { "\"name\":\"number\"", "\"name\":\"Number\"" },
        { "\"name\":\"number\",", "" },
        { "\"origin\":\"log", "\"origin\":\"\\u006cog" },
        { "courtroll payload v1", "courtroll payload v2" },
        { "\"value\":null", "\"value\":\"\"" },
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_int_equal(parse_changed(&json, changes[i][0], changes[i][1]), E_MALFORMED);
    }
    buf_clear(&json);
    payload_clear(&payload);
}

static void a_value_that_is_not_committed_to_is_refused(void **state)
{
    (void)state;
    struct payload payload;
    record_world_make(&payload, RECORD_WORLD_FREEZE("false"), 1);
    struct buf json = file_of(&payload);
    static const char *const changes[][2] = {
        { "\"1234500\"", "\"1234501\"" },
        { RECORD_WORLD_DEBTOR, "990000199001010017" },
        { "2027-03-03", "2027-03-04" },
        { "\"sha256\":null", "\"sha256\":\"" RECORD_WORLD_DOCUMENT "\"" },
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_int_equal(parse_changed(&json, changes[i][0], changes[i][1]), E_BAD_PROOF);
    }
    assert_int_equal(parse_changed(&json, RECORD_WORLD_ORIGIN, "log.court.example/2027"),
                     E_BAD_SIGNATURE);
    buf_clear(&json);
    payload_clear(&payload);
}

static void no_changed_byte_is_accepted(void **state)
{
    (void)state;
    struct payload payload;
    struct err err;
    record_world_make(&payload, RECORD_WORLD_FREEZE("true"), 1);
    struct buf json = file_of(&payload);
    for (size_t i = 0; i < json.len; i++) {
        json.data[i] ^= (uint8_t)(1U << i % 8);
        assert_int_not_equal(parse(buf_span(&json), &err), E_OK);
        json.data[i] ^= (uint8_t)(1U << i % 8);
    }
    for (size_t len = 0; len < json.len; len += 7) {
        assert_int_equal(parse(span_slice(buf_span(&json), 0, len), &err), E_MALFORMED);
    }
    assert_int_equal(parse(buf_span(&json), &err), E_OK);
    buf_clear(&json);
    payload_clear(&payload);
}

/* Errors go to terminals and logs: they name the field, never the value. */
static void errors_do_not_show_values(void **state)
{
    (void)state;
    struct payload payload;
    struct err err;
    record_world_make(&payload, RECORD_WORLD_FREEZE("false"), 1);
    struct buf json = file_of(&payload);
    for (size_t i = 0; i < json.len; i += 3) {
        json.data[i] ^= 0x20;
        (void)parse(buf_span(&json), &err);
        assert_null(strstr(err.msg, "990101198503151"));
        assert_null(strstr(err.msg, "6200990100"));
        assert_null(strstr(err.msg, "12345"));
        json.data[i] ^= 0x20;
    }
    buf_clear(&json);
    payload_clear(&payload);
}

static void cleared_payloads_hold_nothing(void **state)
{
    (void)state;
    struct payload payload, empty;
    record_world_make(&payload, RECORD_WORLD_FREEZE("true"), 1);
    payload_clear(&payload);
    payload_init(&empty);
    assert_memory_equal(&payload, &empty, sizeof empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_composed_record_is_signed_and_opened_by_its_payload),
        cmocka_unit_test(a_sealed_record_shows_nothing_of_the_draft),
        cmocka_unit_test(an_unseal_opens_the_header_of_the_sealed_record),
        cmocka_unit_test(one_person_has_one_tag_in_every_role_of_a_case),
        cmocka_unit_test(a_decoy_looks_like_any_sealed_record),
        cmocka_unit_test(what_does_not_fit_is_not_composed),
        cmocka_unit_test(a_vouched_record_has_no_signature_and_says_so),
        cmocka_unit_test(a_payload_is_read_back_to_the_same_bytes),
        cmocka_unit_test(a_second_spelling_is_refused),
        cmocka_unit_test(a_value_that_is_not_committed_to_is_refused),
        cmocka_unit_test(no_changed_byte_is_accepted),
        cmocka_unit_test(errors_do_not_show_values),
        cmocka_unit_test(cleared_payloads_hold_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
