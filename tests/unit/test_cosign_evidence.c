/* What a log's requests prove against it, and that nobody else's words do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "base/file.h"
#include "tests/support/cosigner_fixture.h"
#include "witness/cosign_evidence.h"

static void cosigner_keeps_two_roots_of_the_size_held(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 5).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->other, 0, 5).refusal, REFUSED_STALE);
    assert_int_equal(evidence_count(f), 1);
    assert_int_equal(ask(f, &f->other, 5, 5).refusal, REFUSED_ROOT_MISMATCH); /* nothing new */
    assert_int_equal(evidence_count(f), 1);
    assert_int_equal(evidence_keep_count(f->world.evidence), 1);
    assert_evidence_verifies(f);
}

static void cosigner_keeps_two_roots_of_a_size_cosigned_before(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 4).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->log, 4, 7).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->log, 0, 4).refusal, REFUSED_STALE); /* honest, only late */
    assert_int_equal(evidence_count(f), 0);
    assert_int_equal(ask(f, &f->other, 0, 4).refusal, REFUSED_STALE);
    assert_int_equal(evidence_count(f), 1);
    restart(f, 1);
    assert_int_equal(ask(f, &f->other, 0, 4).refusal, REFUSED_STALE);
    assert_int_equal(evidence_count(f), 1);
    assert_evidence_verifies(f);
}

static void cosigner_keeps_two_roots_of_a_size_never_cosigned(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 2).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->log, 1, 8).refusal, REFUSED_STALE);
    assert_int_equal(evidence_count(f), 0);
    assert_int_equal(ask(f, &f->other, 2, 8).refusal, REFUSED_NONE); /* also when it is signed */
    assert_int_equal(evidence_count(f), 1);
    assert_evidence_verifies(f);
}

/* Form 2: the log's own proof leads from a root that it did not have. */
static void cosigner_keeps_a_proof_from_another_root(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 5).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->other, 5, 9).refusal, REFUSED_BAD_PROOF);
    assert_int_equal(evidence_count(f), 1);
    assert_evidence_verifies(f);
    assert_int_equal(f->known->state.size, 5);
}

/* The same from a size before the one held. */
static void cosigner_keeps_a_proof_from_another_root_of_before(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 5).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->log, 5, 8).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->log, 5, 9).refusal, REFUSED_STALE);
    assert_int_equal(evidence_count(f), 0);
    assert_int_equal(ask(f, &f->other, 5, 10).refusal, REFUSED_STALE);
    assert_int_equal(evidence_count(f), 1);
    assert_evidence_verifies(f);
}

static void cosigner_keeps_a_fork_that_has_an_extension_line(void **state)
{
    struct cosigner_fixture *f = *state;
    struct buf text = BUF_INIT(1024);
    struct checkpoint checkpoint = { .size = 5, .root = tree_log_root(&f->other, 5) };
    assert_int_equal(ask(f, &f->log, 0, 5).refusal, REFUSED_NONE);
    memcpy(checkpoint.origin, fixture_origin, sizeof fixture_origin);
    checkpoint_put(&text, &checkpoint);
    buf_put_str(&text, "extension\n");
    assert_int_equal(ask_signed_text(f, 5, buf_c_str(&text)).refusal, REFUSED_MALFORMED);
    assert_int_equal(evidence_count(f), 1);
    assert_evidence_verifies(f);
    buf_clear(&text);
}

/* Whatever a stranger puts around honest notes, the log is not blamed. */
static void cosigner_blames_nobody_for_a_strangers_proofs(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 5).refusal, REFUSED_NONE);
    for (uint64_t size = 1; size <= 10; size++) {
        struct hash root = tree_log_root(&f->log, size);
        for (uint64_t old = 0; old <= size; old++) {
            struct proof proof = tree_log_proof(&f->other, old, size);
            ask_with(f, old == 5 ? 4 : old, &proof, size, &root);
            for (size_t i = 0; i < proof.count; i++) {
                proof = tree_log_proof(&f->log, old, size);
                proof.hashes[i].bytes[3] ^= 0x10;
                assert_int_not_equal(ask_with(f, old, &proof, size, &root).refusal, REFUSED_NONE);
            }
            proof.count = 63;
            ask_with(f, old, &proof, size, &root);
        }
    }
    assert_int_equal(f->known->state.size, 5);
    assert_int_equal(evidence_keep_count(f->world.evidence), 0);
}

