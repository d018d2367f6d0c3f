#include "tests/support/evidence_world.h"

#include "base/alloc.h"

#define KIND "promise-broken"

/* -- making -- */

static struct buf promise_note(const char *origin, const struct promise_item *items, size_t count,
                               const struct signer *signer)
{
    struct buf text = BUF_INIT(PROMISE_TEXT_MAX);
    promise_put_text(&text, origin, items, count);
    return world_sign(text, signer, WORLD_NOW);
}

/* What the tree has at these indices is promised. */
static struct buf promised(struct reference_tree *tree, size_t from, size_t count)
{
    struct promise_item items[WORLD_SIZE];
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct promise_item){ from + i, tree->leaves[from + i] };
    }
    return promise_note(WORLD_ORIGIN, items, count, &world_signers[PROMISE_KEY]);
}

static enum err_code put(struct buf *out, const struct buf *promise, const struct buf *note,
                         uint64_t index, const struct hash *leaf, const struct proof *proof)
{
    struct err err;
    return evidence_put_broken_promise(out, buf_span(promise), buf_span(note), index, leaf, proof,
                                       world_keys[PROMISE_KEY], world_keys, 2, &err);
}

static void assert_put_is(const struct buf *promise, const struct buf *note, uint64_t index,
                          const struct hash *leaf, const struct proof *proof,
                          enum err_code expected)
{
    struct buf out = BUF_INIT(EVIDENCE_BYTES_MAX);
    assert_int_equal(put(&out, promise, note, index, leaf, proof), expected);
    assert_true((expected == E_OK) == (out.len > 0));
    if (expected == E_OK) {
        world_assert_judged(buf_span(&out), E_OK);
    }
    buf_clear(&out);
}

/* The forked tree's leaf is promised, the honest one is there. */
static struct buf broken(void)
{
    struct buf promise = promised(world_forked, WORLD_PARTED - 1, 3),
               note = world_note(world_honest, 9, LOG_KEY, 0), out = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct proof proof = world_inclusion(world_honest, WORLD_PARTED, 9);
    assert_int_equal(put(&out, &promise, &note, WORLD_PARTED, &world_honest->leaves[WORLD_PARTED],
                         &proof),
                     E_OK);
    buf_clear(&promise);
    buf_clear(&note);
    return out;
}

/* What is behind the notes of broken(). */
static struct buf tail_of(uint64_t index, const struct hash *leaf, const struct proof *proof)
{
    struct buf tail = BUF_INIT(8192);
    buf_putf(&tail, "entry %ju ", (uintmax_t)index);
    base64_put_hash(&tail, leaf);
    buf_put_u8(&tail, '\n');
    proof_put_lines(&tail, proof);
    return tail;
}

/* Takes the notes. */
static void assert_notes_judged(struct buf promise, struct buf note, enum err_code expected)
{
    struct proof proof = world_inclusion(world_honest, WORLD_PARTED, 9);
    struct buf tail = tail_of(WORLD_PARTED, &world_honest->leaves[WORLD_PARTED], &proof);
    world_assert_raw(KIND, &promise, &note, buf_c_str(&tail), expected);
    buf_clear(&tail);
    buf_clear(&promise);
    buf_clear(&note);
}

static struct buf good_promise(void)
{
    return promised(world_forked, WORLD_PARTED, 1);
}

static struct buf good_note(void)
{
    return world_note(world_honest, 9, LOG_KEY, 0);
}

/* -- what proves it -- */

