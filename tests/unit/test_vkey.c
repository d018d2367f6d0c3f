#include "tlog/vkey.h"

#include "base/ascii.h"
#include "tests/support/keys.h"
#include "tests/support/shared.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    TEXT_MAX = 4096
};

static void put(struct buf *out, const struct vkey *vkey)
{
    buf_reset(out);
    vkey_put(out, vkey);
}

static void assert_error(struct span text, enum err_code code, const char *words)
{
    struct vkey vkey;
    struct err err;
    assert_int_equal(vkey_parse(&vkey, text, &err), code);
    if (strstr(err.msg, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    }
}

static void vkey_parse_undoes_vkey_put(void **state)
{
    (void)state;
    static const char *const names[] = { "a", "example.com/log", "\xe6\xb3\x95\xe9\x99\xa2",
                                         "#", "PRIVATE",         "-_.~/:@!$&'()*,;=%" };
    static const enum signature_type types[] = { SIGNATURE_ED25519, SIGNATURE_COSIGNATURE };
    struct buf text = BUF_INIT(TEXT_MAX);
    for (size_t i = 0; i < sizeof names / sizeof names[0] * 200; i++) {
        struct signer signer;
        signer_generate(&signer, names[i / 200], types[i % 2]);
        put(&text, &signer.vkey);
        struct vkey again;
        struct err err;
        assert_int_equal(vkey_parse(&again, buf_span(&text), &err), E_OK);
        assert_true(vkey_is_equal(&again, &signer.vkey));
        signer_clear(&signer);
    }
    buf_clear(&text);
}

static void vkey_parse_takes_the_longest_name_and_no_longer_one(void **state)
{
    (void)state;
    char name[KEY_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof name);
    name[KEY_NAME_BYTES_MAX + 1] = 0;
    assert_false(key_name_is_valid(span_of_str(name)));
    struct buf text = BUF_INIT(TEXT_MAX);
    buf_putf(&text, "%s+00000000+AQ==", name);
    assert_error(buf_span(&text), E_MALFORMED, "1 to 255 bytes");
    name[KEY_NAME_BYTES_MAX] = 0;
    struct signer signer = keys_signer(name, SIGNATURE_ED25519, "long");
    put(&text, &signer.vkey);
    struct vkey again;
    struct err err;
    assert_int_equal(vkey_parse(&again, buf_span(&text), &err), E_OK);
    assert_true(vkey_is_equal(&again, &signer.vkey));
    signer_clear(&signer);
    buf_clear(&text);
}

static void vkey_parse_rejects_each_part_of_a_vkey(void **state)
{
    (void)state;
    struct signer signer = keys_signer("log.example", SIGNATURE_ED25519, "parts");
    struct buf text = BUF_INIT(TEXT_MAX);
    put(&text, &signer.vkey);
    for (size_t from = 0; from < text.len; from++) {
        for (size_t len = 0; from + len <= text.len; len++) {
            struct vkey again;
            struct err err;
            enum err_code rc = vkey_parse(&again, span_slice(buf_span(&text), from, len), &err);
            assert_true(rc != E_OK || len == text.len);
        }
    }
    signer_clear(&signer);
    buf_clear(&text);
}

static void vkey_parse_rejects_each_changed_byte(void **state)
{
    (void)state;
    struct signer signer = keys_signer("log.example", SIGNATURE_COSIGNATURE, "changes 7");
    struct buf text = BUF_INIT(TEXT_MAX);
    put(&text, &signer.vkey);
    size_t accepted = 0, letters = 0;
    size_t id_from = strlen("log.example+");
    for (size_t i = 0; i < text.len; i++) {
        uint8_t was = text.data[i];
        bool is_id_letter = i >= id_from && i < id_from + 8 && isalpha(was);
        letters += is_id_letter;
        for (int c = 0; c < 256; c++) {
            text.data[i] = (uint8_t)c;
            struct vkey again;
            struct err err;
            if (c != was && vkey_parse(&again, buf_span(&text), &err) == E_OK) {
                /* Upper case in the ID is what Go's note package takes too. */
                assert_true(is_id_letter);
                assert_int_equal(c, toupper(was));
                assert_true(vkey_is_equal(&again, &signer.vkey));
                accepted++;
            }
        }
        text.data[i] = was;
    }
    assert_int_equal(accepted, letters);
    assert_true(letters > 0);
    signer_clear(&signer);
    buf_clear(&text);
}

static void vkey_parse_says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
        const char *words;
    } cases[] = {
        { "", E_MALFORMED, "a '+' is missing" },
        { "name", E_MALFORMED, "a '+' is missing" },
        { "name+00000000", E_MALFORMED, "a '+' is missing" },
        { "+00000000+AQ==", E_MALFORMED, "name" },
        { "a b+00000000+AQ==", E_MALFORMED, "without blanks" },
        { "a+0000000+AQ==", E_MALFORMED, "key ID" },
        { "a+0000000g+AQ==", E_MALFORMED, "key ID" },
        { "a+00000000+", E_MALFORMED, "missing behind the second" },
        { "a+00000000+A", E_MALFORMED, "not padded base64" },
        { "a+00000000+AQ==\n", E_MALFORMED, "not padded base64" },
        { "a+00000000+AQ==", E_MALFORMED, "has 32 bytes, this one has 0" },
        { "a+00000000+BAAA", E_MALFORMED, "0x04 has 32 bytes, this one has 2" },
        { "a+00000000+AgAA", E_UNSUPPORTED, "0x02 (ECDSA)" },
        { "a+00000000+BQAA", E_UNSUPPORTED, "0x05 (RFC 6962" },
        { "a+00000000+BgAA", E_MALFORMED, "0x06 has 1312 bytes" },
        { "a+00000000+/wAA", E_UNSUPPORTED, "0xff (unknown)" },
        { "a+00000000+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", E_BAD_SIGNATURE,
          "key ID 00000000 does not belong" },
        { "PRIVATE+KEY+a+00000000+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", E_MALFORMED,
          "this is a private key" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_error(span_of_str(cases[i].text), cases[i].code, cases[i].words);
    }
    struct buf text = BUF_INIT(10000);
    buf_put_str(&text, "a+00000000+");
    while (text.len < 9000) {
        buf_put_str(&text, "AQEB");
    }
    assert_error(buf_span(&text), E_MALFORMED, "at most 4096");
    buf_clear(&text);
}

