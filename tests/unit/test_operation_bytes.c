/* What peers can do to the bytes of a record: every flip, cut, order, repetition and second spelling is refused, or
 * leaves a signature that does not verify. */
#include "tests/support/operations.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct signing_key *key;

static const uint32_t kinds[] = { KIND_FREEZE, KIND_SEALED,     KIND_UNSEAL, KIND_SUBMITTER,
                                  KIND_ANCHOR, KIND_CASE_FILED, KIND_CLOSED };

enum {
    PIECES_MAX = 32,
    DELIMITED = 2, /* wire type */
};

/* One field of the encoding. */
struct piece {
    unsigned number, wire_type;
    size_t tag_len;
    struct span bytes;   /* with its tag */
    struct span content; /* of a delimited one */
};

static uint64_t take_varint(struct span *in)
{
    uint64_t value = 0;
    uint8_t byte = 0x80;
    for (unsigned shift = 0; (byte & 0x80) != 0; shift += 7) {
        assert_true(span_take_u8(in, &byte));
        value |= (uint64_t)(byte & 0x7f) << shift;
    }
    return value;
}

/* Cuts well-formed bytes into their fields. */
static size_t cut(struct piece out[static PIECES_MAX], struct span bytes)
{
    size_t count = 0;
    while (bytes.len > 0) {
        assert_true(count < PIECES_MAX);
        struct piece *piece = &out[count++];
        struct span from = bytes;
        uint64_t tag = take_varint(&bytes);
        *piece = (struct piece){ .number = (unsigned)(tag >> 3), .wire_type = tag & 7 };
        piece->tag_len = from.len - bytes.len;
        uint64_t value = take_varint(&bytes);
        if (piece->wire_type == DELIMITED) {
            assert_true(span_take(&bytes, value, &piece->content));
        }
        piece->bytes = span_of(from.data, from.len - bytes.len);
    }
    return count;
}

