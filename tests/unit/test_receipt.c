#include "tlog/receipt.h"

#include "base/ascii.h"
#include "tests/support/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DASH "\xe2\x80\x94 "
#define HASH "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define HEAD "c2sp.org/tlog-proof@v1\n"
#define NOTE "t\n\n" DASH "n AAAAAAA=\n"

enum {
    TEXT_MAX = PROOF_FILE_BYTES_MAX + 1000
};

/* protocols.md 8.6, computed there: entry 5, "six", of a log of 8 entries, and its policy. */
static const char vector[] =
    "c2sp.org/tlog-proof@v1\n"
    "index 5\n"
    "zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=\n"
    "nk9gCR+floFqznAPtqjjcnnV64dge2jQB95D5t164Hg=\n"
    "zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=\n"
    "\n"
    "example.com/log/testdata\n"
    "8\n"
    "bC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=\n"
    "\n" DASH "example.com/log/testdata "
    "M9e0lq1EK37dHtgv9O3UzPxisw5vwIPcJsX9ab0xt4mvVfbdUR1fbMjN6sBFYpBoBEmD4+cWhj/"
    "AVgI5MitCO5+mews=\n" DASH "witness.example.org "
    "uKLPIAAAAABpVGeATpM2NHKXdN9/xPeN3aSJvqGWTvnkFr6/tuGZO+LedHGBX60g5LEGl2C5U8eFgrgSgntlmYNIEEKTgM"
    "RRXK8hCQ==\n";
static const char vector_sha256[] =
    "1e3c8c29c3cd77d635dfc61fc9dd15f0369f2d08646c813209165f80fe74a42c";
static const char vector_policy[] =
    "log example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx\n"
    "witness w witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN\n"
    "quorum w\n";

