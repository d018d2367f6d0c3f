#include "tests/support/evidence_world.h"

#define KIND "witness-equivocation"

static struct buf cosigned(struct reference_tree *tree, size_t size, uint64_t time)
{
    return world_note(tree, size, WITNESS_KEY, time);
}

static enum err_code put(struct buf *out, const struct buf *note_1, const struct buf *note_2,
                         const struct hash *root, const struct proof *proof)
{
    struct err err;
    return evidence_put_equivocation(out, buf_span(note_1), buf_span(note_2), root, proof,
                                     world_keys[WITNESS_KEY], &err);
}

/* Nothing is written either, whichever note comes first. */
static void assert_not_put(const struct buf *note_1, const struct buf *note_2,
                           const struct hash *root, const struct proof *proof,
                           enum err_code expected)
{
    struct buf out = BUF_INIT(EVIDENCE_BYTES_MAX);
    assert_int_equal(put(&out, note_1, note_2, root, proof), expected);
    assert_int_equal(put(&out, note_2, note_1, root, proof), expected);
    assert_int_equal(out.len, 0);
    buf_clear(&out);
}

/* Takes the notes. */
static struct buf assert_put(struct buf note_1, struct buf note_2, const struct hash *root,
                             const struct proof *proof, struct evidence_verdict *verdict)
{
    struct buf out = BUF_INIT(EVIDENCE_BYTES_MAX), swapped = BUF_INIT(EVIDENCE_BYTES_MAX);
    assert_int_equal(put(&out, &note_1, &note_2, root, proof), E_OK);
    assert_int_equal(put(&swapped, &note_2, &note_1, root, proof), E_OK);
    assert_true(span_is_equal(buf_span(&out), buf_span(&swapped)));
    assert_int_equal(world_judge(buf_span(&out), verdict), E_OK);
    buf_clear(&swapped);
    buf_clear(&note_1);
    buf_clear(&note_2);
    return out;
}

static struct buf form(int form, struct evidence_verdict *verdict)
{
    struct hash root = reference_mth(world_honest, 0, 7);
    struct proof proof = world_consistency(world_honest, 7, 9);
    switch (form) {
    case 1:
        return assert_put(cosigned(world_honest, 8, WORLD_NOW),
                          cosigned(world_forked, 8, WORLD_NOW), NULL, NULL, verdict);
    case 2:
        return assert_put(cosigned(world_forked, 7, WORLD_NOW),
                          cosigned(world_honest, 9, WORLD_NOW + 5), &root, &proof, verdict);
    default:
        return assert_put(cosigned(world_honest, 7, WORLD_NOW + 1),
                          cosigned(world_honest, 9, WORLD_NOW), NULL, NULL, verdict);
    }
}

/* -- what proves it -- */

static void two_roots_at_one_size_prove_it_at_every_size(void **state)
{
    (void)state;
    for (size_t size = 0; size <= WORLD_SIZE; size++) {
        struct buf a = cosigned(world_honest, size, WORLD_NOW),
                   b = cosigned(world_forked, size, WORLD_NOW + 9);
        struct evidence_verdict verdict;
        if (size <= WORLD_PARTED) {
            assert_not_put(&a, &b, NULL, NULL, E_BAD_PROOF);
            buf_clear(&a);
            buf_clear(&b);
            continue;
        }
        struct buf file = assert_put(a, b, NULL, NULL, &verdict);
        assert_int_equal(verdict.checkpoints[0].size, size);
        assert_int_equal(verdict.timestamps[0] + verdict.timestamps[1],
                         2 * (uint64_t)WORLD_NOW + 9);
        assert_int_equal(verdict.keys[0], WITNESS_KEY);
        assert_int_equal(verdict.keys[1], WITNESS_KEY);
        assert_false(verdict.is_later_smaller);
        assert_true(hash_is_equal(&verdict.contradicted, &verdict.checkpoints[1].root));
        buf_clear(&file);
    }
}

