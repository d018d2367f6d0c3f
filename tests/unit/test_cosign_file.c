#include "tlog/cosign_file.h"

#include "base/ascii.h"
#include "tests/support/death.h"
#include "tests/support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DASH "\xe2\x80\x94 "
#define HASH "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define HEAD "courtroll cosign-request v1\n"
#define NOTE "log.example\n9\n" HASH "\n\n" DASH "log.example AAAAAAA=\n"

static void assert_malformed(struct span bytes, const char *words)
{
    struct cosign_file file = { .count = 77 };
    struct err err;
    if (cosign_file_parse(&file, bytes, &err) != E_MALFORMED) {
        fail_msg("accepted: %.*s", SPAN_PRINTF(bytes));
    }
    assert_int_equal(file.count, 77);
    if (strstr(err.msg, words) == NULL || strncmp(err.msg, "cosign request: ", 16) != 0) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    }
}

static struct cosign_file parse(struct span bytes)
{
    struct cosign_file file;
    struct err err = { 0 };
    if (cosign_file_parse(&file, bytes, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    return file;
}

static void a_request_gives_back_what_is_in_it(void **state)
{
    (void)state;
    static const char text[] = HEAD "old 0\nold 3\n" HASH "\n" HASH "\nold 9\n\n" NOTE;
    struct cosign_file file = parse(span_of_str(text));
    assert_int_equal(file.count, 3);
    assert_int_equal(file.proofs[0].old_size, 0);
    assert_int_equal(file.proofs[0].proof.count, 0);
    assert_int_equal(file.proofs[1].old_size, 3);
    assert_int_equal(file.proofs[1].proof.count, 2);
    struct hash hash = vectors_hash_str(HASH);
    assert_true(hash_is_equal(&file.proofs[1].proof.hashes[1], &hash));
    assert_int_equal(file.proofs[2].old_size, 9);
    assert_true(span_is_str(file.note, NOTE));
    assert_ptr_equal(file.note.data + file.note.len, text + sizeof text - 1);
    assert_ptr_equal(cosign_file_proof_from(&file, 3), &file.proofs[1].proof);
    assert_ptr_equal(cosign_file_proof_from(&file, 0), &file.proofs[0].proof);
    assert_null(cosign_file_proof_from(&file, 4));
    struct buf again = BUF_INIT(COSIGN_FILE_BYTES_MAX);
    cosign_file_put(&again, file.proofs, file.count, file.note);
    assert_true(span_is_str(buf_span(&again), text));
    buf_clear(&again);
    cosign_file_clear(&file);
    assert_null(file.proofs);
}

/* The largest file there is, too: its note as long as a witness reads. */
static void requests_round_trip_at_every_count_of_proofs(void **state)
{
    (void)state;
    static struct cosign_file_proof proofs[COSIGN_FILE_PROOFS_MAX];
    struct buf note = BUF_INIT(128 * 1024);
    buf_put_str(&note, NOTE);
    for (size_t i = 0; i < COSIGN_FILE_PROOFS_MAX; i++) {
        proofs[i].old_size = SIZE_VALUE_MAX - COSIGN_FILE_PROOFS_MAX + 1 + i;
        proofs[i].proof.count = PROOF_HASHES_MAX - i % 3;
        memset(proofs[i].proof.hashes, (int)i, sizeof proofs[i].proof.hashes);
    }
    for (size_t count = 1; count <= COSIGN_FILE_PROOFS_MAX; count++) {
        while (count == COSIGN_FILE_PROOFS_MAX && buf_room(&note) > 0) {
            buf_put_u8(&note, 'x');
        }
        struct buf text = BUF_INIT(COSIGN_FILE_BYTES_MAX);
        cosign_file_put(&text, proofs, count, buf_span(&note));
        struct cosign_file file = parse(buf_span(&text));
        assert_int_equal(file.count, count);
        for (size_t i = 0; i < count; i++) {
            const struct proof *proof = cosign_file_proof_from(&file, proofs[i].old_size);
            assert_non_null(proof);
            assert_true(proof_is_equal(proof, &proofs[i].proof));
        }
        assert_true(span_is_equal(file.note, buf_span(&note)));
        cosign_file_clear(&file);
        buf_clear(&text);
    }
    buf_clear(&note);
}

static void malformed_requests_are_rejected(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        { "", "the first line" },
        { "courtroll cosign-request v1", "the first line" },
        { "courtroll cosign-request v1\r\nold 1\n\n" NOTE, "the first line" },
        { "courtroll cosign-request v2\nold 1\n\n" NOTE, "the first line" },
        { "\n" HEAD "old 1\n\n" NOTE, "the first line" },
        { HEAD, "no empty line" },
        { HEAD "\n" NOTE, "old SIZE" },
        { HEAD HASH "\n\n" NOTE, "old SIZE" },
        { HEAD NOTE, "old SIZE" },
        { HEAD "old 1\n", "no empty line" },
        { HEAD "old 1\n" HASH "\n", "no empty line" },
        { HEAD "old 1\n\n", "the checkpoint is missing" },
        { HEAD "old 1\n" NOTE, "proof line 1" },
        { HEAD "old 1\nold 1\n\n" NOTE, "not above" },
        { HEAD "old 2\nold 1\n\n" NOTE, "not above" },
        { HEAD "old 0\nold 5\n" HASH "\nold 0\n\n" NOTE, "not above" },
        { HEAD "old 01\n\n" NOTE, "old size" },
        { HEAD "old +1\n\n" NOTE, "old size" },
        { HEAD "old  1\n\n" NOTE, "old size" },
        { HEAD "old 1 \n\n" NOTE, "old size" },
        { HEAD "old \n\n" NOTE, "old size" },
        { HEAD "old\n\n" NOTE, "old SIZE" },
        { HEAD "old 9223372036854775808\n\n" NOTE, "old size" },
        { HEAD "old 1\n" HASH " \n\n" NOTE, "proof line 1" },
        { HEAD "old 1\n" HASH "\n" HASH HASH "\n\n" NOTE, "old 1: proof line 2" },
        { HEAD "old 1\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=\n\n" NOTE, "proof line 1" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_malformed(span_of_str(bad[i].text), bad[i].words);
    }
}

static void no_truncation_before_the_note_is_a_request(void **state)
{
    (void)state;
    static const char text[] = HEAD "old 1\n" HASH "\nold 2\n\n";
    for (size_t len = 0; len < sizeof text; len++) {
        assert_malformed(span_of(text, len), "");
    }
}

static void more_than_the_maxima_is_rejected(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(COSIGN_FILE_BYTES_MAX + 1);
    buf_put_str(&text, HEAD);
    for (int i = 0; i <= COSIGN_FILE_PROOFS_MAX; i++) {
        buf_putf(&text, "old %d\n", i);
    }
    buf_put_str(&text, "\n" NOTE);
    assert_malformed(buf_span(&text), "over 64 sizes");
    buf_reset(&text);
    buf_put_str(&text, HEAD "old 1\n");
    for (int i = 0; i <= PROOF_HASHES_MAX; i++) {
        buf_put_str(&text, HASH "\n");
    }
    buf_put_str(&text, "\n" NOTE);
    assert_malformed(buf_span(&text), "more than 63 lines");
    buf_reset(&text);
    buf_put_str(&text, HEAD "old 1\n\n" NOTE);
    while (buf_room(&text) > 0) {
        buf_put_u8(&text, 'x');
    }
    assert_malformed(buf_span(&text), "at most");
    buf_clear(&text);
}

static void put_none(void)
{
    struct buf text = BUF_INIT(1000);
    cosign_file_put(&text, NULL, 0, span_of_str(NOTE));
}

static void put_descending(void)
{
    static const struct cosign_file_proof proofs[2] = { { .old_size = 2 }, { .old_size = 1 } };
    struct buf text = BUF_INIT(1000);
    cosign_file_put(&text, proofs, 2, span_of_str(NOTE));
}

static void what_could_not_be_read_is_not_written(void **state)
{
    (void)state;
    assert_true(death_of(put_none));
    assert_true(death_of(put_descending));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_gives_back_what_is_in_it),
        cmocka_unit_test(requests_round_trip_at_every_count_of_proofs),
        cmocka_unit_test(malformed_requests_are_rejected),
        cmocka_unit_test(no_truncation_before_the_note_is_a_request),
        cmocka_unit_test(more_than_the_maxima_is_rejected),
        cmocka_unit_test(what_could_not_be_read_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
