#include "record/commitment.h"

#include "tests/support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A record's 32 fields: every odd one is present. */
struct record {
    struct hash context;
    char texts[FIELDS][8];
    struct field_value fields[FIELDS];
    struct hash digests[FIELDS];
    struct hash root;
};

static struct ed25519_public key_from(uint8_t first)
{
    struct ed25519_public key;
    for (size_t i = 0; i < sizeof key.bytes; i++) {
        key.bytes[i] = (uint8_t)(first + i);
    }
    return key;
}

static struct hash tag_from(uint8_t first)
{
    struct hash tag;
    for (size_t i = 0; i < sizeof tag.bytes; i++) {
        tag.bytes[i] = (uint8_t)(first + i);
    }
    return tag;
}

static struct hash context_of(const char *origin, uint16_t schema, uint8_t key, uint8_t tag)
{
    struct ed25519_public public = key_from(key);
    struct hash entry_tag = tag_from(tag);
    return commitment_context(origin, schema, &public, &entry_tag);
}

static void commit(struct record *record)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        record->digests[i] = commitment_digest(&record->context, i, &record->fields[i]);
    }
    record->root = commitment_root(record->digests);
}

static void make_record(struct record *record, struct hash context)
{
    memset(record, 0, sizeof *record);
    record->context = context;
    for (unsigned i = 0; i < FIELDS; i++) {
        struct field_value *field = &record->fields[i];
        memset(field->salt, (int)i, sizeof field->salt);
        field->is_present = i % 2 == 1;
        if (field->is_present) {
            (void)snprintf(record->texts[i], sizeof record->texts[i], "v%u", i);
            field->value = span_of_str(record->texts[i]);
        }
    }
    commit(record);
}

static struct record *usual_record(void)
{
    static struct record record;
    make_record(&record, context_of("log.example/one", 1, 0, 100));
    return &record;
}

/* As whoever is shown a field does: the digest is made of what is shown, and must be where its number is. */
static bool opens(const struct hash *root, const struct hash *context, unsigned number,
                  const struct field_value *field, const struct hash *hashes)
{
    struct hash digest = commitment_digest(context, number, field);
    struct err err;
    enum err_code rc = commitment_verify(root, &digest, number, hashes, &err);
    assert_true(rc == E_OK || rc == E_BAD_PROOF);
    return rc == E_OK;
}

/* Whether the field opens with the proof of any place. */
static bool opens_anywhere(const struct hash *root, const struct hash *context, unsigned number,
                           const struct field_value *field, const struct hash *digests)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        struct hash hashes[OPENING_HASHES];
        commitment_prove(hashes, digests, i);
        if (opens(root, context, number, field, hashes)) {
            return true;
        }
    }
    return false;
}

/* -- the formulas -- */

/* Made by a program of a few lines in another language, from the formulas in the header. */
static void commitments_are_those_of_the_published_formulas(void **state)
{
    (void)state;
    const struct record *record = usual_record();
    struct hash expected =
        vectors_hash_str("df60239479328181ce96c281ab5ecd2c3959b7451be6b129c726b833ed06fe9b");
    assert_true(hash_is_equal(&record->context, &expected));
    expected = vectors_hash_str("e47d57d551d7e08e08b19aa23d2d02c423fff9c28f1714f111c7498a4d6d411a");
    assert_true(hash_is_equal(&record->digests[13], &expected));
    expected = vectors_hash_str("ded0dedc7034c8ddf0ce923911cb181abce3eba07fc89e84b003a26598021e85");
    assert_true(hash_is_equal(&record->root, &expected));

    uint8_t salt[FIELD_SALT_BYTES];
    memset(salt, 7, sizeof salt);
    struct hash document = sha256(span_of_str("abc"));
    struct hash found = commitment_document(salt, &document);
    expected = vectors_hash_str("a00c715181d42f365db2bdc8178f160dc61f47ed75ba865676474bddb49ccb56");
    assert_true(hash_is_equal(&found, &expected));
    found = commitment_document(salt, NULL);
    expected = vectors_hash_str("f171f3aca5926629e011de3e283d4c921bccab70be4d727d8315a2b013dbdde3");
    assert_true(hash_is_equal(&found, &expected));
}

