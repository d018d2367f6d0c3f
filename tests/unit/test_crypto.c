#include "base/crypto.h"
#include "tests/support/keys.h"

#include "base/ascii.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void from_hex(uint8_t *out, size_t len, const char *hex)
{
    struct err err;
    assert_int_equal(hex_decode(out, len, span_of_str(hex), &err), E_OK);
}

/* FIPS 180-4's examples, as published with it. */
static const struct {
    const char *text;
    const char *hash;
} sha256_vectors[] = {
    { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static void sha256_gives_the_published_hashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sha256_vectors); i++) {
        struct hash expected;
        from_hex(expected.bytes, HASH_BYTES, sha256_vectors[i].hash);
        struct hash hash = sha256(span_of_str(sha256_vectors[i].text));
        assert_true(hash_is_equal(&hash, &expected));
    }
}

/* However the bytes are cut, the hash is that of the whole; and one computation leaves nothing
 * behind for the next. */
static void sha256_of_pieces_is_that_of_the_whole(void **state)
{
    (void)state;
    uint8_t bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31);
    }
    struct sha256_stream *stream = sha256_stream_new();
    struct hash whole = sha256(SPAN_OF_ARRAY(bytes));
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        struct span parts[] = { span_of(bytes, cut), span_of(bytes + cut, sizeof bytes - cut) };
        struct hash hash = sha256_parts(parts, 2);
        assert_true(hash_is_equal(&hash, &whole));
        sha256_stream_add(stream, parts[0]);
        sha256_stream_add(stream, parts[1]);
        hash = sha256_stream_finish(stream);
        assert_true(hash_is_equal(&hash, &whole));
    }
    sha256_stream_free(stream);
    sha256_stream_free(NULL);
}

static void *hash_in_a_thread(void *memory)
{
    struct hash *hash = memory;
    for (int i = 0; i < 1000; i++) {
        *hash = sha256(span_of_str("abc"));
    }
    return NULL;
}

static void sha256_contexts_are_not_shared_by_threads(void **state)
{
    (void)state;
    enum {
        THREADS = 4
    };
    pthread_t threads[THREADS];
    struct hash hashes[THREADS];
    struct hash expected = sha256(span_of_str("abc"));
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hash_in_a_thread, &hashes[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(hash_is_equal(&hashes[i], &expected));
    }
}

/* RFC 8032, 7.1, tests 1 to 3. */
static const struct {
    const char *seed, *public, *message, *signature;
} ed25519_vectors[] = {
    { "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
      "b46bd25bf5f0595bbe24655141438e7a100b" },
    { "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
      "1d8c387b2eaeb4302aeeb00d291612bb0c00" },
    { "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d"
      "c6594a7c15e9716ed28dc027beceea1ec40a" },
};

static void ed25519_gives_the_signatures_of_rfc_8032(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ed25519_vectors); i++) {
        uint8_t seed[ED25519_SEED_BYTES], again[ED25519_SEED_BYTES], message[2];
        struct ed25519_public public;
        struct ed25519_signature signature;
        size_t len = strlen(ed25519_vectors[i].message) / 2;
        from_hex(seed, sizeof seed, ed25519_vectors[i].seed);
        from_hex(public.bytes, sizeof public.bytes, ed25519_vectors[i].public);
        from_hex(signature.bytes, sizeof signature.bytes, ed25519_vectors[i].signature);
        from_hex(message, len, ed25519_vectors[i].message);

        struct signing_key *key = signing_key_from_seed(seed);
        struct ed25519_public own = signing_key_public(key);
        assert_memory_equal(own.bytes, public.bytes, sizeof public.bytes);
        assert_true(signing_key_seed(key, again));
        assert_memory_equal(again, seed, sizeof seed);
        struct ed25519_signature made = keys_sign(key, span_of(message, len));
        assert_memory_equal(made.bytes, signature.bytes, sizeof signature.bytes);
        assert_true(ed25519_verify(&public, span_of(message, len), &signature));
        signing_key_free(key);
    }
    signing_key_free(NULL);
}

static void ed25519_refuses_every_flipped_bit(void **state)
{
    (void)state;
    struct signing_key *key = signing_key_generate();
    struct ed25519_public public = signing_key_public(key);
    uint8_t message[] = { 'a', 'b', 'c' };
    struct ed25519_signature signature = keys_sign(key, SPAN_OF_ARRAY(message));
    assert_true(ed25519_verify(&public, SPAN_OF_ARRAY(message), &signature));
    for (size_t bit = 0; bit < 8 * sizeof signature.bytes; bit++) {
        struct ed25519_signature bad = signature;
        bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(ed25519_verify(&public, SPAN_OF_ARRAY(message), &bad));
    }
    for (size_t bit = 0; bit < 8 * sizeof public.bytes; bit++) {
        struct ed25519_public bad = public;
        bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(ed25519_verify(&bad, SPAN_OF_ARRAY(message), &signature));
    }
    for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(ed25519_verify(&public, SPAN_OF_ARRAY(message), &signature));
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_false(ed25519_verify(&public, span_of(message, 2), &signature));
    signing_key_free(key);
}