static void another_leaf_at_a_promised_index_proves_it_at_every_size(void **state)
{
    (void)state;
    for (size_t size = WORLD_PARTED + 1; size <= WORLD_SIZE; size++) {
        struct buf promise = promised(world_forked, 0, WORLD_SIZE),
                   note = world_note(world_honest, size, SECOND_LOG_KEY, 0),
                   file = BUF_INIT(EVIDENCE_BYTES_MAX);
        struct proof proof = world_inclusion(world_honest, WORLD_PARTED, size);
        struct evidence_verdict verdict;
        assert_int_equal(put(&file, &promise, &note, WORLD_PARTED,
                             &world_honest->leaves[WORLD_PARTED], &proof),
                         E_OK);
        assert_int_equal(world_judge(buf_span(&file), &verdict), E_OK);
        assert_int_equal(verdict.keys[0], PROMISE_KEY);
        assert_int_equal(verdict.keys[1], SECOND_LOG_KEY);
        assert_int_equal(verdict.checkpoints[1].size, size);
        assert_true(hash_is_equal(&verdict.promised, &world_forked->leaves[WORLD_PARTED]));
        assert_true(hash_is_equal(&verdict.found, &world_honest->leaves[WORLD_PARTED]));
        buf_clear(&file);
        buf_clear(&promise);
        buf_clear(&note);
    }
}

static void a_file_is_written_as_its_header_describes_it(void **state)
{
    (void)state;
    struct buf promise = promised(world_forked, WORLD_PARTED - 1, 3), note = good_note(),
               file = broken();
    struct proof proof = world_inclusion(world_honest, WORLD_PARTED, 9);
    struct buf tail = tail_of(WORLD_PARTED, &world_honest->leaves[WORLD_PARTED], &proof);
    struct buf expected = world_raw(KIND, &promise, &note, buf_c_str(&tail));
    struct buf origin = BUF_INIT(ORIGIN_BYTES_MAX);
    struct evidence evidence;
    struct err err;
    assert_true(span_is_equal(buf_span(&file), buf_span(&expected)));
    assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
    assert_int_equal(evidence.kind, EVIDENCE_PROMISE_BROKEN);
    assert_int_equal(evidence.index, WORLD_PARTED);
    assert_string_equal(evidence_kind_text(EVIDENCE_PROMISE_BROKEN), KIND);
    evidence_put_origin(&origin, &evidence);
    assert_true(span_is_str(buf_span(&origin), WORLD_ORIGIN));
    buf_clear(&origin);
    buf_clear(&promise);
    buf_clear(&note);
    buf_clear(&file);
    buf_clear(&tail);
    buf_clear(&expected);
}

/* An index that was promised to two entries is kept for one at most. */
static void an_index_that_was_promised_twice_is_broken_once(void **state)
{
    (void)state;
    const struct hash *there = &world_honest->leaves[WORLD_PARTED];
    struct promise_item items[] = { { WORLD_PARTED, *there },
                                    { WORLD_PARTED, world_forked->leaves[WORLD_PARTED] },
                                    { WORLD_PARTED, *there } };
    const struct signer *signer = &world_signers[PROMISE_KEY];
    struct proof proof = world_inclusion(world_honest, WORLD_PARTED, 9);
    struct buf promise = promise_note(WORLD_ORIGIN, items, 3, signer), note = good_note();
    assert_put_is(&promise, &note, WORLD_PARTED, there, &proof, E_OK);
    buf_clear(&promise);
    items[1].leaf = *there; /* one entry, sent three times in one call: no lie */
    promise = promise_note(WORLD_ORIGIN, items, 3, signer);
    assert_put_is(&promise, &note, WORLD_PARTED, there, &proof, E_BAD_PROOF);
    buf_clear(&promise);
    buf_clear(&note);
}

static void the_longest_promise_fits(void **state)
{
    (void)state;
    struct promise_item *items = mem_calloc(PROMISE_ITEMS_MAX, sizeof items[0]);
    for (size_t i = 0; i < PROMISE_ITEMS_MAX; i++) {
        items[i].index = SIZE_VALUE_MAX - 1 - i;
    }
    items[PROMISE_ITEMS_MAX - 1].index = WORLD_PARTED;
    struct buf promise =
        promise_note(WORLD_ORIGIN, items, PROMISE_ITEMS_MAX, &world_signers[PROMISE_KEY]);
    struct buf note = good_note();
    struct proof proof = world_inclusion(world_honest, WORLD_PARTED, 9);
    assert_put_is(&promise, &note, WORLD_PARTED, &world_honest->leaves[WORLD_PARTED], &proof, E_OK);
    buf_clear(&promise);
    buf_clear(&note);
    mem_free(items);
}