static void put_varint(struct buf *out, uint64_t value, size_t width_min)
{
    for (size_t i = 1; value >= 0x80 || i < width_min; i++) {
        buf_put_u8(out, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    buf_put_u8(out, (uint8_t)value);
}

static void put_delimited(struct buf *out, unsigned number, struct span content)
{
    put_varint(out, number << 3 | DELIMITED, 1);
    put_varint(out, content.len, 1);
    buf_put(out, content);
}

static void assert_refused(const struct buf *bytes, const char *what)
{
    struct operation operation;
    struct err err;
    if (operation_decode(&operation, buf_span(bytes), &err) == E_OK) {
        fail_msg("%s: taken", what);
    }
    assert_int_equal(err.code, E_MALFORMED);
}

/* All pieces but `left_out`, with `extra` bytes before piece `at`. */
static struct buf join(const struct piece *pieces, size_t count, size_t left_out, size_t at,
                       struct span extra)
{
    struct buf out = BUF_INIT(2 * OPERATION_BYTES_MAX);
    for (size_t i = 0; i <= count; i++) {
        if (i == at) {
            buf_put(&out, extra);
        }
        if (i < count && i != left_out) {
            buf_put(&out, pieces[i].bytes);
        }
    }
    return out;
}

static bool is_taken_and_verifies(struct span bytes)
{
    struct operation operation;
    struct err err;
    if (operation_decode(&operation, bytes, &err) != E_OK) {
        return false;
    }
    struct ed25519_public public = signing_key_public(key);
    bool is_good = operation_verify(&operation, bytes, OPERATIONS_ORIGIN, &public, &err) == E_OK;
    operation_clear(&operation);
    return is_good;
}

static void no_flipped_bit_of_a_signed_record_verifies(void **state)
{
    (void)state;
    static const uint32_t signed_kinds[] = { KIND_FREEZE, KIND_SEALED, KIND_SUBMITTER };
    for (size_t i = 0; i < COUNT(signed_kinds); i++) {
        struct buf bytes = operations_signed(signed_kinds[i], key);
        assert_true(is_taken_and_verifies(buf_span(&bytes)));
        for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
            bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (is_taken_and_verifies(buf_span(&bytes))) {
                fail_msg("%s: bit %zu of %zu bytes", kind_find(signed_kinds[i])->name, bit,
                         bytes.len);
            }
            bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        buf_clear(&bytes);
    }
}

/* The longer ones: one bit a byte, as each costs a verification. */
static void no_changed_byte_of_a_longer_record_verifies(void **state)
{
    (void)state;
    static const uint32_t longer_kinds[] = { KIND_UNSEAL, KIND_CLOSED, KIND_CASE_FILED };
    for (size_t i = 0; i < COUNT(longer_kinds); i++) {
        struct buf bytes = operations_signed(longer_kinds[i], key);
        assert_true(is_taken_and_verifies(buf_span(&bytes)));
        for (size_t at = 0; at < bytes.len; at++) {
            uint8_t change = (uint8_t)(1 << at % 8);
            bytes.data[at] ^= change;
            if (is_taken_and_verifies(buf_span(&bytes))) {
                fail_msg("%s: byte %zu", kind_find(longer_kinds[i])->name, at);
            }
            bytes.data[at] ^= change;
        }
        buf_clear(&bytes);
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct buf bytes = operations_signed(kinds[i], key);
        for (size_t len = 0; len < bytes.len; len++) {
            uint8_t *copy = mem_alloc(len + 1); /* its end is watched by the sanitizer */
            memcpy(copy + 1, bytes.data, len);
            struct operation operation;
            struct err err;
            if (operation_decode(&operation, span_of(copy + 1, len), &err) == E_OK) {
                fail_msg("%s: %zu of %zu bytes", kind_find(kinds[i])->name, len, bytes.len);
            }
            mem_free(copy);
        }
        buf_clear(&bytes);
    }
}

static void every_missing_and_every_repeated_field_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct buf bytes = operations_signed(kinds[i], key);
        struct piece pieces[PIECES_MAX];
        size_t count = cut(pieces, buf_span(&bytes));
        for (size_t k = 0; k < count; k++) {
            if (pieces[k].number == 8) { /* references may be fewer or more */
                continue;
            }
            struct buf without = join(pieces, count, k, SIZE_MAX, span_of(NULL, 0));
            struct buf twice = join(pieces, count, SIZE_MAX, k, pieces[k].bytes);
            assert_refused(&without, "missing");
            assert_refused(&twice, "repeated");
            buf_clear(&without);
            buf_clear(&twice);
        }
        buf_clear(&bytes);
    }
}

static void any_other_order_is_refused(void **state)
{
    (void)state;
    size_t tried = 0;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct buf bytes = operations_signed(kinds[i], key);
        struct piece pieces[PIECES_MAX];
        size_t count = cut(pieces, buf_span(&bytes));
        for (size_t from = 0; from < count; from++) {
            for (size_t to = 0; to <= count; to++) {
                if (to == from || to == from + 1) {
                    continue;
                }
                struct buf moved = join(pieces, count, from, to, pieces[from].bytes);
                assert_int_equal(moved.len, bytes.len);
                if (!span_is_equal(buf_span(&moved), buf_span(&bytes))) {
                    assert_refused(&moved, "moved");
                    tried++;
                }
                buf_clear(&moved);
            }
        }
        buf_clear(&bytes);
    }
    assert_true(tried > 300);
}