static void a_proof_that_contradicts_the_smaller_note_proves_it_for_every_pair(void **state)
{
    (void)state;
    for (size_t n = WORLD_PARTED + 2; n <= WORLD_SIZE; n++) {
        for (size_t m = WORLD_PARTED + 1; m < n; m++) {
            struct hash root = reference_mth(world_honest, 0, m);
            struct proof proof = world_consistency(world_honest, m, n);
            struct evidence_verdict verdict;
            struct buf file =
                assert_put(cosigned(world_forked, m, WORLD_NOW),
                           cosigned(world_honest, n, WORLD_NOW), &root, &proof, &verdict);
            assert_true(hash_is_equal(&verdict.contradicted, &root));
            assert_false(verdict.is_later_smaller);
            buf_clear(&file);
        }
    }
}

static void a_smaller_size_at_a_later_time_proves_it(void **state)
{
    (void)state;
    for (size_t m = 0; m < WORLD_SIZE; m += 3) {
        struct evidence_verdict verdict;
        struct buf file =
            assert_put(cosigned(world_honest, m, WORLD_NOW + 1),
                       cosigned(world_honest, WORLD_SIZE, WORLD_NOW), NULL, NULL, &verdict);
        assert_true(verdict.is_later_smaller);
        assert_int_equal(verdict.checkpoints[0].size, m);
        assert_int_equal(verdict.checkpoints[1].size, WORLD_SIZE);
        assert_int_equal(verdict.timestamps[0], WORLD_NOW + 1);
        assert_int_equal(verdict.timestamps[1], WORLD_NOW);
        buf_clear(&file);
    }
}

static void a_file_is_written_as_its_header_describes_it(void **state)
{
    (void)state;
    struct evidence_verdict verdict;
    struct buf a = cosigned(world_honest, 7, WORLD_NOW + 1),
               b = cosigned(world_honest, 9, WORLD_NOW);
    struct buf expected = world_raw(KIND, &a, &b, ""), file = form(3, &verdict);
    assert_true(span_is_equal(buf_span(&expected), buf_span(&file)));
    assert_string_equal(evidence_kind_text(EVIDENCE_WITNESS_EQUIVOCATION), KIND);
    struct evidence evidence;
    struct err err;
    struct buf origin = BUF_INIT(ORIGIN_BYTES_MAX);
    assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
    assert_int_equal(evidence.kind, EVIDENCE_WITNESS_EQUIVOCATION);
    evidence_put_origin(&origin, &evidence);
    assert_true(span_is_str(buf_span(&origin), WORLD_ORIGIN));
    buf_clear(&origin);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&expected);
    buf_clear(&file);
}

static void the_origin_may_be_of_a_log_that_nobody_knows(void **state)
{
    (void)state;
    const struct signer *witness = &world_signers[WITNESS_KEY];
    struct evidence_verdict verdict;
    struct buf file = assert_put(world_sign(world_text(world_honest, 8, "some log of theirs"),
                                            witness, WORLD_NOW),
                                 world_sign(world_text(world_forked, 8, "some log of theirs"),
                                            witness, WORLD_NOW),
                                 NULL, NULL, &verdict);
    assert_string_equal(verdict.checkpoints[0].origin, "some log of theirs");
    buf_clear(&file);
}

/* -- nobody frames an honest witness -- */

static void honest_growth_proves_nothing(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 10; n++) {
        for (size_t m = 0; m <= n; m++) {
            struct hash root = reference_mth(world_honest, 0, m);
            struct proof proof = world_consistency(world_honest, m, n);
            for (uint64_t later = 0; later <= 2; later++) {
                struct buf a = cosigned(world_honest, m, WORLD_NOW),
                           b = cosigned(world_honest, n, WORLD_NOW + later);
                assert_not_put(&a, &b, NULL, NULL, E_BAD_PROOF);
                assert_not_put(&a, &b, &root, &proof, E_BAD_PROOF);
                buf_clear(&a);
                buf_clear(&b);
            }
        }
    }
}

