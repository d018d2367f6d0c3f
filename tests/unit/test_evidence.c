#include "evidence/evidence.h"

#include "base/ascii.h"
#include "tests/support/keys.h"
#include "tests/support/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DASH   "\xe2\x80\x94 "
#define ORIGIN "log.example"

enum {
    SIZE_MAX_TESTED = 40,
    PARTED = 5, /* the first leaf in which the two trees differ */
    TEXT_MAX = 4 * EVIDENCE_BYTES_MAX
};

static struct reference_tree *honest, *forked; /* equal up to PARTED */
static struct signer log_signer, second_signer, witness_signer, other_signer;
static const struct vkey *log_keys[2];

static int set_up(void **state)
{
    (void)state;
    honest = reference_of_bytes(SIZE_MAX_TESTED);
    forked = reference_new();
    for (size_t i = 0; i < SIZE_MAX_TESTED; i++) {
        uint8_t byte = (uint8_t)(i == PARTED ? 0xff : i);
        reference_add(forked, span_of(&byte, 1));
    }
    log_signer = keys_signer(ORIGIN, SIGNATURE_ED25519, "log");
    second_signer = keys_signer(ORIGIN, SIGNATURE_ED25519, "log, second key");
    witness_signer = keys_signer("w.example", SIGNATURE_COSIGNATURE, "w");
    other_signer = keys_signer("other.example", SIGNATURE_ED25519, "other");
    log_keys[0] = &log_signer.vkey;
    log_keys[1] = &second_signer.vkey;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mem_free(honest);
    mem_free(forked);
    signer_clear(&log_signer);
    signer_clear(&second_signer);
    signer_clear(&witness_signer);
    signer_clear(&other_signer);
    return 0;
}

/* -- notes and proofs -- */

static struct buf text_of(struct reference_tree *tree, size_t size, const char *origin,
                          const char *extensions)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    struct checkpoint checkpoint = { .size = size, .root = reference_mth(tree, 0, size) };
    memcpy(checkpoint.origin, origin, strlen(origin) + 1);
    checkpoint_put(&text, &checkpoint);
    buf_put_str(&text, extensions);
    return text;
}

static struct buf sign(struct buf text, const struct signer *signer)
{
    struct buf note = BUF_INIT(TEXT_MAX);
    keys_put_signed(&note, buf_span(&text), signer, 0);
    buf_clear(&text);
    return note;
}

static struct buf note_of(struct reference_tree *tree, size_t size)
{
    return sign(text_of(tree, size, ORIGIN, ""), &log_signer);
}

static struct proof proof_of(struct reference_tree *tree, size_t old_size, size_t new_size)
{
    struct reference_source state = { tree, new_size, 0, SIZE_MAX };
    struct merkle_source source = reference_source(&state);
    struct proof proof;
    struct err err;
    assert_int_equal(proof_make_consistency(&proof, &source, old_size, new_size, &err), E_OK);
    return proof;
}

/* -- making and judging -- */

