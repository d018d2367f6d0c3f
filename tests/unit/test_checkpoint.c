#include "tlog/checkpoint.h"

#include "base/ascii.h"
#include "tests/support/keys.h"
#include "tests/support/shared.h"
#include "tlog/merkle.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROOT       "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define EMPTY_ROOT "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static void assert_malformed(struct span text)
{
    struct checkpoint checkpoint = { .size = 7 };
    struct err err;
    if (checkpoint_parse(&checkpoint, text, &err) != E_MALFORMED) {
        fail_msg("accepted: %.*s", SPAN_PRINTF(text));
    }
    assert_int_equal(checkpoint.size, 7);
    assert_int_equal(strncmp(err.msg, "checkpoint: ", 12), 0);
}

static void checkpoint_parse_undoes_checkpoint_put(void **state)
{
    (void)state;
    static const char *const origins[] = {
        "a",
        "example.com/log",
        "go.sum database tree",
        "rekor - 2605736670972794746",
        "7",
        "\xe6\xb3\x95\xe9\x99\xa2",
        "a+b",
        " ",
    };
    static const uint64_t sizes[] = { 1, 9, 10, 1ull << 32, SIZE_VALUE_MAX - 1, SIZE_VALUE_MAX };
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            struct checkpoint checkpoint = { .size = sizes[k],
                                             .root = merkle_leaf_hash(span_of(&k, 1)) };
            memcpy(checkpoint.origin, origins[i], strlen(origins[i]) + 1);
            struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
            checkpoint_put(&text, &checkpoint);
            struct checkpoint again;
            struct err err;
            assert_int_equal(checkpoint_parse(&again, buf_span(&text), &err), E_OK);
            assert_true(checkpoint_is_equal(&checkpoint, &again));
            assert_false(again.has_extensions);
            buf_clear(&text);
        }
    }
}

static void size_zero_has_the_empty_root_and_no_other(void **state)
{
    (void)state;
    struct checkpoint checkpoint;
    struct err err;
    assert_int_equal(checkpoint_parse(&checkpoint, span_of_str("o\n0\n" EMPTY_ROOT "\n"), &err),
                     E_OK);
    assert_int_equal(checkpoint.size, 0);
    assert_malformed(span_of_str("o\n0\n" ROOT "\n"));
    assert_int_equal(checkpoint_parse(&checkpoint, span_of_str("o\n1\n" EMPTY_ROOT "\n"), &err),
                     E_OK); /* nothing says what a root cannot be */
}

static void the_longest_checkpoint_fits_its_maximum(void **state)
{
    (void)state;
    struct checkpoint checkpoint = { .size = SIZE_VALUE_MAX };
    memset(checkpoint.origin, 'o', ORIGIN_BYTES_MAX);
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    checkpoint_put(&text, &checkpoint);
    struct checkpoint again;
    struct err err;
    assert_int_equal(checkpoint_parse(&again, buf_span(&text), &err), E_OK);
    assert_true(checkpoint_is_equal(&checkpoint, &again));
    buf_clear(&text);
}

