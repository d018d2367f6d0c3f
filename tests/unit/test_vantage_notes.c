/* Which notes are in a file, whatever kind of file it is. */
#include "base/alloc.h"
#include "monitor/vantage.h"

#include "evidence/evidence.h"
#include "tests/support/tree_log.h"
#include "tlog/cosign_file.h"
#include "tlog/peer_notes.h"
#include "tlog/promise.h"
#include "tlog/receipt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    SEEN_MAX = 64
};

struct fixture {
    struct tree_log log, fork;
    struct signer promise_key, monitor, witness;
    struct buf a, b, promise, file;
    size_t note_count, promise_count;
    struct span notes[SEEN_MAX], promises[SEEN_MAX];
};

static void put_note(struct buf *out, const struct tree_log *log, uint64_t size)
{
    struct hash root = tree_log_root(log, size);
    tree_log_put_note(out, log, size, &root);
}

static void put_promise(struct fixture *f)
{
    struct buf text = BUF_INIT(PROMISE_TEXT_MAX);
    const struct promise_item item = { .index = 2, .leaf = f->fork.leaves[2] };
    promise_put_text(&text, f->log.signer.vkey.name, &item, 1);
    keys_put_signed(&f->promise, buf_span(&text), &f->promise_key, 0);
    buf_clear(&text);
}

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->log = tree_log_make("log.example/1", "log");
    f->promise_key = keys_signer("log.example/1/promise", SIGNATURE_ED25519, "promise");
    f->monitor = keys_signer("monitor.example", SIGNATURE_ED25519, "monitor");
    f->witness = keys_signer("w.example", SIGNATURE_COSIGNATURE, "w");
    for (uint64_t i = 0; i < 5; i++) {
        tree_log_add(&f->log, i);
    }
    f->fork = f->log;
    f->fork.leaves[2].bytes[0] ^= 1;
    buf_init(&f->a, 4096);
    buf_init(&f->b, 4096);
    buf_init(&f->promise, PROMISE_NOTE_MAX);
    buf_init(&f->file, VANTAGE_FILE_BYTES_MAX + 1);
    put_note(&f->a, &f->log, 5);
    put_note(&f->b, &f->fork, 5);
    put_promise(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    signer_clear(&f->log.signer);
    signer_clear(&f->promise_key);
    signer_clear(&f->monitor);
    signer_clear(&f->witness);
    buf_clear(&f->a);
    buf_clear(&f->b);
    buf_clear(&f->promise);
    buf_clear(&f->file);
    mem_free(f);
    return 0;
}

static void on_note(void *ctx, struct span note)
{
    struct fixture *f = ctx;
    assert_true(f->note_count < SEEN_MAX);
    f->notes[f->note_count++] = note;
}

static void on_promise(void *ctx, struct span note)
{
    struct fixture *f = ctx;
    assert_true(f->promise_count < SEEN_MAX);
    f->promises[f->promise_count++] = note;
}

static enum err_code take(struct fixture *f, struct span bytes)
{
    struct err err;
    f->note_count = f->promise_count = 0;
    enum err_code rc = vantage_take_notes(bytes, f, on_note, on_promise, &err);
    assert_true(rc == E_OK || (err.code == rc && err.msg[0] != '\0'));
    assert_true(rc == E_OK || f->note_count + f->promise_count == 0);
    return rc;
}

static bool is_note(const struct fixture *f, size_t i, const struct buf *expected)
{
    return i < f->note_count && span_is_equal(f->notes[i], buf_span(expected));
}

static void a_note_is_itself(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(take(f, buf_span(&f->a)), E_OK);
    assert_int_equal(f->note_count, 1);
    assert_int_equal(f->promise_count, 0);
    assert_true(is_note(f, 0, &f->a));
}

static void a_promise_goes_to_the_other_door(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(take(f, buf_span(&f->promise)), E_OK);
    assert_int_equal(f->note_count, 0);
    assert_int_equal(f->promise_count, 1);
    assert_true(span_is_equal(f->promises[0], buf_span(&f->promise)));
}

