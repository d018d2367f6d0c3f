/* ML-DSA-44, against the vectors of C2SP's CCTV and of its implementers. What needs the algorithm says so and skips
 * where libcrypto has none. */
#include "base/ml_dsa.h"

#include "base/ascii.h"
#include "base/crypto.h"
#include "tlog/checkpoint.h"
#include "tlog/cosignature.h"
#include "tlog/policy.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DASH "\xe2\x80\x94 "

static const char tree[] =
    "example.com/log/testdata\n8\nbC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=\n";
static const char dev_witness[] = "dev.witness.example";

enum {
    TIME = 1767139200
};

static void skip_without(void)
{
    if (!ml_dsa_is_available()) {
        print_message("%s has no ML-DSA-44\n", crypto_library());
        skip();
    }
}

static void assert_sha256(struct span bytes, const char *expected)
{
    char text[2 * HASH_BYTES + 1];
    struct hash hash = sha256(bytes);
    struct buf hex = BUF_INIT(sizeof text);
    hex_put(&hex, hash_span(&hash));
    snprintf(text, sizeof text, "%s", buf_c_str(&hex));
    buf_clear(&hex);
    assert_string_equal(text, expected);
}

static struct ml_dsa_key *key_of(const uint8_t *seed)
{
    struct ml_dsa_key *key;
    struct err err;
    assert_int_equal(ml_dsa_key_from_seed(&key, seed, &err), E_OK);
    return key;
}

static struct ml_dsa_key *dev_key(void)
{
    uint8_t seed[ML_DSA_44_SEED_BYTES];
    memset(seed, 0x42, sizeof seed);
    return key_of(seed);
}

/* Any bytes are a public key, with or without the algorithm. */
static struct vkey made_vkey(const char *name, uint8_t fill)
{
    uint8_t bytes[ML_DSA_44_PUBLIC_BYTES];
    memset(bytes, fill, sizeof bytes);
    return vkey_make_ml_dsa(name, ml_dsa_public_of(SPAN_OF_ARRAY(bytes)));
}

static void equal_public_keys_are_one_object(void **state)
{
    (void)state;
    struct vkey a = made_vkey("a", 1), b = made_vkey("b", 1), c = made_vkey("a", 2);
    assert_ptr_equal(a.ml_dsa, b.ml_dsa);
    assert_ptr_not_equal(a.ml_dsa, c.ml_dsa);
    assert_false(vkey_is_equal(&a, &b));
    assert_false(vkey_is_equal(&a, &c));
    assert_int_equal(ml_dsa_public_bytes(a.ml_dsa).len, ML_DSA_44_PUBLIC_BYTES);
}

static void keys_and_signatures_are_those_of_the_accumulated_vector(void **state)
{
    (void)state;
    enum {
        COUNT = 100
    };
    skip_without();
    EVP_MD *shake = EVP_MD_fetch(NULL, "SHAKE128", NULL);
    EVP_MD_CTX *seeds = EVP_MD_CTX_new(), *all = EVP_MD_CTX_new();
    uint8_t stream[COUNT * ML_DSA_44_SEED_BYTES], digest[HASH_BYTES];
    assert_int_equal(EVP_DigestInit_ex2(seeds, shake, NULL), 1);
    assert_int_equal(EVP_DigestFinalXOF(seeds, stream, sizeof stream), 1);
    assert_int_equal(EVP_DigestInit_ex2(all, shake, NULL), 1);
    for (size_t i = 0; i < COUNT; i++) {
        struct ml_dsa_key *key = key_of(stream + i * ML_DSA_44_SEED_BYTES);
        struct span public = ml_dsa_public_bytes(ml_dsa_key_public(key));
        struct buf signature = BUF_INIT(ML_DSA_44_SIGNATURE_BYTES);
        ml_dsa_sign_plainly(key, span_of("", 0), &signature);
        assert_true(ml_dsa_verify(ml_dsa_key_public(key), span_of("", 0), buf_span(&signature)));
        assert_int_equal(EVP_DigestUpdate(all, public.data, public.len), 1);
        assert_int_equal(EVP_DigestUpdate(all, signature.data, signature.len), 1);
        buf_clear(&signature);
        ml_dsa_key_free(key);
    }
    assert_int_equal(EVP_DigestFinalXOF(all, digest, sizeof digest), 1);
    struct buf hex = BUF_INIT(2 * sizeof digest + 1);
    hex_put(&hex, SPAN_OF_ARRAY(digest));
    assert_string_equal(buf_c_str(&hex),
                        "d51148e1f9f4fa1a723a6cf42e25f2a99eb5c1b378b3d2dbbd561b1203beeae4");
    buf_clear(&hex);
    EVP_MD_CTX_free(seeds);
    EVP_MD_CTX_free(all);
    EVP_MD_free(shake);
}