static void checkpoint_parse_rejects_what_is_not_one(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "\n",
        "\n\n\n",
        "o",
        "o\n",
        "o\n1",
        "o\n1\n",
        "o\n1\n" ROOT,
        "\n1\n" ROOT "\n",
        "1\n" ROOT "\n",
        /* size */
        "o\n\n" ROOT "\n",
        "o\n01\n" ROOT "\n",
        "o\n00\n" EMPTY_ROOT "\n",
        "o\n+1\n" ROOT "\n",
        "o\n-1\n" ROOT "\n",
        "o\n 1\n" ROOT "\n",
        "o\n1 \n" ROOT "\n",
        "o\n1x\n" ROOT "\n",
        "o\n0x1\n" ROOT "\n",
        "o\n1e3\n" ROOT "\n",
        "o\nfive\n" ROOT "\n",
        "o\n1.0\n" ROOT "\n",
        "o\n9223372036854775808\n" ROOT "\n",
        "o\n18446744073709551615\n" ROOT "\n",
        "o\n18446744073709551617\n" ROOT "\n",
        "o\n100000000000000000000000\n" ROOT "\n",
        "o\n\xd9\xa1\n" ROOT "\n",
        /* root */
        "o\n1\n\n",
        "o\n1\nAQID\n",
        "o\n1\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA\n",
        "o\n1\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=\n", /* stray bits */
        "o\n1\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh\n", /* 33 bytes */
        "o\n1\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==\n", /* 31 bytes */
        "o\n1\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy==\n",
        "o\n1\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA==\n",
        "o\n1\n-QIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n", /* URL alphabet */
        "o\n1\n QIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n",
        "o\n1\n" ROOT " \n",
        "o\n1\n" ROOT ROOT "\n",
        /* extension lines */
        "o\n1\n" ROOT "\n\n",
        "o\n1\n" ROOT "\nx",
        "o\n1\n" ROOT "\nx\n\n",
        "o\n1\n" ROOT "\n\nx\n",
        "o\n1\n" ROOT "\nx\n\ny\n",
        "o\n1\n" ROOT "\nx\r\n",
        "o\n1\n" ROOT "\n\xff\n",
        "o\n1\n" ROOT "\na\tb\n",
        /* characters */
        "o\r\n1\r\n" ROOT "\r\n",
        "o\n1\r\n" ROOT "\n",
        "o\n1\n" ROOT "\r\n",
        "o\x01\n1\n" ROOT "\n",
        "o\x7f\n1\n" ROOT "\n",
        "o\xc2\x9b\n1\n" ROOT "\n",
        "\xff\n1\n" ROOT "\n",
        "\xc0\xaf\n1\n" ROOT "\n",
        "\xed\xa0\x80\n1\n" ROOT "\n",
        "\t\n1\n" ROOT "\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_malformed(span_of_str(cases[i]));
    }
    static const char with_nul[] = "o\0p\n1\n" ROOT "\n";
    assert_malformed(span_of(with_nul, sizeof with_nul - 1));
    char long_origin[ORIGIN_BYTES_MAX + 100];
    memset(long_origin, 'o', sizeof long_origin);
    memcpy(long_origin + ORIGIN_BYTES_MAX + 1, "\n1\n" ROOT "\n", 3 + HASH_BASE64_CHARS + 2);
    assert_malformed(span_of_str(long_origin));
}

static void extension_lines_are_read_over_but_reported(void **state)
{
    (void)state;
    static const char *const cases[] = { "o\n1\n" ROOT "\nx\n", "o\n1\n" ROOT "\nx\ny z\n\x7f\n",
                                         "o\n1\n" ROOT "\n \n", "o\n1\n" ROOT "\n\xe6\xb3\x95\n" };
    struct checkpoint plain, checkpoint;
    struct err err;
    assert_int_equal(checkpoint_parse(&plain, span_of_str("o\n1\n" ROOT "\n"), &err), E_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(checkpoint_parse(&checkpoint, span_of_str(cases[i]), &err), E_OK);
        assert_true(checkpoint.has_extensions);
        assert_false(checkpoint_is_equal(&plain, &checkpoint));
        checkpoint.has_extensions = false;
        assert_true(checkpoint_is_equal(&plain, &checkpoint));
    }
}

static void checkpoint_parse_rejects_each_truncation(void **state)
{
    (void)state;
    static const char text[] = "example.com/log\n1234\n" ROOT "\n";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        assert_malformed(span_of(text, len));
    }
}

/* What is accepted after a change is another checkpoint, spelled in its one way. */
static void each_changed_byte_is_rejected_or_changes_the_checkpoint(void **state)
{
    (void)state;
    uint8_t text[] = "log\n1234\n" ROOT "\n";
    struct checkpoint original, checkpoint;
    struct err err;
    size_t len = sizeof text - 1;
    assert_int_equal(checkpoint_parse(&original, span_of(text, len), &err), E_OK);
    for (size_t i = 0; i < len; i++) {
        uint8_t was = text[i];
        for (int c = 0; c < 256; c++) {
            text[i] = (uint8_t)c;
            if (c == was || checkpoint_parse(&checkpoint, span_of(text, len), &err) != E_OK) {
                continue;
            }
            assert_false(checkpoint_is_equal(&original, &checkpoint));
            struct buf again = BUF_INIT(CHECKPOINT_TEXT_MAX);
            checkpoint_put(&again, &checkpoint);
            assert_true(span_is_equal(buf_span(&again), span_of(text, len)));
            buf_clear(&again);
        }
        text[i] = was;
    }
}