static enum err_code put(struct buf *out, const struct buf *note_1, const struct buf *note_2,
                         const struct hash *root, const struct proof *proof)
{
    struct err err;
    return evidence_put_fork(out, buf_span(note_1), buf_span(note_2), root, proof, log_keys, 2,
                             &err);
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

/* The file made from two notes; the order in which they are given makes no difference. */
static struct buf assert_put(const struct buf *note_1, const struct buf *note_2,
                             const struct hash *root, const struct proof *proof)
{
    struct buf out = BUF_INIT(EVIDENCE_BYTES_MAX), swapped = BUF_INIT(EVIDENCE_BYTES_MAX);
    assert_int_equal(put(&out, note_1, note_2, root, proof), E_OK);
    assert_int_equal(put(&swapped, note_2, note_1, root, proof), E_OK);
    assert_true(span_is_equal(buf_span(&out), buf_span(&swapped)));
    buf_clear(&swapped);
    return out;
}

static enum err_code judge(struct span bytes, struct evidence_verdict *verdict)
{
    struct evidence evidence;
    struct err err;
    enum err_code rc = evidence_parse(&evidence, bytes, &err);
    return rc == E_OK ? evidence_verify(&evidence, log_keys, 2, verdict, &err) : rc;
}

static struct evidence_verdict assert_proved(struct span bytes)
{
    struct evidence evidence;
    struct evidence_verdict verdict = { 0 };
    struct err err = { 0 };
    if (evidence_parse(&evidence, bytes, &err) != E_OK ||
        evidence_verify(&evidence, log_keys, 2, &verdict, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    struct buf note_1 = BUF_INIT(TEXT_MAX), note_2 = BUF_INIT(TEXT_MAX);
    buf_put(&note_1, evidence.notes[0]);
    buf_put(&note_2, evidence.notes[1]);
    struct buf again = assert_put(&note_1, &note_2, evidence.has_proof ? &evidence.root : NULL,
                                  evidence.has_proof ? &evidence.proof : NULL);
    assert_true(span_is_equal(buf_span(&again), bytes));
    buf_clear(&note_1);
    buf_clear(&note_2);
    buf_clear(&again);
    return verdict;
}

static void assert_judged(struct span bytes, enum err_code expected)
{
    struct evidence_verdict verdict = { .keys = { 77 } };
    enum err_code rc = judge(bytes, &verdict);
    if (rc != expected) {
        fail_msg("%d instead of %d: %.*s", (int)rc, (int)expected, SPAN_PRINTF(bytes));
    }
    assert_int_equal(verdict.keys[0], 77);
}

/* One file of each form: sizes 8 and 8, and 7 in the forked tree and 9 in the honest one. */
static struct buf form_1(void)
{
    struct buf a = note_of(honest, 8), b = note_of(forked, 8);
    struct buf file = assert_put(&a, &b, NULL, NULL);
    buf_clear(&a);
    buf_clear(&b);
    return file;
}

static struct buf form_2(void)
{
    struct buf a = note_of(forked, 7), b = note_of(honest, 9);
    struct hash root = reference_mth(honest, 0, 7);
    struct proof proof = proof_of(honest, 7, 9);
    struct buf file = assert_put(&a, &b, &root, &proof);
    buf_clear(&a);
    buf_clear(&b);
    return file;
}

/* -- what proves a fork -- */

static void two_roots_at_one_size_prove_a_fork_at_every_size(void **state)
{
    (void)state;
    for (size_t size = 0; size <= SIZE_MAX_TESTED; size++) {
        struct buf a = note_of(honest, size), b = note_of(forked, size);
        if (size <= PARTED) {
            assert_not_put(&a, &b, NULL, NULL, E_BAD_PROOF);
        } else {
            struct buf file = assert_put(&a, &b, NULL, NULL);
            struct evidence_verdict verdict = assert_proved(buf_span(&file));
            assert_int_equal(verdict.checkpoints[0].size, size);
            assert_int_equal(verdict.checkpoints[1].size, size);
            assert_true(memcmp(verdict.checkpoints[0].root.bytes, verdict.checkpoints[1].root.bytes,
                               HASH_BYTES) < 0);
            assert_true(hash_is_equal(&verdict.contradicted, &verdict.checkpoints[1].root));
            assert_string_equal(verdict.checkpoints[0].origin, ORIGIN);
            buf_clear(&file);
        }
        buf_clear(&a);
        buf_clear(&b);
    }
}

/* Powers of two too, where the proof does not hold the old root. */
static void a_proof_that_contradicts_the_smaller_note_proves_a_fork_for_every_pair(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 20; n++) {
        struct buf b = note_of(honest, n);
        for (size_t m = 1; m < n; m++) {
            struct buf a = note_of(forked, m);
            struct hash root = reference_mth(honest, 0, m);
            struct proof proof = proof_of(honest, m, n);
            if (m <= PARTED) {
                assert_not_put(&a, &b, &root, &proof, E_BAD_PROOF);
            } else {
                struct buf file = assert_put(&a, &b, &root, &proof);
                struct evidence_verdict verdict = assert_proved(buf_span(&file));
                assert_int_equal(verdict.checkpoints[0].size, m);
                assert_int_equal(verdict.checkpoints[1].size, n);
                assert_true(hash_is_equal(&verdict.contradicted, &root));
                buf_clear(&file);
            }
            buf_clear(&a);
        }
        buf_clear(&b);
    }
}

static void a_file_is_written_as_its_header_describes_it(void **state)
{
    (void)state;
    struct buf expected = BUF_INIT(TEXT_MAX), file = form_2();
    struct buf a = note_of(forked, 7), b = note_of(honest, 9);
    struct hash root = reference_mth(honest, 0, 7);
    struct proof proof = proof_of(honest, 7, 9);
    buf_putf(&expected, "courtroll evidence v1\nfork\nnote %zu\n%.*snote %zu\n%.*sroot ", a.len,
             SPAN_PRINTF(buf_span(&a)), b.len, SPAN_PRINTF(buf_span(&b)));
    base64_put_hash(&expected, &root);
    buf_put_u8(&expected, '\n');
    proof_put_lines(&expected, &proof);
    assert_true(span_is_equal(buf_span(&expected), buf_span(&file)));
    assert_string_equal(evidence_kind_text(EVIDENCE_FORK), "fork");
    buf_clear(&expected);
    buf_clear(&file);
    buf_clear(&a);
    buf_clear(&b);
}

static void notes_of_one_size_need_no_proof_and_hold_none(void **state)
{
    (void)state;
    struct buf a = note_of(honest, 8), b = note_of(forked, 8), direct = form_1();
    struct hash root = reference_mth(honest, 0, 8);
    struct proof proof = { .count = 0 };
    struct buf file = assert_put(&a, &b, &root, &proof);
    assert_true(span_is_equal(buf_span(&file), buf_span(&direct)));
    buf_put_str(&file, "root ");
    base64_put_hash(&file, &root);
    buf_put_u8(&file, '\n');
    assert_judged(buf_span(&file), E_MALFORMED);
    buf_clear(&file);
    buf_clear(&direct);
    buf_clear(&a);
    buf_clear(&b);
}

static void the_verdict_names_the_keys_that_signed(void **state)
{
    (void)state;
    struct buf a = sign(text_of(forked, 7, ORIGIN, ""), &second_signer), b = note_of(honest, 9);
    struct hash root = reference_mth(honest, 0, 7);
    struct proof proof = proof_of(honest, 7, 9);
    struct buf file = assert_put(&a, &b, &root, &proof);
    struct evidence_verdict verdict = assert_proved(buf_span(&file));
    assert_int_equal(verdict.keys[0], 1);
    assert_int_equal(verdict.keys[1], 0);
    buf_clear(&file);
    buf_clear(&a);
    buf_clear(&b);
}

/* -- nobody frames an honest log -- */

static void honest_notes_prove_nothing_by_themselves(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 12; n++) {
        struct buf b = note_of(honest, n);
        for (size_t m = 0; m <= n; m++) {
            struct buf a = note_of(honest, m);
            assert_not_put(&a, &b, NULL, NULL, E_BAD_PROOF);
            buf_clear(&a);
        }
        buf_clear(&b);
    }
}

/* Honest notes with every proof and root that the tree has, right and wrong, and with garbage. */
static void honest_notes_prove_nothing_with_any_proof_of_their_tree(void **state)
{
    (void)state;
    enum {
        MAX = 6
    };
    struct buf notes[MAX + 1];
    struct hash roots[MAX + 2];
    for (size_t i = 0; i <= MAX; i++) {
        notes[i] = note_of(honest, i);
        roots[i] = reference_mth(honest, 0, i);
    }
    memset(roots[MAX + 1].bytes, 0x5a, HASH_BYTES);
    for (size_t i = 0; i < (MAX + 1) * (MAX + 1) * (MAX + 1) * (MAX + 1) * (MAX + 2); i++) {
        size_t m = i % (MAX + 1), n = i / 7 % (MAX + 1), from = i / 49 % (MAX + 1);
        size_t to = i / 343 % (MAX + 1), root = i / 2401;
        if (m > n || from > to) {
            continue;
        }
        struct proof proof = proof_of(honest, from, to);
        struct evidence evidence = {
            .kind = EVIDENCE_FORK,
            .notes = { buf_span(&notes[m]), buf_span(&notes[n]) },
            .has_proof = true,
            .root = roots[root],
            .proof = proof,
        };
        struct evidence_verdict verdict;
        struct err err;
        assert_int_equal(evidence_verify(&evidence, log_keys, 2, &verdict, &err), E_BAD_PROOF);
    }
    for (size_t i = 0; i <= MAX; i++) {
        buf_clear(&notes[i]);
    }
}

/* A genuine newer note that somebody sends with a proof of his own making. */
static void an_honest_note_with_a_garbage_proof_proves_nothing(void **state)
{
    (void)state;
    for (size_t m = 1; m <= 17; m++) {
        struct buf a = note_of(honest, m), b = note_of(honest, 18);
        struct hash old_root = reference_mth(honest, 0, m), garbage = old_root;
        struct proof proof = proof_of(honest, m, 18);
        garbage.bytes[7] ^= 1;
        assert_not_put(&a, &b, &garbage, &proof, E_BAD_PROOF);
        assert_not_put(&a, &b, &old_root, &proof, E_BAD_PROOF);
        for (size_t i = 0; i < proof.count; i++) {
            struct proof other = proof;
            struct hash other_old, other_new;
            struct err err;
            other.hashes[i].bytes[0] ^= 0x80;
            assert_int_equal(proof_consistency_roots(&other_old, &other_new, &other, m, 18,
                                                     &old_root, &err),
                             E_OK);
            assert_not_put(&a, &b, &other_old, &other, E_BAD_PROOF);
            assert_not_put(&a, &b, &garbage, &other, E_BAD_PROOF);
        }
        struct proof none = { .count = 0 };
        assert_not_put(&a, &b, &garbage, &none, E_BAD_PROOF);
        proof = proof_of(forked, m, 18);
        garbage = reference_mth(forked, 0, m);
        assert_not_put(&a, &b, &garbage, &proof, E_BAD_PROOF);
        buf_clear(&a);
        buf_clear(&b);
    }
}

static void a_tree_without_entries_contradicts_nothing(void **state)
{
    (void)state;
    struct buf a = note_of(honest, 0), b = note_of(honest, 8);
    struct proof none = { .count = 0 }, one = { .count = 1 };
    struct hash zero = { { 0 } }, empty = merkle_empty_root(), root = reference_mth(honest, 0, 8);
    assert_not_put(&a, &b, &zero, &none, E_BAD_PROOF);
    assert_not_put(&a, &b, &empty, &none, E_BAD_PROOF);
    assert_not_put(&a, &b, &root, &one, E_BAD_PROOF);
    assert_not_put(&a, &a, &zero, &none, E_BAD_PROOF);
    buf_clear(&a);
    buf_clear(&b);
}

static void extension_lines_are_no_fork(void **state)
{
    (void)state;
    struct buf plain = note_of(honest, 8);
    struct buf a = sign(text_of(honest, 8, ORIGIN, "one\n"), &log_signer);
    struct buf b = sign(text_of(honest, 8, ORIGIN, "two\nlines\n"), &log_signer);
    struct hash zero = { { 0 } };
    struct proof none = { .count = 0 };
    assert_not_put(&a, &b, NULL, NULL, E_BAD_PROOF);
    assert_not_put(&a, &b, &zero, &none, E_BAD_PROOF);
    assert_not_put(&plain, &b, NULL, NULL, E_BAD_PROOF);
    struct buf c = sign(text_of(forked, 8, ORIGIN, "one\n"), &log_signer);
    struct buf file = assert_put(&b, &c, NULL, NULL); /* nor do they hide one */
    assert_proved(buf_span(&file));
    buf_clear(&file);
    buf_clear(&plain);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&c);
}