static void keys_come_from_their_seeds(void **state)
{
    (void)state;
    skip_without();
    uint8_t seed[ML_DSA_44_SEED_BYTES], again[ML_DSA_44_SEED_BYTES];
    for (size_t i = 0; i < sizeof seed; i++) {
        seed[i] = (uint8_t)(i + 1);
    }
    struct ml_dsa_key *key = key_of(seed);
    assert_sha256(ml_dsa_public_bytes(ml_dsa_key_public(key)),
                  "cec606d352aba0650d219bc77c12af36b36f8089bee9720cb0cbf65e49c20dd8");
    assert_int_equal(vkey_make_ml_dsa("oid/1.3.6.1.4.1.32473.9", ml_dsa_key_public(key)).id,
                     0x26740ad7);
    ml_dsa_key_seed(key, again);
    assert_memory_equal(seed, again, sizeof seed);
    ml_dsa_key_free(key);

    key = dev_key();
    struct vkey vkey = vkey_make_ml_dsa(dev_witness, ml_dsa_key_public(key)), parsed;
    struct buf text = BUF_INIT(VKEY_TEXT_MAX);
    struct err err;
    vkey_put(&text, &vkey);
    assert_int_equal(vkey.id, 0x234ce764);
    assert_int_equal(text.len, 1781);
    assert_sha256(buf_span(&text),
                  "e99c10226dee7374614de74563e22004cc9375554c985e47b4b8eeaa6e92c9fe");
    assert_int_equal(vkey_parse(&parsed, buf_span(&text), &err), E_OK);
    assert_true(vkey_is_equal(&vkey, &parsed));
    buf_clear(&text);
    ml_dsa_key_free(key);
}

static void subtree_messages_have_their_layout(void **state)
{
    (void)state;
    struct cosigned_subtree subtree = { .cosigner = span_of_str("a"),
                                        .origin = span_of_str("b"),
                                        .start = 0x0910111213141516,
                                        .end = 0x1718191a1b1c1d1e };
    memset(subtree.hash.bytes, 0x42, HASH_BYTES);
    struct buf message = BUF_INIT(COSIGNATURE_SUBTREE_MESSAGE_MAX), hex = BUF_INIT(1024);
    cosignature_put_subtree_message(&message, &subtree, 0x0102030405060708);
    hex_put(&hex, buf_span(&message));
    assert_string_equal(
        buf_c_str(&hex),
        "737562747265652f76310a0001610102030405060708016209101112131415161718191a1b1c1d1e"
        "4242424242424242424242424242424242424242424242424242424242424242");
    buf_clear(&message);
    buf_clear(&hex);
}