static void numbers_and_lengths_have_one_width(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct buf bytes = operations_signed(kinds[i], key);
        struct piece pieces[PIECES_MAX];
        size_t count = cut(pieces, buf_span(&bytes));
        for (size_t k = 0; k < count; k++) {
            struct span rest = pieces[k].bytes;
            uint64_t tag = take_varint(&rest), value = take_varint(&rest);
            for (size_t width = 2; width <= 10; width++) {
                struct buf wide_tag = BUF_INIT(OPERATION_BYTES_MAX);
                struct buf wide_value = BUF_INIT(OPERATION_BYTES_MAX);
                if (width > pieces[k].tag_len) {
                    put_varint(&wide_tag, tag, width);
                    buf_put(&wide_tag, span_slice(pieces[k].bytes, pieces[k].tag_len,
                                                  pieces[k].bytes.len - pieces[k].tag_len));
                    struct buf joined = join(pieces, count, k, k, buf_span(&wide_tag));
                    assert_refused(&joined, "wide tag");
                    buf_clear(&joined);
                }
                put_varint(&wide_value, tag, 1);
                put_varint(&wide_value, value, width);
                buf_put(&wide_value, rest);
                if (wide_value.len > pieces[k].bytes.len) {
                    struct buf joined = join(pieces, count, k, k, buf_span(&wide_value));
                    assert_refused(&joined, "wide value");
                    buf_clear(&joined);
                }
                buf_clear(&wide_tag);
                buf_clear(&wide_value);
            }
        }
        buf_clear(&bytes);
    }
}

/* A number that is the right one only in its lower 32 bits. */
static void numbers_are_not_cut_to_their_type(void **state)
{
    (void)state;
    struct buf bytes = operations_signed(KIND_FREEZE, key);
    struct piece pieces[PIECES_MAX];
    size_t count = cut(pieces, buf_span(&bytes));
    static const uint64_t values[] = { 1, KIND_FREEZE };
    for (size_t k = 0; k < COUNT(values); k++) {
        struct buf field = BUF_INIT(32);
        put_varint(&field, pieces[k].number << 3, 1);
        put_varint(&field, values[k] | UINT64_C(1) << 32, 1);
        struct buf joined = join(pieces, count, k, k, buf_span(&field));
        assert_refused(&joined, "over 32 bits");
        buf_clear(&field);
        buf_clear(&joined);
    }
    buf_clear(&bytes);
}

static void other_versions_and_kinds_are_refused(void **state)
{
    (void)state;
    struct buf bytes = operations_signed(KIND_FREEZE, key);
    assert_int_equal(bytes.data[1], 1);
    assert_int_equal(bytes.data[3], KIND_FREEZE);
    for (unsigned version = 0; version < 128; version++) {
        bytes.data[1] = (uint8_t)version;
        if (version != 1) {
            assert_refused(&bytes, "version");
        }
    }
    bytes.data[1] = 1;
    for (unsigned kind = 0; kind < 128; kind++) {
        bytes.data[3] = (uint8_t)kind;
        const struct kind *known = kind_find(kind);
        if (known == NULL || known->class != KIND_OF_CASE || kind == KIND_CASE_FILED ||
            kind == KIND_CLOSED) {
            assert_refused(&bytes, "kind");
        }
    }
    buf_clear(&bytes);
}

/* A field with its default value, written down: a second spelling of its absence. */
static void default_values_are_left_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct buf bytes = operations_signed(kinds[i], key);
        struct piece pieces[PIECES_MAX];
        size_t count = cut(pieces, buf_span(&bytes));
        for (unsigned number = 1; number <= 17; number++) {
            bool is_number = number <= 3 || number == 11;
            struct buf field = BUF_INIT(8);
            put_varint(&field, number << 3 | (is_number ? 0 : DELIMITED), 1);
            buf_put_u8(&field, 0);
            size_t at = 0;
            while (at < count && pieces[at].number < number) {
                at++;
            }
            bool is_there = at < count && pieces[at].number == number;
            struct buf added = join(pieces, count, is_there ? at : SIZE_MAX, at, buf_span(&field));
            assert_refused(&added, "default value");
            buf_clear(&added);
            buf_clear(&field);
        }
        buf_clear(&bytes);
    }
}

