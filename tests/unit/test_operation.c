/* The form of records: what each kind has and must have, and may not. Signatures are in
 * test_operation_signature.c, what peers can do to the bytes in test_operation_bytes.c. */
#include "base/ascii.h"
#include "tests/support/operations.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct signing_key *key, *other_key;

static void assert_hex(const void *bytes, size_t len, const char *hex)
{
    uint8_t expected[64];
    struct err err;
    assert_true(len <= sizeof expected);
    assert_int_equal(hex_decode(expected, len, span_of_str(hex), &err), E_OK);
    assert_memory_equal(bytes, expected, len);
}

/* Refused, with the field's name first. */
static void assert_put_fails(const struct operation *operation, const char *field)
{
    struct buf out = BUF_INIT(OPERATION_BYTES_MAX);
    struct err err;
    buf_put_str(&out, "before");
    assert_int_equal(operation_put(&out, operation, &err), E_MALFORMED);
    if (!span_has_prefix(span_of_str(err.msg), span_of_str(field))) {
        fail_msg("%s: \"%s\" does not begin with %s", operation->kind->name, err.msg, field);
    }
    assert_true(span_is_str(buf_span(&out), "before"));
    buf_clear(&out);
}

#define ASSERT_SAME(a, b, member) assert_memory_equal(&(a)->member, &(b)->member, sizeof(a)->member)

static void assert_same_registration(const struct registration *a, const struct registration *b)
{
    ASSERT_SAME(a, b, key);
    ASSERT_SAME(a, b, name);
    ASSERT_SAME(a, b, court_count);
    ASSERT_SAME(a, b, courts);
    ASSERT_SAME(a, b, roles);
    ASSERT_SAME(a, b, from);
    ASSERT_SAME(a, b, to);
}

static void assert_same(const struct operation *a, const struct operation *b)
{
    ASSERT_SAME(a, b, kind);
    ASSERT_SAME(a, b, is_sealed);
    ASSERT_SAME(a, b, is_vouched);
    ASSERT_SAME(a, b, minute);
    ASSERT_SAME(a, b, court);
    ASSERT_SAME(a, b, has_commitments);
    ASSERT_SAME(a, b, entry_tag);
    ASSERT_SAME(a, b, document);
    ASSERT_SAME(a, b, fields_root);
    ASSERT_SAME(a, b, reference_count);
    ASSERT_SAME(a, b, references);
    ASSERT_SAME(a, b, submitter);
    ASSERT_SAME(a, b, one_time_key);
    assert_same_registration(&a->registration, &b->registration);
    assert_true(span_is_equal(a->note, b->note));
    ASSERT_SAME(a, b, case_commitment);
    ASSERT_SAME(a, b, closed_counts);
    ASSERT_SAME(a, b, signature);
    assert_int_equal(a->openings == NULL, b->openings == NULL);
    for (size_t i = 0; a->openings != NULL && i < OPERATION_OPENINGS; i++) {
        ASSERT_SAME(&a->openings[i], &b->openings[i], number);
        ASSERT_SAME(&a->openings[i], &b->openings[i], salt);
        ASSERT_SAME(&a->openings[i], &b->openings[i], value_len);
        ASSERT_SAME(&a->openings[i], &b->openings[i], value);
        ASSERT_SAME(&a->openings[i], &b->openings[i], hashes);
    }
}

static void assert_decodes_to(struct span bytes, const struct operation *expected)
{
    struct operation decoded;
    struct err err;
    assert_int_equal(operation_decode(&decoded, bytes, &err), E_OK);
    assert_same(&decoded, expected);
    struct buf again = BUF_INIT(OPERATION_BYTES_MAX);
    assert_int_equal(operation_put(&again, &decoded, &err), E_OK);
    assert_true(span_is_equal(buf_span(&again), bytes));
    buf_clear(&again);
    operation_clear(&decoded);
}

