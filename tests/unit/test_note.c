#include "tlog/note.h"

#include "base/ascii.h"
#include "tests/support/keys.h"
#include "tests/support/shared.h"
#include "tlog/cosignature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DASH "\xe2\x80\x94 "

enum {
    TEXT_MAX = 2 * NOTE_BYTES_MAX
};

static const char text[] = "log.example\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

struct fixture {
    struct signer log, witness, other;
};

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fixture.log = keys_signer("log.example", SIGNATURE_ED25519, "log");
    fixture.witness = keys_signer("witness.example", SIGNATURE_COSIGNATURE, "witness");
    fixture.other = keys_signer("other.example", SIGNATURE_COSIGNATURE, "other");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    signer_clear(&fixture.log);
    signer_clear(&fixture.witness);
    signer_clear(&fixture.other);
    return 0;
}

/* Signed by the log, then cosigned by the witness. */
static struct buf make_note(void)
{
    struct buf note = BUF_INIT(TEXT_MAX);
    keys_put_signed(&note, span_of_str(text), &fixture.log, 0);
    keys_put_signature(&note, span_of_str(text), &fixture.witness, 1767139200);
    return note;
}

static void put_blob_line(struct buf *out, const char *name, uint32_t key_id, struct span signature)
{
    struct buf blob = BUF_INIT(TEXT_MAX);
    buf_put_u32(&blob, key_id);
    buf_put(&blob, signature);
    buf_putf(out, DASH "%s ", name);
    base64_put(out, buf_span(&blob));
    buf_put_u8(out, '\n');
    buf_clear(&blob);
}

static void assert_malformed(struct span bytes)
{
    struct note note;
    struct err err;
    if (note_parse(&note, bytes, &err) != E_MALFORMED) {
        fail_msg("accepted: %.*s", SPAN_PRINTF(bytes));
    }
}

/* What verifying `bytes` against the keys comes to. */
struct result {
    enum err_code rc;
    size_t count;
    struct note_verified verified[NOTE_SIGNATURES_MAX];
    size_t each_count, bad_count;
    struct note_verified each[NOTE_SIGNATURES_MAX];
    struct err err;
};

static struct result verify(struct span bytes, const struct vkey *const *keys, size_t key_count)
{
    struct result result = { 0 };
    struct note note;
    struct err err;
    assert_int_equal(note_parse(&note, bytes, &err), E_OK);
    result.rc = note_verify(&note, keys, key_count, result.verified, &result.count, &result.err);
    note_verify_each(&note, keys, key_count, result.each, &result.each_count, &result.bad_count);
    note_clear(&note);
    return result;
}

/* -- form -- */

static void note_parse_gives_the_text_and_each_line(void **state)
{
    (void)state;
    struct buf bytes = make_note();
    struct note note;
    struct err err;
    assert_int_equal(note_parse(&note, buf_span(&bytes), &err), E_OK);
    assert_true(span_is_str(note.text, text));
    assert_int_equal(note.count, 2);
    assert_true(span_is_str(note.lines[0].name, "log.example"));
    assert_true(span_is_str(note.lines[1].name, "witness.example"));
    assert_int_equal(note.lines[0].key_id, fixture.log.vkey.id);
    assert_int_equal(note.lines[1].key_id, fixture.witness.vkey.id);
    assert_int_equal(note.lines[0].signature.len, ED25519_SIGNATURE_BYTES);
    assert_int_equal(note.lines[1].signature.len, COSIGNATURE_BYTES);
    size_t lines_len = note.lines[0].line.len + note.lines[1].line.len;
    assert_int_equal(note.text.len + 1 + lines_len, bytes.len);
    assert_true(note.lines[0].line.data + note.lines[0].line.len == note.lines[1].line.data);
    struct ed25519_signature raw = keys_sign(fixture.log.key, note.text);
    assert_memory_equal(note.lines[0].signature.data, raw.bytes, sizeof raw.bytes);
    note_clear(&note);
    buf_clear(&bytes);
}