static void two_logs_of_one_key_may_differ(void **state)
{
    (void)state;
    struct buf a = note_of(honest, 8);
    struct buf b = sign(text_of(forked, 8, "other log", ""), &log_signer);
    struct buf c = sign(text_of(forked, 7, "other log", ""), &log_signer);
    struct hash root = reference_mth(honest, 0, 7);
    struct proof proof = proof_of(honest, 7, 8);
    assert_not_put(&a, &b, NULL, NULL, E_BAD_PROOF);
    assert_not_put(&a, &c, &root, &proof, E_BAD_PROOF);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&c);
}

static void a_note_that_the_log_did_not_sign_proves_nothing(void **state)
{
    (void)state;
    struct buf a = note_of(honest, 8), text = text_of(forked, 8, ORIGIN, "");
    struct buf b = BUF_INIT(TEXT_MAX), c = sign(text_of(forked, 8, ORIGIN, ""), &other_signer);
    assert_not_put(&a, &c, NULL, NULL, E_BAD_SIGNATURE);
    keys_put_signed(&b, buf_span(&text), &witness_signer, 1700000000);
    assert_not_put(&a, &b, NULL, NULL, E_BAD_SIGNATURE);
    buf_reset(&b); /* the log's signature on another text */
    buf_putf(&b, "%.*s\n", SPAN_PRINTF(buf_span(&text)));
    size_t line = span_find(buf_span(&a), span_of_str("\n\n")) + 2;
    buf_put(&b, span_slice(buf_span(&a), line, a.len - line));
    assert_not_put(&a, &b, NULL, NULL, E_BAD_SIGNATURE);
    struct buf file = form_1();
    struct evidence evidence;
    struct evidence_verdict verdict;
    struct err err;
    const struct vkey *others[] = { &other_signer.vkey };
    assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
    assert_int_equal(evidence_verify(&evidence, others, 1, &verdict, &err), E_BAD_SIGNATURE);
    assert_int_equal(evidence_verify(&evidence, NULL, 0, &verdict, &err), E_BAD_SIGNATURE);
    buf_clear(&file);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&c);
    buf_clear(&text);
}