static struct policy *parse_policy(const char *text)
{
    struct policy *policy = NULL;
    struct err err = { 0 };
    if (policy_parse(&policy, span_of_str(text), &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    return policy;
}

static enum err_code verify(struct span bytes, const struct policy *policy, const char *entry,
                            struct policy_verdict *verdict)
{
    struct receipt receipt;
    struct err err;
    enum err_code rc = receipt_parse(&receipt, bytes, &err);
    if (rc != E_OK) {
        return rc;
    }
    struct hash leaf = merkle_leaf_hash(span_of_str(entry));
    rc = receipt_verify(&receipt, policy, &leaf, verdict, &err);
    receipt_clear(&receipt);
    return rc;
}

/* -- the vector -- */

static void the_vector_is_the_one_that_was_computed(void **state)
{
    (void)state;
    assert_int_equal(sizeof vector - 1, 491);
    struct hash hash = sha256(span_of_str(vector));
    struct buf hex = BUF_INIT(2 * HASH_BYTES + 1);
    hex_put(&hex, hash_span(&hash));
    assert_string_equal(buf_c_str(&hex), vector_sha256);
    buf_clear(&hex);
}

static void the_vector_verifies_with_its_policy(void **state)
{
    (void)state;
    struct policy *policy = parse_policy(vector_policy);
    struct policy_verdict verdict;
    assert_int_equal(verify(span_of_str(vector), policy, "six", &verdict), E_OK);
    assert_true(verdict.is_met);
    assert_int_equal(verdict.checkpoint.size, 8);
    assert_string_equal(verdict.checkpoint.origin, "example.com/log/testdata");
    assert_int_equal(verdict.timestamps[0], 1767139200);
    assert_int_equal(verdict.bad_signatures, 0);
    policy_free(policy);
}

static void another_entry_does_not_verify(void **state)
{
    (void)state;
    struct policy *policy = parse_policy(vector_policy);
    struct policy_verdict verdict = { .bad_signatures = 77 };
    assert_int_equal(verify(span_of_str(vector), policy, "five", &verdict), E_BAD_PROOF);
    assert_int_equal(verify(span_of_str(vector), policy, "", &verdict), E_BAD_PROOF);
    assert_int_equal(verdict.bad_signatures, 77);
    policy_free(policy);
}

static void no_truncation_of_the_vector_verifies_but_the_one_without_its_witness(void **state)
{
    (void)state;
    struct policy *policy = parse_policy(vector_policy);
    struct policy_verdict verdict;
    size_t log_line_end = span_find_last(span_of_str(vector), span_of_str(DASH));
    for (size_t len = 0; len < sizeof vector - 1; len++) {
        enum err_code rc = verify(span_of(vector, len), policy, "six", &verdict);
        assert_int_equal(rc, len == log_line_end ? E_OK : E_MALFORMED);
    }
    assert_int_equal(verify(span_of(vector, log_line_end), policy, "six", &verdict), E_OK);
    assert_false(verdict.is_met);
    policy_free(policy);
}

/* What still meets the policy after a bit has flipped differs only in bits behind a base64's last
 * byte, which signature lines may have. */
static void no_flipped_bit_of_the_vector_verifies(void **state)
{
    (void)state;
    struct policy *policy = parse_policy(vector_policy);
    uint8_t bytes[sizeof vector - 1];
    memcpy(bytes, vector, sizeof bytes);
    size_t accepted = 0;
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct policy_verdict verdict;
        if (verify(SPAN_OF_ARRAY(bytes), policy, "six", &verdict) == E_OK && verdict.is_met) {
            bool is_before_padding = bytes[bit / 8 + 1] == '=';
            assert_true(is_before_padding);
            accepted++;
        }
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_in_range(accepted, 1, 8);
    policy_free(policy);
}

/* -- form -- */

static void receipt_put_writes_what_receipt_parse_reads(void **state)
{
    (void)state;
    static const uint64_t indices[] = { 0, 1, 10, SIZE_VALUE_MAX - 1 };
    for (size_t i = 0; i < sizeof indices / sizeof indices[0]; i++) {
        for (size_t count = 0; count <= PROOF_HASHES_MAX; count += 21) {
            struct proof proof = { .count = count };
            for (size_t k = 0; k < count; k++) {
                proof.hashes[k] = merkle_leaf_hash(span_of(&k, sizeof k));
            }
            struct buf text = BUF_INIT(TEXT_MAX);
            receipt_put(&text, indices[i], &proof, span_of_str(NOTE));
            struct receipt receipt;
            struct err err;
            assert_int_equal(receipt_parse(&receipt, buf_span(&text), &err), E_OK);
            assert_int_equal(receipt.index, indices[i]);
            assert_true(proof_is_equal(&receipt.proof, &proof));
            assert_true(span_is_str(receipt.note, NOTE));
            assert_false(receipt.has_extra);
            assert_int_equal(receipt.extra.len, 0);
            receipt_clear(&receipt);
            buf_clear(&text);
        }
    }
}

static void extra_data_is_decoded_and_changes_nothing(void **state)
{
    (void)state;
    struct receipt receipt;
    struct err err;
    assert_int_equal(receipt_parse(&receipt, span_of_str(HEAD "extra aGk=\nindex 0\n\n" NOTE),
                                   &err),
                     E_OK);
    assert_true(receipt.has_extra);
    assert_true(span_is_str(buf_span(&receipt.extra), "hi"));
    receipt_clear(&receipt);
    assert_int_equal(receipt_parse(&receipt, span_of_str(HEAD "extra \nindex 0\n\n" NOTE), &err),
                     E_OK);
    assert_true(receipt.has_extra);
    assert_int_equal(receipt.extra.len, 0);
    receipt_clear(&receipt);

    struct policy *policy = parse_policy(vector_policy);
    struct policy_verdict verdict;
    struct buf text = BUF_INIT(TEXT_MAX);
    buf_put_str(&text, HEAD "extra AAAA\n");
    buf_put_str(&text, vector + strlen(HEAD));
    assert_int_equal(verify(buf_span(&text), policy, "six", &verdict), E_OK);
    assert_true(verdict.is_met);
    buf_clear(&text);
    policy_free(policy);
}

static void receipt_parse_rejects_what_is_not_a_receipt(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "", "first line" },
        { NOTE, "first line" },
        { "c2sp.org/tlog-proof@v2\nindex 0\n\n" NOTE, "first line" },
        { "c2sp.org/tlog-proof@v1\r\nindex 0\n\n" NOTE, "first line" },
        { " " HEAD "index 0\n\n" NOTE, "first line" },
        { HEAD, "index N" },
        { HEAD "\n" NOTE, "index N" },
        { HEAD HASH "\n\n" NOTE, "index N" },
        { HEAD "index notanumber\n\n" NOTE, "index: " },
        { HEAD "index -5\n\n" NOTE, "index: " },
        { HEAD "index +5\n\n" NOTE, "index: " },
        { HEAD "index 05\n\n" NOTE, "index: " },
        { HEAD "index 5 \n\n" NOTE, "index: " },
        { HEAD "index  5\n\n" NOTE, "index: " },
        { HEAD "index \n\n" NOTE, "index: " },
        { HEAD "index 5\r\n\n" NOTE, "index: " },
        { HEAD "index 9223372036854775807\n\n" NOTE, "index: " },
        { HEAD "index 18446744073709551616\n\n" NOTE, "index: " },
        { HEAD "Index 5\n\n" NOTE, "index N" },
        { HEAD "index 5", "index N" },
        { HEAD "index 5\n", "empty line" },
        { HEAD "index 5\n" HASH "\n", "empty line" },
        { HEAD "index 5\n" HASH, "empty line" },
        { HEAD "index 5\nnot base64!\n\n" NOTE, "proof line 1" },
        { HEAD "index 5\n" HASH "\n" HASH "x\n\n" NOTE, "proof line 2" },
        { HEAD "index 5\n" HASH " \n\n" NOTE, "proof line 1" },
        { HEAD "index 5\n" HASH "\r\n\n" NOTE, "proof line 1" },
        { HEAD "index 5\n" HASH HASH "\n\n" NOTE, "proof line 1" },
        { HEAD "index 5\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=\n\n" NOTE, "proof line 1" },
        { HEAD "index 5\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nz"
               "g5Ojs8PT4/QA==\n\n" NOTE,
          "proof line 1" }, /* 64 bytes */
        { HEAD "index 5\nextra AAAA\n\n" NOTE, "proof line 1" },
        { HEAD "extra not base64!\nindex 5\n\n" NOTE, "extra: " },
        { HEAD "extra AAB=\nindex 5\n\n" NOTE, "extra: " },
        { HEAD "extra AAAA", "extra: " },
        { HEAD "extra\nindex 5\n\n" NOTE, "index N" },
        { HEAD "extra AAAA\nextra AAAA\nindex 5\n\n" NOTE, "index N" },
        { HEAD "index 5\n\n", "note: " },
        { HEAD "index 5\n\nt\n", "note: " },
        { HEAD "index 5\n\nt\n\n", "note: " },
        { HEAD "index 5\n\n" NOTE "\n", "note: " },
        { HEAD "index 5\n\nt\r\n\n" DASH "n AAAAAAA=\n", "note: " },
        { HEAD "index 5\n\nt\n\n" DASH "n AAAAAAA=", "note: " },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct receipt receipt;
        struct err err;
        if (receipt_parse(&receipt, span_of_str(cases[i].text), &err) != E_MALFORMED) {
            fail_msg("accepted: %s", cases[i].text);
        }
        if (strncmp(err.msg, "tlog-proof: ", 12) != 0 || strstr(err.msg, cases[i].words) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", err.msg, cases[i].words);
        }
    }
}

