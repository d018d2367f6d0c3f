#include "tlog/add_checkpoint.h"

#include "base/ascii.h"
#include "tests/support/reference.h"
#include "tests/support/shared.h"
#include "tests/support/vectors.h"
#include "tlog/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DASH "\xe2\x80\x94 "
#define HASH "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define NOTE "log.example\n3\n" HASH "\n\n" DASH "log.example AAAAAAA=\n"

static void assert_malformed(struct span body)
{
    struct add_checkpoint request = { .old_size = 77 };
    struct err err;
    if (add_checkpoint_parse(&request, body, &err) != E_MALFORMED) {
        fail_msg("accepted: %.*s", SPAN_PRINTF(body));
    }
    assert_int_equal(request.old_size, 77);
    assert_int_equal(strncmp(err.msg, "add-checkpoint: ", 16), 0);
}

static struct add_checkpoint parse(struct span body)
{
    struct add_checkpoint request;
    struct err err = { 0 };
    if (add_checkpoint_parse(&request, body, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    return request;
}

/* -- requests -- */

static void a_request_round_trips_at_every_length_of_proof(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 0, 1, 9, 10, 1ull << 32, SIZE_VALUE_MAX };
    struct proof proof = { .count = 0 };
    for (; proof.count <= PROOF_HASHES_MAX; proof.count++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct buf body = BUF_INIT(ADD_CHECKPOINT_BYTES_MAX);
            add_checkpoint_put(&body, sizes[i], &proof, span_of_str(NOTE));
            struct add_checkpoint request = parse(buf_span(&body));
            assert_int_equal(request.old_size, sizes[i]);
            assert_true(proof_is_equal(&request.proof, &proof));
            assert_true(span_is_str(request.note, NOTE));
            assert_true(span_is_str(request.origin, "log.example"));
            assert_ptr_equal(request.note.data + request.note.len, body.data + body.len);
            buf_clear(&body);
        }
        if (proof.count < PROOF_HASHES_MAX) {
            proof.hashes[proof.count] = merkle_leaf_hash(span_of(&proof.count, 1));
        }
    }
}

static void a_request_is_written_as_the_specification_shows_it(void **state)
{
    (void)state;
    struct proof proof = { .count = 1, .hashes = { vectors_hash_str(HASH) } };
    struct buf body = BUF_INIT(1000);
    add_checkpoint_put(&body, 20852163, &proof, span_of_str(NOTE));
    assert_true(span_is_str(buf_span(&body), "old 20852163\n" HASH "\n\n" NOTE));
    buf_clear(&body);
}

static void the_first_blank_line_ends_the_proof(void **state)
{
    (void)state;
    static const char note[] = "log.example\n\nold 7\n\n" HASH "\n\n" DASH "log.example AAAAAAA=\n";
    struct buf body = BUF_INIT(1000);
    buf_putf(&body, "old 5\n" HASH "\n\n%s", note);
    struct add_checkpoint request = parse(buf_span(&body));
    assert_int_equal(request.old_size, 5);
    assert_int_equal(request.proof.count, 1);
    assert_true(span_is_str(request.note, note));
    assert_true(span_is_str(request.origin, "log.example"));
    buf_clear(&body);
}

/* An unknown origin is answered before the form of the note: so that form is not looked at here. */
static void nothing_of_the_note_is_looked_at_but_its_first_line(void **state)
{
    (void)state;
    static const char *const notes[] = {
        "o\n", "o\n\n", "o\n\n\n", "o\n\xff\r\n", " \nx", "\r\nx"
    };
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        struct buf body = BUF_INIT(100);
        buf_putf(&body, "old 0\n\n%s", notes[i]);
        struct add_checkpoint request = parse(buf_span(&body));
        assert_true(span_is_str(request.note, notes[i]));
        assert_int_equal(request.origin.len, strcspn(notes[i], "\n"));
        buf_clear(&body);
    }
}