/* -- one spelling -- */

static void every_changed_bit_is_refused(void **state)
{
    (void)state;
    struct buf files[] = { form_1(), form_2() };
    for (size_t k = 0; k < 2; k++) {
        assert_proved(buf_span(&files[k]));
        for (size_t i = 0; i < 8 * files[k].len; i++) {
            struct evidence_verdict verdict;
            files[k].data[i / 8] ^= (uint8_t)(1 << i % 8);
            assert_int_not_equal(judge(buf_span(&files[k]), &verdict), E_OK);
            files[k].data[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        buf_clear(&files[k]);
    }
}

static void every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    struct buf files[] = { form_1(), form_2() };
    for (size_t k = 0; k < 2; k++) {
        for (size_t len = 0; len < files[k].len; len++) {
            struct evidence_verdict verdict;
            assert_int_not_equal(judge(span_of(files[k].data, len), &verdict), E_OK);
        }
        size_t len = files[k].len;
        static const char *const tails[] = { "\n", " ", "x\n", "note 0\n", "root ", "\0" };
        for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
            buf_put(&files[k], span_of(tails[i], tails[i][0] == 0 ? 1 : strlen(tails[i])));
            assert_judged(buf_span(&files[k]), E_MALFORMED);
            buf_truncate(&files[k], len);
        }
        buf_clear(&files[k]);
    }
}

