#include "record/disclosure.h"

#include "base/ascii.h"
#include "tests/support/record_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BIT(field) (UINT32_C(1) << FIELD_##field)

enum {
    FREEZE_MATERIAL = BIT(NUMBER) | BIT(OFFICER) | BIT(COURT) | BIT(DEBTOR) | BIT(ASSET) |
                      BIT(AMOUNT) | BIT(INSTITUTION) | BIT(START) | BIT(END)
};

static struct buf file_of(const struct disclosure *disclosure)
{
    struct buf json = BUF_INIT(DISCLOSURE_BYTES_MAX);
    disclosure_put(&json, disclosure);
    return json;
}

static void make(struct disclosure *out, const char *draft, uint32_t opened, bool opens_document)
{
    struct payload payload;
    record_world_make(&payload, draft, 1);
    disclosure_init(out);
    disclosure_make(out, &payload, opened, opens_document, span_of(NULL, 0));
    payload_clear(&payload);
}

static enum err_code verify(const struct disclosure *disclosure, struct err *err)
{
    struct disclosure_verdict verdict = { .opened = 0 };
    *err = (struct err){ 0 };
    enum err_code rc = disclosure_verify(&verdict, disclosure, err);
    disclosure_verdict_clear(&verdict);
    return rc;
}

/* What a file says: parsed, then verified. */
static enum err_code judge(struct span json, struct err *err)
{
    struct disclosure disclosure;
    disclosure_init(&disclosure);
    *err = (struct err){ 0 };
    enum err_code rc = disclosure_parse(&disclosure, json, err);
    if (rc == E_OK) {
        rc = verify(&disclosure, err);
    }
    disclosure_clear(&disclosure);
    return rc;
}

static enum err_code judge_changed(const struct disclosure *disclosure, const char *from,
                                   const char *to)
{
    struct buf json = file_of(disclosure), changed = BUF_INIT(DISCLOSURE_BYTES_MAX);
    struct err err;
    size_t at = span_find(buf_span(&json), span_of_str(from));
    assert_int_not_equal(at, SIZE_MAX);
    size_t after = at + strlen(from);
    buf_put(&changed, span_slice(buf_span(&json), 0, at));
    buf_put_str(&changed, to);
    buf_put(&changed, span_slice(buf_span(&json), after, json.len - after));
    enum err_code rc = judge(buf_span(&changed), &err);
    buf_clear(&changed);
    buf_clear(&json);
    return rc;
}

/* -- what it opens -- */

static void material_fields_are_always_opened(void **state)
{
    (void)state;
    struct disclosure disclosure;
    struct disclosure_verdict verdict;
    struct err err;
    make(&disclosure, RECORD_WORLD_FREEZE("false"), 0, false);
    assert_int_equal(disclosure.opened, FREEZE_MATERIAL);
    assert_int_equal(disclosure_verify(&verdict, &disclosure, &err), E_OK);
    assert_string_equal(verdict.kind->name, "FREEZE");
    assert_int_equal(verdict.opened, FREEZE_MATERIAL);
    assert_int_equal(verdict.hidden, ~(uint32_t)FREEZE_MATERIAL);
    assert_int_equal(verdict.absent, 0);
    assert_false(verdict.is_vouched);
    disclosure_verdict_clear(&verdict);
    disclosure_clear(&disclosure);
}

static void of_a_sealed_record_the_header_is_opened_too(void **state)
{
    (void)state;
    struct disclosure disclosure;
    struct disclosure_verdict verdict;
    struct err err;
    make(&disclosure, RECORD_WORLD_FREEZE("true"), 0, false);
    assert_int_equal(disclosure.opened, FREEZE_MATERIAL | KIND_SEALED_FIELDS);
    assert_int_equal(disclosure_verify(&verdict, &disclosure, &err), E_OK);
    assert_true(verdict.operation.is_sealed);
    assert_string_equal(verdict.kind->name, "FREEZE");
    disclosure_verdict_clear(&verdict);
    disclosure_clear(&disclosure);
}

static void absence_is_opened_as_absence(void **state)
{
    (void)state;
    struct disclosure disclosure;
    struct disclosure_verdict verdict;
    struct err err;
    make(&disclosure, RECORD_WORLD_FREEZE("false"), BIT(PAYEE) | BIT(RESERVED), true);
    assert_int_equal(disclosure_verify(&verdict, &disclosure, &err), E_OK);
    assert_int_equal(verdict.absent, BIT(PAYEE) | BIT(RESERVED));
    assert_true(disclosure.has_document);
    assert_false(disclosure.is_document_present);
    disclosure_verdict_clear(&verdict);
    disclosure_clear(&disclosure);
}