/* Asked again, it signs what it has, later. */
static void the_same_size_later_proves_nothing(void **state)
{
    (void)state;
    struct buf a = cosigned(world_honest, 8, WORLD_NOW),
               b = cosigned(world_honest, 8, WORLD_NOW + 1000);
    assert_not_put(&a, &b, NULL, NULL, E_BAD_PROOF);
    world_assert_raw(KIND, &a, &b, "", E_BAD_PROOF);
    world_assert_raw(KIND, &b, &a, "", E_BAD_PROOF);
    buf_clear(&a);
    buf_clear(&b);
}

static void a_garbage_proof_proves_nothing(void **state)
{
    (void)state;
    for (size_t m = 1; m < WORLD_SIZE; m++) {
        struct buf a = cosigned(world_honest, m, WORLD_NOW),
                   b = cosigned(world_honest, WORLD_SIZE, WORLD_NOW);
        struct hash root = reference_mth(world_forked, 0, m);
        root.bytes[0] ^= m <= WORLD_PARTED;
        struct proof proof = world_consistency(world_honest, m, WORLD_SIZE);
        assert_not_put(&a, &b, &root, &proof, E_BAD_PROOF);
        proof = world_consistency(world_forked, m, WORLD_SIZE);
        assert_not_put(&a, &b, &root, &proof, E_BAD_PROOF);
        proof.count = 0;
        assert_not_put(&a, &b, &root, &proof, E_BAD_PROOF);
        buf_clear(&a);
        buf_clear(&b);
    }
}

/* A later time of the smaller one needs no proof, and one that fails does not help: it is another form. */
static void a_proof_that_fails_is_not_made_up_for_by_the_times(void **state)
{
    (void)state;
    struct buf a = cosigned(world_honest, 7, WORLD_NOW + 1),
               b = cosigned(world_honest, 9, WORLD_NOW);
    struct hash root = { { 1 } };
    struct proof proof = world_consistency(world_honest, 7, 9);
    assert_not_put(&a, &b, &root, &proof, E_BAD_PROOF);
    buf_clear(&a);
    buf_clear(&b);
}

static void two_logs_may_differ(void **state)
{
    (void)state;
    const struct signer *witness = &world_signers[WITNESS_KEY];
    struct buf a = cosigned(world_honest, 8, WORLD_NOW);
    struct buf b = world_sign(world_text(world_forked, 8, WORLD_OTHER_ORIGIN), witness, WORLD_NOW);
    struct buf c =
        world_sign(world_text(world_honest, 7, WORLD_OTHER_ORIGIN), witness, WORLD_NOW + 1);
    assert_not_put(&a, &b, NULL, NULL, E_BAD_PROOF);
    assert_not_put(&a, &c, NULL, NULL, E_BAD_PROOF);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&c);
}

static void two_witnesses_may_differ(void **state)
{
    (void)state;
    struct buf a = cosigned(world_honest, 7, WORLD_NOW + 1),
               b = world_note(world_honest, 9, OTHER_WITNESS_KEY, WORLD_NOW);
    world_assert_raw(KIND, &a, &b, "", E_BAD_PROOF);
    assert_not_put(&a, &b, NULL, NULL, E_BAD_SIGNATURE);
    buf_clear(&a);
    buf_clear(&b);
}

static void a_note_under_the_witness_name_by_another_key_proves_nothing(void **state)
{
    (void)state;
    struct buf a = cosigned(world_honest, 8, WORLD_NOW),
               b = world_sign(world_text(world_forked, 8, WORLD_ORIGIN), &world_strangers[2],
                              WORLD_NOW);
    assert_not_put(&a, &b, NULL, NULL, E_BAD_SIGNATURE);
    struct buf file = world_raw(KIND, &a, &b, "");
    struct evidence_verdict verdict;
    assert_int_not_equal(world_judge(buf_span(&file), &verdict), E_OK);
    buf_clear(&file);
    file = world_raw(KIND, &b, &a, "");
    assert_int_not_equal(world_judge(buf_span(&file), &verdict), E_OK);
    buf_clear(&file);
    buf_clear(&a);
    buf_clear(&b);
}