/* -- nobody frames an honest log -- */

static void kept_promises_prove_nothing(void **state)
{
    (void)state;
    struct buf promise = promised(world_honest, 0, WORLD_SIZE);
    for (size_t size = 1; size <= WORLD_SIZE; size++) {
        struct buf note = world_note(world_honest, size, LOG_KEY, 0);
        for (size_t i = 0; i < size; i++) {
            struct proof proof = world_inclusion(world_honest, i, size);
            const struct hash *leaf = &world_honest->leaves[i];
            const struct hash *next = &world_honest->leaves[(i + 1) % WORLD_SIZE];
            assert_put_is(&promise, &note, i, leaf, &proof, E_BAD_PROOF);
            assert_put_is(&promise, &note, i, next, &proof, E_BAD_PROOF);
            if (proof.count > 0) { /* an inner node is no leaf */
                struct hash parent = i % 2 == 0 ? merkle_node_hash(leaf, &proof.hashes[0])
                                                : merkle_node_hash(&proof.hashes[0], leaf);
                memmove(&proof.hashes[0], &proof.hashes[1], --proof.count * HASH_BYTES);
                assert_put_is(&promise, &note, i, &parent, &proof, E_BAD_PROOF);
                assert_put_is(&promise, &note, i / 2, &parent, &proof, E_BAD_PROOF);
            }
        }
        buf_clear(&note);
    }
    buf_clear(&promise);
}

static void a_tree_that_has_not_got_so_far_breaks_no_promise(void **state)
{
    (void)state;
    struct buf promise = promised(world_forked, 0, WORLD_SIZE);
    for (size_t size = 0; size <= WORLD_PARTED; size++) {
        struct buf note = world_note(world_honest, size, LOG_KEY, 0);
        struct proof none = { .count = 0 }, other = world_inclusion(world_honest, WORLD_PARTED, 9);
        const struct hash *leaf = &world_honest->leaves[WORLD_PARTED];
        assert_put_is(&promise, &note, WORLD_PARTED, leaf, &none, E_BAD_PROOF);
        assert_put_is(&promise, &note, WORLD_PARTED, leaf, &other, E_BAD_PROOF);
        buf_clear(&note);
    }
    buf_clear(&promise);
}

static void what_was_not_promised_is_not_broken(void **state)
{
    (void)state;
    struct buf promise = promised(world_forked, WORLD_PARTED, 1), note = good_note();
    for (size_t i = 0; i < 9; i++) {
        struct proof proof = world_inclusion(world_honest, i, 9);
        assert_put_is(&promise, &note, i, &world_honest->leaves[i], &proof,
                      i == WORLD_PARTED ? E_OK : E_BAD_PROOF);
    }
    buf_clear(&promise);
    buf_clear(&note);
}

static void a_promise_of_another_log_is_not_of_this_one(void **state)
{
    (void)state;
    struct promise_item item = { WORLD_PARTED, world_forked->leaves[WORLD_PARTED] };
    const struct signer *other = &world_signers[OTHER_PROMISE_KEY];
    assert_notes_judged(promise_note(WORLD_OTHER_ORIGIN, &item, 1, other), good_note(),
                        E_BAD_PROOF);
    assert_notes_judged(good_promise(),
                        world_sign(world_text(world_honest, 9, WORLD_OTHER_ORIGIN),
                                   &world_signers[OTHER_LOG_KEY], 0),
                        E_BAD_PROOF);
}

/* -- a key counts in its own role -- */

static void only_the_promise_key_of_the_log_promises(void **state)
{
    (void)state;
    struct promise_item item = { WORLD_PARTED, world_forked->leaves[WORLD_PARTED] };
    for (size_t key = 0; key < WORLD_KEYS; key++) {
        assert_notes_judged(promise_note(WORLD_ORIGIN, &item, 1, &world_signers[key]), good_note(),
                            key == PROMISE_KEY ? E_OK : E_BAD_SIGNATURE);
    }
    assert_notes_judged(promise_note(WORLD_ORIGIN, &item, 1, &world_strangers[1]), good_note(),
                        E_BAD_SIGNATURE);
}