static void every_kind_is_encoded_and_decoded_to_the_same(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        if (kind_at(i)->class == KIND_INSIDE) {
            continue;
        }
        static struct operation operation;
        operation = operations_make(kind_at(i)->number, key);
        struct buf bytes = operations_bytes(&operation, key);
        assert_decodes_to(buf_span(&bytes), &operation);
        assert_true(bytes.len < 4096);
        struct ed25519_public public = signing_key_public(key);
        struct err err;
        assert_int_equal(operation_verify(&operation, buf_span(&bytes), OPERATIONS_ORIGIN, &public,
                                          &err),
                         operation.is_vouched ? E_BAD_SIGNATURE : E_OK);
        struct hash tag;
        assert_int_equal(operation_peek_tag(&tag, buf_span(&bytes)), operation.has_commitments);
        if (operation.has_commitments) {
            assert_true(hash_is_equal(&tag, &operation.entry_tag));
        }
        buf_clear(&bytes);
        operation_clear(&operation);
        count++;
    }
    assert_true(count > 70);
}

static void a_record_is_about_250_bytes(void **state)
{
    (void)state;
    struct buf freeze = operations_signed(KIND_FREEZE, key);
    struct buf sealed = operations_signed(KIND_SEALED, key);
    assert_int_equal(freeze.len, 272);
    assert_int_equal(sealed.len, 207);
    buf_clear(&freeze);
    buf_clear(&sealed);
}

/* From Python: hashlib.sha256(b"courtroll/court/v1\n" + "测0101".encode()), and of bytes 0..31 as a key. */
static void ids_are_the_published_hashes(void **state)
{
    (void)state;
    struct court_tag court = court_tag_make(span_of_str("测0101"));
    assert_hex(court.bytes, sizeof court.bytes, "42d78fb620c7106e");
    struct ed25519_public public;
    for (size_t i = 0; i < sizeof public.bytes; i++) {
        public.bytes[i] = (uint8_t)i;
    }
    struct submitter_id id = submitter_id_make(&public);
    assert_hex(id.bytes, sizeof id.bytes, "a69ec58c37ec38b675a64f16ebac9695");
}

static void what_a_channel_vouches_for_has_no_signature(void **state)
{
    (void)state;
    struct operation operation = operations_make(KIND_FREEZE, key);
    operation.is_vouched = true;
    struct buf bytes = operations_bytes(&operation, key);
    assert_decodes_to(buf_span(&bytes), &operation);
    struct ed25519_public public = signing_key_public(key);
    struct err err;
    assert_int_equal(operation_verify(&operation, buf_span(&bytes), OPERATIONS_ORIGIN, &public,
                                      &err),
                     E_BAD_SIGNATURE);
    struct buf out = BUF_INIT(OPERATION_BYTES_MAX);
    assert_int_equal(operation_put_signed(&out, &operation, OPERATIONS_ORIGIN, key, &err),
                     E_MALFORMED);
    memset(operation.signature.bytes, 1, sizeof operation.signature.bytes);
    assert_put_fails(&operation, "signature");
    buf_clear(&bytes);
    buf_clear(&out);
}

static void what_signs_itself_is_not_vouched_for_and_an_anchor_always(void **state)
{
    (void)state;
    struct operation sealed = operations_make(KIND_SEALED, key);
    struct operation submitter = operations_make(KIND_SUBMITTER, key);
    struct operation anchor = operations_make(KIND_ANCHOR, key);
    sealed.is_vouched = submitter.is_vouched = true;
    anchor.is_vouched = false;
    assert_put_fails(&sealed, "vouched");
    assert_put_fails(&submitter, "vouched");
    assert_put_fails(&anchor, "vouched");
    struct operation end = operations_make(KIND_SUBMITTER_END, key);
    end.is_vouched = true; /* of a key that is lost: the operator's word */
    struct buf bytes = operations_bytes(&end, key);
    buf_clear(&bytes);
}