static void a_failed_vkey_parse_leaves_the_vkey_as_it_was(void **state)
{
    (void)state;
    struct signer signer = keys_signer("log.example", SIGNATURE_ED25519, "kept");
    struct vkey vkey = signer.vkey;
    struct err err;
    assert_int_equal(vkey_parse(&vkey,
                                span_of_str("a+00000000+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
                                            "AQEBAQEB"),
                                &err),
                     E_BAD_SIGNATURE);
    assert_true(vkey_is_equal(&vkey, &signer.vkey));
    signer_clear(&signer);
}

static void vkey_parse_rejects_keys_of_small_order(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(TEXT_MAX);
    for (uint8_t y = 0; y < 2; y++) {
        for (uint8_t sign = 0; sign < 2; sign++) {
            struct ed25519_public key = { { y } };
            key.bytes[31] = (uint8_t)(sign << 7);
            struct vkey vkey = vkey_make("weak.example", SIGNATURE_COSIGNATURE, &key);
            put(&text, &vkey);
            assert_error(buf_span(&text), E_DENIED, "small order");
        }
    }
    buf_clear(&text);
}

static void key_name_is_valid_follows_the_specification(void **state)
{
    (void)state;
    static const char *const good[] = { "a",    "example.com/log", "oid/1.2.3",   "\xe6\xb3\x95",
                                        "none", "\xc2\xa1",        "\xe2\x80\x94" };
    static const char *const bad[] = {
        "",
        " ",
        "a b",
        "a\tb",
        "a\nb",
        "a\rb",
        "a+b",
        "a\x7f",
        "a\x01",
        "\xc2\x85",
        "\xc2\xa0",
        "\xc2\x9b",
        "\xe1\x9a\x80",
        "\xe2\x80\x80",
        "\xe2\x80\x8a",
        "\xe2\x80\xa8",
        "\xe2\x80\xa9",
        "\xe2\x80\xaf",
        "\xe2\x81\x9f",
        "\xe3\x80\x80",
        "\xff",
        "a\xc3",
        "\xc0\xaf",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(key_name_is_valid(span_of_str(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(key_name_is_valid(span_of_str(bad[i])));
    }
    assert_false(key_name_is_valid(span_of("a\0b", 3)));
}

static void one_key_under_two_types_has_two_ids(void **state)
{
    (void)state;
    struct signer signer = keys_signer("both.example", SIGNATURE_ED25519, "both");
    struct vkey other = vkey_make("both.example", SIGNATURE_COSIGNATURE, &signer.vkey.key);
    assert_int_not_equal(signer.vkey.id, other.id);
    assert_false(vkey_is_equal(&signer.vkey, &other));
    signer_clear(&signer);
}

static void vkey_require_type_tells_both_types(void **state)
{
    (void)state;
    struct signer signer = keys_signer("log.example", SIGNATURE_ED25519, "required");
    struct err err;
    assert_int_equal(vkey_require_type(&signer.vkey, SIGNATURE_ED25519, &err), E_OK);
    assert_int_equal(vkey_require_type(&signer.vkey, SIGNATURE_COSIGNATURE, &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "log.example has type 0x01"));
    assert_non_null(strstr(err.msg, "a key of type 0x04"));
    signer_clear(&signer);
}

static void signer_parse_undoes_signer_put(void **state)
{
    (void)state;
    static const enum signature_type types[] = { SIGNATURE_ED25519, SIGNATURE_COSIGNATURE };
    for (size_t i = 0; i < 2; i++) {
        struct signer signer, again;
        signer_generate(&signer, "log.example/1", types[i]);
        struct buf text = BUF_INIT(TEXT_MAX);
        signer_put(&text, &signer);
        assert_int_equal(text.data[text.len - 1], '\n');
        struct err err;
        assert_int_equal(signer_parse(&again, buf_span(&text), &err), E_OK);
        assert_true(vkey_is_equal(&again.vkey, &signer.vkey));
        struct ed25519_signature a = keys_sign(signer.key, span_of_str("x"));
        struct ed25519_signature b = keys_sign(again.key, span_of_str("x"));
        assert_memory_equal(a.bytes, b.bytes, sizeof a.bytes);
        signer_clear(&again);
        /* The newline may be missing, but there is at most one. */
        struct span bare = span_slice(buf_span(&text), 0, text.len - 1);
        assert_int_equal(signer_parse(&again, bare, &err), E_OK);
        signer_clear(&again);
        buf_put_u8(&text, '\n');
        assert_int_equal(signer_parse(&again, buf_span(&text), &err), E_MALFORMED);
        signer_clear(&signer);
        buf_clear(&text);
    }
}

static void signer_parse_rejects_each_truncation_and_each_flipped_bit(void **state)
{
    (void)state;
    struct signer signer = keys_signer("log.example", SIGNATURE_ED25519, "flips"), again;
    struct buf text = BUF_INIT(TEXT_MAX);
    struct err err;
    signer_put(&text, &signer);
    for (size_t len = 0; len + 1 < text.len; len++) {
        assert_int_not_equal(signer_parse(&again, span_of(text.data, len), &err), E_OK);
    }
    for (size_t bit = 0; bit < 8 * (text.len - 1); bit++) {
        text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (signer_parse(&again, buf_span(&text), &err) == E_OK) {
            assert_int_equal(bit % 8, 5); /* the case of a letter of the ID */
            assert_true(vkey_is_equal(&again.vkey, &signer.vkey));
            signer_clear(&again);
        }
        text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    signer_clear(&signer);
    buf_clear(&text);
}

static void signer_parse_says_that_a_vkey_is_no_private_key(void **state)
{
    (void)state;
    struct signer signer = keys_signer("log.example", SIGNATURE_ED25519, "public"), again;
    struct buf text = BUF_INIT(TEXT_MAX);
    put(&text, &signer.vkey);
    struct err err;
    assert_int_equal(signer_parse(&again, buf_span(&text), &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "PRIVATE+KEY+"));
    signer_clear(&signer);
    buf_clear(&text);
}

/* -- vectors -- */

static void a_cosigner_key_made_from_a_log_key_has_the_id_others_compute(void **state)
{
    (void)state;
    /* protocols.md 8.2, computed there from a key of transparency-dev/formats. */
    static const char text[] = "Wit1+9b3fb2d5+BFhZSmQj9+SoL+p/nN0Hh76xXmF7QcHfytUrI1XfSClk";
    struct vkey vkey;
    struct err err;
    assert_int_equal(vkey_parse(&vkey, span_of_str(text), &err), E_OK);
    assert_int_equal(vkey.type, SIGNATURE_COSIGNATURE);
    assert_int_equal(vkey.id, 0x9b3fb2d5);
    struct span log_text = shared_word("Wit1+55ee4561+");
    struct vkey log_vkey;
    assert_int_equal(vkey_parse(&log_vkey, log_text, &err), E_OK);
    struct vkey cosigner = vkey_make("Wit1", SIGNATURE_COSIGNATURE, &log_vkey.key);
    assert_true(vkey_is_equal(&cosigner, &vkey));
}

static void assert_is_written(const struct vkey *vkey, struct span expected)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    vkey_put(&text, vkey);
    assert_true(span_is_equal(buf_span(&text), expected));
    buf_clear(&text);
}

static void assert_pair(const char *skey_prefix, const char *vkey_prefix)
{
    struct span skey = shared_word(skey_prefix);
    struct span vkey = shared_word(vkey_prefix);
    struct signer signer;
    struct err err;
    assert_int_equal(signer_parse(&signer, skey, &err), E_OK);
    assert_is_written(&signer.vkey, vkey);
    struct buf text = BUF_INIT(TEXT_MAX);
    signer_put(&text, &signer);
    assert_true(span_is_equal(span_of(text.data, text.len - 1), skey));
    buf_clear(&text);
    signer_clear(&signer);
}

static void key_pairs_of_other_projects_are_read_and_written_alike(void **state)
{
    (void)state;
    assert_pair("PRIVATE+KEY+PeterNeumann+", "PeterNeumann+c74f20a3+");
    assert_pair("PRIVATE+KEY+Wit1+", "Wit1+55ee4561+");
    assert_pair("PRIVATE+KEY+example.com/log/testdata+", "example.com/log/testdata+33d7b496+");
}

static void vkeys_of_other_projects_are_read_and_written_alike(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        enum signature_type type;
    } cases[] = {
        { "EnochRoot+af0cfe78+", SIGNATURE_ED25519 },
        { "example.com/foo+530d903a+", SIGNATURE_ED25519 },
        { "sum.golang.org+033de0ae+", SIGNATURE_ED25519 },
        { "remora.n621.de+da77ade7+", SIGNATURE_COSIGNATURE },
        { "example.org/key+57bfe580+", SIGNATURE_COSIGNATURE }, /* '+' in its base64 */
        { "example.org/witness+cacf2e50+", SIGNATURE_COSIGNATURE },
        { "mirror.example.org+3fb148ef+", SIGNATURE_COSIGNATURE },
        { "example.com/mldsa-log+b5df45c5+", SIGNATURE_ML_DSA_44 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span vkey_text = shared_word(cases[i].prefix);
        struct vkey vkey;
        struct err err;
        assert_int_equal(vkey_parse(&vkey, vkey_text, &err), E_OK);
        assert_int_equal(vkey.type, cases[i].type);
        assert_is_written(&vkey, vkey_text);
    }
}

static void vkeys_made_from_published_seeds_are_those_published(void **state)
{
    (void)state;
    static const struct {
        const char *name, *secret, *prefix;
    } cases[] = {
        { "witness.example.org", "skylight test witness key", "witness.example.org+b8a2cf20+" },
        { "mirror.example.org", "skylight test mirror key", "mirror.example.org+3fb148ef+" },
        { "witness2.example.org", "skylight test witness2 key", "witness2.example.org+2e55b896+" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span expected = shared_word(cases[i].prefix);
        struct signer signer = keys_signer(cases[i].name, SIGNATURE_COSIGNATURE, cases[i].secret);
        assert_is_written(&signer.vkey, expected);
        signer_clear(&signer);
    }
}

static void vkeys_of_unsupported_types_are_told_apart_from_bad_ones(void **state)
{
    (void)state;
    assert_error(shared_word("rekor.sigstore.dev+c0d23d6a+"), E_UNSUPPORTED, "ECDSA");
}

static void bad_vkeys_of_other_projects_are_rejected(void **state)
{
    (void)state;
    assert_error(shared_word("PeterNeumann+cc469956+"), E_MALFORMED, "stray bits");
    assert_error(shared_word("PeterNeumann+173116ae+"), E_UNSUPPORTED, "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vkey_parse_undoes_vkey_put),
        cmocka_unit_test(vkey_parse_takes_the_longest_name_and_no_longer_one),
        cmocka_unit_test(vkey_parse_rejects_each_part_of_a_vkey),
        cmocka_unit_test(vkey_parse_rejects_each_changed_byte),
        cmocka_unit_test(vkey_parse_says_what_is_wrong),
        cmocka_unit_test(a_failed_vkey_parse_leaves_the_vkey_as_it_was),
        cmocka_unit_test(vkey_parse_rejects_keys_of_small_order),
        cmocka_unit_test(key_name_is_valid_follows_the_specification),
        cmocka_unit_test(one_key_under_two_types_has_two_ids),
        cmocka_unit_test(vkey_require_type_tells_both_types),
        cmocka_unit_test(signer_parse_undoes_signer_put),
        cmocka_unit_test(signer_parse_rejects_each_truncation_and_each_flipped_bit),
        cmocka_unit_test(signer_parse_says_that_a_vkey_is_no_private_key),
        cmocka_unit_test(a_cosigner_key_made_from_a_log_key_has_the_id_others_compute),
        cmocka_unit_test(key_pairs_of_other_projects_are_read_and_written_alike),
        cmocka_unit_test(vkeys_of_other_projects_are_read_and_written_alike),
        cmocka_unit_test(vkeys_made_from_published_seeds_are_those_published),
        cmocka_unit_test(vkeys_of_unsupported_types_are_told_apart_from_bad_ones),
        cmocka_unit_test(bad_vkeys_of_other_projects_are_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
