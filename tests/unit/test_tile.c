#include "tests/support/reference.h"
#include "tests/support/shared.h"
#include "tests/support/vectors.h"
#include "tlog/tile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_hash_equal(a, b) assert_memory_equal((a)->bytes, (b)->bytes, HASH_BYTES)

/* -- widths -- */

/* Full tiles on `level` and the width of the one after them. */
static void assert_level(uint64_t size, uint8_t level, uint64_t full, uint16_t partial)
{
    if (full > 0) {
        assert_int_equal(tile_width((struct tile_id){ level, 0 }, size), TILE_WIDTH);
        assert_int_equal(tile_width((struct tile_id){ level, full - 1 }, size), TILE_WIDTH);
    }
    assert_int_equal(tile_width((struct tile_id){ level, full }, size), partial);
    assert_int_equal(tile_width((struct tile_id){ level, full + 1 }, size), 0);
    assert_int_equal(tile_width((struct tile_id){ level, UINT64_MAX }, size), 0);
}

static void widths_are_those_of_the_vectors(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        struct {
            uint64_t full;
            uint16_t partial;
        } levels[4];
    } rows[] = {
        { 1, { { 0, 1 } } },
        { 255, { { 0, 255 } } },
        { 256, { { 1, 0 }, { 0, 1 } } },
        { 257, { { 1, 1 }, { 0, 1 } } },
        { 65535, { { 255, 255 }, { 0, 255 } } },
        { 65536, { { 256, 0 }, { 1, 0 }, { 0, 1 } } },
        { 65537, { { 256, 1 }, { 1, 0 }, { 0, 1 } } },
        { 16777216, { { 65536, 0 }, { 256, 0 }, { 1, 0 }, { 0, 1 } } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (uint8_t level = 0; level < 4; level++) {
            assert_level(rows[i].size, level, rows[i].levels[level].full,
                         rows[i].levels[level].partial);
        }
        assert_level(rows[i].size, 4, 0, 0);
    }
}

/* Entries that are below a whole hash of the tile, counted one hash after the other. */
static uint16_t counted_width(uint8_t level, uint64_t index, uint64_t size)
{
    uint64_t below = 1;
    for (int i = 0; i < level; i++) {
        below *= TILE_WIDTH;
    }
    uint16_t width = 0;
    while (width < TILE_WIDTH && (index * TILE_WIDTH + width + 1) * below <= size) {
        width++;
    }
    return width;
}

static void widths_are_the_number_of_complete_hashes(void **state)
{
    (void)state;
    for (uint64_t size = 0; size <= 70000; size += size < 2000 ? 1 : 61) {
        for (uint8_t level = 0; level <= 3; level++) {
            uint64_t last = size >> 8 * (level + 1);
            for (uint64_t index = last > 1 ? last - 1 : 0; index <= last + 1; index++) {
                assert_int_equal(tile_width((struct tile_id){ level, index }, size),
                                 counted_width(level, index, size));
            }
        }
    }
}

static void widths_are_defined_for_every_argument(void **state)
{
    (void)state;
    assert_level(UINT64_MAX, 0, UINT64_MAX >> 8, 255);
    assert_level(UINT64_MAX, 7, 0, 255);
    assert_level((uint64_t)1 << 63, 7, 0, 128);
    assert_level((uint64_t)1 << 62, 6, 64, 0);
    for (unsigned level = TILE_LEVELS; level <= UINT8_MAX; level++) {
        assert_level(UINT64_MAX, (uint8_t)level, 0, 0);
    }
}

/* -- paths -- */

static void assert_path(struct tile_path path, const char *expected)
{
    struct buf text = BUF_INIT(TILE_PATH_MAX);
    if (path.is_bundle) {
        bundle_path_append(&text, path.id.index, path.width);
    } else {
        tile_path_append(&text, path.id, path.width);
    }
    if (expected != NULL) {
        assert_string_equal(buf_c_str(&text), expected);
    }
    struct tile_path parsed;
    struct err err;
    assert_int_equal(tile_path_parse(&parsed, buf_span(&text), &err), E_OK);
    assert_int_equal(parsed.is_bundle, path.is_bundle);
    assert_int_equal(parsed.id.level, path.id.level);
    assert_true(parsed.id.index == path.id.index);
    assert_int_equal(parsed.width, path.width);
    buf_clear(&text);
}