static void hidden_values_and_salts_are_not_in_it(void **state)
{
    (void)state;
    struct payload payload;
    struct disclosure disclosure;
    record_world_make(&payload, RECORD_WORLD_FREEZE("false"), 1);
    disclosure_init(&disclosure);
    disclosure_make(&disclosure, &payload, 0, false, span_of(NULL, 0));
    struct buf json = file_of(&disclosure);
    for (size_t i = 0; i < FIELDS; i++) {
        struct buf salt = BUF_INIT(2 * FIELD_SALT_BYTES);
        hex_put(&salt, SPAN_OF_ARRAY(payload.salts[i]));
        bool is_in = span_find(buf_span(&json), buf_span(&salt)) != SIZE_MAX;
        assert_int_equal(is_in, (FREEZE_MATERIAL >> i & 1) != 0);
        buf_clear(&salt);
    }
    assert_int_equal(span_find(buf_span(&json), span_of_str("620099010000")), SIZE_MAX);
    buf_clear(&json);
    disclosure_clear(&disclosure);
    payload_clear(&payload);
}

static void it_is_read_back_to_the_same_bytes(void **state)
{
    (void)state;
    static const uint32_t opened[] = { 0, UINT32_MAX, BIT(ACCOUNT) };
    for (size_t i = 0; i < 6; i++) {
        struct disclosure disclosure, again;
        struct err err;
        make(&disclosure, i < 3 ? RECORD_WORLD_FREEZE("true") : RECORD_WORLD_FREEZE("false"),
             opened[i % 3], i % 2 == 0);
        buf_put_str(&disclosure.proof, "c2sp.org/tlog-proof@v1\nindex 0\n");
        buf_put_str(&disclosure.registration, "bytes");
        buf_put_str(&disclosure.registration_proof, "a proof of \"them\"\n");
        struct buf json = file_of(&disclosure);
        disclosure_init(&again);
        assert_int_equal(disclosure_parse(&again, buf_span(&json), &err), E_OK);
        struct buf second = file_of(&again);
        assert_true(span_is_equal(buf_span(&json), buf_span(&second)));
        assert_memory_equal(again.digests, disclosure.digests, sizeof again.digests);
        buf_clear(&second);
        buf_clear(&json);
        disclosure_clear(&again);
        disclosure_clear(&disclosure);
    }
}

/* -- what is refused -- */

static void every_material_field_that_is_hidden_is_named(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FIELDS; i++) {
        struct disclosure disclosure;
        struct err err;
        make(&disclosure, RECORD_WORLD_FREEZE("true"), UINT32_MAX, false);
        disclosure.opened &= ~(UINT32_C(1) << i);
        bool is_material = ((FREEZE_MATERIAL | KIND_SEALED_FIELDS) >> i & 1) != 0;
        assert_int_equal(verify(&disclosure, &err), is_material ? E_MALFORMED : E_OK);
        if (is_material) {
            assert_non_null(strstr(err.msg, field_definition(i)->name));
        }
        disclosure_clear(&disclosure);
    }
}

static void a_second_spelling_is_refused(void **state)
{
    (void)state;
    struct disclosure disclosure;
    make(&disclosure, RECORD_WORLD_FREEZE("false"), BIT(CASE_NUMBER), false);
    static const char *const changes[][2] = {
        { "\"format\":", "\"format\" :" },
        { "\"proof\":null", "\"proof\":\"\"" },
        { "\"proof\":null", "\"proof\":null,\"z\":0" },
        { "\"registration\":null", "\"registration\":\"\"" },
        { "\"registration\":null", "\"registration\":\"AA==\"" },
        { "\"1234500\"", "\"1234500.0\"" },
        { "（2026）", "〔2026〕" },
        { "\"2026-03-04\"", "\"2026-3-4\"" },
        { "\"name\":\"kind\"", "\"name\":\"minute\"" },
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_int_equal(judge_changed(&disclosure, changes[i][0], changes[i][1]), E_MALFORMED);
    }
    disclosure_clear(&disclosure);
}