static void unknown_fields_are_refused_wherever_they_stand(void **state)
{
    (void)state;
    static const unsigned numbers[] = { 18, 19, 31, 1000, 536870911 };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct buf bytes = operations_signed(kinds[i], key);
        struct piece pieces[PIECES_MAX];
        size_t count = cut(pieces, buf_span(&bytes));
        for (size_t k = 0; k < COUNT(numbers) * (count + 1); k++) {
            for (unsigned wire_type = 0; wire_type < 8; wire_type++) {
                static const uint8_t some[8] = { 4, 'a', 'b', 'c', 'd', 1, 1, 1 };
                static const size_t lens[8] = { 1, 8, 5, 0, 0, 4, 1, 1 };
                struct buf field = BUF_INIT(32);
                put_varint(&field, (uint64_t)numbers[k / (count + 1)] << 3 | wire_type, 1);
                buf_put(&field, span_of(some, lens[wire_type]));
                struct buf added = join(pieces, count, SIZE_MAX, k % (count + 1), buf_span(&field));
                assert_refused(&added, "unknown field");
                buf_clear(&added);
                buf_clear(&field);
            }
        }
        buf_clear(&bytes);
    }
}

/* Encoding a message again writes its unknown fields too, so comparing alone would let these through. */
static void unknown_fields_inside_a_registration_or_an_opening_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind;
        unsigned number;
    } inner[] = { { KIND_SUBMITTER, 12 }, { KIND_UNSEAL, 16 } };
    for (size_t i = 0; i < COUNT(inner); i++) {
        struct buf bytes = operations_signed(inner[i].kind, key);
        struct piece pieces[PIECES_MAX];
        size_t count = cut(pieces, buf_span(&bytes));
        for (size_t k = 0; k < count; k++) {
            if (pieces[k].number != inner[i].number) {
                continue;
            }
            struct buf content = BUF_INIT(4096), field = BUF_INIT(4096);
            buf_put(&content, pieces[k].content);
            put_delimited(&field, pieces[k].number, buf_span(&content));
            struct buf same = join(pieces, count, k, k, buf_span(&field));
            assert_true(span_is_equal(buf_span(&same), buf_span(&bytes)));
            put_delimited(&content, 7, span_of_str("a name"));
            buf_reset(&field);
            put_delimited(&field, pieces[k].number, buf_span(&content));
            struct buf added = join(pieces, count, k, k, buf_span(&field));
            assert_refused(&added, "unknown field inside");
            buf_clear(&same);
            buf_clear(&added);
            buf_clear(&content);
            buf_clear(&field);
        }
        buf_clear(&bytes);
    }
}

/* Whoever tries to log more than the schema has is told which field it was, and not what was in it. */
static void an_unknown_field_is_refused_by_its_number(void **state)
{
    (void)state;
    struct buf bytes = operations_signed(KIND_FREEZE, key);
    struct operation operation;
    struct err err;
    put_delimited(&bytes, 30, span_of_str("a debtor's name"));
    assert_int_equal(operation_decode(&operation, buf_span(&bytes), &err), E_MALFORMED);
    assert_string_equal(err.msg, "field 30: not of the schema");
    buf_clear(&bytes);
}

/* The mask that they are read into would hide a second one of a kind. */
static void repeated_and_descending_roles_are_refused(void **state)
{
    (void)state;
    static const uint8_t roles[][2] = { { 1, 1 }, { 7, 7 }, { 7, 1 } };
    struct buf bytes = operations_signed(KIND_SUBMITTER, key); /* its roles are 1 and 7 */
    static const uint8_t packed[] = { 4 << 3 | DELIMITED, 2, 1, 7 };
    size_t at = span_find(buf_span(&bytes), SPAN_OF_ARRAY(packed));
    assert_int_not_equal(at, SIZE_MAX);
    for (size_t i = 0; i < COUNT(roles); i++) {
        struct operation operation;
        struct err err;
        memcpy(bytes.data + at + 2, roles[i], 2);
        assert_int_equal(operation_decode(&operation, buf_span(&bytes), &err), E_MALFORMED);
        assert_non_null(strstr(err.msg, "registration.roles"));
    }
    buf_clear(&bytes);
}

