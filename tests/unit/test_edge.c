#include "tests/support/reference.h"
#include "tests/support/shared.h"
#include "tests/support/vectors.h"
#include "tlog/edge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    SIZE = 66000, /* the first size over 256 * 256 and then some */
    LEVELS = 3,   /* tile levels in a tree of SIZE entries */
};

#define assert_hash_equal(a, b) assert_memory_equal((a)->bytes, (b)->bytes, HASH_BYTES)

/* hashes[l] holds what tile level l must hold, one complete hash after the other. */
static struct hash *hashes[LEVELS];
static size_t hash_counts[LEVELS];

/* Entry i: its number in decimal, and nothing at all for each 100th. */
static struct span entry_of(uint64_t i, char text[static 24])
{
    snprintf(text, 24, "%llu", (unsigned long long)i);
    return span_of(text, i % 100 == 0 ? 0 : strlen(text));
}

static struct hash root_over(const struct hash *first, size_t count)
{
    if (count == 1) {
        return *first;
    }
    size_t half = reference_split(count);
    struct hash left = root_over(first, half);
    struct hash right = root_over(first + half, count - half);
    return reference_node(&left, &right);
}

static int make_hashes(void **state)
{
    (void)state;
    for (size_t level = 0, count = SIZE; level < LEVELS; level++, count /= TILE_WIDTH) {
        hashes[level] = mem_calloc(count + 1, sizeof(struct hash));
        hash_counts[level] = count;
        for (size_t i = 0; i < count; i++) {
            char text[24];
            struct span parts[] = { span_of("\x00", 1), entry_of(i, text) };
            hashes[level][i] = level == 0
                                   ? sha256_parts(parts, 2)
                                   : root_over(&hashes[level - 1][i * TILE_WIDTH], TILE_WIDTH);
        }
    }
    return 0;
}

static int free_hashes(void **state)
{
    (void)state;
    for (size_t level = 0; level < LEVELS; level++) {
        mem_free(hashes[level]);
    }
    return 0;
}

/* Any node that is complete in the tree of SIZE entries. */
struct source_state {
    uint64_t size;  /* nodes that are not complete at this size are not asked for */
    size_t fail_at; /* as in struct reference_source */
    size_t gets;
};

static enum err_code get(void *ctx, struct merkle_node node, struct hash *out, struct err *err)
{
    struct source_state *state = ctx;
    assert_true(merkle_node_is_complete(node, state->size));
    if (state->gets++ == state->fail_at) {
        return err_set(err, E_IO, "made to fail");
    }
    unsigned level = node.level / 8u;
    unsigned height = node.level % 8u;
    *out = root_over(&hashes[level][node.index << height], (size_t)1 << height);
    return E_OK;
}

/* -- what is told -- */

struct told {
    uint64_t size; /* of the tree that the resources are for */
    size_t full[LEVELS];
    size_t full_bundles;
    size_t in_a_row; /* resources told since the last append */
    bool is_partial;
};

static void assert_bundle(uint64_t index, uint16_t width, struct span bytes)
{
    struct span entry;
    for (uint64_t i = index * TILE_WIDTH; i < index * TILE_WIDTH + width; i++) {
        char text[24];
        assert_true(bundle_take_entry(&bytes, &entry));
        assert_true(span_is_equal(entry, entry_of(i, text)));
    }
    assert_int_equal(bytes.len, 0);
}

static void assert_tile(struct tile_id id, uint16_t width, struct span bytes)
{
    assert_in_range(id.level, 0, LEVELS - 1);
    assert_int_equal(bytes.len, (size_t)width * HASH_BYTES);
    assert_true(id.index * TILE_WIDTH + width <= hash_counts[id.level]);
    assert_memory_equal(bytes.data, &hashes[id.level][id.index * TILE_WIDTH], bytes.len);
}

