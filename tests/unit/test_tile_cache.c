#include "base/alloc.h"
#include "base/log.h"
#include "logd/tile_cache.h"
#include "store/tile_source.h"
#include "store/tiles_memory.h"
#include "tlog/bundle.h"
#include "tlog/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    SMALL = 700, /* two full tiles, one partial */
    LARGE = 65536 + 300,
    PATHS_MAX = 1000,
    CACHE_BYTES = 64 << 20
};

/* A log with all its full tiles, and partial ones of the sizes below, in memory. */
static struct tiles_memory_disk *disk;
static struct tiles *tiles;
static struct published_tree *tree;
static struct tile_cache *cache;
static struct tile_path paths[PATHS_MAX]; /* of all files */
static size_t path_count;
static struct err err;

static void write_file(void *ctx, const struct tile_path *path, struct span bytes)
{
    (void)ctx;
    assert_int_equal(tiles_write(tiles, tile_path_text(path).text, bytes, &err), E_OK);
    assert_true(path_count < PATHS_MAX);
    paths[path_count++] = *path;
}

static void make_log(uint64_t size)
{
    struct edge *edge = NEW(struct edge);
    edge_init(edge);
    disk = tiles_memory_disk_new();
    tiles = tiles_memory_open(disk);
    path_count = 0;
    while (edge_size(edge) < size) {
        char text[32];
        int len = snprintf(text, sizeof text, "entry %llu", (unsigned long long)edge_size(edge));
        struct span entry = span_of(text, (size_t)len);
        struct hash leaf = merkle_leaf_hash(entry);
        edge_append(edge, entry, &leaf, write_file, NULL);
        uint64_t now = edge_size(edge);
        if (now == 100 || now == 530 || now == 600) { /* published once */
            edge_put_partials(edge, write_file, NULL);
        }
    }
    struct checkpoint checkpoint = { .size = size, .root = edge_root(edge) };
    struct http_body *note = http_body_new(span_of_str("note"));
    tree = published_tree_new(&checkpoint, note, edge);
    http_body_release(note);
    edge_clear(edge);
    mem_free(edge);
    cache = tile_cache_new(tiles, CACHE_BYTES);
}

static int setup(void **state)
{
    (void)state;
    make_log(SMALL);
    return 0;
}

static int setup_large(void **state)
{
    (void)state;
    make_log(LARGE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tile_cache_free(cache);
    published_tree_release(tree);
    tiles_close(tiles);
    tiles_memory_disk_free(disk);
    return 0;
}

static void empty_cache(void)
{
    tile_cache_free(cache);
    cache = tile_cache_new(tiles, CACHE_BYTES);
}

static void read_file(const struct tile_path *path, struct buf *out)
{
    buf_init(out, BUNDLE_BYTES_MAX + 1);
    assert_int_equal(tiles_read(tiles, tile_path_text(path).text, out, &err), E_OK);
}

static void put_file(const struct tile_path *path, struct span bytes)
{
    assert_int_equal(tiles_replace(tiles, tile_path_text(path).text, bytes, &err), E_OK);
}

static enum err_code get(const struct tile_path *path)
{
    struct http_body *body = NULL;
    enum err_code rc = tile_cache_get(cache, tree, path, &body, &err);
    http_body_release(body);
    return rc;
}

static void assert_served(const struct tile_path *path, struct span bytes)
{
    struct http_body *body = NULL;
    assert_int_equal(tile_cache_get(cache, tree, path, &body, &err), E_OK);
    assert_true(span_is_equal(http_body_span(body), bytes));
    http_body_release(body);
}

static void tile_cache_serves_every_file_as_it_is(void **state)
{
    (void)state;
    for (size_t times = 0; times < 2; times++) { /* from the disk, then from memory */
        for (size_t i = 0; i < path_count; i++) {
            struct buf bytes;
            read_file(&paths[i], &bytes);
            assert_served(&paths[i], buf_span(&bytes));
            buf_clear(&bytes);
        }
    }
    assert_int_equal(tile_cache_corrupt_count(cache), 0);
}

static void check_partial(void *ctx, const struct tile_path *path, struct span bytes)
{
    (void)ctx;
    assert_served(path, bytes);
    assert_null(tile_cache_peek(cache, path)); /* it would outlive its size */
}

static void tile_cache_has_partial_tiles_of_the_published_size_in_memory(void **state)
{
    (void)state;
    edge_put_partials(&tree->edge, check_partial, NULL);
}

static void tile_cache_knows_nothing_beyond_the_tree(void **state)
{
    (void)state;
    static const struct tile_path beyond[] = {
        { false, { 0, 2 }, 256 },         { false, { 0, 2 }, 189 },
        { false, { 0, 3 }, 1 },           { false, { 0, 3 }, 256 },
        { false, { 1, 0 }, 3 },           { false, { 1, 0 }, 256 },
        { false, { 1, 1 }, 1 },           { false, { 2, 0 }, 1 },
        { false, { 7, 0 }, 1 },           { false, { 8, 0 }, 1 },
        { false, { 63, 0 }, 256 },        { true, { 0, 2 }, 256 },
        { true, { 0, 2 }, 189 },          { true, { 0, 3 }, 1 },
        { true, { 0, UINT64_MAX }, 256 }, { false, { 0, UINT64_MAX }, 256 },
    };
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        put_file(&beyond[i], span_of_str("not yet published"));
        assert_int_equal(get(&beyond[i]), E_NOT_FOUND);
    }
}