static void other_values_are_refused(void **state)
{
    (void)state;
    struct disclosure disclosure;
    make(&disclosure, RECORD_WORLD_FREEZE("false"), BIT(CASE_NUMBER), true);
    static const char *const changes[][2] = {
        { "\"1234500\"", "\"1234501\"" },
        { "执123号", "执124号" },
        { RECORD_WORLD_DEBTOR, RECORD_WORLD_APPLICANT },
        { "\"sha256\":null", "\"sha256\":\"" RECORD_WORLD_DOCUMENT "\"" },
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_int_equal(judge_changed(&disclosure, changes[i][0], changes[i][1]), E_BAD_PROOF);
    }
    assert_int_equal(judge_changed(&disclosure, RECORD_WORLD_ORIGIN, "log.court.example/2027"),
                     E_BAD_SIGNATURE);
    disclosure_clear(&disclosure);
}

static void no_changed_byte_is_accepted(void **state)
{
    (void)state;
    struct disclosure disclosure;
    struct err err;
    make(&disclosure, RECORD_WORLD_FREEZE("true"), 0, true);
    struct buf json = file_of(&disclosure);
    for (size_t i = 0; i < json.len; i++) {
        json.data[i] ^= (uint8_t)(1U << i % 8);
        assert_int_not_equal(judge(buf_span(&json), &err), E_OK);
        json.data[i] ^= (uint8_t)(1U << i % 8);
    }
    for (size_t len = 0; len < json.len; len += 13) {
        assert_int_equal(judge(span_slice(buf_span(&json), 0, len), &err), E_MALFORMED);
    }
    assert_int_equal(judge(buf_span(&json), &err), E_OK);
    buf_clear(&json);
    disclosure_clear(&disclosure);
}

/* -- commitments that an evil submitter makes -- */

/* Signs the record again with another root, as only the submitter can. */
static void sign_root(struct disclosure *disclosure, const struct hash *root)
{
    struct operation operation;
    struct err err;
    struct signer submitter = record_world_submitter();
    assert_int_equal(operation_decode(&operation, buf_span(&disclosure->record), &err), E_OK);
    operation.fields_root = *root;
    buf_reset(&disclosure->record);
    uint8_t random[PAYLOAD_RANDOM_BYTES]; /* which it has kept */
    record_world_random(random, "random of record 1");
    struct signing_key *one_time =
        signing_key_from_seed(random + (size_t)(FIELDS + 1) * FIELD_SALT_BYTES);
    assert_int_equal(operation_put_signed(&disclosure->record, &operation, RECORD_WORLD_ORIGIN,
                                          operation.is_sealed ? one_time : submitter.key, &err),
                     E_OK);
    signing_key_free(one_time);
    operation_clear(&operation);
    signer_clear(&submitter);
}

static struct hash context_of(const struct disclosure *disclosure, uint16_t schema)
{
    struct hash tag;
    assert_true(operation_peek_tag(&tag, buf_span(&disclosure->record)));
    return commitment_context(RECORD_WORLD_ORIGIN, schema, &disclosure->signing_key, &tag);
}

static struct hash digest_of(const struct disclosure *disclosure, uint16_t schema, unsigned number,
                             unsigned as_number)
{
    struct hash context = context_of(disclosure, schema);
    struct field_value field = { .is_present = disclosure->is_present[number] };
    memcpy(field.salt, disclosure->salts[number], sizeof field.salt);
    field.value = buf_span(&disclosure->values[number]);
    return commitment_digest(&context, as_number, &field);
}

/* The digests are what the evil one commits to; the values what it then shows. */
static enum err_code judge_evil(struct disclosure *disclosure,
                                const struct hash digests[static FIELDS])
{
    struct err err;
    struct hash root = commitment_root(digests);
    sign_root(disclosure, &root);
    struct buf json = file_of(disclosure);
    enum err_code rc = judge(buf_span(&json), &err);
    buf_clear(&json);
    return rc;
}

static void an_honest_root_signed_again_is_accepted(void **state)
{
    (void)state;
    struct disclosure disclosure;
    make(&disclosure, RECORD_WORLD_FREEZE("false"), UINT32_MAX, false);
    assert_int_equal(judge_evil(&disclosure, disclosure.digests), E_OK);
    disclosure_clear(&disclosure);
}