/* Puts the line below one note under the text of another. */
static struct buf transplanted(const struct buf *from, struct buf text)
{
    struct buf note = BUF_INIT(WORLD_TEXT_MAX);
    size_t line = span_find_last(buf_span(from), span_of_str("\n\n")) + 2;
    buf_putf(&note, "%.*s\n", SPAN_PRINTF(buf_span(&text)));
    buf_put(&note, span_slice(buf_span(from), line, from->len - line));
    buf_clear(&text);
    return note;
}

static void a_line_that_is_copied_from_another_text_proves_nothing(void **state)
{
    (void)state;
    struct buf a = cosigned(world_honest, 7, WORLD_NOW),
               b = cosigned(world_honest, 9, WORLD_NOW + 9);
    struct buf later = transplanted(&b, world_text(world_honest, 7, WORLD_ORIGIN));
    struct buf earlier = transplanted(&a, world_text(world_honest, 9, WORLD_ORIGIN));
    struct buf forked = transplanted(&a, world_text(world_forked, 7, WORLD_ORIGIN));
    assert_not_put(&later, &b, NULL, NULL, E_BAD_SIGNATURE);
    assert_not_put(&a, &earlier, NULL, NULL, E_BAD_SIGNATURE);
    assert_not_put(&a, &forked, NULL, NULL, E_BAD_SIGNATURE);
    world_assert_raw(KIND, &later, &b, "", E_BAD_SIGNATURE);
    world_assert_raw(KIND, &later, &earlier, "", E_BAD_SIGNATURE);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&later);
    buf_clear(&earlier);
    buf_clear(&forked);
}

/* -- a key counts in its own role -- */

static void a_plain_key_is_no_witness(void **state)
{
    (void)state;
    for (size_t key = 0; key < WORLD_KEYS; key++) {
        bool is_witness = world_keys[key]->type == SIGNATURE_COSIGNATURE;
        struct buf a = world_note(world_honest, 7, key, WORLD_NOW + 1),
                   b = world_note(world_honest, 9, key, WORLD_NOW);
        world_assert_raw(KIND, &a, &b, "", is_witness ? E_OK : E_BAD_SIGNATURE);
        buf_clear(&a);
        buf_clear(&b);
    }
}

/* Not even one with the name of a log: its key ID is another one. */
static void a_cosigner_is_no_log(void **state)
{
    (void)state;
    const size_t cosigners[] = { WITNESS_KEY, WITNESS_AS_LOG };
    for (size_t i = 0; i < 2; i++) {
        struct buf a = world_note(world_forked, 7, cosigners[i], WORLD_NOW),
                   b = world_note(world_honest, 9, cosigners[i], WORLD_NOW);
        struct hash root = reference_mth(world_honest, 0, 7);
        struct proof proof = world_consistency(world_honest, 7, 9);
        struct buf tail = BUF_INIT(WORLD_TEXT_MAX);
        buf_put_str(&tail, "root ");
        base64_put_hash(&tail, &root);
        buf_put_u8(&tail, '\n');
        proof_put_lines(&tail, &proof);
        world_assert_raw(KIND, &a, &b, buf_c_str(&tail), E_OK);
        world_assert_raw("fork", &a, &b, buf_c_str(&tail), E_BAD_SIGNATURE);
        buf_clear(&tail);
        buf_clear(&a);
        buf_clear(&b);
    }
}