static void receipt_parse_stops_at_its_maxima(void **state)
{
    (void)state;
    struct receipt receipt;
    struct err err;
    struct buf text = BUF_INIT(TEXT_MAX);
    buf_put_str(&text, HEAD "index 5\n");
    for (size_t i = 0; i < PROOF_HASHES_MAX + 1; i++) {
        buf_put_str(&text, HASH "\n");
    }
    buf_put_str(&text, "\n" NOTE);
    assert_int_equal(receipt_parse(&receipt, buf_span(&text), &err), E_MALFORMED);
    buf_reset(&text);
    buf_put_str(&text, HEAD "extra ");
    while (text.len <= PROOF_FILE_BYTES_MAX) {
        buf_put_str(&text, "AAAA");
    }
    buf_put_str(&text, "\nindex 5\n\n" NOTE);
    assert_int_equal(receipt_parse(&receipt, buf_span(&text), &err), E_MALFORMED);
    buf_clear(&text);
}

/* -- several witnesses -- */

enum {
    WITNESSES = 4
};

struct court {
    struct signer log, witnesses[WITNESSES];
    struct policy *policy; /* 3 of 4 */
    struct proof proof;    /* of "b", entry 1 of 3 */
    struct buf text;       /* of the checkpoint */
};

static struct court court;