static void malformed_requests_are_rejected(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n",
        "\n\n" NOTE,
        "old 5\n",
        "old 5\n\n",
        "old 5\n" NOTE, /* no blank line before the note: its origin is no hash */
        "old 5" NOTE,
        "old 5\n\n\n" NOTE,     /* the origin line is empty */
        "old 5\n\nlog.example", /* and here it has no end */
        "old 05\n\n" NOTE,
        "old +5\n\n" NOTE,
        "old -5\n\n" NOTE,
        "old 0x5\n\n" NOTE,
        "old 5 \n\n" NOTE,
        "old  5\n\n" NOTE,
        "old\t5\n\n" NOTE,
        " old 5\n\n" NOTE,
        "old 5\r\n\r\n" NOTE,
        "old 5\n\r\n" NOTE,
        "old \n\n" NOTE,
        "old\n\n" NOTE,
        "Old 5\n\n" NOTE,
        "size 5\n\n" NOTE,
        "5\n\n" NOTE,
        "old 5 6\n\n" NOTE,
        "old 00\n\n" NOTE,
        "old 9223372036854775808\n\n" NOTE,
        "old 18446744073709551616\n\n" NOTE,
        "old 5\n" HASH "\n" NOTE,
        "old 5\n" HASH HASH "\n\n" NOTE,
        "old 5\n" HASH " \n\n" NOTE,
        "old 5\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA\n\n" NOTE,  /* no padding */
        "old 5\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=\n\n" NOTE, /* stray bits */
        "old 5\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==\n\n" NOTE, /* 31 bytes */
        "old 5\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh\n\n" NOTE, /* 33 bytes */
        "old 5\nold 5\n\n" NOTE,
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_malformed(span_of_str(bad[i]));
    }
}

static void a_request_with_64_proof_lines_is_rejected(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(8192);
    buf_put_str(&body, "old 5\n");
    for (int i = 0; i < PROOF_HASHES_MAX + 1; i++) {
        buf_put_str(&body, HASH "\n");
    }
    buf_put_str(&body, "\n" NOTE);
    assert_malformed(buf_span(&body));
    buf_clear(&body);
}

static void no_truncation_before_the_end_of_the_origin_is_a_request(void **state)
{
    (void)state;
    static const char body[] = "old 5\n" HASH "\n" HASH "\n\n" NOTE;
    size_t origin_end = span_find(span_of_str(body), span_of_str("log.example\n")) + 12;
    for (size_t len = 0; len < origin_end; len++) {
        assert_malformed(span_of(body, len));
    }
    parse(span_of(body, origin_end));
}

static void a_request_is_read_up_to_its_maximum_and_no_further(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(ADD_CHECKPOINT_BYTES_MAX + 1);
    buf_put_str(&body, "old 5\n\n" NOTE);
    while (buf_room(&body) > 1) {
        buf_put_u8(&body, 'x');
    }
    parse(buf_span(&body));
    buf_put_u8(&body, 'x');
    assert_malformed(buf_span(&body));
    buf_clear(&body);
}

/* -- the answer to a wrong old size -- */

static void the_size_in_a_409_round_trips(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 0, 3, 10, SIZE_VALUE_MAX };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf body = BUF_INIT(32);
        uint64_t size = 1;
        struct err err;
        add_checkpoint_put_size(&body, sizes[i]);
        assert_int_equal(body.data[body.len - 1], '\n');
        assert_int_equal(add_checkpoint_parse_size(&size, buf_span(&body), &err), E_OK);
        assert_int_equal(size, sizes[i]);
        buf_clear(&body);
    }
}

static void what_is_not_one_size_and_a_newline_is_rejected(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      "\n",   "3",    "3\n\n", "3\n4\n",  "03\n",     "+3\n",
        "3\r\n", " 3\n", "3 \n", "-1\n",  "three\n", "3\nthree", "9223372036854775808\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t size = 77;
        struct err err;
        assert_int_equal(add_checkpoint_parse_size(&size, span_of_str(bad[i]), &err), E_MALFORMED);
        assert_int_equal(size, 77);
    }
}

/* -- the conversation of protocols.md 8.4 -- */

struct step {
    const char *old, *size, *root, *blob;
    const char *old_root;   /* that the witness holds then */
    const char *proof[5];   /* prefixes in the document; leaves are named by their number */
    enum err_code expected; /* of the proof */
};