static void messages_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "o\n01\n" ROOT "\n", "size: " },
        { "o\n1\nAQID\n", "root: " },
        { "\n1\n" ROOT "\n", "origin: " },
        { "o\n0\n" ROOT "\n", "not the empty tree's" },
        { "o\n1\n" ROOT "\n\n", "empty extension line" },
        { "o\n1\n", "three lines" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct checkpoint checkpoint;
        struct err err;
        assert_int_equal(checkpoint_parse(&checkpoint, span_of_str(cases[i].text), &err),
                         E_MALFORMED);
        assert_non_null(strstr(err.msg, cases[i].words));
    }
}

/* -- signed -- */

static void open_note(const struct signer *signer, const char *text, const struct vkey *key,
                      const char *origin, enum err_code expected)
{
    struct buf note = BUF_INIT(2000);
    keys_put_signed(&note, span_of_str(text), signer, 0);
    struct checkpoint checkpoint = { .size = 77 };
    struct err err;
    assert_int_equal(checkpoint_open(&checkpoint, buf_span(&note), key, origin, &err), expected);
    assert_int_equal(checkpoint.size, expected == E_OK ? 5 : 77);
    buf_clear(&note);
}

static void checkpoint_open_wants_form_signature_and_origin(void **state)
{
    (void)state;
    static const char text[] = "log.example\n5\n" ROOT "\n";
    struct signer log = keys_signer("log.example", SIGNATURE_ED25519, "log");
    struct signer other = keys_signer("log.example", SIGNATURE_ED25519, "other");
    struct signer witness = keys_signer("log.example", SIGNATURE_COSIGNATURE, "log");
    open_note(&log, text, &log.vkey, "log.example", E_OK);
    open_note(&log, text, &log.vkey, "log.example2", E_DENIED);
    open_note(&log, text, &log.vkey, "log.exampl", E_DENIED);
    open_note(&log, text, &other.vkey, "log.example", E_BAD_SIGNATURE);
    open_note(&log, text, &witness.vkey, "log.example", E_BAD_SIGNATURE);
    open_note(&log, "log.example\n05\n" ROOT "\n", &log.vkey, "log.example", E_MALFORMED);
    open_note(&log, "some other text\n", &log.vkey, "log.example", E_MALFORMED);
    /* The key's name need not be the origin. */
    open_note(&log, "other origin\n5\n" ROOT "\n", &log.vkey, "other origin", E_OK);
    struct checkpoint checkpoint;
    struct err err;
    assert_int_equal(checkpoint_open(&checkpoint, span_of_str(text), &log.vkey, "log.example",
                                     &err),
                     E_MALFORMED);
    signer_clear(&log);
    signer_clear(&other);
    signer_clear(&witness);
}

/* -- vectors -- */

static void the_go_checksum_database_signs_under_a_name_that_is_not_the_origin(void **state)
{
    (void)state;
    struct span vkey_text = shared_word("sum.golang.org+033de0ae+");
    struct span note = shared_lines("go.sum database tree\n35225469", 5);
    struct vkey vkey;
    struct checkpoint checkpoint;
    struct err err;
    assert_int_equal(vkey_parse(&vkey, vkey_text, &err), E_OK);
    assert_int_equal(checkpoint_open(&checkpoint, note, &vkey, "go.sum database tree", &err), E_OK);
    assert_int_equal(checkpoint.size, 35225469);
}

static void checkpoints_of_tessera_are_reproduced(void **state)
{
    (void)state;
    static const char *const rows[] = { "0  47DEQpj8",  "1  0Nc2CrefW", "2  T1X2GdkhU",
                                        "3  Wqx3HImaw", "8  bC+VwvrJb", "15 rKbDipCvh" };
    struct span skey = shared_word("PRIVATE+KEY+example.com/log/testdata+");
    struct span lines[sizeof rows / sizeof rows[0]];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lines[i] = shared_lines(rows[i], 1);
    }
    struct signer signer;
    struct err err;
    assert_int_equal(signer_parse(&signer, skey, &err), E_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct span size, root = span_slice(lines[i], 3, HASH_BASE64_CHARS);
        struct span blob = span_slice(lines[i], 3 + HASH_BASE64_CHARS + 3, 92);
        struct span row = lines[i];
        struct checkpoint checkpoint = { .origin = "example.com/log/testdata" };
        assert_true(span_take_until(&row, ' ', &size));
        assert_int_equal(decimal_parse(&checkpoint.size, size, SIZE_VALUE_MAX, &err), E_OK);
        assert_int_equal(base64_decode_hash(&checkpoint.root, root, &err), E_OK);
        struct buf text = BUF_INIT(1000), note = BUF_INIT(1000), expected = BUF_INIT(1000);
        checkpoint_put(&text, &checkpoint);
        keys_put_signed(&note, buf_span(&text), &signer, 0);
        buf_putf(&expected, "%.*s\n\xe2\x80\x94 example.com/log/testdata %.*s\n",
                 SPAN_PRINTF(buf_span(&text)), SPAN_PRINTF(blob));
        assert_true(span_is_equal(buf_span(&note), buf_span(&expected)));
        struct checkpoint again;
        assert_int_equal(checkpoint_open(&again, buf_span(&note), &signer.vkey,
                                         "example.com/log/testdata", &err),
                         E_OK);
        assert_true(checkpoint_is_equal(&checkpoint, &again));
        buf_clear(&text);
        buf_clear(&note);
        buf_clear(&expected);
    }
    signer_clear(&signer);
}