static void tile_cache_does_not_miss_old_partial_tiles(void **state)
{
    (void)state;
    struct tile_path gone = { false, { 0, 0 }, 99 }, gone_bundle = { true, { 0, 2 }, 17 };
    assert_int_equal(get(&gone), E_NOT_FOUND);
    assert_int_equal(get(&gone_bundle), E_NOT_FOUND);
    assert_int_equal(tile_cache_corrupt_count(cache), 0);
}

enum damage {
    DAMAGE_BIT,
    DAMAGE_SHORT,
    DAMAGE_HASH_SHORT,
    DAMAGE_LONG,
    DAMAGE_EMPTY,
    DAMAGE_KINDS
};

static void damage(const struct tile_path *path, struct span good, enum damage kind, size_t at)
{
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX + 1);
    buf_put(&bytes, good);
    if (kind == DAMAGE_BIT) {
        bytes.data[at] ^= (uint8_t)(1 << at % 8);
    } else if (kind == DAMAGE_LONG) {
        buf_put_u8(&bytes, 0);
    } else {
        buf_truncate(&bytes, kind == DAMAGE_EMPTY   ? 0
                             : kind == DAMAGE_SHORT ? bytes.len - 1
                                                    : bytes.len - HASH_BYTES);
    }
    put_file(path, buf_span(&bytes));
    buf_clear(&bytes);
}

static void check_damage(const struct tile_path *path, size_t bit_step)
{
    struct buf good;
    read_file(path, &good);
    for (enum damage kind = 0; kind < DAMAGE_KINDS; kind++) {
        if (kind == DAMAGE_HASH_SHORT && good.len < HASH_BYTES) {
            continue;
        }
        for (size_t at = 0; at < good.len; at += kind == DAMAGE_BIT ? bit_step : good.len) {
            uint64_t before = tile_cache_corrupt_count(cache);
            damage(path, buf_span(&good), kind, at);
            assert_int_equal(get(path), E_CORRUPT);
            assert_true(tile_cache_corrupt_count(cache) > before);
            assert_null(tile_cache_peek(cache, path));
        }
    }
    put_file(path, buf_span(&good));
    assert_served(path, buf_span(&good)); /* repaired: served again */
    buf_clear(&good);
    empty_cache();
}

/* Partial tiles of the published size come from memory, whatever stands on the disk. */
static bool is_read(const struct tile_path *path)
{
    return path->width == TILE_WIDTH || path->width != tile_width(path->id, SMALL);
}

static void tile_cache_never_serves_wrong_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < path_count; i++) {
        if (is_read(&paths[i])) {
            check_damage(&paths[i], 97);
        }
    }
}

static void tile_cache_checks_against_the_tile_above(void **state)
{
    (void)state;
    static const struct tile_path of_large[] = {
        { false, { 1, 0 }, 256 },   { false, { 0, 0 }, 256 },  { false, { 0, 255 }, 256 },
        { false, { 0, 256 }, 256 }, { true, { 0, 255 }, 256 },
    };
    for (size_t i = 0; i < sizeof of_large / sizeof of_large[0]; i++) {
        check_damage(&of_large[i], 1733);
    }
    struct buf good;
    read_file(&of_large[0], &good);
    damage(&of_large[0], buf_span(&good), DAMAGE_BIT, 0);
    assert_int_equal(get(&of_large[1]), E_CORRUPT); /* nothing vouches for it now */
    assert_int_equal(get(&of_large[3]), E_OK);      /* its parent is the right edge */
    buf_clear(&good);
}