/* Leaf hashes are 2a, the number, and zeros. */
static void put_proof_line(struct buf *out, const char *name)
{
    if (strlen(name) > 1) {
        buf_put(out, span_slice(shared_word(name), 0, HASH_BASE64_CHARS));
    } else {
        struct hash leaf = { { 0x2a, (uint8_t)(name[0] - '0') } };
        base64_put_hash(out, &leaf);
    }
    buf_put_u8(out, '\n');
}

static void the_requests_of_the_witness_conversation_say_what_they_should(void **state)
{
    (void)state;
    static const struct step steps[] = {
        { "1", "3", "RcCI1Nk5", "UgIom2VbtIcd", "KgAAAAAA", { "1", "2" }, E_OK },
        { "1", "3", "RcCI1Nk5", "UgIom2VbtIcd", "KgAAAAAA", { NULL }, E_BAD_PROOF },
        { "1", "3", "RcCI1Nk5", "UgIom2VbtIcd", "KgAAAAAA", { "1", "3" }, E_BAD_PROOF },
        { "1", "5", "QrtXrQZC", "UgIomw/EOJmW", "KgAAAAAA", { "1", "+fUDV+k9", "4" }, E_OK },
        { "3", "5", "QrtXrQZC", "UgIomw/EOJmW", "RcCI1Nk5", { "2", "3", "wgiIFdZf", "4" }, E_OK },
        { "5", "5", "QrtXrQZC", "UgIomw/EOJmW", "QrtXrQZC", { NULL }, E_OK },
        { "5", "5", "KwAAAAAA", "UgIom0dw9n2g", "QrtXrQZC", { NULL }, E_BAD_PROOF },
        { "5", "5", "QrtXrQZC", "UgIomw/EOJmW", "QrtXrQZC", { "4" }, E_BAD_PROOF },
        { "5",
          "8",
          "ukvHpqwJ",
          "UgIom2TzBe5e",
          "QrtXrQZC",
          { "4", "5", "Og9kiZYe", "h0qZ4yRi" },
          E_OK },
    };
    struct span origin = shared_word("sigsum.org/v1/tree/4d6d8825");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct step *step = &steps[i];
        struct buf body = BUF_INIT(ADD_CHECKPOINT_BYTES_MAX);
        buf_putf(&body, "old %s\n", step->old);
        for (size_t k = 0; step->proof[k] != NULL; k++) {
            put_proof_line(&body, step->proof[k]);
        }
        struct span root = span_slice(shared_word(step->root), 0, HASH_BASE64_CHARS);
        struct span old_root = span_slice(shared_word(step->old_root), 0, HASH_BASE64_CHARS);
        struct span blob = shared_word(step->blob);
        buf_putf(&body, "\n%.*s\n%s\n%.*s\n\n" DASH "%.*s %.*s\n", SPAN_PRINTF(origin), step->size,
                 SPAN_PRINTF(root), SPAN_PRINTF(origin), SPAN_PRINTF(blob));
        struct add_checkpoint request = parse(buf_span(&body));
        assert_true(span_is_equal(request.origin, origin));
        struct note note;
        struct checkpoint checkpoint;
        struct err err;
        assert_int_equal(note_parse(&note, request.note, &err), E_OK);
        assert_int_equal(checkpoint_parse(&checkpoint, note.text, &err), E_OK);
        struct hash held = vectors_hash(old_root);
        assert_int_equal(proof_verify_consistency(&request.proof, request.old_size, checkpoint.size,
                                                  &held, &checkpoint.root, &err),
                         step->expected);
        note_clear(&note);
        buf_clear(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_round_trips_at_every_length_of_proof),
        cmocka_unit_test(a_request_is_written_as_the_specification_shows_it),
        cmocka_unit_test(the_first_blank_line_ends_the_proof),
        cmocka_unit_test(nothing_of_the_note_is_looked_at_but_its_first_line),
        cmocka_unit_test(malformed_requests_are_rejected),
        cmocka_unit_test(a_request_with_64_proof_lines_is_rejected),
        cmocka_unit_test(no_truncation_before_the_end_of_the_origin_is_a_request),
        cmocka_unit_test(a_request_is_read_up_to_its_maximum_and_no_further),
        cmocka_unit_test(the_size_in_a_409_round_trips),
        cmocka_unit_test(what_is_not_one_size_and_a_newline_is_rejected),
        cmocka_unit_test(the_requests_of_the_witness_conversation_say_what_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