static void paths_are_those_of_the_vectors(void **state)
{
    (void)state;
    assert_path((struct tile_path){ false, { 0, 0 }, 255 }, "tile/0/000.p/255");
    assert_path((struct tile_path){ false, { 15, 455667 }, 256 }, "tile/15/x455/667");
    assert_path((struct tile_path){ false, { 15, 123456789 }, 41 }, "tile/15/x123/x456/789.p/41");
    assert_path((struct tile_path){ true, { 0, 256 / 256 }, 257 % 256 }, "tile/entries/001.p/1");
    assert_path((struct tile_path){ true, { 0, 3 / 256 }, 256 }, "tile/entries/000");
    static const struct {
        uint64_t index;
        const char *path;
    } rows[] = {
        { 0, "tile/0/000" },
        { 255, "tile/0/255" },
        { 999, "tile/0/999" },
        { 1000, "tile/0/x001/000" },
        { 1234067, "tile/0/x001/x234/067" },
        { 123456789, "tile/0/x123/x456/789" },
        { 999999999999999999, "tile/0/x999/x999/x999/x999/x999/999" },
        { UINT64_MAX, "tile/0/x018/x446/x744/x073/x709/x551/615" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_path((struct tile_path){ false, { 0, rows[i].index }, 256 }, rows[i].path);
    }
}

static void paths_round_trip(void **state)
{
    (void)state;
    for (uint64_t index = 0; index <= 2000; index++) {
        uint16_t width = (uint16_t)(1 + index % TILE_WIDTH);
        assert_path((struct tile_path){ false, { (uint8_t)(index % 64), index }, TILE_WIDTH },
                    NULL);
        assert_path((struct tile_path){ false, { (uint8_t)(index % 64), index }, width }, NULL);
        assert_path((struct tile_path){ true, { 0, index }, TILE_WIDTH }, NULL);
        assert_path((struct tile_path){ true, { 0, index }, width }, NULL);
    }
    uint64_t random = 1;
    for (int i = 0; i < 20000; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        uint64_t index = random >> i % 64;
        uint16_t width = (uint16_t)(1 + (random >> 32) % TILE_WIDTH);
        assert_path((struct tile_path){ false, { (uint8_t)(i % 64), index }, width }, NULL);
        assert_path((struct tile_path){ true, { 0, index }, width }, NULL);
    }
}

static void the_longest_path_has_its_room(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(TILE_PATH_MAX);
    bundle_path_append(&text, UINT64_MAX, 255);
    assert_int_equal(text.len, TILE_PATH_MAX);
    buf_clear(&text);
}

static void assert_rejected(struct span text)
{
    struct tile_path path = { true, { 9, 99 }, 999 };
    struct err err;
    if (tile_path_parse(&path, text, &err) != E_MALFORMED) {
        fail_msg("accepted: %.*s", SPAN_PRINTF(text));
    }
    assert_true(path.is_bundle);
    assert_int_equal(path.id.level, 9);
    assert_int_equal(path.id.index, 99);
    assert_int_equal(path.width, 999);
}

static void malformed_paths_are_rejected_and_change_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/",
        "tile",
        "tile/",
        "tile//",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile//0/000",
        "tile/0//000",
        "tiles/0/000",
        "TILE/0/000",
        "checkpoint",
        "tile/entries",
        "tile/entries/",
        "tile/entries/0/000",
        "tile/0/entries/000",
        "tile/Entries/000",
        "tile/data/000",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/256/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/one/000",
        "tile/0x1/000",
        "tile/ 1/000",
        "tile/18446744073709551616/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1",
        "tile/0/1000",
        "tile/0/x000/000",
        "tile/0/x000/001",
        "tile/0/x000/x001/000",
        "tile/0/000/001",
        "tile/0/003/004",
        "tile/0/x003/x004",
        "tile/0/x003/004/",
        "tile/0/x003/",
        "tile/0/x003",
        "tile/0/x003/0004",
        "tile/0/x0003/004",
        "tile/0/x03/004",
        "tile/0/X003/004",
        "tile/0/x003/-04",
        "tile/0/x003/+04",
        "tile/0/x003/ 04",
        "tile/0/x-03/004",
        "tile/0/xx03/004",
        "tile/0/x003//004",
        "tile/0/x003/00a",
        "tile/0/x003\\004",
        "tile/0/../000",
        "tile/0/000/..",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/08",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/65537",
        "tile/0/000.p/18446744073709551617",
        "tile/0/000.p/-1",
        "tile/0/000.p/1/",
        "tile/0/000.p/1/2",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p/x01",
        "tile/0/000.P/1",
        "tile/0/000.q/1",
        "tile/0/000p/1",
        "tile/0/.p/1",
        "tile/0/x003/.p/1",
        "tile/0/x003.p/1",
        "tile/0/x003.p/1/004",
        "tile/0/000 ",
        " tile/0/000",
        "tile/0/000\n",
        "tile/0/000?x=1",
        "tile/0/%30%30%30",
        "tile/0/x018/x446/x744/x073/x709/x551/616", /* 2^64 */
        "tile/0/x018/x446/x744/x073/x709/x552/000",
        "tile/0/x020/x000/x000/x000/x000/x000/000",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
        "tile/0/x001/x999/x999/x999/x999/x999/x999/x999/x999/x999/999",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_rejected(span_of_str(bad[i]));
    }
    assert_rejected(span_of(NULL, 0));
    assert_rejected(span_of("tile/0/00\0", 10));
    assert_rejected(span_of("tile/0/000\0", 11));
}

