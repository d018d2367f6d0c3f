#include "base/alloc.h"
#include "logd/kept_notes.h"
#include "tests/support/witnesses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    WITNESSES = 3
};

static struct kept_notes notes;

static struct published_tree *make_tree(size_t size)
{
    struct checkpoint checkpoint = { .origin = "log.example/test", .size = size };
    struct edge edge;
    edge_init(&edge);
    for (size_t i = 0; i < size; i++) {
        struct hash leaf = merkle_leaf_hash(span_of_str("entry"));
        edge_append(&edge, span_of_str("entry"), &leaf, NULL, NULL);
    }
    checkpoint.root = edge_root(&edge);
    char text[32];
    snprintf(text, sizeof text, "note %zu\n", size);
    struct http_body *note = http_body_new(span_of_str(text));
    struct published_tree *tree = published_tree_new(&checkpoint, note, &edge);
    http_body_release(note);
    edge_clear(&edge);
    return tree;
}

static enum kept_news add_line(struct kept_note *note, size_t witness, uint64_t timestamp)
{
    struct cosign_line line = { .witness = witness, .timestamp = timestamp };
    line.len = (size_t)snprintf(line.text, sizeof line.text, "w%zu at %llu\n", witness,
                                (unsigned long long)timestamp);
    return kept_note_add_line(note, &line);
}

static void assert_note(const struct kept_note *note, const char *expected)
{
    struct buf text = BUF_INIT(NOTE_BYTES_MAX);
    kept_note_put(&text, &notes, note);
    assert_string_equal(buf_c_str(&text), expected);
    buf_clear(&text);
}

static int set_up(void **state)
{
    (void)state;
    kept_notes_init(&notes, WITNESSES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kept_notes_clear(&notes);
    return 0;
}

static void kept_note_has_the_newest_line_of_each_witness(void **state)
{
    (void)state;
    struct kept_note *note = kept_notes_add(&notes, make_tree(3));
    assert_note(note, "note 3\n");
    assert_int_equal(add_line(note, 2, 10), KEPT_NEW);
    assert_int_equal(add_line(note, 0, 12), KEPT_NEW);
    assert_note(note, "note 3\nw0 at 12\nw2 at 10\n");
    assert_int_equal(add_line(note, 2, 10), KEPT_KNOWN);
    assert_int_equal(add_line(note, 2, 9), KEPT_KNOWN);
    note->is_unsaved = false;
    assert_int_equal(add_line(note, 2, 11), KEPT_NEWER);
    assert_true(note->is_unsaved);
    assert_note(note, "note 3\nw0 at 12\nw2 at 11\n");
    struct policy_set set = kept_note_cosigned(&notes, note);
    assert_true(set.has[0] && !set.has[1] && set.has[2]);
}

static void kept_notes_are_found_by_size_in_any_order(void **state)
{
    (void)state;
    static const size_t sizes[] = { 5, 2, 9, 0, 7 };
    for (size_t i = 0; i < 5; i++) {
        kept_notes_add(&notes, make_tree(sizes[i]));
    }
    for (uint64_t size = 0; size < 12; size++) {
        bool is_there = size == 0 || size == 2 || size == 5 || size == 7 || size == 9;
        const struct kept_note *note = kept_notes_find(&notes, size);
        assert_int_equal(note != NULL, is_there);
        assert_true(note == NULL || note->tree->checkpoint.size == size);
    }
    assert_int_equal(notes.largest->tree->checkpoint.size, 9);
    struct kept_note *same = kept_notes_find(&notes, 7);
    add_line(same, 1, 4);
    assert_ptr_equal(kept_notes_add(&notes, make_tree(7)), same); /* with its lines */
    assert_note(same, "note 7\nw1 at 4\n");
}

/* The entries of a partial bundle may be 16 MB: only the newest note has them. Whoever holds a tree keeps
 * what it has. */
static void kept_notes_have_entries_for_the_newest_only(void **state)
{
    (void)state;
    struct kept_note *first = kept_notes_add(&notes, make_tree(4));
    struct published_tree *held = published_tree_hold(first->tree);
    assert_true(held->edge.bundle.len > 0);
    kept_notes_add(&notes, make_tree(6));
    assert_int_equal(first->tree->edge.bundle.len, 0);
    assert_true(held->edge.bundle.len > 0);
    struct hash root = edge_root(&first->tree->edge);
    assert_true(hash_is_equal(&root, &first->tree->checkpoint.root));
    assert_true(notes.largest->tree->edge.bundle.len > 0);
    kept_notes_add(&notes, make_tree(5)); /* an exported one, read at start */
    assert_int_equal(kept_notes_find(&notes, 5)->tree->edge.bundle.len, 0);
    assert_true(notes.largest->tree->edge.bundle.len > 0);
    published_tree_release(held);
}

static void kept_notes_go_with_those_of_the_round(void **state)
{
    (void)state;
    struct round *round = NEW(struct round);
    struct policy_set none = { .has = { false } };
    round_init(round, 1000, true, 4, 0);
    round_add_note(round, 4, &none);
    round_add_note(round, 6, &none);
    for (size_t size = 3; size < 8; size++) {
        kept_notes_add(&notes, make_tree(size));
    }
    kept_notes_sweep(&notes, round);
    for (uint64_t size = 3; size < 8; size++) {
        assert_int_equal(kept_notes_find(&notes, size) != NULL, size == 4 || size == 6);
    }
    mem_free(round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kept_note_has_the_newest_line_of_each_witness, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(kept_notes_are_found_by_size_in_any_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(kept_notes_have_entries_for_the_newest_only, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(kept_notes_go_with_those_of_the_round, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