/* One private key, listed as a log's and as a witness': what it signs as the one is nothing for the other. */
static void one_private_key_in_two_roles_signs_in_one(void **state)
{
    (void)state;
    struct signer as_log = keys_signer("both.example", SIGNATURE_ED25519, "both");
    struct signer as_witness = keys_signer("both.example", SIGNATURE_COSIGNATURE, "both");
    const struct vkey *keys[] = { &as_log.vkey, &as_witness.vkey };
    struct buf text = world_text(world_honest, 7, "both.example"), line = BUF_INIT(WORLD_TEXT_MAX);
    struct buf larger = world_text(world_honest, 9, "both.example");
    struct buf a = BUF_INIT(WORLD_TEXT_MAX), b = world_sign(larger, &as_witness, WORLD_NOW), file;
    struct note note;
    struct err err;
    keys_put_signed(&line, buf_span(&text), &as_log, 0);
    assert_int_equal(note_parse(&note, buf_span(&line), &err), E_OK);
    struct buf signature = BUF_INIT(80); /* the log's, with a time before it */
    buf_put_u64(&signature, WORLD_NOW + 1);
    buf_put(&signature, note.lines[0].signature);
    struct note_line relabelled = { .name = span_of_str(as_witness.vkey.name),
                                    .key_id = as_witness.vkey.id,
                                    .signature = buf_span(&signature) };
    buf_putf(&a, "%.*s\n", SPAN_PRINTF(buf_span(&text)));
    note_put_line(&a, &relabelled);
    file = world_raw(KIND, &a, &b, "");
    struct evidence evidence;
    struct evidence_verdict verdict;
    assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
    assert_int_equal(evidence_verify(&evidence, keys, 2, &verdict, &err), E_BAD_SIGNATURE);
    note_clear(&note);
    buf_clear(&signature);
    buf_clear(&text);
    buf_clear(&line);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&file);
    signer_clear(&as_log);
    signer_clear(&as_witness);
}

static void a_key_that_is_listed_twice_counts_once(void **state)
{
    (void)state;
    struct evidence_verdict verdict;
    struct buf file = form(3, &verdict);
    const struct vkey *keys[] = { world_keys[LOG_KEY], world_keys[WITNESS_KEY],
                                  world_keys[WITNESS_KEY] };
    struct evidence evidence;
    struct err err;
    assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
    assert_int_equal(evidence_verify(&evidence, keys, 3, &verdict, &err), E_OK);
    assert_int_equal(verdict.keys[0], 1);
    assert_int_equal(verdict.keys[1], 1);
    assert_int_equal(evidence_verify(&evidence, keys, 1, &verdict, &err), E_BAD_SIGNATURE);
    assert_int_equal(evidence_verify(&evidence, keys, 0, &verdict, &err), E_BAD_SIGNATURE);
    buf_clear(&file);
}

/* -- one spelling -- */

static void every_changed_bit_is_refused(void **state)
{
    (void)state;
    for (int i = 1; i <= 3; i++) {
        struct evidence_verdict verdict;
        struct buf file = form(i, &verdict);
        world_flip_every_bit(&file);
        buf_clear(&file);
    }
}

static void every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    size_t lines = world_consistency(world_honest, 7, 9).count;
    for (int i = 1; i <= 3; i++) {
        struct evidence_verdict verdict;
        struct buf file = form(i, &verdict);
        /* of form 2 all of the proof may be missing, and its root with it */
        world_truncate_everywhere(&file, i == 2 ? lines + 1 : 0);
        world_extend(&file);
        world_relabel(&file);
        buf_clear(&file);
    }
}

static void what_others_add_to_a_note_is_left_out(void **state)
{
    (void)state;
    struct buf a = cosigned(world_honest, 7, WORLD_NOW + 1),
               b = cosigned(world_honest, 9, WORLD_NOW),
               text = world_text(world_honest, 9, WORLD_ORIGIN), noisy = BUF_INIT(WORLD_TEXT_MAX);
    size_t line = span_find_last(buf_span(&b), span_of_str("\n\n")) + 2;
    struct span own = span_slice(buf_span(&b), line, b.len - line);
    keys_put_signed(&noisy, buf_span(&text), &world_signers[LOG_KEY], 0);
    keys_put_signature(&noisy, buf_span(&text), &world_signers[OTHER_WITNESS_KEY], 5);
    keys_put_signature(&noisy, buf_span(&text), &world_strangers[2], 5);
    buf_put(&noisy, own);
    buf_put(&noisy, own);
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX), plain = world_raw(KIND, &a, &b, "");
    assert_int_equal(put(&file, &a, &noisy, NULL, NULL), E_OK);
    assert_true(span_is_equal(buf_span(&file), buf_span(&plain)));
    world_assert_raw(KIND, &a, &noisy, "", E_MALFORMED);
    buf_clear(&file);
    buf_clear(&plain);
    buf_clear(&noisy);
    buf_clear(&text);
    buf_clear(&a);
    buf_clear(&b);
}