/* Lines that anybody can add to a note: of a witness, of strangers, under the log's own name with
 * another ID, again, and with stray bits behind the last byte of the base64. */
static void what_others_add_to_a_note_is_left_out(void **state)
{
    (void)state;
    struct buf a = note_of(honest, 8), b = note_of(forked, 8),
               text = text_of(forked, 8, ORIGIN, "");
    struct buf noisy = BUF_INIT(TEXT_MAX), plain = form_1();
    size_t line = span_find(buf_span(&b), span_of_str("\n\n")) + 2;
    struct span own = span_slice(buf_span(&b), line, b.len - line);
    keys_put_signed(&noisy, buf_span(&text), &other_signer, 0);
    buf_put_str(&noisy, DASH ORIGIN " AAAAAAAA\n" DASH "grease.invalid AAAAAAA=\n");
    keys_put_signature(&noisy, buf_span(&text), &witness_signer, 1700000000);
    buf_put(&noisy, own);
    assert_int_equal(noisy.data[noisy.len - 2], '='); /* 68 bytes: one '=', two stray bits */
    assert_int_not_equal(noisy.data[noisy.len - 3], '=');
    noisy.data[noisy.len - 3]++;
    buf_put(&noisy, own);
    struct buf file = assert_put(&a, &noisy, NULL, NULL);
    assert_true(span_is_equal(buf_span(&file), buf_span(&plain)));
    buf_clear(&file);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&text);
    buf_clear(&noisy);
    buf_clear(&plain);
}