/* Of what nobody verified nothing is made. */
static void cosigner_blames_nobody_by_notes_that_the_log_did_not_sign(void **state)
{
    struct cosigner_fixture *f = *state;
    struct tree_log forger = f->other;
    forger.signer = keys_signer(fixture_origin, SIGNATURE_ED25519, "a forger");
    assert_int_equal(ask(f, &f->log, 0, 5).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &forger, 5, 5).refusal, REFUSED_BAD_SIGNATURE);
    forger.signer.vkey = f->log.signer.vkey; /* its ID as well */
    assert_int_equal(ask(f, &forger, 5, 5).refusal, REFUSED_BAD_SIGNATURE);
    assert_int_equal(ask(f, &forger, 5, 9).refusal, REFUSED_BAD_SIGNATURE);
    assert_int_equal(evidence_keep_count(f->world.evidence), 0);
    signer_clear(&forger.signer);
}

/* -- bounds -- */

static struct world_answer ask_root(struct cosigner_fixture *f, uint64_t size, uint8_t seed)
{
    struct proof none = { .count = 0 };
    struct hash root = { { seed, 0x77 } };
    return ask_with(f, 1, &none, size, &root);
}

/* Otherwise a few roots of one size would be so many pairs that nothing else has room. */
static void cosigner_makes_one_pair_of_a_note(void **state)
{
    struct cosigner_fixture *f = *state;
    for (uint8_t i = 0; i < 5; i++) {
        assert_int_equal(ask_root(f, 100, i).refusal, REFUSED_STALE);
        assert_int_equal(evidence_count(f), i);
    }
    for (uint8_t i = 0; i < 5; i++) {
        assert_int_equal(ask_root(f, 100, i).refusal, REFUSED_STALE); /* nothing new */
    }
    assert_int_equal(evidence_count(f), 4);
    assert_int_equal(evidence_keep_count(f->world.evidence), 4);
    assert_evidence_verifies(f);
}

/* A log can sign forks without end: they are counted, and cost no more. */
static void cosigner_counts_each_fork_over_the_cap_once(void **state)
{
    struct cosigner_fixture *f = *state;
    for (uint8_t i = 0; i < 50; i++) {
        assert_int_equal(ask_root(f, 100, i).refusal, REFUSED_STALE);
    }
    assert_int_equal(evidence_count(f), EVIDENCE_KEEP_MAX);
    assert_int_equal(evidence_keep_count(f->world.evidence), 49);
    for (uint8_t i = 40; i < 50; i++) {
        assert_int_equal(ask_root(f, 100, i).refusal, REFUSED_STALE);
    }
    assert_int_equal(evidence_keep_count(f->world.evidence), 49);
    assert_int_equal(ask(f, &f->log, 0, 5).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->other, 5, 9).refusal, REFUSED_BAD_PROOF); /* form 2 likewise */
    assert_int_equal(evidence_count(f), EVIDENCE_KEEP_MAX);
    assert_int_equal(evidence_keep_count(f->world.evidence), 50);
    assert_evidence_verifies(f);
}

