#include "tests/support/evidence_world.h"

#include "base/alloc.h"
#include "tests/support/operations.h"

#define KIND "tag-repeated"

enum {
    FIRST = 3, /* indices of the two records with one tag */
    SECOND = 9,
    THIRD = 12, /* of one with another tag */
    AGAIN = 15, /* of the first record once more */
    PLAIN = 1,  /* of an entry that is no record */
    NOTED = 16, /* size of the tree that is signed */
};

static struct signing_key *submitter;
static struct reference_tree *tree;
static struct buf records[NOTED]; /* what the tree has */

/* -- a tree with records -- */

static struct buf record_with(const char *tag, uint64_t minute)
{
    struct operation operation = operations_make(KIND_FREEZE, submitter);
    operation.entry_tag = operations_hash(tag);
    operation.minute = minute;
    struct buf bytes = operations_bytes(&operation, submitter);
    operation_clear(&operation);
    return bytes;
}

static int set_up(void **state)
{
    char text[32];
    world_set_up(state);
    submitter = operations_key("submitter");
    tree = reference_new();
    for (size_t i = 0; i < NOTED; i++) {
        snprintf(text, sizeof text, "tag %zu", i);
        records[i] = record_with(i == SECOND || i == AGAIN ? "tag 3" : text,
                                 29542171 + (i == AGAIN ? FIRST : i));
        if (i == PLAIN) {
            buf_reset(&records[i]);
            buf_put_str(&records[i], "not a record");
        }
        reference_add(tree, buf_span(&records[i]));
    }
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < NOTED; i++) {
        buf_clear(&records[i]);
    }
    mem_free(tree);
    signing_key_free(submitter);
    return world_tear_down(state);
}

static struct buf good_note(void)
{
    return world_note(tree, NOTED, LOG_KEY, 0);
}

/* -- making -- */

static enum err_code put_in(struct buf *out, const struct buf *note, size_t size, uint64_t first,
                            uint64_t second)
{
    struct proof proofs[2] = { world_inclusion(tree, first, size),
                               world_inclusion(tree, second, size) };
    struct evidence_record one = { first, buf_span(&records[first]), &proofs[0] };
    struct evidence_record two = { second, buf_span(&records[second]), &proofs[1] };
    struct err err;
    return evidence_put_repeated_tag(out, buf_span(note), &one, &two, world_keys, 2, &err);
}

static void assert_put_is(uint64_t first, uint64_t second, enum err_code expected)
{
    struct buf note = good_note(), out = BUF_INIT(EVIDENCE_BYTES_MAX);
    assert_int_equal(put_in(&out, &note, NOTED, first, second), expected);
    assert_true((expected == E_OK) == (out.len > 0));
    buf_clear(&note);
    buf_clear(&out);
}

static struct buf repeated(void)
{
    struct buf note = good_note(), out = BUF_INIT(EVIDENCE_BYTES_MAX);
    assert_int_equal(put_in(&out, &note, NOTED, FIRST, SECOND), E_OK);
    buf_clear(&note);
    return out;
}

static void put_entry(struct buf *out, uint64_t index, struct span record,
                      const struct proof *proof)
{
    buf_putf(out, "entry %ju ", (uintmax_t)index);
    base64_put(out, record);
    buf_put_u8(out, '\n');
    proof_put_lines(out, proof);
}

/* What is behind the note, whatever it proves. */
static struct buf tail_of(uint64_t first, struct span one, uint64_t second, struct span two)
{
    struct buf tail = BUF_INIT(WORLD_TEXT_MAX);
    struct proof proofs[2] = { world_inclusion(tree, first, NOTED),
                               world_inclusion(tree, second, NOTED) };
    put_entry(&tail, first, one, &proofs[0]);
    put_entry(&tail, second, two, &proofs[1]);
    return tail;
}

/* Takes the tail. */
static void assert_tail_judged(struct buf tail, enum err_code expected)
{
    struct buf note = good_note();
    world_assert_raw(KIND, &note, NULL, buf_c_str(&tail), expected);
    buf_clear(&note);
    buf_clear(&tail);
}

/* -- what proves it -- */

static void two_records_with_one_tag_prove_it_at_every_size(void **state)
{
    (void)state;
    for (size_t size = SECOND + 1; size <= NOTED; size++) {
        struct buf note = world_note(tree, size, SECOND_LOG_KEY, 0),
                   file = BUF_INIT(EVIDENCE_BYTES_MAX), swapped = BUF_INIT(EVIDENCE_BYTES_MAX);
        struct hash tag = operations_hash("tag 3");
        struct evidence_verdict verdict;
        assert_int_equal(put_in(&file, &note, size, FIRST, SECOND), E_OK);
        assert_int_equal(put_in(&swapped, &note, size, SECOND, FIRST), E_OK);
        assert_true(span_is_equal(buf_span(&file), buf_span(&swapped)));
        assert_int_equal(world_judge(buf_span(&file), &verdict), E_OK);
        assert_int_equal(verdict.keys[0], SECOND_LOG_KEY);
        assert_int_equal(verdict.keys[1], SECOND_LOG_KEY);
        assert_int_equal(verdict.checkpoints[1].size, size);
        assert_true(hash_is_equal(&verdict.tag, &tag));
        assert_true(hash_is_equal(&verdict.leaves[0], &tree->leaves[FIRST]));
        assert_true(hash_is_equal(&verdict.leaves[1], &tree->leaves[SECOND]));
        buf_clear(&note);
        buf_clear(&file);
        buf_clear(&swapped);
    }
}