static int open_court(void **state)
{
    (void)state;
    struct buf policy = BUF_INIT(2000);
    court.log = keys_signer("log.example", SIGNATURE_ED25519, "log");
    buf_put_str(&policy, "log ");
    vkey_put(&policy, &court.log.vkey);
    for (size_t i = 0; i < WITNESSES; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%zu.example", i);
        court.witnesses[i] = keys_signer(name, SIGNATURE_COSIGNATURE, name);
        buf_putf(&policy, "\nwitness w%zu ", i);
        vkey_put(&policy, &court.witnesses[i].vkey);
    }
    buf_put_str(&policy, "\ngroup g 3 w0 w1 w2 w3\nquorum g\n");
    court.policy = parse_policy(buf_c_str(&policy));
    buf_clear(&policy);

    struct hash a = merkle_leaf_hash(span_of_str("a")), b = merkle_leaf_hash(span_of_str("b"));
    struct hash c = merkle_leaf_hash(span_of_str("c"));
    struct hash ab = merkle_node_hash(&a, &b);
    struct checkpoint checkpoint = { .origin = "log.example",
                                     .size = 3,
                                     .root = merkle_node_hash(&ab, &c) };
    buf_init(&court.text, CHECKPOINT_TEXT_MAX);
    checkpoint_put(&court.text, &checkpoint);
    court.proof = (struct proof){ 2, { a, c } };
    return 0;
}

static int close_court(void **state)
{
    (void)state;
    signer_clear(&court.log);
    for (size_t i = 0; i < WITNESSES; i++) {
        signer_clear(&court.witnesses[i]);
    }
    policy_free(court.policy);
    buf_clear(&court.text);
    return 0;
}

/* A receipt with a line of each witness; that of `bad`, if there is such a one, is spoilt. */
static struct buf make_receipt(size_t bad, size_t last_byte_change)
{
    struct buf note = BUF_INIT(TEXT_MAX), out = BUF_INIT(TEXT_MAX);
    keys_put_signed(&note, buf_span(&court.text), &court.log, 0);
    for (size_t i = 0; i < WITNESSES; i++) {
        size_t from = note.len;
        keys_put_signature(&note, buf_span(&court.text), &court.witnesses[i], 100 + i);
        if (i == bad) {
            size_t at = from + strlen(DASH "w0.example ") + last_byte_change;
            note.data[at] = note.data[at] == 'A' ? 'B' : 'A';
        }
    }
    receipt_put(&out, 1, &court.proof, buf_span(&note));
    buf_clear(&note);
    return out;
}

static void one_bad_cosignature_hides_no_other(void **state)
{
    (void)state;
    for (size_t bad = 0; bad <= WITNESSES; bad++) {
        /* Characters 8 and on: time, then signature. The first six make the key ID. */
        for (size_t at = 8; at < 100; at += 13) {
            struct buf text = make_receipt(bad, at);
            struct policy_verdict verdict;
            assert_int_equal(verify(buf_span(&text), court.policy, "b", &verdict), E_OK);
            assert_true(verdict.is_met);
            assert_int_equal(verdict.bad_signatures, bad < WITNESSES);
            for (size_t i = 0; i < WITNESSES; i++) {
                assert_int_equal(verdict.cosigned.has[i], i != bad);
                assert_int_equal(verdict.timestamps[i], i == bad ? 0 : 100 + i);
            }
            buf_clear(&text);
        }
    }
}