/* -- exactly the fields of the kind -- */

static void set_minute(struct operation *operation)
{
    operation->minute = 5;
}

static void set_court(struct operation *operation)
{
    operation->court.bytes[3] = 1;
}

static void set_tag(struct operation *operation)
{
    operation->entry_tag.bytes[31] = 1;
}

static void set_document(struct operation *operation)
{
    operation->document.bytes[0] = 1;
}

static void set_root(struct operation *operation)
{
    operation->fields_root.bytes[0] = 1;
}

static void set_reference(struct operation *operation)
{
    operation->reference_count = 1;
}

static void set_submitter(struct operation *operation)
{
    operation->submitter.bytes[0] = 1;
}

static void set_one_time_key(struct operation *operation)
{
    operation->one_time_key = signing_key_public(other_key);
}

static void set_registration(struct operation *operation)
{
    struct ed25519_public public = signing_key_public(other_key);
    operation->registration = operations_registration(&public);
}

static void set_note(struct operation *operation)
{
    operation->note = span_of_str(OPERATIONS_NOTE);
}

static void set_case_commitment(struct operation *operation)
{
    operation->case_commitment.bytes[7] = 1;
}

static void set_closed_counts(struct operation *operation)
{
    operation->closed_counts[159] = 1;
}

static void set_openings(struct operation *operation)
{
    operation->openings = operations_openings();
}

enum {
    SEALED = 1,
    UNSEAL = 2,
    SUBMITTER = 4,
    END = 8,
    ANCHOR = 16,
    FILED = 32,
    CLOSED = 64,
    OTHER = 128, /* FREEZE */
    CASES = UNSEAL | FILED | CLOSED | OTHER,
    EVERY = 255,
};
static const uint32_t kind_of_bit[] = { KIND_SEALED,        KIND_UNSEAL, KIND_SUBMITTER,
                                        KIND_SUBMITTER_END, KIND_ANCHOR, KIND_CASE_FILED,
                                        KIND_CLOSED,        KIND_FREEZE };

static const struct {
    const char *name;
    void (*set)(struct operation *operation);
    unsigned has_it;
} fields[] = {
    { "minute", set_minute, EVERY & ~SEALED },
    { "court", set_court, CASES },
    { "entry_tag", set_tag, CASES | SEALED },
    { "document", set_document, CASES | SEALED },
    { "fields_root", set_root, CASES | SEALED },
    { "references", set_reference, EVERY & ~(SEALED | ANCHOR) },
    { "submitter", set_submitter, EVERY & ~(SEALED | ANCHOR) },
    { "one_time_key", set_one_time_key, SEALED },
    { "registration", set_registration, SUBMITTER },
    { "note", set_note, ANCHOR },
    { "case_commitment", set_case_commitment, FILED },
    { "closed_counts", set_closed_counts, CLOSED },
    { "openings", set_openings, UNSEAL },
};

static void a_field_that_is_not_of_the_kind_is_refused_by_name(void **state)
{
    (void)state;
    size_t refused = 0;
    for (size_t k = 0; k < COUNT(kind_of_bit); k++) {
        for (size_t i = 0; i < COUNT(fields); i++) {
            if ((fields[i].has_it >> k & 1) != 0) {
                continue;
            }
            struct operation operation = operations_make(kind_of_bit[k], key);
            fields[i].set(&operation);
            assert_put_fails(&operation, fields[i].name);
            operation_clear(&operation);
            refused++;
        }
    }
    assert_int_equal(refused, 60);
}