static void a_file_is_written_as_its_header_describes_it(void **state)
{
    (void)state;
    struct buf note = good_note(), file = repeated(), origin = BUF_INIT(ORIGIN_BYTES_MAX);
    struct buf tail = tail_of(FIRST, buf_span(&records[FIRST]), SECOND, buf_span(&records[SECOND]));
    struct buf expected = world_raw(KIND, &note, NULL, buf_c_str(&tail));
    struct evidence evidence;
    struct err err;
    assert_true(span_is_equal(buf_span(&file), buf_span(&expected)));
    assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
    assert_int_equal(evidence.kind, EVIDENCE_TAG_REPEATED);
    assert_int_equal(evidence.entries[0].index, FIRST);
    assert_int_equal(evidence.entries[1].index, SECOND);
    assert_string_equal(evidence_kind_text(EVIDENCE_TAG_REPEATED), KIND);
    evidence_put_origin(&origin, &evidence);
    assert_true(span_is_str(buf_span(&origin), WORLD_ORIGIN));
    buf_clear(&origin);
    buf_clear(&expected);
    buf_clear(&tail);
    buf_clear(&file);
    buf_clear(&note);
}

/* A log answers for what it holds, whoever made it: its gate should have refused what nobody has signed. */
static void signatures_of_records_are_not_looked_at(void **state)
{
    (void)state;
    struct buf forged = record_with("tag 3", 29542180);
    forged.data[forged.len - 1] ^= 1;
    struct reference_tree *other = reference_new();
    reference_add(other, buf_span(&records[FIRST]));
    reference_add(other, buf_span(&forged));
    struct buf note = world_note(other, 2, LOG_KEY, 0), out = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct proof proofs[2] = { world_inclusion(other, 0, 2), world_inclusion(other, 1, 2) };
    struct evidence_record one = { 0, buf_span(&records[FIRST]), &proofs[0] };
    struct evidence_record two = { 1, buf_span(&forged), &proofs[1] };
    struct err err;
    assert_int_equal(evidence_put_repeated_tag(&out, buf_span(&note), &one, &two, world_keys, 2,
                                               &err),
                     E_OK);
    buf_clear(&out);
    buf_clear(&note);
    buf_clear(&forged);
    mem_free(other);
}

/* -- nobody frames an honest log -- */

static void other_pairs_prove_nothing(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < NOTED; i++) {
        for (uint64_t j = 0; j < NOTED; j++) {
            bool has_tag = (i == FIRST || i == SECOND || i == AGAIN) &&
                           (j == FIRST || j == SECOND || j == AGAIN);
            bool is_same = i == j || (i != SECOND && j != SECOND);
            enum err_code expected = i == PLAIN || j == PLAIN ? E_MALFORMED
                                     : has_tag && !is_same    ? E_OK
                                                              : E_BAD_PROOF;
            assert_put_is(i, j, expected);
        }
    }
}

static void a_record_that_is_not_in_the_tree_proves_nothing(void **state)
{
    (void)state;
    struct buf made_up = record_with("tag 3", 29542181);
    assert_tail_judged(tail_of(FIRST, buf_span(&records[FIRST]), SECOND, buf_span(&made_up)),
                       E_BAD_PROOF);
    assert_tail_judged(tail_of(FIRST, buf_span(&made_up), SECOND, buf_span(&records[SECOND])),
                       E_BAD_PROOF);
    assert_tail_judged(tail_of(FIRST, buf_span(&records[FIRST]), THIRD, buf_span(&records[SECOND])),
                       E_BAD_PROOF);
    buf_clear(&made_up);
}

static void a_tree_that_has_not_got_so_far_holds_no_two(void **state)
{
    (void)state;
    struct buf note = world_note(tree, SECOND, LOG_KEY, 0);
    struct buf tail = tail_of(FIRST, buf_span(&records[FIRST]), SECOND, buf_span(&records[SECOND]));
    world_assert_raw(KIND, &note, NULL, buf_c_str(&tail), E_BAD_PROOF);
    buf_clear(&note);
    buf_clear(&tail);
}