static void a_receipt_short_of_a_quorum_verifies_without_being_met(void **state)
{
    (void)state;
    struct buf note = BUF_INIT(TEXT_MAX);
    keys_put_signed(&note, buf_span(&court.text), &court.log, 0);
    for (size_t count = 0; count <= WITNESSES; count++) {
        struct buf text = BUF_INIT(TEXT_MAX);
        receipt_put(&text, 1, &court.proof, buf_span(&note));
        struct policy_verdict verdict;
        assert_int_equal(verify(buf_span(&text), court.policy, "b", &verdict), E_OK);
        assert_int_equal(verdict.is_met, count >= 3);
        buf_clear(&text);
        if (count < WITNESSES) {
            keys_put_signature(&note, buf_span(&court.text), &court.witnesses[count], 5);
        }
    }
    buf_clear(&note);
}

static void each_verdict_has_its_own_code(void **state)
{
    (void)state;
    struct buf good = make_receipt(WITNESSES, 0);
    struct policy_verdict verdict;
    assert_int_equal(verify(buf_span(&good), court.policy, "a", &verdict), E_BAD_PROOF);
    struct policy *unknown = parse_policy("quorum none\n");
    assert_int_equal(verify(buf_span(&good), unknown, "b", &verdict), E_NOT_FOUND);
    policy_free(unknown);

    struct signer impostor = keys_signer("log.example", SIGNATURE_ED25519, "impostor");
    struct buf text = BUF_INIT(1000);
    buf_put_str(&text, "log ");
    vkey_put(&text, &impostor.vkey);
    buf_put_str(&text, "\nquorum none\n");
    struct policy *other = parse_policy(buf_c_str(&text));
    assert_int_equal(verify(buf_span(&good), other, "b", &verdict), E_BAD_SIGNATURE);
    policy_free(other);
    signer_clear(&impostor);
    buf_clear(&text);
    buf_clear(&good);

    /* An index at or beyond the size, and a proof too short, too long or in the wrong order. */
    struct buf note = BUF_INIT(2000);
    keys_put_signed(&note, buf_span(&court.text), &court.log, 0);
    struct proof proofs[] = { court.proof, court.proof, court.proof, court.proof, court.proof };
    static const uint64_t indices[] = { 3, 0, 1, 1, 1 };
    proofs[2].count = 1;
    proofs[3].count = 3;
    proofs[4].hashes[0] = court.proof.hashes[1];
    proofs[4].hashes[1] = court.proof.hashes[0];
    for (size_t i = 0; i < sizeof proofs / sizeof proofs[0]; i++) {
        struct buf receipt = BUF_INIT(TEXT_MAX);
        receipt_put(&receipt, indices[i], &proofs[i], buf_span(&note));
        assert_int_equal(verify(buf_span(&receipt), court.policy, "b", &verdict), E_BAD_PROOF);
        buf_clear(&receipt);
    }
    buf_clear(&note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_is_the_one_that_was_computed),
        cmocka_unit_test(the_vector_verifies_with_its_policy),
        cmocka_unit_test(another_entry_does_not_verify),
        cmocka_unit_test(no_truncation_of_the_vector_verifies_but_the_one_without_its_witness),
        cmocka_unit_test(no_flipped_bit_of_the_vector_verifies),
        cmocka_unit_test(receipt_put_writes_what_receipt_parse_reads),
        cmocka_unit_test(extra_data_is_decoded_and_changes_nothing),
        cmocka_unit_test(receipt_parse_rejects_what_is_not_a_receipt),
        cmocka_unit_test(receipt_parse_stops_at_its_maxima),
        cmocka_unit_test(one_bad_cosignature_hides_no_other),
        cmocka_unit_test(a_receipt_short_of_a_quorum_verifies_without_being_met),
        cmocka_unit_test(each_verdict_has_its_own_code),
    };
    return cmocka_run_group_tests(tests, open_court, close_court);
}