static void only_keys_of_the_log_sign_its_tree(void **state)
{
    (void)state;
    for (size_t key = 0; key < WORLD_KEYS; key++) {
        bool is_log = key == LOG_KEY || key == SECOND_LOG_KEY;
        assert_notes_judged(good_promise(), world_note(world_honest, 9, key, WORLD_NOW),
                            is_log ? E_OK : E_BAD_SIGNATURE);
    }
    assert_notes_judged(good_promise(),
                        world_sign(world_text(world_honest, 9, WORLD_ORIGIN), &world_strangers[0],
                                   0),
                        E_BAD_SIGNATURE);
}

/* The promise key's name could be an origin, and it may be made to look like a log's. */
static void a_promise_key_is_no_log(void **state)
{
    (void)state;
    const char *origin = WORLD_ORIGIN "/promise";
    const struct signer *key = &world_signers[PROMISE_KEY];
    struct buf a = world_sign(world_text(world_honest, 8, origin), key, 0),
               b = world_sign(world_text(world_forked, 8, origin), key, 0);
    bool is_swapped = memcmp(reference_mth(world_honest, 0, 8).bytes,
                             reference_mth(world_forked, 0, 8).bytes, HASH_BYTES) > 0;
    world_assert_raw("fork", is_swapped ? &b : &a, is_swapped ? &a : &b, "", E_BAD_SIGNATURE);
    buf_clear(&a);
    buf_clear(&b);
}

static void the_maker_counts_the_promise_key_by_its_name(void **state)
{
    (void)state;
    struct promise_item item = { WORLD_PARTED, world_forked->leaves[WORLD_PARTED] };
    struct proof proof = world_inclusion(world_honest, WORLD_PARTED, 9);
    const size_t others[] = { LOG_KEY, OTHER_PROMISE_KEY, WITNESS_KEY };
    struct buf note = good_note(), out = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    for (size_t i = 0; i < 3; i++) {
        struct buf promise = promise_note(WORLD_ORIGIN, &item, 1, &world_signers[others[i]]);
        assert_int_equal(evidence_put_broken_promise(&out, buf_span(&promise), buf_span(&note),
                                                     WORLD_PARTED,
                                                     &world_honest->leaves[WORLD_PARTED], &proof,
                                                     world_keys[others[i]], world_keys, 2, &err),
                         E_BAD_SIGNATURE);
        buf_clear(&promise);
    }
    assert_int_equal(out.len, 0);
    buf_clear(&note);
}

/* -- one spelling -- */

static void every_changed_bit_is_refused(void **state)
{
    (void)state;
    struct buf file = broken();
    world_flip_every_bit(&file);
    buf_clear(&file);
}

static void every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    struct buf file = broken();
    world_truncate_everywhere(&file, world_inclusion(world_honest, WORLD_PARTED, 9).count);
    world_extend(&file);
    world_relabel(&file);
    buf_clear(&file);
}

static void what_others_add_to_a_note_is_left_out(void **state)
{
    (void)state;
    struct buf promise = promised(world_forked, WORLD_PARTED - 1, 3), note = good_note(),
               file = BUF_INIT(EVIDENCE_BYTES_MAX), plain = broken();
    struct proof proof = world_inclusion(world_honest, WORLD_PARTED, 9);
    struct buf text = world_text(world_honest, 9, WORLD_ORIGIN);
    keys_put_signature(&promise, span_of_str("x\n"), &world_signers[MONITOR_KEY], 0);
    keys_put_signature(&note, buf_span(&text), &world_signers[WITNESS_KEY], WORLD_NOW);
    keys_put_signature(&note, buf_span(&text), &world_signers[PROMISE_KEY], 0);
    assert_int_equal(put(&file, &promise, &note, WORLD_PARTED, &world_honest->leaves[WORLD_PARTED],
                         &proof),
                     E_OK);
    assert_true(span_is_equal(buf_span(&file), buf_span(&plain)));
    buf_clear(&text);
    buf_clear(&file);
    buf_clear(&plain);
    assert_notes_judged(promise, good_note(), E_MALFORMED); /* two lines */
    assert_notes_judged(good_promise(), note, E_MALFORMED); /* not sorted */
}

