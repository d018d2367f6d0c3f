#include "base/ascii.h"
#include "tests/support/death.h"
#include "tests/support/reference.h"
#include "tests/support/shared.h"
#include "tests/support/vectors.h"
#include "tlog/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    SIZE_MAX_TESTED = 300
};

#define assert_hash_equal(a, b) assert_memory_equal((a)->bytes, (b)->bytes, HASH_BYTES)

static struct reference_tree *tree;

static int make_tree(void **state)
{
    (void)state;
    tree = reference_of_bytes(SIZE_MAX_TESTED);
    return 0;
}

static int free_tree(void **state)
{
    (void)state;
    mem_free(tree);
    return 0;
}

static void empty_root_is_the_hash_of_nothing(void **state)
{
    (void)state;
    struct hash found = merkle_empty_root();
    struct hash expected =
        vectors_hash_str("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hash_equal(&found, &expected);
}

static void leaves_and_nodes_hash_with_different_prefixes(void **state)
{
    (void)state;
    struct hash left = tree->leaves[0];
    struct hash right = tree->leaves[1];
    struct hash node = merkle_node_hash(&left, &right);
    struct hash expected = reference_node(&left, &right);
    assert_hash_equal(&node, &expected);

    uint8_t both[2 * HASH_BYTES];
    memcpy(both, left.bytes, HASH_BYTES);
    memcpy(both + HASH_BYTES, right.bytes, HASH_BYTES);
    struct hash leaf = merkle_leaf_hash(SPAN_OF_ARRAY(both));
    assert_false(hash_is_equal(&leaf, &node));
    assert_false(hash_is_equal(&(struct hash){ 0 }, &node));
}

static void an_entry_of_no_bytes_is_not_the_empty_tree(void **state)
{
    (void)state;
    struct hash leaf = merkle_leaf_hash(span_of(NULL, 0));
    struct hash zero = sha256(span_of("\x00", 1));
    struct hash empty = merkle_empty_root();
    assert_hash_equal(&leaf, &zero);
    assert_false(hash_is_equal(&leaf, &empty));
}

static void every_way_to_the_root_gives_the_recursive_definition(void **state)
{
    (void)state;
    struct compact_range range;
    compact_range_init(&range);
    for (size_t n = 0; n <= SIZE_MAX_TESTED; n++) {
        struct hash expected = reference_mth(tree, 0, n);
        struct hash appended = compact_range_root(&range);
        assert_hash_equal(&appended, &expected);

        struct reference_source nodes = { tree, n, 0, SIZE_MAX };
        struct merkle_source source = reference_source(&nodes);
        struct err err;
        struct hash fetched;
        assert_int_equal(merkle_root(&fetched, &source, n, &err), E_OK);
        assert_hash_equal(&fetched, &expected);
        assert_int_equal(nodes.gets, __builtin_popcountll(n));

        struct compact_range loaded;
        assert_int_equal(compact_range_load(&loaded, &source, n, &err), E_OK);
        assert_int_equal(loaded.size, n);
        struct hash root = compact_range_root(&loaded);
        assert_hash_equal(&root, &expected);
        if (n < SIZE_MAX_TESTED) {
            compact_range_append(&range, &tree->leaves[n], NULL, NULL);
        }
    }
}

static void roots_accumulate_to_the_vector(void **state)
{
    (void)state;
    struct sha256_stream *stream = sha256_stream_new();
    struct compact_range range;
    compact_range_init(&range);
    for (size_t n = 0; n <= 256; n++) {
        struct hash root = compact_range_root(&range);
        struct buf line = BUF_INIT(256);
        buf_putf(&line, "%zu ", n);
        hex_put(&line, hash_span(&root));
        buf_put_str(&line, "\n");
        sha256_stream_add(stream, buf_span(&line));
        buf_clear(&line);
        uint8_t byte = (uint8_t)n;
        struct hash leaf = merkle_leaf_hash(span_of(&byte, 1));
        compact_range_append(&range, &leaf, NULL, NULL);
    }
    struct hash found = sha256_stream_finish(stream);
    sha256_stream_free(stream);
    struct hash expected =
        vectors_hash_str("685a7867b1172ee031006759e27cc983b25e2cc664508c3c9effb6cd131f31c3");
    assert_hash_equal(&found, &expected);
}

struct told {
    size_t count;       /* over all appends */
    uint64_t size;      /* before this append */
    uint8_t level_next; /* within this append */
};

static void check_node(void *ctx, struct merkle_node node, const struct hash *hash)
{
    struct told *told = ctx;
    assert_int_equal(node.level, told->level_next++);
    assert_int_equal(node.index, told->size >> node.level);
    assert_true(merkle_node_is_complete(node, told->size + 1));
    assert_false(merkle_node_is_complete(node, told->size));
    size_t lo = node.index << node.level;
    struct hash expected = reference_mth(tree, lo, lo + ((size_t)1 << node.level));
    assert_hash_equal(hash, &expected);
    told->count++;
}

static void append_tells_each_node_once_from_the_leaf_upward(void **state)
{
    (void)state;
    struct compact_range range;
    compact_range_init(&range);
    struct told told = { 0 };
    for (size_t n = 0; n < SIZE_MAX_TESTED; n++) {
        told.size = n;
        told.level_next = 0;
        compact_range_append(&range, &tree->leaves[n], check_node, &told);
        assert_int_equal(told.count, 2 * (n + 1) - (size_t)__builtin_popcountll(n + 1));
    }
}

/* Every cut into aligned subtrees: `level` at most, where it fits, else leaf by leaf. */
static void append_with_subtrees(struct compact_range *range, size_t to, unsigned level,
                                 struct told *told)
{
    while (range->size < to) {
        size_t lo = (size_t)range->size;
        unsigned fits = level;
        while (lo % ((size_t)1 << fits) != 0 || to - lo < (size_t)1 << fits) {
            fits--;
        }
        struct hash subtree = reference_mth(tree, lo, lo + ((size_t)1 << fits));
        told->size = lo + ((size_t)1 << fits) - 1; /* nodes complete with its last leaf */
        told->level_next = (uint8_t)fits;
        compact_range_append_node(range, (uint8_t)fits, &subtree, check_node, told);
        assert_int_equal(told->level_next, __builtin_ctzll(~told->size) + 1);
    }
}

static void whole_subtrees_append_as_their_leaves_would(void **state)
{
    (void)state;
    for (unsigned level = 0; level <= 8; level++) {
        for (size_t middle = 0; middle <= SIZE_MAX_TESTED; middle++) {
            struct compact_range range;
            struct told told = { 0 };
            compact_range_init(&range);
            append_with_subtrees(&range, middle, 0, &told);
            append_with_subtrees(&range, SIZE_MAX_TESTED, level, &told);
            struct hash root = compact_range_root(&range);
            struct hash expected = reference_mth(tree, 0, SIZE_MAX_TESTED);
            assert_hash_equal(&root, &expected);
            assert_int_equal(range.size, SIZE_MAX_TESTED);
        }
    }
}

static void subtrees_append_up_to_the_largest_size(void **state)
{
    (void)state;
    struct sparse sparse = sparse_make(0);
    struct merkle_source source = sparse_source(&sparse);
    for (uint8_t level = 0; level <= 62; level++) {
        uint64_t entries = (uint64_t)1 << level;
        uint64_t end = SIZE_VALUE_MAX - SIZE_VALUE_MAX % entries;
        struct compact_range range;
        struct err err;
        assert_int_equal(compact_range_load(&range, &source, end - entries, &err), E_OK);
        struct hash subtree = sparse_mth(&sparse, end - entries, end);
        compact_range_append_node(&range, level, &subtree, NULL, NULL);
        assert_true(range.size == end);
        struct hash root = compact_range_root(&range);
        struct hash expected = sparse_mth(&sparse, 0, end);
        assert_hash_equal(&root, &expected);
    }
}

static struct compact_range misused;
static uint8_t misused_level;

static void append_misused(void)
{
    compact_range_append_node(&misused, misused_level, &tree->leaves[0], NULL, NULL);
}

static void a_subtree_in_the_wrong_place_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        uint8_t level;
    } misuses[] = {
        { 1, 1 },
        { 128, 8 },
        { 257, 8 },
        { SIZE_VALUE_MAX, 0 },
        { SIZE_VALUE_MAX - 255, 8 },
        { 0, 63 },
        { 0, 255 },
        { (uint64_t)1 << 62, 62 },
    };
    for (size_t i = 0; i < sizeof misuses / sizeof misuses[0]; i++) {
        misused.size = misuses[i].size;
        misused_level = misuses[i].level;
        assert_true(death_of(append_misused));
    }
}