static void other_lengths_of_bytes_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct buf bytes = operations_signed(kinds[i], key);
        struct piece pieces[PIECES_MAX];
        size_t count = cut(pieces, buf_span(&bytes));
        for (size_t k = 0; k < count; k++) {
            if (pieces[k].wire_type != DELIMITED || pieces[k].number == 13) {
                continue;
            }
            for (size_t len = 0; len < 300; len++) {
                uint8_t content[300] = { 0 };
                struct buf field = BUF_INIT(4096);
                put_delimited(&field, pieces[k].number, span_of(content, len));
                struct buf changed = join(pieces, count, k, k, buf_span(&field));
                if (len != pieces[k].content.len) {
                    assert_refused(&changed, "length");
                }
                buf_clear(&changed);
                buf_clear(&field);
            }
        }
        buf_clear(&bytes);
    }
}

/* These overrun an array unless they are counted: operation_put cannot make them. */
static void one_reference_or_court_too_many_is_refused(void **state)
{
    (void)state;
    struct operation freeze = operations_make(KIND_FREEZE, key);
    freeze.reference_count = OPERATION_REFERENCES_MAX;
    struct buf bytes = operations_bytes(&freeze, key);
    struct piece pieces[PIECES_MAX];
    size_t count = cut(pieces, buf_span(&bytes));
    struct buf more = join(pieces, count, SIZE_MAX, 7, pieces[7].bytes);
    assert_int_equal(pieces[7].number, 8);
    assert_refused(&more, "17 references");
    buf_clear(&more);
    buf_clear(&bytes);

    struct operation submitter = operations_make(KIND_SUBMITTER, key);
    struct registration *registration = &submitter.registration;
    for (size_t i = 0; i < REGISTRATION_COURTS_MAX; i++) {
        registration->courts[i].bytes[0] = (uint8_t)(i + 1);
    }
    registration->court_count = REGISTRATION_COURTS_MAX;
    bytes = operations_bytes(&submitter, key);
    count = cut(pieces, buf_span(&bytes));
    assert_int_equal(pieces[5].number, 12);
    /* The courts begin behind the key and the name; each takes 10 bytes. */
    size_t at = 2 + 32 + 2 + strlen(registration->name);
    struct span content = pieces[5].content;
    struct buf longer = BUF_INIT(4096), field = BUF_INIT(4096);
    buf_put(&longer, span_slice(content, 0, at));
    buf_put(&longer, span_of("\x1a\x08\0\0\0\0\0\0\0\0", 10));
    buf_put(&longer, span_slice(content, at, content.len - at));
    put_delimited(&field, 12, buf_span(&longer));
    more = join(pieces, count, 5, 5, buf_span(&field));
    struct operation operation;
    struct err err;
    assert_int_equal(operation_decode(&operation, buf_span(&more), &err), E_MALFORMED);
    assert_string_equal(err.msg, "registration.courts: more than 64");
    buf_clear(&longer);
    buf_clear(&field);
    buf_clear(&more);
    buf_clear(&bytes);
}

static void vouched_is_one_or_left_out(void **state)
{
    (void)state;
    struct operation freeze = operations_make(KIND_FREEZE, key);
    freeze.is_vouched = true;
    struct buf bytes = operations_bytes(&freeze, key);
    struct operation operation;
    struct err err;
    assert_int_equal(operation_decode(&operation, buf_span(&bytes), &err), E_OK);
    assert_int_equal(bytes.data[bytes.len - 2], 11 << 3);
    for (unsigned value = 2; value < 128; value++) {
        bytes.data[bytes.len - 1] = (uint8_t)value;
        assert_int_equal(operation_decode(&operation, buf_span(&bytes), &err), E_MALFORMED);
        assert_string_equal(err.msg, "vouched: must be 1, or left out");
    }
    buf_clear(&bytes);
}

/* Thirty thousand references, openings or fields of two bytes each: refused, with memory that is bounded. */
static void a_flood_of_small_fields_is_refused(void **state)
{
    (void)state;
    static const uint8_t numbers[] = { 1, 4, 8, 12, 16, 18 };
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct buf bytes = operations_signed(KIND_FREEZE, key);
        struct buf flood = BUF_INIT(OPERATION_BYTES_MAX);
        buf_put(&flood, buf_span(&bytes));
        while (buf_room(&flood) >= 3) {
            put_varint(&flood, (unsigned)numbers[i] << 3 | (numbers[i] == 1 ? 0 : DELIMITED), 1);
            buf_put_u8(&flood, 0);
        }
        assert_refused(&flood, "flood");
        buf_clear(&flood);
        buf_clear(&bytes);
    }
}