static struct world_answer ask_long(struct cosigner_fixture *f, uint8_t seed, size_t bytes)
{
    struct checkpoint checkpoint = { .size = 100, .root = { { seed } } };
    struct buf text = BUF_INIT(BODY_MAX), note = BUF_INIT(BODY_MAX);
    struct proof none = { .count = 0 };
    memcpy(checkpoint.origin, fixture_origin, sizeof fixture_origin);
    checkpoint_put(&text, &checkpoint);
    memset(buf_extend(&text, bytes), 'x', bytes);
    buf_put_u8(&text, '\n');
    keys_put_signed(&note, buf_span(&text), &f->log.signer, 0);
    buf_reset(&f->body);
    add_checkpoint_put(&f->body, 0, &none, buf_span(&note));
    buf_clear(&note);
    buf_clear(&text);
    return world_submit(&f->world, buf_span(&f->body));
}

static void cosigner_keeps_forks_of_the_longest_notes(void **state)
{
    struct cosigner_fixture *f = *state;
    enum {
        LONG_BYTES = BODY_MAX - 512
    };
    assert_int_equal(ask_long(f, 1, LONG_BYTES).refusal, REFUSED_MALFORMED);
    assert_int_equal(evidence_count(f), 0);
    assert_int_equal(ask_long(f, 2, LONG_BYTES).refusal, REFUSED_MALFORMED);
    assert_int_equal(evidence_count(f), 1);
    assert_evidence_verifies(f);
}

/* -- a disk that fails -- */

/* In the place of the origin's directory: nothing can be written there. */
static char *obstacle_path(struct cosigner_fixture *f)
{
    struct buf path = BUF_INIT(4096);
    buf_put_str(&path, f->dir);
    buf_put_u8(&path, '/');
    hex_put(&path, hash_span(&f->known->origin_hash));
    char *text = mem_strdup(buf_c_str(&path));
    buf_clear(&path);
    return text;
}

static void cosigner_writes_evidence_once_the_disk_works_again(void **state)
{
    struct cosigner_fixture *f = *state;
    char *path = obstacle_path(f);
    struct err err;
    assert_int_equal(file_create(path, 0644, span_of_str(""), &err), E_OK);
    assert_int_equal(ask(f, &f->log, 0, 5).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->other, 5, 5).refusal, REFUSED_ROOT_MISMATCH);
    for (uint8_t i = 0; i < COSIGN_UNWRITTEN_MAX + 5; i++) {
        ask_root(f, 100, i);
    }
    assert_int_equal(evidence_count(f), 0);
    assert_int_equal(evidence_keep_count(f->world.evidence), 0);
    assert_int_equal(unlink(path), 0);
    usleep((COSIGN_EVIDENCE_RETRY_MS + 100) * 1000);
    assert_int_equal(ask(f, &f->log, 5, 6).refusal, REFUSED_NONE); /* whatever comes next */
    assert_int_equal(evidence_count(f), COSIGN_UNWRITTEN_MAX);
    assert_int_equal(evidence_keep_count(f->world.evidence), COSIGN_UNWRITTEN_MAX);
    ask_root(f, 100, COSIGN_UNWRITTEN_MAX + 4); /* what had no room is found again */
    assert_int_equal(evidence_count(f), COSIGN_UNWRITTEN_MAX + 1);
    assert_evidence_verifies(f);
    mem_free(path);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, cosigner_setup, cosigner_teardown)
    const struct CMUnitTest tests[] = {
        CASE(cosigner_keeps_two_roots_of_the_size_held),
        CASE(cosigner_keeps_two_roots_of_a_size_cosigned_before),
        CASE(cosigner_keeps_two_roots_of_a_size_never_cosigned),
        CASE(cosigner_keeps_a_proof_from_another_root),
        CASE(cosigner_keeps_a_proof_from_another_root_of_before),
        CASE(cosigner_keeps_a_fork_that_has_an_extension_line),
        CASE(cosigner_blames_nobody_for_a_strangers_proofs),
        CASE(cosigner_blames_nobody_by_notes_that_the_log_did_not_sign),
        CASE(cosigner_makes_one_pair_of_a_note),
        CASE(cosigner_counts_each_fork_over_the_cap_once),
        CASE(cosigner_keeps_forks_of_the_longest_notes),
        CASE(cosigner_writes_evidence_once_the_disk_works_again),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