static void a_loaded_range_goes_on_as_if_it_had_never_stopped(void **state)
{
    (void)state;
    struct hash expected = reference_mth(tree, 0, SIZE_MAX_TESTED);
    for (size_t n = 0; n <= SIZE_MAX_TESTED; n++) {
        struct reference_source nodes = { tree, n, 0, SIZE_MAX };
        struct merkle_source source = reference_source(&nodes);
        struct compact_range range;
        struct err err;
        assert_int_equal(compact_range_load(&range, &source, n, &err), E_OK);
        for (size_t i = n; i < SIZE_MAX_TESTED; i++) {
            compact_range_append(&range, &tree->leaves[i], NULL, NULL);
        }
        struct hash root = compact_range_root(&range);
        assert_hash_equal(&root, &expected);
    }
}

static size_t bit_ceil(size_t n)
{
    size_t power = 1;
    while (power < n) {
        power *= 2;
    }
    return power;
}

static void every_aligned_range_gives_the_recursive_definition(void **state)
{
    (void)state;
    for (size_t to = 1; to <= SIZE_MAX_TESTED; to++) {
        struct reference_source nodes = { tree, to, 0, SIZE_MAX };
        struct merkle_source source = reference_source(&nodes);
        for (size_t from = 0; from < to; from++) {
            if (from % bit_ceil(to - from) != 0) {
                continue;
            }
            struct hash found;
            struct err err;
            assert_int_equal(merkle_range_hash(&found, &source, from, to, &err), E_OK);
            struct hash expected = reference_mth(tree, from, to);
            assert_hash_equal(&found, &expected);
        }
    }
}