static void the_last_blank_line_ends_the_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a\n\nb\n", "\n", "\n\n\n", "a\n\n\n", DASH "x AAAAAAA=\n", "a\n\n" DASH "x AAAAAAA=\n"
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buf bytes = BUF_INIT(TEXT_MAX);
        keys_put_signed(&bytes, span_of_str(texts[i]), &fixture.log, 0);
        struct note note;
        struct err err;
        assert_int_equal(note_parse(&note, buf_span(&bytes), &err), E_OK);
        assert_true(span_is_str(note.text, texts[i]));
        note_clear(&note);
        const struct vkey *keys[] = { &fixture.log.vkey };
        assert_int_equal(verify(buf_span(&bytes), keys, 1).rc, E_OK);
        buf_clear(&bytes);
    }
}

static void note_parse_rejects_what_is_not_a_note(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "\n",
        "\n\n",
        "t",
        "t\n",
        "t\n\n",
        "t\n\n\n",
        "t\n" DASH "n AAAAAAA=\n",
        DASH "n AAAAAAA=\n",
        /* ends */
        "t\n\n" DASH "n AAAAAAA=",
        "t\n\n" DASH "n AAAAAAA=\n\n",
        "t\n\n" DASH "n AAAAAAA=\nx",
        "t\n\n" DASH "n AAAAAAA=\nx\n",
        "t\n\n" DASH "n AAAAAAA=\n\n" DASH,
        "t\n\nx\n",
        "t\n\n" DASH "n AAAAAAA=\n ",
        /* line prefix */
        "t\n\n- n AAAAAAA=\n",
        "t\n\n\xe2\x80\x93 n AAAAAAA=\n",
        "t\n\n\xe2\x80\x94n AAAAAAA=\n",
        "t\n\n " DASH "n AAAAAAA=\n",
        "t\n\n" DASH " n AAAAAAA=\n",
        /* names */
        "t\n\n" DASH "n\n",
        "t\n\n" DASH "n \n",
        "t\n\n" DASH "\n",
        "t\n\n" DASH "  AAAAAAA=\n",
        "t\n\n" DASH "n m AAAAAAA=\n",
        "t\n\n" DASH "n+m AAAAAAA=\n",
        "t\n\n" DASH "n\xc2\xa0m AAAAAAA=\n",
        "t\n\n" DASH "n\xe3\x80\x80m AAAAAAA=\n",
        "t\n\n" DASH "n\x7f AAAAAAA=\n",
        /* base64 */
        "t\n\n" DASH "n  AAAAAAA=\n",
        "t\n\n" DASH "n AAAAAAA= \n",
        "t\n\n" DASH "n AAAAAAA\n",
        "t\n\n" DASH "n AAAAAAA==\n",
        "t\n\n" DASH "n AAAAAA==\n" /* 4 bytes */,
        "t\n\n" DASH "n AAAA\n",
        "t\n\n" DASH "n ====\n",
        "t\n\n" DASH "n AAAA====\n",
        "t\n\n" DASH "n AAAA-AA=\n",
        "t\n\n" DASH "n AAA=AAAA\n",
        "t\n\n" DASH "n AAAA AAA=\n",
        /* characters */
        "t\r\n\n" DASH "n AAAAAAA=\n",
        "t\n\r\n" DASH "n AAAAAAA=\n",
        "t\n\n" DASH "n AAAAAAA=\r\n",
        "t\tt\n\n" DASH "n AAAAAAA=\n",
        "\x01t\n\n" DASH "n AAAAAAA=\n",
        "\xfft\n\n" DASH "n AAAAAAA=\n",
        "\x1ft\n\n" DASH "n AAAAAAA=\n",
        "t\xc0\xaf\n\n" DASH "n AAAAAAA=\n",
        "t\xed\xa0\x80\n\n" DASH "n AAAAAAA=\n",
        "t\xf4\x90\x80\x80\n\n" DASH "n AAAAAAA=\n",
        "t\xe2\x80\n\n" DASH "n AAAAAAA=\n",
        "t\x80\n\n" DASH "n AAAAAAA=\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_malformed(span_of_str(cases[i]));
    }
    static const char with_nul[] = "t\0t\n\n" DASH "n AAAAAAA=\n";
    assert_malformed(span_of(with_nul, sizeof with_nul - 1));
}