/* The checkpoints of the witness conversation: origin and roots are torchwood's. */
static void checkpoints_of_the_witness_conversation_open_as_they_should(void **state)
{
    (void)state;
    static const struct {
        const char *blob, *size, *root, *extension;
        enum err_code expected;
    } cases[] = {
        { "UgIom7fPZTqpxWWhyjWduBvT", "1", "KgAAAAAA", "", E_OK },
        { "UgIom2VbtIcdFbwFAy1n7s6I", "3", "RcCI1Nk5", "", E_OK },
        { "UgIom2VbtIcdFbwFAy1n7s6I", "5", "QrtXrQZC", "", E_BAD_SIGNATURE },
        { "UgIomw/EOJmWi0i1FQsOj+et", "5", "QrtXrQZC", "", E_OK },
        { "UgIom6rKYTpOuE4C/o1F/Ymb", "0", "47DEQpj8", "", E_OK },
        { "UgIom8ioD8RhipTwh6kx84gD", "0", "AQAAAAAA", "", E_MALFORMED },
        { "UgIom0dw9n2gNyIN1d1AGmG5", "5", "KwAAAAAA", "", E_OK },
        { "UgIomxpZTV6oJ0lg+FW1Xxmn", "3", "RcCI1Nk5", "ext line\n", E_OK },
        { "UgIom2TzBe5eumxf1lKngQGq", "8", "ukvHpqwJ", "", E_OK },
    };
    struct span origin = shared_word("sigsum.org/v1/tree/4d6d8825");
    struct span key = shared_word("O+5202289b+");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span blob = shared_word(cases[i].blob), root = shared_word(cases[i].root);
        struct buf vkey_text = BUF_INIT(1000), note = BUF_INIT(1000);
        struct vkey vkey;
        struct err err;
        buf_putf(&vkey_text, "%.*s%.*s", SPAN_PRINTF(origin), (int)key.len - 1, key.data + 1);
        assert_int_equal(vkey_parse(&vkey, buf_span(&vkey_text), &err), E_OK);
        buf_putf(&note, "%.*s\n%s\n%.*s\n%s\n\xe2\x80\x94 %.*s %.*s\n", SPAN_PRINTF(origin),
                 cases[i].size, SPAN_PRINTF(root), cases[i].extension, SPAN_PRINTF(origin),
                 SPAN_PRINTF(blob));
        struct checkpoint checkpoint = { 0 };
        assert_int_equal(checkpoint_open(&checkpoint, buf_span(&note), &vkey, vkey.name, &err),
                         cases[i].expected);
        assert_int_equal(checkpoint.has_extensions, cases[i].extension[0] != 0);
        buf_clear(&vkey_text);
        buf_clear(&note);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoint_parse_undoes_checkpoint_put),
        cmocka_unit_test(size_zero_has_the_empty_root_and_no_other),
        cmocka_unit_test(the_longest_checkpoint_fits_its_maximum),
        cmocka_unit_test(checkpoint_parse_rejects_what_is_not_one),
        cmocka_unit_test(extension_lines_are_read_over_but_reported),
        cmocka_unit_test(checkpoint_parse_rejects_each_truncation),
        cmocka_unit_test(each_changed_byte_is_rejected_or_changes_the_checkpoint),
        cmocka_unit_test(messages_name_the_line),
        cmocka_unit_test(checkpoint_open_wants_form_signature_and_origin),
        cmocka_unit_test(the_go_checksum_database_signs_under_a_name_that_is_not_the_origin),
        cmocka_unit_test(checkpoints_of_tessera_are_reproduced),
        cmocka_unit_test(checkpoints_of_the_witness_conversation_open_as_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