/* Writes the file without asking whether it is evidence. */
static struct buf raw_file(struct span a, struct span b, const char *tail)
{
    struct buf file = BUF_INIT(TEXT_MAX);
    buf_putf(&file, "courtroll evidence v1\nfork\nnote %zu\n", a.len);
    buf_put(&file, a);
    buf_putf(&file, "note %zu\n", b.len);
    buf_put(&file, b);
    buf_put_str(&file, tail);
    return file;
}

static void assert_raw(const struct buf *a, const struct buf *b, const char *tail,
                       enum err_code expected)
{
    struct buf file = raw_file(buf_span(a), buf_span(b), tail);
    assert_judged(buf_span(&file), expected);
    buf_clear(&file);
}

static void a_line_of_another_key_spoils_a_file(void **state)
{
    (void)state;
    struct buf text = text_of(forked, 7, ORIGIN, ""), b = note_of(honest, 8);
    struct buf a = BUF_INIT(TEXT_MAX);
    keys_put_signed(&a, buf_span(&text), &log_signer, 0);
    keys_put_signature(&a, buf_span(&text), &witness_signer, 1700000000);
    assert_raw(&a, &b, "", E_BAD_SIGNATURE);
    buf_reset(&a); /* sorted: the name "log.example" is before "other.example" */
    keys_put_signed(&a, buf_span(&text), &log_signer, 0);
    keys_put_signature(&a, buf_span(&text), &other_signer, 0);
    assert_raw(&a, &b, "", E_BAD_SIGNATURE);
    buf_reset(&a);
    keys_put_signed(&a, buf_span(&text), &log_signer, 0);
    keys_put_signature(&a, buf_span(&text), &log_signer, 0); /* twice */
    assert_raw(&a, &b, "", E_BAD_SIGNATURE);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&text);
}