static void note_parse_takes_what_the_specification_allows(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "t\n\n" DASH "n AAAAAAA=\n",        "\x7f\n\n" DASH "n AAAAAAA=\n",
        "\xc2\x85\n\n" DASH "n AAAAAAA=\n", "\xe6\xb3\x95\n\n" DASH "\xe6\xb3\x95 AAAAAAA=\n",
        "t\n\n" DASH "n AAAAAAB=\n", /* stray bits, as Go takes them */
        "t\n\n" DASH "n AAAAAAAA\n",        "\n\n" DASH "n AAAAAAA=\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct note note;
        struct err err;
        assert_int_equal(note_parse(&note, span_of_str(cases[i]), &err), E_OK);
        note_clear(&note);
    }
}

static void the_only_prefix_of_a_note_that_is_one_has_fewer_signatures(void **state)
{
    (void)state;
    struct buf bytes = make_note();
    size_t first_end = span_find_last(buf_span(&bytes), span_of_str(DASH));
    for (size_t len = 0; len < bytes.len; len++) {
        struct note note;
        struct err err;
        enum err_code rc = note_parse(&note, span_of(bytes.data, len), &err);
        assert_int_equal(rc, len == first_end ? E_OK : E_MALFORMED);
        if (rc == E_OK) {
            note_clear(&note);
        }
    }
    buf_clear(&bytes);
}

static void a_hundred_signature_lines_are_read_and_no_more(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT(TEXT_MAX);
    buf_put_str(&bytes, "t\n\n");
    for (size_t i = 0; i < NOTE_SIGNATURES_MAX; i++) {
        buf_put_str(&bytes, DASH "n AAAAAAA=\n");
    }
    struct note note;
    struct err err;
    assert_int_equal(note_parse(&note, buf_span(&bytes), &err), E_OK);
    assert_int_equal(note.count, NOTE_SIGNATURES_MAX);
    note_clear(&note);
    buf_put_str(&bytes, DASH "n AAAAAAA=\n");
    assert_malformed(buf_span(&bytes));
    buf_clear(&bytes);
}

static void a_note_is_read_up_to_its_maximum_and_no_further(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT(TEXT_MAX);
    buf_put_str(&bytes, "t\n\n" DASH "n ");
    while (bytes.len + 4 < NOTE_BYTES_MAX) {
        buf_put_str(&bytes, "ABCD");
    }
    buf_put_u8(&bytes, '\n');
    struct note note;
    struct err err;
    assert_int_equal(note_parse(&note, buf_span(&bytes), &err), E_OK);
    assert_true(note.lines[0].signature.len > NOTE_BYTES_MAX / 4 * 3 - 16);
    note_clear(&note);
    buf_clear(&bytes);

    buf_put_str(&bytes, "t");
    while (bytes.len < NOTE_BYTES_MAX) {
        buf_put_str(&bytes, "\n");
    }
    buf_put_str(&bytes, "\n\n" DASH "n AAAAAAA=\n");
    assert_malformed(buf_span(&bytes));
    buf_clear(&bytes);
}

/* -- signatures -- */

static void both_types_verify_with_position_and_time(void **state)
{
    (void)state;
    struct buf bytes = make_note();
    const struct vkey *keys[] = { &fixture.other.vkey, &fixture.witness.vkey, &fixture.log.vkey };
    struct result result = verify(buf_span(&bytes), keys, 3);
    assert_int_equal(result.rc, E_OK);
    assert_int_equal(result.count, 2);
    assert_int_equal(result.verified[0].key, 2);
    assert_int_equal(result.verified[0].line, 0);
    assert_int_equal(result.verified[0].timestamp, 0);
    assert_int_equal(result.verified[1].key, 1);
    assert_int_equal(result.verified[1].line, 1);
    assert_int_equal(result.verified[1].timestamp, 1767139200);
    assert_int_equal(result.each_count, 2);
    assert_int_equal(result.bad_count, 0);
    assert_memory_equal(result.each, result.verified, 2 * sizeof result.each[0]);
    buf_clear(&bytes);
}