static void tile_cache_finds_missing_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < path_count; i++) {
        struct buf good;
        read_file(&paths[i], &good);
        assert_int_equal(tiles_remove(tiles, tile_path_text(&paths[i]).text, &err), E_OK);
        enum err_code expected = !is_read(&paths[i])            ? E_OK
                                 : paths[i].width == TILE_WIDTH ? E_CORRUPT
                                                                : E_NOT_FOUND;
        assert_int_equal(get(&paths[i]), expected);
        put_file(&paths[i], buf_span(&good));
        buf_clear(&good);
        empty_cache();
    }
}

/* A bundle and a tile that fit each other, but not the tree. */
static void tile_cache_refuses_a_consistent_forgery(void **state)
{
    (void)state;
    struct tile_path bundle = { true, { 0, 0 }, 256 }, tile = { false, { 0, 0 }, 256 };
    struct tile_path other_bundle = { true, { 0, 1 }, 256 }, other_tile = { false, { 0, 1 }, 256 };
    struct buf bytes;
    read_file(&other_bundle, &bytes);
    put_file(&bundle, buf_span(&bytes));
    buf_clear(&bytes);
    read_file(&other_tile, &bytes);
    put_file(&tile, buf_span(&bytes));
    buf_clear(&bytes);
    assert_int_equal(get(&bundle), E_CORRUPT);
    assert_int_equal(get(&tile), E_CORRUPT);
    assert_int_equal(get(&other_bundle), E_OK);
}

static void tile_cache_keeps_to_its_bytes(void **state)
{
    (void)state;
    struct tile_path first = { false, { 0, 0 }, 256 };
    tile_cache_free(cache);
    cache = tile_cache_new(tiles, 10 * (TILE_BYTES + 200));
    for (uint64_t i = 0; i < 100; i++) {
        struct tile_path path = { false, { 0, i }, 256 };
        assert_int_equal(get(&path), E_OK);
        struct http_body *body = tile_cache_peek(cache, &first);
        assert_non_null(body); /* used again and again, it stays */
        http_body_release(body);
        size_t kept = 0;
        for (uint64_t j = 0; j <= i; j++) {
            struct tile_path other = { false, { 0, i - j }, 256 };
            body = tile_cache_peek(cache, &other);
            kept += body != NULL;
            http_body_release(body);
        }
        assert_true(kept <= 10);
        assert_true(kept == i + 1 || kept >= 8);
    }
}

static void tile_cache_serves_what_is_larger_than_itself(void **state)
{
    (void)state;
    tile_cache_free(cache);
    cache = tile_cache_new(tiles, 1);
    for (size_t times = 0; times < 2; times++) {
        for (size_t i = 0; i < path_count; i++) {
            assert_int_equal(get(&paths[i]), E_OK);
        }
    }
}

static void tile_cache_stored_leaf_needs_no_published_tree(void **state)
{
    (void)state;
    struct hash leaf, expected;
    uint8_t bytes[TILE_BYTES] = { 0 };
    for (uint64_t i = 0; i < 512; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "entry %llu", (unsigned long long)i);
        expected = merkle_leaf_hash(span_of(text, (size_t)len));
        assert_int_equal(tile_cache_stored_leaf(cache, i, &leaf, &err), E_OK);
        assert_true(hash_is_equal(&leaf, &expected));
    }
    struct tile_path unpublished = { false, { 0, 9 }, 256 };
    memset(bytes + 5 * HASH_BYTES, 7, HASH_BYTES);
    put_file(&unpublished, span_of(bytes, sizeof bytes));
    assert_int_equal(tile_cache_stored_leaf(cache, 9 * 256 + 5, &leaf, &err), E_OK);
    assert_memory_equal(leaf.bytes, bytes + 5 * HASH_BYTES, HASH_BYTES);
    assert_int_equal(tile_cache_stored_leaf(cache, 10 * 256, &leaf, &err), E_CORRUPT);
}