/* Rows of paths below "tile/0/", with colons before and blanks between them. */
static void the_shared_rejection_list_is_rejected(void **state)
{
    (void)state;
    struct span line = shared_lines("reject [S: tessera api/layout tests]", 1), before, word;
    assert_true(span_take_until(&line, ']', &before));
    size_t count = 0;
    while (vectors_take_word(&line, &word)) {
        struct buf text = BUF_INIT(256);
        buf_put_str(&text, "tile/0/");
        buf_put(&text, word);
        assert_rejected(buf_span(&text));
        buf_clear(&text);
        count++;
    }
    assert_in_range(count, 10, 100);
}

/* Whatever is accepted is the one spelling of what was understood. */
static bool parse_is_exact(struct span text)
{
    struct tile_path path;
    struct err err;
    if (tile_path_parse(&path, text, &err) != E_OK) {
        return false;
    }
    struct buf again = BUF_INIT(TILE_PATH_MAX);
    if (path.is_bundle) {
        bundle_path_append(&again, path.id.index, path.width);
    } else {
        tile_path_append(&again, path.id, path.width);
    }
    assert_true(span_is_equal(buf_span(&again), text));
    buf_clear(&again);
    return true;
}

static void a_path_with_one_byte_changed_is_another_path_or_none(void **state)
{
    (void)state;
    static const char *const good[] = { "tile/entries/x001/x234/067.p/17", "tile/63/x100/999.p/255",
                                        "tile/5/000", "tile/0/x018/x446/x744/x073/x709/x551/615" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint8_t text[TILE_PATH_MAX + 1];
        size_t len = strlen(good[i]);
        memcpy(text, good[i], len);
        assert_true(parse_is_exact(span_of(text, len)));
        for (size_t at = 0; at < len; at++) {
            for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
                text[at] = (uint8_t)byte;
                parse_is_exact(span_of(text, len));
            }
            text[at] = (uint8_t)good[i][at];
            parse_is_exact(span_of(text, at)); /* cut off */
            memmove(text + at + 1, good[i] + at, len - at);
            for (unsigned byte = 0; byte <= UINT8_MAX; byte++) { /* one more */
                text[at] = (uint8_t)byte;
                parse_is_exact(span_of(text, len + 1));
            }
            memcpy(text, good[i], len);
        }
    }
}

/* -- hashes in tiles -- */

enum {
    LEAVES = 512
};