/* Four spellings of one line are read; what is written again is the one that was signed. */
static void a_line_is_written_again_in_one_spelling(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT(TEXT_MAX), again = BUF_INIT(TEXT_MAX);
    keys_put_signed(&bytes, span_of_str(text), &fixture.log, 0);
    keys_put_signature(&bytes, span_of_str(text), &fixture.witness, 1767139200);
    size_t last = span_find_last(buf_span(&bytes), span_of_str("\n" DASH)) - 2; /* before '=' */
    struct span lines = span_of_str(text);
    lines = span_slice(buf_span(&bytes), lines.len + 1, bytes.len - lines.len - 1);
    struct buf expected = BUF_INIT(TEXT_MAX);
    buf_put(&expected, lines);
    uint8_t written = bytes.data[last];
    for (uint8_t stray = 0; stray < 4; stray++) {
        bytes.data[last] = written + stray;
        struct note note;
        struct err err;
        assert_int_equal(note_parse(&note, buf_span(&bytes), &err), E_OK);
        assert_int_equal(note.count, 2);
        buf_reset(&again);
        note_put_line(&again, &note.lines[0]);
        note_put_line(&again, &note.lines[1]);
        assert_true(span_is_equal(buf_span(&again), buf_span(&expected)));
        note_clear(&note);
    }
    buf_clear(&bytes);
    buf_clear(&again);
    buf_clear(&expected);
}

/* Only the bits behind the last byte of a base64 may differ: what they encode is the same. */
static void no_flipped_bit_verifies_as_signed_by_the_key(void **state)
{
    (void)state;
    const struct vkey *keys[] = { &fixture.log.vkey };
    struct buf bytes = BUF_INIT(TEXT_MAX);
    keys_put_signed(&bytes, span_of_str(text), &fixture.log, 0);
    size_t same = 0;
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct note note;
        struct err err;
        if (note_parse(&note, buf_span(&bytes), &err) == E_OK) {
            struct note_verified verified;
            size_t count;
            if (note_verify(&note, keys, 1, &verified, &count, &err) == E_OK) {
                assert_int_equal(bit / 8, bytes.len - 3); /* before '=' and the newline */
                assert_true(span_is_str(note.text, text));
                same++;
            } else {
                assert_int_equal(err.code, E_BAD_SIGNATURE);
            }
            note_clear(&note);
        }
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_in_range(same, 1, 3);
    buf_clear(&bytes);
}

static void unknown_lines_are_ignored_whatever_they_hold(void **state)
{
    (void)state;
    static const uint8_t zeros[2428];
    struct buf bytes = BUF_INIT(TEXT_MAX);
    buf_put_str(&bytes, text);
    buf_put_u8(&bytes, '\n');
    put_blob_line(&bytes, "grease.invalid", 0x01020304, span_of(zeros, 1));
    put_blob_line(&bytes, "log.example", fixture.log.vkey.id ^ 1, span_of(zeros, 64));
    put_blob_line(&bytes, "log.exampl", fixture.log.vkey.id, span_of(zeros, 64));
    put_blob_line(&bytes, "log.example2", fixture.log.vkey.id, span_of(zeros, 64));
    put_blob_line(&bytes, "pq.example", 0x06060606, span_of(zeros, sizeof zeros));
    keys_put_signature(&bytes, span_of_str(text), &fixture.log, 0);
    put_blob_line(&bytes, "last.example", 0xffffffff, span_of(zeros, 3));
    const struct vkey *keys[] = { &fixture.log.vkey };
    struct result result = verify(buf_span(&bytes), keys, 1);
    assert_int_equal(result.rc, E_OK);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.verified[0].line, 5);
    assert_int_equal(result.bad_count, 0);
    buf_clear(&bytes);
}

static void a_bad_line_of_a_known_key_fails_the_note_but_not_note_verify_each(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT(TEXT_MAX);
    keys_put_signed(&bytes, span_of_str(text), &fixture.log, 0);
    keys_put_signature(&bytes, span_of_str("another text\n"), &fixture.other, 5);
    keys_put_signature(&bytes, span_of_str(text), &fixture.witness, 6);
    const struct vkey *keys[] = { &fixture.log.vkey, &fixture.other.vkey, &fixture.witness.vkey };
    struct result result = verify(buf_span(&bytes), keys, 3);
    assert_int_equal(result.rc, E_BAD_SIGNATURE);
    assert_non_null(strstr(result.err.msg, "other.example"));
    assert_int_equal(result.each_count, 2);
    assert_int_equal(result.each[0].key, 0);
    assert_int_equal(result.each[1].key, 2);
    assert_int_equal(result.each[1].line, 2);
    assert_int_equal(result.each[1].timestamp, 6);
    assert_int_equal(result.bad_count, 1);
    const struct vkey *without[] = { &fixture.log.vkey, &fixture.witness.vkey };
    assert_int_equal(verify(buf_span(&bytes), without, 2).rc, E_OK);
    buf_clear(&bytes);
}