/* Bundle first, then the tiles upward, each as the tree of told->size has it. */
static void check_resource(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct told *told = ctx;
    assert_int_equal(path->width, tile_width(path->id, told->size));
    if (told->is_partial) {
        assert_in_range(path->width, 1, TILE_WIDTH - 1);
    } else {
        assert_int_equal(path->width, TILE_WIDTH);
    }
    if (path->is_bundle) {
        assert_int_equal(told->in_a_row, 0);
        assert_int_equal(path->id.level, 0);
        assert_bundle(path->id.index, path->width, bytes);
    } else {
        assert_tile(path->id, path->width, bytes);
    }
    told->in_a_row++;
    if (path->width == TILE_WIDTH) {
        size_t *count = path->is_bundle ? &told->full_bundles : &told->full[path->id.level];
        assert_int_equal(path->id.index, *count);
        (*count)++;
    }
}

static void append_next(struct edge *edge, struct told *told)
{
    uint64_t i = edge_size(edge);
    told->size = i + 1;
    told->in_a_row = 0;
    told->is_partial = false;
    char text[24];
    edge_append(edge, entry_of(i, text), &hashes[0][i], check_resource, told);
}

static struct hash expected_root(uint64_t size)
{
    return size == 0 ? merkle_empty_root() : root_over(hashes[0], size);
}

static void assert_partials(const struct edge *edge)
{
    struct told told = { .size = edge_size(edge), .is_partial = true };
    edge_put_partials(edge, check_resource, &told);
    size_t expected = told.size % TILE_WIDTH == 0 ? 0 : 1; /* the bundle */
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        expected += (told.size >> 8 * level) % TILE_WIDTH != 0;
    }
    assert_int_equal(told.in_a_row, expected);
}

static struct edge *new_edge(void)
{
    struct edge *edge = NEW(struct edge);
    edge_init(edge);
    return edge;
}

static void free_edge(struct edge *edge)
{
    edge_clear(edge);
    mem_free(edge);
}

static void assert_edge(const struct edge *edge)
{
    struct hash root = edge_root(edge);
    struct hash expected = expected_root(edge_size(edge));
    assert_hash_equal(&root, &expected);
    assert_partials(edge);
}

static void every_resource_is_told_once_and_in_order(void **state)
{
    (void)state;
    struct edge *edge = new_edge();
    struct told told = { 0 };
    assert_edge(edge);
    for (uint64_t size = 1; size <= SIZE; size++) {
        append_next(edge, &told);
        assert_int_equal(edge_size(edge), size);
        assert_int_equal(told.full_bundles, size / TILE_WIDTH);
        for (unsigned level = 0; level < LEVELS; level++) {
            assert_int_equal(told.full[level], size >> 8 * (level + 1));
        }
        if (size <= 600 || size % 256 == 1 || size % 4096 < 2 || size > SIZE - 5) {
            assert_partials(edge);
        }
        if (size <= 600 || size % 4096 < 2 || size == SIZE) {
            assert_edge(edge);
        }
    }
    free_edge(edge);
}

static void a_size_whose_tiles_are_all_full_has_no_partials(void **state)
{
    (void)state;
    struct edge *edge = new_edge();
    struct told told = { 0 };
    edge_put_partials(edge, check_resource, &told);
    assert_int_equal(told.in_a_row, 0);
    append_next(edge, &told);
    struct told partials = { .size = 1, .is_partial = true };
    edge_put_partials(edge, check_resource, &partials);
    assert_int_equal(partials.in_a_row, 2); /* a bundle and a tile */
    free_edge(edge);
}

static void a_loaded_edge_goes_on_as_if_it_had_never_stopped(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 0, 256, 512, 1024, 65280, 65536, 65792 };
    struct edge *edge = new_edge(); /* used again: what it held does not matter */
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct source_state nodes = { sizes[i], SIZE_MAX, 0 };
        struct merkle_source source = { get, &nodes };
        struct err err;
        assert_int_equal(edge_load(edge, &source, sizes[i], &err), E_OK);
        assert_int_equal(edge_size(edge), sizes[i]);
        assert_edge(edge);
        struct told told = { .full_bundles = sizes[i] / TILE_WIDTH };
        for (unsigned level = 0; level < LEVELS; level++) {
            told.full[level] = sizes[i] >> 8 * (level + 1);
        }
        for (int n = 0; n < 300 && edge_size(edge) < SIZE; n++) {
            append_next(edge, &told);
            if (n % 128 == 0 || n > 297) {
                assert_edge(edge);
            }
        }
    }
    free_edge(edge);
}