/* A thread keeps what it verified with last. Keys and messages in every order, good and bad mixed. */
static void ed25519_verifies_with_the_key_given_whichever_came_before(void **state)
{
    (void)state;
    enum {
        KEYS = 3
    };
    static const char *const messages[KEYS] = { "first", "second", "third" };
    struct ed25519_public public[KEYS];
    struct ed25519_signature signatures[KEYS];
    for (size_t i = 0; i < KEYS; i++) {
        struct signing_key *key = signing_key_generate();
        public[i] = signing_key_public(key);
        signatures[i] = keys_sign(key, span_of_str(messages[i]));
        signing_key_free(key);
    }
    for (size_t round = 0; round < 4 * KEYS * KEYS * KEYS; round++) {
        size_t by = round % KEYS, of = round / KEYS % KEYS, with = round / KEYS / KEYS % KEYS;
        assert_int_equal(ed25519_verify(&public[by], span_of_str(messages[of]), &signatures[with]),
                         by == of && of == with);
    }
}

/* S + L verifies in the group as S does; RFC 8032 5.1.7 says that it must be refused, or a
 * signature had two spellings. */
static void ed25519_refuses_a_scalar_that_is_not_reduced(void **state)
{
    (void)state;
    uint8_t order[32];
    from_hex(order, sizeof order,
             "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    struct signing_key *key = signing_key_generate();
    struct ed25519_public public = signing_key_public(key);
    struct ed25519_signature signature = keys_sign(key, span_of_str("abc"));
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)signature.bytes[32 + i] + order[i];
        signature.bytes[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(carry, 0);
    assert_false(ed25519_verify(&public, span_of_str("abc"), &signature));
    signing_key_free(key);
}

/* The eight points of small order, each with the other sign bit as well, and the spellings that are
 * not reduced modulo p. */
static void ed25519_points_of_small_order_are_known(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    struct ed25519_public key;
    for (size_t i = 0; i < COUNT(points); i++) {
        from_hex(key.bytes, sizeof key.bytes, points[i]);
        assert_true(ed25519_is_small_order(&key));
        key.bytes[31] |= 0x80;
        assert_true(ed25519_is_small_order(&key));
    }
    from_hex(key.bytes, sizeof key.bytes, ed25519_vectors[0].public);
    assert_false(ed25519_is_small_order(&key));
}

/* Why they are refused: under the neutral element one signature fits every message. */
static void ed25519_key_of_small_order_lets_anyone_sign(void **state)
{
    (void)state;
    struct ed25519_public neutral = { { 1 } };
    struct ed25519_signature signature = { { 1 } };
    assert_true(ed25519_verify(&neutral, span_of_str("abc"), &signature));
    assert_true(ed25519_verify(&neutral, span_of_str("anything"), &signature));
    assert_true(ed25519_is_small_order(&neutral));
}

static void keys_are_made_different(void **state)
{
    (void)state;
    struct signing_key *a = signing_key_generate();
    struct signing_key *b = signing_key_generate();
    struct ed25519_public public_a = signing_key_public(a);
    struct ed25519_public public_b = signing_key_public(b);
    assert_memory_not_equal(public_a.bytes, public_b.bytes, sizeof public_a.bytes);
    signing_key_free(a);
    signing_key_free(b);
    uint8_t random_a[16], random_b[16];
    crypto_random(random_a, sizeof random_a);
    crypto_random(random_b, sizeof random_b);
    assert_memory_not_equal(random_a, random_b, sizeof random_a);
}

/* RFC 4648, section 10. */
static const struct {
    const char *bytes, *text;
} base64_vectors[] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
};

static void base64_gives_the_vectors_of_rfc_4648(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(64);
    struct err err;
    for (size_t i = 0; i < COUNT(base64_vectors); i++) {
        buf_reset(&out);
        base64_put(&out, span_of_str(base64_vectors[i].bytes));
        assert_true(span_is_str(buf_span(&out), base64_vectors[i].text));
        buf_reset(&out);
        assert_int_equal(base64_append_decoded(&out, span_of_str(base64_vectors[i].text),
                                               BASE64_STRICT, &err),
                         E_OK);
        assert_true(span_is_str(buf_span(&out), base64_vectors[i].bytes));
    }
    buf_clear(&out);
}

static void base64_refuses_other_spellings(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z",     "Zg",       "Zg=",    "Zm8",      "Zm9vY",      "=",        "==",
        "===",   "====",     "Z===",   "=Zg=",     "Z=g=",       "Zg==Zg==", "Zm8=Zg==",
        "Zg== ", " Zg==",    "Zg==\n", "Zm9v\n",   "\nZm9v",     "Zm9v    ", "    ",
        "Zm 9v", "Zm9\n",    "Zm-v",   "Zm_v",     "Zm.v",       "Zm9v,",    "Zm\\v",
        "Zg==A", "Zg==AAAA", "Zg=\n",  "Zm9v====", "Z\xc3\xa9v", "Zm9v=",
    };
    struct buf out = BUF_INIT(64);
    struct err err;
    buf_put_str(&out, "before");
    for (size_t i = 0; i < COUNT(bad); i++) {
        for (int mode = BASE64_STRICT; mode <= BASE64_LENIENT; mode++) {
            assert_int_equal(base64_append_decoded(&out, span_of_str(bad[i]),
                                                   (enum base64_mode)mode, &err),
                             E_MALFORMED);
            assert_true(span_is_str(buf_span(&out), "before"));
        }
    }
    assert_int_equal(base64_append_decoded(&out, span_of("Zm9\0", 4), BASE64_STRICT, &err),
                     E_MALFORMED);
    buf_clear(&out);
}