static void a_signature_of_another_length_under_a_known_key_is_bad(void **state)
{
    (void)state;
    struct ed25519_signature raw = keys_sign(fixture.log.key, span_of_str(text));
    uint8_t longer[80] = { 0 };
    memcpy(longer, raw.bytes, sizeof raw.bytes);
    const struct vkey *keys[] = { &fixture.log.vkey };
    for (size_t len = 1; len <= sizeof longer; len++) {
        struct buf bytes = BUF_INIT(TEXT_MAX);
        buf_put_str(&bytes, text);
        buf_put_u8(&bytes, '\n');
        put_blob_line(&bytes, "log.example", fixture.log.vkey.id, span_of(longer, len));
        struct result result = verify(buf_span(&bytes), keys, 1);
        assert_int_equal(result.rc, len == sizeof raw.bytes ? E_OK : E_BAD_SIGNATURE);
        assert_int_equal(result.bad_count, len == sizeof raw.bytes ? 0 : 1);
        buf_clear(&bytes);
    }
}

static void the_first_line_of_a_key_counts(void **state)
{
    (void)state;
    const struct vkey *keys[] = { &fixture.witness.vkey };
    struct buf bytes = BUF_INIT(TEXT_MAX);
    keys_put_signed(&bytes, span_of_str(text), &fixture.witness, 7);
    keys_put_signature(&bytes, span_of_str(text), &fixture.witness, 8);
    keys_put_signature(&bytes, span_of_str(text), &fixture.witness, 7);
    keys_put_signature(&bytes, span_of_str("x\n"), &fixture.witness, 9);
    struct result result = verify(buf_span(&bytes), keys, 1);
    assert_int_equal(result.rc, E_OK);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.verified[0].timestamp, 7);
    assert_int_equal(result.each_count, 1);
    assert_int_equal(result.bad_count, 0);
    buf_clear(&bytes);

    buf_put_str(&bytes, text);
    buf_put_u8(&bytes, '\n');
    keys_put_signature(&bytes, span_of_str("x\n"), &fixture.witness, 9);
    keys_put_signature(&bytes, span_of_str(text), &fixture.witness, 8);
    result = verify(buf_span(&bytes), keys, 1);
    assert_int_equal(result.rc, E_BAD_SIGNATURE);
    assert_int_equal(result.each_count, 1); /* the bad one does not hide the good one */
    assert_int_equal(result.each[0].line, 1);
    assert_int_equal(result.bad_count, 1);
    buf_clear(&bytes);
}

static void two_known_keys_with_one_name_and_id_are_a_conflict(void **state)
{
    (void)state;
    struct buf bytes = make_note();
    struct vkey twin = fixture.log.vkey;
    twin.key.bytes[0] ^= 1;
    const struct vkey *keys[] = { &fixture.log.vkey, &fixture.witness.vkey, &twin };
    assert_int_equal(verify(buf_span(&bytes), keys, 3).rc, E_CONFLICT);
    keys[2] = &fixture.log.vkey;
    assert_int_equal(verify(buf_span(&bytes), keys, 3).rc, E_CONFLICT);
    twin.id ^= 1;
    keys[2] = &twin;
    assert_int_equal(verify(buf_span(&bytes), keys, 3).rc, E_OK);
    buf_clear(&bytes);
}

static void a_note_without_known_signatures_says_what_was_expected(void **state)
{
    (void)state;
    struct buf bytes = make_note();
    const struct vkey *keys[] = { &fixture.other.vkey, &fixture.other.vkey };
    struct result result = verify(buf_span(&bytes), keys, 1);
    assert_int_equal(result.rc, E_BAD_SIGNATURE);
    assert_non_null(strstr(result.err.msg, "not signed by other.example"));
    assert_int_equal(verify(buf_span(&bytes), keys, 0).rc, E_BAD_SIGNATURE);
    /* The log's key pasted as a witness's, or the other way round. */
    struct vkey pasted = vkey_make("log.example", SIGNATURE_COSIGNATURE, &fixture.log.vkey.key);
    keys[0] = &pasted;
    result = verify(buf_span(&bytes), keys, 1);
    assert_int_equal(result.rc, E_BAD_SIGNATURE);
    assert_non_null(strstr(result.err.msg, "log.example under key ID"));
    assert_int_equal(result.bad_count, 0);
    buf_clear(&bytes);
}