static void a_cosignature_is_the_vector_s(void **state)
{
    (void)state;
    skip_without();
    struct ml_dsa_key *key = dev_key();
    struct signer signer = { .vkey = vkey_make_ml_dsa(dev_witness, ml_dsa_key_public(key)),
                             .ml_dsa = key };
    struct checkpoint checkpoint;
    struct err err;
    assert_int_equal(checkpoint_parse(&checkpoint, span_of_str(tree), &err), E_OK);
    struct cosigned_subtree subtree = { .cosigner = span_of_str(dev_witness),
                                        .origin = span_of_str(checkpoint.origin),
                                        .end = 8,
                                        .hash = checkpoint.root };
    struct buf message = BUF_INIT(COSIGNATURE_SUBTREE_MESSAGE_MAX),
               blob = BUF_INIT(COSIGNATURE_ML_DSA_BYTES);
    cosignature_put_subtree_message(&message, &subtree, TIME);
    assert_int_equal(message.len, 113);
    assert_sha256(buf_span(&message),
                  "4d4e9de021352ea5d6c03aeb1bf5f006ac8c58da9289d13f92b6e3571e92ea07");
    buf_put_u64(&blob, TIME);
    ml_dsa_sign_plainly(key, buf_span(&message), &blob);
    assert_sha256(span_slice(buf_span(&blob), 8, ML_DSA_44_SIGNATURE_BYTES),
                  "04b51ac25aedbf8518871ea35b9e180af2ec2b374fb06c85fc9d73d91e0ef05d");
    struct note_line line = { .name = span_of_str(dev_witness),
                              .key_id = signer.vkey.id,
                              .signature = buf_span(&blob) };
    struct buf text = BUF_INIT(4096);
    note_put_line(&text, &line);
    assert_int_equal(text.len, 3269);
    assert_sha256(buf_span(&text),
                  "090c94f2972336a46a407f7f61fa4f538a84e1d7220a3ec63ef3f8163978b36d");
    uint64_t time = 0;
    assert_true(note_signature_is_valid(&signer.vkey, span_of_str(tree), buf_span(&blob), &time));
    assert_int_equal(time, TIME);
    buf_clear(&message);
    buf_clear(&blob);
    buf_clear(&text);
    signer_clear(&signer);
}

/* -- what does not verify -- */

static struct buf sign_at(const struct ml_dsa_key *key, const char *name, uint64_t time,
                          const char *text)
{
    struct checkpoint checkpoint;
    struct err err;
    struct buf message = BUF_INIT(COSIGNATURE_SUBTREE_MESSAGE_MAX),
               blob = BUF_INIT(COSIGNATURE_ML_DSA_BYTES);
    assert_int_equal(checkpoint_parse(&checkpoint, span_of_str(text), &err), E_OK);
    struct cosigned_subtree subtree = { .cosigner = span_of_str(name),
                                        .origin = span_of_str(checkpoint.origin),
                                        .end = checkpoint.size,
                                        .hash = checkpoint.root };
    cosignature_put_subtree_message(&message, &subtree, time);
    buf_put_u64(&blob, time);
    ml_dsa_sign(key, buf_span(&message), &blob);
    buf_clear(&message);
    return blob;
}

static bool is_valid(const struct ml_dsa_key *key, const char *name, const char *text,
                     struct span blob)
{
    uint64_t time;
    return cosignature_ml_dsa_is_valid(ml_dsa_key_public(key), name, span_of_str(text), blob,
                                       &time);
}

static void every_changed_byte_and_length_is_refused(void **state)
{
    (void)state;
    skip_without();
    struct ml_dsa_key *key = dev_key();
    struct buf blob = sign_at(key, dev_witness, TIME, tree);
    assert_true(is_valid(key, dev_witness, tree, buf_span(&blob)));
    for (size_t i = 0; i < blob.len; i += i < 64 ? 1 : 29) {
        blob.data[i] ^= 1;
        assert_false(is_valid(key, dev_witness, tree, buf_span(&blob)));
        blob.data[i] ^= 1;
    }
    assert_false(is_valid(key, dev_witness, tree, span_of(blob.data, blob.len - 1)));
    assert_false(is_valid(key, dev_witness, tree, span_of(blob.data, 0)));
    assert_false(is_valid(key, "dev.witness.exampl", tree, buf_span(&blob)));
    buf_clear(&blob);
    ml_dsa_key_free(key);
}