static void a_twin_or_a_swapped_leaf_is_refused(void **state)
{
    (void)state;
    struct disclosure disclosure;
    struct hash digests[FIELDS];
    make(&disclosure, RECORD_WORLD_FREEZE("false"), UINT32_MAX, false);
    memcpy(digests, disclosure.digests, sizeof digests);
    digests[FIELD_AMOUNT_DUE] = digests[FIELD_AMOUNT];
    assert_int_equal(judge_evil(&disclosure, digests), E_BAD_PROOF);
    digests[FIELD_AMOUNT_DUE] = disclosure.digests[FIELD_AMOUNT_DUE];
    digests[FIELD_AMOUNT] = disclosure.digests[FIELD_AMOUNT_DUE];
    digests[FIELD_AMOUNT_DUE] = disclosure.digests[FIELD_AMOUNT];
    assert_int_equal(judge_evil(&disclosure, digests), E_BAD_PROOF);
    /* Committed as another field than where it stands. */
    digests[FIELD_AMOUNT_DUE] = disclosure.digests[FIELD_AMOUNT_DUE];
    digests[FIELD_AMOUNT] =
        digest_of(&disclosure, OPERATION_VERSION, FIELD_AMOUNT, FIELD_AMOUNT_DUE);
    assert_int_equal(judge_evil(&disclosure, digests), E_BAD_PROOF);
    disclosure_clear(&disclosure);
}

static void another_schema_or_another_records_root_is_refused(void **state)
{
    (void)state;
    struct disclosure disclosure, other;
    struct hash digests[FIELDS];
    make(&disclosure, RECORD_WORLD_FREEZE("false"), UINT32_MAX, false);
    for (unsigned i = 0; i < FIELDS; i++) {
        digests[i] = digest_of(&disclosure, OPERATION_VERSION + 1, i, i);
    }
    assert_int_equal(judge_evil(&disclosure, digests), E_BAD_PROOF);
    struct payload payload;
    record_world_make(&payload, RECORD_WORLD_FREEZE("false"), 2); /* another entry tag */
    disclosure_init(&other);
    disclosure_make(&other, &payload, UINT32_MAX, false, span_of(NULL, 0));
    buf_reset(&other.record);
    buf_put(&other.record, buf_span(&disclosure.record));
    assert_int_equal(judge_evil(&other, other.digests), E_BAD_PROOF);
    payload_clear(&payload);
    disclosure_clear(&other);
    disclosure_clear(&disclosure);
}

/* Shown as it is committed to, and still refused. */
static void a_value_that_is_not_in_its_one_spelling_is_refused(void **state)
{
    (void)state;
    struct disclosure disclosure;
    struct hash digests[FIELDS];
    make(&disclosure, RECORD_WORLD_FREEZE("false"), UINT32_MAX, false);
    buf_reset(&disclosure.values[FIELD_INSTITUTION]);
    buf_put_str(&disclosure.values[FIELD_INSTITUTION], "91990000ma00000hkl");
    memcpy(digests, disclosure.digests, sizeof digests);
    digests[FIELD_INSTITUTION] =
        digest_of(&disclosure, OPERATION_VERSION, FIELD_INSTITUTION, FIELD_INSTITUTION);
    assert_int_equal(judge_evil(&disclosure, digests), E_MALFORMED);
    disclosure_clear(&disclosure);
}

static void a_field_that_the_kind_has_not_or_must_have_is_refused(void **state)
{
    (void)state;
    struct disclosure disclosure;
    struct hash digests[FIELDS];
    make(&disclosure, RECORD_WORLD_FREEZE("false"), UINT32_MAX, false);
    memcpy(digests, disclosure.digests, sizeof digests);
    disclosure.is_present[FIELD_PAYEE] = true; /* a freeze pays nobody */
    buf_put(&disclosure.values[FIELD_PAYEE], span_of("0123456789abcdef", 16));
    digests[FIELD_PAYEE] = digest_of(&disclosure, OPERATION_VERSION, FIELD_PAYEE, FIELD_PAYEE);
    assert_int_equal(judge_evil(&disclosure, digests), E_MALFORMED);
    disclosure_clear(&disclosure);

    make(&disclosure, RECORD_WORLD_FREEZE("false"), UINT32_MAX, false);
    memcpy(digests, disclosure.digests, sizeof digests);
    disclosure.is_present[FIELD_DEBTOR] = false;
    buf_reset(&disclosure.values[FIELD_DEBTOR]);
    digests[FIELD_DEBTOR] = digest_of(&disclosure, OPERATION_VERSION, FIELD_DEBTOR, FIELD_DEBTOR);
    assert_int_equal(judge_evil(&disclosure, digests), E_MALFORMED);
    disclosure_clear(&disclosure);
}