static void every_node_is_found_in_its_tile(void **state)
{
    (void)state;
    struct reference_tree *tree = reference_of_bytes(LEAVES);
    struct hash level_1[2] = { reference_mth(tree, 0, 256), reference_mth(tree, 256, 512) };
    for (uint8_t level = 0; level <= 9; level++) {
        for (uint64_t index = 0; index < (uint64_t)LEAVES >> level; index++) {
            struct tile_place place = tile_place_of((struct merkle_node){ level, index });
            assert_int_equal(place.id.level, level / 8);
            assert_in_range(place.first + place.count, 1, TILE_WIDTH);
            struct span tile = place.id.level == 0
                                   ? span_of(tree->leaves + place.id.index * TILE_WIDTH, TILE_BYTES)
                                   : span_of(level_1, sizeof level_1);
            struct hash found = tile_node_hash(tile, place.first, place.count);
            size_t lo = index << level;
            struct hash expected = reference_mth(tree, lo, lo + ((size_t)1 << level));
            assert_hash_equal(&found, &expected);
        }
    }
    mem_free(tree);
}

/* The first and last entry below a node are those below its place in the tile. */
static void places_of_nodes_in_huge_trees_cover_the_same_entries(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < 64000; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        uint8_t level = (uint8_t)(i % MERKLE_LEVELS_MAX);
        uint64_t index =
            level == 0 ? random : random >> level; /* index << level does not overflow */
        struct tile_place place = tile_place_of((struct merkle_node){ level, index });
        unsigned below = 8u * place.id.level;
        assert_in_range(place.id.level, 0, TILE_LEVELS - 1);
        assert_int_equal(place.count & (place.count - 1), 0);
        assert_in_range(place.first + place.count, 1, TILE_WIDTH);
        uint64_t first = (place.id.index * TILE_WIDTH + place.first) << below;
        assert_true(first == index << level);
        assert_true((uint64_t)place.count << below == (uint64_t)1 << level);
    }
}

static void the_root_of_a_tile_of_any_width_is_that_of_the_rfc(void **state)
{
    (void)state;
    struct reference_tree *tree = reference_of_bytes(TILE_WIDTH);
    for (size_t width = 1; width <= TILE_WIDTH; width++) {
        struct hash found = tile_root(span_of(tree->leaves, width * HASH_BYTES));
        struct hash expected = reference_mth(tree, 0, width);
        assert_hash_equal(&found, &expected);
    }
    mem_free(tree);
}

static void a_node_of_a_partial_tile_needs_only_its_own_hashes(void **state)
{
    (void)state;
    struct reference_tree *tree = reference_of_bytes(TILE_WIDTH);
    for (uint16_t count = 1; count <= TILE_WIDTH; count *= 2) {
        for (uint16_t first = 0; first + count <= TILE_WIDTH; first = (uint16_t)(first + count)) {
            size_t len = (size_t)(first + count) * HASH_BYTES;
            uint8_t *tile = mem_alloc(len); /* no byte more, for AddressSanitizer to watch */
            memcpy(tile, tree->leaves, len);
            struct hash found = tile_node_hash(span_of(tile, len), first, count);
            struct hash expected = reference_mth(tree, first, (size_t)first + count);
            assert_hash_equal(&found, &expected);
            mem_free(tile);
        }
    }
    mem_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widths_are_those_of_the_vectors),
        cmocka_unit_test(widths_are_the_number_of_complete_hashes),
        cmocka_unit_test(widths_are_defined_for_every_argument),
        cmocka_unit_test(paths_are_those_of_the_vectors),
        cmocka_unit_test(paths_round_trip),
        cmocka_unit_test(the_longest_path_has_its_room),
        cmocka_unit_test(malformed_paths_are_rejected_and_change_nothing),
        cmocka_unit_test(the_shared_rejection_list_is_rejected),
        cmocka_unit_test(a_path_with_one_byte_changed_is_another_path_or_none),
        cmocka_unit_test(every_node_is_found_in_its_tile),
        cmocka_unit_test(places_of_nodes_in_huge_trees_cover_the_same_entries),
        cmocka_unit_test(the_root_of_a_tile_of_any_width_is_that_of_the_rfc),
        cmocka_unit_test(a_node_of_a_partial_tile_needs_only_its_own_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