static void a_sealed_record_shows_nothing_of_its_header(void **state)
{
    (void)state;
    struct buf bytes = operations_signed(KIND_SEALED, key);
    struct operation decoded;
    struct err err;
    assert_int_equal(operation_decode(&decoded, buf_span(&bytes), &err), E_OK);
    struct court_tag no_court = { { 0 } };
    struct submitter_id nobody = { { 0 } };
    assert_true(decoded.is_sealed);
    assert_int_equal(decoded.minute, 0);
    assert_int_equal(decoded.reference_count, 0);
    assert_memory_equal(&decoded.court, &no_court, sizeof no_court);
    assert_true(submitter_id_is_equal(&decoded.submitter, &nobody));
    buf_clear(&bytes);
    operation_clear(&decoded);
}

static void a_kind_out_of_place_is_refused(void **state)
{
    (void)state;
    struct operation decoy = operations_make(KIND_FREEZE, key);
    decoy.kind = kind_find(KIND_DECOY);
    assert_put_fails(&decoy, "kind");
    static const struct kind unknown = { .number = 7, .name = "UNKNOWN" };
    decoy.kind = &unknown;
    assert_put_fails(&decoy, "kind");
    struct operation freeze = operations_make(KIND_FREEZE, key);
    freeze.is_sealed = true;
    assert_put_fails(&freeze, "kind");
    freeze = operations_make(KIND_FREEZE, key);
    freeze.has_commitments = false;
    memset(&freeze.entry_tag, 0, sizeof freeze.entry_tag);
    assert_put_fails(&freeze, "entry_tag");
}

static void times_and_counts_have_their_range(void **state)
{
    (void)state;
    struct operation operation = operations_make(KIND_FREEZE, key);
    operation.minute = 0;
    assert_put_fails(&operation, "minute");
    operation.minute = OPERATION_MINUTE_MAX + 1;
    assert_put_fails(&operation, "minute");
    operation.minute = OPERATION_MINUTE_MAX;
    operation.reference_count = OPERATION_REFERENCES_MAX;
    struct buf bytes = operations_bytes(&operation, key);
    assert_decodes_to(buf_span(&bytes), &operation);
    buf_clear(&bytes);
    operation.reference_count = OPERATION_REFERENCES_MAX + 1;
    assert_put_fails(&operation, "references");
}

/* -- registrations -- */

#define LABEL_63 "a-bcdefghij-bcdefghij-bcdefghij-bcdefghij-bcdefghij-bcdefghij-k"
#define NAME_253                                                                                   \
    LABEL_63 "." LABEL_63 "." LABEL_63 "."                                                         \
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void a_submitters_name_is_a_dns_name_in_lower_case(void **state)
{
    (void)state;
    static const char *const good[] = { "a",       "court.example",     "x-1.y--z.example",
                                        "0.1.2.c", LABEL_63 ".example", NAME_253 };
    static const char *const bad[] = {
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a.example",
        "a-.example",
        "a.-b",
        "A.example",
        "a_b.example",
        "a b.example",
        "192.0.2.7",
        "a.7",
        "测.example",
        "a.example\n",
        "*.example",
        "a" LABEL_63 ".b",
        NAME_253 "x",
        "990101198503151239.example",
    };
    struct operation operation = operations_make(KIND_SUBMITTER, key);
    for (size_t i = 0; i < COUNT(good); i++) {
        memset(operation.registration.name, 0, sizeof operation.registration.name);
        memcpy(operation.registration.name, good[i], strlen(good[i]));
        struct buf bytes = operations_bytes(&operation, key);
        assert_decodes_to(buf_span(&bytes), &operation);
        buf_clear(&bytes);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        memset(operation.registration.name, 0, sizeof operation.registration.name);
        memcpy(operation.registration.name, bad[i], strlen(bad[i]));
        assert_put_fails(&operation, "registration.name");
    }
}