static void lines_of_two_keys_of_the_log_have_one_order(void **state)
{
    (void)state;
    const struct signer *first = &log_signer, *second = &second_signer;
    if (first->vkey.id > second->vkey.id) {
        first = &second_signer;
        second = &log_signer;
    }
    struct buf texts[] = { text_of(honest, 8, ORIGIN, ""), text_of(forked, 8, ORIGIN, "") };
    struct buf sorted[2], other[2];
    for (size_t i = 0; i < 2; i++) {
        buf_init(&sorted[i], TEXT_MAX);
        buf_init(&other[i], TEXT_MAX);
        keys_put_signed(&sorted[i], buf_span(&texts[i]), first, 0);
        keys_put_signature(&sorted[i], buf_span(&texts[i]), second, 0);
        keys_put_signed(&other[i], buf_span(&texts[i]), second, 0);
        keys_put_signature(&other[i], buf_span(&texts[i]), first, 0);
    }
    struct buf file = assert_put(&sorted[0], &sorted[1], NULL, NULL);
    struct buf same = assert_put(&other[0], &other[1], NULL, NULL);
    assert_true(span_is_equal(buf_span(&file), buf_span(&same)));
    assert_proved(buf_span(&file));
    struct evidence evidence;
    struct err err;
    assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
    size_t a = span_is_equal(evidence.notes[0], buf_span(&sorted[0])) ? 0 : 1;
    assert_raw(&sorted[a], &other[1 - a], "", E_MALFORMED);
    assert_raw(&other[a], &sorted[1 - a], "", E_MALFORMED);
    for (size_t i = 0; i < 2; i++) {
        buf_clear(&texts[i]);
        buf_clear(&sorted[i]);
        buf_clear(&other[i]);
    }
    buf_clear(&file);
    buf_clear(&same);
}

static void notes_in_the_wrong_order_are_malformed(void **state)
{
    (void)state;
    struct buf a = note_of(honest, 8), b = note_of(forked, 8), c = note_of(honest, 9);
    struct hash roots[] = { reference_mth(honest, 0, 8), reference_mth(forked, 0, 8) };
    bool is_sorted = memcmp(roots[0].bytes, roots[1].bytes, HASH_BYTES) < 0;
    assert_raw(is_sorted ? &b : &a, is_sorted ? &a : &b, "", E_MALFORMED);
    assert_raw(&c, &b, "", E_MALFORMED);
    assert_raw(&b, &c, "", E_BAD_PROOF); /* two sizes, and no proof */
    assert_raw(&a, &a, "", E_BAD_PROOF);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&c);
}

static void malformed_files_are_rejected(void **state)
{
    (void)state;
#define HEAD "courtroll evidence v1\nfork\n"
#define HASH "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
    static const char *const bad[] = {
        "",
        "courtroll evidence v1\n",
        "courtroll evidence v2\nfork\n",
        "courtroll evidence v1\nwitness-equivocation\n",
        "courtroll evidence v1\nfork",
        "fork\n",
        HEAD,
        HEAD "note 0\n",
        HEAD "note 0\nnote 0\n",
        HEAD "note 2\n\n\nnote 2\n\n\n",
        HEAD "note 99999999999999999999\n",
        HEAD "note 18446744073709551615\n",
        HEAD "note 1000000\n",
        HEAD "note -1\n",
        HEAD "note 01\nxnote 0\n",
        HEAD "note 5\nx\n",
        HEAD "root " HASH "\n",
    };
    static const char *const bad_tails[] = {
        "root\n",
        "root \n",
        "root " HASH,
        "root " HASH " \n",
        "root " HASH "\n\n",
        "root " HASH "\n" HASH,
        "root " HASH "\n" HASH "\n\n",
        "root AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=\n",
        HASH "\n",
        "note 0\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_judged(span_of_str(bad[i]), E_MALFORMED);
    }
    struct buf a = note_of(honest, 7), b = note_of(honest, 9), tail = BUF_INIT(8192);
    for (size_t i = 0; i < sizeof bad_tails / sizeof bad_tails[0]; i++) {
        assert_raw(&a, &b, bad_tails[i], E_MALFORMED);
    }
    buf_put_str(&tail, "root " HASH "\n");
    for (int i = 0; i < PROOF_HASHES_MAX; i++) {
        buf_put_str(&tail, HASH "\n");
    }
    assert_raw(&a, &b, buf_c_str(&tail), E_BAD_PROOF);
    buf_put_str(&tail, HASH "\n");
    assert_raw(&a, &b, buf_c_str(&tail), E_MALFORMED);
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&tail);
}

/* -- maxima -- */