static void a_receipt_has_its_checkpoint(void **state)
{
    struct fixture *f = *state;
    struct proof proof = { .count = 3 };
    receipt_put(&f->file, 1, &proof, buf_span(&f->a));
    assert_int_equal(take(f, buf_span(&f->file)), E_OK);
    assert_int_equal(f->note_count, 1);
    assert_true(is_note(f, 0, &f->a));
}

static void a_cosign_file_and_an_add_checkpoint_body_have_theirs(void **state)
{
    struct fixture *f = *state;
    const struct cosign_file_proof proofs[] = { { .old_size = 2, .proof = { .count = 1 } },
                                                { .old_size = 4 } };
    cosign_file_put(&f->file, proofs, 2, buf_span(&f->a));
    assert_int_equal(take(f, buf_span(&f->file)), E_OK);
    assert_true(is_note(f, 0, &f->a));
    for (size_t hashes = 0; hashes < 3; hashes++) {
        struct proof proof = { .count = hashes };
        buf_reset(&f->file);
        add_checkpoint_put(&f->file, 3, &proof, buf_span(&f->b));
        assert_int_equal(take(f, buf_span(&f->file)), E_OK);
        assert_int_equal(f->note_count, 1);
        assert_true(is_note(f, 0, &f->b));
    }
}

static void what_a_witness_remembers_of_its_peers_is_notes(void **state)
{
    struct fixture *f = *state;
    peer_notes_put(&f->file, buf_span(&f->a));
    peer_notes_put(&f->file, buf_span(&f->b));
    assert_int_equal(take(f, buf_span(&f->file)), E_OK);
    assert_int_equal(f->note_count, 2);
    assert_true(is_note(f, 0, &f->a) && is_note(f, 1, &f->b));
}

static void evidence_of_a_fork_has_both_sides(void **state)
{
    struct fixture *f = *state;
    const struct vkey *keys[] = { &f->log.signer.vkey };
    struct err err;
    assert_int_equal(evidence_put_fork(&f->file, buf_span(&f->a), buf_span(&f->b), NULL, NULL, keys,
                                       1, &err),
                     E_OK);
    assert_int_equal(take(f, buf_span(&f->file)), E_OK);
    assert_int_equal(f->note_count, 2);
    assert_true((is_note(f, 0, &f->a) && is_note(f, 1, &f->b)) ||
                (is_note(f, 0, &f->b) && is_note(f, 1, &f->a)));
}

static void evidence_of_a_broken_promise_has_one_of_each(void **state)
{
    struct fixture *f = *state;
    const struct vkey *keys[] = { &f->log.signer.vkey };
    struct merkle_source source = tree_log_source(&f->log);
    struct proof proof = { .count = 0 };
    struct err err;
    assert_int_equal(proof_make_inclusion(&proof, &source, 2, 5, &err), E_OK);
    assert_int_equal(evidence_put_broken_promise(&f->file, buf_span(&f->promise), buf_span(&f->a),
                                                 2, &f->log.leaves[2], &proof, &f->promise_key.vkey,
                                                 keys, 1, &err),
                     E_OK);
    assert_int_equal(take(f, buf_span(&f->file)), E_OK);
    assert_int_equal(f->note_count, 1);
    assert_int_equal(f->promise_count, 1);
    assert_true(is_note(f, 0, &f->a));
}