static void a_line_of_another_key_spoils_the_note(void **state)
{
    (void)state;
    struct buf text = world_text(world_honest, 9, WORLD_ORIGIN), note = good_note();
    keys_put_signature(&note, buf_span(&text), &world_signers[WITNESS_KEY], WORLD_NOW);
    assert_notes_judged(good_promise(), note, E_BAD_SIGNATURE);
    buf_clear(&text);
}

static void malformed_files_are_rejected(void **state)
{
    (void)state;
    static const char *const tails[] = {
        "",
        "entry",
        "entry 5\n",
        "entry 5 " WORLD_HASH,
        "entry 05 " WORLD_HASH "\n",
        "entry -1 " WORLD_HASH "\n",
        "entry 9223372036854775807 " WORLD_HASH "\n",
        "entry 18446744073709551616 " WORLD_HASH "\n",
        "entry  5 " WORLD_HASH "\n",
        "entry 5  " WORLD_HASH "\n",
        "entry 5 " WORLD_HASH " \n",
        "entry 5 " WORLD_HASH "\n\n",
        "entry 5 AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=\n",
        "entry 5 " WORLD_HASH "\n" WORLD_HASH,
        "root " WORLD_HASH "\n",
    };
    struct buf promise = good_promise(), note = good_note(), tail = BUF_INIT(8192);
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        world_assert_raw(KIND, &promise, &note, tails[i], E_MALFORMED);
    }
    buf_put_str(&tail, "entry 9223372036854775806 " WORLD_HASH "\n");
    for (int i = 0; i < PROOF_HASHES_MAX; i++) {
        buf_put_str(&tail, WORLD_HASH "\n");
    }
    world_assert_raw(KIND, &promise, &note, buf_c_str(&tail), E_BAD_PROOF);
    world_assert_raw(KIND, &note, &promise, buf_c_str(&tail), E_MALFORMED);
    world_assert_raw(KIND, &promise, &promise, buf_c_str(&tail), E_MALFORMED);
    world_assert_raw(KIND, &promise, NULL, buf_c_str(&tail), E_MALFORMED);
    buf_put_str(&tail, WORLD_HASH "\n");
    world_assert_raw(KIND, &promise, &note, buf_c_str(&tail), E_MALFORMED);
    buf_clear(&tail);
    buf_clear(&promise);
    buf_clear(&note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_leaf_at_a_promised_index_proves_it_at_every_size),
        cmocka_unit_test(a_file_is_written_as_its_header_describes_it),
        cmocka_unit_test(an_index_that_was_promised_twice_is_broken_once),
        cmocka_unit_test(the_longest_promise_fits),
        cmocka_unit_test(kept_promises_prove_nothing),
        cmocka_unit_test(a_tree_that_has_not_got_so_far_breaks_no_promise),
        cmocka_unit_test(what_was_not_promised_is_not_broken),
        cmocka_unit_test(a_promise_of_another_log_is_not_of_this_one),
        cmocka_unit_test(only_the_promise_key_of_the_log_promises),
        cmocka_unit_test(only_keys_of_the_log_sign_its_tree),
        cmocka_unit_test(a_promise_key_is_no_log),
        cmocka_unit_test(the_maker_counts_the_promise_key_by_its_name),
        cmocka_unit_test(every_changed_bit_is_refused),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(what_others_add_to_a_note_is_left_out),
        cmocka_unit_test(a_line_of_another_key_spoils_the_note),
        cmocka_unit_test(malformed_files_are_rejected),
    };
    return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