static struct buf long_note(struct reference_tree *tree, size_t bytes)
{
    struct buf text = text_of(tree, 8, ORIGIN, "");
    while (text.len < bytes - 200) {
        buf_put_str(&text, "an extension line of some sixty bytes, that is of no use at all\n");
    }
    return sign(text, &log_signer);
}

static void notes_as_long_as_a_witness_reads_fit_and_longer_ones_do_not(void **state)
{
    (void)state;
    struct buf a = long_note(honest, 128 * 1024), b = long_note(forked, 128 * 1024);
    struct buf file = assert_put(&a, &b, NULL, NULL);
    assert_proved(buf_span(&file));
    buf_clear(&file);
    buf_clear(&b);
    b = long_note(forked, 256 * 1024);
    assert_not_put(&a, &b, NULL, NULL, E_TOO_LARGE);
    struct buf raw = raw_file(buf_span(&a), buf_span(&b), "");
    assert_judged(buf_span(&raw), E_MALFORMED);
    buf_clear(&raw);
    buf_clear(&a);
    buf_clear(&b);
}

static void nothing_is_appended_where_there_is_no_room(void **state)
{
    (void)state;
    struct buf a = note_of(honest, 8), b = note_of(forked, 8), file = form_1();
    struct buf out = BUF_INIT(file.len + 1);
    buf_put_str(&out, "xx");
    assert_int_equal(put(&out, &a, &b, NULL, NULL), E_TOO_LARGE);
    assert_true(span_is_str(buf_span(&out), "xx"));
    buf_truncate(&out, 1);
    assert_int_equal(put(&out, &a, &b, NULL, NULL), E_OK);
    assert_int_equal(out.len, file.len + 1);
    buf_clear(&out);
    buf_clear(&file);
    buf_clear(&a);
    buf_clear(&b);
}

static void what_is_no_checkpoint_is_no_evidence(void **state)
{
    (void)state;
    struct buf a = note_of(honest, 8), text = BUF_INIT(100), b;
    buf_put_str(&text, ORIGIN "\nfive\n" HASH "\n");
    b = sign(text, &log_signer);
    assert_not_put(&a, &b, NULL, NULL, E_MALFORMED);
    assert_raw(&a, &b, "", E_MALFORMED);
    buf_truncate(&b, b.len - 1);
    assert_not_put(&a, &b, NULL, NULL, E_MALFORMED);
    buf_clear(&a);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_roots_at_one_size_prove_a_fork_at_every_size),
        cmocka_unit_test(a_proof_that_contradicts_the_smaller_note_proves_a_fork_for_every_pair),
        cmocka_unit_test(a_file_is_written_as_its_header_describes_it),
        cmocka_unit_test(notes_of_one_size_need_no_proof_and_hold_none),
        cmocka_unit_test(the_verdict_names_the_keys_that_signed),
        cmocka_unit_test(honest_notes_prove_nothing_by_themselves),
        cmocka_unit_test(honest_notes_prove_nothing_with_any_proof_of_their_tree),
        cmocka_unit_test(an_honest_note_with_a_garbage_proof_proves_nothing),
        cmocka_unit_test(a_tree_without_entries_contradicts_nothing),
        cmocka_unit_test(extension_lines_are_no_fork),
        cmocka_unit_test(two_logs_of_one_key_may_differ),
        cmocka_unit_test(a_note_that_the_log_did_not_sign_proves_nothing),
        cmocka_unit_test(every_changed_bit_is_refused),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(what_others_add_to_a_note_is_left_out),
        cmocka_unit_test(a_line_of_another_key_spoils_a_file),
        cmocka_unit_test(lines_of_two_keys_of_the_log_have_one_order),
        cmocka_unit_test(notes_in_the_wrong_order_are_malformed),
        cmocka_unit_test(malformed_files_are_rejected),
        cmocka_unit_test(notes_as_long_as_a_witness_reads_fit_and_longer_ones_do_not),
        cmocka_unit_test(nothing_is_appended_where_there_is_no_room),
        cmocka_unit_test(what_is_no_checkpoint_is_no_evidence),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