static void a_registrations_roles_courts_and_times_have_one_order(void **state)
{
    (void)state;
    struct operation operation = operations_make(KIND_SUBMITTER, key);
    struct registration *registration = &operation.registration;
    registration->roles = 0;
    assert_put_fails(&operation, "registration.roles");
    registration->roles = 1;
    assert_put_fails(&operation, "registration.roles");
    registration->roles = 1u << (ROLE_LAST + 1);
    assert_put_fails(&operation, "registration.roles");
    registration->roles = ((1u << ROLE_LAST) - 1) << 1;
    struct court_tag swapped = registration->courts[0];
    registration->courts[0] = registration->courts[1];
    assert_put_fails(&operation, "registration.courts");
    registration->courts[1] = registration->courts[0];
    assert_put_fails(&operation, "registration.courts");
    registration->courts[0] = swapped;
    registration->to = registration->from;
    assert_put_fails(&operation, "registration.to");
    registration->to = OPERATION_MINUTE_MAX + 1;
    assert_put_fails(&operation, "registration.to");
    registration->to = 0;
    registration->court_count = REGISTRATION_COURTS_MAX;
    for (size_t i = 0; i < REGISTRATION_COURTS_MAX; i++) {
        registration->courts[i].bytes[0] = (uint8_t)(i * 3);
    }
    struct buf bytes = operations_bytes(&operation, key);
    assert_decodes_to(buf_span(&bytes), &operation);
    buf_clear(&bytes);
    registration->court_count = REGISTRATION_COURTS_MAX + 1;
    assert_put_fails(&operation, "references or courts");
    memset(registration->courts, 0, sizeof registration->courts);
    registration->court_count = 0; /* every court, for ever, from the beginning */
    registration->from = 0;
    bytes = operations_bytes(&operation, key);
    assert_decodes_to(buf_span(&bytes), &operation);
    buf_clear(&bytes);
}

static void a_registration_is_of_the_key_that_submits(void **state)
{
    (void)state;
    struct operation operation = operations_make(KIND_SUBMITTER, key);
    operation.registration.key = signing_key_public(other_key);
    assert_put_fails(&operation, "submitter");
    memset(&operation.registration, 0, sizeof operation.registration);
    assert_put_fails(&operation, "registration");
}

static void keys_of_small_order_are_refused(void **state)
{
    (void)state;
    struct operation sealed = operations_make(KIND_SEALED, key);
    memset(sealed.one_time_key.bytes, 0, sizeof sealed.one_time_key.bytes);
    assert_put_fails(&sealed, "one_time_key");
    struct operation submitter = operations_make(KIND_SUBMITTER, key);
    memset(submitter.registration.key.bytes, 0, ED25519_PUBLIC_BYTES);
    submitter.registration.key.bytes[0] = 1;
    submitter.submitter = submitter_id_make(&submitter.registration.key);
    assert_put_fails(&submitter, "registration.key");
}

/* -- UNSEAL and ANCHOR -- */

static void an_unseal_opens_the_five_fields_of_a_header(void **state)
{
    (void)state;
    struct operation operation = operations_make(KIND_UNSEAL, key);
    struct opening *openings = operation.openings;
    operation.openings = NULL;
    assert_put_fails(&operation, "openings");
    operation.openings = openings;
    operation.reference_count = 0;
    assert_put_fails(&operation, "references");
    operation.reference_count = 1;
    for (size_t i = 0; i < OPERATION_OPENINGS; i++) {
        struct opening saved = openings[i];
        openings[i].number = FIELD_DEBTOR;
        assert_put_fails(&operation, "openings");
        openings[i] = saved;
        openings[i].value_len = 0;
        assert_put_fails(&operation, "openings.value");
        openings[i].value_len = OPENING_VALUE_BYTES_MAX;
        assert_put_fails(&operation, "openings.value");
        openings[i].value_len = OPENING_VALUE_BYTES_MAX + 1;
        assert_put_fails(&operation, "openings.value");
        openings[i] = saved;
    }
    struct opening swapped = openings[3];
    openings[3] = openings[4];
    openings[4] = swapped;
    assert_put_fails(&operation, "openings");
    operation_clear(&operation);
}