static void only_keys_of_the_log_sign_its_tree(void **state)
{
    (void)state;
    struct buf tail = tail_of(FIRST, buf_span(&records[FIRST]), SECOND, buf_span(&records[SECOND]));
    for (size_t key = 0; key < WORLD_KEYS; key++) {
        struct buf note = world_note(tree, NOTED, key, WORLD_NOW);
        bool is_log = key == LOG_KEY || key == SECOND_LOG_KEY;
        world_assert_raw(KIND, &note, NULL, buf_c_str(&tail), is_log ? E_OK : E_BAD_SIGNATURE);
        buf_clear(&note);
    }
    struct buf text = world_text(tree, NOTED, WORLD_ORIGIN);
    struct buf note = world_sign(text, &world_strangers[0], 0);
    world_assert_raw(KIND, &note, NULL, buf_c_str(&tail), E_BAD_SIGNATURE);
    buf_clear(&note);
    buf_clear(&tail);
}

/* -- one spelling -- */

static void every_changed_bit_is_refused(void **state)
{
    (void)state;
    struct buf file = repeated();
    world_flip_every_bit(&file);
    buf_clear(&file);
}

/* Without a line of the second proof it proves nothing; without one of the first it is no evidence. */
static void every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    struct buf file = repeated();
    world_truncate_everywhere(&file, world_inclusion(tree, SECOND, NOTED).count);
    world_extend(&file);
    world_relabel(&file);
    buf_clear(&file);
}

static void entries_stand_in_the_order_of_the_log(void **state)
{
    (void)state;
    assert_tail_judged(tail_of(SECOND, buf_span(&records[SECOND]), FIRST,
                               buf_span(&records[FIRST])),
                       E_MALFORMED);
}

static void what_others_add_to_a_note_is_left_out(void **state)
{
    (void)state;
    struct buf note = good_note(), text = world_text(tree, NOTED, WORLD_ORIGIN),
               file = BUF_INIT(EVIDENCE_BYTES_MAX), plain = repeated();
    keys_put_signature(&note, buf_span(&text), &world_signers[WITNESS_KEY], WORLD_NOW);
    assert_int_equal(put_in(&file, &note, NOTED, FIRST, SECOND), E_OK);
    assert_true(span_is_equal(buf_span(&file), buf_span(&plain)));
    struct buf tail = tail_of(FIRST, buf_span(&records[FIRST]), SECOND, buf_span(&records[SECOND]));
    world_assert_raw(KIND, &note, NULL, buf_c_str(&tail), E_BAD_SIGNATURE);
    buf_clear(&tail);
    buf_clear(&text);
    buf_clear(&file);
    buf_clear(&plain);
    buf_clear(&note);
}

static void malformed_files_are_rejected(void **state)
{
    (void)state;
    static const char *const tails[] = {
        "",
        "entry",
        "entry 5\n",
        "entry 5 AAAA\n",
        "entry 05 AAAA\nentry 6 AAAA\n",
        "entry 5 AAAA\nentry 9223372036854775807 AAAA\n",
        "entry 5 AAAA\nentry 6 AAAA",
        "entry 5 AAAA\nentry 6 AAAB\n",
        "entry 5 \nentry 6 \n",
        "entry 5 AAAA\n\nentry 6 AAAB\n",
        "entry 5 AAAA\nentry 6 AAAB\nentry 7 AAAB\n",
        "root " WORLD_HASH "\n",
    };
    struct buf note = good_note();
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        world_assert_raw(KIND, &note, NULL, tails[i], E_MALFORMED);
    }
    world_assert_raw(KIND, &note, &note, tails[0], E_MALFORMED);
    buf_clear(&note);
    struct operation anchor = operations_make(KIND_ANCHOR, submitter);
    struct buf untagged = operations_bytes(&anchor, submitter);
    assert_tail_judged(tail_of(FIRST, buf_span(&records[FIRST]), SECOND, buf_span(&untagged)),
                       E_MALFORMED);
    buf_clear(&untagged);
}

static void a_record_that_is_too_long_is_refused(void **state)
{
    (void)state;
    uint8_t *zeroes = mem_calloc(1, EVIDENCE_RECORD_BYTES_MAX + 1);
    struct proof none = { .count = 0 };
    struct evidence_record one = { 1, span_of(zeroes, EVIDENCE_RECORD_BYTES_MAX + 1), &none };
    struct evidence_record two = { 2, span_of(zeroes, 1), &none };
    struct buf note = good_note(), out = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    assert_int_equal(evidence_put_repeated_tag(&out, buf_span(&note), &one, &two, world_keys, 2,
                                               &err),
                     E_MALFORMED);
    buf_clear(&note);
    mem_free(zeroes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_records_with_one_tag_prove_it_at_every_size),
        cmocka_unit_test(a_file_is_written_as_its_header_describes_it),
        cmocka_unit_test(signatures_of_records_are_not_looked_at),
        cmocka_unit_test(other_pairs_prove_nothing),
        cmocka_unit_test(a_record_that_is_not_in_the_tree_proves_nothing),
        cmocka_unit_test(a_tree_that_has_not_got_so_far_holds_no_two),
        cmocka_unit_test(only_keys_of_the_log_sign_its_tree),
        cmocka_unit_test(every_changed_bit_is_refused),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(entries_stand_in_the_order_of_the_log),
        cmocka_unit_test(what_others_add_to_a_note_is_left_out),
        cmocka_unit_test(malformed_files_are_rejected),
        cmocka_unit_test(a_record_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