static void an_error_of_the_source_leaves_the_edge_as_it_was(void **state)
{
    (void)state;
    struct edge *edge = new_edge();
    struct told told = { 0 };
    for (int i = 0; i < 300; i++) {
        append_next(edge, &told);
    }
    enum {
        LOADED = 3 * TILE_WIDTH
    };
    struct source_state nodes = { LOADED, SIZE_MAX, 0 };
    struct merkle_source source = { get, &nodes };
    struct err err;
    for (size_t fail_at = 0; fail_at < 5; fail_at++) { /* 2 of the range, 3 of the level-1 tile */
        nodes.gets = 0;
        nodes.fail_at = fail_at;
        assert_int_equal(edge_load(edge, &source, LOADED, &err), E_IO);
        assert_int_equal(edge_size(edge), 300);
        assert_edge(edge);
    }
    nodes.gets = 0;
    nodes.fail_at = 5;
    assert_int_equal(edge_load(edge, &source, LOADED, &err), E_OK);
    assert_edge(edge);
    free_edge(edge);
}

static void a_copy_goes_its_own_way(void **state)
{
    (void)state;
    struct edge *edge = new_edge();
    struct edge *copy = new_edge();
    struct told told = { 0 };
    for (uint64_t size = 0; size <= 1100; size++) {
        if (size % 100 == 0 || size % 256 == 0 || size % 256 == 255) {
            edge_copy(copy, edge);
            assert_int_equal(edge_size(copy), size);
            assert_edge(copy);
            struct told ahead = told;
            for (int i = 0; i < 5; i++) {
                append_next(copy, &ahead);
            }
            assert_edge(copy);
            assert_edge(edge);
        }
        append_next(edge, &told);
    }
    free_edge(copy);
    free_edge(edge);
}

static void a_cleared_edge_is_empty_and_usable(void **state)
{
    (void)state;
    struct edge *edge = new_edge();
    for (int round = 0; round < 2; round++) {
        struct told told = { 0 };
        for (int i = 0; i < 257; i++) {
            append_next(edge, &told);
        }
        assert_edge(edge);
        edge_clear(edge);
        assert_int_equal(edge_size(edge), 0);
        assert_edge(edge);
    }
    free_edge(edge);
}

/* -- all levels at once -- */

struct huge {
    struct sparse sparse;
    uint64_t size;
    uint8_t tile_next; /* level that must be told next */
    size_t bundles;
};

static void check_huge(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct huge *huge = ctx;
    assert_int_equal(path->width, tile_width(path->id, huge->size));
    if (path->is_bundle) {
        assert_int_equal(huge->tile_next, 0);
        huge->bundles++;
        return;
    }
    assert_int_equal(path->id.level, huge->tile_next++);
    assert_int_equal(bytes.len, (size_t)path->width * HASH_BYTES);
    uint64_t below = (uint64_t)1 << 8 * path->id.level;
    for (uint64_t i = 0; i < path->width; i++) {
        uint64_t lo = (path->id.index * TILE_WIDTH + i) * below;
        struct hash expected = sparse_mth(&huge->sparse, lo, lo + below);
        assert_memory_equal(bytes.data + i * HASH_BYTES, expected.bytes, HASH_BYTES);
    }
}