static void an_error_of_the_source_is_passed_on_and_changes_nothing(void **state)
{
    (void)state;
    size_t gets = (size_t)__builtin_popcount(SIZE_MAX_TESTED);
    for (size_t fail_at = 0; fail_at < gets; fail_at++) {
        struct reference_source nodes = { tree, SIZE_MAX_TESTED, 0, fail_at };
        struct merkle_source source = reference_source(&nodes);
        struct err err;
        struct hash hash = tree->leaves[7];
        assert_int_equal(merkle_root(&hash, &source, SIZE_MAX_TESTED, &err), E_IO);
        assert_hash_equal(&hash, &tree->leaves[7]);

        nodes.gets = 0;
        struct compact_range range;
        compact_range_init(&range);
        compact_range_append(&range, &tree->leaves[7], NULL, NULL);
        assert_int_equal(compact_range_load(&range, &source, SIZE_MAX_TESTED, &err), E_IO);
        assert_int_equal(range.size, 1);
        struct hash root = compact_range_root(&range);
        assert_hash_equal(&root, &tree->leaves[7]);
    }
}

static void completeness_is_right_at_the_ends_of_the_number_range(void **state)
{
    (void)state;
    assert_false(merkle_node_is_complete((struct merkle_node){ 0, 0 }, 0));
    assert_true(merkle_node_is_complete((struct merkle_node){ 0, 0 }, 1));
    assert_true(merkle_node_is_complete((struct merkle_node){ 63, 0 }, UINT64_MAX));
    assert_false(merkle_node_is_complete((struct merkle_node){ 63, 1 }, UINT64_MAX));
    assert_true(merkle_node_is_complete((struct merkle_node){ 62, 0 }, (uint64_t)1 << 62));
    assert_false(merkle_node_is_complete((struct merkle_node){ 62, 0 }, ((uint64_t)1 << 62) - 1));
    assert_false(merkle_node_is_complete((struct merkle_node){ 64, 0 }, UINT64_MAX));
    assert_false(merkle_node_is_complete((struct merkle_node){ 255, 0 }, UINT64_MAX));
    assert_false(merkle_node_is_complete((struct merkle_node){ 1, UINT64_MAX }, UINT64_MAX));
}

/* From 2^k - 1 entries to 2^k + 1: the longest run of merges, and the shortest. */
static void ranges_of_huge_trees_grow_across_powers_of_two(void **state)
{
    (void)state;
    for (unsigned bits = 8; bits <= 62; bits++) {
        uint64_t size = ((uint64_t)1 << bits) - 1;
        struct sparse sparse = sparse_make(size); /* the leaf that is appended first */
        struct merkle_source source = sparse_source(&sparse);
        struct compact_range range;
        struct err err;
        assert_int_equal(compact_range_load(&range, &source, size, &err), E_OK);
        compact_range_append(&range, &sparse.special_leaf, NULL, NULL);
        struct hash root = compact_range_root(&range);
        struct hash expected = sparse_mth(&sparse, 0, size + 1);
        assert_hash_equal(&root, &expected);
        compact_range_append(&range, &sparse.leaf, NULL, NULL);
        root = compact_range_root(&range);
        expected = sparse_mth(&sparse, 0, size + 2);
        assert_hash_equal(&root, &expected);
        assert_int_equal(range.size, size + 2);
    }
}