static void what_is_over_the_maximum_is_not_read(void **state)
{
    (void)state;
    uint8_t *bytes = mem_calloc(1, OPERATION_BYTES_MAX + 1);
    struct operation operation;
    struct err err;
    assert_int_equal(operation_decode(&operation, span_of(bytes, OPERATION_BYTES_MAX + 1), &err),
                     E_TOO_LARGE);
    assert_int_equal(operation_decode(&operation, span_of(bytes, OPERATION_BYTES_MAX), &err),
                     E_MALFORMED);
    assert_int_equal(operation_decode(&operation, span_of(NULL, 0), &err), E_MALFORMED);
    mem_free(bytes);
}

static void a_failed_decode_leaves_its_output_as_it_was(void **state)
{
    (void)state;
    static struct operation operation, before;
    memset(&operation, 0x5a, sizeof operation);
    memset(&before, 0x5a, sizeof before);
    struct buf bytes = operations_signed(KIND_UNSEAL, key);
    struct err err;
    assert_int_equal(operation_decode(&operation, span_slice(buf_span(&bytes), 0, bytes.len - 1),
                                      &err),
                     E_MALFORMED);
    bytes.data[1] = 2;
    assert_int_equal(operation_decode(&operation, buf_span(&bytes), &err), E_MALFORMED);
    assert_memory_equal(&operation, &before, sizeof before);
    buf_clear(&bytes);
}

static void peeking_at_a_tag_takes_any_bytes(void **state)
{
    (void)state;
    struct hash tag;
    struct buf bytes = operations_signed(KIND_FREEZE, key);
    assert_false(operation_peek_tag(&tag, span_of(NULL, 0)));
    assert_false(operation_peek_tag(&tag, span_of_str("opaque bytes")));
    for (size_t len = 0; len < 53; len++) {
        assert_false(operation_peek_tag(&tag, span_slice(buf_span(&bytes), 0, len)));
    }
    assert_true(operation_peek_tag(&tag, buf_span(&bytes)));
    struct hash expected = operations_hash("tag");
    assert_true(hash_is_equal(&tag, &expected));
    bytes.data[1] = 2;
    assert_false(operation_peek_tag(&tag, buf_span(&bytes)));
    buf_clear(&bytes);
}

static int set_up(void **state)
{
    (void)state;
    key = operations_key("submitter");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    signing_key_free(key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_flipped_bit_of_a_signed_record_verifies),
        cmocka_unit_test(no_changed_byte_of_a_longer_record_verifies),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_missing_and_every_repeated_field_is_refused),
        cmocka_unit_test(any_other_order_is_refused),
        cmocka_unit_test(numbers_and_lengths_have_one_width),
        cmocka_unit_test(numbers_are_not_cut_to_their_type),
        cmocka_unit_test(other_versions_and_kinds_are_refused),
        cmocka_unit_test(default_values_are_left_out),
        cmocka_unit_test(unknown_fields_are_refused_wherever_they_stand),
        cmocka_unit_test(unknown_fields_inside_a_registration_or_an_opening_are_refused),
        cmocka_unit_test(an_unknown_field_is_refused_by_its_number),
        cmocka_unit_test(repeated_and_descending_roles_are_refused),
        cmocka_unit_test(other_lengths_of_bytes_are_refused),
        cmocka_unit_test(one_reference_or_court_too_many_is_refused),
        cmocka_unit_test(vouched_is_one_or_left_out),
        cmocka_unit_test(a_flood_of_small_fields_is_refused),
        cmocka_unit_test(what_is_over_the_maximum_is_not_read),
        cmocka_unit_test(a_failed_decode_leaves_its_output_as_it_was),
        cmocka_unit_test(peeking_at_a_tag_takes_any_bytes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