/* RFC 6962's MTH and PATH as it writes them, over digests lo to hi. */
static size_t split(size_t n)
{
    size_t k = 1;
    while (k < n - k) {
        k *= 2;
    }
    return k;
}

static struct hash tree_hash(const struct hash *digests, size_t lo, size_t hi)
{
    if (hi - lo == 1) {
        struct span leaf[] = { span_of("\x00", 1), hash_span(&digests[lo]) };
        return sha256_parts(leaf, 2);
    }
    size_t mid = lo + split(hi - lo);
    struct hash left = tree_hash(digests, lo, mid), right = tree_hash(digests, mid, hi);
    struct span node[] = { span_of("\x01", 1), hash_span(&left), hash_span(&right) };
    return sha256_parts(node, 3);
}

struct path {
    size_t count;
    struct hash hashes[OPENING_HASHES + 2];
};

static void put_path(struct path *out, const struct hash *digests, size_t m, size_t lo, size_t hi)
{
    if (hi - lo == 1) {
        return;
    }
    size_t mid = lo + split(hi - lo);
    if (m < mid) {
        put_path(out, digests, m, lo, mid);
        out->hashes[out->count++] = tree_hash(digests, mid, hi);
    } else {
        put_path(out, digests, m, mid, hi);
        out->hashes[out->count++] = tree_hash(digests, lo, mid);
    }
}

static void root_and_proofs_are_those_of_rfc_6962(void **state)
{
    (void)state;
    const struct record *record = usual_record();
    struct hash root = tree_hash(record->digests, 0, FIELDS);
    assert_true(hash_is_equal(&record->root, &root));
    for (unsigned i = 0; i < FIELDS; i++) {
        struct path path = { .count = 0 };
        struct hash hashes[OPENING_HASHES];
        put_path(&path, record->digests, i, 0, FIELDS);
        commitment_prove(hashes, record->digests, i);
        assert_int_equal(path.count, OPENING_HASHES);
        assert_memory_equal(hashes, path.hashes, sizeof hashes);
    }
}

static void every_field_opens_at_its_own_place_only(void **state)
{
    (void)state;
    const struct record *record = usual_record();
    for (unsigned i = 0; i < FIELDS; i++) {
        struct hash hashes[OPENING_HASHES];
        struct err err;
        commitment_prove(hashes, record->digests, i);
        assert_true(opens(&record->root, &record->context, i, &record->fields[i], hashes));
        for (unsigned number = 0; number < 300; number++) {
            enum err_code rc =
                commitment_verify(&record->root, &record->digests[i], number, hashes, &err);
            assert_int_equal(rc, number == i ? E_OK : E_BAD_PROOF);
        }
    }
}

static void any_changed_bit_is_refused(void **state)
{
    (void)state;
    const struct record *record = usual_record();
    struct hash hashes[OPENING_HASHES];
    struct err err;
    for (unsigned i = 0; i < FIELDS; i += 5) {
        commitment_prove(hashes, record->digests, i);
        for (size_t bit = 0; bit < sizeof hashes * 8; bit++) {
            ((uint8_t *)hashes)[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(commitment_verify(&record->root, &record->digests[i], i, hashes, &err),
                             E_BAD_PROOF);
            ((uint8_t *)hashes)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t bit = 0; bit < HASH_BYTES * 8; bit++) {
            struct hash digest = record->digests[i], root = record->root;
            digest.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            root.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(commitment_verify(&record->root, &digest, i, hashes, &err),
                             E_BAD_PROOF);
            assert_int_equal(commitment_verify(&root, &record->digests[i], i, hashes, &err),
                             E_BAD_PROOF);
        }
    }
}

/* -- attacks -- */

static void indices_of_32_and_beyond_are_refused(void **state)
{
    (void)state;
    const struct record *record = usual_record();
    static const unsigned numbers[] = { 32, 33, 63, 64, 255, 256, 65536, 1U << 31, UINT32_MAX };
    for (unsigned i = 0; i < FIELDS; i++) {
        struct hash hashes[OPENING_HASHES];
        struct err err;
        commitment_prove(hashes, record->digests, i);
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            assert_int_equal(commitment_verify(&record->root, &record->digests[i], numbers[k],
                                               hashes, &err),
                             E_BAD_PROOF);
            assert_int_equal(commitment_verify(&record->root, &record->digests[i], i + numbers[k],
                                               hashes, &err),
                             i + numbers[k] == i ? E_OK : E_BAD_PROOF);
        }
    }
}