static void an_observation_has_the_note_it_is_about(void **state)
{
    struct fixture *f = *state;
    struct evidence_observation observation = {
        .code = span_of_str("no-quorum"),
        .origin = span_of_str("log.example/1"),
        .summary = span_of_str("it is so"),
        .unix_s = 1790000000,
        .note = buf_span(&f->a),
    };
    struct err err;
    assert_int_equal(evidence_put_observation(&f->file, &observation, &f->monitor, &err), E_OK);
    assert_int_equal(take(f, buf_span(&f->file)), E_OK);
    assert_int_equal(f->note_count, 1);
    assert_true(is_note(f, 0, &f->a));
    observation.note = span_of(NULL, 0);
    buf_reset(&f->file);
    assert_int_equal(evidence_put_observation(&f->file, &observation, &f->monitor, &err), E_OK);
    assert_int_equal(take(f, buf_span(&f->file)), E_OK);
    assert_int_equal(f->note_count + f->promise_count, 0);
}

static void other_files_have_none(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {
        "",
        "\n",
        "hello",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n\n",
        "courtroll evidence v1\n",
        "courtroll evidence v1\nfork\nnote 18446744073709551615\n",
        "courtroll promise v1\nlog.example/1\n",
        "courtroll cosign-request v1\n",
        "courtroll notes v1\n1790000000\n",
        "old 5\n\n",
        "note 0\n",
        "note 5\nhello",
        "note 3\nabc",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        assert_int_equal(take(f, span_of_str(files[i])), E_MALFORMED);
    }
    keys_put_signed(&f->file, span_of_str("neither\nthis\nnor that\n"), &f->log.signer, 0);
    assert_int_equal(take(f, buf_span(&f->file)), E_MALFORMED);
}

static void a_file_that_is_cut_anywhere_has_none(void **state)
{
    struct fixture *f = *state;
    struct proof proof = { .count = 2 };
    receipt_put(&f->file, 1, &proof, buf_span(&f->a));
    for (size_t len = 0; len < f->file.len; len++) {
        assert_int_equal(take(f, span_of(f->file.data, len)), E_MALFORMED);
    }
    for (size_t len = 0; len < f->promise.len; len++) {
        assert_int_equal(take(f, span_of(f->promise.data, len)), E_MALFORMED);
    }
}

static void an_origin_may_look_like_anything(void **state)
{
    struct fixture *f = *state;
    static const char *const origins[] = { "old 5", "note 7", "courtroll evidence v1",
                                           "c2sp.org/tlog-proof@v1", "courtroll promise v1" };
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        struct buf text = BUF_INIT(4096);
        struct hash root = tree_log_root(&f->log, 4);
        buf_putf(&text, "%s\n4\n", origins[i]);
        base64_put_hash(&text, &root);
        buf_put_u8(&text, '\n');
        buf_reset(&f->file);
        keys_put_signed(&f->file, buf_span(&text), &f->log.signer, 0);
        assert_int_equal(take(f, buf_span(&f->file)), E_OK);
        assert_true(is_note(f, 0, &f->file));
        buf_clear(&text);
    }
}

static void a_file_over_the_maximum_is_not_looked_at(void **state)
{
    struct fixture *f = *state;
    buf_put(&f->file, buf_span(&f->a));
    memset(buf_extend(&f->file, VANTAGE_FILE_BYTES_MAX + 1 - f->a.len), '\n',
           VANTAGE_FILE_BYTES_MAX + 1 - f->a.len);
    assert_int_equal(take(f, buf_span(&f->file)), E_MALFORMED);
    assert_int_equal(take(f, span_of(f->file.data, VANTAGE_FILE_BYTES_MAX)), E_MALFORMED);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_note_is_itself),
        CASE(a_promise_goes_to_the_other_door),
        CASE(a_receipt_has_its_checkpoint),
        CASE(a_cosign_file_and_an_add_checkpoint_body_have_theirs),
        CASE(what_a_witness_remembers_of_its_peers_is_notes),
        CASE(evidence_of_a_fork_has_both_sides),
        CASE(evidence_of_a_broken_promise_has_one_of_each),
        CASE(an_observation_has_the_note_it_is_about),
        CASE(other_files_have_none),
        CASE(a_file_that_is_cut_anywhere_has_none),
        CASE(an_origin_may_look_like_anything),
        CASE(a_file_over_the_maximum_is_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