static void time_0_is_for_a_log_s_own_signature_and_extension_lines_for_none(void **state)
{
    (void)state;
    static const char extended[] =
        "example.com/log/testdata\n8\nbC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=\nmore\n";
    skip_without();
    struct ml_dsa_key *key = dev_key();
    struct buf witness = sign_at(key, dev_witness, 0, tree);
    struct buf log = sign_at(key, "example.com/log/testdata", 0, tree);
    struct buf late = sign_at(key, dev_witness, SIZE_VALUE_MAX + 1ull, tree);
    struct buf signed_extended = sign_at(key, dev_witness, TIME, extended);
    assert_false(is_valid(key, dev_witness, tree, buf_span(&witness)));
    assert_true(is_valid(key, "example.com/log/testdata", tree, buf_span(&log)));
    assert_false(is_valid(key, dev_witness, tree, buf_span(&late)));
    assert_false(is_valid(key, dev_witness, extended, buf_span(&signed_extended)));
    struct buf out = BUF_INIT(COSIGNATURE_ML_DSA_BYTES);
    struct err err;
    assert_int_equal(cosignature_put_ml_dsa(&out, key, dev_witness, TIME, span_of_str(extended),
                                            &err),
                     E_MALFORMED);
    assert_int_equal(out.len, 0);
    buf_clear(&out);
    buf_clear(&witness);
    buf_clear(&log);
    buf_clear(&late);
    buf_clear(&signed_extended);
    ml_dsa_key_free(key);
}

/* -- policies: one witness may have two keys -- */

