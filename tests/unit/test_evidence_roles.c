#include "tests/support/evidence_world.h"

/* A policy has keys of many logs, witnesses and promises: each may blame in its own role only, and for a log
 * only its own. What they sign here is the fork of one log. */

/* Of sizes 7 and 9, and the proof that they contradict each other. */
static struct evidence fork_of(const struct buf notes[static 2], enum evidence_kind kind)
{
    return (struct evidence){ .kind = kind,
                              .notes = { buf_span(&notes[0]), buf_span(&notes[1]) },
                              .has_proof = true,
                              .root = reference_mth(world_honest, 0, 7),
                              .proof = world_consistency(world_honest, 7, 9) };
}

static enum err_code judge_notes(const struct signer *first, const struct signer *second,
                                 enum evidence_kind kind)
{
    struct buf notes[] = {
        world_sign(world_text(world_forked, 7, WORLD_ORIGIN), first, WORLD_NOW),
        world_sign(world_text(world_honest, 9, WORLD_ORIGIN), second, WORLD_NOW),
    };
    struct evidence evidence = fork_of(notes, kind);
    struct evidence_verdict verdict;
    struct err err;
    enum err_code rc = evidence_verify(&evidence, world_keys, WORLD_KEYS, &verdict, &err);
    buf_clear(&notes[0]);
    buf_clear(&notes[1]);
    return rc;
}

static void every_pair_of_keys_proves_what_it_may(void **state)
{
    (void)state;
    for (size_t i = 0; i < WORLD_KEYS; i++) {
        for (size_t k = 0; k < WORLD_KEYS; k++) {
            bool are_logs =
                (i == LOG_KEY || i == SECOND_LOG_KEY) && (k == LOG_KEY || k == SECOND_LOG_KEY);
            bool are_witnesses = world_keys[i]->type == SIGNATURE_COSIGNATURE &&
                                 world_keys[k]->type == SIGNATURE_COSIGNATURE;
            assert_int_equal(judge_notes(&world_signers[i], &world_signers[k], EVIDENCE_FORK),
                             are_logs ? E_OK : E_BAD_SIGNATURE);
            assert_int_equal(judge_notes(&world_signers[i], &world_signers[k],
                                         EVIDENCE_WITNESS_EQUIVOCATION),
                             !are_witnesses ? E_BAD_SIGNATURE
                             : i == k       ? E_OK
                                            : E_BAD_PROOF);
        }
    }
}

static void strangers_under_known_names_prove_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (int kind = EVIDENCE_FORK; kind <= EVIDENCE_WITNESS_EQUIVOCATION; kind++) {
            const struct signer *known =
                &world_signers[kind == EVIDENCE_FORK ? LOG_KEY : WITNESS_KEY];
            assert_int_equal(judge_notes(&world_strangers[i], known, (enum evidence_kind)kind),
                             E_BAD_SIGNATURE);
            assert_int_equal(judge_notes(known, &world_strangers[i], (enum evidence_kind)kind),
                             E_BAD_SIGNATURE);
        }
    }
}

static void a_key_that_is_listed_twice_counts_once(void **state)
{
    (void)state;
    struct buf notes[] = { world_note(world_forked, 7, LOG_KEY, 0),
                           world_note(world_honest, 9, LOG_KEY, 0) };
    const struct vkey *keys[] = { world_keys[MONITOR_KEY], world_keys[LOG_KEY],
                                  world_keys[LOG_KEY] };
    struct evidence evidence = fork_of(notes, EVIDENCE_FORK);
    struct evidence_verdict verdict;
    struct err err;
    assert_int_equal(evidence_verify(&evidence, keys, 3, &verdict, &err), E_OK);
    assert_int_equal(verdict.keys[0], 1);
    assert_int_equal(verdict.keys[1], 1);
    struct vkey twin = *keys[1]; /* a name and key ID that two keys share tell nobody who signed */
    twin.key = world_keys[MONITOR_KEY]->key;
    keys[2] = &twin;
    assert_int_equal(evidence_verify(&evidence, keys, 3, &verdict, &err), E_CONFLICT);
    buf_clear(&notes[0]);
    buf_clear(&notes[1]);
}

/* As of "go.sum database tree", which signs as sum.golang.org: who watches it knows that. */
static void a_log_whose_key_has_another_name_is_blamed_by_who_knows_it(void **state)
{
    (void)state;
    struct buf notes[] = {
        world_sign(world_text(world_honest, 8, "a log's origin"), &world_signers[LOG_KEY], 0),
        world_sign(world_text(world_forked, 8, "a log's origin"), &world_signers[LOG_KEY], 0),
    };
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX), origin = BUF_INIT(ORIGIN_BYTES_MAX);
    struct evidence evidence;
    struct err err;
    assert_int_equal(evidence_put_fork(&file, buf_span(&notes[0]), buf_span(&notes[1]), NULL, NULL,
                                       world_keys, 1, &err),
                     E_OK);
    world_assert_judged(buf_span(&file), E_BAD_SIGNATURE);
    assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
    evidence_put_origin(&origin, &evidence);
    assert_true(span_is_str(buf_span(&origin), "a log's origin"));
    buf_clear(&origin);
    buf_clear(&file);
    buf_clear(&notes[0]);
    buf_clear(&notes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_keys_proves_what_it_may),
        cmocka_unit_test(strangers_under_known_names_prove_nothing),
        cmocka_unit_test(a_key_that_is_listed_twice_counts_once),
        cmocka_unit_test(a_log_whose_key_has_another_name_is_blamed_by_who_knows_it),
    };
    return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