/* What an opening shows is in the clear: nothing but a header may stand there. */
static void an_unseal_takes_no_second_spelling_and_no_other_text(void **state)
{
    (void)state;
    struct operation operation = operations_make(KIND_UNSEAL, key);
    operation.openings[0].value[7] = KIND_SUBMITTER; /* that is never sealed */
    assert_put_fails(&operation, "openings.value");
    operation.openings[0].value[7] = KIND_FREEZE;
    operation.openings[2].value[6] = ' ';
    assert_put_fails(&operation, "openings.value");
    memcpy(operation.openings[2].value, "张三丰", 9);
    operation.openings[2].value_len = 9;
    assert_put_fails(&operation, "openings.value");
    operation_clear(&operation);
}

static void an_anchor_holds_a_signed_checkpoint_and_no_other_text(void **state)
{
    (void)state;
    static char longest[OPERATION_NOTE_BYTES_MAX + 2];
    memset(longest, 'a', sizeof longest - 1);
    const char *bad[] = { "", "any text", "any text\n\n— a AQIDBAUGBwg=\n", longest,
                          "log.example\n7\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct operation operation = operations_make(KIND_ANCHOR, key);
        operation.note = span_of_str(bad[i]);
        assert_put_fails(&operation, "note");
    }
}

/* As many signatures as a note may have, each as long as it takes: a well-formed note of over 56 KiB. */
static void an_anchors_note_has_a_maximum(void **state)
{
    (void)state;
    uint8_t signature[4 + 420] = { 0 };
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    buf_put(&note, span_slice(span_of_str(OPERATIONS_NOTE), 0, 71));
    for (size_t i = 0; i < NOTE_SIGNATURES_MAX; i++) {
        buf_put_str(&note, "— log.example ");
        base64_put(&note, SPAN_OF_ARRAY(signature));
        buf_put_str(&note, "\n");
        if (note.len <= OPERATION_NOTE_BYTES_MAX) {
            struct operation operation = operations_make(KIND_ANCHOR, key);
            operation.note = buf_span(&note);
            struct buf bytes = operations_bytes(&operation, key);
            buf_clear(&bytes);
        }
    }
    assert_true(note.len > OPERATION_NOTE_BYTES_MAX && note.len < OPERATION_BYTES_MAX - 64);
    struct operation operation = operations_make(KIND_ANCHOR, key);
    operation.note = buf_span(&note);
    assert_put_fails(&operation, "note: more than");
    buf_clear(&note);
}

static int set_up(void **state)
{
    (void)state;
    key = operations_key("submitter");
    other_key = operations_key("other");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    signing_key_free(key);
    signing_key_free(other_key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_encoded_and_decoded_to_the_same),
        cmocka_unit_test(a_record_is_about_250_bytes),
        cmocka_unit_test(ids_are_the_published_hashes),
        cmocka_unit_test(what_a_channel_vouches_for_has_no_signature),
        cmocka_unit_test(what_signs_itself_is_not_vouched_for_and_an_anchor_always),
        cmocka_unit_test(a_field_that_is_not_of_the_kind_is_refused_by_name),
        cmocka_unit_test(a_sealed_record_shows_nothing_of_its_header),
        cmocka_unit_test(a_kind_out_of_place_is_refused),
        cmocka_unit_test(times_and_counts_have_their_range),
        cmocka_unit_test(a_submitters_name_is_a_dns_name_in_lower_case),
        cmocka_unit_test(a_registrations_roles_courts_and_times_have_one_order),
        cmocka_unit_test(a_registration_is_of_the_key_that_submits),
        cmocka_unit_test(keys_of_small_order_are_refused),
        cmocka_unit_test(an_unseal_opens_the_five_fields_of_a_header),
        cmocka_unit_test(an_unseal_takes_no_second_spelling_and_no_other_text),
        cmocka_unit_test(an_anchor_holds_a_signed_checkpoint_and_no_other_text),
        cmocka_unit_test(an_anchors_note_has_a_maximum),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