static void a_second_line_is_malformed(void **state)
{
    (void)state;
    const size_t others[] = { WITNESS_KEY, WITNESS_AS_LOG, LOG_KEY };
    struct buf b = cosigned(world_honest, 9, WORLD_NOW);
    for (size_t i = 0; i < 3; i++) {
        struct buf a = cosigned(world_honest, 7, WORLD_NOW + 1);
        struct buf text = world_text(world_honest, 7, WORLD_ORIGIN);
        const struct signer *other = &world_signers[others[i]];
        keys_put_signature(&a, buf_span(&text), other,
                           other->vkey.type == SIGNATURE_COSIGNATURE ? WORLD_NOW + 2 : 0);
        world_assert_raw(KIND, &a, &b, "", E_MALFORMED);
        buf_clear(&a);
        buf_clear(&text);
    }
    buf_clear(&b);
}

static void notes_in_the_wrong_order_are_malformed(void **state)
{
    (void)state;
    struct buf a = cosigned(world_honest, 7, WORLD_NOW + 1),
               b = cosigned(world_honest, 9, WORLD_NOW);
    world_assert_raw(KIND, &a, &b, "", E_OK);
    world_assert_raw(KIND, &b, &a, "", E_MALFORMED);
    world_assert_raw(KIND, &a, NULL, "", E_MALFORMED);
    world_assert_raw(KIND, &a, &a, "root " WORLD_HASH "\n", E_MALFORMED);
    buf_clear(&a);
    buf_clear(&b);
}

static void nothing_is_appended_where_there_is_no_room(void **state)
{
    (void)state;
    struct evidence_verdict verdict;
    struct buf a = cosigned(world_honest, 7, WORLD_NOW + 1),
               b = cosigned(world_honest, 9, WORLD_NOW), file = form(3, &verdict);
    struct buf out = BUF_INIT(file.len + 1);
    buf_put_str(&out, "xx");
    assert_int_equal(put(&out, &a, &b, NULL, NULL), E_TOO_LARGE);
    assert_true(span_is_str(buf_span(&out), "xx"));
    buf_clear(&out);
    buf_clear(&file);
    buf_clear(&a);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_roots_at_one_size_prove_it_at_every_size),
        cmocka_unit_test(a_proof_that_contradicts_the_smaller_note_proves_it_for_every_pair),
        cmocka_unit_test(a_smaller_size_at_a_later_time_proves_it),
        cmocka_unit_test(a_file_is_written_as_its_header_describes_it),
        cmocka_unit_test(the_origin_may_be_of_a_log_that_nobody_knows),
        cmocka_unit_test(honest_growth_proves_nothing),
        cmocka_unit_test(the_same_size_later_proves_nothing),
        cmocka_unit_test(a_garbage_proof_proves_nothing),
        cmocka_unit_test(a_proof_that_fails_is_not_made_up_for_by_the_times),
        cmocka_unit_test(two_logs_may_differ),
        cmocka_unit_test(two_witnesses_may_differ),
        cmocka_unit_test(a_note_under_the_witness_name_by_another_key_proves_nothing),
        cmocka_unit_test(a_line_that_is_copied_from_another_text_proves_nothing),
        cmocka_unit_test(a_plain_key_is_no_witness),
        cmocka_unit_test(a_cosigner_is_no_log),
        cmocka_unit_test(one_private_key_in_two_roles_signs_in_one),
        cmocka_unit_test(a_key_that_is_listed_twice_counts_once),
        cmocka_unit_test(every_changed_bit_is_refused),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(what_others_add_to_a_note_is_left_out),
        cmocka_unit_test(a_second_line_is_malformed),
        cmocka_unit_test(notes_in_the_wrong_order_are_malformed),
        cmocka_unit_test(nothing_is_appended_where_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