static void base64_stray_bits_pass_only_when_lenient(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(64);
    struct err err;
    assert_int_equal(base64_append_decoded(&out, span_of_str("Zh=="), BASE64_STRICT, &err),
                     E_MALFORMED);
    assert_int_equal(base64_append_decoded(&out, span_of_str("Zm9="), BASE64_STRICT, &err),
                     E_MALFORMED);
    assert_int_equal(out.len, 0);
    assert_int_equal(base64_append_decoded(&out, span_of_str("Zh=="), BASE64_LENIENT, &err), E_OK);
    assert_int_equal(base64_append_decoded(&out, span_of_str("Zm9="), BASE64_LENIENT, &err), E_OK);
    assert_true(span_is_str(buf_span(&out), "ffo"));
    buf_clear(&out);
}

/* Any byte in any place of a text: what is accepted is the one spelling of what it means. */
static void base64_strict_has_one_spelling_a_value(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(64);
    struct buf again = BUF_INIT(64);
    struct err err;
    static const char *const texts[] = { "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
    size_t accepted = 0;
    for (size_t t = 0; t < COUNT(texts); t++) {
        for (size_t at = 0; at < 8; at++) {
            for (unsigned c = 0; c < 256; c++) {
                uint8_t text[8];
                memcpy(text, texts[t], sizeof text);
                text[at] = (uint8_t)c;
                buf_reset(&out);
                buf_reset(&again);
                if (base64_append_decoded(&out, SPAN_OF_ARRAY(text), BASE64_STRICT, &err) == E_OK) {
                    base64_put(&again, buf_span(&out));
                    assert_true(span_is_equal(buf_span(&again), SPAN_OF_ARRAY(text)));
                    accepted++;
                }
            }
        }
    }
    assert_in_range(accepted, 1000, 1500);
    buf_clear(&out);
    buf_clear(&again);
}

static void base64_stops_at_the_maximum(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(5);
    struct err err;
    assert_int_equal(base64_append_decoded(&out, span_of_str("Zm9vYmFy"), BASE64_STRICT, &err),
                     E_TOO_LARGE);
    assert_int_equal(out.len, 0);
    buf_clear(&out);
}

static void base64_hash_is_exactly_one_hash(void **state)
{
    (void)state;
    struct hash hash = sha256(span_of_str("abc"));
    struct hash again = { { 0 } };
    struct buf text = BUF_INIT(64);
    struct err err;
    base64_put_hash(&text, &hash);
    assert_int_equal(text.len, HASH_BASE64_CHARS);
    assert_int_equal(base64_decode_hash(&again, buf_span(&text), &err), E_OK);
    assert_true(hash_is_equal(&hash, &again));
    for (size_t cut = 0; cut < text.len; cut++) {
        assert_int_equal(base64_decode_hash(&again, span_of(text.data, cut), &err), E_MALFORMED);
    }
    buf_put_str(&text, "AAAA");
    assert_int_equal(base64_decode_hash(&again, buf_span(&text), &err), E_MALFORMED);
    static const char *const bad[] = {
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", /* 31 bytes */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* 33 bytes */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", /* stray bits */
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(strlen(bad[i]), HASH_BASE64_CHARS);
        assert_int_equal(base64_decode_hash(&again, span_of_str(bad[i]), &err), E_MALFORMED);
    }
    assert_true(hash_is_equal(&hash, &again));
    buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_hashes),
        cmocka_unit_test(sha256_of_pieces_is_that_of_the_whole),
        cmocka_unit_test(sha256_contexts_are_not_shared_by_threads),
        cmocka_unit_test(ed25519_gives_the_signatures_of_rfc_8032),
        cmocka_unit_test(ed25519_refuses_every_flipped_bit),
        cmocka_unit_test(ed25519_verifies_with_the_key_given_whichever_came_before),
        cmocka_unit_test(ed25519_refuses_a_scalar_that_is_not_reduced),
        cmocka_unit_test(ed25519_points_of_small_order_are_known),
        cmocka_unit_test(ed25519_key_of_small_order_lets_anyone_sign),
        cmocka_unit_test(keys_are_made_different),
        cmocka_unit_test(base64_gives_the_vectors_of_rfc_4648),
        cmocka_unit_test(base64_refuses_other_spellings),
        cmocka_unit_test(base64_stray_bits_pass_only_when_lenient),
        cmocka_unit_test(base64_strict_has_one_spelling_a_value),
        cmocka_unit_test(base64_stops_at_the_maximum),
        cmocka_unit_test(base64_hash_is_exactly_one_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