static void a_court_that_is_not_the_headers_is_refused(void **state)
{
    (void)state;
    struct disclosure disclosure;
    struct hash digests[FIELDS];
    make(&disclosure, RECORD_WORLD_FREEZE("false"), UINT32_MAX, false);
    memcpy(digests, disclosure.digests, sizeof digests);
    buf_reset(&disclosure.values[FIELD_COURT]);
    buf_put_str(&disclosure.values[FIELD_COURT], "测0102");
    digests[FIELD_COURT] = digest_of(&disclosure, OPERATION_VERSION, FIELD_COURT, FIELD_COURT);
    assert_int_equal(judge_evil(&disclosure, digests), E_BAD_PROOF);
    disclosure_clear(&disclosure);
}

/* Committed to, and not true: the certificate says whose the one-time key is. */
static void a_submitter_that_is_not_the_certificates_is_refused(void **state)
{
    (void)state;
    struct disclosure disclosure;
    struct hash digests[FIELDS];
    make(&disclosure, RECORD_WORLD_FREEZE("true"), UINT32_MAX, false);
    memcpy(digests, disclosure.digests, sizeof digests);
    disclosure.values[FIELD_SUBMITTER].data[0] ^= 1;
    digests[FIELD_SUBMITTER] =
        digest_of(&disclosure, OPERATION_VERSION, FIELD_SUBMITTER, FIELD_SUBMITTER);
    assert_int_equal(judge_evil(&disclosure, digests), E_BAD_PROOF);
    disclosure_clear(&disclosure);
}

static void a_kind_that_is_never_sealed_is_refused_in_a_sealed_record(void **state)
{
    (void)state;
    static const uint8_t kinds[] = { KIND_SEALED, KIND_UNSEAL, KIND_CASE_FILED, KIND_CLOSED, 255 };
    for (size_t i = 0; i < sizeof kinds; i++) {
        struct disclosure disclosure;
        struct err err;
        make(&disclosure, RECORD_WORLD_FREEZE("true"), UINT32_MAX, false);
        disclosure.values[FIELD_KIND].data[7] = kinds[i];
        disclosure.digests[FIELD_KIND] =
            digest_of(&disclosure, OPERATION_VERSION, FIELD_KIND, FIELD_KIND);
        struct hash root = commitment_root(disclosure.digests);
        sign_root(&disclosure, &root);
        assert_int_equal(verify(&disclosure, &err), E_MALFORMED);
        disclosure_clear(&disclosure);
    }
}

static void a_sealed_record_is_under_its_own_one_time_key_only(void **state)
{
    (void)state;
    struct disclosure disclosure;
    struct err err;
    make(&disclosure, RECORD_WORLD_FREEZE("true"), 0, false);
    struct signer submitter = record_world_submitter();
    disclosure.signing_key = submitter.vkey.key;
    assert_int_equal(verify(&disclosure, &err), E_BAD_SIGNATURE);
    signer_clear(&submitter);
    disclosure_clear(&disclosure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(material_fields_are_always_opened),
        cmocka_unit_test(of_a_sealed_record_the_header_is_opened_too),
        cmocka_unit_test(absence_is_opened_as_absence),
        cmocka_unit_test(hidden_values_and_salts_are_not_in_it),
        cmocka_unit_test(it_is_read_back_to_the_same_bytes),
        cmocka_unit_test(every_material_field_that_is_hidden_is_named),
        cmocka_unit_test(a_second_spelling_is_refused),
        cmocka_unit_test(other_values_are_refused),
        cmocka_unit_test(no_changed_byte_is_accepted),
        cmocka_unit_test(an_honest_root_signed_again_is_accepted),
        cmocka_unit_test(a_twin_or_a_swapped_leaf_is_refused),
        cmocka_unit_test(another_schema_or_another_records_root_is_refused),
        cmocka_unit_test(a_value_that_is_not_in_its_one_spelling_is_refused),
        cmocka_unit_test(a_field_that_the_kind_has_not_or_must_have_is_refused),
        cmocka_unit_test(a_court_that_is_not_the_headers_is_refused),
        cmocka_unit_test(a_submitter_that_is_not_the_certificates_is_refused),
        cmocka_unit_test(a_kind_that_is_never_sealed_is_refused_in_a_sealed_record),
        cmocka_unit_test(a_sealed_record_is_under_its_own_one_time_key_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