/* One field committed twice, with two values, the second one in another field's place. */
static void a_twin_leaf_opens_nothing(void **state)
{
    (void)state;
    struct record *record = usual_record();
    struct field_value twin = record->fields[FIELD_AMOUNT];
    twin.value = span_of_str("twin");
    for (unsigned place = 0; place < FIELDS; place++) {
        struct hash digests[FIELDS];
        memcpy(digests, record->digests, sizeof digests);
        digests[place] = commitment_digest(&record->context, FIELD_AMOUNT, &twin);
        struct hash root = commitment_root(digests);
        bool is_own = place == FIELD_AMOUNT; /* then it is no twin, but the value */
        assert_int_equal(opens_anywhere(&root, &record->context, FIELD_AMOUNT, &twin, digests),
                         is_own);
        assert_int_equal(opens_anywhere(&root, &record->context, FIELD_AMOUNT,
                                        &record->fields[FIELD_AMOUNT], digests),
                         !is_own);
        /* Nor is it a value of the field in whose place it is. */
        if (!is_own) {
            assert_false(opens_anywhere(&root, &record->context, place, &twin, digests));
        }
    }
}

static void swapped_leaves_open_nothing(void **state)
{
    (void)state;
    struct record *record = usual_record();
    for (unsigned a = 0; a < FIELDS; a++) {
        for (unsigned b = a + 1; b < FIELDS; b += 3) {
            struct hash digests[FIELDS];
            memcpy(digests, record->digests, sizeof digests);
            digests[a] = record->digests[b];
            digests[b] = record->digests[a];
            struct hash root = commitment_root(digests);
            assert_false(hash_is_equal(&root, &record->root));
            assert_false(opens_anywhere(&root, &record->context, a, &record->fields[a], digests));
            assert_false(opens_anywhere(&root, &record->context, b, &record->fields[b], digests));
            /* Nor one field's value as the other's. */
            assert_false(opens_anywhere(&root, &record->context, a, &record->fields[b], digests));
        }
    }
}

/* Leaves as of a record whose 32 fields come twice. */
static void put_twice(struct hash digests[static 2 * FIELDS], const struct record *record)
{
    memcpy(digests, record->digests, sizeof record->digests);
    for (unsigned i = 0; i < FIELDS; i++) {
        struct field_value other = record->fields[i];
        other.salt[0] ^= 0x80;
        digests[FIELDS + i] = commitment_digest(&record->context, i, &other);
    }
}

/* Bit n: leaf `i` of the tree of `size` passes for field n with five hashes in a row of its path. */
static uint64_t passes_for(const struct hash *digests, size_t size, size_t i)
{
    struct hash root = tree_hash(digests, 0, size);
    struct path path = { .count = 0 };
    struct err err;
    uint64_t fields = 0;
    put_path(&path, digests, i, 0, size);
    size_t over = path.count > OPENING_HASHES ? path.count - OPENING_HASHES : 0;
    for (unsigned n = 0; n < 2 * FIELDS; n++) {
        if (commitment_verify(&root, &digests[i], n, path.hashes, &err) == E_OK ||
            commitment_verify(&root, &digests[i], n, path.hashes + over, &err) == E_OK) {
            fields |= UINT64_C(1) << n;
        }
    }
    return fields;
}

static void trees_of_33_and_more_leaves_open_nothing(void **state)
{
    (void)state;
    struct hash digests[2 * FIELDS];
    put_twice(digests, usual_record());
    static const size_t sizes[] = { 33, 34, 64 };
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t i = 0; i < sizes[s]; i++) {
            assert_int_equal(passes_for(digests, sizes[s], i), 0);
        }
    }
}

/* The proof of one leaf does not tell how large the tree is on the other side. So some leaves of a tree of 31
 * have proofs that pass, but only for their own field, and the last field has none: whoever made it shut
 * himself out. */
