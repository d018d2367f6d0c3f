/* What a log's requests prove against it, and that nobody else's words do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/cosigner_fixture.h"

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
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