static void a_failed_verification_leaves_the_results_as_they_were(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT(TEXT_MAX);
    keys_put_signed(&bytes, span_of_str(text), &fixture.log, 0);
    keys_put_signature(&bytes, span_of_str("x\n"), &fixture.witness, 9);
    const struct vkey *keys[] = { &fixture.log.vkey, &fixture.witness.vkey };
    struct note note;
    struct err err;
    assert_int_equal(note_parse(&note, buf_span(&bytes), &err), E_OK);
    struct note_verified verified[2] = { { 77, 77, 77 }, { 77, 77, 77 } };
    size_t count = 77;
    assert_int_equal(note_verify(&note, keys, 2, verified, &count, &err), E_BAD_SIGNATURE);
    assert_int_equal(count, 77);
    assert_int_equal(verified[0].key, 77);
    note_clear(&note);
    buf_clear(&bytes);
}

static void a_hundred_known_keys_verify_in_one_note(void **state)
{
    (void)state;
    struct signer signers[NOTE_SIGNATURES_MAX];
    const struct vkey *keys[NOTE_SIGNATURES_MAX];
    struct buf bytes = BUF_INIT(TEXT_MAX);
    buf_put_str(&bytes, text);
    buf_put_u8(&bytes, '\n');
    for (size_t i = 0; i < NOTE_SIGNATURES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%zu", i);
        signers[i] = keys_signer(name, SIGNATURE_COSIGNATURE, name);
        keys[i] = &signers[i].vkey;
        keys_put_signature(&bytes, span_of_str(text), &signers[i], i + 1);
    }
    struct result result = verify(buf_span(&bytes), keys, NOTE_SIGNATURES_MAX);
    assert_int_equal(result.rc, E_OK);
    assert_int_equal(result.count, NOTE_SIGNATURES_MAX);
    for (size_t i = 0; i < NOTE_SIGNATURES_MAX; i++) {
        assert_int_equal(result.verified[i].timestamp, i + 1);
        signer_clear(&signers[i]);
    }
    buf_clear(&bytes);
}

/* -- vectors -- */

/* The two-signature note of x/mod's own tests and its keys. */
struct neumann {
    struct vkey peter, enoch;
    struct span note;
};

static struct neumann load_neumann(void)
{
    struct neumann out;
    struct err err;
    struct span peter = shared_word("PeterNeumann+c74f20a3+");
    struct span enoch = shared_word("EnochRoot+af0cfe78+");
    out.note = shared_lines("If you think cryptography", 5);
    assert_int_equal(vkey_parse(&out.peter, peter, &err), E_OK);
    assert_int_equal(vkey_parse(&out.enoch, enoch, &err), E_OK);
    return out;
}

static void the_note_of_the_go_tests_verifies_and_is_reproduced(void **state)
{
    (void)state;
    struct neumann neumann = load_neumann();
    struct span skey = shared_word("PRIVATE+KEY+PeterNeumann+");
    const struct vkey *keys[] = { &neumann.enoch, &neumann.peter };
    struct result result = verify(neumann.note, keys, 2);
    assert_int_equal(result.rc, E_OK);
    assert_int_equal(result.count, 2);
    assert_int_equal(result.verified[0].key, 1);
    assert_int_equal(result.verified[1].key, 0);

    struct signer peter;
    struct err err;
    assert_int_equal(signer_parse(&peter, skey, &err), E_OK);
    struct signer enoch =
        keys_signer_from_hex("EnochRoot", SIGNATURE_ED25519,
                             "0000000000000000000000000000000000000000000000000000000000000000");
    size_t text_len = span_find(neumann.note, span_of_str("\n\n")) + 1;
    struct span note_text = span_of(neumann.note.data, text_len);
    struct buf again = BUF_INIT(TEXT_MAX);
    keys_put_signed(&again, note_text, &peter, 0);
    keys_put_signature(&again, note_text, &enoch, 0);
    assert_true(span_is_equal(buf_span(&again), neumann.note));
    buf_clear(&again);
    signer_clear(&peter);
    signer_clear(&enoch);
}