static void a_tree_of_31_leaves_opens_no_field_elsewhere(void **state)
{
    (void)state;
    const struct record *record = usual_record();
    for (size_t size = 1; size < FIELDS; size++) {
        for (size_t i = 0; i < size; i++) {
            uint64_t own = i + 1 < size ? UINT64_C(1) << i : 0;
            assert_int_equal(passes_for(record->digests, size, i) & ~own, 0);
        }
    }
}

/* Whatever the tree: two digests never pass for one field. */
static void no_tree_of_another_size_opens_a_field_twice(void **state)
{
    (void)state;
    struct hash digests[2 * FIELDS];
    put_twice(digests, usual_record());
    for (size_t size = 1; size <= 2 * FIELDS; size++) {
        uint64_t passed = 0;
        for (size_t i = 0; i < size; i++) {
            uint64_t fields = passes_for(digests, size, i);
            assert_int_equal(fields & passed, 0);
            passed |= fields;
        }
    }
}

/* Payload and disclosure have all 32 digests: of any other tree they make another root. */
static void no_32_digests_make_the_root_of_another_tree(void **state)
{
    (void)state;
    struct hash all[2 * FIELDS];
    put_twice(all, usual_record());
    static const struct hash zero;
    for (size_t size = 1; size <= 2 * FIELDS; size++) {
        struct hash root = tree_hash(all, 0, size);
        const struct hash fillers[] = { zero, sha256(span_of(NULL, 0)), all[0], root,
                                        all[size - 1] };
        for (size_t f = 0; f < sizeof fillers / sizeof fillers[0]; f++) {
            struct hash digests[FIELDS];
            memcpy(digests, all, sizeof digests);
            for (size_t i = size; i < FIELDS; i++) {
                digests[i] = fillers[f];
            }
            struct hash made = commitment_root(digests);
            assert_int_equal(hash_is_equal(&made, &root), size == FIELDS);
        }
    }
}

static void an_inner_node_is_no_leaf(void **state)
{
    (void)state;
    const struct record *record = usual_record();
    struct hash hashes[OPENING_HASHES];
    struct err err;
    for (unsigned i = 0; i < FIELDS; i += 2) {
        commitment_prove(hashes, record->digests, i);
        struct hash node = tree_hash(record->digests, i, i + 2);
        struct hash leaf = tree_hash(record->digests, i, i + 1);
        for (unsigned number = 0; number < FIELDS; number++) {
            assert_int_equal(commitment_verify(&record->root, &node, number, hashes + 0, &err),
                             E_BAD_PROOF);
            assert_int_equal(commitment_verify(&record->root, &leaf, number, hashes, &err),
                             E_BAD_PROOF);
        }
    }
}

/* The same fields with the same salts, in a record of another log, version, key or tag. */
static void a_transplanted_root_opens_nothing(void **state)
{
    (void)state;
    struct record *record = usual_record();
    const struct hash others[] = {
        context_of("log.example/two", 1, 0, 100),   context_of("log.example/on", 1, 0, 100),
        context_of("log.example/one\n", 1, 0, 100), context_of("", 1, 0, 100),
        context_of("log.example/one", 2, 0, 100),   context_of("log.example/one", 256, 0, 100),
        context_of("log.example/one", 1, 1, 100),   context_of("log.example/one", 1, 0, 101),
    };
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
        static struct record other;
        make_record(&other, others[k]);
        assert_false(hash_is_equal(&other.root, &record->root));
        for (unsigned i = 0; i < FIELDS; i++) {
            struct hash hashes[OPENING_HASHES];
            commitment_prove(hashes, record->digests, i);
            assert_false(opens(&record->root, &other.context, i, &record->fields[i], hashes));
            assert_false(opens(&other.root, &other.context, i, &record->fields[i], hashes));
        }
    }
}

/* What is before the key in a context has no fixed size: its length keeps bytes from moving over. */
static void contexts_do_not_run_into_each_other(void **state)
{
    (void)state;
    struct ed25519_public key = key_from(0), shifted_key;
    struct hash tag = tag_from(100);
    char longer[] = "log.example/one??";
    longer[sizeof longer - 3] = 0x01; /* the schema's two bytes as the end of an origin */
    longer[sizeof longer - 2] = 0x02;
    shifted_key = key;
    struct hash a = commitment_context("log.example/one", 0x0102, &key, &tag);
    struct hash b = commitment_context(longer, 0x0102, &shifted_key, &tag);
    struct hash c =
        commitment_context(longer, (uint16_t)(key.bytes[0] << 8 | key.bytes[1]), &key, &tag);
    assert_false(hash_is_equal(&a, &b));
    assert_false(hash_is_equal(&a, &c));
}