static void append_works_up_to_the_largest_size(void **state)
{
    (void)state;
    struct sparse sparse = sparse_make(0);
    struct merkle_source source = sparse_source(&sparse);
    struct compact_range range;
    struct err err;
    assert_int_equal(compact_range_load(&range, &source, SIZE_VALUE_MAX - 1, &err), E_OK);
    compact_range_append(&range, &sparse.leaf, NULL, NULL);
    assert_true(range.size == SIZE_VALUE_MAX);
    struct hash root = compact_range_root(&range);
    struct hash expected = sparse_mth(&sparse, 0, SIZE_VALUE_MAX);
    assert_hash_equal(&root, &expected);
}

/* The leaves stand in one line, as `hex` words. */
static struct reference_tree *shared_leaves(void)
{
    struct span line = shared_lines("Leaves (hex): ", 1);
    struct reference_tree *leaves = reference_new();
    struct span before, word;
    struct err err;
    while (span_take_until(&line, '`', &before) && span_take_until(&line, '`', &word)) {
        uint8_t entry[16];
        assert_in_range(word.len, 0, 2 * sizeof entry);
        assert_int_equal(hex_decode(entry, word.len / 2, word, &err), E_OK);
        reference_add(leaves, span_of(entry, word.len / 2));
        struct hash leaf = merkle_leaf_hash(span_of(entry, word.len / 2));
        assert_hash_equal(&leaf, &leaves->leaves[leaves->count - 1]);
    }
    assert_int_equal(leaves->count, 8);
    return leaves;
}

static void check_shared_range(struct reference_tree *leaves, uint64_t from, uint64_t to,
                               struct hash expected)
{
    struct reference_source nodes = { leaves, leaves->count, 0, SIZE_MAX };
    struct merkle_source source = reference_source(&nodes);
    struct hash found;
    struct err err;
    assert_int_equal(merkle_range_hash(&found, &source, from, to, &err), E_OK);
    assert_hash_equal(&found, &expected);
}

static void the_classic_leaves_hash_to_the_shared_nodes_and_roots(void **state)
{
    (void)state;
    struct reference_tree *leaves = shared_leaves();
    struct span nodes = shared_lines("node(level.index)", 17);
    for (unsigned level = 0; level <= 3; level++) {
        for (unsigned index = 0; index < 8u >> level; index++) {
            char name[32];
            snprintf(name, sizeof name, "%u.%u", level, index);
            check_shared_range(leaves, (uint64_t)index << level, (uint64_t)(index + 1) << level,
                               vectors_hash_of(nodes, name));
        }
    }
    check_shared_range(leaves, 4, 7, vectors_hash_of(nodes, "R47"));
    struct span roots = shared_lines("root(size)", 6);
    check_shared_range(leaves, 0, 3, vectors_hash_of(roots, "3"));
    check_shared_range(leaves, 0, 5, vectors_hash_of(roots, "5"));
    check_shared_range(leaves, 0, 6, vectors_hash_of(roots, "6"));
    check_shared_range(leaves, 0, 7, vectors_hash_of(roots, "7"));
    mem_free(leaves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_root_is_the_hash_of_nothing),
        cmocka_unit_test(leaves_and_nodes_hash_with_different_prefixes),
        cmocka_unit_test(an_entry_of_no_bytes_is_not_the_empty_tree),
        cmocka_unit_test(every_way_to_the_root_gives_the_recursive_definition),
        cmocka_unit_test(roots_accumulate_to_the_vector),
        cmocka_unit_test(append_tells_each_node_once_from_the_leaf_upward),
        cmocka_unit_test(whole_subtrees_append_as_their_leaves_would),
        cmocka_unit_test(subtrees_append_up_to_the_largest_size),
        cmocka_unit_test(a_subtree_in_the_wrong_place_is_refused),
        cmocka_unit_test(a_loaded_range_goes_on_as_if_it_had_never_stopped),
        cmocka_unit_test(every_aligned_range_gives_the_recursive_definition),
        cmocka_unit_test(an_error_of_the_source_is_passed_on_and_changes_nothing),
        cmocka_unit_test(completeness_is_right_at_the_ends_of_the_number_range),
        cmocka_unit_test(ranges_of_huge_trees_grow_across_powers_of_two),
        cmocka_unit_test(append_works_up_to_the_largest_size),
        cmocka_unit_test(the_classic_leaves_hash_to_the_shared_nodes_and_roots),
    };
    return cmocka_run_group_tests(tests, make_tree, free_tree);
}