static void the_bad_notes_of_the_go_tests_are_rejected(void **state)
{
    (void)state;
    struct neumann neumann = load_neumann();
    size_t text_len = span_find(neumann.note, span_of_str("\n\n")) + 1;
    struct span lines = span_slice(neumann.note, text_len + 1, neumann.note.len - text_len - 1);
    assert_malformed(span_of(neumann.note.data, text_len));
    assert_malformed(span_of(neumann.note.data, text_len + 1));
    assert_malformed(span_of(neumann.note.data, neumann.note.len - 1));
    for (int prefix = 0; prefix < 2; prefix++) {
        struct buf bad = BUF_INIT(TEXT_MAX);
        buf_put_u8(&bad, prefix == 0 ? 0x01 : 0xff);
        buf_put(&bad, neumann.note);
        assert_malformed(buf_span(&bad));
        buf_clear(&bad);
    }
    struct buf bad = BUF_INIT(TEXT_MAX);
    buf_put(&bad, neumann.note);
    buf_put_str(&bad, "More text.\n");
    assert_malformed(buf_span(&bad));
    buf_reset(&bad);
    buf_put(&bad, span_of(neumann.note.data, text_len + 1));
    for (size_t i = 0; i < 101; i++) {
        buf_put(&bad, span_of(lines.data, span_find(lines, span_of_str("\n")) + 1));
    }
    assert_malformed(buf_span(&bad));
    buf_clear(&bad);
}

static void characters_inside_a_base64_make_a_bad_or_an_unknown_signature(void **state)
{
    (void)state;
    struct neumann neumann = load_neumann();
    size_t at = span_find(neumann.note, span_of_str("x08go/")) + 12;
    struct buf changed = BUF_INIT(TEXT_MAX);
    buf_put(&changed, span_of(neumann.note.data, at));
    buf_put_str(&changed, "AAAA");
    buf_put(&changed, span_slice(neumann.note, at, neumann.note.len - at));
    const struct vkey *peter[] = { &neumann.peter }, *enoch[] = { &neumann.enoch };
    assert_int_equal(verify(buf_span(&changed), peter, 1).rc, E_BAD_SIGNATURE);
    assert_int_equal(verify(buf_span(&changed), enoch, 1).rc, E_OK);
    buf_clear(&changed);
}

static void the_example_of_the_specification_verifies(void **state)
{
    (void)state;
    struct span vkey_text = shared_word("example.com/foo+530d903a+");
    struct span note = shared_lines("This is an example message.", 3);
    struct vkey vkey;
    struct err err;
    assert_int_equal(vkey_parse(&vkey, vkey_text, &err), E_OK);
    const struct vkey *keys[] = { &vkey };
    assert_int_equal(verify(note, keys, 1).rc, E_OK);
}

static void the_sigsum_log_note_is_reproduced(void **state)
{
    (void)state;
    struct span origin = shared_word("sigsum.org/v1/tree/e796172b");
    struct span root = shared_word("HA5HAAAA");
    struct span blob = shared_word("gJ2ho0n8");
    char name[KEY_NAME_BYTES_MAX + 1];
    snprintf(name, sizeof name, "%.*s", SPAN_PRINTF(origin));
    struct signer signer =
        keys_signer_from_hex(name, SIGNATURE_ED25519,
                             "1100000000000000000000000000000000000000000000000000000000000000");
    struct buf note_text = BUF_INIT(TEXT_MAX), note = BUF_INIT(TEXT_MAX);
    buf_putf(&note_text, "%s\n10\n%.*s\n", name, SPAN_PRINTF(root));
    keys_put_signed(&note, buf_span(&note_text), &signer, 0);
    struct buf line = BUF_INIT(TEXT_MAX);
    buf_putf(&line, DASH "%s %.*s\n", name, SPAN_PRINTF(blob));
    assert_true(span_has_suffix(buf_span(&note), buf_span(&line)));
    buf_clear(&line);
    buf_clear(&note_text);
    buf_clear(&note);
    signer_clear(&signer);
}