static void the_tiles_of_all_levels_fill_up_together(void **state)
{
    (void)state;
    uint64_t end = (uint64_t)1 << 62;
    struct huge huge = { .sparse = sparse_make(end - 100), .size = end };
    struct merkle_source source = sparse_source(&huge.sparse);
    struct edge *edge = new_edge();
    struct err err;
    assert_int_equal(edge_load(edge, &source, end - TILE_WIDTH, &err), E_OK);
    for (uint64_t i = end - TILE_WIDTH; i < end; i++) {
        const struct hash *leaf =
            i == huge.sparse.special ? &huge.sparse.special_leaf : &huge.sparse.leaf;
        assert_int_equal(huge.tile_next, 0);
        edge_append(edge, span_of(NULL, 0), leaf, check_huge, &huge);
    }
    assert_int_equal(huge.bundles, 1);
    assert_int_equal(huge.tile_next, 7); /* levels 0 to 6 are full */
    edge_put_partials(edge, check_huge, &huge);
    assert_int_equal(huge.tile_next, 8); /* level 7 has 64 hashes */
    struct hash root = edge_root(edge);
    struct hash expected = sparse_mth(&huge.sparse, 0, end);
    assert_hash_equal(&root, &expected);
    free_edge(edge);
}

/* -- the shared log of 300 records -- */

struct record_tiles {
    struct hash full;    /* SHA-256 of tile/0/000 */
    struct hash partial; /* SHA-256 of tile/0/001.p/44 */
    struct hash above;   /* tile/1/000.p/1 */
    struct hash bundle;  /* SHA-256 of tile/entries/000 */
};

static void keep_resource(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct record_tiles *tiles = ctx;
    if (path->is_bundle && path->width == TILE_WIDTH) {
        tiles->bundle = sha256(bytes);
    } else if (!path->is_bundle && path->id.level == 1) {
        assert_int_equal(bytes.len, HASH_BYTES);
        memcpy(tiles->above.bytes, bytes.data, HASH_BYTES);
    } else if (!path->is_bundle && path->width == TILE_WIDTH) {
        tiles->full = sha256(bytes);
    } else if (!path->is_bundle) {
        tiles->partial = sha256(bytes);
    }
}

static void put_records(struct record_tiles *out)
{
    struct edge *edge = new_edge();
    for (int i = 0; i < 300; i++) {
        char text[16];
        snprintf(text, sizeof text, "record %d", i);
        struct hash leaf = merkle_leaf_hash(span_of_str(text));
        edge_append(edge, span_of_str(text), &leaf, keep_resource, out);
    }
    edge_put_partials(edge, keep_resource, out);
    free_edge(edge);
}

static void the_bundle_of_the_log_of_records_is_that_of_the_vector(void **state)
{
    (void)state;
    struct record_tiles tiles = { 0 };
    put_records(&tiles);
    struct hash expected =
        vectors_hash_str("985287e65b66e7b12f16d01217b32858b6a0f9dae6d00c0431d0db350087f638");
    assert_hash_equal(&tiles.bundle, &expected);
}

static void the_tiles_of_the_log_of_records_are_the_shared_ones(void **state)
{
    (void)state;
    struct span lines = shared_lines("sha256(tile/0/000)", 3);
    struct record_tiles tiles = { 0 };
    put_records(&tiles);
    struct hash expected = vectors_hash_of(lines, "sha256(tile/0/000)");
    assert_hash_equal(&tiles.full, &expected);
    expected = vectors_hash_of(lines, "sha256(tile/0/001.p/44)");
    assert_hash_equal(&tiles.partial, &expected);
    expected = vectors_hash_of(lines, "tile/1/000.p/1");
    assert_hash_equal(&tiles.above, &expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_resource_is_told_once_and_in_order),
        cmocka_unit_test(a_size_whose_tiles_are_all_full_has_no_partials),
        cmocka_unit_test(a_loaded_edge_goes_on_as_if_it_had_never_stopped),
        cmocka_unit_test(an_error_of_the_source_leaves_the_edge_as_it_was),
        cmocka_unit_test(a_copy_goes_its_own_way),
        cmocka_unit_test(a_cleared_edge_is_empty_and_usable),
        cmocka_unit_test(the_tiles_of_all_levels_fill_up_together),
        cmocka_unit_test(the_bundle_of_the_log_of_records_is_that_of_the_vector),
        cmocka_unit_test(the_tiles_of_the_log_of_records_are_the_shared_ones),
    };
    return cmocka_run_group_tests(tests, make_hashes, free_hashes);
}