/* What deduplication has read unverified is not served before it is verified. */
static void tile_cache_serves_nothing_unverified(void **state)
{
    (void)state;
    struct tile_path path = { false, { 0, 0 }, 256 };
    struct hash leaf;
    struct buf good;
    read_file(&path, &good);
    damage(&path, buf_span(&good), DAMAGE_BIT, 40);
    assert_int_equal(tile_cache_stored_leaf(cache, 3, &leaf, &err), E_OK);
    assert_null(tile_cache_peek(cache, &path));
    assert_int_equal(get(&path), E_CORRUPT);
    put_file(&path, buf_span(&good));
    assert_served(&path, buf_span(&good));
    buf_clear(&good);
}

static void check_proofs(uint64_t size, uint64_t step)
{
    struct tile_nodes nodes = { cache, tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    struct hash root, leaf;
    assert_int_equal(merkle_root(&root, &source, size, &err), E_OK);
    assert_true(hash_is_equal(&root, &tree->checkpoint.root));
    for (uint64_t index = 0; index < size; index += step) {
        char text[32];
        int len = snprintf(text, sizeof text, "entry %llu", (unsigned long long)index);
        struct proof proof;
        leaf = merkle_leaf_hash(span_of(text, (size_t)len));
        assert_int_equal(proof_make_inclusion(&proof, &source, index, size, &err), E_OK);
        assert_int_equal(proof_verify_inclusion(&proof, index, size, &leaf, &root, &err), E_OK);
        struct hash old_root;
        assert_int_equal(merkle_root(&old_root, &source, index, &err), E_OK);
        assert_int_equal(proof_make_consistency(&proof, &source, index, size, &err), E_OK);
        assert_int_equal(proof_verify_consistency(&proof, index, size, &old_root, &root, &err),
                         E_OK);
    }
}

static void tile_cache_nodes_make_proofs(void **state)
{
    (void)state;
    check_proofs(SMALL, 1);
}

static void tile_cache_nodes_make_proofs_in_a_large_tree(void **state)
{
    (void)state;
    check_proofs(LARGE, 997);
}

static void tile_cache_nodes_end_with_the_tree(void **state)
{
    (void)state;
    struct tile_nodes nodes = { cache, tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    for (uint8_t level = 0; level < MERKLE_LEVELS_MAX; level++) {
        uint64_t count = (uint64_t)SMALL >> level;
        for (uint64_t index = 0; index < count + 3; index++) {
            struct hash hash;
            struct merkle_node node = { level, index };
            assert_int_equal(source.get(source.ctx, node, &hash, &err),
                             index < count ? E_OK : E_NOT_FOUND);
        }
    }
}

static void tile_cache_makes_no_proof_from_damaged_tiles(void **state)
{
    (void)state;
    struct tile_path path = { false, { 0, 1 }, 256 };
    struct tile_nodes nodes = { cache, tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    struct proof proof;
    struct buf good;
    read_file(&path, &good);
    damage(&path, buf_span(&good), DAMAGE_BIT, 999);
    buf_clear(&good);
    assert_int_equal(proof_make_inclusion(&proof, &source, 300, SMALL, &err), E_CORRUPT);
    assert_int_equal(proof_make_inclusion(&proof, &source, 5, SMALL, &err), E_OK);
}

#define CASE(f)       cmocka_unit_test_setup_teardown(f, setup, teardown)
#define CASE_LARGE(f) cmocka_unit_test_setup_teardown(f, setup_large, teardown)

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR + 1); /* damage is logged, thousands of times here */
    const struct CMUnitTest tests[] = {
        CASE(tile_cache_serves_every_file_as_it_is),
        CASE(tile_cache_has_partial_tiles_of_the_published_size_in_memory),
        CASE(tile_cache_knows_nothing_beyond_the_tree),
        CASE(tile_cache_does_not_miss_old_partial_tiles),
        CASE(tile_cache_never_serves_wrong_bytes),
        CASE_LARGE(tile_cache_checks_against_the_tile_above),
        CASE(tile_cache_finds_missing_files),
        CASE(tile_cache_refuses_a_consistent_forgery),
        CASE_LARGE(tile_cache_keeps_to_its_bytes),
        CASE(tile_cache_serves_what_is_larger_than_itself),
        CASE(tile_cache_stored_leaf_needs_no_published_tree),
        CASE(tile_cache_serves_nothing_unverified),
        CASE(tile_cache_nodes_make_proofs),
        CASE_LARGE(tile_cache_nodes_make_proofs_in_a_large_tree),
        CASE(tile_cache_nodes_end_with_the_tree),
        CASE(tile_cache_makes_no_proof_from_damaged_tiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