static void present_with_an_empty_value_is_not_absent(void **state)
{
    (void)state;
    const struct record *record = usual_record();
    struct field_value empty = { .is_present = true }, absent = { .is_present = false };
    for (unsigned i = 0; i < FIELDS; i++) {
        struct hash a = commitment_digest(&record->context, i, &empty);
        struct hash b = commitment_digest(&record->context, i, &absent);
        assert_false(hash_is_equal(&a, &b));
    }
    struct hash hashes[OPENING_HASHES];
    struct field_value shown = record->fields[FIELD_REFERENCES]; /* absent in this record */
    commitment_prove(hashes, record->digests, FIELD_REFERENCES);
    assert_true(opens(&record->root, &record->context, FIELD_REFERENCES, &shown, hashes));
    shown.is_present = true;
    assert_false(opens(&record->root, &record->context, FIELD_REFERENCES, &shown, hashes));
}

static void another_value_salt_or_length_does_not_open(void **state)
{
    (void)state;
    const struct record *record = usual_record();
    struct hash hashes[OPENING_HASHES];
    commitment_prove(hashes, record->digests, FIELD_AMOUNT);
    struct field_value shown = record->fields[FIELD_AMOUNT];
    for (size_t bit = 0; bit < 8 * sizeof shown.salt; bit++) {
        shown.salt[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(opens(&record->root, &record->context, FIELD_AMOUNT, &shown, hashes));
        shown.salt[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(opens(&record->root, &record->context, FIELD_AMOUNT, &shown, hashes));
    static const char *const values[] = { "", "v", "v1", "v14", "v130", " v13", "V13" };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        shown.value = span_of_str(values[i]);
        assert_false(opens(&record->root, &record->context, FIELD_AMOUNT, &shown, hashes));
    }
    shown.value = span_of("v13", 4);
    assert_false(opens(&record->root, &record->context, FIELD_AMOUNT, &shown, hashes));
}

static void documents_are_bound_with_salt_and_presence(void **state)
{
    (void)state;
    uint8_t salt[FIELD_SALT_BYTES] = { 1 }, other[FIELD_SALT_BYTES] = { 2 };
    static const struct hash zeros;
    struct hash digest = sha256(span_of_str("a"));
    const struct hash all[] = { commitment_document(salt, NULL), commitment_document(other, NULL),
                                commitment_document(salt, &zeros),
                                commitment_document(salt, &digest),
                                commitment_document(other, &digest) };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_false(hash_is_equal(&all[i], &all[k]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commitments_are_those_of_the_published_formulas),
        cmocka_unit_test(root_and_proofs_are_those_of_rfc_6962),
        cmocka_unit_test(every_field_opens_at_its_own_place_only),
        cmocka_unit_test(any_changed_bit_is_refused),
        cmocka_unit_test(indices_of_32_and_beyond_are_refused),
        cmocka_unit_test(a_twin_leaf_opens_nothing),
        cmocka_unit_test(swapped_leaves_open_nothing),
        cmocka_unit_test(trees_of_33_and_more_leaves_open_nothing),
        cmocka_unit_test(a_tree_of_31_leaves_opens_no_field_elsewhere),
        cmocka_unit_test(no_tree_of_another_size_opens_a_field_twice),
        cmocka_unit_test(no_32_digests_make_the_root_of_another_tree),
        cmocka_unit_test(an_inner_node_is_no_leaf),
        cmocka_unit_test(a_transplanted_root_opens_nothing),
        cmocka_unit_test(contexts_do_not_run_into_each_other),
        cmocka_unit_test(present_with_an_empty_value_is_not_absent),
        cmocka_unit_test(another_value_salt_or_length_does_not_open),
        cmocka_unit_test(documents_are_bound_with_salt_and_presence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