static void notes_with_types_we_cannot_verify_are_still_read(void **state)
{
    (void)state;
    static const struct {
        const char *first_line;
        uint32_t key_id;
        size_t signature_bytes; /* 0: it varies */
    } cases[] = {
        { "Rekor\n", 0xc0d23d6a, 0 },
        { "rome.ct.filippo.io/2024h1\n", 0x78f4abae, 0 },
        { "example.com/mldsa-log\n", 0xb5df45c5, 8 + 2420 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span bytes = shared_lines(cases[i].first_line, 5);
        struct note note;
        struct err err;
        assert_int_equal(note_parse(&note, bytes, &err), E_OK);
        assert_int_equal(note.count, 1);
        assert_int_equal(note.lines[0].key_id, cases[i].key_id);
        assert_true(cases[i].signature_bytes == 0 ||
                    note.lines[0].signature.len == cases[i].signature_bytes);
        note_clear(&note);
        const struct vkey *keys[] = { &fixture.log.vkey };
        assert_int_equal(verify(bytes, keys, 1).rc, E_BAD_SIGNATURE);
    }
}

/* A peer test sends a signature with stray bits that is wrong too, and expects 403, not 400. */
static void a_wrong_signature_with_stray_bits_is_bad_and_not_malformed(void **state)
{
    (void)state;
    struct span origin = shared_word("sigsum.org/v1/tree/4d6d8825");
    struct span key = shared_word("O+5202289b+"), root = shared_word("RcCI1Nk5");
    struct span blob = shared_word("UgIom2VbtIcdFbwFAy1n7s6I");
    struct buf vkey_text = BUF_INIT(TEXT_MAX), bytes = BUF_INIT(TEXT_MAX);
    buf_putf(&vkey_text, "%.*s%.*s", SPAN_PRINTF(origin), (int)key.len - 1, key.data + 1);
    struct vkey vkey;
    struct err err;
    assert_int_equal(vkey_parse(&vkey, buf_span(&vkey_text), &err), E_OK);
    buf_putf(&bytes, "%.*s\n3\n%.*s\n\n" DASH "%s %.*s\n", SPAN_PRINTF(origin), SPAN_PRINTF(root),
             vkey.name, SPAN_PRINTF(blob));
    const struct vkey *keys[] = { &vkey };
    assert_int_equal(verify(buf_span(&bytes), keys, 1).rc, E_OK);
    bytes.data[bytes.len - 3] = 'x';
    assert_int_equal(verify(buf_span(&bytes), keys, 1).rc, E_BAD_SIGNATURE);
    buf_clear(&vkey_text);
    buf_clear(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(note_parse_gives_the_text_and_each_line),
        cmocka_unit_test(the_last_blank_line_ends_the_text),
        cmocka_unit_test(note_parse_rejects_what_is_not_a_note),
        cmocka_unit_test(note_parse_takes_what_the_specification_allows),
        cmocka_unit_test(the_only_prefix_of_a_note_that_is_one_has_fewer_signatures),
        cmocka_unit_test(a_hundred_signature_lines_are_read_and_no_more),
        cmocka_unit_test(a_note_is_read_up_to_its_maximum_and_no_further),
        cmocka_unit_test(both_types_verify_with_position_and_time),
        cmocka_unit_test(a_line_is_written_again_in_one_spelling),
        cmocka_unit_test(no_flipped_bit_verifies_as_signed_by_the_key),
        cmocka_unit_test(unknown_lines_are_ignored_whatever_they_hold),
        cmocka_unit_test(a_bad_line_of_a_known_key_fails_the_note_but_not_note_verify_each),
        cmocka_unit_test(a_signature_of_another_length_under_a_known_key_is_bad),
        cmocka_unit_test(the_first_line_of_a_key_counts),
        cmocka_unit_test(two_known_keys_with_one_name_and_id_are_a_conflict),
        cmocka_unit_test(a_note_without_known_signatures_says_what_was_expected),
        cmocka_unit_test(a_failed_verification_leaves_the_results_as_they_were),
        cmocka_unit_test(a_hundred_known_keys_verify_in_one_note),
        cmocka_unit_test(the_note_of_the_go_tests_verifies_and_is_reproduced),
        cmocka_unit_test(the_bad_notes_of_the_go_tests_are_rejected),
        cmocka_unit_test(characters_inside_a_base64_make_a_bad_or_an_unknown_signature),
        cmocka_unit_test(the_example_of_the_specification_verifies),
        cmocka_unit_test(the_sigsum_log_note_is_reproduced),
        cmocka_unit_test(notes_with_types_we_cannot_verify_are_still_read),
        cmocka_unit_test(a_wrong_signature_with_stray_bits_is_bad_and_not_malformed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