static struct policy *parse_policy(const char *rule)
{
    static const char *const names[] = { "w1.example", "w2.example", "w3.example" };
    struct buf text = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < 3; i++) {
        uint8_t seed[ED25519_SEED_BYTES] = { (uint8_t)(i + 1) };
        struct signing_key *key = signing_key_from_seed(seed);
        struct ed25519_public public = signing_key_public(key);
        struct vkey old = vkey_make(names[i], SIGNATURE_COSIGNATURE, &public);
        struct vkey new = made_vkey(names[i], (uint8_t)(i + 1));
        buf_putf(&text, "witness w%zu ", i + 1);
        vkey_put(&text, &old);
        buf_putf(&text, "\nwitness w%zup ", i + 1);
        vkey_put(&text, &new);
        buf_put_str(&text, "\n");
        signing_key_free(key);
    }
    buf_put_str(&text, rule);
    struct policy *policy;
    struct err err;
    if (policy_parse(&policy, buf_span(&text), &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    buf_clear(&text);
    return policy;
}

static void f_counts_witnesses_and_not_their_keys(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        size_t f, may_be_down;
    } cases[] = {
        { "group q 2 w1 w2 w3\nquorum q\n", 1, 1 },
        { "group a all w1 w1p\ngroup b all w2 w2p\ngroup c all w3 w3p\ngroup q 2 a b c\nquorum q\n",
          1, 1 },
        { "group a any w1 w1p\ngroup b any w2 w2p\ngroup c any w3 w3p\ngroup q 2 a b c\nquorum q\n",
          1, 1 },
        { "group a any w1 w1p\ngroup b any w2 w2p\ngroup c any w3 w3p\ngroup q all a b c\nquorum "
          "q\n",
          3, 0 },
        { "group a all w1 w1p\nquorum a\n", 1, 0 },
        /* Two halves, each a quorum of its own kind: one evil witness of three breaks both. */
        { "group o 2 w1 w2 w3\ngroup n 2 w1p w2p w3p\ngroup q all o n\nquorum q\n", 1, 0 },
        /* Four of six keys: w1 and w2 alone are a quorum, and so are w2 and w3; never more is said than holds. */
        { "group q 4 w1 w1p w2 w2p w3 w3p\nquorum q\n", 1, 1 },
        { "group q 5 w1 w1p w2 w2p w3 w3p\nquorum q\n", 2, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct policy *policy = parse_policy(cases[i].rule);
        if (policy_f(policy) != cases[i].f || policy_may_be_down(policy) != cases[i].may_be_down) {
            fail_msg("%sf %zu, may be down %zu", cases[i].rule, policy_f(policy),
                     policy_may_be_down(policy));
        }
        policy_free(policy);
    }
}

static void the_types_have_their_places(void **state)
{
    (void)state;
    struct vkey vkey = made_vkey("log.example", 9);
    struct err err;
    assert_int_equal(vkey_require_role(&vkey, VKEY_LOG, &err), E_OK);
    assert_int_equal(vkey_require_role(&vkey, VKEY_WITNESS, &err), E_OK);
    assert_int_equal(vkey_require_role(&vkey, VKEY_NOTES, &err), E_MALFORMED);
    struct buf text = BUF_INIT(VKEY_TEXT_MAX);
    struct vkey parsed;
    vkey_put(&text, &vkey);
    assert_int_equal(vkey_parse_ed25519(&parsed, buf_span(&text), &err), E_UNSUPPORTED);
    assert_int_equal(vkey_parse(&parsed, buf_span(&text), &err), E_OK);
    assert_true(vkey_is_equal(&parsed, &vkey));
    text.data[text.len - 9] ^= 1;
    assert_int_not_equal(vkey_parse(&parsed, buf_span(&text), &err), E_OK);
    buf_clear(&text);
}

/* Last: it stays hidden. */
static void what_cannot_be_checked_is_absent_and_named(void **state)
{
    (void)state;
    ml_dsa_hide();
    uint8_t seed[ML_DSA_44_SEED_BYTES] = { 7 },
            signature[COSIGNATURE_ML_DSA_BYTES] = { 0, 0, 0, 1 };
    struct ml_dsa_key *key;
    struct err err;
    assert_int_equal(ml_dsa_key_from_seed(&key, seed, &err), E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "OpenSSL 3.5"));

    struct vkey vkey = made_vkey("w1.example", 1);
    struct note_line line = { .name = span_of_str("w1.example"),
                              .key_id = vkey.id,
                              .signature = SPAN_OF_ARRAY(signature) };
    struct buf bytes = BUF_INIT(16 * 1024);
    buf_putf(&bytes, "%s\n", tree);
    note_put_line(&bytes, &line);
    struct note note;
    assert_int_equal(note_parse(&note, buf_span(&bytes), &err), E_OK);
    const struct vkey *keys[] = { &vkey };
    struct note_verified verified[1];
    size_t count, bad;
    note_verify_each(&note, keys, 1, verified, &count, &bad);
    assert_int_equal(count, 0);
    assert_int_equal(bad, 0);
    assert_true(note_is_unchecked(&note, &vkey));
    assert_int_equal(note_verify(&note, keys, 1, verified, &count, &err), E_BAD_SIGNATURE);
    assert_non_null(strstr(err.msg, "cannot be checked here"));
    struct vkey other = made_vkey("w2.example", 1);
    assert_false(note_is_unchecked(&note, &other));
    note_clear(&note);
    buf_clear(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_public_keys_are_one_object),
        cmocka_unit_test(keys_and_signatures_are_those_of_the_accumulated_vector),
        cmocka_unit_test(keys_come_from_their_seeds),
        cmocka_unit_test(subtree_messages_have_their_layout),
        cmocka_unit_test(a_cosignature_is_the_vector_s),
        cmocka_unit_test(every_changed_byte_and_length_is_refused),
        cmocka_unit_test(time_0_is_for_a_log_s_own_signature_and_extension_lines_for_none),
        cmocka_unit_test(f_counts_witnesses_and_not_their_keys),
        cmocka_unit_test(the_types_have_their_places),
        cmocka_unit_test(what_cannot_be_checked_is_absent_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
